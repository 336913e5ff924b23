//! Rows in PostgreSQL: several nodes on one database share one queue.
//!
//! Invariants, each kept by every transaction:
//! * a Pending job waits (`waiting` 1 or 2), no other does; a job is parked (2) only while another job to
//!   its number is held, or one of its own account to that number waits in the account's queue (1);
//! * `fax_queue.due` of an account is the first turn of its jobs that wait unparked, or null when there is none or the account
//!   was found at its limit;
//! * the job that goes takes the first turn of its account, and whose that was gets its own: so an account does not go
//!   once more or earlier than it would without priorities. No job's turn is before its time;
//! * `line` marks the Locked and Processing jobs that are held.
//!
//! Locks are taken in one order: the queue's advisory lock, then rows of `fax_queue`, then rows of jobs. A
//! new job takes only its account's row of `fax_queue`, so submissions do not wait for one another's
//! accounts nor for a node that takes jobs. The advisory lock is held for one lease request or one change
//! of a job: a few statements.

mod archive;
mod changed;
mod claim;
mod entries;
mod hooks;
mod jobs;
mod layout;
mod lists;
mod profiles;
mod queue;
mod rows;

use crate::model::{
    Audit, DocumentKey, Entry, FaxId, HookAttempt, Job, JobId, Lease, NodeId, Notice, NoticeId, PageEntry,
    Profile, ProfileKey, Received, Row, RowKind, Timestamp,
};
use crate::port::{
    AuditQuery, Backlog, Guard, JobChange, JobQuery, LeaseRequest, NextDue, ProfileChange, ProfileQuery,
    ReceivedQuery, Store, StoreError,
};
use async_trait::async_trait;
use changed::Changed;
use claim::Claim;
use core::time::Duration;
use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};
use sqlx::{Connection as _, Postgres, Transaction};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::sync::Mutex;

/// The advisory lock of whoever changes the queue.
const QUEUE: i64 = 0x6665_7272_6f66_0002;
/// How long a request waits for a connection before the store counts as not available.
const ACQUIRE: Duration = Duration::from_secs(10);
/// How long a whole request may take: a server that has vanished never says that it has.
const REQUEST: Duration = Duration::from_secs(15);
/// How long a connection may take to show that it can be used again, and after a request that took too long it is asked
/// for so long.
const RELEASE: Duration = Duration::from_secs(5);
const SUSPECT: Duration = Duration::from_secs(60);
/// What every connection begins with: a node that vanishes in a transaction does not keep the queue's lock, and the server
/// notices within 25 s that it is gone.
const SESSION: &str = "set idle_in_transaction_session_timeout = '15s'; set tcp_keepalives_idle = 10;
    set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3";

/// A store in a PostgreSQL database.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    pool: PgPool,
    changed: Changed,
    /// The session that has the node's name.
    claim: Arc<Mutex<Option<Claim>>>,
    /// When a request took too long last, microseconds since 1970: connections may lead nowhere.
    late: Arc<AtomicI64>,
}

