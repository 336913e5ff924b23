//! The queue: whose turn it is, found without looking at those whose turn it is not.
//!
//! `fax_queue` holds the first turn of each account; whose job goes then, its lanes say. An account at its limit loses that
//! time until something of it changes; a job whose number is in use is parked under the number until the number is free. A
//! call makes one job of each account that waits for its number be looked at, however many wait.

use super::rows::{JOB_COLUMNS, job_body, job_of, ledgers, state_number};
use super::{QUEUE, lock, unavailable};
use crate::model::{Job, JobId, JobState, Lease, NodeId, Timestamp};
use crate::port::{LeaseRequest, NextDue, StoreError, storable};
use sqlx::postgres::{PgConnection, PgPool, PgRow};
use sqlx::{AssertSqlSafe, Row as _};
use std::collections::HashSet;

/// Jobs that may be parked in one request beyond those it takes: it stays short.
const MAX_PARKED: usize = 256;

/// Makes the account due when this new job is, if it was not before. Its row is held until the end of the
/// transaction: whoever looks for the account's first job meanwhile waits, and sees this one.
pub(super) async fn add(t: &mut PgConnection, job: &Job) -> Result<(), StoreError> {
    sqlx::query(
        "insert into fax_queue (account, due) values ($1, $2)
         on conflict (account) do update set due = least(fax_queue.due, excluded.due)",
    )
    .bind(job.account.as_str())
    .bind(job.not_before.0)
    .execute(t)
    .await
    .map_err(unavailable)?;
    Ok(())
}

/// Makes the account due at the first turn of its queue.
pub(super) async fn refresh(t: &mut PgConnection, account: &str) -> Result<(), StoreError> {
    refresh_each(t, &[account]).await
}

async fn refresh_each(t: &mut PgConnection, accounts: &[&str]) -> Result<(), StoreError> {
    // Two statements: the second sees what was committed while the first waited for the rows.
    sqlx::query(
        "insert into fax_queue (account) select account from unnest($1::text[]) as changed (account)
         on conflict (account) do update set account = excluded.account",
    )
    .bind(accounts)
    .execute(&mut *t)
    .await
    .map_err(unavailable)?;
    sqlx::query(
        "update fax_queue set due = (select coalesce(turn, not_before) from fax_jobs
         where fax_jobs.account = fax_queue.account and waiting = 1 order by coalesce(turn, not_before), id limit 1)
         where account = any($1)",
    )
    .bind(accounts)
    .execute(t)
    .await
    .map_err(unavailable)?;
    Ok(())
}

/// The account is at its limit.
async fn not_due(t: &mut PgConnection, account: &str) -> Result<(), StoreError> {
    sqlx::query("update fax_queue set due = null where account = $1")
        .bind(account)
        .execute(t)
        .await
        .map_err(unavailable)?;
    Ok(())
}

/// None of the account's jobs is due, though its first turn has come, as a node with an older ferrofax may leave it: it is
/// looked at again when one is due.
async fn due_later(t: &mut PgConnection, account: &str) -> Result<(), StoreError> {
    sqlx::query(
        "update fax_queue set due = (select min(greatest(coalesce(turn, not_before), not_before)) from fax_jobs
         where fax_jobs.account = fax_queue.account and waiting = 1) where account = $1",
    )
    .bind(account)
    .execute(t)
    .await
    .map_err(unavailable)?;
    Ok(())
}

/// If the number is free, the first job of each account that waits for it goes back to its account's queue: whose turn
/// comes first takes the number, and the others are parked again. An account that may not go now so keeps nobody waiting.
/// Of each account one row of the index is read, however many wait.
pub(super) async fn unpark(t: &mut PgConnection, number: &str) -> Result<(), StoreError> {
    let accounts: Vec<String> = sqlx::query_scalar(
        "with recursive first (account, id) as (
         (select account, id from fax_jobs where to_number = $1 and waiting = 2
          order by account, lane, not_before, id limit 1)
         union all
         select next.account, next.id from first cross join lateral (
          select account, id from fax_jobs where to_number = $1 and waiting = 2 and account > first.account
          order by account, lane, not_before, id limit 1) as next)
         update fax_jobs set waiting = 1 where id = any(array(select id from first))
         and not exists (select from fax_jobs where to_number = $1 and line) returning account",
    )
    .bind(number)
    .fetch_all(&mut *t)
    .await
    .map_err(unavailable)?;
    let accounts: Vec<&str> = accounts.iter().map(String::as_str).collect();
    if accounts.is_empty() { Ok(()) } else { refresh_each(t, &accounts).await }
}

