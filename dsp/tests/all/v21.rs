//! V.21: our receiver and transmitter by themselves, beside spandsp's and with them (V.21, T.30 §5.3.1).

use fax_base::bits::BitSource;
use fax_base::level::Dbm0;
use fax_base::line::Training;
use fax_dsp::modem::{Event, Mode};
use fax_dsp::{FskReceiver, FskTransmitter, QamTransmitter, ToneGenerator};
use sounds::{Random, add_noise};
use spandsp_peer::modem::{self, Modem, Rx, Tx};

use crate::sounds;

/// So many bits of flags, then random ones.
struct Bits {
    flags: usize,
    left: usize,
    random: Random,
    sent: Vec<bool>,
}

impl Bits {
    fn new(flags: usize, random: usize, seed: u64) -> Self {
        Bits { flags, left: flags + random, random: Random(seed), sent: Vec::new() }
    }
}

impl BitSource for Bits {
    fn next_bit(&mut self) -> Option<bool> {
        self.left = self.left.checked_sub(1)?;
        let bit = if self.sent.len() < self.flags {
            !matches!(self.sent.len() % 8, 0 | 7)
        } else {
            self.random.next() & 1 == 1
        };
        self.sent.push(bit);
        Some(bit)
    }
}

fn samples(mut transmit: impl FnMut(&mut [i16]) -> usize) -> Vec<i16> {
    let mut all = Vec::new();
    let mut block = [0; 77];
    loop {
        let made = transmit(&mut block);
        all.extend_from_slice(&block[..made]);
        if made < block.len() {
            return all;
        }
    }
}

/// What the receiver made of it: the bits, `None` where they were erased.
fn heard(events: &[Event]) -> Vec<Option<bool>> {
    let mut all = Vec::new();
    for event in events {
        match event {
            Event::Bits { bits, count } => {
                all.extend((0..*count).rev().map(|i| Some((bits >> i) & 1 == 1)));
            }
            Event::Erased { bits } => all.extend((0..*bits).map(|_| None)),
            Event::CarrierUp | Event::CarrierDown | Event::Trained(_) | Event::TrainingFailed => {}
        }
    }
    all
}

/// Wrong bits among `sent[skip..]`, for the best place of what was heard; those missing count half.
fn errors(sent: &[bool], heard: &[Option<bool>], skip: usize) -> f64 {
    let mut best = f64::MAX;
    for shift in -40i64..120 {
        let mut wrong = 0.0;
        for (i, bit) in sent.iter().enumerate().skip(skip) {
            match usize::try_from(i as i64 - shift).ok().and_then(|i| heard.get(i)) {
                Some(Some(b)) => wrong += f64::from(u8::from(b != bit)),
                Some(None) | None => wrong += 0.5,
            }
            if wrong > best {
                break;
            }
        }
        best = best.min(wrong);
    }
    best
}

fn receive(samples: &[i16]) -> Vec<Event> {
    let mut rx = FskReceiver::v21_channel_2();
    let mut events = Vec::new();
    for block in samples.chunks(160) {
        rx.receive(block, &mut events);
    }
    events
}

/// When the carrier came up and went, ms.
fn carrier(samples: &[i16]) -> Vec<(usize, bool)> {
    let mut rx = FskReceiver::v21_channel_2();
    let (mut events, mut times) = (Vec::new(), Vec::new());
    for (ms, block) in samples.chunks(8).enumerate() {
        let before = rx.carrier();
        rx.receive(block, &mut events);
        if rx.carrier() != before {
            times.push((ms, !before));
        }
    }
    times
}

/// 200 ms of nothing, flags and random bits, 200 ms of nothing.
fn burst(level: f32, bits: &mut Bits) -> Vec<i16> {
    let mut tx = FskTransmitter::v21_channel_2(Dbm0(level));
    let mut all = vec![0; 1600];
    all.extend(samples(|out| tx.transmit(bits, out)));
    all.extend([0; 1600]);
    all
}

#[test]
fn level_frequency_and_length_are_exact() {
    for want in [-43.0, -25.0, -13.0, -9.0, 0.0] {
        for (mut tx, middle) in [
            (FskTransmitter::v21_channel_1(Dbm0(want)), 1080.0),
            (FskTransmitter::v21_channel_2(Dbm0(want)), 1750.0),
        ] {
            let mut bits = Bits::new(0, 3000, 1);
            let signal = samples(|out| tx.transmit(&mut bits, out));
            assert_eq!(signal.len(), 80_000);
            let power: f64 = signal.iter().map(|s| f64::from(*s).powi(2)).sum();
            let level = Dbm0::from_mean_square((power / signal.len() as f64) as f32).0;
            assert!((level - want).abs() < 0.05, "{want} {level}");
            let rising = signal.windows(2).filter(|w| w[0] < 0 && w[1] >= 0).count() as f32 / 10.0;
            let ones = bits.sent.iter().filter(|b| **b).count() as f32 / 3000.0;
            let mean = middle + 100.0 - 200.0 * ones;
            assert!((rising - mean).abs() < 1.0, "{rising} {mean}");
        }
    }
}

