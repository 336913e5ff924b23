//! Before the answer: early dialogs of every fork, reliable provisional answers in both roles (RFC 3261 §12.1, §13.2.2.1; RFC 3262).

use core::net::SocketAddr;
use std::collections::VecDeque;

use bytes::Bytes;
use fax_base::Instant;
use fax_base::time::Duration;

use super::schedule::{CallTimer, Due, TxId};
use super::transactions::Owner;
use super::{ALLOW, UserAgent};
use crate::api::{CallKey, EndCause, EndedBy};
use crate::dialog::{Dialog, Flow};
use crate::message::{Message, Method};
use crate::transaction::{T1, TRANSACTION_LIFE};

/// So many forks of a call are kept apart; more ring unseen.
const FORKS: usize = 16;
/// So many provisional answers wait for their turn.
const QUEUED: usize = 8;

/// An early dialog of a call of ours: each fork that rings has its own.
#[derive(Debug)]
pub(crate) struct Early {
    pub(crate) dialog: Dialog,
    pub(crate) flow: Flow,
    /// The last SDP it sent.
    pub(crate) sdp: Option<Bytes>,
    /// The last RSeq that was acknowledged.
    rseq: Option<u32>,
    /// Its SDP came reliably: our offer is answered there.
    pub(crate) settled: bool,
}

/// Our provisional answers to a caller that knows how to acknowledge them.
#[derive(Debug)]
pub(crate) struct Reliable {
    /// The caller requires it of every provisional answer.
    required: bool,
    /// The INVITE had no offer.
    late_offer: bool,
    next_rseq: u32,
    waiting: Option<Waiting>,
    queue: VecDeque<(u16, Option<Bytes>)>,
    /// The service has answered; the 200 waits for PRACK.
    answer: Option<Bytes>,
    /// SDP of ours was acknowledged: the 200 has none.
    pub(crate) settled: bool,
}

/// A provisional answer without its PRACK.
#[derive(Debug)]
struct Waiting {
    rseq: u32,
    octets: Bytes,
    remote: SocketAddr,
    interval: Duration,
    sdp: bool,
}

impl Reliable {
    /// What an INVITE lets us do.
    pub(crate) fn of(invite: &Message, first_rseq: u32) -> Option<Reliable> {
        let required = invite.has_token("Require", "100rel");
        (required || invite.has_token("Supported", "100rel")).then(|| Reliable {
            required,
            late_offer: invite.sdp().is_none(),
            next_rseq: first_rseq,
            waiting: None,
            queue: VecDeque::new(),
            answer: None,
            settled: false,
        })
    }
}

impl UserAgent {
    // --- as the caller ---

    /// A provisional answer with a To tag: keeps its dialog up to date and acknowledges it where that is asked (RFC 3262
    /// §4). Says whether it is news.
    pub(crate) fn early_response(
        &mut self,
        now: Instant,
        id: TxId,
        key: CallKey,
        response: &Message,
        source: SocketAddr,
    ) -> bool {
        let Some(tag) = response.to_tag() else {
            return true;
        };
        let Some((half, mut flow)) = self.clients.get(&id).and_then(|e| e.half.as_deref().cloned()) else {
            return true;
        };
        let Some(call) = self.calls.get_mut(&key) else {
            return false;
        };
        let place = call.earlies.iter().position(|e| e.dialog.remote_tag == tag);
        if place.is_none() && call.earlies.len() < FORKS {
            flow.remote = source;
            let dialog = half.answered(response);
            call.earlies.push(Early { dialog, flow, sdp: None, rseq: None, settled: false });
        }
        let found = place.or(call.earlies.len().checked_sub(1));
        let Some(early) = found.and_then(|i| call.earlies.get_mut(i)).filter(|e| e.dialog.remote_tag == tag)
        else {
            return true;
        };
        early.dialog.refresh_target(response);
        let reliable = response.has_token("Require", "100rel").then(|| response.rseq()).flatten();
        if let Some(rseq) = reliable {
            // §4: in order; a repeated one is acknowledged by the PRACK under way, one too early comes again.
            if early.rseq.is_some_and(|last| rseq != last.wrapping_add(1)) {
                return false;
            }
            early.rseq = Some(rseq);
        }
        if let Some(sdp) = response.sdp() {
            early.sdp = Some(sdp);
            early.settled |= reliable.is_some();
        }
        if let Some(rseq) = reliable {
            self.send_prack(now, id, key, &tag, rseq);
        }
        true
    }

