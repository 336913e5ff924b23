//! The worked packets, recovery by redundancy and FEC, and the faults of numbering.

use super::*;
use crate::api::ErrorCorrection;
use bytes::Bytes;
use fax_base::Instant;
use proptest::prelude::*;

fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|o| u8::from_str_radix(o, 16).unwrap()).collect()
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn ifp(text: &str) -> Delivery {
    Delivery::Ifp { octets: Bytes::from(hex(text)), padded: false }
}

fn drain(r: &mut Receiver) -> Vec<Delivery> {
    core::iter::from_fn(|| r.poll()).collect()
}

/// The packets that carry IFPs of `count` octets, made from their numbers.
fn packets(correction: ErrorCorrection, depth: u8, count: u16) -> Vec<(Bytes, Bytes)> {
    let mut s = Sender::new(1400, correction);
    (0..count)
        .map(|n| {
            let [hi, lo] = n.to_be_bytes();
            let body = vec![0xC0, 0x01, 0x80, 0x00, 0x02, hi, lo, 0xAA];
            let ifp = Bytes::from(body);
            (ifp.clone(), s.packet(at(u64::from(n) * 30), ifp, depth))
        })
        .collect()
}

#[test]
fn worked_redundancy() {
    let ifps = ["06", "c0 01 80 00 06 ff c8 01 00 ce f8 44", "c0 01 40", "00"];
    let want = [
        "00 00 01 06 00 00",
        "00 01 0c c0 01 80 00 06 ff c8 01 00 ce f8 44 00 01 01 06",
        "00 02 03 c0 01 40 00 02 0c c0 01 80 00 06 ff c8 01 00 ce f8 44 01 06",
        "00 03 01 00 00 03 03 c0 01 40 0c c0 01 80 00 06 ff c8 01 00 ce f8 44 01 06",
    ];
    let mut s = Sender::new(400, ErrorCorrection::Redundancy);
    for (o, want) in ifps.iter().zip(want) {
        assert_eq!(s.packet(at(0), Bytes::from(hex(o)), 3), hex(want));
        let packet = hex(want);
        let decoded = Packet::decode(&packet).unwrap();
        assert_eq!(decoded.primary, hex(o));
        assert!(decoded.sound);
    }
    let last = hex(want[3]);
    let Recovery::Secondaries(items) = Packet::decode(&last).unwrap().recovery else { panic!() };
    assert_eq!(items, [hex(ifps[2]), hex(ifps[1]), hex(ifps[0])]);
    // Only the last one arrives: all come out.
    let mut r = Receiver::new(0);
    r.receive(at(0), &last).unwrap();
    assert_eq!(drain(&mut r), ifps.map(ifp));
}

#[test]
fn worked_fec() {
    let ifps = ["00", "04", "06", "c0 01 80 00 03 ff c8 01 00", "c0 01 80 00 02 ce f8 44", "c0 01 40", "00"];
    let want = [
        "00 00 01 00 00 00",
        "00 01 01 04 00 01 01 00",
        "00 02 01 06 00 02 01 04 01 00",
        "00 03 09 c0 01 80 00 03 ff c8 01 00 80 01 03 01 01 02",
        "00 04 08 c0 01 80 00 02 ce f8 44 80 01 03 01 09 c2 01 80 00 03 ff c8 01 00",
        "00 05 03 c0 01 40 80 01 03 01 09 06 00 00 00 01 31 30 45 00",
        "00 06 01 00 80 01 03 01 09 c0 01 40 00 01 31 30 45 00",
    ];
    let mut s = Sender::new(400, ErrorCorrection::Fec);
    for (i, (o, want)) in ifps.iter().zip(want).enumerate() {
        let depth = if i < 3 { 3 } else { 1 };
        assert_eq!(s.packet(at(0), Bytes::from(hex(o)), depth), hex(want), "{i}");
    }
    // Any one of them may be lost.
    for lost in 0..6 {
        let mut r = Receiver::new(0);
        for (i, want) in want.iter().enumerate() {
            if i != lost {
                r.receive(at(0), &hex(want)).unwrap();
            }
        }
        let got = drain(&mut r);
        assert_eq!(got.len(), ifps.len(), "{lost}");
        for (got, want) in got.iter().zip(ifps) {
            let Delivery::Ifp { octets, padded } = got else { panic!("{got:?}") };
            let want = hex(want);
            assert_eq!(octets[..want.len()], want, "{lost}");
            assert!(octets[want.len()..].iter().all(|o| *padded && *o == 0), "{lost}");
        }
        assert_eq!(r.counters().lost, 0);
        assert_eq!(r.counters().recovered, 1);
    }
}

