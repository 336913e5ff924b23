//! A page with error correction: blocks, PPS, PPR, RNR, CTC and EOR (T.30 Annex A).

use crate::api::{Event, Phase};
use crate::call::{Burst, Call, On, burst, image_training};
use crate::cause::Cause;
use crate::ecm::{self, BLOCK_FRAMES};
use crate::exchange::{Exchange, Reply};
use crate::frames::{Fcf, Fcf2};
use crate::negotiate::Agreed;
use crate::release;
use crate::send::{self, Again, message, operator};
use crate::session::State;
use crate::timers::{self, Timer};
use bytes::Bytes;
use fax_base::line::{Modulation, Training, Transmit};

/// So many partial page requests for one block, then CTC or EOR (T.30 Annex A.4).
const REQUESTS: u32 = 4;
/// CTC keeps the rate while of every so many frames that were asked for at least one has arrived since.
const PROGRESS: usize = 3;

/// The page in hand and its block in hand.
#[derive(Debug)]
pub(crate) struct Blocks {
    page: Bytes,
    /// What follows the page.
    second: Fcf2,
    /// The block in hand, from 0.
    block: usize,
    frames: Vec<Bytes>,
    /// Frames that the far end still wants.
    wanted: Vec<usize>,
    /// Partial page requests since the block began or the last CTC.
    requests: u32,
    /// How many frames the first of them asked for.
    wanted_first: usize,
    modulation: Modulation,
    training: Training,
    /// Octets of coded data in a frame.
    frame_octets: usize,
}

/// Begins to send a page.
pub(crate) fn begin(call: &mut Call, page: Bytes, second: Fcf2, agreed: &Agreed) -> State {
    let modulation = agreed.modulation;
    let mut blocks = Box::new(Blocks {
        page,
        second,
        block: 0,
        frames: Vec::new(),
        wanted: Vec::new(),
        requests: 0,
        wanted_first: 0,
        modulation,
        training: image_training(modulation),
        frame_octets: agreed.frame_octets(),
    });
    blocks.load();
    blocks.send(call)
}

impl Blocks {
    fn load(&mut self) {
        let start = self.block.saturating_mul(self.block_octets()).min(self.page.len());
        let end = start.saturating_add(self.block_octets()).min(self.page.len());
        self.frames = ecm::cut(&self.page.slice(start..end), self.frame_octets);
        self.wanted = (0..self.frames.len()).collect();
        self.requests = 0;
    }

    fn block_octets(&self) -> usize {
        self.frame_octets * BLOCK_FRAMES
    }

    fn is_last(&self) -> bool {
        (self.block + 1).saturating_mul(self.block_octets()) >= self.page.len()
    }

    /// What PPS and EOR say after this block.
    fn follows(&self) -> Fcf2 {
        if self.is_last() { self.second } else { Fcf2::Null }
    }

    fn pps(&self, call: &Call) -> Bytes {
        let octet = |n: usize| u8::try_from(n % 256).unwrap_or(0).reverse_bits();
        let fif = [
            self.follows().octet(call.x),
            call.transmission.counter.reverse_bits(),
            octet(self.block),
            octet(self.wanted.len().saturating_sub(1)),
        ];
        call.frame(Fcf::Pps, &fif)
    }

    /// Sends the wanted frames and PPS.
    fn send(self: Box<Self>, call: &mut Call) -> State {
        let mut blocks = self;
        if !blocks.wanted.is_empty() && send::too_fast(call) {
            return blocks.slow_down(call);
        }
        call.enter(Phase::C);
        let mut frames: Vec<Bytes> =
            blocks.wanted.iter().filter_map(|i| blocks.frames.get(*i).cloned()).collect();
        let mut image = Vec::new();
        // A request for nothing gets PPS alone.
        if !frames.is_empty() {
            frames.extend(ecm::closing());
            image.push(Transmit::Silence(timers::GAP));
            image.push(Transmit::Frames { modulation: blocks.modulation, training: blocks.training, frames });
            blocks.training = image_training(blocks.modulation);
        }
        let command = burst(vec![blocks.pps(call)]);
        let exchange = Exchange::begin(call, image, command);
        State::PartialPage(PartialPage { blocks, exchange })
    }

    /// The line below us has become one that does not carry this rate: CTC for frames that were asked for, training for
    /// others.
    fn slow_down(self: Box<Self>, call: &mut Call) -> State {
        let slower = if self.requests > 0 { call.transmission.ladder.at_most(call.line_rate) } else { None };
        match slower {
            Some(modulation) => self.continue_to_correct(call, modulation),
            None => send::begin(call),
        }
    }

    /// The far end has the block.
    fn confirmed(self: Box<Self>, call: &mut Call, poor: bool) -> State {
        let mut blocks = self;
        if blocks.is_last() {
            return send::confirmed(call, blocks.second, poor);
        }
        blocks.block += 1;
        blocks.load();
        blocks.send(call)
    }

