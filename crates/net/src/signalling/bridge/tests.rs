//! Calls that are passed on, on a simulated clock: events of both legs in, commands and the report out.

use super::*;
use crate::media::SideCarrier;
use fax_sip::{CallKey, EndCause, EndedBy, Event};
use sip::sdp::SessionDescription;

const A: CallKey = CallKey(100);

fn sdp(host: u8, version: u32, media: &str) -> Bytes {
    let ip = format!("192.0.2.{host}");
    format!("v=0\r\no=p 9 {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n{media}\r\n").into()
}

fn g711(host: u8) -> Bytes {
    sdp(host, 1, "m=audio 6000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000")
}

fn voice(host: u8) -> Bytes {
    sdp(
        host,
        1,
        "m=audio 6000 RTP/AVP 96 9\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\na=crypto:1 x",
    )
}

fn image(host: u8) -> Bytes {
    sdp(
        host,
        2,
        "m=image 6002 udptl t38\r\na=T38FaxVersion:0\r\na=T38FaxRateManagement:transferredTCF\r\na=T38FaxUdpEC:t38UDPFEC",
    )
}

fn cause(by: EndedBy, code: Option<u16>, q850: Option<u16>) -> EndCause {
    EndCause { q850, ..EndCause::new(by, code, "said so") }
}

/// A call that is passed on, its clock, and everything it wanted.
struct Bench {
    bridge: Bridge,
    now: Instant,
    log: Vec<String>,
    report: Option<OnwardReport>,
    last_sdp: Bytes,
}

fn caller(offer: Option<Bytes>, policy: OnwardT38) -> Caller {
    let media = "198.51.100.1:4000".parse().unwrap();
    Caller { call: A, call_id: "a".into(), media, offer, policy, security: Security::OFF }
}

fn step(target: usize, places: usize, always_on: bool, policy: OnwardT38) -> Step {
    let media: SocketAddr = "198.51.100.2:5000".parse().unwrap();
    let spot = Spot { media, security: Security::OFF };
    Step { target, places: vec![spot; places], always_on, policy }
}

impl Bench {
    fn new(offer: Option<Bytes>, steps: Vec<Step>, policy: OnwardT38) -> Bench {
        let bridge = Bridge::new(Instant::ZERO, caller(offer, policy), steps, 1);
        let (log, report, last_sdp) = (Vec::new(), None, Bytes::new());
        let mut bench = Bench { bridge, now: Instant::ZERO, log, report, last_sdp };
        bench.drain();
        bench
    }

    fn with(offer: Bytes) -> Bench {
        Self::new(Some(offer), vec![step(0, 1, false, OnwardT38::Pass)], OnwardT38::Pass)
    }

    /// Both talk by audio; these are the policies of the caller's and the called one's side.
    fn up(a: OnwardT38, b: OnwardT38) -> Bench {
        let mut bench = Self::new(Some(g711(1)), vec![step(0, 1, false, b)], a);
        bench.answer(0, g711(2));
        bench.give(Input::Caller(Event::Confirmed { call: A, answer: None }));
        bench.take();
        bench
    }

    fn give(&mut self, input: Input) {
        self.bridge.handle(self.now, input);
        self.drain();
    }

