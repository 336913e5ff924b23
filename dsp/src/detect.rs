//! Recognising CNG and CED among speech, noise and other tones (T.30 §4.1 and §4.2; V.25 §4), and of CED whether
//! it turns its phase (V.25) and is ANSam (V.8).
//!
//! The signal is turned down by the tone's frequency and summed over 8 ms. In a pure tone nearly all
//! power is in these sums, and they turn by the same small angle from one to the next; in speech and
//! noise neither is so. The angle is the tone's distance from its nominal frequency.

use crate::tone::{ANSAM_HZ, CED_HZ, CNG_HZ};
use core::f32::consts::TAU;
use fax_base::level::Dbm0;
use fax_base::line::Tone;
use fax_base::time::SAMPLE_RATE;
use std::sync::LazyLock;

mod answer;

use answer::Answer;
pub use answer::AnswerTone;

/// Real and imaginary part.
type Complex = [f32; 2];

/// Samples in a sum: 8 ms.
const SUM: usize = 64;
/// Sums in a measurement: 48 ms.
const SUMS: u32 = 6;
/// The faintest tone that is taken for one.
const FAINTEST: Dbm0 = Dbm0(-43.0);
/// The least part of all power that is the tone's.
const LEAST_PART: f32 = 0.68;
/// The least coherence from sum to sum, 1 being a pure tone.
const LEAST_COHERENCE: f32 = 0.85;
/// How far a measurement may be from the first one of a tone, Hz: a voice does not keep its pitch.
const STEADY: f32 = 6.0;

/// What one tone must be like.
#[derive(Clone, Copy, Debug)]
struct Rule {
    tone: Tone,
    frequency: f32,
    /// Tolerance and a margin for the measurement's own error, Hz.
    within: f32,
    /// Measurements in a row.
    measurements: u32,
    /// Besides which this many may be spoilt: a reversal of phase spoils one.
    spoilt: u32,
}

/// CNG: 1100 ± 38 Hz, at least 425 ms of it. CED: 2100 ± 15 Hz, at least 2.6 s.
const RULES: [Rule; 2] = [
    Rule { tone: Tone::Cng, frequency: CNG_HZ, within: 45.0, measurements: 7, spoilt: 0 },
    Rule { tone: Tone::Ced, frequency: CED_HZ, within: 20.0, measurements: 16, spoilt: 2 },
];

/// The tones' carriers over a sum: real and imaginary part of what turns them down.
static CARRIERS: LazyLock<[[[f32; SUM]; 2]; 2]> = LazyLock::new(|| {
    RULES.map(|rule| {
        let angle = |i: usize| rule.frequency / SAMPLE_RATE as f32 * i as f32 * TAU;
        [core::array::from_fn(|i| angle(i).cos()), core::array::from_fn(|i| -angle(i).sin())]
    })
});

/// The search for one tone.
#[derive(Clone, Debug)]
struct Search {
    rule: Rule,
    carrier: &'static [[f32; SUM]; 2],
    /// What the carrier turns in a sum, backwards.
    back: Complex,
    last: Complex,
    /// Σ z·z̄' and Σ |z|² of the present measurement.
    turn: Complex,
    power: f32,
    /// The distance from nominal in the first measurement of the present tone, Hz.
    offset: f32,
    good: u32,
    bad: u32,
    present: bool,
}

