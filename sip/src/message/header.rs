//! One header field, kept as it was written (RFC 3261 §7.3).

use bytes::{BufMut, Bytes, BytesMut};

/// A header: its name and value, and the octets it was read from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    name: Bytes,
    value: Bytes,
    raw: Bytes,
}

/// The long name of a compact one (RFC 3261 §7.3.3 and the IANA registry), else the name itself.
#[must_use]
pub fn canonical_name(name: &[u8]) -> &[u8] {
    let [letter] = name else { return name };
    match letter.to_ascii_lowercase() {
        b'a' => b"Accept-Contact",
        b'b' => b"Referred-By",
        b'c' => b"Content-Type",
        b'd' => b"Request-Disposition",
        b'e' => b"Content-Encoding",
        b'f' => b"From",
        b'i' => b"Call-ID",
        b'j' => b"Reject-Contact",
        b'k' => b"Supported",
        b'l' => b"Content-Length",
        b'm' => b"Contact",
        b'n' => b"Identity-Info",
        b'o' => b"Event",
        b'r' => b"Refer-To",
        b's' => b"Subject",
        b't' => b"To",
        b'u' => b"Allow-Events",
        b'v' => b"Via",
        b'x' => b"Session-Expires",
        b'y' => b"Identity",
        _ => name,
    }
}

impl Header {
    /// A header of ours. Line ends within the value become spaces: nothing can be smuggled in.
    #[must_use]
    pub fn new(name: &str, value: &[u8]) -> Header {
        Header::with(name, value, |b| matches!(b, b'\r' | b'\n' | 0))
    }

    /// A header that says what another one said, octet for octet: answers repeat even a NUL in a quoted pair (RFC 3261
    /// §8.2.6.2, §25.1).
    pub(crate) fn repeating(name: &str, value: &[u8]) -> Header {
        Header::with(name, value, |b| matches!(b, b'\r' | b'\n'))
    }

    fn with(name: &str, value: &[u8], barred: impl Fn(u8) -> bool) -> Header {
        let mut raw = BytesMut::with_capacity(name.len() + value.len() + 4);
        raw.put_slice(name.as_bytes());
        raw.put_slice(b": ");
        raw.extend(value.iter().map(|&b| if barred(b) { b' ' } else { b }));
        let end = raw.len();
        raw.put_slice(b"\r\n");
        let raw = raw.freeze();
        Header { name: raw.slice(..name.len()), value: raw.slice(name.len() + 2..end), raw }
    }

    /// A header as read: `raw` is the whole field with its line end, `colon` the place of its colon.
    pub(crate) fn read(raw: Bytes, colon: usize) -> Header {
        let name = raw.slice_ref(trim_end(&raw[..colon]));
        let content = &raw[colon + 1..];
        let value = if content[..content.len().saturating_sub(2)].contains(&b'\n') {
            Bytes::from(unfold(content))
        } else {
            raw.slice_ref(content.trim_ascii())
        };
        Header { name, value, raw }
    }

    /// The name as written.
    #[must_use]
    pub fn name(&self) -> &Bytes {
        &self.name
    }

    /// The value without folding and outer white space.
    #[must_use]
    pub fn value(&self) -> &Bytes {
        &self.value
    }

    /// The whole field as written, with its line end.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// Whether this is the header of that long name.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        canonical_name(&self.name).eq_ignore_ascii_case(name.as_bytes())
    }
}

fn trim_end(bytes: &[u8]) -> &[u8] {
    bytes.trim_ascii_end()
}

/// Folding (CRLF and white space) is one space (RFC 3261 §7.3.1).
fn unfold(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len());
    for line in content.split(|&b| b == b'\n') {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        if !out.is_empty() {
            out.push(b' ');
        }
        out.extend_from_slice(line);
    }
    out
}
