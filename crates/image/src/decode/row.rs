//! Decoding one row: run lengths (T.4 §4.1.1) and two-dimensional modes (T.4 §4.2.1, T.6 §2.2).

use super::tables::{MODES, Mode, RunCode};
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
pub(super) fn row_1d(
    bits: &mut Bits<'_>,
    content_end: usize,
    width: u32,
    row: &mut Changes,
) -> OneD {
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

/// Where a two-dimensional row stands, so that it can be carried on when more data comes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TwoD {
    a0: u32,
    /// Index of b1 on the reference line.
    j: usize,
    black: bool,
}

impl TwoD {
    /// Whether nothing of the row was decoded yet.
    pub(super) fn at_start(&self) -> bool {
        self.a0 == 0 && self.j == 0 && !self.black
    }
}

/// What became of a two-dimensional row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TwoDEnd {
    /// The row is complete.
    Full,
    /// The data ends before the row: `bits` and the state stand before the mode that was cut off.
    Short,
    /// Seven zeros: an EOL, an extension or an error. `bits` stands before them.
    NoMode,
    /// An illegal run or position.
    Illegal,
}

/// Decodes modes until the row is full.
pub(super) fn row_2d(
    bits: &mut Bits<'_>,
    state: &mut TwoD,
    reference: &Changes,
    width: u32,
    row: &mut Changes,
) -> TwoDEnd {
    let refs = reference.at.as_slice();
    let at = |i: usize| refs.get(i).copied().unwrap_or(width);
    let mut b = *bits;
    let TwoD {
        mut a0,
        mut j,
        mut black,
    } = *state;
    let end = loop {
        let before = b.pos;
        let word = b.peek();
        match MODES[(word >> 57) as usize] {
            Mode::Vertical(shift, len) => {
                b.pos += usize::from(len);
                if b.pos > b.end {
                    b.pos = before;
                    break TwoDEnd::Short;
                }
                let Some(a1) = at(j).checked_add_signed(i32::from(shift)) else {
                    break TwoDEnd::Illegal;
                };
                if a1 >= width {
                    if a1 > width {
                        break TwoDEnd::Illegal;
                    }
                    a0 = width;
                    break TwoDEnd::Full;
                }
                if a1 <= a0 && (a1 < a0 || a0 != 0 || !row.at.is_empty() || j != 0) {
                    break TwoDEnd::Illegal;
                }
                row.at.push(a1);
                a0 = a1;
                black = !black;
                j += 1;
                if shift < 0 && j >= 2 && at(j - 2) > a0 {
                    j -= 2;
                }
            }
            Mode::Pass => {
                b.pos += 4;
                if b.pos > b.end {
                    b.pos = before;
                    break TwoDEnd::Short;
                }
                a0 = at(j + 1);
                j += 2;
                if a0 >= width {
                    break TwoDEnd::Full;
                }
            }
            Mode::Horizontal => {
                b.pos += 3;
                let (first, second) = match run(&mut b, black, width) {
                    Run::Pels(n) => match run(&mut b, !black, width) {
                        Run::Pels(m) => (n, m),
                        Run::Short => {
                            b.pos = before;
                            break TwoDEnd::Short;
                        }
                        Run::Illegal => break TwoDEnd::Illegal,
                    },
                    Run::Short => {
                        b.pos = before;
                        break TwoDEnd::Short;
                    }
                    Run::Illegal => break TwoDEnd::Illegal,
                };
                let (a1, a2) = (a0 + first, a0 + first + second);
                if a2 >= width {
                    if a2 > width {
                        break TwoDEnd::Illegal;
                    }
                    if a1 < width {
                        change(&mut row.at, a1);
                    }
                    a0 = width;
                    break TwoDEnd::Full;
                }
                change(&mut row.at, a1);
                change(&mut row.at, a2);
                a0 = a2;
            }
            Mode::None => {
                if b.pos + 7 > b.end {
                    break TwoDEnd::Short;
                }
                break TwoDEnd::NoMode;
            }
        }
        while at(j) <= a0 {
            j += 2;
        }
    };
    *bits = b;
    *state = TwoD { a0, j, black };
    if end == TwoDEnd::Full {
        row.seal(width);
        *state = TwoD::default();
    }
    end
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
