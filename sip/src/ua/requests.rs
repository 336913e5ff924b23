//! Requests that come in: matching, the checks of a user agent server, calls, CANCEL, OPTIONS (RFC 3261 §8.2, §9.2, §11.2).

use core::net::SocketAddr;

use bytes::Bytes;
use fax_base::Instant;
use fax_base::time::Duration;

use super::call::{Call, Stage};
use super::content::{Refusal, check_content};
use super::early::Reliable;
use super::schedule::{CallTimer, Due, TxId};
use super::{ALLOW, UserAgent};
use crate::api::{CallKey, EndCause, EndedBy, Event, Incoming, Transport};
use crate::dialog::{Dialog, Flow};
use crate::digest::Claim;
use crate::identity::Identity;
use crate::message::{Message, Method, Uri};
use crate::transaction::{MergeKey, ServerKey};

/// The Contact value for one of our addresses.
pub(crate) fn contact_value(user: Option<Bytes>, contact: SocketAddr, transport: Transport) -> String {
    // Only what needs no escapes is taken over.
    let plain = |u: &Bytes| {
        !u.is_empty() && u.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.!~*'()&=+$%".contains(b))
    };
    let user = user.filter(plain).map(|u| format!("{}@", String::from_utf8_lossy(&u))).unwrap_or_default();
    let parameter = match transport {
        Transport::Udp => "",
        Transport::Tcp => ";transport=tcp",
        Transport::Tls => ";transport=tls",
    };
    format!("<sip:{user}{contact}{parameter}>")
}

impl UserAgent {
    pub(crate) fn receive_request(
        &mut self,
        now: Instant,
        transport: Transport,
        local: SocketAddr,
        source: SocketAddr,
        request: Message,
    ) {
        let Some(method) = request.method().cloned() else {
            return;
        };
        let matched = if method == Method::Ack { Method::Invite } else { method.clone() };
        let Some(key) = ServerKey::of(&request, &matched) else {
            return;
        };
        if let Some(&id) = self.server_keys.get(&key) {
            if method != Method::Ack {
                return self.server_repeated(now, id);
            }
            if !self.server_acknowledged(now, id) {
                return;
            }
        }
        if method == Method::Ack {
            return self.receive_ack(now, &request);
        }
        if !self.has_room() {
            return self.refuse(transport, local, source, &request, 503, "");
        }
        let merge = MergeKey::of(&request).filter(|_| request.to_tag().is_none());
        let merged = merge.is_some_and(|m| self.merged.contains_key(&m)) && method != Method::Cancel;
        let id = self.start_server(key, request.clone(), transport, local, source);
        if method == Method::Cancel {
            return self.receive_cancel(now, id, &request);
        }
        if request.to_tag().is_some() {
            return self.receive_in_dialog(now, id, &request);
        }
        // §8.2: method, then Request-URI, merged requests, Require, content.
        if !self.config.passed.contains(&method) && self.refuse_method(now, id, &method) {
            return;
        }
        let known_scheme =
            request.uri().is_some_and(|u| u.is_sip() || u.scheme().eq_ignore_ascii_case(b"tel"));
        if !known_scheme {
            return self.reply_plain(now, id, 416, "");
        }
        if merged {
            return self.reply_plain(now, id, 482, "");
        }
        if request.seconds("Max-Forwards") == Some(0) {
            return self.reply_plain(now, id, 483, "");
        }
        if self.config.passed.contains(&method) && method != Method::Invite {
            return self.ask(now, id, request, transport, local, source);
        }
        if let Err(refusal) = check_content(&request, self.supported()) {
            return self.reply_refusal(now, id, &refusal);
        }
        match method {
            Method::Options => self.reply_options(now, id),
            Method::Invite => self.receive_invite(now, id, request, transport, local, source),
            // BYE, INFO, UPDATE, PRACK: there is no such dialog.
            _ => self.reply_plain(now, id, 481, ""),
        }
    }

    pub(crate) fn reply_refusal(&mut self, now: Instant, id: TxId, (code, header, value): &Refusal) {
        if let Some(draft) = self.draft(id, *code, "") {
            self.reply(now, id, &draft.header(header, value).finish());
        }
    }

