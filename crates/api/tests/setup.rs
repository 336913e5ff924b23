//! Accounts, users, faxboxes, numbers, call flows and keys over HTTP, and the audit log.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests, which may

mod rig;

use fax_api::Config;
use fax_switch::{Decision, IncomingCall};
use rig::{A, B, F, KEY, KEY_B, Rig, faxes, plain, start};
use serde_json::{Value, json};

fn below(account: &str, rest: &str) -> String {
    format!("/v2/accounts/{account}{rest}")
}

async fn made(rig: &Rig, token: &str, path: &str, data: Value) -> Value {
    let (status, body) = rig.with(token, "PUT", path, json!({ "data": data })).await;
    assert_eq!((status, &body["status"]), (201, &json!("success")), "PUT {path}: {body}");
    body["data"].clone()
}

async fn got(rig: &Rig, token: &str, path: &str) -> Value {
    let (status, body) = rig.with(token, "GET", path, Value::Null).await;
    assert_eq!(status, 200, "GET {path}: {body}");
    body["data"].clone()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}

/// The order in which Kazoo 5 tries its own faxboxes: none, made, merged, listed, deleted, none.
#[tokio::test]
async fn a_faxbox_is_made_read_changed_and_deleted() {
    let rig = plain().await;
    let boxes = below(B, "/faxboxes");
    assert_eq!(got(&rig, KEY_B, &boxes).await, json!([]));
    let data = json!({ "name": "Desk", "retries": "3", "custom": { "x": 1 }, "pvt_secret": 1, "_x": 2,
        "smtp_email_address": "mine.example", "notifications": { "inbound": { "email": { "send_to": "a@b.example" } } } });
    let headers = [("x-auth-token", KEY_B), ("content-type", "application/json")];
    let reply = rig.send("PUT", &boxes, &headers, json!({ "data": data }).to_string()).await;
    let created = reply.json["data"].clone();
    let id = text(&created, "id").to_owned();
    assert_eq!((reply.status, reply.header("location"), id.len()), (201, id.as_str(), 32));
    let domain = text(&created, "smtp_email_address").to_owned();
    assert!(domain.ends_with(".fax.localhost") && domain != "mine.example", "{domain}");
    assert_eq!(reply.json["metadata"]["custom_smtp_address"], domain.as_str());
    assert_eq!(
        (&created["retries"], &created["custom"], &created["attempts"]),
        (&json!(3), &json!({ "x": 1 }), &json!(0))
    );
    assert!(created.get("pvt_secret").is_none() && created.get("_x").is_none());
    let one = format!("{boxes}/{id}");
    assert_eq!(got(&rig, KEY_B, &one).await, created);
    assert_eq!(
        rig.service.directory().faxbox_by_mail_domain(&domain.to_uppercase()).unwrap().notify_inbound,
        ["a@b.example"]
    );

    let merge = json!({ "data": { "custom": { "y": 2 }, "caller_id": "+14155550123" } });
    let (status, body) = rig.with(KEY_B, "PATCH", &one, merge).await;
    assert_eq!(
        (status, &body["data"]["custom"], &body["data"]["name"]),
        (200, &json!({ "x": 1, "y": 2 }), &json!("Desk"))
    );
    let list = got(&rig, KEY_B, &boxes).await;
    assert_eq!((list.as_array().unwrap().len(), &list[0]["custom"]["y"]), (1, &json!(2)));
    assert_eq!(got(&rig, KEY_B, &format!("{boxes}?filter_custom.y=3")).await, json!([]));

    // Replaced as a whole, but for what is generated.
    let (status, body) = rig.with(KEY_B, "POST", &one, json!({ "data": { "name": "New" } })).await;
    assert_eq!((status, &body["data"]["name"], body["data"].get("custom")), (200, &json!("New"), None));
    assert_eq!(body["data"]["smtp_email_address"], domain.as_str());
    let (status, body) = rig.with(KEY_B, "POST", &one, json!({ "data": {} })).await;
    assert_eq!(
        (status, &body["data"]["name"]["required"]["message"]),
        (400, &json!("Field is required but missing"))
    );
    let (status, body) = rig.with(KEY_B, "PATCH", &one, json!({ "data": { "retries": 5 } })).await;
    assert_eq!((status, &body["data"]["retries"]["maximum"]["target"]), (400, &json!(4)));

    let (status, body) = rig.with(KEY_B, "DELETE", &one, Value::Null).await;
    assert_eq!(
        (status, &body["data"]["_read_only"]["deleted"], &body["data"]["id"]),
        (200, &json!(true), &json!(id))
    );
    assert_eq!(rig.with(KEY_B, "GET", &one, Value::Null).await.0, 404);
    assert_eq!(rig.with(KEY_B, "DELETE", &one, Value::Null).await.0, 404);
    assert_eq!(got(&rig, KEY_B, &boxes).await, json!([]));
    assert!(rig.service.directory().faxbox_by_mail_domain(&domain).is_none());
}

