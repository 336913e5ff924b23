//! Encoding a page as MH, MR or MMR (T.4 §4, T.6 §2).

use crate::Bitmap;
use fax_base::page::{Coding, PageFormat, Resolution};

/// How a page is to be encoded.
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
        EncodeOptions {
            k: 4,
            min_row_bits: 0,
            end_of_page: true,
            flush_octets: 0,
        }
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
            flush_octets: if format.ecm {
                0
            } else {
                (bit_rate / 200).clamp(8, 200)
            },
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

/// The page as octets. MH and MR begin with EOL; MMR has no EOLs but the two of EOFB.
#[must_use]
pub fn encode(_bitmap: &Bitmap, _coding: Coding, _options: &EncodeOptions) -> Vec<u8> {
    Vec::new()
}
