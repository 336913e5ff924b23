//! The receiver of V.27ter, V.29 and V.17.
//!
//! One receiver for all, each modulation as data (`scheme`). Samples go through the matched filter
//! (`front`) to two complex values a symbol (`halves`). A training is found by its structure (`hunt`),
//! the equaliser is solved from its known symbols at once (`equaliser`), and the same samples are gone
//! through again with all loops running (`track`); so nothing depends on the phase of the far end's
//! clock, and nothing has to settle before the data. `decide` makes bits of points, `trellis` those of
//! V.17.
//!
//! Lost samples are told with [`QamReceiver::receive_gap`]: the loops stand still, clocks run on, the
//! symbols are erased.

mod anchor;
mod decide;
mod equaliser;
mod follow;
mod front;
mod halves;
mod hunt;
mod scheme;
mod simd;
mod track;
mod train;
mod trellis;

use crate::modem::{Event, Mode, Quality};
use anchor::Anchor;
use decide::Decoder;
use equaliser::Equaliser;
use fax_base::level::Dbm0;
use fax_base::line::Training;
use front::Front;
use halves::Halves;
use hunt::{Align, Hunt};
use scheme::Scheme;
use track::{Carrier, Gains, Turns};

/// Points kept for a picture.
const POINTS: usize = 512;
/// Symbols remembered for decisions that come late.
const MEMORY: usize = 8;
/// Training states remembered; a power of two.
const HEARD: usize = 64;
/// Symbols whose power is judged together.
const GROUP: u32 = 16;
/// A signal that falls this far below its training is gone: −12 dB.
const QUIET: f32 = 1.0 / 16.0;
/// A pause of this length ends the signal, ms; a shorter one is a hole in it.
const LONGEST_HOLE_MS: u32 = 60;
/// Told losses of this length in a row end it, ms.
const LONGEST_LOSS_MS: u32 = 1_500;

/// Samples of the shortest packet that is recognised when it is repeated, and of the longest.
const LEAST_PACKET: usize = 40;
const MOST_PACKET: usize = 960;
/// A silence of fewer samples may be the signal's own.
const LEAST_SILENCE: usize = 12;
/// The smallest values of G.711 decode to at most this.
const SILENCE: i16 = 8;

/// What the receiver does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Looks for an alternation.
    Hunting,
    /// Has found one; looks for the known symbols.
    Aligning,
    /// Waits until there are enough known symbols to solve the equaliser from.
    Gathering { first: usize },
    /// Follows the signal.
    Following(Part),
}

/// The parts of a signal that is followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    /// The alternation before a short training; symbols since something else was heard.
    Alternation(usize),
    /// Known symbols.
    Known,
    /// One of the four training states each, not known which; so many are to come.
    Bridge(usize),
    /// Scrambled ones; so many are to come.
    Ones(usize),
    /// Data.
    Data,
}

/// A symbol whose decision may come later.
#[derive(Clone, Copy, Default)]
struct Past {
    z: [f32; 2],
    turn: (f32, f32),
    /// Its window, halves from the beginning of all.
    window: u64,
    valid: bool,
}

/// What a long training taught.
struct Learnt {
    equaliser: Equaliser,
    offset: f32,
    clock: f32,
    power: f32,
    error: f32,
}

