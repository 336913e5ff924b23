//! What responses to our requests mean: the INVITE that makes a call, BYE, ping (RFC 3261 §8.1.3, §13.2.2).

use core::net::SocketAddr;

use bytes::Bytes;
use fax_base::Instant;
use fax_base::time::Duration;

use super::UserAgent;
use super::call::{Ending, Stage};
use super::failover::hop_of;
use super::schedule::{CallTimer, Due, TxId};
use super::transactions::Owner;
use crate::api::{Attempt, CallKey, EndCause, EndedBy, Event, Redirection};
use crate::dialog::{Dialog, Flow};
use crate::message::{Builder, Message, Method};
use crate::transaction::TRANSACTION_LIFE;

/// The cause a failure response tells.
pub(crate) fn cause_of(response: &Message, by: EndedBy) -> EndCause {
    let redirects = matches!(response.code(), Some(300..=399 | 485));
    let contacts = if redirects { redirections(response) } else { Vec::new() };
    EndCause {
        by,
        code: response.code(),
        reason: response.reason(),
        q850: response.q850(),
        sip_cause: response.sip_cause(),
        warning: response.warning(),
        retry_after: response.retry_after(),
        contacts,
    }
}

/// Where a response says to try instead.
pub(crate) fn redirections(response: &Message) -> Vec<Redirection> {
    let list = response.contacts_by_preference().into_iter();
    list.map(|(uri, preference)| Redirection { uri, preference }).collect()
}

impl UserAgent {
    pub(crate) fn deliver_response(
        &mut self,
        now: Instant,
        id: TxId,
        response: &Message,
        source: SocketAddr,
    ) {
        let Some(entry) = self.clients.get(&id) else {
            return;
        };
        let (owner, started) = (entry.owner, entry.started);
        let code = response.code().unwrap_or_default();
        match owner {
            Owner::Invite(call) => self.invite_response(now, id, call, code, response, source),
            Owner::Reinvite(call) => self.reinvite_response(now, id, call, code, response, source),
            Owner::Update(call) => self.update_response(now, id, call, code, response),
            Owner::Bye(call) | Owner::Prack(call) => {
                if matches!(code, 401 | 407) {
                    self.try_again(now, id, Some(call), response);
                }
            }
            Owner::Register(registration) => self.register_response(now, id, registration, code, response),
            Owner::Ping(ping) if code >= 200 => {
                self.event(Event::PeerAlive { ping, code, round_trip: now.since(started) });
            }
            Owner::Ping(_) | Owner::Nobody => {}
        }
    }

    /// No response in time (408), or nothing can be sent there (503).
    pub(crate) fn client_failed(&mut self, now: Instant, id: TxId, code: u16) {
        let Some(owner) = self.clients.get(&id).map(|e| e.owner) else {
            return;
        };
        match owner {
            Owner::Invite(call) => {
                let Some(Stage::Calling { tx, ending, .. }) = self.calls.get(&call).map(|c| &c.stage) else {
                    return;
                };
                let ending = *ending;
                if *tx != id || (ending.is_none() && self.invite_elsewhere(now, id, call, code, None)) {
                    return;
                }
                let cause = match (ending, code) {
                    (Some(ending), _) => EndCause::new(ending.by, None, "no answer at all"),
                    (None, 503) => {
                        EndCause::new(EndedBy::Unreachable, Some(503), "nothing can be sent there")
                    }
                    (None, _) => EndCause::new(EndedBy::Timeout, Some(408), "no answer at all"),
                };
                self.end_call(now, call, cause);
            }
            Owner::Reinvite(call) => self.reinvite_failed(now, id, call, code, "no answer"),
            Owner::Update(call) => self.update_failed(now, call, code),
            Owner::Register(registration) => {
                self.registration_failed(now, registration, code, "no answer", None, Vec::new())
            }
            Owner::Ping(ping) => self.event(Event::PeerSilent { ping }),
            Owner::Bye(_) | Owner::Prack(_) | Owner::Nobody => {}
        }
    }

