//! The queue: whose turn it is, found without looking at those whose turn it is not.
//!
//! Each account has a queue ordered by time; `heads` holds the first of each. An account at its
//! limit loses its head until something of it changes; a job whose number is in use is parked under the
//! number until something of that number changes. So each job is looked at a bounded number of
//! times, however many wait.

use super::jobs::{load, reindex};
use super::tables::{LAST, Tables};
use super::writer::Fault;
use crate::model::{Job, JobId, JobState, Lease, NodeId, Timestamp};
use crate::port::LeaseRequest;
use ::redb::ReadableTable;

/// Jobs that may be parked in one request beyond those it takes: it stays short.
const MAX_PARKED: usize = 256;

/// Adds a pending job.
pub(super) fn add(t: &mut Tables<'_>, job: &Job) -> Result<(), Fault> {
    let key = (job.account.as_str(), job.not_before.0, job.id.as_str());
    t.queue.insert(key, job.to_number.as_str())?;
    Ok(())
}

/// Removes a pending job, wherever it waits.
pub(super) fn remove(t: &mut Tables<'_>, job: &Job) -> Result<(), Fault> {
    let (at, id) = (job.not_before.0, job.id.as_str());
    let queued = t.queue.remove((job.account.as_str(), at, id))?.is_some();
    if !queued {
        t.parked.remove((job.to_number.as_str(), at, id))?;
    }
    Ok(())
}

/// The job takes a line.
pub(super) fn line_taken(t: &mut Tables<'_>, job: &Job) -> Result<(), Fault> {
    let n = t.running.get(job.account.as_str())?.map_or(0, |v| v.value());
    t.running.insert(job.account.as_str(), n.saturating_add(1))?;
    t.numbers.insert(job.to_number.as_str(), job.id.as_str())?;
    Ok(())
}

/// The job gives its line back.
pub(super) fn line_free(t: &mut Tables<'_>, job: &Job) -> Result<(), Fault> {
    let account = job.account.as_str();
    let n = t.running.get(account)?.map_or(0, |v| v.value());
    if n > 1 {
        t.running.insert(account, n - 1)?;
    } else {
        t.running.remove(account)?;
    }
    let number = job.to_number.as_str();
    let ours = t.numbers.get(number)?.is_some_and(|v| v.value() == job.id.as_str());
    if ours {
        t.numbers.remove(number)?;
    }
    Ok(())
}

/// Makes the account's row in `heads` the first of its queue.
pub(super) fn refresh_head(t: &mut Tables<'_>, account: &str) -> Result<(), Fault> {
    let first = first_of(t, account)?.map(|(at, _, _)| at);
    let now = t.head_of.get(account)?.map(|v| v.value());
    if first == now {
        return Ok(());
    }
    drop_head(t, account)?;
    if let Some(at) = first {
        t.heads.insert((at, account), ())?;
        t.head_of.insert(account, at)?;
    }
    Ok(())
}

fn drop_head(t: &mut Tables<'_>, account: &str) -> Result<(), Fault> {
    let old = t.head_of.remove(account)?.map(|v| v.value());
    if let Some(at) = old {
        t.heads.remove((at, account))?;
    }
    Ok(())
}

/// Time, job and number of the first of an account's queue.
fn first_of(t: &Tables<'_>, account: &str) -> Result<Option<(i64, JobId, String)>, Fault> {
    let range = (account, i64::MIN, "")..=(account, i64::MAX, LAST);
    match t.queue.range(range)?.next() {
        None => Ok(None),
        Some(row) => {
            let (key, number) = row?;
            let (_, at, id) = key.value();
            Ok(Some((at, id.into(), number.value().to_owned())))
        }
    }
}

/// If the number is free, the first job that waits for it goes back to its account's queue.
pub(super) fn unpark(t: &mut Tables<'_>, number: &str) -> Result<(), Fault> {
    if t.numbers.get(number)?.is_some() {
        return Ok(());
    }
    let range = (number, i64::MIN, "")..=(number, i64::MAX, LAST);
    let first = match t.parked.range(range)?.next() {
        None => return Ok(()),
        Some(row) => {
            let (key, account) = row?;
            let (_, at, id) = key.value();
            (at, id.to_owned(), account.value().to_owned())
        }
    };
    let (at, id, account) = first;
    t.parked.remove((number, at, id.as_str()))?;
    t.queue.insert((account.as_str(), at, id.as_str()), number)?;
    refresh_head(t, &account)
}

