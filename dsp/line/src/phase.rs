//! The carrier's phase: frequency offset, phase jitter, phase hits.

use crate::hilbert::Hilbert;
use crate::when::Schedule;
use crate::{Impairment, RATE};
use core::f32::consts::TAU;

/// Turns the phase of all frequencies alike.
pub(crate) struct Phase {
    hilbert: Hilbert,
    /// Turns a sample, and where the offset has got to.
    offset: f64,
    turned: f64,
    /// Half of the swing in turns; turns of the swing a sample; where it is.
    swing: f32,
    swing_step: f64,
    swing_turn: f64,
    hits: Option<Schedule>,
    /// The next hit, and all so far, in turns.
    next_hit: f32,
    hit: f32,
}

impl Phase {
    pub(crate) fn new() -> Self {
        Phase {
            hilbert: Hilbert::new(),
            offset: 0.0,
            turned: 0.0,
            swing: 0.0,
            swing_step: 0.0,
            swing_turn: 0.0,
            hits: None,
            next_hit: 0.0,
            hit: 0.0,
        }
    }

    pub(crate) fn offset(mut self, hz: f32) -> Self {
        self.offset = f64::from(hz) / f64::from(RATE);
        self
    }

    pub(crate) fn jitter(mut self, peak_to_peak_degrees: f32, hz: f32) -> Self {
        self.swing = peak_to_peak_degrees / 720.0;
        self.swing_step = f64::from(hz) / f64::from(RATE);
        self
    }

    pub(crate) fn hits(mut self, schedule: Schedule, degrees: f32) -> Self {
        self.hits = Some(schedule);
        self.next_hit = degrees / 360.0;
        self
    }
}

impl Impairment for Phase {
    fn pass(&mut self, samples: &mut Vec<f32>) {
        for sample in samples {
            if self.hits.as_mut().is_some_and(Schedule::due) {
                self.hit += self.next_hit;
                self.next_hit = -self.next_hit;
            }
            let swing = self.swing * (TAU * self.swing_turn as f32).sin();
            let (sine, cosine) = (TAU * (self.turned as f32 + swing + self.hit)).sin_cos();
            let (re, im) = self.hilbert.next(*sample);
            *sample = re * cosine - im * sine;
            self.turned = (self.turned + self.offset).fract();
            self.swing_turn = (self.swing_turn + self.swing_step).fract();
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::table::{sine, tone, tone_level};
    use crate::{Line, When};
    use core::time::Duration;
    use fax_base::level::Dbm0;

    #[test]
    fn the_offset_moves_every_frequency_and_leaves_no_image() {
        for hz in [300.0, 1800.0, 3300.0] {
            for offset in [-7.0, 7.0] {
                let heard = Line::new(1).offset(offset).pass(&sine(Dbm0(-10.0), hz, 9000));
                let heard = &heard[1000..];
                let (there, image) = (tone_level(heard, hz + offset), tone_level(heard, hz - offset));
                assert!((there + 10.0).abs() < 0.02, "{hz} {offset} {there}");
                assert!(image < there - 60.0, "{hz} {offset} {image}");
            }
        }
    }

    /// The phase of a 2000 Hz tone over time, degrees.
    fn phases(line: &mut Line) -> Vec<f64> {
        let heard: Vec<f32> =
            line.pass(&sine(Dbm0(-10.0), 2000.0, 9024)).iter().map(|&s| f32::from(s)).collect();
        heard[1024..].chunks(8).map(|c| tone(c, 2000.0).1 * 360.0).collect()
    }

    #[test]
    fn jitter_swings_as_far_as_asked() {
        let phases = phases(&mut Line::new(1).phase_jitter(10.0, 50.0));
        let most = phases.iter().copied().fold(f64::MIN, f64::max);
        let least = phases.iter().copied().fold(f64::MAX, f64::min);
        assert!((most - least - 10.0).abs() < 0.2, "{most} {least}");
        // 50 Hz: the same again after 20 ms.
        assert!(phases.windows(21).all(|w| (w[0] - w[20]).abs() < 0.2));
    }

    #[test]
    fn a_hit_turns_the_phase_and_the_next_turns_it_back() {
        let when = When::every(Duration::from_millis(400));
        let phases = phases(&mut Line::new(1).phase_hits(when, 20.0));
        let (before, after, back) = (phases[100], phases[400], phases[700]);
        assert!((after - before - 20.0).abs() < 0.3, "{before} {after}");
        assert!((back - before).abs() < 0.3, "{before} {back}");
    }
}
