//! The front of V.21's receiver: the band around the two tones at 1000 samples a second, turned down so
//! that the tones lie at ±100 Hz.

use super::Complex;
use core::f32::consts::{PI, TAU};
use fax_base::time::SAMPLE_RATE;

/// One sample out for so many in.
pub(super) const DECIMATION: usize = 8;
/// The most samples that are taken at once.
pub(super) const LONGEST: usize = 160;
/// The most samples that come of them.
pub(super) const OUT: usize = LONGEST / DECIMATION;
/// Length of the filter.
const TAPS: usize = 40;
/// Products that are added side by side.
const LANES: usize = 4;
/// Half the band that is let through, Hz, at half the amplitude.
const HALF_BAND: f32 = 400.0;

/// The product of two complex numbers.
#[inline]
pub(super) fn turned(a: Complex, b: Complex) -> Complex {
    [a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]]
}

/// After so many samples out the carriers of both channels are where they were.
const CARRIER: usize = 100;

/// The filter and its memory.
#[derive(Clone, Debug)]
pub(super) struct Front {
    /// Low-pass filter on the centre's carrier: real and imaginary part.
    taps: [[f32; TAPS]; 2],
    /// The last samples, and room for more.
    samples: [f32; TAPS + LONGEST],
    /// Samples to come before the one that ends the present block.
    skip: usize,
    /// What turns the centre down to nothing, and where in it the next sample out is.
    carrier: [Complex; CARRIER],
    next: usize,
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
            carrier: core::array::from_fn(|i| {
                let turns = (centre as usize * DECIMATION * i) % SAMPLE_RATE as usize;
                let (sin, cos) = (TAU * turns as f32 / SAMPLE_RATE as f32).sin_cos();
                [cos, -sin]
            }),
            next: 0,
        }
    }

    /// Takes at most [`LONGEST`] samples; says how many came of them in `out`.
    #[inline]
    pub(super) fn receive(&mut self, samples: &[i16], out: &mut [Complex; OUT]) -> usize {
        for (to, from) in self.samples.iter_mut().skip(TAPS).zip(samples) {
            *to = f32::from(*from);
        }
        // Sums of every fourth product first: the compiler takes four at a time only where they are stored.
        let mut partial = [[[0.0; LANES]; 2]; OUT];
        let mut made = 0;
        let mut at = self.skip;
        while at < samples.len() {
            let window = self.samples.get(at + 1..).and_then(<[f32]>::first_chunk::<TAPS>);
            if let (Some(window), Some(partial)) = (window, partial.get_mut(made)) {
                filter(&self.taps, window, partial);
                made += 1;
            }
            at += DECIMATION;
        }
        self.skip = at - samples.len();
        self.samples.copy_within(samples.len()..samples.len() + TAPS, 0);
        for (z, [re, im]) in out.iter_mut().zip(partial).take(made) {
            let carrier = self.carrier.get(self.next).copied().unwrap_or_default();
            *z = turned([summed(re), summed(im)], carrier);
            self.next = (self.next + 1) % CARRIER;
        }
        made
    }

    /// Whether the present block has samples already.
    pub(super) fn in_block(&self) -> bool {
        self.skip != DECIMATION - 1
    }
}

#[inline]
fn filter(taps: &[[f32; TAPS]; 2], window: &[f32; TAPS], sums: &mut [[f32; LANES]; 2]) {
    for (sum, taps) in sums.iter_mut().zip(taps) {
        let mut lanes = [0f32; LANES];
        for (x, h) in window.as_chunks::<LANES>().0.iter().zip(taps.as_chunks::<LANES>().0) {
            lanes = core::array::from_fn(|i| lanes[i] + x[i] * h[i]);
        }
        *sum = lanes;
    }
}

#[inline]
fn summed([a, b, c, d]: [f32; LANES]) -> f32 {
    (a + b) + (c + d)
}
