//! MMR encoding and decoding against libtiff, in one run on the same pages (T.6).
//!
//! `cargo bench -p benches --bench codec`; the pages are the eight ITU charts where they are
//! (`FERROFAX_DATA`), else those of `testdata/pages`. The table at the end states libtiff's time
//! divided by ours for each page: above 1 we are faster.

#![allow(missing_docs, clippy::unwrap_used)] // A bench may stop at the first thing that is wrong.

use criterion::Criterion;
use fax_base::page::Coding;
use fax_image::{Bitmap, EncodeOptions, Limits, decode, encode, tiff};
use libtiff_peer::{Opened, Scheme};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

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

/// The best of many times, both taken in turns.
fn best(mut ours: impl FnMut(), mut theirs: impl FnMut()) -> (Duration, Duration) {
    let (mut a, mut b) = (Duration::MAX, Duration::MAX);
    for _ in 0..60 {
        let t = Instant::now();
        ours();
        a = a.min(t.elapsed());
        let t = Instant::now();
        theirs();
        b = b.min(t.elapsed());
    }
    (a, b)
}

fn main() {
    let mut c = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600))
        .configure_from_args();
    let options = EncodeOptions::default();
    let mut table = Vec::new();
    for (name, map) in pages() {
        let t6 = encode(&map, Coding::Mmr, &options);
        let file = libtiff_peer::encode(map.data(), map.width(), Scheme::G4);
        let opened = Opened::new(file);
        assert!(t6 == opened.raw_strip(), "{name}: not the octets of libtiff");
        let mut rows = vec![0; map.data().len()];
        assert!(opened.decode(&mut rows) && rows == map.data());
        let mut group = c.benchmark_group(&name);
        let ours_encode = || drop(black_box(encode(black_box(&map), Coding::Mmr, &options)));
        let theirs_encode =
            || drop(black_box(libtiff_peer::encode(black_box(map.data()), map.width(), Scheme::G4)));
        let ours_decode =
            || drop(black_box(decode(black_box(&t6), Coding::Mmr, map.width(), Limits::default())));
        let mut theirs_decode = || assert!(black_box(opened.decode(black_box(&mut rows))));
        group.bench_function("encode, ours", |b| b.iter(ours_encode));
        group.bench_function("encode, libtiff", |b| b.iter(theirs_encode));
        group.bench_function("decode, ours", |b| b.iter(ours_decode));
        group.bench_function("decode, libtiff", |b| b.iter(&mut theirs_decode));
        group.finish();
        let e = best(ours_encode, theirs_encode);
        let d = best(ours_decode, theirs_decode);
        table.push((name, e, d));
    }
    println!("\n{}: its time divided by ours", libtiff_peer::version());
    println!("{:20} {:>10} {:>7}   {:>10} {:>7}", "page", "encode", "ratio", "decode", "ratio");
    let ratio = |(a, b): (Duration, Duration)| b.as_secs_f64() / a.as_secs_f64();
    let mut sum = [Duration::ZERO; 4];
    for (name, e, d) in &table {
        println!("{name:20} {:>10.1?} {:>7.2}   {:>10.1?} {:>7.2}", e.0, ratio(*e), d.0, ratio(*d));
        for (s, t) in sum.iter_mut().zip([e.0, e.1, d.0, d.1]) {
            *s += t;
        }
    }
    let (e, d) = ((sum[0], sum[1]), (sum[2], sum[3]));
    println!("{:20} {:>10.1?} {:>7.2}   {:>10.1?} {:>7.2}", "all", e.0, ratio(e), d.0, ratio(d));
}
