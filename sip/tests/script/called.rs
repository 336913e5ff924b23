//! Calls that come in: late offers, requests within the dialog, repeats, copies, old peers (RFC 3261 §8.2, §12.2.2, §14.2).

use fax_sip::message::Method;
use fax_sip::{CallKey, Command, Config, EndedBy, Event};

use super::bench::{Bench, PEER, addr, sdp};

#[test]
fn a_late_offer_goes_out_in_the_200_and_its_answer_comes_in_the_ack() {
    let mut b = Bench::new();
    let invite = b.outside(Method::Invite).finish();
    b.receive(&invite);
    b.code(100);
    let Event::Incoming(incoming) = b.event() else { panic!() };
    assert_eq!(incoming.offer, None);
    b.command(Command::Answer { call: incoming.call, sdp: sdp(5) });
    let ok = b.code(200);
    assert_eq!(ok.sdp().unwrap(), sdp(5));
    // Nothing may be offered before the answer is there.
    b.invite = Some(invite);
    let tag = String::from_utf8(ok.to_tag().unwrap().to_vec()).unwrap();
    let early = b.inside(Method::Invite, &tag).finish_with_sdp(sdp(6));
    b.receive(&early);
    b.code(491);
    b.ack(&ok, Some(sdp(2)));
    assert_eq!(b.event(), Event::Confirmed { call: incoming.call, answer: Some(sdp(2)) });
    b.sent.clear();
    // A re-INVITE without offer is answered with the session as it is.
    let bare = b.inside(Method::Invite, &tag).finish();
    b.receive(&bare);
    let ok = b.code(200);
    assert_eq!(ok.sdp().unwrap(), sdp(5));
    assert!(matches!(b.event(), Event::Refreshed { .. }));
    b.ack(&ok, Some(sdp(3)));
    assert_eq!(b.event(), Event::ReinviteAnswered { call: incoming.call, answer: sdp(3) });
}

/// A session description with this direction.
fn going(version: u32, direction: &str) -> bytes::Bytes {
    let mut text = sdp(version).to_vec();
    text.extend_from_slice(format!("a={direction}\r\n").as_bytes());
    text.into()
}

#[test]
fn a_hold_is_lifted_by_whoever_made_it_and_wants_our_offer() {
    let mut b = Bench::new();
    let (call, tag) = b.taken();
    let hold = b.inside(Method::Invite, &tag).finish_with_sdp(going(2, "sendonly"));
    b.receive(&hold);
    b.code(100);
    b.event();
    b.command(Command::AcceptReinvite { call, answer: going(6, "recvonly") });
    let ok = b.code(200);
    b.ack(&ok, None);
    let bare = b.inside(Method::Invite, &tag).finish();
    b.receive(&bare);
    let ok = b.code(200);
    let lifted = String::from_utf8(sdp(6).to_vec()).unwrap().replacen("o=- 1 6", "o=- 1 7", 1);
    assert_eq!(ok.sdp().unwrap(), lifted);
    assert_eq!(b.event(), Event::Refreshed { call, unheld: Some(lifted.into()) });
    // The answer is told even where it is known.
    b.ack(&ok, Some(going(3, "sendonly")));
    assert_eq!(b.event(), Event::ReinviteAnswered { call, answer: going(3, "sendonly") });
    // What we hold ourselves stays held.
    b.command(Command::Reinvite { call, offer: going(8, "inactive") });
    let ours = b.request(&Method::Invite);
    let taken = b.response(&ours, 200, "x").header("Contact", format!("<sip:gw@{PEER}>"));
    b.receive(&taken.finish_with_sdp(going(4, "inactive")));
    b.request(&Method::Ack);
    b.event();
    let bare = b.inside(Method::Invite, &tag).finish();
    b.receive(&bare);
    assert_eq!(b.code(200).sdp().unwrap(), going(8, "inactive"));
    assert_eq!(b.event(), Event::Refreshed { call, unheld: None });
}

