//! All running timers of the user agent in one order.

use std::collections::{BTreeMap, BTreeSet};

use fax_base::Instant;

use crate::api::{CallKey, RegKey};
use crate::transaction::Timer;

/// A transaction's number.
pub(crate) type TxId = u64;

/// What a timer belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Due {
    /// A client transaction.
    Client(TxId, Timer),
    /// A client transaction without any answer, where there are other places or transports to try.
    Elsewhere(TxId),
    /// A server transaction.
    Server(TxId, Timer),
    /// A client transaction nobody waits for any more, should it still be without a final answer.
    Abandoned(TxId),
    /// A request that the service has not answered for too long.
    Unanswered(TxId),
    /// A call.
    Call(CallKey, CallTimer),
    /// A registration: time to renew or to try again.
    Registration(RegKey),
}

/// The timers of a call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum CallTimer {
    /// No final answer for too long: CANCEL.
    Ring,
    /// CANCEL brought no final answer either.
    Cancelled,
    /// Send our 2xx again (RFC 3261 §13.3.1.4).
    Repeat2xx,
    /// No ACK for 64·T1 (§13.3.1.4).
    NoAck,
    /// Try the offer again after 491 (§14.1).
    Glare,
    /// Our re-INVITE has no final answer.
    Reinvite,
    /// Renew the session (RFC 4028 §10).
    Session,
    /// The session was not renewed in time.
    SessionEnd,
    /// Send our reliable provisional answer again (RFC 3262 §3).
    Repeat1xx,
    /// No PRACK for 64·T1.
    NoPrack,
    /// Tell the proxies that it still rings (RFC 3261 §13.3.1.1).
    StillRinging,
    /// The dialog is over; forget it.
    Linger,
}

/// Timers by name and by time.
#[derive(Default, Debug)]
pub(crate) struct Schedule {
    by_time: BTreeSet<(Instant, Due)>,
    at: BTreeMap<Due, Instant>,
}

impl Schedule {
    pub(crate) fn set(&mut self, due: Due, at: Instant) {
        self.clear(due);
        self.by_time.insert((at, due));
        self.at.insert(due, at);
    }

    pub(crate) fn clear(&mut self, due: Due) {
        if let Some(at) = self.at.remove(&due) {
            self.by_time.remove(&(at, due));
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.at.len()
    }

    pub(crate) fn is_set(&self, due: Due) -> bool {
        self.at.contains_key(&due)
    }

    /// Stops every timer of a call.
    pub(crate) fn clear_call(&mut self, call: CallKey) {
        let range = Due::Call(call, CallTimer::Ring)..=Due::Call(call, CallTimer::Linger);
        let running: Vec<Due> = self.at.range(range).map(|(due, _)| *due).collect();
        running.into_iter().for_each(|due| self.clear(due));
    }

    /// Stops every timer of a transaction.
    pub(crate) fn clear_transaction(&mut self, id: TxId) {
        self.clear(Due::Abandoned(id));
        self.clear(Due::Elsewhere(id));
        self.clear(Due::Unanswered(id));
        for range in [
            Due::Client(id, Timer::A)..=Due::Client(id, Timer::M),
            Due::Server(id, Timer::A)..=Due::Server(id, Timer::M),
        ] {
            let running: Vec<Due> = self.at.range(range).map(|(due, _)| *due).collect();
            running.into_iter().for_each(|due| self.clear(due));
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    pub(crate) fn expired(&mut self, now: Instant) -> Option<Due> {
        let (at, due) = *self.by_time.first()?;
        if at > now {
            return None;
        }
        self.clear(due);
        Some(due)
    }
}
