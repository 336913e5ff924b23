//! Calls as they are placed, come in, and are wished for; registrations; the stop.

use super::driver::{Driver, Entry};
use super::leg::{self, Leg};
use super::peers::Peer;
use super::session::Session;
use crate::call::{CallEnd, CallEvent, CallReport, IncomingCall, LegKey, Wish};
use bytes::Bytes;
use fax_base::redact::Redacted;
use fax_base::time::Duration;
use fax_sip as sip;
use std::net::SocketAddr;
use tokio::sync::{mpsc, oneshot};

/// A stop waits this long for the calls to be released.
const STOP: Duration = Duration::from_secs(5);

impl Driver {
    pub(super) fn obey(&mut self, wish: Wish) {
        match wish {
            Wish::Call { key, request, events } => {
                if let Err((end, sentence)) = self.place(key, *request, events.clone()) {
                    let report = CallReport {
                        end,
                        outcome: None,
                        sip_status: None,
                        q850: None,
                        reason: sentence,
                        t38: false,
                        t38_refused: None,
                        call_id: String::new(),
                        trace: None,
                        duration: Duration::ZERO,
                    };
                    let _ = events.send(CallEvent::Ended(Box::new(report)));
                }
            }
            Wish::Accept { key, terminal, events } => {
                if let Some(entry) = self.legs.get_mut(&key) {
                    entry.events = Some(events);
                    self.input(key, leg::Input::Accept(terminal));
                }
            }
            Wish::Reject { key, code, reason } => self.input(key, leg::Input::Reject { code, reason }),
            Wish::GiveUp { key } => self.input(key, leg::Input::GiveUp),
            Wish::Resolved { trunk, addresses } => self.resolved(&trunk, addresses),
            Wish::Stop { done } => self.stop(done),
        }
    }

    fn resolved(&mut self, trunk: &str, addresses: Vec<SocketAddr>) {
        let Some(number) = self.peers.iter().position(|p| p.trunk.name == trunk) else {
            return;
        };
        let Some(peer) = self.peers.get_mut(number) else {
            return;
        };
        let moved = peer.addresses.first() != addresses.first();
        peer.addresses = addresses;
        if moved {
            self.register(number);
        }
    }

    fn place(
        &mut self,
        key: LegKey,
        request: crate::call::CallRequest,
        events: mpsc::UnboundedSender<CallEvent>,
    ) -> Result<(), (CallEnd, String)> {
        let none = |s: String| (CallEnd::NoRoute, s);
        if self.stopping.is_some() {
            return Err(none("ferrofax is stopping".to_owned()));
        }
        if self.legs.len() >= self.config.max_calls {
            return Err(none(format!("{} calls are running already", self.legs.len())));
        }
        let peer = self
            .peers
            .iter()
            .find(|p| p.trunk.name == request.trunk)
            .cloned()
            .ok_or_else(|| none(format!("there is no trunk {}", request.trunk)))?;
        let destination = peer
            .addresses
            .first()
            .copied()
            .ok_or_else(|| none(format!("the host {} is not known to DNS", peer.trunk.peer)))?;
        let socket = self.ports.bind(destination.ip()).map_err(|e| none(format!("no media port: {e}")))?;
        let transport = peer.transport();
        let contact = self.contact(transport, destination);
        let media = SocketAddr::new(self.seen_as(destination, socket.local.ip()), socket.local.port());
        let call = sip::CallKey(key.0);
        let domain = peer.domain();
        let name: String =
            request.from_name.chars().filter(|c| !c.is_control() && !"\"\\".contains(*c)).collect();
        let from_user = escape(&request.from);
        let invite = |offer: Bytes| sip::Invite {
            call,
            transport,
            destination,
            contact,
            request_uri: format!("sip:{}@{domain}", escape(&request.to)),
            from: if name.is_empty() {
                format!("<sip:{from_user}@{domain}>")
            } else {
                format!("\"{name}\" <sip:{from_user}@{domain}>")
            },
            to: format!("<sip:{}@{domain}>", escape(&request.to)),
            headers: request.headers.clone(),
            credentials: credentials(&peer),
            offer,
            ring_timeout: peer.trunk.ring_timeout,
        };
        let session = Session::new(media, rand::random());
        let policy = request.t38.unwrap_or(peer.trunk.t38);
        let mut leg = Leg::calling(self.now(), call, policy, session, Box::new(request.terminal));
        let invite = invite(leg.first_offer());
        tracing::info!(trunk = %peer.trunk.name, to = %Redacted(&request.to), "calling");
        self.by_call.insert(call, key);
        let flow = (transport, destination);
        let entry =
            Entry { leg, call, events: Some(events), socket: Some(socket), media: None, due: None, flow };
        self.legs.insert(key, entry);
        self.command(sip::Command::Invite(Box::new(invite)));
        self.reschedule(key);
        Ok(())
    }

