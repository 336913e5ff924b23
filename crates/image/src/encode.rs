//! Encoding a page as MH, MR or MMR (T.4 §4, T.6 §2), or handing it to [`crate::t85`].

use crate::Bitmap;
use crate::changes::{Changes, Painter};
use crate::codes::{BLACK, WHITE};
use crate::t42::{self, Picture};
use crate::t85::{self, LineEncoder, Parameters};
use fax_base::page::{Coding, PageFormat, Resolution};

/// How a page is to be encoded. T.85 has nothing to choose here: see [`t85::Parameters`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EncodeOptions {
    /// MR: one line in so many is coded one-dimensionally (parameter K, T.4 §4.2.2). See [`k_for`].
    pub k: u32,
    /// MH, MR: the least number of bits in a coded line, its EOL and tag bit included; shorter ones
    /// get fill before the EOL (T.4 §4.1.3). Zero with ECM and in files.
    pub min_row_bits: u32,
    /// End the page: RTC after MH and MR, EOFB after MMR.
    pub end_of_page: bool,
    /// So many zero octets after the end, which push the RTC out of a modem or of T.38. Only with
    /// `end_of_page`.
    pub flush_octets: u32,
}

impl Default for EncodeOptions {
    /// K = 4, no fill, with RTC or EOFB, nothing after it: right for ECM.
    fn default() -> Self {
        EncodeOptions { k: 4, min_row_bits: 0, end_of_page: true, flush_octets: 0 }
    }
}

impl EncodeOptions {
    /// What the line wants that was agreed as `format` and runs at `bit_rate` bit/s: K after the
    /// resolution; without ECM, fill up to the minimum row time and zero octets worth 40 ms (at
    /// least 8) after the RTC.
    #[must_use]
    pub fn for_format(format: &PageFormat, bit_rate: u32) -> Self {
        let bits = u128::from(bit_rate) * format.min_row_time.as_micros();
        let min_row_bits = u32::try_from(bits.div_ceil(1_000_000)).unwrap_or(u32::MAX);
        EncodeOptions {
            k: k_for(format.resolution),
            min_row_bits: if format.ecm { 0 } else { min_row_bits },
            end_of_page: true,
            flush_octets: if format.ecm { 0 } else { (bit_rate / 200).clamp(8, 200) },
        }
    }
}

/// The largest K that T.4 §4.2.2 allows at a resolution: 2 at standard, 4 at all higher ones.
#[must_use]
pub const fn k_for(resolution: Resolution) -> u32 {
    match resolution {
        Resolution::Standard => 2,
        Resolution::Fine | Resolution::Superfine | Resolution::R16 | Resolution::Inch300 => 4,
    }
}

/// The page as octets. MH and MR begin with EOL; MMR has no EOLs but the two of EOFB; T.85 is one BIE; T.81 is
/// JPEG as [`t42::encode`] makes it of black and white pels.
#[must_use]
pub fn encode(bitmap: &Bitmap, coding: Coding, options: &EncodeOptions) -> Vec<u8> {
    if coding == Coding::T85 {
        return t85::encode(bitmap, &Parameters::default());
    }
    if let Some(tones) = coding.tones() {
        return t42::encode(&Picture::from_bitmap(bitmap, tones), &t42::Options::default());
    }
    let mut e = RowEncoder::new(bitmap.width(), coding, options);
    let mut current = Changes::default();
    let mut last: &[u8] = &[];
    for i in 0..bitmap.rows() {
        let row = bitmap.row(i);
        if i > 0 && row == last {
            e.same_row();
        } else {
            current.find(row, bitmap.width());
            e.row(&mut current);
        }
        last = row;
    }
    e.finish()
}

/// The longest fill that is given to a row: five seconds at 33600 bit/s, after which a receiver gives
/// up (T.4 §4.1.3).
const MAX_ROW_BITS: u32 = 168_000;

/// EOL: eleven zeros and a one (T.4 §4.1.2).
const EOL: (u32, u32) = (1, 12);

/// The vertical modes VL3 to VR3 by a1 − b1 + 3 (T.4 Table 4/T.4).
const VERTICAL: [(u32, u32); 7] =
    [(0b000_0010, 7), (0b00_0010, 6), (0b010, 3), (0b1, 1), (0b011, 3), (0b00_0011, 6), (0b000_0011, 7)];

/// Encodes row after row, whatever the coding.
#[derive(Debug)]
pub(crate) enum RowEncoder {
    /// MH, MR, MMR.
    Runs(RunEncoder),
    /// T.85, which wants the pels themselves.
    T85 { to: Box<LineEncoder>, painter: Painter, pels: Vec<u8> },
}

