//! The guard before the SIP parser: who may send how much, who is banned, and whose proofs are judged slowly (RFC 3261
//! §26.1.5, §26.3.2.4).
//!
//! [`Guard`] is a machine without I/O: it is asked of each datagram, connection and read, and told of each failure.
//! [`gate::Gate`] is the same for the tasks of the driver, with a clock and the log.
//!
//! 1. Trunks, `allow` and registered terminals are known and do not share in what strangers get in all: a flood of strangers,
//!    also from forged addresses, takes nothing from them.
//! 2. Known addresses are never banned: who forges the address of a trunk or terminal cannot shut it out.
//! 3. What is remembered has fixed bounds; the least useful is forgotten.

mod accounts;
mod bans;
mod bucket;
pub(crate) mod gate;
mod rules;
mod scanner;
mod source;
mod state;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use accounts::Turn;
pub use bans::Offence;
pub(crate) use bucket::{Bucket, gap};
pub use rules::{Protection, SCANNERS};
pub(crate) use source::Source;
pub use state::{BanState, GuardCounters, GuardState};

use crate::config::Network;
use accounts::Accounts;
use bans::{Ban, Bans};
use fax_base::Instant;
use fax_base::time::Duration;
use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use table::Table;

/// An Ethernet's worth of octets counts as one datagram.
const DATAGRAM: usize = 1_500;

/// What a new connection counts as.
const CONNECTION: u32 = 5;

/// An address of registered terminals may have many behind it.
const FRIENDS: u32 = 10;

/// Friends that are remembered.
const MOST_FRIENDS: usize = 65_536;

/// Lines of the log about strangers: so many at once, and one each second.
const LINES: u32 = 20;

/// Bans that wait to be told.
const TOLD: usize = 64;

/// Who somebody is to the guard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Standing {
    /// A trunk, or named in `allow`.
    Peer,
    /// Terminals are registered there, or we have sent it a request.
    Friend,
    /// Anybody.
    Stranger,
}

/// What becomes of what came over a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flow {
    /// It is taken.
    Go,
    /// It is taken, and the next is read after so long.
    Wait(Duration),
    /// The connection is closed.
    Close,
}

/// A ban for the log.
#[derive(Clone, Debug)]
pub(crate) struct Banned {
    pub(crate) source: Source,
    pub(crate) length: Duration,
    pub(crate) times: u32,
    pub(crate) why: Offence,
}

/// The machine.
#[derive(Debug)]
pub(crate) struct Guard {
    rules: Protection,
    table: Table,
    bans: Bans,
    accounts: Accounts,
    /// Trunks by address, and by network.
    peers: HashSet<IpAddr>,
    networks: Vec<Network>,
    friends: HashMap<Source, Instant>,
    strangers: Bucket,
    lines: Bucket,
    unsaid: u64,
    told: VecDeque<Banned>,
    counters: GuardCounters,
}

impl Guard {
    pub(crate) fn new(rules: Protection, seed: u64) -> Guard {
        Guard {
            table: Table::new(rules.sources, seed),
            rules,
            bans: Bans::default(),
            accounts: Accounts::default(),
            peers: HashSet::new(),
            networks: Vec::new(),
            friends: HashMap::new(),
            strangers: Bucket::default(),
            lines: Bucket::default(),
            unsaid: 0,
            told: VecDeque::new(),
            counters: GuardCounters::default(),
        }
    }

    /// Other rules from now on; bans and failures stay, and so does the room for sources.
    pub(crate) fn set_rules(&mut self, now: Instant, rules: Protection) {
        for (source, _) in self.bans.list(now) {
            if rules.allow.iter().any(|n| n.contains(source.ip())) {
                self.bans.lift(now, source);
            }
        }
        self.rules = rules;
    }

    /// Where the trunks are.
    pub(crate) fn set_peers(&mut self, addresses: HashSet<IpAddr>, networks: Vec<Network>) {
        self.peers = addresses;
        self.networks = networks;
    }

    /// We expect something from there: a terminal is registered, or we have asked something.
    pub(crate) fn befriend(&mut self, now: Instant, ip: IpAddr, until: Instant) {
        let source = Source::of(ip);
        if self.friends.len() >= MOST_FRIENDS && !self.friends.contains_key(&source) {
            self.friends.retain(|_, until| *until > now);
            if self.friends.len() >= MOST_FRIENDS {
                return;
            }
        }
        let known = self.friends.entry(source).or_insert(until);
        *known = (*known).max(until);
    }

