//! The page in hand towards our own assembly: begun, filled, judged, settled (T.30 §5.3.6.1.7).

use crate::api::{Event, Output, PageStatus, Phase, Verdict};
use crate::call::{Call, On};
use crate::cause::Cause;
use crate::frames::{Fcf, Fcf2};
use crate::polling;
use crate::receive::ending::AwaitDisconnect;
use crate::receive::message::AwaitMessage;
use crate::receive::{ends_document, respond};
use crate::release;
use crate::session::State;
use crate::timers::{self, Timer};
use bytes::Bytes;
use fax_base::line::Channel;

/// Fewer octets of a page that was never confirmed are not worth keeping.
const WORTH_KEEPING: usize = 128;

/// A page that will come again.
const DROPPED: Output = Output::PageDone { kept: false, confirmed: false, ends_document: false };

/// Where the page in hand is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Page {
    /// None is.
    #[default]
    None,
    /// So many octets came.
    Open(usize),
    /// It ended and is being judged.
    Ended,
    /// It was refused with RTN and should come again.
    Refused,
}

/// ECM: a page that was refused with PIN.
#[derive(Clone, Copy, Debug)]
pub(super) struct RefusedPage {
    /// Its counter.
    page: u8,
    /// It was the last of its document.
    ends: bool,
}

/// Gives data of the page out, beginning it if it is not begun.
pub(super) fn data(call: &mut Call, octets: Bytes) {
    let length = octets.len();
    if length == 0 {
        return;
    }
    let before = open(call);
    call.reception.page = Page::Open(before.saturating_add(length));
    call.tally.ledger.octets = before.saturating_add(length);
    call.output(Output::PageData(octets));
}

/// Says that data of the page were lost. A page does not begin with that.
pub(super) fn lost(call: &mut Call, octets: usize) {
    if octets > 0 && matches!(call.reception.page, Page::Open(_)) {
        call.output(Output::PageLost { octets });
    }
}

/// Begins the page if it is not begun; the octets that came already.
fn open(call: &mut Call) -> usize {
    match call.reception.page {
        Page::Open(octets) => octets,
        Page::None | Page::Ended | Page::Refused => {
            if call.reception.page == Page::Refused {
                call.tally.resends = call.tally.resends.saturating_add(1);
                call.tally.ledger.repeats += 1;
                call.output(DROPPED);
            }
            if let Some(agreed) = call.reception.agreed {
                let index = call.tally.pages_received;
                call.output(Output::PageStart { index, format: agreed.format });
            }
            call.reception.page = Page::Open(0);
            0
        }
    }
}

/// Whether data of a page have come that is not settled.
pub(super) fn is_open(call: &Call) -> bool {
    match call.reception.page {
        Page::Open(octets) => octets > 0,
        Page::None | Page::Ended | Page::Refused => false,
    }
}

/// Why it is a failure to leave now, if a page was begun that is neither confirmed nor dropped.
pub(super) fn left(call: &Call) -> Option<Cause> {
    match call.reception.page {
        Page::None => (!call.reception.block.is_empty()).then_some(Cause::CallerLeftInPage),
        Page::Open(_) | Page::Ended => Some(Cause::CallerLeftInPage),
        Page::Refused => Some(Cause::CallerLeftAfterRefusal),
    }
}

/// Drops what came of the page: the sender begins it again.
pub(super) fn abandon(call: &mut Call) {
    if is_open(call) {
        call.output(DROPPED);
        call.reception.page = Page::None;
    }
    call.reception.holes = false;
}

/// ECM: the block in hand is of the page with this counter. Where that is behind a refused one, the sender went on
/// without it: what came of it is kept as failed, and is not the beginning of this page. After a DCS counters may begin
/// anew, which says nothing.
pub(super) fn went_on(call: &mut Call, page: u8) {
    let Some(refused) = call.reception.refused_page else {
        return;
    };
    if call.reception.page == Page::Refused && (1..128).contains(&page.wrapping_sub(refused.page)) {
        call.reception.refused_page = None;
        call.reception.lost_page = true;
        settle(call, PageStatus::Failed, None, refused.ends);
    }
}

/// Gives the block in hand out, holes and all.
pub(super) fn give_block(call: &mut Call) {
    let block = core::mem::take(&mut call.reception.block);
    for part in block.content() {
        match part {
            Ok(octets) => data(call, octets),
            Err(hole) => {
                open(call);
                lost(call, hole);
            }
        }
    }
}

