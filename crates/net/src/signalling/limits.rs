//! How many calls a trunk has, and how fast they come: counts and token buckets.

use crate::guard::{Bucket, gap};
use crate::trunk::TrunkLimits;
use fax_base::Instant;

/// Which way a call goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Way {
    /// We call.
    Out,
    /// The peer calls.
    In,
}

/// Why a call is not taken now.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Full {
    /// All lines are in use.
    Lines,
    /// Too many calls were begun; the next may begin then.
    Rate(Instant),
}

/// The calls of a trunk.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    pub(super) out: usize,
    pub(super) inward: usize,
    begun_out: Bucket,
    begun_in: Bucket,
}

impl Lines {
    /// Takes a line for a new call.
    pub(super) fn take(&mut self, now: Instant, limits: &TrunkLimits, way: Way) -> Result<(), Full> {
        let (used, most, rate, bucket) = match way {
            Way::Out => (self.out, limits.calls_out, limits.per_second_out, &mut self.begun_out),
            Way::In => (self.inward, limits.calls_in, limits.per_second_in, &mut self.begun_in),
        };
        let all = self.out + self.inward;
        if most.is_some_and(|most| used >= most) || limits.calls.is_some_and(|most| all >= most) {
            return Err(Full::Lines);
        }
        if let Some(rate) = rate {
            // A second's worth may come at once.
            bucket.take(now, gap(rate), rate, 1).map_err(Full::Rate)?;
        }
        match way {
            Way::Out => self.out += 1,
            Way::In => self.inward += 1,
        }
        Ok(())
    }

    /// A call is over.
    pub(super) fn release(&mut self, way: Way) {
        let used = match way {
            Way::Out => &mut self.out,
            Way::In => &mut self.inward,
        };
        *used = used.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fax_base::time::Duration;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn lines_are_counted_by_way_and_together() {
        let limits =
            TrunkLimits { calls: Some(3), calls_out: Some(2), calls_in: Some(2), ..TrunkLimits::default() };
        let mut lines = Lines::default();
        assert_eq!(lines.take(at(0), &limits, Way::Out), Ok(()));
        assert_eq!(lines.take(at(0), &limits, Way::Out), Ok(()));
        assert_eq!(lines.take(at(0), &limits, Way::Out), Err(Full::Lines));
        assert_eq!(lines.take(at(0), &limits, Way::In), Ok(()));
        assert_eq!(lines.take(at(0), &limits, Way::In), Err(Full::Lines));
        lines.release(Way::Out);
        assert_eq!(lines.take(at(0), &limits, Way::In), Ok(()));
        lines.release(Way::In);
        lines.release(Way::In);
        lines.release(Way::In);
        assert_eq!((lines.out, lines.inward), (1, 0));
    }

    #[test]
    fn a_second_holds_so_many_calls_and_the_next_is_told_when() {
        let limits = TrunkLimits { per_second_out: Some(2), ..TrunkLimits::default() };
        let mut lines = Lines::default();
        let take = |lines: &mut Lines, ms| lines.take(at(ms), &limits, Way::Out);
        assert_eq!(take(&mut lines, 10_000), Ok(()));
        assert_eq!(take(&mut lines, 10_000), Ok(()));
        assert_eq!(take(&mut lines, 10_000), Err(Full::Rate(at(10_500))));
        assert_eq!(take(&mut lines, 10_499), Err(Full::Rate(at(10_500))));
        assert_eq!(take(&mut lines, 10_500), Ok(()));
        assert_eq!(take(&mut lines, 10_500), Err(Full::Rate(at(11_000))));
        // However long it was quiet, no more than a second's worth comes at once.
        assert_eq!(take(&mut lines, 60_000), Ok(()));
        assert_eq!(take(&mut lines, 60_000), Ok(()));
        assert!(take(&mut lines, 60_000).is_err());
        // Over a long time it is the rate and not more: 100 s with a try every 10 ms.
        let taken = (0..10_000).filter(|n| take(&mut lines, 70_000 + n * 10).is_ok()).count();
        assert!((199..=202).contains(&taken), "{taken}");
        // The other way has a rate of its own.
        assert_eq!(lines.take(at(60_000), &limits, Way::In), Ok(()));
    }
}
