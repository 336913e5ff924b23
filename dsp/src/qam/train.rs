//! Training: from an alternation to a signal that is followed.

use super::equaliser::Equations;
use super::hunt::{Align, BLOCK, correlate};
use super::scheme::PIECE;
use super::track::Gains;
use super::{HEARD, Learnt, Part, QamReceiver, State};
use crate::modem::Event;
use core::f32::consts::TAU;
use fax_base::line::Training;

/// Slope of the timing detector about zero: error a symbol of lateness.
const SLOPE: f32 = 1.8;
/// What least squares may leave of the known symbols' power.
const MOST_ERROR: f64 = 0.2;
/// Noise that the solution reckons with, relative to the signal; keeps it finite where there is no signal.
const RIDGE: f64 = 0.003;
/// Blocks of alternation in a row before the known symbols are looked for: V.27ter's 50 symbols need not hold more.
const LONG_BLOCKS: usize = 1;
/// Blocks of alternation in a row before a short training is begun on: after silence already a part of
/// the first is taken for one, and what is measured must lie in the alternation.
const SHORT_BLOCKS: usize = 7;
/// Halves of alternation that a short training is begun on: whole periods of four.
const SHORT_HALVES: usize = 108;
/// The alternation and the search after it end at the latest after so many halves.
const LONGEST_SEARCH: usize = 1_400;

/// The carrier's loop, Hz: at first, while known symbols come, with data.
const CARRIER_HZ: [f32; 3] = [30.0, 15.0, 10.0];
/// The clock's loop, Hz.
const CLOCK_HZ: [f32; 3] = [4.0, 3.0, 1.0];
/// The equaliser's step as a part of the largest, while known symbols come and with data.
const STEP: [f32; 2] = [0.02, 0.01];

impl QamReceiver {
    /// Looks for a training in what has come.
    pub(super) fn search(&mut self, events: &mut Vec<Event>) {
        match self.state {
            State::Hunting => {
                let Some(found) = self.hunt.look(&self.halves, self.scheme) else { return };
                if !found {
                    self.alternating = 0;
                    return;
                }
                self.alternating += 1;
                let short = self.expected == Training::Short && self.scheme.short > 0;
                if short && self.learnt.is_some() {
                    if self.alternating >= SHORT_BLOCKS {
                        self.begin_short(events);
                    }
                } else if self.alternating >= LONG_BLOCKS {
                    events.push(Event::CarrierUp);
                    self.state = State::Aligning;
                    self.aligning_since = self.hunt.next();
                    self.align =
                        Align::new(self.hunt.next().saturating_sub(BLOCK * (self.scheme.blocks + 1)));
                }
            }
            State::Aligning => {
                if let Some(first) = self.align.look(&self.halves, self.scheme) {
                    self.state = State::Gathering { first };
                    self.gather = self.scheme.solve;
                } else if self.align.next() > self.aligning_since + LONGEST_SEARCH {
                    self.fail(events);
                }
            }
            State::Gathering { first } => {
                if self.halves.len() >= first + 2 * self.gather + self.scheme.taps {
                    self.solve(first, events);
                }
            }
            State::Following(_) => {}
        }
    }

    /// A signal that cannot be trained on.
    pub(super) fn fail(&mut self, events: &mut Vec<Event>) {
        events.push(Event::TrainingFailed);
        events.push(Event::CarrierDown);
        self.hunt_anew();
    }