impl RowEncoder {
    pub(crate) fn new(width: u32, coding: Coding, options: &EncodeOptions) -> Self {
        let runs = |scheme| RowEncoder::Runs(RunEncoder::new(width, scheme, options));
        match coding {
            Coding::Mh => runs(Scheme::Mh),
            Coding::Mr => runs(Scheme::Mr),
            Coding::Mmr | Coding::T81(_) => runs(Scheme::Mmr),
            Coding::T85 => RowEncoder::T85 {
                to: Box::new(LineEncoder::new(width, Parameters::default())),
                painter: Painter::default(),
                pels: vec![0; width.div_ceil(8) as usize],
            },
        }
    }

    /// Encodes a row; `row` may get an older one in exchange.
    pub(crate) fn row(&mut self, row: &mut Changes) {
        match self {
            RowEncoder::Runs(to) => to.row(row),
            RowEncoder::T85 { to, painter, pels } => {
                pels.fill(0);
                painter.paint(row, pels);
                to.line(pels);
            }
        }
    }

    /// Encodes the row before once more.
    pub(crate) fn same_row(&mut self) {
        match self {
            RowEncoder::Runs(to) => to.same_row(),
            RowEncoder::T85 { to, .. } => to.same_line(),
        }
    }

    /// Ends the page and gives its octets.
    pub(crate) fn finish(self) -> Vec<u8> {
        match self {
            RowEncoder::Runs(to) => to.finish(),
            RowEncoder::T85 { to, .. } => to.finish(),
        }
    }
}

/// The codings that are made of runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Scheme {
    Mh,
    Mr,
    Mmr,
}

/// Encodes row after row as MH, MR or MMR.
#[derive(Debug)]
pub(crate) struct RunEncoder {
    bits: Bits,
    coding: Scheme,
    width: u32,
    k: u32,
    /// Two-dimensional rows that may still follow before the next one-dimensional one.
    two_d_left: u32,
    min_row_bits: u64,
    end_of_page: bool,
    flush_octets: u32,
    reference: Changes,
}

impl RunEncoder {
    fn new(width: u32, coding: Scheme, options: &EncodeOptions) -> Self {
        RunEncoder {
            bits: Bits::default(),
            coding,
            width,
            k: options.k.max(1),
            two_d_left: 0,
            min_row_bits: u64::from(options.min_row_bits.min(MAX_ROW_BITS)),
            end_of_page: options.end_of_page,
            flush_octets: options.flush_octets,
            reference: Changes::white(width),
        }
    }

    /// Encodes a row and keeps it as reference; `row` gets an older one in exchange.
    fn row(&mut self, row: &mut Changes) {
        if self.one_d_next() {
            self.row_1d(row);
        } else {
            row_2d(&mut self.bits, row, &self.reference, self.width);
        }
        self.fill();
        core::mem::swap(&mut self.reference, row);
    }

    /// Encodes the row before once more.
    fn same_row(&mut self) {
        if self.one_d_next() {
            let mut row = core::mem::take(&mut self.reference);
            self.row_1d(&row);
            core::mem::swap(&mut self.reference, &mut row);
        } else {
            self.bits.ones(self.reference.elements().len() + 1);
        }
        self.fill();
    }

    /// Ends the page and gives its octets.
    fn finish(mut self) -> Vec<u8> {
        if self.end_of_page {
            let (eol, count) = match self.coding {
                Scheme::Mh => (EOL, 6),
                Scheme::Mr => ((EOL.0 << 1 | 1, EOL.1 + 1), 6),
                Scheme::Mmr => (EOL, 2),
            };
            for _ in 0..count {
                self.bits.put(eol.0, eol.1);
            }
        }
        let mut octets = self.bits.into_octets();
        if self.end_of_page {
            octets.resize(octets.len() + self.flush_octets as usize, 0);
        }
        octets
    }

    /// Puts the EOL before a row, where the coding has one, and says whether the row is
    /// one-dimensional.
    fn one_d_next(&mut self) -> bool {
        match self.coding {
            Scheme::Mmr => return false,
            Scheme::Mh => self.bits.put(EOL.0, EOL.1),
            Scheme::Mr => {
                let one_d = self.two_d_left == 0;
                self.bits.put(EOL.0 << 1 | u32::from(one_d), EOL.1 + 1);
                self.two_d_left = if one_d { self.k - 1 } else { self.two_d_left - 1 };
                self.bits.mark();
                return one_d;
            }
        }
        self.bits.mark();
        true
    }

