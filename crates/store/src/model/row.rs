//! Any row of the store, as it is carried from one store to another.

use super::{Audit, Entry, HookAttempt, Job, Notice, Profile, Received};
use serde::{Deserialize, Serialize};

/// What a row is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowKind {
    /// Accounts, users, faxboxes and whatever else is set up, removed ones included, in the order of their changes.
    Entry,
    /// What calls taught.
    Profile,
    /// Jobs with their ledgers and leases.
    Job,
    /// Received faxes.
    Received,
    /// Mails that must go out.
    Notice,
    /// What web hooks must be told.
    HookNotice,
    /// What came of telling them.
    HookAttempt,
    /// Who did what.
    Audit,
}

impl RowKind {
    /// All of them, in the order in which they are carried.
    pub const ALL: [RowKind; 8] = [
        RowKind::Entry,
        RowKind::Profile,
        RowKind::Job,
        RowKind::Received,
        RowKind::Notice,
        RowKind::HookNotice,
        RowKind::HookAttempt,
        RowKind::Audit,
    ];

    /// Its name in archives.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            RowKind::Entry => "entry",
            RowKind::Profile => "profile",
            RowKind::Job => "job",
            RowKind::Received => "received",
            RowKind::Notice => "notice",
            RowKind::HookNotice => "hook_notice",
            RowKind::HookAttempt => "hook_attempt",
            RowKind::Audit => "audit",
        }
    }
}

/// A row.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "row")]
pub enum Row {
    /// See [`RowKind::Entry`].
    Entry(Box<Entry>),
    /// See [`RowKind::Profile`].
    Profile(Box<Profile>),
    /// See [`RowKind::Job`].
    Job(Box<Job>),
    /// See [`RowKind::Received`].
    Received(Box<Received>),
    /// See [`RowKind::Notice`].
    Notice(Box<Notice>),
    /// See [`RowKind::HookNotice`].
    HookNotice(Box<Notice>),
    /// See [`RowKind::HookAttempt`].
    HookAttempt(Box<HookAttempt>),
    /// See [`RowKind::Audit`].
    Audit(Box<Audit>),
}

impl Row {
    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> RowKind {
        match self {
            Row::Entry(_) => RowKind::Entry,
            Row::Profile(_) => RowKind::Profile,
            Row::Job(_) => RowKind::Job,
            Row::Received(_) => RowKind::Received,
            Row::Notice(_) => RowKind::Notice,
            Row::HookNotice(_) => RowKind::HookNotice,
            Row::HookAttempt(_) => RowKind::HookAttempt,
            Row::Audit(_) => RowKind::Audit,
        }
    }
}
