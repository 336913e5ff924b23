//! The account's own key, and tokens that are limited at login.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests, which may

mod rig;

use fax_api::Config;
use rig::{A, B, KEY, KEY_B, by_url, faxes, start};
use serde_json::{Value, json};

fn config(secret: &str) -> Config {
    Config { token_secret: Some(secret.into()), ..Config::default() }
}

#[tokio::test]
async fn an_account_has_one_key_that_is_shown_again_and_replaced() {
    let rig = start(config("one"), false).await;
    let path = format!("/v2/accounts/{A}/api_key");
    assert_eq!(rig.with(KEY, "GET", &path, Value::Null).await.0, 404);
    let (status, made) = rig.with(KEY, "PUT", &path, json!({ "data": {} })).await;
    let key = made["data"]["api_key"].as_str().unwrap().to_owned();
    assert_eq!((status, key.len()), (201, 64), "{made}");
    let (status, shown) = rig.with(KEY, "GET", &path, Value::Null).await;
    assert_eq!((status, &shown["data"]["api_key"]), (200, &json!(key)));
    // It opens the account, by itself and by login, and no other one.
    assert_eq!(rig.with(&key, "GET", &faxes("/outgoing"), Value::Null).await.0, 200);
    let login = json!({ "data": { "api_key": key } });
    let (status, login) = rig.with("", "PUT", "/v2/api_auth", login).await;
    assert_eq!((status, &login["data"]["account_id"]), (201, &json!(A)));
    let foreign = format!("/v2/accounts/{B}/api_key");
    let (_, of_b) = rig.with(KEY_B, "PUT", &foreign, json!({ "data": {} })).await;
    let of_b = of_b["data"]["api_key"].as_str().unwrap().to_owned();
    for verb in ["GET", "PUT"] {
        assert_eq!(rig.with(&of_b, verb, &path, Value::Null).await.0, 403);
        assert_eq!(rig.send(verb, &path, &[], "").await.status, 401);
    }
    // A new one ends the old one, and tokens that came of it.
    let token = login["auth_token"].as_str().unwrap();
    let (_, made) = rig.with(KEY, "PUT", &path, json!({ "data": {} })).await;
    assert_ne!(made["data"]["api_key"], json!(key));
    assert_eq!(rig.with(&key, "GET", &faxes("/outgoing"), Value::Null).await.0, 401);
    assert_eq!(rig.with(token, "GET", &faxes("/outgoing"), Value::Null).await.0, 401);
    // No secret is in the store.
    let entries = rig.ports.store.entries(0, 100).await.unwrap();
    let kept = serde_json::to_string(&entries).unwrap();
    assert!(!kept.contains(made["data"]["api_key"].as_str().unwrap()) && kept.contains("digest"));
}

#[tokio::test]
async fn a_token_is_limited_as_was_asked_for() {
    let rig = start(config("two"), false).await;
    let limited = |restrictions: Value| {
        let body = json!({ "data": { "api_key": KEY, "restrictions": restrictions } });
        rig.with("", "PUT", "/v2/api_auth", body)
    };
    let (status, login) = limited(
        json!({ "get": ["accounts/*/faxes/#"], "delete": [["accounts", A, "faxes", "outgoing", "*"]] }),
    )
    .await;
    assert_eq!(status, 201, "{login}");
    let token = login["auth_token"].as_str().unwrap();
    let id = rig.json("PUT", &faxes(""), by_url()).await.json["data"]["id"].as_str().unwrap().to_owned();
    let one = faxes(&format!("/outgoing/{id}"));
    let tunnel = json!({ "verb": "put", "data": by_url()["data"] });
    for (verb, path, body, want) in [
        ("GET", faxes("/outgoing"), Value::Null, 200),
        ("GET", format!("/v2/accounts/{A}"), Value::Null, 403),
        ("GET", format!("/v2//accounts/{A}/faxboxes"), Value::Null, 403),
        ("PUT", faxes(""), by_url(), 403),
        ("POST", faxes("/outgoing"), tunnel, 403),
        ("PUT", format!("/v2/accounts/{A}/api_key"), json!({ "data": {} }), 403),
        ("PATCH", one.clone(), json!({ "data": {} }), 403),
        ("DELETE", one, Value::Null, 200),
    ] {
        let (status, got) = rig.with(token, verb, &path, body).await;
        assert_eq!(status, want, "{verb} {path}: {got}");
    }
    for wrong in [json!({}), json!("#"), json!({ "fetch": ["#"] })] {
        let (status, refused) = limited(wrong).await;
        assert_eq!((status, refused["data"]["restrictions"].is_object()), (400, true), "{refused}");
    }
    // The longest that is taken makes a token that is taken.
    let mut longest = vec![A; 1];
    longest.extend(["x"; 960]);
    let (status, login) = limited(json!({ "get": [longest.join("/"), "#"] })).await;
    assert_eq!(status, 201, "{login}");
    let token = login["auth_token"].as_str().unwrap();
    assert!(token.len() > 4096);
    assert_eq!(rig.with(token, "GET", &faxes("/outgoing"), Value::Null).await.0, 200);
}
