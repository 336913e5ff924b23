//! Patterns of numbers and headers, as people write them.

use crate::number::NumberPlan;
use regex::{Regex, RegexBuilder};

/// The compiled form of a pattern takes no more than this, octets.
const LARGEST: usize = 1 << 18;

/// Which numbers: `+4930123` exactly, `+4930*` by its beginning, or a regular expression between slashes that fits the
/// whole number: `/0([1-9].*)/`.
#[derive(Clone, Debug)]
pub struct NumberPattern {
    regex: Regex,
}

impl NumberPattern {
    /// Reads one.
    ///
    /// # Errors
    ///
    /// In a sentence.
    pub fn read(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let written = if let Some(expression) = between_slashes(text) {
            format!("^(?:{expression})$")
        } else {
            let (number, prefix) = match text.strip_suffix('*') {
                Some(begin) => (begin, true),
                None => (text, false),
            };
            let plain = |c: char| c.is_ascii_alphanumeric() || "+#-._".contains(c);
            if text.is_empty() || !number.chars().all(plain) {
                return Err(format!("{text:?} is no number, no beginning of numbers and no /pattern/"));
            }
            format!("^{}{}$", regex::escape(number), if prefix { "(.*)" } else { "" })
        };
        compile(&written).map(|regex| NumberPattern { regex })
    }

    /// The number that `rewrite` makes of `number`, which must match as it is or as `plan` writes it. Without `rewrite`
    /// it stays as it came.
    pub(super) fn rewritten(&self, number: &str, plan: &NumberPlan, rewrite: Option<&str>) -> Option<String> {
        let normalised = plan.normalise(number);
        let found = self.regex.captures(number).or_else(|| self.regex.captures(&normalised))?;
        let Some(rewrite) = rewrite else {
            return Some(number.to_owned());
        };
        let mut out = String::new();
        found.expand(rewrite, &mut out);
        Some(out)
    }

    /// Whether it has this group, as `$1` of a rewriting.
    #[must_use]
    pub fn has_group(&self, number: usize) -> bool {
        number < self.regex.captures_len()
    }
}

/// Which calls by a header: `X-Fax` it is there, `X-Fax = yes` it says just that in any case of letters, `X-Fax = /y.*/`
/// a part of it matches.
#[derive(Clone, Debug)]
pub struct HeaderPattern {
    name: String,
    value: Option<Regex>,
}

impl HeaderPattern {
    /// Reads one.
    ///
    /// # Errors
    ///
    /// In a sentence.
    pub fn read(text: &str) -> Result<Self, String> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim())),
            None => (text.trim(), None),
        };
        let token = |c: char| c.is_ascii_alphanumeric() || "-.!%*_+`'~".contains(c);
        if name.is_empty() || !name.chars().all(token) {
            return Err(format!("{name:?} is no name of a header"));
        }
        let value = match value {
            None => None,
            Some(value) => Some(match between_slashes(value) {
                Some(expression) => compile(expression)?,
                None => compile(&format!("^(?i:{})$", regex::escape(value)))?,
            }),
        };
        Ok(HeaderPattern { name: name.to_owned(), value })
    }

    pub(super) fn matches(&self, headers: &[(String, String)]) -> bool {
        headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(&self.name))
            .any(|(_, value)| self.value.as_ref().is_none_or(|v| v.is_match(value.trim())))
    }
}

fn between_slashes(text: &str) -> Option<&str> {
    text.strip_prefix('/').and_then(|t| t.strip_suffix('/'))
}

fn compile(expression: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(expression).size_limit(LARGEST).build();
    built.map_err(|error| {
        let error = error.to_string();
        format!("the pattern cannot be read: {}", error.lines().last().unwrap_or_default().trim())
    })
}
