//! MH rows without EOLs, as they occur in files only (TIFF 6.0 §10 and §11): the row count tells how
//! many there are.

use super::row::{Bits, row_plain};
use crate::changes::Changes;

/// Decodes row after row.
#[derive(Clone, Debug)]
pub(crate) struct PlainRows<'a> {
    bits: Bits<'a>,
    /// Rows begin at multiples of so many bits.
    align: usize,
    width: u32,
    row: Changes,
}

impl<'a> PlainRows<'a> {
    pub(crate) fn new(octets: &'a [u8], align: usize, width: u32) -> Self {
        PlainRows {
            bits: Bits::new(octets, 0, octets.len() * 8),
            align: align.max(1),
            width,
            row: Changes::white(width),
        }
    }

    /// The next row; `None` at the end of the data and when it makes no sense any more.
    pub(crate) fn next(&mut self) -> Option<&Changes> {
        self.bits.pos = self.bits.pos.next_multiple_of(self.align);
        row_plain(&mut self.bits, self.width, &mut self.row).then_some(&self.row)
    }
}
