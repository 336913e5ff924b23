//! Addresses learnt from STUN servers: what peers are told, when it changes, and when nobody answers (RFC 8489).
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::bench;

use bench::{free, page, request, side_with, terminal};
use fax_net::Config;
use fax_t30::Role;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const MAGIC: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
const PATIENCE: Duration = Duration::from_secs(60);

/// A STUN server, written down by hand, that sees everybody at an address of its own choice, one port further.
struct Server {
    at: SocketAddr,
    sees: Arc<Mutex<Option<IpAddr>>>,
}

impl Server {
    fn start(bind: &str, sees: Option<&str>) -> Server {
        let socket = UdpSocket::bind(bind).unwrap();
        let at = socket.local_addr().unwrap();
        let sees = Arc::new(Mutex::new(sees.map(|ip| ip.parse().unwrap())));
        let shared = sees.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 600];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let request = &buffer[..length];
                assert_eq!((&request[..2], &request[4..8]), (&[0, 1][..], &MAGIC[..]));
                let Some(ip) = *shared.lock().unwrap() else { continue };
                let mask = request[4..20].to_vec();
                let port = from.port().wrapping_add(1) ^ 0x2112;
                let octets = match ip {
                    IpAddr::V4(ip) => ip.octets().to_vec(),
                    IpAddr::V6(ip) => ip.octets().to_vec(),
                };
                let hidden: Vec<u8> = octets.iter().zip(&mask).map(|(a, b)| a ^ b).collect();
                let family = if octets.len() == 4 { 1 } else { 2 };
                let value = [&[0, family][..], &port.to_be_bytes(), &hidden].concat();
                let length = u8::try_from(value.len()).unwrap();
                let answer = [&[1, 1, 0, length + 4][..], &mask, &[0, 0x20, 0, length], &value].concat();
                // Somebody else's answer comes first.
                let mut forged = answer.clone();
                forged[12] ^= 1;
                let _ = socket.send_to(&forged, from);
                let _ = socket.send_to(&answer, from);
            }
        });
        Server { at, sees }
    }

    fn moves(&self, ip: &str) {
        *self.sees.lock().unwrap() = Some(ip.parse().unwrap());
    }
}

/// A peer that says 200 to every REGISTER and nothing to all else.
struct Peer(UdpSocket);

impl Peer {
    fn new(bind: &str) -> Peer {
        let socket = UdpSocket::bind(bind).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        Peer(socket)
    }

