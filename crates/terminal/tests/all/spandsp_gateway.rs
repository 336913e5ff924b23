//! Our terminal by T.38 to spandsp's gateway, and behind it, over modems, spandsp's fax machine: packets
//! must keep the time of the modems that they become (T.38 §7, §8).
//!
//! What spandsp's gateway makes of its modem's bits is not always all of them. While its fast receiver
//! trains, its V.21 receiver listens too, and both write into one buffer: in the 20 ms in which the fast
//! one is ready, the other may throw away what is there. By its own log 197 180 bits of a page then come
//! from its modem at V.17 12000 and 24 635 octets leave it, 13 too few, always the first ones; at
//! V.27ter 2400 one is missing. Without ECM nobody can mend that, so such a page is compared with what
//! the gateway's packets say ([`assert_taken_over`]).

#![allow(clippy::unwrap_used, clippy::panic)] // the exemption for tests does not reach the functions beside them

use crate::spandsp;

use fax_base::time::Instant;
use fax_image::Decoded;
use fax_t30 as t30;
use fax_t38::ifp::{self, FieldType, Ifp};
use fax_terminal::{Config, Input, Terminal};
use spandsp::{
    Desk, Document, ECM_MH, ECM_MMR, MH, MR, Seen, Way, assert_received, assert_sent, charts, ours, received,
    three,
};
use spandsp_peer::network::Network;
use spandsp_peer::tiff::Page;
use spandsp_peer::udptl::Protection;
use spandsp_peer::{GatewayPeer, Options, Report};

/// What the call is like.
#[derive(Clone, Copy)]
struct Path {
    version: u8,
    jitter_ms: u64,
    loss_per_mille: usize,
}

const CLEAN: Path = Path { version: 0, jitter_ms: 0, loss_per_mille: 0 };

/// What came of a call.
struct Call {
    seen: Seen,
    report: Report,
    /// The raw bits that left the gateway, an entry for each time its modem received: training checks
    /// and pages.
    emitted: Vec<Vec<u8>>,
}

/// Takes the raw bits out of the gateway's datagrams, before the network gets them.
struct Tap {
    udptl: spandsp_peer::udptl::Receiver,
    ifp: ifp::Decoder,
    within: bool,
    emitted: Vec<Vec<u8>>,
}

impl Tap {
    fn new(version: u8) -> Self {
        Tap {
            udptl: spandsp_peer::udptl::Receiver::new(),
            ifp: ifp::Decoder::new(version),
            within: false,
            emitted: Vec::new(),
        }
    }

    fn datagram(&mut self, datagram: &[u8]) {
        for (_, packet) in self.udptl.unwrap(datagram).unwrap() {
            let Ifp::Data { fields, .. } = self.ifp.decode(&packet, false).unwrap() else {
                self.within = false;
                continue;
            };
            let raw = [FieldType::T4NonEcmData, FieldType::T4NonEcmSigEnd];
            for field in fields.iter().filter(|f| raw.contains(&f.kind)) {
                if !core::mem::replace(&mut self.within, true) {
                    self.emitted.push(Vec::new());
                }
                self.emitted.last_mut().unwrap().extend(field.data);
            }
        }
    }
}

fn call(what: &str, config: Config, desk: &Desk, path: Path) -> Call {
    let calling = config.role == t30::Role::Called;
    let options = Options { t38_version: path.version, ..desk.options.clone() };
    let mut peer = GatewayPeer::new(calling, &options, Protection::Redundancy(3)).unwrap();
    let mut terminal = Terminal::new(config);
    let network = |seed| {
        let mut n = Network::new(seed);
        n.delay = 20_000;
        n.jitter = path.jitter_ms * 1000;
        n.loss_per_mille = path.loss_per_mille;
        n.most_in_a_row = 2;
        n
    };
    let (mut to_peer, mut to_us) = (network(2), network(3));
    let mut seen = Seen::default();
    let mut sent = Vec::new();
    terminal.handle(Instant::ZERO, Input::Start);
    let agreed = fax_t38::Config { version: path.version, ..fax_t38::Config::default() };
    terminal.handle(Instant::ZERO, Input::SwitchToT38(agreed));
    let mut tap = Tap::new(path.version);
    let mut quiet_since = None;
    for tick in 0..2 * 3600 * 200u64 {
        let us = tick * 5_000;
        let now = Instant::from_micros(us);
        if seen.outcome.is_none() {
            seen.run(&mut terminal, now, &mut sent);
            while let Some(datagram) = to_us.arrived(us) {
                terminal.handle(now, Input::Datagram(&datagram));
                seen.run(&mut terminal, now, &mut sent);
            }
        }
        for datagram in sent.drain(..) {
            to_peer.send(us, datagram);
        }
        while let Some(datagram) = to_peer.arrived(us) {
            peer.feed(&datagram).unwrap_or_else(|fault| panic!("{what}: we sent {fault:?}: {datagram:02x?}"));
        }
        if tick % 4 == 0 {
            peer.step();
        }
        while let Some(datagram) = peer.take() {
            tap.datagram(&datagram);
            to_us.send(us, datagram);
        }
        let patience = match (seen.outcome.is_some(), peer.code().is_some()) {
            (true, true) => break,
            (false, false) => continue,
            (true, false) => 10_000_000,
            (false, true) => 60_000_000,
        };
        if us - *quiet_since.get_or_insert(us) > patience {
            break;
        }
    }
    assert!(peer.longest <= 400, "{what}: {} octets", peer.longest);
    seen.lost = terminal.t38_statistics().unwrap().lost;
    Call { seen, report: peer.report(), emitted: tap.emitted }
}

