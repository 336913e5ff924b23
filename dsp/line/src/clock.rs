//! Clocks: sampling rates that differ a little, and slips.

use crate::when::Schedule;
use crate::{BLOCK, Impairment, Slip};
use core::f64::consts::PI;
use std::collections::VecDeque;

/// Taps of the interpolator: flat to 0.01 dB up to 3600 Hz.
const TAPS: usize = 48;
/// Positions between two samples for which there are coefficients; in between a straight line is drawn.
const PHASES: usize = 256;
/// Kaiser's window, 80 dB.
const BETA: f64 = 8.0;

/// Samples the signal anew at another rate.
pub(crate) struct Skew {
    coefficients: Vec<[f32; TAPS]>,
    past: VecDeque<f32>,
    /// Where the next output lies: samples behind the middle of `past`.
    position: f64,
    step: f64,
}

impl Skew {
    pub(crate) fn new(ppm: f32, fraction: f32) -> Self {
        let coefficients = (0..=PHASES).map(|phase| sinc(phase as f64 / PHASES as f64)).collect();
        let step = 1.0 + f64::from(ppm) * 1e-6;
        // Later by a fraction is earlier among the input.
        let position = 1.0 - f64::from(fraction.clamp(0.0, 1.0));
        Skew { coefficients, past: vec![0.0; TAPS].into(), position, step }
    }
}

/// The coefficients for the place `fraction` of a sample behind tap `TAPS / 2 - 1`.
fn sinc(fraction: f64) -> [f32; TAPS] {
    let middle = (TAPS / 2 - 1) as f64 + fraction;
    core::array::from_fn(|tap| {
        let x = tap as f64 - middle;
        let window = bessel(BETA * (1.0 - (x / (TAPS / 2) as f64).powi(2)).max(0.0).sqrt()) / bessel(BETA);
        let sinc = if x.abs() < 1e-9 { 1.0 } else { (PI * x).sin() / (PI * x) };
        (sinc * window) as f32
    })
}

/// The modified Bessel function of order 0.
fn bessel(x: f64) -> f64 {
    let mut term = 1.0;
    (1..40).fold(1.0, |sum, k| {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum + term
    })
}

impl Impairment for Skew {
    fn pass(&mut self, samples: &mut Vec<f32>) {
        let mut out = Vec::with_capacity(samples.len() + 1);
        for &sample in samples.iter() {
            self.past.pop_front();
            self.past.push_back(sample);
            // The last sample moved the middle by one.
            self.position -= 1.0;
            while self.position < 1.0 {
                let place = self.position.max(0.0) * PHASES as f64;
                let (phase, between) = ((place as usize).min(PHASES - 1), place.fract() as f32);
                if let [low, high] = &self.coefficients[phase..phase + 2] {
                    let terms = self.past.iter().zip(low.iter().zip(high));
                    out.push(terms.map(|(s, (l, h))| s * (l + between * (h - l))).sum());
                }
                self.position += self.step;
            }
        }
        *samples = out;
    }
}

/// 20 ms twice, or not at all.
pub(crate) struct Slips {
    schedule: Schedule,
    slip: Slip,
    last: VecDeque<f32>,
    dropping: usize,
}

impl Slips {
    pub(crate) fn new(schedule: Schedule, slip: Slip) -> Self {
        Slips { schedule, slip, last: vec![0.0; BLOCK].into(), dropping: 0 }
    }
}

impl Impairment for Slips {
    fn pass(&mut self, samples: &mut Vec<f32>) {
        let mut out = Vec::with_capacity(samples.len() + BLOCK);
        for &sample in samples.iter() {
            if self.schedule.due() {
                match self.slip {
                    Slip::Repeated => out.extend(&self.last),
                    Slip::Dropped => self.dropping = BLOCK,
                }
            }
            self.last.pop_front();
            self.last.push_back(sample);
            if self.dropping > 0 {
                self.dropping -= 1;
            } else {
                out.push(sample);
            }
        }
        *samples = out;
    }
}

#[cfg(test)]
mod tests {
    use crate::table::{sine, tone};
    use crate::{Line, Slip, When};
    use core::time::Duration;
    use fax_base::level::Dbm0;

    /// What is left when the tone at `hz` is taken out, relative to it, dB.
    fn rest(samples: &[f32], hz: f64) -> f64 {
        let step = core::f64::consts::TAU * hz / 8000.0;
        // Least squares, for the tone need not have whole periods.
        let (mut ss, mut sc, mut cc, mut xs, mut xc, mut xx) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
        for (i, &x) in samples.iter().enumerate() {
            let (s, c) = (step * i as f64).sin_cos();
            let x = f64::from(x);
            (ss, sc, cc) = (ss + s * s, sc + s * c, cc + c * c);
            (xs, xc, xx) = (xs + x * s, xc + x * c, xx + x * x);
        }
        let det = ss * cc - sc * sc;
        let (a, b) = ((xs * cc - xc * sc) / det, (xc * ss - xs * sc) / det);
        let explained = a * xs + b * xc;
        10.0 * ((xx - explained) / explained).log10()
    }

    #[test]
    fn skew_changes_the_rate_cleanly() {
        for (ppm, hz) in [(200.0, 1800.0), (-200.0, 3000.0), (300.0, 600.0)] {
            let signal = sine(Dbm0(0.0), hz, 80_000);
            let mut heard = signal.iter().map(|&s| f32::from(s)).collect();
            Line::new(1).clock(ppm).pass_f32(&mut heard);
            let count = 80_000.0 / (1.0 + f64::from(ppm) * 1e-6);
            assert!((heard.len() as f64 - count).abs() < 2.0, "{}", heard.len());
            let there = f64::from(hz) * (1.0 + f64::from(ppm) * 1e-6);
            let rest = rest(&heard[1000..], there);
            assert!(rest < -70.0, "{ppm} {hz} {rest}");
        }
    }

    #[test]
    fn a_fraction_is_a_delay() {
        let mut signal: Vec<f32> = sine(Dbm0(0.0), 1000.0, 1600).iter().map(|&s| f32::from(s)).collect();
        let mut later = signal.clone();
        Line::new(1).clock_and_phase(0.0, 0.0).pass_f32(&mut signal);
        Line::new(1).clock_and_phase(0.0, 0.25).pass_f32(&mut later);
        assert_eq!(signal.len(), 1600);
        // A quarter of a sample of 1000 Hz is 1/32 of a turn.
        let turn = tone(&signal[800..], 1000.0).1 - tone(&later[800..], 1000.0).1;
        assert!((turn - 1.0 / 32.0).abs() < 1e-4, "{turn}");
    }

    #[test]
    fn slips_are_20_ms() {
        let signal: Vec<i16> = (0..4000).collect();
        let when = When::Once(Duration::from_millis(250));
        let heard = Line::new(1).slips(when, Slip::Dropped).pass(&signal);
        assert_eq!((heard.len(), heard[1999], heard[2000]), (3840, 1999, 2160));
        let heard = Line::new(1).slips(when, Slip::Repeated).pass(&signal);
        assert_eq!((heard.len(), heard[1999], heard[2000], heard[2160]), (4160, 1999, 1840, 2000));
    }
}
