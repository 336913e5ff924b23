//! One user agent against a peer played by hand: what pairs of ourselves would never do.

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_range_loop, clippy::type_complexity)]

mod bench;
mod called;
mod calling;
mod early;
mod failover;
mod proving;
mod registering;
mod registrar;
mod sessions;
