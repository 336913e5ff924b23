//! Frames into bits: flags, FCS, zeros inserted (T.30 §5.3).

use super::{FLAG, RUN, fcs};
use crate::bits::BitSource;
use bytes::Bytes;

/// A burst of HDLC as a supply of bits: opening flags, frames with a flag behind each, closing flags.
#[derive(Clone, Debug)]
pub struct Framer {
    opening: u32,
    frames: Vec<Bytes>,
    closing: u32,
    /// The next frame.
    frame: usize,
    /// Its next octet, the FCS counted in.
    octet: usize,
    /// Its FCS.
    fcs: [u8; 2],
    /// Bits made and not yet taken, the next one highest of `held`.
    made: u64,
    held: u32,
    /// Ones in a row at the end of what was made of this frame.
    ones: usize,
}

impl Framer {
    /// `opening` flags, the frames (from the address octet on, without FCS) with one flag behind each, and
    /// `closing` flags more.
    #[must_use]
    pub fn new(opening: u32, frames: Vec<Bytes>, closing: u32) -> Self {
        let fcs = frames.first().map_or([0; 2], |frame| fcs(frame));
        Framer { opening, frames, closing, frame: 0, octet: 0, fcs, made: 0, held: 0, ones: 0 }
    }

    fn flag(&mut self) {
        self.made = self.made << 8 | u64::from(FLAG);
        self.held += 8;
        self.ones = 0;
    }

    fn stuff(&mut self, octet: u8) {
        let (bits, count, ones) = STUFFED[self.ones][usize::from(octet)];
        self.made = self.made << count | u64::from(bits);
        self.held += u32::from(count);
        self.ones = usize::from(ones);
    }

    /// Makes the next flag or octet; false when there is no more.
    fn make(&mut self) -> bool {
        if self.opening > 0 {
            self.opening -= 1;
            self.flag();
            return true;
        }
        let Some(frame) = self.frames.get(self.frame) else {
            let more = self.closing > 0;
            if more {
                self.closing -= 1;
                self.flag();
            }
            return more;
        };
        let octet = frame.get(self.octet).or_else(|| self.fcs.get(self.octet - frame.len())).copied();
        match octet {
            Some(octet) => {
                self.octet += 1;
                self.stuff(octet);
            }
            None => {
                self.flag();
                self.frame += 1;
                self.octet = 0;
                self.fcs = self.frames.get(self.frame).map_or([0; 2], |frame| fcs(frame));
            }
        }
        true
    }
}

impl BitSource for Framer {
    fn next_bit(&mut self) -> Option<bool> {
        let (bits, count) = self.next_bits(1);
        (count == 1).then_some(bits == 1)
    }

    fn next_bits(&mut self, count: u32) -> (u32, u32) {
        let count = count.min(32);
        while self.held < count && self.make() {}
        let count = count.min(self.held);
        self.held -= count;
        let mask = (1u64 << count) - 1;
        let bits = (self.made >> self.held & mask) as u32;
        self.made &= (1u64 << self.held) - 1;
        (bits, count)
    }
}

/// By the ones in a row before it and the octet: its bits with zeros inserted, how many, and the ones at their end.
static STUFFED: [[(u16, u8, u8); 256]; RUN as usize] = {
    let mut table = [[(0, 0, 0); 256]; RUN as usize];
    let mut before = 0;
    while before < table.len() {
        let mut octet = 0;
        while octet < 256 {
            let (mut bits, mut count, mut ones) = (0u16, 0u8, before as u8);
            let mut shift = 8;
            while shift > 0 {
                shift -= 1;
                let bit = (octet >> shift & 1) as u16;
                bits = bits << 1 | bit;
                count += 1;
                ones = if bit == 1 { ones + 1 } else { 0 };
                if ones == RUN as u8 {
                    bits <<= 1;
                    count += 1;
                    ones = 0;
                }
            }
            table[before][octet] = (bits, count, ones);
            octet += 1;
        }
        before += 1;
    }
    table
};
