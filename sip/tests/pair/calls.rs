//! Calls that are made, refused, cancelled and hung up.

use fax_base::time::Duration;
use fax_sip::message::Method;
use fax_sip::{CallKey, Command, Config, EndedBy, Event, Input, Q850, Transport};

use super::net::{Pair, address, sdp};

#[test]
fn a_call_is_made_answered_and_hung_up() {
    let mut pair = Pair::new(1);
    let out = pair.invite(7);
    let inc = pair.incoming();
    pair.command(1, Command::Ring { call: inc, code: 180, sdp: None });
    assert!(matches!(pair.run_to_event(0, 5), Some(Event::Progress { code: 180, .. })));
    pair.command(1, Command::Answer { call: inc, sdp: sdp(5000, 1) });
    match pair.run_to_event(0, 5) {
        Some(Event::Answered { call, answer, .. }) => {
            assert_eq!((call, answer), (out, Some(sdp(5000, 1))))
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(pair.run_to_event(1, 5), Some(Event::Confirmed { answer: None, .. })));
    pair.command(0, Command::Hangup { call: out, reason: Some(Q850(16)) });
    match pair.run_to_event(1, 5) {
        Some(Event::Ended { call, cause }) => {
            assert_eq!((call, cause.by, cause.q850), (inc, EndedBy::Remote, Some(16)));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(pair.run_to_event(0, 5), Some(Event::Ended { .. })));
    pair.run(Duration::from_secs(300));
    assert_eq!(
        pair.words(),
        ["0>INVITE", "1<100 INVITE", "1<180 INVITE", "1<200 INVITE", "0>ACK", "0>BYE", "1<200 BYE"]
    );
    for agent in &pair.agents {
        assert_eq!((agent.calls(), agent.transactions(), agent.deadline()), (0, 0, None));
    }
}

fn everything_is_over(pair: &mut Pair) {
    pair.run_for(Duration::from_secs(600));
    for (who, agent) in pair.agents.iter().enumerate() {
        assert_eq!((agent.calls(), agent.transactions(), agent.deadline()), (0, 0, None), "agent {who}");
        let ends = pair.events[who].iter().filter(|(_, e)| matches!(e, Event::Ended { .. })).count();
        assert!(ends <= 1);
    }
}

#[test]
fn a_refusal_is_acknowledged_in_the_same_transaction() {
    let mut pair = Pair::new(2);
    let mut invitation = pair.invitation(CallKey(1));
    invitation.headers = vec![
        ("Route".into(), "<sip:192.0.2.2;lr>".into()),
        ("P-Asserted-Identity".into(), "<tel:+1>".into()),
    ];
    pair.command(0, Command::Invite(Box::new(invitation)));
    let inc = pair.incoming();
    let headers = vec![("Reason".into(), "Q.850;cause=17;text=\"User busy\"".into())];
    pair.command(1, Command::Reject { call: inc, code: 486, reason: String::new(), headers });
    pair.run_for(Duration::from_secs(1));
    let cause = pair.ended(0).unwrap();
    assert_eq!((cause.by, cause.code, cause.q850), (EndedBy::Remote, Some(486), Some(17)));
    assert_eq!(pair.ended(1).unwrap().by, EndedBy::Local);
    assert_eq!(pair.words(), ["0>INVITE", "1<100 INVITE", "1<486 INVITE", "0>ACK"]);
    let (invite, refusal, ack) = (&pair.wire[0].message, &pair.wire[2].message, &pair.wire[3].message);
    assert_eq!(ack.value("Via"), invite.value("Via"));
    assert_eq!(ack.value("Route"), invite.value("Route"));
    assert_eq!(ack.value("From"), invite.value("From"));
    assert_eq!(ack.value("To"), refusal.value("To"));
    assert_eq!(ack.uri(), invite.uri());
    assert_eq!(ack.cseq().unwrap().number, invite.cseq().unwrap().number);
    assert_eq!(ack.value("P-Asserted-Identity"), None);
    everything_is_over(&mut pair);
}

#[test]
fn every_request_and_answer_carries_what_it_must() {
    let mut pair = Pair::new(3);
    let (out, _) = pair.established();
    pair.command(0, Command::Hangup { call: out, reason: None });
    pair.run_for(Duration::from_secs(1));
    for seen in &pair.wire {
        let message = &seen.message;
        assert!(message.value("Content-Length").is_some());
        assert_eq!(message.via_count(), 1);
        if message.method().is_some() {
            assert_eq!(message.text("Max-Forwards").unwrap(), "70");
            assert!(message.top_via().unwrap().unique_branch().is_some());
            assert!(message.top_via().unwrap().params().has("rport"));
        }
    }
    let invite = &pair.wire[0].message;
    assert_eq!(invite.contact().unwrap().to_string(), "sip:+4930456@192.0.2.1:5060");
    assert_eq!(invite.content_type().unwrap(), "application/sdp");
    assert!(invite.has_token("Allow", "UPDATE") && invite.has_token("Supported", "timer"));
    let answer = &pair.wire[2].message;
    assert_eq!(answer.code(), Some(200));
    assert_eq!(answer.contact().unwrap().to_string(), "sip:+4930123@192.0.2.2:5060");
    assert!(answer.has_token("Allow", "INVITE") && answer.has_token("Supported", "timer"));
    let ack = &pair.wire[3].message;
    assert_ne!(ack.value("Via"), invite.value("Via"));
    assert_eq!(ack.uri().unwrap().to_string(), "sip:+4930123@192.0.2.2:5060");
    assert_eq!(ack.to_tag(), answer.to_tag());
    let bye = &pair.wire[4].message;
    assert_eq!(bye.cseq().unwrap().number, invite.cseq().unwrap().number + 1);
}

#[test]
fn silence_ends_the_call_after_seven_invites() {
    let mut pair = Pair::new(4);
    pair.drop_if = Box::new(|_, _| true);
    pair.invite(1);
    everything_is_over(&mut pair);
    assert_eq!(pair.times("0>INVITE"), [0, 500, 1500, 3500, 7500, 15500, 31500]);
    assert!(matches!(pair.events[0][0].1, Event::TargetFailed { code: 408, .. }));
    let (at, Event::Ended { cause, .. }) = &pair.events[0][1] else { panic!() };
    assert_eq!((at.as_millis(), cause.by, cause.code), (32_000, EndedBy::Timeout, Some(408)));
}

#[test]
fn a_ringing_call_is_cancelled() {
    let mut pair = Pair::new(5);
    let out = pair.invite(1);
    let inc = pair.incoming();
    pair.command(1, Command::Ring { call: inc, code: 180, sdp: None });
    pair.run_for(Duration::from_secs(2));
    pair.command(0, Command::Hangup { call: out, reason: Some(Q850(16)) });
    pair.run_for(Duration::from_secs(2));
    assert_eq!(
        pair.words(),
        ["0>INVITE", "1<100 INVITE", "1<180 INVITE", "0>CANCEL", "1<200 CANCEL", "1<487 INVITE", "0>ACK"]
    );
    let (invite, cancel) = (&pair.wire[0].message, &pair.wire[3].message);
    assert_eq!(cancel.value("Via"), invite.value("Via"));
    assert_eq!(cancel.value("To"), invite.value("To"));
    assert_eq!(cancel.cseq().unwrap().number, invite.cseq().unwrap().number);
    assert_eq!(pair.wire[4].message.to_tag(), pair.wire[5].message.to_tag());
    let (mine, theirs) = (pair.ended(0).unwrap().clone(), pair.ended(1).unwrap().clone());
    assert_eq!((mine.by, mine.code), (EndedBy::Local, Some(487)));
    assert_eq!((theirs.by, theirs.q850), (EndedBy::Remote, Some(16)));
    everything_is_over(&mut pair);
}

#[test]
fn cancel_waits_for_a_provisional_answer() {
    let mut pair = Pair::new(6);
    pair.drop_if = Box::new(|from, m| from == 1 && m.code().is_some_and(|c| c < 200));
    let out = pair.invite(1);
    let inc = pair.incoming();
    pair.command(0, Command::Hangup { call: out, reason: None });
    pair.run_for(Duration::from_millis(300));
    assert_eq!(pair.times("0>CANCEL"), [0u64; 0]);
    pair.drop_if = Box::new(|_, _| false);
    pair.command(1, Command::Ring { call: inc, code: 180, sdp: None });
    pair.run_for(Duration::from_secs(3));
    assert_eq!(pair.times("0>CANCEL").len(), 1);
    assert_eq!(pair.ended(1).unwrap().by, EndedBy::Remote);
    everything_is_over(&mut pair);
}

#[test]
fn an_answer_that_crosses_the_cancel_is_acknowledged_and_hung_up() {
    let mut pair = Pair::new(7);
    let out = pair.invite(1);
    let inc = pair.incoming();
    pair.run_for(Duration::from_millis(100));
    pair.command(0, Command::Hangup { call: out, reason: None });
    pair.command(1, Command::Answer { call: inc, sdp: sdp(5000, 1) });
    pair.run_for(Duration::from_secs(3));
    assert_eq!(pair.times("0>ACK").len(), 1);
    assert_eq!(pair.times("0>BYE").len(), 1);
    assert_eq!(pair.ended(0).unwrap().by, EndedBy::Local);
    assert_eq!(pair.ended(1).unwrap().by, EndedBy::Remote);
    assert!(!pair.events[0].iter().any(|(_, e)| matches!(e, Event::Answered { .. })));
    everything_is_over(&mut pair);
}

#[test]
fn a_call_that_rings_too_long_is_cancelled() {
    let mut pair = Pair::new(8);
    pair.invite(1);
    let inc = pair.incoming();
    pair.command(1, Command::Ring { call: inc, code: 183, sdp: None });
    pair.run_for(Duration::from_secs(70));
    assert_eq!(pair.times("0>CANCEL"), [60_000]);
    assert_eq!(pair.ended(0).unwrap().by, EndedBy::Timeout);
    everything_is_over(&mut pair);
}

#[test]
fn a_cancel_into_the_void_ends_after_64_t1() {
    let mut pair = Pair::new(9);
    let out = pair.invite(1);
    pair.incoming();
    pair.run_for(Duration::from_secs(1));
    pair.drop_if = Box::new(|_, _| true);
    pair.command(0, Command::Hangup { call: out, reason: None });
    pair.run_for(Duration::from_secs(33));
    assert_eq!(pair.ended(0).unwrap().by, EndedBy::Local);
}

#[test]
fn the_200_is_repeated_until_its_ack_comes() {
    let mut pair = Pair::new(10);
    pair.invite(1);
    let inc = pair.incoming();
    pair.run_for(Duration::from_millis(990));
    let mut lost = 0;
    pair.drop_if = Box::new(move |_, m| {
        lost += u32::from(m.method() == Some(&Method::Ack));
        m.method() == Some(&Method::Ack) && lost <= 3
    });
    pair.command(1, Command::Answer { call: inc, sdp: sdp(5000, 1) });
    pair.run_for(Duration::from_secs(30));
    assert_eq!(pair.times("1<200 INVITE"), [1000, 1500, 2500, 4500]);
    assert_eq!(pair.times("0>ACK").len(), 4);
    let acks: Vec<_> = pair.wire.iter().filter(|s| s.message.method() == Some(&Method::Ack)).collect();
    assert!(acks.iter().all(|a| a.message == acks[0].message), "the same ACK each time");
    let answered = pair.events[0].iter().filter(|(_, e)| matches!(e, Event::Answered { .. })).count();
    let confirmed = pair.events[1].iter().filter(|(_, e)| matches!(e, Event::Confirmed { .. })).count();
    assert_eq!((answered, confirmed), (1, 1));
}

#[test]
fn without_ack_the_called_side_says_bye_after_32_s() {
    let mut pair = Pair::new(11);
    pair.invite(1);
    let inc = pair.incoming();
    pair.drop_if = Box::new(|_, m| m.method() == Some(&Method::Ack));
    pair.command(1, Command::Answer { call: inc, sdp: sdp(5000, 1) });
    pair.run_for(Duration::from_secs(40));
    assert_eq!(pair.times("1<200 INVITE").len(), 11);
    assert_eq!(pair.times("1>BYE"), [32_010]);
    assert_eq!(pair.ended(1).unwrap().by, EndedBy::Timeout);
    assert_eq!(pair.ended(0).unwrap().by, EndedBy::Remote);
    everything_is_over(&mut pair);
}

#[test]
fn the_called_side_waits_for_the_ack_before_its_bye() {
    let mut pair = Pair::new(12);
    pair.invite(1);
    let inc = pair.incoming();
    pair.command(1, Command::Answer { call: inc, sdp: sdp(5000, 1) });
    pair.command(1, Command::Hangup { call: inc, reason: Some(Q850(16)) });
    assert_eq!(pair.times("1>BYE"), [0u64; 0]);
    assert!(pair.ended(1).is_some());
    pair.run_for(Duration::from_secs(2));
    let words = pair.words();
    let place = |w: &str| words.iter().position(|x| x == w).unwrap();
    assert!(place("0>ACK") < place("1>BYE"));
    assert_eq!(pair.ended(0).unwrap().q850, Some(16));
    everything_is_over(&mut pair);
}

#[test]
fn a_late_offer_comes_with_the_answer() {
    let mut pair = Pair::new(13);
    let (out, _) = pair.established();
    pair.command(0, Command::Hangup { call: out, reason: None });
    everything_is_over(&mut pair);
}

#[test]
fn byes_that_cross_end_the_call_once_at_each_end() {
    let mut pair = Pair::new(14);
    let (out, inc) = pair.established();
    pair.command(0, Command::Hangup { call: out, reason: None });
    pair.command(1, Command::Hangup { call: inc, reason: None });
    pair.run_for(Duration::from_secs(2));
    assert_eq!((pair.times("0<200 BYE").len(), pair.times("1<200 BYE").len()), (1, 1));
    assert_eq!(pair.ended(0).unwrap().by, EndedBy::Local);
    assert_eq!(pair.ended(1).unwrap().by, EndedBy::Local);
    everything_is_over(&mut pair);
}

#[test]
fn a_bye_into_the_void_is_repeated_ten_times_and_forgotten() {
    let mut pair = Pair::new(15);
    let (out, _) = pair.established();
    pair.drop_if = Box::new(|_, _| true);
    let start = pair.now.as_millis();
    pair.command(0, Command::Hangup { call: out, reason: None });
    pair.run_for(Duration::from_secs(60));
    let times: Vec<u64> = pair.times("0>BYE").iter().map(|t| t - start).collect();
    assert_eq!(times, [0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]);
}

#[test]
fn limits_on_calls_are_told_with_503() {
    let mut pair = Pair::with(16, Config { max_calls: 2, ..Config::default() });
    pair.invite(1);
    pair.incoming();
    pair.invite(2);
    pair.incoming();
    pair.invite(3);
    let refused = pair.events[0].iter().any(|(_, e)| {
        matches!(e, Event::Ended { call: CallKey(3), cause } if cause.code == Some(503) && cause.by == EndedBy::Local)
    });
    assert!(refused);
}

#[test]
fn nonsense_in_a_command_ends_the_call_at_once() {
    let mut pair = Pair::new(17);
    for (n, (uri, from)) in
        [("no uri", "<sip:a@b>"), ("sip:a@b?Route=x", "<sip:a@b>"), ("sip:a", "nobody\r\nX: y")]
            .into_iter()
            .enumerate()
    {
        let mut invitation = pair.invitation(CallKey(n as u64));
        invitation.request_uri = uri.into();
        invitation.from = from.into();
        pair.command(0, Command::Invite(Box::new(invitation)));
        match pair.events[0].pop_front() {
            Some((_, Event::Ended { cause, .. })) => assert_eq!(cause.code, Some(400)),
            other => panic!("{other:?}"),
        }
    }
    assert!(pair.wire.is_empty());
}

#[test]
fn an_unreachable_peer_ends_the_call_at_once() {
    let mut pair = Pair::new(18);
    pair.invite(1);
    pair.input(0, Input::Unreachable { transport: Transport::Udp, remote: address(1) });
    let cause = pair.ended(0).unwrap();
    assert_eq!((cause.by, cause.code), (EndedBy::Unreachable, Some(503)));
}