#[tokio::test]
async fn mail_domains_are_one_faxboxs_in_any_case_and_the_configuration_is_not_changed() {
    let rig = plain().await;
    let (a, b) = (below(A, "/faxboxes"), below(B, "/faxboxes"));
    let first =
        made(&rig, KEY, &a, json!({ "name": "x", "custom_smtp_email_address": "Fax.Clinic.example" })).await;
    for taken in
        ["fax.clinic.EXAMPLE", text(&first, "smtp_email_address"), "0A1B2C3D.fax.example", "a.example"]
    {
        let data = json!({ "name": "y", "custom_smtp_email_address": taken });
        let (status, body) = rig.with(KEY_B, "PUT", &b, json!({ "data": data })).await;
        let told = &body["data"]["custom_smtp_email_address"]["unique"];
        assert_eq!(
            (status, &told["message"], &told["cause"]),
            (400, &json!("email address must be unique"), &json!(taken))
        );
    }
    let fixed = format!("{a}/{F}");
    assert_eq!(text(&got(&rig, KEY, &fixed).await, "name"), "Front desk");
    assert_eq!(got(&rig, KEY, &a).await.as_array().unwrap().len(), 2);
    for verb in ["POST", "PATCH", "DELETE"] {
        let (status, body) = rig.with(KEY, verb, &fixed, json!({ "data": { "name": "z" } })).await;
        assert_eq!((status, &body["message"]), (403, &json!("forbidden")));
        assert!(text(&body["data"], "message").contains("configuration file"), "{body}");
    }
    // Another account's faxbox is not there.
    assert_eq!(rig.with(KEY_B, "GET", &format!("{b}/{}", text(&first, "id")), Value::Null).await.0, 404);
    // A page at a time.
    let page = rig.with(KEY, "GET", &format!("{a}?page_size=1"), Value::Null).await.1;
    let next = format!("{a}?page_size=1&start_key={}", text(&page, "next_start_key"));
    let rest = rig.with(KEY, "GET", &next, Value::Null).await.1;
    assert_eq!(rest["data"].as_array().unwrap().len(), 1);
    assert!(rest.get("next_start_key").is_none() && rest["data"][0]["id"] != page["data"][0]["id"]);
}

