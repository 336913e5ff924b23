//! `[documents]`, `[retention]`, `[[hot_folder]]` and `[[call_files]]`, right and wrong.

use super::{Place, Watched, parse};
use std::path::Path;
use std::time::Duration;

const LEAST: &str = r#"
data_dir = "data"
[[trunk]]
name = "carrier"
peer = "sip.example.net"
[[faxbox]]
name = "Desk"
account = "Clinic"
numbers = ["415 555 0100"]
[[account]]
name = "Clinic"
api_key = "0123456789abcdef"
"#;

const S3: &str = "[documents.s3]\nbucket = \"faxes\"\nendpoint = \"https://s3.example.net\"\nprefix = \"/a/b/\"\n\
                  access_key = \"AKID\"\nsecret_key = \"very-secret\"\n";

fn wrong(more: &str) -> String {
    let faults = parse(&format!("{LEAST}{more}"), Path::new("/base")).err().unwrap_or_default();
    faults.iter().map(|f| format!("{}: {} / {}\n", f.line, f.what, f.remedy)).collect()
}

#[test]
fn documents_are_in_a_folder_or_a_bucket_and_secrets_are_not_shown() {
    let of = |more: &str| parse(&format!("{LEAST}{more}"), Path::new("/base")).unwrap();
    let usual = of("");
    assert_eq!(usual.documents.place, Place::Folder("/base/data/documents".into()));
    assert!(!usual.documents.encrypt && usual.documents.masters.is_empty());
    assert_eq!(of("[documents]\nfolder = \"d\"\n").documents.place, Place::Folder("/base/d".into()));
    let bucket = of(S3);
    let Place::Bucket(place) = &bucket.documents.place else { panic!("no bucket") };
    assert_eq!((place.prefix.as_str(), place.path_style, place.timeout.as_secs()), ("a/b", true, 30));
    let key = "ab".repeat(32);
    let sealed = of(&format!("[documents]\nmaster_key = \"{key}\"\n"));
    assert!(sealed.documents.encrypt && sealed.documents.masters.len() == 1);
    let shown = format!("{bucket:?}{sealed:?}");
    assert!(!shown.contains("very-secret") && !shown.contains(&key) && !shown.contains("AKID"));
    assert!(!of(&format!("[documents]\nmaster_key = \"{key}\"\nencrypt = false\n")).documents.encrypt);
}

#[test]
fn what_is_wrong_with_documents_is_told_with_a_remedy() {
    for (more, said) in [
        (S3.replace("https", "http"), "allow_http"),
        (S3.replace("https://", ""), "endpoint = "),
        (S3.replace("secret_key = \"very-secret\"\n", ""), "secret_key_file"),
        (S3.replace("bucket = \"faxes\"\n", ""), "documents.s3.bucket is missing"),
        (format!("{S3}buckets = 1\n"), "did you mean bucket?"),
        (format!("[documents]\nfolder = \"x\"\n{S3}"), "give one of them"),
        ("[documents]\nmaster_key = \"abc\"\n".into(), "openssl rand -hex 32"),
        ("[documents]\nmaster_key_file = \"missing\"\n".into(), "missing cannot be read"),
        ("[documents]\nold_master_key_files = [\"missing\"]\n".into(), "missing cannot be read"),
        ("[documents]\nencrypt = true\n".into(), "without a master key"),
        ("[retention]\nsent_days = -1\n".into(), "retention.sent_days"),
        ("[retention]\nsend_days = 1\n".into(), "did you mean sent_days?"),
        ("[retention]\nstore_original = false\nstore_fax_tiff = false\n".into(), "keep one of the two"),
    ] {
        let told = wrong(&more);
        assert!(told.contains(said), "{more}: {told}");
        assert!(!told.contains("very-secret"), "{told}");
    }
}

#[test]
fn accounts_have_a_retention_of_their_own_on_top_of_the_common_one() {
    let text = format!(
        "{LEAST}retention = {{ received_days = 90, sent_days = 0, store_url_document = true }}\n[retention]\nsent_days = 30\n\
         failed_days = 7\nstore_url_document = false\n"
    );
    let config = parse(&text, Path::new("/base")).unwrap();
    let days = |n: u64| Some(Duration::from_secs(n * 86_400));
    let everywhere = config.retention.everywhere;
    assert_eq!((everywhere.sent, everywhere.received, everywhere.failed), (days(30), None, days(7)));
    let account = config.directory.accounts().next().unwrap();
    let own = config.retention.of(&account.id);
    assert_eq!((own.sent, own.received, own.failed), (None, days(90), days(7)));
    assert_eq!((everywhere.fetched, own.fetched), (false, true));
    let usual = parse(LEAST, Path::new("/base")).unwrap();
    assert!(usual.retention.everywhere.fetched);
}

#[test]
fn folders_belong_to_accounts_and_call_files_say_where_documents_may_be() {
    let text = format!(
        "{LEAST}[[hot_folder]]\npath = \"out\"\naccount = \"Clinic\"\nfaxbox = \"Desk\"\npoll_s = 9\n\
         [[call_files]]\npath = \"/spool/outgoing\"\naccount = \"Clinic\"\ndocuments = [\"/srv\"]\n"
    );
    let config = parse(&text, Path::new("/base")).unwrap();
    let [(Watched::Hot(hot), every), (Watched::Calls(calls), _)] = config.folders.as_slice() else {
        panic!()
    };
    assert_eq!((hot.path.as_path(), every.as_secs()), (Path::new("/base/out"), 9));
    assert!(hot.faxbox.is_some() && hot.settle.as_secs() == 3);
    assert_eq!(calls.done, Path::new("/spool/outgoing_done"));
    for (change, said) in [
        (("documents = [\"/srv\"]\n", ""), "call_files.documents is missing"),
        (("faxbox = \"Desk\"", "faxbox = \"Desc\""), "no faxbox Desc"),
        (("path = \"out\"\n", ""), "hot_folder.path is missing"),
        (("poll_s = 9", "pool_s = 9"), "did you mean poll_s?"),
    ] {
        let told = parse(&text.replace(change.0, change.1), Path::new("/base")).err().unwrap_or_default();
        assert!(
            told.iter().any(|f| format!("{} {}", f.what, f.remedy).contains(said)),
            "{change:?}: {told:?}"
        );
    }
}
