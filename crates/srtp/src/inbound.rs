//! What comes: the receiver's side of SRTP (§3.3, §3.4). A packet that is forged, damaged or said again changes nothing.

use crate::SOURCES;
use crate::key::MasterKey;
use crate::outbound::{ENCRYPTED, INDICES, RTCP_TAG, rollover};
use crate::packet::{Kind, RTCP_HEADER};
use crate::session::SessionKeys;
use crate::window::Window;

#[derive(Default)]
struct Source {
    ssrc: u32,
    rtp: Window,
    rtcp: Window,
}

/// Checks and decrypts packets of one master key.
pub struct Inbound {
    master: MasterKey,
    rtp: SessionKeys,
    rtcp: SessionKeys,
    sources: Vec<Source>,
}

impl Inbound {
    /// Begins with this master key. `None` only for a key that no profile has.
    #[must_use]
    pub fn new(master: &MasterKey) -> Option<Inbound> {
        let (rtp, rtcp) = (SessionKeys::derive(master, 0)?, SessionKeys::derive(master, 3)?);
        Some(Inbound { master: master.clone(), rtp, rtcp, sources: Vec::new() })
    }

    /// Checks a packet and decrypts it in its place; its length without protection. `None`: it is not the far end's, or
    /// has been before, and what stands in `packet` is worth nothing.
    pub fn unprotect(&mut self, packet: &mut [u8]) -> Option<usize> {
        let (kind, mki) = (Kind::of(packet)?, self.master.mki.len());
        let (Kind::Rtp { ssrc, .. } | Kind::Rtcp { ssrc }) = kind;
        let known = self.sources.iter().position(|s| s.ssrc == ssrc);
        if known.is_none() && self.sources.len() >= SOURCES {
            return None;
        }
        let source = known.and_then(|at| self.sources.get(at));
        let new = Source { ssrc, ..Source::default() };
        let source = source.unwrap_or(&new);
        let (mut rtp, mut rtcp) = (source.rtp, source.rtcp);
        let length = match kind {
            Kind::Rtp { sequence, payload, .. } => {
                let length = packet.len().checked_sub(mki + self.master.profile.tag_octets())?;
                let (body, rest) = packet.split_at_mut_checked(length)?;
                let (identifier, tag) = rest.split_at_checked(mki)?;
                let index = rtp.index_of(sequence)?;
                let right = |index: &u64| {
                    let fresh = rtp.is_fresh(*index) && *index < INDICES;
                    fresh && self.rtp.is_authentic(body, &rollover(*index), tag)
                };
                // The packets before the first one that came may have been those before the number went round.
                let later = (rtp.is_new() && sequence < 1 << 15).then_some(index + (1 << 16));
                let index = [Some(index), later].into_iter().flatten().find(right)?;
                if identifier != self.master.mki {
                    return None;
                }
                self.rtp.apply(ssrc, index, body.get_mut(payload..)?);
                rtp.note(index);
                length
            }
            Kind::Rtcp { .. } => {
                let length = packet.len().checked_sub(4 + mki + RTCP_TAG)?;
                let (body, rest) = packet.split_at_mut_checked(length)?;
                let (number, rest) = rest.split_first_chunk::<4>()?;
                let (identifier, tag) = rest.split_at_checked(mki)?;
                let index = u32::from_be_bytes(*number);
                let encrypted = index & ENCRYPTED != 0;
                let index = u64::from(index & !ENCRYPTED);
                let right = encrypted
                    && identifier == self.master.mki
                    && rtcp.is_fresh(index)
                    && self.rtcp.is_authentic(body, number, tag);
                if !right {
                    return None;
                }
                self.rtcp.apply(ssrc, index, body.get_mut(RTCP_HEADER..)?);
                rtcp.note(index);
                length
            }
        };
        let after = Source { ssrc, rtp, rtcp };
        match known.and_then(|at| self.sources.get_mut(at)) {
            Some(source) => *source = after,
            None => self.sources.push(after),
        }
        Some(length)
    }
}
