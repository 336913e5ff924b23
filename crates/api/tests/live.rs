//! What is told live: receptions that run, events by SSE and by WebSocket, and who may hear them; mails that were refused.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests, which may

mod rig;

use std::time::Duration;

use fax_api::Config;
use fax_store::model::{JobState, Lease, NodeId};
use fax_store::port::{Guard, JobChange};
use fax_switch::{IncomingCall, RefusedMail};
use rig::{A, B, F, KEY, KEY_B, Rig, by_url, faxes, plain, start};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(20);

fn call(id: &str) -> IncomingCall {
    IncomingCall {
        to_number: "4155550100".into(),
        from_number: "+14155550001".into(),
        call_id: id.into(),
        ..IncomingCall::default()
    }
}

/// A WebSocket by hand (RFC 6455 §4.1, §5.2).
struct Socket(TcpStream);

impl Socket {
    async fn open(rig: &Rig, path: &str) -> Option<Socket> {
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let accepted = head.starts_with("HTTP/1.1 101") && head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        accepted.then_some(Socket(stream))
    }

    async fn say(&mut self, message: &Value) {
        let text = message.to_string().into_bytes();
        let mut frame = vec![0x81];
        match text.len() {
            n @ ..126 => frame.push(0x80 | n as u8),
            n => {
                frame.push(0x80 | 126);
                frame.extend((n as u16).to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(text);
        self.0.write_all(&frame).await.unwrap();
    }

    /// The next message; `None` at the end.
    async fn hear(&mut self) -> Option<Value> {
        loop {
            let first = tokio::time::timeout(PATIENCE, self.0.read_u8()).await.expect("something").ok()?;
            let length = match self.0.read_u8().await.ok()? {
                126 => usize::from(self.0.read_u16().await.ok()?),
                n => usize::from(n),
            };
            let mut octets = vec![0; length];
            self.0.read_exact(&mut octets).await.ok()?;
            match first {
                0x81 => return Some(serde_json::from_slice(&octets).unwrap()),
                0x88 => return None,
                _ => {}
            }
        }
    }

    async fn ask(&mut self, token: &str, action: &str, data: Value) -> Value {
        self.say(&json!({ "action": action, "auth_token": token, "request_id": "r", "data": data })).await;
        self.hear().await.unwrap()
    }
}

#[tokio::test]
async fn receptions_are_listed_while_they_run() {
    let rig = plain().await;
    assert_eq!(rig.get(&faxes("/incoming")).await.json["data"], json!([]));
    let receiving = rig.service.begin_reception(&call("c1"), &A.into(), &F.into());
    receiving.page(2);
    let list = rig.get(&faxes("/incoming")).await.json["data"].clone();
    let one = &list[0];
    let id = one["id"].as_str().unwrap();
    assert_eq!(
        (&one["from"], &one["to"], &one["pages"], &one["state"], &one["status"]),
        (
            &json!("+14155550001"),
            &json!("+14155550100"),
            &json!(2),
            &json!("receive"),
            &json!("Received  Page 2")
        )
    );
    assert_eq!(rig.get(&faxes(&format!("/incoming/{id}"))).await.json["data"], *one);
    let boxed = format!("/v2/accounts/{A}/faxboxes/{F}/faxes/incoming");
    assert_eq!(rig.get(&boxed).await.json["data"], list);
    let foreign = format!("/v2/accounts/{B}/faxes/incoming");
    assert_eq!(rig.with(KEY_B, "GET", &foreign, Value::Null).await.1["data"], json!([]));
    assert_eq!(rig.with(KEY_B, "GET", &format!("{foreign}/{id}"), Value::Null).await.0, 404);
    drop(receiving);
    assert_eq!(rig.get(&faxes("/incoming")).await.json["data"], json!([]));
    assert_eq!(rig.get(&faxes(&format!("/incoming/{id}"))).await.status, 404);
}

#[tokio::test]
async fn events_are_streamed_to_whom_they_concern() {
    let config = Config { watchers: (2, 3), ..Config::default() };
    let rig = start(config, false).await;
    let open = async |token: &str, path: &str| {
        rig.http.get(rig.url(path)).header("x-auth-token", token).send().await.unwrap()
    };
    let mut own = open(KEY, &faxes("/events")).await;
    assert_eq!(own.status(), 200);
    assert_eq!(own.headers()["content-type"], "text/event-stream");
    let mut other = open(KEY_B, &format!("/v2/accounts/{B}/faxes/events")).await;
    let mut text = String::new();
    let mut other_text = String::new();
    let receiving = rig.service.begin_reception(&call("c1"), &A.into(), &F.into());
    receiving.page(1);
    let id = rig.service.receptions(&A.into())[0].id.to_string();
    let theirs = rig.service.begin_reception(&call("c2"), &B.into(), &"x".into());
    while !text.contains("Received  Page 1") {
        let piece = tokio::time::timeout(PATIENCE, own.chunk()).await.unwrap().unwrap().unwrap();
        text.push_str(std::str::from_utf8(&piece).unwrap());
    }
    while !other_text.contains("New Fax") {
        let piece = tokio::time::timeout(PATIENCE, other.chunk()).await.unwrap().unwrap().unwrap();
        other_text.push_str(std::str::from_utf8(&piece).unwrap());
    }
    let events: Vec<Value> = text
        .lines()
        .filter_map(|l| l.strip_prefix("data: "))
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(events.len(), 2, "{text}");
    assert_eq!(
        (&events[1]["job_id"], &events[1]["fax_state"], &events[1]["direction"], &events[1]["page"]),
        (&json!(id), &json!("receive"), &json!("incoming"), &json!(1))
    );
    assert!(!other_text.contains(A) && !other_text.contains("Page"), "{other_text}");
    drop(theirs);

    // By its faxbox, as text only, and no more than may.
    let boxed = open(KEY, &format!("/v2/accounts/{A}/faxboxes/{F}/faxes/events")).await;
    assert_eq!(boxed.status(), 200);
    assert_eq!(open(KEY, &faxes("/events")).await.status(), 429);
    drop((boxed, own));
    for _ in 0..100 {
        receiving.page(2);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let headers = [("x-auth-token", KEY), ("accept", "application/json")];
    assert_eq!(rig.send("GET", &faxes("/events"), &headers, "").await.status, 406);
    assert_eq!(open(KEY, &faxes("/events")).await.status(), 200, "a place is given back");
    assert_eq!(open(KEY_B, &faxes("/events")).await.status(), 403);
    assert_eq!(open("wrong", &faxes("/events")).await.status(), 401);
}

#[tokio::test]
async fn a_websocket_speaks_as_blackhole_does() {
    let rig = start(Config::default(), true).await;
    for path in ["/", "/websocket"] {
        let mut socket = Socket::open(&rig, path).await.unwrap();
        let all = json!({ "account_id": A, "binding": "fax.status.*" });
        let reply = socket.ask(KEY, "subscribe", all.clone()).await;
        assert_eq!(
            (&reply["action"], &reply["status"], &reply["request_id"], &reply["data"]["subscribed"]),
            (&json!("reply"), &json!("success"), &json!("r"), &json!(["fax.status.*"])),
            "{reply}"
        );
        let receiving = rig.service.begin_reception(&call("c1"), &A.into(), &F.into());
        let id = rig.service.receptions(&A.into())[0].id.to_string();
        let event = socket.hear().await.unwrap();
        assert_eq!(
            (&event["action"], &event["subscribed_key"], &event["subscription_key"]),
            (&json!("event"), &json!("fax.status.*"), &json!(format!("fax.status.{A}.{id}")))
        );
        let data = &event["data"];
        assert_eq!((&data["fax_state"], &data["job_id"]), (&json!("start"), &json!(id)));
        // One fax only, and not any more.
        let one = json!({ "account_id": A, "binding": "fax.status.0123" });
        assert_eq!(socket.ask(KEY, "unsubscribe", all).await["data"]["subscriptions"], json!([]));
        assert_eq!(socket.ask(KEY, "subscribe", one).await["status"], "success");
        receiving.page(1);
        let only = json!({ "binding": format!("fax.status.202611-{id}") });
        assert_eq!(socket.ask(KEY, "subscribe", only).await["status"], "success");
        receiving.page(2);
        assert_eq!(socket.hear().await.unwrap()["data"]["page"], 2);
    }
    // A fax that is sent.
    let mut socket = Socket::open(&rig, "/").await.unwrap();
    socket.ask(KEY, "subscribe", json!({ "binding": "fax.status.*" })).await;
    let mut envelope = by_url();
    envelope["data"]["retries"] = 1.into();
    let made = rig.json("PUT", &faxes(""), envelope).await;
    let event = socket.hear().await.unwrap();
    assert_eq!(
        (&event["data"]["job_id"], &event["data"]["direction"]),
        (&made.json["data"]["id"], &json!("outgoing"))
    );
}

#[tokio::test]
async fn a_websocket_hears_only_what_its_token_is_for() {
    let config = Config { watchers: (2, 100), failures: (4.0, 0.001), ..Config::default() };
    let rig = start(config, false).await;
    let mut socket = Socket::open(&rig, "/").await.unwrap();
    for (token, data, code) in [
        ("wrong", json!({ "binding": "fax.status.*" }), 401),
        ("", json!({ "binding": "fax.status.*" }), 401),
        (KEY_B, json!({ "account_id": A, "binding": "fax.status.*" }), 403),
        (KEY, json!({ "account_id": B, "binding": "fax.status.*" }), 403),
        (KEY, json!({ "binding": "call.*.*" }), 400),
        (KEY, json!({}), 400),
    ] {
        let reply = socket.ask(token, "subscribe", data).await;
        assert_eq!((&reply["status"], &reply["data"]["code"]), (&json!("error"), &json!(code)), "{reply}");
    }
    let limited =
        json!({ "data": { "api_key": KEY, "restrictions": { "get": ["accounts/*/faxes/inbox/#"] } } });
    let token =
        rig.with("", "PUT", "/v2/api_auth", limited).await.1["auth_token"].as_str().unwrap().to_owned();
    let reply = socket.ask(&token, "subscribe", json!({ "binding": "fax.status.*" })).await;
    assert_eq!(reply["data"]["code"], 403, "{reply}");
    socket.say(&json!("nonsense")).await;
    assert_eq!(socket.hear().await.unwrap()["status"], "error");
    // Nothing was subscribed, nothing is heard.
    let _receiving = rig.service.begin_reception(&call("c1"), &A.into(), &F.into());
    socket.say(&json!({ "action": "ping", "request_id": "p" })).await;
    assert_eq!(socket.hear().await.unwrap()["request_id"], "p");
    let mut second = Socket::open(&rig, "/").await.unwrap();
    assert!(Socket::open(&rig, "/").await.is_none(), "an address has two connections here");
    // Whoever says too much is not listened to.
    second.say(&json!({ "action": "x".repeat(20_000) })).await;
    assert_eq!(second.hear().await, None);
    // Guessing tokens ends in 429.
    for _ in 0..4 {
        socket.ask("wrong", "subscribe", json!({ "binding": "fax.status.*" })).await;
    }
    let reply = socket.ask("wrong", "subscribe", json!({ "binding": "fax.status.*" })).await;
    assert_eq!(reply["data"]["code"], 429, "{reply}");
}

/// What is said in a call is known to the node that makes it; another tells the state and no more.
#[tokio::test]
async fn a_fax_that_another_node_sends_is_processing() {
    let rig = plain().await;
    let id = rig.json("PUT", &faxes(""), by_url()).await.json["data"]["id"].as_str().unwrap().to_owned();
    for (node, wanted) in [("n2", "processing"), ("n1", "not available")] {
        let until = rig.service.now().plus(Duration::from_secs(60));
        let change: JobChange = Box::new(move |j| {
            j.state = JobState::Processing;
            j.lease = Some(Lease { node: NodeId::new(node), until });
            Ok(())
        });
        rig.ports.store.update_job(&id.as_str().into(), Guard::Any, change, vec![]).await.unwrap();
        let shown = rig.get(&faxes(&format!("/outgoing/{id}"))).await.json;
        assert_eq!(shown["data"]["status"], wanted, "held by {node}: {shown}");
    }
}

#[tokio::test]
async fn refused_mails_are_listed_and_read() {
    let rig = plain().await;
    let refused = |to: &str, faxbox: Option<&str>| RefusedMail {
        from: "who@x.example".into(),
        to: to.into(),
        errors: vec!["no valid attachment".into(), "x".repeat(10_000)],
        faxbox: faxbox.map(Into::into),
        ..RefusedMail::default()
    };
    rig.service.mail_refused(A.into(), refused("1@a.example", Some(F))).await.unwrap();
    rig.service.mail_refused(A.into(), refused("2@a.example", None)).await.unwrap();
    let list = rig.get(&faxes("/smtplog")).await.json["data"].clone();
    assert_eq!(list.as_array().unwrap().len(), 2, "{list}");
    let newest = &list[0];
    assert_eq!(
        (&newest["from"], &newest["to"], &newest["error"]),
        (&json!("who@x.example"), &json!("2@a.example"), &json!("no valid attachment"))
    );
    let boxed = rig.get(&format!("/v2/accounts/{A}/faxboxes/{F}/faxes/smtplog")).await.json["data"].clone();
    assert_eq!((boxed.as_array().unwrap().len(), &boxed[0]["to"]), (1, &json!("1@a.example")));
    let first = rig.get(&faxes("/smtplog?page_size=1")).await.json;
    let key = first["next_start_key"].as_str().unwrap();
    let second = rig.get(&faxes(&format!("/smtplog?page_size=1&start_key={key}"))).await.json;
    assert_eq!(second["data"][0]["to"], "1@a.example");
    let id = newest["id"].as_str().unwrap();
    let one = rig.get(&faxes(&format!("/smtplog/{id}"))).await;
    assert_eq!((one.status, one.json["data"]["errors"].as_array().unwrap().len()), (200, 2), "{}", one.json);
    assert!(one.json["data"]["errors"][1].as_str().unwrap().len() <= 500);
    assert_eq!(rig.get(&faxes("/smtplog/202611-00000000000000000000000000000000")).await.status, 404);
    assert_eq!(rig.get(&faxes("/smtplog/x")).await.status, 404);
    let foreign = format!("/v2/accounts/{B}/faxes/smtplog/{id}");
    assert_eq!(rig.with(KEY_B, "GET", &foreign, Value::Null).await.0, 404);
    // The audit log does not show them.
    let audit = rig.get(&format!("/v2/accounts/{A}/audit")).await.json["data"].clone();
    assert!(!audit.to_string().contains("who@x.example"), "{audit}");
}
