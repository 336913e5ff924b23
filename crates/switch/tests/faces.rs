//! What fronts see: attachments, receptions, notices, deletion.
#![allow(clippy::unwrap_used, clippy::panic)]

mod bench;

use async_trait::async_trait;
use bench::{Bench, document};
use bytes::Bytes;
use core::time::Duration;
use fax_base::line::Modulation;
use fax_base::page::{Coding, PageFormat, Resolution, Width};
use fax_document::FaxDocument;
use fax_store::model::{
    Entry, EntryKind, FaxId, HookEvent, JobId, JobState, Notice, NoticeKind, NoticeSubject, Row, RowKind,
    Timestamp,
};
use fax_store::port::{Range, ReceivedQuery};
use fax_switch::hooks::Target;
use fax_switch::port::{HookAnswer, HookCaller, HookOrder};
use fax_switch::{
    Decision, Format, IncomingCall, NewDocument, ReceivedFax, ServiceError, SubmitError, Which,
};
use fax_t30::{Cause, Failure, Outcome, Phase};
use fax_terminal::ReceivedPage;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

fn fax(pages: u32, failure: Option<Cause>) -> ReceivedFax {
    let format = PageFormat {
        coding: Coding::Mr,
        resolution: Resolution::Fine,
        width: Width::A4,
        ecm: false,
        min_row_time: Duration::ZERO,
    };
    let made = document(pages);
    let pages = made.pages.iter().enumerate().map(|(index, p)| ReceivedPage {
        index,
        format,
        t6: p.t6.clone(),
        jpeg: None,
        rows: p.shape.rows,
        bad_rows: 2,
        longest_bad_run: 1,
        confirmed: true,
        ends_document: index + 1 == made.pages.len(),
    });
    ReceivedFax {
        id: FaxId::generate(),
        call: IncomingCall {
            to_number: "4155550100".into(),
            from_number: "+14155550001".into(),
            from_name: "Them".into(),
            diverted_from: "4155550177".into(),
            call_id: "c1".into(),
            remote: "192.0.2.1".into(),
            ..IncomingCall::default()
        },
        account: "a".into(),
        faxbox: "f".into(),
        pages: pages.collect(),
        outcome: Outcome {
            failure: failure.map(|cause| Failure::new(cause, Phase::D)),
            pages_received: made.pages.len(),
            remote_ident: Some("+1 415 555 0001".into()),
            modulation: Some(Modulation::V17At14400),
            format: Some(format),
            ..Outcome::default()
        },
        t38: true,
        duration: Duration::from_millis(1500),
        trace: vec![],
        interrupted: false,
    }
}

#[tokio::test]
async fn a_call_finds_its_faxbox() {
    let b = Bench::new();
    let call = IncomingCall { to_number: "+1 415 555 0100".into(), ..IncomingCall::default() };
    let want = Decision::Receive { account: "a".into(), faxbox: "f".into(), ident: "+14155550100".into() };
    assert_eq!(b.service.incoming(&call), want);
    let other = IncomingCall { to_number: "+14155550199".into(), ..IncomingCall::default() };
    assert!(matches!(b.service.incoming(&other), Decision::Reject { code: 404, .. }));
}

#[tokio::test]
async fn a_received_fax_is_kept_pel_for_pel_and_told() {
    let b = Bench::new();
    let row = b.service.received(fax(2, None)).await.unwrap();
    assert!(row.success);
    assert_eq!((row.pages, row.bad_rows, row.longest_bad_run), (2, 4, 1));
    assert_eq!(row.to_number, "+14155550100");
    assert_eq!(row.diverted_from, "+14155550177");
    assert_eq!((row.bit_rate, row.modem.as_deref()), (Some(14400), Some("V.17")));
    let which = Which::Fax(row.id.clone());
    for format in [Format::Tiff, Format::Original] {
        let a = b.service.attachment(&"a".into(), &which, format).await.unwrap();
        assert_eq!(a.content_type, "image/tiff");
        let got = FaxDocument::from_tiff(&a.octets).unwrap();
        let want = document(2);
        for (got, want) in got.pages.iter().zip(&want.pages) {
            assert_eq!(got.to_bitmap(), want.to_bitmap());
            assert_eq!(got.quality.unwrap().bad_rows, 2);
        }
        assert_eq!(got.pages.len(), 2);
    }
    let notices = b.service.next_notices(10).await.unwrap();
    assert_eq!((notices.len(), notices[0].kind), (1, NoticeKind::Received));
    assert_eq!(notices[0].to, ["in@example.org"]);
    let q = ReceivedQuery { account: Some("a".into()), faxbox: None, range: Range::default() };
    assert_eq!(b.service.faxes(q).await.unwrap(), std::slice::from_ref(&row));
    let other = b.service.attachment(&"b".into(), &which, Format::Tiff).await;
    assert_eq!(other, Err(ServiceError::NotFound));
    b.service.delete_fax(&"a".into(), &row.id).await.unwrap();
    assert!(b.documents.get(&row.document.unwrap()).await.is_err());
}

