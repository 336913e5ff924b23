//! The tests that every backend of [`crate::Store`] must pass, written against the port.
//!
//! `store_suite!(make)` makes a test of each; `make` is an async function that gives a guard and a
//! fresh, empty store.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use crate::model::{
    Ability, AccountId, Audit, DocumentKey, Entry, EntryKind, FaxId, FaxboxId, Folder, Job, JobId, JobState,
    NodeId, Notice, NoticeKind, NoticeSubject, PageEntry, PageState, Profile, ProfileKey, Received, Source,
    Timestamp,
};
use crate::port::{
    AuditQuery, Guard, JobChange, JobQuery, LeaseRequest, NextDue, ProfileChange, ProfileQuery, Range,
    ReceivedQuery, Store, StoreError,
};
use core::time::Duration;
use std::collections::HashMap;
use std::sync::Arc;

type S = Arc<dyn Store>;

/// Makes a test of each case: `store_suite!(make)`. With `store_suite!(all make)` it is a function that runs
/// them one after the other, for a backend whose server is not started for each.
#[macro_export]
macro_rules! store_suite {
    ($make:path) => { $crate::store_suite!(@cases tests $make); };
    (all $make:expr) => { $crate::store_suite!(@cases all $make) };
    (@cases $how:ident $make:expr) => {
        $crate::store_suite! {
            @$how $make; a_job_is_read_back_as_it_was_stored, a_job_is_stored_once,
            due_jobs_are_leased_oldest_first, a_job_is_not_leased_before_its_time,
            one_job_to_a_number_at_a_time, a_parked_job_is_freed_when_the_other_is_cancelled,
            numbers_are_shared_when_not_serialised,
            an_account_has_no_more_than_its_limit, raised_limits_are_seen_after_refresh,
            other_accounts_pass_a_full_one,
            converting_jobs_are_leased_and_stay_converting, a_lost_lease_stops_changes,
            leases_are_renewed_and_found_when_stale, the_ledger_keeps_confirmed_pages,
            a_refused_change_changes_nothing, state_change_and_notice_go_together,
            lists_are_ordered_filtered_and_paged, final_jobs_move_to_the_other_list,
            deleted_jobs_are_gone, received_faxes_are_listed, notices_wait_and_are_ticked_off,
            documents_are_named_by_rows, many_writers_at_once, the_next_due_time_is_known,
            profiles_change_and_are_read_back, profiles_are_listed_by_account_in_pages,
            profiles_change_with_the_job_or_not_at_all, old_profiles_are_purged_locked_ones_stay,
            entries_are_told_in_the_order_of_their_changes, entries_have_names_of_their_own,
            an_entry_is_changed_from_its_last_version_only, entries_change_together_or_not_at_all,
            many_change_entries_at_once, audit_records_are_listed_and_purged
        }
    };
    (@tests $make:expr; $($case:ident),+) => {$(
        #[tokio::test]
        async fn $case() {
            let (_guard, store) = $make().await;
            $crate::suite::$case(store).await;
        }
    )+};
    (@all $make:expr; $($case:ident),+) => {{$(
        println!("{}", stringify!($case));
        let store = $make(stringify!($case)).await;
        $crate::suite::$case(store).await;
    )+}};
}

