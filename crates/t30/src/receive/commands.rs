//! Post-message commands: MPS, EOM, EOP, PPS, EOR, CTC, RR, each answered once, and the same again
//! when it is repeated (T.30 §5.3.6.1.6, Annex A.4).

use crate::api::{Event, Phase, Role};
use crate::call::{Burst, Call, ImageSignal, On};
use crate::cause::Cause;
use crate::dis::Fif;
use crate::ecm;
use crate::frames::{Fcf, Fcf2, Frame};
use crate::rates;
use crate::receive::message::{self, AwaitMessage};
use crate::receive::page::{Ending, Page};
use crate::receive::{Confirmed, key, page, respond, respond_again, respond_to_repeat, training};
use crate::release;
use crate::send;
use crate::session::State;
use crate::timers::{self, Timer};

/// So many post-message commands in a row without any image are answered.
const WITHOUT_IMAGE: u32 = 6;

/// The image is over; its post-message command is awaited.
#[derive(Debug)]
pub(crate) struct AwaitPostMessage {
    /// The line changed below us: if an image comes, it is the page from its start.
    pub(super) changed: bool,
}

impl AwaitPostMessage {
    pub(crate) fn on(mut self, call: &mut Call, on: On) -> State {
        match on {
            On::Burst(burst) => take(call, &burst, State::AwaitPostMessage(self)),
            // The second and third RCP tell nothing new.
            On::Image(ImageSignal::Frame(frame)) if frame.fcf == Fcf::Rcp => State::AwaitPostMessage(self),
            // The carrier was lost for a moment only, or frames come again.
            On::Image(signal) => {
                if self.changed && !call.reception.agreed.is_some_and(|a| a.format.ecm) {
                    page::abandon(call);
                    call.reception.image_over = None;
                    self.changed = false;
                }
                message::begin(call, signal, State::AwaitPostMessage(self))
            }
            On::Expired(Timer::T2) => release::disconnect(call, Some(Cause::CommandLost)),
            On::LineChanged => {
                call.search(Timer::T2, timers::T2);
                State::AwaitPostMessage(AwaitPostMessage { changed: true })
            }
            On::BurstLost { frames: true } => {
                call.ask_again();
                State::AwaitPostMessage(self)
            }
            // CRP has left.
            On::Sent => {
                call.search(Timer::T2, timers::T2);
                State::AwaitPostMessage(self)
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
                | Timer::Sending
                | Timer::Assembly
                | Timer::Release
                | Timer::Busy
                | Timer::Call,
            ) => State::AwaitPostMessage(self),
        }
    }
}

/// A burst came in phase C or D. `stay` is where to be when it says nothing to us.
pub(super) fn take(call: &mut Call, burst: &Burst, stay: State) -> State {
    let frame = &burst.last;
    match frame.fcf {
        Fcf::Dcs => training::commanded(call, burst, stay),
        // We poll, and the far end is back in phase B.
        Fcf::Dis if call.config.role == Role::Calling => {
            page::abandon(call);
            call.stop_search();
            send::identified(call, burst)
        }
        Fcf::Dcn => {
            let cause = page::left(call).unwrap_or_else(|| training::left(call));
            release::end(call, Some(cause))
        }
        Fcf::Mps | Fcf::Eom | Fcf::Eop | Fcf::Eos | Fcf::PriMps | Fcf::PriEom | Fcf::PriEop => {
            plain(call, burst, stay)
        }
        Fcf::Pps => partial_page(call, frame, stay),
        Fcf::Eor => end_of_retransmission(call, frame, stay),
        Fcf::Ctc => continue_to_correct(call, frame, stay),
        // Not after an image, nor after a CRP of ours: the answer to the page before would be taken for one to this.
        Fcf::Rr if call.reception.image_since => stay,
        Fcf::Crp if !is_repeat(call, burst) || call.asks_again() => stay,
        Fcf::Rr | Fcf::Crp => {
            if !respond_again(call) && frame.fcf == Fcf::Crp {
                // CFR.
                call.say_again();
            }
            stay_after_response(stay)
        }
        Fcf::Tnr => {
            call.send_frame(Fcf::Tr, &[]);
            stay_after_response(stay)
        }
        _ => stay,
    }
}

/// After a response was repeated, what has left is noticed by [`AwaitMessage`].
fn stay_after_response(stay: State) -> State {
    match stay {
        State::AwaitPostMessage(_) => State::AwaitMessage(AwaitMessage),
        other => other,
    }
}

/// In a state of phase B or E: the last command repeated gets the last answer again. False when it is
/// not that command.
pub(crate) fn answer_repeat(call: &mut Call, burst: &Burst) -> bool {
    let repeated =
        burst.last.fcf == Fcf::Rr || call.reception.last_command.as_ref() == Some(&key(&burst.last));
    repeated && respond_to_repeat(call, &burst.last)
}

fn plain(call: &mut Call, burst: &Burst, stay: State) -> State {
    let Some(second) = Fcf2::from_fcf(burst.last.fcf) else {
        return stay;
    };
    let command = key(&burst.last);
    let ecm = call.reception.agreed.is_some_and(|a| a.format.ecm);
    if page::is_open(call) && !ecm {
        return page::judge(call, Ending::Plain, second, command);
    }
    if call.reception.last_command.as_ref() == Some(&command) && is_repeat(call, burst) {
        call.enter(Phase::D);
        respond_to_repeat(call, &burst.last);
        return stay_after_response(stay);
    }
    if ecm {
        // With error correction there is nothing but PPS and EOR.
        return release::disconnect(call, Some(Cause::ProtocolError));
    }
    // The sender thinks that it sent a page; MCF would confirm one that we do not have.
    call.enter(Phase::D);
    if without_image(call) {
        return release::disconnect(call, Some(Cause::PageSignalLost));
    }
    respond(call, command, Fcf::Rtn, &[]);
    State::AwaitMessage(AwaitMessage)
}

