//! Web hooks: what may be set up, what they are told by example, what came of it; and the calls themselves ([`call`]).

pub mod call;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fax_store::model::{AccountId, Entry, EntryKind, FaxboxId, HookAttempt, Timestamp};
use fax_switch::Service;
use fax_switch::directory::entries::hidden;
use fax_switch::hooks::{What, callback_id};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

pub use call::HttpHookCaller;

use crate::envelope::{Fault, Success, Validation};
use crate::request::Envelope;

/// Most web hooks of an account.
pub const MOST: usize = 100;
/// Most header fields that a hook may want.
const HEADERS: usize = 20;
/// What `custom_data.type` of `notifications` may be, as KAZOO has it.
const NOTIFICATIONS: [&str; 6] = [
    "inbound_fax",
    "inbound_fax_error",
    "outbound_fax",
    "outbound_fax_error",
    "outbound_smtp_fax_error",
    "all",
];

/// A new secret: 32 octets.
fn secret() -> String {
    let mut drawn = Sha256::new();
    (0..3).for_each(|_| drawn.update(uuid::Uuid::new_v4().as_bytes()));
    format!("whsec_{}", STANDARD.encode(drawn.finalize()))
}

/// Checks what the schema does not, and gives the hook its secret.
pub fn ready(entry: &mut Entry, wrong: &mut Validation) {
    let d = &mut entry.document;
    let unknown = |value: &Value, known: &[&str]| {
        let message = "Value not found in enumerated list of values";
        json!({ "message": message, "target": known, "value": value })
    };
    if let Some(Value::String(one)) = d.get("events").cloned() {
        d.insert("events".into(), json!([one]));
    }
    let known: Vec<&str> = What::ALL.iter().map(|what| what.as_str()).chain(["all"]).collect();
    for event in d.get("events").and_then(Value::as_array).into_iter().flatten() {
        if event.as_str().is_some_and(|e| !known.contains(&e)) {
            wrong.add("events", "enum", unknown(event, &known));
        }
    }
    for field in ["custom_data", "custom_request_headers"] {
        for (key, value) in d.get(field).and_then(Value::as_object).into_iter().flatten() {
            if !value.is_string() {
                let message = "Value did not match type(s): string";
                wrong.add(&format!("{field}.{key}"), "type", json!({ "message": message, "value": value }));
            }
        }
    }
    if d.get("hook").and_then(Value::as_str) == Some("notifications")
        && let Some(kind) = d.get("custom_data").and_then(|c| c.get("type"))
        && kind.as_str().is_some_and(|k| !NOTIFICATIONS.contains(&k))
    {
        wrong.add("custom_data.type", "enum", unknown(kind, &NOTIFICATIONS));
    }
    let headers = d.get("custom_request_headers").and_then(Value::as_object);
    if headers.is_some_and(|h| h.len() > HEADERS) {
        let message = format!("there may be {HEADERS} header fields");
        wrong.add("custom_request_headers", "maxItems", json!({ "message": message, "target": HEADERS }));
    }
    for (name, value) in headers.into_iter().flatten() {
        if call::header_field(name, value.as_str().unwrap_or_default()).is_none() {
            let message = "This header field cannot be set";
            wrong.add(&format!("custom_request_headers.{name}"), "pattern", json!({ "message": message }));
        }
    }
    let url = d.get("uri").and_then(Value::as_str).unwrap_or_default();
    if wrong.is_empty() && (url.len() > 2048 || reqwest::Url::parse(url).map_or(true, |u| !u.has_host())) {
        let message = "Value is not a URL of at most 2048 octets";
        wrong.add("uri", "pattern", json!({ "message": message, "value": url }));
    }
    let rotate = d.remove("rotate_secret").and_then(|r| r.as_bool()) == Some(true);
    if d.get("enabled").and_then(Value::as_bool) != Some(false) {
        d.insert("enabled".into(), true.into());
        d.remove("disable_reason");
        entry.hidden.remove(hidden::FAILING_SINCE);
    }
    if rotate || !entry.hidden.contains_key(hidden::SECRET) {
        entry.hidden.insert(hidden::SECRET.into(), secret().into());
    }
}

