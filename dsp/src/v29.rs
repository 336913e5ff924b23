//! V.29's coding, constellations and synchronising signal (V.29 §2, §3 and §8).
//!
//! Points are in the Recommendation's units, which hold for each rate by itself: the mean power of the
//! data is 13.5 at 9600 bit/s, 5.5 at 7200 and 9 at 4800.

use crate::modem::Mode;

/// Symbols of segment 1: no energy.
pub const SEGMENT_1: usize = 48;
/// Symbols of segment 2, A B A B….
pub const SEGMENT_2: usize = 128;
/// Symbols of segment 3, C and D by a pseudo-random sequence. The last one is C, from which the phase of
/// segment 4 is counted.
pub const SEGMENT_3: usize = 384;
/// Symbols of segment 4: scrambled ones in the coding of data, the scrambler starting from zeros.
pub const SEGMENT_4: usize = 48;

/// By label: Q1 (the outer ring) and the absolute phase in eighths of a turn.
static POINTS: [[f32; 2]; 16] = [
    [3.0, 0.0],
    [1.0, 1.0],
    [0.0, 3.0],
    [-1.0, 1.0],
    [-3.0, 0.0],
    [-1.0, -1.0],
    [0.0, -3.0],
    [1.0, -1.0],
    [5.0, 0.0],
    [3.0, 3.0],
    [0.0, 5.0],
    [-3.0, 3.0],
    [-5.0, 0.0],
    [-3.0, -3.0],
    [0.0, -5.0],
    [3.0, -3.0],
];
/// At 4800 bit/s, by the absolute phase in quarters of a turn.
static POINTS_4800: [[f32; 2]; 4] = [[3.0, 0.0], [0.0, 3.0], [-3.0, 0.0], [0.0, -3.0]];

/// The constellation by label. At 9600 bit/s a label is 8·Q1 + absolute phase in eighths of a turn, at 7200
/// the phase in eighths, at 4800 the phase in quarters. Empty for what is not V.29.
#[must_use]
pub fn constellation(mode: Mode) -> &'static [[f32; 2]] {
    match mode {
        Mode::V29At9600 => &POINTS,
        Mode::V29At7200 => POINTS.first_chunk::<8>().map_or(&[], |inner| inner),
        Mode::V29At4800 => &POINTS_4800,
        Mode::V27ter2400
        | Mode::V27ter4800
        | Mode::V17At7200
        | Mode::V17At9600
        | Mode::V17At12000
        | Mode::V17At14400 => &[],
    }
}

/// The points A, B, C and D of the synchronising signal.
#[must_use]
pub fn states(mode: Mode) -> [[f32; 2]; 4] {
    let [x, y] = match mode {
        Mode::V29At4800 => [0.0, 3.0],
        Mode::V29At7200 => [-1.0, 1.0],
        Mode::V29At9600
        | Mode::V27ter2400
        | Mode::V27ter4800
        | Mode::V17At7200
        | Mode::V17At9600
        | Mode::V17At12000
        | Mode::V17At14400 => [-3.0, 3.0],
    };
    [[-3.0, 0.0], [-x, -y], [3.0, 0.0], [x, y]]
}

/// Mean power of the data, in the units of the points.
#[must_use]
pub const fn power(mode: Mode) -> f32 {
    match mode {
        Mode::V29At4800 => 9.0,
        Mode::V29At7200 => 5.5,
        Mode::V29At9600
        | Mode::V27ter2400
        | Mode::V27ter4800
        | Mode::V17At7200
        | Mode::V17At9600
        | Mode::V17At12000
        | Mode::V17At14400 => 13.5,
    }
}

/// The change of phase in eighths of a turn for three bits, first highest (V.29 Table 1; V.27ter's too).
pub(crate) static TURN: [u8; 8] = [1, 0, 2, 3, 6, 7, 5, 4];
/// The three bits of a change of phase.
pub(crate) static BITS: [u8; 8] = [0b001, 0b000, 0b010, 0b011, 0b111, 0b110, 0b100, 0b101];
/// The change of phase in quarters of a turn for two bits, first highest.
pub(crate) static TURN_2: [u8; 4] = [0, 1, 3, 2];
/// The two bits of a change of phase in quarters.
pub(crate) static BITS_2: [u8; 4] = [0b00, 0b01, 0b11, 0b10];

/// Differential encoder; it starts at phase 0, that of the last C.
#[derive(Clone, Copy, Debug)]
pub struct Encoder {
    mode: Mode,
    /// The last phase, in the constellation's eighths or quarters.
    phase: u8,
}

impl Encoder {
    /// The encoder at the start of segment 4.
    #[must_use]
    pub const fn new(mode: Mode) -> Self {
        Encoder { mode, phase: 0 }
    }

    /// The label of the next symbol, from a symbol's worth of scrambled bits, the first highest.
    #[inline]
    pub fn encode(&mut self, scrambled: u32) -> usize {
        if self.mode.bits_per_symbol() == 2 {
            self.phase = (self.phase + TURN_2[(scrambled & 3) as usize]) & 3;
            return usize::from(self.phase);
        }
        self.phase = (self.phase + TURN[(scrambled & 7) as usize]) & 7;
        // Above three bits there is only Q1 at 9600 bit/s.
        (scrambled & 8) as usize | usize::from(self.phase)
    }
}

/// The scrambled bits, the first highest, of a label that came after another.
#[must_use]
#[inline]
pub fn decode(mode: Mode, last: usize, label: usize) -> u32 {
    let turn = label.wrapping_sub(last);
    if mode.bits_per_symbol() == 2 {
        return u32::from(BITS_2[turn & 3]);
    }
    (label & 8) as u32 | u32::from(BITS[turn & 7])
}

/// The sequence of segment 3, 1 + x⁻⁶ + x⁻⁷: `false` is C, `true` D. Its period is 127; it does not end.
#[derive(Clone, Copy, Debug)]
pub struct Segment3 {
    /// Stage 1 lowest.
    stages: u8,
}

impl Segment3 {
    /// From its first symbol.
    #[must_use]
    pub const fn new() -> Self {
        // Stages 1 to 7 hold 0 1 0 1 0 1 0.
        Segment3 { stages: 0b010_1010 }
    }
}

impl Default for Segment3 {
    fn default() -> Self {
        Self::new()
    }
}

impl Iterator for Segment3 {
    type Item = bool;

    fn next(&mut self) -> Option<bool> {
        let out = self.stages >> 6 & 1;
        let new = (self.stages >> 5 ^ self.stages >> 6) & 1;
        self.stages = (self.stages << 1 | new) & 0x7F;
        Some(out == 1)
    }
}
