//! Faxes that are coming in, page by page on disk: a page that was confirmed to the far end (T.30 §5.3.6.1.7, MCF) is
//! never sent again, so it must survive whatever happens to this process, and is on disk before it is confirmed.

use crate::pages;
use anyhow::{Context, Result};
use fax_base::page::{Coding, PageFormat, Tones};
use fax_document::{FaxDocument, Page};
use fax_store::model::{AccountId, FaxId, FaxboxId};
use fax_store::private;
use fax_switch::{IncomingCall, ReceivedFax, Service};
use fax_t30 as t30;
use fax_terminal::ReceivedPage;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Who calls whom, beside the pages.
const CALL: &str = "call.json";

/// Where faxes are kept while they come in.
#[derive(Clone, Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
}

impl Spool {
    /// The spool in this folder, which is made if need be.
    pub(crate) fn open(folder: PathBuf) -> Result<Spool> {
        private::folder(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        Ok(Spool { folder })
    }

    /// A call is answered. Nothing is written before its first page.
    pub(crate) fn begin(
        &self,
        id: &FaxId,
        call: &IncomingCall,
        account: &AccountId,
        faxbox: &FaxboxId,
    ) -> Incoming {
        let told = json!({
            "account": account.as_str(), "faxbox": faxbox.as_str(), "to": call.to_number, "from": call.from_number,
            "from_name": call.from_name, "diverted_from": call.diverted_from, "call_id": call.call_id, "remote": call.remote,
        });
        // The folder has the fax's id: what is filed and still kept after a crash is known by it.
        Incoming { folder: self.folder.join(id.as_str()), told, begun: false }
    }

    /// Files what a crash left behind.
    pub(crate) async fn recover(&self, service: &Service) -> Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let folder = entry?.path();
            match left(&folder) {
                Ok(fax) => {
                    tracing::warn!(
                        pages = fax.pages.len(),
                        "ferrofax stopped while a fax came in; filing what there is"
                    );
                    // Kept for the next start where it cannot be filed: a full disk must not keep us down.
                    match service.received(fax).await {
                        Ok(_) => fs::remove_dir_all(&folder)?,
                        Err(error) => {
                            tracing::error!(folder = %folder.display(), %error, "a fax of before the stop cannot be stored");
                        }
                    }
                }
                Err(error) => {
                    tracing::error!(folder = %folder.display(), error = format!("{error:#}"), "a fax cannot be recovered");
                }
            }
        }
        Ok(())
    }
}

/// A fax that is coming in.
#[derive(Debug)]
pub(crate) struct Incoming {
    folder: PathBuf,
    told: Value,
    /// Something of it may be on disk.
    begun: bool,
}

impl Incoming {
    /// Keeps a page, in place of what came of it before; whether it is on disk when this comes back. It is not confirmed
    /// before.
    pub(crate) async fn keep(&mut self, page: &ReceivedPage, t38: bool) -> bool {
        self.begun = true;
        self.told["t38"] = t38.into();
        let facts = json!({ "coding": page.format.coding.to_string(), "ecm": page.format.ecm });
        let (folder, told, number) = (self.folder.clone(), self.told.clone(), page.index.saturating_add(1));
        let tiff = pages::received(std::slice::from_ref(page)).to_tiff();
        let kept = tokio::task::spawn_blocking(move || {
            if !folder.join(CALL).exists() {
                private::folder(&folder)?;
                write(&folder, CALL, told.to_string().as_bytes())?;
            }
            // The picture comes last: where it is, the page is whole.
            let name = format!("page-{number:05}");
            write(&folder, &format!("{name}.json"), facts.to_string().as_bytes())?;
            write(&folder, &format!("{name}.tif"), &tiff)
        });
        let kept = kept.await.map_err(std::io::Error::other).and_then(|kept| kept);
        if let Err(error) = &kept {
            tracing::error!(%error, "a received page cannot be kept: it is not confirmed, and the call ends");
        }
        kept.is_ok()
    }

    /// The fax is filed: what was kept goes.
    pub(crate) async fn done(self) {
        if self.begun
            && let Err(error) = tokio::fs::remove_dir_all(&self.folder).await
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(folder = %self.folder.display(), %error, "cannot be removed");
        }
    }
}

/// Writes a file so that it is there whole or not at all, also after a power cut.
fn write(folder: &Path, name: &str, octets: &[u8]) -> std::io::Result<()> {
    private::write(&folder.join(name), octets)?;
    File::open(folder)?.sync_all()
}

