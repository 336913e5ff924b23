//! Pages in grey and colour against libjpeg-turbo (`cjpeg`, `djpeg`), and damaged ones (T.42, T.81).

#![allow(clippy::unwrap_used)] // This is all tests.

use fax_base::page::Tones;
use fax_image::t42::{self, Decoded, Options, Picture, decode, encode};
use proptest::prelude::*;
use std::fs;
use std::process::Command;

const BOTH: [Tones; 2] = [Tones::Grey, Tones::Colour];

/// Slopes, edges, and a little noise.
fn picture(width: u32, rows: u32, tones: Tones) -> Picture {
    let mut seed = 7u32;
    let mut samples = Vec::new();
    for y in 0..rows {
        for x in 0..width {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (seed >> 28) as u8;
            let edge = if (x / 24 + y / 40) % 3 == 0 { 60 } else { 0 };
            let l = (40 + (x * 150 / width.max(1)) as u8 + edge).saturating_add(noise);
            samples.push(l);
            if tones == Tones::Colour {
                samples.push(100 + (y * 60 / rows.max(1)) as u8);
                samples.push(140 - (x * 80 / width.max(1)) as u8);
            }
        }
    }
    Picture::from_samples(width, tones, samples)
}

/// Where the content of the first segment with this marker begins.
fn segment(stream: &[u8], marker: u8) -> usize {
    stream.windows(2).position(|w| w == [0xFF, marker]).unwrap() + 4
}

/// The ids of the components made those that libjpeg takes for components without a transform.
fn named_rgb(stream: &[u8]) -> Vec<u8> {
    let mut stream = stream.to_vec();
    let (frame, scan) = (segment(&stream, 0xC0), segment(&stream, 0xDA));
    if stream[frame + 5] == 3 {
        for (i, id) in b"RGB".iter().enumerate() {
            stream[frame + 6 + 3 * i] = *id;
            stream[scan + 1 + 2 * i] = *id;
        }
    }
    stream
}

