//! The receiver on bad lines: noise near the limit of theory, V.56bis' lines, levels, idle noise.
//!
//! SNR is that of the data to white noise in 0 to 4 kHz. Every burst has its own data and its own phase of the symbol
//! clock. The bench `modems` measures the same in full, beside spandsp.

use fax_base::bits::OctetBits;
use fax_base::level::Dbm0;
use fax_base::line::Training;
use fax_dsp::modem::{Event, Mode};
use fax_dsp::{Law, QamReceiver, QamTransmitter};
use fax_line::{Ad, Edd, Filter, Gaussian, Line, LocalLoop, PcmLinks, Proakis, Response};

const LEVEL: Dbm0 = Dbm0(-15.0);

/// Es/N0 in dB at which an ideal coherent receiver has a BER of 1e-3 and of 1e-4 after the descrambler.
fn limits(mode: Mode) -> (f32, f32) {
    match mode {
        Mode::V27ter2400 => (11.04, 12.33),
        Mode::V27ter4800 => (16.12, 17.46),
        Mode::V29At4800 => (11.10, 12.39),
        Mode::V29At7200 => (15.28, 16.55),
        Mode::V29At9600 => (18.62, 20.06),
        Mode::V17At7200 => (12.23, 13.13),
        Mode::V17At9600 => (15.48, 16.39),
        Mode::V17At12000 => (18.75, 19.56),
        Mode::V17At14400 => (21.66, 22.52),
    }
}

/// The limits as SNR in 0 to 4 kHz.
fn snr_limits(mode: Mode) -> (f32, f32) {
    let wider = 10.0 * (4000.0 / mode.baud() as f32).log10();
    let (at_3, at_4) = limits(mode);
    (at_3 - wider, at_4 - wider)
}

/// What is done to a burst.
struct Condition<'a> {
    level: Dbm0,
    snr: f32,
    filter: Option<&'a Filter>,
    law: Option<Law>,
    offset: f32,
    ppm: f32,
}

const QUIET: Condition<'static> =
    Condition { level: LEVEL, snr: 35.0, filter: None, law: Some(Law::Mu), offset: 0.0, ppm: 0.0 };

/// A burst with these octets, as it is received, silence around it; noise comes with it.
fn burst(mode: Mode, octets: &[u8], condition: &Condition<'_>, seed: u64) -> Vec<i16> {
    let mut transmitter = QamTransmitter::new(mode, Training::Long, false, LEVEL);
    let mut bits = OctetBits::new(octets);
    let mut block = [0; 160];
    let mut random = Gaussian::new(seed);
    let mut samples = Vec::new();
    loop {
        let made = transmitter.transmit(&mut bits, &mut block);
        samples.extend(block[..made].iter().map(|&s| f32::from(s)));
        if made < block.len() {
            break;
        }
    }
    let data = octets.len() * 8 * 8000 / mode.bit_rate() as usize;
    // The line's own delay is at most 280 samples.
    let (begin, end) = (samples.len() - data + 280, samples.len() - 300);
    samples.resize(samples.len() + 480, 0.0);
    let mut line = Line::new(seed).clock_and_phase(condition.ppm, random.uniform()).offset(condition.offset);
    if let Some(filter) = condition.filter {
        line = line.with(filter.clone());
    }
    line.pass_f32(&mut samples);
    let power = samples[begin..end].iter().map(|s| s * s).sum::<f32>() / (end - begin) as f32;
    let gain = condition.level.0 - Dbm0::from_mean_square(power).0;
    Line::new(seed).gain(gain).snr(condition.level, condition.snr).pass_f32(&mut samples);
    let mut all = vec![0.0; 800 + (random.uniform() * 160.0) as usize];
    all.extend(samples);
    all.resize(all.len() + 800, 0.0);
    if let Some(law) = condition.law {
        Line::new(seed).law(law).pass_f32(&mut all);
    }
    all.into_iter().map(|s| s.round() as i16).collect()
}

fn octets(count: usize, seed: u64) -> Vec<u8> {
    let mut random = Gaussian::new(seed);
    (0..count).map(|_| (random.uniform() * 256.0) as u8).collect()
}

/// Wrong and missing bits, or `None` when there was no training or no data.
fn wrong_bits(mode: Mode, octets: &[u8], samples: &[i16]) -> Option<usize> {
    let mut receiver = QamReceiver::new(mode, Training::Long);
    let mut events = Vec::new();
    samples.chunks(160).for_each(|block| receiver.receive(block, &mut events));
    if !events.iter().any(|event| matches!(event, Event::Trained(_))) {
        return None;
    }
    let mut got = Vec::new();
    for event in events {
        match event {
            Event::Bits { bits, count } => {
                got.extend((0..count).rev().map(|i| Some(bits >> i & 1 == 1)));
            }
            Event::Erased { bits } => got.extend((0..bits).map(|_| None)),
            Event::CarrierUp | Event::Trained(_) | Event::TrainingFailed | Event::CarrierDown => {}
        }
    }
    let sent = octets.iter().flat_map(|o| (0..8).rev().map(move |i| o >> i & 1 == 1));
    let mut got = got.into_iter();
    let wrong = sent.filter(|bit| got.next().flatten() != Some(*bit)).count();
    (wrong * 4 < octets.len() * 8).then_some(wrong)
}

/// Bursts that were received, and wrong bits in them.
fn receive(mode: Mode, snr: f32, bursts: u64, count: usize) -> (u64, usize) {
    let mut result = (0, 0);
    for seed in 0..bursts {
        let octets = octets(count, seed);
        let condition = Condition { snr, law: None, ..QUIET };
        if let Some(wrong) = wrong_bits(mode, &octets, &burst(mode, &octets, &condition, seed + 100)) {
            result = (result.0 + 1, result.1 + wrong);
        }
    }
    result
}

