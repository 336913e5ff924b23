//! Recordings of calls: what went into a terminal, when, and a digest of what came out, so that the call can be
//! gone through again and checked (T.30 has no word for it; the format is ours).
//!
//! A [`crate::Terminal`] made by [`crate::Terminal::recorded`] keeps a [`Tape`]. Its driver takes the octets from it
//! and writes them with [`mod@file`]; [`Replay`] reads such a file and makes the call once more. A terminal reads no
//! clock and draws no chance, so the same inputs make the same outputs.
//!
//! A password is never in a recording: a call that has one, or in which one is sent, leaves none. Numbers of ours are
//! left out unless [`Options::numbers`] is set; what the far end says is in its signal, and so is its number. Whoever
//! may read a recording may read the fax.

pub mod file;
mod octets;
mod replay;
mod setup;
mod tape;

pub use octets::Fault;
pub use replay::{Carrier, Difference, Replay, Report, Step};
pub use setup::Setup;
pub use tape::Tape;

/// What is recorded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// The pages to be sent are in the recording; otherwise their hashes, and whoever replays it must have them.
    pub pages: bool,
    /// Our own numbers, and the sub-addresses that we send, are in the recording. Otherwise they are replaced by
    /// others of the same length, and what is sent is not compared.
    pub numbers: bool,
    /// Octets of records at most; the recording ends there and says so.
    pub limit: u64,
    /// What is worth knowing of the call: names and values.
    pub labels: Vec<(String, String)>,
}

impl Default for Options {
    /// With pages, without numbers, 32 MB.
    fn default() -> Self {
        Options { pages: true, numbers: false, limit: 32 << 20, labels: Vec::new() }
    }
}
