//! The header line that a sender puts on top of a page (T.30 has no word for it; 47 CFR 68.318(d) demands
//! one): text in a font of fixed pitch, 17 characters to the inch at every resolution.

use crate::{Bitmap, EncodeOptions, encode};
use fax_base::page::{Coding, Resolution, Width};
use spleen_font::{FONT_12X24, PSF2Font};

/// The font's cell, drawn as it is at 204 × 196 per inch.
const CELL: (u32, u32) = (12, 24);
/// White above and below the text at 196 lines per inch: 1 mm.
const AIR: u32 = 8;
/// White on the left and on the right at 204 pels per inch: 10 mm.
const MARGIN: u32 = 80;

/// The strip to be put above a page: `left` at the left and `right` at the right margin. `left` is cut
/// where it would run into `right`; characters that the font does not have become `?`.
///
/// ```
/// use fax_base::page::{Resolution, Width};
/// let strip = fax_image::header(Width::A4, Resolution::Fine, "Clinic +1 415 555 0100", "1/3");
/// assert_eq!((strip.width(), strip.rows()), (1728, 40));
/// ```
#[must_use]
pub fn header(width: Width, resolution: Resolution, left: &str, right: &str) -> Bitmap {
    let pels = width.pels(resolution);
    let scale = |n: u32, to: u32, from: u32| (n * to + from / 2) / from;
    let x_scale = |n| scale(n, resolution.x_per_inch(), Resolution::Fine.x_per_inch());
    let y_scale = |n| scale(n, resolution.y_per_inch(), Resolution::Fine.y_per_inch());
    let cell = (x_scale(CELL.0), y_scale(CELL.1));
    let (margin, air) = (x_scale(MARGIN), y_scale(AIR));
    let mut strip = Bitmap::blank(pels, cell.1 + 2 * air);
    let columns = (pels - 2 * margin) / cell.0;
    let right: Vec<char> = right.chars().take(columns as usize).collect();
    let right_at = columns - u32::try_from(right.len()).unwrap_or(columns);
    let room = right_at.saturating_sub(u32::from(!right.is_empty())) as usize;
    let Ok(mut font) = PSF2Font::new(FONT_12X24) else {
        return strip;
    };
    let placed = (0..).zip(left.chars().take(room)).chain((right_at..).zip(right));
    for (column, character) in placed {
        draw(&mut strip, &mut font, character, (margin + column * cell.0, air), cell);
    }
    strip
}

/// A T.6 page with this strip above it, without decoding the page: the strip ends with white rows, and a page's first
/// row is coded against white (T.6 §2.2.1), so its code follows as it is, shifted by some bits.
#[must_use]
pub fn put_above(strip: &Bitmap, t6: &[u8]) -> Vec<u8> {
    let options = EncodeOptions { end_of_page: false, ..EncodeOptions::default() };
    let mut octets = encode(strip, Coding::Mmr, &options);
    // The last row is as white as the one above it and coded as a single one; what follows fills up the octet.
    while octets.last() == Some(&0) {
        octets.pop();
    }
    let fill = octets.last().map_or(0, |last| last.trailing_zeros());
    if fill == 0 {
        octets.extend_from_slice(t6);
        return octets;
    }
    octets.reserve(t6.len() + 1);
    for octet in t6 {
        let shifted = u16::from(*octet) << fill;
        let [high, low] = shifted.to_be_bytes();
        if let Some(last) = octets.last_mut() {
            *last |= high;
        }
        octets.push(low);
    }
    octets
}

/// Draws a character into the cell at this place; a pel is black when any pel of the font within it is.
fn draw(strip: &mut Bitmap, font: &mut PSF2Font<'_>, character: char, at: (u32, u32), cell: (u32, u32)) {
    let mut utf8 = [0; 4];
    let tried = [character, without_mark(character)];
    let mut known = |c: &char| font.glyph_for_utf8(c.encode_utf8(&mut [0; 4]).as_bytes()).is_some();
    let character = tried.into_iter().find(|c| known(c)).unwrap_or('?');
    let Some(glyph) = font.glyph_for_utf8(character.encode_utf8(&mut utf8).as_bytes()) else {
        return;
    };
    for (row, pels) in (0..).zip(glyph) {
        for (column, _) in (0..).zip(pels).filter(|(_, black)| *black) {
            for y in span(row, CELL.1, cell.1) {
                for x in span(column, CELL.0, cell.0) {
                    strip.set(at.0 + x, at.1 + y, true);
                }
            }
        }
    }
}

/// The letter without its mark, where the font has no more.
const fn without_mark(character: char) -> char {
    match character {
        'ë' => 'e',
        'ï' => 'i',
        'Ë' => 'E',
        'Ï' => 'I',
        'Å' => 'A',
        'Đ' => 'D',
        other => other,
    }
}

