//! Reading: single rows, lists, and what is due next.

use super::rows::{JOB_COLUMNS, column, job_of, ledgers, state_number, unbody};
use super::unavailable;
use crate::model::{DocumentKey, FaxId, Folder, Job, JobId, NodeId, Notice, Received, Timestamp};
use crate::port::{JobQuery, Range, ReceivedQuery, StoreError};
use sqlx::postgres::{PgConnection, PgPool, PgRow};
use sqlx::{AssertSqlSafe, Connection as _, Postgres, QueryBuilder, Row as _};

/// A connection whose statements all see the same rows, so that a job and its ledger fit together.
macro_rules! snapshot {
    ($pool:expr, |$c:ident| $body:expr) => {{
        let mut connection = $pool.acquire().await.map_err(unavailable)?;
        let mut t = connection.begin().await.map_err(unavailable)?;
        sqlx::raw_sql("set transaction isolation level repeatable read read only")
            .execute(&mut *t)
            .await
            .map_err(unavailable)?;
        let $c: &mut PgConnection = &mut t;
        let found = $body.await;
        t.commit().await.map_err(unavailable)?;
        found
    }};
}

pub(super) async fn job(pool: &PgPool, id: &JobId) -> Result<Option<Job>, StoreError> {
    // No row has U+0000, and PostgreSQL does not take it.
    if id.as_str().contains('\0') {
        return Ok(None);
    }
    snapshot!(pool, |c| async {
        let sql = format!("select {JOB_COLUMNS} from fax_jobs where id = $1");
        let row = sqlx::query(AssertSqlSafe(sql)).bind(id.as_str()).fetch_optional(&mut *c).await;
        let Some(row) = row.map_err(unavailable)? else { return Ok(None) };
        let mut jobs = [job_of(&row)?];
        ledgers(c, &mut jobs).await?;
        let [job] = jobs;
        Ok(Some(job))
    })
}

/// Adds the range's conditions, order and limit to a query whose `where` is begun.
fn within(query: &mut QueryBuilder<Postgres>, range: &Range) {
    query.push(" and created >= ").push_bind(range.from.0);
    query.push(" and created <= ").push_bind(range.to.0);
    if let Some((at, id)) = &range.after {
        let beyond = if range.ascending { " and (created, id) > (" } else { " and (created, id) < (" };
        query.push(beyond).push_bind(at.0).push(", ").push_bind(column(id)).push(" collate \"C\")");
    }
    let order = if range.ascending { " order by created, id" } else { " order by created desc, id desc" };
    query.push(order).push(" limit ").push_bind(i64::try_from(range.limit).unwrap_or(i64::MAX));
}

/// The part of a list that a range wants. Rows that cannot be read do not count: who gets fewer than it asked for has seen
/// the end. `begun` is a query with its `where` begun that gives `id` and `created`.
pub(super) async fn page<T>(
    c: &mut PgConnection,
    range: &Range,
    begun: impl Fn() -> QueryBuilder<Postgres>,
    read: impl Fn(&PgRow) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut rest = range.clone();
    let mut found = Vec::new();
    loop {
        let mut sql = begun();
        within(&mut sql, &rest);
        let rows = sql.build().fetch_all(&mut *c).await.map_err(unavailable)?;
        found.extend(rows.iter().filter_map(|row| readable(read(row))));
        let whole = found.len() >= range.limit || rows.len() < range.limit;
        let Some(last) = rows.last().filter(|_| !whole) else { break };
        let at: i64 = last.try_get("created").map_err(unavailable)?;
        rest.after = Some((Timestamp(at), last.try_get("id").map_err(unavailable)?));
    }
    found.truncate(range.limit);
    Ok(found)
}

pub(super) async fn jobs(pool: &PgPool, query: &JobQuery) -> Result<Vec<Job>, StoreError> {
    let begun = || {
        let mut sql = QueryBuilder::new(format!("select {JOB_COLUMNS}, created from fax_jobs where true"));
        if let Some(account) = &query.account {
            sql.push(" and account = ").push_bind(account.to_string());
        }
        if let Some(folder) = query.folder {
            let folder: i16 = match folder {
                Folder::Live => 0,
                Folder::Filed => 1,
            };
            sql.push(" and folder = ").push_bind(folder);
        }
        if let Some(faxbox) = &query.faxbox {
            sql.push(" and faxbox = ").push_bind(column(faxbox.as_str()));
        }
        if !query.states.is_empty() {
            let states: Vec<i16> = query.states.iter().map(|s| state_number(*s)).collect();
            sql.push(" and state = any(").push_bind(states).push(")");
        }
        sql
    };
    snapshot!(pool, |c| async {
        let mut jobs = page(&mut *c, &query.range, begun, job_of).await?;
        ledgers(c, &mut jobs).await?;
        Ok(jobs)
    })
}

