//! Writing jobs: the row, its indices, its lease and its ledger.

use super::lanes;
use super::queue;
use super::rows;
use super::tables::Tables;
use super::writer::Fault;
use crate::model::{Folder, Job, JobId, JobState, Lease, NodeId, Notice, PageEntry, PageState, Timestamp};
use crate::port::{Guard, JobChange, MOST_PAGES, StoreError, storable};
use ::redb::ReadableTable;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub(super) fn insert(t: &mut Tables<'_>, job: &Job, notices: &[Notice]) -> Result<(), Fault> {
    if t.jobs.get(job.id.as_str())?.is_some() {
        return Err(StoreError::Exists.into());
    }
    if job.lease.is_some() || matches!(job.state, JobState::Locked | JobState::Processing) {
        return Err(StoreError::Refused("a new job is held by nobody".into()).into());
    }
    storable(job)?;
    let notice_rows = rows::encode_notices(notices)?;
    restore(t, job)?;
    rows::put_notices(t, notices, &notice_rows)
}

/// Writes a job that is not there as it is.
pub(super) fn restore(t: &mut Tables<'_>, job: &Job) -> Result<(), Fault> {
    let row = encode(job)?;
    for (page, entry) in (0u32..).zip(&job.ledger).filter(|(_, e)| **e != PageEntry::default()) {
        put_page(t, job.id.as_str(), page, *entry)?;
    }
    t.jobs.insert(job.id.as_str(), row.as_slice())?;
    reindex(t, None, Some(job))
}

pub(super) fn update(
    t: &mut Tables<'_>,
    id: &JobId,
    guard: &Guard,
    change: JobChange,
    notices: &[Notice],
) -> Result<Job, Fault> {
    let old = load(t, id)?.ok_or(StoreError::NotFound)?;
    let held = match guard {
        Guard::Any => true,
        Guard::HeldBy(node) => old.lease.as_ref().is_some_and(|l| l.node == *node),
        Guard::Lease(lease) => old.lease == *lease,
    };
    if !held {
        return Err(StoreError::LeaseLost.into());
    }
    let mut new = old.clone();
    // The change is the caller's code: its panic must not take the writer down.
    match catch_unwind(AssertUnwindSafe(|| change(&mut new))) {
        Ok(done) => done?,
        Err(_) => return Err(StoreError::Refused("the change panicked".into()).into()),
    }
    if new.id != old.id || new.account != old.account || new.created != old.created {
        return Err(StoreError::Refused("a job keeps its id, account and time".into()).into());
    }
    if new.to_number != old.to_number {
        storable(&new)?;
    }
    if new.state == JobState::Pending || new.state.is_final() {
        new.lease = None;
    } else if new.state != JobState::Converting && new.lease.is_none() {
        return Err(StoreError::Refused("a job in work is held by a node".into()).into());
    }
    new.ledger.clone_from(&old.ledger);
    new.ledger.resize(usize::try_from(new.pages).unwrap_or(0), PageEntry::default());
    let row = encode(&new)?;
    let notice_rows = rows::encode_notices(notices)?;
    // From here on nothing is refused.
    for page in new.pages..old.pages {
        t.ledger.remove((id.as_str(), page))?;
    }
    t.jobs.insert(id.as_str(), row.as_slice())?;
    reindex(t, Some(&old), Some(&new))?;
    rows::put_notices(t, notices, &notice_rows)?;
    Ok(new)
}

pub(super) fn delete(t: &mut Tables<'_>, id: &JobId) -> Result<(), Fault> {
    let old = load(t, id)?.ok_or(StoreError::NotFound)?;
    if old.lease.is_some() || !old.state.is_final() {
        return Err(StoreError::Refused("the fax is in the queue".into()).into());
    }
    for page in 0..old.pages {
        t.ledger.remove((id.as_str(), page))?;
    }
    t.jobs.remove(id.as_str())?;
    reindex(t, Some(&old), None)
}

pub(super) fn record_page(
    t: &mut Tables<'_>,
    id: &JobId,
    node: &NodeId,
    page: u32,
    entry: PageEntry,
) -> Result<(), Fault> {
    let held = t.leases.get(id.as_str())?;
    if held.is_none_or(|l| l.value().1 != node.as_str()) {
        return Err(StoreError::LeaseLost.into());
    }
    let now = t.ledger.get((id.as_str(), page))?.map(|v| entry_of(v.value()));
    let confirmed = |e: &PageEntry| matches!(e.state, PageState::Confirmed { .. });
    if now.as_ref().is_some_and(confirmed) && !confirmed(&entry) {
        return Ok(());
    }
    put_page(t, id.as_str(), page, entry)
}

fn put_page(t: &mut Tables<'_>, id: &str, page: u32, entry: PageEntry) -> Result<(), Fault> {
    let state = match entry.state {
        PageState::Unsent => 0,
        PageState::Sent => 1,
        PageState::Confirmed { poor: false } => 2,
        PageState::Confirmed { poor: true } => 3,
    };
    t.ledger.insert((id, page), (state, entry.attempt, entry.at.0))?;
    Ok(())
}

fn entry_of((state, attempt, at): (u8, u32, i64)) -> PageEntry {
    PageEntry {
        state: match state {
            1 => PageState::Sent,
            2 => PageState::Confirmed { poor: false },
            3 => PageState::Confirmed { poor: true },
            _ => PageState::Unsent,
        },
        attempt,
        at: Timestamp(at),
    }
}

/// Writes the row.
pub(super) fn put(t: &mut Tables<'_>, job: &Job) -> Result<(), Fault> {
    t.jobs.insert(job.id.as_str(), encode(job)?.as_slice())?;
    Ok(())
}

