//! Cutting a stream into messages by Content-Length (RFC 3261 §18.3; RFC 5626 §3.5.1 for keep-alives).

use bytes::{Buf, Bytes, BytesMut};

use super::header::canonical_name;
use super::parse::Limits;
use super::scan::number;

/// What a stream held.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Piece {
    /// A whole message, to be parsed.
    Message(Bytes),
    /// A keep-alive (double CRLF): answer with one CRLF.
    Ping,
    /// The stream cannot be followed any further: close it after answering `Message`s before.
    Lost,
}

/// Collects octets and gives out messages.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: BytesMut,
    limits: Limits,
    lost: bool,
}

impl Framer {
    /// An empty one.
    #[must_use]
    pub fn new(limits: Limits) -> Framer {
        Framer { buffer: BytesMut::new(), limits, lost: false }
    }

    /// Takes octets from the stream.
    pub fn push(&mut self, octets: &[u8]) {
        if !self.lost {
            self.buffer.extend_from_slice(octets);
        }
    }

    /// The next whole piece.
    pub fn next_piece(&mut self) -> Option<Piece> {
        if self.lost {
            return None;
        }
        if self.buffer.starts_with(b"\r\n\r\n") {
            self.buffer.advance(4);
            return Some(Piece::Ping);
        }
        let skip = self.buffer.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        if skip == self.buffer.len() {
            return None;
        }
        let head = match end_of_headers(&self.buffer[skip..]) {
            Some(end) => skip + end,
            None if self.buffer.len() > self.limits.octets => return self.give_up(),
            None => return None,
        };
        let Some(total) = content_length(&self.buffer[skip..head]).and_then(|n| head.checked_add(n)) else {
            return self.give_up();
        };
        if total > self.limits.octets.saturating_add(skip) {
            return self.give_up();
        }
        (self.buffer.len() >= total).then(|| {
            let mut message = self.buffer.split_to(total);
            message.advance(skip);
            Piece::Message(message.freeze())
        })
    }

    fn give_up(&mut self) -> Option<Piece> {
        self.lost = true;
        self.buffer.clear();
        Some(Piece::Lost)
    }
}

fn end_of_headers(octets: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(i) = octets[at..].iter().position(|&b| b == b'\n') {
        at += i + 1;
        match octets[at..] {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
    None
}

/// The length the headers state; none stated is 0. `None`: it cannot be told where the message ends.
fn content_length(head: &[u8]) -> Option<usize> {
    let mut length = None;
    for line in head.split(|&b| b == b'\n') {
        let Some(colon) = line.iter().position(|&b| b == b':') else {
            continue;
        };
        if canonical_name(line[..colon].trim_ascii()).eq_ignore_ascii_case(b"Content-Length") {
            let n = usize::try_from(number(line[colon + 1..].trim_ascii())?).ok()?;
            if length.is_some_and(|l| l != n) {
                return None;
            }
            length = Some(n);
        }
    }
    Some(length.unwrap_or(0))
}
