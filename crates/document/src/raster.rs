//! Pictures as fax pages: decoded within limits, fitted to the sheet, then made black and white
//! (T.81, ISO/IEC 15948).

use crate::colour::in_tones;
use crate::geometry::{Placement, place, place_in_tones};
use crate::grey::{Grey, Rgb, grey_of, over_white};
use crate::ink::to_bitmap;
use crate::{FaxDocument, Format, Page, RenderError, RenderOptions};
use bytes::Bytes;
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::error::ImageError;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use std::io::Cursor;

/// A picture without a size on paper counts as one of so many pixels to the inch.
const PER_INCH: f64 = 96.0;
/// And may be enlarged so much from there.
const MOST: f64 = 2.0;

/// A PNG or JPEG as a document of one page.
pub(crate) fn render(
    octets: &[u8],
    format: Format,
    options: &RenderOptions,
) -> Result<FaxDocument, RenderError> {
    let kind = if format == Format::Png { ImageFormat::Png } else { ImageFormat::Jpeg };
    let broken = |e: ImageError| image_error(e, format);
    let mut decoder = ImageReader::with_format(Cursor::new(octets), kind).into_decoder().map_err(broken)?;
    let (w, h) = decoder.dimensions();
    check_pels(w, h, options)?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(options.max_picture_pels.saturating_mul(8));
    decoder.set_limits(limits).map_err(broken)?;
    let orientation = decoder.orientation().map_err(broken)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(broken)?;
    picture.apply_orientation(orientation);
    let mm = |pixels: u32| f64::from(pixels) / PER_INCH * 25.4;
    let sheet = (mm(picture.width()), mm(picture.height()));
    // Colour first: what it takes is given back before the page is made grey.
    let tones = if options.colour { tones_of(&to_rgb(&picture), sheet, MOST, options)? } else { None };
    let page = to_page(&to_grey(picture), sheet, MOST, options)?.with_tones(tones);
    Ok(FaxDocument { pages: vec![page], remarks: Vec::new() })
}

/// Refuses pictures beyond the limit before anything is decoded.
pub(crate) fn check_pels(w: u32, h: u32, options: &RenderOptions) -> Result<(), RenderError> {
    if w == 0 || h == 0 {
        return Err(RenderError::Empty);
    }
    if u64::from(w) * u64::from(h) > options.max_picture_pels {
        return Err(RenderError::too_large(format!(
            "a picture has {w} × {h} pixels, at most {} million are taken",
            options.max_picture_pels / 1_000_000
        )));
    }
    Ok(())
}

fn image_error(e: ImageError, format: Format) -> RenderError {
    match e {
        ImageError::Limits(_) => RenderError::too_large("a picture needs too much memory"),
        ImageError::Unsupported(e) => {
            RenderError::Unsupported { what: format!("This kind of {} ({e})", format.name()) }
        }
        e => RenderError::broken(format, e.to_string()),
    }
}

fn to_grey(picture: DynamicImage) -> Grey {
    let (width, rows) = (picture.width() as usize, picture.height() as usize);
    let data = match picture {
        DynamicImage::ImageLuma8(i) => i.into_raw(),
        DynamicImage::ImageLumaA8(i) => {
            i.as_raw().as_chunks::<2>().0.iter().map(|[v, a]| over_white(*v, *a)).collect()
        }
        DynamicImage::ImageRgb8(i) => {
            i.as_raw().as_chunks::<3>().0.iter().map(|[r, g, b]| grey_of(*r, *g, *b)).collect()
        }
        other => other
            .into_rgba8()
            .as_raw()
            .as_chunks::<4>()
            .0
            .iter()
            .map(|[r, g, b, a]| over_white(grey_of(*r, *g, *b), *a))
            .collect(),
    };
    Grey { width, rows, data }
}

