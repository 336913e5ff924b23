//! The next target when one fails, and TCP for large requests (RFC 3263 §4.3; RFC 3261 §18.1.1).

use bytes::Bytes;
use fax_base::time::Duration;
use fax_sip::message::{Message, Method};
use fax_sip::{
    Attempt, CallKey, Command, Config, EndedBy, Event, Input, Invite, RegKey, Register, Target, Transport,
};

use super::bench::{Bench, OURS, PEER, addr, registration};

const SECOND: &str = "198.51.100.8:5062";
const THIRD: &str = "198.51.100.9:5061";

fn targets() -> Vec<Target> {
    let at = |transport, remote: &str| Target { transport, remote: addr(remote), contact: addr(OURS) };
    vec![at(Transport::Udp, SECOND), at(Transport::Tls, THIRD)]
}

fn invite(offer: usize) -> Command {
    another(offer, 1)
}

fn another(offer: usize, call: u64) -> Command {
    Command::Invite(Box::new(Invite {
        call: CallKey(call),
        transport: Transport::Udp,
        destination: addr(PEER),
        contact: addr(OURS),
        request_uri: "sip:+49@trunk.example".into(),
        from: "<sip:+4930@trunk.example>".into(),
        to: "<sip:+49@trunk.example>".into(),
        headers: vec![],
        credentials: Bench::credentials(),
        offer: Bytes::from(vec![b'v'; offer]),
        ring_timeout: Duration::from_secs(60),
        reply_within: Duration::from_secs(8),
    }))
}

/// Begins a call with two more places; the first INVITE.
fn begin(b: &mut Bench) -> Message {
    b.command(invite(10));
    b.command(Command::Alternatives { of: Attempt::Call(CallKey(1)), targets: targets() });
    let (to, first) = b.next_to();
    assert_eq!(to, addr(PEER));
    first
}

fn failed(b: &mut Bench, remote: &str, code: u16) {
    match b.event() {
        Event::TargetFailed { remote: r, code: c, .. } => assert_eq!((r, c), (addr(remote), code)),
        other => panic!("{other:?}"),
    }
}

/// The same request, as another transaction.
fn same_again(b: &mut Bench, first: &Message, at: &str) -> Message {
    let (to, again) = b.next_to();
    assert_eq!(to, addr(at));
    assert_eq!(again.method(), Some(&Method::Invite));
    assert_eq!((again.call_id(), again.from_tag()), (first.call_id(), first.from_tag()));
    assert_eq!(again.cseq().unwrap().number, first.cseq().unwrap().number);
    assert_ne!(again.top_via().unwrap().branch(), first.top_via().unwrap().branch());
    again
}

#[test]
fn a_503_goes_to_the_next_place_and_the_last_one_ends_the_call() {
    let mut b = Bench::new();
    let first = begin(&mut b);
    b.receive(&b.response(&first, 503, "a").header("Retry-After", "20").finish());
    assert_eq!(b.request(&Method::Ack).top_via().unwrap().branch(), first.top_via().unwrap().branch());
    failed(&mut b, PEER, 503);
    let second = same_again(&mut b, &first, SECOND);
    b.receive_from(&b.response(&second, 503, "b").finish(), SECOND);
    b.request(&Method::Ack);
    failed(&mut b, SECOND, 503);
    let third = same_again(&mut b, &first, THIRD);
    assert!(third.text("Contact").unwrap().contains("transport=tls"));
    assert_eq!(third.top_via().unwrap().transport(), "TLS");
    b.receive_from(&b.response(&third, 503, "c").finish(), THIRD);
    b.request(&Method::Ack);
    failed(&mut b, THIRD, 503);
    match b.event() {
        Event::Ended { cause, .. } => assert_eq!((cause.by, cause.code), (EndedBy::Remote, Some(503))),
        other => panic!("{other:?}"),
    }
    b.quiet();
}

#[test]
fn silence_goes_to_the_next_place_and_a_late_answer_is_hung_up() {
    let mut b = Bench::new();
    let first = begin(&mut b);
    b.wait(8_000);
    failed(&mut b, PEER, 408);
    while b.sent.front().is_some_and(|(to, _)| *to == addr(PEER)) {
        b.sent.pop_front();
    }
    let second = same_again(&mut b, &first, SECOND);
    b.receive_from(&b.response(&second, 180, "b").finish(), SECOND);
    assert!(matches!(b.event(), Event::Progress { code: 180, .. }));
    // The first place wakes up.
    let late = b.response(&first, 200, "a").header("Contact", format!("<sip:{PEER}>"));
    b.receive(&late.finish());
    b.request(&Method::Ack);
    let bye = b.request(&Method::Bye);
    assert_eq!(bye.to_tag().as_deref(), Some(&b"a"[..]));
    b.receive(&b.response(&bye, 200, "a").finish());
    // It rings at the second: that is waited for.
    b.wait(30_000);
    b.quiet();
}