    /// The far end wants these frames again.
    fn requested(self: Box<Self>, call: &mut Call, map: &[u8]) -> State {
        let mut blocks = self;
        if map.len() != ecm::MAP_OCTETS {
            return release::disconnect(call, Some(Cause::EcmBroken));
        }
        blocks.wanted = ecm::requested(map, blocks.frames.len());
        if !blocks.wanted.is_empty() {
            // It lacks something, so it does not have the page, unless it had taken it before.
            let index = call.transmission.index();
            call.tally.page_uncertain = call.transmission.unanswered.then_some(index);
        }
        blocks.requests += 1;
        if blocks.requests == 1 {
            blocks.wanted_first = blocks.wanted.len();
        }
        let count = u32::try_from(blocks.wanted.len()).unwrap_or(u32::MAX);
        call.tally.resends = call.tally.resends.saturating_add(count);
        call.frames_again(count);
        call.event(Event::Resend { index: call.transmission.index(), frames: count });
        let must_slow_down = !blocks.wanted.is_empty() && send::too_fast(call);
        if blocks.requests < REQUESTS || must_slow_down {
            return blocks.send(call);
        }
        // A slower rate helps against noise; packets that are lost now and then it makes no rarer.
        let arrived = blocks.wanted_first.saturating_sub(blocks.wanted.len());
        if arrived > 0 && arrived.saturating_mul(PROGRESS) >= blocks.wanted_first {
            let modulation = blocks.modulation;
            return blocks.continue_to_correct(call, modulation);
        }
        match call.transmission.ladder.fall_back() {
            Some(modulation) => blocks.continue_to_correct(call, modulation),
            None => blocks.give_up(call),
        }
    }

    fn continue_to_correct(self: Box<Self>, call: &mut Call, modulation: Modulation) -> State {
        let mut blocks = self;
        blocks.modulation = modulation;
        if let Some(agreed) = &mut call.transmission.agreed {
            agreed.modulation = modulation;
            let agreed = *agreed;
            call.tally.agreed = Some(agreed);
            call.event(Event::Negotiated { format: agreed.format, modulation });
        }
        let fif = send::dcs_now(call).to_octets();
        let frame = call.frame(Fcf::Ctc, fif.get(..2).unwrap_or(&[0, 0]));
        let exchange = Exchange::begin(call, Vec::new(), burst(vec![frame]));
        State::ContinueToCorrect(ContinueToCorrect { blocks, exchange })
    }

    fn give_up(&self, call: &mut Call) -> State {
        let frame = call.frame(Fcf::Eor, &[self.follows().octet(call.x)]);
        let exchange = Exchange::begin(call, Vec::new(), burst(vec![frame]));
        State::EndOfRetransmission(EndOfRetransmission { exchange })
    }

    /// The far end is not ready: ask until it is, or T5 runs out.
    fn ask(self: Box<Self>, call: &mut Call) -> State {
        if call.timers.get(Timer::T5).is_none() {
            call.timers.set(Timer::T5, call.now + timers::T5);
        }
        let command = burst(vec![call.frame(Fcf::Rr, &[])]);
        let exchange = Exchange::begin(call, Vec::new(), command);
        State::ReceiveReady(ReceiveReady { blocks: Some(self), exchange })
    }

    /// An answer to PPS, or to RR after PPS.
    fn answered(self: Box<Self>, call: &mut Call, burst: Burst) -> State {
        if burst.last.fcf != Fcf::Rnr {
            call.timers.clear(Timer::T5);
        }
        match burst.last.fcf {
            Fcf::Mcf => self.confirmed(call, false),
            Fcf::Pip if self.is_last() => {
                let second = self.second;
                let mut plain = self;
                plain.second = second.without_interrupt();
                let command = crate::call::burst(vec![plain.pps(call)]);
                operator::positive(call, second, command)
            }
            // Between the blocks of a page nobody talks.
            Fcf::Pip => self.confirmed(call, false),
            Fcf::Pin => operator::negative(call, self.second),
            Fcf::RetrainPositive => self.confirmed(call, true),
            Fcf::Ppr => self.requested(call, &burst.last.fif),
            Fcf::Rnr => self.ask(call),
            Fcf::Rtn => send::refused(call, Cause::PageRefused, Again::Slower),
            Fcf::Pid if self.is_last() => message::interrupted(call),
            Fcf::Err | Fcf::Ctr => release::disconnect(call, Some(Cause::EcmBroken)),
            Fcf::Dis | Fcf::Dtc if !self.is_last() => {
                send::refused(call, Cause::NoResponseAfterPage, Again::CutShort(burst))
            }
            Fcf::Dis | Fcf::Dtc => send::refused(call, Cause::NoResponseAfterPage, Again::Identified(burst)),
            _ => release::disconnect(call, Some(Cause::InvalidResponseAfterPage)),
        }
    }
}

