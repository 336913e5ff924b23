//! A hot folder: documents laid there are sent to the number in their name or in a JSON file beside them.

use crate::claim::{self, Found, Still, Taken, Troubles};
use crate::result::{self, HandedIn};
use crate::ticket::{Ticket, number_in};
use core::time::Duration;
use fax_store::model::{AccountId, FaxboxId, JobId, JobState};
use fax_switch::{NewDocument, NewJob, Service, ServiceError};
use serde_json::Value;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Largest JSON file, octets.
const TICKET: u64 = 64 << 10;
/// For so long a document without a number waits for a file beside it.
const ALONE: Duration = Duration::from_secs(60);

/// A hot folder and whose it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HotFolder {
    /// The folder.
    pub path: PathBuf,
    /// Whose faxes these are.
    pub account: AccountId,
    /// The faxbox that they are sent from.
    pub faxbox: Option<FaxboxId>,
    /// A file is complete when nobody has touched it for so long.
    pub settle: Duration,
    /// Largest document, octets.
    pub max_document: u64,
}

/// Looks at a hot folder.
#[derive(Debug)]
pub struct HotRounds {
    folder: HotFolder,
    still: Still,
}

/// Whether a file is one that lies beside a document.
fn is_ticket(name: &str) -> bool {
    name.to_lowercase().ends_with(".json")
}

impl HotRounds {
    /// Looks at this folder; it and those in it are made if need be.
    ///
    /// # Errors
    ///
    /// The folder cannot be made.
    pub fn open(folder: HotFolder) -> io::Result<Self> {
        for name in ["taken", "queued", "done", "failed"] {
            fs::create_dir_all(folder.path.join(name))?;
        }
        Ok(HotRounds { folder, still: Still::default() })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.folder.path
    }

    fn within(&self, name: &str) -> PathBuf {
        self.folder.path.join(name)
    }

    /// Takes what is complete, hands in what was taken, files what is done with.
    ///
    /// # Errors
    ///
    /// The folder cannot be read, or what is to be done with some files cannot be done: which. Everything else is done, and
    /// these are tried again in the next round.
    pub async fn round(&mut self, service: &Service) -> io::Result<()> {
        let mut troubles = Troubles::default();
        for taken in Taken::all(&self.within("taken"))? {
            let name = taken.name.clone();
            troubles.note(&name, self.hand_in(service, taken).await);
        }
        let files = claim::files(&self.folder.path)?;
        let now = Instant::now();
        self.still.look(&files, now);
        for file in files.iter().filter(|f| !is_ticket(&f.name)) {
            let handed = match self.take(file, &files, now) {
                Ok(Some(taken)) => self.hand_in(service, taken).await,
                taken => taken.map(drop),
            };
            troubles.note(&file.name, handed);
        }
        for queued in Taken::all(&self.within("queued"))? {
            let name = queued.name.clone();
            troubles.note(&name, self.file(service, queued).await);
        }
        troubles.told()
    }

    /// Takes a document if it and what belongs to it are complete.
    fn take(&self, file: &Found, files: &[Found], now: Instant) -> io::Result<Option<Taken>> {
        let settled = |f: &Found| self.still.since(f, now) >= self.folder.settle;
        if !settled(file) {
            return Ok(None);
        }
        let stem = file.name.rsplit_once('.').map_or(file.name.as_str(), |(stem, _)| stem);
        let names = [format!("{}.json", file.name), format!("{stem}.json")];
        let beside = names.iter().find_map(|name| files.iter().find(|f| f.name == *name));
        match beside {
            Some(ticket) if !settled(ticket) => Ok(None),
            // Without a number it may be that the file beside it is still to come.
            None if number_in(&file.name).is_none() && self.still.since(file, now) < ALONE => Ok(None),
            None => Taken::take(file, &self.within("taken"), false),
            Some(ticket) => {
                let taken = Taken::take(file, &self.within("taken"), true)?;
                if let Some(taken) = &taken {
                    claim::rename(&ticket.path, &taken.ticket_path())?;
                }
                Ok(taken)
            }
        }
    }

    /// A ticket that its taker did not get to move.
    fn fetch_ticket(&self, taken: &Taken) -> io::Result<()> {
        if !taken.ticket || taken.ticket_path().exists() {
            return Ok(());
        }
        let stem = taken.name.rsplit_once('.').map_or(taken.name.as_str(), |(stem, _)| stem);
        for name in [format!("{}.json", taken.name), format!("{stem}.json")] {
            let lies = self.within(&name);
            if lies.exists() {
                return claim::rename(&lies, &taken.ticket_path());
            }
        }
        // Its document's name may have been shortened when it was taken.
        let ending = taken.name.rfind('.').and_then(|dot| taken.name.get(dot..)).unwrap_or("");
        let is_its = |ticket: &Found| {
            let of = ticket.name.strip_suffix(".json").unwrap_or_default();
            claim::shortened(of) == taken.name || claim::shortened(&format!("{of}{ending}")) == taken.name
        };
        let tickets = claim::files(&self.folder.path)?.into_iter().filter(|f| is_ticket(&f.name));
        match tickets.into_iter().find(is_its) {
            Some(ticket) => claim::rename(&ticket.path, &taken.ticket_path()),
            None => Ok(()),
        }
    }

