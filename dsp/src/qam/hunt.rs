//! Finding a training sequence: its alternation by its structure, whatever its level, and the beginning
//! of the known symbols by correlation.

use super::halves::Halves;
use super::scheme::{PIECE, Scheme, TEMPLATE};
use fax_base::level::Dbm0;

/// Halves in a block: 16 symbols.
pub(super) const BLOCK: usize = 32;
/// Blocks remembered.
const BLOCKS: usize = 4;
/// The faintest signal that is looked at; the faintest that must be received has −43 dBm0.
const FAINTEST: Dbm0 = Dbm0(-50.0);
/// An alternation repeats after two symbols: at least this much of all power does.
const LEAST_PERIODIC: f32 = 0.7;
/// A tone is alike at any distance; an alternation is not at half a symbol: 0.8 of V.17's, 0.91 where the line takes
/// most of its edges (AD-9).
const MOST_TONE: f32 = 0.95;
/// After the best match so many halves are waited for a better one.
const SETTLE: usize = 12;

#[derive(Clone, Copy, Default)]
struct Sums {
    power: f32,
    half: (f32, f32),
    period: (f32, f32),
}

/// The search for the alternation.
pub(super) struct Hunt {
    blocks: [Sums; BLOCKS],
    count: usize,
    /// Where the next block begins.
    next: usize,
}

impl Hunt {
    pub(super) fn new() -> Self {
        Hunt { blocks: [Sums::default(); BLOCKS], count: 0, next: 4 }
    }

    /// Looks at what is new; true while an alternation is there.
    pub(super) fn look(&mut self, halves: &Halves, scheme: &Scheme) -> Option<bool> {
        let start = self.next;
        if start + BLOCK > halves.len() {
            return None;
        }
        self.next += BLOCK;
        let mut sums = Sums::default();
        let (re, im) = halves.window(start - 4, BLOCK + 4)?;
        for n in 4..BLOCK + 4 {
            let (xr, xi) = (re[n], im[n]);
            let (hr, hi) = (re[n - 1], im[n - 1]);
            let (pr, pi) = (re[n - 4], im[n - 4]);
            sums.power += xr * xr + xi * xi;
            sums.half.0 += xr * hr + xi * hi;
            sums.half.1 += xi * hr - xr * hi;
            sums.period.0 += xr * pr + xi * pi;
            sums.period.1 += xi * pr - xr * pi;
        }
        self.blocks[self.count % BLOCKS] = sums;
        self.count += 1;
        if self.count < scheme.blocks {
            return Some(false);
        }
        let mut all = Sums::default();
        for back in 1..=scheme.blocks {
            let s = self.blocks[(self.count - back) % BLOCKS];
            all.power += s.power;
            all.half = (all.half.0 + s.half.0, all.half.1 + s.half.1);
            all.period = (all.period.0 + s.period.0, all.period.1 + s.period.1);
        }
        let mean = all.power / (scheme.blocks * BLOCK) as f32;
        let period = all.period.0.hypot(all.period.1);
        let half = all.half.0.hypot(all.half.1);
        // The halves hold the analytic signal: twice the power of the samples.
        Some(
            Dbm0::from_mean_square(mean / 2.0).0 > FAINTEST.0
                && period > LEAST_PERIODIC * all.power
                && half < MOST_TONE * period,
        )
    }

    /// The halves before `count` were dropped.
    pub(super) fn forget(&mut self, count: usize) {
        self.next = self.next.saturating_sub(count).max(4);
    }

    /// Where the next block begins.
    pub(super) fn next(&self) -> usize {
        self.next
    }
}

/// The search for the beginning of the known symbols.
pub(super) struct Align {
    /// The next half to try.
    next: usize,
    best: f32,
    at: usize,
}

impl Align {
    /// From this half on.
    pub(super) fn new(next: usize) -> Self {
        Align { next, best: 0.0, at: 0 }
    }

    /// Tries what is new; the half on which the first known symbol lies best.
    pub(super) fn look(&mut self, halves: &Halves, scheme: &Scheme) -> Option<usize> {
        while self.next + 2 * TEMPLATE <= halves.len() {
            let score = score(halves, scheme, self.next);
            if score > self.best {
                (self.best, self.at) = (score, self.next);
            }
            self.next += 1;
            if self.best > scheme.least_match && self.next > self.at + SETTLE {
                return Some(self.at);
            }
        }
        None
    }

    /// The next half to try.
    pub(super) fn next(&self) -> usize {
        self.next
    }

    /// The halves before `count` were dropped.
    pub(super) fn forget(&mut self, count: usize) {
        self.next = self.next.saturating_sub(count);
        self.at = self.at.saturating_sub(count);
    }
}

/// How much of the power from `start` on the known symbols explain: 0 to 1.
fn score(halves: &Halves, scheme: &Scheme, start: usize) -> f32 {
    let mut sum = 0.0;
    let mut power = 0.0;
    for (piece, template) in scheme.template.chunks_exact(PIECE).enumerate() {
        let (c, p) = correlate(halves, start + 2 * PIECE * piece, template);
        let energy: f32 = template.iter().map(|[x, y]| x * x + y * y).sum();
        sum += (c.0 * c.0 + c.1 * c.1) / energy;
        power += p;
    }
    if power > 0.0 { sum / power } else { 0.0 }
}

/// Σ x·template over symbols from `start` on, and Σ |x|².
pub(super) fn correlate(halves: &Halves, start: usize, template: &[[f32; 2]]) -> ((f32, f32), f32) {
    let mut c = (0.0, 0.0);
    let mut power = 0.0;
    let Some((re, im)) = halves.window(start, 2 * template.len() - 1) else {
        return (c, 0.0);
    };
    for ((&xr, &xi), [sr, si]) in re.iter().step_by(2).zip(im.iter().step_by(2)).zip(template) {
        c.0 += xr * sr - xi * si;
        c.1 += xr * si + xi * sr;
        power += xr * xr + xi * xi;
    }
    (c, power)
}
