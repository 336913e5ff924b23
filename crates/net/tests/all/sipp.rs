//! Interworking with SIPp on loopback, which calls and is called (RFC 3261, 3264; T.38 Annex D).
//!
//! The scenarios are in `testdata/sipp`. SIPp's exit status says that every message came as the
//! scenario wants it; the test looks at what the call's owner was told.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::bench;

use bench::sipp::{BOUND, Sipp};
use bench::{Side, Story, free, page, request, side, side_with, story_within, terminal};
use fax_net::{Call, CallEnd, Listen, T38Policy, Transport, Trunk};
use fax_t30 as t30;
use std::net::SocketAddr;
use std::time::Duration;

/// Nobody but the test's subject offers T.38.
fn quiet(trunk: &mut Trunk) {
    trunk.t38 = T38Policy { offer_as_called: None, offer_as_caller: None, accept: true };
}

/// We offer T.38 soon after the answer.
fn eager(trunk: &mut Trunk) {
    trunk.t38 = T38Policy {
        offer_as_called: Some(Duration::from_millis(300)),
        offer_as_caller: Some(Duration::from_millis(300)),
        accept: true,
    };
}

/// We and SIPp by one of its transports.
async fn ours(by: &str, own: SocketAddr, at: SocketAddr, change: impl FnOnce(&mut Trunk)) -> Side {
    if by == "u1" {
        return side(own, at, change).await;
    }
    side_with(own, at, |config| {
        config.listen = vec![Listen::new(Transport::Tcp, own)];
        let trunk = config.trunks.first_mut().unwrap();
        trunk.transport = Some(Transport::Tcp);
        change(trunk);
    })
    .await
}

/// We call SIPp.
async fn calling(scenario: &str, fill: &[(&str, &str)], change: impl FnOnce(&mut Trunk)) -> Story {
    calling_by("u1", scenario, fill, change).await
}

async fn calling_by(
    by: &str,
    scenario: &str,
    fill: &[(&str, &str)],
    change: impl FnOnce(&mut Trunk),
) -> Story {
    let (sipp, at) = Sipp::listen_by(by, scenario, fill).await;
    let ours = ours(by, free(), at, change).await;
    let pages = vec![page(100).1];
    let call = ours.endpoint.call(request(terminal(t30::Role::Calling, pages, true)));
    let story = story_within(call, BOUND).await;
    sipp.succeeds().await;
    story
}

/// SIPp calls us.
async fn caller(scenario: &str, fill: &[(&str, &str)], change: impl FnOnce(&mut Trunk)) -> (Sipp, Side) {
    caller_by("u1", scenario, fill, change).await
}

async fn caller_by(
    by: &str,
    scenario: &str,
    fill: &[(&str, &str)],
    change: impl FnOnce(&mut Trunk),
) -> (Sipp, Side) {
    let (own, at) = (free(), free());
    let ours = ours(by, own, at, change).await;
    let target = own.to_string();
    let target = [target.as_str(), "-s", "+4930456"];
    (Sipp::start_by(by, scenario, at, fill, &target), ours)
}

/// SIPp calls us and we answer.
async fn called(scenario: &str, fill: &[(&str, &str)], change: impl FnOnce(&mut Trunk)) -> Story {
    called_by("u1", scenario, fill, change).await
}

async fn called_by(
    by: &str,
    scenario: &str,
    fill: &[(&str, &str)],
    change: impl FnOnce(&mut Trunk),
) -> Story {
    let (sipp, mut ours) = caller_by(by, scenario, fill, change).await;
    let call = answer(&mut ours, Duration::ZERO).await;
    let story = story_within(call, BOUND).await;
    sipp.succeeds().await;
    assert!(ours.incoming.try_recv().is_err(), "one INVITE is one call, however often it comes");
    story
}

async fn answer(ours: &mut Side, after: Duration) -> Call {
    let incoming = tokio::time::timeout(BOUND, ours.incoming.recv()).await;
    let incoming = incoming.expect("nobody calls").unwrap();
    assert_eq!((incoming.to.as_str(), incoming.from.as_str()), ("+4930456", "+493099"));
    assert_eq!(incoming.from_name, "Fax, a");
    tokio::time::sleep(after).await;
    incoming.accept(terminal(t30::Role::Called, Vec::new(), true))
}

fn seconds(story: &Story) -> f64 {
    story.report.duration.as_secs_f64()
}

