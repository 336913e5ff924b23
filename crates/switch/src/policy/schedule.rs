//! When a failed job is tried again, and what is left out then.

use super::classes::class;
use super::reschedule::RescheduleRule;
use crate::port::Degrade;
use core::time::Duration;
use fax_store::model::{Job, RetryPolicy};

/// Delays of a policy: the first for the first retry, the last for all that follow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schedule {
    /// The delays.
    pub delays: Vec<Duration>,
    /// Attempts that end so and are made in all, whatever the job allows.
    pub at_most: u32,
}

impl Schedule {
    /// Delays in seconds.
    #[must_use]
    pub fn seconds(delays: &[u64], at_most: u32) -> Self {
        Schedule { delays: delays.iter().copied().map(Duration::from_secs).collect(), at_most }
    }

    fn delay(&self, nth: u32) -> Option<Duration> {
        let i = usize::try_from(nth.saturating_sub(1)).unwrap_or(usize::MAX);
        self.delays.get(i).or(self.delays.last()).copied()
    }
}

/// The delays of all policies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RetryTable {
    /// Engaged or congested.
    pub busy: Schedule,
    /// Nobody there.
    pub no_answer: Schedule,
    /// Bad line.
    pub line: Schedule,
    /// Procedure not kept.
    pub protocol: Schedule,
    /// Our own fault.
    pub local: Schedule,
    /// For results of no known class.
    pub other: Duration,
    /// The same wait after every failure, whatever it was.
    pub every: Option<Duration>,
    /// Overrides by class key: the delay.
    pub by_class: Vec<(String, Duration)>,
    /// The operator's own rules, which come before all of this.
    pub rules: Vec<RescheduleRule>,
}

impl Default for RetryTable {
    fn default() -> Self {
        RetryTable {
            busy: Schedule::seconds(&[60, 120, 300, 600], 12),
            no_answer: Schedule::seconds(&[300, 900, 3600], 4),
            line: Schedule::seconds(&[120, 300], 3),
            protocol: Schedule::seconds(&[120, 300], 3),
            local: Schedule::seconds(&[60, 300, 900], 20),
            other: Duration::from_secs(300),
            every: None,
            by_class: Vec::new(),
            rules: Vec::new(),
        }
    }
}

/// What follows a failed attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Try again after this time.
    Retry(Duration),
    /// Give up.
    GiveUp,
    /// Nobody knows whether it arrived: tell, and leave it.
    Uncertain,
}

/// What follows the last attempt of `job`, which failed and is in its list already.
#[must_use]
pub fn judge(job: &Job, table: &RetryTable) -> Verdict {
    let Some(last) = job.attempts.last() else {
        return Verdict::Retry(Duration::ZERO);
    };
    if job.is_last_page_open() {
        return Verdict::Uncertain;
    }
    let outcome = &last.outcome;
    let known = class(&outcome.class);
    let times = |f: &dyn Fn(&fax_store::model::AttemptOutcome) -> bool| {
        let n = job.attempts_since_begun().filter(|a| f(&a.outcome)).count();
        u32::try_from(n).unwrap_or(u32::MAX)
    };
    let policy = outcome.retry;
    let schedule = match policy {
        RetryPolicy::Never | RetryPolicy::NeverNumber | RetryPolicy::User => {
            return Verdict::GiveUp;
        }
        RetryPolicy::ProbablyDelivered => return Verdict::Uncertain,
        RetryPolicy::Busy => Some(&table.busy),
        RetryPolicy::NoAnswer => Some(&table.no_answer),
        RetryPolicy::Line => Some(&table.line),
        RetryPolicy::Protocol => Some(&table.protocol),
        RetryPolicy::Local => Some(&table.local),
        RetryPolicy::None => None,
    };
    if policy != RetryPolicy::Local && job.attempts_left() == 0 {
        return Verdict::GiveUp;
    }
    let nth = times(&|o| o.retry == policy);
    if schedule.is_some_and(|s| nth >= s.at_most) {
        return Verdict::GiveUp;
    }
    let same = times(&|o| o.class == outcome.class);
    if known.and_then(|c| c.give_up_after).is_some_and(|n| same >= n) {
        return Verdict::GiveUp;
    }
    let by_class = || table.by_class.iter().find(|(key, _)| *key == outcome.class).map(|(_, d)| *d);
    let own = table.every.or_else(by_class).or_else(|| known.and_then(super::classes::Class::own_delay));
    let delay = own.or_else(|| schedule.and_then(|s| s.delay(nth))).unwrap_or(table.other);
    Verdict::Retry(delay)
}

/// What to leave out in the next attempt: nothing in the first retry, then one thing more each time.
#[must_use]
pub fn degrade(job: &Job) -> Degrade {
    let troubled: Vec<_> = job
        .attempts
        .iter()
        .filter(|a| matches!(a.outcome.retry, RetryPolicy::Line | RetryPolicy::Protocol))
        .collect();
    let step = u32::try_from(troubled.len()).unwrap_or(u32::MAX);
    let mut d = Degrade { step, ..Degrade::default() };
    let Some(last) = troubled.last() else {
        return d;
    };
    let has = |key: &str| troubled.iter().any(|a| a.outcome.class == key);
    if has("d.ecm.give-up") || has("d.ecmphd") {
        d.ecm = Some(false);
    } else if has("d.rtn") {
        d.ecm = Some(true);
    }
    if step >= 2 {
        d.t38 = Some(!last.t38);
        d.max_bit_rate = Some(9600);
    }
    if step >= 3 {
        d.max_bit_rate = Some(4800);
        d.mh_only = true;
        d.t38 = None;
    }
    if step >= 4 && d.ecm.is_none() {
        d.ecm = Some(false);
    }
    d
}
