//! A real switch on redb in a temporary folder, a scripted dialler, and the REST face on a loopback port.

#![allow(dead_code)] // no test file uses all of it

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fax_api::{Config, FetchConfig, HttpFetcher, router, serve};
use fax_document::{FaxDocument, RenderOptions, render, sniff};
use fax_store::folder::FolderDocuments;
use fax_store::model::{AccountId, FaxboxId, NodeId};
use fax_store::redb::RedbStore;
use fax_switch::number::NumberPlan;
use fax_switch::port::{CallEvent, CallOrder, CallResult, ConvertError, Converter, Dialler, SystemClock};
use fax_switch::{Account, Directory, Faxbox, Ports, Service, ServiceConfig};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, watch};

/// The account of most tests.
pub const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
/// Another one.
pub const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
/// A's faxbox.
pub const F: &str = "ffffffffffffffffffffffffffffffff";
/// A's API key.
pub const KEY: &str = "key-of-a-0123456789abcdef0123456789abcdef0123456789abcdef01234567";
/// B's API key.
pub const KEY_B: &str = "key-of-b-0123456789abcdef0123456789abcdef0123456789abcdef01234567";

/// Confirms every page.
struct Confirms;

#[async_trait]
impl Dialler for Confirms {
    async fn call(&self, order: CallOrder, events: mpsc::Sender<CallEvent>) -> CallResult {
        let _ = events.send(CallEvent::Ladder("NSF CSI DIS ->".into())).await;
        let last = order.first_page + order.pages.len();
        for page in order.first_page..last {
            for event in [
                CallEvent::PageSending { page },
                CallEvent::PageSent { page },
                CallEvent::PageConfirmed { page, poor: false },
            ] {
                let _ = events.send(event).await;
            }
        }
        CallResult {
            class: "ok".into(),
            pages_confirmed: order.pages.len() as u32,
            bit_rate: Some(14_400),
            ..CallResult::default()
        }
    }
}

struct Renders;

#[async_trait]
impl Converter for Renders {
    async fn convert(
        &self,
        octets: Bytes,
        kind: &str,
        name: Option<&str>,
        colour: bool,
    ) -> Result<FaxDocument, ConvertError> {
        let format = sniff(&octets, Some(kind), name)
            .ok_or_else(|| ConvertError::Document("This cannot be faxed.".into()))?;
        let options = RenderOptions { colour, ..RenderOptions::default() };
        render(&octets, format, &options).map_err(|e| ConvertError::Document(e.to_string()))
    }
}

pub struct Rig {
    pub service: Service,
    pub ports: Ports,
    pub address: SocketAddr,
    pub http: reqwest::Client,
    stop: watch::Sender<bool>,
    _folder: tempfile::TempDir,
}

fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

fn directory() -> Directory {
    let a = Account {
        id: AccountId::new(A),
        name: "Clinic A".into(),
        realm: "a.example".into(),
        api_keys_sha256: vec![digest(KEY)],
        max_outbound: Some(4),
        operator: true,
        ..Account::default()
    };
    let b = Account {
        id: AccountId::new(B),
        name: "B".into(),
        api_keys_sha256: vec![digest(KEY_B)],
        max_outbound: Some(4),
        ..Account::default()
    };
    let faxbox = Faxbox {
        id: FaxboxId::new(F),
        account: AccountId::new(A),
        name: "Front desk".into(),
        caller_name: "Clinic".into(),
        caller_id: "+14155550100".into(),
        fax_header: "Clinic A".into(),
        fax_identity: "+1 415 555 0100".into(),
        timezone: "America/Los_Angeles".into(),
        retries: 2,
        mail_domain: "0a1b2c3d.fax.example".into(),
        notify_outbound: vec!["desk@a.example".into()],
        ..Faxbox::default()
    };
    Directory::new(vec![a, b], vec![faxbox], &NumberPlan::default()).unwrap()
}

/// Starts everything; `running`: the queue too.
pub async fn start(config: Config, running: bool) -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(folder.path().join("rows")).unwrap();
    let documents = FolderDocuments::open(folder.path().join("documents")).unwrap();
    let fetch = FetchConfig { allow_private_urls: true, ..FetchConfig::default() };
    let ports = Ports {
        store: Arc::new(store),
        documents: Arc::new(documents),
        dialler: Arc::new(Confirms),
        converter: Arc::new(Renders),
        fetcher: Arc::new(HttpFetcher::new(fetch)),
        clock: Arc::new(SystemClock),
    };
    let settings = ServiceConfig { trunks: vec!["carrier".into()], ..ServiceConfig::new(NodeId::new("n1")) };
    let service = Service::new(directory(), settings, ports.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let mut until = stopped.clone();
    tokio::spawn(serve(listener, router(service.clone(), config), async move {
        let _ = until.wait_for(|s| *s).await;
    }));
    if running {
        let service = service.clone();
        tokio::spawn(async move { service.run(stopped).await });
    }
    let http =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    Rig { service, ports, address, http, stop, _folder: folder }
}

/// Starts everything but the queue, as it comes.
pub async fn plain() -> Rig {
    start(Config::default(), false).await
}

/// A path below A's faxes.
pub fn faxes(rest: &str) -> String {
    format!("/v2/accounts/{A}/faxes{rest}")
}

/// An order of a fax by URL.
pub fn by_url() -> Value {
    json!({ "data": { "to_number": "+1 (415) 555-1234", "from_number": "4155550100", "document": { "url": "http://127.0.0.1:9/x.pdf" }, "custom": { "x": 1 }, "_private": 1, "pvt_x": 2 } })
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}

/// What came back.
pub struct Reply {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Bytes,
    pub json: Value,
}

impl Reply {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|v| v.to_str().unwrap()).unwrap_or_default()
    }
}

impl Rig {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn send(
        &self,
        verb: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Reply {
        let mut request = self.http.request(verb.parse().unwrap(), self.url(path)).body(body.into());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.unwrap();
        let json = serde_json::from_slice(&body).unwrap_or_default();
        Reply { status, headers, body, json }
    }

    /// With A's key.
    pub async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[("x-auth-token", KEY)], "").await
    }

    /// With a key or token: the status, and what is in the envelope.
    pub async fn with(&self, token: &str, verb: &str, path: &str, body: Value) -> (u16, Value) {
        let headers = [("x-auth-token", token), ("content-type", "application/json")];
        let reply = self
            .send(verb, path, &headers, if body.is_null() { String::new() } else { body.to_string() })
            .await;
        (reply.status, reply.json)
    }

    /// JSON with A's key.
    pub async fn json(&self, verb: &str, path: &str, body: Value) -> Reply {
        let headers = [("x-auth-token", KEY), ("content-type", "application/json")];
        self.send(verb, path, &headers, body.to_string()).await
    }

    /// Polls `outgoing/{id}` until the job is done with.
    pub async fn finished(&self, id: &str) -> Value {
        for _ in 0..600 {
            let job = self.get(&format!("/v2/accounts/{A}/faxes/outgoing/{id}")).await.json["data"].clone();
            if job["status"] == "completed" || job["status"] == "failed" {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("job {id} never ended");
    }
}

/// A file of the repository's test material.
pub fn testdata(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(name);
    std::fs::read(path).unwrap()
}
