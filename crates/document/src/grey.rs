//! A page in shades of grey, before it is decided what becomes ink, or in colour.

/// Rows of grey octets, 0 = black, 255 = white.
pub(crate) type Grey = Raster<u8>;

/// Rows of pels in sRGB.
pub(crate) type Rgb = Raster<[u8; 3]>;

/// Rows of pels.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Raster<P> {
    /// Pels on a row, at least 1.
    pub(crate) width: usize,
    /// Rows, at least 1.
    pub(crate) rows: usize,
    /// `width × rows` pels.
    pub(crate) data: Vec<P>,
}

impl Grey {
    /// A white page.
    pub(crate) fn white(width: usize, rows: usize) -> Self {
        Grey { width, rows, data: vec![255; width * rows] }
    }

    /// Row `y`; empty when there is none.
    pub(crate) fn row(&self, y: usize) -> &[u8] {
        self.data.get(y * self.width..(y + 1) * self.width).unwrap_or(&[])
    }
}

impl Rgb {
    /// A white page.
    pub(crate) fn white(width: usize, rows: usize) -> Self {
        Rgb { width, rows, data: vec![[255; 3]; width * rows] }
    }

    /// In shades of grey.
    pub(crate) fn to_grey(&self) -> Grey {
        let data = self.data.iter().map(|[r, g, b]| grey_of(*r, *g, *b)).collect();
        Grey { width: self.width, rows: self.rows, data }
    }
}

impl<P: Copy> Raster<P> {
    /// Turned clockwise by a quarter.
    pub(crate) fn turned(&self) -> Self {
        let mut out = Raster { width: self.rows, rows: self.width, data: self.data.clone() };
        for (y, row) in self.data.chunks_exact(self.width.max(1)).enumerate() {
            let column = self.rows - 1 - y;
            for (x, &v) in row.iter().enumerate() {
                if let Some(o) = out.data.get_mut(x * self.rows + column) {
                    *o = v;
                }
            }
        }
        out
    }
}

/// The grey of a colour: luminance (ITU-R BT.601), a little darker for saturated colours, so that
/// yellow and cyan writing does not vanish.
pub(crate) fn grey_of(r: u8, g: u8, b: u8) -> u8 {
    if r == g && g == b {
        return r;
    }
    let luma = (u32::from(r) * 77 + u32::from(g) * 150 + u32::from(b) * 29) >> 8;
    let least = u32::from(r.min(g).min(b));
    u8::try_from((luma * 13 + least * 3) >> 4).unwrap_or(255)
}

/// A colour over white paper.
pub(crate) fn over_white(v: u8, alpha: u8) -> u8 {
    let (v, a) = (u32::from(v), u32::from(alpha));
    u8::try_from((v * a + 255 * (255 - a) + 127) / 255).unwrap_or(255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_turn_is_clockwise() {
        let g = Grey { width: 3, rows: 2, data: vec![1, 2, 3, 4, 5, 6] };
        let t = g.turned();
        assert_eq!((t.width, t.rows, t.data), (2, 3, vec![4, 1, 5, 2, 6, 3]));
    }

    #[test]
    fn colours_keep_their_contrast_with_paper() {
        assert_eq!(grey_of(0, 0, 0), 0);
        assert_eq!(grey_of(255, 255, 255), 255);
        for (r, g, b) in [(255, 255, 0), (0, 255, 255), (0, 255, 0), (255, 0, 0)] {
            assert!(grey_of(r, g, b) < 200);
        }
        assert_eq!(over_white(0, 0), 255);
        assert_eq!(over_white(10, 255), 10);
    }
}
