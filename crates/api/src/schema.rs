//! What documents of clients have to look like: fields with their types and bounds, told as Crossbar tells them.
//!
//! Fields that are not known are kept. A number or truth value may come as text; defaults are written into the document.

use fax_store::model::Priority;
use serde_json::{Map, Value, json};

use crate::envelope::Validation;
use crate::route::{Folder, Resource};
use crate::submit::is_mail_address;

/// Largest stored document, octets of JSON.
pub const LARGEST: usize = 64 * 1024;

/// A field of a document.
#[derive(Clone, Copy, Debug)]
pub struct Property {
    /// Where it is, dotted.
    pub path: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// It must be there.
    pub required: bool,
}

/// What a field may be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Text of so many characters.
    Text(usize, usize),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A number within bounds; what is written where there is none.
    Integer(i64, i64, Option<i64>),
    /// True or false.
    Boolean,
    /// An object.
    Object,
    /// Texts; one text stands for a list of one.
    Texts,
    /// Addresses of mail, likewise.
    Mails,
    /// One address of mail.
    Mail,
    /// A name of the DNS.
    Domain,
    /// A time zone by its IANA name, or `inherit`.
    Zone,
    /// `http://` or `https://`.
    Url,
}

/// A field that may be left out.
#[must_use]
pub const fn optional(path: &'static str, kind: Kind) -> Property {
    Property { path, kind, required: false }
}

/// A field that must be there.
#[must_use]
pub const fn required(path: &'static str, kind: Kind) -> Property {
    Property { path, kind, required: true }
}

/// Accounts.
pub const ACCOUNT: &[Property] = &[
    required("name", Kind::Text(1, 128)),
    optional("realm", Kind::Domain),
    optional("timezone", Kind::Zone),
    optional("language", Kind::Text(0, 16)),
    optional("enabled", Kind::Boolean),
    optional("fax", Kind::Object),
    optional("fax.max_outbound", Kind::Integer(1, 10_000, None)),
    optional("fax.ensure_valid_caller_id", Kind::Boolean),
    optional("fax.send_hours", Kind::Texts),
    optional("fax.retention", Kind::Object),
    optional("fax.retention.sent_days", Kind::Integer(0, 36_500, None)),
    optional("fax.retention.received_days", Kind::Integer(0, 36_500, None)),
    optional("fax.retention.failed_days", Kind::Integer(0, 36_500, None)),
    optional("fax.retention.documents_days", Kind::Integer(0, 36_500, None)),
    optional("fax.retention.store_original", Kind::Boolean),
    optional("fax.retention.store_url_document", Kind::Boolean),
    optional("fax.retention.store_fax_tiff", Kind::Boolean),
];

/// Users.
pub const USER: &[Property] = &[
    required("first_name", Kind::Text(1, 128)),
    required("last_name", Kind::Text(1, 128)),
    optional("username", Kind::Text(1, 256)),
    optional("password", Kind::Text(6, 256)),
    optional("email", Kind::Mail),
    optional("timezone", Kind::Zone),
    optional("enabled", Kind::Boolean),
    optional("priv_level", Kind::Word(&["user", "admin"])),
];

/// Faxboxes.
pub const FAXBOX: &[Property] = &[
    required("name", Kind::Text(1, 128)),
    optional("caller_name", Kind::Text(0, 128)),
    optional("caller_id", Kind::Text(0, 64)),
    optional("fax_header", Kind::Text(0, 128)),
    optional("fax_identity", Kind::Text(0, 64)),
    optional("fax_timezone", Kind::Zone),
    optional("retries", Kind::Integer(0, 4, Some(1))),
    optional("attempts", Kind::Integer(0, 4, Some(0))),
    optional("send_hours", Kind::Texts),
    optional("owner_id", Kind::Text(0, 64)),
    optional("colour", Kind::Boolean),
    optional("media", Kind::Object),
    optional("flags", Kind::Texts),
    optional("smtp_permission_list", Kind::Texts),
    optional("custom_smtp_email_address", Kind::Domain),
    optional("notifications", Kind::Object),
    optional("notifications.inbound", Kind::Object),
    optional("notifications.inbound.email", Kind::Object),
    optional("notifications.inbound.callback", Kind::Object),
    optional("notifications.outbound", Kind::Object),
    optional("notifications.outbound.email", Kind::Object),
    optional("notifications.outbound.callback", Kind::Object),
    optional("notifications.inbound.email.send_to", Kind::Mails),
    optional("notifications.outbound.email.send_to", Kind::Mails),
    optional("notifications.inbound.callback.url", Kind::Url),
    optional("notifications.outbound.callback.url", Kind::Url),
    optional("notifications.inbound.callback.method", Kind::Word(&["post", "put"])),
    optional("notifications.outbound.callback.method", Kind::Word(&["post", "put"])),
    optional("notifications.inbound.callback.type", Kind::Word(&["json", "www-url-form-encoded"])),
    optional("notifications.outbound.callback.type", Kind::Word(&["json", "www-url-form-encoded"])),
];

