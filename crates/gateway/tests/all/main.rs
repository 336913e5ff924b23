//! The gateway between terminals, ours and spandsp's.
//!
//! One program: what each of these tests would link again takes longer than to run them.

#![allow(clippy::unwrap_used, clippy::panic)]

mod back_to_back;
mod bench;
mod collision;
mod cost;
mod nonsense;
mod ours;
mod pace;
mod spandsp_ends;
mod streaming;
