//! Calls that are passed on, over loopback sockets and on a simulated clock.

use super::super::leg::Leg;
use super::super::{MediaKey, MediaPorts, Start};
use super::*;
use fax_base::page::{Coding, PageShape, Resolution, Width};
use fax_image::{Bitmap, Decoder, EncodeOptions, Limits, encode};
use fax_t30 as t30;
use fax_terminal::{CodedPage, Document, Terminal};
use std::sync::Arc;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

type Events = UnboundedReceiver<(MediaKey, MediaEvent)>;

const PCMU: Codec = Codec { law: Law::Mu, payload_type: 0 };

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

fn ports() -> MediaPorts {
    MediaPorts::new(vec!["127.0.0.1".parse().unwrap()], None)
}

fn bind() -> super::super::MediaSocket {
    ports().bind("127.0.0.1".parse().unwrap()).unwrap()
}

/// A bridge, where its sides are, and what it tells.
struct Bench {
    bridge: Bridge,
    at: [SocketAddr; 2],
    events: Events,
}

fn bench() -> Bench {
    let (sender, events) = unbounded_channel();
    let sides = [bind(), bind()];
    let at = [sides[0].local, sides[1].local];
    let sink = MediaSink::new(MediaKey(7), sender);
    let bridge = Bridge::start(BridgeStart { sides, signalling: Default::default(), sink });
    Bench { bridge, at, events }
}

impl Bench {
    fn set(&mut self, ms: u64, side: Side, carrier: SideCarrier) {
        assert!(self.bridge.command(at(ms), MediaCommand::Side { side, carrier }));
    }

    fn turn(&mut self, ms: u64) {
        while self.bridge.read(at(ms), Side::A) {}
        while self.bridge.read(at(ms), Side::B) {}
        if self.bridge.deadline().is_some_and(|due| due <= at(ms)) {
            self.bridge.turn(at(ms));
        }
    }

    /// What it told of its sides.
    fn heard(&mut self) -> Vec<(Side, SideHeard)> {
        let mut heard = Vec::new();
        while let Ok((key, event)) = self.events.try_recv() {
            assert_eq!(key, MediaKey(7));
            match event {
                MediaEvent::Side { side, heard: what } => heard.push((side, what)),
                MediaEvent::Ladder(_) => {}
                other => panic!("{other:?}"),
            }
        }
        heard
    }
}

/// A far end without a machine.
fn far_end() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn take(socket: &UdpSocket) -> Option<Vec<u8>> {
    let mut buffer = [0; 2_048];
    let (length, _) = socket.recv_from(&mut buffer).ok()?;
    Some(buffer[..length].to_vec())
}

