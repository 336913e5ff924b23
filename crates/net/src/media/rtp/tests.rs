//! Streams as networks and senders make them: what comes out is in order, whole, and on the sender's clock.

use super::*;
use proptest::prelude::*;

const A_LAW: Codec = Codec { law: Law::A, payload_type: 8 };

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

/// The octet that a sender has at this sample, so that a shift is seen.
fn octet(sample: usize) -> u8 {
    (sample.wrapping_mul(2_654_435_761) >> 11) as u8
}

fn octets(from: usize, count: usize) -> Vec<u8> {
    (from..from + count).map(octet).collect()
}

/// A packet; `kind`: payload type.
fn packet(kind: u8, ssrc: u32, sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 12 + payload.len()];
    let mut sender = Sender::new(kind, ssrc, sequence, timestamp);
    assert_eq!(sender.packet(payload, &mut out), Some(out.len()));
    out
}

/// What came out, as (kind, samples): runs of one kind are one entry. The audio must be what the sender
/// has at that time, counted from its first sample.
#[derive(Default)]
struct Heard {
    runs: Vec<(char, usize)>,
    samples: usize,
}

impl Heard {
    fn step(&mut self, step: Step<'_>) {
        let (kind, count) = match step {
            Step::Audio(_, audio) => {
                assert_eq!(audio, octets(self.samples, audio.len()), "at {}", self.samples);
                ('a', audio.len())
            }
            Step::Silence(n) => ('s', n),
            Step::Lost(n) => ('l', n),
        };
        assert!(count > 0, "an empty step");
        self.samples += count;
        match self.runs.last_mut() {
            Some((last, n)) if *last == kind => *n += count,
            _ => self.runs.push((kind, count)),
        }
    }
}

struct Stream {
    receiver: Receiver,
    heard: Heard,
    start: u32,
}

impl Stream {
    /// Sequence numbers and time stamps wrap soon.
    fn new() -> Stream {
        Stream { receiver: Receiver::new(A_LAW), heard: Heard::default(), start: u32::MAX - 300 }
    }

    fn stamp(&self, sample: usize) -> u32 {
        self.start.wrapping_add(sample as u32)
    }

    fn number(number: usize) -> u16 {
        65_534u16.wrapping_add(number as u16)
    }

    /// Packet `number` of audio from `sample` on.
    fn audio(&mut self, ms: u64, number: usize, sample: usize, count: usize) {
        let packet = packet(8, 7, Self::number(number), self.stamp(sample), &octets(sample, count));
        let taken = self.receiver.receive(at(ms), &packet, |s| self.heard.step(s));
        assert_eq!(taken, Taken::Stream);
    }

    fn other(&mut self, ms: u64, kind: u8, number: usize, sample: usize, payload: &[u8]) {
        let packet = packet(kind, 7, Self::number(number), self.stamp(sample), payload);
        self.receiver.receive(at(ms), &packet, |s| self.heard.step(s));
    }

    fn idle(&mut self, ms: u64) {
        self.receiver.idle(at(ms), |s| self.heard.step(s));
    }
}

#[test]
fn reordered_and_repeated_packets_come_once_and_in_order() {
    let mut s = Stream::new();
    for n in [0, 2, 1, 1, 4, 3, 0] {
        s.audio(n as u64 * 20, n, n * 160, 160);
    }
    assert_eq!(s.heard.runs, [('a', 800)]);
}

#[test]
fn every_packet_time_and_odd_sizes_are_taken() {
    for size in [1, 40, 77, 80, 160, 240, 480, 1_600] {
        let mut s = Stream::new();
        for n in 0..50 {
            s.audio(n as u64 * 20, n, n * size, size);
        }
        assert_eq!(s.heard.runs, [('a', size * 50)], "{size}");
    }
    // The packet time changes, and packets overlap.
    let mut s = Stream::new();
    s.audio(0, 0, 0, 160);
    s.audio(20, 1, 80, 240);
    s.audio(40, 2, 320, 80);
    assert_eq!(s.heard.runs, [('a', 400)]);
}

