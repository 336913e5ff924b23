//! Cutting a stream into messages by Content-Length, and finding the next one after nonsense (RFC 3261 §18.3; RFC 5626 §3.5.1 for keep-alives).

use bytes::{Buf, Bytes, BytesMut};

use super::header::canonical_name;
use super::parse::{Limits, is_start_line};
use super::scan::number;

/// What a stream held.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Piece {
    /// A whole message, or the head of one that is too large or does not say where it ends: to be parsed, which tells
    /// what to answer.
    Message(Bytes),
    /// A keep-alive (double CRLF): answer with one CRLF.
    Ping,
    /// More than [`GIVE_UP`] octets without a message: whoever this is does not speak SIP. Close the stream.
    Lost,
}

/// After so many octets of nonsense in a row nobody looks for a message any more.
pub const GIVE_UP: usize = 1 << 20;

/// Bodies up to this are skipped whole when they are too large to be kept; a length beyond is taken for a mistake.
const SKIPPED: usize = 1 << 18;

/// Collects octets and gives out messages. One bad message costs the stream nothing but itself: where its end cannot
/// be told, the next line that can begin a message begins one.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: BytesMut,
    limits: Limits,
    /// Octets of a body that is left out.
    skip: usize,
    /// The buffer begins within a line that is left out.
    within_line: bool,
    /// Octets left out since the last message.
    dropped: usize,
    lost: bool,
}

/// How a head says the message ends.
enum Length {
    Octets(usize),
    Unknown,
}

impl Framer {
    /// An empty one.
    #[must_use]
    pub fn new(limits: Limits) -> Framer {
        Framer { limits, ..Framer::default() }
    }

    /// Takes octets from the stream.
    pub fn push(&mut self, octets: &[u8]) {
        if self.lost {
            return;
        }
        let skip = self.skip.min(octets.len());
        self.skip -= skip;
        self.buffer.extend_from_slice(octets.get(skip..).unwrap_or_default());
    }

    /// The next whole piece.
    pub fn next_piece(&mut self) -> Option<Piece> {
        loop {
            if self.lost {
                return None;
            }
            if self.dropped > GIVE_UP {
                self.lost = true;
                self.buffer = BytesMut::new();
                return Some(Piece::Lost);
            }
            if self.within_line {
                self.drop_line()?;
                continue;
            }
            if self.buffer.starts_with(b"\r\n\r\n") {
                self.buffer.advance(4);
                return Some(Piece::Ping);
            }
            let blank = self.buffer.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
            let rest = self.buffer.get(blank..).unwrap_or_default();
            if rest.is_empty() {
                return None;
            }
            match rest.iter().position(|&b| b == b'\n') {
                Some(end) if is_start_line(&rest[..=end]) => return self.message(blank),
                Some(_) => {}
                None if rest.len() <= self.limits.header_octets => return None,
                None => {}
            }
            self.buffer.advance(blank);
            self.drop_line()?;
        }
    }

    /// Leaves out the rest of the line; `None`: it has not ended yet.
    fn drop_line(&mut self) -> Option<()> {
        let end = self.buffer.iter().position(|&b| b == b'\n').map(|i| i + 1);
        self.within_line = end.is_none();
        let octets = end.unwrap_or(self.buffer.len());
        self.dropped = self.dropped.saturating_add(octets);
        self.buffer.advance(octets);
        (!self.within_line || self.dropped > GIVE_UP).then_some(())
    }

    /// The message behind `blank` line ends, whose first line is there.
    fn message(&mut self, blank: usize) -> Option<Piece> {
        let Some(end) = end_of_headers(&self.buffer[blank..]) else {
            // Headers without end: what there is tells whom to answer.
            return (self.buffer.len() > self.limits.octets).then(|| {
                self.within_line = true;
                self.cut(blank, self.buffer.len())
            });
        };
        let head = blank + end;
        match content_length(&self.buffer[blank..head]) {
            Length::Octets(body) if end + body <= self.limits.octets => {
                let total = head + body;
                (self.buffer.len() >= total).then(|| {
                    self.dropped = 0;
                    self.cut(blank, total)
                })
            }
            Length::Octets(body) => {
                let piece = self.cut(blank, head);
                let here = body.min(self.buffer.len());
                self.buffer.advance(here);
                self.skip = body - here;
                Some(piece)
            }
            Length::Unknown => {
                self.dropped = self.dropped.saturating_add(head);
                Some(self.cut(blank, head))
            }
        }
    }

    fn cut(&mut self, from: usize, to: usize) -> Piece {
        let mut message = self.buffer.split_to(to);
        message.advance(from);
        Piece::Message(message.freeze())
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

/// The length the headers state; none stated is 0.
fn content_length(head: &[u8]) -> Length {
    let mut length = None;
    for line in head.split(|&b| b == b'\n') {
        let Some(colon) = line.iter().position(|&b| b == b':') else {
            continue;
        };
        if canonical_name(line[..colon].trim_ascii()).eq_ignore_ascii_case(b"Content-Length") {
            let n = number(line[colon + 1..].trim_ascii()).and_then(|n| usize::try_from(n).ok());
            match n.filter(|n| *n <= SKIPPED && length.is_none_or(|l| l == *n)) {
                Some(n) => length = Some(n),
                None => return Length::Unknown,
            }
        }
    }
    Length::Octets(length.unwrap_or(0))
}
