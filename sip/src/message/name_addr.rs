//! From, To, Contact, Route, Record-Route: a name, an address, parameters (RFC 3261 §20.10).

use bytes::Bytes;

use super::scan::{Params, find_outside, is_token, split, text, unquote};
use super::uri::Uri;

/// `"Name" <uri>;parameters` or `uri;parameters`: without brackets all parameters are the header's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameAddr {
    raw: Bytes,
    display: Bytes,
    uri: Uri,
    params: Params,
}

impl NameAddr {
    /// Reads one.
    #[must_use]
    pub fn read(value: &Bytes) -> Option<NameAddr> {
        let trimmed = value.trim_ascii();
        let open = find_open(trimmed)?;
        let (display, uri, rest) = match open {
            Some(i) => {
                let display = trimmed[..i].trim_ascii();
                if !display.starts_with(b"\"") && display.contains(&b',') {
                    return None;
                }
                let after = &trimmed[i + 1..];
                let close = after.iter().position(|&b| b == b'>')?;
                (display, &after[..close], after[close + 1..].trim_ascii())
            }
            None => {
                let end = trimmed.iter().position(|&b| b == b';').unwrap_or(trimmed.len());
                let uri = trimmed[..end].trim_ascii_end();
                // §20.10: an address with `,`, `;` or `?` must stand in brackets.
                if uri.contains(&b',') || uri.contains(&b'?') {
                    return None;
                }
                (&trimmed[..0], uri, &trimmed[end..])
            }
        };
        let params = match rest {
            [] => Params::default(),
            [b';', rest @ ..] => Params::read(value, rest).ok()?,
            _ => return None,
        };
        let (raw, display) = (value.slice_ref(trimmed), value.slice_ref(display));
        Some(NameAddr { raw, display, uri: Uri::read(value.slice_ref(uri))?, params })
    }

    /// Reads a list with commas between.
    #[must_use]
    pub fn read_list(value: &Bytes) -> Option<Vec<NameAddr>> {
        split(value, b',').ok()?.into_iter().map(|part| NameAddr::read(&value.slice_ref(part))).collect()
    }

    /// All of it as written.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.raw
    }

    /// The display name without quotes; empty when there is none.
    #[must_use]
    pub fn display_name(&self) -> String {
        text(&unquote(&self.display))
    }

    /// The address.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The header's parameters.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The tag of From or To.
    #[must_use]
    pub fn tag(&self) -> Option<Bytes> {
        self.params.get("tag").filter(|t| is_token(t))
    }
}

/// The `<` that opens the address, past a quoted name; `None` when a quote is left open.
fn find_open(octets: &[u8]) -> Option<Option<usize>> {
    // A tag parameter can hold no bracket, so the first one outside quotes is the address's.
    find_outside(octets, b"<").ok()
}