/// What PostgreSQL said, as the store's error. Messages of the server do not hold the password.
fn unavailable(error: sqlx::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

impl PostgresStore {
    /// Opens the store in the database at `url` (`postgres://user:password@host/database`), with at most
    /// this many connections, and brings its tables to the present layout.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]: the server cannot be reached or refuses. [`StoreError::Damaged`]: the
    /// tables were written by a newer ferrofax.
    pub async fn open(url: &str, connections: u32) -> Result<Self, StoreError> {
        let late = Arc::new(AtomicI64::new(i64::MIN));
        let latest = late.clone();
        let pool = PgPoolOptions::new()
            .max_connections(connections.max(2))
            .acquire_timeout(ACQUIRE)
            .after_connect(|connection, _| {
                Box::pin(async move { sqlx::raw_sql(SESSION).execute(connection).await.map(|_| ()) })
            })
            // One that leads nowhere would keep its place for ever.
            .after_release(move |connection, _| {
                let late = Timestamp(latest.load(Ordering::Relaxed));
                Box::pin(async move {
                    if Timestamp::now() < late.plus(SUSPECT) {
                        let alive = tokio::time::timeout(RELEASE, connection.ping()).await;
                        alive.map_err(|_| sqlx::Error::PoolTimedOut)??;
                    }
                    Ok(true)
                })
            });
        let pool = pool.connect(url).await.map_err(unavailable)?;
        let mut connection = pool.acquire().await.map_err(unavailable)?;
        layout::bring_up(&mut connection).await?;
        drop(connection);
        let changed = Changed::start(pool.clone());
        Ok(PostgresStore { pool, changed, late, claim: Arc::default() })
    }

    /// Closes the connections and waits until they are closed.
    pub async fn close(self) {
        if let Some(claim) = self.claim.lock().await.take() {
            claim.close().await;
        }
        self.pool.close().await;
    }

    /// What a request gives, if it does in time.
    async fn within<T>(
        &self,
        request: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let mut request = pin!(request);
        match tokio::time::timeout(REQUEST, request.as_mut()).await {
            Ok(done) => done,
            Err(_) => {
                // Before the request lets its connection go.
                self.late.store(Timestamp::now().0, Ordering::Relaxed);
                Err(StoreError::Unavailable(format!("no answer in {} s", REQUEST.as_secs())))
            }
        }
    }

    async fn begin(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        self.pool.begin().await.map_err(unavailable)
    }
}

/// Takes an advisory lock until the end of the transaction.
async fn lock(t: &mut PgConnection, key: i64) -> Result<(), StoreError> {
    sqlx::query("select pg_advisory_xact_lock($1)").bind(key).execute(t).await.map_err(unavailable)?;
    Ok(())
}

#[async_trait]
impl Store for PostgresStore {
    async fn claim(&self, node: &NodeId) -> Result<(), StoreError> {
        *self.claim.lock().await = Some(Claim::take(&self.pool, node).await?);
        Ok(())
    }

    async fn keep_claim(&self) -> Result<(), StoreError> {
        let request = async {
            match self.claim.lock().await.as_mut() {
                Some(claim) => claim.keep(&self.pool).await,
                None => Ok(()),
            }
        };
        self.within(request).await
    }

    async fn insert_job_and_notices(&self, job: Job, notices: Vec<Notice>) -> Result<(), StoreError> {
        let request = async {
            let mut t = self.begin().await?;
            jobs::insert(&mut t, &job).await?;
            rows::insert_notices(&mut t, &notices).await?;
            t.commit().await.map_err(unavailable)
        };
        self.within(request).await
    }

    async fn job(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
        self.within(lists::job(&self.pool, id)).await
    }

    async fn jobs(&self, query: JobQuery) -> Result<Vec<Job>, StoreError> {
        self.within(lists::jobs(&self.pool, &query)).await
    }

    async fn update_job(
        &self,
        id: &JobId,
        guard: Guard,
        change: JobChange,
        notices: Vec<Notice>,
    ) -> Result<Job, StoreError> {
        let request = async {
            let mut t = self.begin().await?;
            let job = jobs::update(&mut t, id, &guard, change, &notices).await?;
            t.commit().await.map_err(unavailable)?;
            Ok(job)
        };
        self.within(request).await
    }

    async fn update_job_and_profiles(
        &self,
        id: &JobId,
        guard: Guard,
        change: JobChange,
        notices: Vec<Notice>,
        changes: Vec<ProfileChange>,
    ) -> Result<Job, StoreError> {
        let request = async {
            let mut t = self.begin().await?;
            // First the job: its lock is that of the profiles too.
            let job = jobs::update(&mut t, id, &guard, change, &notices).await?;
            for change in changes {
                profiles::change(&mut t, change).await?;
            }
            t.commit().await.map_err(unavailable)?;
            Ok(job)
        };
        self.within(request).await
    }

    async fn delete_job(&self, id: &JobId) -> Result<(), StoreError> {
        let request = async {
            let mut t = self.begin().await?;
            jobs::delete(&mut t, id).await?;
            t.commit().await.map_err(unavailable)
        };
        self.within(request).await
    }

    async fn lease_due(&self, request: LeaseRequest) -> Result<Vec<Job>, StoreError> {
        let request = async {
            let mut t = self.begin().await?;
            let taken = queue::lease_due(&mut t, &request).await?;
            t.commit().await.map_err(unavailable)?;
            Ok(taken)
        };
        self.within(request).await
    }

    async fn lease_beside(
        &self,
        job: &JobId,
        node: &NodeId,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Job>, StoreError> {
        let request = async {
            let mut t = self.begin().await?;
            let taken = queue::lease_beside(&mut t, job, node, now, until, limit).await?;
            t.commit().await.map_err(unavailable)?;
            Ok(taken)
        };
        self.within(request).await
    }

    async fn lease_converting(
        &self,
        node: &NodeId,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Job>, StoreError> {
        let request = async {
            let mut t = self.begin().await?;
            let taken = queue::lease_converting(&mut t, node, now, until, limit).await?;
            t.commit().await.map_err(unavailable)?;
            Ok(taken)
        };
        self.within(request).await
    }

    async fn next_due(&self) -> Result<NextDue, StoreError> {
        self.within(queue::next_due(&self.pool)).await
    }

    async fn refresh_queue(&self) -> Result<(), StoreError> {
        let request = async {
            let mut t = self.begin().await?;
            queue::refresh_all(&mut t).await?;
            t.commit().await.map_err(unavailable)
        };
        self.within(request).await
    }

    async fn renew(
        &self,
        node: &NodeId,
        jobs: Vec<JobId>,
        until: Timestamp,
    ) -> Result<Vec<JobId>, StoreError> {
        self.within(queue::renew(&self.pool, node, jobs, until)).await
    }

    async fn stale(&self, node: Option<&NodeId>, now: Timestamp) -> Result<Vec<Job>, StoreError> {
        self.within(lists::stale(&self.pool, node, now)).await
    }

    async fn record_page(
        &self,
        job: &JobId,
        node: &NodeId,
        page: u32,
        entry: PageEntry,
    ) -> Result<(), StoreError> {
        let request = async {
            let mut t = self.begin().await?;
            jobs::record_page(&mut t, job, node, page, entry).await?;
            t.commit().await.map_err(unavailable)
        };
        self.within(request).await
    }

    async fn insert_received(&self, fax: Received, notices: Vec<Notice>) -> Result<(), StoreError> {
        let request = async {
            let mut t = self.begin().await?;
            rows::insert_received(&mut t, &fax).await?;
            rows::insert_notices(&mut t, &notices).await?;
            t.commit().await.map_err(unavailable)
        };
        self.within(request).await
    }

    async fn received(&self, id: &FaxId) -> Result<Option<Received>, StoreError> {
        self.within(lists::received(&self.pool, id)).await
    }

    async fn received_list(&self, query: ReceivedQuery) -> Result<Vec<Received>, StoreError> {
        self.within(lists::received_list(&self.pool, &query)).await
    }

    async fn delete_received(&self, id: &FaxId) -> Result<(), StoreError> {
        self.within(rows::delete_received(&self.pool, id)).await
    }

    async fn strip_received(&self, id: &FaxId) -> Result<Received, StoreError> {
        let request = async {
            let mut t = self.begin().await?;
            let fax = rows::strip_received(&mut t, id).await?;
            t.commit().await.map_err(unavailable)?;
            Ok(fax)
        };
        self.within(request).await
    }

    async fn insert_notices(&self, notices: Vec<Notice>) -> Result<(), StoreError> {
        let request = async {
            let mut t = self.begin().await?;
            rows::insert_notices(&mut t, &notices).await?;
            t.commit().await.map_err(unavailable)
        };
        self.within(request).await
    }

    async fn take_notices(
        &self,
        node: &NodeId,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Notice>, StoreError> {
        let request = async {
            let mut t = self.begin().await?;
            let lease = Lease { node: node.clone(), until };
            let taken = rows::take_notices(&mut t, &lease, now, limit).await?;
            t.commit().await.map_err(unavailable)?;
            Ok(taken)
        };
        self.within(request).await
    }

    async fn keep_notice(&self, id: &NoticeId, node: &NodeId, until: Timestamp) -> Result<(), StoreError> {
        let request = async {
            let mut t = self.begin().await?;
            rows::keep_notice(&mut t, id, Lease { node: node.clone(), until }).await?;
            t.commit().await.map_err(unavailable)
        };
        self.within(request).await
    }

    async fn release_notices(&self, node: &NodeId, now: Timestamp) -> Result<(), StoreError> {
        let request = async {
            let mut t = self.begin().await?;
            rows::release_notices(&mut t, node, now).await?;
            t.commit().await.map_err(unavailable)
        };
        self.within(request).await
    }

    async fn notices_due(&self, now: Timestamp, limit: usize) -> Result<Vec<Notice>, StoreError> {
        self.within(lists::notices_due(&self.pool, now, limit)).await
    }

    async fn next_notice(&self) -> Result<Option<Timestamp>, StoreError> {
        self.within(lists::next_notice(&self.pool)).await
    }

    async fn notice_done(&self, id: &NoticeId) -> Result<(), StoreError> {
        self.within(rows::notice_done(&self.pool, id)).await
    }

    async fn notice_retry(
        &self,
        id: &NoticeId,
        not_before: Timestamp,
        served: Vec<String>,
    ) -> Result<(), StoreError> {
        let request = async {
            let mut t = self.begin().await?;
            rows::notice_retry(&mut t, id, not_before, served).await?;
            t.commit().await.map_err(unavailable)
        };
        self.within(request).await
    }

    async fn take_hook_notices(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Notice>, StoreError> {
        let request = async {
            let mut t = self.begin().await?;
            let taken = hooks::take(&mut t, now, until, limit).await?;
            t.commit().await.map_err(unavailable)?;
            Ok(taken)
        };
        self.within(request).await
    }

    async fn next_hook_notice(&self) -> Result<Option<Timestamp>, StoreError> {
        self.within(hooks::next(&self.pool)).await
    }

    async fn hook_called(
        &self,
        id: &NoticeId,
        again: Option<Timestamp>,
        attempt: Option<HookAttempt>,
    ) -> Result<(), StoreError> {
        let request = async {
            let mut t = self.begin().await?;
            hooks::called(&mut t, id, again, attempt.as_ref()).await?;
            t.commit().await.map_err(unavailable)
        };
        self.within(request).await
    }

    async fn hook_attempts(&self, hook: &str) -> Result<Vec<HookAttempt>, StoreError> {
        self.within(hooks::attempts(&self.pool, hook)).await
    }

    async fn forget_hook(&self, hook: &str) -> Result<(), StoreError> {
        self.within(hooks::forget(&self.pool, hook)).await
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.within(hooks::backlog(&self.pool)).await
    }

    async fn profile(&self, key: &ProfileKey) -> Result<Option<Profile>, StoreError> {
        let request = async {
            let mut connection = self.pool.acquire().await.map_err(unavailable)?;
            profiles::read(&mut connection, key).await
        };
        self.within(request).await
    }

    async fn profiles(&self, query: ProfileQuery) -> Result<Vec<Profile>, StoreError> {
        self.within(profiles::list(&self.pool, &query)).await
    }

    async fn change_profile(&self, change: ProfileChange) -> Result<Profile, StoreError> {
        let request = async {
            let mut t = self.begin().await?;
            lock(&mut t, QUEUE).await?;
            let profile = profiles::change(&mut t, change).await?;
            t.commit().await.map_err(unavailable)?;
            Ok(profile)
        };
        self.within(request).await
    }

    async fn forget_profile(&self, key: &ProfileKey) -> Result<(), StoreError> {
        self.within(profiles::forget(&self.pool, key)).await
    }

    async fn purge_profiles(
        &self,
        before: Timestamp,
        keep: usize,
        limit: usize,
    ) -> Result<usize, StoreError> {
        self.within(profiles::purge(&self.pool, before, keep, limit)).await
    }

    async fn put_entries(&self, rows: Vec<Entry>) -> Result<Vec<Entry>, StoreError> {
        let request = async {
            let mut t = self.begin().await?;
            let rows = entries::put(&mut t, rows).await?;
            t.commit().await.map_err(unavailable)?;
            Ok(rows)
        };
        self.within(request).await
    }

    async fn entries(&self, after: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.within(entries::after(&self.pool, after, limit)).await
    }

    async fn insert_audit(&self, records: Vec<Audit>) -> Result<(), StoreError> {
        self.within(entries::insert_audit(&self.pool, &records)).await
    }

    async fn audit(&self, query: AuditQuery) -> Result<Vec<Audit>, StoreError> {
        self.within(entries::audit(&self.pool, &query)).await
    }

    async fn purge_audit(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.within(entries::purge_audit(&self.pool, before, limit)).await
    }

    async fn is_named(&self, key: &DocumentKey) -> Result<bool, StoreError> {
        self.within(lists::is_named(&self.pool, key)).await
    }

    async fn rows(
        &self,
        kind: RowKind,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<(String, Row)>, StoreError> {
        archive::list(&self.pool, kind, after.as_deref(), limit).await
    }

    async fn restore(&self, rows: Vec<Row>) -> Result<(), StoreError> {
        let mut t = self.begin().await?;
        lock(&mut t, QUEUE).await?;
        archive::restore(&mut t, &rows).await?;
        t.commit().await.map_err(unavailable)
    }

    async fn import_under_way(&self) -> Result<Option<u64>, StoreError> {
        archive::import_under_way(&self.pool).await
    }

    async fn note_import(&self, archive: Option<u64>) -> Result<(), StoreError> {
        archive::note_import(&self.pool, archive).await
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn changed(&self) {
        self.changed.wait().await;
    }

    async fn entries_changed(&self) {
        self.changed.wait_for_entries().await;
    }
}
