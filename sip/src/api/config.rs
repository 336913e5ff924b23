//! How a user agent is set up.

use core::fmt;

use fax_base::time::Duration;

use crate::digest::Algorithm;
use crate::message::{Limits, Method};

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
    /// Transactions at a time; 503 or silence beyond. A call takes two, and each is kept for 32 s behind its answer by
    /// UDP: a thousand calls a second take 64 000.
    pub max_transactions: usize,
    /// Whether we can take reliable provisional answers and send them to callers that require it (RFC 3262).
    pub reliable_provisional: bool,
    /// What peers are challenged with, in this order (RFC 8760 §2.3).
    pub algorithms: Vec<Algorithm>,
    /// Whether requests of more than 1300 octets leave UDP for TCP (RFC 3261 §18.1.1); back where TCP is refused or
    /// silent for 2 s, and then by UDP at once for ten minutes.
    pub large_by_tcp: bool,
    /// Methods outside dialogs that are passed to the service, as REGISTER for a registrar ([`crate::Event::Asked`]).
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
            max_transactions: 150_000,
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
