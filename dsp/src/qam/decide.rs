//! From equalised points to bits: decision, differential decoding, descrambling.

use super::trellis::Trellis;
use crate::modem::{Event, Mode};
use crate::scrambler::{Descrambler, GuardedDescrambler};
use crate::{v17, v27ter, v29};
use fax_base::line::Training;
use wide::f32x4;

/// What was decided of the symbol `back` symbols ago.
#[derive(Clone, Copy)]
pub(super) struct Decision {
    pub(super) point: [f32; 2],
    pub(super) back: usize,
}

/// How symbols are decided.
enum Decider {
    /// Each by itself: the nearest point.
    Nearest(Points),
    /// By their sequence.
    Trellis(Box<Trellis>),
}

enum Unscramble {
    Plain(Descrambler),
    /// As it is now, and as the training leaves it together with the last label.
    Guarded(GuardedDescrambler, (GuardedDescrambler, usize)),
}

/// The descrambler and the last label as V.27ter's training leaves them: its guard has counted on from
/// there.
fn after_training(mode: Mode) -> (GuardedDescrambler, usize) {
    let mut phases = v27ter::TrainingPhases::new(Training::Long);
    let turned = phases.by_ref().last().unwrap_or(false);
    let half = v27ter::constellation(mode).len() / 2;
    (GuardedDescrambler::following(phases.scrambler()), if turned { half } else { 0 })
}

/// From points to bits.
pub(super) struct Decoder {
    decider: Decider,
    symbols: Symbols,
}

/// From labels to bits.
struct Symbols {
    mode: Mode,
    /// Symbols of the training's end that are still to come.
    skip: usize,
    last: Option<usize>,
    descrambler: Unscramble,
    /// Bits that the descrambler makes of ones that were lost.
    unsure: u32,
    outlet: Outlet,
}

/// Bits on their way to the events.
#[derive(Default)]
struct Outlet {
    bits: u32,
    held: u32,
    erased: u32,
}

impl Outlet {
    fn bits(&mut self, bits: u32, count: u32, events: &mut Vec<Event>) {
        if self.erased > 0 || self.held + count > 32 {
            self.flush(events);
        }
        self.bits = (self.bits << count) | bits;
        self.held += count;
    }

    fn erased(&mut self, count: u32, events: &mut Vec<Event>) {
        if self.held > 0 {
            self.flush(events);
        }
        self.erased += count;
    }

    /// Tells the bits that are held; what was erased after them waits, because at the end of a signal it
    /// is nothing.
    fn flush_bits(&mut self, events: &mut Vec<Event>) {
        if self.held > 0 {
            events.push(Event::Bits { bits: self.bits, count: self.held as u8 });
        }
        (self.bits, self.held) = (0, 0);
    }

    fn flush(&mut self, events: &mut Vec<Event>) {
        self.flush_bits(events);
        if self.erased > 0 {
            events.push(Event::Erased { bits: self.erased });
        }
        self.erased = 0;
    }
}

impl Symbols {
    fn take(&mut self, label: Option<usize>, events: &mut Vec<Event>) {
        let count = self.mode.bits_per_symbol();
        let bits = match (self.last, label) {
            (Some(last), Some(label)) => Some(match &mut self.descrambler {
                Unscramble::Plain(d) => {
                    let line = match self.mode {
                        Mode::V29At4800 | Mode::V29At7200 | Mode::V29At9600 => {
                            v29::decode(self.mode, last, label)
                        }
                        Mode::V27ter2400
                        | Mode::V27ter4800
                        | Mode::V17At7200
                        | Mode::V17At9600
                        | Mode::V17At12000
                        | Mode::V17At14400 => v17::decode(self.mode, last, label),
                    };
                    d.descramble(line, count)
                }
                Unscramble::Guarded(d, _) => d.descramble(v27ter::decode(self.mode, last, label), count),
            }),
            (None, Some(_)) | (Some(_) | None, None) => {
                self.unsure = match &self.descrambler {
                    Unscramble::Plain(_) => 23,
                    Unscramble::Guarded(..) => 12,
                };
                None
            }
        };
        self.last = label;
        let unsure = self.unsure > 0;
        if bits.is_some() {
            self.unsure = self.unsure.saturating_sub(count);
        }
        if self.skip > 0 {
            self.skip -= 1;
            return;
        }
        match bits {
            Some(bits) if !unsure => self.outlet.bits(bits, count, events),
            Some(_) | None => self.outlet.erased(count, events),
        }
    }
}

