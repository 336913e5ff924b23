//! The description of this API (OpenAPI 3.1), made from what serves it: the rows of [`paths`], their verbs and rights, and
//! the fields of [`crate::schema`] that documents are checked by.
//!
//! `/openapi.json` is the description, `/docs` a page that shows it; both are for everybody, since they tell nothing of
//! this server but what it can do.

mod words;

use axum::Router;
use axum::http::{HeaderName, Method, header};
use axum::routing::get;
use serde_json::{Map, Value, json};

use crate::route::{Folder, Path, Resource, Right, paths};
use crate::{request, schema};
use words::{Shape, shape, summary, tag};

/// The page and what belongs to it come from here and nowhere else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// `/openapi.json` and `/docs`.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let text = document().to_string();
    let file = |kind: &'static str, text: String| {
        let headers = [
            (header::CONTENT_TYPE, kind),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (HeaderName::from_static("access-control-allow-origin"), "*"),
        ];
        get(move || async move { (headers, text) })
    };
    Router::new()
        .route("/openapi.json", file("application/json", text))
        .route("/docs", file("text/html; charset=utf-8", include_str!("openapi/page.html").into()))
        .route(
            "/docs/page.js",
            file("text/javascript; charset=utf-8", include_str!("openapi/page.js").into()),
        )
        .route("/docs/page.css", file("text/css; charset=utf-8", include_str!("openapi/page.css").into()))
}

/// The whole description.
#[must_use]
pub fn document() -> Value {
    let mut described = Map::new();
    for path in paths() {
        let operations = path.resource.verbs().iter();
        let mut item: Map<String, Value> = operations
            .map(|(verb, right)| (verb.as_str().to_lowercase(), operation(path, verb, *right)))
            .collect();
        item.insert("parameters".into(), Value::Array(placeholders(&path.pattern)));
        described.insert(format!("/v2/{}", path.pattern), Value::Object(item));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "ferrofax",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Send and receive faxes, and set up who may.",
            "description": INTRODUCTION,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }, { "bearer": [] }, { "query": [] }],
        "tags": words::TAGS.iter().map(|(name, about)| json!({ "name": name, "description": about })).collect::<Vec<_>>(),
        "paths": described,
        "components": {
            "securitySchemes": {
                "token": { "type": "apiKey", "in": "header", "name": "X-Auth-Token", "description": "An API key, or a token from api_auth or user_auth." },
                "bearer": { "type": "http", "scheme": "bearer", "description": "The same." },
                "query": { "type": "apiKey", "in": "query", "name": "auth_token", "description": "The same, for links that a browser follows." },
            },
            "schemas": schemas(),
            "responses": responses(),
        },
    })
}

const INTRODUCTION: &str = "Every body is an envelope with `data`; every answer is one with `data`, `status`, `request_id`, \
    `timestamp`, `version` and `node`. Errors have `error` (the status as text), `message` (the error's name), and in `data` what is \
    wrong: of a document field by field and rule by rule. `/v1/…` is the same as `/v2/…`. A PUT makes something new and answers 201 with \
    `Location`; POST replaces, PATCH merges. A POST with `verb` in its body or query is taken as that verb. Times are seconds since the \
    year 0 (Gregorian), as everywhere in this API's family; ids are opaque.";

fn operation(path: &Path, verb: &Method, right: Right) -> Value {
    let resource = path.resource;
    let name = path.pattern.replace(['{', '}'], "").replace('/', "_");
    let mut o = Map::new();
    o.insert("operationId".into(), format!("{}_{name}", verb.as_str().to_lowercase()).into());
    o.insert("tags".into(), json!([tag(resource)]));
    o.insert("summary".into(), summary(resource, verb).into());
    match (right, right.scope()) {
        (Right::Open, _) => {
            o.insert("security".into(), json!([]));
        }
        (_, None) => {
            o.insert("description".into(), "For every key and token, whatever its scopes.".into());
        }
        (_, Some(scope)) => {
            o.insert("description".into(), format!("A key with scopes needs `{scope}`.").into());
            o.insert("x-scope".into(), scope.into());
        }
    }
    let mut parameters = query(resource, verb);
    parameters.extend(headers(resource, verb));
    if !parameters.is_empty() {
        o.insert("parameters".into(), Value::Array(parameters));
    }
    if let Some(body) = body(resource, verb) {
        o.insert("requestBody".into(), body);
    }
    o.insert("responses".into(), Value::Object(answers(resource, verb, right)));
    Value::Object(o)
}

