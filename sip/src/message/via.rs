//! Via: the way an answer takes back (RFC 3261 §20.42, §18.2.2; RFC 3581).

use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::scan::{Params, find_outside, is_token, number, split};
use super::uri::{ip_address, split_port};

/// One hop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Via {
    transport: Bytes,
    host: Bytes,
    port: Option<u16>,
    params: Params,
}

impl Via {
    /// What every branch of RFC 3261 begins with.
    pub const COOKIE: &'static str = "z9hG4bK";

    /// Reads one.
    #[must_use]
    pub fn read(value: &Bytes) -> Option<Via> {
        let trimmed = value.trim_ascii();
        let end = find_outside(trimmed, b";").ok()?.unwrap_or(trimmed.len());
        let mut parts = trimmed[..end].splitn(3, |&b| b == b'/');
        let name = parts.next()?.trim_ascii();
        let version = parts.next()?.trim_ascii();
        let rest = parts.next()?.trim_ascii();
        let gap = rest.iter().position(u8::is_ascii_whitespace)?;
        let (transport, sent_by) = (&rest[..gap], rest[gap..].trim_ascii());
        let (host, port) = split_port(sent_by);
        let port = match port {
            None => None,
            Some(p) => Some(number(p).and_then(|n| u16::try_from(n).ok())?),
        };
        let bad = |b: &u8| b.is_ascii_whitespace() || b.is_ascii_control() || b",<>\"".contains(b);
        if !is_token(name)
            || !is_token(version)
            || !is_token(transport)
            || host.is_empty()
            || host.iter().any(bad)
        {
            return None;
        }
        let params = match trimmed.get(end + 1..) {
            Some(rest) => Params::read(value, rest).ok()?,
            None => Params::default(),
        };
        Some(Via { transport: value.slice_ref(transport), host: value.slice_ref(host), port, params })
    }

    /// Reads a list with commas between.
    #[must_use]
    pub fn read_list(value: &Bytes) -> Option<Vec<Via>> {
        split(value, b',').ok()?.into_iter().map(|part| Via::read(&value.slice_ref(part))).collect()
    }

    /// The transport's name as written.
    #[must_use]
    pub fn transport(&self) -> &Bytes {
        &self.transport
    }

    /// The host of sent-by as written.
    #[must_use]
    pub fn host(&self) -> &Bytes {
        &self.host
    }

    /// The port of sent-by, where written.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The branch.
    #[must_use]
    pub fn branch(&self) -> Option<Bytes> {
        self.params.get("branch").filter(|b| !b.is_empty())
    }

    /// The branch, where it is unique as RFC 3261 demands: cookie and something behind it.
    #[must_use]
    pub fn unique_branch(&self) -> Option<Bytes> {
        self.branch().filter(|b| b.len() > Self::COOKIE.len() && b.starts_with(Self::COOKIE.as_bytes()))
    }

    /// Its parameters.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Whether sent-by is not the address the request came from, so that `received` is due (§18.2.1).
    #[must_use]
    pub fn differs_from(&self, source: IpAddr) -> bool {
        ip_address(&self.host) != Some(source)
    }

    /// Where the far end saw the request come from: `received` and `rport`, with sent-by for what it does not say
    /// (RFC 3581 §4). `None`: it says nothing of it.
    #[must_use]
    pub fn seen_as(&self) -> Option<SocketAddr> {
        let number =
            |value: Bytes| core::str::from_utf8(&value).ok()?.trim().parse::<u16>().ok().filter(|p| *p != 0);
        let received = self.params.get("received").and_then(|r| ip_address(&r));
        let rport = self.params.get("rport").and_then(number);
        if received.is_none() && rport.is_none() {
            return None;
        }
        let ip = received.or_else(|| ip_address(&self.host))?;
        Some(SocketAddr::new(ip, rport.or(self.port).filter(|p| *p != 0).unwrap_or(5060)))
    }

    /// Where an answer to a request from `source` goes by datagram (§18.2.2, RFC 3581 §4). `maddr` counts for nothing: else
    /// whoever forges a trunk's address would get the answers, and with them a call, and anybody could have us send to a
    /// group, of which we hear no requests.
    #[must_use]
    pub fn answer_to(&self, source: SocketAddr) -> SocketAddr {
        if self.params.has("rport") {
            return source;
        }
        SocketAddr::new(source.ip(), self.port.filter(|p| *p != 0).unwrap_or(5060))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_we_were_seen_is_read_from_our_own_via() {
        let seen = |v: &'static str| Via::read(&Bytes::from_static(v.as_bytes())).unwrap().seen_as();
        let at = |a: &str| Some(a.parse().unwrap());
        assert_eq!(seen("SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bKa"), None);
        assert_eq!(
            seen("SIP/2.0/UDP 10.0.0.1:5060;rport=4711;received=203.0.113.5;branch=z9hG4bKa"),
            at("203.0.113.5:4711")
        );
        assert_eq!(seen("SIP/2.0/UDP 10.0.0.1:5070;received=203.0.113.5"), at("203.0.113.5:5070"));
        assert_eq!(seen("SIP/2.0/UDP 10.0.0.1;rport=9"), at("10.0.0.1:9"));
        assert_eq!(seen("SIP/2.0/TCP [2001:db8::1];received=2001:db8::9"), at("[2001:db8::9]:5060"));
        assert_eq!(seen("SIP/2.0/UDP host.example;rport=9"), None);
        assert_eq!(seen("SIP/2.0/UDP 10.0.0.1;rport=99999;received=x"), None);
    }
}
