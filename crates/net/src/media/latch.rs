//! Whom a socket listens to and where it sends: the announced address, or where the far end's packets really come
//! from, which behind an address translator is another.

use fax_base::Instant;
use fax_base::time::Duration;
use std::net::{IpAddr, SocketAddr};

/// So long after an address was agreed only its host, the one that was known before, or the one that signalling comes from
/// is listened to; a peer behind a network address translator is latched on after that.
const STRANGERS: Duration = Duration::from_millis(500);

/// The same for a far end that was heard and has only changed its carrier: whoever is alive at a known address is heard long
/// before, and a card for T.38 at a third address, or another address of a carrier's translator, within the time that is given
/// to T.38 to come about.
const STRANGERS_AFTER_A_CHANGE: Duration = Duration::from_millis(2_500);

/// One far end.
#[derive(Debug)]
pub(super) struct Latch {
    /// Where the session description says that the far end is.
    announced: SocketAddr,
    /// Where we send: the announced address, or where valid packets come from.
    remote: SocketAddr,
    latched: bool,
    /// Who was latched on before the last change of address or carrier.
    known: Option<IpAddr>,
    /// Where its signalling comes from: of a peer behind a translator its media, too, as a rule.
    signalling: Vec<IpAddr>,
    strangers_from: Instant,
}

impl Latch {
    pub(super) fn new(now: Instant, announced: SocketAddr, signalling: Vec<IpAddr>) -> Self {
        let strangers_from = now + STRANGERS;
        Latch { announced, remote: announced, latched: false, known: None, signalling, strangers_from }
    }

    /// Where to send.
    pub(super) fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Whether the true source is known.
    #[cfg(test)]
    pub(super) fn is_latched(&self) -> bool {
        self.latched
    }

    /// The far end is at `announced`, as agreed now; `afresh`: by another carrier than before.
    pub(super) fn turn_to(&mut self, now: Instant, announced: SocketAddr, afresh: bool) {
        if announced == self.announced && !afresh {
            return;
        }
        if self.latched {
            self.known = Some(self.remote.ip());
        }
        // Another carrier of the same host comes from where the first one came from, as a rule.
        let stays = announced.ip() == self.announced.ip() && self.known.is_some();
        if announced != self.announced {
            self.announced = announced;
            self.remote = announced;
        }
        self.latched = false;
        self.strangers_from = now + if stays { STRANGERS_AFTER_A_CHANGE } else { STRANGERS };
    }

    /// Whether a packet from there may be the far end's. Once the true source is known, nobody else is
    /// listened to but the announced address, which goes before any other.
    pub(super) fn heeds(&self, now: Instant, from: SocketAddr) -> bool {
        if self.latched {
            return from == self.remote || from == self.announced;
        }
        let ip = from.ip();
        let familiar = ip == self.announced.ip() || Some(ip) == self.known || self.signalling.contains(&ip);
        familiar || now >= self.strangers_from
    }

    /// A valid packet came from there.
    pub(super) fn valid(&mut self, from: SocketAddr) {
        if !self.latched || from == self.announced {
            self.latched = true;
            self.remote = from;
        }
    }
}
