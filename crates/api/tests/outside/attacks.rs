//! Attacks on the REST face, each with what has to come of it; `crates/api/ATTACKS.md` lists them.

use crate::rig::{A, B, F, KEY, KEY_B, Rig, by_url, faxes, start, testdata};
use fax_api::route::{Resource, Right, paths};
use fax_api::{Config, FetchConfig, HttpFetcher};
use fax_store::model::WebRequest;
use fax_switch::port::{ConvertError, Fetcher};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn calm(config: Config) -> Rig {
    start(Config { requests: (1e9, 1e9), failures: (1e9, 1e9), ..config }, false).await
}

/// With its queue, so that what is handed in becomes a fax.
async fn running() -> Rig {
    start(Config { requests: (1e9, 1e9), failures: (1e9, 1e9), ..Config::default() }, true).await
}

/// Sends these octets as they are and reads until the connection ends, or this is enough.
async fn raw(address: SocketAddr, octets: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _ = stream.write_all(octets).await;
    let mut answer = Vec::new();
    let mut some = stream.take(64 * 1024);
    let read = some.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(10), read).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Every path of the table, whatever is added to it: nothing without a key, with one that was made up, with a damaged one.
#[tokio::test]
async fn no_path_opens_without_a_key_or_with_a_wrong_one() {
    let rig = calm(Config::default()).await;
    let short = &KEY[..KEY.len() - 1];
    let upper = KEY.to_uppercase();
    let mut rows = 0;
    for path in paths() {
        let concrete = path.pattern.replace("{account}", A).replace("{user}", "u").replace("{faxbox}", F);
        let concrete = format!("/v2/{}", concrete.replace("{id}", "0123456789abcdef0123456789abcdef"));
        for (verb, right) in path.resource.verbs() {
            if *right == Right::Open {
                assert!(
                    matches!(path.resource, Resource::ApiAuth | Resource::UserAuth),
                    "{concrete} is open"
                );
                continue;
            }
            for key in
                [None, Some("0".repeat(64).as_str()), Some(short), Some(&upper), Some("null"), Some("")]
            {
                let headers: Vec<(&str, &str)> = key.map(|k| ("x-auth-token", k)).into_iter().collect();
                let reply = rig.send(verb.as_str(), &concrete, &headers, "").await;
                assert_eq!(reply.status, 401, "{verb} {concrete} with {key:?}");
                assert!(
                    reply.header("www-authenticate") == "Bearer" && reply.json["data"]["message"].is_string()
                );
                rows += 1;
            }
        }
    }
    assert!(rows > 600, "{rows}");
}

