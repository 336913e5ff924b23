//! Following a signal: equalise, turn, decide, and keep every loop on it.

use super::decide::{Decision, nearest};
use super::train::lateness;
use super::{
    GROUP, HEARD, LONGEST_HOLE_MS, LONGEST_LOSS_MS, MEMORY, POINTS, Part, Past, QUIET, QamReceiver, State,
};
use crate::modem::Event;
use crate::v17;

/// Losses this near to a symbol's middle, in halves, erase it.
const REACH: usize = 8;
/// An error larger than this times the mean square is cut to it.
const CLIP: f32 = 9.0;
/// With data the equaliser is adapted at every so many symbols.
const ADAPT_EVERY: usize = 8;
/// After so many known symbols the loops become slower.
const SETTLED: usize = 256;
/// Known symbols by which the end of the alternation is recognised.
const RECOGNISED: u32 = 8;
/// After so many symbols that are no alternation nor known the data must have begun.
const LONGEST_ODD: usize = 40;
/// The clock and the gain, which move little, are corrected at every so many symbols.
const CLOCK_EVERY: usize = 4;
/// However loud the noise, a group of symbols with more than half of the signal's power is no pause.
const MOST_QUIET: f32 = 0.5;
/// Weight of a symbol in the mean square error.
const FORGET: f32 = 1.0 / 128.0;
/// The gain's step: twice as quick with data as the equaliser.
const GAIN_STEP: f32 = 0.01;
/// The gain stays within what is no pause: ±12 dB.
pub(super) const GAINS: [f32; 2] = [0.25, 4.0];

impl QamReceiver {
    /// The next symbol.
    pub(super) fn follow(&mut self, events: &mut Vec<Event>) {
        let taps = self.scheme.taps;
        let middle = self.window + taps / 2 - 1;
        let Some((re, im)) = self.halves.window(self.window, taps) else { return };
        let (yr, yi) = self.equaliser.output(re, im);
        let (cos, sin) = self.turns.at(self.carrier.phase);
        let turn = (self.gain * cos, self.gain * sin);
        let z = [yr * turn.0 + yi * turn.1, yi * turn.0 - yr * turn.1];
        self.carrier.step();
        let spoilt = self.halves.any_lost(self.window, self.window + taps);
        let lost = spoilt && self.halves.any_lost(middle - REACH, middle + REACH);
        let symbol = self.symbol;
        self.symbol += 1;
        let window = self.dropped + self.window as u64;
        self.past[symbol % MEMORY] = Past { z, turn, window, valid: !spoilt };
        if lost {
            self.loss += 1;
            if self.loss * 1_000 > LONGEST_LOSS_MS * self.scheme.mode.baud() {
                return self.end(events);
            }
        } else {
            self.loss = 0;
            if !spoilt && self.is_quiet(middle, events) {
                self.heard[symbol % HEARD] = None;
                return;
            }
            self.remember(z);
        }
        let State::Following(part) = self.state else { return };
        let point = (!lost).then_some(z);
        let decision = match part {
            Part::Alternation(odd) => self.alternation(symbol, odd, z, lost),
            Part::Known => {
                let d = self.known_symbol(symbol);
                if self.symbol == self.known {
                    self.known_are_over();
                } else if self.symbol == SETTLED {
                    self.gear(1, 0);
                }
                Some(Decision { point: d, back: 0 })
            }
            Part::Bridge(left) => {
                self.enter(if left > 1 { Part::Bridge(left - 1) } else { Part::Ones(self.scheme.ones) });
                nearest(&v17::STATES, z).map(|(_, point)| Decision { point, back: 0 })
            }
            Part::Ones(_) if !lost && self.is_long(symbol, z) => {
                self.known = self.scheme.known.len();
                self.enter(Part::Known);
                None
            }
            Part::Ones(left) => self.one(left, point, events),
            Part::Data => self.decoder.push(point, events),
        };
        if let Some(decision) = decision {
            self.correct(symbol, decision, part == Part::Data);
        } else {
            self.last = None;
        }
    }

    /// One of the scrambled ones, of which so many are left.
    fn one(&mut self, left: usize, point: Option<[f32; 2]>, events: &mut Vec<Event>) -> Option<Decision> {
        let decision = self.decoder.push(point, events);
        self.enter(if left > 1 { Part::Ones(left - 1) } else { Part::Data });
        if left == 1 {
            self.announced = true;
            events.push(Event::Trained(self.quality()));
            self.learn();
        }
        decision
    }

    fn known_are_over(&mut self) {
        let bridge = if self.known == self.scheme.known.len() { self.scheme.bridge } else { 0 };
        self.enter(if bridge > 0 { Part::Bridge(bridge) } else { Part::Ones(self.scheme.ones) });
    }

