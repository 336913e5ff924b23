//! Faxes whose audio goes by SRTP with keys in the session description (RFC 4568): over TLS, against all the ways of having
//! it or not, through a ferrofax in the middle, and with baresip as the other implementation.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::bench;
use crate::streams;

use bench::baresip::Baresip;
use bench::{Story, free, page, pels, request, side_with, story_within, terminal};
use fax_net::{
    Algorithm, CallEnd, Config, Endpoint, IncomingCall, Listen, LocalTerminal, Onward, OnwardReport,
    OnwardTarget, Srtp, SrtpPolicy, Tls, Transport, Trunk,
};
use fax_t30::Role;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use streams::Authority;
use tokio::sync::mpsc::Receiver;

const BOUND: Duration = Duration::from_secs(120);

fn only(srtp: Srtp) -> SrtpPolicy {
    SrtpPolicy { srtp, in_clear: false, t38: false }
}

/// One listener for TLS; certificates of `ca`.
fn config(ca: &Authority) -> Config {
    config_at(ca, "127.0.0.1:0")
}

fn config_at(ca: &Authority, address: &str) -> Config {
    let address: SocketAddr = address.parse().unwrap();
    let mut config = Config::new(address);
    config.workers = 1;
    config.listen = vec![Listen::new(Transport::Tls, address)];
    config.listen[0].identity = Some(ca.identity("fax.example"));
    config.tls = Tls { ca: vec![ca.file()], ..Tls::default() };
    config
}

/// Takes calls from everywhere, with this policy.
async fn answering(mut config: Config, policy: SrtpPolicy) -> (Endpoint, Receiver<IncomingCall>) {
    let mut anyone = Trunk::new("anyone", "192.0.2.1");
    anyone.accept_from = vec!["127.0.0.0/8".parse().unwrap()];
    anyone.srtp = policy;
    config.trunks.push(anyone);
    Endpoint::start(config).await.unwrap()
}

fn by_tls(name: &str, peer: SocketAddr, policy: SrtpPolicy) -> Trunk {
    let mut trunk = Trunk::new(name, &peer.to_string());
    trunk.transport = Some(Transport::Tls);
    trunk.server_name = "fax.example".to_owned();
    trunk.srtp = policy;
    trunk
}

/// Calls `peer`, with this policy.
async fn calling(mut config: Config, peer: SocketAddr, policy: SrtpPolicy) -> Endpoint {
    config.trunks.push(by_tls("peer", peer, policy));
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
    assert!(received.pages.len() == 1 && pels(received.pages.first().unwrap()) == bitmap);
    (sent, received)
}

/// A call that nobody takes: how it ends.
async fn refused(a: &Endpoint) -> Story {
    let call = a.call(request(terminal(Role::Calling, vec![page(20).1], true)));
    story_within(call, BOUND).await
}

