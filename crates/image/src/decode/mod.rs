//! Decoding MH, MR, MMR and T.85 as it arrives (T.4 §4, T.6 §2, T.82 §6).

mod held;
mod plain;
mod row;
mod t4;
mod t6;
mod tables;
mod thrown;
mod two_d;

use crate::Bitmap;
use crate::changes::Painter;
use crate::t85::{T85Next, T85Rows};
use fax_base::page::{Coding, PageFormat};
pub(crate) use plain::PlainRows;
pub(crate) use t4::{T4Lines, T4Next};
pub(crate) use t6::{T6Next, T6Rows};
pub(crate) use thrown::Thrown;

/// Bounds on what a decoder produces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Rows of a page; what follows is ignored.
    pub max_rows: u32,
}

impl Limits {
    /// Those of a page that comes over the line: two metres of T.85, whose white rows need next to no octets but as
    /// much time as others; of the other codings what is usual.
    #[must_use]
    pub fn of(format: &PageFormat) -> Self {
        match format.coding {
            Coding::T85 => Limits { max_rows: 80 * format.resolution.y_per_inch() },
            Coding::Mh | Coding::Mr | Coding::Mmr | Coding::T81(_) => Limits::default(),
        }
    }
}

impl Default for Limits {
    /// 65535 rows: more than four metres at 15.4 lines/mm.
    fn default() -> Self {
        Limits { max_rows: 65_535 }
    }
}

/// A page that was decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decoded {
    /// The pels, bad rows concealed.
    pub bitmap: Bitmap,
    /// Rows, bad ones included. A page of no rows is not a good page.
    pub rows: u32,
    /// Rows that could not be decoded.
    pub bad_rows: u32,
    /// The longest run of them.
    pub longest_bad_run: u32,
    /// RTC or EOFB was seen; of T.85 all rows and the end of the last stripe.
    pub ended: bool,
    /// There was more, which could not be decoded: MMR and T.85 after an error, or rows beyond the limit.
    pub truncated: bool,
}

impl Decoded {
    /// Whether there are rows, all of them good, and nothing is missing.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.rows > 0 && self.bad_rows == 0 && !self.truncated
    }
}

/// Decodes a page as its octets arrive. The result does not depend on how they are cut into pieces.
///
/// MH, MR: what stands before the first EOL is ignored; a bad row is replaced by the good one before
/// it; two-dimensional rows after a bad one are bad up to the next one-dimensional one. MMR ends at
/// the first error, and T.85 where its markers or its header make no sense; a row of T.85 that is too long
/// by black pels is bad. Pages in grey and colour are [`crate::t42::decode`]'s: of T.81 no row comes. Memory is bounded by [`Limits`] and the width.
#[derive(Clone, Debug)]
pub struct Decoder {
    rows: Rows,
    bitmap: Bitmap,
    painter: Painter,
    max_rows: u32,
    bad_rows: u32,
    bad_run: u32,
    longest_bad_run: u32,
    truncated: bool,
    /// It has more rows than it may.
    too_long: bool,
}

#[derive(Clone, Debug)]
enum Rows {
    T4(T4Lines),
    T6(T6Rows),
    T85(Box<T85Rows>),
}

impl Decoder {
    /// A decoder for one page whose lines have `width` pels.
    #[must_use]
    pub fn new(coding: Coding, width: u32, limits: Limits) -> Self {
        let bitmap = Bitmap::new(width);
        let width = bitmap.width();
        Decoder {
            rows: match coding {
                Coding::Mh => Rows::T4(T4Lines::new(false, width)),
                Coding::Mr => Rows::T4(T4Lines::new(true, width)),
                Coding::Mmr | Coding::T81(_) => Rows::T6(T6Rows::new(width)),
                Coding::T85 => Rows::T85(Box::new(T85Rows::new(width))),
            },
            bitmap,
            painter: Painter::default(),
            max_rows: if width == 0 || coding.tones().is_some() { 0 } else { limits.max_rows },
            bad_rows: 0,
            bad_run: 0,
            longest_bad_run: 0,
            truncated: false,
            too_long: false,
        }
    }

    /// The next octets of the page.
    pub fn push(&mut self, octets: &[u8]) {
        match &mut self.rows {
            Rows::T4(lines) => lines.push(octets),
            Rows::T6(rows) => rows.push(octets),
            Rows::T85(rows) => rows.push(octets),
        }
        self.advance();
    }

    /// About this many octets are missing here. Of MH and MR the rows that are touched are counted as
    /// bad; MMR and T.85 end.
    pub fn lost(&mut self, octets: usize) {
        if octets == 0 {
            return;
        }
        match &mut self.rows {
            Rows::T4(lines) => lines.lost(octets),
            Rows::T6(rows) => rows.lost(octets),
            Rows::T85(rows) => rows.lost(octets),
        }
        self.advance();
    }

