//! V.21's transmitter: one oscillator that is switched between two steps.

use super::{BIT_RATE, CHANNEL_1, CHANNEL_2, Tones};
use crate::sine::Sine;
use fax_base::bits::BitSource;
use fax_base::level::Dbm0;
use fax_base::time::SAMPLE_RATE;

/// A bit lasts 80 thirds of a sample.
const BIT: u32 = 3 * SAMPLE_RATE / BIT_RATE;

/// A transmitter of one burst.
#[derive(Clone, Debug)]
pub struct FskTransmitter {
    sine: Sine,
    /// 2³² is a turn.
    phase: u32,
    /// A third of a sample at the tones of 0 and 1.
    steps: [u32; 2],
    /// The tone that is on.
    step: u32,
    /// Amplitude; 2¹⁵ is full scale.
    amplitude: i32,
    /// Thirds of a sample that the present bit still has.
    left: u32,
    over: bool,
}

impl FskTransmitter {
    /// Channel 2, 1650 Hz and 1850 Hz, which T.30 uses in both directions, at this level.
    #[must_use]
    pub fn v21_channel_2(level: Dbm0) -> Self {
        Self::new(CHANNEL_2, level)
    }

    /// Channel 1, 980 Hz and 1180 Hz, at this level.
    #[must_use]
    pub fn v21_channel_1(level: Dbm0) -> Self {
        Self::new(CHANNEL_1, level)
    }

    fn new(tones: Tones, level: Dbm0) -> Self {
        let third = |hertz: u32| ((u64::from(hertz) << 32) / u64::from(3 * SAMPLE_RATE)) as u32;
        FskTransmitter {
            sine: Sine::new(),
            phase: 0,
            steps: [third(tones.space), third(tones.mark)],
            step: 0,
            amplitude: level.sine_amplitude().min(32_767.0).round() as i32,
            left: 0,
            over: false,
        }
    }

    /// Makes the next samples, asking for bits as they are needed. Fewer than `out` holds mean that the
    /// signal is over: it ends with its last bit.
    pub fn transmit(&mut self, bits: &mut dyn BitSource, out: &mut [i16]) -> usize {
        let mut made = 0;
        while made < out.len() && !self.over {
            // Samples that lie wholly in the present bit.
            let whole = ((self.left / 3) as usize).min(out.len() - made);
            for sample in out.iter_mut().skip(made).take(whole) {
                *sample = self.sample();
                self.phase = self.phase.wrapping_add(3 * self.step);
            }
            made += whole;
            self.left -= 3 * whole as u32;
            if self.left >= 3 || made == out.len() {
                break;
            }
            // The next sample begins in this bit and ends in the next.
            let (before, after) = (self.left, 3 - self.left);
            let last = self.step;
            match bits.next_bit() {
                Some(bit) => self.step = self.steps[usize::from(bit)],
                None => {
                    self.over = true;
                    break;
                }
            }
            if let Some(sample) = out.get_mut(made) {
                *sample = self.sample();
                made += 1;
            }
            self.phase = self.phase.wrapping_add(before * last).wrapping_add(after * self.step);
            self.left = BIT - after;
        }
        made
    }

    #[inline]
    fn sample(&self) -> i16 {
        ((self.sine.at(self.phase) * self.amplitude + (1 << 14)) >> 15) as i16
    }
}
