//! What a configuration file promises beside calls, from outside: files laid into folders, documents sealed in a bucket, a
//! whole store carried elsewhere, the queue's own rules, and what is not kept.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod world;

use fax_store::sealed::MAGIC;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use world::{Daemon, FERROFAX, Setup, engaged, papers, until};

const CLINIC: &str = "+14155550100";
const BRANCH: &str = "+14155550101";
const COURT: &str = "+14155550199";
const REGISTRY: &str = "+14155550198";
/// A fax takes a quarter of a minute; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(240);
/// The document that says whose all the documents are; it is nobody's fax.
const MARK: &str = "00000000000000000000000000000000";

fn ferrofax(args: &[&str], file: &Path) -> Output {
    let mut command = Command::new(FERROFAX);
    command.args(args).arg("--config").arg(file).env_remove("RUST_LOG").env_remove("FERROFAX_KEY");
    command.output().unwrap()
}

/// What a command that has to succeed prints.
fn done(args: &[&str], file: &Path) -> String {
    let ran = ferrofax(args, file);
    assert!(ran.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

/// What one that has to fail says.
fn refused(args: &[&str], file: &Path) -> String {
    let ran = ferrofax(args, file);
    assert_eq!(ran.status.code(), Some(2), "{args:?}: {}", String::from_utf8_lossy(&ran.stdout));
    String::from_utf8(ran.stderr).unwrap()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// Every document of a fax that lies below a folder, by its key as its name.
fn documents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(documents(&path));
        } else if path.file_name().unwrap().len() == MARK.len() && !path.ends_with(MARK) {
            let octets = fs::read(&path).unwrap();
            found.push((path, octets));
        }
    }
    found
}

fn has(octets: &[u8], part: &[u8]) -> bool {
    octets.windows(part.len()).any(|w| w == part)
}

fn names(folder: PathBuf) -> Vec<String> {
    let found = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut found: Vec<_> = found.collect();
    found.sort();
    found
}

