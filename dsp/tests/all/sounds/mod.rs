//! What a telephone line carries besides fax: speech-like sounds, music, the network's tones, keys, noise.
#![allow(dead_code)] // each test file uses its part

use core::f32::consts::TAU;
use fax_base::level::Dbm0;

/// Random numbers, the same in every run.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as u32
    }

    /// From `low` to `high`.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * (self.next() >> 8) as f32 / 16_777_216.0
    }

    pub fn gauss(&mut self) -> f32 {
        (0..12).map(|_| self.between(0.0, 1.0)).sum::<f32>() - 6.0
    }

    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.next() as usize % all.len()]
    }
}

/// The root of the mean square of a signal at this level.
pub fn rms(level: f32) -> f32 {
    Dbm0(level).sine_amplitude() / 2f32.sqrt()
}

fn at_level(signal: &[f32], level: f32) -> Vec<i16> {
    let power: f64 = signal.iter().map(|x| f64::from(x * x)).sum::<f64>() / signal.len() as f64;
    let gain = rms(level) / (power.sqrt() as f32).max(1e-9);
    signal.iter().map(|x| (x * gain).round().clamp(-32_768.0, 32_767.0) as i16).collect()
}

pub fn add_noise(samples: &mut [i16], level: f32, seed: u64) {
    let mut random = Random(seed);
    let rms = rms(level);
    for s in samples {
        *s = (f32::from(*s) + rms * random.gauss()).round().clamp(-32_768.0, 32_767.0) as i16;
    }
}

pub fn noise(seconds: usize, level: f32, seed: u64) -> Vec<i16> {
    let mut samples = vec![0; seconds * 8000];
    add_noise(&mut samples, level, seed);
    samples
}

/// Sines at the same time.
pub fn tones(hertz: &[f32], millis: usize, level: f32) -> Vec<i16> {
    let signal: Vec<f32> = (0..millis * 8)
        .map(|t| hertz.iter().map(|f| ((f * t as f32 / 8000.0).fract() * TAU).sin()).sum())
        .collect();
    at_level(&signal, level)
}

/// A resonance of the vocal tract.
#[derive(Clone, Copy, Default)]
struct Formant {
    a: f32,
    b: f32,
    gain: f32,
    y: [f32; 2],
}

impl Formant {
    fn tune(&mut self, hertz: f32, width: f32) {
        let r = (-core::f32::consts::PI * width / 8000.0).exp();
        self.a = 2.0 * r * (TAU * hertz / 8000.0).cos();
        self.b = -r * r;
        self.gain = 1.0 - r;
    }

    fn pass(&mut self, x: f32) -> f32 {
        let y = self.gain * x + self.a * self.y[0] + self.b * self.y[1];
        self.y = [y, self.y[0]];
        y
    }
}

/// Syllables of voiced and unvoiced sounds with gliding pitch and formants, and pauses.
pub fn speech(seconds: usize, level: f32, seed: u64) -> Vec<i16> {
    let mut random = Random(seed);
    let mut signal = Vec::with_capacity(seconds * 8000);
    let mut formants = [Formant::default(); 4];
    let mut voice = random.between(90.0, 250.0);
    while signal.len() < seconds * 8000 {
        if random.next().is_multiple_of(40) {
            voice = random.between(80.0, 400.0);
        }
        let length = random.between(400.0, 2000.0) as usize;
        let kind = random.next() % 10;
        let glide = random.between(-0.15, 0.15) / length as f32;
        let whistle = random.next().is_multiple_of(30).then(|| random.between(900.0, 2400.0));
        for (formant, (low, high)) in
            formants.iter_mut().zip([(250.0, 900.0), (800.0, 2500.0), (2300.0, 3300.0), (3000.0, 3700.0)])
        {
            formant.tune(random.between(low, high), random.between(50.0, 150.0));
        }
        let (mut phase, mut pitch) = (0f32, voice * random.between(0.8, 1.25));
        for t in 0..length {
            let edge = (t.min(length - t) as f32 / 160.0).min(1.0);
            let source = match (kind, whistle) {
                (0 | 1, _) => 0.0,
                (_, Some(hertz)) => {
                    signal.push(edge * 0.2 * (hertz * t as f32 / 8000.0 * TAU).sin());
                    continue;
                }
                (2 | 3, None) => random.gauss() * 0.3,
                _ => {
                    pitch *= 1.0 + glide;
                    phase += pitch / 8000.0;
                    if phase >= 1.0 {
                        phase -= 1.0;
                        4.0
                    } else {
                        random.gauss() * 0.02
                    }
                }
            };
            let sum: f32 =
                formants.iter_mut().enumerate().map(|(i, f)| f.pass(source) / (i + 1) as f32).sum();
            signal.push(edge * sum);
        }
    }
    signal.truncate(seconds * 8000);
    at_level(&signal, level)
}