/// The parts of a path that stand for any text.
fn placeholders(pattern: &str) -> Vec<Value> {
    let names = pattern.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name| {
        json!({
            "name": name, "in": "path", "required": true, "description": words::placeholder(name),
            "schema": { "type": "string", "minLength": 1, "maxLength": 256 },
        })
    };
    names.map(parameter).collect()
}

fn query(resource: Resource, verb: &Method) -> Vec<Value> {
    let parameter = |name: &str, schema: Value, about: &str| json!({ "name": name, "in": "query", "schema": schema, "description": about });
    let mut all = Vec::new();
    if *verb == Method::GET && shape(resource, verb) == Shape::Page {
        let flag = json!({ "type": "string", "enum": ["true", "false"] });
        all.push(parameter(
            "page_size",
            json!({ "type": "integer", "minimum": 1, "maximum": crate::filter::PAGE_LIMIT }),
            "Items of a page; 50.",
        ));
        all.push(parameter(
            "start_key",
            json!({ "type": "string" }),
            "Where to go on: `next_start_key` of the page before.",
        ));
        all.push(parameter("paginate", flag.clone(), "`false`: all of them in one answer."));
        // What was learnt of numbers stands in the order of the numbers.
        if resource != Resource::Destinations {
            all.push(parameter("ascending", flag, "`true`: the oldest first; else the newest."));
        }
        let created = if resource.is_dated() {
            "A range of at most 31 days; without it the last 31 days."
        } else {
            "Only what was made then; what has no date, as what the configuration file names, too."
        };
        let modified = "Only what was changed last then, or made and never changed; what has no date, too.";
        for (name, about) in [
            ("created_from", created),
            ("created_to", created),
            ("modified_from", modified),
            ("modified_to", modified),
        ] {
            all.push(parameter(name, json!({ "type": "integer" }), about));
        }
        for name in ["has_key", "key_missing", "has_value", "missing_value"] {
            all.push(parameter(name, json!({ "type": "string" }), "Only documents with, or without, this field; besides `filter_FIELD=VALUE` and `filter_not_FIELD=VALUE`."));
        }
    }
    if matches!(resource, Resource::Attachment(_)) {
        all.push(parameter(
            "accept",
            json!({ "type": "string" }),
            "The media type wanted, over the header `Accept`: application/pdf, image/tiff.",
        ));
    }
    all
}

/// Whether a request with an `Idempotency-Key` is carried out once.
fn takes_key(resource: Resource, verb: &Method) -> bool {
    let makes_fax = matches!(
        resource,
        Resource::Faxes | Resource::Folder(Folder::Outgoing) | Resource::Fax(Folder::Outbox | Folder::Inbox)
    );
    *verb == Method::PUT && makes_fax
}

/// Header fields of requests that do something here.
fn headers(resource: Resource, verb: &Method) -> Vec<Value> {
    let parameter = |name: &str, schema: Value, about: &str| json!({ "name": name, "in": "header", "schema": schema, "description": about });
    let text = json!({ "type": "string" });
    if takes_key(resource, verb) {
        let key = json!({ "type": "string", "minLength": 1, "maxLength": request::LONGEST_KEY });
        let about = "A request that comes again with the same key within 24 hours makes no second fax.";
        return vec![parameter("Idempotency-Key", key, about)];
    }
    if matches!(resource, Resource::Attachment(_)) && *verb == Method::GET {
        return vec![
            parameter("Range", text.clone(), "The octets wanted: `bytes=0-1023`."),
            parameter("If-None-Match", text, "The `ETag` of what is there already."),
        ];
    }
    Vec::new()
}

