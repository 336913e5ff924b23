//! When faxes may be sent: hours of the week in a time zone, as an account's or a faxbox's owner writes them.

use core::time::Duration;
use fax_store::model::Timestamp;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// The hours in which faxes are sent; without any: always.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SendHours {
    spans: Vec<Span>,
}

/// From one minute to another on some days; to the next day where it ends before it begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Span {
    /// Bit 0 is Monday.
    days: u8,
    /// Minutes of the day.
    from: u16,
    to: u16,
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl SendHours {
    /// Hours as they are written: `mon-fri 08:00-18:00`, `sat,sun 10:00-12:00`, `daily 20:00-06:00`.
    ///
    /// # Errors
    ///
    /// What is wrong, in a sentence.
    pub fn parse<'a>(written: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let spans = written.into_iter().map(|text| {
            span(text).ok_or_else(|| format!("{text:?} is no time of the week as \"mon-fri 08:00-18:00\""))
        });
        Ok(SendHours { spans: spans.collect::<Result<_, _>>()? })
    }

    /// Whether nothing is said: faxes are sent at any time.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// When faxes are sent again after `now`; `None`: they are sent now.
    #[must_use]
    pub fn opens(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        if self.spans.is_empty() {
            return None;
        }
        let local = now.to_jiff().to_zoned(zone.clone());
        let minute = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).unwrap_or(0);
        let today = local.date();
        let yesterday = today.yesterday().ok();
        let open = |s: &Span| {
            let late = s.to <= s.from;
            let begun = s.on(today) && minute >= s.from && (late || minute < s.to);
            begun || (late && minute < s.to && yesterday.is_some_and(|d| s.on(d)))
        };
        if self.spans.iter().any(open) {
            return None;
        }
        // Eight days: today's beginning may have passed on the only day of the week.
        let days = core::iter::successors(Some(today), |d| d.tomorrow().ok()).take(8);
        let begins = days.flat_map(|day| {
            self.spans.iter().filter(move |s| s.on(day)).filter_map(move |s| {
                let (hour, minute) = (i8::try_from(s.from / 60).ok()?, i8::try_from(s.from % 60).ok()?);
                let at = day.at(hour, minute, 0, 0).to_zoned(zone.clone()).ok()?;
                Some(Timestamp(at.timestamp().as_microsecond()))
            })
        });
        let next = begins.filter(|at| *at > now).min();
        Some(next.unwrap_or_else(|| now.plus(Duration::from_secs(3600))))
    }
}

impl Span {
    fn on(&self, day: Date) -> bool {
        let bit = match day.weekday() {
            Weekday::Monday => 0,
            Weekday::Tuesday => 1,
            Weekday::Wednesday => 2,
            Weekday::Thursday => 3,
            Weekday::Friday => 4,
            Weekday::Saturday => 5,
            Weekday::Sunday => 6,
        };
        self.days & (1 << bit) != 0
    }
}

fn span(text: &str) -> Option<Span> {
    let text = text.trim().to_ascii_lowercase();
    let (days, hours) = text.rsplit_once(char::is_whitespace)?;
    let (from, to) = hours.split_once('-')?;
    let (from, to) = (minute(from)?, minute(to)?);
    let mut bits = 0;
    for part in days.split(',') {
        bits |= days_of(part.trim())?;
    }
    (from < DAY && from != to).then_some(Span { days: bits, from, to })
}

fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let at = hour.checked_mul(60)?.checked_add(minute)?;
    (minute < 60 && at <= DAY).then_some(at)
}

fn days_of(text: &str) -> Option<u8> {
    let day = |name: &str| DAYS.iter().position(|d| *d == name);
    if text == "daily" {
        return Some(0x7f);
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (day(first.trim())?, day(last.trim())?);
    // From Saturday to Monday, too.
    let count = (last + 7 - first) % 7 + 1;
    Some((first..first + count).fold(0, |bits, d| bits | 1 << (d % 7)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        let zoned: jiff::Zoned = text.parse().unwrap();
        Timestamp(zoned.timestamp().as_microsecond())
    }

    fn opens(hours: &[&str], now: &str) -> Option<Timestamp> {
        let zoned: jiff::Zoned = now.parse().unwrap();
        SendHours::parse(hours.iter().copied()).unwrap().opens(at(now), zoned.time_zone())
    }

    #[test]
    fn office_hours_are_those_of_the_time_zone() {
        let hours = ["mon-fri 08:00-18:00"];
        assert_eq!(opens(&hours, "2026-11-20T08:00[America/New_York]"), None);
        assert_eq!(opens(&hours, "2026-11-20T17:59[America/New_York]"), None);
        let monday = at("2026-11-23T08:00[America/New_York]");
        assert_eq!(opens(&hours, "2026-11-20T18:00[America/New_York]"), Some(monday));
        assert_eq!(opens(&hours, "2026-11-22T12:00[America/New_York]"), Some(monday));
        assert_eq!(
            opens(&hours, "2026-11-23T07:59[America/New_York]"),
            Some(monday),
            "and not by the clock of UTC"
        );
    }

    #[test]
    fn nights_go_over_midnight_and_weeks_over_sunday() {
        let night = ["fri-sun 20:00-06:00"];
        assert_eq!(opens(&night, "2026-11-20T23:30[Europe/Berlin]"), None);
        assert_eq!(opens(&night, "2026-11-23T05:59[Europe/Berlin]"), None, "Sunday's night");
        let friday = at("2026-11-27T20:00[Europe/Berlin]");
        assert_eq!(opens(&night, "2026-11-23T06:00[Europe/Berlin]"), Some(friday));
        assert_eq!(opens(&["sat-mon 10:00-11:00"], "2026-11-22T10:30[UTC]"), None);
        let next = at("2026-11-25T10:00[UTC]");
        assert_eq!(opens(&["wed 10:00-11:00"], "2026-11-18T11:00[UTC]"), Some(next), "a week later");
    }

    #[test]
    fn an_hour_that_summer_time_leaves_out_begins_after_it() {
        // 02:30 does not exist in Berlin on 2026-03-29.
        let opened = opens(&["daily 02:30-04:00"], "2026-03-29T01:00[Europe/Berlin]");
        assert_eq!(opened, Some(at("2026-03-29T03:30[Europe/Berlin]")));
    }

    #[test]
    fn what_is_no_time_of_the_week_is_said() {
        for wrong in ["08:00-18:00", "mon 8-18", "mon 25:00-26:00", "mond 08:00-18:00", "mon 08:00-08:00", ""]
        {
            assert!(SendHours::parse([wrong]).is_err(), "{wrong}");
        }
        assert!(SendHours::parse(["mon,wed 8:00-24:00"]).is_ok());
        assert!(
            SendHours::default().is_empty()
                && SendHours::default().opens(Timestamp(0), &TimeZone::UTC).is_none()
        );
    }
}
