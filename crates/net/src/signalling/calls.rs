//! Calls as they are placed, come in, and are wished for; registrations; the stop.

use super::bridge;
use super::driver::{Driver, Entry};
use super::leg::{self, Leg};
use super::peers::Peer;
use super::registrations::credentials;
use super::security;
use super::session::Session;
use super::waiting::Refusal;
use crate::call::{CallEvent, CallRequest, LegKey, Wish};
use crate::config::T38Policy;
use crate::dns::Place;
use crate::dns::order::living_first;
use fax_base::redact::Redacted;
use fax_base::time::Duration;
use fax_sip as sip;
use tokio::sync::{mpsc, oneshot};

/// A stop waits this long for the calls to be released.
const STOP: Duration = Duration::from_secs(5);

impl Driver {
    pub(super) fn obey(&mut self, wish: Wish) {
        match wish {
            Wish::Call { key, request, events } => self.call(key, request, events),
            Wish::Accept { key, terminal, audio_only, events } => {
                if let Some(entry) = self.legs.get_mut(&key) {
                    if audio_only {
                        entry.leg.switch.bar_t38();
                    }
                    entry.events = Some(events);
                    self.input(key, leg::Input::Accept(terminal));
                }
            }
            Wish::Reject { key, code, reason, later } => {
                self.input(key, leg::Input::Reject { code, reason, later });
            }
            Wish::Connect { key, onward, events } => self.connect(key, &onward, events),
            Wish::PageKept { key, kept } => self.input(key, leg::Input::PageKept(kept)),
            Wish::GiveUp { key } if self.passages.contains_key(&key) => {
                self.passage_input(key, bridge::Input::GiveUp);
            }
            Wish::GiveUp { key } => {
                if !self.give_up_waiting(key) {
                    self.input(key, leg::Input::GiveUp);
                }
            }
            Wish::Located { trunk, host, places } => self.located(trunk, host, places),
            Wish::HopLocated { hop, places } => self.hop_located(&hop, places),
            Wish::RouteLocated { registration, route, places } => {
                self.route_located(registration, &route, places);
            }
            Wish::RedirectLocated { call, places } => self.invite_again(call, places),
            Wish::StunLocated { servers } => self.stun_located(servers),
            // Who asked may be gone.
            Wish::Trunks { told } => drop(told.send(self.trunk_states())),
            Wish::Holdings { told } => drop(told.send(self.holdings())),
            Wish::Reload { config, done } => drop(done.send(self.reload(*config))),
            Wish::Stop { done } => self.stop(done),
        }
    }

    fn located(&mut self, trunk: u64, host: usize, places: Vec<Place>) {
        let Some(peer) = self.peer_mut(trunk) else { return };
        if let Some((_, known)) = peer.hosts.get_mut(host) {
            *known = places;
        }
        peer.settle_places();
        self.settle_guard();
        self.settle_registrations(trunk);
    }

    /// Where these places can be reached now, those that failed last, with our address as it is seen there.
    pub(super) fn targets(&self, peer: &Peer, places: &[Place]) -> Vec<sip::Target> {
        let now = self.now();
        let reachable = |p: &&Place| self.transports.can_reach((p.transport, p.address));
        let mut places: Vec<Place> = places.iter().filter(reachable).copied().collect();
        living_first(&mut places, |p| self.hops.dead.is_dead(now, &(p.transport, p.address)));
        let target = |p: Place| sip::Target {
            transport: p.transport,
            remote: p.address,
            contact: self.contact_for(Some(&peer.trunk), p.transport, p.address),
        };
        places.into_iter().map(target).collect()
    }

