//! A leg: one SIP session and its media, without I/O. It carries out what [`super::switch`] says about
//! audio and T.38, and decides when the call is released.

use super::outside::Begin;
use super::session::Session;
use super::switch::{Carrier, Switch};
use crate::call::{CallEnd, CallEvent, CallReport};
use crate::config::T38Policy;
use crate::media::{Keys, MediaCommand, MediaEvent};
use bytes::Bytes;
use fax_base::Instant;
use fax_base::time::Duration;
use fax_base::timer::Timers;
use fax_sip as sip;
use fax_t30 as t30;
use fax_t30::Role;
use std::collections::VecDeque;

mod carriers;
mod ending;
#[cfg(test)]
mod tests;

/// No fax call lasts longer.
const LONGEST_CALL: Duration = Duration::from_secs(4 * 3600);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Timer {
    /// T.38 is to be offered by us.
    Offer,
    /// The fax's outcome is awaited after the call was cleared.
    LastWords,
    /// The fax is over and its last packets have left.
    Farewell,
    /// The terminal was told to give up and has not ended.
    GivenUp,
    /// The call has lasted too long.
    Longest,
}

/// What happened to a leg.
#[derive(Debug)]
pub(crate) enum Input {
    Sip(sip::Event),
    Media(MediaEvent),
    /// The owner answers an incoming call.
    Accept(Box<fax_terminal::Config>),
    /// The owner refuses an incoming call.
    Reject {
        code: u16,
        reason: String,
        /// Retry-After.
        later: Option<Duration>,
    },
    /// The owner has laid a page down, or could not.
    PageKept(bool),
    /// The owner gives the call up.
    GiveUp,
    Timeout,
}

/// What a leg wants done.
#[derive(Debug)]
pub(crate) enum Output {
    Sip(sip::Command),
    Begin(Begin),
    Media(MediaCommand),
    Tell(CallEvent),
    /// The leg is done with; drop it.
    Done,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Our INVITE is out.
    Calling,
    /// The owner thinks about an incoming call.
    Offered,
    /// Answered by us; its ACK is awaited.
    Answered,
    /// Both ends talk.
    Up,
    /// The fax is over; its last packets leave before BYE.
    Parting,
    /// The call is cleared; the fax's outcome is awaited.
    Clearing,
    /// Everything is said.
    Done,
}

/// One leg.
pub(crate) struct Leg {
    call: sip::CallKey,
    pub(super) switch: Switch,
    session: Session,
    state: State,
    terminal: Option<Box<fax_terminal::Config>>,
    /// What our offer under way is.
    offering: Option<Carrier>,
    media_up: bool,
    /// What the media go by, or did before T.38.
    keys: Option<Keys>,
    began: Instant,
    timers: Timers<Timer>,
    outputs: VecDeque<Output>,
    report: CallReport,
    /// The recording is kept also if all goes well.
    good_kept: bool,
    /// Nothing in the offer of the incoming INVITE is for a fax.
    deaf: bool,
}

impl Leg {
    /// A leg that calls. The INVITE is the driver's; its SDP comes from [`Leg::first_offer`].
    pub(crate) fn calling(
        now: Instant,
        call: sip::CallKey,
        policy: T38Policy,
        session: Session,
        terminal: Box<fax_terminal::Config>,
    ) -> Self {
        let switch = Switch::new(policy, Role::Calling);
        Self::new(now, call, switch, session, State::Calling, Some(terminal))
    }

    /// A leg that is called.
    pub(crate) fn called(
        now: Instant,
        call: sip::CallKey,
        policy: T38Policy,
        session: Session,
        call_id: String,
    ) -> Self {
        let switch = Switch::new(policy, Role::Called);
        let mut leg = Self::new(now, call, switch, session, State::Offered, None);
        leg.report.call_id = call_id;
        leg
    }

