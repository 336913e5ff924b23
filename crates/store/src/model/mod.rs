//! The words of the store: jobs, received faxes, notices, profiles, entries, and their ids.

mod entry;
mod id;
mod job;
mod notice;
mod priority;
mod profile;
mod received;
mod row;
mod timestamp;

pub use entry::{Audit, Entry, EntryKind};
pub use id::{AccountId, DocumentKey, FaxId, FaxboxId, JobId, NodeId, NoticeId, filed_id, unfiled_id};
pub use job::{
    Attempt, AttemptOutcome, Folder, Job, JobState, Kept, Lease, PageEntry, PageState, RetryPolicy, Source,
    WebRequest,
};
pub use notice::{HookAttempt, HookEvent, Notice, NoticeKind, NoticeSubject};
pub use priority::Priority;
pub use profile::{Ability, Dead, FarEnd, Origin, Profile, ProfileKey, Trait, Witness};
pub use received::Received;
pub use row::{Row, RowKind};
pub use timestamp::Timestamp;
