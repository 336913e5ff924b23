//! Which numbers may be called: lists of beginnings.

/// Beginnings of numbers that may be called and that may not; the longest that fits decides, and none fits without a
/// word. Numbers are as they are dialled, with `+` where they are international.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DialRules {
    /// These may; where there are any, no others may.
    pub allow: Vec<String>,
    /// These may not.
    pub deny: Vec<String>,
}

/// Prefixes with which international numbers are dialled without `+`.
const INTERNATIONAL: [&str; 2] = ["00", "011"];

impl DialRules {
    /// Whether a number, in all the ways in which it is written, may be called; if not, by which beginning, or since it
    /// is in no list.
    pub(super) fn permit(&self, written: &[&str]) -> Result<(), Option<&str>> {
        let forms = forms(written);
        let fits = |rule: &&String| forms.iter().any(|form| form.starts_with(rule.as_str()));
        let longest = |rules: &'_ [String]| {
            rules.iter().filter(fits).max_by_key(|rule| rule.len()).map(|rule| rule.len())
        };
        let denied = self.deny.iter().filter(fits).max_by_key(|rule| rule.len());
        match (longest(&self.allow), denied) {
            (Some(allowed), Some(denied)) if allowed > denied.len() => Ok(()),
            (_, Some(denied)) => Err(Some(denied)),
            (Some(_), None) => Ok(()),
            (None, None) if self.allow.is_empty() => Ok(()),
            (None, None) => Err(None),
        }
    }
}

/// A number as it is written, and with `+` where it is dialled abroad: no rule is passed by writing 00 or 011.
pub(super) fn forms(written: &[&str]) -> Vec<String> {
    let mut forms: Vec<String> = written.iter().map(|number| (*number).to_owned()).collect();
    for (prefix, number) in INTERNATIONAL.iter().flat_map(|p| written.iter().map(move |n| (p, n))) {
        if let Some(rest) = number.strip_prefix(prefix) {
            forms.push(format!("+{}", rest.trim_start_matches('0')));
        }
    }
    forms
}
