//! Kamailio as registrar and record-routing proxy in the middle, over each transport (RFC 3261 §10, §16; RFC 3608).
//!
//! One side registers with digest, the other calls it through the proxy, and a whole fax goes by T.38: the re-INVITE,
//! its ACK and BYE follow the route set.
#![allow(clippy::unwrap_used, clippy::panic)]

mod bench;
mod proxy;
mod streams;

use bench::{page, pels, request, story_within, terminal};
use fax_net::{CallEnd, Config, Endpoint, Listen, Tls, Transport, Trunk};
use fax_t30::Role;
use proxy::Kamailio;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use streams::Authority;

const BOUND: Duration = Duration::from_secs(180);

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

/// Waits until the trunk is registered.
async fn registered(endpoint: &Endpoint, proxy: &Kamailio) {
    let end = Instant::now() + BOUND;
    while endpoint.trunks().await.iter().any(|t| t.registrations.iter().any(|r| r.since.is_none())) {
        assert!(Instant::now() < end, "not registered: {}", proxy.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn fax_through(transport: Transport) {
    let ca = Authority::new();
    let proxy = Kamailio::start(&ca);
    let at = if transport == Transport::Tls { proxy.tls } else { proxy.at };
    let (b, mut calls) = endpoint(&ca, transport, at, true).await;
    let (a, _) = endpoint(&ca, transport, at, false).await;
    let (bitmap, coded) = page(120);
    let terminal_a = terminal(Role::Calling, vec![coded], true);
    registered(&b, &proxy).await;
    let sending = tokio::spawn(story_within(a.call(request(terminal_a)), BOUND));
    let incoming = tokio::time::timeout(BOUND, calls.recv()).await.expect("nobody calls").unwrap();
    let called = terminal(Role::Called, Vec::new(), true);
    let received = story_within(incoming.accept(called), BOUND).await;
    let sent = sending.await.unwrap();
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
