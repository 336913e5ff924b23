//! Before the answer: forks that ring, reliable provisional answers in both roles, UPDATE (RFC 3261 §12.1, §13.2; RFC 3262; RFC 3311).

use fax_sip::message::{Builder, Message, Method};
use fax_sip::{CallKey, Command, EndedBy, Event};

use super::bench::{Bench, PEER, addr, sdp};

fn reliable(b: &Bench, invite: &Message, code: u16, tag: &str, rseq: u32) -> Builder {
    b.response(invite, code, tag)
        .header("Contact", format!("<sip:{tag}@{PEER}>"))
        .header("Require", "100rel")
        .header("RSeq", rseq.to_string())
}

fn progress(b: &mut Bench) -> u16 {
    match b.event() {
        Event::Progress { code, .. } => code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn reliable_answers_are_acknowledged_once_and_in_order() {
    let mut b = Bench::new();
    let invite = b.call();
    assert!(invite.has_token("Supported", "100rel") && !invite.has_token("Require", "100rel"));
    b.receive(&reliable(&b, &invite, 183, "one", 7).finish());
    assert_eq!(progress(&mut b), 183);
    let prack = b.request(&Method::Prack);
    let number = invite.cseq().unwrap().number;
    assert_eq!(prack.text("RAck").unwrap(), format!("7 {number} INVITE"));
    assert_eq!(prack.cseq().unwrap().number, number + 1);
    assert_eq!(prack.uri().unwrap().to_string(), format!("sip:one@{PEER}"));
    assert_eq!((prack.to_tag().unwrap(), prack.from_tag()), ("one".into(), invite.from_tag()));
    // The same again is acknowledged by the PRACK that is repeated; a later one must wait its turn.
    b.receive(&reliable(&b, &invite, 183, "one", 7).finish());
    b.receive(&reliable(&b, &invite, 180, "one", 9).finish());
    b.receive(&reliable(&b, &invite, 180, "one", 6).finish());
    b.quiet();
    b.until_sent(600);
    assert_eq!(b.request(&Method::Prack), prack);
    b.receive(&b.response(&prack, 200, "one").finish());
    b.receive(&reliable(&b, &invite, 180, "one", 8).finish_with_sdp(sdp(4)));
    assert_eq!(progress(&mut b), 180);
    let second = b.request(&Method::Prack);
    assert_eq!(second.text("RAck").unwrap(), format!("8 {number} INVITE"));
    assert_eq!(second.cseq().unwrap().number, number + 2);
    b.receive(&b.response(&second, 200, "one").finish());
    // An offer is too late for us: ours is answered, the call is not.
    b.invite = Some(invite.clone());
    let update = b.inside(Method::Update, "").without("To").without("From");
    let update = update
        .header("From", "<sip:+4930123@trunk.example>;tag=one")
        .header("To", invite.text("From").unwrap())
        .finish_with_sdp(sdp(6));
    b.receive(&update);
    b.code(488);
    b.receive(&b.response(&invite, 200, "one").finish());
    let ack = b.request(&Method::Ack);
    assert_eq!(ack.uri().unwrap().to_string(), format!("sip:one@{PEER}"), "the early target holds");
    assert_eq!(ack.cseq().unwrap().number, number);
    assert!(matches!(b.event(), Event::Answered { answer: Some(a), .. } if a == sdp(4)));
    b.command(Command::Hangup { call: CallKey(1), reason: None });
    assert_eq!(
        b.request(&Method::Bye).cseq().unwrap().number,
        number + 3,
        "the numbers of the PRACKs are used"
    );
}

#[test]
fn every_fork_has_its_own_dialog() {
    let mut b = Bench::new();
    let invite = b.call();
    let number = invite.cseq().unwrap().number;
    for (tag, rseq, port) in [("one", 100, 3), ("two", 5, 4)] {
        let route = format!("<sip:198.51.100.{port};lr>");
        b.receive(
            &reliable(&b, &invite, 183, tag, rseq).header("Record-Route", &route).finish_with_sdp(sdp(port)),
        );
        progress(&mut b);
        let (to, prack) = b.next_to();
        assert_eq!(to, addr(&format!("198.51.100.{port}:5060")));
        assert_eq!(prack.text("Route").unwrap(), route);
        assert_eq!(prack.text("RAck").unwrap(), format!("{rseq} {number} INVITE"));
        assert_eq!((prack.to_tag().unwrap(), prack.cseq().unwrap().number), (tag.into(), number + 1));
        b.receive(&b.response(&prack, 200, tag).finish());
    }
    // The first answers without SDP: its own early SDP counts, not the other's.
    b.receive(&b.response(&invite, 200, "one").header("Contact", format!("<sip:one@{PEER}>")).finish());
    b.request(&Method::Ack);
    assert!(matches!(b.event(), Event::Answered { answer: Some(a), .. } if a == sdp(3)));
    // The second too: ACK and BYE within its own dialog.
    b.receive(
        &b.response(&invite, 200, "two")
            .header("Contact", format!("<sip:two@{PEER}>"))
            .header("Record-Route", "<sip:198.51.100.4;lr>")
            .finish(),
    );
    let (to, ack) = b.next_to();
    assert_eq!((to, ack.to_tag().unwrap()), (addr("198.51.100.4:5060"), "two".into()));
    let bye = b.request(&Method::Bye);
    assert_eq!(bye.to_tag().unwrap(), "two");
    assert_eq!(bye.uri().unwrap().to_string(), format!("sip:two@{PEER}"));
    assert_eq!(b.agent.calls(), 1);
}

#[test]
fn a_fork_that_challenges_prack_gets_its_proof() {
    let mut b = Bench::new();
    let invite = b.call();
    b.receive(&reliable(&b, &invite, 183, "one", 1).finish());
    progress(&mut b);
    let prack = b.request(&Method::Prack);
    b.receive(
        &b.response(&prack, 407, "one")
            .header("Proxy-Authenticate", "Digest realm=\"t\", nonce=\"n\"")
            .finish(),
    );
    let again = b.request(&Method::Prack);
    assert!(again.value("Proxy-Authorization").is_some());
    assert_eq!(again.value("RAck"), prack.value("RAck"));
    assert_eq!(again.cseq().unwrap().number, prack.cseq().unwrap().number + 1);
}

/// An incoming call and the INVITE it came with.
fn called(b: &mut Bench, require: &str, offer: bool) -> (CallKey, Message) {
    let invite = b.outside(Method::Invite).header(require, "100rel");
    let invite = if offer { invite.finish_with_sdp(sdp(1)) } else { invite.finish() };
    b.receive(&invite);
    b.code(100);
    b.invite = Some(invite.clone());
    match b.event() {
        Event::Incoming(incoming) => (incoming.call, invite),
        other => panic!("{other:?}"),
    }
}

fn prack(b: &mut Bench, ringing: &Message, rseq: Option<&str>) -> Builder {
    let tag = String::from_utf8(ringing.to_tag().unwrap().to_vec()).unwrap();
    let own = format!("{} 100 INVITE", ringing.text("RSeq").unwrap_or_default());
    let rack = rseq.map_or(own, str::to_owned);
    b.inside(Method::Prack, &tag).header("RAck", rack)
}

#[test]
fn a_caller_that_requires_it_gets_reliable_answers() {
    let mut b = Bench::new();
    let (call, invite) = called(&mut b, "Require", true);
    b.cseq = 100;
    b.command(Command::Ring { call, code: 180, sdp: None });
    let ringing = b.code(180);
    assert!(ringing.has_token("Require", "100rel"));
    // Repeated with growing pauses, and when the INVITE is.
    let start = b.now;
    let mut at = Vec::new();
    for _ in 0..3 {
        b.until_sent(10_000);
        assert_eq!(b.code(180), ringing);
        at.push(b.now.since(start).as_millis());
    }
    assert_eq!(at, [500, 1_500, 3_500]);
    b.receive(&invite);
    assert_eq!(b.code(180), ringing);
    // A second one waits for the PRACK of the first.
    b.command(Command::Ring { call, code: 183, sdp: Some(sdp(4)) });
    b.quiet();
    let wrong = prack(&mut b, &ringing, Some("1 100 INVITE")).finish();
    b.receive(&wrong);
    b.code(481);
    let right = prack(&mut b, &ringing, None).finish();
    b.receive(&right);
    b.code(200);
    let session = b.code(183);
    assert_eq!(session.sdp().unwrap(), sdp(4));
    let rseq = |m: &Message| m.text("RSeq").unwrap().parse::<u32>().unwrap();
    assert_eq!(rseq(&session), rseq(&ringing) + 1);
    // The 200 waits, as the SDP is not acknowledged; then it has none.
    b.command(Command::Answer { call, sdp: sdp(4) });
    b.quiet();
    let update = b.inside(Method::Update, std::str::from_utf8(&ringing.to_tag().unwrap()).unwrap());
    b.receive(&update.finish_with_sdp(sdp(9)));
    b.code(500);
    let second = prack(&mut b, &session, None).finish();
    b.receive(&second);
    b.code(200);
    let ok = b.code(200);
    assert_eq!((ok.cseq().unwrap().method, ok.body.len()), (Method::Invite, 0));
    b.ack(&ok, None);
    assert_eq!(b.event(), Event::Confirmed { call, answer: None });
    b.command(Command::Hangup { call, reason: None });
    b.request(&Method::Bye);
}

#[test]
fn without_prack_the_call_is_refused_in_the_end() {
    let mut b = Bench::new();
    let (call, _) = called(&mut b, "Require", true);
    b.command(Command::Ring { call, code: 180, sdp: None });
    b.wait(32_100);
    let last = b.sent.pop_back().unwrap();
    assert_eq!(last.1.code(), Some(504));
    assert_eq!(b.sent.iter().filter(|(_, m)| m.code() == Some(180)).count(), 7);
    assert!(matches!(b.event(), Event::Ended { cause, .. } if cause.by == EndedBy::Timeout));
}

#[test]
fn a_200_does_not_wait_for_the_prack_of_a_mere_180() {
    let mut b = Bench::new();
    let (call, _) = called(&mut b, "Require", true);
    b.command(Command::Ring { call, code: 180, sdp: None });
    let ringing = b.code(180);
    b.command(Command::Answer { call, sdp: sdp(5) });
    let ok = b.code(200);
    assert_eq!(ok.sdp().unwrap(), sdp(5));
    let late = prack(&mut b, &ringing, None).finish();
    b.receive(&late);
    assert_eq!(b.code(200).cseq().unwrap().method, Method::Prack);
    b.ack(&ok, None);
    assert!(matches!(b.event(), Event::Confirmed { .. }));
    b.wait(40_000);
    assert!(b.sent.is_empty());
}

#[test]
fn an_early_offer_of_ours_is_answered_in_prack() {
    let mut b = Bench::new();
    let (call, _) = called(&mut b, "Supported", false);
    // Ringing without offer needs no PRACK; with one, only PRACK can answer it.
    b.command(Command::Ring { call, code: 180, sdp: None });
    assert!(!b.code(180).has_token("Require", "100rel"));
    b.command(Command::Ring { call, code: 183, sdp: Some(sdp(5)) });
    let session = b.code(183);
    assert!(session.has_token("Require", "100rel"));
    let answer = prack(&mut b, &session, None).finish_with_sdp(sdp(2));
    b.receive(&answer);
    b.code(200);
    let tag = String::from_utf8(session.to_tag().unwrap().to_vec()).unwrap();
    let update = b.inside(Method::Update, &tag).finish_with_sdp(sdp(9));
    b.receive(&update);
    b.code(488);
    b.command(Command::Answer { call, sdp: sdp(5) });
    let ok = b.code(200);
    assert!(ok.body.is_empty());
    b.ack(&ok, None);
    assert_eq!(b.event(), Event::Confirmed { call, answer: Some(sdp(2)) });
}

#[test]
fn a_caller_that_requires_it_and_offers_nothing_hears_100_until_there_is_an_offer() {
    let mut b = Bench::new();
    let (call, _) = called(&mut b, "Require", false);
    // The first reliable answer would have to carry our offer (RFC 3262 §5).
    b.command(Command::Ring { call, code: 180, sdp: None });
    b.quiet();
    b.command(Command::Answer { call, sdp: sdp(5) });
    let ok = b.code(200);
    assert_eq!(ok.sdp().unwrap(), sdp(5));
    b.ack(&ok, Some(sdp(2)));
    assert_eq!(b.event(), Event::Confirmed { call, answer: Some(sdp(2)) });
}

#[test]
fn a_caller_that_merely_can_is_not_asked_for_it() {
    let mut b = Bench::new();
    let (call, _) = called(&mut b, "Supported", true);
    b.command(Command::Ring { call, code: 183, sdp: Some(sdp(4)) });
    let session = b.code(183);
    assert!(!session.has_token("Require", "100rel") && session.sdp().is_some());
    let stray = prack(&mut b, &session, Some("1 100 INVITE")).finish();
    b.receive(&stray);
    b.code(481);
    b.command(Command::Answer { call, sdp: sdp(4) });
    assert_eq!(b.code(200).sdp().unwrap(), sdp(4));
    // A caller that cannot, and made no offer: no early offer for it.
    let plain = b.outside(Method::Invite).finish();
    b.receive(&plain);
    b.sent.clear();
    let Event::Incoming(incoming) = b.event() else { panic!() };
    b.command(Command::Ring { call: incoming.call, code: 183, sdp: Some(sdp(4)) });
    assert!(b.code(183).body.is_empty());
}

#[test]
fn it_goes_on_ringing_every_minute() {
    let mut b = Bench::new();
    let invite = b.outside(Method::Invite).finish_with_sdp(sdp(1));
    b.receive(&invite);
    b.code(100);
    let Event::Incoming(incoming) = b.event() else { panic!() };
    b.command(Command::Ring { call: incoming.call, code: 180, sdp: None });
    let ringing = b.code(180);
    for _ in 0..3 {
        b.wait(59_900);
        b.quiet();
        b.until_sent(200);
        assert_eq!(b.code(180), ringing);
    }
    b.receive(&Builder::cancel_of(&invite, None));
    b.code(200);
    b.code(487);
    b.event();
    b.wait(300_000);
    assert!(!b.sent.iter().any(|(_, m)| m.code() == Some(180)));
}
