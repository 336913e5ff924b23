//! A scripted SIP, RTP and UDPTL peer on simulated time: one call of the product (its user agent, leg, media and
//! terminal, [`fax_net::lab`]) against a far end that does what a case says, over a network that does what it likes.
//! `README.md` says how cases are written.

mod media;
mod message;
mod peer;
mod play;
mod script;
mod sdp;

pub use play::{Played, play};
pub use script::{Case, cases};

use bytes::Bytes;
use std::net::SocketAddr;

/// One datagram on its way.
#[derive(Clone, Debug)]
pub(crate) struct Datagram {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) octets: Bytes,
}
