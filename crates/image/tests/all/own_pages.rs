//! The pages of `testdata/pages`, made here: text-like, halftone, lines. The test makes them again and
//! compares; with FERROFAX_REGENERATE set it writes them.

use fax_base::page::{Resolution, Width};
use fax_image::Bitmap;
use fax_image::tiff::{self, Image, Limits, TiffPage, WriteOptions};
use std::path::Path;

struct Noise(u32);

impl Noise {
    fn below(&mut self, n: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) % n
    }
}

fn block(map: &mut Bitmap, x: u32, y: u32, w: u32, h: u32) {
    for j in y..y + h {
        for i in x..x + w {
            map.set(i, j, true);
        }
    }
}

/// Lines of made-up letters: stems, bars, bowls and slants on a grid of 3 × 5 strokes.
fn text(width: u32, rows: u32, scale_y: u32) -> Bitmap {
    let mut map = Bitmap::blank(width, rows);
    let mut noise = Noise(3);
    let (w, h) = (18, 14 * scale_y);
    let mut y = 60 * scale_y;
    while y + 2 * h < rows {
        let mut x = 160;
        let end = if noise.below(5) == 0 { width / 2 } else { width - 200 };
        while x < end {
            if noise.below(6) == 0 {
                x += w;
                continue;
            }
            match noise.below(5) {
                0 => block(&mut map, x, y, 3, h),
                1 => {
                    block(&mut map, x, y, 3, h);
                    block(&mut map, x, y + h / 2, 11, scale_y);
                    block(&mut map, x + 9, y + h / 2, 3, h / 2);
                }
                2 => {
                    // A bowl.
                    for j in 0..h {
                        let v = (j * 2) as f64 / f64::from(h) - 1.0;
                        let r = ((1.0 - v * v).max(0.0).sqrt() * 6.0) as u32;
                        block(&mut map, x + 6 - r, y + j, 3, 1);
                        block(&mut map, x + 5 + r, y + j, 3, 1);
                    }
                }
                3 => {
                    for j in 0..h {
                        block(&mut map, x + j * 10 / h, y + j, 3, 1);
                    }
                }
                _ => {
                    block(&mut map, x, y, 12, scale_y);
                    block(&mut map, x + 4, y, 3, h);
                }
            }
            x += w;
        }
        y += h * 2;
        if noise.below(7) == 0 {
            y += h * 2;
        }
    }
    map
}

/// A grey wedge and a disc in ordered dither of 4 × 4.
fn halftone(width: u32, rows: u32) -> Bitmap {
    const THRESHOLD: [[u32; 4]; 4] = [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]];
    let mut map = Bitmap::blank(width, rows);
    for y in 0..rows {
        for x in 100..width - 100 {
            let (dx, dy) = (i64::from(x) - i64::from(width / 2), i64::from(y) - i64::from(rows / 2));
            let disc = dx * dx + dy * dy * 4 < i64::from(rows) * i64::from(rows) / 2;
            let grey = if disc { 16 - x * 16 / width } else { x * 16 / width };
            let t = THRESHOLD[(y % 4) as usize][(x % 4) as usize];
            map.set(x, y, t < grey);
        }
    }
    map
}

/// A frame, a table, hairlines of one pel, slants, a circle.
fn lines(width: u32, rows: u32) -> Bitmap {
    let mut map = Bitmap::blank(width, rows);
    block(&mut map, 0, 0, width, 1);
    block(&mut map, 0, rows - 1, width, 1);
    block(&mut map, 0, 0, 1, rows);
    block(&mut map, width - 1, 0, 1, rows);
    for i in 0..12 {
        block(&mut map, 100, 100 + i * 37, width - 200, 1 + i % 3);
        block(&mut map, 100 + i * ((width - 203) / 11), 100, 1 + i % 3, 11 * 37);
    }
    for x in 0..width - 100 {
        map.set(x, rows * 9 / 10 - x * (rows * 3 / 10) / width, true);
        map.set(x, rows * 6 / 10 + x * (rows * 3 / 10) / width, true);
    }
    for i in 0..20_000u32 {
        let a = f64::from(i) * core::f64::consts::TAU / 20_000.0;
        let r = f64::from(width) / 5.0;
        let (x, y) = (f64::from(width) / 2.0 + r * a.cos(), f64::from(rows) * 0.75 + r * a.sin() / 2.0);
        map.set(x as u32, y as u32, true);
    }
    map
}

fn documents() -> Vec<(&'static str, Vec<TiffPage>)> {
    let page = |map, resolution| TiffPage::new(Image::Bitmap(map), resolution);
    let (a4, b4) = (Width::A4.pels(Resolution::Fine), Width::B4.pels(Resolution::Standard));
    vec![
        ("text-fine.tif", vec![page(text(a4, 2286, 2), Resolution::Fine)]),
        ("halftone-standard.tif", vec![page(halftone(a4, 120), Resolution::Standard)]),
        ("lines-fine.tif", vec![page(lines(a4, 2150), Resolution::Fine)]),
        (
            "three-pages.tif",
            vec![
                page(text(a4, 1143, 1), Resolution::Standard),
                page(lines(b4, 1075), Resolution::Standard),
                page(text(2592, 3300, 3), Resolution::Inch300),
            ],
        ),
    ]
}

#[test]
fn committed_pages_are_those_made_here() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/pages");
    for (name, pages) in documents() {
        let path = dir.join(name);
        if std::env::var_os("FERROFAX_REGENERATE").is_some() {
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(&path, tiff::write(&pages, &WriteOptions::default())).unwrap();
        }
        let file = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let found = tiff::read(&file, &Limits::default()).unwrap();
        assert_eq!(found.remarks, []);
        assert_eq!(found.pages.len(), pages.len());
        for (f, p) in found.pages.iter().zip(&pages) {
            assert!(f.image.to_bitmap() == p.image.to_bitmap(), "{name}");
            assert_eq!(f.resolution(), p.resolution());
            assert!(f.fax_width().is_some());
        }
    }
}
