//! Signal levels.

/// A level in dBm0: decibels relative to 1 mW at the point of zero relative level.
///
/// In 16 bit linear PCM of G.711's range a sine of full scale (amplitude 32767) is +3.14 dBm0.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub struct Dbm0(pub f32);

/// The level of a full-scale sine after G.711 A-law and µ-law decoding, dBm0 (G.711 §5: 3.14 A-law,
/// 3.17 µ-law; the A-law value is used for both).
#[allow(clippy::approx_constant)] // a level, not π
pub const FULL_SCALE_SINE: Dbm0 = Dbm0(3.14);

impl Dbm0 {
    /// The peak amplitude of a sine of this level in 16 bit linear PCM.
    #[must_use]
    pub fn sine_amplitude(self) -> f32 {
        32_767.0 * 10f32.powf((self.0 - FULL_SCALE_SINE.0) / 20.0)
    }

    /// The level of a signal with this mean square in 16 bit linear PCM units.
    #[must_use]
    pub fn from_mean_square(mean_square: f32) -> Self {
        let full = 32_767.0f32 * 32_767.0 / 2.0;
        Dbm0(10.0 * (mean_square.max(1e-9) / full).log10() + FULL_SCALE_SINE.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amplitude_and_level_are_inverse() {
        for level in [-43.0, -15.0, -9.0, 0.0] {
            let a = Dbm0(level).sine_amplitude();
            let back = Dbm0::from_mean_square(a * a / 2.0);
            assert!((back.0 - level).abs() < 0.01, "{level} {back:?}");
        }
    }
}
