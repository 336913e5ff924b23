//! Our addresses behind a translator, as STUN servers see them: of each UDP socket of SIP, and of media sockets kept
//! ready (RFC 8489 §6.2.1).

use super::driver::Driver;
use crate::call::Wish;
use crate::media::{MediaPorts, MediaSocket};
use crate::stun::{self, Asked, Asking, Spares};
use crate::trunk::{Advertise, Trunk};
use fax_base::Instant;
use fax_base::time::{Duration, earliest};
use fax_sip as sip;
use std::io;
use std::net::SocketAddr;

/// Servers are looked up again this often, as their addresses change.
const LOOK_UP: Duration = Duration::from_secs(600);

/// Addresses of servers that are asked.
const SERVERS: usize = 8;

/// What is known of our addresses.
#[derive(Default)]
pub(super) struct Mapped {
    /// The servers as configured; none: nobody is asked.
    names: Vec<String>,
    servers: Vec<SocketAddr>,
    /// The names are being looked up.
    looking: bool,
    look_up_at: Instant,
    /// SIP's sockets.
    sockets: Vec<(SocketAddr, Asking)>,
    spares: Option<Spares>,
}

impl Mapped {
    pub(super) fn new(names: &[String], bound: &[(sip::Transport, SocketAddr)], ports: &MediaPorts) -> Self {
        if names.is_empty() {
            return Mapped::default();
        }
        let udp = bound.iter().filter(|(transport, _)| *transport == sip::Transport::Udp);
        let sockets = udp.map(|(_, local)| (*local, Asking::new(Instant::ZERO))).collect();
        let spares = Some(Spares::start(ports.clone()));
        Mapped { names: names.to_vec(), sockets, spares, ..Mapped::default() }
    }

    /// With another configuration: what is known of a socket that stays is kept, where the servers are the same.
    pub(super) fn renewed(
        mut self,
        names: &[String],
        bound: &[(sip::Transport, SocketAddr)],
        ports: &MediaPorts,
    ) -> Self {
        let mut new = Mapped::new(names, bound, ports);
        if self.names == new.names {
            for (local, asking) in &mut new.sockets {
                if let Some(at) = self.sockets.iter().position(|(known, _)| known == local) {
                    *asking = self.sockets.swap_remove(at).1;
                }
            }
        }
        new
    }

    /// When there is something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.names.is_empty() {
            return None;
        }
        let asking = self.sockets.iter().map(|(_, asking)| Some(asking.due()));
        let asking = asking.filter(|_| !self.servers.is_empty()).fold(None, earliest);
        earliest(asking, Some(self.look_up_at))
    }

    /// The address outside of a socket of SIP, as somebody at `remote` sees it.
    fn of(&self, local: SocketAddr, remote: SocketAddr) -> Option<SocketAddr> {
        let (_, asking) = self.sockets.iter().find(|(l, _)| *l == local)?;
        as_seen(asking.known(), remote)
    }

    /// The socket behind an address that somebody was told.
    pub(super) fn behind(&self, seen: SocketAddr) -> Option<SocketAddr> {
        let known = |asking: &Asking| asking.known().is_some_and(|(known, _)| known == seen);
        self.sockets.iter().find(|(_, asking)| known(asking)).map(|(local, _)| *local)
    }

    /// The same of any socket.
    fn of_any(&self, remote: SocketAddr) -> Option<SocketAddr> {
        self.sockets.iter().find_map(|(_, asking)| as_seen(asking.known(), remote))
    }

    /// Whether it may soon be known which address is told to somebody at `remote`.
    fn is_awaited(&self, remote: SocketAddr) -> bool {
        let sockets = self.sockets.iter().filter(|(local, _)| local.is_ipv4() == remote.is_ipv4());
        !self.names.is_empty() && sockets.clone().count() > 0 && sockets.clone().all(|(_, a)| a.is_awaited())
    }
}

/// What a server saw, where somebody at `remote` sees the same.
fn as_seen(known: Option<(SocketAddr, SocketAddr)>, remote: SocketAddr) -> Option<SocketAddr> {
    known.filter(|(_, by)| stun::sees_the_same(by.ip(), remote.ip())).map(|(seen, _)| seen)
}

impl Driver {
    /// Looks servers up and asks them, when it is time for that.
    pub(super) fn ask_stun(&mut self, now: Instant) {
        if self.mapped.due().is_none_or(|due| due > now) {
            return;
        }
        if self.mapped.look_up_at <= now && !self.mapped.looking {
            self.find_stun(now);
        }
        let mut sockets = std::mem::take(&mut self.mapped.sockets);
        let mut silent = false;
        for (local, asking) in &mut sockets {
            let servers = self.servers_of(*local);
            if self.mapped.looking && servers.is_empty() {
                continue;
            }
            match asking.turn(now, &servers, rand::random()) {
                // A lost question is asked again.
                Asked::Send(to, request) => {
                    self.expect_answers(to, &request);
                    let _ = self.transports.send_datagram(*local, to, &request);
                }
                Asked::Silent => {
                    tracing::warn!(servers = self.mapped.names.join(", "), %local, "no STUN server answers");
                    (silent, self.mapped.look_up_at) = (true, now);
                }
                Asked::Nothing => {}
            }
        }
        self.mapped.sockets = sockets;
        if silent {
            self.tell_mapped();
        }
    }

