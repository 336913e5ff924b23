//! What the service is told: calls, their ends and causes, registrations, requests of others (RFC 3261 §8.1.3, §13, §15).

use core::net::SocketAddr;

use bytes::Bytes;
use fax_base::time::Duration;

use super::Transport;
use super::key::{Asker, CallKey, PingKey, RegKey, RequestKey};
use crate::digest::{Claim, Denial};
use crate::identity::Identity;
use crate::message::{Message, NameAddr, Uri};

/// Who ended a call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EndedBy {
    /// We did: a command, or a refusal the standard asks of us.
    Local,
    /// The far end: its refusal, its CANCEL or its BYE.
    Remote,
    /// Nobody answered in time.
    Timeout,
    /// The network said that nothing can be sent there.
    Unreachable,
}

/// Why a call ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EndCause {
    /// Who ended it.
    pub by: EndedBy,
    /// The final status code where there was one (487 for a cancelled call, 408 for silence).
    pub code: Option<u16>,
    /// The reason phrase, or our words.
    pub reason: String,
    /// The cause in `Reason: Q.850`.
    pub q850: Option<u16>,
    /// The cause in `Reason: SIP`: 200 in a CANCEL says that the call was taken elsewhere (RFC 3326 §2).
    pub sip_cause: Option<u16>,
    /// The text of the first Warning.
    pub warning: Option<String>,
    /// Retry-After.
    pub retry_after: Option<Duration>,
    /// Where else to try, best first: the Contacts of a 3xx or 485.
    pub contacts: Vec<Redirection>,
}

impl EndCause {
    /// A cause without anything but these.
    #[must_use]
    pub fn new(by: EndedBy, code: Option<u16>, reason: &str) -> EndCause {
        EndCause {
            by,
            code,
            reason: reason.to_owned(),
            q850: None,
            sip_cause: None,
            warning: None,
            retry_after: None,
            contacts: Vec::new(),
        }
    }
}

/// A Contact of a redirection (RFC 3261 §8.1.3.4).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Redirection {
    /// Where.
    pub uri: Uri,
    /// How much it is wanted, 0 to 1000 (`q`).
    pub preference: u16,
}

/// An incoming call.
#[derive(Clone, PartialEq, Debug)]
pub struct Incoming {
    /// Its key.
    pub call: CallKey,
    /// How it came.
    pub transport: Transport,
    /// Our address it came to.
    pub local: SocketAddr,
    /// Where it came from: trust is a matter of this, not of From.
    pub remote: SocketAddr,
    /// Who calls.
    pub from: NameAddr,
    /// Who is called, as To says.
    pub to: NameAddr,
    /// Who is called, as routing says.
    pub request_uri: Uri,
    /// The whole INVITE with all its headers.
    pub request: Message,
    /// The SDP offer; `None`: we offer, in [`crate::Command::Answer`].
    pub offer: Option<Bytes>,
    /// What the headers say of who calls, for whom, and what was called first.
    pub identity: Identity,
    /// Who Authorization, else Proxy-Authorization, says it is; [`Claim::of`] has what
    /// [`crate::Command::Authenticate`] judges.
    pub claim: Option<Claim>,
}

/// A request outside dialogs of a method in [`crate::Config::passed`]; answer with [`crate::Command::Respond`] within 30 s.
#[derive(Clone, PartialEq, Debug)]
pub struct Asked {
    /// Its key.
    pub request: RequestKey,
    /// How it came.
    pub transport: Transport,
    /// Our address it came to.
    pub local: SocketAddr,
    /// Where it came from.
    pub remote: SocketAddr,
    /// The whole of it.
    pub message: Message,
    /// Who Authorization, else Proxy-Authorization, says it is; [`Claim::of`] has what
    /// [`crate::Command::Authenticate`] judges.
    pub claim: Option<Claim>,
}

