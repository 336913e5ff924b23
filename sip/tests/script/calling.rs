//! Calls we make: forks, routes, challenges, session intervals, odd answers (RFC 3261 §12, §13.2, §22; RFC 4028).

use fax_base::time::Duration;
use fax_sip::message::Method;
use fax_sip::{CallKey, Command, Config, EndedBy, Event, PingKey, Transport};

use super::bench::{Bench, OURS, PEER, addr, sdp};

#[test]
fn forks_are_acknowledged_and_hung_up() {
    let mut b = Bench::new();
    b.answered(&[]);
    let invite = b.invite.clone().unwrap();
    let fork = b
        .response(&invite, 200, "other")
        .header("Contact", "<sip:two@198.51.100.8:5062>")
        .finish_with_sdp(sdp(3));
    b.receive_from(&fork, "198.51.100.8:5062");
    let (to, ack) = b.next_to();
    assert_eq!(
        (to, ack.method(), ack.to_tag().unwrap()),
        (addr("198.51.100.8:5062"), Some(&Method::Ack), "other".into())
    );
    let (to, bye) = b.next_to();
    assert_eq!(
        (to, bye.method(), bye.to_tag().unwrap()),
        (addr("198.51.100.8:5062"), Some(&Method::Bye), "other".into())
    );
    assert_eq!(bye.uri().unwrap().to_string(), "sip:two@198.51.100.8:5062");
    // The 2xx again: the ACK again, and no second BYE.
    b.receive_from(&fork, "198.51.100.8:5062");
    assert_eq!(b.request(&Method::Ack), ack);
    b.quiet();
    assert_eq!(b.agent.calls(), 1);
}

#[test]
fn a_2xx_after_the_call_has_ended_is_hung_up_too() {
    let mut b = Bench::new();
    let invite = b.call();
    b.receive(&b.response(&invite, 180, "peer").finish());
    assert!(matches!(b.event(), Event::Progress { code: 180, .. }));
    b.command(Command::Hangup { call: CallKey(1), reason: None });
    let cancel = b.request(&Method::Cancel);
    b.receive(&b.response(&cancel, 200, "peer").finish());
    let ok = b
        .response(&invite, 200, "peer")
        .header("Contact", format!("<sip:gw@{PEER}>"))
        .finish_with_sdp(sdp(2));
    b.receive(&ok);
    b.request(&Method::Ack);
    b.request(&Method::Bye);
    assert!(matches!(b.event(), Event::Ended { .. }));
    b.receive(&ok);
    b.request(&Method::Ack);
    b.quiet();
}

#[test]
fn loose_routes_come_back_reversed_and_are_followed() {
    let mut b = Bench::new();
    let ack = b.answered(&["<sip:a.example;lr>, <sip:198.51.100.20:5080;lr>", "<sip:203.0.113.3;lr;x=y,z>"]);
    let routes: Vec<String> =
        ack.all("Route").map(|h| String::from_utf8(h.value().to_vec()).unwrap()).collect();
    assert_eq!(routes, ["<sip:203.0.113.3;lr;x=y,z>", "<sip:198.51.100.20:5080;lr>", "<sip:a.example;lr>"]);
    b.command(Command::Hangup { call: CallKey(1), reason: None });
    let (to, bye) = b.next_to();
    assert_eq!(to, addr("203.0.113.3:5060"));
    assert_eq!(bye.uri().unwrap().to_string(), format!("sip:gw@{PEER}"));
}

#[test]
fn a_strict_router_gets_its_own_address_as_request_uri() {
    let mut b = Bench::new();
    b.answered(&["<sip:b.example;lr>", "<sip:203.0.113.3>"]);
    b.command(Command::Hangup { call: CallKey(1), reason: None });
    let (to, bye) = b.next_to();
    assert_eq!(to, addr("203.0.113.3:5060"));
    assert_eq!(bye.uri().unwrap().to_string(), "sip:203.0.113.3");
    let routes: Vec<String> =
        bye.all("Route").map(|h| String::from_utf8(h.value().to_vec()).unwrap()).collect();
    assert_eq!(routes, ["<sip:b.example;lr>".to_owned(), format!("<sip:gw@{PEER}>")]);
}

#[test]
fn a_peer_behind_nat_is_answered_where_it_is_seen() {
    let mut b = Bench::new();
    let invite = b.call();
    let ok =
        b.response(&invite, 200, "peer").header("Contact", "<sip:gw@10.1.2.3:5060>").finish_with_sdp(sdp(2));
    b.receive(&ok);
    let (to, ack) = b.next_to();
    assert_eq!((to, ack.uri().unwrap().to_string().as_str()), (addr(PEER), "sip:gw@10.1.2.3:5060"));
}