/// Whether a post-message command equal to the last one is that one again. Without counters only time
/// tells: it comes within the sender's T4, and no image comes between. Confirming a page that we do
/// not have would be worse than refusing one that we have.
fn is_repeat(call: &Call, burst: &Burst) -> bool {
    !call.reception.image_since
        && call.reception.responded.is_none_or(|at| burst.began.since(at) <= timers::REPEAT_WINDOW)
}

fn without_image(call: &mut Call) -> bool {
    if call.reception.image_since {
        // There was one, but nothing of it could be read.
        return false;
    }
    call.reception.without_image += 1;
    call.reception.without_image > WITHOUT_IMAGE
}

/// PPS: frames of a block were sent.
fn partial_page(call: &mut Call, frame: &Frame, stay: State) -> State {
    let (Some(second), Some(&page), Some(&block), Some(&count)) =
        (frame.fcf2(), frame.fif.get(1), frame.fif.get(2), frame.fif.get(3))
    else {
        return stay;
    };
    if !call.reception.agreed.is_some_and(|a| a.format.ecm) {
        return release::disconnect(call, Some(Cause::ProtocolError));
    }
    call.enter(Phase::D);
    let (page, block) = (page.reverse_bits(), block.reverse_bits());
    let command = key(frame);
    if call.reception.block.is_empty() {
        if call.reception.last_command.as_ref() == Some(&command) {
            respond_to_repeat(call, frame);
            return stay_after_response(stay);
        }
        if without_image(call) {
            return release::disconnect(call, Some(Cause::PageSignalLost));
        }
        return request(call, &[0xFF; ecm::MAP_OCTETS]);
    }
    call.reception.without_image = 0;
    let before = call.reception.confirmed.as_ref();
    let same_counters = before.is_some_and(|c| (c.page, c.block) == (page, block));
    if same_counters && before.is_some_and(|c| call.reception.block.repeats(&c.content)) {
        // The block that was whole last once more; with its page it may have been refused.
        call.reception.block = Default::default();
        let again = if call.reception.page == Page::Refused { Fcf::Pin } else { Fcf::Mcf };
        respond(call, command, again, &[]);
        return State::AwaitMessage(AwaitMessage);
    }
    let expected = call.reception.expected.is_none_or(|next| next == (page, block));
    if !expected && !same_counters {
        return release::disconnect(call, Some(Cause::EcmProtocolError));
    }
    page::went_on(call, page);
    call.reception.block.state_count(usize::from(count.reverse_bits()) + 1);
    if let Some(map) = call.reception.block.missing() {
        let frames = u32::try_from(call.reception.block.wanted()).unwrap_or(u32::MAX);
        call.tally.resends = call.tally.resends.saturating_add(frames);
        let again = &mut call.tally.ledger.frames_again;
        *again = again.saturating_add(frames);
        return request(call, &map);
    }
    let content = call.reception.block.clone();
    page::give_block(call);
    call.reception.confirmed = Some(Confirmed { page, block, content });
    call.timers.clear(Timer::Page);
    follow(call, second, page, block);
    if second == Fcf2::Null {
        respond(call, command, Fcf::Mcf, &[]);
        return State::AwaitMessage(AwaitMessage);
    }
    page::judge(call, Ending::Whole, second, command)
}

/// The counters that must come after this block.
fn follow(call: &mut Call, second: Fcf2, page: u8, block: u8) {
    call.reception.expected = Some(match second {
        Fcf2::Null => (page, block.wrapping_add(1)),
        Fcf2::Mps | Fcf2::Eom | Fcf2::Eop | Fcf2::Eos | Fcf2::PriMps | Fcf2::PriEom | Fcf2::PriEop => {
            (page.wrapping_add(1), 0)
        }
    });
}

/// PPR. The command is not remembered as answered: repeated, it is looked at afresh.
fn request(call: &mut Call, map: &[u8; ecm::MAP_OCTETS]) -> State {
    respond(call, Vec::new(), Fcf::Ppr, map);
    call.reception.last_command = None;
    State::AwaitMessage(AwaitMessage)
}

/// EOR: the sender gives up correcting this block.
fn end_of_retransmission(call: &mut Call, frame: &Frame, stay: State) -> State {
    let Some(second) = frame.fcf2() else {
        return stay;
    };
    call.enter(Phase::D);
    let command = key(frame);
    if call.reception.last_command.as_ref() == Some(&command) && call.reception.block.is_empty() {
        respond_again(call);
        return stay_after_response(stay);
    }
    page::give_block(call);
    call.reception.confirmed = None;
    call.reception.expected = None;
    call.reception.holes = second == Fcf2::Null;
    call.reception.lost_page |= second != Fcf2::Null;
    if second == Fcf2::Null || !page::is_open(call) {
        respond(call, command, Fcf::Err, &[]);
        return State::AwaitMessage(AwaitMessage);
    }
    page::judge(call, Ending::GivenUp, second, command)
}

/// CTC: the sender goes on correcting, at this rate, with a long training.
fn continue_to_correct(call: &mut Call, frame: &Frame, stay: State) -> State {
    let Some(modulation) = rates::from_dcs(&Fif::parse(&frame.fif)) else {
        return stay;
    };
    let Some(agreed) = &mut call.reception.agreed else {
        return stay;
    };
    agreed.modulation = modulation;
    let format = agreed.format;
    call.tally.agreed = call.reception.agreed;
    call.event(Event::Negotiated { format, modulation });
    call.enter(Phase::D);
    respond(call, key(frame), Fcf::Ctr, &[]);
    State::AwaitMessage(AwaitMessage)
}
