//! How SIP messages travel: UDP sockets, TCP and TLS listeners and connections (RFC 3261 §18; RFC 5923 for reuse).
//!
//! The driver's task owns the table of connections; each connection is a task of its own with a bounded queue, so that
//! a peer that does not read delays nobody. What comes goes through one bounded channel: whoever sends faster than the
//! driver reads is slowed down by TCP.

mod connection;
mod dial;
mod doors;
mod listener;
mod reload;
mod tls;
mod udp;

pub(crate) use connection::Arrival;

use crate::config::Config;
use crate::guard::gate::Gate;
use crate::listen::StreamLimits;
use bytes::Bytes;
use connection::{Connection, ConnectionId};
use doors::Doors;
use fax_sip::Transport;
use reload::Listening;
use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use tls::Certificates;
use tokio::sync::mpsc;
use udp::Udp;

/// Messages that wait for the driver.
const WAITING: usize = 512;

/// A connection, by how and to whom.
pub(crate) type Peer = (Transport, SocketAddr);

/// A listener as it was bound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    pub(crate) transport: Transport,
    pub(crate) local: SocketAddr,
    pub(crate) advertise: Option<IpAddr>,
}

/// Something came.
#[derive(Debug)]
pub(crate) enum Received {
    /// A datagram of this length, to the socket bound at `local`.
    Datagram { length: usize, remote: SocketAddr, local: SocketAddr },
    /// The system's word about something sent before.
    Fault(io::Error),
    /// From a connection.
    Arrival(Arrival),
    /// Nothing but what the guard refused; there may be more.
    Refused,
}

/// All sockets of signalling.
#[derive(Debug)]
pub(crate) struct Transports {
    udp: Udp,
    pub(crate) bound: Vec<Bound>,
    connections: HashMap<Peer, Connection>,
    certificates: Certificates,
    limits: StreamLimits,
    /// Whose certificate is wanted at an address.
    names: HashMap<SocketAddr, String>,
    /// Places that are reached by a connection that was made from there (RFC 5923).
    aliases: HashMap<Peer, Peer>,
    arrivals: mpsc::Receiver<Arrival>,
    sender: mpsc::Sender<Arrival>,
    next: u64,
    doors: Doors,
    listening: Vec<Listening>,
    /// Sockets whose listener was taken away, as long as calls go on there.
    draining: Vec<Bound>,
    pub(crate) gate: Gate,
}

impl Transports {
    /// Binds everything that is configured.
    pub(crate) fn start(config: &Config) -> io::Result<Self> {
        let (sender, arrivals) = mpsc::channel(WAITING);
        let mut transports = Transports {
            udp: Udp::default(),
            bound: Vec::new(),
            connections: HashMap::new(),
            certificates: Certificates::load(&config.tls)?,
            limits: config.streams,
            names: HashMap::new(),
            aliases: HashMap::new(),
            arrivals,
            sender,
            next: 0,
            doors: Doors::new(
                config.streams.connections,
                config.streams.per_source,
                config.protection.handshakes,
            ),
            listening: Vec::new(),
            draining: Vec::new(),
            gate: Gate::new(config.protection.clone()),
        };
        transports.reload(config)?;
        Ok(transports)
    }

    /// The next thing that comes. Nothing is lost when it is not waited for to the end.
    pub(crate) async fn next(&mut self, buffer: &mut [u8]) -> Received {
        tokio::select! {
            (received, local) = self.udp.receive(buffer, &self.gate) => match received {
                Ok(Some((length, remote))) => Received::Datagram { length, remote, local },
                Ok(None) => Received::Refused,
                Err(error) => Received::Fault(error),
            },
            Some(arrival) = self.arrivals.recv() => Received::Arrival(arrival),
        }
    }

    /// Sends a datagram from the socket at `local`, where that matters.
    pub(crate) fn send_datagram(
        &self,
        local: SocketAddr,
        remote: SocketAddr,
        octets: &[u8],
    ) -> io::Result<usize> {
        self.udp.send(local, remote, octets)
    }

    /// Whether anything can be sent there: a datagram needs a socket of the family.
    pub(crate) fn can_reach(&self, (transport, remote): Peer) -> bool {
        let here = |b: &Bound| b.transport == Transport::Udp && b.local.is_ipv4() == remote.is_ipv4();
        transport != Transport::Udp || self.bound.iter().any(here)
    }

    /// Whether a connection is there, or is being made.
    pub(crate) fn is_open(&self, peer: Peer) -> bool {
        self.connections.contains_key(&self.way(peer))
    }

    /// Whether a connection is there.
    pub(crate) fn stands(&self, peer: Peer) -> bool {
        self.connections.get(&self.way(peer)).is_some_and(Connection::stands)
    }

    /// Whether this is the connection in use.
    pub(crate) fn is_current(&self, id: ConnectionId, peer: Peer) -> bool {
        self.connections.get(&peer).is_some_and(|c| c.id == id)
    }

    /// Gives up a connection that is still being made, and what waits for it; says whether there was one.
    pub(crate) fn stop_connecting(&mut self, peer: Peer) -> bool {
        let there = self.connections.get(&peer).is_some_and(|c| !c.stands());
        if there && let Some(connection) = self.connections.remove(&peer) {
            connection.abort();
        }
        there
    }

