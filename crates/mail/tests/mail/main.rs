//! Mail both ways over loopback.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests, which may

mod incoming;
mod notices;
mod rig;
