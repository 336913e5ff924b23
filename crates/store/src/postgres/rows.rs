//! Rows as they lie in the database, received faxes and notices.

use super::{hooks, unavailable};
use crate::model::{
    FaxId, Job, JobState, Lease, NodeId, Notice, NoticeId, PageEntry, PageState, Received, Timestamp,
};
use crate::port::{MOST_PAGES, StoreError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgPool, PgRow};

/// A row's body. PostgreSQL's text cannot hold U+0000; JSON writes it as an escape.
pub(super) fn body(row: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(row).map_err(|e| StoreError::Refused(e.to_string()))
}

pub(super) fn unbody<T: DeserializeOwned>(what: &str, body: &str) -> Result<T, StoreError> {
    serde_json::from_str(body).map_err(|e| StoreError::Damaged(format!("{what}: {e}")))
}

/// Text of a column beside the body: U+0000 is left out there.
pub(super) fn column(text: &str) -> String {
    text.replace('\0', "")
}

/// The body of a job: lease and ledger are kept beside it.
pub(super) fn job_body(job: &Job) -> Result<String, StoreError> {
    body(&Job { lease: None, ledger: Vec::new(), ..job.clone() })
}

/// The columns that [`job_of`] reads.
pub(super) const JOB_COLUMNS: &str = "id, node, lease_until, body";

/// A job without its ledger.
pub(super) fn job_of(row: &PgRow) -> Result<Job, StoreError> {
    let text = |name| row.try_get::<&str, _>(name).map_err(unavailable);
    let mut job: Job = unbody(&format!("job {}", text("id")?), text("body")?)?;
    if job.pages > MOST_PAGES {
        return Err(StoreError::Damaged(format!("job {}: {} pages", job.id, job.pages)));
    }
    let node: Option<&str> = row.try_get("node").map_err(unavailable)?;
    let until: Option<i64> = row.try_get("lease_until").map_err(unavailable)?;
    job.lease = node.zip(until).map(|(node, until)| Lease { node: node.into(), until: Timestamp(until) });
    Ok(job)
}

pub(super) const fn state_number(state: JobState) -> i16 {
    match state {
        JobState::Converting => 0,
        JobState::Pending => 1,
        JobState::Locked => 2,
        JobState::Processing => 3,
        JobState::Completed => 4,
        JobState::Failed => 5,
        JobState::Uncertain => 6,
        JobState::Cancelled => 7,
    }
}

pub(super) const fn page_number(state: PageState) -> i16 {
    match state {
        PageState::Unsent => 0,
        PageState::Sent => 1,
        PageState::Confirmed { poor: false } => 2,
        PageState::Confirmed { poor: true } => 3,
    }
}

pub(super) fn entry_of(state: i16, attempt: i64, at: i64) -> PageEntry {
    PageEntry {
        state: match state {
            1 => PageState::Sent,
            2 => PageState::Confirmed { poor: false },
            3 => PageState::Confirmed { poor: true },
            _ => PageState::Unsent,
        },
        attempt: u32::try_from(attempt).unwrap_or(0),
        at: Timestamp(at),
    }
}

/// Fills in the ledgers of jobs.
pub(super) async fn ledgers(t: &mut PgConnection, jobs: &mut [Job]) -> Result<(), StoreError> {
    let ids: Vec<&str> = jobs.iter().map(|j| j.id.as_str()).collect();
    let rows = sqlx::query("select job, page, state, attempt, at from fax_ledger where job = any($1)")
        .bind(&ids)
        .fetch_all(t)
        .await
        .map_err(unavailable)?;
    for job in jobs.iter_mut() {
        job.ledger = vec![PageEntry::default(); usize::try_from(job.pages).unwrap_or(0)];
    }
    let mut places: std::collections::HashMap<String, &mut Job> =
        jobs.iter_mut().map(|j| (j.id.to_string(), j)).collect();
    for row in rows {
        let (job, page, state, attempt, at): (String, i64, i16, i64, i64) = (
            row.try_get(0).map_err(unavailable)?,
            row.try_get(1).map_err(unavailable)?,
            row.try_get(2).map_err(unavailable)?,
            row.try_get(3).map_err(unavailable)?,
            row.try_get(4).map_err(unavailable)?,
        );
        let page = usize::try_from(page).unwrap_or(usize::MAX);
        if let Some(place) = places.get_mut(&job).and_then(|j| j.ledger.get_mut(page)) {
            *place = entry_of(state, attempt, at);
        }
    }
    Ok(())
}

pub(super) async fn insert_received(t: &mut PgConnection, fax: &Received) -> Result<(), StoreError> {
    let done = sqlx::query(
        "insert into fax_received (id, account, faxbox, created, document, body) values ($1, $2, $3, $4, $5, $6)
         on conflict (id) do nothing",
    )
    .bind(fax.id.as_str())
    .bind(fax.account.as_str())
    .bind(fax.faxbox.as_ref().map(|b| b.as_str()))
    .bind(fax.created.0)
    .bind(fax.document.as_ref().map(|d| d.as_str()))
    .bind(body(fax)?)
    .execute(t)
    .await
    .map_err(unavailable)?;
    if done.rows_affected() == 0 { Err(StoreError::Exists) } else { Ok(()) }
}

pub(super) async fn delete_received(pool: &PgPool, id: &FaxId) -> Result<(), StoreError> {
    let done = sqlx::query("delete from fax_received where id = $1").bind(id.as_str()).execute(pool).await;
    if done.map_err(unavailable)?.rows_affected() == 0 { Err(StoreError::NotFound) } else { Ok(()) }
}