#[test]
fn spandsp_receives_ours() {
    for (modem, channel) in [
        (Modem::V21Channel1, FskTransmitter::v21_channel_1 as fn(Dbm0) -> FskTransmitter),
        (Modem::V21Channel2, FskTransmitter::v21_channel_2),
    ] {
        let mut bits = Bits::new(160, 28_800, 3);
        let mut tx = channel(Dbm0(-13.0));
        let mut signal = vec![0; 1600];
        signal.extend(samples(|out| tx.transmit(&mut bits, out)));
        signal.extend([0; 1600]);
        let mut events = Vec::new();
        Rx::new(modem).receive(&signal, &mut events);
        let heard: Vec<_> = modem::bits(&events).into_iter().map(Some).collect();
        assert_eq!(errors(&bits.sent, &heard, 160), 0.0, "{modem:?}");
    }
}

#[test]
fn ours_receives_spandsp() {
    for (modem, mut rx) in [
        (Modem::V21Channel1, FskReceiver::v21_channel_1()),
        (Modem::V21Channel2, FskReceiver::v21_channel_2()),
    ] {
        let mut bits = Bits::new(160, 28_800, 3);
        let mut tx = Tx::new(modem, false, false);
        let mut signal = vec![0; 1600];
        signal.extend(samples(|out| tx.transmit(&mut bits, out)));
        signal.extend([0; 1600]);
        let mut events = Vec::new();
        rx.receive(&signal, &mut events);
        assert_eq!(errors(&bits.sent, &heard(&events), 160), 0.0, "{modem:?}");
        assert_eq!(events.iter().filter(|e| **e == Event::CarrierUp).count(), 1);
        assert_eq!(events.last(), Some(&Event::CarrierDown));
    }
}

/// spandsp's receiver as its fax machine sets it, with slips allowed.
fn spandsp_errors(signal: &[i16], sent: &[bool], skip: usize) -> f64 {
    let mut events = Vec::new();
    let mut rx = Rx::new(Modem::V21Channel2);
    rx.set_signal_cutoff(-39.09);
    rx.receive(signal, &mut events);
    let heard: Vec<_> = modem::bits(&events).into_iter().map(Some).collect();
    let (mut at, mut wrong) = (0i64, 0.0);
    for (k, part) in sent.chunks(500).enumerate().skip(skip / 500) {
        let tries = (-130i64..130).map(|shift| {
            let from = k as i64 * 500 + at + shift;
            let heard = heard.get(usize::try_from(from).unwrap_or(0)..).unwrap_or_default();
            let right = part.iter().zip(heard).filter(|(a, b)| Some(**a) == **b).count();
            (part.len() - right, shift)
        });
        let (least, shift) = tries.min().unwrap_or_default();
        at += shift;
        wrong += least as f64;
    }
    wrong
}

/// Errors at signal to noise ratios over 0 to 4 kHz, with spandsp's beside them.
#[test]
fn noise() {
    for (snr, bits, most) in [
        (30.0, 3_000, 0.0),
        (6.0, 100_000, 0.0),
        (3.0, 100_000, 0.0),
        (1.5, 60_000, 1e-4),
        (-1.5, 20_000, 1e-3),
        (-3.0, 20_000, 4e-3),
    ] {
        let mut source = Bits::new(300, bits, 7);
        let mut signal = burst(-15.0, &mut source);
        add_noise(&mut signal, -15.0 - snr, 9);
        let ours = errors(&source.sent, &heard(&receive(&signal)), 300) / bits as f64;
        let theirs = spandsp_errors(&signal, &source.sent, 500) / bits as f64;
        println!("SNR {snr:5.1} dB: BER {ours:.1e}, spandsp {theirs:.1e}");
        assert!(ours <= most && ours <= theirs, "{snr}: {ours} {theirs}");
    }
}

/// A transmitter as bad as one may be: tones off by `offset` Hz and by `spread` Hz from each other, bits longer by
/// `skew`, boundaries displaced by up to `distortion` of a bit, phase broken at each change.
#[derive(Clone, Copy, Debug)]
struct Poor {
    offset: f32,
    spread: f32,
    skew: f32,
    distortion: f32,
    broken: bool,
}

