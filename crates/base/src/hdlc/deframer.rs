//! Bits into frames (T.30 §5.3; T.4 Annex A).

use super::FLAG;
use super::pieces::Pieces;
use super::raw::Raw;
use super::repair::Repair;
use bytes::Bytes;
use std::collections::VecDeque;

/// So many flags in a row are no accident.
const FLAGS: u32 = 3;
/// A frame has at least an address, a control octet and its FCS, bits.
const SHORTEST: usize = 32;
/// No frame is longer, bits: 256 octets of data with header, FCS and every zero that there can be.
const LONGEST: usize = 2_560;
/// Ones in a row that abort a frame.
const ABORT: u32 = 7;

/// What came out of the bits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Deframed {
    /// Several flags in a row were seen, after none.
    Flags,
    /// A frame whose FCS is right, from the address octet on and without FCS.
    Frame {
        /// The frame.
        octets: Bytes,
        /// How many bits of it had been lost and were filled in; 0 for a frame that came whole.
        repaired: u32,
    },
    /// A frame whose FCS is wrong, or of which too much is missing.
    Damaged,
    /// The next octets of a frame that is still coming, from its address octet on; nothing follows behind a
    /// loss. Told only if asked for ([`Deframer::in_pieces`]); the frame's end is told besides.
    Piece(Bytes),
}

/// Takes bits and losses in, gives frames out.
#[derive(Clone, Debug)]
pub struct Deframer {
    /// The last eight bits, and which of them are known.
    window: u8,
    known: u8,
    ones: u32,
    /// Since the last flag.
    raw: Raw,
    /// A flag was seen and nothing has aborted what follows it.
    inside: bool,
    /// Flags in a row.
    flags: u32,
    repair: Repair,
    /// Frames are told as they come, too.
    pieces: Option<Pieces>,
    out: VecDeque<Deframed>,
}

impl Deframer {
    /// Remembers so many damaged frames, to put frames that come again together from their copies.
    #[must_use]
    pub fn new(copies: usize) -> Self {
        Deframer {
            window: 0,
            known: 0,
            ones: 0,
            raw: Raw::default(),
            inside: false,
            flags: 0,
            repair: Repair::new(copies),
            pieces: None,
            out: VecDeque::new(),
        }
    }

    /// A frame that may come, from the address octet on and without FCS: a damaged one that can be no other
    /// is taken for it.
    pub fn know(&mut self, octets: &[u8]) {
        self.repair.know(octets);
    }

    /// From now on the octets of frames are told as they come.
    pub fn in_pieces(&mut self) {
        self.pieces = Some(Pieces::default());
    }

    /// The low `count` bits of `bits`, the first received of them highest.
    pub fn put(&mut self, bits: u32, count: u32) {
        let count = count.min(32);
        if self.pieces.is_none() && self.inside && self.known == 0xFF && self.raw.len() + 32 <= LONGEST {
            // All at once where no flag ends and nothing aborts.
            let line = u64::from(self.window) << count | u64::from(bits) & ((1 << count) - 1);
            let ones = line & line >> 1 & line >> 2 & line >> 3 & line >> 4 & line >> 5;
            let flag = !line & ones >> 1 & !(line >> 7);
            let abort = ones & line >> 6;
            if (flag | abort) & ((1 << count) - 1) == 0 {
                self.raw.push_all(line, count);
                self.window = line as u8;
                self.ones = line.trailing_ones();
                return;
            }
        }
        for shift in (0..count).rev() {
            self.bit(bits >> shift & 1 == 1);
        }
        self.tell_piece();
    }

    fn tell_piece(&mut self) {
        let octets = self.pieces.as_mut().and_then(Pieces::take);
        self.out.extend(octets.map(Deframed::Piece));
    }

    /// So many bits were lost here.
    pub fn lose(&mut self, bits: u32) {
        self.ones = 0;
        if let Some(pieces) = &mut self.pieces {
            pieces.lose();
        }
        if bits as usize > LONGEST {
            self.abort();
        }
        for _ in 0..bits.min(LONGEST as u32) {
            self.window <<= 1;
            self.known <<= 1;
            self.push(None);
        }
    }

