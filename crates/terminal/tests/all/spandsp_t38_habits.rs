//! Our terminal against spandsp's T.38 terminal with the habits of other stacks: copies under new numbers,
//! repeated indicators, no pacing, the other syntax; and calls that break off (T.38 §7, §8).

#![allow(clippy::unwrap_used, clippy::panic)] // the exemption for tests does not reach the functions beside them

use crate::spandsp;

use fax_t30 as t30;
use spandsp::t38::{CLEAN, Incident, Path, call, receive, send};
use spandsp::{Desk, Document, ECM_MMR, MH, MR, assert_received, assert_sent, ours, three};
use spandsp_peer::udptl::Protection;
use spandsp_peer::{Copies, Options, Streaming, pages, tiff};

#[test]
fn key_packets_once_or_under_new_numbers() {
    let document = three();
    for copies in [Copies::Ignored, Copies::Renumbered] {
        for (version, redundancy) in [(0, 3), (3, 0)] {
            let protection = Protection::Redundancy(redundancy);
            let path = Path { copies, version, protection, ..CLEAN };
            for way in [ECM_MMR, MR] {
                send(&document, way, path);
                receive(&document, way, path);
            }
        }
    }
}

#[test]
fn other_ways_of_streaming() {
    let document = three();
    for streaming in [
        Streaming::RepeatedIndicators,
        Streaming::RepeatedIndicators2s,
        Streaming::Unpaced,
        Streaming::UnpacedWithoutIndicators,
    ] {
        for version in [0, 3] {
            for way in [ECM_MMR, MR] {
                let path = Path { version, ..CLEAN };
                let options = Options { streaming, ..Options::default() };

                let what = format!("sending to {streaming:?}, version {version}, {way:?}");
                let desk = Desk::new(None, way.peer(options.clone()));
                let config = ours(Some(&document), t30::Capabilities::default());
                let (seen, report) = call(&what, config, &desk, path);
                assert_sent(&what, &document, &desk, &seen, &report);

                let what = format!("receiving from {streaming:?}, version {version}, {way:?}");
                let desk = Desk::new(Some(&document), options);
                let (seen, report) = call(&what, ours(None, way.ours()), &desk, path);
                assert_received(&what, &document, &seen, &report);
            }
        }
    }
}

#[test]
fn time_left_for_talker_echo_protection() {
    let document = three();
    let options = Options { talker_echo_protection: true, ..Options::default() };
    let desk = Desk::new(Some(&document), options);
    let (seen, report) = call("receiving", ours(None, MH.ours()), &desk, CLEAN);
    assert_received("receiving", &document, &seen, &report);
}

/// The syntax of 1998 from a peer that agreed to that of 2002, or the other way round: what is heard tells.
/// spandsp itself does not notice, so only its DIS can be looked at.
#[test]
fn the_other_syntax_is_understood() {
    let document = three();
    for (version, our_version) in [(0, 3), (3, 0)] {
        let what = format!("version {version} heard as {our_version}");
        let desk = Desk::new(None, Options::default());
        let path = Path { version, our_version: Some(our_version), ..CLEAN };
        let config = ours(Some(&document), t30::Capabilities::default());
        let (seen, _) = call(&what, config, &desk, path);
        // The first frame may be spent on finding out.
        assert!(
            seen.ladder.iter().any(|line| line.contains("<- DIS")),
            "{what}:
{}",
            seen.tail()
        );
        assert!(seen.ended(&what).failure.is_some());
    }
}

/// Breaks a call off at many moments: our end always ends, tells the truth about the pages, and so does the
/// other when it is told.
#[test]
fn calls_that_break_off() {
    let document = Document {
        name: "two pages".to_owned(),
        pages: vec![pages::generated(1, 300), pages::generated(2, 300)],
    };
    for incident in [Incident::PeerStops, Incident::WeCancel, Incident::HungUp] {
        for at in (0..60_000).step_by(2_330) {
            for way in [ECM_MMR, MR] {
                let path = Path { incident: Some((at, incident)), ..CLEAN };
                let what = format!("sending {way:?}, {incident:?} at {at} ms");
                let desk = Desk::new(None, way.peer(Options::default()));
                let config = ours(Some(&document), t30::Capabilities::default());
                let (seen, report) = call(&what, config, &desk, path);
                let outcome = seen.ended(&what);
                let got = tiff::read(&desk.received()).unwrap_or_default();
                assert!(got.len() >= outcome.pages_confirmed, "{what}");
                let all = outcome.pages_confirmed == document.pages.len();
                assert!(all || outcome.failure.is_some(), "{what}: {outcome:?}");
                // Before our end has heard anything there is nobody to say DCN to.
                if incident != Incident::HungUp && at > 5000 {
                    assert!(report.code.is_some(), "{what}: spandsp was not told");
                }

                let what = format!("receiving {way:?}, {incident:?} at {at} ms");
                let desk = Desk::new(Some(&document), Options::default());
                let (seen, report) = call(&what, ours(None, way.ours()), &desk, path);
                let outcome = seen.ended(&what);
                assert!(outcome.pages_received >= report.pages_sent as usize, "{what}");
                let confirmed = seen.pages.iter().filter(|page| page.confirmed).count();
                let all = confirmed == document.pages.len();
                assert!(all || outcome.failure.is_some(), "{what}: {outcome:?}");
                for (sent, got) in document.pages.iter().zip(&seen.pages).take(confirmed) {
                    let page = tiff::decode_t6(got.format.pels(), got.rows, &got.t6).unwrap();
                    assert_eq!(sent.first_difference(&page), None, "{what}");
                }
            }
        }
    }
}

#[test]
fn a_peer_that_cannot_receive() {
    let document = three();
    let desk = Desk::new(None, Options::default());
    let options = Options { receive: None, ..desk.options.clone() };
    let desk = Desk { options, ..desk };
    let config = ours(Some(&document), t30::Capabilities::default());
    let (seen, _) = call("sending to one that only sends", config, &desk, CLEAN);
    let outcome = seen.ended("sending to one that only sends");
    assert!(outcome.failure.is_some() && outcome.pages_confirmed == 0, "{outcome:?}");
}
