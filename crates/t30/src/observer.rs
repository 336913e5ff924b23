//! A call overheard: what both terminals say to each other, read without taking part (T.30 §5.3.6, Annex A).
//!
//! [`Observer`] is told what was heard on each wire, says what the receiver of a wire should listen for next,
//! which frames passed, and what the pages are, where they are of a kind that we can decode. It believes what it hears
//! and waits for nothing.

use crate::api::Role;
use crate::dis::Fif;
use crate::ecm::Block;
use crate::frames::{Fcf, Fcf2, Frame};
use crate::negotiate::{self, Agreed};
use crate::rates;
use crate::tcf::Check;
use bytes::Bytes;
use fax_base::line::{Channel, Framing, Heard, Listen, Modulation, Tone, Training};
use fax_base::page::PageFormat;
use std::collections::VecDeque;

/// Frames of one burst at most: a block has 256, and a sender may repeat some.
const MAX_BURST: usize = 1024;

/// A wire: where each direction was recorded by itself there are two, else one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Side {
    /// The first, or the only one.
    First,
    /// The other direction.
    Second,
}

impl Side {
    /// Both.
    pub const ALL: [Side; 2] = [Side::First, Side::Second];

    const fn index(self) -> usize {
        match self {
            Side::First => 0,
            Side::Second => 1,
        }
    }
}

/// What a page came to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Answer {
    /// MCF or PIP.
    Confirmed,
    /// RTP: readable, not good.
    Poor,
    /// RTN or PIN.
    Refused,
    /// None was heard.
    Missing,
}

/// What an observer has to say, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum Observation {
    /// The receiver of this wire should listen for this from now on.
    Listen(Side, Listen),
    /// A tone of phase A.
    Tone(Side, Tone),
    /// A good control frame.
    Frame {
        /// Where.
        side: Side,
        /// Who sent it, by its own words.
        sender: Role,
        /// Its name as printed in T.30.
        name: &'static str,
        /// Its octets, from the address on.
        octets: Bytes,
    },
    /// A control frame with a wrong FCS.
    FrameBad(Side),
    /// A training check passed by.
    TrainingCheck {
        /// Modulation and rate.
        modulation: Modulation,
        /// As this observer judges it.
        good: bool,
    },
    /// A page begins.
    PageStart {
        /// From 0, refused ones counted.
        index: usize,
        /// How it is coded.
        format: PageFormat,
        /// How it goes over the line.
        modulation: Modulation,
    },
    /// The next octets of the page.
    PageData(Bytes),
    /// About so many octets of the page are missing here.
    PageLost {
        /// How many.
        octets: usize,
    },
    /// The page is over.
    PageDone(Answer),
}

/// What the image channel carries next.
#[derive(Debug)]
enum Next {
    Nothing,
    TrainingCheck(Check),
    Page,
}

/// The last partial page signal (or EOR) that was not answered yet.
#[derive(Clone, Copy, Debug)]
struct Partial {
    /// Page and block.
    number: [u8; 2],
    ends: Fcf2,
}

/// Reads a call. See the module.
#[derive(Debug)]
pub struct Observer {
    mixed: bool,
    roles: [Option<Role>; 2],
    /// Who sends, and how.
    message: Option<(Side, Agreed)>,
    /// What is sent can be decoded here. What cannot is overheard all the same: the two ends need not be like us.
    readable: bool,
    next: Next,
    page: bool,
    pages: usize,
    /// Without ECM: the post-message command was heard.
    commanded: bool,
    burst: Vec<Frame>,
    block: Block,
    partial: Option<Partial>,
    out: VecDeque<Observation>,
}

impl Observer {
    /// An observer that has heard nothing. `mixed`: both ends are on the first wire.
    #[must_use]
    pub fn new(mixed: bool) -> Self {
        Observer {
            mixed,
            roles: [None; 2],
            message: None,
            readable: false,
            next: Next::Nothing,
            page: false,
            pages: 0,
            commanded: false,
            burst: Vec::new(),
            block: Block::default(),
            partial: None,
            out: VecDeque::new(),
        }
    }

    /// The next thing to be said.
    pub fn poll(&mut self) -> Option<Observation> {
        self.out.pop_front()
    }