/// The call ends: what came of a page that was not confirmed is kept if it is worth it.
pub(crate) fn salvage(call: &mut Call) {
    let in_block = call.reception.block.octets();
    let worth = match call.reception.page {
        Page::Open(octets) => octets.saturating_add(in_block) >= WORTH_KEEPING,
        Page::None | Page::Refused => in_block >= WORTH_KEEPING,
        Page::Ended => true,
    };
    if worth && in_block > 0 {
        give_block(call);
    }
    match call.reception.page {
        Page::None => return,
        Page::Open(_) if !worth => {
            call.output(DROPPED);
            call.reception.page = Page::None;
            return;
        }
        Page::Open(_) => call.output(Output::PageEnd),
        Page::Ended | Page::Refused => {}
    }
    settle(call, PageStatus::Failed, None, false);
}

/// The page in hand is kept.
fn settle(call: &mut Call, status: PageStatus, quality: Option<Verdict>, ends_document: bool) {
    let confirmed = match status {
        PageStatus::Confirmed | PageStatus::Poor => true,
        PageStatus::Uncertain | PageStatus::Failed => false,
    };
    call.reception.page = Page::None;
    call.page_came(status, quality);
    call.tally.pages_received += 1;
    call.output(Output::PageDone { kept: true, confirmed, ends_document });
}

/// What the page was ended with.
#[derive(Clone, Debug)]
pub(super) enum Ending {
    /// MPS, EOM, EOP … of a page without error correction.
    Plain,
    /// PPS-MPS, -EOM, -EOP …: the page is whole.
    Whole,
    /// EOR-MPS, -EOM, -EOP …: the sender gave the page up.
    GivenUp,
}

/// The page ended and our assembly counts its rows. With error correction the sender is told RNR if that takes
/// long (T.30 Annex A.4.3); without, it repeats its command.
#[derive(Debug)]
pub(crate) struct Judging {
    ending: Ending,
    second: Fcf2,
    command: Vec<u8>,
    /// RNR was said: the verdict is told when RR asks.
    not_ready: bool,
    verdict: Option<Verdict>,
}

/// Ends the page and asks for the verdict.
pub(super) fn judge(call: &mut Call, ending: Ending, second: Fcf2, command: Vec<u8>) -> State {
    call.enter(Phase::D);
    call.stop_search();
    call.reception.page = Page::Ended;
    call.reception.without_image = 0;
    call.output(Output::PageEnd);
    let patience = match ending {
        Ending::Plain => timers::ASSEMBLY,
        Ending::Whole | Ending::GivenUp => {
            call.timers.set(Timer::Busy, call.now + timers::BUSY);
            timers::T5
        }
    };
    call.timers.set(Timer::Assembly, call.now + patience);
    State::Judging(Judging { ending, second, command, not_ready: false, verdict: None })
}