#[test]
fn worked_interleaved_fec() {
    let ifps = ["00", "04", "06", "c0 01 80 00 03 ff c8 01 00", "c0 01 80 00 02 ce f8 44", "c0 01 40", "00"];
    let want = hex("00 06 01 00 80 01 03 02 08 c6 01 80 00 02 ce f8 44 09 04 00 c0 00 03 ff c8 01 00");
    let mut s = Sender::new(400, ErrorCorrection::Fec);
    let all: Vec<Bytes> = ifps.iter().map(|o| s.packet(at(0), Bytes::from(hex(o)), 2)).collect();
    assert_eq!(all[6], want);
    let mut r = Receiver::new(0);
    for i in [0, 1, 2, 3, 6] {
        r.receive(at(0), &all[i]).unwrap();
    }
    let got = drain(&mut r);
    assert_eq!(got.len(), 7);
    let Delivery::Ifp { octets, padded: true } = &got[4] else { panic!() };
    assert_eq!(octets[..8], hex(ifps[4]));
    assert_eq!(r.counters().recovered, 2);
}

/// With three secondaries any three packets in a row may be lost.
#[test]
fn redundancy_recovers_bursts() {
    let all = packets(ErrorCorrection::Redundancy, 3, 40);
    for start in 1..36 {
        for burst in 1..=4 {
            let mut r = Receiver::new(0);
            for (i, (_, packet)) in all.iter().enumerate() {
                if !(start..start + burst).contains(&i) {
                    r.receive(at(i as u64 * 30), packet).unwrap();
                    r.timeout(at(i as u64 * 30));
                }
            }
            r.timeout(at(5000));
            let got = drain(&mut r);
            if burst <= 3 {
                let want: Vec<Delivery> =
                    all.iter().map(|(o, _)| Delivery::Ifp { octets: o.clone(), padded: false }).collect();
                assert_eq!(got, want);
                assert_eq!(r.counters().recovered, burst as u64);
            } else {
                assert_eq!(got[start], Delivery::Missing(1));
                assert_eq!(r.counters().lost, 1);
            }
        }
    }
}

/// The packet behind a burst is overtaken by the next one, which knows it but not all of the burst.
#[test]
fn an_overtaken_packet_still_recovers() {
    let all = packets(ErrorCorrection::Redundancy, 3, 10);
    let mut r = Receiver::new(0);
    for i in [0, 1, 6, 5, 7] {
        r.receive(at(0), &all[i].1).unwrap();
    }
    assert_eq!(drain(&mut r).len(), 8);
    assert_eq!(r.counters().recovered, 4);
}

#[test]
fn fec_recovers_bursts_as_deep_as_its_interleaving() {
    for depth in 1..=5u8 {
        let all = packets(ErrorCorrection::Fec, depth, 60);
        let burst = usize::from(depth);
        for start in 20..50 {
            let mut r = Receiver::new(0);
            for (i, (_, packet)) in all.iter().enumerate() {
                if !(start..start + burst).contains(&i) {
                    r.receive(at(i as u64 * 30), packet).unwrap();
                }
            }
            assert_eq!(drain(&mut r).len(), 60, "{depth} {start}");
            assert_eq!(r.counters().recovered, u64::from(depth));
        }
    }
}

/// Two of one group are lost; a later group gives one, and that one the other.
#[test]
fn fec_runs_until_nothing_changes() {
    let all = packets(ErrorCorrection::Fec, 1, 20);
    let mut r = Receiver::new(0);
    for (i, (_, packet)) in all.iter().enumerate() {
        if ![10, 11].contains(&i) {
            r.receive(at(i as u64 * 30), packet).unwrap();
        }
    }
    assert_eq!(drain(&mut r).len(), 20);
    assert_eq!(r.counters().recovered, 2);
}

fn numbered(sequence: u16, items: &[&[u8]]) -> Vec<u8> {
    let [_, lo] = sequence.to_be_bytes();
    let primary = [0xC0, 0x01, 0x80, 0x00, 0x00, lo];
    let recovery = Recovery::Secondaries(items.to_vec());
    let mut out = Vec::new();
    Packet { sequence, primary: &primary, recovery, sound: true }.encode(&mut out).unwrap();
    out
}

fn tags(got: &[Delivery]) -> Vec<i32> {
    got.iter()
        .map(|d| match d {
            Delivery::Ifp { octets, .. } => i32::from(*octets.last().unwrap()),
            Delivery::Missing(n) => -(*n as i32),
        })
        .collect()
}

