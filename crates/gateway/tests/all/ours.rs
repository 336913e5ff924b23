//! Our fax machine on both sides of the gateway, either calling.

#![allow(clippy::unwrap_used, clippy::panic)] // the exemption for tests does not reach the functions beside them

use crate::bench;

use bench::spandsp::{Document, ECM_MMR, ECM_MR, MH, MR, charts, three};
use bench::{Call, Plan, Sender, Who, call, gaps, preambles};
use core::time::Duration;
use fax_base::level::Dbm0;
use fax_base::line::Modulation;
use fax_gateway::{Event, Side};
use fax_t30::dis::Fif;
use fax_t38::ErrorCorrection;
use spandsp_peer::pages;

const SENDERS: [Sender; 2] = [Sender::OnT38, Sender::OnAudio];

fn letter() -> Document {
    Document { name: "letter".to_owned(), pages: vec![pages::generated(1, 600)] }
}

fn ours(sender: Sender, way: bench::spandsp::Way) -> Plan {
    Plan::new(Who::Ours, Who::Ours, sender, way)
}

/// T.30 wants 75 ± 20 ms between two signals of one end. Where `late`, that end speaks so late of its next
/// signal, for the sake of gateways that send on whole frames only, that the pause before it is longer.
fn assert_gaps(call: &Call, late: bool) {
    let gaps = gaps(&call.audio);
    let longest = if late { 4_800 } else { 760 };
    let out_of_order: Vec<_> = gaps.iter().filter(|gap| !(440..=longest).contains(*gap)).collect();
    assert!(out_of_order.is_empty(), "{}: {out_of_order:?}\n{}", call.what, call.ladder());
}

/// And a second of flags, ± 15 %, before its frames: a flag of V.21 lasts 26.7 ms. The receiver misses the first two.
fn assert_preambles(call: &Call) {
    let preambles = preambles(&call.audio);
    assert!(
        !preambles.is_empty() && preambles.iter().all(|n| (30..=43).contains(n)),
        "{}: {preambles:?}",
        call.what
    );
}

#[test]
fn a_page_in_every_direction() {
    for sender in SENDERS {
        for way in [ECM_MMR, ECM_MR, MR, MH] {
            for version in [0, 3] {
                let mut plan = ours(sender, way);
                plan.gateway.t38.version = version;
                let call = call("ours", &letter(), &plan);
                call.assert_delivered(&letter());
                call.assert_smooth();
                assert_gaps(&call, false);
            }
        }
    }
}

#[test]
fn every_chart() {
    for chart in charts() {
        for sender in SENDERS {
            for way in [ECM_MMR, MR] {
                let call = call("ours", &chart, &ours(sender, way));
                call.assert_delivered(&chart);
                call.assert_smooth();
                assert_gaps(&call, false);
                assert_preambles(&call);
            }
        }
    }
}

#[test]
fn several_pages() {
    let document = three();
    for sender in SENDERS {
        for way in [ECM_MMR, MH] {
            let call = call("ours", &document, &ours(sender, way));
            call.assert_delivered(&document);
            call.assert_smooth();
            assert_gaps(&call, false);
        }
    }
}

#[test]
fn every_modulation() {
    for modulation in Modulation::ALL {
        for sender in SENDERS {
            for way in [ECM_MMR, MR] {
                let mut plan = ours(sender, way);
                plan.modulations = vec![modulation];
                let call = call("ours", &letter(), &plan);
                call.assert_delivered(&letter());
                call.assert_smooth();
                assert_eq!(call.receiver.modulation, Some(modulation), "{}", call.what);
                assert_gaps(&call, way.ecm && sender == Sender::OnT38 && modulation.bit_rate() <= 4_800);
            }
        }
    }
}

#[test]
fn a_network_that_shuffles_and_loses() {
    let document = Document { name: "letter".to_owned(), pages: vec![pages::generated(2, 1_100)] };
    for seed in 1..=4 {
        for sender in SENDERS {
            for loss in [0.0, 0.01, 0.03] {
                let mut plan = ours(sender, ECM_MMR);
                plan.seed = seed;
                plan.network.jitter = Duration::from_millis(60);
                plan.network.loss = loss;
                plan.network.duplicates = 0.02;
                plan.network.reorder = 0.02;
                let call = call("ours", &document, &plan);
                println!("{} {:?} {:?} {:?}", call.what, call.took, call.statistics, call.sender.resends);
                call.assert_delivered(&document);
                if loss == 0.0 {
                    call.assert_smooth();
                }
            }
        }
    }
}

