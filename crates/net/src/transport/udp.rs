//! SIP's UDP sockets: bound with their traffic class, read in turn (RFC 3261 §18; RFC 4594 §4.2 for CS3…CS5 signalling).

use crate::guard::gate::Gate;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::task::Poll;
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

/// DSCP CS3 (24) in the upper six bits of the traffic class (RFC 2474): what carriers expect of signalling.
pub(crate) const TOS_CS3: u32 = 24 << 2;

/// Room for a burst of a few hundred messages while the task is busy.
const RECEIVE_BUFFER: usize = 1024 * 1024;

/// Datagrams that are refused in a row before anything else is looked at.
const REFUSED: usize = 64;

/// Marks a socket as signalling. Not worth failing for: containers may refuse it.
pub(crate) fn mark(socket: &Socket, address: SocketAddr) {
    let _ = if address.is_ipv4() { socket.set_tos_v4(TOS_CS3) } else { socket.set_tclass_v6(TOS_CS3) };
}

/// Marks a connection as signalling.
pub(crate) fn mark_stream(stream: &tokio::net::TcpStream, address: SocketAddr) {
    let socket = socket2::SockRef::from(stream);
    let _ = if address.is_ipv4() { socket.set_tos_v4(TOS_CS3) } else { socket.set_tclass_v6(TOS_CS3) };
}

/// A bound, non-blocking socket; IPv6 ones are for IPv6 alone.
pub(crate) fn bind(address: SocketAddr, kind: Type) -> io::Result<Socket> {
    let protocol = if kind == Type::DGRAM { Protocol::UDP } else { Protocol::TCP };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    mark(&socket, address);
    if kind == Type::DGRAM {
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    } else {
        socket.set_reuse_address(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

/// All UDP sockets of signalling.
#[derive(Debug, Default)]
pub(crate) struct Udp {
    sockets: Vec<(UdpSocket, SocketAddr)>,
    /// Which is asked first next time, so that a busy one does not hide the others.
    turn: usize,
}

impl Udp {
    /// Binds one more; says where.
    pub(crate) fn add(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        let socket = UdpSocket::from_std(bind(address, Type::DGRAM)?.into())?;
        let local = socket.local_addr()?;
        self.sockets.push((socket, local));
        Ok(local)
    }

    /// Closes one.
    pub(crate) fn remove(&mut self, local: SocketAddr) {
        self.sockets.retain(|(_, bound)| *bound != local);
    }

    /// The next datagram that the guard lets through: its length, where it came from and the bound address it came to;
    /// `None` when many in a row were refused and something else may have its turn. Waits for ever where there is no
    /// socket. Errors are the system's word on something sent before.
    pub(crate) async fn receive(
        &mut self,
        buffer: &mut [u8],
        gate: &Gate,
    ) -> (io::Result<Option<(usize, SocketAddr)>>, SocketAddr) {
        let mut at = SocketAddr::from(([0, 0, 0, 0], 0));
        for _ in 0..REFUSED {
            let (received, local) = self.any(buffer).await;
            at = local;
            match received {
                Ok((length, remote))
                    if !gate.datagram(remote.ip(), buffer.get(..length).unwrap_or_default()) => {}
                received => return (received.map(Some), at),
            }
        }
        (Ok(None), at)
    }

    async fn any(&mut self, buffer: &mut [u8]) -> (io::Result<(usize, SocketAddr)>, SocketAddr) {
        let count = self.sockets.len();
        let turn = self.turn;
        let (received, index) = std::future::poll_fn(|context| {
            for step in 0..count {
                let index = (turn + step) % count;
                let Some((socket, _)) = self.sockets.get(index) else { continue };
                let mut into = ReadBuf::new(buffer);
                match socket.poll_recv_from(context, &mut into) {
                    Poll::Ready(Ok(remote)) => {
                        return Poll::Ready((Ok((into.filled().len(), remote)), index));
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready((Err(error), index)),
                    Poll::Pending => {}
                }
            }
            Poll::Pending
        })
        .await;
        self.turn = index.wrapping_add(1) % count.max(1);
        let local = self.sockets.get(index).map_or(SocketAddr::from(([0, 0, 0, 0], 0)), |(_, local)| *local);
        (received, local)
    }

    /// Sends from the socket at `local`, or else the first of the remote's family.
    pub(crate) fn send(&self, local: SocketAddr, remote: SocketAddr, octets: &[u8]) -> io::Result<usize> {
        let exact = self.sockets.iter().find(|(_, l)| *l == local && l.is_ipv4() == remote.is_ipv4());
        let any = || self.sockets.iter().find(|(_, l)| l.is_ipv4() == remote.is_ipv4());
        match exact.or_else(any) {
            Some((socket, _)) => socket.try_send_to(octets, remote),
            None => Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "no UDP socket of this family")),
        }
    }
}
