//! spandsp's fax machine at either end of the gateway: its modems on the audio side, its T.38 terminal on the other.

#![allow(clippy::unwrap_used, clippy::panic)] // the exemption for tests does not reach the functions beside them

use crate::bench;

use bench::spandsp::{Document, ECM_MMR, ECM_MR, MH, MR, Way, charts};
use bench::{Call, Plan, Sender, Who, call};
use core::time::Duration;
use fax_base::line::Modulation;
use spandsp_peer::{Streaming, pages};

const SENDERS: [Sender; 2] = [Sender::OnT38, Sender::OnAudio];
/// Who is on the audio side and who on the T.38 side.
const ENDS: [(Who, Who); 3] =
    [(Who::Spandsp, Who::Ours), (Who::Ours, Who::Spandsp), (Who::Spandsp, Who::Spandsp)];

fn letter() -> Document {
    Document { name: "letter".to_owned(), pages: vec![pages::generated(1, 600)] }
}

fn delivered(document: &Document, plan: &Plan) -> Call {
    let call = call("spandsp", document, plan);
    call.assert_delivered(document);
    call.assert_smooth();
    call
}

fn every_chart(sender: Sender, way: Way) {
    for chart in charts() {
        for (audio, t38) in ENDS {
            delivered(&chart, &Plan::new(audio, t38, sender, way));
        }
    }
}

#[test]
fn every_chart_from_t38_with_ecm() {
    every_chart(Sender::OnT38, ECM_MMR);
}

#[test]
fn every_chart_from_t38_without_ecm() {
    every_chart(Sender::OnT38, MR);
}

#[test]
fn every_chart_from_audio_with_ecm() {
    every_chart(Sender::OnAudio, ECM_MMR);
}

#[test]
fn every_chart_from_audio_without_ecm() {
    every_chart(Sender::OnAudio, MR);
}

#[test]
fn every_coding() {
    for way in [ECM_MR, MH] {
        for sender in SENDERS {
            for (audio, t38) in ENDS {
                for version in [0, 3] {
                    let mut plan = Plan::new(audio, t38, sender, way);
                    plan.gateway.t38.version = version;
                    delivered(&letter(), &plan);
                }
            }
        }
    }
}

/// A terminal that tells its state again and again. (One that does not keep the time of modems cannot be helped: it
/// waits for its answers from when it has said all, and is told by bit 123 of DIS that nobody can do without.)
#[test]
fn repeated_indicators() {
    for streaming in [Streaming::RepeatedIndicators, Streaming::RepeatedIndicators2s] {
        for (audio, way) in [(Who::Spandsp, ECM_MMR), (Who::Ours, ECM_MMR), (Who::Ours, MR)] {
            for sender in SENDERS {
                let mut plan = Plan::new(audio, Who::Spandsp, sender, way);
                plan.streaming = streaming;
                delivered(&letter(), &plan);
            }
        }
    }
}

/// Where one end is ours every modulation and rate; between two of spandsp the fastest of every family.
#[test]
fn every_modulation() {
    for modulation in Modulation::ALL {
        for sender in SENDERS {
            for (audio, t38) in &ENDS[..2] {
                for way in [ECM_MMR, MR] {
                    let mut plan = Plan::new(*audio, *t38, sender, way);
                    plan.modulations = vec![modulation];
                    let call = delivered(&letter(), &plan);
                    let taken = call.sender.modulation.or(call.receiver.modulation);
                    assert_eq!(taken, Some(modulation), "{}", call.what);
                }
            }
        }
    }
}

#[test]
fn talker_echo_protection() {
    for (audio, t38) in ENDS {
        for way in [ECM_MMR, MR] {
            let mut plan = Plan::new(audio, t38, Sender::OnT38, way);
            plan.gateway.talker_echo_protection = true;
            delivered(&letter(), &plan);
        }
    }
}

#[test]
fn a_network_that_shuffles_and_loses() {
    for seed in 1..=3 {
        for sender in SENDERS {
            for (audio, t38) in ENDS {
                let mut plan = Plan::new(audio, t38, sender, ECM_MMR);
                plan.seed = seed;
                plan.network.jitter = Duration::from_millis(60);
                plan.network.loss = 0.02;
                plan.network.longest_burst = 2;
                plan.network.duplicates = 0.02;
                plan.network.reorder = 0.02;
                let call = call("spandsp", &letter(), &plan);
                println!("{} {:?} {:?} {:?}", call.what, call.took, call.statistics, call.sender.resends);
                call.assert_delivered(&letter());
            }
        }
    }
}
