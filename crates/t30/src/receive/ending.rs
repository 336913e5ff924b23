//! After the last page: DCN is awaited, and success is certain (T.30 §5.2 flow chart, phase E).

use crate::call::{Call, On};
use crate::cause::Cause;
use crate::frames::Fcf;
use crate::receive::{commands, patience, respond_again, training};
use crate::release;
use crate::session::State;
use crate::timers::{self, Timer};

/// Flags without a frame may be a clipped EOP: the answer is given again so often.
const CLIPPED: u8 = 2;

/// EOP was confirmed.
#[derive(Debug)]
pub(crate) struct AwaitDisconnect {
    failure: Option<Cause>,
    clipped: u8,
}

impl AwaitDisconnect {
    /// With the cause of failure when the last page was given up.
    pub(super) fn begin(failure: Option<Cause>) -> State {
        State::AwaitDisconnect(AwaitDisconnect { failure, clipped: 0 })
    }

    pub(crate) fn on(mut self, call: &mut Call, on: On) -> State {
        match on {
            On::Sent | On::Expired(Timer::Sending) => {
                let patience = patience(call, timers::T2);
                call.search(Timer::T2, patience);
                State::AwaitDisconnect(self)
            }
            On::Burst(burst) => match burst.last.fcf {
                Fcf::Dcn => release::end(call, self.failure),
                Fcf::Crp => {
                    respond_again(call);
                    State::AwaitDisconnect(self)
                }
                // The sender did not take our answer as the end, but begins anew.
                Fcf::Dcs => training::commanded(call, &burst, State::AwaitDisconnect(self)),
                _ => {
                    commands::answer_repeat(call, &burst);
                    State::AwaitDisconnect(self)
                }
            },
            On::BurstLost { .. } if self.clipped < CLIPPED => {
                self.clipped += 1;
                respond_again(call);
                State::AwaitDisconnect(self)
            }
            On::LineChanged => {
                call.search(Timer::T2, timers::T2);
                State::AwaitDisconnect(self)
            }
            On::Expired(Timer::T2) => release::disconnect(call, self.failure),
            On::Flags
            | On::BurstLost { .. }
            | On::Tone(_)
            | On::Image(_)
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
            ) => State::AwaitDisconnect(self),
        }
    }

    /// The far end cleared the call, or we do: nothing is missing.
    pub(crate) fn hung_up(self, call: &mut Call) -> State {
        release::end(call, self.failure)
    }
}