fn t(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

fn node(name: &str) -> NodeId {
    NodeId::new(name)
}

fn source() -> Source {
    Source::Stored {
        original: DocumentKey::new("0".repeat(32)),
        content_type: "application/pdf".into(),
        file_name: Some("a.pdf".into()),
    }
}

/// A pending job of two pages.
fn pending(account: &str, number: &str, at: i64) -> Job {
    let mut job = Job::new(account.into(), number, source(), t(at));
    job.state = JobState::Pending;
    job.document = Some(DocumentKey::generate());
    job.pages = 2;
    job.ledger = vec![PageEntry::default(); 2];
    job
}

async fn put(s: &S, job: Job) -> JobId {
    let id = job.id.clone();
    s.insert_job(job).await.unwrap();
    id
}

fn request(now: i64, limit: usize) -> LeaseRequest {
    LeaseRequest {
        node: node("n1"),
        now: t(now),
        until: t(now + 60),
        limit,
        account_limits: HashMap::new(),
        default_account_limit: 10,
        serialise_numbers: true,
    }
}

async fn lease(s: &S, now: i64, limit: usize) -> Vec<JobId> {
    let taken = s.lease_due(request(now, limit)).await.unwrap();
    taken.into_iter().map(|j| j.id).collect()
}

fn to(state: JobState) -> JobChange {
    Box::new(move |j| {
        j.state = state;
        Ok(())
    })
}

async fn set(s: &S, id: &JobId, state: JobState) -> Job {
    s.update_job(id, Guard::Any, to(state), vec![]).await.unwrap()
}

pub async fn a_job_is_read_back_as_it_was_stored(s: S) {
    let mut job = pending("a", "+1", 5);
    job.client.insert("custom".into(), serde_json::json!({"x": [1, null]}));
    job.faxbox = Some(FaxboxId::new("f"));
    job.notify = vec!["a@b.c".into()];
    let id = put(&s, job.clone()).await;
    assert_eq!(s.job(&id).await.unwrap(), Some(job));
    assert_eq!(s.job(&JobId::new("none")).await.unwrap(), None);
}

pub async fn a_job_is_stored_once(s: S) {
    let job = pending("a", "+1", 5);
    put(&s, job.clone()).await;
    assert_eq!(s.insert_job(job).await, Err(StoreError::Exists));
}

pub async fn due_jobs_are_leased_oldest_first(s: S) {
    let mut want = Vec::new();
    for at in [3, 1, 2] {
        let id = put(&s, pending(&format!("a{at}"), &format!("+{at}"), at)).await;
        want.push((at, id));
    }
    want.sort();
    let taken = lease(&s, 10, 2).await;
    assert_eq!(taken, [want[0].1.clone(), want[1].1.clone()]);
    let held = s.job(&taken[0]).await.unwrap().unwrap();
    assert_eq!(held.state, JobState::Locked);
    let l = held.lease.unwrap();
    assert_eq!((l.node, l.until), (node("n1"), t(70)));
    assert_eq!(lease(&s, 10, 2).await, [want[2].1.clone()]);
    assert!(lease(&s, 10, 2).await.is_empty());
}

pub async fn a_job_is_not_leased_before_its_time(s: S) {
    let id = put(&s, pending("a", "+1", 100)).await;
    assert!(lease(&s, 99, 5).await.is_empty());
    assert_eq!(lease(&s, 100, 5).await, [id]);
}

pub async fn one_job_to_a_number_at_a_time(s: S) {
    let a = put(&s, pending("a", "+1", 1)).await;
    let b = put(&s, pending("b", "+1", 2)).await;
    let c = put(&s, pending("a", "+1", 3)).await;
    let d = put(&s, pending("a", "+2", 4)).await;
    assert_eq!(lease(&s, 10, 9).await, [a.clone(), d]);
    assert!(lease(&s, 10, 9).await.is_empty());
    set(&s, &a, JobState::Completed).await;
    assert_eq!(lease(&s, 10, 9).await, std::slice::from_ref(&b));
    // Back in the queue behind c: the number is free again.
    let later: JobChange = Box::new(|j| {
        j.state = JobState::Pending;
        j.not_before = t(20);
        Ok(())
    });
    s.update_job(&b, Guard::Any, later, vec![]).await.unwrap();
    assert_eq!(lease(&s, 30, 9).await, std::slice::from_ref(&c));
    set(&s, &c, JobState::Failed).await;
    assert_eq!(lease(&s, 30, 9).await, [b]);
}

pub async fn a_parked_job_is_freed_when_the_other_is_cancelled(s: S) {
    let a = put(&s, pending("a", "+1", 1)).await;
    let b = put(&s, pending("a", "+1", 2)).await;
    let c = put(&s, pending("a", "+1", 3)).await;
    assert_eq!(lease(&s, 10, 9).await, std::slice::from_ref(&a));
    // b and c are parked now; b is called off while parked.
    assert!(lease(&s, 10, 9).await.is_empty());
    set(&s, &b, JobState::Cancelled).await;
    assert!(lease(&s, 10, 9).await.is_empty());
    set(&s, &a, JobState::Cancelled).await;
    assert_eq!(lease(&s, 10, 9).await, [c]);
    assert_eq!(s.next_due().await.unwrap(), NextDue::default());
}

pub async fn numbers_are_shared_when_not_serialised(s: S) {
    let a = put(&s, pending("a", "+1", 1)).await;
    let b = put(&s, pending("a", "+1", 2)).await;
    let r = LeaseRequest { serialise_numbers: false, ..request(10, 9) };
    let taken = s.lease_due(r).await.unwrap();
    assert_eq!(taken.len(), 2);
    set(&s, &a, JobState::Completed).await;
    let c = put(&s, pending("a", "+1", 3)).await;
    // b still holds the number.
    assert!(lease(&s, 10, 9).await.is_empty());
    set(&s, &b, JobState::Completed).await;
    assert_eq!(lease(&s, 10, 9).await, [c]);
}

pub async fn an_account_has_no_more_than_its_limit(s: S) {
    for i in 0..5 {
        put(&s, pending("a", &format!("+{i}"), i)).await;
    }
    let r = |limit| LeaseRequest {
        account_limits: HashMap::from([(AccountId::new("a"), limit)]),
        ..request(10, 9)
    };
    let first = s.lease_due(r(2)).await.unwrap();
    assert_eq!(first.len(), 2);
    assert!(s.lease_due(r(2)).await.unwrap().is_empty());
    let next = s.next_due().await.unwrap();
    assert_eq!(next.pending, None, "nothing can be done now");
    set(&s, &first[0].id, JobState::Completed).await;
    assert_eq!(s.lease_due(r(2)).await.unwrap().len(), 1);
}

pub async fn raised_limits_are_seen_after_refresh(s: S) {
    for i in 0..3 {
        put(&s, pending("a", &format!("+{i}"), i)).await;
    }
    let none = LeaseRequest { default_account_limit: 0, ..request(10, 9) };
    assert!(s.lease_due(none).await.unwrap().is_empty());
    assert!(lease(&s, 10, 9).await.is_empty());
    s.refresh_queue().await.unwrap();
    assert_eq!(lease(&s, 10, 9).await.len(), 3);
}

pub async fn other_accounts_pass_a_full_one(s: S) {
    for i in 0..40 {
        put(&s, pending("a", &format!("+{i}"), 1)).await;
    }
    let b = put(&s, pending("b", "+99", 5)).await;
    let taken = lease(&s, 10, 100).await;
    assert_eq!(taken.len(), 11);
    assert_eq!(taken.last(), Some(&b));
}

pub async fn converting_jobs_are_leased_and_stay_converting(s: S) {
    let job = Job::new("a".into(), "+1", source(), t(1));
    let id = put(&s, job).await;
    assert!(lease(&s, 10, 9).await.is_empty());
    let n = node("n1");
    let taken = s.lease_converting(&n, t(10), t(70), 5).await.unwrap();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].state, JobState::Converting);
    let again = s.lease_converting(&n, t(10), t(70), 5).await.unwrap();
    assert!(again.is_empty());
    let done: JobChange = Box::new(|j| {
        j.state = JobState::Pending;
        j.document = Some(DocumentKey::generate());
        j.pages = 3;
        Ok(())
    });
    let job = s.update_job(&id, Guard::HeldBy(n.clone()), done, vec![]);
    let job = job.await.unwrap();
    assert_eq!((job.ledger.len(), job.lease), (3, None));
    // Conversion does not count as a call.
    assert_eq!(lease(&s, 10, 9).await, [id]);

    // One that is given back is converted again.
    let id = put(&s, Job::new("a".into(), "+2", source(), t(2))).await;
    s.lease_converting(&n, t(10), t(70), 5).await.unwrap();
    let back: JobChange = Box::new(|j| {
        j.lease = None;
        Ok(())
    });
    s.update_job(&id, Guard::Any, back, vec![]).await.unwrap();
    let taken = s.lease_converting(&n, t(10), t(70), 5).await.unwrap();
    assert_eq!(taken[0].id, id);
}

