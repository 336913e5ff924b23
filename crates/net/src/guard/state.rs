//! What the guard has done, as it is shown.

use super::bans::Offence;
use std::time::SystemTime;

/// A ban that holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BanState {
    /// An IPv4 address, or an IPv6 network.
    pub source: String,
    /// Since when.
    pub since: SystemTime,
    /// Until when.
    pub until: SystemTime,
    /// The first ban of this source, the second …
    pub times: u32,
    /// What for.
    pub why: Offence,
    /// Datagrams and connections dropped since.
    pub dropped: u64,
}

/// What was done since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct GuardCounters {
    /// Datagrams of strangers that were more than their own limit.
    pub over_source: u64,
    /// … more than the limit of all strangers.
    pub over_strangers: u64,
    /// Datagrams of trunks and registered terminals that were more than theirs.
    pub over_known: u64,
    /// Messages of scanners by their own name.
    pub scanners: u64,
    /// Datagrams and connections of banned sources.
    pub banned: u64,
    /// Connections that were closed at once: too many or too fast.
    pub connections: u64,
    /// Reads from connections that were put off.
    pub slowed: u64,
    /// Proofs of identity that were judged later, since too many of that user had been wrong.
    pub delayed: u64,
    /// Bans.
    pub bans: u64,
}

/// How the guard is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct GuardState {
    /// The bans that hold, the youngest first.
    pub bans: Vec<BanState>,
    /// What was done.
    pub counters: GuardCounters,
    /// Sources that are remembered.
    pub sources: usize,
}
