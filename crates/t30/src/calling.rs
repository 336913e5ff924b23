//! The calling terminal until it knows whom it called: CNG, T0, and the wait for DIS under T1
//! (T.30 §3.1, §5.2 flow chart "TRANSMIT").

use crate::api::Phase;
use crate::call::{Call, On};
use crate::cause::Cause;
use crate::frames::Fcf;
use crate::polling;
use crate::receive;
use crate::release;
use crate::send;
use crate::session::State;
use crate::timers::{self, Timer};
use core::time::Duration;
use fax_base::line::{Listen, Tone, Transmit};

/// CNG lasts 0.5 s …
const CNG_ON: Duration = Duration::from_millis(500);
/// … every 3.5 s.
const CNG_OFF: Duration = Duration::from_secs(3);

/// Sending CNG until V.21 flags are heard.
#[derive(Debug)]
pub(crate) struct CallTone;

impl CallTone {
    pub(crate) fn begin(call: &mut Call) -> State {
        call.event(crate::api::Event::Phase(Phase::A));
        call.listen(Listen::Control);
        call.timers.set(Timer::T0, call.now + timers::T0);
        Self::tone(call);
        State::CallTone(CallTone)
    }

    fn tone(call: &mut Call) {
        call.send(vec![Transmit::Tone(Tone::Cng, CNG_ON), Transmit::Silence(CNG_OFF)]);
    }

    pub(crate) fn on(self, call: &mut Call, on: On) -> State {
        match on {
            On::Sent | On::Expired(Timer::Sending) => {
                Self::tone(call);
                State::CallTone(self)
            }
            On::Flags => {
                call.stop();
                call.enter(Phase::B);
                call.timers.clear(Timer::T0);
                if call.timers.get(Timer::T1).is_none() {
                    call.timers.set(Timer::T1, call.now + timers::T1);
                }
                State::AwaitDis(AwaitDis { flags_only: true })
            }
            // Flags are told first, so this is a burst whose flags came while nothing was heard.
            On::Burst(burst) => {
                call.stop();
                call.enter(Phase::B);
                call.timers.clear(Timer::T0);
                call.timers.set(Timer::T1, call.now + timers::T1);
                AwaitDis { flags_only: false }.on(call, On::Burst(burst))
            }
            On::Tone(Tone::Ced) => {
                // A fax is there: T0 has done its work.
                if call.timers.get(Timer::T1).is_none() {
                    call.timers.clear(Timer::T0);
                    call.timers.set(Timer::T1, call.now + timers::T1);
                }
                State::CallTone(self)
            }
            On::LineChanged => {
                let timer = match call.timers.get(Timer::T1) {
                    Some(_) => Timer::T1,
                    None => Timer::T0,
                };
                let extended = call.now + timers::T1;
                let due = call.timers.get(timer).map_or(extended, |at| at.max(extended));
                call.timers.set(timer, due);
                Self::tone(call);
                State::CallTone(self)
            }
            On::Expired(Timer::T0 | Timer::T1) => {
                call.stop();
                release::end(call, Some(Cause::NoFax))
            }
            On::Expired(
                Timer::T1A
                | Timer::T2
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
            )
            | On::BurstLost { .. }
            | On::Tone(Tone::Cng)
            | On::Image(_)
            | On::Page(_)
            | On::Verdict(_) => State::CallTone(self),
        }
    }
}

/// In phase B, waiting for DIS under T1: at the start, and again after EOM.
#[derive(Debug)]
pub(crate) struct AwaitDis {
    /// Nothing but flags was heard so far: they may have been no flags at all.
    flags_only: bool,
}

impl AwaitDis {
    /// Back to phase B after EOM, or when the far end went there.
    pub(crate) fn begin(call: &mut Call) -> State {
        call.enter(Phase::B);
        call.listen(Listen::Control);
        call.stop_search();
        call.timers.set(Timer::T1, call.now + timers::T1);
        State::AwaitDis(AwaitDis { flags_only: false })
    }

    pub(crate) fn on(mut self, call: &mut Call, on: On) -> State {
        match on {
            On::Burst(burst) => {
                self.flags_only = false;
                match burst.last.fcf {
                    Fcf::Dis => send::identified(call, &burst),
                    Fcf::Dcn if call.reception.document_done => {
                        release::end(call, polling::left_undone(call))
                    }
                    Fcf::Dcn => release::end(call, Some(Cause::DisconnectedBeforePage)),
                    // We poll, and the far end goes on without another DTC.
                    Fcf::Dcs if call.reception.any_dcs => {
                        receive::training::commanded(call, &burst, State::AwaitDis(self))
                    }
                    // An answering terminal has no business to poll (T.30 §5.3.6.1.2).
                    Fcf::Dtc => release::disconnect(call, Some(Cause::ProtocolError)),
                    // Anything else is not for us, unless our last response was lost: DIS will come again.
                    _ => {
                        receive::commands::answer_repeat(call, &burst);
                        State::AwaitDis(self)
                    }
                }
            }
            On::BurstLost { frames } if self.flags_only && !frames => {
                // They were none: go on calling, T1 keeps running.
                CallTone::tone(call);
                State::CallTone(CallTone)
            }
            On::BurstLost { .. } => {
                self.flags_only = false;
                State::AwaitDis(self)
            }
            On::LineChanged => {
                call.timers.set(Timer::T1, call.now + timers::T1);
                State::AwaitDis(self)
            }
            On::Expired(Timer::T1) => {
                let cause = match (call.reception.any_dcs, call.transmission.any_sent, self.flags_only) {
                    (true, _, _) => Cause::CommandLost,
                    (false, true, _) => Cause::NoResponseAfterPage,
                    (false, false, true) => Cause::NoFax,
                    (false, false, false) => Cause::NoGreeting,
                };
                release::disconnect(call, Some(cause))
            }
            On::Expired(
                Timer::T0
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
                | Timer::Assembly
                | Timer::Release
                | Timer::Busy
                | Timer::Call,
            )
            | On::Sent
            | On::Flags
            | On::Tone(_)
            | On::Image(_)
            | On::Page(_)
            | On::Verdict(_) => State::AwaitDis(self),
        }
    }
}
