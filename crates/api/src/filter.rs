//! Lists: the range of time, paging and filters on any field, as query parameters.

use std::collections::HashSet;

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fax_store::model::Timestamp;
use fax_store::port::Range;
use serde_json::{Map, Value, json};

use crate::envelope::{Fault, Success, Validation};
use crate::present::Document;
use crate::request::Query;

/// The longest range of a list, and the default: 31 days and an hour, in seconds.
pub const LONGEST_RANGE: i64 = 31 * 86_400 + 3_600;
/// Items of a page by default.
pub const PAGE_SIZE: usize = 50;
/// Most items of a page, and of an answer with `paginate=false`.
pub const PAGE_LIMIT: usize = 10_000;
/// About the most octets of a page: it ends before the item that would be too much, and says where to go on.
pub const PAGE_OCTETS: usize = 16 << 20;
/// When something of the configuration was made, in the order of lists: before all else.
pub const NO_DATE: Timestamp = Timestamp(i64::MIN);
/// Most items that are fetched at a time.
const FETCHED: usize = 100;

/// What a list is asked for.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Range and order; `after` is where to go on.
    pub range: Range,
    /// Items wanted.
    pub page_size: usize,
    /// `paginate=false`: all of them, no `next_start_key`.
    pub all: bool,
    /// `start_key` as it was given.
    pub start_key: Option<String>,
    filters: Vec<Filter>,
    /// Ranges of `created` and `modified`, Gregorian seconds, both ends within.
    between: [Option<(i64, i64)>; 2],
}

#[derive(Clone, Debug)]
enum Filter {
    Is(String, String),
    IsNot(String, String),
    HasKey(String),
    KeyMissing(String),
    HasValue(String),
    MissingValue(String),
}

impl Listing {
    /// Reads the query; `dated` lists are of a bounded range of time, whether or not one is asked for.
    ///
    /// # Errors
    ///
    /// 400 for a range, page size or start key that cannot be.
    pub fn of_query(query: &Query, dated: bool, now: Timestamp) -> Result<Listing, Fault> {
        let mut range = Range::default();
        let mut between = [None, filtered(query, "modified_from", "modified_to")?];
        if dated {
            (range.from, range.to) = dates(query, now)?;
        } else if let Some((from, to)) = filtered(query, "created_from", "created_to")? {
            (range.from, range.to) = (Timestamp::from_gregorian_seconds(from), end_of(to));
            between[0] = Some((from, to));
        }
        let is = |key: &str, value: &str| query.get(key).is_some_and(|v| v == value);
        range.ascending = is("ascending", "true") || is("descending", "false");
        let all = is("paginate", "false");
        let page_size = match query.get("page_size") {
            None => PAGE_SIZE,
            Some(text) => match text.parse::<usize>() {
                Ok(n) if n > 0 => n.min(PAGE_LIMIT),
                _ => {
                    let mut v = Validation::default();
                    v.add("page_size", "error", json!({ "message": "invalid page size", "cause": text }));
                    return Err(v.fault());
                }
            },
        };
        let start_key = query.get("start_key").filter(|k| !k.is_empty()).cloned();
        range.after = match &start_key {
            None => None,
            Some(key) => Some(read_key(key).ok_or_else(|| {
                let mut v = Validation::default();
                v.add("start_key", "error", json!({ "message": "invalid start key", "cause": key }));
                v.fault()
            })?),
        };
        let filters = query.iter().filter_map(|(k, v)| {
            Some(match k.as_str() {
                "has_key" => Filter::HasKey(v.clone()),
                "key_missing" => Filter::KeyMissing(v.clone()),
                "has_value" => Filter::HasValue(v.clone()),
                "missing_value" => Filter::MissingValue(v.clone()),
                _ => match (k.strip_prefix("filter_not_"), k.strip_prefix("filter_")) {
                    (Some(field), _) => Filter::IsNot(field.to_owned(), v.clone()),
                    (None, Some(field)) => Filter::Is(field.to_owned(), v.clone()),
                    (None, None) => return None,
                },
            })
        });
        Ok(Listing {
            filters: filters.collect(),
            between,
            range,
            page_size: if all { PAGE_LIMIT } else { page_size },
            all,
            start_key,
        })
    }

