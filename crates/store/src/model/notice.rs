//! A notice: a mail or a call of a web hook that must go out, written in the same commit as the change it tells of.

use super::{AccountId, FaxId, JobId, Lease, NoticeId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A mail that must go out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Notice {
    /// Its id.
    pub id: NoticeId,
    /// What it tells.
    pub kind: NoticeKind,
    /// Whose fax it is about.
    pub account: AccountId,
    /// The fax it is about.
    pub subject: NoticeSubject,
    /// Who is told.
    pub to: Vec<String>,
    /// Of these, who needs no further try: has the mail, or was refused for good.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub served: Vec<String>,
    /// When it was written.
    pub created: Timestamp,
    /// How often sending it was tried.
    #[serde(default)]
    pub tries: u32,
    /// Not to be sent before this time.
    pub not_before: Timestamp,
    /// Who is sending it; until the end of that it is due for nobody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// It is told to a web hook, not mailed: it waits apart from the mails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<HookEvent>,
}

/// What a web hook is told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HookEvent {
    /// Which hook.
    pub hook: String,
    /// What happened: `fax.sent`.
    pub event: String,
    /// Everything about it, as it was when it happened.
    pub data: Map<String, Value>,
}

/// A web hook was called, or should have been.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HookAttempt {
    /// Its id; ids made later sort after it.
    pub id: String,
    /// Which hook.
    pub hook: String,
    /// The delivery: the id of its notice.
    pub delivery: NoticeId,
    /// What was told.
    pub event: String,
    /// When the call began.
    pub at: Timestamp,
    /// Which attempt of the delivery it was, from 1.
    pub attempt: u32,
    /// HTTP status of the answer.
    pub status: Option<u16>,
    /// Why it failed; `None`: it did not.
    pub error: Option<String>,
    /// How long it took, milliseconds.
    pub took_ms: u64,
    /// When it is tried again.
    pub next: Option<Timestamp>,
}

impl Notice {
    /// A notice about `subject`, due at once.
    #[must_use]
    pub fn new(
        kind: NoticeKind,
        account: AccountId,
        subject: NoticeSubject,
        to: Vec<String>,
        now: Timestamp,
    ) -> Self {
        Notice {
            id: NoticeId::generate(),
            kind,
            account,
            subject,
            to,
            served: Vec::new(),
            created: now,
            tries: 0,
            not_before: now,
            lease: None,
            hook: None,
        }
    }

    /// The same for a web hook.
    #[must_use]
    pub fn for_hook(
        kind: NoticeKind,
        account: AccountId,
        subject: NoticeSubject,
        hook: HookEvent,
        now: Timestamp,
    ) -> Self {
        Notice { hook: Some(hook), ..Notice::new(kind, account, subject, Vec::new(), now) }
    }
}

/// What a notice tells.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// The fax was delivered.
    Sent,
    /// The fax was given up.
    Failed,
    /// The fax may have been delivered.
    Uncertain,
    /// A fax came.
    Received,
    /// A fax came in part or not at all.
    ReceiveFailed,
    /// Something happened on the way; for web hooks.
    Event,
}

/// What a notice is about.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeSubject {
    /// A job.
    Job(JobId),
    /// A received fax.
    Fax(FaxId),
}
