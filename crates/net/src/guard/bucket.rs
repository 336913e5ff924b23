//! A token bucket that remembers nothing but when it is full again.

use fax_base::Instant;
use fax_base::time::Duration;

/// So many at once, and one more for each gap that has gone by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Bucket {
    full_at: Instant,
}

/// The gap between two at this rate.
pub(crate) fn gap(per_second: u32) -> Duration {
    Duration::from_micros(1_000_000 / u64::from(per_second.clamp(1, 1_000_000)))
}

impl Bucket {
    /// Takes `n`, or says when there is room for them: not before `burst` less `n` are taken.
    pub(crate) fn take(&mut self, now: Instant, gap: Duration, burst: u32, n: u32) -> Result<(), Instant> {
        let begin = self.full_at.max(now);
        let full = begin + gap.saturating_mul(n);
        let latest = now + gap.saturating_mul(burst.max(n));
        if full > latest {
            return Err(now + full.since(latest));
        }
        self.full_at = full;
        Ok(())
    }

    /// Takes `n` whether there is room for them or not.
    pub(crate) fn take_anyway(&mut self, now: Instant, gap: Duration, n: u32) {
        self.full_at = self.full_at.max(now) + gap.saturating_mul(n);
    }

    /// Gives `n` back.
    pub(crate) fn give(&mut self, gap: Duration, n: u32) {
        let back = gap.saturating_mul(n);
        let micros = u64::try_from(back.as_micros()).unwrap_or(u64::MAX);
        self.full_at = Instant::from_micros(self.full_at.as_micros().saturating_sub(micros));
    }

    /// When it is full again.
    pub(crate) fn full_at(&self) -> Instant {
        self.full_at
    }

    /// How many are taken now, rounded up.
    pub(crate) fn taken(&self, now: Instant, gap: Duration) -> u32 {
        let micros = gap.as_micros().max(1);
        u32::try_from(self.full_at.since(now).as_micros().div_ceil(micros)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_the_rate() {
        let at = Instant::from_millis;
        let mut bucket = Bucket::default();
        let gap = gap(10);
        assert_eq!(bucket.take(at(1_000), gap, 5, 3), Ok(()));
        assert_eq!(bucket.take(at(1_000), gap, 5, 3), Err(at(1_100)));
        assert_eq!(bucket.taken(at(1_050), gap), 3);
        assert_eq!(bucket.take(at(1_100), gap, 5, 3), Ok(()));
        assert_eq!(bucket.take(at(1_100), gap, 5, 1), Err(at(1_200)));
        bucket.give(gap, 2);
        assert_eq!(bucket.take(at(1_100), gap, 5, 2), Ok(()));
        // More than fits is taken when the bucket is empty, and is paid for afterwards.
        assert_eq!(bucket.take(at(60_000), gap, 5, 50), Ok(()));
        assert_eq!(bucket.take(at(60_000), gap, 5, 1), Err(at(64_600)));
        bucket.take_anyway(at(70_000), gap, 100);
        assert_eq!(bucket.taken(at(70_000), gap), 100);
    }
}
