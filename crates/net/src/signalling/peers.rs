//! Where the trunks are, how they are, and whose calls are taken.

use super::health::Health;
use super::limits::Lines;
use super::registrations::Registration;
use super::waiting::Waiting;
use crate::dns::Place;
use crate::trunk::Trunk;
use bytes::Bytes;
use fax_base::Instant;
use fax_base::time::Duration;
use fax_sip::message::Uri;
use fax_sip::{Hop, Transport};
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use tokio::task::AbortHandle;

/// SIP's ports (RFC 3261 §19.1.2).
const SIP_PORT: u16 = 5060;
const SIPS_PORT: u16 = 5061;

/// Points of presence that are looked at.
pub(super) const MOST_HOSTS: usize = 16;

/// A trunk, the places where it is now, and how it is.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Names it as long as the driver lives; a trunk that is removed and added again is another.
    pub(crate) id: u64,
    pub(crate) trunk: Trunk,
    /// Its points of presence with their places, the best first.
    pub(super) hosts: Vec<(Hop, Vec<Place>)>,
    /// The places of all of them.
    pub(crate) places: Vec<Place>,
    /// One for each host that is a name.
    pub(super) look_ups: Vec<AbortHandle>,
    /// One; or one for each host, where the trunk is to keep several ways to us (RFC 5626).
    pub(super) registrations: Vec<Registration>,
    pub(super) health: Health,
    pub(super) lines: Lines,
    /// Calls that wait for a line.
    pub(super) waiting: VecDeque<Waiting>,
    /// When it is asked for a sign of life.
    pub(super) ping_at: Option<Instant>,
    /// How long the last sign of life of a place took; `None`: it did not come.
    pub(super) pings: HashMap<Place, Option<Duration>>,
    /// Where it sees us, if we are to tell it that.
    pub(super) seen: Option<SocketAddr>,
}

/// The hop that a trunk's peer names: a SIP URI, or a host or an address, with or without port. `None` where it is
/// none of them.
#[must_use]
pub fn hop(peer: &str, transport: Option<Transport>) -> Option<Hop> {
    let peer = peer.trim();
    let uri = |text: &str| Uri::read(Bytes::from(text.to_owned())).and_then(|uri| Hop::of(&uri));
    let lower = peer.to_ascii_lowercase();
    let mut hop = if lower.starts_with("sip:") || lower.starts_with("sips:") {
        uri(peer)?
    } else if let Ok(ip) = peer.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Hop { host: ip.to_string(), port: None, transport: None, secure: false }
    } else {
        uri(&format!("sip:{peer}"))?
    };
    hop.transport = transport.or(hop.transport);
    Some(hop)
}

/// The place that a hop names by address.
pub(super) fn literal(hop: &Hop, otherwise: Transport) -> Option<Place> {
    let transport = if hop.secure { Transport::Tls } else { hop.transport.unwrap_or(otherwise) };
    let port = hop.port.unwrap_or(if transport == Transport::Tls { SIPS_PORT } else { SIP_PORT });
    Some(Place { transport, address: SocketAddr::new(hop.host.parse().ok()?, port) })
}

impl Peer {
    pub(crate) fn new(id: u64, trunk: Trunk) -> Self {
        let mut peer = Peer {
            id,
            trunk,
            hosts: Vec::new(),
            places: Vec::new(),
            look_ups: Vec::new(),
            registrations: Vec::new(),
            health: Health::default(),
            lines: Lines::default(),
            waiting: VecDeque::new(),
            ping_at: None,
            pings: HashMap::new(),
            seen: None,
        };
        peer.settle_hosts();
        peer
    }

    /// Reads where the trunk is from its configuration, keeping what was looked up.
    pub(super) fn settle_hosts(&mut self) {
        let old = std::mem::take(&mut self.hosts);
        let hops = self.trunk.peers.iter().filter_map(|p| hop(p, self.trunk.transport)).take(MOST_HOSTS);
        self.hosts = hops
            .map(|hop| {
                let known = old.iter().find(|(h, _)| *h == hop).map(|(_, places)| places.clone());
                let places = known.or_else(|| literal(&hop, Transport::Udp).map(|place| vec![place]));
                (hop, places.unwrap_or_default())
            })
            .collect();
        self.settle_places();
    }