#[test]
fn in_dialog_requests_are_answered_sanely() {
    let mut b = Bench::new();
    let (call, tag) = b.taken();
    for (method, code) in [
        (Method::Options, 200),
        (Method::Info, 200),
        (Method::Update, 200),
        (Method::Message, 405),
        (Method::Refer, 405),
        (Method::Other("FOO".into()), 501),
    ] {
        let request = b.inside(method.clone(), &tag).finish();
        b.receive(&request);
        let response = b.code(code);
        assert_eq!(response.value("To"), request.value("To"), "{method}");
        if code != 200 || method == Method::Options {
            assert!(response.has_token("Allow", "INVITE"));
        }
        // The same request again is answered with the same.
        b.receive(&request);
        assert_eq!(b.code(code), response);
    }
    assert_eq!(b.agent.calls(), 1);
    // UPDATE with an offer is an offer; with the old session it is a renewal.
    let update = b.inside(Method::Update, &tag).finish_with_sdp(sdp(1));
    b.receive(&update);
    assert_eq!(b.code(200).sdp().unwrap(), sdp(5));
    assert!(matches!(b.event(), Event::Refreshed { .. }));
    let update = b.inside(Method::Update, &tag).finish_with_sdp(sdp(2));
    b.receive(&update);
    assert!(matches!(b.event(), Event::ReinviteOffered { .. }));
    b.command(Command::AcceptReinvite { call, answer: sdp(6) });
    assert_eq!(b.code(200).sdp().unwrap(), sdp(6));
    let old = b.inside(Method::Info, &tag).without("CSeq").header("CSeq", "3 INFO").finish();
    b.receive(&old);
    b.code(500);
    let needs = b.inside(Method::Update, &tag).header("Require", "precondition").finish();
    b.receive(&needs);
    assert_eq!(b.code(420).text("Unsupported").unwrap(), "precondition");
}

#[test]
fn a_second_re_invite_waits_for_the_first_and_ours_waits_for_both() {
    let mut b = Bench::new();
    let (call, tag) = b.taken();
    let first = b.inside(Method::Invite, &tag).finish_with_sdp(sdp(7));
    b.receive(&first);
    b.code(100);
    b.event();
    let second = b.inside(Method::Invite, &tag).finish_with_sdp(sdp(8));
    b.receive(&second);
    let later = b.code(500);
    assert!(later.seconds("Retry-After").unwrap() <= 10);
    b.command(Command::Reinvite { call, offer: sdp(9) });
    b.quiet();
    b.command(Command::RejectReinvite { call, code: 488 });
    b.code(488);
    let ours = b.request(&Method::Invite);
    assert_eq!(ours.sdp().unwrap(), sdp(9));
    // Theirs meets ours: 491.
    let third = b.inside(Method::Invite, &tag).finish_with_sdp(sdp(10));
    b.receive(&third);
    b.code(491);
    // We did not make the Call-ID: we try again within 2 s.
    b.receive(&b.response(&ours, 491, "x").finish());
    b.request(&Method::Ack);
    let before = b.now.as_millis();
    b.sent.clear();
    b.wait(2_001);
    let again = b.sent.iter().filter(|(_, m)| m.method() == Some(&Method::Invite)).count();
    assert!(again >= 1, "{before}");
}

#[test]
fn merged_requests_are_loops() {
    let mut b = Bench::new();
    let invite = b.outside(Method::Invite).finish_with_sdp(sdp(1));
    b.receive(&invite);
    b.code(100);
    b.event();
    let copy =
        fax_sip::message::Builder::again(&invite, &format!("SIP/2.0/UDP {PEER};branch=z9hG4bKother"), 100);
    b.receive(&copy.finish());
    b.code(482);
    // The very same again is a repeat.
    b.receive(&invite);
    b.code(100);
    b.quiet();
}

