//! Where SIP is listened for, by which transports, with which certificates and limits (RFC 3261 §18, §26.3.1; RFC 5922).

use fax_base::time::Duration;
use fax_sip::Transport;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// One address at which SIP comes in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listen {
    /// UDP, TCP or TLS.
    pub transport: Transport,
    /// The address; port 0 lets the system choose.
    pub address: SocketAddr,
    /// What peers are told instead, behind NAT: in Via, Contact and session descriptions.
    pub advertise: Option<IpAddr>,
    /// TLS: our certificate.
    pub identity: Option<Identity>,
    /// TLS: certificates of these authorities (PEM) are demanded of whoever connects; empty: none is.
    pub client_ca: Vec<PathBuf>,
}

impl Listen {
    /// A listener without certificates.
    #[must_use]
    pub fn new(transport: Transport, address: SocketAddr) -> Self {
        Listen { transport, address, advertise: None, identity: None, client_ca: Vec::new() }
    }
}

/// A certificate chain and its key, both as PEM files. They are read again when they change.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Identity {
    /// The chain, ours first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The oldest TLS that is spoken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    #[default]
    V1_2,
    /// TLS 1.3 (RFC 8446).
    V1_3,
}

/// TLS towards peers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tls {
    /// Authorities (PEM) that peers' certificates must come from; empty: those of the system.
    pub ca: Vec<PathBuf>,
    /// Our certificate, where a peer asks for one.
    pub identity: Option<Identity>,
    /// The oldest version, both ways.
    pub minimum: TlsVersion,
}

/// What connections may cost, and how long they are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamLimits {
    /// Connections that others made, in all; more are closed at once.
    pub connections: usize,
    /// … from one address.
    pub per_source: usize,
    /// A connection without a call, over which nothing has come for so long, is closed.
    pub idle: Duration,
    /// So long a connection may take to be made, TLS included, and so long until its first message.
    pub patience: Duration,
    /// Messages that wait to be written to one connection; one more closes it.
    pub queue: usize,
    /// Between two keep-alives (RFC 5626 §3.5.1) on connections that we made.
    pub keep_alive: Duration,
}

impl Default for StreamLimits {
    fn default() -> Self {
        StreamLimits {
            connections: 1_000,
            per_source: 64,
            idle: Duration::from_secs(600),
            patience: Duration::from_secs(10),
            queue: 256,
            keep_alive: Duration::from_secs(25),
        }
    }
}
