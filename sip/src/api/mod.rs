//! What goes into a [`crate::UserAgent`] and what comes out of it (RFC 3261).

mod command;
mod config;
mod event;
mod holdings;
mod key;

pub use command::{Command, Invite, Outbound, Register};
pub use config::{Config, Credentials};
pub use event::{Asked, EndCause, EndedBy, Event, Incoming, Redirection};
pub use holdings::Holdings;
pub use key::{Asker, CallKey, PingKey, Q850, RegKey, RequestKey};

use core::net::SocketAddr;

use bytes::Bytes;

pub use crate::transport::{Attempt, Hop, Target, Transport};

/// What happened.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// A datagram came, or a whole message from a stream.
    Datagram {
        /// How.
        transport: Transport,
        /// Our address it came to, as peers are to see it: it becomes the Contact of our answers.
        local: SocketAddr,
        /// Where it came from.
        remote: SocketAddr,
        /// The octets.
        octets: &'a [u8],
    },
    /// Nothing can be sent there: connection refused, no route, TLS failed.
    Unreachable {
        /// How it was tried.
        transport: Transport,
        /// Where to.
        remote: SocketAddr,
    },
    /// A connection to there that stood is gone. What got no answer by it is sent once more, by a new one.
    Disconnected {
        /// How.
        transport: Transport,
        /// Where to.
        remote: SocketAddr,
    },
    /// A connection to there stands: one that was being made, or the one that a message was just sent by.
    Connected {
        /// How.
        transport: Transport,
        /// Where to.
        remote: SocketAddr,
    },
    /// The service wants something.
    Command(Command),
    /// [`crate::UserAgent::deadline`] has come.
    Timeout,
}

/// What the user agent wants done.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Send this message.
    Send {
        /// How.
        transport: Transport,
        /// From which of our addresses, where that matters: the one the peer wrote to.
        local: Option<SocketAddr>,
        /// Where to: an address, or the flow by which the peer's messages come.
        remote: SocketAddr,
        /// The next hop by name. By datagram it is looked up, and `remote` serves where that fails; on streams a
        /// connection to `remote` goes first, and the hop is where a new one is made.
        hop: Option<Hop>,
        /// The message.
        octets: Bytes,
    },
    /// A connection there that is still being made is not waited for any longer, and what waits to be sent by it is not to
    /// be sent any more. One that stands stays as it is.
    StopConnecting {
        /// How it is tried.
        transport: Transport,
        /// Where to.
        remote: SocketAddr,
    },
    /// Something happened.
    Event(Event),
}
