//! The rules of the queue: the operator's own waits, the hours in which faxes are sent, numbers that are given a rest.
#![allow(clippy::unwrap_used, clippy::panic)]

mod bench;

use bench::{Bench, Script, directory};
use core::time::Duration;
use fax_store::model::{JobState, ProfileKey, Timestamp};
use fax_switch::number::NumberPlan;
use fax_switch::policy::{RescheduleRule, SendHours};
use fax_switch::{Account, Directory, Faxbox};

const NUMBER: &str = "+14155550001";

fn rule(name: &str, attempt: Option<u32>, value: &str, seconds: u64, retries: u32) -> RescheduleRule {
    RescheduleRule {
        name: name.into(),
        attempt,
        field: "result_cause".into(),
        values: vec![value.into()],
        retry_after: Duration::from_secs(seconds),
        retries,
    }
}

#[tokio::test]
async fn the_operators_rule_sets_the_wait_and_the_attempts() {
    let mut b = Bench::with(|config| {
        config.retry.rules = vec![
            rule("gone", None, "UNALLOCATED_NUMBER", 30, 2),
            rule("first", Some(1), "USER_BUSY", 120, 3),
            rule("busy", None, "USER_BUSY", 7, 3),
        ];
    });
    b.start();
    // One attempt in all was allowed; the rule makes it three.
    let mut new = Bench::new_job("pages:1", NUMBER);
    new.retries = Some(1);
    for _ in 0..3 {
        b.dialler.then(Script::Refuse("call.busy"));
    }
    let id = b.service.submit(new).await.unwrap().id;
    let job = b.until_back(&id, 1).await;
    assert_eq!((job.retries, job.reschedule_rule.as_deref()), (3, Some("first")));
    assert_eq!(job.not_before, job.modified.plus(Duration::from_secs(120)));
    b.clock.advance(120);
    let job = b.until_back(&id, 2).await;
    assert_eq!(job.not_before, job.modified.plus(Duration::from_secs(7)));
    b.clock.advance(7);
    let job = b.until_state(&id, JobState::Failed).await;
    assert_eq!((job.attempts.len(), job.reschedule_rule.as_deref()), (3, Some("busy")));
    // A rule tries again even what would be given up at once.
    b.dialler.then(Script::Refuse("call.unallocated"));
    let id = b.submit("pages:1", "+14155550002").await;
    let job = b.until_back(&id, 1).await;
    assert_eq!((job.retries, job.not_before), (2, job.modified.plus(Duration::from_secs(30))));
    // Without a rule everything is as the retry table says.
    b.dialler.then(Script::Refuse("call.noanswer"));
    let id = b.submit("pages:1", "+14155550003").await;
    let job = b.until_back(&id, 1).await;
    assert_eq!((job.retries, job.reschedule_rule), (4, None));
}

#[tokio::test]
async fn one_wait_for_all_failures_is_for_all_of_them() {
    let mut b = Bench::with(|config| config.retry.every = Some(Duration::from_secs(77)));
    b.start();
    // Some have a wait of their own, where nothing is said.
    for (i, class) in
        ["call.busy", "call.congestion", "b.dcnwait", "b.rxincapable", "l.node"].into_iter().enumerate()
    {
        b.dialler.then(Script::Refuse(class));
        let id = b.submit("pages:1", &format!("+1415555000{i}")).await;
        let job = b.until_back(&id, 1).await;
        assert_eq!(job.not_before, job.modified.plus(Duration::from_secs(77)), "{class}");
    }
}

fn with_hours(account: &str, faxbox: &str) -> Directory {
    let hours = |text: &str| SendHours::parse([text].into_iter().filter(|t| !t.is_empty())).unwrap();
    let usual = directory();
    let accounts = usual.accounts().map(|a| Account {
        send_hours: hours(account),
        timezone: "America/New_York".into(),
        ..a.clone()
    });
    let faxbox = Faxbox { send_hours: hours(faxbox), ..usual.faxbox(&"f".into()).unwrap().clone() };
    Directory::new(accounts.collect(), vec![faxbox], &NumberPlan::default()).unwrap()
}

/// 2025-06-15 is a Sunday; New York is four hours behind UTC.
fn monday(hour: i64, minute: i64) -> Timestamp {
    Timestamp::from_unix_seconds(1_750_032_000 + (hour + 4) * 3600 + minute * 60)
}

