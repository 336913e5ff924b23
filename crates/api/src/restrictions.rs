//! What a token is limited to: verbs, and patterns of paths behind `/v2/`. `*` stands for any one segment, `#` for any number of them.

use axum::http::Method;
use serde_json::{Value, json};

use crate::envelope::{Fault, Validation};

/// Longest form in a token, octets of JSON.
const LONGEST: usize = 2048;

/// A token's limits; by default there are none.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Restrictions {
    /// Verbs (in capitals, or `*`) and a pattern each, in segments.
    rules: Option<Vec<(String, Vec<String>)>>,
}

impl Restrictions {
    /// Reads `restrictions` of a login: `{"get": ["accounts/*/faxes/#"]}`; a pattern may be a list of segments, too.
    ///
    /// # Errors
    ///
    /// 400 for anything else: a token that was to be limited is not given out without its limits.
    pub fn of_request(given: &Value) -> Result<Self, Fault> {
        if given.is_null() {
            return Ok(Restrictions::default());
        }
        let read = Self::of_claim(given).filter(|r| r.rules.as_ref().is_some_and(|rules| !rules.is_empty()));
        let verbs = ["GET", "PUT", "POST", "PATCH", "DELETE", "*"];
        let known = |r: &Restrictions| r.rules.iter().flatten().all(|(v, _)| verbs.contains(&v.as_str()));
        match read.filter(known) {
            Some(read) if given.to_string().len() <= LONGEST => Ok(read),
            _ => {
                let message =
                    "name verbs (or *) and paths behind /v2/ for each: {\"get\": [\"accounts/*/faxes/#\"]}";
                let mut v = Validation::default();
                v.add("restrictions", "wrong_format", json!({ "message": message, "target": LONGEST }));
                Err(v.fault())
            }
        }
    }

    /// Reads them again; `None` for what cannot be read.
    #[must_use]
    pub fn of_claim(given: &Value) -> Option<Self> {
        if given.is_null() {
            return Some(Restrictions::default());
        }
        let mut rules = Vec::new();
        for (verb, patterns) in given.as_object()? {
            for pattern in patterns.as_array()? {
                let segments = match pattern {
                    Value::String(path) => segments(path),
                    Value::Array(list) => {
                        list.iter().map(|s| s.as_str().map(str::to_owned)).collect::<Option<_>>()?
                    }
                    _ => return None,
                };
                rules.push((verb.to_ascii_uppercase(), segments));
            }
        }
        Some(Restrictions { rules: Some(rules) })
    }

    /// As they stand in a token.
    #[must_use]
    pub fn as_json(&self) -> Value {
        let Some(rules) = &self.rules else { return Value::Null };
        let mut written = serde_json::Map::new();
        for (verb, pattern) in rules {
            let of_verb = written.entry(verb.clone()).or_insert_with(|| json!([]));
            if let Value::Array(list) = of_verb {
                list.push(json!(pattern));
            }
        }
        Value::Object(written)
    }

    /// Whether this verb may be used on the path behind `/v2/`.
    #[must_use]
    pub fn allow(&self, verb: &Method, path: &str) -> bool {
        let Some(rules) = &self.rules else { return true };
        let path = segments(path);
        rules.iter().any(|(of, pattern)| (of == "*" || of == verb.as_str()) && fits(pattern, &path))
    }
}

fn segments(path: &str) -> Vec<String> {
    path.split('/').filter(|s| !s.is_empty()).map(str::to_owned).collect()
}

/// Each `#` takes as little as it can and is lengthened when what follows does not fit; only the last one has to be
/// remembered, so that no pattern takes long.
fn fits(pattern: &[String], path: &[String]) -> bool {
    let (mut p, mut at) = (0, 0);
    let mut last: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(p).map(String::as_str), path.get(at)) {
            (Some("#"), _) => {
                last = Some((p, at));
                p += 1;
            }
            (None, None) => return true,
            (Some(wanted), Some(found)) if wanted == "*" || wanted == found => {
                p += 1;
                at += 1;
            }
            _ => match last {
                Some((hash, from)) if from < path.len() => {
                    last = Some((hash, from + 1));
                    p = hash + 1;
                    at = from + 1;
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: Value) -> Restrictions {
        Restrictions::of_request(&value).unwrap()
    }

    #[test]
    fn patterns_fit_paths_as_they_say() {
        for (pattern, path, want) in [
            ("#", "accounts/A/faxes", true),
            ("accounts/*/faxes/#", "accounts/A/faxes", true),
            ("accounts/*/faxes/#", "/accounts/A//faxes/inbox/x/attachment/", true),
            ("accounts/*/faxes/#", "accounts/A/users", false),
            ("accounts/*/faxes/#", "accounts/A/B/faxes", false),
            ("accounts/A/faxes", "accounts/B/faxes", false),
            ("accounts/A/faxes", "accounts/A/faxes/inbox", false),
            ("#/attachment", "accounts/A/faxes/inbox/x/attachment", true),
            ("#/faxes/*/x", "accounts/faxes/faxes/inbox/x", true),
            ("#/faxes/*/x", "accounts/faxes/faxes/inbox/y", false),
            ("*", "", false),
        ] {
            let r = of(json!({ "get": [pattern] }));
            assert_eq!(r.allow(&Method::GET, path), want, "{pattern} and {path}");
            assert!(!r.allow(&Method::DELETE, path));
            assert_eq!(Restrictions::of_claim(&r.as_json()), Some(r));
        }
        assert!(of(json!({ "*": [["accounts", "*", "#"]] })).allow(&Method::PUT, "accounts/A/faxes"));
        assert!(Restrictions::default().allow(&Method::PUT, "accounts/A/faxes"));
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        let long = "x".repeat(LONGEST);
        for wrong in [
            json!({}),
            json!({ "get": [] }),
            json!("#"),
            json!([]),
            json!({ "get": "#" }),
            json!({ "get": [1] }),
            json!({ "fetch": ["#"] }),
            json!({ "get": [long] }),
        ] {
            assert_eq!(Restrictions::of_request(&wrong).unwrap_err().status.as_u16(), 400, "{wrong}");
        }
    }
}
