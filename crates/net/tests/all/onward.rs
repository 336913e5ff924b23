//! Calls that are passed on, and terminals of our own: SIPp, our own terminals and baresip around a ferrofax in the
//! middle, on loopback (RFC 3261 §10, §16, §22; RFC 3264).
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::bench;

use bench::baresip::Baresip;
use bench::sipp::{BOUND, Sipp};
use bench::{Story, free, page, pels, request, side_with, story_within, terminal};
use fax_net::{
    Algorithm, AuthenticationFailed, CallEnd, Config, Endpoint, IncomingCall, LocalTerminal, Onward,
    OnwardReport, OnwardTarget, Side, T38Policy, Transport, Trunk,
};
use fax_t30::Role;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Receiver;

/// A ferrofax in the middle of these trunks, named by their order.
struct Middle {
    endpoint: Endpoint,
    incoming: Receiver<IncomingCall>,
    at: SocketAddr,
}

fn name(number: usize) -> String {
    format!("t{number}")
}

async fn middle(trunks: &[SocketAddr], change: impl FnOnce(&mut Config)) -> Middle {
    let at = free();
    let mut config = Config::new(at);
    config.workers = 1;
    for (number, peer) in trunks.iter().enumerate() {
        config.trunks.push(Trunk::new(&name(number), &peer.to_string()));
    }
    change(&mut config);
    let (endpoint, incoming) = Endpoint::start(config).await.unwrap();
    Middle { endpoint, incoming, at }
}

impl Middle {
    /// Passes the next call on to these trunks and follows it to its end.
    async fn pass(&mut self, trunks: &[usize]) -> OnwardReport {
        let incoming =
            tokio::time::timeout(BOUND, self.incoming.recv()).await.expect("nobody calls").unwrap();
        let number = incoming.to.clone();
        let targets = trunks.iter().map(|t| OnwardTarget::Trunk {
            name: name(*t),
            number: number.clone(),
            caller: None,
        });
        let (targets, from, from_name) =
            (targets.collect(), incoming.from.clone(), incoming.from_name.clone());
        let passed = incoming.connect(Onward { targets, from, from_name });
        tokio::time::timeout(BOUND, passed.ended()).await.expect("it does not end").unwrap()
    }
}

