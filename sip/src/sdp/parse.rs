//! Reading and writing a session description (RFC 8866 §5): liberal in what is read, minimal in what is written.

use core::fmt::Write as _;
use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use crate::message::text;

/// Why octets are no session description.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SdpError {
    /// Neither `v=` nor `m=`.
    #[error("not a session description")]
    NotSdp,
    /// An `m=` line without kind, port, transport and format, or with a port above 65535.
    #[error("bad media line")]
    BadMedia,
    /// More media or attributes than any session has.
    #[error("too large")]
    TooLarge,
}

/// `a=name` or `a=name:value`. Keys are never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Attribute {
    /// The name as written.
    pub name: String,
    /// What follows the colon, trimmed.
    pub value: Option<String>,
}

impl core::fmt::Debug for Attribute {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let value = self.value.as_deref().map(|value| if self.is("crypto") { "…" } else { value });
        f.debug_struct("Attribute").field("name", &self.name).field("value", &value).finish()
    }
}

impl Attribute {
    /// A flag.
    #[must_use]
    pub fn flag(name: &str) -> Attribute {
        Attribute { name: name.to_owned(), value: None }
    }

    /// A name and its value.
    #[must_use]
    pub fn new(name: &str, value: impl ToString) -> Attribute {
        Attribute { name: name.to_owned(), value: Some(value.to_string()) }
    }

    /// Whether it has this name, in any letter case.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// `o=`: who made the session, and its version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    /// User name; may hold spaces when read from careless peers.
    pub username: String,
    /// Session id, as written: some peers use more than 64 bits.
    pub session_id: String,
    /// Version, as written.
    pub version: String,
    /// Address, as written.
    pub address: String,
}

/// One `m=` line and what belongs to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Media {
    /// `audio`, `image`, … as written.
    pub kind: String,
    /// 0: refused or off.
    pub port: u16,
    /// `RTP/AVP`, `udptl`, … as written.
    pub transport: String,
    /// Payload types, or `t38`.
    pub formats: Vec<String>,
    /// The address of its own `c=`, as written.
    pub connection: Option<String>,
    /// Its attributes in order.
    pub attributes: Vec<Attribute>,
}

impl Media {
    /// The value of the last attribute of this name: of several identical ones the last holds.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().rev().find(|a| a.is(name))
    }

    /// Whether this is T.38 over UDPTL, in whatever spelling; home gateways write `application`.
    #[must_use]
    pub fn is_t38(&self) -> bool {
        ["image", "application"].iter().any(|k| self.kind.eq_ignore_ascii_case(k))
            && self.transport.eq_ignore_ascii_case("udptl")
            && self.formats.iter().any(|f| f.eq_ignore_ascii_case("t38"))
    }

    /// Whether this is audio over RTP, plain or by SRTP with keys in the description.
    #[must_use]
    pub fn is_audio(&self) -> bool {
        let plain = ["RTP/AVP", "RTP/AVPF"].iter().any(|t| self.transport.eq_ignore_ascii_case(t));
        self.kind.eq_ignore_ascii_case("audio") && (plain || self.is_secure())
    }

    /// Whether this goes by SRTP with keys in the description (RFC 4568); that with keys by DTLS is something else.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        ["RTP/SAVP", "RTP/SAVPF"].iter().any(|t| self.transport.eq_ignore_ascii_case(t))
    }
}

/// A whole session description.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionDescription {
    /// `o=`.
    pub origin: Origin,
    /// The address of the session's `c=`, as written.
    pub connection: Option<String>,
    /// The session's attributes.
    pub attributes: Vec<Attribute>,
    /// The media in order.
    pub media: Vec<Media>,
}

