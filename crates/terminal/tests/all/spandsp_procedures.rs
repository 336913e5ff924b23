//! Our terminal against spandsp's over T.38: frames of error correction damaged at random, lines that only work at a
//! lower rate, operators, receivers that are not ready (T.30 Annex A.4, §5.3.6.1.6, §5.3.6.1.7).

#![allow(clippy::unwrap_used, clippy::panic)] // the exemption for tests does not reach the functions beside them

use crate::spandsp;

use core::time::Duration;
use fax_base::line::{Channel, Modulation};
use fax_base::page::Coding;
use fax_base::time::Instant;
use fax_t30 as t30;
use fax_t38::ifp::{Decoder, Field, FieldType, Ifp};
use fax_t38::{self as t38, Endpoint};
use fax_terminal::Config;
use spandsp::t38::{CLEAN, call, call_with};
use spandsp::{
    Desk, Document, ECM_MH, ECM_MMR, MR, Seen, Way, assert_received, assert_sent, bound, offered, ours,
};
use spandsp_peer::pages::{self, Xorshift};
use spandsp_peer::udptl::Protection;
use spandsp_peer::{Mangle, Options, Report, UdptlPeer, tiff};

fn document(seed: u64, count: u64, rows: u32) -> Document {
    Document {
        name: format!("{count} pages of {seed}"),
        pages: (0..count).map(|i| pages::generated(seed + i, rows)).collect(),
    }
}

/// Gives so many in a thousand of the frames that an image modem carries a wrong FCS, at rates above `free`.
fn damage(per_mille: usize, free: u32, seed: u64) -> Mangle {
    spoil(per_mille, seed, move |channel| matches!(channel, Channel::Image(m) if m.bit_rate() > free))
}

/// Gives so many in a thousand of the frames that go by these channels a wrong FCS.
fn spoil(per_mille: usize, seed: u64, on: impl Fn(Channel) -> bool + 'static) -> Mangle {
    let (mut decoder, mut random) = (Decoder::new(0), Xorshift::new(seed));
    Box::new(move |octets| {
        let Ok(Ifp::Data { data_type, fields }) = decoder.decode(octets, true) else {
            return octets.to_vec();
        };
        if !data_type.channel().is_some_and(&on) {
            return octets.to_vec();
        }
        let mut spoilt = |kind| match kind {
            FieldType::HdlcFcsOk if random.below(1000) < per_mille => FieldType::HdlcFcsBad,
            FieldType::HdlcFcsOkSigEnd if random.below(1000) < per_mille => FieldType::HdlcFcsBadSigEnd,
            kind => kind,
        };
        let fields = fields.into_iter().map(|field| Field { kind: spoilt(field.kind), ..field }).collect();
        Ifp::Data { data_type, fields }.to_octets(decoder.syntax()).unwrap()
    })
}

/// A call over a line that damages both ways alike.
fn damaged(
    what: &str,
    config: Config,
    desk: &Desk,
    per_mille: usize,
    free: u32,
    seed: u64,
) -> (Seen, Report) {
    call_with(what, config, desk, CLEAN, |peer| {
        peer.mangle_sent = Some(damage(per_mille, free, seed));
        peer.mangle_received = Some(damage(per_mille, free, seed + 1000));
    })
}

fn count(seen: &Seen, what: &str) -> usize {
    seen.ladder.iter().filter(|line| line.contains(what)).count()
}

/// Pages of several blocks, frames of 256 octets and of 64, damaged by 5, 10 and 20 in a hundred.
#[test]
fn frames_damaged_at_random() {
    for (way, small_frames, rows) in [(ECM_MMR, false, 1400), (ECM_MH, false, 4500), (ECM_MH, true, 1400)] {
        let long = document(21, 2, rows);
        for per_mille in [50, 100, 200] {
            for seed in 0..2 {
                let what = format!("{way:?}, small {small_frames}, {per_mille}, seed {seed}");
                let capabilities = t30::Capabilities { small_frames, ..way.ours() };
                let desk = Desk::new(None, way.peer(Options::default()));
                let config = ours(Some(&long), capabilities.clone());
                let (seen, report) = damaged(&what, config, &desk, per_mille, 0, seed);
                assert_sent(&what, &long, &desk, &seen, &report);
                assert!(count(&seen, "<- PPR") > 0, "{what}");
                let blocks = count(&seen, "-> PPS-NULL");
                println!("{what}: sent, {blocks} inner blocks, {} PPR", count(&seen, "<- PPR"));

                let desk = Desk::new(Some(&long), way.peer(Options::default()));
                let (seen, report) = damaged(&what, ours(None, capabilities), &desk, per_mille, 0, seed);
                assert_received(&what, &long, &seen, &report);
                let blocks = count(&seen, "<- PPS-NULL");
                println!("{what}: received, {blocks} inner blocks, {} PPR", count(&seen, "-> PPR"));
            }
        }
    }
}

