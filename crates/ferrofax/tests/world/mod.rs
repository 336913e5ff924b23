//! Real `ferrofax serve` processes for tests: on free ports of the loopback, in folders of their own, ended with the
//! test whatever happens in it.

#![allow(dead_code, clippy::unwrap_used, clippy::panic)] // every test file uses a part of this, and tests may unwrap

pub mod engaged;
pub mod http;
pub mod papers;
pub mod post;

use serde_json::Value;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The program under test.
pub const FERROFAX: &str = env!("CARGO_BIN_EXE_ferrofax");

/// A server must be up by then, also on a machine that is busy with other things.
const UP: Duration = Duration::from_secs(90);

/// What one server's configuration says.
#[derive(Clone, Debug)]
pub struct Setup {
    pub name: &'static str,
    pub number: String,
    pub sip: SocketAddr,
    /// Where REST listens.
    pub api: SocketAddr,
    pub peer: SocketAddr,
    /// Who else calls as the other side.
    pub accept_from: &'static str,
    /// Where its mails go.
    pub post: Option<SocketAddr>,
    /// More lines of sections: `("api", "allow_private_urls = true")`; of `top`, before the first one; of `""`, whole
    /// sections.
    pub more: Vec<(&'static str, String)>,
    /// A folder of the server's that is somewhere else.
    pub link: Option<(&'static str, PathBuf)>,
}

/// The port of nobody.
pub fn nobody() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9))
}

impl Setup {
    pub fn new(name: &'static str, number: &str) -> Setup {
        Setup {
            name,
            number: number.to_owned(),
            sip: SocketAddr::from(([127, 0, 0, 1], 0)),
            api: SocketAddr::from(([127, 0, 0, 1], 0)),
            peer: nobody(),
            accept_from: "127.0.0.0/8",
            post: None,
            more: Vec::new(),
            link: None,
        }
    }

    pub fn peer(self, peer: SocketAddr) -> Setup {
        Setup { peer, ..self }
    }

    pub fn post(self, post: SocketAddr) -> Setup {
        Setup { post: Some(post), ..self }
    }

    pub fn with(mut self, section: &'static str, lines: &str) -> Setup {
        self.more.push((section, lines.to_owned()));
        self
    }

    /// The server's folder `name` is this one, which others may use, too.
    pub fn linking(self, name: &'static str, folder: &std::path::Path) -> Setup {
        Setup { link: Some((name, folder.to_owned())), ..self }
    }

    /// The account's key.
    pub fn key(&self) -> String {
        format!("test-key-of-the-{}", self.name)
    }

    fn more(&self, section: &str) -> String {
        let of = self.more.iter().filter(|(s, _)| *s == section);
        of.map(|(_, lines)| format!("{lines}\n")).collect()
    }

    /// The file as anyone would write it.
    pub fn toml(&self) -> String {
        let Setup { name, number, sip, api, peer, accept_from, .. } = self;
        let mail = self.post.map_or_else(String::new, |post| {
            format!(
                "[mail]\nhost = \"{}\"\nport = {}\ntls = \"none\"\nfrom = \"Fax <fax@{name}.test>\"\n",
                post.ip(),
                post.port()
            )
        });
        format!(
            r#"data_dir = "data"
{more_top}
[log]
format = "json"

[sip]
listen = "{sip}"
{more_sip}
[[trunk]]
name = "other-side"
peer = "{peer}"
accept_from = ["{accept_from}"]
{more_trunk}
[[account]]
name = "{name}"
api_key = "{key}"

[[faxbox]]
name = "{name}"
account = "{name}"
numbers = ["{number}"]
caller_id = "{number}"
ident = "{number}"
mail_domain = "{name}.test"
allow_senders = ["sender@{name}.test"]
notify_inbound = ["inbox@{name}.test"]
{more_faxbox}
[api]
listen = "{api}"
{more_api}
[smtp]
listen = "127.0.0.1:0"
hostname = "{name}.test"

[queue]
{more_queue}
{mail}{more}"#,
            key = self.key(),
            more_top = self.more("top"),
            more_sip = self.more("sip"),
            more_trunk = self.more("trunk"),
            more_faxbox = self.more("faxbox"),
            more_api = self.more("api"),
            more_queue = self.more("queue"),
            more = self.more(""),
        )
    }
}

/// A server that runs. Dropping it kills it.
pub struct Daemon {
    pub setup: Setup,
    pub folder: PathBuf,
    pub sip: SocketAddr,
    pub api: SocketAddr,
    pub smtp: SocketAddr,
    /// The account's id.
    pub account: String,
    child: Child,
    starts: u32,
    _temporary: tempfile::TempDir,
}