#[tokio::test]
async fn accounts_are_made_below_others_and_reached_from_above() {
    let rig = plain().await;
    let parent =
        made(&rig, KEY, "/v2/accounts", json!({ "name": "Reseller", "timezone": "Europe/Berlin" })).await;
    let parent_id = text(&parent, "id").to_owned();
    assert_eq!(text(&parent, "parent_id"), A);
    assert!(text(&parent, "realm").ends_with(".fax.localhost"));
    let key =
        text(&made(&rig, KEY, &below(&parent_id, "/api_keys"), json!({ "name": "k" })).await, "api_key")
            .to_owned();
    let child =
        made(&rig, &key, &below(&parent_id, ""), json!({ "name": "Child", "realm": "child.example" })).await;
    let child_id = text(&child, "id").to_owned();
    let child_key =
        text(&made(&rig, &key, &below(&child_id, "/api_keys"), json!({ "name": "k" })).await, "api_key")
            .to_owned();

    for (data, field) in
        [(json!({ "name": "cHiLd" }), "name"), (json!({ "name": "Other", "realm": "A.example" }), "realm")]
    {
        let (status, body) = rig.with(&key, "PUT", "/v2/accounts", json!({ "data": data })).await;
        assert_eq!(status, 400);
        assert!(body["data"][field]["unique"]["message"].is_string(), "{body}");
    }
    let ids =
        |list: Value| list.as_array().unwrap().iter().map(|a| text(a, "id").to_owned()).collect::<Vec<_>>();
    assert_eq!(ids(got(&rig, KEY, &below(A, "/children")).await), std::slice::from_ref(&parent_id));
    assert_eq!(ids(got(&rig, KEY, &below(A, "/descendants")).await).len(), 2);
    assert_eq!(
        ids(got(&rig, &key, &below(&parent_id, "/descendants")).await),
        std::slice::from_ref(&child_id)
    );
    let own = below(&child_id, "");
    assert_eq!(text(&got(&rig, &child_key, &own).await, "name"), "Child");
    // It may change its name, not its limits.
    assert_eq!(rig.with(&child_key, "PATCH", &own, json!({ "data": { "name": "Renamed" } })).await.0, 200);
    let more = json!({ "data": { "fax": { "max_outbound": 100 } } });
    assert_eq!(rig.with(&child_key, "PATCH", &own, more.clone()).await.0, 403);
    assert_eq!(rig.with(&key, "PATCH", &own, more).await.0, 200);
    assert_eq!(rig.service.directory().account(&child_id.as_str().into()).unwrap().max_outbound, Some(100));
    // Shut from above: nobody gets in.
    assert_eq!(rig.with(&key, "PATCH", &own, json!({ "data": { "enabled": false } })).await.0, 200);
    assert_eq!(rig.with(&child_key, "GET", &own, Value::Null).await.0, 401);
    assert_eq!(rig.with(&key, "PATCH", &own, json!({ "data": { "enabled": true } })).await.0, 200);

    let faxbox = made(&rig, &child_key, &below(&child_id, "/faxboxes"), json!({ "name": "x" })).await;
    let (status, body) = rig.with(KEY, "DELETE", &below(&parent_id, ""), Value::Null).await;
    assert_eq!(
        (status, &body["data"]["cause"]),
        (409, &json!("there are accounts below it: delete those first"))
    );
    assert_eq!(rig.with(&child_key, "DELETE", &own, Value::Null).await.0, 403, "not by itself");
    assert_eq!(rig.with(&key, "DELETE", &own, Value::Null).await.0, 200);
    assert_eq!(rig.with(&child_key, "GET", &own, Value::Null).await.0, 401, "its keys are gone with it");
    assert!(rig.service.directory().faxbox_by_mail_domain(text(&faxbox, "smtp_email_address")).is_none());
    assert_eq!(rig.with(KEY, "DELETE", &below(&parent_id, ""), Value::Null).await.0, 200);
}