#[test]
fn what_is_laid_into_folders_is_faxed_and_says_what_came_of_it() {
    let second =
        format!("[[faxbox]]\nname = \"registry\"\naccount = \"court\"\nnumbers = [\"{REGISTRY}\"]\n");
    let court = Daemon::start(Setup::new("court", COURT).with("", &second));
    let usual = "account = \"clinic\"\nfaxbox = \"clinic\"\nsettle_s = 1\npoll_s = 1\n";
    let folders = format!(
        "[[hot_folder]]\npath = \"out\"\n{usual}\
         [[call_files]]\npath = \"spool/outgoing\"\ndocuments = [\"papers\"]\n{usual}"
    );
    let clinic = Daemon::start(Setup::new("clinic", CLINIC).peer(court.sip).with("", &folders));
    let at = |name: &str| clinic.folder.join(name);
    let text = |name: &str| fs::read_to_string(at(name)).unwrap_or_default();

    let letter = papers::pdf(2);
    fs::write(at("out/letter.json"), format!(r#"{{"to": "{COURT}", "subject": "A letter"}}"#)).unwrap();
    fs::write(at("out/letter.pdf"), &letter).unwrap();
    fs::write(at("out/wrong.json"), r#"{"too": "+14155550199"}"#).unwrap();
    fs::write(at("out/wrong.pdf"), &letter).unwrap();
    fs::write(at("out/+14155550198_torn.pdf"), "%PDF-1.4\nand no more").unwrap();

    let brief = papers::marked_tiff(7, 1);
    fs::create_dir(at("papers")).unwrap();
    fs::write(at("papers/brief.tif"), &brief).unwrap();
    let call = |name: &str, number: &str, document: PathBuf, more: &str| {
        let text = format!(
            "Channel: SIP/carrier/{number}\nApplication: SendFAX\nData: {}\n{more}",
            document.display()
        );
        // As the manuals want it: written elsewhere, then moved in.
        fs::write(at(name), text).unwrap();
        fs::rename(at(name), at("spool/outgoing").join(name)).unwrap();
    };
    call("good.call", "14155550198", at("papers/brief.tif"), "Archive: yes\nMaxRetries: 1\n");
    call("nobody.call", "14155550197", at("papers/brief.tif"), "Archive: yes\n");
    call("gone.call", "14155550196", at("papers/brief.tif"), "");
    call("outside.call", "14155550198", "/etc/hostname".into(), "");
    call("wrong.call", "14155550198", at("papers/brief.tif"), "Colour: red\n");

    until("all is filed", PATIENCE, || {
        let calls = names(at("spool/outgoing/.queued")).len() + names(at("spool/outgoing/.taken")).len();
        let open = names(at("spool/outgoing")).len() + calls;
        names(at("out/done")).len() + names(at("out/failed")).len() == 8 && open == 2
    });
    assert_eq!(names(at("out/done")), ["letter.pdf", "letter.pdf.json", "letter.pdf.result.json"]);
    assert_eq!(fs::read(at("out/done/letter.pdf")).unwrap(), letter);
    let result = json(&text("out/done/letter.pdf.result.json"));
    assert_eq!((&result["status"], &result["pages_confirmed"]), (&"completed".into(), &2.into()));
    for (name, why) in [("wrong.pdf", "too"), ("+14155550198_torn.pdf", "PDF")] {
        let told = json(&text(&format!("out/failed/{name}.result.json")));
        assert_eq!(told["status"], "failed", "{told}");
        assert!(told["reason"].as_str().unwrap().contains(why), "{name}: {told}");
        assert!(at("out/failed").join(name).exists());
    }
    let kept = |name: &str| text(&format!("spool/outgoing_done/{name}"));
    assert_eq!(names(at("spool/outgoing_done")), ["good.call", "nobody.call", "outside.call", "wrong.call"]);
    assert!(kept("good.call").starts_with("Channel: SIP/carrier/14155550198\n"), "{}", kept("good.call"));
    assert!(kept("good.call").ends_with("\nStatus: Completed\n"), "{}", kept("good.call"));
    for (name, why) in
        [("nobody.call", "number"), ("outside.call", "/etc/hostname is in none"), ("wrong.call", "Line 4")]
    {
        let (_, status) =
            kept(name).split_once("\nStatus: ").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        assert!(status.starts_with("Failed\n; ") && status.contains(why), "{name}: {status}");
    }

    let id = result["id"].as_str().unwrap();
    assert_eq!(clinic.get(&format!("/outgoing/{id}"))["subject"], "A letter");
    let received = court.inbox(2, PATIENCE);
    let to = |number: &str| {
        let fax = received.iter().find(|fax| fax["to_number"] == number);
        let fax = fax.unwrap_or_else(|| panic!("none to {number}: {received:#?}"));
        court.tiff("inbox", fax["id"].as_str().unwrap())
    };
    papers::assert_same_pels(&clinic.tiff("outgoing", id), &to(COURT));
    papers::assert_same_pels(&brief, &to(REGISTRY));
}

/// A server whose documents are in the bucket, sealed under this master key.
fn in_bucket(setup: Setup, server: &s3_peer::Server, master: &str) -> Setup {
    let (prefix, endpoint) = (setup.name, server.endpoint());
    setup.with(
        "",
        &format!(
            "[documents]\nmaster_key = \"{}\"\n[documents.s3]\nbucket = \"{}\"\nregion = \"{}\"\n\
             endpoint = \"{endpoint}\"\nallow_http = true\nprefix = \"{prefix}\"\n\
             access_key = \"{}\"\nsecret_key = \"{}\"\n",
            master.repeat(32),
            s3_peer::BUCKET,
            s3_peer::REGION,
            s3_peer::ACCESS_KEY,
            s3_peer::SECRET_KEY,
        ),
    )
}

#[test]
fn documents_in_a_bucket_are_sealed_and_are_there_after_a_restart() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let bucket = runtime.block_on(s3_peer::Server::start());
    let mut court = Daemon::start(in_bucket(Setup::new("court", COURT), &bucket, "c0"));
    let setup = Setup::new("clinic", CLINIC).peer(court.sip);
    let mut clinic = Daemon::start(in_bucket(setup, &bucket, "c1"));
    // The bucket is busy for a moment: nobody hears of it.
    bucket.faults([s3_peer::Fault::Status(503), s3_peer::Fault::DoneThen500]);
    let id = clinic.submit(COURT, "application/pdf", &papers::pdf(1));
    let job = clinic.job_ended(&id, PATIENCE);
    assert_eq!(job["status"], "completed", "{job:#}");
    let fax = court.inbox(1, PATIENCE)[0]["id"].as_str().unwrap().to_owned();
    let (sent, received) = (clinic.tiff("outgoing", &id), court.tiff("inbox", &fax));
    papers::assert_same_pels(&sent, &received);

    let objects: Vec<(String, Vec<u8>)> = bucket
        .with(|b| b.objects.iter().map(|(name, (octets, _))| (name.clone(), octets.to_vec())).collect());
    let faxes: Vec<_> = objects.iter().filter(|(name, _)| !name.ends_with(MARK)).collect();
    let below = |prefix: &str| faxes.iter().filter(|(name, _)| name.starts_with(prefix)).count();
    assert_eq!((below("clinic/"), below("court/")), (2, 1), "original, pages; pages");
    for (name, octets) in &objects {
        assert!(octets.starts_with(MAGIC) || name.ends_with(MARK), "{name} is plain");
        assert!(!has(octets, b"%PDF") && !has(octets, b"Helvetica"), "{name} is plain");
    }
    for server in [&clinic, &court] {
        assert!(documents(&server.folder.join("data/documents")).is_empty());
    }

    // Under another master key it does not start, and says which is wanted.
    clinic.stop();
    let other = clinic.folder.join("other.toml");
    fs::write(&other, clinic.setup.toml().replace(&"c1".repeat(32), &"c2".repeat(32))).unwrap();
    let said = refused(&["serve"], &other);
    assert!(said.contains("documents.master_key") && said.contains("old_master_key_files"), "{said}");
    let file = clinic.folder.join("ferrofax.toml");
    let archive = clinic.folder.join("faxes.tar");
    let contents = json(&done(&["--json", "store", "export", archive.to_str().unwrap()], &file));
    assert_eq!((&contents["documents"], &contents["missing"]), (&2.into(), &0.into()), "{contents:#}");
    assert!(!has(&fs::read(&archive).unwrap(), b"%PDF"), "what is sealed stays sealed");

    clinic.restart();
    court.kill();
    court.restart();
    assert_eq!(clinic.tiff("outgoing", &id), sent);
    assert_eq!(court.tiff("inbox", &fax), received);
    assert!(clinic.fetch(&format!("/outgoing/{id}/attachment"), "application/pdf").body.starts_with(b"%PDF"));
    assert_eq!(bucket.with(|b| b.refused.clone()), Vec::<String>::new());
}

#[test]
fn an_engaged_line_is_tried_again_by_the_files_rules_and_originals_go_after_the_end() {
    let rules = "[[reschedule]]\nname = \"first\"\nattempt = 1\nvalues = [\"USER_BUSY\"]\nretry_after_s = 4\n\
                 [[reschedule]]\nname = \"engaged\"\nvalues = [\"call.busy\"]\nretry_after_s = 2\nretries = 4\n";
    let setup = Setup::new("clinic", CLINIC).peer(engaged::open()).with("", rules);
    let mut clinic = Daemon::start(setup);
    // Three attempts are asked for; the rule makes it four.
    let id = clinic.submit(COURT, "application/pdf", &papers::pdf(1));
    let back = clinic.job_when(&id, PATIENCE, |j| j["attempts"] == 1 && j["status"] == "pending");
    assert_eq!(back["reschedule_rule"], "first", "{back:#}");
    let job = clinic.job_ended(&id, PATIENCE);
    assert_eq!((&job["status"], &job["attempts"]), (&"failed".into(), &4.into()), "{job:#}");
    assert_eq!((&job["reschedule_rule"], &job["retries"]), (&"engaged".into(), &4.into()), "{job:#}");
    let history = job["history"].as_array().unwrap();
    let waits: Vec<i64> = history
        .windows(2)
        .map(|two| two[1]["began"].as_i64().unwrap() - two[0]["ended"].as_i64().unwrap())
        .collect();
    // Without a rule an engaged line is left alone for one minute, then two.
    let as_said = waits.iter().zip([4, 2, 2]).all(|(wait, least)| (least..40).contains(wait));
    assert!(waits.len() == 3 && as_said, "{waits:?}");

    // What is kept is said in whole days, and the file is not taken with less.
    let file = clinic.folder.join("ferrofax.toml");
    let wrong = clinic.folder.join("wrong.toml");
    fs::write(&wrong, clinic.setup.toml() + "[retention]\nfailed_days = 0.5\n").unwrap();
    let ran = Command::new(FERROFAX).arg("check").arg(&wrong).output().unwrap();
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(2), "{said}");
    assert!(said.contains("retention.failed_days") && said.contains("a whole number from 0 to"), "{said}");

    let lying = |clinic: &Daemon| documents(&clinic.folder.join("data/documents"));
    let tiff = clinic.tiff("outgoing", &id);
    assert_eq!(lying(&clinic).len(), 2, "the original and the pages");
    clinic.stop();
    clinic.setup = clinic.setup.clone().with("", "[retention]\nstore_original = false\nfailed_days = 1\n");
    clinic.restart();
    let ran = Command::new(FERROFAX).arg("check").arg(&file).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    until("the original is gone", PATIENCE, || lying(&clinic).len() == 1);
    assert!(!lying(&clinic).iter().any(|(_, octets)| octets.starts_with(b"%PDF")));
    assert_eq!(clinic.tiff("outgoing", &id), tiff, "the pages stay");
    assert_eq!(clinic.get(&format!("/outgoing/{id}"))["attempts"], 4, "and the record");
}

#[test]
fn a_store_is_carried_elsewhere_and_the_key_of_one_account_is_destroyed() {
    let sections = format!(
        "[documents]\nmaster_key = \"{}\"\n[[account]]\nname = \"branch\"\napi_key = \"test-key-of-the-branch\"\n\
         [[faxbox]]\nname = \"branch\"\naccount = \"branch\"\nnumbers = [\"{BRANCH}\"]\ncaller_id = \"{BRANCH}\"\n",
        "ab".repeat(32)
    );
    let setup = Setup::new("clinic", CLINIC).peer(engaged::open()).with("", &sections);
    let mut clinic = Daemon::start(setup.with("queue", "retry_after_s = 3600"));
    let court = Daemon::start(Setup::new("court", COURT).peer(clinic.sip));
    // In the store: a received fax, and a job of each of two accounts that has been tried and waits.
    let sent = papers::marked_tiff(5, 1);
    let coming = court.submit(CLINIC, "image/tiff", &sent);
    let branch = clinic.door_of("test-key-of-the-branch", BRANCH);
    let theirs = branch.try_submit(COURT, &papers::marked_tiff(6, 1)).unwrap();
    let ours = clinic.submit(COURT, "image/tiff", &papers::marked_tiff(7, 1));
    let tried = |fax: Value| fax["data"]["attempts"] == 1 && fax["data"]["status"] == "pending";
    until("both wait", PATIENCE, || {
        let ours = clinic.fetch(&format!("/outgoing/{ours}"), "*/*");
        tried(ours.json()) && tried(branch.fetch(&format!("/outgoing/{theirs}"), "*/*").json())
    });
    assert_eq!(court.job_ended(&coming, PATIENCE)["status"], "completed");
    let fax = clinic.inbox(1, PATIENCE)[0]["id"].as_str().unwrap().to_owned();
    let received = clinic.tiff("inbox", &fax);
    papers::assert_same_pels(&sent, &received);
    clinic.stop();

    let file = clinic.folder.join("ferrofax.toml");
    let path = |name: &str| clinic.folder.join(name).to_str().unwrap().to_owned();
    let (good, bad) = (path("good.tar"), path("bad.tar"));
    let contents = json(&done(&["--json", "store", "export", &good], &file));
    let rows = &contents["rows"];
    assert_eq!((&rows["job"], &rows["received"], &contents["documents"]), (&2.into(), &1.into(), &5.into()));
    assert_eq!(json(&done(&["--json", "store", "verify", &good], &file)), contents);

    // One bit of a document is another: it is named, and whose it is, and nothing is imported.
    let mut octets = fs::read(&good).unwrap();
    let name = octets.windows(10).rposition(|w| w == b"documents/").unwrap();
    octets[name + 512 + 60] ^= 1;
    fs::write(&bad, octets).unwrap();
    for command in ["verify", "import"] {
        let said = refused(&["store", command, &bad], &file);
        assert!(said.contains("changed or damaged: documents/"), "{said}");
        assert!(said.contains("for job ") || said.contains("the pages of "), "{said}");
    }
    // One that is gone is told by the export and in the archive.
    let (lies, octets) = documents(&clinic.folder.join("data/documents")).remove(0);
    fs::remove_file(&lies).unwrap();
    for command in ["export", "verify"] {
        let said = done(&["store", command, &bad], &file);
        let key = lies.file_name().unwrap().to_str().unwrap();
        assert!(said.contains("1 documents that rows name were not there:"), "{said}");
        assert!(said.contains(&format!("(document {key})")), "{said}");
    }
    fs::write(&lies, octets).unwrap();
    let said = refused(&["store", "import", &good], &file);
    assert!(said.contains("not empty"), "{said}");

    // Into another folder, and into PostgreSQL, where the server goes on.
    let other = clinic.folder.join("other.toml");
    fs::write(&other, clinic.setup.toml().replace("data_dir = \"data\"", "data_dir = \"elsewhere\""))
        .unwrap();
    assert_eq!(json(&done(&["--json", "store", "import", &good], &other)), contents);
    assert_eq!(done(&["--json", "jobs", "list"], &other).lines().count(), 2);
    assert_eq!(json(&done(&["--json", "jobs", "show", &ours], &other))["attempts"], 1);
    let carried = documents(&clinic.folder.join("elsewhere/documents"));
    assert_eq!(carried.len(), 5);
    assert!(carried.iter().all(|(_, octets)| octets.starts_with(MAGIC)), "sealed ones stay sealed");
    let database = postgres_peer::Server::start().unwrap();
    let url = database.database("carried").unwrap();
    fs::rename(path("data"), path("before")).unwrap();
    clinic.setup.peer = court.sip;
    clinic.setup = clinic.setup.clone().with("top", "node = \"clinic\"");
    clinic.setup = clinic.setup.clone().with("", &format!("[database]\nurl = \"{url}\"\n"));
    fs::write(&file, clinic.setup.toml()).unwrap();
    assert_eq!(json(&done(&["--json", "store", "import", &good], &file)), contents);
    clinic.restart();
    assert_eq!(clinic.tiff("inbox", &fax), received);

    // The end of one account's documents, while the server runs.
    assert!(refused(&["store", "destroy-key", "clinic"], &file).contains("--yes"));
    let said = refused(&["store", "destroy-key", "nobody", "--yes"], &file);
    assert!(said.contains("nobody has no key"), "{said}");
    let gone = json(&done(&["--json", "store", "destroy-key", "clinic", "--yes"], &file));
    assert_eq!((&gone["account"], &gone["keys"]), (&clinic.account.as_str().into(), &1.into()));
    for rest in [format!("/inbox/{fax}/attachment"), format!("/outgoing/{ours}/attachment")] {
        let answer = clinic.fetch(&rest, "image/tiff");
        assert_eq!(answer.status, 404, "{}", answer.text());
        assert!(answer.text().contains("its key was destroyed"), "{}", answer.text());
    }
    let branch = clinic.door_of("test-key-of-the-branch", BRANCH);
    let kept = branch.fetch(&format!("/outgoing/{theirs}/attachment"), "image/tiff");
    assert_eq!(papers::marks(&kept.body), [(6, 1)]);
    for id in [&ours, &theirs] {
        done(&["jobs", "restart", id], &file);
    }
    let job = clinic.job_ended(&ours, PATIENCE);
    assert_eq!((&job["status"], &job["attempts"]), (&"failed".into(), &1.into()), "{job:#}");
    assert!(job["reason"].as_str().unwrap().contains("its key was destroyed"), "{job:#}");
    let came = court.inbox(1, PATIENCE)[0]["id"].as_str().unwrap().to_owned();
    papers::assert_same_pels(&kept.body, &court.tiff("inbox", &came));
    // What comes from now on has a new key.
    let new = clinic.submit(COURT, "image/tiff", &papers::marked_tiff(8, 1));
    clinic.job_when(&new, PATIENCE, |j| j["total_pages"] == 1);
    assert_eq!(papers::marks(&clinic.tiff("outgoing", &new)), [(8, 1)]);
}
