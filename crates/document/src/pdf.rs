//! PDF pages drawn at fax resolution (ISO 32000; the drawing is hayro's).

use crate::colour::in_tones;
use crate::geometry::{Placement, place, place_in_tones};
use crate::grey::{Grey, Rgb, grey_of};
use crate::ink::{Area, to_bitmap};
use crate::{FaxDocument, Format, Page, RenderError, RenderOptions};
use hayro::hayro_interpret::font::GlyphRun;
use hayro::hayro_interpret::{
    BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, Image, ImageDrawProps, InterpreterSettings,
    InterpreterWarning, Paint, SoftMask, TransformExt, interpret_page,
};
use hayro::hayro_syntax::page::Page as PdfPage;
use hayro::hayro_syntax::{DecryptionError, LoadPdfError, Pdf};
use hayro::kurbo::{Affine, BezPath, Rect, Shape};
use hayro::vello_cpu::color::palette::css::WHITE;
use hayro::vello_cpu::{self, Pixmap, RenderContext};
use hayro::{RenderCache, RenderSettings, render_into};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Points of PDF in a millimetre.
const POINTS_PER_MM: f64 = 72.0 / 25.4;

/// Draws all pages.
pub(crate) fn render(octets: &[u8], options: &RenderOptions) -> Result<FaxDocument, RenderError> {
    let started = Instant::now();
    let pdf = Pdf::new(octets.to_vec()).map_err(load_error)?;
    let pages = pdf.pages();
    let count = u32::try_from(pages.len()).unwrap_or(u32::MAX);
    if count == 0 {
        return Err(RenderError::Empty);
    }
    if count > options.max_pages {
        return Err(RenderError::TooManyPages { pages: count, max: options.max_pages });
    }
    let warnings = Arc::new(Warnings::default());
    let settings = InterpreterSettings {
        warning_sink: {
            let warnings = Arc::clone(&warnings);
            Arc::new(move |w| warnings.note(&w))
        },
        ..InterpreterSettings::default()
    };
    let cache = RenderCache::new();
    let mut document = FaxDocument::default();
    for (i, page) in pages.iter().enumerate() {
        if started.elapsed() > options.time_limit {
            return Err(RenderError::TimedOut { seconds: options.time_limit.as_secs() });
        }
        document.pages.push(draw(page, &cache, &settings, options).map_err(|e| on_page(e, i + 1))?);
    }
    document.remarks = warnings.sentences();
    Ok(document)
}

fn on_page(e: RenderError, page: usize) -> RenderError {
    match e {
        RenderError::TooLarge { what } => RenderError::TooLarge { what: format!("on page {page}, {what}") },
        e => e,
    }
}

fn load_error(e: LoadPdfError) -> RenderError {
    match e {
        LoadPdfError::Decryption(DecryptionError::PasswordProtected) => RenderError::PasswordProtected,
        LoadPdfError::Decryption(DecryptionError::UnsupportedAlgorithm) => {
            RenderError::Unsupported { what: "A PDF with this kind of encryption".into() }
        }
        LoadPdfError::Decryption(_) => RenderError::broken(Format::Pdf, "its encryption is not valid"),
        LoadPdfError::Invalid => {
            RenderError::broken(Format::Pdf, "its pages cannot be found, it may be incomplete")
        }
    }
}

/// What the interpreter complained about, once each.
#[derive(Default)]
struct Warnings {
    font: AtomicBool,
    image: AtomicBool,
    annotation: AtomicBool,
}

impl Warnings {
    fn note(&self, w: &InterpreterWarning) {
        let flag = match w {
            InterpreterWarning::UnsupportedFont => &self.font,
            InterpreterWarning::ImageDecodeFailure => &self.image,
            InterpreterWarning::UnresolvedAnnotationAppearance => &self.annotation,
            _ => return,
        };
        flag.store(true, Ordering::Relaxed);
    }

    fn sentences(&self) -> Vec<String> {
        [
            (&self.font, "A font could not be used; some text may be missing."),
            (&self.image, "A picture is damaged and was left out."),
            (&self.annotation, "A form field or note could not be drawn."),
        ]
        .into_iter()
        .filter(|(flag, _)| flag.load(Ordering::Relaxed))
        .map(|(_, s)| s.to_owned())
        .collect()
    }
}

fn draw<'a>(
    page: &'a PdfPage<'a>,
    cache: &RenderCache<'a>,
    settings: &InterpreterSettings,
    options: &RenderOptions,
) -> Result<Page, RenderError> {
    let (w, h) = page.render_dimensions();
    let unit = f64::from(
        page.raw().get::<f32>(b"UserUnit".as_slice()).filter(|u| u.is_finite() && *u > 0.0).unwrap_or(1.0),
    );
    let mm = (f64::from(w) * unit / POINTS_PER_MM, f64::from(h) * unit / POINTS_PER_MM);
    let onto = |place: &Placement| {
        onto_page(f64::from(w), f64::from(h), place) * page.initial_transform(true).to_kurbo()
    };
    let tones = if options.colour {
        let place = place_in_tones(mm, options.width, f64::INFINITY, options.max_page_pels)?;
        let mut sheet =
            Rgb::white(place.shape.width.pels(place.shape.resolution) as usize, place.shape.rows as usize);
        on_paper(page, cache, settings, onto(&place), &place, &mut sheet.data, |pel| pel)?;
        in_tones(&sheet)
    } else {
        None
    };
    let place = place(mm, options.resolution, options.width, f64::INFINITY, options.max_page_pels)?;
    let transform = onto(&place);
    let pels = place.shape.width.pels(place.shape.resolution) as usize;
    let mut grey = Grey::white(pels, place.shape.rows as usize);
    on_paper(page, cache, settings, transform, &place, &mut grey.data, |[r, g, b]| grey_of(r, g, b))?;

    let pictures = if grey.data.iter().any(|v| (32..224).contains(v)) {
        Some(pictures(page, settings, transform, &place))
    } else {
        None
    };
    let bitmap = to_bitmap(&grey, options.resolution, options.ink, pictures.as_deref());
    Ok(Page::from_bitmap(&bitmap, place.shape).with_tones(tones))
}