    fn send_prack(&mut self, now: Instant, invite: TxId, key: CallKey, tag: &Bytes, rseq: u32) {
        let cnonce = self.random_token(8);
        let Some(number) = self.clients.get(&invite).and_then(|e| e.request.cseq()).map(|c| c.number) else {
            return;
        };
        let Some(flow) = self.calls.get(&key).and_then(|c| c.early(tag)).map(|e| e.flow) else {
            return;
        };
        let via = self.new_via(flow.transport, flow.contact);
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        let Some(early) = call.earlies.iter_mut().find(|e| e.dialog.remote_tag == *tag) else {
            return;
        };
        early.dialog.local_cseq = early.dialog.local_cseq.saturating_add(1);
        let uri = early.dialog.route().0.to_string();
        let to = early.dialog.next_hop(&flow);
        let builder = early.dialog.request(Method::Prack, &via, early.dialog.local_cseq);
        let mut builder = builder.header("RAck", format!("{rseq} {number} INVITE"));
        for (name, value) in call.authentication.authorize("PRACK", &uri, &cnonce) {
            builder = builder.header(name, value);
        }
        let request = self.sign(builder, "User-Agent").finish();
        if self.has_room() {
            self.start_client(now, request, &flow, to, Owner::Prack(key));
        }
    }

    // --- as the called ---

    /// 180, 183 …: reliably where the caller requires it, or where it alone can carry an offer of ours (RFC 3262 §3, §5).
    pub(crate) fn ring(&mut self, now: Instant, key: CallKey, code: u16, sdp: Option<Bytes>) {
        let Some((tx, call)) = self.calls.get_mut(&key).and_then(|c| c.ringing().map(|tx| (tx, c))) else {
            return;
        };
        let code = if (101..200).contains(&code) { code } else { 180 };
        let late_offer = call.late_offer;
        let Some(reliable) = &mut call.reliable else {
            // §13.2.1: without PRACK only a 2xx can carry an offer.
            return self.ring_plainly(now, key, tx, code, sdp.filter(|_| !late_offer));
        };
        let sdp = sdp.filter(|_| !reliable.settled);
        let needed = reliable.required || (reliable.late_offer && sdp.is_some());
        if !needed {
            return self.ring_plainly(now, key, tx, code, sdp);
        }
        if reliable.late_offer && sdp.is_none() && !reliable.settled {
            // The first reliable answer would have to carry our offer, and there is none: 100 has to do.
            return;
        }
        if reliable.waiting.is_some() {
            if reliable.queue.len() < QUEUED {
                reliable.queue.push_back((code, sdp));
            }
            return;
        }
        let rseq = reliable.next_rseq;
        reliable.next_rseq = rseq.wrapping_add(1);
        let contact = call.contact.clone();
        if let Some(sdp) = &sdp {
            call.local_sdp = Some(sdp.clone());
            call.local_answers = !call.late_offer;
        }
        let Some(draft) = self.draft(tx, code, "") else {
            return;
        };
        let draft = draft.header("Contact", contact).header("Allow", ALLOW).header("Require", "100rel");
        let draft = draft.header("RSeq", rseq.to_string());
        let with_sdp = sdp.is_some();
        let response = match sdp {
            Some(sdp) => draft.finish_with_sdp(sdp),
            None => draft.finish(),
        };
        self.reply(now, tx, &response);
        let Some(entry) = self.servers.get(&tx) else {
            return;
        };
        let remote = entry.answer_to;
        let octets = response.to_bytes();
        if let Some(reliable) = self.calls.get_mut(&key).and_then(|c| c.reliable.as_mut()) {
            reliable.waiting = Some(Waiting { rseq, octets, remote, interval: T1, sdp: with_sdp });
        }
        self.schedule.set(Due::Call(key, CallTimer::Repeat1xx), now + T1);
        self.schedule.set(Due::Call(key, CallTimer::NoPrack), now + TRANSACTION_LIFE);
    }

