//! What the guard wants of the signalling: who is known to it, what speaks against whom, and proofs that are judged later.

use super::driver::Driver;
use super::terminals::Judged;
use crate::guard::{Offence, Turn};
use fax_base::Instant;
use fax_base::time::Duration;
use fax_sip as sip;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// Answers are expected for so long after a request (64·T1; RFC 3261 §17.1.1.2), and what follows them.
const ANSWERED: Duration = Duration::from_secs(64);

/// Proofs that wait, of all users together.
const MOST: usize = 256;

/// SIP sessions of a call that is passed on: the caller's, and those of places that are called at once.
const LEGS: usize = 8;

/// SIP sessions that the user agent may have for so many calls. The calls themselves are counted when it is known whose
/// they are: neither the second leg of a call that is passed on nor a stranger whose proof waits takes the place of one.
pub(super) fn legs_of(calls: usize) -> usize {
    calls.saturating_mul(LEGS).saturating_add(MOST)
}

/// A proof that waits for its turn.
struct Waits {
    at: Instant,
    asker: sip::Asker,
    judged: Judged,
    secret: Option<sip::Secret>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Deferred(VecDeque<Waits>);

impl Driver {
    /// Tells the guard where the trunks are.
    pub(super) fn settle_guard(&self) {
        let places = self.peers.iter().flat_map(|p| &p.places);
        let addresses = places.map(|place| place.address.ip().to_canonical()).collect();
        let networks = self.peers.iter().flat_map(|p| p.trunk.accept_from.iter().copied()).collect();
        self.transports.gate.set_peers(addresses, networks);
    }

    /// Whoever we ask something is expected to answer.
    pub(super) fn expect_answers(&self, remote: SocketAddr, octets: &[u8]) {
        if !octets.starts_with(b"SIP/2.0") {
            self.transports.gate.befriend(remote.ip(), ANSWERED);
        }
    }

    /// What is to be judged now; what has to wait is kept, and what may not even do that is told so.
    pub(super) fn in_turn(
        &mut self,
        asker: sip::Asker,
        remote: SocketAddr,
        judged: Option<Judged>,
        secret: Option<sip::Secret>,
    ) -> Option<(Option<Judged>, Option<sip::Secret>)> {
        let gate = &self.transports.gate;
        let Some(judged) = judged else {
            gate.offends(remote.ip(), Offence::Unproven);
            return Some((None, secret));
        };
        match gate.turn(remote.ip(), judged.claims()) {
            Turn::Now => return Some((Some(judged), secret)),
            Turn::Wait(wait) if self.deferred.0.len() < MOST => {
                let at = self.now() + wait;
                self.deferred.0.push_back(Waits { at, asker, judged, secret });
            }
            Turn::Wait(wait) => {
                gate.judged(judged.claims());
                self.come_later(asker, wait);
            }
            Turn::Later(wait) => self.come_later(asker, wait),
        }
        None
    }

    fn come_later(&mut self, asker: sip::Asker, wait: Duration) {
        let headers = vec![("Retry-After".to_owned(), wait.as_secs().max(1).to_string())];
        let (code, reason) = (503, String::new());
        self.command(match asker {
            sip::Asker::Call(call) => sip::Command::Reject { call, code, reason, headers },
            sip::Asker::Request(request) => sip::Command::Respond { request, code, reason, headers },
        });
    }

    /// When the next proof that waits has its turn.
    pub(super) fn deferred_due(&self) -> Option<Instant> {
        self.deferred.0.iter().map(|w| w.at).min()
    }

    /// Judges what has waited for long enough. A request that was taken back meanwhile is nobody's any more.
    pub(super) fn judge_deferred(&mut self, now: Instant) {
        while let Some(at) = self.deferred.0.iter().position(|w| w.at <= now) {
            let Some(Waits { asker, judged, secret, .. }) = self.deferred.0.remove(at) else { return };
            self.transports.gate.judged(judged.claims());
            self.judge_proof(asker, Some(judged), secret);
        }
    }
}
