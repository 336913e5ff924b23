//! Grey and colour in: drawn beside the pels where that is asked for, and kept below them in files (T.42).
#![allow(clippy::unwrap_used, clippy::panic)] // This is all tests.

mod made;

use bytes::Bytes;
use fax_base::page::{PageShape, Tones, Width};
use fax_document::{FaxDocument, Format, Page, PdfInfo, RenderOptions, render, to_pdf};
use fax_image::t42;
use image::{ExtendedColorType, ImageEncoder};
use pdf_writer::Content;

const COLOURS: [[u8; 3]; 4] = [[200, 40, 40], [60, 150, 60], [70, 90, 160], [230, 230, 120]];

fn drawn(octets: &[u8], format: Format, colour: bool) -> Page {
    let options = RenderOptions { colour, ..RenderOptions::default() };
    render(octets, format, &options).unwrap().pages.remove(0)
}

/// A picture by its pixels.
fn png(width: u32, rows: u32, pixel: impl Fn(u32, u32) -> [u8; 3]) -> Vec<u8> {
    let data: Vec<u8> =
        (0..rows).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(|(x, y)| pixel(x, y)).collect();
    let mut file = Vec::new();
    image::codecs::png::PngEncoder::new(&mut file)
        .write_image(&data, width, rows, ExtendedColorType::Rgb8)
        .unwrap();
    file
}

/// The page in sRGB and its rows.
fn seen(jpeg: &Bytes) -> (Vec<u8>, u32) {
    let found = t42::decode(jpeg).unwrap();
    assert!(found.is_good());
    assert_eq!((found.picture.width(), found.header.per_inch), (1728, 200));
    (found.picture.to_rgb(), found.picture.rows())
}

fn pel(rgb: &[u8], x: u32, y: u32) -> [u8; 3] {
    rgb[(y * 1728 + x) as usize * 3..].first_chunk().copied().unwrap()
}

#[test]
fn a_picture_in_colour_is_drawn_in_colour_beside_its_pels() {
    let file = png(800, 400, |_, y| COLOURS[(y / 100) as usize]);
    let page = drawn(&file, Format::Png, true);
    assert_eq!(page.shape.tones, Some(Tones::Colour));
    // A landscape of 212 × 106 mm keeps its size.
    let (rgb, rows) = seen(page.jpeg.as_ref().unwrap());
    assert!(rows.abs_diff(833) < 3, "{rows}");
    for (i, colour) in (0..).zip(COLOURS) {
        let found = pel(&rgb, 864, rows * (2 * i + 1) / 8);
        assert!(found.iter().zip(colour).all(|(a, b)| a.abs_diff(b) <= 8), "{colour:?} became {found:?}");
    }
    // The pels are those of a page that goes in black and white, and without being asked there is nothing else.
    let plain = drawn(&file, Format::Png, false);
    assert_eq!((plain.shape.tones, &plain.jpeg), (None, &None));
    assert_eq!(plain.t6, page.t6);
}

#[test]
fn grey_is_grey_and_writing_is_neither() {
    let grey = drawn(&png(600, 300, |x, _| [(x * 255 / 600) as u8; 3]), Format::Png, true);
    assert_eq!(grey.shape.tones, Some(Tones::Grey));
    let (rgb, rows) = seen(grey.jpeg.as_ref().unwrap());
    let middle = pel(&rgb, 864, rows / 2);
    assert!(middle.iter().all(|v| v.abs_diff(127) < 8), "{middle:?}");

    let letter = made::pdf(&[(595.28, 841.89, made::framed(595.28, 841.89, 3.0))], None);
    assert_eq!(drawn(&letter, Format::Pdf, true).shape.tones, None);
}

