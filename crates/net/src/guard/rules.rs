//! What the SIP side bears of whom: the settings of the guard, with their defaults.

use crate::config::Network;
use fax_base::time::Duration;

/// Names that scanners and password guessers give themselves in User-Agent, or leave in From and Contact. Whoever wants to
/// hide does not; most do not care.
pub const SCANNERS: [&str; 18] = [
    "friendly-scanner",
    "friendly-request",
    "sipvicious",
    "sipcli",
    "sip-scan",
    "sipscan",
    "sipsak-scan",
    "vaxsipuseragent",
    "pplsip",
    "sundayddr",
    "smap ",
    "iwar",
    "siparmyknife",
    "sivus",
    "sipptk",
    "voipscan",
    "masscan",
    // The probe of nmap.
    "<sip:nm@nm>",
];

/// How the SIP side is protected. Trunks, `allow` and the addresses of registered terminals are known; all else is
/// strangers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Protection {
    /// Off: everything is let through.
    pub enabled: bool,
    /// Datagrams a second from one address (IPv6: one /64) that is a stranger's; two seconds' worth may come at once. A
    /// read from a connection counts as one for each 1500 octets and message begun, a new connection as five. Ten times
    /// as many for an address of registered terminals.
    pub per_source: u32,
    /// The same of all strangers together.
    pub strangers: u32,
    /// The same of each address of a trunk or of `allow`; 0: no limit.
    pub per_peer: u32,
    /// TLS handshakes of strangers that may be under way.
    pub handshakes: usize,
    /// Never banned, with the limits of trunks.
    pub allow: Vec<Network>,
    /// Parts of User-Agent, From or Contact, in small letters, by which scanners are known; none: nobody is.
    pub scanners: Vec<String>,
    /// So many failures (wrong proofs, refused calls) within `ban_window` ban a source; 0: never.
    pub ban_after: u32,
    /// How long failures count.
    pub ban_window: Duration,
    /// How long the first ban lasts; each further one is twice as long …
    pub ban: Duration,
    /// … up to this.
    pub longest_ban: Duration,
    /// So many wrong proofs of one user within `ban_window`, wherever they come from, and further ones are judged slowly,
    /// unless they come from where the user has registered before; 0: never.
    pub account_failures: u32,
    /// Sources that are remembered.
    pub sources: usize,
}

impl Default for Protection {
    fn default() -> Self {
        Protection {
            enabled: true,
            per_source: 50,
            strangers: 400,
            per_peer: 10_000,
            handshakes: 128,
            allow: Vec::new(),
            scanners: SCANNERS.map(str::to_owned).to_vec(),
            ban_after: 10,
            ban_window: Duration::from_secs(600),
            ban: Duration::from_secs(300),
            longest_ban: Duration::from_secs(86_400),
            account_failures: 20,
            sources: 16_384,
        }
    }
}
