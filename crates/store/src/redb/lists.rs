//! Reading on a snapshot: single rows, lists, and what is due next.

use super::jobs::{assemble, folder_number};
use super::tables::{
    CONVERTING, DOCUMENTS, HEADS, JOBS, LAST, LEASES, LEDGER, LISTED, LISTED_ALL, NOTICES, NOTICES_DUE,
    RECEIVED, RECEIVED_ALL, RECEIVED_LISTED,
};
use super::writer::Fault;
use crate::model::{DocumentKey, FaxId, Folder, Job, JobId, NodeId, Notice, Received, Timestamp};
use crate::port::{JobQuery, NextDue, Range, ReceivedQuery, StoreError};
use ::redb::{ReadTransaction, ReadableTable};

pub(super) fn job(r: &ReadTransaction, id: &JobId) -> Result<Option<Job>, Fault> {
    assemble(&r.open_table(JOBS)?, &r.open_table(LEASES)?, &r.open_table(LEDGER)?, id.as_str())
}

pub(super) fn stale(r: &ReadTransaction, node: Option<&NodeId>, now: Timestamp) -> Result<Vec<Job>, Fault> {
    let (jobs, leases) = (r.open_table(JOBS)?, r.open_table(LEASES)?);
    let ledger = r.open_table(LEDGER)?;
    let mut found = Vec::new();
    for row in leases.iter()? {
        let (id, lease) = row?;
        let (until, holder) = lease.value();
        if until <= now.0 || node.is_some_and(|n| n.as_str() == holder) {
            match assemble(&jobs, &leases, &ledger, id.value()) {
                Ok(job) => found.extend(job),
                Err(Fault::Refused(e)) => {
                    tracing::error!(job = id.value(), error = %e, "a held job is left alone");
                }
                Err(file) => return Err(file),
            }
        }
    }
    Ok(found)
}

pub(super) fn next_due(r: &ReadTransaction) -> Result<NextDue, Fault> {
    let (heads, converting) = (r.open_table(HEADS)?, r.open_table(CONVERTING)?);
    Ok(NextDue {
        pending: heads.first()?.map(|(k, _)| Timestamp(k.value().0)),
        converting: converting.first()?.map(|(k, _)| Timestamp(k.value().0)),
    })
}

