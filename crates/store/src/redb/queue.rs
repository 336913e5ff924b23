//! The queue: whose turn it is, found without looking at those whose turn it is not.
//!
//! Each account has a queue ([`lanes`]); `heads` holds the first turn of each. An account at its limit loses its head
//! until something of it changes; a job whose number is in use is parked under the number until something of that number
//! changes. A call makes one job of each account that waits for its number be looked at, however many wait.

use super::jobs::{load, reindex};
use super::lanes::{self, Waiter};
use super::tables::{LAST, Tables};
use super::writer::Fault;
use crate::model::{Job, JobId, JobState, Lease, NodeId, Timestamp};
use crate::port::LeaseRequest;
use ::redb::ReadableTable;

/// Jobs that may be parked in one request beyond those it takes: it stays short.
const MAX_PARKED: usize = 256;

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

/// Makes the account's row in `heads` the first turn of its queue.
pub(super) fn refresh_head(t: &mut Tables<'_>, account: &str) -> Result<(), Fault> {
    let Some((first, ..)) = lanes::first_turn(t, account)? else {
        return drop_head(t, account);
    };
    set_head(t, account, first)
}

fn set_head(t: &mut Tables<'_>, account: &str, first: i64) -> Result<(), Fault> {
    let now = t.head_of.get(account)?.map(|v| v.value());
    if now == Some(first) {
        return Ok(());
    }
    if let Some(now) = now {
        t.heads.remove((now, account))?;
    }
    t.heads.insert((first, account), ())?;
    t.head_of.insert(account, first)?;
    Ok(())
}

fn drop_head(t: &mut Tables<'_>, account: &str) -> Result<(), Fault> {
    let old = t.head_of.remove(account)?.map(|v| v.value());
    if let Some(at) = old {
        t.heads.remove((at, account))?;
    }
    Ok(())
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
        let Some(first) = lanes::next(t, account, request.now.0)? else {
            // A turn before its job's time, as no change makes one: the account is looked at again when one is due.
            match lanes::first_time(t, account)? {
                Some(at) => set_head(t, account, at)?,
                None => drop_head(t, account)?,
            }
            continue;
        };
        if request.serialise_numbers && t.numbers.get(first.number.as_str())?.is_some() {
            lanes::park(t, account, &first)?;
            parked += 1;
            continue;
        }
        match load(t, &first.id) {
            Ok(Some(old)) if old.state == JobState::Pending && old.lease.is_none() => {
                lanes::take_turn(t, account, &first)?;
                taken.push(lock(t, &old, &request.node, request.now, request.until)?);
            }
            Ok(_) | Err(Fault::Refused(_)) => {
                // A row that cannot be read must not block those behind it.
                tracing::error!(job = %first.id, "a job in the queue cannot be read; it is left out");
                lanes::take_out(t, account, first.lane, first.at, first.id.as_str())?;
                refresh_head(t, account)?;
                lanes::unpark(t, &first.number)?;
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
    let mut near: Vec<Waiter> = Vec::new();
    for lane in lanes::ALL {
        for waiter in lanes::parked(t, number, account, lane, now.0)?.take(MAX_PARKED) {
            near.push(waiter?);
        }
        for waiter in lanes::due(t, account, lane, now.0)?.take(MAX_PARKED) {
            near.extend(Some(waiter?).filter(|w| w.number == number));
        }
    }
    near.sort();
    let mut taken = Vec::new();
    for waiter in near {
        if taken.len() >= limit {
            break;
        }
        match load(t, &waiter.id) {
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
    if !taken.is_empty() {
        // The number stays with the job whose call it is.
        t.numbers.insert(number, lead.id.as_str())?;
    }
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
        let from = (after.as_str(), u8::MAX, i64::MAX, LAST);
        let own = t.lanes.range(from..)?.next().transpose()?.map(|(k, _)| k.value().0.to_owned());
        let overtaken = t.overtaken.range(from..)?.next().transpose()?.map(|(k, _)| k.value().0.to_owned());
        let Some(account) = own.into_iter().chain(overtaken).min() else { return Ok(()) };
        refresh_head(t, &account)?;
        after = account;
    }
}
