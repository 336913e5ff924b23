//! The endpoint over real sockets, with peers of all kinds.
//!
//! One program: what each of these tests would link again takes longer than to run them.

#![allow(clippy::unwrap_used, clippy::panic)]

mod alias;
mod bench;
mod call;
mod carrier;
mod connections;
mod dns;
mod fallback;
mod guard;
mod hostile;
mod kamailio;
mod mutants;
mod onward;
mod onward_trunks;
mod proxy;
mod reloading;
mod secrets;
mod sipp;
mod soak;
mod srtp;
mod streams;
mod stun;
mod transports;
mod trunks;
mod tshark;