    /// Sends the request of transaction `id` again with credentials or whatever the call has learned, if that makes
    /// sense; the new transaction has the same owner.
    pub(crate) fn try_again(
        &mut self,
        now: Instant,
        id: TxId,
        call: Option<CallKey>,
        response: &Message,
    ) -> Option<TxId> {
        let code = response.code()?;
        let cnonce = self.random_token(8);
        let entry = self.clients.get(&id)?;
        let (request, owner, remote, half) =
            (entry.request.clone(), entry.owner, entry.remote, entry.half.clone());
        let method = request.method()?.clone();
        let uri = request.uri()?.to_string();
        let call = self.calls.get_mut(&call?)?;
        if matches!(code, 401 | 407) && !call.authentication.challenged(response) {
            return None;
        }
        let tag = request.to_tag().unwrap_or_default();
        let counter = match call.earlies.iter_mut().find(|e| !tag.is_empty() && e.dialog.remote_tag == tag) {
            Some(early) => &mut early.dialog.local_cseq,
            None => &mut call.dialog.local_cseq,
        };
        *counter = counter.saturating_add(1);
        let cseq = *counter;
        let headers = call.authentication.authorize(method.as_str(), &uri, &cnonce);
        let (flow, wish, min_se) = (call.flow, call.session_wish, call.min_se);
        let via = self.new_via(flow.transport, flow.contact);
        let mut builder = Builder::again(&request, &via, cseq);
        if code == 422 {
            builder = builder
                .without("Session-Expires")
                .without("Min-SE")
                .maybe("Session-Expires", wish.map(|w| w.to_string()))
                .header("Min-SE", min_se.to_string());
        }
        for (name, value) in headers {
            builder = builder.header(name, value);
        }
        let new = self.start_client(now, builder.finish(), &flow, remote, owner);
        if let (Some(entry), Some(mut half)) = (self.clients.get_mut(&new), half) {
            half.0.local_cseq = cseq;
            entry.half = Some(half);
        }
        Some(new)
    }

    fn invite_response(
        &mut self,
        now: Instant,
        id: TxId,
        key: CallKey,
        code: u16,
        response: &Message,
        source: SocketAddr,
    ) {
        if (200..300).contains(&code) {
            return self.invite_accepted(now, id, key, response, source);
        }
        let stage = self.calls.get_mut(&key).map(|c| &mut c.stage);
        let Some(Stage::Calling { provisional, ending, .. }) =
            stage.filter(|s| matches!(s, Stage::Calling { tx, .. } if *tx == id))
        else {
            if code < 200 {
                self.cancel_left(now, id);
            }
            return;
        };
        if code < 200 {
            *provisional = true;
            if ending.is_some() {
                return self.send_cancel(now, key);
            }
            if code > 100 && self.early_response(now, id, key, response, source) {
                self.event(Event::Progress { call: key, code, sdp: response.sdp() });
            }
            return;
        }
        let ending = *ending;
        if ending.is_none() {
            let again = match code {
                401 | 407 => true,
                422 => self.raise_session(key, response),
                _ => false,
            };
            let new = again.then(|| self.try_again(now, id, Some(key), response)).flatten();
            if let Some(new) = new {
                if let Some(call) = self.calls.get_mut(&key) {
                    call.earlies.clear();
                    if let Stage::Calling { tx, .. } = &mut call.stage {
                        *tx = new;
                    }
                }
                self.watch(now, Attempt::Call(key), new);
                return;
            }
        }
        let again = code == 503 && ending.is_none();
        if again && self.invite_elsewhere(now, id, key, code, response.retry_after()) {
            return;
        }
        let by = ending.map_or(EndedBy::Remote, |e: Ending| e.by);
        self.end_call(now, key, cause_of(response, by));
    }

    /// A 2xx to the INVITE of a call: the first makes it, a repeated one is acknowledged again, one of another fork is
    /// acknowledged and hung up (§13.2.2.4).
    fn invite_accepted(
        &mut self,
        now: Instant,
        id: TxId,
        key: CallKey,
        response: &Message,
        source: SocketAddr,
    ) {
        let tag = response.to_tag().unwrap_or_default();
        if self.acknowledge_again(id, &tag) {
            return;
        }
        let Some((half, mut flow)) = self.clients.get(&id).and_then(|e| e.half.as_deref().cloned()) else {
            return;
        };
        let mut dialog = half.answered(response);
        flow.remote = source;
        let early = self.calls.get(&key).and_then(|c| c.early(&tag));
        let early_sdp = early.and_then(|e| e.sdp.clone());
        if let Some(early) = early {
            // Its numbers go on, and its target where the 2xx has no Contact.
            dialog.goes_on_from(&early.dialog, response);
        }
        let wanted = self.calls.get(&key).and_then(|c| match &c.stage {
            Stage::Calling { tx, ending, .. } if *tx == id => Some(*ending),
            Stage::Calling { .. } | Stage::Ringing { .. } | Stage::Established | Stage::Over => None,
        });
        self.acknowledge(now, id, &dialog, &flow, tag.clone(), None);
        let Some(ending) = wanted else {
            return self.bye_fork(now, dialog, &flow);
        };
        let answer = response.sdp().or(early_sdp);
        self.early.remove(&(dialog.call_id.clone(), dialog.local_tag.clone()));
        self.dialogs.insert(dialog.id(), key);
        for timer in [CallTimer::Ring, CallTimer::Cancelled] {
            self.schedule.clear(Due::Call(key, timer));
        }
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        call.dialog = dialog;
        call.flow = flow;
        call.stage = Stage::Established;
        call.earlies.clear();
        call.remote_sdp.clone_from(&answer);
        call.updates = response.has_token("Allow", "UPDATE");
        call.authentication.succeeded();
        match ending {
            Some(ending) => {
                self.hang_up_established(now, key, ending.by, ending.reason, "given up while it rang")
            }
            None => {
                self.session_accepted(now, key, response);
                self.event(Event::Answered { call: key, answer, remote: source });
            }
        }
    }

