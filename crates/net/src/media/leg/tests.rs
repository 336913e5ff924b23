//! Whom a call's media listen to, and where they send.

use super::super::{MediaKey, MediaPorts};
use super::*;
use fax_dsp::g711::Law;
use std::net::IpAddr;
use tokio::sync::mpsc::unbounded_channel;

const PEER: &str = "192.0.2.1:4000";
const PEER_ELSEWHERE: &str = "192.0.2.1:4444";
const STRANGER: &str = "203.0.113.7:4000";

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn at(ms: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(ms)
}

/// Media that expect the far end at [`PEER`]; nothing is sent while no turn is given.
fn leg() -> Leg {
    leg_called_from(Vec::new())
}

/// The same with signalling that comes from there.
fn leg_called_from(signalling: Vec<IpAddr>) -> Leg {
    let terminal = fax_terminal::Terminal::new(fax_terminal::Config {
        role: t30::Role::Called,
        ident: String::new(),
        capabilities: t30::Capabilities::default(),
        ..fax_terminal::Config::default()
    });
    let (sender, _) = unbounded_channel();
    Leg::start(Start {
        socket: {
            let ip = "127.0.0.1".parse().unwrap();
            MediaPorts::new(vec![ip], None).bind(ip).unwrap().socket
        },
        terminal,
        remote: address(PEER),
        signalling,
        codec: Codec { law: Law::A, payload_type: 8 },
        keys: None,
        sink: MediaSink::new(MediaKey(1), sender),
        recording: None,
    })
}

/// A packet of PCMA.
fn rtp(leg: &mut Leg, ms: u64, from: &str) {
    let mut packet = vec![0x80, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9];
    packet.extend([0xD5; 160]);
    leg.receive(at(ms), address(from), &packet);
}

/// The indicator no-signal in UDPTL.
fn udptl(leg: &mut Leg, ms: u64, sequence: u8, from: &str) {
    leg.receive(at(ms), address(from), &[0, sequence, 1, 0, 0, 0]);
}

fn to_t38(leg: &mut Leg, ms: u64, remote: &str) {
    let config = fax_t38::Config::default();
    assert!(leg.command(at(ms), MediaCommand::T38 { remote: address(remote), config }));
}

#[test]
fn a_stranger_who_is_first_is_not_listened_to() {
    let mut leg = leg();
    rtp(&mut leg, 1, STRANGER);
    assert_eq!((leg.latch.is_latched(), leg.latch.remote()), (false, address(PEER)));
    rtp(&mut leg, 2, PEER);
    assert_eq!((leg.latch.is_latched(), leg.latch.remote()), (true, address(PEER)));
    rtp(&mut leg, 10_000, STRANGER);
    assert_eq!(leg.latch.remote(), address(PEER));
}

#[test]
fn another_port_of_the_far_end_is_latched_on_at_once() {
    let mut leg = leg();
    rtp(&mut leg, 1, PEER_ELSEWHERE);
    assert_eq!((leg.latch.is_latched(), leg.latch.remote()), (true, address(PEER_ELSEWHERE)));
}

#[test]
fn a_peer_behind_a_translator_is_latched_on_and_kept_through_the_switch() {
    let mut leg = leg();
    rtp(&mut leg, 499, STRANGER);
    assert!(!leg.latch.is_latched());
    rtp(&mut leg, 500, STRANGER);
    assert_eq!((leg.latch.is_latched(), leg.latch.remote()), (true, address(STRANGER)));
    // Its T.38 is known by its host; nobody else is let in before.
    to_t38(&mut leg, 600, PEER);
    assert_eq!(leg.latch.remote(), address(STRANGER), "the binding that works is kept");
    udptl(&mut leg, 601, 0, "198.51.100.66:9");
    udptl(&mut leg, 3_099, 0, "198.51.100.66:9");
    assert!(!leg.latch.is_latched());
    udptl(&mut leg, 3_100, 0, STRANGER);
    assert_eq!((leg.latch.is_latched(), leg.latch.remote()), (true, address(STRANGER)));
    udptl(&mut leg, 9_000, 1, "198.51.100.66:9");
    assert_eq!(leg.latch.remote(), address(STRANGER));
}

