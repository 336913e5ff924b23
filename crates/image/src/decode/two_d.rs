//! Decoding one two-dimensional row (T.4 §4.2.1, T.6 §2.2).
//!
//! This is where a page's decoding time goes: bits are held in a register, two V modes are taken at once
//! where two follow each other, and changing elements are collected in a small array before they go to
//! the row. The last octets of the data, where a mode may be cut off, are decoded mode by mode.

use super::held::Held;
use super::row::Bits;
use super::tables::{Mode, Modes, RunCode};
use crate::changes::{Changes, SENTINELS};

/// Where a two-dimensional row stands, so that it can be carried on when more data comes. The colour
/// follows from the number of its elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct TwoD {
    /// −1 before the first pel, and before the first mode of the row.
    a0: i32,
    /// Index of b1 on the reference line.
    j: usize,
}

impl Default for TwoD {
    fn default() -> Self {
        TwoD { a0: -1, j: 0 }
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

/// Changing elements on their way to a row.
type Few = [u32; FEW];

const FEW: usize = 32;

#[inline(never)]
fn flush(row: &mut Vec<u32>, few: &Few, count: usize) {
    row.extend_from_slice(few.get(..count).unwrap_or(&[]));
}

/// Appends a changing element. One at the position of the last takes that away: a run of no pels.
#[inline]
pub(super) fn change(row: &mut Vec<u32>, at: u32) {
    if row.last() == Some(&at) {
        row.pop();
    } else {
        row.push(at);
    }
}

/// A run in a horizontal mode: its pels; `None` when there is no such code or the run is longer than
/// the row.
fn run(mut held: Held, octets: &[u8], black: bool, width: u32) -> (Held, Option<u32>) {
    let mut total = 0u32;
    loop {
        held = held.fill(octets);
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

/// A run of one or two codes, the bits of which are all there.
#[inline(always)]
fn short_run(held: Held, black: bool) -> Option<(Held, u32)> {
    let code = RunCode::at(held.bits, black);
    let held = held.drop(code.len());
    if !code.is_make_up() {
        return (code.len() != 0).then_some((held, code.run()));
    }
    let second = RunCode::at(held.bits, black);
    let whole = second.len() != 0 && !second.is_make_up();
    whole.then_some((held.drop(second.len()), code.run().wrapping_add(second.run())))
}

/// An element of the reference line.
#[inline(always)]
fn element(refs: &[u32], width: i32, i: usize) -> i32 {
    refs.get(i).map_or(width, |r| r.cast_signed())
}

/// b1 on the reference line.
#[derive(Clone, Copy)]
struct Place {
    /// Its index.
    j: usize,
    /// Its position.
    at: i32,
    /// The position of the element before it.
    left: i32,
}

impl Place {
    #[inline(always)]
    fn at(refs: &[u32], width: i32, j: usize) -> Self {
        let left = refs.get(j.wrapping_sub(1)).map_or(-1, |r| r.cast_signed());
        Place { j, at: element(refs, width, j), left }
    }

    /// The first element of this colour right of a0.
    #[inline(always)]
    fn right_of(self, refs: &[u32], width: i32, a0: i32) -> Self {
        if self.at > a0 {
            return self;
        }
        let mut j = self.j + 2;
        while element(refs, width, j) <= a0 {
            j += 2;
        }
        Place::at(refs, width, j)
    }

    /// After a V mode the colour is the other: b1 is the next element, or the one before the last if a0
    /// lies left of that.
    #[inline(always)]
    fn other_colour(self, refs: &[u32], width: i32, a0: i32) -> Self {
        if self.left > a0 {
            return Place::at(refs, width, self.j - 1);
        }
        let j = self.j + 1;
        Place { j, at: element(refs, width, j), left: self.at }.right_of(refs, width, a0)
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
    let (refs, width) = (reference.at.as_slice(), width.cast_signed());
    let end = match many_modes(bits, state, refs, width, &mut row.at) {
        Some(end) => end,
        None => each_mode(bits, state, refs, width, &mut row.at),
    };
    if end == TwoDEnd::Full {
        row.at.extend([width.cast_unsigned(); SENTINELS]);
        *state = TwoD::default();
    }
    end
}

/// Decodes modes as long as eight octets more are there, so that none is cut off. `None`: `bits` and the
/// state stand before a mode at which more care is needed.
fn many_modes(
    bits: &mut Bits<'_>,
    state: &mut TwoD,
    refs: &[u32],
    width: i32,
    row: &mut Vec<u32>,
) -> Option<TwoDEnd> {
    let octets = bits.octets();
    let mut held = Held::from_word(octets, bits.pos)?;
    let mut b1 = Place::at(refs, width, state.j);
    let mut a0 = state.a0;
    let mut black = row.len() % 2 == 1;
    let mut few: Few = [0; FEW];
    let mut n = 0usize;
    let end = loop {
        if held.count < 32 {
            match held.fill_from_word(octets) {
                Some(filled) => held = filled,
                None => break None,
            }
        }
        if n > FEW - 2 {
            flush(row, &few, n);
            n = 0;
        }
        let modes = Modes::at(held.bits);
        if modes.are_vertical() {
            let a1 = b1.at.wrapping_add(modes.first_shift());
            if a1 >= width || a1 <= a0 {
                held = held.drop(modes.first_len());
                break Some(if a1 == width { TwoDEnd::Full } else { TwoDEnd::Illegal });
            }
            few[n % FEW] = a1.cast_unsigned();
            n += 1;
            b1 = b1.other_colour(refs, width, a1);
            a0 = a1;
            if !modes.are_two() {
                held = held.drop(modes.first_len());
                black = !black;
                continue;
            }
            let a1 = b1.at.wrapping_add(modes.second_shift());
            held = held.drop(modes.len());
            if a1 >= width || a1 <= a0 {
                break Some(if a1 == width { TwoDEnd::Full } else { TwoDEnd::Illegal });
            }
            few[n % FEW] = a1.cast_unsigned();
            n += 1;
            b1 = b1.other_colour(refs, width, a1);
            a0 = a1;
        } else if modes == Modes::HORIZONTAL {
            let Some(filled) = held.fill_from_word(octets) else { break None };
            let Some((h, first)) = short_run(filled.drop(3), black) else { break None };
            let Some((h, second)) = short_run(h, !black) else { break None };
            held = h;
            // Each run is less than two make-up codes long.
            let a1 = a0.max(0).wrapping_add(first.cast_signed());
            let a2 = a1.wrapping_add(second.cast_signed());
            if first == 0 || second == 0 || a2 >= width {
                flush(row, &few, n);
                n = 0;
                if a2 > width {
                    break Some(TwoDEnd::Illegal);
                }
                if a1 < width {
                    change(row, a1.cast_unsigned());
                }
                if a2 == width {
                    break Some(TwoDEnd::Full);
                }
                change(row, a2.cast_unsigned());
            } else {
                few[n % FEW] = a1.cast_unsigned();
                few[(n + 1) % FEW] = a2.cast_unsigned();
                n += 2;
            }
            a0 = a2;
            b1 = b1.right_of(refs, width, a0);
        } else if modes == Modes::PASS {
            held = held.drop(4);
            a0 = element(refs, width, b1.j + 1);
            if a0 >= width {
                break Some(TwoDEnd::Full);
            }
            b1 = Place::at(refs, width, b1.j + 2).right_of(refs, width, a0);
        } else {
            break Some(TwoDEnd::NoMode);
        }
    };
    flush(row, &few, n);
    bits.pos = held.pos();
    *state = TwoD { a0, j: b1.j };
    // What was taken may not all belong to the row.
    if bits.pos > bits.end { Some(TwoDEnd::Short) } else { end }
}

/// Decodes mode by mode, up to one that is cut off.
fn each_mode(bits: &mut Bits<'_>, state: &mut TwoD, refs: &[u32], width: i32, row: &mut Vec<u32>) -> TwoDEnd {
    let octets = bits.octets();
    let mut b1 = Place::at(refs, width, state.j);
    loop {
        let black = row.len() % 2 == 1;
        let a0 = state.a0;
        let mut held = Held::new(octets, bits.pos);
        let mode = Mode::at(held.bits);
        if mode.is_vertical() {
            held = held.drop(mode.len());
            if held.pos() > bits.end {
                return TwoDEnd::Short;
            }
            bits.pos = held.pos();
            let a1 = b1.at.wrapping_add(mode.shift());
            if a1 >= width || a1 <= a0 {
                return if a1 == width { TwoDEnd::Full } else { TwoDEnd::Illegal };
            }
            row.push(a1.cast_unsigned());
            b1 = b1.other_colour(refs, width, a1);
            state.a0 = a1;
        } else if mode == Mode::HORIZONTAL {
            let most = width.cast_unsigned();
            let (h, first) = run(held.drop(3), octets, black, most);
            let (h, second) = if first.is_some() { run(h, octets, !black, most) } else { (h, None) };
            // No code is longer than 13 bits: one that is cut off may look like none.
            if h.pos() + if second.is_none() { 13 } else { 0 } > bits.end {
                return TwoDEnd::Short;
            }
            bits.pos = h.pos();
            let (Some(first), Some(second)) = (first, second) else {
                return TwoDEnd::Illegal;
            };
            // Each run is less than a width and two codes long.
            let a1 = a0.max(0).wrapping_add(first.cast_signed());
            let a2 = a1.wrapping_add(second.cast_signed());
            if a2 > width {
                return TwoDEnd::Illegal;
            }
            if a1 < width {
                change(row, a1.cast_unsigned());
            }
            if a2 == width {
                return TwoDEnd::Full;
            }
            change(row, a2.cast_unsigned());
            state.a0 = a2;
            b1 = b1.right_of(refs, width, a2);
        } else if mode == Mode::PASS {
            held = held.drop(4);
            if held.pos() > bits.end {
                return TwoDEnd::Short;
            }
            bits.pos = held.pos();
            state.a0 = element(refs, width, b1.j + 1);
            if state.a0 >= width {
                return TwoDEnd::Full;
            }
            b1 = Place::at(refs, width, b1.j + 2).right_of(refs, width, state.a0);
        } else {
            return if bits.pos + 7 > bits.end { TwoDEnd::Short } else { TwoDEnd::NoMode };
        }
        state.j = b1.j;
    }
}