const GOOD: Poor = Poor { offset: 0.0, spread: 0.0, skew: 0.0, distortion: 0.0, broken: false };

impl Poor {
    fn signal(self, bits: &mut Bits, level: f32) -> Vec<i16> {
        let amplitude = Dbm0(level).sine_amplitude();
        let mut random = Random(77);
        let (mut samples, mut phase) = (Vec::new(), 0f32);
        let mut end = 0.0;
        let mut last = None;
        while let Some(bit) = bits.next_bit() {
            end += 8000.0 / 300.0 * (1.0 + self.skew);
            let shake = (random.next() as f32 / 2_147_483_648.0 - 1.0) * self.distortion * 8000.0 / 300.0;
            if self.broken && last.is_some_and(|last| last != bit) {
                phase += random.next() as f32 / 4_294_967_296.0;
            }
            last = Some(bit);
            let hertz =
                if bit { 1650.0 - self.spread / 2.0 } else { 1850.0 + self.spread / 2.0 } + self.offset;
            while (samples.len() as f32) < end + shake {
                samples.push((amplitude * (phase * core::f32::consts::TAU).sin()).round() as i16);
                phase = (phase + hertz / 8000.0).fract();
            }
        }
        samples
    }
}

/// Everything that a transmitter may do and more, at 6 dB: T.30 asks for 40 % of distortion, that is a fifth of a bit
/// to either side.
#[test]
fn poor_transmitters() {
    for (poor, most) in [
        (Poor { offset: 12.0, ..GOOD }, 0.0),
        (Poor { offset: -12.0, ..GOOD }, 0.0),
        (Poor { spread: 12.0, ..GOOD }, 0.0),
        (Poor { spread: -12.0, ..GOOD }, 0.0),
        (Poor { skew: 3e-4, ..GOOD }, 0.0),
        (Poor { skew: -3e-4, ..GOOD }, 0.0),
        (Poor { distortion: 0.1, ..GOOD }, 0.0),
        (Poor { distortion: 0.2, ..GOOD }, 1e-4),
        (Poor { offset: 12.0, spread: 12.0, skew: 1e-4, distortion: 0.2, broken: false }, 1e-4),
        (Poor { broken: true, ..GOOD }, 5e-2),
    ] {
        let mut bits = Bits::new(300, 20_000, 7);
        let mut signal = vec![0; 1600];
        signal.extend(poor.signal(&mut bits, -15.0));
        signal.extend([0; 800]);
        let clean = errors(&bits.sent, &heard(&receive(&signal)), 300) / 20_000.0;
        add_noise(&mut signal, -21.0, 9);
        let noisy = errors(&bits.sent, &heard(&receive(&signal)), 300) / 20_000.0;
        println!("{poor:?}: BER {clean:.1e}, {noisy:.1e} at 6 dB");
        assert!(clean <= most && noisy <= most, "{poor:?} {clean} {noisy}");
    }
}

#[test]
fn the_carrier_comes_and_goes_in_time() {
    for level in [-43.0, -30.0, -13.0, -3.0] {
        for snr in [40.0, 12.0, 6.0] {
            let mut bits = Bits::new(240, 60, 7);
            let mut signal = burst(level, &mut bits);
            add_noise(&mut signal, level - snr, 11);
            let times = carrier(&signal);
            assert!(matches!(times[..], [(_, true), (_, false)]), "{level} {snr}: {times:?}");
            let (up, down) = (times[0].0, times[1].0);
            assert!((220..=260).contains(&up), "{level} {snr}: up {up}");
            assert!((1200..=1230).contains(&down), "{level} {snr}: down {down}");
        }
    }
    assert_eq!(carrier(&burst(-48.0, &mut Bits::new(240, 60, 7))), []);
    // It goes where the level falls to −48 dBm0.
    let mut signal = burst(-40.0, &mut Bits::new(600, 0, 7));
    for s in &mut signal[9600..] {
        *s = (f32::from(*s) * 0.398).round() as i16;
    }
    assert!(matches!(carrier(&signal)[..], [(_, true), (1200..=1240, false)]));
}

