//! `callback_inbound` and `callback_outbound` of a faxbox: the URL that is told what became of its faxes.

use super::sections::{choice, required};
use super::written::Section;
use serde_json::{Map, Value};

/// Longest URL, octets.
const LONGEST: usize = 2048;

/// One of the two, as REST has it. Which addresses it may lead to is looked at when it is called.
pub(super) fn callback(faxbox: &Section<'_, '_>, key: &'static str) -> Option<Map<String, Value>> {
    if !faxbox.has(key) {
        return None;
    }
    let s = faxbox.section(key);
    let url = required(&s, "url", "url = \"https://app.example.net/faxes\"");
    let method = choice(&s, "method", "post", &["post", "put"]);
    let kind = choice(&s, "type", "json", &["json", "www-url-form-encoded"]);
    let url = url.filter(|said| !said.value.trim().is_empty());
    let leads = |text: &str| {
        text.len() <= LONGEST
            && reqwest::Url::parse(text).is_ok_and(|u| matches!(u.scheme(), "http" | "https") && u.has_host())
    };
    if let Some(wrong) = url.as_ref().filter(|said| !leads(&said.value)) {
        s.fault(
            wrong.line,
            format!("{} is {:?}, which is no URL", s.path("url"), wrong.value),
            "write it as url = \"https://app.example.net/faxes\"",
        );
    }
    s.finish();
    let settings = [("url", url?.value), ("method", method), ("type", kind)];
    Some(settings.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect())
}
