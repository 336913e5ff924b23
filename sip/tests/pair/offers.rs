//! Re-INVITE: T.38 both ways, refusals, collisions, renewals, and what BYE does to them (RFC 3261 §14, RFC 4028).

use fax_base::time::Duration;
use fax_sip::message::Method;
use fax_sip::{Command, Config, EndedBy, Event};

use super::net::{Pair, image, sdp};

#[test]
fn either_side_switches_to_t38() {
    for who in [0, 1] {
        let mut pair = Pair::new(20 + who as u64);
        let (out, inc) = pair.established();
        let keys = [out, inc];
        pair.command(who, Command::Reinvite { call: keys[who], offer: image(4002, 2) });
        let other = 1 - who;
        assert_eq!(
            pair.run_to_event(other, 5),
            Some(Event::ReinviteOffered { call: keys[other], offer: image(4002, 2) })
        );
        pair.command(other, Command::AcceptReinvite { call: keys[other], answer: image(5002, 2) });
        assert_eq!(
            pair.run_to_event(who, 5),
            Some(Event::ReinviteAnswered { call: keys[who], answer: image(5002, 2) })
        );
        pair.run_for(Duration::from_secs(20));
        assert_eq!(pair.times(&format!("{other}<200 INVITE")).len(), if other == 1 { 2 } else { 1 });
        pair.command(other, Command::Hangup { call: keys[other], reason: None });
        pair.run_for(Duration::from_secs(100));
        assert_eq!(pair.ended(who).unwrap().by, EndedBy::Remote);
        assert_eq!(pair.agents[who].transactions(), 0);
    }
}

#[test]
fn a_refused_offer_leaves_the_session_and_another_may_follow() {
    let mut pair = Pair::new(22);
    let (out, inc) = pair.established();
    pair.command(1, Command::Reinvite { call: inc, offer: image(5002, 2) });
    assert!(matches!(pair.run_to_event(0, 5), Some(Event::ReinviteOffered { .. })));
    pair.command(0, Command::RejectReinvite { call: out, code: 488 });
    assert!(matches!(pair.run_to_event(1, 5), Some(Event::ReinviteRefused { code: 488, .. })));
    // The peer that refused may offer itself.
    pair.command(0, Command::Reinvite { call: out, offer: image(4002, 2) });
    assert!(matches!(pair.run_to_event(1, 5), Some(Event::ReinviteOffered { .. })));
    pair.command(1, Command::AcceptReinvite { call: inc, answer: image(5002, 3) });
    assert!(matches!(pair.run_to_event(0, 5), Some(Event::ReinviteAnswered { .. })));
    let acks = pair.times("1>ACK").len();
    assert_eq!(acks, 1, "the 488 was acknowledged");
}

#[test]
fn offers_that_cross_are_tried_again_by_role() {
    for seed in 30..50 {
        let mut pair = Pair::new(seed);
        let (out, inc) = pair.established();
        let start = pair.now.as_millis();
        pair.command(0, Command::Reinvite { call: out, offer: image(4002, 2) });
        pair.command(1, Command::Reinvite { call: inc, offer: image(5002, 2) });
        // The called side waits at most 2 s, the caller at least 2.1 s: the called side's goes first.
        assert!(matches!(pair.run_to_event(0, 5), Some(Event::ReinviteOffered { .. })));
        let took = pair.now.as_millis() - start;
        assert!(took <= 2_100, "{took}");
        assert_eq!((pair.times("0<491 INVITE").len(), pair.times("1<491 INVITE").len()), (1, 1));
        pair.command(0, Command::AcceptReinvite { call: out, answer: image(4002, 2) });
        assert!(matches!(pair.run_to_event(0, 1), Some(Event::ReinviteRefused { code: 491, .. })));
        assert!(matches!(pair.run_to_event(1, 5), Some(Event::ReinviteAnswered { .. })));
        pair.run_for(Duration::from_secs(10));
        assert_eq!(pair.times("0>INVITE").len(), 2, "the caller's offer was not tried again");
    }
}

#[test]
fn the_loser_of_a_collision_tries_again_when_the_winner_is_refused() {
    let mut pair = Pair::new(51);
    let (out, inc) = pair.established();
    let start = pair.now.as_millis();
    pair.command(0, Command::Reinvite { call: out, offer: image(4002, 2) });
    pair.command(1, Command::Reinvite { call: inc, offer: image(5002, 2) });
    assert!(matches!(pair.run_to_event(0, 5), Some(Event::ReinviteOffered { .. })));
    pair.command(0, Command::RejectReinvite { call: out, code: 488 });
    assert!(matches!(pair.run_to_event(1, 5), Some(Event::ReinviteRefused { code: 488, .. })));
    assert!(matches!(pair.run_to_event(1, 5), Some(Event::ReinviteOffered { .. })));
    let again = pair.times("0>INVITE")[2] - start;
    assert!((2_100..=4_100).contains(&again), "{again}");
}

