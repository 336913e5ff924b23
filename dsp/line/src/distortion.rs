//! Distortion: harmonics, and G.711's quantising.

use crate::{Impairment, to_pcm};
use fax_base::level::Dbm0;
use fax_dsp::Law;

/// How slowly the mean of the square is followed; it takes out the direct current: 20 Hz.
const MEAN_STEP: f32 = 0.015;

/// A curved characteristic: x + a·x² + b·x³.
pub(crate) struct Harmonics {
    a: f32,
    b: f32,
    mean_square: f32,
}

impl Harmonics {
    pub(crate) fn new(level: Dbm0, second_db: f32, third_db: f32) -> Self {
        // A·sin: the square gives A²/2 at twice the frequency, the cube A³/4 at three times.
        let amplitude = level.sine_amplitude();
        let a = 10f32.powf(-second_db / 20.0) * 2.0 / amplitude;
        let b = 10f32.powf(-third_db / 20.0) * 4.0 / (amplitude * amplitude);
        Harmonics { a, b, mean_square: 0.0 }
    }
}

impl Impairment for Harmonics {
    fn pass(&mut self, samples: &mut Vec<f32>) {
        for sample in samples {
            let x = *sample;
            self.mean_square += MEAN_STEP * (x * x - self.mean_square);
            *sample = x + self.a * (x * x - self.mean_square) + self.b * x * x * x;
        }
    }
}

/// One pass through G.711.
pub(crate) struct Coded(pub(crate) Law);

impl Impairment for Coded {
    fn pass(&mut self, samples: &mut Vec<f32>) {
        for sample in samples {
            *sample = f32::from(self.0.decode(self.0.encode(to_pcm(*sample))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{sine, tone_level};
    use crate::{Gaussian, Line, level, root_mean_square};

    #[test]
    fn harmonics_are_as_low_as_asked() {
        let signal = sine(Dbm0(-10.0), 700.0, 16_000);
        let heard = Line::new(1).harmonics(Dbm0(-10.0), 34.0, 36.0).pass(&signal);
        let heard = &heard[8000..];
        let first = tone_level(heard, 700.0);
        assert!((first - tone_level(heard, 1400.0) - 34.0).abs() < 0.5, "{}", tone_level(heard, 1400.0));
        assert!((first - tone_level(heard, 2100.0) - 36.0).abs() < 0.5, "{}", tone_level(heard, 2100.0));
    }

    #[test]
    fn one_pass_of_g711_has_the_noise_that_it_should_have() {
        let mut random = Gaussian::new(9);
        let rms = root_mean_square(Dbm0(-15.0));
        let signal: Vec<i16> = (0..100_000).map(|_| to_pcm(random.normal() * rms)).collect();
        for law in [Law::A, Law::Mu] {
            let heard = Line::new(1).law(law).pass(&signal);
            let noise: Vec<i16> = heard.iter().zip(&signal).map(|(h, s)| h - s).collect();
            let ratio = level(&signal).0 - level(&noise).0;
            assert!((36.5..38.5).contains(&ratio), "{law:?} {ratio}");
            assert_eq!(Line::new(1).law(law).law(law).pass(&signal), heard);
        }
    }
}