pub async fn a_lost_lease_stops_changes(s: S) {
    let id = put(&s, pending("a", "+1", 1)).await;
    lease(&s, 10, 9).await;
    let other = Guard::HeldBy(node("n2"));
    let lost = s.update_job(&id, other, to(JobState::Completed), vec![]).await;
    assert_eq!(lost, Err(StoreError::LeaseLost));
    let lease_then = s.job(&id).await.unwrap().unwrap().lease;
    s.renew(&node("n1"), vec![id.clone()], t(500)).await.unwrap();
    let exact = Guard::Lease(lease_then);
    let lost = s.update_job(&id, exact, to(JobState::Completed), vec![]).await;
    assert_eq!(lost, Err(StoreError::LeaseLost));
    let entry = PageEntry { state: PageState::Sent, attempt: 0, at: t(1) };
    let lost = s.record_page(&id, &node("n2"), 0, entry).await;
    assert_eq!(lost, Err(StoreError::LeaseLost));
    let x = JobId::new("x");
    let none = s.update_job(&x, Guard::Any, to(JobState::Failed), vec![]);
    assert_eq!(none.await, Err(StoreError::NotFound));
}

pub async fn leases_are_renewed_and_found_when_stale(s: S) {
    let a = put(&s, pending("a", "+1", 1)).await;
    lease(&s, 10, 9).await;
    assert!(s.stale(Some(&node("n2")), t(69)).await.unwrap().is_empty());
    assert_eq!(s.stale(None, t(70)).await.unwrap()[0].id, a);
    assert_eq!(s.stale(Some(&node("n1")), t(10)).await.unwrap()[0].id, a);
    let gone = JobId::new("gone");
    let n = node("n1");
    let lost = s.renew(&n, vec![a.clone(), gone.clone()], t(100));
    assert_eq!(lost.await.unwrap(), [gone]);
    assert!(s.stale(None, t(99)).await.unwrap().is_empty());
    set(&s, &a, JobState::Completed).await;
    assert!(s.stale(None, t(999)).await.unwrap().is_empty());
    let lost = s.renew(&node("n1"), vec![a.clone()], t(100)).await.unwrap();
    assert_eq!(lost, [a]);
}

pub async fn the_ledger_keeps_confirmed_pages(s: S) {
    let id = put(&s, pending("a", "+1", 1)).await;
    lease(&s, 10, 9).await;
    let n = node("n1");
    let entry = |state| PageEntry { state, attempt: 7, at: t(11) };
    let good = entry(PageState::Confirmed { poor: true });
    s.record_page(&id, &n, 0, entry(PageState::Sent)).await.unwrap();
    s.record_page(&id, &n, 0, good).await.unwrap();
    s.record_page(&id, &n, 0, entry(PageState::Sent)).await.unwrap();
    s.record_page(&id, &n, 1, entry(PageState::Sent)).await.unwrap();
    let job = s.job(&id).await.unwrap().unwrap();
    assert_eq!(job.ledger, [good, entry(PageState::Sent)]);
    assert_eq!(job.first_unconfirmed(), 1);
    assert!(job.is_last_page_open());
    // A change to the job keeps the ledger.
    let job = set(&s, &id, JobState::Pending).await;
    assert_eq!(job.pages_confirmed(), 1);
    assert_eq!(s.job(&id).await.unwrap().unwrap().ledger, job.ledger);
}

