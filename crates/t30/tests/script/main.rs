//! One session against a script: the rows of T.30's flow charts, both roles, one test a row.

mod called;
mod calling;
mod ecm;

use bytes::Bytes;
use core::time::Duration;
use fax_base::line::Modulation;
use fax_base::page::{PageShape, Resolution, Width};
use fax_t30::frames::{Fcf, build, ident_to_fif};
use fax_t30::{Capabilities, Cause, Config, Document, Event, Output, Role};
use testkit::line::bench::Bench;

const SECOND: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(200);

/// V.17, fine, MR, unlimited, 0 ms, no ECM.
const DIS: [u8; 3] = [0x00, 0x77, 0x1E];
/// The same with ECM and MMR.
const DIS_ECM: [u8; 4] = [0x00, 0x77, 0x1F, 0x22];
/// V.17 14400, fine, MR, no ECM.
const DCS: [u8; 3] = [0x00, 0x47, 0x1E];
/// V.17 14400, fine, MMR, ECM.
const DCS_ECM: [u8; 4] = [0x00, 0x46, 0x1F, 0x22];

const V17: Modulation = Modulation::V17At14400;

const SHAPE: PageShape =
    PageShape { width: Width::A4, resolution: Resolution::Fine, rows: 2000, tones: None };

fn config(role: Role, pages: usize) -> Config {
    Config {
        role,
        ident: String::new(),
        capabilities: Capabilities::default(),
        send: vec![Document::new(vec![SHAPE; pages])],
        ..Config::default()
    }
}

/// A frame of the far end as called terminal (X = 0).
fn called(fcf: Fcf, fif: &[u8]) -> Bytes {
    build(fcf, false, true, fif)
}

/// A frame of the far end as calling terminal (X = 1).
fn calling(fcf: Fcf, fif: &[u8]) -> Bytes {
    build(fcf, true, true, fif)
}

fn more(fcf: Fcf, x: bool, text: &str) -> Bytes {
    build(fcf, x, false, &ident_to_fif(text))
}

fn assert_failed(bench: &mut Bench, cause: Cause) {
    let outcome = bench.end(LONG).expect("it ends").clone();
    let failure = outcome.failure.expect("it failed");
    assert_eq!(failure.cause, cause, "{failure:?}");
}

fn assert_succeeded(bench: &mut Bench) {
    let outcome = bench.end(LONG).expect("it ends");
    assert_eq!(outcome.failure, None);
}

fn confirmed(bench: &Bench) -> Vec<usize> {
    bench
        .events
        .iter()
        .filter_map(|(_, e)| match e {
            Event::PageConfirmed { index, .. } => Some(*index),
            _ => None,
        })
        .collect()
}

/// (kept, confirmed) of all pages that were settled.
fn settled(bench: &Bench) -> Vec<(bool, bool)> {
    bench
        .pages
        .iter()
        .filter_map(|o| match o {
            Output::PageDone { kept, confirmed, .. } => Some((*kept, *confirmed)),
            _ => None,
        })
        .collect()
}