impl Daemon {
    /// Starts a server and waits until it answers.
    pub fn start(setup: Setup) -> Daemon {
        let temporary = tempfile::Builder::new().prefix("ferrofax-test-").tempdir().unwrap();
        let folder = temporary.path().to_owned();
        if let Some((name, target)) = &setup.link {
            let link = folder.join(name);
            std::fs::create_dir_all(link.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(target, link).unwrap();
        }
        let mut daemon = Daemon {
            child: spawn(&folder, &setup, 0),
            setup,
            folder,
            sip: nobody(),
            api: nobody(),
            smtp: nobody(),
            account: String::new(),
            starts: 0,
            _temporary: temporary,
        };
        daemon.wait_until_up();
        daemon
    }

    /// Starts it again after its end, with the same data and the same SIP port.
    pub fn restart(&mut self) {
        self.setup.sip = self.sip;
        self.starts += 1;
        self.child = spawn(&self.folder, &self.setup, self.starts);
        self.wait_until_up();
    }

    fn wait_until_up(&mut self) {
        let deadline = Instant::now() + UP;
        let up = loop {
            let log = self.log();
            let lines = log.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok());
            let up = lines.map(|l| l["fields"].clone()).find(|f| f["message"] == "ferrofax is up");
            if let Some(up) = up {
                break up;
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{} ended with {status} instead of starting:\n{log}", self.setup.name);
            }
            assert!(Instant::now() < deadline, "{} does not start:\n{log}", self.setup.name);
            std::thread::sleep(Duration::from_millis(50));
        };
        let address = |key: &str| -> SocketAddr {
            let text = up[key].as_str().unwrap();
            text.trim_start_matches("Some(").trim_end_matches(')').parse().unwrap()
        };
        self.sip = address("sip");
        self.api = address("api");
        self.smtp = address("smtp");
        while http::ask(self.api, "GET", "/healthz", &[], b"").is_none_or(|a| a.status != 200) {
            assert!(Instant::now() < deadline, "{} is not healthy", self.setup.name);
            std::thread::sleep(Duration::from_millis(50));
        }
        self.account = account_of(self.api, &self.setup.key());
    }

