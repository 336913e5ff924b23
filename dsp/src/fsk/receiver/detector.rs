//! Carrier detection by structure: the share of the power that V.21 explains.

use super::window::Verdict;
use super::{BIT, NOT_NOTHING};
use fax_base::level::Dbm0;

/// The level from which the carrier is told and below which it is gone: −43 and −48 dBm0 with margin.
const UP: Dbm0 = Dbm0(-44.0);
const DOWN: Dbm0 = Dbm0(-46.5);
/// The share that brings the carrier up, and the one below which it is gone. V.21 without noise has 1, noise
/// by itself 0.3.
const UP_SHARE: f32 = 0.68;
const DOWN_SHARE: f32 = 0.42;
/// The contrast that brings it up; a tone between the two has none.
const UP_CONTRAST: f32 = 0.45;
/// How far off the tones may be, as [`Verdict::off`] tells it: 22 Hz to bring the carrier up, 35 Hz to keep it.
const UP_OFF: f32 = 0.5;
const DOWN_OFF: f32 = 0.9;
/// A bit so much fainter than the signal does not belong to it: 12 dB.
const FADE: f32 = 16.0;

#[derive(Clone, Debug)]
pub(super) struct Detector {
    up: bool,
    /// The share over the last few bits, and over some more.
    fast: f32,
    slow: f32,
    /// How much stronger the tone of each bit is than the other one.
    contrast: f32,
    /// Energy of a bit, over the last few and over some more.
    energy: f32,
    steady: f32,
    /// The last bits decided, newest lowest.
    decided: u32,
    energy_up: f32,
    energy_down: f32,
}

impl Detector {
    pub(super) fn new() -> Self {
        // A tone of amplitude A has |z| = A/2 behind the front.
        let energy = |level: Dbm0| level.sine_amplitude().powi(2) / 4.0 * BIT;
        Detector {
            up: false,
            fast: 0.0,
            slow: 0.0,
            contrast: 0.0,
            energy: 0.0,
            steady: 0.0,
            decided: 0,
            energy_up: energy(UP),
            energy_down: energy(DOWN),
        }
    }

    pub(super) fn up(&self) -> bool {
        self.up
    }

    pub(super) fn level(&self) -> Dbm0 {
        Dbm0::from_mean_square(2.0 * self.energy / BIT)
    }

    /// Takes a decided bit and the energy of the one after it.
    pub(super) fn learn(&mut self, verdict: &Verdict, energy: f32) {
        self.decided = (self.decided << 1) | u32::from(verdict.bit);
        let share = if self.up && energy * FADE < self.steady { 0.0 } else { verdict.share } + NOT_NOTHING;
        let energy = energy + NOT_NOTHING;
        self.contrast += (verdict.contrast + NOT_NOTHING - self.contrast) / 12.0;
        self.fast += (share - self.fast) / 6.0;
        self.slow += (share - self.slow) / 12.0;
        self.energy += (energy - self.energy) / 4.0;
        self.steady += (energy - self.steady) / 16.0;
        if self.up {
            self.up = self.fast > DOWN_SHARE
                && self.energy > self.energy_down
                && verdict.off < DOWN_OFF
                // A tone by itself: HDLC never has so many ones (zeros it has).
                && self.decided != u32::MAX;
        } else {
            self.up = self.fast > UP_SHARE
                && self.slow > UP_SHARE
                && self.contrast > UP_CONTRAST
                && verdict.off < UP_OFF
                && self.energy > self.energy_up
                && self.both_tones();
            self.steady = self.energy;
        }
    }

    /// Whether the last 16 bits hold both tones, as flags do; a tone by itself does not.
    fn both_tones(&self) -> bool {
        let last = self.decided & 0xFFFF;
        let changes = (last ^ (last >> 1)) & 0x7FFF;
        (2..=14).contains(&last.count_ones()) && changes.count_ones() >= 2
    }
}
