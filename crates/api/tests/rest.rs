//! The REST face over HTTP on loopback: envelopes, errors, tokens, what is refused.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests, which may

mod rig;

use fax_api::Config;
use rig::{A, B, KEY, KEY_B, by_url, faxes, plain, start};
use serde_json::json;

#[tokio::test]
async fn a_fax_by_url_is_queued_and_shown() {
    let rig = plain().await;
    let made = rig.json("PUT", &faxes("/outgoing"), by_url()).await;
    assert_eq!(made.status, 201, "{}", made.json);
    let data = &made.json["data"];
    let id = data["id"].as_str().unwrap();
    assert_eq!((id.len(), made.header("location")), (32, id));
    assert_eq!((&made.json["status"], &made.json["auth_token"]), (&json!("success"), &json!(KEY)));
    assert_eq!(made.header("x-request-id"), made.json["request_id"]);
    assert!(
        made.json["timestamp"].as_str().unwrap().ends_with('Z')
            && made.json["version"].is_string()
            && made.json["node"].is_string()
    );
    assert_eq!(made.header("access-control-allow-origin"), "*");
    assert_eq!(data["to_number"], "+14155551234");
    assert_eq!((&data["custom"], &data["priority"]), (&json!({ "x": 1 }), &json!("normal")));
    assert!(data.get("_private").is_none() && data.get("pvt_x").is_none());
    assert_eq!(data["document"], json!({ "url": "http://127.0.0.1:9/x.pdf", "method": "get" }));
    assert_eq!(
        (&data["attempts"], &data["tx_result"]["success"], &data["tx_result"]["pages_sent"]),
        (&json!(0), &json!(false), &json!(0))
    );

    let list = rig.get(&faxes("/outgoing")).await;
    assert_eq!(list.status, 200);
    let item = &list.json["data"][0];
    assert_eq!(
        (&item["id"], &item["to"], &item["from"], &item["attempts"]),
        (&json!(id), &json!("+14155551234"), &json!("4155550100"), &json!(0))
    );
    assert!(item["created"].as_i64().unwrap() > 63_900_000_000 && item["status"].is_string());

    let one = rig.get(&faxes(&format!("/outgoing/{id}"))).await;
    assert_eq!((one.status, &one.json["data"]["id"]), (200, &json!(id)));
    // v1 is the same; the queue is no outbox.
    assert_eq!(rig.get(&format!("/v1/accounts/{A}/faxes/outgoing/{id}")).await.status, 200);
    assert_eq!(rig.get(&faxes(&format!("/outbox/{id}"))).await.status, 404);
    assert_eq!(rig.get(&faxes("/outbox")).await.json["data"], json!([]));
}

#[tokio::test]
async fn tokens_open_only_their_own_account() {
    let rig = plain().await;
    let path = faxes("/outgoing");
    for headers in [
        &[][..],
        &[("x-auth-token", "wrong")],
        &[("authorization", "Bearer a.b.c")],
        &[("authorization", "Basic eDp5")],
    ] {
        let reply = rig.send("GET", &path, headers, "").await;
        assert_eq!(
            (reply.status, &reply.json["error"], &reply.json["message"]),
            (401, &json!("401"), &json!("invalid_credentials"))
        );
        assert_eq!(
            (&reply.json["status"], &reply.json["data"]["message"]),
            (&json!("error"), &json!("invalid credentials"))
        );
    }
    let foreign = rig.send("GET", &path, &[("x-auth-token", KEY_B)], "").await;
    assert_eq!((foreign.status, &foreign.json["message"]), (403, &json!("forbidden")));
    assert_eq!(
        rig.send("GET", &format!("/v2/accounts/{B}/faxes/outgoing"), &[("x-auth-token", KEY)], "")
            .await
            .status,
        403
    );

    let login = rig
        .send(
            "PUT",
            "/v2/api_auth",
            &[("content-type", "application/json")],
            json!({ "data": { "api_key": KEY } }).to_string(),
        )
        .await;
    assert_eq!((login.status, &login.json["data"]["account_id"]), (201, &json!(A)));
    let token = login.json["auth_token"].as_str().unwrap();
    assert_ne!(token, KEY);
    let bearer = format!("bearer {token}");
    assert_eq!(rig.send("GET", &path, &[("x-auth-token", token)], "").await.status, 200);
    assert_eq!(rig.send("GET", &path, &[("authorization", &bearer)], "").await.status, 200);
    assert_eq!(rig.send("GET", &format!("{path}?auth_token={token}"), &[], "").await.status, 200);
    let in_body = json!({ "auth_token": token, "verb": "GET", "data": {} }).to_string();
    assert_eq!(rig.send("POST", &path, &[("content-type", "application/json")], in_body).await.status, 200);
    let (head, tail) = token.split_at(token.len() - 5);
    let forged = format!("{head}{}", tail.chars().rev().collect::<String>());
    assert_eq!(rig.send("GET", &path, &[("x-auth-token", &forged)], "").await.status, 401);

    let wrong =
        rig.send("PUT", "/v2/api_auth", &[], json!({ "data": { "api_key": "no" } }).to_string()).await;
    assert_eq!(wrong.status, 401);
    let missing = rig.send("PUT", "/v2/api_auth", &[], "{}").await;
    assert_eq!(
        (missing.status, &missing.json["data"]["api_key"]["required"]["message"]),
        (400, &json!("Field is required but missing"))
    );
}