#[tokio::test]
async fn users_log_in_by_digests_of_name_and_password_and_see_what_is_theirs() {
    let rig = start(Config { user_auth: true, ..Config::default() }, false).await;
    let users = below(A, "/users");
    let jo = json!({ "first_name": "Jo", "last_name": "Doe", "username": "Jo", "email": "jo@a.example", "password": "secret" });
    let user = made(&rig, KEY, &users, jo.clone()).await;
    let id = text(&user, "id").to_owned();
    assert!(user.get("password").is_none() && !user.to_string().contains("secret"));
    let (status, body) = rig.with(KEY, "PUT", &users, json!({ "data": jo })).await;
    assert_eq!(
        (status, &body["data"]["username"]["unique"]["message"]),
        (400, &json!("Username must be unique"))
    );
    let digest = |method: &str, text: &str| {
        use md5::Digest;
        let hex = |octets: &[u8]| octets.iter().map(|o| format!("{o:02x}")).collect::<String>();
        if method == "sha" { hex(&sha1::Sha1::digest(text)) } else { hex(&md5::Md5::digest(text)) }
    };
    let login = async |method: &str, text: &str, place: Value| {
        let mut data = json!({ "credentials": digest(method, text), "method": method });
        data.as_object_mut().unwrap().extend(place.as_object().unwrap().clone());
        rig.with("", "PUT", "/v2/user_auth", json!({ "data": data })).await
    };
    let (status, body) = login("md5", "jo:secret", json!({ "account_name": "clinic  A" })).await;
    assert_eq!(
        (status, &body["data"]["owner_id"], &body["data"]["account_id"]),
        (201, &json!(id), &json!(A)),
        "{body}"
    );
    let token = text(&body, "auth_token").to_owned();
    assert_eq!(login("sha", "jo:secret", json!({ "account_realm": "A.example" })).await.0, 201);
    for (method, text, place) in [
        ("md5", "jo:wrong!", json!({ "account_name": "Clinic A" })),
        ("sha", "jo:secret", json!({ "account_name": "B" })),
        ("md5", "jo:secret", json!({ "realm": "nowhere.example" })),
    ] {
        assert_eq!(login(method, text, place).await.0, 401);
    }
    assert_eq!(login("md5", "jo:secret", json!({})).await.0, 400);

    // A user sees what is his.
    let mine = made(&rig, KEY, &below(A, "/faxboxes"), json!({ "name": "Jo's", "owner_id": id })).await;
    let list = got(&rig, &token, &below(A, &format!("/users/{id}/faxboxes"))).await;
    assert_eq!((list.as_array().unwrap().len(), &list[0]["id"]), (1, &mine["id"]));
    let his = format!("/faxboxes/{}/faxes/outgoing", text(&mine, "id"));
    assert_eq!(got(&rig, &token, &below(A, &his)).await, json!([]));
    for path in [
        &users,
        &faxes("/outgoing"),
        &below(A, &format!("/faxboxes/{F}/faxes/inbox")),
        &below(A, "/audit"),
        &below(A, "/users/x/faxes/inbox"),
    ] {
        assert_eq!(rig.with(&token, "GET", path, Value::Null).await.0, 403, "{path}");
    }
    let one = format!("{users}/{id}");
    assert_eq!(rig.with(&token, "PATCH", &one, json!({ "data": { "priv_level": "admin" } })).await.0, 403);
    // As an administrator he sees the account.
    assert_eq!(rig.with(KEY, "PATCH", &one, json!({ "data": { "priv_level": "admin" } })).await.0, 200);
    assert_eq!(rig.with(&token, "GET", &users, Value::Null).await.0, 200);
    let (status, body) = rig.with(KEY, "PATCH", &one, json!({ "data": { "username": "joe" } })).await;
    assert!(status == 400 && body["data"]["password"]["required"].is_object(), "{body}");
    // Another password ends the tokens of the old one.
    assert_eq!(rig.with(KEY, "PATCH", &one, json!({ "data": { "password": "better one" } })).await.0, 200);
    assert_eq!(rig.with(&token, "GET", &users, Value::Null).await.0, 401);
    let (status, body) = login("md5", "jo:better one", json!({ "account_name": "Clinic A" })).await;
    assert_eq!(status, 201);
    let token = text(&body, "auth_token").to_owned();
    assert_eq!(rig.with(KEY, "DELETE", &one, Value::Null).await.0, 200);
    assert_eq!(rig.with(&token, "GET", &users, Value::Null).await.0, 401);

    let off = plain().await;
    let (status, body) = off.with("", "PUT", "/v2/user_auth", json!({ "data": {} })).await;
    assert!(status == 403 && text(&body["data"], "message").contains("user_auth = true"), "{body}");
}

