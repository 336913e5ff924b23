//! MH and MR as they arrive (T.4 §4): lines between EOLs, whatever lies between them.
//!
//! Eleven zeros never occur in legal line data, so the EOLs are found first and each line is decoded
//! between two of them. That gets the decoder in step again after any damage.

use super::row::{Bits, OneD, row_1d};
use super::two_d::{TwoD, TwoDEnd, row_2d};
use crate::changes::Changes;

/// From so many rows on a loss up to the end of the page has taken rows away, and not just its end.
const LOST_END_ROWS: u64 = 16;

/// A line may have so many octets; longer ones are bad. Five seconds at 14400 bit/s are 9000 octets.
const MAX_LINE_OCTETS: usize = 65_536;

/// So many EOLs in a row are an RTC. T.4 §4.1.4 sends six; damage may have taken some, and one pair
/// alone may come from damage.
const RTC_EOLS: u32 = 3;

/// A one-dimensional line may be so many pels too long and is still good: some terminals send 1730.
const SURPLUS_PELS: u32 = 2;

/// What was found in the data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum T4Next {
    /// A good row: [`T4Lines::row`] has it.
    Row,
    /// A bad row whose pels are nevertheless the best there are: [`T4Lines::row`] has it.
    BadRow,
    /// So many bad rows that must be concealed.
    Concealed(u32),
    /// More data is needed.
    More,
    /// RTC was seen.
    End,
}

/// Decodes lines from data that comes in pieces.
#[derive(Clone, Debug)]
pub(crate) struct T4Lines {
    two_d: bool,
    width: u32,
    buffer: Vec<u8>,
    /// The line's first bit in the buffer: the one behind an EOL's one.
    start: usize,
    /// The next octet to be searched for an EOL.
    search: usize,
    /// Zero bits before that octet.
    zeros: usize,
    /// An EOL was seen.
    started: bool,
    /// So many bits of the line were thrown away, because it is too long.
    dropped: usize,
    /// A hole is in the line: the bits that were lost, and those before it, as far as they tell of rows.
    gap: Option<u64>,
    /// EOLs that followed each other.
    eols: u32,
    ended: bool,
    /// MR: the reference line is right, two-dimensional lines can be decoded.
    in_step: bool,
    /// The number of pels of the last one-dimensional line that had a wrong number.
    odd_pels: u32,
    /// For the number of rows in a gap: the mean length of the last lines, 1/16 bit; 0 before there
    /// are any.
    mean_length: u64,
    /// Concealed rows to be told after a row.
    pending: u32,
    current: Changes,
    reference: Changes,
}

impl T4Lines {
    pub(crate) fn new(two_d: bool, width: u32) -> Self {
        T4Lines {
            two_d,
            width,
            buffer: Vec::new(),
            start: 0,
            search: 0,
            zeros: 0,
            started: false,
            dropped: 0,
            gap: None,
            eols: 0,
            ended: false,
            in_step: false,
            odd_pels: u32::MAX,
            mean_length: 0,
            pending: 0,
            current: Changes::default(),
            reference: Changes::white(width),
        }
    }

    /// Adds data; all that [`T4Lines::next`] found before must have been fetched.
    pub(crate) fn push(&mut self, octets: &[u8]) {
        if self.ended {
            return;
        }
        let done = self.start / 8;
        if self.buffer.len() - done.min(self.buffer.len()) > MAX_LINE_OCTETS + 1 {
            self.dropped = self.dropped.saturating_add(self.buffer.len() * 8 - self.start);
            self.drop_line();
        } else if done > self.buffer.len() / 2 {
            let done = done.min(self.search);
            self.buffer.drain(..done);
            self.start -= done * 8;
            self.search -= done;
        }
        self.buffer.extend_from_slice(octets);
    }

    /// About this many octets are missing between what was pushed and what will be.
    pub(crate) fn lost(&mut self, octets: usize) {
        if self.ended || octets == 0 {
            return;
        }
        let line = (self.dropped + self.buffer.len() * 8).saturating_sub(self.start);
        self.dropped = 0;
        let bits = (octets as u64).saturating_mul(8);
        let before = self.gap.unwrap_or(0).saturating_add(bits);
        self.gap = Some(before.saturating_add(self.at_most_a_row(line)));
        self.zeros = 0;
        self.drop_line();
    }

    fn drop_line(&mut self) {
        self.buffer.clear();
        self.start = 0;
        self.search = 0;
    }

    /// Nothing more is decoded.
    pub(crate) fn stop(&mut self) {
        self.ended = true;
        self.drop_line();
    }

    /// The row that was decoded last.
    pub(crate) fn row(&self) -> &Changes {
        &self.reference
    }

    /// Whether RTC was seen.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// Whether the data up to now ends with an EOL or with zeros behind one.
    pub(crate) fn at_end(&self) -> bool {
        self.started && self.buffer.len() * 8 - self.zeros.min(self.buffer.len() * 8) <= self.start
    }

