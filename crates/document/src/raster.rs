//! Pictures as fax pages: decoded within limits, fitted to the sheet, then made black and white
//! (T.81, ISO/IEC 15948).

use crate::geometry::place;
use crate::grey::{Grey, grey_of, over_white};
use crate::ink::to_bitmap;
use crate::{FaxDocument, Format, Page, RenderError, RenderOptions};
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
    let grey = to_grey(picture);
    let mm = |pixels: usize| pixels as f64 / PER_INCH * 25.4;
    let page = to_page(&grey, (mm(grey.width), mm(grey.rows)), MOST, options)?;
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

/// Fits a grey picture of `mm` millimetres to a page and decides what becomes ink.
pub(crate) fn to_page(
    grey: &Grey,
    mm: (f64, f64),
    most: f64,
    options: &RenderOptions,
) -> Result<Page, RenderError> {
    let place = place(mm, options.resolution, options.width, most, options.max_page_pels)?;
    let (columns, rows) = (place.columns as usize, place.shape.rows as usize);
    let fitted =
        if place.turned { resize(grey, rows, columns)?.turned() } else { resize(grey, columns, rows)? };
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
fn resize(grey: &Grey, width: usize, rows: usize) -> Result<Grey, RenderError> {
    let failed = |e: &dyn core::fmt::Display| RenderError::too_large(e.to_string());
    let size = |v: usize| u32::try_from(v).map_err(|e| failed(&e));
    if (width, rows) == (grey.width, grey.rows) {
        return Ok(grey.clone());
    }
    let source = ImageRef::new(size(grey.width)?, size(grey.rows)?, &grey.data, PixelType::U8)
        .map_err(|e| failed(&e))?;
    let mut target = Image::new(size(width)?, size(rows)?, PixelType::U8);
    let filter =
        ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Hamming)).use_alpha(false);
    Resizer::new().resize(&source, &mut target, &filter).map_err(|e| failed(&e))?;
    Ok(Grey { width, rows, data: target.into_vec() })
}
