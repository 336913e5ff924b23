//! Jobs that are changed while they wait, requests that come twice, documents that are removed, receptions that run.
#![allow(clippy::unwrap_used, clippy::panic)]

mod bench;

use bench::{Bench, Script, next};
use fax_store::model::{AccountId, JobState, Source};
use fax_switch::{
    EventSubject, Format, IncomingCall, NewDocument, NewJob, ONCE_FOR, Once, ServiceError, SubmitError, Which,
};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::Semaphore;

const N: &str = "+14155550001";

fn changed(id: &fax_store::model::JobId, number: &str) -> NewJob {
    let own = NewDocument::Copy(Which::Job(id.clone()));
    NewJob { retries: Some(2), ..NewJob::new("a".into(), number, own) }
}

#[tokio::test]
async fn a_job_that_waits_goes_to_another_number() {
    let mut b = Bench::running();
    b.dialler.then(Script::Refuse("call.busy"));
    let id = b.submit("pages:2", N).await;
    b.until_back(&id, 1).await;
    let job = b.service.change_job(&id, changed(&id, "+14155550002")).await.unwrap();
    assert_eq!((job.attempts.len(), job.attempts_counted, job.state), (0, 0, JobState::Pending));
    // It does not wait for the time of the old number's next attempt.
    let done = b.until_state(&id, JobState::Completed).await;
    assert_eq!((done.to_number.as_str(), done.attempts.len(), done.retries), ("+14155550002", 1, 2));
    let again = b.service.change_job(&id, changed(&id, N)).await;
    assert!(matches!(again, Err(SubmitError::Conflict(_))), "{again:?}");
    let foreign = NewJob { account: "b".into(), ..changed(&id, N) };
    assert_eq!(b.service.change_job(&id, foreign).await, Err(SubmitError::NotFound));
}

#[tokio::test]
async fn pages_that_have_gone_out_keep_a_job_at_its_number() {
    let mut b = Bench::running();
    b.dialler.then(Script::ConfirmThen(1, "d.noresp"));
    let id = b.submit("pages:3", N).await;
    b.until_back(&id, 1).await;
    let elsewhere = b.service.change_job(&id, changed(&id, "+14155550002")).await;
    assert!(matches!(elsewhere, Err(SubmitError::Conflict(_))), "{elsewhere:?}");
    // The rest still goes to the same one.
    b.service.change_job(&id, NewJob { from_name: Some("Ward".into()), ..changed(&id, N) }).await.unwrap();
    let done = b.until_state(&id, JobState::Completed).await;
    assert_eq!(done.from_name, "Ward");
    assert_eq!(b.dialler.calls.lock().unwrap()[1].first_page, 1);
}

#[tokio::test]
async fn a_job_that_is_being_sent_is_not_changed() {
    let mut b = Bench::running();
    let mut begun = b.calls_begin();
    let gate = Arc::new(Semaphore::new(0));
    b.dialler.then(Script::Hold(gate.clone()));
    let id = b.submit("pages:1", N).await;
    next(&mut begun).await;
    let busy = b.service.change_job(&id, changed(&id, "+14155550002")).await;
    assert!(matches!(busy, Err(SubmitError::Conflict(_))), "{busy:?}");
    gate.add_permits(1);
    assert_eq!(b.until_state(&id, JobState::Completed).await.to_number, N);
}

#[tokio::test]
async fn a_job_keeps_its_time_unless_told_another() {
    let b = Bench::new();
    let later = b.service.now().plus(core::time::Duration::from_secs(500));
    let new = NewJob { not_before: Some(later), ..Bench::new_job("pages:1", N) };
    let id = b.service.submit(new).await.unwrap().id;
    let job = b.service.change_job(&id, changed(&id, "+14155550002")).await.unwrap();
    assert_eq!(job.not_before, later);
    let url = Bench::fetched_job("pages:4", N).document;
    let job = b.service.change_job(&id, NewJob { document: url, ..changed(&id, N) }).await.unwrap();
    assert_eq!(job.state, JobState::Converting);
    assert!(job.source.original().is_none());
}