#[test]
fn any_first_number_and_both_ways_to_wrap() {
    let mut r = Receiver::new(0);
    for s in [0xFFFE, 0xFFFF, 0x0000, 0x0001] {
        r.receive(at(0), &numbered(s, &[])).unwrap();
    }
    assert_eq!(tags(&drain(&mut r)), [0xFE, 0xFF, 0, 1]);
    // Zero is skipped: the hole is given up without a loss.
    let mut r = Receiver::new(0);
    for s in [0xFFFE, 0xFFFF, 0x0001, 0x0002] {
        r.receive(at(0), &numbered(s, &[])).unwrap();
    }
    r.timeout(at(1000));
    assert_eq!(tags(&drain(&mut r)), [0xFE, 0xFF, 1, 2]);
    assert_eq!(r.counters().lost, 0);
    // The same with redundancy: what rides along must not be delivered a second time.
    let o = |lo: u8| [0xC0, 0x01, 0x80, 0x00, 0x00, lo];
    let mut r = Receiver::new(0);
    r.receive(at(0), &numbered(0xFFFE, &[])).unwrap();
    r.receive(at(0), &numbered(0xFFFF, &[&o(0xFE)])).unwrap();
    r.receive(at(0), &numbered(0x0001, &[&o(0xFF), &o(0xFE)])).unwrap();
    r.receive(at(0), &numbered(0x0002, &[&o(1), &o(0xFF), &o(0xFE)])).unwrap();
    assert_eq!(tags(&drain(&mut r)), [0xFE, 0xFF, 1, 2]);
    // And zero really lost is recovered.
    let mut r = Receiver::new(0);
    r.receive(at(0), &numbered(0xFFFE, &[])).unwrap();
    r.receive(at(0), &numbered(0xFFFF, &[&o(0xFE)])).unwrap();
    r.receive(at(0), &numbered(0x0001, &[&o(0), &o(0xFF)])).unwrap();
    assert_eq!(tags(&drain(&mut r)), [0xFE, 0xFF, 0, 1]);
}

#[test]
fn order_duplicates_and_late_ones() {
    let mut r = Receiver::new(0);
    for s in [7, 9, 8, 8, 9, 7, 10] {
        r.receive(at(0), &numbered(s, &[])).unwrap();
    }
    assert_eq!(tags(&drain(&mut r)), [7, 8, 9, 10]);
    assert_eq!(r.counters().duplicate, 3);
    // A hole is waited for, then told; what comes for it later is dropped.
    r.receive(at(10), &numbered(12, &[])).unwrap();
    assert_eq!(drain(&mut r), []);
    let due = r.deadline().unwrap();
    r.timeout(due);
    r.receive(due, &numbered(11, &[])).unwrap();
    assert_eq!(tags(&drain(&mut r)), [-1, 12]);
    assert_eq!(r.deadline(), None);
    assert_eq!((r.counters().lost, r.counters().duplicate), (1, 4));
}

#[test]
fn a_restart_is_followed() {
    let mut r = Receiver::new(0);
    r.receive(at(0), &numbered(20_000, &[])).unwrap();
    r.receive(at(0), &numbered(0, &[])).unwrap();
    r.receive(at(0), &numbered(1, &[])).unwrap();
    assert_eq!(tags(&drain(&mut r)), [0x20, -1, 0, 1]);
    // Big but credible gaps are losses.
    r.receive(at(0), &numbered(1501, &[])).unwrap();
    r.timeout(at(1000));
    assert_eq!(tags(&drain(&mut r)), [-1499, 1501 & 0xFF]);
}

/// As [`numbered`], with another content.
fn renumbered(sequence: u16) -> Vec<u8> {
    let of = |s: u16| [0xC0, 0x01, 0x80, 0x00, 0x00, 0x80 | (s & 0xFF) as u8];
    let before: Vec<_> = (1..=sequence.min(2)).map(|n| of(sequence - n)).collect();
    let mut out = Vec::new();
    let items = before.iter().map(<[u8; 6]>::as_slice).collect();
    let recovery = Recovery::Secondaries(items);
    Packet { sequence, primary: &of(sequence), recovery, sound: true }.encode(&mut out).unwrap();
    out
}

#[test]
fn a_restart_at_numbers_that_are_near_is_followed() {
    for (before, wait) in [(300, 1), (40, 3), (1900, 1)] {
        let mut r = Receiver::new(0);
        for s in 0..before {
            r.receive(at(0), &numbered(s, &[])).unwrap();
        }
        drain(&mut r);
        for s in 0..6 {
            // Several times with one number, as indicators are.
            (0..wait).for_each(|_| r.receive(at(10_000), &renumbered(s)).unwrap());
        }
        assert_eq!(tags(&drain(&mut r)), [-1, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85], "{before}");
    }
}

#[test]
fn what_comes_late_is_no_restart() {
    let mut r = Receiver::new(0);
    for s in (0..300).filter(|s| !(100..110).contains(s)) {
        r.receive(at(u64::from(s) * 200), &numbered(s, &[])).unwrap();
        r.timeout(at(u64::from(s) * 200 + 150));
    }
    drain(&mut r);
    // Duplicates, and what was lost, near and far.
    for s in (5..20).chain(90..120).chain(280..300) {
        r.receive(at(80_000), &numbered(s, &[])).unwrap();
    }
    // Two strangers, then one of the rest.
    for s in [7, 8, 9, 10] {
        let packet = if s == 9 { numbered(s, &[]) } else { renumbered(s) };
        r.receive(at(80_000), &packet).unwrap();
    }
    assert_eq!(drain(&mut r), []);
    r.receive(at(80_000), &numbered(300, &[])).unwrap();
    assert_eq!(tags(&drain(&mut r)), [300 & 0xFF]);
}

