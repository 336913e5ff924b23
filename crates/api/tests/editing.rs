//! Faxes that are changed in the queue, requests that come twice, attachments that are removed.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests, which may

mod rig;

use fax_api::Config;
use fax_store::model::Job;
use fax_store::port::{Guard, JobChange};
use rig::{A, B, F, KEY, KEY_B, Rig, by_url, faxes, plain, start, testdata};
use serde_json::{Value, json};

async fn queued(rig: &Rig) -> String {
    let made = rig.json("PUT", &faxes(""), by_url()).await;
    assert_eq!(made.status, 201, "{}", made.json);
    made.json["data"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_queued_fax_is_edited() {
    let rig = plain().await;
    let id = queued(&rig).await;
    let path = faxes(&format!("/outgoing/{id}"));
    let was = rig.get(&path).await.json["data"].clone();
    let change = json!({ "data": { "to_number": "4155559876", "retries": "4", "custom": { "y": 2 }, "pvt_once": "x" } });
    let (status, made) = rig.with(KEY, "PATCH", &path, change).await;
    assert_eq!(status, 200, "{made}");
    let d = &made["data"];
    assert_eq!((&d["id"], &d["to_number"], &d["retries"]), (&json!(id), &json!("+14155559876"), &json!(4)));
    assert_eq!((&d["custom"], &d["document"]), (&json!({ "x": 1, "y": 2 }), &was["document"]));
    assert_eq!((&d["attempts"], &d["from_number"]), (&json!(0), &was["from_number"]));
    // POST of what GET gave, with one field changed, as KAZOO's PHP client does it.
    let mut whole = rig.get(&path).await.json["data"].clone();
    whole["from_name"] = "Ward".into();
    let (status, made) = rig.with(KEY, "POST", &path, json!({ "data": whole })).await;
    assert_eq!((status, &made["data"]["from_name"]), (200, &json!("Ward")), "{made}");
    assert_eq!(rig.get(&path).await.json["data"]["from_name"], "Ward");

    for (change, field) in [
        (json!({ "to_number": "12" }), "document.to_number"),
        (json!({ "to_number": null }), "to_number"),
        (json!({ "retries": 9 }), "retries"),
        (json!({ "priority": "asap" }), "priority"),
        (json!({ "document": { "url": "file:///etc/passwd" } }), "document.url"),
    ] {
        let (status, made) = rig.with(KEY, "PATCH", &path, json!({ "data": change })).await;
        assert_eq!((status, made["data"][field].is_object()), (400, true), "{made}");
    }
    for (action, rule) in [(json!(null), "required"), (json!("resubmit"), "enum")] {
        let (status, made) = rig.with(KEY, "PUT", &path, json!({ "action": action, "data": {} })).await;
        assert_eq!((status, made["data"]["action"][rule].is_object()), (400, true), "{made}");
    }
    let nobody = faxes("/outgoing/00000000000000000000000000000000");
    assert_eq!(rig.with(KEY, "PATCH", &nobody, json!({ "data": {} })).await.0, 404);
    let foreign = format!("/v2/accounts/{B}/faxes/outgoing/{id}");
    assert_eq!(rig.with(KEY_B, "PATCH", &foreign, json!({ "data": {} })).await.0, 404);
    assert_eq!(rig.with(KEY_B, "PATCH", &path, json!({ "data": {} })).await.0, 403);
    let other_box = json!({ "data": { "faxbox_id": "0" } });
    assert_eq!(rig.with(KEY, "PATCH", &path, other_box).await.0, 404);

    assert_eq!(rig.with(KEY, "DELETE", &path, Value::Null).await.0, 200);
    let (status, done) = rig.with(KEY, "PATCH", &path, json!({ "data": { "from_name": "x" } })).await;
    assert_eq!((status, &done["message"]), (409, &json!("datastore_conflict")), "{done}");
}

#[tokio::test]
async fn a_priority_is_taken_shown_kept_and_changed() {
    let rig = plain().await;
    let mut urgent = by_url();
    urgent["data"]["priority"] = "high".into();
    let made = rig.json("PUT", &faxes(""), urgent).await;
    assert_eq!((made.status, &made.json["data"]["priority"]), (201, &json!("high")), "{}", made.json);
    let id = made.json["data"]["id"].as_str().unwrap().to_owned();
    let path = faxes(&format!("/outgoing/{id}"));
    let priority = async || rig.get(&path).await.json["data"]["priority"].clone();
    assert_eq!(priority().await, "high");
    // What does not name it leaves it; the whole document sent back does, too.
    rig.with(KEY, "PATCH", &path, json!({ "data": { "from_name": "Ward" } })).await;
    assert_eq!(priority().await, "high");
    let whole = rig.get(&path).await.json["data"].clone();
    assert_eq!(rig.with(KEY, "POST", &path, json!({ "data": whole })).await.0, 200);
    assert_eq!(priority().await, "high");
    for (change, now) in [(json!("low"), "low"), (json!(null), "normal")] {
        let (status, made) = rig.with(KEY, "PATCH", &path, json!({ "data": { "priority": change } })).await;
        assert_eq!((status, &made["data"]["priority"]), (200, &json!(now)), "{made}");
        assert_eq!(priority().await, now);
    }
    // In the parts of a request, and in the query of a bare document.
    let parts = "--b\r\nContent-Type: application/json\r\n\r\n{\"data\":{\"to_number\":\"4155551234\",\"from_number\":\"1\",\"priority\":\"low\"}}\r\n--b\r\nContent-Type: application/pdf\r\n\r\n%PDF-1\r\n--b--\r\n";
    let headers = [("x-auth-token", KEY), ("content-type", "multipart/mixed; boundary=b")];
    let made = rig.send("PUT", &faxes(""), &headers, parts).await;
    assert_eq!((made.status, &made.json["data"]["priority"]), (201, &json!("low")), "{}", made.json);
    let bare = faxes("?to_number=4155551234&from_number=1&priority=");
    let headers = [("x-auth-token", KEY), ("content-type", "application/pdf")];
    let made = rig.send("PUT", &format!("{bare}high"), &headers, "%PDF-1").await;
    assert_eq!((made.status, &made.json["data"]["priority"]), (201, &json!("high")), "{}", made.json);
    let made = rig.send("PUT", &format!("{bare}x"), &headers, "%PDF-1").await;
    assert_eq!((made.status, made.json["data"]["priority"]["enum"].is_object()), (400, true));
    let listed = rig.get(&faxes("/outgoing?filter_priority=high")).await;
    assert_eq!(listed.json["data"].as_array().unwrap().len(), 1, "{}", listed.json);
}

#[tokio::test]
async fn a_request_with_a_key_is_carried_out_once() {
    let rig = plain().await;
    let put = async |key: &str, path: &str, kind: &str, body: String| {
        let headers = [("x-auth-token", KEY), ("content-type", kind), ("idempotency-key", key)];
        rig.send("PUT", path, &headers, body).await
    };
    let json_type = "application/json";
    let first = put("order 7", &faxes(""), json_type, by_url().to_string()).await;
    assert_eq!(first.status, 201, "{}", first.json);
    let second = put("order 7", &faxes(""), json_type, by_url().to_string()).await;
    assert_eq!((second.status, second.header("location")), (201, first.header("location")));
    assert_eq!(second.json["data"], first.json["data"]);
    let mut other = by_url();
    other["data"]["to_number"] = "4155550000".into();
    let refused = put("order 7", &faxes(""), json_type, other.to_string()).await;
    assert_eq!(
        (refused.status, &refused.json["message"]),
        (422, &json!("idempotency_key_reused")),
        "{}",
        refused.json
    );
    // In parts, cut in another way each time.
    let in_parts = |boundary: &str, document: &str| {
        format!(
            "--{boundary}\r\nContent-Type: application/json\r\n\r\n{{\"data\":{{\"to_number\":\"4155551234\",\"from_number\":\"1\"}}}}\r\n--{boundary}\r\nContent-Type: application/pdf\r\n\r\n{document}\r\n--{boundary}--\r\n"
        )
    };
    let one = put("p", &faxes(""), "multipart/mixed; boundary=x", in_parts("x", "%PDF-1")).await;
    let two = put("p", &faxes(""), "multipart/mixed; boundary=yy", in_parts("yy", "%PDF-1")).await;
    assert_eq!((one.status, &one.json["data"]["id"]), (201, &two.json["data"]["id"]), "{}", two.json);
    let three = put("p", &faxes(""), "multipart/mixed; boundary=yy", in_parts("yy", "%PDF-2")).await;
    assert_eq!(three.status, 422);
    for wrong in ["", " ", &"x".repeat(256)] {
        assert_eq!(put(wrong, &faxes(""), json_type, by_url().to_string()).await.status, 400, "{wrong:?}");
    }
    assert_eq!(rig.get(&faxes("/outgoing")).await.json["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_attachment_goes_and_its_record_stays() {
    let rig = start(Config::default(), true).await;
    let headers = [("x-auth-token", KEY), ("content-type", "multipart/mixed; boundary=b")];
    let mut body =
        b"--b\r\nContent-Type: application/json\r\n\r\n{\"data\":{\"to_number\":\"4155551234\",\"from_number\":\"1\"}}\r\n--b\r\nContent-Type: image/tiff\r\n\r\n".to_vec();
    body.extend(testdata("pages/three-pages.tif"));
    body.extend(b"\r\n--b--\r\n");
    let made = rig.send("PUT", &faxes(""), &headers, body).await;
    let id = made.json["data"]["id"].as_str().unwrap().to_owned();
    let job = rig.finished(&id).await;
    assert_eq!(job["status"], "completed", "{job}");
    let record = faxes(&format!("/outbox/{id}"));
    let path = format!("{record}/attachment");
    assert_eq!(rig.get(&path).await.status, 200);
    let resubmitted = async || {
        let headers =
            [("x-auth-token", KEY), ("content-type", "application/json"), ("idempotency-key", "again")];
        rig.send("PUT", &record, &headers, json!({ "action": "resubmit", "data": {} }).to_string()).await
    };
    let first = resubmitted().await;
    assert_eq!(first.status, 201, "{}", first.json);
    assert_eq!(rig.with(KEY_B, "DELETE", &path, Value::Null).await.0, 403);
    let foreign = format!("/v2/accounts/{B}/faxes/outbox/{id}/attachment");
    assert_eq!(rig.with(KEY_B, "DELETE", &foreign, Value::Null).await.0, 404);
    assert_eq!(rig.send("DELETE", &path, &[], "").await.status, 401);
    assert_eq!(rig.with(KEY, "DELETE", &path, Value::Null).await.0, 200);
    assert_eq!(rig.get(&path).await.status, 404);
    assert_eq!(rig.with(KEY, "DELETE", &path, Value::Null).await.0, 404);
    // What was queued by then is answered all the same to whoever did not hear of it.
    let second = resubmitted().await;
    assert_eq!((second.status, &second.json["data"]), (201, &first.json["data"]), "{}", second.json);
    let got = rig.get(&record).await;
    assert_eq!((got.status, &got.json["data"]["total_pages"]), (200, &json!(3)), "{}", got.json);
    let again = json!({ "action": "resubmit", "data": {} });
    assert_eq!(rig.with(KEY, "PUT", &faxes(&format!("/outbox/{id}")), again).await.0, 500);
    let _ = A;
}

/// What is the server's to say of a fax is not said by who hands it in.
#[tokio::test]
async fn what_is_shown_of_a_fax_is_not_taken_from_its_client() {
    let rig = plain().await;
    let lies = json!({
        "rx_result": { "success": true }, "cancelled": true, "uncertain": true, "delivered": 1, "reason": "x", "folder": "inbox",
        "reschedule_rule": "x", "progress": { "page": 9 }, "total_pages": 9, "pages_confirmed": 9, "status": "completed", "note": "mine",
        "history": [{ "cause": "ok" }], "remarks": ["every page was read"], "modified": 1,
    });
    let mut body = by_url();
    body["data"].as_object_mut().unwrap().extend(lies.as_object().unwrap().clone());
    let made = rig.json("PUT", &faxes(""), body).await;
    let id = made.json["data"]["id"].as_str().unwrap().to_owned();
    let path = faxes(&format!("/outgoing/{id}"));
    let is_true = |d: &Value| {
        for absent in
            ["rx_result", "cancelled", "delivered", "reason", "reschedule_rule", "progress", "remarks"]
        {
            assert!(d.get(absent).is_none(), "{absent}: {d}");
        }
        assert_eq!(
            (&d["uncertain"], &d["total_pages"], &d["pages_confirmed"]),
            (&json!(false), &json!(0), &json!(0))
        );
        assert_eq!((&d["note"], &d["folder"]), (&json!("mine"), &json!("outbox")));
        assert_eq!(d["history"], json!([]));
        assert!(d["modified"].as_i64().unwrap() > 1, "{d}");
    };
    is_true(&rig.get(&path).await.json["data"]);
    assert_eq!(rig.with(KEY, "PATCH", &path, json!({ "data": lies })).await.0, 200);
    is_true(&rig.get(&path).await.json["data"]);
    for blank in ["", "  ", "\t"] {
        let mut body = by_url();
        body["data"]["to_number"] = blank.into();
        let reply = rig.json("PUT", &faxes(""), body).await;
        assert_eq!(
            (reply.status, reply.json["data"]["to_number"]["required"].is_object()),
            (400, true),
            "{blank:?}"
        );
    }
}

/// A fax by mail, or of a faxbox of the configuration, has what no client may give: that stays when something else is changed.
#[tokio::test]
async fn what_is_not_touched_is_not_checked_anew() {
    let rig = plain().await;
    let id = queued(&rig).await;
    let path = faxes(&format!("/outgoing/{id}"));
    let change = |j: &mut Job| {
        j.retries = 20;
        j.from_number.clear();
        j.subject = Some("x".repeat(2000));
        j.timezone = "Nowhere/Else".into();
        j.notify = vec!["desk@a.example".into(), "no address".into()];
        Ok(())
    };
    let change: JobChange = Box::new(change);
    rig.ports.store.update_job(&id.as_str().into(), Guard::Any, change, vec![]).await.unwrap();
    let was = rig.get(&path).await.json["data"].clone();
    let kept = |d: &Value| {
        for key in ["retries", "from_number", "subject", "fax_timezone", "notifications"] {
            assert_eq!(d[key], was[key], "{key}: {d}");
        }
    };
    let (status, made) = rig.with(KEY, "PATCH", &path, json!({ "data": { "from_name": "Ward" } })).await;
    assert_eq!((status, &made["data"]["from_name"]), (200, &json!("Ward")), "{made}");
    kept(&made["data"]);
    // The whole document sent back touches nothing either.
    let (status, made) = rig.with(KEY, "POST", &path, json!({ "data": was })).await;
    assert_eq!(status, 200, "{made}");
    kept(&made["data"]);
    for (field, value) in [
        ("retries", json!(19)),
        ("from_number", json!(null)),
        ("subject", json!("y".repeat(2000))),
        ("fax_timezone", json!("Nowhere/There")),
    ] {
        let (status, made) = rig.with(KEY, "PATCH", &path, json!({ "data": { field: value } })).await;
        assert_eq!((status, made["data"][field].is_object()), (400, true), "{made}");
    }
    let others = json!({ "notifications": { "email": { "send_to": ["no address"] } } });
    assert_eq!(rig.with(KEY, "PATCH", &path, json!({ "data": others })).await.0, 400);
    kept(&rig.get(&path).await.json["data"]);
}

/// Whoever may change the faxes of one faxbox, or of one user, does not put them into another's.
#[tokio::test]
async fn a_fax_does_not_leave_the_faxbox_by_which_it_is_reached() {
    let rig = plain().await;
    let own = |name: &str, owner: &str| json!({ "data": { "name": name, "owner_id": owner } });
    let boxes = format!("/v2/accounts/{A}/faxboxes");
    let mut ids = Vec::new();
    for (name, owner) in [("M", "u"), ("N", "u")] {
        let made = rig.json("PUT", &boxes, own(name, owner)).await;
        ids.push(made.json["data"]["id"].as_str().unwrap().to_owned());
    }
    let (m, n) = (ids[0].as_str(), ids[1].as_str());
    let below = format!("{boxes}/{m}/faxes");
    let id = rig.json("PUT", &below, by_url()).await.json["data"]["id"].as_str().unwrap().to_owned();
    for to in [json!(F), json!(n), json!(null)] {
        let path = format!("{below}/outgoing/{id}");
        let (status, _) = rig.with(KEY, "PATCH", &path, json!({ "data": { "faxbox_id": to } })).await;
        let got = rig.get(&path).await;
        assert_eq!((status, got.status, &got.json["data"]["faxbox_id"]), (200, 200, &json!(m)));
    }
    let of_user = format!("/v2/accounts/{A}/users/u/faxes");
    let path = format!("{of_user}/outgoing/{id}");
    for (to, status, lies_in) in [(json!(F), 404, m), (json!(null), 200, m), (json!(n), 200, n)] {
        let (got, body) = rig.with(KEY, "PATCH", &path, json!({ "data": { "faxbox_id": to } })).await;
        assert_eq!(got, status, "{body}");
        assert_eq!(rig.get(&path).await.json["data"]["faxbox_id"], lies_in);
    }
    let mut named = by_url();
    named["data"]["faxbox_id"] = F.into();
    assert_eq!(rig.json("PUT", &of_user, named).await.status, 404);
    // From the account it may.
    let whole = faxes(&format!("/outgoing/{id}"));
    assert_eq!(rig.with(KEY, "PATCH", &whole, json!({ "data": { "faxbox_id": F } })).await.0, 200);
}
