//! The changing elements of a row: the pels whose colour differs from the one before (T.4 §4.2.1.1).

/// So many sentinels stand behind the changing elements, so that b1, b2 and a2 can always be looked
/// up.
pub(crate) const SENTINELS: usize = 4;

/// The changing elements of one row in strictly rising order, then [`SENTINELS`] times the width. The
/// first one turns white to black, the next black to white, and so on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Changes {
    pub(crate) at: Vec<u32>,
}

impl Changes {
    /// A white row.
    pub(crate) fn white(width: u32) -> Self {
        Changes { at: vec![width; SENTINELS] }
    }

    /// Those of a row of packed pels.
    pub(crate) fn find(&mut self, row: &[u8], width: u32) {
        let at = &mut self.at;
        at.clear();
        let mut carry = 0u64;
        let mut base = 0u32;
        let mut words = row.chunks_exact(8);
        for chunk in words.by_ref() {
            if let Ok(bytes) = <[u8; 8]>::try_from(chunk) {
                let w = u64::from_be_bytes(bytes);
                let mut t = w ^ (w >> 1 | carry);
                carry = w << 63;
                while t != 0 {
                    let lz = t.leading_zeros();
                    at.push(base + lz);
                    t ^= (1 << 63) >> lz;
                }
            }
            base += 64;
        }
        let rest = words.remainder();
        if !rest.is_empty() {
            let mut bytes = [0u8; 8];
            for (b, r) in bytes.iter_mut().zip(rest) {
                *b = *r;
            }
            let w = u64::from_be_bytes(bytes);
            let mut t = w ^ (w >> 1 | carry);
            while t != 0 {
                let lz = t.leading_zeros();
                at.push(base + lz);
                t ^= (1 << 63) >> lz;
            }
        }
        // A black run up to the last pel changes back in the pad bits: that is no element.
        self.seal(width);
    }

    /// Ends the row that was put together in `at`: drops elements at the width or behind it, sets the
    /// sentinels.
    pub(crate) fn seal(&mut self, width: u32) {
        while self.at.last().is_some_and(|&p| p >= width) {
            self.at.pop();
        }
        self.at.extend([width; SENTINELS]);
    }

    /// Black and white exchanged.
    pub(crate) fn invert(&mut self, width: u32) {
        if self.at.first() == Some(&0) {
            self.at.remove(0);
        } else if width > 0 {
            self.at.insert(0, 0);
        }
    }

    /// The elements without the sentinels.
    pub(crate) fn elements(&self) -> &[u32] {
        self.at.get(..self.at.len().saturating_sub(SENTINELS)).unwrap_or(&[])
    }
}

/// Paints rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Painter {
    /// The row's pels; all white between two rows.
    words: Vec<u64>,
}

impl Painter {
    /// Paints the black runs of a row into `row`, which must be white.
    pub(crate) fn paint(&mut self, changes: &Changes, row: &mut [u8]) {
        let at = &changes.at;
        // A black run that goes on to the end of the row ends at the first sentinel, in the pad bits or
        // behind them.
        let at = at.get(..changes.elements().len().next_multiple_of(2)).unwrap_or(&[]);
        let (Some(&first), Some(&last)) = (at.first(), at.last()) else {
            return;
        };
        let words = row.len() / 8 + 1;
        if self.words.len() < words {
            self.words.resize(words, 0);
        }
        for run in at.chunks_exact(2) {
            let &[from, to] = run else { continue };
            let (left, right) = (from as usize / 64, to as usize / 64);
            // All behind the run is painted twice.
            let (from, to) = (u64::MAX >> (from % 64), u64::MAX >> (to % 64));
            if left == right {
                if let Some(w) = self.words.get_mut(left) {
                    *w ^= from ^ to;
                }
            } else if let Some([first, between @ .., last]) = self.words.get_mut(left..=right) {
                *first ^= from;
                between.fill(u64::MAX);
                *last ^= !to;
            }
        }
        let first = first as usize / 64;
        let painted = self.words.get_mut(first..=last as usize / 64).unwrap_or(&mut []);
        let (whole, rest) = row.get_mut(first * 8..).unwrap_or(&mut []).as_chunks_mut::<8>();
        for (word, octets) in painted.iter_mut().zip(whole.iter_mut()) {
            *octets = core::mem::take(word).to_be_bytes();
        }
        if let Some(word) = painted.get_mut(whole.len()) {
            let octets = core::mem::take(word).to_be_bytes();
            rest.copy_from_slice(octets.get(..rest.len()).unwrap_or(&[]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn found_changes_paint_the_same_row() {
        let mut painter = Painter::default();
        for width in [1u32, 7, 8, 63, 64, 65, 100, 128, 191, 1728, 2432] {
            let stride = (width as usize).div_ceil(8);
            for seed in 0..40u32 {
                let mut x = seed.wrapping_mul(2_654_435_761) | 1;
                let mut row: Vec<u8> = (0..stride)
                    .map(|_| {
                        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        match seed % 4 {
                            0 => 0xFF,
                            1 => (x >> 24) as u8,
                            2 => [0, 0xFF, 0xF0, 1][(x >> 30) as usize],
                            _ => u8::from(x >> 28 == 0) * 0x18,
                        }
                    })
                    .collect();
                if width % 8 != 0 {
                    row[stride - 1] &= !(0xFF >> (width % 8));
                }
                let mut c = Changes::default();
                c.find(&row, width);
                assert!(c.elements().windows(2).all(|w| w[0] < w[1]));
                let mut painted = vec![0; stride];
                painter.paint(&c, &mut painted);
                assert_eq!(painted, row, "width {width} seed {seed}");
            }
        }
    }
}
