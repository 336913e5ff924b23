//! Fax page images: T.4 (MH, MR), T.6 (MMR) and T.85 (JBIG) coding, TIFF-F files, and fitting a page to what the
//! far end takes.
//!
//! [`Bitmap`] holds a page as pels. [`encode`] and [`Decoder`] turn it into octets for the line and
//! back; the decoder takes the octets as they arrive and survives whatever arrives (T.4 §4, T.6 §2, T.82 §6).
//! [`recode`] goes from stored T.6 straight to the coding of a call. [`tiff`] reads and writes TIFF-F
//! (RFC 2301, RFC 2306), [`scale`] fits a page to another resolution or width, [`header()`] draws the line
//! of text on top of it.
//!
//! [`t42`] has the pages in grey and colour.
//!
//! Octets are in printed order everywhere: the first bit on the line is the most significant one.

mod bitmap;
mod changes;
mod codes;
mod decode;
mod encode;
mod header;
mod recode;
pub mod scale;
pub mod t42;
mod t81;
pub mod t85;
pub mod tiff;
mod turn;

pub use bitmap::{Bitmap, MAX_WIDTH};
pub use decode::{Decoded, Decoder, Limits, decode};
pub use encode::{EncodeOptions, encode, k_for};
pub use header::{header, put_above};
pub use recode::{Recoded, recode};
