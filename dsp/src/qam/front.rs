//! From samples at 8 kHz to two complex samples a symbol: the matched filter, evaluated only where a
//! sample is wanted (root raised cosine, moved to the carrier).
//!
//! The outputs stay at the carrier ("passband"): the equaliser after them does not mind, and only its
//! one output a symbol has to be turned.

use super::simd::two_dots;
use core::f64::consts::PI;
use fax_base::time::SAMPLE_RATE;

/// Taps of the filter: 4 ms.
pub(super) const TAPS: usize = 32;
/// Instants between two samples at which it can be evaluated.
const PHASES: usize = 64;
/// Bits of the fraction of a position.
const FRACTION: u32 = 32;
/// Samples kept for going back: 0.6 s.
const HISTORY: usize = 4_800;
/// Samples kept at most.
const CAPACITY: usize = 2 * HISTORY;

/// The filter for one carrier and symbol rate, at every phase.
pub(super) struct Bank {
    re: Vec<[f32; TAPS]>,
    im: Vec<[f32; TAPS]>,
    /// Half a symbol, samples with 32 bits of fraction.
    half_symbol: u64,
}

impl Bank {
    /// A root raised cosine of this roll-off at `carrier` Hz.
    pub(super) fn new(carrier: u32, baud: u32, roll_off: f64) -> Self {
        let symbol = f64::from(SAMPLE_RATE) / f64::from(baud);
        let turn = 2.0 * PI * f64::from(carrier) / f64::from(SAMPLE_RATE);
        let half = (TAPS / 2) as f64;
        let mut re = vec![[0.0; TAPS]; PHASES];
        let mut im = vec![[0.0; TAPS]; PHASES];
        for (phase, (re, im)) in re.iter_mut().zip(&mut im).enumerate() {
            // The middle of the step, so that the error of rounding down has no bias.
            let at = (phase as f64 + 0.5) / PHASES as f64;
            for (tap, (re, im)) in re.iter_mut().zip(im.iter_mut()).enumerate() {
                // From this tap's sample to the instant.
                let t = at + half - 1.0 - tap as f64;
                let window = kaiser(t / half, 4.0);
                let h = 2.0 * window * root_raised_cosine(t / symbol, roll_off) / symbol;
                *re = (h * (turn * t).cos()) as f32;
                *im = (h * (turn * t).sin()) as f32;
            }
        }
        let half_symbol = (u64::from(SAMPLE_RATE) << FRACTION) / u64::from(2 * baud);
        Bank { re, im, half_symbol }
    }
}

/// The pulse of unit energy per symbol at `t` symbols from its middle.
pub(super) fn root_raised_cosine(t: f64, roll_off: f64) -> f64 {
    let a = roll_off;
    if t.abs() < 1e-9 {
        return 1.0 - a + 4.0 * a / PI;
    }
    let edge = 4.0 * a * t;
    if (edge.abs() - 1.0).abs() < 1e-6 {
        let q = PI / (4.0 * a);
        return a / 2f64.sqrt() * ((1.0 + 2.0 / PI) * q.sin() + (1.0 - 2.0 / PI) * q.cos());
    }
    ((PI * t * (1.0 - a)).sin() + edge * (PI * t * (1.0 + a)).cos()) / (PI * t * (1.0 - edge * edge))
}

/// Kaiser's window over −1 to 1.
fn kaiser(x: f64, beta: f64) -> f64 {
    let bessel = |x: f64| {
        let (mut sum, mut term) = (1.0, 1.0);
        for k in 1..24 {
            term *= (x / 2.0 / f64::from(k)).powi(2);
            sum += term;
        }
        sum
    };
    bessel(beta * (1.0 - x * x).max(0.0).sqrt()) / bessel(beta)
}

/// The samples and the place in them that is next.
pub(super) struct Front {
    bank: &'static Bank,
    samples: Vec<f32>,
    /// Number of the first sample in `samples`, counted from the beginning of all.
    first: u64,
    /// The instant of the next output, in samples from the beginning of all.
    position: u64,
    /// Half a symbol of the far end's clock.
    step: u64,
    /// Stretches of lost samples, oldest first.
    gaps: Vec<(u64, u64)>,
}