pub(super) async fn strip_received(t: &mut PgConnection, id: &FaxId) -> Result<Received, StoreError> {
    let found: Option<String> = sqlx::query_scalar("select body from fax_received where id = $1 for update")
        .bind(id.as_str())
        .fetch_optional(&mut *t)
        .await
        .map_err(unavailable)?;
    let fax: Received = unbody(&format!("fax {id}"), &found.ok_or(StoreError::NotFound)?)?;
    sqlx::query("update fax_received set document = null, body = $2 where id = $1")
        .bind(id.as_str())
        .bind(body(&Received { document: None, ..fax.clone() })?)
        .execute(t)
        .await
        .map_err(unavailable)?;
    Ok(fax)
}

pub(super) async fn insert_notices(t: &mut PgConnection, notices: &[Notice]) -> Result<(), StoreError> {
    let (hooks, notices): (Vec<&Notice>, Vec<&Notice>) = notices.iter().partition(|n| n.hook.is_some());
    hooks::insert(&mut *t, &hooks).await?;
    if notices.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = notices.iter().map(|n| n.id.as_str()).collect();
    let times: Vec<i64> = notices.iter().map(|n| n.not_before.0).collect();
    let bodies: Vec<String> = notices.iter().map(|n| body(*n)).collect::<Result<_, _>>()?;
    sqlx::query(
        "insert into fax_notices (id, not_before, body) select * from unnest($1::text[], $2::bigint[], $3::text[])
         on conflict (id) do update set not_before = excluded.not_before, body = excluded.body",
    )
    .bind(&ids)
    .bind(&times)
    .bind(&bodies)
    .execute(t)
    .await
    .map_err(unavailable)?;
    Ok(())
}

pub(super) async fn notice_done(pool: &PgPool, id: &NoticeId) -> Result<(), StoreError> {
    let done = sqlx::query("delete from fax_notices where id = $1").bind(id.as_str()).execute(pool).await;
    if done.map_err(unavailable)?.rows_affected() == 0 { Err(StoreError::NotFound) } else { Ok(()) }
}

pub(super) async fn notice_retry(
    t: &mut PgConnection,
    id: &NoticeId,
    not_before: Timestamp,
    served: Vec<String>,
) -> Result<(), StoreError> {
    let mut notice = hold_notice(t, id).await?;
    notice.served = served;
    notice.tries = notice.tries.saturating_add(1);
    notice.not_before = not_before;
    notice.lease = None;
    insert_notices(t, &[notice]).await
}

/// The notice, locked until the end of the transaction.
async fn hold_notice(t: &mut PgConnection, id: &NoticeId) -> Result<Notice, StoreError> {
    let found: Option<String> = sqlx::query_scalar("select body from fax_notices where id = $1 for update")
        .bind(id.as_str())
        .fetch_optional(t)
        .await
        .map_err(unavailable)?;
    unbody(&format!("notice {id}"), &found.ok_or(StoreError::NotFound)?)
}

pub(super) async fn take_notices(
    t: &mut PgConnection,
    lease: &Lease,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Notice>, StoreError> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "select id, body from fax_notices where not_before <= $1 order by not_before, id limit $2
         for update skip locked",
    )
    .bind(now.0)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(&mut *t)
    .await
    .map_err(unavailable)?;
    let mut taken: Vec<Notice> = Vec::new();
    for (id, body) in rows {
        match unbody::<Notice>(&format!("notice {id}"), &body) {
            Ok(notice) => {
                taken.push(Notice { not_before: lease.until, lease: Some(lease.clone()), ..notice });
            }
            Err(e) => {
                tracing::error!(error = %e, "a notice cannot be read");
                // Else it would be looked at again without end, and those behind it never.
                sqlx::query("update fax_notices set not_before = $2 where id = $1")
                    .bind(&id)
                    .bind(lease.until.0)
                    .execute(&mut *t)
                    .await
                    .map_err(unavailable)?;
            }
        }
    }
    insert_notices(t, &taken).await?;
    Ok(taken)
}

pub(super) async fn keep_notice(t: &mut PgConnection, id: &NoticeId, lease: Lease) -> Result<(), StoreError> {
    let notice = hold_notice(t, id).await?;
    if notice.lease.as_ref().is_none_or(|l| l.node != lease.node) {
        return Err(StoreError::LeaseLost);
    }
    insert_notices(t, &[Notice { not_before: lease.until, lease: Some(lease), ..notice }]).await
}

pub(super) async fn release_notices(
    t: &mut PgConnection,
    node: &NodeId,
    now: Timestamp,
) -> Result<(), StoreError> {
    // What the name may stand in is looked at; a body that is no JSON must not stop the others.
    let bodies: Vec<String> =
        sqlx::query_scalar("select body from fax_notices where position($1 in body) > 0 for update")
            .bind(node.as_str())
            .fetch_all(&mut *t)
            .await
            .map_err(unavailable)?;
    let notices = bodies.iter().filter_map(|body| unbody::<Notice>("notice", body).ok());
    let held: Vec<Notice> = notices
        .filter(|n| n.lease.as_ref().is_some_and(|l| l.node == *node))
        .map(|n| Notice { not_before: now, lease: None, ..n })
        .collect();
    insert_notices(t, &held).await
}
