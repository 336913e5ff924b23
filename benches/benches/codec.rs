//! MH, MR and MMR, encoding and decoding, against libtiff and spandsp, in one run on the same pages (T.4, T.6).
//!
//! `cargo bench -p benches --bench codec`; the pages are the eight ITU charts where they are
//! (`FERROFAX_DATA`), else those of `testdata/pages`. All take turns, and of each the shortest of many times
//! counts, so that what else the machine does falls out. The tables state the others' time divided by ours: above 1
//! we are faster. MMR is to be twice as fast as libtiff on every page. T.85 stands beside jbigkit, as libtiff calls it.

#![allow(missing_docs, clippy::unwrap_used)] // A bench may stop at the first thing that is wrong.

use fax_base::page::Coding;
use fax_image::{Bitmap, EncodeOptions, Limits, decode, encode, tiff};
use libtiff_peer::{Opened, Scheme};
use spandsp_peer::codec as spandsp;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const ROUNDS: usize = 60;

fn pages() -> Vec<(String, Bitmap)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let charts = std::env::var_os("FERROFAX_DATA")
        .map_or_else(|| root.join("../shared/data"), PathBuf::from)
        .join("itu-t-charts");
    let dir = if charts.is_dir() {
        charts
    } else {
        println!("skipped: no charts; our own pages instead");
        root.join("testdata/pages")
    };
    let mut pages = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let file = std::fs::read(&path).unwrap();
        let document = tiff::read(&file, &tiff::Limits::default()).unwrap();
        for (i, page) in document.pages.iter().enumerate() {
            pages.push((format!("{name}/{i}"), page.image.to_bitmap()));
        }
    }
    pages.sort_by(|a, b| a.0.cmp(&b.0));
    pages
}

/// The shortest of many times of each, all taken in turns.
fn shortest<const N: usize>(mut ways: [&mut dyn FnMut(); N]) -> [Duration; N] {
    let mut best = [Duration::MAX; N];
    for _ in 0..ROUNDS {
        for (way, best) in ways.iter_mut().zip(&mut best) {
            let begun = Instant::now();
            way();
            *best = begun.elapsed().min(*best);
        }
    }
    best
}

/// Ours, libtiff's and spandsp's time.
type Three = [Duration; 3];

fn measure(map: &Bitmap, coding: Coding, scheme: Scheme, theirs: spandsp::Coding) -> (Three, Three) {
    let options = EncodeOptions::default();
    let coded = encode(map, coding, &options);
    let file = libtiff_peer::encode(map.data(), map.width(), scheme);
    let opened = Opened::new(file);
    assert!(coding != Coding::Mmr || coded == opened.raw_strip(), "not the octets of libtiff");
    let mut rows = vec![0; map.data().len()];
    assert!(opened.decode(&mut rows) && rows == map.data());
    // spandsp sends the least significant bit first.
    let reversed: Vec<u8> = coded.iter().map(|o| o.reverse_bits()).collect();
    assert!(spandsp::decode(&reversed, map.width(), theirs) == map.data(), "spandsp reads another page");
    let encoding = shortest([
        &mut || drop(black_box(encode(black_box(map), coding, &options))),
        &mut || drop(black_box(libtiff_peer::encode(black_box(map.data()), map.width(), scheme))),
        &mut || drop(black_box(spandsp::encode(black_box(map.data()), map.width(), theirs))),
    ]);
    let decoding = shortest([
        &mut || drop(black_box(decode(black_box(&coded), coding, map.width(), Limits::default()))),
        &mut || assert!(black_box(opened.decode(black_box(&mut rows)))),
        &mut || drop(black_box(spandsp::decode(black_box(&reversed), map.width(), theirs))),
    ]);
    (encoding, decoding)
}

fn line(name: &str, encoding: &Three, decoding: &Three) {
    print!("{name:20}");
    for [ours, libtiff, spandsp] in [encoding, decoding] {
        let ratio = |other: &Duration| other.as_secs_f64() / ours.as_secs_f64();
        print!(" {:>10.1?} {:>8.2} {:>8.2}   ", ours, ratio(libtiff), ratio(spandsp));
    }
    println!();
}

/// T.85 beside jbigkit, which chooses other stripes and may move the adaptive pel.
fn beside_jbigkit(pages: &[(String, Bitmap)]) {
    println!("\nT.85 {:>21} {:>8}    {:>10} {:>8}   octets", "encode", "jbigkit", "decode", "jbigkit");
    let options = EncodeOptions::default();
    for (name, map) in pages {
        let coded = encode(map, Coding::T85, &options);
        let opened = Opened::new(libtiff_peer::encode(map.data(), map.width(), Scheme::Jbig));
        let mut rows = vec![0; map.data().len()];
        assert!(opened.decode(&mut rows) && rows == map.data());
        let [a, b] =
            shortest([&mut || drop(black_box(encode(black_box(map), Coding::T85, &options))), &mut || {
                drop(black_box(libtiff_peer::encode(black_box(map.data()), map.width(), Scheme::Jbig)))
            }]);
        let [c, d] = shortest([
            &mut || drop(black_box(decode(black_box(&coded), Coding::T85, map.width(), Limits::default()))),
            &mut || assert!(black_box(opened.decode(black_box(&mut rows)))),
        ]);
        let (e, f) = (b.as_secs_f64() / a.as_secs_f64(), d.as_secs_f64() / c.as_secs_f64());
        let sizes = format!("{} to {}", coded.len(), opened.raw_strip().len());
        println!("{name:15} {a:>10.1?} {e:>8.2}    {c:>10.1?} {f:>8.2}   {sizes}");
    }
}

fn main() {
    let pages = pages();
    println!("{} and spandsp: their time divided by ours", libtiff_peer::version());
    for (coding, scheme, theirs) in [
        (Coding::Mh, Scheme::G3OneD, spandsp::Coding::Mh),
        (Coding::Mr, Scheme::G3TwoD, spandsp::Coding::Mr(4)),
        (Coding::Mmr, Scheme::G4, spandsp::Coding::Mmr),
    ] {
        println!(
            "\n{:20} {:>10} {:>8} {:>8}    {:>10} {:>8} {:>8}",
            coding.to_string(),
            "encode",
            "libtiff",
            "spandsp",
            "decode",
            "libtiff",
            "spandsp"
        );
        let mut all = [[Duration::ZERO; 3]; 2];
        for (name, map) in &pages {
            let (encoding, decoding) = measure(map, coding, scheme, theirs);
            line(name, &encoding, &decoding);
            for (sum, some) in all.iter_mut().zip([encoding, decoding]) {
                sum.iter_mut().zip(some).for_each(|(s, t)| *s += t);
            }
        }
        line("all", &all[0], &all[1]);
    }
    beside_jbigkit(&pages);
}