#[tokio::test]
async fn faxes_are_sent_in_the_hours_of_their_account_or_faxbox() {
    let mut b = Bench::new();
    b.service.reload(with_hours("mon-fri 08:00-18:00", ""));
    b.start();
    let id = b.submit("pages:1", NUMBER).await;
    let held = b.until(&id, |j| j.state == JobState::Pending && j.not_before == monday(8, 0)).await;
    assert!(held.attempts.is_empty() && b.dialler.calls() == 0, "{held:?}");
    assert!(held.reason.unwrap().contains("hours"), "and says so");
    let wait = monday(8, 0).since(b.service.now()).as_secs();
    b.clock.advance(wait - 1);
    tokio::task::yield_now().await;
    assert_eq!(b.dialler.calls(), 0);
    // The line is engaged in the last minute of the day: the next try is the next morning.
    b.dialler.then(Script::Refuse("call.busy"));
    b.clock.advance(1 + 10 * 3600 - 30);
    let held = b.until(&id, |j| j.attempts.len() == 1 && j.state == JobState::Pending).await;
    assert!(held.not_before > monday(18, 0), "{:?}", held.not_before);
    b.clock.advance(60);
    let tuesday = monday(8, 0).plus(Duration::from_secs(86_400));
    b.until(&id, |j| j.not_before == tuesday).await;
    assert_eq!(b.dialler.calls(), 1);
    // The faxbox's own hours come first.
    b.service.reload(with_hours("mon-fri 08:00-18:00", "daily 18:00-20:00"));
    let mut new = Bench::new_job("pages:1", "+14155550002");
    new.faxbox = Some("f".into());
    let own = b.service.submit(new).await.unwrap().id;
    b.until_state(&own, JobState::Completed).await;
}

#[tokio::test]
async fn a_number_that_is_gone_is_given_a_rest() {
    let mut b = Bench::running();
    for _ in 0..3 {
        b.dialler.then(Script::Refuse("call.unallocated"));
        let id = b.submit("pages:1", NUMBER).await;
        b.until_state(&id, JobState::Failed).await;
    }
    let id = b.submit("pages:1", NUMBER).await;
    let job = b.until_state(&id, JobState::Failed).await;
    assert_eq!(b.dialler.calls(), 3, "no call is made");
    assert_eq!(job.attempts[0].outcome.class, "call.dead");
    let why = job.reason.unwrap();
    assert!(why.contains("last 3 calls") && why.contains("2025-06-16 15:06 UTC"), "{why}");
    // Another account may know better, and other numbers are not meant.
    let mut others = Bench::new_job("pages:1", NUMBER);
    others.account = "b".into();
    let other = b.service.submit(others).await.unwrap().id;
    b.until_state(&other, JobState::Completed).await;
    // A day later it is tried again, and what is there is not dead any more.
    b.clock.advance(86_400);
    let id = b.submit("pages:1", NUMBER).await;
    b.until_state(&id, JobState::Completed).await;
    let key = ProfileKey::number("a".into(), NUMBER);
    assert_eq!(b.store.profile(&key).await.unwrap().and_then(|p| p.dead), None);
}

#[tokio::test]
async fn a_rest_ends_when_the_number_is_forgotten_and_engaged_numbers_have_none() {
    let mut b = Bench::running();
    for class in ["call.rejected", "call.busy", "call.unallocated", "call.unallocated", "call.unallocated"] {
        b.dialler.then(Script::Refuse(class));
        let mut new = Bench::new_job("pages:1", NUMBER);
        new.retries = Some(1);
        let id = b.service.submit(new).await.unwrap().id;
        b.until_state(&id, JobState::Failed).await;
    }
    assert_eq!(b.dialler.calls(), 5, "the engaged line between them showed that somebody is there");
    let dead = b.submit("pages:1", NUMBER).await;
    b.until_state(&dead, JobState::Failed).await;
    assert_eq!(b.dialler.calls(), 5);
    let key = b.service.destination_key(&"a".into(), NUMBER);
    b.service.forget_profile(&key).await.unwrap();
    let id = b.submit("pages:1", NUMBER).await;
    b.until_state(&id, JobState::Completed).await;
}
