//! What goes elsewhere: the next target of a request that failed, TCP for large requests and back, and the next hop by
//! name (RFC 3263 §4.3; RFC 3261 §8.1.2, §18.1.1, §18.2.2).

use core::net::SocketAddr;
use std::collections::VecDeque;

use bytes::Bytes;
use fax_base::Instant;
use fax_base::time::Duration;

use super::UserAgent;
use super::call::Stage;
use super::requests::contact_value;
use super::schedule::{Due, TxId};
use super::transactions::{ClientEntry, Owner};
use crate::api::{Attempt, CallKey, Event, Hop, Output, RegKey, Target, Transport};
use crate::dialog::Flow;
use crate::message::{Builder, Message, NameAddr};
use crate::transaction::{Client, ClientState, Timer};

/// The largest request that is sent by datagram (§18.1.1).
const LARGEST_DATAGRAM: usize = 1_300;

/// A registrar that has not said a word for so long is left for the next: five times a datagram was sent by then.
const PATIENCE: Duration = Duration::from_secs(8);

/// TCP that was taken for a request's size alone and does not come about for so long: where a firewall drops it in silence,
/// the request goes by datagram. Two SYNs were sent by then.
const TCP_PATIENCE: Duration = Duration::from_secs(2);

/// A place that takes no TCP, but large datagrams, is spared that wait for so long.
const WITHOUT_TCP: Duration = Duration::from_secs(600);

/// So many of them are remembered.
const MOST_WITHOUT_TCP: usize = 256;

/// The other places of an attempt.
#[derive(Debug)]
pub(crate) struct Ways {
    targets: VecDeque<Target>,
    /// How many of them have been tried in vain since the last success.
    tried: usize,
}

/// Where a request within a dialog goes by its headers. Datagrams find addresses without help.
pub(crate) fn hop_of(request: &Message, transport: Transport) -> Option<Hop> {
    request.to_tag()?;
    let route = request.value("Route").and_then(NameAddr::read_list).and_then(|l| l.into_iter().next());
    let hop = match route {
        Some(route) if route.uri().parameter("lr").is_some() => Hop::of(route.uri()),
        Some(_) | None => Hop::of(request.uri()?),
    }?;
    (transport.reliable() || hop.host.parse::<core::net::IpAddr>().is_err()).then_some(hop)
}

/// Where a response goes when the connection of its request is gone (§18.2.2).
pub(crate) fn response_hop(request: &Message, transport: Transport, source: SocketAddr) -> Option<Hop> {
    if !transport.reliable() {
        return None;
    }
    let port = request.top_via().and_then(|v| v.port()).filter(|p| *p != 0);
    let default = if transport == Transport::Tls { 5061 } else { 5060 };
    let host = source.ip().to_string();
    Some(Hop { host, port: port.or(Some(default)), transport: Some(transport), secure: false })
}

/// The same request with another transport in its Via, which nobody has seen yet.
fn by_other_transport(request: &Message, transport: Transport) -> Message {
    let via = request.value("Via").cloned().unwrap_or_default();
    let rest = via.iter().position(u8::is_ascii_whitespace).and_then(|i| via.get(i..)).unwrap_or_default();
    let via = [b"SIP/2.0/", transport.via().as_bytes(), rest].concat();
    request.with_via(&via)
}

impl UserAgent {
    /// Takes the list of other places.
    pub(crate) fn alternatives(&mut self, now: Instant, of: Attempt, targets: Vec<Target>) {
        let tx = match of {
            Attempt::Call(key) => match self.calls.get(&key).map(|c| &c.stage) {
                Some(Stage::Calling { tx, .. }) => Some(*tx),
                Some(Stage::Ringing { .. } | Stage::Established | Stage::Over) | None => None,
            },
            Attempt::Registration(key) => self.registration_tx(key),
        };
        let Some(tx) = tx.filter(|_| !targets.is_empty()) else {
            self.ways.remove(&of);
            return;
        };
        self.ways.insert(of, Ways { targets: targets.into(), tried: 0 });
        if matches!(of, Attempt::Registration(_)) {
            self.watch(now, of, tx);
        }
    }

