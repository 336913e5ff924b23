//! T.85 as it arrives: the header, the markers, and stripe after stripe (T.82 §6.2).

use super::header::{HEADER_OCTETS, Header};
use super::stripe::{Line, Stripe};
use super::{ATMOVE, COMMENT, ESC, NEWLEN, SDNORM, SDRST, STUFF};
use crate::decode::Thrown;

/// Octets that are taken at once, so that those of a stripe are kept in small numbers.
const PIECE: usize = 1024;

/// What comes next in the data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum T85Next {
    /// A row: [`T85Rows::paint`] has it.
    Row,
    /// A row like the one before (white at the beginning of the page).
    Same,
    /// More data is needed.
    More,
    /// All rows came and the last stripe ended.
    End,
    /// The data makes no sense from here on.
    Damaged,
}

/// Decodes rows from data that comes in pieces.
#[derive(Clone, Debug)]
pub(crate) struct T85Rows {
    /// Pels on a row of the page, whatever the header says.
    width: u32,
    input: Vec<u8>,
    /// The next octet in the input.
    at: usize,
    /// Nothing more will come.
    last: bool,
    /// Octets to be ignored.
    skip: usize,
    picture: Option<Picture>,
    /// The end, once it is reached.
    over: Option<T85Next>,
    /// What came behind that.
    thrown: Thrown,
}

/// What is known since the header.
#[derive(Clone, Debug)]
struct Picture {
    header: Header,
    stripe: Stripe,
    /// Rows up to now.
    rows: u32,
    /// The mark that ended the octets of the stripe.
    closed: Option<Closed>,
    /// It was looked whether NEWLEN stands behind that mark.
    looked: bool,
    /// NEWLEN came, or cannot.
    length_known: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Closed {
    Normal,
    Reset,
}

/// What became of reading on.
enum Scan {
    Progress,
    Short,
    Damaged,
}

impl T85Rows {
    pub(crate) fn new(width: u32) -> Self {
        let (input, thrown) = (Vec::new(), Thrown::default());
        T85Rows { width, input, at: 0, last: false, skip: 0, picture: None, over: None, thrown }
    }

    /// Adds data.
    pub(crate) fn push(&mut self, octets: &[u8]) {
        if self.over.is_some() {
            return self.thrown.more(octets);
        }
        self.input.drain(..self.at.min(self.input.len()));
        self.at = 0;
        self.input.extend_from_slice(octets);
    }

    /// Nothing more will come: what is there is decoded to its end.
    pub(crate) fn finish(&mut self) {
        self.last = true;
    }

    /// Nothing more is decoded.
    pub(crate) fn stop(&mut self, why: T85Next) {
        self.over.get_or_insert(why);
        self.thrown.more(self.input.get(self.at..).unwrap_or_default());
        self.input = Vec::new();
        self.at = 0;
    }

    /// About so many octets are missing here, behind which nothing can be decoded.
    pub(crate) fn lost(&mut self, octets: usize) {
        self.stop(T85Next::Damaged);
        self.thrown.lost(octets);
    }

    /// What came behind the end.
    pub(crate) fn thrown(&self) -> Thrown {
        self.thrown
    }

    /// Whether the page came to its end.
    pub(crate) fn ended(&self) -> bool {
        self.over == Some(T85Next::End)
    }

    /// Whether rows are missing.
    pub(crate) fn cut_off(&self) -> bool {
        match (self.over, &self.picture) {
            (Some(T85Next::End), _) => false,
            (Some(_), _) => true,
            (None, Some(picture)) => picture.rows < picture.header.rows,
            (None, None) => self.input.len() > self.at,
        }
    }

    /// The row that was decoded last, cut to the width of the page or filled up with white; `row` must be
    /// white. Whether no black pel was cut off.
    pub(crate) fn paint(&self, row: &mut [u8]) -> bool {
        let Some(picture) = &self.picture else { return true };
        let words = picture.stripe.pels();
        for (to, word) in row.chunks_mut(8).zip(words) {
            for (to, octet) in to.iter_mut().zip(word.to_be_bytes()) {
                *to = octet;
            }
        }
        if picture.header.width <= self.width {
            return true;
        }
        let pad = self.width % 8;
        if pad > 0
            && let Some(octet) = row.last_mut()
        {
            *octet &= !(0xFF >> pad);
        }
        let (whole, part) = (self.width as usize / 64, self.width % 64);
        let beyond = words.get(whole).map_or(0, |w| w & u64::MAX >> part);
        beyond == 0 && words.iter().skip(whole + 1).all(|w| *w == 0)
    }

    /// What comes next in the data.
    pub(crate) fn next(&mut self) -> T85Next {
        loop {
            if let Some(over) = self.over {
                return over;
            }
            let skipped = self.skip.min(self.input.len() - self.at);
            self.skip -= skipped;
            self.at += skipped;
            if self.skip > 0 {
                return T85Next::More;
            }
            let Some(picture) = &mut self.picture else {
                match self.header() {
                    Scan::Progress => continue,
                    Scan::Short => return T85Next::More,
                    Scan::Damaged => return self.damaged(),
                }
            };
            if picture.rows_left() > 0 {
                let complete = picture.closed.is_some() && picture.looked;
                if let Some(line) = picture.stripe.line(complete) {
                    return self.row(line, complete);
                }
            } else if let Some(closed) = picture.closed.filter(|_| picture.looked) {
                if picture.rows >= picture.header.rows {
                    self.stop(T85Next::End);
                    return T85Next::End;
                }
                picture.stripe.end(closed == Closed::Reset);
                picture.closed = None;
                continue;
            }
            match self.scan() {
                Scan::Progress => {}
                Scan::Short => return self.without_end(),
                Scan::Damaged => return self.damaged(),
            }
        }
    }

