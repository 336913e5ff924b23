//! Pages in grey and colour between files of people and the line: sRGB to and from T.42's CIELAB (T.42,
//! IEC 61966-2-1).

use crate::grey::{Grey, Rgb};
use bytes::Bytes;
use fax_base::page::{Resolution, Tones, Width};
use fax_image::Bitmap;
use fax_image::t42::{self, Options, Picture};
use image::ExtendedColorType::{L8, Rgb8};
use image::codecs::jpeg::JpegEncoder;

/// Quality of the pictures for people: they are coded a second time.
const VIEW_QUALITY: u8 = 90;

/// A page as every program shows it: JPEG in sRGB or grey.
pub(crate) struct Viewable {
    pub(crate) jpeg: Vec<u8>,
    pub(crate) width: u32,
    pub(crate) rows: u32,
    pub(crate) colour: bool,
    /// Pels per inch, in both directions.
    pub(crate) per_inch: u16,
}

/// Programs do not know CIELAB in JPEG: the same in sRGB. `None`: it cannot be decoded.
pub(crate) fn viewable(jpeg: &[u8]) -> Option<Viewable> {
    let found = t42::decode(jpeg).ok()?;
    let (width, rows) = (found.picture.width(), found.picture.rows());
    let colour = found.picture.tones() == Tones::Colour;
    let rgb = found.picture.to_rgb();
    let mut out = Vec::new();
    let encoder = &mut JpegEncoder::new_with_quality(&mut out, VIEW_QUALITY);
    if colour {
        encoder.encode(&rgb, width, rows, Rgb8).ok()?;
    } else {
        let grey: Vec<u8> = rgb.iter().step_by(3).copied().collect();
        encoder.encode(&grey, width, rows, L8).ok()?;
    }
    Some(Viewable { jpeg: out, width, rows, colour, per_inch: found.header.per_inch })
}

/// A stream from a file as every terminal takes it: whole, 200 per inch, subsampled, in the usual gamut, as wide as a
/// page, with T.42's header. As it is if it is that already. `None`: it cannot be made so without scaling.
pub(crate) fn for_the_line(jpeg: &Bytes, width: Width) -> Option<Bytes> {
    let found = t42::decode(jpeg).ok()?;
    let options = Options::default();
    if found.header.per_inch != options.per_inch || found.picture.width() != width.pels(Resolution::Fine) {
        return None;
    }
    let subsampled = found.subsampled || found.picture.tones() == Tones::Grey;
    let as_it_is = found.is_good()
        && subsampled
        && found.length == jpeg.len()
        && found.header == t42::Header::default()
        && jpeg.get(6..11) == Some(b"G3FAX");
    Some(if as_it_is { jpeg.clone() } else { t42::encode(&found.picture, &options).into() })
}

/// A stream of any size in sRGB.
pub(crate) fn rgb_of_tones(jpeg: &[u8]) -> Option<Rgb> {
    let picture = t42::decode(jpeg).ok()?.picture;
    let data = picture.to_rgb().as_chunks::<3>().0.to_vec();
    Some(Rgb { width: picture.width() as usize, rows: picture.rows() as usize, data })
}

/// A pel has colour if its components are this far apart: what scanners and JPEG put beside black is less.
const CHROMA: u8 = 48;
/// A page has colour if one pel in so many has: some three by four millimetres of A4.
const COLOURED: usize = 5000;
/// A page has grey if one pel in so many lies in an even area of it. The soft edges of writing are no areas.
const SHADED: usize = 100;

/// A sheet as wide as a line and with 200 pels per inch as JPEG for the line. `None`: it is black on white, which goes
/// better as pels.
pub(crate) fn in_tones(sheet: &Rgb) -> Option<Bytes> {
    let pels = sheet.data.len();
    let range = |p: &[u8; 3]| p.iter().max().zip(p.iter().min()).map_or(0, |(most, least)| most - least);
    let coloured = sheet.data.iter().filter(|p| range(p) >= CHROMA).count();
    let tones = if coloured * COLOURED > pels {
        Tones::Colour
    } else if shaded(&sheet.to_grey()) * SHADED > pels {
        Tones::Grey
    } else {
        return None;
    };
    let width = u32::try_from(sheet.width).ok()?;
    let picture = Picture::from_rgb(width, tones, sheet.data.as_flattened());
    Some(t42::encode(&picture, &Options::default()).into()).filter(|jpeg: &Bytes| !jpeg.is_empty())
}

/// Pels that are neither ink nor paper and much like those to their right and below.
fn shaded(grey: &Grey) -> usize {
    let between = |v: u8| (32..=224).contains(&v);
    let below = grey.data.get(grey.width..).unwrap_or_default();
    let right = grey.data.get(1..).unwrap_or_default();
    grey.data
        .iter()
        .zip(right)
        .zip(below)
        .filter(|((v, right), below)| between(**v) && v.abs_diff(**right) < 16 && v.abs_diff(**below) < 16)
        .count()
}

/// The page with these rows on top of it, such as its header line.
pub(crate) fn with_rows_above(jpeg: &[u8], above: &Bitmap) -> Option<Bytes> {
    let found = t42::decode(jpeg).ok()?;
    let mut picture = Picture::from_bitmap(above, found.picture.tones());
    if picture.width() != found.picture.width() {
        return None;
    }
    picture.append(&found.picture);
    Some(t42::encode(&picture, &Options::default()).into())
}
