//! V.17's coding: trellis, constellations and training (V.17 §3 and §5, Figures 1 to 5).
//!
//! Points are in the units of the Recommendation's figures, which are drawn to a common scale: the
//! training states have the power 40, the data 40 (7200 and 9600 bit/s), 42 (12 000) and 41 (14 400).

use crate::modem::Mode;
use crate::scrambler::Scrambler;
use fax_base::line::Training;

/// Mean power of the training states, in the units of the points.
pub const TRAINING_POWER: f32 = 40.0;

/// The points A, B, C and D of the training signal; each is the one before turned by +90°.
pub static STATES: [[f32; 2]; 4] = [[-6.0, -2.0], [2.0, -6.0], [6.0, 2.0], [-2.0, 6.0]];

/// Symbols of segment 1, A B A B….
pub const SEGMENT_1: usize = 256;
/// Symbols of segment 2 in long training.
pub const SEGMENT_2_LONG: usize = 2976;
/// Symbols of segment 2 in short training.
pub const SEGMENT_2_SHORT: usize = 38;
/// Symbols of segment 3, in long training only.
pub const SEGMENT_3: usize = 64;
/// Symbols of segment 4: scrambled ones in the coding of data.
pub const SEGMENT_4: usize = 48;

/// State of the convolutional encoder after one in which Y2Y1 was sent: `NEXT_STATE[state][Y2Y1]`. A
/// state is T3 T2 T1 of Figure 1, and its lowest bit is the Y0 sent from it.
pub static NEXT_STATE: [[u8; 4]; 8] = [
    [0, 2, 3, 1],
    [4, 7, 5, 6],
    [1, 3, 2, 0],
    [7, 4, 6, 5],
    [2, 0, 1, 3],
    [6, 5, 7, 4],
    [3, 1, 0, 2],
    [5, 6, 4, 7],
];

/// The points of a flat list of coordinates.
const fn points<const N: usize>(xy: &[i8]) -> [[f32; 2]; N] {
    assert!(xy.len() == 2 * N);
    let mut points = [[0.0; 2]; N];
    let mut i = 0;
    while i < N {
        points[i] = [xy[2 * i] as f32, xy[2 * i + 1] as f32];
        i += 1;
    }
    points
}

static POINTS_7200: [[f32; 2]; 16] = points(&[
    6, -6, -2, 6, 6, 2, -6, -6, -6, 6, 2, -6, -6, -2, 6, 6, -2, 2, 6, -2, -2, -6, 2, 2, 2, -2, -6, 2, 2, 6,
    -2, -2,
]);
static POINTS_9600: [[f32; 2]; 32] = points(&[
    -8, 2, -6, -4, -4, 6, 2, 8, 8, -2, 6, 4, 4, -6, -2, -8, 0, 2, -6, 4, 4, 6, 2, 0, 0, -2, 6, -4, -4, -6,
    -2, 0, 0, -6, 2, -4, -4, -2, -6, 0, 0, 6, -2, 4, 4, 2, 6, 0, 8, 2, 2, 4, 4, -2, 2, -8, -8, -2, -2, -4,
    -4, 2, -2, 8,
]);
static POINTS_12000: [[f32; 2]; 64] = points(&[
    7, 1, -5, -1, -1, 5, 1, -7, -7, -1, 5, 1, 1, -5, -1, 7, 3, -3, -1, 3, 3, 1, -3, -3, -3, 3, 1, -3, -3, -1,
    3, 3, 7, -7, -5, 7, 7, 5, -7, -7, -7, 7, 5, -7, -7, -5, 7, 7, -1, -7, 3, 7, 7, -3, -7, 1, 1, 7, -3, -7,
    -7, 3, 7, -1, 3, 5, -1, -5, -5, 1, 5, -3, -3, -5, 1, 5, 5, -1, -5, 3, -1, 1, 3, -1, -1, -3, 1, 1, 1, -1,
    -3, 1, 1, 3, -1, -1, -5, 5, 7, -5, -5, -7, 5, 5, 5, -5, -7, 5, 5, 7, -5, -5, -5, -3, 7, 3, 3, -7, -3, 5,
    5, 3, -7, -3, -3, 7, 3, -5,
]);
static POINTS_14400: [[f32; 2]; 128] = points(&[
    -8, -3, 9, 2, 2, -9, -3, 8, 8, 3, -9, -2, -2, 9, 3, -8, -8, 1, 9, -2, -2, -9, 1, 8, 8, -1, -9, 2, 2, 9,
    -1, -8, -4, -3, 5, 2, 2, -5, -3, 4, 4, 3, -5, -2, -2, 5, 3, -4, -4, 1, 5, -2, -2, -5, 1, 4, 4, -1, -5, 2,
    2, 5, -1, -4, 4, -3, -3, 2, 2, 3, -3, -4, -4, 3, 3, -2, -2, -3, 3, 4, 4, 1, -3, -2, -2, 3, 1, -4, -4, -1,
    3, 2, 2, -3, -1, 4, 0, -3, 1, 2, 2, -1, -3, 0, 0, 3, -1, -2, -2, 1, 3, 0, 0, 1, 1, -2, -2, -1, 1, 0, 0,
    -1, -1, 2, 2, 1, -1, 0, 8, -3, -7, 2, 2, 7, -3, -8, -8, 3, 7, -2, -2, -7, 3, 8, 8, 1, -7, -2, -2, 7, 1,
    -8, -8, -1, 7, 2, 2, -7, -1, 8, -4, -7, 5, 6, 6, -5, -7, 4, 4, 7, -5, -6, -6, 5, 7, -4, -4, 5, 5, -6, -6,
    -5, 5, 4, 4, -5, -5, 6, 6, 5, -5, -4, 4, -7, -3, 6, 6, 3, -7, -4, -4, 7, 3, -6, -6, -3, 7, 4, 4, 5, -3,
    -6, -6, 3, 5, -4, -4, -5, 3, 6, 6, -3, -5, 4, 0, -7, 1, 6, 6, -1, -7, 0, 0, 7, -1, -6, -6, 1, 7, 0, 0, 5,
    1, -6, -6, -1, 5, 0, 0, -5, -1, 6, 6, 1, -5, 0,
]);