#[tokio::test]
async fn paths_verbs_and_ids_that_are_not_there() {
    let rig = plain().await;
    let nowhere = rig.get(&format!("/v2/accounts/{A}/nope")).await;
    assert_eq!((nowhere.status, &nowhere.json["message"]), (404, &json!("not_found")));
    assert_eq!(rig.get("/v3/accounts").await.status, 404);
    for path in [
        "/outgoing/00000000000000000000000000000000",
        "/outbox/202611-00000000000000000000000000000000",
        "/inbox/x",
        "/inbox/x/attachment",
    ] {
        let reply = rig.get(&faxes(path)).await;
        assert_eq!((reply.status, &reply.json["message"]), (404, &json!("bad_identifier")), "{path}");
        assert!(reply.json["data"]["cause"].is_array());
    }
    let wrong = rig.send("DELETE", &faxes("/outgoing"), &[("x-auth-token", KEY)], "").await;
    assert_eq!(
        (wrong.status, &wrong.json["message"], wrong.header("allow")),
        (405, &json!("invalid_method"), "GET, PUT")
    );
    assert_eq!(rig.get(&faxes("")).await.status, 405);
    assert_eq!(rig.json("POST", &faxes("/outgoing"), json!({ "data": {} })).await.status, 405);
    // A POST may mean another verb.
    let mut put = by_url();
    put["verb"] = "put".into();
    assert_eq!(rig.json("POST", &faxes("/outgoing"), put).await.status, 201);
    let preflight = rig.send("OPTIONS", &faxes("/outgoing"), &[], "").await;
    assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (200, "*"));
    let unboxed = rig.json("PUT", &format!("/v2/accounts/{A}/faxboxes/none/faxes"), by_url()).await;
    assert_eq!((unboxed.status, &unboxed.json["data"]["cause"]), (404, &json!(["none"])));
    assert_eq!(rig.send("GET", "/healthz", &[], "").await.status, 200);
    let named =
        rig.send("GET", &faxes("/outgoing"), &[("x-auth-token", KEY), ("x-request-id", "my-id")], "").await;
    assert_eq!((named.header("x-request-id"), &named.json["request_id"]), ("my-id", &json!("my-id")));
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_by_field() {
    let rig = plain().await;
    let put = async |data: serde_json::Value| {
        let reply = rig.json("PUT", &faxes("/outgoing"), json!({ "data": data })).await;
        assert_eq!(
            (reply.status, &reply.json["message"]),
            (400, &json!("validation error")),
            "{}",
            reply.json
        );
        reply.json["data"].clone()
    };
    let empty = put(json!({})).await;
    assert!(
        empty["to_number"]["required"]["message"].is_string() && empty["from_number"]["required"].is_object()
    );
    let numbers = json!({ "to_number": "4155551234", "from_number": "1" });
    assert_eq!(
        put(numbers.clone()).await["document.url"]["required"]["message"],
        "add document url or upload a document"
    );
    let with = |key: &str, value: serde_json::Value| {
        let mut data = numbers.clone();
        data["document"] = json!({ "url": "http://x/" });
        data[key] = value;
        data
    };
    assert_eq!(
        put(with("to_number", "12".into())).await["document.to_number"]["required"]["message"],
        "add a valid number to send the fax to"
    );
    assert_eq!(
        put(with("retries", 9.into())).await["retries"]["maximum"]["message"],
        "Value must be at most 4"
    );
    assert_eq!(
        put(with("retries", (-1).into())).await["retries"]["minimum"]["message"],
        "Value must be at least 0"
    );
    assert!(put(with("retries", "x".into())).await["retries"]["type"].is_object());
    assert_eq!(
        put(with("priority", "urgent".into())).await["priority"]["enum"],
        json!({ "message": "Value is not a priority: high, normal or low", "target": ["high", "normal", "low"], "value": "urgent" })
    );
    for wrong in [json!("High"), json!(""), json!("1")] {
        assert!(put(with("priority", wrong)).await["priority"]["enum"].is_object());
    }
    assert!(put(with("priority", 1.into())).await["priority"]["type"].is_object());
    assert!(put(with("to_number", 5.into())).await["to_number"]["type"].is_object());
    assert!(put(with("document", json!({ "url": "ftp://x" }))).await["document.url"]["pattern"].is_object());
    assert!(put(with("document", json!({ "url": 5 }))).await["document.url"]["type"].is_object());
    assert!(put(with("document", json!("x"))).await["document"]["type"].is_object());
    assert!(
        put(with("document", json!({ "url": "http://x", "method": "put" }))).await["document.method"]["enum"]
            .is_object()
    );
    let mail = json!({ "email": { "send_to": ["a@b", "no\r\nBcc: x@y"] } });
    assert!(
        put(with("notifications", mail)).await["notifications.email.send_to"]["wrong_format"].is_object()
    );
    assert!(put(json!([1])).await["data"]["type"].is_object());
    // Text that is a number is one.
    assert_eq!(
        rig.json("PUT", &faxes(""), json!({ "data": with("retries", "3".into()) })).await.json["data"]["retries"],
        3
    );

    let headers = [("x-auth-token", KEY), ("content-type", "application/json")];
    let bad = rig.send("PUT", &faxes(""), &headers, "{no json").await;
    assert_eq!((bad.status, &bad.json["data"]["json"]["invalid"]["target"]), (400, &json!("body")));
    assert_eq!(rig.send("PUT", &faxes(""), &headers, "[]").await.status, 400);
    assert_eq!(rig.send("PUT", &faxes(""), &headers, "[".repeat(100_000)).await.status, 400);
    let text =
        rig.send("PUT", &faxes(""), &[("x-auth-token", KEY), ("content-type", "text/plain")], "hello").await;
    assert_eq!(text.status, 415);
}

