//! Files that are foreign, wrong or hostile (TIFF 6.0; RFC 2301 §9 on security).

#![allow(clippy::unwrap_used)] // This is all tests.

use fax_base::page::{Coding, Resolution};
use fax_image::tiff::{self, Error, Image, Limits, Quality, RemarkKind, TiffPage, WriteOptions, read, write};
use fax_image::{Bitmap, EncodeOptions, decode, encode};
use proptest::prelude::*;

/// A file of one or more directories with these fields (tag, type, count, value) and the strip at `data_at`.
fn file(big: bool, pages: &[&[(u16, u16, u32, u32)]], strip: &[u8]) -> Vec<u8> {
    let u16s = |n: u16| {
        if big { n.to_be_bytes() } else { n.to_le_bytes() }
    };
    let u32s = |n: u32| {
        if big { n.to_be_bytes() } else { n.to_le_bytes() }
    };
    let mut f = if big { b"MM\0\x2A".to_vec() } else { b"II\x2A\0".to_vec() };
    // The strip is at 1000, values of two longs at 900 and 908.
    f.extend(u32s(8));
    for (i, fields) in pages.iter().enumerate() {
        f.extend(u16s(fields.len() as u16));
        for &(tag, kind, count, value) in *fields {
            f.extend(u16s(tag));
            f.extend(u16s(kind));
            f.extend(u32s(count));
            if kind == 3 && count == 1 {
                f.extend(u16s(value as u16));
                f.extend([0, 0]);
            } else {
                f.extend(u32s(value));
            }
        }
        let last = i + 1 == pages.len();
        f.extend(u32s(if last { 0 } else { f.len() as u32 + 4 }));
    }
    assert!(f.len() <= 900);
    f.resize(900, 0);
    for n in [80u32, 1, 39, 1] {
        f.extend(u32s(n));
    }
    f.resize(1000, 0);
    f.extend(strip);
    f
}

fn map(width: u32, rows: u32) -> Bitmap {
    let mut x = 99u32;
    let mut m = Bitmap::blank(width, rows);
    for y in 0..rows {
        for i in (0..width).step_by(5) {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            m.set(i, y, x >> 30 == 0);
            m.set(i + 1, y, x >> 30 == 0);
        }
    }
    m
}

fn g4(map: &Bitmap) -> Vec<u8> {
    encode(map, Coding::Mmr, &EncodeOptions::default())
}

fn fields(width: u32, rows: u32, octets: usize) -> Vec<(u16, u16, u32, u32)> {
    vec![
        (256, 4, 1, width),
        (257, 4, 1, rows),
        (258, 3, 1, 1),
        (259, 3, 1, 4),
        (262, 3, 1, 0),
        (273, 4, 1, 1000),
        (277, 3, 1, 1),
        (278, 4, 1, rows),
        (279, 4, 1, octets as u32),
    ]
}

fn with(mut f: Vec<(u16, u16, u32, u32)>, field: (u16, u16, u32, u32)) -> Vec<(u16, u16, u32, u32)> {
    f.retain(|g| g.0 != field.0);
    f.push(field);
    f.sort_unstable();
    f
}

fn kinds(d: &tiff::Document) -> Vec<RemarkKind> {
    d.remarks.iter().map(|r| r.kind.clone()).collect()
}

#[test]
fn foreign_files_are_read_and_remarked_upon() {
    let m = map(1728, 40);
    let data = g4(&m);
    let plain = fields(1728, 40, data.len());
    let (bx, by) = (204.0, 98.0);
    for big in [false, true] {
        let d = read(&file(big, &[&plain], &data), &Limits::default()).unwrap();
        assert!(d.pages[0].image.to_bitmap() == m);
        assert!(kinds(&d).contains(&RemarkKind::ResolutionGuessed(bx, by)));
        assert_eq!(kinds(&d).contains(&RemarkKind::BigEndian), big);
        assert_eq!(d.pages[0].resolution(), Some(Resolution::Standard));
        // 80 × 39 per centimetre is 204 × 98 per inch.
        let mut cm = with(plain.clone(), (282, 5, 1, 900));
        cm = with(with(cm, (283, 5, 1, 908)), (296, 3, 1, 3));
        let d = read(&file(big, &[&cm], &data), &Limits::default()).unwrap();
        assert_eq!(kinds(&d).last(), Some(&RemarkKind::PerCentimetre));
        assert_eq!(d.pages[0].resolution(), Some(Resolution::Standard));
        // Thumbnails are skipped.
        let thumb = with(plain.clone(), (254, 4, 1, 1));
        let d = read(&file(big, &[&thumb, &plain], &data), &Limits::default()).unwrap();
        assert_eq!(d.pages.len(), 1);
        assert!(kinds(&d).contains(&RemarkKind::ThumbnailSkipped));
        // White is one.
        let inverse = with(plain.clone(), (262, 3, 1, 1));
        let d = read(&file(big, &[&inverse], &data), &Limits::default()).unwrap();
        let i = d.pages[0].image.to_bitmap();
        assert!((0..40).all(|y| i.row(y).iter().zip(m.row(y)).all(|(a, b)| *a == !b)));
        // Wrong bit order.
        let order = with(plain.clone(), (266, 3, 1, 2));
        let d = read(&file(big, &[&order], &data), &Limits::default()).unwrap();
        assert!(d.pages[0].image.to_bitmap() == m);
        assert!(matches!(kinds(&d)[usize::from(big)], RemarkKind::Mislabelled(_)));
        // Orientation 6 stands on its side.
        let side = with(plain.clone(), (274, 3, 1, 6));
        let d = read(&file(big, &[&side], &data), &Limits::default()).unwrap();
        assert_eq!((d.pages[0].image.width(), d.pages[0].image.rows()), (40, 1728));
        assert_eq!(d.pages[0].image.to_bitmap().get(39 - 7, 3), m.get(3, 7));
    }
}

