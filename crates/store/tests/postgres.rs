//! The store in PostgreSQL: the suite of every backend, several nodes at once, news between nodes.
#![allow(clippy::unwrap_used, clippy::panic)]

use fax_store::model::{
    AccountId, Audit, DocumentKey, Entry, EntryKind, Job, JobState, NodeId, Notice, NoticeKind,
    NoticeSubject, PageEntry, Priority, ProfileKey, Received, Source, Timestamp,
};
use fax_store::port::{AuditQuery, Guard, JobQuery, LeaseRequest, ProfileQuery, Range, ReceivedQuery};
use fax_store::postgres::PostgresStore;
use fax_store::{Store, StoreError, store_suite};
use postgres_peer::Server;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes() {
    let server = Server::start().unwrap();
    let make = async |name: &str| -> Arc<dyn Store> {
        let url = server.database(name).unwrap();
        let store: Arc<dyn Store> = Arc::new(PostgresStore::open(&url, 8).await.unwrap());
        store
    };
    store_suite!(all make);
}

fn pending(account: &str, number: &str) -> Job {
    let source = Source::Stored {
        original: DocumentKey::generate(),
        content_type: "application/pdf".into(),
        file_name: None,
    };
    let mut job = Job::new(account.into(), number, source, Timestamp(1));
    job.state = JobState::Pending;
    job.pages = 1;
    job.ledger = vec![PageEntry::default()];
    job
}

/// Three nodes take, finish and put back what four writers hand in, all at once: no job is taken by two, none is
/// forgotten, no number has two calls, no account more than its limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_share_one_queue() {
    const JOBS: usize = 300;
    let server = Server::start().unwrap();
    let url = server.database("shared").unwrap();
    let (done, out) = (Arc::new(AtomicUsize::new(0)), Arc::new(std::sync::Mutex::new(Held::default())));
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let url = url.clone();
        tasks.spawn(async move {
            let store = PostgresStore::open(&url, 2).await.unwrap();
            for i in 0..JOBS / 4 {
                // Few accounts and numbers: limits and parking are at work all the time.
                let job = pending(&format!("a{}", i % 5), &format!("+{}", (i * 7 + writer) % 23));
                store.insert_job(job).await.unwrap();
            }
        });
    }
    for n in 0..3 {
        let (url, done, out) = (url.clone(), done.clone(), out.clone());
        tasks.spawn(async move {
            let store = PostgresStore::open(&url, 4).await.unwrap();
            let node = NodeId::new(format!("n{n}"));
            let mut again = HashSet::new();
            while done.load(Ordering::SeqCst) < JOBS {
                let request = LeaseRequest {
                    node: node.clone(),
                    now: Timestamp(1_000),
                    until: Timestamp(i64::MAX),
                    limit: 5,
                    account_limits: HashMap::from([("a0".into(), 2)]),
                    default_account_limit: 3,
                    serialise_numbers: true,
                };
                let taken = store.lease_due(request).await.unwrap();
                for job in &taken {
                    out.lock().unwrap().take(job);
                }
                if taken.is_empty() {
                    // Another node or writer tells when there is something again; once is not told.
                    let _ = tokio::time::timeout(Duration::from_millis(200), store.changed()).await;
                }
                for job in taken {
                    let state =
                        if again.insert(job.id.clone()) { JobState::Pending } else { JobState::Completed };
                    // Before the row changes: afterwards another node may already have it.
                    out.lock().unwrap().give_back(&job);
                    let change = Box::new(move |j: &mut Job| {
                        j.state = state;
                        Ok(())
                    });
                    store.update_job(&job.id, Guard::HeldBy(node.clone()), change, vec![]).await.unwrap();
                    if state == JobState::Completed {
                        done.fetch_add(1, Ordering::SeqCst);
                    }
                }
            }
        });
    }
    let all = async {
        while let Some(task) = tasks.join_next().await {
            task.unwrap()
        }
    };
    tokio::time::timeout(Duration::from_secs(100), all).await.unwrap_or_else(|_| {
        panic!("{} of {JOBS} jobs done: some were forgotten", done.load(Ordering::SeqCst))
    });
    assert_eq!(done.load(Ordering::SeqCst), JOBS);
    let store = PostgresStore::open(&url, 2).await.unwrap();
    assert_eq!(store.next_due().await.unwrap().pending, None);
}

