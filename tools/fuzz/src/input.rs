//! Octets as a supply of choices, so that a mutated octet changes one choice and not all that follow.

use core::time::Duration;

/// What is left of the octets. At their end everything is zero.
pub struct Choices<'a> {
    rest: &'a [u8],
}

impl<'a> Choices<'a> {
    pub fn new(octets: &'a [u8]) -> Self {
        Choices { rest: octets }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn octet(&mut self) -> u8 {
        self.rest.split_off_first().copied().unwrap_or(0)
    }

    pub fn flag(&mut self) -> bool {
        self.octet() & 1 == 1
    }

    pub fn short(&mut self) -> u16 {
        u16::from_be_bytes([self.octet(), self.octet()])
    }

    /// Less than `n`, which is not zero.
    pub fn below(&mut self, n: usize) -> usize {
        let choice = if n <= 256 { usize::from(self.octet()) } else { usize::from(self.short()) };
        choice % n
    }

    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    /// At most `n` octets.
    pub fn octets(&mut self, n: usize) -> &'a [u8] {
        let (some, rest) = self.rest.split_at(n.min(self.rest.len()));
        self.rest = rest;
        some
    }

    /// Octets with their number before them.
    pub fn piece(&mut self) -> &'a [u8] {
        let n = usize::from(self.octet());
        self.octets(n)
    }

    /// All that is left.
    pub fn all(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    pub fn wait(&mut self) -> Duration {
        Duration::from_millis(self.pick(&[0, 1, 10, 20, 75, 500, 3_000, 40_000]))
    }
}