    /// The signal is over: what follows has nothing to do with it. What copies were remembered still is.
    pub fn end(&mut self) {
        if self.inside && self.raw.lost() > 0 {
            // The last flag may be among what is lost.
            self.settle(false);
        }
        self.abort();
        (self.known, self.flags) = (0, 0);
    }

    /// The next thing that came out.
    pub fn poll(&mut self) -> Option<Deframed> {
        self.out.pop_front()
    }

    fn bit(&mut self, bit: bool) {
        self.window = self.window << 1 | u8::from(bit);
        self.known = self.known << 1 | 1;
        self.ones = if bit { self.ones + 1 } else { 0 };
        self.push(Some(bit));
        if let Some(pieces) = self.pieces.as_mut().filter(|_| self.inside) {
            pieces.bit(bit);
        }
        if self.known == 0xFF && self.window == FLAG {
            self.flag();
        } else if self.ones == ABORT {
            self.abort();
            self.flags = 0;
        }
    }

    fn push(&mut self, bit: Option<bool>) {
        if self.inside {
            self.raw.push(bit);
            if self.raw.len() > LONGEST + 8 {
                if let Some(pieces) = &mut self.pieces {
                    pieces.end();
                }
                self.abort();
                self.out.push_back(Deframed::Damaged);
            }
        }
    }

    fn abort(&mut self) {
        self.inside = false;
        self.raw.clear();
        self.tell_piece();
        if self.pieces.as_mut().is_some_and(Pieces::end) {
            // Who was told its beginning learns that it has no end.
            self.out.push_back(Deframed::Damaged);
        }
    }

    fn flag(&mut self) {
        if self.inside {
            // The flag itself, of which the first zero may have been the last one's of the flag before.
            let content = self.raw.len().saturating_sub(8);
            let between = (0..content / 8).all(|n| self.raw.may_be_flag(8 * n));
            if between && content.is_multiple_of(8) {
                self.flags = self.flags.saturating_add(1 + (content / 8) as u32);
            } else {
                self.raw.shorten(content);
                self.settle(true);
                self.flags = 1;
            }
        } else {
            self.flags = 1;
        }
        if self.flags >= FLAGS && self.flags != u32::MAX {
            self.out.push_back(Deframed::Flags);
            // Not again until they have stopped.
            self.flags = u32::MAX;
        }
        self.inside = true;
        self.raw.clear();
        if let Some(pieces) = &mut self.pieces {
            pieces.begin();
        }
    }

    /// What was since a flag; `closed` when another followed.
    fn settle(&mut self, closed: bool) {
        self.tell_piece();
        let begun = self.pieces.as_mut().is_some_and(Pieces::end);
        let before = self.out.len();
        self.settle_raw(closed);
        if begun && self.out.len() == before {
            self.out.push_back(Deframed::Damaged);
        }
    }

