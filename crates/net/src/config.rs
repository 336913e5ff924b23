//! How the driver is set up: addresses, ports, trunks.

use crate::guard::Protection;
use crate::listen::{Listen, StreamLimits, Tls};
use crate::local::{LocalTerminal, Registrar};
use crate::trunk::Trunk;
use fax_base::time::Duration;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Everything the driver needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where SIP over UDP is bound, when `listen` is empty.
    pub sip: SocketAddr,
    /// Where SIP comes in, by which transports. Peers are called from the first listener of the transport and the
    /// family of addresses.
    pub listen: Vec<Listen>,
    /// TLS towards peers.
    pub tls: Tls,
    /// What connections may cost.
    pub streams: StreamLimits,
    /// What the SIP side bears of whom.
    pub protection: Protection,
    /// DNS servers; empty: those of the system.
    pub dns: Vec<SocketAddr>,
    /// STUN servers, the best first, that say which address that is, where `advertise` and the trunk do not: hosts or
    /// addresses, with or without port.
    pub stun: Vec<String>,
    /// The address that peers are told for signalling and media; `None`: the one that the system would
    /// use towards the peer.
    pub advertise: Option<IpAddr>,
    /// The address media is bound to; `None`: the one of `sip`.
    pub media_ip: Option<IpAddr>,
    /// UDP ports for media, even ones are used; `None`: any free port.
    pub media_ports: Option<RangeInclusive<u16>>,
    /// Media worker threads; 0: one a core.
    pub workers: usize,
    /// The User-Agent header.
    pub user_agent: String,
    /// Peers that we call through and that may call us.
    pub trunks: Vec<Trunk>,
    /// Terminals that may register here and call.
    pub terminals: Vec<LocalTerminal>,
    /// How they do.
    pub registrar: Registrar,
    /// Calls at a time, both ways; more get 503.
    pub max_calls: usize,
    /// Where calls are recorded; `None`: they are not.
    pub traces: Option<crate::TraceConfig>,
}

impl Config {
    /// A configuration with this address and no trunks.
    #[must_use]
    pub fn new(sip: SocketAddr) -> Self {
        Config {
            sip,
            listen: Vec::new(),
            tls: Tls::default(),
            streams: StreamLimits::default(),
            protection: Protection::default(),
            dns: Vec::new(),
            stun: Vec::new(),
            advertise: None,
            media_ip: None,
            media_ports: None,
            workers: 0,
            user_agent: concat!("ferrofax/", env!("CARGO_PKG_VERSION")).to_owned(),
            trunks: Vec::new(),
            terminals: Vec::new(),
            registrar: Registrar::default(),
            max_calls: 200,
            traces: None,
        }
    }
}

/// Who offers T.38, and when. A fax goes by audio until T.38 is agreed, and goes on by audio where it is not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct T38Policy {
    /// As the called side: so long after the call was answered, or at once when CNG is heard. This is the rule
    /// of the field.
    pub offer_as_called: Option<Duration>,
    /// As the calling side: so long after the call was answered, when the far end was heard to be a fax and has
    /// not offered it.
    pub offer_as_caller: Option<Duration>,
    /// Take the far end's offer.
    pub accept: bool,
}

impl T38Policy {
    /// All faxes by audio.
    pub const NEVER: T38Policy = T38Policy { offer_as_called: None, offer_as_caller: None, accept: false };
}

impl Default for T38Policy {
    fn default() -> Self {
        T38Policy {
            offer_as_called: Some(Duration::from_millis(1_000)),
            offer_as_caller: Some(Duration::from_millis(6_000)),
            accept: true,
        }
    }
}

/// An address or a network: `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/32`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether `ip` is in it. IPv4 addresses mapped into IPv6 count as IPv4.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address.to_canonical(), ip.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                let shift = 32 - u32::from(self.prefix.min(32));
                a.to_bits().checked_shr(shift) == b.to_bits().checked_shr(shift)
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let shift = 128 - u32::from(self.prefix.min(128));
                a.to_bits().checked_shr(shift) == b.to_bits().checked_shr(shift)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Network { address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }
}

impl FromStr for Network {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| format!("{text} is no address"))?;
        let whole = Network::from(address);
        let Some(prefix) = prefix else {
            return Ok(whole);
        };
        match prefix.parse() {
            Ok(prefix) if prefix <= whole.prefix => Ok(Network { prefix, ..whole }),
            _ => Err(format!("{text}: the length after / is 0 to {}", whole.prefix)),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_their_addresses() {
        let contains = |n: &str, a: &str| n.parse::<Network>().unwrap().contains(a.parse().unwrap());
        assert!(contains("192.0.2.0/24", "192.0.2.200"));
        assert!(!contains("192.0.2.0/24", "192.0.3.1"));
        assert!(contains("192.0.2.7", "::ffff:192.0.2.7"));
        assert!(contains("0.0.0.0/0", "203.0.113.1"));
        assert!(contains("2001:db8::/32", "2001:db8:1::1"));
        assert!(!contains("2001:db8::/32", "192.0.2.1"));
        for bad in ["", "192.0.2.0/33", "x/8", "192.0.2.0/-1", "192.0.2.0/"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}
