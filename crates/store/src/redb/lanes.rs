//! Where pending jobs wait: in the lanes of their accounts' queues, a lane for each priority, or parked under their numbers.
//!
//! Within an account the first job of the first lane that has one due goes. Among accounts times alone count, those of
//! *turns*: a job's turn is its own time, and whoever goes takes the first turn of its account. A job that overtakes
//! another so leaves its own turn to that one, and an account does not go once more or earlier than it would without
//! priorities. Only then there are rows in `overtaken` and `overtaken_turns`.

use super::queue::refresh_head;
use super::tables::{LAST, Tables};
use super::writer::Fault;
use crate::model::{Job, JobId, Priority};
use ::redb::ReadableTable;

/// The numbers of all lanes, the first first.
pub(super) const ALL: [u8; Priority::ALL.len()] =
    [Priority::High.lane(), Priority::Normal.lane(), Priority::Low.lane()];

/// A pending job where it waits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Waiter {
    /// Its priority's.
    pub(super) lane: u8,
    /// Not to be taken before.
    pub(super) at: i64,
    pub(super) id: JobId,
    /// When its account's turn comes for it: never before `at`, and where it differs from that, never after the time
    /// at which one that overtook it was due.
    pub(super) turn: i64,
    pub(super) number: String,
}

/// Adds a pending job, which keeps the turn that it has or begins with its time.
pub(super) fn add(t: &mut Tables<'_>, job: &Job, turn: Option<i64>) -> Result<(), Fault> {
    let (at, lane) = (job.not_before.0, job.priority.lane());
    let (id, number) = (job.id.clone(), job.to_number.clone());
    put(t, job.account.as_str(), &Waiter { lane, at, id, turn: turn.unwrap_or(at), number })
}

fn put(t: &mut Tables<'_>, account: &str, w: &Waiter) -> Result<(), Fault> {
    let (id, number) = (w.id.as_str(), w.number.as_str());
    if w.turn == w.at {
        t.lanes.insert((account, w.lane, w.at, id), number)?;
    } else {
        t.overtaken.insert((account, w.lane, w.at, id), (number, w.turn))?;
        t.overtaken_turns.insert((account, w.turn, id), (w.lane, w.at))?;
    }
    Ok(())
}

/// Removes a pending job, wherever it waits. Answers its turn.
pub(super) fn remove(t: &mut Tables<'_>, job: &Job) -> Result<Option<i64>, Fault> {
    let (lane, at, id) = (job.priority.lane(), job.not_before.0, job.id.as_str());
    let queued = take_out(t, job.account.as_str(), lane, at, id)?;
    if queued.is_some() {
        return Ok(queued);
    }
    let row = t.parking.remove((job.to_number.as_str(), job.account.as_str(), lane, at, id))?;
    Ok(row.map(|v| v.value()))
}

/// Removes a job from its account's queue. Answers its turn.
pub(super) fn take_out(
    t: &mut Tables<'_>,
    account: &str,
    lane: u8,
    at: i64,
    id: &str,
) -> Result<Option<i64>, Fault> {
    if t.lanes.remove((account, lane, at, id))?.is_some() {
        return Ok(Some(at));
    }
    let turn = t.overtaken.remove((account, lane, at, id))?.map(|v| v.value().1);
    if let Some(turn) = turn {
        t.overtaken_turns.remove((account, turn, id))?;
    }
    Ok(turn)
}

/// The job of an account that goes first of those that are due at `now`.
pub(super) fn next(t: &Tables<'_>, account: &str, now: i64) -> Result<Option<Waiter>, Fault> {
    for lane in ALL {
        let first = due(t, account, lane, now)?.next().transpose()?;
        if first.is_some() {
            return Ok(first);
        }
    }
    Ok(None)
}

/// What is due at `now` in a lane of an account, in order.
pub(super) fn due(
    t: &Tables<'_>,
    account: &str,
    lane: u8,
    now: i64,
) -> Result<impl Iterator<Item = Result<Waiter, Fault>>, Fault> {
    let range = (account, lane, i64::MIN, "")..=(account, lane, now, LAST);
    let own = t.lanes.range(range.clone())?.map(|row| {
        let (key, number) = row?;
        let (_, lane, at, id) = key.value();
        Ok(Waiter { lane, at, id: id.into(), turn: at, number: number.value().to_owned() })
    });
    let overtaken = t.overtaken.range(range)?.map(|row| {
        let (key, value) = row?;
        let ((_, lane, at, id), (number, turn)) = (key.value(), value.value());
        Ok(Waiter { lane, at, id: id.into(), turn, number: number.to_owned() })
    });
    Ok(merge(own, overtaken))
}

/// Two lists in order as one in order; a fault comes first.
fn merge(
    a: impl Iterator<Item = Result<Waiter, Fault>>,
    b: impl Iterator<Item = Result<Waiter, Fault>>,
) -> impl Iterator<Item = Result<Waiter, Fault>> {
    let (mut a, mut b) = (a.peekable(), b.peekable());
    core::iter::from_fn(move || match (a.peek(), b.peek()) {
        (Some(Ok(x)), Some(Ok(y))) if y < x => b.next(),
        (None | Some(Ok(_)), Some(Err(_))) | (None, Some(Ok(_))) => b.next(),
        _ => a.next(),
    })
}

