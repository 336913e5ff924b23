//! Ending calls: BYE, refusals, and what is kept a while for late messages (RFC 3261 §15).

use fax_base::Instant;

use super::UserAgent;
use super::call::Stage;
use super::schedule::{CallTimer, Due};
use super::transactions::Owner;
use crate::api::{CallKey, EndCause, EndedBy, Event, Q850};
use crate::message::{Builder, Method};

/// The value of a Reason header (RFC 3326).
pub(crate) fn reason_header(cause: Q850) -> String {
    let text = match cause.0 {
        1 => "Unallocated number",
        16 => "Normal call clearing",
        17 => "User busy",
        18 => "No user responding",
        19 => "No answer from user",
        21 => "Call rejected",
        27 => "Destination out of order",
        31 => "Normal, unspecified",
        34 => "No circuit available",
        42 => "Switching equipment congestion",
        65 => "Bearer capability not implemented",
        79 => "Service or option not implemented",
        88 => "Incompatible destination",
        102 => "Recovery on timer expiry",
        _ => return format!("Q.850;cause={}", cause.0),
    };
    format!("Q.850;cause={};text=\"{text}\"", cause.0)
}

impl UserAgent {
    /// The service wants the call to end.
    pub(crate) fn hang_up(&mut self, now: Instant, key: CallKey, reason: Option<Q850>) {
        let Some(call) = self.calls.get(&key) else {
            return;
        };
        match call.stage {
            Stage::Calling { .. } => self.give_up_calling(now, key, EndedBy::Local, reason),
            Stage::Ringing { .. } => {
                let headers: Vec<(String, String)> =
                    reason.map(|r| (String::from("Reason"), reason_header(r))).into_iter().collect();
                self.reject(now, key, 480, "", &headers);
            }
            Stage::Established => self.hang_up_established(now, key, EndedBy::Local, reason, "hung up"),
            Stage::Over => {}
        }
    }

    /// Sends BYE, or notes that it is due once the caller has acknowledged our 200 (§15).
    pub(crate) fn hang_up_established(
        &mut self,
        now: Instant,
        key: CallKey,
        by: EndedBy,
        reason: Option<Q850>,
        words: &str,
    ) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        let wait = call.unacknowledged.as_ref().is_some_and(|u| u.initial);
        if wait {
            call.bye_after_ack = Some(reason);
        } else {
            self.send_bye(now, key, reason);
        }
        let mut cause = EndCause::new(by, None, words);
        cause.q850 = reason.map(|r| r.0);
        self.end_call(now, key, cause);
    }

    pub(crate) fn send_bye(&mut self, now: Instant, key: CallKey, reason: Option<Q850>) {
        let Some(request) = self.in_dialog_request(key, Method::Bye) else {
            return;
        };
        let request = request.maybe("Reason", reason.map(reason_header));
        self.send_in_dialog(now, key, request.finish(), Owner::Bye(key));
    }

    /// A request within the dialog: everything but what is its own, credentials included.
    pub(crate) fn in_dialog_request(&mut self, key: CallKey, method: Method) -> Option<Builder> {
        let cnonce = self.random_token(8);
        let flow = self.calls.get(&key)?.flow;
        let via = self.new_via(flow.transport, flow.contact);
        let call = self.calls.get_mut(&key)?;
        call.dialog.local_cseq = call.dialog.local_cseq.saturating_add(1);
        let uri = call.dialog.route().0.to_string();
        let headers = call.authentication.authorize(method.as_str(), &uri, &cnonce);
        let mut builder = call.dialog.request(method, &via, call.dialog.local_cseq);
        for (name, value) in headers {
            builder = builder.header(name, value);
        }
        Some(self.sign(builder, "User-Agent"))
    }

    /// Sends a request within the dialog.
    pub(crate) fn send_in_dialog(
        &mut self,
        now: Instant,
        key: CallKey,
        request: crate::message::Message,
        owner: Owner,
    ) -> Option<super::schedule::TxId> {
        let call = self.calls.get(&key)?;
        let flow = call.flow;
        let to = call.dialog.next_hop(&flow);
        Some(self.start_client(now, request, &flow, to, owner))
    }

    /// The call is over: tells so, once, and keeps the dialog a while where there was one.
    pub(crate) fn end_call(&mut self, now: Instant, key: CallKey, cause: EndCause) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        let waits_for_ack = call.bye_after_ack.is_some();
        let (offered, pending) = (call.offered.take(), call.pending.take());
        match core::mem::replace(&mut call.stage, Stage::Over) {
            Stage::Over => return,
            Stage::Calling { .. } => {
                self.early.remove(&(call.dialog.call_id.clone(), call.dialog.local_tag.clone()));
                self.schedule.clear_call(key);
                self.calls.remove(&key);
            }
            Stage::Ringing { .. } => self.forget_call(key),
            Stage::Established => {
                if !waits_for_ack {
                    call.unacknowledged = None;
                    self.schedule.clear_call(key);
                }
                for timer in
                    [CallTimer::Glare, CallTimer::Reinvite, CallTimer::Session, CallTimer::SessionEnd]
                {
                    self.schedule.clear(Due::Call(key, timer));
                }
                self.schedule.set(Due::Call(key, CallTimer::Linger), now + Self::LINGER);
            }
        }
        self.arrived(crate::api::Attempt::Call(key));
        self.live_calls = self.live_calls.saturating_sub(1);
        if let Some((tx, _)) = pending {
            self.abandon_client(now, tx);
        }
        if let Some(offered) = offered {
            self.reply_plain(now, offered.tx, 487, "");
        }
        self.event(Event::Ended { call: key, cause });
    }

    pub(crate) fn forget_call(&mut self, key: CallKey) {
        self.schedule.clear_call(key);
        if let Some(call) = self.calls.remove(&key) {
            self.dialogs.remove(&call.dialog.id());
        }
    }
}
