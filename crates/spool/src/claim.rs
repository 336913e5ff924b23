//! Files that are complete, taken by one, moved and read with limits.

use fax_store::model::JobId;
use rustix::fs::OFlags;
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Files of a folder that are looked at in one round.
const MOST: usize = 5000;

/// A file as it lies there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) modified: SystemTime,
    length: u64,
}

/// The ordinary files of a folder by name: no folders, no links, nothing hidden, nothing that says it is unfinished.
pub(crate) fn files(folder: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let unfinished = [".part", ".tmp", ".partial", ".crdownload", ".filepart", "~"];
        if name.starts_with('.') || unfinished.iter().any(|end| name.to_lowercase().ends_with(end)) {
            continue;
        }
        // Of the file itself: a link could lead anywhere.
        let Ok(about) = fs::symlink_metadata(entry.path()) else { continue };
        let Some(modified) = about.modified().ok().filter(|_| about.is_file()) else { continue };
        found.push(Found { name, path: entry.path(), modified, length: about.len() });
        if found.len() >= MOST {
            break;
        }
    }
    found.sort_by(|a, b| (a.modified, &a.name).cmp(&(b.modified, &b.name)));
    Ok(found)
}

/// Since when files are as they are. A file that nobody has touched for some time is complete: clocks of file servers
/// may differ from ours, so that only what we have seen ourselves counts.
#[derive(Debug, Default)]
pub(crate) struct Still {
    seen: HashMap<PathBuf, (SystemTime, u64, Instant)>,
}

impl Still {
    /// Looks at what there is now; forgets what is gone.
    pub(crate) fn look(&mut self, files: &[Found], now: Instant) {
        let before = std::mem::take(&mut self.seen);
        for file in files {
            let same = before.get(&file.path).filter(|(m, l, _)| (*m, *l) == (file.modified, file.length));
            let since = same.map_or(now, |(_, _, since)| *since);
            self.seen.insert(file.path.clone(), (file.modified, file.length, since));
        }
    }

    /// For how long it has been as it is.
    pub(crate) fn since(&self, file: &Found, now: Instant) -> Duration {
        self.seen.get(&file.path).map_or(Duration::ZERO, |(_, _, since)| now.duration_since(*since))
    }
}

/// A file that was taken: its name begins with the job's id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Taken {
    pub(crate) id: JobId,
    /// There is a ticket beside it.
    pub(crate) ticket: bool,
    /// As it was called when it was laid there.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
}

/// Between id and name of a file that has a ticket, and of one that has none.
const WITH: char = '+';
const WITHOUT: char = '-';
/// What the ticket of a taken file ends in.
const TICKET: &str = ".ticket";

impl Taken {
    /// Takes a file into a folder. `None`: somebody else was faster.
    pub(crate) fn take(file: &Found, into: &Path, ticket: bool) -> io::Result<Option<Taken>> {
        let id = JobId::generate();
        let mark = if ticket { WITH } else { WITHOUT };
        let name = shortened(&file.name);
        let path = into.join(format!("{id}{mark}{name}"));
        match fs::rename(&file.path, &path) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        }
        // Before the job is on disk: a file that came back after a power failure would be sent twice.
        sync(into)?;
        file.path.parent().map_or(Ok(()), sync)?;
        Ok(Some(Taken { id, ticket, name, path }))
    }

    /// The taken files of a folder.
    pub(crate) fn all(folder: &Path) -> io::Result<Vec<Taken>> {
        Ok(files(folder)?.into_iter().filter_map(Taken::of).collect())
    }

    fn of(file: Found) -> Option<Taken> {
        let (id, rest) = file.name.split_at_checked(32)?;
        let mut rest = rest.chars();
        let ticket = match rest.next()? {
            WITH => true,
            WITHOUT => false,
            _ => return None,
        };
        let name = rest.as_str().to_owned();
        let ours = id.bytes().all(|b| b.is_ascii_hexdigit()) && !name.is_empty();
        ours.then(|| Taken { id: JobId::new(id), ticket, name, path: file.path.clone() })
    }

    /// Where its ticket lies.
    pub(crate) fn ticket_path(&self) -> PathBuf {
        self.path.with_file_name(format!("{}{TICKET}", self.id))
    }

    /// Moves it and its ticket into another folder.
    pub(crate) fn go(&mut self, into: &Path) -> io::Result<()> {
        let ticket = self.ticket_path();
        let to = into.join(self.path.file_name().unwrap_or_default());
        rename(&self.path, &to)?;
        self.path = to;
        if self.ticket {
            rename(&ticket, &self.ticket_path())?;
        }
        sync(into)
    }
}

/// Longest name of a taken file, octets: a name has 255 in all, and the id and `.result.json.part` are put to it.
const NAME: usize = 200;
/// Longest ending that is kept of a name that is shortened.
const ENDING: usize = 16;

/// A name that has room for what is put to it: cut in the middle, since it begins with a number and ends with a type.
pub(crate) fn shortened(name: &str) -> String {
    if name.len() <= NAME {
        return name.to_owned();
    }
    let ending = name.rfind('.').and_then(|dot| name.get(dot..)).filter(|e| e.len() <= ENDING).unwrap_or("");
    let mut end = NAME - ending.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{ending}", name.get(..end).unwrap_or_default())
}

/// What went wrong with some files of a folder while the others went on.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    said: Vec<String>,
    more: usize,
}

impl Troubles {
    /// Most files that are told of.
    const MOST: usize = 5;

    /// What became of a file.
    pub(crate) fn note(&mut self, name: &str, done: io::Result<()>) {
        let Err(error) = done else { return };
        if self.said.len() < Self::MOST {
            self.said.push(format!("{name}: {error}"));
        } else {
            self.more += 1;
        }
    }

    /// All of it as one error.
    pub(crate) fn told(self) -> io::Result<()> {
        match (self.said.is_empty(), self.more) {
            (true, _) => Ok(()),
            (false, 0) => Err(io::Error::other(self.said.join("; "))),
            (false, more) => Err(io::Error::other(format!("{}; and {more} more", self.said.join("; ")))),
        }
    }
}

/// Renames; it is no error when somebody has done it already.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Removes; it is no error when it is gone.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Makes changes of names in a folder durable.
pub(crate) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Writes a file that is there whole or not at all.
pub(crate) fn write(path: &Path, octets: &[u8]) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let part = path.with_file_name(format!(".{name}.part"));
    let mut file = File::create(&part)?;
    file.write_all(octets)?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    path.parent().map_or(Ok(()), sync)
}

/// Reads a file that is no link and has at most so many octets.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    // Neither followed, should it be a link, nor waited for, should it be a pipe.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::other("it is no ordinary file"));
    }
    if about.len() > most {
        return Err(io::Error::other(format!("it has more than {most} octets")));
    }
    let mut octets = Vec::new();
    file.take(most).read_to_end(&mut octets)?;
    Ok(octets)
}