#[test]
fn a_place_that_was_left_and_rings_after_all_is_cancelled() {
    let mut b = Bench::new();
    let first = begin(&mut b);
    b.wait(8_000);
    failed(&mut b, PEER, 408);
    b.sent.retain(|(to, _)| *to != addr(PEER));
    same_again(&mut b, &first, SECOND);
    // No CANCEL before a provisional answer, and one only (RFC 3261 §9.1).
    b.receive(&b.response(&first, 180, "a").finish());
    let cancel = b.request(&Method::Cancel);
    assert_eq!(cancel.top_via().unwrap().branch(), first.top_via().unwrap().branch());
    b.receive(&b.response(&first, 180, "a").finish());
    b.receive(&b.response(&cancel, 200, "a").finish());
    b.receive(&b.response(&first, 487, "a").finish());
    assert_eq!(b.request(&Method::Ack).to_tag().as_deref(), Some(&b"a"[..]));
    assert!(b.events.is_empty(), "{:?}", b.events);
}

#[test]
fn a_place_without_others_is_given_up_as_soon_and_hung_up_when_it_wakes() {
    for late in [180, 200] {
        let mut b = Bench::new();
        b.command(invite(10));
        let (_, first) = b.next_to();
        b.wait(7_999);
        assert!(b.events.is_empty());
        b.wait(1);
        failed(&mut b, PEER, 408);
        match b.event() {
            Event::Ended { cause, .. } => assert_eq!((cause.by, cause.code), (EndedBy::Timeout, Some(408))),
            other => panic!("{other:?}"),
        }
        b.sent.clear();
        b.wait(5_000);
        b.quiet();
        let answer = b.response(&first, late, "a").header("Contact", format!("<sip:{PEER}>"));
        b.receive(&answer.finish());
        if late == 180 {
            b.request(&Method::Cancel);
        } else {
            b.request(&Method::Ack);
            let bye = b.request(&Method::Bye);
            b.receive(&b.response(&bye, 200, "a").finish());
        }
        b.wait(60_000);
        assert!(b.events.is_empty() && b.agent.deadline().is_none(), "nothing is left of it");
    }
}

