//! The line while it is audio: T.30's words as tones and modem signals (T.30 §4, §5; V.21, V.27ter,
//! V.29, V.17). What leaves is in `sending`; what comes is heard by [`fax_dsp::listening`].

mod sending;

use crate::api::AudioOptions;
use fax_base::line::{Listen, Transmit};
use fax_dsp::Listening;
pub use fax_dsp::listening::Told;
use sending::Sending;

/// The audio line.
#[derive(Debug)]
pub struct AudioLine {
    sending: Sending,
    listening: Listening,
}

impl AudioLine {
    /// A line on which nothing was said yet.
    #[must_use]
    pub fn new(options: AudioOptions) -> Self {
        let listening = Listening::new(fax_t30::frames::without_field());
        AudioLine { sending: Sending::new(options), listening }
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
        self.listening.receive(samples, told);
    }

    /// So many samples of the far end were lost.
    pub fn lost(&mut self, samples: usize, told: &mut Vec<Told>) {
        self.listening.lost(samples, told);
    }
}
