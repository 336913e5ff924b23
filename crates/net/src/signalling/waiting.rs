//! Calls that wait for a line of their trunk: no line was free, or as many calls were begun as it takes in a second.

use super::driver::Driver;
use super::limits::{Full, Way};
use crate::call::{CallEnd, CallEvent, CallReport, CallRequest, LegKey};
use fax_base::Instant;
use fax_base::time::Duration;
use tokio::sync::mpsc;

/// Calls that wait for one trunk.
const MOST: usize = 1_000;

/// A call that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) key: LegKey,
    request: Box<CallRequest>,
    events: mpsc::UnboundedSender<CallEvent>,
    /// When it is given up.
    until: Instant,
    /// When there may be room; `None`: when a line becomes free.
    due: Option<Instant>,
}

/// Why a call is not made.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) end: CallEnd,
    pub(super) reason: String,
    pub(super) retry_after: Option<Duration>,
}

impl Refusal {
    pub(super) fn no_route(reason: impl Into<String>) -> Self {
        Refusal { end: CallEnd::NoRoute, reason: reason.into(), retry_after: None }
    }

    fn full(trunk: &str, full: Full, now: Instant) -> Self {
        let (what, retry_after) = match full {
            Full::Lines => ("all its lines are in use", None),
            Full::Rate(at) => ("no more calls may be begun this second", Some(at.since(now))),
        };
        Refusal { end: CallEnd::TrunkFull, reason: format!("trunk {trunk}: {what}"), retry_after }
    }

    /// The trunk is down.
    pub(super) fn down(trunk: &str, why: &str, wait: Duration) -> Self {
        let reason = format!("trunk {trunk} is down: {why}");
        Refusal { end: CallEnd::TrunkDown, reason, retry_after: Some(wait) }
    }

    /// The same for a caller: no circuit is available, or the network is out of order.
    pub(super) fn q850(&self) -> Option<u16> {
        match self.end {
            CallEnd::TrunkFull => Some(34),
            CallEnd::TrunkDown => Some(38),
            CallEnd::NoRoute
            | CallEnd::Fax
            | CallEnd::NotAnswered
            | CallEnd::NoCommonMedia
            | CallEnd::T38Silent
            | CallEnd::Internal => None,
        }
    }

    pub(super) fn tell(self, events: &mpsc::UnboundedSender<CallEvent>) {
        let report = CallReport { retry_after: self.retry_after, ..CallReport::new(self.end, &self.reason) };
        let _ = events.send(CallEvent::Ended(Box::new(report)));
    }
}

impl Driver {
    /// Makes a call, now or when its trunk has a line for it.
    pub(super) fn call(
        &mut self,
        key: LegKey,
        request: Box<CallRequest>,
        events: mpsc::UnboundedSender<CallEvent>,
    ) {
        let now = self.now();
        match self.begin(now, &request) {
            Ok(peer) => self.place_or_tell(key, peer, *request, events),
            Err((Some(peer), full)) => {
                let Some(there) = self.peer_mut(peer) else { return };
                if request.wait.is_zero() || there.waiting.len() >= MOST {
                    return Refusal::full(&there.trunk.name, full, now).tell(&events);
                }
                let until = now + request.wait;
                there.waiting.push_back(Waiting { key, request, events, until, due: due(full) });
            }
            Err((None, _)) => {
                Refusal::no_route(format!("there is no trunk {}", request.trunk)).tell(&events);
            }
        }
    }

    /// Takes a line, behind those that wait for one already.
    fn begin(&mut self, now: Instant, request: &CallRequest) -> Result<u64, (Option<u64>, Full)> {
        let Some(peer) = self.peers.iter_mut().find(|p| p.trunk.name == request.trunk) else {
            return Err((None, Full::Lines));
        };
        if let Some(first) = peer.waiting.front() {
            return Err((Some(peer.id), first.due.map_or(Full::Lines, Full::Rate)));
        }
        match peer.lines.take(now, &peer.trunk.limits, Way::Out) {
            Ok(()) => Ok(peer.id),
            Err(full) => Err((Some(peer.id), full)),
        }
    }

