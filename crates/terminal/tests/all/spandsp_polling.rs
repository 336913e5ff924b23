//! Our terminal against spandsp's over T.38 and over audio: polling, several documents, addresses, passwords, and a
//! receiver that is not ready (T.30 §5.3.6.1, Annex A.4.3).

#![allow(clippy::unwrap_used, clippy::panic)] // the exemption for tests does not reach the functions beside them

use crate::spandsp;

use fax_t30 as t30;
use fax_terminal::Config;
use spandsp::audio::held;
use spandsp::t38::{CLEAN, call};
use spandsp::{
    Desk, Document, ECM_MMR, MR, OUR_IDENT, Seen, assert_received, assert_sent, bound, offered, ours,
};
use spandsp_peer::{Options, Report, pages};

/// What carries a call.
#[derive(Clone, Copy, Debug)]
enum Wire {
    T38,
    Audio,
}

const WIRES: [Wire; 2] = [Wire::T38, Wire::Audio];

fn on(wire: Wire, what: &str, config: Config, desk: &Desk) -> (Seen, Report) {
    match wire {
        Wire::T38 => call(what, config, desk, CLEAN),
        Wire::Audio => {
            let (seen, report, _) = held(config, desk, testkit::audio::Path::default(), 1);
            (seen, report)
        }
    }
}

fn document(seed: u64, count: u64) -> Document {
    Document {
        name: format!("{count} pages of {seed}"),
        pages: (0..count).map(|i| pages::generated(seed + i, 200)).collect(),
    }
}

/// We call and poll.
fn polling(way: spandsp::Way) -> Config {
    Config { role: t30::Role::Calling, poll: vec![t30::Poll::default()], ..ours(None, way.ours()) }
}

/// We are called, and this is there to be polled.
fn offering(documents: &[&Document]) -> Config {
    Config {
        documents: documents.iter().map(|d| offered(d)).collect(),
        ..ours(None, t30::Capabilities::default())
    }
}

fn knowing() -> Options {
    Options { addresses: true, ..Options::default() }
}

#[test]
fn we_poll_spandsp() {
    for wire in WIRES {
        let document = document(1, 3);
        for way in [ECM_MMR, MR] {
            let desk = Desk::new(Some(&document), Options::default());
            let (seen, report) = on(wire, "polling", polling(way), &desk);
            assert_received("polling", &document, &seen, &report);
            way.assert_taken("polling", &seen, &report);
        }
    }
}

#[test]
fn spandsp_polls_us() {
    for wire in WIRES {
        let document = document(4, 3);
        for way in [ECM_MMR, MR] {
            let desk = Desk::new(None, way.peer(Options::default()));
            let (seen, report) = on(wire, "being polled", offering(&[&document]), &desk);
            assert_sent("being polled", &document, &desk, &seen, &report);
            way.assert_taken("being polled", &seen, &report);
        }
    }
}

#[test]
fn there_is_nothing_to_poll() {
    for wire in WIRES {
        let desk = Desk::new(None, Options::default());
        let (seen, report) = on(wire, "polling nothing", polling(ECM_MMR), &desk);
        let cause = seen.ended("polling nothing").failure.as_ref().map(|f| f.cause);
        assert_eq!(cause, Some(t30::Cause::NothingToPoll));
        assert!(!report.succeeded());
        let desk = Desk::new(None, Options::default());
        let (_, report) = on(wire, "polled for nothing", offering(&[]), &desk);
        assert!(!report.succeeded() && report.pages_received == 0, "{report:?}");
    }
}

#[test]
fn several_documents_in_one_call() {
    for wire in WIRES {
        for way in [ECM_MMR, MR] {
            let (first, second) = (document(7, 2), document(9, 1));
            let config = Config {
                role: t30::Role::Calling,
                documents: vec![offered(&first), offered(&second)],
                ..ours(None, t30::Capabilities::default())
            };
            let desk = Desk::new(None, way.peer(Options::default()));
            let (seen, report) = on(wire, "two documents", config, &desk);
            assert_sent("two documents", &bound(vec![first, second]), &desk, &seen, &report);
            assert!(seen.ladder.iter().any(|line| line.contains("EOM")));
        }
    }
}

