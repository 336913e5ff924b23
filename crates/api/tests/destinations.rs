//! What was learnt, over REST: lists, single ones, setting, locking, forgetting, and who may.
#![allow(clippy::unwrap_used, clippy::panic)]

mod rig;

use fax_store::model::{AccountId, ProfileKey};
use rig::{A, B, KEY_B, Rig, start};
use serde_json::{Value, json};

fn path(rest: &str) -> String {
    format!("/v2/accounts/{A}/destinations{rest}")
}

async fn lock(rig: &Rig, number: &str, traits: Value) -> rig::Reply {
    rig.json("PATCH", &path(&format!("/{number}")), json!({ "data": { "traits": traits } })).await
}

#[tokio::test]
async fn a_number_is_set_locked_shown_and_forgotten() {
    let rig = rig::plain().await;
    assert_eq!(rig.get(&path("/+14155551234")).await.status, 404);
    let set =
        lock(&rig, "%2B1%20415%20555%201234", json!({ "ecm": { "setting": "off", "locked": true } })).await;
    assert_eq!(set.status, 200, "{}", set.json);
    // However the number is written.
    for number in ["+14155551234", "%2B14155551234", "4155551234"] {
        let got = rig.get(&path(&format!("/{number}"))).await;
        let ecm = &got.json["data"]["traits"]["ecm"];
        assert_eq!(
            (ecm["setting"].as_str(), ecm["locked"].as_bool()),
            (Some("off"), Some(true)),
            "{}",
            got.json
        );
        assert_eq!(ecm["origin"], "operator");
    }
    // A short form, a number, and T.38 by one trunk.
    let more = json!({ "rate": 9600, "t38@carrier": "off", "ecm": { "locked": false } });
    let set = lock(&rig, "+14155551234", more).await.json["data"]["traits"].clone();
    assert_eq!((&set["rate"]["setting"], &set["t38@carrier"]["setting"]), (&json!("9600"), &json!("off")));
    assert_eq!((&set["ecm"]["locked"], &set["ecm"]["setting"]), (&json!(false), &json!("off")));
    assert!(set["ecm"]["probation_from"].is_i64(), "{set}");
    assert_eq!(
        rig.send("DELETE", &path("/+14155551234"), &[("x-auth-token", rig::KEY)], "").await.status,
        200
    );
    assert_eq!(rig.get(&path("/+14155551234")).await.status, 404);
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_its_field() {
    let rig = rig::plain().await;
    for (traits, field) in [
        (json!({ "telepathy": "on" }), "traits.telepathy"),
        (json!({ "ecm": "maybe" }), "traits.ecm"),
        (json!({ "rate": 9601 }), "traits.rate"),
        (json!({ "ecm": { "locked": 1 } }), "traits.ecm"),
        (json!({ "ecm@carrier": "off" }), "traits.ecm@carrier"),
        (json!({ "t38@nobody": "off" }), "traits.t38@nobody"),
        (json!({}), "traits"),
        (json!(7), "traits"),
    ] {
        let reply = lock(&rig, "+14155551234", traits.clone()).await;
        assert_eq!(reply.status, 400, "{traits}");
        assert!(reply.json["data"][field].is_object(), "{traits}: {}", reply.json);
    }
    assert_eq!(rig.get(&path("/+14155551234")).await.status, 404, "nothing was set");
    assert_eq!(lock(&rig, "abc", json!({ "ecm": "off" })).await.status, 404);
    let put = rig.json("PUT", &path("/+14155551234"), json!({ "data": {} })).await;
    assert_eq!((put.status, put.header("allow")), (405, "GET, PATCH, DELETE"));
}

#[tokio::test]
async fn lists_come_in_pages_and_accounts_see_their_own() {
    let rig = rig::plain().await;
    for n in 0..5 {
        assert_eq!(lock(&rig, &format!("+1415555000{n}"), json!({ "v17": "off" })).await.status, 200);
    }
    let other = ProfileKey::number(AccountId::new(B), "+14155550009");
    rig.ports.store.change_profile((other, Box::new(|p| p.calls = 1))).await.unwrap();
    let ids = |reply: &rig::Reply| -> Vec<String> {
        let list = reply.json["data"].as_array().unwrap().iter();
        list.map(|p| p["number"].as_str().unwrap().chars().last().unwrap().to_string()).collect()
    };
    let first = rig.get(&path("?page_size=2")).await;
    assert_eq!(ids(&first), ["0", "1"]);
    let key = first.json["next_start_key"].as_str().unwrap();
    let second = rig.get(&path(&format!("?page_size=2&start_key={key}"))).await;
    assert_eq!(ids(&second), ["2", "3"]);
    let key = second.json["next_start_key"].as_str().unwrap();
    let third = rig.get(&path(&format!("?page_size=2&start_key={key}"))).await;
    assert_eq!((ids(&third), third.json["next_start_key"].is_null()), (vec!["4".to_owned()], true));
    assert_eq!(ids(&rig.get(&path("?paginate=false")).await).len(), 5);
    let theirs = rig.send("GET", &path(""), &[("x-auth-token", KEY_B)], "").await;
    assert_eq!(theirs.status, 403);
    assert_eq!(rig.send("GET", &path(""), &[], "").await.status, 401);
}

#[tokio::test]
async fn trunks_are_the_operators() {
    let rig = start(fax_api::Config::default(), false).await;
    let trunks = |account: &str, rest: &str| format!("/v2/accounts/{account}/trunks{rest}");
    let list = rig.get(&trunks(A, "")).await;
    assert_eq!((list.status, &list.json["data"][0]["trunk"]), (200, &json!("carrier")));
    let body = json!({ "data": { "traits": { "t38": { "setting": "off", "locked": true } } } });
    let set = rig.json("PATCH", &trunks(A, "/carrier"), body.clone()).await;
    assert_eq!(set.json["data"]["traits"]["t38"]["locked"], true, "{}", set.json);
    assert_eq!(rig.json("PATCH", &trunks(A, "/other"), body).await.status, 404);
    for rest in ["", "/carrier"] {
        let theirs = rig.send("GET", &trunks(B, rest), &[("x-auth-token", KEY_B)], "").await;
        assert_eq!(theirs.status, 403, "{rest}");
    }
}
