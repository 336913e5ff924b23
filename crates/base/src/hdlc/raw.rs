//! Bits as they came off the line, zeros still inserted, some of them lost.

use super::{RUN, fcs};
use bytes::{BufMut, Bytes, BytesMut};

/// Bits, of which some are not known.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Raw {
    /// First bit highest; lost ones are zero.
    bits: Vec<u64>,
    /// One where a bit is known.
    known: Vec<u64>,
    len: usize,
    lost: usize,
}

impl Raw {
    /// A frame as it goes over the line, from behind its opening flag to before its closing one.
    pub(super) fn of_frame(octets: &[u8]) -> Self {
        let mut raw = Raw::default();
        let mut ones = 0;
        for octet in octets.iter().copied().chain(fcs(octets)) {
            for shift in (0..8).rev() {
                let bit = octet >> shift & 1 == 1;
                raw.push(Some(bit));
                ones = if bit { ones + 1 } else { 0 };
                if ones == RUN {
                    raw.push(Some(false));
                    ones = 0;
                }
            }
        }
        raw
    }

    pub(super) fn clear(&mut self) {
        self.bits.clear();
        self.known.clear();
        (self.len, self.lost) = (0, 0);
    }

    /// How many bits there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// How many of them are lost.
    pub(super) fn lost(&self) -> usize {
        self.lost
    }

    pub(super) fn push(&mut self, bit: Option<bool>) {
        let mask = 1u64 << (63 - self.len % 64);
        if self.len.is_multiple_of(64) {
            self.bits.push(0);
            self.known.push(0);
        }
        self.len += 1;
        if let Some(bit) = bit {
            if bit && let Some(word) = self.bits.last_mut() {
                *word |= mask;
            }
            if let Some(word) = self.known.last_mut() {
                *word |= mask;
            }
        } else {
            self.lost += 1;
        }
    }

    /// Appends the low `count` bits (at most 32) of `bits`, the first of them highest.
    pub(super) fn push_all(&mut self, bits: u64, count: u32) {
        if count == 0 {
            return;
        }
        let used = self.len % 64;
        let mask = (1u64 << count) - 1;
        // Into the word that is being filled, and what has no room there into the next.
        let (bits, known) = ((bits & mask) << (64 - count), mask << (64 - count));
        if used > 0 {
            for (words, new) in [(&mut self.bits, bits), (&mut self.known, known)] {
                if let Some(word) = words.last_mut() {
                    *word |= new >> used;
                }
            }
        }
        if used == 0 || used + count as usize > 64 {
            let shift = (64 - used as u32) % 64;
            self.bits.push(bits << shift);
            self.known.push(known << shift);
        }
        self.len += count as usize;
    }

    /// Takes known bits off the end.
    pub(super) fn shorten(&mut self, len: usize) {
        if len >= self.len {
            return;
        }
        self.len = len;
        for words in [&mut self.bits, &mut self.known] {
            words.truncate(len.div_ceil(64));
            if let Some(word) = words.last_mut()
                && !len.is_multiple_of(64)
            {
                *word &= u64::MAX << (64 - len % 64);
            }
        }
    }

    /// The bit at `index`; none when it is lost or beyond the end.
    pub(super) fn get(&self, index: usize) -> Option<bool> {
        let mask = 1u64 << (63 - index % 64);
        let known = self.known.get(index / 64)? & mask != 0;
        known.then(|| self.bits.get(index / 64).is_some_and(|word| word & mask != 0))
    }

    /// The bits from `from` up to but not including `to`.
    pub(super) fn part(&self, from: usize, to: usize) -> Self {
        let mut part = Raw::default();
        for index in from..to.min(self.len) {
            part.push(self.get(index));
        }
        part
    }

    /// Whether eight bits from `from` on may be a flag.
    pub(super) fn may_be_flag(&self, from: usize) -> bool {
        (0..8).all(|i| self.get(from + i).is_none_or(|bit| bit == (1..7).contains(&i)))
    }

    /// How many bits both know, if they are equally long and agree in all of those.
    pub(super) fn agrees(&self, other: &Raw) -> Option<usize> {
        if self.len != other.len {
            return None;
        }
        let mut common = 0;
        for ((a, ka), (b, kb)) in self.bits.iter().zip(&self.known).zip(other.bits.iter().zip(&other.known)) {
            let both = ka & kb;
            if (a ^ b) & both != 0 {
                return None;
            }
            common += both.count_ones() as usize;
        }
        Some(common)
    }

    /// Takes what the other knows besides.
    pub(super) fn merge(&mut self, other: &Raw) {
        for (a, b) in self.bits.iter_mut().zip(&other.bits) {
            *a |= b;
        }
        let mut known = 0;
        for (a, b) in self.known.iter_mut().zip(&other.known) {
            *a |= b;
            known += a.count_ones() as usize;
        }
        self.lost = self.len - known;
    }

    /// The frame without its FCS when nothing is lost and the FCS is right.
    pub(super) fn frame(&self) -> Option<Bytes> {
        if self.lost > 0 {
            return None;
        }
        let mut octets = BytesMut::with_capacity(self.len / 8);
        let (mut state, mut data, mut held) = (0, 0u32, 0);
        let mut left = self.len;
        for line in self.bits.iter().flat_map(|word| word.to_be_bytes()) {
            if left < 8 {
                break;
            }
            left -= 8;
            let (bits, count, next) = DATA[state][usize::from(line)];
            state = usize::from(next);
            data = data << count | u32::from(bits);
            held += u32::from(count);
            if held >= 8 {
                held -= 8;
                octets.put_u8((data >> held) as u8);
            }
            if state == WRONG {
                return None;
            }
        }
        for index in self.len - left..self.len {
            let bit = self.get(index)?;
            let inserted = state == RUN as usize;
            if inserted && bit {
                return None;
            }
            state = if bit { state + 1 } else { 0 };
            if !inserted {
                data = data << 1 | u32::from(bit);
                held += 1;
            }
        }
        if held == 8 {
            octets.put_u8(data as u8);
        }
        let (frame, check) = octets.split_last_chunk::<2>()?;
        let good = held.is_multiple_of(8) && fcs(frame) == *check && !frame.is_empty();
        let length = frame.len();
        good.then(|| octets.freeze().slice(..length))
    }
}

/// In place of the ones in a row: there were too many.
const WRONG: usize = RUN as usize + 1;

/// By the ones in a row before it and eight bits on the line: the data bits, how many, and the ones at the end.
static DATA: [[(u8, u8, u8); 256]; RUN as usize + 2] = {
    let mut table = [[(0, 0, WRONG as u8); 256]; RUN as usize + 2];
    let mut before = 0;
    while before < WRONG {
        let mut line = 0;
        while line < 256 {
            let (mut bits, mut count, mut ones) = (0u8, 0u8, before);
            let mut shift = 8;
            while shift > 0 && ones < WRONG {
                shift -= 1;
                let bit = (line >> shift & 1) as u8;
                if ones < RUN as usize {
                    bits = bits << 1 | bit;
                    count += 1;
                }
                ones = if bit == 1 { ones + 1 } else { 0 };
            }
            table[before][line] = (bits, count, ones as u8);
            line += 1;
        }
        before += 1;
    }
    table
};
