//! Whole faxes over audio with 20 ms blocks lost in both directions: how many complete, beside spandsp against
//! itself (chart 1, V.17, ECM, MMR).
//!
//! `cargo bench -p benches --bench audio_loss [RUNS]`: 100 seeded runs each unless told otherwise. Complete is
//! a call in which the page arrived pel for pel and the sender knows it.

#![allow(missing_docs, clippy::unwrap_used)] // A bench may stop at the first thing that is wrong.

use fax_base::page::{Coding, PageShape, Resolution, Width};
use fax_t30::{Capabilities, Role};
use fax_terminal::{CodedPage, Config, Document, Terminal};
use spandsp_peer::tiff::{self, Page};
use spandsp_peer::{AudioPeer, Options, pages};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use testkit::audio::{Gap, Held, Ours, Path, call};

/// No call takes longer: one that does hangs.
const LIMIT: Duration = Duration::from_secs(1800);

struct Bench {
    page: Page,
    coded: Arc<CodedPage>,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let page = match pages::chart(1) {
            Some(path) => tiff::read(&path).unwrap().remove(0),
            None => {
                println!("skipped: no charts; a generated page instead");
                pages::generated(1, 1200)
            }
        };
        let resolution = Resolution::from_per_inch(page.x_per_inch, page.y_per_inch).unwrap();
        let width = Width::from_pels(page.width, resolution).unwrap();
        let shape = PageShape { width, resolution, rows: page.rows, tones: None };
        let coded = Arc::new(CodedPage { shape, t6: tiff::encode_t6(&page).unwrap().into(), jpeg: None });
        let folder = tempfile::tempdir().unwrap();
        tiff::write(&folder.path().join("send.tif"), std::slice::from_ref(&page)).unwrap();
        Bench { page, coded, folder }
    }

    fn ours(&self, sends: bool) -> Ours {
        Ours::new(Terminal::new(Config {
            role: if sends { Role::Calling } else { Role::Called },
            ident: "+49 228 1".to_owned(),
            capabilities: Capabilities::default(),
            documents: if sends { vec![Document::new(vec![self.coded.clone()])] } else { vec![] },
            ..Config::default()
        }))
    }

    fn received(&self) -> PathBuf {
        self.folder.path().join("received.tif")
    }

    fn spandsp(&self, sends: bool) -> AudioPeer {
        let options = Options {
            codings: vec![Coding::Mmr],
            ident: "+44 20 2".to_owned(),
            send: sends.then(|| self.folder.path().join("send.tif")),
            receive: (!sends).then(|| self.received()),
            ..Options::default()
        };
        AudioPeer::new(sends, &options).unwrap()
    }

    /// One call: whether the page is there and the sender knows it.
    fn run(&self, ours_sends: bool, ours_receives: bool, path: Path, seed: u64) -> (bool, Held) {
        let _ = std::fs::remove_file(self.received());
        let got_by_spandsp = || {
            tiff::read(&self.received())
                .is_ok_and(|pages| pages.len() == 1 && self.page.first_difference(&pages[0]).is_none())
        };
        let got_by_us = |ours: &Ours| {
            matches!(&ours.pages[..], [page] if page.confirmed && tiff::decode_t6(page.format.pels(), page.rows, &page.t6)
                .is_ok_and(|page| self.page.first_difference(&page).is_none()))
        };
        let known = |ours: &Ours| ours.outcome.as_ref().is_some_and(|(_, o)| o.pages_confirmed == 1);
        match (ours_sends, ours_receives) {
            (true, true) => {
                let (mut a, mut b) = (self.ours(true), self.ours(false));
                let held = call(&mut a, &mut b, path, path, seed, LIMIT);
                (known(&a) && got_by_us(&b), held)
            }
            (true, false) => {
                let (mut a, mut b) = (self.ours(true), self.spandsp(false));
                let held = call(&mut a, &mut b, path, path, seed, LIMIT);
                drop(b);
                (known(&a) && got_by_spandsp(), held)
            }
            (false, true) => {
                let (mut a, mut b) = (self.spandsp(true), self.ours(false));
                let held = call(&mut a, &mut b, path, path, seed, LIMIT);
                (a.report().pages_sent == 1 && got_by_us(&b), held)
            }
            (false, false) => {
                let (mut a, mut b) = (self.spandsp(true), self.spandsp(false));
                let held = call(&mut a, &mut b, path, path, seed, LIMIT);
                let known = a.report().pages_sent == 1;
                drop(b);
                (known && got_by_spandsp(), held)
            }
        }
    }
}

fn main() {
    let runs: u64 = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(100);
    let bench = Bench::new();
    println!("complete of {runs} runs, median seconds on the line, calls that did not end within {LIMIT:?}");
    println!(
        "{:<26} {:>18} {:>18} {:>18} {:>18}",
        "", "spandsp → spandsp", "ours → spandsp", "spandsp → ours", "ours → ours"
    );
    for gap in [Gap::Told, Gap::Silence, Gap::Repeated] {
        for burst in [1.0, 3.0] {
            for percent in [1.0, 3.0, 5.0] {
                let path = Path { loss: percent / 100.0, burst, gap, ..Path::default() };
                print!("{:<26}", format!("{percent} % × {burst}, {gap:?}"));
                for (ours_sends, ours_receives) in
                    [(false, false), (true, false), (false, true), (true, true)]
                {
                    let mut complete = 0;
                    let mut hung = 0;
                    let mut times: Vec<Duration> = (0..runs)
                        .map(|seed| {
                            let (whole, held) = bench.run(ours_sends, ours_receives, path, seed);
                            complete += u64::from(whole);
                            hung += u64::from(held.time >= LIMIT);
                            held.time
                        })
                        .collect();
                    times.sort_unstable();
                    let median = times.get(times.len() / 2).copied().unwrap_or_default();
                    print!("  {complete:>5} {:>7.1} {hung:>3}", median.as_secs_f64());
                }
                println!();
            }
        }
    }
}