    /// What comes next in the data.
    pub(crate) fn next(&mut self) -> T4Next {
        if self.pending > 0 {
            return T4Next::Concealed(core::mem::take(&mut self.pending));
        }
        while !self.ended {
            let Some(one) = self.find_eol() else {
                return T4Next::More;
            };
            let found = self.line(one);
            self.start = one + 1;
            if let Some(found) = found {
                return found;
            }
        }
        T4Next::End
    }

    /// Finds the next EOL: the position of its one. `zeros` then counts the zeros before it, and is
    /// set anew by [`T4Lines::line`].
    fn find_eol(&mut self) -> Option<usize> {
        self.skip_to_zeros();
        for (i, &octet) in self.buffer.iter().enumerate().skip(self.search) {
            if octet == 0 {
                self.zeros += 8;
                continue;
            }
            let leading = octet.leading_zeros() as usize;
            let zeros = self.zeros + leading;
            if zeros >= 11 {
                self.search = i;
                self.zeros = zeros;
                return Some(i * 8 + leading);
            }
            self.zeros = octet.trailing_zeros() as usize;
        }
        self.search = self.buffer.len();
        None
    }

    /// Goes on to the octet in which eleven zeros begin, or near to the end.
    fn skip_to_zeros(&mut self) {
        let from = self.search;
        let mut at = from;
        while let Some(Ok(word)) = self.buffer.get(at..at + 8).map(<[u8; 8]>::try_from) {
            let word = u64::from_be_bytes(word);
            if at == from && self.zeros + word.leading_zeros() as usize >= 11 {
                return;
            }
            // A one where there is a one among the eleven bits from there on, as far as the word goes.
            let ones = word | word << 1;
            let ones = ones | ones << 2;
            let ones = ones | ones << 4;
            let ones = ones | ones << 3 | 0x3FF;
            if ones != u64::MAX {
                at += ones.leading_ones() as usize / 8;
                break;
            }
            at += 6;
        }
        if at > from {
            let zeros = |i: usize| self.buffer.get(i).map_or(0, |o| o.trailing_zeros() as usize);
            // There are fewer than eleven.
            self.zeros =
                if zeros(at - 1) < 8 { zeros(at - 1) } else { 8 + at.checked_sub(2).map_or(0, zeros) };
            self.search = at;
        }
    }

    /// Judges what lies between the EOL before (or the beginning) and the one whose one is at `one`.
    fn line(&mut self, one: usize) -> Option<T4Next> {
        let zeros = self.zeros;
        if let Some(&octet) = self.buffer.get(self.search) {
            self.zeros = octet.trailing_zeros() as usize;
        }
        self.search += 1;
        let content_end = one.saturating_sub(zeros);
        let length = core::mem::take(&mut self.dropped).saturating_add(one - self.start);
        let overlong = length > MAX_LINE_OCTETS * 8;
        let gap = self.gap.take();
        let first = !core::mem::replace(&mut self.started, true);
        let eols = core::mem::replace(&mut self.eols, 1);
        let tag_bits = usize::from(self.two_d && !first);
        let start = self.start + tag_bits;
        if let Some(gap) = gap {
            return self.after_gap(first, eols, gap, length);
        }
        if length.saturating_sub(zeros) <= tag_bits {
            self.eols = if first { 1 } else { eols + 1 };
            if self.eols >= RTC_EOLS {
                self.stop();
                return Some(T4Next::End);
            }
            return None;
        }
        if first {
            return if overlong { None } else { self.before_first_eol(content_end, one) };
        }
        // Text and the white between its lines differ tenfold: what lies just before tells most.
        let length_16 = (length as u64 + 1).saturating_mul(16);
        self.mean_length = match self.mean_length {
            0 => length_16,
            mean => mean - mean / 8 + length_16 / 8,
        };
        if overlong {
            return Some(self.bad());
        }
        let tag = Bits::new(&self.buffer, self.start, one).peek() >> 63 == 1;
        Some(if !self.two_d || tag {
            self.line_1d(start, content_end, one)
        } else if self.in_step {
            self.line_2d(start, content_end, one)
        } else {
            self.bad()
        })
    }

    fn bad(&mut self) -> T4Next {
        self.in_step = false;
        T4Next::Concealed(1)
    }

    fn good(&mut self) -> T4Next {
        core::mem::swap(&mut self.current, &mut self.reference);
        self.in_step = true;
        T4Next::Row
    }

    /// A row was complete, but its EOL is not there and what follows up to the next EOL is rubbish: one
    /// bad row, or two if there is enough for another.
    fn surplus(&mut self, from: usize, content_end: usize) -> T4Next {
        core::mem::swap(&mut self.current, &mut self.reference);
        self.in_step = false;
        self.pending = u32::from(content_end.saturating_sub(from) > 24);
        T4Next::BadRow
    }