#[test]
fn t38_from_a_third_address_is_heard_where_the_known_ones_are_silent() {
    let mut leg = leg();
    rtp(&mut leg, 1, PEER);
    to_t38(&mut leg, 600, PEER);
    udptl(&mut leg, 3_099, 0, STRANGER);
    assert!(!leg.latch.is_latched());
    udptl(&mut leg, 3_100, 1, STRANGER);
    assert_eq!((leg.latch.is_latched(), leg.latch.remote()), (true, address(STRANGER)));
    // What was announced still goes before.
    udptl(&mut leg, 3_200, 2, PEER);
    assert_eq!(leg.latch.remote(), address(PEER));
}

#[test]
fn a_peer_behind_a_translator_is_known_by_its_signalling() {
    let mut leg = leg_called_from(vec![address(STRANGER).ip()]);
    rtp(&mut leg, 1, "198.51.100.66:9");
    assert!(!leg.latch.is_latched());
    rtp(&mut leg, 2, STRANGER);
    assert_eq!((leg.latch.is_latched(), leg.latch.remote()), (true, address(STRANGER)));
    rtp(&mut leg, 600, "198.51.100.66:9");
    assert_eq!(leg.latch.remote(), address(STRANGER));
}

#[test]
fn the_announced_address_goes_before_a_stranger() {
    let mut leg = leg();
    rtp(&mut leg, 600, STRANGER);
    assert_eq!(leg.latch.remote(), address(STRANGER));
    rtp(&mut leg, 700, PEER);
    assert_eq!(leg.latch.remote(), address(PEER));
    rtp(&mut leg, 800, STRANGER);
    assert_eq!(leg.latch.remote(), address(PEER));
}

#[test]
fn a_new_address_is_followed_and_the_same_one_again_changes_nothing() {
    let mut leg = leg();
    rtp(&mut leg, 1, PEER);
    to_t38(&mut leg, 100, PEER);
    udptl(&mut leg, 101, 0, PEER);
    assert!(leg.latch.is_latched());
    // A session refresh in mid-fax.
    to_t38(&mut leg, 200, PEER);
    assert!(leg.latch.is_latched());
    to_t38(&mut leg, 300, "192.0.2.2:5000");
    assert_eq!((leg.latch.is_latched(), leg.latch.remote()), (false, address("192.0.2.2:5000")));
    udptl(&mut leg, 301, 1, STRANGER);
    assert!(!leg.latch.is_latched());
    udptl(&mut leg, 302, 1, "192.0.2.2:5000");
    assert!(leg.latch.is_latched());
}

#[test]
fn noise_latches_nothing() {
    let mut leg = leg();
    for datagram in [&b""[..], b"x", &[0x40; 200], &[0; 3]] {
        leg.receive(at(1), address(PEER_ELSEWHERE), datagram);
    }
    assert!(!leg.latch.is_latched());
    to_t38(&mut leg, 10, PEER);
    for datagram in [&b""[..], b"x", &[0, 9, 200, 1, 2], &[0xFF; 64]] {
        leg.receive(at(11), address(PEER_ELSEWHERE), datagram);
    }
    assert_eq!((leg.latch.is_latched(), leg.latch.remote()), (false, address(PEER)));
}

#[test]
fn nothing_is_sent_to_who_holds_in_the_old_style() {
    let mut leg = leg();
    // The system takes 0.0.0.0 for this host.
    let here = UdpSocket::bind("127.0.0.1:0").unwrap();
    here.set_nonblocking(true).unwrap();
    let port = here.local_addr().unwrap().port();
    let codec = Codec { law: Law::A, payload_type: 8 };
    let turn = |leg: &mut Leg, ms, ip: &str| {
        let remote = SocketAddr::new(ip.parse().unwrap(), port);
        assert!(leg.command(at(ms), MediaCommand::Audio { remote, codec }));
        leg.turn(at(ms));
        here.recv_from(&mut [0; 512]).is_ok()
    };
    assert!(!turn(&mut leg, 100, "0.0.0.0"));
    assert!(turn(&mut leg, 200, "127.0.0.1"));
}
