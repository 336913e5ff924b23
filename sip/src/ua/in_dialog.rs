//! Requests within a dialog: ACK, BYE, re-INVITE, UPDATE, INFO, OPTIONS (RFC 3261 §12.2.2, §14.2, §15.1.2; RFC 3311).

use bytes::Bytes;
use fax_base::Instant;

use super::ALLOW;
use super::UserAgent;
use super::call::{RemoteOffer, Stage, Unacknowledged};
use super::content::check_content;
use super::schedule::{CallTimer, Due, TxId};
use super::session::describing;
use crate::api::{CallKey, EndCause, EndedBy, Event};
use crate::message::{Builder, Message, Method};
use crate::sdp;
use crate::transaction::{T1, T2, TRANSACTION_LIFE};

impl UserAgent {
    fn dialog_of(&self, request: &Message) -> Option<CallKey> {
        let id = (request.call_id(), request.to_tag()?, request.from_tag());
        self.dialogs.get(&id).copied()
    }

    pub(crate) fn receive_in_dialog(&mut self, now: Instant, id: TxId, request: &Message) {
        let Some(key) = self.dialog_of(request) else {
            return self.receive_early(now, id, request);
        };
        let (Some(method), Some(cseq)) = (request.method(), request.cseq()) else {
            return;
        };
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        // Answers within a dialog carry its tag by themselves: To has it already.
        if call.is_over() {
            // BYEs that cross are both right (RFC 6141 leaves the rest to 481).
            let code = if *method == Method::Bye { 200 } else { 481 };
            return self.reply_plain(now, id, code, "");
        }
        if call.dialog.remote_cseq.is_some_and(|last| cseq.number < last) {
            return self.reply_plain(now, id, 500, "CSeq Out Of Order");
        }
        call.dialog.remote_cseq = Some(cseq.number);
        if self.refuse_method(now, id, method) {
            return;
        }
        let bye = *method == Method::Bye;
        if let Err(refusal) =
            check_content(request, self.supported()).or_else(|e| if bye { Ok(()) } else { Err(e) })
        {
            return self.reply_refusal(now, id, &refusal);
        }
        match method {
            Method::Bye => self.receive_bye(now, id, key, request),
            Method::Invite => self.receive_reinvite(now, id, key, request),
            Method::Update => self.receive_update(now, id, key, request),
            Method::Prack => self.receive_prack(now, id, key, request),
            Method::Options => self.reply_options(now, id),
            Method::Info if request.value("Info-Package").is_some() => self.reply_no_package(now, id),
            _ => self.reply_plain(now, id, 200, ""),
        }
    }

    /// RFC 6086 §4.2.2: we know no package.
    fn reply_no_package(&mut self, now: Instant, id: TxId) {
        if let Some(draft) = self.draft(id, 469, "Bad Info Package") {
            self.reply(now, id, &draft.header("Recv-Info", "").finish());
        }
    }

    /// A request of the called side before its final answer: those that change nothing are taken, offers collide with
    /// ours or are too early (RFC 3311 §5.2), and without such a call there is no dialog.
    fn receive_early(&mut self, now: Instant, id: TxId, request: &Message) {
        let place = (request.call_id(), request.to_tag().unwrap_or_default());
        let tag = request.from_tag();
        let number = request.cseq().map(|c| c.number);
        let call = self.early.get(&place).and_then(|k| self.calls.get_mut(k));
        let Some(call) = call else {
            return self.reply_plain(now, id, 481, "");
        };
        let contact = call.contact.clone();
        let early = call.earlies.iter_mut().find(|e| e.dialog.remote_tag == tag);
        let settled = early.as_ref().is_some_and(|e| e.settled);
        if let Some(early) = early {
            if early.dialog.remote_cseq > number {
                return self.reply_plain(now, id, 500, "CSeq Out Of Order");
            }
            early.dialog.remote_cseq = number;
            if request.method() == Some(&Method::Update) && request.sdp().is_none() {
                early.dialog.refresh_target(request);
            }
        }
        match request.method() {
            Some(Method::Update) if request.sdp().is_some() => {
                self.reply_plain(now, id, if settled { 488 } else { 491 }, "");
            }
            Some(Method::Update) => {
                if let Some(draft) = self.draft(id, 200, "") {
                    self.reply(now, id, &draft.header("Contact", contact).header("Allow", ALLOW).finish());
                }
            }
            Some(Method::Invite) => self.reply_plain(now, id, 491, ""),
            Some(Method::Options) => self.reply_options(now, id),
            Some(Method::Info) if request.value("Info-Package").is_some() => self.reply_no_package(now, id),
            Some(Method::Info) => self.reply_plain(now, id, 200, ""),
            Some(_) | None => self.reply_plain(now, id, 481, ""),
        }
    }