/// Call flows.
pub const CALLFLOW: &[Property] = &[
    optional("name", Kind::Text(0, 128)),
    required("numbers", Kind::Texts),
    required("flow", Kind::Object),
    required("flow.module", Kind::Word(&["faxbox", "receive_fax"])),
    required("flow.data", Kind::Object),
];

/// API keys.
pub const KEY: &[Property] = &[
    required("name", Kind::Text(1, 128)),
    optional("scopes", Kind::Texts),
    optional("expires", Kind::Integer(0, i64::MAX, None)),
];

/// Web hooks.
pub const WEBHOOK: &[Property] = &[
    required("name", Kind::Text(1, 128)),
    required("uri", Kind::Url),
    required("hook", Kind::Word(&["fax", "notifications", "inbound_fax", "outbound_fax"])),
    optional("http_verb", Kind::Word(&["get", "post", "put"])),
    optional("format", Kind::Word(&["form-data", "json"])),
    optional("events", Kind::Texts),
    optional("retries", Kind::Integer(0, 7, None)),
    optional("enabled", Kind::Boolean),
    optional("include_subaccounts", Kind::Boolean),
    optional("include_internal_legs", Kind::Boolean),
    optional("custom_data", Kind::Object),
    optional("custom_request_headers", Kind::Object),
    optional("rotate_secret", Kind::Boolean),
];

/// Faxes to be sent, as [`submit`](crate::submit) reads them. A document may come in other parts of the request.
pub const FAX: &[Property] = &[
    required("to_number", Kind::Text(1, 256)),
    required("from_number", Kind::Text(1, 256)),
    optional("from_name", Kind::Text(0, 1024)),
    optional("to_name", Kind::Text(0, 1024)),
    optional("subject", Kind::Text(0, 1024)),
    optional("fax_identity_number", Kind::Text(0, 1024)),
    optional("fax_identity_name", Kind::Text(0, 1024)),
    optional("fax_timezone", Kind::Zone),
    optional("sub_address", Kind::Text(0, 1024)),
    optional("retries", Kind::Integer(0, 4, None)),
    optional("send_at", Kind::Integer(0, i64::MAX, None)),
    optional("priority", Kind::Word(&Priority::WORDS)),
    optional("colour", Kind::Boolean),
    optional("ensure_valid_caller_id", Kind::Boolean),
    optional("bypass_e164", Kind::Boolean),
    optional("faxbox_id", Kind::Text(0, 256)),
    optional("notifications.email.send_to", Kind::Mails),
    optional("document.url", Kind::Url),
    optional("document.method", Kind::Word(&["get", "post"])),
    optional("document.host", Kind::Text(0, 1024)),
    optional("document.referer", Kind::Text(0, 4096)),
    optional("document.content", Kind::Text(0, 256)),
    optional("document.content_type", Kind::Text(0, 256)),
];

/// Logging in with a key.
pub const API_AUTH: &[Property] = &[required("api_key", Kind::Text(1, 4096))];

/// Logging in with name and password.
pub const USER_AUTH: &[Property] = &[
    required("credentials", Kind::Text(1, 1024)),
    optional("method", Kind::Word(&["md5", "sha"])),
    optional("account_name", Kind::Text(1, 128)),
    optional("account_realm", Kind::Text(4, 253)),
];

/// All kinds of documents, by the names they have in descriptions.
pub const ALL: &[(&str, &[Property])] = &[
    ("accounts", ACCOUNT),
    ("users", USER),
    ("faxboxes", FAXBOX),
    ("callflows", CALLFLOW),
    ("api_keys", KEY),
    ("webhooks", WEBHOOK),
    ("faxes", FAX),
    ("api_auth", API_AUTH),
    ("user_auth", USER_AUTH),
];

