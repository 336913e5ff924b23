//! Registrations of the trunks: where, with what result, and the route they give to calls (RFC 3261 §10.2, RFC 3608,
//! RFC 5626).

use super::driver::Driver;
use super::hops::first_hop;
use super::peers::{MOST_HOSTS, literal};
use crate::call::Wish;
use crate::dns::Place;
use crate::dns::order::living_first;
use crate::trunk::Advertise;
use crate::trunk::escape;
use fax_base::Instant;
use fax_base::time::Duration;
use fax_sip as sip;
use std::net::SocketAddr;

/// Values of Service-Route that are kept.
const MOST_ROUTES: usize = 16;

/// A registration is moved for the loss of its place at most once in this time: a registrar that closes connections as it
/// pleases is not to be asked without end.
const MOVED: Duration = Duration::from_secs(30);

/// One registration of a trunk.
#[derive(Clone, Debug, Default)]
pub(super) struct Registration {
    /// Where it was asked for last.
    asked_at: Option<Place>,
    /// What it has come to.
    pub(super) granted: Option<Granted>,
    pub(super) last_failure: Option<(Instant, String)>,
    /// When it is asked for again after a failure.
    pub(super) again: Option<Instant>,
    /// When it was moved last because its place was lost.
    moved: Option<Instant>,
}

/// A registration that holds.
#[derive(Clone, Debug)]
pub(super) struct Granted {
    pub(super) at: Place,
    pub(super) since: Instant,
    pub(super) until: Instant,
    /// The values of Route for calls.
    pub(super) route: Vec<String>,
    /// Where the first of them is.
    pub(super) route_places: Vec<Place>,
    pub(super) outbound: bool,
    pub(super) seen: Option<SocketAddr>,
}

impl Registration {
    pub(super) fn place(&self) -> Option<Place> {
        self.granted.as_ref().map(|g| g.at).or(self.asked_at)
    }
}

/// A trunk's registrations are numbered by the trunk's.
fn key(peer: u64, number: usize) -> sip::RegKey {
    sip::RegKey(peer * MOST_HOSTS as u64 + number as u64)
}

fn of_key(key: sip::RegKey) -> (u64, usize) {
    let most = MOST_HOSTS as u64;
    (key.0 / most, usize::try_from(key.0 % most).unwrap_or(usize::MAX))
}

impl Driver {
    fn registration(&mut self, key: sip::RegKey) -> Option<&mut Registration> {
        let (peer, number) = of_key(key);
        self.peer_mut(peer)?.registrations.get_mut(number)
    }

    /// Begins the registrations of a trunk, or moves those whose place is none of the trunk's any more.
    pub(super) fn settle_registrations(&mut self, peer: u64) {
        let Some(there) = self.peer_mut(peer) else { return };
        let wanted = match (&there.trunk.register, &there.trunk.outbound) {
            (None, _) => 0,
            (Some(_), None) => 1,
            (Some(_), Some(_)) => there.hosts.len(),
        };
        for number in wanted..there.registrations.len() {
            self.command(sip::Command::Unregister { registration: key(peer, number) });
        }
        if let Some(there) = self.peer_mut(peer) {
            there.registrations.resize_with(wanted, Registration::default);
        }
        for number in 0..wanted {
            self.settle_registration(peer, number);
        }
    }

    fn settle_registration(&mut self, id: u64, number: usize) {
        let Some(peer) = self.peer(id) else { return };
        let places = match &peer.trunk.outbound {
            Some(_) => peer.hosts.get(number).map_or(&[][..], |(_, places)| places),
            None => &peer.places,
        };
        let targets = self.targets(peer, places);
        let at = peer.registrations.get(number).and_then(Registration::place);
        let stays = at.and_then(|at| {
            targets.iter().position(|t| t.transport == at.transport && t.remote == at.address)
        });
        match stays {
            // It stays with the place that serves it; where else to go may have changed.
            Some(stays) => {
                let others = targets.into_iter().enumerate().filter(|(n, _)| *n != stays).map(|(_, t)| t);
                let of = sip::Attempt::Registration(key(id, number));
                self.command(sip::Command::Alternatives { of, targets: others.collect() });
            }
            None => self.register(id, number, targets),
        }
    }

    /// Registers anew, whatever there was: at the place it has, or the best.
    pub(super) fn register_again(&mut self, id: u64) {
        if let Some(peer) = self.peer_mut(id) {
            peer.registrations.iter_mut().for_each(|r| *r = Registration::default());
        }
        self.settle_registrations(id);
    }

