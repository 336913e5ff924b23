//! Two sessions on one simulated line: every way a fax that goes well, or is made to go badly at one
//! point, should go.

use core::time::Duration;
use fax_base::Instant;
use fax_base::line::Modulation;
use fax_base::page::{Coding, PageShape, Resolution, Width};
use fax_t30::{Capabilities, Cause, Config, Document, PageStatus, Role, Rules, Session};
use testkit::line::page::{made_up, recognise};
use testkit::line::pair::{Impairments, Pair};

const HOUR: Duration = Duration::from_secs(3600);

fn shape(resolution: Resolution, width: Width) -> PageShape {
    PageShape { width, resolution, rows: 2200, tones: None }
}

fn config(role: Role, pages: usize) -> Config {
    Config {
        role,
        ident: if role == Role::Calling { "+49 30 1234".into() } else { "+1 555 0100".into() },
        capabilities: Capabilities::default(),
        send: vec![Document::new(vec![shape(Resolution::Fine, Width::A4); pages])],
        rules: Rules { page_retries: 3, ..Rules::default() },
        ..Config::default()
    }
}

fn pair(calling: Config, called: Config, octets: usize, impairments: Impairments) -> Pair {
    Pair::new(Session::new(calling), Session::new(called), octets, impairments, 1)
}

fn clean(pages: usize, octets: usize, change: impl Fn(&mut Config, &mut Config)) -> Pair {
    let (mut calling, mut called) = (config(Role::Calling, pages), config(Role::Called, 0));
    change(&mut calling, &mut called);
    let mut p = pair(calling, called, octets, Impairments::default());
    assert!(p.run(HOUR), "{p:#?}");
    p
}

fn assert_delivered(p: &Pair, pages: usize, octets: usize) {
    for end in &p.ends {
        assert_eq!(end.breaches, Vec::<String>::new());
        let outcome = end.outcome.as_ref().expect("ended");
        assert_eq!(outcome.failure, None, "{:#?}", p.ends[0].events);
    }
    assert_eq!(p.ends[0].confirmed(), (0..pages).collect::<Vec<_>>());
    assert_eq!(p.ends[0].outcome.as_ref().map(|o| o.pages_confirmed), Some(pages));
    assert_eq!(p.ends[1].outcome.as_ref().map(|o| o.pages_received), Some(pages));
    assert_eq!(p.ends[1].pages.len(), pages);
    for (i, page) in p.ends[1].pages.iter().enumerate() {
        assert!(page.confirmed);
        assert_eq!(page.octets.get(..octets), Some(made_up(i, octets).as_ref()), "page {i}");
        let rest = page.octets.get(octets..).unwrap_or(&[]);
        assert!(rest.len() < 256 && rest.iter().all(|o| *o == 0));
    }
}

#[test]
fn one_page_with_ecm() {
    let p = clean(1, 20_000, |_, _| {});
    assert_delivered(&p, 1, 20_000);
    assert_eq!(p.ends[0].sent(), ["TSI", "DCS", "PPS-EOP", "DCN"]);
    assert_eq!(p.ends[1].sent(), ["CSI", "DIS", "CFR", "MCF"]);
    let outcome = p.ends[0].outcome.as_ref().expect("ended");
    assert_eq!(outcome.modulation, Some(Modulation::V17At14400));
    assert_eq!(outcome.format.map(|f| (f.coding, f.ecm)), Some((Coding::Mmr, true)));
    assert_eq!(outcome.remote_ident.as_deref(), Some("+1 555 0100"));
    let outcome = p.ends[1].outcome.as_ref().expect("ended");
    assert_eq!(outcome.remote_ident.as_deref(), Some("+49 30 1234"));
}

#[test]
fn page_counts_with_and_without_ecm() {
    for ecm in [true, false] {
        for pages in [1, 2, 3, 7] {
            let p = clean(pages, 9_000, |a, _| a.capabilities.ecm = ecm);
            assert_delivered(&p, pages, 9_000);
        }
    }
}

#[test]
fn every_modulation_with_and_without_ecm() {
    for modulation in Modulation::ALL {
        for ecm in [true, false] {
            let p = clean(2, 4_000, |a, b| {
                a.capabilities.modulations = vec![modulation];
                b.capabilities.ecm = ecm;
            });
            assert_delivered(&p, 2, 4_000);
            let used = p.ends[1].outcome.as_ref().and_then(|o| o.modulation);
            assert_eq!(used, Some(modulation));
        }
    }
}

#[test]
fn sizes_around_frames_and_blocks() {
    for octets in [1, 255, 256, 257, 65_535, 65_536, 65_537, 200_000] {
        let p = clean(2, octets, |_, _| {});
        // A page of a few octets does not tell its number; compare by length then.
        assert_delivered(&p, 2, octets);
        let nulls = p.ends[0].sent().iter().filter(|n| **n == "PPS-NULL").count();
        assert_eq!(nulls, 2 * (octets.div_ceil(65_536) - 1));
    }
}