    async fn hand_in(&self, service: &Service, mut taken: Taken) -> io::Result<()> {
        self.fetch_ticket(&taken)?;
        let handed = match self.job(&taken) {
            Ok(new) => result::handed_in(service.submit_once(taken.id.clone(), new).await),
            Err(why) => HandedIn::Refused(why),
        };
        match handed {
            HandedIn::Queued => {
                tracing::info!(job = %taken.id, folder = %self.folder.path.display(), "a document was taken");
                taken.go(&self.within("queued"))
            }
            HandedIn::Later(why) => {
                tracing::warn!(job = %taken.id, why, "a document waits in its folder");
                Ok(())
            }
            HandedIn::Refused(why) => {
                // Another node may have handed it in and moved it on.
                if !taken.path.exists() {
                    return Ok(());
                }
                self.end(&taken, "failed", &result::refused(&taken.id, &why))
            }
        }
    }

    fn job(&self, taken: &Taken) -> Result<NewJob, String> {
        let ticket = if taken.ticket {
            let octets = claim::read(&taken.ticket_path(), TICKET)
                .map_err(|e| format!("The file beside the document cannot be read: {e}."))?;
            Ticket::read(&octets)?
        } else {
            Ticket::default()
        };
        let number = ticket.to.clone().or_else(|| number_in(&taken.name)).ok_or(
            "There is no number: begin the file's name with it, or lay a JSON file with \"to\" beside it.",
        )?;
        let octets = claim::read(&taken.path, self.folder.max_document)
            .map_err(|e| format!("The document cannot be read: {e}."))?;
        let document = NewDocument::Octets {
            octets: octets.into(),
            // What it is its octets and its name say.
            content_type: "application/octet-stream".into(),
            file_name: Some(taken.name.clone()),
        };
        let mut new = NewJob::new(self.folder.account.clone(), number, document);
        new.faxbox.clone_from(&self.folder.faxbox);
        new.not_before = ticket.time();
        new.to_name = ticket.to_name;
        new.from_number = ticket.from;
        new.from_name = ticket.from_name;
        new.subject = ticket.subject;
        new.ident = ticket.ident;
        new.header = ticket.header;
        new.sub_address = ticket.sub_address;
        new.colour = ticket.colour;
        new.retries = ticket.retries;
        new.priority = ticket.priority;
        new.notify = ticket.notify;
        Ok(new)
    }

    /// Files a document whose job is done with.
    async fn file(&self, service: &Service, queued: Taken) -> io::Result<()> {
        match service.find_job(&queued.id).await {
            Ok(Some(job)) if job.state == JobState::Completed => {
                self.end(&queued, "done", &result::of_job(&job))
            }
            Ok(Some(job)) if job.state.is_final() => self.end(&queued, "failed", &result::of_job(&job)),
            // Only what was never handed in is handed in: this was.
            Ok(None) => {
                let why = "The fax was removed before its result was seen.";
                self.end(&queued, "failed", &result::refused(&queued.id, why))
            }
            Ok(Some(_)) | Err(ServiceError::Unavailable(_)) => Ok(()),
            Err(e) => Err(io::Error::other(e.to_string())),
        }
    }

    /// Writes the result and moves the document beside it; may be repeated.
    fn end(&self, taken: &Taken, folder: &str, told: &Value) -> io::Result<()> {
        let folder = self.within(folder);
        let name = free_name(&folder, &taken.name, &taken.id);
        let mut text = serde_json::to_vec_pretty(told)?;
        text.push(b'\n');
        claim::write(&folder.join(format!("{name}.result.json")), &text)?;
        claim::rename(&taken.path, &folder.join(&name))?;
        if taken.ticket {
            claim::rename(&taken.ticket_path(), &folder.join(format!("{name}.json")))?;
        }
        claim::sync(&folder)
    }
}

/// The document's own name, unless another document has it there.
fn free_name(folder: &Path, name: &str, id: &JobId) -> String {
    let lies = fs::read(folder.join(format!("{name}.result.json")));
    let of_this = |octets: &[u8]| {
        serde_json::from_slice::<Value>(octets).is_ok_and(|v| v.get("id").is_some_and(|v| v == id.as_str()))
    };
    match lies {
        Err(_) if !folder.join(name).exists() => name.to_owned(),
        Ok(octets) if of_this(&octets) => name.to_owned(),
        _ => format!("{id}-{name}"),
    }
}