#[test]
fn challenges_are_answered_with_the_next_cseq() {
    let mut b = Bench::new();
    let invite = b.call();
    b.receive(
        &b.response(&invite, 407, "x")
            .header("Proxy-Authenticate", "Digest realm=\"t\", nonce=\"n1\", qop=\"auth\"")
            .finish(),
    );
    b.request(&Method::Ack);
    let second = b.request(&Method::Invite);
    assert_eq!(second.call_id(), invite.call_id());
    assert_eq!(second.from_tag(), invite.from_tag());
    assert_eq!(second.to_tag(), None);
    assert_eq!(second.cseq().unwrap().number, invite.cseq().unwrap().number + 1);
    assert_ne!(second.top_via().unwrap().branch(), invite.top_via().unwrap().branch());
    assert_eq!(second.body, invite.body);
    assert!(second.text("Proxy-Authorization").unwrap().contains("nc=00000001"));
    // Another server behind the proxy asks as well.
    b.receive(
        &b.response(&second, 401, "x")
            .header("WWW-Authenticate", "Digest realm=\"u\", nonce=\"n2\"")
            .finish(),
    );
    b.request(&Method::Ack);
    let third = b.request(&Method::Invite);
    assert!(third.text("Proxy-Authorization").unwrap().contains("nc=00000002"));
    assert!(third.text("Authorization").unwrap().contains("realm=\"u\""));
    let ok =
        b.response(&third, 200, "peer").header("Contact", format!("<sip:gw@{PEER}>")).finish_with_sdp(sdp(2));
    b.receive(&ok);
    let ack = b.request(&Method::Ack);
    assert_eq!(ack.value("Proxy-Authorization"), third.value("Proxy-Authorization"));
    assert_eq!(ack.cseq().unwrap().number, third.cseq().unwrap().number);
    assert!(matches!(b.event(), Event::Answered { .. }));
    b.command(Command::Hangup { call: CallKey(1), reason: None });
    let bye = b.request(&Method::Bye);
    assert!(bye.cseq().unwrap().number > third.cseq().unwrap().number);
    assert!(bye.value("Proxy-Authorization").is_some(), "the nonce is used again unasked");
    b.receive(
        &b.response(&bye, 407, "peer")
            .header("Proxy-Authenticate", "Digest realm=\"t\", nonce=\"n9\", stale=true")
            .finish(),
    );
    let again = b.request(&Method::Bye);
    assert!(again.text("Proxy-Authorization").unwrap().contains("nonce=\"n9\""));
}

#[test]
fn a_wrong_password_ends_the_call() {
    let mut b = Bench::new();
    let mut invite = b.call();
    for round in 0..2 {
        let nonce = format!("Digest realm=\"t\", nonce=\"{round}\"");
        b.receive(&b.response(&invite, 401, "x").header("WWW-Authenticate", nonce).finish());
        b.request(&Method::Ack);
        if round == 0 {
            invite = b.request(&Method::Invite);
        }
    }
    match b.event() {
        Event::Ended { cause, .. } => {
            assert_eq!((cause.by, cause.code), (EndedBy::Remote, Some(401)))
        }
        other => panic!("{other:?}"),
    }
    b.quiet();
}

#[test]
fn an_interval_too_small_is_raised() {
    let mut b = Bench::with(Config { session_expires: Some(Duration::from_secs(600)), ..Config::default() });
    let invite = b.call();
    assert_eq!(invite.text("Session-Expires").unwrap(), "600");
    b.receive(&b.response(&invite, 422, "x").header("Min-SE", "1200").finish());
    b.request(&Method::Ack);
    let again = b.request(&Method::Invite);
    assert_eq!(
        (again.text("Session-Expires").unwrap(), again.text("Min-SE").unwrap()),
        ("1200".into(), "1200".into())
    );
    assert_eq!((again.all("Session-Expires").count(), again.all("Min-SE").count()), (1, 1));
    b.receive(&b.response(&again, 422, "x").header("Min-SE", "1200").finish());
    b.request(&Method::Ack);
    assert!(matches!(b.event(), Event::Ended { cause, .. } if cause.code == Some(422)));
}

#[test]
fn we_renew_by_invite_where_update_is_not_allowed() {
    let mut b = Bench::new();
    let invite = b.call();
    let ok = b
        .response(&invite, 200, "peer")
        .header("Contact", format!("<sip:gw@{PEER}>"))
        .header("Allow", "INVITE, BYE")
        .header("Session-Expires", "1800;refresher=uac")
        .finish_with_sdp(sdp(2));
    b.receive(&ok);
    b.request(&Method::Ack);
    b.event();
    b.wait(899_000);
    b.quiet();
    b.until_sent(1_000);
    let renewal = b.request(&Method::Invite);
    assert_eq!(renewal.body, invite.body);
    assert_eq!(renewal.text("Session-Expires").unwrap(), "1800;refresher=uac");
    let ok = b
        .response(&renewal, 200, "peer")
        .header("Contact", format!("<sip:gw@{PEER}>"))
        .header("Session-Expires", "1800;refresher=uac");
    b.receive(&ok.finish_with_sdp(sdp(2)));
    b.request(&Method::Ack);
    b.quiet();
    b.until_sent(901_000);
    b.request(&Method::Invite);
}

