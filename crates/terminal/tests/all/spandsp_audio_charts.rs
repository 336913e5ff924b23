//! The eight ITU-T charts over audio between our terminal and spandsp's fax machine, in every way that they can
//! go, and how long they hold the line (T.30 over V.17).

#![allow(clippy::unwrap_used, clippy::panic)] // the exemption for tests does not reach the functions beside them

use crate::spandsp;

use fax_t30 as t30;
use fax_terminal::{AudioOptions, Terminal};
use spandsp::audio::{LIMIT, receive, send};
use spandsp::{Desk, Document, ECM_MH, ECM_MMR, ECM_MR, ECM_T85, MH, MR, bound, charts, ours};
use spandsp_peer::{AudioPeer, Options, pages};
use testkit::audio::{Ours, Path, call};

macro_rules! all_charts {
    ($($name:ident: $direction:ident $way:ident;)*) => { $(
        #[test]
        fn $name() {
            for chart in charts() {
                $direction(&chart, $way, Options::default(), t30::Capabilities::default());
            }
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

/// All of them in one call, ours to ours: no longer than spandsp to spandsp.
#[test]
fn eight_in_one_call_take_no_longer_than_spandsp_takes() {
    if pages::chart(1).is_none() {
        println!("skipped: no charts");
        return;
    }
    let document: Document = bound(charts());
    // The line as short as it can be.
    let path = Path { latency: 1, ..Path::default() };
    let way = ECM_MMR;
    let theirs = {
        let (sending, receiving) = (
            Desk::new(Some(&document), way.peer(Options::default())),
            Desk::new(None, way.peer(Options::default())),
        );
        let mut a = AudioPeer::new(true, &sending.options).unwrap();
        let mut b = AudioPeer::new(false, &receiving.options).unwrap();
        let held = call(&mut a, &mut b, path, path, 1, LIMIT);
        assert!(a.report().succeeded() && b.report().succeeded());
        held.time.as_secs_f64()
    };
    let end = |sending: Option<&Document>| {
        Ours::new(Terminal::with_audio(ours(sending, way.ours()), AudioOptions::default()))
    };
    let (mut a, mut b) = (end(Some(&document)), end(None));
    let held = call(&mut a, &mut b, path, path, 1, LIMIT);
    assert!(a.cause().is_none() && b.cause().is_none(), "{}\n\n{}", a.ladder(), b.ladder());
    assert_eq!(b.pages.len(), document.pages.len());
    let time = held.time.as_secs_f64();
    println!("{way:?}: {time:.1} s on the line, spandsp {theirs:.1} s");
    assert!(time <= theirs, "{way:?}: {time:.1} s on the line, spandsp {theirs:.1} s");
}
