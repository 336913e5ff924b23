//! A page without error correction: its bits, its post-message command, and the answer
//! (T.30 §5.3.6.1.6, §5.3.6.1.7, flow chart box "II").

use crate::api::{Event, PageStatus, Phase};
use crate::call::{Call, On, burst, image_training};
use crate::cause::Cause;
use crate::exchange::{Exchange, Reply};
use crate::frames::{Fcf, Fcf2};
use crate::release;
use crate::send::{self, Again, ecm, operator};
use crate::session::State;
use crate::timers::{self, Timer};
use bytes::Bytes;
use fax_base::line::{Listen, Transmit};

/// The page was asked for and is being coded.
#[derive(Debug)]
pub(crate) struct AwaitCodedPage;

impl AwaitCodedPage {
    pub(crate) fn on(self, call: &mut Call, on: On) -> State {
        match on {
            On::Page(octets) => {
                call.timers.clear(Timer::Assembly);
                begin(call, octets)
            }
            On::Burst(burst) if burst.last.fcf == Fcf::Dcn => {
                release::end(call, Some(Cause::DisconnectedBeforePage))
            }
            On::Expired(Timer::Assembly) => release::disconnect(call, Some(Cause::TooSlow)),
            On::Sent
            | On::Flags
            | On::Burst(_)
            | On::BurstLost { .. }
            | On::Tone(_)
            | On::Image(_)
            | On::Verdict(_)
            | On::LineChanged
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
                | Timer::Image
                | Timer::Page
                | Timer::Sending
                | Timer::Release
                | Timer::Busy
                | Timer::Call,
            ) => State::AwaitCodedPage(self),
        }
    }
}

/// Sends the page in hand.
fn begin(call: &mut Call, octets: Bytes) -> State {
    let Some(agreed) = call.transmission.agreed else {
        return release::disconnect(call, Some(Cause::Incompatible));
    };
    call.enter(Phase::C);
    call.transmission.any_sent = true;
    call.listen(Listen::Control);
    let (index, length) = (call.transmission.index(), octets.len());
    call.page_begins(index, length, &agreed);
    call.event(Event::PageSending { index, octets: length });
    let second = send::post_command(call);
    if agreed.format.ecm {
        return ecm::begin(call, octets, second, &agreed);
    }
    let page = vec![
        Transmit::Silence(timers::GAP),
        Transmit::Bits { modulation: agreed.modulation, training: image_training(agreed.modulation), octets },
    ];
    let command = command(call, second);
    State::PostMessage(PostMessage { exchange: Exchange::begin(call, page, command), second })
}

/// MPS, EOM, EOP …
fn command(call: &Call, second: Fcf2) -> Vec<Transmit> {
    burst(vec![call.frame(second.fcf().unwrap_or(Fcf::Mps), &[])])
}

/// The page and MPS, EOM or EOP are being sent, or were, and an answer is awaited.
#[derive(Debug)]
pub(crate) struct PostMessage {
    exchange: Exchange,
    second: Fcf2,
}

impl PostMessage {
    pub(crate) fn on(mut self, call: &mut Call, on: On) -> State {
        // What has left need not be sent at a rate at all.
        if matches!(on, On::LineChanged) && self.exchange.sends_image() && send::too_fast(call) {
            return send::begin(call);
        }
        let burst = match self.exchange.on(call, on) {
            Reply::Wait => return State::PostMessage(self),
            Reply::Left => {
                call.enter(Phase::D);
                send::page_sent(call);
                return State::PostMessage(self);
            }
            Reply::Disconnected => {
                return release::end(call, Some(Cause::DisconnectedAfterPage));
            }
            Reply::Silence => {
                return release::disconnect(call, Some(Cause::NoResponseAfterPage));
            }
            Reply::Frames(burst) => burst,
        };
        call.transmission.doubtful |= self.exchange.repeated();
        match burst.last.fcf {
            Fcf::Mcf => send::confirmed(call, self.second, false),
            Fcf::RetrainPositive => send::confirmed(call, self.second, true),
            Fcf::Rtn => send::refused(call, Cause::PageRefused, Again::Slower),
            Fcf::Pip => {
                let plain = command(call, self.second.without_interrupt());
                operator::positive(call, self.second, plain)
            }
            Fcf::Pin => operator::negative(call, self.second),
            Fcf::Pid => interrupted(call),
            // The far end is back in phase B and never said that it has the page.
            Fcf::Dis | Fcf::Dtc => send::refused(call, Cause::NoResponseAfterPage, Again::Identified(burst)),
            _ => release::disconnect(call, Some(Cause::InvalidResponseAfterPage)),
        }
    }
}

/// PID: the page is taken, but no more (T.30 §5.3.6.1.7).
pub(crate) fn interrupted(call: &mut Call) -> State {
    let index = call.transmission.index();
    call.tally.page_uncertain = None;
    call.tally.pages_confirmed += 1;
    call.event(Event::PageConfirmed { index, poor: false });
    call.page_ends(PageStatus::Confirmed);
    call.transmission.at += 1;
    let more = !call.transmission.is_over() || call.reception.polls < call.config.poll.len();
    release::disconnect(call, more.then_some(Cause::Interrupted))
}
