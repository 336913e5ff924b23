//! Entries: rows by kind and id, in the order of their changes, with names that only one has; and the audit log.

use super::lists::{body_of, page, readable_bodies};
use super::rows::{body, column, unbody};
use super::{changed, unavailable};
use crate::model::{Audit, Entry, Timestamp};
use crate::port::{AuditQuery, StoreError};
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{QueryBuilder, Row as _};
use std::collections::HashSet;

/// Stores entries. Whoever changes entries holds the row that counts them until the end: changes become visible in the
/// order of their numbers, so that a node that asks for all after a number misses none.
pub(super) async fn put(t: &mut PgConnection, mut entries: Vec<Entry>) -> Result<Vec<Entry>, StoreError> {
    let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
    let last: i64 =
        sqlx::query_scalar("update fax_meta set value = value + $1 where key = 'entries' returning value")
            .bind(count)
            .fetch_one(&mut *t)
            .await
            .map_err(unavailable)?;
    let mut change = last.saturating_sub(count);
    let mut seen = HashSet::new();
    for entry in &entries {
        let (kind, id) = key(entry);
        let once = seen.insert((kind, id.clone()));
        let old: Option<String> =
            sqlx::query_scalar("select body from fax_entries where kind = $1 and id = $2")
                .bind(kind)
                .bind(&id)
                .fetch_optional(&mut *t)
                .await
                .map_err(unavailable)?;
        let old: Option<Entry> = old.map(|old| unbody(&format!("entry {id}"), &old)).transpose()?;
        let stands = old.as_ref().map_or(0, |e| e.change);
        let fits = entry.change == stands || (entry.change == 0 && old.is_some_and(|e| e.deleted));
        if !once || !fits {
            return Err(StoreError::Refused("somebody else has changed it meanwhile".into()));
        }
        sqlx::query("delete from fax_claims where kind = $1 and id = $2")
            .bind(kind)
            .bind(&id)
            .execute(&mut *t)
            .await
            .map_err(unavailable)?;
    }
    for entry in &mut entries {
        change += 1;
        entry.change = u64::try_from(change).unwrap_or(0);
        let (kind, id) = key(entry);
        sqlx::query(
            "insert into fax_entries (kind, id, change, body) values ($1, $2, $3, $4)
             on conflict (kind, id) do update set change = excluded.change, body = excluded.body",
        )
        .bind(kind)
        .bind(&id)
        .bind(change)
        .bind(body(entry)?)
        .execute(&mut *t)
        .await
        .map_err(unavailable)?;
        for claim in &entry.claims {
            let done = sqlx::query(
                "insert into fax_claims (claim, kind, id) values ($1, $2, $3) on conflict (claim) do nothing",
            )
            .bind(column(claim))
            .bind(kind)
            .bind(&id)
            .execute(&mut *t)
            .await
            .map_err(unavailable)?;
            if done.rows_affected() == 0 {
                return Err(StoreError::Taken(claim.clone()));
            }
        }
    }
    changed::tell_entries(t).await?;
    Ok(entries)
}

fn key(entry: &Entry) -> (i16, String) {
    (i16::from(entry.kind.number()), column(&entry.id))
}

pub(super) async fn after(pool: &PgPool, after: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
    let mut after = i64::try_from(after).unwrap_or(i64::MAX);
    let mut found = Vec::new();
    loop {
        let sql = "select id, body, change from fax_entries where change > $1 order by change limit $2";
        let rows = sqlx::query(sql)
            .bind(after)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(pool)
            .await
            .map_err(unavailable)?;
        let last = rows.last().map(|row| row.try_get("change")).transpose().map_err(unavailable)?;
        let more = rows.len() >= limit;
        found.extend(readable_bodies(Ok(rows), "entry")?);
        // Rows that cannot be read do not count: who gets fewer than it asked for has seen the last.
        let Some(last) = last.filter(|_| more && found.len() < limit) else { break };
        after = last;
    }
    found.truncate(limit);
    Ok(found)
}

pub(super) async fn insert_audit(pool: &PgPool, records: &[Audit]) -> Result<(), StoreError> {
    let accounts: Vec<String> = records.iter().map(|r| column(r.account.as_str())).collect();
    let times: Vec<i64> = records.iter().map(|r| r.at.0).collect();
    let ids: Vec<&str> = records.iter().map(|r| r.id.as_str()).collect();
    let bodies = records.iter().map(body).collect::<Result<Vec<_>, _>>()?;
    sqlx::query(
        "insert into fax_audit (account, created, id, body)
         select * from unnest($1::text[], $2::bigint[], $3::text[], $4::text[]) on conflict do nothing",
    )
    .bind(&accounts)
    .bind(&times)
    .bind(&ids)
    .bind(&bodies)
    .execute(pool)
    .await
    .map_err(unavailable)?;
    Ok(())
}

pub(super) async fn audit(pool: &PgPool, query: &AuditQuery) -> Result<Vec<Audit>, StoreError> {
    let begun = || {
        let mut sql = QueryBuilder::new("select id, body, created from fax_audit where account = ");
        sql.push_bind(query.account.to_string());
        sql
    };
    let mut connection = pool.acquire().await.map_err(unavailable)?;
    page(&mut connection, &query.range, begun, |row| body_of(row, "audit record")).await
}

pub(super) async fn purge_audit(pool: &PgPool, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
    let done = sqlx::query(
        "delete from fax_audit where (account, created, id) in
         (select account, created, id from fax_audit where created < $1 order by created limit $2)",
    )
    .bind(before.0)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .execute(pool)
    .await
    .map_err(unavailable)?;
    Ok(usize::try_from(done.rows_affected()).unwrap_or(usize::MAX))
}
