//! Documents on the way from and to the command line.

use anyhow::{Context, Result};
use bytes::Bytes;
use fax_base::page::{PageFormat, PageShape};
use fax_document::{FaxDocument, Page, RenderOptions, sandbox, sniff};
use fax_image::header;
use fax_image::tiff::Quality;
use fax_terminal::{CodedPage, ReceivedPage};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads a document from disk and makes it into fax pages, in a child process; with `colour` beside their pels in grey
/// and colour.
pub(crate) async fn load(path: &Path, colour: bool) -> Result<FaxDocument> {
    let octets = tokio::fs::read(path).await.with_context(|| format!("{} cannot be read", path.display()))?;
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
    let format = sniff(&octets, None, name.as_deref())
        .with_context(|| format!("{} is no PDF, TIFF, PNG or JPEG", path.display()))?;
    let options = RenderOptions { colour, ..RenderOptions::default() };
    sandbox::convert(Bytes::from(octets), format, &options)
        .await
        .with_context(|| format!("{} cannot be faxed", path.display()))
}

/// The pages as a terminal sends them.
pub(crate) fn coded(document: &FaxDocument) -> Vec<Arc<CodedPage>> {
    document
        .pages
        .iter()
        .map(|p| Arc::new(CodedPage { shape: p.shape, t6: p.t6.clone(), jpeg: p.jpeg.clone() }))
        .collect()
}

/// Puts a line with this text and the page's number on top of every page.
pub(crate) fn head(document: &mut FaxDocument, text: &str) {
    let count = document.pages.len();
    for (i, page) in document.pages.iter_mut().enumerate() {
        let PageShape { width, resolution, .. } = page.shape;
        *page = page.with_rows_above(&header(width, resolution, text, &format!("{}/{count}", i + 1)));
    }
}

/// The pages as a terminal received them.
pub(crate) fn received(pages: &[ReceivedPage]) -> FaxDocument {
    FaxDocument { pages: pages.iter().map(received_page).collect(), remarks: Vec::new() }
}

/// One page as a terminal received it.
pub(crate) fn received_page(page: &ReceivedPage) -> Page {
    let PageFormat { width, resolution, coding, .. } = page.format;
    Page {
        shape: PageShape { width, resolution, rows: page.rows, tones: coding.tones() },
        t6: page.t6.clone(),
        jpeg: page.jpeg.clone(),
        quality: Some(Quality {
            bad_rows: page.bad_rows,
            longest_bad_run: page.longest_bad_run,
            ..Quality::default()
        }),
        description: None,
    }
}

/// The names of the next fax in the folder, as TIFF and as PDF: the first number that no fax there has.
pub(crate) fn free_names(dir: &Path) -> (PathBuf, PathBuf) {
    let mut number = 1u32;
    loop {
        let name = |ext: &str| dir.join(format!("fax-{number:04}.{ext}"));
        if !name("tif").exists() && !name("pdf").exists() {
            return (name("tif"), name("pdf"));
        }
        number = number.saturating_add(1);
    }
}
