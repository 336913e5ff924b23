//! Signalling: one task with the SIP socket, the user agent and a [`leg::Leg`] for each call.

mod calls;
mod driver;
mod leg;
mod peers;
mod session;
mod switch;
mod wire;

pub(crate) use driver::Driver;
pub(crate) use peers::resolve;