    fn at(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// The next request of this method that `wanted` likes.
    fn hears(&self, method: &str, wanted: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + PATIENCE;
        let mut buffer = [0; 65_536];
        let mut last = String::new();
        while Instant::now() < end {
            let Ok((length, from)) = self.0.recv_from(&mut buffer) else { continue };
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.starts_with("REGISTER ") {
                let line = |name: &str| text.lines().find(|l| l.starts_with(name)).unwrap().to_owned();
                let answer = format!(
                    "SIP/2.0 200 OK\r\n{}\r\n{}\r\n{};tag=r\r\n{}\r\n{}\r\n{}\r\nContent-Length: 0\r\n\r\n",
                    line("Via:"),
                    line("From:"),
                    line("To:"),
                    line("Call-ID:"),
                    line("CSeq:"),
                    line("Contact:"),
                );
                let _ = self.0.send_to(answer.as_bytes(), from);
            }
            if text.starts_with(method) && wanted(&text) {
                return text;
            }
            last = text;
        }
        panic!("no such {method}; the last was {last}");
    }
}

fn line<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().find(|l| l.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {text}"))
}

fn asks(config: &mut Config, stun: SocketAddr) {
    config.stun = vec![stun.to_string()];
    config.trunks[0].register = Some(Duration::from_secs(600));
    config.trunks[0].register_user = "fax".to_owned();
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_are_told_what_the_server_sees_also_when_that_changes() {
    let (server, peer) = (Server::start("127.0.0.1:0", Some("203.0.113.5")), Peer::new("127.0.0.1:0"));
    let own = free();
    let a = side_with(own, peer.at(), |config| asks(config, server.at)).await;
    let outside = own.port().wrapping_add(1);
    // The first that is heard of us is right.
    let register = peer.hears("REGISTER", |_| true);
    assert!(line(&register, "Contact:").contains(&format!("203.0.113.5:{outside}")), "{register}");
    assert!(line(&register, "Via:").contains(&format!("203.0.113.5:{outside}")), "{register}");
    // A media socket that has asked for itself is told with the port that the server saw: the one before it is in use.
    let asked_for_itself = |attempt: u32| {
        let mut wanted = request(terminal(Role::Calling, vec![page(20).1], true));
        wanted.to = format!("+49301000{attempt}");
        let call = a.endpoint.call(wanted);
        let invite =
            peer.hears("INVITE", |text| text.starts_with(&format!("INVITE sip:+49301000{attempt}@")));
        assert!(line(&invite, "Contact:").contains(&format!("203.0.113.5:{outside}")), "{invite}");
        assert_eq!(line(&invite, "c="), "c=IN IP4 203.0.113.5");
        let port: u16 = line(&invite, "m=audio").split(' ').nth(1).unwrap().parse().unwrap();
        let bound = UdpSocket::bind(("127.0.0.1", port - 1)).is_err();
        drop(call);
        bound
    };
    // So is whoever asks or calls us.
    let from = peer.at();
    let options = format!(
        "OPTIONS sip:{own} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKo;rport\r\nFrom: <sip:x@x>;tag=1\r\nTo: \
         <sip:y@y>\r\nCall-ID: o\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 9\r\nContent-Length: 0\r\n\r\n"
    );
    peer.0.send_to(options.as_bytes(), own).unwrap();
    let answer = peer.hears("SIP/2.0 200", |_| true);
    assert!(line(&answer, "Contact:").contains(&format!("203.0.113.5:{outside}")), "{answer}");
    let end = Instant::now() + PATIENCE;
    let mut attempts = 100..;
    while !attempts.next().is_some_and(asked_for_itself) {
        assert!(Instant::now() < end, "no media socket ever knows its address");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    // Another address, noticed at the next question.
    server.moves("203.0.113.77");
    let again = peer.hears("REGISTER", |text| line(text, "Contact:").contains("203.0.113.77"));
    assert!(again.contains(&format!("203.0.113.77:{outside}")));
    a.endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_is_asked_after_a_reload() {
    let servers = ["203.0.113.5", "203.0.113.66"].map(|sees| Server::start("127.0.0.1:0", Some(sees)));
    let peer = Peer::new("127.0.0.1:0");
    let mut now = None;
    let a = side_with(free(), peer.at(), |config| {
        asks(config, servers[0].at);
        now = Some(config.clone());
    });
    let a = a.await;
    peer.hears("REGISTER", |text| line(text, "Contact:").contains("203.0.113.5"));
    let mut config = now.unwrap();
    config.stun = vec![servers[1].at.to_string()];
    assert!(a.endpoint.reload(config.clone()).await.is_empty());
    peer.hears("REGISTER", |text| line(text, "Contact:").contains("203.0.113.66"));
    // And nobody, when nobody is named any more.
    config.stun.clear();
    config.trunks[0].register = Some(Duration::from_secs(500));
    assert!(a.endpoint.reload(config).await.is_empty());
    peer.hears("REGISTER", |text| line(text, "Contact:").contains("127.0.0.1"));
    a.endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ipv6_addresses_are_learnt_too() {
    let (server, peer) = (Server::start("[::1]:0", Some("2001:db8::5")), Peer::new("[::1]:0"));
    let own = UdpSocket::bind("[::1]:0").unwrap().local_addr().unwrap();
    let a = side_with(own, peer.at(), |config| asks(config, server.at)).await;
    let outside = own.port().wrapping_add(1);
    let register = peer.hears("REGISTER", |_| true);
    assert!(line(&register, "Contact:").contains(&format!("[2001:db8::5]:{outside}")), "{register}");
    a.endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_holds_nothing_up_for_long() {
    let (server, peer) = (Server::start("127.0.0.1:0", None), Peer::new("127.0.0.1:0"));
    let own = free();
    let a = side_with(own, peer.at(), |config| asks(config, server.at)).await;
    let _call = a.endpoint.call(request(terminal(Role::Calling, vec![page(20).1], true)));
    let began = Instant::now();
    let invite = peer.hears("INVITE", |_| true);
    assert!(line(&invite, "Contact:").contains(&own.to_string()), "{invite}");
    assert!(began.elapsed() < Duration::from_secs(6), "calls do not wait for it");
    let register = peer.hears("REGISTER", |_| true);
    assert!(line(&register, "Contact:").contains(&own.to_string()), "{register}");
    a.endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_us_gets_no_answer() {
    let peer = Peer::new("127.0.0.1:0");
    let own = free();
    let a = side_with(own, peer.at(), |_| {}).await;
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let request = [&[0, 1, 0, 0][..], &MAGIC, &[7; 12]].concat();
    stranger.send_to(&request, own).unwrap();
    assert!(stranger.recv_from(&mut [0; 100]).is_err());
    // It is there all the same.
    let options = format!(
        "OPTIONS sip:{own} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bKx;rport\r\nFrom: <sip:x@x>;tag=1\r\nTo: \
         <sip:y@y>\r\nCall-ID: o\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 9\r\nContent-Length: 0\r\n\r\n",
        stranger.local_addr().unwrap()
    );
    stranger.send_to(options.as_bytes(), own).unwrap();
    assert!(stranger.recv_from(&mut [0; 2_000]).is_ok());
    a.endpoint.stop().await;
}
