//! Two sessions on one simulated line: several documents, polling in both roles, addresses and passwords
//! (T.30 §5.3.6.1.2, §5.3.6.1.3).

use core::time::Duration;
use fax_base::page::{PageShape, Resolution, Width};
use fax_t30::{Capabilities, Cause, Config, Document, Event, Poll, Role, Session};
use testkit::line::page::{made_up, recognise};
use testkit::line::pair::{Impairments, Pair};

const HOUR: Duration = Duration::from_secs(3600);
const OCTETS: usize = 9_000;

fn document(pages: usize) -> Document {
    let shape = PageShape { width: Width::A4, resolution: Resolution::Fine, rows: 2200, tones: None };
    Document::new(vec![shape; pages])
}

fn offered(address: &str, pages: usize) -> Document {
    Document { address: Some(address.into()), ..document(pages) }
}

fn named(sep: &str) -> Poll {
    Poll { sep: Some(sep.into()), psa: None }
}

fn run(calling: Config, called: Config) -> Pair {
    run_over(calling, called, Impairments::default(), Vec::new())
}

fn run_over(calling: Config, called: Config, i: Impairments, unheard: Vec<(usize, usize)>) -> Pair {
    let calling = Config { role: Role::Calling, ident: "11".into(), ..calling };
    let called = Config { role: Role::Called, ident: "22".into(), ..called };
    let mut p = Pair::new(Session::new(calling), Session::new(called), OCTETS, i, 1);
    p.unheard = unheard;
    assert!(p.run(HOUR));
    for end in &p.ends {
        assert_eq!(end.breaches, Vec::<String>::new());
    }
    p
}

/// The pages that `end` has, whole and confirmed, by number.
fn has(p: &Pair, end: usize) -> Vec<usize> {
    let pages = p.ends[end].pages.iter().map(|page| {
        let number = recognise(&page.octets).expect("a page");
        assert!(page.confirmed);
        assert_eq!(page.octets.get(..OCTETS), Some(made_up(number, OCTETS).as_ref()));
        number
    });
    pages.collect()
}

fn causes(p: &Pair) -> [Option<Cause>; 2] {
    p.ends.each_ref().map(|e| e.outcome.as_ref().and_then(|o| o.failure.as_ref()).map(|f| f.cause))
}

fn both(change: impl Fn(bool)) {
    change(true);
    change(false);
}

fn ecm(ecm: bool) -> Capabilities {
    Capabilities { ecm, ..Capabilities::default() }
}

#[test]
fn several_documents_go_with_eom_between_them() {
    both(|with| {
        let send = vec![document(2), document(1), document(0), document(3)];
        let p = run(Config { send, capabilities: ecm(with), ..Config::default() }, Config::default());
        assert_eq!(causes(&p), [None, None]);
        assert_eq!(has(&p, 1), [0, 1, 2, 3, 4, 5]);
        let ends: Vec<bool> = p.ends[1].pages.iter().map(|page| page.ends_document).collect();
        assert_eq!(ends, [false, true, true, false, false, true]);
    });
}

#[test]
fn polling() {
    both(|with| {
        let called = Config { send: vec![document(3)], capabilities: ecm(with), ..Config::default() };
        let p = run(Config { poll: vec![Poll::default()], ..Config::default() }, called);
        assert_eq!(causes(&p), [None, None]);
        assert_eq!(has(&p, 0), [0, 1, 2]);
        assert_eq!(p.ends[1].confirmed(), [0, 1, 2]);
        assert_eq!(p.ends[0].sent()[..3], ["CIG", "DTC", "CFR"]);
        assert_eq!(p.ends[1].sent()[..4], ["CSI", "DIS", "TSI", "DCS"]);
        let idents = p.ends.each_ref().map(|e| e.outcome.as_ref().and_then(|o| o.remote_ident.clone()));
        assert_eq!(idents, [Some("22".into()), Some("11".into())]);
        // X: one from the calling terminal, zero from the called one, whoever sends.
        for (end, x) in [(0, 0x80), (1, 0)] {
            for (_, event) in &p.ends[end].events {
                if let Event::FrameSent { name, octets } = event
                    && !["CIG", "DTC", "CSI", "DIS"].contains(name)
                {
                    assert_eq!(octets[2] & 0x80, x, "{name}");
                }
            }
        }
    });
}

#[test]
fn several_documents_are_polled_with_one_command_after_another() {
    both(|with| {
        let called = Config { send: vec![document(1), document(2)], ..Config::default() };
        let calling = Config { poll: vec![Poll::default()], capabilities: ecm(with), ..Config::default() };
        let p = run(calling, called);
        assert_eq!(causes(&p), [None, None]);
        assert_eq!(has(&p, 0), [0, 1, 2]);
        assert_eq!(p.ends[0].sent().iter().filter(|n| **n == "DTC").count(), 2);
    });
}

