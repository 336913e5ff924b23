//! T.81, as far as fax has it: sequential DCT, Huffman coding, eight bits a component, one or three components
//! without a transform of colours between them (T.81 §4.11, T.42 §6).
//!
//! Why not a crate: a fax page may have no stated length (DNL), has to tell row by row what of it could be read,
//! and goes on after damage at the next restart marker.

mod dct;
mod decode;
mod encode;
mod huffman;
mod markers;
mod scan;
mod tables;

pub(crate) use decode::decode;
pub(crate) use encode::{Source, encode};

/// Why nothing of a stream could be decoded.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It does not begin as JPEG does.
    #[error("not a JPEG stream")]
    NotJpeg,
    /// It is JPEG of a kind that fax does not have: which.
    #[error("JPEG with {0} is not for fax")]
    Unsupported(String),
    /// It contradicts itself or ends too early: what is wrong.
    #[error("damaged JPEG: {0}")]
    Damaged(&'static str),
    /// It has more pels than allowed.
    #[error("JPEG of {width} × {rows} pels is too large")]
    TooLarge {
        /// Pels on a row.
        width: u32,
        /// Rows.
        rows: u32,
    },
}
