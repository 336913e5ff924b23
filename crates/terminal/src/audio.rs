//! The line while it is audio: T.30's words as tones and modem signals (T.30 §4, §5; V.21, V.27ter,
//! V.29, V.17). What leaves is in `sending`, which receiver listens when in `listening`.

mod control;
mod gaps;
mod image;
mod listening;
mod sending;

use crate::api::{AudioOptions, Signal};
use fax_base::line::{Heard, Listen, Transmit};
use gaps::{Gaps, Verdict};
use listening::Listening;
use sending::Sending;

/// What the line has to tell, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum Told {
    /// A word for T.30.
    Heard(Heard),
    /// The control frame that comes next had lost so many bits and was put together again.
    Repaired {
        /// How many.
        bits: u32,
    },
    /// News of the fast modem's signal.
    Signal(Signal),
}

/// The audio line.
#[derive(Debug)]
pub struct AudioLine {
    sending: Sending,
    listening: Listening,
    gaps: Gaps,
}

impl AudioLine {
    /// A line on which nothing was said yet.
    #[must_use]
    pub fn new(options: AudioOptions) -> Self {
        AudioLine { sending: Sending::new(options), listening: Listening::new(), gaps: Gaps::new() }
    }

    /// Sends this after everything that was given before.
    pub fn push(&mut self, transmit: Transmit) {
        self.sending.push(transmit);
    }

    /// Stops sending at once and forgets what waits.
    pub fn stop(&mut self) {
        self.sending.stop();
        self.listening.set_deaf(false);
    }

    /// Listens for this from now on.
    pub fn listen(&mut self, listen: Listen) {
        self.listening.expect(listen);
    }

    /// The last points of the far end's fast modem.
    #[must_use]
    pub fn constellation(&self) -> &[[f32; 2]] {
        self.listening.constellation()
    }

    /// Whether anything is being sent or waits.
    #[must_use]
    pub fn is_sending(&self) -> bool {
        self.sending.is_busy()
    }

    /// The next samples for the far end; fewer than there is room for mean that everything has left.
    pub fn transmit(&mut self, out: &mut [i16]) -> usize {
        let made = self.sending.transmit(out);
        self.listening.set_deaf(self.sending.is_modem());
        made
    }

    /// The far end's next samples.
    pub fn receive(&mut self, samples: &[i16], told: &mut Vec<Told>) {
        match self.gaps.judge(samples, self.listening.is_in_signal()) {
            Verdict::Audio { lost } => {
                self.listening.lost(lost, told);
                self.listening.receive(samples, told);
            }
            Verdict::Held => {}
            Verdict::Lost { lost } => self.listening.lost(lost.saturating_add(samples.len()), told),
            Verdict::Over { silent } => {
                let mut left = silent;
                while left > 0 {
                    let part = [0; 160].get(..left.min(160)).unwrap_or_default();
                    self.listening.receive(part, told);
                    left -= part.len();
                }
                self.listening.receive(samples, told);
            }
        }
    }

    /// So many samples of the far end were lost.
    pub fn lost(&mut self, samples: usize, told: &mut Vec<Told>) {
        let held = self.gaps.lost();
        self.listening.lost(held.saturating_add(samples), told);
    }
}
