//! Profiles of numbers and trunks: rows by name, and by age those that may be removed.

use super::lists::readable_bodies;
use super::rows::{body, column, unbody};
use super::unavailable;
use crate::model::{Profile, ProfileKey, Timestamp};
use crate::port::{ProfileChange, ProfileQuery, StoreError};
use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgPool};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The columns of the key.
fn columns(key: &ProfileKey) -> (i16, String, String) {
    let (kind, owner, name) = key.parts();
    (i16::from(kind), column(owner), column(name))
}

/// The time by which a profile may be removed, if ever.
fn aged(profile: &Profile) -> Option<i64> {
    match &profile.key {
        ProfileKey::Number { .. } if !profile.is_locked() => Some(profile.modified.0),
        ProfileKey::Number { .. } | ProfileKey::Trunk { .. } | ProfileKey::None => None,
    }
}

pub(super) async fn read(t: &mut PgConnection, key: &ProfileKey) -> Result<Option<Profile>, StoreError> {
    let (kind, owner, name) = columns(key);
    let row: Option<String> =
        sqlx::query_scalar("select body from fax_profiles where kind = $1 and owner = $2 and name = $3")
            .bind(kind)
            .bind(&owner)
            .bind(&name)
            .fetch_optional(t)
            .await
            .map_err(unavailable)?;
    row.map(|row| unbody(&format!("profile {owner} {name}"), &row)).transpose()
}

/// Changes a profile. The caller holds the queue's lock, so that nobody else changes one. A row that cannot be read
/// begins anew: what calls taught can be learnt again, and must not keep a fax from being ended.
pub(super) async fn change(
    t: &mut PgConnection,
    (key, change): ProfileChange,
) -> Result<Profile, StoreError> {
    let known = match read(t, &key).await {
        Ok(known) => known,
        Err(StoreError::Damaged(e)) => {
            tracing::error!(error = %e, "a profile begins anew");
            None
        }
        Err(e) => return Err(e),
    };
    let before = known.unwrap_or_else(|| Profile { key: key.clone(), ..Profile::default() });
    let mut new = before.clone();
    // The change is the caller's code: its panic must not leave a transaction open.
    if catch_unwind(AssertUnwindSafe(|| change(&mut new))).is_err() {
        tracing::error!("a change to a profile panicked; it stays as it is");
        new = before;
    }
    new.key = key;
    let (kind, owner, name) = columns(&new.key);
    sqlx::query(
        "insert into fax_profiles (kind, owner, name, aged, body) values ($1, $2, $3, $4, $5)
         on conflict (kind, owner, name) do update set aged = excluded.aged, body = excluded.body",
    )
    .bind(kind)
    .bind(owner)
    .bind(name)
    .bind(aged(&new))
    .bind(body(&new)?)
    .execute(t)
    .await
    .map_err(unavailable)?;
    Ok(new)
}

pub(super) async fn forget(pool: &PgPool, key: &ProfileKey) -> Result<(), StoreError> {
    let (kind, owner, name) = columns(key);
    let done = sqlx::query("delete from fax_profiles where kind = $1 and owner = $2 and name = $3")
        .bind(kind)
        .bind(owner)
        .bind(name)
        .execute(pool)
        .await
        .map_err(unavailable)?;
    if done.rows_affected() == 0 { Err(StoreError::NotFound) } else { Ok(()) }
}

pub(super) async fn purge(
    pool: &PgPool,
    before: Timestamp,
    keep: usize,
    limit: usize,
) -> Result<usize, StoreError> {
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let done = sqlx::query(
        "delete from fax_profiles where (kind, owner, name) in
         (select kind, owner, name from
          (select kind, owner, name, aged, row_number() over (order by aged, owner, name) as place
           from fax_profiles where aged is not null order by aged, owner, name limit $3) as oldest
          where aged < $1 or place <= (select count(*) from fax_profiles) - $2)",
    )
    .bind(before.0)
    .bind(number(keep))
    .bind(number(limit))
    .execute(pool)
    .await
    .map_err(unavailable)?;
    Ok(usize::try_from(done.rows_affected()).unwrap_or(usize::MAX))
}

pub(super) async fn list(pool: &PgPool, query: &ProfileQuery) -> Result<Vec<Profile>, StoreError> {
    let (kind, owner, mut after, limit) = match query {
        ProfileQuery::Numbers { account, after, limit } => (0i16, account.as_str(), after.clone(), *limit),
        ProfileQuery::Trunks => (1, "", None, usize::MAX),
    };
    let mut found = Vec::new();
    loop {
        let rows = sqlx::query(
            "select name, body from fax_profiles where kind = $1 and owner = $2 and ($3::text is null or name > $3)
             order by name limit $4",
        )
        .bind(kind)
        .bind(owner)
        .bind(after.as_deref())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(pool)
        .await
        .map_err(unavailable)?;
        let last = rows.last().map(|row| row.try_get(0)).transpose().map_err(unavailable)?;
        let more = rows.len() >= limit;
        found.extend(readable_bodies(Ok(rows), "profile of")?);
        // As in other lists, rows that cannot be read do not count.
        let Some(last) = last.filter(|_| more && found.len() < limit) else { break };
        after = Some(last);
    }
    found.truncate(limit);
    Ok(found)
}