/// See [`crate::Store::lease_due`].
pub(super) async fn lease_due(t: &mut PgConnection, request: &LeaseRequest) -> Result<Vec<Job>, StoreError> {
    lock(t, QUEUE).await?;
    let mut taken = Vec::new();
    let mut parked = 0;
    while taken.len() < request.limit && parked < MAX_PARKED {
        let head: Option<String> = sqlx::query_scalar(
            "select account from fax_queue where due <= $1 order by due, account limit 1 for update",
        )
        .bind(request.now.0)
        .fetch_optional(&mut *t)
        .await
        .map_err(unavailable)?;
        let Some(account) = head else { break };
        let limit = request.account_limits.get(&account.as_str().into()).copied();
        let first = first_of(t, &account, request.now).await?;
        let limit = i64::from(limit.unwrap_or(request.default_account_limit));
        let Some(first) = first else {
            due_later(t, &account).await?;
            continue;
        };
        if first.running >= limit {
            not_due(t, &account).await?;
            continue;
        }
        if first.busy && request.serialise_numbers {
            set_waiting(t, &first.id, 2).await?;
            parked += 1;
        } else {
            match first.job {
                Ok(job)
                    if job.state == JobState::Pending && job.lease.is_none() && storable(&job).is_ok() =>
                {
                    if first.turn_of != first.id {
                        overtake(t, &first.id, &first.turn_of).await?;
                    }
                    taken.push(take(t, job, &request.node, request.now, request.until).await?);
                }
                Ok(_) | Err(StoreError::Damaged(_)) => {
                    // A row that cannot be read, or not be written again, must not block those behind it.
                    tracing::error!(job = %first.id, "a job in the queue cannot be taken; it is left out");
                    set_waiting(t, &first.id, 0).await?;
                }
                Err(e) => return Err(e),
            }
        }
        refresh(t, &account).await?;
    }
    ledgers(t, &mut taken).await?;
    Ok(taken)
}

/// The job of an account that goes first.
struct First {
    id: String,
    /// Whose turn it is.
    turn_of: String,
    /// The account's jobs that are held.
    running: i64,
    /// Another job to the number is held.
    busy: bool,
    job: Result<Job, StoreError>,
}

/// The first jobs that are due of each lane of the account $1 at $2.
fn due(of_each: usize) -> String {
    format!(
        "(values (0::smallint), (1::smallint), (2::smallint)) as lanes (n) cross join lateral (
         select id, node, lease_until, body, to_number, lane, not_before from fax_jobs
         where account = $1 and waiting = 1 and lane = n and not_before <= $2
         order by not_before, id limit {of_each}) as waiter"
    )
}

async fn first_of(t: &mut PgConnection, account: &str, now: Timestamp) -> Result<Option<First>, StoreError> {
    let sql = format!(
        "select {JOB_COLUMNS}, (select count(*) from fax_jobs where account = $1 and line) as running,
         exists (select from fax_jobs as held where held.to_number = waiter.to_number and held.line) as busy,
         (select id from fax_jobs where account = $1 and waiting = 1
          order by coalesce(turn, not_before), id limit 1) as turn_of
         from {} order by lane limit 1",
        due(1)
    );
    let row = sqlx::query(AssertSqlSafe(sql)).bind(account).bind(now.0).fetch_optional(t).await;
    let first = |row: PgRow| -> Result<First, sqlx::Error> {
        Ok(First {
            id: row.try_get("id")?,
            turn_of: row.try_get("turn_of")?,
            running: row.try_get("running")?,
            busy: row.try_get("busy")?,
            job: job_of(&row),
        })
    };
    row.map_err(unavailable)?.map(first).transpose().map_err(unavailable)
}

/// The job that goes takes the first turn of its account; whose that was gets the job's own.
async fn overtake(t: &mut PgConnection, goes: &str, waits: &str) -> Result<(), StoreError> {
    sqlx::query(
        "update fax_jobs as waits set turn = coalesce(goes.turn, goes.not_before) from fax_jobs as goes
         where goes.id = $1 and waits.id = $2
         and coalesce(waits.turn, waits.not_before) < coalesce(goes.turn, goes.not_before)",
    )
    .bind(goes)
    .bind(waits)
    .execute(t)
    .await
    .map_err(unavailable)?;
    Ok(())
}

async fn set_waiting(t: &mut PgConnection, id: &str, waiting: i16) -> Result<(), StoreError> {
    sqlx::query("update fax_jobs set waiting = $2 where id = $1")
        .bind(id)
        .bind(waiting)
        .execute(t)
        .await
        .map_err(unavailable)?;
    Ok(())
}

async fn take(
    t: &mut PgConnection,
    job: Job,
    node: &NodeId,
    now: Timestamp,
    until: Timestamp,
) -> Result<Job, StoreError> {
    let lease = Some(Lease { node: node.clone(), until });
    let job = Job { state: JobState::Locked, lease, modified: now, ..job };
    sqlx::query(
        "update fax_jobs set state = $2, waiting = 0, line = true, node = $3, lease_until = $4, body = $5
         where id = $1",
    )
    .bind(job.id.as_str())
    .bind(state_number(job.state))
    .bind(node.as_str())
    .bind(until.0)
    .bind(job_body(&job)?)
    .execute(t)
    .await
    .map_err(unavailable)?;
    Ok(job)
}

