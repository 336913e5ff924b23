//! Documents as files of a folder: written, synced, renamed, and the folder synced, before the row that names them.

use crate::model::DocumentKey;
use crate::port::{Documents, StoreError};
use crate::private;
use async_trait::async_trait;
use bytes::Bytes;
use core::time::Duration;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Files under `folder/ef/…cdef`: the last two characters of the key name the sub-folder.
#[derive(Clone, Debug)]
pub struct FolderDocuments {
    root: Arc<PathBuf>,
}

/// What a file that is being written ends in.
const UNFINISHED: &str = ".part";

fn io(e: std::io::Error) -> StoreError {
    match e.kind() {
        ErrorKind::NotFound => StoreError::NotFound,
        _ => StoreError::Unavailable(e.to_string()),
    }
}

/// Makes changes of names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder).and_then(|f| f.sync_all()).map_err(io)
}

impl FolderDocuments {
    /// Documents in this folder, which is made if need be. Blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, StoreError> {
        let root = folder.as_ref().to_owned();
        private::folder(&root).map_err(io)?;
        sync_folder(&root)?;
        Ok(FolderDocuments { root: Arc::new(root) })
    }

    /// Where the document lies; an error for a key that is none of ours, such as one with a path in it.
    fn path(&self, key: &DocumentKey) -> Result<PathBuf, StoreError> {
        let text = key.as_str();
        let part = text.strip_suffix(UNFINISHED).unwrap_or(text);
        let ours = part.len() == 32 && part.bytes().all(|b| b.is_ascii_hexdigit());
        let shelf = part.get(30..).filter(|_| ours).ok_or(StoreError::NotFound)?;
        Ok(self.root.join(shelf).join(text))
    }

    async fn blocking<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let this = self.clone();
        match tokio::task::spawn_blocking(move || f(&this)).await {
            Ok(result) => result,
            Err(e) => Err(StoreError::Unavailable(e.to_string())),
        }
    }

    fn write(&self, key: &DocumentKey, octets: &[u8]) -> Result<(), StoreError> {
        let path = self.path(key)?;
        let shelf = path.parent().unwrap_or(&self.root);
        if !shelf.is_dir() {
            private::folder(shelf).map_err(io)?;
            sync_folder(&self.root)?;
        }
        let unfinished = self.path(&DocumentKey::new(format!("{key}{UNFINISHED}")))?;
        let written = private::file(&unfinished)
            .and_then(|mut file| {
                file.write_all(octets)?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&unfinished, &path));
        if let Err(e) = written {
            // What cannot be removed now is swept later.
            let _ = fs::remove_file(&unfinished);
            return Err(StoreError::Unavailable(e.to_string()));
        }
        sync_folder(shelf)
    }

    fn old(&self, age: Duration, shelf: u8) -> Result<Vec<DocumentKey>, StoreError> {
        let mut found = Vec::new();
        let files = match fs::read_dir(self.root.join(format!("{shelf:02x}"))) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(found),
            files => files.map_err(io)?,
        };
        for file in files {
            let file = file.map_err(io)?;
            let key = DocumentKey::new(file.file_name().to_string_lossy());
            if self.path(&key).is_err() {
                continue;
            }
            let made = file.metadata().and_then(|m| m.modified());
            let now = SystemTime::now();
            let is_old = made.is_ok_and(|m| now.duration_since(m).is_ok_and(|d| d >= age));
            if is_old {
                found.push(key);
            }
        }
        Ok(found)
    }
}

#[async_trait]
impl Documents for FolderDocuments {
    async fn put(&self, octets: Bytes) -> Result<DocumentKey, StoreError> {
        let key = DocumentKey::generate();
        self.put_as(&key, octets).await?;
        Ok(key)
    }

    async fn put_as(&self, key: &DocumentKey, octets: Bytes) -> Result<(), StoreError> {
        let key = key.clone();
        self.blocking(move |d| d.write(&key, &octets)).await
    }

    async fn get(&self, key: &DocumentKey) -> Result<Bytes, StoreError> {
        let path = self.path(key)?;
        self.blocking(move |d| match fs::read(path) {
            // A file system that is not mounted has lost nothing.
            Err(e) if e.kind() == ErrorKind::NotFound && !d.root.exists() => {
                Err(StoreError::Unavailable(format!("the folder {} is not there", d.root.display())))
            }
            read => read.map(Bytes::from).map_err(io),
        })
        .await
    }

    async fn delete(&self, key: &DocumentKey) -> Result<(), StoreError> {
        let path = self.path(key)?;
        self.blocking(move |_| match fs::remove_file(path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(io(e)),
            _ => Ok(()),
        })
        .await
    }

    async fn older_than(&self, age: Duration, shelf: u8) -> Result<Vec<DocumentKey>, StoreError> {
        self.blocking(move |d| d.old(age, shelf)).await
    }
}
