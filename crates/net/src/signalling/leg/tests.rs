//! Legs on a simulated clock: events in, commands and the report out; every state ends within its timers.

use super::ending::{FAREWELL, GIVE_UP, LAST_WORDS};
use super::*;
use fax_sip::{CallKey, EndCause, EndedBy, Event};
use fax_t30::{Cause, Failure, Outcome, Phase};

const CALL: CallKey = CallKey(1);

fn sdp(version: u32, media: &str) -> Bytes {
    format!("v=0\r\no=p 9 {version} IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n{media}\r\n")
        .into()
}

fn audio() -> Bytes {
    sdp(1, "m=audio 6000 RTP/AVP 8")
}

fn image(version: u32) -> Bytes {
    sdp(version, "m=image 6002 udptl t38\r\na=T38FaxVersion:0\r\na=T38FaxRateManagement:transferredTCF")
}

fn terminal() -> Box<fax_terminal::Config> {
    Box::new(fax_terminal::Config {
        role: fax_t30::Role::Called,
        ident: String::new(),
        capabilities: fax_t30::Capabilities::default(),
        ..fax_terminal::Config::default()
    })
}

fn outcome() -> Box<Outcome> {
    Box::new(Outcome { failure: Some(Failure::new(Cause::NoFax, Phase::B)), ..Outcome::default() })
}

fn cause(code: u16) -> EndCause {
    EndCause { q850: Some(17), ..EndCause::new(EndedBy::Remote, Some(code), "said so") }
}

/// A leg with its clock, and everything it wanted.
struct Bench {
    leg: Leg,
    now: Instant,
    log: Vec<String>,
    report: Option<CallReport>,
}

impl Bench {
    fn new(leg: Leg) -> Bench {
        Bench { leg, now: Instant::ZERO, log: Vec::new(), report: None }
    }

    fn policy() -> T38Policy {
        T38Policy {
            offer_as_called: Some(Duration::from_secs(1)),
            offer_as_caller: Some(Duration::from_secs(6)),
            accept: true,
        }
    }

    fn session() -> Session {
        Session::new("192.0.2.1:4000".parse().unwrap(), 1)
    }

    /// Our INVITE is out.
    fn calling() -> Bench {
        let mut bench =
            Bench::new(Leg::calling(Instant::ZERO, CALL, Self::policy(), Self::session(), terminal()));
        assert!(bench.leg.first_offer().starts_with(b"v=0"));
        bench
    }

    /// An INVITE with this offer is here.
    fn called(offer: Option<Bytes>) -> Bench {
        let mut leg = Leg::called(Instant::ZERO, CALL, Self::policy(), Self::session(), "id".to_owned());
        leg.offered(offer.as_ref()).unwrap();
        Bench::new(leg)
    }

    /// We called, and the call is up with audio.
    fn up_as_caller() -> Bench {
        let mut bench = Self::calling();
        let remote = "192.0.2.9:5060".parse().unwrap();
        bench.sip(Event::Answered { call: CALL, answer: Some(audio()), remote });
        assert_eq!(bench.take(), "Answered Begin");
        bench
    }

    /// We were called, and the call is up with audio.
    fn up_as_called() -> Bench {
        let mut bench = Self::called(Some(audio()));
        bench.give(Input::Accept(terminal()));
        bench.sip(Event::Confirmed { call: CALL, answer: None });
        assert_eq!(bench.take(), "sip:Answer Begin Answered");
        bench
    }

    /// The far end took our T.38.
    fn t38() -> Bench {
        let mut bench = Self::up_as_called();
        bench.pass(Duration::from_secs(1));
        bench.sip(Event::ReinviteAnswered { call: CALL, answer: image(2) });
        assert_eq!(bench.take(), "sip:Reinvite:t38 media:T38 T38");
        bench
    }

    fn give(&mut self, input: Input) {
        self.leg.handle(self.now, input);
        while let Some(output) = self.leg.poll() {
            let word = match output {
                Output::Sip(command) => {
                    let name = format!("{command:?}");
                    let name = name.split([' ', '(']).next().unwrap();
                    match &command {
                        sip::Command::Reinvite { offer, .. } => {
                            let t38 = offer.windows(7).any(|w| w == b"m=image")
                                && !offer.windows(9).any(|w| w == b"m=image 0");
                            format!("sip:{name}:{}", if t38 { "t38" } else { "audio" })
                        }
                        _ => format!("sip:{name}"),
                    }
                }
                Output::Begin(_) => "Begin".to_owned(),
                Output::Media(command) => format!("media:{command:?}"),
                Output::Tell(CallEvent::Ended(report)) => {
                    assert!(self.report.is_none(), "ended twice");
                    let word = format!("{:?}", report.end);
                    self.report = Some(*report);
                    word
                }
                Output::Tell(CallEvent::T38Refused { code, .. }) => format!("T38Refused:{code}"),
                Output::Tell(CallEvent::Fax(_) | CallEvent::Signal(_)) => continue,
                Output::Tell(event) => format!("{event:?}"),
                Output::Done => "Done".to_owned(),
            };
            self.log.push(word);
        }
    }

