//! Answers: the envelope around every JSON answer, its headers, and errors as clients know them (Crossbar v2).

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use fax_switch::{ServiceError, SubmitError};
use serde_json::{Map, Value, json};

/// A successful answer before its envelope.
#[derive(Clone, Debug, Default)]
pub struct Success {
    /// 200 or 201.
    pub created: bool,
    /// `data`.
    pub data: Value,
    /// Further keys of the envelope: `page_size`, `start_key`, `next_start_key`, `metadata`.
    pub extra: Map<String, Value>,
    /// `Location`, of a PUT.
    pub location: Option<String>,
}

impl Success {
    /// 200 with this `data`.
    #[must_use]
    pub fn ok(data: Value) -> Self {
        Success { data, ..Success::default() }
    }

    /// 201 with this `data` and the new resource's id for `Location`.
    #[must_use]
    pub fn created(data: Value, id: impl Into<String>) -> Self {
        Success { created: true, data, location: Some(id.into()), ..Success::default() }
    }
}

/// An error answer before its envelope.
#[derive(Clone, Debug)]
pub struct Fault {
    /// HTTP status.
    pub status: StatusCode,
    /// `message` of the envelope: the error's name.
    pub name: String,
    /// `data` of the envelope.
    pub data: Value,
    /// Verbs for `Allow`, of a 405.
    pub allow: Option<String>,
    /// Seconds for `Retry-After`, of a 429 and of a 503 that passes.
    pub retry_after: Option<u64>,
}

impl Fault {
    /// An error of this status and name; `data.message` is a sentence.
    #[must_use]
    pub fn new(status: StatusCode, name: &str, message: &str) -> Self {
        Fault {
            status,
            name: name.to_owned(),
            data: json!({ "message": message }),
            allow: None,
            retry_after: None,
        }
    }

    /// 401.
    #[must_use]
    pub fn invalid_credentials() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_credentials", "invalid credentials")
    }

    /// 403.
    #[must_use]
    pub fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "forbidden")
    }

    /// 403 for what stands in the configuration file and is not changed from here.
    #[must_use]
    pub fn fixed(what: &str) -> Self {
        let message = format!(
            "this {what} stands in the configuration file: change it there and run `ferrofax reload`"
        );
        Self::new(StatusCode::FORBIDDEN, "forbidden", &message)
    }

    /// 429.
    #[must_use]
    pub fn too_many_requests(wait: std::time::Duration) -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        Fault {
            retry_after: Some(wait.as_secs()),
            ..Self::new(status, "too_many_requests", "too many requests: wait and try again")
        }
    }

    /// 404 for an id that is not there.
    #[must_use]
    pub fn bad_identifier(id: &str) -> Self {
        let data = json!({ "message": "bad identifier", "cause": [id] });
        Fault { data, ..Self::new(StatusCode::NOT_FOUND, "bad_identifier", "") }
    }

    /// 404 for a path that is not there.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "not found")
    }

    /// 405 with the verbs that the path knows.
    #[must_use]
    pub fn invalid_method(allow: &str) -> Self {
        Fault {
            allow: Some(allow.to_owned()),
            ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_method", "method not allowed")
        }
    }

    /// 406.
    #[must_use]
    pub fn not_acceptable() -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", "none of the accepted types can be given")
    }

    /// 413 in the shape of a validation error.
    #[must_use]
    pub fn too_large(limit: usize) -> Self {
        Fault {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            name: "file too large".into(),
            data: json!({ "file": { "maxSize": { "message": "Files must not be more than the allowed size", "target": limit } } }),
            allow: None,
            retry_after: None,
        }
    }

    /// 413 for a part whose base64 cannot be read.
    #[must_use]
    pub fn bad_encoding() -> Self {
        Fault {
            data: json!({ "file": { "encoding": { "message": "File content could not be decoded as base64" } } }),
            ..Self::too_large(0)
        }
    }

    /// 400 for a body that cannot be read.
    #[must_use]
    pub fn bad_json(why: &str) -> Self {
        let mut v = Validation::default();
        v.add("json", "invalid", json!({ "message": why, "target": "body" }));
        v.fault()
    }

    /// 415.
    #[must_use]
    pub fn unsupported_media_type() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "bodies of this type are not taken here",
        )
    }

    /// 500 of a free name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, name, name)
    }

    /// What the service says about the resource `id`.
    #[must_use]
    pub fn of_service(error: &ServiceError, id: &str) -> Self {
        match error {
            ServiceError::NotFound => Self::bad_identifier(id),
            ServiceError::NoDocument => Self::new(StatusCode::NOT_FOUND, "not_found", "no attachment found"),
            ServiceError::KeyDestroyed => Self::new(StatusCode::NOT_FOUND, "not_found", &error.to_string()),
            ServiceError::Taken(name) => Fault {
                data: json!({ "message": "conflicting documents", "cause": format!("{name} is in use already") }),
                ..Self::new(StatusCode::CONFLICT, "datastore_conflict", "")
            },
            ServiceError::Conflict(why) => Fault {
                data: json!({ "message": "conflicting documents", "cause": why }),
                ..Self::new(StatusCode::CONFLICT, "datastore_conflict", "")
            },
            ServiceError::Unavailable(why) => {
                tracing::error!(%why, "the store failed a request");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "datastore_fault", "the store is not available")
            }
        }
    }

    /// Why a job was not taken.
    #[must_use]
    pub fn of_submit(error: &SubmitError, account: &str, faxbox: Option<&str>) -> Self {
        let mut v = Validation::default();
        match error {
            SubmitError::UnknownAccount => return Self::bad_identifier(account),
            SubmitError::UnknownFaxbox => return Self::bad_identifier(faxbox.unwrap_or_default()),
            SubmitError::TooLarge(limit) => return Self::too_large(*limit),
            SubmitError::NotFound => return Self::bad_identifier(account),
            SubmitError::Conflict(why) => {
                return Self::of_service(&ServiceError::Conflict(why.clone()), account);
            }
            SubmitError::KeyReused => {
                let message =
                    "this Idempotency-Key was used for another fax within the last 24 hours: take a new key";
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                return Self::new(status, "idempotency_key_reused", message);
            }
            SubmitError::Unavailable(why) => {
                return Self::of_service(&ServiceError::Unavailable(why.clone()), account);
            }
            SubmitError::Disabled => {
                v.add("account", "disabled", json!({ "message": "account is disabled" }));
            }
            SubmitError::CallerId(number) => v.add(
                "from_number",
                "error",
                json!({ "message": format!("invalid fax cid number: {number}"), "cause": number }),
            ),
            SubmitError::EmptyDocument => {
                v.add("file", "required", json!({ "message": "the uploaded document is empty" }))
            }
            SubmitError::Barred(why) => {
                v.add("document.to_number", "forbidden", json!({ "message": why }));
            }
            SubmitError::BadNumber(number) => v.add(
                "document.to_number",
                "required",
                json!({ "message": "add a valid number to send the fax to", "cause": number }),
            ),
        }
        v.fault()
    }
}

