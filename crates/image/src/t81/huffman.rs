//! Huffman tables and the bits that they code (T.81 Annexes C and F.2.2).

use super::Error;
use super::tables::Spec;

/// Codes up to this length are found at once.
const FAST_BITS: u32 = 9;

/// A table for decoding.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// By the next nine bits: length of the code in the high octet, symbol in the low one; 0: a longer code.
    fast: Box<[u16; 1 << FAST_BITS]>,
    /// By length: the first code that is too large for it, as 16 bits.
    limit: [u32; 17],
    /// By length: what to add to a code to get the place of its symbol.
    offset: [i32; 17],
    symbols: Vec<u8>,
}

impl Table {
    /// The table with so many codes of each length.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<Table, Error> {
        let mut table = Table {
            fast: Box::new([0; 1 << FAST_BITS]),
            limit: [0; 17],
            offset: [0; 17],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut at) = (0u32, 0usize);
        for (length, &count) in (1u32..).zip(counts) {
            let index = length as usize & 31;
            table.offset[index] = i32::try_from(at).unwrap_or(0) - code as i32;
            for _ in 0..count {
                let symbol = *symbols.get(at).ok_or(Error::Damaged("a Huffman table without its symbols"))?;
                if code >= 1 << length {
                    return Err(Error::Damaged("a Huffman table with too many codes"));
                }
                if length <= FAST_BITS {
                    let from = (code << (FAST_BITS - length)) as usize;
                    let entry = (length as u16) << 8 | u16::from(symbol);
                    if let Some(fast) = table.fast.get_mut(from..from + (1 << (FAST_BITS - length))) {
                        fast.fill(entry);
                    }
                }
                code += 1;
                at += 1;
            }
            table.limit[index] = code << (16 - length);
            code <<= 1;
        }
        Ok(table)
    }

    /// One of those that are known beforehand.
    pub(super) fn known(spec: &Spec) -> Option<Table> {
        Table::new(&spec.counts, spec.symbols).ok()
    }
}

/// The bits of a scan between two markers.
#[derive(Clone, Debug)]
pub(super) struct Bits<'a> {
    octets: &'a [u8],
    at: usize,
    hold: u64,
    held: u32,
    /// Bits of `hold` that were made up behind the end.
    made_up: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(octets: &'a [u8], at: usize) -> Self {
        Bits { octets, at, hold: 0, held: 0, made_up: 0 }
    }

    fn fill(&mut self) {
        while self.held <= 56 {
            let octet = match (self.octets.get(self.at), self.octets.get(self.at + 1)) {
                (Some(0xFF), Some(0)) => {
                    self.at += 2;
                    0xFF
                }
                // A marker, or the end: there are no more bits.
                (Some(0xFF), _) | (None, _) => {
                    self.made_up += 8;
                    0
                }
                (Some(&octet), _) => {
                    self.at += 1;
                    octet
                }
            };
            self.hold = self.hold << 8 | u64::from(octet);
            self.held += 8;
        }
    }

    /// Up to where octets were read.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Whether more bits were taken than there were.
    pub(super) fn is_overdrawn(&self) -> bool {
        self.made_up > self.held
    }

    /// Whether nothing is left but what fills up the last octet.
    pub(super) fn is_used_up(&self) -> bool {
        let more = self.octets.get(self.at).is_some_and(|&o| o != 0xFF)
            || self.octets.get(self.at..self.at + 2) == Some(&[0xFF, 0]);
        !more && self.held < self.made_up + 8
    }

    /// The next `count` bits, at most 16.
    fn take(&mut self, count: u32) -> u32 {
        self.held -= count;
        let value = self.hold >> self.held & ((1 << count) - 1);
        value as u32
    }

    /// The next symbol; `None` for a code that the table does not have.
    pub(super) fn symbol(&mut self, table: &Table) -> Option<u8> {
        if self.held < 32 {
            self.fill();
        }
        let next = (self.hold >> (self.held - 16) & 0xFFFF) as u32;
        let fast = table.fast.get((next >> (16 - FAST_BITS)) as usize).copied().unwrap_or(0);
        if fast != 0 {
            self.held -= u32::from(fast >> 8);
            return Some(fast as u8);
        }
        for length in FAST_BITS + 1..=16 {
            let index = length as usize & 31;
            if next < table.limit[index] {
                self.held -= length;
                let code = (next >> (16 - length)) as i32;
                return table.symbols.get(usize::try_from(code + table.offset[index]).ok()?).copied();
            }
        }
        None
    }

    /// The number of `size` bits that follows a symbol (T.81 §F.2.2.1, EXTEND); `size` at most 16.
    pub(super) fn number(&mut self, size: u32) -> i32 {
        if size == 0 {
            return 0;
        }
        if self.held < 32 {
            self.fill();
        }
        let bits = self.take(size.min(16)) as i32;
        if bits >> (size - 1) & 1 == 1 { bits } else { bits - (1 << size) + 1 }
    }
}