#[test]
fn one_call_sends_and_polls() {
    both(|with| {
        let calling = Config {
            send: vec![document(2)],
            poll: vec![Poll::default()],
            capabilities: ecm(with),
            ..Config::default()
        };
        let p = run(calling, Config { send: vec![document(1)], ..Config::default() });
        assert_eq!(causes(&p), [None, None]);
        assert_eq!((has(&p, 0), has(&p, 1)), (vec![0], vec![0, 1]));
    });
}

#[test]
fn an_offer_that_nobody_polls_changes_nothing() {
    let p = run(
        Config { send: vec![document(1)], ..Config::default() },
        Config { send: vec![document(1)], ..Config::default() },
    );
    assert_eq!(causes(&p), [None, None]);
    assert_eq!((has(&p, 0), has(&p, 1)), (vec![], vec![0]));
}

#[test]
fn an_end_that_only_offers_receives_nothing() {
    let called = Config { send: vec![document(1)], receive: false, ..Config::default() };
    let p = run(Config { send: vec![document(1)], ..Config::default() }, called.clone());
    assert_eq!(causes(&p), [Some(Cause::RemoteCannotReceive), Some(Cause::CallerLeftBeforePage)]);
    let p = run(Config { poll: vec![Poll::default()], ..Config::default() }, called);
    assert_eq!(causes(&p), [None, None]);
    assert_eq!(has(&p, 0), [0]);
}

#[test]
fn nothing_is_offered() {
    let p = run(Config { poll: vec![Poll::default()], ..Config::default() }, Config::default());
    assert_eq!(causes(&p)[0], Some(Cause::NothingToPoll));
    // What is to be sent first arrives all the same.
    let p = run(
        Config { send: vec![document(2)], poll: vec![Poll::default()], ..Config::default() },
        Config::default(),
    );
    assert_eq!(p.ends[0].confirmed(), [0, 1]);
    assert_eq!(has(&p, 1), [0, 1]);
    assert_eq!(p.ends[1].outcome.as_ref().map(|o| o.failure.is_none()), Some(true));
}

#[test]
fn a_selected_document() {
    let called =
        Config { send: vec![offered("1", 1), offered("2", 2), offered("3", 1)], ..Config::default() };
    let p = run(Config { poll: vec![named("2")], ..Config::default() }, called.clone());
    assert_eq!(causes(&p), [None, None]);
    assert_eq!(has(&p, 0), [1, 2]);
    assert_eq!(p.ends[0].sent()[..3], ["CIG", "SEP", "DTC"]);
    // By its sub-address, too.
    let psa = Poll { sep: None, psa: Some("3".into()) };
    let p = run(Config { poll: vec![psa], ..Config::default() }, called.clone());
    assert_eq!(has(&p, 0), [3]);
    // One that is not there, and one that nobody named.
    for poll in [named("4"), Poll::default()] {
        let p = run(Config { poll: vec![poll], ..Config::default() }, called.clone());
        assert_eq!(causes(&p), [Some(Cause::PollRefused), Some(Cause::NothingToPoll)]);
        assert_eq!(has(&p, 0), Vec::<usize>::new());
    }
    // A terminal that knows no selection is not asked for a selected document.
    let p = run(
        Config { poll: vec![named("2")], ..Config::default() },
        Config { send: vec![document(1)], ..Config::default() },
    );
    assert_eq!(causes(&p)[0], Some(Cause::AddressUnsupported));
}

#[test]
fn multiple_selective_polling_goes_with_eos() {
    both(|with| {
        let called =
            Config { send: vec![offered("1", 1), offered("2", 2), offered("3", 1)], ..Config::default() };
        let calling =
            Config { poll: vec![named("3"), named("1")], capabilities: ecm(with), ..Config::default() };
        let p = run(calling, called);
        assert_eq!(causes(&p), [None, None]);
        assert_eq!(has(&p, 0), [3, 0]);
        assert!(p.ends[1].sent().iter().any(|n| n.ends_with("EOS")), "{:?}", p.ends[1].sent());
    });
}

