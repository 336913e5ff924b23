//! Names and their places, and what happens when one fails (RFC 3263).
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::bench;
use crate::streams;

use bench::{Story, page, request, story_within, terminal};
use fax_net::{Config, Endpoint, Hop, IncomingCall, Listen, Locator, Place, Transport, Trunk};
use fax_t30::Role;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use streams::dns::Zone;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc::Receiver;

const BOUND: Duration = Duration::from_secs(60);

fn place(transport: Transport, address: &str) -> Place {
    Place { transport, address: address.parse().unwrap() }
}

async fn locate(
    zone: &Zone,
    host: &str,
    port: Option<u16>,
    transport: Option<Transport>,
    secure: bool,
) -> Vec<Place> {
    let locator = Locator::new(&[zone.serve().await]).unwrap();
    let hop = Hop { host: host.to_owned(), port, transport, secure };
    let found = locator.locate(&hop).await;
    println!("{:#?}", found.steps);
    found.places
}

#[tokio::test]
async fn pointers_services_and_addresses_are_followed_in_order() {
    let zone = Zone::new()
        .naptr("example.net", 50, 50, "SIPS+D2T", "_sips._tcp.example.net")
        .naptr("example.net", 90, 50, "SIP+D2T", "_sip._tcp.example.net")
        .naptr("example.net", 100, 50, "SIP+D2U", "_sip._udp.example.net")
        .naptr("example.net", 10, 10, "E2U+sip", "elsewhere.example.net")
        .srv("_sips._tcp.example.net", 0, 1, 5061, "a.example.net")
        .srv("_sip._tcp.example.net", 1, 1, 5070, "b.example.net")
        .srv("_sip._tcp.example.net", 0, 1, 5060, "a.example.net")
        .srv("_sip._udp.example.net", 0, 1, 5060, "b.example.net")
        .address("a.example.net", 60, "192.0.2.1")
        .address("a.example.net", 60, "2001:db8::1")
        .address("b.example.net", 60, "192.0.2.2")
        .address("example.net", 60, "192.0.2.99");
    let all = locate(&zone, "example.net", None, None, false).await;
    assert_eq!(
        all,
        [
            place(Transport::Tls, "[2001:db8::1]:5061"),
            place(Transport::Tls, "192.0.2.1:5061"),
            place(Transport::Tcp, "[2001:db8::1]:5060"),
            place(Transport::Tcp, "192.0.2.1:5060"),
            place(Transport::Tcp, "192.0.2.2:5070"),
            place(Transport::Udp, "192.0.2.2:5060"),
        ]
    );
    // A transport or a port that is said cuts that short.
    assert_eq!(
        locate(&zone, "example.net", None, Some(Transport::Udp), false).await,
        [place(Transport::Udp, "192.0.2.2:5060")]
    );
    assert_eq!(
        locate(&zone, "example.net", Some(5080), None, false).await,
        [place(Transport::Udp, "192.0.2.99:5080")]
    );
    let secure = locate(&zone, "example.net", None, None, true).await;
    assert!(secure.len() == 2 && secure.iter().all(|p| p.transport == Transport::Tls));
    assert_eq!(locate(&zone, "192.0.2.5", None, None, true).await, [place(Transport::Tls, "192.0.2.5:5061")]);
    assert_eq!(
        locate(&zone, "2001:db8::5", None, None, false).await,
        [place(Transport::Udp, "[2001:db8::5]:5060")]
    );
}

#[tokio::test]
async fn without_pointers_services_serve_and_without_services_addresses() {
    let zone = Zone::new()
        .srv("_sip._tcp.tcp.example.net", 0, 0, 5099, "h.example.net")
        .srv("_sip._udp.off.example.net", 0, 0, 0, ".")
        .address("off.example.net", 60, "192.0.2.7")
        .address("h.example.net", 60, "192.0.2.3");
    assert_eq!(
        locate(&zone, "tcp.example.net", None, None, false).await,
        [place(Transport::Tcp, "192.0.2.3:5099")]
    );
    assert_eq!(
        locate(&zone, "h.example.net", None, None, false).await,
        [place(Transport::Udp, "192.0.2.3:5060")]
    );
    assert_eq!(
        locate(&zone, "h.example.net", None, Some(Transport::Tls), false).await,
        [place(Transport::Tls, "192.0.2.3:5061")]
    );
    assert_eq!(locate(&zone, "off.example.net", None, None, false).await, []);
    assert_eq!(locate(&zone, "nobody.example.net", None, None, false).await, []);
}