    fn side(call: CallKey) -> &'static str {
        if call == A { "a" } else { "b" }
    }

    fn drain(&mut self) {
        while let Some(output) = self.bridge.poll() {
            let word = match output {
                Output::Sip(command) => self.command(command),
                Output::Place { number, step, place, offer } => {
                    self.bridge.placed(number, CallKey(200 + number as u64), format!("b{number}"));
                    let kind = self.kind(&offer);
                    format!("place:{step}.{place}:{kind}")
                }
                Output::Begin(port) => format!("begin:{port}"),
                Output::Media(MediaCommand::Side { side, carrier }) => {
                    let carrier = match carrier {
                        SideCarrier::Off => "off".to_owned(),
                        SideCarrier::Audio { codec, .. } => format!("audio{}", codec.payload_type),
                        SideCarrier::Relay { remote } => format!("relay:{remote}"),
                        SideCarrier::T38 { .. } => "t38".to_owned(),
                    };
                    format!("{side:?}={carrier}")
                }
                Output::Media(_) => "stop".to_owned(),
                Output::Tell(OnwardEvent::Ended(report)) => {
                    self.report = Some(*report);
                    continue;
                }
                Output::Tell(_) => continue,
                Output::Done => "done".to_owned(),
            };
            self.log.push(word);
        }
    }

    fn kind(&mut self, sdp: &Bytes) -> String {
        self.last_sdp = sdp.clone();
        let sdp = SessionDescription::parse(sdp).unwrap();
        let lines = sdp.media.iter().map(|m| {
            let kind = if m.kind == "image" { "t38".to_owned() } else { m.formats.join("+") };
            if m.port == 0 { "off".to_owned() } else { format!("{kind}@{}", m.port) }
        });
        lines.collect::<Vec<_>>().join(",")
    }

    fn command(&mut self, command: sip::Command) -> String {
        use sip::Command as C;
        match command {
            C::Ring { code, sdp, .. } => match sdp {
                Some(sdp) => format!("ring:{code}:{}", self.kind(&sdp)),
                None => format!("ring:{code}"),
            },
            C::Answer { sdp, .. } => format!("answer:{}", self.kind(&sdp)),
            C::Reject { code, headers, .. } => {
                let reason = headers.first().map(|(_, v)| format!(":{v}")).unwrap_or_default();
                format!("reject:{code}{reason}")
            }
            C::Reinvite { call, offer } => format!("{}:offer:{}", Self::side(call), self.kind(&offer)),
            C::AcceptReinvite { call, answer } => format!("{}:take:{}", Self::side(call), self.kind(&answer)),
            C::RejectReinvite { call, code } => format!("{}:refuse:{code}", Self::side(call)),
            C::Hangup { call, reason } => {
                format!("{}{}:hangup:{}", Self::side(call), call.0, reason.map_or(0, |r| r.0))
            }
            other => format!("{other:?}"),
        }
    }

    fn take(&mut self) -> String {
        std::mem::take(&mut self.log).join(" ")
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.bridge.deadline().filter(|at| *at <= end) {
            self.now = at;
            self.give(Input::Timeout);
        }
        self.now = end;
    }

    fn answer(&mut self, number: usize, answer: Bytes) {
        let call = CallKey(200 + number as u64);
        let remote = "192.0.2.2:5060".parse().unwrap();
        self.give(Input::Called(number, Event::Answered { call, answer: Some(answer), remote }));
    }

    fn fails(&mut self, number: usize, by: EndedBy, code: Option<u16>, q850: Option<u16>) {
        let call = CallKey(200 + number as u64);
        self.give(Input::Called(number, Event::Ended { call, cause: cause(by, code, q850) }));
    }

    fn of(&mut self, side: Side, event: fn(CallKey) -> Event) {
        match side {
            Side::A => self.give(Input::Caller(event(A))),
            Side::B => self.give(Input::Called(0, event(CallKey(200)))),
        }
    }

    fn offers(&mut self, side: Side, offer: Bytes) {
        match side {
            Side::A => self.give(Input::Caller(Event::ReinviteOffered { call: A, offer })),
            Side::B => self.give(Input::Called(0, Event::ReinviteOffered { call: CallKey(200), offer })),
        }
    }

    fn takes(&mut self, side: Side, answer: Bytes) {
        match side {
            Side::A => self.give(Input::Caller(Event::ReinviteAnswered { call: A, answer })),
            Side::B => self.give(Input::Called(0, Event::ReinviteAnswered { call: CallKey(200), answer })),
        }
    }

    fn refuses(&mut self, side: Side, code: u16) {
        let reason = String::new();
        match side {
            Side::A => self.give(Input::Caller(Event::ReinviteRefused { call: A, code, reason })),
            Side::B => {
                self.give(Input::Called(0, Event::ReinviteRefused { call: CallKey(200), code, reason }))
            }
        }
    }
}

