//! What is set up while the service runs: accounts, users, faxboxes, numbers, call flows and keys; and who looked at what.

use super::{AccountId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What an entry is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// An account.
    Account,
    /// A person of an account.
    User,
    /// A faxbox.
    Faxbox,
    /// A telephone number; its id is the number.
    Number,
    /// Where calls to numbers of an account go.
    Callflow,
    /// An API key.
    Key,
    /// A URL that is told what happens.
    Webhook,
    /// The wrapped key by which documents of an account are encrypted.
    Seal,
    /// Something that only one node does at a time, and which node that is.
    Duty,
}

impl EntryKind {
    /// Its number in rows; never changed.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            EntryKind::Account => 0,
            EntryKind::User => 1,
            EntryKind::Faxbox => 2,
            EntryKind::Number => 3,
            EntryKind::Callflow => 4,
            EntryKind::Key => 5,
            EntryKind::Webhook => 6,
            EntryKind::Seal => 20,
            EntryKind::Duty => 21,
        }
    }
}

/// Something that is set up. A removed one stays as a mark, so that other nodes hear of its end.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// Its id, one among all of its kind.
    pub id: String,
    /// Whose it is; of an account its parent, empty for one that has none.
    #[serde(default)]
    pub account: AccountId,
    /// When it was made.
    pub created: Timestamp,
    /// When it was changed last.
    pub modified: Timestamp,
    /// The number of its last change, counted over all entries; 0: not stored yet.
    pub change: u64,
    /// It was removed.
    #[serde(default)]
    pub deleted: bool,
    /// Names that no other entry may have: `domain:fax.example.net`.
    #[serde(default)]
    pub claims: Vec<String>,
    /// What clients wrote and may read.
    #[serde(default)]
    pub document: Map<String, Value>,
    /// What clients do not see: digests of secrets, generated names.
    #[serde(default)]
    pub hidden: Map<String, Value>,
}

impl Entry {
    /// A new entry.
    #[must_use]
    pub fn new(kind: EntryKind, id: impl Into<String>, account: AccountId, now: Timestamp) -> Self {
        Entry {
            kind,
            id: id.into(),
            account,
            created: now,
            modified: now,
            change: 0,
            deleted: false,
            claims: Vec::new(),
            document: Map::new(),
            hidden: Map::new(),
        }
    }

    /// The mark that stays of it.
    #[must_use]
    pub fn removed(&self, now: Timestamp) -> Self {
        Entry {
            created: self.created,
            change: self.change,
            deleted: true,
            ..Entry::new(self.kind, self.id.clone(), self.account.clone(), now)
        }
    }
}

/// Somebody looked at a fax or changed something.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Audit {
    /// Its id; ids made later sort after it.
    pub id: String,
    /// Whose fax or entry it was.
    pub account: AccountId,
    /// When.
    pub at: Timestamp,
    /// With which right: `key:…`, `user:…`.
    pub who: String,
    /// The account of that key or user.
    pub of: AccountId,
    /// From which address.
    pub remote: String,
    /// What was done: `view`, `download`, `create`, `change`, `delete`, `login`.
    pub action: String,
    /// To what: the path below the account.
    pub subject: String,
    /// The request's id, as in its answer.
    pub request: String,
    /// HTTP status of the answer, where it was known by then.
    pub status: Option<u16>,
}
