//! How a leg ends: by its owner, by the far end, with its fax, or when its time is over.

use super::{Leg, Output, State, Timer};
use crate::call::{CallEnd, CallEvent};
use crate::media::MediaCommand;
use crate::signalling::switch::Carrier;
use fax_base::Instant;
use fax_base::time::Duration;
use fax_sip as sip;
use fax_t30 as t30;

/// After BYE or a hang-up the terminal says how the fax ended; it needs no time for that.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(2);

/// T.38 says its last packets again, and BYE must not overtake them.
pub(super) const FAREWELL: Duration = Duration::from_millis(80);

/// A terminal that is told to give up sends DCN and ends; it needs no longer than this.
pub(super) const GIVE_UP: Duration = Duration::from_secs(10);

impl Leg {
    pub(super) fn give_up(&mut self, now: Instant) {
        match self.state {
            State::Offered => self.reject(480, String::new(), None),
            State::Calling => {
                "given up by us".clone_into(&mut self.report.reason);
                self.want(sip::Command::Hangup { call: self.call, reason: None });
                self.done(CallEnd::NotAnswered, now);
            }
            // DCN first; the terminal's end releases the call.
            State::Answered | State::Up if self.media_up => {
                self.media_do(MediaCommand::Cancel);
                self.timers.set(Timer::GivenUp, now + GIVE_UP);
            }
            State::Answered | State::Up => {
                self.want(sip::Command::Hangup { call: self.call, reason: None });
                self.done(CallEnd::NotAnswered, now);
            }
            State::Parting | State::Clearing | State::Done => {}
        }
    }

    pub(super) fn ended(&mut self, now: Instant, cause: sip::EndCause) {
        if cause.by != sip::EndedBy::Local {
            self.report.q850 = cause.q850.or(self.report.q850);
            self.report.sip_status = cause.code.or(self.report.sip_status);
            self.report.retry_after = cause.retry_after.or(self.report.retry_after);
            self.report.reached |= cause.by == sip::EndedBy::Remote;
            if self.report.reason.is_empty() {
                self.report.reason = cause.warning.unwrap_or(cause.reason);
            }
        }
        match self.state {
            State::Calling | State::Offered => self.done(CallEnd::NotAnswered, now),
            State::Answered | State::Up if self.media_up => {
                self.state = State::Clearing;
                self.media_do(MediaCommand::HungUp);
                self.timers.set(Timer::LastWords, now + LAST_WORDS);
            }
            State::Answered | State::Up => self.done(CallEnd::NotAnswered, now),
            State::Parting => self.done(self.fax_end(), now),
            State::Clearing | State::Done => {}
        }
    }

    pub(super) fn fax_ended(&mut self, now: Instant, outcome: t30::Outcome) {
        self.report.outcome = Some(outcome);
        match self.state {
            State::Clearing => self.done(self.fax_end(), now),
            State::Up if self.switch.carrier() == Carrier::T38 => {
                self.state = State::Parting;
                self.timers.set(Timer::Farewell, now + FAREWELL);
            }
            State::Calling | State::Offered | State::Answered | State::Up | State::Parting | State::Done => {
                self.release(now, self.fax_end(), Some(sip::Q850(16)));
            }
        }
    }

    /// The call ends with the fax, or with what kept it from being one.
    fn fax_end(&self) -> CallEnd {
        if self.switch.is_silent() { CallEnd::T38Silent } else { CallEnd::Fax }
    }

    pub(super) fn expired(&mut self, now: Instant, timer: Timer) {
        match timer {
            Timer::Offer => {
                self.switch.offers();
                self.offer(Carrier::T38);
            }
            Timer::LastWords => self.done(self.fax_end(), now),
            Timer::Farewell => self.release(now, self.fax_end(), Some(sip::Q850(16))),
            Timer::GivenUp => self.release(now, CallEnd::Fax, None),
            Timer::Longest => {
                "the call lasted too long".clone_into(&mut self.report.reason);
                self.release(now, CallEnd::Internal, None);
            }
        }
    }

    pub(super) fn release(&mut self, now: Instant, end: CallEnd, reason: Option<sip::Q850>) {
        self.want(sip::Command::Hangup { call: self.call, reason });
        self.done(end, now);
    }

    pub(super) fn done(&mut self, end: CallEnd, now: Instant) {
        if self.state == State::Done {
            return;
        }
        self.state = State::Done;
        self.timers.clear_all();
        self.media_do(MediaCommand::Stop);
        self.report.end = end;
        self.report.duration = now.since(self.began);
        let good = self.report.outcome.as_ref().is_some_and(|o| o.failure.is_none());
        self.report.trace.take_if(|_| good && !self.good_kept);
        self.tell(CallEvent::Ended(Box::new(self.report.clone())));
        self.outputs.push_back(Output::Done);
    }
}
