//! Crossing with jbigkit's T.85 tools both ways: the same octets from the same parameters, and each reads
//! what the other writes, moved adaptive pels, new lengths and comments included (T.82, T.85).

#![allow(clippy::unwrap_used, clippy::panic)] // This is all tests.

use fax_base::page::{Coding, Resolution};
use fax_image::t85::{self, Parameters, Template};
use fax_image::{Bitmap, Decoded, Limits, decode, tiff};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs a tool of jbigkit on a file: what it makes of it.
fn filter(name: &str, args: &[String], input: &[u8]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    std::fs::write(&from, input).unwrap();
    let status =
        Command::new(name).args(args).args([&from, &to]).status().unwrap_or_else(|e| {
            panic!("{name}: {e}; install the Debian package jbigkit-bin (tools/test does)")
        });
    assert!(status.success(), "{name} {args:?}");
    std::fs::read(&to).unwrap()
}

fn args(list: &[&str]) -> Vec<String> {
    list.iter().map(|s| (*s).to_owned()).collect()
}

fn pbm(map: &Bitmap) -> Vec<u8> {
    let mut file = format!("P4\n{} {}\n", map.width(), map.rows()).into_bytes();
    file.extend_from_slice(map.data());
    file
}

/// What jbigkit makes of a page.
fn theirs(map: &Bitmap, options: &[&str]) -> Vec<u8> {
    filter("pbmtojbg85", &args(options), &pbm(map))
}

/// What jbigkit reads from it.
fn read_by_them(octets: &[u8]) -> Bitmap {
    let file = filter("jbgtopbm85", &[], octets);
    let mut at = 2;
    let mut number = || {
        let blanks = file[at..].iter().take_while(|o| o.is_ascii_whitespace()).count();
        let digits = file[at + blanks..].iter().take_while(|o| o.is_ascii_digit()).count();
        at += blanks + digits;
        std::str::from_utf8(&file[at - digits..at]).unwrap().parse::<u32>().unwrap()
    };
    let (width, rows) = (number(), number());
    let map = Bitmap::from_rows(width, &file[at + 1..]);
    assert_eq!(map.rows(), rows);
    map
}

fn ours(octets: &[u8], width: u32) -> Decoded {
    decode(octets, Coding::T85, width, Limits::default())
}

fn noise(seed: u32) -> impl FnMut() -> u32 {
    let mut x = seed.wrapping_mul(2_654_435_761) | 1;
    move || {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        x >> 8
    }
}

/// Runs, repeated rows, white rows, noise of several densities, and dots in a regular raster.
fn page(seed: u32, width: u32, rows: u32) -> Bitmap {
    let mut next = noise(seed);
    let mut map = Bitmap::blank(width, rows);
    let mut kind = 0;
    for y in 0..rows {
        if next().is_multiple_of(9) {
            kind = next() % 6;
        }
        let density = 1 + next() % 12;
        let mut run = 0;
        for x in 0..width {
            let black = match kind {
                0 => false,
                1 => y > 0 && map.get(x, y - 1),
                2 => next().is_multiple_of(1 + density),
                3 => x % 8 < y % 8 && (x / 8 + y / 8) % 2 == 0,
                4 => y > 0 && map.get(x, y - 1) ^ next().is_multiple_of(97),
                _ => {
                    if next().is_multiple_of(23) {
                        run = next() % 2;
                    }
                    run == 1
                }
            };
            map.set(x, y, black);
        }
    }
    map
}

/// The charts where they are, and our own pages; each of them cut to its first rows.
fn scans(rows: u32) -> Vec<(String, Bitmap)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let charts = std::env::var_os("FERROFAX_DATA")
        .map_or_else(|| root.join("../shared/data"), PathBuf::from)
        .join("itu-t-charts");
    if !charts.is_dir() {
        println!("skipped: no charts");
    }
    let mut found = Vec::new();
    for dir in [root.join("testdata/pages"), charts] {
        for entry in std::fs::read_dir(dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            let document = tiff::read(&std::fs::read(&path).unwrap(), &tiff::Limits::default()).unwrap();
            let mut map = document.pages[0].image.to_bitmap();
            map.truncate(rows);
            found.push((path.display().to_string(), map));
        }
    }
    assert!(found.len() >= 3, "testdata/pages is missing");
    found
}

#[test]
fn the_octets_are_those_of_jbigkit() {
    let shapes = [(1, 1), (7, 30), (64, 129), (65, 128), (100, 256), (1728, 300), (2432, 40), (191, 17)];
    for (seed, (width, rows)) in (1u32..).zip(shapes) {
        let map = page(seed, width, rows);
        for template in [Template::ThreeLine, Template::TwoLine] {
            for typical in [true, false] {
                for stripe_rows in [128, rows, 17, 1] {
                    let parameters = Parameters { template, typical, stripe_rows, ..Parameters::default() };
                    let options = u8::from(typical) * 8 + u8::from(template == Template::TwoLine) * 64;
                    let what = format!("{width} × {rows}, {parameters:?}");
                    let octets = t85::encode(&map, &parameters);
                    let want = theirs(
                        &map,
                        &["-m", "0", "-s", &stripe_rows.to_string(), "-p", &options.to_string()],
                    );
                    assert!(
                        octets == want,
                        "{what}: {:02x?} … for {:02x?}",
                        &octets[..40.min(octets.len())],
                        &want[..40.min(want.len())]
                    );
                    let back = ours(&octets, width);
                    assert!(back.is_good() && back.ended && back.bitmap == map, "{what}");
                }
            }
        }
    }
}