    /// The signal is back behind a hole that ends before the symbol `next`: what was missed of the training is over,
    /// what was missed of the data is erased.
    fn pass_over(&mut self, next: usize, missed: u32, events: &mut Vec<Event>) {
        let mut missed = missed as usize;
        if self.state == State::Following(Part::Known) {
            if self.known > SETTLED && next.saturating_sub(missed) < SETTLED && next >= SETTLED {
                self.gear(1, 0);
            }
            let Some(beyond) = next.checked_sub(self.known) else { return };
            missed = beyond;
            self.known_are_over();
        }
        if let State::Following(Part::Bridge(left)) = self.state {
            let passed = left.min(missed);
            missed -= passed;
            self.enter(if left > passed {
                Part::Bridge(left - passed)
            } else {
                Part::Ones(self.scheme.ones)
            });
        }
        for _ in 0..missed {
            match self.state {
                State::Following(Part::Ones(left)) => _ = self.one(left, None, events),
                State::Following(Part::Data) => _ = self.decoder.push(None, events),
                State::Following(Part::Alternation(_) | Part::Known | Part::Bridge(_))
                | State::Hunting
                | State::Aligning
                | State::Gathering { .. } => {}
            }
        }
    }

    fn enter(&mut self, part: Part) {
        match (self.state, part) {
            (State::Following(Part::Known | Part::Bridge(_)), Part::Ones(ones)) => self.decoder.begin(ones),
            (_, Part::Data) => self.gear(2, 1),
            (
                State::Hunting | State::Aligning | State::Gathering { .. } | State::Following(_),
                Part::Alternation(_) | Part::Known | Part::Bridge(_) | Part::Ones(_),
            ) => {}
        }
        self.state = State::Following(part);
    }

    /// The alternation before a short training, until the known symbols are recognised, or nothing is.
    fn alternation(&mut self, symbol: usize, odd: usize, z: [f32; 2], lost: bool) -> Option<Decision> {
        let state = if lost { None } else { nearest(&v17::STATES, z).map(|(state, _)| state) };
        self.heard[symbol % HEARD] = state;
        let regular = |s: usize| self.heard[s % HEARD].is_none_or(|state| state == s % 2);
        if odd == 0 && regular(symbol) {
            return state
                .and_then(|_| self.scheme.alternation.get(symbol % 2))
                .map(|&point| Decision { point, back: 0 });
        }
        if symbol >= 4 && !lost && (symbol - 3..=symbol).all(regular) {
            // It was noise.
            self.state = State::Following(Part::Alternation(0));
            return None;
        }
        let oldest = symbol.saturating_sub(HEARD - 4);
        // Segment 1 has an even number of symbols, and the first we have is an A.
        for first in (oldest.next_multiple_of(2)..symbol).step_by(2) {
            let (mut right, mut wrong) = (0, 0);
            for s in oldest..=symbol {
                let known = s.checked_sub(first);
                let Some(state) = self.heard[s % HEARD] else { continue };
                let as_expected = match known {
                    None => state == s % 2,
                    Some(k) if k < self.known => v17::STATES.get(state) == self.scheme.known.get(k),
                    Some(_) => continue,
                };
                match (as_expected, known) {
                    (true, Some(_)) => right += 1,
                    (true, None) => {}
                    (false, _) => wrong += 1,
                }
            }
            if right >= RECOGNISED && 8 * wrong <= right {
                self.align_to(symbol + 1 - first);
                return None;
            }
        }
        if odd > LONGEST_ODD {
            // It began while nothing was heard; the data show themselves.
            self.align_to(self.known + self.scheme.ones - 1);
        } else {
            self.state = State::Following(Part::Alternation(odd + 1));
        }
        None
    }

    /// The next symbol is number `index` of those after the alternation.
    fn align_to(&mut self, index: usize) {
        self.symbol = index;
        for past in &mut self.past {
            past.valid = false;
        }
        self.last = None;
        if index < self.known {
            self.enter(Part::Known);
        } else {
            self.state = State::Following(Part::Known);
            self.enter(Part::Ones((self.known + self.scheme.ones).saturating_sub(index).max(1)));
        }
    }

    /// Whether what should be scrambled ones after a short training are the known symbols of a long one.
    fn is_long(&mut self, symbol: usize, z: [f32; 2]) -> bool {
        if self.known == self.scheme.known.len() || self.scheme.short == 0 {
            return false;
        }
        let same = nearest(&v17::STATES, z).map(|(_, point)| point) == self.scheme.known.get(symbol).copied();
        let (right, all) = &mut self.long;
        *right += u32::from(same);
        *all += 1;
        *all == 24 && *right >= 21
    }

