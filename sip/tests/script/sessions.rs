//! The session timer in both roles, and re-INVITEs that overlap (RFC 4028; RFC 3261 §14).

use fax_base::time::Duration;
use fax_sip::message::{Message, Method};
use fax_sip::{CallKey, Command, Config, EndedBy, Event};

use super::bench::{Bench, PEER, sdp};

/// A call of ours that is up, whose 200 had these headers.
fn answered(b: &mut Bench, headers: &[(&str, &str)]) -> Message {
    let invite = b.call();
    let ok = b.response(&invite, 200, "peer").header("Contact", format!("<sip:gw@{PEER}>"));
    let ok = headers.iter().fold(ok, |ok, (n, v)| ok.header(n, v));
    b.receive(&ok.finish_with_sdp(sdp(9)));
    b.request(&Method::Ack);
    b.event();
    b.invite = Some(invite.clone());
    invite
}

#[test]
fn a_session_that_nobody_renews_ends_with_bye() {
    for (refresher, first) in [("uac", 900_000), ("uas", 1_768_000)] {
        let mut b = Bench::new();
        let value = format!("1800;refresher={refresher}");
        answered(&mut b, &[("Session-Expires", value.as_str()), ("Allow", "INVITE, UPDATE")]);
        b.wait(first - 100);
        b.quiet();
        b.until_sent(200);
        b.request(&Method::Update);
        // Silence to everything: UPDATE, then INVITE, in vain; at 1,800 s it is over.
        b.wait(1_799_900 - b.now.as_millis());
        assert!(b.events.is_empty(), "{:?}", b.events);
        assert_eq!(b.agent.calls(), 1);
        let invites = b.sent.iter().any(|(_, m)| m.method() == Some(&Method::Invite));
        assert_eq!(invites, refresher == "uac");
        b.sent.clear();
        b.wait(200);
        assert_eq!(b.agent.calls(), 0);
        let bye = b.request(&Method::Bye);
        assert!(bye.text("Reason").unwrap().contains("cause=102"));
        assert!(matches!(b.event(), Event::Ended { cause, .. } if cause.by == EndedBy::Timeout));
    }
}

#[test]
fn update_renews_without_sdp_and_the_clock_starts_again() {
    let mut b = Bench::new();
    answered(&mut b, &[("Session-Expires", "600;refresher=uac"), ("Allow", "UPDATE")]);
    for _ in 0..5 {
        b.until_sent(300_100);
        let update = b.request(&Method::Update);
        assert!(update.body.is_empty());
        assert_eq!(update.text("Session-Expires").unwrap(), "600;refresher=uac");
        b.receive(&b.response(&update, 200, "peer").header("Session-Expires", "600;refresher=uac").finish());
        b.quiet();
    }
    assert_eq!(b.agent.calls(), 1);
    // 422 raises the interval.
    b.until_sent(300_100);
    let update = b.request(&Method::Update);
    b.receive(&b.response(&update, 422, "peer").header("Min-SE", "900").finish());
    let again = b.request(&Method::Update);
    assert_eq!(again.text("Session-Expires").unwrap(), "900");
    assert_eq!(again.text("Min-SE").unwrap(), "900");
}

#[test]
fn a_lost_update_is_followed_by_invite_with_the_same_sdp() {
    let mut b = Bench::new();
    let invite = answered(&mut b, &[("Session-Expires", "600;refresher=uac"), ("Allow", "UPDATE")]);
    b.until_sent(300_100);
    b.request(&Method::Update);
    b.wait(32_100);
    b.sent.clear();
    b.until_sent(11_000);
    let renewal = b.request(&Method::Invite);
    assert_eq!(renewal.body, invite.body, "every octet, the version of o= too");
    b.receive(
        &b.response(&renewal, 200, "peer")
            .header("Session-Expires", "600;refresher=uac")
            .finish_with_sdp(sdp(9)),
    );
    b.request(&Method::Ack);
    b.quiet();
    b.wait(290_000);
    b.quiet();
}