    fn ring_plainly(&mut self, now: Instant, key: CallKey, tx: TxId, code: u16, sdp: Option<Bytes>) {
        let Some(contact) = self.calls.get(&key).map(|c| c.contact.clone()) else {
            return;
        };
        let Some(draft) = self.draft(tx, code, "") else {
            return;
        };
        let draft = draft.header("Contact", contact).header("Allow", ALLOW);
        let response = match sdp {
            Some(sdp) => draft.finish_with_sdp(sdp),
            None => draft.finish(),
        };
        self.reply(now, tx, &response);
        self.schedule.set(Due::Call(key, CallTimer::StillRinging), now + Self::STILL_RINGING);
    }

    /// Proxies give up an INVITE that is silent for three minutes (§13.3.1.1, §16.6 item 11).
    pub(crate) fn still_ringing(&mut self, now: Instant, key: CallKey) {
        if let Some(tx) = self.calls.get(&key).and_then(|c| c.ringing()) {
            self.server_repeated(now, tx);
            self.schedule.set(Due::Call(key, CallTimer::StillRinging), now + Self::STILL_RINGING);
        }
    }

    const STILL_RINGING: Duration = Duration::from_secs(60);

    pub(crate) fn repeat_1xx(&mut self, now: Instant, key: CallKey) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        let flow = call.flow;
        let Some(waiting) = call.reliable.as_mut().and_then(|r| r.waiting.as_mut()) else {
            return;
        };
        waiting.interval = waiting.interval.saturating_mul(2);
        let (octets, remote, wait) = (waiting.octets.clone(), waiting.remote, waiting.interval);
        self.send(flow.transport, flow.local, remote, octets);
        self.schedule.set(Due::Call(key, CallTimer::Repeat1xx), now + wait);
    }

    /// Nobody acknowledged: the INVITE is refused (RFC 3262 §3).
    pub(crate) fn no_prack(&mut self, now: Instant, key: CallKey) {
        let Some(tx) = self.calls.get(&key).and_then(|c| c.ringing()) else {
            return;
        };
        self.reply_plain(now, tx, 504, "No PRACK");
        self.end_call(now, key, EndCause::new(EndedBy::Timeout, Some(504), "no PRACK"));
    }

    /// PRACK: of the answer that waits for it, or of none (RFC 3262 §3).
    pub(crate) fn receive_prack(&mut self, now: Instant, id: TxId, key: CallKey, prack: &Message) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        let invite = call.invite_cseq;
        let waiting = call.reliable.as_mut().and_then(|r| {
            let (rseq, cseq) = prack.rack()?;
            let waiting = r.waiting.take_if(|w| w.rseq == rseq && cseq == invite)?;
            r.settled |= waiting.sdp;
            Some((waiting.sdp && r.late_offer, r.settled))
        });
        let Some((offered, settled)) = waiting else {
            return self.reply_plain(now, id, 481, "");
        };
        for timer in [CallTimer::Repeat1xx, CallTimer::NoPrack] {
            self.schedule.clear(Due::Call(key, timer));
        }
        match prack.sdp() {
            Some(answer) if offered => {
                call.remote_sdp = Some(answer.clone());
                call.early_answer = Some(answer);
                self.reply_plain(now, id, 200, "");
            }
            // Another offer before the call is answered: the session stays as it is.
            Some(_) if settled => self.reply_plain(now, id, 488, ""),
            Some(_) | None => self.reply_plain(now, id, 200, ""),
        }
        let Some(reliable) = self.calls.get_mut(&key).and_then(|c| c.reliable.as_mut()) else {
            return;
        };
        let next = reliable.queue.pop_front();
        match (reliable.answer.take(), next) {
            (Some(sdp), _) => self.answer(now, key, sdp),
            (None, Some((code, sdp))) => self.ring(now, key, code, sdp),
            (None, None) => {}
        }
    }

    /// Whether the 200 must wait: SDP of ours is on its way without PRACK (RFC 3262 §3). Keeps the answer for then.
    pub(crate) fn answer_waits(&mut self, key: CallKey, sdp: &Bytes) -> bool {
        let Some(reliable) = self.calls.get_mut(&key).and_then(|c| c.reliable.as_mut()) else {
            return false;
        };
        if reliable.waiting.as_ref().is_some_and(|w| w.sdp) {
            reliable.answer = Some(sdp.clone());
            return true;
        }
        reliable.queue.clear();
        false
    }
}