/// A receiver of one mode.
pub struct QamReceiver {
    scheme: &'static Scheme,
    front: Front,
    halves: Halves,
    /// Halves dropped so far.
    dropped: u64,
    state: State,
    expected: Training,
    hunt: Hunt,
    align: Align,
    aligning_since: usize,
    /// Blocks of alternation in a row.
    alternating: usize,
    /// Known symbols that the equaliser will be solved from.
    gather: usize,
    equaliser: Equaliser,
    learnt: Option<Learnt>,
    decoder: Decoder,
    turns: Turns,
    carrier: Carrier,
    carrier_gains: Gains,
    clock: f32,
    clock_gains: Gains,
    /// Sum of the clock's errors not yet corrected.
    late: f32,
    /// Of the points, against what they had in training.
    gain: f32,
    /// Symbols followed in this burst, the alternation included.
    total: u64,
    anchor: Option<Anchor>,
    /// Short mean of the error, and symbols in a row for which it was bad.
    recent: f32,
    /// Square of the error of the symbol just decided.
    square: Option<f32>,
    bad: u32,
    /// Number of the next symbol since following began.
    symbol: usize,
    /// The next symbol's window.
    window: usize,
    /// How many known symbols there are in this training.
    known: usize,
    past: [Past; MEMORY],
    /// The last training states, short training.
    heard: [Option<usize>; HEARD],
    /// Symbols after a short training that are those of a long one, and all.
    long: (u32, u32),
    /// The last decided point and the symbol it was decided from.
    last: Option<([f32; 2], [f32; 2])>,
    /// Mean power of the halves in training.
    power: f32,
    /// Mean square error of the points.
    error: f32,
    step: f32,
    group: f32,
    grouped: u32,
    hole: u32,
    /// Symbols not decoded because of a hole.
    missed: u32,
    loss: u32,
    announced: bool,
    /// Samples of silence in a row.
    silent: usize,
    last_block: Vec<i16>,
    points: Vec<[f32; 2]>,
    next_point: usize,
}

impl QamReceiver {
    /// A receiver that waits for a burst.
    #[must_use]
    pub fn new(mode: Mode, training: Training) -> Self {
        let scheme = Scheme::of(mode);
        let baud = mode.baud() as f32;
        QamReceiver {
            scheme,
            front: Front::new(&scheme.bank),
            halves: Halves::new(),
            dropped: 0,
            state: State::Hunting,
            expected: training,
            hunt: Hunt::new(),
            align: Align::new(0),
            aligning_since: 0,
            alternating: 0,
            gather: 0,
            equaliser: Equaliser::new(scheme.taps),
            learnt: None,
            decoder: Decoder::new(mode),
            turns: Turns::new(),
            carrier: Carrier { phase: 0.0, turn: scheme.turn, offset: 0.0 },
            carrier_gains: Gains::new(10.0, baud),
            clock: 0.0,
            clock_gains: Gains::new(1.0, baud),
            late: 0.0,
            gain: 1.0,
            total: 0,
            anchor: None,
            recent: 0.0,
            square: None,
            bad: 0,
            symbol: 0,
            window: 0,
            known: 0,
            past: [Past::default(); MEMORY],
            heard: [None; HEARD],
            long: (0, 0),
            last: None,
            power: 1.0,
            error: 0.0,
            step: 0.0,
            group: 0.0,
            grouped: 0,
            hole: 0,
            missed: 0,
            loss: 0,
            announced: false,
            silent: 0,
            last_block: Vec::with_capacity(MOST_PACKET),
            points: Vec::with_capacity(POINTS),
            next_point: 0,
        }
    }