    pub(super) fn register(&mut self, number: usize) {
        let Some(peer) = self.peers.get(number).cloned() else {
            return;
        };
        let (Some(expires), Some(registrar)) = (peer.trunk.register, peer.addresses.first().copied()) else {
            return;
        };
        let user = match (&peer.trunk.register_user, &peer.trunk.credentials) {
            (user, _) if !user.is_empty() => user.clone(),
            (_, Some((user, _))) => user.clone(),
            (_, None) => return,
        };
        let domain = peer.domain();
        let register = sip::Register {
            registration: sip::RegKey(number as u64),
            transport: peer.transport(),
            registrar,
            request_uri: format!("sip:{domain}"),
            aor: format!("sip:{}@{domain}", escape(&user)),
            contact: self.contact(peer.transport(), registrar),
            headers: Vec::new(),
            credentials: credentials(&peer),
            expires,
            outbound: None,
        };
        self.command(sip::Command::Register(Box::new(register)));
    }

    pub(super) fn command(&mut self, command: sip::Command) {
        let now = self.now();
        self.agent.handle(now, sip::Input::Command(command));
    }

    fn stop(&mut self, done: oneshot::Sender<()>) {
        self.stopping = Some((self.now() + STOP, done));
        for number in 0..self.peers.len() {
            if self.peers.get(number).is_some_and(|p| p.trunk.register.is_some()) {
                self.command(sip::Command::Unregister { registration: sip::RegKey(number as u64) });
            }
        }
        let keys: Vec<LegKey> = self.legs.keys().copied().collect();
        for key in keys {
            self.input(key, leg::Input::GiveUp);
        }
    }

    pub(super) fn stopped(&mut self) -> bool {
        let now = self.now();
        let over = self
            .stopping
            .as_ref()
            .is_some_and(|(at, _)| *at <= now || (self.legs.is_empty() && self.agent.deadline().is_none()));
        if over && let Some((_, done)) = self.stopping.take() {
            let _ = done.send(());
        }
        over
    }

    pub(super) fn called(&mut self, incoming: sip::Incoming) {
        let call = incoming.call;
        let refuse = |driver: &mut Self, code: u16| {
            let (reason, headers) = (String::new(), Vec::new());
            driver.command(sip::Command::Reject { call, code, reason, headers });
        };
        let Some(peer) = self.peers.iter().find(|p| p.owns(incoming.remote.ip())) else {
            tracing::warn!(remote = %incoming.remote, "a call from an address that is no trunk's");
            return refuse(self, 403);
        };
        if self.stopping.is_some() || self.legs.len() >= self.config.max_calls {
            return refuse(self, 503);
        }
        let (policy, trunk) = (peer.trunk.t38, peer.trunk.name.clone());
        let Ok(socket) = self.ports.bind(incoming.remote.ip()) else {
            return refuse(self, 503);
        };
        let media = SocketAddr::new(self.seen_as(incoming.remote, socket.local.ip()), socket.local.port());
        let call_id = String::from_utf8_lossy(&incoming.request.call_id()).into_owned();
        let session = Session::new(media, rand::random());
        let mut leg = Leg::called(self.now(), call, policy, session, call_id.clone());
        if leg.offered(incoming.offer.as_ref()).is_none() {
            return refuse(self, 488);
        }
        let key = LegKey(self.next_incoming);
        self.next_incoming += 1;
        let caller = incoming.identity.network_caller().unwrap_or(&incoming.from);
        let offer = IncomingCall {
            to: incoming.request_uri.user().unwrap_or_default(),
            to_header: incoming.to.uri().user().unwrap_or_default(),
            from: caller.uri().user().unwrap_or_default(),
            from_name: caller.display_name(),
            trunk,
            remote: incoming.remote,
            call_id,
            key,
            wishes: self.wish_sender.clone(),
            settled: false,
        };
        tracing::info!(trunk = %offer.trunk, to = %Redacted(&offer.to), from = %Redacted(&offer.from), "called");
        let flow = (incoming.transport, incoming.remote);
        let entry = Entry { leg, call, events: None, socket: Some(socket), media: None, due: None, flow };
        self.legs.insert(key, entry);
        self.by_call.insert(call, key);
        if let Err(full) = self.incoming.try_send(offer) {
            drop(full); // refuses it
        }
        self.reschedule(key);
    }
}

fn credentials(peer: &Peer) -> Option<sip::Credentials> {
    let (username, password) = peer.trunk.credentials.clone()?;
    Some(sip::Credentials { username, password })
}

/// A user part of a SIP URI (RFC 3261 §25.1: unreserved and user-unreserved stay as they are).
fn escape(user: &str) -> String {
    let mut out = String::with_capacity(user.len());
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
