//! One turn of a sine, for the oscillators of V.21 and the tones.

use std::sync::LazyLock;

/// Entries: with so many what the table adds is 60 dB below the tone.
const ENTRIES: usize = 1 << 11;

/// A table of a sine; 2¹⁵ is one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sine(&'static [i16; ENTRIES]);

impl Sine {
    pub(crate) fn new() -> Self {
        static TABLE: LazyLock<[i16; ENTRIES]> = LazyLock::new(|| {
            core::array::from_fn(|i| {
                let turn = (i as f64 + 0.5) / ENTRIES as f64;
                ((turn * core::f64::consts::TAU).sin() * 32_767.0).round() as i16
            })
        });
        Sine(&TABLE)
    }

    /// The sine of a phase of which 2³² is a turn.
    #[inline]
    pub(crate) fn at(self, phase: u32) -> i32 {
        let index = (phase >> (32 - ENTRIES.trailing_zeros())) as usize;
        self.0.get(index).copied().unwrap_or_default().into()
    }
}