    /// The mode.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.scheme.mode
    }

    /// Waits for a new burst. `Short` builds on what the last long training taught, as far as the mode
    /// has a short one.
    pub fn expect(&mut self, training: Training) {
        self.expected = training;
        self.hunt_anew();
    }

    /// How well the present or last burst is received.
    #[must_use]
    pub fn quality(&self) -> Quality {
        let baud = self.scheme.mode.baud() as f32;
        Quality {
            // The halves hold the analytic signal through a filter of unit energy per symbol.
            level: Dbm0::from_mean_square(self.power / 2.0),
            snr_db: 10.0 * (self.scheme.power / self.error.max(1e-6)).log10(),
            offset_hz: self.carrier.offset * baud,
            clock_ppm: self.clock * 1e6,
        }
    }

    /// The last equalised points, in the mode's own units, in no particular order.
    #[must_use]
    pub fn constellation(&self) -> &[[f32; 2]] {
        &self.points
    }

    /// Samples come in.
    ///
    /// A call's worth that is silent, or the same as the last, in the midst of a signal is what a device
    /// on the way made of a lost packet: it is treated as lost.
    pub fn receive(&mut self, samples: &[i16], events: &mut Vec<Event>) {
        let silent = is_silent(samples);
        self.silent = if silent { self.silent + samples.len() } else { 0 };
        let repeated = samples.len() >= LEAST_PACKET && samples == self.last_block;
        if silent || (repeated && self.is_unrepeated()) {
            self.front.mark_lost(samples.len());
        }
        self.last_block.clear();
        if samples.len() <= MOST_PACKET {
            self.last_block.extend_from_slice(samples);
        }
        for block in samples.chunks(800) {
            self.front.push(block);
            self.run(events);
        }
        if self.silent > LONGEST_HOLE_MS as usize * 8 && matches!(self.state, State::Following(_)) {
            self.end(events);
        }
        self.decoder.flush(events);
    }

    /// So many samples were lost.
    pub fn receive_gap(&mut self, samples: usize, events: &mut Vec<Event>) {
        self.silent = 0;
        self.last_block.clear();
        let mut left = samples;
        while left > 0 {
            let now = left.min(800);
            self.front.push_lost(now);
            self.run(events);
            left -= now;
        }
        self.decoder.flush(events);
    }

    /// Whether a signal is there that does not repeat itself.
    fn is_unrepeated(&self) -> bool {
        match self.state {
            State::Hunting | State::Following(Part::Alternation(_)) => false,
            State::Aligning
            | State::Gathering { .. }
            | State::Following(Part::Known | Part::Bridge(_) | Part::Ones(_) | Part::Data) => true,
        }
    }

    fn run(&mut self, events: &mut Vec<Event>) {
        loop {
            match self.state {
                State::Following(_) => {
                    let need = self.window + self.scheme.taps;
                    while self.halves.len() < need {
                        let Some(half) = self.front.next() else { return };
                        self.halves.push(half);
                    }
                    let before = self.dropped;
                    self.square = None;
                    self.follow(events);
                    if self.dropped != before {
                        // It went elsewhere.
                        continue;
                    }
                    self.window += 2;
                    self.total += 1;
                    // Every other symbol shows it as well.
                    if self.total.is_multiple_of(2) && self.is_watched() {
                        match (self.square, &self.anchor) {
                            (_, None) => self.drop_anchor(),
                            (Some(square), Some(_)) => self.watch(square),
                            (None, Some(_)) => {}
                        }
                    }
                    if self.window >= 2_048 {
                        let forget = self.window - 64;
                        self.halves.forget(forget);
                        self.window -= forget;
                        self.dropped += forget as u64;
                    }
                }
                State::Hunting | State::Aligning | State::Gathering { .. } => {
                    if self.halves.is_full() {
                        self.trim();
                    }
                    let Some(half) = self.front.next() else { return };
                    self.halves.push(half);
                    self.search(events);
                }
            }
        }
    }

    /// Drops halves that no search needs any more.
    fn trim(&mut self) {
        let keep = match self.state {
            State::Hunting | State::Following(_) => self.hunt.next().saturating_sub(512),
            State::Aligning => self.align.next().saturating_sub(512),
            State::Gathering { first } => first.saturating_sub(64),
        };
        self.halves.forget(keep);
        self.dropped += keep as u64;
        self.hunt.forget(keep);
        self.align.forget(keep);
        self.aligning_since = self.aligning_since.saturating_sub(keep);
        if let State::Gathering { first } = &mut self.state {
            *first -= keep.min(*first);
        }
    }

    fn hunt_anew(&mut self) {
        self.state = State::Hunting;
        self.front.set_clock(0.0);
        self.dropped += self.halves.len() as u64;
        self.halves.clear();
        self.hunt = Hunt::new();
        self.announced = false;
        self.alternating = 0;
    }
}

/// All samples alike and nearly nothing: no signal, whatever its level, is so.
fn is_silent(samples: &[i16]) -> bool {
    let Some(&first) = samples.first() else { return false };
    samples.len() >= LEAST_SILENCE
        && (-SILENCE..=SILENCE).contains(&first)
        && samples.iter().all(|&s| s == first)
}
