//! Our terminal against spandsp's T.38 terminal on simulated time: every page arrives pel for pel
//! (T.38 §7 to §9, T.30 Annex A).

#![allow(clippy::unwrap_used, clippy::panic)] // the exemption for tests does not reach the functions beside them

mod spandsp;

use spandsp::t38::{CLEAN, Path, call, receive, send};
use spandsp::{
    Desk, Document, ECM_MH, ECM_MMR, ECM_MR, ECM_T85, MH, MR, assert_received, charts, ours, three,
};
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
