//! Our terminal against spandsp's T.38 terminal over bad networks: loss, delay, datagrams that overtake
//! each other, small datagrams (T.38 §9.1).

#![allow(clippy::unwrap_used, clippy::panic)] // the exemption for tests does not reach the functions beside them

use crate::spandsp;

use fax_t30 as t30;
use spandsp::t38::call;
use spandsp::t38::{CLEAN, Path, receive, send};
use spandsp::{Desk, ECM_MMR, MH, MR, Way, ours, three};
use spandsp_peer::Options;
use spandsp_peer::tiff;
use spandsp_peer::udptl::Protection;

/// Loss in both directions with three earlier packets in each datagram; spandsp against itself keeps
/// every page at this.
fn lossy(loss_per_mille: usize, version: u8, way: Way) {
    let document = three();
    for seed in 1..=4 {
        let path = Path { version, loss_per_mille, delay_ms: 40, seed, ..CLEAN };
        send(&document, way, path);
        receive(&document, way, path);
    }
}

#[test]
fn ecm_with_1_percent_of_packets_lost() {
    lossy(10, 0, ECM_MMR);
}

#[test]
fn ecm_with_5_percent_of_packets_lost() {
    lossy(200, 3, ECM_MMR);
}

#[test]
fn no_ecm_with_1_percent_of_packets_lost() {
    lossy(10, 3, MR);
}

#[test]
fn no_ecm_with_5_percent_of_packets_lost() {
    lossy(200, 0, MR);
}

#[test]
fn packets_that_overtake_each_other_or_come_twice() {
    let document = three();
    let path = Path { jitter_ms: 60, doubled_per_mille: 50, delay_ms: 100, ..CLEAN };
    for way in [ECM_MMR, MR] {
        send(&document, way, path);
        receive(&document, way, path);
    }
}

#[test]
fn parity_instead_of_redundancy() {
    let document = three();
    let path = Path { protection: Protection::Fec { span: 3, entries: 3 }, loss_per_mille: 10, ..CLEAN };
    send(&document, ECM_MMR, path);
    receive(&document, ECM_MMR, path);
}

#[test]
fn small_datagrams() {
    let document = three();
    for max_datagram in [80, 120, 200] {
        let path = Path { max_datagram, ..CLEAN };
        send(&document, ECM_MMR, path);
        send(&document, MH, path);
    }
}

#[test]
fn half_a_second_of_delay_each_way() {
    let document = three();
    let path = Path { delay_ms: 500, ..CLEAN };
    for way in [ECM_MMR, MR] {
        send(&document, way, path);
        receive(&document, way, path);
    }
}

/// Whatever is lost, ECM delivers whole pages or a clear failure, in bounded time. How many of
/// `calls` documents in each direction arrived whole.
fn truth(loss_per_mille: usize, redundancy: usize, calls: u64) -> [usize; 2] {
    let document = three();
    let mut whole = [0, 0];
    for seed in 1..=calls {
        let path = Path {
            loss_per_mille,
            most_in_a_row: usize::MAX,
            protection: Protection::Redundancy(redundancy),
            seed,
            ..CLEAN
        };
        let what = format!("sending with {loss_per_mille} ‰ lost, seed {seed}");
        let desk = Desk::new(None, Options::default());
        let config = ours(Some(&document), t30::Capabilities::default());
        let (seen, _) = call(&what, config, &desk, path);
        let outcome = seen.ended(&what);
        let got = tiff::read(&desk.received()).unwrap_or_default();
        assert!(got.len() >= outcome.pages_confirmed, "{what}: {} pages", got.len());
        for (sent, got) in document.pages.iter().zip(&got).take(outcome.pages_confirmed) {
            assert_eq!(sent.first_difference(got), None, "{what}");
        }
        let all = outcome.pages_confirmed == document.pages.len();
        assert!(all || outcome.failure.is_some(), "{what}: {outcome:?}");
        whole[0] += usize::from(all);

        let what = format!("receiving with {loss_per_mille} ‰ lost, seed {seed}");
        let desk = Desk::new(Some(&document), Options::default());
        let (seen, report) = call(&what, ours(None, t30::Capabilities::default()), &desk, path);
        let outcome = seen.ended(&what);
        assert!(outcome.pages_received >= report.pages_sent as usize, "{what}");
        assert_eq!(outcome.pages_received, seen.pages.len(), "{what}");
        let mut confirmed = 0;
        for (sent, got) in document.pages.iter().zip(&seen.pages).filter(|(_, got)| got.confirmed) {
            confirmed += 1;
            let page = tiff::decode_t6(got.format.pels(), got.rows, &got.t6).unwrap();
            assert_eq!(sent.first_difference(&page), None, "{what}");
        }
        let all = confirmed == document.pages.len();
        assert!(all || outcome.failure.is_some(), "{what}: {outcome:?}");
        whole[1] += usize::from(all);
    }
    println!("{loss_per_mille} ‰ lost, redundancy {redundancy}: whole {whole:?} of {calls}");
    whole
}

