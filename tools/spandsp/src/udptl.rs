//! A second, strict UDPTL, written apart from the product's so that one does not confirm the other's
//! mistakes (T.38 §9.1).

use std::collections::{BTreeMap, VecDeque};

/// Why a datagram is not UDPTL as the Recommendation prints it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed(pub &'static str);

/// What a sender adds to each datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protection {
    /// So many earlier packets.
    Redundancy(usize),
    /// Parity over `span` packets, `entries` groups interleaved.
    Fec {
        /// Packets in a group.
        span: usize,
        /// Groups.
        entries: usize,
    },
}

/// Makes datagrams of IFP packets.
#[derive(Clone, Debug)]
pub struct Sender {
    protection: Protection,
    sequence: u16,
    /// Newest first.
    history: VecDeque<Vec<u8>>,
}

impl Sender {
    /// One that starts at sequence number 0.
    #[must_use]
    pub fn new(protection: Protection) -> Self {
        Sender { protection, sequence: 0, history: VecDeque::new() }
    }

    /// The datagram with `ifp` as its primary.
    pub fn wrap(&mut self, ifp: &[u8]) -> Vec<u8> {
        let mut out = self.sequence.to_be_bytes().to_vec();
        put(&mut out, ifp);
        match self.protection {
            Protection::Fec { span, entries } if self.history.len() >= span * entries => {
                out.extend([0x80, 1, span as u8, entries as u8]);
                for group in 0..entries {
                    // history[i] has the sequence number S − 1 − i.
                    let mut parity = Vec::new();
                    for k in 1..=span {
                        xor(&mut parity, &self.history[k * entries - group - 1]);
                    }
                    put(&mut out, &parity);
                }
            }
            Protection::Redundancy(depth) | Protection::Fec { span: depth, .. } => {
                let count = depth.min(self.history.len());
                out.extend([0x00, count as u8]);
                self.history.iter().take(count).for_each(|ifp| put(&mut out, ifp));
            }
        }
        self.history.push_front(ifp.to_vec());
        self.history.truncate(64);
        self.sequence = self.sequence.wrapping_add(1);
        out
    }
}

fn put(out: &mut Vec<u8>, ifp: &[u8]) {
    match ifp.len() {
        n @ 0..128 => out.push(n as u8),
        n => out.extend((0x8000 | n as u16).to_be_bytes()),
    }
    out.extend_from_slice(ifp);
}

fn xor(sum: &mut Vec<u8>, other: &[u8]) {
    sum.resize(sum.len().max(other.len()), 0);
    sum.iter_mut().zip(other).for_each(|(a, b)| *a ^= b);
}

/// Takes datagrams apart; recovers what was lost.
#[derive(Clone, Debug, Default)]
pub struct Receiver {
    next: Option<u16>,
    known: BTreeMap<u16, Vec<u8>>,
    /// Packets made good by redundancy or parity.
    pub recovered: u64,
    /// Datagrams that carried parity.
    pub with_parity: u64,
    /// The most earlier packets seen in one datagram.
    pub deepest: usize,
}

impl Receiver {
    /// One that has heard nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The packets that `datagram` brings and that were not delivered before, oldest first.
    ///
    /// # Errors
    ///
    /// The datagram departs from the Recommendation in any way, octets behind its end included.
    pub fn unwrap(&mut self, datagram: &[u8]) -> Result<Vec<(u16, Vec<u8>)>, Malformed> {
        let mut rest = datagram;
        let sequence = u16::from_be_bytes(array(&mut rest)?);
        let primary = open(&mut rest)?;
        if primary.is_empty() {
            return Err(Malformed("empty primary"));
        }
        let mut offered = vec![(sequence, primary.clone())];
        match array::<1>(&mut rest)? {
            [0x00] => {
                let count = length(&mut rest)?;
                self.deepest = self.deepest.max(count);
                for back in 1..=count {
                    let back = u16::try_from(back).map_err(|_| Malformed("count"))?;
                    offered.push((sequence.wrapping_sub(back), open(&mut rest)?));
                }
            }
            [0x80] => {
                let [size, span] = array(&mut rest)?;
                if size != 1 {
                    return Err(Malformed("size of fec-npackets"));
                }
                let (span, entries) = (u16::from(span), length(&mut rest)? as u16);
                self.with_parity += 1;
                self.remember(&offered);
                for group in 0..entries {
                    let parity = open(&mut rest)?;
                    let members: Vec<u16> = (0..span)
                        .map(|k| {
                            sequence
                                .wrapping_add(group)
                                .wrapping_sub(span * entries)
                                .wrapping_add(k * entries)
                        })
                        .collect();
                    let missing: Vec<u16> =
                        members.iter().copied().filter(|s| !self.known.contains_key(s)).collect();
                    if let [one] = missing[..] {
                        let mut found = parity;
                        members.iter().filter_map(|s| self.known.get(s)).for_each(|ifp| xor(&mut found, ifp));
                        offered.push((one, found));
                    }
                }
            }
            _ => return Err(Malformed("choice of error recovery")),
        }
        if !rest.is_empty() {
            return Err(Malformed("octets behind the end"));
        }
        self.remember(&offered);
        // A session starts with 0, so packets lost before the first that comes are known to be missing.
        let next = self.next.unwrap_or(0);
        let mut fresh: Vec<(u16, Vec<u8>)> =
            offered.into_iter().filter(|(s, _)| s.wrapping_sub(next) < 0x8000).collect();
        fresh.sort_by_key(|(s, _)| s.wrapping_sub(next));
        if let Some((last, _)) = fresh.last() {
            self.next = Some(last.wrapping_add(1));
            self.recovered += fresh.len() as u64 - 1;
        }
        Ok(fresh)
    }

