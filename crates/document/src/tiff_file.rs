//! TIFF files as fax pages: what is a fax page already passes untouched, the rest is fitted (RFC 2301;
//! TIFF 6.0).

use crate::colour::{for_the_line, rgb_of_tones};
use crate::document::{shape_of, tiff_error};
use crate::geometry::per_mm;
use crate::grey::{Grey, Raster, Rgb, grey_of, over_white};
use crate::raster::{check_pels, to_page, tones_of};
use crate::{FaxDocument, Format, Page, RenderError, RenderOptions};
use ::tiff::ColorType;
use ::tiff::decoder::ifd::Value;
use ::tiff::decoder::{Decoder, DecodingResult, Limits};
use ::tiff::tags::Tag;
use fax_base::page::{PageShape, Resolution};
use fax_image::Bitmap;
use fax_image::tiff::{self, Image, TiffPage};
use std::borrow::Cow;
use std::io::Cursor;

/// A scan without a stated resolution counts as one of so many pels to the inch.
const PER_INCH: f64 = 200.0;

/// All pages of a TIFF.
pub(crate) fn render(octets: &[u8], options: &RenderOptions) -> Result<FaxDocument, RenderError> {
    let limits = tiff::Limits {
        max_pages: options.max_pages as usize,
        max_pels: options.max_page_pels.saturating_mul(u64::from(options.max_pages)),
        ..tiff::Limits::default()
    };
    let document = match tiff::read(octets, &limits) {
        Ok(file) => {
            let mut document = FaxDocument {
                // Who sends it is told what is lost, not how files of scanners differ.
                remarks: file
                    .remarks
                    .iter()
                    .filter(|r| r.kind.is_loss())
                    .map(|r| format!("Page {}: {}.", r.page + 1, r.kind))
                    .collect(),
                ..FaxDocument::default()
            };
            for page in file.pages {
                document.pages.push(fit(page, options)?);
            }
            document
        }
        Err(tiff::Error::Unsupported(_)) => other_kinds(octets, options)?,
        Err(e) => return Err(tiff_error(e)),
    };
    if document.pages.is_empty() {
        return Err(RenderError::Empty);
    }
    Ok(document)
}

/// A page of pels: untouched if it is a fax page, centred if it is only too narrow, else scaled.
fn fit(mut page: TiffPage, options: &RenderOptions) -> Result<Page, RenderError> {
    if page.image.rows() == 0 {
        return Err(RenderError::broken(Format::Tiff, "a page has no rows"));
    }
    let tones = page.tones.take().filter(|_| options.colour);
    if shape_of(&page).is_some() {
        let wrong = || RenderError::broken(Format::Tiff, "a page cannot be read");
        let mut page = Page::from_tiff_page(page).ok_or_else(wrong)?;
        if let Some(what) = page.unreadable() {
            return Err(RenderError::broken(Format::Tiff, what));
        }
        if page.shape.tones.is_some() {
            page.jpeg = page.jpeg.and_then(|jpeg| for_the_line(&jpeg, page.shape.width));
        }
        let width = page.shape.width;
        return Ok(page.with_tones(tones.and_then(|jpeg| for_the_line(&jpeg, width))));
    }
    check_pels(page.image.width(), page.image.rows(), options)?;
    if let Image::T81 { octets, width, rows, .. } = &page.image {
        let rgb = rgb_of_tones(octets).ok_or_else(|| RenderError::broken(Format::Tiff, "damaged JPEG"))?;
        let mm = size_mm(*width, *rows, page.x_per_inch, page.y_per_inch);
        return in_colour(&rgb, mm, options);
    }
    let bitmap = page.image.to_bitmap();
    if let Some(resolution) = page.resolution() {
        let pels = options.width.pels(resolution);
        let no_finer = resolution.x_per_inch() <= options.resolution.x_per_inch()
            && resolution.y_per_inch() <= options.resolution.y_per_inch();
        if no_finer && bitmap.width() < pels && u64::from(bitmap.width()) * 100 >= u64::from(pels) * 93 {
            return Ok(Page::from_bitmap(
                &centred(&bitmap, pels),
                PageShape { width: options.width, resolution, rows: bitmap.rows(), tones: None },
            ));
        }
    }
    let mm = size_mm(bitmap.width(), bitmap.rows(), page.x_per_inch, page.y_per_inch);
    to_page(&grey_of_bitmap(&bitmap), mm, f64::INFINITY, options)
}

/// A page of a picture in colour: its pels, and itself if that is wanted.
fn in_colour(rgb: &Rgb, mm: (f64, f64), options: &RenderOptions) -> Result<Page, RenderError> {
    let tones = if options.colour { tones_of(rgb, mm, f64::INFINITY, options)? } else { None };
    Ok(to_page(&rgb.to_grey(), mm, f64::INFINITY, options)?.with_tones(tones))
}