fn body(resource: Resource, verb: &Method) -> Option<Value> {
    if matches!(*verb, Method::GET | Method::DELETE) {
        return None;
    }
    let data = match schema::of(resource) {
        Some(_) if (resource, verb) == (Resource::Webhooks, &Method::PATCH) => {
            json!({ "type": "object", "required": ["re-enable"], "properties": { "re-enable": { "type": "boolean" } } })
        }
        // What is not given of a fax that there is stays as it was.
        Some((name, _)) if *verb != Method::PATCH && !matches!(resource, Resource::Fax(_)) => {
            json!({ "$ref": format!("#/components/schemas/{name}") })
        }
        Some((_, fields)) => without_required(schema::json_schema(fields)),
        None => json!({ "type": "object" }),
    };
    let mut envelope = json!({ "type": "object", "required": ["data"], "properties": { "data": data } });
    if let (Resource::Fax(folder), true) = (resource, *verb == Method::PUT) {
        let known = match folder {
            Folder::Outgoing => "restart",
            Folder::Outbox => "resubmit",
            Folder::Inbox | Folder::Incoming => "forward",
        };
        envelope["required"] = json!(["action"]);
        envelope["properties"]["action"] = json!({ "type": "string", "enum": [known] });
    }
    let mut content = json!({ "application/json": { "schema": envelope } });
    if resource.takes_document()
        && let Some(content) = content.as_object_mut()
    {
        let binary = json!({ "schema": { "type": "string", "format": "binary" } });
        content.insert("application/pdf".into(), binary.clone());
        content.insert("image/tiff".into(), binary);
        let parts = json!({ "schema": { "type": "string", "format": "binary", "description": "A part with the JSON envelope and a part with the document." } });
        content.insert("multipart/mixed".into(), parts);
    }
    Some(json!({ "required": !matches!(resource, Resource::Number | Resource::Reload), "content": content }))
}

fn without_required(mut schema: Value) -> Value {
    if let Some(fields) = schema.as_object_mut() {
        fields.remove("required");
    }
    schema
}

/// What comes back, by status.
fn answers(resource: Resource, verb: &Method, right: Right) -> Map<String, Value> {
    let data = match schema::of(resource).filter(|_| right != Right::Open) {
        Some((name, _)) => json!({ "$ref": format!("#/components/schemas/{name}Shown") }),
        None => json!({ "type": "object" }),
    };
    let (data, page) = match shape(resource, verb) {
        Shape::One => (data, false),
        Shape::Page => (json!({ "type": "array", "items": data }), true),
        Shape::List => (json!({ "type": "array" }), false),
        Shape::File | Shape::Stream => (Value::Null, false),
    };
    let mut all = Map::new();
    if shape(resource, verb) == Shape::Stream {
        let content = json!({ "text/event-stream": { "schema": { "type": "string" } } });
        all.insert("200".into(), json!({ "description": "Events.", "content": content }));
    } else if shape(resource, verb) == Shape::File {
        let file = || json!({ "schema": { "type": "string", "format": "binary" } });
        let content =
            json!({ "application/pdf": file(), "image/tiff": file(), "application/octet-stream": file() });
        all.insert("200".into(), json!({ "description": "The document.", "content": content }));
        all.insert(
            "206".into(),
            json!({ "description": "The part of it that `Range` asks for.", "content": content }),
        );
        all.insert("304".into(), json!({ "description": "It is still what `If-None-Match` says." }));
        all.insert("416".into(), json!({ "description": "It has no such part." }));
    } else {
        let mut properties = json!({ "data": data });
        if let (true, Some(properties)) = (page, properties.as_object_mut()) {
            properties.insert("page_size".into(), json!({ "type": "integer" }));
            properties.insert("start_key".into(), json!({ "type": ["string", "null"] }));
            properties.insert("next_start_key".into(), json!({ "type": ["string", "null"] }));
        }
        let schema = json!({ "allOf": [{ "$ref": "#/components/schemas/Envelope" }, { "type": "object", "required": ["data"], "properties": properties }] });
        let makes = !matches!(resource, Resource::Reload | Resource::Fax(Folder::Outgoing));
        let (status, about) =
            if *verb == Method::PUT && makes { ("201", "It is made.") } else { ("200", "Done.") };
        let mut answer =
            json!({ "description": about, "content": { "application/json": { "schema": schema } } });
        if let (true, Some(answer)) = (status == "201", answer.as_object_mut()) {
            let location =
                json!({ "Location": { "schema": { "type": "string" }, "description": "The new id." } });
            answer.insert("headers".into(), location);
        }
        all.insert(status.into(), answer);
    }
    let here = |status: u16| match status {
        RANGE => page,
        KEY_REUSED => takes_key(resource, verb),
        NAMED => matches!(resource, Resource::Fax(f) | Resource::Attachment(f) if f != Folder::Outgoing),
        _ => true,
    };
    for (status, _) in ERRORS.iter().filter(|(status, _)| here(*status)) {
        all.insert(status.to_string(), json!({ "$ref": format!("#/components/responses/E{status}") }));
    }
    all
}

