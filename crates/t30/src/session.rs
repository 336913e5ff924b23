//! One call seen from one terminal: the states of T.30's flow charts (T.30 §5.2) and the way between
//! them and the outside.

use crate::api::{Config, Input, Output, Role};
use crate::call::{Call, On};
use crate::called::{Answering, AwaitDcs};
use crate::calling::{AwaitDis, CallTone};
use crate::cause::Cause;
use crate::polling::AwaitPolled;
use crate::receive::commands::AwaitPostMessage;
use crate::receive::ending::AwaitDisconnect;
use crate::receive::message::{AwaitMessage, ReceivingBits, ReceivingFrames};
use crate::receive::page::Judging;
use crate::receive::training::AwaitTcf;
use crate::release::{self, Release};
use crate::send::ecm::{ContinueToCorrect, EndOfRetransmission, PartialPage, ReceiveReady};
use crate::send::message::{AwaitCodedPage, PostMessage};
use crate::send::operator::OperatorCalled;
use crate::send::training::AwaitTrained;
use crate::timers::{self, Timer};
use fax_base::Instant;
use fax_base::time::earliest;

/// Where a call is.
#[derive(Debug)]
pub(crate) enum State {
    /// Before [`Input::Start`].
    Idle,
    // Phase A and the identification part of phase B.
    CallTone(CallTone),
    AwaitDis(AwaitDis),
    Answering(Answering),
    AwaitDcs(AwaitDcs),
    AwaitPolled(AwaitPolled),
    // Sending.
    AwaitTrained(AwaitTrained),
    AwaitCodedPage(AwaitCodedPage),
    PostMessage(PostMessage),
    PartialPage(PartialPage),
    ReceiveReady(ReceiveReady),
    ContinueToCorrect(ContinueToCorrect),
    EndOfRetransmission(EndOfRetransmission),
    OperatorCalled(OperatorCalled),
    // Receiving.
    AwaitTcf(AwaitTcf),
    AwaitMessage(AwaitMessage),
    ReceivingBits(ReceivingBits),
    ReceivingFrames(ReceivingFrames),
    AwaitPostMessage(AwaitPostMessage),
    Judging(Judging),
    AwaitDisconnect(AwaitDisconnect),
    // Phase E.
    Release(Release),
    /// [`Output::End`] was given.
    Ended,
}

impl State {
    /// Its name, for the outcome.
    const fn name(&self) -> &'static str {
        match self {
            State::Idle => "Idle",
            State::CallTone(_) => "CallTone",
            State::AwaitDis(_) => "AwaitDis",
            State::Answering(_) => "Answering",
            State::AwaitDcs(_) => "AwaitDcs",
            State::AwaitPolled(_) => "AwaitPolled",
            State::AwaitTrained(_) => "AwaitTrained",
            State::AwaitCodedPage(_) => "AwaitCodedPage",
            State::PostMessage(_) => "PostMessage",
            State::PartialPage(_) => "PartialPage",
            State::ReceiveReady(_) => "ReceiveReady",
            State::ContinueToCorrect(_) => "ContinueToCorrect",
            State::EndOfRetransmission(_) => "EndOfRetransmission",
            State::OperatorCalled(_) => "OperatorCalled",
            State::AwaitTcf(_) => "AwaitTcf",
            State::AwaitMessage(_) => "AwaitMessage",
            State::ReceivingBits(_) => "ReceivingBits",
            State::ReceivingFrames(_) => "ReceivingFrames",
            State::AwaitPostMessage(_) => "AwaitPostMessage",
            State::Judging(_) => "Judging",
            State::AwaitDisconnect(_) => "AwaitDisconnect",
            State::Release(_) => "Release",
            State::Ended => "Ended",
        }
    }

    fn on(self, call: &mut Call, on: On) -> State {
        match self {
            State::Idle => State::Idle,
            State::CallTone(s) => s.on(call, on),
            State::AwaitDis(s) => s.on(call, on),
            State::Answering(s) => s.on(call, on),
            State::AwaitDcs(s) => s.on(call, on),
            State::AwaitPolled(s) => s.on(call, on),
            State::AwaitTrained(s) => s.on(call, on),
            State::AwaitCodedPage(s) => s.on(call, on),
            State::PostMessage(s) => s.on(call, on),
            State::PartialPage(s) => s.on(call, on),
            State::ReceiveReady(s) => s.on(call, on),
            State::ContinueToCorrect(s) => s.on(call, on),
            State::EndOfRetransmission(s) => s.on(call, on),
            State::OperatorCalled(s) => s.on(call, on),
            State::AwaitTcf(s) => s.on(call, on),
            State::AwaitMessage(s) => s.on(call, on),
            State::ReceivingBits(s) => s.on(call, on),
            State::ReceivingFrames(s) => s.on(call, on),
            State::AwaitPostMessage(s) => s.on(call, on),
            State::Judging(s) => s.on(call, on),
            State::AwaitDisconnect(s) => s.on(call, on),
            State::Release(s) => s.on(call, on),
            State::Ended => State::Ended,
        }
    }
}

/// One call seen from one terminal. See the crate's documentation.
#[derive(Debug)]
pub struct Session {
    call: Call,
    state: State,
}

impl Session {
    /// A session that waits for [`Input::Start`].
    #[must_use]
    pub fn new(config: Config) -> Self {
        Session { call: Call::new(config), state: State::Idle }
    }

