//! TIFF, PNG and JPEG in: fax pages pass untouched, others are fitted; checked with libtiff's tools.
#![allow(clippy::unwrap_used, clippy::panic)]

mod made;

use fax_base::page::{PageShape, Resolution, Width};
use fax_document::{FaxDocument, Format, Page, RenderError, RenderOptions, render};
use fax_image::tiff::{Image, TiffPage, WriteOptions};
use fax_image::{Bitmap, tiff};
use made::{Dice, Folder, run, testdata};

fn fax_pages() -> FaxDocument {
    let shapes = [
        (Resolution::Standard, Width::A4, 1143),
        (Resolution::Fine, Width::A4, 2286),
        (Resolution::Superfine, Width::B4, 700),
        (Resolution::R16, Width::A3, 500),
        (Resolution::Inch300, Width::A4, 900),
    ];
    let mut dice = Dice(3);
    let pages = shapes.map(|(resolution, width, rows)| {
        let mut bitmap = Bitmap::blank(width.pels(resolution), rows);
        for _ in 0..300 {
            let (x, y) = (dice.below(bitmap.width() as usize) as u32, dice.below(rows as usize) as u32);
            for i in 0..30 {
                bitmap.set(x + i, y, true);
                bitmap.set(x, y + i, true);
            }
        }
        let shape = PageShape { width, resolution, rows, tones: None };
        Page::from_bitmap(&bitmap, shape)
    });
    FaxDocument { pages: pages.into(), remarks: Vec::new() }
}

fn same_pages(a: &FaxDocument, b: &FaxDocument) {
    assert_eq!(a.page_count(), b.page_count());
    for (a, b) in a.pages.iter().zip(&b.pages) {
        assert_eq!(a.shape, b.shape);
        assert_eq!(a.to_bitmap(), b.to_bitmap());
    }
}

#[test]
fn fax_pages_pass_untouched_in_every_coding() {
    use fax_base::page::Coding;
    let document = fax_pages();
    let options = RenderOptions::default();
    for coding in [Coding::Mh, Coding::Mr, Coding::Mmr] {
        for lsb_first in [false, true] {
            let file = document.to_tiff_with(&WriteOptions { coding, lsb_first, ..WriteOptions::default() });
            same_pages(&document, &render(&file, Format::Tiff, &options).unwrap());
            same_pages(&document, &FaxDocument::from_tiff(&file).unwrap());
        }
    }
}

#[test]
fn libtiff_reads_what_is_written_and_its_own_codings_come_back() {
    let folder = Folder::new("tiff");
    let document = fax_pages();
    let ours = folder.put("ours.tif", &document.to_tiff());
    let (info, complaints) = run("libtiff-tools", "tiffinfo", &["-D", &ours]);
    assert_eq!(complaints, "");
    assert_eq!(info.matches("CCITT Group 4").count(), 5, "{info}");
    // Tiles and big endian are not fax; LZW, deflate and packbits are not even fax codings.
    for args in [
        &["-c", "lzw"][..],
        &["-c", "zip"],
        &["-c", "packbits"],
        &["-c", "none"],
        &["-c", "g3:2d:fill"],
        &["-c", "g4", "-B"],
        &["-c", "g4", "-f", "lsb2msb"],
        &["-c", "lzw", "-r", "16"],
        &["-c", "zip", "-t", "-w", "256", "-l", "256"],
    ] {
        let theirs = folder.path("theirs.tif");
        let mut all: Vec<&str> = args.to_vec();
        all.extend([ours.as_str(), theirs.as_str()]);
        run("libtiff-tools", "tiffcp", &all);
        let back = render(&folder.get("theirs.tif"), Format::Tiff, &RenderOptions::default())
            .unwrap_or_else(|e| panic!("{args:?}: {e}"));
        same_pages(&document, &back);
    }
}

fn one_page(bitmap: Bitmap, x: f32, y: f32) -> Vec<u8> {
    let page =
        TiffPage { x_per_inch: x, y_per_inch: y, ..TiffPage::new(Image::Bitmap(bitmap), Resolution::Fine) };
    tiff::write(&[page], &WriteOptions::default())
}

/// A frame on the edge and a diagonal.
fn scan(w: u32, h: u32) -> Bitmap {
    let mut b = Bitmap::blank(w, h);
    for x in 0..w {
        for t in 0..6 {
            b.set(x, t, true);
            b.set(x, h - 1 - t, true);
            b.set(x, (x * h / w).saturating_add(t).min(h - 1), true);
        }
    }
    b
}

#[test]
fn scans_of_other_sizes_are_fitted() {
    let options = RenderOptions::default();
    for (w, h, x, y, rows) in [
        // Letter at 300 and at 600, A4 at 200, a page with absurd resolution.
        (2550, 3300, 300.0, 301.0, 2130..=2145),
        (5100, 6600, 600.0, 600.0, 2135..=2145),
        (1654, 2339, 150.0, 150.0, 2270..=2287),
        (1700, 2200, 0.0, 0.0, 2135..=2160),
    ] {
        let document = render(&one_page(scan(w, h), x, y), Format::Tiff, &options)
            .unwrap_or_else(|e| panic!("{w} × {h}: {e}"));
        let page = &document.pages[0];
        assert_eq!(page.shape.width, Width::A4);
        assert!(rows.contains(&page.shape.rows), "{w} × {h}: {:?}", page.shape);
        let bitmap = page.to_bitmap();
        assert_eq!(bitmap.width(), 1728);
        // The frame is there at the top and at the bottom.
        for y in [1, bitmap.rows() - 2] {
            let black = (0..1728).filter(|x| bitmap.get(*x, y)).count();
            assert!(black > 1600, "{w} × {h}: {black} in row {y}");
        }
    }
}