#[test]
fn the_far_end_renews_and_may_change_the_interval_and_the_duty() {
    let mut b = Bench::new();
    let (_, tag) = b.taken();
    let update = b
        .inside(Method::Update, &tag)
        .header("Supported", "timer")
        .header("Session-Expires", "200;refresher=uas")
        .header("Min-SE", "150");
    b.receive(&update.finish());
    let ok = b.code(200);
    assert_eq!(ok.text("Session-Expires").unwrap(), "200;refresher=uas");
    assert!(ok.contact().is_some());
    // Now it is ours, at half the interval; the peer never said that it allows UPDATE.
    b.wait(99_900);
    b.quiet();
    b.until_sent(200);
    let renewal = b.request(&Method::Invite);
    assert_eq!(renewal.text("Session-Expires").unwrap(), "200;refresher=uac");
    b.receive(
        &b.response(&renewal, 200, "x")
            .header("Session-Expires", "200;refresher=uas")
            .finish_with_sdp(sdp(1)),
    );
    b.request(&Method::Ack);
    // Too small an interval is refused.
    let small = b.inside(Method::Update, &tag).header("Supported", "timer").header("Session-Expires", "80");
    b.receive(&small.finish());
    assert_eq!(b.code(422).text("Min-SE").unwrap(), "90");
    assert_eq!(b.agent.calls(), 1);
}

#[test]
fn we_ask_for_a_session_timer_as_the_called_too() {
    let config = Config { session_expires: Some(Duration::from_secs(1_800)), ..Config::default() };
    let mut b = Bench::with(config);
    let invite = b.outside(Method::Invite).header("Min-SE", "2000").finish_with_sdp(sdp(1));
    b.receive(&invite);
    b.code(100);
    let Event::Incoming(incoming) = b.event() else { panic!() };
    b.command(Command::Answer { call: incoming.call, sdp: sdp(5) });
    let ok = b.code(200);
    assert_eq!(ok.text("Session-Expires").unwrap(), "2000;refresher=uas");
    assert!(!ok.has_token("Require", "timer"));
    b.ack(&ok, None);
    b.event();
    b.until_sent(1_000_100);
    assert_eq!(b.request(&Method::Invite).text("Session-Expires").unwrap(), "2000;refresher=uac");
}

#[test]
fn an_offer_that_came_too_early_is_made_again_when_it_may_be() {
    let mut b = Bench::new();
    b.answered(&[]);
    b.command(Command::Reinvite { call: CallKey(1), offer: sdp(7) });
    let first = b.request(&Method::Invite);
    b.receive(&b.response(&first, 500, "peer").header("Retry-After", "7").finish());
    b.request(&Method::Ack);
    b.wait(6_900);
    b.quiet();
    b.until_sent(200);
    let second = b.request(&Method::Invite);
    assert_eq!(second.sdp().unwrap(), sdp(7));
    assert!(second.cseq().unwrap().number > first.cseq().unwrap().number);
    // Without a time, or for long, it is a refusal.
    b.receive(&b.response(&second, 500, "peer").header("Retry-After", "600").finish());
    b.request(&Method::Ack);
    assert!(matches!(b.event(), Event::ReinviteRefused { code: 500, .. }));
}

