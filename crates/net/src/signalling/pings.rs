//! How trunks are: signs of life asked for with OPTIONS, and what calls and registrations show (RFC 3261 §11).

use super::driver::Driver;
use super::health::State;
use super::waiting::Refusal;
use crate::dns::Place;
use fax_base::Instant;
use fax_base::time::Duration;
use fax_sip as sip;

/// Pings without an answer that are waited for at a time, all trunks together.
const MOST: usize = 10_000;

impl Driver {
    /// A trunk has shown that it works.
    pub(super) fn trunk_lives(&mut self, id: u64) {
        let now = self.now();
        if let Some(peer) = self.peer_mut(id)
            && peer.health.lived(now)
        {
            tracing::info!(trunk = peer.trunk.name, "the trunk is up again");
        }
    }

    /// A trunk has failed: calls are made by others for a while.
    pub(super) fn trunk_failed(&mut self, id: u64, why: &str, retry_after: Option<Duration>) {
        let now = self.now();
        if let Some(peer) = self.peer_mut(id)
            && peer.health.failed(now, why, retry_after)
        {
            tracing::warn!(trunk = peer.trunk.name, why, "the trunk is down");
        }
    }

    /// What the end of a call that was not answered says of its trunk.
    pub(super) fn judge(&mut self, id: u64, cause: &sip::EndCause) {
        match (cause.by, cause.code) {
            (sip::EndedBy::Unreachable, _) => self.trunk_failed(id, "nothing can be sent there", None),
            (sip::EndedBy::Timeout, Some(408)) => self.trunk_failed(id, "no answer to INVITE", None),
            (sip::EndedBy::Remote, Some(503)) if cause.retry_after.is_some() => {
                self.trunk_failed(id, "503 with Retry-After", cause.retry_after);
            }
            // It may be trouble of the far end only.
            (sip::EndedBy::Remote, Some(500..=599)) => {}
            (sip::EndedBy::Remote, _) => self.trunk_lives(id),
            (sip::EndedBy::Local | sip::EndedBy::Timeout, _) => {}
        }
    }

    /// Asks those for a sign of life whose time has come.
    pub(super) fn ping_due(&mut self, now: Instant) {
        for number in 0..self.peers.len() {
            let Some(peer) = self.peers.get_mut(number) else { return };
            let Some(every) = peer.trunk.ping else { continue };
            if peer.ping_at.is_some_and(|at| at > now) {
                continue;
            }
            // Not all trunks in the same moment.
            let early = every * rand::random_range(0..=20) / 100;
            peer.ping_at = Some(now + every.saturating_sub(early));
            let (id, domain, places) = (peer.id, peer.domain(), peer.places.clone());
            peer.pings.retain(|place, _| places.contains(place));
            for place in places {
                self.ping(id, place, &domain);
            }
        }
    }

    fn ping(&mut self, id: u64, place: Place, domain: &str) {
        let reachable = self.transports.can_reach((place.transport, place.address));
        if !reachable || self.pings.len() >= MOST || self.pings.values().any(|known| *known == (id, place)) {
            return;
        }
        let Some(peer) = self.peer(id) else { return };
        let contact = self.contact_for(Some(&peer.trunk), place.transport, place.address);
        self.next_ping += 1;
        let ping = sip::PingKey(self.next_ping);
        self.pings.insert(ping, (id, place));
        self.command(sip::Command::Ping {
            ping,
            transport: place.transport,
            destination: place.address,
            contact,
            request_uri: format!("sip:{domain}"),
        });
    }

    /// A ping was answered, with this code and after so long; or was not.
    pub(super) fn pinged(&mut self, ping: sip::PingKey, answer: Option<(u16, Duration)>) {
        if self.terminal_pinged(ping, answer.is_some()) {
            return;
        }
        let Some((id, place)) = self.pings.remove(&ping) else { return };
        let now = self.now();
        let at = (place.transport, place.address);
        // 503 says that it wants no calls (RFC 3261 §21.5.4); all else is a sign of life.
        let alive = answer.filter(|(code, _)| *code != 503);
        match alive {
            Some(_) => self.hops.dead.answered(&at),
            None => self.hops.dead.failed(now, at, None),
        }
        let Some(peer) = self.peer_mut(id) else { return };
        peer.pings.insert(place, alive.map(|(_, took)| took));
        if alive.is_some() {
            // A refused registration is not mended by an answer to OPTIONS.
            let refused = !peer.registrations.is_empty()
                && peer.registrations.iter().all(|r| r.granted.is_none() && r.last_failure.is_some());
            if !refused {
                self.trunk_lives(id);
            }
            return;
        }
        let silent = |p: &Place| peer.pings.get(p).is_some_and(Option::is_none);
        if peer.places.iter().all(silent) {
            let why = match answer {
                Some((code, _)) => format!("{code} to OPTIONS"),
                None => "no answer to OPTIONS".to_owned(),
            };
            self.trunk_failed(id, &why, None);
        } else if answer.is_none() {
            self.registrar_lost(place);
        }
    }

    pub(super) fn next_ping_due(&self) -> Option<Instant> {
        self.peers.iter().filter(|p| p.trunk.ping.is_some()).filter_map(|p| p.ping_at).min()
    }

    /// Whether a trunk is passed over now; lets a call through now and then to try it.
    pub(super) fn admit(&mut self, id: u64) -> Result<(), Refusal> {
        let now = self.now();
        let Some(peer) = self.peer_mut(id) else { return Ok(()) };
        let admitted = peer.health.admit(now);
        admitted.map_err(|(why, until)| Refusal::down(&peer.trunk.name, &why, until.since(now)))
    }

    /// Whether a trunk is up, for those who look.
    pub(super) fn is_up(state: &State) -> bool {
        matches!(state, State::Up { .. })
    }
}
