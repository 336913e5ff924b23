//! The session timer: a call is renewed before anyone takes it for dead (RFC 4028).

use fax_base::Instant;
use fax_base::time::Duration;

use super::ALLOW;
use super::UserAgent;
use super::call::{LocalOffer, Purpose, Session};
use super::schedule::{CallTimer, Due, TxId};
use super::transactions::Owner;
use crate::api::{CallKey, EndedBy, Q850};
use crate::message::{Builder, Message, Method};

/// Headers of a request or response.
type Headers = Vec<(&'static str, String)>;

/// Where we are, what we understand and how long the session holds: what every message has that sets a session up or
/// renews it.
pub(super) fn describing(draft: Builder, contact: &str, supported: &str, session: Headers) -> Builder {
    let draft = draft.header("Contact", contact).header("Allow", ALLOW).header("Supported", supported);
    session.into_iter().fold(draft, |d, (name, value)| d.header(name, value))
}

pub(super) fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

impl UserAgent {
    /// 422 for an interval below ours (§9); says whether that was so. Peers that do not know the extension are spared.
    pub(crate) fn session_too_small(&mut self, now: Instant, id: TxId, request: &Message) -> bool {
        let min = seconds(self.config.min_se).max(90);
        let small = request.session_expires().is_some_and(|s| s.seconds < min);
        if !small || !request.has_token("Supported", "timer") {
            return false;
        }
        if let Some(draft) = self.draft(id, 422, "") {
            self.reply(now, id, &draft.header("Min-SE", min.to_string()).finish());
        }
        true
    }

    /// What we answer to the session timer in a request, and the timer it starts (§9).
    pub(crate) fn session_requested(&mut self, now: Instant, key: CallKey, request: &Message) -> Headers {
        let knows = request.has_token("Supported", "timer") || request.has_token("Require", "timer");
        let min = seconds(self.config.min_se).max(90).max(request.seconds("Min-SE").unwrap_or(0));
        let Some(asked) = request.session_expires() else {
            // §9: we may want what the caller did not ask for; then it is ours to keep up.
            let wish = self.calls.get(&key).and_then(|c| c.session_wish).map(|w| w.max(min).min(86_400));
            let session = wish.map(|seconds| Session { seconds, we_refresh: true });
            self.set_session(now, key, session);
            return wish.map(|w| ("Session-Expires", format!("{w};refresher=uas"))).into_iter().collect();
        };
        let interval = asked.seconds.max(min).min(86_400);
        // Who knows the extension and does not say otherwise refreshes itself; else it falls to us.
        let they_refresh = knows && asked.refresher_is_uac.unwrap_or(true);
        self.set_session(now, key, Some(Session { seconds: interval, we_refresh: !they_refresh }));
        let refresher = if they_refresh { "uac" } else { "uas" };
        let mut headers = vec![("Session-Expires", format!("{interval};refresher={refresher}"))];
        if knows && they_refresh {
            headers.push(("Require", String::from("timer")));
        }
        headers
    }

    /// What we ask for in INVITE and UPDATE (§7.1, §7.4).
    pub(crate) fn session_headers(&self, key: CallKey) -> Headers {
        let Some(call) = self.calls.get(&key) else {
            return Vec::new();
        };
        let mut headers = Vec::new();
        match (call.session, call.session_wish) {
            (Some(session), _) => {
                let refresher = if session.we_refresh { "uac" } else { "uas" };
                headers.push(("Session-Expires", format!("{};refresher={refresher}", session.seconds)));
            }
            (None, Some(wish)) => headers.push(("Session-Expires", wish.to_string())),
            (None, None) => return headers,
        }
        headers.push(("Min-SE", call.min_se.to_string()));
        headers
    }

    /// A 2xx to our INVITE or UPDATE says what holds (§7.2).
    pub(crate) fn session_accepted(&mut self, now: Instant, key: CallKey, response: &Message) {
        let session = response.session_expires().map(|s| Session {
            seconds: s.seconds.clamp(90, 86_400),
            we_refresh: s.refresher_is_uac.unwrap_or(true),
        });
        self.set_session(now, key, session);
    }

    /// 422: asks for more next time (§7.3); says whether that is new.
    pub(crate) fn raise_session(&mut self, key: CallKey, response: &Message) -> bool {
        let Some(min) = response.seconds("Min-SE").filter(|m| *m <= 86_400) else {
            return false;
        };
        let Some(call) = self.calls.get_mut(&key) else {
            return false;
        };
        if min <= call.min_se {
            return false;
        }
        call.min_se = min;
        call.session_wish = Some(call.session_wish.unwrap_or(min).max(min));
        if let Some(session) = &mut call.session {
            session.seconds = session.seconds.max(min);
        }
        true
    }

    fn set_session(&mut self, now: Instant, key: CallKey, session: Option<Session>) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        call.session = session;
        let timer = Due::Call(key, CallTimer::Session);
        let end = Due::Call(key, CallTimer::SessionEnd);
        match session {
            None => {
                self.schedule.clear(timer);
                self.schedule.clear(end);
            }
            Some(Session { seconds, we_refresh }) => {
                // §10: the refresher at half the interval; the other shortly before the end, so that a far end which
                // forgets its duty does not end a call that works.
                let wait = if we_refresh { seconds / 2 } else { seconds - (seconds / 3).min(32) };
                self.schedule.set(timer, now + Duration::from_secs(u64::from(wait)));
                self.schedule.set(end, now + Duration::from_secs(u64::from(seconds)));
            }
        }
    }

    /// Nobody has renewed the session, and our own tries came to nothing (§10).
    pub(crate) fn session_ended(&mut self, now: Instant, key: CallKey) {
        if self.calls.get(&key).is_some_and(|c| c.is_established()) {
            let reason = Some(Q850(102));
            self.hang_up_established(now, key, EndedBy::Timeout, reason, "the session was not renewed");
        }
    }

    /// Time to renew: UPDATE where the far end takes it, else the present session once more by INVITE.
    pub(crate) fn session_due(&mut self, now: Instant, key: CallKey) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        if !call.is_established() {
            return;
        }
        let busy = call.pending.is_some() || call.offered.is_some() || call.queued.is_some();
        if busy || !self.has_room() {
            return self.session_retry(now, key);
        }
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        if !call.updates {
            if let Some(sdp) = call.local_sdp.clone() {
                call.queued = Some(LocalOffer { sdp, purpose: Purpose::Refresh, collisions: 0 });
                self.try_offer(now, key);
            }
            return;
        }
        let contact = call.contact.clone();
        let session = self.session_headers(key);
        let Some(request) = self.in_dialog_request(key, Method::Update) else {
            return;
        };
        let request = describing(request, &contact, self.supported(), session);
        self.send_in_dialog(now, key, request.finish(), Owner::Update(key));
    }

    /// The renewal did not go through: once more in a while.
    pub(crate) fn session_retry(&mut self, now: Instant, key: CallKey) {
        self.schedule.set(Due::Call(key, CallTimer::Session), now + Duration::from_secs(10));
    }

    pub(crate) fn update_response(
        &mut self,
        now: Instant,
        id: TxId,
        key: CallKey,
        code: u16,
        response: &Message,
    ) {
        match code {
            0..=199 => {}
            200..=299 => {
                let Some(call) = self.calls.get_mut(&key) else {
                    return;
                };
                if call.is_over() {
                    return;
                }
                call.dialog.refresh_target(response);
                call.authentication.succeeded();
                self.session_accepted(now, key, response);
            }
            401 | 407 => {
                if self.try_again(now, id, Some(key), response).is_none() {
                    self.update_failed(now, key, code);
                }
            }
            422 => {
                if !self.raise_session(key, response)
                    || self.try_again(now, id, Some(key), response).is_none()
                {
                    self.update_failed(now, key, code);
                }
            }
            481 => self.dialog_lost(now, key, response),
            _ => self.update_failed(now, key, code),
        }
    }

    /// UPDATE is not taken, or lost on the way: INVITE has to do. What passes is tried again.
    pub(crate) fn update_failed(&mut self, now: Instant, key: CallKey, code: u16) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        if call.is_over() {
            return;
        }
        if !matches!(code, 491 | 500 | 503) {
            call.updates = false;
        }
        self.session_retry(now, key);
    }
}
