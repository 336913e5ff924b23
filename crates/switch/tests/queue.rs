//! Jobs from submission to their end: deliveries, retries, limits, calling off.
#![allow(clippy::unwrap_used, clippy::panic)]

mod bench;

use async_trait::async_trait;
use bench::{Bench, Script, next};
use bytes::Bytes;
use fax_store::model::{DocumentKey, JobId, JobState, NoticeKind, PageState, RetryPolicy, Timestamp};
use fax_store::{Documents, StoreError};
use fax_switch::{NewDocument, NewJob, ServiceError, SubmitError, Which};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Semaphore;

const N: &str = "(415) 555-0001";

#[tokio::test]
async fn a_fax_is_delivered_and_told() {
    let mut b = Bench::running();
    let mut new = Bench::new_job("pages:3", N);
    new.faxbox = Some("f".into());
    new.retries = None;
    let job = b.service.submit(new).await.unwrap();
    assert_eq!(job.state, JobState::Converting);
    let job = b.until_state(&job.id, JobState::Completed).await;
    assert_eq!((job.pages, job.pages_confirmed(), job.attempts.len()), (3, 3, 1));
    assert_eq!((job.retries, job.reason.as_deref()), (2, None));
    let order = b.dialler.calls.lock().unwrap()[0].clone();
    assert_eq!(order.to_number, "+14155550001");
    assert_eq!(order.from_number, "+14155550100");
    assert_eq!(order.header, "Clinic header");
    assert_eq!((order.first_page, order.pages.len()), (0, 3));
    let want = bench::document(3);
    assert_eq!(order.pages[2].shape, want.pages[2].shape);
    let notices = b.notices().await;
    assert_eq!(notices.len(), 1);
    assert_eq!(notices[0].kind, NoticeKind::Sent);
    assert_eq!(notices[0].to, ["me@example.org"]);
}

#[tokio::test]
async fn an_engaged_line_is_tried_again_later() {
    let mut b = Bench::running();
    b.dialler.then(Script::Refuse("call.busy"));
    let id = b.submit("pages:1", N).await;
    let job = b.until_back(&id, 1).await;
    let ended = job.attempts[0].ended;
    assert_eq!(job.not_before.since(ended).as_secs(), 60);
    assert_eq!(job.attempts[0].outcome.retry, RetryPolicy::Busy);
    b.settle().await;
    assert_eq!(b.dialler.calls(), 2, "the other one only");
    b.clock.advance(59);
    b.settle().await;
    assert_eq!(b.dialler.calls(), 3);
    b.clock.advance(1);
    let job = b.until_state(&id, JobState::Completed).await;
    assert_eq!(job.attempts.len(), 2);
    assert_eq!(b.notices().await.len(), 1, "no mail for an attempt that is followed by another");
}

#[tokio::test]
async fn the_next_attempt_starts_at_the_first_unconfirmed_page() {
    let mut b = Bench::running();
    b.dialler.then(Script::ConfirmThen(2, "call.dropped"));
    b.dialler.then(Script::ConfirmThen(1, "d.noresp"));
    let id = b.submit("pages:5", N).await;
    b.until_back(&id, 1).await;
    b.clock.advance(3600);
    b.until_back(&id, 2).await;
    b.clock.advance(3600);
    let job = b.until_state(&id, JobState::Completed).await;
    let firsts: Vec<_> = {
        let calls = b.dialler.calls.lock().unwrap();
        calls.iter().map(|c| (c.first_page, c.pages.len())).collect()
    };
    assert_eq!(firsts, [(0, 5), (2, 3), (3, 2)]);
    let by: Vec<_> = job.ledger.iter().map(|p| p.attempt).collect();
    assert_eq!(by, [0, 0, 1, 2, 2]);
    assert_eq!(b.dialler.calls.lock().unwrap()[2].known.degrade.max_bit_rate, Some(9600));
}

