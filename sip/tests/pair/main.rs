//! Two user agents over a simulated network on simulated time (RFC 3261 §13 to §17).

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_range_loop, clippy::type_complexity)]

mod calls;
mod lossy;
mod net;
mod offers;
