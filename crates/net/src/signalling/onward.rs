//! Calls that come in, and calls that are passed on: the driver's side of [`super::bridge`].

mod ways;

use super::bridge::{self, Bridge, Input, Output, Spot, Step};
use super::driver::{Driver, Entry};
use super::leg::Leg;
use super::limits::{Full, Way as Direction};
use super::security::{IN_CLEAR, Security};
use super::session::Session;
use super::terminals::Caller;
use crate::call::{IncomingCall, LegKey};
use crate::config::T38Policy;
use crate::media::{BridgeStart, MediaEvent, MediaHandle, MediaKey, MediaSink, MediaSocket};
use crate::onward::{Onward, OnwardEvent, OnwardReport};
use crate::trunk::SrtpPolicy;
use bytes::Bytes;
use fax_base::Instant;
use fax_base::redact::Redacted;
use fax_sip as sip;
use std::net::SocketAddr;
use tokio::sync::mpsc;
pub(super) use ways::Way;
use ways::{HOPS, Sent, lossy};

/// An INVITE whose owner has not decided, for the case that it is passed on.
pub(super) struct Held {
    incoming: Box<sip::Incoming>,
    caller: Caller,
    /// Our media, as the caller is to see them.
    media: SocketAddr,
    security: Security,
}

/// A call that is passed on.
pub(super) struct Passage {
    bridge: Bridge,
    events: mpsc::UnboundedSender<OnwardEvent>,
    /// Until the media begin: the caller's socket, and one of each family for the called one.
    caller_socket: Option<MediaSocket>,
    called_sockets: Vec<MediaSocket>,
    media: Option<MediaHandle>,
    pub(super) due: Option<Instant>,
    pub(super) ways: Vec<Vec<Way>>,
    caller: sip::CallKey,
    /// The calls to places, by their numbers.
    called: Vec<sip::CallKey>,
    /// How it went out: trunk, number, caller, hops. Should it come back like that, it goes in a circle.
    sent: Vec<Sent>,
    /// How the caller is reached: a connection in use is not idle.
    pub(super) flow: crate::transport::Peer,
    /// The line of the caller's trunk.
    pub(super) line: Option<(u64, Direction)>,
}

impl Driver {
    /// How many calls there are, both kinds.
    pub(super) fn live_calls(&self) -> usize {
        self.legs.len() + self.passages.len()
    }

