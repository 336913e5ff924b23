//! Recognising CNG and CED among speech, noise and other tones (T.30 §4.1 and §4.2; V.25 §4).
//!
//! The signal is turned down by the tone's frequency and summed over 8 ms. In a pure tone nearly all
//! power is in these sums, and they turn by the same small angle from one to the next; in speech and
//! noise neither is so. The angle is the tone's distance from its nominal frequency.

use crate::tone::{CED_HZ, CNG_HZ};
use core::f32::consts::TAU;
use fax_base::level::Dbm0;
use fax_base::line::Tone;
use fax_base::time::SAMPLE_RATE;

/// Samples in a sum: 8 ms.
const SUM: usize = 64;
/// Sums in a measurement: 96 ms.
const SUMS: u32 = 12;
/// The faintest tone that is taken for one.
const FAINTEST: Dbm0 = Dbm0(-43.0);
/// The least part of all power that is the tone's.
const LEAST_PART: f32 = 0.6;
/// The least coherence from sum to sum, 1 being a pure tone.
const LEAST_COHERENCE: f32 = 0.85;

/// What one tone must be like.
#[derive(Clone, Copy, Debug)]
struct Rule {
    tone: Tone,
    frequency: f32,
    /// Tolerance and a margin for the measurement's own error, Hz.
    within: f32,
    /// Measurements in a row.
    measurements: u32,
    /// Of which this many may be spoilt: a reversal of phase spoils one.
    spoilt: u32,
}

/// CNG: 1100 ± 38 Hz, at least 425 ms of it. CED: 2100 ± 15 Hz.
const RULES: [Rule; 2] = [
    Rule { tone: Tone::Cng, frequency: CNG_HZ, within: 45.0, measurements: 3, spoilt: 0 },
    Rule { tone: Tone::Ced, frequency: CED_HZ, within: 20.0, measurements: 3, spoilt: 1 },
];

/// The search for one tone.
#[derive(Clone, Debug)]
struct Search {
    rule: Rule,
    phase: u32,
    step: u32,
    re: f32,
    im: f32,
    last: (f32, f32),
    /// Σ z·z̄' and Σ |z|² of the present measurement.
    turn: (f32, f32),
    power: f32,
    good: u32,
    bad: u32,
    present: bool,
}

/// Recognises tones in samples that come in order.
#[derive(Clone, Debug)]
pub struct ToneDetector {
    searches: [Search; 2],
    /// One turn of a cosine; a quarter of it on is the sine.
    cosine: [f32; 256],
    in_sum: usize,
    sums: u32,
    /// Σ x² of the present measurement.
    all: f32,
}

impl Default for ToneDetector {
    fn default() -> Self {
        Self::new()
    }
}

impl ToneDetector {
    /// A detector that has heard nothing.
    #[must_use]
    pub fn new() -> Self {
        let mut cosine = [0.0; 256];
        for (i, c) in cosine.iter_mut().enumerate() {
            *c = (i as f32 / 256.0 * TAU).cos();
        }
        ToneDetector { searches: RULES.map(Search::new), cosine, in_sum: 0, sums: 0, all: 0.0 }
    }

    /// Takes the next samples; tones that begin to be sure are appended to `heard`, each once until it
    /// has stopped.
    pub fn receive(&mut self, samples: &[i16], heard: &mut Vec<Tone>) {
        for sample in samples {
            let x = f32::from(*sample);
            self.all += x * x;
            for s in &mut self.searches {
                let i = (s.phase >> 24) as usize;
                // The table is coarse: its error is 40 dB below the signal.
                let cos = self.cosine.get(i).copied().unwrap_or_default();
                let sin = self.cosine.get((i + 192) % 256).copied().unwrap_or_default();
                s.re += x * cos;
                s.im -= x * sin;
                s.phase = s.phase.wrapping_add(s.step);
            }
            self.in_sum += 1;
            if self.in_sum == SUM {
                self.end_sum(heard);
            }
        }
    }

    /// This many samples were lost: what was measured over them says nothing.
    pub fn receive_gap(&mut self, samples: usize) {
        self.in_sum = 0;
        self.sums = 0;
        self.all = 0.0;
        let measurements = samples / (SUM * SUMS as usize);
        for s in &mut self.searches {
            s.clear_sum();
            s.clear_measurement();
            if measurements > 1 {
                s.good = 0;
                s.bad = 0;
            }
        }
    }

    fn end_sum(&mut self, heard: &mut Vec<Tone>) {
        self.in_sum = 0;
        self.sums += 1;
        let first = self.sums == 1;
        for s in &mut self.searches {
            if !first {
                s.turn.0 += s.re * s.last.0 + s.im * s.last.1;
                s.turn.1 += s.im * s.last.0 - s.re * s.last.1;
            }
            s.power += s.re * s.re + s.im * s.im;
            s.last = (s.re, s.im);
            s.clear_sum();
        }
        if self.sums == SUMS {
            let count = (SUMS as usize * SUM) as f32;
            let loud = Dbm0::from_mean_square(self.all / count) >= FAINTEST;
            for s in &mut self.searches {
                let good = loud && s.is_tone(self.all);
                s.clear_measurement();
                heard.extend(s.judge(good));
            }
            self.sums = 0;
            self.all = 0.0;
        }
    }
}

impl Search {
    fn new(rule: Rule) -> Self {
        let step = f64::from(rule.frequency) / f64::from(SAMPLE_RATE) * 4_294_967_296.0;
        Search {
            rule,
            phase: 0,
            step: step.round() as u32,
            re: 0.0,
            im: 0.0,
            last: (0.0, 0.0),
            turn: (0.0, 0.0),
            power: 0.0,
            good: 0,
            bad: 0,
            present: false,
        }
    }

    fn clear_sum(&mut self) {
        self.re = 0.0;
        self.im = 0.0;
    }

    fn clear_measurement(&mut self) {
        self.turn = (0.0, 0.0);
        self.power = 0.0;
    }

    /// Whether the measurement, with Σ x² of the whole signal, is that of the tone.
    fn is_tone(&self, all: f32) -> bool {
        // |z|² of a pure tone is (SUM·A/2)², and Σ x² over a sum is SUM·A²/2.
        let part = self.power / (all * SUM as f32 / 2.0).max(1.0);
        let length = (self.turn.0 * self.turn.0 + self.turn.1 * self.turn.1).sqrt();
        let pairs = (SUMS - 1) as f32 / SUMS as f32;
        let coherence = length / (self.power * pairs).max(1.0);
        let hertz = self.turn.1.atan2(self.turn.0) / TAU * SAMPLE_RATE as f32 / SUM as f32;
        // What the sums lose off the nominal frequency.
        let x = core::f32::consts::PI * hertz * SUM as f32 / SAMPLE_RATE as f32;
        let loss = if x.abs() < 1e-3 { 1.0 } else { (x.sin() / x).powi(2) };
        part / loss >= LEAST_PART && coherence >= LEAST_COHERENCE && hertz.abs() <= self.rule.within
    }

    fn judge(&mut self, good: bool) -> Option<Tone> {
        if good {
            self.good += 1;
        } else {
            self.bad += 1;
        }
        if self.bad > self.rule.spoilt {
            self.good = 0;
            self.bad = 0;
            self.present = false;
        } else if self.good >= self.rule.measurements {
            self.bad = 0;
            if !self.present {
                self.present = true;
                return Some(self.rule.tone);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
