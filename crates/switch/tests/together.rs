//! Faxes that go out in one call: each has its own pages, ledger, attempts and end.
#![allow(clippy::unwrap_used, clippy::panic)]

mod bench;

use async_trait::async_trait;
use bench::{Bench, Script, next};
use bytes::Bytes;
use core::time::Duration;
use fax_store::model::{DocumentKey, JobId, JobState, Lease, NodeId, Timestamp};
use fax_store::port::{Guard, JobChange};
use fax_store::{Documents, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Semaphore;

const N: &str = "+14155550001";

/// A switch in which jobs of so many pages wait for their number, in this order, until the permit is given.
async fn waiting(jobs_per_call: usize, pages: &[usize]) -> (Bench, Vec<JobId>, Arc<Semaphore>) {
    let mut b = Bench::with(|config| config.jobs_per_call = jobs_per_call);
    b.start();
    let gate = Arc::new(Semaphore::new(0));
    let mut begun = b.calls_begin();
    b.dialler.then(Script::Hold(gate.clone()));
    b.submit_as("Office", "pages:1", N).await;
    next(&mut begun).await;
    *b.dialler.started.lock().unwrap() = None;
    let mut ids = Vec::new();
    for pages in pages {
        b.clock.advance(1);
        let id = b.submit_as("Clinic", &format!("pages:{pages}"), N).await;
        b.until_state(&id, JobState::Pending).await;
        ids.push(id);
    }
    (b, ids, gate)
}

/// How many documents each call had after the first.
fn calls(b: &Bench) -> Vec<usize> {
    b.dialler.calls.lock().unwrap().iter().skip(1).map(|order| 1 + order.further.len()).collect()
}

#[tokio::test]
async fn faxes_that_wait_for_one_number_go_out_in_one_call() {
    let (mut b, ids, go) = waiting(3, &[2, 1, 3, 1]).await;
    go.add_permits(1);
    for (id, pages) in ids.iter().zip([2, 1, 3, 1]) {
        let job = b.until_state(id, JobState::Completed).await;
        let [attempt] = job.attempts.as_slice() else { panic!("{:?}", job.attempts) };
        assert_eq!((attempt.first_page, attempt.pages_confirmed, job.pages_confirmed()), (0, pages, pages));
        assert_eq!(attempt.outcome.class, "ok");
    }
    assert_eq!(calls(&b), [3, 1]);
    // One before these two; each is a call, whatever went along.
    let counted = b.counted("ferrofax_attempts_total{result=\"ok\"} 5\n").await;
    assert!(counted.contains("ferrofax_call_seconds_count{direction=\"out\"} 3\n"), "{counted}");
    assert_eq!(*b.dialler.most_to_one_number.lock().unwrap(), 1);
    // Each sender's notice is of its own job.
    assert_eq!(b.notices().await.len(), 5);
}

#[tokio::test]
async fn alone_is_the_default_and_another_caller_is_not_taken_along() {
    let (mut b, ids, go) = waiting(1, &[1, 1]).await;
    go.add_permits(1);
    for id in &ids {
        b.until_state(id, JobState::Completed).await;
    }
    assert_eq!(calls(&b), [1, 1]);
    let (mut b, mut ids, go) = waiting(3, &[1]).await;
    ids.push(b.submit_as("Ward", "pages:1", N).await);
    b.until_state(&ids[1], JobState::Pending).await;
    go.add_permits(1);
    for id in &ids {
        b.until_state(id, JobState::Completed).await;
    }
    assert_eq!(calls(&b), [1, 1]);
}

#[tokio::test]
async fn a_call_that_breaks_off_ends_what_is_through_and_costs_the_rest_nothing() {
    let (mut b, ids, go) = waiting(3, &[2, 2, 2]).await;
    b.dialler.then(Script::ConfirmThen(3, "d.noresp"));
    go.add_permits(1);
    let first = b.until_state(&ids[0], JobState::Completed).await;
    assert_eq!((first.attempts.len(), first.attempts[0].outcome.class.as_str()), (1, "ok"));
    let second = b.until_back(&ids[1], 1).await;
    assert_eq!((second.attempts[0].outcome.class.as_str(), second.pages_confirmed()), ("d.noresp", 1));
    // The third goes at once: the wait is the second's.
    let third = b.until_state(&ids[2], JobState::Completed).await;
    assert_eq!(third.attempts.len(), 1);
    b.clock.advance(3_600);
    let second = b.until_state(&ids[1], JobState::Completed).await;
    assert_eq!((second.attempts.len(), second.attempts[1].first_page), (2, 1));
    assert_eq!(calls(&b), [3, 1, 1], "what failed goes alone");
}

#[tokio::test]
async fn the_last_page_of_one_that_is_not_confirmed_makes_that_one_uncertain() {
    let (mut b, ids, go) = waiting(3, &[2, 2, 2]).await;
    b.dialler.then(Script::OpenAfter(3, "d.noresp"));
    go.add_permits(1);
    b.until_state(&ids[0], JobState::Completed).await;
    b.until_state(&ids[1], JobState::Uncertain).await;
    b.until_state(&ids[2], JobState::Completed).await;
    assert_eq!(calls(&b), [3, 1]);
}

#[tokio::test]
async fn one_that_is_called_off_is_not_sent_and_the_others_are() {
    let (mut b, ids, go) = waiting(3, &[1, 1, 1]).await;
    let gate = Arc::new(Semaphore::new(0));
    let mut begun = b.calls_begin();
    b.dialler.then(Script::Stepwise(gate.clone()));
    go.add_permits(1);
    next(&mut begun).await;
    b.until(&ids[1], |j| j.state == JobState::Processing).await;
    b.service.cancel(&"a".into(), &ids[1]).await.unwrap();
    // The call goes on: it is not the turn of that one yet.
    gate.add_permits(1);
    b.until_state(&ids[0], JobState::Completed).await;
    let off = b.until_state(&ids[1], JobState::Cancelled).await;
    assert_eq!(off.pages_confirmed(), 0);
    let third = b.until_state(&ids[2], JobState::Completed).await;
    assert_eq!(third.attempts.len(), 1);
    assert_eq!(calls(&b), [3, 1]);
}

/// Documents that are read one by one, when there is a permit.
struct Slow {
    documents: Arc<dyn Documents>,
    permits: Semaphore,
    asked: AtomicUsize,
}

#[async_trait]
impl Documents for Slow {
    async fn put(&self, octets: Bytes) -> Result<DocumentKey, StoreError> {
        self.documents.put(octets).await
    }
    async fn put_as(&self, key: &DocumentKey, octets: Bytes) -> Result<(), StoreError> {
        self.documents.put_as(key, octets).await
    }
    async fn get(&self, key: &DocumentKey) -> Result<Bytes, StoreError> {
        // What says whose the documents are is no fax.
        if key.as_str().trim_start_matches('0').is_empty() {
            return self.documents.get(key).await;
        }
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.permits.acquire().await.unwrap().forget();
        self.documents.get(key).await
    }
    async fn delete(&self, key: &DocumentKey) -> Result<(), StoreError> {
        self.documents.delete(key).await
    }
    async fn older_than(&self, age: Duration, shelf: u8) -> Result<Vec<DocumentKey>, StoreError> {
        self.documents.older_than(age, shelf).await
    }
}

#[tokio::test]
async fn what_is_called_off_while_the_call_is_made_ready_is_not_sent() {
    let mut b = Bench::with(|config| config.jobs_per_call = 3);
    // Four are converted; the pages of one that keeps the line and of the first of the others are read.
    let (permits, asked) = (Semaphore::new(6), AtomicUsize::new(0));
    let slow = Arc::new(Slow { documents: b.documents.clone(), permits, asked });
    b.documents = slow.clone();
    b.crash().await;
    b.start();
    let go = Arc::new(Semaphore::new(0));
    b.dialler.then(Script::Hold(go.clone()));
    let mut begun = b.calls_begin();
    b.submit_as("Office", "pages:1", N).await;
    next(&mut begun).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        b.clock.advance(1);
        let id = b.submit_as("Clinic", "pages:1", N).await;
        b.until_state(&id, JobState::Pending).await;
        ids.push(id);
    }
    go.add_permits(1);
    while slow.asked.load(Ordering::SeqCst) < 7 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The second is being read, the third is yet to be: one is called off at another node, one here.
    let change = fax_switch::service::cancelling(b.service.now());
    assert!(b.store.update_job(&ids[1], Guard::Any, change, vec![]).await.unwrap().cancel);
    assert!(b.service.cancel(&"a".into(), &ids[2]).await.unwrap().cancel);
    slow.permits.add_permits(10);
    b.until_state(&ids[0], JobState::Completed).await;
    for id in &ids[1..] {
        let off = b.until_state(id, JobState::Cancelled).await;
        assert!(off.attempts.is_empty() && off.pages_confirmed() == 0, "{off:?}");
    }
    assert_eq!(calls(&b), [1]);
}

