//! Files of TIFF-FX profile C: ours read by libtiff, and what is read back (RFC 3949 §6).

#![allow(clippy::unwrap_used)] // This is all tests.

use fax_base::page::{Coding, Resolution, Tones, Width};
use fax_image::t42::{self, Options, Picture};
use fax_image::tiff::{self, Image, Limits, Quality, TiffPage, WriteOptions, read, write};
use fax_image::{Bitmap, encode};
use std::fs;
use std::process::Command;

fn stream(tones: Tones, width: u32, rows: u32, options: &Options) -> Vec<u8> {
    let rgb = (0..rows).flat_map(|y| {
        (0..width).flat_map(move |x| [(x / 7 % 256) as u8, (y % 256) as u8, ((x + y) / 11 % 256) as u8])
    });
    t42::encode(&Picture::from_rgb(width, tones, &rgb.collect::<Vec<u8>>()), options)
}

fn tool(name: &str, args: &[&str]) -> String {
    let out = Command::new(name).args(args).output().expect("libtiff-tools");
    let told = [out.stdout, out.stderr].concat();
    let told = String::from_utf8_lossy(&told).into_owned();
    assert!(out.status.success(), "{name}: {told}");
    told
}

#[test]
fn libtiff_reads_what_we_write() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    for tones in [Tones::Colour, Tones::Grey] {
        // libtiff does not take subsampled CIELAB.
        let jpeg = stream(tones, 1728, 100, &Options { subsampled: false, ..Options::default() });
        let page = TiffPage::in_tones(jpeg.clone().into()).unwrap();
        fs::write(path("c.tif"), write(&[page], &WriteOptions::default())).unwrap();
        let info = tool("tiffinfo", &[&path("c.tif")]);
        for line in [
            "Compression Scheme: JPEG",
            "Image Width: 1728 Image Length: 100",
            "Resolution: 200, 200 pixels/inch",
        ] {
            assert!(info.contains(line), "{line} in\n{info}");
        }
        assert!(
            info.contains("Photometric Interpretation: ITU L*a*b*")
                || info.contains("Photometric Interpretation: 10"),
            "{info}"
        );
        tool("tiffcp", &["-c", "none", "-r", "100", &path("c.tif"), &path("raw.tif")]);
        // One strip of plain samples.
        let raw = fs::read(path("raw.tif")).unwrap();
        let want = t42::decode(&jpeg).unwrap().picture;
        let samples = want.samples();
        let at =
            raw.windows(64).position(|w| w.iter().zip(samples).all(|(a, b)| a.abs_diff(*b) <= 1)).unwrap();
        let theirs = &raw[at..at + samples.len()];
        let worst = theirs.iter().zip(samples).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst <= Some(1), "{worst:?}");
    }
}

#[test]
fn pages_of_all_kinds_come_back_as_they_were() {
    let mut map = Bitmap::blank(1728, 40);
    map.set(5, 5, true);
    let quality = Some(Quality { bad_rows: 3, longest_bad_run: 2, left_in: false });
    let streams = [
        stream(Tones::Colour, 1728, 60, &Options::default()),
        stream(Tones::Grey, 1728, 33, &Options::default()),
        stream(Tones::Colour, 2592, 20, &Options { per_inch: 300, ..Options::default() }),
    ];
    let in_tones = |i: usize| TiffPage::in_tones(streams[i].clone().into()).unwrap();
    let pages = [
        TiffPage { quality, description: Some("From +49".into()), ..in_tones(0) },
        TiffPage::new(Image::Bitmap(map.clone()), Resolution::Fine),
        in_tones(1),
        in_tones(2),
    ];
    for lsb_first in [false, true] {
        let file = write(&pages, &WriteOptions { lsb_first, ..WriteOptions::default() });
        let found = read(&file, &Limits::default()).unwrap();
        assert_eq!(found.remarks, []);
        let [colour, plain, grey, finer] = found.pages.as_slice() else { unreachable!("four pages") };
        assert_eq!(*colour, pages[0]);
        assert_eq!((colour.resolution(), colour.fax_width()), (Some(Resolution::Fine), Some(Width::A4)));
        assert_eq!((plain.image.to_bitmap(), *grey == pages[2]), (map.clone(), true));
        assert_eq!((finer.resolution(), finer.fax_width()), (Some(Resolution::Inch300), Some(Width::A4)));
        let dots = t42::decode(&streams[0]).unwrap().picture.to_bitmap();
        assert_eq!(colour.image.to_bitmap(), dots);
        assert_eq!(colour.image.to_t6()[..], encode(&dots, Coding::Mmr, &Default::default())[..]);
    }
    // Whoever can do no more than MH gets dots.
    let file = write(&pages, &WriteOptions { coding: Coding::Mh, ..WriteOptions::default() });
    let found = read(&file, &Limits::default()).unwrap();
    assert!(found.pages.iter().all(|p| matches!(p.image, Image::T6 { .. })));
    assert_eq!(found.pages[0].image.to_bitmap(), pages[0].image.to_bitmap());
}

