//! From octets to a message: lines, folding, the cut at Content-Length (RFC 3261 §7, §18.3).

use bytes::Bytes;

use super::check::{self, Fault};
use super::header::Header;
use super::scan::{is_token, number, text};
use super::uri::Uri;
use super::{Message, Method, Start};

/// What a message may hold; more is refused with 513 or dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Octets in all.
    pub octets: usize,
    /// Header fields.
    pub headers: usize,
    /// Octets of one header field with its folds.
    pub header_octets: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { octets: 65_535, headers: 256, header_octets: 8_192 }
    }
}

/// Why octets are no message, and how to tell the sender.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error("{phrase} ({code})")]
pub struct ParseError {
    /// The status code that fits: 400, 505, 513 …
    pub code: u16,
    /// The reason phrase.
    pub phrase: &'static str,
    /// What could be read, for the headers of an answer; `None`: nothing to answer.
    pub partial: Option<Box<Message>>,
}

impl Message {
    /// Reads one datagram, or one message cut from a stream: splits it, cuts the body and checks what every element
    /// must check. Octets behind the body are left out.
    pub fn parse(octets: &Bytes, limits: &Limits) -> Result<Message, ParseError> {
        let nothing = |phrase| ParseError { code: 400, phrase, partial: None };
        let skip = octets.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        let octets = octets.slice(skip..);
        if octets.is_empty() {
            return Err(nothing("Empty"));
        }
        let Some(start_end) = line_end(&octets) else {
            return Err(nothing("No Line End"));
        };
        let start_raw = octets.slice(..start_end);
        let (start, mut fault) = read_start(&start_raw).ok_or_else(|| nothing("Not SIP"))?;
        if octets.len() > limits.octets {
            fault = fault.or(Some(Fault::TOO_LARGE));
        }

        let mut headers = Vec::new();
        let mut at = start_end;
        let mut blank_raw = Bytes::new();
        while at < octets.len() {
            let rest = &octets[at..];
            let mut end = line_end(rest).unwrap_or(rest.len());
            if rest[..end].iter().all(|b| matches!(b, b'\r' | b'\n')) {
                blank_raw = octets.slice(at..at + end);
                at += end;
                break;
            }
            while matches!(rest.get(end), Some(b' ' | b'\t')) {
                end += line_end(&rest[end..]).unwrap_or(rest.len() - end);
            }
            if headers.len() >= limits.headers || end > limits.header_octets {
                fault = fault.or(Some(Fault::TOO_LARGE));
                break;
            }
            let raw = octets.slice(at..at + end);
            match raw.iter().position(|&b| b == b':') {
                Some(colon) if is_token(raw[..colon].trim_ascii_end()) => {
                    headers.push(Header::read(raw, colon))
                }
                _ => fault = fault.or(Some(Fault::BAD_HEADER)),
            }
            at += end;
        }

        let mut message = Message { start, start_raw, headers, blank_raw, body: octets.slice(at..) };
        match message.content_length() {
            Ok(None) => {}
            Ok(Some(n)) if n <= message.body.len() => message.body.truncate(n),
            Ok(Some(n)) if n > limits.octets => fault = fault.or(Some(Fault::TOO_LARGE)),
            Ok(Some(_)) => fault = fault.or(Some(Fault::SHORT_BODY)),
            Err(()) => fault = fault.or(Some(Fault::BAD_LENGTH)),
        }
        match fault.or_else(|| check::check(&message).err()) {
            None => Ok(message),
            Some(Fault { code, phrase }) => {
                Err(ParseError { code, phrase, partial: Some(Box::new(message)) })
            }
        }
    }

    /// The one Content-Length: `Err` when it is no number or there are different ones.
    pub(crate) fn content_length(&self) -> Result<Option<usize>, ()> {
        let mut length = None;
        for header in self.all("Content-Length") {
            let n = number(header.value()).and_then(|n| usize::try_from(n).ok()).ok_or(())?;
            if length.is_some_and(|l| l != n) {
                return Err(());
            }
            length = Some(n);
        }
        Ok(length)
    }
}

/// Octets up to and with the first line feed.
fn line_end(octets: &[u8]) -> Option<usize> {
    octets.iter().position(|&b| b == b'\n').map(|i| i + 1)
}

/// Whether a line can begin a message.
pub(super) fn is_start_line(line: &[u8]) -> bool {
    read_start(&Bytes::copy_from_slice(line)).is_some()
}

/// The first line; `None` when it is nothing like SIP.
fn read_start(raw: &Bytes) -> Option<(Start, Option<Fault>)> {
    let line = raw.strip_suffix(b"\n").unwrap_or(raw);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if is_version(line.split(|&b| b == b' ').next()?) {
        return read_status(raw, line);
    }
    let first = line.iter().position(|&b| b == b' ')?;
    let (method, rest) = (&line[..first], &line[first..]);
    let trimmed = rest.trim_ascii();
    let last = trimmed.iter().rposition(|&b| b == b' ')?;
    let (uri, version) = (trimmed[..last].trim_ascii_end(), &trimmed[last + 1..]);
    if !is_token(method) || !is_version(version) {
        return None;
    }
    let mut fault = None;
    if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        fault = Some(Fault::VERSION);
    } else if method.len() + 1 + uri.len() + 1 + version.len() != line.len() {
        fault = Some(Fault::BAD_LINE);
    }
    let read = Uri::read(raw.slice_ref(uri)).filter(|u| !u.has_headers());
    if read.is_none() {
        fault = fault.or(Some(Fault::BAD_URI));
    }
    // A placeholder stands for what is no URI: such a message is refused and never used.
    let uri = read.or_else(|| Uri::read(Bytes::from_static(b"sip:invalid")))?;
    Some((Start::Request { method: Method::new(&text(method)), uri }, fault))
}

fn is_version(word: &[u8]) -> bool {
    let Some(rest) = word.get(4..) else {
        return false;
    };
    word[..4].eq_ignore_ascii_case(b"SIP/") && rest.iter().all(|b| b.is_ascii_digit() || *b == b'.')
}

fn read_status(raw: &Bytes, line: &[u8]) -> Option<(Start, Option<Fault>)> {
    let mut parts = line.splitn(3, |&b| b == b' ');
    let version = parts.next()?;
    let code = parts.next()?;
    let reason = raw.slice_ref(parts.next().unwrap_or_default());
    let known = version.eq_ignore_ascii_case(b"SIP/2.0");
    let code = number(code).and_then(|n| u16::try_from(n).ok()).filter(|c| (100..700).contains(c))?;
    Some((Start::Response { code, reason }, (!known).then_some(Fault::VERSION)))
}