    /// This transaction is left when it stays without any answer: a registration only for another place.
    pub(crate) fn watch(&mut self, now: Instant, of: Attempt, tx: TxId) {
        let wait = match of {
            Attempt::Call(key) => self.calls.get(&key).map(|c| c.reply_within),
            Attempt::Registration(_) => {
                self.ways.get(&of).is_some_and(|w| w.tried < w.targets.len()).then_some(PATIENCE)
            }
        };
        let tcp = self.connecting.contains(&tx).then_some(TCP_PATIENCE);
        if let Some(wait) = tcp.into_iter().chain(wait).min() {
            self.schedule.set(Due::Elsewhere(tx), now + wait);
        }
    }

    /// An attempt has come to something.
    pub(crate) fn arrived(&mut self, of: Attempt) {
        match of {
            Attempt::Call(_) => drop(self.ways.remove(&of)),
            Attempt::Registration(_) => {
                if let Some(ways) = self.ways.get_mut(&of) {
                    ways.tried = 0;
                }
            }
        }
    }

    /// Tells that a place failed; the next, if there is one left.
    fn failed_at(
        &mut self,
        of: Attempt,
        failed: Target,
        code: u16,
        retry_after: Option<Duration>,
    ) -> Option<Target> {
        if matches!(of, Attempt::Registration(_)) && !self.ways.contains_key(&of) {
            return None;
        }
        let (transport, remote) = (failed.transport, failed.remote);
        self.event(Event::TargetFailed { transport, remote, code, retry_after });
        let ways = self.ways.get_mut(&of)?;
        if ways.tried >= ways.targets.len() {
            ways.tried = 0;
            return None;
        }
        ways.tried += 1;
        ways.targets.push_back(failed);
        ways.targets.pop_front()
    }

    /// A transaction has been without any answer for a while.
    pub(crate) fn silent(&mut self, now: Instant, id: TxId) {
        let Some(entry) = self.clients.get(&id).filter(|e| e.machine.state() == ClientState::Calling) else {
            return;
        };
        let (owner, remote) = (entry.owner, entry.remote);
        if self.connecting.contains(&id) && self.back_to_udp(now, id) {
            self.stop_connecting(remote);
            return;
        }
        self.silent_by_udp(id);
        match owner {
            Owner::Invite(_) => {
                // It is not repeated any more; what may still come of it is cancelled or hung up.
                self.schedule.clear(Due::Client(id, Timer::A));
                self.client_failed(now, id, 408);
            }
            Owner::Register(key) => {
                if self.register_elsewhere(now, key, 408, None) {
                    self.forget_client(id);
                }
            }
            Owner::Reinvite(_)
            | Owner::Update(_)
            | Owner::Bye(_)
            | Owner::Prack(_)
            | Owner::Ping(_)
            | Owner::Nobody => {}
        }
    }

    /// A place that was left for another, or for good, begins to answer after all: now it may be cancelled (§9.1).
    pub(crate) fn cancel_left(&mut self, now: Instant, id: TxId) {
        let room = self.has_room();
        let Some(entry) = self.clients.get_mut(&id).filter(|e| !e.left && room) else {
            return;
        };
        let Some((_, flow)) = entry.half.as_deref() else {
            return;
        };
        let (flow, remote) = (Flow { transport: entry.transport, ..*flow }, entry.remote);
        entry.left = true;
        let cancel = Builder::cancel_of(&entry.request, None);
        self.start_client(now, cancel, &flow, remote, Owner::Nobody);
        self.abandon_client(now, id);
    }

