//! Bits as they came off the line, zeros still inserted, some of them lost.

use super::{RESIDUE, RUN, check, fcs};
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
        let (mut ones, mut register, mut octet, mut count) = (0, 0xFFFF, 0u8, 0usize);
        for index in 0..self.len {
            let bit = self.get(index)?;
            if ones == RUN {
                ones = 0;
                if bit {
                    return None;
                }
                continue;
            }
            ones = if bit { ones + 1 } else { 0 };
            register = check(register, bit);
            octet = octet << 1 | u8::from(bit);
            count += 1;
            if count.is_multiple_of(8) {
                octets.put_u8(octet);
            }
        }
        let good = count.is_multiple_of(8) && register == RESIDUE && octets.len() > 2;
        good.then(|| octets.freeze().slice(..count / 8 - 2))
    }
}