    /// The carrier's offset in turns a symbol, from the known symbols' own phases.
    fn measure_offset(&self, first: usize) -> f32 {
        let turn = self.scheme.turn;
        let mut pieces = [None; 16];
        let count = (self.gather / PIECE).min(pieces.len());
        for (i, piece) in pieces.iter_mut().enumerate().take(count) {
            let start = i * PIECE;
            let mut template = [[0.0; 2]; PIECE];
            for (k, t) in template.iter_mut().enumerate() {
                let [x, y] = self.known_symbol(start + k);
                let (sin, cos) = (TAU * (turn * (start + k) as f32).fract()).sin_cos();
                *t = [x * cos - y * sin, -(x * sin + y * cos)];
            }
            let at = first + 2 * start;
            if !self.halves.any_lost(at, at + 2 * PIECE) {
                *piece = Some(correlate(&self.halves, at, &template).0);
            }
        }
        // First by neighbours, which cannot be mistaken by a whole turn; then by those further apart.
        let mut offset = 0.0;
        for distance in [1, 3] {
            let mut sum = (0.0, 0.0);
            for i in distance..count {
                if let (Some(a), Some(b)) = (pieces[i], pieces[i - distance]) {
                    let (ar, ai): (f32, f32) = a;
                    let (br, bi): (f32, f32) = b;
                    sum.0 += ar * br + ai * bi;
                    sum.1 += ai * br - ar * bi;
                }
            }
            let expected = TAU * offset * (distance * PIECE) as f32;
            let (sin, cos) = expected.sin_cos();
            let rest = (sum.1 * cos - sum.0 * sin).atan2(sum.0 * cos + sum.1 * sin);
            offset += rest / TAU / (distance * PIECE) as f32;
        }
        offset
    }

    /// The known symbol `index` of a long training.
    #[inline]
    pub(super) fn known_symbol(&self, index: usize) -> [f32; 2] {
        self.scheme.known.get(index).copied().unwrap_or_default()
    }

    /// Solves the equaliser from the known symbols of which the first lies on the half `first`.
    fn solve(&mut self, first: usize, events: &mut Vec<Event>) {
        let taps = self.scheme.taps;
        let middle = taps / 2 - 1;
        let offset = self.measure_offset(first);
        let advance = self.scheme.turn + offset;
        let Some(begin) = first.checked_sub(middle) else { return self.fail(events) };
        let mut equations = Equations::new(taps);
        let mut power = 0.0;
        for k in 0..self.gather {
            let start = begin + 2 * k;
            if self.halves.any_lost(start, start + taps) {
                continue;
            }
            let Some((re, im)) = self.halves.window(start, taps) else { continue };
            let [x, y] = self.known_symbol(k);
            let (sin, cos) = (TAU * (advance * k as f32).fract()).sin_cos();
            equations.add(k, re, im, (x * cos - y * sin, x * sin + y * cos));
            power += re[middle] * re[middle] + im[middle] * im[middle];
            power += re[middle + 1] * re[middle + 1] + im[middle + 1] * im[middle + 1];
        }
        let rows = equations.rows();
        if (rows as usize) < 4 * taps && self.gather + 128 <= self.scheme.known.len() {
            // Too much was lost: wait for more.
            self.gather += 128;
            return;
        }
        let solved = if rows as usize >= 2 * taps { equations.solve(RIDGE) } else { None };
        let Some((equaliser, error)) = solved.filter(|(_, error)| *error < MOST_ERROR) else {
            return self.fail(events);
        };
        self.equaliser = equaliser;
        self.power = power / (2 * rows) as f32;
        self.error = error as f32 * self.scheme.power;
        let clock = self.measure_clock(begin, advance);
        self.carrier.offset = offset;
        self.carrier.phase = 0.0;
        self.restart(begin as f32 + clock * self.gather as f32, clock);
        self.state = State::Following(Part::Known);
        self.known = self.scheme.known.len();
    }

