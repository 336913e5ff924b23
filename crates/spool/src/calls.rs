//! A folder of call files: taken when their time of change has come, as Asterisk does it.

use crate::call_file::{self, CallFile};
use crate::claim::{self, Still, Taken, Troubles};
use crate::result::{self, HandedIn};
use core::time::Duration;
use fax_store::model::{AccountId, FaxboxId, JobState};
use fax_switch::{NewDocument, NewJob, Service, ServiceError};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

/// A folder of call files and whose it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallFolder {
    /// The folder.
    pub path: PathBuf,
    /// Where files go that are to be kept.
    pub done: PathBuf,
    /// Whose faxes these are.
    pub account: AccountId,
    /// The faxbox that they are sent from.
    pub faxbox: Option<FaxboxId>,
    /// Documents are read from below these folders only.
    pub documents: Vec<PathBuf>,
    /// A file is complete when nobody has touched it for so long.
    pub settle: Duration,
    /// Largest document, octets.
    pub max_document: u64,
}

/// Looks at a folder of call files.
#[derive(Debug)]
pub struct CallRounds {
    folder: CallFolder,
    still: Still,
}

/// Hidden, so that other programs that look at the folder do not take it for a call file.
const TAKEN: &str = ".taken";
const QUEUED: &str = ".queued";

impl CallRounds {
    /// Looks at this folder; it and those in it are made if need be.
    ///
    /// # Errors
    ///
    /// The folder cannot be made.
    pub fn open(folder: CallFolder) -> io::Result<Self> {
        for folder in [folder.path.join(TAKEN), folder.path.join(QUEUED), folder.done.clone()] {
            fs::create_dir_all(folder)?;
        }
        Ok(CallRounds { folder, still: Still::default() })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.folder.path
    }

    /// Takes what is due, hands in what was taken, files what is done with.
    ///
    /// # Errors
    ///
    /// The folder cannot be read, or what is to be done with some files cannot be done: which. Everything else is done, and
    /// these are tried again in the next round.
    pub async fn round(&mut self, service: &Service) -> io::Result<()> {
        let mut troubles = Troubles::default();
        for taken in Taken::all(&self.folder.path.join(TAKEN))? {
            let name = taken.name.clone();
            troubles.note(&name, self.hand_in(service, taken).await);
        }
        let files = claim::files(&self.folder.path)?;
        let now = Instant::now();
        self.still.look(&files, now);
        for file in &files {
            // A time of change to come is when the call is to be made; until then the file may be changed or removed.
            let due = file.modified <= SystemTime::now();
            if !due || self.still.since(file, now) < self.folder.settle {
                continue;
            }
            let handed = match Taken::take(file, &self.folder.path.join(TAKEN), false) {
                Ok(Some(taken)) => self.hand_in(service, taken).await,
                taken => taken.map(drop),
            };
            troubles.note(&file.name, handed);
        }
        for queued in Taken::all(&self.folder.path.join(QUEUED))? {
            troubles.note(&queued.name, self.file(service, &queued).await);
        }
        troubles.told()
    }

    async fn hand_in(&self, service: &Service, mut taken: Taken) -> io::Result<()> {
        let handed = match self.job(&taken) {
            Ok(new) => result::handed_in(service.submit_once(taken.id.clone(), new).await),
            Err(why) => HandedIn::Refused(why),
        };
        match handed {
            HandedIn::Queued => {
                tracing::info!(job = %taken.id, folder = %self.folder.path.display(), "a call file was taken");
                taken.go(&self.folder.path.join(QUEUED))
            }
            HandedIn::Later(why) => {
                tracing::warn!(job = %taken.id, why, "a call file waits in its folder");
                Ok(())
            }
            HandedIn::Refused(_) if !taken.path.exists() => Ok(()),
            HandedIn::Refused(why) => {
                // Why may name the number: it is told beside the file alone.
                tracing::warn!(job = %taken.id, "a call file was refused");
                self.keep(&taken, "Failed", &why)
            }
        }
    }

    fn job(&self, taken: &Taken) -> Result<NewJob, String> {
        let octets = claim::read(&taken.path, call_file::MOST)
            .map_err(|e| format!("The call file cannot be read: {e}."))?;
        let file = CallFile::parse(&octets)?;
        let octets = self.document(&file.document)?;
        let name = file.document.file_name().map(|n| n.to_string_lossy().into_owned());
        let document = NewDocument::Octets {
            octets: octets.into(),
            content_type: "application/octet-stream".into(),
            file_name: name,
        };
        let mut new = NewJob::new(self.folder.account.clone(), file.number, document);
        new.faxbox.clone_from(&self.folder.faxbox);
        new.from_number = file.caller;
        new.from_name = file.caller_name;
        new.ident = file.ident;
        new.header = file.header;
        new.retries = file.attempts;
        new.priority = file.priority;
        if let Some(code) = file.account {
            new.client.insert("account_code".into(), code.into());
        }
        Ok(new)
    }

    /// The document, if it is one that may be sent: whoever may write call files may not read every file of ours.
    fn document(&self, path: &Path) -> Result<Vec<u8>, String> {
        let unreadable = |e: io::Error| format!("The document {} cannot be read: {e}.", path.display());
        let whole = path.canonicalize().map_err(unreadable)?;
        let below = |folder: &PathBuf| folder.canonicalize().is_ok_and(|folder| whole.starts_with(folder));
        if !self.folder.documents.iter().any(below) {
            return Err(format!("The document {} is in none of the folders of `documents`.", path.display()));
        }
        claim::read(&whole, self.folder.max_document).map_err(unreadable)
    }

    async fn file(&self, service: &Service, queued: &Taken) -> io::Result<()> {
        let job = match service.find_job(&queued.id).await {
            Ok(Some(job)) if job.state.is_final() => job,
            Ok(None) => {
                return self.keep(queued, "Failed", "The fax was removed before its result was seen.");
            }
            Ok(Some(_)) | Err(ServiceError::Unavailable(_)) => return Ok(()),
            Err(e) => return Err(io::Error::other(e.to_string())),
        };
        let read = claim::read(&queued.path, call_file::MOST);
        let archive = read.ok().and_then(|o| CallFile::parse(&o).ok()).is_none_or(|file| file.archive);
        if !archive {
            return claim::remove(&queued.path);
        }
        // Asterisk's words: what was tried as often as it may be has expired.
        let (status, reason) = match job.state {
            JobState::Completed => ("Completed", String::new()),
            JobState::Failed if job.attempts_left() == 0 => ("Expired", job.reason.unwrap_or_default()),
            other => ("Failed", job.reason.unwrap_or_else(|| result::word(other).to_owned())),
        };
        self.keep(queued, status, &reason)
    }

    /// Keeps the file with what came of it as its last lines.
    fn keep(&self, taken: &Taken, status: &str, reason: &str) -> io::Result<()> {
        let mut octets = claim::read(&taken.path, call_file::MOST).unwrap_or_default();
        if octets.last().is_some_and(|last| *last != b'\n') {
            octets.push(b'\n');
        }
        octets.extend_from_slice(format!("\nStatus: {status}\n").as_bytes());
        if !reason.is_empty() {
            octets.extend_from_slice(format!("; {}\n", reason.replace(['\r', '\n'], " ")).as_bytes());
        }
        claim::write(&self.folder.done.join(&taken.name), &octets)?;
        claim::remove(&taken.path)
    }
}
