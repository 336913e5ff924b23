//! What is sent and when, what is heard of it, and the oddities of peers.

use super::*;
use crate::ifp::{Decoder, FieldType, Ifp, Indicator};
use crate::udptl::{Packet, Recovery};
use bytes::Bytes;
use core::time::Duration;
use fax_base::line::{Channel, Modulation, Tone, Training, Transmit};
use proptest::prelude::*;

fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|o| u8::from_str_radix(o, 16).unwrap()).collect()
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Runs an endpoint alone until it has sent everything; what it sent and when.
fn run(config: Config, transmits: Vec<Transmit>) -> (Vec<(Instant, Bytes)>, Instant) {
    let mut e = Endpoint::new(config, Instant::ZERO);
    for t in transmits {
        e.handle(Instant::ZERO, Input::Transmit(t));
    }
    let mut now = Instant::ZERO;
    let mut datagrams = Vec::new();
    let mut sent = None;
    loop {
        while let Some(output) = e.poll() {
            match output {
                Output::Datagram(d) => datagrams.push((now, d)),
                Output::Sent => sent = Some(now),
                Output::Heard(h) => panic!("{h:?}"),
            }
        }
        let next = e.deadline().unwrap();
        // Copies of the last packet still follow.
        if sent.is_some_and(|at| next > at + ms(100)) {
            return (datagrams, sent.unwrap());
        }
        now = now.max(next);
        e.handle(now, Input::Timeout);
    }
}

/// The IFPs of datagrams, copies left out, as text.
fn ladder(datagrams: &[(Instant, Bytes)], version: u8) -> Vec<(u64, String)> {
    let mut d = Decoder::new(version);
    let mut last = None;
    let mut lines = Vec::new();
    for (at, datagram) in datagrams {
        let packet = Packet::decode(datagram).unwrap();
        assert!(packet.sound);
        if last.replace(packet.sequence) == Some(packet.sequence) {
            continue;
        }
        lines.push((
            at.as_millis(),
            match d.decode(packet.primary, false).unwrap() {
                Ifp::Indicator(i) => i.to_string(),
                Ifp::Data { data_type, fields } => {
                    let fields: Vec<String> =
                        fields.iter().map(|f| format!("{}/{}", f.kind, f.data.len())).collect();
                    format!("{data_type} {}", fields.join(" "))
                }
            },
        ));
    }
    lines
}

#[test]
fn a_control_burst_keeps_the_time_of_its_modem() {
    let frames = vec![Bytes::from(hex("ff c0 40 00 00 00")), Bytes::from(hex("ff c8 01 00 ce f8 44"))];
    let (datagrams, sent) = run(Config::default(), vec![Transmit::Control(frames)]);
    let lines = ladder(&datagrams, 0);
    assert_eq!(lines[0], (0, "no-signal".into()));
    assert_eq!(lines[1], (75, "v21-preamble".into()));
    assert_eq!(lines[2], (1125, "v21 hdlc-data/4".into()));
    let ends: Vec<&(u64, String)> = lines.iter().filter(|(_, l)| l.contains("fcs")).collect();
    assert_eq!(ends[0].1, "v21 hdlc-data/2 hdlc-fcs-OK/0");
    assert_eq!(ends[1].1, "v21 hdlc-data/4 hdlc-fcs-OK-sig-end/0");
    // 13 octets, two FCS with two flags each, three stuffed bits: 171 bits at 300 bit/s.
    let end = lines.last().unwrap();
    assert_eq!(end.1, "no-signal");
    let on_line = end.0 - 1125 - 60;
    assert!((540..=600).contains(&on_line), "{on_line}");
    assert_eq!(sent.as_millis(), end.0);
    // Indicators and the end of the signal three times, 10 ms apart; data once.
    let times = |sequence: u16| -> Vec<u64> {
        datagrams
            .iter()
            .filter(|(_, d)| d[..2] == sequence.to_be_bytes())
            .map(|(at, _)| at.as_millis())
            .collect()
    };
    assert_eq!(times(1), [75, 85, 95]);
    assert_eq!(times(2).len(), 1);
    let n = lines.len() as u16;
    assert_eq!(times(n - 2).len(), 3);
    assert_eq!(times(n - 1).len(), 3);
}

