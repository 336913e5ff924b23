//! Where things are in a packet (RFC 3550 §5.1, §6.1; RFC 5761 §4).

/// What a packet is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Its payload begins after so many octets.
    Rtp { ssrc: u32, sequence: u16, payload: usize },
    /// What is encrypted begins after eight octets.
    Rtcp { ssrc: u32 },
}

/// Where the encrypted part of an RTCP packet begins.
pub(crate) const RTCP_HEADER: usize = 8;

impl Kind {
    /// Reads the header; `None` for what is neither, or cut off within it.
    pub(crate) fn of(packet: &[u8]) -> Option<Kind> {
        let [first, second, rest @ ..] = packet else { return None };
        if first >> 6 != 2 {
            return None;
        }
        if (192..=223).contains(second) {
            return Some(Kind::Rtcp { ssrc: u32::from_be_bytes(*rest.get(2..)?.first_chunk()?) });
        }
        let sequence = u16::from_be_bytes(*rest.first_chunk()?);
        let ssrc = u32::from_be_bytes(*packet.get(8..)?.first_chunk()?);
        let mut payload = 12 + 4 * usize::from(first & 0x0F);
        if first & 0x10 != 0 {
            let words = u16::from_be_bytes(*packet.get(payload + 2..)?.first_chunk()?);
            payload += 4 + 4 * usize::from(words);
        }
        (payload <= packet.len()).then_some(Kind::Rtp { ssrc, sequence, payload })
    }
}
