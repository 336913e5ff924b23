//! Decoding one row of run lengths (T.4 §4.1.1).

use super::held::Held;
use super::tables::RunCode;
use super::two_d::change;
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

/// A whole run: make-up codes and a terminating one. `None` when there is no such code, it is far too
/// long, or does not end before `end`.
#[inline(always)]
fn run(mut held: Held, octets: &[u8], end: usize, black: bool, most: u32) -> (Held, Option<u32>) {
    let mut total = 0;
    loop {
        if held.count < 16 {
            held = held.fill(octets);
        }
        let code = RunCode::at(held.bits, black);
        held = held.drop(code.len());
        total += code.run();
        if code.len() == 0 || held.pos() > end {
            return (held, None);
        }
        if !code.is_make_up() {
            return (held, Some(total));
        }
        if total > most {
            return (held, None);
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
}

/// Decodes run lengths to the end of the data, which is at the last one bit (`content_end`) or up to
/// three bits behind it: codes may end in zeros. Pels beyond the width are dropped, missing ones are
/// white. `None`: an illegal code, or one that was cut off.
pub(super) fn row_1d(bits: &Bits<'_>, content_end: usize, width: u32, row: &mut Changes) -> Option<OneD> {
    row.at.clear();
    let octets = bits.octets();
    let mut held = Held::new(octets, bits.pos);
    let most = width.saturating_mul(2).saturating_add(4096);
    let mut at = 0u32;
    let mut black = false;
    while at < width && held.pos() < content_end {
        let n;
        (held, n) = run(held, octets, bits.end, black, most);
        at += n.filter(|n| at + n <= most)?;
        black = !black;
        if at < width {
            change(&mut row.at, at);
        }
    }
    row.seal(width);
    // Whatever follows must be runs too.
    let full = (at == width).then_some(held.pos());
    while held.pos() < content_end {
        let n;
        (held, n) = run(held, octets, bits.end, black, most);
        let Some(n) = n.filter(|n| at + n <= most) else {
            return full.map(OneD::Surplus);
        };
        at += n;
        black = !black;
    }
    Some(OneD::Pels(at))
}

/// Decodes one row of run lengths that is not followed by an EOL: as many as fill the width. Pels beyond
/// it are dropped. `false` when that cannot be done.
pub(super) fn row_plain(bits: &mut Bits<'_>, width: u32, row: &mut Changes) -> bool {
    row.at.clear();
    let octets = bits.octets();
    let mut held = Held::new(octets, bits.pos);
    let (mut at, mut black) = (0u32, false);
    while at < width {
        let n;
        (held, n) = run(held, octets, bits.end, black, width);
        let Some(n) = n else { return false };
        at += n;
        black = !black;
        if at < width {
            change(&mut row.at, at);
        }
    }
    bits.pos = held.pos();
    row.seal(width);
    true
}
