//! Terminals behind NAT: they are asked for a sign of life so often that the translator keeps the way to them open, and
//! forgotten where they give none any more (RFC 3261 §11; RFC 4787 §4.3; RFC 5626 §4.4).

use super::driver::Driver;
use fax_base::Instant;
use fax_base::time::Duration;
use fax_sip as sip;
use sip::registrar::{Binding, Flow};
use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;

/// One place that is asked.
#[derive(Debug)]
struct Watched {
    user: String,
    flow: Flow,
    uri: String,
    at: Instant,
    /// The last question has no answer yet.
    waits: bool,
    unanswered: u32,
}

/// What is to be done about a place whose time has come.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Turn {
    /// It is asked; so many questions before were not answered.
    Ask { user: String, flow: Flow, uri: String, unanswered: u32 },
    /// It has not answered any more.
    Gone { user: String, flow: Flow },
}

/// The places that are asked, by their addresses.
#[derive(Debug, Default)]
pub(super) struct KeepAlive {
    due: BTreeSet<(Instant, SocketAddr)>,
    watched: HashMap<SocketAddr, Watched>,
    /// Questions without an answer.
    asked: HashMap<sip::PingKey, SocketAddr>,
}

/// Whether the terminal is not at the address that it says it is at.
pub(super) fn is_translated(binding: &Binding) -> bool {
    binding.uri.address().is_none_or(|said| said != binding.flow.remote)
}

impl KeepAlive {
    /// A place is to be asked, the first time at `at`; one that is known keeps its time, and has shown that it lives.
    pub(super) fn watch(&mut self, at: Instant, user: &str, flow: Flow, uri: String) {
        let (user, remote) = (user.to_owned(), flow.remote);
        let known = self.watched.remove(&remote);
        let at = known.map_or(at, |known| known.at);
        self.due.insert((at, remote));
        self.watched.insert(remote, Watched { user, flow, uri, at, waits: false, unanswered: 0 });
    }

