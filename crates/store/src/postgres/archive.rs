//! Every row as it is, out of the database and into an empty one.

use super::rows::{JOB_COLUMNS, body, column, job_of, ledgers, unbody};
use super::{hooks, jobs, lists, profiles, rows, unavailable};
use crate::model::{Entry, Profile, Row, RowKind};
use crate::port::{ProfileChange, StoreError};
use serde::de::DeserializeOwned;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{AssertSqlSafe, Row as _};

/// The row of `fax_meta` that says which archive is being imported.
const IMPORT: &str = "import";

fn cursor(key: &impl serde::Serialize) -> Result<String, StoreError> {
    body(key)
}

fn place<T: DeserializeOwned>(after: Option<&str>) -> Result<Option<T>, StoreError> {
    let read = after.map(serde_json::from_str).transpose();
    read.map_err(|e| StoreError::Refused(format!("no place in a list: {e}")))
}

type Found = Vec<(String, Row)>;

/// Rows of a table that is ordered by its id.
async fn by_id<T: DeserializeOwned>(
    pool: &PgPool,
    sql: &'static str,
    after: Option<&str>,
    limit: i64,
    row_of: impl Fn(T) -> Row,
) -> Result<Found, StoreError> {
    let after: Option<String> = place(after)?;
    let found = sqlx::query(sql).bind(after.unwrap_or_default()).bind(limit).fetch_all(pool).await;
    let one = |row: &sqlx::postgres::PgRow| {
        let id: &str = row.try_get(0).map_err(unavailable)?;
        Ok((cursor(&id)?, row_of(unbody(id, row.try_get(1).map_err(unavailable)?)?)))
    };
    found.map_err(unavailable)?.iter().map(one).collect()
}

/// Rows of a table that is ordered by a name, a time and an id.
async fn by_time<T: DeserializeOwned>(
    pool: &PgPool,
    sql: &'static str,
    after: Option<&str>,
    limit: i64,
    row_of: impl Fn(T) -> Row,
) -> Result<Found, StoreError> {
    let (name, at, id): (String, i64, String) =
        place(after)?.unwrap_or((String::new(), i64::MIN, String::new()));
    let found = sqlx::query(sql).bind(name).bind(at).bind(id).bind(limit).fetch_all(pool).await;
    let one = |row: &sqlx::postgres::PgRow| {
        let (name, at, id): (&str, i64, &str) = (
            row.try_get(0).map_err(unavailable)?,
            row.try_get(1).map_err(unavailable)?,
            row.try_get(2).map_err(unavailable)?,
        );
        let read = unbody(id, row.try_get(3).map_err(unavailable)?)?;
        Ok((cursor(&(name, at, id))?, row_of(read)))
    };
    found.map_err(unavailable)?.iter().map(one).collect()
}

pub(super) async fn list(
    pool: &PgPool,
    kind: RowKind,
    after: Option<&str>,
    limit: usize,
) -> Result<Found, StoreError> {
    let count = i64::try_from(limit).unwrap_or(i64::MAX);
    match kind {
        RowKind::Entry => {
            let after: Option<u64> = place(after)?;
            let found =
                sqlx::query("select id, body from fax_entries where change > $1 order by change limit $2")
                    .bind(i64::try_from(after.unwrap_or(0)).unwrap_or(i64::MAX))
                    .bind(count)
                    .fetch_all(pool)
                    .await;
            // An entry that is left out may be the key of an account's documents.
            let found: Vec<Entry> = lists::bodies(found, "entry")?;
            found.into_iter().map(|e| Ok((cursor(&e.change)?, Row::Entry(Box::new(e))))).collect()
        }
        RowKind::Profile => {
            let (kind, owner, name): (i16, String, String) =
                place(after)?.unwrap_or((-1, String::new(), String::new()));
            let found = sqlx::query(
                "select kind, owner, name, body from fax_profiles where (kind, owner, name) > ($1, $2, $3)
                 order by kind, owner, name limit $4",
            )
            .bind(kind)
            .bind(owner)
            .bind(name)
            .bind(count)
            .fetch_all(pool)
            .await
            .map_err(unavailable)?;
            let one = |row: &sqlx::postgres::PgRow| {
                let (kind, owner, name): (i16, &str, &str) = (
                    row.try_get(0).map_err(unavailable)?,
                    row.try_get(1).map_err(unavailable)?,
                    row.try_get(2).map_err(unavailable)?,
                );
                let profile = unbody(&format!("profile {name}"), row.try_get(3).map_err(unavailable)?)?;
                Ok((cursor(&(kind, owner, name))?, Row::Profile(Box::new(profile))))
            };
            found.iter().map(one).collect()
        }
        RowKind::Job => {
            let after: Option<String> = place(after)?;
            let mut t = pool.begin().await.map_err(unavailable)?;
            sqlx::raw_sql("set transaction isolation level repeatable read read only")
                .execute(&mut *t)
                .await
                .map_err(unavailable)?;
            let sql = format!("select {JOB_COLUMNS} from fax_jobs where id > $1 order by id limit $2");
            let found = sqlx::query(AssertSqlSafe(sql)).bind(after.unwrap_or_default()).bind(count);
            let found = found.fetch_all(&mut *t).await.map_err(unavailable)?;
            let mut jobs = found.iter().map(job_of).collect::<Result<Vec<_>, _>>()?;
            ledgers(&mut t, &mut jobs).await?;
            t.commit().await.map_err(unavailable)?;
            jobs.into_iter().map(|j| Ok((cursor(&j.id)?, Row::Job(Box::new(j))))).collect()
        }
        RowKind::Received => {
            let sql = "select id, body from fax_received where id > $1 order by id limit $2";
            by_id(pool, sql, after, count, |fax| Row::Received(Box::new(fax))).await
        }
        RowKind::Notice => {
            let sql = "select id, body from fax_notices where id collate \"C\" > $1 order by id collate \"C\" limit $2";
            by_id(pool, sql, after, count, |notice| Row::Notice(Box::new(notice))).await
        }
        RowKind::HookNotice => {
            let sql = "select id, body from fax_hook_notices where id collate \"C\" > $1 order by id collate \"C\" limit $2";
            by_id(pool, sql, after, count, |notice| Row::HookNotice(Box::new(notice))).await
        }
        RowKind::HookAttempt => {
            let sql = "select hook, at, id, body from fax_hook_attempts where (hook, at, id) > ($1, $2, $3)
                       order by hook, at, id limit $4";
            by_time(pool, sql, after, count, |attempt| Row::HookAttempt(Box::new(attempt))).await
        }
        RowKind::Audit => {
            let sql =
                "select account, created, id, body from fax_audit where (account, created, id) > ($1, $2, $3)
                       order by account, created, id limit $4";
            by_time(pool, sql, after, count, |record| Row::Audit(Box::new(record))).await
        }
    }
}