/// What documents of a resource have to look like.
#[must_use]
pub fn of(resource: Resource) -> Option<(&'static str, &'static [Property])> {
    let name = match resource {
        Resource::Accounts | Resource::Account => "accounts",
        Resource::Users | Resource::User => "users",
        Resource::Faxboxes | Resource::Faxbox => "faxboxes",
        Resource::Callflows | Resource::Callflow => "callflows",
        Resource::Keys | Resource::Key => "api_keys",
        Resource::Faxes | Resource::Folder(Folder::Outgoing) | Resource::Fax(_) => "faxes",
        Resource::Webhooks | Resource::Webhook => "webhooks",
        Resource::ApiAuth => "api_auth",
        Resource::UserAuth => "user_auth",
        _ => return None,
    };
    ALL.iter().find(|(known, _)| *known == name).copied()
}

/// The same as JSON Schema (2020-12), for descriptions.
#[must_use]
pub fn json_schema(schema: &[Property]) -> Value {
    nested(schema, false)
}

/// What such documents look like when they are shown: nothing has to be there, and what is of the type may be null, too.
#[must_use]
pub fn json_schema_shown(schema: &[Property]) -> Value {
    nested(schema, true)
}

fn nested(schema: &[Property], shown: bool) -> Value {
    let mut top = Map::new();
    for property in schema {
        let mut at = &mut top;
        let mut keys = property.path.split('.').peekable();
        while let Some(key) = keys.next() {
            at.entry("type")
                .or_insert_with(|| if shown { json!(["object", "null"]) } else { "object".into() });
            if property.required && !shown {
                let required = at.entry("required").or_insert_with(|| json!([]));
                if let Some(list) = required.as_array_mut()
                    && !list.iter().any(|k| k == key)
                {
                    list.push(key.into());
                }
            }
            let Some(fields) = at.entry("properties").or_insert_with(|| json!({})).as_object_mut() else {
                break;
            };
            let field = fields.entry(key).or_insert_with(|| json!({}));
            let Some(field) = field.as_object_mut() else { break };
            if keys.peek().is_none()
                && let Value::Object(kind) = property.kind.json(shown)
            {
                field.extend(kind);
            }
            at = field;
        }
    }
    if shown && let Some(fields) = top.get_mut("properties").and_then(Value::as_object_mut) {
        fields.insert("id".into(), json!({ "type": "string" }));
    }
    Value::Object(top)
}

impl Kind {
    fn json(self, shown: bool) -> Value {
        if shown {
            return match self {
                Kind::Integer(..) => json!({ "type": ["integer", "null"] }),
                Kind::Boolean => json!({ "type": ["boolean", "null"] }),
                Kind::Object => json!({ "type": ["object", "null"] }),
                Kind::Texts | Kind::Mails => json!({ "type": ["array", "string", "null"] }),
                Kind::Text(..) | Kind::Word(_) | Kind::Mail | Kind::Domain | Kind::Zone | Kind::Url => {
                    json!({ "type": ["string", "null"] })
                }
            };
        }
        match self {
            Kind::Text(least, most) => json!({ "type": "string", "minLength": least, "maxLength": most }),
            Kind::Word(words) => json!({ "type": "string", "enum": words }),
            Kind::Integer(least, most, usual) => {
                let mut d = json!({ "type": "integer", "minimum": least, "maximum": most });
                if let Some(usual) = usual {
                    d["default"] = usual.into();
                }
                d
            }
            Kind::Boolean => json!({ "type": "boolean" }),
            Kind::Object => json!({ "type": "object" }),
            Kind::Texts => json!({ "type": "array", "items": { "type": "string" }, "maxItems": 1000 }),
            Kind::Mails => {
                json!({ "type": "array", "items": { "type": "string", "format": "email" }, "maxItems": 1000 })
            }
            Kind::Mail => json!({ "type": "string", "format": "email" }),
            Kind::Domain => json!({ "type": "string", "format": "hostname" }),
            Kind::Zone => {
                json!({ "type": "string", "description": "A name of the IANA time zone database, or inherit." })
            }
            Kind::Url => json!({ "type": "string", "format": "uri", "pattern": "^https?://" }),
        }
    }
}

/// `GET /schemas`, and `GET /schemas/{id}`.
///
/// # Errors
///
/// 404.
pub fn show(id: Option<&str>) -> Result<crate::envelope::Success, crate::envelope::Fault> {
    use crate::envelope::{Fault, Success};
    let Some(id) = id else {
        return Ok(Success::ok(ALL.iter().map(|(name, _)| json!(name)).collect()));
    };
    let found = ALL.iter().find(|(name, _)| *name == id).ok_or_else(|| Fault::bad_identifier(id))?;
    let mut schema = json_schema(found.1);
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["id"] = id.into();
    Ok(Success::ok(schema))
}

