//! The redb backend: the store's suite, full disks, and reopening.

use super::RedbStore;
use super::layout::{PARKED, QUEUE};
use super::tables::{
    HEAD_OF, HEADS, JOBS, LANES, LEASES, META, NUMBERS, OVERTAKEN, OVERTAKEN_TURNS, PARKING, RUNNING, SCHEMA,
};
use crate::model::{
    Job, JobId, JobState, Lease, Notice, NoticeKind, NoticeSubject, Priority, Source, Timestamp, WebRequest,
};
use crate::port::{Guard, JobQuery, LeaseRequest, NextDue, Range, Store, StoreError};
use crate::suite;
use ::redb::backends::FileBackend;
use ::redb::{Database, ReadableTable, ReadableTableMetadata, StorageBackend, TableHandle};
use std::collections::HashMap;
use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

async fn fresh() -> (tempfile::TempDir, Arc<dyn Store>) {
    let dir = tempfile::tempdir().unwrap();
    let store = RedbStore::open(dir.path()).unwrap();
    (dir, Arc::new(store))
}

crate::store_suite!(fresh);

fn job(number: &str) -> Job {
    let source = Source::Url { request: WebRequest::get("http://example.org/"), kept: None };
    Job::new("a".into(), number, source, Timestamp(1))
}

#[tokio::test]
async fn what_was_stored_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let job = job("+1");
    {
        let store = RedbStore::open(dir.path()).unwrap();
        store.insert_job(job.clone()).await.unwrap();
        let locked = RedbStore::open(dir.path());
        assert!(matches!(locked, Err(StoreError::Unavailable(_))));
        store.close().await;
    }
    let store = RedbStore::open(dir.path()).unwrap();
    assert_eq!(store.job(&job.id).await.unwrap(), Some(job));
}

#[test]
fn a_newer_layout_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(super::FILE);
    let db = Database::create(&path).unwrap();
    let txn = db.begin_write().unwrap();
    {
        let mut meta = txn.open_table(META).unwrap();
        meta.insert("schema", SCHEMA + 1).unwrap();
    }
    txn.commit().unwrap();
    drop(db);
    assert!(matches!(RedbStore::open(dir.path()), Err(StoreError::Damaged(_))));
}

async fn taken(store: &RedbStore, now: i64) -> Vec<JobId> {
    let request = LeaseRequest {
        node: "n".into(),
        now: Timestamp(now),
        until: Timestamp(now + 100),
        limit: 9,
        account_limits: HashMap::new(),
        default_account_limit: 9,
        serialise_numbers: true,
    };
    store.lease_due(request).await.unwrap().into_iter().map(|j| j.id).collect()
}