/// Frames hardly ever pass above 9600 bit/s, though training checks do: CTC, and the page is whole in the end.
#[test]
fn a_line_that_only_works_at_a_lower_rate() {
    let document = document(30, 2, 700);
    for (free, most) in [(12_000, 12_000), (9_600, 9_600), (4_800, 4_800)] {
        let what = format!("up to {free}");
        let desk = Desk::new(None, ECM_MMR.peer(Options::default()));
        let config = ours(Some(&document), t30::Capabilities::default());
        let (seen, report) = damaged(&what, config, &desk, 850, free, 5);
        assert_sent(&what, &document, &desk, &seen, &report);
        assert!(count(&seen, "-> CTC") > 0 && count(&seen, "<- CTR") > 0, "{what}");
        let rate = |seen: &Seen| seen.outcome.as_ref().and_then(|o| o.modulation).map(Modulation::bit_rate);
        assert!(rate(&seen).unwrap() <= most, "{what}: {:?}", rate(&seen));

        let desk = Desk::new(Some(&document), ECM_MMR.peer(Options::default()));
        let (seen, report) = damaged(&what, ours(None, ECM_MMR.ours()), &desk, 850, free, 5);
        assert_received(&what, &document, &seen, &report);
        assert!(count(&seen, "<- CTC") > 0 && count(&seen, "-> CTR") > 0, "{what}");
        assert!(rate(&seen).unwrap() <= most, "{what}: {:?}", rate(&seen));
    }
}

/// No frame ever passes: EOR at the lowest rate, and neither end claims the page.
#[test]
fn a_line_on_which_no_frame_passes() {
    let document = document(33, 1, 60);
    let desk = Desk::new(None, ECM_MMR.peer(Options::default()));
    // spandsp's T2 runs on while no frame is good, and ends the call in a block that takes longer.
    let slow = t30::Capabilities { min_rate: 4800, max_rate: 4800, ..ECM_MMR.ours() };
    let (seen, _) = damaged("none", ours(Some(&document), slow), &desk, 1000, 0, 1);
    let outcome = seen.ended("none");
    assert_eq!(outcome.failure.as_ref().map(|f| f.cause), Some(t30::Cause::EcmGaveUp), "{}", seen.tail());
    assert_eq!((outcome.pages_confirmed, outcome.page_uncertain), (0, None));
    assert!(count(&seen, "-> EOR-EOP") > 0 && count(&seen, "<- ERR") > 0, "{}", seen.tail());

    let desk = Desk::new(Some(&document), ECM_MMR.peer(Options::default()));
    let (seen, report) = damaged("none", ours(None, ECM_MMR.ours()), &desk, 1000, 0, 1);
    assert!(seen.ended("none").failure.is_some() && !report.succeeded(), "{}", seen.tail());
    assert!(seen.pages.iter().all(|page| !page.confirmed));
}

fn with_operator(config: Config, operator: t30::Operator) -> Config {
    Config { rules: t30::Rules { operator, ..config.rules }, ..config }
}

