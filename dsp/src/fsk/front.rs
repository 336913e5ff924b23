//! The front of V.21's receiver: the band around the two tones at 1600 samples a second, turned down so
//! that the tones lie at ±100 Hz.

use super::Complex;
use core::f32::consts::{PI, TAU};
use fax_base::time::SAMPLE_RATE;

/// One sample out for so many in.
pub(super) const DECIMATION: usize = 5;
/// The most samples that are taken at once.
pub(super) const LONGEST: usize = 160;
/// The most samples that come of them.
pub(super) const OUT: usize = LONGEST / DECIMATION;
/// Length of the filter.
const TAPS: usize = 24;
/// Half the band that is let through, Hz, at half the amplitude.
const HALF_BAND: f32 = 500.0;

/// The product of two complex numbers.
#[inline]
pub(super) fn turned(a: Complex, b: Complex) -> Complex {
    [a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]]
}

/// A complex oscillator.
#[derive(Clone, Debug)]
pub(super) struct Oscillator {
    at: Complex,
    step: Complex,
}

impl Oscillator {
    /// One that turns by so much, radians, from sample to sample.
    pub(super) fn new(radians: f32) -> Self {
        let (sin, cos) = radians.sin_cos();
        Oscillator { at: [1.0, 0.0], step: [cos, sin] }
    }

    #[inline]
    pub(super) fn next(&mut self) -> Complex {
        let at = self.at;
        let [c, s] = turned(at, self.step);
        // Keeps the amplitude at one.
        let keep = (3.0 - c * c - s * s) / 2.0;
        self.at = [c * keep, s * keep];
        at
    }
}

/// The filter and its memory.
#[derive(Clone, Debug)]
pub(super) struct Front {
    /// Low-pass filter on the centre's carrier: real and imaginary part.
    taps: [[f32; TAPS]; 2],
    /// The last samples, and room for more.
    samples: [f32; TAPS + LONGEST],
    /// Samples to come before the one that ends the present block.
    skip: usize,
    /// Turns the centre down to nothing.
    carrier: Oscillator,
}

impl Front {
    /// Around this frequency, Hz.
    pub(super) fn new(centre: u32) -> Self {
        let turn = TAU * centre as f32 / SAMPLE_RATE as f32;
        let middle = (TAPS - 1) as f32 / 2.0;
        let mut low_pass: [f32; TAPS] = core::array::from_fn(|i| {
            let t = i as f32 - middle;
            let x = TAU * HALF_BAND / SAMPLE_RATE as f32 * t;
            // Hamming's window.
            (0.54 + 0.46 * (PI * t / (middle + 1.0)).cos()) * x.sin() / x
        });
        // Unit gain at the tones, 100 Hz off the middle.
        let off = TAU * 100.0 / SAMPLE_RATE as f32;
        let at_tones: f32 =
            low_pass.iter().enumerate().map(|(i, h)| h * (off * (i as f32 - middle)).cos()).sum();
        let mut taps = [[0.0; TAPS]; 2];
        let [re, im] = &mut taps;
        for (i, ((re, im), h)) in re.iter_mut().zip(im).zip(&mut low_pass).enumerate() {
            let (sin, cos) = (turn * (i as f32 - middle)).sin_cos();
            *re = *h / at_tones * cos;
            *im = -*h / at_tones * sin;
        }
        Front {
            taps,
            samples: [0.0; TAPS + LONGEST],
            skip: DECIMATION - 1,
            carrier: Oscillator::new(-turn * DECIMATION as f32),
        }
    }

    /// Takes at most [`LONGEST`] samples; says how many came of them in `out`.
    #[inline]
    pub(super) fn receive(&mut self, samples: &[i16], out: &mut [Complex; OUT]) -> usize {
        for (to, from) in self.samples.iter_mut().skip(TAPS).zip(samples) {
            *to = f32::from(*from);
        }
        let mut made = 0;
        let mut at = self.skip;
        while at < samples.len() {
            let window = self.samples.get(at + 1..).and_then(<[f32]>::first_chunk::<TAPS>);
            if let (Some(window), Some(z)) = (window, out.get_mut(made)) {
                *z = turned(filtered(&self.taps, window), self.carrier.next());
                made += 1;
            }
            at += DECIMATION;
        }
        self.skip = at - samples.len();
        self.samples.copy_within(samples.len()..samples.len() + TAPS, 0);
        made
    }

    /// Whether the present block has samples already.
    pub(super) fn in_block(&self) -> bool {
        self.skip != DECIMATION - 1
    }
}

#[inline]
fn filtered([by_re, by_im]: &[[f32; TAPS]; 2], window: &[f32; TAPS]) -> Complex {
    let (mut re, mut im) = ([0f32; 4], [0f32; 4]);
    for i in (0..TAPS).step_by(4) {
        for lane in 0..4 {
            re[lane] += window[i + lane] * by_re[i + lane];
            im[lane] += window[i + lane] * by_im[i + lane];
        }
    }
    [re[0] + re[1] + (re[2] + re[3]), im[0] + im[1] + (im[2] + im[3])]
}
