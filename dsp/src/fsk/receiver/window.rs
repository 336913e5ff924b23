//! Three bits in a row, judged together.

use super::BIT;
use crate::fsk::Complex;
use crate::fsk::front::turned;

/// What either tone turns in a bit, backwards for that of 0: 120°.
pub(super) const BACK: Complex = [-0.5, -0.866_025_4];
const ON: Complex = [-0.5, 0.866_025_4];
/// The furthest that both tones together may be off, as a tangent of the turn in a bit: 15 Hz.
const FURTHEST: f32 = 0.32;

/// What came in the time of a bit.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Correlation {
    /// With the tones of 0 and 1, the phase counted from the beginning of the bit.
    pub(super) tones: [Complex; 2],
    pub(super) energy: f32,
    /// Whether part of it was lost; then all else is zero.
    pub(super) lost: bool,
}

/// What is known of the middle bit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verdict {
    pub(super) bit: bool,
    pub(super) lost: bool,
    /// The share of the power in the three bits that they explain.
    pub(super) share: f32,
    /// How much more power the bit's tone has than the other, of both: 0.7 in V.21.
    pub(super) contrast: f32,
    /// How far off both tones are: the tangent of what the signal turns too much in a bit.
    pub(super) off: f32,
}

/// The bits, oldest first, and what is known of the transmitter.
#[derive(Clone, Debug)]
pub(super) struct Window {
    bits: [Correlation; 3],
    /// The power of either tone in each bit.
    powers: [[f32; 2]; 3],
    /// What the signal turns in a bit more than it should.
    offset: Complex,
    /// How well its phase goes on where the tone changes: 1 as it should be, 0 not at all. It is weakened
    /// by displaced changes too.
    continuity: f32,
}

impl Window {
    pub(super) fn new() -> Self {
        Window {
            bits: [Correlation::default(); 3],
            powers: [[0.0; 2]; 3],
            offset: [1.0, 0.0],
            continuity: 1.0,
        }
    }

    /// The signal is over: of the next one nothing is known.
    pub(super) fn forget(&mut self) {
        self.continuity = 1.0;
    }

    /// Takes the next bit and judges the one before it.
    pub(super) fn judge(&mut self, bit: Correlation, up: bool) -> Verdict {
        let [_, first, middle] = self.bits;
        self.bits = [first, middle, bit];
        let [_, first_powers, middle_powers] = self.powers;
        let powers = bit.tones.map(|[x, y]| x * x + y * y);
        self.powers = [first_powers, middle_powers, powers];

        // A mean that points backwards says nothing.
        let [x, y] = self.offset;
        let y = y.clamp(-FURTHEST * x.abs(), FURTHEST * x.abs());
        let scale = 1.0 / (x * x + y * y).sqrt().max(1e-9);
        let offset = if x > 0.0 { [x * scale, y * scale] } else { [1.0, 0.0] };
        let against = [offset[0], -offset[1]];
        let back = [turned(BACK, against), turned(ON, against)];

        // The power of all three in phase, as far as the phase goes on, and of each by itself.
        let together = (2.0 * self.continuity - 1.0).max(0.0);
        let alone = 1.0 - together;
        // The first bit turned on to where the others are, so that only their product is left to do.
        let before = [0, 1].map(|i| turned(first.tones[i], [back[i][0], -back[i][1]]));
        let (mut best, mut best_together, mut m, mut l) = (-1.0, 0.0, 0, 0);
        for (j, mid) in middle.tones.into_iter().enumerate() {
            for (k, last) in bit.tones.into_iter().enumerate() {
                let [tx, ty] = turned(last, back[j]);
                let [x, y] = [mid[0] + tx, mid[1] + ty];
                let pair_together = x * x + y * y;
                let pair_alone = middle_powers[j] + powers[k];
                for (i, [p, q]) in before.into_iter().enumerate() {
                    let in_phase = pair_together + first_powers[i] + 2.0 * (x * p + y * q);
                    let power = together * in_phase + alone * (pair_alone + first_powers[i]);
                    if power > best {
                        (best, best_together, m, l) = (power, in_phase, j, k);
                    }
                }
            }
        }
        let energy = (BIT * (first.energy + middle.energy + bit.energy)).max(1.0);
        let known = self.bits.iter().filter(|b| !b.lost).count() as f32;
        let share = best_together / (known * energy);
        if !middle.lost && !bit.lost {
            if share > 0.5 {
                let [re, im] = self.step(m, l);
                self.offset[0] += (re - self.offset[0]) / 16.0;
                self.offset[1] += (im - self.offset[1]) / 16.0;
            }
            let louder = |p: [f32; 2]| usize::from(p[1] > p[0]);
            let (m, l) = (louder(middle_powers), louder(powers));
            if up && m != l {
                let [re, im] = self.step(m, l);
                let goes_on = re * offset[0] + im * offset[1];
                self.continuity = (self.continuity + (goes_on - self.continuity) / 16.0).clamp(0.0, 1.0);
            }
        }
        // By itself each bit explains more, of noise too.
        let by_itself = (best - together * best_together) / energy;
        let [space, mark] = middle_powers;
        let more = if m == 1 { mark - space } else { space - mark };
        Verdict {
            bit: m == 1,
            lost: middle.lost,
            share: together * share + by_itself * 0.7,
            contrast: more / (mark + space).max(1.0),
            off: (self.offset[1] / self.offset[0].max(1e-3)).abs(),
        }
    }

    /// What the phase turns from the middle bit to the last, beyond what the middle one's tone makes, as a unit.
    fn step(&self, middle: usize, last: usize) -> Complex {
        let [_, m, l] = &self.bits;
        let [a, b] = m.tones[middle];
        let [re, im] = turned(turned(l.tones[last], [BACK, ON][middle]), [a, -b]);
        let size = (self.powers[1][middle] * self.powers[2][last]).sqrt().max(1.0);
        [re / size, im / size]
    }
}
