//! Writing jobs: the row, its lease and its ledger.

use super::rows::{JOB_COLUMNS, column, job_body, job_of, ledgers, page_number, state_number};
use super::{QUEUE, changed, lock, queue, rows, unavailable};
use crate::model::{Folder, Job, JobId, JobState, NodeId, Notice, PageEntry, PageState};
use crate::port::{Guard, JobChange, StoreError, storable};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Whether the job takes a line of its account and its number.
fn takes_line(job: &Job) -> bool {
    job.lease.is_some() && matches!(job.state, JobState::Locked | JobState::Processing)
}

/// The number whose line it takes.
fn line_of(job: &Job) -> Option<&str> {
    takes_line(job).then_some(job.to_number.as_str())
}

fn waits(job: &Job) -> bool {
    job.state == JobState::Pending
}

const INSERT: &str = "insert into fax_jobs (id, account, faxbox, created, state, folder, to_number, not_before,
    node, lease_until, pages, waiting, line, original, document, body, lane)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) on conflict (id) do nothing";

/// A job that goes on waiting keeps its turn with its time.
const UPDATE: &str = "update fax_jobs set account = $2, faxbox = $3, created = $4, state = $5, folder = $6,
    to_number = $7, not_before = $8, node = $9, lease_until = $10, pages = $11, waiting = $12, line = $13,
    original = $14, document = $15, body = $16, lane = $17,
    turn = case when waiting <> 0 and not_before = $8 then turn end where id = $1";

/// Writes the job's row; answers how many rows were written.
async fn put(t: &mut PgConnection, sql: &'static str, job: &Job) -> Result<u64, StoreError> {
    let folder: i16 = match job.state.folder() {
        Folder::Live => 0,
        Folder::Filed => 1,
    };
    let done = sqlx::query(sql)
        .bind(job.id.as_str())
        .bind(job.account.as_str())
        .bind(job.faxbox.as_ref().map(|b| column(b.as_str())))
        .bind(job.created.0)
        .bind(state_number(job.state))
        .bind(folder)
        .bind(column(&job.to_number))
        .bind(job.not_before.0)
        .bind(job.lease.as_ref().map(|l| l.node.as_str()))
        .bind(job.lease.as_ref().map(|l| l.until.0))
        .bind(i64::from(job.pages))
        .bind(i16::from(waits(job)))
        .bind(takes_line(job))
        .bind(job.source.original().map(|d| d.as_str()))
        .bind(job.document.as_ref().map(|d| d.as_str()))
        .bind(job_body(job)?)
        .bind(i16::from(job.priority.lane()))
        .execute(t)
        .await
        .map_err(unavailable)?;
    Ok(done.rows_affected())
}

pub(super) async fn insert(t: &mut PgConnection, job: &Job) -> Result<(), StoreError> {
    if job.lease.is_some() || matches!(job.state, JobState::Locked | JobState::Processing) {
        return Err(StoreError::Refused("a new job is held by nobody".into()));
    }
    storable(job)?;
    restore(t, job).await
}

/// Writes a job as it is.
pub(super) async fn restore(t: &mut PgConnection, job: &Job) -> Result<(), StoreError> {
    if put(t, INSERT, job).await? == 0 {
        return Err(StoreError::Exists);
    }
    let (pages, states, attempts, times) = columns(&job.ledger);
    if !pages.is_empty() {
        sqlx::query(
            "insert into fax_ledger (job, page, state, attempt, at)
             select $1, * from unnest($2::bigint[], $3::smallint[], $4::bigint[], $5::bigint[])",
        )
        .bind(job.id.as_str())
        .bind(&pages)
        .bind(&states)
        .bind(&attempts)
        .bind(&times)
        .execute(&mut *t)
        .await
        .map_err(unavailable)?;
    }
    if waits(job) {
        queue::add(t, job).await?;
    }
    if !job.state.is_final() {
        changed::tell(t).await?;
    }
    Ok(())
}

/// The pages of a ledger that are not unsent, by columns.
fn columns(ledger: &[PageEntry]) -> (Vec<i64>, Vec<i16>, Vec<i64>, Vec<i64>) {
    let mut columns = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (page, entry) in (0i64..).zip(ledger).filter(|(_, e)| **e != PageEntry::default()) {
        columns.0.push(page);
        columns.1.push(page_number(entry.state));
        columns.2.push(i64::from(entry.attempt));
        columns.3.push(entry.at.0);
    }
    columns
}

/// The job, locked until the end of the transaction.
async fn hold(t: &mut PgConnection, id: &JobId) -> Result<Job, StoreError> {
    let sql = format!("select {JOB_COLUMNS} from fax_jobs where id = $1 for update");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(id.as_str()).fetch_optional(&mut *t).await;
    let row = row.map_err(unavailable)?.ok_or(StoreError::NotFound)?;
    let mut job = [job_of(&row)?];
    ledgers(t, &mut job).await?;
    let [job] = job;
    Ok(job)
}

