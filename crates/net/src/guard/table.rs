//! What is known of sources: as many as there is room for, and no more. A source has a few places where it may stand; when
//! they are taken, the least useful of those there is forgotten: first who has failed at nothing, then who was not seen for
//! longest. So a new source costs the same however many come, and a flood of new ones forgets no failures.

use super::bucket::Bucket;
use super::source::Source;
use fax_base::Instant;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Places of one source.
const WAYS: usize = 8;

/// What is known of a source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    source: Source,
    seen: Instant,
    /// What it sends.
    pub(super) packets: Bucket,
    /// What it fails at.
    pub(super) failures: Bucket,
    /// Of these, how often it was asked who it is and has not said so.
    pub(super) unproven: u32,
}

/// The places of the sources that share them.
type Set = [Option<Entry>; WAYS];

/// All that are remembered.
#[derive(Debug)]
pub(super) struct Table {
    first: Set,
    others: Vec<Set>,
    /// Nobody outside knows who shares places with whom.
    seed: u64,
}

impl Table {
    pub(super) fn new(capacity: usize, seed: u64) -> Table {
        let others = capacity.div_ceil(WAYS).saturating_sub(1);
        Table { first: [None; WAYS], others: vec![[None; WAYS]; others], seed }
    }

    fn set_of(&mut self, source: Source) -> &mut Set {
        let mut hasher = DefaultHasher::new();
        (self.seed, source).hash(&mut hasher);
        let sets = self.others.len() as u64 + 1;
        let at = usize::try_from(hasher.finish() % sets).unwrap_or(0);
        match self.others.get_mut(at) {
            Some(set) => set,
            None => &mut self.first,
        }
    }

    /// What is known of a source, which is new where nothing is.
    pub(super) fn of(&mut self, now: Instant, source: Source) -> &mut Entry {
        let rank = |place: &Option<Entry>| match place {
            Some(entry) if entry.source == source => (0, Instant::ZERO),
            None => (1, Instant::ZERO),
            Some(entry) if entry.failures.full_at() <= now => (2, entry.seen),
            Some(entry) => (3, entry.seen),
        };
        let [first, others @ ..] = self.set_of(source);
        let mut place = first;
        for other in others {
            if rank(other) < rank(place) {
                place = other;
            }
        }
        let (packets, failures) = (Bucket::default(), Bucket::default());
        let fresh = Entry { source, seen: now, packets, failures, unproven: 0 };
        let entry = place.get_or_insert(fresh);
        if entry.source != source {
            *entry = fresh;
        }
        entry.seen = now;
        entry
    }

    /// What is known of a source, if anything is.
    pub(super) fn known(&mut self, source: Source) -> Option<&mut Entry> {
        self.set_of(source).iter_mut().flatten().find(|e| e.source == source)
    }

    /// How many are remembered.
    pub(super) fn len(&self) -> usize {
        self.others.iter().chain([&self.first]).flatten().flatten().count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    fn source(n: u32) -> Source {
        Source::of(IpAddr::V4(Ipv4Addr::from_bits(n)))
    }

    #[test]
    fn a_flood_of_new_sources_takes_no_more_room_and_forgets_no_failures() {
        let mut table = Table::new(1_000, 7);
        let gap = Duration::from_secs(60);
        for n in 0..20 {
            table.of(Instant::from_millis(1), source(n)).failures.take_anyway(
                Instant::from_millis(1),
                gap,
                5,
            );
        }
        for n in 1_000..200_000 {
            table.of(Instant::from_millis(u64::from(n)), source(n));
        }
        assert_eq!(table.len(), 1_000);
        let now = Instant::from_millis(200_000);
        let kept =
            (0..20).filter(|n| table.known(source(*n)).is_some_and(|e| e.failures.taken(now, gap) > 0));
        assert_eq!(kept.count(), 20);
        assert!(table.known(source(199_999)).is_some() && table.known(source(1_000)).is_none());
    }
}