#[test]
fn raw_bits_end_with_zeros() {
    let octets = Bytes::from(vec![0x5A; 2700]);
    let transmit = Transmit::Bits { modulation: Modulation::V17At14400, training: Training::Long, octets };
    let (datagrams, sent) = run(Config::default(), vec![Transmit::Silence(ms(75)), transmit]);
    let lines = ladder(&datagrams, 0);
    assert_eq!(lines[1], (75, "v17-14400-long-training".into()));
    assert_eq!(lines[2], (75 + 1393 + 215, "v17-14400 t4-non-ecm-data/54".into()));
    assert_eq!(lines[3].0 - lines[2].0, 30);
    assert_eq!(lines[lines.len() - 2].1, "v17-14400 t4-non-ecm-sig-end/0");
    assert_eq!(lines[lines.len() - 1].1, "no-signal");
    // 1.5 s of bits and 90 ms of zeros.
    assert_eq!(sent.as_millis(), 75 + 1393 + 215 + 1590 + 60);
    let data: usize = lines.iter().filter(|l| l.1.contains("data")).count();
    assert_eq!(data, 53);
}

#[test]
fn ecm_frames_carry_their_fcs_last() {
    let frames = vec![Bytes::from(vec![0x00; 260]), Bytes::from(hex("ff c0 61"))];
    let transmit = Transmit::Frames { modulation: Modulation::V29At9600, training: Training::Long, frames };
    let config = Config { version: 3, ..Config::default() };
    let (datagrams, _) = run(config, vec![transmit]);
    let lines = ladder(&datagrams, 3);
    assert_eq!(lines[2], (75 + 253 + 215 + 200, "v29-9600 hdlc-data/36".into()));
    let ends: Vec<&str> = lines.iter().filter(|(_, l)| l.contains("fcs")).map(|(_, l)| l.as_str()).collect();
    assert_eq!(ends, ["v29-9600 hdlc-data/8 hdlc-fcs-OK/0", "v29-9600 hdlc-data/3 hdlc-fcs-OK-sig-end/0"]);
}

#[test]
fn tones_and_stop() {
    let (datagrams, sent) =
        run(Config::default(), vec![Transmit::Tone(Tone::Ced, ms(3000)), Transmit::Silence(ms(75))]);
    let lines = ladder(&datagrams, 0);
    let names: Vec<&str> = lines.iter().map(|l| l.1.as_str()).collect();
    // The tone is told again on the way: keep-alive.
    assert_eq!(names, ["no-signal", "ced", "ced", "no-signal"]);
    assert_eq!(sent.as_millis(), 3075);

    let mut e = Endpoint::new(Config::default(), Instant::ZERO);
    e.handle(Instant::ZERO, Input::Transmit(Transmit::Tone(Tone::Cng, ms(500))));
    e.handle(Instant::from_millis(100), Input::StopTransmit);
    e.handle(Instant::from_millis(600), Input::Timeout);
    let outputs: Vec<Output> = core::iter::from_fn(|| e.poll()).collect();
    assert!(!outputs.contains(&Output::Sent));
    let Some(Output::Datagram(last)) = outputs.last() else { panic!() };
    assert_eq!(Packet::decode(last).unwrap().primary, [0]);
}

#[test]
fn nothing_to_say_is_said_every_few_seconds() {
    let mut e = Endpoint::new(Config::default(), Instant::ZERO);
    let mut count = 0;
    let mut now = Instant::ZERO;
    while now < Instant::from_millis(20_000) {
        while e.poll().is_some() {
            count += 1;
        }
        now = e.deadline().unwrap();
        e.handle(now, Input::Timeout);
    }
    assert_eq!(count, 3 + 9);
    assert_eq!(e.statistics().packets_sent, 1 + 10);
}

