//! Telephone numbers: which are acceptable and how they are written (E.164; the rules of KAZOO's number manager).

use regex::Regex;

/// How numbers are brought to E.164 and which are acceptable.
#[derive(Clone, Debug)]
pub struct NumberPlan {
    rules: Vec<NumberRule>,
    acceptable: Option<Regex>,
}

/// A rule: a number that matches becomes `prefix`, the last group that took part, `suffix`.
#[derive(Clone, Debug)]
pub struct NumberRule {
    /// What it must match.
    pub pattern: Regex,
    /// Put before.
    pub prefix: String,
    /// Put after.
    pub suffix: String,
}

/// Rules for the North American plan: a ten-digit number gets `+1`, `011` and `00` go international.
const RULES: [(&str, &str); 3] = [
    (r"^(\+?1)?([2-9][0-9]{2}[2-9][0-9]{6})$", "+1"),
    (r"^011(\d{5,})$|^00(\d{5,})$", "+"),
    (r"^([2-9]\d{7,})$", "+"),
];

/// What is acceptable by default, after normalising or before.
const ACCEPTABLE: &str = r"^(\+?1)?\d{10}$|^\+[2-9]\d{7,}$|^011\d*$|^00\d*$";

/// No number is longer (E.164 allows 15 digits; prefixes and dialling codes come on top).
const MAX_LENGTH: usize = 32;

impl Default for NumberPlan {
    /// The North American rules.
    fn default() -> Self {
        let rules = RULES
            .iter()
            .filter_map(|(pattern, prefix)| {
                Some(NumberRule {
                    pattern: Regex::new(pattern).ok()?,
                    prefix: (*prefix).to_owned(),
                    suffix: String::new(),
                })
            })
            .collect();
        NumberPlan { rules, acceptable: Regex::new(ACCEPTABLE).ok() }
    }
}

impl NumberPlan {
    /// A plan with other rules; `acceptable: None` takes every number that has a digit.
    #[must_use]
    pub fn new(rules: Vec<NumberRule>, acceptable: Option<Regex>) -> Self {
        NumberPlan { rules, acceptable }
    }

    /// A plan without rules that takes every number: for private networks and tests.
    #[must_use]
    pub fn open() -> Self {
        Self::new(Vec::new(), None)
    }

    /// The number as it is dialled and compared: digits and perhaps a leading `+`. What is no digit
    /// is dropped; letters are not translated.
    #[must_use]
    pub fn normalise(&self, number: &str) -> String {
        let kept = digits(number);
        if kept.starts_with('+') {
            return kept;
        }
        for rule in &self.rules {
            if let Some(found) = rule.pattern.captures(&kept) {
                let last = found.iter().flatten().last();
                let body = last.map_or(kept.as_str(), |m| m.as_str());
                return format!("{}{body}{}", rule.prefix, rule.suffix);
            }
        }
        kept
    }

    /// The number as it is dialled, if it is acceptable.
    #[must_use]
    pub fn accept(&self, number: &str) -> Option<String> {
        let n = self.normalise(number);
        let length_fits = n.len() <= MAX_LENGTH && n.bytes().any(|b| b.is_ascii_digit());
        let fits = self.acceptable.as_ref().is_none_or(|a| a.is_match(&n));
        (length_fits && fits).then_some(n)
    }
}

/// A number that is dialled as it was typed: what telephones have keys for and what is written between them. `None` for what is
/// no such thing, or too long.
#[must_use]
pub fn as_typed(number: &str) -> Option<String> {
    let number = number.trim();
    let written = |c: char| c.is_ascii_digit() || "+*#-.()".contains(c);
    let fits = number.len() <= MAX_LENGTH && number.chars().all(written);
    (fits && number.contains(|c: char| c.is_ascii_digit())).then(|| number.to_owned())
}

/// Digits, and a `+` if it comes before the first of them.
#[must_use]
pub fn digits(number: &str) -> String {
    let mut out = String::new();
    for c in number.chars() {
        if c.is_ascii_digit() || (c == '+' && out.is_empty()) {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn north_american_numbers_become_e164() {
        let plan = NumberPlan::default();
        for (typed, want) in [
            ("+1 (415) 555-1234", "+14155551234"),
            ("4155551234", "+14155551234"),
            ("14155551234", "+14155551234"),
            ("011 49 30 1234567", "+49301234567"),
            ("0049301234567", "+49301234567"),
            ("49301234567", "+49301234567"),
            ("+49 30 1234567", "+49301234567"),
        ] {
            assert_eq!(plan.accept(typed).as_deref(), Some(want), "{typed}");
        }
    }

    #[test]
    fn what_is_dialled_as_typed_is_still_a_number() {
        for typed in ["0", "*31#4155551234", "+1(415)555-12.34", "  911 "] {
            assert_eq!(as_typed(typed).as_deref(), Some(typed.trim()), "{typed}");
        }
        for typed in ["", "*#", "1;x=y", "1@host", "1 2", "1\r\nX: y", "1\0", "a1", "١", &"1".repeat(33)] {
            assert_eq!(as_typed(typed), None, "{typed}");
        }
    }

    #[test]
    fn nonsense_is_not_accepted() {
        let plan = NumberPlan::default();
        for typed in ["", "+", "abc", "911", "12345", &"9".repeat(40)] {
            assert_eq!(plan.accept(typed), None, "{typed}");
        }
        assert_eq!(NumberPlan::open().accept("911").as_deref(), Some("911"));
        assert_eq!(NumberPlan::open().accept("x"), None);
    }
}
