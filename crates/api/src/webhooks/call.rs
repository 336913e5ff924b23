//! Calls of web hooks: Standard Webhooks (id, time and signature in the header), with JSON of ours or the bodies of KAZOO.
//!
//! A hook's URL is a stranger's wish, as a document's is: the same guard looks at its addresses. Redirects are not
//! followed, answers are not read.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fax_store::model::{Timestamp, filed_id};
use fax_switch::directory::entries::hidden;
use fax_switch::hooks::{Target, What};
use fax_switch::policy::switch_cause;
use fax_switch::port::{ConvertError, HookAnswer, HookCaller, HookOrder};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use crate::fetch::guarded;

/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Calls web hooks by HTTP.
#[derive(Clone, Debug)]
pub struct HttpHookCaller {
    private: bool,
    patience: Duration,
}

impl HttpHookCaller {
    /// A caller; `private`: it goes to private and loopback addresses, too. Makes ring the process's TLS provider if none is
    /// chosen yet.
    #[must_use]
    pub fn new(private: bool) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        HttpHookCaller { private, patience: PATIENCE }
    }

    /// The same with another patience.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        HttpHookCaller { patience, ..self }
    }
}

#[async_trait]
impl HookCaller for HttpHookCaller {
    async fn call(&self, order: HookOrder) -> HookAnswer {
        let failed = |why: String| HookAnswer { status: None, error: Some(why) };
        let request = match Request::of(&order) {
            Ok(request) => request,
            Err(why) => return failed(why),
        };
        let asked = async {
            let client = guarded(&request.url, self.private, self.patience).await.map_err(|e| match e {
                ConvertError::Document(why) | ConvertError::Later(why) | ConvertError::House(why) => why,
            })?;
            let ready =
                client.request(request.method, request.url).headers(request.headers).body(request.body);
            // What reqwest says holds the URL, and with it perhaps a password.
            let sent = ready.send().await.map_err(|e| {
                let why =
                    if e.is_connect() { "cannot be connected to" } else { "broke off before an answer" };
                format!("the server {why}")
            })?;
            Ok(sent.status())
        };
        match tokio::time::timeout(self.patience, asked).await {
            Err(_) => failed(format!("no answer within {} s", self.patience.as_secs())),
            Ok(Err(why)) => failed(why),
            Ok(Ok(status)) => {
                let error = if status.is_success() {
                    None
                } else if status.is_redirection() {
                    Some(format!("the server answered {status}; redirects are not followed: set the new URL"))
                } else {
                    Some(format!("the server answered {status}"))
                };
                HookAnswer { status: Some(status.as_u16()), error }
            }
        }
    }
}

struct Request {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// What the settings of a hook and of a callback say, each under names of its own.
struct Settings<'o> {
    all: &'o Map<String, Value>,
    hook: &'o str,
    account: &'o str,
    url: &'static str,
    verb: &'static str,
    /// It is told in our own form.
    native: bool,
    form: bool,
    secret: Option<&'o str>,
}

fn said<'d>(d: &'d Map<String, Value>, key: &str) -> &'d str {
    d.get(key).and_then(Value::as_str).unwrap_or_default()
}

impl<'o> Settings<'o> {
    fn of(target: &'o Target) -> Self {
        match target {
            Target::Hook(entry) => Settings {
                all: &entry.document,
                hook: &entry.id,
                account: entry.account.as_str(),
                url: "uri",
                verb: "http_verb",
                native: said(&entry.document, "hook") == "fax",
                form: said(&entry.document, "format") != "json",
                secret: entry.hidden.get(hidden::SECRET).and_then(Value::as_str),
            },
            Target::Callback { account, faxbox, settings } => Settings {
                all: settings,
                hook: faxbox,
                account: account.as_str(),
                url: "url",
                verb: "method",
                native: false,
                form: said(settings, "type") == "www-url-form-encoded",
                secret: None,
            },
        }
    }
}

