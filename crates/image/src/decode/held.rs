//! Bits in a register, for the decoders' inner loops (T.4 §4, T.6 §2).

/// Bits held in a register, the next one on top. Behind the last octet come zeros.
///
/// It is passed by value, so that it stays in registers.
#[derive(Clone, Copy)]
pub(super) struct Held {
    pub(super) bits: u64,
    /// How many of them count.
    pub(super) count: u32,
    /// The next octet to be taken.
    next: usize,
}

impl Held {
    /// The bits at this position.
    #[inline(always)]
    pub(super) fn new(octets: &[u8], pos: usize) -> Self {
        Self::none(pos).fill(octets).drop((pos % 8) as u32)
    }

    /// As `new`, if there are eight octets.
    #[inline(always)]
    pub(super) fn from_word(octets: &[u8], pos: usize) -> Option<Self> {
        Some(Self::none(pos).fill_from_word(octets)?.drop((pos % 8) as u32))
    }

    #[inline(always)]
    fn none(pos: usize) -> Self {
        Held { bits: 0, count: 0, next: pos / 8 }
    }

    /// Makes at least 56 bits count.
    #[inline(always)]
    pub(super) fn fill(self, octets: &[u8]) -> Self {
        match self.fill_from_word(octets) {
            Some(held) => held,
            None => self.fill_from_rest(octets),
        }
    }

    /// As `fill`, if there are eight octets more: all bits are then those of the data.
    #[inline(always)]
    pub(super) fn fill_from_word(self, octets: &[u8]) -> Option<Self> {
        let word = octets.get(self.next..self.next.wrapping_add(8))?.try_into().ok()?;
        let taken = (63 - self.count) / 8;
        Some(Held {
            bits: self.bits | u64::from_be_bytes(word) >> self.count,
            count: self.count.wrapping_add(taken * 8),
            next: self.next.wrapping_add(taken as usize),
        })
    }

    #[cold]
    #[inline(never)]
    fn fill_from_rest(mut self, octets: &[u8]) -> Self {
        while self.count <= 56 {
            let octet = octets.get(self.next).copied().unwrap_or(0);
            self.bits |= u64::from(octet) << (56 - self.count);
            self.next += 1;
            self.count += 8;
        }
        self
    }

    /// Without the next `n` bits.
    #[inline(always)]
    pub(super) fn drop(self, n: u32) -> Self {
        Held { bits: self.bits << n, count: self.count.wrapping_sub(n), next: self.next }
    }

    /// The position of the next bit.
    #[inline(always)]
    pub(super) fn pos(self) -> usize {
        (self.next.wrapping_mul(8)).wrapping_sub(self.count as usize)
    }
}
