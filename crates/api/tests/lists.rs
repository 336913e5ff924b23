//! Lists, attachments and what is done with single faxes over REST.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests, which may

mod rig;

use fax_store::model::{Entry, EntryKind, FaxId, Received, Timestamp};
use rig::{A, B, F, KEY, KEY_B, Rig, by_url, faxes, plain, testdata};
use serde_json::json;

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

/// Lists of what is set up know the same order and ranges as lists of faxes; what the configuration file names has no dates.
#[tokio::test]
async fn lists_of_what_is_set_up_have_an_order_and_dates() {
    let rig = plain().await;
    let now = rig.service.now();
    let at = |second: u64| now.plus(std::time::Duration::from_secs(second));
    let entries = [("c", 10), ("a", 20), ("b", 30)].map(|(id, second)| {
        let of = fax_store::model::AccountId::new(A);
        let mut entry = Entry::new(EntryKind::Faxbox, id.repeat(32), of, at(second));
        entry.modified = at(second + 100);
        entry.document.insert("name".into(), id.into());
        entry
    });
    rig.service.put_entries(entries.to_vec()).await.unwrap();
    let seconds = |second: u64| at(second).gregorian_seconds();
    let list = async |query: String| {
        let reply = rig.get(&format!("/v2/accounts/{A}/faxboxes?{query}")).await;
        assert_eq!(reply.status, 200, "{}", reply.json);
        let ids =
            reply.json["data"].as_array().unwrap().iter().map(|d| d["id"].as_str().unwrap()[..1].to_owned());
        (ids.collect::<String>(), reply.json["next_start_key"].as_str().unwrap_or_default().to_owned())
    };
    for (query, wanted) in [
        (String::new(), "bacf"),
        ("ascending=true".into(), "fcab"),
        ("descending=false".into(), "fcab"),
        (format!("created_from={}", seconds(20)), "baf"),
        (format!("created_from={}&created_to={}", seconds(15), seconds(20)), "af"),
        (format!("modified_to={}", seconds(120)), "acf"),
        (format!("modified_from={}&created_to={}", seconds(120), seconds(29)), "af"),
    ] {
        assert_eq!(list(query.clone()).await.0, wanted, "{query}");
    }
    for (order, wanted) in [("ascending=true", "fcab"), ("ascending=false", "bacf")] {
        let (mut got, mut key) = (String::new(), String::new());
        for _ in 0..4 {
            let (ids, next) = list(format!("{order}&page_size=1&start_key={key}")).await;
            got.push_str(&ids);
            key = next;
        }
        assert_eq!((got.as_str(), key.as_str()), (wanted, ""), "{order}");
    }
    // Of faxes in the queue, too.
    let id = rig.json("PUT", &faxes(""), by_url()).await.json["data"]["id"].clone();
    let made = rig.get(&faxes("/outgoing")).await.json["data"][0]["created"].as_i64().unwrap();
    for key in ["created", "modified"] {
        let queue = async |query: String| rig.get(&faxes(&format!("/outgoing?{query}"))).await;
        assert_eq!(queue(format!("{key}_from={made}&{key}_to={made}")).await.json["data"][0]["id"], id);
        for none in [format!("{key}_from={}", made + 1), format!("{key}_to={}", made - 1)] {
            assert_eq!(queue(none.clone()).await.json["data"], json!([]), "{none}");
        }
        for path in [faxes("/outgoing"), faxes("/incoming"), format!("/v2/accounts/{A}/users")] {
            let wrong = rig.get(&format!("{path}?{key}_to=yesterday")).await;
            let told = &wrong.json["data"][format!("{key}_from")]["date_range"];
            assert_eq!((wrong.status, told.is_object()), (400, true), "{path} {}", wrong.json);
        }
    }
}

/// However many are asked for: a page ends where it gets too heavy, and says where to go on.
#[tokio::test]
async fn an_answer_is_bounded_in_octets() {
    let rig = plain().await;
    let heavy = "x".repeat(60_000);
    let ids: Vec<String> = (0..400).map(|n| format!("{n:032x}")).collect();
    let entries = ids.iter().map(|id| {
        let of = fax_store::model::AccountId::new(B);
        let mut entry = Entry::new(EntryKind::Faxbox, id.as_str(), of, rig.service.now());
        entry.document.insert("name".into(), "x".into());
        entry.document.insert("note".into(), heavy.as_str().into());
        entry
    });
    rig.service.put_entries(entries.collect()).await.unwrap();
    let path = format!("/v2/accounts/{B}/faxboxes");
    let mut got = Vec::new();
    let mut start = String::new();
    let mut pages = 0;
    loop {
        let page = rig.get(&format!("{path}?page_size=10000{start}")).await;
        assert!(page.status == 200 && page.body.len() < 17 << 20, "{} octets", page.body.len());
        got.extend(
            page.json["data"].as_array().unwrap().iter().map(|d| d["id"].as_str().unwrap().to_owned()),
        );
        pages += 1;
        let Some(next) = page.json["next_start_key"].as_str() else { break };
        start = format!("&start_key={next}");
    }
    let newest_first: Vec<String> = ids.into_iter().rev().collect();
    assert_eq!((got, pages), (newest_first, 2));
    assert_eq!(rig.get(&format!("{path}?paginate=false")).await.status, 416);
    assert_eq!(rig.get(&format!("{path}?paginate=false&filter_id={:032x}", 7)).await.status, 200);
}
