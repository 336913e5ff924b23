//! Crashes and stops in every state: nothing is lost, nothing is sent twice.
#![allow(clippy::unwrap_used, clippy::panic)]

mod bench;

use bench::{Bench, Script, next};
use core::time::Duration;
use fax_store::model::{DocumentKey, EntryKind, JobState, NodeId, NoticeKind, PageState};
use fax_store::port::LeaseRequest;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::Semaphore;

const N: &str = "+14155550001";

#[tokio::test]
async fn a_half_converted_job_is_converted_again() {
    let mut b = Bench::running();
    let id = b.submit("hang", N).await;
    b.until(&id, |_| true).await;
    // The node has it and died.
    let taken = b.store.lease_converting(&b.config.node, b.service.now(), b.service.now(), 9).await.unwrap();
    b.crash().await;
    assert!(taken.len() <= 1);
    let stale = b.store.stale(Some(&b.config.node), b.service.now()).await;
    assert_eq!(stale.unwrap().len(), 1);
    b.start();
    b.settle().await;
    // It is being converted again: it hangs again.
    assert_eq!(b.job(&id).await.state, JobState::Converting);
    assert!(b.job(&id).await.lease.is_some());
    b.service.cancel(&"a".into(), &id).await.unwrap();
    b.until_state(&id, JobState::Cancelled).await;
}

#[tokio::test]
async fn a_locked_job_is_sent_after_a_restart() {
    let mut b = Bench::running();
    let mut new = Bench::new_job("pages:2", N);
    new.not_before = Some(b.service.now());
    b.dialler.then(Script::Refuse("call.busy"));
    let id = b.service.submit(new).await.unwrap().id;
    b.until_back(&id, 1).await;
    b.crash().await;
    let now = b.service.now().plus(Duration::from_secs(60));
    let request = LeaseRequest {
        node: b.config.node.clone(),
        now,
        until: now.plus(Duration::from_secs(60)),
        limit: 9,
        account_limits: HashMap::new(),
        default_account_limit: 9,
        serialise_numbers: true,
    };
    assert_eq!(b.store.lease_due(request).await.unwrap().len(), 1);
    b.clock.advance(60);
    b.start();
    let job = b.until_state(&id, JobState::Completed).await;
    assert_eq!(job.attempts.len(), 2, "being locked is no attempt");
}

#[tokio::test]
async fn a_call_cut_off_by_a_crash_goes_on_at_the_first_unconfirmed_page() {
    let mut b = Bench::running();
    b.dialler.then(Script::Hang(1, 1));
    let mut new = Bench::new_job("pages:3", N);
    new.retries = Some(1);
    let id = b.service.submit(new).await.unwrap().id;
    b.until(&id, |j| j.pages_confirmed() == 1).await;
    b.crash().await;
    assert_eq!(b.job(&id).await.state, JobState::Processing);
    b.start();
    let job = b.until_back(&id, 1).await;
    assert_eq!(job.attempts[0].outcome.class, "l.node");
    assert_eq!(job.attempts[0].pages_confirmed, 1);
    b.clock.advance(5);
    let job = b.until_state(&id, JobState::Completed).await;
    let calls = b.dialler.calls.lock().unwrap();
    assert_eq!((calls[1].first_page, calls[1].pages.len()), (1, 2));
    assert_eq!(job.attempts_counted, 1);
}

#[tokio::test]
async fn a_crash_between_the_last_page_and_its_confirmation_is_uncertain() {
    let mut b = Bench::running();
    b.dialler.then(Script::Hang(1, 1));
    let id = b.submit("pages:2", N).await;
    b.until(&id, |j| j.ledger.len() == 2 && j.ledger[1].state == PageState::Sent).await;
    b.crash().await;
    b.start();
    b.until_state(&id, JobState::Uncertain).await;
    let notices = b.notices().await;
    assert_eq!((notices.len(), notices[0].kind), (1, NoticeKind::Uncertain));
    b.clock.advance(1_000_000);
    b.settle().await;
    assert_eq!(b.dialler.calls(), 2, "the other one only");
}