/// What pel `i` of `from` covers when they become `to`: at least one.
fn span(i: u32, from: u32, to: u32) -> core::ops::Range<u32> {
    let begin = i * to / from;
    begin..((i + 1) * to / from).max(begin + 1).min(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As characters, for the eye and for comparing.
    fn picture(strip: &Bitmap, columns: core::ops::Range<u32>) -> Vec<String> {
        let pel = |x, y| if strip.get(x, y) { '#' } else { '.' };
        (0..strip.rows()).map(|y| columns.clone().map(|x| pel(x, y)).collect()).collect()
    }

    #[test]
    fn text_stands_where_it_belongs_at_every_resolution() {
        for resolution in Resolution::ALL {
            for width in Width::ALL {
                let strip = header(width, resolution, "A", "9/12");
                assert_eq!(strip.width(), width.pels(resolution));
                // 5 mm, as seen on paper.
                let mm = f64::from(strip.rows()) / f64::from(resolution.y_per_inch()) * 25.4;
                assert!((4.5..6.0).contains(&mm), "{resolution}: {mm} mm");
                let black =
                    |from: u32, to: u32| (0..strip.rows()).any(|y| (from..to).any(|x| strip.get(x, y)));
                let inch = resolution.x_per_inch();
                assert!(!black(0, inch / 3) && black(inch / 3, inch / 2), "{resolution}");
                let w = strip.width();
                assert!(!black(w - inch / 3, w) && black(w - inch, w - inch / 3), "{resolution}");
                assert!(!black(inch, w - inch), "{resolution}");
            }
        }
    }

    #[test]
    fn characters_differ_and_unknown_ones_are_shown() {
        let of = |text: &str| picture(&header(Width::A4, Resolution::Fine, text, ""), 80..92);
        let texts = ["A", "B", "8", "é", "Ž", "?"];
        for (i, a) in texts.iter().enumerate() {
            for b in texts.iter().skip(i + 1) {
                assert_ne!(of(a), of(b), "{a} {b}");
            }
        }
        assert_eq!(of("\u{1F4E0}"), of("?"));
        // Coarser is the same letter, rows taken together.
        let (fine, standard) = (of("E"), picture(&header(Width::A4, Resolution::Standard, "E", ""), 80..92));
        let joined: Vec<String> = fine[8..32]
            .chunks(2)
            .map(|rows| {
                rows[0].chars().zip(rows[1].chars()).map(|(a, b)| if a == '#' { a } else { b }).collect()
            })
            .collect();
        assert_eq!(joined, standard[4..16]);
    }

    /// The letters of languages in Latin script; Greek, Hebrew and Arabic become question marks.
    #[test]
    fn the_font_knows_these_languages() {
        let Ok(mut font) = PSF2Font::new(FONT_12X24) else { panic!("the font is broken") };
        let mut missing = |text: &str| -> String {
            let lacks = |c: &char| {
                let c = without_mark(*c);
                font.glyph_for_utf8(c.encode_utf8(&mut [0; 4]).as_bytes()).is_none()
            };
            text.chars().filter(lacks).collect()
        };
        let ascii: String = (' '..='~').collect();
        let known = [
            ascii.as_str(),
            "äöüÄÖÜß",
            "àâæçéèêëîïôùûüÿÀÂÆÇÉÈÊËÎÏÔÙÛÜ",
            "áéíóúñüÁÉÍÓÚÑÜ¿¡",
            "àèéìòùÀÈÉÌÒÙ",
            "ãõâêôçÃÕÂÊÔÇ",
            "åæøäöÅÆØÄÖ",
            "ąćęłńóśźżĄĆĘŁŃÓŚŹŻ",
            "áčďéěíňóřšťúůýžÁČĎÉĚÍŇÓŘŠŤÚŮÝŽ",
            "áéíóöőúüűÁÉÍÓÖŐÚÜŰ",
            "čćđšžČĆĐŠŽ",
            "ğışçöüĞİŞÇÖÜ",
            "āčēģīķļņšūžąėęįųĀČĒĢĪĶĻŅŠŪŽ",
        ];
        let lacking: Vec<String> = known.iter().map(|text| missing(text)).filter(|m| !m.is_empty()).collect();
        assert!(lacking.is_empty(), "{lacking:?}");
        assert_eq!(missing("αβγשלوم"), "αβγשלوم");
    }

    /// The strip and the page below it, for every fill of the strip's last octet, with and without EOFB.
    #[test]
    fn a_strip_goes_above_a_coded_page() {
        let mut fills = [false; 8];
        for n in 0..60u32 {
            let strip = header(
                Width::A4,
                Resolution::ALL[n as usize % 3],
                &"name ".repeat(n as usize),
                "page 1 of 9",
            );
            let mut page = Bitmap::blank(1728, 0);
            for y in 0..50u32 {
                let row: Vec<u8> = (0..216u32).map(|x| ((x * 7 + y * n) % 31 * 8) as u8).collect();
                page.push_row(&row);
            }
            for end_of_page in [false, true] {
                let options = EncodeOptions { end_of_page, ..EncodeOptions::default() };
                let t6 = encode(&page, Coding::Mmr, &options);
                let bare = EncodeOptions { end_of_page: false, ..options };
                fills[encode(&strip, Coding::Mmr, &bare).last().unwrap().trailing_zeros() as usize] = true;
                let mut decoder = crate::Decoder::new(Coding::Mmr, 1728, crate::Limits::default());
                decoder.push(&put_above(&strip, &t6));
                let decoded = decoder.finish();
                let mut whole = strip.clone();
                whole.append(&page);
                assert!(!decoded.truncated && decoded.bad_rows == 0 && decoded.bitmap == whole, "{n}");
            }
        }
        assert!(fills.iter().filter(|f| **f).count() >= 7, "{fills:?}");
    }

    #[test]
    fn long_text_is_cut_before_the_number() {
        let long = "W".repeat(500);
        let (cut, right) = (
            header(Width::A4, Resolution::Fine, &long, "1/1"),
            header(Width::A4, Resolution::Fine, "", "1/1"),
        );
        // 130 columns: three for the number and a blank before it.
        let number_at = 80 + 127 * 12;
        assert_eq!(picture(&cut, number_at - 12..1728), picture(&right, number_at - 12..1728));
        assert!(picture(&cut, number_at - 24..number_at - 12).iter().any(|row| row.contains('#')));
    }
}