/// Names that resolve to something else each time are asked once: the connection goes to what was looked at. Here the
/// other side: names of this machine, however they are written, and every step of a redirect.
#[tokio::test]
async fn documents_by_url_do_not_reach_private_addresses() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let router = axum::Router::new().fallback(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        async { "secret" }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let fetcher = HttpFetcher::new(FetchConfig::default());
    for host in [
        "127.0.0.1",
        "127.1",
        "127.000.000.001",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "localhost",
        "LOCALHOST.",
        "0.0.0.0",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "100.100.100.200",
        "192.0.0.192",
        "10.0.0.1",
        "①②⑦.⓪.⓪.①",
    ] {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:{port}/latest/meta-data/");
            let got = fetcher.fetch(WebRequest::get(&url)).await;
            assert!(
                matches!(&got, Err(ConvertError::Document(_) | ConvertError::Later(_))),
                "{url}: {got:?}"
            );
            if !host.to_ascii_lowercase().starts_with("localhost.") {
                assert!(
                    matches!(&got, Err(ConvertError::Document(why)) if why.contains("not public")),
                    "{url}: {got:?}"
                );
            }
        }
    }
    for url in ["file:///etc/passwd", "gopher://127.0.0.1/", "ftp://127.0.0.1/", "unix:/run/x", "data:,x"] {
        assert!(matches!(fetcher.fetch(WebRequest::get(url)).await, Err(ConvertError::Document(_))), "{url}");
    }
    // A name in front of the address does not hide it.
    for url in [
        format!("http://8.8.8.8@127.0.0.1:{port}/"),
        format!("http://127.0.0.1:{port}#@8.8.8.8/"),
        format!("http://8.8.8.8%40@127.0.0.1:{port}/"),
    ] {
        assert!(fetcher.fetch(WebRequest::get(&url)).await.is_err(), "{url}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0, "somebody got through");
}

#[tokio::test]
async fn paths_do_not_climb() {
    let rig = calm(Config::default()).await;
    for path in [
        "/v2/../../etc/passwd",
        "/v2/%2e%2e/%2e%2e/etc/passwd",
        "/docs/../../Cargo.toml",
        "/docs/%2e%2e%2fpage.js",
        "//etc/passwd",
        "/v2/accounts/%00",
        "/v2/schemas/..%2f..%2fsecret",
        "/v2/webhooks/samples/%2e%2e",
    ] {
        // A client would clean it up: the octets go as they are.
        let said =
            format!("GET {path} HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {KEY}\r\nConnection: close\r\n\r\n");
        let answer = raw(rig.address, said.as_bytes()).await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(matches!(status, "400" | "404"), "{path}: {answer}");
    }
    // An id is one account's: another's with dots and slashes in it is just an id that is not there.
    for id in
        [format!("..%2f..%2f{B}"), "x%2f..%2f..".into(), "a%00b".into(), "%ff%fe".into(), "x".repeat(9000)]
    {
        let (status, _) = rig.with(KEY, "GET", &faxes(&format!("/outbox/{id}")), json!(null)).await;
        assert_eq!(status, 404, "{id}");
    }
}

#[tokio::test]
async fn headers_cannot_be_split_smuggled_or_endless() {
    let rig = calm(Config::default()).await;
    // What a client sends does not become a header of the answer.
    let evil = "a\r\nSet-Cookie: x=1";
    for path in [
        format!("/v2/accounts/{A}/faxboxes?auth_token={KEY}&start_key=a%0d%0aSet-Cookie:%20x"),
        format!("/v2/accounts/{A}%0d%0aSet-Cookie:%20x=1?auth_token={KEY}"),
    ] {
        let said = format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nX-Request-ID: {}\r\nConnection: close\r\n\r\n",
            "b".repeat(200)
        );
        let answer = raw(rig.address, said.as_bytes()).await;
        let head = answer.split("\r\n\r\n").next().unwrap().to_lowercase();
        assert!(!head.contains("set-cookie") && !head.contains("bbbb"), "{head}");
    }
    let data = json!({ "data": { "name": evil, "custom_smtp_email_address": evil } });
    assert_eq!(rig.json("PUT", &format!("/v2/accounts/{A}/faxboxes"), data).await.status, 400);
    // Two lengths, a length beside chunks, a length that is none: one request or none, never two.
    for head in [
        "Content-Length: 4\r\nContent-Length: 40",
        "Content-Length: -1",
        "Content-Length: 99999999999999999999",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: xchunked",
    ] {
        let said = format!(
            "PUT /v2/api_auth HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n0\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n"
        );
        let answer = raw(rig.address, said.as_bytes()).await;
        assert!(!answer.contains("\r\n\r\nok\n"), "{head}: {answer}");
    }
    let many: String = (0..500).map(|i| format!("X-{i}: y\r\n")).collect();
    for more in [many, format!("X-Long: {}\r\n", "y".repeat(200_000))] {
        let answer =
            raw(rig.address, format!("GET /health HTTP/1.1\r\nHost: x\r\n{more}\r\n").as_bytes()).await;
        assert!(!answer.contains("ok\n"), "{}", &answer[..answer.len().min(200)]);
    }
}

