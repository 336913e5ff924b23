//! The matched filter's outputs, two a symbol, that are still needed.

use super::front::Half;

/// Kept at most.
const CAPACITY: usize = 6_144;

/// A window over the outputs; indices count from the first one kept.
pub(super) struct Halves {
    re: Box<[f32; CAPACITY]>,
    im: Box<[f32; CAPACITY]>,
    lost: Box<[bool; CAPACITY]>,
    length: usize,
    /// How many were pushed since one of them was lost.
    since_lost: usize,
}

impl Halves {
    pub(super) fn new() -> Self {
        Halves {
            re: Box::new([0.0; CAPACITY]),
            im: Box::new([0.0; CAPACITY]),
            lost: Box::new([false; CAPACITY]),
            length: 0,
            since_lost: usize::MAX / 2,
        }
    }

    pub(super) fn clear(&mut self) {
        self.length = 0;
        self.since_lost = usize::MAX / 2;
    }

    /// One more; there is room, because what is not needed is forgotten in time.
    #[inline]
    pub(super) fn push(&mut self, half: Half) {
        let index = self.length.min(CAPACITY - 1);
        self.re[index] = half.re;
        self.im[index] = half.im;
        self.lost[index] = half.lost;
        self.length = index + 1;
        self.since_lost = if half.lost { 0 } else { self.since_lost + 1 };
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() >= CAPACITY - 64
    }

    /// Drops the first `count`.
    pub(super) fn forget(&mut self, count: usize) {
        let count = count.min(self.length);
        self.re.copy_within(count..self.length, 0);
        self.im.copy_within(count..self.length, 0);
        self.lost.copy_within(count..self.length, 0);
        self.length -= count;
    }

    #[inline]
    pub(super) fn window(&self, start: usize, length: usize) -> Option<(&[f32], &[f32])> {
        let end = start + length;
        if end > self.length {
            return None;
        }
        Some((self.re.get(start..end)?, self.im.get(start..end)?))
    }

    #[inline]
    pub(super) fn get(&self, index: usize) -> Option<(f32, f32)> {
        (index < self.length).then_some(())?;
        Some((*self.re.get(index)?, *self.im.get(index)?))
    }

    /// Whether one of these was lost.
    #[inline]
    pub(super) fn any_lost(&self, start: usize, end: usize) -> bool {
        if self.since_lost >= self.len() - start.min(self.len()) {
            return false;
        }
        self.lost.get(start..end.min(self.length)).is_some_and(|lost| lost.contains(&true))
    }
}