#[tokio::test]
async fn what_is_called_off_elsewhere_while_it_is_converted_is_told() {
    let mut b = Bench::new();
    let (permits, asked) = (Semaphore::new(0), AtomicUsize::new(0));
    let slow = Arc::new(Slow { documents: b.documents.clone(), permits, asked });
    b.documents = slow.clone();
    b.crash().await;
    b.start();
    let id = b.submit("pages:1", N).await;
    while slow.asked.load(Ordering::SeqCst) < 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let change = fax_switch::service::cancelling(b.service.now());
    assert!(b.store.update_job(&id, Guard::Any, change, vec![]).await.unwrap().cancel);
    slow.permits.add_permits(1);
    b.until_state(&id, JobState::Cancelled).await;
    b.counted("ferrofax_jobs_finished_total{result=\"cancelled\"} 1\n").await;
}

#[tokio::test]
async fn when_another_node_takes_the_first_over_the_next_ones_go_back() {
    let (mut b, ids, go) = waiting(3, &[1, 1]).await;
    let gate = Arc::new(Semaphore::new(0));
    let mut begun = b.calls_begin();
    b.dialler.then(Script::Stepwise(gate.clone()));
    go.add_permits(1);
    next(&mut begun).await;
    gate.add_permits(1);
    b.until(&ids[0], |j| j.pages_confirmed() == 1).await;
    let lease = Lease { node: NodeId::new("n2"), until: Timestamp(i64::MAX) };
    let change: JobChange = Box::new(move |j| {
        j.lease = Some(lease);
        Ok(())
    });
    b.store.update_job(&ids[0], Guard::Any, change, vec![]).await.unwrap();
    // The leases are renewed: it is not ours any more, and the call is cleared.
    b.clock.advance(20);
    let second = b.until_back(&ids[1], 1).await;
    assert_eq!(second.attempts[0].outcome.class, "l.node");
    b.clock.advance(5);
    // The number is in use at the other node as long as that has the first.
    b.settle().await;
    assert_eq!(b.job(&ids[1]).await.state, JobState::Pending);
}

