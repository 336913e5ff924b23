//! DCS taken in and the training check judged: CFR or FTT (T.30 §5.3.6.1.3, §5.3.6.1.4).

use crate::api::{Event, Phase, Role};
use crate::call::{Burst, Call, ImageSignal, On};
use crate::called::AwaitDcs;
use crate::cause::Cause;
use crate::dis::Fif;
use crate::frames::{self, Fcf};
use crate::negotiate;
use crate::polling;
use crate::rates;
use crate::receive::message::AwaitMessage;
use crate::receive::{listen_image, page};
use crate::refusal::{self, Refusal};
use crate::release;
use crate::send;
use crate::session::State;
use crate::tcf::Check;
use crate::timers::{self, Timer};
use fax_base::line::{Framing, Listen, Training};

/// So many training checks may fail in a row.
const FAILURES: u32 = 24;

/// A training check is awaited, or under way.
#[derive(Debug)]
pub(crate) struct AwaitTcf {
    /// None when the DCS cannot be obeyed: FTT whatever comes.
    check: Option<Check>,
    /// What the DCS wants can never be received, not just at this rate.
    illegal: bool,
    /// FNV or DCN whatever comes, once the sender has sent its check and can hear it.
    refused: Option<Refusal>,
}

/// A DCS burst came, in whatever state. `stay` is where to be if it is to be ignored.
pub(crate) fn commanded(call: &mut Call, burst: &Burst, stay: State) -> State {
    let dcs = Fif::parse(&burst.last.fif);
    let sub = burst.frames.iter().find(|f| f.fcf == Fcf::Sub);
    if polling::is_damaged(call, burst, &[(dcs.bit(49), Fcf::Sub), (dcs.bit(50), Fcf::Sid)]) {
        return stay;
    }
    send::identify(call, burst, Fcf::Tsi);
    let mut refused = refusal::of_dcs(call, burst);
    if !call.is_calling() && !call.config.receive {
        refused = Some(Refusal::plain(Cause::NotReceiving));
    }
    call.reception.refused = None;
    if let Some(text) = sub.and_then(|f| frames::ident_from_fif(&f.fif))
        && refused.is_none()
    {
        call.event(Event::SubAddress(text));
    }
    call.timers.clear(Timer::T1);
    call.timers.clear(Timer::T1A);
    call.timers.clear(Timer::Image);
    // A page under way that begins anew, or training without an end, is no progress.
    if call.timers.get(Timer::Page).is_none() {
        call.timers.set(Timer::Page, call.now + call.config.rules.longest_page);
    }
    call.stop_search();
    call.enter(Phase::B);
    page::abandon(call);
    let reception = &mut call.reception;
    reception.any_dcs = true;
    reception.block = Default::default();
    reception.confirmed = None;
    reception.expected = None;
    reception.last_command = None;
    reception.last_response = None;
    reception.image_since = false;
    reception.image_over = None;
    reception.without_image = 0;
    reception.long_training = false;
    reception.agreed = negotiate::read_dcs(&dcs);
    let illegal = reception.agreed.is_none();
    // DIS cannot say which rates of a modulation are allowed; FTT can.
    let allowed = rates::allowed(&call.config.capabilities);
    let check =
        reception.agreed.map(|agreed| agreed.modulation).filter(|m| allowed.contains(m)).map(Check::new);
    if let Some(agreed) = call.reception.agreed {
        if agreed.modulation.bit_rate() < call.config.capabilities.min_rate {
            refused = Some(Refusal::plain(Cause::CannotTrain));
        }
        call.tally.agreed = Some(agreed);
        call.event(Event::Negotiated { format: agreed.format, modulation: agreed.modulation });
        call.listen(Listen::Image {
            modulation: agreed.modulation,
            training: Training::Long,
            framing: Framing::Raw,
        });
    }
    call.timers.set(Timer::Tcf, call.now + timers::TCF_BEGINS);
    State::AwaitTcf(AwaitTcf { check, illegal, refused })
}

impl AwaitTcf {
    pub(crate) fn on(mut self, call: &mut Call, on: On) -> State {
        match on {
            On::Image(signal) => match signal {
                ImageSignal::Up => {
                    call.timers.set(Timer::Tcf, call.now + timers::TCF_ENDS);
                    State::AwaitTcf(self)
                }
                ImageSignal::Bits(octets) => {
                    if let Some(check) = &mut self.check {
                        if !check.anything() {
                            call.timers.set(Timer::Tcf, call.now + timers::TCF_ENDS);
                        }
                        check.take(&octets);
                    }
                    State::AwaitTcf(self)
                }
                ImageSignal::Lost(octets) => {
                    if let Some(check) = &mut self.check {
                        check.lose(octets);
                    }
                    State::AwaitTcf(self)
                }
                ImageSignal::Frame(_) | ImageSignal::BadFrame => State::AwaitTcf(self),
                ImageSignal::Down => {
                    // A drop before anything came is no training check: it may still begin.
                    if self.check.as_ref().is_some_and(|check| !check.anything()) {
                        return State::AwaitTcf(self);
                    }
                    self.answer(call)
                }
            },
            On::Expired(Timer::Tcf) => self.answer(call),
            On::Burst(burst) => match burst.last.fcf {
                Fcf::Dcs => commanded(call, &burst, State::AwaitTcf(self)),
                Fcf::Dcn => release::end(call, Some(left(call))),
                _ => State::AwaitTcf(self),
            },
            // The sender starts again with DCS; a called terminal says who it is.
            On::LineChanged => {
                call.timers.clear(Timer::Tcf);
                match call.config.role {
                    Role::Called => AwaitDcs::begin(call),
                    Role::Calling => {
                        call.search(Timer::T4, timers::T4);
                        polling::again(call)
                    }
                }
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
                | Timer::Image
                | Timer::Page
                | Timer::Sending
                | Timer::Assembly
                | Timer::Release
                | Timer::Busy
                | Timer::Call,
            ) => State::AwaitTcf(self),
        }
    }

    fn answer(self, call: &mut Call) -> State {
        call.timers.clear(Timer::Tcf);
        if let Some(refusal) = self.refused {
            return refusal.tell(call);
        }
        let passed = self.check.as_ref().is_some_and(Check::good);
        page::trained(call, passed);
        if passed {
            call.reception.failures = 0;
            listen_image(call);
            call.send_frame(Fcf::Cfr, &[]);
            return State::AwaitMessage(AwaitMessage);
        }
        call.reception.failures += 1;
        // A DCS that cannot be obeyed gets one FTT, for the sender to think again.
        if self.illegal && call.reception.failures > 1 {
            return release::disconnect(call, Some(Cause::ProtocolError));
        }
        if call.reception.failures > FAILURES {
            return release::disconnect(call, Some(Cause::CannotTrain));
        }
        let state = polling::next_training(call);
        call.send_frame(Fcf::Ftt, &[]);
        state
    }
}

/// Why it is a failure that the caller leaves before the next page.
pub(super) fn left(call: &Call) -> Cause {
    if let Some(cause) = page::left(call) {
        cause
    } else if call.tally.pages_received > 0 {
        Cause::CallerLeftBetweenPages
    } else {
        Cause::CallerLeftBeforePage
    }
}
