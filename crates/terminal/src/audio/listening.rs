//! Which receiver listens when (T.30 §5.1, §5.3; V.17 §5).
//!
//! | what is on the line | tones | V.21 | fast modem |
//! | --- | --- | --- | --- |
//! | a modem of ours, and silence between two of our signals | – | – | – |
//! | a tone of ours, or nothing of ours | until the first V.21 flags | yes | when T.30 expects an image |
//!
//! The line is half duplex: what comes back while a modem of ours sends is our own echo. When it has
//! sent, the receivers begin afresh; only what the fast one learnt in a long training stays. V.21 and the
//! fast modem are heard side by side, and what cannot be mistaken wins: V.21 flags end an image whatever
//! its receiver thinks (so one whose training failed ends where the next command begins), and a training
//! that was followed ends a V.21 signal. A new modulation gets a new receiver; the same one with short
//! training keeps what it learnt. While the fast receiver reads so well that nothing else can be on the
//! line, and nothing was lost in which its signal may have ended, V.21 is not looked for: it begins with a
//! second of flags, and the end of the fast signal is known long before that is over.

use super::Told;
use super::control::Control;
use super::image::Image;
use fax_base::line::{Heard, Listen};
use fax_dsp::ToneDetector;

/// 2 s in samples: a loss is so long ago that an end in it would have shown.
const NO_LOSS: usize = 16_000;
/// 10 s in samples.
const LONGEST_LOSS: usize = 80_000;

/// All receivers.
#[derive(Debug)]
pub(super) struct Listening {
    /// While a modem of ours sends.
    deaf: bool,
    /// None from the first V.21 flags on.
    tones: Option<Box<ToneDetector>>,
    tones_heard: Vec<fax_base::line::Tone>,
    control: Control,
    /// The V.21 receiver was left out for a while.
    left_out: bool,
    /// Samples received since the last loss.
    since_loss: usize,
    /// The fast receiver of the last image expected.
    image: Option<Box<Image>>,
    /// Whether T.30 expects an image.
    image_expected: bool,
}

impl Listening {
    pub(super) fn new() -> Self {
        Listening {
            deaf: false,
            tones: Some(Box::new(ToneDetector::new())),
            tones_heard: Vec::with_capacity(4),
            control: Control::new(),
            left_out: false,
            since_loss: 0,
            image: None,
            image_expected: false,
        }
    }

    /// What T.30 expects from now on.
    pub(super) fn expect(&mut self, listen: Listen) {
        match listen {
            Listen::Control => self.image_expected = false,
            Listen::Image { modulation, training, framing } => {
                self.image_expected = true;
                match &mut self.image {
                    Some(image) if image.modulation() == modulation => image.expect(training, framing),
                    image => *image = Some(Box::new(Image::new(modulation, training, framing))),
                }
            }
        }
    }

    /// The last points of the image that is or was received.
    pub(super) fn constellation(&self) -> &[[f32; 2]] {
        self.image.as_ref().map_or(&[], |image| image.constellation())
    }

    /// Whether a modem of ours is on the line.
    pub(super) fn set_deaf(&mut self, deaf: bool) {
        if self.deaf && !deaf {
            self.control.begin();
            if let Some(image) = &mut self.image {
                image.begin();
            }
        }
        self.deaf = deaf;
    }

    /// Whether a signal is being received that cannot end here by itself.
    pub(super) fn is_in_signal(&self) -> bool {
        let image = self.image.as_ref().filter(|_| self.image_expected);
        !self.deaf && (self.control.is_amid_burst() || image.is_some_and(|image| image.is_followed()))
    }

    /// The far end's next samples.
    pub(super) fn receive(&mut self, samples: &[i16], told: &mut Vec<Told>) {
        if self.deaf {
            return;
        }
        if let Some(tones) = &mut self.tones {
            tones.receive(samples, &mut self.tones_heard);
            told.extend(self.tones_heard.drain(..).map(|tone| Told::Heard(Heard::Tone(tone))));
        }
        self.since_loss = self.since_loss.saturating_add(samples.len());
        if self.needs_control() {
            self.control.receive(samples);
        }
        if let Some(image) = self.image.as_mut().filter(|_| self.image_expected) {
            image.receive(samples, self.control.is_up(), told);
        }
        self.settle(told);
    }

    /// So many of the far end's samples were lost.
    pub(super) fn lost(&mut self, samples: usize, told: &mut Vec<Told>) {
        if self.deaf || samples == 0 {
            return;
        }
        if let Some(tones) = &mut self.tones {
            tones.receive_gap(samples);
        }
        // What is lost for longer is over anyway.
        let samples = samples.min(LONGEST_LOSS);
        self.since_loss = 0;
        if self.needs_control() {
            self.control.lost(samples);
        }
        if let Some(image) = self.image.as_mut().filter(|_| self.image_expected) {
            image.lost(samples, self.control.is_up(), told);
        }
        self.settle(told);
    }

    /// Whether V.21 may be on the line; when it may again, its receiver begins afresh.
    fn needs_control(&mut self) -> bool {
        let image = self.image.as_ref().filter(|_| self.image_expected);
        let sure = self.since_loss >= NO_LOSS && image.is_some_and(|image| image.is_beyond_doubt());
        if self.left_out && !sure {
            self.control.begin();
        }
        self.left_out = sure;
        !sure
    }

    /// One signal at a time: the one that cannot be mistaken.
    fn settle(&mut self, told: &mut Vec<Told>) {
        let came_up = self.control.came_up();
        if let Some(image) = self.image.as_mut().filter(|_| self.image_expected) {
            match (image.is_reading(), self.control.is_up()) {
                (true, true) if came_up => {
                    image.end(told);
                    image.begin();
                }
                (true, true) => self.control.end(),
                (false, true) if came_up => image.end(told),
                (false, true) | (_, false) => {}
            }
        }
        if self.control.is_up() {
            self.tones = None;
        }
        self.control.tell(told);
    }
}