/// The bit clock runs on through lost samples: the bits that they touch are erased, no other is, and none is
/// shifted.
#[test]
fn gaps() {
    let mut random = Random(5);
    for gap in [1, 7, 27, 80, 160, 320, 480, 800, 1600] {
        for _ in 0..12 {
            let mut bits = Bits::new(240, 600, random.0);
            let signal = burst(-13.0, &mut bits);
            let from = 1600 + 6400 + random.next() as usize % 8000;
            let mut rx = FskReceiver::v21_channel_2();
            let mut events = Vec::new();
            rx.receive(&signal[..from], &mut events);
            // As the network loses them, in packets.
            for lost in signal[from..from + gap].chunks(160) {
                rx.receive_gap(lost.len(), &mut events);
            }
            rx.receive(&signal[from + gap..], &mut events);
            let heard = heard(&events);
            let whole = heard_whole(&signal);
            let erased = heard.iter().filter(|b| b.is_none()).count();
            // The bits touched; and as samples are counted by five, now and then one more.
            assert!(erased * 80 >= gap * 3 && erased <= gap * 3 / 80 + 2, "{gap} {from}: {erased}");
            let end = whole.len().min(heard.len()) - 12;
            for (i, (a, b)) in whole.iter().zip(&heard).enumerate().take(end) {
                assert!(b.is_none() || a == b, "{gap} {from}: bit {i}");
            }
            let first = heard.iter().position(Option::is_none).unwrap();
            assert!(heard[first..first + erased].iter().all(Option::is_none));
            assert_eq!(events.iter().filter(|e| **e == Event::CarrierDown).count(), 1);
        }
    }
}

fn heard_whole(signal: &[i16]) -> Vec<Option<bool>> {
    heard(&receive(signal))
}

#[test]
fn a_longer_loss_ends_the_carrier() {
    let mut bits = Bits::new(900, 0, 1);
    let signal = burst(-13.0, &mut bits);
    let mut rx = FskReceiver::v21_channel_2();
    let mut events = Vec::new();
    rx.receive(&signal[..8000], &mut events);
    assert!(rx.carrier());
    rx.receive_gap(1500, &mut events);
    assert!(rx.carrier());
    rx.receive_gap(200, &mut events);
    assert!(!rx.carrier());
    rx.receive(&signal[9700..], &mut events);
    let edges: Vec<_> =
        events.iter().filter(|e| matches!(e, Event::CarrierUp | Event::CarrierDown)).collect();
    assert_eq!(edges, [&Event::CarrierUp, &Event::CarrierDown, &Event::CarrierUp, &Event::CarrierDown]);
}

/// For how many ms in all, and at most at once, the carrier was up.
fn carried(samples: &[i16]) -> (usize, usize) {
    let times = carrier(samples);
    let runs = times.chunks(2).map(|c| c.last().map_or(0, |l| l.0) - c.first().map_or(0, |f| f.0));
    (runs.clone().sum(), runs.max().unwrap_or(0))
}

#[test]
fn fast_modems_noise_and_tones_are_not_v21() {
    for mode in Mode::ALL {
        for training in [Training::Long, Training::Short] {
            let mut bits = Bits::new(80, 200_000, 7);
            let mut tx = QamTransmitter::new(mode, training, true, Dbm0(-13.0));
            assert_eq!(carried(&samples(|out| tx.transmit(&mut bits, out))), (0, 0), "{mode:?}");
        }
    }
    for level in [-34.0, -15.0] {
        assert_eq!(carried(&sounds::noise(300, level, 5)), (0, 0), "{level}");
    }
    for hertz in [1100.0, 1650.0, 1700.0, 1750.0, 1800.0, 1850.0, 2100.0] {
        let mut tone = vec![0; 80_000];
        ToneGenerator::new(hertz, Dbm0(-10.0)).transmit(&mut tone);
        assert_eq!(carried(&tone), (0, 0), "{hertz}");
        add_noise(&mut tone, -20.0, 3);
        assert_eq!(carried(&tone), (0, 0), "{hertz}");
    }
    let mut ced = vec![0; 80_000];
    ToneGenerator::ced(Dbm0(-10.0), true).transmit(&mut ced);
    assert_eq!(carried(&ced), (0, 0));
    let mut bits = Bits::new(80, 3_000, 7);
    let mut tx = FskTransmitter::v21_channel_1(Dbm0(-13.0));
    assert_eq!(carried(&samples(|out| tx.transmit(&mut bits, out))), (0, 0));
}

/// In ten minutes of each, a moment is taken for V.21 now and then. When a note that follows is by chance one of
/// the tones (A♯ of 1865 Hz: zeros), it lasts as long as that.
#[test]
fn speech_and_music_are_hardly_ever_v21() {
    for (what, sound) in [
        ("speech", sounds::speech as fn(usize, f32, u64) -> Vec<i16>),
        ("music", sounds::music),
        ("signalling", sounds::signalling),
    ] {
        for (level, seed) in [(-12.0, 15), (-22.0, 16)] {
            let (all, longest) = carried(&sound(600, level, seed));
            println!("{what} at {level} dBm0: {all} ms of 600 s, at most {longest} ms");
            assert!(
                all < 2_000 && longest < if what == "music" { 1_500 } else { 300 },
                "{what} {level}: {all} {longest}"
            );
        }
    }
}
