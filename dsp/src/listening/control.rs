//! V.21 heard: its bits become frames, flags make a carrier (T.30 §5.3; V.21 channel 2).

use super::Told;
use crate::FskReceiver;
use crate::modem::Event;
use bytes::Bytes;
use fax_base::hdlc::{Deframed, Deframer};
use fax_base::line::{Channel, Heard};

/// Damaged frames that are remembered, to be put together with their copies.
const COPIES: usize = 16;

/// The control octet of the last frame of a burst (T.30 §5.3.5).
const CONTROL_FINAL: u8 = 0xC8;

/// The V.21 receiver.
#[derive(Debug)]
pub(super) struct Control {
    modem: FskReceiver,
    events: Vec<Event>,
    deframer: Deframer,
    up: bool,
    /// It came up since it was asked last.
    came_up: bool,
    /// The frame that ends the burst has come.
    final_frame: bool,
    told: Vec<Told>,
}

impl Control {
    pub(super) fn new(known: impl IntoIterator<Item = [u8; 3]>) -> Self {
        let mut deframer = Deframer::new(COPIES);
        for frame in known {
            deframer.know(&frame);
        }
        Control {
            modem: FskReceiver::v21_channel_2(),
            events: Vec::with_capacity(16),
            deframer,
            up: false,
            came_up: false,
            final_frame: false,
            told: Vec::new(),
        }
    }

    /// Frames are told in pieces, too.
    pub(super) fn tell_pieces(&mut self) {
        self.deframer.in_pieces();
    }

    /// Whether flags were seen and the carrier is still there.
    pub(super) fn is_up(&self) -> bool {
        self.up
    }

    pub(super) fn receive(&mut self, samples: &[i16]) {
        self.modem.receive(samples, &mut self.events);
        self.take();
    }

    pub(super) fn lost(&mut self, samples: usize) {
        self.modem.receive_gap(samples, &mut self.events);
        self.take();
    }

    /// Whether a burst has begun whose final frame has not come.
    pub(super) fn is_amid_burst(&self) -> bool {
        self.up && !self.final_frame
    }

    /// Whether it came up since this was asked last.
    pub(super) fn came_up(&mut self) -> bool {
        core::mem::take(&mut self.came_up)
    }

    /// The signal is over, or something else is on the line.
    pub(super) fn end(&mut self) {
        self.deframer.end();
        self.frames();
        if self.up {
            self.up = false;
            self.told.push(Told::Heard(Heard::CarrierDown(Channel::Control)));
        }
    }

    fn take(&mut self) {
        let mut events = core::mem::take(&mut self.events);
        for event in events.drain(..) {
            match event {
                Event::CarrierUp | Event::Trained(_) | Event::TrainingFailed => {}
                Event::Bits { bits, count } => self.deframer.put(bits, count.into()),
                Event::Erased { bits } => self.deframer.lose(bits),
                Event::CarrierDown => self.end(),
            }
            self.frames();
        }
        self.events = events;
    }

    fn frames(&mut self) {
        let channel = Channel::Control;
        while let Some(deframed) = self.deframer.poll() {
            match deframed {
                Deframed::Flags => {
                    if !self.up {
                        self.final_frame = false;
                        self.up = true;
                        self.came_up = true;
                        self.told.push(Told::Heard(Heard::CarrierUp(channel)));
                    }
                }
                Deframed::Frame { octets, repaired } => {
                    if repaired > 0 {
                        self.told.push(Told::Repaired { bits: repaired });
                    }
                    self.final_frame = octets.get(1) == Some(&CONTROL_FINAL);
                    self.told.push(Told::Heard(Heard::Frame { channel, octets, good: true }));
                }
                Deframed::Piece(octets) => {
                    if self.up {
                        self.told.push(Told::Piece { channel, octets });
                    }
                }
                // Without flags before it this was noise.
                Deframed::Damaged if !self.up => {}
                Deframed::Damaged => {
                    self.told.push(Told::Heard(Heard::Frame { channel, octets: Bytes::new(), good: false }));
                }
            }
        }
    }

    /// Begins afresh; what came before is remembered, as it may come again.
    pub(super) fn begin(&mut self) {
        self.modem = FskReceiver::v21_channel_2();
        self.deframer.end();
        self.up = false;
        self.came_up = false;
        self.told.clear();
        while self.deframer.poll().is_some() {}
    }

    /// What was heard since the last time.
    pub(super) fn tell(&mut self, told: &mut Vec<Told>) {
        told.append(&mut self.told);
    }
}
