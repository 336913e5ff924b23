//! Fax pages as PNG pictures with square pels, for receipts and consoles.

use crate::FaxDocument;
use crate::geometry::per_mm;
use fax_base::page::Resolution;
use fax_image::Bitmap;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};

/// The first page as a grey PNG, at most `max_width` pixels wide. Empty when there is no page.
#[must_use]
pub fn first_page_png(document: &FaxDocument, max_width: u32) -> Vec<u8> {
    page_png(document, 0, max_width)
}

/// Page `i` (from 0) as a grey PNG, at most `max_width` pixels wide. Empty when there is no such page.
#[must_use]
pub fn page_png(document: &FaxDocument, i: usize, max_width: u32) -> Vec<u8> {
    document
        .pages
        .get(i)
        .map_or_else(Vec::new, |page| png(&page.to_bitmap(), page.shape.resolution, max_width))
}

/// Each pixel is the share of ink in the area that it covers.
fn png(page: &Bitmap, resolution: Resolution, max_width: u32) -> Vec<u8> {
    let (per_x, per_y) = per_mm(resolution);
    let width = page.width().min(max_width).max(1);
    let scale = f64::from(width) / f64::from(page.width().max(1));
    let rows = (f64::from(page.rows()) * scale * per_x / per_y).round();
    let rows = (rows.clamp(1.0, 65_535.0)) as u32;

    let mut grey = Vec::with_capacity(width as usize * rows as usize);
    let edge = |i: u32, of: u32, from: u32| (u64::from(i) * u64::from(from) / u64::from(of)) as u32;
    let mut ink = vec![0u32; page.width() as usize];
    for y in 0..rows {
        let top = edge(y, rows, page.rows());
        let bottom = edge(y + 1, rows, page.rows()).max(top + 1);
        ink.fill(0);
        for row in top..bottom {
            for (octets, counts) in page.row(row).iter().zip(ink.chunks_mut(8)) {
                for (bit, n) in counts.iter_mut().enumerate() {
                    *n += u32::from(octets >> (7 - bit) & 1);
                }
            }
        }
        for x in 0..width {
            let left = edge(x, width, page.width());
            let right = edge(x + 1, width, page.width()).max(left + 1);
            let area = (right - left) * (bottom - top);
            let black: u32 = ink.get(left as usize..right as usize).unwrap_or(&[]).iter().sum();
            grey.push(u8::try_from(255 - (black * 255 / area.max(1)).min(255)).unwrap_or(0));
        }
    }
    let mut out = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut out, CompressionType::Default, FilterType::Adaptive);
    match encoder.write_image(&grey, width, rows, ExtendedColorType::L8) {
        Ok(()) => out,
        Err(_) => Vec::new(),
    }
}