    /// Somebody calls, and it is known who.
    pub(super) fn called_by(&mut self, incoming: sip::Incoming, caller: Caller) {
        let call = incoming.call;
        if self.stopping.is_some() || self.live_calls() >= self.config.max_calls {
            return self.refuse_call(call, 503);
        }
        let (policy, trunk, terminal) = match &caller {
            Caller::Trunk(id) => {
                let trunk = self.peer(*id).map(|p| p.trunk.clone());
                (trunk.as_ref().map_or(T38Policy::default(), |t| t.t38), trunk, None)
            }
            Caller::Terminal(user) => (T38Policy::default(), None, Some(user.clone())),
        };
        let srtp = match (&trunk, &terminal) {
            (Some(trunk), _) => trunk.srtp,
            (None, Some(user)) => self.terminals.get(user).map(|t| t.srtp).unwrap_or_default(),
            (None, None) => SrtpPolicy::default(),
        };
        let secured = || Security::over(srtp, incoming.transport);
        let (Some(security), Some(onward)) = (secured(), secured()) else {
            return self.refuse_media(call, IN_CLEAR);
        };
        let policy = if security.bars_t38() { T38Policy::NEVER } else { policy };
        let to = incoming.request_uri.user().unwrap_or_default();
        let to = trunk.as_ref().map_or(to.clone(), |t| t.numbers.read(&to));
        let from = incoming.identity.network_caller().filter(|_| terminal.is_none());
        let from = from.unwrap_or(&incoming.from);
        let read = |number: String| trunk.as_ref().map_or(number.clone(), |t| t.numbers.read(&number));
        let (from, from_name) = (read(from.uri().user().unwrap_or_default()), from.display_name());
        let read = &read;
        let to_header = read(incoming.to.uri().user().unwrap_or_default());
        let diverted = incoming.identity.diverted_from().filter(|_| terminal.is_none());
        let diverted_from = diverted.and_then(|uri| uri.user()).map(read).unwrap_or_default();
        let hops = incoming.request.seconds("Max-Forwards").unwrap_or(HOPS);
        let name = trunk.as_ref().map(|t| t.name.clone()).unwrap_or_default();
        let circle = self.passages.values().flat_map(|p| &p.sent).any(|(by, number, caller, left)| {
            *by == name && *number == to && *caller == from && hops <= *left
        });
        if circle {
            tracing::warn!(trunk = name, to = %Redacted(&to), "a call that was passed on came back: refused as a loop");
            return self.refuse_call(call, 482);
        }
        let Ok(socket) = self.media_socket(incoming.remote) else {
            return self.refuse_call(call, 503);
        };
        let media = self.media_address(trunk.as_ref(), incoming.remote, socket.local, socket.outside);
        let call_id = String::from_utf8_lossy(&incoming.request.call_id()).into_owned();
        let session = Session::new(media, rand::random()).secured(&security);
        let mut leg = Leg::called(self.now(), call, policy, session, call_id.clone());
        // What is no fax's may still be passed on.
        let passed = |offer: &Bytes| bridge::can_pass(offer, &onward);
        if let Err(why) = leg.offered(incoming.offer.as_ref())
            && !incoming.offer.as_ref().is_some_and(passed)
        {
            return self.refuse_media(call, &why.to_string());
        }
        let line = match &caller {
            Caller::Trunk(id) => Some((*id, Direction::In)),
            Caller::Terminal(_) => None,
        };
        match line.map_or(Ok(()), |(id, _)| self.take_line(id)) {
            Ok(()) => {}
            Err(Full::Lines) => return self.refuse_call(call, 486),
            Err(Full::Rate(_)) => return self.refuse_call(call, 503),
        }
        let key = self.next_key();
        // Proofs of identity are nobody's business.
        let headers = incoming.request.headers().iter();
        let headers = headers.filter(|h| !h.is("Authorization") && !h.is("Proxy-Authorization"));
        let offer = IncomingCall {
            to,
            to_header,
            from,
            from_name,
            diverted_from,
            trunk: name,
            terminal,
            headers: headers.map(|h| (lossy(h.name()), lossy(h.value()))).collect(),
            remote: incoming.remote,
            call_id,
            key,
            wishes: self.wish_sender.clone(),
            settled: false,
        };
        let user = offer.terminal.as_deref().unwrap_or_default();
        tracing::info!(trunk = %offer.trunk, user, to = %Redacted(&offer.to), from = %Redacted(&offer.from), "called");
        let flow = (incoming.transport, incoming.remote);
        let entry =
            Entry { leg, call, events: None, socket: Some(socket), media: None, due: None, flow, line };
        self.legs.insert(key, entry);
        self.by_call.insert(call, key);
        let held = Held { incoming: Box::new(incoming), caller, media, security: onward };
        self.held.insert(key, held);
        if let Err(full) = self.incoming.try_send(offer) {
            drop(full); // refuses it
        }
        self.reschedule(key);
    }

    fn next_key(&mut self) -> LegKey {
        self.next_incoming += 1;
        LegKey(self.next_incoming - 1)
    }

