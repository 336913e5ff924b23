//! The pulses of the QAM transmitters, already on their carriers (V.17 §2, V.29 §6, V.27ter §2.6).
//!
//! At 8000 samples a second the symbols of all rates fall into a pattern that repeats every 20 samples:
//! 6 symbols at 2400 Bd, 4 at 1600, 3 at 1200. So 20 samples are a sum over the symbols in reach, each with a
//! fixed row of 20 numbers for its real and its imaginary part. The carrier's phase at the symbol itself
//! is left to the symbol.

use crate::modem::Mode;
use core::f64::consts::{PI, TAU};
use fax_base::time::SAMPLE_RATE;
use std::sync::LazyLock;

/// Samples in a block.
pub(crate) const BLOCK: usize = 20;
/// The most symbols in reach of a block.
pub(crate) const REACH: usize = 21;

/// What a symbol adds to a block: by its real part and by its imaginary part.
pub(crate) type Row = [[f32; BLOCK]; 2];

/// The pulse of one symbol rate and carrier.
#[derive(Debug)]
pub(crate) struct Pulse {
    /// Symbols that begin in a block.
    pub(crate) symbols: usize,
    /// Symbols that a pulse lasts.
    pub(crate) span: usize,
    /// For each symbol in reach, the oldest first.
    pub(crate) rows: Vec<Row>,
    /// The turn of the carrier from symbol to symbol, in 1/24.
    pub(crate) turn: usize,
}

impl Pulse {
    /// The pulse of a mode.
    pub(crate) fn of(mode: Mode) -> &'static Pulse {
        static V27TER_2400: LazyLock<Pulse> = LazyLock::new(|| Pulse::new(Mode::V27ter2400, 0.5, 8));
        static V27TER_4800: LazyLock<Pulse> = LazyLock::new(|| Pulse::new(Mode::V27ter4800, 0.5, 8));
        static V29: LazyLock<Pulse> = LazyLock::new(|| Pulse::new(Mode::V29At9600, 0.25, 16));
        static V17: LazyLock<Pulse> = LazyLock::new(|| Pulse::new(Mode::V17At9600, 0.25, 16));
        match mode {
            Mode::V27ter2400 => &V27TER_2400,
            Mode::V27ter4800 => &V27TER_4800,
            Mode::V29At4800 | Mode::V29At7200 | Mode::V29At9600 => &V29,
            Mode::V17At7200 | Mode::V17At9600 | Mode::V17At12000 | Mode::V17At14400 => &V17,
        }
    }

    /// A root of a raised cosine with this roll-off, cut off after `span` symbols, where what is left of
    /// it is least: then its interference is 60 dB below the symbol.
    fn new(mode: Mode, roll_off: f64, span: usize) -> Self {
        let symbols = BLOCK * mode.baud() as usize / SAMPLE_RATE as usize;
        let period = BLOCK as f64 / symbols as f64;
        let carrier = TAU * f64::from(mode.carrier()) / f64::from(SAMPLE_RATE);
        let oldest = 1.0 - span as f64;
        let rows = (0..span - 1 + symbols)
            .map(|i| {
                let begins = (oldest + i as f64) * period;
                let mut row = [[0.0; BLOCK]; 2];
                let [by_re, by_im] = &mut row;
                for (t, (re, im)) in by_re.iter_mut().zip(by_im).enumerate() {
                    let after = t as f64 - begins;
                    if (0.0..=span as f64 * period).contains(&after) {
                        let g = root_raised_cosine(after / period - span as f64 / 2.0, roll_off);
                        *re = (g * (carrier * after).cos()) as f32;
                        *im = (-g * (carrier * after).sin()) as f32;
                    }
                }
                row
            })
            .collect();
        let turn = (24 * mode.carrier() / mode.baud()) as usize % 24;
        Pulse { symbols, span, rows, turn }
    }

    /// Symbols a second.
    pub(crate) fn baud(&self) -> u32 {
        self.symbols as u32 * SAMPLE_RATE / BLOCK as u32
    }

    /// The mean power of the signal when that of its symbols is one.
    pub(crate) fn power(&self) -> f32 {
        let sum: f32 = self.rows.iter().flatten().flatten().map(|x| x * x).sum();
        sum / (2 * BLOCK) as f32
    }
}

/// The root of a raised cosine at a time in symbols.
fn root_raised_cosine(t: f64, roll_off: f64) -> f64 {
    let b = roll_off;
    let pole = 1.0 - (4.0 * b * t).powi(2);
    if t.abs() < 1e-9 {
        1.0 - b + 4.0 * b / PI
    } else if pole.abs() < 1e-9 {
        let x = PI / (4.0 * b);
        b / 2f64.sqrt() * ((1.0 + 2.0 / PI) * x.sin() + (1.0 - 2.0 / PI) * x.cos())
    } else {
        ((PI * t * (1.0 - b)).sin() + 4.0 * b * t * (PI * t * (1.0 + b)).cos()) / (PI * t * pole)
    }
}