/// Too long a list.
const RANGE: u16 = 416;
/// The key of another request.
const KEY_REUSED: u16 = 422;
/// Errors that KAZOO names so.
const NAMED: u16 = 500;

/// The statuses of errors; those with a name of their own above are not everywhere.
const ERRORS: [(u16, &str); 15] = [
    (400, "What is wrong with the document or query is in `data`, field by field."),
    (401, "No token, or one that is not known or has ended."),
    (403, "The token is not for this."),
    (404, "There is no such thing."),
    (405, "It does not know this verb; `Allow` says which it does."),
    (406, "It cannot be given in a type that is accepted."),
    (408, "The body came too slowly."),
    (409, "Somebody else has changed it, or it is in a state in which this cannot be done."),
    (413, "The body is too large."),
    (415, "Bodies of this type are not taken here."),
    (RANGE, "The list is too long for one answer: leave `paginate=false` out."),
    (KEY_REUSED, "The `Idempotency-Key` was used for another fax within the last 24 hours."),
    (429, "Too many requests: wait as long as `Retry-After` says."),
    (
        NAMED,
        "The action is missing or not known, the fax is in another folder, or it has no document to send: `message` says which.",
    ),
    (503, "The store cannot be reached, or all places are taken: nothing was done; try again."),
];

fn responses() -> Map<String, Value> {
    let content = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } });
    let one = |(status, about): &(u16, &str)| {
        (format!("E{status}"), json!({ "description": about, "content": content }))
    };
    ERRORS.iter().map(one).collect()
}

/// The attempts of one fax.
fn history() -> Value {
    let (text, number, flag) =
        (json!({ "type": "string" }), json!({ "type": "integer" }), json!({ "type": "boolean" }));
    json!({
        "type": "array",
        "description": "Its attempts in their order, where one fax that was sent is read. What is not known of an attempt is left out.",
        "items": { "type": "object", "properties": {
            "began": number, "ended": number, "cause": text, "text": text, "sip_status": number, "q850": number,
            "pages_confirmed": number, "trunk": text, "call_id": text, "modem": text, "bit_rate": number, "t38": flag,
            "ecm": flag, "recording": text,
            "ladder": { "type": "array", "items": text, "description": "What went over the line, line by line." },
        } },
    })
}

fn schemas() -> Map<String, Value> {
    let text = json!({ "type": "string" });
    let framed = json!({
        "status": text, "request_id": text, "timestamp": { "type": "string", "format": "date-time" },
        "version": text, "node": text, "auth_token": text,
    });
    let mut envelope = framed.clone();
    envelope["status"] = json!({ "const": "success" });
    let mut error = framed;
    error["status"] = json!({ "const": "error" });
    error["error"] = json!({ "type": "string", "pattern": "^[45][0-9][0-9]$" });
    error["message"] = json!({ "type": "string" });
    error["data"] = json!({ "type": "object" });
    let always = ["status", "request_id", "timestamp", "version", "node"];
    let wrong: Vec<&str> = always.into_iter().chain(["error", "message", "data"]).collect();
    let mut all = Map::new();
    all.insert("Envelope".into(), json!({ "type": "object", "required": always, "properties": envelope }));
    all.insert("Error".into(), json!({ "type": "object", "required": wrong, "properties": error }));
    for (name, fields) in schema::ALL {
        all.insert((*name).into(), schema::json_schema(fields));
        all.insert(format!("{name}Shown"), schema::json_schema_shown(fields));
    }
    if let Some(Value::Object(shown)) = all.get_mut("faxesShown").and_then(|fax| fax.get_mut("properties")) {
        shown.insert("history".into(), history());
    }
    all
}
