//! Another configuration while calls run: trunks, terminals and listeners that come, go and change, and limits. Calls that run go on as they
//! began.

use super::driver::Driver;
use super::peers::Peer;
use crate::call::{LegKey, Wish};
use crate::config::Config;
use crate::media::MediaPorts;
use crate::trunk::Trunk;
use fax_sip as sip;
use sip::Hop;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::sync::mpsc;

/// The trunks' hosts are looked up again after their time to live, but not less often than this: the lots of equal
/// servers are drawn anew.
const LOOK_UP: Duration = Duration::from_secs(30);

impl Driver {
    /// Begins to look for a trunk's hosts, and to register at it.
    pub(super) fn settle_trunk(&mut self, id: u64) {
        let (locator, wishes) = (self.hops.locator.clone(), self.wish_sender.clone());
        let Some(peer) = self.peer_mut(id) else { return };
        peer.look_ups.drain(..).for_each(|task| task.abort());
        for (host, (hop, _)) in peer.hosts.iter().enumerate() {
            if hop.host.parse::<std::net::IpAddr>().is_err() {
                let found = move |places| Wish::Located { trunk: id, host, places };
                let task =
                    look_up(locator.clone(), peer.trunk.name.clone(), hop.clone(), wishes.clone(), found);
                peer.look_ups.push(tokio::spawn(task).abort_handle());
            }
        }
        self.settle_registrations(id);
    }

    /// Takes another configuration; says in sentences what cannot be changed while it runs.
    pub(super) fn reload(&mut self, config: Config) -> Vec<String> {
        let mut kept = Vec::new();
        let mut keep = |same: bool, what: &str| {
            if !same {
                kept.push(format!("{what} change with the next start"));
            }
        };
        keep(self.config.streams == config.streams, "the limits of connections");
        let room = |c: &Config| (c.protection.handshakes, c.protection.sources);
        keep(room(&self.config) == room(&config), "handshakes and sources of [protection]");
        keep(self.config.dns == config.dns, "DNS servers");
        let media = |c: &Config| (c.media_ip, c.media_ports.clone(), c.workers);
        keep(media(&self.config) == media(&config), "media ports and workers");
        keep(self.config.traces == config.traces, "recordings");

        let moved = match self.reload_listeners(&config) {
            Ok(moved) => moved,
            Err(error) => {
                kept.push(format!("the listeners and [tls] stay as they were: {error}"));
                false
            }
        };
        if moved || self.config.stun != config.stun {
            let old = std::mem::take(&mut self.mapped);
            self.mapped = old.renewed(&config.stun, &self.addresses(), &self.ports);
            self.config.stun = config.stun;
        }
        self.terminals.reload(&config.terminals, &config.registrar);
        self.agent.challenge_by(&config.registrar.algorithms);
        let passed = config.terminals.first().map(|_| sip::message::Method::Register);
        self.agent.pass(passed.into_iter().collect());

        let mut old = std::mem::take(&mut self.peers);
        let mut settle = Vec::new();
        for trunk in &config.trunks {
            match old.iter().position(|p| p.trunk.name == trunk.name) {
                Some(at) => {
                    let peer = old.remove(at);
                    if peer.trunk != *trunk {
                        settle.push((peer.id, Some(peer.trunk.clone())));
                    }
                    self.peers.push(peer);
                }
                None => {
                    self.next_peer += 1;
                    settle.push((self.next_peer, None));
                    self.peers.push(Peer::new(self.next_peer, trunk.clone()));
                }
            }
        }
        for gone in old {
            self.remove(gone);
        }
        for (id, before) in settle {
            let trunk = self.peer(id).map(|p| p.trunk.name.clone());
            let wanted = config.trunks.iter().find(|t| Some(&t.name) == trunk.as_ref());
            match (before, wanted) {
                (Some(before), Some(wanted)) => self.change(id, &before, wanted),
                (None, _) => self.settle_trunk(id),
                (Some(_), None) => {}
            }
        }
        self.transports.gate.set_rules(config.protection);
        self.settle_guard();
        if moved {
            // Who knows us by an address is told the new one.
            let registered = self.peers.iter().filter(|p| p.trunk.register.is_some()).map(|p| p.id);
            registered.collect::<Vec<_>>().into_iter().for_each(|id| self.register_again(id));
        }
        self.config.advertise = config.advertise;
        self.config.max_calls = config.max_calls;
        self.config.trunks = config.trunks;
        self.agent.limit_calls(super::guarded::legs_of(config.max_calls));
        kept
    }

