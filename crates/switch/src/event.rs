//! What is told live: for progress bars, status queries, webhooks and the console.

use fax_store::model::{AccountId, FaxId, FaxboxId, JobId, JobState, Timestamp};

/// Something happened to a fax.
#[derive(Clone, PartialEq, Debug)]
pub struct JobEvent {
    /// When.
    pub at: Timestamp,
    /// Whose fax.
    pub account: AccountId,
    /// Its faxbox.
    pub faxbox: Option<FaxboxId>,
    /// Which fax.
    pub subject: EventSubject,
    /// Where the job stands; nothing for a fax that is received.
    pub state: Option<JobState>,
    /// The stage of the call.
    pub stage: Stage,
    /// In words.
    pub text: String,
    /// The page it is about, from 1.
    pub page: Option<u32>,
    /// Pages in all, if known.
    pub pages: Option<u32>,
}

/// Which fax an event is about.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum EventSubject {
    /// One that is sent.
    Job(JobId),
    /// One that is received, or was.
    Fax(FaxId),
}

/// The stages that clients know.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Stage {
    /// Taken up.
    Start,
    /// Its document is made ready.
    Prepare,
    /// Pages go out.
    Send,
    /// Pages come in.
    Receive,
    /// Well ended.
    End,
    /// Ended badly, or an attempt did.
    Error,
}

impl Stage {
    /// As clients know it: `start`, `prepare`, `send`, `receive`, `end`, `error`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Stage::Start => "start",
            Stage::Prepare => "prepare",
            Stage::Send => "send",
            Stage::Receive => "receive",
            Stage::End => "end",
            Stage::Error => "error",
        }
    }
}
