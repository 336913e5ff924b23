//! What a gateway costs: processor time a minute of a call, in the profile of the tests.

#![allow(clippy::unwrap_used, clippy::panic)] // the exemption for tests does not reach the functions beside them

use crate::bench;

use bench::spandsp::{Document, ECM_MMR};
use bench::{Plan, Sender, Who, call};
use spandsp_peer::pages;
use std::time::Duration;

#[test]
fn a_minute_of_a_call() {
    let document = Document { name: "page".to_owned(), pages: vec![pages::generated(1, 2_200)] };
    for (sender, side) in [(Sender::OnT38, "to audio"), (Sender::OnAudio, "from audio")] {
        let call = call("cost", &document, &Plan::new(Who::Ours, Who::Ours, sender, ECM_MMR));
        call.assert_delivered(&document);
        let minute = call.gateway_cost.as_secs_f64() * 60.0 / call.took.as_secs_f64();
        println!("{side}: {:.1} ms of processor a minute, {:.2} % of a core", minute * 1e3, minute / 0.6);
        // Ten times what it is on the slowest machine that was measured.
        assert!(call.gateway_cost < call.took / 4, "{:?} of {:?}", call.gateway_cost, call.took);
        assert!(call.took > Duration::from_secs(10));
    }
}
