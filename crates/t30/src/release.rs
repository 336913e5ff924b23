//! Phase E: DCN, a second's grace, release (T.30 §5.3.6.1.8 and §3).

use crate::api::{Failure, Phase};
use crate::call::{Call, On};
use crate::cause::Cause;
use crate::frames::Fcf;
use crate::session::State;
use crate::timers::{self, Timer};

/// DCN is on its way, or has left.
#[derive(Debug)]
pub(crate) struct Release {
    failure: Option<Failure>,
}

/// Sends DCN and releases the call a second after it has left.
pub(crate) fn disconnect(call: &mut Call, cause: Option<Cause>) -> State {
    let failure = cause.or(call.reception.given_up()).map(|cause| call.failure(cause));
    crate::receive::page::salvage(call);
    call.stop();
    call.timers.clear_all();
    call.stop_search();
    call.enter(Phase::E);
    call.send_frame(Fcf::Dcn, &[]);
    // Even if the line never says that it has left.
    call.timers.set(Timer::Release, call.now + timers::TURNAROUND + timers::RELEASE * 4);
    State::Release(Release { failure })
}

/// Ends without another word: the far end is gone.
pub(crate) fn end(call: &mut Call, cause: Option<Cause>) -> State {
    let failure = cause.or(call.reception.given_up()).map(|cause| call.failure(cause));
    crate::receive::page::salvage(call);
    call.stop();
    call.enter(Phase::E);
    call.conclude(failure);
    State::Ended
}

impl Release {
    pub(crate) fn on(self, call: &mut Call, on: On) -> State {
        match on {
            On::Sent => {
                call.timers.set(Timer::Release, call.now + timers::RELEASE);
                State::Release(self)
            }
            On::LineChanged
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
                | Timer::Assembly
                | Timer::Release
                | Timer::Busy
                | Timer::Call,
            ) => self.at_once(call),
            On::Flags
            | On::Burst(_)
            | On::BurstLost { .. }
            | On::Tone(_)
            | On::Image(_)
            | On::Page(_)
            | On::Verdict(_) => State::Release(self),
        }
    }

    /// The far end did not wait for it.
    pub(crate) fn at_once(self, call: &mut Call) -> State {
        call.stop();
        call.conclude(self.failure);
        State::Ended
    }
}