/// A crash between filing a fax and clearing its spool has it handed in again at the next start.
#[tokio::test]
async fn a_fax_that_is_handed_in_twice_is_filed_once() {
    let b = Bench::new();
    let whole = fax(2, None);
    let row = b.service.received(whole.clone()).await.unwrap();
    let again = ReceivedFax { interrupted: true, ..whole };
    assert_eq!(b.service.received(again).await.unwrap(), row, "it stays as it was filed first");
    let q = ReceivedQuery { account: Some("a".into()), faxbox: None, range: Range::default() };
    assert_eq!(b.service.faxes(q).await.unwrap().len(), 1);
    assert_eq!(b.notices().await.len(), 1, "nobody is told twice");
}

#[tokio::test]
async fn a_partial_reception_is_kept_and_called_so() {
    let b = Bench::new();
    let row = b.service.received(fax(1, Some(Cause::CallDropped))).await.unwrap();
    assert!(!row.success && row.document.is_some() && row.pages == 1);
    assert_eq!(row.class, "r.dcnphd");
    let nothing = b.service.received(fax(0, Some(Cause::NoFax))).await.unwrap();
    assert_eq!((nothing.document.as_ref(), nothing.pages), (None, 0));
    let which = Which::Fax(nothing.id);
    let none = b.service.attachment(&"a".into(), &which, Format::Pdf).await;
    assert_eq!(none, Err(ServiceError::NoDocument));
    let notices = b.service.next_notices(10).await.unwrap();
    assert!(notices.iter().all(|n| n.kind == NoticeKind::ReceiveFailed));
    assert_eq!(notices.len(), 2);
}

#[tokio::test]
async fn a_job_has_its_document_in_each_format() {
    let mut b = Bench::running();
    let id = b.submit("pages:2", "+14155550001").await;
    b.until_state(&id, JobState::Completed).await;
    let which = Which::Job(id.clone());
    let get = |format| {
        let (service, which) = (b.service.clone(), which.clone());
        async move { service.attachment(&"a".into(), &which, format).await.unwrap() }
    };
    let original = get(Format::Original).await;
    assert_eq!(original.octets, Bytes::from("pages:2"));
    assert_eq!(original.file_name, "letter.txt");
    let tiff = get(Format::Tiff).await;
    assert_eq!(FaxDocument::from_tiff(&tiff.octets).unwrap().pages.len(), 2);
    assert_eq!(get(Format::Pdf).await.content_type, "application/pdf");
    let mut again = Bench::new_job("", "+14155550002");
    again.document = NewDocument::Copy(which.clone());
    let again = b.service.submit(again).await.unwrap();
    assert_eq!((again.state, again.pages), (JobState::Pending, 2));
    let mut stolen = Bench::new_job("", "+14155550002");
    stolen.account = "b".into();
    stolen.document = NewDocument::Copy(which.clone());
    assert_eq!(b.service.submit(stolen).await, Err(SubmitError::EmptyDocument));
    b.until_state(&again.id, JobState::Completed).await;
    b.service.delete_job(&"a".into(), &id).await.unwrap();
    let kept = Which::Job(again.id);
    let kept = b.service.attachment(&"a".into(), &kept, Format::Original).await;
    assert_eq!(kept.unwrap().octets, original.octets, "the copy still names it");
    let gone = b.service.job(&"a".into(), &id).await;
    assert_eq!(gone, Err(ServiceError::NotFound));
}

#[tokio::test]
async fn a_notice_that_could_not_be_sent_comes_again() {
    let b = Bench::new();
    b.service.received(fax(1, None)).await.unwrap();
    let first = b.service.next_notices(10).await.unwrap().remove(0);
    let later = Duration::from_secs(300);
    b.service.notice_retry(&first.id, later, vec![]).await.unwrap();
    let service = b.service.clone();
    let waits = tokio::spawn(async move { service.next_notices(10).await });
    b.clock.advance(299);
    tokio::task::yield_now().await;
    assert!(!waits.is_finished());
    b.clock.advance(1);
    let again = waits.await.unwrap().unwrap().remove(0);
    assert_eq!((again.id.clone(), again.tries), (first.id, 1));
    b.service.notice_done(&again.id).await.unwrap();
    assert!(b.notices().await.is_empty());
}

