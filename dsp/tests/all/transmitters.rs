//! The transmitters into spandsp's receivers, and their levels (V.17, V.29, V.27ter).

use fax_base::bits::{BitSource, OctetBits};
use fax_base::level::Dbm0;
use fax_base::line::Training;
use fax_dsp::QamTransmitter;
use fax_dsp::modem::Mode;
use spandsp_peer::modem::{Event, Modem, Rx, bits};

fn modem(mode: Mode) -> Modem {
    match mode {
        Mode::V27ter2400 => Modem::V27ter2400,
        Mode::V27ter4800 => Modem::V27ter4800,
        Mode::V29At4800 => Modem::V29At4800,
        Mode::V29At7200 => Modem::V29At7200,
        Mode::V29At9600 => Modem::V29At9600,
        Mode::V17At7200 => Modem::V17At7200,
        Mode::V17At9600 => Modem::V17At9600,
        Mode::V17At12000 => Modem::V17At12000,
        Mode::V17At14400 => Modem::V17At14400,
    }
}

fn random_octets(count: usize, seed: u32) -> Vec<u8> {
    let mut x = seed;
    (0..count)
        .map(|_| {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (x >> 24) as u8
        })
        .collect()
}

/// The whole burst, in blocks of odd length.
fn burst(mut transmitter: QamTransmitter, octets: &[u8]) -> Vec<i16> {
    let mut source = OctetBits::new(octets);
    let mut samples = Vec::new();
    let mut block = [0; 163];
    loop {
        let made = transmitter.transmit(&mut source, &mut block);
        samples.extend_from_slice(&block[..made]);
        if made < block.len() {
            return samples;
        }
    }
}

/// The bits sent must be among those heard, without an error and nothing but ones between them and the
/// training.
fn assert_heard(events: &[Event], octets: &[u8], what: &str) {
    assert!(events.contains(&Event::TrainingSucceeded), "{what}: not trained");
    let heard = bits(events);
    let mut source = OctetBits::new(octets);
    let sent: Vec<bool> = std::iter::from_fn(|| source.next_bit()).collect();
    let start = heard.windows(64).position(|w| w == &sent[..64]);
    assert!(start.is_some(), "{what}: data not found");
    let start = start.unwrap_or_default();
    assert!(heard.len() >= start + sent.len(), "{what}: {} of {}", heard.len() - start, sent.len());
    let wrong = sent.iter().zip(&heard[start..]).filter(|(a, b)| a != b).count();
    assert_eq!(wrong, 0, "{what}: bit errors");
}

/// 28,800 random bits in every mode, with and without talker echo protection, at both ends of the usual levels.
#[test]
fn spandsp_receives_every_mode() {
    for mode in Mode::ALL {
        // spandsp's V.29 receiver does not train on fainter signals, its own transmitter's included.
        let faint = match mode {
            Mode::V29At4800 | Mode::V29At7200 | Mode::V29At9600 => -22.0,
            Mode::V27ter2400
            | Mode::V27ter4800
            | Mode::V17At7200
            | Mode::V17At9600
            | Mode::V17At12000
            | Mode::V17At14400 => -40.0,
        };
        for (echo_protection, level) in [(false, -13.0), (true, -13.0), (true, faint), (false, -9.0)] {
            let octets = random_octets(3600, mode.bit_rate());
            let mut rx = Rx::new(modem(mode));
            let mut events = Vec::new();
            let mut samples = vec![0; 600];
            let transmitter = QamTransmitter::new(mode, Training::Long, echo_protection, Dbm0(level));
            samples.extend(burst(transmitter, &octets));
            samples.extend([0; 1600]);
            rx.receive(&samples, &mut events);
            assert_heard(&events, &octets, &format!("{mode:?} {echo_protection} {level}"));
        }
    }
}

/// V.17's short training after a long one.
#[test]
fn spandsp_receives_short_training() {
    for mode in [Mode::V17At7200, Mode::V17At9600, Mode::V17At12000, Mode::V17At14400] {
        for echo_protection in [false, true] {
            let octets = random_octets(3600, mode.bit_rate());
            let mut rx = Rx::new(modem(mode));
            let mut samples = burst(QamTransmitter::new(mode, Training::Long, false, Dbm0(-13.0)), &octets);
            samples.extend([0; 800]);
            rx.receive(&samples, &mut Vec::new());
            rx.restart(true);
            let mut events = Vec::new();
            let mut samples =
                burst(QamTransmitter::new(mode, Training::Short, echo_protection, Dbm0(-13.0)), &octets);
            samples.extend([0; 1600]);
            rx.receive(&samples, &mut events);
            assert_heard(&events, &octets, &format!("{mode:?} {echo_protection}"));
        }
    }
}

fn level(samples: &[i16]) -> f32 {
    let sum: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
    Dbm0::from_mean_square((sum / samples.len() as f64) as f32).0
}