#[test]
fn a_call_is_offered_rings_is_answered_and_cleared_with_its_cause() {
    let mut b = Bench::with(g711(1));
    assert_eq!(b.take(), "place:0.0:8+101@5000");
    b.of(Side::B, |call| Event::Progress { call, code: 180, sdp: None });
    assert_eq!(b.take(), "ring:180");
    b.answer(0, g711(2));
    assert_eq!(b.take(), "answer:8+101@4000 begin:5000 A=relay:192.0.2.1:6000 B=relay:192.0.2.2:6000");
    b.give(Input::Caller(Event::Confirmed { call: A, answer: None }));
    b.now += Duration::from_secs(7);
    b.of(Side::B, |call| Event::Ended { call, cause: cause(EndedBy::Remote, None, Some(16)) });
    assert_eq!(b.take(), "a100:hangup:16 stop done");
    let report = b.report.unwrap();
    assert_eq!((report.call_id_a.as_str(), report.call_id_b.as_str()), ("a", "b0"));
    assert_eq!((report.answered, report.ended_by, report.q850), (true, Some(Side::B), Some(16)));
    assert_eq!((report.talked.as_secs(), report.t38), (7, [false, false]));
}

#[test]
fn other_codecs_are_passed_with_our_address_and_without_keys() {
    let mut b = Bench::with(voice(1));
    assert_eq!(b.take(), "place:0.0:96+9@5000");
    let offer = String::from_utf8(b.last_sdp.to_vec()).unwrap();
    assert!(offer.contains("a=rtpmap:96 opus/48000/2") && offer.contains("useinbandfec=1"));
    assert!(!offer.contains("crypto") && !offer.contains("192.0.2.1") && offer.contains("198.51.100.2"));
    b.answer(0, voice(2));
    assert!(b.take().ends_with("A=relay:192.0.2.1:6000 B=relay:192.0.2.2:6000"));
    b.give(Input::Caller(Event::Confirmed { call: A, answer: None }));
    // Such audio is never made into T.38: where the other side refuses it, so do we.
    b.offers(Side::B, image(2));
    assert_eq!(b.take(), "a:offer:t38@4000");
    b.refuses(Side::A, 488);
    assert_eq!(b.take(), "b:refuse:488");
}

#[test]
fn a_hold_goes_to_the_other_side_and_so_does_its_end_without_an_offer() {
    let mut b = Bench::up(OnwardT38::Pass, OnwardT38::Pass);
    let held = sdp(1, 2, "m=audio 6000 RTP/AVP 8\r\na=sendonly");
    b.offers(Side::A, held);
    assert_eq!(b.take(), "b:offer:8@5000");
    assert!(b.last_sdp.ends_with(b"a=sendonly\r\n"));
    b.takes(Side::B, sdp(2, 2, "m=audio 6000 RTP/AVP 8\r\na=recvonly"));
    assert!(b.take().starts_with("a:take:8@4000"));
    let answered = String::from_utf8(b.last_sdp.to_vec()).unwrap();
    let lifted = answered.replacen("a=recvonly\r\n", "", 1);
    b.give(Input::Caller(Event::Refreshed { call: A, unheld: Some(lifted.into()) }));
    assert_eq!(b.take(), "");
    b.takes(Side::A, sdp(1, 3, "m=audio 6000 RTP/AVP 8"));
    assert!(b.take().starts_with("b:offer:8@5000"));
    assert!(!b.last_sdp.ends_with(b"only\r\n"));
    b.takes(Side::B, sdp(2, 3, "m=audio 6000 RTP/AVP 8"));
    assert!(!b.take().contains("offer"));
    // A session that only goes on is nobody's business.
    b.takes(Side::A, sdp(1, 4, "m=audio 6000 RTP/AVP 8"));
    assert!(!b.take().contains("offer"));
}