    /// Something was heard on this wire.
    pub fn hear(&mut self, side: Side, heard: Heard) {
        let ours = self.message.as_ref().is_some_and(|(sender, _)| *sender == side);
        match heard {
            Heard::Tone(tone) => self.out.push_back(Observation::Tone(side, tone)),
            Heard::Frame { channel: Channel::Control, octets, good } => match Frame::parse(&octets) {
                Some(frame) if good => self.control(side, &frame),
                Some(_) | None => self.out.push_back(Observation::FrameBad(side)),
            },
            Heard::Frame { channel: Channel::Image(_), octets, good } => {
                if let Some(frame) = Frame::parse(&octets)
                    && good
                    && ours
                    && self.burst.len() < MAX_BURST
                {
                    if frame.fcf == Fcf::Fcd {
                        self.open_page();
                    }
                    self.burst.push(frame);
                }
            }
            Heard::Bits { octets, .. } if ours => match &mut self.next {
                Next::Nothing => {}
                Next::TrainingCheck(check) => check.take(&octets),
                Next::Page => self.data(octets),
            },
            Heard::Lost { octets } if ours => match &mut self.next {
                Next::TrainingCheck(check) => check.lose(octets),
                Next::Page if self.page => self.out.push_back(Observation::PageLost { octets }),
                Next::Nothing | Next::Page => {}
            },
            Heard::Bits { .. } | Heard::Lost { .. } | Heard::CarrierUp(_) => {}
            Heard::CarrierDown(Channel::Control) => {}
            Heard::CarrierDown(Channel::Image(_)) => {
                if ours {
                    self.judge_check();
                }
            }
        }
    }

    /// Nothing more will be heard.
    pub fn finish(&mut self) {
        self.judge_check();
        self.close();
    }

    /// Page data without ECM.
    fn data(&mut self, octets: Bytes) {
        let with_ecm = self.message.as_ref().is_some_and(|(_, agreed)| agreed.format.ecm);
        if !with_ecm && !self.commanded && self.readable {
            self.open_page();
            self.out.push_back(Observation::PageData(octets));
        }
    }

    fn judge_check(&mut self) {
        let (Next::TrainingCheck(check), Some((_, agreed))) = (&self.next, &self.message) else {
            return;
        };
        if check.anything() {
            let (modulation, good) = (agreed.modulation, check.good());
            self.out.push_back(Observation::TrainingCheck { modulation, good });
            self.next = Next::Nothing;
        }
    }

    fn control(&mut self, side: Side, frame: &Frame) {
        self.judge_check();
        let sender = self.sender(side, frame);
        let (name, octets) = (frame.name(), frame.octets.clone());
        self.out.push_back(Observation::Frame { side, sender, name, octets });
        match frame.fcf {
            Fcf::Dcs => {
                self.close();
                let dcs = Fif::parse(&frame.fif);
                let read = negotiate::read_dcs(&dcs);
                self.readable = read.is_some();
                self.message = read.or_else(|| negotiate::carried(&dcs)).map(|agreed| (side, agreed));
                if let Some((_, agreed)) = &self.message {
                    self.next = Next::TrainingCheck(Check::new(agreed.modulation));
                    self.listen(Training::Long, Framing::Raw);
                }
            }
            Fcf::Cfr => self.expect_page(Training::Short),
            Fcf::Ftt => self.next = Next::Nothing,
            Fcf::Ctc => {
                if let (Some((_, agreed)), Some(modulation)) =
                    (&mut self.message, rates::from_dcs(&Fif::parse(&frame.fif)))
                {
                    agreed.modulation = modulation;
                }
            }
            Fcf::Ctr => self.expect_page(Training::Long),
            Fcf::Mps | Fcf::Eom | Fcf::Eop | Fcf::Eos | Fcf::PriMps | Fcf::PriEom | Fcf::PriEop => {
                self.commanded = self.page;
            }
            Fcf::Pps | Fcf::Eor => self.partial_page(frame),
            Fcf::Mcf | Fcf::Pip => self.answered(Answer::Confirmed),
            Fcf::RetrainPositive => self.answered(Answer::Poor),
            Fcf::Rtn | Fcf::Pin => self.answered(Answer::Refused),
            // The block that was given up stays as it is.
            Fcf::Err => self.answered(Answer::Missing),
            Fcf::Ppr => self.expect_page(Training::Short),
            Fcf::Dcn => self.close(),
            _ => {}
        }
    }

