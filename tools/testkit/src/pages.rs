//! Made-up pages that look like text to the codings.

use crate::network::Random;
use bytes::Bytes;
use fax_base::page::{Coding, PageShape, Resolution, Width};
use fax_image::{Bitmap, EncodeOptions, encode};
use fax_terminal::CodedPage;

/// Rows of "words": black strokes of random length in lines with white between them.
#[must_use]
pub fn text(width: u32, rows: u32, seed: u64) -> Bitmap {
    let mut random = Random::new(seed);
    let mut bitmap = Bitmap::blank(width, rows);
    let mut strokes: Vec<(u32, u32)> = Vec::new();
    for y in 0..rows {
        // Twelve rows of a line of text, eight white ones.
        if y % 20 >= 12 {
            strokes.clear();
            continue;
        }
        if strokes.is_empty() || random.chance(0.3) {
            strokes.clear();
            let mut x = 100;
            while x + 200 < width {
                x += 3 + random.below(30) as u32;
                let length = 2 + random.below(14) as u32;
                strokes.push((x, x + length));
                x += length;
            }
        }
        for (from, to) in &strokes {
            for x in *from..*to {
                bitmap.set(x, y, true);
            }
        }
    }
    bitmap
}

/// A page to be sent, from a bitmap of the right width.
#[must_use]
pub fn coded(bitmap: &Bitmap, resolution: Resolution, width: Width) -> CodedPage {
    let shape = PageShape { width, resolution, rows: bitmap.rows(), tones: None };
    let options = EncodeOptions { end_of_page: false, ..EncodeOptions::default() };
    CodedPage { shape, t6: Bytes::from(encode(bitmap, Coding::Mmr, &options)), jpeg: None }
}