#[tokio::test]
async fn the_same_request_makes_one_job() {
    let mut b = Bench::new();
    let once = |key: &str, request: &str| {
        let once = Once { key: key.into(), request: request.into() };
        NewJob { once: Some(once), ..Bench::new_job("pages:1", N) }
    };
    let many = (0..12).map(|_| {
        let service = b.service.clone();
        let new = once("k", "r");
        tokio::spawn(async move { service.submit(new).await.unwrap() })
    });
    let mut all = Vec::new();
    for one in many.collect::<Vec<_>>() {
        all.push(one.await.unwrap());
    }
    let first = all[0].clone();
    assert!(all.iter().all(|job| job.id == first.id));
    // Also after a crash, and when the job has gone on.
    b.crash().await;
    b.start();
    b.until_state(&first.id, JobState::Completed).await;
    let again = b.service.submit(once("k", "r")).await.unwrap();
    assert_eq!((&again.id, again.state, again.attempts.len()), (&first.id, JobState::Converting, 0));
    assert_eq!(b.service.submit(once("k", "other")).await, Err(SubmitError::KeyReused));
    assert_ne!(b.service.submit(once("l", "r")).await.unwrap().id, first.id);
    let mut other = once("k", "r");
    other.account = "b".into();
    assert_ne!(b.service.submit(other).await.unwrap().id, first.id);
    b.settle().await;
    // Also behind midnight.
    b.clock.advance(ONCE_FOR.as_secs() - 1);
    assert_eq!(b.service.submit(once("k", "r")).await.unwrap().id, first.id);
    // A day later the key is as good as new, and known again from then on.
    b.clock.advance(1);
    let next_day = b.service.submit(once("k", "other")).await.unwrap();
    assert_ne!(next_day.id, first.id);
    assert_eq!(b.service.submit(once("k", "other")).await.unwrap().id, next_day.id);
    assert_eq!(b.service.submit(once("k", "r")).await, Err(SubmitError::KeyReused));
}

/// Two requests of one key that began before and behind midnight have one id, so that the store takes one of them.
#[tokio::test]
async fn a_key_means_one_job_whatever_the_time_is() {
    let once = |request: &str| {
        let once = Once { key: "k".into(), request: request.into() };
        NewJob { once: Some(once), ..Bench::new_job("pages:1", N) }
    };
    let (before, behind) = (Bench::new(), Bench::new());
    let to_midnight = 86_400 - before.service.now().unix_seconds().rem_euclid(86_400);
    let to_midnight = u64::try_from(to_midnight).unwrap();
    before.clock.advance(to_midnight - 1);
    behind.clock.advance(to_midnight + 1);
    let first = before.service.submit(once("r")).await.unwrap();
    assert_eq!(behind.service.submit(once("r")).await.unwrap().id, first.id);

    // A key that is used every day is known also when jobs of it have been removed.
    let mut b = Bench::running();
    let mut ids = Vec::new();
    for day in 0..4 {
        let id = b.service.submit(once(&format!("r{day}"))).await.unwrap().id;
        b.until_state(&id, JobState::Completed).await;
        assert!(!ids.contains(&id));
        ids.push(id);
        b.clock.advance(ONCE_FOR.as_secs() - 1);
        assert_eq!(b.service.submit(once(&format!("r{day}"))).await.unwrap().id, ids[day]);
        b.clock.advance(u64::from(day < 3));
    }
    for id in &ids[..2] {
        b.service.delete_job(&"a".into(), id).await.unwrap();
    }
    assert_eq!(b.service.submit(once("r3")).await.unwrap().id, ids[3]);
    b.clock.advance(1);
    assert_eq!(b.service.submit(once("r4")).await.unwrap().id, ids[0], "what is free is taken first");
}

#[tokio::test]
async fn documents_go_and_the_record_stays() {
    let mut b = Bench::running();
    let id = b.submit("pages:1", N).await;
    let done = b.until_state(&id, JobState::Completed).await;
    let keys = [done.document.clone().unwrap(), done.source.original().unwrap().clone()];
    let which = Which::Job(id.clone());
    assert_eq!(b.service.delete_documents(&"b".into(), &which).await, Err(ServiceError::NotFound));
    b.service.delete_documents(&"a".into(), &which).await.unwrap();
    for key in keys {
        assert!(b.documents.get(&key).await.is_err(), "the document is gone");
    }
    for format in [Format::Pdf, Format::Tiff, Format::Original] {
        let gone = b.service.attachment(&"a".into(), &which, format).await;
        assert_eq!(gone.map(|_| ()), Err(ServiceError::NoDocument), "{format:?}");
    }
    assert_eq!(b.job(&id).await.state, JobState::Completed);
    assert_eq!(b.service.delete_documents(&"a".into(), &which).await, Err(ServiceError::NoDocument));
    let copy = NewJob::new("a".into(), N, NewDocument::Copy(which));
    assert_eq!(b.service.submit(copy).await, Err(SubmitError::EmptyDocument));

    let mut waits = Bench::new_job("pages:1", N);
    waits.not_before = Some(b.service.now().plus(core::time::Duration::from_secs(500)));
    let id = b.service.submit(waits).await.unwrap().id;
    let queued = b.service.delete_documents(&"a".into(), &Which::Job(id)).await;
    assert!(matches!(queued, Err(ServiceError::Conflict(_))));
}