#[tokio::test]
async fn calling_off_the_first_gives_the_others_back() {
    let (mut b, ids, go) = waiting(3, &[1, 1]).await;
    let mut begun = b.calls_begin();
    b.dialler.then(Script::Stepwise(Arc::new(Semaphore::new(0))));
    go.add_permits(1);
    next(&mut begun).await;
    b.service.cancel(&"a".into(), &ids[0]).await.unwrap();
    b.until_state(&ids[0], JobState::Cancelled).await;
    let second = b.until_state(&ids[1], JobState::Completed).await;
    assert_eq!(second.attempts.len(), 1);
}

#[tokio::test]
async fn a_crash_in_the_middle_loses_nothing_and_sends_nothing_twice() {
    let (mut b, ids, go) = waiting(3, &[2, 2, 2]).await;
    let mut begun = b.calls_begin();
    b.dialler.then(Script::Hang(3, 0));
    go.add_permits(1);
    next(&mut begun).await;
    b.until(&ids[1], |j| j.pages_confirmed() == 1).await;
    b.crash().await;
    b.start();
    let first = b.until_state(&ids[0], JobState::Completed).await;
    assert_eq!(first.pages_confirmed(), 2);
    for id in &ids[1..] {
        b.until_back(id, 1).await;
    }
    b.clock.advance(3_600);
    for id in &ids[1..] {
        let job = b.until_state(id, JobState::Completed).await;
        assert_eq!(job.attempts_counted, 1, "what our node broke off costs nothing");
    }
    let orders = b.dialler.calls.lock().unwrap();
    let pages = |order: &fax_switch::port::CallOrder| {
        order.pages.len() + order.further.iter().map(|f| f.pages.len()).sum::<usize>()
    };
    assert_eq!(orders[2..].iter().map(pages).sum::<usize>(), 3, "one page and a whole fax are left");
}

#[tokio::test]
async fn without_room_on_a_trunk_all_of_them_wait() {
    let (mut b, ids, go) = waiting(2, &[1, 1]).await;
    b.dialler.then(Script::Far(|_| fax_switch::port::CallResult {
        not_made: Some(Duration::from_secs(5)),
        ..Default::default()
    }));
    go.add_permits(1);
    while b.dialler.calls() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for id in &ids {
        let job = b.until_state(id, JobState::Pending).await;
        assert!(job.attempts.is_empty() && job.not_before > b.service.now(), "{job:?}");
    }
    b.clock.advance(10);
    for id in &ids {
        b.until_state(id, JobState::Completed).await;
    }
    assert_eq!(calls(&b), [2, 2]);
}