    /// Whether a document passes all filters. One that does not say when it was changed was not since it was made; what has no
    /// dates at all, as what the configuration file names, passes those of dates.
    #[must_use]
    pub fn passes(&self, document: &Document) -> bool {
        let date = |key: &str| document.get(key).and_then(Value::as_i64);
        let [created, modified] = self.between;
        let lies_in = |range: Option<(i64, i64)>, at: Option<i64>| match (range, at) {
            (Some((from, to)), Some(at)) => (from..=to).contains(&at),
            _ => true,
        };
        let in_time = lies_in(created, date("created"))
            && lies_in(modified, date("modified").or_else(|| date("created")));
        in_time
            && self.filters.iter().all(|filter| match filter {
                Filter::Is(key, wanted) => field(document, key).is_some_and(|v| plain(v) == *wanted),
                Filter::IsNot(key, wanted) => field(document, key).is_none_or(|v| plain(v) != *wanted),
                Filter::HasKey(key) => field(document, key).is_some(),
                Filter::KeyMissing(key) => field(document, key).is_none(),
                Filter::HasValue(key) => field(document, key).is_some_and(|v| !is_empty(v)),
                Filter::MissingValue(key) => field(document, key).is_none_or(is_empty),
            })
    }
}

fn date_fault(field: &str, message: &str, cause: Value) -> Fault {
    let mut v = Validation::default();
    v.add(field, "date_range", json!({ "message": message, "cause": cause }));
    v.fault()
}

/// A date of the query, Gregorian seconds.
fn date_of(query: &Query, key: &str, field: &str) -> Result<Option<i64>, Fault> {
    let Some(text) = query.get(key) else { return Ok(None) };
    let wrong = |_| date_fault(field, &format!("{key} is no Gregorian time stamp"), json!(text));
    text.parse::<i64>().map(Some).map_err(wrong)
}

/// A range that is asked for, open where no end is given; `None`: none is.
fn filtered(query: &Query, from: &str, to: &str) -> Result<Option<(i64, i64)>, Fault> {
    let range = match (date_of(query, from, from)?, date_of(query, to, from)?) {
        (None, None) => return Ok(None),
        (first, last) => (first.unwrap_or(i64::MIN), last.unwrap_or(i64::MAX)),
    };
    if range.1 < range.0 {
        return Err(date_fault(from, &format!("{from} must come before {to}"), json!(range.0)));
    }
    Ok(Some(range))
}

/// The end of a second.
fn end_of(seconds: i64) -> Timestamp {
    Timestamp(Timestamp::from_gregorian_seconds(seconds).0.saturating_add(999_999))
}

fn dates(query: &Query, now: Timestamp) -> Result<(Timestamp, Timestamp), Fault> {
    let fault = |message: &str, cause: &Value| date_fault("created_from", message, cause.clone());
    let read = |key: &str| date_of(query, key, "created_from");
    let (from, to) = (read("created_from")?, read("created_to")?);
    let to_seconds = to.or(from.map(|f| f.saturating_add(LONGEST_RANGE))).unwrap_or(now.gregorian_seconds());
    let from_seconds = from.unwrap_or(to_seconds.saturating_sub(LONGEST_RANGE));
    if to_seconds < from_seconds {
        return Err(fault("created_from must come before created_to", &json!(from_seconds)));
    }
    if to_seconds.saturating_sub(from_seconds) > LONGEST_RANGE {
        return Err(fault(
            &format!("the range must not be longer than {LONGEST_RANGE} seconds"),
            &json!(from_seconds),
        ));
    }
    let to = if to.is_none() && from.is_none() { now } else { end_of(to_seconds) };
    Ok((Timestamp::from_gregorian_seconds(from_seconds), to))
}

/// What a list is made of: where each item stands in the order, and the item.
pub type Items = Vec<(Timestamp, String, Document)>;