#[test]
fn repeats_before_any_answer_bring_nothing_new() {
    let mut b = Bench::new();
    let invite = b.outside(Method::Invite).finish_with_sdp(sdp(1));
    b.receive(&invite);
    b.code(100);
    let Event::Incoming(incoming) = b.event() else { panic!() };
    b.command(Command::Ring { call: incoming.call, code: 180, sdp: None });
    let ringing = b.code(180);
    assert!(ringing.to_tag().is_some() && ringing.contact().is_some());
    b.receive(&invite);
    assert_eq!(b.code(180), ringing);
    b.command(Command::Answer { call: incoming.call, sdp: sdp(5) });
    let ok = b.code(200);
    assert_eq!(ok.to_tag(), ringing.to_tag());
    b.receive(&invite);
    b.quiet();
}

#[test]
fn cancel_after_the_200_changes_nothing() {
    let mut b = Bench::new();
    let invite = b.outside(Method::Invite).finish_with_sdp(sdp(1));
    b.receive(&invite);
    b.code(100);
    let Event::Incoming(incoming) = b.event() else { panic!() };
    b.command(Command::Answer { call: incoming.call, sdp: sdp(5) });
    let ok = b.code(200);
    b.receive(&fax_sip::message::Builder::cancel_of(&invite, None));
    b.code(200);
    b.ack(&ok, None);
    assert!(matches!(b.event(), Event::Confirmed { .. }));
    assert_eq!(b.agent.calls(), 1);
}

#[test]
fn an_old_peer_without_branch_tag_and_contact_is_served() {
    let mut b = Bench::new();
    let strip = |builder: fax_sip::message::Builder| {
        builder
            .without("Via")
            .without("Contact")
            .without("From")
            .without("Call-ID")
            .header("Via", format!("SIP/2.0/UDP {PEER}"))
            .header("From", "<sip:caller@198.51.100.7>")
            .header("Call-ID", "old@peer")
    };
    let invite = b.outside(Method::Invite);
    let invite = strip(invite).finish_with_sdp(sdp(1));
    b.receive(&invite);
    b.code(100);
    let Event::Incoming(incoming) = b.event() else { panic!() };
    b.receive(&invite);
    b.code(100);
    b.command(Command::Answer { call: incoming.call, sdp: sdp(5) });
    let ok = b.code(200);
    let ack = fax_sip::message::Builder::request(Method::Ack, super::bench::uri("sip:x@192.0.2.1"))
        .copy(&invite, "Via")
        .copy(&ok, "From")
        .copy(&ok, "To")
        .copy(&ok, "Call-ID")
        .header("CSeq", "100 ACK")
        .finish();
    b.receive(&ack);
    assert!(matches!(b.event(), Event::Confirmed { .. }));
    b.command(Command::Hangup { call: incoming.call, reason: None });
    let (to, bye) = b.next_to();
    assert_eq!((to, bye.method()), (addr("198.51.100.7:5060"), Some(&Method::Bye)));
    assert!(matches!(b.event(), Event::Ended { .. }));
    // A failure of an INVITE is acknowledged by matching everything but the branch.
    let second = b.outside(Method::Invite);
    let second = strip(second).without("Call-ID").header("Call-ID", "old2@peer").finish_with_sdp(sdp(1));
    b.receive(&second);
    b.code(100);
    let Event::Incoming(incoming) = b.event() else { panic!() };
    b.command(Command::Reject { call: incoming.call, code: 486, reason: String::new(), headers: vec![] });
    let busy = b.code(486);
    let ack = fax_sip::message::Builder::ack_of_failure(&second, &busy);
    b.receive(&ack);
    b.event();
    b.sent.clear();
    b.wait(40_000);
    assert!(!b.sent.iter().any(|(_, m)| m.code() == Some(486)), "not repeated after its ACK");
}

