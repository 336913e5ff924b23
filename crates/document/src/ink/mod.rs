//! What becomes ink: crisp writing, clean paper, halftones where there are photographs (T.4 knows
//! black and white only).

mod cells;
mod halftone;
mod morphology;
mod paper;
mod strokes;

pub(crate) use cells::Area;

use crate::Ink;
use crate::geometry::per_mm;
use crate::grey::Grey;
use cells::{Cells, Kind};
use fax_base::page::Resolution;
use fax_image::Bitmap;

/// A stroke stands out from its paper by at least this many shades.
const CONTRAST: u8 = 40;

/// Turns a grey page into pels. `pictures`: where photographs can be, if that is known.
pub(crate) fn to_bitmap(g: &Grey, resolution: Resolution, ink: Ink, pictures: Option<&[Area]>) -> Bitmap {
    let mut pels = Pels::white(g.width, g.rows);
    if ink == Ink::Halftone {
        halftone::diffuse(g, |_, _| true, |x, y| pels.set(x, y));
        return pels.into_bitmap();
    }
    let (per_x, per_y) = per_mm(resolution);
    let across = |mm: f64| ((mm * per_x).round() as usize).max(1);
    let down = |mm: f64| ((mm * per_y).round() as usize).max(1);

    let (cell_w, cell_h) = (across(2.0), down(2.0));
    let whitened = paper::whitened(g, cell_w, cell_h);
    let g = whitened.as_ref().unwrap_or(g);
    let cells = Cells::survey(g, cell_w, cell_h, pictures, ink == Ink::Auto);
    let paper = morphology::closing(g, across(1.0), down(1.0));
    let depth = difference(&paper, g);
    let deepest = morphology::largest(&depth, across(0.4), down(0.4));
    // Light writing on tints is looked for only where there is some.
    let light = cells.any(Kind::CleanDark).then(|| {
        let ground = morphology::opening(g, across(1.0), down(1.0));
        let height = difference(g, &ground);
        let highest = morphology::largest(&height, across(0.4), down(0.4));
        (height, highest, ground)
    });

    for y in 0..g.rows {
        let cy = y / cells.cell_h;
        let (row, paper, depth, deepest) = (g.row(y), paper.row(y), depth.row(y), deepest.row(y));
        let light = light.as_ref().map(|(h, m, g)| (h.row(y), m.row(y), g.row(y)));
        for (cx, &kind) in cells.row(cy).iter().enumerate() {
            if kind == Kind::Photo {
                continue;
            }
            let near = core::cell::OnceCell::new();
            let x0 = cx * cells.cell_w;
            for x in x0..(x0 + cells.cell_w).min(g.width) {
                let at = |r: &[u8]| r.get(x).copied().unwrap_or(255);
                let (d, most, ground) = (at(depth), at(deepest), at(paper));
                let kind = if kind == Kind::Line && (64..215).contains(&ground) {
                    *near.get_or_init(|| cells.near(cx, cy))
                } else {
                    kind
                };
                let stroke = most >= CONTRAST && is_stroke(d, most);
                let black = match kind {
                    Kind::CleanDark => light.is_none_or(|(height, highest, under)| {
                        let (h, most) = (at(height), at(highest));
                        // The paper beside the tint is no light writing, but it is white.
                        at(under) < 200 && (most < CONTRAST || !is_stroke(h, most))
                    }),
                    _ if stroke => true,
                    Kind::CleanLight => false,
                    Kind::Tint => halftone::ordered(x, y, at(row)),
                    Kind::Line | Kind::Photo => ground < 128,
                };
                if black {
                    pels.set(x, y);
                }
            }
        }
    }
    strokes::thin_pairs(&depth, &mut pels);
    strokes::keep_thin_lines(&depth, &cells, &mut pels);
    if cells.any(Kind::Photo) {
        let is_photo = |x: usize, y: usize| {
            cells.row(y / cells.cell_h).get(x / cells.cell_w).is_some_and(|k| *k == Kind::Photo)
        };
        halftone::diffuse(g, is_photo, |x, y| pels.set(x, y));
    }
    pels.into_bitmap()
}

/// Half of the strongest ink nearby, or a little less: strokes print no thinner than drawn.
fn is_stroke(d: u8, most: u8) -> bool {
    u32::from(d) * 100 >= u32::from(most) * 44
}

fn difference(a: &Grey, b: &Grey) -> Grey {
    Grey {
        width: a.width,
        rows: a.rows,
        data: a.data.iter().zip(&b.data).map(|(a, b)| a.saturating_sub(*b)).collect(),
    }
}

/// One-bit rows in the making, packed most significant bit first.
struct Pels {
    width: usize,
    stride: usize,
    data: Vec<u8>,
}

impl Pels {
    fn white(width: usize, rows: usize) -> Self {
        let stride = width.div_ceil(8);
        Pels { width, stride, data: vec![0; stride * rows] }
    }

    fn set(&mut self, x: usize, y: usize) {
        if let Some(o) = self.data.get_mut(y * self.stride + x / 8) {
            *o |= 0x80 >> (x % 8);
        }
    }

    fn clear(&mut self, x: usize, y: usize) {
        if let Some(o) = self.data.get_mut(y * self.stride + x / 8) {
            *o &= !(0x80 >> (x % 8));
        }
    }

    fn get(&self, x: usize, y: usize) -> bool {
        x < self.width && self.data.get(y * self.stride + x / 8).is_some_and(|o| o & (0x80 >> (x % 8)) != 0)
    }

    fn into_bitmap(self) -> Bitmap {
        Bitmap::from_rows(u32::try_from(self.width).unwrap_or(u32::MAX), &self.data)
    }
}