#[tokio::test]
async fn a_last_page_without_confirmation_is_uncertain_and_never_sent_again() {
    let mut b = Bench::running();
    b.dialler.then(Script::LastOpen("d.noresp"));
    let id = b.submit("pages:2", N).await;
    let job = b.until_state(&id, JobState::Uncertain).await;
    assert!(job.reason.unwrap().contains("uncertain"));
    assert_eq!(job.ledger[1].state, PageState::Sent);
    let notices = b.notices().await;
    assert_eq!((notices.len(), notices[0].kind), (1, NoticeKind::Uncertain));
    b.clock.advance(1_000_000);
    b.settle().await;
    assert_eq!(b.job(&id).await.attempts.len(), 1);
    assert_eq!(b.job(&id).await.state, JobState::Uncertain);
}

#[tokio::test]
async fn a_last_page_that_had_not_left_is_sent_again() {
    let mut b = Bench::running();
    b.dialler.then(Script::LastCut("call.dropped"));
    let id = b.submit("pages:2", N).await;
    let job = b.until_back(&id, 1).await;
    assert_eq!(job.ledger[1].state, PageState::Unsent);
    b.clock.advance(3600);
    b.until_state(&id, JobState::Completed).await;
    assert_eq!(b.dialler.calls.lock().unwrap()[1].first_page, 1);
}

#[tokio::test]
async fn a_last_page_that_was_confirmed_stays_so_when_its_call_fails() {
    let mut b = Bench::running();
    b.dialler.then(Script::AllThen("call.dropped"));
    let id = b.submit("pages:2", N).await;
    b.until(&id, |job| job.attempts.len() == 1).await;
    b.settle().await;
    let job = b.job(&id).await;
    assert_eq!(job.ledger[1].state, PageState::Confirmed { poor: false });
}

#[tokio::test]
async fn a_last_page_that_was_refused_is_not_uncertain() {
    let mut b = Bench::running();
    b.dialler.then(Script::LastRefused);
    let id = b.submit("pages:2", N).await;
    let job = b.until_back(&id, 1).await;
    assert_eq!(job.ledger[1].state, PageState::Unsent);
    b.clock.advance(3600);
    b.until_state(&id, JobState::Completed).await;
    let calls = b.dialler.calls.lock().unwrap();
    assert_eq!((calls[1].first_page, calls[1].known.degrade.ecm), (1, Some(true)));
}

#[tokio::test]
async fn a_number_out_of_service_is_not_called_again() {
    let mut b = Bench::running();
    b.dialler.then(Script::Refuse("call.unallocated"));
    let id = b.submit("pages:1", N).await;
    let job = b.until_state(&id, JobState::Failed).await;
    assert_eq!(job.reason.as_deref(), Some("The number is not in service."));
    assert_eq!(b.notices().await[0].kind, NoticeKind::Failed);
    b.clock.advance(1_000_000);
    b.settle().await;
    assert_eq!(b.dialler.calls(), 2);
}

#[tokio::test]
async fn what_is_begun_anew_is_not_judged_by_what_was_before() {
    let mut b = Bench::running();
    b.dialler.then(Script::LastOpen("d.noresp"));
    let id = b.submit("pages:2", N).await;
    b.until_state(&id, JobState::Uncertain).await;
    // Engaged: the last page was sent before, and nothing of it now.
    b.dialler.then(Script::Refuse("call.busy"));
    b.clock.advance(1);
    b.service.restart(&"a".into(), &id).await.unwrap();
    b.until_back(&id, 2).await;
    b.clock.advance(600);
    let job = b.until_state(&id, JobState::Completed).await;
    assert_eq!((job.attempts.len(), job.attempts[2].first_page), (3, 1));
    let kinds: Vec<_> = b.notices().await.iter().map(|n| n.kind).collect();
    assert_eq!(kinds, [NoticeKind::Uncertain, NoticeKind::Sent]);
    // A bad line three times is enough, and begun anew three times more.
    (0..6).for_each(|_| b.dialler.then(Script::Refuse("call.dropped")));
    let id = b.submit("pages:2", N).await;
    for before in [0, 3] {
        for tries in 1..3 {
            b.until_back(&id, before + tries).await;
            b.clock.advance(600);
        }
        let job = b.until_state(&id, JobState::Failed).await;
        assert_eq!(job.attempts.len(), before + 3);
        b.clock.advance(1);
        b.service.restart(&"a".into(), &id).await.unwrap();
    }
    b.until_state(&id, JobState::Completed).await;
}