    /// Tells that a place failed, and sends the INVITE to the next one; false where there is none, or where it has
    /// rung already.
    pub(crate) fn invite_elsewhere(
        &mut self,
        now: Instant,
        id: TxId,
        key: CallKey,
        code: u16,
        retry_after: Option<Duration>,
    ) -> bool {
        let (Some(entry), Some(call)) = (self.clients.get(&id), self.calls.get(&key)) else {
            return false;
        };
        let Stage::Calling { tx, ending: None, .. } = &call.stage else {
            return false;
        };
        if *tx != id || (!call.earlies.is_empty() && retry_after.is_none() && entry.machine.is_open()) {
            return false;
        }
        let (request, half) = (entry.request.clone(), entry.half.clone());
        let failed =
            Target { transport: call.flow.transport, remote: entry.remote, contact: call.flow.contact };
        let Some(target) = self.failed_at(Attempt::Call(key), failed, code, retry_after) else {
            return false;
        };
        if !self.has_room() {
            return false;
        }
        let user = request.from().and_then(|f| f.uri().raw_user());
        let contact = contact_value(user, target.contact, target.transport);
        let via = self.new_via(target.transport, target.contact);
        let cseq = request.cseq().map_or(1, |c| c.number);
        // The same request once more (RFC 3263 §4.3): whoever got it from the first place knows it by its CSeq.
        let again = Builder::again(&request, &via, cseq)
            .copy(&request, "Authorization")
            .copy(&request, "Proxy-Authorization")
            .without("Contact")
            .header("Contact", &contact)
            .finish();
        let flow =
            Flow { transport: target.transport, local: None, contact: target.contact, remote: target.remote };
        let new = self.start_client(now, again, &flow, target.remote, Owner::Invite(key));
        if let (Some(entry), Some(mut half)) = (self.clients.get_mut(&new), half) {
            half.1 = flow;
            entry.half = Some(half);
        }
        if let Some(call) = self.calls.get_mut(&key) {
            call.flow = flow;
            call.contact = contact;
            call.earlies.clear();
            // Whoever is there asks anew who we are.
            call.authentication.succeeded();
            if let Stage::Calling { tx, provisional, .. } = &mut call.stage {
                (*tx, *provisional) = (new, false);
            }
        }
        self.watch(now, Attempt::Call(key), new);
        true
    }

    /// The same for a registration.
    pub(crate) fn register_elsewhere(
        &mut self,
        now: Instant,
        key: RegKey,
        code: u16,
        retry_after: Option<Duration>,
    ) -> bool {
        let Some(failed) = self.registration_target(key) else {
            return false;
        };
        match self.failed_at(Attempt::Registration(key), failed, code, retry_after) {
            Some(target) => {
                self.register_at(now, key, target);
                true
            }
            None => false,
        }
    }

    /// How a request travels: by TCP where it is too large for a datagram. The third value says that this was why.
    pub(crate) fn by_size(
        &mut self,
        now: Instant,
        request: Message,
        flow: &Flow,
        remote: SocketAddr,
    ) -> (Message, Bytes, Transport, bool) {
        let octets = request.to_bytes();
        let large =
            self.config.large_by_tcp && flow.transport == Transport::Udp && octets.len() > LARGEST_DATAGRAM;
        if !large || self.without_tcp.get(&remote).is_some_and(|until| now < *until) {
            return (request, octets, flow.transport, false);
        }
        let request = by_other_transport(&request, Transport::Tcp);
        let octets = request.to_bytes();
        (request, octets, Transport::Tcp, true)
    }

    /// A request that went by TCP for its size is not left waiting for a connection that never comes.
    pub(crate) fn watch_size(&mut self, now: Instant, id: TxId) {
        self.schedule.set(Due::Elsewhere(id), now + TCP_PATIENCE);
    }

    /// A connection stands: what went by it for its size is waited for like any request.
    pub(crate) fn connected(&mut self, transport: Transport, remote: SocketAddr) {
        let by_it =
            |id: &TxId| self.clients.get(id).is_some_and(|e| e.transport == transport && e.remote == remote);
        let there: Vec<TxId> = self.connecting.iter().copied().filter(by_it).collect();
        for id in there {
            self.connecting.remove(&id);
            self.schedule.clear(Due::Elsewhere(id));
            let Some((owner, started)) = self.clients.get(&id).map(|e| (e.owner, e.started)) else {
                continue;
            };
            if self.is_wanted(id) {
                self.watch_for(started, owner, id);
            }
        }
    }

