//! Sines of exact level: CNG and CED (T.30 §4.1 and §4.2, V.25 §4).

use fax_base::level::Dbm0;
use fax_base::time::SAMPLE_RATE;

/// CNG, Hz.
pub const CNG_HZ: f32 = 1100.0;
/// CED, Hz.
pub const CED_HZ: f32 = 2100.0;
/// The usual level of tones and modems towards the network.
pub const USUAL_LEVEL: Dbm0 = Dbm0(-13.0);
/// With echo cancellers to be disabled the phase of CED is turned every 450 ms (V.25 §4), in samples.
const REVERSAL: u32 = 450 * SAMPLE_RATE / 1000;

/// One sine.
#[derive(Clone, Debug)]
pub struct ToneGenerator {
    /// 2³² is a turn.
    phase: u32,
    step: u32,
    amplitude: f32,
    /// Samples to the next reversal of phase, when they are wanted.
    reversal: Option<u32>,
}

impl ToneGenerator {
    /// A sine of this frequency (Hz, below 4000) and level.
    #[must_use]
    pub fn new(frequency: f32, level: Dbm0) -> Self {
        let turn = f64::from(frequency) / f64::from(SAMPLE_RATE) * 4_294_967_296.0;
        ToneGenerator {
            phase: 0,
            step: turn.round() as u32,
            amplitude: level.sine_amplitude().min(32_767.0),
            reversal: None,
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

    /// Writes the next samples.
    pub fn transmit(&mut self, out: &mut [i16]) {
        const TURN: f32 = core::f32::consts::TAU / 4_294_967_296.0;
        for sample in out {
            if let Some(left) = &mut self.reversal {
                if *left == 0 {
                    self.phase = self.phase.wrapping_add(1 << 31);
                    *left = REVERSAL;
                }
                *left -= 1;
            }
            let value = (self.phase as f32 * TURN).sin() * self.amplitude;
            *sample = value.round() as i16;
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
            ] {
                let mut samples = vec![0; 8000];
                g.transmit(&mut samples);
                assert!((level(&samples) - want).abs() < 0.03, "{want} {}", level(&samples));
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