impl Judging {
    pub(crate) fn on(mut self, call: &mut Call, on: On) -> State {
        match on {
            On::Verdict(verdict) if self.not_ready => {
                self.verdict = Some(verdict);
                State::Judging(self)
            }
            On::Verdict(verdict) => self.answer(call, verdict),
            On::Expired(Timer::Busy) => self.busy(call),
            // RR, or PPS once more; or RNR was not understood.
            On::Burst(burst)
                if self.not_ready && matches!(burst.last.fcf, Fcf::Rr | Fcf::Pps | Fcf::Eor | Fcf::Crp) =>
            {
                match self.verdict {
                    Some(verdict) => self.answer(call, verdict),
                    None => self.busy(call),
                }
            }
            On::Sent => {
                call.search(Timer::T2, timers::T2);
                State::Judging(self)
            }
            On::Expired(Timer::T2) => release::disconnect(call, Some(Cause::CommandLost)),
            // Our own assembly is stuck: who knows whether it has the page.
            On::Expired(Timer::Assembly) => release::disconnect(call, Some(Cause::TooSlow)),
            On::Burst(burst) if burst.last.fcf == Fcf::Dcn => {
                release::end(call, Some(Cause::CallerLeftInPage))
            }
            On::Flags
            | On::Burst(_)
            | On::BurstLost { .. }
            | On::Tone(_)
            | On::Image(_)
            | On::Page(_)
            | On::LineChanged
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
                | Timer::Release
                | Timer::Call,
            ) => State::Judging(self),
        }
    }

    fn busy(mut self, call: &mut Call) -> State {
        self.not_ready = true;
        call.send_frame(Fcf::Rnr, &[]);
        State::Judging(self)
    }

    fn answer(self, call: &mut Call, verdict: Verdict) -> State {
        call.timers.clear(Timer::Assembly);
        call.timers.clear(Timer::Busy);
        let holes = core::mem::take(&mut call.reception.holes);
        let response = match self.ending {
            // Every octet is right, but there is no page in them, or no whole one: it was not received satisfactorily, and
            // sending the same octets again needs somebody to look at it. Error correction has no RTN (T.30 Annex A.4.3).
            Ending::Whole if verdict.rows == 0 || (verdict.cut && !holes) => Fcf::Pin,
            // What the decoder thinks of single rows is the sender's affair.
            Ending::Whole => Fcf::Mcf,
            Ending::GivenUp => Fcf::Err,
            Ending::Plain => grade(call, verdict),
        };
        let ends = ends_document(self.second);
        let status = match response {
            // The last block is whole, one before it is not: MCF is said of the block.
            Fcf::Mcf if holes => PageStatus::Failed,
            Fcf::Mcf => PageStatus::Confirmed,
            Fcf::RetrainPositive => PageStatus::Poor,
            _ => PageStatus::Failed,
        };
        let refused = matches!(response, Fcf::Rtn | Fcf::Pin);
        if refused {
            call.reception.page = Page::Refused;
            // It may begin anew without a DCS.
            call.reception.expected = None;
            call.reception.refused_page =
                call.reception.confirmed.as_ref().map(|last| RefusedPage { page: last.page, ends });
        } else {
            call.timers.clear(Timer::Page);
            call.reception.refused_page = None;
            call.reception.lost_page |= holes;
            settle(call, status, Some(verdict), ends);
        }
        if ends && status != PageStatus::Failed {
            call.reception.document_done = true;
            // EOM only says that the same goes on in another way.
            if !matches!(self.second, Fcf2::Eom | Fcf2::PriEom) {
                call.reception.polls += 1;
            }
        }
        let said = interrupting(call, self.second, response);
        respond(call, self.command, said, &[]);
        match self.second.plain() {
            Fcf2::Eop if !refused => {
                let given_up = call.reception.given_up();
                AwaitDisconnect::begin(given_up.or_else(|| polling::not_done(call)))
            }
            Fcf2::Eom => polling::next_message(call),
            Fcf2::Eop | Fcf2::Null | Fcf2::Mps | Fcf2::Eos | Fcf2::PriMps | Fcf2::PriEom | Fcf2::PriEop => {
                State::AwaitMessage(AwaitMessage)
            }
        }
    }
}

/// What is said in place of this answer when somebody is to talk: PIP or PIN, once.
fn interrupting(call: &mut Call, second: Fcf2, answer: Fcf) -> Fcf {
    let wanted = call.asks_for_operator() || (call.has_operator() && second.is_interrupt());
    let said = match answer {
        Fcf::Mcf | Fcf::RetrainPositive if wanted => Fcf::Pip,
        Fcf::Rtn if wanted => Fcf::Pin,
        other => return other,
    };
    call.operator_missed = true;
    said
}

/// MCF, RTP or RTN for a page without error correction. A page without a single row was not received.
fn grade(call: &Call, verdict: Verdict) -> Fcf {
    if verdict.rows == 0 {
        return Fcf::Rtn;
    }
    let (bad, rows) = (u64::from(verdict.bad_rows), u64::from(verdict.rows));
    let at_least = |percent: u64| bad * 100 >= rows * percent;
    let rules = &call.config.rules;
    match rules.refuse_at_percent {
        Some(percent) if at_least(u64::from(percent)) && bad > 0 => Fcf::Rtn,
        _ if at_least(u64::from(rules.poor_at_percent)) && bad > 0 => Fcf::RetrainPositive,
        _ => Fcf::Mcf,
    }
}

/// The training was judged.
pub(super) fn trained(call: &mut Call, passed: bool) {
    if let Some(agreed) = call.reception.agreed {
        let Channel::Image(modulation) = Channel::Image(agreed.modulation) else {
            return;
        };
        call.event(Event::Training { modulation, passed });
    }
}
