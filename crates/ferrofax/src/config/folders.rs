//! `[[hot_folder]]` and `[[call_files]]`: folders whose files become faxes.

use super::sections;
use super::written::Section;
use fax_spool::{CallFolder, HotFolder};
use fax_store::model::{AccountId, FaxboxId};
use fax_switch::{Account, Faxbox};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A folder that is looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Watched {
    /// A hot folder.
    Hot(HotFolder),
    /// A folder of call files.
    Calls(CallFolder),
}

/// All of them, with the time between two looks.
pub(super) fn folders(
    root: &Section<'_, '_>,
    base: &Path,
    accounts: &[Account],
    faxboxes: &[Faxbox],
) -> Vec<(Watched, Duration)> {
    let mut found = Vec::new();
    for s in root.sections("hot_folder") {
        let common = common(&s, base, accounts, faxboxes);
        s.finish();
        if let Some(Common { path, account, faxbox, settle, every, max_document }) = common {
            found.push((Watched::Hot(HotFolder { path, account, faxbox, settle, max_document }), every));
        }
    }
    for s in root.sections("call_files") {
        let common = common(&s, base, accounts, faxboxes);
        let documents: Vec<PathBuf> = s.texts("documents").into_iter().map(|d| base.join(d.value)).collect();
        if documents.is_empty() {
            s.fault(
                s.line,
                "call_files.documents is missing",
                "name the folders from which Data may take documents, as documents = [\"/srv/fax\"]",
            );
        }
        let done = s.text("done");
        s.finish();
        if let Some(Common { path, account, faxbox, settle, every, max_document }) = common {
            let beside = path.file_name().map_or_else(Default::default, |n| n.to_string_lossy().into_owned());
            let done =
                done.map_or_else(|| path.with_file_name(format!("{beside}_done")), |d| base.join(d.value));
            let folder = CallFolder { path, done, account, faxbox, documents, settle, max_document };
            found.push((Watched::Calls(folder), every));
        }
    }
    found
}

struct Common {
    path: PathBuf,
    account: AccountId,
    faxbox: Option<FaxboxId>,
    settle: Duration,
    every: Duration,
    max_document: u64,
}

fn common(s: &Section<'_, '_>, base: &Path, accounts: &[Account], faxboxes: &[Faxbox]) -> Option<Common> {
    let path = sections::required(s, "path", "path = \"/srv/fax/out\"");
    let account = sections::account_id(s, accounts);
    let faxbox = s.text("faxbox").and_then(|said| {
        let of_account = |f: &&Faxbox| account.as_ref().is_none_or(|a| f.account == *a);
        let named = |f: &&Faxbox| f.name == said.value || f.id.as_str() == said.value;
        let found = faxboxes.iter().filter(of_account).find(named);
        if found.is_none() {
            s.fault(
                said.line,
                format!("the account has no faxbox {}", said.value),
                "name one of its [[faxbox]] sections",
            );
        }
        found.map(|f| f.id.clone())
    });
    let seconds = |key, usual| Duration::from_secs(s.number(key, 1, 3600).map_or(usual, |n| n.value));
    let (every, settle) = (seconds("poll_s", 2), seconds("settle_s", 3));
    let max_document = s.number("max_document", 1, 1_000_000_000).map_or(64 << 20, |n| n.value);
    Some(Common { path: base.join(path?.value), account: account?, faxbox, settle, every, max_document })
}
