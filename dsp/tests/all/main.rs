//! The modems, over lines.
//!
//! One program: what each of these tests would link again takes longer than to run them.

#![allow(clippy::unwrap_used, clippy::panic)]

mod coding;
mod hits;
mod lost_packets;
mod receiver;
mod sensitivity;
mod sounds;
mod tones;
mod transmitters;
mod v21;