    /// The far end's clock, relative to nominal, by how the timing error grows over the known symbols.
    fn measure_clock(&self, begin: usize, advance: f32) -> f32 {
        let taps = self.scheme.taps;
        let mut last: Option<([f32; 2], [f32; 2])> = None;
        let mut points = (0.0f64, 0.0f64, 0.0f64, 0.0f64, 0.0f64);
        for k in 0..self.gather {
            let start = begin + 2 * k;
            let window = self.halves.window(start, taps);
            let Some((re, im)) = window.filter(|_| !self.halves.any_lost(start, start + taps)) else {
                last = None;
                continue;
            };
            let (zr, zi) = self.equaliser.output(re, im);
            let (sin, cos) = (TAU * (advance * k as f32).fract()).sin_cos();
            let z = [zr * cos + zi * sin, zi * cos - zr * sin];
            let d = self.known_symbol(k);
            if let Some((d1, z1)) = last {
                let e = f64::from(lateness(d1, z1, d, z) / self.scheme.power);
                let k = k as f64;
                points.0 += 1.0;
                points.1 += k;
                points.2 += k * k;
                points.3 += e;
                points.4 += k * e;
            }
            last = Some((d, z));
        }
        let (n, k, kk, e, ke) = points;
        let slope = (n * ke - k * e) / (n * kk - k * k).max(1.0);
        (-slope as f32 / SLOPE).clamp(-500e-6, 500e-6)
    }

    /// Goes back to where the window of the first symbol begins (a half, with fraction), and follows the
    /// signal from there.
    fn restart(&mut self, half: f32, clock: f32) {
        let back = self.halves.len() as f32 - half;
        let back = (f64::from(back) * self.front.half_symbol() as f64) as u64;
        self.front.seek(self.front.position().saturating_sub(back));
        self.dropped += self.halves.len() as u64;
        self.halves.clear();
        self.clock = clock;
        self.front.set_clock(clock);
        self.symbol = 0;
        self.total = 0;
        self.late = 0.0;
        self.gain = 1.0;
        self.anchor = None;
        self.window = 0;
        self.last = None;
        self.past = Default::default();
        self.heard = [None; HEARD];
        self.long = (0, 0);
        (self.group, self.grouped, self.hole, self.missed, self.loss) = (0.0, 0, 0, 0, 0);
        self.announced = false;
        self.gear(0, 0);
    }

    /// Sets the loops' speeds.
    pub(super) fn gear(&mut self, loops: usize, step: usize) {
        let baud = self.scheme.mode.baud() as f32;
        let hz = |table: [f32; 3]| table.get(loops).copied().unwrap_or(1.0);
        self.carrier_gains = Gains::new(hz(CARRIER_HZ), baud);
        let clock = Gains::new(hz(CLOCK_HZ), baud);
        self.clock_gains =
            Gains { proportional: clock.proportional / SLOPE, integral: clock.integral / SLOPE };
        let step = STEP.get(step).copied().unwrap_or(0.0);
        self.step = step / (self.power * self.scheme.taps as f32).max(1e-9);
    }