impl Request {
    fn of(order: &HookOrder) -> Result<Request, String> {
        let s = Settings::of(&order.target);
        let mut url = Url::parse(said(s.all, s.url)).map_err(|e| format!("the URL cannot be read: {e}"))?;
        let method = match said(s.all, s.verb).to_ascii_lowercase().as_str() {
            "get" => Method::GET,
            "put" => Method::PUT,
            _ => Method::POST,
        };
        let object = |key: &str| s.all.get(key).and_then(Value::as_object);
        let mut event =
            if s.native { order.data.clone() } else { notification_body(&order.event, &order.data) };
        match object("custom_data") {
            Some(custom) if s.native => {
                event.insert("custom_data".into(), Value::Object(custom.clone()));
            }
            Some(custom) => event.extend(custom.clone()),
            None => {}
        }
        let mut headers = HeaderMap::new();
        for (name, value) in object("custom_request_headers").into_iter().flatten() {
            if let Some((name, value)) = header_field(name, value.as_str().unwrap_or_default()) {
                headers.insert(name, value);
            }
        }
        let (kind, body) = match (&method, s.native, s.form) {
            (&Method::GET, ..) => {
                url.query_pairs_mut().extend_pairs(pairs(&event));
                (None, String::new())
            }
            (_, true, _) => {
                (Some("application/json"), native_body(&order.event, order.happened, &event).to_string())
            }
            (_, false, false) => (Some("application/json"), Value::Object(event).to_string()),
            (_, false, true) => {
                let form =
                    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs(&event)).finish();
                (Some("application/x-www-form-urlencoded"), form)
            }
        };
        if let Some(kind) = kind {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        let (id, time) = (message_id(&order.delivery), order.now.unix_seconds().to_string());
        let mut own = vec![("x-hook-id", s.hook.to_owned()), ("x-account-id", s.account.to_owned())];
        if let Some(secret) = s.secret {
            own.push(("webhook-signature", signature(secret, &id, &time, body.as_bytes())?));
        }
        own.extend([("webhook-id", id), ("webhook-timestamp", time)]);
        for (name, value) in own {
            let value =
                HeaderValue::from_str(&value).map_err(|_| format!("{name} cannot be a header field"))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        Ok(Request { method, url, headers, body: body.into_bytes() })
    }
}

/// The id of a delivery, as `webhook-id` tells it: the same for all its attempts.
#[must_use]
pub fn message_id(delivery: &str) -> String {
    format!("msg_{delivery}")
}

/// `v1,` and the HMAC-SHA-256 of id, time and body (Standard Webhooks).
///
/// # Errors
///
/// For a secret that is none.
pub fn signature(secret: &str, id: &str, time: &str, body: &[u8]) -> Result<String, String> {
    let damaged = "the secret is damaged";
    let key = STANDARD.decode(secret.trim_start_matches("whsec_")).map_err(|_| damaged.to_owned())?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| damaged.to_owned())?;
    for part in [id.as_bytes(), b".", time.as_bytes(), b".", body] {
        mac.update(part);
    }
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

/// A header field that a hook may want: nothing that says how the message is framed or signed, or where it goes.
pub(crate) fn header_field(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    const OURS: [&str; 11] = [
        "host",
        "content-length",
        "content-type",
        "transfer-encoding",
        "connection",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "x-hook-id",
        "x-account-id",
    ];
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    let taken = OURS.contains(&name.as_str())
        || name.as_str().starts_with("webhook-")
        || name.as_str().starts_with("proxy-");
    let value = HeaderValue::from_str(value).ok()?;
    (!taken).then_some((name, value))
}

/// Our own body (Standard Webhooks): `type`, `timestamp`, `data`.
#[must_use]
pub fn native_body(event: &str, happened: Timestamp, data: &Map<String, Value>) -> Value {
    json!({ "type": event, "timestamp": happened.to_jiff().to_string(), "data": data })
}

/// The keys of KAZOO's fax notifications.
#[must_use]
pub fn notification_body(event: &str, data: &Map<String, Value>) -> Map<String, Value> {
    let get = |key: &str| data.get(key).cloned().unwrap_or_default();
    let result = data.get("result").cloned().unwrap_or_default();
    let of = |key: &str| result.get(key).cloned().unwrap_or_default();
    let text = |value: Value| value.as_str().unwrap_or_default().to_owned();
    let what = What::ALL.into_iter().find(|what| what.as_str() == event);
    let name = what.and_then(What::notification).unwrap_or(event);
    let inbound = text(get("direction")) == "inbound";
    let created = get("created").as_i64().map(Timestamp::from_gregorian_seconds);
    let (id, good) = (text(get("id")), of("success") == json!(true));
    let filed = created.map_or_else(|| id.clone(), |at| filed_id(at, &id));
    let callee = Some(text(get("to_name"))).filter(|n| !n.is_empty());
    let callee = callee.unwrap_or_else(|| text(get("to_number")));
    let mut d = Map::new();
    let mut put = |key: &str, value: Value| {
        if !value.is_null() {
            d.insert(key.to_owned(), value);
        }
    };
    put("event_category", "notification".into());
    put("event_name", name.into());
    put("cluster_id", "ferrofax".into());
    put("account_id", get("account_id"));
    put("faxbox_id", get("faxbox_id"));
    put("owner_id", get("owner_id"));
    put("fax_id", filed.into());
    if !inbound {
        put("fax_jobid", id.into());
        put("fax_timezone", get("timezone"));
    }
    put("from_user", get("from_number"));
    put("to_user", get("to_number"));
    put("caller_id_number", get("from_number"));
    put("caller_id_name", get("from_name"));
    put("callee_id_number", get("to_number"));
    put("callee_id_name", callee.into());
    put("call_id", of("call_id"));
    put("fax_timestamp", get("created"));
    put("fax_notifications", json!({ "email": { "send_to": get("notify") } }));
    if !good {
        put("fax_error", of("text"));
        put("fax_result_code", of("class"));
    }
    let pages = if inbound { get("pages") } else { get("pages_confirmed") };
    // KAZOO's word, where it has one; a fax that was delivered ended with an ordinary BYE.
    let q850 = of("q850").as_u64().and_then(|n| u16::try_from(n).ok());
    let hangup = switch_cause(&text(of("class")), q850).or(good.then_some("NORMAL_CLEARING"));
    let hangup = hangup.filter(|_| !inbound);
    let info = json!({
        "fax_success": good,
        "fax_result_text": of("text"),
        "fax_result_cause": of("class"),
        "fax_total_pages": get("pages"),
        "fax_transferred_pages": pages,
        "fax_transfer_rate": of("bit_rate").as_u64().unwrap_or(0),
        "fax_remote_station_id": text(of("remote_id")),
        "fax_local_station_id": text(of("local_id")),
        "fax_ecm_used": of("ecm"),
        "fax_encoding_name": text(of("coding")),
        "fax_image_resolution": text(of("resolution")),
        "fax_t38_used": of("t38"),
        "fax_bad_rows": of("bad_rows").as_u64().unwrap_or(0),
        "fax_hangup_code": of("sip_status"),
        "fax_hangup_cause": hangup,
        "fax_uncertain": of("uncertain") == json!(true),
    });
    put("fax_info", info);
    d
}

/// Fields of a form: what lies deeper as `fax_info[fax_success]`, lists as `to[]`.
fn pairs(event: &Map<String, Value>) -> Vec<(String, String)> {
    fn add(name: &str, value: &Value, into: &mut Vec<(String, String)>) {
        match value {
            Value::Null => {}
            Value::Object(fields) => {
                fields.iter().for_each(|(key, v)| add(&format!("{name}[{key}]"), v, into));
            }
            Value::Array(items) => items.iter().for_each(|v| add(&format!("{name}[]"), v, into)),
            Value::String(text) => into.push((name.to_owned(), text.clone())),
            other => into.push((name.to_owned(), other.to_string())),
        }
    }
    let mut all = Vec::new();
    event.iter().for_each(|(key, value)| add(key, value, &mut all));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_call_ended_is_told_in_kazoo_s_words_where_it_has_one() {
        for (event, direction, result, wanted) in [
            ("fax.sent", "outbound", json!({ "success": true, "class": "ok" }), json!("NORMAL_CLEARING")),
            ("fax.failed", "outbound", json!({ "class": "call.busy" }), json!("USER_BUSY")),
            (
                "fax.failed",
                "outbound",
                json!({ "class": "call.error", "q850": 38 }),
                json!("NETWORK_OUT_OF_ORDER"),
            ),
            ("fax.failed", "outbound", json!({ "class": "d.noresp" }), json!(null)),
            ("fax.received", "inbound", json!({ "success": true, "class": "ok" }), json!(null)),
        ] {
            let data = json!({ "direction": direction, "result": result, "owner_id": "u", "id": "x" });
            let told = notification_body(event, data.as_object().unwrap());
            assert_eq!(
                (&told["fax_info"]["fax_hangup_cause"], &told["owner_id"]),
                (&wanted, &json!("u")),
                "{event}"
            );
        }
    }
}