/// The two ends of a range of (time, id), both included but for `after`.
pub(super) struct Ends<'a> {
    pub(super) low: (i64, &'a str),
    pub(super) high: (i64, &'a str),
    /// Not this one: it was on the page before.
    pub(super) after: Option<(i64, &'a str)>,
}

pub(super) fn ends(range: &Range) -> Ends<'_> {
    let after = range.after.as_ref().map(|(at, id)| (at.0, id.as_str()));
    let (mut low, mut high) = ((range.from.0, ""), (range.to.0, LAST));
    match after {
        Some(a) if range.ascending => low = low.max(a),
        Some(a) => high = high.min(a),
        None => {}
    }
    Ends { low, high, after }
}

/// Ids of (time, id) rows in the order that is asked for.
pub(super) fn walk<'a, E>(
    rows: impl DoubleEndedIterator<Item = Result<(i64, String), E>> + 'a,
    ascending: bool,
    after: Option<(i64, &'a str)>,
) -> impl Iterator<Item = Result<(i64, String), E>> + 'a
where
    E: 'a,
{
    let rows: Box<dyn Iterator<Item = _>> = if ascending { Box::new(rows) } else { Box::new(rows.rev()) };
    rows.filter(move |row| {
        let Ok((at, id)) = row else { return true };
        after.is_none_or(|a| a != (*at, id.as_str()))
    })
}

/// A row of a list: one that cannot be read does not hide the others.
fn readable<T>(row: Result<T, Fault>) -> Result<Option<T>, Fault> {
    match row {
        Ok(row) => Ok(Some(row)),
        Err(Fault::Refused(e)) => {
            tracing::error!(error = %e, "a row is left out of a list");
            Ok(None)
        }
        Err(file) => Err(file),
    }
}

pub(super) fn jobs(r: &ReadTransaction, query: &JobQuery) -> Result<Vec<Job>, Fault> {
    let mut found = Vec::new();
    for folder in [Folder::Live, Folder::Filed] {
        if query.folder.is_none_or(|f| f == folder) {
            jobs_of(r, query, folder, &mut found)?;
        }
    }
    if query.folder.is_none() {
        found.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        if !query.range.ascending {
            found.reverse();
        }
        found.truncate(query.range.limit);
    }
    Ok(found)
}

fn jobs_of(r: &ReadTransaction, query: &JobQuery, folder: Folder, found: &mut Vec<Job>) -> Result<(), Fault> {
    let (jobs, leases) = (r.open_table(JOBS)?, r.open_table(LEASES)?);
    let ledger = r.open_table(LEDGER)?;
    let f = folder_number(folder);
    let Ends { low, high, after } = ends(&query.range);
    if low > high {
        return Ok(());
    }
    let full = found.len().saturating_add(query.range.limit);
    let mut take = |id: &str| -> Result<bool, Fault> {
        if found.len() >= full {
            return Ok(false);
        }
        let Some(job) = readable(assemble(&jobs, &leases, &ledger, id))?.flatten() else {
            return Ok(true);
        };
        let box_fits = query.faxbox.as_ref().is_none_or(|b| job.faxbox.as_ref() == Some(b));
        if box_fits && (query.states.is_empty() || query.states.contains(&job.state)) {
            found.push(job);
        }
        Ok(true)
    };
    if let Some(account) = &query.account {
        let table = r.open_table(LISTED)?;
        let a = account.as_str();
        let rows = table.range((a, f, low.0, low.1)..=(a, f, high.0, high.1))?;
        let rows = rows.map(|row| row.map(|(k, _)| (k.value().2, k.value().3.to_owned())));
        for row in walk(rows, query.range.ascending, after) {
            if !take(&row?.1)? {
                break;
            }
        }
    } else {
        let table = r.open_table(LISTED_ALL)?;
        let rows = table.range((f, low.0, low.1)..=(f, high.0, high.1))?;
        let rows = rows.map(|row| row.map(|(k, _)| (k.value().1, k.value().2.to_owned())));
        for row in walk(rows, query.range.ascending, after) {
            if !take(&row?.1)? {
                break;
            }
        }
    }
    Ok(())
}

pub(super) fn received(r: &ReadTransaction, id: &FaxId) -> Result<Option<Received>, Fault> {
    one_received(&r.open_table(RECEIVED)?, id.as_str())
}

fn one_received(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    id: &str,
) -> Result<Option<Received>, Fault> {
    let Some(row) = table.get(id)? else {
        return Ok(None);
    };
    let fax = serde_json::from_slice(row.value());
    fax.map(Some).map_err(|e| StoreError::Damaged(format!("fax {id}: {e}")).into())
}

pub(super) fn received_list(r: &ReadTransaction, query: &ReceivedQuery) -> Result<Vec<Received>, Fault> {
    let faxes = r.open_table(RECEIVED)?;
    let Ends { low, high, after } = ends(&query.range);
    let mut found = Vec::new();
    if low > high {
        return Ok(found);
    }
    let mut take = |id: &str| -> Result<bool, Fault> {
        if found.len() >= query.range.limit {
            return Ok(false);
        }
        let fax = readable(one_received(&faxes, id))?.flatten();
        found.extend(fax.filter(|fax| {
            let wanted = query.faxbox.as_ref();
            wanted.is_none_or(|b| fax.faxbox.as_ref() == Some(b))
        }));
        Ok(true)
    };
    if let Some(account) = &query.account {
        let table = r.open_table(RECEIVED_LISTED)?;
        let a = account.as_str();
        let rows = table.range((a, low.0, low.1)..=(a, high.0, high.1))?;
        let rows = rows.map(|row| row.map(|(k, _)| (k.value().1, k.value().2.to_owned())));
        for row in walk(rows, query.range.ascending, after) {
            if !take(&row?.1)? {
                break;
            }
        }
    } else {
        let table = r.open_table(RECEIVED_ALL)?;
        let rows = table.range(low..=high)?;
        let rows = rows.map(|row| row.map(|(k, _)| (k.value().0, k.value().1.to_owned())));
        for row in walk(rows, query.range.ascending, after) {
            if !take(&row?.1)? {
                break;
            }
        }
    }
    Ok(found)
}

pub(super) fn notices_due(r: &ReadTransaction, now: Timestamp, limit: usize) -> Result<Vec<Notice>, Fault> {
    let (due, notices) = (r.open_table(NOTICES_DUE)?, r.open_table(NOTICES)?);
    let mut found = Vec::new();
    for row in due.range(..=(now.0, LAST))? {
        if found.len() >= limit {
            break;
        }
        let (key, ()) = row.map(|(k, _)| (k, ()))?;
        let id = key.value().1;
        let Some(notice) = notices.get(id)? else {
            continue;
        };
        match serde_json::from_slice(notice.value()) {
            Ok(notice) => found.push(notice),
            Err(e) => tracing::error!(notice = id, error = %e, "a notice cannot be read"),
        }
    }
    Ok(found)
}

pub(super) fn next_notice(r: &ReadTransaction) -> Result<Option<Timestamp>, Fault> {
    let due = r.open_table(NOTICES_DUE)?;
    Ok(due.first()?.map(|(k, _)| Timestamp(k.value().0)))
}

pub(super) fn is_named(r: &ReadTransaction, key: &DocumentKey) -> Result<bool, Fault> {
    Ok(r.open_table(DOCUMENTS)?.get(key.as_str())?.is_some())
}