/// The other side hears of it when it has answered what it was asked before.
#[test]
fn a_hold_and_its_end_are_not_lost_while_the_other_side_owes_an_answer() {
    let mut b = Bench::up(OnwardT38::Pass, OnwardT38::Pass);
    b.offers(Side::A, sdp(1, 2, "m=audio 6000 RTP/AVP 8\r\na=sendonly"));
    b.takes(Side::B, sdp(2, 2, "m=audio 6000 RTP/AVP 8\r\na=recvonly"));
    let lifted = |b: &Bench| {
        let answered = String::from_utf8(b.last_sdp.to_vec()).unwrap();
        Event::Refreshed { call: A, unheld: Some(answered.replacen("a=recvonly\r\n", "", 1).into()) }
    };
    let event = lifted(&b);
    b.give(Input::Caller(event));
    b.takes(Side::A, sdp(1, 3, "m=audio 6000 RTP/AVP 8"));
    assert!(b.take().contains("b:offer:8@5000"));
    // B has not answered that, and A holds it again.
    b.offers(Side::A, sdp(1, 4, "m=audio 6000 RTP/AVP 8\r\na=sendonly"));
    let said = b.take();
    assert!(said.starts_with("a:take:8") && !said.contains("b:offer"), "{said}");
    let event = lifted(&b);
    b.takes(Side::B, sdp(2, 3, "m=audio 6000 RTP/AVP 8"));
    assert!(b.take().contains("b:offer:8@5000"));
    assert!(b.last_sdp.ends_with(b"a=sendonly\r\n"));
    // Nor has it answered that, and A lets go of it.
    b.give(Input::Caller(event));
    b.takes(Side::A, sdp(1, 5, "m=audio 6000 RTP/AVP 8"));
    assert!(!b.take().contains("offer"));
    b.refuses(Side::B, 491);
    assert!(b.take().contains("b:offer:8@5000"));
    assert!(!b.last_sdp.ends_with(b"only\r\n"));
    b.takes(Side::B, sdp(2, 4, "m=audio 6000 RTP/AVP 8"));
    assert!(!b.take().contains("offer"));
}

#[test]
fn early_media_is_passed_on_and_the_answer_stays_the_same() {
    let mut b = Bench::with(g711(1));
    b.take();
    b.give(Input::Called(0, Event::Progress { call: CallKey(200), code: 183, sdp: Some(g711(2)) }));
    assert_eq!(b.take(), "ring:183:8+101@4000 begin:5000 A=relay:192.0.2.1:6000 B=relay:192.0.2.2:6000");
    let early = b.last_sdp.clone();
    b.answer(0, g711(2));
    assert_eq!((b.take().as_str(), &b.last_sdp), ("answer:8+101@4000", &early));
}

#[test]
fn an_invite_without_an_offer_gets_one() {
    let steps = vec![step(0, 1, false, OnwardT38::Pass)];
    let mut b = Bench::new(None, steps, OnwardT38::Pass);
    assert_eq!(b.take(), "place:0.0:8+0+101@5000");
    b.answer(0, g711(2));
    assert_eq!(b.take(), "answer:8+101@4000");
    b.give(Input::Caller(Event::Confirmed { call: A, answer: Some(g711(1)) }));
    assert_eq!(b.take(), "begin:5000 A=relay:192.0.2.1:6000 B=relay:192.0.2.2:6000");
}

#[test]
fn the_next_target_is_tried_when_one_is_broken_and_not_when_it_is_busy() {
    let targets = || (0..3).map(|n| step(n, usize::from(n != 1), false, OnwardT38::Pass)).collect();
    for (by, code, q850, on) in [
        (EndedBy::Remote, Some(503), None, true),
        (EndedBy::Remote, Some(500), Some(31), true),
        (EndedBy::Timeout, Some(408), None, true),
        (EndedBy::Unreachable, None, None, true),
        (EndedBy::Remote, Some(407), None, true),
        (EndedBy::Remote, Some(403), None, true),
        (EndedBy::Remote, Some(488), None, true),
        (EndedBy::Remote, Some(302), None, true),
        // No route there, and no circuit: another network may have one.
        (EndedBy::Remote, Some(404), Some(2), true),
        (EndedBy::Remote, Some(480), Some(34), true),
        (EndedBy::Remote, Some(486), Some(17), false),
        (EndedBy::Remote, Some(404), Some(1), false),
        (EndedBy::Remote, Some(603), Some(21), false),
        (EndedBy::Remote, Some(503), Some(17), false),
        (EndedBy::Remote, Some(408), Some(18), false),
        (EndedBy::Timeout, Some(487), Some(19), false),
    ] {
        let mut b = Bench::new(Some(g711(1)), targets(), OnwardT38::Pass);
        assert_eq!(b.take(), "place:0.0:8+101@5000");
        b.fails(0, by, code, q850);
        if on {
            // The second has nobody: the third is tried.
            assert_eq!(b.take(), "place:2.0:8+101@5000", "{code:?}");
            b.answer(1, g711(2));
            assert!(b.take().starts_with("answer:"));
            assert_eq!(b.report, None);
        } else {
            let told = match code.unwrap() {
                487 => 480,
                503 => 500,
                other => other,
            };
            assert_eq!(b.take(), format!("reject:{told}:Q.850;cause={} done", q850.unwrap()));
            assert_eq!(b.report.unwrap().sip_status, code);
        }
    }
    let mut b = Bench::new(Some(g711(1)), targets(), OnwardT38::Pass);
    b.fails(0, EndedBy::Remote, Some(486), None);
    assert!(b.take().ends_with("reject:486 done"));
    let mut b = Bench::new(Some(g711(1)), targets(), OnwardT38::Pass);
    b.fails(0, EndedBy::Remote, Some(503), None);
    b.fails(1, EndedBy::Remote, Some(503), None);
    // 503 of theirs is no overload of ours.
    assert!(b.take().ends_with("reject:500 done"));
    let nobody = vec![step(0, 0, true, OnwardT38::Pass)];
    assert_eq!(Bench::new(Some(g711(1)), nobody, OnwardT38::Pass).take(), "reject:480 done");
}