#[tokio::test]
async fn attempts_are_counted_in_all() {
    let mut b = Bench::running();
    b.dialler.then(Script::Refuse("call.busy"));
    b.dialler.then(Script::Refuse("call.busy"));
    let mut new = Bench::new_job("pages:1", N);
    new.retries = Some(2);
    let id = b.service.submit(new).await.unwrap().id;
    b.until_back(&id, 1).await;
    b.clock.advance(60);
    let job = b.until_state(&id, JobState::Failed).await;
    assert_eq!(job.attempts.len(), 2);
    let mut once = Bench::new_job("pages:1", N);
    once.retries = Some(0);
    b.dialler.then(Script::Refuse("call.noanswer"));
    let id = b.service.submit(once).await.unwrap().id;
    b.until_state(&id, JobState::Failed).await;
}

#[tokio::test]
async fn our_own_faults_do_not_count() {
    let mut b = Bench::running();
    b.dialler.then(Script::Panic);
    let mut new = Bench::new_job("pages:1", N);
    new.retries = Some(1);
    let id = b.service.submit(new).await.unwrap().id;
    let job = b.until_back(&id, 1).await;
    assert_eq!(job.attempts[0].outcome.class, "l.internal");
    b.clock.advance(60);
    let job = b.until_state(&id, JobState::Completed).await;
    assert_eq!((job.attempts.len(), job.attempts_counted), (2, 1));
}

#[tokio::test]
async fn two_jobs_to_one_number_never_overlap() {
    let mut b = Bench::running();
    let mut begun = b.calls_begin();
    let gate = Arc::new(Semaphore::new(0));
    for _ in 0..3 {
        b.dialler.then(Script::Hold(gate.clone()));
    }
    let mut ids = Vec::new();
    for typed in ["+14155550001", "415 555 0001", "1-415-555-0001"] {
        ids.push(b.submit("pages:1", typed).await);
    }
    for _ in 0..3 {
        let id = next(&mut begun).await;
        b.until(&id, |j| j.state == JobState::Processing).await;
        gate.add_permits(1);
        b.until_state(&id, JobState::Completed).await;
    }
    assert_eq!(*b.dialler.most_to_one_number.lock().unwrap(), 1);
    assert_eq!(b.dialler.calls(), 3);
}

#[tokio::test]
async fn an_account_has_no_more_calls_than_it_may() {
    let mut b = Bench::running();
    let mut begun = b.calls_begin();
    let gate = Arc::new(Semaphore::new(0));
    let mut ids = Vec::new();
    for i in 0..6 {
        b.dialler.then(Script::Hold(gate.clone()));
        ids.push(b.submit("pages:1", &format!("+1415555001{i}")).await);
    }
    next(&mut begun).await;
    next(&mut begun).await;
    for id in &ids {
        b.until(id, |j| j.state != JobState::Converting).await;
    }
    assert!(begun.try_recv().is_err());
    gate.add_permits(6);
    for id in &ids {
        b.until_state(id, JobState::Completed).await;
    }
    assert_eq!(*b.dialler.most_at_once.lock().unwrap(), 2);
}

