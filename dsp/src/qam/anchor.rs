//! Coming back after a stretch that was not the signal though nobody said so: a repeated packet, a hit, an
//! impulse. The loops' last good state is kept, and brought forward when the signal is lost. Where that is of no
//! use time and again the line itself is another (a phase hit, a new level, more noise), and the loops follow it.

use super::equaliser::Equaliser;
use super::follow::GAINS;
use super::{Learnt, MEMORY, Part, QamReceiver, State};
use crate::modem::Mode;

/// A good state is kept every so many symbols.
const EVERY: u64 = 128;
/// Weight of a symbol in the short mean of the error; every other one is looked at.
const WEIGHT: f32 = 1.0 / 12.0;
/// An error so many times the usual means that the symbols are not followed.
const LOST: f32 = 4.0;
/// So many looks at it in a row: longer than a packet of 20 ms.
const PATIENCE: u32 = 36;
/// Returns to one good state: 180 ms of packets that are not the signal.
const MOST_RETURNS: u32 = 6;
/// Then the loops run free, quick ones until the error is the usual; after so many looks in all, 2 s, the error that
/// is there becomes the usual one.
const MOST_LOOKS: u32 = MOST_RETURNS + 60;
/// Meanwhile a phase that may be a wrong one is turned at every so many looks.
const TURN_EVERY: u32 = 8;
/// An error that V.29 at 9600 bit/s has an eighth of a turn off, where each point lies near to another, as a part of
/// the power; with noise that loud nothing could be read.
const TURNED: f32 = 0.04;

/// The state of all loops at a symbol.
pub(super) struct Anchor {
    symbol: u64,
    /// Where the symbol's window begins, in the front's positions.
    position: u64,
    phase: f32,
    offset: f32,
    clock: f32,
    gain: f32,
    error: f32,
    equaliser: Equaliser,
    /// How often the signal was lost since.
    lost: u32,
}

impl QamReceiver {
    /// Where the window that is next begins, in the front's positions.
    fn window_position(&self) -> u64 {
        let ahead = (self.halves.len() - self.window) as u64;
        self.front.position().saturating_sub(ahead * self.front.half_symbol())
    }

    /// Keeps the present state as a good one. Called between two symbols.
    pub(super) fn drop_anchor(&mut self) {
        let anchor = Anchor {
            symbol: self.total,
            position: self.window_position(),
            phase: self.carrier.phase,
            offset: self.carrier.offset,
            clock: self.clock,
            gain: self.gain,
            error: self.error,
            equaliser: self.equaliser.clone(),
            lost: 0,
        };
        self.recent = 0.0;
        self.bad = 0;
        self.anchor = Some(anchor);
    }

    /// Judges a decision's error; called between two symbols, with data.
    pub(super) fn watch(&mut self, square: f32) {
        let Some(anchor) = &self.anchor else { return };
        let usual = anchor.error.max(self.scheme.power * 1e-3);
        self.recent += WEIGHT * (square.min(4.0 * LOST * usual) - self.recent);
        if self.recent < LOST * usual {
            self.bad = 0;
            if self.total.is_multiple_of(EVERY) && self.recent < 2.0 * usual {
                if anchor.lost > MOST_RETURNS {
                    self.gear(2, 1);
                }
                self.drop_anchor();
            }
            return;
        }
        self.bad += 1;
        if self.bad >= PATIENCE {
            self.weigh();
        }
    }

    /// The signal is lost: goes back, or does not any more.
    fn weigh(&mut self) {
        let Some(anchor) = &mut self.anchor else { return };
        anchor.lost += 1;
        let lost = anchor.lost;
        if lost <= MOST_RETURNS {
            return self.go_back();
        }
        self.bad = 0;
        if lost == MOST_RETURNS + 1 {
            self.gear(0, 1);
            self.gain = (self.gain * self.too_faint()).clamp(GAINS[0], GAINS[1]);
        } else if lost > MOST_LOOKS {
            self.error = self.recent;
            self.gear(2, 1);
            self.drop_anchor();
        } else if self.scheme.mode == Mode::V29At9600
            && self.error > TURNED * self.scheme.power
            && lost.is_multiple_of(TURN_EVERY)
        {
            self.carrier.phase = (self.carrier.phase + 0.125).fract();
        }
    }

    /// By how much the last points are too small, whatever they are: those of the time without the signal.
    fn too_faint(&self) -> f32 {
        let heard: f32 = self.points.iter().map(|[x, y]| x * x + y * y).sum();
        (self.points.len() as f32 * self.scheme.power / heard.max(f32::MIN_POSITIVE)).sqrt()
    }

    /// Goes on as if nothing had been corrected since the last good state.
    fn go_back(&mut self) {
        let Some(anchor) = &self.anchor else { return };
        let symbols = self.total - anchor.symbol;
        let nominal = 2.0 * self.front.half_symbol() as f64;
        let length = nominal * (1.0 - f64::from(anchor.clock));
        let position = anchor.position + (symbols as f64 * length) as u64;
        let turns = f64::from(anchor.phase)
            + symbols as f64 * (f64::from(self.scheme.turn) + f64::from(anchor.offset));
        self.carrier.phase = (turns - turns.floor()) as f32;
        self.carrier.offset = anchor.offset;
        self.clock = anchor.clock;
        self.gain = anchor.gain;
        self.error = anchor.error;
        self.equaliser = anchor.equaliser.clone();
        self.front.set_clock(self.clock);
        self.front.seek(position);
        self.dropped += self.halves.len() as u64;
        self.halves.clear();
        self.window = 0;
        self.past = [Default::default(); MEMORY];
        self.last = None;
        (self.recent, self.bad) = (0.0, 0);
    }

    /// Keeps what this burst taught, as it was in the last good state of its data: behind that may be a hit, and the
    /// signal's end.
    pub(super) fn learn_last_good(&mut self) {
        let Some(anchor) = self.anchor.take().filter(|anchor| anchor.symbol > 0) else { return };
        if self.scheme.short > 0 {
            self.learnt = Some(Learnt {
                equaliser: anchor.equaliser,
                offset: anchor.offset,
                clock: anchor.clock,
                power: self.power,
                error: anchor.error,
            });
        }
    }

    /// Whether the signal is far enough to be watched.
    pub(super) fn is_watched(&self) -> bool {
        matches!(self.state, State::Following(Part::Data | Part::Ones(_)))
    }
}