    fn standing(&self, now: Instant, ip: IpAddr) -> Standing {
        let ip = ip.to_canonical();
        let listed = |list: &[Network]| list.iter().any(|n| n.contains(ip));
        if self.peers.contains(&ip) || listed(&self.networks) || listed(&self.rules.allow) {
            return Standing::Peer;
        }
        match self.friends.get(&Source::of(ip)) {
            Some(until) if *until > now => Standing::Friend,
            Some(_) | None => Standing::Stranger,
        }
    }

    /// Whether a datagram is looked at.
    pub(crate) fn datagram(&mut self, now: Instant, ip: IpAddr, octets: &[u8]) -> bool {
        if !self.rules.enabled {
            return true;
        }
        let standing = self.standing(now, ip);
        if standing == Standing::Stranger && self.is_banned(now, ip) {
            return false;
        }
        if self.spend(now, ip, standing, 1).is_err() {
            match standing {
                Standing::Peer | Standing::Friend => self.counters.over_known += 1,
                Standing::Stranger => self.counters.over_source += 1,
            }
            return false;
        }
        if standing == Standing::Stranger && self.spend_of_all(now, 1).is_err() {
            self.counters.over_strangers += 1;
            return false;
        }
        standing == Standing::Peer || !self.scanned(now, ip, octets)
    }

    /// Whether a new connection is taken, and if so, whether it is a stranger's.
    pub(crate) fn connection(&mut self, now: Instant, ip: IpAddr) -> Option<bool> {
        if !self.rules.enabled {
            return Some(false);
        }
        let standing = self.standing(now, ip);
        let stranger = standing == Standing::Stranger;
        if stranger && self.is_banned(now, ip) {
            return None;
        }
        let over = self.spend(now, ip, standing, CONNECTION).is_err();
        if over || (stranger && self.spend_of_all(now, CONNECTION).is_err()) {
            self.counters.connections += 1;
            return None;
        }
        Some(stranger)
    }

    /// Octets that were read from a connection, and the messages in them.
    pub(crate) fn stream(&mut self, now: Instant, ip: IpAddr, octets: usize, messages: &[&[u8]]) -> Flow {
        if !self.rules.enabled {
            return Flow::Go;
        }
        let standing = self.standing(now, ip);
        if standing == Standing::Stranger && self.is_banned(now, ip) {
            return Flow::Close;
        }
        if standing != Standing::Peer && messages.iter().any(|m| self.scanned(now, ip, m)) {
            return Flow::Close;
        }
        let n = messages.len().max(1 + octets / DATAGRAM);
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        // What has come is taken; it is the next that waits.
        let mut wait = self.owe(now, ip, standing, n);
        if standing == Standing::Stranger
            && let Err(at) = self.spend_of_all(now, n)
        {
            wait = wait.max(at.since(now));
        }
        if wait.is_zero() {
            return Flow::Go;
        }
        self.counters.slowed += 1;
        Flow::Wait(wait)
    }

    /// Something that speaks against a source. Known ones are not banned.
    pub(crate) fn offends(&mut self, now: Instant, ip: IpAddr, offence: Offence) {
        if !self.rules.enabled || self.rules.ban_after == 0 || self.standing(now, ip) != Standing::Stranger {
            return;
        }
        let (gap, most) = (self.failure_gap(), self.most_failures());
        let source = Source::of(ip);
        let entry = self.table.of(now, source);
        entry.failures.take_anyway(now, gap, offence.weight());
        entry.unproven = entry.unproven.saturating_add(u32::from(offence == Offence::Unproven));
        if entry.failures.taken(now, gap) >= most && self.bans.holding(now, source).is_none() {
            entry.failures = Bucket::default();
            entry.unproven = 0;
            let ban = self.bans.ban(now, source, offence, &self.rules);
            let banned = Banned { source, length: ban.until.since(now), times: ban.times, why: offence };
            self.counters.bans += 1;
            if self.told.len() < TOLD {
                self.told.push_back(banned);
            }
        }
    }

    /// A source that was asked who it is has said so.
    pub(crate) fn proves(&mut self, ip: IpAddr) {
        let gap = self.failure_gap();
        if let Some(entry) = self.table.known(Source::of(ip)).filter(|e| e.unproven > 0) {
            entry.unproven -= 1;
            entry.failures.give(gap, Offence::Unproven.weight());
        }
    }

    /// A proof of this user was wrong.
    pub(crate) fn wrong_proof(&mut self, now: Instant, ip: IpAddr, user: &str) {
        if self.rules.enabled && self.rules.account_failures > 0 {
            let gap = self.rules.ban_window / self.rules.account_failures;
            self.accounts.failed(now, user, gap);
        }
        self.offends(now, ip, Offence::WrongProof);
    }

