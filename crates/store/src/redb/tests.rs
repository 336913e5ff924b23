//! The redb backend: the store's suite, full disks, and reopening.

use super::RedbStore;
use crate::model::{Job, JobState, Notice, NoticeKind, NoticeSubject, Source, Timestamp};
use crate::port::{Guard, JobQuery, Range, Store, StoreError};
use ::redb::backends::FileBackend;
use ::redb::{Database, StorageBackend};
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
    let source = Source::Url {
        url: "http://example.org/".into(),
        method: "get".into(),
        host: None,
        referer: None,
        content: None,
        content_type: None,
    };
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
        let mut meta = txn.open_table(super::tables::META).unwrap();
        meta.insert("schema", super::tables::SCHEMA + 1).unwrap();
    }
    txn.commit().unwrap();
    drop(db);
    assert!(matches!(RedbStore::open(dir.path()), Err(StoreError::Damaged(_))));
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