#[tokio::test]
async fn an_answer_holds_for_its_time_to_live() {
    let zone = Zone::new().address("h.example.net", 7, "192.0.2.3");
    let locator = Locator::new(&[zone.serve().await]).unwrap();
    let hop = Hop { host: "h.example.net".to_owned(), port: Some(5060), transport: None, secure: false };
    let first = locator.locate(&hop).await;
    assert!(first.valid <= Duration::from_secs(7) && !first.troubled);
    // The zone is empty now, but what it said still holds.
    zone.clear();
    assert_eq!(locator.locate(&hop).await.places, first.places);
}

/// Somebody who takes calls from everywhere.
async fn answering(transport: Transport) -> (Endpoint, Receiver<IncomingCall>) {
    let address: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let mut config = Config::new(address);
    config.workers = 1;
    config.listen = vec![Listen::new(transport, address)];
    let mut anyone = Trunk::new("anyone", "192.0.2.1");
    anyone.accept_from = vec!["127.0.0.0/8".parse().unwrap()];
    config.trunks.push(anyone);
    Endpoint::start(config).await.unwrap()
}

/// Calls `trunk.example`, whose services are `first` and then `second`, and is answered with 486 there.
async fn fails_over(transport: Transport, first: u16, within: Duration) -> Story {
    let (b, mut calls) = answering(transport).await;
    let label = if transport == Transport::Udp { "_sip._udp" } else { "_sip._tcp" };
    let zone = Zone::new()
        .srv(&format!("{label}.trunk.example"), 1, 1, first, "one.trunk.example")
        .srv(&format!("{label}.trunk.example"), 2, 1, b.local_address().port(), "two.trunk.example")
        .address("one.trunk.example", 60, "127.0.0.1")
        .address("two.trunk.example", 60, "127.0.0.1");
    let mut config = Config::new("127.0.0.1:0".parse().unwrap());
    config.workers = 1;
    config.dns = vec![zone.serve().await];
    config.listen = vec![Listen::new(transport, config.sip)];
    let mut trunk = Trunk::new("peer", "trunk.example");
    trunk.transport = Some(transport);
    config.trunks.push(trunk);
    let (a, _calls) = Endpoint::start(config).await.unwrap();
    let call = || a.call(request(terminal(Role::Calling, vec![page(20).1], true)));
    // Calls need the name looked up: that is not what is measured.
    let end = Instant::now() + BOUND;
    let (began, incoming) = loop {
        let began = Instant::now();
        let mut telling = tokio::spawn(story_within(call(), BOUND));
        tokio::select! {
            incoming = calls.recv() => {
                incoming.unwrap().reject(486, "Busy Here");
                break (began, telling.await.unwrap());
            }
            story = &mut telling => {
                let story = story.unwrap();
                assert_eq!(story.report.end, fax_net::CallEnd::NoRoute, "{}", story.report.reason);
                assert!(Instant::now() < end);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    assert!(began.elapsed() < within, "{:?}", began.elapsed());
    assert_eq!(incoming.report.sip_status, Some(486));
    // The first place is remembered as dead: the next call goes to the second at once.
    let began = Instant::now();
    let telling = tokio::spawn(story_within(call(), BOUND));
    calls.recv().await.unwrap().reject(486, "Busy Here");
    assert_eq!(telling.await.unwrap().report.sip_status, Some(486));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    a.stop().await;
    b.stop().await;
    incoming
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_first_server_is_left_for_the_second() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    fails_over(Transport::Udp, silent.local_addr().unwrap().port(), Duration::from_secs(12)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_server_that_refuses_connections_is_left_at_once() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    fails_over(Transport::Tcp, gone.port(), Duration::from_secs(4)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_server_that_dies_with_the_invite_in_its_hands_is_left_at_once() {
    let dying = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = dying.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = dying.accept().await {
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
        }
    });
    fails_over(Transport::Tcp, port, Duration::from_secs(4)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_server_with_503_is_left_at_once() {
    let busy = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = busy.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = busy.recv_from(&mut buffer).await {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if !text.starts_with("INVITE") {
                continue;
            }
            let copied: String = text
                .lines()
                .filter(|l| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|n| l.starts_with(n)))
                .map(|l| if l.starts_with("To:") { format!("{l};tag=busy\r\n") } else { format!("{l}\r\n") })
                .collect();
            let answer = format!("SIP/2.0 503 Service Unavailable\r\n{copied}Content-Length: 0\r\n\r\n");
            let _ = busy.send_to(answer.as_bytes(), from).await;
        }
    });
    fails_over(Transport::Udp, port, Duration::from_secs(4)).await;
}