/// See [`crate::Store::lease_beside`].
pub(super) async fn lease_beside(
    t: &mut PgConnection,
    id: &JobId,
    node: &NodeId,
    now: Timestamp,
    until: Timestamp,
    limit: usize,
) -> Result<Vec<Job>, StoreError> {
    lock(t, QUEUE).await?;
    let sql = format!("select {JOB_COLUMNS}, account, to_number from fax_jobs where id = $1 and node = $2");
    let found = sqlx::query(AssertSqlSafe(sql)).bind(id.as_str()).bind(node.as_str());
    let Some(row) = found.fetch_optional(&mut *t).await.map_err(unavailable)? else {
        return Ok(Vec::new());
    };
    let lead = job_of(&row)?;
    let account: String = row.try_get("account").map_err(unavailable)?;
    let number: String = row.try_get("to_number").map_err(unavailable)?;
    let sql = format!(
        "select {JOB_COLUMNS} from fax_jobs where id in (
         (select id from fax_jobs where to_number = $3 and account = $1 and waiting = 2 and not_before <= $2
          order by lane, not_before, id limit {MAX_PARKED})
         union (select id from {} where to_number = $3))
         and account = $1 order by lane, not_before, id",
        due(MAX_PARKED)
    );
    let near = sqlx::query(AssertSqlSafe(sql)).bind(&account).bind(now.0).bind(&number);
    let near = near.fetch_all(&mut *t).await.map_err(unavailable)?;
    let mut taken = Vec::new();
    // What cannot be read is told when its own turn comes.
    for job in near.iter().filter_map(|row| job_of(row).ok()) {
        let free = job.state == JobState::Pending && job.lease.is_none();
        if taken.len() < limit && free && lead.shares_call(&job) {
            taken.push(take(t, job, node, now, until).await?);
        }
    }
    refresh(t, &account).await?;
    ledgers(t, &mut taken).await?;
    Ok(taken)
}

/// See [`crate::Store::lease_converting`].
pub(super) async fn lease_converting(
    t: &mut PgConnection,
    node: &NodeId,
    now: Timestamp,
    until: Timestamp,
    limit: usize,
) -> Result<Vec<Job>, StoreError> {
    let sql = format!(
        "update fax_jobs set node = $1, lease_until = $2 where id in
         (select id from fax_jobs where state = 0 and node is null and not_before <= $3
          order by not_before, id limit $4 for update skip locked) returning {JOB_COLUMNS}"
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(node.as_str())
        .bind(until.0)
        .bind(now.0)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&mut *t)
        .await
        .map_err(unavailable)?;
    let mut taken = Vec::new();
    for row in &rows {
        match job_of(row) {
            Ok(job) => taken.push(job),
            // It stays held until its lease runs out: it does not block those behind it.
            Err(e) => tracing::error!(error = %e, "a job to be converted cannot be read; it is left out"),
        }
    }
    taken.sort_by(|a, b| (a.not_before, &a.id).cmp(&(b.not_before, &b.id)));
    ledgers(t, &mut taken).await?;
    Ok(taken)
}

/// See [`crate::Store::next_due`].
pub(super) async fn next_due(pool: &PgPool) -> Result<NextDue, StoreError> {
    let row = sqlx::query(
        "select (select due from fax_queue where due is not null order by due limit 1),
         (select not_before from fax_jobs where state = 0 and node is null order by not_before limit 1)",
    )
    .fetch_one(pool)
    .await
    .map_err(unavailable)?;
    let at = |i: usize| row.try_get::<Option<i64>, _>(i).map(|t| t.map(Timestamp)).map_err(unavailable);
    Ok(NextDue { pending: at(0)?, converting: at(1)? })
}

/// See [`crate::Store::renew`].
pub(super) async fn renew(
    pool: &PgPool,
    node: &NodeId,
    jobs: Vec<JobId>,
    until: Timestamp,
) -> Result<Vec<JobId>, StoreError> {
    let ids: Vec<&str> = jobs.iter().map(JobId::as_str).collect();
    let ours: Vec<String> = sqlx::query_scalar(
        "update fax_jobs set lease_until = $3 where id = any($1) and node = $2 returning id",
    )
    .bind(&ids)
    .bind(node.as_str())
    .bind(until.0)
    .fetch_all(pool)
    .await
    .map_err(unavailable)?;
    let ours: HashSet<&str> = ours.iter().map(String::as_str).collect();
    let lost: Vec<JobId> = jobs.iter().filter(|j| !ours.contains(j.as_str())).cloned().collect();
    Ok(lost)
}

/// Looks again at every account: after limits have changed.
pub(super) async fn refresh_all(t: &mut PgConnection) -> Result<(), StoreError> {
    lock(t, QUEUE).await?;
    // Whoever adds a job at this moment is waited for, and then seen by the next statement.
    sqlx::raw_sql("lock table fax_queue in exclusive mode").execute(&mut *t).await.map_err(unavailable)?;
    sqlx::query(
        "update fax_queue set due = (select coalesce(turn, not_before) from fax_jobs
         where fax_jobs.account = fax_queue.account and waiting = 1 order by coalesce(turn, not_before), id limit 1)",
    )
    .execute(t)
    .await
    .map_err(unavailable)?;
    Ok(())
}