#[tokio::test]
async fn no_more_calls_than_the_switch_may() {
    let mut b = Bench::with(|c| c.max_calls = 1);
    b.start();
    let mut ids = Vec::new();
    for i in 0..6 {
        let mut new = Bench::new_job("pages:1", &format!("+1415555001{i}"));
        new.account = if i % 2 == 0 { "a" } else { "b" }.into();
        ids.push(b.service.submit(new).await.unwrap().id);
    }
    for id in &ids {
        b.until_state(id, JobState::Completed).await;
    }
    assert_eq!(*b.dialler.most_at_once.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_waiting_job_is_called_off_at_once() {
    let mut b = Bench::running();
    let mut new = Bench::new_job("pages:1", N);
    new.not_before = Some(b.service.now().plus(core::time::Duration::from_secs(500)));
    let id = b.service.submit(new).await.unwrap().id;
    let other = b.service.cancel(&"b".into(), &id).await;
    assert_eq!(other, Err(ServiceError::NotFound));
    let job = b.service.cancel(&"a".into(), &id).await.unwrap();
    assert_eq!(job.state, JobState::Cancelled);
    b.clock.advance(1000);
    b.settle().await;
    assert_eq!(b.dialler.calls(), 1);
    assert!(b.notices().await.is_empty());
    let again = b.service.cancel(&"a".into(), &id).await;
    assert!(matches!(again, Err(ServiceError::Conflict(_))));
}

#[tokio::test]
async fn a_running_job_is_called_off() {
    let mut b = Bench::running();
    let mut begun = b.calls_begin();
    b.dialler.then(Script::Hold(Arc::new(Semaphore::new(0))));
    let id = b.submit("pages:1", N).await;
    next(&mut begun).await;
    let job = b.service.cancel(&"a".into(), &id).await.unwrap();
    assert!(job.cancel || job.state == JobState::Cancelled);
    let job = b.until_state(&id, JobState::Cancelled).await;
    assert_eq!(job.attempts.len(), 1);
    let second = b.submit("pages:1", N).await;
    b.until_state(&second, JobState::Completed).await;
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_ended() {
    let mut b = Bench::running();
    let mut begun = b.calls_begin();
    b.dialler.then(Script::Hold(Arc::new(Semaphore::new(0))));
    let id = b.submit("pages:1", N).await;
    next(&mut begun).await;
    b.until_state(&id, JobState::Processing).await;
    b.clock.advance(3601);
    let job = b.until_back(&id, 1).await;
    assert_eq!(job.attempts[0].outcome.class, "call.timeout");
}

#[tokio::test]
async fn a_document_that_is_none_fails_with_its_reason() {
    let mut b = Bench::running();
    let id = b.submit("This", N).await;
    let job = b.until_state(&id, JobState::Failed).await;
    assert_eq!(job.reason.as_deref(), Some("This is no document."));
    let notices = b.notices().await;
    assert_eq!((notices.len(), notices[0].kind), (1, NoticeKind::Failed));
    assert_eq!(b.dialler.calls(), 0);
}

#[tokio::test]
async fn a_document_that_is_not_there_yet_is_tried_again() {
    let mut b = Bench::running();
    let id = b.service.submit(Bench::fetched_job("later", N)).await.unwrap().id;
    for tries in 1..5 {
        b.until(&id, |j| j.conversions == tries && j.lease.is_none()).await;
        b.clock.advance(60);
    }
    let job = b.until_state(&id, JobState::Failed).await;
    assert_eq!(job.reason.as_deref(), Some("not now"));
    assert_eq!(b.fetcher.asked.load(Ordering::Relaxed), 1, "it was kept");
}

/// A store of documents that is away for a day, or a converter that cannot be started, ends no fax that was accepted;
/// where it lasts for days the sender is told.
#[tokio::test]
async fn troubles_of_our_own_house_end_no_fax() {
    let mut b = Bench::new();
    let stored = b.submit("pages:3", "4155550179").await;
    let (here, away) = (b.dir.path().join("documents"), b.dir.path().join("away"));
    std::fs::rename(&here, &away).unwrap();
    b.start();
    let waits = async |b: &mut Bench, id: &JobId, why: &str| {
        let mut last = Timestamp::default();
        for _ in 0..40 {
            let job = b.until(id, |j| j.not_before > last && j.lease.is_none() && j.reason.is_some()).await;
            assert_eq!((job.state, job.conversions), (JobState::Converting, 0));
            assert!(job.reason.as_deref().unwrap().contains(why), "{job:?}");
            last = job.not_before;
            b.clock.advance(900);
        }
    };
    waits(&mut b, &stored, "is not there").await;
    // As a mount point without its file system.
    std::fs::create_dir(&here).unwrap();
    waits(&mut b, &stored, "is not there").await;
    std::fs::remove_dir(&here).unwrap();
    std::fs::rename(&away, &here).unwrap();
    b.clock.advance(900);
    assert_eq!(b.until_state(&stored, JobState::Completed).await.reason, None);
    let house = b.submit("house", N).await;
    waits(&mut b, &house, "no converter").await;
    b.clock.advance(3 * 86_400);
    let job = b.until_state(&house, JobState::Failed).await;
    assert_eq!(job.reason.as_deref(), Some("no converter"));
}

/// Documents of which none can be read any more.
struct Damaged(Arc<dyn Documents>);

#[async_trait]
impl Documents for Damaged {
    async fn put(&self, octets: Bytes) -> Result<DocumentKey, StoreError> {
        self.0.put(octets).await
    }
    async fn put_as(&self, key: &DocumentKey, octets: Bytes) -> Result<(), StoreError> {
        self.0.put_as(key, octets).await
    }
    async fn get(&self, _: &DocumentKey) -> Result<Bytes, StoreError> {
        Err(StoreError::Damaged("it was cut off".into()))
    }
    async fn delete(&self, key: &DocumentKey) -> Result<(), StoreError> {
        self.0.delete(key).await
    }
    async fn older_than(&self, age: Duration, shelf: u8) -> Result<Vec<DocumentKey>, StoreError> {
        self.0.older_than(age, shelf).await
    }
}

/// What will never be read again will never be a fax: its sender is told.
#[tokio::test]
async fn a_damaged_document_ends_its_fax() {
    let mut b = Bench::new();
    let id = b.submit("pages:3", N).await;
    b.documents = Arc::new(Damaged(b.documents.clone()));
    b.crash().await;
    b.start();
    let job = b.until_state(&id, JobState::Failed).await;
    assert_eq!(job.reason.as_deref(), Some("The document is damaged."));
}

/// What the converter left out is told, in bounds, and goes when the document is another.
#[tokio::test]
async fn remarks_about_a_document_are_kept_until_it_is_another() {
    let mut b = Bench::running();
    b.dialler.then(Script::Refuse("call.busy"));
    let id = b.submit("remarks", N).await;
    let job = b.until_back(&id, 1).await;
    assert_eq!(job.remarks.len(), 10);
    assert!(job.remarks.iter().all(|r| r.chars().count() == 200), "{:?}", job.remarks);
    assert!(job.remarks[1].starts_with("1 xxx"));
    let mut again = Bench::new_job("", N);
    again.document = NewDocument::Copy(Which::Job(id.clone()));
    let copy = b.service.submit(again).await.unwrap();
    assert_eq!(copy.remarks, job.remarks, "the pages are the same");
    let changed = b.service.change_job(&id, Bench::new_job("pages:2", N)).await.unwrap();
    assert!(changed.remarks.is_empty());
}

#[tokio::test]
async fn a_document_is_fetched() {
    let mut b = Bench::running();
    let id = b.service.submit(Bench::fetched_job("pages:2", N)).await.unwrap().id;
    assert_eq!(b.until_state(&id, JobState::Completed).await.pages, 2);
}

#[tokio::test]
async fn what_cannot_be_sent_is_not_taken() {
    let b = Bench::new();
    let submit = |change: fn(&mut NewJob)| {
        let mut new = Bench::new_job("pages:1", N);
        change(&mut new);
        let service = b.service.clone();
        async move { service.submit(new).await.map(|_| ()).unwrap_err() }
    };
    assert_eq!(submit(|n| n.account = "x".into()).await, SubmitError::UnknownAccount);
    let box_of_another = |n: &mut NewJob| {
        n.account = "b".into();
        n.faxbox = Some("f".into());
    };
    assert_eq!(submit(box_of_another).await, SubmitError::UnknownFaxbox);
    let bad = submit(|n| n.to_number = "12".into()).await;
    assert_eq!(bad, SubmitError::BadNumber("12".into()));
    // Not even where it is dialled as it was typed.
    let kept = |n: &mut NewJob| {
        n.keep_number = true;
        n.to_number = format!("1{}", "x".repeat(10_000));
    };
    assert!(matches!(submit(kept).await, SubmitError::BadNumber(_)));
    let empty = |n: &mut NewJob| {
        if let NewDocument::Octets { octets, .. } = &mut n.document {
            octets.clear();
        }
    };
    assert_eq!(submit(empty).await, SubmitError::EmptyDocument);
}

#[tokio::test]
async fn a_limit_that_is_raised_counts_at_once_by_the_file_and_over_rest() {
    let mut b = Bench::with(|c| c.default_max_outbound = 1);
    let s = b.service.clone();
    let mut accounts: Vec<_> = bench::directory().accounts().cloned().collect();
    accounts.iter_mut().for_each(|a| a.max_outbound = None);
    let plan = fax_switch::number::NumberPlan::default();
    s.reload(fax_switch::Directory::new(accounts.clone(), Vec::new(), &plan).unwrap());
    let sub = |most: Option<u32>| {
        let document = serde_json::json!({ "name": "Sub", "fax": { "max_outbound": most, "ensure_valid_caller_id": false } });
        let mut entry = fax_store::model::Entry::new(
            fax_store::model::EntryKind::Account,
            "c",
            "a".into(),
            fax_store::model::Timestamp(1),
        );
        entry.document = document.as_object().unwrap().clone();
        entry
    };
    let made = s.put_entries(vec![sub(None)]).await.unwrap().remove(0);
    b.start();
    let mut begun = b.calls_begin();
    let gate = Arc::new(Semaphore::new(0));
    let mut ids = Vec::new();
    for (account, i) in [("a", 0), ("a", 1), ("a", 2), ("c", 3), ("c", 4)] {
        b.dialler.then(Script::Hold(gate.clone()));
        let mut new = Bench::new_job("pages:1", &format!("+1415555001{i}"));
        new.account = account.into();
        ids.push(s.submit(new).await.unwrap().id);
    }
    // One of each: what stands in [queue] counts for accounts over REST, too.
    next(&mut begun).await;
    next(&mut begun).await;
    for id in &ids {
        b.until(id, |j| j.state != JobState::Converting).await;
    }
    b.settle_time().await;
    assert!(begun.try_recv().is_err(), "an account has one call");

    let mut entry = sub(Some(2));
    entry.change = made.change;
    entry.document.insert("realm".into(), made.document["realm"].clone());
    s.put_entries(vec![entry]).await.unwrap();
    next(&mut begun).await;
    b.settle_time().await;
    assert!(begun.try_recv().is_err(), "only that account's limit was raised");

    let mut config = b.config.clone();
    config.default_max_outbound = 3;
    s.reconfigure(config);
    next(&mut begun).await;
    next(&mut begun).await;
    gate.add_permits(5);
    for id in &ids {
        b.until_state(id, JobState::Completed).await;
    }
}

#[tokio::test]
async fn mails_that_nobody_sends_are_not_stored() {
    for mails in [true, false] {
        let mut b = Bench::with(|c| c.mails = mails);
        b.start();
        let mut new = Bench::new_job("pages:1", "+14155550001");
        new.notify = vec!["nurse@clinic.example".into()];
        let id = b.service.submit(new).await.unwrap().id;
        b.until_state(&id, JobState::Completed).await;
        assert_eq!(b.notices().await.len(), usize::from(mails));
    }
}
