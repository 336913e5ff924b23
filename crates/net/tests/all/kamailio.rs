//! Kamailio as registrar and record-routing proxy in the middle, over each transport (RFC 3261 §10, §16; RFC 3608).
//!
//! One side registers with digest, the other calls it through the proxy, and a whole fax goes by T.38: the re-INVITE,
//! its ACK and BYE follow the route set.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::bench;
use crate::proxy;
use crate::streams;

use bench::{page, pels, request, story_within, terminal};
use fax_net::{CallEnd, CallEvent, Config, Endpoint, IncomingCall, Listen, Tls, Transport, Trunk};
use fax_t30::Role;
use proxy::Kamailio;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use streams::Authority;
use tokio::sync::mpsc::Receiver;

const BOUND: Duration = Duration::from_secs(180);

/// A place that does not answer is left for the next after 8 s; a busy machine takes its time.
const FAILOVER: Duration = Duration::from_secs(25);

/// An endpoint whose trunk `peer` is the proxy, or several of them, the first one the best.
async fn endpoint(
    ca: &Authority,
    transport: Transport,
    proxies: &[&Kamailio],
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
    let at = |proxy: &&Kamailio| if transport == Transport::Tls { proxy.tls } else { proxy.at };
    let mut trunk = Trunk::new("peer", "");
    trunk.peers = proxies.iter().map(|p| at(p).to_string()).collect();
    trunk.transport = Some(transport);
    trunk.ping = register.then(|| Duration::from_secs(1));
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
    let (b, mut calls) = endpoint(&ca, transport, &[&proxy], true).await;
    let (a, _) = endpoint(&ca, transport, &[&proxy], false).await;
    fax(&a, &b, &mut calls, &proxy, || ()).await;
    b.stop().await;
    a.stop().await;
}

/// The address at which the trunk is registered.
async fn registered_at(endpoint: &Endpoint) -> Option<SocketAddr> {
    let trunks = endpoint.trunks().await;
    let registration = trunks.first()?.registrations.first()?;
    registration.since.and(registration.at).map(|place| place.address)
}

/// A whole fax from `a` to `b` through this proxy; something happens when T.38 is agreed.
async fn fax(
    a: &Endpoint,
    b: &Endpoint,
    calls: &mut Receiver<IncomingCall>,
    proxy: &Kamailio,
    happens: impl FnOnce(),
) {
    let (bitmap, coded) = page(120);
    let terminal_a = terminal(Role::Calling, vec![coded], true);
    registered(b, proxy).await;
    let sending = tokio::spawn(story_within(a.call(request(terminal_a)), BOUND));
    let incoming = tokio::time::timeout(BOUND, calls.recv()).await.expect("nobody calls").unwrap();
    let mut called = incoming.accept(terminal(Role::Called, Vec::new(), true));
    let agreed =
        async { while !matches!(called.next().await.expect("the driver is gone"), CallEvent::T38) {} };
    tokio::time::timeout(BOUND, agreed).await.expect("T.38 is not agreed");
    happens();
    let received = story_within(called, BOUND).await;
    let sent = sending.await.unwrap();
    assert_eq!(sent.report.end, CallEnd::Fax, "{}", sent.report.reason);
    assert_eq!(sent.report.outcome.as_ref().unwrap().failure, None);
    assert!(sent.t38 && received.report.t38);
    assert!(received.pages.len() == 1 && pels(received.pages.first().unwrap()) == bitmap);
    assert_eq!(received.report.outcome.as_ref().unwrap().failure, None);
}

/// Where the first of two proxies dies while a registration is under way, the other one gets it, and calls with it.
async fn the_first_dies_in_mid_registration(transport: Transport, stage: &str) {
    let ca = Authority::new();
    // It has read the request and will not answer it any more.
    let mut first = Kamailio::start_with(&ca, &[(stage, "xlog(\"L_ERR\", \"has it\\n\"); exit;")]);
    let second = Kamailio::start(&ca);
    let (b, mut calls) = endpoint(&ca, transport, &[&first, &second], true).await;
    first.says("has it").await;
    first.kill();
    let begun = Instant::now();
    registered(&b, &second).await;
    println!("{transport:?} {stage}: registered with the second after {:?}", begun.elapsed());
    assert!(begun.elapsed() < FAILOVER, "{:?}", begun.elapsed());
    let (a, _) = endpoint(&ca, transport, &[&first, &second], false).await;
    let begun = Instant::now();
    fax(&a, &b, &mut calls, &second, || println!("the call is up after {:?}", begun.elapsed())).await;
    b.stop().await;
    a.stop().await;
}

/// Where the first of two proxies dies in a call, the fax goes on by media of its own and is delivered, both sides end
/// though BYE leads nowhere, and the registration and the next call go by the other one.
async fn the_first_dies_in_mid_call(transport: Transport) {
    let ca = Authority::new();
    let mut first = Kamailio::start(&ca);
    let second = Kamailio::start(&ca);
    let (b, mut calls) = endpoint(&ca, transport, &[&first, &second], true).await;
    let (a, _) = endpoint(&ca, transport, &[&first, &second], false).await;
    registered(&b, &first).await;
    let [one, other] = [&first, &second].map(|p| if transport == Transport::Tls { p.tls } else { p.at });
    assert_eq!(registered_at(&b).await, Some(one));
    let pid = first.pid();
    fax(&a, &b, &mut calls, &second, || Kamailio::kill_group(pid)).await;
    first.kill();
    // Connections tell at once; datagrams show by OPTIONS without answer, after 32 s (RFC 3261 §17.1.2.2).
    let begun = Instant::now();
    while registered_at(&b).await != Some(other) {
        assert!(begun.elapsed() < BOUND, "it does not register with the other one");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("{transport:?}: registered with the other one {:?} after the fax", begun.elapsed());
    let begun = Instant::now();
    fax(&a, &b, &mut calls, &second, || println!("the call is up after {:?}", begun.elapsed())).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_dies_in_mid_registration_over_udp_is_replaced() {
    the_first_dies_in_mid_registration(Transport::Udp, "{asked}").await;
    the_first_dies_in_mid_registration(Transport::Udp, "{proved}").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_dies_in_mid_call_over_udp_takes_no_fax_with_it() {
    the_first_dies_in_mid_call(Transport::Udp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_dies_in_mid_registration_over_tcp_is_replaced() {
    the_first_dies_in_mid_registration(Transport::Tcp, "{asked}").await;
    the_first_dies_in_mid_registration(Transport::Tcp, "{proved}").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_dies_in_mid_call_over_tcp_takes_no_fax_with_it() {
    the_first_dies_in_mid_call(Transport::Tcp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_dies_in_mid_registration_over_tls_is_replaced() {
    the_first_dies_in_mid_registration(Transport::Tls, "{asked}").await;
    the_first_dies_in_mid_registration(Transport::Tls, "{proved}").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_dies_in_mid_call_over_tls_takes_no_fax_with_it() {
    the_first_dies_in_mid_call(Transport::Tls).await;
}