#[test]
fn every_limit_is_kept_and_something_rides_along() {
    for far in [0, 72, 80, 100, 176, 200, 400, 1400] {
        for modulation in Modulation::ALL {
            let transmit = Transmit::Frames {
                modulation,
                training: Training::Long,
                frames: vec![Bytes::from(vec![0x12; 260]); 4],
            };
            let config = Config { far_max_datagram: far, ..Config::default() };
            let (datagrams, _) = run(config, vec![transmit]);
            let limit = if far < 80 { 400 } else { usize::from(far) };
            for (i, (_, d)) in datagrams.iter().enumerate() {
                assert!(d.len() <= limit);
                let packet = Packet::decode(d).unwrap();
                let Recovery::Secondaries(items) = packet.recovery else { panic!() };
                assert!(packet.sequence < 2 || !items.is_empty(), "{far} {modulation} {i}");
                assert!(far != 72 || packet.primary.len() <= 72);
            }
        }
    }
}

/// A listener that is fed IFPs.
struct Ear {
    endpoint: Endpoint,
    sequence: u16,
    now: Instant,
}

impl Ear {
    fn new(version: u8) -> Self {
        let config = Config { version, ..Config::default() };
        Ear { endpoint: Endpoint::new(config, Instant::ZERO), sequence: 0, now: Instant::ZERO }
    }

    fn lose(&mut self, packets: u16) {
        self.sequence += packets;
    }

    fn hear(&mut self, ifp: &str) -> Vec<Heard> {
        let mut datagram = Vec::new();
        let primary = hex(ifp);
        let recovery = Recovery::Secondaries(vec![]);
        let packet = Packet { sequence: self.sequence, primary: &primary, recovery, sound: true };
        packet.encode(&mut datagram).unwrap();
        self.sequence += 1;
        self.endpoint.handle(self.now, Input::Datagram(&datagram));
        self.now += ms(30);
        self.heard()
    }

    fn wait(&mut self, time: Duration) -> Vec<Heard> {
        self.now += time;
        self.endpoint.handle(self.now, Input::Timeout);
        self.heard()
    }

    fn heard(&mut self) -> Vec<Heard> {
        core::iter::from_fn(|| self.endpoint.poll())
            .filter_map(|o| match o {
                Output::Heard(h) => Some(h),
                Output::Datagram(_) | Output::Sent => None,
            })
            .collect()
    }
}

const UP: Heard = Heard::CarrierUp(Channel::Control);
const DOWN: Heard = Heard::CarrierDown(Channel::Control);
const V17: Modulation = Modulation::V17At14400;
const UP17: Heard = Heard::CarrierUp(Channel::Image(V17));
const DOWN17: Heard = Heard::CarrierDown(Channel::Image(V17));

fn frame(octets: &str, good: bool) -> Heard {
    Heard::Frame { channel: Channel::Control, octets: Bytes::from(hex(octets)), good }
}

fn bits(octets: &str) -> Heard {
    Heard::Bits { modulation: V17, octets: Bytes::from(hex(octets)) }
}