/// At most 1e-4 of the bits are wrong 1.0 dB above the SNR at which theory has that.
#[test]
fn each_mode_comes_near_its_limit() {
    for mode in Mode::ALL {
        let snr = snr_limits(mode).1 + 1.0;
        let (received, wrong) = receive(mode, snr, 50, 250);
        let mean = 50.0 * 2000.0 * 1e-4f32;
        println!("{mode:?} at {snr:.2} dB: {received} of 50, {wrong} of 100 000 bits wrong");
        assert_eq!(received, 50, "{mode:?} at {snr} dB");
        // Three standard deviations; errors come three at a time through the descrambler.
        assert!((wrong as f32) < mean + 3.0 * (3.0 * mean).sqrt(), "{mode:?} at {snr} dB: {wrong}");
    }
}

/// Training succeeds wherever data could be read: where an ideal receiver has a BER of 1e-3, and 0.5 dB.
#[test]
fn training_succeeds_where_data_can_be_read() {
    for mode in Mode::ALL {
        let snr = snr_limits(mode).0 + 0.5;
        let (received, wrong) = receive(mode, snr, 100, mode.bit_rate() as usize / 50);
        println!("{mode:?} at {snr:.2} dB: {received} of 100, {wrong} bits wrong");
        assert!(received >= 99, "{mode:?} at {snr} dB: {received} of 100");
    }
}

/// Every V.56bis line, PCM link, local loop and Proakis' channel, through G.711 with offset and skew.
#[test]
fn every_line_is_equalised() {
    let flat = Response::flat;
    let mut lines = Vec::new();
    for ad in Ad::ALL {
        lines.push((format!("{ad:?}"), flat().with(ad)));
        lines.extend(Edd::ALL.map(|edd| (format!("{ad:?} {edd:?}"), flat().with(ad).with(edd))));
    }
    lines.extend(PcmLinks::ALL.map(|links| (format!("{links:?} PCM"), flat().with(links))));
    lines.extend(LocalLoop::ALL.map(|local| (format!("{local:?}"), flat().with(local))));
    lines.push(("Proakis".into(), flat().with(Proakis)));
    let mut failed = Vec::new();
    for (number, (name, response)) in (0..).zip(lines) {
        let filter = response.filter();
        // One mode of each kind, every line with others.
        let modes = [number % 2, 2 + number % 3, 5 + number % 4].map(|mode| Mode::ALL[mode]);
        for (seed, mode) in (number as u64 * 100..).zip(modes) {
            let octets = octets(250, seed);
            let law = if seed % 2 == 0 { Law::Mu } else { Law::A };
            let sign = if seed % 4 < 2 { 1.0 } else { -1.0 };
            let condition = Condition {
                filter: Some(&filter),
                law: Some(law),
                offset: 7.0 * sign,
                ppm: if seed % 3 == 0 { 200.0 } else { -200.0 },
                ..QUIET
            };
            let wrong = wrong_bits(mode, &octets, &burst(mode, &octets, &condition, seed));
            if wrong != Some(0) {
                failed.push(format!("{name} {mode:?}: {wrong:?}"));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn every_level_is_received() {
    for mode in Mode::ALL {
        for (seed, level) in (0..).zip([-3.0, -10.0, -20.0, -30.0, -38.0, -43.0]) {
            let octets = octets(250, seed);
            let condition = Condition { level: Dbm0(level), ..QUIET };
            let wrong = wrong_bits(mode, &octets, &burst(mode, &octets, &condition, seed));
            assert_eq!(wrong, Some(0), "{mode:?} at {level} dBm0");
        }
    }
}

#[test]
fn idle_noise_is_not_taken_for_a_signal() {
    for level in [-34.0, -46.0] {
        let noise = Line::new(3).noise(Dbm0(level)).law(Law::Mu).pass(&[0; 20 * 8000]);
        for mode in Mode::ALL {
            for training in [Training::Long, Training::Short] {
                let mut receiver = QamReceiver::new(mode, training);
                let mut events = Vec::new();
                noise.chunks(160).for_each(|block| receiver.receive(block, &mut events));
                assert_eq!(events, [], "{mode:?} {training:?} at {level} dBm0");
            }
        }
    }
}

/// Talker echo protection is a plain carrier: no training, and no harm to the one that follows.
#[test]
fn the_carrier_before_a_training_is_not_taken_for_one() {
    for mode in Mode::ALL {
        for (seed, snr) in (0..).zip([35.0, 25.0, snr_limits(mode).1 + 1.0]) {
            let octets = octets(250, seed);
            let mut transmitter = QamTransmitter::new(mode, Training::Long, true, LEVEL);
            let mut samples = vec![0; 16_000];
            let made = transmitter.transmit(&mut OctetBits::new(&octets), &mut samples);
            samples.resize(made.max(8_000) + 800, 0);
            let heard = Line::new(seed).snr(LEVEL, snr).pass(&samples);
            let mut receiver = QamReceiver::new(mode, Training::Long);
            let mut events = Vec::new();
            heard.chunks(160).for_each(|block| receiver.receive(block, &mut events));
            let told: Vec<_> = events
                .iter()
                .filter(|e| !matches!(e, Event::Bits { bits: _, count: _ } | Event::Erased { bits: _ }))
                .collect();
            assert!(
                matches!(told[..], [Event::CarrierUp, Event::Trained(_), ..]),
                "{mode:?} at {snr} dB: {told:?}"
            );
        }
    }
}
