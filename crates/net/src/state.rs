//! How trunks are, as their operator sees it.

use crate::dns::Place;
use crate::trunk::TrunkLimits;
use std::time::{Duration, SystemTime};

/// How a trunk is.
#[derive(Clone, PartialEq, Debug)]
pub struct TrunkState {
    /// Its name.
    pub name: String,
    /// Calls are made by it.
    pub up: bool,
    /// Since when it is so; `None`: nothing is known of it yet.
    pub since: Option<SystemTime>,
    /// Why it is down.
    pub why: Option<String>,
    /// When a trunk that is down is tried again.
    pub tried_again: Option<SystemTime>,
    /// When it failed last, and how.
    pub last_failure: Option<(SystemTime, String)>,
    /// Its registrations, if it is to be registered at.
    pub registrations: Vec<RegistrationState>,
    /// Where it is, the best first.
    pub places: Vec<PlaceState>,
    /// Calls that we made and that run.
    pub calls_out: usize,
    /// Calls that came in and run.
    pub calls_in: usize,
    /// Calls that wait for a line.
    pub waiting: usize,
    /// What it allows.
    pub limits: TrunkLimits,
}

/// How a registration is.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RegistrationState {
    /// Where: the place that it was granted by, or is asked of.
    pub at: Option<Place>,
    /// Since when it has been granted without a break; `None`: it is not.
    pub since: Option<SystemTime>,
    /// Until when it holds if nothing renews it.
    pub until: Option<SystemTime>,
    /// Service-Route: what calls carry (RFC 3608).
    pub service_route: Vec<String>,
    /// The registrar keeps our ways apart (RFC 5626).
    pub outbound: bool,
    /// Our address as it is seen there.
    pub seen: Option<std::net::SocketAddr>,
    /// When it was refused last, and how.
    pub last_failure: Option<(SystemTime, String)>,
    /// When it is asked for again after a failure.
    pub tried_again: Option<SystemTime>,
}

/// How a place is.
#[derive(Clone, PartialEq, Debug)]
pub struct PlaceState {
    /// Which.
    pub place: Place,
    /// It failed lately and comes last.
    pub failed: bool,
    /// How long the answer to the last OPTIONS took; `None`: there was none.
    pub round_trip: Option<Duration>,
}

/// What an endpoint holds at the moment: without calls and a minute after the last one nothing but what is configured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Holdings {
    /// What the user agent holds.
    pub sip: fax_sip::Holdings,
    /// Fax calls.
    pub calls: usize,
    /// Calls that are passed on.
    pub passed_on: usize,
    /// Calls that have come in and are not decided about.
    pub undecided: usize,
    /// Calls that wait for a line of their trunk.
    pub waiting: usize,
    /// Calls whose media run.
    pub media: usize,
    /// TCP and TLS connections.
    pub connections: usize,
    /// Names and timers of calls.
    pub keys: usize,
}