#[test]
fn the_row_count_is_corrected() {
    let m = map(1728, 40);
    let data = g4(&m);
    for (stated, kind) in [
        (39, RemarkKind::LengthWrong { stated: 39, found: 40 }),
        (41, RemarkKind::LengthWrong { stated: 41, found: 40 }),
        (0, RemarkKind::LengthMissing(40)),
    ] {
        let f = with(fields(1728, stated, data.len()), (278, 4, 1, u32::MAX));
        let d = read(&file(false, &[&f], &data), &Limits::default()).unwrap();
        assert!(d.pages[0].image.to_bitmap() == m, "{stated}");
        assert!(kinds(&d).contains(&kind), "{stated}");
    }
}

#[test]
fn t4_in_all_its_dresses() {
    let m = map(1728, 40);
    for coding in [Coding::Mh, Coding::Mr] {
        for end_of_page in [false, true] {
            let options = EncodeOptions { end_of_page, min_row_bits: 333, ..EncodeOptions::default() };
            let data = encode(&m, coding, &options);
            // T4Options says the truth, or the opposite.
            for t4 in [0, 1] {
                let f = with(with(fields(1728, 40, data.len()), (259, 3, 1, 3)), (292, 4, 1, t4));
                let d = read(&file(false, &[&f], &data), &Limits::default()).unwrap();
                assert!(d.pages[0].image.to_bitmap() == m, "{coding} {t4} {end_of_page}");
                let truth = (t4 == 1) == (coding == Coding::Mr);
                let odd = kinds(&d).iter().any(|k| matches!(k, RemarkKind::Mislabelled(_)));
                assert_eq!(odd, !truth);
            }
        }
    }
    // Without EOLs: take them off an MH stream row by row.
    let mut plain = Vec::new();
    let mut bits = String::new();
    for y in 0..m.rows() {
        let mut row = Bitmap::new(1728);
        row.push_row(m.row(y));
        let one = encode(&row, Coding::Mh, &EncodeOptions { end_of_page: true, ..EncodeOptions::default() });
        let text: String = one.iter().map(|o| format!("{o:08b}")).collect();
        let end = text.len() - text[12..].chars().rev().position(|c| c == '1').unwrap();
        // Six EOLs are 72 bits.
        bits.push_str(&text[12..end - 72]);
        let aligned = bits.len().next_multiple_of(8);
        bits.extend(std::iter::repeat_n('0', aligned - bits.len()));
    }
    for octet in bits.as_bytes().chunks(8) {
        plain.push(octet.iter().fold(0u8, |o, b| o << 1 | (b - b'0')));
    }
    for (compression, kind) in
        [(2, RemarkKind::CompressionNotFax("MH without EOLs")), (3, RemarkKind::NoEols)]
    {
        let f = with(fields(1728, 40, plain.len()), (259, 3, 1, compression));
        let d = read(&file(false, &[&f], &plain), &Limits::default()).unwrap();
        assert!(kinds(&d).contains(&kind), "{compression}");
        assert!(d.pages[0].image.to_bitmap() == m, "{compression}");
    }
}