/// The row: lease and ledger are rows of their own.
fn encode(job: &Job) -> Result<Vec<u8>, Fault> {
    let bare = Job { lease: None, ledger: Vec::new(), ..job.clone() };
    serde_json::to_vec(&bare).map_err(|e| StoreError::Refused(e.to_string()).into())
}

pub(super) fn load(t: &Tables<'_>, id: &JobId) -> Result<Option<Job>, Fault> {
    assemble(&t.jobs, &t.leases, &t.ledger, id.as_str())
}

/// A job of its rows.
pub(super) fn assemble(
    jobs: &impl ReadableTable<&'static str, &'static [u8]>,
    leases: &impl ReadableTable<&'static str, (i64, &'static str)>,
    ledger: &impl ReadableTable<(&'static str, u32), (u8, u32, i64)>,
    id: &str,
) -> Result<Option<Job>, Fault> {
    let Some(row) = jobs.get(id)? else {
        return Ok(None);
    };
    let mut job: Job =
        serde_json::from_slice(row.value()).map_err(|e| StoreError::Damaged(format!("job {id}: {e}")))?;
    job.lease = leases.get(id)?.map(|l| Lease { node: l.value().1.into(), until: Timestamp(l.value().0) });
    if job.pages > MOST_PAGES {
        return Err(StoreError::Damaged(format!("job {id}: {} pages", job.pages)).into());
    }
    job.ledger = vec![PageEntry::default(); usize::try_from(job.pages).unwrap_or(0)];
    for row in ledger.range((id, 0)..(id, job.pages))? {
        let (key, value) = row?;
        let page = usize::try_from(key.value().1).unwrap_or(usize::MAX);
        if let Some(entry) = job.ledger.get_mut(page) {
            *entry = entry_of(value.value());
        }
    }
    Ok(Some(job))
}

pub(super) const fn folder_number(folder: Folder) -> u8 {
    match folder {
        Folder::Live => 0,
        Folder::Filed => 1,
    }
}

/// Whether the job takes a line of its account and its number.
fn takes_line(job: &Job) -> bool {
    job.lease.is_some() && matches!(job.state, JobState::Locked | JobState::Processing)
}

fn documents(job: Option<&Job>) -> impl Iterator<Item = &str> {
    job.into_iter().flat_map(|j| {
        let original = j.source.original().map(|d| d.as_str());
        original.into_iter().chain(j.document.as_ref().map(|d| d.as_str()))
    })
}

/// Brings the indices from `old` to `new`.
pub(super) fn reindex(t: &mut Tables<'_>, old: Option<&Job>, new: Option<&Job>) -> Result<(), Fault> {
    // Seldom do they change: then nothing is written.
    if !documents(old).eq(documents(new)) {
        for key in documents(new) {
            rows::name_document(t, key)?;
        }
        for key in documents(old) {
            rows::unname_document(t, key)?;
        }
    }
    let folder = |j: &Job| folder_number(j.state.folder());
    if old.map(folder) != new.map(folder) {
        if let Some(j) = old {
            let (f, at, id) = (folder(j), j.created.0, j.id.as_str());
            t.listed.remove((j.account.as_str(), f, at, id))?;
            t.listed_all.remove((f, at, id))?;
        }
        if let Some(j) = new {
            let (f, at, id) = (folder(j), j.created.0, j.id.as_str());
            t.listed.insert((j.account.as_str(), f, at, id), ())?;
            t.listed_all.insert((f, at, id), ())?;
        }
    }
    if let Some(j) = old.filter(|j| j.state == JobState::Converting) {
        t.converting.remove((j.not_before.0, j.id.as_str()))?;
    }
    if let Some(j) = new.filter(|j| j.state == JobState::Converting && j.lease.is_none()) {
        t.converting.insert((j.not_before.0, j.id.as_str()), ())?;
    }
    let lease = |j: Option<&Job>| j.and_then(|j| j.lease.clone());
    let (was, is) = (lease(old), lease(new));
    if let Some(j) = new.or(old).filter(|_| was != is) {
        match is {
            Some(l) => t.leases.insert(j.id.as_str(), (l.until.0, l.node.as_str()))?,
            None => t.leases.remove(j.id.as_str())?,
        };
    }
    requeue(t, old, new)
}

/// Brings lines, numbers and what waits for them from `old` to `new`.
fn requeue(t: &mut Tables<'_>, old: Option<&Job>, new: Option<&Job>) -> Result<(), Fault> {
    let pending = |j: &&Job| j.state == JobState::Pending;
    let (waited, waits) = (old.filter(pending), new.filter(pending));
    let (had, has) = (old.filter(|j| takes_line(j)), new.filter(|j| takes_line(j)));
    let same_line = had.map(|j| &j.to_number) == has.map(|j| &j.to_number);
    if waited.is_none() && waits.is_none() && same_line {
        return Ok(());
    }
    let turn = waited.map(|j| lanes::remove(t, j)).transpose()?.flatten();
    if let Some(j) = waits {
        // The turn goes with the time.
        let kept = waited.is_some_and(|old| old.not_before == j.not_before);
        lanes::add(t, j, turn.filter(|_| kept))?;
    }
    if !same_line {
        had.map(|j| queue::line_free(t, j)).transpose()?;
        has.map(|j| queue::line_taken(t, j)).transpose()?;
    }
    // Last, when all rows are as they will be.
    if let Some(j) = old.or(new) {
        queue::refresh_head(t, j.account.as_str())?;
        lanes::unpark(t, &j.to_number)?;
    }
    if let (Some(old), Some(new)) = (old, new)
        && old.to_number != new.to_number
    {
        lanes::unpark(t, &new.to_number)?;
    }
    Ok(())
}
