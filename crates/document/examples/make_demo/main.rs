//! Makes `testdata/demo.pdf`: a letter, a drawing and a photograph on three A4 pages (ISO 32000-1).
//!
//! `cargo run --release -p fax-document --example make_demo -- testdata/demo.pdf`. Everything in it is
//! our own: the words, the drawing, and the picture, which is computed in `landscape.rs`.

mod drawing;
mod landscape;
mod letter;

use image::codecs::jpeg::JpegEncoder;
use pdf_writer::{Content, Filter, Finish, Name, Pdf, Rect, Ref, Str, TextStr};

/// Fonts that every PDF reader has, by the names that the pages use.
const FONTS: [(&[u8], &[u8]); 5] = [
    (b"H", b"Helvetica"),
    (b"B", b"Helvetica-Bold"),
    (b"T", b"Times-Roman"),
    (b"I", b"Times-Italic"),
    (b"C", b"Courier"),
];

/// Writes `text` with its baseline beginning at `x`, `y` points.
pub(crate) fn text(c: &mut Content, font: &[u8], size: f32, x: f32, y: f32, text: &str) {
    let latin: Vec<u8> = text.chars().map(|ch| u8::try_from(u32::from(ch)).unwrap_or(b'?')).collect();
    c.begin_text();
    c.set_font(Name(font), size);
    c.next_line(x, y);
    c.show(Str(&latin));
    c.end_text();
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = std::env::args().nth(1).ok_or("usage: make_demo OUT.pdf")?;

    let (width, height) = (1280u32, 860u32);
    let picture = landscape::paint(width, height);
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, 78).encode(
        &picture,
        width,
        height,
        image::ExtendedColorType::Rgb8,
    )?;

    let mut photo = Content::new();
    photo.save_state();
    // Small on purpose: a dithered picture over the whole page takes four minutes at 14 400 bit/s.
    photo.transform([220.0, 0.0, 0.0, 220.0 * 860.0 / 1280.0, 56.6, 590.0]);
    photo.x_object(Name(b"P"));
    photo.restore_state();
    letter::caption(&mut photo);

    let mut pdf = Pdf::new();
    let (catalog, tree, info, picture_id) = (Ref::new(1), Ref::new(2), Ref::new(3), Ref::new(4));
    let font_ids: Vec<Ref> = (0..5).map(|i| Ref::new(10 + i)).collect();
    let page_ids: Vec<Ref> = (0..3).map(|i| Ref::new(20 + i)).collect();
    pdf.catalog(catalog).pages(tree);
    pdf.pages(tree).kids(page_ids.iter().copied()).count(3);
    pdf.document_info(info).title(TextStr("ferrofax: a page of each kind")).author(TextStr("ferrofax"));
    for (&id, (_, base)) in font_ids.iter().zip(FONTS) {
        pdf.type1_font(id).base_font(Name(base)).encoding_predefined(Name(b"WinAnsiEncoding"));
    }
    let mut image = pdf.image_xobject(picture_id, &jpeg);
    image.filter(Filter::DctDecode);
    image.width(i32::try_from(width)?);
    image.height(i32::try_from(height)?);
    image.color_space().device_rgb();
    image.bits_per_component(8);
    image.finish();

    let contents = [letter::write(), drawing::draw(), photo.finish()];
    for (i, (content, &id)) in contents.into_iter().zip(&page_ids).enumerate() {
        let content_id = Ref::new(30 + i32::try_from(i)?);
        let mut page = pdf.page(id);
        page.media_box(Rect::new(0.0, 0.0, 595.28, 841.89));
        page.parent(tree);
        page.contents(content_id);
        let mut resources = page.resources();
        let mut fonts = resources.fonts();
        for (&id, (name, _)) in font_ids.iter().zip(FONTS) {
            fonts.pair(Name(name), id);
        }
        fonts.finish();
        if i == 2 {
            resources.x_objects().pair(Name(b"P"), picture_id);
        }
        resources.finish();
        page.finish();
        pdf.stream(content_id, content.as_slice());
    }
    let octets = pdf.finish();
    std::fs::write(&out, &octets)?;
    println!("{out}: {} octets, picture {}", octets.len(), jpeg.len());
    Ok(())
}