#[tokio::test]
async fn what_was_fetched_is_kept_as_if_it_had_been_handed_in() {
    let mut b = Bench::running();
    let account = AccountId::new("a");
    b.dialler.then(Script::Refuse("call.busy"));
    let id = b.service.submit(Bench::fetched_job("pages:2|pages:3", N)).await.unwrap().id;
    let job = b.until_back(&id, 1).await;
    let kept = job.source.original().unwrap().clone();
    let which = Which::Job(id.clone());
    let original = b.service.attachment(&account, &which, Format::Original).await.unwrap();
    assert_eq!((&original.octets[..], original.content_type.as_str()), (&b"pages:2"[..], "text/plain"));
    // The same wish drawn anew needs no server; neither does a copy.
    b.dialler.then(Script::Refuse("call.busy"));
    let anew = NewJob { colour: Some(true), ..Bench::fetched_job("pages:2|pages:3", N) };
    let job = b.service.change_job(&id, anew).await.unwrap();
    assert_eq!((job.state, job.source.original()), (JobState::Converting, Some(&kept)));
    assert_eq!(b.until_back(&id, 1).await.pages, 2);
    let copy = NewJob { colour: Some(false), ..NewJob::new("a".into(), N, NewDocument::Copy(which.clone())) };
    let copy = b.service.submit(copy).await.unwrap();
    let copy = b.until(&copy.id, |j| j.pages > 0).await;
    assert_eq!((copy.source.original(), copy.pages), (Some(&kept), 2));
    assert_eq!(b.fetcher.asked.load(Ordering::Relaxed), 1);
    // Another wish is fetched, and what was kept stays as long as somebody has it.
    let job = b.service.change_job(&id, Bench::fetched_job("other|pages:1", N)).await.unwrap();
    assert_eq!(job.source.original(), None);
    assert!(b.documents.get(&kept).await.is_ok());
    let done = b.until_state(&id, JobState::Completed).await;
    assert_eq!((done.pages, b.fetcher.asked.load(Ordering::Relaxed)), (1, 2));
    // It goes with the fax's documents; where it came from is known on.
    let own = done.source.original().unwrap().clone();
    b.service.delete_documents(&account, &which).await.unwrap();
    assert!(b.documents.get(&own).await.is_err());
    let source = b.job(&id).await.source;
    assert!(
        matches!(source, Source::Url { kept: None, ref request } if request.url.contains("other")),
        "{source:?}"
    );
    b.until_state(&copy.id, JobState::Completed).await;
    b.service.delete_job(&account, &copy.id).await.unwrap();
    assert!(b.documents.get(&kept).await.is_err(), "nobody has it any more");
}

#[tokio::test]
async fn what_was_fetched_and_is_no_document_can_be_looked_at_and_is_fetched_anew() {
    let mut b = Bench::running();
    let account = AccountId::new("a");
    let id = b.service.submit(Bench::fetched_job("log in|again|pages:2", N)).await.unwrap().id;
    let job = b.until_state(&id, JobState::Failed).await;
    let kept = job.source.original().unwrap().clone();
    let which = Which::Job(id.clone());
    let original = b.service.attachment(&account, &which, Format::Original).await.unwrap();
    assert_eq!(&original.octets[..], b"log in");
    let copy = NewJob::new("a".into(), N, NewDocument::Copy(which));
    let copy = b.service.submit(copy).await.unwrap().id;
    assert_eq!(b.until_state(&copy, JobState::Failed).await.reason.as_deref(), Some("again is no document."));
    b.service.restart(&account, &id).await.unwrap();
    assert!(b.documents.get(&kept).await.is_err());
    assert_eq!(b.until_state(&id, JobState::Completed).await.pages, 2);
}

#[tokio::test]
async fn receptions_are_shown_while_they_run() {
    let mut b = Bench::new();
    let call = IncomingCall {
        to_number: "4155550100".into(),
        from_number: "+14155550001".into(),
        call_id: "c1".into(),
        ..IncomingCall::default()
    };
    let receiving = b.service.begin_reception(&call, &"a".into(), &"f".into());
    receiving.negotiated(14_400);
    receiving.page(1);
    let running = b.service.receptions(&"a".into());
    assert_eq!((running.len(), running[0].pages), (1, 1));
    assert_eq!(running[0].to_number, "+14155550100");
    assert!(b.service.receptions(&"b".into()).is_empty());
    let mut texts = Vec::new();
    while let Ok(event) = b.events.try_recv() {
        assert_eq!(event.subject, EventSubject::Fax(running[0].id.clone()));
        texts.push(event.text);
    }
    assert_eq!(texts, ["New Fax from +14155550001", "fax negotiated at 14400", "Received  Page 1"]);
    drop(receiving);
    assert!(b.service.receptions(&"a".into()).is_empty());
}
