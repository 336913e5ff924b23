//! A call that is passed on: two legs, their offers and their media, without I/O (RFC 3261 §16.1 and RFC 7092: a
//! back-to-back user agent that anchors the media).
//!
//! 1. Each leg is a call of its own: session timers, 491, repeats and PRACK are the user agent's on each side. What is
//!    said on one side is said on the other when it matters there: ringing, early media, answer, offers, the end with
//!    its cause.
//! 2. Audio is offered as it came, with our address: whatever both ends can do, they do. Only G.711 can be made into
//!    T.38 and back.
//! 3. T.38 that one side offers is offered to the other. Where that refuses it, or thinks for longer than
//!    [`OTHER_SIDE`], the side that offered has T.38 and the other keeps its audio: the media convert. An audio that
//!    cannot be converted refuses T.38 with 488.
//! 4. A fax that is heard in the audio makes us offer T.38 to the sides whose peers wait for that
//!    ([`OnwardT38::Gateway`]), once a call: tones and the preamble come before any page.
//! 5. The next target is tried when one cannot be reached, is full, overloaded or broken, or is not registered: where
//!    [`sip::call_cause`] says so, as for faxes of our own. What the called one says itself (busy, declined, unknown) ends
//!    the call.

mod answer;
mod lines;
mod offers;
mod targets;
#[cfg(test)]
mod tests;

use super::security::{Security, media_keys};
use crate::local::OnwardT38;
use crate::media::{Codec, Keys, MediaCommand, SideCarrier, SideHeard};
use crate::onward::{OnwardEvent, OnwardReport, Side};
use bytes::Bytes;
use fax_base::Instant;
use fax_base::time::Duration;
use fax_base::timer::Timers;
use fax_sip as sip;
use lines::{Content, Stream};
use sip::sdp::{self, Negotiation};
use std::collections::VecDeque;
use std::net::SocketAddr;

/// A side that offered T.38 is not kept waiting longer than this for the other: peers give up after five seconds.
const OTHER_SIDE: Duration = Duration::from_millis(3_500);

/// No call that is passed on lasts longer.
const LONGEST_CALL: Duration = Duration::from_secs(12 * 3600);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Timer {
    /// The other side has not said what it thinks of T.38.
    OtherSide,
    /// The call has lasted too long.
    Longest,
}

/// Whether there is something in an offer that can be passed on.
pub(super) fn can_pass(offer: &Bytes, security: &Security) -> bool {
    let nowhere = std::net::Ipv4Addr::UNSPECIFIED.into();
    let negotiation = security.apply(Negotiation::new(nowhere, 0));
    lines::read_offer(offer, !security.bars_t38(), false, &negotiation).is_some()
}

/// One of the places that are called at the same time.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    /// Where our media are, as it is to see them.
    pub(super) media: SocketAddr,
    pub(super) security: Security,
}

/// One target: the places that are called at the same time.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// Which of the owner's targets it belongs to.
    pub(super) target: usize,
    /// None: nobody is there.
    pub(super) places: Vec<Spot>,
    /// The next is tried whatever this one says.
    pub(super) always_on: bool,
    pub(super) policy: OnwardT38,
}

/// What happened.
#[derive(Debug)]
pub(super) enum Input {
    /// On the caller's leg.
    Caller(sip::Event),
    /// At one of the places that are called, by its number in the whole call.
    Called(usize, sip::Event),
    /// This place cannot be called at all.
    NotPlaced {
        number: usize,
        /// What the caller is to hear.
        q850: Option<u16>,
        reason: String,
    },
    /// In the media.
    Heard(Side, SideHeard),
    /// The media failed.
    MediaFailed,
    /// The owner ends the call.
    GiveUp,
    Timeout,
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Output {
    Sip(sip::Command),
    /// Call a place: this number, in this step, which of its places, with this offer.
    Place {
        number: usize,
        step: usize,
        place: usize,
        offer: Bytes,
    },
    /// The media begin: the called side's are at this port of ours.
    Begin(u16),
    Media(MediaCommand),
    Tell(OnwardEvent),
    /// Drop it.
    Done,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Targets are being called.
    Trying,
    /// One answered; the caller has not acknowledged that.
    Answered,
    /// Both talk.
    Up,
    Done,
}

/// One side of the call.
struct Half {
    call: sip::CallKey,
    port: u16,
    negotiation: Negotiation,
    policy: OnwardT38,
    /// What is agreed.
    stream: Option<Stream>,
    /// We offer this side T.38 (true) or audio (false), and have no answer.
    offering: Option<bool>,
    /// What the other side said while we waited for that answer, and this one is still to hear.
    owed: Option<Content>,
    /// It does not want T.38, or was offered it by us already.
    t38_asked: bool,
    /// What the media were told last.
    told: (SideCarrier, Option<Keys>),
    /// T.38 was agreed when they were.
    was_t38: bool,
    /// T.38 may come after SRTP.
    t38_beside: bool,
    /// Keys of media before the answer, which the negotiation does not have.
    early_keys: Option<Keys>,
}

impl Half {
    fn new(call: sip::CallKey, media: SocketAddr, id: u64, policy: OnwardT38) -> Half {
        Half {
            call,
            port: media.port(),
            negotiation: Negotiation::new(media.ip(), id),
            policy,
            stream: None,
            offering: None,
            owed: None,
            t38_asked: false,
            told: (SideCarrier::Off, None),
            was_t38: false,
            t38_beside: true,
            early_keys: None,
        }
    }