/// A page of a list: `fetch` gives so many items after a place, those that are `wanted` count.
///
/// # Errors
///
/// Those of `fetch`; 416 for `paginate=false` where there are too many.
pub async fn page<F: Future<Output = Result<Items, Fault>> + Send>(
    listing: &Listing,
    mut fetch: impl FnMut(Range) -> F + Send,
    wanted: impl Fn(&Document) -> bool + Send,
) -> Result<Success, Fault> {
    let mut page = Page::new(listing);
    loop {
        let found = fetch(page.range.clone()).await?;
        let last = found.len() < page.range.limit;
        let full = found.into_iter().any(|item| !page.take(item, &wanted));
        if full || last {
            return page.answer();
        }
    }
}

/// A page of what is at hand as a whole: when each item was made, and its id. What has no date stands as the oldest. Only what may be on
/// the page is made into documents: `show` answers `None` for what does not belong to the list.
///
/// # Errors
///
/// As [`page`].
pub fn page_of(
    listing: &Listing,
    mut items: Vec<(Timestamp, String)>,
    show: impl Fn(&str) -> Option<Document>,
) -> Result<Success, Fault> {
    items.sort_unstable();
    let mut seen = HashSet::new();
    items.retain(|(_, id)| seen.insert(id.clone()));
    let ascending = listing.range.ascending;
    if !ascending {
        items.reverse();
    }
    let mut page = Page::new(listing);
    let after = page.range.after.clone();
    let follows = |item: &(Timestamp, String)| {
        after.as_ref().is_none_or(|after| if ascending { item > after } else { item < after })
    };
    for (at, id) in items.into_iter().filter(follows) {
        let Some(document) = show(&id) else { continue };
        if !page.take((at, id, document), &|_| true) {
            break;
        }
    }
    page.answer()
}

/// A page that is being filled.
struct Page<'l> {
    listing: &'l Listing,
    range: Range,
    items: Vec<Value>,
    /// About how many octets these are.
    octets: usize,
    next: Option<String>,
}

impl<'l> Page<'l> {
    fn new(listing: &'l Listing) -> Self {
        // One more than wanted tells whether there are more.
        let range = Range { limit: listing.page_size.clamp(1, FETCHED) + 1, ..listing.range.clone() };
        Page { listing, range, items: Vec::new(), octets: 0, next: None }
    }

    /// Takes an item in; false when the page was full before it.
    fn take(
        &mut self,
        (at, id, document): (Timestamp, String, Document),
        wanted: &impl Fn(&Document) -> bool,
    ) -> bool {
        if self.listing.passes(&document) && wanted(&document) {
            let document = Value::Object(document);
            let octets = self.octets.saturating_add(octets_of(&document));
            // One at least, or there would be no going on.
            let heavy = octets > PAGE_OCTETS && !self.items.is_empty();
            if heavy || self.items.len() == self.listing.page_size {
                self.next = self.range.after.as_ref().map(|(at, id)| write_key(*at, id));
                return false;
            }
            self.octets = octets;
            self.items.push(document);
        }
        self.range.after = Some((at, id));
        true
    }

    fn answer(self) -> Result<Success, Fault> {
        let mut extra = Map::new();
        extra.insert("page_size".into(), self.items.len().into());
        if let Some(key) = &self.listing.start_key {
            extra.insert("start_key".into(), key.as_str().into());
        }
        if let Some(next) = self.next {
            if self.listing.all {
                return Err(too_many());
            }
            extra.insert("next_start_key".into(), next.into());
        }
        Ok(Success { extra, ..Success::ok(Value::Array(self.items)) })
    }
}

/// 416 for more than one answer holds.
#[must_use]
pub fn too_many() -> Fault {
    let message = "too many items for one answer: use pages";
    Fault::new(StatusCode::RANGE_NOT_SATISFIABLE, "range not satisfiable", message)
}

/// About how many octets of JSON a value is.
#[must_use]
pub fn octets_of(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len() + 4,
        Value::Array(list) => list.iter().map(octets_of).sum::<usize>() + 4,
        Value::Object(fields) => {
            fields.iter().map(|(key, v)| key.len() + 6 + octets_of(v)).sum::<usize>() + 4
        }
    }
}

/// Where to go on, opaque to clients.
#[must_use]
fn write_key(created: Timestamp, id: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}/{id}", created.0))
}

