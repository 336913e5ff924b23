//! Tolerances, levels, noise, other tones, and speech that must not be taken for a fax.

use super::*;
use crate::g711::Law;
use crate::tone::ToneGenerator;

/// A small generator of noise; the same for every run.
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / 8_388_608.0 - 1.0
    }

    fn gauss(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() / 2.0
    }
}

fn tone(frequency: f32, level: f32, millis: usize) -> Vec<i16> {
    let mut samples = vec![0; millis * 8];
    ToneGenerator::new(frequency, Dbm0(level)).transmit(&mut samples);
    samples
}

fn heard(samples: &[i16]) -> Vec<Tone> {
    let mut d = ToneDetector::new();
    let mut heard = Vec::new();
    for block in samples.chunks(160) {
        d.receive(block, &mut heard);
    }
    heard
}

/// When a tone was recognised, ms.
fn when(samples: &[i16]) -> Option<usize> {
    let mut d = ToneDetector::new();
    let mut heard = Vec::new();
    samples.chunks(8).position(|block| {
        d.receive(block, &mut heard);
        !heard.is_empty()
    })
}

#[test]
fn within_tolerance_at_every_level() {
    for level in [-42.0, -30.0, -13.0, -3.0, 0.0] {
        for offset in [-38.0, -20.0, 0.0, 20.0, 38.0] {
            assert_eq!(heard(&tone(1100.0 + offset, level, 425)), [Tone::Cng], "{level} {offset}");
        }
        for offset in [-15.0, 0.0, 15.0] {
            assert_eq!(heard(&tone(2100.0 + offset, level, 2600)), [Tone::Ced], "{level} {offset}");
        }
    }
    let t = when(&tone(1100.0, -20.0, 500)).unwrap();
    assert!((200..=400).contains(&t), "{t}");
}

#[test]
fn outside_tolerance_and_too_faint() {
    for frequency in [425.0, 440.0, 480.0, 950.0, 1000.0, 1035.0, 1165.0, 1180.0, 1300.0, 1400.0] {
        assert_eq!(heard(&tone(frequency, -10.0, 3000)), [], "{frequency}");
    }
    for frequency in [1800.0, 1850.0, 1650.0, 2000.0, 2070.0, 2130.0, 2250.0, 2225.0] {
        assert_eq!(heard(&tone(frequency, -10.0, 3000)), [], "{frequency}");
    }
    assert_eq!(heard(&tone(1100.0, -48.0, 3000)), []);
    assert_eq!(heard(&vec![0; 8000]), []);
    // Too short.
    assert_eq!(heard(&[tone(1100.0, -10.0, 180), vec![0; 4000]].concat()), []);
}

#[test]
fn reversals_modulation_and_cadence() {
    let mut ced = vec![0; 8 * 3000];
    ToneGenerator::ced(Dbm0(-13.0), true).transmit(&mut ced);
    assert_eq!(heard(&ced), [Tone::Ced]);
    // ANSam: 15 Hz, 20 %.
    let mut ansam = vec![0; 8 * 3000];
    ToneGenerator::ansam(Dbm0(-13.0), true).transmit(&mut ansam);
    assert_eq!(heard(&ansam), [Tone::Ced]);
    // So is every CED.
    assert_eq!(heard(&[ced, vec![0; 8000], ansam].concat()), [Tone::Ced; 2]);
    // Every CNG is told.
    let cycle = [tone(1100.0, -15.0, 500), vec![0; 24_000]].concat();
    assert_eq!(heard(&cycle.repeat(4)), [Tone::Cng; 4]);
}

/// The four kinds of answer tone, a little off, in noise, and with the first 100 ms missing.
#[test]
fn answer_tones_are_told_apart() {
    for (reversals, modulated) in [(false, false), (true, false), (false, true), (true, true)] {
        for level in [-10.0, -38.0] {
            let generator = if modulated { ToneGenerator::ansam } else { ToneGenerator::ced };
            let mut samples = vec![0; 8 * 3000];
            generator(Dbm0(level), reversals).transmit(&mut samples);
            let mut noise = Noise(3);
            let rms = Dbm0(level - 15.0).sine_amplitude() / 2f32.sqrt();
            for s in &mut samples {
                *s = (f32::from(*s) + noise.gauss() * rms) as i16;
            }
            let mut d = ToneDetector::new();
            let mut heard = Vec::new();
            assert_eq!(d.answer_tone(), None);
            d.receive(&samples[800..], &mut heard);
            assert_eq!(heard, [Tone::Ced]);
            assert_eq!(d.answer_tone(), Some(AnswerTone { reversals, modulated }), "{level}");
            d.receive(&[0; 4000], &mut heard);
            assert_eq!(d.answer_tone(), None);
        }
    }
}