/// Something the service should know.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// Someone calls; 100 has been sent.
    Incoming(Box<Incoming>),
    /// A provisional answer other than 100 came.
    Progress {
        /// Which call.
        call: CallKey,
        /// 101 to 199.
        code: u16,
        /// Early SDP, where it came along.
        sdp: Option<Bytes>,
    },
    /// Our call was answered, and the ACK has been sent.
    Answered {
        /// Which call.
        call: CallKey,
        /// The SDP answer; `None` where a 200 came without.
        answer: Option<Bytes>,
        /// Where the answer came from.
        remote: SocketAddr,
    },
    /// The caller has our 200.
    Confirmed {
        /// Which call.
        call: CallKey,
        /// The SDP answer in ACK, when the offer was ours.
        answer: Option<Bytes>,
    },
    /// The far end offers another session (re-INVITE, or UPDATE with SDP). Answer soon.
    ReinviteOffered {
        /// Which call.
        call: CallKey,
        /// The offer.
        offer: Bytes,
    },
    /// The far end renewed the session without changing it; answered already with the present SDP.
    Refreshed {
        /// Which call.
        call: CallKey,
        /// It wanted our offer while it held us: the offer that went out without the hold, with the next version. Its answer
        /// is told by [`Event::ReinviteAnswered`].
        unheld: Option<Bytes>,
    },
    /// Our offer was taken; also the far end's answer in ACK to a late offer, where it differs from what was known.
    ReinviteAnswered {
        /// Which call.
        call: CallKey,
        /// The SDP answer.
        answer: Bytes,
    },
    /// Our offer was not taken; the session stays as it was. 491 means the far end's own offer went first.
    ReinviteRefused {
        /// Which call.
        call: CallKey,
        /// Status code.
        code: u16,
        /// Reason phrase.
        reason: String,
    },
    /// The call is over; its key means nothing from here on.
    Ended {
        /// Which call.
        call: CallKey,
        /// Why.
        cause: EndCause,
    },
    /// Registered, or registered again.
    Registered {
        /// Which.
        registration: RegKey,
        /// For how long; renewed by itself before.
        expires: Duration,
        /// Service-Route: what calls over this registrar carry in Route, in order (RFC 3608).
        service_route: Vec<String>,
        /// By which way the registrar was reached.
        transport: Transport,
        /// Which of its places answered.
        remote: SocketAddr,
        /// Our address as it was seen there, by `received` and `rport` of the Via (RFC 3581).
        seen: Option<SocketAddr>,
        /// The registrar keeps our ways apart (RFC 5626 §6: `Require: outbound`).
        outbound: bool,
    },
    /// Not registered; tried again by itself after `retry_after`, if given.
    RegistrationFailed {
        /// Which.
        registration: RegKey,
        /// The status code; 408: silence, 503: unreachable.
        code: u16,
        /// Reason phrase.
        reason: String,
        /// When it is tried again; `None`: not before another [`crate::Command::Register`].
        retry_after: Option<Duration>,
        /// Where else to try: the Contacts of a 3xx.
        contacts: Vec<Redirection>,
    },
    /// The registration was taken back.
    Unregistered {
        /// Which.
        registration: RegKey,
    },
    /// Someone asks something that the service answers.
    Asked(Box<Asked>),
    /// A proof of identity was good.
    Authenticated {
        /// Whose.
        asker: Asker,
        /// As which user.
        username: String,
    },
    /// A proof of identity was wrong; a challenge has been sent, and the call or request is over. To be counted.
    AuthenticationFailed {
        /// Whose.
        asker: Asker,
        /// As which user.
        username: String,
        /// In what way.
        why: Denial,
    },
    /// The peer answered a ping, with whatever code.
    PeerAlive {
        /// Which ping.
        ping: PingKey,
        /// What it said.
        code: u16,
        /// How long that took.
        round_trip: Duration,
    },
    /// A place failed a request of ours: no answer in time (408) or 503. Others come first for a while.
    TargetFailed {
        /// How it was tried.
        transport: Transport,
        /// Where.
        remote: SocketAddr,
        /// 408 or 503.
        code: u16,
        /// Retry-After of a 503.
        retry_after: Option<Duration>,
    },
    /// The peer did not answer a ping.
    PeerSilent {
        /// Which ping.
        ping: PingKey,
    },
}
