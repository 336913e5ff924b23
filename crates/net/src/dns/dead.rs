//! Places that have failed, until they are worth another try (RFC 3263 §4.3; RFC 3261 §21.5.4 for Retry-After).

use crate::transport::Peer;
use fax_base::Instant;
use fax_base::time::Duration;
use std::collections::HashMap;

/// How long a place that failed comes last.
const FAILED: Duration = Duration::from_secs(60);

/// No Retry-After keeps a place away for longer.
const LONGEST: Duration = Duration::from_secs(600);

/// Places that are remembered at a time.
const MOST: usize = 4_096;

/// The memory.
#[derive(Debug, Default)]
pub(crate) struct Dead(HashMap<Peer, Instant>);

impl Dead {
    /// Notes a failure.
    pub(crate) fn failed(&mut self, now: Instant, peer: Peer, retry_after: Option<Duration>) {
        if self.0.len() >= MOST {
            self.0.retain(|_, until| *until > now);
        }
        if self.0.len() < MOST {
            self.0.insert(peer, now + retry_after.unwrap_or(FAILED).min(LONGEST));
        }
    }

    /// It has answered: it lives.
    pub(crate) fn answered(&mut self, peer: &Peer) {
        if !self.0.is_empty() {
            self.0.remove(peer);
        }
    }

    /// Whether it comes last.
    pub(crate) fn is_dead(&self, now: Instant, peer: &Peer) -> bool {
        self.0.get(peer).is_some_and(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fax_sip::Transport;

    #[test]
    fn a_failure_is_forgotten_in_time_and_by_an_answer() {
        let (mut dead, at) = (Dead::default(), |s: u64| Instant::from_micros(s * 1_000_000));
        let peer = (Transport::Udp, "192.0.2.1:5060".parse().unwrap());
        dead.failed(at(0), peer, None);
        assert!(dead.is_dead(at(59), &peer) && !dead.is_dead(at(60), &peer));
        assert!(!dead.is_dead(at(1), &(Transport::Tcp, peer.1)));
        dead.failed(at(0), peer, Some(Duration::from_secs(86_400)));
        assert!(dead.is_dead(at(599), &peer) && !dead.is_dead(at(600), &peer));
        dead.answered(&peer);
        assert!(!dead.is_dead(at(1), &peer));
    }
}