#[test]
fn passwords_for_polling() {
    let called = || Config { send: vec![document(1)], password: Some("s3cret".into()), ..Config::default() };
    for (password, fits) in [(Some("s3cret"), true), (Some("S3cret"), false), (None, false)] {
        let password = password.map(str::to_owned);
        let p = run(Config { poll: vec![Poll::default()], password, ..Config::default() }, called());
        if fits {
            assert_eq!(causes(&p), [None, None]);
            assert_eq!(has(&p, 0), [0]);
            assert_eq!(p.ends[0].sent()[..3], ["CIG", "PWD", "DTC"]);
        } else {
            assert_eq!(causes(&p), [Some(Cause::PollRefused), Some(Cause::WrongPassword)]);
            assert_eq!(has(&p, 0), Vec::<usize>::new());
        }
    }
}

#[test]
fn passwords_for_sending() {
    for (password, fits) in [(Some("s3cret"), true), (Some("other"), false), (None, false)] {
        let password = password.map(str::to_owned);
        let p = run(
            Config { send: vec![document(1)], password, ..Config::default() },
            Config { password: Some("s3cret".into()), ..Config::default() },
        );
        assert_eq!(causes(&p)[0].is_none(), fits);
        assert_eq!(has(&p, 1).len(), usize::from(fits));
        if fits {
            assert_eq!(p.ends[0].sent()[..3], ["TSI", "SID", "DCS"]);
        } else {
            assert_eq!(causes(&p), [Some(Cause::IdentRefused), Some(Cause::WrongPassword)]);
        }
    }
    // A terminal that asks for none is told none.
    let p = run(
        Config { send: vec![document(1)], password: Some("s3cret".into()), ..Config::default() },
        Config::default(),
    );
    assert_eq!(causes(&p), [None, None]);
    assert!(!p.ends[0].sent().contains(&"SID"));
}

/// Any one signal of a polled call may go unheard: the document arrives all the same, whole and once.
#[test]
fn one_signal_lost_anywhere() {
    for (with, duplex, turnaround) in
        [(true, true, false), (true, false, true), (false, true, true), (false, false, false)]
    {
        let run = |unheard| {
            let send = if turnaround { vec![document(1)] } else { Vec::new() };
            let calling =
                Config { send, poll: vec![Poll::default()], capabilities: ecm(with), ..Config::default() };
            let called = Config { send: vec![document(2), document(1)], ..Config::default() };
            run_over(calling, called, Impairments { duplex, ..Impairments::default() }, unheard)
        };
        for (end, count) in run(Vec::new()).count.into_iter().enumerate() {
            assert!(count > 6);
            for number in 0..count {
                let p = run(vec![(end, number)]);
                let told = p.ends.each_ref().map(|e| (e.sent(), e.outcome.clone()));
                assert_eq!(causes(&p), [None, None], "{with} {duplex} {number} of {end}: {told:#?}");
                assert_eq!(has(&p, 0), [0, 1, 2], "{with} {number} of {end}");
                assert_eq!(has(&p, 1).len(), usize::from(turnaround));
            }
        }
    }
}

/// The carrier below may change in any phase of a polled call.
#[test]
fn the_line_may_change_in_any_phase() {
    for tenth in 0..500u64 {
        let calling = Config { role: Role::Calling, poll: vec![Poll::default()], ..Config::default() };
        let called = Config { send: vec![document(2)], ..Config::default() };
        let i = Impairments { duplex: true, ..Impairments::default() };
        let mut p = Pair::new(Session::new(calling), Session::new(called), OCTETS, i, 1);
        p.line_changes = vec![fax_base::Instant::from_millis(tenth * 100)];
        assert!(p.run(HOUR), "{tenth}");
        let told = p.ends.each_ref().map(|e| (e.sent(), e.outcome.clone()));
        assert_eq!(causes(&p), [None, None], "{tenth} {told:#?}");
        assert_eq!(has(&p, 0), [0, 1], "{tenth}");
    }
}

#[test]
fn frames_of_64_octets() {
    let small = Capabilities { small_frames: true, ..Capabilities::default() };
    let config = |pages, capabilities: &Capabilities| Config {
        send: vec![document(pages)],
        capabilities: capabilities.clone(),
        ..Config::default()
    };
    let plain = Capabilities::default();
    for (ours, theirs) in [(&small, &plain), (&plain, &small)] {
        let p = run(config(2, ours), config(0, theirs));
        assert_eq!(causes(&p), [None, None]);
        assert_eq!(has(&p, 1), [0, 1]);
        // 9000 octets are more than 128 frames of 64, and less than 40 of 256.
        let counts = p.ends[0].events.iter().filter_map(|(_, e)| match e {
            Event::FrameSent { name, octets } if name.starts_with("PPS") => octets.last(),
            _ => None,
        });
        assert_eq!(counts.map(|c| c.reverse_bits()).collect::<Vec<_>>(), [140, 140]);
    }
}