#[test]
fn glare_is_settled_by_who_made_the_call_id() {
    // We made it: 2.1 to 4 s, in steps of 10 ms.
    for seed in 0..20 {
        let mut b = Bench::with(Config { seed: [seed; 32], ..Config::default() });
        b.answered(&[]);
        b.command(Command::Reinvite { call: CallKey(1), offer: sdp(7) });
        let offer = b.request(&Method::Invite);
        b.receive(&b.response(&offer, 491, "peer").finish());
        b.request(&Method::Ack);
        let at = b.now;
        b.until_sent(5_000);
        b.request(&Method::Invite);
        let wait = b.now.since(at).as_millis();
        assert!((2_100..=4_000).contains(&wait) && wait.is_multiple_of(10), "{wait}");
    }
    // They made it: 0 to 2 s.
    for seed in 0..20 {
        let mut b = Bench::with(Config { seed: [seed; 32], ..Config::default() });
        let (call, _) = b.taken();
        b.command(Command::Reinvite { call, offer: sdp(7) });
        let offer = b.request(&Method::Invite);
        b.receive(&b.response(&offer, 491, "x").finish());
        b.request(&Method::Ack);
        let at = b.now;
        b.until_sent(5_000);
        b.request(&Method::Invite);
        let wait = b.now.since(at).as_millis();
        assert!(wait <= 2_000 && wait.is_multiple_of(10), "{wait}");
    }
}

#[test]
fn a_bye_during_re_invites_ends_both() {
    // Theirs waits for the service.
    let mut b = Bench::new();
    let (_, tag) = b.taken();
    let offer = b.inside(Method::Invite, &tag).finish_with_sdp(sdp(7));
    b.receive(&offer);
    b.code(100);
    b.event();
    let bye = b.inside(Method::Bye, &tag).finish();
    b.receive(&bye);
    let mut codes: Vec<(u16, Method)> =
        (0..2).map(|_| b.next()).map(|m| (m.code().unwrap(), m.cseq().unwrap().method)).collect();
    codes.sort_by_key(|c| c.0);
    assert_eq!(codes, [(200, Method::Bye), (487, Method::Invite)]);
    assert!(matches!(b.event(), Event::Ended { cause, .. } if cause.by == EndedBy::Remote));
    // Ours is under way, and its 200 comes after the BYE: acknowledged, and nothing more.
    let mut b = Bench::new();
    b.answered(&[]);
    b.command(Command::Reinvite { call: CallKey(1), offer: sdp(7) });
    let offer = b.request(&Method::Invite);
    let bye = b.inside(Method::Bye, "").finish();
    b.receive(&bye);
    b.code(200);
    assert!(matches!(b.event(), Event::Ended { .. }));
    b.receive(
        &b.response(&offer, 200, "peer")
            .header("Contact", format!("<sip:gw@{PEER}>"))
            .finish_with_sdp(sdp(8)),
    );
    b.request(&Method::Ack);
    b.quiet();
    b.wait(80_000);
    assert_eq!((b.agent.calls(), b.agent.transactions(), b.agent.deadline()), (0, 0, None));
}

#[test]
fn a_repeated_200_to_our_offer_is_acknowledged_again_with_the_same() {
    let mut b = Bench::new();
    b.answered(&[]);
    b.command(Command::Reinvite { call: CallKey(1), offer: sdp(7) });
    let offer = b.request(&Method::Invite);
    let ok =
        b.response(&offer, 200, "peer").header("Contact", format!("<sip:gw@{PEER}>")).finish_with_sdp(sdp(8));
    b.receive(&ok);
    let ack = b.request(&Method::Ack);
    b.event();
    for _ in 0..4 {
        b.wait(1_000);
        b.receive(&ok);
        assert_eq!(b.request(&Method::Ack), ack);
    }
    b.quiet();
}

#[test]
fn an_offer_nobody_here_answers_is_refused_in_the_end() {
    let mut b = Bench::new();
    let (call, tag) = b.taken();
    let update = b.inside(Method::Update, &tag).finish_with_sdp(sdp(7));
    b.receive(&update);
    b.event();
    b.until_sent(31_000);
    b.code(500);
    // Too late.
    b.command(Command::AcceptReinvite { call, answer: sdp(8) });
    b.quiet();
    let next = b.inside(Method::Invite, &tag).finish_with_sdp(sdp(7));
    b.receive(&next);
    b.code(100);
    assert!(matches!(b.event(), Event::ReinviteOffered { .. }));
}