/// One output of the filter.
#[derive(Clone, Copy)]
pub(super) struct Half {
    pub(super) re: f32,
    pub(super) im: f32,
    /// Samples under the filter were lost.
    pub(super) lost: bool,
}

impl Front {
    pub(super) fn new(bank: &'static Bank) -> Self {
        let mut samples = Vec::with_capacity(CAPACITY);
        samples.resize(TAPS, 0.0);
        Front {
            bank,
            samples,
            first: 0,
            position: (TAPS as u64) << FRACTION,
            step: bank.half_symbol,
            gaps: Vec::with_capacity(16),
        }
    }

    /// Makes room for `count` samples; no more than [`HISTORY`] at once.
    fn make_room(&mut self, count: usize) {
        if self.samples.len() + count > CAPACITY {
            let surplus = self.samples.len().saturating_sub(HISTORY);
            self.samples.drain(..surplus);
            self.first += surplus as u64;
            let first = self.first;
            self.gaps.retain(|&(_, end)| end > first);
        }
    }

    /// Samples come in.
    pub(super) fn push(&mut self, samples: &[i16]) {
        for chunk in samples.chunks(HISTORY) {
            self.make_room(chunk.len());
            self.samples.extend(chunk.iter().map(|&s| f32::from(s)));
        }
    }

    /// So many samples were lost.
    pub(super) fn push_lost(&mut self, count: usize) {
        self.mark_lost(count);
        let mut left = count;
        while left > 0 {
            let now = left.min(HISTORY);
            self.make_room(now);
            self.samples.resize(self.samples.len() + now, 0.0);
            left -= now;
        }
    }

    /// The next samples, so many of them, are not what was sent.
    pub(super) fn mark_lost(&mut self, count: usize) {
        let start = self.end();
        let end = start + count as u64;
        match self.gaps.last_mut() {
            Some(last) if last.1 == start => last.1 = end,
            _ => {
                if self.gaps.len() == self.gaps.capacity() {
                    self.gaps.remove(0);
                }
                self.gaps.push((start, end));
            }
        }
    }

    /// Number of the sample after the last.
    fn end(&self) -> u64 {
        self.first + self.samples.len() as u64
    }

    /// The next output and its instant, when its samples are there.
    #[inline]
    pub(super) fn next(&mut self) -> Option<Half> {
        let sample = self.position >> FRACTION;
        let start = (sample.checked_sub(self.first)? as usize).checked_sub(TAPS / 2 - 1)?;
        let window = self.samples.get(start..)?.first_chunk::<TAPS>()?;
        let phase = (self.position >> (FRACTION - PHASES.trailing_zeros())) as usize % PHASES;
        let (re, im) = (self.bank.re.get(phase)?, self.bank.im.get(phase)?);
        let (re, im) = two_dots(window, re, im);
        let half = Half { re, im, lost: self.is_lost(sample) };
        self.position += self.step;
        Some(half)
    }

    fn is_lost(&self, sample: u64) -> bool {
        let reach = (TAPS / 2 - 4) as u64;
        self.gaps.iter().rev().any(|&(start, end)| sample + reach >= start && sample < end + reach)
    }

    /// The instant of the next output, samples from the beginning of all.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Goes (back) to an instant; not further back than what is kept.
    pub(super) fn seek(&mut self, position: u64) {
        self.position = position.max((self.first + TAPS as u64) << FRACTION);
    }

    /// Moves the next instant by a part of a symbol.
    #[inline]
    pub(super) fn shift(&mut self, symbols: f32) {
        let step = symbols * (2.0 * self.bank.half_symbol as f32);
        self.position = self.position.saturating_add_signed(step as i64);
    }

    /// Sets the far end's clock, relative to nominal.
    #[inline]
    pub(super) fn set_clock(&mut self, relative: f32) {
        let nominal = self.bank.half_symbol;
        // A faster clock makes shorter symbols.
        self.step = nominal.saturating_add_signed((-relative * nominal as f32) as i64);
    }

    /// Half a symbol of nominal length, in the unit of positions.
    pub(super) fn half_symbol(&self) -> u64 {
        self.bank.half_symbol
    }
}
