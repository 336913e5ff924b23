//! Messages between the network and the user agent, and our addresses as peers are to see them (RFC 3261 §18).

use super::driver::Driver;
use crate::dns::Place;
use crate::stun;
use crate::transport::{Arrival, Bound, Peer, Received};
use crate::trunk::{Advertise, Trunk};
use bytes::Bytes;
use fax_base::Instant;
use fax_base::time::Duration;
use fax_sip as sip;
use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// How often idle connections are looked for, and routes asked again.
const SWEEP: Duration = Duration::from_secs(5);

/// Where Via is in a message, as a rule, and what it says of connections (RFC 5923 §9).
const HEAD: usize = 2_048;
const ALIAS: &[u8] = b";alias";

/// Routes that are remembered between two sweeps.
const ROUTES: usize = 4_096;

impl Driver {
    pub(super) fn received(&mut self, received: Received, buffer: &[u8]) {
        match received {
            Received::Datagram { length, remote, local } => {
                let Some(octets) = buffer.get(..length) else {
                    return;
                };
                if stun::is_stun(octets) {
                    return self.stun_came(local, remote, octets);
                }
                if self.transports.is_draining(local) && begins_anew(octets) {
                    return tracing::debug!(%remote, "came to a listener that is being closed");
                }
                let transport = sip::Transport::Udp;
                // Behind a translator the port outside is another, too; what is known of it is of one socket.
                let seen = self.contact(transport, remote);
                let own = self.bound_as(transport, seen) == local;
                let local = if own { seen } else { SocketAddr::new(seen.ip(), local.port()) };
                self.agent.handle(self.now(), sip::Input::Datagram { transport, local, remote, octets });
            }
            // An ICMP refusal of something sent before; which, the system does not say.
            Received::Fault(error) => tracing::debug!(%error, "SIP socket"),
            Received::Arrival(arrival) => self.arrived(arrival),
            Received::Refused => {}
        }
    }