/// The constellation (Figures 2 to 5) by label: Q6 … Q3 Y2 Y1 Y0, with the Q's that the rate has. Empty
/// for what is not V.17.
#[must_use]
pub fn constellation(mode: Mode) -> &'static [[f32; 2]] {
    match mode {
        Mode::V17At7200 => &POINTS_7200,
        Mode::V17At9600 => &POINTS_9600,
        Mode::V17At12000 => &POINTS_12000,
        Mode::V17At14400 => &POINTS_14400,
        Mode::V27ter2400 | Mode::V27ter4800 | Mode::V29At4800 | Mode::V29At7200 | Mode::V29At9600 => &[],
    }
}

/// Differential and convolutional encoder.
#[derive(Clone, Copy, Debug)]
pub struct Encoder {
    bits_per_symbol: u32,
    /// The last Y2 Y1.
    y: u32,
    state: u8,
}

impl Encoder {
    /// The encoder at the start of segment 4.
    #[must_use]
    pub const fn new(mode: Mode, training: Training) -> Self {
        // The label of the first state of segment 3 (B), or of the last state of segment 2 (C).
        let y = match training {
            Training::Long => 2,
            Training::Short => 1,
        };
        Encoder { bits_per_symbol: mode.bits_per_symbol(), y, state: 0 }
    }

    /// The label of the next symbol, from a symbol's worth of scrambled bits, Q1 highest.
    #[inline]
    pub fn encode(&mut self, scrambled: u32) -> usize {
        // Qk … Q2 Q1.
        let q = scrambled.reverse_bits() >> (32 - self.bits_per_symbol);
        self.y = (self.y + q) & 3;
        let label = ((q >> 2) << 3) | (self.y << 1) | u32::from(self.state & 1);
        self.state = NEXT_STATE[usize::from(self.state & 7)][(self.y & 3) as usize];
        label as usize
    }
}

/// The scrambled bits, Q1 highest, of a label that came after another.
#[must_use]
#[inline]
pub fn decode(mode: Mode, last: usize, label: usize) -> u32 {
    let turn = (label >> 1).wrapping_sub(last >> 1) & 3;
    let q = ((label >> 3) << 2) | turn;
    (q as u32).reverse_bits() >> (32 - mode.bits_per_symbol())
}

/// The states of segments 1, 2 and 3, as indices into [`STATES`], in order.
#[derive(Clone, Debug)]
pub struct TrainingStates {
    training: Training,
    symbol: usize,
    scrambler: Scrambler,
    state: u8,
}

/// What the scrambler holds when segment 2 begins.
const SCRAMBLER_START: u32 = 0x2E_CDD5;
/// The word that segment 3 repeats, first bit highest (Table 5).
const BRIDGE: u32 = 0b0000_0001_0001_0001;

impl TrainingStates {
    /// From the first symbol on.
    #[must_use]
    pub const fn new(training: Training) -> Self {
        TrainingStates { training, symbol: 0, scrambler: Scrambler::new(SCRAMBLER_START), state: 0 }
    }

    /// How many there are in all.
    #[must_use]
    pub const fn count(training: Training) -> usize {
        match training {
            Training::Long => SEGMENT_1 + SEGMENT_2_LONG + SEGMENT_3,
            Training::Short => SEGMENT_1 + SEGMENT_2_SHORT,
        }
    }

    /// The scrambler, which runs on through segment 4 into the data.
    #[must_use]
    pub const fn scrambler(&self) -> Scrambler {
        self.scrambler
    }
}

impl Iterator for TrainingStates {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if self.symbol >= Self::count(self.training) {
            return None;
        }
        let segment_2 = match self.training {
            Training::Long => SEGMENT_1 + SEGMENT_2_LONG,
            Training::Short => SEGMENT_1 + SEGMENT_2_SHORT,
        };
        self.state = if self.symbol < SEGMENT_1 {
            (self.symbol & 1) as u8
        } else if self.symbol < segment_2 {
            match self.scrambler.scramble(0b11, 2) {
                0b00 => 2,
                0b01 => 3,
                0b11 => 0,
                _ => 1,
            }
        } else {
            let dibit = (BRIDGE >> (14 - 2 * ((self.symbol - segment_2) % 8))) & 0b11;
            let turn = match self.scrambler.scramble(dibit, 2) {
                0b00 => 1,
                0b01 => 0,
                0b10 => 2,
                _ => 3,
            };
            (self.state + turn) & 3
        };
        self.symbol += 1;
        Some(self.state)
    }
}
