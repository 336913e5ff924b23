//! When something happens on a line.

use crate::noise::Gaussian;
use crate::samples_in;
use core::time::Duration;

/// When hits, dropouts, impulses and slips happen, counted from the first sample.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// Once, so much later.
    Once(Duration),
    /// First after `first`, then every `period`.
    Every {
        /// The first time.
        first: Duration,
        /// From one to the next.
        period: Duration,
    },
    /// At random, independent of one another; `mean` apart.
    Random {
        /// The mean distance.
        mean: Duration,
    },
}

impl When {
    /// Every `period`, first after one.
    #[must_use]
    pub const fn every(period: Duration) -> Self {
        When::Every { first: period, period }
    }

    /// At random, `mean` apart.
    #[must_use]
    pub const fn random(mean: Duration) -> Self {
        When::Random { mean }
    }

    pub(crate) fn schedule(self, seed: u64) -> Schedule {
        let mut random = Gaussian::new(seed);
        let next = match self {
            When::Once(at) => samples_in(at),
            When::Every { first, period: _ } => samples_in(first),
            When::Random { mean } => exponential(mean, &mut random),
        };
        Schedule { when: self, left: Some(next), random }
    }
}

/// Goes through the samples and says at which of them it is time.
pub(crate) struct Schedule {
    when: When,
    /// Samples until then.
    left: Option<usize>,
    random: Gaussian,
}

impl Schedule {
    /// One sample passes: is it time?
    pub(crate) fn due(&mut self) -> bool {
        match &mut self.left {
            None => false,
            Some(0) => {
                // At most one a sample.
                self.left = match self.when {
                    When::Once(_) => None,
                    When::Every { first: _, period } => Some(samples_in(period).saturating_sub(1)),
                    When::Random { mean } => Some(exponential(mean, &mut self.random).saturating_sub(1)),
                };
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
        }
    }
}

fn exponential(mean: Duration, random: &mut Gaussian) -> usize {
    let u = random.uniform().max(f32::MIN_POSITIVE);
    samples_in(mean.mul_f32(-u.ln()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(when: When, samples: usize) -> Vec<usize> {
        let mut schedule = when.schedule(3);
        (0..samples).filter(|_| schedule.due()).collect()
    }

    #[test]
    fn times_are_kept() {
        let ms = Duration::from_millis;
        assert_eq!(times(When::Once(ms(10)), 8000), [80]);
        assert_eq!(times(When::every(ms(10)), 300), [80, 160, 240]);
        assert_eq!(times(When::Every { first: ms(0), period: ms(10) }, 200), [0, 80, 160]);
        let count = times(When::random(ms(100)), 8_000_000).len();
        assert!((9_700..10_300).contains(&count), "{count}");
    }
}
