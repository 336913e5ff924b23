//! Every path of the table, every verb, every kind of key: who gets in and who does not.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests, which may

mod rig;

use axum::http::Method;
use fax_api::Config;
use fax_api::auth::Tokens;
use fax_api::route::{Resource, Right, paths};
use fax_store::model::{AccountId, Timestamp};
use rig::{A, B, KEY, KEY_B, Rig, by_url, start};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const SECRET: &str = "signs tokens in this test";
const NUMBER: &str = "+14155550000";

/// An account below another, and its key with these scopes.
async fn account_below(rig: &Rig, above: &str, name: &str) -> (String, String) {
    let (status, made) =
        rig.with(KEY, "PUT", &format!("/v2/accounts/{above}"), json!({ "data": { "name": name } })).await;
    assert_eq!(status, 201, "{made}");
    let id = made["data"]["id"].as_str().unwrap().to_owned();
    let key = key_of(rig, &id, json!({ "name": "all" })).await;
    (id, key)
}

async fn key_of(rig: &Rig, account: &str, data: Value) -> String {
    let (status, made) =
        rig.with(KEY, "PUT", &format!("/v2/accounts/{account}/api_keys"), json!({ "data": data })).await;
    assert_eq!(status, 201, "{made}");
    made["data"]["api_key"].as_str().unwrap().to_owned()
}

fn concrete(pattern: &str, resource: Resource, account: &str) -> String {
    let id = if matches!(resource, Resource::Number) { NUMBER } else { "0123456789abcdef0123456789abcdef" };
    let filled =
        pattern.replace("{account}", account).replace("{user}", "nobody").replace("{faxbox}", "none");
    format!("/v2/{}", filled.replace("{id}", id))
}

async fn status(rig: &Rig, token: Option<&str>, verb: &Method, path: &str) -> u16 {
    let headers: Vec<(&str, &str)> = token
        .map(|t| ("x-auth-token", t))
        .into_iter()
        // What does not end by itself is refused to whoever takes no stream.
        .chain([("content-type", "application/json"), ("accept", "application/json, application/pdf")])
        .collect();
    let body = if *verb == Method::GET || *verb == Method::DELETE { "" } else { "{\"data\":{}}" };
    rig.send(verb.as_str(), path, &headers, body).await.status
}

fn is_let_in(status: u16) -> bool {
    !matches!(status, 401 | 403 | 405 | 429) && status < 500 || status == 503
}