    fn sip(&mut self, event: Event) {
        self.give(Input::Sip(event));
    }

    fn media(&mut self, event: MediaEvent) {
        self.give(Input::Media(event));
    }

    fn phase(&mut self, phase: Phase) {
        self.media(MediaEvent::Event(fax_t30::Event::Phase(phase)));
    }

    /// Lets time pass; timers come when they are due.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.leg.deadline().filter(|at| *at <= end) {
            self.now = at;
            self.give(Input::Timeout);
        }
        self.now = end;
    }

    /// What happened since the last look.
    fn take(&mut self) -> String {
        std::mem::take(&mut self.log).join(" ")
    }

    fn end(&self) -> CallEnd {
        self.report.as_ref().expect("the call has not ended").end
    }
}

#[test]
fn a_refused_call_is_told_with_its_cause() {
    let mut bench = Bench::calling();
    bench.sip(Event::Progress { call: CALL, code: 180, sdp: None });
    bench.sip(Event::Ended { call: CALL, cause: cause(486) });
    assert_eq!(bench.take(), "Ringing NotAnswered Done");
    let report = bench.report.unwrap();
    assert_eq!((report.sip_status, report.q850), (Some(486), Some(17)));
    assert_eq!(report.reason, "said so");
    assert_eq!(bench.leg.deadline(), None);
}

#[test]
fn an_answer_without_common_media_is_released_with_its_cause() {
    let remote = "192.0.2.9:5060".parse().unwrap();
    for answer in [
        None,
        Some(sdp(1, "m=audio 0 RTP/AVP 8")),
        Some(Bytes::from_static(b"v=")),
        Some(audio().slice(..20)),
    ] {
        let mut bench = Bench::calling();
        bench.sip(Event::Answered { call: CALL, answer, remote });
        assert_eq!(bench.take(), "sip:Hangup NoCommonMedia Done");
    }
}

/// Our T.38 is refused, by whatever status.
fn refusal(code: u16) -> Event {
    Event::ReinviteRefused { call: CALL, code, reason: "No".to_owned() }
}

fn audio_again(version: u32) -> Bytes {
    sdp(version, "m=audio 6000 RTP/AVP 8")
}

#[test]
fn refused_t38_goes_on_by_audio_and_their_own_offer_is_still_taken() {
    for code in [488, 415, 606, 501, 403, 400, 405, 500, 408] {
        let mut bench = Bench::up_as_called();
        bench.pass(Duration::from_millis(999));
        assert_eq!(bench.take(), "");
        bench.pass(Duration::from_millis(1));
        assert_eq!(bench.take(), "sip:Reinvite:t38");
        bench.sip(refusal(code));
        bench.pass(Duration::from_secs(600));
        assert_eq!(bench.take(), format!("T38Refused:{code}"), "nothing else happens");
        bench.media(MediaEvent::End(outcome()));
        assert_eq!(bench.take(), "sip:Hangup media:Stop Fax Done");
        let report = bench.report.unwrap();
        assert_eq!((report.t38_refused, report.sip_status, report.t38), (Some(code), None, false));
    }
    let mut bench = Bench::up_as_called();
    bench.pass(Duration::from_secs(1));
    bench.sip(refusal(488));
    bench.pass(Duration::from_secs(3));
    bench.sip(Event::ReinviteOffered { call: CALL, offer: image(2) });
    assert_eq!(bench.take(), "sip:Reinvite:t38 T38Refused:488 sip:AcceptReinvite media:T38 T38");
}

