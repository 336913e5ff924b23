//! One socket's question for its address outside, asked again and again, so that a change is noticed and the translator
//! on the way keeps the binding (§6.2.1).

use super::message::{TransactionId, binding_request, mapped_address};
use fax_base::Instant;
use fax_base::time::Duration;
use std::net::SocketAddr;

/// Between two questions that were answered: translators forget after half a minute at the earliest.
const REFRESH: Duration = Duration::from_secs(25);

/// The wait for the first answer, doubled with each question.
const RTO: Duration = Duration::from_millis(500);

/// Questions that may stay without answer before the next server is asked. The standard has seven, for who has but one.
const TRIES: u32 = 4;

/// What is known of one socket's address.
#[derive(Debug)]
pub(crate) struct Asking {
    due: Instant,
    asked: Option<TransactionId>,
    tries: u32,
    /// Which of the servers is asked.
    server: usize,
    known: Option<(SocketAddr, SocketAddr)>,
    /// All servers were silent, and that was told.
    silent: bool,
}

/// What came of asking.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Asked {
    /// This is to be sent there.
    Send(SocketAddr, [u8; 28]),
    /// No server answers. What was known stays.
    Silent,
    /// There is nothing to do yet.
    Nothing,
}

impl Asking {
    pub(crate) fn new(now: Instant) -> Asking {
        Asking { due: now, asked: None, tries: 0, server: 0, known: None, silent: false }
    }

    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// The address outside, and the server that sees it.
    pub(crate) fn known(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.known
    }

    /// Nothing is known, and the first answer may still come.
    pub(crate) fn is_awaited(&self) -> bool {
        self.known.is_none() && !self.silent
    }

    /// A question is out.
    pub(crate) fn waits(&self) -> bool {
        self.asked.is_some()
    }

    /// Asks one of the servers, if it is time for that; `drawn` names the question.
    pub(crate) fn turn(&mut self, now: Instant, servers: &[SocketAddr], drawn: TransactionId) -> Asked {
        if now < self.due {
            return Asked::Nothing;
        }
        if self.tries >= TRIES || servers.is_empty() {
            (self.tries, self.asked) = (0, None);
            self.server += 1;
            if self.server >= servers.len() {
                self.server = 0;
                self.due = now + REFRESH;
                let first = !std::mem::replace(&mut self.silent, true);
                return if first { Asked::Silent } else { Asked::Nothing };
            }
        }
        let Some(server) = servers.get(self.server).or(servers.first()) else { return Asked::Nothing };
        let id = *self.asked.get_or_insert(drawn);
        self.due = now + RTO * (1 << self.tries.min(6));
        self.tries += 1;
        Asked::Send(*server, binding_request(&id))
    }

    /// A datagram came; true where it is the answer and says something new. All else is passed over.
    pub(crate) fn came(
        &mut self,
        now: Instant,
        from: SocketAddr,
        octets: &[u8],
        servers: &[SocketAddr],
    ) -> bool {
        let asked = self.asked.filter(|_| servers.get(self.server) == Some(&from));
        let Some(seen) = asked.and_then(|id| mapped_address(octets, &id)) else { return false };
        if seen.is_ipv4() != from.is_ipv4() || seen.ip().is_unspecified() || seen.port() == 0 {
            return false;
        }
        (self.asked, self.tries, self.silent, self.due) = (None, 0, false, now + REFRESH);
        self.known.replace((seen, from)).map(|(seen, _)| seen) != Some(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::binding_success;
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    const ID: TransactionId = [7; 12];

    #[test]
    fn the_answer_is_taken_from_who_was_asked_and_a_change_is_noticed() {
        let servers = [address("192.0.2.1:3478")];
        let mut asking = Asking::new(at(0));
        let Asked::Send(to, request) = asking.turn(at(0), &servers, ID) else { panic!() };
        assert_eq!((to, request), (servers[0], binding_request(&ID)));
        let first = address("203.0.113.5:4000");
        let answer = binding_success(&ID, first);
        assert!(!asking.came(at(10), address("192.0.2.2:3478"), &answer, &servers), "somebody else");
        assert!(
            !asking.came(at(10), servers[0], &binding_success(&[8; 12], first), &servers),
            "another question"
        );
        assert!(!asking.came(
            at(10),
            servers[0],
            &binding_success(&ID, address("[2001:db8::1]:9")),
            &servers
        ));
        assert!(asking.is_awaited() && asking.known().is_none());
        assert!(asking.came(at(10), servers[0], &answer, &servers));
        assert!(!asking.came(at(11), servers[0], &answer, &servers), "said again");
        assert_eq!(asking.known(), Some((first, servers[0])));
        let due = asking.due();
        assert_eq!(due, at(25_010));
        assert_eq!(asking.turn(at(20_000), &servers, [9; 12]), Asked::Nothing);
        assert_eq!(asking.turn(due, &servers, [9; 12]), Asked::Send(servers[0], binding_request(&[9; 12])));
        let moved = binding_success(&[9; 12], address("203.0.113.6:4000"));
        assert!(asking.came(due, servers[0], &moved, &servers));
    }

    #[test]
    fn the_next_server_is_asked_where_one_is_silent_and_silence_is_told_once() {
        let servers = [address("192.0.2.1:3478"), address("192.0.2.2:3478")];
        let mut asking = Asking::new(at(0));
        let (mut asked, mut silences) = (Vec::new(), Vec::new());
        for ms in 0..100_000 {
            match asking.turn(at(ms), &servers, ID) {
                Asked::Send(to, _) => asked.push((ms, to)),
                Asked::Silent => silences.push(ms),
                Asked::Nothing => {}
            }
        }
        let first: Vec<u64> =
            asked.iter().filter(|(_, to)| *to == servers[0]).map(|(ms, _)| *ms).take(4).collect();
        assert_eq!(first, [0, 500, 1_500, 3_500]);
        assert_eq!(asked[4], (7_500, servers[1]));
        assert_eq!(silences, [15_000]);
        assert!(!asking.is_awaited() && asked.len() < 40);
        // No server at all, as long as DNS does not know it.
        let mut lost = Asking::new(at(0));
        assert_eq!(lost.turn(at(0), &[], ID), Asked::Silent);
        assert_eq!(lost.turn(at(30_000), &[], ID), Asked::Nothing);
    }
}
