//! Who may send by mail: lists of addresses, and of regular expressions that are looked for in an address.

use regex::{Regex, RegexBuilder};
use std::sync::{Arc, OnceLock};

/// Most expressions of a list that is not the operator's; addresses do not count.
pub const MOST: usize = 50;
/// Longest expression, octets.
pub const LONGEST: usize = 256;
/// Largest that an expression becomes when it is compiled, octets.
const LARGEST: usize = 1 << 17;

/// Whether an entry is an address and no expression: a local part, a domain, and nothing that only expressions have.
#[must_use]
pub fn is_address(entry: &str) -> bool {
    let parts = entry.rsplit_once('@').filter(|(l, d)| !l.is_empty() && !d.is_empty());
    parts.is_some_and(|(local, _)| !local.starts_with('.'))
        && !entry.contains(".+")
        && !entry.contains(['\\', '[', '(', '*', '^', '$', '|', '{', '?'])
}

/// The entry that a list of a customer cannot have, and why.
#[must_use]
pub fn fault(list: &[String]) -> Option<(&str, String)> {
    let expressions = || list.iter().map(String::as_str).filter(|entry| !is_address(entry));
    if let Some(one) = expressions().nth(MOST) {
        return Some((one, format!("A list has at most {MOST} regular expressions; addresses do not count")));
    }
    let wrong = expressions().find(|e| e.len() > LONGEST || compiled(e).is_err())?;
    let why = format!(
        "Value is neither an address nor a regular expression of at most {LONGEST} octets that can be read"
    );
    Some((wrong, why))
}

fn compiled(entry: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(entry).case_insensitive(true).size_limit(LARGEST).dfa_size_limit(LARGEST).build()
}

/// The expressions of a list, compiled when they are needed for the first time. It follows from the list and is equal to every other.
#[derive(Clone, Default)]
pub struct Expressions(OnceLock<Arc<[Regex]>>);

impl Expressions {
    /// Whether one of `list` is found in `address`; of more than `most` the first count. What cannot be read finds nothing.
    #[must_use]
    pub fn find(&self, list: &[String], most: usize, address: &str) -> bool {
        let all = self.0.get_or_init(|| {
            let expressions = list.iter().filter(|entry| !is_address(entry)).take(most);
            expressions.filter_map(|entry| compiled(entry).ok()).collect()
        });
        all.iter().any(|expression| expression.is_match(address))
    }
}

impl PartialEq for Expressions {
    fn eq(&self, _: &Expressions) -> bool {
        true
    }
}

impl Eq for Expressions {}

impl core::fmt::Debug for Expressions {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Expressions(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_expressions() {
        for address in ["a@b.example", "first.last+fax@b.example"] {
            assert!(is_address(address), "{address}");
        }
        for expression in
            ["@b.example", r"@b\.example$", ".+@b.example", "a.+@b.example", "^a@b", "b.example", "a@"]
        {
            assert!(!is_address(expression), "{expression}");
        }
    }

    #[test]
    fn lists_of_customers_are_bounded() {
        let list = |entry: &str, n: usize| vec![entry.to_owned(); n];
        assert_eq!(fault(&list("a@b.example", 1000)), None);
        assert_eq!(fault(&list(r"@b\.example$", MOST)), None);
        assert!(fault(&list(r"@b\.example$", MOST + 1)).is_some());
        for wrong in ["(", r"\w{500}", &"a".repeat(LONGEST + 1)] {
            assert!(fault(&list(wrong, 1)).is_some(), "{wrong}");
        }
        let many = [list("nobody", MOST), list("b.example", 1)].concat();
        assert!(!Expressions::default().find(&many, MOST, "a@b.example"));
        assert!(Expressions::default().find(&many, usize::MAX, "A@B.example"));
    }
}