#[tokio::test]
async fn multiparts_and_json_of_every_bad_kind_are_refused() {
    let rig = calm(Config { max_upload: 3_000_000, ..Config::default() }).await;
    let deep = |n: usize| format!("{{\"data\":{}1{}}}", "[".repeat(n), "]".repeat(n));
    let bodies: Vec<(&str, Vec<u8>, &[u16])> = vec![
        ("application/json", deep(100_000).into_bytes(), &[400]),
        ("application/json", b"{\"data\":".to_vec(), &[400]),
        ("application/json", vec![0xff; 100], &[400]),
        (
            "application/json",
            format!("{{\"data\":{{\"x\":\"{}\"}}}}", "y".repeat(2_000_000)).into_bytes(),
            &[413],
        ),
        ("application/json", vec![b'x'; 3_000_001], &[413]),
        (
            "application/xml",
            b"<!DOCTYPE x [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><x>&a;</x>".to_vec(),
            &[415],
        ),
        ("multipart/mixed; boundary=", b"--\r\n\r\n--".to_vec(), &[400, 415]),
        ("multipart/mixed; boundary=\"\r\n\"", b"x".to_vec(), &[400]),
        ("multipart/mixed; boundary=b", b"--b\r\n".repeat(100_000), &[400, 413]),
        (
            "multipart/mixed; boundary=b",
            [b"--b\r\n".to_vec(), b"X: y\r\n".repeat(100_000)].concat(),
            &[400, 413],
        ),
        (
            "multipart/mixed; boundary=b",
            b"--b\r\nContent-Type: application/base64\r\n\r\n!!!!\r\n--b--".to_vec(),
            &[400, 413],
        ),
    ];
    for (kind, body, wanted) in bodies {
        // Header values with line ends are not sent by a client that knows what it does.
        let Ok(kind) = reqwest::header::HeaderValue::from_str(kind) else { continue };
        let request = rig
            .http
            .put(rig.url(&faxes("")))
            .header("x-auth-token", KEY)
            .header("content-type", kind.clone());
        let began = Instant::now();
        match request.body(body).send().await {
            Ok(reply) => assert!(wanted.contains(&reply.status().as_u16()), "{kind:?}: {}", reply.status()),
            // What is too large is not read to its end: the connection may close before its sender sees the answer.
            Err(error) => {
                let closed = error.is_request() && !error.is_connect() && !error.is_timeout();
                assert!(closed && wanted.contains(&413), "{kind:?}: {error:?}");
                assert_eq!(rig.send("GET", "/health", &[], "").await.status, 200, "{kind:?}");
            }
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{kind:?} took {:?}", began.elapsed());
    }
    drop(rig);
    let rig = running().await;
    // A file name of a part does not become a path, nor a header of what is fetched later.
    let part = |name: &str| {
        let head = "--b\r\nContent-Type: application/json\r\n\r\n{\"data\":{\"to_number\":\"4155551234\",\"from_number\":\"4155550100\"}}\r\n--b\r\n";
        let disposition = format!(
            "Content-Disposition: form-data; name=\"f\"; filename=\"{name}\"\r\nContent-Type: image/tiff\r\n\r\n"
        );
        [head.as_bytes(), disposition.as_bytes(), &testdata("pages/three-pages.tif"), b"\r\n--b--\r\n"]
            .concat()
    };
    for name in ["../../../etc/cron.d/x", "C:\\\\x\\\\y.tif", "a%0d%0aX: y.tif", "\u{202e}fit.exe"] {
        let kind = [("x-auth-token", KEY), ("content-type", "multipart/mixed; boundary=b")];
        let made = rig.send("PUT", &faxes(""), &kind, part(name)).await;
        assert_eq!(made.status, 201, "{name}: {}", made.json);
        let id = made.json["data"]["id"].as_str().unwrap().to_owned();
        let job = rig.finished(&id).await;
        assert_eq!(job["status"], "completed", "{name}: {job}");
        let got = rig.get(&faxes(&format!("/outgoing/{id}/attachment"))).await;
        assert_eq!(got.status, 200, "{name}: {}", got.json);
        let disposition = got.header("content-disposition");
        assert!(disposition.starts_with("attachment; filename="), "{name}: {disposition}");
        assert!(got.headers.get("x").is_none(), "{name}");
        assert!(
            !disposition.contains("..") && !disposition.contains('/') && !disposition.contains('\\'),
            "{name}: {disposition}"
        );
    }
}

/// Who sends a header or a body drop by drop is let go, and keeps nobody else waiting meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_requests_keep_nobody_waiting() {
    let config = Config { body_patience: Duration::from_millis(700), max_strangers: 4, ..Config::default() };
    let rig = calm(config).await;
    let mut slow = Vec::new();
    for _ in 0..40 {
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        let head = "PUT /v2/api_auth HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{";
        stream.write_all(head.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    // Somebody with a key is served while all places of strangers are taken.
    let began = Instant::now();
    assert_eq!(rig.get(&faxes("/outgoing")).await.status, 200);
    assert_eq!(rig.send("GET", "/health", &[], "").await.status, 200);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let mut first = slow.swap_remove(0);
    let mut answer = vec![0; 2048];
    let read = tokio::time::timeout(Duration::from_secs(20), first.read(&mut answer)).await.unwrap().unwrap();
    let ended = answer.starts_with(b"HTTP/1.1 408") || answer.starts_with(b"HTTP/1.1 503");
    assert!(read == 0 || ended, "{}", String::from_utf8_lossy(&answer[..read]));
}

/// One address takes all places of strangers that it can get, and holds them: another logs in, and who waits in vain is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_leaves_places_to_other_strangers() {
    let patience = Duration::from_secs(4);
    let rig = calm(Config { body_patience: patience, max_strangers: 8, ..Config::default() }).await;
    let mut held = Vec::new();
    for _ in 0..16 {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let mut stream = socket.connect(rig.address).await.unwrap();
        let head = "PUT /v2/api_auth HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{";
        stream.write_all(head.as_bytes()).await.unwrap();
        held.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let began = Instant::now();
    let login = serde_json::json!({ "data": { "api_key": KEY } });
    assert_eq!(rig.with("", "PUT", "/v2/api_auth", login).await.0, 201);
    assert!(began.elapsed() < patience / 2, "{:?}", began.elapsed());
    let mut told = 0;
    for mut stream in held {
        let mut answer = vec![0; 2048];
        let read = tokio::time::timeout(patience * 5, stream.read(&mut answer)).await.unwrap().unwrap();
        let answer = String::from_utf8_lossy(&answer[..read]).to_lowercase();
        told += usize::from(answer.starts_with("http/1.1 503") && answer.contains("\r\nretry-after: 4\r\n"));
    }
    assert!(told >= 8, "{told}");
}

/// One account takes all places that it can get, and holds them: another's request is served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_tenant_leaves_places_to_others() {
    let rig = calm(Config { max_requests: 8, ..Config::default() }).await;
    let mut held = Vec::new();
    for _ in 0..16 {
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        let head = format!(
            "PUT /v2/accounts/{B}/faxes HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {KEY_B}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        held.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let path = faxes("/outgoing");
    let served = tokio::time::timeout(Duration::from_secs(10), rig.get(&path)).await;
    assert_eq!(served.expect("in time").status, 200);
}

/// Who changes something and hangs up before the answer is in the log all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hanging_up_hides_no_change() {
    let rig = calm(Config::default()).await;
    let mut ids = Vec::new();
    for _ in 0..200 {
        let made = rig.json("PUT", &faxes(""), by_url()).await;
        ids.push(made.json["data"]["id"].as_str().unwrap().to_owned());
    }
    for (n, id) in (0u64..).zip(&ids) {
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        let path = faxes(&format!("/outgoing/{id}"));
        let said = format!("DELETE {path} HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {KEY}\r\n\r\n");
        stream.write_all(said.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_micros(n % 40 * 250)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let audit = rig.get(&format!("/v2/accounts/{A}/audit?page_size=10000&filter_action=delete")).await;
    let noted: Vec<&str> =
        audit.json["data"].as_array().unwrap().iter().map(|r| r["subject"].as_str().unwrap()).collect();
    let mut gone = 0;
    for id in &ids {
        let job = rig.service.find_job(&id.as_str().into()).await.unwrap().unwrap();
        if job.state.is_final() {
            gone += 1;
            assert!(
                noted.contains(&format!("faxes/outgoing/{id}").as_str()),
                "{id} is gone and nobody did it"
            );
        }
    }
    assert!(gone > 20, "{gone}");
}
