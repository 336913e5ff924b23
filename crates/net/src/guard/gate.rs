//! The guard as the driver's tasks share it: with a clock, and a line in the log for each ban.

use super::{BanState, Flow, Guard, GuardState, Offence, Protection, Turn};
use crate::config::Network;
use fax_base::Instant;
use fax_base::time::Duration;
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    guard: Arc<Mutex<Guard>>,
    began: tokio::time::Instant,
}

impl Gate {
    pub(crate) fn new(rules: Protection) -> Gate {
        let guard = Guard::new(rules, rand::random());
        Gate { guard: Arc::new(Mutex::new(guard)), began: tokio::time::Instant::now() }
    }

    fn with<T>(&self, ask: impl FnOnce(&mut Guard, Instant) -> T) -> T {
        let micros = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let now = Instant::from_micros(micros);
        let mut guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = ask(&mut guard, now);
        while let Some(banned) = guard.poll() {
            if let Some(unsaid) = guard.may_say(now) {
                tracing::warn!(
                    source = %banned.source,
                    why = banned.why.words(),
                    length_s = banned.length.as_secs(),
                    times = banned.times,
                    unsaid,
                    "banned"
                );
            }
        }
        answer
    }

    /// Whether a datagram is looked at.
    pub(crate) fn datagram(&self, ip: IpAddr, octets: &[u8]) -> bool {
        self.with(|guard, now| guard.datagram(now, ip, octets))
    }

    /// Whether a connection is taken, and whether it is a stranger's.
    pub(crate) fn connection(&self, ip: IpAddr) -> Option<bool> {
        self.with(|guard, now| guard.connection(now, ip))
    }

    pub(crate) fn stream(&self, ip: IpAddr, octets: usize, messages: &[&[u8]]) -> Flow {
        self.with(|guard, now| guard.stream(now, ip, octets, messages))
    }

    pub(crate) fn turned_away(&self) {
        self.with(|guard, _| guard.turned_away());
    }

    pub(crate) fn offends(&self, ip: IpAddr, offence: Offence) {
        self.with(|guard, now| guard.offends(now, ip, offence));
    }

    pub(crate) fn proves(&self, ip: IpAddr) {
        self.with(|guard, _| guard.proves(ip));
    }

    pub(crate) fn wrong_proof(&self, ip: IpAddr, user: &str) {
        self.with(|guard, now| guard.wrong_proof(now, ip, user));
    }

    pub(crate) fn registered(&self, ip: IpAddr, user: &str, lasts: Duration) {
        self.with(|guard, now| guard.registered(now, ip, user, now + lasts));
    }

    pub(crate) fn befriend(&self, ip: IpAddr, lasts: Duration) {
        self.with(|guard, now| guard.befriend(now, ip, now + lasts));
    }

    pub(crate) fn turn(&self, ip: IpAddr, user: &str) -> Turn {
        self.with(|guard, now| guard.turn(now, ip, user))
    }

    pub(crate) fn judged(&self, user: &str) {
        self.with(|guard, _| guard.judged(user));
    }

    /// Whether there is room in the log for a line about a stranger, and how many had none since the last.
    pub(crate) fn may_say(&self) -> Option<u64> {
        self.with(Guard::may_say)
    }

    pub(crate) fn set_rules(&self, rules: Protection) {
        self.with(|guard, now| guard.set_rules(now, rules));
    }

    pub(crate) fn set_peers(&self, addresses: HashSet<IpAddr>, networks: Vec<Network>) {
        self.with(|guard, _| guard.set_peers(addresses, networks));
    }

    /// Lifts a ban; says whether there was one.
    pub(crate) fn lift(&self, ip: IpAddr) -> bool {
        let lifted = self.with(|guard, now| guard.lift(now, ip));
        if lifted {
            tracing::info!(source = %super::Source::of(ip), "the ban is lifted");
        }
        lifted
    }

    /// How it is.
    pub(crate) fn state(&self) -> GuardState {
        let clock = SystemTime::now();
        self.with(|guard, now| GuardState {
            bans: guard
                .bans(now)
                .into_iter()
                .map(|(source, ban)| BanState {
                    source: source.to_string(),
                    since: clock.checked_sub(now.since(ban.since)).unwrap_or(clock),
                    until: clock + ban.until.since(now),
                    times: ban.times,
                    why: ban.why,
                    dropped: ban.dropped,
                })
                .collect(),
            counters: guard.counters(),
            sources: guard.sources(),
        })
    }
}