    fn new(
        now: Instant,
        call: sip::CallKey,
        switch: Switch,
        session: Session,
        state: State,
        terminal: Option<Box<fax_terminal::Config>>,
    ) -> Self {
        let mut timers = Timers::new();
        timers.set(Timer::Longest, now + LONGEST_CALL);
        Leg {
            call,
            switch,
            session,
            state,
            terminal,
            offering: None,
            media_up: false,
            keys: None,
            began: now,
            timers,
            outputs: VecDeque::new(),
            report: CallReport::new(CallEnd::NotAnswered, ""),
            good_kept: true,
            deaf: false,
        }
    }

    /// The call goes on under another key: it was redirected and has not been answered.
    pub(super) fn redirected(&mut self, call: sip::CallKey) {
        self.call = call;
    }

    /// What a recording of the call is labelled with.
    pub(super) fn labels(&self) -> Vec<(String, String)> {
        let call_id = Some(self.report.call_id.clone()).filter(|c| !c.is_empty());
        call_id.map(|c| ("call_id".to_owned(), c)).into_iter().collect()
    }

    /// The call is recorded under this name; `good_kept`: also if it goes well.
    pub(super) fn recorded(&mut self, name: String, good_kept: bool) {
        self.report.trace = Some(name);
        self.good_kept = good_kept;
    }

    /// The SDP of our INVITE.
    pub(crate) fn first_offer(&mut self) -> Bytes {
        self.session.audio_offer()
    }

    /// Our first offer, of SRTP, was refused: the INVITE goes out once more with this one, in plain RTP.
    /// `None`: that is not allowed, or was done.
    pub(super) fn plain_offer(&mut self) -> Option<Bytes> {
        self.session.plain_offer()
    }

    /// Reads the offer of an incoming INVITE; an error when nothing in it serves us.
    pub(crate) fn offered(&mut self, offer: Option<&Bytes>) -> Result<(), sip::sdp::Unacceptable> {
        let Some(offer) = offer else { return Ok(()) };
        let taken = self.session.take_first_offer(offer, self.switch.takes_t38());
        self.deaf = taken.is_err();
        taken
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.timers.deadline()
    }

