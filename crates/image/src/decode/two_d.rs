//! Decoding one two-dimensional row (T.4 §4.2.1, T.6 §2.2).
//!
//! This is where a page's decoding time goes, so bits are held in a register and changing elements are
//! collected in a small array before they go to the row.

use super::row::Bits;
use super::tables::{Mode, RunCode};
use crate::changes::{Changes, SENTINELS};

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
        TwoD { a0: -1, j: 0, black: false }
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
///
/// It is passed by value, so that it stays in registers.
#[derive(Clone, Copy)]
struct Held {
    bits: u64,
    /// How many of them count.
    count: u32,
    /// The next octet to be taken.
    next: usize,
}

impl Held {
    #[inline(always)]
    fn new(octets: &[u8], pos: usize) -> Self {
        let held = Held { bits: 0, count: 0, next: pos / 8 };
        held.fill(octets).drop((pos % 8) as u32)
    }

    /// Makes at least 56 bits count.
    #[inline(always)]
    fn fill(self, octets: &[u8]) -> Self {
        match octets.get(self.next..self.next.wrapping_add(8)).map(TryInto::try_into) {
            Some(Ok(word)) => {
                let taken = (63 - self.count) / 8;
                Held {
                    bits: self.bits | u64::from_be_bytes(word) >> self.count,
                    count: self.count + taken * 8,
                    next: self.next.wrapping_add(taken as usize),
                }
            }
            _ => self.fill_from_rest(octets),
        }
    }

    #[cold]
    #[inline(never)]
    fn fill_from_rest(mut self, octets: &[u8]) -> Self {
        while self.count <= 56 {
            let octet = octets.get(self.next).copied().unwrap_or(0);
            self.bits |= u64::from(octet) << (56 - self.count);
            self.next += 1;
            self.count += 8;
        }
        self
    }

    #[inline(always)]
    fn drop(self, n: u32) -> Self {
        Held { bits: self.bits << n, count: self.count.wrapping_sub(n), next: self.next }
    }

    #[inline(always)]
    fn pos(self) -> usize {
        (self.next.wrapping_mul(8)).wrapping_sub(self.count as usize)
    }
}

/// Changing elements on their way to a row.
struct Collected {
    few: [u32; FEW],
    count: usize,
}

const FEW: usize = 32;

impl Collected {
    #[inline(always)]
    fn push(&mut self, row: &mut Vec<u32>, at: u32) {
        if self.count == FEW {
            self.flush(row);
        }
        self.few[self.count % FEW] = at;
        self.count += 1;
    }

    /// As `push`, but one at the position of the last takes that away: a run of no pels.
    #[inline(always)]
    fn change(&mut self, row: &mut Vec<u32>, at: u32) {
        if self.count == 0 {
            if row.last() == Some(&at) {
                row.pop();
                return;
            }
        } else if self.few[(self.count - 1) % FEW] == at {
            self.count -= 1;
            return;
        }
        self.push(row, at);
    }

    #[inline(never)]
    fn flush(&mut self, row: &mut Vec<u32>) {
        row.extend_from_slice(self.few.get(..self.count).unwrap_or(&[]));
        self.count = 0;
    }
}

/// A run in a horizontal mode: its pels; `None` when there is no such code or the run is longer than
/// the row.
#[inline(always)]
fn run(mut held: Held, octets: &[u8], black: bool, width: u32) -> (Held, Option<u32>) {
    let mut total = 0u32;
    loop {
        if held.count < 16 {
            held = held.fill(octets);
        }
        let code = RunCode::at(held.bits, black);
        if code.len() == 0 {
            return (held, None);
        }
        held = held.drop(code.len());
        total = total.wrapping_add(code.run());
        if !code.is_make_up() {
            return (held, Some(total));
        }
        if total > width {
            return (held, None);
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
    let mut found = Collected { few: [0; FEW], count: 0 };
    let (octets, last_octet) = (bits.octets(), bits.end / 8);
    let mut held = Held::new(octets, bits.pos);
    let TwoD { mut a0, mut j, mut black } = *state;
    let mut b1 = at(j);
    // Whether what was taken up to here was there; if not, the row goes on at this mode later.
    let there = |held: Held| held.next <= last_octet || held.pos() <= bits.end;
    let (end, pos) = loop {
        if held.count < 32 {
            held = held.fill(octets);
        }
        let mode = Mode::at(held.bits);
        if mode.is_vertical() {
            let before = held;
            held = held.drop(mode.len());
            if !there(held) {
                break (TwoDEnd::Short, before.pos());
            }
            let a1 = b1.wrapping_add(mode.shift());
            if a1 >= width || a1 <= a0 {
                let end = if a1 == width { TwoDEnd::Full } else { TwoDEnd::Illegal };
                break (end, held.pos());
            }
            found.push(row, a1.cast_unsigned());
            a0 = a1;
            black = !black;
            // b1 changes to the other colour now: the next element, or the one before the last if a1
            // lies left of that.
            let left = refs.get(j.wrapping_sub(1)).map_or(0, |r| r.cast_signed());
            j = j.wrapping_add(1).wrapping_sub(2 * usize::from(left > a0));
        } else if mode == Mode::HORIZONTAL {
            let before = held;
            let unsigned = width.cast_unsigned();
            let (h, first) = run(held.drop(3), octets, black, unsigned);
            let (h, second) = if first.is_some() { run(h, octets, !black, unsigned) } else { (h, None) };
            held = h;
            // No code is longer than 13 bits: one that is cut off may look like none.
            let known = held.pos() + if second.is_none() { 13 } else { 0 };
            if held.next > last_octet && known > bits.end {
                break (TwoDEnd::Short, before.pos());
            }
            let (Some(first), Some(second)) = (first, second) else {
                break (TwoDEnd::Illegal, held.pos());
            };
            // Each run is less than a width and two codes long.
            let a1 = a0.max(0).wrapping_add(first.cast_signed());
            let a2 = a1.wrapping_add(second.cast_signed());
            if a2 >= width {
                if a2 > width {
                    break (TwoDEnd::Illegal, held.pos());
                }
                if a1 < width {
                    found.change(row, a1.cast_unsigned());
                }
                break (TwoDEnd::Full, held.pos());
            }
            found.change(row, a1.cast_unsigned());
            found.change(row, a2.cast_unsigned());
            a0 = a2;
        } else if mode == Mode::PASS {
            let before = held;
            held = held.drop(4);
            if !there(held) {
                break (TwoDEnd::Short, before.pos());
            }
            a0 = at(j + 1);
            j += 2;
            if a0 >= width {
                break (TwoDEnd::Full, held.pos());
            }
        } else {
            let end = if held.pos() + 7 > bits.end { TwoDEnd::Short } else { TwoDEnd::NoMode };
            break (end, held.pos());
        }
        b1 = at(j);
        while b1 <= a0 {
            j += 2;
            b1 = at(j);
        }
    };
    found.flush(row);
    bits.pos = pos;
    *state = TwoD { a0, j, black };
    if end == TwoDEnd::Full {
        row.extend([width.cast_unsigned(); SENTINELS]);
        *state = TwoD::default();
    }
    end
}