/// Checks a document and brings its fields to their types.
#[must_use]
pub fn check(schema: &[Property], document: &mut Map<String, Value>) -> Validation {
    let mut wrong = Validation::default();
    for property in schema {
        let path = property.path;
        let Some(value) = field(document, path).filter(|v| !v.is_null()) else {
            if property.required {
                wrong.add(path, "required", json!({ "message": "Field is required but missing" }));
            } else if let Kind::Integer(_, _, Some(usual)) = property.kind {
                document.insert(path.to_owned(), usual.into());
            }
            continue;
        };
        if let Some(better) = checked(property, value, &mut wrong)
            && let Some(place) = field_mut(document, path)
        {
            *place = better;
        }
    }
    if serde_json::to_vec(document).is_ok_and(|text| text.len() > LARGEST) {
        let message = format!("The document must not be more than {LARGEST} octets");
        wrong.add("data", "maxLength", json!({ "message": message, "target": LARGEST }));
    }
    wrong
}

/// What is wrong with a value is added; what it has to be instead is answered.
fn checked(property: &Property, value: &Value, wrong: &mut Validation) -> Option<Value> {
    let path = property.path;
    let not = |wrong: &mut Validation, kinds: &str| {
        let message = format!("Value did not match type(s): {kinds}");
        wrong.add(path, "type", json!({ "message": message, "target": kinds, "value": value }));
    };
    let shape = |wrong: &mut Validation, rule: &str, message: &str| {
        wrong.add(path, rule, json!({ "message": message, "value": value }));
    };
    match property.kind {
        Kind::Integer(least, most, _) => {
            let number = value.as_i64().or_else(|| value.as_str().and_then(|t| t.trim().parse().ok()));
            match number {
                None => not(wrong, "integer"),
                Some(n) if n < least => {
                    let message = format!("Value must be at least {least}");
                    wrong.add(path, "minimum", json!({ "message": message, "target": least, "value": n }));
                }
                Some(n) if n > most => {
                    let message = format!("Value must be at most {most}");
                    wrong.add(path, "maximum", json!({ "message": message, "target": most, "value": n }));
                }
                Some(n) => return Some(n.into()),
            }
        }
        Kind::Boolean => match (value, value.as_str()) {
            (Value::Bool(_), _) => {}
            (_, Some("true")) => return Some(true.into()),
            (_, Some("false")) => return Some(false.into()),
            _ => not(wrong, "boolean"),
        },
        Kind::Object if !value.is_object() => not(wrong, "object"),
        Kind::Object => {}
        Kind::Texts | Kind::Mails => {
            let one = [value.clone()];
            let list = match value {
                Value::Array(list) => list.as_slice(),
                Value::String(text) if text.is_empty() => &[],
                _ => &one,
            };
            if list.iter().any(|item| !item.is_string()) {
                not(wrong, "string, array");
            } else if list.len() > 1000 {
                wrong.add(
                    path,
                    "maxItems",
                    json!({ "message": "The array must have at most 1000 items", "target": 1000 }),
                );
            } else if matches!(property.kind, Kind::Mails)
                && !list.iter().filter_map(Value::as_str).all(|t| is_mail_address(t.trim()))
            {
                shape(wrong, "wrong_format", "Value is not an e-mail address");
            }
        }
        Kind::Text(..) | Kind::Word(_) | Kind::Mail | Kind::Domain | Kind::Zone | Kind::Url => {
            let Some(text) = value.as_str() else {
                not(wrong, "string");
                return None;
            };
            let length = text.chars().count();
            match property.kind {
                Kind::Text(least, _) if length < least => {
                    let message = format!("String must be at least {least} characters");
                    wrong.add(
                        path,
                        "minLength",
                        json!({ "message": message, "target": least, "value": text }),
                    );
                }
                Kind::Text(_, most) if length > most => {
                    let message = format!("String must not be more than {most} characters");
                    wrong.add(path, "maxLength", json!({ "message": message, "target": most }));
                }
                Kind::Word(words) if !words.contains(&text) => {
                    let message = "Value not found in enumerated list of values";
                    wrong.add(path, "enum", json!({ "message": message, "target": words, "value": text }));
                }
                Kind::Mail if !text.is_empty() && !is_mail_address(text.trim()) => {
                    shape(wrong, "wrong_format", "Value is not an e-mail address");
                }
                Kind::Domain if !text.is_empty() && !is_domain(text) => {
                    shape(wrong, "pattern", "Value is not a domain, as fax.example.com");
                }
                Kind::Zone if !matches!(text, "" | "inherit") && jiff::tz::TimeZone::get(text).is_err() => {
                    shape(wrong, "enum", "Value is not a known time zone");
                }
                Kind::Url if !(text.starts_with("http://") || text.starts_with("https://")) => {
                    let message = "Failed to match pattern '^https?://'";
                    let detail = json!({ "message": message, "target": "^https?://", "value": text });
                    wrong.add(path, "pattern", detail);
                }
                _ => {}
            }
        }
    }
    None
}

