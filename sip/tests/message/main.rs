//! Messages: the torture collection of RFC 4475, messages of our own, and mutations of all of them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_range_loop, clippy::type_complexity)]

mod alive;
mod corpus;
mod identity;
mod mutation;
mod stream;
mod torture;
mod views;