/// The far end cleared a call that was up; the fax had not come to its end.
fn cleared_in_mid_call(story: &Story, t38: bool) {
    assert_eq!(story.report.end, CallEnd::Fax, "{:?}", story.report);
    let outcome = story.report.outcome.as_ref().expect("an outcome");
    assert!(outcome.failure.is_some());
    assert!(story.answered);
    assert_eq!((story.t38, story.report.t38), (t38, t38));
}

/// Our T.38 was refused, and the call went on by audio until the far end cleared it.
fn refused(story: &Story, code: u16) {
    cleared_in_mid_call(story, false);
    assert_eq!((story.refused, story.report.t38_refused), (Some(code), Some(code)));
}

// --- we call ---

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_told_with_status_and_cause() {
    for (status, extra, code, q850) in [
        ("486 Busy Here", "Reason: Q.850;cause=17;text=\"User busy\"", 486, Some(17)),
        ("404 Not Found", "X-Extra: none", 404, None),
        ("503 Service Unavailable", "Retry-After: 7", 503, None),
        ("480 Temporarily Unavailable", "Reason: SIP;cause=480, Q.850;cause=18", 480, Some(18)),
        ("603 Decline", "Reason: Q.850 ; cause=21 ; text=\"rejected\"", 603, Some(21)),
        ("500 Server Internal Error", "Reason: Q.850;cause=41", 500, Some(41)),
        ("302 Moved Temporarily", "X-Extra: none", 302, None),
    ] {
        let story = calling("uas-final", &[("[status]", status), ("[extra]", extra)], quiet).await;
        assert_eq!(story.report.end, CallEnd::NotAnswered, "{status}");
        assert_eq!(story.report.sip_status, Some(code), "{status}");
        assert_eq!(story.report.q850, q850, "{status}");
        assert!(!story.report.reason.is_empty() && !story.answered, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_is_answered() {
    for scenario in ["uas-auth", "uas-auth-proxy"] {
        let story = calling(scenario, &[], |t| {
            quiet(t);
            t.credentials = Some(("fax".to_owned(), "secret".to_owned()));
        })
        .await;
        cleared_in_mid_call(&story, false);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_rings_for_too_long_is_cancelled() {
    let story = calling("uas-cancelled", &[], |t| {
        t.ring_timeout = Duration::from_secs(2);
    })
    .await;
    assert_eq!(story.report.end, CallEnd::NotAnswered);
    assert!(story.rang && !story.answered);
    assert!(seconds(&story) < 5.0, "{}", seconds(&story));
}

#[tokio::test(flavor = "multi_thread")]
async fn early_media_is_not_an_answer_and_bye_in_mid_call_is_told() {
    let story = calling("uas-early", &[], quiet).await;
    cleared_in_mid_call(&story, false);
    assert!(story.rang);
    assert_eq!(story.report.q850, Some(31));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_audio_is_released() {
    let story = calling("uas-no-audio", &[], quiet).await;
    assert_eq!(story.report.end, CallEnd::NoCommonMedia);
    assert!(seconds(&story) < 3.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_called_side_switches_to_t38() {
    cleared_in_mid_call(&calling("uas-switches", &[], quiet).await, true);
    cleared_in_mid_call(&calling("uas-switches-two-lines", &[], quiet).await, true);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_t38_is_told_with_its_code_and_the_call_goes_on() {
    let refuses = async |status: &'static str, code| {
        refused(&calling("uas-refuses", &[("[status]", status)], eager).await, code);
    };
    tokio::join!(
        refuses("488 Not Acceptable Here", 488),
        refuses("415 Unsupported Media Type", 415),
        refuses("606 Not Acceptable", 606),
        refuses("501 Not Implemented", 501),
        refuses("403 Forbidden", 403),
        refuses("400 Bad Request", 400),
        refuses("500 Server Internal Error", 500),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn t38_answered_with_audio_or_port_0_is_refused_and_audio_is_agreed_anew() {
    for scenario in ["uas-answers-audio", "uas-image-zero"] {
        refused(&calling(scenario, &[], eager).await, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_may_be_followed_by_their_own_offer() {
    cleared_in_mid_call(&calling("uas-refuses-then-switches", &[], eager).await, true);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_491_our_offer_is_repeated_and_taken() {
    cleared_in_mid_call(&calling("uas-491-retried", &[], eager).await, true);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_491_their_offer_is_taken_and_ours_is_dropped() {
    // Ours would be repeated after 4 s at the latest; SIPp would not stand it.
    let story = calling("uas-491-own", &[], eager).await;
    assert!(story.t38 && story.report.t38);
}

#[tokio::test(flavor = "multi_thread")]
async fn offers_that_cross_are_both_answered_with_491() {
    cleared_in_mid_call(&calling("uas-glare", &[], eager).await, true);
}

#[tokio::test(flavor = "multi_thread")]
async fn t38_that_is_never_answered_does_not_hold_the_call_up() {
    cleared_in_mid_call(&calling("uas-silent", &[], eager).await, false);
}

// --- we are called ---

#[tokio::test(flavor = "multi_thread")]
async fn the_caller_takes_our_t38() {
    cleared_in_mid_call(&called("uac-takes", &[], eager).await, true);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_caller_refuses_our_t38() {
    for (status, code) in [("488 Not Acceptable Here", 488), ("606 Not Acceptable", 606)] {
        refused(&called("uac-refuses", &[("[status]", status)], eager).await, code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_caller_wants_our_t38_a_little_later() {
    cleared_in_mid_call(&called("uac-491", &[], eager).await, true);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_caller_never_answers_our_t38() {
    cleared_in_mid_call(&called("uac-silent", &[], eager).await, false);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_caller_switches_to_t38() {
    cleared_in_mid_call(&called("uac-switches", &[], quiet).await, true);
}

#[tokio::test(flavor = "multi_thread")]
async fn t38_that_was_agreed_and_stays_silent_goes_back_to_audio() {
    let story = called("uac-takes-silently", &[], eager).await;
    assert!(story.t38 && story.audio && !story.report.t38, "{:?}", story.report);
    assert_eq!((story.report.end, story.report.t38_refused), (CallEnd::Fax, None));
    assert!(seconds(&story) < 12.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_t38_where_audio_is_refused_is_told_as_such() {
    let story = called("uac-keeps-silent", &[], eager).await;
    assert_eq!(story.report.end, CallEnd::T38Silent);
    assert!(story.report.t38 && !story.audio);
    // T.30's own T1.
    assert!(seconds(&story) < 45.0, "{}", seconds(&story));
}

#[tokio::test(flavor = "multi_thread")]
async fn audio_and_image_side_by_side_begin_with_audio() {
    cleared_in_mid_call(&called("uac-audio-image", &[], quiet).await, false);
}

#[tokio::test(flavor = "multi_thread")]
async fn image_alone_begins_with_t38() {
    cleared_in_mid_call(&called("uac-image", &[], quiet).await, true);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_without_a_description_gets_our_offer() {
    cleared_in_mid_call(&called("uac-late-offer", &[], quiet).await, false);
    let story = called("uac-late-offer-no-answer", &[], quiet).await;
    assert_eq!(story.report.end, CallEnd::NoCommonMedia);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_may_be_cancelled_before_its_answer() {
    cancelled("u1").await;
}

async fn cancelled(by: &str) {
    let (sipp, mut ours) = caller_by(by, "uac-cancels", &[], quiet).await;
    let incoming = tokio::time::timeout(BOUND, ours.incoming.recv()).await;
    let incoming = incoming.expect("nobody calls").unwrap();
    sipp.succeeds().await;
    // The owner learns of it when it answers.
    let mut call = incoming.accept(terminal(t30::Role::Called, Vec::new(), true));
    let told = tokio::time::timeout(Duration::from_secs(5), call.next()).await;
    assert!(told.expect("the owner waits for ever").is_none_or(|event| {
        matches!(event, fax_net::CallEvent::Ended(report) if report.end == CallEnd::NotAnswered)
    }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_invite_is_one_call() {
    let (sipp, mut ours) = caller("uac-repeats", &[], quiet).await;
    let call = answer(&mut ours, Duration::from_millis(400)).await;
    cleared_in_mid_call(&story_within(call, BOUND).await, false);
    sipp.succeeds().await;
    assert!(ours.incoming.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_refresh_changes_nothing() {
    cleared_in_mid_call(&called("uac-refreshes", &[], quiet).await, false);
    let story = called("uac-refreshes-t38", &[], quiet).await;
    assert!(story.t38 && story.audio && !story.report.t38);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_outside_of_calls_are_answered() {
    let (sipp, mut ours) = caller("uac-odd-requests", &[], quiet).await;
    sipp.succeeds().await;
    assert!(ours.incoming.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_of_nothing_that_we_know_is_refused() {
    let (sipp, mut ours) = caller("uac-no-media", &[], quiet).await;
    sipp.succeeds().await;
    assert!(ours.incoming.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_refused() {
    let own = free();
    let mut ours = side(own, free(), quiet).await;
    let stranger = SocketAddr::new("127.0.0.2".parse().unwrap(), free().port());
    let target = own.to_string();
    let sipp = Sipp::start("uac-stranger", stranger, &[], &[&target, "-s", "+4930456"]);
    sipp.succeeds().await;
    assert!(ours.incoming.try_recv().is_err());
}

// --- we register ---

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_registers_with_its_credentials_and_takes_that_back() {
    registers("u1").await;
}

async fn registers(by: &str) {
    for scenario in ["uas-register", "uas-register-423"] {
        let (sipp, at) = Sipp::listen_by(by, scenario, &[]).await;
        let ours = ours(by, free(), at, |t| {
            t.credentials = Some(("fax".to_owned(), "secret".to_owned()));
            t.register = Some(Duration::from_secs(60));
        })
        .await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        ours.endpoint.stop().await;
        sipp.succeeds().await;
    }
}

// --- the main flows by TCP, over one connection and one for each call ---

#[tokio::test(flavor = "multi_thread")]
async fn over_tcp_refusals_and_challenges_are_as_over_udp() {
    for (status, code) in [("486 Busy Here", 486), ("503 Service Unavailable", 503)] {
        let fill = [("[status]", status), ("[extra]", "X-Extra: none")];
        let story = calling_by("t1", "uas-final", &fill, quiet).await;
        assert_eq!((story.report.end, story.report.sip_status), (CallEnd::NotAnswered, Some(code)));
    }
    for scenario in ["uas-auth", "uas-auth-proxy"] {
        let story = calling_by("t1", scenario, &[], |t| {
            quiet(t);
            t.credentials = Some(("fax".to_owned(), "secret".to_owned()));
        });
        cleared_in_mid_call(&story.await, false);
    }
    registers("t1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tcp_we_call_and_t38_is_offered_by_either_side() {
    for by in ["t1", "tn"] {
        tokio::join!(
            async { cleared_in_mid_call(&calling_by(by, "uas-early", &[], quiet).await, false) },
            async { cleared_in_mid_call(&calling_by(by, "uas-switches", &[], quiet).await, true) },
            async { cleared_in_mid_call(&calling_by(by, "uas-491-retried", &[], eager).await, true) },
            async { cleared_in_mid_call(&calling_by(by, "uas-glare", &[], eager).await, true) },
            async {
                let fill = [("[status]", "488 Not Acceptable Here")];
                refused(&calling_by(by, "uas-refuses", &fill, eager).await, 488);
            },
            async {
                let soon = |t: &mut Trunk| t.ring_timeout = Duration::from_secs(2);
                let story = calling_by(by, "uas-cancelled", &[], soon).await;
                assert!(story.rang && !story.answered);
            },
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tcp_we_are_called_and_t38_is_offered_by_either_side() {
    for by in ["t1", "tn"] {
        tokio::join!(
            async { cleared_in_mid_call(&called_by(by, "uac-takes", &[], eager).await, true) },
            async { cleared_in_mid_call(&called_by(by, "uac-switches", &[], quiet).await, true) },
            async { cleared_in_mid_call(&called_by(by, "uac-491", &[], eager).await, true) },
            async { cleared_in_mid_call(&called_by(by, "uac-image", &[], quiet).await, true) },
            async { cleared_in_mid_call(&called_by(by, "uac-late-offer", &[], quiet).await, false) },
            async { cleared_in_mid_call(&called_by(by, "uac-refreshes", &[], quiet).await, false) },
            async {
                let fill = [("[status]", "488 Not Acceptable Here")];
                refused(&called_by(by, "uac-refuses", &fill, eager).await, 488);
            },
            cancelled(by),
            async {
                let (sipp, mut ours) = caller_by(by, "uac-odd-requests", &[], quiet).await;
                sipp.succeeds().await;
                assert!(ours.incoming.try_recv().is_err());
            },
        );
    }
}
