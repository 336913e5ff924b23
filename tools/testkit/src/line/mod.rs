//! A simulated fax line: two T.30 sessions, or one and a script, on one simulated clock.
//!
//! [`air`] knows how long every transmission takes and what of it is heard when; [`pair`] runs two
//! sessions against each other with impairments; [`mod@bench`] runs one session against a script.

pub mod air;
pub mod bench;
pub mod page;
pub mod pair;
pub mod rng;