    /// A registrar is gone, or our connection to it is: what was granted there is asked for anew, where else there is
    /// somebody, or there again (RFC 5626 §4.4, §4.5). Until then nobody would find us.
    pub(super) fn registrar_lost(&mut self, at: Place) {
        let now = self.now();
        if self.stopping.is_some() {
            return;
        }
        let mut lost = Vec::new();
        for peer in &mut self.peers {
            for (number, registration) in peer.registrations.iter_mut().enumerate() {
                let here = registration.granted.as_ref().is_some_and(|g| g.at == at);
                if here && registration.moved.is_none_or(|then| now.since(then) >= MOVED) {
                    *registration = Registration { moved: Some(now), ..Registration::default() };
                    lost.push((peer.id, number));
                }
            }
        }
        if !lost.is_empty() {
            self.hops.dead.failed(now, (at.transport, at.address), None);
        }
        for (id, number) in lost {
            tracing::info!(trunk = self.trunk_name(id), at = %at.address, "the registrar is lost");
            self.settle_registration(id, number);
        }
    }

    fn register(&mut self, id: u64, number: usize, mut targets: Vec<sip::Target>) {
        let Some(peer) = self.peer(id) else { return };
        let Some(expires) = peer.trunk.register.filter(|_| !targets.is_empty()) else { return };
        // It begins when the address is known that it tells, or that nobody knows it.
        if targets.first().is_some_and(|t| self.awaits_address(&peer.trunk, t.remote)) {
            return;
        }
        let sip::Target { transport, remote: registrar, contact } = targets.remove(0);
        let Some(user) = peer.trunk.user().map(str::to_owned) else { return };
        let domain = peer.domain();
        let outbound = peer
            .trunk
            .outbound
            .clone()
            .map(|instance| sip::Outbound { instance, reg_id: u32::try_from(number).unwrap_or(0) + 1 });
        let register = sip::Register {
            registration: key(id, number),
            transport,
            registrar,
            request_uri: format!("sip:{domain}"),
            aor: format!("sip:{}@{domain}", escape(&user)),
            contact,
            headers: Vec::new(),
            credentials: credentials(&peer.trunk.credentials),
            expires,
            outbound,
        };
        let of = sip::Attempt::Registration(register.registration);
        self.command(sip::Command::Register(Box::new(register)));
        self.command(sip::Command::Alternatives { of, targets });
        if let Some(registration) = self.registration(key(id, number)) {
            registration.asked_at = Some(Place { transport, address: registrar });
        }
    }

    pub(super) fn unregister(&mut self, id: u64) {
        let count = self.peer(id).map_or(0, |p| p.registrations.len());
        for number in 0..count {
            self.command(sip::Command::Unregister { registration: key(id, number) });
        }
    }

    /// What became of a registration.
    pub(super) fn registration_event(&mut self, event: sip::Event) {
        match event {
            sip::Event::Registered {
                registration,
                expires,
                service_route,
                transport,
                remote,
                seen,
                outbound,
            } => {
                let granted = (expires, Place { transport, address: remote }, seen, outbound);
                self.registered(registration, granted, service_route);
            }
            sip::Event::RegistrationFailed { registration, code, reason, retry_after, .. } => {
                self.not_registered(registration, code, &reason, retry_after);
            }
            _ => {}
        }
    }

    fn registered(
        &mut self,
        key: sip::RegKey,
        (expires, at, seen, outbound): (Duration, Place, Option<SocketAddr>, bool),
        mut route: Vec<String>,
    ) {
        let now = self.now();
        route.truncate(MOST_ROUTES);
        let (id, _) = of_key(key);
        let Some(registration) = self.registration(key) else { return };
        let before = registration.granted.take();
        let since = before.as_ref().map_or(now, |g| g.since);
        let same = before.as_ref().filter(|g| g.route == route && g.at == at);
        let route_places = same.map(|g| g.route_places.clone()).unwrap_or_default();
        let known = route.is_empty() || !route_places.is_empty();
        let until = now + expires;
        registration.granted =
            Some(Granted { at, since, until, route: route.clone(), route_places, outbound, seen });
        registration.again = None;
        let new = before.is_none();
        if new {
            tracing::info!(trunk = self.trunk_name(id), ?expires, at = %at.address, "registered");
        }
        self.hops.dead.answered(&(at.transport, at.address));
        self.trunk_lives(id);
        if !known {
            self.look_route_up(key, route, at);
        }
        self.seen_as(id, at, seen);
    }

