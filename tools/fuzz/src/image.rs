//! T.4, T.6, T.85 and T.81 coding, TIFF files, the header line, scaling.

use crate::input::Choices;
use fax_base::page::{Coding, Resolution, Width};
use fax_image::{Bitmap, Decoder, EncodeOptions, Limits, scale, t42, tiff as files};

const CODINGS: [Coding; 4] = [Coding::Mh, Coding::Mr, Coding::Mmr, Coding::T85];
const WIDTHS: [u32; 12] = [1, 7, 8, 63, 64, 65, 1728, 2048, 2432, 2624, 3648, 4864];

/// A page in any coding: the same however it is cut into pieces, and coded again and decoded it stays what it is.
pub fn decode(octets: &[u8]) {
    let mut c = Choices::new(octets);
    let (coding, width, size) = (c.pick(&CODINGS), c.pick(&WIDTHS), usize::from(c.octet()) + 1);
    let lost = c.octet();
    let limits = Limits { max_rows: 3_000 };
    let octets = c.all();
    let whole = fax_image::decode(octets, coding, width, limits);
    let mut decoder = Decoder::new(coding, width, limits);
    octets.chunks(size).for_each(|piece| decoder.push(piece));
    let pieces = decoder.finish();
    assert!(pieces == whole, "pieces of {size} octets make another page");
    assert!(whole.rows <= 3_000 && whole.bad_rows <= whole.rows && whole.longest_bad_run <= whole.bad_rows);
    let mut decoder = Decoder::new(coding, width, limits);
    for (i, piece) in octets.chunks(size).enumerate() {
        decoder.push(piece);
        if i % 8 == 3 {
            decoder.lost(usize::from(lost));
        }
    }
    let _ = decoder.finish();
    if whole.rows == 0 && coding == Coding::T85 {
        return; // T.85 has no page without rows.
    }
    let options =
        EncodeOptions { k: u32::from(lost % 5), min_row_bits: u32::from(lost), ..EncodeOptions::default() };
    let again = fax_image::decode(&fax_image::encode(&whole.bitmap, coding, &options), coding, width, limits);
    assert!(again.bitmap == whole.bitmap && again.ended && again.bad_rows == 0);
}

/// T.6 into every coding: the same pels.
pub fn recode(octets: &[u8]) {
    let mut c = Choices::new(octets);
    let (coding, width) = (c.pick(&CODINGS), c.pick(&WIDTHS));
    let limits = Limits { max_rows: 3_000 };
    let octets = c.all();
    let page = fax_image::decode(octets, Coding::Mmr, width, limits);
    let recoded = fax_image::recode(octets, width, coding, &EncodeOptions::default(), limits);
    assert_eq!((recoded.rows, recoded.truncated), (page.rows, page.truncated));
    if page.rows == 0 && coding == Coding::T85 {
        return; // T.85 has no page without rows.
    }
    let again = fax_image::decode(&recoded.octets, coding, width, limits);
    assert!(again.bitmap == page.bitmap && again.bad_rows == 0);
}

/// A file; what was read is written and read again.
pub fn tiff(octets: &[u8]) {
    let limits = files::Limits { max_pages: 20, max_rows: 4_000, max_pels: 1 << 24 };
    let Ok(document) = files::read(octets, &limits) else {
        return;
    };
    for remark in &document.remarks {
        let _ = remark.kind.to_string();
    }
    for coding in [Coding::Mh, Coding::Mr, Coding::Mmr] {
        let options = files::WriteOptions { coding, ..files::WriteOptions::default() };
        let written = files::write(&document.pages, &options);
        let again = files::read(&written, &files::Limits::default()).expect("what is written can be read");
        assert_eq!(again.pages.len(), document.pages.len());
        for (a, b) in again.pages.iter().zip(&document.pages) {
            assert!(a.image.to_bitmap() == b.image.to_bitmap(), "{coding}: other pels");
            assert_eq!((a.description.as_ref(), a.quality), (b.description.as_ref(), b.quality));
        }
    }
}

/// Any text as header line.
pub fn header(octets: &[u8]) {
    let mut c = Choices::new(octets);
    let (width, resolution) = (c.pick(&Width::ALL), c.pick(&Resolution::ALL));
    let right = String::from_utf8_lossy(c.piece()).into_owned();
    let left = String::from_utf8_lossy(c.all());
    let strip = fax_image::header(width, resolution, &left, &right);
    assert_eq!(strip.width(), width.pels(resolution));
}

/// A page of any shape, fitted to any other.
pub fn scale(octets: &[u8]) {
    let mut c = Choices::new(octets);
    let (from, to, width) = (c.pick(&Resolution::ALL), c.pick(&Resolution::ALL), c.pick(&Width::ALL));
    let pels = u32::from(c.short()) % 5_000 + 1;
    let (new_width, new_rows) = (u32::from(c.short()) % 6_000, u32::from(c.short()) % 2_000);
    let map = Bitmap::from_rows(pels, c.all());
    if map.rows() > 2_000 {
        return;
    }
    let fitted = scale::fit(&map, from, to, width);
    assert_eq!(fitted.width(), width.pels(to));
    assert_eq!(fitted.rows() > 0, map.rows() > 0);
    let sized = scale::resize(&map, new_width, new_rows);
    assert_eq!((sized.width(), sized.rows()), (new_width, new_rows));
    if map.black_pels() == 0 {
        assert_eq!(fitted.black_pels() + sized.black_pels(), 0);
    }
}

/// A page in tones, and what is made of it.
pub fn jpeg(octets: &[u8]) {
    let Ok(decoded) = t42::decode(octets) else {
        return;
    };
    let picture = &decoded.picture;
    let map = picture.to_bitmap();
    assert_eq!((map.width(), map.rows()), (picture.width(), picture.rows()));
    if picture.rows() < 200 && picture.width() < 1_000 {
        assert_eq!(picture.to_rgb().len(), 3 * picture.width() as usize * picture.rows() as usize);
        let again = t42::decode(&t42::encode(picture, &t42::Options::default()))
            .expect("what is coded can be decoded");
        assert_eq!((again.picture.width(), again.picture.rows()), (picture.width(), picture.rows()));
    }
}
