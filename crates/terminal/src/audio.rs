//! The line while it is audio: the tones of phase A are made and recognised (T.30 §4).
//!
//! Of everything else only the time it takes is kept, so that T.30's timing goes on: there is no modem
//! here yet, and a call that stays in audio ends by T.30's own timers.

use core::time::Duration;
use fax_base::Instant;
use fax_base::line::{Modulation, Tone, Training, Transmit};
use fax_dsp::{ToneDetector, ToneGenerator, tone::USUAL_LEVEL};
use std::collections::VecDeque;

/// What is on the line now.
#[derive(Debug)]
enum Sending {
    Quiet,
    Tone(ToneGenerator),
}

/// The audio line.
#[derive(Debug)]
pub(crate) struct AudioLine {
    queue: VecDeque<Transmit>,
    sending: Sending,
    until: Option<Instant>,
    detector: ToneDetector,
    tones: Vec<Tone>,
}

impl AudioLine {
    pub(crate) fn new() -> Self {
        AudioLine {
            queue: VecDeque::new(),
            sending: Sending::Quiet,
            until: None,
            detector: ToneDetector::new(),
            tones: Vec::with_capacity(4),
        }
    }

    pub(crate) fn push(&mut self, now: Instant, transmit: Transmit) {
        self.queue.push_back(transmit);
        if self.until.is_none() {
            self.begin(now);
        }
    }

    pub(crate) fn stop(&mut self) {
        self.queue.clear();
        self.until = None;
        self.sending = Sending::Quiet;
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.until
    }

    /// Goes on with what is waiting; true when everything has left.
    pub(crate) fn timeout(&mut self, now: Instant) -> bool {
        while let Some(until) = self.until.filter(|until| *until <= now) {
            self.sending = Sending::Quiet;
            self.until = None;
            self.begin(until);
            if self.until.is_none() {
                return true;
            }
        }
        false
    }

    fn begin(&mut self, now: Instant) {
        let Some(transmit) = self.queue.pop_front() else {
            return;
        };
        self.until = Some(now + duration(&transmit));
        self.sending = match transmit {
            Transmit::Tone(Tone::Cng, _) => Sending::Tone(ToneGenerator::cng(USUAL_LEVEL)),
            // The reversals keep echo cancellers out of the way of the modems to come.
            Transmit::Tone(Tone::Ced, _) => Sending::Tone(ToneGenerator::ced(USUAL_LEVEL, true)),
            Transmit::Silence(_) | Transmit::Control(_) | Transmit::Bits { .. } | Transmit::Frames { .. } => {
                Sending::Quiet
            }
        };
    }

    /// The next samples for the far end.
    pub(crate) fn transmit(&mut self, out: &mut [i16]) {
        match &mut self.sending {
            Sending::Quiet => out.fill(0),
            Sending::Tone(generator) => generator.transmit(out),
        }
    }

    /// Samples of the far end; the tones that became sure with them.
    pub(crate) fn receive(&mut self, samples: &[i16]) -> impl Iterator<Item = Tone> + '_ {
        self.detector.receive(samples, &mut self.tones);
        self.tones.drain(..)
    }

    pub(crate) fn lost(&mut self, samples: usize) {
        self.detector.receive_gap(samples);
    }
}

/// How long a modem would take for it (T.30 §5.3; V.17, V.29, V.27ter turn-on sequences).
fn duration(transmit: &Transmit) -> Duration {
    let octets = |n: usize, bit_rate: u32| {
        let bits = u64::try_from(n).unwrap_or(u64::MAX).saturating_mul(8);
        Duration::from_micros(bits.saturating_mul(1_000_000) / u64::from(bit_rate.max(1)))
    };
    // FCS and flag.
    let frames = |frames: &[bytes::Bytes]| frames.iter().map(|f| f.len() + 3).sum::<usize>();
    match transmit {
        Transmit::Silence(time) | Transmit::Tone(_, time) => *time,
        Transmit::Control(f) => Duration::from_secs(1) + octets(frames(f), 300),
        Transmit::Bits { modulation, training, octets: o } => {
            turn_on(*modulation, *training) + octets(o.len(), modulation.bit_rate())
        }
        Transmit::Frames { modulation, training, frames: f } => {
            turn_on(*modulation, *training)
                + Duration::from_millis(200)
                + octets(frames(f), modulation.bit_rate())
        }
    }
}

fn turn_on(modulation: Modulation, training: Training) -> Duration {
    Duration::from_millis(match (modulation, training) {
        (Modulation::V27ter2400, _) => 943,
        (Modulation::V27ter4800, _) => 708,
        (Modulation::V29At7200 | Modulation::V29At9600, _) => 253,
        (_, Training::Long) => 1393,
        (_, Training::Short) => 142,
    })
}
