//! Decoding one row of run lengths (T.4 §4.1.1).

use super::tables::RunCode;
use crate::changes::Changes;

/// Bits in printed order, read from any position.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bits<'a> {
    octets: &'a [u8],
    /// The next bit.
    pub(super) pos: usize,
    /// Bits from here on do not belong to the row.
    pub(super) end: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(octets: &'a [u8], pos: usize, end: usize) -> Self {
        Bits { octets, pos, end }
    }

    pub(super) fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// The next bits, at least 57, left-aligned; zeros behind the last octet.
    #[inline]
    pub(super) fn peek(&self) -> u64 {
        let at = self.pos / 8;
        let word = match self.octets.get(at..at + 8) {
            Some(s) => s.try_into().map_or(0, u64::from_be_bytes),
            None => self.last_word(at),
        };
        word << (self.pos % 8)
    }

    #[cold]
    fn last_word(&self, at: usize) -> u64 {
        let mut bytes = [0; 8];
        for (b, o) in bytes.iter_mut().zip(self.octets.get(at..).unwrap_or(&[])) {
            *b = *o;
        }
        u64::from_be_bytes(bytes)
    }

    /// Zeros from here on, up to the end.
    pub(super) fn zeros(&self) -> usize {
        let mut b = *self;
        while b.pos < b.end {
            let n = b.peek().leading_zeros() as usize;
            if n < 57 {
                return (b.pos + n).min(b.end) - self.pos;
            }
            b.pos += 57;
        }
        self.end - self.pos
    }
}

/// Appends a changing element. One at the position of the last takes that away: a run of no pels.
#[inline]
fn change(row: &mut Vec<u32>, at: u32) {
    if row.last() == Some(&at) {
        row.pop();
    } else {
        row.push(at);
    }
}

/// How a run was decoded.
enum Run {
    /// So many pels.
    Pels(u32),
    /// The data ends before it does.
    Short,
    /// No such code, or far too long.
    Illegal,
}

/// A whole run: make-up codes and a terminating one.
#[inline]
fn run(bits: &mut Bits<'_>, black: bool, most: u32) -> Run {
    let mut total = 0;
    loop {
        let code = RunCode::at(bits.peek(), black);
        if code.len() == 0 {
            let short = bits.end.saturating_sub(bits.pos) < 13;
            return if short { Run::Short } else { Run::Illegal };
        }
        bits.pos += code.len() as usize;
        total += code.run();
        if bits.pos > bits.end {
            return Run::Short;
        }
        if !code.is_make_up() {
            return Run::Pels(total);
        }
        if total > most {
            return Run::Illegal;
        }
    }
}

/// What became of a one-dimensional row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum OneD {
    /// All codes were legal and ended with the data; so many pels, at most twice the width and some.
    Pels(u32),
    /// Exactly the width, then more bits, from here on.
    Surplus(usize),
    /// An illegal code, or one that was cut off.
    Illegal,
}

/// Decodes run lengths to the end of the data, which is at the last one bit (`content_end`) or up to
/// three bits behind it: codes may end in zeros. Pels beyond the width are dropped, missing ones are
/// white.
pub(super) fn row_1d(bits: &mut Bits<'_>, content_end: usize, width: u32, row: &mut Changes) -> OneD {
    row.at.clear();
    let mut at = 0u32;
    let mut black = false;
    let mut full_at = None;
    while bits.pos < content_end {
        if at == width && full_at.is_none() {
            full_at = Some((bits.pos, row.at.len()));
        }
        let most = width.saturating_mul(2).saturating_add(4096);
        match run(bits, black, most) {
            Run::Pels(n) if at + n <= most => at += n,
            Run::Pels(_) | Run::Short | Run::Illegal => {
                return match full_at {
                    Some((pos, len)) => {
                        row.at.truncate(len);
                        row.seal(width);
                        OneD::Surplus(pos)
                    }
                    None => OneD::Illegal,
                };
            }
        }
        black = !black;
        if at < width {
            change(&mut row.at, at);
        }
    }
    row.seal(width);
    OneD::Pels(at)
}

/// Decodes one row of run lengths that is not followed by an EOL: as many as fill the width. Pels beyond
/// it are dropped. `false` when that cannot be done.
pub(super) fn row_plain(bits: &mut Bits<'_>, width: u32, row: &mut Changes) -> bool {
    row.at.clear();
    let (mut at, mut black) = (0u32, false);
    while at < width {
        match run(bits, black, width) {
            Run::Pels(n) => at += n,
            Run::Short | Run::Illegal => return false,
        }
        black = !black;
        if at < width {
            change(&mut row.at, at);
        }
    }
    row.seal(width);
    true
}
