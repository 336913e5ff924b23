//! Another configuration while calls run: trunks that come, go and change, and limits. Calls that run go on as they
//! began.

use super::driver::Driver;
use super::peers::Peer;
use crate::call::Wish;
use crate::config::Config;
use crate::trunk::Trunk;
use fax_sip::Hop;
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
        keep(self.config.sip == config.sip && self.config.listen == config.listen, "listeners");
        keep(self.config.tls == config.tls, "the certificates of [tls]");
        keep(self.config.streams == config.streams, "the limits of connections");
        let room = |c: &Config| (c.protection.handshakes, c.protection.sources);
        keep(room(&self.config) == room(&config), "handshakes and sources of [protection]");
        keep(self.config.dns == config.dns, "DNS servers");
        keep(self.config.stun == config.stun, "STUN servers");
        let media = |c: &Config| (c.media_ip, c.media_ports.clone(), c.workers);
        keep(media(&self.config) == media(&config), "media ports and workers");
        keep(self.config.traces == config.traces, "recordings");

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
        self.config.advertise = config.advertise;
        self.config.max_calls = config.max_calls;
        self.config.trunks = config.trunks;
        self.agent.limit_calls(config.max_calls);
        kept
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