#[test]
fn an_answer_that_is_no_t38_is_a_refusal_and_audio_is_agreed_anew() {
    for (answer, first) in [
        (audio_again(2), "media:Audio "),
        (sdp(2, "m=image 0 udptl t38"), ""),
        (Bytes::from_static(b"\xFF\xFE"), ""),
    ] {
        let mut bench = Bench::up_as_called();
        bench.pass(Duration::from_secs(1));
        bench.take();
        bench.sip(Event::ReinviteAnswered { call: CALL, answer });
        assert_eq!(bench.take(), format!("{first}T38Refused:200 sip:Reinvite:audio"));
        // Whether that is answered or not, the fax is in audio.
        let mut other = Bench::up_as_called();
        std::mem::swap(&mut other, &mut bench);
        other.sip(Event::ReinviteAnswered { call: CALL, answer: audio_again(3) });
        assert_eq!(other.take(), "media:Audio");
        other.pass(Duration::from_secs(600));
        assert_eq!(other.take(), "");
    }
}

#[test]
fn t38_that_is_agreed_late_holds_for_the_far_end_goes_by_it() {
    let mut bench = Bench::up_as_called();
    bench.pass(Duration::from_secs(1));
    bench.sip(refusal(408));
    bench.phase(Phase::C);
    bench.take();
    bench.sip(Event::ReinviteAnswered { call: CALL, answer: image(2) });
    assert_eq!(bench.take(), "media:T38 T38");
}

#[test]
fn the_calling_side_lets_the_called_one_offer_first() {
    let offer_at = |heard: Option<u64>| {
        let mut bench = Bench::up_as_caller();
        if let Some(heard) = heard {
            bench.pass(Duration::from_millis(heard));
            bench.phase(Phase::B); // the preamble of V.21
        }
        let before = bench.now;
        while !bench.log.iter().any(|l| l == "sip:Reinvite:t38") {
            bench.pass(Duration::from_millis(100));
            assert!(bench.now.since(before) < Duration::from_secs(60));
        }
        bench.now.since(Instant::ZERO).as_millis()
    };
    // At 6 s, and never before 1.5 s of the far end's own time.
    assert_eq!(offer_at(Some(2_000)), 6_000);
    assert_eq!(offer_at(Some(5_000)), 6_500);
    assert_eq!(offer_at(Some(12_000)), 13_500);
    // Nothing heard at all.
    assert_eq!(offer_at(None), 18_000);
    // CED is a fax tone too.
    let mut bench = Bench::up_as_caller();
    bench.pass(Duration::from_secs(1));
    bench.media(MediaEvent::Tone(fax_base::line::Tone::Ced));
    bench.pass(Duration::from_secs(5));
    assert_eq!(bench.take(), "sip:Reinvite:t38");
}

#[test]
fn the_called_side_offers_as_soon_as_cng_is_heard() {
    let mut bench = Bench::up_as_called();
    bench.pass(Duration::from_millis(300));
    bench.media(MediaEvent::Tone(fax_base::line::Tone::Cng));
    bench.pass(Duration::ZERO);
    assert_eq!(bench.take(), "sip:Reinvite:t38");
}

#[test]
fn nothing_is_offered_once_a_page_goes_by_audio() {
    let mut bench = Bench::up_as_caller();
    bench.pass(Duration::from_secs(3));
    bench.phase(Phase::B);
    bench.phase(Phase::C);
    bench.pass(Duration::from_secs(60));
    // Phase B again, for the next document.
    bench.phase(Phase::D);
    bench.phase(Phase::B);
    bench.pass(Duration::from_secs(60));
    assert_eq!(bench.take(), "");
}

#[test]
fn the_carrier_changes_in_phases_a_and_b_only() {
    let t38 = |bench: &mut Bench| {
        bench.sip(Event::ReinviteOffered { call: CALL, offer: image(5) });
        bench.take()
    };
    for (phase, taken) in
        [(Phase::A, true), (Phase::B, true), (Phase::C, false), (Phase::D, false), (Phase::E, false)]
    {
        let mut bench = Bench::up_as_caller();
        bench.phase(phase);
        let want = if taken { "sip:AcceptReinvite media:T38 T38" } else { "sip:RejectReinvite" };
        assert_eq!(t38(&mut bench), want, "{phase:?}");
        // Audio again is no change.
        let mut bench = Bench::up_as_caller();
        bench.phase(phase);
        bench.sip(Event::ReinviteOffered { call: CALL, offer: audio_again(2) });
        assert_eq!(bench.take(), "sip:AcceptReinvite media:Audio");
        let mut bench = Bench::t38();
        bench.phase(phase);
        bench.sip(Event::ReinviteOffered { call: CALL, offer: audio_again(3) });
        let want = if taken { "sip:AcceptReinvite media:Audio Audio" } else { "sip:RejectReinvite" };
        assert_eq!(bench.take(), want, "{phase:?}");
        // And T.38 again is none.
        let mut bench = Bench::t38();
        bench.phase(phase);
        assert_eq!(t38(&mut bench), "sip:AcceptReinvite media:T38");
    }
}

