//! Offers in the call: passed to the other side, or answered by us (RFC 3264 §8, T.38 Annex D).

use super::lines::{self, Content, Stream};
use super::{Bridge, Half, OTHER_SIDE, Pending, State, Timer};
use crate::local::OnwardT38;
use crate::onward::Side;
use bytes::Bytes;
use fax_base::Instant;
use fax_sip as sip;
use sip::sdp::{self, SessionDescription};

impl Bridge {
    pub(super) fn offered(&mut self, now: Instant, side: Side, offer: Bytes) {
        let Some(half) = self.half_ref(side) else {
            return;
        };
        let (call, t38) = (half.call, half.policy != OnwardT38::Never);
        let content = lines::read_offer(&offer, t38, true, &half.negotiation);
        let busy = self.state != State::Up || self.pending.is_some();
        match content {
            Some(content) if !busy && matches!(content, Content::T38 { .. }) => {
                self.t38_offered(now, Pending { from: side, offer, content });
            }
            Some(content) if !busy => self.audio_offered(Pending { from: side, offer, content }),
            Some(_) => self.want(sip::Command::RejectReinvite { call, code: 491 }),
            None => self.want(sip::Command::RejectReinvite { call, code: 488 }),
        }
    }

    pub(super) fn t38_offered(&mut self, now: Instant, pending: Pending) {
        let other = pending.from.other();
        let from_t38 = self.half_ref(pending.from).is_some_and(Half::is_t38);
        let Some(half) = self.half(other) else {
            return;
        };
        let ask = !from_t38
            && !half.is_t38()
            && half.policy != OnwardT38::Never
            && !half.t38_asked
            && half.offering.is_none();
        if !ask {
            return self.convert(pending);
        }
        half.t38_asked = true;
        half.offering = Some(true);
        let offer = half.negotiation.offer_line(lines::with_port(pending.content.line(), half.port));
        let call = half.call;
        if half.g711().is_some() {
            self.timers.set(Timer::OtherSide, now + OTHER_SIDE);
        }
        self.pending = Some(pending);
        self.want(sip::Command::Reinvite { call, offer });
    }

    pub(super) fn other_side_late(&mut self) {
        if let Some(pending) = self.pending.take() {
            self.convert(pending);
        }
    }

    /// T.38 on the side that offered it, whatever the other has.
    pub(super) fn convert(&mut self, pending: Pending) {
        let can = self.half_ref(pending.from.other()).is_some_and(|h| h.is_t38() || h.g711().is_some());
        let own = |port| lines::own_image(port);
        self.answer_ourselves(&pending, can, own);
    }

    /// Answers an offer with what we can do ourselves, or refuses it.
    pub(super) fn answer_ourselves(
        &mut self,
        pending: &Pending,
        can: bool,
        own: impl FnOnce(u16) -> sdp::Capabilities,
    ) {
        self.timers.clear(Timer::OtherSide);
        let Some(half) = self.half(pending.from) else {
            return;
        };
        let call = half.call;
        let agreed = can
            .then(|| half.negotiation.answer(&pending.offer, &own(half.port)).ok())
            .flatten()
            .and_then(|(answer, agreed)| Some((answer, lines::stream_of(agreed)?)));
        let Some((answer, stream)) = agreed else {
            return self.want(sip::Command::RejectReinvite { call, code: 488 });
        };
        let was = half.stream.replace(stream);
        if let (Some(Stream::T38 { passed, .. }), Some(Stream::T38 { passed: was, .. })) =
            (&mut half.stream, was)
        {
            *passed = was;
        }
        self.want(sip::Command::AcceptReinvite { call, answer });
        self.set_media();
    }

    pub(super) fn audio_offered(&mut self, pending: Pending) {
        let other = pending.from.other();
        let from_t38 = self.half_ref(pending.from).is_some_and(Half::is_t38);
        let Some(half) = self.half(other) else {
            return;
        };
        // One side is converted to the other: its audio is ours to answer.
        if from_t38 != half.is_t38() {
            return self.audio_ourselves(&pending);
        }
        if half.offering.is_some() {
            let flowed = self.flows(pending.from);
            self.audio_ourselves(&pending);
            if self.flows(pending.from) != flowed {
                self.tell_other(pending.from, &pending.content);
            }
            return;
        }
        half.owed = None;
        half.offering = Some(false);
        let offer = half.negotiation.offer_line(lines::with_port(pending.content.line(), half.port));
        let call = half.call;
        self.pending = Some(pending);
        self.want(sip::Command::Reinvite { call, offer });
    }

    /// G.711 on the side that offered audio, of the law that the other side has.
    pub(super) fn audio_ourselves(&mut self, pending: &Pending) {
        let law = self.half_ref(pending.from.other()).and_then(Half::g711);
        self.answer_ourselves(pending, true, |port| lines::own_audio_capabilities(port, law));
    }

