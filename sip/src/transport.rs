//! How messages travel, and the places and hops they travel to (RFC 3261 §18, RFC 3263 §4).

use core::net::SocketAddr;

use crate::api::{CallKey, RegKey};
use crate::message::Uri;

/// How messages travel (RFC 3261 §18). On TCP and TLS the driver cuts the stream into messages
/// ([`crate::message::stream`]) and hands each in as a [`crate::Input::Datagram`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Transport {
    /// Datagrams; lost ones are repeated by the transactions.
    #[default]
    Udp,
    /// A stream.
    Tcp,
    /// A stream under TLS.
    Tls,
}

impl Transport {
    /// The word in Via (RFC 3261 §20.42).
    #[must_use]
    pub const fn via(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
        }
    }

    /// Whether nothing has to be repeated.
    #[must_use]
    pub const fn reliable(self) -> bool {
        !matches!(self, Transport::Udp)
    }
}

/// One of the places where a request can go (RFC 3263 §4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Target {
    /// How.
    pub transport: Transport,
    /// Where.
    pub remote: SocketAddr,
    /// Our address as it is to be seen there.
    pub contact: SocketAddr,
}

/// What can be tried elsewhere when one place fails.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Attempt {
    /// The INVITE that makes a call.
    Call(CallKey),
    /// A registration.
    Registration(RegKey),
}

/// The next hop of a message as its headers name it: the first Route or the Request-URI of a request, the sent-by of
/// a response (RFC 3261 §8.1.2, §18.2.2; RFC 3263 §4, §5).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Hop {
    /// A name, or an address without brackets.
    pub host: String,
    /// The port, where one is named.
    pub port: Option<u16>,
    /// The transport, where one is named.
    pub transport: Option<Transport>,
    /// `sips:`: TLS all the way.
    pub secure: bool,
}

impl Hop {
    /// The hop that a URI names.
    #[must_use]
    pub fn of(uri: &Uri) -> Option<Hop> {
        if !uri.is_sip() {
            return None;
        }
        let host = match uri.parameter("maddr") {
            Some(maddr) => maddr,
            None => String::from_utf8(uri.host().to_vec()).ok()?,
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let transport = uri.parameter("transport").and_then(|t| match t.to_ascii_lowercase().as_str() {
            "udp" => Some(Transport::Udp),
            "tcp" => Some(Transport::Tcp),
            "tls" => Some(Transport::Tls),
            _ => None,
        });
        let secure = uri.scheme().eq_ignore_ascii_case(b"sips");
        (!host.is_empty()).then(|| Hop { host, port: uri.port().filter(|p| *p != 0), transport, secure })
    }
}
