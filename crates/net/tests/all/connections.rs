//! Connections that misbehave: they cost themselves, nobody else (RFC 3261 §18; RFC 5626 §3.5.1).
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::bench;

use bench::{page, request, story_within, terminal};
use fax_net::{CallEvent, Config, Endpoint, IncomingCall, Listen, StreamLimits, Transport, Trunk};
use fax_t30::Role;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::Receiver;

const BOUND: Duration = Duration::from_secs(30);

/// Somebody who listens on TCP and UDP and takes calls from everywhere.
async fn answering(streams: StreamLimits) -> (Endpoint, Receiver<IncomingCall>) {
    let own: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let mut config = Config::new(own);
    config.workers = 1;
    config.streams = streams;
    config.listen = vec![Listen::new(Transport::Tcp, own), Listen::new(Transport::Udp, own)];
    let mut anyone = Trunk::new("anyone", "192.0.2.1");
    anyone.accept_from = vec!["127.0.0.0/8".parse().unwrap()];
    config.trunks.push(anyone);
    Endpoint::start(config).await.unwrap()
}

fn options(number: u32) -> String {
    format!(
        "OPTIONS sip:fax@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;rport;branch=z9hG4bKo{number}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:a@b>;tag=o{number}\r\nTo: <sip:fax@c>\r\nCall-ID: o{number}\r\n\
         CSeq: {number} OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

/// Reads until this is there.
async fn until(stream: &mut TcpStream, words: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    let read = async {
        while !text.contains(words) {
            let length = stream.read(&mut buffer).await.unwrap();
            assert!(length > 0, "closed; {words:?} is not in {text}");
            text.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    };
    tokio::time::timeout(BOUND, read).await.unwrap_or_else(|_| panic!("{words:?} has not come"));
    text
}

/// The round trip of an OPTIONS on a fresh connection.
async fn alive(at: SocketAddr, number: u32) -> Duration {
    let began = Instant::now();
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(options(number).as_bytes()).await.unwrap();
    until(&mut stream, &format!("CSeq: {number} OPTIONS")).await;
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_costs_one_answer_and_keep_alives_are_answered() {
    let (b, _calls) = answering(StreamLimits::default()).await;
    let mut stream = TcpStream::connect(b.local_address()).await.unwrap();
    stream.write_all(b"\r\n\r\n").await.unwrap();
    assert_eq!(until(&mut stream, "\r\n").await, "\r\n");
    // Nonsense; a message without an end that can be told; then a good one: all on one connection.
    let bad = options(1).replace("Content-Length: 0", "Content-Length: many");
    stream.write_all(format!("nothing of SIP\r\n\r\n{bad}{}", options(2)).as_bytes()).await.unwrap();
    let said = until(&mut stream, "CSeq: 2 OPTIONS").await;
    assert!(said.contains("SIP/2.0 400") && said.contains("SIP/2.0 200"), "{said}");
    // One that speaks no SIP at all is closed.
    let mut other = TcpStream::connect(b.local_address()).await.unwrap();
    let flood = async {
        let junk = [b'x'; 64 * 1024];
        for _ in 0..64 {
            if other.write_all(&junk).await.is_err() {
                return true;
            }
        }
        other.read(&mut [0; 16]).await.map_or(true, |n| n == 0)
    };
    assert!(tokio::time::timeout(BOUND, flood).await.unwrap(), "it is still open");
    alive(b.local_address(), 3).await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_connections_that_say_nothing_leave_room_for_those_that_do() {
    let limits = StreamLimits { connections: 200, per_source: 50, ..StreamLimits::default() };
    let (b, _calls) = answering(StreamLimits { patience: Duration::from_secs(2), ..limits }).await;
    let at = b.local_address();
    let mut open = Vec::new();
    let mut refused = 0;
    for number in 0..10_000 {
        let Ok(mut stream) = TcpStream::connect(at).await else { continue };
        if number % 2 == 0 {
            let _ = stream.write_all(b"GET / HTTP/1.1\r\n").await;
        }
        if number < 300 {
            open.push(stream);
        } else {
            refused += 1;
        }
    }
    assert_eq!(refused, 9_700);
    // Those within the limit wait; the others were closed.
    let mut closed = 0;
    for stream in &mut open {
        let read = tokio::time::timeout(Duration::from_millis(5), stream.read(&mut [0; 16])).await;
        closed += usize::from(matches!(read, Ok(Ok(0) | Err(_))));
    }
    assert!(closed >= 250, "{closed} of 300 from one source were closed");
    // Whoever says nothing loses the place in the end.
    let end = Instant::now() + BOUND;
    loop {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(options(1).as_bytes()).await.unwrap();
        let mut buffer = [0; 2048];
        let read = tokio::time::timeout(Duration::from_secs(1), stream.read(&mut buffer)).await;
        if matches!(read, Ok(Ok(length)) if length > 0) {
            break;
        }
        assert!(Instant::now() < end, "no place has come free");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn single_octets_do_not_keep_a_place() {
    let (b, _calls) =
        answering(StreamLimits { patience: Duration::from_secs(2), ..StreamLimits::default() }).await;
    let mut stream = TcpStream::connect(b.local_address()).await.unwrap();
    let end = Instant::now() + BOUND;
    for octet in options(1).bytes().cycle() {
        let said = stream.write_all(&[octet]).await;
        let read = tokio::time::timeout(Duration::from_millis(400), stream.read(&mut [0; 512])).await;
        if said.is_err() || matches!(read, Ok(Ok(0) | Err(_))) {
            break;
        }
        assert!(Instant::now() < end, "it is still open");
    }
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_read_delays_nobody_and_is_closed() {
    let (b, _calls) = answering(StreamLimits::default()).await;
    let at = b.local_address();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut slow = socket.connect(at).await.unwrap();
    let flooding = tokio::spawn(async move {
        let end = Instant::now() + BOUND;
        let mut number = 0;
        // It asks and asks, and never reads an answer.
        while Instant::now() < end {
            number += 1;
            let question = options(number);
            let asked = slow.write_all(question.as_bytes());
            match tokio::time::timeout(Duration::from_secs(5), asked).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return true,
                Err(_) => return false,
            }
        }
        false
    });
    let mut worst = Duration::ZERO;
    for number in 0..50 {
        worst = worst.max(alive(at, 1_000_000 + number).await);
    }
    assert!(worst < Duration::from_secs(2), "an answer took {worst:?} beside a slow peer");
    assert!(flooding.await.unwrap(), "the connection was not closed");
    b.stop().await;
}

/// The headers of a message that its answer takes over.
fn copied(message: &str) -> String {
    let taken = ["Via:", "From:", "Call-ID:", "CSeq:", "Record-Route:"];
    message.lines().filter(|l| taken.iter().any(|n| l.starts_with(n))).map(|l| format!("{l}\r\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_lost_connection_the_call_ends_over_a_new_one() {
    // A peer by hand: it takes the call on one connection, drops that, and waits for BYE on another.
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = peer.local_addr().unwrap();
    let own: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let mut config = Config::new(own);
    config.workers = 1;
    config.listen = vec![Listen::new(Transport::Tcp, own)];
    let mut trunk = Trunk::new("peer", &format!("sip:{at};transport=tcp"));
    trunk.t38 = fax_net::T38Policy::NEVER;
    config.trunks.push(trunk);
    let (a, _calls) = Endpoint::start(config).await.unwrap();
    let mut call = a.call(request(terminal(Role::Calling, vec![page(20).1], true)));
    let (mut stream, _) = peer.accept().await.unwrap();
    let invite = until(&mut stream, "m=audio").await;
    let to = invite.lines().find(|l| l.starts_with("To:")).unwrap();
    let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n";
    let ok = format!(
        "SIP/2.0 200 OK\r\n{}{to};tag=peer\r\nContact: <sip:fax@{at};transport=tcp>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        copied(&invite),
        sdp.len()
    );
    stream.write_all(ok.as_bytes()).await.unwrap();
    until(&mut stream, "ACK").await;
    drop(stream);
    loop {
        if let CallEvent::Answered = call.next().await.unwrap() {
            break;
        }
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    call.give_up();
    let telling = tokio::spawn(story_within(call, BOUND));
    let (mut stream, _) = tokio::time::timeout(BOUND, peer.accept()).await.unwrap().unwrap();
    let bye = until(&mut stream, "CSeq").await;
    assert!(bye.starts_with("BYE "), "{bye}");
    let to = bye.lines().find(|l| l.starts_with("To:")).unwrap();
    let ok = format!("SIP/2.0 200 OK\r\n{}{to}\r\nContent-Length: 0\r\n\r\n", copied(&bye));
    stream.write_all(ok.as_bytes()).await.unwrap();
    telling.await.unwrap();
    a.stop().await;
}

/// As a firewall does that has forgotten a quiet connection: the trunk is not down for that.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_connection_goes_before_any_answer_is_made_by_a_new_one() {
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = peer.local_addr().unwrap();
    let mut config = Config::new("127.0.0.1:0".parse().unwrap());
    config.workers = 1;
    config.trunks.push(Trunk::new("peer", &format!("sip:{at};transport=tcp")));
    let (a, _calls) = Endpoint::start(config).await.unwrap();
    let call = a.call(request(terminal(Role::Calling, vec![page(20).1], true)));
    let (mut stream, _) = tokio::time::timeout(BOUND, peer.accept()).await.unwrap().unwrap();
    let first = until(&mut stream, "m=audio").await;
    drop(stream);
    let (mut stream, _) = tokio::time::timeout(BOUND, peer.accept()).await.unwrap().unwrap();
    let second = until(&mut stream, "m=audio").await;
    assert!(second.starts_with("INVITE "), "{second}");
    assert_eq!(copied(&second), copied(&first), "one transaction");
    let to = second.lines().find(|l| l.starts_with("To:")).unwrap();
    let busy =
        format!("SIP/2.0 486 Busy Here\r\n{}{to};tag=peer\r\nContent-Length: 0\r\n\r\n", copied(&second));
    stream.write_all(busy.as_bytes()).await.unwrap();
    let story = story_within(call, BOUND).await;
    assert_eq!(story.report.sip_status, Some(486));
    a.stop().await;
}

/// A far end that thinks for longer than a connection may take to be made: what is too large for a datagram is not said a
/// second time by UDP.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_stands_is_not_left_for_datagrams() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let datagrams = tokio::net::UdpSocket::bind(at).await.unwrap();
    let mut config = Config::new("127.0.0.1:0".parse().unwrap());
    config.workers = 1;
    let mut trunk = Trunk::new("peer", &at.to_string());
    trunk.transport = Some(Transport::Udp);
    config.trunks.push(trunk);
    let a = Endpoint::start(config).await.unwrap().0;
    let mut large = request(terminal(Role::Calling, vec![page(20).1], true));
    large.headers.push(("X-Large".to_owned(), "x".repeat(1_400)));
    let _call = a.call(large);
    let accepted = tokio::time::timeout(BOUND, listener.accept()).await.unwrap();
    let (mut stream, _) = accepted.unwrap();
    assert!(until(&mut stream, "m=audio").await.starts_with("INVITE"));
    let repeated = async {
        let mut buffer = [0; 4096];
        loop {
            let (length, _) = datagrams.recv_from(&mut buffer).await.unwrap();
            if buffer[..length].starts_with(b"INVITE") {
                return;
            }
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(3), repeated).await.is_err(), "it came by UDP, too");
    drop(stream);
    a.stop().await;
}