    /// Lets the connection from `by` serve for what goes to `place` (RFC 5923 §8.2).
    pub(crate) fn alias(&mut self, place: Peer, by: Peer) {
        if place != by && self.connections.contains_key(&by) && self.aliases.insert(place, by) != Some(by) {
            tracing::info!(transport = place.0.via(), at = %place.1, by = %by.1, "the peer's own connection is used");
        }
    }

    /// The places that a connection served for, which are to be told that it is gone.
    pub(crate) fn without_alias(&mut self, by: Peer) -> Vec<Peer> {
        self.aliases.extract_if(|_, to| *to == by).map(|(place, _)| place).collect()
    }

    /// Whether who made this connection has proved to be `name`.
    pub(crate) fn is_certified(&self, peer: Peer, name: &str) -> bool {
        let certificate = self.connections.get(&peer).and_then(|c| c.certificate.as_ref());
        certificate.is_some_and(|certificate| tls::is_of(certificate, name))
    }

    /// The connection that leads to a peer.
    fn way(&self, peer: Peer) -> Peer {
        let aliased = || self.aliases.get(&peer).filter(|by| self.connections.contains_key(by));
        if self.connections.contains_key(&peer) { peer } else { aliased().copied().unwrap_or(peer) }
    }

    /// How many connections there are.
    pub(crate) fn connections(&self) -> usize {
        self.connections.len()
    }

    /// The certificate that is wanted at this address from now on.
    pub(crate) fn expect(&mut self, remote: SocketAddr, name: &str) {
        self.names.insert(remote, name.to_owned());
    }

    /// Sends over the connection to `peer`; makes one where there is none. False: the peer does not read, and its
    /// connection was closed.
    pub(crate) fn send(&mut self, peer: Peer, octets: Bytes) -> bool {
        let peer = self.way(peer);
        let wanted = self.names.get(&peer.1).filter(|_| peer.0 == Transport::Tls);
        let other = |c: &Connection| c.ours && wanted.is_some() && c.name.as_ref() != wanted;
        if self.connections.get(&peer).is_some_and(other) {
            // Proven to be somebody else: it ends when its queue is empty.
            self.connections.remove(&peer);
        }
        let connection = match self.connections.entry(peer) {
            std::collections::hash_map::Entry::Occupied(there) => there.into_mut(),
            std::collections::hash_map::Entry::Vacant(place) => {
                self.next += 1;
                let from = self.bound.iter().find(|b| b.local.is_ipv4() == peer.1.is_ipv4());
                let dial = dial::Dial {
                    id: ConnectionId(self.next),
                    peer,
                    name: wanted.cloned(),
                    from: from.map(|b| b.local.ip()).filter(|ip| !ip.is_unspecified()),
                    tls: self.certificates.client(),
                    limits: self.limits,
                    gate: self.gate.clone(),
                };
                place.insert(dial.start(self.sender.clone()))
            }
        };
        match connection.send(octets) {
            Ok(()) => true,
            Err(why) => {
                tracing::warn!(transport = peer.0.via(), remote = %peer.1, ?why, "connection closed");
                if let Some(connection) = self.connections.remove(&peer) {
                    connection.abort();
                }
                false
            }
        }
    }

    /// Notes a connection that somebody made. An older one from the same port is gone already.
    pub(crate) fn opened(&mut self, remote: SocketAddr, connection: Connection) {
        let by = (connection.transport, remote);
        // What was believed of that one is not believed of this one.
        self.without_alias(by);
        self.connections.insert(by, connection);
    }

    /// Lets a connection write what waits, and end.
    pub(crate) fn lost(&mut self, id: ConnectionId, peer: Peer) {
        self.closed(id, peer);
    }

    /// A connection is gone; says whether it was the one in use.
    pub(crate) fn closed(&mut self, id: ConnectionId, peer: Peer) -> bool {
        let current = self.is_current(id, peer);
        if current {
            self.connections.remove(&peer);
        }
        current
    }

    /// Closes what nobody needs: connections without a message in time, and idle ones that no call uses. Certificates
    /// that have changed are read again.
    pub(crate) fn sweep(&mut self, in_use: &HashSet<Peer>) {
        self.certificates.refresh();
        let limits = self.limits;
        let in_use: HashSet<Peer> = in_use.iter().map(|peer| self.way(*peer)).collect();
        let over: Vec<Peer> = self
            .connections
            .iter()
            .filter(|(peer, connection)| {
                let (silence, spoke) = connection.silence();
                let patience = if spoke || connection.ours { limits.idle } else { limits.patience };
                silence > patience && !in_use.contains(peer)
            })
            .map(|(peer, _)| *peer)
            .collect();
        for peer in over {
            tracing::debug!(transport = peer.0.via(), remote = %peer.1, "idle connection closed");
            self.connections.remove(&peer);
        }
    }
}

impl Drop for Transports {
    fn drop(&mut self) {
        self.listening.iter().for_each(Listening::close);
    }
}