/// spandsp asks for our operator with PRI-MPS and PRI-EOP: nobody sits here, or somebody does who does not come.
#[test]
fn spandsp_asks_for_an_operator() {
    let document = document(40, 2, 200);
    for way in [ECM_MMR, MR] {
        for operator in [t30::Operator::Absent, t30::Operator::Present] {
            let what = format!("{way:?}, {operator:?}");
            let options = Options { asks_for_operator: true, ..way.peer(Options::default()) };
            let desk = Desk::new(Some(&document), options);
            let (seen, report) = call(&what, with_operator(ours(None, way.ours()), operator), &desk, CLEAN);
            assert_received(&what, &document, &seen, &report);
            assert!(count(&seen, "PRI-MPS") > 0 && count(&seen, "PRI-EOP") > 0, "{}", seen.tail());
            let positive = usize::from(operator == t30::Operator::Present);
            assert_eq!(count(&seen, "-> PIP"), positive, "{}", seen.tail());
        }
    }
}

/// We ask for spandsp's operator: PRI-MPS, PRI-EOM, PRI-EOP.
#[test]
fn we_ask_spandsp_for_an_operator() {
    let (first, second) = (document(42, 2, 200), document(44, 1, 200));
    for way in [ECM_MMR, MR] {
        for has_operator in [false, true] {
            let what = format!("{way:?}, {has_operator}");
            let config = Config {
                role: t30::Role::Calling,
                documents: vec![offered(&first), offered(&second)],
                ..ours(None, way.ours())
            };
            let desk = Desk::new(None, Options { has_operator, ..way.peer(Options::default()) });
            let (seen, report) = call(&what, with_operator(config, t30::Operator::Asks), &desk, CLEAN);
            let whole = bound(vec![document(42, 2, 200), document(44, 1, 200)]);
            assert_sent(&what, &whole, &desk, &seen, &report);
            for command in ["PRI-MPS", "PRI-EOM", "PRI-EOP"] {
                assert!(count(&seen, command) > 0, "{command}: {}", seen.tail());
            }
        }
    }
}

/// We answer spandsp's pages with PIP; it takes that for MCF. When it heeds operators its T3 runs, and ends a call that
/// is not over by then: the last page only is short enough.
#[test]
fn we_answer_spandsp_with_pip() {
    for way in [ECM_MMR, MR] {
        for (has_operator, pages) in [(false, 3), (true, 1)] {
            let document = document(46, pages, 200);
            let what = format!("{way:?}, {has_operator}");
            let desk = Desk::new(Some(&document), Options { has_operator, ..way.peer(Options::default()) });
            let config = with_operator(ours(None, way.ours()), t30::Operator::Asks);
            let (seen, report) = call(&what, config, &desk, CLEAN);
            assert_received(&what, &document, &seen, &report);
            assert_eq!(count(&seen, "-> PIP"), 1, "{}", seen.tail());
        }
    }
}

/// spandsp's DTC can say that it knows FNV, its DCS does not: FNV tells it what is wrong when it polls, DCN when it sends.
#[test]
fn spandsp_is_told_what_is_not_valid() {
    let document = document(50, 1, 200);
    let options =
        Options { addresses: true, sender_ident: "1".into(), sub_address: "7".into(), ..Options::default() };
    for (config, cause) in [
        (Config { password: Some("2".into()), ..ours(None, ECM_MMR.ours()) }, t30::Cause::WrongPassword),
        (
            Config { sub_addresses: vec!["8".into()], ..ours(None, ECM_MMR.ours()) },
            t30::Cause::UnknownAddress,
        ),
    ] {
        let desk = Desk::new(Some(&document), options.clone());
        let (seen, report) = call("SID, SUB", config, &desk, CLEAN);
        assert_eq!(seen.ended("SID, SUB").failure.as_ref().map(|f| f.cause), Some(cause), "{}", seen.tail());
        assert!(!report.succeeded() && seen.pages.is_empty(), "{}", seen.tail());
    }

    let mut config = Config { documents: vec![offered(&document)], ..ours(None, ECM_MMR.ours()) };
    config.documents[0].address = Some("5".into());
    for (password, cause) in
        [(Some("2".to_owned()), t30::Cause::WrongPassword), (None, t30::Cause::NothingToPoll)]
    {
        let options = Options {
            addresses: true,
            field_not_valid: true,
            password: "3".into(),
            selective_polling_address: "6".into(),
            ..Options::default()
        };
        let desk = Desk::new(None, options);
        let (seen, report) = call("PWD, SEP", Config { password, ..config.clone() }, &desk, CLEAN);
        assert_eq!(seen.ended("PWD, SEP").failure.as_ref().map(|f| f.cause), Some(cause), "{}", seen.tail());
        assert!(count(&seen, "-> FNV") > 0 && !report.succeeded(), "{}", seen.tail());
    }
}

