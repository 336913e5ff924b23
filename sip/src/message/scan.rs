//! The small grammar shared by SIP headers: quoted strings, lists, parameters (RFC 3261 §25.1).

use bytes::Bytes;

/// Octets as text: UTF-8, else read as Latin-1.
#[must_use]
pub fn text(octets: &[u8]) -> String {
    match core::str::from_utf8(octets) {
        Ok(s) => s.to_owned(),
        Err(_) => octets.iter().map(|&b| char::from(b)).collect(),
    }
}

/// RFC 3261 §25.1 `token`.
pub(crate) fn is_token(octets: &[u8]) -> bool {
    !octets.is_empty() && octets.iter().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(b))
}

/// A decimal number of at most 64 bits, digits only.
pub(crate) fn number(octets: &[u8]) -> Option<u64> {
    if octets.is_empty() || octets.len() > 40 || !octets.iter().all(u8::is_ascii_digit) {
        return None;
    }
    octets.iter().try_fold(0u64, |n, b| n.checked_mul(10)?.checked_add(u64::from(b - b'0')))
}

/// Where `wanted` first stands outside quotes and angle brackets; `Err` when a quote is never closed.
pub(crate) fn find_outside(octets: &[u8], wanted: &[u8]) -> Result<Option<usize>, ()> {
    let (mut quoted, mut angle, mut escaped) = (false, false, false);
    let mut found = None;
    for (i, &b) in octets.iter().enumerate() {
        if quoted {
            if escaped {
                escaped = false;
            } else if b == b'\\' {
                escaped = true;
            } else if b == b'"' {
                quoted = false;
            }
            continue;
        }
        if !angle && wanted.contains(&b) {
            found = Some(i);
            break;
        }
        match b {
            b'"' if !angle => quoted = true,
            b'<' => angle = true,
            b'>' => angle = false,
            _ => {}
        }
    }
    if quoted { Err(()) } else { Ok(found) }
}

/// The parts between `separator`s that stand outside quotes and angle brackets, trimmed.
pub(crate) fn split(octets: &[u8], separator: u8) -> Result<Vec<&[u8]>, ()> {
    let mut parts = Vec::new();
    let mut rest = octets;
    while let Some(i) = find_outside(rest, &[separator])? {
        parts.push(rest[..i].trim_ascii());
        rest = &rest[i + 1..];
    }
    parts.push(rest.trim_ascii());
    Ok(parts)
}

/// A quoted string without its quotes and escapes; anything else as it is.
pub(crate) fn unquote(octets: &[u8]) -> Vec<u8> {
    let octets = octets.trim_ascii();
    let Some(inner) = octets.strip_prefix(b"\"").and_then(|o| o.strip_suffix(b"\"")) else {
        return octets.to_vec();
    };
    let mut out = Vec::with_capacity(inner.len());
    let mut escaped = false;
    for &b in inner {
        if b == b'\\' && !escaped {
            escaped = true;
        } else {
            escaped = false;
            out.push(b);
        }
    }
    out
}

/// Text in quotes, with escapes where needed.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(if matches!(c, '\r' | '\n' | '\0') { ' ' } else { c });
    }
    out.push('"');
    out
}

/// Parameters: `;name=value;flag`, in order, values as written.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Params(Vec<(Bytes, Option<Bytes>)>);

impl Params {
    /// Reads what follows the first semicolon. `Err` for an empty or nameless parameter.
    pub(crate) fn read(whole: &Bytes, octets: &[u8]) -> Result<Params, ()> {
        let mut params = Vec::new();
        for part in split(octets, b';')? {
            let (name, value) = match part.iter().position(|&b| b == b'=') {
                Some(i) => (part[..i].trim_ascii(), Some(whole.slice_ref(part[i + 1..].trim_ascii()))),
                None => (part, None),
            };
            if !is_token(name) {
                return Err(());
            }
            params.push((whole.slice_ref(name), value));
        }
        Ok(Params(params))
    }

    /// The value of the first parameter of this name, quotes removed; a flag has the value "".
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Bytes> {
        let (_, value) = self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))?;
        Some(match value {
            Some(v) if v.starts_with(b"\"") => Bytes::from(unquote(v)),
            Some(v) => v.clone(),
            None => Bytes::new(),
        })
    }

    /// Whether there is such a parameter.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// All, as written.
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, Option<&Bytes>)> {
        self.0.iter().map(|(n, v)| (n, v.as_ref()))
    }
}