/// Writes rows as they are; those that are there already stay.
pub(super) async fn restore(t: &mut PgConnection, all: &[Row]) -> Result<(), StoreError> {
    for row in all {
        match row {
            Row::Entry(entry) => restore_entry(t, entry).await?,
            Row::Profile(profile) => {
                let whole = profile.as_ref().clone();
                let change: ProfileChange =
                    (profile.key.clone(), Box::new(move |p: &mut Profile| *p = whole));
                profiles::change(t, change).await?;
            }
            Row::Job(job) => match jobs::restore(t, job).await {
                Ok(()) | Err(StoreError::Exists) => {}
                Err(e) => return Err(e),
            },
            Row::Received(fax) => match rows::insert_received(t, fax).await {
                Ok(()) | Err(StoreError::Exists) => {}
                Err(e) => return Err(e),
            },
            Row::Notice(notice) | Row::HookNotice(notice) => {
                rows::insert_notices(t, core::slice::from_ref(notice.as_ref())).await?;
            }
            Row::HookAttempt(attempt) => hooks::keep(t, attempt).await?,
            Row::Audit(record) => {
                sqlx::query("insert into fax_audit values ($1, $2, $3, $4) on conflict do nothing")
                    .bind(column(record.account.as_str()))
                    .bind(record.at.0)
                    .bind(&record.id)
                    .bind(body(record)?)
                    .execute(&mut *t)
                    .await
                    .map_err(unavailable)?;
            }
        }
    }
    Ok(())
}

/// With the change number that it has.
async fn restore_entry(t: &mut PgConnection, entry: &Entry) -> Result<(), StoreError> {
    let (kind, id) = (i16::from(entry.kind.number()), column(&entry.id));
    let change = i64::try_from(entry.change).unwrap_or(i64::MAX);
    let done = sqlx::query(
        "insert into fax_entries (kind, id, change, body) values ($1, $2, $3, $4) on conflict do nothing",
    )
    .bind(kind)
    .bind(&id)
    .bind(change)
    .bind(body(entry)?)
    .execute(&mut *t)
    .await
    .map_err(unavailable)?;
    if done.rows_affected() == 0 {
        return Ok(());
    }
    for claim in &entry.claims {
        sqlx::query("insert into fax_claims (claim, kind, id) values ($1, $2, $3)")
            .bind(column(claim))
            .bind(kind)
            .bind(&id)
            .execute(&mut *t)
            .await
            .map_err(unavailable)?;
    }
    sqlx::query("update fax_meta set value = greatest(value, $1) where key = 'entries'")
        .bind(change)
        .execute(t)
        .await
        .map_err(unavailable)?;
    Ok(())
}

pub(super) async fn import_under_way(pool: &PgPool) -> Result<Option<u64>, StoreError> {
    let found: Option<i64> = sqlx::query_scalar("select value from fax_meta where key = $1")
        .bind(IMPORT)
        .fetch_optional(pool)
        .await
        .map_err(unavailable)?;
    Ok(found.map(i64::cast_unsigned))
}

pub(super) async fn note_import(pool: &PgPool, archive: Option<u64>) -> Result<(), StoreError> {
    let done =
        match archive {
            Some(archive) => sqlx::query(
                "insert into fax_meta values ($1, $2) on conflict (key) do update set value = excluded.value",
            )
            .bind(IMPORT)
            .bind(archive.cast_signed())
            .execute(pool)
            .await,
            None => sqlx::query("delete from fax_meta where key = $1").bind(IMPORT).execute(pool).await,
        };
    done.map(|_| ()).map_err(unavailable)
}