    /// Sends the INVITE of a call that has a line.
    pub(super) fn place(
        &mut self,
        key: LegKey,
        id: u64,
        request: CallRequest,
        events: mpsc::UnboundedSender<CallEvent>,
    ) -> Result<(), Refusal> {
        if self.stopping.is_some() {
            return Err(Refusal::no_route("ferrofax is stopping"));
        }
        if self.live_calls() >= self.config.max_calls {
            return Err(Refusal::no_route(format!("{} calls are running already", self.live_calls())));
        }
        self.admit(id)?;
        let gone = || Refusal::no_route(format!("there is no trunk {}", request.trunk));
        let peer = self.peer(id).ok_or_else(gone)?;
        let (route, mut targets) = self.route_of(peer);
        if targets.is_empty() {
            return Err(Refusal::no_route(format!("the host {} is not known to DNS", peer.named())));
        }
        let security = security::choose(peer.trunk.srtp, &mut targets)?;
        let sip::Target { transport, remote: destination, contact } = targets.remove(0);
        let no_port = |e| Refusal::no_route(format!("no media port: {e}"));
        let socket = self.media_socket(destination).map_err(no_port)?;
        let trunk = &peer.trunk;
        let media = self.media_address(Some(trunk), destination, socket.local, socket.outside);
        let call = sip::CallKey(key.0);
        let domain = peer.domain();
        let (rules, numbers) = (&trunk.identity, &trunk.numbers);
        let identity = rules.of(numbers, &request.from, &request.from_name, &domain, request.anonymous);
        let session = Session::new(media, rand::random()).secured(&security);
        let policy = request.t38.unwrap_or(trunk.t38);
        let policy = if security.bars_t38() { T38Policy::NEVER } else { policy };
        let mut leg = Leg::calling(self.now(), call, policy, session, Box::new(request.terminal));
        let mut headers: Vec<(String, String)> =
            route.into_iter().map(|value| ("Route".to_owned(), value)).collect();
        headers.extend(identity.headers());
        headers.extend(fax_preference(trunk.fax_preference));
        headers.extend(request.headers);
        let invite = sip::Invite {
            call,
            transport,
            destination,
            contact,
            request_uri: numbers.uri(&request.to, &domain, true),
            from: identity.from_header(),
            to: format!("<{}>", numbers.uri(&request.to, &domain, true)),
            headers,
            credentials: credentials(&trunk.credentials),
            offer: leg.first_offer(),
            ring_timeout: trunk.ring_timeout,
            reply_within: trunk.reply_within,
        };
        tracing::info!(trunk = %trunk.name, to = %Redacted(&request.to), "calling");
        let entry = Entry {
            leg,
            call,
            events: Some(events),
            socket: Some(socket),
            media: None,
            due: None,
            flow: (transport, destination),
            line: None,
        };
        self.legs.insert(key, entry);
        self.invite(key, Some(id), invite, targets);
        self.reschedule(key);
        Ok(())
    }

    pub(super) fn command(&mut self, command: sip::Command) {
        let now = self.now();
        self.agent.handle(now, sip::Input::Command(command));
    }

    fn stop(&mut self, done: oneshot::Sender<()>) {
        self.stopping = Some((self.now() + STOP, done));
        let trunks: Vec<u64> = self.peers.iter().map(|p| p.id).collect();
        trunks.into_iter().for_each(|id| self.unregister(id));
        let waiting: Vec<LegKey> = self.peers.iter().flat_map(|p| p.waiting.iter().map(|w| w.key)).collect();
        for key in waiting {
            self.give_up_waiting(key);
        }
        let keys: Vec<LegKey> = self.legs.keys().copied().collect();
        for key in keys {
            self.input(key, leg::Input::GiveUp);
        }
        let keys: Vec<LegKey> = self.passages.keys().copied().collect();
        for key in keys {
            self.passage_input(key, bridge::Input::GiveUp);
        }
    }

    pub(super) fn stopped(&mut self) -> bool {
        let now = self.now();
        let over = self
            .stopping
            .as_ref()
            .is_some_and(|(at, _)| *at <= now || (self.live_calls() == 0 && self.agent.deadline().is_none()));
        if over && let Some((_, done)) = self.stopping.take() {
            let _ = done.send(());
        }
        over
    }
}

/// What we say of fax (RFC 6913 §3, RFC 3841 §9.2).
pub(super) fn fax_preference(preference: Option<sip::FaxPreference>) -> Option<(String, String)> {
    let value = match preference? {
        sip::FaxPreference::T38 => "t38",
        sip::FaxPreference::Passthrough => "passthrough",
    };
    Some(("Accept-Contact".to_owned(), format!("*;+sip.fax=\"{value}\"")))
}