#[tokio::test]
async fn numbers_are_given_from_above_and_lead_into_faxboxes() {
    let rig = plain().await;
    let parent = text(&made(&rig, KEY, "/v2/accounts", json!({ "name": "P" })).await, "id").to_owned();
    let key = text(&made(&rig, KEY, &below(&parent, "/api_keys"), json!({ "name": "k" })).await, "api_key")
        .to_owned();
    let child = text(&made(&rig, &key, "/v2/accounts", json!({ "name": "C" })).await, "id").to_owned();
    let number = |account: &str| below(account, "/phone_numbers/%2B1%20415%20555%200177");
    assert_eq!(rig.with(&key, "PUT", &number(&parent), Value::Null).await.0, 403, "nobody takes a number");
    assert_eq!(rig.with(KEY, "PUT", &below(A, "/phone_numbers/12"), Value::Null).await.0, 400);
    assert_eq!(text(&made(&rig, KEY, &number(&parent), json!({ "note": "x" })).await, "id"), "+14155550177");
    assert_eq!(rig.with(KEY_B, "PUT", &number(B), Value::Null).await.0, 403);
    // What one account has written about a number is not told to the next.
    let given = made(&rig, &key, &number(&child), json!({ "label": "y" })).await;
    assert_eq!((given.get("note"), &given["label"]), (None, &json!("y")));
    assert_eq!(rig.with(&key, "GET", &number(&parent), Value::Null).await.0, 404);
    let list = got(&rig, &key, &below(&child, "/phone_numbers")).await;
    assert_eq!(
        (&list["numbers"]["+14155550177"]["assigned_to"], list["numbers"]["+14155550177"].get("note")),
        (&json!(child), None)
    );
    let more = made(&rig, &key, &number(&child), json!({ "more": "z" })).await;
    assert_eq!((&more["label"], &more["more"]), (&json!("y"), &json!("z")));
    for n in 0..3 {
        let data = json!({ "data": { format!("f{n}"): "x".repeat(25_000) } });
        let (status, body) = rig.with(&key, "PUT", &number(&child), data).await;
        assert_eq!(status, if n < 2 { 201 } else { 400 }, "{body}");
    }

    let faxbox = made(&rig, &key, &below(&child, "/faxboxes"), json!({ "name": "x" })).await;
    let flows = below(&child, "/callflows");
    let flow = |id: &str| json!({ "numbers": ["4155550177"], "flow": { "module": "faxbox", "data": { "id": id }, "children": {} }, "type": "faxing" });
    let (status, body) = rig.with(&key, "PUT", &flows, json!({ "data": flow(F) })).await;
    assert!(
        status == 400 && body["data"]["flow.data.id"]["enum"].is_object(),
        "another account's faxbox: {body}"
    );
    let made_flow = made(&rig, &key, &flows, flow(text(&faxbox, "id"))).await;
    assert_eq!(made_flow["numbers"], json!(["+14155550177"]));
    let decided =
        || rig.service.incoming(&IncomingCall { to_number: "14155550177".into(), ..IncomingCall::default() });
    assert!(matches!(decided(), Decision::Receive { faxbox: f, .. } if f.as_str() == text(&faxbox, "id")));
    let (status, body) = rig.with(&key, "PUT", &flows, json!({ "data": flow(text(&faxbox, "id")) })).await;
    assert!(status == 400 && body["data"]["numbers"]["unique"].is_object(), "{body}");
    let unknown = json!({ "numbers": ["2"], "flow": { "module": "voicemail", "data": {} } });
    let (status, body) = rig.with(&key, "PUT", &flows, json!({ "data": unknown })).await;
    assert!(status == 400 && body["data"]["flow.module"]["enum"].is_object(), "{body}");
    // Faxes of this account show numbers of its own only.
    let fax = |from: &str| json!({ "data": { "to_number": "4155551234", "from_number": from, "document": { "url": "http://127.0.0.1:9/x" } } });
    let send = below(&child, "/faxes");
    let (status, body) = rig.with(&key, "PUT", &send, fax("4155550178")).await;
    assert_eq!(
        (status, &body["data"]["from_number"]["error"]["message"]),
        (400, &json!("invalid fax cid number: 4155550178"))
    );
    assert_eq!(rig.with(&key, "PUT", &send, fax("4155550177")).await.0, 201);
    // Given back, it is the parent's again, and leads nowhere.
    assert_eq!(rig.with(&key, "DELETE", &number(&child), Value::Null).await.0, 200);
    assert!(matches!(decided(), Decision::Reject { .. }));
    let back = got(&rig, &key, &number(&parent)).await;
    assert!(back.get("label").is_none() && back.get("f0").is_none(), "{back}");
}