    pub(super) fn settle_places(&mut self) {
        self.places.clear();
        for place in self.hosts.iter().flat_map(|(_, places)| places) {
            if !self.places.contains(place) {
                self.places.push(*place);
            }
        }
    }

    /// The hosts, for sentences.
    pub(super) fn named(&self) -> String {
        self.trunk.peers.join(", ")
    }

    /// Whose certificate has to be shown at this address; `None`: that of the address.
    pub(crate) fn server_name(&self, at: SocketAddr) -> Option<String> {
        if !self.trunk.server_name.is_empty() {
            return Some(self.trunk.server_name.clone());
        }
        let here = |(_, places): &&(Hop, Vec<Place>)| places.iter().any(|p| p.address == at);
        let host = &self.hosts.iter().find(here).or(self.hosts.first())?.0.host;
        host.parse::<IpAddr>().is_err().then(|| host.clone())
    }

    /// The host in Request-URI, From and To.
    pub(crate) fn domain(&self) -> String {
        if !self.trunk.domain.is_empty() {
            return self.trunk.domain.clone();
        }
        let Some((hop, _)) = self.hosts.first() else {
            return self.trunk.peers.first().cloned().unwrap_or_default();
        };
        let host = if hop.host.contains(':') { format!("[{}]", hop.host) } else { hop.host.clone() };
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

impl Drop for Peer {
    fn drop(&mut self) {
        self.look_ups.iter().for_each(AbortHandle::abort);
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
            let address = address.parse().unwrap();
            let peer = Peer::new(1, Trunk::new("t", peer));
            assert_eq!(peer.places, [Place { transport, address }]);
            assert_eq!(peer.domain(), domain);
            assert_eq!(peer.server_name(address), None);
        }
        let named = Peer::new(1, Trunk::new("t", "sip.example.net:5060"));
        assert!(named.places.is_empty());
        assert_eq!(named.domain(), "sip.example.net");
        assert_eq!(named.server_name("192.0.2.1:5061".parse().unwrap()).as_deref(), Some("sip.example.net"));
        assert!(hop("two words", None).is_none());
    }

    #[test]
    fn points_of_presence_come_in_order_with_their_own_names() {
        let mut trunk = Trunk::new("t", "sip:a.example.net");
        trunk.peers.extend(["192.0.2.1".to_owned(), "b.example.net".to_owned(), "192.0.2.1".to_owned()]);
        let mut peer = Peer::new(1, trunk);
        let place = |a: &str| Place { transport: Transport::Udp, address: a.parse().unwrap() };
        assert_eq!(peer.places, [place("192.0.2.1:5060")]);
        peer.hosts[2].1 = vec![place("198.51.100.2:5060")];
        peer.hosts[0].1 = vec![place("198.51.100.1:5060"), place("192.0.2.1:5060")];
        peer.settle_places();
        let all = [place("198.51.100.1:5060"), place("192.0.2.1:5060"), place("198.51.100.2:5060")];
        assert_eq!(peer.places, all);
        assert_eq!(peer.server_name(all[0].address).as_deref(), Some("a.example.net"));
        assert_eq!(peer.server_name(all[2].address).as_deref(), Some("b.example.net"));
        assert_eq!(peer.domain(), "a.example.net");
        // Changed hosts keep what is known of those that stay.
        peer.trunk.peers = vec!["b.example.net".to_owned()];
        peer.settle_hosts();
        assert_eq!(peer.places, [all[2]]);
    }

    #[test]
    fn calls_are_taken_from_the_peer_and_its_networks() {
        let mut trunk = Trunk::new("t", "192.0.2.1");
        trunk.accept_from.push("198.51.100.0/24".parse().unwrap());
        let peer = Peer::new(1, trunk);
        assert!(peer.owns("192.0.2.1".parse().unwrap()));
        assert!(peer.owns("198.51.100.77".parse().unwrap()));
        assert!(!peer.owns("203.0.113.1".parse().unwrap()));
    }
}