/// Every resolution and width, both ways.
#[test]
fn pages_of_every_resolution() {
    use fax_base::page::{Resolution, Width};
    for (resolution, x, y) in [
        (Resolution::Inch300, 300.0, 300.0),
        (Resolution::R16, 408.0, 391.0),
        (Resolution::Superfine, 204.0, 391.0),
        (Resolution::Standard, 204.0, 98.0),
    ] {
        for width in Width::ALL {
            let document = Document {
                name: format!("{resolution} on {width:?}"),
                pages: vec![shaped(width.pels(resolution), 120, x, y)],
            };
            spandsp::t38::send(&document, ECM_MMR, CLEAN);
            spandsp::t38::receive(&document, ECM_MMR, CLEAN);
        }
    }
}

fn shaped(width: u32, rows: u32, x_per_inch: f32, y_per_inch: f32) -> tiff::Page {
    let (octets, mut random) = (width as usize / 8, Xorshift::new(u64::from(width)));
    let pels = (0..octets * rows as usize)
        .map(|i| if i / octets % 3 == 0 { 0xF0 } else { (random.below(4) * 0x3C) as u8 })
        .collect();
    tiff::Page { width, rows, x_per_inch, y_per_inch, pels }
}

/// Our assembly takes fifteen seconds for each page: RNR and RR, and spandsp waits.
#[test]
fn spandsp_waits_while_we_are_not_ready() {
    let document = document(60, 2, 200);
    let desk = Desk::new(Some(&document), ECM_MMR.peer(Options::default()));
    let mut peer = UdptlPeer::new(true, &desk.options, Protection::Redundancy(3)).unwrap();
    let config = t30::Config { capabilities: ECM_MMR.ours(), ..t30::Config::default() };
    let mut session = t30::Session::new(config);
    let agreed = t38::Config {
        version: 0,
        far_max_datagram: 400,
        error_correction: t38::ErrorCorrection::Redundancy,
        control_redundancy: 3,
        image_redundancy: 3,
        ..t38::Config::default()
    };
    let mut line = Endpoint::new(agreed, Instant::ZERO);
    let (mut page, mut pages, mut outcome, mut not_ready) = (Vec::new(), Vec::new(), None, 0);
    let mut verdict_at = None;
    session.handle(Instant::ZERO, t30::Input::Start);
    for tick in 0..60_000u64 {
        let now = Instant::from_millis(tick * 10);
        if verdict_at.is_some_and(|at| at <= now) {
            verdict_at = None;
            let verdict = t30::Verdict { rows: 200, bad_rows: 0, longest_bad_run: 0, cut: false };
            session.handle(now, t30::Input::Verdict(verdict));
        }
        if session.deadline().is_some_and(|at| at <= now) {
            session.handle(now, t30::Input::Timeout);
        }
        if line.deadline().is_some_and(|at| at <= now) {
            line.handle(now, t38::Input::Timeout);
        }
        peer.step(80);
        while let Some(datagram) = peer.take() {
            line.handle(now, t38::Input::Datagram(&datagram));
        }
        loop {
            match (session.poll(), line.poll()) {
                (None, None) => break,
                (said, heard) => {
                    match said {
                        Some(t30::Output::Transmit(transmit)) => {
                            line.handle(now, t38::Input::Transmit(transmit));
                        }
                        Some(t30::Output::StopTransmit) => line.handle(now, t38::Input::StopTransmit),
                        Some(t30::Output::PageStart { .. }) => page = Vec::new(),
                        Some(t30::Output::PageData(octets)) => page.extend_from_slice(&octets),
                        Some(t30::Output::PageEnd) => {
                            pages.push(core::mem::take(&mut page));
                            verdict_at = Some(now + Duration::from_secs(15));
                        }
                        Some(t30::Output::Event(t30::Event::FrameSent { name: "RNR", .. })) => not_ready += 1,
                        Some(t30::Output::End(end)) => outcome = Some(end),
                        Some(_) | None => {}
                    }
                    match heard {
                        Some(t38::Output::Datagram(datagram)) => peer.feed(&datagram).unwrap(),
                        Some(t38::Output::Heard(heard)) => session.handle(now, t30::Input::Heard(heard)),
                        Some(t38::Output::Sent) => session.handle(now, t30::Input::Sent),
                        None => {}
                    }
                }
            }
        }
        if outcome.is_some() && peer.code().is_some() {
            break;
        }
    }
    let (outcome, report) = (outcome.expect("an end"), peer.report());
    assert!(outcome.failure.is_none() && report.succeeded(), "{outcome:?} {report:?}");
    assert!(not_ready >= 4, "{not_ready}");
    assert_eq!((outcome.pages_received, report.pages_sent), (2, 2));
    for (sent, got) in document.pages.iter().zip(&pages) {
        let got = tiff::decode_t6(1728, sent.rows, got).unwrap();
        assert_eq!(sent.first_difference(&got), None);
    }
}

