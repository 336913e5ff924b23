//! What the service wants: calls, answers, offers, registrations, pings (RFC 3261 §8.1, §10.2, §11, §13.2.1).

use core::net::SocketAddr;

use bytes::Bytes;
use fax_base::time::Duration;

use super::config::Credentials;
use super::key::{Asker, CallKey, PingKey, Q850, RegKey, RequestKey};
use super::{Attempt, Target, Transport};
use crate::digest::Secret;

/// A call to be made.
#[derive(Clone, Debug)]
pub struct Invite {
    /// Its key, chosen by the caller, below [`CallKey::INCOMING`].
    pub call: CallKey,
    /// How to send.
    pub transport: Transport,
    /// Where to send.
    pub destination: SocketAddr,
    /// Our address as the peer is to see it, in Via and Contact.
    pub contact: SocketAddr,
    /// Request-URI, as `sip:+4930123@trunk.example`.
    pub request_uri: String,
    /// From without tag, as `"Office" <sip:+4930456@trunk.example>`.
    pub from: String,
    /// To without tag.
    pub to: String,
    /// More headers (P-Asserted-Identity, Route, …), in order.
    pub headers: Vec<(String, String)>,
    /// For 401 and 407.
    pub credentials: Option<Credentials>,
    /// The SDP offer.
    pub offer: Bytes,
    /// CANCEL after this long without a final answer.
    pub ring_timeout: Duration,
    /// A place that has not said a word for so long, not even 100, is left: for the next of [`Command::Alternatives`], or
    /// the call ends by time-out with 408. What it may still say is cancelled or hung up (RFC 3261 §9.1).
    pub reply_within: Duration,
}

/// A registration to be kept up.
#[derive(Clone, Debug)]
pub struct Register {
    /// Its key.
    pub registration: RegKey,
    /// How to send.
    pub transport: Transport,
    /// Where the registrar is.
    pub registrar: SocketAddr,
    /// Request-URI, as `sip:trunk.example`.
    pub request_uri: String,
    /// The address of record, as `sip:4930456@trunk.example`.
    pub aor: String,
    /// Our address as the registrar is to see it; the Contact takes the user of `aor`.
    pub contact: SocketAddr,
    /// More headers.
    pub headers: Vec<(String, String)>,
    /// For 401 and 407.
    pub credentials: Option<Credentials>,
    /// What to ask for.
    pub expires: Duration,
    /// For registrars that keep several ways to one user apart (RFC 5626 §4.2).
    pub outbound: Option<Outbound>,
}

/// Which of our instances and which of its ways to the registrar this is (RFC 5626 §4.1, §4.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outbound {
    /// `+sip.instance`, as `urn:uuid:…`; the same after a restart.
    pub instance: String,
    /// `reg-id`: 1 for the first way.
    pub reg_id: u32,
}

/// What the service wants.
#[derive(Clone, Debug)]
pub enum Command {
    /// Call.
    Invite(Box<Invite>),
    /// Tell an incoming caller that it rings.
    Ring {
        /// Which call.
        call: CallKey,
        /// 180 or 183.
        code: u16,
        /// Early SDP: the answer, or our offer when the INVITE had none.
        sdp: Option<Bytes>,
    },
    /// Answer an incoming call with 200.
    Answer {
        /// Which call.
        call: CallKey,
        /// The SDP: the answer, or our offer when the INVITE had none.
        sdp: Bytes,
    },
    /// Refuse an incoming call.
    Reject {
        /// Which call.
        call: CallKey,
        /// 300 to 699.
        code: u16,
        /// The reason phrase; empty: the standard's.
        reason: String,
        /// More headers (Contact of a redirection, Retry-After, Reason, …).
        headers: Vec<(String, String)>,
    },
    /// Refuse the call of a stranger: with one answer that is not repeated, and of which nothing is remembered (RFC 3261
    /// §26.3.2.4).
    Dismiss {
        /// Which call.
        call: CallKey,
        /// 300 to 699.
        code: u16,
    },
    /// Offer another session within the call. One at a time; it waits where the standard says so.
    Reinvite {
        /// Which call.
        call: CallKey,
        /// The SDP offer.
        offer: Bytes,
    },
    /// Accept the offer of [`crate::Event::ReinviteOffered`].
    AcceptReinvite {
        /// Which call.
        call: CallKey,
        /// The SDP answer (or offer, when none came).
        answer: Bytes,
    },
    /// Refuse the offer of [`crate::Event::ReinviteOffered`]; the session stays as it was.
    RejectReinvite {
        /// Which call.
        call: CallKey,
        /// 488 as a rule.
        code: u16,
    },
    /// End the call: CANCEL, BYE or a refusal, as its state demands.
    Hangup {
        /// Which call.
        call: CallKey,
        /// Goes into the Reason header.
        reason: Option<Q850>,
    },
    /// Let who calls or asks prove who it is: a good proof is told with [`crate::Event::Authenticated`], all else is answered
    /// with a challenge, and the call or request is over.
    Authenticate {
        /// Who.
        asker: Asker,
        /// In what realm.
        realm: String,
        /// 407 instead of 401.
        proxy: bool,
        /// Of the user in the [`crate::Claim`]; `None`: there is no claim, or no such user.
        secret: Option<Secret>,
    },
    /// Answer a request of [`crate::Event::Asked`].
    Respond {
        /// Which.
        request: RequestKey,
        /// 200 to 699.
        code: u16,
        /// The reason phrase; empty: the standard's.
        reason: String,
        /// More headers.
        headers: Vec<(String, String)>,
    },
    /// Register and keep registered.
    Register(Box<Register>),
    /// End a registration.
    Unregister {
        /// Which.
        registration: RegKey,
    },
    /// Where else to try, best first, when what was just begun fails by time-out, 503 or for want of a connection
    /// (RFC 3263 §4.3). A registration keeps the list, with the place of its command at the head.
    Alternatives {
        /// Of what.
        of: Attempt,
        /// The places.
        targets: Vec<Target>,
    },
    /// Ask a peer for a sign of life: OPTIONS.
    Ping {
        /// Its key.
        ping: PingKey,
        /// How to send.
        transport: Transport,
        /// Where to.
        destination: SocketAddr,
        /// Our address as the peer is to see it.
        contact: SocketAddr,
        /// Request-URI.
        request_uri: String,
    },
}
