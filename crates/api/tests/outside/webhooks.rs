//! Web hooks against a receiver of our own: what is told, how it is signed, and what happens when nobody listens.

use crate::rig::{A, F, KEY, Rig, start, testdata};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fax_api::webhooks::call::signature;
use fax_api::{Config, HttpHookCaller};
use fax_store::model::{AccountId, FaxId, HookEvent, NodeId, Notice, NoticeKind, NoticeSubject};
use fax_switch::{Directory, Faxbox, IncomingCall, Service, ServiceConfig};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// A request that came.
#[derive(Clone, Debug)]
struct Came {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Came {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).unwrap_or_default()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

#[derive(Clone, Default)]
struct Receiver {
    came: Arc<Mutex<Vec<Came>>>,
    /// Statuses of the next answers; then 200.
    answers: Arc<Mutex<Vec<u16>>>,
}

impl Receiver {
    async fn start() -> (Receiver, String) {
        let receiver = Receiver::default();
        let router = Router::new().fallback(take).with_state(receiver.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, url)
    }

    fn all(&self) -> Vec<Came> {
        self.came.lock().unwrap().clone()
    }

    /// Waits until so many have come.
    async fn wait(&self, count: usize) -> Vec<Came> {
        for _ in 0..600 {
            let all = self.all();
            if all.len() >= count {
                return all;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} came, not {count}: {:?}", self.all().len(), self.all());
    }
}

async fn take(
    State(receiver): State<Receiver>,
    request: Request,
) -> (StatusCode, [(&'static str, &'static str); 1]) {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let headers =
        parts.headers.iter().map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned())).collect();
    receiver.came.lock().unwrap().push(Came {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers,
        body,
    });
    let mut answers = receiver.answers.lock().unwrap();
    let status = if answers.is_empty() { 200 } else { answers.remove(0) };
    (StatusCode::from_u16(status).unwrap(), [("location", "/elsewhere")])
}

fn quick(service: &Service, patience: Duration) {
    let now = ServiceConfig::clone(&service.config());
    let hook_again = vec![Duration::from_millis(100); 3];
    service.reconfigure(ServiceConfig { hook_again, hook_patience: patience, ..now });
}

fn call_hooks(service: &Service) -> watch::Sender<bool> {
    let (stop, stopped) = watch::channel(false);
    let service = service.clone();
    tokio::spawn(async move { service.run_hooks(Arc::new(HttpHookCaller::new(true)), stopped).await });
    stop
}

const HOOKS: &str = "/v2/accounts/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/webhooks";

async fn hook(rig: &Rig, data: Value) -> Value {
    let made = rig.json("PUT", HOOKS, json!({ "data": data })).await;
    assert_eq!(made.status, 201, "{}", made.json);
    made.json["data"].clone()
}

async fn send_fax(rig: &Rig) -> String {
    let path = format!("/v2/accounts/{A}/faxboxes/{F}/faxes?to_number=4155551234");
    let kind = [("x-auth-token", KEY), ("content-type", "image/tiff")];
    let made = rig.send("PUT", &path, &kind, testdata("pages/three-pages.tif")).await;
    assert_eq!(made.status, 201, "{}", made.json);
    made.json["data"]["id"].as_str().unwrap().to_owned()
}