#[test]
fn a_call_given_up_before_any_answer_does_not_wait_for_one_for_ever() {
    let mut b = Bench::new();
    b.command(invite(10));
    b.next_to();
    b.command(Command::Hangup { call: CallKey(1), reason: None });
    b.wait(8_000);
    assert!(b.sent.iter().all(|(_, m)| m.method() == Some(&Method::Invite)));
    match b.event() {
        Event::Ended { cause, .. } => assert_eq!((cause.by, cause.code), (EndedBy::Local, None)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_connection_that_goes_before_it_rings_is_replaced_by_the_next_place() {
    let mut b = Bench::new();
    let first = begin(&mut b);
    b.receive(&b.response(&first, 100, "").finish());
    let gone = Input::Unreachable { transport: Transport::Udp, remote: addr(PEER) };
    b.handle(gone);
    failed(&mut b, PEER, 503);
    same_again(&mut b, &first, SECOND);
}

/// As when what is between has forgotten a quiet connection, and says so only now.
#[test]
fn what_went_by_a_connection_that_was_gone_is_sent_once_more() {
    let gone = || Input::Disconnected { transport: Transport::Udp, remote: addr(PEER) };
    let mut b = Bench::new();
    let first = begin(&mut b);
    b.handle(gone());
    let (to, again) = b.next_to();
    assert_eq!((to, again.to_bytes()), (addr(PEER), first.to_bytes()));
    b.handle(gone());
    failed(&mut b, PEER, 503);
    same_again(&mut b, &first, SECOND);
    // What has an answer is not sent again: nobody would answer a second time.
    let mut b = Bench::new();
    let first = begin(&mut b);
    b.receive(&b.response(&first, 100, "").finish());
    b.handle(gone());
    failed(&mut b, PEER, 503);
    same_again(&mut b, &first, SECOND);
    // Nor is what nobody waits for.
    let mut b = Bench::new();
    begin(&mut b);
    b.command(Command::Hangup { call: CallKey(1), reason: None });
    b.handle(gone());
    assert!(matches!(b.event(), Event::Ended { .. }));
    b.wait(40_000);
    b.quiet();
}

#[test]
fn a_registration_goes_round_the_places_once_and_then_waits() {
    let mut b = Bench::new();
    b.command(Command::Register(Box::new(registration(300))));
    b.command(Command::Alternatives { of: Attempt::Registration(RegKey(1)), targets: targets() });
    for at in [PEER, SECOND, THIRD] {
        let (to, register) = b.next_to();
        assert_eq!((to, register.method()), (addr(at), Some(&Method::Register)));
        b.receive_from(&b.response(&register, 503, "a").finish(), at);
        failed(&mut b, at, 503);
    }
    assert!(matches!(b.event(), Event::RegistrationFailed { code: 503, retry_after: Some(_), .. }));
    b.quiet();
    b.until_sent(60_000);
    // It goes on where it stopped, and a success counts from there.
    let (to, register) = b.next_to();
    assert_eq!(to, addr(THIRD));
    b.receive_from(&b.response(&register, 200, "a").header("Expires", "300").finish(), THIRD);
    assert!(matches!(b.event(), Event::Registered { .. }));
}

#[test]
fn a_large_request_goes_by_tcp_and_back_to_udp_where_that_is_refused() {
    let mut b = Bench::with(Config { large_by_tcp: true, ..Config::default() });
    b.command(invite(1_400));
    let (_, first) = b.next_to();
    assert_eq!(first.top_via().unwrap().transport(), "TCP");
    b.handle(Input::Unreachable { transport: Transport::Tcp, remote: addr(PEER) });
    let (to, second) = b.next_to();
    assert_eq!((to, &second.top_via().unwrap().transport()[..]), (addr(PEER), &b"UDP"[..]));
    assert_eq!(second.top_via().unwrap().branch(), first.top_via().unwrap().branch());
    assert_eq!(second.body.len(), 1_400);
    // By datagram it is repeated.
    b.wait(500);
    assert_eq!(b.request(&Method::Invite).body.len(), 1_400);
}

#[test]
fn a_large_request_goes_by_udp_where_tcp_is_silent_and_the_next_one_at_once() {
    let mut b = Bench::with(Config { large_by_tcp: true, ..Config::default() });
    b.command(invite(1_400));
    let (_, first) = b.next_to();
    assert_eq!(first.top_via().unwrap().transport(), "TCP");
    b.wait(1_999);
    b.quiet();
    b.wait(1);
    let (to, second) = b.next_to();
    assert_eq!((to, &second.top_via().unwrap().transport()[..]), (addr(PEER), &b"UDP"[..]));
    assert_eq!(second.top_via().unwrap().branch(), first.top_via().unwrap().branch());
    // The connection is given up at last: that is no news.
    b.handle(Input::Unreachable { transport: Transport::Tcp, remote: addr(PEER) });
    b.quiet();
    b.receive(&b.response(&second, 486, "a").finish());
    b.request(&Method::Ack);
    assert!(matches!(b.event(), Event::Ended { .. }));
    b.command(invite(1_400));
    assert_eq!(b.request(&Method::Invite).top_via().unwrap().transport(), "UDP");
    // TCP is tried again where datagrams bring nothing, either,
    b.wait(8_000);
    failed(&mut b, PEER, 408);
    assert!(matches!(b.event(), Event::Ended { .. }));
    b.wait(40_000);
    b.sent.clear();
    let by_udp = back_to_udp(&mut b);
    b.receive(&b.response(&by_udp, 486, "a").finish());
    b.request(&Method::Ack);
    assert!(matches!(b.event(), Event::Ended { .. }));
    // and in time.
    b.wait(600_000);
    b.sent.clear();
    b.command(invite(1_400));
    assert_eq!(b.request(&Method::Invite).top_via().unwrap().transport(), "TCP");
}

/// A large call to a place where TCP is silent; the INVITE by datagram.
fn back_to_udp(b: &mut Bench) -> Message {
    b.command(invite(1_400));
    assert_eq!(b.request(&Method::Invite).top_via().unwrap().transport(), "TCP");
    b.wait(2_000);
    let by_udp = b.request(&Method::Invite);
    assert_eq!(by_udp.top_via().unwrap().transport(), "UDP");
    by_udp
}

#[test]
fn what_went_by_udp_does_not_come_by_tcp_later() {
    let mut b = Bench::with(Config { large_by_tcp: true, ..Config::default() });
    back_to_udp(&mut b);
    assert_eq!(b.stopped, [(Transport::Tcp, addr(PEER))]);
    // Where somebody asked for TCP, his request is not lost for that.
    let mut b = Bench::with(Config { large_by_tcp: true, ..Config::default() });
    b.command(Command::Register(Box::new(Register { transport: Transport::Tcp, ..registration(300) })));
    b.request(&Method::Register);
    back_to_udp(&mut b);
    assert_eq!(b.stopped, []);
}

#[test]
fn a_connection_that_stands_is_waited_for() {
    let mut b = Bench::with(Config { large_by_tcp: true, ..Config::default() });
    b.command(invite(1_400));
    b.command(Command::Alternatives { of: Attempt::Call(CallKey(1)), targets: targets() });
    let first = b.request(&Method::Invite);
    b.wait(1_900);
    b.handle(Input::Connected { transport: Transport::Tcp, remote: addr(PEER) });
    b.wait(6_099);
    b.quiet();
    // The next place, as soon after the beginning as without.
    b.wait(1);
    failed(&mut b, PEER, 408);
    let (to, second) = b.next_to();
    assert_eq!((to, second.body.len()), (addr(SECOND), 1_400));
    assert_ne!(second.top_via().unwrap().branch(), first.top_via().unwrap().branch());
    assert_eq!(b.stopped, []);
    // Lost before anything came by it, it was as good as refused.
    let mut b = Bench::with(Config { large_by_tcp: true, ..Config::default() });
    b.command(invite(1_400));
    b.request(&Method::Invite);
    b.handle(Input::Connected { transport: Transport::Tcp, remote: addr(PEER) });
    b.handle(Input::Unreachable { transport: Transport::Tcp, remote: addr(PEER) });
    assert_eq!(b.request(&Method::Invite).top_via().unwrap().transport(), "UDP");
}

#[test]
fn a_place_is_spared_tcp_only_where_large_datagrams_arrive() {
    let mut b = Bench::with(Config { large_by_tcp: true, ..Config::default() });
    back_to_udp(&mut b);
    // Nothing has shown yet that this is better.
    b.command(another(1_400, 2));
    assert_eq!(b.request(&Method::Invite).top_via().unwrap().transport(), "TCP");
    b.wait(2_000);
    b.sent.retain(|(_, m)| m.body.len() == 1_400);
    let by_udp = b.sent.pop_back().unwrap().1;
    b.receive(&b.response(&by_udp, 180, "a").finish());
    b.sent.clear();
    b.command(another(1_400, 3));
    assert_eq!(b.request(&Method::Invite).top_via().unwrap().transport(), "UDP");
    // Whatever comes by a connection to there shows that TCP does it.
    let late = b.response(&by_udp, 180, "a").finish();
    b.receive_by(Transport::Tcp, &late, PEER);
    b.sent.clear();
    b.command(another(1_400, 4));
    assert_eq!(b.request(&Method::Invite).top_via().unwrap().transport(), "TCP");
}

#[test]
fn a_large_request_that_nobody_waits_for_any_more_is_not_sent_again() {
    let mut b = Bench::with(Config { large_by_tcp: true, ..Config::default() });
    b.command(invite(1_400));
    b.request(&Method::Invite);
    b.command(Command::Hangup { call: CallKey(1), reason: None });
    b.handle(Input::Unreachable { transport: Transport::Tcp, remote: addr(PEER) });
    assert!(matches!(b.event(), Event::Ended { .. }));
    b.wait(40_000);
    b.quiet();
}

#[test]
fn the_next_place_may_ask_who_we_are_as_the_first_did() {
    let mut b = Bench::new();
    let first = begin(&mut b);
    let challenge = |nonce: &str| format!("Digest realm=\"trunk\", nonce=\"{nonce}\", qop=\"auth\"");
    b.receive(&b.response(&first, 401, "a").header("WWW-Authenticate", challenge("n1")).finish());
    b.request(&Method::Ack);
    let proven = b.request(&Method::Invite);
    assert!(proven.text("Authorization").unwrap().contains("n1"));
    b.receive(&b.response(&proven, 503, "a").finish());
    b.request(&Method::Ack);
    failed(&mut b, PEER, 503);
    let second = same_again(&mut b, &proven, SECOND);
    let asked = b.response(&second, 401, "b").header("WWW-Authenticate", challenge("n2"));
    b.receive_from(&asked.finish(), SECOND);
    b.request(&Method::Ack);
    let (to, again) = b.next_to();
    assert_eq!((to, again.method()), (addr(SECOND), Some(&Method::Invite)));
    assert!(again.text("Authorization").unwrap().contains("n2"));
    // Once: a second challenge of the same place means a wrong password.
    let asked = b.response(&again, 401, "b").header("WWW-Authenticate", challenge("n3"));
    b.receive_from(&asked.finish(), SECOND);
    b.request(&Method::Ack);
    assert!(matches!(b.event(), Event::Ended { cause, .. } if cause.code == Some(401)));
}