#[test]
fn a_pdf_in_colour_and_a_sheet_on_its_side() {
    // Red above, blue at the left of what is below.
    let mut content = Content::new();
    content.set_fill_rgb(1.0, 0.0, 0.0).rect(0.0, 420.0, 595.0, 422.0).fill_nonzero();
    content.set_fill_rgb(0.0, 0.0, 0.6).rect(0.0, 0.0, 300.0, 420.0).fill_nonzero();
    let page = drawn(&made::pdf(&[(595.28, 841.89, content.finish().to_vec())], None), Format::Pdf, true);
    assert_eq!((page.shape.tones, page.shape.width), (Some(Tones::Colour), Width::A4));
    let (rgb, rows) = seen(page.jpeg.as_ref().unwrap());
    // 297 mm at 200 per inch, and 210 of them across.
    assert_eq!(rows, 2338);
    let [red, blue, white, margin] =
        [(864, 600), (500, 1800), (1300, 1800), (10, 1800)].map(|(x, y)| pel(&rgb, x, y));
    assert!(red[0] > 230 && red[1] < 60 && red[2] < 60, "{red:?}");
    assert!(blue[0] < 70 && blue[1] < 60 && blue[2] > 110, "{blue:?}");
    assert!(white.iter().chain(&margin).all(|v| *v > 250), "{white:?} {margin:?}");

    // A wide one is turned clockwise, 106 mm in the middle of the page: the first stripe is at the right.
    let side = drawn(&png(1600, 400, |_, y| COLOURS[(y / 100) as usize]), Format::Png, true);
    let (rgb, rows) = seen(side.jpeg.as_ref().unwrap());
    let found = [1177, 551].map(|x| pel(&rgb, x, rows / 2));
    let alike = |a: [u8; 3], b: [u8; 3]| a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= 8);
    assert!(alike(found[0], COLOURS[0]) && alike(found[1], COLOURS[3]), "{found:?}");
}

#[test]
fn tiffs_in_colour_too() {
    let data: Vec<u8> = (0..300u32 * 200).flat_map(|i| COLOURS[(i / 300 / 50) as usize]).collect();
    let mut file = std::io::Cursor::new(Vec::new());
    let mut encoder = tiff::encoder::TiffEncoder::new(&mut file).unwrap();
    encoder.write_image::<tiff::encoder::colortype::RGB8>(300, 200, &data).unwrap();
    let page = drawn(file.get_ref(), Format::Tiff, true);
    assert_eq!(page.shape.tones, Some(Tones::Colour));
    let (rgb, rows) = seen(page.jpeg.as_ref().unwrap());
    let found = pel(&rgb, 864, rows / 8);
    assert!(found.iter().zip(COLOURS[0]).all(|(a, b)| a.abs_diff(b) <= 8), "{found:?}");
}

#[test]
fn what_is_kept_is_black_and_white_for_all_but_the_sender() {
    let colour = drawn(&png(800, 400, |_, y| COLOURS[(y / 100) as usize]), Format::Png, true);
    let plain = drawn(&png(100, 100, |x, _| [if x < 50 { 0 } else { 255 }; 3]), Format::Png, true);
    let document = FaxDocument { pages: vec![colour.clone(), plain.clone()], remarks: Vec::new() };
    let file = document.to_stored_tiff();
    let sent = FaxDocument::from_stored_tiff(&file).unwrap();
    assert_eq!(sent.pages, [colour.clone(), plain]);
    let shown = FaxDocument::from_tiff(&file).unwrap();
    assert!(shown.pages.iter().all(|p| p.jpeg.is_none() && p.shape.tones.is_none()));
    assert_eq!(shown.pages[0].t6, colour.t6);
}

/// It came over the line with error correction, bit for bit, and is no JPEG that anybody knows.
#[test]
fn a_page_that_cannot_be_read_is_kept_as_it_came() {
    let octets = Bytes::from_static(b"\xFF\xD8\xFF\xC0 and nothing more of it");
    let good = drawn(&png(800, 400, |_, y| COLOURS[(y / 100) as usize]), Format::Png, true);
    let bad = Page {
        shape: PageShape { rows: 0, ..good.shape },
        t6: Bytes::new(),
        jpeg: Some(octets.clone()),
        ..good.clone()
    };
    let file = FaxDocument { pages: vec![good.clone(), bad], remarks: Vec::new() }.to_tiff();
    let found = FaxDocument::from_tiff(&file).unwrap();
    assert_eq!(found.pages[0].jpeg, good.jpeg);
    assert_eq!((found.pages[1].jpeg.as_ref(), found.pages[1].shape.rows), (Some(&octets), 1));
    assert_eq!(found.pages[1].to_bitmap().black_pels(), 0);
    assert!(to_pdf(&found, &PdfInfo::default()).starts_with(b"%PDF"));
    // It is not sent on, and a file with it that somebody hands in is refused.
    let sent = FaxDocument::from_stored_tiff(&file).unwrap();
    assert_eq!((sent.pages[1].shape.tones, &sent.pages[1].jpeg), (None, &None));
    assert!(render(&file, Format::Tiff, &RenderOptions::default()).is_err());
}
