//! A T.38 call between our terminal and spandsp's: CPU of each end a page, and how long the line is
//! held, beside spandsp against itself (T.38 §7 to §9).
//!
//! `cargo bench -p benches --bench t38_terminal`; the pages are the eight ITU charts where they are
//! (`FERROFAX_DATA`), else generated ones. CPU is the thread's, the best of five calls.

#![allow(missing_docs, clippy::unwrap_used)] // A bench may stop at the first thing that is wrong.

mod calls;

use calls::{coded, cpu, documents};
use fax_base::Instant;
use fax_base::page::Coding;
use fax_t30::{Capabilities, Role};
use fax_terminal::{Config, Document, Input, Output, Terminal};
use spandsp_peer::tiff;
use spandsp_peer::udptl::Protection;
use spandsp_peer::{Options, UdptlPeer};
use std::time::Duration;

const TICK_US: u64 = 10_000;
const TICK_SAMPLES: u32 = 80;

/// One end of a call with what it has cost.
struct End {
    machine: Machine,
    cost: Duration,
    done: bool,
}

enum Machine {
    Ours(Box<Terminal>),
    Spandsp(Box<UdptlPeer>),
}

impl End {
    /// Takes what came, does what is due, says what is to be sent.
    fn turn(&mut self, us: u64, came: &mut Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let now = Instant::from_micros(us);
        let mut sent = Vec::new();
        let begin = cpu();
        match &mut self.machine {
            Machine::Ours(terminal) => {
                for datagram in came.drain(..) {
                    terminal.handle(now, Input::Datagram(&datagram));
                }
                loop {
                    while let Some(output) = terminal.poll() {
                        match output {
                            Output::Datagram(datagram) => sent.push(datagram.to_vec()),
                            Output::End(outcome) => {
                                assert_eq!(outcome.failure, None);
                                self.done = true;
                            }
                            Output::FaxToneHeard(_)
                            | Output::Signal(_)
                            | Output::Page(_)
                            | Output::KeepPage(_)
                            | Output::Event(_) => {}
                        }
                    }
                    if terminal.deadline().is_none_or(|at| at > now) {
                        break;
                    }
                    terminal.handle(now, Input::Timeout);
                }
            }
            Machine::Spandsp(peer) => {
                for datagram in came.drain(..) {
                    peer.feed(&datagram).unwrap();
                }
                peer.step(TICK_SAMPLES);
                sent.extend(std::iter::from_fn(|| peer.take()));
                self.done = peer.code().is_some();
                assert!(peer.code().unwrap_or(0) == 0, "{:?}", peer.report());
            }
        }
        self.cost += cpu() - begin;
        sent
    }
}

/// Line seconds, CPU of the caller, CPU of the called.
fn call(mut calling: End, mut called: End) -> (f64, Duration, Duration) {
    let (mut to_called, mut to_calling) = (Vec::new(), Vec::new());
    for us in (0..).step_by(TICK_US as usize) {
        to_called.extend(calling.turn(us, &mut to_calling));
        to_calling.extend(called.turn(us, &mut to_called));
        if calling.done && called.done {
            return (us as f64 / 1e6, calling.cost, called.cost);
        }
    }
    unreachable!()
}

fn main() {
    let pages = documents();
    let folder = tempfile::tempdir().unwrap();
    let (file, got) = (folder.path().join("send.tif"), folder.path().join("got.tif"));
    tiff::write(&file, &pages).unwrap();
    let coded: Vec<_> = pages.iter().map(coded).collect();

    let spandsp = |sends: bool, ecm: bool, coding: Coding| {
        let options = Options {
            ecm,
            codings: vec![coding],
            send: sends.then(|| file.clone()),
            receive: (!sends).then(|| got.clone()),
            ..Options::default()
        };
        let peer = UdptlPeer::new(sends, &options, Protection::Redundancy(3)).unwrap();
        End { machine: Machine::Spandsp(Box::new(peer)), cost: Duration::ZERO, done: false }
    };
    let ours = |sends: bool, ecm: bool, coding: Coding| {
        let begin = cpu();
        let mut terminal = Terminal::new(Config {
            role: if sends { Role::Calling } else { Role::Called },
            ident: String::new(),
            capabilities: Capabilities { ecm, codings: vec![coding], ..Capabilities::default() },
            documents: vec![Document::new(if sends { coded.clone() } else { Vec::new() })],
            ..Config::default()
        });
        terminal.handle(Instant::ZERO, Input::Start);
        terminal.handle(Instant::ZERO, Input::SwitchToT38(fax_t38::Config::default()));
        let cost = cpu() - begin;
        End { machine: Machine::Ours(Box::new(terminal)), cost, done: false }
    };

    println!("{} pages in one call; line seconds, then ms of CPU a page: sender, receiver", pages.len());
    println!(
        "{:<10} {:>22} {:>22} {:>22} {:>22}",
        "", "spandsp → spandsp", "ours → spandsp", "spandsp → ours", "ours → ours"
    );
    for (name, ecm, coding) in [
        ("MH", false, Coding::Mh),
        ("MR", false, Coding::Mr),
        ("ECM MH", true, Coding::Mh),
        ("ECM MR", true, Coding::Mr),
        ("ECM MMR", true, Coding::Mmr),
    ] {
        print!("{name:<10}");
        for (caller_is_ours, called_is_ours) in [(false, false), (true, false), (false, true), (true, true)] {
            let end = |ours_: bool, sends: bool| {
                if ours_ { ours(sends, ecm, coding) } else { spandsp(sends, ecm, coding) }
            };
            let best = (0..5)
                .map(|_| call(end(caller_is_ours, true), end(called_is_ours, false)))
                .reduce(|a, b| (b.0, a.1.min(b.1), a.2.min(b.2)))
                .unwrap();
            let ms = |d: Duration| d.as_secs_f64() * 1e3 / pages.len() as f64;
            print!("  {:>7.1} {:>6.2} {:>5.2}", best.0, ms(best.1), ms(best.2));
        }
        println!();
    }
}
