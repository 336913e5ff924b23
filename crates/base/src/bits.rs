//! Bit order and bit streams.
//!
//! Everywhere in ferrofax octets are in *printed order*: the first bit on the line is the most
//! significant bit of its octet (T.30's own notation, and T.38's order for `hdlc-data` and
//! `t4-non-ecm-data`). Numbers that T.30 sends least significant bit first (frame numbers, counters,
//! characters) therefore pass through [`reverse`] where they are read or written.

/// The octet with its bits in the opposite order.
#[must_use]
pub const fn reverse(octet: u8) -> u8 {
    octet.reverse_bits()
}

/// A supply of bits for a modem: `None` when there are no more and the carrier may drop.
pub trait BitSource {
    /// The next bit to be sent.
    fn next_bit(&mut self) -> Option<bool>;

    /// Up to `count` (at most 32) bits at once, the first of them highest, and how many there were:
    /// fewer than asked for when there are no more.
    fn next_bits(&mut self, count: u32) -> (u32, u32) {
        let mut bits = 0;
        for got in 0..count {
            match self.next_bit() {
                Some(bit) => bits = (bits << 1) | u32::from(bit),
                None => return (bits, got),
            }
        }
        (bits, count)
    }
}

/// The bits of a slice of octets in printed order.
#[derive(Clone, Debug)]
pub struct OctetBits<'a> {
    octets: &'a [u8],
    next: usize,
}

impl<'a> OctetBits<'a> {
    /// All bits of `octets`.
    #[must_use]
    pub fn new(octets: &'a [u8]) -> Self {
        OctetBits { octets, next: 0 }
    }
}

impl BitSource for OctetBits<'_> {
    fn next_bit(&mut self) -> Option<bool> {
        let octet = *self.octets.get(self.next / 8)?;
        let bit = octet & (0x80 >> (self.next % 8)) != 0;
        self.next += 1;
        Some(bit)
    }
}

/// Appends bits to octets in printed order.
#[derive(Clone, Debug, Default)]
pub struct BitWriter {
    octets: Vec<u8>,
    acc: u64,
    held: u32,
}

impl BitWriter {
    /// An empty writer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the low `count` bits of `bits` (at most 32), highest first.
    pub fn put(&mut self, bits: u32, count: u32) {
        debug_assert!(count <= 32);
        let mask = (1u64 << count) - 1;
        self.acc = (self.acc << count) | (u64::from(bits) & mask);
        self.held += count;
        while self.held >= 8 {
            self.held -= 8;
            self.octets.push((self.acc >> self.held) as u8);
        }
        self.acc &= (1u64 << self.held) - 1;
    }

    /// How many bits were written.
    #[must_use]
    pub fn bit_len(&self) -> u64 {
        self.octets.len() as u64 * 8 + u64::from(self.held)
    }

    /// Fills the last octet with zeros.
    pub fn align(&mut self) {
        if self.held > 0 {
            self.put(0, 8 - self.held);
        }
    }

    /// The octets, the last one filled with zeros.
    #[must_use]
    pub fn into_octets(mut self) -> Vec<u8> {
        self.align();
        self.octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writer_and_source_agree() {
        let mut w = BitWriter::new();
        w.put(0b101, 3);
        w.put(0xFFFF_FFFF, 32);
        w.put(0, 2);
        assert_eq!(w.bit_len(), 37);
        let octets = w.into_octets();
        assert_eq!(octets, [0xBF, 0xFF, 0xFF, 0xFF, 0xE0]);
        let mut s = OctetBits::new(&octets);
        let bits: Vec<bool> = core::iter::from_fn(|| s.next_bit()).collect();
        assert_eq!(bits.len(), 40);
        assert!(bits[0] && !bits[1] && bits[2] && bits[34] && !bits[35]);
        assert_eq!(reverse(0x2C), 0x34);
    }
}
