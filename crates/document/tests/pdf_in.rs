//! PDF in: geometry, refusals in plain words, and no panic on damaged files.
#![allow(clippy::unwrap_used, clippy::panic)]

mod made;

use fax_base::page::{Resolution, Width};
use fax_document::{FaxDocument, Format, Ink, RenderError, RenderOptions, render};
use fax_image::Bitmap;
use made::{Dice, framed, framed_page, pdf, testdata};
use pdf_writer::{Content, Name, Str};

fn at(resolution: Resolution) -> RenderOptions {
    RenderOptions { resolution, ..RenderOptions::default() }
}

fn drawn(octets: &[u8], options: &RenderOptions) -> FaxDocument {
    render(octets, Format::Pdf, options).unwrap()
}

/// First and last column and row that have ink.
fn extent(b: &Bitmap) -> (u32, u32, u32, u32) {
    let rows: Vec<u32> = (0..b.rows()).filter(|y| b.row(*y).iter().any(|o| *o != 0)).collect();
    let columns: Vec<u32> = (0..b.width()).filter(|x| rows.iter().any(|y| b.get(*x, *y))).collect();
    (columns[0], *columns.last().unwrap(), rows[0], *rows.last().unwrap())
}

#[test]
fn every_sheet_is_whole_at_every_resolution() {
    // A4, Letter, Legal, A4 and Letter sideways, A3, A5, a business card, a receipt.
    for (w, h) in [
        (595.28, 841.89),
        (612.0, 792.0),
        (612.0, 1008.0),
        (841.89, 595.28),
        (792.0, 612.0),
        (841.89, 1190.55),
        (419.53, 595.28),
        (240.0, 155.0),
        (226.0, 900.0),
    ] {
        let file = framed_page(w, h);
        let all = if h > 841.0 && h < 842.0 { &Resolution::ALL[..] } else { &[Resolution::Standard][..] };
        for &resolution in all {
            let document = drawn(&file, &at(resolution));
            let page = &document.pages[0];
            let bitmap = page.to_bitmap();
            assert_eq!(bitmap.width(), Width::A4.pels(resolution));
            assert_eq!(bitmap.rows(), page.shape.rows);
            let (left, right, top, bottom) = extent(&bitmap);
            let case =
                format!("{w} × {h} at {resolution}: {left}–{right}, {top}–{bottom} of {}", bitmap.rows());
            assert_eq!((top, bottom), (0, bitmap.rows() - 1), "{case}");
            assert!(left.abs_diff(bitmap.width() - 1 - right) <= 1, "{case}");

            // The aspect of the sheet is kept: 204 × 98 is not square.
            let (wide, long) = (f64::from(w.min(h)), f64::from(w.max(h)));
            let (per_x, per_y) = match resolution {
                Resolution::Inch300 => (300.0, 300.0),
                r => (
                    f64::from(r.x_per_inch()) / 204.0 * 8.04 * 25.4,
                    f64::from((r.y_per_inch() + 2) / 98) * 3.85 * 25.4,
                ),
            };
            let inches = (f64::from(right - left + 1) / per_x, f64::from(bottom - top + 1) / per_y);
            let upright = w <= h || w < 400.0;
            let want = if upright { f64::from(h) / f64::from(w) } else { long / wide };
            let got = inches.1 / inches.0;
            assert!((got / want - 1.0).abs() < 0.01, "{case}: {got} for {want}");
        }
    }
}

#[test]
fn a_sheet_on_its_side_is_turned_clockwise() {
    let (w, h) = (841.89, 595.28);
    let mut c = Content::new();
    // A black square in the upper left corner.
    c.rect(20.0, h - 70.0, 50.0, 50.0).fill_nonzero();
    let page = &drawn(&pdf(&[(w, h, c.finish().to_vec())], None), &at(Resolution::Fine)).pages[0];
    let (left, _, _, bottom) = extent(&page.to_bitmap());
    assert!(left > 1728 / 2, "the upper left corner comes to the upper right");
    assert!(bottom < 2286 / 4);
}

#[test]
fn the_other_widths_have_their_pels() {
    for (width, w, h) in [(Width::B4, 708.66, 1000.63), (Width::A3, 841.89, 1190.55)] {
        let options = RenderOptions { width, ..at(Resolution::Fine) };
        let page = &drawn(&framed_page(w, h), &options).pages[0];
        assert_eq!(page.shape.width, width);
        let bitmap = page.to_bitmap();
        assert_eq!(bitmap.width(), width.pels(Resolution::Fine));
        // True size: B4 has 2803 rows, A3 3234.
        let rows = (f64::from(h) / 72.0 * 25.4 * 7.7) as u32;
        assert!(bitmap.rows().abs_diff(rows) <= 1, "{}", bitmap.rows());
    }
}

