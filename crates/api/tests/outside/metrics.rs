//! Figures that move with a fax, and what says whether the server can work.

use crate::rig::{A, KEY, faxes, start, testdata};
use async_trait::async_trait;
use fax_api::{Config, HttpHookCaller};
use fax_switch::port::{CallEvent, CallOrder, CallResult, Dialler, MediaTimes, TrunkStatus};
use fax_switch::{Directory, Ports, Service, ServiceConfig};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

async fn serve(router: axum::Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(fax_api::serve(listener, router, core::future::pending()));
    address
}

async fn get(address: SocketAddr, path: &str, token: Option<&str>) -> (u16, String, String) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = http.get(format!("http://{address}{path}"));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.unwrap();
    let kind =
        answer.headers().get("content-type").map(|k| k.to_str().unwrap().to_owned()).unwrap_or_default();
    (answer.status().as_u16(), kind, answer.text().await.unwrap())
}

/// The value of a series, 0 where there is none.
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find(|l| l.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
    line.map_or(0.0, |l| l.rsplit(' ').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn figures_move_with_a_fax() {
    let rig = start(Config::default(), true).await;
    let (_stop, stopped) = watch::channel(false);
    let service = rig.service.clone();
    tokio::spawn(async move { service.run_hooks(Arc::new(HttpHookCaller::new(true)), stopped).await });
    let address = serve(fax_api::metrics::router(rig.service.clone(), None)).await;
    let (status, kind, before) = get(address, "/metrics", None).await;
    assert_eq!((status, kind.starts_with("application/openmetrics-text")), (200, true));
    assert!(before.ends_with("# EOF\n") && value(&before, "ferrofax_jobs_submitted_total") == 0.0);
    let hook = json!({ "data": { "name": "x", "uri": "http://127.0.0.1:1/", "hook": "fax", "events": ["fax.sent"], "retries": 0 } });
    assert_eq!(rig.json("PUT", &format!("/v2/accounts/{A}/webhooks"), hook).await.status, 201);

    // One that waits for tomorrow, one that goes now.
    let tomorrow = fax_store::model::Timestamp::now().gregorian_seconds() + 86_400;
    let later = json!({ "data": { "to_number": "+14155559999", "from_number": "4155550100", "send_at": tomorrow, "document": { "url": "http://127.0.0.1:9/" } } });
    let tiff = [("x-auth-token", KEY), ("content-type", "image/tiff")];
    let path = format!("{}?to_number=4155551234&from_number=4155550100", faxes(""));
    let made = rig.send("PUT", &path, &tiff, testdata("pages/three-pages.tif")).await;
    assert_eq!(made.status, 201, "{}", made.json);
    rig.finished(made.json["data"]["id"].as_str().unwrap()).await;
    assert_eq!(rig.json("PUT", &faxes(""), later).await.status, 201);

    let mut text = String::new();
    for _ in 0..200 {
        text = get(address, "/metrics", None).await.2;
        if value(&text, "ferrofax_webhook_calls_total{result=\"given_up\"}") > 0.0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    for (series, wanted) in [
        ("ferrofax_jobs_submitted_total", 2.0),
        ("ferrofax_jobs_finished_total{result=\"completed\"}", 1.0),
        ("ferrofax_attempts_total{result=\"ok\"}", 1.0),
        ("ferrofax_pages_total{direction=\"out\"}", 3.0),
        ("ferrofax_calls_total{direction=\"out\",carrier=\"audio\",trunk=\"\",result=\"ok\"}", 1.0),
        ("ferrofax_call_seconds_count{direction=\"out\"}", 1.0),
        ("ferrofax_store_seconds_count{operation=\"insert_job\"}", 2.0),
        ("ferrofax_store_seconds_count{operation=\"record_page\"}", 4.0),
        ("ferrofax_webhook_calls_total{result=\"given_up\"}", 1.0),
        ("ferrofax_queue{state=\"webhooks\"}", 0.0),
        ("ferrofax_store_up", 1.0),
    ] {
        assert_eq!(value(&text, series), wanted, "{series} in\n{text}");
    }
    let waiting = value(&text, "ferrofax_queue{state=\"converting\"}")
        + value(&text, "ferrofax_queue{state=\"pending\"}");
    assert_eq!(waiting, 1.0, "{text}");
    for told in ["4155551234", "14155559999", "Clinic", A] {
        assert!(!text.contains(told), "a label says {told}");
    }
}

#[tokio::test]
async fn figures_are_for_who_has_the_token() {
    let rig = start(Config::default(), false).await;
    let address = serve(fax_api::metrics::router(rig.service.clone(), Some("the token of this test"))).await;
    for token in [None, Some("another"), Some(KEY), Some("")] {
        assert_eq!(get(address, "/metrics", token).await.0, 401, "{token:?}");
    }
    assert_eq!(get(address, "/metrics", Some("the token of this test")).await.0, 200);
    // Whether it lives is no secret; the figures are not served where the API is.
    assert_eq!(get(address, "/health", None).await.0, 200);
    assert_eq!(rig.get("/metrics").await.status, 404);
}

struct Carrier {
    up: bool,
    listening: bool,
}

#[async_trait]
impl Dialler for Carrier {
    async fn call(&self, _order: CallOrder, _events: mpsc::Sender<CallEvent>) -> CallResult {
        CallResult::default()
    }

    async fn trunks(&self) -> Vec<TrunkStatus> {
        let fields = json!({ "up": self.up, "calls": { "in": 2, "out": 1 } });
        vec![TrunkStatus { name: "carrier".into(), fields: fields.as_object().unwrap().clone() }]
    }

    fn protection(&self) -> serde_json::Map<String, Value> {
        let told = json!({ "bans": [{ "source": "192.0.2.1" }], "counters": { "banned": 7 } });
        told.as_object().unwrap().clone()
    }

    fn is_listening(&self) -> bool {
        self.listening
    }

    fn media_times(&self) -> MediaTimes {
        MediaTimes { turns: 1000, late: vec![(10, 3), (50, 1)] }
    }
}

#[tokio::test]
async fn ready_says_what_is_missing() {
    let rig = start(Config::default(), false).await;
    for (up, listening, wanted) in [(true, true, 200), (false, true, 503), (true, false, 503)] {
        let ports = Ports { dialler: Arc::new(Carrier { up, listening }), ..rig.ports.clone() };
        let config = ServiceConfig::clone(&rig.service.config());
        let service = Service::new(Directory::clone(&rig.service.directory()), config, ports);
        let address = serve(fax_api::metrics::router(service, None)).await;
        let (status, _, text) = get(address, "/ready", None).await;
        let told: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, &told["ready"]), (wanted, &json!(wanted == 200)), "{text}");
        assert_eq!(
            (&told["store"], &told["sip"], &told["trunk"]),
            (&json!(true), &json!(listening), &json!(up))
        );
        let text = get(address, "/metrics", None).await.2;
        for (series, wanted) in [
            ("ferrofax_trunk_up{trunk=\"carrier\"}", f64::from(u8::from(up))),
            ("ferrofax_trunk_calls{trunk=\"carrier\",direction=\"in\"}", 2.0),
            ("ferrofax_trunk_calls{trunk=\"carrier\",direction=\"out\"}", 1.0),
            ("ferrofax_sip_bans", 1.0),
            ("ferrofax_sip_turned_away_total{kind=\"banned\"}", 7.0),
            ("ferrofax_media_turns_total", 1000.0),
            ("ferrofax_media_late_turns_total{over_ms=\"10\"}", 3.0),
        ] {
            assert_eq!(value(&text, series), wanted, "{series} in\n{text}");
        }
    }
    // The same on the API's own address.
    assert_eq!((rig.get("/health").await.status, rig.get("/ready").await.status), (200, 503));
}
