//! The description of the API and the API itself: the same paths, the same verbs, the same fields.

use crate::rig::{A, KEY, Rig, start};
use axum::http::Method;
use fax_api::Config;
use fax_api::route::{Resource, Right, paths};
use fax_api::schema;
use serde_json::{Value, json};
use std::collections::BTreeSet;

async fn calm() -> Rig {
    start(Config { requests: (1e9, 1e9), failures: (1e9, 1e9), ..Config::default() }, false).await
}

#[tokio::test]
async fn what_is_described_is_served_and_what_is_served_is_described() {
    let rig = calm().await;
    let served = rig.send("GET", "/openapi.json", &[], "").await;
    assert_eq!((served.status, served.header("content-type")), (200, "application/json"));
    let api = served.json;
    assert_eq!(api["openapi"], "3.1.0");
    let described: BTreeSet<(String, String)> = api["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            let verbs = item.as_object().unwrap().keys().filter(|k| *k != "parameters");
            verbs.map(|verb| (verb.to_uppercase(), path.clone())).collect::<Vec<_>>()
        })
        .collect();
    let table: BTreeSet<(String, String)> = paths()
        .iter()
        .flat_map(|p| p.resource.verbs().iter().map(|(v, _)| (v.to_string(), format!("/v2/{}", p.pattern))))
        .collect();
    assert_eq!(described, table);

    // Asked of the server itself: every verb that is described is known there, and every other is refused with those that are.
    let mut asked = 0;
    for path in paths() {
        let known: Vec<&Method> = path.resource.verbs().iter().map(|(verb, _)| verb).collect();
        let concrete = path.pattern.replace("{account}", A).replace("{user}", "u").replace("{faxbox}", "f");
        let concrete = format!("/v2/{}", concrete.replace("{id}", "0123456789abcdef0123456789abcdef"));
        for verb in [Method::GET, Method::PUT, Method::POST, Method::PATCH, Method::DELETE] {
            // What would end this test: its own account, and the log-ins, which know nobody.
            if path.pattern == "accounts/{account}" && verb == Method::DELETE {
                continue;
            }
            // The stream of events has no end; the tests of what is live ask for it.
            if path.resource == Resource::Events && verb == Method::GET {
                continue;
            }
            let body = if matches!(verb, Method::GET | Method::DELETE) {
                Value::Null
            } else {
                json!({ "data": {} })
            };
            let (status, answer) = rig.with(KEY, verb.as_str(), &concrete, body).await;
            let row = format!("{verb} {concrete}: {status} {answer}");
            assert_eq!(status == 405, !known.contains(&&verb), "{row}");
            // What a path that nobody knows is answered with.
            assert!(answer["data"]["message"] != "not found", "{row}");
            let item = &api["paths"][format!("/v2/{}", path.pattern)][verb.as_str().to_lowercase()];
            let told = known.contains(&&verb) && status < 500;
            assert!(!told || item["responses"][status.to_string()].is_object(), "not described: {row}");
            asked += 1;
        }
    }
    assert!(asked > 300, "{asked}");
}

#[tokio::test]
async fn rights_names_and_references_are_in_order() {
    let rig = calm().await;
    let api = rig.send("GET", "/openapi.json", &[], "").await.json;
    let mut names = BTreeSet::new();
    for path in paths() {
        for (verb, right) in path.resource.verbs() {
            let item = &api["paths"][format!("/v2/{}", path.pattern)][verb.as_str().to_lowercase()];
            assert!(names.insert(item["operationId"].as_str().unwrap().to_owned()), "{item}");
            assert!(!item["summary"].as_str().unwrap().is_empty());
            match right {
                Right::Open => assert_eq!(item["security"], json!([])),
                // Those of the whole description hold, no scope is named.
                Right::Token => assert!(item.get("security").is_none() && item.get("x-scope").is_none()),
                other => assert_eq!(item["x-scope"].as_str(), other.scope()),
            }
        }
    }
    let mut left = vec![&api];
    while let Some(value) = left.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                    assert!(api.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
                }
                left.extend(fields.values());
            }
            Value::Array(items) => left.extend(items),
            _ => {}
        }
    }
}