    fn receive_bye(&mut self, now: Instant, id: TxId, key: CallKey, request: &Message) {
        self.reply_plain(now, id, 200, "");
        if let Some(Stage::Ringing { tx }) = self.calls.get(&key).map(|c| &c.stage) {
            let tx = *tx;
            self.reply_plain(now, tx, 487, "");
        }
        let text = request.reason_text().unwrap_or_else(|| String::from("BYE"));
        let mut cause = EndCause::new(EndedBy::Remote, None, &text);
        (cause.q850, cause.sip_cause) = (request.q850(), request.sip_cause());
        cause.warning = request.warning();
        self.end_call(now, key, cause);
    }

    pub(crate) fn receive_ack(&mut self, now: Instant, ack: &Message) {
        let (Some(key), Some(cseq)) = (self.dialog_of(ack), ack.cseq()) else {
            return;
        };
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        let Some(waiting) = call.unacknowledged.take_if(|u| u.cseq == cseq.number) else {
            return;
        };
        self.schedule.clear(Due::Call(key, CallTimer::Repeat2xx));
        self.schedule.clear(Due::Call(key, CallTimer::NoAck));
        if let Some(reason) = call.bye_after_ack.take() {
            return self.send_bye(now, key, reason);
        }
        let early = call.early_answer.take().filter(|_| waiting.initial);
        let answer = ack.sdp().filter(|_| waiting.offered).or(early);
        if let Some(answer) = &answer {
            let known = call.remote_sdp.replace(answer.clone());
            let news = waiting.unheld || known.is_none_or(|k| !sdp::unchanged(&k, answer));
            if !waiting.initial && news {
                self.event(Event::ReinviteAnswered { call: key, answer: answer.clone() });
            }
        }
        if waiting.initial {
            self.event(Event::Confirmed { call: key, answer });
        }
        self.try_offer(now, key);
    }

    /// 500 with a Retry-After between 0 and 10 s (§14.2).
    fn reply_later(&mut self, now: Instant, id: TxId) {
        let wait = self.random_below(10).to_string();
        if let Some(draft) = self.draft(id, 500, "Request Pending") {
            self.reply(now, id, &draft.header("Retry-After", wait).finish());
        }
    }