    /// Whether the end of the page was seen: all that follows is ignored.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        match &self.rows {
            Rows::T4(lines) => lines.ended() && !self.truncated,
            Rows::T6(rows) => rows.ended(),
            Rows::T85(rows) => rows.ended(),
        }
    }

    /// Whether it was given up before its end, so that a rest worth speaking of is thrown away: after damage that MMR and
    /// T.85 cannot be taken up behind, or a loss, or because it is longer than the limit. That data end too early is not
    /// meant, nor damage in the last row or two: 64 octets, fill aside, may stand behind it.
    #[must_use]
    pub fn given_up(&self) -> bool {
        let rest = match &self.rows {
            Rows::T4(_) => false,
            Rows::T6(rows) => rows.thrown().matters(),
            Rows::T85(rows) => rows.thrown().matters(),
        };
        self.truncated && (self.too_long || rest)
    }

    /// Rows up to now.
    #[must_use]
    pub fn rows(&self) -> u32 {
        self.bitmap.rows()
    }

    /// There is no more: the page.
    #[must_use]
    pub fn finish(mut self) -> Decoded {
        if let Rows::T85(rows) = &mut self.rows {
            rows.finish();
            self.advance();
        }
        let ended = match &mut self.rows {
            Rows::T4(lines) => {
                match lines.finish() {
                    Some(T4Next::Row) => self.row(false),
                    Some(T4Next::Concealed(rows)) => {
                        self.truncated = true;
                        self.conceal(rows);
                    }
                    Some(T4Next::BadRow | T4Next::More | T4Next::End) | None => {}
                }
                self.is_ended()
            }
            Rows::T6(rows) => {
                let ended = rows.ended() || rows.half_ended();
                self.truncated |= !ended && rows.cut_off();
                ended
            }
            Rows::T85(rows) => {
                self.truncated |= rows.cut_off();
                rows.ended()
            }
        };
        Decoded {
            rows: self.bitmap.rows(),
            bad_rows: self.bad_rows,
            longest_bad_run: self.longest_bad_run,
            ended,
            truncated: self.truncated,
            bitmap: self.bitmap,
        }
    }

    /// Takes what can be decoded up to now.
    fn advance(&mut self) {
        loop {
            match &mut self.rows {
                Rows::T4(lines) => match lines.next() {
                    T4Next::Row => self.row(false),
                    T4Next::BadRow => self.row(true),
                    T4Next::Concealed(n) => self.conceal(n),
                    T4Next::More | T4Next::End => return,
                },
                Rows::T6(rows) => match rows.next() {
                    T6Next::Row => self.row(false),
                    T6Next::Same => {
                        if self.room() {
                            self.bitmap.repeat_row();
                        }
                    }
                    T6Next::More | T6Next::End => return,
                    T6Next::Damaged => {
                        self.truncated = true;
                        return;
                    }
                },
                Rows::T85(rows) => match rows.next() {
                    T85Next::Row => self.row(false),
                    T85Next::Same => self.same_row(),
                    T85Next::More | T85Next::End => return,
                    T85Next::Damaged => {
                        self.truncated = true;
                        return;
                    }
                },
            }
        }
    }

    /// Whether there is room for a row; else the page is over.
    fn room(&mut self) -> bool {
        if self.bitmap.rows() < self.max_rows {
            return true;
        }
        self.truncated = true;
        self.too_long = true;
        match &mut self.rows {
            Rows::T4(lines) => lines.stop(),
            Rows::T6(rows) => rows.stop(T6Next::Damaged),
            Rows::T85(rows) => rows.stop(T85Next::Damaged),
        }
        false
    }

    fn row(&mut self, bad: bool) {
        if !self.room() {
            return;
        }
        let changes = match &self.rows {
            Rows::T4(lines) => lines.row(),
            Rows::T6(rows) => rows.row(),
            Rows::T85(rows) => {
                if rows.paint(self.bitmap.grow_row()) {
                    self.bad_run = 0
                } else {
                    self.count_bad()
                }
                return;
            }
        };
        self.painter.paint(changes, self.bitmap.grow_row());
        if bad { self.count_bad() } else { self.bad_run = 0 }
    }

    /// A row of T.85 like the one before, and as bad.
    fn same_row(&mut self) {
        if !self.room() {
            return;
        }
        self.bitmap.repeat_row();
        if self.bad_run > 0 {
            self.count_bad();
        }
    }

    fn conceal(&mut self, rows: u32) {
        for _ in 0..rows {
            if !self.room() {
                return;
            }
            self.bitmap.repeat_row();
            self.count_bad();
        }
    }

    fn count_bad(&mut self) {
        self.bad_rows += 1;
        self.bad_run += 1;
        self.longest_bad_run = self.longest_bad_run.max(self.bad_run);
    }
}

/// Decodes a page that is there as a whole.
#[must_use]
pub fn decode(octets: &[u8], coding: Coding, width: u32, limits: Limits) -> Decoded {
    let mut d = Decoder::new(coding, width, limits);
    d.push(octets);
    d.finish()
}
