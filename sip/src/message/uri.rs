//! A URI, kept as it was written; parts of `sip:` and `sips:` can be read (RFC 3261 §19.1).

use core::fmt;
use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::scan::{number, text};

/// Any URI; escapes are left alone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Uri(Bytes);

impl Uri {
    /// Takes octets for a URI: a scheme, a colon, no white space, no angle brackets or quotes.
    #[must_use]
    pub fn read(octets: Bytes) -> Option<Uri> {
        let colon = octets.iter().position(|&b| b == b':')?;
        let scheme = &octets[..colon];
        let first = scheme.first()?;
        let good = first.is_ascii_alphabetic()
            && scheme.iter().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b))
            && colon + 1 < octets.len()
            && !octets.iter().any(|&b| b <= b' ' || b == 0x7f || b"<>\"".contains(&b));
        good.then_some(Uri(octets))
    }

    /// As written.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The scheme as written.
    #[must_use]
    pub fn scheme(&self) -> &[u8] {
        self.0.split(|&b| b == b':').next().unwrap_or_default()
    }

    /// Whether this is a `sip:` or `sips:` URI.
    #[must_use]
    pub fn is_sip(&self) -> bool {
        let scheme = self.scheme();
        scheme.eq_ignore_ascii_case(b"sip") || scheme.eq_ignore_ascii_case(b"sips")
    }

    fn after_scheme(&self) -> &[u8] {
        let start = self.scheme().len() + 1;
        self.0.get(start..).unwrap_or_default()
    }

    /// Everything before the host: the user may hold `;`, `?` and `/`, and the last `@` ends it.
    fn split_user(&self) -> (Option<&[u8]>, &[u8]) {
        let rest = self.after_scheme();
        match rest.iter().rposition(|&b| b == b'@') {
            Some(i) => (Some(&rest[..i]), &rest[i + 1..]),
            None => (None, rest),
        }
    }

    /// The user part without password, escapes undone: the number that is called. `tel:` numbers count as user.
    #[must_use]
    pub fn user(&self) -> Option<String> {
        if !self.is_sip() {
            let rest = self.after_scheme();
            let end = rest.iter().position(|&b| b == b';').unwrap_or(rest.len());
            return self.scheme().eq_ignore_ascii_case(b"tel").then(|| text(&unescape(&rest[..end])));
        }
        let user = self.split_user().0?;
        let user = user.split(|&b| b == b':').next().unwrap_or_default();
        Some(text(&unescape(user)))
    }

    /// The user part as written, escapes and all.
    #[must_use]
    pub fn raw_user(&self) -> Option<Bytes> {
        if !self.is_sip() {
            return None;
        }
        let user = self.split_user().0?;
        Some(self.0.slice_ref(user.split(|&b| b == b':').next().unwrap_or_default()))
    }

    fn host_port(&self) -> &[u8] {
        let rest = self.split_user().1;
        let end = rest.iter().position(|&b| b == b';' || b == b'?').unwrap_or(rest.len());
        &rest[..end]
    }

    /// The host as written; an IPv6 address with its brackets.
    #[must_use]
    pub fn host(&self) -> &[u8] {
        split_port(self.host_port()).0
    }

    /// The port, where written.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        split_port(self.host_port()).1.and_then(number).and_then(|n| u16::try_from(n).ok())
    }

    /// The address, where the host is one; port 5060 unless written (5061 for `sips:`).
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        if !self.is_sip() {
            return None;
        }
        let default = if self.scheme().eq_ignore_ascii_case(b"sips") { 5061 } else { 5060 };
        let ip = match self.parameter("maddr") {
            Some(maddr) => ip_address(maddr.as_bytes()),
            None => ip_address(self.host()),
        }?;
        Some(SocketAddr::new(ip, self.port().unwrap_or(default)))
    }

    /// A URI parameter, escapes undone; a flag has the value "".
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        let rest = self.split_user().1;
        let rest = rest.split(|&b| b == b'?').next().unwrap_or_default();
        rest.split(|&b| b == b';').skip(1).find_map(|p| {
            let mut halves = p.splitn(2, |&b| b == b'=');
            let found = halves.next().unwrap_or_default();
            found
                .eq_ignore_ascii_case(name.as_bytes())
                .then(|| text(&unescape(halves.next().unwrap_or_default())))
        })
    }

    /// Whether two URIs mean the same place (§19.1.4): user and password to the letter, host without regard to case,
    /// ports as written, `transport`, `user`, `ttl`, `method` and `maddr` on both or neither, other parameters where both
    /// have them. URIs of other schemes are compared to the letter.
    #[must_use]
    pub fn is_same_as(&self, other: &Uri) -> bool {
        if !self.is_sip() || !other.is_sip() {
            return self.0 == other.0;
        }
        let user = |u: &Uri| u.split_user().0.map(unescape);
        let parameters = |u: &Uri| -> Vec<String> {
            let rest = u.split_user().1;
            let rest = rest.split(|&b| b == b'?').next().unwrap_or_default();
            let names = rest.split(|&b| b == b';').skip(1);
            names.map(|p| text(p.split(|&b| b == b'=').next().unwrap_or_default())).collect()
        };
        let strict = ["transport", "user", "ttl", "method", "maddr"];
        let agrees = |name: &str| match (self.parameter(name), other.parameter(name)) {
            (Some(a), Some(b)) => a.eq_ignore_ascii_case(&b),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => !strict.iter().any(|s| s.eq_ignore_ascii_case(name)),
        };
        self.scheme().eq_ignore_ascii_case(other.scheme())
            && user(self) == user(other)
            && self.host().eq_ignore_ascii_case(other.host())
            && self.port() == other.port()
            && parameters(self).iter().chain(&parameters(other)).all(|name| agrees(name))
    }

    /// Whether headers ride in the URI (`?Route=…`).
    #[must_use]
    pub fn has_headers(&self) -> bool {
        self.is_sip() && self.split_user().1.contains(&b'?')
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text(&self.0))
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// `host:port` apart; brackets keep an IPv6 address together.
pub(crate) fn split_port(octets: &[u8]) -> (&[u8], Option<&[u8]>) {
    let from = octets.iter().position(|&b| b == b']').unwrap_or(0);
    match octets[from..].iter().position(|&b| b == b':') {
        Some(i) => (octets[..from + i].trim_ascii_end(), Some(octets[from + i + 1..].trim_ascii())),
        None => (octets, None),
    }
}

/// An IP address, IPv6 with or without brackets.
pub(crate) fn ip_address(host: &[u8]) -> Option<IpAddr> {
    let host = core::str::from_utf8(host).ok()?;
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

/// Undoes `%41`; a stray `%` stays.
pub(crate) fn unescape(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len());
    let mut rest = octets;
    while let [first, tail @ ..] = rest {
        let hex = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok());
        match (first, tail) {
            (b'%', [a, b, after @ ..]) if hex(a).is_some() && hex(b).is_some() => {
                out.push(hex(a).unwrap_or(0) << 4 | hex(b).unwrap_or(0));
                rest = after;
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}