/// What is not the same for all paths of a verb.
#[tokio::test]
async fn actions_headers_and_lists_are_told() {
    let rig = calm().await;
    let api = rig.send("GET", "/openapi.json", &[], "").await.json;
    let faxes = |below: &str| api["paths"][format!("/v2/accounts/{{account}}/faxes{below}")].clone();
    let names = |of: &Value| -> Vec<String> {
        let all = of["parameters"].as_array().into_iter().flatten();
        all.map(|p| p["name"].as_str().unwrap().to_owned()).collect()
    };
    for (folder, action, done, key) in [
        ("outgoing", "restart", "200", false),
        ("outbox", "resubmit", "201", true),
        ("inbox", "forward", "201", true),
    ] {
        let put = faxes(&format!("/{folder}/{{id}}"))["put"].clone();
        let schema = &put["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(schema["properties"]["action"]["enum"], json!([action]));
        assert!(schema["properties"]["data"].get("required").is_none(), "{schema}");
        let told = |status: &str| put["responses"][status].is_object();
        assert!(told(done) && !told(if key { "200" } else { "201" }), "{put}");
        assert_eq!((told("422"), told("500")), (key, key), "{put}");
        assert_eq!(names(&put).contains(&"Idempotency-Key".to_owned()), key, "{put}");
    }
    let learnt = &api["paths"]["/v2/accounts/{account}/destinations"]["get"];
    assert!(!names(learnt).contains(&"ascending".to_owned()), "they stand in the order of numbers");
    let attachment = faxes("/inbox/{id}/attachment")["get"].clone();
    assert_eq!(names(&attachment), ["accept", "Range", "If-None-Match"]);
    for (list, dated) in [("/incoming", false), ("/inbox", true), ("/smtplog", true)] {
        let get = faxes(list)["get"].clone();
        for name in ["created_from", "created_to", "modified_from", "modified_to", "ascending"] {
            assert!(names(&get).contains(&name.to_owned()), "{list} {name}");
        }
        let from = get["parameters"].as_array().unwrap().iter().find(|p| p["name"] == "created_from");
        assert_eq!(from.unwrap()["description"].as_str().unwrap().contains("31 days"), dated, "{list}");
        assert!(names(&get).contains(&"page_size".to_owned()) && get["responses"]["416"].is_object());
    }
}

/// The schemas that are told are those that requests are checked by.
#[tokio::test]
async fn schemas_tell_what_is_checked() {
    let rig = calm().await;
    let (status, all) = rig.with(KEY, "GET", "/v2/schemas", Value::Null).await;
    assert_eq!(status, 200);
    assert!(all["data"].as_array().unwrap().contains(&json!("faxboxes")));
    let (status, told) = rig.with(KEY, "GET", "/v2/schemas/faxboxes", Value::Null).await;
    assert_eq!((status, &told["data"]["required"]), (200, &json!(["name"])));
    assert_eq!(
        told["data"]["properties"]["retries"],
        json!({ "type": "integer", "minimum": 0, "maximum": 4, "default": 1 })
    );
    let url = &told["data"]["properties"]["notifications"]["properties"]["inbound"]["properties"]["callback"]
        ["properties"]["url"];
    assert_eq!(url["pattern"], "^https?://");
    assert_eq!(rig.with(KEY, "GET", "/v2/schemas/nothing", Value::Null).await.0, 404);

    // Faxes are checked by code of their own: each field of the schema, given wrongly, is found wrong there.
    for property in schema::FAX.iter().filter(|p| p.path != "faxbox_id") {
        let wrong =
            property.path.rsplit('.').fold(json!({ "no": ["such", 1] }), |value, key| json!({ key: value }));
        let mut data = json!({ "to_number": "+14155551234", "from_number": "4155550100", "document": { "url": "http://127.0.0.1:9/" } });
        for (key, value) in wrong.as_object().unwrap() {
            data[key] = value.clone();
        }
        let (status, answer) = rig.with(KEY, "PUT", &crate::rig::faxes(""), json!({ "data": data })).await;
        assert_eq!(status, 400, "{} {answer}", property.path);
        assert!(answer["data"][property.path].is_object(), "{} {answer}", property.path);
    }
    let (_, answer) = rig.with(KEY, "PUT", &crate::rig::faxes(""), json!({ "data": {} })).await;
    let required: Vec<&str> = schema::FAX.iter().filter(|p| p.required).map(|p| p.path).collect();
    for field in required {
        assert!(answer["data"][field]["required"].is_object(), "{field} {answer}");
    }
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let rig = calm().await;
    for (path, kind) in
        [("/docs", "text/html"), ("/docs/page.js", "text/javascript"), ("/docs/page.css", "text/css")]
    {
        let file = rig.send("GET", path, &[], "").await;
        assert_eq!(file.status, 200, "{path}");
        assert!(file.header("content-type").starts_with(kind), "{path}");
        assert!(file.header("content-security-policy").contains("default-src 'none'"));
        let text = String::from_utf8(file.body.to_vec()).unwrap();
        assert!(
            !text.contains("://") && !text.contains("innerHTML"),
            "{path} reaches elsewhere, or sets markup"
        );
    }
}