#[test]
fn of_several_places_the_first_that_answers_has_the_call() {
    let mut b = Bench::new(Some(g711(1)), vec![step(0, 3, false, OnwardT38::Pass)], OnwardT38::Pass);
    assert_eq!(b.take(), "place:0.0:8+101@5000 place:0.1:8+101@5000 place:0.2:8+101@5000");
    b.fails(0, EndedBy::Remote, Some(486), None);
    // Early media of one of several is kept from the caller.
    b.give(Input::Called(1, Event::Progress { call: CallKey(201), code: 183, sdp: Some(g711(2)) }));
    assert_eq!(b.take(), "ring:183");
    b.answer(2, g711(2));
    assert!(b.take().starts_with("b201:hangup:0 answer:8+101@4000"));
    // One that answered at the same moment is cleared.
    b.answer(1, g711(3));
    assert_eq!(b.take(), "b201:hangup:26");
    b.fails(1, EndedBy::Local, None, None);
    assert_eq!(b.report, None);
    assert_eq!(b.take(), "");
}

#[test]
fn places_are_called_one_after_the_other_where_that_is_wanted() {
    let steps = vec![step(0, 1, true, OnwardT38::Pass), step(0, 1, true, OnwardT38::Pass)];
    let mut b = Bench::new(Some(g711(1)), steps.clone(), OnwardT38::Pass);
    b.fails(0, EndedBy::Remote, Some(486), None);
    b.fails(1, EndedBy::Timeout, Some(487), None);
    assert_eq!(b.take(), "place:0.0:8+101@5000 place:1.0:8+101@5000 reject:486 done");
    // Declined everywhere means everywhere (RFC 3261 §21.6).
    let mut b = Bench::new(Some(g711(1)), steps, OnwardT38::Pass);
    b.fails(0, EndedBy::Remote, Some(603), None);
    assert_eq!(b.take(), "place:0.0:8+101@5000 reject:603 done");
}

#[test]
fn a_caller_that_gives_up_takes_every_place_with_it() {
    let mut b = Bench::new(Some(g711(1)), vec![step(0, 2, false, OnwardT38::Pass)], OnwardT38::Pass);
    b.take();
    b.of(Side::A, |call| Event::Ended { call, cause: cause(EndedBy::Remote, Some(487), Some(16)) });
    assert_eq!(b.take(), "b200:hangup:16 b201:hangup:16 done");
    let report = b.report.unwrap();
    assert_eq!((report.answered, report.ended_by), (false, Some(Side::A)));
}

#[test]
fn t38_that_one_side_offers_is_offered_to_the_other() {
    for side in [Side::A, Side::B] {
        let mut b = Bench::up(OnwardT38::Pass, OnwardT38::Pass);
        let (here, there, port) = if side == Side::A { ("a", "b", 5000) } else { ("b", "a", 4000) };
        b.offers(side, image(if side == Side::A { 1 } else { 2 }));
        assert_eq!(b.take(), format!("{there}:offer:t38@{port}"));
        assert!(String::from_utf8_lossy(&b.last_sdp).contains("t38UDPFEC"), "its words go on");
        b.takes(side.other(), image(if side == Side::A { 2 } else { 1 }));
        let own = if side == Side::A { 4000 } else { 5000 };
        assert_eq!(b.take(), format!("{here}:take:t38@{own} A=relay:192.0.2.1:6002 B=relay:192.0.2.2:6002"));
        // The same again, from another port: what holds is answered.
        let moved = sdp(1, 3, "m=image 7000 udptl t38\r\na=T38FaxVersion:0");
        b.offers(Side::A, moved);
        assert_eq!(b.take(), "a:take:t38@4000 A=relay:192.0.2.1:7000");
        b.give(Input::GiveUp);
        assert_eq!(b.report.unwrap().t38, [true, true]);
    }
}

