//! What a dispatch costs with few and with many jobs waiting: `backlog [JOBS]...`, by default 1000 and 100000.

use fax_store::model::{DocumentKey, Job, JobState, Source, Timestamp};
use fax_store::port::{Guard, JobChange, LeaseRequest};
use fax_store::redb::RedbStore;
use fax_store::{Store, StoreError};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

const ACCOUNTS: usize = 100;
const ROUNDS: u32 = 500;

#[tokio::main]
async fn main() -> Result<(), StoreError> {
    let asked: Vec<usize> = std::env::args().skip(1).flat_map(|a| a.parse()).collect();
    let sizes = if asked.is_empty() { vec![1_000, 100_000] } else { asked };
    for n in sizes {
        let dir = std::env::temp_dir().join(format!("fax-store-{}-{n}", std::process::id()));
        let result = measure(&dir, n).await;
        let _ = std::fs::remove_dir_all(&dir);
        result?;
    }
    Ok(())
}

async fn measure(dir: &std::path::Path, n: usize) -> Result<(), StoreError> {
    let store = Arc::new(RedbStore::open(dir)?);
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    let writers = 256;
    for w in 0..writers {
        let store = store.clone();
        tasks.spawn(async move {
            for i in (w..n).step_by(writers) {
                store.insert_job(job(i)).await?;
            }
            Ok::<(), StoreError>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(|e| StoreError::Unavailable(e.to_string()))??;
    }
    let inserted = began.elapsed();
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        store.next_due().await?;
        let taken = store.lease_due(request()).await?;
        for job in taken {
            let change: JobChange = Box::new(|j| {
                j.state = JobState::Completed;
                Ok(())
            });
            let held = Guard::HeldBy("n1".into());
            store.update_job(&job.id, held, change, vec![]).await?;
        }
        times.push(began.elapsed());
    }
    times.sort();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied();
    println!(
        "{n} jobs: inserted in {inserted:.1?}; lease one and complete it: median {:.0?}, p90 {:.0?}",
        at(50).unwrap_or_default(),
        at(90).unwrap_or_default()
    );
    Ok(())
}

fn request() -> LeaseRequest {
    let now = Timestamp::now();
    LeaseRequest {
        node: "n1".into(),
        now,
        until: now.plus(Duration::from_secs(60)),
        limit: 1,
        account_limits: HashMap::new(),
        default_account_limit: 10,
        serialise_numbers: true,
    }
}

fn job(i: usize) -> Job {
    let source = Source::Stored {
        original: DocumentKey::generate(),
        content_type: "application/pdf".into(),
        file_name: None,
    };
    let account = format!("{:032x}", i % ACCOUNTS);
    let mut job = Job::new(account.into(), format!("+1415{:07}", i % 5000), source, Timestamp::now());
    job.state = JobState::Pending;
    job.document = Some(DocumentKey::generate());
    job.pages = 2;
    job
}
