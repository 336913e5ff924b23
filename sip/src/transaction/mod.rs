//! The four transaction machines (RFC 3261 §17, with the Accepted states of RFC 6026).

mod client;
mod key;
mod server;
mod timer;

pub(crate) use client::{Client, State as ClientState};
pub(crate) use key::{MergeKey, ServerKey};
pub(crate) use server::Server;
pub(crate) use timer::{T1, T2, TRANSACTION_LIFE, Timer};

use fax_base::time::Duration;

/// What a machine wants done, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// Send the request, or the last response, again.
    Repeat,
    /// Send the ACK of a failed INVITE.
    Acknowledge,
    /// Tell the user of the transaction about the response, or the ACK.
    Deliver,
    /// Start a timer.
    Set(Timer, Duration),
    /// Stop a timer.
    Clear(Timer),
    /// Nobody answered: tell the user.
    TimedOut,
    /// The machine is done and goes away.
    Terminated,
}
