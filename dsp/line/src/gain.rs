//! Level: attenuation, amplitude jitter, gain hits and dropouts.

use crate::when::Schedule;
use crate::{Impairment, RATE, samples_in};
use core::f32::consts::TAU;
use core::time::Duration;

fn ratio(db: f32) -> f32 {
    10f32.powf(db / 20.0)
}

/// A constant gain.
pub(crate) struct Gain(f32);

impl Gain {
    pub(crate) fn new(db: f32) -> Self {
        Gain(ratio(db))
    }
}

impl Impairment for Gain {
    fn pass(&mut self, samples: &mut Vec<f32>) {
        for sample in samples {
            *sample *= self.0;
        }
    }
}

/// A gain that swings as a sine, in dB.
pub(crate) struct Jitter {
    half_db: f32,
    step: f32,
    turn: f32,
}

impl Jitter {
    pub(crate) fn new(peak_to_peak_db: f32, hz: f32) -> Self {
        Jitter { half_db: peak_to_peak_db / 2.0, step: hz / RATE as f32, turn: 0.0 }
    }
}

impl Impairment for Jitter {
    fn pass(&mut self, samples: &mut Vec<f32>) {
        for sample in samples {
            *sample *= ratio(self.half_db * (TAU * self.turn).sin());
            self.turn = (self.turn + self.step).fract();
        }
    }
}

/// Another gain for a while.
pub(crate) struct Hits {
    schedule: Schedule,
    gain: f32,
    length: usize,
    left: usize,
}

impl Hits {
    pub(crate) fn new(schedule: Schedule, db: f32, length: Duration) -> Self {
        Hits { schedule, gain: ratio(db), length: samples_in(length), left: 0 }
    }
}

impl Impairment for Hits {
    fn pass(&mut self, samples: &mut Vec<f32>) {
        for sample in samples {
            if self.schedule.due() {
                self.left = self.length;
            }
            if self.left > 0 {
                self.left -= 1;
                *sample *= self.gain;
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
    fn gain_is_exact() {
        let heard = Line::new(1).gain(-12.5).pass(&sine(Dbm0(-3.0), 1000.0, 8000));
        assert!((level(&heard).0 + 15.5).abs() < 0.01);
    }

    #[test]
    fn amplitude_jitter_swings_as_far_as_asked() {
        // A quarter of the jitter's period, 250 samples, holds whole periods of the sine.
        let heard = Line::new(1).amplitude_jitter(3.0, 8.0).pass(&sine(Dbm0(-10.0), 1600.0, 8000));
        let levels: Vec<f32> = heard.chunks(10).map(|c| level(c).0).collect();
        let most = levels.iter().copied().fold(f32::MIN, f32::max);
        let least = levels.iter().copied().fold(f32::MAX, f32::min);
        assert!((most - least - 3.0).abs() < 0.05, "{most} {least}");
    }

    #[test]
    fn hits_and_dropouts_last_as_long_as_asked() {
        let when = When::every(Duration::from_millis(250));
        let signal = [1000i16; 4000];
        let heard = Line::new(1).gain_hits(when, -6.0206, Duration::from_millis(10)).pass(&signal);
        assert_eq!(heard.iter().filter(|&&s| s == 500).count(), 80);
        assert_eq!(&heard[1999..2001], &[1000, 500]);
        let heard = Line::new(1).dropouts(when, Duration::from_millis(10)).pass(&signal);
        assert_eq!(heard.iter().filter(|&&s| s == 0).count(), 80);
    }
}