#[test]
fn frames_however_they_are_cut() {
    let dis = "ff c8 01 00 ce f8 44";
    // Octet by octet, with everything repeated under new numbers.
    let mut e = Ear::new(0);
    assert_eq!(e.hear("00"), []);
    assert_eq!(e.hear("06"), [UP]);
    assert_eq!(e.hear("06"), []);
    for o in dis.split_whitespace() {
        assert_eq!(e.hear(&format!("c0 01 80 00 00 {o}")), []);
    }
    assert_eq!(e.hear("c0 01 20"), [frame(dis, true)]);
    assert_eq!(e.hear("c0 01 20"), []);
    assert_eq!(e.hear("c0 01 80 00 02 ff c8 21"), []);
    assert_eq!(e.hear("c0 01 40"), [frame("ff c8 21", true), DOWN]);
    assert_eq!(e.hear("c0 01 40"), []);
    assert_eq!(e.hear("c0 01 10"), []);
    assert_eq!(e.hear("00"), []);
    // Whole frames, their end inside, and that packet again.
    let whole = "c0 02 80 00 06 ff c8 01 00 ce f8 44 40";
    assert_eq!(e.hear("06"), [UP]);
    assert_eq!(e.hear(whole), [frame(dis, true), DOWN]);
    assert_eq!(e.hear(whole), []);
    // Octets inside the FCS field.
    assert_eq!(e.hear("06"), [UP]);
    assert_eq!(e.hear("c0 01 80 00 01 ff c8"), []);
    assert_eq!(e.hear("c0 01 c0 00 00 21"), [frame("ff c8 21", true), DOWN]);
    // Several frames in one packet, packed strictly, and no indicator at all.
    let three = "c0 06 80 00 02 ff c0 61 28 00 02 ff c0 61 28 00 02 ff c0 61 40";
    let f = frame("ff c0 61", true);
    assert_eq!(e.hear(three), [UP, f.clone(), f.clone(), f, DOWN]);
    // A bad one.
    assert_eq!(e.hear("06"), [UP]);
    assert_eq!(e.hear("c0 02 80 00 01 ff c8 30"), [frame("ff c8", false)]);
    // The next signal without an end of this one.
    assert_eq!(e.hear("06"), [DOWN, UP]);
    assert_eq!(e.hear("1e"), [DOWN, Heard::CarrierUp(Channel::Image(V17))]);
}

#[test]
fn nothing_is_trusted_over_a_hole() {
    let mut e = Ear::new(0);
    e.hear("06");
    e.hear("c0 01 80 00 01 ff c8");
    e.lose(1);
    assert_eq!(e.hear("c0 02 80 00 00 44 20"), []);
    assert_eq!(e.wait(ms(100)), [frame("ff c8 44", false)]);
    assert_eq!(e.hear("c0 02 80 00 02 ff c8 21 40"), [frame("ff c8 21", true), DOWN]);
    // A frame whose end is missing does not survive its carrier.
    e.hear("06");
    e.hear("c0 01 80 00 01 ff c8");
    assert_eq!(e.hear("00"), [frame("ff c8", false), DOWN]);
    // Raw bits: about as many octets as were lost are told.
    assert_eq!(e.hear("1e"), [Heard::CarrierUp(Channel::Image(V17))]);
    assert_eq!(e.hear("d0 01 e0 00 03 01 02 03 04"), [bits("01 02 03 04")]);
    e.lose(2);
    assert_eq!(e.hear("d0 01 e0 00 01 05 06"), []);
    assert_eq!(e.wait(ms(100)), [Heard::Lost { octets: 8 }, bits("05 06")]);
    assert_eq!(e.hear("d0 01 70"), [Heard::CarrierDown(Channel::Image(V17))]);
    // Lost together with the indicator.
    e.lose(1);
    e.hear("d0 01 80 00 02 ff c0 60");
    let got = e.wait(ms(100));
    assert_eq!(got, [Heard::CarrierUp(Channel::Image(V17))]);
    let got = e.hear("d0 01 20");
    assert!(matches!(got[..], [Heard::Frame { good: false, .. }]), "{got:?}");
}