#[tokio::test]
async fn every_route_lets_in_whom_it_should_and_nobody_else() {
    let config = Config {
        token_secret: Some(SECRET.into()),
        user_auth: true,
        failures: (1e9, 1e9),
        requests: (1e9, 1e9),
        ..Config::default()
    };
    let rig = start(config, false).await;
    let (parent, parent_key) = account_below(&rig, A, "Parent").await;
    let (child, child_key) = account_below(&rig, &parent, "Child").await;
    // A fax that waits keeps the account from being deleted by its own row of the table.
    for account in [&child, &A.to_owned()] {
        let body = by_url();
        let path = format!("/v2/accounts/{account}/faxes");
        let (status, made) = match account.as_str() {
            A => rig.with(KEY, "PUT", &path, body).await,
            _ => {
                let number = format!("/v2/accounts/{account}/phone_numbers/+14155550100");
                assert_eq!(rig.with(KEY, "PUT", &number, Value::Null).await.0, 201);
                rig.with(&child_key, "PUT", &path, body).await
            }
        };
        assert_eq!(status, 201, "{made}");
    }
    let number = format!("/v2/accounts/{parent}/phone_numbers/{NUMBER}");
    assert_eq!(rig.with(KEY, "PUT", &number, Value::Null).await.0, 201);
    let digest: [u8; 32] = Sha256::digest(KEY.as_bytes()).into();
    let tokens = Tokens::new(Some(SECRET));
    let long_ago = Timestamp::now().minus(std::time::Duration::from_secs(3601));
    let expired = tokens.issue(&AccountId::new(A), &digest, None, long_ago);
    let fresh = tokens.issue(&AccountId::new(A), &digest, None, Timestamp::now());
    let ended = key_of(&rig, A, json!({ "name": "ended", "expires": 63_000_000_000i64 })).await;
    let (mut only, mut all_but) = (Vec::new(), Vec::new());
    for scope in Right::SCOPES {
        only.push(key_of(&rig, A, json!({ "name": scope, "scopes": [scope] })).await);
        let others: Vec<&str> = Right::SCOPES.into_iter().filter(|s| *s != scope).collect();
        all_but.push(key_of(&rig, A, json!({ "name": format!("no {scope}"), "scopes": others })).await);
    }

    let jo = json!({ "first_name": "Jo", "last_name": "Doe", "username": "jo", "email": "jo@a.example", "password": "secret" });
    let (status_of_jo, made) =
        rig.with(KEY, "PUT", &format!("/v2/accounts/{A}/users"), json!({ "data": jo })).await;
    assert_eq!(status_of_jo, 201, "{made}");
    let credentials: String = md5::Md5::digest("jo:secret").iter().map(|o| format!("{o:02x}")).collect();
    let log_in = async |path: &str, data: Value| {
        let (status, made) = rig.with("", "PUT", path, json!({ "data": data })).await;
        assert_eq!(status, 201, "{made}");
        made["auth_token"].as_str().unwrap().to_owned()
    };
    let user =
        log_in("/v2/user_auth", json!({ "credentials": credentials, "account_realm": "a.example" })).await;
    let limited =
        log_in("/v2/api_auth", json!({ "api_key": KEY, "restrictions": { "get": ["accounts/#"] } })).await;

    let mut rows = 0;
    for path in paths() {
        for (verb, right) in path.resource.verbs() {
            rows += 1;
            let of = |account: &str| concrete(&path.pattern, path.resource, account);
            let row = format!("{verb} {}", path.pattern);
            if *right == Right::Open {
                assert!(
                    matches!(path.resource, Resource::ApiAuth | Resource::UserAuth),
                    "{row} is open to all"
                );
                continue;
            }
            for (who, token) in [
                ("nobody", None),
                ("a wrong key", Some("wrong")),
                ("an expired token", Some(expired.as_str())),
                ("an expired key", Some(ended.as_str())),
            ] {
                assert_eq!(status(&rig, token, verb, &of(A)).await, 401, "{row} for {who}");
            }
            let Some(scope) = right.scope() else {
                assert!(!path.pattern.contains("{account}"), "{row} is of an account and for everybody");
                let everybody = only.iter().chain([&parent_key, &child_key]).map(String::as_str);
                for token in everybody.chain([KEY, KEY_B, fresh.as_str(), user.as_str()]) {
                    let got = status(&rig, Some(token), verb, &of(A)).await;
                    assert!(is_let_in(got), "{row} with any token: {got}");
                }
                assert_eq!(
                    status(&rig, Some(&limited), verb, &of(A)).await,
                    403,
                    "{row} with a limited token"
                );
                continue;
            };
            let at = Right::SCOPES.iter().position(|s| *s == scope).unwrap();
            assert_eq!(status(&rig, Some(&all_but[at]), verb, &of(A)).await, 403, "{row} without {scope}");
            for (who, token) in
                [("the key", KEY), ("a token of it", fresh.as_str()), ("its scope", only[at].as_str())]
            {
                let got = status(&rig, Some(token), verb, &of(A)).await;
                // What the configuration has is not changed from here, and says so.
                let fixed = path.resource == Resource::Account
                    && matches!(*verb, Method::POST | Method::PATCH | Method::DELETE);
                assert!(if fixed { got == 403 } else { is_let_in(got) }, "{row} for {who}: {got}");
            }
            if !path.pattern.contains("{account}") {
                continue;
            }
            for (who, token, account) in [
                ("another account's", KEY_B, A),
                ("another account's", KEY_B, child.as_str()),
                ("the account's below", child_key.as_str(), parent.as_str()),
            ] {
                assert_eq!(status(&rig, Some(token), verb, &of(account)).await, 403, "{row} with {who} key");
            }
            if path.resource == Resource::Number {
                // Whoever has a number gives it on.
                assert_eq!(rig.with(KEY, "PUT", &number, Value::Null).await.0, 201);
            }
            let operators = matches!(
                path.resource,
                Resource::Trunks | Resource::Trunk | Resource::Bans | Resource::Ban | Resource::Reload
            );
            let got = status(&rig, Some(&parent_key), verb, &of(&child)).await;
            assert!(
                if operators { got == 403 } else { is_let_in(got) },
                "{row} with the key from above: {got}"
            );
            // The operator sets accounts up that are not below his, and does not see their faxes.
            let got = status(&rig, Some(KEY), verb, &of(B)).await;
            let sees =
                matches!(right, Right::ReadSetup | Right::WriteSetup | Right::Access | Right::ReadAudit);
            let fixed = path.resource == Resource::Account
                && matches!(*verb, Method::POST | Method::PATCH | Method::DELETE);
            assert_eq!(is_let_in(got), sees && !fixed, "{row} for the operator: {got}");
        }
    }
    assert!(rows > 100, "{rows}");
}