#[tokio::test]
async fn keys_are_shown_once_and_end_when_they_are_deleted() {
    let rig = plain().await;
    let keys = below(A, "/api_keys");
    let key = made(&rig, KEY, &keys, json!({ "name": "reader", "scopes": ["faxes.read"] })).await;
    let secret = text(&key, "api_key").to_owned();
    assert_eq!(secret.len(), 64);
    assert_eq!(rig.with(&secret, "GET", &faxes("/outgoing"), Value::Null).await.0, 200);
    let login = rig.with("", "PUT", "/v2/api_auth", json!({ "data": { "api_key": secret } })).await.1;
    let token = text(&login, "auth_token").to_owned();
    assert_eq!(rig.with(&token, "GET", &faxes("/outgoing"), Value::Null).await.0, 200);
    assert_eq!(
        rig.with(&token, "PUT", &faxes(""), rig::by_url()).await.0,
        403,
        "a token is not worth more than its key"
    );
    let list = got(&rig, KEY, &keys).await.to_string();
    assert!(
        list.contains("reader") && list.contains("configuration file") && !list.contains(&secret),
        "{list}"
    );
    let (status, body) =
        rig.with(KEY, "PUT", &keys, json!({ "data": { "name": "x", "scopes": ["all"] } })).await;
    assert!(status == 400 && body["data"]["scopes"]["enum"].is_object());
    assert_eq!(rig.with(KEY, "DELETE", &format!("{keys}/{}", text(&key, "id")), Value::Null).await.0, 200);
    for token in [&secret, &token] {
        assert_eq!(rig.with(token, "GET", &faxes("/outgoing"), Value::Null).await.0, 401);
    }
}

#[tokio::test]
async fn views_downloads_and_changes_are_in_the_audit_log() {
    let rig = start(Config::default(), true).await;
    let headers =
        [("x-auth-token", KEY), ("content-type", "application/pdf"), ("x-request-id", "the-upload")];
    let put = format!("{}?to_number=4155551234&from_number=4155550100", faxes(""));
    let sent = rig.send("PUT", &put, &headers, rig::testdata("demo.pdf")).await;
    assert_eq!(sent.status, 201, "{}", sent.json);
    let id = text(&sent.json["data"], "id").to_owned();
    let filed = text(&rig.finished(&id).await, "id").to_owned();
    assert_eq!(rig.get(&faxes(&format!("/outbox/{filed}"))).await.status, 200);
    assert_eq!(rig.get(&faxes(&format!("/outbox/{filed}/attachment"))).await.status, 200);
    assert_eq!(rig.json("PATCH", &below(A, "/users/none"), json!({ "data": {} })).await.status, 404);
    let log = got(&rig, KEY, &below(A, "/audit")).await;
    let lines: Vec<String> = log
        .as_array()
        .unwrap()
        .iter()
        .map(|l| format!("{} {} {}", text(l, "action"), text(l, "subject"), l["http_status"]))
        .collect();
    assert_eq!(
        lines,
        [
            "change user/none 404".to_owned(),
            format!("download faxes/outbox/{filed}/attachment null"),
            format!("view faxes/outbox/{filed} null"),
            format!("create faxes/{id} 201"),
        ]
    );
    let last = log.as_array().unwrap().last().unwrap();
    assert_eq!(
        (text(last, "remote"), text(last, "request_id"), text(last, "account_id")),
        ("127.0.0.1", "the-upload", A)
    );
    assert!(text(last, "who").starts_with("key:"));
    let limited = below(A, "/audit?page_size=2&filter_action=view");
    assert_eq!(got(&rig, KEY, &limited).await.as_array().unwrap().len(), 1);
}