#[test]
fn a_refresher_that_forgets_does_not_end_the_call() {
    let mut b = Bench::new();
    let invite = b.call();
    let ok = b
        .response(&invite, 200, "peer")
        .header("Contact", format!("<sip:gw@{PEER}>"))
        .header("Allow", "UPDATE")
        .header("Session-Expires", "1800;refresher=uas")
        .finish_with_sdp(sdp(2));
    b.receive(&ok);
    b.request(&Method::Ack);
    b.event();
    b.wait(1_760_000);
    b.quiet();
    b.until_sent(10_000);
    let update = b.request(&Method::Update);
    assert!(update.body.is_empty());
    b.receive(&b.response(&update, 405, "peer").finish());
    b.until_sent(11_000);
    b.request(&Method::Invite);
    assert_eq!(b.agent.calls(), 1);
}

#[test]
fn a_call_that_is_passed_on_keeps_counting_its_hops_down() {
    let mut b = Bench::new();
    let Command::Invite(mut invite) = b.invitation() else { panic!() };
    invite.headers.push(("Max-Forwards".into(), "17".into()));
    b.command(Command::Invite(invite));
    let sent = b.request(&Method::Invite);
    assert_eq!((sent.all("Max-Forwards").count(), sent.seconds("Max-Forwards")), (1, Some(17)));
}

#[test]
fn early_sdp_serves_a_200_without() {
    let mut b = Bench::new();
    let invite = b.call();
    b.receive(&b.response(&invite, 183, "peer").finish_with_sdp(sdp(4)));
    b.event();
    b.receive(&b.response(&invite, 200, "peer").header("Contact", format!("<sip:gw@{PEER}>")).finish());
    assert!(matches!(b.event(), Event::Answered { answer: Some(a), .. } if a == sdp(4)));
}

#[test]
fn the_cause_of_a_failure_is_told_whole() {
    let mut b = Bench::new();
    let invite = b.call();
    let busy = b
        .response(&invite, 503, "x")
        .header("Reason", "Q.850;cause=34")
        .header("Warning", "399 h \"no line\"")
        .header("Retry-After", "120");
    b.receive(&busy.finish());
    b.request(&Method::Ack);
    assert!(matches!(b.event(), Event::TargetFailed { code: 503, .. }));
    let Event::Ended { cause, .. } = b.event() else { panic!() };
    assert_eq!((cause.code, cause.q850, cause.warning.as_deref()), (Some(503), Some(34), Some("no line")));
    assert_eq!(cause.retry_after, Some(Duration::from_secs(120)));
}

#[test]
fn answers_that_belong_to_nobody_are_dropped() {
    let mut b = Bench::new();
    let invite = b.call();
    let two_vias =
        b.response(&invite, 200, "x").header("Via", "SIP/2.0/UDP elsewhere;branch=z9hG4bKx").finish();
    b.receive(&two_vias);
    let mut other = b.response(&invite, 200, "x").without("CSeq").header("CSeq", "4711 INVITE").finish();
    b.receive(&other);
    other = b
        .response(&invite, 200, "x")
        .without("Via")
        .header("Via", format!("SIP/2.0/UDP {OURS};branch=z9hG4bKelse"))
        .finish();
    b.receive(&other);
    b.quiet();
}

#[test]
fn a_failed_offer_481_ends_the_call_and_488_does_not() {
    let mut b = Bench::new();
    b.answered(&[]);
    b.command(Command::Reinvite { call: CallKey(1), offer: sdp(7) });
    let offer = b.request(&Method::Invite);
    b.receive(&b.response(&offer, 488, "peer").header("Warning", "305 h \"x\"").finish());
    b.request(&Method::Ack);
    assert!(matches!(b.event(), Event::ReinviteRefused { code: 488, .. }));
    b.command(Command::Reinvite { call: CallKey(1), offer: sdp(7) });
    let offer = b.request(&Method::Invite);
    b.receive(&b.response(&offer, 481, "peer").finish());
    b.request(&Method::Ack);
    b.request(&Method::Bye);
    assert!(matches!(b.event(), Event::Ended { cause, .. } if cause.code == Some(481)));
}

