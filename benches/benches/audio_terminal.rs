//! A call over audio between our terminal and spandsp's fax machine: CPU of both ends a page, and how long the
//! line is held, beside spandsp against itself (T.30 over V.17).
//!
//! `cargo bench -p benches --bench audio_terminal`; the pages are the eight ITU charts where they are
//! (`FERROFAX_DATA`), else generated ones. CPU is the thread's over the whole call (asking for it at every
//! block would cost as much as a modem), the best of five calls, the four kinds in turn.

#![allow(missing_docs, clippy::unwrap_used)] // A bench may stop at the first thing that is wrong.

mod calls;

use calls::{coded, cpu, documents};
use fax_base::page::Coding;
use fax_t30::{Capabilities, Role};
use fax_terminal::{Config, Document, Terminal};
use spandsp_peer::tiff;
use spandsp_peer::{AudioPeer, Options};
use std::time::Duration;
use testkit::audio::{Machine, Ours, Path, call};

fn main() {
    let pages = documents();
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

    println!("{} pages in one call; line seconds, then ms of CPU a page at both ends together", pages.len());
    println!(
        "{:<10} {:>18} {:>18} {:>18} {:>18}  ours : spandsp",
        "", "spandsp → spandsp", "ours → spandsp", "spandsp → ours", "ours → ours"
    );
    const KINDS: [(bool, bool); 4] = [(false, false), (true, false), (false, true), (true, true)];
    for (name, ecm, coding) in [("MR", false, Coding::Mr), ("ECM MMR", true, Coding::Mmr)] {
        let mut best = [(0.0, f64::INFINITY); 4];
        for _ in 0..5 {
            for ((caller_is_ours, called_is_ours), best) in KINDS.into_iter().zip(&mut best) {
                let end = |is_ours: bool, sends: bool| {
                    if is_ours { ours(sends, ecm, coding) } else { spandsp(sends, ecm, coding) }
                };
                // The line costs nothing: no coding, no noise.
                let path = Path { latency: 1, law: None, ..Path::default() };
                let begin = cpu();
                let (mut calling, mut called) = (end(caller_is_ours, true), end(called_is_ours, false));
                let held = call(calling.as_mut(), called.as_mut(), path, path, 1, Duration::from_secs(3600));
                let cost = (cpu() - begin).as_secs_f64() * 1e3 / pages.len() as f64;
                assert!(held.ended);
                *best = (held.time.as_secs_f64(), best.1.min(cost));
            }
        }
        print!("{name:<10}");
        for (time, cost) in best {
            print!(" {time:>9.1} {cost:>8.2}");
        }
        println!("  {:.2}", best[3].1 / best[0].1);
    }
}
