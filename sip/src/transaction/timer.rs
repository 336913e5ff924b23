//! Timers A to M and their values (RFC 3261 Table 4, RFC 6026 §7).

use fax_base::time::Duration;

/// Estimate of the round trip.
pub(crate) const T1: Duration = Duration::from_millis(500);
/// The longest interval between repeats of non-INVITE requests and INVITE responses.
pub(crate) const T2: Duration = Duration::from_secs(4);
/// The longest a message stays in the network.
pub(crate) const T4: Duration = Duration::from_secs(5);
/// 64·T1, the life of an unanswered transaction.
pub(crate) const TRANSACTION_LIFE: Duration = Duration::from_secs(32);

/// The timers by their letters; C belongs to proxies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Timer {
    /// INVITE request repeat; T1, doubling.
    A,
    /// INVITE time-out; 64·T1.
    B,
    /// Wait for repeats of a failure to INVITE; at least 32 s.
    D,
    /// Non-INVITE request repeat; T1, doubling up to T2.
    E,
    /// Non-INVITE time-out; 64·T1.
    F,
    /// INVITE failure repeat; T1, doubling up to T2.
    G,
    /// Wait for ACK; 64·T1.
    H,
    /// Wait for repeats of ACK; T4.
    I,
    /// Wait for repeats of a non-INVITE request; 64·T1.
    J,
    /// Wait for repeats of a response; T4.
    K,
    /// Wait for repeats of an accepted INVITE; 64·T1.
    L,
    /// Wait for repeats and forks of 2xx; 64·T1.
    M,
}

impl Timer {
    /// The first value; over reliable transports nothing is repeated, so nothing is waited for.
    pub(crate) const fn value(self, reliable: bool) -> Duration {
        match self {
            Timer::A | Timer::E | Timer::G => T1,
            Timer::B | Timer::F | Timer::H | Timer::L | Timer::M => TRANSACTION_LIFE,
            Timer::D | Timer::J if reliable => Duration::ZERO,
            Timer::D | Timer::J => TRANSACTION_LIFE,
            Timer::I | Timer::K if reliable => Duration::ZERO,
            Timer::I | Timer::K => T4,
        }
    }
}