    /// 405 or 501 for methods we do not have (§8.2.1); says whether that was so.
    pub(crate) fn refuse_method(&mut self, now: Instant, id: TxId, method: &Method) -> bool {
        let code = match method {
            Method::Invite
            | Method::Ack
            | Method::Cancel
            | Method::Bye
            | Method::Options
            | Method::Info
            | Method::Prack
            | Method::Update => return false,
            Method::Register
            | Method::Refer
            | Method::Notify
            | Method::Subscribe
            | Method::Message
            | Method::Publish => 405,
            Method::Other(_) => 501,
        };
        if let Some(draft) = self.draft(id, code, "") {
            let allow = self.allow();
            self.reply(now, id, &draft.header("Allow", allow).finish());
        }
        true
    }

    /// What we understand, and what the service answers, in Allow (§20.5).
    fn allow(&self) -> String {
        let passed = self.config.passed.iter().map(Method::as_str);
        passed.filter(|m| !ALLOW.split(", ").any(|a| a == *m)).fold(ALLOW.to_owned(), |all, m| all + ", " + m)
    }

    /// What we can do (§11.2); the same within and outside dialogs.
    pub(crate) fn reply_options(&mut self, now: Instant, id: TxId) {
        let Some(entry) = self.servers.get(&id) else {
            return;
        };
        let user = entry.request.uri().and_then(Uri::raw_user);
        let contact = contact_value(user, entry.local, entry.transport);
        let Some(draft) = self.draft(id, 200, "") else {
            return;
        };
        let response = draft
            .header("Contact", contact)
            .header("Allow", self.allow())
            .header("Accept", "application/sdp")
            .header("Accept-Encoding", "identity")
            .header("Accept-Language", "en")
            .header("Supported", self.supported());
        self.reply(now, id, &response.finish());
    }

    fn receive_invite(
        &mut self,
        now: Instant,
        id: TxId,
        request: Message,
        transport: Transport,
        local: SocketAddr,
        source: SocketAddr,
    ) {
        if self.live_calls >= self.config.max_calls {
            if let Some(draft) = self.draft(id, 503, "") {
                self.reply(now, id, &draft.header("Retry-After", "10").finish());
            }
            return;
        }
        if self.session_too_small(now, id, &request) {
            return;
        }
        let Some(tag) = self.servers.get(&id).map(|s| Bytes::from(s.tag.clone())) else {
            return;
        };
        let cseq = u32::try_from(self.random_below(1 << 16)).unwrap_or(1);
        // RFC 3262 §3: the first RSeq is below 2³¹.
        let rseq = 1 + u32::try_from(self.random_below(1 << 16)).unwrap_or(0);
        let reliable = Reliable::of(&request, rseq).filter(|_| self.config.reliable_provisional);
        let (Some(from), Some(to), Some(uri)) = (request.from(), request.to(), request.uri().cloned()) else {
            return;
        };
        let Some(dialog) = Dialog::called(&request, tag, cseq) else {
            return;
        };
        let key = CallKey(self.last_call);
        self.last_call = self.last_call.wrapping_add(1) | CallKey::INCOMING.0;
        self.reply_trying(now, id);
        let flow = Flow { transport, local: Some(local), contact: local, remote: source };
        self.dialogs.insert(dialog.id(), key);
        let contact = contact_value(uri.raw_user(), local, transport);
        let mut call = Call::new(flow, dialog, Stage::Ringing { tx: id }, contact);
        let offer = request.sdp();
        call.remote_sdp.clone_from(&offer);
        call.updates = request.has_token("Allow", "UPDATE");
        call.late_offer = offer.is_none();
        call.session_wish = self.config.session_expires.map(super::session::seconds);
        call.invite_cseq = request.cseq().map_or(0, |c| c.number);
        call.reliable = reliable;
        self.calls.insert(key, call);
        self.live_calls += 1;
        let patience =
            Duration::from_secs(u64::from(request.seconds("Expires").unwrap_or(240).clamp(5, 240)));
        self.schedule.set(Due::Call(key, CallTimer::Ring), now + patience);
        if let Some(entry) = self.servers.get_mut(&id) {
            entry.call = Some(key);
        }
        let incoming = Incoming {
            call: key,
            transport,
            local,
            remote: source,
            from,
            to,
            request_uri: uri,
            identity: Identity::read(&request),
            claim: Claim::read(&request),
            request,
            offer,
        };
        self.event(Event::Incoming(Box::new(incoming)));
    }

