//! What goes into a [`crate::UserAgent`] and what comes out of it (RFC 3261).

use core::fmt;
use core::net::SocketAddr;

use bytes::Bytes;
use fax_base::time::Duration;

use crate::digest::{Algorithm, Claim, Denial, Secret};
use crate::identity::Identity;
pub use crate::transport::{Attempt, Hop, Target, Transport};

use crate::message::{Limits, Message, Method, NameAddr, Uri};

/// One call: one INVITE and the dialog it makes. The caller of [`Command::Invite`] chooses keys below
/// [`CallKey::INCOMING`]; incoming calls are numbered from there by the user agent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallKey(pub u64);

impl CallKey {
    /// The first key of incoming calls.
    pub const INCOMING: CallKey = CallKey(1 << 63);

    /// Whether the far end made this call.
    #[must_use]
    pub const fn is_incoming(self) -> bool {
        self.0 >= Self::INCOMING.0
    }
}

/// One registration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RegKey(pub u64);

/// One OPTIONS ping.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PingKey(pub u64);

/// One request outside dialogs that the service answers itself ([`Event::Asked`]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestKey(pub u64);

/// Whose proof of identity is meant.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Asker {
    /// The caller of an incoming call.
    Call(CallKey),
    /// The sender of another request.
    Request(RequestKey),
}

/// A Q.850 cause, as carried in `Reason: Q.850;cause=N` (RFC 3326).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Q850(pub u16);

/// How this user agent is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// The User-Agent and Server header; empty: none is sent.
    pub user_agent: String,
    /// Seed of tags, branches, Call-IDs and back-off; must be unpredictable in production.
    pub seed: [u8; 32],
    /// Session-Expires asked for in our INVITEs (RFC 4028); `None` leaves it to the peer.
    pub session_expires: Option<Duration>,
    /// The shortest session interval accepted (Min-SE, at least 90 s).
    pub min_se: Duration,
    /// What a message may hold.
    pub limits: Limits,
    /// Calls at a time, both ways; 503 beyond.
    pub max_calls: usize,
    /// Transactions at a time; 503 or silence beyond.
    pub max_transactions: usize,
    /// Whether we can take reliable provisional answers and send them to callers that require it (RFC 3262).
    pub reliable_provisional: bool,
    /// What peers are challenged with, in this order (RFC 8760 §2.3).
    pub algorithms: Vec<Algorithm>,
    /// Whether requests of more than 1300 octets leave UDP for TCP (RFC 3261 §18.1.1); back where TCP is refused.
    pub large_by_tcp: bool,
    /// Methods outside dialogs that are passed to the service, as REGISTER for a registrar ([`Event::Asked`]).
    pub passed: Vec<Method>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            user_agent: String::from("ferrofax"),
            seed: [0; 32],
            session_expires: None,
            min_se: Duration::from_secs(90),
            limits: Limits::default(),
            max_calls: 2_000,
            max_transactions: 20_000,
            reliable_provisional: true,
            algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
            large_by_tcp: false,
            passed: Vec::new(),
        }
    }
}

/// A name and its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name in Authorization.
    pub username: String,
    /// The password; never printed.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).field("password", &"…").finish()
    }
}

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
    /// The service wants something.
    Command(Command),
    /// [`crate::UserAgent::deadline`] has come.
    Timeout,
}

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
    /// Offer another session within the call. One at a time; it waits where the standard says so.
    Reinvite {
        /// Which call.
        call: CallKey,
        /// The SDP offer.
        offer: Bytes,
    },
    /// Accept the offer of [`Event::ReinviteOffered`].
    AcceptReinvite {
        /// Which call.
        call: CallKey,
        /// The SDP answer (or offer, when none came).
        answer: Bytes,
    },
    /// Refuse the offer of [`Event::ReinviteOffered`]; the session stays as it was.
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
    /// Let who calls or asks prove who it is: a good proof is told with [`Event::Authenticated`], all else is answered
    /// with a challenge, and the call or request is over.
    Authenticate {
        /// Who.
        asker: Asker,
        /// In what realm.
        realm: String,
        /// 407 instead of 401.
        proxy: bool,
        /// Of the user in the [`Claim`]; `None`: there is no claim, or no such user.
        secret: Option<Secret>,
    },
    /// Answer a request of [`Event::Asked`].
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
    /// Something happened.
    Event(Event),
}

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
    /// The SDP offer; `None`: we offer, in [`Command::Answer`].
    pub offer: Option<Bytes>,
    /// What the headers say of who calls, for whom, and what was called first.
    pub identity: Identity,
    /// Who Authorization says it is; to be shown by [`Command::Authenticate`].
    pub claim: Option<Claim>,
}

/// A request outside dialogs of a method in [`Config::passed`]; answer with [`Command::Respond`] within 30 s.
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
    /// Who Authorization says it is; to be shown by [`Command::Authenticate`].
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
    },
    /// Not registered; tried again by itself after `retry_after`, if given.
    RegistrationFailed {
        /// Which.
        registration: RegKey,
        /// The status code; 408: silence, 503: unreachable.
        code: u16,
        /// Reason phrase.
        reason: String,
        /// When it is tried again; `None`: not before another [`Command::Register`].
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
