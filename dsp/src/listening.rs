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

mod control;
mod gaps;
mod image;

use crate::ToneDetector;
use crate::modem::Quality;
use bytes::Bytes;
use control::Control;
use fax_base::line::{Channel, Heard, Listen, Modulation};
use gaps::{Gaps, Verdict};
use image::Image;

/// 2 s in samples: a loss is so long ago that an end in it would have shown.
const NO_LOSS: usize = 16_000;
/// 10 s in samples.
const LONGEST_LOSS: usize = 80_000;

/// News of a fast modem's signal from the far end.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Signal {
    /// Its training was followed.
    Trained {
        /// Modulation and rate.
        modulation: Modulation,
        /// How well it is received.
        quality: Quality,
    },
    /// Its training could not be followed.
    NotTrained {
        /// Modulation and rate.
        modulation: Modulation,
    },
    /// It is over.
    Over {
        /// Modulation and rate.
        modulation: Modulation,
        /// How well it was received.
        quality: Quality,
    },
}

/// What the receivers have to tell, in order.
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
    /// The next octets of a frame that is still coming; told only by [`Listening::in_pieces`]. The frame follows
    /// whole when it has ended.
    Piece {
        /// Where.
        channel: Channel,
        /// Its octets, in order from the address on.
        octets: Bytes,
    },
}

/// All receivers.
#[derive(Debug)]
pub struct Listening {
    gaps: Gaps,
    /// Frames are told as they come.
    pieces: bool,
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
    /// Receivers that have heard nothing. `known` are control frames that may come, from the address octet on:
    /// a damaged one that can be no other is taken for it.
    #[must_use]
    pub fn new(known: impl IntoIterator<Item = [u8; 3]>) -> Self {
        Listening {
            gaps: Gaps::new(),
            pieces: false,
            deaf: false,
            tones: Some(Box::new(ToneDetector::new())),
            tones_heard: Vec::with_capacity(4),
            control: Control::new(known),
            left_out: false,
            since_loss: 0,
            image: None,
            image_expected: false,
        }
    }

    /// The same, telling the octets of frames as they come ([`Told::Piece`]).
    #[must_use]
    pub fn in_pieces(known: impl IntoIterator<Item = [u8; 3]>) -> Self {
        let mut listening = Self::new(known);
        listening.pieces = true;
        listening.control.tell_pieces();
        listening
    }

    /// What T.30 expects from now on.
    pub fn expect(&mut self, listen: Listen) {
        match listen {
            Listen::Control => self.image_expected = false,
            Listen::Image { modulation, training, framing } => {
                self.image_expected = true;
                match &mut self.image {
                    Some(image) if image.modulation() == modulation => image.expect(training, framing),
                    image => {
                        let new = Image::new(modulation, training, framing, self.pieces);
                        *image = Some(Box::new(new));
                    }
                }
            }
        }
    }

    /// The last points of the image that is or was received.
    #[must_use]
    pub fn constellation(&self) -> &[[f32; 2]] {
        self.image.as_ref().map_or(&[], |image| image.constellation())
    }

    /// Whether a modem of ours is on the line.
    pub fn set_deaf(&mut self, deaf: bool) {
        if self.deaf && !deaf {
            self.control.begin();
            if let Some(image) = &mut self.image {
                image.begin();
            }
        }
        self.deaf = deaf;
    }

    /// Whether a signal is being received that cannot end here by itself.
    fn is_in_signal(&self) -> bool {
        let image = self.image.as_ref().filter(|_| self.image_expected);
        !self.deaf && (self.control.is_amid_burst() || image.is_some_and(|image| image.is_followed()))
    }

    /// Whether a signal is being received: V.21 flags or frames, or a fast modem's training or data.
    #[must_use]
    pub fn is_receiving(&self) -> bool {
        let image = self.image.as_ref().filter(|_| self.image_expected);
        !self.deaf && (self.control.is_up() || image.is_some_and(|image| image.is_followed()))
    }

    /// The far end's next samples.
    pub fn receive(&mut self, samples: &[i16], told: &mut Vec<Told>) {
        match self.gaps.judge(samples, self.is_in_signal()) {
            Verdict::Audio { lost } => {
                self.take_lost(lost, told);
                self.take(samples, told);
            }
            Verdict::Held => {}
            Verdict::Lost { lost } => self.take_lost(lost.saturating_add(samples.len()), told),
            Verdict::Over { silent } => {
                let mut left = silent;
                while left > 0 {
                    let part = [0; 160].get(..left.min(160)).unwrap_or_default();
                    self.take(part, told);
                    left -= part.len();
                }
                self.take(samples, told);
            }
        }
    }

    /// So many samples of the far end were lost.
    pub fn lost(&mut self, samples: usize, told: &mut Vec<Told>) {
        let held = self.gaps.lost();
        self.take_lost(held.saturating_add(samples), told);
    }

    fn take(&mut self, samples: &[i16], told: &mut Vec<Told>) {
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

    fn take_lost(&mut self, samples: usize, told: &mut Vec<Told>) {
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
