//! Calls and what they cost within the last minute, hour or day: counted in sixty parts, so that it takes the same room
//! however many there were.

use core::time::Duration;
use fax_store::model::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Parts of a window. What is in the oldest counts until all of it is out, so that never more than the limit is within.
const PARTS: i64 = 60;

/// What was begun in one part.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Part {
    number: i64,
    calls: u32,
    spent: u64,
}

/// A window of this many seconds, which is a multiple of sixty.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Window {
    seconds: u32,
    parts: VecDeque<Part>,
}

impl Window {
    pub(super) fn new(seconds: u32) -> Window {
        Window { seconds, parts: VecDeque::new() }
    }

    /// Microseconds of a part.
    fn part(&self) -> i64 {
        (i64::from(self.seconds) * 1_000_000 / PARTS).max(1)
    }

    fn number(&self, at: Timestamp) -> i64 {
        at.0.div_euclid(self.part())
    }

    /// Forgets what is over.
    fn prune(&mut self, now: Timestamp) {
        let oldest = self.number(now).saturating_sub(PARTS);
        while self.parts.front().is_some_and(|p| p.number < oldest) {
            self.parts.pop_front();
        }
        // A clock that was set back leaves nothing that lies ahead for ever.
        let newest = self.number(now).saturating_add(PARTS);
        self.parts.retain(|p| p.number <= newest);
    }

    /// The part of this time, which is now or a little before.
    fn of(&mut self, at: Timestamp) -> Option<&mut Part> {
        let number = self.number(at);
        let place = self.parts.partition_point(|p| p.number < number);
        if self.parts.get(place).is_none_or(|p| p.number != number) {
            self.parts.insert(place, Part { number, calls: 0, spent: 0 });
        }
        self.parts.get_mut(place)
    }

    /// A call is begun.
    pub(super) fn add(&mut self, now: Timestamp, calls: u32, spent: u64) {
        self.prune(now);
        if let Some(part) = self.of(now) {
            part.calls = part.calls.saturating_add(calls);
            part.spent = part.spent.saturating_add(spent);
        }
    }

    /// What was counted of a call that began then was not, after all.
    pub(super) fn give_back(&mut self, begun: Timestamp, calls: u32, spent: u64) {
        let number = self.number(begun);
        if let Some(part) = self.parts.iter_mut().find(|p| p.number == number) {
            part.calls = part.calls.saturating_sub(calls);
            part.spent = part.spent.saturating_sub(spent);
        }
    }

    /// Calls within.
    pub(super) fn calls(&mut self, now: Timestamp) -> u32 {
        self.prune(now);
        self.parts.iter().map(|p| p.calls).fold(0, u32::saturating_add)
    }

    /// What was spent within.
    pub(super) fn spent(&mut self, now: Timestamp) -> u64 {
        self.prune(now);
        self.parts.iter().map(|p| p.spent).fold(0, u64::saturating_add)
    }

    /// When no more than so many calls will be within.
    pub(super) fn calls_fall_to(&self, most: u32) -> Option<Timestamp> {
        self.falls(u64::from(most), |p| u64::from(p.calls))
    }

    /// When no more than so much will be spent within.
    pub(super) fn spent_falls_to(&self, most: u64) -> Option<Timestamp> {
        self.falls(most, |p| p.spent)
    }

    fn falls(&self, most: u64, of: impl Fn(&Part) -> u64) -> Option<Timestamp> {
        let mut left = self.parts.iter().map(&of).fold(0, u64::saturating_add);
        for part in &self.parts {
            left = left.saturating_sub(of(part));
            if left <= most {
                let end = part.number.saturating_add(PARTS + 1).saturating_mul(self.part());
                return Some(Timestamp(end));
            }
        }
        None
    }

    /// How long it is.
    pub(super) fn length(&self) -> Duration {
        Duration::from_secs(u64::from(self.seconds))
    }
}