/// Chords of notes with overtones, some of them trembling.
pub fn music(seconds: usize, level: f32, seed: u64) -> Vec<i16> {
    let mut random = Random(seed);
    let mut signal: Vec<f32> = Vec::with_capacity(seconds * 8000);
    while signal.len() < seconds * 8000 {
        let length = random.between(800.0, 12_000.0) as usize;
        // A single note of 1109 Hz or 2093 Hz, two octaves and more above the middle, is a tone of fax.
        let count = 2 + random.next() as usize % 3;
        let overtones = 1 + random.next() as usize % 5;
        // Thirds, fourths and fifths, one upon the other.
        let mut note = random.next() % 40;
        let notes: Vec<f32> = (0..count)
            .map(|_| {
                note += random.one_of(&[3, 4, 5, 7]);
                110.0 * 2f32.powf(note as f32 / 12.0)
            })
            .collect();
        let (rate, depth) = (random.between(4.0, 7.0), random.one_of(&[0.0, 0.0, 0.3]));
        let fade = random.one_of(&[0.0, 2.0, 8.0]);
        for t in 0..length {
            let s = t as f32 / 8000.0;
            let mut sum = 0.0;
            for note in &notes {
                for k in 1..=overtones {
                    let hertz = note * k as f32;
                    if hertz < 3500.0 {
                        let phase = hertz * s + depth * (rate * s * TAU).sin();
                        sum += (phase.fract() * TAU).sin() / k as f32;
                    }
                }
            }
            let edge = (t.min(length - t) as f32 / 80.0).min(1.0);
            signal.push(sum * edge * (-fade * s).exp());
        }
    }
    signal.truncate(seconds * 8000);
    at_level(&signal, level)
}

/// Dialling, ringing, engaged and information tones of several countries, DTMF and MF keys.
pub fn signalling(seconds: usize, level: f32, seed: u64) -> Vec<i16> {
    const NETWORK: [&[f32]; 12] = [
        &[350.0, 440.0],
        &[440.0, 480.0],
        &[480.0, 620.0],
        &[425.0],
        &[400.0, 450.0],
        &[950.0],
        &[1400.0],
        &[1800.0],
        &[1004.0],
        &[2600.0],
        &[1400.0, 2060.0],
        &[697.0, 1633.0],
    ];
    let mut random = Random(seed);
    let mut samples = Vec::with_capacity(seconds * 8000);
    while samples.len() < seconds * 8000 {
        let level = level + random.between(-10.0, 10.0);
        let millis = |r: &mut Random, low: f32, high: f32| r.between(low, high) as usize;
        match random.next() % 3 {
            0 => {
                let network = random.one_of(&NETWORK);
                let on = millis(&mut random, 200.0, 2000.0);
                samples.extend(tones(network, on, level));
            }
            1 => {
                let keys = [
                    random.one_of(&[697.0, 770.0, 852.0, 941.0]),
                    random.one_of(&[1209.0, 1336.0, 1477.0, 1633.0]),
                ];
                let on = millis(&mut random, 40.0, 400.0);
                samples.extend(tones(&keys, on, level));
            }
            _ => {
                let all = [700.0, 900.0, 1100.0, 1300.0, 1500.0, 1700.0];
                let first = random.next() as usize % 6;
                let second = (first + 1 + random.next() as usize % 5) % 6;
                let on = millis(&mut random, 50.0, 120.0);
                samples.extend(tones(&[all[first], all[second]], on, level));
            }
        }
        let off = millis(&mut random, 30.0, 600.0);
        samples.extend(core::iter::repeat_n(0, off * 8));
    }
    samples.truncate(seconds * 8000);
    samples
}