    pub(super) fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(super) fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Sip(event) => self.sip(now, event),
            Input::Media(event) => self.media(now, event),
            Input::Accept(terminal) => self.accept(terminal),
            Input::Reject { code, reason, later } => self.reject(code, reason, later),
            Input::PageKept(kept) if self.media_up => self.media_do(MediaCommand::PageKept(kept)),
            Input::PageKept(_) => {}
            Input::GiveUp => self.give_up(now),
            Input::Timeout => {
                while let Some(timer) = self.timers.expired(now) {
                    self.expired(now, timer);
                }
            }
        }
        match self.switch.offer_due().filter(|_| self.state == State::Up) {
            Some(at) => self.timers.set(Timer::Offer, at),
            None => self.timers.clear(Timer::Offer),
        }
    }

    fn want(&mut self, command: sip::Command) {
        self.outputs.push_back(Output::Sip(command));
    }

    fn tell(&mut self, event: CallEvent) {
        self.outputs.push_back(Output::Tell(event));
    }

    fn media_do(&mut self, command: MediaCommand) {
        if self.media_up {
            self.outputs.push_back(Output::Media(command));
        }
    }

    // --- the owner ---

    fn accept(&mut self, terminal: Box<fax_terminal::Config>) {
        if self.state != State::Offered {
            return;
        }
        if self.deaf {
            return self.reject(488, String::new(), None);
        }
        let (sdp, agreed) = self.session.first_answer();
        self.terminal = Some(terminal);
        self.state = State::Answered;
        self.want(sip::Command::Answer { call: self.call, sdp });
        if let Some(agreed) = agreed {
            self.up(agreed);
        }
    }

    fn reject(&mut self, code: u16, reason: String, later: Option<Duration>) {
        if self.state != State::Offered {
            return;
        }
        self.report.sip_status = Some(code);
        self.report.reason.clone_from(&reason);
        let later = later.map(|wait| ("Retry-After".to_owned(), wait.as_secs().max(1).to_string()));
        let headers = later.into_iter().collect();
        self.want(sip::Command::Reject { call: self.call, code, reason, headers });
        self.done(CallEnd::NotAnswered, self.began);
    }

    // --- signalling ---

    fn sip(&mut self, now: Instant, event: sip::Event) {
        match event {
            sip::Event::Progress { .. } => {
                self.report.reached = true;
                if self.state == State::Calling {
                    self.tell(CallEvent::Ringing);
                }
            }
            sip::Event::Answered { answer, .. } => self.answered(now, answer),
            sip::Event::Confirmed { answer, .. } => self.confirmed(now, answer),
            sip::Event::ReinviteOffered { offer, .. } => self.offer_came(&offer),
            sip::Event::ReinviteAnswered { answer, .. } => self.offer_taken(&answer),
            sip::Event::ReinviteRefused { code, reason, .. } => self.refused(code, reason),
            sip::Event::Ended { cause, .. } => self.ended(now, cause),
            sip::Event::Refreshed { unheld, .. } => {
                if let Some(offer) = unheld {
                    self.session.unheld(&offer);
                }
            }
            // These are not about a call; the driver keeps them.
            sip::Event::Incoming(_)
            | sip::Event::Registered { .. }
            | sip::Event::RegistrationFailed { .. }
            | sip::Event::Unregistered { .. }
            | sip::Event::Asked(_)
            | sip::Event::Authenticated { .. }
            | sip::Event::AuthenticationFailed { .. }
            | sip::Event::TargetFailed { .. }
            | sip::Event::PeerAlive { .. }
            | sip::Event::PeerSilent { .. } => {}
        }
    }

    fn answered(&mut self, now: Instant, answer: Option<Bytes>) {
        self.report.reached = true;
        if self.state != State::Calling {
            return;
        }
        match answer.and_then(|sdp| self.session.read_answer(&sdp)) {
            Some(agreed) => {
                self.state = State::Up;
                self.tell(CallEvent::Answered);
                self.up(agreed);
                self.switch.up(now);
            }
            None => {
                "the answer holds no audio that we know".clone_into(&mut self.report.reason);
                self.release(now, CallEnd::NoCommonMedia, Some(sip::Q850(88)));
            }
        }
    }

    fn confirmed(&mut self, now: Instant, answer: Option<Bytes>) {
        if self.state != State::Answered {
            return;
        }
        self.state = State::Up;
        self.tell(CallEvent::Answered);
        if !self.media_up {
            match answer.and_then(|sdp| self.session.read_answer(&sdp)) {
                Some(agreed) => self.up(agreed),
                None => {
                    "the ACK holds no answer to our offer".clone_into(&mut self.report.reason);
                    return self.release(now, CallEnd::NoCommonMedia, Some(sip::Q850(88)));
                }
            }
        }
        self.switch.up(now);
    }

    // --- media ---

    fn media(&mut self, now: Instant, event: MediaEvent) {
        if self.state == State::Done {
            return;
        }
        match event {
            MediaEvent::Tone(tone) => {
                tracing::debug!(?tone, "heard in audio");
                self.switch.fax_heard(now);
            }
            MediaEvent::KeepPage(page) => self.tell(CallEvent::KeepPage(page)),
            MediaEvent::Page(page) => self.tell(CallEvent::Page(page)),
            MediaEvent::Event(event) => {
                if let t30::Event::Phase(phase) = event {
                    self.switch.phase(now, phase);
                }
                self.tell(CallEvent::Fax(event));
            }
            // A leg of our own has no second side.
            MediaEvent::Side { .. } | MediaEvent::Ladder(_) => {}
            MediaEvent::Signal(signal) => self.tell(CallEvent::Signal(signal)),
            MediaEvent::T38Silent => {
                if matches!(self.state, State::Answered | State::Up) {
                    self.switch.set_silent(true);
                    self.offer(Carrier::Audio);
                }
            }
            MediaEvent::T38Heard => self.switch.set_silent(false),
            MediaEvent::Failed => self.release(now, CallEnd::Internal, None),
            MediaEvent::End(outcome) => self.fax_ended(now, *outcome),
        }
    }
}