    /// Takes in what happened at `now`. After [`Output::End`] nothing has any effect.
    pub fn handle(&mut self, now: Instant, input: Input) {
        self.call.now = self.call.now.max(now);
        match input {
            Input::Start => self.start(),
            Input::Heard(heard) => {
                if self.live()
                    && let Some(on) = self.call.hear(heard)
                {
                    self.on(on);
                }
            }
            Input::Sent => {
                if self.call.sent() {
                    self.on(On::Sent);
                }
            }
            Input::Page(octets) => self.on(On::Page(octets)),
            Input::Verdict(verdict) => self.on(On::Verdict(verdict)),
            Input::PageNotKept => {
                if matches!(self.state, State::Judging(_)) {
                    self.close(Cause::NotKept);
                }
            }
            Input::LineChanged => {
                if self.live() {
                    self.call.line_changed();
                    self.on(On::LineChanged);
                }
            }
            Input::Timeout => self.timeout(),
            Input::HungUp => self.hung_up(),
            Input::Cancel => self.cancel(),
        }
    }

    /// The next thing to do, in order; `None` when there is nothing until the next input.
    pub fn poll(&mut self) -> Option<Output> {
        self.call.poll()
    }

    /// When [`Input::Timeout`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        earliest(self.call.timers.deadline(), self.call.command_at())
    }

    /// From now on the line carries no image that we send faster than this, bit/s: a far end of T.38 may say so
    /// (T38MaxBitRate). It holds for what is agreed from here on.
    pub fn limit_rate(&mut self, bit_rate: u32) {
        self.call.line_rate = bit_rate;
    }

    fn live(&self) -> bool {
        !matches!(self.state, State::Idle | State::Ended)
    }

    fn on(&mut self, on: On) {
        self.call.state = self.state.name();
        let state = core::mem::replace(&mut self.state, State::Ended);
        self.state = state.on(&mut self.call, on);
    }

    fn start(&mut self) {
        if matches!(self.state, State::Idle) {
            self.call.timers.set(Timer::Call, self.call.now + timers::CALL);
            self.state = match self.call.config.role {
                Role::Calling => CallTone::begin(&mut self.call),
                Role::Called => Answering::begin(&mut self.call),
            };
        }
    }

    fn timeout(&mut self) {
        self.call.tell_sent();
        // At most as many as there are timers: one that is set anew is not due yet.
        while let Some(timer) = self.call.timers.expired(self.call.now) {
            if timer == Timer::Call {
                self.close(Cause::CallDropped);
            } else if timer == Timer::Page {
                self.close(Cause::PageTooLong);
            } else if let Some(on) = self.call.expired(timer) {
                self.on(on);
            }
        }
    }

    /// Ends from whatever state with DCN.
    fn close(&mut self, cause: Cause) {
        self.call.state = self.state.name();
        let state = core::mem::replace(&mut self.state, State::Ended);
        self.state = match state {
            State::Idle | State::Ended => state,
            State::Release(s) => s.at_once(&mut self.call),
            _ => release::disconnect(&mut self.call, Some(cause)),
        };
    }

    fn hung_up(&mut self) {
        self.call.state = self.state.name();
        let state = core::mem::replace(&mut self.state, State::Ended);
        self.state = match state {
            State::Ended => State::Ended,
            State::Idle => release::end(&mut self.call, Some(Cause::CallDropped)),
            State::Release(s) => s.at_once(&mut self.call),
            State::AwaitDisconnect(s) => s.hung_up(&mut self.call),
            // Released between two documents: what was received stands.
            State::AwaitDcs(s) => s.hung_up(&mut self.call),
            State::CallTone(_)
            | State::AwaitDis(_)
            | State::Answering(_)
            | State::AwaitPolled(_)
            | State::AwaitTrained(_)
            | State::AwaitCodedPage(_)
            | State::PostMessage(_)
            | State::PartialPage(_)
            | State::ReceiveReady(_)
            | State::ContinueToCorrect(_)
            | State::EndOfRetransmission(_)
            | State::OperatorCalled(_)
            | State::AwaitTcf(_)
            | State::AwaitMessage(_)
            | State::ReceivingBits(_)
            | State::ReceivingFrames(_)
            | State::AwaitPostMessage(_)
            | State::Judging(_) => release::end(&mut self.call, Some(Cause::CallDropped)),
        };
    }

    fn cancel(&mut self) {
        self.call.state = self.state.name();
        let state = core::mem::replace(&mut self.state, State::Ended);
        self.state = match state {
            State::Ended => State::Ended,
            State::Release(s) => State::Release(s),
            // Nobody is there yet who would understand DCN.
            State::Idle | State::CallTone(_) | State::Answering(_) => {
                self.call.stop();
                release::end(&mut self.call, Some(Cause::Cancelled))
            }
            State::AwaitDisconnect(s) => s.hung_up(&mut self.call),
            State::AwaitDis(_)
            | State::AwaitDcs(_)
            | State::AwaitPolled(_)
            | State::AwaitTrained(_)
            | State::AwaitCodedPage(_)
            | State::PostMessage(_)
            | State::PartialPage(_)
            | State::ReceiveReady(_)
            | State::ContinueToCorrect(_)
            | State::EndOfRetransmission(_)
            | State::OperatorCalled(_)
            | State::AwaitTcf(_)
            | State::AwaitMessage(_)
            | State::ReceivingBits(_)
            | State::ReceivingFrames(_)
            | State::AwaitPostMessage(_)
            | State::Judging(_) => release::disconnect(&mut self.call, Some(Cause::Cancelled)),
        };
    }
}