    /// The owner passes an incoming call on.
    pub(super) fn connect(
        &mut self,
        key: LegKey,
        onward: &Onward,
        events: mpsc::UnboundedSender<OnwardEvent>,
    ) {
        let (Some(entry), Some(held)) = (self.legs.remove(&key), self.held.remove(&key)) else {
            // It was taken back meanwhile.
            let report = OnwardReport { reason: "cancelled by the caller".into(), ..OnwardReport::default() };
            let _ = events.send(OnwardEvent::Ended(Box::new(report)));
            return;
        };
        if let Some(at) = entry.due {
            self.wheel.remove(&(at, key));
        }
        let mut called_sockets = Vec::new();
        let (mut steps, mut ways, mut sent) = (Vec::new(), Vec::new(), Vec::new());
        for (target, place) in onward.targets.iter().enumerate() {
            let (groups, policy, always_on) = self.ways_to(place, onward, &held, &mut sent);
            if groups.is_empty() {
                steps.push(Step { target, places: Vec::new(), always_on: true, policy });
                ways.push(Vec::new());
            }
            for group in groups {
                let places = group.iter().map(|(way, trunk)| {
                    let media = self.media_at(&mut called_sockets, way.target.remote, trunk.as_ref());
                    Spot { media, security: way.security.clone() }
                });
                let mut places: Vec<Spot> = places.collect();
                if places.iter().any(|p| p.media.port() == 0) {
                    tracing::error!("no media port is free for a call that is passed on");
                    places.clear();
                }
                steps.push(Step { target, places, always_on, policy });
                ways.push(group.into_iter().map(|(way, _)| way).collect());
            }
        }
        let policy = match &held.caller {
            Caller::Trunk(id) => self.peer(*id).map(|p| p.trunk.t38_onward),
            Caller::Terminal(user) => self.terminals.get(user).map(|t| t.t38_onward),
        };
        let caller = bridge::Caller {
            call: entry.call,
            call_id: String::from_utf8_lossy(&held.incoming.request.call_id()).into_owned(),
            media: held.media,
            offer: held.incoming.offer.clone(),
            policy: policy.unwrap_or_default(),
            security: held.security,
        };
        let bridge = Bridge::new(self.now(), caller, steps, rand::random());
        let passage = Passage {
            bridge,
            events,
            caller_socket: entry.socket,
            called_sockets,
            media: None,
            due: None,
            ways,
            caller: entry.call,
            called: Vec::new(),
            sent,
            flow: entry.flow,
            line: entry.line,
        };
        self.passages.insert(key, passage);
        self.settle_passage(key);
    }

    /// Our media for somebody at `remote`: the port of the socket of that family, and our address as it is seen there.
    /// Port 0 where there is no socket.
    fn media_at(
        &self,
        sockets: &mut Vec<MediaSocket>,
        remote: SocketAddr,
        trunk: Option<&crate::trunk::Trunk>,
    ) -> SocketAddr {
        let same = |s: &&MediaSocket| s.local.is_ipv4() == remote.is_ipv4();
        let local = match sockets.iter().find(same) {
            Some(socket) => Some((socket.local, socket.outside)),
            None => self.media_socket(remote).ok().map(|socket| {
                let known = (socket.local, socket.outside);
                sockets.push(socket);
                known
            }),
        };
        let Some((local, outside)) = local else {
            return SocketAddr::new(remote.ip(), 0);
        };
        self.media_address(trunk, remote, local, outside)
    }

    /// Whether this call belongs to one that is passed on; then the event is for that.
    pub(super) fn passage_event(&mut self, key: LegKey, call: sip::CallKey, event: sip::Event) {
        let Some(passage) = self.passages.get_mut(&key) else {
            return;
        };
        let number = passage.called.iter().position(|c| *c == call);
        let input = match number {
            Some(number) => Input::Called(number, event),
            None if passage.caller == call => Input::Caller(event),
            None => return,
        };
        self.passage_input(key, input);
    }

    pub(super) fn passage_media(&mut self, key: LegKey, event: MediaEvent) {
        match event {
            MediaEvent::Side { side, heard } => self.passage_input(key, Input::Heard(side, heard)),
            MediaEvent::Failed => self.passage_input(key, Input::MediaFailed),
            MediaEvent::Ladder(line) => tracing::debug!(line, "a fax is converted"),
            MediaEvent::Tone(_)
            | MediaEvent::KeepPage(_)
            | MediaEvent::Page(_)
            | MediaEvent::Event(_)
            | MediaEvent::Signal(_)
            | MediaEvent::T38Silent
            | MediaEvent::T38Heard
            | MediaEvent::End(_) => {}
        }
    }

    pub(super) fn passage_input(&mut self, key: LegKey, input: Input) {
        let now = self.now();
        if let Some(passage) = self.passages.get_mut(&key) {
            passage.bridge.handle(now, input);
            self.settle_passage(key);
        }
    }

