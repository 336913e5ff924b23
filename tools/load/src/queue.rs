//! What the queue costs: jobs that are durably taken in a second, and one dispatch with few and with many jobs waiting.

use anyhow::{Context, Result, ensure};
use fax_store::Store;
use fax_store::model::{DocumentKey, Job, JobState, PageEntry, Source, Timestamp};
use fax_store::port::{Guard, JobChange, LeaseRequest};
use fax_store::postgres::PostgresStore;
use fax_store::redb::RedbStore;
use postgres_peer::Server;
use serde_json::json;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const ACCOUNTS: usize = 100;
const NUMBERS: usize = 5_000;
/// Dispatches that are measured, after some that are not.
const ROUNDS: usize = 400;
const WARM: usize = 40;
/// A dispatch with many jobs waiting may cost so much more than with few.
const RATIO: f64 = 1.5;

/// What is measured.
pub(crate) struct Plan<'p> {
    /// Jobs waiting, one measurement each.
    pub(crate) jobs: &'p [usize],
    /// Each measurement of submissions lasts so long.
    pub(crate) seconds: u64,
    /// Filled stores of the embedded kind are kept here for the next time.
    pub(crate) folder: Option<&'p Path>,
    pub(crate) json: bool,
}

/// Measures both stores; whether all is as it should be.
pub(crate) async fn run(plan: &Plan<'_>) -> Result<bool> {
    let temporary = tempfile::tempdir()?;
    let folder = plan.folder.unwrap_or(temporary.path());
    let mut good = true;
    let mut times = Vec::new();
    for &n in plan.jobs {
        let folder = folder.join(format!("redb-{n}"));
        let filled = folder.exists();
        let store: Arc<dyn Store> = Arc::new(RedbStore::open(&folder)?);
        if !filled {
            fill(&store, n).await?;
        }
        times.push(dispatch(&store).await?);
    }
    good &= told(plan, "redb", &times);
    for writers in [1, 16] {
        let fresh = tempfile::tempdir()?;
        let store: Arc<dyn Store> = Arc::new(RedbStore::open(fresh.path())?);
        rate(plan, "redb", store, writers).await?;
    }
    // With the disk waited for, as a database in service does.
    let server = Server::durable().context("a PostgreSQL server of our own")?;
    let mut times = Vec::new();
    for &n in plan.jobs {
        let name = format!("jobs{n}");
        let url = server.database(&name)?;
        let store: Arc<dyn Store> = Arc::new(PostgresStore::open(&url, 4).await?);
        clone(&server, &name, &store, n).await?;
        times.push(dispatch(&store).await?);
    }
    good &= told(plan, "PostgreSQL", &times);
    for writers in [1, 16] {
        let url = server.database(&format!("writers{writers}"))?;
        let store: Arc<dyn Store> = Arc::new(PostgresStore::open(&url, 20).await?);
        rate(plan, "PostgreSQL", store, writers).await?;
    }
    Ok(good)
}

/// Prints what a dispatch costs; whether it costs with the most jobs hardly more than with the fewest.
fn told(plan: &Plan<'_>, store: &str, times: &[Cost]) -> bool {
    let first = times.first().map_or(Duration::ZERO, |c| c.median);
    let mut good = true;
    for (jobs, cost) in plan.jobs.iter().zip(times) {
        let ratio = cost.median.as_secs_f64() / first.as_secs_f64().max(1e-9);
        good &= ratio <= RATIO;
        let (median, late) = (cost.median.as_micros(), cost.late.as_micros());
        if plan.json {
            println!(
                "{}",
                json!({ "store": store, "waiting": jobs, "dispatch_us": median, "dispatch_90_us": late, "ratio": ratio })
            );
        } else {
            println!(
                "{store:<11} {jobs:>8} waiting: a dispatch {median:>6} µs (90 %: {late} µs), ratio {ratio:.2}"
            );
        }
    }
    good
}

struct Cost {
    median: Duration,
    late: Duration,
}

