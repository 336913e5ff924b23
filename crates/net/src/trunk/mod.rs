//! A trunk: a peer that we call through and that calls us, and what it wants.

mod identity;
mod numbers;

pub use identity::{Assertion, IdentityRules};
pub(crate) use numbers::escape;
pub use numbers::{NumberFormat, NumberStyle};

use crate::config::{Network, T38Policy};
use crate::local::OnwardT38;
use fax_base::time::Duration;
use fax_sip::sdp::Srtp;
use fax_sip::{FaxPreference, Transport};
use std::fmt;
use std::net::IpAddr;

/// A configured peer.
#[derive(Clone, PartialEq)]
pub struct Trunk {
    /// Its name in configuration, logs and reports.
    pub name: String,
    /// Where requests are sent, its points of presence, the best first: host or address, with or without port, or a
    /// SIP URI; names are looked up by RFC 3263.
    pub peers: Vec<String>,
    /// How the peer is reached; `None`: as DNS says, or UDP.
    pub transport: Option<Transport>,
    /// TLS: the name in the peer's certificate; empty: the host of `peer` (RFC 5922 §7.3).
    pub server_name: String,
    /// The domain in Request-URI and To, and in From where nothing else is said; empty: the first peer's host.
    pub domain: String,
    /// For 401 and 407, and for registering.
    pub credentials: Option<(String, String)>,
    /// Register there, asking for this long.
    pub register: Option<Duration>,
    /// The user we register as; empty: the user name of `credentials`.
    pub register_user: String,
    /// Register at every one of `peers` as one instance with several ways (RFC 5626): its `urn:uuid:…`. `None`: at
    /// one of them at a time.
    pub outbound: Option<String>,
    /// Who else may call us as this trunk, beside the peer's own address.
    pub accept_from: Vec<Network>,
    /// The address that this peer is told for signalling and media.
    pub advertise: Advertise,
    /// Who offers T.38, and when.
    pub t38: T38Policy,
    /// A call that nobody answered for this long is cancelled.
    pub ring_timeout: Duration,
    /// A place that has not answered anything for so long, not even 100, is passed over, and then the trunk.
    pub reply_within: Duration,
    /// How numbers are written.
    pub numbers: NumberFormat,
    /// How it is told who calls.
    pub identity: IdentityRules,
    /// How many calls, and how fast.
    pub limits: TrunkLimits,
    /// Ask it for a sign of life so often: OPTIONS to each of its places. `None`: never.
    pub ping: Option<Duration>,
    /// Hosts that a 3xx may send us to, beside the trunk's own: names, names with a dot before them for everything
    /// below, addresses, networks.
    pub redirects: Vec<String>,
    /// What is said of fax in Accept-Contact (RFC 6913 §3); `None`: nothing.
    pub fax_preference: Option<FaxPreference>,
    /// T.38 in calls that are passed on to it and from it.
    pub t38_onward: OnwardT38,
    /// Whether its audio goes by SRTP.
    pub srtp: SrtpPolicy,
    /// The name and password that it must prove when it calls us; `None`: its address is enough.
    pub challenge: Option<(String, String)>,
}

/// Without passwords.
impl fmt::Debug for Trunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trunk")
            .field("name", &self.name)
            .field("peers", &self.peers)
            .field("transport", &self.transport)
            .field("user", &self.credentials.as_ref().map(|(user, _)| user))
            .field("register", &self.register)
            .field("accept_from", &self.accept_from)
            .field("advertise", &self.advertise)
            .field("t38", &self.t38)
            .field("numbers", &self.numbers)
            .field("identity", &self.identity)
            .field("limits", &self.limits)
            .field("ping", &self.ping)
            .field("redirects", &self.redirects)
            .field("challenge", &self.challenge.as_ref().map(|(user, _)| user))
            .finish_non_exhaustive()
    }
}

/// The address that a peer is told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Advertise {
    /// As the listener and the driver say.
    #[default]
    Usual,
    /// This one.
    Fixed(IpAddr),
    /// The one it says it sees us at, in the Via of its answers to REGISTER (RFC 3581).
    AsSeen,
}

/// SRTP with a peer, by keys in session descriptions (RFC 4568).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SrtpPolicy {
    /// Whether.
    pub srtp: Srtp,
    /// Its keys may be told where signalling does not go over TLS, for everybody on the way to read.
    pub in_clear: bool,
    /// A call whose audio goes by SRTP may go on by T.38, in clear.
    pub t38: bool,
}

impl Default for SrtpPolicy {
    /// Taken from who offers it over TLS.
    fn default() -> Self {
        SrtpPolicy { srtp: Srtp::Accepted, in_clear: false, t38: false }
    }
}

/// How many calls a trunk takes, and how fast.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct TrunkLimits {
    /// Calls at a time, both ways together.
    pub calls: Option<usize>,
    /// … that we make.
    pub calls_out: Option<usize>,
    /// … that come in.
    pub calls_in: Option<usize>,
    /// Calls begun in a second by us.
    pub per_second_out: Option<u32>,
    /// … by the peer.
    pub per_second_in: Option<u32>,
}

impl Trunk {
    /// The user we register as, and are called as; `None`: nothing says which.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        let named = Some(self.register_user.as_str()).filter(|user| !user.is_empty());
        named.or(self.credentials.as_ref().map(|(user, _)| user.as_str()))
    }

    /// A trunk to `peer` with sensible defaults.
    #[must_use]
    pub fn new(name: &str, peer: &str) -> Self {
        Trunk {
            name: name.to_owned(),
            peers: vec![peer.to_owned()],
            transport: None,
            server_name: String::new(),
            domain: String::new(),
            credentials: None,
            register: None,
            register_user: String::new(),
            outbound: None,
            accept_from: Vec::new(),
            advertise: Advertise::Usual,
            t38: T38Policy::default(),
            ring_timeout: Duration::from_secs(60),
            reply_within: Duration::from_secs(5),
            t38_onward: OnwardT38::Pass,
            challenge: None,
            srtp: SrtpPolicy::default(),
            numbers: NumberFormat::default(),
            identity: IdentityRules::default(),
            limits: TrunkLimits::default(),
            ping: None,
            redirects: Vec::new(),
            fax_preference: None,
        }
    }
}