#[test]
fn resolution_and_width_are_reduced_to_what_the_far_end_takes() {
    let p = clean(1, 3_000, |a, b| {
        a.send = vec![Document::new(vec![shape(Resolution::Superfine, Width::A3)])];
        b.capabilities.resolutions = vec![Resolution::Standard, Resolution::Fine];
        b.capabilities.max_width = Width::B4;
        b.capabilities.codings = vec![Coding::Mh];
    });
    assert_delivered(&p, 1, 3_000);
    let format = p.ends[1].pages[0].format;
    assert_eq!((format.resolution, format.width), (Resolution::Fine, Width::B4));
    assert_eq!(format.coding, Coding::Mh);
}

#[test]
fn a_change_of_format_goes_by_eom() {
    for ecm in [true, false] {
        let p = clean(0, 3_000, |a, _| {
            a.capabilities.ecm = ecm;
            a.send[0].pages = vec![
                shape(Resolution::Fine, Width::A4),
                shape(Resolution::Standard, Width::A4),
                shape(Resolution::Standard, Width::B4),
                shape(Resolution::Standard, Width::B4),
            ];
        });
        assert_delivered(&p, 4, 3_000);
        let sent = p.ends[0].sent();
        let ends: Vec<_> = sent.iter().filter(|n| n.contains("EO") || n.contains("MPS")).collect();
        let prefix = if ecm { "PPS-" } else { "" };
        let want: Vec<String> = ["EOM", "EOM", "MPS", "EOP"].iter().map(|n| format!("{prefix}{n}")).collect();
        assert_eq!(ends, want.iter().map(String::as_str).collect::<Vec<_>>().iter().collect::<Vec<_>>());
    }
}

fn damaged(change: impl Fn(&mut Config, &mut Config), i: Impairments, seed: u64, octets: usize) -> Pair {
    let (mut calling, mut called) = (config(Role::Calling, 2), config(Role::Called, 0));
    change(&mut calling, &mut called);
    let mut p = Pair::new(Session::new(calling), Session::new(called), octets, i, seed);
    assert!(p.run(HOUR));
    p
}

#[test]
fn bad_image_frames_are_asked_for_again() {
    for seed in 0..20 {
        let i = Impairments { image_bad: 100, ..Impairments::default() };
        let p = damaged(|_, _| {}, i, seed, 70_000);
        assert_delivered(&p, 2, 70_000);
        assert!(p.ends[1].sent().contains(&"PPR"));
    }
}

#[test]
fn a_bad_line_steps_down_with_ctc() {
    let i = Impairments { image_bad: 450, ..Impairments::default() };
    let mut stepped = false;
    for seed in 0..20 {
        let p = damaged(|_, _| {}, i, seed, 66_000);
        if p.ends[0].outcome.as_ref().is_some_and(|o| o.failure.is_none()) {
            assert_delivered(&p, 2, 66_000);
        }
        stepped |= p.ends[0].sent().contains(&"CTC") && p.ends[1].sent().contains(&"CTR");
    }
    assert!(stepped);
}

#[test]
fn a_hopeless_line_ends_with_eor() {
    let mut p = pair(
        config(Role::Calling, 1),
        config(Role::Called, 0),
        60_000,
        Impairments { image_bad: 1000, ..Impairments::default() },
    );
    assert!(p.run(HOUR));
    assert!(
        p.ends[0].sent().contains(&"EOR-EOP"),
        "{:?}",
        p.ends.each_ref().map(|e| (e.sent(), e.outcome.clone()))
    );
    let failure = p.ends[0].outcome.as_ref().and_then(|o| o.failure.clone()).expect("failed");
    assert_eq!(failure.cause, Cause::EcmGaveUp);
    assert_eq!(p.ends[0].confirmed(), Vec::<usize>::new());
}

#[test]
fn an_unreadable_page_is_refused_and_sent_again_slower() {
    let mut refused = 0;
    for seed in 0..30 {
        let i = Impairments { bits_lost: 170, ..Impairments::default() };
        let p = damaged(|a, _| a.capabilities.ecm = false, i, seed, 9_000);
        refused += usize::from(p.ends[1].sent().contains(&"RTN"));
        let outcome = p.ends[0].outcome.as_ref().expect("ended");
        for index in p.ends[0].confirmed() {
            let kept = p.ends[1].pages.iter().any(|r| recognise(&r.octets) == Some(index));
            assert!(kept, "seed {seed} page {index}");
        }
        if outcome.failure.is_none() {
            assert_eq!(p.ends[1].pages.len(), 2, "seed {seed}");
        }
    }
    assert!(refused > 3);
}

#[test]
fn the_line_may_change_in_any_phase() {
    for tenth in 0..600u64 {
        for ecm in [true, false] {
            let (mut calling, called) = (config(Role::Calling, 2), config(Role::Called, 0));
            calling.capabilities.ecm = ecm;
            let mut p = pair(calling, called, 12_000, Impairments { duplex: true, ..Impairments::default() });
            p.line_changes = vec![Instant::from_millis(tenth * 100)];
            assert!(p.run(HOUR), "{tenth}");
            for end in &p.ends {
                assert_eq!(end.breaches, Vec::<String>::new(), "{tenth}");
            }
            let ok = p.ends[0].outcome.as_ref().is_some_and(|o| o.failure.is_none());
            for index in p.ends[0].confirmed() {
                let kept = p.ends[1].pages.iter().any(|r| recognise(&r.octets) == Some(index));
                assert!(kept, "{tenth}");
            }
            // With error correction nothing is lost, whenever it happens.
            assert!(ok || !ecm, "{tenth} {:?}", p.ends.each_ref().map(|e| (e.sent(), e.outcome.clone())));
        }
    }
}