#[test]
fn ecm_without_redundancy() {
    assert!(truth(2, 0, 10).into_iter().all(|whole| whole >= 6));
    truth(20, 0, 5);
}

#[test]
fn ecm_with_loss_beyond_redundancy() {
    assert!(truth(50, 3, 5).into_iter().all(|whole| whole >= 4));
    truth(200, 3, 5);
    truth(300, 1, 5);
}

#[test]
fn a_network_that_is_not_there() {
    assert_eq!(truth(1000, 3, 1), [0, 0]);
}

/// A packet of 30 ms at 14400 bit/s is 54 octets; the shortest row of MR is EOL, tag bit and V(0), 14 bits.
/// So many rows are in it or are believed to be, and two more whose one end is.
const MOST_ROWS_IN_PACKET: u32 = 54 * 8 / (12 + 1 + 1) + 1 + 2;
/// Two-dimensional rows behind it that have nothing to refer to (T.4 §4.2.2: K is at most 4).
const MOST_ROWS_BEHIND: u32 = 3;

/// Without ECM and without redundancy rows are lost: a page is refused and sent again, or kept with
/// the rows that are bad counted, and the call comes to its end.
#[test]
fn no_ecm_without_redundancy() {
    let document = three();
    for loss_per_mille in [1, 5, 20] {
        for seed in 1..=4 {
            let path = Path {
                loss_per_mille,
                most_in_a_row: usize::MAX,
                protection: Protection::Redundancy(0),
                seed,
                ..CLEAN
            };
            let what = format!("sending with {loss_per_mille} ‰ lost, seed {seed}");
            let desk = Desk::new(None, MR.peer(Options::default()));
            let config = ours(Some(&document), t30::Capabilities::default());
            let (seen, report) = call(&what, config, &desk, path);
            let outcome = seen.ended(&what);
            let got = tiff::read(&desk.received()).unwrap_or_default();
            assert!(got.len() >= outcome.pages_confirmed, "{what}");
            assert_eq!(outcome.pages_confirmed, report.pages_received as usize, "{what}");
            assert!(outcome.failure.is_none() || loss_per_mille > 5, "{what}: {outcome:?}");

            let what = format!("receiving with {loss_per_mille} ‰ lost, seed {seed}");
            let desk = Desk::new(Some(&document), Options::default());
            let (seen, report) = call(&what, ours(None, MR.ours()), &desk, path);
            let outcome = seen.ended(&what);
            assert!(outcome.pages_received >= report.pages_sent as usize, "{what}");
            assert!(outcome.failure.is_none() || loss_per_mille > 5, "{what}: {outcome:?}");
            let (mut bad, mut astray) = (0, 0);
            for (sent, got) in document.pages.iter().zip(&seen.pages) {
                bad += got.bad_rows;
                astray += got.rows.abs_diff(sent.rows);
                let told = got.bad_rows > 0 || got.rows == sent.rows;
                assert!(told, "{what}: {} rows, {} bad", got.rows, got.bad_rows);
            }
            let lost = u32::try_from(seen.lost).unwrap();
            println!("{what}: {lost} packets, {bad} rows bad, {astray} too many or too few");
            assert!(astray <= lost * MOST_ROWS_IN_PACKET, "{what}");
            assert!(bad <= lost * (MOST_ROWS_IN_PACKET + MOST_ROWS_BEHIND), "{what}");
        }
    }
}