/// What is left of a fax in its folder.
fn left(folder: &Path) -> Result<ReceivedFax> {
    let told: Value = serde_json::from_slice(&fs::read(folder.join(CALL)).context(CALL)?)?;
    let text = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
    let mut files = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .filter(|path: &Result<PathBuf>| {
            path.as_ref().is_ok_and(|p| p.extension().is_some_and(|e| e == "tif"))
        })
        .collect::<Result<Vec<_>>>()?;
    files.sort();
    let mut pages = Vec::new();
    for file in files {
        let document =
            FaxDocument::from_tiff(&fs::read(&file)?).with_context(|| file.display().to_string())?;
        let facts: Value = serde_json::from_slice(&fs::read(file.with_extension("json"))?)?;
        for page in document.pages {
            pages.push(received(pages.len(), page, &facts));
        }
    }
    let name = folder.file_name().context("the folder has no name")?;
    Ok(ReceivedFax {
        id: FaxId::new(name.to_string_lossy()),
        call: IncomingCall {
            to_number: text("to"),
            from_number: text("from"),
            from_name: text("from_name"),
            diverted_from: text("diverted_from"),
            call_id: text("call_id"),
            remote: text("remote"),
            ..IncomingCall::default()
        },
        account: AccountId::new(text("account")),
        faxbox: FaxboxId::new(text("faxbox")),
        outcome: cut_off(pages.len()),
        pages,
        t38: told["t38"] == true,
        duration: Duration::ZERO,
        trace: Vec::new(),
        interrupted: true,
    })
}

/// How a session ended of which nobody can tell more than that pages came.
pub(super) fn cut_off(pages_received: usize) -> t30::Outcome {
    let failure = t30::Failure::new(t30::Cause::CallDropped, t30::Phase::C);
    t30::Outcome { failure: Some(failure), pages_received, ..t30::Outcome::default() }
}

/// A page as it came, by what was written beside it.
fn received(index: usize, page: Page, facts: &Value) -> ReceivedPage {
    let quality = page.quality.unwrap_or_default();
    let codings = [
        Coding::Mh,
        Coding::Mr,
        Coding::Mmr,
        Coding::T85,
        Coding::T81(Tones::Grey),
        Coding::T81(Tones::Colour),
    ];
    let coding = codings.into_iter().find(|c| facts["coding"] == c.to_string().as_str());
    ReceivedPage {
        index,
        format: PageFormat {
            coding: coding.unwrap_or(Coding::Mmr),
            resolution: page.shape.resolution,
            width: page.shape.width,
            ecm: facts["ecm"] == true,
            min_row_time: Duration::ZERO,
        },
        t6: page.t6,
        jpeg: page.jpeg,
        rows: page.shape.rows,
        bad_rows: quality.bad_rows,
        longest_bad_run: quality.longest_bad_run,
        // It was on disk before it was; nobody knows any more.
        confirmed: false,
        ends_document: false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use fax_base::page::{Resolution, Width};

    fn page(index: usize, rows: u8) -> ReceivedPage {
        ReceivedPage {
            index,
            format: PageFormat {
                coding: Coding::Mmr,
                resolution: Resolution::Fine,
                width: Width::A4,
                ecm: true,
                min_row_time: Duration::ZERO,
            },
            // A white row is a bit.
            t6: vec![0xFF; usize::from(rows) / 8].into(),
            jpeg: None,
            rows: rows.into(),
            bad_rows: 0,
            longest_bad_run: 0,
            confirmed: false,
            ends_document: false,
        }
    }

    #[tokio::test]
    async fn a_page_is_kept_or_said_not_to_be() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path().join("incoming")).unwrap();
        let (account, faxbox) = (AccountId::new("a"), FaxboxId::new("f"));
        let call = IncomingCall { from_number: "+1".into(), ..IncomingCall::default() };
        let mut kept = spool.begin(&FaxId::new("x"), &call, &account, &faxbox);
        let folder = dir.path().join("incoming").join("x");
        // No folder can be made here.
        fs::write(&folder, "in the way").unwrap();
        assert!(!kept.keep(&page(0, 8), true).await);
        fs::remove_file(&folder).unwrap();
        assert!(kept.keep(&page(0, 8), true).await);
        assert!(kept.keep(&page(1, 8), true).await);
        // It was refused and came again.
        assert!(kept.keep(&page(1, 16), true).await);
        let fax = left(&folder).unwrap();
        assert_eq!(fax.pages.iter().map(|p| (p.index, p.rows)).collect::<Vec<_>>(), [(0, 8), (1, 16)]);
        assert!(fax.t38 && fax.interrupted && fax.call.from_number == "+1");
        kept.done().await;
        assert!(!folder.exists());
    }
}
