//! What goes into an [`crate::Endpoint`] and what comes out of it.

use bytes::Bytes;
use fax_base::line::{Heard, Transmit};

/// How lost packets are made good (T.38 §9.1; SDP `T38FaxUdpEC`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ErrorCorrection {
    /// Nothing.
    None,
    /// Earlier packets ride along.
    Redundancy,
    /// Parity packets.
    Fec,
}

/// What was agreed for this session, by SDP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// T38FaxVersion in use, the lower of both: 0 is the 1998 syntax, from 2 on the 2002 one.
    pub version: u8,
    /// What the far end can be sent: octets in a UDPTL packet (its T38FaxMaxDatagram). Values below 80
    /// are taken for what they usually are, a misunderstanding.
    pub far_max_datagram: u16,
    /// What we send along.
    pub error_correction: ErrorCorrection,
    /// Earlier packets in each packet of V.21 and indicators.
    pub control_redundancy: u8,
    /// Earlier packets in each packet of image data, as far as `far_max_datagram` allows.
    pub image_redundancy: u8,
    /// What the far end takes of images, bit/s (its T38MaxBitRate); the endpoint leaves it to T.30 to go no
    /// faster. The largest number: it set no limit below that of its modems.
    pub far_max_bit_rate: u32,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            version: 0,
            far_max_datagram: 400,
            error_correction: ErrorCorrection::Redundancy,
            control_redundancy: 3,
            image_redundancy: 3,
            far_max_bit_rate: u32::MAX,
        }
    }
}

/// What happened.
#[derive(Clone, PartialEq, Debug)]
pub enum Input<'a> {
    /// A UDPTL packet came.
    Datagram(&'a [u8]),
    /// Send this after everything asked for before.
    Transmit(Transmit),
    /// Stop sending at once and forget what is waiting.
    StopTransmit,
    /// [`crate::Endpoint::deadline`] has come.
    Timeout,
}

/// What the endpoint wants done.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Send this UDPTL packet.
    Datagram(Bytes),
    /// Something was heard.
    Heard(Heard),
    /// Everything that was asked for has left.
    Sent,
}

/// Counters of one session.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    /// Packets sent, repeats not counted.
    pub packets_sent: u64,
    /// Valid packets received.
    pub packets_received: u64,
    /// Packets that were not UDPTL.
    pub packets_invalid: u64,
    /// Packets received twice or too late.
    pub packets_duplicate: u64,
    /// IFPs that were lost and recovered by redundancy or FEC.
    pub recovered: u64,
    /// IFPs that were lost for good.
    pub lost: u64,
}
