//! Pages in grey and colour between files of people and the line: sRGB to and from T.42's CIELAB (T.42,
//! IEC 61966-2-1).

use crate::grey::{Grey, grey_of};
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

/// A stream of any size as grey of eight bits.
pub(crate) fn grey_of_tones(jpeg: &[u8]) -> Option<Grey> {
    let picture = t42::decode(jpeg).ok()?.picture;
    let data = picture.to_rgb().as_chunks::<3>().0.iter().map(|[r, g, b]| grey_of(*r, *g, *b)).collect();
    Some(Grey { width: picture.width() as usize, rows: picture.rows() as usize, data })
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
