//! MMR as it arrives (T.6 §2): row after row, each coded against the one before, until EOFB.

use super::Thrown;
use super::row::Bits;
use super::two_d::{TwoD, TwoDEnd, row_2d};
use crate::changes::Changes;

/// What comes next in the data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum T6Next {
    /// A row: [`T6Rows::row`] has it.
    Row,
    /// A row like the one before (white at the beginning of the page).
    Same,
    /// More data is needed.
    More,
    /// EOFB was seen.
    End,
    /// The data makes no sense from here on. T.6 cannot get in step again.
    Damaged,
}

/// Decodes rows from data that comes in pieces.
#[derive(Clone, Debug)]
pub(crate) struct T6Rows {
    buffer: Vec<u8>,
    /// The next bit in the buffer.
    pos: usize,
    width: u32,
    state: TwoD,
    current: Changes,
    reference: Changes,
    rows: u32,
    /// The end, once it is reached.
    over: Option<T6Next>,
    /// What came behind that.
    thrown: Thrown,
}

impl T6Rows {
    pub(crate) fn new(width: u32) -> Self {
        T6Rows {
            buffer: Vec::new(),
            pos: 0,
            width,
            state: TwoD::default(),
            current: Changes::default(),
            reference: Changes::white(width),
            rows: 0,
            over: None,
            thrown: Thrown::default(),
        }
    }

    /// Adds data.
    pub(crate) fn push(&mut self, octets: &[u8]) {
        if self.over.is_some() {
            return self.thrown.more(octets);
        }
        if self.pos / 8 > self.buffer.len() / 2 {
            self.buffer.drain(..self.pos / 8);
            self.pos %= 8;
        }
        self.buffer.extend_from_slice(octets);
    }

    /// Nothing more is decoded.
    pub(crate) fn stop(&mut self, why: T6Next) {
        self.over.get_or_insert(why);
        self.thrown.more(self.buffer.get(self.pos / 8..).unwrap_or_default());
        self.buffer = Vec::new();
        self.pos = 0;
    }

    /// About so many octets are missing here, behind which nothing can be decoded.
    pub(crate) fn lost(&mut self, octets: usize) {
        self.stop(T6Next::Damaged);
        self.thrown.lost(octets);
    }

    /// What came behind the end.
    pub(crate) fn thrown(&self) -> Thrown {
        self.thrown
    }

    /// The row that was decoded last.
    pub(crate) fn row(&self) -> &Changes {
        &self.reference
    }

    /// Whether EOFB was seen.
    pub(crate) fn ended(&self) -> bool {
        self.over == Some(T6Next::End)
    }

    /// What comes next in the data.
    pub(crate) fn next(&mut self) -> T6Next {
        if let Some(over) = self.over {
            return over;
        }
        let end = self.buffer.len() * 8;
        if self.state.at_start() {
            // V0 for each element and for the end of the row: so are most rows of most pages.
            let modes = self.reference.elements().len() + 1;
            let bits = Bits::new(&self.buffer, self.pos, end);
            let ones = (!bits.peek()).leading_zeros() as usize;
            if modes <= 56 && ones >= modes && self.pos + modes <= end {
                self.pos += modes;
                self.rows = self.rows.saturating_add(1);
                return T6Next::Same;
            }
        }
        loop {
            let mut bits = Bits::new(&self.buffer, self.pos, end);
            let row = &mut self.current;
            if self.state.at_start() {
                row.at.clear();
            }
            let what = row_2d(&mut bits, &mut self.state, &self.reference, self.width, row);
            self.pos = bits.pos;
            match what {
                TwoDEnd::Full => {
                    core::mem::swap(&mut self.current, &mut self.reference);
                    self.rows = self.rows.saturating_add(1);
                    return T6Next::Row;
                }
                TwoDEnd::Short => return T6Next::More,
                TwoDEnd::NoMode if self.state.at_start() => {
                    let (next, pos) = end_of_block(&bits, self.rows);
                    self.pos = pos;
                    match next {
                        T6Next::Row | T6Next::Same => {}
                        T6Next::More => return next,
                        T6Next::End | T6Next::Damaged => {
                            self.stop(next);
                            return next;
                        }
                    }
                }
                TwoDEnd::NoMode | TwoDEnd::Illegal => {
                    self.stop(T6Next::Damaged);
                    return T6Next::Damaged;
                }
            }
        }
    }

    /// No more data will come: whether the page ended in the middle of a row.
    pub(crate) fn cut_off(&self) -> bool {
        match self.over {
            Some(T6Next::Damaged) => true,
            Some(_) => false,
            None => {
                let bits = Bits::new(&self.buffer, self.pos, self.buffer.len() * 8);
                let left = bits.end - bits.pos;
                !self.state.at_start() || bits.zeros() < left
            }
        }
    }

    /// Whether an EOL stood at the end with nothing but zeros behind it: the first half of an EOFB.
    pub(crate) fn half_ended(&self) -> bool {
        let mut bits = Bits::new(&self.buffer, self.pos, self.buffer.len() * 8);
        let zeros = bits.zeros();
        if self.over.is_some() || !self.state.at_start() || zeros < 11 || bits.pos + zeros >= bits.end {
            return false;
        }
        bits.pos += zeros + 1;
        bits.pos + bits.zeros() >= bits.end
    }
}

/// Judges zeros at the beginning of a row, before which there were `rows`: what they are and where to
/// go on. [`T6Next::Row`] means that decoding goes on there.
fn end_of_block(bits: &Bits<'_>, rows: u32) -> (T6Next, usize) {
    let zeros = bits.zeros();
    if bits.pos + zeros >= bits.end {
        // Fill, as far as can be seen. Its beginning need not be kept.
        let skip = if zeros > 64 { (zeros - 32) / 8 * 8 } else { 0 };
        return (T6Next::More, bits.pos + skip);
    }
    if zeros < 11 {
        return (T6Next::Damaged, bits.pos);
    }
    let mut second = *bits;
    second.pos += zeros + 1;
    let between = second.zeros();
    if between >= 11 {
        return (T6Next::End, bits.pos);
    }
    if second.pos + between >= second.end {
        return (T6Next::More, bits.pos);
    }
    // A single EOL: nothing at the beginning of the page, else half of an EOFB.
    if rows == 0 { (T6Next::Row, second.pos) } else { (T6Next::End, bits.pos) }
}