pub(super) async fn update(
    t: &mut PgConnection,
    id: &JobId,
    guard: &Guard,
    change: JobChange,
    notices: &[Notice],
) -> Result<Job, StoreError> {
    // What the change will be is not known yet: the queue may be part of it.
    lock(t, QUEUE).await?;
    let old = hold(t, id).await?;
    let held = match guard {
        Guard::Any => true,
        Guard::HeldBy(node) => old.lease.as_ref().is_some_and(|l| l.node == *node),
        Guard::Lease(lease) => old.lease == *lease,
    };
    if !held {
        return Err(StoreError::LeaseLost);
    }
    let mut new = old.clone();
    // The change is the caller's code: its panic must not leave a transaction open.
    match catch_unwind(AssertUnwindSafe(|| change(&mut new))) {
        Ok(done) => done?,
        Err(_) => return Err(StoreError::Refused("the change panicked".into())),
    }
    if new.id != old.id || new.account != old.account || new.created != old.created {
        return Err(StoreError::Refused("a job keeps its id, account and time".into()));
    }
    if new.to_number != old.to_number {
        storable(&new)?;
    }
    if new.state == JobState::Pending || new.state.is_final() {
        new.lease = None;
    } else if new.state != JobState::Converting && new.lease.is_none() {
        return Err(StoreError::Refused("a job in work is held by a node".into()));
    }
    new.ledger.clone_from(&old.ledger);
    new.ledger.resize(usize::try_from(new.pages).unwrap_or(0), PageEntry::default());
    if new.pages < old.pages {
        sqlx::query("delete from fax_ledger where job = $1 and page >= $2")
            .bind(id.as_str())
            .bind(i64::from(new.pages))
            .execute(&mut *t)
            .await
            .map_err(unavailable)?;
    }
    put(t, UPDATE, &new).await?;
    moved(t, &old, Some(&new)).await?;
    rows::insert_notices(t, notices).await?;
    Ok(new)
}

/// Brings the queue up to date after a change from `old` to `new`.
async fn moved(t: &mut PgConnection, old: &Job, new: Option<&Job>) -> Result<(), StoreError> {
    let queued = waits(old) || new.is_some_and(waits);
    if queued || line_of(old) != new.and_then(line_of) {
        queue::refresh(t, old.account.as_str()).await?;
        queue::unpark(t, &column(&old.to_number)).await?;
        if let Some(new) = new.filter(|n| n.to_number != old.to_number) {
            queue::unpark(t, &column(&new.to_number)).await?;
        }
    }
    let freed = takes_line(old) && !new.is_some_and(takes_line);
    let open = new.is_some_and(|n| matches!(n.state, JobState::Pending | JobState::Converting));
    if queued || freed || open {
        changed::tell(t).await?;
    }
    Ok(())
}

pub(super) async fn delete(t: &mut PgConnection, id: &JobId) -> Result<(), StoreError> {
    lock(t, QUEUE).await?;
    let old = hold(t, id).await?;
    if old.lease.is_some() || !old.state.is_final() {
        return Err(StoreError::Refused("the fax is in the queue".into()));
    }
    sqlx::query("delete from fax_jobs where id = $1")
        .bind(id.as_str())
        .execute(&mut *t)
        .await
        .map_err(unavailable)?;
    moved(t, &old, None).await
}

pub(super) async fn record_page(
    t: &mut PgConnection,
    id: &JobId,
    node: &NodeId,
    page: u32,
    entry: PageEntry,
) -> Result<(), StoreError> {
    // The row is held until the page is written: nobody takes the job over in between.
    let row = sqlx::query("select node from fax_jobs where id = $1 for update")
        .bind(id.as_str())
        .fetch_optional(&mut *t)
        .await
        .map_err(unavailable)?;
    let holder = match &row {
        None => None,
        Some(row) => row.try_get::<Option<&str>, _>(0).map_err(unavailable)?,
    };
    if holder != Some(node.as_str()) {
        return Err(StoreError::LeaseLost);
    }
    let confirmed = matches!(entry.state, PageState::Confirmed { .. });
    sqlx::query(
        "insert into fax_ledger (job, page, state, attempt, at) values ($1, $2, $3, $4, $5)
         on conflict (job, page) do update
         set state = excluded.state, attempt = excluded.attempt, at = excluded.at
         where $6 or fax_ledger.state < 2",
    )
    .bind(id.as_str())
    .bind(i64::from(page))
    .bind(page_number(entry.state))
    .bind(i64::from(entry.attempt))
    .bind(entry.at.0)
    .bind(confirmed)
    .execute(t)
    .await
    .map_err(unavailable)?;
    Ok(())
}
