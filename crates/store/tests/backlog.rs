//! What a dispatch costs does not depend on how many jobs wait: few and many are measured in turns, so that a busy machine
//! slows both.
#![allow(clippy::unwrap_used, clippy::panic)]

use fax_store::Store;
use fax_store::model::{DocumentKey, Job, JobState, PageEntry, Source, Timestamp};
use fax_store::port::{Guard, JobChange, LeaseRequest};
use fax_store::postgres::PostgresStore;
use fax_store::redb::RedbStore;
use postgres_peer::Server;
use redb::backends::InMemoryBackend;
use redb::{Database, StorageBackend};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const FEW: usize = 1_000;
const ROUNDS: usize = 120;
/// What grows with the number of jobs would be twenty times as much.
const MOST: f64 = 2.0;
/// The same for what is written, which does not depend on how busy the machine is.
const MOST_WRITTEN: f64 = 1.5;

async fn fill(store: &Arc<dyn Store>, jobs: usize) {
    let writers = 64;
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..writers {
        let store = store.clone();
        tasks.spawn(async move {
            for i in (writer..jobs).step_by(writers) {
                store.insert_job(job(i)).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
}

fn job(i: usize) -> Job {
    let source = Source::Stored {
        original: DocumentKey::generate(),
        content_type: "application/pdf".into(),
        file_name: None,
    };
    // Few accounts with long queues, and numbers that are wanted again and again.
    let mut job = Job::new(format!("a{}", i % 10).into(), format!("+1{}", i % 400), source, Timestamp::now());
    job.state = JobState::Pending;
    job.document = Some(DocumentKey::generate());
    job.pages = 1;
    job.ledger = vec![PageEntry::default()];
    job
}

async fn dispatch(store: &Arc<dyn Store>) -> Duration {
    let now = Timestamp::now().plus(Duration::from_secs(60));
    let request = LeaseRequest {
        node: "n1".into(),
        now,
        until: now.plus(Duration::from_secs(60)),
        limit: 1,
        account_limits: HashMap::new(),
        default_account_limit: 10,
        serialise_numbers: true,
    };
    let began = Instant::now();
    store.next_due().await.unwrap();
    for job in store.lease_due(request).await.unwrap() {
        let change: JobChange = Box::new(|j| {
            j.state = JobState::Completed;
            Ok(())
        });
        store.update_job(&job.id, Guard::HeldBy("n1".into()), change, vec![]).await.unwrap();
    }
    began.elapsed()
}

/// The lower quartile of what a dispatch costs with many jobs, over that with few.
async fn ratio(few: &Arc<dyn Store>, many: &Arc<dyn Store>) -> f64 {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        a.push(dispatch(few).await);
        b.push(dispatch(many).await);
    }
    let quartile = |times: &mut Vec<Duration>| {
        times.sort();
        times[ROUNDS / 4].as_secs_f64()
    };
    quartile(&mut b) / quartile(&mut a)
}

async fn judge(few: Arc<dyn Store>, many: Arc<dyn Store>, jobs: usize) {
    fill(&few, FEW).await;
    fill(&many, jobs).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let ratio = ratio(&few, &many).await;
        seen.push(ratio);
        if ratio <= MOST {
            println!("{jobs} jobs waiting instead of {FEW}: {ratio:.2} times the cost");
            return;
        }
    }
    panic!("a dispatch with {jobs} jobs waiting costs {seen:.2?} times what it does with {FEW}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_store_dispatches_from_a_long_queue_as_fast_as_from_a_short_one() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let open = |dir: &tempfile::TempDir| -> Arc<dyn Store> { Arc::new(RedbStore::open(dir.path()).unwrap()) };
    judge(open(&a), open(&b), 30_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_dispatches_from_a_long_queue_as_fast_as_from_a_short_one() {
    let server = Server::start().unwrap();
    let mut stores = Vec::<Arc<dyn Store>>::new();
    for name in ["few", "many"] {
        let url = server.database(name).unwrap();
        stores.push(Arc::new(PostgresStore::open(&url, 12).await.unwrap()));
    }
    let (many, few) = (stores.pop().unwrap(), stores.pop().unwrap());
    judge(few, many, 20_000).await;
}

/// A file in memory that counts what is written.
#[derive(Debug)]
struct Counting {
    file: InMemoryBackend,
    octets: Arc<AtomicU64>,
}

impl StorageBackend for Counting {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.octets.fetch_add(data.len() as u64, Ordering::Relaxed);
        self.file.write(offset, data)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_store_writes_as_little_for_a_dispatch_from_a_long_queue() {
    let mut written = Vec::new();
    let most = std::env::var("FERROFAX_WAITING").ok().and_then(|n| n.parse().ok());
    for jobs in [FEW, most.unwrap_or(30_000)] {
        let octets = Arc::<AtomicU64>::default();
        let counted = octets.clone();
        let store: Arc<dyn Store> = Arc::new(
            RedbStore::open_with(move || {
                let file = InMemoryBackend::new();
                Database::builder().create_with_backend(Counting { file, octets: counted.clone() })
            })
            .unwrap(),
        );
        fill(&store, jobs).await;
        let before = octets.load(Ordering::Relaxed);
        for _ in 0..ROUNDS {
            dispatch(&store).await;
        }
        written.push((octets.load(Ordering::Relaxed) - before) / ROUNDS as u64);
    }
    println!("octets written by a dispatch: {written:?}");
    assert!(written[1] as f64 <= MOST_WRITTEN * written[0] as f64, "{written:?}");
}