    fn row_1d(&mut self, row: &Changes) {
        let mut from = 0;
        let mut black = false;
        for &to in row.elements() {
            run(&mut self.bits, black, to - from);
            from = to;
            black = !black;
        }
        run(&mut self.bits, black, self.width - from);
    }

    /// Fill up to the minimum row time, its EOL being the one that follows.
    fn fill(&mut self) {
        let eol = match self.coding {
            Scheme::Mh => 12,
            Scheme::Mr => 13,
            Scheme::Mmr => return,
        };
        let mut missing = self.min_row_bits.saturating_sub(self.bits.since_mark() + eol);
        while missing > 0 {
            let n = missing.min(32);
            self.bits.put(0, n as u32);
            missing -= n;
        }
    }
}

/// A two-dimensional row (T.4 §4.2.1.3, Figure 7/T.4).
fn row_2d(bits: &mut Bits, row: &Changes, reference: &Changes, width: u32) {
    if row.at == reference.at {
        bits.ones(row.elements().len() + 1);
        return;
    }
    let (cur, refs) = (row.at.as_slice(), reference.at.as_slice());
    let at = |list: &[u32], i: usize| list.get(i).copied().unwrap_or(width);
    let (mut a0, mut i, mut j) = (0u32, 0usize, 0usize);
    let mut black = false;
    loop {
        let (a1, b1, b2) = (at(cur, i), at(refs, j), at(refs, j + 1));
        if b2 < a1 {
            bits.put(0b0001, 4);
            a0 = b2;
            j += 2;
            continue;
        }
        let shift = a1.wrapping_sub(b1).wrapping_add(3);
        if let Some(&(code, len)) = VERTICAL.get(shift as usize) {
            bits.put(code, len);
            a0 = a1;
            i += 1;
            black = !black;
            // b1 changes to the other colour now: the next element, or the one before if a1 lies left
            // of that.
            j += 1;
            if j >= 2 && at(refs, j - 2) > a0 {
                j -= 2;
            }
        } else {
            let a2 = at(cur, i + 1);
            bits.put(0b001, 3);
            run(bits, black, a1 - a0);
            run(bits, !black, a2 - a1);
            a0 = a2;
            i += 2;
        }
        if a0 >= width {
            break;
        }
        while at(refs, j) <= a0 {
            j += 2;
        }
    }
}

/// A run: make-up codes, then one terminating code (T.4 §4.1.1).
#[inline]
fn run(bits: &mut Bits, black: bool, mut length: u32) {
    let table = if black { &BLACK } else { &WHITE };
    let mut put = |i: u32| {
        let (code, len) = table.get(i as usize).copied().unwrap_or((0, 0));
        bits.put(u32::from(code), u32::from(len));
    };
    if length >= 64 {
        while length > 2623 {
            put(63 + 40);
            length -= 2560;
        }
        put(63 + length / 64);
        length %= 64;
    }
    put(length);
}

/// Collects bits, 32 at a time.
#[derive(Debug, Default)]
struct Bits {
    octets: Vec<u8>,
    acc: u64,
    held: u32,
    mark: u64,
}

impl Bits {
    /// Appends the low `len` (at most 32) bits of `code`; the others are zero.
    #[inline]
    fn put(&mut self, code: u32, len: u32) {
        self.acc = self.acc << len | u64::from(code);
        self.held += len;
        if self.held >= 32 {
            self.held -= 32;
            let word = (self.acc >> self.held) as u32;
            self.octets.extend_from_slice(&word.to_be_bytes());
        }
    }

    /// Appends ones.
    fn ones(&mut self, mut count: usize) {
        while count >= 32 {
            self.put(u32::MAX, 32);
            count -= 32;
        }
        if count > 0 {
            self.put((1 << count) - 1, count as u32);
        }
    }

    fn bit_len(&self) -> u64 {
        self.octets.len() as u64 * 8 + u64::from(self.held)
    }

    fn mark(&mut self) {
        self.mark = self.bit_len();
    }

    fn since_mark(&self) -> u64 {
        self.bit_len() - self.mark
    }

    fn into_octets(mut self) -> Vec<u8> {
        while self.held > 0 {
            let n = self.held.min(8);
            self.held -= n;
            let octet = (self.acc >> self.held) << (8 - n);
            self.octets.push((octet & 0xFF) as u8);
        }
        self.octets
    }
}