    fn place_or_tell(
        &mut self,
        key: LegKey,
        peer: u64,
        request: CallRequest,
        events: mpsc::UnboundedSender<CallEvent>,
    ) {
        if let Err(refusal) = self.place(key, peer, request, events.clone()) {
            self.release_line((peer, Way::Out));
            refusal.tell(&events);
        }
    }

    /// Takes a line for a call that is passed on. Its caller waits, so that it goes before documents that wait, or not at
    /// all.
    pub(super) fn line_at_once(&mut self, id: u64) -> Result<(), Refusal> {
        let now = self.now();
        let Some(peer) = self.peer_mut(id) else { return Err(Refusal::no_route("the trunk is gone")) };
        let taken = peer.lines.take(now, &peer.trunk.limits, Way::Out);
        taken.map_err(|full| Refusal::full(&peer.trunk.name, full, now))?;
        self.admit(id).inspect_err(|_| self.release_line((id, Way::Out)))
    }

    /// Takes a line for a call that comes in.
    pub(super) fn take_line(&mut self, id: u64) -> Result<(), Full> {
        let now = self.now();
        self.peer_mut(id).map_or(Ok(()), |peer| peer.lines.take(now, &peer.trunk.limits, Way::In))
    }

    pub(super) fn release_line(&mut self, (peer, way): (u64, Way)) {
        if let Some(peer) = self.peer_mut(peer) {
            peer.lines.release(way);
            // A line is free: who waits for one looks again.
            if let Some(first) = peer.waiting.front_mut() {
                first.due = first.due.or(Some(Instant::ZERO));
            }
        }
    }

    /// A call that waits is given up by its owner; says whether there was one.
    pub(super) fn give_up_waiting(&mut self, key: LegKey) -> bool {
        for peer in &mut self.peers {
            if let Some(at) = peer.waiting.iter().position(|w| w.key == key) {
                if let Some(waiting) = peer.waiting.remove(at) {
                    let refusal = Refusal {
                        end: CallEnd::NotAnswered,
                        reason: "given up by us".to_owned(),
                        retry_after: None,
                    };
                    refusal.tell(&waiting.events);
                }
                return true;
            }
        }
        false
    }

    /// Begins what waits and has room now, and gives up what has waited for too long.
    pub(super) fn serve_waiting(&mut self, now: Instant) {
        for number in 0..self.peers.len() {
            while let Some(peer) = self.peers.get_mut(number) {
                let (id, limits) = (peer.id, peer.trunk.limits);
                // Those behind may have waited for less than those before them.
                let mut over = Vec::new();
                peer.waiting.retain_mut(|w| {
                    let late = w.until <= now;
                    if late {
                        over.push((w.events.clone(), w.due));
                    }
                    !late
                });
                for (events, due) in over {
                    let full = due.filter(|at| *at > now).map_or(Full::Lines, Full::Rate);
                    Refusal::full(&peer.trunk.name, full, now).tell(&events);
                }
                let Some(first) = peer.waiting.front_mut().filter(|w| w.due.is_some_and(|at| at <= now))
                else {
                    break;
                };
                match peer.lines.take(now, &limits, Way::Out) {
                    Ok(()) => {
                        let Some(waiting) = peer.waiting.pop_front() else { break };
                        if let Some(next) = peer.waiting.front_mut() {
                            next.due = Some(now);
                        }
                        self.place_or_tell(waiting.key, id, *waiting.request, waiting.events);
                    }
                    Err(full) => {
                        first.due = due(full);
                        break;
                    }
                }
            }
        }
    }

    /// When a call that waits is to be looked at again.
    pub(super) fn waiting_due(&self) -> Option<Instant> {
        let first = self.peers.iter().filter_map(|p| p.waiting.front()?.due);
        let over = self.peers.iter().flat_map(|p| p.waiting.iter().map(|w| w.until));
        first.chain(over).min()
    }
}

fn due(full: Full) -> Option<Instant> {
    match full {
        Full::Lines => None,
        Full::Rate(at) => Some(at),
    }
}
