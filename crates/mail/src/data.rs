//! The mail data of one message: transparency and its end (RFC 5321 §4.1.1.4 and §4.5.2).
//!
//! Only `<CRLF>.<CRLF>` ends the data. A bare CR or a bare LF is content, so `LF.LF`, `LF.CRLF`, `CR.CR` and their
//! like never smuggle a second message in. Octets beyond the limit are counted and dropped.

/// Where the reader stands in the search for `<CRLF>.<CRLF>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// At the first octet of a line (the data begins here: the CRLF of the DATA command counts).
    LineStart,
    /// Inside a line.
    Text,
    /// After a CR inside a line.
    Cr,
    /// After a dot at the start of a line, not yet written.
    Dot,
    /// After a dot at the start of a line and a CR, neither written yet.
    DotCr,
}

/// What became of a message when its data ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mail {
    /// The data with transparency undone.
    Whole(Vec<u8>),
    /// The data held more octets than the limit allows; all of it was dropped.
    TooLarge,
}

/// Reads mail data octet by octet and undoes dot-stuffing.
#[derive(Debug)]
pub struct DataReader {
    place: Place,
    octets: Vec<u8>,
    seen: usize,
    limit: usize,
}

impl DataReader {
    /// A reader that keeps at most `limit` octets of content.
    pub fn new(limit: usize) -> Self {
        Self { place: Place::LineStart, octets: Vec::new(), seen: 0, limit }
    }

    /// Octets of content seen so far, kept or dropped.
    pub fn seen(&self) -> usize {
        self.seen
    }

    /// Takes octets and says how many were used and, if the data ended, the mail. Octets behind the end are left.
    pub fn take(&mut self, input: &[u8]) -> (usize, Option<Mail>) {
        let mut used = 0;
        while let Some(&octet) = input.get(used) {
            if self.place == Place::Text && octet != b'\r' {
                // The common case in one piece: everything up to the next CR is content.
                let rest = &input[used..];
                let run = rest.iter().position(|&o| o == b'\r').unwrap_or(rest.len());
                self.keep(&rest[..run]);
                used += run;
                continue;
            }
            used += 1;
            self.place = match (self.place, octet) {
                (Place::LineStart, b'.') => Place::Dot,
                (Place::LineStart | Place::Text, b'\r') => {
                    self.keep(b"\r");
                    Place::Cr
                }
                (Place::LineStart | Place::Text, _) => {
                    self.keep(&[octet]);
                    Place::Text
                }
                (Place::Cr, b'\n') => {
                    self.keep(b"\n");
                    Place::LineStart
                }
                (Place::Cr, b'\r') => {
                    self.keep(b"\r");
                    Place::Cr
                }
                (Place::Cr, _) => {
                    self.keep(&[octet]);
                    Place::Text
                }
                // §4.5.2: a dot first in a line with more behind it is taken away.
                (Place::Dot, b'\r') => Place::DotCr,
                (Place::Dot, _) => {
                    self.keep(&[octet]);
                    Place::Text
                }
                (Place::DotCr, b'\n') => {
                    self.place = Place::LineStart;
                    let octets = std::mem::take(&mut self.octets);
                    let mail = if self.seen > self.limit { Mail::TooLarge } else { Mail::Whole(octets) };
                    return (used, Some(mail));
                }
                // A dot and a CR without its LF is no end: the dot goes, the CR stays content.
                (Place::DotCr, b'\r') => {
                    self.keep(b"\r");
                    Place::Cr
                }
                (Place::DotCr, _) => {
                    self.keep(&[b'\r', octet]);
                    Place::Text
                }
            };
        }
        (used, None)
    }

    fn keep(&mut self, octets: &[u8]) {
        self.seen = self.seen.saturating_add(octets.len());
        if self.seen <= self.limit {
            self.octets.extend_from_slice(octets);
        } else if self.octets.capacity() != 0 {
            self.octets = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> (usize, Option<Mail>) {
        DataReader::new(1000).take(input)
    }

    fn whole(content: &[u8]) -> Option<Mail> {
        Some(Mail::Whole(content.to_vec()))
    }

    #[test]
    fn dots_are_unstuffed_and_the_end_is_found_wherever_the_octets_are_cut() {
        let input = b"..a\r\n.\x20b\r\n...\r\nx.\r\n.\r\nQUIT\r\n";
        let content = b".a\r\n b\r\n..\r\nx.\r\n";
        assert_eq!(read(input), (input.len() - 6, whole(content)));
        let mut reader = DataReader::new(1000);
        for (i, octet) in input.iter().enumerate() {
            if let (1, Some(mail)) = reader.take(&[*octet]) {
                assert_eq!(mail, Mail::Whole(content.to_vec()));
                assert_eq!(i, input.len() - 7);
                return;
            }
        }
        panic!("no end found");
    }

    #[test]
    fn an_empty_message_ends_at_once() {
        assert_eq!(read(b".\r\n"), (3, whole(b"")));
    }

    #[test]
    fn nothing_but_crlf_dot_crlf_ends_the_data() {
        for smuggle in [
            &b"a\n.\nMAIL"[..],
            b"a\n.\r\nMAIL",
            b"a\r.\rMAIL",
            b"a\r\n.\nMAIL",
            b"a\r\n.\rMAIL",
            b"a\r.\r\nMAIL",
            b"a\n\r.\r\nMAIL",
            b"a\r\n.\r\rMAIL",
            b"a\r\n\0.\r\nMAIL",
            b"a\r\r.\r\nMAIL",
        ] {
            assert_eq!(read(smuggle), (smuggle.len(), None), "{smuggle:?}");
        }
        // A CR before the CRLF does not hide a real end of line.
        assert_eq!(read(b"a\r\r\n.\r\n"), (7, whole(b"a\r\r\n")));
    }

    #[test]
    fn content_beyond_the_limit_is_dropped_and_told_at_the_end() {
        let mut reader = DataReader::new(8);
        assert_eq!(reader.take(&[b'x'; 4096]), (4096, None));
        assert!(reader.octets.capacity() == 0, "nothing kept beyond the limit");
        assert_eq!(reader.take(b"\r\n.\r\n"), (5, Some(Mail::TooLarge)));
    }
}
