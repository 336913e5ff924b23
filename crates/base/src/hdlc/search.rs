//! Every way to fill in lost bits: those that zero insertion, octets, address, control field and FCS leave
//! possible, flags among the lost bits included.

use super::raw::Raw;
use super::{FLAG, RESIDUE, check};
use bytes::Bytes;

/// A bit that was lost, among zeros and ones.
const UNKNOWN: u8 = 2;
/// More lost bits than that are not searched for.
pub(super) const MOST_LOST: usize = 16;
/// So many ways may come as far as the FCS: with more of them a wrong one would be right to the FCS more than once
/// in four times, should a bit that is there be wrong.
const MOST_WAYS: u32 = 1 << 14;
/// Steps of a search at most.
const MOST_STEPS: u32 = 1 << 19;
/// Data bits of the shortest frame with its FCS.
const SHORTEST: u32 = 40;

/// The frames (without FCS) since a flag; `closed` when another flag follows. None when there is no way or more
/// than one to fill in what was lost.
pub(super) fn search(raw: &Raw, closed: bool) -> Vec<Bytes> {
    if raw.lost() > MOST_LOST {
        return Vec::new();
    }
    let mut line: Vec<u8> = (0..raw.len()).map(|i| raw.get(i).map_or(UNKNOWN, u8::from)).collect();
    if closed {
        line.extend((0..8).rev().map(|shift| FLAG >> shift & 1));
    }
    let mut search = Search::new(&line, closed);
    search.run(Place::START, 0, 0);
    match search.found {
        Found::One(frames) if search.steps < MOST_STEPS && search.ways <= MOST_WAYS => frames,
        Found::One(_) | Found::None | Found::Several => Vec::new(),
    }
}

/// A place on the line, and what the frame that it is in has come to.
#[derive(Clone, Copy, Debug)]
struct Place {
    ones: u8,
    /// Data bits of the frame, and the FCS's register over them.
    bits: u32,
    fcs: u16,
    /// Its first 16 bits.
    head: u16,
    /// Good frames before it.
    frames: u32,
}

impl Place {
    const START: Place = Place { ones: 0, bits: 0, fcs: 0xFFFF, head: 0, frames: 0 };

    /// The place after this bit, or `None` where no frame can go on like that.
    fn after(mut self, bit: u8) -> Option<Self> {
        if bit == 1 {
            self.ones += 1;
            if self.ones == 7 {
                return None;
            }
        } else {
            let ones = core::mem::take(&mut self.ones);
            if ones == 5 {
                return Some(self);
            }
            if ones == 6 {
                return self.after_flag();
            }
        }
        self.bits += 1;
        self.fcs = check(self.fcs, bit == 1);
        if self.bits <= 16 {
            self.head = self.head << 1 | u16::from(bit);
        }
        let fits = match self.bits {
            8 => self.head == 0xFF,
            16 => self.head & !0x08 == 0xFFC0,
            _ => true,
        };
        fits.then_some(self)
    }

    /// A flag ended, of which seven bits were taken for data.
    fn after_flag(self) -> Option<Self> {
        let frames = match self.bits.checked_sub(7) {
            // Two flags with a zero in common have one less.
            Some(0) | None => self.frames,
            Some(bits) if bits >= SHORTEST && bits.is_multiple_of(8) && before_flag(self.fcs) == RESIDUE => {
                self.frames + 1
            }
            Some(_) => return None,
        };
        Some(Place { frames, ..Self::START })
    }
}

/// The FCS's register before the seven bits of a flag.
fn before_flag(fcs: u16) -> u16 {
    (1..8).fold(fcs, |fcs, shift| before_bit(fcs, FLAG >> shift & 1))
}

/// The FCS's register before a bit.
fn before_bit(fcs: u16, bit: u8) -> u16 {
    let feedback = fcs >> 15;
    let shifted = (fcs ^ if feedback == 1 { 0x8408 } else { 0 }) << 1;
    shifted | (feedback ^ u16::from(bit))
}

enum Found {
    None,
    One(Vec<Bytes>),
    Several,
}

struct Search<'a> {
    line: &'a [u8],
    closed: bool,
    /// Where the part begins that is the same whatever was lost: behind the first zero after the last lost bit.
    same: usize,
    /// The register that a frame must have there to end good, and how many data bits follow.
    wanted: (u16, u32),
    steps: u32,
    /// Ways that came as far as the FCS.
    ways: u32,
    found: Found,
}