/// The size on paper. Fax resolutions are metric (T.30 Table 2), others as stated.
fn size_mm(width: u32, rows: u32, x_per_inch: f32, y_per_inch: f32) -> (f64, f64) {
    let (per_x, per_y) = match Resolution::from_per_inch(x_per_inch, y_per_inch) {
        Some(resolution) => per_mm(resolution),
        None => {
            let sane = |v: f32| (20.0..=10_000.0).contains(&v);
            match (sane(x_per_inch), sane(y_per_inch)) {
                (true, true) => (f64::from(x_per_inch) / 25.4, f64::from(y_per_inch) / 25.4),
                (true, false) => (f64::from(x_per_inch) / 25.4, f64::from(x_per_inch) / 25.4),
                _ => (PER_INCH / 25.4, PER_INCH / 25.4),
            }
        }
    };
    (f64::from(width) / per_x, f64::from(rows) / per_y)
}

/// White to the left and right of a narrower page, pel by pel the same between.
fn centred(bitmap: &Bitmap, pels: u32) -> Bitmap {
    let shift = (pels - bitmap.width()) / 2;
    let (octets, bits) = (shift as usize / 8, shift % 8);
    let mut out = Bitmap::new(pels);
    let mut row = vec![0u8; out.stride()];
    for y in 0..bitmap.rows() {
        row.fill(0);
        for (i, &o) in bitmap.row(y).iter().enumerate() {
            let wide = u16::from(o) << 8 >> bits;
            let [high, low] = wide.to_be_bytes();
            if let Some(r) = row.get_mut(octets + i) {
                *r |= high;
            }
            if let Some(r) = row.get_mut(octets + i + 1) {
                *r |= low;
            }
        }
        out.push_row(&row);
    }
    out
}

fn grey_of_bitmap(bitmap: &Bitmap) -> Grey {
    let width = bitmap.width() as usize;
    let mut grey = Grey::white(width, bitmap.rows() as usize);
    for (y, row) in (0u32..).zip(grey.data.chunks_exact_mut(width.max(1))) {
        for (pels, octet) in row.chunks_mut(8).zip(bitmap.row(y)) {
            for (i, p) in pels.iter_mut().enumerate() {
                if octet & (0x80 >> i) != 0 {
                    *p = 0;
                }
            }
        }
    }
    grey
}

/// TIFF with compressions or colours that no fax has.
fn other_kinds(octets: &[u8], options: &RenderOptions) -> Result<FaxDocument, RenderError> {
    let broken = |e: ::tiff::TiffError| tiff_crate_error(&e);
    let mut limits = Limits::default();
    let room = options.max_picture_pels.saturating_mul(4);
    limits.decoding_buffer_size = usize::try_from(room).unwrap_or(usize::MAX);
    limits.intermediate_buffer_size = limits.decoding_buffer_size;
    let mut decoder = Decoder::new(Cursor::new(octets)).map_err(broken)?.with_limits(limits);
    let mut document = FaxDocument::default();
    let mut seen = 0u32;
    loop {
        seen += 1;
        if seen > options.max_pages {
            return Err(RenderError::TooManyPages { pages: seen, max: options.max_pages });
        }
        let subfile = decoder
            .find_tag(Tag::NewSubfileType)
            .map_err(broken)?
            .and_then(|v| v.into_u32().ok())
            .unwrap_or(0);
        // Bit 0: a reduced copy of another page.
        if subfile & 1 == 0 {
            document.pages.push(one_page(&mut decoder, options)?);
        }
        if !decoder.more_images() {
            break;
        }
        decoder.next_image().map_err(broken)?;
    }
    Ok(document)
}

