//! What an answer tone is like: plain, with its phase turned every 450 ms (V.25 §4), modulated with 15 Hz (V.8
//! §7.2).

use super::{ANSAM_HZ, Complex, SAMPLE_RATE, SUM, TAU, turned_back};

/// An answer tone, 2100 Hz. What is not yet known is `false`: reversals are sure after two of them, the
/// envelope after 0.4 s.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct AnswerTone {
    /// Its phase is turned every 450 ms, to disable echo cancellers.
    pub reversals: bool,
    /// It is ANSam: its envelope goes up and down by a fifth, 15 times a second.
    pub modulated: bool,
}

/// Sums over which the envelope is measured: six turns of it.
const ENVELOPE: u32 = 50;
/// The least depth of modulation, of 0.2.
const LEAST_DEPTH: f32 = 0.1;
/// Sums from one reversal to the next: 450 ± 25 ms.
const APART: core::ops::RangeInclusive<u32> = 53..=60;

/// The search.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    tone: AnswerTone,
    /// The last two sums, newest last.
    last: [Complex; 2],
    /// Sums since the last reversal, if there was one.
    since: Option<u32>,
    /// The envelope with 15 Hz, and all of it.
    with: Complex,
    all: f32,
    sums: u32,
}

impl Answer {
    pub(super) fn new() -> Self {
        Answer {
            tone: AnswerTone::default(),
            last: [[0.0; 2]; 2],
            since: None,
            with: [0.0; 2],
            all: 0.0,
            sums: 0,
        }
    }

    pub(super) fn tone(&self) -> AnswerTone {
        self.tone
    }

    pub(super) fn forget(&mut self) {
        *self = Self::new();
    }

    /// Takes a sum, and what the carrier turns from one to the next.
    pub(super) fn take(&mut self, z: Complex, back: Complex) {
        let size = |[x, y]: Complex| (x * x + y * y).sqrt();
        self.reversal(z, back, size(z));
        let angle = self.sums as f32 * (ANSAM_HZ * SUM as f32 / SAMPLE_RATE as f32 * TAU);
        let (sin, cos) = angle.sin_cos();
        self.with = [self.with[0] + size(z) * cos, self.with[1] + size(z) * sin];
        self.all += size(z);
        self.sums += 1;
        if self.sums == ENVELOPE {
            self.tone.modulated = 2.0 * size(self.with) > LEAST_DEPTH * self.all;
            (self.with, self.all, self.sums) = ([0.0; 2], 0.0, 0);
        }
    }

    /// The phase turned over from the last sum but one, the one between being that in which it did.
    fn reversal(&mut self, z: Complex, back: Complex, size: f32) {
        let [before, between] = self.last;
        self.last = [between, z];
        self.since = self.since.map(|since| since.saturating_add(1));
        let [x, _] = turned_back(turned_back(turned_back(z, before), back), back);
        let most = size * (before[0] * before[0] + before[1] * before[1]).sqrt();
        if x < -0.8 * most && most > 0.0 && self.since.is_none_or(|since| since > 2) {
            self.tone.reversals |= self.since.is_some_and(|since| APART.contains(&since));
            self.since = Some(0);
        }
    }
}
