//! What we send: the sender's side of SRTP (§3.3, §3.4).

use crate::SOURCES;
use crate::key::MasterKey;
use crate::packet::{Kind, RTCP_HEADER};
use crate::session::SessionKeys;
use crate::window::Window;

/// Tag octets of SRTCP, in every profile (RFC 4568 §6.2.2).
pub(crate) const RTCP_TAG: usize = 10;

/// SRTCP's index has 31 bits, and says with the highest bit that the packet is encrypted (§3.4).
pub(crate) const ENCRYPTED: u32 = 1 << 31;

/// SRTP's index has 48 bits; beyond that the master key is used up (§9.2).
pub(crate) const INDICES: u64 = 1 << 48;

struct Source {
    ssrc: u32,
    rtp: Window,
    rtcp: u32,
}

/// Protects packets with one master key.
pub struct Outbound {
    master: MasterKey,
    rtp: SessionKeys,
    rtcp: SessionKeys,
    sources: Vec<Source>,
}

impl Outbound {
    /// Begins with this master key. `None` only for a key that no profile has.
    #[must_use]
    pub fn new(master: &MasterKey) -> Option<Outbound> {
        let (rtp, rtcp) = (SessionKeys::derive(master, 0)?, SessionKeys::derive(master, 3)?);
        Some(Outbound { master: master.clone(), rtp, rtcp, sources: Vec::new() })
    }

    /// Protects the packet of `length` octets at the beginning of `buffer`; its new length. `None`, and then it must not
    /// be sent: it is neither RTP nor RTCP, there is no room (see [`crate::OVERHEAD`]; the key's identifier comes on
    /// top), the same number was sent before, or the key is used up.
    pub fn protect(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        let kind = Kind::of(buffer.get(..length)?)?;
        let mki = self.master.mki.len();
        let (Kind::Rtp { ssrc, .. } | Kind::Rtcp { ssrc }) = kind;
        let source = source(&mut self.sources, ssrc)?;
        match kind {
            Kind::Rtp { sequence, payload, .. } => {
                let tag = self.master.profile.tag_octets();
                let index = source.rtp.index_of(sequence)?;
                // The same keystream twice would show what is under it (§9.1).
                let room = buffer.len() >= length + mki + tag;
                if index >= INDICES || !source.rtp.is_fresh(index) || !room {
                    return None;
                }
                source.rtp.note(index);
                self.rtp.apply(ssrc, index, buffer.get_mut(payload..length)?);
                let right = self.rtp.tag(buffer.get(..length)?, &rollover(index));
                append(buffer, length, &[&self.master.mki, right.get(..tag)?])
            }
            Kind::Rtcp { .. } => {
                let index = source.rtcp;
                if index >= ENCRYPTED || buffer.len() < length + 4 + mki + RTCP_TAG {
                    return None;
                }
                source.rtcp += 1;
                self.rtcp.apply(ssrc, u64::from(index), buffer.get_mut(RTCP_HEADER..length)?);
                let number = (index | ENCRYPTED).to_be_bytes();
                let right = self.rtcp.tag(buffer.get(..length)?, &number);
                append(buffer, length, &[&number, &self.master.mki, right.get(..RTCP_TAG)?])
            }
        }
    }
}

/// The upper 32 bits of an index, which packets do not carry but their tag covers.
pub(crate) fn rollover(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

fn source(sources: &mut Vec<Source>, ssrc: u32) -> Option<&mut Source> {
    let at = match sources.iter().position(|s| s.ssrc == ssrc) {
        Some(at) => at,
        None if sources.len() < SOURCES => {
            sources.push(Source { ssrc, rtp: Window::default(), rtcp: 0 });
            sources.len() - 1
        }
        None => return None,
    };
    sources.get_mut(at)
}

fn append(buffer: &mut [u8], mut at: usize, pieces: &[&[u8]]) -> Option<usize> {
    for piece in pieces {
        buffer.get_mut(at..at + piece.len())?.copy_from_slice(piece);
        at += piece.len();
    }
    Some(at)
}
