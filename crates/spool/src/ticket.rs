//! What is known of a fax beside its document: by the file's name, or by a JSON file beside it.

use fax_store::model::{Priority, Timestamp};
use serde::Deserialize;

/// A JSON file beside the document: `letter.json` for `letter.pdf`.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ticket {
    /// The number to be called.
    #[serde(default, alias = "to_number")]
    pub(crate) to: Option<String>,
    #[serde(default)]
    pub(crate) to_name: Option<String>,
    #[serde(default, alias = "from_number")]
    pub(crate) from: Option<String>,
    #[serde(default)]
    pub(crate) from_name: Option<String>,
    #[serde(default)]
    pub(crate) subject: Option<String>,
    #[serde(default)]
    pub(crate) ident: Option<String>,
    #[serde(default)]
    pub(crate) header: Option<String>,
    #[serde(default)]
    pub(crate) sub_address: Option<String>,
    #[serde(default)]
    pub(crate) colour: Option<bool>,
    #[serde(default)]
    pub(crate) retries: Option<u32>,
    #[serde(default)]
    pub(crate) priority: Priority,
    /// Who is told the result.
    #[serde(default)]
    pub(crate) notify: Vec<String>,
    /// Not before this time, in seconds since 1970 (UTC).
    #[serde(default)]
    pub(crate) not_before: Option<i64>,
}

impl Ticket {
    /// Reads it; what is wrong in a sentence.
    pub(crate) fn read(octets: &[u8]) -> Result<Ticket, String> {
        serde_json::from_slice(octets)
            .map_err(|e| format!("The file beside the document is not understood: {e}."))
    }

    pub(crate) fn time(&self) -> Option<Timestamp> {
        self.not_before.map(Timestamp::from_unix_seconds)
    }
}

/// The number with which a file's name begins: `+14155550199.pdf`, `0301234567_letter.pdf`, `+49 30 1234 - letter.pdf`.
pub(crate) fn number_in(name: &str) -> Option<String> {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let mut number = String::new();
    let mut rest = stem.char_indices();
    let mut after = None;
    for (_, c) in rest.by_ref() {
        match c {
            '+' if number.is_empty() => number.push(c),
            '0'..='9' => number.push(c),
            // Between the parts of a number.
            ' ' | '.' | '(' | ')' if !number.is_empty() => {}
            other => {
                after = Some(other);
                break;
            }
        }
    }
    let digits = number.trim_start_matches('+').len();
    // `2026-11-22 scan.pdf` and `4letters.pdf` are no numbers.
    let ends = after.is_none_or(|c| c == '_' || (c == '-' && digits >= 7));
    ((3..=20).contains(&digits) && ends).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_begin_with_the_number() {
        for (name, number) in [
            ("+14155550199.pdf", Some("+14155550199")),
            ("0301234567_letter of today.tif", Some("0301234567")),
            ("12345-letter.pdf", None),
            ("+49 (30) 1234567-letter.pdf", Some("+49301234567")),
            ("4155550199", Some("4155550199")),
            ("letter.pdf", None),
            ("12_page.pdf", None),
            ("2026-11-22 scan.pdf", None),
            ("4155letters.pdf", None),
            ("+.pdf", None),
            ("123456789012345678901.pdf", None),
        ] {
            assert_eq!(number_in(name).as_deref(), number, "{name}");
        }
    }

    #[test]
    fn a_ticket_says_what_it_does_not_understand() {
        let ticket = Ticket::read(br#"{"to_number": "+1", "retries": 2, "not_before": 60}"#).unwrap();
        assert_eq!((ticket.to.as_deref(), ticket.retries), (Some("+1"), Some(2)));
        assert_eq!(ticket.time(), Some(Timestamp::from_unix_seconds(60)));
        assert_eq!(ticket.priority, Priority::Normal);
        assert_eq!(Ticket::read(br#"{"priority": "high"}"#).unwrap().priority, Priority::High);
        let wrong = Ticket::read(br#"{"to": "+1", "priority": "urgent"}"#).unwrap_err();
        assert!(wrong.contains("urgent") && wrong.contains("high"), "{wrong}");
        let wrong = Ticket::read(br#"{"to": "+1", "tries": 2}"#).unwrap_err();
        assert!(wrong.contains("tries") && wrong.contains("retries"), "{wrong}");
        assert!(Ticket::read(b"{").is_err() && Ticket::read(br#"{"to": 1}"#).is_err());
    }
}
