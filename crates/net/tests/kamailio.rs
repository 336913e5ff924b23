//! Kamailio as registrar and record-routing proxy in the middle, over each transport (RFC 3261 §10, §16; RFC 3608).
//!
//! One side registers with digest, the other calls it through the proxy, and a whole fax goes by T.38: the re-INVITE,
//! its ACK and BYE follow the route set.
#![allow(clippy::unwrap_used, clippy::panic)]

mod bench;
mod streams;

use bench::{page, pels, request, story_within, terminal};
use fax_net::{CallEnd, Config, Endpoint, Listen, Tls, Transport, Trunk};
use fax_t30::Role;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use streams::Authority;

const BOUND: Duration = Duration::from_secs(90);

/// A running proxy in a folder of its own.
struct Kamailio {
    child: Child,
    at: SocketAddr,
    tls: SocketAddr,
    folder: tempfile::TempDir,
}

impl Kamailio {
    fn start(ca: &Authority) -> Kamailio {
        let folder = tempfile::tempdir().unwrap();
        let (at, tls) = (bench::free(), bench::free());
        let ours = ca.identity("proxy.example");
        let fill = |name: &str| {
            let from = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/kamailio").join(name);
            let to = folder.path().join(name);
            let text = std::fs::read_to_string(from).unwrap();
            let text = text
                .replace("{port}", &at.port().to_string())
                .replace("{enable_tls}", "enable_tls=yes")
                .replace("{listen_tls}", &format!("listen=tls:{tls}"))
                .replace(
                    "{load_tls}",
                    &format!(
                        "loadmodule \"tls.so\"\nmodparam(\"tls\", \"config\", \"{}\")",
                        folder.path().join("tls.cfg").display()
                    ),
                )
                .replace("{certificate}", &ours.certificate.display().to_string())
                .replace("{key}", &ours.key.display().to_string())
                .replace("{ca}", &ca.file().display().to_string());
            std::fs::write(&to, text).unwrap();
            to
        };
        fill("tls.cfg");
        let configuration = fill("kamailio.cfg");
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new("kamailio")
            .args(["-DD", "-E", "-m", "32", "-M", "4", "-f"])
            .arg(&configuration)
            .arg("-Y")
            .arg(folder.path())
            .arg("-w")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("no kamailio ({error}): install it (./tools/test does)"));
        let proxy = Kamailio { child, at, tls, folder };
        let end = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(proxy.tls).is_err() {
            assert!(Instant::now() < end, "kamailio does not listen: {}", proxy.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        proxy
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("{}", self.log());
        }
    }
}

/// An endpoint whose trunk `peer` is the proxy.
async fn endpoint(
    ca: &Authority,
    transport: Transport,
    proxy: SocketAddr,
    register: bool,
) -> (Endpoint, tokio::sync::mpsc::Receiver<fax_net::IncomingCall>) {
    let own: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let mut config = Config::new(own);
    config.workers = 1;
    let mut listen = Listen::new(transport, own);
    if transport == Transport::Tls {
        listen.identity = Some(ca.identity("fax.example"));
        config.tls = Tls { ca: vec![ca.file()], ..Tls::default() };
    }
    config.listen = vec![listen];
    let mut trunk = Trunk::new("peer", &proxy.to_string());
    trunk.transport = Some(transport);
    trunk.server_name = "proxy.example".to_owned();
    trunk.credentials = Some(("+4930456".to_owned(), "sesame".to_owned()));
    trunk.register = register.then(|| Duration::from_secs(300));
    config.trunks.push(trunk);
    Endpoint::start(config).await.unwrap()
}

async fn fax_through(transport: Transport) {
    let ca = Authority::new();
    let proxy = Kamailio::start(&ca);
    let at = if transport == Transport::Tls { proxy.tls } else { proxy.at };
    let (b, mut calls) = endpoint(&ca, transport, at, true).await;
    let (a, _) = endpoint(&ca, transport, at, false).await;
    let (bitmap, coded) = page(120);
    // The registration is there when the proxy knows the number: until then it says 404.
    let end = Instant::now() + BOUND;
    let (sent, received) = loop {
        let terminal_a = terminal(Role::Calling, vec![coded.clone()], true);
        let sending = tokio::spawn(story_within(a.call(request(terminal_a)), BOUND));
        tokio::select! {
            incoming = calls.recv() => {
                let called = terminal(Role::Called, Vec::new(), true);
                let received = story_within(incoming.unwrap().accept(called), BOUND).await;
                break (sending.await.unwrap(), received);
            }
            () = tokio::time::sleep(Duration::from_secs(2)) => sending.abort(),
        }
        assert!(Instant::now() < end, "not registered: {}", proxy.log());
    };
    assert_eq!(sent.report.end, CallEnd::Fax, "{}", sent.report.reason);
    assert_eq!(sent.report.outcome.as_ref().unwrap().failure, None);
    assert!(sent.t38 && received.t38);
    assert!(received.pages.len() == 1 && pels(received.pages.first().unwrap()) == bitmap);
    assert_eq!(received.report.outcome.as_ref().unwrap().failure, None);
    b.stop().await;
    a.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fax_goes_through_the_proxy_over_udp() {
    fax_through(Transport::Udp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fax_goes_through_the_proxy_over_tcp() {
    fax_through(Transport::Tcp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fax_goes_through_the_proxy_over_tls() {
    fax_through(Transport::Tls).await;
}
