//! The page that is sent: lines of made-up words, as dense as a letter.

use fax_base::page::{Coding, PageShape, Resolution, Width};
use fax_image::{Bitmap, EncodeOptions, encode};
use fax_terminal::CodedPage;
use std::sync::Arc;

const ROWS: u32 = 2_200;

/// A page as it is sent.
pub(crate) struct Page {
    pub(crate) coded: Arc<CodedPage>,
}

/// An A4 page of text in fine resolution.
pub(crate) fn text() -> Page {
    let mut bitmap = Bitmap::blank(1_728, ROWS);
    let mut random = 12_345u32;
    let mut below = |bound: u32| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 16) % bound
    };
    let mut strokes = Vec::new();
    for y in 100..ROWS - 100 {
        match y % 40 {
            // Three pieces of a letter, one above the other.
            0 | 8 | 16 => {
                strokes.clear();
                let mut x = 150;
                while x < 1_500 {
                    let length = 3 + below(12);
                    strokes.push((x, x + length));
                    x += length + 4 + below(24);
                }
            }
            24 => strokes.clear(),
            _ => {}
        }
        for (from, to) in &strokes {
            (*from..*to).for_each(|x| bitmap.set(x, y, true));
        }
    }
    let shape = PageShape { width: Width::A4, resolution: Resolution::Fine, rows: ROWS, tones: None };
    let options = EncodeOptions { end_of_page: false, ..EncodeOptions::default() };
    let t6 = encode(&bitmap, Coding::Mmr, &options).into();
    Page { coded: Arc::new(CodedPage { shape, t6, jpeg: None }) }
}
