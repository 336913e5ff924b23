//! Numbering IFPs and letting earlier ones ride along within the far end's limits (T.38 §9.1.4).

use super::{Packet, Recovery, xor_into};
use crate::api::ErrorCorrection;
use bytes::Bytes;
use core::time::Duration;
use fax_base::Instant;
use std::collections::VecDeque;

/// What the network and any peer take: no UDPTL packet is ever longer.
const MOST_OCTETS: u16 = 1400;
/// T38FaxMaxDatagram when nothing sensible is said.
const DEFAULT_OCTETS: u16 = 400;
/// Older packets do not ride along.
const OLDEST: Duration = Duration::from_millis(2500);
/// Packets under one item of parity.
const FEC_SPAN: u16 = 3;
/// Most items of parity in a packet.
const FEC_ITEMS: usize = 5;
/// Most secondaries in a packet.
const MOST_SECONDARIES: usize = 8;
/// IFPs that are remembered.
const HISTORY: usize = FEC_SPAN as usize * FEC_ITEMS + 1;

/// How long a packet and an IFP may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Octets in a datagram.
    pub datagram: usize,
    /// Octets in an IFP, chosen so that at least one earlier packet of that length can ride along.
    pub ifp: usize,
}

impl Limits {
    /// What a peer's T38FaxMaxDatagram means. Peers that say 40 to 79 mean the longest IFP, and peers
    /// that say less mean nothing.
    #[must_use]
    pub fn new(far_max_datagram: u16, correction: ErrorCorrection) -> Self {
        let (datagram, ifp) = match far_max_datagram {
            0..40 => (DEFAULT_OCTETS, u16::MAX),
            ifp @ 40..80 => (DEFAULT_OCTETS, ifp),
            datagram => (datagram.min(MOST_OCTETS), u16::MAX),
        };
        let datagram = usize::from(datagram);
        // Number 2, choice and count 2, and two octets of length for every item.
        let room = match correction {
            ErrorCorrection::None => datagram - 6,
            ErrorCorrection::Redundancy => (datagram - 8) / 2,
            ErrorCorrection::Fec => (datagram - 10) / 2,
        };
        Limits { datagram, ifp: room.min(usize::from(ifp)) }
    }
}

/// The sending half of a UDPTL session.
#[derive(Clone, Debug)]
pub struct Sender {
    correction: ErrorCorrection,
    limits: Limits,
    sequence: u16,
    /// Newest first.
    history: VecDeque<(Instant, Bytes)>,
}

impl Sender {
    /// A session that begins at sequence number 0.
    #[must_use]
    pub fn new(far_max_datagram: u16, correction: ErrorCorrection) -> Self {
        Sender {
            correction,
            limits: Limits::new(far_max_datagram, correction),
            sequence: 0,
            history: VecDeque::with_capacity(HISTORY),
        }
    }

    /// How long an IFP may be.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The packet that carries `ifp` as the next one, with up to `depth` earlier ones (or items of
    /// parity), as far as they fit: the oldest are left out first.
    #[must_use]
    pub fn packet(&mut self, now: Instant, ifp: Bytes, depth: u8) -> Bytes {
        let depth = usize::from(depth);
        let parity;
        let recovery = match self.correction {
            ErrorCorrection::None => Recovery::Secondaries(Vec::new()),
            ErrorCorrection::Redundancy => self.secondaries(now, ifp.len(), depth),
            ErrorCorrection::Fec => {
                parity = self.parity(ifp.len(), depth);
                if parity.is_empty() {
                    self.secondaries(now, ifp.len(), depth)
                } else {
                    let items = parity.iter().map(Vec::as_slice).collect();
                    Recovery::Fec { span: FEC_SPAN, items }
                }
            }
        };
        let packet = Packet { sequence: self.sequence, primary: &ifp, recovery, sound: true };
        let mut out = Vec::with_capacity(self.limits.datagram);
        // Nothing here can be too long: IFPs are cut to the limits. Were it so, nothing is sent.
        if packet.encode(&mut out).is_err() {
            out.clear();
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.history.truncate(HISTORY - 1);
        self.history.push_front((now, ifp));
        Bytes::from(out)
    }

    /// What is left for items behind a primary of this length.
    fn room(&self, primary: usize) -> usize {
        self.limits.datagram.saturating_sub(2 + item_len(primary) + 2)
    }

    fn secondaries(&self, now: Instant, primary: usize, depth: usize) -> Recovery<'_> {
        let mut room = self.room(primary);
        let items = self
            .history
            .iter()
            .take(depth.min(MOST_SECONDARIES))
            .take_while(|(at, _)| now.since(*at) <= OLDEST)
            .map_while(|(_, ifp)| {
                room = room.checked_sub(item_len(ifp.len()))?;
                Some(ifp.as_ref())
            })
            .collect();
        Recovery::Secondaries(items)
    }

    /// Interleaved parity over as many earlier packets as there are and as fit; none at the start.
    fn parity(&self, primary: usize, depth: usize) -> Vec<Vec<u8>> {
        let span = usize::from(FEC_SPAN);
        // Fec-info has a longer head: two octets for the span.
        let room = self.room(primary).saturating_sub(2);
        let most = depth.min(FEC_ITEMS).min(self.history.len() / span);
        (1..=most)
            .rev()
            .map(|m| {
                (0..m)
                    .map(|j| {
                        let mut item = Vec::new();
                        // S + j − n·m + k·m: history[0] is S − 1.
                        for k in 0..span {
                            let back = span * m - j - k * m;
                            if let Some((_, ifp)) = self.history.get(back - 1) {
                                xor_into(&mut item, ifp);
                            }
                        }
                        item
                    })
                    .collect::<Vec<_>>()
            })
            .find(|items| items.iter().map(|i| item_len(i.len())).sum::<usize>() <= room)
            .unwrap_or_default()
    }
}

/// An item with its length.
fn item_len(octets: usize) -> usize {
    octets + if octets < 128 { 1 } else { 2 }
}
