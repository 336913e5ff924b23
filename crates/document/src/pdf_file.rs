//! Fax pages as a PDF: the Group 4 octets untouched (ISO 32000-1 §7.4.6, CCITTFaxDecode), grey and colour in sRGB
//! (§7.4.8, DCTDecode), since hardly any program shows CIELAB in JPEG.

use crate::colour::{Viewable, viewable};
use crate::geometry::per_mm;
use crate::{FaxDocument, Page};
use pdf_writer::{Content, Date, Filter, Finish, Name, Pdf, Rect, Ref, TextStr};
use std::time::{SystemTime, UNIX_EPOCH};

/// What a PDF says about itself (ISO 32000-1 §14.3.3).
#[derive(Clone, PartialEq, Debug, Default)]
pub struct PdfInfo {
    /// Title.
    pub title: Option<String>,
    /// Author: the sender of the fax.
    pub author: Option<String>,
    /// Subject.
    pub subject: Option<String>,
    /// When the fax was received or made.
    pub created: Option<SystemTime>,
}

/// Writes the pages as a PDF; each page is as large as its pels are on paper.
#[must_use]
pub fn to_pdf(document: &FaxDocument, info: &PdfInfo) -> Vec<u8> {
    let mut pdf = Pdf::new();
    let mut next = 1i32;
    let mut fresh = || {
        let id = Ref::new(next);
        next = next.saturating_add(1);
        id
    };
    let (catalog, tree, about) = (fresh(), fresh(), fresh());
    let ids: Vec<[Ref; 3]> = document.pages.iter().map(|_| [fresh(), fresh(), fresh()]).collect();

    pdf.catalog(catalog).pages(tree);
    pdf.pages(tree)
        .kids(ids.iter().map(|[page, ..]| *page))
        .count(i32::try_from(ids.len()).unwrap_or(i32::MAX));
    write_info(&mut pdf, about, info);
    for (page, ids) in document.pages.iter().zip(ids) {
        write_page(&mut pdf, tree, page, ids);
    }
    pdf.finish()
}

fn write_info(pdf: &mut Pdf, id: Ref, info: &PdfInfo) {
    let mut dict = pdf.document_info(id);
    if let Some(title) = &info.title {
        dict.title(TextStr(title));
    }
    if let Some(author) = &info.author {
        dict.author(TextStr(author));
    }
    if let Some(subject) = &info.subject {
        dict.subject(TextStr(subject));
    }
    dict.creator(TextStr("ferrofax"));
    dict.producer(TextStr("ferrofax"));
    if let Some(date) = info.created.and_then(date) {
        dict.creation_date(date);
        dict.modified_date(date);
    }
}

/// The size of so many pels in points.
fn points(count: u32, per_mm: f64) -> f32 {
    (f64::from(count) / per_mm * 72.0 / 25.4) as f32
}

fn to_i32(v: u32) -> i32 {
    i32::try_from(v).unwrap_or(i32::MAX)
}

/// The picture of a page in grey or colour, in sRGB; its size in points.
fn write_picture(pdf: &mut Pdf, id: Ref, picture: &Viewable) -> (f32, f32) {
    let mut image = pdf.image_xobject(id, &picture.jpeg);
    image.filter(Filter::DctDecode);
    image.width(to_i32(picture.width));
    image.height(to_i32(picture.rows));
    if picture.colour {
        image.color_space().device_rgb();
    } else {
        image.color_space().device_gray();
    }
    image.bits_per_component(8);
    let per_mm = f64::from(picture.per_inch) / 25.4;
    (points(picture.width, per_mm), points(picture.rows.max(1), per_mm))
}

/// The pels of a page in black and white as they are; its size in points.
fn write_pels(pdf: &mut Pdf, id: Ref, page: &Page) -> (f32, f32) {
    let (per_x, per_y) = per_mm(page.shape.resolution);
    let pels = page.shape.width.pels(page.shape.resolution);

    let mut image = pdf.image_xobject(id, &page.t6);
    image.filter(Filter::CcittFaxDecode);
    image.width(to_i32(pels));
    image.height(to_i32(page.shape.rows));
    image.color_space().device_gray();
    image.bits_per_component(1);
    let mut parms = image.decode_parms();
    parms.k(-1);
    parms.columns(to_i32(pels));
    parms.rows(to_i32(page.shape.rows));
    parms.end_of_block(ends_with_eofb(&page.t6));
    parms.finish();
    image.finish();
    (points(pels, per_x), points(page.shape.rows.max(1), per_y))
}

fn write_page(pdf: &mut Pdf, tree: Ref, page: &Page, [page_id, content_id, image_id]: [Ref; 3]) {
    let in_tones = page.jpeg.as_ref().and_then(|jpeg| viewable(jpeg));
    let (w, h) = match in_tones {
        Some(picture) => write_picture(pdf, image_id, &picture),
        None => write_pels(pdf, image_id, page),
    };
    let mut content = Content::new();
    content.save_state();
    content.transform([w, 0.0, 0.0, h, 0.0, 0.0]);
    content.x_object(Name(b"Fax"));
    content.restore_state();
    pdf.stream(content_id, content.finish().as_slice());

    let mut out = pdf.page(page_id);
    out.parent(tree);
    out.media_box(Rect::new(0.0, 0.0, w, h));
    out.contents(content_id);
    out.resources().x_objects().pair(Name(b"Fax"), image_id);
}

/// Whether T.6 octets end with EOFB, two EOLs, before the pad bits (T.6 §2.4.1.1).
fn ends_with_eofb(t6: &[u8]) -> bool {
    let tail = t6.get(t6.len().saturating_sub(5)..).unwrap_or(&[]);
    let bits = tail.iter().fold(0u64, |v, o| v << 8 | u64::from(*o));
    bits != 0 && bits.checked_shr(bits.trailing_zeros()).unwrap_or(0) & 0xFF_FFFF == 0x00_1001
}

/// Universal time as PDF writes it.
fn date(at: SystemTime) -> Option<Date> {
    let seconds = at.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days to a date of the Gregorian calendar, counted in eras of 400 years from a 1 March.
    let z = days + 719_468;
    let (era, of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let small = |v: u64| u8::try_from(v).unwrap_or(0);
    Some(
        Date::new(u16::try_from(year).ok()?)
            .month(small(month))
            .day(small(day))
            .hour(small(rest / 3600))
            .minute(small(rest / 60 % 60))
            .second(small(rest % 60))
            .utc_offset_hour(0)
            .utc_offset_minute(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    #[test]
    fn eofb_is_seen_at_any_bit() {
        for shift in 0..8 {
            let bits = 0b1011u64 << 24 | 0x00_1001;
            let octets = (bits << (8 + shift)).to_be_bytes();
            assert!(ends_with_eofb(&octets), "{shift}");
        }
        assert!(!ends_with_eofb(&[0x26, 0xA0]));
        assert!(!ends_with_eofb(&[]));
        assert!(!ends_with_eofb(&[0; 9]));
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in
            [(0, "1970:1:1 0:0:0"), (951_782_400, "2000:2:29 0:0:0"), (1_798_761_599, "2026:12:31 23:59:59")]
        {
            let d = date(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
            let mut buffer = Pdf::new();
            buffer.document_info(Ref::new(1)).creation_date(d);
            let file = buffer.finish();
            let file = String::from_utf8_lossy(&file);
            let numbers: Vec<String> = text.split([':', ' ']).map(|n| format!("{:0>2}", n)).collect();
            assert!(file.contains(&numbers.concat()), "{text} in {file}");
        }
    }
}