    fn line_1d(&mut self, start: usize, content_end: usize, one: usize) -> T4Next {
        let width = self.width;
        let bits = Bits::new(&self.buffer, start, one - 11);
        match row_1d(&bits, content_end, width, &mut self.current) {
            Some(OneD::Pels(n)) if n >= width && n - width <= SURPLUS_PELS => self.good(),
            // The sender means it: its lines are longer or shorter than they should be.
            Some(OneD::Pels(n)) if n == self.odd_pels && n > width => self.good(),
            Some(OneD::Pels(n)) if n == self.odd_pels => {
                self.good();
                T4Next::BadRow
            }
            Some(OneD::Pels(n)) => {
                self.odd_pels = n;
                self.bad()
            }
            Some(OneD::Surplus(from)) => self.surplus(from, content_end),
            None => self.bad(),
        }
    }

    fn line_2d(&mut self, start: usize, content_end: usize, one: usize) -> T4Next {
        let mut bits = Bits::new(&self.buffer, start, one - 11);
        let row = &mut self.current;
        row.at.clear();
        let mut state = TwoD::default();
        match row_2d(&mut bits, &mut state, &self.reference, self.width, row) {
            TwoDEnd::Full if bits.pos >= content_end => self.good(),
            TwoDEnd::Full => {
                let from = bits.pos;
                self.surplus(from, content_end)
            }
            TwoDEnd::Short | TwoDEnd::NoMode | TwoDEnd::Illegal => self.bad(),
        }
    }

    /// What stands before the first EOL is rubbish, unless it is exactly one row: some senders leave the
    /// first EOL out.
    fn before_first_eol(&mut self, content_end: usize, one: usize) -> Option<T4Next> {
        let bits = Bits::new(&self.buffer, 0, one - 11);
        let row = row_1d(&bits, content_end, self.width, &mut self.current);
        (row == Some(OneD::Pels(self.width))).then(|| self.good())
    }

    /// A piece of a line between an EOL and a hole is one row, however long it is: where white ends, it may
    /// be as long as thirty of the rows before.
    fn at_most_a_row(&self, bits: usize) -> u64 {
        match self.mean_length {
            0 => bits as u64,
            mean => (bits as u64).min(mean / 16),
        }
    }

    /// A line with a hole in it: as many bad rows as the mean line length tells.
    fn after_gap(&mut self, first: bool, eols: u32, gap: u64, length: usize) -> Option<T4Next> {
        self.in_step = false;
        if first || eols > 1 {
            return None;
        }
        if self.mean_length == 0 {
            return Some(T4Next::Concealed(1));
        }
        let mean = (self.mean_length / 16).max(1);
        let bits = gap.saturating_add(self.at_most_a_row(length));
        let rows = bits.saturating_add(mean / 2) / mean;
        Some(T4Next::Concealed(u32::try_from(rows).unwrap_or(u32::MAX).max(1)))
    }

    /// How many rows were lost when all was lost up to the end, if that is more than RTC and what stood
    /// about it.
    fn lost_to_the_end(&mut self) -> Option<u32> {
        let mean = (self.mean_length / 16).max(1);
        let rows = self.gap.filter(|_| self.started && self.mean_length > 0)? / mean;
        if rows < LOST_END_ROWS {
            return None;
        }
        self.stop();
        Some(u32::try_from(rows).unwrap_or(u32::MAX))
    }

    /// No more data will come. A last line without an EOL behind it counts if it is complete.
    pub(crate) fn finish(&mut self) -> Option<T4Next> {
        if self.ended {
            return None;
        }
        if let Some(rows) = self.lost_to_the_end() {
            return Some(T4Next::Concealed(rows));
        }
        let zeros = self.zeros;
        let end = self.buffer.len() * 8;
        let content_end = end.saturating_sub(zeros);
        let start = self.start + usize::from(self.two_d && self.started);
        let length = self.dropped.saturating_add(end.saturating_sub(self.start));
        let whole = self.gap.is_none() && length <= MAX_LINE_OCTETS * 8;
        if content_end <= start {
            self.ended = self.started && self.eols >= 2 && self.gap.is_none();
            return None;
        }
        if !self.started || !whole {
            return None;
        }
        let tag = Bits::new(&self.buffer, self.start, end).peek() >> 63 == 1;
        if self.two_d && !tag {
            if !self.in_step {
                return None;
            }
            let mut bits = Bits::new(&self.buffer, start, end);
            self.current.at.clear();
            let mut state = TwoD::default();
            let row = row_2d(&mut bits, &mut state, &self.reference, self.width, &mut self.current);
            return (row == TwoDEnd::Full && bits.pos >= content_end).then(|| self.good());
        }
        let bits = Bits::new(&self.buffer, start, end);
        let row = row_1d(&bits, content_end, self.width, &mut self.current);
        (row == Some(OneD::Pels(self.width))).then(|| self.good())
    }
}