impl SessionDescription {
    /// Reads one. Line ends may be CR LF or LF; NULs and unknown lines are left out; Latin-1 is taken as such.
    pub fn parse(octets: &[u8]) -> Result<SessionDescription, SdpError> {
        let mut sdp = SessionDescription {
            origin: Origin {
                username: "-".into(),
                session_id: "0".into(),
                version: "0".into(),
                address: String::new(),
            },
            connection: None,
            attributes: Vec::new(),
            media: Vec::new(),
        };
        let (mut known, mut count) = (false, 0usize);
        for line in octets.split(|&b| b == b'\n') {
            let line: Vec<u8> = line.iter().copied().filter(|b| !matches!(b, 0 | b'\r')).collect();
            let line = text(line.trim_ascii());
            let Some((kind, value)) = line.split_once('=') else {
                continue;
            };
            count += 1;
            if count > 1_000 || sdp.media.len() > 64 {
                return Err(SdpError::TooLarge);
            }
            let value = value.trim();
            match kind.trim() {
                "v" => known = true,
                "o" => sdp.origin = read_origin(value).unwrap_or(sdp.origin),
                "c" => {
                    let address = read_connection(value);
                    match sdp.media.last_mut() {
                        Some(media) => media.connection = address.or(media.connection.take()),
                        None => sdp.connection = address.or(sdp.connection.take()),
                    }
                }
                "a" => {
                    let attribute = match value.split_once(':') {
                        Some((name, value)) => Attribute::new(name.trim(), value.trim()),
                        None => Attribute::flag(value),
                    };
                    match sdp.media.last_mut() {
                        Some(media) => media.attributes.push(attribute),
                        None => sdp.attributes.push(attribute),
                    }
                }
                "m" => {
                    known = true;
                    sdp.media.push(read_media(value).ok_or(SdpError::BadMedia)?);
                }
                _ => {}
            }
        }
        if known { Ok(sdp) } else { Err(SdpError::NotSdp) }
    }

    /// Writes it: `v o s c t a`, then each `m` with its `c` and `a`.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let o = &self.origin;
        let mut out = String::from("v=0\r\n");
        let _ = write!(
            out,
            "o={} {} {} {}\r\ns=-\r\n",
            o.username,
            o.session_id,
            o.version,
            net_address(&o.address)
        );
        if let Some(address) = &self.connection {
            let _ = write!(out, "c={}\r\n", net_address(address));
        }
        out.push_str("t=0 0\r\n");
        write_attributes(&mut out, &self.attributes);
        for media in &self.media {
            let formats = media.formats.join(" ");
            let _ = write!(out, "m={} {} {} {formats}\r\n", media.kind, media.port, media.transport);
            if let Some(address) = &media.connection {
                let _ = write!(out, "c={}\r\n", net_address(address));
            }
            write_attributes(&mut out, &media.attributes);
        }
        Bytes::from(out)
    }

    /// Where this stream is to be sent: its own `c=`, the session's, else the address in `o=`. `None`: only a name is
    /// known, or nothing.
    #[must_use]
    pub fn address_of(&self, media: &Media) -> Option<SocketAddr> {
        let own = media.connection.as_deref().or(self.connection.as_deref()).unwrap_or(&self.origin.address);
        let ip: IpAddr = own.parse().ok()?;
        Some(SocketAddr::new(ip, media.port))
    }
}

fn net_address(address: &str) -> String {
    let family = if address.contains(':') { "IP6" } else { "IP4" };
    format!("IN {family} {address}")
}

fn write_attributes(out: &mut String, attributes: &[Attribute]) {
    for attribute in attributes {
        match &attribute.value {
            Some(value) => {
                let _ = write!(out, "a={}:{value}\r\n", attribute.name);
            }
            None => {
                let _ = write!(out, "a={}\r\n", attribute.name);
            }
        }
    }
}

/// From the end: address, its type, `IN`, version, id; all before is the user's name, spaces and all.
fn read_origin(value: &str) -> Option<Origin> {
    let words: Vec<&str> = value.split_whitespace().collect();
    let [name @ .., id, version, _, _, address] = &words[..] else {
        return None;
    };
    let username = if name.is_empty() { String::from("-") } else { name.join(" ") };
    let (session_id, version, address) = ((*id).to_owned(), (*version).to_owned(), (*address).to_owned());
    Some(Origin { username, session_id, version, address })
}

/// The address of `IN IP4 address[/ttl]`.
fn read_connection(value: &str) -> Option<String> {
    let address = value.split_whitespace().nth(2)?;
    Some(address.split('/').next().unwrap_or(address).to_owned())
}

fn read_media(value: &str) -> Option<Media> {
    let mut words = value.split_whitespace();
    let kind = words.next()?.to_owned();
    let port = words.next()?.split('/').next()?.parse().ok()?;
    let transport = words.next()?.to_owned();
    let formats: Vec<String> = words.map(str::to_owned).collect();
    (!formats.is_empty() || port == 0).then_some(Media {
        kind,
        port,
        transport,
        formats,
        connection: None,
        attributes: Vec::new(),
    })
}
