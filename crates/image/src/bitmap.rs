//! A page as rows of pels, one bit each (T.4 §2: a line is so many pels, each black or white).

use core::fmt;

/// The widest line that is accepted anywhere: 1200 per inch on A3 is 14592 pels, and foreign files go
/// somewhat beyond.
pub const MAX_WIDTH: u32 = 65_535;

/// A two-level image: rows of packed pels, most significant bit first, 1 = black. The pad bits
/// after the last pel of a row are always zero.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Bitmap {
    width: u32,
    rows: u32,
    stride: usize,
    data: Vec<u8>,
}

impl Bitmap {
    /// An image without rows, `width` pels wide (at most [`MAX_WIDTH`]; more is cut to that).
    #[must_use]
    pub fn new(width: u32) -> Self {
        let width = width.min(MAX_WIDTH);
        Bitmap { width, rows: 0, stride: (width as usize).div_ceil(8), data: Vec::new() }
    }

    /// A white image of `rows` rows.
    #[must_use]
    pub fn blank(width: u32, rows: u32) -> Self {
        let mut b = Self::new(width);
        b.rows = rows;
        b.data = vec![0; b.stride * rows as usize];
        b
    }

    /// An image of packed rows as they lie in memory, each `width.div_ceil(8)` octets. An incomplete
    /// last row is left out; pad bits are cleared.
    #[must_use]
    pub fn from_rows(width: u32, rows: &[u8]) -> Self {
        let mut b = Self::new(width);
        if b.stride > 0 {
            for row in rows.chunks_exact(b.stride) {
                b.push_row(row);
            }
        }
        b
    }

    /// Pels on a row.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Octets of a row.
    #[must_use]
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// All rows, one after the other.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The packed pels of row `i`; empty when there is no such row.
    #[must_use]
    pub fn row(&self, i: u32) -> &[u8] {
        let start = self.stride * i as usize;
        self.data.get(start..start + self.stride).unwrap_or(&[])
    }

    /// Appends a row. A short one is filled up with white, a long one is cut, pad bits are cleared.
    pub fn push_row(&mut self, row: &[u8]) {
        let n = row.len().min(self.stride);
        let start = self.data.len();
        self.data.extend_from_slice(row.get(..n).unwrap_or(&[]));
        self.data.resize(start + self.stride, 0);
        let pad = self.width % 8;
        if pad != 0
            && let Some(last) = self.data.last_mut()
        {
            *last &= !(0xFF >> pad);
        }
        self.rows += 1;
    }

    /// Appends the rows of another image of the same width; rows of another width are cut or filled
    /// up with white.
    pub fn append(&mut self, other: &Bitmap) {
        if other.width == self.width {
            self.data.extend_from_slice(&other.data);
            self.rows += other.rows;
        } else {
            for i in 0..other.rows {
                self.push_row(other.row(i));
            }
        }
    }

    /// Whether the pel in column `x` of row `y` is black. Outside of the image all is white.
    #[must_use]
    pub fn get(&self, x: u32, y: u32) -> bool {
        x < self.width && self.row(y).get(x as usize / 8).is_some_and(|o| o & (0x80 >> (x % 8)) != 0)
    }

    /// Makes the pel in column `x` of row `y` black or white; does nothing outside of the image.
    pub fn set(&mut self, x: u32, y: u32, black: bool) {
        if x >= self.width || y >= self.rows {
            return;
        }
        let at = self.stride * y as usize + x as usize / 8;
        if let Some(o) = self.data.get_mut(at) {
            let bit = 0x80 >> (x % 8);
            if black { *o |= bit } else { *o &= !bit }
        }
    }

    /// Cuts the image after `rows` rows, if it has more.
    pub fn truncate(&mut self, rows: u32) {
        if rows < self.rows {
            self.rows = rows;
            self.data.truncate(self.stride * rows as usize);
        }
    }

    /// How many pels are black.
    #[must_use]
    pub fn black_pels(&self) -> u64 {
        self.data.iter().map(|o| u64::from(o.count_ones())).sum()
    }

    /// Room for the next row in place, zeroed: the row counts from here on.
    pub(crate) fn grow_row(&mut self) -> &mut [u8] {
        let start = self.data.len();
        if start == 0 {
            // Most pages are A4 at fine resolution or shorter.
            self.data.reserve(self.stride.min(512) * 2400);
        }
        self.data.resize(start + self.stride, 0);
        self.rows += 1;
        self.data.get_mut(start..).unwrap_or(&mut [])
    }

    /// Appends a copy of the last row (white when there is none).
    pub(crate) fn repeat_row(&mut self) {
        let start = self.data.len();
        if start >= self.stride && self.rows > 0 {
            self.data.extend_from_within(start - self.stride..);
            self.rows += 1;
        } else {
            self.grow_row();
        }
    }

    /// The octets to be changed in place; the caller keeps the pad bits zero.
    pub(crate) fn data_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }
}

impl fmt::Debug for Bitmap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bitmap({} × {}, {} black)", self.width, self.rows, self.black_pels())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pad_bits_stay_zero_and_rows_are_cut_or_filled() {
        let mut b = Bitmap::new(11);
        b.push_row(&[0xFF, 0xFF, 0xFF]);
        b.push_row(&[0x01]);
        assert_eq!(b.data(), [0xFF, 0xE0, 0x01, 0x00]);
        assert!(b.get(10, 0) && !b.get(11, 0) && b.get(7, 1) && !b.get(7, 2));
        b.set(7, 1, false);
        b.set(11, 1, true);
        b.set(0, 2, true);
        assert_eq!(b.row(1), [0, 0]);
        assert_eq!(b.row(2), [0u8; 0]);
        assert_eq!(b, Bitmap::from_rows(11, &[0xFF, 0xFF, 0, 0x1F, 9]));
        assert_eq!(Bitmap::from_rows(0, &[1, 2]).rows(), 0);
        b.truncate(1);
        assert_eq!((b.rows(), b.data().len()), (1, 2));
    }
}