    fn settle_raw(&mut self, closed: bool) {
        if self.raw.len() < SHORTEST {
            return;
        }
        if let Some(octets) = self.raw.frame() {
            self.repair.came(&self.raw);
            self.out.push_back(Deframed::Frame { octets, repaired: 0 });
            return;
        }
        let lost = self.raw.lost() as u32;
        let found = if lost > 0 { self.repair.repair(&self.raw, closed) } else { Vec::new() };
        if found.is_empty() {
            self.out.push_back(Deframed::Damaged);
        }
        self.out.extend(found.into_iter().map(|octets| Deframed::Frame { octets, repaired: lost }));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::single_range_in_vec_init)] // one range of lost bits

    use super::super::Framer;
    use super::*;
    use crate::bits::BitSource;

    fn frames() -> Vec<Bytes> {
        let mut long = vec![0xFF, 0xC0, 0x60, 0x80];
        long.extend((0..256u32).map(|i| (i * 91 % 256) as u8));
        vec![
            Bytes::from_static(&[0xFF, 0xC8, 0x8C]),
            Bytes::from_static(&[0xFF, 0xC8, 0xFD, 0xF4, 0x00, 0x00, 0xB8]),
            Bytes::from(vec![0xFF; 35]),
            Bytes::from(long),
        ]
    }

    /// The bits of a burst; those in `lost` are lost.
    fn deframe(
        deframer: &mut Deframer,
        burst: Vec<Bytes>,
        lost: &[core::ops::Range<usize>],
    ) -> Vec<Deframed> {
        let mut framer = Framer::new(10, burst, 2);
        let mut at = 0;
        while let Some(bit) = framer.next_bit() {
            if lost.iter().any(|range| range.contains(&at)) {
                deframer.lose(1);
            } else {
                deframer.put(u32::from(bit), 1);
            }
            at += 1;
        }
        deframer.end();
        core::iter::from_fn(|| deframer.poll()).collect()
    }

    fn whole(octets: &Bytes) -> Deframed {
        Deframed::Frame { octets: octets.clone(), repaired: 0 }
    }

    #[test]
    fn frames_go_through() {
        let mut want = vec![Deframed::Flags];
        want.extend(frames().iter().map(whole));
        want.push(Deframed::Flags);
        assert_eq!(deframe(&mut Deframer::new(0), frames(), &[]), want);
    }

    #[test]
    fn bits_are_the_same_however_many_are_taken() {
        let take = |size: u32| {
            let mut framer = Framer::new(2, frames(), 1);
            let mut bits = Vec::new();
            loop {
                let (word, count) = framer.next_bits(size);
                bits.extend((0..count).rev().map(|i| word >> i & 1));
                if count < size {
                    return bits;
                }
            }
        };
        let single = take(1);
        for size in [3, 6, 8, 31, 32] {
            assert_eq!(take(size), single, "{size}");
        }
    }

    /// Frames, losses, aborts and nonsense.
    #[test]
    fn frames_are_the_same_however_many_bits_come_at_once() {
        let mut x = 7u32;
        let mut next = move || {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            x >> 8
        };
        let mut line: Vec<Option<bool>> = Vec::new();
        for round in 0..60 {
            let mut framer = Framer::new(2, frames(), 1);
            let start = line.len();
            line.extend(core::iter::from_fn(|| framer.next_bit().map(Some)));
            let at = start + next() as usize % (line.len() - start - 40);
            match round % 4 {
                0 => line[at..at + 9].fill(None),
                1 => line[at..at + 40].fill(Some(true)),
                2 => line.extend((0..300).map(|_| Some(next() & 1 == 1))),
                _ => {}
            }
        }
        let mut single = Deframer::new(4);
        for bit in &line {
            match bit {
                Some(bit) => single.put(u32::from(*bit), 1),
                None => single.lose(1),
            }
        }
        single.end();
        let want: Vec<_> = core::iter::from_fn(|| single.poll()).collect();
        assert!(want.iter().filter(|d| matches!(d, Deframed::Frame { .. })).count() > 200);
        for most in [4, 6, 13, 32] {
            let mut deframer = Deframer::new(4);
            let mut left = line.as_slice();
            while let Some(first) = left.first() {
                let most = 1 + next() as usize % most;
                let count = left.iter().take(most).take_while(|b| b.is_some() == first.is_some()).count();
                let word = left[..count].iter().fold(0, |word, b| word << 1 | u32::from(*b == Some(true)));
                if first.is_some() {
                    deframer.put(word, count as u32);
                } else {
                    deframer.lose(count as u32);
                }
                left = &left[count..];
            }
            deframer.end();
            let out: Vec<_> = core::iter::from_fn(|| deframer.poll()).collect();
            assert_eq!(out, want, "{most}");
        }
    }

    /// Pieces are the frames, in order and without their FCS, and none is told of what nobody knows.
    #[test]
    fn pieces_make_the_frames_that_follow_them() {
        for lost in [&[][..], &[380..389], &[150..190, 700..1100]] {
            let mut deframer = Deframer::new(4);
            deframer.in_pieces();
            let out = deframe(&mut deframer, frames(), lost);
            let (mut piece, mut ends) = (Vec::new(), 0);
            for out in &out {
                match out {
                    Deframed::Piece(octets) => piece.extend_from_slice(octets),
                    Deframed::Frame { octets, .. } => {
                        assert!(octets.starts_with(&piece), "{octets:02x?} {piece:02x?}");
                        // All but what might have been the FCS.
                        assert!(!lost.is_empty() || piece.len() + 1 >= octets.len());
                        piece.clear();
                        ends += 1;
                    }
                    Deframed::Damaged => {
                        piece.clear();
                        ends += 1;
                    }
                    Deframed::Flags => {}
                }
            }
            assert!(piece.is_empty());
            assert!(!lost.is_empty() || ends == frames().len());
        }
    }

    #[test]
    fn a_wrong_bit_is_noticed() {
        let frame = frames()[1].clone();
        let mut framer = Framer::new(4, vec![frame.clone()], 2);
        let bits: Vec<bool> = core::iter::from_fn(|| framer.next_bit()).collect();
        for wrong in 40..bits.len() - 32 {
            let mut deframer = Deframer::new(4);
            for (at, bit) in bits.iter().enumerate() {
                deframer.put(u32::from(*bit != (at == wrong)), 1);
            }
            deframer.end();
            assert!(core::iter::from_fn(|| deframer.poll()).all(|d| d != whole(&frame)), "{wrong}");
        }
    }

    #[test]
    fn a_few_lost_bits_are_found_by_the_fcs() {
        let frame = frames()[1].clone();
        for from in 82..150 {
            let out = deframe(&mut Deframer::new(0), vec![frame.clone()], &[from..from + 7]);
            let found = out.iter().find_map(|d| match d {
                Deframed::Frame { octets, .. } => Some(octets.clone()),
                Deframed::Flags | Deframed::Damaged | Deframed::Piece(_) => None,
            });
            assert_eq!(found, Some(frame.clone()), "{from} {out:?}");
        }
    }

    #[test]
    fn a_known_frame_is_found_though_its_flag_is_lost() {
        let mut deframer = Deframer::new(0);
        for fcf in 0..=255 {
            deframer.know(&[0xFF, 0xC8, fcf]);
        }
        for from in 60..130 {
            let frame = frames()[0].clone();
            let out = deframe(&mut deframer.clone(), vec![frame.clone()], &[from..from + 7]);
            let good = out.iter().any(|d| matches!(d, Deframed::Frame { octets, .. } if *octets == frame));
            assert!(good, "{from} {out:?}");
        }
    }

    #[test]
    fn two_copies_make_one_frame() {
        let frame = frames()[3].clone();
        let mut deframer = Deframer::new(16);
        let out = deframe(&mut deframer, vec![frame.clone()], &[300..588]);
        assert_eq!(out[..2], [Deframed::Flags, Deframed::Damaged]);
        let out = deframe(&mut deframer, vec![frame.clone()], &[900..1188, 1500..1600]);
        assert_eq!(out[1], Deframed::Frame { octets: frame, repaired: 388 });
    }

    #[test]
    fn copies_of_different_frames_are_not_mixed() {
        let other = |number: u8| {
            let mut octets = frames()[3].to_vec();
            octets[3] = number;
            octets[200] ^= number;
            Bytes::from(octets)
        };
        let mut deframer = Deframer::new(16);
        for number in 0..16 {
            let out = deframe(&mut deframer, vec![other(number)], &[300..588]);
            assert!(out.contains(&Deframed::Damaged), "{number} {out:?}");
        }
        for number in 0..16 {
            let out = deframe(&mut deframer, vec![other(number)], &[900..1188]);
            let want = Deframed::Frame { octets: other(number), repaired: 288 };
            assert!(out.contains(&want), "{number} {out:?}");
        }
    }

    #[test]
    fn nonsense_stays_small() {
        let mut deframer = Deframer::new(4);
        let mut x = 1u32;
        for _ in 0..200_000 {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if x >> 28 == 0 {
                deframer.lose(x >> 8);
            } else {
                deframer.put(x >> 8, 24);
            }
            while let Some(out) = deframer.poll() {
                assert!(!matches!(out, Deframed::Frame { repaired: 0, .. }));
            }
        }
    }
}