    /// Carries out what a call that is passed on wants.
    fn settle_passage(&mut self, key: LegKey) {
        while let Some(output) = self.passages.get_mut(&key).and_then(|p| p.bridge.poll()) {
            match output {
                Output::Sip(command) => self.command(command),
                Output::Place { number, step, place, offer } => {
                    self.call_place(key, number, step, place, offer);
                }
                Output::Begin(port) => self.begin_passage(key, port),
                Output::Media(command) => {
                    if let Some(media) = self.passages.get(&key).and_then(|p| p.media.as_ref()) {
                        media.send(command);
                    }
                }
                Output::Tell(event) => {
                    if let Some(passage) = self.passages.get(&key) {
                        let _ = passage.events.send(event);
                    }
                }
                Output::Done => self.forget_passage(key),
            }
        }
        let Some(passage) = self.passages.get_mut(&key) else {
            return;
        };
        if let Some(at) = passage.due.take() {
            self.wheel.remove(&(at, key));
        }
        passage.due = passage.bridge.deadline();
        if let Some(at) = passage.due {
            self.wheel.insert((at, key));
        }
    }

    fn call_place(&mut self, key: LegKey, number: usize, step: usize, place: usize, offer: Bytes) {
        let now = self.now();
        let call = sip::CallKey(self.next_key().0);
        let Some(passage) = self.passages.get_mut(&key) else {
            return;
        };
        // Numbers count up by one; a gap would mix calls up.
        passage.called.resize(number, sip::CallKey(0));
        passage.called.push(call);
        let Some(way) = passage.ways.get(step).and_then(|w| w.get(place)) else {
            let reason = "it cannot be called".to_owned();
            return passage.bridge.handle(now, Input::NotPlaced { number, q850: None, reason });
        };
        let (peer, targets) = (way.peer, way.others.clone());
        let invite = way.invite(call, offer);
        if let Some(Err(refusal)) = peer.map(|id| self.line_at_once(id)) {
            if let Some(passage) = self.passages.get_mut(&key) {
                let (q850, reason) = (refusal.q850(), refusal.reason);
                passage.bridge.handle(now, Input::NotPlaced { number, q850, reason });
            }
            return;
        }
        self.invite(key, peer, invite, targets);
        self.passage_calls(key, number, call);
    }

    /// A place is called with this key, or with another one after a redirection.
    fn passage_calls(&mut self, key: LegKey, number: usize, call: sip::CallKey) {
        let call_id = self.agent.call_id(call).unwrap_or_default();
        if let Some(passage) = self.passages.get_mut(&key) {
            if let Some(called) = passage.called.get_mut(number) {
                *called = call;
            }
            passage.bridge.placed(number, call, call_id);
        }
    }

    /// A call of a passage goes on under another key: it was redirected.
    pub(super) fn passage_redirected(&mut self, key: LegKey, before: sip::CallKey, call: sip::CallKey) {
        let number = self.passages.get(&key).and_then(|p| p.called.iter().position(|c| *c == before));
        if let Some(number) = number {
            self.passage_calls(key, number, call);
        }
    }

    fn begin_passage(&mut self, key: LegKey, port: u16) {
        let now = self.now();
        let Some(passage) = self.passages.get_mut(&key) else {
            return;
        };
        let told = |s: &MediaSocket| s.outside.map_or(s.local, |(seen, _)| seen).port() == port;
        let at = |s: &MediaSocket| s.local.port() == port;
        let sockets = &passage.called_sockets;
        let place = sockets.iter().position(told).or_else(|| sockets.iter().position(at));
        let b = place.map(|i| passage.called_sockets.swap_remove(i));
        if let (Some(a), Some(b)) = (passage.caller_socket.take(), b) {
            let media_key = MediaKey(key.0);
            let sink = MediaSink::new(media_key, self.media_sender.clone());
            let places = passage.called.iter().filter_map(|call| self.outgoing.get(call));
            let called = places.map(|outgoing| outgoing.flow.1.ip().to_canonical()).collect();
            let signalling = [vec![passage.flow.1.ip().to_canonical()], called];
            passage.media = self.media.bridge(media_key, BridgeStart { sides: [a, b], signalling, sink });
        }
        if passage.media.is_none() {
            passage.bridge.handle(now, Input::MediaFailed);
        }
    }

    fn forget_passage(&mut self, key: LegKey) {
        if let Some(passage) = self.passages.remove(&key) {
            if let Some(at) = passage.due {
                self.wheel.remove(&(at, key));
            }
            for call in passage.called.iter().chain([&passage.caller]) {
                self.by_call.remove(call);
            }
            if let Some(line) = passage.line {
                self.release_line(line);
            }
        }
    }
}
