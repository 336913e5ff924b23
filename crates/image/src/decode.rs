//! Decoding MH, MR and MMR as it arrives (T.4 §4, T.6 §2).

use crate::Bitmap;
use fax_base::page::Coding;

/// Bounds on what a decoder produces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Rows of a page; what follows is ignored.
    pub max_rows: u32,
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
    /// RTC or EOFB was seen.
    pub ended: bool,
    /// There was more, which could not be decoded: MMR after an error, or rows beyond the limit.
    pub truncated: bool,
}

impl Decoded {
    /// Whether there are rows, all of them good, and nothing is missing.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.rows > 0 && self.bad_rows == 0 && !self.truncated
    }
}

/// Decodes a page as its octets arrive. The result does not depend on how they are cut into
/// pieces.
#[derive(Clone, Debug)]
pub struct Decoder {
    bitmap: Bitmap,
}

impl Decoder {
    /// A decoder for one page whose lines have `width` pels.
    #[must_use]
    pub fn new(_coding: Coding, width: u32, _limits: Limits) -> Self {
        Decoder {
            bitmap: Bitmap::new(width),
        }
    }

    /// The next octets of the page.
    pub fn push(&mut self, _octets: &[u8]) {}

    /// About this many octets are missing here.
    pub fn lost(&mut self, _octets: usize) {}

    /// Whether RTC or EOFB was seen: all that follows is ignored.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        false
    }

    /// Rows up to now.
    #[must_use]
    pub fn rows(&self) -> u32 {
        self.bitmap.rows()
    }

    /// There is no more: the page.
    #[must_use]
    pub fn finish(self) -> Decoded {
        Decoded {
            rows: self.bitmap.rows(),
            bitmap: self.bitmap,
            bad_rows: 0,
            longest_bad_run: 0,
            ended: false,
            truncated: false,
        }
    }
}

/// Decodes a page that is there as a whole.
#[must_use]
pub fn decode(octets: &[u8], coding: Coding, width: u32, limits: Limits) -> Decoded {
    let mut d = Decoder::new(coding, width, limits);
    d.push(octets);
    d.finish()
}