/// See [`crate::Store::lease_due`].
pub(super) fn lease_due(t: &mut Tables<'_>, request: &LeaseRequest) -> Result<Vec<Job>, Fault> {
    let mut taken = Vec::new();
    let mut parked = 0;
    while taken.len() < request.limit && parked < MAX_PARKED {
        let head = match t.heads.first()? {
            None => break,
            Some((key, _)) if key.value().0 > request.now.0 => break,
            Some((key, _)) => key.value().1.to_owned(),
        };
        let account = head.as_str();
        let running = t.running.get(account)?.map_or(0, |v| v.value());
        let limit = request.account_limits.get(&account.into());
        if running >= limit.copied().unwrap_or(request.default_account_limit) {
            drop_head(t, account)?;
            continue;
        }
        let Some((at, id, number)) = first_of(t, account)? else {
            drop_head(t, account)?;
            continue;
        };
        if request.serialise_numbers && t.numbers.get(number.as_str())?.is_some() {
            t.queue.remove((account, at, id.as_str()))?;
            t.parked.insert((number.as_str(), at, id.as_str()), account)?;
            parked += 1;
            refresh_head(t, account)?;
            continue;
        }
        match load(t, &id) {
            Ok(Some(old)) if old.state == JobState::Pending && old.lease.is_none() => {
                taken.push(lock(t, &old, &request.node, request.now, request.until)?);
            }
            Ok(_) | Err(Fault::Refused(_)) => {
                // A row that cannot be read must not block those behind it.
                tracing::error!(job = %id, "a job in the queue cannot be read; it is left out");
                t.queue.remove((account, at, id.as_str()))?;
                refresh_head(t, account)?;
                unpark(t, &number)?;
            }
            Err(file) => return Err(file),
        }
    }
    Ok(taken)
}

/// A pending job becomes Locked.
fn lock(
    t: &mut Tables<'_>,
    old: &Job,
    node: &NodeId,
    now: Timestamp,
    until: Timestamp,
) -> Result<Job, Fault> {
    let lease = Some(Lease { node: node.clone(), until });
    let new = Job { state: JobState::Locked, lease, modified: now, ..old.clone() };
    super::jobs::put(t, &new)?;
    reindex(t, Some(old), Some(&new))?;
    Ok(new)
}

/// See [`crate::Store::lease_beside`].
pub(super) fn lease_beside(
    t: &mut Tables<'_>,
    id: &JobId,
    node: &NodeId,
    now: Timestamp,
    until: Timestamp,
    limit: usize,
) -> Result<Vec<Job>, Fault> {
    let Some(lead) = load(t, id)?.filter(|j| j.lease.as_ref().is_some_and(|l| l.node == *node)) else {
        return Ok(Vec::new());
    };
    let (account, number) = (lead.account.as_str(), lead.to_number.as_str());
    let mut near: Vec<(i64, JobId)> = Vec::new();
    for row in t.parked.range((number, i64::MIN, "")..=(number, now.0, LAST))?.take(MAX_PARKED) {
        let (key, of) = row?;
        if of.value() == account {
            near.push((key.value().1, key.value().2.into()));
        }
    }
    for row in t.queue.range((account, i64::MIN, "")..=(account, now.0, LAST))?.take(MAX_PARKED) {
        let (key, to) = row?;
        if to.value() == number {
            near.push((key.value().1, key.value().2.into()));
        }
    }
    near.sort();
    let mut taken = Vec::new();
    for (_, id) in near {
        if taken.len() >= limit {
            break;
        }
        match load(t, &id) {
            Ok(Some(old))
                if old.state == JobState::Pending && old.lease.is_none() && lead.shares_call(&old) =>
            {
                taken.push(lock(t, &old, node, now, until)?);
            }
            // What cannot be read is told when its own turn comes.
            Ok(_) | Err(Fault::Refused(_)) => {}
            Err(file) => return Err(file),
        }
    }
    // The number stays with the job whose call it is.
    t.numbers.insert(number, lead.id.as_str())?;
    Ok(taken)
}

/// See [`crate::Store::lease_converting`].
pub(super) fn lease_converting(
    t: &mut Tables<'_>,
    node: &NodeId,
    now: Timestamp,
    until: Timestamp,
    limit: usize,
) -> Result<Vec<Job>, Fault> {
    let mut taken = Vec::new();
    while taken.len() < limit {
        let (at, id) = match t.converting.first()? {
            Some((key, _)) if key.value().0 <= now.0 => {
                let (at, id) = key.value();
                (at, JobId::new(id))
            }
            _ => break,
        };
        t.converting.remove((at, id.as_str()))?;
        match load(t, &id) {
            Ok(Some(mut job)) if job.state == JobState::Converting && job.lease.is_none() => {
                t.leases.insert(id.as_str(), (until.0, node.as_str()))?;
                job.lease = Some(Lease { node: node.clone(), until });
                taken.push(job);
            }
            Ok(_) | Err(Fault::Refused(_)) => {
                tracing::error!(job = %id, "a job to be converted cannot be read; it is left out");
            }
            Err(file) => return Err(file),
        }
    }
    Ok(taken)
}

/// See [`crate::Store::renew`].
pub(super) fn renew(
    t: &mut Tables<'_>,
    node: &NodeId,
    jobs: Vec<JobId>,
    until: Timestamp,
) -> Result<Vec<JobId>, Fault> {
    let mut lost = Vec::new();
    for id in jobs {
        let ours = t.leases.get(id.as_str())?.is_some_and(|l| l.value().1 == node.as_str());
        if ours {
            t.leases.insert(id.as_str(), (until.0, node.as_str()))?;
        } else {
            lost.push(id);
        }
    }
    Ok(lost)
}

/// Gives every account with a queue its head again: after limits have changed.
pub(super) fn refresh_all(t: &mut Tables<'_>) -> Result<(), Fault> {
    let mut after = String::new();
    loop {
        let from = (after.as_str(), i64::MAX, LAST);
        let account = match t.queue.range(from..)?.next() {
            None => return Ok(()),
            Some(row) => row?.0.value().0.to_owned(),
        };
        refresh_head(t, &account)?;
        after = account;
    }
}
