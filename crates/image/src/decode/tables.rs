//! Look-up tables for run-length codes and two-dimensional modes (T.4 Tables 2/T.4 to 4/T.4), built by
//! the compiler from [`crate::codes`].

use crate::codes::{BLACK, Code, WHITE};

/// Bits that tell any run-length code.
const BITS: u32 = 13;

/// What the next bits mean: 0 nothing; else from the low end four bits for the length of the code, one
/// for make-up codes, and the run, for make-up codes in units of 64.
type Entry = u16;

const fn build(codes: &[Code; 104]) -> [Entry; 1 << BITS] {
    let mut table = [0; 1 << BITS];
    let mut i = 0;
    while i < codes.len() {
        let (code, len) = codes[i];
        let (run, make_up) = if i < 64 { (i, 0) } else { (i - 63, 1) };
        let entry = (run as u16) << 5 | make_up << 4 | len as u16;
        let first = (code as usize) << (BITS - len as u32);
        let mut j = 0;
        while j < 1 << (BITS - len as u32) {
            table[first + j] = entry;
            j += 1;
        }
        i += 1;
    }
    table
}

static RUNS: [[Entry; 1 << BITS]; 2] = [build(&WHITE), build(&BLACK)];

/// A run-length code as found.
#[derive(Clone, Copy)]
pub(super) struct RunCode(Entry);

impl RunCode {
    /// The code at the top of `bits`.
    #[inline(always)]
    pub(super) fn at(bits: u64, black: bool) -> Self {
        RunCode(RUNS[usize::from(black)][(bits >> (64 - BITS)) as usize])
    }

    /// Its number of bits; 0 for no code.
    #[inline(always)]
    pub(super) fn len(self) -> u32 {
        u32::from(self.0 & 15)
    }

    /// The pels that it stands for.
    #[inline(always)]
    pub(super) fn run(self) -> u32 {
        u32::from(self.0 >> 5) << (6 * (self.0 >> 4 & 1))
    }

    /// Whether another code of the same run must follow.
    #[inline(always)]
    pub(super) fn is_make_up(self) -> bool {
        self.0 & 16 != 0
    }
}

/// A two-dimensional mode: for V a mark, a1 − b1 + 3, and the number of bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Mode(u8);

impl Mode {
    /// None: the beginning of an EOL or of an extension.
    const NONE: Mode = Mode(0);
    /// P.
    pub(super) const PASS: Mode = Mode(1);
    /// H.
    pub(super) const HORIZONTAL: Mode = Mode(2);

    const fn vertical(shift: i8, len: u8) -> Self {
        Mode(0x80 | ((shift + 3) as u8) << 3 | len)
    }

    /// The mode at the top of `bits`.
    #[inline(always)]
    pub(super) fn at(bits: u64) -> Self {
        MODES[(bits >> 57) as usize]
    }

    /// V0, VR1 … VL3.
    #[inline(always)]
    pub(super) fn is_vertical(self) -> bool {
        self.0 & 0x80 != 0
    }

    /// The bits of a V mode.
    #[inline(always)]
    pub(super) fn len(self) -> u32 {
        u32::from(self.0 & 7)
    }

    /// How far right of b1 a1 is in a V mode.
    #[inline(always)]
    pub(super) fn shift(self) -> i32 {
        i32::from(self.0 >> 3 & 7) - 3
    }
}

/// The modes by the next seven bits.
static MODES: [Mode; 128] = {
    let mut t = [Mode::NONE; 128];
    let mut i = 0;
    while i < 128 {
        t[i] = match i {
            0b100_0000.. => Mode::vertical(0, 1),
            0b011_0000.. => Mode::vertical(1, 3),
            0b010_0000.. => Mode::vertical(-1, 3),
            0b001_0000.. => Mode::HORIZONTAL,
            0b000_1000.. => Mode::PASS,
            0b000_0110.. => Mode::vertical(2, 6),
            0b000_0100.. => Mode::vertical(-2, 6),
            0b000_0011 => Mode::vertical(3, 7),
            0b000_0010 => Mode::vertical(-3, 7),
            _ => Mode::NONE,
        };
        i += 1;
    }
    t
};

/// Bits that tell two modes, if neither is long.
const TWO_MODES_BITS: u32 = 11;

/// The next mode, or the next two if both are V: four bits each for the lengths of the first and of both,
/// three each for a1 − b1 + 3, a mark for V and one for two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Modes(u16);

impl Modes {
    const NONE: Modes = Modes(0);
    /// P.
    pub(super) const PASS: Modes = Modes(1);
    /// H.
    pub(super) const HORIZONTAL: Modes = Modes(2);
    const VERTICAL: u16 = 1 << 15;
    const TWO: u16 = 1 << 14;

    /// The modes at the top of `bits`.
    #[inline(always)]
    pub(super) fn at(bits: u64) -> Self {
        TWO_MODES[(bits >> (64 - TWO_MODES_BITS)) as usize]
    }

    /// One V mode or two.
    #[inline(always)]
    pub(super) fn are_vertical(self) -> bool {
        self.0 & Self::VERTICAL != 0
    }

    /// Two V modes.
    #[inline(always)]
    pub(super) fn are_two(self) -> bool {
        self.0 & Self::TWO != 0
    }

    /// The bits of the first.
    #[inline(always)]
    pub(super) fn first_len(self) -> u32 {
        u32::from(self.0 >> 4 & 15)
    }

    /// The bits of both.
    #[inline(always)]
    pub(super) fn len(self) -> u32 {
        u32::from(self.0 & 15)
    }

    /// How far right of b1 a1 is in the first V mode.
    #[inline(always)]
    pub(super) fn first_shift(self) -> i32 {
        i32::from(self.0 >> 8 & 7) - 3
    }

    /// The same of the second.
    #[inline(always)]
    pub(super) fn second_shift(self) -> i32 {
        i32::from(self.0 >> 11 & 7) - 3
    }
}

/// The modes by the next bits.
static TWO_MODES: [Modes; 1 << TWO_MODES_BITS] = {
    let mut t = [Modes::NONE; 1 << TWO_MODES_BITS];
    let mut i = 0;
    while i < t.len() {
        let first = MODES[i >> (TWO_MODES_BITS - 7)].0;
        t[i] = if first & 0x80 == 0 {
            Modes(first as u16)
        } else {
            let len = first & 7;
            // What follows, with zeros for what is not known.
            let rest = (i << (len as u32 + 16 - TWO_MODES_BITS)) & 0xFFFF;
            let second = MODES[rest >> 9].0;
            let both = len + (second & 7);
            let shift = (first >> 3 & 7) as u16;
            let one = Modes::VERTICAL | shift << 8 | (len as u16) << 4 | len as u16;
            if second & 0x80 != 0 && both as u32 <= TWO_MODES_BITS {
                let second = (second >> 3 & 7) as u16;
                Modes(one & !15 | Modes::TWO | second << 11 | both as u16)
            } else {
                Modes(one)
            }
        };
        i += 1;
    }
    t
};