#[test]
fn hostile_files_are_refused() {
    let data = g4(&map(1728, 40));
    let plain = fields(1728, 40, data.len());
    let refuse = |f: &[u8]| read(f, &Limits::default()).unwrap_err();
    assert_eq!(refuse(b""), Error::NotTiff);
    assert_eq!(refuse(b"%PDF-1.7"), Error::NotTiff);
    assert_eq!(refuse(b"II\x2B\0\x08\0\0\0"), Error::Unsupported("BigTIFF".into()));
    let good = file(false, &[&plain], &data);
    // A directory that follows itself.
    let mut looped = good.clone();
    let next = 8 + 2 + plain.len() * 12;
    looped[next] = 8;
    assert_eq!(refuse(&looped), Error::Damaged("the directories form a loop".into()));
    type Tag = (u16, u16, u32, u32);
    let bad: [(&str, Tag); 8] = [
        ("strip beyond the end", (273, 4, 1, 5_000_000)),
        ("strip too long", (279, 4, 1, u32::MAX)),
        ("four thousand million rows", (257, 4, 1, u32::MAX)),
        ("no width", (256, 4, 1, 0)),
        ("too wide", (256, 4, 1, 70_000)),
        ("grey", (258, 3, 1, 8)),
        ("LZW", (259, 3, 1, 5)),
        ("offsets beyond the end", (273, 4, u32::MAX, 4)),
    ];
    for (what, field) in bad {
        let f = file(false, &[&with(plain.clone(), field)], &data);
        let e = refuse(&f);
        match what {
            "LZW" => assert_eq!(e, Error::Unsupported("LZW".into())),
            "grey" => assert!(matches!(e, Error::Unsupported(_))),
            "too wide" | "four thousand million rows" => assert!(matches!(e, Error::TooLarge(_))),
            _ => assert!(matches!(e, Error::Damaged(_)), "{what}: {e}"),
        }
    }
    // Two strips in the same place.
    let mut two = with(plain.clone(), (273, 4, 2, 900));
    two = with(with(two, (279, 4, 2, 908)), (278, 4, 1, 20));
    let mut f = file(false, &[&two], &data);
    for (i, n) in [1000u32, 1000, 50, 50].into_iter().enumerate() {
        f[900 + i * 4..904 + i * 4].copy_from_slice(&n.to_le_bytes());
    }
    assert_eq!(refuse(&f), Error::Damaged("strips overlap".into()));
    // More pages and pels than allowed.
    let three = file(false, &[&plain, &plain, &plain], &data);
    let limits = Limits { max_pages: 2, ..Limits::default() };
    assert!(matches!(read(&three, &limits), Err(Error::TooLarge(_))));
    let limits = Limits { max_pels: 1728 * 100, ..Limits::default() };
    assert!(matches!(read(&three, &limits), Err(Error::TooLarge(_))));
    // Cut off anywhere.
    for n in 0..good.len() {
        assert!(read(&good[..n], &Limits::default()).is_err(), "{n}");
    }
}

proptest! {
    #[test]
    fn a_damaged_file_never_breaks_the_reader(
        hits in prop::collection::vec((0usize..1300, any::<u8>()), 1..30), big in any::<bool>(), seed in 0usize..3,
    ) {
        let m = map(300, 60);
        let data = g4(&m);
        let scheme = [1, 3, 4][seed];
        let mut f = file(big, &[&with(fields(300, 60, data.len()), (259, 3, 1, scheme)), &fields(300, 60, data.len())], &data);
        for (at, with) in hits {
            let at = at % f.len();
            f[at] = with;
        }
        let limits = Limits { max_rows: 5000, ..Limits::default() };
        if let Ok(d) = read(&f, &limits) {
            prop_assert!(d.pages.iter().all(|p| p.image.rows() > 0));
            let again = read(&write(&d.pages, &WriteOptions::default()), &limits).unwrap();
            prop_assert_eq!(again.pages.len(), d.pages.len());
        }
    }

    #[test]
    fn any_octets_are_decoded_or_refused(octets in prop::collection::vec(any::<u8>(), 0..3000), width in 0u32..70_000) {
        for coding in [Coding::Mh, Coding::Mr, Coding::Mmr] {
            let d = decode(&octets, coding, width, fax_image::Limits { max_rows: 500 });
            prop_assert!(d.rows <= 500);
        }
        prop_assert!(read(&octets, &Limits::default()).is_err());
    }
}

#[test]
fn what_is_written_is_read_with_its_figures() {
    let m = map(2048, 30);
    let mut page = TiffPage::new(Image::Bitmap(m.clone()), Resolution::Fine);
    page.x_per_inch = 203.2;
    page.quality = Some(Quality { bad_rows: 2, longest_bad_run: 1, left_in: true });
    page.description = Some("from 123".into());
    let t6 = TiffPage { image: Image::T6 { octets: g4(&m).into(), width: 2048, rows: 30 }, ..page.clone() };
    let empty = TiffPage::new(Image::Bitmap(Bitmap::new(1728)), Resolution::Fine);
    let f = write(&[page, empty, t6], &WriteOptions::default());
    assert_eq!(&f[..8], b"II\x2A\0\x08\0\0\0");
    let d = read(&f, &Limits::default()).unwrap();
    assert_eq!((d.pages.len(), d.remarks.len()), (2, 0));
    assert_eq!(d.pages[0], d.pages[1]);
    assert_eq!(d.pages[0].description.as_deref(), Some("from 123"));
    assert!((d.pages[0].x_per_inch - 203.2).abs() < 0.001);
    assert_eq!(d.pages[0].quality.unwrap().bad_rows, 2);
    assert!(d.pages[0].image.to_bitmap() == m);
}