#[test]
fn levels_are_exact() {
    for mode in Mode::ALL {
        for want in [-43.0, -25.0, -13.0, -9.0] {
            let above = match mode {
                Mode::V17At12000 => 0.21,
                Mode::V17At14400 => 0.11,
                Mode::V27ter2400
                | Mode::V27ter4800
                | Mode::V29At4800
                | Mode::V29At7200
                | Mode::V29At9600
                | Mode::V17At7200
                | Mode::V17At9600 => 0.0,
            };
            let octets = random_octets(20_000, 3);
            let samples = burst(QamTransmitter::new(mode, Training::Long, true, Dbm0(want)), &octets);
            let data = &samples[16_000..samples.len() - 400];
            assert!((level(data) - want - above).abs() < 0.1, "{mode:?} {want} {}", level(data));
            let training = &samples[1_800..3_600];
            assert!((level(training) - want).abs() < 0.1, "{mode:?} {want} {}", level(training));
            let carrier = &samples[160..1_440];
            assert!((level(carrier) - want).abs() < 0.1, "{mode:?} {want} {}", level(carrier));
            let silence = &samples[1_600..1_680];
            assert!(level(silence) < want - 40.0, "{mode:?} {want} {}", level(silence));
        }
    }
}

/// The time a burst takes: training, data, turn-off and 16 or 8 symbols of the pulses' length.
#[test]
fn bursts_last_as_long_as_they_should() {
    for (mode, training, symbols) in [
        (Mode::V17At14400, Training::Long, 3344 + 32 + 16),
        (Mode::V17At14400, Training::Short, 342 + 32 + 16),
        (Mode::V29At9600, Training::Long, 560 + 24 + 16),
        (Mode::V29At9600, Training::Short, 560 + 24 + 16),
        (Mode::V27ter4800, Training::Long, 1132 + 12 + 8),
        (Mode::V27ter2400, Training::Long, 1132 + 9 + 8),
    ] {
        for octets in [0usize, 3, 900] {
            let data = (8 * octets).div_ceil(mode.bits_per_symbol() as usize);
            let samples =
                burst(QamTransmitter::new(mode, training, false, Dbm0(-13.0)), &random_octets(octets, 5));
            let want = (symbols + data) * 8000 / mode.baud() as usize;
            assert!((want..want + 41).contains(&samples.len()), "{mode:?} {want} {}", samples.len());
            assert!(level(&samples[samples.len() - 24..]) < -40.0, "{mode:?}");
        }
    }
}

/// Power at a frequency, over pieces of 50 ms with Hann's window.
fn density(samples: &[i16], hertz: f32) -> f32 {
    let pieces = samples.chunks_exact(400).map(|piece| {
        let (mut re, mut im) = (0.0, 0.0);
        for (i, s) in piece.iter().enumerate() {
            let window = 1.0 - (i as f32 / 400.0 * core::f32::consts::TAU).cos();
            let (sin, cos) = (i as f32 * hertz / 8000.0 * core::f32::consts::TAU).sin_cos();
            re += f32::from(*s) * window * cos;
            im += f32::from(*s) * window * sin;
        }
        f64::from(re * re + im * im)
    });
    (10.0 * pieces.sum::<f64>().log10()) as f32
}

/// What the Recommendations allow at the edges of the band (V.17 §2.2 and V.29: 4.5 dB ± 2.5 dB down, V.27ter: 3 dB ±
/// 2 dB), and next to nothing beyond them.
#[test]
fn spectra() {
    for (mode, low, high, down, within) in [
        (Mode::V17At14400, 600, 3000, 4.5, 2.5),
        (Mode::V29At9600, 500, 2900, 4.5, 2.5),
        (Mode::V27ter4800, 1000, 2600, 3.0, 2.0),
        (Mode::V27ter2400, 1200, 2400, 3.0, 2.0),
    ] {
        let octets = random_octets(mode.bit_rate() as usize * 5, 9);
        let samples = burst(QamTransmitter::new(mode, Training::Long, false, Dbm0(-13.0)), &octets);
        let data = &samples[12_000..samples.len() - 400];
        let most =
            (low..=high).step_by(100).map(|hertz| density(data, hertz as f32)).fold(f32::MIN, f32::max);
        for edge in [low, high] {
            let below = most - density(data, edge as f32);
            assert!((below - down).abs() < within, "{mode:?} {edge} Hz: {below} dB");
        }
        let (width, shaped) = (high - low, if mode.baud() == 2400 { 1.25 } else { 1.5 });
        let beyond = (width as f32 * shaped - width as f32) / 2.0 + 100.0;
        for hertz in [low as f32 - beyond, high as f32 + beyond] {
            let below = most - density(data, hertz);
            assert!(below > 30.0, "{mode:?} {hertz} Hz: {below} dB");
        }
    }
}
