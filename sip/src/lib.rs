//! A sans-I/O SIP user agent for fax: messages, transactions, dialogs and SDP (RFC 3261, 3262, 3264, 3311, 3581, 4028, 6026, 7616, 8760).
//!
//! ```text
//! agent.handle(now, input);                       // one closed enum in
//! while let Some(output) = agent.poll() { … }     // one closed enum out, in order
//! agent.deadline() -> Option<Instant>             // when Input::Timeout is due
//! ```
//!
//! One [`UserAgent`] serves all calls, registrations and pings of a set of sockets. Time starts when the driver
//! says so and never stops; randomness comes from [`Config::seed`] alone.

mod api;
mod causes;
mod dialog;
mod digest;
mod identity;
pub mod message;
pub mod registrar;
pub mod sdp;
mod transaction;
mod transport;
mod ua;

pub use api::{
    Asked, Asker, Attempt, CallKey, Command, Config, Credentials, EndCause, EndedBy, Event, Holdings, Hop,
    Incoming, Input, Invite, Outbound, Output, PingKey, Q850, Redirection, RegKey, Register, RequestKey,
    Target, Transport,
};
pub use causes::{CallCause, Course, call_cause};
pub use digest::{Algorithm, Claim, Denial, Secret};
pub use identity::{Diversion, FaxPreference, HistoryEntry, Identity, OutgoingIdentity, Privacy};
pub use ua::UserAgent;