#[test]
fn in_noise_and_through_g711() {
    for law in [Law::A, Law::Mu] {
        for (frequency, want) in [(1100.0, Tone::Cng), (2100.0, Tone::Ced)] {
            let mut noise = Noise(7);
            // 8 dB of signal to noise.
            let rms = Dbm0(-28.0).sine_amplitude() / 2f32.sqrt();
            let samples: Vec<i16> = tone(frequency, -20.0, 2000)
                .into_iter()
                .map(|s| law.decode(law.encode((f32::from(s) + noise.gauss() * rms) as i16)))
                .collect();
            assert_eq!(heard(&samples), [want]);
        }
    }
}

#[test]
fn a_gap_does_not_make_a_tone() {
    let mut d = ToneDetector::new();
    let mut heard = Vec::new();
    let samples = tone(1100.0, -15.0, 100);
    for _ in 0..20 {
        d.receive(&samples, &mut heard);
        d.receive_gap(2400);
    }
    assert_eq!(heard, []);
    // A short one does not unmake it.
    for _ in 0..4 {
        d.receive(&tone(1100.0, -15.0, 120), &mut heard);
        d.receive_gap(160);
    }
    assert_eq!(heard, [Tone::Cng]);
}

/// Ten minutes of something like speech: voiced sounds with gliding pitch and formants, some of them
/// near the tones, hisses and pauses.
#[test]
fn speech_is_no_tone() {
    for seed in 1..=4 {
        let mut noise = Noise(seed);
        let mut samples: Vec<i16> = Vec::new();
        let mut phase = 0.0f32;
        while samples.len() < 8000 * 150 {
            let millis = 60 + (noise.uniform().abs() * 300.0) as usize;
            let kind = noise.uniform();
            let (pitch, glide) = (160.0 + noise.uniform() * 90.0, noise.uniform() * 60.0);
            let formants: Vec<(f32, f32)> = [(500.0, 300.0), (1300.0, 500.0), (2300.0, 400.0)]
                .iter()
                .map(|(f, spread)| (f + noise.uniform() * spread, 60.0 + noise.uniform().abs() * 80.0))
                .collect();
            let loud = 10f32.powf(-noise.uniform().abs()) * 9000.0;
            let n = millis * 8;
            let mut hiss = 0.0;
            for i in 0..n {
                let t = i as f32 / n as f32;
                let envelope = (t * core::f32::consts::PI).sin();
                let value = if kind < -0.6 {
                    0.0
                } else if kind < -0.2 {
                    hiss = 0.5 * hiss - noise.gauss();
                    hiss * 0.3
                } else {
                    let f0 = pitch + glide * t + 4.0 * (i as f32 / 8000.0 * 5.0 * TAU).sin();
                    phase = (phase + f0 / 8000.0).fract();
                    (1..24)
                        .map(|k| k as f32)
                        .take_while(|k| k * f0 < 3400.0)
                        .map(|k| {
                            let gain: f32 =
                                formants.iter().map(|(f, w)| 1.0 / (1.0 + ((k * f0 - f) / w).powi(2))).sum();
                            gain * (phase * k * TAU).sin()
                        })
                        .sum::<f32>()
                        * 0.4
                };
                samples.push((value * envelope * loud + noise.gauss() * 20.0).clamp(-32e3, 32e3) as i16);
            }
        }
        assert_eq!(heard(&samples), [], "{seed}");
    }
}

/// DTMF, ring-back, busy and special information tones.
#[test]
fn signalling_is_no_fax() {
    let two = |a: f32, b: f32| -> Vec<i16> {
        tone(a, -12.0, 600).iter().zip(tone(b, -12.0, 600)).map(|(a, b)| a + b).collect()
    };
    for (a, b) in
        [(697.0, 1209.0), (941.0, 1209.0), (852.0, 1336.0), (440.0, 480.0), (350.0, 440.0), (480.0, 620.0)]
    {
        assert_eq!(heard(&two(a, b)), [], "{a} {b}");
    }
    let sit = [tone(950.0, -12.0, 330), tone(1400.0, -12.0, 330), tone(1800.0, -12.0, 330)].concat();
    assert_eq!(heard(&sit), []);
}
