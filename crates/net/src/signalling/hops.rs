//! Next hops by name, connections made anew in mid-call, and places that have failed (RFC 3261 §8.1.2, §18.2.2;
//! RFC 3263 §4, §5).

use super::driver::Driver;
use crate::call::Wish;
use crate::dns::dead::Dead;
use crate::dns::order::living_first;
use crate::dns::{Locator, Place, Places};
use crate::transport::Peer;
use bytes::Bytes;
use fax_base::Instant;
use fax_base::time::Duration;
use fax_sip as sip;
use sip::Hop;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// Names that are remembered or asked for at a time, beyond those of trunks.
const NAMES: usize = 1_024;

/// Messages that wait for one name.
const WAITING: usize = 64;

/// A detour is remembered for as long as what went there waits for its answer (64·T1), and a connection for being made.
const DETOUR: Duration = Duration::from_secs(64);

/// A message whose hop is being looked up: the flow it would take without, our address, and itself.
type Waiting = (Peer, Option<SocketAddr>, Bytes);

/// The hop that the value of a Route names, or a URI.
pub(super) fn first_hop(route: &str) -> Option<Hop> {
    let route = sip::message::NameAddr::read(&Bytes::copy_from_slice(route.as_bytes()))?;
    Hop::of(route.uri())
}

/// What is known about next hops.
pub(super) struct Hops {
    pub(super) locator: Locator,
    pub(super) dead: Dead,
    /// Names with their places, until when.
    known: HashMap<Hop, (Vec<Place>, Instant)>,
    waiting: HashMap<Hop, Vec<Waiting>>,
    /// Where messages went instead of their flow, until when that matters; failures there are failures of the flow.
    detours: HashMap<Peer, (Peer, Instant)>,
}

impl Hops {
    pub(super) fn new(locator: Locator) -> Self {
        let (known, waiting, detours) = (HashMap::new(), HashMap::new(), HashMap::new());
        Hops { locator, dead: Dead::default(), known, waiting, detours }
    }

    /// Forgets what is over.
    pub(super) fn sweep(&mut self, now: Instant) {
        self.known.retain(|_, (_, until)| *until > now);
        self.detours.retain(|_, (_, until)| *until > now);
    }
}

impl Driver {
    /// Sends a message to its next hop: by the flow it belongs to where that is up, else where the hop is.
    pub(super) fn forward(&mut self, flow: Peer, local: Option<SocketAddr>, hop: Option<Hop>, octets: Bytes) {
        let Some(hop) = hop.filter(|_| flow.0 == sip::Transport::Udp || !self.transports.is_open(flow))
        else {
            return self.send(flow, local, octets);
        };
        if let Ok(ip) = hop.host.parse::<IpAddr>() {
            let default = if flow.0 == sip::Transport::Tls { 5061 } else { 5060 };
            let at = SocketAddr::new(ip, hop.port.unwrap_or(default));
            return self.detour(flow, (flow.0, at), local, octets);
        }
        let now = self.now();
        if let Some((places, _)) = self.hops.known.get(&hop).filter(|(_, until)| *until > now) {
            let places = places.clone();
            return self.by_name(&hop, places, (flow, local, octets));
        }
        if let Some(waiting) = self.hops.waiting.get_mut(&hop) {
            // A lost message is repeated, or its transaction fails in time.
            if waiting.len() < WAITING {
                waiting.push((flow, local, octets));
            }
            return;
        }
        if self.hops.waiting.len() >= NAMES {
            return self.send(flow, local, octets);
        }
        self.hops.waiting.insert(hop.clone(), vec![(flow, local, octets)]);
        let (locator, wishes) = (self.hops.locator.clone(), self.wish_sender.clone());
        tokio::spawn(async move {
            let asked = Hop { transport: hop.transport.or(Some(flow.0)), ..hop.clone() };
            let places = locator.locate(&asked).await;
            let _ = wishes.send(Wish::HopLocated { hop, places });
        });
    }

    /// A name was looked up: what waited for it goes.
    pub(super) fn hop_located(&mut self, hop: &Hop, found: Places) {
        let until = self.now() + found.valid;
        if self.hops.known.len() < NAMES {
            self.hops.known.insert(hop.clone(), (found.places.clone(), until));
        }
        for waiting in self.hops.waiting.remove(hop).unwrap_or_default() {
            self.by_name(hop, found.places.clone(), waiting);
        }
    }

    fn by_name(&mut self, hop: &Hop, mut places: Vec<Place>, (flow, local, octets): Waiting) {
        places.retain(|p| p.transport == flow.0 && self.transports.can_reach((p.transport, p.address)));
        let now = self.now();
        living_first(&mut places, |p| self.hops.dead.is_dead(now, &(p.transport, p.address)));
        // Where the dialog's messages come from goes first, when it is one of them.
        let same = places.iter().find(|p| p.address == flow.1);
        let Some(place) = same.or(places.first()).copied() else {
            return self.send(flow, local, octets);
        };
        if place.transport == sip::Transport::Tls {
            self.transports.expect(place.address, &hop.host);
        }
        self.detour(flow, (place.transport, place.address), local, octets);
    }

    fn detour(&mut self, flow: Peer, to: Peer, local: Option<SocketAddr>, octets: Bytes) {
        if to != flow && (self.hops.detours.len() < NAMES || self.hops.detours.contains_key(&to)) {
            let until = self.now() + DETOUR;
            self.hops.detours.insert(to, (flow, until));
        }
        self.send(to, local, octets);
    }

    /// A connection stands: the user agent learns it, also for what goes there instead of its flow.
    pub(super) fn tell_connected(&mut self, peer: Peer) {
        let now = self.now();
        let instead = self.hops.detours.get(&peer).map(|(flow, _)| *flow);
        for (transport, remote) in [Some(peer), instead].into_iter().flatten() {
            self.agent.handle(now, sip::Input::Connected { transport, remote });
        }
    }

    /// A connection that is still being made is given up, there or where a detour of the flow leads. Whoever else waits
    /// for it learns that it does not come.
    pub(super) fn stop_connecting(&mut self, flow: Peer) {
        let detours = self.hops.detours.iter().filter(|(_, (of, _))| *of == flow).map(|(to, _)| *to);
        let given_up: Vec<Peer> =
            detours.chain([flow]).filter(|peer| self.transports.stop_connecting(*peer)).collect();
        self.unreachable.extend(given_up);
    }

    /// A connection that stood is gone: the user agent learns it, also for what went there instead of its flow.
    pub(super) fn tell_disconnected(&mut self, peer: Peer) {
        let now = self.now();
        let instead = self.hops.detours.remove(&peer).map(|(flow, _)| flow);
        for (transport, remote) in [Some(peer), instead].into_iter().flatten() {
            self.agent.handle(now, sip::Input::Disconnected { transport, remote });
        }
    }

    /// Nothing can be sent there: the user agent learns it, also for what went there instead of its flow.
    pub(super) fn tell_unreachable(&mut self, peer: Peer) {
        let now = self.now();
        self.hops.dead.failed(now, peer, None);
        let instead = self.hops.detours.remove(&peer).map(|(flow, _)| flow);
        for (transport, remote) in [Some(peer), instead].into_iter().flatten() {
            self.agent.handle(now, sip::Input::Unreachable { transport, remote });
        }
    }
}