#[test]
fn a_session_timer_is_honoured() {
    let mut b = Bench::new();
    let invite = b
        .outside(Method::Invite)
        .header("Supported", "timer")
        .header("Session-Expires", "180")
        .finish_with_sdp(sdp(1));
    b.receive(&invite);
    b.code(100);
    let Event::Incoming(incoming) = b.event() else { panic!() };
    b.command(Command::Answer { call: incoming.call, sdp: sdp(5) });
    let ok = b.code(200);
    assert_eq!(ok.text("Session-Expires").unwrap(), "180;refresher=uac");
    assert!(ok.has_token("Require", "timer"));
    // A proxy put the timer in and the caller does not know it: renewing falls to us.
    let invite = b.outside(Method::Invite).header("x", "300").finish_with_sdp(sdp(1));
    b.receive(&invite);
    b.code(100);
    b.ack(&ok, None);
    b.events.clear();
    b.command(Command::Answer { call: CallKey(CallKey::INCOMING.0 + 1), sdp: sdp(5) });
    let ok = b.code(200);
    assert_eq!(ok.text("Session-Expires").unwrap(), "300;refresher=uas");
    assert!(!ok.has_token("Require", "timer"));
    b.ack(&ok, None);
    b.sent.clear();
    b.wait(147_000);
    assert!(b.sent.is_empty());
    b.wait(6_000);
    assert!(b.sent.iter().any(|(_, m)| m.method() == Some(&Method::Invite) && m.sdp() == Some(sdp(5))));
}

#[test]
fn a_bye_tells_its_reason() {
    let mut b = Bench::new();
    let (call, tag) = b.taken();
    let bye = b
        .inside(Method::Bye, &tag)
        .header("Reason", "SIP;cause=200, Q.850;cause=31;text=\"normal\"")
        .finish();
    b.receive(&bye);
    b.code(200);
    match b.event() {
        Event::Ended { call: ended, cause } => {
            assert_eq!((ended, cause.by, cause.q850), (call, EndedBy::Remote, Some(31)))
        }
        other => panic!("{other:?}"),
    }
    let late = b.inside(Method::Invite, &tag).finish_with_sdp(sdp(9));
    b.receive(&late);
    b.code(481);
    b.wait(60_000);
    assert_eq!((b.agent.transactions(), b.agent.calls()), (0, 0));
}

#[test]
fn rejections_carry_what_they_are_given() {
    let mut b = Bench::new();
    let invite = b.outside(Method::Invite).finish_with_sdp(sdp(1));
    b.receive(&invite);
    b.code(100);
    let Event::Incoming(incoming) = b.event() else { panic!() };
    let headers = vec![("Contact".to_owned(), "<sip:other@x>".to_owned())];
    b.command(Command::Reject { call: incoming.call, code: 302, reason: "Elsewhere".into(), headers });
    let moved = b.code(302);
    assert_eq!(
        (moved.reason().as_str(), moved.text("Contact").unwrap().as_str()),
        ("Elsewhere", "<sip:other@x>")
    );
    assert!(matches!(b.event(), Event::Ended { .. }));
    // Commands to a call that is over do nothing.
    b.command(Command::Answer { call: incoming.call, sdp: sdp(5) });
    b.command(Command::Hangup { call: incoming.call, reason: None });
    b.quiet();
}

#[test]
fn an_undecided_call_is_refused_in_the_end() {
    let mut b = Bench::new();
    let invite =
        b.outside(Method::Invite).header("Expires", "60").header("Timestamp", "54").finish_with_sdp(sdp(1));
    b.receive(&invite);
    assert_eq!(b.code(100).text("Timestamp").unwrap(), "54");
    b.event();
    b.wait(59_000);
    b.quiet();
    b.until_sent(2_000);
    b.code(480);
    assert!(matches!(b.event(), Event::Ended { cause, .. } if cause.by == EndedBy::Timeout));
}

#[test]
fn too_many_transactions_are_refused_without_state() {
    let mut b = Bench::with(Config { max_transactions: 5, max_calls: 3, ..Config::default() });
    for n in 0..12 {
        let options = b.outside(Method::Options).finish();
        b.receive(&options);
        let answer = b.code(if n < 5 { 200 } else { 503 });
        assert_eq!(answer.value("Retry-After").is_some(), n >= 5);
        assert!(b.agent.transactions() <= 5);
    }
    b.wait(33_000);
    for n in 0..4 {
        let invite = b.outside(Method::Invite).finish_with_sdp(sdp(1));
        b.receive(&invite);
        b.code(if n < 3 { 100 } else { 503 });
    }
    assert_eq!(b.agent.calls(), 3);
}
