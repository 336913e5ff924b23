//! The page arriving: without error correction as bits, with it as frames (T.30 §5.2 flow chart,
//! phase C; Annex A.3).

use crate::api::Phase;
use crate::call::{Call, ImageSignal, On};
use crate::cause::Cause;
use crate::frames::Fcf;
use crate::receive::commands::{self, AwaitPostMessage};
use crate::receive::{page, patience, respond_again};
use crate::release;
use crate::session::State;
use crate::timers::{self, Timer};

/// The response has been given; a page, or part of one, should come.
#[derive(Debug)]
pub(crate) struct AwaitMessage;

/// An image signal where one may come.
pub(super) fn begin(call: &mut Call, signal: ImageSignal, stay: State) -> State {
    let Some(agreed) = call.reception.agreed else {
        return stay;
    };
    match &signal {
        // A carrier's end without its beginning, or a loss in silence.
        ImageSignal::Down | ImageSignal::Lost(_) | ImageSignal::BadFrame => return stay,
        ImageSignal::Up | ImageSignal::Bits(_) | ImageSignal::Frame(_) => {}
    }
    call.enter(Phase::C);
    // The sender does not wait for an answer that has not left yet.
    call.stop();
    call.stop_search();
    call.reception.image_since = true;
    call.image_begins();
    if let Some(over) = call.reception.image_over.take()
        && !agreed.format.ecm
    {
        // The carrier was away for a moment: so much of the page is missing.
        let micros = u64::try_from(call.now.since(over).as_micros()).unwrap_or(u64::MAX);
        let rate = u64::from(agreed.modulation.bit_rate());
        let octets = micros.saturating_mul(rate) / 8_000_000;
        page::lost(call, usize::try_from(octets).unwrap_or(usize::MAX));
    }
    if call.timers.get(Timer::Page).is_none() {
        call.timers.set(Timer::Page, call.now + call.config.rules.longest_page);
    }
    if agreed.format.ecm {
        call.timers.set(Timer::T1A, call.now + timers::T1A);
        ReceivingFrames.on(call, On::Image(signal))
    } else {
        call.timers.set(Timer::Image, call.now + timers::IMAGE);
        ReceivingBits.on(call, On::Image(signal))
    }
}

impl AwaitMessage {
    pub(crate) fn on(self, call: &mut Call, on: On) -> State {
        match on {
            On::Sent | On::Expired(Timer::Sending) => {
                call.reception.responded = Some(call.now);
                let patience = patience(call, timers::T2);
                call.search(Timer::T2, patience);
                State::AwaitMessage(self)
            }
            On::Image(signal) => begin(call, signal, State::AwaitMessage(self)),
            On::Burst(burst) => commands::take(call, &burst, State::AwaitMessage(self)),
            On::LineChanged => {
                // Our answer may not have arrived: it is given again, or a command repeated will ask.
                if !respond_again(call) {
                    call.search(Timer::T2, timers::T2);
                }
                State::AwaitMessage(self)
            }
            On::Expired(Timer::T2) => release::disconnect(call, Some(Cause::CommandLost)),
            On::BurstLost { frames: true } => {
                call.ask_again();
                State::AwaitMessage(self)
            }
            On::Flags
            | On::BurstLost { .. }
            | On::Tone(_)
            | On::Page(_)
            | On::Verdict(_)
            | On::Expired(
                Timer::T0
                | Timer::T1
                | Timer::T1A
                | Timer::T4
                | Timer::T5
                | Timer::T3
                | Timer::Frame
                | Timer::Turnaround
                | Timer::Tcf
                | Timer::Image
                | Timer::Page
                | Timer::Assembly
                | Timer::Release
                | Timer::Busy
                | Timer::Call,
            ) => State::AwaitMessage(self),
        }
    }
}

/// Bits of a page without error correction are arriving.
#[derive(Debug)]
pub(crate) struct ReceivingBits;

