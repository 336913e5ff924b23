//! What web hooks are to be told, what came of telling them, and how much waits.

use super::lists::readable_bodies;
use super::rows::{body, column, unbody};
use super::unavailable;
use crate::model::{HookAttempt, Notice, NoticeId, Timestamp};
use crate::port::{Backlog, HOOK_ATTEMPTS, StoreError};
use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgPool};

pub(super) async fn insert(t: &mut PgConnection, notices: &[&Notice]) -> Result<(), StoreError> {
    if notices.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = notices.iter().map(|n| n.id.as_str()).collect();
    let times: Vec<i64> = notices.iter().map(|n| n.not_before.0).collect();
    let bodies: Vec<String> = notices.iter().map(|n| body(*n)).collect::<Result<_, _>>()?;
    sqlx::query(
        "insert into fax_hook_notices (id, not_before, body)
         select * from unnest($1::text[], $2::bigint[], $3::text[])
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

pub(super) async fn take(
    t: &mut PgConnection,
    now: Timestamp,
    until: Timestamp,
    limit: usize,
) -> Result<Vec<Notice>, StoreError> {
    let rows = sqlx::query(
        "select id, body from fax_hook_notices where not_before <= $1 order by not_before, id limit $2
         for update skip locked",
    )
    .bind(now.0)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(&mut *t)
    .await
    .map_err(unavailable)?;
    let mut taken = Vec::new();
    for row in &rows {
        let id: &str = row.try_get(0).map_err(unavailable)?;
        let read: Result<Notice, _> = unbody(&format!("notice {id}"), row.try_get(1).map_err(unavailable)?);
        match read {
            Ok(notice) => {
                taken.push(Notice { tries: notice.tries.saturating_add(1), not_before: until, ..notice })
            }
            Err(e) => {
                tracing::error!(error = %e, "a notice for a web hook is left out");
                let later = sqlx::query("update fax_hook_notices set not_before = $2 where id = $1");
                later.bind(id).bind(until.0).execute(&mut *t).await.map_err(unavailable)?;
            }
        }
    }
    insert(t, &taken.iter().collect::<Vec<_>>()).await?;
    Ok(taken)
}

pub(super) async fn next(pool: &PgPool) -> Result<Option<Timestamp>, StoreError> {
    let at: Option<i64> = sqlx::query_scalar("select min(not_before) from fax_hook_notices")
        .fetch_one(pool)
        .await
        .map_err(unavailable)?;
    Ok(at.map(Timestamp))
}

pub(super) async fn called(
    t: &mut PgConnection,
    id: &NoticeId,
    again: Option<Timestamp>,
    attempt: Option<&HookAttempt>,
) -> Result<(), StoreError> {
    let found: Option<String> =
        sqlx::query_scalar("select body from fax_hook_notices where id = $1 for update")
            .bind(id.as_str())
            .fetch_optional(&mut *t)
            .await
            .map_err(unavailable)?;
    match (again, found) {
        (Some(at), Some(old)) => {
            let old: Notice = unbody(&format!("notice {id}"), &old)?;
            let tries = old.tries.saturating_sub(u32::from(attempt.is_none()));
            insert(&mut *t, &[&Notice { not_before: at, tries, ..old }]).await?;
        }
        (None, Some(_)) => {
            let gone = sqlx::query("delete from fax_hook_notices where id = $1").bind(id.as_str());
            gone.execute(&mut *t).await.map_err(unavailable)?;
        }
        (_, None) => {}
    }
    let Some(attempt) = attempt else { return Ok(()) };
    keep(&mut *t, attempt).await?;
    sqlx::query(
        "delete from fax_hook_attempts where hook = $1 and (at, id) in
         (select at, id from fax_hook_attempts where hook = $1 order by at desc, id desc offset $2)",
    )
    .bind(column(&attempt.hook))
    .bind(i64::try_from(HOOK_ATTEMPTS).unwrap_or(i64::MAX))
    .execute(&mut *t)
    .await
    .map_err(unavailable)?;
    Ok(())
}

/// Writes an attempt; one that is there already stays.
pub(super) async fn keep(t: &mut PgConnection, attempt: &HookAttempt) -> Result<(), StoreError> {
    sqlx::query(
        "insert into fax_hook_attempts (hook, at, id, body) values ($1, $2, $3, $4) on conflict do nothing",
    )
    .bind(column(&attempt.hook))
    .bind(attempt.at.0)
    .bind(&attempt.id)
    .bind(body(attempt)?)
    .execute(t)
    .await
    .map_err(unavailable)?;
    Ok(())
}

pub(super) async fn attempts(pool: &PgPool, hook: &str) -> Result<Vec<HookAttempt>, StoreError> {
    let rows =
        sqlx::query("select id, body from fax_hook_attempts where hook = $1 order by at desc, id desc")
            .bind(column(hook))
            .fetch_all(pool)
            .await;
    readable_bodies(rows, "attempt")
}

pub(super) async fn forget(pool: &PgPool, hook: &str) -> Result<(), StoreError> {
    let gone = sqlx::query("delete from fax_hook_attempts where hook = $1").bind(column(hook));
    gone.execute(pool).await.map_err(unavailable)?;
    Ok(())
}

pub(super) async fn backlog(pool: &PgPool) -> Result<Backlog, StoreError> {
    let row = sqlx::query(
        "select count(*) filter (where state = 0), count(*) filter (where state = 1),
                count(*) filter (where state in (2, 3)),
                (select count(*) from fax_notices), (select count(*) from fax_hook_notices)
         from fax_jobs where folder = 0",
    )
    .fetch_one(pool)
    .await
    .map_err(unavailable)?;
    let count = |at: usize| -> Result<u64, StoreError> {
        let n: i64 = row.try_get(at).map_err(unavailable)?;
        Ok(u64::try_from(n).unwrap_or(0))
    };
    Ok(Backlog {
        converting: count(0)?,
        pending: count(1)?,
        held: count(2)?,
        notices: count(3)?,
        hook_notices: count(4)?,
    })
}
