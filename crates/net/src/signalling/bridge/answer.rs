//! From the first ringing to the answer: early media, the answer, its ACK.

use super::super::security::media_keys;
use super::lines::{self, Content};
use super::{Branch, Bridge, Failure, Half, Output, State};
use crate::media::SideCarrier;
use crate::onward::{OnwardEvent, Side};
use bytes::Bytes;
use fax_base::Instant;
use fax_sip as sip;
use sip::sdp::SessionDescription;
use std::net::SocketAddr;

impl Bridge {
    // --- the caller's leg ---

    pub(super) fn caller(&mut self, now: Instant, event: sip::Event) {
        match event {
            sip::Event::Confirmed { answer, .. } => self.confirmed(now, answer),
            sip::Event::ReinviteOffered { offer, .. } => self.offered(now, Side::A, offer),
            sip::Event::ReinviteAnswered { answer, .. } => self.offer_taken(Side::A, &answer),
            sip::Event::ReinviteRefused { code, .. } => self.offer_refused(Side::A, code),
            sip::Event::Refreshed { unheld, .. } => self.unheld(Side::A, unheld),
            sip::Event::Ended { cause, .. } => self.ended(now, Side::A, cause),
            // Nothing of the other side's business, or nothing about a call.
            sip::Event::Progress { .. }
            | sip::Event::Answered { .. }
            | sip::Event::Incoming(_)
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

    /// The caller has our 200.
    pub(super) fn confirmed(&mut self, now: Instant, answer: Option<Bytes>) {
        if self.state != State::Answered {
            return;
        }
        self.state = State::Up;
        if self.a.offering.take().is_some() {
            // The offer was ours: the first answer is in the ACK.
            let good = answer.filter(|sdp| self.a.taken(sdp));
            match good.as_ref().and_then(|sdp| lines::read(sdp, false, false)) {
                Some(content) => {
                    self.a.stream = Some(content.stream());
                }
                None => {
                    let words = "the ACK holds no answer to our offer";
                    return self.release(now, None, Some(sip::Q850(88)), words);
                }
            }
        }
        self.set_media();
    }

    // --- the called leg ---

    pub(super) fn called(&mut self, now: Instant, number: usize, event: sip::Event) {
        let won = self.b.as_ref().filter(|_| self.state != State::Trying).map(|b| b.call);
        let is_ours = self.branches.get(number).is_some_and(|b| Some(b.half.call) == won);
        match event {
            sip::Event::Progress { code, sdp, .. } => {
                if self.state == State::Trying {
                    self.progress(number, code, sdp);
                }
            }
            sip::Event::Answered { answer, call, .. } => self.answered(now, number, call, answer),
            sip::Event::ReinviteOffered { offer, .. } if is_ours => self.offered(now, Side::B, offer),
            sip::Event::ReinviteAnswered { answer, .. } if is_ours => self.offer_taken(Side::B, &answer),
            sip::Event::ReinviteRefused { code, .. } if is_ours => self.offer_refused(Side::B, code),
            sip::Event::Refreshed { unheld, .. } if is_ours => self.unheld(Side::B, unheld),
            sip::Event::Ended { cause, .. } if is_ours => self.ended(now, Side::B, cause),
            sip::Event::Ended { cause, .. } => {
                let ours = cause.by != sip::EndedBy::Remote;
                let code = cause.code.unwrap_or(if ours { 503 } else { 480 });
                let code = if cause.by == sip::EndedBy::Unreachable { 503 } else { code };
                let reason = cause.warning.unwrap_or(cause.reason);
                self.branch_failed(now, number, Failure { code, q850: cause.q850, reason, ours });
            }
            // Nothing of the other side's business, or nothing about a call.
            sip::Event::Confirmed { .. }
            | sip::Event::ReinviteOffered { .. }
            | sip::Event::ReinviteAnswered { .. }
            | sip::Event::ReinviteRefused { .. }
            | sip::Event::Refreshed { .. }
            | sip::Event::Incoming(_)
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

    /// It rings; perhaps with early media, which one place alone may have.
    pub(super) fn progress(&mut self, number: usize, code: u16, sdp: Option<Bytes>) {
        let alone = self.branches.iter().filter(|b| b.failed.is_none()).count() == 1;
        let sdp = sdp.filter(|_| alone);
        let content = sdp.as_ref().and_then(|sdp| lines::read(sdp, true, false));
        let keys = sdp.as_ref().and_then(|sdp| SessionDescription::parse(sdp).ok());
        let answer = content.and_then(|content| self.early_media(number, &content, keys.as_ref()?));
        if !self.rang {
            self.rang = true;
            self.outputs.push_back(Output::Tell(OnwardEvent::Ringing));
        }
        let code = if answer.is_some() { 183 } else { code.clamp(180, 183) };
        self.want(sip::Command::Ring { call: self.a.call, code, sdp: answer });
        if self.b.is_some() {
            self.set_media();
        }
    }

    /// Media before the answer: what the caller is told, where that is news.
    pub(super) fn early_media(
        &mut self,
        number: usize,
        content: &Content,
        sdp: &SessionDescription,
    ) -> Option<Bytes> {
        if self.offer.is_none() || matches!(content, Content::T38 { .. }) {
            return None;
        }
        let keys = self.branches.get(number)?.half.negotiation.keys_in(sdp).ok()?;
        let line = content.line().clone();
        if self.early.as_ref().is_none_or(|(known, _)| !lines::same_codecs(known, &line)) {
            let answer = self.answer_caller(content)?;
            self.early = Some((line, answer));
        }
        let branch = self.branches.get(number)?;
        let known = self.b.take();
        if known.as_ref().is_some_and(|b| b.call == branch.half.call) {
            self.b = known;
            return None;
        }
        let media = SocketAddr::new(std::net::Ipv4Addr::UNSPECIFIED.into(), branch.half.port);
        let mut half = Half::new(branch.half.call, media, 0, branch.half.policy);
        half.stream = Some(content.stream());
        half.told = known.map_or((SideCarrier::Off, None), |b| b.told);
        half.early_keys = keys.as_ref().and_then(media_keys);
        // Only for the media: its negotiation stays with the branch until it answers.
        self.b = Some(half);
        self.early.as_ref().map(|(_, answer)| answer.clone())
    }

    /// The answer to the caller's first offer with what the called one took.
    pub(super) fn answer_caller(&mut self, content: &Content) -> Option<Bytes> {
        let port = self.a.port;
        let Some((offer, offered)) = &self.offer else {
            // Our offer in the 200, the answer comes in the ACK.
            self.a.offering = Some(false);
            return Some(self.a.negotiation.offer_line(lines::with_port(content.line(), port)));
        };
        let theirs = SessionDescription::parse(offer).ok()?;
        match (offered, content) {
            (Content::Audio { place, .. }, Content::Audio { .. })
            | (Content::T38 { place, .. }, Content::T38 { .. }) => {
                let line = lines::with_port(content.line(), port);
                let answer = self.a.negotiation.answer_line(&theirs, *place, &line).ok()?;
                self.a.stream = Some(offered.stream_as(content));
                Some(answer)
            }
            // The caller offers T.38 alone, and the called one has audio.
            (Content::T38 { .. }, Content::Audio { g711: Some(_), .. }) => {
                let (answer, agreed) = self.a.negotiation.answer(offer, &lines::own_image(port)).ok()?;
                self.a.stream = lines::stream_of(agreed);
                Some(answer)
            }
            (Content::T38 { .. }, Content::Audio { g711: None, .. })
            | (Content::Audio { .. }, Content::T38 { .. }) => None,
        }
    }

    pub(super) fn answered(
        &mut self,
        now: Instant,
        number: usize,
        call: sip::CallKey,
        answer: Option<Bytes>,
    ) {
        if self.state != State::Trying {
            // Another place was faster.
            return self.want(sip::Command::Hangup { call, reason: Some(sip::Q850(26)) });
        }
        let Some(mut branch) = (number < self.branches.len()).then(|| self.take_branch(number)).flatten()
        else {
            return;
        };
        branch.half.call = call;
        for other in self.branches.iter_mut().filter(|b| b.failed.is_none() && b.half.call != call) {
            let command = sip::Command::Hangup { call: other.half.call, reason: None };
            self.outputs.push_back(Output::Sip(command));
        }
        self.report.call_id_b.clone_from(&branch.call_id);
        let good = answer.filter(|sdp| branch.half.taken(sdp));
        let content = good.as_ref().and_then(|sdp| lines::read(sdp, branch.offered_image, false));
        let told = content.as_ref().and_then(|content| match &self.early {
            Some((line, octets)) if lines::same_codecs(line, content.line()) => Some(octets.clone()),
            Some(_) | None => self.answer_caller(content),
        });
        let (Some(content), Some(told)) = (content, told) else {
            self.want(sip::Command::Hangup { call, reason: Some(sip::Q850(88)) });
            return self.refuse(now, 488, "the answer holds nothing that both sides have");
        };
        branch.half.offering = None;
        branch.half.stream = Some(content.stream());
        if let Some(early) = &self.b {
            branch.half.told = early.told.clone();
        }
        self.b = Some(branch.half);
        self.state = State::Answered;
        self.answered = Some(now);
        self.report.answered = true;
        self.outputs.push_back(Output::Tell(OnwardEvent::Answered(self.report.target)));
        self.want(sip::Command::Answer { call: self.a.call, sdp: told });
        self.set_media();
    }

    /// The branch that answered, with a mark left in its place.
    pub(super) fn take_branch(&mut self, number: usize) -> Option<Branch> {
        let left = self.branches.get_mut(number)?;
        let half = Half::new(left.half.call, SocketAddr::new([0, 0, 0, 0].into(), 0), 0, left.half.policy);
        let (step, place, call_id) = (left.step, left.place, left.call_id.clone());
        let (offered_image, plain) = (left.offered_image, left.plain);
        let mark =
            Branch { half, step, place, call_id, failed: None, offered_image, plain, srtp_offered: false };
        Some(core::mem::replace(left, mark))
    }
}
