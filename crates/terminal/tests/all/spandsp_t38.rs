//! Our terminal against spandsp's T.38 terminal on simulated time: every page arrives pel for pel
//! (T.38 §7 to §9, T.30 Annex A).

#![allow(clippy::unwrap_used, clippy::panic)] // the exemption for tests does not reach the functions beside them

use crate::spandsp;

use fax_base::page::{Resolution, Width};
use fax_t30::Capabilities;
use spandsp::t38::{CLEAN, Path, call, receive, send};
use spandsp::{
    Desk, Document, ECM_MH, ECM_MMR, ECM_MR, ECM_T85, MH, MR, assert_received, assert_sent, charts, ours,
    three,
};
use spandsp_peer::tiff::Page;
use spandsp_peer::{Options, pages};

macro_rules! all_charts {
    ($($name:ident: $direction:ident $way:ident;)*) => { $(
        #[test]
        fn $name() {
            charts().iter().for_each(|chart| $direction(chart, $way, CLEAN));
        }
    )* };
}

all_charts! {
    send_ecm_t85: send ECM_T85;
    send_ecm_mmr: send ECM_MMR;
    send_ecm_mr: send ECM_MR;
    send_ecm_mh: send ECM_MH;
    send_mr: send MR;
    send_mh: send MH;
    receive_ecm_t85: receive ECM_T85;
    receive_ecm_mmr: receive ECM_MMR;
    receive_ecm_mr: receive ECM_MR;
    receive_ecm_mh: receive ECM_MH;
    receive_mr: receive MR;
    receive_mh: receive MH;
}

#[test]
fn several_pages_in_both_versions() {
    let document = three();
    for version in [0, 3] {
        for way in [ECM_MMR, MR] {
            let path = Path { version, ..CLEAN };
            send(&document, way, path);
            receive(&document, way, path);
        }
    }
}

/// A block of a partial page is at most 256 frames of 256 octets (T.30 Annex A); this page fills several.
#[test]
fn a_phase_for_every_block() {
    let document = Document { name: "a long page".to_owned(), pages: vec![pages::generated(1, 6000)] };
    let desk = Desk::new(Some(&document), Options::default());
    let (seen, report) = call("receiving", ours(None, ECM_MH.ours()), &desk, CLEAN);
    assert_received("receiving", &document, &seen, &report);
    let count = |what: &str| seen.ladder.iter().filter(|line| line.contains(what)).count();
    let blocks = count("<- PPS");
    assert!(blocks > 2, "{blocks} blocks");
    assert_eq!((count("Phase(C)"), count("Phase(D)")), (blocks, blocks), "{}", seen.tail());
}

/// Pages of every width at this resolution, with the figures of inch files where `inch` says so.
fn widths(resolution: Resolution, inch: bool) -> Document {
    let figures = match (resolution, inch) {
        (Resolution::Standard, true) => (200.0, 100.0),
        (Resolution::Fine, true) => (200.0, 200.0),
        (Resolution::Superfine, true) => (200.0, 400.0),
        (Resolution::R16, true) => (400.0, 400.0),
        (r, _) => (r.x_per_inch() as f32, r.y_per_inch() as f32),
    };
    let page = |width: Width| {
        let pels = width.pels(resolution);
        let octets = pels.div_ceil(8) as usize;
        let mut random = pages::Xorshift::new(u64::from(pels));
        let mut rows = Vec::new();
        let mut row = vec![0u8; octets];
        for y in 0..200 {
            if y % 5 == 0 {
                row.fill(0);
                for _ in 0..20 {
                    let at = random.below(octets);
                    row[at] = 0x3C;
                }
                row[octets - 1] = 1;
            }
            rows.extend_from_slice(&row);
        }
        Page { width: pels, rows: 200, x_per_inch: figures.0, y_per_inch: figures.1, pels: rows }
    };
    Document { name: format!("{resolution} {figures:?}"), pages: Width::ALL.map(page).to_vec() }
}

/// Every resolution and width both ways, metric and inch.
#[test]
fn every_resolution_and_width() {
    for resolution in Resolution::ALL {
        for inch in [false, true] {
            let document = widths(resolution, inch);
            let all = Capabilities { resolutions: Resolution::ALL.to_vec(), ..Capabilities::default() };
            for way in [ECM_MMR, MR] {
                let what = format!("{} {way:?}", document.name);
                let desk = Desk::new(None, way.peer(Options::default()));
                let (seen, report) = call(&what, ours(Some(&document), all.clone()), &desk, CLEAN);
                assert_sent(&what, &document, &desk, &seen, &report);
                let desk = Desk::new(Some(&document), way.peer(Options::default()));
                let (seen, report) = call(&what, ours(None, all.clone()), &desk, CLEAN);
                assert_received(&what, &document, &seen, &report);
            }
        }
    }
}
