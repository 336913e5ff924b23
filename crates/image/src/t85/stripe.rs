//! Decoding the lines of a stripe from as many of its octets as there are (T.82 §6.8.3).

use super::Template;
use super::header::Header;
use super::qm::{Contexts, Decoder, UNKNOWN};
use super::template::{Lines, Window, decode_word, typical_context};

/// So many octets ahead a word of 64 pels can always be decoded: a pel shifts by fifteen bits at most, and
/// the coder reads eight octets ahead.
const LOOKAHEAD: usize = 64 * 15 / 8 + 2 * 8;

/// A line that was decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Line {
    /// Its pels are in [`Stripe::pels`].
    Coded,
    /// It is like the one before.
    Same,
}

/// The stripe that is being decoded, and what is kept from one to the next.
#[derive(Clone, Debug)]
pub(super) struct Stripe {
    template: Template,
    /// TPBON.
    typical: bool,
    lines: Lines,
    contexts: Box<Contexts>,
    coder: Decoder,
    /// Octets without stuffing, as far as they are still needed.
    octets: Vec<u8>,
    /// Lines that are done.
    rows: u32,
    /// Words of the current line that are done, once it is begun.
    begun: Option<(usize, Window)>,
    /// LTP of the last line.
    same: bool,
    /// How far to the left the adaptive pel is, 0 at its own place.
    at: u8,
    /// The line of this stripe at which it moves, and where to.
    moves: Option<(u32, u8)>,
}

impl Stripe {
    /// The first one.
    pub(super) fn new(header: &Header) -> Self {
        Stripe {
            template: header.template,
            typical: header.typical,
            lines: Lines::new(header.width),
            contexts: Box::new([UNKNOWN; 1024]),
            coder: Decoder::new(),
            octets: Vec::new(),
            rows: 0,
            begun: None,
            same: false,
            at: 0,
            moves: None,
        }
    }

    /// Lines that are done.
    pub(super) fn rows(&self) -> u32 {
        self.rows
    }

    /// The pels of the last line, 64 a word, the first one highest.
    pub(super) fn pels(&self) -> &[u64] {
        self.lines.above.get(..self.lines.words()).unwrap_or(&[])
    }

    /// More of its octets.
    pub(super) fn feed(&mut self, octets: &[u8]) {
        let used = self.coder.used().min(self.octets.len());
        if used > self.octets.len() / 2 {
            self.octets.drain(..used);
            self.coder.forget(used);
        }
        self.octets.extend_from_slice(octets);
    }

    /// The adaptive pel moves at a line of this stripe (T.82 §6.2.5.4). Once a stripe (T.85 Table 2); `false`
    /// if that is not possible.
    pub(super) fn move_at(&mut self, row: u32, distance: u8) -> bool {
        let possible = self.moves.is_none() && row >= self.rows && self.begun.is_none() && distance < 128;
        if possible {
            self.moves = Some((row, distance));
        }
        possible
    }

    /// Decodes a line; `None` when octets are missing. If the octets are `complete`, zeros follow.
    pub(super) fn line(&mut self, complete: bool) -> Option<Line> {
        let (words, mut window) = match self.begun.take() {
            Some(begun) => begun,
            None => {
                if !self.enough(complete) {
                    return None;
                }
                self.coder.begin(&self.octets);
                self.moves = self.moves.filter(|&(row, distance)| {
                    if row == self.rows {
                        self.at = distance;
                    }
                    row > self.rows
                });
                if self.typical && self.is_same() {
                    self.lines.advance_same();
                    self.rows += 1;
                    // Before the first one of a stripe lies white paper, or the stripe before: not always the last row.
                    return Some(if self.rows == 1 { Line::Coded } else { Line::Same });
                }
                (0, Window::new(&self.lines, self.template, self.at > 0))
            }
        };
        let how = (self.template, self.at);
        for index in words..self.lines.words() {
            if !self.enough(complete) {
                self.begun = Some((index, window));
                return None;
            }
            let (coder, octets, contexts) = (&mut self.coder, &self.octets, &mut self.contexts);
            decode_word(coder, octets, contexts, &mut self.lines, index, &mut window, how);
        }
        self.lines.advance();
        self.rows += 1;
        Some(Line::Coded)
    }

    /// Whether the octets of the last line were not enough, and zeros were taken.
    pub(super) fn overrun(&self) -> bool {
        self.coder.overrun(&self.octets)
    }

    /// The stripe is over; the next one follows. `anew`: without anything that was learnt from this one
    /// (T.82 §6.2.6.2, SDRST).
    pub(super) fn end(&mut self, anew: bool) {
        self.coder = Decoder::new();
        self.octets.clear();
        self.rows = 0;
        self.begun = None;
        self.moves = None;
        if anew {
            self.contexts.fill(UNKNOWN);
            self.lines.clear();
            self.same = false;
            self.at = 0;
        }
    }

    fn enough(&self, complete: bool) -> bool {
        complete || self.octets.len().saturating_sub(self.coder.used()) >= LOOKAHEAD
    }

    /// Decodes SLNTP: whether the line is like the one before.
    fn is_same(&mut self) -> bool {
        if let Some(context) = self.contexts.get_mut(typical_context(self.template)) {
            self.same ^= self.coder.decode(context, &self.octets) == 0;
        }
        self.same
    }
}