fn one_page(decoder: &mut Decoder<Cursor<&[u8]>>, options: &RenderOptions) -> Result<Page, RenderError> {
    let broken = |e: ::tiff::TiffError| tiff_crate_error(&e);
    let (w, h) = decoder.dimensions().map_err(broken)?;
    check_pels(w, h, options)?;
    let colour = decoder.colortype().map_err(broken)?;
    let mut number = |tag: Tag| -> Result<Option<f64>, RenderError> {
        Ok(decoder.find_tag(tag).map_err(broken)?.and_then(|v| number_of(&v)).filter(|v| v.is_finite()))
    };
    let unit = number(Tag::ResolutionUnit)?.unwrap_or(2.0);
    let per_inch = if unit == 3.0 { 2.54 } else { 1.0 };
    let x = (number(Tag::XResolution)?.unwrap_or(0.0) * per_inch) as f32;
    let y = (number(Tag::YResolution)?.unwrap_or(0.0) * per_inch) as f32;
    let orientation = number(Tag::Orientation)?.unwrap_or(1.0);
    let palette = decoder.find_tag(Tag::ColorMap).map_err(broken)?.and_then(|v| v.into_u16_vec().ok());
    let samples = decoder.read_image().map_err(broken)?;

    let size = (w as usize, h as usize);
    let grey = pels(&samples, colour, palette.as_deref(), size, |[r, g, b]| grey_of(r, g, b))?;
    let grey = turned(grey, orientation);
    let swapped = orientation >= 5.0;
    let (x, y) = if swapped { (y, x) } else { (x, y) };
    let (Ok(width), Ok(rows)) = (u32::try_from(grey.width), u32::try_from(grey.rows)) else {
        return Err(RenderError::too_large("a page has too many rows"));
    };
    if colour == ColorType::Gray(1) {
        let mut bitmap = Bitmap::new(width);
        for row in grey.data.chunks_exact(grey.width) {
            let packed: Vec<u8> = row
                .chunks(8)
                .map(|pels| {
                    pels.iter().enumerate().fold(0, |o, (i, p)| if *p < 128 { o | 0x80 >> i } else { o })
                })
                .collect();
            bitmap.push_row(&packed);
        }
        return fit(
            TiffPage {
                x_per_inch: x,
                y_per_inch: y,
                ..TiffPage::new(Image::Bitmap(bitmap), Resolution::Fine)
            },
            options,
        );
    }
    let mm = size_mm(width, rows, x, y);
    if options.colour && !matches!(colour, ColorType::Gray(1)) {
        drop(grey);
        return in_colour(
            &turned(pels(&samples, colour, palette.as_deref(), size, |p| p)?, orientation),
            mm,
            options,
        );
    }
    to_page(&grey, mm, f64::INFINITY, options)
}

fn number_of(value: &Value) -> Option<f64> {
    match value {
        Value::Byte(v) => Some(f64::from(*v)),
        Value::Short(v) => Some(f64::from(*v)),
        Value::Unsigned(v) => Some(f64::from(*v)),
        Value::Rational(n, d) => Some(f64::from(*n) / f64::from(*d)),
        Value::Float(v) => Some(f64::from(*v)),
        Value::Double(v) => Some(*v),
        Value::List(v) => v.first().and_then(number_of),
        _ => None,
    }
}

/// Samples of any depth as pels, over white, made of what they are in sRGB.
fn pels<P>(
    samples: &DecodingResult,
    colour: ColorType,
    palette: Option<&[u16]>,
    (width, rows): (usize, usize),
    pel: impl Fn([u8; 3]) -> P,
) -> Result<Raster<P>, RenderError> {
    let wrong = || RenderError::Unsupported { what: format!("TIFF in {colour:?}") };
    let high = |v: u16| v.to_be_bytes()[0];
    let (bits, channels) = match colour {
        ColorType::Gray(b) | ColorType::Palette(b) => (b, 1),
        ColorType::GrayA(b) => (b, 2),
        ColorType::RGB(b) | ColorType::YCbCr(b) => (b, 3),
        ColorType::RGBA(b) | ColorType::CMYK(b) => (b, 4),
        _ => return Err(wrong()),
    };
    let octets: Cow<'_, [u8]> = match samples {
        DecodingResult::U8(v) if bits == 8 => v.into(),
        DecodingResult::U8(v) if bits < 8 && channels == 1 => {
            let is_palette = matches!(colour, ColorType::Palette(_));
            unpack(v, bits, width, is_palette).ok_or_else(wrong)?.into()
        }
        DecodingResult::U16(v) if bits == 16 && !matches!(colour, ColorType::Palette(_)) => {
            v.iter().map(|v| high(*v)).collect()
        }
        _ => return Err(wrong()),
    };
    let data: Vec<P> = octets
        .chunks_exact(channels)
        .take(width * rows)
        .map(|p| match (colour, p) {
            (ColorType::Palette(_), [i]) => {
                let map = palette.unwrap_or(&[]);
                let n = map.len() / 3;
                let at = |k: usize| map.get(k * n + usize::from(*i)).map_or(255, |v| high(*v));
                [at(0), at(1), at(2)]
            }
            (ColorType::GrayA(_), [v, a]) => [over_white(*v, *a); 3],
            (ColorType::RGB(_), [r, g, b]) => [*r, *g, *b],
            (ColorType::RGBA(_), [r, g, b, a]) => [*r, *g, *b].map(|v| over_white(v, *a)),
            (ColorType::YCbCr(_), [y, cb, cr]) => of_ycbcr(*y, *cb, *cr),
            (ColorType::CMYK(_), [c, m, y, k]) => {
                let part = |v: u8| over_white(0, v);
                let ink = |v: u8| u8::try_from(u32::from(part(v)) * u32::from(part(*k)) / 255).unwrap_or(0);
                [ink(*c), ink(*m), ink(*y)]
            }
            (_, [v, ..]) => [*v; 3],
            _ => [255; 3],
        })
        .map(pel)
        .collect();
    if data.len() < width * rows {
        return Err(RenderError::broken(Format::Tiff, "a page ends before its last row"));
    }
    Ok(Raster { width, rows, data })
}