    /// Begins a short training on the alternation that is there: timing, carrier phase and gain from its
    /// three spectral lines, through the equaliser that is known.
    fn begin_short(&mut self, events: &mut Vec<Event>) {
        let Some(learnt) = &self.learnt else { return };
        let taps = self.scheme.taps;
        let Some(s0) = self.hunt.next().checked_sub(SHORT_HALVES + taps + BLOCK) else { return };
        if self.halves.any_lost(s0, s0 + SHORT_HALVES + taps) {
            return;
        }
        let advance = (self.scheme.turn + learnt.offset) / 2.0;
        let (mut mean, mut upper, mut lower, mut power) = ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0), 0.0);
        for n in 0..SHORT_HALVES {
            let Some((re, im)) = self.halves.window(s0 + n, taps) else { return };
            let (yr, yi) = learnt.equaliser.output(re, im);
            let (sin, cos) = (TAU * (advance * n as f32).fract()).sin_cos();
            let v = (yr * cos + yi * sin, yi * cos - yr * sin);
            power += v.0 * v.0 + v.1 * v.1;
            mean = (mean.0 + v.0, mean.1 + v.1);
            // e^∓jπn/2
            let (quarter, three) = match n % 4 {
                0 => (v, v),
                1 => ((v.1, -v.0), (-v.1, v.0)),
                2 => ((-v.0, -v.1), (-v.0, -v.1)),
                _ => ((-v.1, v.0), (v.1, -v.0)),
            };
            upper = (upper.0 + quarter.0, upper.1 + quarter.1);
            lower = (lower.0 + three.0, lower.1 + three.1);
        }
        let n = SHORT_HALVES as f32;
        let [a, b] = self.scheme.alternation;
        let m = [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0];
        let d = [(a[0] - b[0]) / 2.0, (a[1] - b[1]) / 2.0];
        // Half a turn of the two lines against each other is a symbol.
        let product = (upper.0 * lower.0 + upper.1 * lower.1, upper.1 * lower.0 - upper.0 * lower.1);
        let mut tau = -product.1.atan2(product.0) / TAU;
        let (sin, cos) = (TAU / 2.0 * tau).sin_cos();
        let alternating = (
            (upper.0 * cos - upper.1 * sin + lower.0 * cos + lower.1 * sin) / n,
            (upper.1 * cos + upper.0 * sin + lower.1 * cos - lower.0 * sin) / n,
        );
        let mean = (mean.0 / n, mean.1 / n);
        // Both are G·m and G·d, or G·m and −G·d when B was taken for A.
        let gain = |alternating: (f32, f32)| {
            let energy = m[0] * m[0] + m[1] * m[1] + d[0] * d[0] + d[1] * d[1];
            (
                (mean.0 * m[0] + mean.1 * m[1] + alternating.0 * d[0] + alternating.1 * d[1]) / energy,
                (mean.1 * m[0] - mean.0 * m[1] + alternating.1 * d[0] - alternating.0 * d[1]) / energy,
            )
        };
        let (direct, other) = (gain(alternating), gain((-alternating.0, -alternating.1)));
        let size = |g: (f32, f32)| g.0 * g.0 + g.1 * g.1;
        let gain = if size(direct) >= size(other) {
            direct
        } else {
            tau += 1.0;
            other
        };
        let explained = size(gain) * (m[0] * m[0] + m[1] * m[1] + (d[0] * d[0] + d[1] * d[1]) / 2.0);
        if explained < 0.5 * power / n {
            return;
        }
        // An A near the end of what was looked at.
        let shift = 2.0 * tau + 4.0 * (SHORT_HALVES / 4) as f32;
        self.equaliser = learnt.equaliser.clone();
        let size = size(gain).sqrt().max(1e-6);
        self.equaliser.scale(1.0 / size, 0.0);
        self.carrier.offset = learnt.offset;
        let phase = gain.1.atan2(gain.0) / TAU + advance * shift;
        self.carrier.phase = phase - phase.floor();
        self.power = learnt.power * size * size;
        let clock = learnt.clock;
        // The line is known: what goes beyond its noise is no reason to leave it.
        self.error = 2.0 * learnt.error;
        self.restart(s0 as f32 + shift, clock);
        self.gear(1, 1);
        self.drop_anchor();
        self.state = State::Following(Part::Alternation(0));
        self.known = self.scheme.short;
        events.push(Event::CarrierUp);
    }

    /// Keeps what the training taught.
    pub(super) fn learn(&mut self) {
        if self.scheme.short > 0 {
            self.learnt = Some(Learnt {
                equaliser: self.equaliser.clone(),
                offset: self.carrier.offset,
                clock: self.clock,
                power: self.power,
                error: self.error,
            });
        }
    }
}

/// How late the present point was sampled, negative for late, by Mueller and Müller: in units of the
/// symbols' power.
#[inline]
pub(super) fn lateness(d1: [f32; 2], z1: [f32; 2], d: [f32; 2], z: [f32; 2]) -> f32 {
    (d1[0] * z[0] + d1[1] * z[1]) - (d[0] * z1[0] + d[1] * z1[1])
}
