//! A call's media socket: one UDP port for RTP and UDPTL, so that NAT bindings survive the switch.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

/// DSCP EF (46) in the upper six bits of the traffic class (RFC 3246).
const TOS_EF: u32 = 46 << 2;

/// Room for bursts of a few calls' packets between two turns of a worker.
const RECEIVE_BUFFER: usize = 256 * 1024;

/// Where media sockets are bound.
#[derive(Clone, Debug)]
pub(crate) struct MediaPorts {
    ips: Vec<IpAddr>,
    range: Option<RangeInclusive<u16>>,
    next: Arc<AtomicU16>,
}

impl MediaPorts {
    /// Even ports of `range` on the addresses, one of each family; without a range any free port.
    pub(crate) fn new(ips: Vec<IpAddr>, range: Option<RangeInclusive<u16>>) -> Self {
        MediaPorts { ips, range, next: Arc::new(AtomicU16::new(0)) }
    }

    /// Binds a free port for media with a peer at `remote`.
    pub(crate) fn bind(&self, remote: IpAddr) -> io::Result<MediaSocket> {
        let same = self.ips.iter().find(|ip| ip.is_ipv4() == remote.is_ipv4());
        let Some(&ip) = same else {
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "no media address of this family"));
        };
        let Some(range) = &self.range else {
            return MediaSocket::bind(SocketAddr::new(ip, 0));
        };
        let first = u32::from(*range.start()).next_multiple_of(2);
        let last = u32::from(*range.end());
        let count = last.saturating_sub(first) / 2 + 1;
        for _ in 0..count {
            let turn = u32::from(self.next.fetch_add(1, Ordering::Relaxed)) % count;
            let Ok(port) = u16::try_from(first + turn * 2) else {
                continue;
            };
            match MediaSocket::bind(SocketAddr::new(ip, port)) {
                Err(e) if e.kind() == io::ErrorKind::AddrInUse => {}
                bound => return bound,
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "every media port is in use"))
    }
}

/// One bound, non-blocking UDP socket.
#[derive(Debug)]
pub(crate) struct MediaSocket {
    pub(crate) socket: UdpSocket,
    pub(crate) local: SocketAddr,
    /// Its address outside, and the STUN server that sees it there.
    pub(crate) outside: Option<(SocketAddr, SocketAddr)>,
}

impl MediaSocket {
    fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // Neither is worth failing a call for: containers may refuse both.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        let _ = if address.is_ipv4() { socket.set_tos_v4(TOS_EF) } else { socket.set_tclass_v6(TOS_EF) };
        socket.bind(&address.into())?;
        let socket: UdpSocket = socket.into();
        let local = socket.local_addr()?;
        Ok(MediaSocket { socket, local, outside: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn ports_come_from_the_range_and_run_out_cleanly() {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        // A free range: what the system just gave away.
        let probe = UdpSocket::bind((ip, 0)).unwrap().local_addr().unwrap().port() & !1;
        let ports = MediaPorts::new(vec![ip], Some(probe..=probe.saturating_add(3)));
        let bound: Vec<_> = std::iter::from_fn(|| ports.bind(ip).ok()).take(3).collect();
        assert!(bound.len() <= 2);
        for socket in &bound {
            assert!((probe..=probe + 3).contains(&socket.local.port()) && socket.local.port() % 2 == 0);
        }
        assert!(MediaPorts::new(vec![ip], None).bind(ip).is_ok());
    }
}
