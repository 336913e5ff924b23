//! Sines of exact level: CNG, CED and ANSam (T.30 §4.1 and §4.2, V.25 §4, V.8 §7.2).

use crate::sine::Sine;
use fax_base::level::Dbm0;
use fax_base::time::SAMPLE_RATE;

/// CNG, Hz.
pub const CNG_HZ: f32 = 1100.0;
/// CED, Hz.
pub const CED_HZ: f32 = 2100.0;
/// The usual level of tones and modems towards the network.
pub const USUAL_LEVEL: Dbm0 = Dbm0(-13.0);
/// ANSam's envelope: its frequency, and how far it goes from its mean (V.8 §7.2).
pub(crate) const ANSAM_HZ: f32 = 15.0;
const ANSAM_DEPTH: f32 = 0.2;
/// With echo cancellers to be disabled the phase of CED is turned every 450 ms (V.25 §4), in samples.
const REVERSAL: u32 = 450 * SAMPLE_RATE / 1000;

/// One sine.
#[derive(Clone, Debug)]
pub struct ToneGenerator {
    /// 2³² is a turn.
    phase: u32,
    step: u32,
    /// 2¹⁵ is full scale.
    amplitude: i32,
    sine: Sine,
    /// Samples to the next reversal of phase, when they are wanted.
    reversal: Option<u32>,
    /// The envelope's phase and step, when there is one; 2³² is a turn.
    envelope: Option<(u32, u32)>,
}

/// What a phase goes on by in a sample.
fn step(frequency: f32) -> u32 {
    (f64::from(frequency) / f64::from(SAMPLE_RATE) * 4_294_967_296.0).round() as u32
}

impl ToneGenerator {
    /// A sine of this frequency (Hz, below 4000) and level.
    #[must_use]
    pub fn new(frequency: f32, level: Dbm0) -> Self {
        ToneGenerator {
            phase: 0,
            step: step(frequency),
            amplitude: level.sine_amplitude().min(32_767.0).round() as i32,
            sine: Sine::new(),
            reversal: None,
            envelope: None,
        }
    }

    /// CNG.
    #[must_use]
    pub fn cng(level: Dbm0) -> Self {
        Self::new(CNG_HZ, level)
    }

    /// CED, with or without the reversals of phase that disable echo cancellers.
    #[must_use]
    pub fn ced(level: Dbm0, reversals: bool) -> Self {
        ToneGenerator { reversal: reversals.then_some(REVERSAL), ..Self::new(CED_HZ, level) }
    }

    /// ANSam, with or without the reversals of phase. The level is that of the whole, side bands included.
    #[must_use]
    pub fn ansam(level: Dbm0, reversals: bool) -> Self {
        let mut ansam = Self::ced(level, reversals);
        // Its peaks stay in range.
        let whole = (1.0 + ANSAM_DEPTH * ANSAM_DEPTH / 2.0).sqrt();
        ansam.amplitude = (level.sine_amplitude() / whole).min(32_767.0 / (1.0 + ANSAM_DEPTH)).round() as i32;
        ansam.envelope = Some((0, step(ANSAM_HZ)));
        ansam
    }

    /// Writes the next samples.
    pub fn transmit(&mut self, out: &mut [i16]) {
        for sample in out {
            if let Some(left) = &mut self.reversal {
                if *left == 0 {
                    self.phase = self.phase.wrapping_add(1 << 31);
                    *left = REVERSAL;
                }
                *left -= 1;
            }
            let mut amplitude = self.amplitude;
            if let Some((phase, step)) = &mut self.envelope {
                amplitude += (ANSAM_DEPTH * amplitude as f32 * self.sine.at(*phase) as f32 / 32_768.0) as i32;
                *phase = phase.wrapping_add(*step);
            }
            *sample = ((self.sine.at(self.phase) * amplitude + (1 << 14)) >> 15) as i16;
            self.phase = self.phase.wrapping_add(self.step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(samples: &[i16]) -> f32 {
        let sum: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
        Dbm0::from_mean_square((sum / samples.len() as f64) as f32).0
    }

    #[test]
    fn levels_are_exact() {
        for want in [-43.0, -25.0, -13.0, -9.0, 0.0, 3.0] {
            for mut g in [
                ToneGenerator::cng(Dbm0(want)),
                ToneGenerator::ced(Dbm0(want), false),
                ToneGenerator::ced(Dbm0(want), true),
                ToneGenerator::ansam(Dbm0(want - 2.0), false),
                ToneGenerator::ansam(Dbm0(want - 2.0), true),
            ] {
                let mut samples = vec![0; 8000];
                g.transmit(&mut samples);
                // The envelope's peak must stay in range.
                let want = if g.envelope.is_some() { want - 2.0 } else { want };
                assert!((level(&samples) - want).abs() < 0.05, "{want} {}", level(&samples));
            }
        }
    }

    #[test]
    fn frequencies_are_exact() {
        for (mut g, want) in
            [(ToneGenerator::cng(Dbm0(-9.0)), 1100.0), (ToneGenerator::ced(Dbm0(-9.0), false), 2100.0)]
        {
            let mut samples = vec![0; 80_000];
            g.transmit(&mut samples);
            let rising = samples.windows(2).filter(|w| w[0] < 0 && w[1] >= 0).count();
            assert!((rising as f32 / 10.0 - want).abs() < 0.2, "{rising}");
        }
    }

    /// V.8: the envelope goes from 0.8 to 1.2 of its mean, 15 times a second.
    #[test]
    fn ansam_has_its_envelope() {
        let mut samples = vec![0; 80_000];
        ToneGenerator::ansam(Dbm0(-9.0), false).transmit(&mut samples);
        let peaks: Vec<f32> =
            samples.chunks(20).map(|c| c.iter().copied().max().unwrap_or(0).into()).collect();
        let mean = peaks.iter().sum::<f32>() / peaks.len() as f32;
        let (low, high) = peaks.iter().fold((f32::MAX, 0f32), |(l, h), p| (l.min(*p), h.max(*p)));
        assert!((0.78..0.83).contains(&(low / mean)) && (1.18..1.22).contains(&(high / mean)));
        let rising = peaks.windows(2).filter(|w| w[0] < mean && w[1] >= mean).count();
        assert!((149..=150).contains(&rising), "{rising}");
    }

    #[test]
    fn phase_turns_every_450_ms() {
        let mut plain = ToneGenerator::ced(Dbm0(-9.0), false);
        let mut turned = ToneGenerator::ced(Dbm0(-9.0), true);
        let (mut a, mut b) = (vec![0i16; 10_800], vec![0i16; 10_800]);
        plain.transmit(&mut a);
        turned.transmit(&mut b);
        assert_eq!(a[..3600], b[..3600]);
        assert!(a[3600..7200].iter().zip(&b[3600..7200]).all(|(a, b)| (a + b).abs() <= 1));
        assert!(a[7200..].iter().zip(&b[7200..]).all(|(a, b)| (a - b).abs() <= 1));
    }
}