pub async fn a_refused_change_changes_nothing(s: S) {
    let id = put(&s, pending("a", "+1", 1)).await;
    let no: JobChange = Box::new(|j| {
        j.state = JobState::Failed;
        Err(StoreError::Refused("no".into()))
    });
    let refused = s.update_job(&id, Guard::Any, no, vec![]).await;
    assert_eq!(refused, Err(StoreError::Refused("no".into())));
    let other: JobChange = Box::new(|j| {
        j.account = "b".into();
        Ok(())
    });
    assert!(s.update_job(&id, Guard::Any, other, vec![]).await.is_err());
    let unheld = s.update_job(&id, Guard::Any, to(JobState::Processing), vec![]);
    assert!(unheld.await.is_err());
    assert_eq!(s.job(&id).await.unwrap().unwrap().state, JobState::Pending);
    assert_eq!(lease(&s, 10, 9).await, [id]);
}

pub async fn state_change_and_notice_go_together(s: S) {
    let id = put(&s, pending("a", "+1", 1)).await;
    lease(&s, 10, 9).await;
    let notice = || {
        let about = NoticeSubject::Job(id.clone());
        Notice::new(NoticeKind::Sent, "a".into(), about, vec!["x@y".into()], t(20))
    };
    let lost = Guard::HeldBy(node("n2"));
    let failed = s.update_job(&id, lost, to(JobState::Completed), vec![notice()]);
    assert!(failed.await.is_err());
    assert!(s.notices_due(t(30), 9).await.unwrap().is_empty());
    let ours = Guard::HeldBy(node("n1"));
    let sent = notice();
    let done = s.update_job(&id, ours, to(JobState::Completed), vec![sent.clone()]);
    done.await.unwrap();
    assert_eq!(s.notices_due(t(30), 9).await.unwrap(), [sent]);
}

pub async fn lists_are_ordered_filtered_and_paged(s: S) {
    let mut ids = Vec::new();
    for at in [1, 2, 2, 3, 4] {
        let mut job = pending("a", "+1", at);
        job.faxbox = (at == 2).then(|| FaxboxId::new("f"));
        ids.push(put(&s, job).await);
    }
    put(&s, pending("b", "+1", 2)).await;
    let q = || JobQuery::of("a".into(), Folder::Live);
    let got = |q: JobQuery| {
        let s = s.clone();
        async move {
            let jobs = s.jobs(q).await.unwrap();
            jobs.into_iter().map(|j| j.id).collect::<Vec<_>>()
        }
    };
    let mut down = ids.clone();
    down.reverse();
    assert_eq!(got(q()).await, down);
    let up =
        |limit, after| JobQuery { range: Range { ascending: true, limit, after, ..Range::default() }, ..q() };
    assert_eq!(got(up(50, None)).await, ids);
    let first = got(up(2, None)).await;
    assert_eq!(first, ids[..2]);
    let rest = got(up(9, Some((t(2), first[1].to_string())))).await;
    assert_eq!(rest, ids[2..]);
    let mut pages = Vec::new();
    let mut after = None;
    loop {
        let page =
            s.jobs(JobQuery { range: Range { limit: 2, after, ..Range::default() }, ..q() }).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.created, last.id.to_string()));
        pages.extend(page.into_iter().map(|j| j.id));
    }
    assert_eq!(pages, down);
    let between = JobQuery { range: Range { from: t(2), to: t(3), ..Range::default() }, ..q() };
    assert_eq!(got(between).await, down[1..4]);
    let of_box = JobQuery { faxbox: Some(FaxboxId::new("f")), ..q() };
    assert_eq!(got(of_box).await, down[2..4]);
    let all = JobQuery { account: None, folder: None, ..q() };
    assert_eq!(got(all).await.len(), 6);
    let empty = JobQuery { range: Range { from: t(9), to: t(1), ..Range::default() }, ..q() };
    assert!(got(empty).await.is_empty());
}

pub async fn final_jobs_move_to_the_other_list(s: S) {
    let a = put(&s, pending("a", "+1", 1)).await;
    let b = put(&s, pending("a", "+2", 2)).await;
    set(&s, &a, JobState::Cancelled).await;
    let live = s.jobs(JobQuery::of("a".into(), Folder::Live)).await.unwrap();
    assert_eq!(live.len(), 1);
    assert_eq!(live[0].id, b);
    let filed = s.jobs(JobQuery::of("a".into(), Folder::Filed)).await.unwrap();
    assert_eq!(filed.len(), 1);
    assert_eq!(filed[0].id, a);
    let failed = JobQuery { states: vec![JobState::Failed], ..JobQuery::of("a".into(), Folder::Filed) };
    assert!(s.jobs(failed).await.unwrap().is_empty());
    let both = JobQuery { folder: None, ..JobQuery::of("a".into(), Folder::Live) };
    let both = s.jobs(both).await.unwrap();
    assert_eq!(both.iter().map(|j| &j.id).collect::<Vec<_>>(), [&b, &a]);
}