#[test]
fn a_missing_packet_is_waited_for_200_ms_and_then_told() {
    let mut s = Stream::new();
    for n in (0..20).filter(|n| *n != 3) {
        s.audio(n as u64 * 20, n, n * 160, 160);
        let waits = (4..=13).contains(&n);
        assert_eq!(s.heard.samples == 480, waits || n == 2, "{n}");
    }
    assert_eq!(s.heard.runs, [('a', 480), ('l', 160), ('a', 16 * 160)]);
    // One that is 200 ms late comes in time.
    let mut s = Stream::new();
    for n in (0..3).chain(4..14).chain([3]).chain(14..20) {
        s.audio(n as u64 * 20, n, n * 160, 160);
    }
    assert_eq!(s.heard.runs, [('a', 3_200)]);
}

#[test]
fn what_waits_is_handed_on_when_nothing_else_comes() {
    let mut s = Stream::new();
    s.audio(0, 0, 0, 160);
    s.audio(40, 2, 320, 160);
    s.idle(239);
    assert_eq!(s.heard.runs, [('a', 160)]);
    s.idle(240);
    assert_eq!(s.heard.runs, [('a', 160), ('l', 160), ('a', 160)]);
}

#[test]
fn a_pause_of_the_sender_is_silence_and_a_loss_is_a_loss() {
    // Voice activity detection without comfort noise: nothing is missing, so nobody waits.
    let mut s = Stream::new();
    s.audio(0, 0, 0, 160);
    s.audio(600, 1, 4_800, 160);
    assert_eq!(s.heard.runs, [('a', 160), ('s', 4_640), ('a', 160)]);
    // With a number missing it is a gap.
    let mut s = Stream::new();
    s.audio(0, 0, 0, 160);
    s.audio(600, 2, 4_800, 160);
    assert_eq!(s.heard.samples, 160);
    s.idle(800);
    assert_eq!(s.heard.runs, [('a', 160), ('l', 4_640), ('a', 160)]);
}

#[test]
fn comfort_noise_and_events_are_silence_of_their_time() {
    for (kind, payload) in [(13, &[0x40][..]), (101, &[36, 0x0A, 1, 64]), (18, &[7; 20])] {
        let mut s = Stream::new();
        s.audio(0, 0, 0, 160);
        s.other(20, kind, 1, 160, payload);
        s.idle(20);
        assert_eq!(s.heard.runs, [('a', 160)]);
        // Time goes on by our clock meanwhile.
        s.idle(60);
        s.idle(80);
        assert_eq!(s.heard.runs, [('a', 160), ('s', 480)], "{kind}");
        // An event says its last three times, with the time stamp of its beginning.
        s.other(100, kind, 2, 160, payload);
        s.other(100, kind, 3, 160, payload);
        s.audio(120, 4, 960, 160);
        assert_eq!(s.heard.runs, [('a', 160), ('s', 800), ('a', 160)], "{kind}");
        // Said once more after the audio has begun, it changes nothing.
        s.other(120, kind, 5, 160, payload);
        s.audio(140, 6, 1_120, 160);
        assert_eq!(s.heard.runs, [('a', 160), ('s', 800), ('a', 320)], "{kind}");
    }
}

#[test]
fn a_stream_that_stops_is_gone_after_a_second() {
    let mut s = Stream::new();
    s.audio(0, 0, 0, 160);
    for ms in (20..1_000).step_by(20) {
        s.idle(ms);
    }
    assert_eq!(s.heard.runs, [('a', 160)]);
    s.idle(1_000);
    s.idle(1_020);
    assert_eq!(s.heard.runs, [('a', 160), ('l', 8_160)]);
    // It goes on where its own clock has it: what was told is not told again.
    s.audio(2_000, 1, 16_000, 160);
    assert_eq!(s.heard.runs, [('a', 160), ('l', 8_160), ('s', 7_680), ('a', 160)]);
}

#[test]
fn a_halt_of_the_network_costs_no_sample() {
    let mut s = Stream::new();
    s.audio(0, 0, 0, 160);
    for ms in (20..900).step_by(20) {
        s.idle(ms);
    }
    for n in 1..45 {
        s.audio(900, n, n * 160, 160);
    }
    assert_eq!(s.heard.runs, [('a', 45 * 160)]);
}

