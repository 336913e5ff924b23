//! `[documents]` and `[retention]`: where documents are, how they are encrypted, and how long faxes are kept.

use super::sections;
use super::valid::Secret;
use super::written::Section;
use fax_store::bucket::BucketConfig;
use fax_store::sealed::MasterKey;
use fax_switch::retention::Retention;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where documents are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// In a folder.
    Folder(PathBuf),
    /// In a bucket of an S3-compatible server.
    Bucket(BucketConfig),
}

/// `[documents]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct DocumentPlace {
    pub(crate) place: Place,
    /// The first wraps the accounts' keys; the others did before.
    pub(crate) masters: Vec<MasterKey>,
    /// New documents are encrypted.
    pub(crate) encrypt: bool,
}

fn master(s: &Section<'_, '_>, line: usize, text: &Secret) -> Option<MasterKey> {
    let key = MasterKey::from_hex(&text.0);
    if key.is_none() {
        s.fault(
            line,
            "a master key is not 64 hexadecimal characters",
            "make one by `openssl rand -hex 32`, and keep a copy apart from the documents: without it they are lost",
        );
    }
    key
}

/// `[documents]`
pub(super) fn documents(root: &Section<'_, '_>, base: &Path, data_dir: &Path) -> DocumentPlace {
    let s = root.section("documents");
    let folder = s.text("folder");
    let bucket = s.has("s3").then(|| bucket(s.section("s3"), base)).flatten();
    if let Some(folder) = folder.as_ref().filter(|_| s.has("s3")) {
        s.fault(folder.line, "documents.folder and [documents.s3] are given together", "give one of them");
    }
    let key = sections::secret(&s, base, ["master_key", "master_key_file", "master_key_env"]);
    let mut masters = Vec::new();
    if let Some(key) = key {
        masters.extend(master(&s, key.line, &Secret(key.value)));
    }
    let current = !masters.is_empty();
    for old in s.texts("old_master_key_files") {
        match std::fs::read_to_string(base.join(&old.value)) {
            Ok(text) => masters.extend(master(&s, old.line, &Secret(text))),
            Err(error) => s.fault(
                old.line,
                format!("{} cannot be read: {error}", old.value),
                "name the files that master_key_file named before; `ferrofax serve` says when they are not needed any more",
            ),
        }
    }
    let encrypt = s.flag("encrypt");
    if let Some(asked) = encrypt.as_ref().filter(|e| e.value && !current) {
        s.fault(
            asked.line,
            "documents.encrypt without a master key",
            "add master_key_file = \"master.key\" (`openssl rand -hex 32 > master.key`)",
        );
    }
    s.finish();
    let folder = folder.map_or_else(|| data_dir.join("documents"), |f| base.join(f.value));
    DocumentPlace {
        place: bucket.map_or(Place::Folder(folder), Place::Bucket),
        encrypt: encrypt.map_or(current, |e| e.value),
        masters,
    }
}

fn bucket(s: Section<'_, '_>, base: &Path) -> Option<BucketConfig> {
    let name = sections::required(&s, "bucket", "bucket = \"faxes\"");
    let region = s.text("region").map_or_else(|| "us-east-1".to_owned(), |r| r.value);
    let access = sections::secret(&s, base, ["access_key", "access_key_file", "access_key_env"]);
    let secret = sections::secret(&s, base, ["secret_key", "secret_key_file", "secret_key_env"]);
    for (there, key) in [(access.is_some(), "access_key"), (secret.is_some(), "secret_key")] {
        if !there {
            s.fault(
                s.line,
                format!("documents.s3.{key} is missing"),
                format!("add {key}_file = \"…\" or {key}_env = \"…\""),
            );
        }
    }
    let endpoint = s.text("endpoint");
    let allow_http = s.flag("allow_http").is_some_and(|f| f.value);
    if let Some(said) = &endpoint {
        let plain = said.value.starts_with("http://");
        if plain && !allow_http {
            s.fault(
                said.line,
                "documents.s3.endpoint is http: documents would go over the network for everybody to read",
                "write https://…, or add allow_http = true where nobody else is on that network",
            );
        } else if !plain && !said.value.starts_with("https://") {
            s.fault(
                said.line,
                format!("documents.s3.endpoint is {:?}", said.value),
                "write it as endpoint = \"https://s3.example.net\"",
            );
        }
    }
    let prefix = s.text("prefix").map(|p| p.value.trim_matches('/').to_owned()).unwrap_or_default();
    // Other servers than Amazon's mostly have no name for each bucket.
    let path_style = s.flag("path_style").map_or(endpoint.is_some(), |f| f.value);
    let seconds = |key, usual, most| Duration::from_secs(s.number(key, 1, most).map_or(usual, |n| n.value));
    let (timeout, patience) = (seconds("timeout_s", 30, 600), seconds("retry_s", 60, 240));
    s.finish();
    Some(BucketConfig {
        endpoint: endpoint.map(|e| e.value),
        prefix,
        path_style,
        allow_http,
        timeout,
        patience,
        ..BucketConfig::new(&name?.value, &region, &access?.value, &secret?.value)
    })
}

/// `[retention]`, and the `retention` of an account, which has its defaults from there.
pub(super) fn retention(s: Section<'_, '_>, usual: Retention) -> Retention {
    let days = |key, usual: Option<Duration>| match s.number(key, 0, 36_500) {
        None => usual,
        // For ever.
        Some(zero) if zero.value == 0 => None,
        Some(days) => Some(Duration::from_secs(days.value * 86_400)),
    };
    let retention = Retention {
        sent: days("sent_days", usual.sent),
        received: days("received_days", usual.received),
        failed: days("failed_days", usual.failed),
        documents: days("documents_days", usual.documents),
        originals: s.flag("store_original").map_or(usual.originals, |f| f.value),
        fetched: s.flag("store_url_document").map_or(usual.fetched, |f| f.value),
        pages: s.flag("store_fax_tiff").map_or(usual.pages, |f| f.value),
    };
    if !retention.originals && !retention.pages {
        s.fault(
            s.line,
            "neither the original nor the fax pages are to be kept",
            "keep one of the two, and let both go after a time by documents_days",
        );
    }
    s.finish();
    retention
}
