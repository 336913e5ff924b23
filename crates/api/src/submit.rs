//! A new fax from a request: the fields checked, named as clients name them, and handed to the switch.

use fax_store::model::{AccountId, FaxboxId, Priority, Timestamp, WebRequest};
use fax_switch::{NewDocument, NewJob, Service};
use serde_json::{Map, Value, json};

use crate::document::Upload;
use crate::envelope::{Fault, Success, Validation};
use crate::present;
use crate::request::Envelope;
use crate::route::Scope;

/// Largest stored remainder of a client's fields, octets of JSON.
const CLIENT_LIMIT: usize = 64 * 1024;

/// Fields that are shown of a fax and not taken from a client.
const SHOWN: [&str; 24] = [
    "id",
    "auth_token",
    "document",
    "tx_result",
    "rx_result",
    "attempts",
    "history",
    "status",
    "created",
    "modified",
    "send_at",
    "filename",
    "folder",
    "faxbox_id",
    "uncertain",
    "cancelled",
    "delivered",
    "reason",
    "remarks",
    "reschedule_rule",
    "progress",
    "total_pages",
    "pages_confirmed",
    "learnt",
];

/// Queues a fax. It is durable when this answers.
///
/// # Errors
///
/// 400 with what is wrong, 404 for a faxbox that is not the account's, 413, 503.
pub async fn submit(service: &Service, scope: &Scope, envelope: Envelope) -> Result<Success, Fault> {
    let account = AccountId::new(scope.account.as_str());
    let Value::Object(data) = envelope.data else {
        return Err(not_an_object(&envelope.data));
    };
    let named = data.get("faxbox_id").and_then(Value::as_str).map(str::to_owned);
    let faxbox = scope.faxbox.clone().or(named);
    in_scope(service, scope, faxbox.as_deref())?;
    let document = envelope.upload.map(octets);
    let mut new = new_job(service, account, faxbox.as_deref(), data, document, &Map::new())?;
    new.once = envelope.once;
    let job =
        service.submit(new).await.map_err(|e| Fault::of_submit(&e, &scope.account, faxbox.as_deref()))?;
    let document = present::job(&job);
    Ok(Success::created(Value::Object(document), job.id.as_str()))
}

/// Whether a faxbox that a client names is one of the user whose faxes the path means.
///
/// # Errors
///
/// 404 where it is not.
pub(crate) fn in_scope(service: &Service, scope: &Scope, faxbox: Option<&str>) -> Result<(), Fault> {
    let (Some(user), Some(id)) = (scope.user.as_deref(), faxbox) else { return Ok(()) };
    let directory = service.directory();
    let owner = directory.faxbox(&FaxboxId::new(id)).and_then(|f| f.owner.as_deref());
    if id == user || owner == Some(user) { Ok(()) } else { Err(Fault::bad_identifier(id)) }
}

/// What came with the request.
#[must_use]
pub fn octets(upload: Upload) -> NewDocument {
    let Upload { octets, content_type, file_name } = upload;
    NewDocument::Octets { octets, content_type, file_name }
}

pub(crate) fn not_an_object(data: &Value) -> Fault {
    let mut v = Validation::default();
    v.add(
        "data",
        "type",
        json!({ "message": "Value did not match type(s): object", "target": "object", "value": data }),
    );
    v.fault()
}