    fn servers_of(&self, local: SocketAddr) -> Vec<SocketAddr> {
        self.mapped.servers.iter().filter(|s| s.is_ipv4() == local.is_ipv4()).copied().collect()
    }

    fn find_stun(&mut self, now: Instant) {
        (self.mapped.looking, self.mapped.look_up_at) = (true, now + LOOK_UP);
        let hops =
            self.mapped.names.iter().filter_map(|name| super::peers::hop(name, Some(sip::Transport::Udp)));
        let hops: Vec<sip::Hop> =
            hops.map(|hop| sip::Hop { port: hop.port.or(Some(stun::PORT)), ..hop }).collect();
        let (locator, wishes) = (self.hops.locator.clone(), self.wish_sender.clone());
        tokio::spawn(async move {
            let mut servers = Vec::new();
            for hop in hops {
                servers.extend(locator.locate(&hop).await.places.into_iter().map(|p| p.address));
            }
            let _ = wishes.send(Wish::StunLocated { servers });
        });
    }

    pub(super) fn stun_located(&mut self, mut servers: Vec<SocketAddr>) {
        servers.truncate(SERVERS);
        self.mapped.looking = false;
        // What is known stays known where DNS fails.
        if !servers.is_empty() {
            if let Some(spares) = &self.mapped.spares {
                spares.ask(servers.clone());
            }
            self.mapped.servers = servers;
        }
        let now = self.now();
        self.ask_stun(now);
    }

    /// Takes what looks like STUN: an answer to us, or nothing.
    pub(super) fn stun_came(&mut self, local: SocketAddr, remote: SocketAddr, octets: &[u8]) {
        let (now, servers) = (self.now(), self.servers_of(local));
        let Some((_, asking)) = self.mapped.sockets.iter_mut().find(|(l, _)| *l == local) else { return };
        let before = asking.known();
        if !asking.came(now, remote, octets, &servers) {
            return;
        }
        let address = asking.known().map(|(seen, _)| seen);
        match before {
            None => tracing::info!(%local, ?address, server = %remote, "our address outside"),
            Some((before, _)) => {
                tracing::warn!(%local, ?address, %before, "our address outside has changed: new calls and registrations tell it");
            }
        }
        self.tell_mapped();
    }

    /// Who is registered with an address that may be another now is told.
    fn tell_mapped(&mut self) {
        let told = self.peers.iter().filter(|p| p.trunk.register.is_some() && self.asks_for(&p.trunk));
        for id in told.map(|p| p.id).collect::<Vec<_>>() {
            self.register_again(id);
        }
    }

    /// Whether a trunk is told what STUN says.
    fn asks_for(&self, trunk: &Trunk) -> bool {
        trunk.advertise == Advertise::Usual && self.config.advertise.is_none()
    }

    /// The address outside of the socket of SIP at `local`, where `remote` is to be told that: a connection's port says
    /// nothing of the port we listen at.
    pub(super) fn mapped(
        &self,
        transport: sip::Transport,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Option<SocketAddr> {
        match transport {
            sip::Transport::Udp => self.mapped.of(local, remote),
            sip::Transport::Tcp | sip::Transport::Tls => {
                self.mapped.of_any(remote).map(|seen| SocketAddr::new(seen.ip(), local.port()))
            }
        }
    }

    /// Whether a registration should wait for the address that it is to tell.
    pub(super) fn awaits_address(&self, trunk: &Trunk, remote: SocketAddr) -> bool {
        self.asks_for(trunk) && self.mapped.is_awaited(remote)
    }

    /// A socket for media with somebody at `remote`.
    pub(super) fn media_socket(&self, remote: SocketAddr) -> io::Result<MediaSocket> {
        let Some(spares) = &self.mapped.spares else { return self.ports.bind(remote.ip()) };
        if let Some(socket) = spares.take(remote.ip()) {
            return Ok(socket);
        }
        self.ports.bind(remote.ip()).or_else(|_| {
            spares.release();
            self.ports.bind(remote.ip())
        })
    }

    /// Where a media socket is for somebody at `remote`. One whose own address outside is not known is told with SIP's.
    pub(super) fn media_address(
        &self,
        trunk: Option<&Trunk>,
        remote: SocketAddr,
        local: SocketAddr,
        outside: Option<(SocketAddr, SocketAddr)>,
    ) -> SocketAddr {
        let usual = SocketAddr::new(self.media_ip(trunk, remote, local.ip()), local.port());
        let fixed = self.config.advertise.is_some_and(|ip| ip.is_ipv4() == remote.is_ipv4());
        if fixed || trunk.is_some_and(|t| t.advertise != Advertise::Usual) {
            return usual;
        }
        let beside = || self.mapped.of_any(remote).map(|seen| SocketAddr::new(seen.ip(), local.port()));
        as_seen(outside, remote).or_else(beside).unwrap_or(usual)
    }
}