#[test]
fn a_late_answer_to_an_offer_given_up_still_counts() {
    let mut b = Bench::new();
    b.answered(&[]);
    b.command(Command::Reinvite { call: CallKey(1), offer: sdp(7) });
    let offer = b.request(&Method::Invite);
    b.receive(&b.response(&offer, 100, "peer").finish());
    b.wait(33_000);
    assert!(matches!(b.event(), Event::ReinviteRefused { code: 408, .. }));
    b.request(&Method::Cancel);
    b.sent.clear();
    b.receive(
        &b.response(&offer, 200, "peer")
            .header("Contact", format!("<sip:gw@{PEER}>"))
            .finish_with_sdp(sdp(8)),
    );
    b.request(&Method::Ack);
    assert!(matches!(b.event(), Event::ReinviteAnswered { .. }));
}

#[test]
fn the_targets_move_with_re_invites_both_ways() {
    let mut b = Bench::new();
    b.answered(&[]);
    b.command(Command::Reinvite { call: CallKey(1), offer: sdp(7) });
    let offer = b.request(&Method::Invite);
    b.receive(
        &b.response(&offer, 200, "peer").header("Contact", "<sip:new@198.51.100.9>").finish_with_sdp(sdp(8)),
    );
    let (to, ack) = b.next_to();
    assert_eq!(
        (to, ack.uri().unwrap().to_string().as_str()),
        (addr("198.51.100.9:5060"), "sip:new@198.51.100.9")
    );
    b.event();
    let theirs = b
        .inside(Method::Invite, "")
        .without("Contact")
        .header("Contact", "<sip:newer@198.51.100.10>")
        .finish_with_sdp(sdp(11));
    b.receive(&theirs);
    b.code(100);
    assert!(matches!(b.event(), Event::ReinviteOffered { .. }));
    b.command(Command::AcceptReinvite { call: CallKey(1), answer: sdp(12) });
    let ok = b.code(200);
    b.ack(&ok, None);
    b.command(Command::Hangup { call: CallKey(1), reason: None });
    let (to, bye) = b.next_to();
    assert_eq!(
        (to, bye.uri().unwrap().to_string().as_str()),
        (addr("198.51.100.10:5060"), "sip:newer@198.51.100.10")
    );
}

#[test]
fn pings_tell_life_and_silence() {
    let mut b = Bench::new();
    for n in 0..2 {
        let (transport, request_uri) = (Transport::Udp, format!("sip:{PEER}"));
        b.command(Command::Ping {
            ping: PingKey(n),
            transport,
            destination: addr(PEER),
            contact: addr(OURS),
            request_uri,
        });
        let options = b.request(&Method::Options);
        if n == 0 {
            b.wait(40);
            b.receive(&b.response(&options, 404, "x").finish());
            let round_trip = Duration::from_millis(40);
            assert_eq!(b.event(), Event::PeerAlive { ping: PingKey(0), code: 404, round_trip });
        }
    }
    b.wait(40_000);
    assert_eq!(b.event(), Event::PeerSilent { ping: PingKey(1) });
    assert_eq!(b.sent.len(), 10);
}

#[test]
fn nothing_is_repeated_over_a_stream() {
    let mut b = Bench::new();
    let (transport, request_uri) = (Transport::Tcp, format!("sip:{PEER};transport=tcp"));
    b.command(Command::Ping {
        ping: PingKey(1),
        transport,
        destination: addr(PEER),
        contact: addr(OURS),
        request_uri,
    });
    let options = b.request(&Method::Options);
    assert!(options.text("Via").unwrap().starts_with("SIP/2.0/TCP "));
    assert!(options.text("Contact").unwrap().contains(";transport=tcp"));
    b.wait(31_900);
    b.quiet();
    b.wait(200);
    assert_eq!(b.event(), Event::PeerSilent { ping: PingKey(1) });
    assert_eq!(b.agent.transactions(), 0);
}

#[test]
fn requests_before_the_answer_do_not_break_the_call() {
    let mut b = Bench::new();
    let invite = b.call();
    b.receive(&b.response(&invite, 183, "peer").finish());
    b.event();
    b.invite = Some(invite.clone());
    for (method, offers, code) in [
        (Method::Update, false, 200),
        (Method::Update, true, 491),
        (Method::Invite, true, 491),
        (Method::Info, false, 200),
        (Method::Options, false, 200),
        (Method::Bye, false, 481),
    ] {
        let request = b.inside(method, "");
        let request = if offers { request.finish_with_sdp(sdp(3)) } else { request.finish() };
        b.receive(&request);
        b.code(code);
    }
    b.quiet();
    b.receive(
        &b.response(&invite, 200, "peer")
            .header("Contact", format!("<sip:gw@{PEER}>"))
            .finish_with_sdp(sdp(2)),
    );
    b.request(&Method::Ack);
    assert!(matches!(b.event(), Event::Answered { .. }));
}