pub(super) async fn stale(
    pool: &PgPool,
    node: Option<&NodeId>,
    now: Timestamp,
) -> Result<Vec<Job>, StoreError> {
    snapshot!(pool, |c| async {
        let sql = format!(
            "select {JOB_COLUMNS} from fax_jobs where node is not null and (lease_until <= $1 or node = $2)"
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(now.0).bind(node.map(NodeId::as_str));
        let rows = rows.fetch_all(&mut *c).await.map_err(unavailable)?;
        let mut found = Vec::new();
        for row in &rows {
            match job_of(row) {
                Ok(job) => found.push(job),
                Err(e) => tracing::error!(error = %e, "a held job is left alone"),
            }
        }
        ledgers(c, &mut found).await?;
        Ok(found)
    })
}

pub(super) async fn received(pool: &PgPool, id: &FaxId) -> Result<Option<Received>, StoreError> {
    if id.as_str().contains('\0') {
        return Ok(None);
    }
    let body: Option<String> = sqlx::query_scalar("select body from fax_received where id = $1")
        .bind(id.as_str())
        .fetch_optional(pool)
        .await
        .map_err(unavailable)?;
    body.map(|body| unbody(&format!("fax {id}"), &body)).transpose()
}

pub(super) async fn received_list(pool: &PgPool, query: &ReceivedQuery) -> Result<Vec<Received>, StoreError> {
    let begun = || {
        let mut sql = QueryBuilder::new("select id, body, created from fax_received where true");
        if let Some(account) = &query.account {
            sql.push(" and account = ").push_bind(account.to_string());
        }
        if let Some(faxbox) = &query.faxbox {
            sql.push(" and faxbox = ").push_bind(faxbox.to_string());
        }
        sql
    };
    let mut connection = pool.acquire().await.map_err(unavailable)?;
    page(&mut connection, &query.range, begun, |row| body_of(row, "fax")).await
}

/// A row that begins with id and body.
pub(super) fn body_of<T: serde::de::DeserializeOwned>(row: &PgRow, what: &str) -> Result<T, StoreError> {
    let id: &str = row.try_get(0).map_err(unavailable)?;
    unbody(&format!("{what} {id}"), row.try_get(1).map_err(unavailable)?)
}

/// Rows of (id, body), each of them.
pub(super) fn bodies<T: serde::de::DeserializeOwned>(
    rows: Result<Vec<PgRow>, sqlx::Error>,
    what: &str,
) -> Result<Vec<T>, StoreError> {
    rows.map_err(unavailable)?.iter().map(|row| body_of(row, what)).collect()
}

/// Rows of (id, body), without those that cannot be read.
pub(super) fn readable_bodies<T: serde::de::DeserializeOwned>(
    rows: Result<Vec<PgRow>, sqlx::Error>,
    what: &str,
) -> Result<Vec<T>, StoreError> {
    let rows = rows.map_err(unavailable)?;
    Ok(rows.iter().filter_map(|row| readable(body_of(row, what))).collect())
}

/// A row of a list: one that cannot be read does not hide the others.
fn readable<T>(row: Result<T, StoreError>) -> Option<T> {
    row.inspect_err(|e| tracing::error!(error = %e, "a row is left out of a list")).ok()
}

pub(super) async fn notices_due(
    pool: &PgPool,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Notice>, StoreError> {
    let rows = sqlx::query(
        "select id, body from fax_notices where not_before <= $1 order by not_before, id limit $2",
    )
    .bind(now.0)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await;
    readable_bodies(rows, "notice")
}

pub(super) async fn next_notice(pool: &PgPool) -> Result<Option<Timestamp>, StoreError> {
    let at: Option<i64> = sqlx::query_scalar("select min(not_before) from fax_notices")
        .fetch_one(pool)
        .await
        .map_err(unavailable)?;
    Ok(at.map(Timestamp))
}

pub(super) async fn is_named(pool: &PgPool, key: &DocumentKey) -> Result<bool, StoreError> {
    sqlx::query_scalar(
        "select exists (select from fax_jobs where original = $1)
         or exists (select from fax_jobs where document = $1)
         or exists (select from fax_received where document = $1)",
    )
    .bind(key.as_str())
    .fetch_one(pool)
    .await
    .map_err(unavailable)
}
