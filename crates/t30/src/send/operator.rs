//! PIP and PIN: the far end wants to talk, and T3 runs before the fax goes on without (T.30 §5.3.6.1.7, §5.4.3.3).

use crate::api::Operator;
use crate::call::{Burst, Call, On};
use crate::cause::Cause;
use crate::exchange::{Exchange, Reply};
use crate::frames::{Fcf, Fcf2};
use crate::polling;
use crate::release;
use crate::send::{self, Again};
use crate::session::State;
use crate::timers::{self, Timer};
use fax_base::line::Transmit;

/// An operator is called at one of the ends, or was in vain.
#[derive(Debug)]
pub(crate) struct OperatorCalled {
    second: Fcf2,
    /// The page is taken (PIP), or is to be sent again (PIN).
    taken: bool,
    /// The post-message command without its interrupt.
    plain: Vec<Transmit>,
    /// T3 has run out: that command was sent.
    exchange: Option<Exchange>,
}

/// PIP: the page is taken, and somebody wants to talk. `plain` is the post-message command without its interrupt.
pub(crate) fn positive(call: &mut Call, second: Fcf2, plain: Vec<Transmit>) -> State {
    if !call.has_operator() {
        return send::confirmed(call, second, false);
    }
    send::taken(call, false);
    begin(call, second, true, plain)
}

/// PIN: the page is not taken, and somebody wants to talk.
pub(crate) fn negative(call: &mut Call, second: Fcf2) -> State {
    if !call.has_operator() {
        return send::refused(call, Cause::PageRefused, Again::Slower);
    }
    call.tally.page_uncertain = call.transmission.doubtful.then(|| call.transmission.index());
    begin(call, second, false, Vec::new())
}

fn begin(call: &mut Call, second: Fcf2, taken: bool, plain: Vec<Transmit>) -> State {
    call.stop_search();
    call.timers.set(Timer::T3, call.now + timers::T3);
    State::OperatorCalled(OperatorCalled { second, taken, plain, exchange: None })
}

impl Call {
    /// Whether PIP, PIN and PRI-MPS … mean anything to us: somebody sits here, and did not fail to come already.
    pub(crate) fn has_operator(&self) -> bool {
        !self.operator_missed
            && match self.config.rules.operator {
                Operator::Absent => false,
                Operator::Present | Operator::Asks => true,
            }
    }

    /// Whether we want to talk ourselves.
    pub(crate) fn asks_for_operator(&self) -> bool {
        self.has_operator() && self.config.rules.operator == Operator::Asks
    }
}

impl OperatorCalled {
    pub(crate) fn on(mut self, call: &mut Call, on: On) -> State {
        if matches!(on, On::Expired(Timer::T3)) {
            call.operator_missed = true;
            if !self.taken {
                return send::refused(call, Cause::PageRefused, Again::Slower);
            }
            self.exchange = Some(Exchange::begin(call, Vec::new(), self.plain.clone()));
            return State::OperatorCalled(self);
        }
        let reply = match (&mut self.exchange, on) {
            (Some(exchange), on) => exchange.on(call, on),
            (None, On::Burst(burst)) if burst.last.fcf == Fcf::Dcn => Reply::Disconnected,
            (None, On::Burst(burst)) => Reply::Frames(burst),
            (None, _) => Reply::Wait,
        };
        match reply {
            Reply::Wait | Reply::Left => State::OperatorCalled(self),
            Reply::Disconnected => release::end(call, left(call)),
            // All that was sent is confirmed.
            Reply::Silence if self.second.plain() == Fcf2::Eop => {
                release::disconnect(call, polling::not_done(call))
            }
            Reply::Silence => release::disconnect(call, Some(Cause::NoResponseAfterPage)),
            Reply::Frames(burst) => self.answered(call, &burst),
        }
    }

    /// The far end goes on, with T3 or before.
    fn answered(self, call: &mut Call, burst: &Burst) -> State {
        let next = match (burst.last.fcf, self.taken) {
            (Fcf::Mcf, true) => send::go_on(call, self.second, false),
            // After RTN and RTP it wants to be trained; the page it has confirmed before.
            (Fcf::Rtn | Fcf::RetrainPositive, true) => send::go_on(call, self.second, true),
            (Fcf::Pid, true) => release::disconnect(call, left(call)),
            (Fcf::Pip | Fcf::Pin, true) if self.exchange.is_some() => send::go_on(call, self.second, false),
            (Fcf::Mcf | Fcf::RetrainPositive, false) => send::confirmed(call, self.second, false),
            (Fcf::Rtn, false) => send::refused(call, Cause::PageRefused, Again::Slower),
            (Fcf::Dis, true) => send::identified(call, burst),
            _ => return State::OperatorCalled(self),
        };
        call.timers.clear(Timer::T3);
        next
    }
}

/// Why it is a failure to part now, if it is one.
fn left(call: &Call) -> Option<Cause> {
    polling::left_undone(call).map(|_| Cause::Interrupted)
}