/// We have exactly the pages that were sent; or, where the gateway itself dropped the beginning of one
/// sent without ECM, exactly what its packets say, and the rest of the page pel for pel.
fn assert_taken_over(what: &str, document: &Document, way: Way, call: &Call) {
    let pages = document.pages.len();
    assert_eq!(call.seen.lost, 0, "{what}");
    let limits = fax_image::Limits::default();
    let emitted: Vec<Decoded> = call.emitted[call.emitted.len().saturating_sub(pages)..]
        .iter()
        .map(|octets| fax_image::decode(octets, way.coding, document.pages[0].width, limits))
        .collect();
    let is_whole = |(sent, page): (&Page, &Decoded)| page.rows == sent.rows && page.bad_rows == 0;
    if way.ecm || emitted.len() == pages && document.pages.iter().zip(&emitted).all(is_whole) {
        return assert_received(what, document, &call.seen, &call.report);
    }
    assert_eq!(emitted.len(), pages, "{what}: pages in the packets");
    // The two receivers share one block of 20 ms. The shortest row is EOL, tag bit and V(0); after what
    // is lost three rows at most have no row to refer to (T.4 §4.2.2: K = 4).
    let rate = call.seen.ended(what).modulation.unwrap().bit_rate();
    let most_dropped = rate / 50 / 14 + 1;
    let ours = received(what, document, &call.seen, &call.report);
    for (number, ((sent, got, page), emitted)) in ours.zip(&emitted).enumerate() {
        let what = format!("{what}: page {number}, {} bad of {}", got.bad_rows, got.rows);
        println!("{what}: the gateway dropped {} rows", sent.rows - got.rows);
        assert_eq!((got.rows, got.bad_rows), (emitted.rows, emitted.bad_rows), "{what}");
        assert!(emitted.ended, "{what}: no RTC");
        assert!(sent.rows - got.rows <= most_dropped, "{what}");
        assert!(got.bad_rows <= 3, "{what}");
        let same = |back: u32| sent.row(sent.rows - back) == page.row(got.rows - back);
        assert!((1..=got.rows - got.bad_rows).all(same), "{what}");
    }
}

fn send(document: &Document, way: Way, options: Options, path: Path) {
    let what = format!("sending {} {way:?} {:?}", document.name, options.modems);
    let desk = Desk::new(None, way.peer(options));
    let config = ours(Some(document), t30::Capabilities::default());
    let call = call(&what, config, &desk, path);
    assert_sent(&what, document, &desk, &call.seen, &call.report);
    assert_smooth(&what, &call.seen, path);
}

fn receive(document: &Document, way: Way, options: Options, path: Path) {
    let what = format!("receiving {} {way:?} {:?}", document.name, options.modems);
    let desk = Desk::new(Some(document), options);
    let call = call(&what, ours(None, way.ours()), &desk, path);
    assert_taken_over(&what, document, way, &call);
    assert_smooth(&what, &call.seen, path);
}

/// On a network that loses nothing nothing was sent twice: no modem ran dry or had too much.
fn assert_smooth(what: &str, seen: &Seen, path: Path) {
    if path.loss_per_mille == 0 {
        assert_eq!(seen.ended(what).resends, 0, "{what}\n{}", seen.tail());
    }
}

#[test]
fn every_modulation() {
    let chart = &charts()[0];
    for modulation in fax_base::line::Modulation::ALL {
        for way in [ECM_MMR, MR] {
            let what = format!("{modulation} {way:?}");
            let capabilities = t30::Capabilities { modulations: vec![modulation], ..way.ours() };
            let desk = Desk::new(None, Options::default());
            let config = ours(Some(chart), capabilities.clone());
            let sending = call(&what, config, &desk, CLEAN);
            assert_sent(&what, chart, &desk, &sending.seen, &sending.report);
            assert_smooth(&what, &sending.seen, CLEAN);
            assert_eq!(sending.seen.ended(&what).modulation, Some(modulation));

            let desk = Desk::new(Some(chart), Options::default());
            let receiving = call(&what, ours(None, capabilities), &desk, CLEAN);
            assert_taken_over(&what, chart, way, &receiving);
            assert_smooth(&what, &receiving.seen, CLEAN);
        }
    }
}

#[test]
fn with_talker_echo_protection() {
    let chart = &charts()[0];
    let options = || Options { talker_echo_protection: true, ..Options::default() };
    for way in [ECM_MMR, MR] {
        send(chart, way, options(), CLEAN);
        receive(chart, way, options(), CLEAN);
    }
}

#[test]
fn one_chart_every_way() {
    let chart = &charts()[0];
    for way in [ECM_MMR, ECM_MH, MR, MH] {
        for version in [0, 3] {
            let path = Path { version, ..CLEAN };
            send(chart, way, Options::default(), path);
            receive(chart, way, Options::default(), path);
        }
    }
}

#[test]
fn several_pages() {
    let document = three();
    for way in [ECM_MMR, MR] {
        send(&document, way, Options::default(), CLEAN);
        receive(&document, way, Options::default(), CLEAN);
    }
}

#[test]
fn jitter_and_losses() {
    let chart = &charts()[0];
    let path = Path { jitter_ms: 25, loss_per_mille: 20, ..CLEAN };
    for way in [ECM_MMR, MR] {
        send(chart, way, Options::default(), path);
        receive(chart, way, Options::default(), path);
    }
}