impl ReceivingBits {
    pub(crate) fn on(self, call: &mut Call, on: On) -> State {
        match on {
            On::Image(signal) => match signal {
                ImageSignal::Up | ImageSignal::Frame(_) | ImageSignal::BadFrame => State::ReceivingBits(self),
                ImageSignal::Bits(octets) => {
                    call.timers.set(Timer::Image, call.now + timers::IMAGE);
                    page::data(call, octets);
                    State::ReceivingBits(self)
                }
                ImageSignal::Lost(octets) => {
                    page::lost(call, octets);
                    State::ReceivingBits(self)
                }
                ImageSignal::Down => over(call),
            },
            // V.21 is only heard when the image is over.
            On::Burst(burst) => {
                let next = over(call);
                commands::take(call, &burst, next)
            }
            On::Expired(Timer::Image) => over(call),
            On::LineChanged => {
                // The page is cut: it comes again whole, or its command is refused.
                page::abandon(call);
                let state = over(call);
                call.reception.image_over = None;
                state
            }
            On::Sent
            | On::Flags
            | On::BurstLost { .. }
            | On::Tone(_)
            | On::Page(_)
            | On::Verdict(_)
            | On::Expired(
                Timer::T0
                | Timer::T1
                | Timer::T1A
                | Timer::T2
                | Timer::T4
                | Timer::T5
                | Timer::T3
                | Timer::Frame
                | Timer::Turnaround
                | Timer::Tcf
                | Timer::Page
                | Timer::Sending
                | Timer::Assembly
                | Timer::Release
                | Timer::Busy
                | Timer::Call,
            ) => State::ReceivingBits(self),
        }
    }
}

/// Frames of a block are arriving.
#[derive(Debug)]
pub(crate) struct ReceivingFrames;

impl ReceivingFrames {
    pub(crate) fn on(self, call: &mut Call, on: On) -> State {
        match on {
            On::Image(signal) => match signal {
                ImageSignal::Frame(frame) => {
                    if call.reception.block.take(&frame) || frame.fcf == Fcf::Rcp {
                        call.timers.set(Timer::T1A, call.now + timers::T1A);
                    }
                    if frame.fcf == Fcf::Rcp { over(call) } else { State::ReceivingFrames(self) }
                }
                ImageSignal::BadFrame => {
                    // The signal is there; PPR will ask for what it should have said.
                    call.timers.set(Timer::T1A, call.now + timers::T1A);
                    State::ReceivingFrames(self)
                }
                ImageSignal::Up | ImageSignal::Bits(_) | ImageSignal::Lost(_) => State::ReceivingFrames(self),
                ImageSignal::Down => over(call),
            },
            On::Burst(burst) => {
                let next = over(call);
                commands::take(call, &burst, next)
            }
            On::Expired(Timer::T1A) => release::disconnect(call, Some(Cause::PageSignalLost)),
            On::LineChanged => over(call),
            On::Sent
            | On::Flags
            | On::BurstLost { .. }
            | On::Tone(_)
            | On::Page(_)
            | On::Verdict(_)
            | On::Expired(
                Timer::T0
                | Timer::T1
                | Timer::T2
                | Timer::T4
                | Timer::T5
                | Timer::T3
                | Timer::Frame
                | Timer::Turnaround
                | Timer::Tcf
                | Timer::Image
                | Timer::Page
                | Timer::Sending
                | Timer::Assembly
                | Timer::Release
                | Timer::Busy
                | Timer::Call,
            ) => State::ReceivingFrames(self),
        }
    }
}

/// The image is over, or seems to be: search for the command.
fn over(call: &mut Call) -> State {
    call.timers.clear(Timer::Image);
    call.timers.clear(Timer::T1A);
    call.enter(Phase::D);
    call.reception.image_over = Some(call.now);
    call.search(Timer::T2, timers::T2);
    State::AwaitPostMessage(AwaitPostMessage { changed: false })
}