#[test]
fn hairlines_and_grey_writing_stay_and_light_tints_go() {
    let (w, h) = (595.28, 841.89);
    let mut c = Content::new();
    c.set_fill_gray(0.9);
    c.rect(0.0, 0.0, w, h).fill_nonzero();
    c.set_fill_gray(0.0);
    for i in 0u8..40 {
        c.set_line_width(0.1);
        let y = 400.0 + f32::from(i) * 7.31;
        c.move_to(100.0, y).line_to(500.0, y).stroke();
    }
    c.set_fill_gray(0.6);
    c.begin_text();
    c.set_font(Name(b"F"), 18.0);
    c.next_line(100.0, 200.0);
    c.show(Str(b"IIIIIIIIII"));
    c.end_text();
    let file = pdf(&[(w, h, c.finish().to_vec())], None);
    for resolution in [Resolution::Standard, Resolution::Fine] {
        let bitmap = drawn(&file, &at(resolution)).pages[0].to_bitmap();
        // Down the middle: forty separate strokes, on white.
        let x = 800;
        let strokes = (1..bitmap.rows())
            .filter(|y| bitmap.get(x, *y) && !bitmap.get(x, *y - 1))
            .filter(|y| *y < bitmap.rows() * 6 / 10)
            .count();
        assert_eq!(strokes, 40, "{resolution}");
        let share = bitmap.black_pels() * 100 / (u64::from(bitmap.width()) * u64::from(bitmap.rows()));
        assert!(share < 3, "{resolution}: {share} % ink");
        let writing = (bitmap.rows() * 74 / 100..bitmap.rows() * 78 / 100)
            .flat_map(|y| (280..420).map(move |x| (x, y)))
            .filter(|(x, y)| bitmap.get(*x, *y))
            .count();
        assert!(writing > 300, "{resolution}: {writing}");
    }
}

#[test]
fn photographs_become_dots_only_where_they_are() {
    let document = drawn(&testdata("demo.pdf"), &at(Resolution::Fine));
    assert_eq!(document.page_count(), 3);
    assert!(document.pages.iter().all(|p| p.shape.rows == 2286));
    assert!(document.remarks.is_empty(), "{:?}", document.remarks);
    // Dots code badly, writing codes well.
    let sizes: Vec<usize> = document.pages.iter().map(|p| p.t6.len()).collect();
    assert!(sizes[0] < 40_000 && sizes[1] < 80_000, "{sizes:?}");
    assert!(sizes[2] > 60_000, "{sizes:?}");
    // Many changes of colour within the picture, none in the margin beside it.
    let photo = document.pages[2].to_bitmap();
    let changes =
        |x0: u32, x1: u32, y: u32| (x0 + 1..x1).filter(|x| photo.get(*x, y) != photo.get(x - 1, y)).count();
    for y in (300..670).step_by(30) {
        assert!(changes(170, 800, y) > 60, "row {y}");
        assert_eq!(changes(0, 150, y) + changes(820, 1728, y), 0, "row {y}");
    }
    let crisp = RenderOptions { ink: Ink::Threshold, ..at(Resolution::Fine) };
    let shorter = drawn(&testdata("demo.pdf"), &crisp);
    assert!(shorter.pages[2].t6.len() < sizes[2] / 3);
}

#[test]
fn refusals_say_why() {
    let options = RenderOptions::default();
    let why = |octets: &[u8]| render(octets, Format::Pdf, &options).unwrap_err();
    assert!(matches!(why(b""), RenderError::Empty));
    for broken in [
        &b"%PDF-1.7\n"[..],
        b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer << /Root 1 0 R >>",
        b"hello",
    ] {
        let e = why(broken);
        assert!(e.to_string().starts_with("The PDF is damaged: ") || e == RenderError::Empty, "{e}");
    }
    assert_eq!(why(&pdf(&[], None)), RenderError::Empty);
    assert_eq!(
        why(&testdata("locked.pdf")).to_string(),
        "The document is protected by a password; send a copy without one."
    );
    // An owner's password alone does not keep anyone from reading, nor from faxing.
    assert_eq!(drawn(&testdata("owned.pdf"), &options).page_count(), 1);

    let two = pdf(&vec![(200.0, 200.0, framed(200.0, 200.0, 4.0)); 2], None);
    let one = RenderOptions { max_pages: 1, ..RenderOptions::default() };
    assert_eq!(render(&two, Format::Pdf, &one).unwrap_err(), RenderError::TooManyPages { pages: 2, max: 1 });
    let small = RenderOptions { max_octets: 100, ..RenderOptions::default() };
    assert!(matches!(render(&two, Format::Pdf, &small).unwrap_err(), RenderError::TooLarge { .. }));
}

#[test]
fn absurd_page_sizes_are_fitted_or_refused() {
    let options = RenderOptions::default();
    for (w, h) in [(14_400.0, 14_400.0), (1e7, 1e7), (1e-3, 1e-3), (0.0, 0.0), (-595.0, -842.0)] {
        match render(&framed_page(w, h), Format::Pdf, &options) {
            Ok(d) => assert!(d.pages[0].shape.rows <= 2287, "{w} × {h}"),
            Err(e) => assert!(matches!(e, RenderError::TooLarge { .. }), "{w} × {h}: {e}"),
        }
    }
    let e = render(&framed_page(10.0, 1e6), Format::Pdf, &options).unwrap_err();
    assert!(e.to_string().contains("page 1"), "{e}");
}

#[test]
fn mutated_files_neither_panic_nor_hang() {
    let originals = [
        framed_page(595.0, 842.0),
        testdata("owned.pdf"),
        pdf(&[(300.0, 300.0, b"q 200 0 0 200 50 50 cm /I Do Q".to_vec())], Some((16, 16, 8, &[128; 256]))),
    ];
    let options = at(Resolution::Standard);
    let mut dice = Dice(7);
    let mut drawn = 0;
    for round in 0..210 {
        let mut octets = originals[round % originals.len()].clone();
        for _ in 0..=dice.below(12) {
            let i = dice.below(octets.len());
            match dice.below(4) {
                0 => octets[i] = u8::try_from(dice.below(256)).unwrap(),
                1 => octets[i] ^= 1 << dice.below(8),
                2 => {
                    octets.truncate(i.max(20));
                }
                _ => {
                    let n = dice.below(30).min(octets.len() - i);
                    octets.drain(i..i + n);
                }
            }
        }
        drawn += usize::from(render(&octets, Format::Pdf, &options).is_ok());
    }
    assert!(drawn > 20, "only {drawn} could be drawn");
}