/// Checks the fields of `data` and makes a job of them. `given` is the document where `data` names none. What stands in `was`, and is
/// in `data` as it was, is not checked anew: a fax by mail, or from a faxbox of the configuration, has what no client may give.
///
/// # Errors
///
/// 400 with everything that is wrong; 404 for a faxbox that is not the account's.
pub fn new_job(
    service: &Service,
    account: AccountId,
    faxbox: Option<&str>,
    mut data: Map<String, Value>,
    given: Option<NewDocument>,
    was: &Map<String, Value>,
) -> Result<NewJob, Fault> {
    present::keep_public(&mut data);
    let directory = service.directory();
    let faxbox = match faxbox {
        None => None,
        Some(id) => {
            let found = directory.faxbox(&FaxboxId::new(id)).filter(|f| f.account == account);
            Some(found.ok_or_else(|| Fault::bad_identifier(id))?)
        }
    };
    let mut fields = Fields { data: &data, was, wrong: Validation::default() };
    let to_number = fields.text("to_number", 0);
    let from_number = fields
        .text("from_number", 0)
        .or_else(|| faxbox.map(|f| f.caller_id.clone()).filter(|n| !n.is_empty()));
    for (field, value) in [("to_number", &to_number), ("from_number", &from_number)] {
        if value.is_none() && !fields.is_kept(field) {
            fields.required(field);
        }
    }
    let texts =
        ["from_name", "to_name", "subject", "fax_identity_number", "fax_identity_name", "sub_address"]
            .map(|f| fields.text(f, 1024));
    let [from_name, to_name, subject, ident, header, sub_address] = texts;
    let timezone = fields.text("fax_timezone", 64).or_else(|| fields.text("timezone", 64));
    let timezone = timezone.filter(|t| t != "inherit");
    let unknown = |zone: &&str| jiff::tz::TimeZone::get(zone).is_err();
    if let Some(zone) = timezone.as_deref().filter(unknown)
        && !fields.is_kept("fax_timezone")
    {
        fields.wrong.add(
            "fax_timezone",
            "enum",
            json!({ "message": "Value is not a known time zone", "value": zone }),
        );
    }
    let retries = fields.integer("retries", 0, 4);
    let not_before = fields.integer("send_at", 0, i64::MAX).map(Timestamp::from_gregorian_seconds);
    let priority = fields.priority();
    let colour = fields.boolean("colour").or_else(|| fields.boolean("color"));
    let own_caller_id = fields.boolean("ensure_valid_caller_id").unwrap_or(false);
    let keep_number = fields.boolean("bypass_e164").unwrap_or(false);
    let mut notify = fields.addresses();
    let document = fields.document();
    let Fields { mut wrong, .. } = fields;

    let document = match document.or(given) {
        Some(document) => Some(document),
        None => {
            if wrong.is_empty() {
                wrong.add(
                    "document.url",
                    "required",
                    json!({ "message": "add document url or upload a document" }),
                );
            }
            None
        }
    };
    let (Some(document), Some(to_number), true) = (document, to_number, wrong.is_empty()) else {
        return Err(wrong.fault());
    };
    // The list of the request counts; where it has none, the faxbox's is used.
    if let (true, Some(faxbox)) = (notify.is_empty(), faxbox) {
        notify.clone_from(&faxbox.notify_outbound);
    }
    let mut client = data;
    // What the job holds itself is shown from there, and only where it is so.
    client.retain(|key, _| !SHOWN.contains(&key.as_str()));
    if serde_json::to_vec(&client).is_ok_and(|text| text.len() > CLIENT_LIMIT) {
        return Err(Fault::too_large(CLIENT_LIMIT));
    }
    Ok(NewJob {
        faxbox: faxbox.map(|f| f.id.clone()),
        from_number,
        from_name,
        to_name,
        subject,
        ident,
        header,
        timezone,
        sub_address,
        colour,
        retries: retries.and_then(|r| u32::try_from(r).ok()),
        notify,
        not_before,
        priority,
        keep_number,
        own_caller_id,
        client,
        ..NewJob::new(account, to_number, document)
    })
}

/// The fields of a request and what was found wrong with them.
struct Fields<'d> {
    data: &'d Map<String, Value>,
    /// What the fax has already.
    was: &'d Map<String, Value>,
    wrong: Validation,
}

