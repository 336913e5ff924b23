//! A call between our terminal and spandsp's T.38 terminal over a simulated network.

use super::{Desk, Document, Seen, Way, assert_received, assert_sent, ours};
use fax_base::time::Instant;
use fax_t30 as t30;
use fax_t38::ErrorCorrection;
use fax_terminal::{Config, Input, Terminal};
use spandsp_peer::network::Network;
use spandsp_peer::udptl::Protection;
use spandsp_peer::{Copies, Options, Report, UdptlPeer};

/// Something that happens in the middle of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Incident {
    /// spandsp gives up.
    PeerStops,
    /// We give up.
    WeCancel,
    /// The network clears the call.
    HungUp,
}

/// What the packets pass through.
#[derive(Clone, Copy)]
pub struct Path {
    /// spandsp's version.
    pub version: u8,
    /// Ours, if the ends misunderstand each other.
    pub our_version: Option<u8>,
    pub copies: Copies,
    /// When, ms, and what.
    pub incident: Option<(u64, Incident)>,
    pub loss_per_mille: usize,
    pub most_in_a_row: usize,
    pub delay_ms: u64,
    pub jitter_ms: u64,
    pub doubled_per_mille: usize,
    pub protection: Protection,
    pub max_datagram: u16,
    pub seed: u64,
}

pub const CLEAN: Path = Path {
    version: 0,
    our_version: None,
    copies: Copies::Identical,
    incident: None,
    loss_per_mille: 0,
    most_in_a_row: 3,
    delay_ms: 20,
    jitter_ms: 0,
    doubled_per_mille: 0,
    protection: Protection::Redundancy(3),
    max_datagram: 400,
    seed: 1,
};

impl Path {
    fn network(&self, direction: u64) -> Network {
        let mut network = Network::new(self.seed * 2 + direction);
        network.loss_per_mille = self.loss_per_mille;
        network.most_in_a_row = self.most_in_a_row;
        network.delay = self.delay_ms * 1000;
        network.jitter = self.jitter_ms * 1000;
        network.doubled_per_mille = self.doubled_per_mille;
        network
    }

    fn agreed(&self) -> fax_t38::Config {
        let (error_correction, redundancy) = match self.protection {
            Protection::Redundancy(0) => (ErrorCorrection::None, 0),
            Protection::Redundancy(n) => (ErrorCorrection::Redundancy, n as u8),
            Protection::Fec { .. } => (ErrorCorrection::Fec, 3),
        };
        fax_t38::Config {
            version: self.our_version.unwrap_or(self.version),
            far_max_datagram: self.max_datagram,
            error_correction,
            control_redundancy: redundancy,
            image_redundancy: redundancy,
            ..fax_t38::Config::default()
        }
    }
}

/// Ten milliseconds: as often as spandsp is asked and packets are moved.
const TICK_US: u64 = 10_000;
const TICK_SAMPLES: u32 = 80;

pub fn call(what: &str, config: Config, desk: &Desk, path: Path) -> (Seen, Report) {
    call_with(what, config, desk, path, |_| {})
}

/// A call with a peer that was prepared for it.
pub fn call_with(
    what: &str,
    config: Config,
    desk: &Desk,
    path: Path,
    prepare: impl FnOnce(&mut UdptlPeer),
) -> (Seen, Report) {
    let calling = config.role == t30::Role::Called;
    let options = Options { t38_version: path.version, ..desk.options.clone() };
    let mut peer = UdptlPeer::new(calling, &options, path.protection).unwrap();
    peer.copies = path.copies;
    prepare(&mut peer);
    let mut terminal = Terminal::new(config);
    let (mut to_peer, mut to_us) = (path.network(0), path.network(1));
    let mut seen = Seen::default();
    let mut sent = Vec::new();
    terminal.handle(Instant::ZERO, Input::Start);
    terminal.handle(Instant::ZERO, Input::SwitchToT38(path.agreed()));
    let mut quiet_since = None;
    for tick in 0..3600 * 1_000_000 / TICK_US {
        let us = tick * TICK_US;
        let now = Instant::from_micros(us);
        match path.incident {
            Some((at, incident)) if us == at * 1000 => match incident {
                Incident::PeerStops => peer.terminate(),
                Incident::WeCancel => terminal.handle(now, Input::Cancel),
                Incident::HungUp => terminal.handle(now, Input::HungUp),
            },
            _ => {}
        }
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
        peer.step(TICK_SAMPLES);
        while let Some(datagram) = to_peer.arrived(us) {
            if let Err(fault) = peer.feed(&datagram) {
                panic!("{what}: we sent {fault:?}: {datagram:02x?}\n{}", seen.tail());
            }
        }
        while let Some(datagram) = peer.take() {
            to_us.send(us, datagram);
        }
        // Either end may be the first to be done; then the other has some time to see it too.
        let patience = match (seen.outcome.is_some(), peer.code().is_some()) {
            (true, true) => break,
            (false, false) => continue,
            (true, false) => 10_000_000,
            (false, true) => 180_000_000,
        };
        if us - *quiet_since.get_or_insert(us) > patience {
            break;
        }
    }
    let report = peer.report();
    seen.lost = terminal.t38_statistics().unwrap().lost;
    assert!(
        peer.refused.is_empty() || path.our_version.is_some(),
        "{what}: spandsp refuses {:02x?}",
        peer.refused
    );
    assert!(peer.longest <= usize::from(path.max_datagram), "{what}: a datagram of {} octets", peer.longest);
    (seen, report)
}

/// We call and send; spandsp, limited to `way`, receives.
pub fn send(document: &Document, way: Way, path: Path) {
    let what = format!("sending {} {way:?}", document.name);
    let desk = Desk::new(None, way.peer(Options::default()));
    let (seen, report) = call(&what, ours(Some(document), t30::Capabilities::default()), &desk, path);
    assert_sent(&what, document, &desk, &seen, &report);
    way.assert_taken(&what, &seen, &report);
}

/// spandsp calls and sends; we, limited to `way`, receive.
pub fn receive(document: &Document, way: Way, path: Path) {
    let what = format!("receiving {} {way:?}", document.name);
    let desk = Desk::new(Some(document), way.known_to(Options::default()));
    let (seen, report) = call(&what, ours(None, way.ours()), &desk, path);
    assert_received(&what, document, &seen, &report);
    way.assert_taken(&what, &seen, &report);
}