impl<'a> Search<'a> {
    fn new(line: &'a [u8], closed: bool) -> Self {
        let last = line.iter().rposition(|bit| *bit == UNKNOWN).unwrap_or(0);
        let zero = line.iter().skip(last).position(|bit| *bit == 0);
        let same = zero.map_or(line.len(), |zero| last + zero + 1);
        // Backwards from the flag's last zero, which is no data.
        let mut data = Vec::with_capacity(line.len() - same);
        let mut ones = 0;
        let rest = line.get(same..line.len().saturating_sub(1)).unwrap_or_default();
        for bit in rest {
            let inserted = *bit == 0 && ones == 5;
            ones = if *bit == 1 { ones + 1 } else { 0 };
            if !inserted {
                data.push(*bit);
            }
        }
        let end = (1..8).rev().fold(RESIDUE, |fcs, shift| check(fcs, FLAG >> shift & 1 == 1));
        let wanted = data.iter().rev().fold(end, |fcs, bit| before_bit(fcs, *bit));
        Search {
            line,
            closed,
            same,
            wanted: (wanted, data.len() as u32),
            steps: 0,
            ways: 0,
            found: Found::None,
        }
    }

    /// Goes on from a place with all that the lost bits can be; `filled` are those before it, the last lowest.
    fn run(&mut self, mut place: Place, mut at: usize, filled: u32) {
        loop {
            self.steps += 1;
            if self.steps >= MOST_STEPS || matches!(self.found, Found::Several) {
                return;
            }
            if at == self.same || (!self.closed && place.frames > 0) {
                if self.ends_well(place) {
                    self.take(filled, at);
                }
                return;
            }
            let Some(&bit) = self.line.get(at) else { return };
            at += 1;
            if bit == UNKNOWN {
                for bit in [0, 1] {
                    if let Some(next) = place.after(bit) {
                        self.run(next, at, filled << 1 | u32::from(bit));
                    }
                }
                return;
            }
            match place.after(bit) {
                Some(next) => place = next,
                None => return,
            }
        }
    }

    /// Whether all that is left makes good frames.
    fn ends_well(&mut self, place: Place) -> bool {
        let (wanted, left) = self.wanted;
        if !self.closed || self.same == self.line.len() {
            return place.frames > 0 && place.bits == 0;
        }
        match (place.bits + left).checked_sub(7) {
            Some(0) | None => place.frames > 0,
            Some(bits) if bits >= SHORTEST && bits.is_multiple_of(8) => {
                self.ways += 1;
                place.fcs == wanted
            }
            Some(_) => false,
        }
    }

    /// These fillings of the lost bits before `end`, the last lowest, are a way.
    fn take(&mut self, filled: u32, end: usize) {
        let line = if self.closed { self.line } else { self.line.get(..end).unwrap_or_default() };
        let mut left = line.iter().filter(|bit| **bit == UNKNOWN).count();
        let filled = line.iter().map(|bit| {
            if *bit != UNKNOWN {
                return *bit;
            }
            left -= 1;
            (filled >> left) as u8 & 1
        });
        let frames = frames(filled);
        self.found = match core::mem::replace(&mut self.found, Found::None) {
            Found::None => Found::One(frames),
            Found::One(before) if before == frames => Found::One(before),
            Found::One(_) | Found::Several => Found::Several,
        };
    }
}

