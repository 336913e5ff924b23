//! V.27ter's coding and turn-on sequences (V.27ter §2.2, §4 and §6).
//!
//! All points lie on the unit circle.

use crate::modem::Mode;
use crate::scrambler::GuardedScrambler;
use crate::v29::{BITS, BITS_2, TURN, TURN_2};
use core::f32::consts::FRAC_1_SQRT_2 as H;
use fax_base::line::Training;

/// Symbols of segment 5: scrambled ones in the coding of data.
pub const SEGMENT_5: usize = 8;

/// By the absolute phase in eighths of a turn.
static POINTS: [[f32; 2]; 8] =
    [[1.0, 0.0], [H, H], [0.0, 1.0], [-H, H], [-1.0, 0.0], [-H, -H], [0.0, -1.0], [H, -H]];
/// By the absolute phase in quarters of a turn.
static POINTS_2400: [[f32; 2]; 4] = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]];

/// The constellation by label: the absolute phase in eighths of a turn at 4800 bit/s, in quarters at 2400.
/// Empty for what is not V.27ter.
#[must_use]
pub fn constellation(mode: Mode) -> &'static [[f32; 2]] {
    match mode {
        Mode::V27ter2400 => &POINTS_2400,
        Mode::V27ter4800 => &POINTS,
        Mode::V29At4800
        | Mode::V29At7200
        | Mode::V29At9600
        | Mode::V17At7200
        | Mode::V17At9600
        | Mode::V17At12000
        | Mode::V17At14400 => &[],
    }
}

/// Symbols of segment 3: reversals of phase.
#[must_use]
pub const fn segment_3(training: Training) -> usize {
    match training {
        Training::Long => 50,
        Training::Short => 14,
    }
}

/// Symbols of segment 4: the two-phase pattern.
#[must_use]
pub const fn segment_4(training: Training) -> usize {
    match training {
        Training::Long => 1074,
        Training::Short => 58,
    }
}

/// The symbols of segments 3 and 4: `false` is phase 0, `true` 180°.
///
/// The carrier's phase is counted from there on, and the scrambler runs on through segment 5.
#[derive(Clone, Debug)]
pub struct TrainingPhases {
    training: Training,
    symbol: usize,
    turned: bool,
    scrambler: GuardedScrambler,
}

/// The last bits on the line before segment 4, newest lowest.
const SCRAMBLER_START: u32 = 0b011_1100;

impl TrainingPhases {
    /// From the first symbol on.
    #[must_use]
    pub const fn new(training: Training) -> Self {
        let scrambler = GuardedScrambler::new(SCRAMBLER_START);
        TrainingPhases { training, symbol: 0, turned: false, scrambler }
    }

    /// How many there are in all.
    #[must_use]
    pub const fn count(training: Training) -> usize {
        segment_3(training) + segment_4(training)
    }

    /// The scrambler as segment 4 leaves it.
    #[must_use]
    pub const fn scrambler(&self) -> GuardedScrambler {
        self.scrambler
    }

    /// The encoder as segment 4 leaves it.
    #[must_use]
    pub const fn encoder(&self, mode: Mode) -> Encoder {
        let half = if mode.bits_per_symbol() == 2 { 2 } else { 4 };
        Encoder { mode, phase: if self.turned { half } else { 0 } }
    }
}

impl Iterator for TrainingPhases {
    type Item = bool;

    fn next(&mut self) -> Option<bool> {
        if self.symbol >= Self::count(self.training) {
            return None;
        }
        // Every third bit of the scrambler; a one turns the phase.
        let reversal =
            self.symbol < segment_3(self.training) || self.scrambler.scramble(0b111, 3) & 0b100 != 0;
        self.turned ^= reversal;
        self.symbol += 1;
        Some(self.turned)
    }
}

/// Differential encoder.
#[derive(Clone, Copy, Debug)]
pub struct Encoder {
    mode: Mode,
    phase: u8,
}

impl Encoder {
    /// The label of the next symbol, from a symbol's worth of scrambled bits, the first highest.
    #[inline]
    pub fn encode(&mut self, scrambled: u32) -> usize {
        self.phase = if self.mode.bits_per_symbol() == 2 {
            (self.phase + TURN_2[(scrambled & 3) as usize]) & 3
        } else {
            (self.phase + TURN[(scrambled & 7) as usize]) & 7
        };
        usize::from(self.phase)
    }
}

/// The scrambled bits, the first highest, of a label that came after another.
#[must_use]
#[inline]
pub fn decode(mode: Mode, last: usize, label: usize) -> u32 {
    let turn = label.wrapping_sub(last);
    u32::from(if mode.bits_per_symbol() == 2 { BITS_2[turn & 3] } else { BITS[turn & 7] })
}