/// `PATCH …/webhooks` with `re-enable: true`: those that were switched off are called again.
///
/// # Errors
///
/// 400 without `re-enable`, 404, 503.
pub async fn enable(service: &Service, account: &str, envelope: &Envelope) -> Result<Success, Fault> {
    let (directory, id) = (service.directory(), AccountId::new(account));
    if directory.account(&id).is_none() {
        return Err(Fault::bad_identifier(account));
    }
    let said = |key: &str| envelope.data.get(key).and_then(Value::as_bool) == Some(true);
    if !said("re-enable") && !said("re_enable") {
        let mut v = Validation::default();
        v.add("re-enable", "required", json!({ "message": "Field is required but missing" }));
        return Err(v.fault());
    }
    let off = directory.entries_of(EntryKind::Webhook, &id);
    let off = off.filter(|e| e.document.get("enabled").and_then(Value::as_bool) == Some(false));
    let on: Vec<Entry> = off
        .map(|e| {
            let mut e = Entry { modified: service.now(), ..e.as_ref().clone() };
            e.document.insert("enabled".into(), true.into());
            e.document.remove("disable_reason");
            e.hidden.remove(hidden::FAILING_SINCE);
            e
        })
        .collect();
    let ids: Vec<Value> = on.iter().map(|e| json!(e.id)).collect();
    if !on.is_empty() {
        service.put_entries(on).await.map_err(|e| Fault::of_service(&e, account))?;
    }
    Ok(Success::ok(json!({ "re-enabled": ids })))
}

/// `GET …/webhooks/{id}/attempts`, and of all hooks `GET …/webhooks/attempts`.
///
/// # Errors
///
/// 404, 503.
pub async fn attempts(service: &Service, account: &str, hook: Option<&str>) -> Result<Success, Fault> {
    let (directory, id) = (service.directory(), AccountId::new(account));
    let hooks: Vec<String> = match hook {
        Some(hook) => {
            let found = directory.entry(EntryKind::Webhook, hook).filter(|e| e.account == id);
            vec![found.ok_or_else(|| Fault::bad_identifier(hook))?.id.clone()]
        }
        None => directory.entries_of(EntryKind::Webhook, &id).map(|e| e.id.clone()).collect(),
    };
    listed(service, hooks).await
}

/// `GET …/faxboxes/{id}/attempts`: what came of calling its callbacks.
///
/// # Errors
///
/// 404, 503.
pub async fn callback_attempts(service: &Service, account: &str, faxbox: &str) -> Result<Success, Fault> {
    let directory = service.directory();
    let found = directory.faxbox(&FaxboxId::new(faxbox)).filter(|f| f.account.as_str() == account);
    let found = found.ok_or_else(|| Fault::bad_identifier(faxbox))?;
    listed(service, [true, false].map(|inbound| callback_id(found.id.as_str(), inbound)).into()).await
}

/// What attempts are kept of an entry that goes: those of a hook, or of a faxbox's callbacks.
#[must_use]
pub fn names_of(entry: &Entry) -> Vec<String> {
    let callback = |way: &str| {
        let of_way = entry.document.get("notifications").and_then(|n| n.get(way));
        of_way.is_some_and(|w| w.get("callback").is_some())
    };
    match entry.kind {
        EntryKind::Webhook => vec![entry.id.clone()],
        EntryKind::Faxbox => [(true, "inbound"), (false, "outbound")]
            .into_iter()
            .filter(|(_, way)| callback(way))
            .map(|(inbound, _)| callback_id(&entry.id, inbound))
            .collect(),
        _ => Vec::new(),
    }
}

async fn listed(service: &Service, hooks: Vec<String>) -> Result<Success, Fault> {
    let mut all = Vec::new();
    for hook in hooks {
        all.extend(service.hook_attempts(&hook).await.map_err(|e| Fault::of_service(&e, &hook))?);
    }
    all.sort_by(|a, b| (b.at, &b.id).cmp(&(a.at, &a.id)));
    all.truncate(fax_store::port::HOOK_ATTEMPTS);
    Ok(Success::ok(all.iter().map(shown).collect()))
}