/// ITU-R BT.601, as in JFIF and TIFF 6.0 §21.
fn of_ycbcr(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let [y, cb, cr] = [f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0];
    [y + 1.402 * cr, y - 0.344_14 * cb - 0.714_14 * cr, y + 1.772 * cb]
        .map(|v| (v + 0.5).clamp(0.0, 255.0) as u8)
}

/// Samples of 1, 2 or 4 bits, rows beginning on octets. Palette indices stay as they are.
fn unpack(packed: &[u8], bits: u8, width: usize, is_palette: bool) -> Option<Vec<u8>> {
    if !matches!(bits, 1 | 2 | 4) {
        return None;
    }
    let per_octet = usize::from(8 / bits);
    let mask = (1u8 << bits) - 1;
    let scale = if is_palette { 1 } else { 255 / mask };
    let mut out = Vec::with_capacity(packed.len() * per_octet);
    for row in packed.chunks_exact(width.div_ceil(per_octet)) {
        let samples =
            row.iter().flat_map(|o| (0..8 / bits).map(move |i| (o >> (8 - bits * (i + 1)) & mask) * scale));
        out.extend(samples.take(width));
    }
    Some(out)
}

/// Upright, whatever Orientation (TIFF 6.0, tag 274) says.
fn turned<P: Copy>(grey: Raster<P>, orientation: f64) -> Raster<P> {
    let mirrored = |mut g: Raster<P>| {
        let w = g.width.max(1);
        g.data.chunks_exact_mut(w).for_each(<[P]>::reverse);
        g
    };
    match orientation as u8 {
        2 => mirrored(grey),
        3 => grey.turned().turned(),
        4 => mirrored(grey.turned().turned()),
        5 => mirrored(grey.turned()),
        6 => grey.turned(),
        7 => mirrored(grey.turned().turned().turned()),
        8 => grey.turned().turned().turned(),
        _ => grey,
    }
}

fn tiff_crate_error(e: &::tiff::TiffError) -> RenderError {
    match e {
        ::tiff::TiffError::UnsupportedError(what) => {
            RenderError::Unsupported { what: format!("This kind of TIFF ({what})") }
        }
        ::tiff::TiffError::LimitsExceeded => RenderError::too_large("a picture needs too much memory"),
        e => RenderError::broken(Format::Tiff, e.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_page_is_centred_pel_by_pel() {
        let mut narrow = Bitmap::blank(1700, 3);
        for x in [0, 1, 7, 8, 850, 1699] {
            narrow.set(x, 1, true);
        }
        let wide = centred(&narrow, 1728);
        for y in 0..3 {
            for x in 0..1728 {
                let inside = (14..1714).contains(&x);
                assert_eq!(wide.get(x, y), inside && narrow.get(x.wrapping_sub(14), y));
            }
        }
    }

    #[test]
    fn every_orientation_comes_out_upright() {
        // Upright: 1 2 / 3 4 / 5 6.
        let upright = Grey { width: 2, rows: 3, data: vec![1, 2, 3, 4, 5, 6] };
        let stored: [(f64, usize, [u8; 6]); 8] = [
            (1.0, 2, [1, 2, 3, 4, 5, 6]),
            (2.0, 2, [2, 1, 4, 3, 6, 5]),
            (3.0, 2, [6, 5, 4, 3, 2, 1]),
            (4.0, 2, [5, 6, 3, 4, 1, 2]),
            (5.0, 3, [1, 3, 5, 2, 4, 6]),
            (6.0, 3, [2, 4, 6, 1, 3, 5]),
            (7.0, 3, [6, 4, 2, 5, 3, 1]),
            (8.0, 3, [5, 3, 1, 6, 4, 2]),
        ];
        for (orientation, width, data) in stored {
            let g = Grey { width, rows: 6 / width, data: data.to_vec() };
            assert_eq!(turned(g, orientation), upright, "{orientation}");
        }
    }

    #[test]
    fn small_samples_are_unpacked() {
        assert_eq!(unpack(&[0b1010_0000], 1, 3, false), Some(vec![255, 0, 255]));
        assert_eq!(unpack(&[0x1F, 0xF0], 4, 3, true), Some(vec![1, 15, 15]));
        assert_eq!(unpack(&[0b00_01_10_11], 2, 4, false), Some(vec![0, 85, 170, 255]));
        assert_eq!(unpack(&[0], 3, 1, false), None);
    }
}
