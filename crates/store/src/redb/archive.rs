//! Every row as it is, out of the file and into an empty one.

use super::lists;
use super::tables::{
    AUDIT, CHANGES, ENTRIES, HOOK_ATTEMPTS, HOOK_NOTICES, JOBS, META, NOTICES, PROFILES, RECEIVED, Tables,
};
use super::writer::Fault;
use super::{entries, hooks, jobs, profiles, rows};
use crate::model::{JobId, Row, RowKind};
use crate::port::StoreError;
use ::redb::{ReadTransaction, ReadableTable};
use core::ops::Bound::{Excluded, Unbounded};
use serde::de::DeserializeOwned;

/// The row of `meta` that says which archive is being imported.
const IMPORT: &str = "import";

/// A place in a list, as text.
fn cursor(key: &impl serde::Serialize) -> Result<String, Fault> {
    serde_json::to_string(key).map_err(|e| StoreError::Refused(e.to_string()).into())
}

fn place<T: DeserializeOwned>(after: Option<&str>) -> Result<Option<T>, Fault> {
    let read = after.map(serde_json::from_str).transpose();
    read.map_err(|e| StoreError::Refused(format!("no place in a list: {e}")).into())
}

fn decode<T: DeserializeOwned>(what: &str, row: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(row).map_err(|e| StoreError::Damaged(format!("{what}: {e}")).into())
}

type Found = Vec<(String, Row)>;

pub(super) fn list(
    r: &ReadTransaction,
    kind: RowKind,
    after: Option<&str>,
    limit: usize,
) -> Result<Found, Fault> {
    let mut found = Found::new();
    // The rows of a table after a place, each made into one of [`Row`].
    macro_rules! walk {
        ($table:expr, $owned:ty, $after:expr, |$key:ident, $value:ident| $row:expr) => {{
            let table = r.open_table($table)?;
            let from: Option<$owned> = place(after)?;
            let from = from.as_ref().map_or(Unbounded, |a| Excluded($after(a)));
            for row in table.range::<&str>((from, Unbounded))?.take(limit) {
                let (key, value) = row?;
                let ($key, $value) = (key.value(), value.value());
                found.push((cursor(&$key)?, $row));
            }
        }};
    }
    // The same for keys of a name, a time and an id.
    macro_rules! walk_times {
        ($table:expr, $what:literal, $row:path) => {{
            let table = r.open_table($table)?;
            let from: Option<(String, i64, String)> = place(after)?;
            let from =
                from.as_ref().map_or(Unbounded, |(name, at, id)| Excluded((name.as_str(), *at, id.as_str())));
            for row in table.range::<(&str, i64, &str)>((from, Unbounded))?.take(limit) {
                let (key, value) = row?;
                let row = decode(&format!("{} {}", $what, key.value().2), value.value())?;
                found.push((cursor(&key.value())?, $row(Box::new(row))));
            }
        }};
    }
    match kind {
        RowKind::Job => walk!(JOBS, String, String::as_str, |id, _row| {
            let job = lists::job(r, &JobId::new(id))?.ok_or(StoreError::NotFound)?;
            Row::Job(Box::new(job))
        }),
        RowKind::Received => walk!(RECEIVED, String, String::as_str, |id, row| {
            Row::Received(Box::new(decode(&format!("fax {id}"), row)?))
        }),
        RowKind::Notice => walk!(NOTICES, String, String::as_str, |id, row| {
            Row::Notice(Box::new(decode(&format!("notice {id}"), row)?))
        }),
        RowKind::HookNotice => walk!(HOOK_NOTICES, String, String::as_str, |id, row| {
            Row::HookNotice(Box::new(decode(&format!("notice {id}"), row)?))
        }),
        RowKind::Profile => {
            let table = r.open_table(PROFILES)?;
            let from: Option<(u8, String, String)> = place(after)?;
            let from =
                from.as_ref().map_or(Unbounded, |(kind, o, n)| Excluded((*kind, o.as_str(), n.as_str())));
            for row in table.range::<(u8, &str, &str)>((from, Unbounded))?.take(limit) {
                let (key, value) = row?;
                let row = decode(&format!("profile {}", key.value().2), value.value())?;
                found.push((cursor(&key.value())?, Row::Profile(Box::new(row))));
            }
        }
        RowKind::Audit => walk_times!(AUDIT, "audit record", Row::Audit),
        RowKind::HookAttempt => walk_times!(HOOK_ATTEMPTS, "attempt", Row::HookAttempt),
        RowKind::Entry => {
            let (changes, table) = (r.open_table(CHANGES)?, r.open_table(ENTRIES)?);
            let from: Option<u64> = place(after)?;
            for row in changes.range::<u64>((from.map_or(Unbounded, Excluded), Unbounded))?.take(limit) {
                let (change, key) = row?;
                let row = table.get(key.value())?.ok_or(StoreError::NotFound)?;
                let entry = decode(&format!("entry {}", key.value().1), row.value())?;
                found.push((cursor(&change.value())?, Row::Entry(Box::new(entry))));
            }
        }
    }
    Ok(found)
}

/// Writes rows as they are; those that are there already stay.
pub(super) fn restore(t: &mut Tables<'_>, all: &[Row]) -> Result<(), Fault> {
    for row in all {
        match row {
            Row::Entry(entry) => entries::restore(t, entry)?,
            Row::Profile(profile) => profiles::put(t, None, profile)?,
            Row::Job(job) if t.jobs.get(job.id.as_str())?.is_some() => {}
            Row::Job(job) => jobs::restore(t, job)?,
            Row::Received(fax) if t.received.get(fax.id.as_str())?.is_some() => {}
            Row::Received(fax) => rows::insert_received(t, fax, &[])?,
            Row::Notice(notice) | Row::HookNotice(notice) => {
                rows::insert_notices(t, core::slice::from_ref(notice.as_ref()))?
            }
            Row::HookAttempt(attempt) => hooks::keep(t, attempt)?,
            Row::Audit(record) => entries::insert_audit(t, core::slice::from_ref(record.as_ref()))?,
        }
    }
    Ok(())
}

pub(super) fn import_under_way(r: &ReadTransaction) -> Result<Option<u64>, Fault> {
    Ok(r.open_table(META)?.get(IMPORT)?.map(|v| v.value()))
}

pub(super) fn note_import(t: &mut Tables<'_>, archive: Option<u64>) -> Result<(), Fault> {
    match archive {
        Some(archive) => t.meta.insert(IMPORT, archive)?,
        None => t.meta.remove(IMPORT)?,
    };
    Ok(())
}