fn shown(a: &HookAttempt) -> Value {
    json!({
        "id": a.id,
        "hook_id": a.hook,
        "webhook_id": call::message_id(a.delivery.as_str()),
        "event": a.event,
        "timestamp": a.at.gregorian_seconds(),
        "attempt": a.attempt,
        "result": if a.error.is_none() { "success" } else { "failure" },
        "response_code": a.status,
        "reason": a.error,
        "delay": a.took_ms,
        "next_attempt": a.next.map(Timestamp::gregorian_seconds),
    })
}

/// `GET /webhooks`: the kinds of hooks there are.
#[must_use]
pub fn kinds() -> Success {
    let events: Vec<&str> = What::ALL.iter().map(|what| what.as_str()).collect();
    let usual: Vec<&str> = What::ALL.iter().filter(|w| w.is_usual()).map(|what| what.as_str()).collect();
    let types = json!({ "type": "array", "description": "A list of notifications to handle", "items": NOTIFICATIONS });
    Success::ok(json!([
        {
            "id": "fax", "name": "Faxes",
            "description": "Everything that happens to faxes, as JSON signed by Standard Webhooks.",
            "events": events, "events_by_default": usual,
        },
        {
            "id": "notifications", "name": "Notifications",
            "description": "What mails tell, too: custom_data.type says which.",
            "modifiers": { "type": types },
        },
        { "id": "inbound_fax", "name": "Inbound faxes", "description": "Faxes that came, well or not." },
        { "id": "outbound_fax", "name": "Outbound faxes", "description": "Faxes that were sent or given up." },
    ]))
}

/// `GET /webhooks/samples`, and `GET /webhooks/samples/{id}`.
///
/// # Errors
///
/// 404.
pub fn samples(id: Option<&str>) -> Result<Success, Fault> {
    let old = |name: &str| What::ALL.into_iter().find(|what| what.notification() == Some(name));
    let Some(id) = id else {
        let named = NOTIFICATIONS.into_iter().filter(|name| old(name).is_some());
        let all = What::ALL.iter().map(|what| what.as_str()).chain(named);
        return Ok(Success::ok(all.map(|name| json!(name)).collect()));
    };
    let native = What::ALL.into_iter().find(|what| what.as_str() == id);
    let sample = match (native, old(id)) {
        (Some(what), _) => call::native_body(what.as_str(), EXAMPLE_TIME, &example(what)),
        (None, Some(what)) => Value::Object(call::notification_body(what.as_str(), &example(what))),
        (None, None) => return Err(Fault::bad_identifier(id)),
    };
    Ok(Success::ok(json!({ "id": id, "sample": sample })))
}

const EXAMPLE_TIME: Timestamp = Timestamp(1_790_000_000_000_000);

fn example(what: What) -> Map<String, Value> {
    let inbound = matches!(what, What::Received | What::ReceiveFailed | What::PageReceived);
    let good = !matches!(what, What::Failed | What::Uncertain | What::ReceiveFailed | What::AttemptFailed);
    let mut d = json!({
        "id": "0199f3c8d7e07d0c9a3b5e1f2a4c6d8e",
        "account_id": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "faxbox_id": "ffffffffffffffffffffffffffffffff",
        "owner_id": "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
        "direction": if inbound { "inbound" } else { "outbound" },
        "created": EXAMPLE_TIME.gregorian_seconds(),
        "from_number": "+14155550100",
        "from_name": "Clinic",
        "to_number": "+14155551234",
        "to_name": "",
        "pages": 2,
        "pages_confirmed": if good { 2 } else { 1 },
        "attempts": 1,
        "result": {
            "success": good,
            "uncertain": what == What::Uncertain,
            "class": if good { "ok" } else { "call.dropped" },
            "text": if good { "The fax was delivered and confirmed." } else { "The call was cut off." },
            "remote_id": "+1 415 555 1234",
            "bit_rate": 14400,
            "modem": "V.17",
            "coding": "MMR",
            "ecm": true,
            "t38": true,
            "call_id": "b6c1@203.0.113.5",
            "seconds": 42,
        },
    });
    if matches!(what, What::PageSent | What::PageReceived) {
        d["page"] = 1.into();
    }
    d.as_object().cloned().unwrap_or_default()
}
