//! What web hooks are to be told, what came of telling them, and how much waits.

use super::tables::{
    HOOK_ATTEMPTS, HOOK_NOTICES, HOOK_NOTICES_DUE, LANES, LAST, LISTED_ALL, NOTICES, OVERTAKEN, PARKING,
    RUNNING, Tables,
};
use super::writer::Fault;
use crate::model::{HookAttempt, Notice, NoticeId, Timestamp};
use crate::port::{Backlog, HOOK_ATTEMPTS as MOST, StoreError};
use ::redb::{ReadTransaction, ReadableTable, ReadableTableMetadata};

fn encode(row: &impl serde::Serialize) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec(row).map_err(|e| StoreError::Refused(e.to_string()).into())
}

fn read(t: &Tables<'_>, id: &str) -> Result<Option<Notice>, Fault> {
    let Some(row) = t.hook_notices.get(id)? else { return Ok(None) };
    match serde_json::from_slice(row.value()) {
        Ok(notice) => Ok(Some(notice)),
        Err(e) => {
            tracing::error!(notice = id, error = %e, "a notice for a web hook cannot be read");
            Ok(None)
        }
    }
}

fn put(t: &mut Tables<'_>, was: Timestamp, notice: &Notice) -> Result<(), Fault> {
    let (id, row) = (notice.id.as_str(), encode(notice)?);
    t.hook_notices_due.remove((was.0, id))?;
    t.hook_notices.insert(id, row.as_slice())?;
    t.hook_notices_due.insert((notice.not_before.0, id), ())?;
    Ok(())
}

pub(super) fn take(
    t: &mut Tables<'_>,
    now: Timestamp,
    until: Timestamp,
    limit: usize,
) -> Result<Vec<Notice>, Fault> {
    let mut due = Vec::new();
    for row in t.hook_notices_due.range(..=(now.0, LAST))? {
        if due.len() >= limit {
            break;
        }
        let key = row?.0;
        let (at, id) = key.value();
        due.push((at, id.to_owned()));
    }
    let mut taken = Vec::new();
    for (at, id) in due {
        let Some(mut notice) = read(t, &id)? else {
            // What cannot be read stays where somebody may look at it, and is not due any more.
            t.hook_notices_due.remove((at, id.as_str()))?;
            continue;
        };
        let was = notice.not_before;
        notice.tries = notice.tries.saturating_add(1);
        notice.not_before = until;
        put(t, was, &notice)?;
        taken.push(notice);
    }
    Ok(taken)
}

pub(super) fn next(r: &ReadTransaction) -> Result<Option<Timestamp>, Fault> {
    let due = r.open_table(HOOK_NOTICES_DUE)?;
    let first = due.first()?.map(|(key, _)| Timestamp(key.value().0));
    Ok(first)
}

pub(super) fn called(
    t: &mut Tables<'_>,
    id: &NoticeId,
    again: Option<Timestamp>,
    attempt: Option<&HookAttempt>,
) -> Result<(), Fault> {
    if let Some(mut notice) = read(t, id.as_str())? {
        let was = notice.not_before;
        match again {
            Some(at) => {
                notice.not_before = at;
                notice.tries = notice.tries.saturating_sub(u32::from(attempt.is_none()));
                put(t, was, &notice)?;
            }
            None => {
                t.hook_notices.remove(id.as_str())?;
                t.hook_notices_due.remove((was.0, id.as_str()))?;
            }
        }
    }
    let Some(attempt) = attempt else { return Ok(()) };
    keep(t, attempt)?;
    let hook = attempt.hook.as_str();
    let all = keys(t, hook)?;
    let old = all.len().saturating_sub(MOST);
    for (at, id) in all.iter().take(old) {
        t.hook_attempts.remove((hook, *at, id.as_str()))?;
    }
    Ok(())
}

/// Writes an attempt.
pub(super) fn keep(t: &mut Tables<'_>, attempt: &HookAttempt) -> Result<(), Fault> {
    let (hook, row) = (attempt.hook.as_str(), encode(attempt)?);
    t.hook_attempts.insert((hook, attempt.at.0, attempt.id.as_str()), row.as_slice())?;
    Ok(())
}

fn keys(t: &Tables<'_>, hook: &str) -> Result<Vec<(i64, String)>, Fault> {
    let rows = t.hook_attempts.range((hook, i64::MIN, "")..=(hook, i64::MAX, LAST))?;
    rows.map(|row| row.map(|(k, _)| (k.value().1, k.value().2.to_owned())).map_err(Fault::from)).collect()
}

pub(super) fn attempts(r: &ReadTransaction, hook: &str) -> Result<Vec<HookAttempt>, Fault> {
    let table = r.open_table(HOOK_ATTEMPTS)?;
    let mut found = Vec::new();
    for row in table.range((hook, i64::MIN, "")..=(hook, i64::MAX, LAST))?.rev() {
        match serde_json::from_slice(row?.1.value()) {
            Ok(attempt) => found.push(attempt),
            Err(e) => tracing::error!(hook, error = %e, "an attempt cannot be read"),
        }
    }
    Ok(found)
}

pub(super) fn forget(t: &mut Tables<'_>, hook: &str) -> Result<(), Fault> {
    for (at, id) in keys(t, hook)? {
        t.hook_attempts.remove((hook, at, id.as_str()))?;
    }
    Ok(())
}

pub(super) fn backlog(r: &ReadTransaction) -> Result<Backlog, Fault> {
    let queued = r.open_table(LANES)?.len()?.saturating_add(r.open_table(OVERTAKEN)?.len()?);
    let pending = queued.saturating_add(r.open_table(PARKING)?.len()?);
    // Conversions in work have leases, too, but take no line.
    let mut held = 0u64;
    for row in r.open_table(RUNNING)?.iter()? {
        held = held.saturating_add(u64::from(row?.1.value()));
    }
    let converting = count(r)?.saturating_sub(pending).saturating_sub(held);
    let notices = r.open_table(NOTICES)?.len()?;
    let hook_notices = r.open_table(HOOK_NOTICES)?.len()?;
    Ok(Backlog { converting, pending, held, notices, hook_notices })
}

/// Jobs in the queue.
fn count(r: &ReadTransaction) -> Result<u64, Fault> {
    let listed = r.open_table(LISTED_ALL)?;
    let live = listed.range((0, i64::MIN, "")..=(0, i64::MAX, LAST))?;
    Ok(u64::try_from(live.count()).unwrap_or(u64::MAX))
}