#[test]
fn t38_that_the_other_side_does_not_want_is_converted() {
    let refused = |b: &mut Bench| b.refuses(Side::B, 488);
    let audio = |b: &mut Bench| b.takes(Side::B, g711(2));
    let late = |b: &mut Bench| b.pass(OTHER_SIDE);
    for (name, how) in [("488", &refused as &dyn Fn(&mut Bench)), ("audio", &audio), ("no answer", &late)] {
        let mut b = Bench::up(OnwardT38::Pass, OnwardT38::Pass);
        b.offers(Side::A, image(1));
        assert_eq!(b.take(), "b:offer:t38@5000");
        how(&mut b);
        assert_eq!(b.take(), "a:take:t38@4000 A=t38 B=audio8", "{name}");
        assert!(String::from_utf8_lossy(&b.last_sdp).contains("T38FaxVersion:0"));
    }
    // An answer in which every stream is off leaves none: audio is offered again.
    let mut b = Bench::up(OnwardT38::Pass, OnwardT38::Pass);
    b.offers(Side::A, image(1));
    b.takes(Side::B, sdp(2, 3, "m=image 0 udptl t38"));
    assert_eq!(b.take(), "b:offer:t38@5000 a:take:t38@4000 A=t38 B=audio8 b:offer:8+0+101@5000");
    // A late yes makes both T.38.
    let mut b = Bench::up(OnwardT38::Pass, OnwardT38::Pass);
    b.offers(Side::A, image(1));
    b.pass(OTHER_SIDE);
    b.take();
    b.takes(Side::B, image(2));
    assert_eq!(b.take(), "B=t38");
}

#[test]
fn the_policy_of_a_side_keeps_t38_from_it_or_brings_it_there() {
    let mut b = Bench::up(OnwardT38::Pass, OnwardT38::Never);
    b.offers(Side::A, image(1));
    assert_eq!(b.take(), "a:take:t38@4000 A=t38 B=audio8");
    b.offers(Side::B, image(2));
    assert_eq!(b.take(), "b:refuse:488");

    let mut b = Bench::up(OnwardT38::Pass, OnwardT38::Gateway);
    b.give(Input::Heard(Side::A, SideHeard::Fax));
    assert_eq!(b.take(), "b:offer:t38@5000");
    b.takes(Side::B, image(2));
    assert_eq!(b.take(), "B=t38");
    b.give(Input::Heard(Side::B, SideHeard::Fax));
    assert_eq!(b.take(), "", "once a call");

    let mut b = Bench::up(OnwardT38::Gateway, OnwardT38::Pass);
    b.give(Input::Heard(Side::B, SideHeard::Fax));
    assert_eq!(b.take(), "a:offer:t38@4000");
    b.refuses(Side::A, 488);
    assert_eq!(b.take(), "");
    let mut b = Bench::up(OnwardT38::Pass, OnwardT38::Pass);
    b.give(Input::Heard(Side::B, SideHeard::Fax));
    assert_eq!(b.take(), "");
}

#[test]
fn t38_that_stays_silent_goes_back_to_audio() {
    let mut b = Bench::up(OnwardT38::Pass, OnwardT38::Never);
    b.offers(Side::A, image(1));
    b.take();
    b.give(Input::Heard(Side::A, SideHeard::T38Silent));
    assert_eq!(b.take(), "a:offer:8+0+101@4000");
    b.takes(Side::A, g711(1));
    assert_eq!(b.take(), "A=relay:192.0.2.1:6000 B=relay:192.0.2.2:6000");
}