#[test]
fn a_new_source_starts_afresh_and_the_old_one_does_not_cut_in() {
    let mut receiver = Receiver::new(A_LAW);
    let mut out = Vec::new();
    let mut give = |ms, ssrc, sequence, stamp: u32| {
        let packet = packet(8, ssrc, sequence, stamp, &[ssrc as u8; 160]);
        receiver.receive(at(ms), &packet, |s| match s {
            Step::Audio(_, a) => out.push(a[0]),
            Step::Silence(_) | Step::Lost(_) => panic!("no gap is known"),
        })
    };
    assert_eq!(give(0, 7, 1, 1_000), Taken::Stream);
    assert_eq!(give(20, 8, 9, 900_000_000), Taken::Stream);
    assert_eq!(give(25, 7, 2, 1_160), Taken::Other);
    assert_eq!(give(40, 8, 10, 900_000_160), Taken::Stream);
    // The new one has ended; the old one is back.
    assert_eq!(give(400, 7, 20, 4_000), Taken::Stream);
    assert_eq!(out, [7, 8, 8, 7]);
}

#[test]
fn a_clock_that_is_set_starts_afresh() {
    // The last: half way round, where a distance has no sign.
    let half = (1u32 << 31) - 160;
    for jump in [50_000u32, 0u32.wrapping_sub(50_000), 0u32.wrapping_sub(4_000), half] {
        let mut receiver = Receiver::new(A_LAW);
        let mut audio = 0;
        for n in 0..10u16 {
            let stamp = u32::from(n) * 160 + if n >= 5 { jump } else { 0 };
            let packet = packet(8, 7, n, stamp, &[1; 160]);
            receiver.receive(at(u64::from(n) * 20), &packet, |s| match s {
                Step::Audio(_, a) => audio += a.len(),
                Step::Silence(_) | Step::Lost(_) => panic!("{jump}: no gap"),
            });
        }
        assert_eq!(audio, 1_600, "{jump}");
    }
}

#[test]
fn both_laws_are_understood_whatever_was_agreed() {
    let agreed = Codec { law: Law::A, payload_type: 97 };
    let mut receiver = Receiver::new(agreed);
    let mut laws = Vec::new();
    for (n, kind) in [97, 0, 8, 97].into_iter().enumerate() {
        let packet = packet(kind, 7, n as u16, n as u32 * 160, &[1; 160]);
        receiver.receive(at(0), &packet, |s| match s {
            Step::Audio(law, _) => laws.push(law),
            Step::Silence(_) | Step::Lost(_) => panic!("no gap"),
        });
    }
    assert_eq!(laws, [Law::A, Law::Mu, Law::A, Law::A]);
}

#[test]
fn the_marker_padding_and_extensions_are_no_sound() {
    let mut s = Stream::new();
    // Version 2, padding, extension; marker and payload type 8; one word of extension; four octets of padding.
    let mut odd =
        vec![0xB0, 0x88, 0xFF, 0xFE, 0xFF, 0xFF, 0xFE, 0xD3, 0, 0, 0, 7, 0xBE, 0xDE, 0, 1, 1, 2, 3, 4];
    odd.extend(octets(0, 160));
    odd.extend([0, 0, 0, 4]);
    s.receiver.receive(at(0), &odd, |step| s.heard.step(step));
    s.audio(20, 1, 160, 160);
    assert_eq!(s.heard.runs, [('a', 320)]);
}

#[test]
fn junk_and_rtcp_are_not_of_the_stream() {
    let mut receiver = Receiver::new(A_LAW);
    let mut taken = |datagram: &[u8]| receiver.receive(at(0), datagram, |_| panic!("junk is no audio"));
    for junk in [&[][..], &[0x80], &[0; 12], &[0xFF; 40], &[0x40; 200]] {
        assert_eq!(taken(junk), Taken::No);
    }
    assert_eq!(taken(&packet(72, 7, 0, 0, &[1, 2, 3, 4])), Taken::Other);
    assert_eq!(taken(&packet(8, 7, 0, 0, &[1; 1_601])), Taken::Other);
}

