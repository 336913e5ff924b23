//! Calls that are made, refused, cancelled and hung up.

use fax_base::time::Duration;
use fax_sip::{Command, EndedBy, Event, Q850};

use super::net::{Pair, sdp};

#[test]
fn a_call_is_made_answered_and_hung_up() {
    let mut pair = Pair::new(1);
    let out = pair.invite(7);
    let inc = pair.incoming();
    pair.command(1, Command::Ring { call: inc, code: 180 });
    assert!(matches!(pair.run_to_event(0, 5), Some(Event::Progress { code: 180, .. })));
    pair.command(1, Command::Answer { call: inc, sdp: sdp(5000, 1) });
    match pair.run_to_event(0, 5) {
        Some(Event::Answered { call, answer, .. }) => assert_eq!((call, answer), (out, Some(sdp(5000, 1)))),
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
    assert_eq!(pair.words(), [
        "0>INVITE", "1<100 INVITE", "1<180 INVITE", "1<200 INVITE", "0>ACK", "0>BYE", "1<200 BYE"
    ]);
    for agent in &pair.agents {
        assert_eq!((agent.calls(), agent.transactions(), agent.deadline()), (0, 0, None));
    }
}
