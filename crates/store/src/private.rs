//! Folders and files for the user of this process alone, whatever the umask: what is in them are people's faxes.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Error, ErrorKind, Result, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Rights of everybody but the owner.
const OTHERS: u32 = 0o077;

/// Makes a folder (0700) if it is not there. What is above it is made by the umask: others may have folders beside it.
///
/// # Errors
///
/// As of the file system. A folder that is there stays as it is.
pub fn folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
    match DirBuilder::new().mode(0o700).create(path) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        done => done,
    }
}

/// A new file (0600) to be written; one that is there is cut to nothing and keeps its rights.
///
/// # Errors
///
/// As of the file system.
pub fn file(path: &Path) -> Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// A new file (0600) to be written.
///
/// # Errors
///
/// As of the file system; there is one already.
pub fn new_file(path: &Path) -> Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Makes an empty file (0600) if there is none.
///
/// # Errors
///
/// As of the file system. A file that is there stays as it is.
pub fn empty(path: &Path) -> Result<()> {
    match new_file(path) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
        done => done.map(|_| ()),
    }
}

/// Writes a file (0600), beside its name first, so that it is there whole or not at all.
///
/// # Errors
///
/// As of the file system.
pub fn write(path: &Path, octets: &[u8]) -> Result<()> {
    let name = path.file_name().ok_or_else(|| Error::from(ErrorKind::InvalidInput))?;
    let mut new = name.to_owned();
    new.push(".new");
    let new = path.with_file_name(new);
    let mut file = file(&new)?;
    file.write_all(octets)?;
    file.sync_all()?;
    std::fs::rename(new, path)
}

/// What others than the owner may do with it, as in `chmod`; `None`: nothing, or it is not there.
#[must_use]
pub fn open_to_others(path: &Path) -> Option<u32> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & OTHERS != 0).then_some(mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn folders_and_files_are_the_owners_whatever_is_above_them() {
        let above = tempfile::tempdir().unwrap();
        std::fs::set_permissions(above.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let data = above.path().join("srv/data");
        folder(&data).unwrap();
        folder(&data).unwrap();
        assert_eq!((mode(&data), open_to_others(&data)), (0o700, None));
        assert_ne!(mode(&above.path().join("srv")), 0o700, "others have folders beside it");
        assert_eq!(open_to_others(above.path()), Some(0o755));
        write(&data.join("fax"), b"page").unwrap();
        assert_eq!(
            (mode(&data.join("fax")), std::fs::read(data.join("fax")).unwrap()),
            (0o600, b"page".to_vec())
        );
        empty(&data.join("fax")).unwrap();
        assert_eq!(std::fs::read(data.join("fax")).unwrap(), b"page", "what is there stays");
        assert!(folder(&data.join("fax")).is_err(), "a file is no folder");
        assert_eq!(open_to_others(&data.join("nothing")), None);
    }
}
