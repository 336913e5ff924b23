//! Our terminal by T.38 to spandsp's gateway, and behind it, over modems, spandsp's fax machine: packets
//! must keep the time of the modems that they become (T.38 §7, §8).

#![allow(clippy::unwrap_used, clippy::panic)] // the exemption for tests does not reach the functions beside them

mod spandsp;

use fax_base::time::Instant;
use fax_t30 as t30;
use fax_terminal::{Config, Input, Terminal};
use spandsp::{
    Desk, Document, ECM_MH, ECM_MMR, MH, MR, Seen, Way, assert_received, assert_sent, charts, ours,
    three,
};
use spandsp_peer::network::Network;
use spandsp_peer::udptl::Protection;
use spandsp_peer::{GatewayPeer, Options, Report};

/// What the call is like.
#[derive(Clone, Copy)]
struct Path {
    version: u8,
    jitter_ms: u64,
    loss_per_mille: usize,
}

const CLEAN: Path = Path {
    version: 0,
    jitter_ms: 0,
    loss_per_mille: 0,
};

fn call(what: &str, config: Config, desk: &Desk, path: Path) -> (Seen, Report) {
    let calling = config.role == t30::Role::Called;
    let options = Options {
        t38_version: path.version,
        ..desk.options.clone()
    };
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
    let agreed = fax_t38::Config {
        version: path.version,
        ..fax_t38::Config::default()
    };
    terminal.handle(Instant::ZERO, Input::SwitchToT38(agreed));
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
            peer.feed(&datagram)
                .unwrap_or_else(|fault| panic!("{what}: we sent {fault:?}: {datagram:02x?}"));
        }
        if tick % 4 == 0 {
            peer.step();
        }
        while let Some(datagram) = peer.take() {
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
    (seen, peer.report())
}

fn send(document: &Document, way: Way, options: Options, path: Path) {
    let what = format!("sending {} {way:?} {:?}", document.name, options.modems);
    let desk = Desk::new(None, way.peer(options));
    let (seen, report) = call(
        &what,
        ours(Some(document), t30::Capabilities::default()),
        &desk,
        path,
    );
    assert_sent(&what, document, &desk, &seen, &report);
    assert_smooth(&what, &seen, path);
}

fn receive(document: &Document, way: Way, options: Options, path: Path) {
    let what = format!("receiving {} {way:?} {:?}", document.name, options.modems);
    let desk = Desk::new(Some(document), options);
    let (seen, report) = call(&what, ours(None, way.ours()), &desk, path);
    assert_received(&what, document, &seen, &report);
    assert_smooth(&what, &seen, path);
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
            let capabilities = t30::Capabilities {
                modulations: vec![modulation],
                ..way.ours()
            };
            let desk = Desk::new(None, Options::default());
            let config = ours(Some(chart), capabilities.clone());
            let (seen, report) = call(&what, config, &desk, CLEAN);
            assert_sent(&what, chart, &desk, &seen, &report);
            assert_smooth(&what, &seen, CLEAN);
            assert_eq!(seen.ended(&what).modulation, Some(modulation));

            // The gateway's own V.27ter receiver at 2400 bit/s makes an error now and then, which only
            // ECM mends: no packet can.
            if modulation == fax_base::line::Modulation::V27ter2400 && way == MR {
                continue;
            }
            let desk = Desk::new(Some(chart), Options::default());
            let (seen, report) = call(&what, ours(None, capabilities), &desk, CLEAN);
            assert_received(&what, chart, &seen, &report);
            assert_smooth(&what, &seen, CLEAN);
        }
    }
}

#[test]
fn with_talker_echo_protection() {
    let chart = &charts()[0];
    let options = || Options {
        talker_echo_protection: true,
        ..Options::default()
    };
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
    let path = Path {
        jitter_ms: 25,
        loss_per_mille: 20,
        ..CLEAN
    };
    for way in [ECM_MMR, MR] {
        send(chart, way, Options::default(), path);
        receive(chart, way, Options::default(), path);
    }
}
