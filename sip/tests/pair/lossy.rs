//! Every call ends at both ends and leaves nothing behind, whatever the network does.

use fax_base::time::Duration;
use fax_sip::{CallKey, Command, Config, Event};

use super::net::{Dice, Pair, image, sdp};

/// Plays one call with the moods of a seed.
fn play(seed: u64, loss: u64) {
    let mut dice = Dice::new(seed * 7 + 3);
    let config = Config {
        session_expires: (dice.below(2) == 0).then_some(Duration::from_secs(90)),
        ..Config::default()
    };
    let mut pair = Pair::with(seed, config);
    (pair.loss, pair.jitter_ms, pair.duplicate) = (loss, 900, 100);
    let mut invitation = pair.invitation(CallKey(1));
    if dice.below(3) == 0 {
        invitation.headers.push(("Require".into(), "100rel".into()));
    }
    let out = invitation.call;
    pair.command(0, Command::Invite(Box::new(invitation)));
    let mut incoming: Option<CallKey> = None;
    let mut ended = [false; 2];
    let mut up = [false; 2];
    for _ in 0..60 {
        pair.run_for(Duration::from_millis(200 + dice.below(3_000)));
        for who in 0..2 {
            while let Some((_, event)) = pair.events[who].pop_front() {
                assert!(!ended[who], "seed {seed}: {event:?} after the end");
                let roll = dice.below(10);
                match event {
                    Event::Incoming(i) => {
                        assert!(incoming.replace(i.call).is_none(), "seed {seed}: one call, one event");
                        let call = i.call;
                        match roll {
                            0 => pair.command(
                                1,
                                Command::Reject { call, code: 486, reason: String::new(), headers: vec![] },
                            ),
                            1 => {}
                            2..=4 => {
                                pair.command(1, Command::Ring { call, code: 180, sdp: None });
                                pair.command(1, Command::Answer { call, sdp: sdp(5000, 1) });
                            }
                            5..=7 => {
                                let early = (roll > 5).then(|| sdp(5000, 1));
                                pair.command(1, Command::Ring { call, code: 180, sdp: None });
                                pair.command(1, Command::Ring { call, code: 183, sdp: early });
                                pair.run_for(Duration::from_millis(dice.below(4_000)));
                                pair.command(1, Command::Answer { call, sdp: sdp(5000, 1) });
                            }
                            _ => pair.command(1, Command::Answer { call, sdp: sdp(5000, 1) }),
                        }
                    }
                    Event::ReinviteOffered { call, .. } if roll < 6 => {
                        pair.command(who, Command::AcceptReinvite { call, answer: image(6000, 5) });
                    }
                    Event::ReinviteOffered { call, .. } => {
                        pair.command(who, Command::RejectReinvite { call, code: 488 })
                    }
                    Event::Answered { answer, .. } => {
                        assert_eq!(answer, Some(sdp(5000, 1)), "seed {seed}: in the 200, or reliably before");
                        up[who] = true;
                    }
                    Event::Confirmed { .. } => up[who] = true,
                    Event::Ended { .. } => ended[who] = true,
                    _ => {}
                }
            }
        }
        let keys = [Some(out), incoming];
        for who in 0..2 {
            let Some(call) = keys[who].filter(|_| up[who] && !ended[who]) else {
                continue;
            };
            match dice.below(12) {
                0..=2 => pair.command(who, Command::Reinvite { call, offer: image(7000 + who as u16, 9) }),
                3 => pair.command(who, Command::Hangup { call, reason: None }),
                _ => {}
            }
        }
    }
    pair.command(0, Command::Hangup { call: out, reason: None });
    if let Some(call) = incoming {
        pair.command(1, Command::Hangup { call, reason: None });
    }
    pair.run_for(Duration::from_secs(400));
    for who in 0..2 {
        let more = pair.events[who].iter().filter(|(_, e)| matches!(e, Event::Ended { .. })).count();
        let calls = usize::from(who == 0 || incoming.is_some());
        assert_eq!(usize::from(ended[who]) + more, calls, "seed {seed} agent {who}: {:?}", pair.words());
        let agent = &pair.agents[who];
        assert_eq!(
            (agent.calls(), agent.transactions(), agent.deadline()),
            (0, 0, None),
            "seed {seed} agent {who}"
        );
    }
}

#[test]
fn every_call_ends_on_a_good_network() {
    (0..150).for_each(|seed| play(seed, 0));
}

#[test]
fn every_call_ends_on_a_bad_network() {
    (1_000..1_150).for_each(|seed| play(seed, 250));
}

#[test]
fn every_call_ends_on_a_dreadful_network() {
    (2_000..2_100).for_each(|seed| play(seed, 700));
}
