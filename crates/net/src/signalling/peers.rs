//! Where the trunks are, and whose calls are taken.

use crate::config::Trunk;
use fax_sip::Transport;
use std::net::{IpAddr, SocketAddr};

/// SIP's port for UDP (RFC 3261 §19.1.2).
const SIP_PORT: u16 = 5060;

/// A trunk and the addresses its host has now.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) trunk: Trunk,
    pub(crate) addresses: Vec<SocketAddr>,
}

impl Peer {
    pub(crate) fn new(trunk: Trunk) -> Self {
        let addresses = literal(&trunk.peer).into_iter().collect();
        Peer { trunk, addresses }
    }

    /// How it is reached.
    pub(crate) fn transport(&self) -> Transport {
        self.trunk.transport.unwrap_or_default()
    }

    /// Whose certificate it has to show; `None`: that of its address.
    pub(crate) fn server_name(&self) -> Option<String> {
        if !self.trunk.server_name.is_empty() {
            return Some(self.trunk.server_name.clone());
        }
        let host = self.trunk.peer.rsplit_once(':').map_or(self.trunk.peer.as_str(), |(host, _)| host);
        literal(&self.trunk.peer).is_none().then(|| host.to_owned())
    }

    /// The host in Request-URI, From and To.
    pub(crate) fn domain(&self) -> String {
        if !self.trunk.domain.is_empty() {
            return self.trunk.domain.clone();
        }
        match literal(&self.trunk.peer) {
            Some(address) if address.port() == SIP_PORT && address.is_ipv4() => address.ip().to_string(),
            Some(address) => address.to_string(),
            None => self.trunk.peer.clone(),
        }
    }

    /// Whether calls from `ip` are this trunk's.
    pub(crate) fn owns(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.addresses.iter().any(|a| a.ip().to_canonical() == ip)
            || self.trunk.accept_from.iter().any(|n| n.contains(ip))
    }
}

/// The address in a `peer` that is one: `192.0.2.1`, `192.0.2.1:5070`, `[2001:db8::1]:5060`.
fn literal(peer: &str) -> Option<SocketAddr> {
    let bare = peer.trim_start_matches('[').trim_end_matches(']');
    peer.parse().ok().or_else(|| bare.parse().ok().map(|ip: IpAddr| SocketAddr::new(ip, SIP_PORT)))
}

/// Looks the host of `peer` up.
pub(crate) async fn resolve(peer: &str) -> std::io::Result<Vec<SocketAddr>> {
    if let Some(address) = literal(peer) {
        return Ok(vec![address]);
    }
    let with_port = peer.rsplit_once(':').is_some_and(|(_, p)| p.parse::<u16>().is_ok());
    let host = if with_port { peer.to_owned() } else { format!("{peer}:{SIP_PORT}") };
    Ok(tokio::net::lookup_host(host).await?.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_read_in_every_form() {
        for (peer, want) in [
            ("192.0.2.1", "192.0.2.1:5060"),
            ("192.0.2.1:5070", "192.0.2.1:5070"),
            ("2001:db8::1", "[2001:db8::1]:5060"),
            ("[2001:db8::1]", "[2001:db8::1]:5060"),
            ("[2001:db8::1]:5070", "[2001:db8::1]:5070"),
        ] {
            assert_eq!(literal(peer), want.parse().ok(), "{peer}");
        }
        assert_eq!(literal("sip.example.net:5060"), None);
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
