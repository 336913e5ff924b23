//! Which datagrams of a capture are the call: media between two addresses, RTP with G.711 or UDPTL (RFC 3550,
//! RFC 3551, T.38 §9).

use super::capture::{Capture, Datagram};
use anyhow::{Result, bail};
use fax_base::Instant;
use fax_dsp::Law;
use fax_t38::ifp::{Decoder, Ifp};
use fax_t38::udptl::Packet;
use rtp_types::RtpPacket;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;

/// Pairs of addresses that are counted; in a larger capture the later ones are left out.
const MAX_PAIRS: usize = 10_000;
/// So many packets make a flow.
const LEAST: u64 = 5;

/// Two addresses that talk with each other, the lower one first.
type Pair = (SocketAddr, SocketAddr);

/// What is in a datagram.
pub(super) enum Media<'a> {
    /// G.711 in RTP.
    Audio { ssrc: u32, timestamp: u32, law: Law, octets: &'a [u8] },
    /// A UDPTL packet.
    T38,
}

/// What a datagram carries, if it is media that is looked at here.
pub(super) fn media(payload: &[u8]) -> Option<Media<'_>> {
    if let Ok(rtp) = RtpPacket::parse(payload) {
        let law = match rtp.payload_type() {
            0 => Law::Mu,
            8 => Law::A,
            _ => return None,
        };
        let end = payload.len().saturating_sub(usize::from(rtp.padding().unwrap_or(0)));
        let octets = payload.get(end.saturating_sub(rtp.payload().len())..end)?;
        return Some(Media::Audio { ssrc: rtp.ssrc(), timestamp: rtp.timestamp(), law, octets });
    }
    let packet = Packet::decode(payload).ok()?;
    match Decoder::new(0).decode(packet.primary, true) {
        Ok(Ifp::Indicator(_) | Ifp::Data { .. }) => Some(Media::T38),
        Err(_) => None,
    }
}

/// What goes on between two addresses.
#[derive(Clone, Copy, Default, Debug)]
struct Count {
    audio: u64,
    t38: u64,
    first: u64,
    last: u64,
}

/// The call of a capture.
pub(super) struct Flows {
    /// Its pairs of addresses: one, or two when T.38 went between other ports than the audio.
    pairs: Vec<Pair>,
    /// Who sends as the first wire, by address and port: whoever sent first.
    first: Vec<SocketAddr>,
    /// When its first packet came, µs since 1970.
    pub(super) start: u64,
    /// What a person should know.
    pub(super) notes: Vec<String>,
}

impl Flows {
    /// Looks through a capture for the call: the pair of addresses with the most media.
    pub(super) fn find(path: &Path) -> Result<Flows> {
        let mut capture = Capture::open(path)?;
        let mut counts: HashMap<Pair, Count> = HashMap::new();
        while let Some(datagram) = capture.next() {
            let Some(media) = media(&datagram.payload) else { continue };
            let room = counts.len() < MAX_PAIRS;
            let entry = counts.entry(pair(&datagram));
            let count = match entry {
                std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::hash_map::Entry::Vacant(new) if room => {
                    new.insert(Count { first: datagram.at, ..Count::default() })
                }
                std::collections::hash_map::Entry::Vacant(_) => continue,
            };
            count.last = count.last.max(datagram.at);
            match media {
                Media::Audio { .. } => count.audio += 1,
                Media::T38 => count.t38 += 1,
            }
        }
        let mut notes: Vec<String> =
            capture.damage.iter().map(|d| format!("The capture is not whole: {d}.")).collect();
        if capture.fragments > 0 {
            notes.push(format!("{} pieces of fragmented datagrams are left out.", capture.fragments));
        }
        let mut pairs: Vec<(Pair, Count)> =
            counts.into_iter().filter(|(_, c)| c.audio + c.t38 >= LEAST).collect();
        // The most first; among equals the earliest, so that the same file always gives the same call.
        pairs.sort_by_key(|(pair, c)| (std::cmp::Reverse(c.audio.max(c.t38 * 2)), c.first, *pair));
        let Some((main, count)) = pairs.first().copied() else {
            bail!("{} has no fax media: neither RTP with G.711 nor UDPTL", path.display());
        };
        let hosts = |(a, b): Pair| (a.ip(), b.ip());
        // The other half of a call whose media changed ports with the change to T.38.
        let other = pairs.iter().skip(1).find(|(pair, c)| {
            hosts(*pair) == hosts(main)
                && (c.t38 > 0) != (count.t38 > 0)
                && (c.first > count.last) != (c.last < count.first)
        });
        let chosen: Vec<(Pair, Count)> = std::iter::once((main, count)).chain(other.copied()).collect();
        if pairs.len() > chosen.len() {
            notes.push(format!(
                "The capture has media of {} other pairs of addresses; this is the call between {} and {}.",
                pairs.len() - chosen.len(),
                main.0,
                main.1
            ));
        }
        Ok(Flows {
            start: chosen.iter().map(|(_, c)| c.first).min().unwrap_or_default(),
            pairs: chosen.into_iter().map(|(pair, _)| pair).collect(),
            first: Vec::new(),
            notes,
        })
    }

    /// Whether a datagram is of the call; if so, whether it comes from the end that spoke first, and when.
    pub(super) fn side(&mut self, datagram: &Datagram) -> Option<(bool, Instant)> {
        if !self.pairs.contains(&pair(datagram)) {
            return None;
        }
        let at = Instant::from_micros(datagram.at.saturating_sub(self.start));
        if self.first.is_empty() {
            self.first.push(datagram.from);
        }
        let known = self.first.contains(&datagram.from);
        // The same host on another port is the same end, unless both ends are one host.
        let hosts_differ = datagram.from.ip() != datagram.to.ip();
        let same_host = hosts_differ && self.first.iter().any(|f| f.ip() == datagram.from.ip());
        Some((known || same_host, at))
    }

    /// The addresses, for people.
    pub(super) fn describe(&self) -> String {
        let pairs: Vec<String> = self.pairs.iter().map(|(a, b)| format!("{a} and {b}")).collect();
        pairs.join(", ")
    }
}

fn pair(datagram: &Datagram) -> Pair {
    (datagram.from.min(datagram.to), datagram.from.max(datagram.to))
}
