//! Who is banned, until when, and how often it was: a ban ends by itself, and the next one is longer.

use super::rules::Protection;
use super::source::Source;
use fax_base::Instant;
use std::collections::HashMap;

/// Bans that are remembered, those that have ended among them.
const MOST: usize = 10_000;

/// A ban.
#[derive(Clone, Debug)]
pub(crate) struct Ban {
    pub(super) since: Instant,
    pub(super) until: Instant,
    /// The first, the second …
    pub(super) times: u32,
    pub(super) why: Offence,
    /// What was dropped of it.
    pub(super) dropped: u64,
}

/// What speaks against a source.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Offence {
    /// It proved its identity wrongly.
    WrongProof,
    /// It was asked who it is and has not said yet. Whoever says so next has it taken back.
    Unproven,
    /// A call from an address that may not call.
    Forbidden,
    /// It calls itself by a scanner's name.
    Scanner,
}

impl Offence {
    /// How much it weighs; the limit of the configuration counts wholes of 4.
    pub(super) const fn weight(self) -> u32 {
        match self {
            Offence::WrongProof | Offence::Forbidden => 4,
            Offence::Unproven => 1,
            Offence::Scanner => 10,
        }
    }

    /// In a few words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Offence::WrongProof => "wrong passwords or users",
            Offence::Unproven => "requests without any proof of identity",
            Offence::Forbidden => "calls from an address that may not call",
            Offence::Scanner => "a scanner by its own name",
        }
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Bans {
    by_source: HashMap<Source, Ban>,
}

impl Bans {
    /// The ban that holds now.
    pub(super) fn holding(&mut self, now: Instant, source: Source) -> Option<&mut Ban> {
        if self.by_source.is_empty() {
            return None;
        }
        self.by_source.get_mut(&source).filter(|ban| ban.until > now)
    }

    /// Bans a source, for longer than the last time if that is not forgotten.
    pub(super) fn ban(&mut self, now: Instant, source: Source, why: Offence, rules: &Protection) -> &Ban {
        self.forget(now, rules);
        if self.by_source.len() >= MOST && !self.by_source.contains_key(&source) {
            let first = self.by_source.iter().min_by_key(|(_, ban)| ban.until).map(|(source, _)| *source);
            first.map(|source| self.by_source.remove(&source));
        }
        let fresh = Ban { since: now, until: now, times: 0, why, dropped: 0 };
        let ban = self.by_source.entry(source).or_insert(fresh);
        let length = rules.ban.saturating_mul(1 << ban.times.min(20)).min(rules.longest_ban);
        ban.times = ban.times.saturating_add(1);
        ban.since = now;
        ban.until = now + length;
        ban.why = why;
        ban
    }

    /// Ends a ban and forgets that there was one; says whether it held.
    pub(super) fn lift(&mut self, now: Instant, source: Source) -> bool {
        self.by_source.remove(&source).is_some_and(|ban| ban.until > now)
    }

    /// Those that hold, the youngest first.
    pub(super) fn list(&self, now: Instant) -> Vec<(Source, Ban)> {
        let holding = self.by_source.iter().filter(|(_, ban)| ban.until > now);
        let mut list: Vec<_> = holding.map(|(source, ban)| (*source, ban.clone())).collect();
        list.sort_by_key(|(source, ban)| (std::cmp::Reverse(ban.since), *source));
        list
    }

    /// A ban that ended as long ago as the longest lasts does not count any more.
    fn forget(&mut self, now: Instant, rules: &Protection) {
        if self.by_source.len() >= MOST {
            self.by_source.retain(|_, ban| ban.until > now);
        }
        self.by_source.retain(|_, ban| ban.until + rules.longest_ban > now);
    }
}