    pub(super) fn forget(&mut self, remote: &SocketAddr) {
        if let Some(watched) = self.watched.remove(remote) {
            self.due.remove(&(watched.at, *remote));
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The next place whose time has come; it comes again after `wait`.
    pub(super) fn turn(&mut self, now: Instant, wait: Duration, most: u32) -> Option<Turn> {
        let (at, remote) = *self.due.first()?;
        if at > now {
            return None;
        }
        self.due.pop_first();
        let watched = self.watched.get_mut(&remote)?;
        watched.unanswered = if watched.waits { watched.unanswered.saturating_add(1) } else { 0 };
        let (user, flow, unanswered) = (watched.user.clone(), watched.flow, watched.unanswered);
        if unanswered >= most {
            self.watched.remove(&remote);
            return Some(Turn::Gone { user, flow });
        }
        watched.at = now + wait;
        watched.waits = true;
        self.due.insert((watched.at, remote));
        Some(Turn::Ask { user, flow, uri: watched.uri.clone(), unanswered })
    }

    fn answered(&mut self, remote: &SocketAddr) {
        if let Some(watched) = self.watched.get_mut(remote) {
            watched.waits = false;
        }
    }
}

impl Driver {
    /// A terminal has registered: those of its places that need it are kept reachable.
    pub(super) fn keep_reachable(&mut self, user: &str) {
        let now = self.now();
        let Some(every) = self.terminals.keep_alive() else { return };
        let places: Vec<(Flow, String)> = {
            let places = self.terminals.registrar.places(now, user).into_iter();
            let udp = places.filter(|b| !b.flow.transport.reliable() && is_translated(b));
            udp.map(|b| (b.flow, b.uri.to_string())).collect()
        };
        for (flow, uri) in places {
            self.terminals.alive.watch(now + early(every), user, flow, uri);
        }
    }

    /// Asks those whose time has come.
    pub(super) fn keep_alive_due(&mut self, now: Instant) {
        let most = self.terminals.keep_alive_misses();
        let Some(every) = self.terminals.keep_alive() else { return };
        while let Some(turn) = self.terminals.alive.turn(now, early(every), most) {
            match turn {
                Turn::Ask { user, flow, uri, unanswered } => {
                    let here = self.terminals.registrar.places(now, &user).iter().any(|b| b.flow == flow);
                    if !here {
                        self.terminals.alive.forget(&flow.remote);
                        continue;
                    }
                    if unanswered > 0 {
                        tracing::debug!(user, at = %flow.remote, unanswered, "a terminal does not answer");
                        self.hops.dead.failed(now, (flow.transport, flow.remote), None);
                    }
                    self.ask_terminal(flow, uri);
                }
                Turn::Gone { user, flow } => {
                    self.terminals.registrar.remove(&user, |b| b.flow == flow);
                    tracing::warn!(user, at = %flow.remote, "a terminal behind NAT does not answer any more: it is forgotten until it registers again");
                }
            }
        }
    }

    fn ask_terminal(&mut self, flow: Flow, request_uri: String) {
        self.next_ping += 1;
        let ping = sip::PingKey(self.next_ping);
        self.terminals.alive.asked.insert(ping, flow.remote);
        let contact = self.contact_for(None, flow.transport, flow.remote);
        let (transport, destination) = (flow.transport, flow.remote);
        self.command(sip::Command::Ping { ping, transport, destination, contact, request_uri });
    }

    /// A question to a terminal was answered, or was not; says whether it was one to a terminal.
    pub(super) fn terminal_pinged(&mut self, ping: sip::PingKey, alive: bool) -> bool {
        let Some(remote) = self.terminals.alive.asked.remove(&ping) else { return false };
        if alive {
            self.terminals.alive.answered(&remote);
            self.hops.dead.answered(&(sip::Transport::Udp, remote));
        }
        true
    }
}

/// Not all in the same moment.
fn early(every: Duration) -> Duration {
    every.saturating_sub(every * rand::random_range(0..=20) / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_answers_stays_and_who_does_not_goes_after_so_many() {
        let at = |s: u64| Instant::ZERO + Duration::from_secs(s);
        let wait = Duration::from_secs(20);
        let remote: SocketAddr = "203.0.113.7:31000".parse().unwrap();
        let local: SocketAddr = "192.0.2.1:5060".parse().unwrap();
        let flow = Flow { transport: sip::Transport::Udp, local, remote };
        let mut alive = KeepAlive::default();
        alive.watch(at(20), "fax", flow, "sip:fax@10.0.0.7".to_owned());
        let ask =
            |unanswered| Turn::Ask { user: "fax".into(), flow, uri: "sip:fax@10.0.0.7".into(), unanswered };
        assert_eq!(alive.turn(at(19), wait, 3), None);
        assert_eq!(alive.turn(at(20), wait, 3), Some(ask(0)));
        assert_eq!((alive.turn(at(20), wait, 3), alive.deadline()), (None, Some(at(40))));
        alive.answered(&remote);
        assert_eq!(alive.turn(at(40), wait, 3), Some(ask(0)));
        assert_eq!(alive.turn(at(60), wait, 3), Some(ask(1)));
        alive.answered(&remote);
        for (s, unanswered) in [(80, 0), (100, 1), (120, 2)] {
            assert_eq!(alive.turn(at(s), wait, 3), Some(ask(unanswered)));
        }
        // To register is a sign of life, too.
        alive.watch(at(200), "fax", flow, "sip:fax@10.0.0.7".to_owned());
        for (s, unanswered) in [(140, 0), (160, 1), (180, 2)] {
            assert_eq!(alive.turn(at(s), wait, 3), Some(ask(unanswered)));
        }
        assert_eq!(alive.turn(at(200), wait, 3), Some(Turn::Gone { user: "fax".into(), flow }));
        assert_eq!((alive.turn(at(900), wait, 3), alive.deadline()), (None, None));
        alive.watch(at(20), "fax", flow, String::new());
        alive.forget(&remote);
        assert_eq!(alive.deadline(), None);
    }
}