#[test]
fn a_page_that_is_a_little_narrow_is_not_scaled() {
    let scan = scan(1700, 2200);
    let document =
        render(&one_page(scan.clone(), 200.0, 200.0), Format::Tiff, &RenderOptions::default()).unwrap();
    let page = document.pages[0].to_bitmap();
    assert_eq!((page.width(), page.rows()), (1728, 2200));
    assert_eq!(page.black_pels(), scan.black_pels());
    assert!(page.get(14, 0) && !page.get(13, 0) && page.get(1713, 0) && !page.get(1714, 0));
}

#[test]
fn refusals_say_why() {
    let options = RenderOptions::default();
    let why = |octets: &[u8]| render(octets, Format::Tiff, &options).unwrap_err();
    for octets in [&b"II*\0"[..], b"MM\0*\0\0\0\x08\0\0", b"hello"] {
        let e = why(octets);
        assert!(matches!(e, RenderError::Broken { .. }), "{e}");
    }
    let many = RenderOptions { max_pages: 2, ..RenderOptions::default() };
    assert!(render(&fax_pages().to_tiff(), Format::Tiff, &many).is_err());
}

#[test]
fn mutated_tiffs_do_not_panic() {
    let mut dice = Dice(11);
    let folder = Folder::new("mutants");
    let ours = folder.put("a.tif", &one_page(scan(400, 300), 150.0, 150.0));
    run("libtiff-tools", "tiffcp", &["-c", "lzw", &ours, &folder.path("b.tif")]);
    let originals = [folder.get("a.tif"), folder.get("b.tif")];
    let options = RenderOptions { resolution: Resolution::Standard, ..RenderOptions::default() };
    let mut good = 0;
    for round in 0..200 {
        let mut octets = originals[round % 2].clone();
        for _ in 0..=dice.below(6) {
            let i = dice.below(octets.len());
            octets[i] = u8::try_from(dice.below(256)).unwrap();
        }
        good += usize::from(render(&octets, Format::Tiff, &options).is_ok());
    }
    assert!(good > 10, "{good}");
}

#[test]
fn pictures_become_pages() {
    use image::{DynamicImage, GrayImage, ImageFormat, RgbaImage};
    let options = RenderOptions::default();
    let encode = |picture: DynamicImage, format| {
        let mut out = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut out, format).unwrap();
        out.into_inner()
    };
    // Transparent paper is white, opaque black is black.
    let mut rgba = RgbaImage::new(1240, 1754);
    for x in 100..1140 {
        for y in 100..120 {
            rgba.put_pixel(x, y, image::Rgba([0, 0, 0, 255]));
        }
    }
    let png = encode(DynamicImage::ImageRgba8(rgba), ImageFormat::Png);
    let page = &render(&png, Format::Png, &options).unwrap().pages[0];
    assert_eq!(page.shape.rows, 2286);
    let bitmap = page.to_bitmap();
    assert!(bitmap.get(864, 143) && !bitmap.get(864, 1000));
    let share = bitmap.black_pels() as f64 / (1728.0 * 2286.0);
    assert!((0.008..0.011).contains(&share), "{share}");

    // A grey ramp on its side keeps its shades as dots.
    let ramp = GrayImage::from_fn(1600, 1000, |x, _| image::Luma([(x * 255 / 1599) as u8]));
    let jpeg = encode(DynamicImage::ImageLuma8(ramp), ImageFormat::Jpeg);
    let page = &render(&jpeg, Format::Jpeg, &options).unwrap().pages[0];
    let bitmap = page.to_bitmap();
    let share = |from: u32, to: u32| {
        let black: u32 = (from..to).map(|y| (0..1728).filter(|x| bitmap.get(*x, y)).count() as u32).sum();
        f64::from(black) / f64::from((to - from) * 1728)
    };
    let rows = bitmap.rows();
    let (first, middle, last) =
        (share(0, rows / 5), share(rows * 2 / 5, rows * 3 / 5), share(rows * 4 / 5, rows));
    assert!(first > 0.65 && last < 0.2 && (0.25..0.6).contains(&middle), "{first} {middle} {last}");

    // Bombs: a header that promises more than the limit.
    let mut bomb = png.clone();
    bomb[16..20].copy_from_slice(&60_000u32.to_be_bytes());
    bomb[20..24].copy_from_slice(&60_000u32.to_be_bytes());
    let e = render(&bomb, Format::Png, &options).unwrap_err();
    assert!(matches!(e, RenderError::TooLarge { .. } | RenderError::Broken { .. }), "{e}");
    let e = render(&png[..png.len() / 2], Format::Png, &options).unwrap_err();
    assert!(matches!(e, RenderError::Broken { .. }), "{e}");
    assert!(render(&testdata("demo.pdf"), Format::Jpeg, &options).is_err());
}
