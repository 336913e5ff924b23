//! Whether a trunk is up: what pings, registrations and real calls say, and when one that is down is tried again
//! (RFC 3261 §21.5.4 for Retry-After; RFC 5626 §4.5 for the back-off).

use fax_base::Instant;
use fax_base::time::Duration;

/// The wait after the first failure, doubled with each.
const FIRST: Duration = Duration::from_secs(5);

/// … up to this.
const LONGEST: Duration = Duration::from_secs(300);

/// No Retry-After keeps a trunk away for longer.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(600);

/// A call that is let through to try the trunk has so long before the next is.
const TRIAL: Duration = Duration::from_secs(35);

/// How a trunk is.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// Nothing is known, or all is well.
    Up {
        /// Since when something is known.
        since: Option<Instant>,
    },
    /// It failed.
    Down {
        since: Instant,
        why: String,
        /// When it is tried again.
        until: Instant,
    },
}

/// A trunk's health.
#[derive(Clone, Debug)]
pub(super) struct Health {
    pub(super) state: State,
    failures: u32,
    pub(super) last_failure: Option<(Instant, String)>,
}

impl Default for Health {
    fn default() -> Self {
        Health { state: State::Up { since: None }, failures: 0, last_failure: None }
    }
}

impl Health {
    /// It failed. Says whether it was up before.
    pub(super) fn failed(&mut self, now: Instant, why: &str, retry_after: Option<Duration>) -> bool {
        self.failures = self.failures.saturating_add(1);
        let back_off = FIRST.saturating_mul(1 << (self.failures - 1).min(10)).min(LONGEST);
        let wait = retry_after.map_or(back_off, |after| after.min(LONGEST_RETRY_AFTER).max(FIRST));
        self.last_failure = Some((now, why.to_owned()));
        let (since, was_up) = match &self.state {
            State::Up { .. } => (now, true),
            State::Down { since, .. } => (*since, false),
        };
        self.state = State::Down { since, why: why.to_owned(), until: now + wait };
        was_up
    }

    /// It answered. Says whether it was down before.
    pub(super) fn lived(&mut self, now: Instant) -> bool {
        self.failures = 0;
        match &self.state {
            State::Up { since: Some(_) } => false,
            State::Up { since: None } => {
                self.state = State::Up { since: Some(now) };
                false
            }
            State::Down { .. } => {
                self.state = State::Up { since: Some(now) };
                true
            }
        }
    }

    /// Whether a call may be made: always when it is up; when it is down one at a time after each wait.
    pub(super) fn admit(&mut self, now: Instant) -> Result<(), (String, Instant)> {
        match &mut self.state {
            State::Up { .. } => Ok(()),
            State::Down { why, until, .. } if now < *until => Err((why.clone(), *until)),
            State::Down { until, .. } => {
                *until = now + TRIAL;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(s)
    }

    #[test]
    fn a_trunk_that_fails_is_tried_again_less_and_less_often() {
        let mut health = Health::default();
        assert!(health.admit(at(0)).is_ok());
        assert!(health.failed(at(0), "no answer", None));
        assert_eq!(health.admit(at(4)), Err(("no answer".to_owned(), at(5))));
        // One call tries it; the next waits for what comes of that.
        assert!(health.admit(at(5)).is_ok());
        assert!(health.admit(at(6)).is_err());
        assert!(!health.failed(at(37), "no answer", None));
        assert!(health.admit(at(46)).is_err() && health.admit(at(47)).is_ok());
        // A trial of which nothing is ever heard does not shut the trunk for good.
        assert!(health.admit(at(81)).is_err() && health.admit(at(82)).is_ok());
        for n in 0..20 {
            health.failed(at(100 + n), "no answer", None);
        }
        assert_eq!(health.admit(at(119)).unwrap_err().1, at(419));
        assert!(health.lived(at(200)) && !health.lived(at(201)));
        assert!(health.admit(at(201)).is_ok());
        assert!(health.failed(at(300), "no answer", None));
        assert_eq!(health.admit(at(300)).unwrap_err().1, at(305));
    }

    #[test]
    fn retry_after_is_kept_within_reason() {
        let mut health = Health::default();
        for (after, until) in [(0, 5), (30, 30), (86_400, 600)] {
            health.failed(at(0), "503", Some(Duration::from_secs(after)));
            assert_eq!(health.admit(at(0)).unwrap_err().1, at(until));
        }
    }
}