/// SIPp calls SIPp through us.
async fn between(uac: &str, uas: &str, fill: &[(&str, &str)]) -> OnwardReport {
    let (callee, to) = Sipp::listen(uas, fill).await;
    let from = free();
    // With its two legs it is one call.
    let mut middle = middle(&[from, to], |config| config.max_calls = 1).await;
    let target = middle.at.to_string();
    let caller = Sipp::start(uac, from, fill, &[target.as_str(), "-s", "+4930456"]);
    let report = middle.pass(&[1]).await;
    caller.succeeds().await;
    callee.succeeds().await;
    middle.endpoint.stop().await;
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn sipp_calls_sipp_with_other_codecs_and_early_media() {
    let report = between("onward-uac", "onward-uas", &[]).await;
    assert!(report.answered && !report.call_id_a.is_empty() && !report.call_id_b.is_empty());
    assert_ne!(report.call_id_a, report.call_id_b);
    assert_eq!((report.ended_by, report.q850), (Some(Side::A), Some(31)));
}

#[tokio::test(flavor = "multi_thread")]
async fn sipp_is_busy_and_the_caller_hears_it() {
    let fill = [("[status]", "486"), ("[extra]", "Reason: Q.850;cause=17")];
    let report = between("onward-uac-refused", "uas-final", &fill).await;
    assert_eq!((report.answered, report.sip_status, report.q850), (false, Some(486), Some(17)));
    assert_eq!(report.ended_by, Some(Side::B));
}

#[tokio::test(flavor = "multi_thread")]
async fn sipp_cancels_and_the_called_side_hears_it() {
    let report = between("onward-uac-cancels", "uas-cancelled", &[]).await;
    assert_eq!((report.answered, report.ended_by), (false, Some(Side::A)));
}

#[tokio::test(flavor = "multi_thread")]
async fn sipp_holds_sipp() {
    let report = between("onward-uac-held", "onward-uas-held", &[]).await;
    assert_eq!(report.ended_by, Some(Side::A));
}

#[tokio::test(flavor = "multi_thread")]
async fn t38_of_the_called_side_is_offered_to_the_caller() {
    let report = between("onward-uac-t38", "uas-switches", &[]).await;
    assert_eq!((report.t38, report.ended_by, report.q850), ([true, true], Some(Side::B), Some(16)));
}

#[tokio::test(flavor = "multi_thread")]
async fn t38_that_the_caller_refuses_is_still_taken_from_the_called_side() {
    let report = between("onward-uac-t38-refuses", "uas-switches", &[]).await;
    assert_eq!((report.t38, report.ended_by), ([false, true], Some(Side::B)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_target_answers_when_the_first_is_overloaded_and_the_next_is_dead() {
    let (broken, first) =
        Sipp::listen("uas-final", &[("[status]", "503"), ("[extra]", "Retry-After: 60")]).await;
    let (callee, last) = Sipp::listen("uas-early", &[]).await;
    let (from, dead) = (free(), free());
    // A connection that is refused says so at once.
    let refused = |config: &mut Config| config.trunks[2].transport = Some(Transport::Tcp);
    let mut middle = middle(&[from, first, dead, last], refused).await;
    let target = middle.at.to_string();
    let caller = Sipp::start("onward-uac-answered", from, &[], &[target.as_str(), "-s", "+4930456"]);
    let report = middle.pass(&[1, 2, 3]).await;
    assert_eq!((report.target, report.answered, report.q850), (2, true, Some(31)));
    for sipp in [caller, broken, callee] {
        sipp.succeeds().await;
    }
}

/// A fax from one ferrofax to another through the middle.
async fn fax(t38_a: bool, t38_b: bool) -> (Story, Story, OnwardReport) {
    // The caller offers T.38 soon, where the called one never does.
    let soon = (t38_a && !t38_b).then(|| Duration::from_millis(300));
    let usual = T38Policy::default();
    let eager = T38Policy { offer_as_caller: soon.or(usual.offer_as_caller), ..usual };
    let policy = |t38: bool| if t38 { eager } else { T38Policy::NEVER };
    let (a, b) = (free(), free());
    let mut middle = middle(&[a, b], |_| {}).await;
    let a = side_with(a, middle.at, |config| config.trunks[0].t38 = policy(t38_a)).await;
    let mut b = side_with(b, middle.at, |config| config.trunks[0].t38 = policy(t38_b)).await;
    let (bitmap, coded) = page(120);
    let bound = Duration::from_secs(90);
    let call = a.endpoint.call(request(terminal(Role::Calling, vec![coded], true)));
    let sending = tokio::spawn(story_within(call, bound));
    let passing = tokio::spawn(async move { middle.pass(&[1]).await });
    let incoming = tokio::time::timeout(BOUND, b.incoming.recv()).await.unwrap().unwrap();
    assert_eq!(incoming.from, "+4930123");
    let received = story_within(incoming.accept(terminal(Role::Called, Vec::new(), true)), bound).await;
    let (sent, report) = (sending.await.unwrap(), passing.await.unwrap());
    assert_eq!(sent.report.outcome.as_ref().unwrap().failure, None);
    assert_eq!(sent.report.end, CallEnd::Fax);
    assert!(received.pages.len() == 1 && pels(received.pages.first().unwrap()) == bitmap);
    (sent, received, report)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fax_is_passed_on_by_t38() {
    let (sent, received, report) = fax(true, true).await;
    assert!(sent.t38 && received.t38);
    assert_eq!(report.t38, [true, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fax_is_passed_on_by_audio() {
    let (sent, received, report) = fax(false, false).await;
    assert!(!sent.t38 && !received.t38);
    assert_eq!(report.t38, [false, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fax_by_audio_becomes_t38_on_its_way() {
    let (sent, received, report) = fax(false, true).await;
    assert!(!sent.t38 && received.t38);
    assert_eq!(report.t38, [false, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fax_by_t38_becomes_audio_on_its_way() {
    let (sent, received, report) = fax(true, false).await;
    assert!(sent.t38 && !received.t38);
    assert_eq!(report.t38, [true, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_goes_in_a_circle_is_refused() {
    let at = free();
    // The trunk is ourselves.
    let mut config = Config::new(at);
    config.workers = 1;
    config.trunks.push(Trunk::new("t0", &at.to_string()));
    let (endpoint, incoming) = Endpoint::start(config).await.unwrap();
    let mut middle = Middle { endpoint, incoming, at };
    let call = middle.endpoint.call(fax_net::CallRequest {
        trunk: "t0".to_owned(),
        ..request(terminal(Role::Calling, Vec::new(), true))
    });
    let report = middle.pass(&[0]).await;
    assert_eq!((report.answered, report.sip_status), (false, Some(482)));
    assert_eq!(story_within(call, BOUND).await.report.sip_status, Some(482));
}

/// baresip 1.0 gives up when it is offered anything but MD5, even beside it.
fn telephone(config: &mut Config) {
    config.terminals.push(local("phone"));
    config.registrar.algorithms = vec![Algorithm::Md5];
}

fn local(user: &str) -> LocalTerminal {
    LocalTerminal::new(user, "sesame-street")
}

#[tokio::test(flavor = "multi_thread")]
async fn baresip_registers_and_is_called() {
    let from = free();
    let mut middle = middle(&[from], telephone).await;
    let phone = Baresip::start("phone", "sesame-street", middle.at, true, None);
    phone.says("200 OK").await;
    let target = middle.at.to_string();
    let caller = Sipp::start("uac-silent-call", from, &[], &[target.as_str(), "-s", "+4930456"]);
    let incoming = tokio::time::timeout(BOUND, middle.incoming.recv()).await.unwrap().unwrap();
    let targets = vec![OnwardTarget::Terminal { user: "phone".to_owned() }];
    let passed = incoming.connect(Onward { targets, from: "+493099".to_owned(), from_name: String::new() });
    let report = tokio::time::timeout(BOUND, passed.ended()).await.unwrap().unwrap();
    assert!(report.answered, "{report:?} {}", phone.log());
    assert_eq!(report.ended_by, Some(Side::A));
    caller.succeeds().await;
    assert_eq!(middle.endpoint.failed_authentications(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn baresip_calls_through_us_by_its_proof() {
    let (callee, to) = Sipp::listen("onward-uas-g711", &[]).await;
    let mut middle = middle(&[to], telephone).await;
    let phone = Baresip::start("phone", "sesame-street", middle.at, false, Some("+4930456"));
    let incoming = tokio::time::timeout(BOUND, middle.incoming.recv()).await.expect("nobody calls").unwrap();
    assert_eq!((incoming.terminal.as_deref(), incoming.trunk.as_str()), (Some("phone"), ""));
    assert_eq!(incoming.to, "+4930456");
    let targets = vec![OnwardTarget::Trunk { name: name(0), number: "+4930456".to_owned(), caller: None }];
    let passed = incoming.connect(Onward { targets, from: "+493011".to_owned(), from_name: String::new() });
    let report = tokio::time::timeout(BOUND, passed.ended()).await.unwrap().unwrap();
    assert!(report.answered, "{report:?} {}", phone.log());
    assert_eq!(report.ended_by, Some(Side::B));
    callee.succeeds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_the_wrong_password_stays_outside_and_is_told_of() {
    let (told, mut denials) = tokio::sync::mpsc::channel::<AuthenticationFailed>(16);
    let mut middle = middle(&[], |config| {
        telephone(config);
        config.registrar.denials = Some(told);
    })
    .await;
    let _phone = Baresip::start("phone", "open-barley", middle.at, false, None);
    let failed = tokio::time::timeout(BOUND, denials.recv()).await.unwrap().unwrap();
    assert_eq!((failed.username.as_str(), failed.register), ("phone", true));
    assert!(failed.remote.ip().is_loopback());
    assert!(middle.endpoint.failed_authentications() >= 1);
    assert!(middle.incoming.try_recv().is_err());
}

/// A ferrofax that registers at the middle as this terminal.
async fn registered(middle: SocketAddr, user: &str, password: &str) -> bench::Side {
    side_with(free(), middle, |config| {
        let trunk = &mut config.trunks[0];
        trunk.credentials = Some((user.to_owned(), password.to_owned()));
        trunk.register = Some(Duration::from_secs(120));
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fax_goes_from_terminal_to_terminal_when_both_have_proved_themselves() {
    let mut middle = middle(&[], |config| config.terminals.extend([local("a"), local("b")])).await;
    let a = registered(middle.at, "a", "sesame-street").await;
    let mut b = registered(middle.at, "b", "sesame-street").await;
    let (bitmap, coded) = page(100);
    let end = Instant::now() + BOUND;
    // The terminal is there when it has registered: until then it is 480.
    let (story, report, received) = loop {
        let calling = request(terminal(Role::Calling, vec![coded.clone()], true));
        let mut sending = tokio::spawn(story_within(a.endpoint.call(calling), BOUND));
        let incoming = tokio::time::timeout(BOUND, middle.incoming.recv()).await.unwrap().unwrap();
        assert_eq!(incoming.terminal.as_deref(), Some("a"));
        let targets = vec![OnwardTarget::Terminal { user: "b".to_owned() }];
        let passed = incoming.connect(Onward { targets, from: "+49301".into(), from_name: "A".into() });
        let passing = tokio::spawn(passed.ended());
        tokio::select! {
            incoming = b.incoming.recv() => {
                let incoming = incoming.unwrap();
                assert_eq!((incoming.from.as_str(), incoming.from_name.as_str()), ("+49301", "A"));
                let called = terminal(Role::Called, Vec::new(), true);
                let received = story_within(incoming.accept(called), BOUND).await;
                break (sending.await.unwrap(), passing.await.unwrap().unwrap(), received);
            }
            story = &mut sending => assert_eq!(story.unwrap().report.sip_status, Some(480)),
        }
        assert!(Instant::now() < end, "b does not register");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert_eq!(story.report.outcome.as_ref().unwrap().failure, None);
    assert!(received.pages.len() == 1 && pels(received.pages.first().unwrap()) == bitmap);
    assert!(report.answered && report.t38 == [true, true]);
    assert_eq!(middle.endpoint.failed_authentications(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_that_is_challenged_must_prove_itself() {
    for (password, good) in [("inbound secret", true), ("another", false)] {
        let a = free();
        let challenge = |config: &mut Config| {
            config.trunks[0].challenge = Some(("them".to_owned(), "inbound secret".to_owned()));
        };
        let mut middle = middle(&[a], challenge).await;
        let a = side_with(a, middle.at, |config| {
            config.trunks[0].credentials = Some(("them".to_owned(), password.to_owned()));
        })
        .await;
        let calling = request(terminal(Role::Calling, Vec::new(), true));
        let story = tokio::spawn(story_within(a.endpoint.call(calling), BOUND));
        if good {
            let incoming = tokio::time::timeout(BOUND, middle.incoming.recv()).await.unwrap().unwrap();
            assert_eq!((incoming.trunk.as_str(), incoming.terminal.as_deref()), ("t0", None));
            incoming.reject(486, "");
            assert_eq!(story.await.unwrap().report.sip_status, Some(486));
        } else {
            assert_eq!(story.await.unwrap().report.sip_status, Some(401));
            assert_eq!(middle.endpoint.failed_authentications(), 1);
            assert!(middle.incoming.try_recv().is_err());
        }
    }
}
