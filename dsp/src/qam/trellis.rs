//! V.17's trellis code decoded by Viterbi's algorithm (V.17 §4).
//!
//! The even states lead to states 0–3, the odd ones to 4–7, each with its own half of the subsets; so
//! a step is two searches of four by four.

use super::decide::Decision;
use crate::v17;
use wide::f32x4;

/// States of the encoder.
const STATES: usize = 8;
/// Points of the largest constellation.
const LABELS: usize = 128;
/// Steps remembered; a power of two.
const MEMORY: usize = 128;
/// After so many steps the survivors have met (V.17: 24 lose nothing measurable).
const DEPTH: usize = 32;
/// Symbols that are given out at once: the longer, the fewer steps are gone back through for each.
const RUN: usize = 64;
/// The decision that the loops use is so many steps old: most wrong paths have died by then.
const TENTATIVE: usize = 5;
/// The grid covers ± this many units, one cell a unit.
const REACH: i32 = 12;
const SIDE: usize = 2 * REACH as usize;

/// `BRANCH[state][target & 3]`: Y2Y1 on the way from a state to a target.
const BRANCH: [[u8; 4]; STATES] = branches();

const fn branches() -> [[u8; 4]; STATES] {
    let mut branch = [[0; 4]; STATES];
    let mut state = 0;
    while state < STATES {
        let mut y = 0;
        while y < 4 {
            branch[state][(v17::NEXT_STATE[state][y] & 3) as usize] = y as u8;
            y += 1;
        }
        state += 1;
    }
    branch
}

/// One step of the survivors: where each state came from, and the nearest point of each subset.
#[derive(Clone, Copy, Default)]
struct Step {
    from: [u8; STATES],
    labels: [u8; STATES],
    valid: bool,
}

impl Step {
    /// The state that a state came from.
    #[inline(always)]
    fn from(&self, state: usize) -> usize {
        self.from[state % STATES] as usize
    }

    /// The label on the way to a state.
    #[inline(always)]
    fn label(&self, state: usize) -> u8 {
        let from = self.from(state);
        self.labels[(2 * BRANCH[from % STATES][state % 4] as usize + from % 2) % STATES]
    }
}

/// The decoder for one constellation.
pub(super) struct Trellis {
    /// By label; as many as the largest constellation has.
    points: Box<[[f32; 2]; LABELS]>,
    /// For each cell the nearest point of each subset, by label.
    grid: Vec<[u8; STATES]>,
    metrics: [f32; STATES],
    steps: [Step; MEMORY],
    /// Steps taken so far.
    count: usize,
    /// Steps given out so far.
    given: usize,
    best: usize,
}

impl Trellis {
    /// For the points of a V.17 constellation by label.
    pub(super) fn new(points: &'static [[f32; 2]]) -> Self {
        let mut grid = vec![[0u8; STATES]; SIDE * SIDE];
        for (cell, nearest) in grid.iter_mut().enumerate() {
            let x = (cell / SIDE) as f32 - REACH as f32 + 0.5;
            let y = (cell % SIDE) as f32 - REACH as f32 + 0.5;
            for (subset, nearest) in nearest.iter_mut().enumerate() {
                let distance = |[px, py]: [f32; 2]| (px - x).powi(2) + (py - y).powi(2);
                *nearest = (0u8..)
                    .zip(points)
                    .skip(subset)
                    .step_by(STATES)
                    .min_by(|(_, a), (_, b)| distance(**a).total_cmp(&distance(**b)))
                    .map_or(0, |(label, _)| label);
            }
        }
        let mut all = Box::new([[0.0; 2]; LABELS]);
        for (all, point) in all.iter_mut().zip(points) {
            *all = *point;
        }
        Trellis {
            points: all,
            grid,
            metrics: [0.0; STATES],
            steps: [Step::default(); MEMORY],
            count: 0,
            given: 0,
            best: 0,
        }
    }

    /// Forgets everything: the encoder may be in any state.
    pub(super) fn reset(&mut self) {
        self.metrics = [0.0; STATES];
        (self.count, self.given) = (0, 0);
    }