/// The first turn of an account and whose it is: lane, time and id.
pub(super) fn first_turn(t: &Tables<'_>, account: &str) -> Result<Option<(i64, u8, i64, JobId)>, Fault> {
    let mut first: Option<(i64, u8, i64, JobId)> = None;
    let mut offer = |turn: i64, lane: u8, at: i64, id: &str| {
        if first.as_ref().is_none_or(|f| (turn, id) < (f.0, f.3.as_str())) {
            first = Some((turn, lane, at, id.into()));
        }
    };
    for lane in ALL {
        let range = (account, lane, i64::MIN, "")..=(account, lane, i64::MAX, LAST);
        if let Some(row) = t.lanes.range(range)?.next() {
            let (key, _) = row?;
            let (_, lane, at, id) = key.value();
            offer(at, lane, at, id);
        }
    }
    let range = (account, i64::MIN, "")..=(account, i64::MAX, LAST);
    if let Some(row) = t.overtaken_turns.range(range)?.next() {
        let (key, value) = row?;
        let ((_, turn, id), (lane, at)) = (key.value(), value.value());
        offer(turn, lane, at, id);
    }
    Ok(first)
}

/// The job that goes takes the first turn of its account; whose that was gets the job's own.
pub(super) fn take_turn(t: &mut Tables<'_>, account: &str, goes: &Waiter) -> Result<(), Fault> {
    let Some((turn, lane, at, id)) = first_turn(t, account)? else { return Ok(()) };
    if turn >= goes.turn {
        return Ok(());
    }
    let key = (account, lane, at, id.as_str());
    let own = t.lanes.remove(key)?.map(|v| v.value().to_owned());
    let number = match own {
        Some(number) => number,
        None => {
            let Some(number) = t.overtaken.get(key)?.map(|v| v.value().0.to_owned()) else { return Ok(()) };
            t.overtaken_turns.remove((account, turn, id.as_str()))?;
            number
        }
    };
    put(t, account, &Waiter { lane, at, id, turn: goes.turn, number })
}

/// A job goes from its account's queue to those that wait for its number.
pub(super) fn park(t: &mut Tables<'_>, account: &str, w: &Waiter) -> Result<(), Fault> {
    take_out(t, account, w.lane, w.at, w.id.as_str())?;
    t.parking.insert((w.number.as_str(), account, w.lane, w.at, w.id.as_str()), w.turn)?;
    refresh_head(t, account)
}

/// If the number is free, the first job of each account that waits for it goes back to its account's queue: whose turn
/// comes first takes the number, and the others are parked again. An account that may not go now so keeps nobody waiting.
pub(super) fn unpark(t: &mut Tables<'_>, number: &str) -> Result<(), Fault> {
    if t.numbers.get(number)?.is_some() {
        return Ok(());
    }
    let mut before = None;
    while let Some((account, waiter)) = first_parked(t, number, before.as_deref())? {
        let key = (number, account.as_str(), waiter.lane, waiter.at, waiter.id.as_str());
        t.parking.remove(key)?;
        put(t, &account, &waiter)?;
        refresh_head(t, &account)?;
        before = Some(account);
    }
    Ok(())
}

/// The first account after `before` that waits for a number, and its first job.
fn first_parked(
    t: &Tables<'_>,
    number: &str,
    before: Option<&str>,
) -> Result<Option<(String, Waiter)>, Fault> {
    let from = match before {
        None => (number, "", u8::MIN, i64::MIN, ""),
        Some(account) => (number, account, u8::MAX, i64::MAX, LAST),
    };
    let Some(row) = t.parking.range(from..)?.next() else { return Ok(None) };
    let (key, turn) = row?;
    let (of, account, lane, at, id) = key.value();
    let waiter = Waiter { lane, at, id: id.into(), turn: turn.value(), number: number.to_owned() };
    Ok((of == number).then(|| (account.to_owned(), waiter)))
}

/// Those of an account that wait for a number in a lane and are due at `now`, in order.
pub(super) fn parked(
    t: &Tables<'_>,
    number: &str,
    account: &str,
    lane: u8,
    now: i64,
) -> Result<impl Iterator<Item = Result<Waiter, Fault>>, Fault> {
    let range = (number, account, lane, i64::MIN, "")..=(number, account, lane, now, LAST);
    Ok(t.parking.range(range)?.map(|row| {
        let (key, turn) = row?;
        let (number, _, lane, at, id) = key.value();
        Ok(Waiter { lane, at, id: id.into(), turn: turn.value(), number: number.to_owned() })
    }))
}

/// The time of the first job of an account's queue.
pub(super) fn first_time(t: &Tables<'_>, account: &str) -> Result<Option<i64>, Fault> {
    let mut first = None;
    for lane in ALL {
        let waiter = due(t, account, lane, i64::MAX)?.next().transpose()?;
        first = first.into_iter().chain(waiter.map(|w| w.at)).min();
    }
    Ok(first)
}