#[test]
fn back_and_forth_within_one_call() {
    let mut bench = Bench::t38();
    bench.sip(Event::ReinviteOffered { call: CALL, offer: audio_again(3) });
    bench.sip(Event::ReinviteOffered { call: CALL, offer: image(4) });
    bench.pass(Duration::from_secs(60));
    let want = "sip:AcceptReinvite media:Audio Audio sip:AcceptReinvite media:T38 T38";
    assert_eq!(bench.take(), want);
}

#[test]
fn their_offer_in_glare_makes_ours_unneeded() {
    // Theirs first: ours is not sent at all.
    let mut bench = Bench::up_as_caller();
    bench.pass(Duration::from_secs(5));
    bench.sip(Event::ReinviteOffered { call: CALL, offer: image(2) });
    bench.pass(Duration::from_secs(60));
    assert_eq!(bench.take(), "sip:AcceptReinvite media:T38 T38");
    // Ours was out: the user agent tells of its end after theirs was taken.
    let mut bench = Bench::up_as_called();
    bench.pass(Duration::from_secs(6));
    bench.sip(Event::ReinviteOffered { call: CALL, offer: image(2) });
    bench.sip(refusal(491));
    bench.pass(Duration::from_secs(60));
    assert_eq!(bench.take(), "sip:Reinvite:t38 sip:AcceptReinvite media:T38 T38");
    assert_eq!(bench.leg.report.t38_refused, None);
}

#[test]
fn t38_that_stays_silent_goes_back_to_audio_and_keeps_to_it() {
    let mut bench = Bench::t38();
    bench.media(MediaEvent::T38Silent);
    assert_eq!(bench.take(), "sip:Reinvite:audio");
    bench.sip(Event::ReinviteAnswered { call: CALL, answer: audio_again(3) });
    assert_eq!(bench.take(), "media:Audio Audio");
    bench.sip(Event::ReinviteOffered { call: CALL, offer: image(4) });
    assert_eq!(bench.take(), "sip:RejectReinvite", "it would be silent again");
    bench.media(MediaEvent::End(outcome()));
    assert_eq!(bench.take(), "sip:Hangup media:Stop Fax Done");
    assert!(!bench.report.unwrap().t38);
}

#[test]
fn silent_t38_where_audio_is_refused_is_told_as_such() {
    let mut bench = Bench::t38();
    bench.media(MediaEvent::T38Silent);
    bench.sip(refusal(488));
    bench.pass(Duration::from_secs(30));
    assert_eq!(bench.take(), "sip:Reinvite:audio");
    bench.media(MediaEvent::End(outcome()));
    bench.pass(FAREWELL);
    assert_eq!(bench.take(), "sip:Hangup media:Stop T38Silent Done");
    assert!(bench.report.unwrap().outcome.is_some());
    // It was only slow.
    let mut bench = Bench::t38();
    bench.media(MediaEvent::T38Silent);
    bench.sip(refusal(488));
    bench.media(MediaEvent::T38Heard);
    bench.media(MediaEvent::End(outcome()));
    bench.pass(FAREWELL);
    assert_eq!(bench.end(), CallEnd::Fax);
}

#[test]
fn the_last_packets_leave_before_bye() {
    let mut bench = Bench::t38();
    bench.media(MediaEvent::End(outcome()));
    assert_eq!(bench.take(), "");
    // Nothing that comes now changes the end.
    bench.media(MediaEvent::T38Silent);
    bench.give(Input::GiveUp);
    bench.pass(FAREWELL);
    assert_eq!(bench.take(), "sip:Hangup media:Stop Fax Done");
    // Their BYE may be faster.
    let mut bench = Bench::t38();
    bench.media(MediaEvent::End(outcome()));
    bench.sip(Event::Ended { call: CALL, cause: cause(200) });
    assert_eq!(bench.take(), "media:Stop Fax Done");
    assert!(bench.report.unwrap().outcome.is_some());
}

