//! Offers within a call, ours and theirs: re-INVITE, collisions, refusals (RFC 3261 §14, RFC 3264 §8).

use core::net::SocketAddr;

use bytes::Bytes;
use fax_base::Instant;
use fax_base::time::Duration;

use super::UserAgent;
use super::call::{LocalOffer, Purpose};
use super::client::cause_of;
use super::schedule::{CallTimer, Due, TxId};
use super::session::describing;
use super::transactions::Owner;
use crate::api::{CallKey, EndCause, EndedBy, Event};
use crate::message::{Builder, Message, Method};
use crate::transaction::TRANSACTION_LIFE;

/// After so many 491 in a row an offer is given up.
const COLLISIONS: u8 = 6;

impl UserAgent {
    /// The service offers another session.
    pub(crate) fn offer(&mut self, now: Instant, key: CallKey, sdp: Bytes) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        if call.is_over() {
            return;
        }
        let busy = |o: &LocalOffer| o.purpose == Purpose::Offer;
        if call.queued.as_ref().is_some_and(busy) || call.pending.as_ref().is_some_and(|(_, o)| busy(o)) {
            return self.offer_refused(key, 491, "an offer of ours is under way");
        }
        call.queued = Some(LocalOffer { sdp, purpose: Purpose::Offer, collisions: 0 });
        self.try_offer(now, key);
    }

    fn offer_refused(&mut self, call: CallKey, code: u16, reason: &str) {
        self.event(Event::ReinviteRefused { call, code, reason: reason.to_owned() });
    }

    /// Sends the offer that waits, where the standard lets us (§14.1).
    pub(crate) fn try_offer(&mut self, now: Instant, key: CallKey) {
        if self.schedule.is_set(Due::Call(key, CallTimer::Glare)) {
            return;
        }
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        if !call.is_established()
            || call.pending.is_some()
            || call.offered.is_some()
            || call.unacknowledged.is_some()
        {
            return;
        }
        let Some(offer) = call.queued.take() else {
            return;
        };
        let contact = call.contact.clone();
        let session = self.session_headers(key);
        let Some(request) = self.in_dialog_request(key, Method::Invite) else {
            return;
        };
        let request = describing(request, &contact, self.supported(), session);
        let message = request.finish_with_sdp(offer.sdp.clone());
        let Some(id) = self.send_in_dialog(now, key, message, Owner::Reinvite(key)) else {
            return;
        };
        if let Some(call) = self.calls.get_mut(&key) {
            call.pending = Some((id, offer));
        }
        self.schedule.set(Due::Call(key, CallTimer::Reinvite), now + TRANSACTION_LIFE);
    }

    pub(crate) fn reinvite_response(
        &mut self,
        now: Instant,
        id: TxId,
        key: CallKey,
        code: u16,
        response: &Message,
        source: SocketAddr,
    ) {
        match code {
            0..=199 => {}
            200..=299 => self.reinvite_accepted(now, id, key, response, source),
            401 | 407 | 422 => {
                let again = code != 422 || self.raise_session(key, response);
                let new = again.then(|| self.try_again(now, id, Some(key), response)).flatten();
                match (new, self.calls.get_mut(&key).and_then(|c| c.pending.as_mut())) {
                    (Some(new), Some((tx, _))) if *tx == id => *tx = new,
                    (Some(_), _) => {}
                    (None, _) => self.reinvite_failed(now, id, key, code, &response.reason()),
                }
            }
            491 => {
                let tens =
                    if key.is_incoming() { self.random_below(201) } else { 210 + self.random_below(191) };
                let wait = Duration::from_millis(10 * tens);
                self.reinvite_collided(now, id, key, code, response, wait);
            }
            // §14.2: the far end is still busy with another INVITE.
            500 if response.retry_after().is_some_and(|w| w <= Duration::from_secs(10)) => {
                let wait = response.retry_after().unwrap_or_default();
                self.reinvite_collided(now, id, key, code, response, wait);
            }
            481 => {
                let over = self.calls.get(&key).is_none_or(|c| c.is_over());
                if !over {
                    // §12.2.1.2: the far end knows nothing of the dialog any more.
                    self.send_bye(now, key, None);
                    self.end_call(now, key, cause_of(response, EndedBy::Remote));
                }
            }
            _ => self.reinvite_failed(now, id, key, code, &response.reason()),
        }
    }

    fn reinvite_accepted(
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
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        call.dialog.refresh_target(response);
        let _ = source;
        let (dialog, flow) = (call.dialog.clone(), call.flow);
        let pending = call.pending.take_if(|(tx, _)| *tx == id);
        self.acknowledge(now, id, &dialog, &flow, tag, None);
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        if call.is_over() {
            return;
        }
        call.authentication.succeeded();
        self.schedule.clear(Due::Call(key, CallTimer::Reinvite));
        let answer = response.sdp();
        // An offer that was given up for lost may still be answered: then both ends have it.
        let late = self.clients.get(&id).and_then(|e| e.request.sdp());
        let (sdp, purpose) = match pending {
            Some((_, offer)) => (Some(offer.sdp), offer.purpose),
            None => (late, Purpose::Offer),
        };
        self.session_accepted(now, key, response);
        match (answer, purpose) {
            (Some(answer), purpose) => {
                let Some(call) = self.calls.get_mut(&key) else {
                    return;
                };
                call.local_sdp = sdp;
                call.local_answers &= purpose == Purpose::Refresh;
                let known = call.remote_sdp.replace(answer.clone());
                let changed = known.is_none_or(|k| !crate::sdp::unchanged(&k, &answer));
                if purpose == Purpose::Offer || changed {
                    self.event(Event::ReinviteAnswered { call: key, answer });
                }
            }
            (None, Purpose::Offer) => {
                self.offer_refused(key, response.code().unwrap_or(200), "no answer in 2xx")
            }
            (None, Purpose::Refresh) => {}
        }
        self.try_offer(now, key);
    }

    /// The offer was not taken: the session stays as it was (§14.1).
    pub(crate) fn reinvite_failed(&mut self, now: Instant, id: TxId, key: CallKey, code: u16, reason: &str) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        if call.is_over() {
            return;
        }
        let Some((_, offer)) = call.pending.take_if(|(tx, _)| *tx == id) else {
            return;
        };
        self.schedule.clear(Due::Call(key, CallTimer::Reinvite));
        match offer.purpose {
            Purpose::Offer => self.offer_refused(key, code, reason),
            Purpose::Refresh => self.session_retry(now, key),
        }
        self.try_offer(now, key);
    }

    /// No final answer in 64·T1: the session stays, and the INVITE is taken back.
    pub(crate) fn reinvite_timed_out(&mut self, now: Instant, key: CallKey) {
        let Some((id, _)) = self.calls.get(&key).and_then(|c| c.pending.as_ref()) else {
            return;
        };
        let id = *id;
        let Some(entry) = self.clients.get(&id) else {
            return;
        };
        if entry.machine.is_open() && entry.machine.state() == crate::transaction::ClientState::Proceeding {
            let cancel = Builder::cancel_of(&entry.request, None);
            let remote = entry.remote;
            if let Some(flow) = self.calls.get(&key).map(|c| c.flow) {
                self.start_client(now, cancel, &flow, remote, Owner::Nobody);
            }
        }
        self.abandon_client(now, id);
        self.reinvite_failed(now, id, key, 408, "no final answer");
    }

    /// 491: again after a while, which depends on who made the Call-ID (§14.1). 500 with a time: then (§14.2).
    fn reinvite_collided(
        &mut self,
        now: Instant,
        id: TxId,
        key: CallKey,
        code: u16,
        response: &Message,
        wait: Duration,
    ) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        if call.is_over() {
            return;
        }
        let Some((_, mut offer)) = call.pending.take_if(|(tx, _)| *tx == id) else {
            return;
        };
        self.schedule.clear(Due::Call(key, CallTimer::Reinvite));
        offer.collisions += 1;
        if offer.collisions > COLLISIONS {
            return match offer.purpose {
                Purpose::Offer => self.offer_refused(key, code, &response.reason()),
                Purpose::Refresh => self.session_retry(now, key),
            };
        }
        if call.queued.is_none() {
            call.queued = Some(offer);
        }
        self.schedule.set(Due::Call(key, CallTimer::Glare), now + wait);
    }

    /// The service takes their offer.
    pub(crate) fn accept_offer(&mut self, now: Instant, key: CallKey, answer: Bytes) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        let Some(offered) = call.offered.take() else {
            return;
        };
        let Some(request) = self.servers.get(&offered.tx).map(|s| s.request.clone()) else {
            return;
        };
        call.local_sdp = Some(answer.clone());
        call.local_answers = true;
        call.remote_sdp = Some(offered.sdp);
        let superseded = call.queued.take_if(|o| o.purpose == Purpose::Offer).is_some();
        if request.method() == Some(&Method::Invite) {
            self.accept_invite(now, key, offered.tx, &request, Some(answer), false);
        } else {
            self.accept_update(now, key, offered.tx, &request, Some(answer));
        }
        if superseded {
            self.schedule.clear(Due::Call(key, CallTimer::Glare));
            self.offer_refused(key, 491, "the far end's offer went first");
        }
        self.try_offer(now, key);
    }

    /// The service does not take their offer.
    pub(crate) fn refuse_offer(&mut self, now: Instant, key: CallKey, code: u16) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        let Some(offered) = call.offered.take() else {
            return;
        };
        let code = if (400..700).contains(&code) { code } else { 488 };
        if let Some(draft) = self.draft(offered.tx, code, "") {
            self.reply(now, offered.tx, &draft.finish());
        }
        self.try_offer(now, key);
    }

    /// The far end is gone for good, as a request of ours has shown.
    pub(crate) fn dialog_lost(&mut self, now: Instant, key: CallKey, response: &Message) {
        let Some(call) = self.calls.get(&key) else {
            return;
        };
        if call.is_over() {
            return;
        }
        self.send_bye(now, key, None);
        let mut cause = EndCause::new(EndedBy::Remote, response.code(), &response.reason());
        cause.q850 = response.q850();
        self.end_call(now, key, cause);
    }
}
