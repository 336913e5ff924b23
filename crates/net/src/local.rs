//! Terminals of our own: who may register here and call, and how they prove who they are.

use crate::trunk::SrtpPolicy;
use fax_base::time::Duration;
use fax_sip::Transport;
use fax_sip::{Algorithm, Denial};
use std::fmt;
use std::net::SocketAddr;
use tokio::sync::mpsc;

/// How terminals register.
#[derive(Clone, Debug)]
pub struct Registrar {
    /// The realm of challenges; a password is worth nothing in another realm.
    pub realm: String,
    /// What they are challenged with, in this order (RFC 8760 §2.3).
    pub algorithms: Vec<Algorithm>,
    /// The shortest time granted; less is refused with 423.
    pub min_expires: Duration,
    /// The longest time granted.
    pub max_expires: Duration,
    /// Terminals behind NAT are asked for a sign of life by OPTIONS so often, so that the translator keeps the way to
    /// them open: most forget it after 30 s without a datagram (RFC 4787 §4.3). `None`: never.
    pub keep_alive: Option<Duration>,
    /// A place that has left so many of them in a row unanswered is forgotten.
    pub keep_alive_misses: u32,
    /// Who is told of every proof of identity that was wrong. One that does not listen misses some.
    pub denials: Option<mpsc::Sender<AuthenticationFailed>>,
}

impl Default for Registrar {
    fn default() -> Self {
        Registrar {
            realm: "ferrofax".to_owned(),
            algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
            min_expires: Duration::from_secs(60),
            max_expires: Duration::from_secs(3_600),
            keep_alive: Some(Duration::from_secs(20)),
            keep_alive_misses: 3,
            denials: None,
        }
    }
}

/// A proof of identity was wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthenticationFailed {
    /// Where it came from.
    pub remote: SocketAddr,
    /// By which transport: the address of a datagram may be forged.
    pub transport: Transport,
    /// As which user.
    pub username: String,
    /// It was to register; else to call.
    pub register: bool,
    /// In what way it was wrong.
    pub why: Denial,
}

/// A terminal that may register here.
#[derive(Clone)]
pub struct LocalTerminal {
    /// Its user name: of REGISTER's To and of its proofs.
    pub user: String,
    /// Its password; never printed.
    pub password: String,
    /// Places at which it may be registered at a time.
    pub max_contacts: usize,
    /// By which transports it may come; empty: by all.
    pub transports: Vec<Transport>,
    /// How its places are called where there are several.
    pub ringing: Ringing,
    /// A place that nobody answered at for this long is given up.
    pub ring_timeout: Duration,
    /// A place that has not answered anything for so long, not even 100, is given up.
    pub reply_within: Duration,
    /// T.38 in calls that are passed on to it and from it.
    pub t38_onward: OnwardT38,
    /// Whether its audio goes by SRTP.
    pub srtp: SrtpPolicy,
}

impl LocalTerminal {
    /// A terminal with sensible defaults.
    #[must_use]
    pub fn new(user: &str, password: &str) -> Self {
        LocalTerminal {
            user: user.to_owned(),
            password: password.to_owned(),
            max_contacts: 5,
            transports: Vec::new(),
            ringing: Ringing::All,
            ring_timeout: Duration::from_secs(60),
            reply_within: Duration::from_secs(5),
            t38_onward: OnwardT38::Pass,
            srtp: SrtpPolicy::default(),
        }
    }
}

impl fmt::Debug for LocalTerminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalTerminal").field("user", &self.user).finish_non_exhaustive()
    }
}

/// How the places of one terminal are called.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Ringing {
    /// All at once; who answers first has the call.
    All,
    /// One after the other, by their `q`.
    InOrder,
}

/// T.38 with one side of a call that is passed on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum OnwardT38 {
    /// Offered when the other side offers it, and taken when this side offers it.
    #[default]
    Pass,
    /// Offered also when a fax is heard in its audio: for peers that wait for that.
    Gateway,
    /// Neither offered nor taken: faxes go by audio here, whatever the other side does.
    Never,
}
