//! UDPTL: packets over UDP with redundancy or parity FEC (T.38 §9.1).
//!
//! [`Packet`] is the layout, [`Sender`] numbers IFPs and lets earlier ones ride along, [`Receiver`]
//! puts them in order and makes good what was lost.

mod packet;
mod receive;
mod send;

pub use packet::{Packet, PacketError, Recovery};
pub use receive::{Delivery, Invalid, Receiver, ReceiverCounters};
pub use send::{Limits, Sender};

/// Parity of packets: each padded with zeros to the longest (T.38 §9.1.4.3).
fn xor_into(parity: &mut Vec<u8>, octets: &[u8]) {
    if parity.len() < octets.len() {
        parity.resize(octets.len(), 0);
    }
    for (p, o) in parity.iter_mut().zip(octets) {
        *p ^= o;
    }
}

#[cfg(test)]
mod tests;