#[tokio::test]
async fn a_file_of_layout_3_is_brought_up_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(super::FILE);
    // As layout 3 wrote it: one job to +1 is held, one is parked behind it, three are in queues.
    let held = Job { state: JobState::Locked, not_before: Timestamp(1), ..job("+1") };
    let mut waiting = Vec::new();
    for (account, number, at) in [("a", "+1", 2), ("a", "+2", 4), ("b", "+3", 3), ("a", "+4", 5)] {
        let waits = Job { state: JobState::Pending, not_before: Timestamp(at), ..job(number) };
        waiting.push(Job { account: account.into(), ..waits });
    }
    {
        let db = Database::create(&path).unwrap();
        let txn = db.begin_write().unwrap();
        let mut jobs = txn.open_table(JOBS).unwrap();
        for row in waiting.iter().chain([&held]) {
            let text = serde_json::to_string(row).unwrap();
            assert!(!text.contains("priority"), "rows of layout 3 have none");
            jobs.insert(row.id.as_str(), text.as_bytes()).unwrap();
        }
        txn.open_table(META).unwrap().insert("schema", 3).unwrap();
        txn.open_table(LEASES).unwrap().insert(held.id.as_str(), (50, "n")).unwrap();
        txn.open_table(NUMBERS).unwrap().insert("+1", held.id.as_str()).unwrap();
        txn.open_table(RUNNING).unwrap().insert("a", 1).unwrap();
        txn.open_table(PARKED).unwrap().insert(("+1", 2, waiting[0].id.as_str()), "a").unwrap();
        for row in &waiting[1..] {
            let key = (row.account.as_str(), row.not_before.0, row.id.as_str());
            txn.open_table(QUEUE).unwrap().insert(key, row.to_number.as_str()).unwrap();
        }
        for (account, at) in [("a", 4), ("b", 3)] {
            txn.open_table(HEADS).unwrap().insert((at, account), ()).unwrap();
            txn.open_table(HEAD_OF).unwrap().insert(account, at).unwrap();
        }
        drop(jobs);
        txn.commit().unwrap();
    }
    let store = RedbStore::open(dir.path()).unwrap();
    let urgent = Job { priority: Priority::High, state: JobState::Pending, ..job("+5") };
    let urgent = Job { not_before: Timestamp(6), ..urgent };
    store.insert_job(urgent.clone()).await.unwrap();
    assert_eq!(store.next_due().await.unwrap().pending, Some(Timestamp(3)));
    let ids = |of: &[&Job]| of.iter().map(|j| j.id.clone()).collect::<Vec<_>>();
    assert_eq!(taken(&store, 10).await, ids(&[&waiting[2], &urgent, &waiting[1], &waiting[3]]));
    let done = |j: &mut Job| {
        assert_eq!(j.lease, Some(Lease { node: "n".into(), until: Timestamp(50) }));
        j.state = JobState::Completed;
        Ok(())
    };
    store.update_job(&held.id, Guard::Any, Box::new(done), vec![]).await.unwrap();
    assert_eq!(taken(&store, 10).await, ids(&[&waiting[0]]));
    assert_eq!(store.next_due().await.unwrap(), NextDue::default());
    store.close().await;
    // The old tables are gone, and a second time nothing is done.
    let store = RedbStore::open(dir.path()).unwrap();
    assert_eq!(store.job(&urgent.id).await.unwrap().unwrap().priority, Priority::High);
    store.close().await;
    let db = Database::open(&path).unwrap();
    let txn = db.begin_write().unwrap();
    let names: Vec<_> = txn.list_tables().unwrap().map(|t| t.name().to_owned()).collect();
    assert!(!names.iter().any(|n| n == "queue" || n == "parked"), "{names:?}");
    assert_eq!(txn.open_table(META).unwrap().get("schema").unwrap().unwrap().value(), SCHEMA);
}

#[tokio::test]
async fn a_turn_before_its_jobs_time_is_looked_at_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = RedbStore::open(dir.path()).unwrap();
    let waits = Job { state: JobState::Pending, not_before: Timestamp(50), ..job("+1") };
    store.insert_job(waits.clone()).await.unwrap();
    let early = store.write(|t| {
        t.heads.remove((50, "a"))?;
        t.heads.insert((2, "a"), ())?;
        t.head_of.insert("a", 2)?;
        Ok(())
    });
    early.await.unwrap();
    assert!(taken(&store, 10).await.is_empty());
    assert_eq!(store.next_due().await.unwrap().pending, Some(Timestamp(50)));
    assert_eq!(taken(&store, 50).await, [waits.id]);
}

#[tokio::test]
async fn an_empty_queue_leaves_no_rows() {
    let dir = tempfile::tempdir().unwrap();
    let store = RedbStore::open(dir.path()).unwrap();
    for turn in 0..2 {
        if turn == 0 {
            suite::the_order_is_that_of_a_simple_model(Arc::new(store.clone())).await;
        } else {
            suite::no_account_overtakes_another_by_priority(Arc::new(store.clone())).await;
        }
        let change = |j: &mut Job| {
            j.state = JobState::Cancelled;
            Ok(())
        };
        for held in store.stale(None, Timestamp(i64::MAX)).await.unwrap() {
            store.update_job(&held.id, Guard::Any, Box::new(change), vec![]).await.unwrap();
        }
        let left = store.read(|r| {
            Ok([
                r.open_table(LANES)?.len()?,
                r.open_table(OVERTAKEN)?.len()?,
                r.open_table(OVERTAKEN_TURNS)?.len()?,
                r.open_table(PARKING)?.len()?,
                r.open_table(HEADS)?.len()?,
                r.open_table(HEAD_OF)?.len()?,
                r.open_table(NUMBERS)?.len()?,
                r.open_table(RUNNING)?.len()?,
                r.open_table(LEASES)?.len()?,
            ])
        });
        assert_eq!(left.await.unwrap(), [0; 9]);
    }
}

