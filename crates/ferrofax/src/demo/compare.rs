//! What was sent and what was received, fetched by REST and compared pel for pel.

use super::world::Way;
use crate::client::Client;
use anyhow::{Context, Result};
use fax_document::{FaxDocument, Page};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How the comparison came out.
pub(super) struct Verdict {
    pub(super) pages: usize,
    /// Numbers of the pages that differ, from 1.
    pub(super) different: Vec<usize>,
    pub(super) files: Vec<PathBuf>,
}

/// Fetches both sides' pages of a job that went by this way, keeps the received ones in `folder`, compares.
pub(super) async fn run(
    clinic: &Client,
    court: &Client,
    way: &Way,
    job: &str,
    folder: &Path,
) -> Result<Verdict> {
    let outbox = clinic.get("faxes/outbox").await?;
    let mine = |f: &&serde_json::Value| f["id"].as_str().is_some_and(|id| id.ends_with(job));
    let sent = outbox.as_array().and_then(|l| l.iter().find(mine)).and_then(|f| f["id"].as_str());
    let sent = sent.context("the fax is not in the sender's outbox")?;
    let sent = clinic.attachment(&format!("faxes/outbox/{sent}/attachment"), "image/tiff").await?;
    let received = inbox(court, way.number).await?;
    let path = format!("faxes/inbox/{received}/attachment");
    let tiff = court.attachment(&path, "image/tiff").await?;
    let pdf = court.attachment(&path, "application/pdf").await?;
    let files = vec![
        folder.join(format!("received-by-{}.tif", way.name)),
        folder.join(format!("received-by-{}.pdf", way.name)),
    ];
    for (file, octets) in files.iter().zip([&tiff, &pdf]) {
        std::fs::write(file, octets).with_context(|| format!("{}", file.display()))?;
    }
    let (ours, theirs) = (FaxDocument::from_tiff(&sent)?, FaxDocument::from_tiff(&tiff)?);
    let pages = ours.pages.len().max(theirs.pages.len());
    let same = |i: usize| match (ours.pages.get(i), theirs.pages.get(i)) {
        (Some(a), Some(b)) => below_header(a, b),
        (_, _) => false,
    };
    let different = (0..pages).filter(|i| !same(*i)).map(|i| i + 1).collect();
    Ok(Verdict { pages, different, files })
}

/// Whether the second is the first, pel for pel, below the line at its top.
fn below_header(sent: &Page, received: &Page) -> bool {
    let (sent, received) = (sent.to_bitmap(), received.to_bitmap());
    let rows = sent.data().len();
    let above = received.data().len().checked_sub(rows);
    sent.width() == received.width()
        && above.is_some_and(|above| received.data().get(above..) == Some(sent.data()))
}

/// The fax from this number in the inbox; the receiver files it a moment after the sender is done.
async fn inbox(court: &Client, from: &str) -> Result<String> {
    for _ in 0..100 {
        let list = court.get("faxes/inbox").await?;
        let theirs = |f: &&serde_json::Value| f["from_number"] == from || f["from"] == from;
        let found = list.as_array().and_then(|l| l.iter().find(theirs)).and_then(|f| f["id"].as_str());
        if let Some(id) = found {
            return Ok(id.to_owned());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("nothing is in the receiver's inbox")
}
