//! What is removed when, of which account, and that others keep theirs.
#![allow(clippy::unwrap_used, clippy::panic)]

mod bench;

use bench::{Bench, Script};
use core::time::Duration;
use fax_store::model::{
    AccountId, Audit, DocumentKey, Entry, EntryKind, FaxId, JobId, JobState, Received, Source, Timestamp,
};
use fax_store::port::{AuditQuery, Range};
use fax_switch::retention::{Retention, RetentionRules};
use fax_switch::{Format, ServiceError, Which};
use std::collections::HashMap;
use std::sync::atomic::Ordering;

const DAY: Duration = Duration::from_secs(86_400);

fn days(n: u32) -> Option<Duration> {
    Some(DAY * n)
}

fn rules(everywhere: Retention, of_a: Option<Retention>) -> RetentionRules {
    let accounts = of_a.into_iter().map(|r| (AccountId::new("a"), r)).collect::<HashMap<_, _>>();
    RetentionRules { everywhere, accounts }
}

async fn sent(b: &mut Bench, number: &str) -> JobId {
    let id = b.submit("pages:1", number).await;
    b.until_state(&id, JobState::Completed).await;
    id
}

async fn received(b: &Bench, account: &str, success: bool) -> (FaxId, DocumentKey) {
    let document = b.documents.put("pages".into()).await.unwrap();
    let fax: Received = serde_json::from_value(serde_json::json!({
        "id": FaxId::generate(), "account": account, "created": b.service.now(), "document": document,
        "pages": 1, "success": success, "result_text": "",
    }))
    .unwrap();
    b.store.insert_received(fax.clone(), vec![]).await.unwrap();
    (fax.id, document)
}

async fn audit(b: &Bench, account: &str) -> Vec<Audit> {
    let range = Range { limit: 1000, ..Range::default() };
    b.store.audit(AuditQuery { account: account.into(), range }).await.unwrap()
}

/// Lets so many days pass, and the hourly round of each be made.
async fn pass(b: &mut Bench, time: Duration, until: impl AsyncFn(&Bench) -> bool) {
    b.clock.advance(time.as_secs());
    for _ in 0..200 {
        if until(b).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("what should have been removed is still there");
}

#[tokio::test]
async fn sent_failed_and_received_faxes_go_each_at_its_time_with_their_documents() {
    let own = Retention { sent: days(10), failed: days(3), received: days(5), ..Retention::default() };
    let mut b = Bench::with(|c| c.retention = rules(Retention::default(), Some(own)));
    b.start();
    let good = sent(&mut b, "+14155550001").await;
    b.dialler.then(Script::Refuse("call.busy"));
    let bad = b.submit("pages:1", "+14155550002").await;
    b.until(&bad, |j| j.state.is_final() || !j.attempts.is_empty()).await;
    let bad_is_final = b.job(&bad).await.state.is_final();
    if !bad_is_final {
        b.service.cancel(&"a".into(), &bad).await.unwrap();
    }
    let (whole, pages) = received(&b, "a", true).await;
    let (broken, _) = received(&b, "a", false).await;
    let (others, _) = received(&b, "b", true).await;
    let job = b.job(&good).await;
    let Source::Stored { original, .. } = job.source.clone() else { panic!() };

    pass(&mut b, DAY * 2, async |_| true).await;
    pass(&mut b, DAY + Duration::from_secs(10), async |b| {
        b.store.job(&bad).await.unwrap().is_none() && b.store.received(&broken).await.unwrap().is_none()
    })
    .await;
    assert!(b.store.job(&good).await.unwrap().is_some() && b.store.received(&whole).await.unwrap().is_some());
    pass(&mut b, DAY * 2, async |b| b.store.received(&whole).await.unwrap().is_none()).await;
    assert!(b.documents.get(&pages).await.is_err());
    assert!(b.store.job(&good).await.unwrap().is_some());
    pass(&mut b, DAY * 6, async |b| b.store.job(&good).await.unwrap().is_none()).await;
    assert!(
        b.documents.get(&original).await.is_err() && b.documents.get(&job.document.unwrap()).await.is_err()
    );
    assert!(b.store.received(&others).await.unwrap().is_some(), "another account keeps its own");

    let told = audit(&b, "a").await;
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told.iter().all(|r| r.who == "retention" && r.action == "delete"));
    for id in [good.as_str(), bad.as_str(), whole.as_str(), broken.as_str()] {
        assert_eq!(told.iter().filter(|r| r.subject.ends_with(id)).count(), 1, "{id}");
    }
    assert!(audit(&b, "b").await.is_empty());
}

