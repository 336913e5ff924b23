//! Rows in one redb file: one writer with group commit, readers on snapshots. All that is answered is on disk, but for a
//! lease: whoever has it writes before it does anything for the job.
//!
//! Invariants, each kept inside every transaction:
//! * a Pending job has exactly one row, in `lanes` or in `overtaken` (its account's queue) or in `parking`; a Converting
//!   one without lease has one in `converting`;
//! * `overtaken_turns` has one row of each in `overtaken`; no job's turn is before its time, and that of one in `lanes`
//!   is its time;
//! * an account has a row in `heads`, which is the first turn of its queue, if it has a queue, unless it was found at its
//!   limit;
//! * a job is parked only while another job to its number is held, or one of its own account to that number waits in the
//!   account's queue;
//! * `changes` has one row of each entry, `claims` the names of those that are not removed;
//! * `running` counts the Locked and Processing jobs of an account, `numbers` names theirs.

mod archive;
mod entries;
mod hooks;
mod jobs;
mod lanes;
mod layout;
mod lists;
mod profiles;
mod queue;
mod rows;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

use crate::model::{
    Audit, DocumentKey, Entry, FaxId, HookAttempt, Job, JobId, Lease, NodeId, Notice, NoticeId, PageEntry,
    Profile, ProfileKey, Received, Row, RowKind, Timestamp,
};
use crate::port::{
    AuditQuery, Backlog, Guard, JobChange, JobQuery, LeaseRequest, NextDue, ProfileChange, ProfileQuery,
    ReceivedQuery, Store, StoreError,
};
use ::redb::{Database, ReadTransaction};
use async_trait::async_trait;
use std::path::{Path, PathBuf};
use tables::Tables;
use writer::{Fault, Writer};

/// The file in the folder that is opened.
const FILE: &str = "ferrofax.redb";

/// A store in one file. It is closed when the last clone is dropped.
#[derive(Clone)]
pub struct RedbStore {
    writer: Writer,
}

impl RedbStore {
    /// Opens the store in this folder, which is made if need be. Blocks: call it before the service
    /// starts.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]: the folder or file cannot be used, or another process uses it.
    /// [`StoreError::Damaged`]: it was written by a newer ferrofax, or is no store.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, StoreError> {
        let folder: PathBuf = folder.as_ref().to_owned();
        crate::private::folder(&folder).map_err(writer::io)?;
        let path = folder.join(FILE);
        // redb would make it by the umask; an empty file is a new store to it.
        crate::private::empty(&path).map_err(writer::io)?;
        let store = Self::open_with(move || Database::create(&path))?;
        crate::folder::sync_folder(&folder)?;
        Ok(store)
    }

    /// Opens a store on a database of the caller's making: it is asked for again after an I/O error.
    ///
    /// # Errors
    ///
    /// As [`RedbStore::open`].
    pub fn open_with(
        opener: impl FnMut() -> Result<Database, ::redb::DatabaseError> + Send + 'static,
    ) -> Result<Self, StoreError> {
        Ok(RedbStore { writer: Writer::start(Box::new(opener))? })
    }

    /// Closes the file and waits until it is closed. Waits for other clones to be dropped.
    pub async fn close(self) {
        self.writer.close().await;
    }

    async fn write<T, F>(&self, f: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tables<'_>) -> Result<T, Fault> + Send + 'static,
    {
        self.writer.write(f).await
    }

    async fn read<T, F>(&self, f: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&ReadTransaction) -> Result<T, Fault> + Send + 'static,
    {
        self.writer.read(f).await
    }
}

#[async_trait]
impl Store for RedbStore {
    async fn insert_job_and_notices(&self, job: Job, notices: Vec<Notice>) -> Result<(), StoreError> {
        self.write(move |t| jobs::insert(t, &job, &notices)).await
    }

    async fn job(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
        let id = id.clone();
        self.read(move |r| lists::job(r, &id)).await
    }

    async fn jobs(&self, query: JobQuery) -> Result<Vec<Job>, StoreError> {
        self.read(move |r| lists::jobs(r, &query)).await
    }

    async fn update_job(
        &self,
        id: &JobId,
        guard: Guard,
        change: JobChange,
        notices: Vec<Notice>,
    ) -> Result<Job, StoreError> {
        let id = id.clone();
        self.write(move |t| jobs::update(t, &id, &guard, change, &notices)).await
    }