    /// The next symbol, or that nothing is known of it; what is sure enough for the loops.
    #[inline]
    pub(super) fn push(&mut self, point: Option<[f32; 2]>) -> Option<Decision> {
        let (labels, d) = match point {
            Some(z) => self.nearest(z),
            None => ([0, 1, 2, 3, 4, 5, 6, 7], [0.0; STATES]),
        };
        let m = self.metrics;
        let (low, from_low) = reach::<0>(&m, &d);
        let (high, from_high) = reach::<1>(&m, &d);
        let [f0, f1, f2, f3] = from_low;
        let [f4, f5, f6, f7] = from_high;
        let from = [f0, f1, f2, f3, f4, f5, f6, f7];
        self.steps[self.count % MEMORY] = Step { from, labels, valid: point.is_some() };
        let least = low.fast_min(high).to_array();
        let least = least[0].min(least[1]).min(least[2].min(least[3]));
        let [m0, m1, m2, m3] = (low - f32x4::splat(least)).to_array();
        let [m4, m5, m6, m7] = (high - f32x4::splat(least)).to_array();
        self.metrics = [m0, m1, m2, m3, m4, m5, m6, m7];
        self.best = self.metrics.iter().position(|&m| m <= 0.0).unwrap_or(0);
        self.count += 1;
        if self.count <= TENTATIVE {
            return None;
        }
        let mut state = self.best;
        for back in 1..=TENTATIVE {
            state = self.step(back).from(state);
        }
        let step = self.step(TENTATIVE + 1);
        let point = self.points[step.label(state) as usize % LABELS];
        step.valid.then_some(Decision { point, back: TENTATIVE })
    }

    /// The step taken `back` steps ago, 1 being the last.
    #[inline(always)]
    fn step(&self, back: usize) -> &Step {
        &self.steps[self.count.wrapping_sub(back) % MEMORY]
    }

    /// Gives the labels that are settled, oldest first; all of them when the signal is over.
    pub(super) fn settled(&mut self, over: bool, mut give: impl FnMut(Option<u8>)) {
        let waiting = self.count - self.given;
        let number = match (over, waiting >= DEPTH + RUN) {
            (true, _) => waiting,
            (false, true) => RUN,
            (false, false) => return,
        };
        let mut labels = [None; MEMORY];
        let mut state = self.best;
        for back in 1..=waiting.min(MEMORY) {
            let step = self.step(back);
            if back > waiting - number {
                labels[(waiting - back) % MEMORY] = step.valid.then_some(step.label(state));
            }
            state = step.from(state);
        }
        for label in labels.into_iter().take(number) {
            give(label);
        }
        self.given += number;
    }

    /// The nearest point of each subset and how far it is, squared.
    #[inline(always)]
    fn nearest(&self, [x, y]: [f32; 2]) -> ([u8; STATES], [f32; STATES]) {
        let cell = |v: f32| ((v + REACH as f32) as i32).clamp(0, 2 * REACH - 1) as usize;
        let labels = self.grid.get(cell(x) * SIDE + cell(y)).copied().unwrap_or_default();
        let points = labels.map(|label| self.points[label as usize % LABELS]);
        let distances = |[[ax, ay], [bx, by], [cx, cy], [dx, dy]]: [[f32; 2]; 4]| {
            let dx = f32x4::new([ax, bx, cx, dx]) - f32x4::splat(x);
            let dy = f32x4::new([ay, by, cy, dy]) - f32x4::splat(y);
            (dx * dx + dy * dy).to_array()
        };
        let [p0, p1, p2, p3, p4, p5, p6, p7] = points;
        let [d0, d1, d2, d3] = distances([p0, p1, p2, p3]);
        let [d4, d5, d6, d7] = distances([p4, p5, p6, p7]);
        (labels, [d0, d1, d2, d3, d4, d5, d6, d7])
    }
}

/// The best way to each target of the states of one parity, and the state it comes from.
#[inline(always)]
fn reach<const PARITY: usize>(m: &[f32; STATES], d: &[f32; STATES]) -> (f32x4, [u8; 4]) {
    let way = |state: usize| {
        let to = BRANCH[state].map(|y| d[2 * y as usize + PARITY]);
        f32x4::splat(m[state]) + f32x4::new(to)
    };
    let mut best = way(PARITY);
    // Numbers of states as bit patterns: they are only chosen among.
    let number = |state: usize| f32x4::splat(f32::from_bits(state as u32));
    let mut from = number(PARITY);
    for state in [2 + PARITY, 4 + PARITY, 6 + PARITY] {
        let other = way(state);
        let better = other.simd_lt(best);
        best = better.select(other, best);
        from = better.select(number(state), from);
    }
    (best, from.to_array().map(|state| state.to_bits() as u8))
}
