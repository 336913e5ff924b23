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
    /// What [`PLACE`] says, where there could be one.
    place: Option<Arc<str>>,
}

/// The file by which the folder is known again: a file system that is not mounted has lost nothing, though the folder on
/// which it is mounted is there.
const PLACE: &str = ".place";
/// How long another process may take to write it.
const PLACE_TRIES: u32 = 50;
const PLACE_AGAIN: Duration = Duration::from_millis(20);

/// What a file that is being written ends in.
const UNFINISHED: &str = ".part";

fn io(e: std::io::Error) -> StoreError {
    match e.kind() {
        ErrorKind::NotFound => StoreError::NotFound,
        _ => StoreError::Unavailable(e.to_string()),
    }
}

/// What the folder is known by; drawn where there is nothing yet.
fn place(root: &Path) -> std::io::Result<String> {
    let path = root.join(PLACE);
    for _ in 0..PLACE_TRIES {
        match fs::read_to_string(&path) {
            Ok(place) if !place.is_empty() => return Ok(place),
            // Another process begins it at this moment.
            Ok(_) => std::thread::sleep(PLACE_AGAIN),
            Err(e) if e.kind() == ErrorKind::NotFound => match private::new_file(&path) {
                Ok(file) => return draw(file),
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            },
            Err(e) => return Err(e),
        }
    }
    // Whoever began it has died.
    draw(private::file(&path)?)
}

fn draw(mut file: File) -> std::io::Result<String> {
    let place = DocumentKey::generate().to_string();
    file.write_all(place.as_bytes())?;
    file.sync_all()?;
    Ok(place)
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
        let place = place(&root).inspect_err(|e| {
            tracing::warn!(error = %e, "whether the folder of documents is mounted will not be known");
        });
        Ok(FolderDocuments { place: place.ok().map(Arc::from), root: Arc::new(root) })
    }

    /// Whether the folder is the one that was opened.
    fn is_here(&self) -> Result<(), StoreError> {
        let found = match &self.place {
            Some(place) => fs::read_to_string(self.root.join(PLACE)).map(|found| *found == **place),
            None => self.root.try_exists(),
        };
        match found {
            Ok(true) => Ok(()),
            Err(e) if e.kind() != ErrorKind::NotFound => Err(StoreError::Unavailable(e.to_string())),
            Ok(false) | Err(_) => Err(StoreError::Unavailable(format!(
                "what was in the folder {} is not there: is it mounted?",
                self.root.display()
            ))),
        }
    }

    /// What there is none of, if the folder is the one that was opened.
    fn missing(&self) -> StoreError {
        self.is_here().err().unwrap_or(StoreError::NotFound)
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
        self.is_here()?;
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
            Err(e) if e.kind() == ErrorKind::NotFound => return self.is_here().map(|()| found),
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
            Err(e) if e.kind() == ErrorKind::NotFound => Err(d.missing()),
            read => read.map(Bytes::from).map_err(io),
        })
        .await
    }

    async fn delete(&self, key: &DocumentKey) -> Result<(), StoreError> {
        let path = self.path(key)?;
        self.blocking(move |d| match fs::remove_file(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => d.is_here(),
            done => done.map_err(io),
        })
        .await
    }

    async fn older_than(&self, age: Duration, shelf: u8) -> Result<Vec<DocumentKey>, StoreError> {
        self.blocking(move |d| d.old(age, shelf)).await
    }
}