pub async fn deleted_jobs_are_gone(s: S) {
    let a = put(&s, pending("a", "+1", 1)).await;
    lease(&s, 10, 9).await;
    assert!(matches!(s.delete_job(&a).await, Err(StoreError::Refused(_))));
    set(&s, &a, JobState::Failed).await;
    s.delete_job(&a).await.unwrap();
    assert_eq!(s.job(&a).await.unwrap(), None);
    let q = JobQuery::of("a".into(), Folder::Filed);
    assert!(s.jobs(q).await.unwrap().is_empty());
    assert_eq!(s.delete_job(&a).await, Err(StoreError::NotFound));
    // Its number and its line are free.
    let b = put(&s, pending("a", "+1", 1)).await;
    assert_eq!(lease(&s, 10, 9).await, [b]);
}

fn fax(account: &str, at: i64) -> Received {
    Received {
        id: FaxId::generate(),
        account: account.into(),
        faxbox: Some(FaxboxId::new("f")),
        created: t(at),
        from_number: "+2".into(),
        from_name: String::new(),
        to_number: "+1".into(),
        diverted_from: String::new(),
        remote_ident: Some("12".into()),
        document: Some(DocumentKey::generate()),
        pages: 1,
        success: true,
        class: "ok".into(),
        result_text: "OK".into(),
        bit_rate: Some(14400),
        modem: Some("V.17".into()),
        ecm: true,
        coding: Some("MMR".into()),
        resolution: None,
        t38: false,
        bad_rows: 0,
        longest_bad_run: 0,
        call_id: "c".into(),
        duration_ms: 1,
        notify: vec![],
        size: 9,
        client: serde_json::Map::new(),
        trace: vec![],
    }
}

pub async fn received_faxes_are_listed(s: S) {
    let (a, b, c) = (fax("a", 1), fax("a", 2), fax("b", 3));
    for f in [&a, &b, &c] {
        s.insert_received(f.clone(), vec![]).await.unwrap();
    }
    assert_eq!(s.insert_received(a.clone(), vec![]).await, Err(StoreError::Exists));
    assert_eq!(s.received(&a.id).await.unwrap().as_ref(), Some(&a));
    let q = |account: Option<&str>| ReceivedQuery {
        account: account.map(AccountId::from),
        faxbox: None,
        range: Range::default(),
    };
    let of_a = s.received_list(q(Some("a"))).await.unwrap();
    assert_eq!(of_a, [b.clone(), a.clone()]);
    assert_eq!(s.received_list(q(None)).await.unwrap().len(), 3);
    let other_box = ReceivedQuery { faxbox: Some("g".into()), ..q(Some("a")) };
    assert!(s.received_list(other_box).await.unwrap().is_empty());
    s.delete_received(&b.id).await.unwrap();
    assert_eq!(s.received_list(q(Some("a"))).await.unwrap(), [a]);
    assert_eq!(s.delete_received(&b.id).await, Err(StoreError::NotFound));
}

pub async fn notices_wait_and_are_ticked_off(s: S) {
    let about = NoticeSubject::Fax(FaxId::new("f"));
    let make = |at| Notice::new(NoticeKind::Received, "a".into(), about.clone(), vec![], t(at));
    let (a, b) = (make(5), make(3));
    assert_eq!(s.next_notice().await.unwrap(), None);
    s.insert_notices(vec![a.clone(), b.clone()]).await.unwrap();
    assert_eq!(s.next_notice().await.unwrap(), Some(t(3)));
    assert!(s.notices_due(t(2), 9).await.unwrap().is_empty());
    assert_eq!(s.notices_due(t(9), 9).await.unwrap(), [b.clone(), a.clone()]);
    assert_eq!(s.notices_due(t(9), 1).await.unwrap(), std::slice::from_ref(&b));
    s.notice_retry(&b.id, t(8)).await.unwrap();
    let due = s.notices_due(t(9), 9).await.unwrap();
    assert_eq!((&due[0].id, due[1].tries), (&a.id, 1));
    s.notice_done(&a.id).await.unwrap();
    assert_eq!(s.notice_done(&a.id).await, Err(StoreError::NotFound));
    assert_eq!(s.next_notice().await.unwrap(), Some(t(8)));
}

pub async fn documents_are_named_by_rows(s: S) {
    let (x, y) = (DocumentKey::generate(), DocumentKey::generate());
    let mut job = pending("a", "+1", 1);
    job.source = Source::Stored { original: x.clone(), content_type: String::new(), file_name: None };
    job.document = Some(y.clone());
    let again = Job { id: JobId::generate(), ..job.clone() };
    let (first, second) = (put(&s, job).await, put(&s, again).await);
    for id in [first, second] {
        assert!(s.is_named(&x).await.unwrap() && s.is_named(&y).await.unwrap());
        set(&s, &id, JobState::Failed).await;
        s.delete_job(&id).await.unwrap();
    }
    assert!(!s.is_named(&x).await.unwrap() && !s.is_named(&y).await.unwrap());
    let f = fax("a", 1);
    let key = f.document.clone().unwrap();
    s.insert_received(f.clone(), vec![]).await.unwrap();
    assert!(s.is_named(&key).await.unwrap());
    s.delete_received(&f.id).await.unwrap();
    assert!(!s.is_named(&key).await.unwrap());
}

