//! A request as Crossbar reads it: its id, query, body in an envelope, and the verb that is meant.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, Method, header};
use bytes::{Bytes, BytesMut};
use fax_switch::Once;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::document::{self, Upload};
use crate::envelope::{Fault, Validation};
use crate::multipart::media_type;

/// Query parameters; of a repeated one the last.
pub type Query = BTreeMap<String, String>;

/// A request whose body has been read.
#[derive(Clone, Debug, Default)]
pub struct Envelope {
    /// `data`: an object, or what else the client sent.
    pub data: Value,
    /// The other keys, in lower case.
    pub rest: Map<String, Value>,
    /// A document that came with it.
    pub upload: Option<Upload>,
    /// What makes it the same request when it is sent again (`Idempotency-Key`).
    pub once: Option<Once>,
}

impl Envelope {
    /// A text key beside `data`.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.rest.get(key).and_then(Value::as_str).filter(|s| !s.is_empty())
    }
}

/// The request's id: the client's if it is short and printable, else a new one.
#[must_use]
pub fn request_id(headers: &HeaderMap) -> String {
    let own = headers.get("x-request-id").and_then(|v| v.to_str().ok());
    match own.filter(|id| (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())) {
        Some(id) => id.to_owned(),
        None => uuid::Uuid::new_v4().simple().to_string(),
    }
}

/// Query parameters of a request.
#[must_use]
pub fn query(uri: &axum::http::Uri) -> Query {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect()
}