#[test]
fn an_unchanged_session_is_answered_without_asking() {
    let mut pair = Pair::new(52);
    let (out, inc) = pair.established();
    for version in [1, 2] {
        pair.command(0, Command::Reinvite { call: out, offer: sdp(4000, version) });
        assert_eq!(pair.run_to_event(1, 5), Some(Event::Refreshed { call: inc, unheld: None }));
        assert_eq!(
            pair.run_to_event(0, 5),
            Some(Event::ReinviteAnswered { call: out, answer: sdp(5000, 1) })
        );
    }
}

#[test]
fn an_offer_nobody_answers_is_given_up_and_the_call_goes_on() {
    let mut pair = Pair::new(53);
    let (out, inc) = pair.established();
    pair.drop_if = Box::new(|from, m| from == 0 && m.method() == Some(&Method::Invite));
    pair.command(0, Command::Reinvite { call: out, offer: image(4002, 2) });
    assert!(matches!(pair.run_to_event(0, 40), Some(Event::ReinviteRefused { code: 408, .. })));
    assert_eq!(pair.agents[0].calls(), 1);
    pair.drop_if = Box::new(|_, _| false);
    pair.command(1, Command::Hangup { call: inc, reason: None });
    assert!(matches!(pair.run_to_event(0, 5), Some(Event::Ended { .. })));
}

#[test]
fn an_offer_the_far_service_never_answers_is_cancelled() {
    let mut pair = Pair::new(54);
    let (out, inc) = pair.established();
    pair.command(0, Command::Reinvite { call: out, offer: image(4002, 2) });
    assert!(matches!(pair.run_to_event(1, 5), Some(Event::ReinviteOffered { .. })));
    assert!(matches!(pair.run_to_event(0, 40), Some(Event::ReinviteRefused { code: 408, .. })));
    pair.run_for(Duration::from_secs(2));
    assert_eq!((pair.times("0>CANCEL").len(), pair.times("1<487 INVITE").len()), (1, 1));
    // Too late: nothing happens, and the call is still there.
    pair.command(1, Command::AcceptReinvite { call: inc, answer: image(5002, 2) });
    pair.command(1, Command::Reinvite { call: inc, offer: image(5002, 2) });
    assert!(matches!(pair.run_to_event(0, 5), Some(Event::ReinviteOffered { .. })));
}

#[test]
fn bye_ends_a_pending_offer() {
    let mut pair = Pair::new(55);
    let (out, _) = pair.established();
    pair.command(0, Command::Reinvite { call: out, offer: image(4002, 2) });
    assert!(matches!(pair.run_to_event(1, 5), Some(Event::ReinviteOffered { .. })));
    pair.command(0, Command::Hangup { call: out, reason: None });
    pair.run_for(Duration::from_secs(200));
    assert_eq!(pair.times("1<487 INVITE").len(), 1);
    assert_eq!(pair.times("0>ACK").len(), 2);
    for agent in &pair.agents {
        assert_eq!((agent.transactions(), agent.deadline()), (0, None));
    }
}

#[test]
fn a_bye_that_crosses_an_accepted_offer_still_gets_its_ack() {
    let mut pair = Pair::new(56);
    let (out, inc) = pair.established();
    pair.command(1, Command::Reinvite { call: inc, offer: sdp(5010, 2) });
    assert!(matches!(pair.run_to_event(0, 5), Some(Event::ReinviteOffered { .. })));
    pair.command(1, Command::Hangup { call: inc, reason: None });
    pair.command(0, Command::AcceptReinvite { call: out, answer: sdp(4010, 2) });
    pair.run_for(Duration::from_secs(200));
    assert_eq!(pair.times("1>ACK").len(), 1, "{:?}", pair.words());
    for agent in &pair.agents {
        assert_eq!((agent.transactions(), agent.deadline()), (0, None));
    }
}

#[test]
fn an_offer_waits_for_the_first_ack() {
    let mut pair = Pair::new(57);
    pair.invite(1);
    let inc = pair.incoming();
    pair.command(1, Command::Answer { call: inc, sdp: sdp(5000, 1) });
    pair.command(1, Command::Reinvite { call: inc, offer: image(5002, 2) });
    assert!(pair.times("1>INVITE").is_empty());
    pair.run_for(Duration::from_secs(1));
    let words = pair.words();
    let place = |w: &str| words.iter().position(|x| x == w).unwrap();
    assert!(place("0>ACK") < place("1>INVITE"));
}

#[test]
fn sessions_are_renewed_by_whoever_has_to() {
    for seconds in [90, 1800] {
        let config = Config { session_expires: Some(Duration::from_secs(seconds)), ..Config::default() };
        let mut pair = Pair::with(58, config);
        let (out, inc) = pair.established();
        pair.run_for(Duration::from_secs(7_200));
        assert_eq!((pair.agents[0].calls(), pair.agents[1].calls()), (1, 1));
        let renewals = pair.times("0>UPDATE").len() + pair.times("1>UPDATE").len();
        assert!(renewals as u64 >= 7_200 / seconds, "{renewals}");
        pair.command(1, Command::Hangup { call: inc, reason: None });
        pair.run_for(Duration::from_secs(200));
        assert!(pair.agents.iter().all(|a| a.deadline().is_none()));
        let _ = out;
    }
}