pub async fn many_writers_at_once(s: S) {
    let mut tasks = tokio::task::JoinSet::new();
    for i in 0..64 {
        let s = s.clone();
        tasks.spawn(async move { put(&s, pending("a", &format!("+{i}"), 1)).await });
    }
    let ids = tasks.join_all().await;
    for id in ids {
        assert!(s.job(&id).await.unwrap().is_some());
    }
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let s = s.clone();
        let r = LeaseRequest { default_account_limit: 100, ..request(10, 10) };
        tasks.spawn(async move { s.lease_due(r).await.unwrap() });
    }
    let mut taken: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    taken.sort_by(|a, b| a.id.cmp(&b.id));
    taken.dedup_by(|a, b| a.id == b.id);
    assert_eq!(taken.len(), 64, "each job is taken exactly once");
}

pub async fn the_next_due_time_is_known(s: S) {
    assert_eq!(s.next_due().await.unwrap(), NextDue::default());
    put(&s, pending("a", "+1", 50)).await;
    assert_eq!(s.next_due().await.unwrap().pending, Some(t(50)));
    let mut job = Job::new("a".into(), "+1", source(), t(1));
    job.not_before = t(40);
    put(&s, job).await;
    let next = s.next_due().await.unwrap();
    assert_eq!((next.pending, next.converting), (Some(t(50)), Some(t(40))));
    let n = node("n1");
    let later = t(60).plus(Duration::from_secs(60));
    s.lease_converting(&n, t(60), later, 9).await.unwrap();
    lease(&s, 60, 9).await;
    assert_eq!(s.next_due().await.unwrap(), NextDue::default());
}

fn number(account: &str, number: &str) -> ProfileKey {
    ProfileKey::number(account.into(), number)
}

/// One call more, at this time.
fn called(key: ProfileKey, at: i64) -> ProfileChange {
    let change = move |p: &mut Profile| {
        p.calls += 1;
        p.modified = t(at);
    };
    (key, Box::new(change))
}

async fn numbers(s: &S, account: &str, after: Option<&str>, limit: usize) -> Vec<String> {
    let (account, after) = (account.into(), after.map(str::to_owned));
    let found = s.profiles(ProfileQuery::Numbers { account, after, limit }).await.unwrap();
    found.iter().map(|p| p.key.parts().2.to_owned()).collect()
}

pub async fn profiles_change_and_are_read_back(s: S) {
    let key = number("a", "+1");
    assert_eq!(s.profile(&key).await.unwrap(), None);
    assert_eq!(s.change_profile(called(key.clone(), 1)).await.unwrap().calls, 1);
    let lock = |p: &mut Profile| p.change(Ability::Ecm, None, |t| t.locked = true);
    s.change_profile((key.clone(), Box::new(lock))).await.unwrap();
    let read = s.profile(&key).await.unwrap().unwrap();
    assert_eq!((read.calls, read.is_locked(), &read.key), (1, true, &key));
    // A number of that name in another account, and a trunk, are others.
    assert_eq!(s.profile(&number("b", "+1")).await.unwrap(), None);
    assert_eq!(s.profile(&ProfileKey::trunk("+1")).await.unwrap(), None);
    s.forget_profile(&key).await.unwrap();
    assert_eq!(s.profile(&key).await.unwrap(), None);
    assert_eq!(s.forget_profile(&key).await, Err(StoreError::NotFound));
    let panics = |_: &mut Profile| panic!("in a change");
    s.change_profile((key.clone(), Box::new(panics))).await.unwrap();
    assert_eq!(s.change_profile(called(key, 2)).await.unwrap().calls, 1);
}

pub async fn profiles_are_listed_by_account_in_pages(s: S) {
    for (account, name) in [("a", "+3"), ("a", "+1"), ("b", "+2"), ("a", "+2")] {
        s.change_profile(called(number(account, name), 1)).await.unwrap();
    }
    for trunk in ["y", "x"] {
        s.change_profile(called(ProfileKey::trunk(trunk), 1)).await.unwrap();
    }
    assert_eq!(numbers(&s, "a", None, 2).await, ["+1", "+2"]);
    assert_eq!(numbers(&s, "a", Some("+2"), 2).await, ["+3"]);
    assert_eq!(numbers(&s, "b", None, 2).await, ["+2"]);
    let trunks = s.profiles(ProfileQuery::Trunks).await.unwrap();
    assert_eq!(trunks.iter().map(|p| p.key.parts().2).collect::<Vec<_>>(), ["x", "y"]);
}