/// A file whose disk can be made full or bad.
struct Failing {
    file: FileBackend,
    full: Arc<AtomicBool>,
    bad: Arc<AtomicBool>,
}

impl fmt::Debug for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Failing")
    }
}

impl Failing {
    fn check(&self) -> io::Result<()> {
        if self.full.load(Ordering::SeqCst) {
            return Err(ErrorKind::StorageFull.into());
        }
        if self.bad.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(5));
        }
        Ok(())
    }
}

impl StorageBackend for Failing {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        self.file.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        if self.bad.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(5));
        }
        self.file.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        self.file.write(offset, data)
    }
    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}

#[tokio::test]
async fn a_disk_that_fails_is_told_and_nothing_is_half_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.redb");
    let (full, bad) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
    let (f, b) = (full.clone(), bad.clone());
    let store = RedbStore::open_with(move || {
        let file = std::fs::File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| ::redb::DatabaseError::Storage(e.into()))?;
        Database::builder().create_with_backend(Failing {
            file: FileBackend::new(file)?,
            full: f.clone(),
            bad: b.clone(),
        })
    })
    .unwrap();
    let kept = job("+1");
    store.insert_job(kept.clone()).await.unwrap();
    for (switch, number) in [(full, "+2"), (bad, "+3")] {
        switch.store(true, Ordering::SeqCst);
        let lost = job(number);
        for _ in 0..3 {
            let e = store.insert_job(lost.clone()).await;
            assert!(matches!(e, Err(StoreError::Unavailable(_))), "{e:?}");
        }
        let change = |j: &mut Job| {
            j.state = JobState::Failed;
            Ok(())
        };
        let e = store.update_job(&kept.id, Guard::Any, Box::new(change), vec![]);
        assert!(matches!(e.await, Err(StoreError::Unavailable(_))));
        switch.store(false, Ordering::SeqCst);
        // It comes back of itself, as it was.
        assert_eq!(store.job(&lost.id).await.unwrap(), None);
        assert_eq!(store.job(&kept.id).await.unwrap(), Some(kept.clone()));
        let after = job(number);
        store.insert_job(after.clone()).await.unwrap();
        assert_eq!(store.job(&after.id).await.unwrap(), Some(after));
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_hides_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let store = RedbStore::open(dir.path()).unwrap();
    let (good, bad) = (job("+1"), job("+2"));
    store.insert_job(good.clone()).await.unwrap();
    store.insert_job(bad.clone()).await.unwrap();
    let notice = |n: i64| {
        let subject = NoticeSubject::Job(good.id.clone());
        Notice::new(NoticeKind::Sent, "a".into(), subject, vec!["x@y.example".into()], Timestamp(n))
    };
    let (first, second) = (notice(1), notice(2));
    store.insert_notices(vec![first.clone(), second]).await.unwrap();
    store
        .write(move |t| {
            t.jobs.insert(bad.id.as_str(), b"{".as_slice())?;
            t.notices.insert(first.id.as_str(), b"{".as_slice())?;
            Ok(())
        })
        .await
        .unwrap();
    let query =
        JobQuery { account: None, folder: None, faxbox: None, states: vec![], range: Range::default() };
    assert_eq!(store.jobs(query).await.unwrap(), [good]);
    let taken = store.take_notices(&"n1".into(), Timestamp(10), Timestamp(1_000), 1).await.unwrap();
    assert_eq!(taken.len(), 1);
    // The damaged one is not looked at again and again.
    assert_eq!(store.next_notice().await.unwrap(), Some(Timestamp(1_000)));
}