/// Draws the page onto a white sheet of this shape.
fn on_paper<'a, P>(
    page: &'a PdfPage<'a>,
    cache: &RenderCache<'a>,
    settings: &InterpreterSettings,
    transform: Affine,
    place: &Placement,
    sheet: &mut [P],
    pel: impl Fn([u8; 3]) -> P,
) -> Result<(), RenderError> {
    let (columns, rows) = (place.columns, place.shape.rows);
    let (Ok(pixmap_w), Ok(pixmap_h)) = (u16::try_from(columns), u16::try_from(rows)) else {
        return Err(RenderError::too_large("a page has too many rows"));
    };
    let single = vello_cpu::RenderSettings { num_threads: 0, ..vello_cpu::RenderSettings::default() };
    let mut ctx = RenderContext::new_with(pixmap_w, pixmap_h, single);
    let drawing = RenderSettings { force_image_interpolation: true, ..RenderSettings::default() };
    render_into(page, cache, settings, &drawing, &mut ctx, transform);
    ctx.flush();
    let mut pixmap = Pixmap::new(pixmap_w, pixmap_h);
    ctx.render_with(
        &mut pixmap,
        &mut vello_cpu::Resources::default(),
        vello_cpu::RasterizerSettings {
            target_init: vello_cpu::TargetInit::Clear(WHITE),
            ..Default::default()
        },
    );

    let pels = place.shape.width.pels(place.shape.resolution) as usize;
    for (src, dst) in
        pixmap.data_as_u8_slice().chunks_exact(columns as usize * 4).zip(sheet.chunks_exact_mut(pels))
    {
        for ([r, g, b, _], d) in src.as_chunks::<4>().0.iter().zip(dst.iter_mut().skip(place.x as usize)) {
            *d = pel([*r, *g, *b]);
        }
    }
    Ok(())
}

/// From points, y downwards, to pels of the drawn part of the page.
fn onto_page(w: f64, h: f64, place: &Placement) -> Affine {
    let (columns, rows) = (f64::from(place.columns), f64::from(place.shape.rows));
    if place.turned {
        // (x, y) → (h − y, x): a quarter clockwise.
        Affine::new([0.0, rows / w, -columns / h, 0.0, columns, 0.0])
    } else {
        Affine::scale_non_uniform(columns / w, rows / h)
    }
}

/// Where the page has pictures or shadings, in pels of the whole page.
fn pictures<'a>(
    page: &PdfPage<'a>,
    settings: &InterpreterSettings,
    transform: Affine,
    place: &Placement,
) -> Vec<Area> {
    let target = Rect::new(0.0, 0.0, f64::from(place.columns), f64::from(place.shape.rows));
    let interpreter_cache = hayro::hayro_interpret::InterpreterCache::new();
    let mut context = Context::new(transform, target, &interpreter_cache, page.xref(), settings.clone());
    let mut finder = PictureFinder { target, offset: f64::from(place.x), areas: Vec::new() };
    interpret_page(page, &mut context, &mut finder);
    finder.areas
}

/// A device that draws nothing and notes where continuous tone may be.
struct PictureFinder {
    target: Rect,
    offset: f64,
    areas: Vec<Area>,
}

impl PictureFinder {
    fn note(&mut self, r: Rect) {
        // More areas than this and the page is a mosaic: one area for all of it.
        const MOST: usize = 4000;
        let r = r.intersect(self.target);
        if !(r.width() >= 1.0 && r.height() >= 1.0) {
            return;
        }
        if self.areas.len() >= MOST {
            self.areas.clear();
            self.areas.push(self.area(self.target));
        }
        self.areas.push(self.area(r));
    }

    fn area(&self, r: Rect) -> Area {
        Area {
            x0: (r.x0 + self.offset).floor().max(0.0) as usize,
            y0: r.y0.floor().max(0.0) as usize,
            x1: (r.x1 + self.offset).ceil().max(0.0) as usize,
            y1: r.y1.ceil().max(0.0) as usize,
        }
    }
}

impl<'a> Device<'a> for PictureFinder {
    fn draw_path(&mut self, path: &BezPath, props: DrawProps<'a>, _: &DrawMode) {
        if matches!(props.paint, Paint::Pattern(_)) {
            self.note(props.transform.transform_rect_bbox(path.bounding_box()));
        }
    }
    fn push_clip_path(&mut self, _: &ClipPath) {}
    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {}
    fn draw_glyph_run(&mut self, _: &GlyphRun<'_, 'a>, _: DrawProps<'a>, _: &DrawMode) {}
    fn draw_image(&mut self, image: Image<'a, '_>, props: ImageDrawProps<'a>) {
        if matches!(image, Image::Raster(_)) {
            let size = Rect::new(0.0, 0.0, f64::from(image.width()), f64::from(image.height()));
            self.note(props.transform.transform_rect_bbox(size));
        }
    }
    fn pop_clip(&mut self) {}
    fn pop_transparency_group(&mut self) {}
}