/// What the nodes hold, as they see it.
#[derive(Default)]
struct Held {
    numbers: HashSet<String>,
    accounts: HashMap<String, usize>,
}

impl Held {
    fn take(&mut self, job: &Job) {
        assert!(self.numbers.insert(job.to_number.clone()), "two calls to {}", job.to_number);
        let n = self.accounts.entry(job.account.to_string()).or_default();
        *n += 1;
        assert!(*n <= if job.account.as_str() == "a0" { 2 } else { 3 }, "{n} calls of {}", job.account);
    }

    fn give_back(&mut self, job: &Job) {
        self.numbers.remove(&job.to_number);
        *self.accounts.get_mut(job.account.as_str()).unwrap() -= 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_hears_what_another_hands_in() {
    let server = Server::start().unwrap();
    let url = server.database("news").unwrap();
    let (a, b) = (PostgresStore::open(&url, 4).await.unwrap(), PostgresStore::open(&url, 4).await.unwrap());
    // The first news is that it listens.
    b.changed().await;
    a.insert_job(pending("a", "+1")).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), b.changed()).await.unwrap();
    assert_eq!(b.next_due().await.unwrap().pending, Some(Timestamp(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_may_hold_any_character_and_a_lost_server_is_told() {
    let server = Server::start().unwrap();
    let url = server.database("odd").unwrap();
    let store = PostgresStore::open(&url, 4).await.unwrap();
    let mut job = pending("a", "+1\0'; drop table fax_jobs; --");
    job.subject = Some("\0 \u{10FFFF} \"'\\".into());
    let id = job.id.clone();
    store.insert_job(job.clone()).await.unwrap();
    assert_eq!(store.job(&id).await.unwrap(), Some(job));
    drop(server);
    let lost = tokio::time::timeout(Duration::from_secs(30), store.job(&id)).await.unwrap();
    assert!(matches!(lost, Err(StoreError::Unavailable(_))), "{lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_hears_what_another_sets_up() {
    let server = Server::start().unwrap();
    let url = server.database("entries").unwrap();
    let (a, b) = (PostgresStore::open(&url, 4).await.unwrap(), PostgresStore::open(&url, 4).await.unwrap());
    b.entries_changed().await;
    let entry = Entry::new(EntryKind::Faxbox, "f", "a".into(), Timestamp(1));
    let put = a.put_entries(vec![entry]).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), b.entries_changed()).await.unwrap();
    assert_eq!(b.entries(0, 10).await.unwrap(), put);
}

/// Entries of one node never become visible after later ones of another: who asks for all after the last that it knows
/// misses none.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_change_of_an_entry_is_missed_while_nodes_write_at_once() {
    let server = Server::start().unwrap();
    let url = server.database("order").unwrap();
    let reader = PostgresStore::open(&url, 2).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..3 {
        let url = url.clone();
        tasks.spawn(async move {
            let store = PostgresStore::open(&url, 2).await.unwrap();
            for i in 0..40 {
                let entry = Entry::new(EntryKind::User, format!("{n}-{i}"), "a".into(), Timestamp(1));
                store.put_entries(vec![entry]).await.unwrap();
            }
        });
    }
    let (mut seen, mut last) = (HashSet::new(), 0);
    while seen.len() < 120 {
        for entry in reader.entries(last, 7).await.unwrap() {
            assert!(entry.change > last);
            last = entry.change;
            seen.insert(entry.id);
        }
        let running = tasks.try_join_next();
        assert!(!matches!(running, Some(Err(_))), "a writer failed");
        assert!(
            running.is_some() || !tasks.is_empty() || seen.len() == 120,
            "{} of 120 were seen",
            seen.len()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_the_first_layout_is_brought_up() {
    let server = Server::start().unwrap();
    let url = server.database("old").unwrap();
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    for step in [
        "create table fax_meta (key text primary key, value bigint not null)",
        include_str!("../src/postgres/schema.sql"),
        "insert into fax_meta values ('layout', 1)",
    ] {
        sqlx::raw_sql(step).execute(&pool).await.unwrap();
    }
    let (first, second) = (Job { not_before: Timestamp(2), ..pending("a", "+1") }, pending("a", "+2"));
    let second = Job { not_before: Timestamp(3), ..second };
    for job in [&second, &first] {
        sqlx::query(
            "insert into fax_jobs (id, account, created, state, folder, to_number, not_before, pages, waiting, line, body)
             values ($1, 'a', 1, 1, 0, $2, $3, 1, 1, false, $4)",
        )
        .bind(job.id.as_str())
        .bind(&job.to_number)
        .bind(job.not_before.0)
        .bind(serde_json::to_string(&Job { ledger: vec![], ..job.clone() }).unwrap())
        .execute(&pool)
        .await
        .unwrap();
    }
    sqlx::raw_sql("insert into fax_queue values ('a', 2)").execute(&pool).await.unwrap();
    let store = PostgresStore::open(&url, 2).await.unwrap();
    let urgent = Job { priority: Priority::High, not_before: Timestamp(4), ..pending("a", "+3") };
    store.insert_job(urgent.clone()).await.unwrap();
    let request = LeaseRequest {
        node: "n".into(),
        now: Timestamp(10),
        until: Timestamp(100),
        limit: 9,
        account_limits: HashMap::new(),
        default_account_limit: 9,
        serialise_numbers: true,
    };
    let taken = store.lease_due(request).await.unwrap();
    let ids: Vec<_> = taken.iter().map(|j| &j.id).collect();
    assert_eq!(ids, [&urgent.id, &first.id, &second.id], "what waited is as urgent as what says nothing");
    let entry = Entry::new(EntryKind::Faxbox, "f", "a".into(), Timestamp(1));
    assert_eq!(store.put_entries(vec![entry]).await.unwrap()[0].change, 1);
    drop(store);
    // A second time nothing is done.
    assert_eq!(PostgresStore::open(&url, 2).await.unwrap().entries(0, 9).await.unwrap().len(), 1);
    let newer = "update fax_meta set value = 99 where key = 'layout'";
    sqlx::raw_sql(newer).execute(&pool).await.unwrap();
    assert!(matches!(PostgresStore::open(&url, 2).await, Err(StoreError::Damaged(_))));
}

#[tokio::test]
async fn a_nodes_name_is_one_processs() {
    let server = Server::start().unwrap();
    let url = server.database("names").unwrap();
    let first = PostgresStore::open(&url, 2).await.unwrap();
    let second = PostgresStore::open(&url, 2).await.unwrap();
    first.claim(&"n1".into()).await.unwrap();
    second.claim(&"n2".into()).await.unwrap();
    let waiting = tokio::spawn({
        let second = second.clone();
        async move { second.claim(&"n1".into()).await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!waiting.is_finished(), "a name that another has is waited for");
    first.close().await;
    waiting.await.unwrap().unwrap();
}

/// A node of an older layout changes times and does not know of turns.
#[tokio::test]
async fn a_turn_before_its_jobs_time_is_looked_at_again() {
    let server = Server::start().unwrap();
    let store = PostgresStore::open(&server.database("turns").unwrap(), 2).await.unwrap();
    let job = Job { not_before: Timestamp(50), ..pending("a", "+1") };
    store.insert_job(job.clone()).await.unwrap();
    server.run("turns", "update fax_jobs set turn = 2; update fax_queue set due = 2").unwrap();
    let request = |now| LeaseRequest {
        node: "n".into(),
        now: Timestamp(now),
        until: Timestamp(1_000),
        limit: 9,
        account_limits: HashMap::new(),
        default_account_limit: 9,
        serialise_numbers: true,
    };
    assert!(store.lease_due(request(10)).await.unwrap().is_empty());
    assert_eq!(store.next_due().await.unwrap().pending, Some(Timestamp(50)));
    let taken = store.lease_due(request(50)).await.unwrap();
    assert_eq!(taken.iter().map(|j| &j.id).collect::<Vec<_>>(), [&job.id]);
}

/// Ends the sessions that have names, and waits until they are gone.
async fn end_claims(pool: &sqlx::PgPool) {
    let claims = "from pg_locks where locktype = 'advisory' and objsubid = 2 and granted";
    let end = format!("select count(pg_terminate_backend(pid)) {claims}");
    let left = format!("select count(*) {claims}");
    assert_eq!(sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(end)).fetch_one(pool).await.unwrap(), 1);
    for _ in 0..100 {
        let left: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(left.clone())).fetch_one(pool).await.unwrap();
        if left == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the session does not end");
}

#[tokio::test]
async fn a_name_whose_session_is_lost_is_taken_again_or_said_to_be_another_processs() {
    let server = Server::start().unwrap();
    let url = server.database("lost").unwrap();
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    let first = PostgresStore::open(&url, 2).await.unwrap();
    let second = PostgresStore::open(&url, 2).await.unwrap();
    first.keep_claim().await.expect("it has no name to lose");
    first.claim(&"n1".into()).await.unwrap();
    first.keep_claim().await.unwrap();
    end_claims(&pool).await;
    first.keep_claim().await.unwrap();
    let waits = tokio::time::timeout(Duration::from_millis(500), second.claim(&"n1".into())).await;
    assert!(waits.is_err(), "the first has it again: {waits:?}");
    end_claims(&pool).await;
    second.claim(&"n1".into()).await.unwrap();
    second.keep_claim().await.unwrap();
    for _ in 0..2 {
        let lost = first.keep_claim().await;
        assert!(matches!(lost, Err(StoreError::Refused(_))), "{lost:?}");
    }
}

/// Who gets fewer rows than it asked for takes them for the last: those that cannot be read do not count.
#[tokio::test]
async fn a_row_that_cannot_be_read_ends_no_list() {
    let server = Server::start().unwrap();
    let store = PostgresStore::open(&server.database("lists").unwrap(), 2).await.unwrap();
    let account = AccountId::new("a");
    for n in 1..=7 {
        let at = Timestamp(n);
        store.insert_job(Job { created: at, ..pending("a", &format!("+{n}")) }).await.unwrap();
        let fax = serde_json::json!({ "id": format!("f{n}"), "account": "a", "created": at, "pages": 1, "success": true,
            "result_text": "OK" });
        store.insert_received(serde_json::from_value::<Received>(fax).unwrap(), vec![]).await.unwrap();
        let entry = Entry::new(EntryKind::Faxbox, n.to_string(), "a".into(), at);
        store.put_entries(vec![entry]).await.unwrap();
        let record = serde_json::json!({ "id": n.to_string(), "account": "a", "at": at, "who": "", "of": "a", "remote": "",
            "action": "view", "subject": "", "request": "", "status": null });
        store.insert_audit(vec![serde_json::from_value::<Audit>(record).unwrap()]).await.unwrap();
        let key = ProfileKey::Number { account: account.clone(), number: n.to_string() };
        store.change_profile((key, Box::new(|_| {}))).await.unwrap();
    }
    // Of pages of two the second is whole, the third broken, and half of the first and the last.
    for broken in ["2", "5", "6", "7"] {
        let sql = format!(
            "update fax_jobs set body = '{{' where created = {broken}; update fax_received set body = '{{' where created = {broken};
             update fax_entries set body = '{{' where id = '{broken}'; update fax_audit set body = '{{' where created = {broken};
             update fax_profiles set body = '{{' where name = '{broken}'"
        );
        server.run("lists", &sql).unwrap();
    }
    for ascending in [true, false] {
        let range = Range { ascending, limit: 2, ..Range::default() };
        let wanted: [&[i64]; 2] = if ascending { [&[1, 3], &[4]] } else { [&[4, 3], &[1]] };
        let mut after = [None, None, None];
        for page in wanted {
            let [jobs, received, audit] = after.map(|after| Range { after, ..range.clone() });
            let query = JobQuery { account: None, folder: None, faxbox: None, states: vec![], range: jobs };
            let jobs = store.jobs(query).await.unwrap();
            assert_eq!(jobs.iter().map(|j| j.created.0).collect::<Vec<_>>(), page);
            let query = ReceivedQuery { account: None, faxbox: None, range: received };
            let received = store.received_list(query).await.unwrap();
            assert_eq!(received.iter().map(|f| f.created.0).collect::<Vec<_>>(), page);
            let query = AuditQuery { account: account.clone(), range: audit };
            let audit = store.audit(query).await.unwrap();
            assert_eq!(audit.iter().map(|a| a.at.0).collect::<Vec<_>>(), page);
            after = [
                jobs.last().map(|j| (j.created, j.id.to_string())),
                received.last().map(|f| (f.created, f.id.to_string())),
                audit.last().map(|a| (a.at, a.id.to_string())),
            ];
        }
    }
    let (first, second) = (store.entries(0, 2).await.unwrap(), store.entries(3, 2).await.unwrap());
    let ids = |of: &[Entry]| of.iter().map(|e| e.id.clone()).collect::<Vec<_>>();
    assert_eq!((ids(&first), ids(&second)), (vec!["1".into(), "3".into()], vec!["4".into()]));
    for (after, wanted) in [(None, &["1", "3"][..]), (Some("3"), &["4"])] {
        let account = account.clone();
        let query = ProfileQuery::Numbers { account, after: after.map(str::to_owned), limit: 2 };
        let found = store.profiles(query).await.unwrap();
        let numbers: Vec<_> = found.iter().map(|p| p.key.parts().2).collect();
        assert_eq!(numbers, wanted);
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_hides_no_other() {
    let server = Server::start().unwrap();
    let store = PostgresStore::open(&server.database("damaged").unwrap(), 2).await.unwrap();
    let good = pending("a", "+1");
    store.insert_job(good.clone()).await.unwrap();
    store.insert_job(pending("a", "+2")).await.unwrap();
    let notice = |n: i64| {
        let subject = NoticeSubject::Job(good.id.clone());
        Notice::new(NoticeKind::Sent, "a".into(), subject, vec!["x@y.example".into()], Timestamp(n))
    };
    store.insert_notices(vec![notice(1), notice(2)]).await.unwrap();
    server
        .run(
            "damaged",
            "update fax_jobs set body = '{' where to_number = '+2'; update fax_notices set body = '{' where not_before = 1",
        )
        .unwrap();
    let query =
        JobQuery { account: None, folder: None, faxbox: None, states: vec![], range: Range::default() };
    assert_eq!(store.jobs(query).await.unwrap(), [good]);
    let node = NodeId::new("n1");
    for _ in 0..2 {
        // One at a time, as the mailer takes them: the damaged one goes behind the others.
        let _ = store.take_notices(&node, Timestamp(10), Timestamp(1_000), 1).await.unwrap();
    }
    assert_eq!(store.next_notice().await.unwrap(), Some(Timestamp(1_000)));
    store.release_notices(&node, Timestamp(20)).await.unwrap();
    assert_eq!(store.next_notice().await.unwrap(), Some(Timestamp(20)));
}
