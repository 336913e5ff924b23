//! Sending pages: what is common to training, messages and error correction (T.30 §5.2, flow chart
//! "TRANSMIT"; t30 §5.3.6.1.7 for what follows a page).

pub(crate) mod ecm;
pub(crate) mod message;
pub(crate) mod training;

use crate::api::{Cause, Event, Output};
use crate::call::{Burst, Call};
use crate::calling::AwaitDis;
use crate::dis::Fif;
use crate::frames::{self, Fcf, Fcf2};
use crate::negotiate::{self, Agreed};
use crate::rates::Ladder;
use crate::release;
use crate::session::State;
use crate::timers::{self, Timer};
use fax_base::page::PageFormat;
use message::AwaitCodedPage;

/// What a sender remembers over its pages.
#[derive(Debug, Default)]
pub(crate) struct Transmission {
    /// Index of the page in hand.
    pub(crate) page: usize,
    /// The page counter of PPS.
    pub(crate) counter: u8,
    /// How often the page in hand was refused.
    refused: u32,
    /// How many pages in a row were readable but not good.
    poor: u8,
    /// The far end's last DIS.
    dis: Fif,
    pub(crate) ladder: Ladder,
    pub(crate) agreed: Option<Agreed>,
    /// Whether a page has been sent: then late answers to it may come again.
    pub(crate) any_sent: bool,
}

/// A DIS came: can it take what we have, and how?
pub(crate) fn identified(call: &mut Call, burst: &Burst) -> State {
    let dis = Fif::parse(&burst.last.fif);
    call.x = true;
    call.timers.clear(Timer::T1);
    identify(call, burst, Fcf::Csi);
    call.transmission.dis = dis;
    if call.transmission.page >= call.config.send.len() {
        // Nothing to send and, so far, no polling.
        return release::disconnect(call, Some(Cause::Incompatible));
    }
    if !dis.bit(10) {
        return release::disconnect(call, Some(Cause::RemoteCannotReceive));
    }
    if sub_address(call).is_some() && !dis.bit(49) {
        return release::disconnect(call, Some(Cause::Incompatible));
    }
    let ours = call.config.capabilities.modulations.clone();
    call.transmission.ladder.meet(&dis, &ours);
    training::train(call)
}

/// The sub-address that the job names, if it names one.
fn sub_address(call: &Call) -> Option<&str> {
    call.config.sub_address.as_deref().map(str::trim).filter(|sub| !sub.is_empty())
}

/// Notes the far end's number, if the burst brings it in a frame of this kind.
pub(crate) fn identify(call: &mut Call, burst: &Burst, fcf: Fcf) {
    let frame = burst.frames.iter().find(|f| f.fcf == fcf);
    if let Some(ident) = frame.and_then(|f| frames::ident_from_fif(&f.fif))
        && call.tally.remote_ident.as_ref() != Some(&ident)
    {
        call.tally.remote_ident = Some(ident.clone());
        call.event(Event::RemoteIdent(ident));
    }
}

/// How the page with this index would go out now.
fn format(call: &Call, index: usize) -> Option<PageFormat> {
    let shape = call.config.send.get(index)?;
    Some(negotiate::choose(&call.config.capabilities, &call.transmission.dis, shape))
}

/// What follows the page in hand: the same again, another format, or nothing.
pub(crate) fn post_command(call: &Call) -> Fcf2 {
    match format(call, call.transmission.page + 1) {
        None => Fcf2::Eop,
        Some(next) if call.transmission.agreed.is_some_and(|a| a.format == next) => Fcf2::Mps,
        Some(_) => Fcf2::Eom,
    }
}

/// Asks for the page in hand, coded as agreed.
pub(crate) fn want_page(call: &mut Call) -> State {
    let Some(agreed) = call.transmission.agreed else {
        return training::train(call);
    };
    call.output(Output::WantPage {
        index: call.transmission.page,
        format: agreed.format,
        bit_rate: agreed.modulation.bit_rate(),
    });
    call.timers.set(Timer::Assembly, call.now + timers::ASSEMBLY);
    State::AwaitCodedPage(AwaitCodedPage)
}

/// The page's command has left; whether it arrived is not known.
pub(crate) fn page_sent(call: &mut Call) {
    let index = call.transmission.page;
    if call.tally.page_uncertain != Some(index) {
        call.tally.page_uncertain = Some(index);
        if !call.told_sent {
            call.told_sent = true;
            call.event(Event::PageSent { index });
        }
    }
}

/// The far end has the page in hand: on to what `second` said follows. It was `poor` when RTP said
/// so; then there is a new training before the next page, and the second time in a row one rate lower.
pub(crate) fn confirmed(call: &mut Call, second: Fcf2, poor: bool) -> State {
    let index = call.transmission.page;
    call.tally.page_uncertain = None;
    call.tally.pages_confirmed += 1;
    call.event(Event::PageConfirmed { index, poor });
    call.transmission.page += 1;
    call.transmission.refused = 0;
    call.transmission.counter = call.transmission.counter.wrapping_add(1);
    call.transmission.poor = if poor { call.transmission.poor.saturating_add(1) } else { 0 };
    match second.plain() {
        Fcf2::Eop => release::disconnect(call, None),
        Fcf2::Eom => AwaitDis::begin(call),
        Fcf2::Null | Fcf2::Mps | Fcf2::Eos | Fcf2::PriMps | Fcf2::PriEom | Fcf2::PriEop => {
            if poor {
                if call.transmission.poor > 1 {
                    // At the lowest rate it is kept.
                    let _ = call.transmission.ladder.fall_back();
                    call.transmission.poor = 0;
                }
                training::train(call)
            } else {
                want_page(call)
            }
        }
    }
}

/// The far end does not have the page in hand: again, after a new training, unless it was refused too
/// often already.
pub(crate) fn refused(call: &mut Call, cause: Cause, again: Again) -> State {
    let index = call.transmission.page;
    call.tally.page_uncertain = None;
    if call.transmission.refused >= call.config.page_retries {
        return release::disconnect(call, Some(cause));
    }
    call.transmission.refused += 1;
    call.tally.resends = call.tally.resends.saturating_add(1);
    call.event(Event::Resend { index, frames: 0 });
    match again {
        Again::Slower => {
            let _ = call.transmission.ladder.fall_back();
            training::train(call)
        }
        Again::Identified(burst) => identified(call, &burst),
    }
}

/// How to go about a page that must be sent again.
pub(crate) enum Again {
    /// DCS and training check one rate lower.
    Slower,
    /// The far end is back in phase B with this DIS.
    Identified(Burst),
}

/// The DCS for what is agreed at present.
fn dcs_now(call: &Call) -> Fif {
    match &call.transmission.agreed {
        Some(agreed) => negotiate::dcs(agreed, &call.transmission.dis, false),
        None => Fif::new(),
    }
}