    /// What this process wrote to standard error.
    pub fn log(&self) -> String {
        let path = self.folder.join(format!("serve-{}.log", self.starts));
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// `kill -TERM`.
    pub fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    /// Ends it as a service manager does, and waits for that.
    pub fn stop(&mut self) {
        self.terminate();
        assert!(self.wait(Duration::from_secs(60)).success(), "{} did not end well", self.setup.name);
    }

    /// Waits until the process has ended.
    pub fn wait(&mut self, patience: Duration) -> ExitStatus {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "{} does not end", self.setup.name);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The address of the REST interface.
    pub fn url(&self) -> String {
        format!("http://{}", self.api)
    }

    /// A path below the account's faxes.
    pub fn faxes(&self, rest: &str) -> String {
        format!("/v2/accounts/{}/faxes{rest}", self.account)
    }

    /// `data` of the answer to a GET below the account's faxes.
    pub fn get(&self, rest: &str) -> Value {
        let answer = self.fetch(rest, "application/json");
        assert_eq!(answer.status, 200, "GET {rest}: {}", answer.text());
        answer.json()["data"].clone()
    }

    /// A GET below the account's faxes.
    pub fn fetch(&self, rest: &str, accept: &str) -> http::Answer {
        self.door().fetch(rest, accept)
    }

    /// Queues a document; the job's id.
    pub fn submit(&self, to: &str, media_type: &str, document: &[u8]) -> String {
        self.submit_from("", to, media_type, document)
    }

    /// The same from a faxbox, by its id.
    pub fn submit_from(&self, faxbox: &str, to: &str, media_type: &str, document: &[u8]) -> String {
        let answer = self.door().submit(faxbox, to, media_type, document).expect("an answer");
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()["data"]["id"].as_str().unwrap().to_owned()
    }

    /// Where this process takes faxes.
    pub fn door(&self) -> Door {
        let Setup { number, .. } = &self.setup;
        Door { api: self.api, path: self.faxes(""), key: self.setup.key(), number: number.clone() }
    }

    /// Where it takes faxes of another account that the configuration has.
    pub fn door_of(&self, key: &str, number: &str) -> Door {
        let path = format!("/v2/accounts/{}/faxes", account_of(self.api, key));
        Door { api: self.api, path, key: key.to_owned(), number: number.to_owned() }
    }

    /// Waits until the job is done with, well or badly.
    pub fn job_ended(&self, id: &str, patience: Duration) -> Value {
        self.job_when(id, patience, ended)
    }

    /// Waits until the job is as `wanted`.
    pub fn job_when(&self, id: &str, patience: Duration, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        let deadline = Instant::now() + patience;
        loop {
            let job = self.get(&format!("/outgoing/{id}"));
            if wanted(&job) {
                return job;
            }
            assert!(Instant::now() < deadline, "the job does not get there: {job:#}");
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// Waits until so many faxes are in the inbox; the oldest first.
    pub fn inbox(&self, count: usize, patience: Duration) -> Vec<Value> {
        let deadline = Instant::now() + patience;
        loop {
            let list = self.get("/inbox?paginate=false");
            let mut list = list.as_array().unwrap().clone();
            if list.len() >= count {
                list.sort_by_key(|fax| fax["created"].as_i64());
                return list;
            }
            assert!(Instant::now() < deadline, "{} of {count} faxes came in", list.len());
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// A fax's pages as TIFF.
    pub fn tiff(&self, folder: &str, id: &str) -> Vec<u8> {
        let answer = self.fetch(&format!("/{folder}/{id}/attachment"), "image/tiff");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.body
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let tail = log.lines().rev().take(40).collect::<Vec<_>>();
            eprintln!("--- {} said at last:", self.setup.name);
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}

/// Where one server process takes faxes, for whoever hands them in while it is killed.
#[derive(Clone, Debug)]
pub struct Door {
    api: SocketAddr,
    path: String,
    key: String,
    number: String,
}

impl Door {
    /// A GET below the account's faxes.
    pub fn fetch(&self, rest: &str, accept: &str) -> http::Answer {
        let fields = [("X-Auth-Token", self.key.as_str()), ("Accept", accept)];
        http::ask(self.api, "GET", &format!("{}{rest}", self.path), &fields, b"").expect("an answer")
    }

    /// Hands a document in; `None` without a whole answer.
    pub fn submit(&self, faxbox: &str, to: &str, media_type: &str, document: &[u8]) -> Option<http::Answer> {
        let mut fax =
            serde_json::json!({ "data": { "to_number": to, "from_number": self.number, "retries": 3 } });
        if !faxbox.is_empty() {
            fax["data"]["faxbox_id"] = faxbox.into();
        }
        let mut body = format!(
            "--cut\r\nContent-Type: application/json\r\n\r\n{fax}\r\n--cut\r\nContent-Type: {media_type}\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(document);
        body.extend_from_slice(b"\r\n--cut--\r\n");
        let fields = [("X-Auth-Token", self.key.as_str()), ("Content-Type", "multipart/mixed; boundary=cut")];
        http::ask(self.api, "PUT", &self.path, &fields, &body)
    }

    /// Hands a TIFF in; the id of a whole answer 201.
    pub fn try_submit(&self, to: &str, document: &[u8]) -> Option<String> {
        let answer = self.submit("", to, "image/tiff", document)?;
        let json: Value = serde_json::from_slice(&answer.body).ok()?;
        assert_eq!(answer.status, 201, "{json}");
        Some(json["data"]["id"].as_str()?.to_owned())
    }
}

/// The id of the account whose key this is.
fn account_of(api: SocketAddr, key: &str) -> String {
    let body = serde_json::json!({ "data": { "api_key": key } }).to_string();
    let json = [("Content-Type", "application/json")];
    let login = http::ask(api, "PUT", "/v2/api_auth", &json, body.as_bytes()).unwrap();
    assert_eq!(login.status, 201, "{}", login.text());
    login.json()["data"]["account_id"].as_str().unwrap().to_owned()
}

/// Waits until something is so.
pub fn until(what: &str, patience: Duration, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !so() {
        assert!(Instant::now() < deadline, "it never came to be that {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Whether nothing more happens to a job as REST shows it.
pub fn ended(job: &Value) -> bool {
    matches!(job["status"].as_str(), Some("completed" | "failed"))
}

fn spawn(folder: &std::path::Path, setup: &Setup, start: u32) -> Child {
    let file = folder.join("ferrofax.toml");
    std::fs::write(&file, setup.toml()).unwrap();
    let log = std::fs::File::create(folder.join(format!("serve-{start}.log"))).unwrap();
    Command::new(FERROFAX)
        .arg("serve")
        .arg("--config")
        .arg(file)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}
