//! Connections that a peer made and that serve for what we ask of it (RFC 5923): only those of who it is believed to be.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::bench;
use crate::streams;

use bench::{page, request, story_within, terminal};
use fax_net::{Call, CallEnd, Config, Endpoint, Listen, Tls, Transport, Trunk};
use fax_t30::Role;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};
use streams::Authority;

const BOUND: Duration = Duration::from_secs(60);

fn listening(transport: Transport) -> Config {
    let address: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let mut config = Config::new(address);
    config.workers = 1;
    config.listen = vec![Listen::new(transport, address)];
    config
}

fn trunk(peer: SocketAddr, transport: Transport) -> Trunk {
    let mut trunk = Trunk::new("peer", &peer.to_string());
    trunk.transport = Some(transport);
    trunk.ring_timeout = Duration::from_secs(15);
    trunk
}

fn call(endpoint: &Endpoint) -> Call {
    endpoint.call(request(terminal(Role::Calling, vec![page(20).1], true)))
}

/// Asks for a sign of life by this connection; the answer has come when this comes back.
fn options(stream: &mut TcpStream, sent_by: SocketAddr, alias: &str) {
    let request = format!(
        "OPTIONS sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP {sent_by};branch=z9hG4bK{}{alias}\r\nFrom: \
         <sip:a@a>;tag=1\r\nTo: <sip:b@b>\r\nCall-ID: {sent_by}{alias}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: \
         9\r\nContent-Length: 0\r\n\r\n",
        alias.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    assert!(hears(stream, "SIP/2.0 200"));
}

/// Whether these words come by this connection.
fn hears(stream: &mut TcpStream, words: &str) -> bool {
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (mut all, mut buffer) = (String::new(), [0; 4_096]);
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        all.push_str(&String::from_utf8_lossy(&buffer[..length]));
        if all.contains(words) {
            return true;
        }
    }
    false
}

/// Whether somebody connects within this time.
fn knocks(listener: &TcpListener, within: Duration) -> bool {
    listener.set_nonblocking(true).unwrap();
    let end = Instant::now() + within;
    while Instant::now() < end {
        if listener.accept().is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_is_called_by_the_tcp_connection_that_it_made() {
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = door.local_addr().unwrap();
    let mut config = listening(Transport::Tcp);
    config.trunks.push(trunk(place, Transport::Tcp));
    let (endpoint, _incoming) = Endpoint::start(config).await.unwrap();
    let mut stream = TcpStream::connect(endpoint.local_address()).unwrap();
    options(&mut stream, place, ";alias");
    let first = call(&endpoint);
    assert!(hears(&mut stream, "INVITE sip:"), "it comes by the connection that is there");
    assert!(!knocks(&door, Duration::from_millis(300)));
    drop(first);
    // When that is gone, a new one is made.
    drop(stream);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let _second = call(&endpoint);
    assert!(knocks(&door, Duration::from_secs(20)));
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_do_not_say_so_or_claim_another_place_are_not_used() {
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = door.local_addr().unwrap();
    let elsewhere = TcpListener::bind("127.0.0.2:0").unwrap().local_addr().unwrap();
    for (sent_by, alias) in [(place, ""), (elsewhere, ";alias")] {
        let mut config = listening(Transport::Tcp);
        config.trunks.push(trunk(if alias.is_empty() { place } else { elsewhere }, Transport::Tcp));
        let (endpoint, _incoming) = Endpoint::start(config).await.unwrap();
        let mut stream = TcpStream::connect(endpoint.local_address()).unwrap();
        options(&mut stream, sent_by, alias);
        let attempt = call(&endpoint);
        if alias.is_empty() {
            assert!(knocks(&door, Duration::from_secs(20)));
        } else {
            // Its address is not the one that it speaks for, where nobody listens.
            let story = story_within(attempt, BOUND).await;
            assert_eq!(story.report.sip_status, Some(503));
        }
        stream.set_nonblocking(true).unwrap();
        let mut rest = String::new();
        let _ = stream.read_to_string(&mut rest);
        assert!(!rest.contains("INVITE"), "{rest}");
        endpoint.stop().await;
    }
}

/// `b` calls `a`, at whose door nobody gets in: it works only by the connection that `a` has made with this certificate.
async fn by_tls(name: &str) -> CallEnd {
    let (ca, nobody) = (Authority::new(), Authority::new());
    let secured = |config: &mut Config| {
        config.tls = Tls { ca: vec![ca.file()], ..Tls::default() };
        config.listen[0].identity = Some(ca.identity("fax.example"));
    };
    let mut config = listening(Transport::Tls);
    secured(&mut config);
    config.listen[0].client_ca = vec![ca.file()];
    // Found only when `a` is there.
    let at_b = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let at_a = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    config.listen[0].address = at_b;
    let mut to_a = trunk(at_a, Transport::Tls);
    to_a.server_name = "fax.example".to_owned();
    config.trunks.push(to_a);
    let (b, _none) = Endpoint::start(config).await.unwrap();

    let mut config = listening(Transport::Tls);
    secured(&mut config);
    config.listen[0].address = at_a;
    config.listen[0].identity = Some(nobody.identity("fax.example"));
    config.tls.identity = Some(ca.identity(name));
    let mut to_b = trunk(at_b, Transport::Tls);
    to_b.server_name = "fax.example".to_owned();
    to_b.ping = Some(Duration::from_secs(1));
    config.trunks.push(to_b);
    let (a, mut incoming) = Endpoint::start(config).await.unwrap();
    let alive = async {
        while a.trunks().await.iter().all(|t| t.places.iter().all(|p| p.round_trip.is_none())) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(BOUND, alive).await.expect("no sign of life");
    tokio::spawn(async move {
        while let Some(incoming) = incoming.recv().await {
            tokio::spawn(story_within(incoming.accept(terminal(Role::Called, Vec::new(), true)), BOUND));
        }
    });
    let story = story_within(call(&b), BOUND).await;
    a.stop().await;
    b.stop().await;
    story.report.end
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_connections_are_used_by_the_name_in_the_certificate() {
    assert_eq!(by_tls("fax.example").await, CallEnd::Fax);
    assert_eq!(by_tls("other.example").await, CallEnd::NotAnswered);
}