#[test]
fn signals_end_in_many_ways() {
    let mut e = Ear::new(0);
    // hdlc-sig-end closes a training check.
    assert_eq!(e.hear("1e"), [UP17]);
    assert_eq!(e.hear("d0 01 e0 00 01 00 00"), [bits("00 00")]);
    assert_eq!(e.hear("d0 01 10"), [DOWN17]);
    // Data without an indicator, ended by octets in sig-end, then by no-signal alone.
    assert_eq!(e.hear("d0 01 e0 00 01 00 00"), [UP17, bits("00 00")]);
    assert_eq!(e.hear("d0 01 f0 00 00 07"), [bits("07"), DOWN17]);
    assert_eq!(e.hear("d0 01 e0 00 01 00 00"), [UP17, bits("00 00")]);
    assert_eq!(e.hear("00"), [DOWN17]);
    // Nothing for 15 s.
    assert_eq!(e.hear("1c"), [UP17]);
    assert_eq!(e.wait(ms(14_900)), []);
    assert_eq!(e.wait(ms(200)), [DOWN17]);
    // Tones, told once however often they are repeated.
    assert_eq!(e.hear("02"), [Heard::Tone(Tone::Cng)]);
    assert_eq!(e.hear("02"), []);
    assert_eq!(e.hear("00"), []);
    assert_eq!(e.hear("02"), [Heard::Tone(Tone::Cng)]);
    assert_eq!(e.hear("04"), [Heard::Tone(Tone::Ced)]);
    // Unknown things cost nothing.
    for ifp in ["20 00", "21 80", "2f c0", "f0 01 80", "55 55"] {
        let got = e.hear(ifp);
        assert!(got.iter().all(|h| matches!(h, Heard::Tone(Tone::Ced))), "{ifp} {got:?}");
    }
    // A frame without end.
    e.hear("06");
    for _ in 0..30 {
        e.hear(&format!("c0 01 80 00 63 {}", "aa ".repeat(100)));
    }
    let got = e.hear("c0 01 20");
    let [Heard::Frame { octets, good: false, .. }] = &got[..] else { panic!("{got:?}") };
    assert!(octets.len() <= 2048);
}

#[test]
fn the_other_syntax_is_heard_too() {
    let mut e = Ear::new(0);
    e.hear("06");
    e.hear("c0 02 80 00 02 ff c8 41 20");
    assert_eq!(e.hear("00").last(), Some(&DOWN));
    e.hear("1e");
    assert_eq!(e.hear("d0 01 b0 00 01 00 00"), [bits("00 00")]);
    assert_eq!(e.hear("d0 01 38"), [Heard::CarrierDown(Channel::Image(V17))]);
}

/// Two endpoints on a perfect line: what one sends the other hears, in every modulation and syntax.
#[test]
fn what_is_sent_is_heard() {
    for version in [0, 3] {
        for modulation in Modulation::ALL {
            let page: Vec<u8> = (0..2000u32).map(|n| (n * 7) as u8).collect();
            let page = Bytes::from(page);
            let rcp = Bytes::from(hex("ff c0 61"));
            let frames = vec![page.slice(..260), page.slice(260..520), rcp.clone(), rcp];
            let training = Training::Short;
            let control = vec![Bytes::from(hex("ff c0 40 01")), Bytes::from(hex("ff c8 41 02"))];
            let transmits = vec![
                Transmit::Tone(Tone::Cng, ms(500)),
                Transmit::Control(control.clone()),
                Transmit::Silence(ms(75)),
                Transmit::Bits { modulation, training, octets: page.clone() },
                Transmit::Frames { modulation, training, frames: frames.clone() },
            ];
            let config = Config { version, ..Config::default() };
            let (datagrams, _) = run(config.clone(), transmits);
            let mut ear = Endpoint::new(config, Instant::ZERO);
            for (at, d) in &datagrams {
                ear.handle(*at, Input::Datagram(d));
            }
            let heard: Vec<Heard> = core::iter::from_fn(|| ear.poll())
                .filter_map(|o| if let Output::Heard(h) = o { Some(h) } else { None })
                .collect();
            let channel = Channel::Image(modulation);
            let (raw, rest): (Vec<Heard>, Vec<Heard>) =
                heard.into_iter().partition(|h| matches!(h, Heard::Bits { .. }));
            let raw: Vec<u8> = raw
                .into_iter()
                .flat_map(|h| if let Heard::Bits { octets, .. } = h { octets } else { panic!() })
                .collect();
            assert_eq!(raw[..2000], page);
            assert!(raw[2000..].iter().all(|o| *o == 0) && raw.len() > 2000);
            let on = |c: Channel, octets: Bytes| Heard::Frame { channel: c, octets, good: true };
            let mut want = vec![Heard::Tone(Tone::Cng), UP];
            want.extend(control.into_iter().map(|f| on(Channel::Control, f)));
            want.push(DOWN);
            want.extend([Heard::CarrierUp(channel), Heard::CarrierDown(channel)]);
            want.push(Heard::CarrierUp(channel));
            want.extend(frames.into_iter().map(|f| on(channel, f)));
            want.push(Heard::CarrierDown(channel));
            assert_eq!(rest, want);
            let s = ear.statistics();
            assert_eq!((s.lost, s.packets_invalid, s.recovered), (0, 0, 0));
            assert!(s.packets_duplicate > 0);
        }
    }
}