pub async fn profiles_change_with_the_job_or_not_at_all(s: S) {
    let id = put(&s, pending("a", "+1", 1)).await;
    lease(&s, 1, 1).await;
    let (key, trunk) = (number("a", "+1"), ProfileKey::trunk("x"));
    let lessons = || vec![called(key.clone(), 1), called(trunk.clone(), 1), called(key.clone(), 2)];
    let end = |guard, change: JobChange| s.update_job_and_profiles(&id, guard, change, vec![], lessons());
    let held = || Guard::HeldBy(node("n1"));
    let refused = end(held(), Box::new(|_| Err(StoreError::Refused("no".into())))).await;
    assert_eq!(refused, Err(StoreError::Refused("no".into())));
    let lost = end(Guard::HeldBy(node("n2")), to(JobState::Completed)).await;
    assert_eq!(lost, Err(StoreError::LeaseLost));
    assert_eq!(s.profile(&key).await.unwrap(), None);
    let job = end(held(), to(JobState::Completed)).await.unwrap();
    assert_eq!(job.state, JobState::Completed);
    // Both changes to one profile, in order.
    let read = s.profile(&key).await.unwrap().unwrap();
    assert_eq!((read.calls, read.modified), (2, t(2)));
    assert_eq!(s.profile(&trunk).await.unwrap().unwrap().calls, 1);
}

pub async fn old_profiles_are_purged_locked_ones_stay(s: S) {
    for at in 1..=6 {
        s.change_profile(called(number("a", &format!("+{at}")), at)).await.unwrap();
    }
    s.change_profile(called(ProfileKey::trunk("x"), 1)).await.unwrap();
    let lock = |locked| {
        let change = move |p: &mut Profile| p.change(Ability::V17, None, |t| t.locked = locked);
        (number("a", "+1"), Box::new(change) as Box<dyn FnOnce(&mut Profile) + Send>)
    };
    s.change_profile(lock(true)).await.unwrap();
    // By age: +2 and +3.
    assert_eq!(s.purge_profiles(t(4), 100, 10).await.unwrap(), 2);
    assert_eq!(numbers(&s, "a", None, 9).await, ["+1", "+4", "+5", "+6"]);
    // One that was used again is young.
    s.change_profile(called(number("a", "+4"), 9)).await.unwrap();
    // By count, the trunk counted: two of five go, the oldest first, in as many steps as are wanted.
    assert_eq!(s.purge_profiles(t(0), 3, 1).await.unwrap(), 1);
    assert_eq!(s.purge_profiles(t(0), 3, 10).await.unwrap(), 1);
    assert_eq!(numbers(&s, "a", None, 9).await, ["+1", "+4"]);
    s.change_profile(lock(false)).await.unwrap();
    assert_eq!(s.purge_profiles(t(2), 100, 10).await.unwrap(), 1);
    assert_eq!(numbers(&s, "a", None, 9).await, ["+4"]);
    assert_eq!(s.profiles(ProfileQuery::Trunks).await.unwrap().len(), 1);
}

fn entry(kind: EntryKind, id: &str, claims: &[&str]) -> Entry {
    let mut entry = Entry::new(kind, id, "a".into(), t(5));
    entry.claims = claims.iter().map(|c| (*c).to_owned()).collect();
    entry.document.insert("name".into(), "Fröhlich \u{10FFFF}\0".into());
    entry
}

async fn put_one(s: &S, entry: Entry) -> Result<Entry, StoreError> {
    s.put_entries(vec![entry]).await.map(|mut put| put.remove(0))
}

pub async fn entries_are_told_in_the_order_of_their_changes(s: S) {
    assert_eq!(s.entries(0, 10).await.unwrap(), []);
    let first = put_one(&s, entry(EntryKind::Faxbox, "x", &[])).await.unwrap();
    // The same id in another kind is another entry.
    let second = put_one(&s, entry(EntryKind::User, "x", &[])).await.unwrap();
    assert!(first.change > 0 && second.change > first.change);
    assert_eq!(s.entries(0, 10).await.unwrap(), [first.clone(), second.clone()]);
    assert_eq!(s.entries(0, 1).await.unwrap(), std::slice::from_ref(&first));
    let mut changed = first.clone();
    changed.document.insert("more".into(), serde_json::json!([1, { "a": null }]));
    changed.hidden.insert("digest".into(), "d".into());
    let changed = put_one(&s, changed).await.unwrap();
    assert_eq!(s.entries(second.change, 10).await.unwrap(), std::slice::from_ref(&changed));
    let gone = put_one(&s, second.removed(t(9))).await.unwrap();
    assert!(gone.deleted && gone.document.is_empty());
    assert_eq!(
        s.entries(0, 10).await.unwrap(),
        [changed, gone.clone()],
        "one row of each, the last change last"
    );
    assert_eq!(s.entries(gone.change, 10).await.unwrap(), []);
}