/// Expressions are compiled on this machine, by whoever sets up a faxbox and for every mail to it.
#[tokio::test]
async fn permission_lists_are_bounded_before_they_are_compiled() {
    let rig = plain().await;
    let boxes = below(B, "/faxboxes");
    let status = async |list: Value| {
        let data = json!({ "data": { "name": "x", "smtp_permission_list": list } });
        let began = std::time::Instant::now();
        let (status, body) = rig.with(KEY_B, "PUT", &boxes, data).await;
        assert!(began.elapsed() < std::time::Duration::from_secs(2), "{:?}", began.elapsed());
        assert!(status == 201 || body["data"]["smtp_permission_list"].is_object(), "{body}");
        status
    };
    assert_eq!(status(json!(vec![r"\w{60}"; 100_000])).await, 400);
    assert_eq!(status(json!(vec![r"\w{60}"; 1000])).await, 400);
    assert_eq!(status(json!([r"(\w{99}){99}"])).await, 400);
    assert_eq!(status(json!(["("])).await, 400);
    assert_eq!(status(json!(vec!["nurse@clinic.example"; 1000])).await, 201);
    assert_eq!(status(json!([r"@clinic\.example$", ".+@b.example", "a@b.example"])).await, 201);
    // All faxboxes of the account are asked for a mail to its realm.
    for n in 0..10 {
        assert_eq!(status(json!(vec![r"@b\.example"; 50])).await, if n < 9 { 201 } else { 400 });
    }
    assert_eq!(status(json!(vec![r"@b\.example"; 48])).await, 201);
    assert_eq!(status(json!([r"@b\.example"])).await, 400);
    assert_eq!(status(json!(["a@b.example"])).await, 201);
}

#[tokio::test]
async fn hours_and_days_that_cannot_be_read_are_refused() {
    let rig = plain().await;
    let account = made(&rig, KEY, "/v2/accounts", json!({ "name": "Branch" })).await;
    let one = below(text(&account, "id"), "");
    for (fax, field) in [
        (json!({ "send_hours": "mon-fri 8 to 18" }), "fax.send_hours"),
        (json!({ "send_hours": ["daily 08:00-18:00", "whenever"] }), "fax.send_hours"),
        (json!({ "send_hours": 8 }), "fax.send_hours"),
        (json!({ "retention": { "sent_days": -1 } }), "fax.retention.sent_days"),
        (json!({ "retention": { "sent_day": 1 } }), "fax.retention"),
        (json!({ "retention": { "store_original": false, "store_fax_tiff": false } }), "fax.retention"),
    ] {
        let (status, body) = rig.with(KEY, "PATCH", &one, json!({ "data": { "fax": fax } })).await;
        assert!(status == 400 && body["data"].get(field).is_some(), "{field}: {body}");
    }
    let good = json!({ "send_hours": ["mon-fri 08:00-18:00"], "retention": { "sent_days": "30", "store_original": false, "store_url_document": "false" } });
    assert_eq!(rig.with(KEY, "PATCH", &one, json!({ "data": { "fax": good } })).await.0, 200);
    let directory = rig.service.directory();
    let known = directory.account(&text(&account, "id").into()).unwrap();
    assert!(!known.send_hours.is_empty());
    assert_eq!((known.retention.sent_days, known.retention.store_original), (Some(30), Some(false)));
    assert_eq!(known.retention.store_url_document, Some(false));

    let boxes = below(B, "/faxboxes");
    let (status, body) = rig
        .with(KEY_B, "PUT", &boxes, json!({ "data": { "name": "x", "send_hours": "mon-fri 8-18" } }))
        .await;
    assert!(
        status == 400
            && body["data"]["send_hours"]["wrong_format"]["message"]
                .as_str()
                .unwrap()
                .contains("mon-fri 8-18"),
        "{body}"
    );
    made(&rig, KEY_B, &boxes, json!({ "name": "x", "send_hours": "mon-fri 08:00-18:00" })).await;
}