/// Frames of V.21 with a wrong FCS: both ends ask for them again with CRP. What spandsp answers to CRP is not always a
/// frame, nor does it always answer what comes after its own; so not every call succeeds, but none claims too much.
#[test]
fn control_frames_asked_for_again() {
    let document = document(80, 3, 150);
    let spoilt = |peer: &mut UdptlPeer, seed| {
        peer.mangle_sent = Some(spoil(120, seed, |channel| channel == Channel::Control));
        peer.mangle_received = Some(spoil(120, seed + 100, |channel| channel == Channel::Control));
    };
    let with_crp =
        |config: Config| Config { rules: t30::Rules { command_repeat: true, ..config.rules }, ..config };
    let (mut ours_asked, mut theirs_asked) = (0, 0);
    for seed in 0..8 {
        for way in [ECM_MMR, MR] {
            let what = format!("{way:?}, {seed}");
            let options = Options { command_repeat: true, ..way.peer(Options::default()) };
            let desk = Desk::new(None, options.clone());
            let config = with_crp(ours(Some(&document), way.ours()));
            let (seen, report) = call_with(&what, config, &desk, CLEAN, |peer| spoilt(peer, seed));
            let outcome = seen.ended(&what);
            assert!(report.pages_received as usize >= outcome.pages_confirmed, "{what}: {}", seen.tail());
            if outcome.failure.is_none() {
                let got = tiff::read(&desk.received()).unwrap();
                assert!(
                    document.pages.iter().zip(&got).all(|(a, b)| a.first_difference(b).is_none()),
                    "{what}"
                );
            }
            println!("{what}: sent {:?}", outcome.failure.as_ref().map(|f| f.cause));
            ours_asked += count(&seen, "-> CRP");
            theirs_asked += count(&seen, "<- CRP");

            let desk = Desk::new(Some(&document), options);
            let config = with_crp(ours(None, way.ours()));
            let (seen, report) = call_with(&what, config, &desk, CLEAN, |peer| spoilt(peer, seed));
            let outcome = seen.ended(&what);
            assert!(seen.pages.len() >= report.pages_sent as usize, "{what}: {}", seen.tail());
            println!("{what}: received {:?}", outcome.failure.as_ref().map(|f| f.cause));
            ours_asked += count(&seen, "-> CRP");
            theirs_asked += count(&seen, "<- CRP");
        }
    }
    println!("{ours_asked} CRP of ours, {theirs_asked} of spandsp's");
    assert!(ours_asked > 5, "{ours_asked}");
}

/// Where nothing is damaged, spandsp is content with one PPS a block.
#[test]
fn pages_of_many_small_blocks() {
    let document = document(70, 1, 2200);
    let way = Way { ecm: true, coding: Coding::Mh };
    let capabilities = t30::Capabilities { small_frames: true, ..way.ours() };
    let desk = Desk::new(None, way.peer(Options::default()));
    let (seen, report) = call("blocks", ours(Some(&document), capabilities), &desk, CLEAN);
    assert_sent("blocks", &document, &desk, &seen, &report);
    assert!(count(&seen, "-> PPS-NULL") >= 3, "{}", count(&seen, "-> PPS-NULL"));
}