#[test]
fn damaged_tails_and_strange_packets() {
    let mut r = Receiver::new(0);
    r.receive(at(0), &hex("00 05 01 06 00 00")).unwrap();
    // More items announced than there are; no tail at all; an unknown choice.
    r.receive(at(0), &hex("00 06 01 00 00 03 01 06")).unwrap();
    r.receive(at(0), &hex("00 07 01 04")).unwrap();
    r.receive(at(0), &hex("00 08 01 02 55")).unwrap();
    // Items of no octets keep their places; a primary of no octets is nothing.
    r.receive(at(0), &hex("00 0a 00 00 02 00 01 06")).unwrap();
    r.receive(at(0), &hex("00 0b 01 00 00 02 00 01 0c")).unwrap();
    assert_eq!(drain(&mut r), ["06", "00", "04", "02", "0c", "00"].map(ifp));
    // RTP, too short, too long, absurd lengths, a stray with a broken tail.
    let rtp = [hex("80 00 12 34 00 01 02 03 11 22 33 44"), vec![0xD5; 160]].concat();
    for bad in [&rtp[..], &[], &[0, 1], &[0, 1, 5, 6], &[0, 1, 0xC1, 6], &hex("70 00 01 06 00")] {
        r.receive(at(0), bad).unwrap_err();
    }
    assert_eq!(r.counters().invalid, 6);
    assert_eq!(drain(&mut r), []);
}

#[test]
fn datagrams_stay_within_the_limit() {
    for correction in [ErrorCorrection::None, ErrorCorrection::Redundancy, ErrorCorrection::Fec] {
        for far in [0, 72, 80, 90, 100, 176, 200, 400, 1400, 65_535] {
            let mut s = Sender::new(far, correction);
            let limits = s.limits();
            assert!(limits.datagram <= 1400 && limits.ifp >= 32, "{far} {limits:?}");
            for n in 0..30 {
                let ifp = Bytes::from(vec![0x55; limits.ifp]);
                let packet = s.packet(at(n * 30), ifp, 3);
                assert!(packet.len() <= limits.datagram, "{far} {}", packet.len());
                let decoded = Packet::decode(&packet).unwrap();
                assert!(decoded.sound);
                let items = match decoded.recovery {
                    Recovery::Secondaries(items) | Recovery::Fec { items, .. } => items.len(),
                };
                assert!(n == 0 || correction == ErrorCorrection::None || items > 0, "{far}");
            }
        }
    }
}

proptest! {
    #[test]
    fn random_datagrams_never_panic(
        datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..60),
    ) {
        let mut r = Receiver::new(0);
        for (i, d) in datagrams.iter().enumerate() {
            let _ = r.receive(at(i as u64 * 20), d);
            r.timeout(at(i as u64 * 20));
            while r.poll().is_some() {}
        }
    }

    /// Valid packets in any order and number: what comes out is in order and none comes twice.
    #[test]
    fn any_order(sequences in prop::collection::vec((0u16..80, any::<bool>()), 0..200)) {
        let all = [
            packets(ErrorCorrection::Redundancy, 2, 80),
            packets(ErrorCorrection::Fec, 3, 80),
        ];
        let mut r = Receiver::new(0);
        let mut last = -1;
        for (i, (s, fec)) in sequences.iter().enumerate() {
            r.receive(at(i as u64 * 20), &all[usize::from(*fec)][usize::from(*s)].1).unwrap();
            r.timeout(at(i as u64 * 20));
            while let Some(d) = r.poll() {
                if let Delivery::Ifp { octets, .. } = d {
                    let n = i32::from(octets[6]);
                    prop_assert!(n > last);
                    last = n;
                }
            }
        }
    }

    #[test]
    fn packets_round_trip(
        sequence: u16,
        primary in prop::collection::vec(any::<u8>(), 0..300),
        items in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8),
        fec: bool,
    ) {
        let items: Vec<&[u8]> = items.iter().map(Vec::as_slice).collect();
        let recovery = if fec {
            Recovery::Fec { span: 3, items }
        } else {
            Recovery::Secondaries(items)
        };
        let packet = Packet { sequence, primary: &primary, recovery, sound: true };
        let mut octets = Vec::new();
        packet.encode(&mut octets).unwrap();
        prop_assert_eq!(Packet::decode(&octets), Ok(packet));
    }
}
