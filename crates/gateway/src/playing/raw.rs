//! Raw bits towards a modem: training checks and pages without ECM. Where data come late, fill is sent before the next
//! EOL (T.4 §4.1.3), so that no row is torn.

use bytes::{Buf, BytesMut};
use fax_base::bits::BitSource;

/// Zeros of an EOL.
const EOL_ZEROS: u64 = 11;
/// Rows have at least so many bits behind an EOL: what is shorter is RTC, in which there is no fill.
const SHORTEST_ROW: u64 = 2;
/// Octets that may wait in one signal.
const MOST_OCTETS: usize = 1 << 20;

/// The bits of one signal.
#[derive(Debug)]
pub(super) struct Raw {
    octets: BytesMut,
    /// Bits of the first octet that have left.
    taken: u32,
    /// Bits left, and bits that have come, since the beginning.
    sent: u64,
    came: u64,
    /// Up to here bits may leave: fill may follow.
    safe: u64,
    /// Zeros in a row at the end of what has come, and where the last EOL ended.
    zeros: u64,
    eol: Option<u64>,
    /// More than this is not kept back: there are no rows in it.
    most_kept: u64,
    closed: bool,
    fill: u64,
}

impl Raw {
    /// At this rate, bit/s.
    pub(super) fn new(bit_rate: u32) -> Self {
        Raw {
            octets: BytesMut::new(),
            taken: 0,
            sent: 0,
            came: 0,
            safe: 0,
            zeros: 0,
            eol: None,
            most_kept: u64::from(bit_rate),
            closed: false,
            fill: 0,
        }
    }

    /// The next bits.
    pub(super) fn push(&mut self, octets: &[u8]) {
        if self.octets.len() + octets.len() > MOST_OCTETS {
            return;
        }
        self.octets.extend_from_slice(octets);
        for octet in octets {
            for shift in (0..8).rev() {
                self.came += 1;
                if octet >> shift & 1 == 1 {
                    if self.zeros >= EOL_ZEROS {
                        self.eol = Some(self.came);
                    }
                    self.zeros = 0;
                    continue;
                }
                self.zeros += 1;
                let begin = self.came - self.zeros;
                let in_row = self.eol.is_none_or(|eol| begin >= eol + SHORTEST_ROW);
                if self.zeros >= EOL_ZEROS && in_row {
                    self.safe = self.came;
                }
            }
        }
        self.safe = self.safe.max(self.came.saturating_sub(self.most_kept));
    }

    /// Nothing more comes.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Whether nothing has come.
    pub(super) fn is_empty(&self) -> bool {
        self.came == 0
    }

    /// Bits of fill that were sent after the first bits.
    pub(super) fn fill(&self) -> u64 {
        self.fill
    }
}

impl BitSource for Raw {
    fn next_bit(&mut self) -> Option<bool> {
        let end = if self.closed { self.came } else { self.safe };
        if self.sent >= end {
            self.fill += u64::from(!self.closed && self.sent > 0);
            return (!self.closed).then_some(false);
        }
        let octet = self.octets.first().copied()?;
        let bit = octet << self.taken & 0x80 != 0;
        self.sent += 1;
        self.taken += 1;
        if self.taken == 8 {
            self.taken = 0;
            self.octets.advance(1);
        }
        Some(bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fax_base::bits::BitWriter;

    /// Rows of MH: EOL and something in which there are never eleven zeros.
    fn page(rows: u32, tag: bool) -> Vec<u8> {
        let mut page = BitWriter::new();
        let eol = |page: &mut BitWriter| {
            page.put(1, 12);
            if tag {
                page.put(1, 1);
            }
        };
        for row in 0..rows {
            eol(&mut page);
            for n in 0..row % 40 {
                page.put(0b1001_0110 + n % 3, 8);
            }
            page.put(0b11, 2);
        }
        (0..6).for_each(|_| eol(&mut page));
        page.into_octets()
    }

    /// The page without its fill: runs of zeros of more than eleven cut down.
    fn without_fill(bits: &[bool]) -> Vec<bool> {
        let mut out: Vec<bool> = Vec::new();
        let mut zeros = 0;
        for &bit in bits {
            zeros = if bit { 0 } else { zeros + 1 };
            if zeros <= 11 {
                out.push(bit);
            }
        }
        out
    }

    #[test]
    fn fill_goes_before_an_eol_and_not_into_the_end_of_the_page() {
        for tag in [false, true] {
            let page = page(200, tag);
            let mut raw = Raw::new(9_600);
            let mut sent = Vec::new();
            // Data come at half the speed at which they leave.
            for octets in page.chunks(30) {
                raw.push(octets);
                sent.extend((0..480).map(|_| raw.next_bit().unwrap()));
            }
            assert!(raw.fill() > 1_000);
            raw.close();
            sent.extend(core::iter::from_fn(|| raw.next_bit()));
            let all: Vec<bool> = page.iter().flat_map(|o| (0..8).map(move |i| o << i & 0x80 != 0)).collect();
            assert_eq!(without_fill(&sent), without_fill(&all));
            // The six EOLs follow one another.
            let rtc = 6 * if tag { 13 } else { 12 };
            let end = |bits: &[bool]| bits.iter().rposition(|bit| *bit).unwrap() + 1;
            let (a, b) = (end(&sent), end(&all));
            assert_eq!(sent[a - rtc..a], all[b - rtc..b], "{tag}");
        }
    }

    #[test]
    fn a_training_check_never_stops() {
        let mut raw = Raw::new(14_400);
        for _ in 0..50 {
            raw.push(&[0; 54]);
            assert!((0..500).all(|_| raw.next_bit() == Some(false)));
        }
        raw.close();
        assert_eq!(raw.next_bit(), None);
    }

    #[test]
    fn what_has_no_rows_is_not_kept_for_long() {
        let mut raw = Raw::new(2_400);
        raw.push(&[0x55; 1_000]);
        assert!((0..8_000 - 2_400).all(|n| raw.next_bit() == Some(n % 2 == 1)));
        assert_eq!(raw.next_bit(), Some(false));
    }
}