/// Any one signal of a call may go unheard, whichever it is: the fax arrives all the same, whole and
/// once.
#[test]
fn one_signal_lost_anywhere() {
    for (ecm, duplex) in [(true, true), (true, false), (false, true), (false, false)] {
        let run = |unheard: Vec<(usize, usize)>| {
            let (mut calling, called) = (config(Role::Calling, 3), config(Role::Called, 0));
            calling.capabilities.ecm = ecm;
            calling.send[0].pages[2].resolution = Resolution::Standard;
            let i = Impairments { duplex, ..Impairments::default() };
            let mut p = pair(calling, called, 9_000, i);
            p.unheard = unheard;
            assert!(p.run(HOUR));
            p
        };
        let counts = run(Vec::new()).count;
        assert!(counts[0] > 8 && counts[1] > 5, "{counts:?}");
        for (end, count) in counts.into_iter().enumerate() {
            for number in 0..count {
                let p = run(vec![(end, number)]);
                let told = p.ends.each_ref().map(|e| (e.sent(), e.outcome.clone()));
                let fine = p.ends.iter().all(|e| {
                    e.breaches.is_empty() && e.outcome.as_ref().is_some_and(|o| o.failure.is_none())
                });
                assert!(fine, "ecm {ecm}, duplex {duplex}, {number} of {end}: {told:#?}");
                assert_eq!(p.ends[0].confirmed(), [0, 1, 2]);
                let kept: Vec<_> = p.ends[1].pages.iter().map(|r| recognise(&r.octets)).collect();
                assert_eq!(kept, [Some(0), Some(1), Some(2)], "ecm {ecm}, {number} of {end}");
            }
        }
    }
}

/// A receiver that may not go above a rate says so with FTT, as DIS cannot.
#[test]
fn a_receiver_with_a_highest_rate() {
    let p = clean(1, 4_000, |_, b| {
        b.capabilities.modulations = vec![Modulation::V17At7200, Modulation::V17At9600];
    });
    assert_delivered(&p, 1, 4_000);
    let used = p.ends[0].outcome.as_ref().and_then(|o| o.modulation);
    assert!(used.is_some_and(|m| m.bit_rate() <= 9_600), "{used:?}");
}

/// Both ends keep the same ledger.
#[test]
fn the_page_ledger() {
    let p = clean(3, 70_000, |_, _| {});
    let ledgers = p.ends.each_ref().map(|e| e.outcome.as_ref().expect("ended"));
    for (sent, received) in ledgers[0].sent.iter().zip(&ledgers[1].received) {
        assert_eq!((sent.index, sent.status), (received.index, PageStatus::Confirmed));
        assert_eq!((sent.format, sent.modulation), (received.format, Modulation::V17At14400));
        assert_eq!((sent.octets, sent.repeats, sent.frames_again), (70_000, 0, 0));
        assert_eq!(received.octets, 70_144);
        assert!(received.quality.is_some_and(|q| q.rows > 4_000));
        // 70 000 octets at 14 400 bit/s are 39 s; two blocks, two questions, two answers.
        for duration in [sent.duration, received.duration] {
            assert!((39..55).contains(&duration.as_secs()), "{duration:?}");
        }
    }
    assert_eq!((ledgers[0].sent.len(), ledgers[1].received.len()), (3, 3));

    let i = Impairments { image_bad: 150, ..Impairments::default() };
    let p = damaged(|_, _| {}, i, 3, 60_000);
    let ledgers = p.ends.each_ref().map(|e| e.outcome.as_ref().expect("ended"));
    for (sent, received) in ledgers[0].sent.iter().zip(&ledgers[1].received) {
        assert!(sent.frames_again > 20 && sent.frames_again == received.frames_again, "{sent:?}");
    }
    // A page that was sent and not answered is uncertain.
    let mut p = pair(config(Role::Calling, 1), config(Role::Called, 0), 9_000, Impairments::default());
    p.unheard = (3..9).map(|n| (1, n)).collect();
    assert!(p.run(HOUR));
    let outcome = p.ends[0].outcome.as_ref().expect("ended");
    assert_eq!(outcome.sent.iter().map(|r| r.status).collect::<Vec<_>>(), [PageStatus::Uncertain]);
    let failure = outcome.failure.as_ref().expect("failed");
    assert_eq!((failure.cause, failure.state), (Cause::NoResponseAfterPage, "PartialPage"));
    assert_eq!(failure.timer, Some("T4"));
    assert!(failure.to_string().contains("d.noresp"), "{failure}");
}
