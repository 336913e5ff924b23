//! The REST face over HTTP on loopback: envelopes, errors, tokens, every way to hand in a document, lists, attachments.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests, which may

mod rig;

use fax_api::Config;
use fax_store::model::{AccountId, FaxId, Received, Timestamp};
use rig::{A, B, F, KEY, KEY_B, Rig, start, testdata};
use serde_json::json;

async fn plain() -> Rig {
    start(Config::default(), false).await
}

fn faxes(rest: &str) -> String {
    format!("/v2/accounts/{A}/faxes{rest}")
}

fn by_url() -> serde_json::Value {
    json!({ "data": { "to_number": "+1 (415) 555-1234", "from_number": "4155550100", "document": { "url": "http://127.0.0.1:9/x.pdf" }, "custom": { "x": 1 }, "_private": 1, "pvt_x": 2 } })
}

async fn received(rig: &Rig, pages: &str) -> Received {
    let tiff = testdata(pages);
    let document = rig.ports.documents.put(tiff.clone().into()).await.unwrap();
    let fax: Received = serde_json::from_value(json!({
        "id": FaxId::generate(), "account": A, "faxbox": F, "created": Timestamp::now(), "from_number": "+14155550199", "from_name": "Lab",
        "to_number": "+14155550100", "document": document, "pages": 3, "success": true, "result_text": "OK", "size": tiff.len(),
    }))
    .unwrap();
    rig.ports.store.insert_received(fax.clone(), Vec::new()).await.unwrap();
    fax
}

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
    assert_eq!(data["custom"], json!({ "x": 1 }));
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

    let user =
        json!({ "data": { "credentials": "2D19A0BBB8EBBCA8CB0A7C0FFEE00001", "account_name": "clinic a" } });
    let login = rig.send("PUT", "/v2/user_auth", &[], user.to_string()).await;
    assert_eq!((login.status, &login.json["data"]["owner_id"]), (201, &json!("u1")));
    let token = login.json["auth_token"].as_str().unwrap();
    assert_eq!(rig.send("GET", &path, &[("x-auth-token", token)], "").await.status, 200);
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
}

#[tokio::test]
async fn every_multipart_spelling_hands_in_the_document() {
    let rig = plain().await;
    let envelope = r#"{"data":{"to_number":"4155551234","from_number":"1"}}"#;
    // The UI's writer: a fixed boundary, two CRLFs after each part, base64 as text.
    let ui = format!(
        "--multipart-message-boundary\r\nContent-Type: application/json\r\n\r\n{envelope}\r\n\r\n--multipart-message-boundary\r\n\
         Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQK\r\n\r\n--multipart-message-boundary--"
    );
    // curl -F under a mixed header.
    let curl = format!(
        "--------------------------d74496d66958873e\r\nContent-Disposition: form-data; name=\"data\"; filename=\"data.json\"\r\nContent-Type: application/json\r\n\r\n{envelope}\r\n\
         --------------------------d74496d66958873e\r\nContent-Disposition: form-data; name=\"file\"; filename=\"letter.pdf\"\r\nContent-Type: application/pdf\r\n\r\n%PDF-1.4\n\r\n\
         --------------------------d74496d66958873e--\r\n"
    );
    let data_url = format!(
        "--b\r\nContent-Type: application/json\r\n\r\n{envelope}\r\n--b\r\nContent-Type: application/base64\r\n\r\ndata:application/pdf;base64,JVBERi0xLjQK\r\n--b--\r\n"
    );
    for (content_type, body) in [
        ("multipart/mixed; boundary=multipart-message-boundary", ui),
        ("multipart/mixed; boundary=------------------------d74496d66958873e", curl.clone()),
        ("multipart/form-data; boundary=------------------------d74496d66958873e", curl),
        ("multipart/mixed; boundary=b", data_url),
    ] {
        let reply = rig
            .send("PUT", &faxes("/outgoing"), &[("x-auth-token", KEY), ("content-type", content_type)], body)
            .await;
        assert_eq!(reply.status, 201, "{content_type}: {}", reply.json);
        assert_eq!(reply.json["data"]["status"], "attaching_files");
        let id = reply.json["data"]["id"].as_str().unwrap();
        let job = rig.service.job(&AccountId::new(A), &id.into()).await.unwrap();
        let fax_store::model::Source::Stored { original, content_type, .. } = job.source else {
            panic!("not stored")
        };
        assert_eq!(content_type, "application/pdf");
        assert_eq!(&rig.ports.documents.get(&original).await.unwrap()[..], b"%PDF-1.4\n");
    }
    let raw = rig
        .send(
            "PUT",
            &format!("/v2/accounts/{A}/faxboxes/{F}/faxes?to_number=4155551234"),
            &[("x-auth-token", KEY), ("content-type", "application/pdf")],
            "%PDF-1.4\n",
        )
        .await;
    assert_eq!((raw.status, &raw.json["data"]["from_number"]), (201, &json!("+14155550100")), "{}", raw.json);
    let no_json = rig
        .send(
            "PUT",
            &faxes(""),
            &[("x-auth-token", KEY), ("content-type", "multipart/mixed; boundary=b")],
            "--b\r\nContent-Type: application/pdf\r\n\r\nx\r\n--b--",
        )
        .await;
    assert_eq!(no_json.status, 400);
    let broken =
        rig.send("PUT", &faxes(""), &[("x-auth-token", KEY), ("content-type", "multipart/mixed")], "x").await;
    assert_eq!((broken.status, broken.json["data"]["json"]["invalid"].is_object()), (400, true));
}

