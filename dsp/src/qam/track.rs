//! The loops that follow the far end's carrier and symbol clock, both of second order.

use core::f32::consts::TAU;

/// Sines for the turning of points: steps small enough for two terms of the series between them.
const STEPS: usize = 256;

/// A table of (cos, sin).
pub(super) struct Turns([(f32, f32); STEPS]);

impl Turns {
    pub(super) fn new() -> Self {
        let mut table = [(1.0, 0.0); STEPS];
        for (i, entry) in table.iter_mut().enumerate() {
            let (sin, cos) = (f64::from(TAU) * i as f64 / STEPS as f64).sin_cos();
            *entry = (cos as f32, sin as f32);
        }
        Turns(table)
    }

    /// cos and sin of a phase in turns, 0 to 1.
    #[inline]
    pub(super) fn at(&self, turns: f32) -> (f32, f32) {
        let scaled = turns * STEPS as f32;
        let index = scaled as i32;
        let rest = (scaled - index as f32) * (TAU / STEPS as f32);
        let (cos, sin) = self.0[index as usize % STEPS];
        let c = 1.0 - 0.5 * rest * rest;
        let s = rest * (1.0 - rest * rest * (1.0 / 6.0));
        (cos * c - sin * s, sin * c + cos * s)
    }
}

/// Gains of a loop of second order, damping 0.7, for a noise bandwidth as a part of the symbol rate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gains {
    pub(super) proportional: f32,
    pub(super) integral: f32,
}

impl Gains {
    pub(super) fn new(bandwidth_hz: f32, baud: f32) -> Self {
        let natural = bandwidth_hz / 0.53 / baud;
        Gains { proportional: 1.414 * natural, integral: natural * natural }
    }
}

/// The carrier: phase in turns, and turns in a symbol.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carrier {
    pub(super) phase: f32,
    /// Nominal.
    pub(super) turn: f32,
    /// The far end's distance from it.
    pub(super) offset: f32,
}

impl Carrier {
    /// Goes on by a symbol.
    #[inline]
    pub(super) fn step(&mut self) {
        self.phase = one_turn(self.phase + self.turn + self.offset);
    }

    /// Follows an error in radians.
    #[inline]
    pub(super) fn correct(&mut self, error: f32, gains: Gains) {
        let turns = error * (1.0 / TAU);
        self.phase = one_turn(self.phase + gains.proportional * turns);
        self.offset += gains.integral * turns;
    }
}

/// A phase that is less than two turns off, within 0 to 1.
#[inline]
fn one_turn(phase: f32) -> f32 {
    if phase >= 1.0 {
        phase - 1.0
    } else if phase < 0.0 {
        phase + 1.0
    } else {
        phase
    }
}
