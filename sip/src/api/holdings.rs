//! What a user agent holds: for limits, figures, and to see that nothing is left behind.

/// What a user agent holds at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Holdings {
    /// Calls that have not ended.
    pub calls: usize,
    /// Those, and ended ones whose dialogs are still known for late messages (40 s).
    pub dialogs: usize,
    /// Client transactions (up to 32 s behind their end, RFC 3261 §17.1).
    pub client_transactions: usize,
    /// Server transactions (the same, §17.2).
    pub server_transactions: usize,
    /// Names under which all of these are found.
    pub keys: usize,
    /// Registrations that are kept up.
    pub registrations: usize,
    /// Timers that run.
    pub timers: usize,
}