#[test]
fn a_side_that_goes_back_to_audio_takes_the_other_along_or_is_converted() {
    let up = || {
        let mut b = Bench::up(OnwardT38::Pass, OnwardT38::Pass);
        b.offers(Side::A, image(1));
        b.takes(Side::B, image(2));
        b.take();
        b.offers(Side::B, g711(2));
        assert_eq!(b.take(), "a:offer:8+101@4000");
        b
    };
    let mut b = up();
    b.takes(Side::A, g711(1));
    assert_eq!(b.take(), "b:take:8+101@5000 A=relay:192.0.2.1:6000 B=relay:192.0.2.2:6000");
    let mut b = up();
    b.refuses(Side::A, 488);
    assert_eq!(b.take(), "b:take:8+101@5000 A=t38 B=audio8");
}

#[test]
fn hold_and_other_offers_of_audio_are_passed_on() {
    let mut b = Bench::up(OnwardT38::Pass, OnwardT38::Pass);
    b.offers(Side::A, sdp(1, 2, "m=audio 6000 RTP/AVP 8\r\na=sendonly"));
    assert_eq!(b.take(), "b:offer:8@5000");
    assert!(String::from_utf8_lossy(&b.last_sdp).contains("a=sendonly"));
    b.takes(Side::B, sdp(2, 2, "m=audio 6000 RTP/AVP 8\r\na=recvonly"));
    assert_eq!(b.take(), "a:take:8@4000");
    assert!(String::from_utf8_lossy(&b.last_sdp).contains("a=recvonly"));
    // Nothing comes while it is held: that is no loss.
    b.give(Input::Heard(Side::B, SideHeard::Timeout));
    assert_eq!(b.take(), "");
    // The old way of holding: nothing is sent to 0.0.0.0.
    b.offers(Side::A, sdp(1, 3, "c=IN IP4 0.0.0.0\r\nm=audio 6000 RTP/AVP 8"));
    b.takes(Side::B, sdp(2, 3, "m=audio 6000 RTP/AVP 8\r\na=recvonly"));
    assert!(b.take().ends_with("A=off"), "held");
    b.offers(Side::A, g711(1));
    b.refuses(Side::B, 491);
    assert!(b.take().ends_with("a:refuse:491"));
    b.give(Input::Heard(Side::B, SideHeard::Timeout));
    assert_eq!(b.take(), "", "still held");
}

#[test]
fn a_call_in_which_nothing_comes_any_more_is_cleared_on_both_sides() {
    let mut b = Bench::up(OnwardT38::Pass, OnwardT38::Pass);
    b.give(Input::Heard(Side::A, SideHeard::Timeout));
    assert_eq!(b.take(), "a100:hangup:41 b200:hangup:41 stop done");
    b.offers(Side::A, g711(1));
    assert_eq!(b.take(), "");
}

#[test]
fn a_caller_with_t38_alone_gets_it_from_the_called_or_from_us() {
    let mut b = Bench::with(image(1));
    assert_eq!(b.take(), "place:0.0:t38@5000");
    b.answer(0, image(2));
    assert_eq!(b.take(), "answer:t38@4000 begin:5000 A=relay:192.0.2.1:6002 B=relay:192.0.2.2:6002");
    let mut b = Bench::with(image(1));
    b.take();
    b.fails(0, EndedBy::Remote, Some(488), None);
    assert_eq!(b.take(), "place:0.0:8+0+101@5000");
    b.answer(1, g711(2));
    assert_eq!(b.take(), "answer:t38@4000 begin:5000 A=t38 B=audio8");
}

#[test]
fn nonsense_ends_nothing_but_the_call() {
    let mut b = Bench::with(sdp(1, 1, "m=video 6000 RTP/AVP 31"));
    assert_eq!(b.take(), "reject:488 done");
    let mut b = Bench::with(g711(1));
    b.answer(0, Bytes::from_static(b"nonsense"));
    assert_eq!(b.take(), "place:0.0:8+101@5000 b200:hangup:88 reject:488 done");
    let mut b = Bench::up(OnwardT38::Pass, OnwardT38::Pass);
    b.offers(Side::A, Bytes::from_static(b"nonsense"));
    b.takes(Side::A, Bytes::from_static(b"nobody asked"));
    b.refuses(Side::B, 488);
    b.give(Input::NotPlaced { number: 7, q850: None, reason: String::new() });
    assert_eq!(b.take(), "a:refuse:488");
    b.pass(LONGEST_CALL);
    assert_eq!(b.take(), "a100:hangup:102 b200:hangup:102 stop done");
}
