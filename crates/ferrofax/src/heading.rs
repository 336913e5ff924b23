//! The line on top of every page that is sent: when, by which number, who, and which page of how many (47 CFR
//! 68.318(d)). The time is that of the call, so that a page that goes over the line again has the same octets.

use fax_base::page::PageShape;
use fax_image::{header, put_above};
use fax_terminal::CodedPage;
use jiff::Zoned;
use jiff::tz::TimeZone;
use std::sync::Arc;

/// What stands on the left of the line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Heading {
    text: String,
}

impl Heading {
    /// A heading with the present time in this zone (IANA; empty or unknown: the system's). A name that is too long
    /// is cut, date and number are not.
    pub(crate) fn new(name: &str, number: &str, timezone: &str) -> Heading {
        let zone = if timezone.is_empty() { None } else { TimeZone::get(timezone).ok() };
        Heading::at(&Zoned::now().with_time_zone(zone.unwrap_or_else(TimeZone::system)), name, number)
    }

    fn at(time: &Zoned, name: &str, number: &str) -> Heading {
        let time = time.strftime("%Y-%m-%d %H:%M %Z").to_string();
        let name = Some(name.trim()).filter(|name| *name != number);
        let parts = [Some(time.as_str()), Some(number.trim()), name].into_iter().flatten();
        Heading { text: parts.filter(|p| !p.is_empty()).collect::<Vec<_>>().join("  ") }
    }
}

/// The pages with the heading above them; they are `first` and the following of `all`, from 0. A rendition in colour
/// goes without.
pub(crate) fn headed(
    pages: &[Arc<CodedPage>],
    heading: &Heading,
    first: usize,
    all: usize,
) -> Vec<Arc<CodedPage>> {
    let one = |(number, page): (usize, &Arc<CodedPage>)| {
        let PageShape { width, resolution, rows, tones } = page.shape;
        let strip = header(width, resolution, &heading.text, &format!("page {number} of {all}"));
        let rows = rows.saturating_add(strip.rows());
        Arc::new(CodedPage {
            shape: PageShape { width, resolution, rows, tones },
            t6: put_above(&strip, &page.t6).into(),
            jpeg: page.jpeg.clone(),
        })
    };
    (first + 1..).zip(pages).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_and_number_go_before_the_name() {
        let time: Zoned = "2026-11-22T14:03:59[Europe/Berlin]".parse().unwrap();
        assert_eq!(
            Heading::at(&time, "Clinic", "+49 30 1234").text,
            "2026-11-22 14:03 CET  +49 30 1234  Clinic"
        );
        assert_eq!(Heading::at(&time, "1234", "1234").text, "2026-11-22 14:03 CET  1234");
        assert_eq!(Heading::at(&time, "", "").text, "2026-11-22 14:03 CET");
    }
}