#[test]
fn a_sub_address_and_a_password_to_spandsp() {
    for wire in WIRES {
        let document = document(10, 1);
        let config = Config {
            sub_address: Some("4711".into()),
            password: Some("1234#".into()),
            ..ours(Some(&document), t30::Capabilities::default())
        };
        let desk = Desk::new(None, knowing());
        let (seen, report) = on(wire, "SUB and SID", config.clone(), &desk);
        assert_sent("SUB and SID", &document, &desk, &seen, &report);
        assert_eq!((report.sub_address.as_str(), report.sender_ident.as_str()), ("4711", "1234#"));
        // A terminal that does not know sub-addresses is not given a fax for one.
        let desk = Desk::new(None, Options::default());
        let (seen, _) = on(wire, "SUB unknown", config, &desk);
        let cause = seen.ended("SUB unknown").failure.as_ref().map(|f| f.cause);
        assert_eq!(cause, Some(t30::Cause::AddressUnsupported));
    }
}

#[test]
fn a_sub_address_and_a_password_from_spandsp() {
    for wire in WIRES {
        let document = document(11, 1);
        let receive = |sender_ident: &str| {
            let options =
                Options { sub_address: "4711".into(), sender_ident: sender_ident.into(), ..knowing() };
            let desk = Desk::new(Some(&document), options);
            let config = Config { password: Some("1234".into()), ..ours(None, t30::Capabilities::default()) };
            on(wire, "SUB and SID", config, &desk)
        };
        let (seen, report) = receive("1234");
        assert_received("SUB and SID", &document, &seen, &report);
        assert!(seen.ladder.iter().any(|line| line.contains("SubAddress(\"4711\")")), "{}", seen.tail());
        for wrong in ["4321", ""] {
            let (seen, report) = receive(wrong);
            assert_refused(&seen, &report);
        }
    }
}

fn assert_refused(seen: &Seen, report: &Report) {
    let cause = seen.ended("refusing").failure.as_ref().map(|f| f.cause);
    assert_eq!(cause, Some(t30::Cause::WrongPassword));
    assert!(!report.succeeded() && seen.pages.is_empty(), "{report:?}");
}

#[test]
fn passwords_for_polling() {
    for wire in WIRES {
        let document = document(12, 1);
        let config = Config { password: Some("77".into()), ..polling(ECM_MMR) };
        let desk = Desk::new(Some(&document), knowing());
        let (seen, report) = on(wire, "PWD", config, &desk);
        assert_received("PWD", &document, &seen, &report);
        assert_eq!(report.password, "77");

        for (password, fits) in [("77", true), ("78", false), ("", false)] {
            let config = Config { password: Some("77".into()), ..offering(&[&document]) };
            let desk = Desk::new(None, Options { password: password.into(), ..knowing() });
            let (seen, report) = on(wire, "PWD demanded", config, &desk);
            if fits {
                assert_sent("PWD demanded", &document, &desk, &seen, &report);
            } else {
                assert_refused(&seen, &report);
            }
        }
    }
}

#[test]
fn spandsp_selects_a_document() {
    for wire in WIRES {
        let (first, second) = (document(13, 1), document(14, 2));
        let mut config = offering(&[&first, &second]);
        for (document, address) in config.documents.iter_mut().zip(["1", "2"]) {
            document.address = Some(address.into());
        }
        let options = Options { selective_polling_address: "2".into(), ..knowing() };
        let desk = Desk::new(None, options);
        let (seen, report) = on(wire, "SEP", config, &desk);
        let outcome = seen.assert_success("SEP", &report);
        assert_eq!(outcome.sent.iter().map(|r| r.index).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((report.pages_received, report.remote_ident.as_str()), (2, OUR_IDENT));
    }
}

#[test]
fn frames_of_64_octets_to_spandsp() {
    for wire in WIRES {
        let document = document(19, 2);
        let desk = Desk::new(None, Options::default());
        let capabilities = t30::Capabilities { small_frames: true, ..t30::Capabilities::default() };
        let (seen, report) = on(wire, "64", ours(Some(&document), capabilities), &desk);
        assert_sent("64", &document, &desk, &seen, &report);
    }
}

#[test]
fn a_receiver_that_is_not_ready() {
    for wire in WIRES {
        let document = document(16, 3);
        for not_ready in [1, 4] {
            let desk = Desk::new(None, Options { not_ready, ..Options::default() });
            let config = ours(Some(&document), t30::Capabilities::default());
            let (seen, report) = on(wire, "RNR", config, &desk);
            assert_sent("RNR", &document, &desk, &seen, &report);
            let count = |what: &str| seen.ladder.iter().filter(|line| line.contains(what)).count();
            assert_eq!((count("<- RNR"), count("-> RR")), (not_ready.into(), not_ready.into()));
        }
    }
}
