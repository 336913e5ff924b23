//! Where we are seen from outside: STUN's Binding request over UDP, of the sockets of signalling and of media (RFC 8489). We
//! only ask; who asks us gets no answer.

mod asking;
mod message;
mod spares;

pub(crate) use asking::{Asked, Asking};
pub(crate) use message::is_stun;
pub(crate) use spares::Spares;

use std::net::IpAddr;

/// STUN's port.
pub(crate) const PORT: u16 = 3478;

/// Whether an address is of a network of our own: nobody translates on the way there.
fn is_own_network(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_loopback() || ip.is_unicast_link_local(),
    }
}

/// Whether what a server at `server` sees of us is what somebody at `remote` sees.
pub(crate) fn sees_the_same(server: IpAddr, remote: IpAddr) -> bool {
    server.is_ipv4() == remote.is_ipv4() && is_own_network(server) == is_own_network(remote)
}
