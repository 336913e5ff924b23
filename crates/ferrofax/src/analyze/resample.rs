//! From any sample rate to 8000 Hz: a windowed sinc, its phases computed once.

use fax_base::time::SAMPLE_RATE;
use std::collections::VecDeque;
use std::f64::consts::PI;
use std::sync::Arc;

/// Zero crossings of the sinc on each side.
const LOBES: f64 = 16.0;
/// Of the lower of the two rates' halves this much is passed.
const BAND: f64 = 0.95;

/// One channel. Recordings at 8000 Hz pass untouched.
#[derive(Clone, Debug)]
pub(super) struct Resampler {
    /// One set of taps for each phase of an output sample between input samples; none at 8000 Hz.
    phases: Arc<Vec<Vec<f32>>>,
    /// Input samples that an output sample moves on by: a whole part, and a part of a phase count.
    step: (usize, usize),
    phase: usize,
    /// Input samples to be dropped before the next output sample.
    skip: usize,
    window: VecDeque<f32>,
}

impl Resampler {
    /// From `rate` Hz, not 0.
    pub(super) fn new(rate: u32) -> Self {
        let rate = rate.max(1);
        if rate == SAMPLE_RATE {
            let (phases, window) = (Arc::new(Vec::new()), VecDeque::new());
            return Resampler { phases, step: (1, 0), phase: 0, skip: 0, window };
        }
        let common = greatest_common_divisor(rate, SAMPLE_RATE);
        let (up, down) = ((SAMPLE_RATE / common) as usize, (rate / common) as usize);
        // In cycles an input sample.
        let cutoff = 0.5 * BAND * f64::from(SAMPLE_RATE.min(rate)) / f64::from(rate);
        let reach = LOBES / (2.0 * cutoff);
        let half = reach.ceil() as usize;
        let taps = |phase: usize| {
            let at = phase as f64 / up as f64;
            let tap = |i: usize| {
                let x = i as f64 - half as f64 + 1.0 - at;
                let sinc =
                    if x.abs() < 1e-9 { 2.0 * cutoff } else { (2.0 * PI * cutoff * x).sin() / (PI * x) };
                let window = if x.abs() < reach { 0.5 + 0.5 * (PI * x / reach).cos() } else { 0.0 };
                sinc * window
            };
            let taps: Vec<f64> = (0..2 * half).map(tap).collect();
            // Every phase passes direct current alike.
            let sum: f64 = taps.iter().sum();
            taps.iter().map(|t| (t / sum) as f32).collect()
        };
        // Time begins with the first sample, not with the filter's delay.
        let window = std::iter::repeat_n(0.0, half - 1).collect();
        Resampler {
            phases: Arc::new((0..up).map(taps).collect()),
            step: (down / up, down % up),
            phase: 0,
            skip: 0,
            window,
        }
    }

    /// One sample in, any number out.
    pub(super) fn push(&mut self, sample: f32, out: &mut Vec<i16>) {
        if self.phases.is_empty() {
            out.push(sample.round() as i16);
            return;
        }
        if self.skip > 0 && self.window.is_empty() {
            self.skip -= 1;
            return;
        }
        self.window.push_back(sample);
        while let Some(taps) = self.phases.get(self.phase).filter(|t| t.len() <= self.window.len()) {
            let sum: f32 = taps.iter().zip(&self.window).map(|(t, s)| t * s).sum();
            out.push(sum.round() as i16);
            self.phase += self.step.1;
            let carry = usize::from(self.phase >= self.phases.len());
            self.phase -= carry * self.phases.len();
            let forget = self.step.0 + carry;
            self.skip = forget.saturating_sub(self.window.len());
            self.window.drain(..forget.min(self.window.len()));
        }
    }
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Level and place of sines survive, from below and above.
    #[test]
    fn sines_keep_their_level_frequency_and_time() {
        for rate in [6_000, 8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 44_101, 192_000] {
            for hertz in [300.0, 1650.0, 2400.0] {
                let mut resampler = Resampler::new(rate);
                let mut out = Vec::new();
                let turn = |i: u32| f64::from(i) / f64::from(rate) * hertz * 2.0 * PI;
                (0..rate).for_each(|i| resampler.push((10_000.0 * turn(i).sin()) as f32, &mut out));
                assert!((7_900..=8_000).contains(&out.len()), "{rate}: {}", out.len());
                for (i, sample) in out.iter().enumerate().skip(200).take(7_000) {
                    let want = 10_000.0 * (i as f64 / 8000.0 * hertz * 2.0 * PI).sin();
                    assert!((f64::from(*sample) - want).abs() < 60.0, "{rate} {hertz} {i}: {sample} {want}");
                }
            }
        }
    }

    #[test]
    fn what_8000_hz_cannot_hold_is_taken_out() {
        let mut resampler = Resampler::new(48_000);
        let mut out = Vec::new();
        let turn = |i: u32| f64::from(i) / 48_000.0 * 5_000.0 * 2.0 * PI;
        (0..48_000).for_each(|i| resampler.push((10_000.0 * turn(i).sin()) as f32, &mut out));
        assert!(out.iter().skip(200).take(7_000).all(|s| s.abs() < 30));
    }
}
