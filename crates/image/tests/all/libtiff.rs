//! Crossing with libtiff both ways, by its tools: what it writes we read, what we write it reads
//! without a warning, on pages of our own, the ITU charts and damaged lines (TIFF 6.0, RFC 2301).

#![allow(clippy::unwrap_used, clippy::panic)] // This is all tests.

use fax_base::page::{Coding, Resolution};
use fax_image::tiff::{self, Image, Limits, TiffPage, WriteOptions};
use fax_image::{Bitmap, EncodeOptions, encode};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs a tool of libtiff: whether it said yes, and everything it wrote.
fn tool(name: &str, args: &[&str]) -> (bool, String) {
    let out = Command::new(name).args(args).output().unwrap_or_else(|e| {
        panic!("{name}: {e}; install the Debian package libtiff-tools (tools/test does)")
    });
    let text = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
    (out.status.success(), text.into_owned())
}

fn ok(name: &str, args: &[&str]) -> String {
    let (good, text) = tool(name, args);
    assert!(good, "{name} {args:?}: {text}");
    text
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Our own pages, and the charts where they are.
fn files() -> Vec<PathBuf> {
    let charts = std::env::var_os("FERROFAX_DATA")
        .map_or_else(|| root().join("../shared/data"), PathBuf::from)
        .join("itu-t-charts");
    if !charts.is_dir() {
        println!("skipped: no charts");
    }
    let mut found = Vec::new();
    for dir in [root().join("testdata/pages"), charts] {
        for entry in fs::read_dir(dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "tif") {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(found.len() >= 3, "testdata/pages is missing");
    found
}

fn read(path: &Path) -> tiff::Document {
    tiff::read(&fs::read(path).unwrap(), &Limits::default())
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn noise(seed: u32) -> impl FnMut() -> u32 {
    let mut x = seed.wrapping_mul(2_654_435_761) | 1;
    move || {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        x >> 8
    }
}

/// A page with runs of all lengths, rows that resemble each other, and some noise.
fn random_page(seed: u32, width: u32, rows: u32) -> Bitmap {
    let mut next = noise(seed);
    let mut map = Bitmap::blank(width, rows);
    let mut edges: Vec<u32> = Vec::new();
    for y in 0..rows {
        if next().is_multiple_of(5) {
            edges.clear();
            let scale = next() % 10;
            let mut x = next() % 60;
            while x < width && edges.len() < 200 {
                edges.push(x);
                x += 1 + next() % (2 << scale);
            }
        }
        for e in &mut edges {
            if next().is_multiple_of(4) {
                *e = e.saturating_add_signed((next() % 9).cast_signed() - 4);
            }
        }
        for pair in edges.chunks_exact(2) {
            for x in pair[0]..pair[1] {
                map.set(x, y, true);
            }
        }
    }
    map
}

fn page(map: Bitmap) -> TiffPage {
    TiffPage::new(Image::Bitmap(map), Resolution::Fine)
}

#[test]
fn libtiff_reads_what_we_write_without_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let ours = dir.path().join("ours.tif");
    let back = dir.path().join("back.tif");
    let mut documents: Vec<Vec<TiffPage>> = files().iter().map(|f| read(f).pages).collect();
    let maps = [(1, 1u32, 1), (2, 7, 30), (3, 1728, 300), (4, 2623, 90), (5, 10368, 60), (6, 2432, 211)];
    documents.push(maps.map(|(seed, w, h)| page(random_page(seed, w, h))).to_vec());
    documents[0][0].description = Some("a page of 7 bits\u{e9}".into());
    documents[0][0].quality = Some(tiff::Quality { bad_rows: 3, longest_bad_run: 2, left_in: false });
    for pages in &documents {
        for coding in [Coding::Mh, Coding::Mr, Coding::Mmr] {
            for lsb_first in [false, true] {
                let options = WriteOptions {
                    coding,
                    lsb_first,
                    date_time: Some("2026:11:21 12:00:00".into()),
                    ..WriteOptions::default()
                };
                fs::write(&ours, tiff::write(pages, &options)).unwrap();
                let (o, b) = (ours.to_str().unwrap(), back.to_str().unwrap());
                let info = ok("tiffinfo", &[o]);
                for bad in ["Warning", "Error", "Unknown"] {
                    assert!(!info.contains(bad), "{bad}: {info}");
                }
                let said = ok("tiffcp", &["-c", "none", o, b]);
                assert_eq!(said, "");
                let (mine, theirs) = (read(&ours), read(&back));
                assert_eq!(mine.pages.len(), pages.len());
                assert_eq!(theirs.pages.len(), pages.len());
                for ((m, t), p) in mine.pages.iter().zip(&theirs.pages).zip(pages) {
                    let want = p.image.to_bitmap();
                    assert!(m.image.to_bitmap() == want, "ours, {coding}");
                    assert!(t.image.to_bitmap() == want, "theirs, {coding}");
                    assert_eq!((m.x_per_inch, m.y_per_inch), (p.x_per_inch, p.y_per_inch));
                    assert_eq!(m.quality, p.quality);
                }
                let odd = |r: &&tiff::Remark| !matches!(r.kind, tiff::RemarkKind::WidthNotFax(_));
                assert_eq!(mine.remarks.iter().find(odd), None);
            }
        }
    }
}

#[test]
fn we_read_what_libtiff_writes() {
    let dir = tempfile::tempdir().unwrap();
    let theirs = dir.path().join("theirs.tif");
    let t = theirs.to_str().unwrap();
    let ways = [
        "-c g3:1d",
        "-c g3:2d",
        "-c g3:1d:fill",
        "-c g3:2d:fill",
        "-c g4",
        "-c none",
        "-c packbits",
        "-c g4 -B",
        "-c g3:2d -B -f lsb2msb",
        "-c g4 -f lsb2msb",
        "-c none -B",
        "-c packbits -r 16",
        "-c g4 -r 100 -s",
        "-c g3:1d -r 7 -s",
        "-c g3:2d -r 33 -f lsb2msb -s",
        "-c none -r 50 -s",
    ];
    let own = dir.path().join("own.tif");
    let maps = [(7, 1728u32, 200), (8, 333, 100), (9, 5000, 50)];
    let pages = maps.map(|(s, w, h)| page(random_page(s, w, h)));
    fs::write(&own, tiff::write(&pages, &WriteOptions::default())).unwrap();
    for file in files().iter().chain([&own]) {
        let want: Vec<Bitmap> = read(file).pages.iter().map(|p| p.image.to_bitmap()).collect();
        for way in ways {
            let mut args: Vec<&str> = way.split(' ').collect();
            args.extend([file.to_str().unwrap(), t]);
            ok("tiffcp", &args);
            let got = read(&theirs);
            let maps: Vec<Bitmap> = got.pages.iter().map(|p| p.image.to_bitmap()).collect();
            assert!(maps == want, "{way} {}", file.display());
            let wrong = got.remarks.iter().find(|r| {
                matches!(
                    r.kind,
                    tiff::RemarkKind::Mislabelled(_)
                        | tiff::RemarkKind::LengthWrong { .. }
                        | tiff::RemarkKind::BadRows(_)
                )
            });
            assert_eq!(wrong, None, "{way}");
        }
        for (way, name) in
            [("-c lzw", "LZW"), ("-c zip", "Deflate"), ("-c none -t -w 64 -l 64", "a tiled image")]
        {
            let mut args: Vec<&str> = way.split(' ').collect();
            args.extend([file.to_str().unwrap(), t]);
            ok("tiffcp", &args);
            let e = tiff::read(&fs::read(&theirs).unwrap(), &Limits::default());
            assert_eq!(e, Err(tiff::Error::Unsupported(name.into())));
        }
    }
}

#[test]
fn fax2tiff_reads_our_streams() {
    let dir = tempfile::tempdir().unwrap();
    let raw = dir.path().join("page.raw");
    let tif = dir.path().join("page.tif");
    let map = random_page(11, 1728, 150);
    for (coding, flag) in [(Coding::Mh, "-3"), (Coding::Mr, "-3"), (Coding::Mmr, "-4")] {
        let options = EncodeOptions { end_of_page: false, min_row_bits: 96, ..EncodeOptions::default() };
        fs::write(&raw, encode(&map, coding, &options)).unwrap();
        let dims = if coding == Coding::Mr { "-2" } else { "-1" };
        let mut args = vec!["-M", "-X", "1728", flag];
        if coding != Coding::Mmr {
            args.push(dims);
        }
        args.extend(["-o", tif.to_str().unwrap(), raw.to_str().unwrap()]);
        ok("fax2tiff", &args);
        let got = read(&tif).pages[0].image.to_bitmap();
        // fax2tiff may add rows after the end of the data.
        assert!(got.rows() >= map.rows(), "{coding}: {got:?}");
        for y in 0..map.rows() {
            assert_eq!(got.row(y), map.row(y), "{coding} row {y}");
        }
    }
}

#[test]
fn damaged_lines_cost_no_more_rows_than_with_libtiff() {
    let dir = tempfile::tempdir().unwrap();
    let (file, back) = (dir.path().join("d.tif"), dir.path().join("b.tif"));
    let map = random_page(12, 1728, 400);
    let (mut ours_wrong, mut theirs_wrong) = (0, 0);
    for coding in [Coding::Mh, Coding::Mr] {
        let clean = tiff::write(&[page(map.clone())], &WriteOptions { coding, ..WriteOptions::default() });
        for seed in 0..12 {
            let mut next = noise(seed + 100);
            let mut damaged = clean.clone();
            // Behind the directory and its values, before the last rows.
            for _ in 0..10 {
                let at = 600 + next() as usize % (damaged.len() - 900);
                damaged[at] ^= 1 << (next() % 8);
            }
            fs::write(&file, &damaged).unwrap();
            tool("tiffcp", &["-i", "-c", "none", file.to_str().unwrap(), back.to_str().unwrap()]);
            let wrong = |got: &Bitmap| (0..map.rows()).filter(|&y| got.row(y) != map.row(y)).count();
            let document = read(&file);
            let ours = &document.pages[0];
            ours_wrong += wrong(&ours.image.to_bitmap());
            theirs_wrong += wrong(&read(&back).pages[0].image.to_bitmap());
            let bad = ours.quality.map_or(0, |q| q.bad_rows);
            assert!(bad > 0 && bad < 100, "{coding} {seed}: {bad}");
        }
    }
    println!("rows wrong: {ours_wrong} ours, {theirs_wrong} libtiff");
    assert!(ours_wrong <= theirs_wrong);
}