#[tokio::test]
async fn documents_alone_go_and_the_rest_stays() {
    let everywhere = Retention { documents: days(2), ..Retention::default() };
    let mut b = Bench::with(|c| c.retention = rules(everywhere, None));
    b.start();
    let id = sent(&mut b, "+14155550001").await;
    let (fax, pages) = received(&b, "b", true).await;
    pass(&mut b, DAY * 2 + Duration::from_secs(10), async |b| {
        let fax = b.store.received(&fax).await.unwrap().unwrap();
        b.job(&id).await.document.is_none() && fax.document.is_none()
    })
    .await;
    assert!(b.documents.get(&pages).await.is_err());
    assert_eq!(b.job(&id).await.pages, 1);
    let account = AccountId::new("a");
    for format in [Format::Original, Format::Tiff, Format::Pdf] {
        let got = b.service.attachment(&account, &Which::Job(id.clone()), format).await;
        assert_eq!(got.unwrap_err(), ServiceError::NoDocument, "{format:?}");
    }
    // Nothing is done twice.
    let before = audit(&b, "a").await.len();
    pass(&mut b, DAY, async |_| true).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!((before, audit(&b, "a").await.len()), (1, 1));
}

#[tokio::test]
async fn pages_that_are_not_kept_are_made_again_and_originals_may_go() {
    let no_pages = Retention { pages: false, ..Retention::default() };
    let mut b = Bench::with(|c| c.retention = rules(no_pages, None));
    b.start();
    let id = sent(&mut b, "+14155550001").await;
    pass(&mut b, DAY, async |b| b.job(&id).await.document.is_none()).await;
    let account = AccountId::new("a");
    let which = Which::Job(id);
    let tiff = b.service.attachment(&account, &which, Format::Tiff).await.unwrap();
    assert!(tiff.octets.starts_with(b"II*\0") || tiff.octets.starts_with(b"MM\0*"));
    assert_eq!(
        &b.service.attachment(&account, &which, Format::Original).await.unwrap().octets[..],
        b"pages:1"
    );

    let no_originals = Retention { originals: false, ..Retention::default() };
    let mut b = Bench::with(|c| c.retention = rules(no_originals, None));
    b.start();
    let id = sent(&mut b, "+14155550001").await;
    let Source::Stored { original, .. } = b.job(&id).await.source else { panic!() };
    pass(&mut b, DAY, async |b| b.documents.get(&original).await.is_err()).await;
    let which = Which::Job(id);
    assert!(b.service.attachment(&account, &which, Format::Tiff).await.is_ok());
    let gone = b.service.attachment(&account, &which, Format::Original).await;
    assert_eq!(gone.unwrap_err(), ServiceError::NoDocument);
}

#[tokio::test]
async fn what_was_fetched_is_kept_where_it_is_wished() {
    let fetched = async |retention: Retention| {
        let mut b = Bench::with(|c| c.retention = rules(Retention::default(), Some(retention)));
        b.start();
        let id = b.service.submit(Bench::fetched_job("pages:1", "+14155550001")).await.unwrap().id;
        let job = b.until_state(&id, JobState::Completed).await;
        (b, job)
    };
    let account = AccountId::new("a");
    let usual = Retention::default();
    // Without it the pages are all there is, and stay.
    let (mut b, job) = fetched(Retention { fetched: false, pages: false, ..usual }).await;
    assert_eq!(job.source.original(), None);
    let bystander = sent(&mut b, "+14155550002").await;
    pass(&mut b, DAY, async |b| b.job(&bystander).await.document.is_none()).await;
    assert!(b.job(&job.id).await.document.is_some());
    let which = Which::Job(job.id);
    let none = b.service.attachment(&account, &which, Format::Original).await;
    assert_eq!(none.unwrap_err(), ServiceError::NoDocument);
    assert!(b.service.attachment(&account, &which, Format::Tiff).await.is_ok());

    let (mut b, job) = fetched(Retention { pages: false, ..usual }).await;
    pass(&mut b, DAY, async |b| b.job(&job.id).await.document.is_none()).await;
    let which = Which::Job(job.id);
    assert!(b.service.attachment(&account, &which, Format::Tiff).await.is_ok(), "made again");
    assert_eq!(b.fetcher.asked.load(Ordering::Relaxed), 1);

    let (mut b, job) = fetched(Retention { originals: false, ..usual }).await;
    let kept = job.source.original().unwrap().clone();
    pass(&mut b, DAY, async |b| b.documents.get(&kept).await.is_err()).await;
    let job = b.job(&job.id).await;
    assert!(matches!(job.source, Source::Url { kept: None, .. }) && job.document.is_some(), "{job:?}");
}