#[test]
fn indicator_and_field_names_are_the_standards() {
    assert_eq!(Indicator::V17At12000Short.to_string(), "v17-12000-short-training");
    assert_eq!(FieldType::HdlcFcsBadSigEnd.to_string(), "hdlc-fcs-BAD-sig-end");
}

proptest! {
    #[test]
    fn hostile_datagrams_cost_nothing(
        primaries in prop::collection::vec(
            (any::<u16>(), prop::collection::vec(any::<u8>(), 0..30), 0u64..200), 0..80),
    ) {
        let mut e = Endpoint::new(Config::default(), Instant::ZERO);
        let mut now = Instant::ZERO;
        for (sequence, primary, later) in primaries {
            let recovery = Recovery::Secondaries(vec![]);
            let mut d = Vec::new();
            Packet { sequence: sequence % 50, primary: &primary, recovery, sound: true }
                .encode(&mut d)
                .unwrap();
            e.handle(now, Input::Datagram(&d));
            now += ms(later);
            e.handle(now, Input::Timeout);
            while e.poll().is_some() {}
            prop_assert!(e.deadline().is_some_and(|at| at > now));
        }
    }
}

#[test]
fn an_answer_ends_the_release() {
    let mut endpoint = Endpoint::new(Config::default(), Instant::ZERO);
    let frame = Bytes::from(hex("ff c8 21"));
    endpoint.handle(Instant::ZERO, Input::Transmit(Transmit::Control(vec![frame])));
    // Behind sequence number and length: V.21, two fields, the second being the end.
    let is_end = |d: &Bytes| d[3..].starts_with(&hex("c0 02"));
    let mut ended = None;
    while ended.is_none() {
        let now = endpoint.deadline().unwrap();
        endpoint.handle(now, Input::Timeout);
        while let Some(output) = endpoint.poll() {
            assert!(!matches!(output, Output::Sent), "before the end");
            if matches!(&output, Output::Datagram(d) if is_end(d)) {
                ended = Some(now);
            }
        }
    }
    let now = ended.unwrap() + ms(10);
    endpoint.handle(now, Input::Datagram(&hex("00 00 01 06 00 00")));
    let outputs: Vec<Output> =
        std::iter::from_fn(|| endpoint.poll()).filter(|o| !matches!(o, Output::Datagram(_))).collect();
    assert_eq!(outputs, [Output::Sent, Output::Heard(Heard::CarrierUp(Channel::Control))]);
    while let Some(now) = endpoint.deadline().filter(|at| at.as_millis() < 10_000) {
        endpoint.handle(now, Input::Timeout);
        assert!(!std::iter::from_fn(|| endpoint.poll()).any(|o| o == Output::Sent), "twice");
    }
}
