//! Budgets and barred numbers in the queue and for calls that are passed on: what is over a budget waits and is sent, what is
//! barred is refused in words.
#![allow(clippy::unwrap_used, clippy::panic)]

mod bench;

use bench::{Bench, Script, next};
use core::time::Duration;
use fax_store::model::{AccountId, JobState, NodeId};
use fax_switch::number::NumberPlan;
use fax_switch::policy::{
    Budget, DialRules, Limit, Scope, Toll, TollRefusal, TollRules, TrunkRoute, TrunkRouting,
};
use fax_switch::routing::{Action, NumberPattern, Routing, Rule, Source, Terminal};
use fax_switch::{Decision, Directory, IncomingCall, Service, ServiceConfig, SubmitError, TollPass};
use std::sync::Arc;
use tokio::sync::Semaphore;

const N: &str = "(415) 555-0001";

fn of_account(budget: Budget) -> TollRules {
    let toll = Toll { budget, ..Toll::default() };
    TollRules { accounts: [("a".into(), toll)].into(), ..TollRules::default() }
}

fn bench(toll: TollRules) -> Bench {
    let mut b = Bench::with(|config| config.toll = Arc::new(toll));
    b.start();
    b
}

#[tokio::test]
async fn a_job_over_a_budget_waits_for_it_and_is_sent() {
    let mut b = bench(of_account(Budget { per_hour: Some(1), ..Budget::default() }));
    let first = b.submit("pages:1", N).await;
    b.until_state(&first, JobState::Completed).await;
    let second = b.submit("pages:1", "(415) 555-0002").await;
    let held = b.until(&second, |j| j.state == JobState::Pending && j.reason.is_some()).await;
    let why = held.reason.unwrap();
    assert!(
        why.starts_with("The budget of account a is used up: 1 calls an hour; there is room again at "),
        "{why}"
    );
    assert!(held.attempts.is_empty() && held.attempts_counted == 0);
    let now = b.service.now();
    // It is looked at again before that: the budget may be another by then.
    assert_eq!(held.not_before.since(now).as_secs(), 300);
    // Others are not kept waiting.
    b.settle().await;
    b.clock.advance(300);
    b.settle().await;
    assert_eq!(b.dialler.calls(), 3);
    b.clock.advance(3_360);
    let sent = b.until_state(&second, JobState::Completed).await;
    assert_eq!((sent.attempts.len(), sent.reason), (1, None));
}

#[tokio::test]
async fn a_retry_is_a_call_and_a_call_that_no_trunk_had_room_for_is_none() {
    let mut b = bench(of_account(Budget { per_day: Some(2), ..Budget::default() }));
    b.dialler.then(Script::Far(|_| fax_switch::port::CallResult {
        class: "l.notrunk".into(),
        not_made: Some(Duration::from_secs(5)),
        ..fax_switch::port::CallResult::default()
    }));
    b.dialler.then(Script::Refuse("call.busy"));
    b.dialler.then(Script::Refuse("call.busy"));
    let id = b.submit("pages:1", N).await;
    let mut begun = b.calls_begin();
    // Not made, then engaged twice.
    while b.dialler.calls() < 3 {
        b.clock.advance(300);
        let _ = tokio::time::timeout(Duration::from_millis(300), begun.recv()).await;
    }
    b.until(&id, |j| j.attempts.len() == 2 && j.state == JobState::Pending).await;
    b.clock.advance(3_600);
    let held = b.until(&id, |j| j.reason.as_ref().is_some_and(|r| r.contains("2 calls a day"))).await;
    assert_eq!((held.state, held.attempts.len()), (JobState::Pending, 2));
}