    /// A side that held the other wanted our offer, and got one without the hold.
    pub(super) fn unheld(&mut self, side: Side, offer: Option<Bytes>) {
        if let (Some(half), Some(offer)) = (self.half(side), offer) {
            half.negotiation.unheld(&offer);
        }
    }

    /// What a side said without having been asked by this call goes on to the other: it holds it, or does no longer. Where the
    /// other owes us an answer, after that.
    fn tell_other(&mut self, side: Side, content: &Content) {
        let Some(half) = self.half(side.other()).filter(|h| !h.is_t38()) else {
            return;
        };
        if half.offering.is_some() {
            half.owed = Some(content.clone());
            return;
        }
        half.owed = None;
        half.offering = Some(false);
        let offer = half.negotiation.offer_line(lines::with_port(content.line(), half.port));
        let call = half.call;
        self.want(sip::Command::Reinvite { call, offer });
    }

    /// This side does not owe us an answer any more: what it could not be told before.
    fn tell_owed(&mut self, side: Side) {
        if let Some(content) = self.half(side).and_then(|half| half.owed.take()) {
            self.tell_other(side.other(), &content);
        }
    }

    /// Whether a side is not on hold.
    fn flows(&self, side: Side) -> bool {
        self.half_ref(side).and_then(|half| half.stream.as_ref()).is_some_and(Stream::flows)
    }

    /// A side has answered our offer.
    pub(super) fn offer_taken(&mut self, side: Side, answer: &Bytes) {
        let content = lines::read(answer, true, true);
        let Some(half) = self.half(side) else {
            return;
        };
        let asked = half.offering.take();
        let flowed = half.stream.as_ref().is_some_and(Stream::flows);
        let unasked = asked == Some(false) && matches!(content, Some(Content::T38 { .. }));
        let content = content.filter(|_| unasked || half.taken(answer));
        let live = content.is_some();
        match &content {
            Some(_) if unasked => {}
            Some(content) => half.stream = Some(content.stream()),
            None => half.negotiation.refused(),
        }
        let is_t38 = half.is_t38();
        let pending = self.pending.take_if(|p| p.from == side.other());
        self.timers.clear(Timer::OtherSide);
        match (pending, content) {
            (Some(pending), Some(content)) if content.is_like(&pending.content) => {
                self.answer_with(&pending, &content);
            }
            (Some(pending), _) => self.refused_there(pending, 488),
            (None, Some(content)) if asked.is_none() && content.stream().flows() != flowed => {
                self.tell_other(side, &content);
            }
            (None, _) => {}
        }
        if asked == Some(true) && !live && !is_t38 {
            // By the letter of that answer there is no stream any more.
            self.offer_audio(side);
        }
        self.tell_owed(side);
        self.set_media();
    }

    /// The other side has taken what this one offered.
    pub(super) fn answer_with(&mut self, pending: &Pending, content: &Content) {
        let Ok(theirs) = SessionDescription::parse(&pending.offer) else {
            return;
        };
        let Some(half) = self.half(pending.from) else {
            return;
        };
        let line = lines::with_port(content.line(), half.port);
        let call = half.call;
        let Ok(answer) = half.negotiation.answer_line(&theirs, pending.content.place(), &line) else {
            return self.want(sip::Command::RejectReinvite { call, code: 488 });
        };
        half.stream = Some(pending.content.stream_as(content));
        self.want(sip::Command::AcceptReinvite { call, answer });
    }

    pub(super) fn offer_refused(&mut self, side: Side, code: u16) {
        let Some(half) = self.half(side) else {
            return;
        };
        half.offering = None;
        half.negotiation.refused();
        if let Some(pending) = self.pending.take_if(|p| p.from == side.other()) {
            self.refused_there(pending, code);
        }
        self.tell_owed(side);
    }

    /// The other side does not want what this one offered.
    pub(super) fn refused_there(&mut self, pending: Pending, code: u16) {
        let from_t38 = self.half_ref(pending.from).is_some_and(Half::is_t38);
        match &pending.content {
            Content::T38 { .. } => self.convert(pending),
            // Back to audio on one side alone: the other goes on with T.38.
            Content::Audio { .. } if from_t38 => self.audio_ourselves(&pending),
            Content::Audio { .. } => {
                if let Some(call) = self.half_ref(pending.from).map(|h| h.call) {
                    self.want(sip::Command::RejectReinvite { call, code });
                }
            }
        }
    }

    /// Offers a side audio of our own.
    pub(super) fn offer_audio(&mut self, side: Side) {
        let law = self.half_ref(side.other()).and_then(Half::g711);
        if let Some(half) = self.half(side).filter(|h| h.offering.is_none()) {
            half.offering = Some(false);
            let offer = half.negotiation.offer(&lines::own_audio(half.port, law));
            let call = half.call;
            self.want(sip::Command::Reinvite { call, offer });
        }
    }
}