#[tokio::test]
async fn a_faxbox_fills_in_what_the_request_leaves_out() {
    let rig = plain().await;
    let boxed = format!("/v2/accounts/{A}/faxboxes/{F}/faxes");
    let data = json!({ "data": { "to_number": "4155551234", "document": { "url": "http://127.0.0.1:9/" } } });
    let made = rig.json("PUT", &boxed, data).await;
    assert_eq!(made.status, 201, "{}", made.json);
    let d = &made.json["data"];
    assert_eq!(
        (&d["from_number"], &d["from_name"], &d["fax_identity_name"]),
        (&json!("+14155550100"), &json!("Clinic"), &json!("Clinic A"))
    );
    assert_eq!(
        (&d["fax_timezone"], &d["retries"], &d["faxbox_id"]),
        (&json!("America/Los_Angeles"), &json!(2), &json!(F))
    );
    assert_eq!(d["notifications"]["email"]["send_to"], json!(["desk@a.example"]));
    // Only the faxbox's own are listed below it.
    rig.json("PUT", &faxes(""), by_url()).await;
    assert_eq!(rig.get(&format!("{boxed}/outgoing")).await.json["data"].as_array().unwrap().len(), 1);
    assert_eq!(rig.get(&faxes("/outgoing")).await.json["data"].as_array().unwrap().len(), 2);
    assert_eq!(
        rig.get(&faxes(&format!("/outgoing?filter_faxbox_id={F}"))).await.json["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let faxbox = rig.get(&format!("/v2/accounts/{A}/faxboxes/{F}")).await;
    assert_eq!(
        (&faxbox.json["data"]["name"], &faxbox.json["metadata"]["custom_smtp_address"]),
        (&json!("Front desk"), &json!("0a1b2c3d.fax.example"))
    );
    assert_eq!(
        rig.get(&format!("/v2/accounts/{A}/faxboxes")).await.json["data"].as_array().unwrap().len(),
        1
    );
}

#[tokio::test]
async fn lists_go_page_by_page() {
    let rig = plain().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(rig.json("PUT", &faxes(""), by_url()).await.json["data"]["id"].clone());
    }
    made.reverse();
    let mut seen = Vec::new();
    let mut key = String::new();
    for page in 0..3 {
        let reply = rig.get(&faxes(&format!("/outgoing?page_size=2&start_key={key}"))).await;
        seen.extend(reply.json["data"].as_array().unwrap().iter().map(|i| i["id"].clone()));
        assert_eq!(reply.json["next_start_key"].is_string(), page < 2, "page {page}");
        key = reply.json["next_start_key"].as_str().unwrap_or_default().to_owned();
    }
    assert_eq!(seen, made, "newest first, each once");
    let all = rig.get(&faxes("/outgoing?paginate=false&ascending=true")).await;
    assert_eq!(all.json["data"][0]["id"], *made.last().unwrap());
    assert_eq!(rig.get(&faxes("/outgoing?page_size=x")).await.status, 400);
    let range = rig.get(&faxes("/inbox?created_from=5&created_to=4")).await;
    assert_eq!(
        (range.status, range.json["data"]["created_from"]["date_range"]["message"].is_string()),
        (400, true)
    );
}

#[tokio::test]
async fn a_received_fax_is_listed_fetched_and_deleted() {
    let rig = plain().await;
    let fax = received(&rig, "pages/three-pages.tif").await;
    let list = rig.get(&faxes("/inbox")).await;
    let id = list.json["data"][0]["id"].as_str().unwrap().to_owned();
    assert!(id.ends_with(fax.id.as_str()) && id.len() == 39, "{id}");
    let one = rig.get(&faxes(&format!("/inbox/{id}"))).await;
    assert_eq!(
        (&one.json["data"]["rx_result"]["success"], &one.json["data"]["rx_result"]["total_pages"]),
        (&json!(true), &json!(3))
    );
    assert!(one.json["data"]["_read_only"]["created"].is_i64());
    let misplaced = rig.get(&faxes(&format!("/outbox/{id}"))).await;
    assert_eq!(
        (misplaced.status, &misplaced.json["message"]),
        (500, &json!("document is not in folder outbox"))
    );

    let path = faxes(&format!("/inbox/{id}/attachment"));
    let pdf = rig.get(&path).await;
    assert_eq!((pdf.status, pdf.header("content-type")), (200, "application/pdf"), "{:?}", pdf.json);
    assert!(pdf.body.starts_with(b"%PDF-"));
    assert!(pdf.header("content-disposition").starts_with("attachment; filename=fax_document_20"));
    let inline = rig
        .send("GET", &format!("{path}?auth_token={KEY}&disposition=inline"), &[("accept", "image/tiff")], "")
        .await;
    assert_eq!((inline.status, inline.header("content-type")), (200, "image/tiff"));
    assert!(inline.header("content-disposition").starts_with("inline; filename="));
    assert_eq!(&inline.body[..], testdata("pages/three-pages.tif"));
    let part = rig
        .send("GET", &path, &[("x-auth-token", KEY), ("range", "bytes=1-3"), ("accept", "image/tiff")], "")
        .await;
    assert_eq!((part.status, &part.body[..]), (206, &inline.body[1..4]));
    assert_eq!(part.header("content-range"), format!("bytes 1-3/{}", inline.body.len()));
    let beyond = rig.send("GET", &path, &[("x-auth-token", KEY), ("range", "bytes=99999999-")], "").await;
    assert_eq!(beyond.status, 416);
    let same =
        rig.send("GET", &path, &[("x-auth-token", KEY), ("if-none-match", pdf.header("etag"))], "").await;
    assert_eq!((same.status, same.body.len()), (304, 0));
    assert_eq!(
        rig.send("GET", &path, &[("x-auth-token", KEY), ("accept", "text/html")], "").await.status,
        406
    );
    assert_eq!(rig.send("GET", &path, &[("x-auth-token", KEY_B)], "").await.status, 403);
    let foreign = format!("/v2/accounts/{B}/faxes/inbox/{id}");
    assert_eq!(
        rig.send("GET", &foreign, &[("x-auth-token", KEY_B)], "").await.status,
        404,
        "another account's fax is not there"
    );

    let forward =
        json!({ "action": "forward", "data": { "to_number": "4155557777", "from_number": "4155550100" } });
    let forwarded = rig.json("PUT", &faxes(&format!("/inbox/{id}")), forward).await;
    assert_eq!(
        (forwarded.status, &forwarded.json["data"]["to_number"]),
        (201, &json!("+14155557777")),
        "{}",
        forwarded.json
    );
    let unnamed = rig.json("PUT", &faxes(&format!("/inbox/{id}")), json!({ "data": {} })).await;
    assert_eq!((unnamed.status, &unnamed.json["message"]), (500, &json!("action required")));

    let gone = rig.send("DELETE", &faxes(&format!("/inbox/{id}")), &[("x-auth-token", KEY)], "").await;
    assert_eq!(
        (gone.status, &gone.json["data"]["_read_only"]["deleted"]),
        (200, &json!(true)),
        "{}",
        gone.json
    );
    assert_eq!(rig.get(&faxes(&format!("/inbox/{id}"))).await.status, 404);
}

#[tokio::test]
async fn a_queued_fax_can_be_called_off() {
    let rig = plain().await;
    let id = rig.json("PUT", &faxes(""), by_url()).await.json["data"]["id"].as_str().unwrap().to_owned();
    let gone = rig.send("DELETE", &faxes(&format!("/outgoing/{id}")), &[("x-auth-token", KEY)], "").await;
    assert_eq!(
        (gone.status, &gone.json["data"]["id"], &gone.json["data"]["_read_only"]["deleted"]),
        (200, &json!(id), &json!(true)),
        "{}",
        gone.json
    );
    assert_eq!(rig.get(&faxes("/outgoing")).await.json["data"], json!([]));
    let again = rig.send("DELETE", &faxes(&format!("/outgoing/{id}")), &[("x-auth-token", KEY)], "").await;
    assert_eq!((again.status, &again.json["message"]), (409, &json!("datastore_conflict")));
}

async fn upload(rig: &Rig, document: &[u8]) -> String {
    let head = b"--b\r\nContent-Type: application/json\r\n\r\n{\"data\":{\"to_number\":\"4155551234\",\"from_number\":\"4155550100\",\"retries\":1}}\r\n--b\r\nContent-Type: application/pdf\r\n\r\n";
    let body = [&head[..], document, b"\r\n--b--\r\n"].concat();
    let made = rig
        .send(
            "PUT",
            &faxes("/outgoing"),
            &[("x-auth-token", KEY), ("content-type", "multipart/mixed; boundary=b")],
            body,
        )
        .await;
    assert_eq!(made.status, 201, "{}", made.json);
    made.json["data"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_document_goes_all_the_way_to_the_outbox() {
    let rig = start(Config::default(), true).await;
    let id = upload(&rig, &testdata("demo.pdf")).await;
    let job = rig.finished(&id).await;
    assert_eq!((&job["status"], &job["tx_result"]["success"]), (&json!("completed"), &json!(true)), "{job}");
    let pages = job["total_pages"].as_u64().unwrap();
    assert!(pages > 0 && job["tx_result"]["transferred_pages"] == pages && job["delivered"].is_i64());
    let filed = rig.get(&faxes("/outbox")).await.json["data"][0]["id"].as_str().unwrap().to_owned();
    assert!(filed.ends_with(&id));
    let tiff = rig
        .send(
            "GET",
            &faxes(&format!("/outbox/{filed}/attachment")),
            &[("x-auth-token", KEY), ("accept", "image/tiff")],
            "",
        )
        .await;
    assert_eq!((tiff.status, tiff.header("content-type")), (200, "image/tiff"));
    let again = rig
        .json("PUT", &faxes(&format!("/outbox/{filed}")), json!({ "action": "resubmit", "data": {} }))
        .await;
    assert_eq!((again.status, &again.json["data"]["attempts"]), (201, &json!(0)), "{}", again.json);
    assert_ne!(again.json["data"]["id"], json!(id));
    let gone = rig.send("DELETE", &faxes(&format!("/outbox/{filed}")), &[("x-auth-token", KEY)], "").await;
    assert_eq!(gone.status, 200, "{}", gone.json);
    assert_eq!(rig.get(&faxes(&format!("/outbox/{filed}"))).await.status, 404);
}

#[tokio::test]
async fn a_broken_document_fails_with_a_plain_reason() {
    let rig = start(Config::default(), true).await;
    let id = upload(&rig, b"%PDF-1.4\nnothing of a PDF").await;
    let job = rig.finished(&id).await;
    assert_eq!((&job["status"], &job["tx_result"]["success"]), (&json!("failed"), &json!(false)));
    let text = job["tx_result"]["result_text"].as_str().unwrap();
    assert!(text.contains("PDF") && text.contains("damaged"), "{text}");
    assert_eq!(job["tx_result"]["result_code"], 0);
}

#[tokio::test]
async fn a_document_by_url_is_fetched() {
    let rig = start(Config::default(), true).await;
    // A server of documents: one redirect, then the PDF.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let documents = axum::Router::new()
        .route("/go", axum::routing::get(|| async { axum::response::Redirect::to("/letter.pdf") }))
        .route(
            "/letter.pdf",
            axum::routing::get(|| async { ([("content-type", "application/pdf")], testdata("demo.pdf")) }),
        );
    tokio::spawn(fax_api::serve(listener, documents, std::future::pending()));
    let data = json!({ "data": { "to_number": "4155551234", "from_number": "4155550100", "document": { "url": format!("http://{at}/go") } } });
    let id = rig.json("PUT", &faxes(""), data).await.json["data"]["id"].as_str().unwrap().to_owned();
    assert_eq!(rig.finished(&id).await["status"], "completed");
    let data = json!({ "data": { "to_number": "4155551234", "from_number": "4155550100", "document": { "url": format!("http://{at}/none.pdf") } } });
    let id = rig.json("PUT", &faxes(""), data).await.json["data"]["id"].as_str().unwrap().to_owned();
    let job = rig.finished(&id).await;
    assert!(
        job["status"] == "failed" && job["tx_result"]["result_text"].as_str().unwrap().contains("404"),
        "{job}"
    );
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

#[tokio::test]
async fn fetching_is_bounded_in_redirects_and_size() {
    use fax_api::{FetchConfig, HttpFetcher};
    use fax_switch::port::{ConvertError, FetchOrder, Fetcher};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let said = |headers: axum::http::HeaderMap, body: String| async move {
        format!("{} {} {body}", headers["host"].to_str().unwrap(), headers["content-type"].to_str().unwrap())
    };
    let documents = axum::Router::new()
        .route("/loop", axum::routing::get(|| async { axum::response::Redirect::to("/loop") }))
        .route("/file", axum::routing::get(|| async { axum::response::Redirect::to("file:///etc/passwd") }))
        .route("/busy", axum::routing::get(|| async { axum::http::StatusCode::SERVICE_UNAVAILABLE }))
        .route("/big", axum::routing::get(|| async { vec![b'x'; 5000] }))
        .route("/empty", axum::routing::get(|| async {}))
        .route("/post", axum::routing::post(said));
    tokio::spawn(fax_api::serve(listener, documents, std::future::pending()));
    let fetcher =
        HttpFetcher::new(FetchConfig { allow_private_urls: true, max_size: 4000, ..FetchConfig::default() });
    let order = |path: &str, method: &str| FetchOrder {
        url: format!("http://{at}{path}"),
        method: method.into(),
        host: Some("documents.example".into()),
        referer: None,
        content: Some("give me".into()),
        content_type: Some("text/x-wish".into()),
    };
    for (path, wanted) in [
        ("/loop", "too often"),
        ("/file", "only http"),
        ("/big", "larger than 4000"),
        ("/empty", "nothing"),
        ("/none", "404"),
    ] {
        match fetcher.fetch(order(path, "get")).await {
            Err(ConvertError::Document(why)) => assert!(why.contains(wanted), "{path}: {why}"),
            other => panic!("{path}: {other:?}"),
        }
    }
    assert!(matches!(fetcher.fetch(order("/busy", "get")).await, Err(ConvertError::Later(_))));
    let fetched = fetcher.fetch(order("/post", "post")).await.unwrap();
    assert_eq!(&fetched.octets[..], b"documents.example text/x-wish give me");
    let guarded = HttpFetcher::new(FetchConfig::default());
    assert!(matches!(guarded.fetch(order("/big", "get")).await, Err(ConvertError::Document(_))));
}