/// What libjpeg makes of it: width, rows, samples. Colour is not smoothed where it is subsampled.
fn djpeg(stream: &[u8]) -> (u32, u32, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in.jpg");
    fs::write(&path, stream).unwrap();
    let out = Command::new("djpeg").args(["-pnm", "-nosmooth", "-dct", "int"]).arg(&path).output();
    let out = out.expect("djpeg, of libjpeg-turbo-progs");
    assert!(out.status.success() && out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
    let fields: Vec<&[u8]> = out.stdout.splitn(4, |o| o.is_ascii_whitespace()).collect();
    let number = |i: usize| -> u32 { std::str::from_utf8(fields[i]).unwrap().parse().unwrap() };
    // Behind the size come the largest value and one end of line.
    let at = fields[3].iter().position(|o| *o == b'\n').unwrap() + 1;
    (number(1), number(2), fields[3][at..].to_vec())
}

/// The picture as libjpeg codes it, without a transform of colours.
fn cjpeg(picture: &Picture, options: &[&str]) -> Vec<u8> {
    let colour = picture.tones() == Tones::Colour;
    let mut pnm =
        format!("P{} {} {} 255\n", if colour { 6 } else { 5 }, picture.width(), picture.rows()).into_bytes();
    pnm.extend_from_slice(picture.samples());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in.pnm");
    fs::write(&path, pnm).unwrap();
    let space: &[&str] = if colour { &["-rgb"] } else { &["-grayscale"] };
    let out = Command::new("cjpeg").args(options).args(space).arg(&path).output();
    let out = out.expect("cjpeg, of libjpeg-turbo-progs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}

fn worst(a: &[u8], b: &[u8]) -> u8 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

fn good(stream: &[u8]) -> Decoded {
    let found = decode(stream).unwrap();
    assert!(found.is_good(), "{} bad rows, ended {}", found.bad_rows, found.ended);
    found
}

#[test]
fn what_we_code_libjpeg_reads_as_we_do() {
    for tones in BOTH {
        for (width, rows) in [(1728, 300), (1, 1), (17, 9), (250, 131)] {
            for (quality, subsampled) in [(10, true), (50, false), (75, true), (100, false)] {
                let page = picture(width, rows, tones);
                let stream = encode(&page, &Options { quality, subsampled, per_inch: 200 });
                let (w, h, theirs) = djpeg(&named_rgb(&stream));
                let ours = good(&stream);
                assert_eq!((w, h), (width, rows));
                assert_eq!(
                    (ours.picture.width(), ours.picture.rows(), ours.length),
                    (width, rows, stream.len())
                );
                let worst = worst(ours.picture.samples(), &theirs);
                assert!(worst <= 1, "{tones:?} {width} × {rows}, {quality}, {subsampled}: {worst}");
            }
        }
    }
}

#[test]
fn what_libjpeg_codes_we_read_as_it_does() {
    let ways: [&[&str]; 6] = [
        &["-quality", "75"],
        &["-quality", "95", "-optimize", "-sample", "2x2"],
        &["-quality", "30", "-sample", "2x1", "-restart", "1"],
        &["-quality", "90", "-sample", "1x2", "-restart", "7B"],
        &["-quality", "5", "-baseline", "-sample", "4x1"],
        &["-quality", "1", "-sample", "2x2", "-restart", "3"],
    ];
    for tones in BOTH {
        for (width, rows) in [(1728, 200), (33, 70), (8, 8)] {
            let page = picture(width, rows, tones);
            for way in ways {
                let stream = cjpeg(&page, way);
                let (_, _, theirs) = djpeg(&stream);
                let ours = good(&stream);
                let worst = worst(ours.picture.samples(), &theirs);
                assert!(worst <= 1, "{tones:?} {width} × {rows} {way:?}: {worst}");
            }
        }
    }
}

/// How far off a picture is on the whole.
fn mean_square(a: &Picture, b: &Picture) -> f64 {
    let sum: f64 = a.samples().iter().zip(b.samples()).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum();
    sum / a.samples().len() as f64
}

#[test]
fn our_coding_is_as_near_to_the_page_and_as_short_as_libjpegs() {
    for tones in BOTH {
        let page = picture(1000, 400, tones);
        for quality in [40, 75, 90] {
            let ours = encode(&page, &Options { quality, subsampled: false, per_inch: 200 });
            // libjpeg quantizes all three components like lightness here: compare where that is the same.
            let theirs = cjpeg(&page.to_grey(), &["-quality", &quality.to_string()]);
            let mine = encode(&page.to_grey(), &Options { quality, subsampled: false, per_inch: 200 });
            let (a, b) = (
                mean_square(&page.to_grey(), &good(&mine).picture),
                mean_square(&page.to_grey(), &good(&theirs).picture),
            );
            assert!(a <= b * 1.02 + 0.01, "{quality}: {a} and {b}");
            assert!(mine.len() <= theirs.len() + 64, "{quality}: {} and {}", mine.len(), theirs.len());
            assert!(mean_square(&page, &good(&ours).picture) < 40.0);
        }
    }
}

#[test]
fn unusual_kinds_are_refused_by_name() {
    let page = picture(64, 64, Tones::Colour);
    for (way, what) in [(&["-progressive"][..], "process 2"), (&["-arithmetic"][..], "process 9")] {
        let error = decode(&cjpeg(&page, way)).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
    }
    let mut twelve = encode(&page, &Options::default());
    let frame = segment(&twelve, 0xC0);
    twelve[frame] = 12;
    assert!(decode(&twelve).unwrap_err().to_string().contains("12 bits"));
    assert_eq!(decode(b"II\x2A\0 not at all"), Err(t42::Error::NotJpeg));
    let mut huge = encode(&page, &Options::default());
    huge[frame + 1..frame + 5].fill(0xFF);
    assert_eq!(decode(&huge), Err(t42::Error::TooLarge { width: 65_535, rows: 65_535 }));
}

#[test]
fn a_page_of_unknown_length_ends_with_dnl_or_without() {
    for tones in BOTH {
        let page = picture(200, 150, tones);
        let stream = encode(&page, &Options::default());
        let whole = good(&stream).picture;
        let mut open = stream.clone();
        let frame = segment(&open, 0xC0);
        open[frame + 1..frame + 3].fill(0);
        // Nobody says how many rows there are: whole units of them.
        let guessed = good(&open).picture;
        let unit = if tones == Tones::Colour { 16 } else { 8 };
        assert_eq!(guessed.rows(), 150u32.next_multiple_of(unit));
        assert!(guessed.samples().starts_with(whole.samples()));
        let end = open.len() - 2;
        open.splice(end..end, [0xFF, 0xDC, 0, 4, 0, 150]);
        open.extend([0; 200]);
        let told = good(&open);
        assert_eq!(told.picture, whole);
        assert_eq!(told.length, open.len() - 200, "what fills up the last frame is not of the page");
    }
}

#[test]
fn preferred_tables_need_not_be_sent() {
    let page = picture(200, 100, Tones::Colour);
    let stream = encode(&page, &Options::default());
    let (first, scan) = (segment(&stream, 0xC4) - 4, segment(&stream, 0xDA) - 4);
    let without = [&stream[..first], &stream[scan..]].concat();
    assert!(without.len() + 400 < stream.len());
    assert_eq!(good(&without).picture, good(&stream).picture);
}

#[test]
fn a_cut_page_keeps_the_rows_that_came() {
    let page = picture(400, 320, Tones::Colour);
    let stream = encode(&page, &Options::default());
    let whole = good(&stream).picture;
    let scan = segment(&stream, 0xDA);
    for share in [2, 3, 10] {
        let cut = scan + (stream.len() - scan) / share;
        let found = decode(&stream[..cut]).unwrap();
        assert!(!found.is_good() && !found.ended && found.bad_rows > 0);
        let kept = 320 - found.bad_rows;
        assert!(kept > 0 && kept.abs_diff(320 / share as u32) < 48, "{kept} rows of 1/{share}");
        let samples = kept as usize * 400 * 3;
        assert_eq!(found.picture.samples()[..samples], whole.samples()[..samples]);
        assert_eq!(found.longest_bad_run, found.bad_rows);
    }
    // Without its end only, every row is there.
    let found = decode(&stream[..stream.len() - 2]).unwrap();
    assert_eq!((found.bad_rows, found.ended, found.is_good()), (0, false, false));
    assert!(decode(&stream[..scan]).is_err(), "headers are no page");
}

#[test]
fn damage_ends_at_the_next_restart_marker() {
    let page = picture(400, 320, Tones::Colour);
    // A restart marker behind every row of blocks.
    let stream = cjpeg(&page, &["-quality", "80", "-restart", "1"]);
    let whole = good(&stream).picture;
    let marks: Vec<usize> = (0..stream.len() - 1)
        .filter(|i| stream[*i] == 0xFF && (0xD0..=0xD7).contains(&stream[i + 1]))
        .collect();
    assert_eq!(marks.len(), 39);
    // Two intervals and the marker between them are lost.
    let lost = [&stream[..marks[9] + 20], &stream[marks[11]..]].concat();
    let found = decode(&lost).unwrap();
    assert_eq!((found.bad_rows, found.longest_bad_run, found.ended), (16, 16, true));
    let row = 400 * 3;
    let samples = found.picture.samples();
    assert_eq!(samples[..80 * row], whole.samples()[..80 * row]);
    assert_eq!(samples[96 * row..], whole.samples()[96 * row..]);
    // A code that does not exist.
    let mut broken = stream.clone();
    broken[marks[20] + 30..marks[20] + 60].fill(0xFE);
    let found = decode(&broken).unwrap();
    assert!((1..=8).contains(&found.bad_rows), "{}", found.bad_rows);
    assert_eq!(found.picture.rows(), 320);
}

/// Restart markers alone are no rows: what is told to be missing is bounded by what is there.
#[test]
fn a_page_is_not_made_of_restart_markers() {
    let small = encode(&picture(512, 8, Tones::Grey), &Options::default());
    let (frame, scan) = (segment(&small, 0xC0), segment(&small, 0xDA));
    let data = scan + usize::from(small[scan - 1]) - 2;
    for width in [512u16, 0x7000] {
        let mut huge = small[..data].to_vec();
        huge[frame + 1..frame + 3].copy_from_slice(&(u16::MAX / (width / 512)).to_be_bytes());
        huge[frame + 3..frame + 5].copy_from_slice(&width.to_be_bytes());
        // DRI: as many units as there can be.
        let at = scan - 4;
        huge.splice(at..at, [0xFF, 0xDD, 0, 4, 0xFF, 0xFF]);
        huge.extend([0xFF, 0xD7]);
        assert!(decode(&huge).unwrap().picture.rows() <= 8);
        // With a little of each interval.
        for mark in (0..8).cycle().take(64) {
            huge.extend(&small[data..data + 4]);
            huge.extend([0xFF, 0xD0 + mark]);
        }
        let found = decode(&huge).unwrap();
        let pels = u64::from(found.picture.rows()) * u64::from(width);
        assert!(pels < 3 << 20, "{} rows of {width} pels", found.picture.rows());
        assert!(found.bad_rows > u32::from(u16::MAX / (width / 512)) - 64);
    }
}

#[test]
fn t42_header_is_first_and_another_gamut_is_understood() {
    let page = picture(40, 40, Tones::Colour);
    let stream = encode(&page, &Options { per_inch: 300, quality: 100, subsampled: false });
    assert_eq!(stream[..16], *b"\xFF\xD8\xFF\xE1\x00\x0CG3FAX\x00\x07\xCA\x01\x2C");
    let plain = good(&stream);
    assert_eq!((plain.header.per_inch, plain.header.version, plain.subsampled), (300, 1994, false));
    // L* as usual, a* and b* from −100 to 100 with 0 at 128.
    let mut other = stream[..16].to_vec();
    other.extend(b"\xFF\xE1\x00\x14G3FAX\x01\x00\x00\x00\x64\x00\x80\x00\xC8\x00\x80\x00\xC8");
    other.extend(&stream[16..]);
    let found = good(&other);
    for (a, b) in plain.picture.samples().chunks(3).zip(found.picture.samples().chunks(3)) {
        let value = |s: u8, offset: f32| (f32::from(s) - offset) / 255.0 * 200.0;
        assert_eq!(a[0], b[0]);
        assert!((value(a[2], 128.0).clamp(-75.0, 125.0) - value(b[2], 96.0)).abs() < 1.0, "{a:?} {b:?}");
    }
}

#[test]
fn black_and_white_pages_pass_through() {
    let mut bitmap = fax_image::Bitmap::blank(1728, 64);
    for x in (0..1728).filter(|x| x / 40 % 2 == 0) {
        for y in 0..64 {
            bitmap.set(x, y, true);
        }
    }
    for tones in BOTH {
        let picture = Picture::from_bitmap(&bitmap, tones);
        assert_eq!(picture.to_bitmap(), bitmap);
        let there = good(&encode(&picture, &Options::default())).picture;
        assert_eq!(there.to_bitmap(), bitmap, "edges at multiples of eight survive JPEG");
    }
}

proptest! {
    /// Nothing panics, and nothing is larger than what came allows.
    #[test]
    fn octets_of_any_kind(octets in prop::collection::vec(any::<u8>(), 0..600)) {
        let stream = [b"\xFF\xD8\xFF".as_slice(), &octets].concat();
        if let Ok(found) = decode(&stream) {
            prop_assert!(u64::from(found.picture.rows()) * u64::from(found.picture.width()) <= t42::MAX_PELS);
        }
    }

    /// Streams with holes, strokes and repeats.
    #[test]
    fn streams_that_were_damaged(
        tones in prop::sample::select(&BOTH),
        (width, rows) in (1u32..70, 1u32..70),
        restart in any::<bool>(),
        strokes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0usize..40), 1..6),
    ) {
        let page = picture(width, rows, tones);
        let mut stream = encode(&page, &Options::default());
        if restart {
            let at = segment(&stream, 0xDA) - 4;
            stream.splice(at..at, [0xFF, 0xDD, 0, 4, 0, 2]);
        }
        for (place, octet, gone) in strokes {
            let at = place.index(stream.len());
            stream[at] = octet;
            let until = (at + gone).min(stream.len());
            stream.drain(at + 1..until.max(at + 1));
        }
        if let Ok(found) = decode(&stream) {
            let picture = &found.picture;
            prop_assert!(u64::from(picture.rows()) * u64::from(picture.width()) <= t42::MAX_PELS);
            prop_assert!(found.longest_bad_run <= found.bad_rows);
            prop_assert!(found.length <= stream.len());
            if u64::from(picture.rows()) * u64::from(picture.width()) < 100_000 {
                prop_assert_eq!(picture.to_bitmap().rows(), picture.rows());
            }
        }
    }
}