    /// Without the mark at the end of the stripe, rows count as far as there are octets for them.
    fn without_end(&mut self) -> T85Next {
        let picture = self.picture.as_mut().filter(|p| self.last && p.rows_left() > 0);
        match picture.and_then(|p| p.stripe.line(true)) {
            Some(line) => self.row(line, false),
            None => T85Next::More,
        }
    }

    /// A line was decoded; `complete`: all octets of its stripe were there.
    fn row(&mut self, line: Line, complete: bool) -> T85Next {
        let Some(picture) = &mut self.picture else { return T85Next::More };
        picture.rows = picture.rows.saturating_add(1);
        let whole = complete && (picture.length_known || picture.is_last_stripe());
        if self.last && !whole && picture.stripe.overrun() {
            return self.damaged();
        }
        match line {
            Line::Coded => T85Next::Row,
            Line::Same => T85Next::Same,
        }
    }

    fn damaged(&mut self) -> T85Next {
        self.stop(T85Next::Damaged);
        T85Next::Damaged
    }

    /// Reads the header. One whose lines are longer by an eighth than those of the page lies: they would cost time, and
    /// nobody sees what is cut off.
    fn header(&mut self) -> Scan {
        let Some(octets) = self.input.get(self.at..).and_then(|i| i.first_chunk::<HEADER_OCTETS>()) else {
            return Scan::Short;
        };
        let Some(header) = Header::parse(octets).filter(|h| h.width <= self.width + self.width / 8) else {
            return Scan::Damaged;
        };
        self.at += HEADER_OCTETS;
        self.skip = header.skip;
        self.picture = Some(Picture {
            stripe: Stripe::new(&header),
            rows: 0,
            closed: None,
            looked: false,
            length_known: !header.variable,
            header,
        });
        Scan::Progress
    }

    /// Reads on: octets of the stripe, or a marker.
    fn scan(&mut self) -> Scan {
        let (Some(picture), Some(rest)) = (&mut self.picture, self.input.get(self.at..)) else {
            return Scan::Short;
        };
        let number = |four: &[u8; 4]| u32::from_be_bytes(*four);
        let data = rest.iter().take(PIECE).position(|&o| o == ESC).unwrap_or(rest.len().min(PIECE));
        let open = picture.closed.is_none();
        let (taken, scan) = match rest {
            [] | [ESC] if !open && self.last => {
                picture.looked = true;
                (0, Scan::Progress)
            }
            [] | [ESC] | [ESC, NEWLEN | COMMENT, ..] if rest.len() < 6 => (0, Scan::Short),
            [ESC, COMMENT, a, b, c, d, ..] => {
                self.skip = number(&[*a, *b, *c, *d]) as usize;
                (6, Scan::Progress)
            }
            [ESC, NEWLEN, a, b, c, d, ..] => (6, picture.new_length(number(&[*a, *b, *c, *d]))),
            [..] if !open => {
                picture.looked = true;
                (0, Scan::Progress)
            }
            [ESC, STUFF, ..] => {
                picture.feed(&[ESC]);
                (2, Scan::Progress)
            }
            [ESC, SDNORM, ..] => {
                picture.close(Closed::Normal);
                (2, Scan::Progress)
            }
            [ESC, SDRST, ..] => {
                picture.close(Closed::Reset);
                (2, Scan::Progress)
            }
            [ESC, ATMOVE, y0, y1, y2, y3, distance, 0, ..] => {
                let moved = picture.stripe.move_at(number(&[*y0, *y1, *y2, *y3]), *distance);
                (8, if moved { Scan::Progress } else { Scan::Damaged })
            }
            [ESC, ATMOVE, rest @ ..] if rest.len() < 6 => (0, Scan::Short),
            // ABORT, which ends a page prematurely, or a code that is none.
            [ESC, ..] => (0, Scan::Damaged),
            [..] => {
                picture.feed(rest.get(..data).unwrap_or(&[]));
                (data, Scan::Progress)
            }
        };
        self.at += taken;
        scan
    }
}

impl Picture {
    /// Rows of this stripe that are still to come.
    fn rows_left(&self) -> u32 {
        let of_stripe = self.header.stripe_rows.saturating_sub(self.stripe.rows());
        of_stripe.min(self.header.rows.saturating_sub(self.rows))
    }

    /// Whether no stripe follows this one.
    fn is_last_stripe(&self) -> bool {
        let before = self.rows.saturating_sub(self.stripe.rows());
        self.header.stripe_rows >= self.header.rows.saturating_sub(before)
    }

    /// Octets of the stripe. What is there beyond its rows is not needed.
    fn feed(&mut self, octets: &[u8]) {
        if self.rows_left() > 0 {
            self.stripe.feed(octets);
        }
    }

    fn close(&mut self, how: Closed) {
        self.closed = Some(how);
        // Behind the last stripe the true length may stand: it must be known before the stripe is decoded
        // to its end (T.82 §6.2.6.2).
        self.looked = !self.header.variable;
    }

    /// NEWLEN (T.82 §6.2.6.2). It can only lower the number of rows, and not below those that came.
    fn new_length(&mut self, rows: u32) -> Scan {
        if !self.header.variable || rows > self.header.rows {
            return Scan::Progress;
        }
        if rows < self.rows {
            return Scan::Damaged;
        }
        self.header.rows = rows;
        self.length_known = true;
        self.looked = true;
        Scan::Progress
    }
}