/// The token in the header fields: `X-Auth-Token` or `Authorization: Bearer`.
#[must_use]
pub fn header_token(headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::trim);
    let bearer = || {
        let (scheme, token) = text("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    };
    text("x-auth-token").or_else(bearer).filter(|t| !t.is_empty()).map(str::to_owned)
}

/// Longest `Idempotency-Key`, octets.
pub const LONGEST_KEY: usize = 255;

/// What makes this the same request when it is sent again: the client's `Idempotency-Key`, and a digest of the path and of all that
/// was read from the body. How a body is cut into parts does not count: clients draw a new boundary each time.
///
/// # Errors
///
/// 400 for a key that is empty, too long or not printable.
pub fn once(headers: &HeaderMap, path: &str, envelope: &Envelope) -> Result<Option<Once>, Fault> {
    let Some(key) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let key = key.to_str().unwrap_or_default().trim();
    if key.is_empty() || key.len() > LONGEST_KEY {
        let message = format!("an Idempotency-Key has 1 to {LONGEST_KEY} printable characters");
        let mut v = Validation::default();
        v.add(
            "idempotency_key",
            "maxLength",
            serde_json::json!({ "message": message, "target": LONGEST_KEY }),
        );
        return Err(v.fault());
    }
    let mut hash = Sha256::new();
    let mut take = |part: &[u8]| {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    };
    take(path.trim_matches('/').as_bytes());
    take(sorted(&envelope.data).as_bytes());
    take(envelope.text("action").unwrap_or_default().as_bytes());
    if let Some(upload) = &envelope.upload {
        take(upload.content_type.as_bytes());
        take(upload.file_name.as_deref().unwrap_or_default().as_bytes());
        take(&upload.octets);
    }
    Ok(Some(Once { key: key.to_owned(), request: hex::encode(hash.finalize()) }))
}

/// JSON that is the same for the same value, whatever the order of the keys was.
fn sorted(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let ordered: BTreeMap<&String, String> = object.iter().map(|(k, v)| (k, sorted(v))).collect();
            let fields: Vec<String> =
                ordered.iter().map(|(k, v)| format!("{}:{v}", Value::String((*k).clone()))).collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(sorted).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

/// The verb that is meant: a POST may carry another in `verb` of its body or query.
#[must_use]
pub fn verb(method: &Method, envelope: &Envelope, query: &Query) -> Method {
    if *method == Method::HEAD {
        return Method::GET;
    }
    if *method != Method::POST {
        return method.clone();
    }
    let tunnelled = envelope.text("verb").or_else(|| query.get("verb").map(String::as_str));
    match tunnelled.map(str::to_ascii_uppercase).as_deref() {
        Some("GET") => Method::GET,
        Some("PUT") => Method::PUT,
        Some("PATCH") => Method::PATCH,
        Some("DELETE") => Method::DELETE,
        _ => Method::POST,
    }
}

/// Reads a body of at most `limit` octets, each piece of it within `patience` and all of it within `whole`.
///
/// # Errors
///
/// 413, 408 when it comes too slowly, 400 when it breaks off.
pub async fn read_body(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    patience: Duration,
    whole: Duration,
) -> Result<Bytes, Fault> {
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    if announced.is_some_and(|n| usize::try_from(n).map_or(true, |n| n > limit)) {
        return Err(Fault::too_large(limit));
    }
    let slow =
        || Fault::new(axum::http::StatusCode::REQUEST_TIMEOUT, "request_timeout", "the body came too slowly");
    let all = async {
        let mut body = body;
        let mut octets = BytesMut::new();
        loop {
            let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
            let frame = tokio::time::timeout(patience, frame).await.map_err(|_| slow())?;
            match frame {
                None => return Ok(octets.freeze()),
                Some(Err(_)) => return Err(Fault::bad_json("the body broke off")),
                Some(Ok(frame)) => {
                    let Some(piece) = frame.data_ref() else {
                        continue;
                    };
                    if octets.len().saturating_add(piece.len()) > limit {
                        return Err(Fault::too_large(limit));
                    }
                    octets.extend_from_slice(piece);
                }
            }
        }
    };
    tokio::time::timeout(whole, all).await.unwrap_or_else(|_| Err(slow()))
}

/// Reads the envelope, and the document where the path takes one.
///
/// # Errors
///
/// 400 for JSON or multipart that cannot be read, 413 for base64 that cannot be read or JSON that is too large, 415.
pub fn envelope(
    headers: &HeaderMap,
    body: &Bytes,
    query: &Query,
    takes_document: bool,
) -> Result<Envelope, Fault> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let kind = media_type(content_type);
    let mut envelope = if body.iter().all(u8::is_ascii_whitespace) {
        Envelope { data: Value::Object(Map::new()), ..Envelope::default() }
    } else {
        match kind.as_str() {
            "" | "application/json" | "application/x-json" | "text/json" => json_envelope(body)?,
            "application/x-www-form-urlencoded" => form_envelope(body)?,
            "multipart/form-data" | "multipart/mixed" if takes_document => {
                document::from_multipart(content_type, body, query)?
            }
            _ if takes_document && document::is_document(&kind) => {
                let upload = document::from_body(&kind, body, query);
                // The fields of a bare document come in the query.
                let data = query
                    .iter()
                    .map(|(k, v)| (k.clone(), Value::String(v.clone())))
                    .filter(|(k, _)| k != "auth_token");
                Envelope { data: Value::Object(data.collect()), upload: Some(upload), ..Envelope::default() }
            }
            _ => return Err(Fault::unsupported_media_type()),
        }
    };
    if envelope.data.is_null() {
        envelope.data = Value::Object(Map::new());
    }
    Ok(envelope)
}

/// Most octets of JSON in one request.
pub const JSON_LIMIT: usize = 1 << 20;

/// An envelope from its JSON.
///
/// # Errors
///
/// 400 if it is no JSON object, 413 if it is too large.
pub fn json_envelope(octets: &[u8]) -> Result<Envelope, Fault> {
    if octets.len() > JSON_LIMIT {
        return Err(Fault::too_large(JSON_LIMIT));
    }
    let value: Value =
        serde_json::from_slice(octets).map_err(|e| Fault::bad_json(&format!("invalid JSON: {e}")))?;
    let Value::Object(object) = value else {
        return Err(Fault::bad_json("the envelope must be a JSON object"));
    };
    let mut rest: Map<String, Value> = object.into_iter().map(|(k, v)| (k.to_ascii_lowercase(), v)).collect();
    let data = rest.remove("data").unwrap_or_default();
    Ok(Envelope { data, rest, ..Envelope::default() })
}

/// A form: `curl -d` sends JSON under this type too.
fn form_envelope(octets: &[u8]) -> Result<Envelope, Fault> {
    if octets.trim_ascii_start().starts_with(b"{") {
        return json_envelope(octets);
    }
    if octets.len() > JSON_LIMIT {
        return Err(Fault::too_large(JSON_LIMIT));
    }
    let fields = form_urlencoded::parse(octets).into_owned().map(|(k, v)| (k, Value::String(v)));
    let mut rest = Map::new();
    let mut data = Map::new();
    for (key, value) in fields {
        match key.as_str() {
            "auth_token" | "verb" | "action" => rest.insert(key, value),
            _ => data.insert(key, value),
        };
    }
    Ok(Envelope { data: Value::Object(data), rest, ..Envelope::default() })
}