    /// Sends the ACK for this 2xx again, if there was one; says so.
    pub(crate) fn acknowledge_again(&mut self, id: TxId, tag: &Bytes) -> bool {
        let Some(entry) = self.clients.get(&id) else {
            return false;
        };
        let Some((_, octets, to)) = entry.acks.iter().find(|(t, ..)| t == tag).cloned() else {
            return false;
        };
        let (transport, local) = (entry.transport, entry.local);
        self.send(transport, local, to, octets);
        true
    }

    /// Sends the ACK of a 2xx and keeps it (§13.2.2.4).
    pub(crate) fn acknowledge(
        &mut self,
        _now: Instant,
        id: TxId,
        dialog: &Dialog,
        flow: &Flow,
        tag: Bytes,
        sdp: Option<Bytes>,
    ) {
        let via = self.new_via(flow.transport, flow.contact);
        let Some(entry) = self.clients.get(&id) else {
            return;
        };
        let number = entry.request.cseq().map_or(1, |c| c.number);
        let mut builder = dialog.request(Method::Ack, &via, number);
        // §22.1: the credentials of the INVITE serve its ACK too.
        builder = builder.copy(&entry.request, "Authorization").copy(&entry.request, "Proxy-Authorization");
        builder = self.sign(builder, "User-Agent");
        let ack = match sdp {
            Some(sdp) => builder.finish_with_sdp(sdp),
            None => builder.finish(),
        };
        let (octets, hop) = (ack.to_bytes(), hop_of(&ack, flow.transport));
        let to = dialog.next_hop(flow);
        if let Some(entry) = self.clients.get_mut(&id).filter(|e| e.acks.len() < 64) {
            entry.acks.push((tag, octets.clone(), to));
        }
        self.send_by(flow.transport, flow.local, to, hop, octets);
    }

    fn bye_fork(&mut self, now: Instant, dialog: Dialog, flow: &Flow) {
        let via = self.new_via(flow.transport, flow.contact);
        let builder = dialog.request(Method::Bye, &via, dialog.local_cseq.saturating_add(1));
        let request = self.sign(builder, "User-Agent").finish();
        let to = dialog.next_hop(flow);
        if self.has_room() {
            self.start_client(now, request, flow, to, Owner::Nobody);
        }
    }

    /// Sends CANCEL where the INVITE has had a provisional answer and no CANCEL yet (§9.1).
    pub(crate) fn send_cancel(&mut self, now: Instant, key: CallKey) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        let flow = call.flow;
        let Stage::Calling { tx, provisional: true, ending: Some(ending), .. } = &mut call.stage else {
            return;
        };
        if ending.sent {
            return;
        }
        ending.sent = true;
        let (tx, reason) = (*tx, ending.reason);
        let Some(entry) = self.clients.get(&tx) else {
            return;
        };
        let flow = Flow { transport: entry.transport, ..flow };
        let cancel = Builder::cancel_of(&entry.request, reason.map(super::hangup::reason_header));
        let remote = entry.remote;
        self.start_client(now, cancel, &flow, remote, Owner::Nobody);
        self.schedule.set(Due::Call(key, CallTimer::Cancelled), now + TRANSACTION_LIFE);
    }

    pub(crate) fn cancel_timed_out(&mut self, key: CallKey) {
        let Some(Stage::Calling { tx, ending, .. }) = self.calls.get(&key).map(|c| &c.stage) else {
            return;
        };
        let (tx, by) = (*tx, ending.map_or(EndedBy::Timeout, |e| e.by));
        self.forget_client(tx);
        self.end_call(Instant::ZERO, key, EndCause::new(by, Some(487), "CANCEL was not answered"));
    }

    pub(crate) fn ring_timed_out(&mut self, now: Instant, key: CallKey) {
        if let Some(Stage::Ringing { tx }) = self.calls.get(&key).map(|c| &c.stage) {
            // Nobody here has decided: the caller is not left hanging (§13.3.1).
            let tx = *tx;
            self.reply_plain(now, tx, 480, "");
            return self.end_call(now, key, EndCause::new(EndedBy::Timeout, Some(480), "not answered here"));
        }
        self.give_up_calling(now, key, EndedBy::Timeout, None);
    }

    /// Ends a call of ours that is not answered yet: CANCEL as soon as that is allowed.
    pub(crate) fn give_up_calling(
        &mut self,
        now: Instant,
        key: CallKey,
        by: EndedBy,
        reason: Option<crate::api::Q850>,
    ) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        let Stage::Calling { ending, .. } = &mut call.stage else {
            return;
        };
        if ending.is_none() {
            *ending = Some(Ending { by, reason, sent: false });
        }
        self.schedule.clear(Due::Call(key, CallTimer::Ring));
        self.send_cancel(now, key);
    }

    /// How long an ended dialog still answers repeats.
    pub(crate) const LINGER: Duration = Duration::from_secs(40);
}