pub async fn entries_have_names_of_their_own(s: S) {
    let taken = |claim: &str| Err(StoreError::Taken(claim.into()));
    let a = put_one(&s, entry(EntryKind::Faxbox, "a", &["domain:x", "domain:y"])).await.unwrap();
    assert_eq!(
        put_one(&s, entry(EntryKind::Account, "b", &["domain:z", "domain:y"])).await,
        taken("domain:y")
    );
    assert_eq!(s.entries(a.change, 10).await.unwrap(), [], "nothing of it was stored");
    let b = put_one(&s, entry(EntryKind::Faxbox, "b", &["domain:z"])).await.unwrap();
    // Names that are given up are free at once, in one change with who takes them too.
    let a = put_one(&s, Entry { claims: vec!["domain:x".into()], ..a }).await.unwrap();
    let both = vec![
        Entry { claims: vec!["domain:x".into()], ..b.clone() },
        Entry { claims: vec!["domain:z".into(), "domain:y".into()], ..a.clone() },
    ];
    let swapped = s.put_entries(both).await.unwrap();
    let twice = vec![
        Entry { claims: vec!["domain:w".into()], ..swapped[0].clone() },
        Entry { claims: vec!["domain:w".into()], ..swapped[1].clone() },
    ];
    assert_eq!(s.put_entries(twice).await, Err(StoreError::Taken("domain:w".into())));
    put_one(&s, swapped[1].removed(t(9))).await.unwrap();
    assert_eq!(put_one(&s, entry(EntryKind::Faxbox, "c", &["domain:x"])).await, taken("domain:x"));
    put_one(&s, entry(EntryKind::Faxbox, "c", &["domain:y"])).await.unwrap();
}

pub async fn an_entry_is_changed_from_its_last_version_only(s: S) {
    let refused = |r: Result<Entry, StoreError>| matches!(r, Err(StoreError::Refused(_)));
    let first = put_one(&s, entry(EntryKind::Number, "+1", &[])).await.unwrap();
    assert!(refused(put_one(&s, entry(EntryKind::Number, "+1", &[])).await), "there is one already");
    let second = put_one(&s, first.clone()).await.unwrap();
    assert!(refused(put_one(&s, first.clone()).await), "it was changed since");
    assert!(refused(put_one(&s, first.removed(t(9))).await));
    assert!(refused(s.put_entries(vec![second.clone(), second.clone()]).await.map(|mut v| v.remove(0))));
    let gone = put_one(&s, second.removed(t(9))).await.unwrap();
    assert!(refused(put_one(&s, second).await), "it is gone");
    // What was removed can be made anew.
    let again = put_one(&s, entry(EntryKind::Number, "+1", &[])).await.unwrap();
    assert!(again.change > gone.change && !again.deleted);
}

pub async fn entries_change_together_or_not_at_all(s: S) {
    let a = put_one(&s, entry(EntryKind::User, "a", &["user:a"])).await.unwrap();
    let stale = Entry { change: a.change + 7, ..a.clone() };
    let batch = vec![entry(EntryKind::User, "b", &["user:b"]), stale];
    assert!(matches!(s.put_entries(batch).await, Err(StoreError::Refused(_))));
    assert_eq!(s.entries(0, 10).await.unwrap(), [a]);
    put_one(&s, entry(EntryKind::User, "c", &["user:b"])).await.unwrap();
}

pub async fn many_change_entries_at_once(s: S) {
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..20 {
        let s = s.clone();
        tasks.spawn(
            async move { put_one(&s, entry(EntryKind::Faxbox, &format!("f{n}"), &["domain:one"])).await },
        );
    }
    let mut won = Vec::new();
    while let Some(done) = tasks.join_next().await {
        match done.unwrap() {
            Ok(entry) => won.push(entry),
            Err(e) => assert_eq!(e, StoreError::Taken("domain:one".into())),
        }
    }
    assert_eq!(won.len(), 1);
    assert_eq!(s.entries(0, 100).await.unwrap(), won);
}

pub async fn audit_records_are_listed_and_purged(s: S) {
    let record = |id: &str, account: &str, at: i64| Audit {
        id: id.into(),
        account: account.into(),
        at: t(at),
        who: "key:1".into(),
        of: "a".into(),
        remote: "192.0.2.1".into(),
        action: "download".into(),
        subject: "faxes/inbox/1\0".into(),
        request: "r".into(),
        status: Some(200),
    };
    let records = vec![record("1", "a", 1), record("2", "a", 2), record("3", "a", 2), record("4", "b", 3)];
    s.insert_audit(records.clone()).await.unwrap();
    s.insert_audit(Vec::new()).await.unwrap();
    let list = async |range: Range| {
        let found = s.audit(AuditQuery { account: "a".into(), range }).await.unwrap();
        found.into_iter().map(|r| r.id).collect::<Vec<_>>()
    };
    assert_eq!(list(Range::default()).await, ["3", "2", "1"]);
    assert_eq!(list(Range { ascending: true, limit: 2, ..Range::default() }).await, ["1", "2"]);
    assert_eq!(list(Range { after: Some((t(2), "2".into())), ..Range::default() }).await, ["1"]);
    assert_eq!(list(Range { from: t(2), ..Range::default() }).await, ["3", "2"]);
    let whole = s.audit(AuditQuery { account: "b".into(), range: Range::default() }).await.unwrap();
    assert_eq!(whole, [records[3].clone()]);
    assert_eq!(s.purge_audit(t(3), 2).await.unwrap(), 2);
    assert_eq!(s.purge_audit(t(3), 2).await.unwrap(), 1);
    assert_eq!(s.purge_audit(t(3), 2).await.unwrap(), 0);
    assert_eq!(list(Range::default()).await, [""; 0]);
}
