//! Mirroring and transposing a page (TIFF 6.0, Orientation; also for scaling along columns).

use crate::Bitmap;
use crate::changes::{Changes, Painter};

/// Columns become rows.
pub(crate) fn transpose(from: &Bitmap) -> Bitmap {
    let mut to = Bitmap::blank(from.rows(), from.width());
    let (from_stride, to_stride) = (from.stride(), to.stride());
    let data = from.data();
    let out = to.data_mut();
    for band in 0..(from.rows() as usize).div_ceil(8) {
        for column in 0..from_stride {
            let mut block = 0u64;
            for i in 0..8 {
                let octet = data.get((band * 8 + i) * from_stride + column);
                block = block << 8 | u64::from(octet.copied().unwrap_or(0));
            }
            if block == 0 {
                continue;
            }
            for (i, octet) in transpose_8x8(block).to_be_bytes().into_iter().enumerate() {
                if let Some(o) = out.get_mut((column * 8 + i) * to_stride + band) {
                    *o = octet;
                }
            }
        }
    }
    to
}

/// Eight rows of eight pels, the first row in the highest octet.
fn transpose_8x8(mut x: u64) -> u64 {
    // Exchange single pels, then 2 × 2 blocks, then 4 × 4 blocks across the diagonal.
    let t = (x ^ (x >> 7)) & 0x00AA_00AA_00AA_00AA;
    x ^= t ^ (t << 7);
    let t = (x ^ (x >> 14)) & 0x0000_CCCC_0000_CCCC;
    x ^= t ^ (t << 14);
    let t = (x ^ (x >> 28)) & 0x0000_0000_F0F0_F0F0;
    x ^ t ^ (t << 28)
}

/// Left and right exchanged.
pub(crate) fn mirror(from: &Bitmap) -> Bitmap {
    let width = from.width();
    let mut to = Bitmap::new(width);
    let (mut row, mut mirrored) = (Changes::default(), Changes::default());
    let mut painter = Painter::default();
    for i in 0..from.rows() {
        row.find(from.row(i), width);
        mirrored.at.clear();
        let odd = row.elements().len() % 2;
        // The last black run may end at the right edge; then the mirrored one begins at 0.
        let edge = (odd == 1).then_some(0);
        mirrored.at.extend(edge);
        mirrored.at.extend(row.elements().iter().rev().map(|p| width - p).filter(|&p| p < width));
        mirrored.seal(width);
        painter.paint(&mirrored, to.grow_row());
    }
    to
}

/// Top and bottom exchanged.
pub(crate) fn flip(from: &Bitmap) -> Bitmap {
    let mut to = Bitmap::new(from.width());
    for i in (0..from.rows()).rev() {
        to.push_row(from.row(i));
    }
    to
}

/// The upright page of one that is stored with this TIFF Orientation.
pub(crate) fn upright(stored: Bitmap, orientation: u32) -> Bitmap {
    match orientation {
        2 => mirror(&stored),
        3 => flip(&mirror(&stored)),
        4 => flip(&stored),
        5 => transpose(&stored),
        6 => mirror(&transpose(&stored)),
        7 => flip(&mirror(&transpose(&stored))),
        8 => flip(&transpose(&stored)),
        _ => stored,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_orientations_move_the_pels_where_tiff_says() {
        let (w, h) = (37, 21);
        let mut map = Bitmap::blank(w, h);
        let mut x = 1u32;
        for y in 0..h {
            for i in 0..w {
                x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                map.set(i, y, x >> 31 == 1);
            }
        }
        for orientation in 1..=8 {
            let up = upright(map.clone(), orientation);
            let size = if orientation < 5 { (w, h) } else { (h, w) };
            assert_eq!((up.width(), up.rows()), size);
            for r in 0..h {
                for c in 0..w {
                    // Row 0 of the stored page is this side of the upright one, column 0 that.
                    let (ux, uy) = match orientation {
                        1 => (c, r),
                        2 => (w - 1 - c, r),
                        3 => (w - 1 - c, h - 1 - r),
                        4 => (c, h - 1 - r),
                        5 => (r, c),
                        6 => (h - 1 - r, c),
                        7 => (h - 1 - r, w - 1 - c),
                        _ => (r, w - 1 - c),
                    };
                    assert_eq!(up.get(ux, uy), map.get(c, r), "{orientation}: {c} {r}");
                }
            }
        }
    }
}