#[tokio::test]
async fn a_crash_after_the_last_confirmation_is_a_delivery() {
    let mut b = Bench::running();
    b.dialler.then(Script::Hang(2, 0));
    let id = b.submit("pages:2", N).await;
    b.until(&id, |j| j.pages > 0 && j.pages_confirmed() == 2).await;
    b.crash().await;
    b.start();
    b.until_state(&id, JobState::Completed).await;
    assert_eq!(b.dialler.calls(), 1);
    assert_eq!(b.notices().await[0].kind, NoticeKind::Sent);
}

#[tokio::test]
async fn the_jobs_of_a_dead_node_are_taken_over_when_their_lease_ends() {
    let mut b = Bench::running();
    b.dialler.then(Script::Hang(1, 0));
    let id = b.submit("pages:2", N).await;
    b.until(&id, |j| j.pages_confirmed() == 1).await;
    b.config.node = NodeId::new("n2");
    b.crash().await;
    b.start();
    b.settle().await;
    assert_eq!(b.job(&id).await.state, JobState::Processing, "n1 may be alive");
    b.clock.advance(61);
    b.until_back(&id, 1).await;
    b.clock.advance(5);
    b.until_state(&id, JobState::Completed).await;
    assert_eq!(b.dialler.calls.lock().unwrap().last().unwrap().first_page, 1);
}

#[tokio::test]
async fn a_long_call_keeps_its_lease() {
    let mut b = Bench::running();
    let mut begun = b.calls_begin();
    let gate = Arc::new(Semaphore::new(0));
    b.dialler.then(Script::Hold(gate.clone()));
    let id = b.submit("pages:1", N).await;
    next(&mut begun).await;
    b.until_state(&id, JobState::Processing).await;
    for _ in 0..30 {
        b.clock.advance(20);
        b.settle().await;
    }
    let lease = b.job(&id).await.lease.unwrap();
    assert!(lease.until > b.service.now());
    gate.add_permits(1);
    let job = b.until_state(&id, JobState::Completed).await;
    assert_eq!(job.attempts.len(), 1);
}

#[tokio::test]
async fn a_stop_waits_for_a_call_that_ends_in_time() {
    let mut b = Bench::running();
    let mut begun = b.calls_begin();
    let gate = Arc::new(Semaphore::new(0));
    b.dialler.then(Script::Hold(gate.clone()));
    let id = b.submit("pages:1", N).await;
    next(&mut begun).await;
    b.stop.send_replace(true);
    gate.add_permits(1);
    b.stopped().await;
    assert_eq!(b.job(&id).await.state, JobState::Completed);
}

#[tokio::test]
async fn a_stop_gives_back_what_does_not_end_in_time() {
    // The clock runs ahead below: no call is too long here.
    let mut b = Bench::with(|c| c.longest_call = Duration::from_secs(1 << 40));
    b.start();
    let mut begun = b.calls_begin();
    b.dialler.then(Script::Hold(Arc::new(Semaphore::new(0))));
    b.dialler.then(Script::Hang(1, 0));
    let held = b.submit("pages:1", N).await;
    next(&mut begun).await;
    let hung = b.submit("pages:2", "+14155550002").await;
    next(&mut begun).await;
    let converting = b.submit("hang", "+14155550003").await;
    b.until(&converting, |j| j.lease.is_some() || j.state == JobState::Converting).await;
    b.until(&hung, |j| j.pages_confirmed() == 1).await;
    b.stop.send_replace(true);
    let runs = b.runs.take().unwrap();
    while !runs.is_finished() {
        b.clock.advance(5);
        tokio::task::yield_now().await;
    }
    for id in [&held, &hung] {
        let job = b.job(id).await;
        assert_eq!((job.state, job.lease), (JobState::Pending, None));
        assert_eq!((job.attempts.len(), job.attempts_counted), (1, 0));
        assert_eq!(job.attempts[0].outcome.class, "l.node");
    }
    let job = b.job(&converting).await;
    assert_eq!((job.state, job.lease), (JobState::Converting, None));
}