#[tokio::test]
async fn who_guesses_has_to_wait_and_keeps_nobody_else_waiting() {
    let config = Config { failures: (3.0, 0.01), user_auth: true, ..Config::default() };
    let rig = start(config, false).await;
    let path = format!("/v2/accounts/{A}/faxes/outgoing");
    for _ in 0..3 {
        assert_eq!(rig.with("wrong", "GET", &path, Value::Null).await.0, 401);
    }
    // Clients get a new token when they hear 401, and not when they hear 429.
    assert_eq!(rig.with("wrong", "GET", &path, Value::Null).await.0, 401);
    let guess = json!({ "data": { "api_key": "wrong" } }).to_string();
    let reply = rig.send("PUT", "/v2/api_auth", &[("content-type", "application/json")], guess).await;
    assert_eq!((reply.status, &reply.json["message"]), (429, &json!("too_many_requests")));
    assert!(reply.header("retry-after").parse::<u64>().unwrap() > 60);
    assert_eq!(rig.with(KEY, "GET", &path, Value::Null).await.0, 200, "a right key is taken");
    let login = json!({ "data": { "api_key": KEY } });
    assert_eq!(rig.with("", "PUT", "/v2/api_auth", login).await.0, 201, "and lets in");
    // A password costs work: it is not looked at.
    let login = json!({ "data": { "credentials": "x", "account_realm": "a.example" } });
    assert_eq!(rig.with("", "PUT", "/v2/user_auth", login).await.0, 429);
}

/// An office behind one address, whose tokens all end within a minute, or with a restart: nobody there is kept out.
#[tokio::test]
async fn tokens_that_have_ended_are_no_guesses() {
    let config = Config {
        failures: (1.0, 0.01),
        user_auth: true,
        token_secret: Some(SECRET.into()),
        ..Config::default()
    };
    let rig = start(config, false).await;
    let digest: [u8; 32] = Sha256::digest(KEY.as_bytes()).into();
    let long_ago = Timestamp::now().minus(std::time::Duration::from_secs(3601));
    let of = AccountId::new(A);
    let expired = Tokens::new(Some(SECRET)).issue(&of, &digest, None, long_ago);
    let from_before = Tokens::new(None).issue(&of, &digest, None, Timestamp::now());
    let path = format!("/v2/accounts/{A}/faxes/outgoing");
    for token in [&expired, &from_before, &expired, &from_before] {
        assert_eq!(rig.with(token, "GET", &path, Value::Null).await.0, 401);
    }
    let by_name = || {
        let data = json!({ "credentials": "x", "account_realm": "a.example" });
        rig.with("", "PUT", "/v2/user_auth", json!({ "data": data }))
    };
    assert_eq!(by_name().await.0, 401, "it is looked at");
    assert_eq!(by_name().await.0, 429, "and the first that counts");
    let login = json!({ "data": { "api_key": KEY } });
    let (status, made) = rig.with("", "PUT", "/v2/api_auth", login).await;
    assert_eq!(status, 201, "{made}");
    let token = made["auth_token"].as_str().unwrap();
    assert_eq!(rig.with(token, "GET", &path, Value::Null).await.0, 200);
}

#[tokio::test]
async fn an_account_has_so_many_requests() {
    let config = Config { requests: (5.0, 0.01), ..Config::default() };
    let rig = start(config, false).await;
    let path = |account: &str| format!("/v2/accounts/{account}/faxes/outgoing");
    for _ in 0..5 {
        assert_eq!(rig.with(KEY, "GET", &path(A), Value::Null).await.0, 200);
    }
    assert_eq!(rig.with(KEY, "GET", &path(A), Value::Null).await.0, 429);
    assert_eq!(rig.with(KEY_B, "GET", &path(B), Value::Null).await.0, 200, "another account has its own");
}

/// Behind a proxy everybody has its address, unless it is believed for whom it asks; whoever is no proxy is believed nothing.
#[tokio::test]
async fn clients_behind_a_trusted_proxy_are_told_apart() {
    let login = format!("{}", json!({ "data": { "api_key": "wrong" } }));
    for trusted in [true, false] {
        let trusted_proxies = if trusted { vec!["127.0.0.1".parse().unwrap()] } else { Vec::new() };
        let rig = start(Config { failures: (3.0, 0.01), trusted_proxies, ..Config::default() }, false).await;
        let status = async |from: &str| {
            let headers = [("x-forwarded-for", from), ("content-type", "application/json")];
            rig.send("PUT", "/v2/api_auth", &headers, login.clone()).await.status
        };
        for n in 0..3 {
            // What stands in front of the last is the client's own invention.
            assert_eq!(status(&format!("192.0.2.{n}, 203.0.113.7")).await, 401);
        }
        assert_eq!(status("203.0.113.7").await, 429);
        assert_eq!(status("203.0.113.8").await, if trusted { 401 } else { 429 });
        let good = json!({ "data": { "api_key": KEY } }).to_string();
        let headers = [("x-forwarded-for", "203.0.113.9"), ("content-type", "application/json")];
        let reply = rig.send("PUT", "/v2/api_auth", &headers, good).await;
        assert_eq!(reply.status, 201);
        if trusted {
            let audit = rig.get(&format!("/v2/accounts/{A}/audit")).await;
            assert_eq!(audit.json["data"][0]["remote"], "203.0.113.9");
        }
    }
}
