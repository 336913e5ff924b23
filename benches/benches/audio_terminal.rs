//! A call over audio between our terminal and spandsp's fax machine: CPU of each end a page, and how long the
//! line is held, beside spandsp against itself (T.30 over V.17).
//!
//! `cargo bench -p benches --bench audio_terminal`; the pages are the eight ITU charts where they are
//! (`FERROFAX_DATA`), else generated ones. CPU is the thread's, the best of three calls.

#![allow(missing_docs, clippy::unwrap_used)] // A bench may stop at the first thing that is wrong.

use fax_base::Instant;
use fax_base::page::{Coding, PageShape, Resolution, Width};
use fax_t30::{Capabilities, Role};
use fax_terminal::{CodedPage, Config, Document, Terminal};
use rustix::time::{ClockId, clock_gettime};
use spandsp_peer::tiff::{self, Page};
use spandsp_peer::{AudioPeer, Options, pages};
use std::sync::Arc;
use std::time::Duration;
use testkit::audio::{Block, Machine, Ours, Path, call};

fn cpu() -> Duration {
    let t = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(t.tv_sec.try_into().unwrap(), t.tv_nsec.try_into().unwrap())
}

/// One end of a call with what it has cost.
struct End {
    machine: Box<dyn Machine>,
    cost: Duration,
}

impl End {
    fn timed(&mut self, turn: impl FnOnce(&mut dyn Machine)) {
        let begin = cpu();
        turn(self.machine.as_mut());
        self.cost += cpu() - begin;
    }
}

impl Machine for End {
    fn transmit(&mut self, now: Instant, block: &mut Block) {
        self.timed(|machine| machine.transmit(now, block));
    }

    fn receive(&mut self, now: Instant, block: &Block) {
        self.timed(|machine| machine.receive(now, block));
    }

    fn lost(&mut self, now: Instant) {
        self.timed(|machine| machine.lost(now));
    }

    fn hung_up(&mut self, now: Instant) {
        self.timed(|machine| machine.hung_up(now));
    }

    fn over(&self) -> bool {
        self.machine.over()
    }
}

fn coded(page: &Page) -> Arc<CodedPage> {
    let resolution = Resolution::from_per_inch(page.x_per_inch, page.y_per_inch).unwrap();
    let width = Width::from_pels(page.width, resolution).unwrap();
    let shape = PageShape { width, resolution, rows: page.rows };
    Arc::new(CodedPage { shape, t6: tiff::encode_t6(page).unwrap().into() })
}

fn main() {
    let mut pages: Vec<Page> =
        (1..=8).filter_map(pages::chart).flat_map(|path| tiff::read(&path).unwrap()).collect();
    if pages.is_empty() {
        println!("skipped: no charts; generated pages instead");
        pages = (1..=8).map(|seed| pages::generated(seed, 1200)).collect();
    }
    let folder = tempfile::tempdir().unwrap();
    let (file, got) = (folder.path().join("send.tif"), folder.path().join("got.tif"));
    tiff::write(&file, &pages).unwrap();
    let coded: Vec<_> = pages.iter().map(coded).collect();

    let spandsp = |sends: bool, ecm: bool, coding: Coding| -> Box<dyn Machine> {
        let options = Options {
            ecm,
            codings: vec![coding],
            send: sends.then(|| file.clone()),
            receive: (!sends).then(|| got.clone()),
            ..Options::default()
        };
        Box::new(AudioPeer::new(sends, &options).unwrap())
    };
    let ours = |sends: bool, ecm: bool, coding: Coding| -> Box<dyn Machine> {
        Box::new(Ours::new(Terminal::new(Config {
            role: if sends { Role::Calling } else { Role::Called },
            ident: String::new(),
            capabilities: Capabilities { ecm, codings: vec![coding], ..Capabilities::default() },
            documents: if sends { vec![Document::new(coded.clone())] } else { vec![] },
            ..Config::default()
        })))
    };

    println!("{} pages in one call; line seconds, then ms of CPU a page: sender, receiver", pages.len());
    println!(
        "{:<10} {:>24} {:>24} {:>24} {:>24}",
        "", "spandsp → spandsp", "ours → spandsp", "spandsp → ours", "ours → ours"
    );
    for (name, ecm, coding) in [("MR", false, Coding::Mr), ("ECM MMR", true, Coding::Mmr)] {
        print!("{name:<10}");
        for (caller_is_ours, called_is_ours) in [(false, false), (true, false), (false, true), (true, true)] {
            let end = |is_ours: bool, sends: bool| {
                let begin = cpu();
                let machine = if is_ours { ours(sends, ecm, coding) } else { spandsp(sends, ecm, coding) };
                End { machine, cost: cpu() - begin }
            };
            let best = (0..3)
                .map(|_| {
                    let (mut calling, mut called) = (end(caller_is_ours, true), end(called_is_ours, false));
                    let path = Path { latency: 1, ..Path::default() };
                    let held = call(&mut calling, &mut called, path, path, 1, Duration::from_secs(3600));
                    assert!(held.ended);
                    (held.time, calling.cost, called.cost)
                })
                .reduce(|a, b| (b.0, a.1.min(b.1), a.2.min(b.2)))
                .unwrap();
            let ms = |d: Duration| d.as_secs_f64() * 1e3 / pages.len() as f64;
            print!("  {:>7.1} {:>7.2} {:>7.2}", best.0.as_secs_f64(), ms(best.1), ms(best.2));
        }
        println!();
    }
}
