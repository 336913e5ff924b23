//! Signalling: one task with the SIP sockets, the user agent and a [`leg::Leg`] for each call.

mod bridge;
mod calls;
mod driver;
mod guarded;
mod health;
mod hops;
mod keep_alive;
mod leg;
mod limits;
mod mapped;
mod onward;
mod outgoing;
mod outside;
mod peers;
mod pings;
mod redirects;
mod registrations;
mod reload;
mod security;
mod session;
mod status;
mod switch;
mod terminals;
mod waiting;
mod wire;

pub(crate) use driver::Driver;
pub use peers::hop;
#[cfg(feature = "lab")]
pub(crate) use {
    leg::{Input, Leg},
    outside::{Begin, Outside, call_of, drive},
    session::Session,
};
