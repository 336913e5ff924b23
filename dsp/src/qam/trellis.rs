//! V.17's trellis code decoded by Viterbi's algorithm (V.17 §4).
//!
//! The even states lead to states 0–3, the odd ones to 4–7, each with its own half of the subsets; so
//! a step is two searches of four by four.

use super::decide::Decision;
use crate::v17;

/// States of the encoder.
const STATES: usize = 8;
/// Steps remembered; a power of two.
const MEMORY: usize = 64;
/// After so many steps the survivors have met (V.17: 24 lose nothing measurable).
const DEPTH: usize = 32;
/// Symbols that are given out at once.
const RUN: usize = 16;
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

/// One step of the survivors: where each state came from and by which label.
#[derive(Clone, Copy, Default)]
struct Step {
    from: [u8; STATES],
    label: [u8; STATES],
    valid: bool,
}

/// The decoder for one constellation.
pub(super) struct Trellis {
    points: &'static [[f32; 2]],
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
        Trellis {
            points,
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
    pub(super) fn push(&mut self, point: Option<[f32; 2]>) -> Option<Decision> {
        let (labels, distances) = match point {
            Some(z) => self.nearest(z),
            None => ([0, 1, 2, 3, 4, 5, 6, 7], [0.0; STATES]),
        };
        let slot = self.count % MEMORY;
        let step = self.steps.get_mut(slot)?;
        step.valid = point.is_some();
        let m = self.metrics;
        for parity in 0..2 {
            let d = [distances[parity], distances[2 + parity], distances[4 + parity], distances[6 + parity]];
            let mut best = [f32::INFINITY; 4];
            let mut from = [0u32; 4];
            for p in 0..4usize {
                let state = 2 * p + parity;
                for target in 0..4 {
                    let metric = m[state] + d[BRANCH[state][target] as usize];
                    if metric < best[target] {
                        best[target] = metric;
                        from[target] = state as u32;
                    }
                }
            }
            for target in 0..4 {
                let state = from[target] as usize % STATES;
                self.metrics[4 * parity + target] = best[target];
                step.from[4 * parity + target] = state as u8;
                step.label[4 * parity + target] = labels[2 * BRANCH[state][target] as usize + parity];
            }
        }
        let mut least = f32::INFINITY;
        for (state, &metric) in self.metrics.iter().enumerate() {
            if metric < least {
                least = metric;
                self.best = state;
            }
        }
        for metric in &mut self.metrics {
            *metric -= least;
        }
        self.count += 1;
        if self.count <= TENTATIVE {
            return None;
        }
        let mut state = self.best;
        for back in 1..=TENTATIVE {
            state = self.step(back).from[state % STATES] as usize;
        }
        let step = self.step(TENTATIVE + 1);
        let label = step.label[state % STATES] as usize;
        let point = *self.points.get(label)?;
        step.valid.then_some(Decision { point, back: TENTATIVE })
    }

    /// The step taken `back` steps ago, 1 being the last.
    #[inline]
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
                labels[(waiting - back) % MEMORY] = step.valid.then_some(step.label[state % STATES]);
            }
            state = step.from[state % STATES] as usize;
        }
        for label in labels.into_iter().take(number) {
            give(label);
        }
        self.given += number;
    }

    /// The nearest point of each subset and how far it is, squared.
    #[inline]
    fn nearest(&self, [x, y]: [f32; 2]) -> ([u8; STATES], [f32; STATES]) {
        let cell = |v: f32| (v + REACH as f32).clamp(0.0, SIDE as f32 - 1.0) as usize;
        let labels = self.grid.get(cell(x) * SIDE + cell(y)).copied().unwrap_or_default();
        let mut distances = [0.0; STATES];
        for (distance, &label) in distances.iter_mut().zip(&labels) {
            let [px, py] = self.points.get(label as usize).copied().unwrap_or_default();
            *distance = (px - x) * (px - x) + (py - y) * (py - y);
        }
        (labels, distances)
    }
}