#[test]
fn scanned_pages_are_the_same_both_ways() {
    for (name, map) in scans(600) {
        let octets = t85::encode(&map, &Parameters::default());
        assert!(octets == theirs(&map, &["-m", "0"]), "{name}");
        assert!(read_by_them(&octets) == map, "{name}");
        let back = ours(&octets, map.width());
        assert!(back.is_good() && back.ended && back.bitmap == map, "{name}");
    }
}

#[test]
fn pages_with_a_moved_adaptive_pel_are_read() {
    let mut moved = 0;
    for (name, map) in
        scans(400).into_iter().chain((20..22).map(|s| (format!("page {s}"), page(s, 1728, 400))))
    {
        for options in ["8", "72", "0", "64"] {
            let octets = theirs(&map, &["-m", "127", "-p", options]);
            moved += usize::from(octets.windows(2).any(|w| w == [0xFF, 0x06]));
            let back = ours(&octets, map.width());
            assert!(back.is_good() && back.ended && back.bitmap == map, "{name} -p {options}");
        }
    }
    assert!(moved > 0, "the adaptive pel never moved");
}

#[test]
fn a_length_that_is_told_at_the_end_is_believed() {
    for (seed, rows) in [(30, 300u32), (31, 256), (32, 2), (33, 129)] {
        let map = page(seed, 200, rows);
        // Told after its last line is encoded, the tool leaves the page without an end.
        for (first, after) in
            [(1000, rows - 1), (1000, rows.div_ceil(2)), (rows + 1, rows - 1), (u32::MAX, 1)]
        {
            let mut options = vec!["-m", "0", "-C", "a comment, \u{ff}\u{2}"];
            let (first, after) = (first.to_string(), after.to_string());
            options.extend(["-Y", &first, &after]);
            let octets = theirs(&map, &options);
            let back = ours(&octets, 200);
            assert!(back.is_good() && back.bitmap == map, "{rows} of {first}, told after {after}: {back:?}");
        }
        let parameters = Parameters { announced_rows: Some(rows + 400), ..Parameters::default() };
        let octets = t85::encode(&map, &parameters);
        assert!(read_by_them(&octets) == map, "{rows}");
        let back = ours(&octets, 200);
        assert!(back.is_good() && back.ended && back.bitmap == map, "{rows}");
    }
}

/// libtiff writes JBIG under its old number only, and reads it under that; 9 is the number of TIFF-FX.
#[test]
fn files_with_jbig_cross_with_libtiff() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let tiffcp = |options: &[&str], from: &str, to: &str| {
        let status = Command::new("tiffcp").args(options).args([path(from), path(to)]).status().unwrap();
        assert!(status.success(), "tiffcp {options:?}");
    };
    let read = |octets: &[u8]| tiff::read(octets, &tiff::Limits::default()).unwrap();
    for (name, map) in scans(200) {
        let page = tiff::TiffPage::new(tiff::Image::Bitmap(map.clone()), Resolution::Fine);
        let pages = [page.clone(), page];
        for lsb_first in [false, true] {
            let options = |coding| tiff::WriteOptions { coding, lsb_first, ..tiff::WriteOptions::default() };
            std::fs::write(path("mmr"), tiff::write(&pages, &options(Coding::Mmr))).unwrap();
            tiffcp(&["-c", "jbig"], "mmr", "theirs");
            let theirs = read(&std::fs::read(path("theirs")).unwrap());
            assert!(theirs.pages.iter().all(|p| p.image.to_bitmap() == map), "{name}");
            assert!(theirs.remarks.iter().all(|r| !matches!(r.kind, tiff::RemarkKind::BadRows(_))));

            let mut ours = tiff::write(&pages, &options(Coding::T85));
            let again = read(&ours);
            assert_eq!((again.pages.len(), again.remarks.len()), (2, 0), "{name}: {:?}", again.remarks);
            assert!(again.pages.iter().all(|p| p.image.to_bitmap() == map), "{name}");
            if !lsb_first {
                continue;
            }
            // Under its number libtiff wants the least significant bit first where FillOrder says otherwise.
            let mut patch = |tag: u16, from: u16, to: u16| {
                let field = [&tag.to_le_bytes()[..], &[3, 0, 1, 0, 0, 0], &from.to_le_bytes()].concat();
                for at in 0..ours.len() - 10 {
                    if ours[at..at + 10] == field {
                        ours[at + 8..at + 10].copy_from_slice(&to.to_le_bytes());
                    }
                }
            };
            patch(259, 9, 34_661);
            patch(266, 2, 1);
            std::fs::write(path("ours"), ours).unwrap();
            tiffcp(&["-c", "g4"], "ours", "read");
            let back = read(&std::fs::read(path("read")).unwrap());
            assert!(back.pages.len() == 2 && back.pages.iter().all(|p| p.image.to_bitmap() == map), "{name}");
        }
    }
}