#[tokio::test]
async fn only_so_many_calls_go_at_once() {
    let mut b = Bench::with(|config| {
        config.default_max_outbound = 10;
        config.toll = Arc::new(TollRules {
            everywhere: Toll { budget: Budget { at_once: Some(1), ..Budget::default() }, ..Toll::default() },
            ..TollRules::default()
        });
    });
    let gate = Arc::new(Semaphore::new(0));
    b.dialler.then(Script::Hold(gate.clone()));
    let mut begun = b.calls_begin();
    b.start();
    let first = b.submit("pages:1", N).await;
    assert_eq!(next(&mut begun).await, first);
    let second = b.submit("pages:1", "(415) 555-0002").await;
    b.until(&second, |j| j.reason.as_ref().is_some_and(|r| r.contains("1 calls at a time"))).await;
    assert_eq!(b.dialler.calls(), 1);
    gate.add_permits(1);
    b.until_state(&first, JobState::Completed).await;
    b.clock.advance(5);
    b.until_state(&second, JobState::Completed).await;
    assert_eq!(*b.dialler.most_at_once.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_barred_number_is_refused_at_once_and_in_the_queue() {
    let mut b = bench(TollRules::default());
    b.clock.advance(1);
    let mut late = Bench::new_job("pages:1", "011 882 16 1234567");
    late.not_before = Some(b.service.now().plus(Duration::from_secs(60)));
    let queued = b.service.submit(late).await.unwrap().id;
    let numbers = DialRules { deny: vec!["+882".to_owned()], ..DialRules::default() };
    let everywhere = Toll { numbers, ..Toll::default() };
    let config = ServiceConfig {
        toll: Arc::new(TollRules { everywhere, ..TollRules::default() }),
        ..ServiceConfig::new(NodeId::new("n1"))
    };
    b.service.reconfigure(config);
    let new = Bench::new_job("pages:1", "+88216 1234567");
    let refused = b.service.submit(new).await.unwrap_err();
    let want = "Calls to this number are not allowed: +882… is barred for all calls.";
    assert_eq!(refused, SubmitError::Barred(want.to_owned()));
    // Nor is the rule passed by a number that is dialled as it was typed.
    for typed in ["88216123456", "+88-216-123456", "0088216123456", "01188216123456"] {
        let mut new = Bench::new_job("pages:1", typed);
        new.keep_number = true;
        let refused = b.service.submit(new).await.map(|job| job.to_number);
        assert_eq!(refused, Err(SubmitError::Barred(want.to_owned())), "{typed}");
    }
    b.clock.advance(60);
    let failed = b.until_state(&queued, JobState::Failed).await;
    assert_eq!(failed.reason.as_deref(), Some(want));
    assert_eq!(failed.attempts[0].outcome.class, "l.barred");
    assert_eq!(b.dialler.calls(), 0);
    let counted = b.counted("ferrofax_attempts_total{result=\"l.barred\"} 1\n").await;
    assert!(!counted.contains("ferrofax_calls_total{"), "{counted}");
}

/// A directory with the terminal `ata` of account `a`, whose calls go to the trunk `carrier`, and a rule `out` for 0….
fn routed() -> Directory {
    let terminal = Terminal {
        user: "ata".to_owned(),
        account: "a".into(),
        numbers: vec!["+14155550101".to_owned()],
        caller_id: String::new(),
    };
    let rule = Rule {
        name: "out".to_owned(),
        from: Vec::new(),
        to: Some(NumberPattern::read("9*").unwrap()),
        caller: None,
        diverted_from: None,
        headers: Vec::new(),
        rewrite: Some("$1".to_owned()),
        action: Action::Onward(vec![Source::Trunk("carrier".to_owned())]),
    };
    let routing = Routing {
        rules: vec![rule],
        terminals: vec![terminal],
        default_trunk: Some("carrier".to_owned()),
        ..Routing::default()
    };
    bench::directory().with_routing(routing, &NumberPlan::default()).unwrap()
}

fn onward(service: &Service, call: &IncomingCall) -> Result<Option<TollPass>, TollRefusal> {
    let routed = service.route(call);
    match &routed.decision {
        Decision::Onward { targets } => service.admit_onward(call, targets, routed.rule),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn calls_that_are_passed_on_are_counted_and_barred() {
    let trunk = TrunkRoute { name: "carrier".to_owned(), cost: 10, outgoing: true, ..TrunkRoute::default() };
    let deny = |begins: &str| DialRules { deny: vec![begins.to_owned()], ..DialRules::default() };
    let budget = Budget { per_minute: Some(3), spend_per_day: Some(60), ..Budget::default() };
    let rules = TollRules {
        terminals: [("ata".to_owned(), Toll { numbers: deny("+1900"), budget })].into(),
        routes: [("out".to_owned(), deny("+882"))].into(),
        trunks: TrunkRouting { trunks: vec![trunk], ..TrunkRouting::default() },
        ..TollRules::default()
    };
    let b = Bench::with(|config| config.toll = Arc::new(rules));
    b.service.reload(routed());
    let asked = |to: &str| {
        let call = IncomingCall {
            to_number: to.to_owned(),
            source: Some(Source::Terminal("ata".to_owned())),
            ..IncomingCall::default()
        };
        onward(&b.service, &call)
    };
    let barred = |to: &str| match asked(to) {
        Err(TollRefusal::Barred { scope, .. }) => scope,
        other => panic!("{other:?}"),
    };
    assert_eq!(barred("+1 900 555 0199"), Scope::Terminal("ata".to_owned()));
    assert_eq!(barred("9011882161234567"), Scope::Route("out".to_owned()));
    // A terminal of ours costs nothing and counts for nothing.
    assert!(asked("+14155550101").unwrap().is_none());
    // Four minutes at 10: 40 of 60 are gone, another two would be let begin, and the third in the minute is not.
    let first = asked("+14155550199").unwrap().unwrap();
    b.clock.advance(240);
    first.end(Duration::from_secs(240), Some("carrier"));
    let second = asked("+14155550199").unwrap().unwrap();
    let third = asked("+14155550199").unwrap().unwrap();
    let over = |asked: Result<_, TollRefusal>| match asked {
        Err(TollRefusal::Over { limit, .. }) => limit,
        other => panic!("{other:?}"),
    };
    assert_eq!(over(asked("+14155550199").map(drop)), Limit::SpendPerDay(60));
    // Not answered: it cost nothing after all.
    drop(third);
    drop(second);
    let _fourth = asked("+14155550199").unwrap().unwrap();
    assert_eq!(over(asked("+14155550199").map(drop)), Limit::PerMinute(3));
    // What was spent is known after a restart.
    let kept = b.service.save_budgets();
    let other = Bench::with(|config| config.toll = b.service.config().toll.clone());
    other.service.restore_budgets(kept);
    other.clock.advance(240);
    other.service.reload(routed());
    let call = IncomingCall {
        to_number: "+14155550199".to_owned(),
        source: Some(Source::Terminal("ata".to_owned())),
        ..IncomingCall::default()
    };
    let again = onward(&other.service, &call);
    assert_eq!(over(again.map(drop)), Limit::PerMinute(3));
    assert_eq!(other.service.config().toll.price(Some(&AccountId::new("a")), None, &["+1"]), 10);
}