    /// Moves every loop by what was decided.
    #[inline]
    fn correct(&mut self, symbol: usize, decision: Decision, data: bool) {
        let Some(number) = symbol.checked_sub(decision.back) else { return };
        let past = self.past[number % MEMORY];
        if !past.valid {
            self.last = None;
            return;
        }
        let (z, d) = (past.z, decision.point);
        let (mut er, mut ei) = (d[0] - z[0], d[1] - z[1]);
        let square = er * er + ei * ei;
        self.square = Some(square);
        self.error += FORGET * (square.min(4.0 * CLIP * self.error) - self.error);
        let limit = CLIP * self.error;
        if square > limit {
            let part = (limit / square).sqrt();
            er *= part;
            ei *= part;
        }
        let power = self.scheme.power;
        // Im(z·d*) with the error as cut.
        let zc = [d[0] - er, d[1] - ei];
        self.carrier.correct((zc[1] * d[0] - zc[0] * d[1]) / power, self.carrier_gains);
        if let Some((d1, z1)) = self.last {
            self.late += lateness(d1, z1, d, zc);
        }
        if symbol.is_multiple_of(CLOCK_EVERY) {
            let e = self.late / power;
            self.late = 0.0;
            self.front.shift(self.clock_gains.proportional * e);
            self.clock = (self.clock - self.clock_gains.integral * e).clamp(-600e-6, 600e-6);
            self.front.set_clock(self.clock);
            let gain = self.gain + GAIN_STEP * (er * d[0] + ei * d[1]) / power;
            self.gain = gain.clamp(GAINS[0], GAINS[1]);
        }
        self.last = Some((d, zc));
        if !data || symbol.is_multiple_of(ADAPT_EVERY) {
            let start = past.window - self.dropped;
            if let Some((re, im)) = self.halves.window(start as usize, self.scheme.taps) {
                let (cos, sin) = past.turn;
                let (er, ei) = (self.step * (er * cos - ei * sin), self.step * (ei * cos + er * sin));
                self.equaliser.adapt(re, im, er, ei);
            }
        }
    }

    /// Judges the power; true while the symbol must not be used because the signal has gone.
    fn is_quiet(&mut self, middle: usize, events: &mut Vec<Event>) -> bool {
        let (re, im) = self.halves.get(middle).unwrap_or_default();
        self.group += re * re + im * im;
        self.grouped += 1;
        let mut quiet = self.hole > 0;
        if self.grouped == GROUP {
            let mean = self.group / GROUP as f32;
            (self.group, self.grouped) = (0.0, 0);
            // In strong noise what remains is not so far below.
            let noise = 2.5 * self.error / (self.scheme.power + self.error);
            if mean < self.power * noise.clamp(QUIET, MOST_QUIET) {
                self.hole += GROUP;
                quiet = true;
                if self.hole * 1_000 > LONGEST_HOLE_MS * self.scheme.mode.baud() {
                    self.end(events);
                    return true;
                }
            } else if self.hole > 0 {
                self.pass_over(self.symbol - 1, self.missed, events);
                (self.hole, self.missed) = (0, 0);
                quiet = false;
                self.last = None;
            }
        }
        if quiet {
            self.missed += 1;
        }
        quiet
    }

    fn remember(&mut self, z: [f32; 2]) {
        match self.points.get_mut(self.next_point) {
            Some(point) => *point = z,
            None => self.points.push(z),
        }
        self.next_point = (self.next_point + 1) % POINTS;
    }

    /// The signal is over.
    pub(super) fn end(&mut self, events: &mut Vec<Event>) {
        if self.announced {
            self.decoder.end(events);
            self.learn_last_good();
        } else {
            events.push(Event::TrainingFailed);
        }
        events.push(Event::CarrierDown);
        self.hunt_anew();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::QamTransmitter;
    use crate::modem::Mode;
    use core::ops::Range;
    use fax_base::bits::OctetBits;
    use fax_base::level::Dbm0;
    use fax_base::line::Training;

    /// The speeds of the loops 0.8 s into a long training of V.17, in which these samples are noise.
    fn speeds(silent: Range<usize>) -> (f32, f32) {
        let mode = Mode::V17At14400;
        let mut transmitter = QamTransmitter::new(mode, Training::Long, false, Dbm0(-15.0));
        let mut training = vec![0; 6_400];
        transmitter.transmit(&mut OctetBits::new(&[]), &mut training);
        // What is below the smallest values of a line is a lost packet.
        training[silent].iter_mut().zip([20, -20, 30, -10].into_iter().cycle()).for_each(|(s, n)| *s = n);
        let mut receiver = QamReceiver::new(mode, Training::Long);
        let mut events = Vec::new();
        receiver.receive(&[0; 800], &mut events);
        training.chunks(160).for_each(|block| receiver.receive(block, &mut events));
        assert_eq!(receiver.state, State::Following(Part::Known), "{events:?}");
        assert!(receiver.symbol > 1_000);
        (receiver.carrier_gains.proportional, receiver.clock_gains.proportional)
    }

    #[test]
    fn a_dropout_does_not_leave_the_loops_at_their_widest() {
        let whole = speeds(0..0);
        // Segment 1 is 256 symbols of 10/3 samples; it is away for 24 ms around 256 symbols more.
        let away = speeds(1_580..1_770);
        assert!((whole.0 - away.0).abs() < whole.0 / 100.0, "{whole:?} {away:?}");
        assert!((whole.1 - away.1).abs() < whole.1 / 100.0, "{whole:?} {away:?}");
    }
}
