//! The matched filter's outputs, two a symbol, that are still needed.

use super::front::Half;

/// Kept at most.
const CAPACITY: usize = 6_144;

/// A window over the outputs; indices count from the first one kept.
pub(super) struct Halves {
    re: Vec<f32>,
    im: Vec<f32>,
    lost: Vec<bool>,
    /// How many were pushed since one of them was lost.
    since_lost: usize,
}

impl Halves {
    pub(super) fn new() -> Self {
        Halves {
            re: Vec::with_capacity(CAPACITY),
            im: Vec::with_capacity(CAPACITY),
            lost: Vec::with_capacity(CAPACITY),
            since_lost: usize::MAX / 2,
        }
    }

    pub(super) fn clear(&mut self) {
        self.re.clear();
        self.im.clear();
        self.lost.clear();
        self.since_lost = usize::MAX / 2;
    }

    #[inline]
    pub(super) fn push(&mut self, half: Half) {
        self.re.push(half.re);
        self.im.push(half.im);
        self.lost.push(half.lost);
        self.since_lost = if half.lost { 0 } else { self.since_lost + 1 };
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.re.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() >= CAPACITY - 64
    }

    /// Drops the first `count`.
    pub(super) fn forget(&mut self, count: usize) {
        let count = count.min(self.len());
        self.re.drain(..count);
        self.im.drain(..count);
        self.lost.drain(..count);
    }

    #[inline]
    pub(super) fn window(&self, start: usize, length: usize) -> Option<(&[f32], &[f32])> {
        Some((self.re.get(start..start + length)?, self.im.get(start..start + length)?))
    }

    #[inline]
    pub(super) fn get(&self, index: usize) -> Option<(f32, f32)> {
        Some((*self.re.get(index)?, *self.im.get(index)?))
    }

    /// Whether one of these was lost.
    #[inline]
    pub(super) fn any_lost(&self, start: usize, end: usize) -> bool {
        if self.since_lost >= self.len() - start.min(self.len()) {
            return false;
        }
        self.lost.get(start..end.min(self.len())).is_some_and(|lost| lost.contains(&true))
    }
}