impl Decoder {
    pub(super) fn new(mode: Mode) -> Self {
        let (decider, descrambler) = match mode {
            Mode::V27ter2400 | Mode::V27ter4800 => (
                Decider::Nearest(Points::new(v27ter::constellation(mode))),
                Unscramble::Guarded(GuardedDescrambler::new(), after_training(mode)),
            ),
            Mode::V29At4800 | Mode::V29At7200 | Mode::V29At9600 => (
                Decider::Nearest(Points::new(v29::constellation(mode))),
                Unscramble::Plain(Descrambler::new()),
            ),
            Mode::V17At7200 | Mode::V17At9600 | Mode::V17At12000 | Mode::V17At14400 => (
                Decider::Trellis(Box::new(Trellis::new(v17::constellation(mode)))),
                Unscramble::Plain(Descrambler::new()),
            ),
        };
        let symbols =
            Symbols { mode, skip: 0, last: None, descrambler, unsure: 0, outlet: Outlet::default() };
        Decoder { decider, symbols }
    }

    /// A burst's coded symbols begin; the first `skip` of them are training.
    pub(super) fn begin(&mut self, skip: usize) {
        if let Decider::Trellis(trellis) = &mut self.decider {
            trellis.reset();
        }
        self.symbols.skip = skip;
        self.symbols.last = None;
        if let Unscramble::Guarded(now, (start, label)) = &mut self.symbols.descrambler {
            *now = *start;
            self.symbols.last = Some(*label);
        }
        self.symbols.unsure = 0;
        self.symbols.outlet = Outlet::default();
    }

    /// The next symbol, or that it was lost. What is decided may be of an earlier one.
    #[inline]
    pub(super) fn push(&mut self, point: Option<[f32; 2]>, events: &mut Vec<Event>) -> Option<Decision> {
        match &mut self.decider {
            Decider::Nearest(points) => {
                let decided = point.and_then(|point| points.nearest(point));
                self.symbols.take(decided.map(|(label, _)| label), events);
                decided.map(|(_, point)| Decision { point, back: 0 })
            }
            Decider::Trellis(trellis) => {
                let decision = trellis.push(point);
                trellis.settled(false, |label| self.symbols.take(label.map(usize::from), events));
                decision
            }
        }
    }

    /// Gives out what is decided so far, short of what the trellis still holds back.
    pub(super) fn flush(&mut self, events: &mut Vec<Event>) {
        self.symbols.outlet.flush_bits(events);
    }

    /// The signal is over: gives out everything.
    pub(super) fn end(&mut self, events: &mut Vec<Event>) {
        if let Decider::Trellis(trellis) = &mut self.decider {
            trellis.settled(true, |label| self.symbols.take(label.map(usize::from), events));
        }
        self.symbols.outlet.flush_bits(events);
        self.symbols.outlet = Outlet::default();
    }
}

/// Points, four together.
struct Points {
    points: &'static [[f32; 2]],
    fours: Vec<(f32x4, f32x4)>,
}

impl Points {
    /// Of a number of points that is a multiple of four.
    fn new(points: &'static [[f32; 2]]) -> Self {
        let four = |p: &[[f32; 2]; 4]| (f32x4::new(p.map(|[x, _]| x)), f32x4::new(p.map(|[_, y]| y)));
        Points { points, fours: points.as_chunks::<4>().0.iter().map(four).collect() }
    }

    /// The nearest point, and its number.
    #[inline]
    fn nearest(&self, [x, y]: [f32; 2]) -> Option<(usize, [f32; 2])> {
        let (x, y) = (f32x4::splat(x), f32x4::splat(y));
        let mut least = f32x4::splat(f32::INFINITY);
        let mut best = f32x4::ZERO;
        let mut number = f32x4::new([0.0, 1.0, 2.0, 3.0]);
        for (px, py) in &self.fours {
            let (dx, dy) = (*px - x, *py - y);
            let distance = dx * dx + dy * dy;
            let nearer = distance.simd_lt(least);
            least = nearer.select(distance, least);
            best = nearer.select(number, best);
            number += f32x4::splat(4.0);
        }
        let (least, best) = (least.to_array(), best.to_array());
        let two = |a: usize, b: usize| if least[b] < least[a] { b } else { a };
        let lane = two(two(0, 1), two(2, 3));
        let number = best[lane] as i32 as usize;
        self.points.get(number).map(|&point| (number, point))
    }
}

/// The nearest of some points, and its number.
#[inline]
pub(super) fn nearest(points: &[[f32; 2]], [x, y]: [f32; 2]) -> Option<(usize, [f32; 2])> {
    let mut least = f32::INFINITY;
    let mut best = 0;
    for (i, [px, py]) in points.iter().enumerate() {
        let distance = (px - x) * (px - x) + (py - y) * (py - y);
        if distance < least {
            least = distance;
            best = i;
        }
    }
    points.get(best).map(|&point| (best, point))
}