    /// The same with SRTP.
    fn secured(self, security: &Security) -> Half {
        let policy = if security.bars_t38() { OnwardT38::Never } else { self.policy };
        let negotiation = security.apply(self.negotiation);
        Half { negotiation, policy, t38_beside: security.t38, ..self }
    }

    /// The keys of its audio, if that goes by SRTP.
    fn keys(&self) -> Option<Keys> {
        let agreed = || self.negotiation.keys().and_then(media_keys);
        self.early_keys.clone().or_else(agreed).filter(|_| !self.is_t38())
    }

    /// Our offer was answered; false: its keys are no good.
    fn taken(&mut self, answer: &Bytes) -> bool {
        let answer = sdp::SessionDescription::parse(answer).map_err(sdp::Unacceptable::from);
        match answer.and_then(|answer| self.negotiation.taken(&answer)) {
            Ok(()) => true,
            Err(why) => {
                tracing::debug!(%why, "an answer is no good");
                false
            }
        }
    }

    fn is_t38(&self) -> bool {
        matches!(self.stream, Some(Stream::T38 { .. }))
    }

    fn g711(&self) -> Option<Codec> {
        match &self.stream {
            Some(Stream::Audio { g711, .. }) => *g711,
            Some(Stream::T38 { .. }) | None => None,
        }
    }
}

/// A place that is called.
struct Branch {
    half: Half,
    step: usize,
    place: usize,
    call_id: String,
    /// What became of it; `None`: it may still answer.
    failed: Option<Failure>,
    /// It was offered T.38 because the caller offers nothing else.
    offered_image: bool,
    /// It was offered plain RTP because it refused SRTP.
    plain: bool,
    /// It was offered SRTP, and would be called without.
    srtp_offered: bool,
}

#[derive(Clone, Debug)]
struct Failure {
    code: u16,
    q850: Option<u16>,
    reason: String,
    /// Nobody there said that: it could not be reached, or in time.
    ours: bool,
}

/// An offer of one side that waits for the other's answer.
struct Pending {
    from: Side,
    offer: Bytes,
    content: Content,
}

/// One call that is passed on.
pub(super) struct Bridge {
    a: Half,
    b: Option<Half>,
    /// The caller's first offer; `None`: it wants ours.
    offer: Option<(Bytes, Content)>,
    /// What the caller was answered before the call was: the line and the octets.
    early: Option<(sdp::Media, Bytes)>,
    steps: Vec<Step>,
    step: usize,
    branches: Vec<Branch>,
    state: State,
    pending: Option<Pending>,
    media_up: bool,
    rang: bool,
    began: Instant,
    answered: Option<Instant>,
    timers: Timers<Timer>,
    outputs: VecDeque<Output>,
    report: OnwardReport,
    /// Session ids of our descriptions.
    ids: u64,
}

/// The caller's leg as it is handed over.
pub(super) struct Caller {
    pub(super) call: sip::CallKey,
    pub(super) call_id: String,
    /// Our media, as the caller is to see them.
    pub(super) media: SocketAddr,
    pub(super) offer: Option<Bytes>,
    pub(super) policy: OnwardT38,
    pub(super) security: Security,
}

impl Bridge {
    /// Begins with the first step; `ids` is where the ids of session descriptions begin.
    pub(super) fn new(now: Instant, caller: Caller, steps: Vec<Step>, ids: u32) -> Bridge {
        let mut timers = Timers::new();
        timers.set(Timer::Longest, now + LONGEST_CALL);
        let ids = u64::from(ids);
        let a = Half::new(caller.call, caller.media, ids, caller.policy).secured(&caller.security);
        let mut bridge = Bridge {
            a,
            b: None,
            offer: None,
            early: None,
            steps,
            step: 0,
            branches: Vec::new(),
            state: State::Trying,
            pending: None,
            media_up: false,
            rang: false,
            began: now,
            answered: None,
            timers,
            outputs: VecDeque::new(),
            report: OnwardReport { call_id_a: caller.call_id, ..OnwardReport::default() },
            ids,
        };
        if let Some(offer) = caller.offer {
            let t38 = bridge.a.policy != OnwardT38::Never;
            match lines::read_offer(&offer, t38, false, &bridge.a.negotiation) {
                Some(content) => bridge.offer = Some((offer, content)),
                None => {
                    bridge.refuse(now, 488, "nothing in the offer can be passed on");
                    return bridge;
                }
            }
        }
        bridge.try_step(now);
        bridge
    }

