//! 20 ms blocks of audio lost in both directions, with spandsp's fax machine as partner: never behind spandsp
//! with itself (V.17, ECM, MMR). The bench `audio_loss` runs more of them.

#![allow(clippy::unwrap_used, clippy::panic)] // the exemption for tests does not reach the functions beside them

use crate::spandsp;

use fax_t30 as t30;
use spandsp::audio::{LIMIT, held};
use spandsp::{Desk, Document, ECM_MMR, charts, ours};
use spandsp_peer::tiff::{self, Page};
use spandsp_peer::{AudioPeer, Options};
use testkit::audio::{Gap, Path, call};

const RUNS: u64 = 25;

fn same(document: &Document, got: &[Page]) -> bool {
    got.len() == document.pages.len()
        && got.iter().zip(&document.pages).all(|(got, sent)| sent.first_difference(got).is_none())
}

/// How many of the runs brought the page whole, the sender knowing it: spandsp to spandsp, ours to spandsp,
/// spandsp to ours.
fn complete(path: Path) -> [u64; 3] {
    let document = charts().remove(0);
    let mut complete = [0; 3];
    for seed in 0..RUNS {
        let (a, b) = (
            Desk::new(Some(&document), ECM_MMR.peer(Options::default())),
            Desk::new(None, ECM_MMR.peer(Options::default())),
        );
        let mut sending = AudioPeer::new(true, &a.options).unwrap();
        let mut receiving = AudioPeer::new(false, &b.options).unwrap();
        call(&mut sending, &mut receiving, path, path, seed, LIMIT);
        let known = sending.report().pages_sent == 1;
        drop(receiving);
        let whole = tiff::read(&b.received()).is_ok_and(|pages| same(&document, &pages));
        complete[0] += u64::from(known && whole);

        let desk = Desk::new(None, ECM_MMR.peer(Options::default()));
        let config = ours(Some(&document), t30::Capabilities::default());
        let (seen, _, line) = held(config, &desk, path, seed);
        assert!(line.time < LIMIT, "our call to spandsp never ends: {seed}\n{}", seen.tail());
        let whole = tiff::read(&desk.received()).is_ok_and(|pages| same(&document, &pages));
        let known = seen.outcome.is_some_and(|o| o.pages_confirmed == 1);
        complete[1] += u64::from(known && whole);

        let desk = Desk::new(Some(&document), Options::default());
        let (seen, report, line) = held(ours(None, ECM_MMR.ours()), &desk, path, seed);
        assert!(line.time < LIMIT, "spandsp's call to us never ends: {seed}\n{}", seen.tail());
        let pages: Vec<Page> = seen
            .pages
            .iter()
            .filter(|page| page.confirmed)
            .map(|page| tiff::decode_t6(page.format.pels(), page.rows, &page.t6).unwrap())
            .collect();
        complete[2] += u64::from(report.pages_sent == 1 && same(&document, &pages));
    }
    println!(
        "{path:?}: of {RUNS} spandsp → spandsp {}, ours → spandsp {}, spandsp → ours {}",
        complete[0], complete[1], complete[2]
    );
    complete
}

/// Whether `ours` is not fewer than `theirs` by more than chance makes of so few runs: twice the deviation of
/// the difference. The bench `audio_loss` compares a hundred.
fn not_behind(ours: u64, theirs: u64) -> bool {
    let variance = |complete: u64| complete as f64 * (RUNS - complete) as f64 / RUNS as f64;
    ours as f64 + 2.0 * (variance(ours) + variance(theirs)).sqrt() >= theirs as f64
}

macro_rules! losses {
    ($($name:ident: $loss:expr, $burst:expr, $gap:ident;)*) => { $(
        #[test]
        fn $name() {
            let path = Path { loss: $loss, burst: $burst, gap: Gap::$gap, ..Path::default() };
            let [theirs, to_them, from_them] = complete(path);
            assert!(not_behind(to_them, theirs) && not_behind(from_them, theirs), "{theirs} {to_them} {from_them}");
        }
    )* };
}

losses! {
    one_percent_told: 0.01, 1.0, Told;
    one_percent_in_bursts: 0.01, 3.0, Told;
    one_percent_as_silence: 0.01, 1.0, Silence;
    one_percent_as_repeats: 0.01, 1.0, Repeated;
    three_percent_told: 0.03, 1.0, Told;
    three_percent_as_repeats: 0.03, 1.0, Repeated;
}