/// RFC 1035 §2.3.1, and digits in front as everybody uses them.
fn is_domain(text: &str) -> bool {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    (4..=253).contains(&text.len()) && text.contains('.') && text.split('.').all(label)
}

/// A dotted field.
#[must_use]
pub fn field<'d>(document: &'d Map<String, Value>, dotted: &str) -> Option<&'d Value> {
    let mut keys = dotted.split('.');
    let first = document.get(keys.next()?)?;
    keys.try_fold(first, |value, key| value.get(key))
}

fn field_mut<'d>(document: &'d mut Map<String, Value>, dotted: &str) -> Option<&'d mut Value> {
    let mut keys = dotted.split('.');
    let first = document.get_mut(keys.next()?)?;
    keys.try_fold(first, |value, key| value.get_mut(key))
}

/// Lays one document over another: objects within each other, everything else replaced, what is null removed.
pub fn merge(under: &mut Map<String, Value>, over: Map<String, Value>) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (_, Value::Null) => {
                under.remove(&key);
            }
            (Some(Value::Object(under)), Value::Object(over)) => merge(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn fields_are_brought_to_their_types_and_the_rest_is_kept() {
        let mut d = object(
            json!({ "name": "x", "retries": "3", "colour": "true", "custom": [1], "fax_timezone": "inherit" }),
        );
        assert!(check(FAXBOX, &mut d).is_empty());
        let wanted = json!({ "name": "x", "retries": 3, "colour": true, "custom": [1], "fax_timezone": "inherit", "attempts": 0 });
        assert_eq!(Value::Object(d), wanted);
    }

    #[test]
    fn what_is_wrong_is_told_by_field_and_rule() {
        for (field, value, rule) in [
            ("name", json!(""), "minLength"),
            ("name", json!("x".repeat(129)), "maxLength"),
            ("name", json!(5), "type"),
            ("retries", json!(5), "maximum"),
            ("retries", json!(-1), "minimum"),
            ("retries", json!("many"), "type"),
            ("colour", json!("perhaps"), "type"),
            ("media", json!([]), "type"),
            ("smtp_permission_list", json!([1]), "type"),
            ("fax_timezone", json!("Moon/Sea"), "enum"),
            ("custom_smtp_email_address", json!("no domain"), "pattern"),
            ("custom_smtp_email_address", json!("-a.example"), "pattern"),
        ] {
            let mut d = object(json!({ "name": "x" }));
            d.insert(field.into(), value.clone());
            let told = check(FAXBOX, &mut d).fault().data;
            assert!(told[field][rule]["message"].is_string(), "{field} {value}: {told}");
        }
        let mut d =
            object(json!({ "notifications": { "inbound": { "email": { "send_to": "no\r\nway@x" } } } }));
        let told = check(FAXBOX, &mut d).fault().data;
        assert!(
            told["notifications.inbound.email.send_to"]["wrong_format"].is_object()
                && told["name"]["required"].is_object()
        );
        let mut large = object(json!({ "name": "x", "custom": "y".repeat(LARGEST) }));
        assert!(!check(FAXBOX, &mut large).is_empty());
    }

    #[test]
    fn merging_goes_into_objects_and_removes_what_is_null() {
        let mut d = object(json!({ "a": { "b": 1, "c": 2 }, "d": [1], "e": 5 }));
        merge(&mut d, object(json!({ "a": { "b": null, "x": 3 }, "d": [2], "e": null, "f": { "g": 1 } })));
        assert_eq!(Value::Object(d), json!({ "a": { "c": 2, "x": 3 }, "d": [2], "f": { "g": 1 } }));
    }
}
