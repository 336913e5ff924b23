//! Where the trunks are, and whose calls are taken.

use crate::config::Trunk;
use crate::dns::Place;
use bytes::Bytes;
use fax_sip::message::Uri;
use fax_sip::{Hop, Transport};
use std::net::{IpAddr, SocketAddr};

/// SIP's ports (RFC 3261 §19.1.2).
const SIP_PORT: u16 = 5060;
const SIPS_PORT: u16 = 5061;

/// A trunk and the places where its host is now.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) trunk: Trunk,
    /// Best first.
    pub(crate) places: Vec<Place>,
    /// Where it was registered last.
    pub(crate) registered: Option<Place>,
}

/// The hop that a trunk's `peer` names: a SIP URI, or a host or an address, with or without port. `None` where it is
/// none of them.
#[must_use]
pub fn hop(trunk: &Trunk) -> Option<Hop> {
    let peer = trunk.peer.trim();
    let uri = |text: &str| Uri::read(Bytes::from(text.to_owned())).and_then(|uri| Hop::of(&uri));
    let lower = peer.to_ascii_lowercase();
    let mut hop = if lower.starts_with("sip:") || lower.starts_with("sips:") {
        uri(peer)?
    } else if let Ok(ip) = peer.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Hop { host: ip.to_string(), port: None, transport: None, secure: false }
    } else {
        uri(&format!("sip:{peer}"))?
    };
    hop.transport = trunk.transport.or(hop.transport);
    Some(hop)
}

impl Peer {
    pub(crate) fn new(trunk: Trunk) -> Self {
        let literal = hop(&trunk).and_then(|hop| {
            let transport = if hop.secure { Transport::Tls } else { hop.transport.unwrap_or_default() };
            let port = hop.port.unwrap_or(if transport == Transport::Tls { SIPS_PORT } else { SIP_PORT });
            Some(Place { transport, address: SocketAddr::new(hop.host.parse().ok()?, port) })
        });
        Peer { trunk, places: literal.into_iter().collect(), registered: None }
    }

    /// The host in `peer`.
    fn host(&self) -> String {
        hop(&self.trunk).map_or_else(|| self.trunk.peer.clone(), |hop| hop.host)
    }

    /// Whose certificate it has to show; `None`: that of its address.
    pub(crate) fn server_name(&self) -> Option<String> {
        if !self.trunk.server_name.is_empty() {
            return Some(self.trunk.server_name.clone());
        }
        let host = self.host();
        host.parse::<IpAddr>().is_err().then_some(host)
    }

    /// The host in Request-URI, From and To.
    pub(crate) fn domain(&self) -> String {
        if !self.trunk.domain.is_empty() {
            return self.trunk.domain.clone();
        }
        let Some(hop) = hop(&self.trunk) else {
            return self.trunk.peer.clone();
        };
        let host = if hop.host.contains(':') { format!("[{}]", hop.host) } else { hop.host };
        match hop.port {
            Some(port) if port != SIP_PORT => format!("{host}:{port}"),
            Some(_) | None => host,
        }
    }

    /// Whether calls from `ip` are this trunk's.
    pub(crate) fn owns(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.places.iter().any(|p| p.address.ip().to_canonical() == ip)
            || self.trunk.accept_from.iter().any(|n| n.contains(ip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_read_in_every_form() {
        for (peer, transport, address, domain) in [
            ("192.0.2.1", Transport::Udp, "192.0.2.1:5060", "192.0.2.1"),
            ("192.0.2.1:5070", Transport::Udp, "192.0.2.1:5070", "192.0.2.1:5070"),
            ("2001:db8::1", Transport::Udp, "[2001:db8::1]:5060", "[2001:db8::1]"),
            ("[2001:db8::1]", Transport::Udp, "[2001:db8::1]:5060", "[2001:db8::1]"),
            ("[2001:db8::1]:5070", Transport::Udp, "[2001:db8::1]:5070", "[2001:db8::1]:5070"),
            ("sip:192.0.2.1;transport=tcp", Transport::Tcp, "192.0.2.1:5060", "192.0.2.1"),
            ("sips:192.0.2.1", Transport::Tls, "192.0.2.1:5061", "192.0.2.1"),
        ] {
            let peer = Peer::new(Trunk::new("t", peer));
            assert_eq!(peer.places, [Place { transport, address: address.parse().unwrap() }]);
            assert_eq!(peer.domain(), domain);
            assert_eq!(peer.server_name(), None);
        }
        let named = Peer::new(Trunk::new("t", "sip.example.net:5060"));
        assert!(named.places.is_empty());
        assert_eq!(named.domain(), "sip.example.net");
        assert_eq!(named.server_name().as_deref(), Some("sip.example.net"));
        assert!(hop(&Trunk::new("t", "two words")).is_none());
    }

    #[test]
    fn calls_are_taken_from_the_peer_and_its_networks() {
        let mut trunk = Trunk::new("t", "192.0.2.1");
        trunk.accept_from.push("198.51.100.0/24".parse().unwrap());
        let peer = Peer::new(trunk);
        assert!(peer.owns("192.0.2.1".parse().unwrap()));
        assert!(peer.owns("198.51.100.77".parse().unwrap()));
        assert!(!peer.owns("203.0.113.1".parse().unwrap()));
    }
}
