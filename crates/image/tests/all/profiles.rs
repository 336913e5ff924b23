//! Files of profiles S and F are what RFC 3949 §3 and §4 say, octet by octet, and libtiff's tools take them: checked
//! with a reader of its own, which knows nothing of the one in the crate and forgives nothing.

#![allow(clippy::unwrap_used, clippy::panic)] // This is all tests.

use fax_base::page::{Coding, Resolution, Width};
use fax_image::Bitmap;
use fax_image::tiff::{self, Image, Profile, Quality, TiffPage, WriteOptions};
use std::collections::BTreeMap;
use std::process::Command;

struct Ifd {
    at: usize,
    fields: BTreeMap<u16, Vec<u32>>,
    next: usize,
}

fn short(f: &[u8], at: usize) -> u32 {
    u32::from(u16::from_le_bytes(f[at..at + 2].try_into().unwrap()))
}

fn long(f: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(f[at..at + 4].try_into().unwrap())
}

fn ifd(f: &[u8], at: usize) -> Ifd {
    assert_eq!(at % 2, 0, "directories begin on words");
    let mut fields = BTreeMap::new();
    let count = short(f, at) as usize;
    let mut last = 0;
    for entry in (0..count).map(|i| at + 2 + i * 12) {
        let (tag, kind, n) = (short(f, entry) as u16, short(f, entry + 2), long(f, entry + 4) as usize);
        assert!(tag > last, "tag {tag} behind {last}");
        last = tag;
        let size = [0, 1, 1, 2, 4, 8][kind as usize];
        let place = if n * size <= 4 { entry + 8 } else { long(f, entry + 8) as usize };
        assert_eq!(place % 2, 0, "values begin on words");
        let values = (0..n)
            .flat_map(|i| match kind {
                1 | 2 => vec![u32::from(f[place + i])],
                3 => vec![short(f, place + i * 2)],
                4 => vec![long(f, place + i * 4)],
                _ => vec![long(f, place + i * 8), long(f, place + i * 8 + 4)],
            })
            .collect();
        fields.insert(tag, values);
    }
    Ifd { at, fields, next: long(f, at + 2 + count * 12) as usize }
}

/// Everything that RFC 3949 wants of a file of this profile.
fn check(f: &[u8], profile: Profile, pages: usize) {
    assert_eq!(&f[..4], b"II\x2A\0");
    let mut at = long(f, 4) as usize;
    assert_eq!(at, 8, "the first directory follows the header");
    let mut behind = 0;
    for index in 0..pages {
        let d = ifd(f, at);
        let one = |tag: u16| {
            let v = &d.fields.get(&tag).unwrap_or_else(|| panic!("page {index}: no tag {tag}"))[..];
            assert_eq!(v.len(), 1, "tag {tag}");
            v[0]
        };
        assert!(d.at >= behind, "page {index} begins within the one before");
        // NewSubFileType, BitsPerSample, Orientation, SamplesPerPixel, ResolutionUnit.
        assert_eq!((one(254), one(258), one(274), one(277), one(296)), (2, 1, 1, 1, 2));
        let (width, length, compression) = (one(256), one(257), one(259));
        let x = &d.fields[&282];
        let y = &d.fields[&283];
        assert_eq!((x[1], y[1]), (1, 1));
        let s = [(204, 98), (204, 196), (200, 100), (200, 200)];
        let f_too = [(204, 391), (200, 400), (300, 300), (408, 391), (400, 400)];
        let widths: &[u32] = match x[0] {
            204 | 200 => &[1728, 2048, 2432],
            300 => &[2592, 3072, 3648],
            _ => &[3456, 4096, 4864],
        };
        match profile {
            Profile::S => {
                assert_eq!((width, compression, one(262), one(266)), (1728, 3, 0, 2));
                assert!([0, 4].contains(&one(292)), "T4Options");
                assert!(s.contains(&(x[0], y[0])), "{x:?} × {y:?}");
            }
            Profile::F => {
                assert!(s.contains(&(x[0], y[0])) || f_too.contains(&(x[0], y[0])), "{x:?} × {y:?}");
                assert!(widths.contains(&width), "{width} at {x:?}");
                assert!([0, 1].contains(&one(262)) && [1, 2].contains(&one(266)));
                match compression {
                    3 => assert!([0, 1, 4, 5].contains(&one(292)), "T4Options"),
                    4 => assert_eq!(one(293), 0, "T6Options"),
                    other => panic!("compression {other}"),
                }
            }
        }
        assert_eq!(d.fields[&297], [index as u32, pages as u32], "PageNumber");
        assert_eq!(one(278), length, "one strip a page");
        let (from, count) = (one(273) as usize, one(279) as usize);
        assert!(from > d.at && from + count <= f.len(), "the data stands behind its directory");
        if d.next != 0 {
            assert!(d.next >= from + count, "pages are in order");
        }
        // EOL comes first in T.4 data; RTC does not come at its end.
        let mut data = f[from..from + count].to_vec();
        if one(266) == 2 {
            data.iter_mut().for_each(|o| *o = o.reverse_bits());
        }
        if compression == 3 {
            assert_eq!((data[0], data[1] >> 4), (0, 1), "EOL");
            let mut ended = data.clone();
            while ended.last() == Some(&0) {
                ended.pop();
            }
            assert!(!ended.ends_with(&[0x00, 0x10, 0x01]) && !ended.ends_with(&[0x01, 0x00, 0x10]), "RTC");
        }
        if let Some(clean) = d.fields.get(&327) {
            assert!(clean[0] <= 2 && d.fields[&326][0] >= d.fields[&328][0]);
            assert_eq!(clean[0] == 0, d.fields[&326][0] == 0, "CleanFaxData and BadFaxLines");
        }
        behind = from + count;
        at = d.next;
    }
    assert_eq!(at, 0, "{pages} pages");
}