    /// This user is registered there until then.
    pub(crate) fn registered(&mut self, now: Instant, ip: IpAddr, user: &str, until: Instant) {
        self.accounts.registered(now, user, Source::of(ip));
        self.befriend(now, ip, until);
    }

    /// When a proof of this user from there is judged.
    pub(crate) fn turn(&mut self, now: Instant, ip: IpAddr, user: &str) -> Turn {
        let most = self.rules.account_failures;
        if !self.rules.enabled || most == 0 {
            return Turn::Now;
        }
        let turn = self.accounts.turn(now, user, Source::of(ip), self.rules.ban_window / most, most);
        if turn != Turn::Now {
            self.counters.delayed += 1;
        }
        turn
    }

    /// A proof that waited has its turn.
    pub(crate) fn judged(&mut self, user: &str) {
        self.accounts.judged(user);
    }

    /// Whether there is room in the log for a line about a stranger, and how many had none since the last.
    pub(crate) fn may_say(&mut self, now: Instant) -> Option<u64> {
        if self.lines.take(now, Duration::from_secs(1), LINES, 1).is_err() {
            self.unsaid += 1;
            return None;
        }
        Some(std::mem::take(&mut self.unsaid))
    }

    /// A connection for which there was no room.
    pub(crate) fn turned_away(&mut self) {
        self.counters.connections += 1;
    }

    /// The next ban for the log.
    pub(crate) fn poll(&mut self) -> Option<Banned> {
        self.told.pop_front()
    }

    /// The bans that hold.
    pub(crate) fn bans(&self, now: Instant) -> Vec<(Source, Ban)> {
        self.bans.list(now)
    }

    pub(crate) fn counters(&self) -> GuardCounters {
        self.counters
    }

    pub(crate) fn sources(&self) -> usize {
        self.table.len()
    }

    /// Lifts a ban and forgets the failures; says whether there was a ban.
    pub(crate) fn lift(&mut self, now: Instant, ip: IpAddr) -> bool {
        let source = Source::of(ip);
        if let Some(entry) = self.table.known(source) {
            entry.failures = Bucket::default();
            entry.unproven = 0;
        }
        self.bans.lift(now, source)
    }

    fn is_banned(&mut self, now: Instant, ip: IpAddr) -> bool {
        let ban = self.bans.holding(now, Source::of(ip));
        let banned = ban.is_some();
        if let Some(ban) = ban {
            ban.dropped += 1;
            self.counters.banned += 1;
        }
        banned
    }

    fn scanned(&mut self, now: Instant, ip: IpAddr, octets: &[u8]) -> bool {
        let scanner = scanner::is_scanner(octets, &self.rules.scanners);
        if scanner {
            self.counters.scanners += 1;
            self.offends(now, ip, Offence::Scanner);
        }
        scanner
    }

    fn rate(&self, standing: Standing) -> u32 {
        match standing {
            Standing::Peer => self.rules.per_peer,
            Standing::Friend => self.rules.per_source.saturating_mul(FRIENDS),
            Standing::Stranger => self.rules.per_source,
        }
    }

    /// Takes from what a source has; two seconds' worth may come at once.
    fn spend(&mut self, now: Instant, ip: IpAddr, standing: Standing, n: u32) -> Result<(), Instant> {
        let rate = self.rate(standing);
        if standing == Standing::Peer && rate == 0 {
            return Ok(());
        }
        let packets = &mut self.table.of(now, Source::of(ip)).packets;
        packets.take(now, gap(rate), rate.saturating_mul(2), n)
    }

    /// Takes without asking; how long it takes until there would have been room.
    fn owe(&mut self, now: Instant, ip: IpAddr, standing: Standing, n: u32) -> Duration {
        let rate = self.rate(standing);
        if standing == Standing::Peer && rate == 0 {
            return Duration::ZERO;
        }
        let packets = &mut self.table.of(now, Source::of(ip)).packets;
        packets.take_anyway(now, gap(rate), n);
        packets.full_at().since(now).saturating_sub(gap(rate).saturating_mul(rate.saturating_mul(2)))
    }

    /// Takes from what all strangers have; a second's worth may come at once.
    fn spend_of_all(&mut self, now: Instant, n: u32) -> Result<(), Instant> {
        self.strangers.take(now, gap(self.rules.strangers), self.rules.strangers, n)
    }

    /// How long a quarter of a failure counts.
    fn failure_gap(&self) -> Duration {
        self.rules.ban_window / self.most_failures().max(1)
    }

    /// Quarters of failures that ban.
    fn most_failures(&self) -> u32 {
        self.rules.ban_after.saturating_mul(Offence::WrongProof.weight())
    }
}
