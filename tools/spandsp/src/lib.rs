//! spandsp and libtiff as oracles: fax terminals and a TIFF reader that nobody here wrote, for tests
//! and benches only (T.30, T.38, TIFF 6.0).
//!
//! [`T38Peer`] is spandsp's T.38 terminal at the level of IFP packets, [`AudioPeer`] its fax machine
//! on 8 kHz audio. Both live on the caller's clock: nothing happens but in `step`, `feed`,
//! `receive` and `transmit`, so that a whole call runs in a test as fast as the CPU allows.
//! [`modem`] has its modems by themselves, [`codec`] its T.4 and T.6. [`tiff`] reads and writes the documents that they send and
//! receive, through libtiff.
//!
//! No part of the product may depend on this crate.
//!
//! # Why there is `unsafe` here
//!
//! The workspace forbids `unsafe`; this crate does not inherit that lint because its whole purpose is
//! to call C. The rules it keeps instead: every C object is owned by one Rust value and freed by its
//! `Drop`; what callbacks write to lives in a heap allocation of its own, is reached through a raw
//! pointer only, and never while Rust code holds a reference into it; callbacks do nothing that could
//! unwind; every `unsafe` block says why it is sound.

mod audio;
pub mod codec;
mod gateway;
pub mod modem;
pub mod network;
mod options;
pub mod pages;
mod session;
mod t38;
pub mod tiff;
pub mod udptl;
mod udptl_peer;

pub use audio::{AudioPeer, BLOCK};
pub use gateway::GatewayPeer;
pub use options::{Options, Recommendation, Streaming};
pub use session::{Direction, Frame, PageReport, Report};
pub use t38::{Packet, T38Peer};
pub use udptl_peer::{Copies, Mangle, UdptlPeer};