/// Asks what is due, takes one job and completes it, again and again.
async fn dispatch(store: &Arc<dyn Store>) -> Result<Cost> {
    let mut times = Vec::new();
    for round in 0..WARM + ROUNDS {
        let began = Instant::now();
        store.next_due().await?;
        let taken = store.lease_due(request()).await?;
        ensure!(taken.len() == 1, "{} jobs were taken", taken.len());
        for job in taken {
            let change: JobChange = Box::new(|j| {
                j.state = JobState::Completed;
                Ok(())
            });
            store.update_job(&job.id, Guard::HeldBy("n1".into()), change, vec![]).await?;
        }
        if round >= WARM {
            times.push(began.elapsed());
        }
    }
    times.sort();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
    Ok(Cost { median: at(50), late: at(90) })
}

/// Prints how many jobs a second are taken and on disk.
async fn rate(plan: &Plan<'_>, name: &str, store: Arc<dyn Store>, writers: usize) -> Result<()> {
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    let until = began + Duration::from_secs(plan.seconds);
    for writer in 0..writers {
        let store = store.clone();
        tasks.spawn(async move {
            let mut made = 0;
            while Instant::now() < until {
                store.insert_job(job(made * writers + writer)).await?;
                made += 1;
            }
            anyhow::Ok(made)
        });
    }
    let mut made = 0;
    while let Some(done) = tasks.join_next().await {
        made += done??;
    }
    let rate = made as f64 / began.elapsed().as_secs_f64();
    if plan.json {
        println!("{}", json!({ "store": name, "writers": writers, "jobs_per_second": rate }));
    } else {
        println!("{name:<11} {writers:>8} writers: {rate:>8.0} jobs a second, each on disk");
    }
    Ok(())
}

async fn fill(store: &Arc<dyn Store>, jobs: usize) -> Result<()> {
    let writers = 512;
    let mut tasks = JoinSet::new();
    for writer in 0..writers {
        let store = store.clone();
        tasks.spawn(async move {
            for i in (writer..jobs).step_by(writers) {
                store.insert_job(job(i)).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

/// Fills a database with copies of one job, inside the server: a million by way of the port would take too long.
async fn clone(server: &Server, database: &str, store: &Arc<dyn Store>, jobs: usize) -> Result<()> {
    let one = job(0);
    let id = one.id.clone();
    store.insert_job(one).await?;
    server.run(
        database,
        &format!(
            "insert into fax_jobs
             select n.id, n.account, faxbox, created, state, folder, n.number, n.at, node, lease_until, pages, waiting,
                 line, original, document,
                 (body::jsonb || jsonb_build_object('id', n.id, 'account', n.account, 'to_number', n.number,
                     'not_before', n.at))::text
             from fax_jobs, lateral (
                 select lpad(to_hex(g), 32, '0') as id, lpad(to_hex(g % {ACCOUNTS}), 32, '0') as account,
                     '+1415' || lpad((g % {NUMBERS})::text, 7, '0') as number, not_before + g as at
                 from generate_series(1, {jobs}) g) n
             where fax_jobs.id = '{id}';
             delete from fax_jobs where id = '{id}';
             insert into fax_queue select account, min(not_before) from fax_jobs group by account
             on conflict (account) do update set due = excluded.due;"
        ),
    )?;
    // As a database that has been in service for a while: nothing is left to be done for the rows that were put in at once.
    server.run(database, "vacuum analyze")?;
    server.run(database, "checkpoint")?;
    Ok(())
}

fn request() -> LeaseRequest {
    // The copies are due one after the other.
    let now = Timestamp::now().plus(Duration::from_secs(3_600));
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
    let number = format!("+1415{:07}", i % NUMBERS);
    let mut job = Job::new(account.into(), number, source, Timestamp::now());
    job.state = JobState::Pending;
    job.document = Some(DocumentKey::generate());
    job.pages = 1;
    job.ledger = vec![PageEntry::default()];
    job
}