    fn arrived(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Opened { remote, connection } => self.transports.opened(remote, connection),
            Arrival::Connected { id, transport, remote } => {
                if self.transports.is_current(id, (transport, remote)) {
                    self.connected.push((transport, remote));
                }
            }
            Arrival::Message { transport, remote, octets } => {
                self.note_alias((transport, remote), &octets);
                let (now, local) = (self.now(), self.contact(transport, remote));
                self.agent.handle(now, sip::Input::Datagram { transport, local, remote, octets: &octets });
            }
            Arrival::Lost { id, transport, remote } => self.transports.lost(id, (transport, remote)),
            Arrival::Closed { id, transport, remote, reason } => {
                self.disconnected.extend(self.transports.without_alias((transport, remote)));
                let stood = self.transports.stands((transport, remote));
                if self.transports.closed(id, (transport, remote)) {
                    tracing::info!(transport = transport.via(), %remote, reason, "SIP connection gone");
                    self.flow_lost(transport, remote);
                    self.registrar_lost(crate::dns::Place { transport, address: remote });
                    let gone = if stood { &mut self.disconnected } else { &mut self.unreachable };
                    gone.push((transport, remote));
                }
            }
        }
    }

    /// A request that came by a connection of the peer's own making, and says that requests to the peer may go back by it
    /// (RFC 5923 §8.2). They do where it is one of a trunk's places that the request came from: over TCP as the address
    /// says, over TLS as the certificate says that the peer has shown.
    fn note_alias(&mut self, by: Peer, octets: &Bytes) {
        let (transport, remote) = by;
        let head = octets.get(..octets.len().min(HEAD)).unwrap_or_default();
        if !head.windows(ALIAS.len()).any(|part| part.eq_ignore_ascii_case(ALIAS)) {
            return;
        }
        let Ok(message) = sip::message::Message::parse(octets, &sip::message::Limits::default()) else {
            return;
        };
        let via = message.top_via().filter(|via| message.method().is_some() && via.params().has("alias"));
        let Some(via) = via else { return };
        let host = String::from_utf8_lossy(via.host()).into_owned();
        let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        let usual = if transport == sip::Transport::Tls { 5061 } else { 5060 };
        let Some(ip) = ip.filter(|ip| *ip == remote.ip()) else { return };
        let address = SocketAddr::new(ip, via.port().unwrap_or(usual));
        let place = Place { transport, address };
        let mut named =
            self.peers.iter().filter(|p| p.places.contains(&place)).map(|p| p.server_name(address));
        let believed = match transport {
            sip::Transport::Udp => false,
            sip::Transport::Tcp => named.next().is_some(),
            sip::Transport::Tls => {
                named.any(|name| self.transports.is_certified(by, &name.unwrap_or_else(|| ip.to_string())))
            }
        };
        if believed {
            self.transports.alias((transport, address), by);
        }
    }

    /// Sends a message, over a connection that is there or is to be made, or as a datagram.
    pub(super) fn send(&mut self, peer: Peer, local: Option<SocketAddr>, octets: Bytes) {
        let (transport, remote) = peer;
        self.expect_answers(remote, &octets);
        if transport == sip::Transport::Tls && !self.transports.is_open(peer) {
            let at = |p: &&super::peers::Peer| p.places.iter().any(|place| place.address == remote);
            if let Some(name) = self.peers.iter().find(at).and_then(|p| p.server_name(remote)) {
                self.transports.expect(remote, &name);
            }
        }
        match transport {
            sip::Transport::Udp => {
                let local = local.or_else(|| self.terminals.local_for(remote));
                let from = local.map_or(self.local, |seen| self.bound_as(transport, seen));
                match self.transports.send_datagram(from, remote, &octets) {
                    Ok(_) => {}
                    // A full socket buffer is a lost datagram: SIP repeats it.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => {
                        tracing::warn!(%error, %remote, "SIP cannot be sent");
                        self.unreachable.push(peer);
                    }
                }
            }
            sip::Transport::Tcp | sip::Transport::Tls => {
                if !self.transports.send(peer, octets) {
                    self.unreachable.push(peer);
                } else if self.transports.stands(peer) {
                    self.connected.push(peer);
                }
            }
        }
    }

    /// The listener behind an address that a peer was told.
    fn bound_as(&self, transport: sip::Transport, seen: SocketAddr) -> SocketAddr {
        if let Some(local) = self.mapped.behind(seen) {
            return local;
        }
        let like = |b: &&Bound| b.transport == transport && b.local.is_ipv4() == seen.is_ipv4();
        let mut open = self.transports.bound.iter().chain(self.transports.draining()).filter(like);
        let (exact, first) = (open.clone().find(|b| b.local.port() == seen.port()), open.next());
        exact.or(first).map_or(self.local, |b| b.local)
    }

    /// Our SIP address as `remote` is to see it.
    pub(super) fn contact(&self, transport: sip::Transport, remote: SocketAddr) -> SocketAddr {
        self.contact_for(self.trunk_of(remote.ip()), transport, remote)
    }

    fn trunk_of(&self, ip: IpAddr) -> Option<&Trunk> {
        // Only where trunks differ in this at all.
        let differ = self.peers.iter().any(|p| p.trunk.advertise != Advertise::Usual);
        differ.then(|| self.peers.iter().find(|p| p.owns(ip)).map(|p| &p.trunk)).flatten()
    }

    /// The same for a trunk: of the listener of this transport and the remote's family, or of whichever listener comes
    /// next to that.
    pub(super) fn contact_for(
        &self,
        trunk: Option<&Trunk>,
        transport: sip::Transport,
        remote: SocketAddr,
    ) -> SocketAddr {
        let same = |b: &&Bound| b.local.is_ipv4() == remote.is_ipv4();
        let bound = &self.transports.bound;
        let exact = bound.iter().find(|b| b.transport == transport && same(b));
        let chosen = exact.or_else(|| bound.iter().find(same)).or_else(|| bound.first()).copied();
        let Some(chosen) = chosen else {
            return self.local;
        };
        let family = |ip: &IpAddr| ip.is_ipv4() == remote.is_ipv4();
        let told = self.told(trunk).filter(|told| family(&told.ip()));
        // The port that datagrams are seen to come from is the one that reaches us; a connection's says nothing.
        let port = told.map(|t| t.port()).filter(|p| *p != 0 && transport == sip::Transport::Udp);
        let ip =
            told.map(|t| t.ip()).or(chosen.advertise.filter(family)).or(self.config.advertise.filter(family));
        if ip.is_none()
            && trunk.is_none_or(|t| t.advertise == Advertise::Usual)
            && let Some(seen) = self.mapped(transport, chosen.local, remote)
        {
            return seen;
        }
        let ip = ip.unwrap_or_else(|| self.seen_from(remote, chosen.local.ip()));
        SocketAddr::new(ip, port.unwrap_or(chosen.local.port()))
    }

    /// What a trunk is told of itself: an address, and the port where that is another one, too.
    fn told(&self, trunk: Option<&Trunk>) -> Option<SocketAddr> {
        let trunk = trunk?;
        match trunk.advertise {
            Advertise::Usual => None,
            Advertise::Fixed(ip) => Some(SocketAddr::new(ip, 0)),
            Advertise::AsSeen => self.peers.iter().find(|p| p.trunk.name == trunk.name)?.seen,
        }
    }

    /// The address of media bound at `bound`, as `remote` is to see it.
    pub(super) fn media_ip(&self, trunk: Option<&Trunk>, remote: SocketAddr, bound: IpAddr) -> IpAddr {
        let told = self.told(trunk).map(|t| t.ip()).filter(|ip| ip.is_ipv4() == remote.is_ipv4());
        told.unwrap_or_else(|| self.seen_from(remote, bound))
    }

    /// The address bound as `bound`, as `remote` is to see it.
    fn seen_from(&self, remote: SocketAddr, bound: IpAddr) -> IpAddr {
        if let Some(ip) = self.config.advertise.filter(|ip| ip.is_ipv4() == remote.is_ipv4()) {
            return ip;
        }
        if !bound.is_unspecified() {
            return bound;
        }
        if let Some(known) = self.sources.borrow().get(&remote.ip()) {
            return *known;
        }
        let probe = std::net::UdpSocket::bind(SocketAddr::new(bound, 0));
        let towards = probe.and_then(|s| s.connect(remote).and_then(|()| s.local_addr()));
        let source = towards.map_or(bound, |a| a.ip());
        let mut sources = self.sources.borrow_mut();
        if sources.len() < ROUTES {
            sources.insert(remote.ip(), source);
        }
        source
    }

    /// Closes idle connections that no call uses, when it is time for that.
    pub(super) fn sweep(&mut self, now: Instant) {
        if now < self.sweep_at {
            return;
        }
        self.sweep_at = now + SWEEP;
        self.sources.borrow_mut().clear();
        self.hops.sweep(now);
        self.terminals.sweep(now);
        self.close_drained();
        let registered = self.peers.iter().filter(|p| p.trunk.register.is_some());
        let in_use: HashSet<Peer> = registered
            .flat_map(|p| p.places.iter().map(|place| (place.transport, place.address)))
            .chain(self.legs.values().map(|e| e.flow))
            .chain(self.passages.values().map(|p| p.flow))
            .chain(self.outgoing.values().map(|o| o.flow))
            .chain(self.terminals.registrar.flows().map(|f| (f.transport, f.remote)))
            .collect();
        self.transports.sweep(&in_use);
    }
}

/// Whether this is a request that belongs to nothing we know: what is under way says so by its To tag or its method.
fn begins_anew(octets: &[u8]) -> bool {
    use sip::message::{Limits, Message, Method};
    let octets = Bytes::copy_from_slice(octets);
    let Ok(message) = Message::parse(&octets, &Limits::default()) else { return false };
    let begins = message.method().is_some_and(|m| !matches!(m, Method::Ack | Method::Cancel));
    begins && message.to_tag().is_none()
}