/// Who looks at the store sees no job without the word of it.
#[tokio::test]
async fn what_hooks_are_told_of_a_job_is_in_the_commit_of_its_change() {
    let b = Bench::new();
    let mut hook = Entry::new(EntryKind::Webhook, "h", "a".into(), b.service.now());
    hook.document.insert("hook".into(), "fax".into());
    b.service.put_entries(vec![hook]).await.unwrap();
    let far = b.service.now().plus(Duration::from_secs(1));
    for n in 0..20 {
        let id = JobId::new(format!("{n:032}"));
        for (state, event) in [(None, "fax.queued"), (Some(JobState::Cancelled), "fax.cancelled")] {
            let (store, seen) = (b.store.clone(), id.clone());
            let looks = tokio::spawn(async move {
                loop {
                    let job = store.job(&seen).await.unwrap();
                    if job.is_some_and(|job| state.is_none_or(|s| job.state == s)) {
                        return store.take_hook_notices(far, far, 9).await.unwrap();
                    }
                    tokio::task::yield_now().await;
                }
            });
            match state {
                None => b
                    .service
                    .submit_once(id.clone(), Bench::new_job("pages:1", "+14155550001"))
                    .await
                    .unwrap(),
                Some(_) => b.service.cancel(&"a".into(), &id).await.unwrap(),
            };
            let told = looks.await.unwrap();
            let events: Vec<_> =
                told.iter().filter_map(|n| n.hook.as_ref()).map(|h| h.event.as_str()).collect();
            assert_eq!(events, [event], "{n}");
            for notice in told {
                b.store.hook_called(&notice.id, None, None).await.unwrap();
            }
        }
    }
}

/// Tells of each call; those of the hook `slow` never end.
struct Hooks(mpsc::UnboundedSender<String>);

#[async_trait]
impl HookCaller for Hooks {
    async fn call(&self, order: HookOrder) -> HookAnswer {
        let Target::Hook(hook) = &order.target else { panic!("{order:?}") };
        self.0.send(hook.id.clone()).unwrap();
        if hook.id == "slow" {
            std::future::pending::<()>().await;
        }
        HookAnswer::default()
    }
}

#[tokio::test]
async fn what_waits_for_a_slow_hook_is_looked_at_little_by_little() {
    const MANY: usize = 2_000;
    let b = Bench::new();
    for id in ["slow", "fast"] {
        let mut hook = Entry::new(EntryKind::Webhook, id, "a".into(), Timestamp(1));
        hook.document.insert("uri".into(), "http://example.org/".into());
        b.service.put_entries(vec![hook]).await.unwrap();
    }
    let told = |hook: &str| {
        let event = HookEvent { hook: hook.into(), event: "fax.sent".into(), data: serde_json::Map::new() };
        let subject = NoticeSubject::Fax(FaxId::generate());
        Notice::for_hook(NoticeKind::Sent, "a".into(), subject, event, b.service.now())
    };
    b.store.insert_notices((0..MANY).map(|_| told("slow")).collect()).await.unwrap();
    let (calls, mut called) = mpsc::unbounded_channel();
    let (_stop, stopped) = watch::channel(false);
    let service = b.service.clone();
    let run = tokio::spawn(async move { service.run_hooks(Arc::new(Hooks(calls)), stopped).await });
    for _ in 0..8 {
        assert_eq!(called.recv().await.as_deref(), Some("slow"));
    }
    let times = async || {
        let rows = b.store.rows(RowKind::HookNotice, None, 2 * MANY).await.unwrap();
        let time = |(_, row)| match row {
            Row::HookNotice(notice) => notice.not_before,
            other => panic!("{other:?}"),
        };
        rows.into_iter().map(time).collect::<Vec<_>>()
    };
    for _ in 0..3 {
        let now = b.service.now();
        // All have a lease of two minutes for a moment; at the end only those in a call, and one may be put off so far.
        let lease = now.plus(Duration::from_secs(120));
        let all = loop {
            let all = times().await;
            if all.iter().all(|at| *at > now) && all.iter().filter(|at| **at == lease).count() <= 8 + 1 {
                break all;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert_eq!(all.len(), MANY);
        for second in 0..300 {
            let from = now.plus(Duration::from_secs(second));
            let due = all.iter().filter(|at| **at >= from && **at < from.plus(Duration::from_secs(1)));
            assert!(due.count() <= 32, "in second {second}");
        }
        b.clock.advance(2);
    }
    // Another hook is told at once.
    b.store.insert_notices(vec![told("fast")]).await.unwrap();
    b.clock.advance(1);
    let fast = tokio::time::timeout(Duration::from_secs(10), called.recv()).await.unwrap();
    assert_eq!(fast.as_deref(), Some("fast"));
    run.abort();
}
