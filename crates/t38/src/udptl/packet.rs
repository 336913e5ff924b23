//! The layout of a UDPTL packet (T.38 §9.1.3, Annex A `UDPTLPacket`).

use crate::ifp::{get_length, put_length};
use core::fmt;

/// What rides along to make losses good.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Recovery<'a> {
    /// The IFPs before this one, newest first: item i is that of sequence number − 1 − i. An empty
    /// item says nothing about its place.
    Secondaries(Vec<&'a [u8]>),
    /// Parity: item j of m is that of the packets S + j − n·m + k·m, k = 0 … n − 1.
    Fec {
        /// How many packets one item covers: n.
        span: u16,
        /// The items.
        items: Vec<&'a [u8]>,
    },
}

/// One UDPTL packet.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Packet<'a> {
    /// Sequence number.
    pub sequence: u16,
    /// The IFP; empty when there is none.
    pub primary: &'a [u8],
    /// What rides along.
    pub recovery: Recovery<'a>,
    /// Everything behind the primary was as it must be, to the last octet. When it was not, what
    /// could be read of it was dropped.
    pub sound: bool,
}

/// Why octets are not a UDPTL packet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PacketError {
    /// They end before the primary does.
    Truncated,
    /// A length that does not occur.
    BadLength,
}

impl fmt::Display for PacketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PacketError::Truncated => "the datagram ends before its primary IFP does",
            PacketError::BadLength => "a length that does not occur in UDPTL",
        })
    }
}

impl core::error::Error for PacketError {}

/// Takes a PER length from the front.
fn length(octets: &mut &[u8]) -> Result<usize, PacketError> {
    if octets.is_empty() {
        return Err(PacketError::Truncated);
    }
    let (value, took) = get_length(octets).ok_or(PacketError::BadLength)?;
    *octets = octets.get(took..).unwrap_or_default();
    Ok(value)
}

/// Takes an open type from the front.
fn open_type<'a>(octets: &mut &'a [u8]) -> Result<&'a [u8], PacketError> {
    let n = length(octets)?;
    let (item, rest) = octets.split_at_checked(n).ok_or(PacketError::Truncated)?;
    *octets = rest;
    Ok(item)
}

fn items<'a>(octets: &mut &'a [u8]) -> Result<Vec<&'a [u8]>, PacketError> {
    let count = length(octets)?;
    // Every item has at least its length.
    if count > octets.len() {
        return Err(PacketError::Truncated);
    }
    (0..count).map(|_| open_type(octets)).collect()
}

impl<'a> Packet<'a> {
    /// Reads a datagram. A damaged tail does not cost the primary.
    ///
    /// # Errors
    /// When there is no primary.
    pub fn decode(datagram: &'a [u8]) -> Result<Self, PacketError> {
        let [hi, lo, rest @ ..] = datagram else {
            return Err(PacketError::Truncated);
        };
        let mut rest = rest;
        let primary = open_type(&mut rest)?;
        let (recovery, sound) = match Self::tail(&mut rest) {
            Ok(recovery) => (recovery, rest.is_empty()),
            Err(_) => (Recovery::Secondaries(Vec::new()), false),
        };
        Ok(Packet { sequence: u16::from_be_bytes([*hi, *lo]), primary, recovery, sound })
    }

    fn tail(rest: &mut &'a [u8]) -> Result<Recovery<'a>, PacketError> {
        let choice = rest.split_off_first().ok_or(PacketError::Truncated)?;
        match choice {
            0x00 => Ok(Recovery::Secondaries(items(rest)?)),
            0x80 => {
                let span = match *open_type(rest)? {
                    [n] if n < 0x80 => u16::from(n),
                    [hi, lo] if hi < 0x80 => u16::from_be_bytes([hi, lo]),
                    _ => return Err(PacketError::BadLength),
                };
                Ok(Recovery::Fec { span, items: items(rest)? })
            }
            _ => Err(PacketError::BadLength),
        }
    }

    /// Appends the packet to `out`.
    ///
    /// # Errors
    /// When something in it is longer than 16 383 octets or items, or the span is above 127.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), PacketError> {
        let put = |out: &mut Vec<u8>, octets: &[u8]| {
            put_length(out, octets.len()).ok_or(PacketError::BadLength)?;
            out.extend_from_slice(octets);
            Ok(())
        };
        out.extend_from_slice(&self.sequence.to_be_bytes());
        put(out, self.primary)?;
        let items = match &self.recovery {
            Recovery::Secondaries(items) => {
                out.push(0x00);
                items
            }
            Recovery::Fec { span, items } => {
                let span = u8::try_from(*span).ok().filter(|n| *n < 0x80);
                out.extend_from_slice(&[0x80, 0x01, span.ok_or(PacketError::BadLength)?]);
                items
            }
        };
        put_length(out, items.len()).ok_or(PacketError::BadLength)?;
        items.iter().try_for_each(|item| put(out, item))
    }
}