    /// Where the first value of Service-Route leads.
    fn look_route_up(&mut self, key: sip::RegKey, route: Vec<String>, at: Place) {
        let Some(hop) = route.first().and_then(|r| first_hop(r)) else { return };
        if let Some(place) = literal(&hop, at.transport) {
            return self.route_located(key.0, &route, vec![place]);
        }
        let (locator, wishes) = (self.hops.locator.clone(), self.wish_sender.clone());
        tokio::spawn(async move {
            let places = locator.locate(&hop).await.places;
            let _ = wishes.send(Wish::RouteLocated { registration: key.0, route, places });
        });
    }

    pub(super) fn route_located(&mut self, key: u64, route: &[String], mut places: Vec<Place>) {
        let now = self.now();
        places.retain(|p| self.transports.can_reach((p.transport, p.address)));
        living_first(&mut places, |p| self.hops.dead.is_dead(now, &(p.transport, p.address)));
        let granted = self.registration(sip::RegKey(key)).and_then(|r| r.granted.as_mut());
        if let Some(granted) = granted.filter(|g| g.route == *route) {
            // By the same connection where the route begins at the registrar (RFC 5626 §5.3).
            places.sort_by_key(|p| *p != granted.at);
            granted.route_places = places;
        }
    }

    /// The registrar has seen us at an address: if it is to be told that one, it is.
    fn seen_as(&mut self, id: u64, at: Place, seen: Option<SocketAddr>) {
        let Some(peer) = self.peer_mut(id).filter(|p| p.trunk.advertise == Advertise::AsSeen) else {
            return;
        };
        // A connection's port says nothing of the port we listen at.
        let learnt = seen.filter(|s| s.is_ipv4() == at.address.is_ipv4() && !s.ip().is_unspecified());
        if learnt.is_none() || peer.seen == learnt {
            return;
        }
        peer.seen = learnt;
        tracing::info!(trunk = self.trunk_name(id), address = ?learnt, "the trunk sees us there");
        self.register_again(id);
    }

    fn not_registered(&mut self, key: sip::RegKey, code: u16, reason: &str, retry_after: Option<Duration>) {
        let now = self.now();
        let (id, _) = of_key(key);
        let what = format!("{code} {reason}");
        let Some(registration) = self.registration(key) else { return };
        if registration.granted.as_ref().is_some_and(|g| g.until <= now || code != 408) {
            registration.granted = None;
        }
        registration.last_failure = Some((now, what.clone()));
        registration.again = retry_after.map(|after| now + after);
        tracing::warn!(trunk = self.trunk_name(id), code, reason, ?retry_after, "not registered");
        let others = self.peer(id).is_some_and(|p| p.registrations.iter().any(|r| r.granted.is_some()));
        if !others {
            self.trunk_failed(id, &format!("not registered: {what}"), None);
        }
    }

    /// What calls by a registered trunk carry and where they go: along the Service-Route of a registration whose places
    /// live, else to the place it is registered at and then to the others.
    pub(super) fn route_of(&self, peer: &super::peers::Peer) -> (Vec<String>, Vec<sip::Target>) {
        let now = self.now();
        let granted = || peer.registrations.iter().filter_map(|r| r.granted.as_ref());
        let living = |g: &&Granted| {
            let places =
                if g.route_places.is_empty() { std::slice::from_ref(&g.at) } else { &g.route_places };
            places.iter().any(|p| !self.hops.dead.is_dead(now, &(p.transport, p.address)))
        };
        match granted().find(living).or_else(|| granted().next()) {
            Some(g) if !g.route.is_empty() => {
                let places =
                    if g.route_places.is_empty() { std::slice::from_ref(&g.at) } else { &g.route_places };
                (g.route.clone(), self.targets(peer, places))
            }
            Some(g) => {
                let mut places = peer.places.clone();
                places.sort_by_key(|p| *p != g.at);
                (Vec::new(), self.targets(peer, &places))
            }
            None => (Vec::new(), self.targets(peer, &peer.places)),
        }
    }
}

pub(super) fn credentials(given: &Option<(String, String)>) -> Option<sip::Credentials> {
    let (username, password) = given.clone()?;
    Some(sip::Credentials { username, password })
}
