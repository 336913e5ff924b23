//! The client transactions: INVITE (RFC 3261 §17.1.1, RFC 6026 §7.2) and non-INVITE (§17.1.2).

use fax_base::time::Duration;

use super::Step;
use super::timer::{T1, T2, Timer};

/// Where a client transaction stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// Sent; Calling for INVITE, Trying for others.
    Calling,
    /// A provisional response came.
    Proceeding,
    /// A final response came (for INVITE: a failure).
    Completed,
    /// INVITE: a 2xx came.
    Accepted,
    /// Over.
    Terminated,
}

/// One machine.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    invite: bool,
    reliable: bool,
    state: State,
    interval: Duration,
}

impl Client {
    pub(crate) fn new(invite: bool, reliable: bool) -> Client {
        Client { invite, reliable, state: State::Calling, interval: T1 }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// Whether a final response is still to come.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Calling | State::Proceeding)
    }

    /// Whether no response at all has come yet.
    pub(crate) fn is_unheard(&self) -> bool {
        self.state == State::Calling
    }

    fn set(&self, timer: Timer) -> Step {
        Step::Set(timer, timer.value(self.reliable))
    }

    /// The request goes out for the first time.
    pub(crate) fn start(&mut self) -> Vec<Step> {
        let (repeat, give_up) = if self.invite { (Timer::A, Timer::B) } else { (Timer::E, Timer::F) };
        let mut steps = vec![Step::Repeat, self.set(give_up)];
        if !self.reliable {
            steps.push(self.set(repeat));
        }
        steps
    }

    /// A response with this code came.
    pub(crate) fn response(&mut self, code: u16) -> Vec<Step> {
        match (self.state, self.invite, code) {
            (State::Calling | State::Proceeding, true, 100..=199) => {
                self.state = State::Proceeding;
                vec![Step::Clear(Timer::A), Step::Clear(Timer::B), Step::Deliver]
            }
            (State::Calling | State::Proceeding, true, 200..=299) => {
                self.state = State::Accepted;
                vec![Step::Clear(Timer::A), Step::Clear(Timer::B), self.set(Timer::M), Step::Deliver]
            }
            (State::Calling | State::Proceeding, true, _) => {
                self.state = State::Completed;
                let linger = self.set(Timer::D);
                vec![Step::Clear(Timer::A), Step::Clear(Timer::B), Step::Acknowledge, linger, Step::Deliver]
            }
            (State::Calling | State::Proceeding, false, 100..=199) => {
                // §17.1.2.2: repeats go on, at T2.
                self.state = State::Proceeding;
                vec![Step::Deliver]
            }
            (State::Calling | State::Proceeding, false, _) => {
                self.state = State::Completed;
                vec![Step::Clear(Timer::E), Step::Clear(Timer::F), self.set(Timer::K), Step::Deliver]
            }
            (State::Completed, true, 300..) => vec![Step::Acknowledge],
            (State::Accepted, _, 200..=299) => vec![Step::Deliver],
            (State::Completed | State::Accepted | State::Terminated, _, _) => Vec::new(),
        }
    }

    /// A timer ran out.
    pub(crate) fn expired(&mut self, timer: Timer) -> Vec<Step> {
        match (timer, self.state) {
            (Timer::A, State::Calling) => {
                self.interval = self.interval.saturating_mul(2);
                vec![Step::Repeat, Step::Set(Timer::A, self.interval)]
            }
            (Timer::E, State::Calling) => {
                self.interval = self.interval.saturating_mul(2).min(T2);
                vec![Step::Repeat, Step::Set(Timer::E, self.interval)]
            }
            (Timer::E, State::Proceeding) => vec![Step::Repeat, Step::Set(Timer::E, T2)],
            (Timer::B, State::Calling) | (Timer::F, State::Calling | State::Proceeding) => {
                self.state = State::Terminated;
                vec![Step::TimedOut, Step::Terminated]
            }
            (Timer::D | Timer::K, State::Completed) | (Timer::M, State::Accepted) => {
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

    /// Sends at 0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5 s and gives up at 32 s.
    #[test]
    fn invite_repeats_seven_times_then_times_out() {
        let mut machine = Client::new(true, false);
        let mut steps = machine.start();
        let (mut at, mut sends, mut next) = (Duration::ZERO, vec![], Duration::ZERO);
        while at < Duration::from_secs(32) {
            if steps.contains(&Step::Repeat) {
                sends.push(at.as_millis());
            }
            if let Some(Step::Set(Timer::A, wait)) =
                steps.iter().find(|s| matches!(s, Step::Set(Timer::A, _)))
            {
                next = at + *wait;
            }
            at = next;
            steps = machine.expired(Timer::A);
        }
        assert_eq!(sends, [0, 500, 1500, 3500, 7500, 15500, 31500]);
        assert_eq!(machine.expired(Timer::B), [Step::TimedOut, Step::Terminated]);
    }

    #[test]
    fn non_invite_repeats_at_most_every_four_seconds() {
        let mut machine = Client::new(false, false);
        machine.start();
        let waits: Vec<u128> = (0..5)
            .filter_map(|_| match machine.expired(Timer::E)[..] {
                [Step::Repeat, Step::Set(Timer::E, wait)] => Some(wait.as_millis()),
                _ => None,
            })
            .collect();
        assert_eq!(waits, [1000, 2000, 4000, 4000, 4000]);
        assert_eq!(machine.response(100), [Step::Deliver]);
        assert_eq!(machine.expired(Timer::E), [Step::Repeat, Step::Set(Timer::E, T2)]);
    }

    #[test]
    fn a_repeated_failure_is_acknowledged_again_and_told_once() {
        let mut machine = Client::new(true, false);
        machine.start();
        assert!(machine.response(486).contains(&Step::Deliver));
        assert_eq!(machine.response(486), [Step::Acknowledge]);
        assert_eq!(machine.response(200), []);
        assert_eq!(machine.expired(Timer::D), [Step::Terminated]);
    }

    #[test]
    fn accepted_takes_repeats_and_forks_of_2xx_only() {
        let mut machine = Client::new(true, false);
        machine.start();
        machine.response(200);
        assert_eq!(machine.response(200), [Step::Deliver]);
        assert_eq!(machine.response(180), []);
        assert_eq!(machine.response(486), []);
        assert_eq!(machine.expired(Timer::M), [Step::Terminated]);
    }
}
