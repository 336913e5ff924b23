//! What the service asks for (RFC 3261 §8.1, §13.2.1).

use bytes::Bytes;
use fax_base::Instant;

use super::call::{Call, Stage};
use super::requests::contact_value;
use super::schedule::{CallTimer, Due};
use super::transactions::Owner;
use super::{ALLOW, UserAgent};
use crate::api::{Attempt, CallKey, Command, EndCause, EndedBy, Event, Invite, PingKey, Transport};
use crate::dialog::{Dialog, Flow};
use crate::digest::Authentication;
use crate::message::{Builder, Method, NameAddr, Uri};

impl UserAgent {
    pub(crate) fn command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Invite(invite) => {
                let key = invite.call;
                if let Err(cause) = self.invite(now, *invite) {
                    self.event(Event::Ended { call: key, cause });
                }
            }
            Command::Ring { call, code, sdp } => self.ring(now, call, code, sdp),
            Command::Answer { call, sdp } => self.answer(now, call, sdp),
            Command::Reject { call, code, reason, headers } => {
                self.reject(now, call, code, &reason, &headers)
            }
            Command::Dismiss { call, code } => self.dismiss(now, call, code),
            Command::Reinvite { call, offer } => self.offer(now, call, offer),
            Command::AcceptReinvite { call, answer } => self.accept_offer(now, call, answer),
            Command::RejectReinvite { call, code } => self.refuse_offer(now, call, code),
            Command::Hangup { call, reason } => self.hang_up(now, call, reason),
            Command::Authenticate { asker, realm, proxy, secret } => {
                self.authenticate(now, asker, &realm, proxy, secret.as_ref());
            }
            Command::Respond { request, code, reason, headers } => {
                self.respond(now, request, code, &reason, &headers);
            }
            Command::Register(register) => self.register(now, *register),
            Command::Unregister { registration } => self.unregister(now, registration),
            Command::Alternatives { of, targets } => self.alternatives(now, of, targets),
            Command::Ping { ping, transport, destination, contact, request_uri } => {
                let flow = Flow { transport, local: None, contact, remote: destination };
                if self.ping(now, ping, &flow, &request_uri).is_none() {
                    self.event(Event::PeerSilent { ping });
                }
            }
        }
    }

    fn invite(&mut self, now: Instant, invite: Invite) -> Result<(), EndCause> {
        let local = |code, reason: &str| EndCause::new(EndedBy::Local, Some(code), reason);
        let key = invite.call;
        if key >= CallKey::INCOMING || self.calls.contains_key(&key) {
            return Err(local(500, "this call exists already"));
        }
        if self.live_calls >= self.config.max_calls || !self.has_room() {
            return Err(local(503, "too many calls"));
        }
        let uri = Uri::read(Bytes::from(invite.request_uri)).filter(|u| !u.has_headers());
        let uri = uri.ok_or_else(|| local(400, "the Request-URI is no URI"))?;
        let from = party(&invite.from).ok_or_else(|| local(400, "From is no address"))?;
        party(&invite.to).ok_or_else(|| local(400, "To is no address"))?;

        let flow = Flow {
            transport: invite.transport,
            local: None,
            contact: invite.contact,
            remote: invite.destination,
        };
        let contact = contact_value(from.uri().raw_user(), invite.contact, invite.transport);
        let call_id = Bytes::from(self.random_token(16));
        let tag = Bytes::from(self.random_token(8));
        let cseq = u32::try_from(1 + self.random_below(1 << 15)).unwrap_or(1);
        let via = self.new_via(flow.transport, flow.contact);
        let dialog = Dialog::calling(call_id, tag, invite.from.trim(), invite.to.trim(), uri, cseq);
        let hops = invite.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case("Max-Forwards"));
        let mut builder = dialog.request(Method::Invite, &via, cseq);
        if hops.is_some() {
            // A call that is passed on keeps counting down.
            builder = builder.without("Max-Forwards");
        }
        let mut builder = builder
            .header("Contact", &contact)
            .header("Allow", ALLOW)
            .header("Supported", self.supported())
            .header("Accept", "application/sdp");
        let wish = self.config.session_expires.map(|d| super::session::seconds(d).max(90));
        let min_se = super::session::seconds(self.config.min_se).max(90);
        if let Some(wish) = wish {
            builder = builder.header("Session-Expires", wish.max(min_se).to_string());
            builder = builder.header("Min-SE", min_se.to_string());
        }
        let request =
            self.sign(builder, "User-Agent").headers(&invite.headers).finish_with_sdp(invite.offer.clone());

        let id = self.start_client(now, request, &flow, invite.destination, Owner::Invite(key));
        if let Some(entry) = self.clients.get_mut(&id) {
            entry.half = Some(Box::new((dialog.clone(), flow)));
        }
        let stage = Stage::Calling { tx: id, provisional: false, ending: None };
        let mut call = Call::new(flow, dialog, stage, contact);
        call.authentication = Authentication::new(invite.credentials);
        call.local_sdp = Some(invite.offer);
        call.session_wish = wish;
        call.min_se = min_se;
        call.reply_within = invite.reply_within;
        let early = (call.dialog.call_id.clone(), call.dialog.local_tag.clone());
        self.early.insert(early, key);
        self.calls.insert(key, call);
        self.live_calls += 1;
        self.schedule.set(Due::Call(key, CallTimer::Ring), now + invite.ring_timeout);
        self.watch(now, Attempt::Call(key), id);
        Ok(())
    }

    fn ping(&mut self, now: Instant, ping: PingKey, flow: &Flow, request_uri: &str) -> Option<()> {
        if !self.has_room() {
            return None;
        }
        let uri = Uri::read(Bytes::from(request_uri.to_owned()))?;
        let via = self.new_via(flow.transport, flow.contact);
        let contact = contact_value(None, flow.contact, Transport::Udp);
        let (tag, call_id) = (self.random_token(8), self.random_token(16));
        let builder = Builder::request(Method::Options, uri.clone())
            .header("Via", via)
            .header("Max-Forwards", "70")
            .header("From", format!("{contact};tag={tag}"))
            .header("To", [b"<", &uri.as_bytes()[..], b">"].concat())
            .header("Call-ID", call_id)
            .header("CSeq", "1 OPTIONS")
            .header("Contact", contact_value(None, flow.contact, flow.transport))
            .header("Accept", "application/sdp");
        let request = self.sign(builder, "User-Agent").finish();
        self.start_client(now, request, flow, flow.remote, Owner::Ping(ping));
        Some(())
    }
}

/// A From or To value as the service writes it: an address without a tag and without line ends.
pub(crate) fn party(value: &str) -> Option<NameAddr> {
    if value.chars().any(|c| c.is_control()) {
        return None;
    }
    NameAddr::read(&Bytes::copy_from_slice(value.trim().as_bytes())).filter(|n| n.tag().is_none())
}