#[tokio::test]
async fn more_than_one_step_is_done_and_only_by_the_node_whose_duty_it_is() {
    let everywhere = Retention { received: days(1), ..Retention::default() };
    let mut b = Bench::with(|c| c.retention = rules(everywhere, None));
    for _ in 0..250 {
        received(&b, "b", true).await;
    }
    // Another node has the duty for two days.
    let mut duty = Entry::new(EntryKind::Duty, "retention", AccountId::default(), Timestamp(1));
    duty.hidden.insert("node".into(), "other".into());
    duty.hidden.insert("until".into(), b.service.now().plus(DAY * 2).0.into());
    b.store.put_entries(vec![duty]).await.unwrap();
    b.start();
    let left = async |b: &Bench| {
        let query = fax_store::port::ReceivedQuery {
            account: None,
            faxbox: None,
            range: Range { limit: 1000, ..Range::default() },
        };
        b.store.received_list(query).await.unwrap().len()
    };
    pass(&mut b, DAY + DAY / 2, async |_| true).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(left(&b).await, 250);
    pass(&mut b, DAY, async |b| left(b).await == 0).await;
    assert_eq!(audit(&b, "b").await.len(), 250);
}

#[tokio::test]
async fn an_account_over_rest_says_how_long_its_own_are_kept_and_the_file_comes_first() {
    let everywhere = Retention { received: days(30), ..Retention::default() };
    let of_a = Retention { received: days(20), ..Retention::default() };
    let mut b = Bench::with(|c| c.retention = rules(everywhere, Some(of_a)));
    let account = |id: &str, retention: serde_json::Value| {
        let mut entry = Entry::new(EntryKind::Account, id, "a".into(), Timestamp(1));
        let document = serde_json::json!({ "name": id, "realm": format!("{id}.example.org"), "fax": { "retention": retention } });
        entry.document = document.as_object().unwrap().clone();
        entry
    };
    let short = account("short", serde_json::json!({ "received_days": 2 }));
    let ever = account("ever", serde_json::json!({ "received_days": 0, "failed_days": 1 }));
    b.service.put_entries(vec![short, ever]).await.unwrap();
    b.start();
    let (short, _) = received(&b, "short", true).await;
    let (ever, _) = received(&b, "ever", true).await;
    let (failed, _) = received(&b, "ever", false).await;
    let (ours, _) = received(&b, "a", true).await;
    let gone = async |b: &Bench, id: &FaxId| b.store.received(id).await.unwrap().is_none();
    pass(&mut b, DAY * 2 + Duration::from_secs(10), async |b| {
        gone(b, &short).await && gone(b, &failed).await
    })
    .await;
    assert!(!gone(&b, &ours).await);
    pass(&mut b, DAY * 40, async |b| gone(b, &ours).await).await;
    assert!(!gone(&b, &ever).await, "0 is for ever");
}

#[tokio::test]
async fn nothing_is_left_of_an_account_that_was_removed() {
    let mut b = Bench::new();
    let mut sub = Entry::new(EntryKind::Account, "sub", "a".into(), Timestamp(1));
    let document = serde_json::json!({ "name": "Sub", "realm": "sub.example.org", "fax": { "ensure_valid_caller_id": false } });
    sub.document = document.as_object().unwrap().clone();
    let sub = b.service.put_entries(vec![sub]).await.unwrap().remove(0);
    b.start();
    let mut new = Bench::new_job("pages:1", "+14155550001");
    new.account = "sub".into();
    let job = b.service.submit(new).await.unwrap().id;
    let done = b.until_state(&job, JobState::Completed).await;
    let Source::Stored { original, .. } = done.source.clone() else { panic!() };
    let mut faxes = Vec::new();
    for _ in 0..120 {
        faxes.push(received(&b, "sub", true).await);
    }
    let (others, kept) = received(&b, "a", true).await;

    let mark = b.service.erasure_of(&"sub".into());
    b.service.put_entries(vec![sub.removed(Timestamp(9)), mark]).await.unwrap();
    // A crash before the first step: the mark is on the disk.
    b.crash().await;
    b.service.refresh().await.unwrap();
    b.service.erase_accounts().await;
    assert!(b.store.job(&job).await.unwrap().is_none());
    for (fax, document) in &faxes {
        assert!(b.store.received(fax).await.unwrap().is_none() && b.documents.get(document).await.is_err());
    }
    assert!(b.documents.get(&original).await.is_err(), "its documents, too");
    assert!(b.store.received(&others).await.unwrap().is_some() && b.documents.get(&kept).await.is_ok());
    // What was still coming in goes with a later round, and then the mark.
    let (late, _) = received(&b, "sub", true).await;
    b.clock.advance(4 * 3_600);
    b.service.erase_accounts().await;
    assert!(b.store.received(&late).await.unwrap().is_none());
    let marks = async |b: &Bench| {
        let nobody = AccountId::default();
        let directory = b.service.directory();
        directory.entries_of(EntryKind::Duty, &nobody).filter(|e| e.id.starts_with("erase-")).count()
    };
    assert_eq!(marks(&b).await, 1, "there was something left");
    b.service.erase_accounts().await;
    assert_eq!(marks(&b).await, 0);
}
