//! The ground floor: what every machine of ferrofax shares.
//!
//! Time without a clock ([`time`]), named timers ([`timer`]), the half-duplex fax line that T.30
//! speaks and that a modem or T.38 carries ([`mod@line`]), the geometry of a fax page ([`page`]), bit
//! order and bit streams ([`bits`]), HDLC's frame check ([`hdlc`]), levels ([`level`]) and the
//! redaction of numbers in logs ([`redact`]).
//!
//! No I/O lives here, and none of the machines above may do any.

pub mod bits;
pub mod hdlc;
pub mod level;
pub mod line;
pub mod page;
pub mod redact;
pub mod time;
pub mod timer;

pub use time::Instant;
