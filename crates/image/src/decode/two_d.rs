//! Decoding one two-dimensional row (T.4 §4.2.1, T.6 §2.2).
//!
//! This is where a page's decoding time goes, so bits are held in a register and changing elements are
//! collected in a small array before they go to the row.

use super::row::Bits;
use super::tables::{MODES, Mode, RunCode};
use crate::changes::Changes;

/// Where a two-dimensional row stands, so that it can be carried on when more data comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct TwoD {
    /// −1 before the first pel, and before the first mode of the row.
    a0: i32,
    /// Index of b1 on the reference line.
    j: usize,
    black: bool,
}

impl Default for TwoD {
    fn default() -> Self {
        TwoD {
            a0: -1,
            j: 0,
            black: false,
        }
    }
}

impl TwoD {
    /// Whether nothing of the row was decoded yet.
    pub(super) fn at_start(&self) -> bool {
        self.a0 < 0
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

/// Bits held in a register, the next one on top. Behind the last octet come zeros.
struct Held<'a> {
    octets: &'a [u8],
    /// The next octet to be taken.
    next: usize,
    bits: u64,
    /// How many of them count.
    count: u32,
}

impl<'a> Held<'a> {
    #[inline]
    fn new(octets: &'a [u8], pos: usize) -> Self {
        let mut held = Held {
            octets,
            next: pos / 8,
            bits: 0,
            count: 0,
        };
        held.fill();
        held.drop((pos % 8) as u32);
        held
    }

    /// Makes at least 56 bits count.
    #[inline]
    fn fill(&mut self) {
        if let Some(Ok(word)) = self
            .octets
            .get(self.next..self.next + 8)
            .map(TryInto::try_into)
        {
            self.bits |= u64::from_be_bytes(word) >> self.count;
            let octets = (63 - self.count) / 8;
            self.next += octets as usize;
            self.count += octets * 8;
        } else {
            self.fill_from_rest();
        }
    }

    #[cold]
    fn fill_from_rest(&mut self) {
        while self.count <= 56 {
            let octet = self.octets.get(self.next).copied().unwrap_or(0);
            self.bits |= u64::from(octet) << (56 - self.count);
            self.next += 1;
            self.count += 8;
        }
    }

    #[inline]
    fn drop(&mut self, n: u32) {
        self.bits <<= n;
        self.count = self.count.wrapping_sub(n);
    }

    #[inline]
    fn pos(&self) -> usize {
        self.next * 8 - self.count as usize
    }
}

/// Changing elements on their way to a row.
struct Collected {
    few: [u32; 64],
    count: usize,
}

impl Collected {
    #[inline]
    fn push(&mut self, row: &mut Vec<u32>, at: u32) {
        self.few[self.count % 64] = at;
        self.count += 1;
        if self.count == 64 {
            self.flush(row);
        }
    }

    /// As `push`, but one at the position of the last takes that away: a run of no pels.
    #[inline]
    fn change(&mut self, row: &mut Vec<u32>, at: u32) {
        if self.count == 0 {
            self.flush(row);
            if row.last() == Some(&at) {
                row.pop();
                return;
            }
        } else if self.few[(self.count - 1) % 64] == at {
            self.count -= 1;
            return;
        }
        self.push(row, at);
    }

    #[inline]
    fn flush(&mut self, row: &mut Vec<u32>) {
        row.extend_from_slice(self.few.get(..self.count).unwrap_or(&[]));
        self.count = 0;
    }
}

/// A run in a horizontal mode: its pels; `None` when there is no such code or the run is longer than
/// the row.
#[inline]
fn run(held: &mut Held<'_>, black: bool, width: u32) -> Option<u32> {
    let mut total = 0u32;
    loop {
        if held.count < 16 {
            held.fill();
        }
        let code = RunCode::at(held.bits, black);
        if code.len() == 0 {
            return None;
        }
        held.drop(code.len());
        total = total.wrapping_add(code.run());
        if !code.is_make_up() {
            return Some(total);
        }
        if total > width {
            return None;
        }
    }
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
    let width = width.cast_signed();
    let at = |i: usize| refs.get(i).map_or(width, |r| r.cast_signed());
    let row = &mut row.at;
    let mut found = Collected {
        few: [0; 64],
        count: 0,
    };
    let last_octet = bits.end / 8;
    let mut held = Held::new(bits.octets(), bits.pos);
    let TwoD {
        mut a0,
        mut j,
        mut black,
    } = *state;
    // A mode of so many bits was taken; was it there? If not, the position goes back before it.
    let there = |held: &Held<'_>, bits: &mut Bits<'_>, len: u32| {
        if held.next <= last_octet || held.pos() <= bits.end {
            return true;
        }
        bits.pos = held.pos() - len as usize;
        false
    };
    let end = loop {
        if held.count < 32 {
            held.fill();
        }
        match MODES[(held.bits >> 57) as usize] {
            Mode::Vertical(shift, len) => {
                let len = u32::from(len);
                held.drop(len);
                if !there(&held, bits, len) {
                    break TwoDEnd::Short;
                }
                let a1 = at(j) + i32::from(shift);
                if a1 >= width || a1 <= a0 {
                    bits.pos = held.pos();
                    if a1 != width {
                        break TwoDEnd::Illegal;
                    }
                    break TwoDEnd::Full;
                }
                found.push(row, a1.cast_unsigned());
                a0 = a1;
                black = !black;
                // b1 changes to the other colour now: the next element, or the one before the last if
                // a1 lies left of that.
                j += 1;
                let before = refs.get(j.wrapping_sub(2)).map_or(0, |r| r.cast_signed());
                if before > a0 {
                    j -= 2;
                }
            }
            Mode::Pass => {
                held.drop(4);
                if !there(&held, bits, 4) {
                    break TwoDEnd::Short;
                }
                a0 = at(j + 1);
                j += 2;
                if a0 >= width {
                    bits.pos = held.pos();
                    break TwoDEnd::Full;
                }
            }
            Mode::Horizontal => {
                let before = held.pos();
                held.drop(3);
                let unsigned = width.cast_unsigned();
                let first = run(&mut held, black, unsigned);
                let second = first.and_then(|_| run(&mut held, !black, unsigned));
                // No code is longer than 13 bits: one that is cut off may look like none.
                let known = held.pos() + if second.is_none() { 13 } else { 0 };
                if held.next > last_octet && known > bits.end {
                    bits.pos = before;
                    break TwoDEnd::Short;
                }
                bits.pos = held.pos();
                let (Some(first), Some(second)) = (first, second) else {
                    break TwoDEnd::Illegal;
                };
                // Each run is less than two widths and a make-up code long.
                let a1 = a0.max(0) + first.cast_signed();
                let a2 = a1 + second.cast_signed();
                if a2 >= width {
                    if a2 > width {
                        break TwoDEnd::Illegal;
                    }
                    if a1 < width {
                        found.change(row, a1.cast_unsigned());
                    }
                    break TwoDEnd::Full;
                }
                found.change(row, a1.cast_unsigned());
                found.change(row, a2.cast_unsigned());
                a0 = a2;
            }
            Mode::None => {
                bits.pos = held.pos();
                if bits.pos + 7 > bits.end {
                    break TwoDEnd::Short;
                }
                break TwoDEnd::NoMode;
            }
        }
        while at(j) <= a0 {
            j += 2;
        }
    };
    found.flush(row);
    *state = TwoD { a0, j, black };
    if end == TwoDEnd::Full {
        row.extend([width.cast_unsigned(); crate::changes::SENTINELS]);
        *state = TwoD::default();
    }
    end
}