/// Frames and PPS are being sent, or were, and an answer is awaited.
#[derive(Debug)]
pub(crate) struct PartialPage {
    blocks: Box<Blocks>,
    exchange: Exchange,
}

impl PartialPage {
    pub(crate) fn on(mut self, call: &mut Call, on: On) -> State {
        // What has left need not be sent at a rate at all.
        if matches!(on, On::LineChanged) && self.exchange.sends_image() && send::too_fast(call) {
            return send::begin(call);
        }
        match self.exchange.on(call, on) {
            Reply::Wait => State::PartialPage(self),
            Reply::Left => {
                call.enter(Phase::D);
                if self.blocks.is_last() {
                    send::page_sent(call);
                }
                State::PartialPage(self)
            }
            Reply::Disconnected => release::end(call, Some(Cause::DisconnectedAfterPage)),
            Reply::Silence => release::disconnect(call, Some(Cause::NoResponseAfterPage)),
            Reply::Frames(burst) => {
                call.transmission.doubtful |= self.blocks.is_last() && self.exchange.repeated();
                self.blocks.answered(call, burst)
            }
        }
    }
}

/// The far end said RNR; RR asks whether it is ready by now.
#[derive(Debug)]
pub(crate) struct ReceiveReady {
    /// The page in hand; none when it was given up with EOR.
    blocks: Option<Box<Blocks>>,
    exchange: Exchange,
}

impl ReceiveReady {
    pub(crate) fn on(mut self, call: &mut Call, on: On) -> State {
        if matches!(on, On::Expired(Timer::T5)) {
            return release::disconnect(call, Some(Cause::RemoteBusy));
        }
        let burst = match self.exchange.on(call, on) {
            Reply::Wait | Reply::Left => return State::ReceiveReady(self),
            Reply::Disconnected => {
                return release::end(call, Some(Cause::DisconnectedAfterPage));
            }
            Reply::Silence => {
                return release::disconnect(call, Some(Cause::NoResponseAfterPage));
            }
            Reply::Frames(burst) => burst,
        };
        match self.blocks {
            Some(blocks) => {
                call.transmission.doubtful |= blocks.is_last() && self.exchange.repeated();
                blocks.answered(call, burst)
            }
            None => gave_up(call, &burst),
        }
    }
}

/// CTC was sent, CTR is awaited.
#[derive(Debug)]
pub(crate) struct ContinueToCorrect {
    blocks: Box<Blocks>,
    exchange: Exchange,
}

impl ContinueToCorrect {
    pub(crate) fn on(mut self, call: &mut Call, on: On) -> State {
        match self.exchange.on(call, on) {
            Reply::Wait | Reply::Left => State::ContinueToCorrect(self),
            Reply::Disconnected => release::end(call, Some(Cause::DisconnectedAfterPage)),
            Reply::Silence => release::disconnect(call, Some(Cause::NoResponseAfterPage)),
            Reply::Frames(burst) => match burst.last.fcf {
                Fcf::Ctr => {
                    self.blocks.requests = 0;
                    self.blocks.training = Training::Long;
                    self.blocks.send(call)
                }
                // It did not hear CTC.
                Fcf::Ppr => {
                    if self.exchange.again(call) {
                        State::ContinueToCorrect(self)
                    } else {
                        release::disconnect(call, Some(Cause::NoResponseAfterPage))
                    }
                }
                _ => release::disconnect(call, Some(Cause::InvalidResponseAfterPage)),
            },
        }
    }
}

/// EOR was sent, ERR is awaited; the page is lost.
#[derive(Debug)]
pub(crate) struct EndOfRetransmission {
    exchange: Exchange,
}

impl EndOfRetransmission {
    pub(crate) fn on(mut self, call: &mut Call, on: On) -> State {
        match self.exchange.on(call, on) {
            Reply::Wait | Reply::Left => State::EndOfRetransmission(self),
            Reply::Disconnected => release::end(call, Some(Cause::EcmGaveUp)),
            Reply::Silence => release::disconnect(call, Some(Cause::EcmGaveUp)),
            Reply::Frames(burst) => gave_up(call, &burst),
        }
    }
}

/// What the far end says to EOR. Later pages would leave a hole in the document, so the call ends.
fn gave_up(call: &mut Call, burst: &Burst) -> State {
    match burst.last.fcf {
        Fcf::Rnr => {
            if call.timers.get(Timer::T5).is_none() {
                call.timers.set(Timer::T5, call.now + timers::T5);
            }
            let command = crate::call::burst(vec![call.frame(Fcf::Rr, &[])]);
            let exchange = Exchange::begin(call, Vec::new(), command);
            State::ReceiveReady(ReceiveReady { blocks: None, exchange })
        }
        _ => release::disconnect(call, Some(Cause::EcmGaveUp)),
    }
}