/// Collects what is wrong with the fields of a request.
#[derive(Clone, Debug, Default)]
pub struct Validation {
    fields: Map<String, Value>,
}

impl Validation {
    /// Field `field` (dotted) breaks `rule`.
    pub fn add(&mut self, field: &str, rule: &str, detail: Value) {
        let rules = self.fields.entry(field.to_owned()).or_insert_with(|| json!({}));
        if let Value::Object(rules) = rules {
            rules.insert(rule.to_owned(), detail);
        }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The 400 that tells all of it.
    #[must_use]
    pub fn fault(self) -> Fault {
        Fault {
            status: StatusCode::BAD_REQUEST,
            name: "validation error".into(),
            data: Value::Object(self.fields),
            allow: None,
            retry_after: None,
        }
    }
}

/// What every envelope repeats of its request.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// The request's id.
    pub request_id: String,
    /// The token it came with.
    pub auth_token: Option<String>,
    /// The node's name.
    pub node: String,
    /// Indent the JSON.
    pub pretty: bool,
}

impl Frame {
    /// The answer to a request.
    #[must_use]
    pub fn answer(&self, result: Result<Success, Fault>) -> Response<Body> {
        let mut envelope = Map::new();
        let mut headers = HeaderMap::new();
        let status = match result {
            Ok(success) => {
                envelope.insert("data".into(), success.data);
                envelope.insert("status".into(), "success".into());
                envelope.extend(success.extra);
                if let Some(location) = success.location.and_then(|l| HeaderValue::try_from(l).ok()) {
                    headers.insert(header::LOCATION, location);
                }
                if success.created { StatusCode::CREATED } else { StatusCode::OK }
            }
            Err(fault) => {
                envelope.insert("data".into(), fault.data);
                envelope.insert("error".into(), fault.status.as_u16().to_string().into());
                envelope.insert("message".into(), fault.name.into());
                envelope.insert("status".into(), "error".into());
                if let Some(allow) = fault.allow.and_then(|a| HeaderValue::try_from(a).ok()) {
                    headers.insert(header::ALLOW, allow);
                }
                if let Some(seconds) = fault.retry_after {
                    headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                }
                if fault.status == StatusCode::UNAUTHORIZED {
                    headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                }
                fault.status
            }
        };
        if let Some(token) = &self.auth_token {
            envelope.insert("auth_token".into(), token.as_str().into());
        }
        envelope.insert("request_id".into(), self.request_id.as_str().into());
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        envelope.insert("timestamp".into(), now.into());
        envelope.insert("version".into(), env!("CARGO_PKG_VERSION").into());
        envelope.insert("node".into(), self.node.as_str().into());
        let envelope = Value::Object(envelope);
        let text =
            if self.pretty { serde_json::to_vec_pretty(&envelope) } else { serde_json::to_vec(&envelope) };
        let mut response = Response::new(Body::from(text.unwrap_or_default()));
        *response.status_mut() = status;
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.headers_mut().extend(headers);
        self.mark(response)
    }

    /// Adds what every answer carries: CORS, request id.
    #[must_use]
    pub fn mark(&self, mut response: Response<Body>) -> Response<Body> {
        let headers = response.headers_mut();
        for (name, value) in CORS {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        if let Ok(id) = HeaderValue::try_from(self.request_id.as_str()) {
            headers.insert(HeaderName::from_static("x-request-id"), id);
        }
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-cache"));
        response
    }
}

const CORS: [(&str, &str); 5] = [
    ("access-control-allow-origin", "*"),
    ("access-control-allow-methods", "GET, HEAD, PUT, POST, PATCH, DELETE, OPTIONS"),
    (
        "access-control-allow-headers",
        "content-type, accept, authorization, depth, user-agent, x-auth-token, x-requested-with, x-request-id, \
         x-pretty-print, if-none-match, range, idempotency-key",
    ),
    (
        "access-control-expose-headers",
        "content-type, content-disposition, content-range, x-auth-token, x-request-id, x-kazoo-cluster-id, location, etag",
    ),
    ("access-control-max-age", "86400"),
];
