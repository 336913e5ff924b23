//! How punctual the media workers are: how long after its time each turn of a call came.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Steps of the count: one for each millisecond, and the last for all that is later.
const STEPS: usize = 128;

/// Counts of one worker; only its thread writes.
#[derive(Debug)]
pub(crate) struct Times {
    late: [AtomicU64; STEPS],
}

impl Default for Times {
    fn default() -> Self {
        Times { late: [const { AtomicU64::new(0) }; STEPS] }
    }
}

impl Times {
    /// A turn came so long after its time.
    pub(super) fn count(&self, late: Duration) {
        let step = usize::try_from(late.as_millis()).map_or(STEPS - 1, |ms| ms.min(STEPS - 1));
        if let Some(count) = self.late.get(step) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// How punctual the media workers have been: turns by how many whole milliseconds they came after their time.
///
/// A turn is what a call wants at a time of its own: 50 a second while it is audio, and one for each packet while it is
/// T.38.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Punctuality {
    late: [u64; STEPS],
}

impl Default for Punctuality {
    fn default() -> Self {
        Punctuality { late: [0; STEPS] }
    }
}

impl Punctuality {
    pub(crate) fn of(times: &[Arc<Times>]) -> Self {
        let mut sum = Punctuality::default();
        for times in times {
            for (sum, count) in sum.late.iter_mut().zip(&times.late) {
                *sum += count.load(Ordering::Relaxed);
            }
        }
        sum
    }

    /// What came since an earlier reading.
    #[must_use]
    pub fn since(&self, earlier: &Punctuality) -> Punctuality {
        let mut rest = self.clone();
        for (rest, before) in rest.late.iter_mut().zip(&earlier.late) {
            *rest = rest.saturating_sub(*before);
        }
        rest
    }

    /// Both together.
    #[must_use]
    pub fn and(&self, other: &Punctuality) -> Punctuality {
        let mut sum = self.clone();
        for (sum, more) in sum.late.iter_mut().zip(&other.late) {
            *sum += more;
        }
        sum
    }

    /// All turns.
    #[must_use]
    pub fn turns(&self) -> u64 {
        self.late.iter().sum()
    }

    /// Turns that came less than `ms` milliseconds after their time; `ms` up to 127.
    #[must_use]
    pub fn within(&self, ms: usize) -> u64 {
        self.late.iter().take(ms.min(STEPS - 1)).sum()
    }

    /// The whole millisecond within which this share of the turns came, 0.999 for instance; 127 stands for that and more.
    #[must_use]
    pub fn quantile(&self, share: f64) -> usize {
        let wanted = (self.turns() as f64 * share).ceil() as u64;
        let mut sum = 0;
        for (ms, count) in self.late.iter().enumerate() {
            sum += count;
            if sum >= wanted {
                return ms;
            }
        }
        STEPS - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_counted_by_the_millisecond() {
        let times = Arc::new(Times::default());
        for ms in 0..1_000 {
            times.count(Duration::from_micros(ms * 20));
        }
        let before = Punctuality::of(std::slice::from_ref(&times));
        assert_eq!((before.turns(), before.within(10), before.quantile(0.5)), (1_000, 500, 9));
        times.count(Duration::from_secs(3_600));
        let all = Punctuality::of(&[times]);
        assert_eq!((all.quantile(1.0), all.within(500)), (127, 1_000));
        assert_eq!(all.since(&before).turns(), 1);
        assert_eq!(all.and(&before).turns(), 2_001);
    }
}
