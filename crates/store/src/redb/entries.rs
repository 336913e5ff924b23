//! Entries: rows by kind and id, in the order of their changes, with names that only one has; and the audit log.

use super::lists::{Ends, ends, walk};
use super::tables::{AUDIT, CHANGES, ENTRIES, Tables};
use super::writer::Fault;
use crate::model::{Audit, Entry, Timestamp};
use crate::port::{AuditQuery, StoreError};
use ::redb::{ReadTransaction, ReadableTable};
use std::collections::{HashMap, HashSet};

/// The row of `meta` that counts changes.
const COUNTER: &str = "entries";

fn decode(row: &[u8], key: (u8, &str)) -> Result<Entry, Fault> {
    let read = serde_json::from_slice(row);
    read.map_err(|e| StoreError::Damaged(format!("entry {} {}: {e}", key.0, key.1)).into())
}

fn encode(row: &impl serde::Serialize) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec(row).map_err(|e| StoreError::Refused(e.to_string()).into())
}

fn key(entry: &Entry) -> (u8, &str) {
    (entry.kind.number(), entry.id.as_str())
}

/// Everything that may be refused is looked at before the first row is written.
pub(super) fn put(t: &mut Tables<'_>, mut entries: Vec<Entry>) -> Result<Vec<Entry>, Fault> {
    let mut old = HashMap::new();
    for entry in &entries {
        let found = t.entries.get(key(entry))?.map(|row| decode(row.value(), key(entry))).transpose()?;
        let stands = found.as_ref().map_or(0, |e| e.change);
        let fits = entry.change == stands || (entry.change == 0 && found.as_ref().is_some_and(|e| e.deleted));
        if !fits || old.insert((entry.kind.number(), entry.id.clone()), found).is_some() {
            return Err(StoreError::Refused("somebody else has changed it meanwhile".into()).into());
        }
    }
    let mut wanted = HashSet::new();
    for entry in &entries {
        for claim in &entry.claims {
            let holder = t.claims.get(claim.as_str())?.map(|v| (v.value().0, v.value().1.to_owned()));
            let free = holder.is_none_or(|holder| old.contains_key(&holder));
            if !free || !wanted.insert(claim) {
                return Err(StoreError::Taken(claim.clone()).into());
            }
        }
    }
    drop(wanted);
    let mut change = t.meta.get(COUNTER)?.map_or(0, |v| v.value());
    let mut rows = Vec::new();
    for entry in &mut entries {
        change += 1;
        entry.change = change;
        rows.push(encode(entry)?);
    }
    for before in old.values().flatten() {
        t.changes.remove(before.change)?;
        for claim in &before.claims {
            t.claims.remove(claim.as_str())?;
        }
    }
    for (entry, row) in entries.iter().zip(&rows) {
        t.entries.insert(key(entry), row.as_slice())?;
        t.changes.insert(entry.change, key(entry))?;
        for claim in &entry.claims {
            t.claims.insert(claim.as_str(), key(entry))?;
        }
    }
    t.meta.insert(COUNTER, change)?;
    Ok(entries)
}

/// Writes an entry with the change number that it has, if it is not there.
pub(super) fn restore(t: &mut Tables<'_>, entry: &Entry) -> Result<(), Fault> {
    if t.entries.get(key(entry))?.is_some() {
        return Ok(());
    }
    let row = encode(entry)?;
    t.entries.insert(key(entry), row.as_slice())?;
    t.changes.insert(entry.change, key(entry))?;
    for claim in &entry.claims {
        t.claims.insert(claim.as_str(), key(entry))?;
    }
    let last = t.meta.get(COUNTER)?.map_or(0, |v| v.value());
    t.meta.insert(COUNTER, last.max(entry.change))?;
    Ok(())
}

pub(super) fn after(r: &ReadTransaction, after: u64, limit: usize) -> Result<Vec<Entry>, Fault> {
    let (changes, entries) = (r.open_table(CHANGES)?, r.open_table(ENTRIES)?);
    let mut found = Vec::new();
    for row in changes.range(after.saturating_add(1)..)? {
        if found.len() >= limit {
            break;
        }
        let (_, at) = row?;
        let Some(row) = entries.get(at.value())? else { continue };
        match decode(row.value(), at.value()) {
            Ok(entry) => found.push(entry),
            Err(Fault::Refused(e)) => tracing::error!(error = %e, "an entry is left out"),
            Err(file) => return Err(file),
        }
    }
    Ok(found)
}

pub(super) fn insert_audit(t: &mut Tables<'_>, records: &[Audit]) -> Result<(), Fault> {
    let rows = records.iter().map(encode).collect::<Result<Vec<_>, _>>()?;
    for (record, row) in records.iter().zip(rows) {
        let (account, at, id) = (record.account.as_str(), record.at.0, record.id.as_str());
        t.audit.insert((account, at, id), row.as_slice())?;
        t.audit_aged.insert((at, id), account)?;
    }
    Ok(())
}

pub(super) fn audit(r: &ReadTransaction, query: &AuditQuery) -> Result<Vec<Audit>, Fault> {
    let table = r.open_table(AUDIT)?;
    let Ends { low, high, after } = ends(&query.range);
    let mut found = Vec::new();
    if low > high {
        return Ok(found);
    }
    let a = query.account.as_str();
    let rows = table.range((a, low.0, low.1)..=(a, high.0, high.1))?;
    let rows = rows.map(|row| row.map(|(k, _)| (k.value().1, k.value().2.to_owned())));
    for row in walk(rows, query.range.ascending, after) {
        if found.len() >= query.range.limit {
            break;
        }
        let (at, id) = row?;
        let Some(record) = table.get((a, at, id.as_str()))? else { continue };
        match serde_json::from_slice(record.value()) {
            Ok(record) => found.push(record),
            Err(e) => tracing::error!(%id, error = %e, "an audit record cannot be read"),
        }
    }
    Ok(found)
}

pub(super) fn purge_audit(t: &mut Tables<'_>, before: Timestamp, limit: usize) -> Result<usize, Fault> {
    let mut removed = 0;
    while removed < limit {
        let oldest = t.audit_aged.first()?.map(|(k, account)| {
            let (at, id) = k.value();
            (at, id.to_owned(), account.value().to_owned())
        });
        let Some((at, id, account)) = oldest.filter(|(at, ..)| *at < before.0) else { break };
        t.audit_aged.remove((at, id.as_str()))?;
        t.audit.remove((account.as_str(), at, id.as_str()))?;
        removed += 1;
    }
    Ok(removed)
}