/// The frames, without FCS, in bits that hold good ones only.
fn frames(line: impl Iterator<Item = u8>) -> Vec<Bytes> {
    let mut frames = Vec::new();
    let (mut octets, mut part, mut count, mut ones) = (Vec::new(), 0u8, 0, 0);
    for bit in line {
        let before = ones;
        ones = if bit == 1 { before + 1 } else { 0 };
        if bit == 0 && before == 6 {
            if octets.len() > 2 {
                octets.truncate(octets.len() - 2);
                frames.push(Bytes::copy_from_slice(&octets));
            }
            octets.clear();
            count = 0;
        } else if bit == 1 || before != 5 {
            part = part << 1 | bit;
            count += 1;
            if count == 8 {
                octets.push(part);
                count = 0;
            }
        }
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::super::{Deframed, Deframer, Framer};
    use super::*;
    use crate::bits::BitSource;

    /// Random numbers, the same in every run.
    struct Random(u64);

    impl Random {
        fn below(&mut self, end: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % end
        }

        /// A frame of T.30, of `length` octets, with many ones now and then.
        fn frame(&mut self, length: usize) -> Bytes {
            let mut octets = vec![0xFF, if self.below(2) == 0 { 0xC0 } else { 0xC8 }];
            let ones = self.below(3) == 0;
            while octets.len() < length {
                octets.push(self.below(256) as u8 | if ones { self.below(256) as u8 } else { 0 });
            }
            Bytes::from(octets)
        }
    }

    fn deframe(line: &[Option<bool>]) -> Vec<Deframed> {
        let mut deframer = Deframer::new(0);
        for bit in line {
            match bit {
                Some(bit) => deframer.put(u32::from(*bit), 1),
                None => deframer.lose(1),
            }
        }
        deframer.end();
        core::iter::from_fn(|| deframer.poll()).collect()
    }

    fn burst(frames: &[Bytes]) -> Vec<Option<bool>> {
        let mut framer = Framer::new(38, frames.to_vec(), 1);
        core::iter::from_fn(|| framer.next_bit().map(Some)).collect()
    }

    fn good(out: &[Deframed]) -> Vec<&Bytes> {
        out.iter()
            .filter_map(|d| match d {
                Deframed::Frame { octets, .. } => Some(octets),
                Deframed::Flags | Deframed::Damaged | Deframed::Piece(_) => None,
            })
            .collect()
    }

    /// Anywhere in a burst of two frames, flags included: 20 ms of V.21 are seven or eight bits, 40 ms at most 14.
    #[test]
    fn lost_bits_are_found_again() {
        let mut random = Random(6);
        for (lost, least) in
            [(1, 200), (4, 200), (7, 199), (8, 198), (10, 196), (12, 190), (14, 120), (16, 30)]
        {
            let mut whole = 0;
            for _ in 0..200 {
                let length = 3 + random.below(20);
                let frames = [random.frame(length), random.frame(5)];
                let mut line = burst(&frames);
                let from = 36 * 8 + random.below(line.len() - 36 * 8 - lost);
                line[from..from + lost].fill(None);
                let out = deframe(&line);
                let good = good(&out);
                assert!(good.iter().all(|frame| frames.contains(frame)), "{lost} {from}: {out:02x?}");
                whole += usize::from(good == [&frames[0], &frames[1]]);
            }
            println!("{lost} bits lost: {whole} of 200 bursts whole");
            assert!(whole >= least, "{lost}");
        }
    }

    /// Two losses in one frame.
    #[test]
    fn lost_bits_need_not_be_together() {
        let mut random = Random(8);
        let mut whole = 0;
        for _ in 0..200 {
            let frames = [random.frame(30)];
            let mut line = burst(&frames);
            for _ in 0..2 {
                let from = 38 * 8 + random.below(line.len() - 38 * 8 - 24);
                line[from..from + 5].fill(None);
            }
            let out = deframe(&line);
            whole += usize::from(good(&out) == [&frames[0]]);
            assert!(good(&out).iter().all(|frame| frames.contains(frame)));
        }
        assert!(whole >= 195, "{whole}");
    }

    /// With a wrong bit elsewhere, what is lost is seldom filled in, and wrongly.
    #[test]
    fn a_wrong_bit_besides_is_noticed() {
        let mut random = Random(9);
        for (lost, most) in [(7, 10), (12, 150)] {
            let mut wrong = 0;
            for _ in 0..2000 {
                let frames = [random.frame(12)];
                let mut line = burst(&frames);
                let end = line.len();
                let from = 38 * 8 + random.below(end - 38 * 8 - 16 - lost);
                line[from..from + lost].fill(None);
                let at = (from + lost + random.below(60)).min(end - 17);
                line[at] = line[at].map(|bit| !bit);
                wrong += usize::from(good(&deframe(&line)).iter().any(|frame| **frame != frames[0]));
            }
            println!("{lost} bits lost and one wrong: {wrong} of 2000 frames taken wrongly");
            assert!(wrong <= most, "{lost}: {wrong}");
        }
    }

    /// What is lost among flags is no matter; nor are the last flags.
    #[test]
    fn flags_lost() {
        let frame = Bytes::from_static(&[0xFF, 0xC8, 0x31]);
        for (from, lost) in [(0, 20), (5, 100), (100, 6), (100, 60), (40, 200)] {
            let mut line = burst(core::slice::from_ref(&frame));
            line[from..from + lost].fill(None);
            let out = deframe(&line);
            assert_eq!(out.last(), Some(&Deframed::Frame { octets: frame.clone(), repaired: 0 }), "{from}");
        }
        let mut line = burst(core::slice::from_ref(&frame));
        let length = line.len();
        line[length - 16..].fill(None);
        assert_eq!(good(&deframe(&line)), [&frame]);
    }
}