    async fn update_job_and_profiles(
        &self,
        id: &JobId,
        guard: Guard,
        change: JobChange,
        notices: Vec<Notice>,
        changes: Vec<ProfileChange>,
    ) -> Result<Job, StoreError> {
        let id = id.clone();
        self.write(move |t| {
            let rows = profiles::changed(t, changes)?;
            // The job's change is what may be refused: nothing is written before it.
            let job = jobs::update(t, &id, &guard, change, &notices)?;
            rows.iter().try_for_each(|(old, new)| profiles::put(t, old.as_ref(), new))?;
            Ok(job)
        })
        .await
    }

    async fn delete_job(&self, id: &JobId) -> Result<(), StoreError> {
        let id = id.clone();
        self.write(move |t| jobs::delete(t, &id)).await
    }

    async fn lease_due(&self, request: LeaseRequest) -> Result<Vec<Job>, StoreError> {
        // Nothing has been done for these jobs yet: a node that starts again would give them back.
        self.writer.write_lazily(move |t| queue::lease_due(t, &request)).await
    }

    async fn lease_beside(
        &self,
        job: &JobId,
        node: &NodeId,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Job>, StoreError> {
        let (job, node) = (job.clone(), node.clone());
        self.write(move |t| queue::lease_beside(t, &job, &node, now, until, limit)).await
    }

    async fn lease_converting(
        &self,
        node: &NodeId,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Job>, StoreError> {
        let node = node.clone();
        self.writer.write_lazily(move |t| queue::lease_converting(t, &node, now, until, limit)).await
    }

    async fn next_due(&self) -> Result<NextDue, StoreError> {
        self.read(lists::next_due).await
    }

    async fn refresh_queue(&self) -> Result<(), StoreError> {
        self.write(queue::refresh_all).await
    }

    async fn renew(
        &self,
        node: &NodeId,
        jobs: Vec<JobId>,
        until: Timestamp,
    ) -> Result<Vec<JobId>, StoreError> {
        let node = node.clone();
        self.write(move |t| queue::renew(t, &node, jobs, until)).await
    }

    async fn stale(&self, node: Option<&NodeId>, now: Timestamp) -> Result<Vec<Job>, StoreError> {
        let node = node.cloned();
        self.read(move |r| lists::stale(r, node.as_ref(), now)).await
    }

    async fn record_page(
        &self,
        job: &JobId,
        node: &NodeId,
        page: u32,
        entry: PageEntry,
    ) -> Result<(), StoreError> {
        let (job, node) = (job.clone(), node.clone());
        self.write(move |t| jobs::record_page(t, &job, &node, page, entry)).await
    }

    async fn insert_received(&self, fax: Received, notices: Vec<Notice>) -> Result<(), StoreError> {
        self.write(move |t| rows::insert_received(t, &fax, &notices)).await
    }

    async fn received(&self, id: &FaxId) -> Result<Option<Received>, StoreError> {
        let id = id.clone();
        self.read(move |r| lists::received(r, &id)).await
    }

    async fn received_list(&self, query: ReceivedQuery) -> Result<Vec<Received>, StoreError> {
        self.read(move |r| lists::received_list(r, &query)).await
    }

    async fn delete_received(&self, id: &FaxId) -> Result<(), StoreError> {
        let id = id.clone();
        self.write(move |t| rows::delete_received(t, &id)).await
    }

    async fn strip_received(&self, id: &FaxId) -> Result<Received, StoreError> {
        let id = id.clone();
        self.write(move |t| rows::strip_received(t, &id)).await
    }

    async fn insert_notices(&self, notices: Vec<Notice>) -> Result<(), StoreError> {
        self.write(move |t| rows::insert_notices(t, &notices)).await
    }

    async fn take_notices(
        &self,
        node: &NodeId,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Notice>, StoreError> {
        let lease = Lease { node: node.clone(), until };
        self.write(move |t| rows::take_notices(t, &lease, now, limit)).await
    }

    async fn keep_notice(&self, id: &NoticeId, node: &NodeId, until: Timestamp) -> Result<(), StoreError> {
        let (id, lease) = (id.clone(), Lease { node: node.clone(), until });
        self.write(move |t| rows::keep_notice(t, &id, lease)).await
    }

    async fn release_notices(&self, node: &NodeId, now: Timestamp) -> Result<(), StoreError> {
        let node = node.clone();
        self.write(move |t| rows::release_notices(t, &node, now)).await
    }

    async fn notices_due(&self, now: Timestamp, limit: usize) -> Result<Vec<Notice>, StoreError> {
        self.read(move |r| lists::notices_due(r, now, limit)).await
    }

    async fn next_notice(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(lists::next_notice).await
    }

    async fn notice_done(&self, id: &NoticeId) -> Result<(), StoreError> {
        let id = id.clone();
        self.write(move |t| rows::notice_done(t, &id)).await
    }

    async fn notice_retry(
        &self,
        id: &NoticeId,
        not_before: Timestamp,
        served: Vec<String>,
    ) -> Result<(), StoreError> {
        let id = id.clone();
        self.write(move |t| rows::notice_retry(t, &id, not_before, served)).await
    }

    async fn take_hook_notices(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Notice>, StoreError> {
        self.write(move |t| hooks::take(t, now, until, limit)).await
    }

    async fn next_hook_notice(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(hooks::next).await
    }

    async fn hook_called(
        &self,
        id: &NoticeId,
        again: Option<Timestamp>,
        attempt: Option<HookAttempt>,
    ) -> Result<(), StoreError> {
        let id = id.clone();
        self.write(move |t| hooks::called(t, &id, again, attempt.as_ref())).await
    }

    async fn hook_attempts(&self, hook: &str) -> Result<Vec<HookAttempt>, StoreError> {
        let hook = hook.to_owned();
        self.read(move |r| hooks::attempts(r, &hook)).await
    }

    async fn forget_hook(&self, hook: &str) -> Result<(), StoreError> {
        let hook = hook.to_owned();
        self.write(move |t| hooks::forget(t, &hook)).await
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.read(hooks::backlog).await
    }

    async fn profile(&self, key: &ProfileKey) -> Result<Option<Profile>, StoreError> {
        let key = key.clone();
        self.read(move |r| profiles::read(r, &key)).await
    }

    async fn profiles(&self, query: ProfileQuery) -> Result<Vec<Profile>, StoreError> {
        self.read(move |r| profiles::list(r, &query)).await
    }

    async fn change_profile(&self, change: ProfileChange) -> Result<Profile, StoreError> {
        self.write(move |t| profiles::change(t, change)).await
    }

    async fn forget_profile(&self, key: &ProfileKey) -> Result<(), StoreError> {
        let key = key.clone();
        self.write(move |t| profiles::forget(t, &key)).await
    }

    async fn purge_profiles(
        &self,
        before: Timestamp,
        keep: usize,
        limit: usize,
    ) -> Result<usize, StoreError> {
        self.write(move |t| profiles::purge(t, before, keep, limit)).await
    }

    async fn put_entries(&self, rows: Vec<Entry>) -> Result<Vec<Entry>, StoreError> {
        self.write(move |t| entries::put(t, rows)).await
    }

    async fn entries(&self, after: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.read(move |r| entries::after(r, after, limit)).await
    }

    async fn insert_audit(&self, records: Vec<Audit>) -> Result<(), StoreError> {
        self.write(move |t| entries::insert_audit(t, &records)).await
    }

    async fn audit(&self, query: AuditQuery) -> Result<Vec<Audit>, StoreError> {
        self.read(move |r| entries::audit(r, &query)).await
    }

    async fn purge_audit(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.write(move |t| entries::purge_audit(t, before, limit)).await
    }

    async fn is_named(&self, key: &DocumentKey) -> Result<bool, StoreError> {
        let key = key.clone();
        self.read(move |r| lists::is_named(r, &key)).await
    }

    async fn rows(
        &self,
        kind: RowKind,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<(String, Row)>, StoreError> {
        self.read(move |r| archive::list(r, kind, after.as_deref(), limit)).await
    }

    async fn restore(&self, rows: Vec<Row>) -> Result<(), StoreError> {
        self.write(move |t| archive::restore(t, &rows)).await
    }

    async fn import_under_way(&self) -> Result<Option<u64>, StoreError> {
        self.read(archive::import_under_way).await
    }

    async fn note_import(&self, archive: Option<u64>) -> Result<(), StoreError> {
        self.write(move |t| archive::note_import(t, archive)).await
    }
}
