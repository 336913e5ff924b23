//! Points of wall-clock time: microseconds since 1970-01-01T00:00:00Z.

use core::time::Duration;
use serde::{Deserialize, Serialize};

/// Seconds from the year 0 to 1970 in the proleptic Gregorian calendar.
const GREGORIAN_OFFSET: i64 = 62_167_219_200;

/// Microseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The system clock's time.
    #[must_use]
    pub fn now() -> Self {
        Self(jiff::Timestamp::now().as_microsecond())
    }

    /// From Unix seconds.
    #[must_use]
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// From Gregorian seconds, as the REST face counts.
    #[must_use]
    pub const fn from_gregorian_seconds(seconds: i64) -> Self {
        Self::from_unix_seconds(seconds.saturating_sub(GREGORIAN_OFFSET))
    }

    /// Unix seconds, rounded down.
    #[must_use]
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Gregorian seconds: Unix seconds + 62 167 219 200.
    #[must_use]
    pub const fn gregorian_seconds(self) -> i64 {
        self.unix_seconds().saturating_add(GREGORIAN_OFFSET)
    }

    /// This much later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let us = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(us))
    }

    /// This much earlier.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let us = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(us))
    }

    /// From `earlier` to this; zero when it is not earlier.
    #[must_use]
    pub fn since(self, earlier: Timestamp) -> Duration {
        let us = self.0.saturating_sub(earlier.0);
        Duration::from_micros(u64::try_from(us).unwrap_or(0))
    }

    /// UTC year and month.
    #[must_use]
    pub fn year_month(self) -> (i16, i8) {
        let zoned = self.to_jiff().to_zoned(jiff::tz::TimeZone::UTC);
        (zoned.year(), zoned.month())
    }

    /// For calendars and printing; out of range is brought to the ends of it.
    #[must_use]
    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        })
    }
}

/// RFC 3339 in UTC.
impl core::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.to_jiff().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gregorian_seconds_count_from_the_year_0() {
        assert_eq!(Timestamp(0).gregorian_seconds(), 62_167_219_200);
        let t = Timestamp::from_gregorian_seconds(63_900_000_000);
        assert_eq!(t.unix_seconds(), 1_732_780_800);
        assert_eq!(Timestamp(-1).unix_seconds(), -1);
    }

    #[test]
    fn arithmetic_stops_at_the_ends() {
        assert_eq!(Timestamp(i64::MAX).plus(Duration::MAX).0, i64::MAX);
        assert_eq!(Timestamp(5).since(Timestamp(9)), Duration::ZERO);
        assert_eq!(Timestamp(9).since(Timestamp(5)).as_micros(), 4);
        assert!(Timestamp(i64::MAX).year_month().0 >= 9999);
    }
}