#[tokio::test]
async fn documents_without_rows_are_swept_and_others_are_not() {
    let grace = Duration::from_secs(2);
    let mut b = Bench::with(|c| c.sweep_after = grace);
    b.start();
    is_marked(&b).await;
    let id = b.submit("pages:1", N).await;
    let job = b.until_state(&id, JobState::Completed).await;
    let lost = b.documents.put("lost".into()).await.unwrap();
    // A document's age is its file's, which the set clock does not move.
    std::thread::sleep(grace + Duration::from_millis(100));
    assert!(is_swept(&mut b, &lost).await);
    assert!(b.documents.get(&job.document.unwrap()).await.is_ok());
}

/// Waits until the documents, of which there are none yet, are this store's own.
async fn is_marked(b: &Bench) {
    for _ in 0..1000 {
        if b.documents.get(&DocumentKey::new("0".repeat(32))).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("nobody says whose the documents are");
}

/// Whether the document goes in the next sweep.
async fn is_swept(b: &mut Bench, key: &DocumentKey) -> bool {
    b.clock.advance(86_400);
    b.settle().await;
    for _ in 0..1000 {
        if b.documents.get(key).await.is_err() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    false
}

/// Each asks for every document there is: so nodes do not do it all, nor at every start.
#[tokio::test]
async fn documents_are_swept_by_one_node_once_a_day() {
    let grace = Duration::from_secs(1);
    let mut b = Bench::with(|c| c.sweep_after = grace);
    b.start();
    let swept = async |b: &Bench| {
        let entries = b.store.entries(0, 1000).await.unwrap();
        let entry = entries.into_iter().find(|e| e.kind == EntryKind::Duty && e.id == "documents");
        entry.and_then(|e| e.hidden.get("swept")?.as_i64())
    };
    let mut patience = 0..1000;
    while swept(&b).await.is_none() {
        patience.next().expect("the first sweep is noted");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let lost = b.documents.put("lost".into()).await.unwrap();
    std::thread::sleep(grace + Duration::from_millis(100));
    b.crash().await;
    b.start();
    b.clock.advance(3600);
    b.settle().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(b.documents.get(&lost).await.is_ok(), "it was swept within the day");
    // Another node has the duty.
    let entries = b.store.entries(0, 1000).await.unwrap();
    let duty = entries.into_iter().find(|e| e.kind == EntryKind::Duty && e.id == "retention");
    let mut duty = duty.unwrap();
    duty.hidden.insert("node".into(), "other".into());
    duty.hidden.insert("until".into(), b.service.now().plus(Duration::from_secs(30 * 3600)).0.into());
    b.store.put_entries(vec![duty]).await.unwrap();
    assert!(!is_swept(&mut b, &lost).await);
    assert!(is_swept(&mut b, &lost).await);
}

#[tokio::test]
async fn documents_of_another_store_are_left_alone() {
    let grace = Duration::from_secs(1);
    // As after `[database]` was added without an import: documents, and no row that names them.
    let mut b = Bench::with(|c| c.sweep_after = grace);
    let foreign = b.documents.put("of the other store".into()).await.unwrap();
    std::thread::sleep(grace + Duration::from_millis(100));
    b.start();
    assert!(!is_swept(&mut b, &foreign).await);
    // Nor when faxes of its own have come in since.
    let id = b.submit("pages:1", N).await;
    b.until_state(&id, JobState::Completed).await;
    b.documents.put_as(&DocumentKey::new("0".repeat(32)), "another number".into()).await.unwrap();
    assert!(!is_swept(&mut b, &foreign).await);
}

/// As in a bucket that was given to two servers: what is young says nothing, and half is not nearly all.
#[tokio::test]
async fn documents_are_taken_for_a_stores_own_when_nearly_all_are() {
    let grace = Duration::from_secs(2);
    let mut b = Bench::with(|c| c.sweep_after = grace);
    let foreign = b.documents.put("of the other store".into()).await.unwrap();
    b.start();
    b.settle().await;
    let mark = DocumentKey::new("0".repeat(32));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(b.documents.get(&mark).await.is_err(), "one that is young is no sign");
    for n in 0..3 {
        let id = b.submit("pages:1", &format!("(415) 555-002{n}")).await;
        b.until_state(&id, JobState::Completed).await;
    }
    std::thread::sleep(grace + Duration::from_millis(100));
    assert!(!is_swept(&mut b, &foreign).await, "most are named, and not nearly all");
    assert!(b.documents.get(&mark).await.is_err());
}