    /// Listens where another configuration says; says whether our addresses are others now.
    fn reload_listeners(&mut self, config: &Config) -> std::io::Result<bool> {
        let asked = |c: &Config| (c.sip, c.listen.clone(), c.tls.clone());
        if asked(&self.config) == asked(config) {
            self.transports.renew();
            return Ok(false);
        }
        let before = self.addresses();
        self.transports.reload(config)?;
        (self.config.sip, self.config.listen, self.config.tls) = asked(config);
        let calls: HashSet<LegKey> = self.legs.keys().chain(self.passages.keys()).copied().collect();
        let known: Vec<SocketAddr> = self.draining.iter().map(|(local, _)| *local).collect();
        let closed =
            self.transports.draining().iter().map(|b| b.local).filter(|local| !known.contains(local));
        self.draining.extend(closed.collect::<Vec<_>>().into_iter().map(|local| (local, calls.clone())));
        let bound = self.addresses();
        let has = |ipv4| bound.iter().any(|(_, local)| local.is_ipv4() == ipv4);
        self.hops.locator = self.hops.locator.clone().with_families(has(true), has(false));
        self.local = bound.first().map_or(self.local, |(_, local)| *local);
        let ips = self.config.media_ip.into_iter().chain(bound.iter().map(|(_, local)| local.ip()));
        self.ports = MediaPorts::new(ips.collect(), self.config.media_ports.clone());
        *self.bound.write().unwrap_or_else(PoisonError::into_inner) = bound.clone();
        Ok(bound != before)
    }

    fn addresses(&self) -> Vec<(sip::Transport, SocketAddr)> {
        self.transports.bound.iter().map(|b| (b.transport, b.local)).collect()
    }

    /// Closes sockets whose listener was taken away and whose calls have ended.
    pub(super) fn close_drained(&mut self) {
        let mut draining = std::mem::take(&mut self.draining);
        draining.retain_mut(|(local, calls)| {
            calls.retain(|key| self.legs.contains_key(key) || self.passages.contains_key(key));
            if calls.is_empty() {
                self.transports.drained(*local);
            }
            !calls.is_empty() && self.transports.is_draining(*local)
        });
        self.draining = draining;
    }

    /// A trunk is taken out: its registration is taken back, what waits for it is told, what runs by it goes on.
    fn remove(&mut self, mut peer: Peer) {
        tracing::info!(trunk = peer.trunk.name, "the trunk is removed");
        let waiting: Vec<_> = peer.waiting.iter().map(|w| w.key).collect();
        let id = peer.id;
        peer.look_ups.drain(..).for_each(|task| task.abort());
        self.peers.push(peer);
        for key in waiting {
            self.give_up_waiting(key);
        }
        self.unregister(id);
        self.peers.retain(|p| p.id != id);
        self.pings.retain(|_, (peer, _)| *peer != id);
    }

    fn change(&mut self, id: u64, before: &Trunk, now: &Trunk) {
        tracing::info!(trunk = now.name, "the trunk is changed");
        // Who was registered under another name takes that back first.
        let who = |t: &Trunk| {
            let user = (t.register_user.clone(), t.credentials.as_ref().map(|c| c.0.clone()));
            (user, t.domain.clone(), t.outbound.clone(), t.register.is_some())
        };
        let other =
            who(before) != who(now) || (now.domain.is_empty() && before.peers.first() != now.peers.first());
        let id = if other { self.renumber(id) } else { id };
        let Some(peer) = self.peer_mut(id) else { return };
        peer.trunk = now.clone();
        peer.settle_hosts();
        peer.ping_at = None;
        peer.seen = None;
        self.settle_trunk(id);
        let asked = |t: &Trunk| (t.credentials.clone(), t.register, t.advertise);
        if !other && asked(before) != asked(now) {
            self.register_again(id);
        }
    }
}

impl Driver {
    /// Takes the registrations of a trunk back and gives it another number, so that new ones are apart from them.
    fn renumber(&mut self, old: u64) -> u64 {
        self.unregister(old);
        self.next_peer += 1;
        let new = self.next_peer;
        if let Some(peer) = self.peer_mut(old) {
            peer.id = new;
            peer.registrations.clear();
        }
        let legs = self.legs.values_mut().filter_map(|e| e.line.as_mut());
        let passages = self.passages.values_mut();
        let passages = passages.flat_map(|p| {
            let ways = p.ways.iter_mut().flatten().filter_map(|way| way.peer.as_mut());
            p.line.as_mut().map(|(peer, _)| peer).into_iter().chain(ways)
        });
        let outgoing = self.outgoing.values_mut().filter_map(|o| o.peer.as_mut());
        for peer in legs.map(|(peer, _)| peer).chain(passages).chain(outgoing).filter(|peer| **peer == old) {
            *peer = new;
        }
        self.pings.retain(|_, (peer, _)| *peer != old);
        new
    }
}

/// Keeps the places of a trunk's host fresh, as long as the driver lives.
async fn look_up(
    locator: crate::dns::Locator,
    trunk: String,
    hop: Hop,
    wishes: mpsc::UnboundedSender<Wish>,
    found: impl Fn(Vec<crate::dns::Place>) -> Wish,
) {
    loop {
        let places = locator.locate(&hop).await;
        let wait = places.valid.min(LOOK_UP);
        if places.places.is_empty() {
            tracing::warn!(%trunk, host = hop.host, asked = ?places.steps, "the trunk's host cannot be looked up");
        } else if wishes.send(found(places.places)).is_err() {
            return;
        }
        if wishes.is_closed() {
            return;
        }
        tokio::time::sleep(wait).await;
    }
}