/// A network: which packets come, how late, how often.
fn network() -> impl Strategy<Value = (usize, Vec<(u8, u64, bool)>)> {
    let fate = (0u8..20, 0u64..190, prop::bool::weighted(0.1));
    (prop::sample::select(vec![40usize, 80, 160, 240, 480]), prop::collection::vec(fate, 1..120))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Loss, delay and repeats: every sample that comes within 200 ms is handed on once, in its place.
    #[test]
    fn time_is_kept_and_what_comes_is_heard((size, fates) in network()) {
        let mut s = Stream::new();
        let mut sent: Vec<(u64, usize)> = Vec::new();
        for (n, (lost, late, twice)) in fates.iter().enumerate().skip(1) {
            let time = (n * size / 8) as u64;
            if *lost != 0 {
                sent.push((time + late, n));
            }
            if *twice {
                sent.push((time + late + 13, n));
            }
        }
        sent.sort();
        s.audio(0, 0, 0, size);
        let mut arrived: Vec<usize> = vec![0];
        for (ms, n) in sent {
            s.idle(ms);
            s.audio(ms, n, n * size, size);
            if !arrived.contains(&n) {
                arrived.push(n);
            }
        }
        s.idle(1_000_000);
        // The end: what was told last as gone is no matter.
        let last = arrived.iter().max().unwrap() + 1;
        let heard: usize = s.heard.runs.iter().filter(|r| r.0 == 'a').map(|r| r.1).sum();
        prop_assert_eq!(heard, arrived.len() * size);
        prop_assert!(s.heard.samples >= last * size);
    }

    /// Whatever comes: no panic, nothing grows, and no more time goes by than could.
    #[test]
    fn hostile_packets_cost_bounded_memory(
        packets in prop::collection::vec(
            (prop::bool::ANY, prop::collection::vec(any::<u8>(), 0..64), any::<u8>(), any::<u16>(), any::<u32>(), 0u32..3, 0u64..400),
            0..400,
        ),
    ) {
        let mut receiver = Receiver::new(A_LAW);
        let (mut now, mut time, mut octets) = (0, 0, 0);
        for (raw, payload, kind, sequence, stamp, ssrc, wait) in packets {
            now += wait;
            let datagram = if raw { payload.clone() } else { packet(kind & 0x7F, ssrc, sequence, stamp >> (kind % 32), &payload) };
            octets += payload.len();
            receiver.receive(at(now), &datagram, |s| time += samples(s));
            receiver.idle(at(now), |s| time += samples(s));
            prop_assert!(receiver.held.len() <= HELD && receiver.spare.len() <= HELD);
        }
        let bound = octets + 400 * RESTART as usize + now as usize * 8;
        prop_assert!(time <= bound, "{} > {}", time, bound);
    }
}

fn samples(step: Step<'_>) -> usize {
    match step {
        Step::Audio(_, a) => a.len(),
        Step::Silence(n) | Step::Lost(n) => n,
    }
}

#[test]
fn what_was_told_is_not_told_again_when_a_packet_had_to_wait() {
    let mut receiver = Receiver::new(A_LAW);
    let mut samples = 0;
    let mut count = |step: Step<'_>| {
        samples += match step {
            Step::Audio(_, octets) => octets.len(),
            Step::Silence(n) | Step::Lost(n) => n,
        };
    };
    receiver.receive(at(0), &packet(8, 1, 0, 0, &[0x55; 160]), &mut count);
    receiver.receive(at(20), &packet(13, 1, 1, 160, &[64]), &mut count);
    receiver.idle(at(1_020), &mut count);
    // Three packets are missing before this one, which waits for them in vain.
    receiver.receive(at(1_020), &packet(13, 1, 5, 1_160, &[64]), &mut count);
    receiver.idle(at(1_300), &mut count);
    receiver.idle(at(1_320), &mut count);
    assert!(samples <= 160 + 1_320 * 8, "{samples}");
}
