//! Who may send by mail: lists of addresses, and of regular expressions that are looked for in an address.

use regex::{Regex, RegexBuilder};
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

/// Most expressions of all lists of a customer's account.
pub const MOST_OF_ACCOUNT: usize = 500;
/// Most expressions of a list that is not the operator's; addresses do not count.
pub const MOST: usize = 50;
/// Longest expression, octets.
pub const LONGEST: usize = 256;
/// Largest that an expression becomes when it is compiled, octets.
const LARGEST: usize = 1 << 17;
/// Expressions that are kept compiled; all together, since customers write as many as they like. More than one account has.
const MOST_KNOWN: usize = 1_000;

/// What was compiled before.
static KNOWN: LazyLock<Mutex<HashMap<String, Option<Regex>>>> = LazyLock::new(Mutex::default);

/// Name and domain of an entry that is an address or a domain (`@clinic.example`) and no expression: as an expression
/// `nurse@clinic.example` would find `xnurse@clinic-example.com`, too.
fn address(entry: &str) -> Option<(&str, &str)> {
    let of_name = |c: char| c.is_alphanumeric() || ".+-_%".contains(c);
    let of_domain = |c: char| c.is_alphanumeric() || ".-_".contains(c);
    entry.rsplit_once('@').filter(|(name, domain)| {
        // No address begins with a dot, and `.+` is what people write for anything.
        let anything = name.starts_with('.') || name.contains(".+") || domain.starts_with('.');
        !anything && !domain.is_empty() && name.chars().all(of_name) && domain.chars().all(of_domain)
    })
}

/// Whether an entry is an address or a domain and no expression.
#[must_use]
pub fn is_address(entry: &str) -> bool {
    address(entry).is_some()
}

/// Whether an entry is this address or its domain, in any case.
#[must_use]
pub fn names(entry: &str, whom: &str) -> bool {
    entry.eq_ignore_ascii_case(whom)
        || address(entry).filter(|(name, _)| name.is_empty()).is_some_and(|(_, domain)| {
            whom.rsplit_once('@').is_some_and(|(_, of)| of.eq_ignore_ascii_case(domain))
        })
}

/// The entry that a list of a customer cannot have, and why.
#[must_use]
pub fn fault(list: &[String]) -> Option<(&str, String)> {
    if let Some(one) = expressions(list).nth(MOST) {
        return Some((one, format!("A list has at most {MOST} regular expressions; addresses do not count")));
    }
    let wrong = expressions(list).find(|e| e.len() > LONGEST || compiled(e).is_err())?;
    let why = format!(
        "Value is neither an address nor a regular expression of at most {LONGEST} octets that can be read"
    );
    Some((wrong, why))
}

fn compiled(entry: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(entry).case_insensitive(true).size_limit(LARGEST).dfa_size_limit(LARGEST).build()
}

/// The expressions of a list.
pub fn expressions(list: &[String]) -> impl Iterator<Item = &str> {
    list.iter().map(String::as_str).filter(|entry| !is_address(entry))
}

/// Whether an expression is found in `address`; one that cannot be read is not. It is compiled where it is not known: not on
/// threads that serve.
#[must_use]
pub fn finds(expression: &str, address: &str) -> bool {
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let found = known().get(expression).cloned();
    let regex = found.unwrap_or_else(|| {
        let regex = compiled(expression).ok();
        let mut known = known();
        // Any one makes room, not the oldest: who goes through more than there is room for would find none of them.
        let one = known.keys().next().filter(|_| known.len() >= MOST_KNOWN).cloned();
        one.and_then(|one| known.remove(&one));
        known.insert(expression.to_owned(), regex.clone());
        regex
    });
    regex.is_some_and(|regex| regex.is_match(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_expressions() {
        for address in ["a@b.example", "@b.example", "first.last+fax@b.example"] {
            assert!(is_address(address), "{address}");
        }
        for expression in [r"@b\.example$", ".+@b.example", "a.+@b.example", "^a@b", "b.example", "a@"] {
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
        for _ in 0..2 {
            assert!(finds(r"@B\.example$", "a@b.example") && !finds(r"@b\.example$", "a@b.example.net"));
            assert!(!finds("(", "("));
        }
        for n in 0..2 * MOST_KNOWN {
            assert!(!finds(&format!("nobody{n}"), "a@b.example"));
        }
        assert_eq!(KNOWN.lock().unwrap().len(), MOST_KNOWN, "what is new takes one place, not all");
    }
}
