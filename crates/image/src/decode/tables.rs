//! Look-up tables for run-length codes and two-dimensional modes (T.4 Tables 2/T.4 to 4/T.4), built by
//! the compiler from [`crate::codes`].

use crate::codes::{BLACK, Code, WHITE};

/// Bits that tell any run-length code.
const LONG: u32 = 13;
/// Bits that tell most of them.
const SHORT: u32 = 9;

/// What the next bits mean: run in the high half, then a mark for make-up codes, the number of bits in
/// the low octet; 0 when they mean nothing (or, in the short table, nothing yet).
type Entry = u32;

const MAKE_UP: u32 = 0x100;

const fn build<const N: usize>(codes: &[Code; 104], bits: u32) -> [Entry; N] {
    let mut table = [0; N];
    let mut i = 0;
    while i < codes.len() {
        let (code, len) = codes[i];
        let len = len as u32;
        if len <= bits {
            let run = if i < 64 { i } else { (i - 63) * 64 } as u32;
            let entry = run << 16 | if i < 64 { 0 } else { MAKE_UP } | len;
            let first = (code as usize) << (bits - len);
            let mut j = 0;
            while j < 1 << (bits - len) {
                table[first + j] = entry;
                j += 1;
            }
        }
        i += 1;
    }
    table
}

static WHITE_SHORT: [Entry; 1 << SHORT] = build(&WHITE, SHORT);
static BLACK_SHORT: [Entry; 1 << SHORT] = build(&BLACK, SHORT);
static WHITE_LONG: [Entry; 1 << LONG] = build(&WHITE, LONG);
static BLACK_LONG: [Entry; 1 << LONG] = build(&BLACK, LONG);

/// A run-length code as found.
#[derive(Clone, Copy)]
pub(super) struct RunCode(Entry);

impl RunCode {
    /// The code at the top of `bits`.
    #[inline]
    pub(super) fn at(bits: u64, black: bool) -> Self {
        let short = if black { &BLACK_SHORT } else { &WHITE_SHORT };
        let entry = short[(bits >> (64 - SHORT)) as usize];
        if entry != 0 {
            return RunCode(entry);
        }
        let long = if black { &BLACK_LONG } else { &WHITE_LONG };
        RunCode(long[(bits >> (64 - LONG)) as usize])
    }

    /// Its number of bits; 0 for no code.
    #[inline]
    pub(super) fn len(self) -> u32 {
        self.0 & 0xFF
    }

    /// The pels that it stands for.
    #[inline]
    pub(super) fn run(self) -> u32 {
        self.0 >> 16
    }

    /// Whether another code of the same run must follow.
    #[inline]
    pub(super) fn is_make_up(self) -> bool {
        self.0 & MAKE_UP != 0
    }
}

/// The two-dimensional modes by the next seven bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    /// V: a1 is this many pels right of b1, in so many bits.
    Vertical(i8, u8),
    /// P.
    Pass,
    /// H.
    Horizontal,
    /// None: the beginning of an EOL or of an extension.
    None,
}

const fn modes() -> [Mode; 128] {
    let mut t = [Mode::None; 128];
    let mut i = 0;
    while i < 128 {
        t[i] = match i {
            0b100_0000.. => Mode::Vertical(0, 1),
            0b011_0000.. => Mode::Vertical(1, 3),
            0b010_0000.. => Mode::Vertical(-1, 3),
            0b001_0000.. => Mode::Horizontal,
            0b000_1000.. => Mode::Pass,
            0b000_0110.. => Mode::Vertical(2, 6),
            0b000_0100.. => Mode::Vertical(-2, 6),
            0b000_0011 => Mode::Vertical(3, 7),
            0b000_0010 => Mode::Vertical(-3, 7),
            _ => Mode::None,
        };
        i += 1;
    }
    t
}

/// [`Mode`]s by the next seven bits.
pub(super) static MODES: [Mode; 128] = modes();