impl Fields<'_> {
    /// Whether a field is as it was.
    fn is_kept(&self, field: &str) -> bool {
        self.was.get(field).is_some_and(|was| self.data.get(field) == Some(was))
    }

    fn required(&mut self, field: &str) {
        // A field of a wrong type is not missing besides.
        if self.data.get(field).is_none_or(|v| v.is_null() || v.as_str().is_some_and(|t| t.trim().is_empty()))
        {
            self.wrong.add(field, "required", json!({ "message": "Field is required but missing" }));
        }
    }

    fn wrong_type(&mut self, field: &str, wanted: &str, value: &Value) {
        let message = format!("Value did not match type(s): {wanted}");
        self.wrong.add(field, "type", json!({ "message": message, "target": wanted, "value": value }));
    }

    /// A text, None when absent or empty; at most `longest` characters unless that is 0.
    fn text(&mut self, field: &str, longest: usize) -> Option<String> {
        match self.data.get(field)? {
            Value::Null => None,
            Value::String(text) if longest > 0 && text.chars().count() > longest && !self.is_kept(field) => {
                self.too_long(field, longest);
                None
            }
            Value::String(text) => Some(text.trim().to_owned()).filter(|t| !t.is_empty()),
            other => {
                self.wrong_type(field, "string", other);
                None
            }
        }
    }

    fn too_long(&mut self, field: &str, longest: usize) {
        let message = format!("String must not be more than {longest} characters");
        self.wrong.add(field, "maxLength", json!({ "message": message, "target": longest }));
    }

    /// An integer, given as a number or as text.
    fn integer(&mut self, field: &str, least: i64, most: i64) -> Option<i64> {
        let value = self.data.get(field)?;
        let number = match value {
            Value::Null => return None,
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_i64(),
        };
        match number {
            Some(n) if self.is_kept(field) => return Some(n),
            None => self.wrong_type(field, "integer", value),
            Some(n) if n < least => {
                let message = format!("Value must be at least {least}");
                self.wrong.add(field, "minimum", json!({ "message": message, "target": least, "value": n }));
            }
            Some(n) if n > most => {
                let message = format!("Value must be at most {most}");
                self.wrong.add(field, "maximum", json!({ "message": message, "target": most, "value": n }));
            }
            Some(n) => return Some(n),
        }
        None
    }

    /// `priority`; normal where it is absent.
    fn priority(&mut self) -> Priority {
        const FIELD: &str = "priority";
        let Some(value) = self.data.get(FIELD).filter(|v| !v.is_null()) else {
            return Priority::default();
        };
        let Some(word) = value.as_str() else {
            self.wrong_type(FIELD, "string", value);
            return Priority::default();
        };
        Priority::of_word(word).unwrap_or_else(|| {
            let message = "Value is not a priority: high, normal or low";
            let detail = json!({ "message": message, "target": Priority::WORDS, "value": word });
            self.wrong.add(FIELD, "enum", detail);
            Priority::default()
        })
    }

    fn boolean(&mut self, field: &str) -> Option<bool> {
        let value = self.data.get(field)?;
        match (value, value.as_str()) {
            (Value::Bool(b), _) => Some(*b),
            (_, Some("true")) => Some(true),
            (_, Some("false")) => Some(false),
            _ => {
                self.wrong_type(field, "boolean", value);
                None
            }
        }
    }

    /// `notifications.email.send_to`, a text or a list of texts.
    fn addresses(&mut self) -> Vec<String> {
        const FIELD: &str = "notifications.email.send_to";
        let email = |n: &Value| n.get("email").and_then(|e| e.get("send_to")).cloned();
        let Some(given) = self
            .data
            .get("notifications")
            .and_then(|n| n.get("outbound").and_then(email).or_else(|| email(n)))
        else {
            return Vec::new();
        };
        let list = match given {
            Value::Null => Vec::new(),
            Value::String(one) => vec![Value::String(one)],
            Value::Array(list) => list,
            other => {
                self.wrong_type(FIELD, "string, array", &other);
                Vec::new()
            }
        };
        let kept = self.is_kept("notifications");
        let mut addresses = Vec::new();
        if list.len() > 100 && !kept {
            self.wrong.add(
                FIELD,
                "maxItems",
                json!({ "message": "The array must have at most 100 items", "target": 100 }),
            );
            return addresses;
        }
        for item in &list {
            match item.as_str().map(str::trim) {
                Some("") => {}
                Some(address) if kept || is_mail_address(address) => addresses.push(address.to_owned()),
                _ => self.wrong.add(
                    FIELD,
                    "wrong_format",
                    json!({ "message": "Value is not an e-mail address", "value": item }),
                ),
            }
        }
        addresses.dedup();
        addresses
    }

    /// `document`, if the JSON names one.
    fn document(&mut self) -> Option<NewDocument> {
        let document = self.data.get("document")?;
        if document.is_null() {
            return None;
        }
        let Value::Object(document) = document else {
            self.wrong_type("document", "object", document);
            return None;
        };
        let text = |key: &str| {
            document.get(key).and_then(Value::as_str).map(str::to_owned).filter(|s| !s.is_empty())
        };
        for key in ["url", "method", "host", "referer", "content", "content_type"] {
            if let Some(value) = document.get(key).filter(|v| !v.is_string() && !v.is_null()) {
                self.wrong_type(&format!("document.{key}"), "string", value);
            }
        }
        let method = text("method").unwrap_or_else(|| "get".into()).to_ascii_lowercase();
        if !matches!(method.as_str(), "get" | "post") {
            let detail = json!({ "message": "Value not found in enumerated list of values", "target": ["get", "post"], "value": method });
            self.wrong.add("document.method", "enum", detail);
        }
        if text("content").is_some_and(|c| c.chars().count() > 256) {
            self.too_long("document.content", 256);
        }
        let Some(url) = text("url") else {
            // An empty `document` beside an upload does not matter; alone it is told once.
            if !document.is_empty()
                && document.get("url").is_none_or(|u| u.is_null() || u.as_str() == Some(""))
            {
                self.wrong.add(
                    "document.url",
                    "required",
                    json!({ "message": "Field is required but missing" }),
                );
            }
            return None;
        };
        let lower = url.get(..8).unwrap_or(&url).to_ascii_lowercase();
        if !(lower.starts_with("http://") || lower.starts_with("https://")) || url.len() > 4096 {
            let detail = json!({ "message": "Failed to match pattern '^https?://'", "target": "^https?://", "value": url });
            self.wrong.add("document.url", "pattern", detail);
            return None;
        }
        Some(NewDocument::Url(WebRequest {
            url,
            method,
            host: text("host"),
            referer: text("referer"),
            content: text("content"),
            content_type: text("content_type"),
        }))
    }
}

/// Whether a text can be an address of a mail: one that could break a header is refused.
#[must_use]
pub fn is_mail_address(text: &str) -> bool {
    let bare =
        !text.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>' | ',' | ';'));
    text.len() <= 254 && bare && text.rsplit_once('@').is_some_and(|(l, d)| !l.is_empty() && !d.is_empty())
}