/// Recognises tones in samples that come in order.
#[derive(Clone, Debug)]
pub struct ToneDetector {
    searches: [Search; 2],
    /// What the tone of 2100 Hz is like.
    answer: Answer,
    /// The samples of the present sum.
    samples: [f32; SUM],
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
        let [cng, ced] = &*CARRIERS;
        let [cng_rule, ced_rule] = RULES;
        ToneDetector {
            searches: [Search::new(cng_rule, cng), Search::new(ced_rule, ced)],
            answer: Answer::new(),
            samples: [0.0; SUM],
            in_sum: 0,
            sums: 0,
            all: 0.0,
        }
    }

    /// Takes the next samples; tones that begin to be sure are appended to `heard`, each once until it
    /// has stopped.
    pub fn receive(&mut self, mut samples: &[i16], heard: &mut Vec<Tone>) {
        while !samples.is_empty() {
            let room = self.samples.get_mut(self.in_sum..).unwrap_or_default();
            let count = room.len().min(samples.len());
            let (now, later) = samples.split_at(count);
            for (to, from) in room.iter_mut().zip(now) {
                *to = f32::from(*from);
            }
            samples = later;
            self.in_sum += count;
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
        self.answer.forget();
        let measurements = samples / (SUM * SUMS as usize);
        for s in &mut self.searches {
            s.clear_measurement();
            if measurements > 1 {
                s.good = 0;
                s.bad = 0;
            }
        }
    }

    /// What is known of the tone of 2100 Hz that is being heard; `None` when none is.
    #[must_use]
    pub fn answer_tone(&self) -> Option<AnswerTone> {
        let [_, ced] = &self.searches;
        ced.present.then(|| self.answer.tone())
    }

    fn end_sum(&mut self, heard: &mut Vec<Tone>) {
        self.in_sum = 0;
        self.sums += 1;
        let first = self.sums == 1;
        self.all += dot(&self.samples, &self.samples);
        for s in &mut self.searches {
            s.take(&self.samples, first);
        }
        let [_, ced] = &self.searches;
        self.answer.take(ced.last, ced.back);
        if self.sums == SUMS {
            let count = (SUMS as usize * SUM) as f32;
            let loud = Dbm0::from_mean_square(self.all / count) >= FAINTEST;
            for s in &mut self.searches {
                let good = loud && s.is_tone(self.all);
                s.clear_measurement();
                heard.extend(s.judge(good));
            }
            let [_, ced] = &self.searches;
            if ced.good == 0 {
                self.answer.forget();
            }
            self.sums = 0;
            self.all = 0.0;
        }
    }
}

/// Σ a·b, in lanes.
#[inline]
fn dot(a: &[f32; SUM], b: &[f32; SUM]) -> f32 {
    let mut lanes = [0f32; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += a * b;
        }
    }
    lanes.iter().sum()
}

/// The product of two complex numbers, the second one's conjugate taken.
fn turned_back(a: Complex, b: Complex) -> Complex {
    [a[0] * b[0] + a[1] * b[1], a[1] * b[0] - a[0] * b[1]]
}

impl Search {
    fn new(rule: Rule, carrier: &'static [[f32; SUM]; 2]) -> Self {
        let turn = rule.frequency / SAMPLE_RATE as f32 * SUM as f32;
        let (sin, cos) = (turn.fract() * TAU).sin_cos();
        Search {
            rule,
            carrier,
            back: [cos, sin],
            last: [0.0; 2],
            turn: [0.0; 2],
            power: 0.0,
            offset: 0.0,
            good: 0,
            bad: 0,
            present: false,
        }
    }

    /// Takes the samples of a sum, the first of a measurement or a later one.
    fn take(&mut self, samples: &[f32; SUM], first: bool) {
        let [cos, sin] = self.carrier;
        let z = [dot(samples, cos), dot(samples, sin)];
        if !first {
            let [x, y] = turned_back(turned_back(z, self.last), self.back);
            self.turn = [self.turn[0] + x, self.turn[1] + y];
        }
        self.power += z[0] * z[0] + z[1] * z[1];
        self.last = z;
    }

    fn clear_measurement(&mut self) {
        self.turn = [0.0; 2];
        self.power = 0.0;
    }

    /// Whether the measurement, with Σ x² of the whole signal, is that of the tone.
    fn is_tone(&mut self, all: f32) -> bool {
        // |z|² of a pure tone is (SUM·A/2)², and Σ x² over a sum is SUM·A²/2.
        let part = self.power / (all * SUM as f32 / 2.0).max(1.0);
        let [x, y] = self.turn;
        let length = (x * x + y * y).sqrt();
        let pairs = (SUMS - 1) as f32 / SUMS as f32;
        let coherence = length / (self.power * pairs).max(1.0);
        let hertz = y.atan2(x) / TAU * SAMPLE_RATE as f32 / SUM as f32;
        // What the sums lose off the nominal frequency.
        let x = core::f32::consts::PI * hertz * SUM as f32 / SAMPLE_RATE as f32;
        let loss = if x.abs() < 1e-3 { 1.0 } else { (x.sin() / x).powi(2) };
        if self.good == 0 {
            self.offset = hertz;
        }
        part / loss >= LEAST_PART
            && coherence >= LEAST_COHERENCE
            && hertz.abs() <= self.rule.within
            && (hertz - self.offset).abs() <= STEADY
    }

    fn judge(&mut self, good: bool) -> Option<Tone> {
        if !good {
            self.bad += 1;
            if self.bad > self.rule.spoilt {
                self.good = 0;
                self.bad = 0;
                self.present = false;
            }
            return None;
        }
        self.good += 1;
        if self.good < self.rule.measurements {
            return None;
        }
        self.bad = 0;
        let begins = !self.present;
        self.present = true;
        begins.then_some(self.rule.tone)
    }
}

#[cfg(test)]
mod tests;
