//! A switch that learns: the second job to a number starts right, also after a crash, until it is forgotten or expires.
#![allow(clippy::unwrap_used, clippy::panic)]

mod bench;

use bench::{Bench, Script};
use fax_store::model::{Ability, JobState, ProfileKey};
use fax_switch::TraitSetting;
use fax_switch::policy::Plan;
use fax_switch::port::{CallResult, Observed, T38Course};

const N: &str = "+14155551234";
const DAY: u64 = 86_400;

/// T.38 is agreed there and carries nothing; the fax goes on by audio.
fn silent(plan: &Plan) -> CallResult {
    let asked = plan.step(Ability::T38) < 2;
    let t38 = if asked { T38Course::Silent } else { T38Course::Unasked };
    CallResult {
        class: "ok".into(),
        remote_ident: Some("+1 555 1234".into()),
        observed: Observed { t38, dis: Some(vec![0, 0x76, 0xF8].into()), ..Observed::default() },
        ..CallResult::default()
    }
}

/// Busy, however it is called.
fn busy(_: &Plan) -> CallResult {
    CallResult { class: "call.busy".into(), ..CallResult::default() }
}

fn key() -> ProfileKey {
    ProfileKey::number("a".into(), N)
}

/// Sends a fax to `N`: the step of T.38 in its last call, and what the record says was applied.
async fn send(b: &mut Bench) -> (usize, Vec<String>) {
    b.dialler.then(Script::Far(silent));
    let id = b.submit("pages:1", N).await;
    let job = b.until_state(&id, JobState::Completed).await;
    let step = b.dialler.calls.lock().unwrap().last().unwrap().plan("carrier").step(Ability::T38);
    (step, job.attempts[0].applied.clone())
}

#[tokio::test]
async fn the_second_job_starts_right_also_after_a_crash() {
    let mut b = Bench::running();
    assert_eq!(send(&mut b).await, (0, vec![]));
    b.crash().await;
    b.start();
    let (step, applied) = send(&mut b).await;
    assert_eq!(step, 2);
    assert!(applied[0].starts_with("T.38 off: learnt 2025-06-15 after 1 failure"), "{applied:?}");
    assert!(applied[0].contains("on probation from 2025-07-15"), "{applied:?}");
    let profile = b.service.profile(&key()).await.unwrap();
    assert_eq!((profile.calls, profile.delivered), (2, 2));
    let far_end = profile.far_end.unwrap();
    assert_eq!((far_end.ident.as_deref(), far_end.dis.as_str()), (Some("+1 555 1234"), "0076f8"));
    assert!(far_end.says.iter().any(|s| s.contains("V.17")), "{:?}", far_end.says);
    // Another number knows nothing of it.
    b.dialler.then(Script::Far(silent));
    let id = b.submit("pages:1", "+14155559876").await;
    b.until_state(&id, JobState::Completed).await;
    assert_eq!(b.dialler.calls.lock().unwrap().last().unwrap().plan("carrier").step(Ability::T38), 0);
}

#[tokio::test]
async fn it_tries_the_full_set_again_when_forgotten_and_when_expired() {
    let mut b = Bench::running();
    send(&mut b).await;
    assert_eq!(send(&mut b).await.0, 2);
    b.service.forget_profile(&key()).await.unwrap();
    assert_eq!(send(&mut b).await.0, 0);
    assert_eq!(send(&mut b).await.0, 2);
    b.clock.advance(31 * DAY);
    assert_eq!(send(&mut b).await.0, 0, "on probation");
    assert_eq!(send(&mut b).await.0, 2, "it failed again");
    b.clock.advance(31 * DAY);
    assert_eq!(send(&mut b).await.0, 2, "for longer");
}

#[tokio::test]
async fn an_engaged_line_teaches_nothing() {
    let mut b = Bench::running();
    b.dialler.then(Script::Far(busy));
    let id = b.submit("pages:1", N).await;
    b.until_back(&id, 1).await;
    assert_eq!(b.store.profile(&key()).await.unwrap(), None);
}

#[tokio::test]
async fn what_the_operator_locks_is_applied_and_shown() {
    let mut b = Bench::running();
    let lock = |ability, step, trunk: Option<&str>| TraitSetting {
        ability,
        trunk: trunk.map(str::to_owned),
        step: Some(step),
        locked: Some(true),
    };
    let wanted = vec![lock(Ability::T38, 0, None), lock(Ability::Ecm, 1, None)];
    b.service.set_traits(&key(), wanted).await.unwrap();
    for _ in 0..3 {
        let (step, applied) = send(&mut b).await;
        assert_eq!(step, 0, "{applied:?}");
        assert!(
            applied.iter().any(|s| s == "ECM off: set 2025-06-15 by the operator, locked"),
            "{applied:?}"
        );
    }
}

#[tokio::test]
async fn a_switch_that_does_not_learn_keeps_nothing() {
    let mut b = Bench::with(|c| c.learning = None);
    b.start();
    for _ in 0..2 {
        assert_eq!(send(&mut b).await, (0, vec![]));
    }
    assert_eq!(b.store.profile(&key()).await.unwrap(), None);
}
