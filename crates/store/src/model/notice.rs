//! A notice: a mail that must go out, written in the same commit as the change it tells of.

use super::{AccountId, FaxId, JobId, Lease, NoticeId, Timestamp};
use serde::{Deserialize, Serialize};

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
            created: now,
            tries: 0,
            not_before: now,
            lease: None,
        }
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
