//! Two gateways with T.38 between them: audio, packets, audio, as between two carriers' exchanges.

#![allow(clippy::unwrap_used, clippy::panic)] // the exemption for tests does not reach the functions beside them

use crate::bench;

use bench::spandsp::{Document, ECM_MMR, MR, Way, coded, ours};
use core::time::Duration;
use fax_base::time::Instant;
use fax_dsp::Law;
use fax_gateway::{Config, Gateway, Input, Output};
use fax_terminal::Terminal;
use spandsp_peer::{pages, tiff};
use testkit::audio::{BLOCK, Block, Machine, Ours, Path, Wire};
use testkit::network::{Impairments, Network};

fn letter() -> Document {
    Document { name: "letter".to_owned(), pages: vec![pages::generated(3, 700), pages::generated(4, 300)] }
}

/// A machine on its line to its gateway.
struct Exchange {
    machine: Ours,
    gateway: Gateway,
    there: Wire,
    back: Wire,
    network: Network,
}

impl Exchange {
    fn new(machine: Ours, line: Path, impairments: Impairments, seed: u64) -> Self {
        Exchange {
            machine,
            gateway: Gateway::new(Config::default(), Instant::ZERO),
            there: Wire::new(line, seed * 4),
            back: Wire::new(line, seed * 4 + 1),
            network: Network::new(impairments, seed * 4 + 2),
        }
    }

    fn audio(&mut self, now: Instant) {
        let (mut from, mut to): (Block, Block) = ([0; BLOCK], [0; BLOCK]);
        self.machine.transmit(now, &mut from);
        self.gateway.transmit_audio(now, &mut to);
        match self.there.carry(&from) {
            Some(block) => {
                let octets = block.map(|sample| Law::A.encode(sample));
                self.gateway.handle(now, Input::G711(Law::A, &octets));
            }
            None => self.gateway.handle(now, Input::AudioLost(BLOCK)),
        }
        match self.back.carry(&to) {
            Some(block) => self.machine.receive(now, &block),
            None => self.machine.lost(now),
        }
    }

    fn packets(&mut self, now: Instant, other: &mut Network) {
        while let Some(datagram) = other.poll(now) {
            self.gateway.handle(now, Input::Datagram(&datagram));
        }
        while self.gateway.deadline().is_some_and(|at| at <= now) {
            self.gateway.handle(now, Input::Timeout);
        }
        while let Some(output) = self.gateway.poll() {
            match output {
                Output::Datagram(datagram) => self.network.send(now, datagram),
                Output::Event(_) => {}
            }
        }
    }
}

fn call(way: Way, line: Path, impairments: Impairments, seed: u64) {
    let document = letter();
    let what = format!("{way:?} {line:?} {impairments:?} {seed}");
    let sender = Ours::new(Terminal::new(ours(Some(&document), Default::default())));
    let receiver = Ours::new(Terminal::new(ours(None, way.ours())));
    let mut near = Exchange::new(sender, line, impairments, seed);
    let mut far = Exchange::new(receiver, line, impairments, seed + 1_000);
    for tick in 0..600 * 200u64 {
        let now = Instant::from_millis(tick * 5);
        near.packets(now, &mut far.network);
        far.packets(now, &mut near.network);
        if tick.is_multiple_of(4) {
            near.audio(now);
            far.audio(now);
        }
        if near.machine.over() && far.machine.over() {
            break;
        }
    }
    let failures = [near.machine.cause(), far.machine.cause()];
    let ladders = || format!("{}\n\n{}", near.machine.ladder(), far.machine.ladder());
    assert_eq!(failures, [None, None], "{what}\n{}", ladders());
    assert_eq!(far.machine.pages.len(), document.pages.len(), "{what}\n{}", ladders());
    for (sent, got) in document.pages.iter().zip(&far.machine.pages) {
        assert_eq!(coded(sent).shape.rows, got.rows, "{what}");
        let got = tiff::decode_t6(got.format.pels(), got.rows, &got.t6).unwrap();
        assert_eq!(sent.first_difference(&got), None, "{what}\n{}", ladders());
    }
}

#[test]
fn on_a_clean_network_pages_are_identical() {
    for way in [ECM_MMR, MR] {
        call(way, Path::default(), Impairments::default(), 1);
    }
}

#[test]
fn over_a_long_way_with_losses_ecm_mends_what_is_left() {
    for seed in 1..=3 {
        let impairments = Impairments {
            latency: Duration::from_millis(120),
            jitter: Duration::from_millis(60),
            loss: 0.02,
            duplicates: 0.01,
            reorder: 0.01,
            ..Impairments::default()
        };
        call(ECM_MMR, Path::default(), impairments, seed);
    }
}

#[test]
fn lost_audio_is_mended_too() {
    for seed in 1..=3 {
        let line = Path { loss: 0.003, ..Path::default() };
        call(ECM_MMR, line, Impairments::default(), seed);
    }
}
