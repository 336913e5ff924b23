//! Requests that the service answers, and peers that must prove who they are (RFC 3261 §22.2, §22.3, §26.3.2.4).

use core::net::SocketAddr;

use fax_base::Instant;
use fax_base::time::Duration;

use super::UserAgent;
use super::call::Stage;
use super::schedule::{Due, TxId};
use crate::api::{Asked, Asker, CallKey, EndCause, EndedBy, Event, RequestKey, Transport};
use crate::digest::{Claim, Denial, Secret, Verdict};
use crate::message::{Message, Method};

/// How long the service may take to answer: within 64·T1, when the sender gives up.
const PATIENCE: Duration = Duration::from_secs(30);
/// … an INVITE, which its sender takes back by CANCEL.
const PATIENCE_INVITE: Duration = Duration::from_secs(60);

impl UserAgent {
    /// Passes a request to the service.
    pub(crate) fn ask(
        &mut self,
        now: Instant,
        id: TxId,
        message: Message,
        transport: Transport,
        local: SocketAddr,
        remote: SocketAddr,
    ) {
        self.await_service(now, id);
        let claim = Claim::read(&message);
        let asked = Asked { request: RequestKey(id), transport, local, remote, message, claim };
        self.event(Event::Asked(Box::new(asked)));
    }

    /// The service is to answer this request; it does not wait for ever.
    pub(crate) fn await_service(&mut self, now: Instant, id: TxId) {
        let invite = self.servers.get(&id).is_some_and(|s| s.request.method() == Some(&Method::Invite));
        let patience = if invite { PATIENCE_INVITE } else { PATIENCE };
        self.schedule.set(Due::Unanswered(id), now + patience);
    }

    /// The service has not answered: the peer is told and the transaction can end.
    pub(crate) fn unanswered(&mut self, now: Instant, id: TxId) {
        let call = self.servers.get(&id).and_then(|s| s.call);
        self.reply_plain(now, id, 500, "");
        if let Some(key) = call {
            if let Some(call) = self.calls.get_mut(&key) {
                call.offered = call.offered.take().filter(|o| o.tx != id);
            }
            self.try_offer(now, key);
        }
    }

    pub(crate) fn respond(
        &mut self,
        now: Instant,
        request: RequestKey,
        code: u16,
        reason: &str,
        headers: &[(String, String)],
    ) {
        let code = if (200..700).contains(&code) { code } else { 500 };
        let asked = self.servers.get(&request.0).is_some_and(|s| s.call.is_none() && s.machine.is_open());
        if !asked {
            return;
        }
        if let Some(draft) = self.draft(request.0, code, reason) {
            self.reply(now, request.0, &draft.headers(headers).finish());
        }
    }

    /// The transaction somebody's request came in, as long as it is without answer.
    fn asker_transaction(&self, asker: Asker) -> Option<TxId> {
        match asker {
            Asker::Call(key) => match self.calls.get(&key)?.stage {
                Stage::Ringing { tx } => Some(tx),
                Stage::Calling { .. } | Stage::Established | Stage::Over => None,
            },
            Asker::Request(RequestKey(id)) => {
                self.servers.get(&id).filter(|s| s.call.is_none() && s.machine.is_open()).map(|_| id)
            }
        }
    }

    /// Judges the proof of an asker (§22.2); challenges it when there is none that does.
    pub(crate) fn authenticate(
        &mut self,
        now: Instant,
        asker: Asker,
        realm: &str,
        proxy: bool,
        secret: Option<&Secret>,
    ) {
        let Some(id) = self.asker_transaction(asker) else {
            return;
        };
        let Some(request) = self.servers.get(&id).map(|s| s.request.clone()) else {
            return;
        };
        let verdict = self.challenger.judge(now, &request, realm, proxy, secret);
        let shown_nothing = verdict == Verdict::Missing;
        let (stale, words) = match verdict {
            Verdict::Proven(username) => return self.event(Event::Authenticated { asker, username }),
            Verdict::Missing => (false, "challenged"),
            Verdict::Stale => (true, "challenged again: the nonce was old"),
            Verdict::Denied(why) => {
                let username = Claim::of(&request, realm, proxy).map(|c| c.username).unwrap_or_default();
                self.event(Event::AuthenticationFailed { asker, username, why });
                // A peer that counts wrongly gets another chance with a new nonce.
                (why == Denial::Replayed, "the proof of identity was wrong")
            }
        };
        let code = if proxy { 407 } else { 401 };
        let challenge = self.challenger.challenge(now, realm, proxy, stale);
        let Some(draft) = self.draft(id, code, "") else {
            return;
        };
        let draft = challenge.into_iter().fold(draft, |d, (name, value)| d.header(name, value));
        self.reply(now, id, &draft.finish());
        if let Asker::Call(key) = asker {
            self.challenged_call(now, key, code, words);
        }
        // Whoever has shown nothing gets one answer, and nothing is remembered of it (§26.3.2.4): strangers could fill the
        // house, or have answers repeated to an address that they forged.
        if shown_nothing {
            self.forget_server(id);
        }
    }

    fn challenged_call(&mut self, now: Instant, key: CallKey, code: u16, words: &str) {
        self.end_call(now, key, EndCause::new(EndedBy::Local, Some(code), words));
    }

    /// Refuses a call with one answer, of which nothing is remembered.
    pub(crate) fn dismiss(&mut self, now: Instant, key: CallKey, code: u16) {
        let tx = self.asker_transaction(Asker::Call(key));
        self.reject(now, key, code, "", &[]);
        if let Some(tx) = tx {
            self.forget_server(tx);
        }
    }
}
