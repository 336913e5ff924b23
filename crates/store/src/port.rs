//! The ports of the store: what a backend must be able to do.

use crate::model::{
    AccountId, Audit, DocumentKey, Entry, FaxId, FaxboxId, Folder, HookAttempt, Job, JobId, JobState, Lease,
    NodeId, Notice, NoticeId, PageEntry, Profile, ProfileKey, Received, Row, RowKind, Timestamp,
};
use async_trait::async_trait;
use bytes::Bytes;
use std::collections::HashMap;

/// Why the store did not do what was asked. Nothing of it was done then.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such row or document.
    #[error("not found")]
    NotFound,
    /// There is one already.
    #[error("exists already")]
    Exists,
    /// The job is not held as it was supposed to be.
    #[error("the lease is lost")]
    LeaseLost,
    /// The change was not wanted after the row had been read: why.
    #[error("{0}")]
    Refused(String),
    /// Another entry has this name already, as `domain:fax.example.net`.
    #[error("{0} is taken")]
    Taken(String),
    /// The disk is full, fails, or the store is closed: what the system said.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The document is encrypted by a key that the store has no more.
    #[error("the document is encrypted and its key was destroyed: nobody can read it any more")]
    KeyDestroyed,
    /// What is stored cannot be read.
    #[error("the store is damaged: {0}")]
    Damaged(String),
}

/// Longest number that a job is stored with, octets: indices have an end, and no number is as long.
pub const LONGEST_NUMBER: usize = 256;

/// Whether a job may be stored.
pub(crate) fn storable(job: &Job) -> Result<(), StoreError> {
    if job.to_number.len() > LONGEST_NUMBER {
        return Err(StoreError::Refused(format!("a number has at most {LONGEST_NUMBER} octets")));
    }
    Ok(())
}

/// A change to a job. It is given the job as it is now, ledger included, and may refuse with
/// [`StoreError::Refused`]. Id, account, creation time and ledger of a job that has been stored cannot be changed, but for
/// the ledger's length, which follows `pages`.
pub type JobChange = Box<dyn FnOnce(&mut Job) -> Result<(), StoreError> + Send>;

/// A change to a profile, which is empty if there was none. It cannot be refused.
pub type ProfileChange = (ProfileKey, Box<dyn FnOnce(&mut Profile) + Send>);

/// On what condition a job may be changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Guard {
    /// On none.
    Any,
    /// This node holds it.
    HeldBy(NodeId),
    /// Its lease is exactly this one.
    Lease(Option<Lease>),
}

/// Which pending jobs a node wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeaseRequest {
    /// The node.
    pub node: NodeId,
    /// The time: jobs due later are left.
    pub now: Timestamp,
    /// When the lease ends if it is not renewed.
    pub until: Timestamp,
    /// At most so many jobs.
    pub limit: usize,
    /// How many jobs of an account may be held at once, all nodes together, where it differs from
    /// `default_account_limit`.
    pub account_limits: HashMap<AccountId, u32>,
    /// The same for all other accounts.
    pub default_account_limit: u32,
    /// At most one job to a number is held at a time.
    pub serialise_numbers: bool,
}

/// When the next jobs become due.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NextDue {
    /// One that is Pending.
    pub pending: Option<Timestamp>,
    /// One that is Converting.
    pub converting: Option<Timestamp>,
}

/// Which jobs are wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobQuery {
    /// Of one account, or of all.
    pub account: Option<AccountId>,
    /// From which list; `None`: both.
    pub folder: Option<Folder>,
    /// Of one faxbox.
    pub faxbox: Option<FaxboxId>,
    /// In one of these states; empty: any.
    pub states: Vec<JobState>,
    /// The range.
    pub range: Range,
}

/// Which received faxes are wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReceivedQuery {
    /// Of one account, or of all.
    pub account: Option<AccountId>,
    /// Of one faxbox.
    pub faxbox: Option<FaxboxId>,
    /// The range.
    pub range: Range,
}

/// A part of a list that is ordered by time of creation and then by id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Range {
    /// Created at this time or later.
    pub from: Timestamp,
    /// Created at this time or earlier.
    pub to: Timestamp,
    /// Oldest first instead of newest first.
    pub ascending: bool,
    /// Only what comes after this one in that order: the last of the page before.
    pub after: Option<(Timestamp, String)>,
    /// At most so many.
    pub limit: usize,
}

/// Which profiles are wanted, in order of their names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProfileQuery {
    /// Those of an account's numbers.
    Numbers {
        /// The account.
        account: AccountId,
        /// Only numbers that come after this one.
        after: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// Those of all trunks.
    Trunks,
}

