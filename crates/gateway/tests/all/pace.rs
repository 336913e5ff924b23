//! Senders that do not keep the modem's pace: clocks that differ from ours, and whole pages at once.

#![allow(clippy::unwrap_used, clippy::panic)] // the exemption for tests does not reach the functions beside them

use crate::bench;

use bench::spandsp::{Document, ECM_MMR, MH};
use bench::{Plan, Sender, Who, call};
use bytes::Bytes;
use core::time::Duration;
use fax_base::Instant;
use fax_base::line::{Framing, Heard, Listen, Modulation, Training};
use fax_dsp::Listening;
use fax_dsp::listening::Told;
use fax_gateway::{Config, Gateway, Input, Statistics};
use fax_t38::Port;
use fax_t38::ifp::{DataType, Field, FieldType, Ifp, Indicator, Syntax};
use fax_t38::port::Outgoing;
use spandsp_peer::pages;

/// Ten minutes without a pause: what one clock is ahead of the other adds up to 120 ms.
#[test]
fn clocks_may_differ_for_ten_minutes() {
    for (way, rows) in [(MH, 4_600), (ECM_MMR, 8_200)] {
        for sender in [Sender::OnT38, Sender::OnAudio] {
            for ppm in [-200, 200] {
                let document = Document { name: "long".to_owned(), pages: vec![pages::generated(7, rows)] };
                let mut plan = Plan::new(Who::Ours, Who::Ours, sender, way);
                plan.modulations = vec![Modulation::V27ter2400];
                plan.skew_ppm = ppm;
                let call = call("skew", &document, &plan);
                println!("{} {:?} {:?}", call.what, call.took, call.statistics);
                call.assert_delivered(&document);
                call.assert_smooth();
                assert!(call.took > Duration::from_secs(590), "{:?}", call.took);
            }
        }
    }
}

/// Signals of a fast modem in which all of `octets` come within 100 ms; what is heard of them in audio, when the last of
/// it, and the gateway's counters.
fn at_once(octets: &[u8]) -> (Vec<u8>, Duration, Statistics) {
    let modulation = Modulation::V29At9600;
    let mut gateway = Gateway::new(Config::default(), Instant::ZERO);
    let mut port = Port::new(fax_t38::Config::default(), Instant::ZERO);
    let mut listening = Listening::new([]);
    listening.expect(Listen::Image { modulation, training: Training::Long, framing: Framing::Raw });
    let send = |port: &mut Port, gateway: &mut Gateway, now, ifp: &Ifp<'_>, key| {
        let ifp = Bytes::from(ifp.to_octets(Syntax::of_version(0)).unwrap());
        port.send(now, Outgoing { ifp, image: true, key });
        while let Some(datagram) = port.poll() {
            gateway.handle(now, Input::Datagram(&datagram));
        }
    };
    let training = Ifp::Indicator(Indicator::of_training(modulation, Training::Long));
    send(&mut port, &mut gateway, Instant::ZERO, &training, true);
    let data_type = DataType::of_modulation(modulation);
    let now = Instant::from_millis(100);
    for chunk in octets.chunks(150) {
        let fields = vec![Field::new(FieldType::T4NonEcmData, chunk)];
        send(&mut port, &mut gateway, now, &Ifp::Data { data_type, fields }, false);
    }
    let fields = vec![Field::bare(FieldType::T4NonEcmSigEnd)];
    send(&mut port, &mut gateway, now, &Ifp::Data { data_type, fields }, true);
    send(&mut port, &mut gateway, now, &Ifp::Indicator(Indicator::NoSignal), true);
    let (mut told, mut heard, mut last) = (Vec::new(), Vec::new(), Duration::ZERO);
    for block in 1..90_000u64 {
        let now = Instant::from_millis(block * 20);
        while let Some(at) = gateway.deadline().filter(|at| *at <= now) {
            gateway.handle(at.max(now), Input::Timeout);
        }
        while gateway.poll().is_some() {}
        let mut samples = [0; 160];
        gateway.transmit_audio(now, &mut samples);
        listening.receive(&samples, &mut told);
        for told in told.drain(..) {
            match told {
                Told::Heard(Heard::Bits { octets, .. }) => {
                    heard.extend_from_slice(&octets);
                    last = now.since(Instant::ZERO);
                }
                Told::Heard(Heard::CarrierDown(_)) => return (heard, last, gateway.statistics()),
                Told::Heard(_) | Told::Repaired { .. } | Told::Signal(_) | Told::Piece { .. } => {}
            }
        }
    }
    panic!("the signal has no end");
}

/// Where `part` is in `whole`, whatever the octets' borders are.
fn is_within(part: &[u8], whole: &[u8]) -> bool {
    let bits = |octets: &[u8]| -> Vec<bool> {
        octets.iter().flat_map(|o| (0..8).map(move |i| o << i & 0x80 != 0)).collect()
    };
    let (part, whole) = (bits(part), bits(whole));
    let (begin, end) = part.split_at(64);
    let found = (0..200.min(whole.len())).find(|at| whole.get(*at..*at + 64) == Some(begin));
    found.is_some_and(|at| whole.get(at + 64..at + 64 + end.len()) == Some(end))
}

#[test]
fn a_page_that_comes_at_once_leaves_at_the_pace_of_the_modem() {
    let page: Vec<u8> = (0..60_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let (heard, last, statistics) = at_once(&page);
    assert!(is_within(&page, &heard), "{} octets of {}", heard.len(), page.len());
    assert_eq!((statistics.frames_aborted, statistics.fill_bits), (0, 0));
    // 50 s of V.29, and no less.
    assert!((50.0..53.0).contains(&last.as_secs_f64()), "{last:?}");
}

#[test]
fn what_nobody_could_ever_send_is_not_kept() {
    // A quarter of an hour at 9600 bit/s is kept, and no more of one signal; the rest of it is as if lost.
    let (heard, last, _) = at_once(&vec![0x5A; 3 << 20]);
    assert!((1_000_000..1_100_000).contains(&heard.len()), "{}", heard.len());
    assert!(last < Duration::from_secs(900), "{last:?}");
}