/// A port for media that nobody else has, and the range of it.
fn media_port() -> (u16, std::ops::RangeInclusive<u16>) {
    let port = std::iter::from_fn(|| Some(free().port())).find(|p| p % 2 == 0).unwrap();
    (port, port..=port)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fax_goes_by_srtp_and_whoever_sends_without_the_key_is_not_heard() {
    let ca = Authority::new();
    let (port_a, range_a) = media_port();
    let (port_b, range_b) = media_port();
    let mut config_b = config(&ca);
    config_b.media_ports = Some(range_b);
    let (b, mut calls) = answering(config_b, only(Srtp::Accepted)).await;
    let mut config_a = config(&ca);
    config_a.media_ports = Some(range_a);
    let a = calling(config_a, b.local_address(), only(Srtp::Required)).await;
    // Plain RTP would be ruined by this: loud audio of a new source, twenty times a second, to both ends.
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let noise = std::thread::spawn(move || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut sent = 0u16;
        while !stopped.load(Ordering::Relaxed) {
            let mut packet = vec![0x80, 8];
            packet.extend(sent.to_be_bytes());
            packet.extend((u32::from(sent) * 160).to_be_bytes());
            packet.extend((u32::from(sent) / 10).to_be_bytes());
            packet.extend((0..170).map(|n: u8| n.wrapping_mul(91)));
            for port in [port_a, port_b] {
                let _ = socket.send_to(&packet, ("127.0.0.1", port));
                let _ = socket.send_to(&[0, 0, 1, 0, 0, 0], ("127.0.0.1", port));
            }
            sent += 1;
            std::thread::sleep(Duration::from_millis(50));
        }
        sent
    });
    let (sent, received) = fax(&a, &mut calls).await;
    stop.store(true, Ordering::Relaxed);
    assert!(noise.join().unwrap() > 100);
    assert!(!sent.t38 && !received.t38, "T.38 goes in clear");
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t38_comes_after_srtp_where_both_allow_it() {
    let ca = Authority::new();
    let policy = |srtp| SrtpPolicy { t38: true, ..only(srtp) };
    let (b, mut calls) = answering(config(&ca), policy(Srtp::Required)).await;
    let a = calling(config(&ca), b.local_address(), policy(Srtp::Required)).await;
    let (sent, received) = fax(&a, &mut calls).await;
    assert!(sent.t38 && received.t38);
    // One that does not allow it: the offer is refused, and the fax goes on in audio.
    let other = calling(config(&ca), b.local_address(), only(Srtp::Required)).await;
    let (sent, received) = fax(&other, &mut calls).await;
    assert!(!sent.t38 && !received.t38);
    assert_eq!(received.refused, Some(488));
    for endpoint in [a, other, b] {
        endpoint.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_offers_srtp_in_vain_calls_again_without_and_who_requires_it_does_not() {
    let ca = Authority::new();
    let (b, mut calls) = answering(config(&ca), only(Srtp::Off)).await;
    let a = calling(config(&ca), b.local_address(), only(Srtp::Offered)).await;
    let (sent, _) = fax(&a, &mut calls).await;
    assert!(sent.t38, "it is plain, so that T.38 may follow");
    let strict = calling(config(&ca), b.local_address(), only(Srtp::Required)).await;
    let story = refused(&strict).await;
    assert_eq!((story.report.end, story.report.sip_status), (CallEnd::NotAnswered, Some(488)));
    assert!(story.report.reason.contains("SRTP is not done here"), "{}", story.report.reason);
    assert!(calls.try_recv().is_err());
    for endpoint in [a, strict, b] {
        endpoint.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_audio_is_refused_with_a_reason_where_srtp_is_required() {
    let ca = Authority::new();
    let (b, mut calls) = answering(config(&ca), only(Srtp::Required)).await;
    let a = calling(config(&ca), b.local_address(), only(Srtp::Off)).await;
    let story = refused(&a).await;
    assert_eq!(story.report.sip_status, Some(488));
    assert!(story.report.reason.contains("has to go by SRTP"), "{}", story.report.reason);
    assert!(calls.try_recv().is_err());
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_do_not_go_over_udp_unless_that_is_allowed() {
    let (at_a, at_b) = (free(), free());
    let in_clear = SrtpPolicy { in_clear: true, ..only(Srtp::Required) };
    let mut b = side_with(at_b, at_a, |c| c.trunks[0].srtp = in_clear).await;
    let a = side_with(at_a, at_b, |c| c.trunks[0].srtp = only(Srtp::Required)).await;
    let story = refused(&a.endpoint).await;
    assert_eq!((story.report.end, story.report.sip_status), (CallEnd::NoRoute, None));
    assert!(story.report.reason.contains("over TLS"), "{}", story.report.reason);
    a.endpoint.stop().await;
    let a = side_with(at_a, at_b, |c| c.trunks[0].srtp = in_clear).await;
    let (sent, _) = fax(&a.endpoint, &mut b.incoming).await;
    assert!(!sent.t38);
    a.endpoint.stop().await;
    // And what comes over UDP with keys is refused where that is not allowed.
    let strict = side_with(at_a, at_b, |c| c.trunks[0].srtp = only(Srtp::Required)).await;
    let story = refused(&b.endpoint).await;
    assert_eq!(story.report.sip_status, Some(488));
    assert!(story.report.reason.contains("only be told over TLS"), "{}", story.report.reason);
    strict.endpoint.stop().await;
    b.endpoint.stop().await;
}

/// Passes the next call on to this trunk.
async fn pass(incoming: &mut Receiver<IncomingCall>, target: OnwardTarget) -> OnwardReport {
    let incoming = tokio::time::timeout(BOUND, incoming.recv()).await.expect("nobody calls").unwrap();
    let onward = Onward { targets: vec![target], from: incoming.from.clone(), from_name: String::new() };
    tokio::time::timeout(BOUND, incoming.connect(onward).ended()).await.expect("no end").unwrap()
}

/// A fax from `a` through the middle to `b`, who has these policies towards it; whether each side had T.38.
async fn through(a: SrtpPolicy, b: SrtpPolicy) -> [bool; 2] {
    let ca = Authority::new();
    // Elsewhere, so that the middle can tell the two trunks apart.
    let (end, mut calls) = answering(config_at(&ca, "127.0.0.2:0"), b).await;
    let mut between = config(&ca);
    between.trunks.push(by_tls("onward", end.local_address(), b));
    let (middle, mut incoming) = answering(between, a).await;
    let start = calling(config(&ca), middle.local_address(), a).await;
    let target =
        OnwardTarget::Trunk { name: "onward".to_owned(), number: "+4930456".to_owned(), caller: None };
    let (_, report) = tokio::join!(fax(&start, &mut calls), pass(&mut incoming, target));
    assert!(report.answered, "{report:?}");
    for endpoint in [start, middle, end] {
        endpoint.stop().await;
    }
    report.t38
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fax_goes_through_the_middle_with_srtp_on_both_sides() {
    assert_eq!(through(only(Srtp::Required), only(Srtp::Required)).await, [false, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fax_goes_through_the_middle_with_srtp_on_one_side_and_t38_on_the_other() {
    assert_eq!(through(only(Srtp::Required), only(Srtp::Off)).await, [false, true]);
    assert_eq!(through(only(Srtp::Off), only(Srtp::Required)).await, [true, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn baresip_talks_to_baresip_through_us_each_with_keys_of_its_own() {
    let at = free();
    let mut config = Config::new(at);
    config.workers = 1;
    config.registrar.algorithms = vec![Algorithm::Md5];
    for user in ["one", "two"] {
        let mut terminal = LocalTerminal::new(user, "sesame-street");
        terminal.srtp = SrtpPolicy { in_clear: true, ..only(Srtp::Required) };
        config.terminals.push(terminal);
    }
    let (endpoint, mut incoming) = Endpoint::start(config).await.unwrap();
    let start = |user, answers, dial| {
        let (module, account) = ("module srtp.so\n", ";mediaenc=srtp-mand");
        Baresip::start_with(user, "sesame-street", at, answers, dial, module, account)
    };
    let called = start("two", true, None);
    called.says("200 OK").await;
    let caller = start("one", false, Some("two"));
    let waiting = tokio::time::timeout(BOUND, incoming.recv()).await.expect("nobody calls").unwrap();
    let targets = vec![OnwardTarget::Terminal { user: "two".to_owned() }];
    let mut passed = waiting.connect(Onward { targets, from: "one".to_owned(), from_name: String::new() });
    loop {
        match tokio::time::timeout(BOUND, passed.next()).await.unwrap().unwrap() {
            fax_net::OnwardEvent::Answered(_) => break,
            fax_net::OnwardEvent::Ended(report) => panic!("{report:?} {} {}", caller.log(), called.log()),
            fax_net::OnwardEvent::Ringing | fax_net::OnwardEvent::Carrier { .. } => {}
        }
    }
    // Its loop begins to send on the called side alone. It says so of the first packet that it could decrypt: with the
    // called one's key to us, and with ours to the caller.
    caller.says("incoming rtp for 'audio' established").await;
    for phone in [&caller, &called] {
        assert!(phone.log().contains("SRTP is Enabled") && !phone.log().contains("failed to decrypt"));
    }
    passed.give_up();
    endpoint.stop().await;
}
