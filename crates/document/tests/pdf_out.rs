//! PDF and PNG out: the Group 4 octets untouched, the sheet as large as on paper, readable by others.
#![allow(clippy::unwrap_used, clippy::panic)]

mod made;

use fax_base::page::{Resolution, Tones, Width};
use fax_document::{FaxDocument, Format, PdfInfo, RenderOptions, first_page_png, page_png, render, to_pdf};
use fax_image::t42::{self, Picture};
use fax_image::tiff::{TiffPage, WriteOptions};
use made::{Folder, run, testdata};
use std::time::{Duration, UNIX_EPOCH};

fn demo(resolution: Resolution) -> FaxDocument {
    let options = RenderOptions { resolution, ..RenderOptions::default() };
    render(&testdata("demo.pdf"), Format::Pdf, &options).unwrap()
}

#[test]
fn others_read_it_and_find_the_same_octets() {
    let folder = Folder::new("pdf");
    let document = demo(Resolution::Fine);
    let info = PdfInfo {
        title: Some("Fax from +39 040 555 0100 – Überweisung".into()),
        created: Some(UNIX_EPOCH + Duration::from_secs(1_795_000_000)),
        ..PdfInfo::default()
    };
    let file = folder.put("out.pdf", &to_pdf(&document, &info));
    let (said, complaints) = run("mupdf-tools", "mutool", &["info", &file]);
    assert_eq!(complaints, "");
    assert!(said.contains("Pages: 3"), "{said}");
    assert!(said.contains("CCITTFax"), "{said}");
    assert!(said.contains("D:20261118"), "{said}");

    // Each page is A4 high and as wide as the line.
    let (pages, _) = run("mupdf-tools", "mutool", &["pages", &file]);
    assert_eq!(pages.matches(" r=\"609.").count() + pages.matches("609.").count() / 2, 3 + 1, "{pages}");
    assert!(pages.contains("841."), "{pages}");

    // The streams are the octets of the document.
    let octets = folder.get("out.pdf");
    for page in &document.pages {
        assert!(octets.windows(page.t6.len()).any(|w| w == &page.t6[..]));
    }
    // And mupdf draws the same pels: one pixel for each at the page's own resolution.
    run(
        "mupdf-tools",
        "mutool",
        &[
            "draw",
            "-q",
            "-A",
            "0",
            "-w",
            "1728",
            "-h",
            "2286",
            "-f",
            "-c",
            "gray",
            "-o",
            &folder.path("p%d.pgm"),
            &file,
        ],
    );
    for (i, page) in document.pages.iter().enumerate() {
        let pgm = folder.get(&format!("p{}.pgm", i + 1));
        let pels = &pgm[pgm.len() - 1728 * 2286..];
        let bitmap = page.to_bitmap();
        let wrong = (0..2286u32)
            .flat_map(|y| (0..1728u32).map(move |x| (x, y)))
            .filter(|(x, y)| bitmap.get(*x, *y) != (pels[(y * 1728 + x) as usize] < 128))
            .count();
        assert_eq!(wrong, 0, "page {}", i + 1);
    }
}

#[test]
fn our_own_pdf_comes_back_pel_by_pel() {
    // Both grids at full height, the finest one on a short page.
    let strip = made::framed_page(595.28, 150.0);
    for (resolution, file) in [
        (Resolution::Standard, testdata("demo.pdf")),
        (Resolution::Fine, testdata("demo.pdf")),
        (Resolution::Superfine, strip.clone()),
        (Resolution::Inch300, strip.clone()),
        (Resolution::R16, strip),
    ] {
        let options = RenderOptions { resolution, ..RenderOptions::default() };
        let document = render(&file, Format::Pdf, &options).unwrap();
        let file = to_pdf(&document, &PdfInfo::default());
        let back = render(&file, Format::Pdf, &options).unwrap();
        for (a, b) in document.pages.iter().zip(&back.pages) {
            assert_eq!(a.shape, b.shape);
            let (a, b) = (a.to_bitmap(), b.to_bitmap());
            assert!(a == b, "{resolution}: {a:?} {b:?}");
        }
    }
}

