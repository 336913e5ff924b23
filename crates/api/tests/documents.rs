//! Documents on their way in over REST: every way to hand one in, and each all the way to the outbox.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests, which may

mod rig;

use fax_api::Config;
use fax_store::model::AccountId;
use fax_switch::Format;
use rig::{A, F, KEY, Rig, by_url, faxes, plain, start, testdata};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
    let listed = rig.get(&faxes("/outbox")).await.json["data"][0].clone();
    let filed = listed["id"].as_str().unwrap().to_owned();
    assert!(filed.ends_with(&id));
    // Every attempt with its ladder where one fax is read, and there only.
    assert!(listed.get("history").is_none(), "{listed}");
    let read = rig.get(&faxes(&format!("/outbox/{filed}"))).await.json["data"].clone();
    assert_eq!(read["history"], job["history"]);
    let attempt = &read["history"][0];
    assert_eq!(
        (&attempt["cause"], &attempt["bit_rate"], &attempt["pages_confirmed"]),
        (&json!("ok"), &json!(14_400), &json!(pages))
    );
    assert_eq!((&attempt["ladder"], attempt.get("trunk")), (&json!(["NSF CSI DIS ->"]), None), "{attempt}");
    assert!(attempt["began"].is_i64() && attempt["ended"].is_i64(), "{attempt}");
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
    let rig = start(Config { attachment_format: Format::Original, ..Config::default() }, true).await;
    // A server of documents: one redirect, then the PDF.
    let asked = Arc::new(AtomicUsize::new(0));
    let letters = asked.clone();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let documents = axum::Router::new()
        .route("/go", axum::routing::get(|| async { axum::response::Redirect::to("/letter.pdf") }))
        .route(
            "/letter.pdf",
            axum::routing::get(move || async move {
                letters.fetch_add(1, Ordering::Relaxed);
                ([("content-type", "application/pdf")], testdata("demo.pdf"))
            }),
        );
    tokio::spawn(fax_api::serve(listener, documents, std::future::pending()));
    let data = json!({ "data": { "to_number": "4155551234", "from_number": "4155550100", "document": { "url": format!("http://{at}/go") } } });
    let id = rig.json("PUT", &faxes(""), data).await.json["data"]["id"].as_str().unwrap().to_owned();
    assert_eq!(rig.finished(&id).await["status"], "completed");
    // It is kept: as the attachment, where that is said to be the original, and to be sent again.
    let path = faxes(&format!("/outbox/{id}"));
    let original = rig.get(&format!("{path}/attachment")).await;
    assert_eq!((original.status, original.header("content-type")), (200, "application/pdf"));
    assert_eq!(original.body, testdata("demo.pdf"));
    assert!(original.header("content-disposition").ends_with(".pdf"));
    let made = rig.json("PUT", &path, json!({ "action": "resubmit", "data": {} })).await;
    assert_eq!(rig.finished(made.json["data"]["id"].as_str().unwrap()).await["status"], "completed");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let data = json!({ "data": { "to_number": "4155551234", "from_number": "4155550100", "document": { "url": format!("http://{at}/none.pdf") } } });
    let id = rig.json("PUT", &faxes(""), data).await.json["data"]["id"].as_str().unwrap().to_owned();
    let job = rig.finished(&id).await;
    assert!(
        job["status"] == "failed" && job["tx_result"]["result_text"].as_str().unwrap().contains("404"),
        "{job}"
    );
    // Sent again it is fetched again, from there or from where the client says now.
    let again = |data: serde_json::Value| json!({ "action": "resubmit", "data": data });
    let path = faxes(&format!("/outbox/{id}"));
    let made = rig.json("PUT", &path, again(json!({}))).await;
    assert_eq!((made.status, &made.json["data"]["document"]), (201, &job["document"]), "{}", made.json);
    let job = rig.finished(made.json["data"]["id"].as_str().unwrap()).await;
    assert!(job["tx_result"]["result_text"].as_str().unwrap().contains("404"), "{job}");
    let none = rig.get(&faxes(&format!("/outbox/{id}/attachment"))).await;
    assert_eq!(none.status, 404, "there is neither original nor page");
    let elsewhere = json!({ "document": { "url": format!("http://{at}/go") } });
    let made = rig.json("PUT", &path, again(elsewhere)).await;
    assert_eq!(made.status, 201, "{}", made.json);
    assert_eq!(rig.finished(made.json["data"]["id"].as_str().unwrap()).await["status"], "completed");
    let wrong = rig.json("PUT", &path, again(json!({ "document": { "url": "file:///x" } }))).await;
    assert_eq!((wrong.status, wrong.json["data"]["document.url"].is_object()), (400, true));
}

#[tokio::test]
async fn fetching_is_bounded_in_redirects_and_size() {
    use fax_api::{FetchConfig, HttpFetcher};
    use fax_store::model::WebRequest;
    use fax_switch::port::{ConvertError, Fetcher};
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
    let order = |path: &str, method: &str| WebRequest {
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