fn rtp(payload_type: u8, sequence: u16, timestamp: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

/// Sequence number, time stamp, source.
fn place(packet: &[u8]) -> (u16, u32, u32) {
    let word = |at: usize| u32::from_be_bytes(packet[at..at + 4].try_into().unwrap());
    (u16::from_be_bytes([packet[2], packet[3]]), word(4), word(8))
}

#[test]
fn a_relay_passes_anything_and_a_stranger_nothing() {
    let mut bench = bench();
    let ((a, at_a), (b, at_b)) = (far_end(), far_end());
    bench.set(0, Side::A, SideCarrier::Relay { remote: at_a });
    bench.set(0, Side::B, SideCarrier::Relay { remote: at_b });
    // What is no media does not say where the far end is.
    let (stranger, _) = far_end();
    stranger.send_to(b"here I am", bench.at[0]).unwrap();
    bench.turn(1);
    take(&b).unwrap();
    let media = rtp(96, 1, 0, 7, b"of whatever codec");
    a.send_to(&media, bench.at[0]).unwrap();
    b.send_to(b"and back", bench.at[1]).unwrap();
    bench.turn(1);
    assert_eq!(take(&b).unwrap(), media);
    assert_eq!(take(&a).unwrap(), b"and back");
    a.send_to(b"anything", bench.at[0]).unwrap();
    bench.turn(1);
    assert_eq!(take(&b).unwrap(), b"anything");
    stranger.send_to(b"I was never asked", bench.at[0]).unwrap();
    bench.turn(2);
    assert_eq!(take(&b), None);
    // On hold nothing passes.
    bench.set(3, Side::B, SideCarrier::Off);
    a.send_to(b"hello?", bench.at[0]).unwrap();
    bench.turn(4);
    assert_eq!(take(&b), None);
}

#[test]
fn audio_passes_in_one_stream_whoever_speaks() {
    let mut bench = bench();
    let ((a, at_a), (b, at_b)) = (far_end(), far_end());
    let dynamic = Codec { law: Law::A, payload_type: 96 };
    bench.set(0, Side::A, SideCarrier::Audio { remote: at_a, codec: Codec::PCMA });
    bench.set(0, Side::B, SideCarrier::Audio { remote: at_b, codec: dynamic });
    let mut pass = |payload_type, sequence, timestamp, ssrc, payload: &[u8]| {
        a.send_to(&rtp(payload_type, sequence, timestamp, ssrc, payload), bench.at[0]).unwrap();
        bench.turn(1);
        take(&b).unwrap()
    };
    let octets = [0x55; 160];
    let first = pass(8, 9, 1_000, 7, &octets);
    assert_eq!((first[1], &first[12..]), (0x80 | 96, octets.as_slice()));
    let (sequence, timestamp, ssrc) = place(&first);
    // A lost packet is lost there as well; a key of the far end keeps its type and time.
    let third = pass(8, 11, 1_320, 7, &octets);
    assert_eq!(
        (third[1], place(&third)),
        (96, (sequence.wrapping_add(2), timestamp.wrapping_add(320), ssrc))
    );
    let event = pass(101, 12, 1_480, 7, &[1, 2, 3, 4]);
    assert_eq!((event[1], &event[12..]), (101, [1, 2, 3, 4].as_slice()));
    assert_eq!(place(&event), (sequence.wrapping_add(3), timestamp.wrapping_add(480), ssrc));
    // Another source begins where that one was, and says so by its marker.
    let other = pass(8, 40_000, 5, 99, &octets);
    assert_eq!(
        (other[1], place(&other)),
        (0x80 | 96, (sequence.wrapping_add(4), timestamp.wrapping_add(480), ssrc))
    );
}

#[test]
fn audio_of_the_other_law_is_converted() {
    let mut bench = bench();
    let ((a, at_a), (b, at_b)) = (far_end(), far_end());
    bench.set(0, Side::A, SideCarrier::Audio { remote: at_a, codec: Codec::PCMA });
    bench.set(0, Side::B, SideCarrier::Audio { remote: at_b, codec: PCMU });
    let octets: Vec<u8> = (0..160u8).map(|n| n.wrapping_mul(7)).collect();
    a.send_to(&rtp(8, 1, 0, 7, &octets), bench.at[0]).unwrap();
    b.send_to(&rtp(0, 1, 0, 8, &octets), bench.at[1]).unwrap();
    bench.turn(1);
    let want: Vec<u8> = octets.iter().map(|o| Law::Mu.encode(Law::A.decode(*o))).collect();
    let there = take(&b).unwrap();
    assert_eq!((there[1] & 0x7F, &there[12..]), (0, want.as_slice()));
    let want: Vec<u8> = octets.iter().map(|o| Law::A.encode(Law::Mu.decode(*o))).collect();
    let back = take(&a).unwrap();
    assert_eq!((back[1] & 0x7F, &back[12..]), (8, want.as_slice()));
}

/// An indicator in UDPTL, and a frame's end in the syntax of either version.
fn udptl(sequence: u16, ifp: &[u8]) -> Vec<u8> {
    let [high, low] = sequence.to_be_bytes();
    [&[high, low, ifp.len() as u8], ifp, &[0, 0]].concat()
}

#[test]
fn t38_agreed_on_alike_passes_untouched_and_otherwise_is_made_anew() {
    let mut bench = bench();
    let ((a, at_a), (b, at_b)) = (far_end(), far_end());
    let old = fax_t38::Config::default();
    let new = fax_t38::Config { version: 3, ..old.clone() };
    bench.set(0, Side::A, SideCarrier::T38 { remote: at_a, config: old.clone() });
    bench.set(0, Side::B, SideCarrier::T38 { remote: at_b, config: old });
    let packet = udptl(5, &[0xC0, 0x02, 0x80, 0x00, 0x02, 0xFF, 0xC8, 0x21, 0x20]);
    let preamble = udptl(4, &[0x06]);
    a.send_to(&preamble, bench.at[0]).unwrap();
    bench.turn(1);
    assert_eq!(take(&b).unwrap(), preamble);
    // RTP that was under way at the switch goes nowhere.
    a.send_to(&rtp(8, 1, 0, 7, &[0xD5; 160]), bench.at[0]).unwrap();
    bench.turn(2);
    assert_eq!(take(&b), None);
    bench.set(10, Side::B, SideCarrier::T38 { remote: at_b, config: new });
    a.send_to(&preamble, bench.at[0]).unwrap();
    a.send_to(&packet, bench.at[0]).unwrap();
    bench.turn(11);
    // Numbers go on where they were.
    let first = take(&b).unwrap();
    assert_eq!(first[..4], [0, 5, 1, 0x06]);
    let second = take(&b).unwrap();
    // The good FCS of 2002, with the first packet riding along.
    let want = [0, 6, 9, 0xC0, 0x02, 0x80, 0x00, 0x02, 0xFF, 0xC8, 0x21, 0x10];
    assert_eq!(second[..12], want);
    // A loss in a frame is told by its FCS.
    a.send_to(&udptl(9, &[0xC0, 0x01, 0x20]), bench.at[0]).unwrap();
    for ms in 12..400 {
        bench.turn(ms);
    }
    let sent: Vec<Vec<u8>> = core::iter::from_fn(|| take(&b)).collect();
    assert!(sent.iter().any(|d| d[2..6] == [3, 0xC0, 0x01, 0x18]), "{sent:02x?}");
}

#[test]
fn silence_is_told_once_and_its_end_too() {
    let mut bench = bench();
    let ((a, at_a), (_b, at_b)) = (far_end(), far_end());
    bench.set(0, Side::A, SideCarrier::T38 { remote: at_a, config: fax_t38::Config::default() });
    bench.set(0, Side::B, SideCarrier::Audio { remote: at_b, codec: Codec::PCMA });
    let mut heard = Vec::new();
    for ms in (0..70_000).step_by(10) {
        bench.turn(ms);
        heard.extend(bench.heard().into_iter().map(|(side, what)| (ms, side, what)));
    }
    let want = [
        (5_000, Side::A, SideHeard::T38Silent),
        (60_000, Side::A, SideHeard::Timeout),
        (60_000, Side::B, SideHeard::Timeout),
    ];
    assert_eq!(heard, want);
    a.send_to(&udptl(0, &[0x00]), bench.at[0]).unwrap();
    bench.turn(70_001);
    assert_eq!(bench.heard(), [(Side::A, SideHeard::T38Heard)]);
}

/// A fax machine of ours.
struct Machine {
    leg: Leg,
    events: Events,
    pages: Vec<fax_terminal::ReceivedPage>,
    outcome: Option<Box<t30::Outcome>>,
    at: SocketAddr,
}

impl Machine {
    fn new(role: t30::Role, pages: Vec<Arc<CodedPage>>, remote: SocketAddr, codec: Codec) -> Self {
        let config = fax_terminal::Config {
            role,
            documents: vec![Document::new(pages)],
            ..fax_terminal::Config::default()
        };
        let (sender, events) = unbounded_channel();
        let socket = bind();
        let at = socket.local;
        let leg = Leg::start(Start {
            socket: socket.socket,
            terminal: Terminal::new(config),
            remote,
            signalling: Vec::new(),
            codec,
            keys: None,
            sink: MediaSink::new(MediaKey(1), sender),
            recording: None,
        });
        Machine { leg, events, pages: Vec::new(), outcome: None, at }
    }

    fn turn(&mut self, ms: u64) {
        while self.leg.read(at(ms)) {}
        if self.leg.deadline().is_some_and(|due| due <= at(ms)) {
            self.leg.turn(at(ms));
        }
        while let Ok((_, event)) = self.events.try_recv() {
            match event {
                MediaEvent::Page(page) => self.pages.push(page),
                MediaEvent::End(outcome) => self.outcome = Some(outcome),
                MediaEvent::Event(_) | MediaEvent::Signal(_) | MediaEvent::Tone(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

fn page() -> (Bitmap, Arc<CodedPage>) {
    let mut bitmap = Bitmap::new(1728);
    for y in 0..150u32 {
        let row: Vec<u8> = (0..216u32).map(|x| if (x / 9 + y / 7) % 5 == 0 { 0xF3 } else { 0 }).collect();
        bitmap.push_row(&row);
    }
    let t6 = encode(&bitmap, Coding::Mmr, &EncodeOptions::default()).into();
    let shape = PageShape { width: Width::A4, resolution: Resolution::Fine, rows: 150, tones: None };
    (bitmap, Arc::new(CodedPage { shape, t6, jpeg: None }))
}

/// A whole fax through a bridge that begins with audio on both sides; `then` changes carriers on the way.
fn fax(
    codecs: [Codec; 2],
    mut then: impl FnMut(u64, &mut Bench, &mut [Machine; 2]),
) -> Vec<(Side, SideHeard)> {
    let mut bench = bench();
    let (bitmap, page) = page();
    let [a, b] = codecs;
    let mut machines = [
        Machine::new(t30::Role::Calling, vec![page], bench.at[0], a),
        Machine::new(t30::Role::Called, Vec::new(), bench.at[1], b),
    ];
    bench.set(0, Side::A, SideCarrier::Audio { remote: machines[0].at, codec: a });
    bench.set(0, Side::B, SideCarrier::Audio { remote: machines[1].at, codec: b });
    let mut heard = Vec::new();
    for ms in 0..180_000 {
        then(ms, &mut bench, &mut machines);
        machines.iter_mut().for_each(|machine| machine.turn(ms));
        bench.turn(ms);
        heard.extend(bench.heard());
        if machines.iter().all(|machine| machine.outcome.is_some()) {
            break;
        }
    }
    for machine in &machines {
        let outcome = machine.outcome.as_ref().expect("an end");
        assert!(outcome.failure.is_none(), "{outcome:?}");
    }
    let [received] = machines[1].pages.as_slice() else { panic!("{} pages", machines[1].pages.len()) };
    let mut decoder = Decoder::new(Coding::Mmr, 1728, Limits::default());
    decoder.push(&received.t6);
    assert_eq!(decoder.finish().bitmap, bitmap);
    heard
}

#[test]
fn a_fax_passes_in_audio_and_is_heard_on_both_sides() {
    for codecs in [[Codec::PCMA, Codec::PCMA], [Codec::PCMA, PCMU]] {
        let heard = fax(codecs, |_, _, _| {});
        for side in [Side::A, Side::B] {
            let times = heard.iter().filter(|h| **h == (side, SideHeard::Fax)).count();
            assert!((1..=2).contains(&times), "{side:?} {heard:?}");
        }
    }
}

/// As when one trunk agrees to T.38 and the other does not, when the called machine's V.21 is heard.
#[test]
fn a_fax_passes_from_audio_to_t38_and_back_either_way_round() {
    for t38 in [Side::A, Side::B] {
        let config = fax_t38::Config::default();
        let heard = fax([Codec::PCMA, PCMU], |ms, bench, machines| {
            if ms == 4_500 {
                let machine = &mut machines[usize::from(t38 == Side::B)];
                let remote = bench.at[usize::from(t38 == Side::B)];
                let command = MediaCommand::T38 { remote, config: config.clone() };
                machine.leg.command(at(ms), command);
                bench.set(ms, t38, SideCarrier::T38 { remote: machine.at, config: config.clone() });
                // A session refresh on the way changes nothing.
            }
            if ms == 12_000 {
                let machine = &machines[usize::from(t38 == Side::B)];
                bench.set(ms, t38, SideCarrier::T38 { remote: machine.at, config: config.clone() });
            }
        });
        assert!(!heard.iter().any(|(_, what)| matches!(what, SideHeard::T38Silent | SideHeard::Timeout)));
    }
}

#[test]
fn t38_on_both_sides_in_different_versions_carries_a_fax() {
    let configs = [fax_t38::Config::default(), fax_t38::Config { version: 3, ..fax_t38::Config::default() }];
    fax([Codec::PCMA, Codec::PCMA], |ms, bench, machines| {
        if ms == 1_000 {
            for (n, side) in [Side::A, Side::B].into_iter().enumerate() {
                let command = MediaCommand::T38 { remote: bench.at[n], config: configs[n].clone() };
                machines[n].leg.command(at(ms), command);
                let carrier = SideCarrier::T38 { remote: machines[n].at, config: configs[n].clone() };
                bench.set(ms, side, carrier);
            }
        }
    });
}

/// One trunk agrees to T.38 sooner than the other: for a while the gateway speaks, then the far ends do, and what they
/// say goes on with its numbers.
#[test]
fn who_agrees_later_is_not_taken_for_late() {
    let config = fax_t38::Config::default();
    for first in [0, 1] {
        fax([Codec::PCMA, Codec::PCMA], |ms, bench, machines| {
            for (n, side) in [Side::A, Side::B].into_iter().enumerate() {
                if ms == if n == first { 400 } else { 3_000 } {
                    let command = MediaCommand::T38 { remote: bench.at[n], config: config.clone() };
                    machines[n].leg.command(at(ms), command);
                    bench.set(ms, side, SideCarrier::T38 { remote: machines[n].at, config: config.clone() });
                }
            }
        });
    }
    // The same, number by number.
    let mut bench = bench();
    let ((a, at_a), (b, at_b)) = (far_end(), far_end());
    bench.set(0, Side::A, SideCarrier::Audio { remote: at_a, codec: PCMU });
    bench.set(0, Side::B, SideCarrier::T38 { remote: at_b, config: config.clone() });
    (1..4_000).for_each(|ms| bench.turn(ms));
    let numbers: Vec<u16> =
        core::iter::from_fn(|| take(&b)).map(|d| u16::from_be_bytes([d[0], d[1]])).collect();
    let last = numbers.into_iter().max().unwrap();
    bench.set(4_000, Side::A, SideCarrier::T38 { remote: at_a, config });
    for n in 0..3 {
        a.send_to(&udptl(n, &[0x06]), bench.at[0]).unwrap();
        bench.turn(4_001);
        assert_eq!(take(&b).unwrap(), udptl(last + 1 + n, &[0x06]));
    }
}
