//! A call between our terminal and spandsp's fax machine over audio.

use super::{Desk, Document, Seen, Way, assert_received, assert_sent, ours};
use core::time::Duration;
use fax_t30 as t30;
use fax_terminal::{AudioOptions, Config, Terminal};
use spandsp_peer::{AudioPeer, Options, Report};
use testkit::audio::{Held, Ours, Path, call};

/// No call takes longer than this.
pub const LIMIT: Duration = Duration::from_secs(1800);

/// A call to its end.
pub fn held(config: Config, desk: &Desk, path: Path, seed: u64) -> (Seen, Report, Held) {
    let calling = config.role == t30::Role::Calling;
    let mut peer = AudioPeer::new(!calling, &desk.options).unwrap();
    let options = AudioOptions {
        talker_echo_protection: desk.options.talker_echo_protection,
        ..AudioOptions::default()
    };
    let mut ours = Ours::new(Terminal::with_audio(config, options));
    let held = if calling {
        call(&mut ours, &mut peer, path, path, seed, LIMIT)
    } else {
        call(&mut peer, &mut ours, path, path, seed, LIMIT)
    };
    let mut seen = Seen { ladder: ours.ladder().lines().map(str::to_owned).collect(), ..Seen::default() };
    seen.pages = ours.pages;
    if let Some((at, outcome)) = ours.outcome {
        (seen.ended_at, seen.outcome) = (Some(at), Some(outcome));
    }
    (seen, peer.report(), held)
}

/// We call and send; spandsp, limited to `way`, receives.
pub fn send(document: &Document, way: Way, options: Options, capabilities: t30::Capabilities) -> Seen {
    let what = format!("sending {} {way:?} by {:?}", document.name, capabilities.modulations.last());
    let desk = Desk::new(None, way.peer(options));
    let (seen, report, _) = held(ours(Some(document), capabilities), &desk, Path::default(), 1);
    assert_sent(&what, document, &desk, &seen, &report);
    way.assert_taken(&what, &seen, &report);
    seen
}

/// spandsp calls and sends; we, limited to `way`, receive.
pub fn receive(document: &Document, way: Way, options: Options, capabilities: t30::Capabilities) -> Seen {
    let what = format!("receiving {} {way:?} by {:?}", document.name, capabilities.modulations.last());
    let desk = Desk::new(Some(document), way.known_to(options));
    let capabilities = t30::Capabilities { modulations: capabilities.modulations, ..way.ours() };
    let (seen, report, _) = held(ours(None, capabilities), &desk, Path::default(), 1);
    assert_received(&what, document, &seen, &report);
    way.assert_taken(&what, &seen, &report);
    seen
}