/// A hybrid throws the gateway's signals back at it, 12 dB down and so late that they fall into every pause.
#[test]
fn its_own_echo_is_not_listened_to() {
    for sender in SENDERS {
        for delay in [2, 5] {
            let mut plan = ours(sender, ECM_MMR);
            plan.line.echo = Some((delay, 0.25));
            let call = call("ours", &letter(), &plan);
            call.assert_delivered(&letter());
            call.assert_smooth();
            let frames = |from: Side| {
                let frame = move |event: &Event| match event {
                    Event::Frame { side, octets, .. } if *side == from => Some(octets.clone()),
                    _ => None,
                };
                call.events.iter().filter_map(move |(_, event)| frame(event))
            };
            assert!(frames(Side::Audio).count() > 3);
            assert!(
                frames(Side::Audio).all(|heard| frames(Side::T38).all(|sent| sent != heard)),
                "{}",
                call.ladder()
            );
        }
    }
}

#[test]
fn far_away() {
    for sender in SENDERS {
        for way in [ECM_MMR, MR] {
            let mut plan = ours(sender, way);
            plan.network.latency = Duration::from_millis(350);
            let call = call("ours", &letter(), &plan);
            call.assert_delivered(&letter());
            call.assert_smooth();
        }
    }
}

/// What audio loses is mended by ECM, or by the receivers of the gateway itself.
#[test]
fn audio_with_losses() {
    for seed in 1..=3 {
        for sender in SENDERS {
            let mut plan = ours(sender, ECM_MMR);
            plan.seed = seed;
            plan.line.loss = 0.01;
            let call = call("ours", &letter(), &plan);
            call.assert_delivered(&letter());
        }
    }
}

/// Without ECM nothing is repaired: what redundancy brings back must be enough.
#[test]
fn redundancy_is_enough_without_ecm() {
    for seed in 1..=4 {
        for sender in SENDERS {
            let mut plan = ours(sender, MR);
            plan.seed = seed;
            plan.network.jitter = Duration::from_millis(60);
            plan.network.loss = 0.02;
            plan.network.longest_burst = 2;
            let call = call("ours", &letter(), &plan);
            call.assert_delivered(&letter());
            call.assert_smooth();
        }
    }
}

#[test]
fn parity_or_nothing() {
    for correction in [ErrorCorrection::Fec, ErrorCorrection::None] {
        for sender in SENDERS {
            let mut plan = ours(sender, ECM_MMR);
            plan.gateway.t38.error_correction = correction;
            plan.network.loss = 0.01;
            plan.network.longest_burst = 1;
            let call = call("ours", &letter(), &plan);
            call.assert_delivered(&letter());
        }
    }
}

/// A line on which the fast rates cannot be trained: the ends fall back through the gateway.
#[test]
fn a_noisy_line_falls_back() {
    for sender in SENDERS {
        let mut plan = ours(sender, ECM_MMR);
        plan.line.noise = Some(Dbm0(-30.0));
        let call = call("ours", &letter(), &plan);
        call.assert_delivered(&letter());
        let modulation = call.receiver.modulation.unwrap();
        println!("{} {modulation}", call.what);
        assert!(modulation.bit_rate() < 14_400, "{}", call.ladder());
        let failed = |event: &(_, Event)| matches!(event.1, Event::Frame { name: "FTT", .. });
        assert!(call.events.iter().any(failed), "{}", call.ladder());
    }
}

/// The line turns round: DTC, and the called end sends.
#[test]
fn polling() {
    for sender in SENDERS {
        for way in [ECM_MMR, MR] {
            let mut plan = ours(sender, way);
            plan.polled = true;
            let call = call("ours", &letter(), &plan);
            call.assert_delivered(&letter());
            call.assert_smooth();
            assert_gaps(&call, false);
        }
    }
}

/// What DIS says on the far side of a gateway that takes something out is what the sender goes by.
#[test]
fn what_is_not_wanted_is_not_offered() {
    for sender in SENDERS {
        let mut plan = ours(sender, ECM_MMR);
        plan.gateway.ecm = false;
        plan.gateway.max_rate = 9_600;
        let call = call("ours", &letter(), &plan);
        call.assert_delivered(&letter());
        call.assert_smooth();
        assert_eq!(call.receiver.modulation, Some(Modulation::V29At9600), "{}", call.ladder());
        let edited = |event: &(_, Event)| matches!(event.1, Event::Frame { name: "DIS", edited: true, .. });
        assert!(call.events.iter().any(edited), "{}", call.ladder());
        let with_ecm = |event: &(_, Event)| match &event.1 {
            Event::Frame { name, octets, .. } => *name == "DCS" && Fif::parse(&octets[3..]).bit(27),
            _ => false,
        };
        assert!(!call.events.iter().any(with_ecm), "{}", call.ladder());
    }
}
