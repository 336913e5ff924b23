//! Noise: white, and in impulses.

use crate::when::Schedule;
use crate::{Impairment, root_mean_square};
use core::f32::consts::TAU;
use fax_base::level::Dbm0;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Random numbers from a seed: uniform, and of the normal distribution (Box and Muller).
#[derive(Clone)]
pub struct Gaussian {
    rng: ChaCha8Rng,
    spare: Option<f32>,
}

impl Gaussian {
    /// Begins at `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Gaussian { rng: ChaCha8Rng::seed_from_u64(seed), spare: None }
    }

    /// From 0 up to but not including 1.
    pub fn uniform(&mut self) -> f32 {
        (self.rng.next_u32() >> 8) as f32 / (1u32 << 24) as f32
    }

    /// Mean 0, variance 1.
    pub fn normal(&mut self) -> f32 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        let (sine, cosine) = (TAU * self.uniform()).sin_cos();
        self.spare = Some(radius * sine);
        radius * cosine
    }
}

/// White noise.
pub(crate) struct White {
    rms: f32,
    random: Gaussian,
}

impl White {
    pub(crate) fn new(level: Dbm0, seed: u64) -> Self {
        White { rms: root_mean_square(level), random: Gaussian::new(seed) }
    }
}

impl Impairment for White {
    fn pass(&mut self, samples: &mut Vec<f32>) {
        for sample in samples {
            *sample += self.rms * self.random.normal();
        }
    }
}

/// Samples in the longest impulse, 5 ms, and the shortest, 1 ms.
const LONGEST: f32 = 40.0;
const SHORTEST: f32 = 8.0;

/// Bursts of noise.
pub(crate) struct Impulses {
    schedule: Schedule,
    rms: f32,
    left: usize,
    random: Gaussian,
}

impl Impulses {
    pub(crate) fn new(schedule: Schedule, level: Dbm0, seed: u64) -> Self {
        Impulses { schedule, rms: root_mean_square(level), left: 0, random: Gaussian::new(seed) }
    }
}

impl Impairment for Impulses {
    fn pass(&mut self, samples: &mut Vec<f32>) {
        for sample in samples {
            if self.schedule.due() {
                self.left = (SHORTEST + self.random.uniform() * (LONGEST - SHORTEST)) as usize;
            }
            if self.left > 0 {
                self.left -= 1;
                *sample += self.rms * self.random.normal();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::table::sine;
    use crate::{Line, When, level};
    use core::time::Duration;
    use fax_base::level::Dbm0;

    #[test]
    fn noise_has_its_level_and_a_flat_spectrum() {
        let heard = Line::new(5).noise(Dbm0(-30.0)).pass(&[0; 400_000]);
        assert!((level(&heard).0 + 30.0).abs() < 0.05, "{:?}", level(&heard));
        // Neighbours are independent.
        let sum: f64 = heard.windows(2).map(|w| f64::from(w[0]) * f64::from(w[1])).sum();
        let power: f64 = heard.iter().map(|&s| f64::from(s).powi(2)).sum();
        assert!((sum / power).abs() < 0.01, "{}", sum / power);
    }

    #[test]
    fn the_ratio_is_as_asked_for() {
        let signal = sine(Dbm0(-15.0), 1700.0, 200_000);
        let heard = Line::new(6).snr(Dbm0(-15.0), 20.0).pass(&signal);
        let noise: Vec<i16> = heard.iter().zip(&signal).map(|(h, s)| h - s).collect();
        let ratio = level(&signal).0 - level(&noise).0;
        assert!((ratio - 20.0).abs() < 0.1, "{ratio}");
    }

    #[test]
    fn impulses_are_short_and_have_their_level() {
        let heard =
            Line::new(8).impulses(When::every(Duration::from_millis(100)), Dbm0(-20.0)).pass(&[0; 800_000]);
        let busy: Vec<i16> = heard.iter().copied().filter(|&s| s != 0).collect();
        assert!((level(&busy).0 + 20.0).abs() < 0.3, "{:?}", level(&busy));
        // A thousand of 3 ms in the mean.
        assert!((22_000..26_000).contains(&busy.len()), "{}", busy.len());
    }
}
