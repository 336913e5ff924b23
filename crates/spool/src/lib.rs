//! fax-spool: documents that are laid into a folder, and call files as Asterisk takes them, become faxes.
//!
//! Whoever finds a file that is complete renames it into the folder `taken`, under a job's id that it draws: only one
//! can. From there it is handed in under that id, so that there is one job however often that is begun, then moved to
//! `queued`, and when the job is done with to `done` or `failed`, with its result beside it. Every step can be
//! repeated, by any node that sees the folder; nothing is kept in memory that a crash would lose.

pub mod call_file;
mod calls;
mod claim;
mod hot;
mod result;
mod ticket;

pub use calls::{CallFolder, CallRounds};
pub use hot::{HotFolder, HotRounds};

use core::time::Duration;
use fax_switch::Service;
use std::io;
use tokio::sync::watch;

/// What looks at a folder, again and again.
pub enum Rounds {
    /// A hot folder.
    Hot(HotRounds),
    /// A folder of call files.
    Calls(CallRounds),
}

impl Rounds {
    /// Looks at the folder until `stop` becomes true or its sender is gone. A folder that cannot be used is told in the
    /// log and tried again.
    pub async fn run(mut self, service: Service, every: Duration, mut stop: watch::Receiver<bool>) {
        let mut told = None;
        while !*stop.borrow() {
            let (path, done) = match &mut self {
                Rounds::Hot(hot) => (hot.path().to_owned(), hot.round(&service).await),
                Rounds::Calls(calls) => (calls.path().to_owned(), calls.round(&service).await),
            };
            let failed = done.err().map(|e: io::Error| e.to_string());
            if let Some(error) = failed.as_ref().filter(|e| told.as_ref() != Some(*e)) {
                tracing::error!(folder = %path.display(), %error, "not everything in a folder can be worked on");
            }
            told = failed;
            let stopped = tokio::time::timeout(every, stop.changed()).await;
            if matches!(stopped, Ok(Err(_))) {
                return;
            }
        }
    }
}