#[tokio::test]
async fn an_account_that_is_deleted_takes_its_faxes_and_its_key_with_it() {
    use fax_store::model::{Entry, EntryKind, FaxId, Received, Timestamp};
    let rig = plain().await;
    let account = made(&rig, KEY, "/v2/accounts", json!({ "name": "Branch" })).await;
    let id = text(&account, "id").to_owned();
    let seal = Entry::new(EntryKind::Seal, "5ea1", id.as_str().into(), Timestamp(1));
    rig.ports.store.put_entries(vec![seal]).await.unwrap();
    rig.service.refresh().await.unwrap();
    let document = rig.ports.documents.put("pages".into()).await.unwrap();
    let fax: Received = serde_json::from_value(json!({
        "id": FaxId::generate(), "account": id, "created": Timestamp::now(), "document": document,
        "pages": 1, "success": true, "result_text": "",
    }))
    .unwrap();
    rig.ports.store.insert_received(fax.clone(), vec![]).await.unwrap();
    assert_eq!(rig.with(KEY, "DELETE", &below(&id, ""), Value::Null).await.0, 200);
    assert!(
        rig.service.directory().entry(EntryKind::Seal, "5ea1").is_none(),
        "nobody reads its documents any more"
    );
    for _ in 0..200 {
        if rig.ports.store.received(&fax.id).await.unwrap().is_none() {
            assert!(rig.ports.documents.get(&document).await.is_err());
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("its fax is still there");
}

/// Every Rust file below a folder, as path and text.
fn sources(folder: &std::path::Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|n| n != "target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn every_test_that_the_comparison_names_is_there() {
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let mut files = Vec::new();
    for folder in ["crates", "sip", "tools"] {
        sources(&root.join(folder), &mut files);
    }
    let functions: std::collections::BTreeSet<&str> = files
        .iter()
        .flat_map(|(_, text)| text.split("fn ").skip(1))
        .map(|after| {
            after.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap_or_default()
        })
        .collect();
    let is_test = |name: &str| match name.strip_suffix('…') {
        Some(begins) => functions.iter().any(|f| f.starts_with(begins)),
        None => functions.contains(name),
    };
    let is_file = |name: &str| {
        files.iter().any(|(path, _)| path.ends_with(&format!("/{}", name.trim_start_matches("crates/"))))
    };
    let text = std::fs::read_to_string(root.join("crates/api/KAZOO.md")).unwrap();
    let (mut wrong, mut seen, mut shown) = (Vec::new(), 0, false);
    for line in text.lines().filter(|l| l.starts_with('|') || l.starts_with('#')) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let last = cells.last().copied().unwrap_or_default().trim_end_matches('|').trim();
        if line.starts_with('#') {
            shown = false;
        } else if last.starts_with("shown by") || last.starts_with("test") {
            shown = true;
        } else if shown && cells.len() > 2 {
            for name in last.split('`').skip(1).step_by(2) {
                let (file, test) =
                    name.split_once(": ").map_or((None, name), |(file, test)| (Some(file), test));
                let test = test.rsplit("::").next().unwrap_or(test);
                let plain = test.chars().all(|c| c.is_ascii_alphanumeric() || "_…".contains(c));
                let good = file.is_none_or(is_file)
                    && if test.ends_with(".rs") {
                        is_file(test)
                    } else {
                        !plain || test.matches('_').count() < 2 || is_test(test)
                    };
                seen += 1;
                if !good {
                    wrong.push(name);
                }
            }
        }
    }
    assert!(seen > 100, "{seen}");
    assert!(wrong.is_empty(), "KAZOO.md names what is not there: {wrong:#?}");
}