async fn attempts(rig: &Rig, id: &str, count: usize) -> Vec<Value> {
    for _ in 0..600 {
        let told = rig.get(&format!("{HOOKS}/{id}/attempts")).await;
        let list = told.json["data"].as_array().unwrap().clone();
        if list.len() >= count {
            return list;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no {count} attempts");
}

/// The example of the Standard Webhooks libraries.
#[test]
fn signatures_are_those_of_standard_webhooks() {
    let (secret, body) = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", br#"{"test": 2432232314}"#);
    let made = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body).unwrap();
    assert_eq!(made, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[tokio::test]
async fn a_fax_is_told_signed_from_the_queue_to_its_end() {
    let (receiver, url) = Receiver::start().await;
    let rig = start(Config::default(), true).await;
    let _calling = call_hooks(&rig.service);
    let made = hook(&rig, json!({ "name": "all", "uri": format!("{url}/in"), "hook": "fax", "events": ["all"], "custom_data": { "tenant": "7" } })).await;
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap().to_owned());
    assert!(secret.starts_with("whsec_") && STANDARD.decode(&secret[6..]).unwrap().len() == 32);
    for path in [HOOKS.to_owned(), format!("{HOOKS}/{id}"), format!("/v2/accounts/{A}/audit")] {
        assert!(!rig.get(&path).await.json.to_string().contains(&secret), "{path} tells the secret");
    }
    let job = send_fax(&rig).await;
    rig.finished(&job).await;
    let came = receiver.wait(5).await;
    let mut told: Vec<(String, Value)> = came
        .iter()
        .map(|c| (c.json()["type"].as_str().unwrap().to_owned(), c.json()["data"]["page"].clone()))
        .collect();
    told.sort_by_key(|(what, page)| (what.clone(), page.to_string()));
    assert_eq!(
        told,
        [
            ("fax.page_sent".into(), json!(1)),
            ("fax.page_sent".into(), json!(2)),
            ("fax.page_sent".into(), json!(3)),
            ("fax.queued".into(), Value::Null),
            ("fax.sent".into(), Value::Null),
        ]
    );
    for c in &came {
        assert_eq!(
            (c.method.as_str(), c.path.as_str(), c.header("content-type")),
            ("POST", "/in", "application/json")
        );
        let (message, time) = (c.header("webhook-id"), c.header("webhook-timestamp"));
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&STANDARD.decode(&secret[6..]).unwrap()).unwrap();
        mac.update(format!("{message}.{time}.").as_bytes());
        mac.update(&c.body);
        assert_eq!(
            c.header("webhook-signature"),
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        );
        assert!(message.starts_with("msg_") && (c.header("x-hook-id"), c.header("x-account-id")) == (id, A));
    }
    let sent = came.iter().map(Came::json).find(|c| c["type"] == "fax.sent").unwrap();
    let d = &sent["data"];
    assert!(sent["timestamp"].as_str().unwrap().ends_with('Z'));
    assert_eq!((&d["id"], &d["account_id"], &d["faxbox_id"]), (&json!(job), &json!(A), &json!(F)));
    assert_eq!(
        (&d["result"]["success"], &d["pages"], &d["pages_confirmed"]),
        (&json!(true), &json!(3), &json!(3))
    );
    assert_eq!(d["custom_data"], json!({ "tenant": "7" }));
    let list = attempts(&rig, id, 5).await;
    assert!(
        list.iter().all(|a| a["result"] == "success" && a["response_code"] == 200 && a["attempt"] == 1),
        "{list:?}"
    );
    let all = rig.get(&format!("{HOOKS}/attempts")).await.json;
    assert_eq!(all["data"].as_array().unwrap().len(), 5);
}

/// An endpoint that does not answer has its own places and no others.
#[tokio::test]
async fn a_slow_endpoint_does_not_keep_others_waiting() {
    let (receiver, url) = Receiver::start().await;
    // It takes connections and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = silent.local_addr().unwrap();
    let held = Arc::new(Mutex::new(Vec::new()));
    let holding = held.clone();
    tokio::spawn(async move {
        while let Ok((connection, _)) = silent.accept().await {
            holding.lock().unwrap().push(connection);
        }
    });
    let rig = start(Config::default(), true).await;
    let made = async |name: &str, uri: String| {
        let made =
            hook(&rig, json!({ "name": name, "uri": uri, "hook": "fax", "events": ["fax.sent"] })).await;
        made["id"].as_str().unwrap().to_owned()
    };
    let (slow, fast) = (made("slow", format!("http://{at}/")).await, made("fast", url).await);
    let told = |hook: &str| {
        let event =
            HookEvent { hook: hook.to_owned(), event: "fax.sent".into(), data: serde_json::Map::new() };
        let subject = NoticeSubject::Fax(FaxId::generate());
        Notice::for_hook(NoticeKind::Sent, AccountId::new(A), subject, event, rig.ports.clock.now())
    };
    let mut notices: Vec<Notice> = (0..150).map(|_| told(&slow)).collect();
    notices.extend((0..20).map(|_| told(&fast)));
    rig.ports.store.insert_notices(notices).await.unwrap();
    let began = std::time::Instant::now();
    let _calling = call_hooks(&rig.service);
    receiver.wait(20).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let connections = held.lock().unwrap().len();
    assert!((1..=8).contains(&connections), "{connections} calls of the slow one");
}

#[tokio::test]
async fn what_fails_is_told_again_and_given_up_in_the_end() {
    let (receiver, url) = Receiver::start().await;
    let rig = start(Config::default(), true).await;
    quick(&rig.service, Duration::from_secs(3600));
    let _calling = call_hooks(&rig.service);
    let sent = |retries: Option<u64>| json!({ "name": "x", "uri": url, "hook": "fax", "events": ["fax.sent"], "retries": retries });
    let made = hook(&rig, sent(None)).await;
    let id = made["id"].as_str().unwrap();
    // A redirect is no answer either: nobody goes where it leads.
    *receiver.answers.lock().unwrap() = vec![500, 302];
    send_fax(&rig).await;
    let came = receiver.wait(3).await;
    assert!(came.iter().all(|c| c.header("webhook-id") == came[0].header("webhook-id")
        && c.body == came[0].body
        && c.path == "/"));
    let list = attempts(&rig, id, 3).await;
    let seen: Vec<(&Value, &Value)> =
        list.iter().rev().map(|a| (&a["response_code"], &a["attempt"])).collect();
    assert_eq!(seen, [(&json!(500), &json!(1)), (&json!(302), &json!(2)), (&json!(200), &json!(3))]);
    assert!(list[2]["next_attempt"].is_i64() && list[0]["next_attempt"].is_null());
    assert_eq!(rig.get(&format!("{HOOKS}/{id}")).await.json["data"]["failing_since"], Value::Null);

    // So often and no more: the schedule of this test has three, this hook wants one.
    assert_eq!(
        rig.json("POST", &format!("{HOOKS}/{id}"), json!({ "data": sent(Some(1)) })).await.status,
        200
    );
    *receiver.answers.lock().unwrap() = vec![500; 9];
    send_fax(&rig).await;
    let list = attempts(&rig, id, 5).await;
    assert_eq!((&list[0]["attempt"], &list[0]["next_attempt"]), (&json!(2), &Value::Null));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(receiver.all().len(), 5, "it is given up");
    assert!(rig.get(&format!("{HOOKS}/{id}")).await.json["data"]["failing_since"].is_i64());
}

#[tokio::test]
async fn a_hook_that_fails_for_long_is_switched_off_until_somebody_switches_it_on() {
    let (receiver, url) = Receiver::start().await;
    let rig = start(Config::default(), true).await;
    quick(&rig.service, Duration::ZERO);
    let _calling = call_hooks(&rig.service);
    let made =
        hook(&rig, json!({ "name": "x", "uri": url, "hook": "notifications", "format": "json" })).await;
    let path = format!("{HOOKS}/{}", made["id"].as_str().unwrap());
    *receiver.answers.lock().unwrap() = vec![500, 500];
    send_fax(&rig).await;
    receiver.wait(2).await;
    let off = async |why: &str| {
        for _ in 0..200 {
            let d = rig.get(&path).await.json["data"].clone();
            if d["enabled"] == false {
                assert!(d["disable_reason"].as_str().unwrap().contains(why), "{d}");
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it was not switched off");
    };
    off("500").await;
    send_fax(&rig).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(receiver.all().len(), 2, "nobody calls it any more");
    let on = rig.json("PATCH", HOOKS, json!({ "data": { "re-enable": true } })).await;
    assert_eq!((on.status, on.json["data"]["re-enabled"].as_array().unwrap().len()), (200, 1));
    let d = rig.get(&path).await.json["data"].clone();
    assert!(d["enabled"] == true && d["disable_reason"].is_null() && d["failing_since"].is_null(), "{d}");
    // Who says that it is gone for good is believed at once.
    *receiver.answers.lock().unwrap() = vec![410];
    send_fax(&rig).await;
    off("410").await;
    assert_eq!(receiver.wait(3).await.len(), 3);
}

#[tokio::test]
async fn kazoo_s_forms_are_told_as_its_clients_know_them() {
    let (receiver, url) = Receiver::start().await;
    let rig = start(Config::default(), true).await;
    let _calling = call_hooks(&rig.service);
    let of = |path: &str, kind: &str, verb: &str, format: &str| {
        json!({ "name": path, "uri": format!("{url}/{path}?mine=1"), "hook": "notifications", "http_verb": verb, "format": format,
            "custom_data": { "type": kind, "faxbox_id": "overridden" }, "custom_request_headers": { "X-Mine": "yes" } })
    };
    hook(&rig, of("form", "outbound_fax", "post", "form-data")).await;
    hook(&rig, of("json", "all", "put", "json")).await;
    hook(&rig, of("query", "outbound_fax", "get", "json")).await;
    hook(&rig, of("never", "outbound_fax_error", "post", "json")).await;
    let faxbox = json!({ "name": "Box", "owner_id": "u1", "caller_id": "4155550100", "notifications": { "outbound": { "callback": { "url": format!("{url}/callback"), "method": "put", "type": "json" } } } });
    let made = rig.json("PUT", &format!("/v2/accounts/{A}/faxboxes"), json!({ "data": faxbox })).await;
    assert_eq!(made.status, 201, "{}", made.json);
    let of_box = made.json["data"]["id"].as_str().unwrap().to_owned();
    let path = format!("/v2/accounts/{A}/faxboxes/{of_box}/faxes?to_number=4155551234");
    let kind = [("x-auth-token", KEY), ("content-type", "image/tiff")];
    let sent = rig.send("PUT", &path, &kind, testdata("pages/three-pages.tif")).await;
    assert_eq!(sent.status, 201, "{}", sent.json);
    let job = sent.json["data"]["id"].as_str().unwrap().to_owned();
    let came = receiver.wait(4).await;
    let at = |path: &str| came.iter().find(|c| c.path == path).unwrap_or_else(|| panic!("nothing at {path}"));
    let json = at("/json");
    assert_eq!((json.method.as_str(), json.query.as_str(), json.header("x-mine")), ("PUT", "mine=1", "yes"));
    let d = json.json();
    assert_eq!(
        (&d["event_name"], &d["fax_jobid"], &d["account_id"]),
        (&json!("outbound_fax"), &json!(job), &json!(A))
    );
    assert_eq!(
        (&d["fax_info"]["fax_success"], &d["fax_info"]["fax_transferred_pages"]),
        (&json!(true), &json!(3))
    );
    assert_eq!(
        (&d["faxbox_id"], &d["type"], &d["callee_id_number"]),
        (&json!("overridden"), &json!("all"), &json!("+14155551234"))
    );
    assert_eq!(
        (&d["owner_id"], &d["fax_info"]["fax_hangup_cause"]),
        (&json!("u1"), &json!("NORMAL_CLEARING")),
        "{d}"
    );
    assert!(
        d["fax_id"].as_str().unwrap().ends_with(&job) && d["fax_id"] != json!(job),
        "with its month, as in the outbox"
    );
    let pairs = |text: &[u8]| {
        form_urlencoded::parse(text).into_owned().collect::<std::collections::HashMap<String, String>>()
    };
    let form = at("/form");
    assert_eq!(
        (form.method.as_str(), form.header("content-type")),
        ("POST", "application/x-www-form-urlencoded")
    );
    let fields = pairs(&form.body);
    assert_eq!(
        (fields["fax_jobid"].as_str(), fields["fax_info[fax_success]"].as_str()),
        (job.as_str(), "true")
    );
    let query = at("/query");
    assert!(query.method == "GET" && query.body.is_empty());
    let fields = pairs(query.query.as_bytes());
    assert_eq!((fields["mine"].as_str(), fields["fax_info[fax_total_pages]"].as_str()), ("1", "3"));
    let callback = at("/callback");
    assert_eq!((callback.method.as_str(), &callback.json()["faxbox_id"]), ("PUT", &json!(of_box)));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(receiver.all().iter().all(|c| c.path != "/never"));
}

/// Their calls are seen below the faxbox, of the file or not, and go with it.
#[tokio::test]
async fn callbacks_of_faxboxes_are_shown_and_forgotten() {
    let (receiver, url) = Receiver::start().await;
    let rig = start(Config::default(), true).await;
    quick(&rig.service, Duration::from_secs(3600));
    let _calling = call_hooks(&rig.service);
    let callback = json!({ "url": url, "method": "post", "type": "json" });
    // One that stands in the file.
    let before = rig.service.directory();
    let accounts = before.accounts().cloned().collect();
    let faxboxes =
        before.faxboxes().cloned().map(|f| Faxbox { callback_outbound: callback.as_object().cloned(), ..f });
    let config = rig.service.config();
    rig.service.reload(Directory::new(accounts, faxboxes.collect(), &config.numbers).unwrap());
    let shown = rig.get(&format!("/v2/accounts/{A}/faxboxes/{F}")).await.json;
    assert_eq!(shown["data"]["notifications"]["outbound"]["callback"], callback);
    send_fax(&rig).await;
    assert_eq!(receiver.wait(1).await[0].json()["faxbox_id"], json!(F));

    let boxes = format!("/v2/accounts/{A}/faxboxes");
    let told = json!({ "name": "Box", "caller_id": "4155550100", "notifications": { "outbound": { "callback": callback } } });
    let made = rig.json("PUT", &boxes, json!({ "data": told })).await;
    let id = made.json["data"]["id"].as_str().unwrap().to_owned();
    *receiver.answers.lock().unwrap() = vec![500];
    let path = format!("{boxes}/{id}/faxes?to_number=4155551234");
    let kind = [("x-auth-token", KEY), ("content-type", "image/tiff")];
    rig.send("PUT", &path, &kind, testdata("pages/three-pages.tif")).await;
    receiver.wait(3).await;
    for (faxbox, results) in [(F, vec!["success"]), (id.as_str(), vec!["success", "failure"])] {
        let mut list = Vec::new();
        for _ in 0..100 {
            list =
                rig.get(&format!("{boxes}/{faxbox}/attempts")).await.json["data"].as_array().unwrap().clone();
            if list.len() == results.len() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let found: Vec<&str> = list.iter().map(|a| a["result"].as_str().unwrap()).collect();
        assert_eq!(found, results, "{list:?}");
        assert_eq!(list[0]["hook_id"], json!(format!("faxboxes/{faxbox}/outbound")));
    }
    assert_eq!(rig.get(&format!("{boxes}/none/attempts")).await.status, 404);
    assert_eq!(rig.send("DELETE", &format!("{boxes}/{id}"), &kind, "").await.status, 200);
    let name = fax_switch::hooks::callback_id(&id, false);
    assert!(rig.ports.store.hook_attempts(&name).await.unwrap().is_empty());
}

/// What was to be told when the program died is told by the next, and of two nodes by one.
#[tokio::test]
async fn nothing_is_lost_in_a_restart_and_nothing_told_twice_by_two_nodes() {
    let (receiver, url) = Receiver::start().await;
    let rig = start(Config::default(), true).await;
    hook(&rig, json!({ "name": "x", "uri": url, "hook": "fax", "events": ["fax.queued", "fax.sent"] })).await;
    for _ in 0..5 {
        let job = send_fax(&rig).await;
        rig.finished(&job).await;
    }
    assert!(receiver.all().is_empty(), "nobody calls hooks yet");
    let others: Vec<Service> = ["n2", "n3"]
        .iter()
        .map(|node| {
            let config =
                ServiceConfig { node: NodeId::new(*node), ..ServiceConfig::clone(&rig.service.config()) };
            Service::new(fax_switch::Directory::clone(&rig.service.directory()), config, rig.ports.clone())
        })
        .collect();
    let _calling: Vec<_> = others.iter().map(call_hooks).collect();
    let came = receiver.wait(10).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(receiver.all().len(), 10, "each once");
    let ids: std::collections::HashSet<&str> = came.iter().map(|c| c.header("webhook-id")).collect();
    assert_eq!(ids.len(), 10);
    let waiting = rig.ports.store.backlog().await.unwrap();
    assert_eq!(waiting.hook_notices, 0);
}

/// With private addresses shut, as they are unless the configuration says otherwise.
#[tokio::test]
async fn hooks_do_not_reach_into_private_networks() {
    let (receiver, url) = Receiver::start().await;
    let rig = start(Config::default(), true).await;
    quick(&rig.service, Duration::from_secs(3600));
    let (_stop, stopped) = watch::channel(false);
    let service = rig.service.clone();
    tokio::spawn(async move { service.run_hooks(Arc::new(HttpHookCaller::new(false)), stopped).await });
    let port = url.rsplit(':').next().unwrap();
    let mut made = Vec::new();
    for host in [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "0.0.0.0",
    ] {
        let uri = format!("http://{host}:{port}/latest/meta-data");
        let data = json!({ "name": host, "uri": uri, "hook": "fax", "events": ["fax.sent"], "retries": 0 });
        made.push((host, hook(&rig, data).await["id"].as_str().unwrap().to_owned()));
    }
    send_fax(&rig).await;
    for (host, id) in made {
        let list = attempts(&rig, &id, 1).await;
        let why = list[0]["reason"].as_str().unwrap();
        assert!(why.contains("not public"), "{host}: {why}");
    }
    assert!(receiver.all().is_empty());
}

#[tokio::test]
async fn hooks_are_checked_and_their_secrets_change_on_request() {
    let rig = start(Config::default(), false).await;
    let good = json!({ "name": "x", "uri": "https://x.example/", "hook": "fax" });
    for (field, value, told, rule) in [
        ("uri", json!("ftp://x"), "uri", "pattern"),
        ("uri", json!("http://"), "uri", "pattern"),
        ("hook", json!("object"), "hook", "enum"),
        ("events", json!(["fax.unheard_of"]), "events", "enum"),
        ("retries", json!(8), "retries", "maximum"),
        ("http_verb", json!("delete"), "http_verb", "enum"),
        ("custom_data", json!({ "a": 1 }), "custom_data.a", "type"),
        ("custom_request_headers", json!({ "Host": "x" }), "custom_request_headers.Host", "pattern"),
        (
            "custom_request_headers",
            json!({ "webhook-signature": "x" }),
            "custom_request_headers.webhook-signature",
            "pattern",
        ),
        ("custom_request_headers", json!({ "a": "x\r\ny: z" }), "custom_request_headers.a", "pattern"),
    ] {
        let mut data = good.clone();
        data[field] = value;
        let answer = rig.json("PUT", HOOKS, json!({ "data": data })).await;
        assert_eq!(answer.status, 400, "{field} {}", answer.json);
        assert!(answer.json["data"][told][rule].is_object(), "{field} {}", answer.json);
    }
    let made = hook(&rig, good.clone()).await;
    let path = format!("{HOOKS}/{}", made["id"].as_str().unwrap());
    let changed =
        rig.json("PATCH", &path, json!({ "data": { "name": "y", "secret": "whsec_mine" } })).await.json;
    assert!(changed["data"]["secret"].is_null() && changed["data"]["name"] == "y", "{changed}");
    let rotated = rig.json("PATCH", &path, json!({ "data": { "rotate_secret": true } })).await.json;
    let fresh = rotated["data"]["secret"].as_str().unwrap();
    assert!(
        fresh.starts_with("whsec_") && fresh != made["secret"].as_str().unwrap() && fresh != "whsec_mine"
    );
    let (_, kinds) = rig.with(KEY, "GET", "/v2/webhooks", Value::Null).await;
    assert_eq!(
        kinds["data"].as_array().unwrap().iter().map(|k| k["id"].as_str().unwrap()).collect::<Vec<_>>(),
        ["fax", "notifications", "inbound_fax", "outbound_fax"]
    );
    let (_, names) = rig.with(KEY, "GET", "/v2/webhooks/samples", Value::Null).await;
    for name in names["data"].as_array().unwrap() {
        let (status, sample) = rig
            .with(KEY, "GET", &format!("/v2/webhooks/samples/{}", name.as_str().unwrap()), Value::Null)
            .await;
        assert!(status == 200 && sample["data"]["sample"].is_object(), "{name}");
    }
    assert_eq!(rig.json("DELETE", &path, json!({})).await.status, 200);
    assert_eq!(rig.get(&path).await.status, 404);
}

#[tokio::test]
async fn accounts_above_hear_of_those_below_if_they_ask_and_pages_that_come_are_told() {
    let (receiver, url) = Receiver::start().await;
    let rig = start(Config::default(), false).await;
    let _calling = call_hooks(&rig.service);
    let (status, below) =
        rig.with(KEY, "PUT", &format!("/v2/accounts/{A}"), json!({ "data": { "name": "Below" } })).await;
    assert_eq!(status, 201, "{below}");
    let below = below["data"]["id"].as_str().unwrap();
    hook(
        &rig,
        json!({ "name": "own", "uri": format!("{url}/own"), "hook": "fax", "events": ["fax.page_received"] }),
    )
    .await;
    hook(&rig, json!({ "name": "all", "uri": format!("{url}/all"), "hook": "fax", "events": ["fax.page_received"], "include_subaccounts": true })).await;
    // The runner listens before the page comes.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let call = |id: &str| IncomingCall { call_id: id.into(), ..IncomingCall::default() };
    let one = rig.service.begin_reception(&call("1"), &AccountId::new(below), &"box".into());
    let other = rig.service.begin_reception(&call("2"), &AccountId::new(A), &"box".into());
    one.page(1);
    other.page(3);
    let came = receiver.wait(3).await;
    let mut seen: Vec<(String, Value)> =
        came.iter().map(|c| (c.path.clone(), c.json()["data"]["page"].clone())).collect();
    seen.sort_by_key(|(path, page)| (path.clone(), page.to_string()));
    assert_eq!(seen, [("/all".into(), json!(1)), ("/all".into(), json!(3)), ("/own".into(), json!(3))]);
    drop((one, other));
}