    fn receive_reinvite(&mut self, now: Instant, id: TxId, key: CallKey, request: &Message) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        if !call.is_established() || call.offered.is_some() {
            return self.reply_later(now, id);
        }
        if call.pending.is_some() || call.unacknowledged.as_ref().is_some_and(|u| u.offered) {
            return self.reply_plain(now, id, 491, "");
        }
        if self.session_too_small(now, id, request) {
            return;
        }
        self.implicit_ack(key);
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        let renewed = match (request.sdp(), &call.remote_sdp) {
            (None, _) => true,
            (Some(new), Some(old)) => sdp::unchanged(old, &new),
            (Some(_), None) => false,
        };
        if let Some(local) = call.local_sdp.clone().filter(|_| renewed) {
            let offer = request.sdp();
            // Who held us and asks for our offer lifts that, unless we say again that we are held (RFC 3264 §8.4).
            let held =
                offer.is_none() && call.local_answers && call.remote_sdp.as_deref().is_some_and(sdp::is_held);
            let unheld = held.then(|| sdp::unheld(&local)).flatten();
            if offer.is_some() {
                call.remote_sdp = offer;
            }
            if let Some(unheld) = &unheld {
                call.local_sdp = Some(unheld.clone());
                call.local_answers = false;
            }
            self.accept_invite(now, key, id, request, Some(unheld.clone().unwrap_or(local)), false);
            if let Some(waiting) = self.calls.get_mut(&key).and_then(|c| c.unacknowledged.as_mut()) {
                waiting.unheld = unheld.is_some();
            }
            return self.event(Event::Refreshed { call: key, unheld });
        }
        let Some(offer) = request.sdp() else {
            return self.reply_plain(now, id, 488, "");
        };
        call.offered = Some(RemoteOffer { tx: id, sdp: offer.clone() });
        if let Some(entry) = self.servers.get_mut(&id) {
            entry.call = Some(key);
        }
        self.reply_trying(now, id);
        self.await_service(now, id);
        self.event(Event::ReinviteOffered { call: key, offer });
    }

    /// Whoever sends a new INVITE has our 200 to the last one.
    fn implicit_ack(&mut self, key: CallKey) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        let Some(waiting) = call.unacknowledged.take() else {
            return;
        };
        self.schedule.clear(Due::Call(key, CallTimer::Repeat2xx));
        self.schedule.clear(Due::Call(key, CallTimer::NoAck));
        if waiting.initial {
            let answer = call.early_answer.take();
            self.event(Event::Confirmed { call: key, answer });
        }
    }

    fn receive_update(&mut self, now: Instant, id: TxId, key: CallKey, request: &Message) {
        if self.session_too_small(now, id, request) {
            return;
        }
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        let Some(offer) = request.sdp() else {
            return self.accept_update(now, key, id, request, None);
        };
        if call.pending.is_some() {
            return self.reply_plain(now, id, 491, "");
        }
        if call.ringing().is_some() && call.reliable.as_ref().is_some_and(|r| r.settled) {
            // The session of a call that is not answered stays as it was agreed.
            return self.reply_plain(now, id, 488, "");
        }
        if !call.is_established()
            || call.offered.is_some()
            || call.unacknowledged.as_ref().is_some_and(|u| u.offered)
        {
            return self.reply_later(now, id);
        }
        let renewed = call.remote_sdp.as_ref().is_some_and(|old| sdp::unchanged(old, &offer));
        if let Some(local) = call.local_sdp.clone().filter(|_| renewed) {
            call.remote_sdp = Some(offer);
            self.accept_update(now, key, id, request, Some(local));
            return self.event(Event::Refreshed { call: key, unheld: None });
        }
        call.offered = Some(RemoteOffer { tx: id, sdp: offer.clone() });
        if let Some(entry) = self.servers.get_mut(&id) {
            entry.call = Some(key);
        }
        self.await_service(now, id);
        self.event(Event::ReinviteOffered { call: key, offer });
    }

    /// 200 to a request that sets the session up or renews it, without its body: the target is refreshed, and the
    /// headers say where we are, what we understand and how long the session holds.
    fn accepting(&mut self, now: Instant, key: CallKey, id: TxId, request: &Message) -> Option<Builder> {
        let call = self.calls.get_mut(&key)?;
        call.dialog.refresh_target(request);
        let contact = call.contact.clone();
        let session = self.session_requested(now, key, request);
        Some(describing(self.draft(id, 200, "")?, &contact, self.supported(), session))
    }

    /// 200 to UPDATE.
    pub(crate) fn accept_update(
        &mut self,
        now: Instant,
        key: CallKey,
        id: TxId,
        request: &Message,
        sdp: Option<Bytes>,
    ) {
        let Some(draft) = self.accepting(now, key, id, request) else {
            return;
        };
        let response = match sdp {
            Some(sdp) => draft.finish_with_sdp(sdp),
            None => draft.finish(),
        };
        self.reply(now, id, &response);
    }

    /// 200 to INVITE, repeated until its ACK comes (§13.3.1.4).
    pub(crate) fn accept_invite(
        &mut self,
        now: Instant,
        key: CallKey,
        id: TxId,
        request: &Message,
        sdp: Option<Bytes>,
        initial: bool,
    ) {
        let Some(draft) = self.accepting(now, key, id, request) else {
            return;
        };
        let offered = sdp.is_some() && request.sdp().is_none();
        let response = match sdp {
            Some(sdp) => draft.finish_with_sdp(sdp),
            None => draft.finish(),
        };
        self.reply(now, id, &response);
        let Some(entry) = self.servers.get(&id) else {
            return;
        };
        let remote = entry.answer_to;
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        call.unacknowledged = Some(Unacknowledged {
            cseq: request.cseq().map_or(0, |c| c.number),
            octets: response.to_bytes(),
            remote,
            interval: T1,
            initial,
            offered,
            unheld: false,
        });
        self.schedule.set(Due::Call(key, CallTimer::Repeat2xx), now + T1);
        self.schedule.set(Due::Call(key, CallTimer::NoAck), now + TRANSACTION_LIFE);
    }

    pub(crate) fn repeat_2xx(&mut self, now: Instant, key: CallKey) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        let flow = call.flow;
        let Some(waiting) = &mut call.unacknowledged else {
            return;
        };
        waiting.interval = waiting.interval.saturating_mul(2).min(T2);
        let (octets, remote, wait) = (waiting.octets.clone(), waiting.remote, waiting.interval);
        self.send(flow.transport, flow.local, remote, octets);
        self.schedule.set(Due::Call(key, CallTimer::Repeat2xx), now + wait);
    }

    /// Nobody acknowledged our 2xx: the session ends with BYE (§13.3.1.4).
    pub(crate) fn no_ack(&mut self, now: Instant, key: CallKey) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        if call.unacknowledged.take().is_none() {
            return;
        }
        self.schedule.clear(Due::Call(key, CallTimer::Repeat2xx));
        match call.bye_after_ack.take() {
            Some(reason) => self.send_bye(now, key, reason),
            None => self.hang_up_established(now, key, EndedBy::Timeout, None, "no ACK"),
        }
    }
}