    pub(crate) fn reply_trying(&mut self, now: Instant, id: TxId) {
        let Some(entry) = self.servers.get(&id) else {
            return;
        };
        let trying = crate::message::response_to(&entry.request, entry.source, 100, "", None);
        self.reply(now, id, &trying.finish());
    }

    fn receive_cancel(&mut self, now: Instant, id: TxId, request: &Message) {
        let target = ServerKey::of(request, &Method::Invite).and_then(|k| self.server_keys.get(&k).copied());
        let Some(target) = target else {
            return self.reply_plain(now, id, 481, "");
        };
        // §9.2: the answer to CANCEL has the To tag of the answer to the INVITE.
        let tag = self.servers.get(&target).map(|s| s.tag.clone());
        if let (Some(tag), Some(entry)) = (tag, self.servers.get_mut(&id)) {
            entry.tag = tag;
        }
        self.reply_plain(now, id, 200, "");
        let Some(entry) = self.servers.get(&target).filter(|e| e.machine.is_open()) else {
            return;
        };
        let call = entry.call;
        let initial = call
            .and_then(|c| self.calls.get(&c))
            .map(|c| matches!(c.stage, Stage::Ringing { tx } if tx == target));
        match (call, initial) {
            (Some(key), Some(true)) => {
                self.reply_plain(now, target, 487, "");
                let mut cause = EndCause::new(EndedBy::Remote, Some(487), "cancelled");
                (cause.q850, cause.sip_cause) = (request.q850(), request.sip_cause());
                if let Some(text) = request.reason_text() {
                    cause.reason = text;
                }
                self.end_call(now, key, cause);
            }
            (Some(key), Some(false)) => {
                // CANCEL of a re-INVITE: the offer is off, the call goes on.
                self.reply_plain(now, target, 487, "");
                if let Some(call) = self.calls.get_mut(&key) {
                    call.offered = call.offered.take().filter(|o| o.tx != target);
                }
                self.try_offer(now, key);
            }
            _ => {}
        }
    }

    /// Refuses a call that is not answered yet.
    pub(crate) fn reject(
        &mut self,
        now: Instant,
        key: CallKey,
        code: u16,
        reason: &str,
        headers: &[(String, String)],
    ) {
        let Some(Stage::Ringing { tx }) = self.calls.get(&key).map(|c| &c.stage) else {
            return;
        };
        let tx = *tx;
        let code = if (300..700).contains(&code) { code } else { 500 };
        let Some(draft) = self.draft(tx, code, reason) else {
            return;
        };
        let response = draft.headers(headers).finish();
        let mut cause = EndCause::new(EndedBy::Local, Some(code), &response.reason());
        cause.q850 = response.q850();
        self.reply(now, tx, &response);
        self.end_call(now, key, cause);
    }

    /// 200 to the INVITE of a call.
    pub(crate) fn answer(&mut self, now: Instant, key: CallKey, sdp: Bytes) {
        let Some(tx) = self.calls.get(&key).and_then(Call::ringing) else {
            return;
        };
        if self.answer_waits(key, &sdp) {
            return;
        }
        let Some(request) = self.servers.get(&tx).map(|s| s.request.clone()) else {
            return;
        };
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        call.stage = Stage::Established;
        // What was said reliably before is not said again (RFC 3261 §13.2.1).
        let settled = call.reliable.as_ref().is_some_and(|r| r.settled);
        if !settled {
            call.local_sdp = Some(sdp.clone());
            call.local_answers = !call.late_offer;
        }
        for timer in [CallTimer::Ring, CallTimer::Repeat1xx, CallTimer::NoPrack, CallTimer::StillRinging] {
            self.schedule.clear(Due::Call(key, timer));
        }
        self.accept_invite(now, key, tx, &request, (!settled).then_some(sdp), true);
    }
}