#[test]
fn tables_in_a_field_of_their_own_and_damage() {
    let jpeg = stream(Tones::Colour, 1728, 32, &Options { subsampled: false, ..Options::default() });
    let page = TiffPage::in_tones(jpeg.clone().into()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("c.tif"), write(core::slice::from_ref(&page), &WriteOptions::default())).unwrap();
    // libtiff decodes and writes JPEG again, its tables in JPEGTables.
    tool("tiffcp", &["-c", "none", &path("c.tif"), &path("raw.tif")]);
    tool("tiffcp", &["-c", "jpeg:r:100", "-r", "32", &path("raw.tif"), &path("again.tif")]);
    // It takes three samples for RGB then.
    tool("tiffset", &["-s", "262", "10", &path("again.tif")]);
    let found = read(&fs::read(path("again.tif")).unwrap(), &Limits::default()).unwrap();
    let (a, b) = (&found.pages[0].image, &page.image);
    assert_eq!((a.width(), a.rows()), (b.width(), b.rows()));
    let Image::T81 { octets, .. } = a else { unreachable!("profile C") };
    let (a, b) = (t42::decode(octets).unwrap(), t42::decode(&jpeg).unwrap());
    let off = a.picture.samples().iter().zip(b.picture.samples()).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(off <= Some(3), "{off:?}");

    let file = write(&[page], &WriteOptions::default());
    let at = file.windows(4).position(|w| w == [0xFF, 0xD8, 0xFF, 0xE1]).unwrap();
    let mut headless = file.clone();
    headless[at..at + 200].fill(0);
    // A page that came over the line and cannot be read is kept with its octets, as large as the file says.
    let kept = read(&headless, &Limits::default()).unwrap();
    let Image::T81 { octets, width: 1728, rows: 32, .. } = &kept.pages[0].image else {
        unreachable!("profile C")
    };
    assert_eq!(octets.len(), jpeg.len());
    assert!(t42::decode(octets).is_err());
    assert_eq!(kept.pages[0].image.to_bitmap().black_pels(), 0);
    let few = Limits { max_pels: 1000, ..Limits::default() };
    assert!(matches!(read(&file, &few), Err(tiff::Error::TooLarge(_))));
    for cut in (0..file.len()).step_by(97) {
        let _ = read(&file[..cut], &Limits::default());
    }
}

/// Readers of plain fax files see black and white; who knows of it finds the colour below each page.
#[test]
fn colour_stands_below_pages_of_pels() {
    let mut map = Bitmap::blank(1728, 40);
    map.set(5, 5, true);
    let jpeg: bytes::Bytes = stream(Tones::Colour, 1728, 41, &Options::default()).into();
    let plain = TiffPage::new(Image::Bitmap(map.clone()), Resolution::Fine);
    let pages = [
        TiffPage { tones: Some(jpeg.clone()), description: Some("both".into()), ..plain.clone() },
        plain.clone(),
        TiffPage { tones: Some(jpeg.clone()), ..plain.clone() },
        // Nothing that could be shown.
        TiffPage { tones: Some(vec![0xFF, 0xD8].into()), ..plain.clone() },
    ];
    let file = write(&pages, &WriteOptions::default());
    let found = read(&file, &Limits::default()).unwrap();
    assert_eq!(found.remarks, []);
    let tones: Vec<_> = found.pages.iter().map(|p| p.tones.clone()).collect();
    assert_eq!(tones, [Some(jpeg.clone()), None, Some(jpeg), None]);
    assert!(found.pages.iter().all(|p| p.image.to_bitmap() == map));

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("both.tif");
    fs::write(&path, &file).unwrap();
    let info = tool("tiffinfo", &[path.to_str().unwrap()]);
    assert_eq!(info.matches("Compression Scheme: CCITT Group 4").count(), 4, "{info}");
    for (text, count) in [("Compression Scheme: JPEG", 2), ("SubIFD Offsets", 2), ("Warning", 0)] {
        assert_eq!(info.matches(text).count(), count, "{text} in\n{info}");
    }

    // Cut off anywhere it is a whole file or none, and never more than it was.
    for cut in (0..file.len()).step_by(97) {
        if let Ok(found) = read(&file[..cut], &Limits::default()) {
            assert!(found.pages.len() <= 4);
        }
    }
    // Where pages in tones cannot be, there are none.
    let mh = WriteOptions { coding: Coding::Mh, ..WriteOptions::default() };
    for file in [write(&pages, &mh), tiff::Profile::F.write(&pages, "ferrofax")] {
        assert!(read(&file, &Limits::default()).unwrap().pages.iter().all(|p| p.tones.is_none()));
    }
}

/// Many pages that are one and the same stream take no more room than the file.
#[test]
fn a_stream_is_not_kept_more_often_than_it_is_there() {
    let jpeg: bytes::Bytes = stream(Tones::Colour, 1728, 100, &Options::default()).into();
    let alone = TiffPage::in_tones(jpeg.clone()).unwrap();
    let mut beside = TiffPage::new(Image::Bitmap(Bitmap::blank(1728, 100)), Resolution::Fine);
    beside.tones = Some(jpeg);
    for (page, is_alone) in [(alone, true), (beside, false)] {
        let mut file = write(&[page], &WriteOptions::default());
        let number =
            |file: &[u8], at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        let begin = number(&file, 4);
        let end = begin + 2 + 12 * usize::from(u16::from_le_bytes([file[begin], file[begin + 1]]));
        let directory = file[begin..end].to_vec();
        let mut next = end;
        for _ in 0..20 {
            let at = file.len().next_multiple_of(2);
            file.resize(at, 0);
            file[next..next + 4].copy_from_slice(&(at as u32).to_le_bytes());
            next = at + directory.len();
            file.extend(&directory);
            file.extend([0; 4]);
        }
        match read(&file, &Limits::default()) {
            Err(tiff::Error::TooLarge(_)) => assert!(is_alone),
            Err(e) => unreachable!("{e}"),
            Ok(found) => {
                assert_eq!((found.pages.len(), is_alone), (21, false));
                let kept = found.pages.iter().filter(|page| page.tones.is_some()).count();
                assert!((1..4).contains(&kept), "{kept}");
            }
        }
    }
}
