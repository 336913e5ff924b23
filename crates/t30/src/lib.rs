//! The T.30 procedures of a Group 3 facsimile terminal, without I/O (ITU-T T.30).
//!
//! One [`Session`] is one call seen from one terminal, calling or called. Feed it what happens
//! ([`Input`]), take what it wants ([`Output`]) until there is no more, and call it again at
//! [`Session::deadline`]. It does not know whether a modem or T.38 carries its words, and it never
//! sees a pel: pages come and go as coded octets.
//!
//! ```
//! use fax_base::{Instant, line::Transmit};
//! use fax_t30::{Config, Input, Output, Role, Session};
//!
//! let mut session = Session::new(Config {
//!     role: Role::Called,
//!     ident: "+1 555 0100".into(),
//!     ..Config::default()
//! });
//! session.handle(Instant::ZERO, Input::Start);
//! let outputs: Vec<Output> = core::iter::from_fn(|| session.poll()).collect();
//! assert!(outputs.iter().any(|o| matches!(o, Output::Transmit(Transmit::Tone(..)))));
//! // The line has sent CED; DIS follows.
//! session.handle(Instant::from_millis(3_500), Input::Sent);
//! assert!(core::iter::from_fn(|| session.poll())
//!     .any(|o| matches!(o, Output::Transmit(Transmit::Control(_)))));
//! ```
//!
//! What it promises: a page is reported as confirmed only when the far end said so (MCF, RTP, PIP,
//! PID), the far end is told so only of a page that is here, and every call ends, because no state
//! waits longer than its timer.
//!
//! How it is built: [`Session`] holds the state (a struct each) and what all states share. `calling`
//! and `called` are the way into phase B, `send` and `receive` the two directions from there,
//! `polling` turns them round, `release` is phase E; `exchange` is a command and the search for its response. [`frames`] and
//! [`dis`] take frames apart and [`describe()`] prints them for a ladder. [`observer`] reads a call without taking part.

pub mod address;
pub mod api;
mod call;
mod called;
mod calling;
pub mod cause;
mod describe;
pub mod dis;
mod dis_table;
mod ecm;
mod exchange;
pub mod frames;
mod meaning;
mod negotiate;
pub mod nsf;
pub mod observer;
mod polling;
mod rates;
mod receive;
mod refusal;
mod release;
mod send;
mod session;
mod tcf;
mod timers;
mod tones;

pub use api::*;
pub use cause::Cause;
pub use describe::describe;
pub use meaning::{explain, explain_within};
pub use session::Session;
