//! Wrong proofs by user, wherever they come from: passwords that many addresses guess slowly are judged slowly. Where a user
//! has registered before it is not kept waiting, so that nobody can lock it out.

use super::bucket::Bucket;
use super::source::Source;
use fax_base::Instant;
use fax_base::time::Duration;
use std::collections::HashMap;

/// Users that are remembered, real or not: who guesses does not learn which there are.
const MOST: usize = 4_096;

/// Addresses of one user from which it has registered.
const HOMES: usize = 8;

/// Proofs of one user that wait; more are told to come later.
const WAITING: u32 = 4;

/// A proof waits no longer: within the time of its transaction (64·T1).
const LONGEST: Duration = Duration::from_secs(16);

/// When a proof is judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    /// At once.
    Now,
    /// After so long. [`Accounts::judged`] is to be told.
    Wait(Duration),
    /// It is not: it may come again after so long.
    Later(Duration),
}

#[derive(Debug, Default)]
struct Account {
    failures: Bucket,
    homes: Vec<Source>,
    waiting: u32,
    seen: Instant,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    by_user: HashMap<String, Account>,
}

impl Accounts {
    fn of(&mut self, now: Instant, user: &str) -> &mut Account {
        if self.by_user.len() >= MOST && !self.by_user.contains_key(user) {
            let least = self.by_user.iter().filter(|(_, a)| a.waiting == 0);
            let least = least.min_by_key(|(_, a)| (!a.homes.is_empty(), a.failures.full_at() > now, a.seen));
            if let Some(user) = least.map(|(user, _)| user.clone()) {
                self.by_user.remove(&user);
            }
        }
        let account = self.by_user.entry(user.to_owned()).or_default();
        account.seen = now;
        account
    }

    /// A proof was wrong; `gap` is how long one counts.
    pub(super) fn failed(&mut self, now: Instant, user: &str, gap: Duration) {
        self.of(now, user).failures.take_anyway(now, gap, 1);
    }

    /// It has registered from there.
    pub(super) fn registered(&mut self, now: Instant, user: &str, from: Source) {
        let homes = &mut self.of(now, user).homes;
        homes.retain(|home| *home != from);
        if homes.len() >= HOMES {
            homes.remove(0);
        }
        homes.push(from);
    }

    /// When a proof of this user from there is to be judged.
    pub(super) fn turn(&mut self, now: Instant, user: &str, from: Source, gap: Duration, most: u32) -> Turn {
        let Some(account) = self.by_user.get_mut(user).filter(|a| !a.homes.contains(&from)) else {
            return Turn::Now;
        };
        let over = account.failures.taken(now, gap).saturating_sub(most.saturating_sub(1));
        if most == 0 || over == 0 {
            return Turn::Now;
        }
        let wait = Duration::from_secs(1 << (over / 4).min(4)).min(LONGEST);
        if account.waiting >= WAITING {
            return Turn::Later(wait * 2);
        }
        account.waiting += 1;
        Turn::Wait(wait)
    }

    /// A proof that waited has its turn.
    pub(super) fn judged(&mut self, user: &str) {
        if let Some(account) = self.by_user.get_mut(user) {
            account.waiting = account.waiting.saturating_sub(1);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_user.len()
    }
}