fn read_key(key: &str) -> Option<(Timestamp, String)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(key).ok()?).ok()?;
    let (created, id) = text.split_once('/').filter(|(_, id)| !id.contains('\0'))?;
    Some((Timestamp(created.parse().ok()?), id.to_owned()))
}

fn field<'d>(document: &'d Document, dotted: &str) -> Option<&'d Value> {
    let mut keys = dotted.split('.');
    let mut value = document.get(keys.next()?)?;
    for key in keys {
        value = value.get(key)?;
    }
    Some(value)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(s) => s.is_empty(),
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(query: &str) -> Result<Listing, Fault> {
        let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Listing::of_query(&query, true, Timestamp::from_gregorian_seconds(63_900_000_000))
    }

    #[test]
    fn ranges_are_bounded_and_in_order() {
        let l = listing("").unwrap();
        assert_eq!(l.range.to.gregorian_seconds() - l.range.from.gregorian_seconds(), LONGEST_RANGE);
        assert!(
            listing("created_from=63900000000&created_to=63899999999")
                .unwrap_err()
                .data["created_from"]["date_range"]
                .is_object()
        );
        assert!(listing("created_from=1&created_to=63899999999").is_err());
        assert!(listing("created_from=x").is_err());
        assert!(listing("created_from=-9223372036854775808&created_to=9223372036854775807").is_err());
        assert!(listing("page_size=0").is_err() && listing("page_size=-1").is_err());
        assert!(listing("start_key=%00").is_err());
        assert!(listing(&format!("start_key={}", write_key(Timestamp(7), "a\0b"))).is_err());
        let key = write_key(Timestamp(7), "ab");
        assert_eq!(
            listing(&format!("start_key={key}")).unwrap().range.after,
            Some((Timestamp(7), "ab".into()))
        );
    }

    #[test]
    fn lists_without_a_bounded_range_are_filtered_by_dates() {
        let listing = |query: &str| {
            let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
            Listing::of_query(&query, false, Timestamp::from_gregorian_seconds(63_900_000_000))
        };
        let document: Document = serde_json::from_value(json!({ "created": 50, "modified": 70 })).unwrap();
        let unchanged: Document = serde_json::from_value(json!({ "created": 50 })).unwrap();
        for (query, passes, passes_unchanged) in [
            ("created_from=50", true, true),
            ("created_from=51", false, false),
            ("created_to=49", false, false),
            ("created_from=1&created_to=63900000000", true, true),
            ("modified_from=60&modified_to=70", true, false),
            ("modified_to=60", false, true),
            ("modified_from=71", false, false),
            ("created_from=-9223372036854775808&created_to=9223372036854775807", true, true),
        ] {
            let listing = listing(query).unwrap();
            assert_eq!(
                (listing.passes(&document), listing.passes(&unchanged)),
                (passes, passes_unchanged),
                "{query}"
            );
        }
        for (wrong, field) in [
            ("created_from=x", "created_from"),
            ("created_to=", "created_from"),
            ("created_from=2&created_to=1", "created_from"),
            ("modified_from=1.5", "modified_from"),
            ("modified_from=2&modified_to=1", "modified_from"),
        ] {
            assert!(listing(wrong).unwrap_err().data[field]["date_range"].is_object(), "{wrong}");
        }
    }

    #[test]
    fn filters_look_into_nested_fields() {
        let document: Document =
            serde_json::from_value(json!({ "a": { "b": 5 }, "s": "x", "e": "" })).unwrap();
        for (query, passes) in [
            ("filter_a.b=5", true),
            ("filter_a.b=6", false),
            ("filter_not_s=y", true),
            ("filter_not_s=x", false),
            ("has_key=e", true),
            ("key_missing=e", false),
            ("has_value=e", false),
            ("missing_value=e", true),
            ("filter_s=x&filter_a.b=6", false),
            ("other=1", true),
            // What has no dates is not left out by them.
            ("created_from=1&created_to=2&modified_to=1", true),
        ] {
            assert_eq!(listing(query).unwrap().passes(&document), passes, "{query}");
        }
    }
}
