//! The T.30 procedures of a Group 3 facsimile terminal, without I/O (ITU-T T.30).
//!
//! One [`Session`] is one call seen from one terminal, calling or called. Feed it what happens
//! ([`Input`]), take what it wants ([`Output`]) until there is no more, and call it again at
//! [`Session::deadline`]. It does not know whether a modem or T.38 carries its words, and it never
//! sees a pel: pages come and go as coded octets.

pub mod api;
mod call;
mod called;
mod calling;
pub mod dis;
mod dis_table;
mod ecm;
mod exchange;
pub mod frames;
mod negotiate;
pub mod nsf;
mod rates;
mod receive;
mod release;
mod send;
mod session;
mod tcf;
mod timers;

pub use api::*;
pub use session::Session;