/// Which records of the audit log are wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditQuery {
    /// About this account.
    pub account: AccountId,
    /// The range.
    pub range: Range,
}

impl Default for Range {
    /// All of time, newest first, 50.
    fn default() -> Self {
        Range { from: Timestamp(i64::MIN), to: Timestamp(i64::MAX), ascending: false, after: None, limit: 50 }
    }
}

impl JobQuery {
    /// The newest of an account, of one list.
    #[must_use]
    pub fn of(account: AccountId, folder: Folder) -> Self {
        JobQuery {
            account: Some(account),
            folder: Some(folder),
            faxbox: None,
            states: Vec::new(),
            range: Range::default(),
        }
    }
}

/// Attempts that are kept of each web hook.
pub const HOOK_ATTEMPTS: usize = 100;

/// How many rows wait, over all nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Backlog {
    /// Jobs that are to be converted, held or not.
    pub converting: u64,
    /// Jobs that wait for their time or a line.
    pub pending: u64,
    /// Jobs that a node has taken for a call.
    pub held: u64,
    /// Mails that are to go out.
    pub notices: u64,
    /// Web hooks that are to be called.
    pub hook_notices: u64,
}

/// Rows: jobs, received faxes, notices, profiles, entries, audit records. `Ok` means that it is on disk.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Stores a new job and notices about it, all or nothing.
    async fn insert_job_and_notices(&self, job: Job, notices: Vec<Notice>) -> Result<(), StoreError>;

    /// Stores a new job that nobody is told of.
    async fn insert_job(&self, job: Job) -> Result<(), StoreError> {
        self.insert_job_and_notices(job, Vec::new()).await
    }

    /// A job, with its ledger.
    async fn job(&self, id: &JobId) -> Result<Option<Job>, StoreError>;

    /// Jobs, as far as `query` wants them.
    async fn jobs(&self, query: JobQuery) -> Result<Vec<Job>, StoreError>;

    /// Changes a job and stores notices about it, all or nothing. Answers the job as it is then. A job
    /// that becomes Pending with a lease, or final with one, loses the lease.
    async fn update_job(
        &self,
        id: &JobId,
        guard: Guard,
        change: JobChange,
        notices: Vec<Notice>,
    ) -> Result<Job, StoreError>;

    /// Changes a job as [`Store::update_job`] does, and profiles with it: all or nothing. When the change to the
    /// job is refused, the profiles stay as they are.
    async fn update_job_and_profiles(
        &self,
        id: &JobId,
        guard: Guard,
        change: JobChange,
        notices: Vec<Notice>,
        profiles: Vec<ProfileChange>,
    ) -> Result<Job, StoreError>;

    /// Removes a job and its ledger. One that is held by a node is refused.
    async fn delete_job(&self, id: &JobId) -> Result<(), StoreError>;

    /// Takes jobs that are Pending and due, within the limits: they become Locked. Accounts have their turns by the times of
    /// their jobs, the oldest first; whose turn it is sends its most urgent job, and of these the oldest. The
    /// cost depends on the number of jobs taken, not on the number waiting. A crash may undo it as long as nothing was written
    /// since: whoever has a job writes so before anything is done for it.
    async fn lease_due(&self, request: LeaseRequest) -> Result<Vec<Job>, StoreError>;

    /// Takes further jobs for the call of a job that `node` holds, as [`Job::shares_call`] says: those that are Pending
    /// and due, the most urgent first and of these the oldest. They become Locked and take lines as others do, whatever the
    /// limits; only the first ones of each priority that wait for the number or in the account's queue are looked at. None when the node does not hold the job.
    async fn lease_beside(
        &self,
        job: &JobId,
        node: &NodeId,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Job>, StoreError>;

    /// Takes jobs that are Converting and due; they stay Converting.
    async fn lease_converting(
        &self,
        node: &NodeId,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Job>, StoreError>;

    /// When the next jobs become due. Jobs that cannot be taken before another is let go do not count.
    async fn next_due(&self) -> Result<NextDue, StoreError>;

    /// Looks again at accounts that were at their limit: to be called when limits were raised.
    async fn refresh_queue(&self) -> Result<(), StoreError>;

    /// Prolongs the leases of a node. Answers the jobs among `jobs` that it does not hold any more.
    async fn renew(
        &self,
        node: &NodeId,
        jobs: Vec<JobId>,
        until: Timestamp,
    ) -> Result<Vec<JobId>, StoreError>;

    /// Jobs with a lease that is of `node` or has run out at `now`.
    async fn stale(&self, node: Option<&NodeId>, now: Timestamp) -> Result<Vec<Job>, StoreError>;

    /// Writes a page of the ledger of a job that `node` holds; `page` from 0. A confirmed page stays
    /// confirmed.
    async fn record_page(
        &self,
        job: &JobId,
        node: &NodeId,
        page: u32,
        entry: PageEntry,
    ) -> Result<(), StoreError>;

    /// Stores a received fax and notices about it, all or nothing.
    async fn insert_received(&self, fax: Received, notices: Vec<Notice>) -> Result<(), StoreError>;

    /// A received fax.
    async fn received(&self, id: &FaxId) -> Result<Option<Received>, StoreError>;

    /// Received faxes, as far as `query` wants them.
    async fn received_list(&self, query: ReceivedQuery) -> Result<Vec<Received>, StoreError>;

    /// Removes a received fax.
    async fn delete_received(&self, id: &FaxId) -> Result<(), StoreError>;

    /// A received fax names its document no more; its record stays. Answers it as it was before.
    async fn strip_received(&self, id: &FaxId) -> Result<Received, StoreError>;

    /// Stores notices that belong to no change.
    async fn insert_notices(&self, notices: Vec<Notice>) -> Result<(), StoreError>;

    /// Takes notices that are due, oldest first: until `until` they are due for nobody else.
    async fn take_notices(
        &self,
        node: &NodeId,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Notice>, StoreError>;

    /// This node is still sending a notice that it took: it keeps it until `until`, or hears
    /// [`StoreError::LeaseLost`].
    async fn keep_notice(&self, id: &NoticeId, node: &NodeId, until: Timestamp) -> Result<(), StoreError>;

    /// Makes due again at `now` what this node had taken: it was restarted.
    async fn release_notices(&self, node: &NodeId, now: Timestamp) -> Result<(), StoreError>;

    /// Notices that are due, oldest first, to be looked at.
    async fn notices_due(&self, now: Timestamp, limit: usize) -> Result<Vec<Notice>, StoreError>;

    /// When the next notice becomes due.
    async fn next_notice(&self) -> Result<Option<Timestamp>, StoreError>;

    /// The notice has been sent, or is given up: forget it.
    async fn notice_done(&self, id: &NoticeId) -> Result<(), StoreError>;

    /// Sending failed, but for those `served`, who are [`Notice::served`] from now on: one try more, and not before this
    /// time; whoever took it lets it go.
    async fn notice_retry(
        &self,
        id: &NoticeId,
        not_before: Timestamp,
        served: Vec<String>,
    ) -> Result<(), StoreError>;

    /// Notices for web hooks that are due, oldest first. Taking one counts as a try; it is not due again before `until`,
    /// for no node, so that one node at a time tells it, and another if that one dies.
    async fn take_hook_notices(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Notice>, StoreError>;

    /// When the next notice for a web hook becomes due.
    async fn next_hook_notice(&self) -> Result<Option<Timestamp>, StoreError>;

    /// A hook was called for this notice: it is due again at `again`, or is done with; without an `attempt` it was not
    /// called after all, and being taken does not count as a try. It is no error when the notice is gone. Of the attempts of a hook the last [`HOOK_ATTEMPTS`] are kept; without one, nothing is noted.
    async fn hook_called(
        &self,
        id: &NoticeId,
        again: Option<Timestamp>,
        attempt: Option<HookAttempt>,
    ) -> Result<(), StoreError>;

    /// The attempts of a hook, the newest first.
    async fn hook_attempts(&self, hook: &str) -> Result<Vec<HookAttempt>, StoreError>;

    /// Removes the attempts of a hook.
    async fn forget_hook(&self, hook: &str) -> Result<(), StoreError>;

    /// How many rows wait for what.
    async fn backlog(&self) -> Result<Backlog, StoreError>;

    /// A profile.
    async fn profile(&self, key: &ProfileKey) -> Result<Option<Profile>, StoreError>;

    /// Profiles, as far as `query` wants them.
    async fn profiles(&self, query: ProfileQuery) -> Result<Vec<Profile>, StoreError>;

    /// Changes a profile; begins it if there is none. Answers it as it is then.
    async fn change_profile(&self, change: ProfileChange) -> Result<Profile, StoreError>;

    /// Removes a profile.
    async fn forget_profile(&self, key: &ProfileKey) -> Result<(), StoreError>;

    /// Removes profiles of numbers that were not changed since `before`, and then the oldest of what is more than
    /// `keep`; those with something locked stay. Answers how many were removed, at most `limit`.
    async fn purge_profiles(&self, before: Timestamp, keep: usize, limit: usize)
    -> Result<usize, StoreError>;

    /// Stores entries, all or nothing, and answers them with their change numbers. Each must carry the change number of
    /// the version it is made from (0: there is none, or a removed one), or all are refused; a name that an entry outside of these has is
    /// [`StoreError::Taken`]. What is marked as deleted gives its names back.
    async fn put_entries(&self, entries: Vec<Entry>) -> Result<Vec<Entry>, StoreError>;

    /// Entries with a change number above `after`, in the order of their changes, at most `limit`. Removed ones
    /// are among them.
    async fn entries(&self, after: u64, limit: usize) -> Result<Vec<Entry>, StoreError>;

    /// Adds records to the audit log.
    async fn insert_audit(&self, records: Vec<Audit>) -> Result<(), StoreError>;

    /// Records of the audit log, as far as `query` wants them.
    async fn audit(&self, query: AuditQuery) -> Result<Vec<Audit>, StoreError>;

    /// Removes records older than this, at most `limit`. Answers how many were removed.
    async fn purge_audit(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError>;

    /// Whether a row names this document.
    async fn is_named(&self, key: &DocumentKey) -> Result<bool, StoreError>;

    /// Rows of a kind as they are, in an order of their own, after a place in it; each with its place. Unlike lists
    /// they stop at a row that cannot be read.
    async fn rows(
        &self,
        kind: RowKind,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<(String, Row)>, StoreError>;

    /// Stores rows as they are, all or nothing: leases, ledgers and change numbers included. Those that are there already
    /// stay.
    async fn restore(&self, rows: Vec<Row>) -> Result<(), StoreError>;

    /// The number of the archive that is being imported and not yet wholly here, if there is one.
    async fn import_under_way(&self) -> Result<Option<u64>, StoreError>;

    /// An archive with this number is being imported; `None`: no more.
    async fn note_import(&self, archive: Option<u64>) -> Result<(), StoreError>;

    /// Takes the name of a node for as long as the store is open. Two nodes of one name would take each other's calls for
    /// left-overs of their own.
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`]: another process has had it for half a minute.
    async fn claim(&self, node: &NodeId) -> Result<(), StoreError> {
        // Where only one process can open the store it has every name.
        let _ = node;
        Ok(())
    }

    /// Makes sure that the claimed name is still this process's: what holds it may be lost while the store is there, and is
    /// taken again. To be asked now and then; nothing to do where no name was claimed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`]: another process has the name now. [`StoreError::Unavailable`]: nobody can say yet.
    async fn keep_claim(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Whether other nodes may work on the same rows.
    fn is_shared(&self) -> bool {
        false
    }

    /// Comes back when another node may have given the queue something to take; never where only this
    /// process writes. News may be lost: the queue has to be looked at now and then all the same.
    async fn changed(&self) {
        core::future::pending().await
    }

    /// Comes back when another node may have changed an entry, under the same conditions.
    async fn entries_changed(&self) {
        core::future::pending().await
    }
}

/// A row that says more pages is damaged: no memory is set aside for them.
pub(crate) const MOST_PAGES: u32 = 1 << 20;

/// Documents: octets under a key. They are stored before the row that names them.
#[async_trait]
pub trait Documents: Send + Sync + 'static {
    /// Stores a document; `Ok` means that it is on disk whole.
    async fn put(&self, octets: Bytes) -> Result<DocumentKey, StoreError>;

    /// Stores a document of this account: by the account's key, where documents are encrypted.
    async fn put_for(&self, account: &AccountId, octets: Bytes) -> Result<DocumentKey, StoreError> {
        let _ = account;
        self.put(octets).await
    }

    /// Stores octets as they are under a key that the caller has drawn; what was there before is replaced.
    async fn put_as(&self, key: &DocumentKey, octets: Bytes) -> Result<(), StoreError>;

    /// A document; [`StoreError::KeyDestroyed`] for one that is there and was encrypted by a key that is not.
    async fn get(&self, key: &DocumentKey) -> Result<Bytes, StoreError>;

    /// Removes a document; it is no error when there is none.
    async fn delete(&self, key: &DocumentKey) -> Result<(), StoreError>;

    /// Documents of a shelf stored longer ago than `age`, left-overs of interrupted writes included. The last two
    /// characters of a key name its shelf, in hexadecimal: so all documents are gone through without holding all their keys.
    async fn older_than(&self, age: core::time::Duration, shelf: u8) -> Result<Vec<DocumentKey>, StoreError>;
}