#[tokio::test]
async fn bodies_that_are_too_large_are_refused() {
    let rig = start(Config { max_upload: 10_000, ..Config::default() }, false).await;
    let headers = [("x-auth-token", KEY), ("content-type", "application/pdf")];
    let reply = rig.send("PUT", &faxes(""), &headers, vec![b'x'; 20_000]).await;
    assert_eq!((reply.status, &reply.json["data"]["file"]["maxSize"]["target"]), (413, &json!(10_000)));
    // Where no document is taken there is no need of so much, least of all for strangers.
    let rig = plain().await;
    for (path, headers) in [
        ("/v2/api_auth", &[][..]),
        ("/v2/nowhere", &[]),
        (&format!("/v2/accounts/{A}/users"), &[("x-auth-token", KEY)]),
    ] {
        let reply = rig.send("PUT", path, headers, vec![b' '; (1 << 20) + 1]).await;
        assert_eq!(
            (reply.status, &reply.json["data"]["file"]["maxSize"]["target"]),
            (413, &json!(1 << 20)),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_stranger_who_dawdles_is_cut_off_and_keeps_nobody_waiting() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let patience = std::time::Duration::from_millis(400);
    let rig = start(Config { body_patience: patience, max_strangers: 1, ..Config::default() }, false).await;
    let mut slow = tokio::net::TcpStream::connect(rig.address).await.unwrap();
    let head = "PUT /v2/api_auth HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n{";
    slow.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(rig.get(&faxes("/outgoing")).await.status, 200, "those with a token go on");
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("\"status\":\"error\""), "{answer}");
    // Far too many header fields.
    let mut wide = tokio::net::TcpStream::connect(rig.address).await.unwrap();
    let fields: String = (0..500).map(|n| format!("X-{n}: y\r\n")).collect();
    wide.write_all(format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{fields}\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = wide.read_to_string(&mut answer).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}
