//! From stored T.6 to the coding of a call, row by row, without an image in between (T.4 §4, T.6 §2).

use crate::changes::Changes;
use crate::decode::{T6Next, T6Rows};
use crate::encode::RowEncoder;
use crate::{EncodeOptions, Limits, MAX_WIDTH, decode, encode};
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
pub fn recode(t6: &[u8], width: u32, coding: Coding, options: &EncodeOptions, limits: Limits) -> Recoded {
    let width = width.min(MAX_WIDTH);
    if coding.tones().is_some() {
        // JPEG is made of blocks, not of rows.
        let page = decode(t6, Coding::Mmr, width, limits);
        let octets = encode(&page.bitmap, coding, options);
        return Recoded { octets, rows: page.rows, truncated: page.truncated };
    }
    let mut from = T6Rows::new(width);
    let mut to = RowEncoder::new(width, coding, options);
    let mut row = Changes::default();
    let (mut rows, mut truncated) = (0, false);
    from.push(t6);
    loop {
        let next = from.next();
        if width == 0 || !matches!(next, T6Next::Row | T6Next::Same) {
            break;
        }
        if rows >= limits.max_rows {
            truncated = true;
            break;
        }
        if next == T6Next::Same {
            to.same_row();
        } else {
            row.at.clone_from(&from.row().at);
            to.row(&mut row);
        }
        rows += 1;
    }
    truncated |= from.cut_off() && !from.half_ended();
    Recoded { octets: to.finish(), rows, truncated }
}