    /// A place is called with this key and Call-ID.
    pub(super) fn placed(&mut self, number: usize, call: sip::CallKey, call_id: String) {
        if let Some(branch) = self.branches.get_mut(number) {
            branch.half.call = call;
            branch.call_id = call_id;
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.timers.deadline()
    }

    pub(super) fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(super) fn handle(&mut self, now: Instant, input: Input) {
        if self.state == State::Done {
            return;
        }
        match input {
            Input::Caller(event) => self.caller(now, event),
            Input::Called(number, event) => self.called(now, number, event),
            Input::NotPlaced { number, q850, reason } => {
                self.branch_failed(now, number, Failure { code: 503, q850, reason, ours: true });
            }
            Input::Heard(side, heard) => self.heard(now, side, heard),
            Input::MediaFailed => self.release(now, None, Some(sip::Q850(41)), "our media failed"),
            Input::GiveUp => self.release(now, None, Some(sip::Q850(31)), "given up by us"),
            Input::Timeout => {
                while let Some(timer) = self.timers.expired(now) {
                    match timer {
                        Timer::OtherSide => self.other_side_late(),
                        Timer::Longest => {
                            self.release(now, None, Some(sip::Q850(102)), "the call lasted too long");
                        }
                    }
                }
            }
        }
    }

    fn want(&mut self, command: sip::Command) {
        self.outputs.push_back(Output::Sip(command));
    }

    fn half(&mut self, side: Side) -> Option<&mut Half> {
        match side {
            Side::A => Some(&mut self.a),
            Side::B => self.b.as_mut(),
        }
    }

    fn half_ref(&self, side: Side) -> Option<&Half> {
        match side {
            Side::A => Some(&self.a),
            Side::B => self.b.as_ref(),
        }
    }

    // --- media ---

    fn heard(&mut self, now: Instant, side: Side, heard: SideHeard) {
        match heard {
            SideHeard::Fax => self.fax_heard(side),
            SideHeard::T38Silent => {
                let converted = self.half_ref(side.other()).is_some_and(|h| h.g711().is_some());
                if converted && self.half_ref(side).is_some_and(Half::is_t38) {
                    self.offer_audio(side);
                }
            }
            SideHeard::T38Heard => {}
            SideHeard::Timeout => {
                let held = [Side::A, Side::B].into_iter().any(|s| {
                    let stream = self.half_ref(s).and_then(|h| h.stream.as_ref());
                    matches!(stream, Some(Stream::Audio { flows: false, .. }))
                });
                if !held {
                    self.release(now, None, Some(sip::Q850(41)), "nothing came any more");
                }
            }
        }
    }

    /// A fax is at the far end of a side.
    fn fax_heard(&mut self, _side: Side) {
        let both =
            [Side::A, Side::B].into_iter().all(|s| self.half_ref(s).is_some_and(|h| h.g711().is_some()));
        if self.state != State::Up || self.pending.is_some() || !both {
            return;
        }
        for side in [Side::A, Side::B] {
            let Some(half) = self.half(side) else {
                continue;
            };
            if half.policy != OnwardT38::Gateway || half.t38_asked || half.offering.is_some() {
                continue;
            }
            half.t38_asked = true;
            half.offering = Some(true);
            let offer = half.negotiation.offer(&lines::own_image_offer(half.port));
            let call = half.call;
            self.want(sip::Command::Reinvite { call, offer });
        }
    }

    /// Tells the media what holds on each side, where that is news.
    fn set_media(&mut self) {
        let Some(b) = &self.b else {
            return;
        };
        let (Some(x), Some(y)) = (&self.a.stream, &b.stream) else {
            return;
        };
        let listens = self.a.policy == OnwardT38::Gateway || b.policy == OnwardT38::Gateway;
        let carriers = [lines::carrier(x, y, listens), lines::carrier(y, x, listens)];
        if !self.media_up {
            self.media_up = true;
            self.outputs.push_back(Output::Begin(b.port));
        }
        for (side, carrier) in [Side::A, Side::B].into_iter().zip(carriers) {
            let Some(half) = self.half(side) else {
                continue;
            };
            let t38 = half.is_t38();
            let turned = core::mem::replace(&mut half.was_t38, t38) != t38;
            let keys = half.keys();
            if keys.is_some() && !half.t38_beside {
                half.policy = OnwardT38::Never;
            }
            let before = core::mem::replace(&mut half.told, (carrier.clone(), keys.clone()));
            let turn = (before.0 != carrier).then_some(MediaCommand::Side { side, carrier });
            let renew = (before.1 != keys).then(|| MediaCommand::Keys { side, keys: keys.clone() });
            // Whatever is to be secured never goes out in clear in between.
            let commands = if keys.is_some() { [renew, turn] } else { [turn, renew] };
            self.outputs.extend(commands.into_iter().flatten().map(Output::Media));
            let place = usize::from(side == Side::B);
            if let Some(ever) = self.report.t38.get_mut(place).filter(|_| t38) {
                *ever = true;
            }
            if turned {
                self.outputs.push_back(Output::Tell(OnwardEvent::Carrier { side, t38 }));
            }
        }
    }

    // --- the end ---

    /// A side has cleared the call.
    fn ended(&mut self, now: Instant, side: Side, cause: sip::EndCause) {
        self.report.ended_by = (cause.by == sip::EndedBy::Remote).then_some(side);
        self.report.q850 = cause.q850;
        self.report.sip_status = cause.code;
        let reason = cause.q850.map(sip::Q850);
        let words = cause.warning.unwrap_or(cause.reason);
        self.report.reason = words;
        match side {
            Side::A => self.hang_up_called(reason),
            Side::B => self.want(sip::Command::Hangup { call: self.a.call, reason }),
        }
        self.done(now);
    }

    fn hang_up_called(&mut self, reason: Option<sip::Q850>) {
        let b = self.b.as_ref().filter(|_| self.state != State::Trying).map(|b| b.call);
        let calls: Vec<sip::CallKey> = match b {
            Some(call) => vec![call],
            None => self.branches.iter().filter(|b| b.failed.is_none()).map(|b| b.half.call).collect(),
        };
        for call in calls {
            self.want(sip::Command::Hangup { call, reason });
        }
    }

    /// We end both legs.
    fn release(&mut self, now: Instant, by: Option<Side>, reason: Option<sip::Q850>, words: &str) {
        self.report.ended_by = by;
        self.report.q850 = reason.map(|r| r.0);
        words.clone_into(&mut self.report.reason);
        self.want(sip::Command::Hangup { call: self.a.call, reason });
        self.hang_up_called(reason);
        self.done(now);
    }

    fn done(&mut self, now: Instant) {
        self.state = State::Done;
        self.timers.clear_all();
        if self.media_up {
            self.outputs.push_back(Output::Media(MediaCommand::Stop));
        }
        self.report.duration = now.since(self.began);
        self.report.talked = self.answered.map_or(Duration::ZERO, |at| now.since(at));
        self.outputs.push_back(Output::Tell(OnwardEvent::Ended(Box::new(self.report.clone()))));
        self.outputs.push_back(Output::Done);
    }
}

impl Failure {
    /// Whether another target may do better.
    fn goes_on(&self) -> bool {
        match sip::call_cause(Some(self.code), self.q850, !self.ours).course {
            sip::Course::NextTrunk | sip::Course::LaterHere => true,
            sip::Course::GiveUp => false,
        }
    }
}

fn reason_header(cause: u16) -> (String, String) {
    ("Reason".to_owned(), format!("Q.850;cause={cause}"))
}