    fn remember(&mut self, offered: &[(u16, Vec<u8>)]) {
        for (sequence, ifp) in offered {
            self.known.entry(*sequence).or_insert_with(|| ifp.clone());
            self.known.retain(|s, _| sequence.wrapping_sub(*s) < 64 || s.wrapping_sub(*sequence) < 64);
        }
    }
}

fn array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Malformed> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or(Malformed("short"))?;
    *rest = tail;
    Ok(*head)
}

fn length(rest: &mut &[u8]) -> Result<usize, Malformed> {
    match array::<1>(rest)? {
        [n @ 0..0x80] => Ok(usize::from(n)),
        [n @ 0x80..0xC0] => {
            let [low] = array::<1>(rest)?;
            let n = usize::from(n & 0x3F) << 8 | usize::from(low);
            if n < 128 { Err(Malformed("long form of a short length")) } else { Ok(n) }
        }
        _ => Err(Malformed("fragmented length")),
    }
}

fn open(rest: &mut &[u8]) -> Result<Vec<u8>, Malformed> {
    let n = length(rest)?;
    let (head, tail) = rest.split_at_checked(n).ok_or(Malformed("short open type"))?;
    *rest = tail;
    Ok(head.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    // Dissected by tshark when they were made.
    const REDUNDANCY: [&[u8]; 4] = [
        &[0, 0, 1, 6, 0, 0],
        &[0, 1, 0x0c, 0xc0, 1, 0x80, 0, 6, 0xff, 0xc8, 1, 0, 0xce, 0xf8, 0x44, 0, 1, 1, 6],
        &[0, 2, 3, 0xc0, 1, 0x40, 0, 2, 0x0c, 0xc0, 1, 0x80, 0, 6, 0xff, 0xc8, 1, 0, 0xce, 0xf8, 0x44, 1, 6],
        &[
            0, 3, 1, 0, 0, 3, 3, 0xc0, 1, 0x40, 0x0c, 0xc0, 1, 0x80, 0, 6, 0xff, 0xc8, 1, 0, 0xce, 0xf8,
            0x44, 1, 6,
        ],
    ];

    #[test]
    fn redundancy_is_as_printed_and_recovers() {
        let mut sender = Sender::new(Protection::Redundancy(3));
        let ifps: [&[u8]; 4] =
            [&[6], &[0xc0, 1, 0x80, 0, 6, 0xff, 0xc8, 1, 0, 0xce, 0xf8, 0x44], &[0xc0, 1, 0x40], &[0]];
        for (ifp, want) in ifps.iter().zip(REDUNDANCY) {
            assert_eq!(sender.wrap(ifp), want);
        }
        let mut receiver = Receiver::new();
        assert_eq!(receiver.unwrap(REDUNDANCY[0]).unwrap().len(), 1);
        let got = receiver.unwrap(REDUNDANCY[3]).unwrap();
        let got: Vec<(u16, &[u8])> = got.iter().map(|(s, i)| (*s, &i[..])).collect();
        assert_eq!(got, [(1, ifps[1]), (2, ifps[2]), (3, ifps[3])]);
        assert_eq!(receiver.unwrap(REDUNDANCY[2]).unwrap(), []);
        assert_eq!(receiver.recovered, 2);
        assert_eq!(receiver.unwrap(&[0, 4, 1, 0, 0, 0, 0]), Err(Malformed("octets behind the end")));
    }

    #[test]
    fn parity_is_as_printed_and_recovers_a_burst() {
        let ifps: [&[u8]; 7] = [
            &[0],
            &[4],
            &[6],
            &[0xc0, 1, 0x80, 0, 3, 0xff, 0xc8, 1, 0],
            &[0xc0, 1, 0x80, 0, 2, 0xce, 0xf8, 0x44],
            &[0xc0, 1, 0x40],
            &[0],
        ];
        let mut sender = Sender::new(Protection::Fec { span: 3, entries: 2 });
        let datagrams: Vec<Vec<u8>> = ifps.iter().map(|ifp| sender.wrap(ifp)).collect();
        assert_eq!(
            datagrams[6],
            [
                0, 6, 1, 0, 0x80, 1, 3, 2, 8, 0xc6, 1, 0x80, 0, 2, 0xce, 0xf8, 0x44, 9, 4, 0, 0xc0, 0, 3,
                0xff, 0xc8, 1, 0
            ]
        );
        let mut receiver = Receiver::new();
        let mut got: Vec<(u16, Vec<u8>)> = Vec::new();
        for (number, datagram) in datagrams.iter().enumerate() {
            if number != 4 && number != 5 {
                got.extend(receiver.unwrap(datagram).unwrap());
            }
        }
        assert_eq!(got.iter().map(|(s, _)| *s).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(got[4].1, ifps[4]);
        assert_eq!(got[5].1[..3], *ifps[5]);
    }
}
