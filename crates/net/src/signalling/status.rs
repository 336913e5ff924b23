//! What the driver tells its owner about trunks.

use super::driver::Driver;
use super::health::State;
use super::peers::Peer;
use crate::state::{Holdings, PlaceState, RegistrationState, TrunkState};
use fax_base::Instant;
use std::time::SystemTime;

impl Driver {
    /// How every trunk is, in the order of the configuration.
    pub(super) fn trunk_states(&self) -> Vec<TrunkState> {
        let now = (self.now(), SystemTime::now());
        self.peers.iter().map(|peer| self.trunk_state(peer, now)).collect()
    }

    /// What is held at the moment.
    pub(super) fn holdings(&self) -> Holdings {
        Holdings {
            sip: self.agent.holdings(),
            calls: self.legs.len(),
            passed_on: self.passages.len(),
            undecided: self.held.len(),
            waiting: self.peers.iter().map(|p| p.waiting.len()).sum(),
            media: self.media.calls(),
            connections: self.transports.connections(),
            keys: self.by_call.len() + self.wheel.len() + self.pings.len(),
        }
    }

    fn trunk_state(&self, peer: &Peer, (now, wall): (Instant, SystemTime)) -> TrunkState {
        let at = |then: Instant| if then > now { wall + then.since(now) } else { wall - now.since(then) };
        let failure =
            |f: &Option<(Instant, String)>| f.as_ref().map(|(when, what)| (at(*when), what.clone()));
        let (since, why, tried_again) = match &peer.health.state {
            State::Up { since } => (since.map(at), None, None),
            State::Down { since, why, until } => (Some(at(*since)), Some(why.clone()), Some(at(*until))),
        };
        let registrations = peer.registrations.iter().map(|registration| {
            let granted = registration.granted.as_ref();
            RegistrationState {
                at: registration.place(),
                since: granted.map(|g| at(g.since)),
                until: granted.map(|g| at(g.until)),
                service_route: granted.map(|g| g.route.clone()).unwrap_or_default(),
                outbound: granted.is_some_and(|g| g.outbound),
                seen: granted.and_then(|g| g.seen),
                last_failure: failure(&registration.last_failure),
                tried_again: registration.again.filter(|again| *again > now).map(at),
            }
        });
        let places = peer.places.iter().map(|place| PlaceState {
            place: *place,
            failed: self.hops.dead.is_dead(now, &(place.transport, place.address)),
            round_trip: peer.pings.get(place).copied().flatten(),
        });
        TrunkState {
            name: peer.trunk.name.clone(),
            up: Self::is_up(&peer.health.state),
            since,
            why,
            tried_again,
            last_failure: failure(&peer.health.last_failure),
            registrations: registrations.collect(),
            places: places.collect(),
            calls_out: peer.lines.out,
            calls_in: peer.lines.inward,
            waiting: peer.waiting.len(),
            limits: peer.trunk.limits,
        }
    }
}