/// Over white paper.
fn to_rgb(picture: &DynamicImage) -> Rgb {
    let (width, rows) = (picture.width() as usize, picture.height() as usize);
    let data = if picture.color().has_alpha() {
        let pels = picture.to_rgba8();
        pels.as_raw()
            .as_chunks::<4>()
            .0
            .iter()
            .map(|[r, g, b, a]| [*r, *g, *b].map(|v| over_white(v, *a)))
            .collect()
    } else {
        picture.to_rgb8().as_raw().as_chunks::<3>().0.to_vec()
    };
    Rgb { width, rows, data }
}

/// A picture of `mm` millimetres, fitted to a page, as JPEG for the line, if there is grey or colour in it.
pub(crate) fn tones_of(
    rgb: &Rgb,
    mm: (f64, f64),
    most: f64,
    options: &RenderOptions,
) -> Result<Option<Bytes>, RenderError> {
    let Placement { shape, turned, x, columns } =
        place_in_tones(mm, options.width, most, options.max_page_pels)?;
    let (columns, rows) = (columns as usize, shape.rows as usize);
    let scaled = |width: usize, rows: usize| -> Result<Rgb, RenderError> {
        let octets = resize(rgb.data.as_flattened(), PixelType::U8x3, (rgb.width, rgb.rows), (width, rows))?;
        Ok(Rgb { width, rows, data: octets.as_chunks::<3>().0.to_vec() })
    };
    let fitted = if turned { scaled(rows, columns)?.turned() } else { scaled(columns, rows)? };
    let pels = shape.width.pels(shape.resolution) as usize;
    let mut sheet = Rgb::white(pels, rows);
    for (src, dst) in fitted.data.chunks_exact(columns).zip(sheet.data.chunks_exact_mut(pels)) {
        for (s, d) in src.iter().zip(dst.iter_mut().skip(x as usize)) {
            *d = *s;
        }
    }
    Ok(in_tones(&sheet))
}

/// Fits a grey picture of `mm` millimetres to a page and decides what becomes ink.
pub(crate) fn to_page(
    grey: &Grey,
    mm: (f64, f64),
    most: f64,
    options: &RenderOptions,
) -> Result<Page, RenderError> {
    let place = place(mm, options.resolution, options.width, most, options.max_page_pels)?;
    let (columns, rows) = (place.columns as usize, place.shape.rows as usize);
    let scaled = |width: usize, rows: usize| -> Result<Grey, RenderError> {
        let data = resize(&grey.data, PixelType::U8, (grey.width, grey.rows), (width, rows))?;
        Ok(Grey { width, rows, data })
    };
    let fitted = if place.turned { scaled(rows, columns)?.turned() } else { scaled(columns, rows)? };
    let pels = place.shape.width.pels(place.shape.resolution) as usize;
    let mut sheet = Grey::white(pels, rows);
    for (src, dst) in fitted.data.chunks_exact(columns).zip(sheet.data.chunks_exact_mut(pels)) {
        for (s, d) in src.iter().zip(dst.iter_mut().skip(place.x as usize)) {
            *d = *s;
        }
    }
    let bitmap = to_bitmap(&sheet, options.resolution, options.ink, None);
    Ok(Page::from_bitmap(&bitmap, place.shape))
}

/// Averages over areas when it becomes smaller, interpolates when it becomes larger.
fn resize(
    octets: &[u8],
    pixels: PixelType,
    from: (usize, usize),
    to: (usize, usize),
) -> Result<Vec<u8>, RenderError> {
    let failed = |e: &dyn core::fmt::Display| RenderError::too_large(e.to_string());
    let size = |v: usize| u32::try_from(v).map_err(|e| failed(&e));
    if from == to {
        return Ok(octets.to_vec());
    }
    let source = ImageRef::new(size(from.0)?, size(from.1)?, octets, pixels).map_err(|e| failed(&e))?;
    let mut target = Image::new(size(to.0)?, size(to.1)?, pixels);
    let filter =
        ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Hamming)).use_alpha(false);
    Resizer::new().resize(&source, &mut target, &filter).map_err(|e| failed(&e))?;
    Ok(target.into_vec())
}
