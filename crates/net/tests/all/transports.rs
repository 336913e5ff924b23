//! Whole faxes over every transport and both families of addresses, and what happens to connections
//! (RFC 3261 §18, RFC 5922, RFC 5626 §3.5.1).
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::bench;
use crate::streams;

use bench::{Story, page, pels, request, story_within, terminal};
use fax_net::{CallEnd, Config, Endpoint, IncomingCall, Listen, Tls, Transport, Trunk};
use fax_t30::Role;
use std::net::SocketAddr;
use std::time::Duration;
use streams::Authority;
use tokio::sync::mpsc::Receiver;

const BOUND: Duration = Duration::from_secs(60);

/// An endpoint with one listener, and no trunk yet.
fn listening(transport: Transport, address: &str) -> Config {
    let address: SocketAddr = address.parse().unwrap();
    let mut config = Config::new(address);
    config.workers = 1;
    config.listen = vec![Listen::new(transport, address)];
    config
}

/// Somebody who takes calls from everywhere.
async fn answering(mut config: Config) -> (Endpoint, Receiver<IncomingCall>) {
    let mut anyone = Trunk::new("anyone", "192.0.2.1");
    anyone.accept_from = vec!["127.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()];
    config.trunks.push(anyone);
    Endpoint::start(config).await.unwrap()
}

/// Somebody who calls `peer`.
async fn calling(mut config: Config, peer: SocketAddr, transport: Transport) -> Endpoint {
    let mut trunk = Trunk::new("peer", &peer.to_string());
    trunk.transport = Some(transport);
    trunk.server_name = "fax.example".to_owned();
    trunk.ring_timeout = Duration::from_secs(15);
    config.trunks.push(trunk);
    Endpoint::start(config).await.unwrap().0
}

/// Sends a page and compares it.
async fn fax(a: &Endpoint, b: &mut Receiver<IncomingCall>) -> (Story, Story) {
    let (bitmap, coded) = page(120);
    let call = a.call(request(terminal(Role::Calling, vec![coded], true)));
    let sending = tokio::spawn(story_within(call, BOUND));
    let incoming = tokio::time::timeout(BOUND, b.recv()).await.unwrap().unwrap();
    let received = story_within(incoming.accept(terminal(Role::Called, Vec::new(), true)), BOUND).await;
    let sent = sending.await.unwrap();
    assert_eq!(sent.report.end, CallEnd::Fax, "{}", sent.report.reason);
    assert_eq!(sent.report.outcome.as_ref().unwrap().failure, None);
    assert!(sent.t38 && received.t38);
    assert!(received.pages.len() == 1 && pels(received.pages.first().unwrap()) == bitmap);
    (sent, received)
}

/// A fax that cannot be.
async fn refused(a: &Endpoint) -> Story {
    let call = a.call(request(terminal(Role::Calling, vec![page(20).1], true)));
    let story = story_within(call, BOUND).await;
    assert_eq!(story.report.end, CallEnd::NotAnswered);
    story
}

async fn fax_over(transport: Transport, address: &str) {
    let (b, mut calls) = answering(listening(transport, address)).await;
    let a = calling(listening(transport, address), b.local_address(), transport).await;
    fax(&a, &mut calls).await;
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fax_goes_over_tcp() {
    fax_over(Transport::Tcp, "127.0.0.1:0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fax_goes_over_udp_and_ipv6() {
    fax_over(Transport::Udp, "[::1]:0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fax_goes_over_tcp_and_ipv6() {
    fax_over(Transport::Tcp, "[::1]:0").await;
}

/// Both ends with certificates of `ca`.
fn secured(ca: &Authority, address: &str) -> Config {
    let mut config = listening(Transport::Tls, address);
    config.listen[0].identity = Some(ca.identity("fax.example"));
    config.tls = Tls { ca: vec![ca.file()], ..Tls::default() };
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fax_goes_over_tls() {
    let ca = Authority::new();
    let (b, mut calls) = answering(secured(&ca, "[::1]:0")).await;
    let a = calling(secured(&ca, "[::1]:0"), b.local_address(), Transport::Tls).await;
    fax(&a, &mut calls).await;
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_others_are_not_believed() {
    let (ca, other) = (Authority::new(), Authority::new());
    let wrong = [
        ("another name", ca.identity("other.example")),
        ("expired", ca.expired("fax.example")),
        ("an unknown authority", other.identity("fax.example")),
    ];
    for (what, identity) in wrong {
        let mut config = secured(&ca, "127.0.0.1:0");
        config.listen[0].identity = Some(identity);
        let (b, mut calls) = answering(config).await;
        let a = calling(secured(&ca, "127.0.0.1:0"), b.local_address(), Transport::Tls).await;
        let story = refused(&a).await;
        assert_eq!(story.report.sip_status, Some(503), "{what}");
        assert!(calls.try_recv().is_err(), "{what}");
        a.stop().await;
        b.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_demanded_where_that_is_said() {
    let (ca, other) = (Authority::new(), Authority::new());
    let mut config = secured(&ca, "127.0.0.1:0");
    config.listen[0].client_ca = vec![ca.file()];
    let (b, mut calls) = answering(config).await;
    let at = b.local_address();
    let with = |identity: Option<fax_net::Identity>| {
        let mut config = secured(&ca, "127.0.0.1:0");
        config.tls.identity = identity;
        config
    };
    for wrong in [None, Some(other.identity("fax.example"))] {
        let a = calling(with(wrong), at, Transport::Tls).await;
        refused(&a).await;
        assert!(calls.try_recv().is_err());
        a.stop().await;
    }
    let a = calling(with(Some(ca.identity("fax.example"))), at, Transport::Tls).await;
    fax(&a, &mut calls).await;
    a.stop().await;
    b.stop().await;
}