    /// Who speaks: DIS comes from the called end and DTC from the calling one, and the first bit of the other
    /// fields says which end received DIS (T.30 §5.3.6.1). What a wire said first counts for it from then on.
    fn sender(&mut self, side: Side, frame: &Frame) -> Role {
        let first_bit = frame.octets.get(2).is_some_and(|fcf| fcf & 0x80 != 0);
        let by_field = if first_bit { Role::Calling } else { Role::Called };
        match self.roles.get_mut(side.index()) {
            Some(role) if !self.mixed => *role.get_or_insert(by_field),
            Some(_) | None => by_field,
        }
    }

    fn listen(&mut self, training: Training, framing: Framing) {
        if let Some((side, Agreed { modulation, .. })) = self.message {
            let listen = Listen::Image { modulation, training, framing };
            self.out.push_back(Observation::Listen(side, listen));
        }
    }

    fn expect_page(&mut self, training: Training) {
        if let Some((_, agreed)) = &self.message {
            let framing = if agreed.format.ecm { Framing::Hdlc } else { Framing::Raw };
            self.next = Next::Page;
            self.listen(training, framing);
        }
    }

    fn open_page(&mut self) {
        if let Some((_, agreed)) = &self.message
            && !self.page
            && self.readable
        {
            self.page = true;
            self.commanded = false;
            let (index, format, modulation) = (self.pages, agreed.format, agreed.modulation);
            self.pages += 1;
            self.out.push_back(Observation::PageStart { index, format, modulation });
        }
    }

    /// PPS or EOR: the burst before it belongs to the block that it names.
    fn partial_page(&mut self, frame: &Frame) {
        let mut numbers = frame.fif.iter().skip(1).copied();
        let ends = frame.fcf2().unwrap_or(Fcf2::Null);
        let number = match (frame.fcf, self.partial) {
            // EOR names none: it means the last one.
            (Fcf::Eor, Some(partial)) => partial.number,
            _ => [numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)],
        };
        // The answer to the one before was not heard.
        if let Some(partial) = self.partial.filter(|p| p.number != number) {
            self.settle_block(partial, Answer::Missing);
        }
        for frame in self.burst.drain(..) {
            self.block.take(&frame);
        }
        if let Some(count) = numbers.next() {
            self.block.state_count(usize::from(count.reverse_bits()) + 1);
        }
        self.partial = Some(Partial { number, ends });
    }

    fn answered(&mut self, answer: Answer) {
        if let Some(partial) = self.partial {
            self.settle_block(partial, answer);
        } else if self.page && self.commanded {
            self.end_page(answer);
        }
        self.expect_page(Training::Short);
    }

    fn settle_block(&mut self, partial: Partial, answer: Answer) {
        self.partial = None;
        let block = core::mem::take(&mut self.block);
        if (block.is_empty() && !self.page) || !self.readable {
            return;
        }
        self.open_page();
        for part in block.content() {
            self.out.push_back(match part {
                Ok(octets) => Observation::PageData(octets),
                Err(octets) => Observation::PageLost { octets },
            });
        }
        if partial.ends != Fcf2::Null {
            self.end_page(answer);
        }
    }

    fn end_page(&mut self, answer: Answer) {
        if self.page {
            self.page = false;
            self.commanded = false;
            self.out.push_back(Observation::PageDone(answer));
        }
    }

    /// Whatever was under way is over.
    fn close(&mut self) {
        for frame in core::mem::take(&mut self.burst) {
            self.block.take(&frame);
        }
        let ends = self.partial.map_or(Fcf2::Eop, |partial| partial.ends);
        self.settle_block(Partial { number: [0; 2], ends }, Answer::Missing);
        self.end_page(Answer::Missing);
        self.next = Next::Nothing;
    }
}

#[cfg(test)]
mod tests;