#[test]
fn tiff_out_is_clean_and_comes_back() {
    let folder = Folder::new("tiff-out");
    let document = demo(Resolution::Standard);
    let tiff = document.to_tiff();
    let file = folder.put("out.tif", &tiff);
    let (info, complaints) = run("libtiff-tools", "tiffinfo", &["-D", &file]);
    assert_eq!(complaints, "");
    assert_eq!(info.matches("Image Width: 1728 Image Length: 1143").count(), 3, "{info}");
    let back = FaxDocument::from_tiff(&tiff).unwrap();
    for (a, b) in document.pages.iter().zip(&back.pages) {
        assert_eq!((a.shape, a.to_bitmap()), (b.shape, b.to_bitmap()));
    }
    assert_eq!(back.page(2).unwrap().0.width, Width::A4);
    assert!(back.page(3).is_none());
}

#[test]
fn previews_have_square_pels() {
    let document = demo(Resolution::Standard);
    for (i, most, width) in [(0, 600, 600), (2, 5000, 1728)] {
        let png = page_png(&document, i, most);
        let picture = image::load_from_memory(&png).unwrap();
        assert_eq!(picture.width(), width);
        let aspect = f64::from(picture.height()) / f64::from(width);
        assert!((aspect - 297.0 / 214.9).abs() < 0.01, "{aspect}");
    }
    assert_eq!(first_page_png(&document, 600), page_png(&document, 0, 600));
    assert!(page_png(&document, 3, 600).is_empty());
    assert!(first_page_png(&FaxDocument::default(), 600).is_empty());
}

/// A page of four broad stripes.
fn striped(tones: Tones) -> (FaxDocument, Vec<[u8; 3]>) {
    let colours = vec![[200u8, 40, 40], [60, 150, 60], [70, 90, 160], [230, 230, 120]];
    let stripes = colours.clone();
    let rgb = (0..400u32).flat_map(|_| (0..1728usize).flat_map(|x| stripes[x / 432]).collect::<Vec<u8>>());
    let picture = Picture::from_rgb(1728, tones, &rgb.collect::<Vec<u8>>());
    let page = TiffPage::in_tones(t42::encode(&picture, &t42::Options::default()).into()).unwrap();
    let file = fax_image::tiff::write(&[page], &WriteOptions::default());
    (FaxDocument::from_tiff(&file).unwrap(), colours)
}

#[test]
fn grey_and_colour_are_seen_by_others() {
    let folder = Folder::new("colour");
    for tones in [Tones::Colour, Tones::Grey] {
        let (document, colours) = striped(tones);
        assert_eq!(document.pages[0].shape.tones, Some(tones));
        let file = folder.put("out.pdf", &to_pdf(&document, &PdfInfo::default()));
        let (said, complaints) = run("mupdf-tools", "mutool", &["info", &file]);
        assert_eq!(complaints, "");
        assert!(said.contains("DCT"), "{said}");
        let out = folder.path("p%d.ppm");
        let draw = ["draw", "-q", "-A", "0", "-w", "1728", "-h", "400", "-f", "-c", "rgb", "-o", &out, &file];
        run("mupdf-tools", "mutool", &draw);
        let drawn = folder.get("p1.ppm");
        let samples = &drawn[drawn.len() - 1728 * 400 * 3..];
        for (i, colour) in colours.iter().enumerate() {
            let at = (200 * 1728 + i * 432 + 216) * 3;
            let got = &samples[at..at + 3];
            match tones {
                Tones::Colour => {
                    let off = got.iter().zip(colour).map(|(a, b)| a.abs_diff(*b)).max();
                    assert!(off <= Some(8), "{colour:?} became {got:?}");
                }
                Tones::Grey => assert!(got[0] == got[1] && got[1] == got[2], "{got:?}"),
            }
        }
        // The file of profile C that goes into the inbox has the same octets as the line had.
        let tiff = document.to_tiff();
        let jpeg = document.pages[0].jpeg.clone().unwrap();
        assert!(tiff.windows(jpeg.len()).any(|w| w == &jpeg[..]));
        assert_eq!(FaxDocument::from_tiff(&tiff).unwrap(), document);
    }
}