#[test]
fn bye_waits_for_the_last_words_of_the_fax() {
    let ended = || Event::Ended { call: CALL, cause: cause(200) };
    for mut bench in [Bench::up_as_caller(), Bench::up_as_called(), Bench::t38()] {
        bench.sip(ended());
        assert_eq!(bench.take(), "media:HungUp");
        bench.media(MediaEvent::End(outcome()));
        assert_eq!(bench.take(), "media:Stop Fax Done");
        assert!(bench.report.unwrap().outcome.is_some());
    }
    // They never come.
    let mut bench = Bench::t38();
    bench.sip(ended());
    bench.pass(LAST_WORDS);
    assert_eq!(bench.end(), CallEnd::Fax);
}

#[test]
fn bye_before_the_ack_ends_the_call() {
    // With the offer in the INVITE media run already; with ours in the 200 they do not.
    let mut bench = Bench::called(Some(audio()));
    bench.give(Input::Accept(terminal()));
    bench.sip(Event::Ended { call: CALL, cause: cause(200) });
    bench.pass(LAST_WORDS);
    assert_eq!(bench.end(), CallEnd::Fax);
    let mut bench = Bench::called(None);
    bench.give(Input::Accept(terminal()));
    bench.sip(Event::Ended { call: CALL, cause: cause(200) });
    assert_eq!(bench.take(), "sip:Answer NotAnswered Done");
}

#[test]
fn a_late_offer_begins_with_the_ack() {
    let mut bench = Bench::called(None);
    bench.give(Input::Accept(terminal()));
    assert_eq!(bench.take(), "sip:Answer");
    bench.sip(Event::Confirmed { call: CALL, answer: Some(audio()) });
    assert_eq!(bench.take(), "Answered Begin");
    let mut bench = Bench::called(None);
    bench.give(Input::Accept(terminal()));
    bench.sip(Event::Confirmed { call: CALL, answer: None });
    assert_eq!(bench.take(), "sip:Answer Answered sip:Hangup NoCommonMedia Done");
}

#[test]
fn giving_up_ends_every_state_in_bounded_time() {
    let answered = || {
        let mut bench = Bench::called(None);
        bench.give(Input::Accept(terminal()));
        bench
    };
    let offering = || {
        let mut bench = Bench::up_as_called();
        bench.pass(Duration::from_secs(1));
        bench
    };
    for (mut bench, end) in [
        (Bench::calling(), CallEnd::NotAnswered),
        (Bench::called(Some(audio())), CallEnd::NotAnswered),
        (answered(), CallEnd::NotAnswered),
        (Bench::up_as_caller(), CallEnd::Fax),
        (Bench::up_as_called(), CallEnd::Fax),
        (offering(), CallEnd::Fax),
        (Bench::t38(), CallEnd::Fax),
    ] {
        bench.give(Input::GiveUp);
        // Neither terminal nor peer says anything.
        bench.pass(GIVE_UP);
        assert_eq!(bench.end(), end);
        assert_eq!(bench.leg.deadline(), None);
        // And nothing that comes late is told.
        bench.take();
        bench.media(MediaEvent::End(outcome()));
        bench.give(Input::GiveUp);
        bench.sip(Event::Ended { call: CALL, cause: cause(200) });
        assert_eq!(bench.take(), "");
    }
}

#[test]
fn a_mute_call_ends_at_last() {
    for mut bench in [Bench::up_as_caller(), Bench::t38()] {
        bench.pass(LONGEST_CALL);
        assert_eq!(bench.end(), CallEnd::Internal);
    }
}

#[test]
fn an_image_alone_begins_with_t38_and_nothing_is_offered() {
    let mut bench = Bench::called(Some(image(1)));
    bench.give(Input::Accept(terminal()));
    bench.sip(Event::Confirmed { call: CALL, answer: None });
    assert_eq!(bench.take(), "sip:Answer Begin media:T38 T38 Answered");
    bench.pass(Duration::from_secs(60));
    assert_eq!(bench.take(), "");
}

#[test]
fn what_no_trunk_of_ours_may_do_is_refused() {
    let policy = T38Policy::NEVER;
    let mut leg = Leg::called(Instant::ZERO, CALL, policy, Bench::session(), String::new());
    assert!(leg.offered(Some(&image(1))).is_err());
    let remote = "192.0.2.9:5060".parse().unwrap();
    let leg = Leg::calling(Instant::ZERO, CALL, policy, Bench::session(), terminal());
    let mut bench = Bench::new(leg);
    bench.leg.first_offer();
    bench.sip(Event::Answered { call: CALL, answer: Some(audio()), remote });
    bench.sip(Event::ReinviteOffered { call: CALL, offer: image(2) });
    bench.pass(Duration::from_secs(60));
    assert_eq!(bench.take(), "Answered Begin sip:RejectReinvite");
}
