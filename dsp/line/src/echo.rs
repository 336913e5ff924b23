//! Echoes: of the far end's signal, and of one's own.

use crate::{Impairment, samples_in, to_pcm};
use core::time::Duration;
use std::collections::VecDeque;

fn attenuation(loss_db: f32) -> f32 {
    10f32.powf(-loss_db / 20.0)
}

/// The signal once more, later and lower.
pub(crate) struct ListenerEcho {
    gain: f32,
    under_way: VecDeque<f32>,
}

impl ListenerEcho {
    pub(crate) fn new(delay: Duration, loss_db: f32) -> Self {
        ListenerEcho { gain: attenuation(loss_db), under_way: vec![0.0; samples_in(delay)].into() }
    }
}

impl Impairment for ListenerEcho {
    fn pass(&mut self, samples: &mut Vec<f32>) {
        for sample in samples {
            self.under_way.push_back(*sample);
            *sample += self.gain * self.under_way.pop_front().unwrap_or(0.0);
        }
    }
}

/// What one end sends comes back to its own ear.
pub struct TalkerEcho {
    gain: f32,
    under_way: VecDeque<i16>,
}

impl TalkerEcho {
    /// Comes back after `delay`, `loss_db` lower.
    #[must_use]
    pub fn new(delay: Duration, loss_db: f32) -> Self {
        TalkerEcho { gain: attenuation(loss_db), under_way: vec![0; samples_in(delay)].into() }
    }

    /// While an end sends `sent` it hears `heard`: adds the echo to that. Both are equally long; what is longer
    /// is left alone.
    pub fn mix(&mut self, sent: &[i16], heard: &mut [i16]) {
        for (&sent, heard) in sent.iter().zip(heard) {
            self.under_way.push_back(sent);
            let echo = f32::from(self.under_way.pop_front().unwrap_or(0)) * self.gain;
            *heard = heard.saturating_add(to_pcm(echo));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Line;

    #[test]
    fn the_echoes_have_their_delay_and_level() {
        let mut signal = [0i16; 400];
        signal[10] = 10_000;
        let heard = Line::new(1).listener_echo(Duration::from_millis(20), 20.0).pass(&signal);
        assert_eq!((heard[10], heard[170]), (10_000, 1000));
        assert_eq!(heard.iter().filter(|&&s| s != 0).count(), 2);

        let mut heard = [5i16; 400];
        let mut echo = TalkerEcho::new(Duration::from_millis(40), 40.0);
        for (sent, heard) in signal.chunks(160).zip(heard.chunks_mut(160)) {
            echo.mix(sent, heard);
        }
        assert_eq!((heard[10], heard[330]), (5, 105));
    }
}
