//! The tray of received documents: a file each, whole after every page (RFC 2301).

use crate::pages;
use anyhow::{Context, Result};
use fax_image::tiff::{Addition, Appender, WriteOptions};
use fax_terminal::ReceivedPage;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A folder for documents.
#[derive(Debug)]
pub(super) struct Tray {
    folder: PathBuf,
    /// The document that is coming in.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    path: PathBuf,
    appender: Appender,
}

impl Tray {
    /// The tray in this folder, which is made if need be and must be writable.
    pub(super) fn open(folder: &Path) -> Result<Tray> {
        std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        tempfile::tempfile_in(folder)
            .with_context(|| format!("{} cannot be written to", folder.display()))?;
        Ok(Tray { folder: folder.to_owned(), open: None })
    }

    /// Adds a page to the document that is coming in; it is in the file when this comes back. The page after one that
    /// ends a document begins another file.
    pub(super) fn page(&mut self, page: &ReceivedPage) -> Result<()> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => begin(&self.folder)?,
        };
        if let Some(addition) = open.appender.page(&pages::received_page(page).to_tiff_page()) {
            append(&mut open.file, &addition)
                .with_context(|| format!("{} cannot be written", open.path.display()))?;
        }
        self.open = (!page.ends_document).then_some(open);
        Ok(())
    }
}

/// The first file that is not there yet.
fn begin(folder: &Path) -> Result<Open> {
    for number in 1..=u32::MAX {
        let path = folder.join(format!("fax-{number:04}.tif"));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok(Open { file, path, appender: Appender::new(WriteOptions::default()) }),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e).with_context(|| format!("{} cannot be made", path.display())),
        }
    }
    anyhow::bail!("{} is full", folder.display())
}

/// The link comes last: until then the file is what it was.
fn append(file: &mut File, addition: &Addition) -> io::Result<()> {
    file.seek(SeekFrom::Start(addition.at as u64))?;
    file.write_all(&addition.octets)?;
    file.sync_data()?;
    file.seek(SeekFrom::Start(addition.link_at as u64))?;
    file.write_all(&u32::try_from(addition.link).unwrap_or_default().to_le_bytes())?;
    file.sync_data()
}
