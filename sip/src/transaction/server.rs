//! The server transactions: INVITE (RFC 3261 §17.2.1, RFC 6026 §7.1) and non-INVITE (§17.2.2).

use fax_base::time::Duration;

use super::Step;
use super::timer::{T1, T2, Timer};

/// Where a server transaction stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// No response yet.
    Trying,
    /// A provisional response was sent.
    Proceeding,
    /// A final response was sent (for INVITE: a failure).
    Completed,
    /// INVITE: a 2xx was sent; its user repeats it.
    Accepted,
    /// INVITE: the ACK of a failure came.
    Confirmed,
    /// Over.
    Terminated,
}

/// One machine.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    invite: bool,
    reliable: bool,
    state: State,
    interval: Duration,
}

impl Server {
    pub(crate) fn new(invite: bool, reliable: bool) -> Server {
        Server { invite, reliable, state: State::Trying, interval: T1 }
    }

    /// Whether a final response is still to be sent.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Trying | State::Proceeding)
    }

    fn set(&self, timer: Timer) -> Step {
        Step::Set(timer, timer.value(self.reliable))
    }

    /// The request came again.
    pub(crate) fn request(&self) -> Vec<Step> {
        match self.state {
            State::Proceeding | State::Completed => vec![Step::Repeat],
            State::Trying | State::Accepted | State::Confirmed | State::Terminated => Vec::new(),
        }
    }

    /// The user answers with this code.
    pub(crate) fn respond(&mut self, code: u16) -> Vec<Step> {
        if !self.is_open() {
            return Vec::new();
        }
        match (self.invite, code) {
            (_, 100..=199) => {
                self.state = State::Proceeding;
                vec![Step::Repeat]
            }
            (true, 200..=299) => {
                self.state = State::Accepted;
                vec![Step::Repeat, self.set(Timer::L)]
            }
            (true, _) => {
                self.state = State::Completed;
                let mut steps = vec![Step::Repeat, self.set(Timer::H)];
                if !self.reliable {
                    steps.push(self.set(Timer::G));
                }
                steps
            }
            (false, _) => {
                self.state = State::Completed;
                vec![Step::Repeat, self.set(Timer::J)]
            }
        }
    }

    /// An ACK came that belongs to this INVITE.
    pub(crate) fn acknowledged(&mut self) -> Vec<Step> {
        match self.state {
            State::Completed => {
                self.state = State::Confirmed;
                vec![Step::Clear(Timer::G), Step::Clear(Timer::H), self.set(Timer::I)]
            }
            State::Accepted => vec![Step::Deliver],
            State::Trying | State::Proceeding | State::Confirmed | State::Terminated => Vec::new(),
        }
    }

    /// A timer ran out.
    pub(crate) fn expired(&mut self, timer: Timer) -> Vec<Step> {
        match (timer, self.state) {
            (Timer::G, State::Completed) => {
                self.interval = self.interval.saturating_mul(2).min(T2);
                vec![Step::Repeat, Step::Set(Timer::G, self.interval)]
            }
            (Timer::H | Timer::J, State::Completed)
            | (Timer::I, State::Confirmed)
            | (Timer::L, State::Accepted) => {
                self.state = State::Terminated;
                vec![Step::Terminated]
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_repeated_until_its_ack() {
        let mut machine = Server::new(true, false);
        assert_eq!(machine.respond(100), [Step::Repeat]);
        assert_eq!(machine.request(), [Step::Repeat]);
        assert_eq!(
            machine.respond(486),
            [Step::Repeat, Step::Set(Timer::H, Duration::from_secs(32)), Step::Set(Timer::G, T1)]
        );
        let waits: Vec<u128> = (0..4)
            .filter_map(|_| match machine.expired(Timer::G)[..] {
                [Step::Repeat, Step::Set(Timer::G, wait)] => Some(wait.as_millis()),
                _ => None,
            })
            .collect();
        assert_eq!(waits, [1000, 2000, 4000, 4000]);
        assert!(machine.acknowledged().contains(&Step::Clear(Timer::G)));
        assert_eq!(machine.request(), []);
        assert_eq!(machine.expired(Timer::I), [Step::Terminated]);
    }

    #[test]
    fn accepted_absorbs_the_invite_and_passes_the_ack_on() {
        let mut machine = Server::new(true, false);
        machine.respond(200);
        assert_eq!(machine.request(), []);
        assert_eq!(machine.acknowledged(), [Step::Deliver]);
        assert_eq!(machine.respond(486), []);
        assert_eq!(machine.expired(Timer::L), [Step::Terminated]);
    }

    #[test]
    fn a_non_invite_request_is_answered_again_with_the_same() {
        let mut machine = Server::new(false, false);
        assert_eq!(machine.request(), []);
        machine.respond(200);
        assert_eq!(machine.request(), [Step::Repeat]);
        assert_eq!(machine.expired(Timer::J), [Step::Terminated]);
    }

    #[test]
    fn reliable_transports_linger_for_nothing() {
        let mut machine = Server::new(true, true);
        assert_eq!(machine.respond(486), [Step::Repeat, Step::Set(Timer::H, Duration::from_secs(32))]);
        assert!(machine.acknowledged().contains(&Step::Set(Timer::I, Duration::ZERO)));
    }
}