    /// What was sent by a connection that is still being made went by datagram: it must not come a second time, later.
    /// A connection that others wait for, to whom datagrams are not open, goes on.
    fn stop_connecting(&mut self, remote: SocketAddr) {
        let transport = Transport::Tcp;
        let by_choice = |e: &ClientEntry| {
            e.transport == transport && e.remote == remote && !e.large && e.machine.is_open()
        };
        if !self.clients.values().any(by_choice) {
            self.outputs.push_back(Output::StopConnecting { transport, remote });
        }
    }

    /// A large datagram arrived where TCP did not.
    pub(crate) fn takes_datagrams(&mut self, now: Instant, remote: SocketAddr) {
        self.without_tcp.retain(|_, until| now < *until);
        if self.without_tcp.len() < MOST_WITHOUT_TCP {
            self.without_tcp.insert(remote, now + WITHOUT_TCP);
        }
    }

    /// Datagrams bring nothing there, either: the next large request tries TCP again.
    pub(crate) fn silent_by_udp(&mut self, id: TxId) {
        if let Some(entry) = self.clients.get(&id).filter(|e| e.transport == Transport::Udp) {
            self.without_tcp.remove(&entry.remote);
        }
    }

    /// TCP was refused to a large request, or does not come about: it goes by datagram after all (§18.1.1), if somebody still
    /// waits for what comes of it. Says whether that was so.
    pub(crate) fn back_to_udp(&mut self, now: Instant, id: TxId) -> bool {
        if !self.is_wanted(id) {
            return false;
        }
        let Some(entry) = self.clients.get_mut(&id).filter(|e| e.large) else {
            return false;
        };
        entry.large = false;
        entry.fell_back = true;
        entry.transport = Transport::Udp;
        entry.request = by_other_transport(&entry.request, Transport::Udp);
        entry.octets = entry.request.to_bytes();
        entry.hop = hop_of(&entry.request, Transport::Udp);
        let invite = entry.request.method() == Some(&crate::message::Method::Invite);
        entry.machine = Client::new(invite, false);
        let (steps, owner) = (entry.machine.start(), entry.owner);
        self.connecting.remove(&id);
        self.schedule.clear_transaction(id);
        self.run_client(now, id, &steps, None);
        self.watch_for(now, owner, id);
        true
    }

    /// Where there are other places to try, this transaction is left when it stays without any answer from then on.
    fn watch_for(&mut self, since: Instant, owner: Owner, id: TxId) {
        match owner {
            Owner::Invite(key) => self.watch(since, Attempt::Call(key), id),
            Owner::Register(key) => self.watch(since, Attempt::Registration(key), id),
            Owner::Reinvite(_)
            | Owner::Update(_)
            | Owner::Bye(_)
            | Owner::Prack(_)
            | Owner::Ping(_)
            | Owner::Nobody => {}
        }
    }

    /// Whether somebody still waits for what comes of a request.
    pub(crate) fn is_wanted(&self, id: TxId) -> bool {
        match self.clients.get(&id).map(|e| e.owner) {
            Some(Owner::Invite(key)) => {
                let stage = self.calls.get(&key).map(|c| &c.stage);
                matches!(stage, Some(Stage::Calling { tx, ending: None, .. }) if *tx == id)
            }
            Some(Owner::Reinvite(key)) => {
                let pending = self.calls.get(&key).and_then(|c| c.pending.as_ref());
                pending.is_some_and(|(tx, _)| *tx == id)
            }
            Some(Owner::Register(key)) => self.registration_tx(key) == Some(id),
            Some(Owner::Update(_) | Owner::Bye(_) | Owner::Prack(_) | Owner::Ping(_) | Owner::Nobody) => true,
            None => false,
        }
    }
}