/// Stripes and a thin frame.
fn map(width: u32, rows: u32) -> Bitmap {
    let mut map = Bitmap::blank(width, rows);
    for y in 0..rows {
        for x in (0..width).filter(|x| x % 97 < y % 23 || *x == 0 || x + 1 == width) {
            map.set(x, y, true);
        }
    }
    map
}

/// Every resolution and width, their inch twins, and shapes that are no fax at all.
fn pages() -> Vec<TiffPage> {
    let mut pages = Vec::new();
    for resolution in Resolution::ALL {
        for width in Width::ALL {
            let mut page = TiffPage::new(Image::Bitmap(map(width.pels(resolution), 301)), resolution);
            pages.push(page.clone());
            (page.x_per_inch, page.y_per_inch) = match resolution {
                Resolution::Standard => (203.0, 100.0),
                Resolution::Fine => (200.0, 200.0),
                Resolution::Superfine => (200.0, 400.0),
                Resolution::Inch300 => (299.0, 301.0),
                Resolution::R16 => (400.0, 400.0),
            };
            pages.push(page);
        }
    }
    for (width, x, y) in [(1700, 204.0, 196.0), (640, 72.0, 72.0), (5000, 204.0, 98.0), (9, 600.0, 600.0)] {
        let image = Image::Bitmap(map(width, 200));
        pages.push(TiffPage { x_per_inch: x, y_per_inch: y, ..TiffPage::new(image, Resolution::Fine) });
    }
    let mut bad = TiffPage::new(Image::Bitmap(map(1728, 50)), Resolution::Fine);
    bad.quality = Some(Quality { bad_rows: 3, longest_bad_run: 2, left_in: false });
    bad.description = Some("+1 415 555 0100".into());
    pages.push(bad);
    pages
}

fn tool(name: &str, args: &[&str]) -> String {
    let out = Command::new(name).args(args).output().unwrap_or_else(|e| {
        panic!("{name}: {e}; install the Debian package libtiff-tools (tools/test does)")
    });
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    // FaxProfile's neighbours are private tags to old libtiffs; nothing else may be odd.
    assert!(out.status.success() && !said.contains("rror") && !said.contains("arning"), "{name}: {said}");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

#[test]
fn profile_s_is_strict_whatever_the_pages_were() {
    let pages = pages();
    let file = Profile::S.write(&pages, "ferrofax");
    check(&file, Profile::S, pages.len());
    let dir = tempfile::tempdir().unwrap();
    let (s, back) = (dir.path().join("s.tif"), dir.path().join("b.tif"));
    std::fs::write(&s, &file).unwrap();
    let (s, b) = (s.to_str().unwrap(), back.to_str().unwrap());
    let told = tool("tiffinfo", &["-D", s]);
    assert_eq!(told.matches("Compression Scheme: CCITT Group 3").count(), pages.len(), "{told}");
    assert_eq!(told.matches("FillOrder: lsb-to-msb").count(), pages.len());
    tool("tiffcp", &["-c", "none", s, b]);
    tool("fax2ps", &[s]);
    let ours = tiff::read(&file, &tiff::Limits::default()).unwrap();
    let theirs = tiff::read(&std::fs::read(&back).unwrap(), &tiff::Limits::default()).unwrap();
    assert_eq!(ours.remarks, []);
    for (a, b) in ours.pages.iter().zip(&theirs.pages) {
        assert!(a.image.to_bitmap() == b.image.to_bitmap());
    }
    // What fits is not touched, and what does not keeps its frame.
    for (page, want) in ours.pages.iter().zip(&pages) {
        if want.image.width() == 1728 && want.y_per_inch <= 200.0 {
            assert!(page.image.to_bitmap() == want.image.to_bitmap());
        } else {
            assert!(page.image.to_bitmap().get(0, page.image.rows() / 2));
        }
    }
}

#[test]
fn profile_f_keeps_every_fax_page_in_every_coding() {
    let pages: Vec<TiffPage> = pages().iter().map(|p| Profile::F.fitted(p)).collect();
    let dir = tempfile::tempdir().unwrap();
    let (f, b) = (dir.path().join("f.tif"), dir.path().join("b.tif"));
    for coding in [Coding::Mh, Coding::Mr, Coding::Mmr] {
        for lsb_first in [false, true] {
            let file = tiff::write(&pages, &WriteOptions { coding, lsb_first, ..Profile::F.options() });
            check(&file, Profile::F, pages.len());
            std::fs::write(&f, &file).unwrap();
            tool("tiffcp", &["-c", "none", f.to_str().unwrap(), b.to_str().unwrap()]);
            let ours = tiff::read(&file, &tiff::Limits::default()).unwrap();
            let theirs = tiff::read(&std::fs::read(&b).unwrap(), &tiff::Limits::default()).unwrap();
            assert_eq!(ours.remarks, []);
            assert_eq!((ours.pages.len(), theirs.pages.len()), (pages.len(), pages.len()));
            for ((a, b), want) in ours.pages.iter().zip(&theirs.pages).zip(&pages) {
                assert!(a.image.to_bitmap() == want.image.to_bitmap());
                assert!(b.image.to_bitmap() == want.image.to_bitmap());
                assert_eq!((a.resolution(), a.fax_width()), (want.resolution(), want.fax_width()));
            }
        }
    }
}
