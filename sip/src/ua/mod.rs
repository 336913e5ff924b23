//! The user agent: it ties messages, transactions and dialogs together (RFC 3261 §8, §13, §14, §15).

use std::collections::VecDeque;

use fax_base::Instant;

use crate::api::{Config, Input, Output};

/// All calls, registrations and pings of a set of sockets.
pub struct UserAgent {
    config: Config,
    outputs: VecDeque<Output>,
}

impl UserAgent {
    /// A user agent with nothing going on.
    #[must_use]
    pub fn new(config: Config) -> UserAgent {
        UserAgent { config, outputs: VecDeque::new() }
    }

    /// Takes in what happened at `now`; then [`UserAgent::poll`] until it is empty.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        let _ = (now, input, &self.config);
    }

    /// The next thing to be done.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        None
    }
}
