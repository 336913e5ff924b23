//! Hearing the far end: V.21 signals become bursts, echoes and our own time on the line are left out
//! (T.30 §5.3, §5.4; T.4 Annex A for the frames of the image channel).

use super::{Burst, Call, ImageSignal, On};
use crate::api::Event;
use crate::frames::{Fcf, Frame};
use crate::timers::{self, Timer};
use bytes::Bytes;
use fax_base::Instant;
use fax_base::line::{Channel, Heard};

/// Frames of one burst at most: more is nonsense and would only cost memory.
const BURST_FRAMES: usize = 32;

/// The far end's V.21 signal.
#[derive(Clone, Debug, Default)]
pub(super) struct Signalling {
    pub(super) up: bool,
    began: Instant,
    frames: Vec<Frame>,
    any_frame: bool,
    /// It began while we were sending, or one of its frames was ours: an echo, most likely.
    own: bool,
    /// The final frame was given to the state; what follows is tail.
    done: bool,
}

impl Call {
    /// Takes in what was heard; answers what the state is to be told.
    pub(crate) fn hear(&mut self, heard: Heard) -> Option<On> {
        match heard {
            Heard::Tone(tone) => Some(On::Tone(tone)),
            Heard::CarrierUp(Channel::Control) => self.flags(),
            Heard::CarrierUp(Channel::Image(_)) => self.image(ImageSignal::Up),
            Heard::Frame { channel: Channel::Control, octets, good } => self.control(&octets, good),
            Heard::Frame { channel: Channel::Image(_), octets, good } => {
                let frame = Frame::parse(&octets).filter(|_| good);
                self.image(frame.map_or(ImageSignal::BadFrame, ImageSignal::Frame))
            }
            Heard::Bits { modulation: _, octets } => self.image(ImageSignal::Bits(octets)),
            Heard::Lost { octets } => self.image(ImageSignal::Lost(octets)),
            Heard::CarrierDown(Channel::Control) => self.signalling_ends(),
            Heard::CarrierDown(Channel::Image(_)) => self.image(ImageSignal::Down),
        }
    }

    fn image(&mut self, signal: ImageSignal) -> Option<On> {
        // Half duplex: while we send, this is nothing but our own echo.
        (!self.transmitting).then_some(On::Image(signal))
    }

    fn flags(&mut self) -> Option<On> {
        if self.signalling.up {
            return None;
        }
        self.signalling = Signalling {
            up: true,
            began: self.now,
            own: self.transmitting && !self.calling_tone,
            ..Signalling::default()
        };
        self.timers.set(Timer::Frame, self.now + timers::FRAME);
        self.hold_search();
        Some(On::Flags)
    }

    fn control(&mut self, octets: &Bytes, good: bool) -> Option<On> {
        // Its flags may not have been told, or not have been heard.
        let began = if self.signalling.up { None } else { self.flags() };
        let Some(frame) = Frame::parse(octets).filter(|_| good) else {
            if !good {
                self.event(Event::FrameBad);
            }
            self.timers.set(Timer::Frame, self.now + timers::FRAME);
            self.signalling.any_frame = true;
            return began;
        };
        if self.is_echo(&frame) {
            self.signalling.own = true;
            self.timers.set(Timer::Frame, self.now + timers::FRAME);
            return None;
        }
        let name = frame.name();
        self.tally.last_received = Some(name);
        self.tally.last_timer = None;
        self.event(Event::FrameReceived { name, octets: octets.clone() });
        self.signalling.any_frame = true;
        if self.signalling.frames.len() < BURST_FRAMES {
            self.signalling.frames.push(frame.clone());
        }
        if !frame.last {
            self.timers.set(Timer::Frame, self.now + timers::FRAME);
            return began;
        }
        self.asked = 0;
        let frames = core::mem::take(&mut self.signalling.frames);
        self.signalling.done = true;
        self.timers.set(Timer::Frame, self.now + timers::FRAME);
        // While we send, the far end has most likely not heard us out and will speak again; only
        // its farewell is final.
        if self.transmitting && !self.calling_tone && frame.fcf != Fcf::Dcn {
            return None;
        }
        Some(On::Burst(Burst { frames, last: frame, began: self.signalling.began }))
    }

    fn is_echo(&self, frame: &Frame) -> bool {
        self.last_burst.contains(&frame.octets) && !matches!(frame.fcf, Fcf::Dcn | Fcf::Crp)
    }

    pub(super) fn signalling_ends(&mut self) -> Option<On> {
        if !self.signalling.up {
            return None;
        }
        self.timers.clear(Timer::Frame);
        let ended = core::mem::take(&mut self.signalling);
        if !self.gated.is_empty() {
            self.flush();
            return None;
        }
        if self.transmitting {
            return None;
        }
        self.resume_search();
        if ended.own && !ended.any_frame {
            return None;
        }
        (!ended.done).then_some(On::BurstLost { frames: ended.any_frame })
    }
}
