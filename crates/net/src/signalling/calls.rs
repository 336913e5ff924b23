//! Calls as they are placed, come in, and are wished for; registrations; the stop.

use super::driver::{Driver, Entry};
use super::leg::{self, Leg};
use super::peers::Peer;
use super::session::Session;
use crate::call::{CallEnd, CallEvent, CallReport, IncomingCall, LegKey, Wish};
use crate::dns::Place;
use crate::dns::order::living_first;
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
            Wish::Located { trunk, places } => self.located(&trunk, places),
            Wish::HopLocated { hop, places } => self.hop_located(&hop, places),
            Wish::Stop { done } => self.stop(done),
        }
    }

    fn located(&mut self, trunk: &str, places: Vec<Place>) {
        let Some(number) = self.peers.iter().position(|p| p.trunk.name == trunk) else {
            return;
        };
        let Some(peer) = self.peers.get_mut(number) else {
            return;
        };
        peer.places = places;
        // A registration stays where it is as long as that place is one of the trunk's.
        if peer.registered.is_none_or(|place| !peer.places.contains(&place)) {
            self.register(number);
        }
    }

    /// Where a trunk can be reached now, best first, with our address as it is seen there.
    fn targets(&self, peer: &Peer) -> Vec<sip::Target> {
        let now = self.now();
        let mut places: Vec<Place> = peer
            .places
            .iter()
            .copied()
            .filter(|p| self.transports.can_reach((p.transport, p.address)))
            .collect();
        living_first(&mut places, |p| self.hops.dead.is_dead(now, &(p.transport, p.address)));
        let target = |p: Place| sip::Target {
            transport: p.transport,
            remote: p.address,
            contact: self.contact_for(Some(&peer.trunk), p.transport, p.address),
        };
        places.into_iter().map(target).collect()
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
        let mut targets = self.targets(&peer);
        if targets.is_empty() {
            return Err(none(format!("the host {} is not known to DNS", peer.trunk.peer)));
        }
        let sip::Target { transport, remote: destination, contact } = targets.remove(0);
        let socket = self.ports.bind(destination.ip()).map_err(|e| none(format!("no media port: {e}")))?;
        let media = SocketAddr::new(
            self.media_ip(Some(&peer.trunk), destination, socket.local.ip()),
            socket.local.port(),
        );
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
        self.command(sip::Command::Alternatives { of: sip::Attempt::Call(call), targets });
        self.reschedule(key);
        Ok(())
    }

    pub(super) fn register(&mut self, number: usize) {
        let Some(peer) = self.peers.get(number).cloned() else {
            return;
        };
        let Some(expires) = peer.trunk.register else {
            return;
        };
        let mut targets = self.targets(&peer);
        if targets.is_empty() {
            return;
        }
        let sip::Target { transport, remote: registrar, contact } = targets.remove(0);
        let user = match (&peer.trunk.register_user, &peer.trunk.credentials) {
            (user, _) if !user.is_empty() => user.clone(),
            (_, Some((user, _))) => user.clone(),
            (_, None) => return,
        };
        let domain = peer.domain();
        let register = sip::Register {
            registration: sip::RegKey(number as u64),
            transport,
            registrar,
            request_uri: format!("sip:{domain}"),
            aor: format!("sip:{}@{domain}", escape(&user)),
            contact,
            headers: Vec::new(),
            credentials: credentials(&peer),
            expires,
            outbound: None,
        };
        let of = sip::Attempt::Registration(register.registration);
        self.command(sip::Command::Register(Box::new(register)));
        self.command(sip::Command::Alternatives { of, targets });
        if let Some(peer) = self.peers.get_mut(number) {
            peer.registered = Some(Place { transport, address: registrar });
        }
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
        let media = SocketAddr::new(
            self.media_ip(Some(&peer.trunk), incoming.remote, socket.local.ip()),
            socket.local.port(),
        );
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
