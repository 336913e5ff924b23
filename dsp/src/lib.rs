//! Signals of the telephone network at 8 kHz, without I/O: G.711, the tones of phase A, modems, and the ear that
//! tells them apart (G.711, T.30 §4, V.25).
//!
//! Samples are 16 bit linear PCM; levels are in dBm0 (see [`fax_base::level`]). But for the octets that
//! [`listening`] hands on nothing here allocates once it is made.

pub mod detect;
pub mod fsk;
pub mod g711;
pub mod listening;
pub mod modem;
mod pulse;
pub mod qam;
pub mod scrambler;
mod sine;
pub mod tone;
pub mod transmitter;
pub mod v17;
pub mod v27ter;
pub mod v29;

pub use detect::{AnswerTone, ToneDetector};
pub use fsk::{FskReceiver, FskTransmitter};
pub use g711::Law;
pub use listening::Listening;
pub use qam::QamReceiver;
pub use tone::ToneGenerator;
pub use transmitter::QamTransmitter;
