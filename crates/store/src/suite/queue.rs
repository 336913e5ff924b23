//! Jobs: stored, leased, changed, listed.

use super::*;

pub async fn a_job_is_read_back_as_it_was_stored(s: S) {
    let mut job = pending("a", "+1", 5);
    job.client.insert("custom".into(), serde_json::json!({"x": [1, null]}));
    job.faxbox = Some(FaxboxId::new("f"));
    job.notify = vec!["a@b.c".into()];
    let id = put(&s, job.clone()).await;
    assert_eq!(s.job(&id).await.unwrap(), Some(job));
    for none in ["none", "a\0b", ""] {
        assert_eq!(s.job(&JobId::new(none)).await, Ok(None), "{none:?}");
        assert_eq!(s.received(&FaxId::new(none)).await, Ok(None), "{none:?}");
    }
}

pub async fn a_job_is_stored_once(s: S) {
    let job = pending("a", "+1", 5);
    put(&s, job.clone()).await;
    assert_eq!(s.insert_job(job).await, Err(StoreError::Exists));
}

/// What an index cannot hold must not be found out when it is somebody's turn.
pub async fn a_number_without_end_is_refused_and_blocks_nobody(s: S) {
    // Drawn, since the same over and over would be made short.
    let number: String = (0..300).map(|_| JobId::generate().to_string()).collect();
    let refused = |e| matches!(e, Err(StoreError::Refused(_)));
    assert!(refused(s.insert_job(pending("a", &number, 1)).await));
    let id = put(&s, pending("b", "+2", 2)).await;
    let to = number.clone();
    let change: JobChange = Box::new(move |j| {
        j.to_number = to;
        Ok(())
    });
    assert!(refused(s.update_job(&id, Guard::Any, change, vec![]).await.map(|_| ())));
    // One that came from elsewhere and is first in the queue.
    let old = pending("a", &number, 1);
    s.restore(vec![Row::Job(Box::new(old.clone()))]).await.unwrap();
    assert!(lease(&s, 10, 9).await.contains(&id));
    // It can still be called off.
    set(&s, &old.id, JobState::Cancelled).await;
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

pub async fn jobs_that_go_along_are_taken_beside_another(s: S) {
    let lead = put(&s, pending("a", "+1", 1)).await;
    let parked = put(&s, pending("a", "+1", 2)).await;
    let other_caller = Job { from_number: "+49".into(), ..pending("a", "+1", 3) };
    let other_caller = put(&s, other_caller).await;
    let foreign = put(&s, pending("b", "+1", 3)).await;
    assert_eq!(lease(&s, 10, 9).await, std::slice::from_ref(&lead));
    let failed_before = Job { attempts_counted: 1, ..pending("a", "+1", 4) };
    put(&s, failed_before).await;
    let elsewhere = put(&s, pending("a", "+2", 4)).await;
    let queued = put(&s, pending("a", "+1", 5)).await;
    let left = put(&s, pending("a", "+1", 6)).await;
    put(&s, pending("a", "+1", 50)).await;
    let beside = async |node: &str, limit| {
        let taken = s.lease_beside(&lead, &NodeId::new(node), t(10), t(70), limit).await.unwrap();
        assert!(taken.iter().all(|j| j.state == JobState::Locked && j.ledger.len() == 2), "{taken:?}");
        taken.into_iter().map(|j| j.id).collect::<Vec<_>>()
    };
    assert!(beside("n2", 9).await.is_empty(), "another node has the call");
    assert_eq!(beside("n1", 2).await, [parked.clone(), queued.clone()]);
    let held = s.stale(Some(&node("n1")), t(10)).await.unwrap();
    assert_eq!(held.len(), 3);
    assert_eq!(lease(&s, 10, 9).await, [elsewhere], "the number is in use");
    // The number is free when the call is over, whoever ends first.
    for id in [&parked, &lead, &queued] {
        set(&s, id, JobState::Completed).await;
    }
    let mut rest = Vec::new();
    for _ in 0..4 {
        let next = lease(&s, 10, 9).await;
        assert!(next.len() <= 1, "one call to a number");
        for id in next {
            set(&s, &id, JobState::Completed).await;
            rest.push(id);
        }
    }
    assert!(
        [&other_caller, &foreign, &left].iter().all(|id| rest.contains(id)) && rest.len() == 4,
        "{rest:?}"
    );
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
    assert_eq!(s.notices_due(t(30), 9).await.unwrap(), std::slice::from_ref(&sent));
    // So do a new job and its notices.
    let (job, told) = (pending("a", "+2", 1), notice());
    s.insert_job_and_notices(job.clone(), vec![told.clone()]).await.unwrap();
    let twice = s.insert_job_and_notices(job, vec![notice()]).await;
    assert_eq!(twice, Err(StoreError::Exists));
    let both = s.notices_due(t(30), 9).await.unwrap();
    assert!(both.len() == 2 && both.contains(&sent) && both.contains(&told), "{both:?}");
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
