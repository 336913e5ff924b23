//! Three nodes on one database drain one queue while one after the other is killed with `kill -9`: every job is delivered
//! once or said to be uncertain, none is lost, no number is called twice at a time, no account has more calls than it may.
//! The far end watches.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod world;

use bytes::Bytes;
use fax_document::FaxDocument;
use fax_net::{CallEvent, Endpoint, IncomingCall, Trunk};
use fax_store::folder::FolderDocuments;
use fax_store::model::{AccountId, DocumentKey, Job, JobState, PageEntry, Source, Timestamp};
use fax_store::port::{JobQuery, Range};
use fax_store::postgres::PostgresStore;
use fax_store::{Documents, Store};
use postgres_peer::Server;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use world::post::Post;
use world::{Daemon, Setup, papers};

const NODES: usize = 3;
/// The accounts' ids, and how many calls each may have at a time.
const ACCOUNTS: [(&str, usize); 3] = [
    ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 3),
    ("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", 6),
    ("cccccccccccccccccccccccccccccccc", 12),
];
/// Jobs to one number.
const SHARE: usize = 4;
/// Every so manieth job is a real fax; the others end quickly. In the long run every tenth, else few: each takes its time,
/// and most of its calls are struck.
const fn real(jobs: usize) -> usize {
    if jobs < 1000 { 20 } else { 10 }
}
/// Every so manieth has its sender told by mail.
const TOLD: usize = 5;
/// Two calls that overlap for less than this may be one that ends while the other begins, as seen from here.
const TOUCH: Duration = Duration::from_millis(250);

/// A call as the far end saw it.
#[derive(Clone, Debug)]
struct Seen {
    to: String,
    from: String,
    node: SocketAddr,
    begin: Instant,
    end: Option<Instant>,
    /// Pages that came, each confirmed.
    pages: usize,
}

type Calls = Arc<Mutex<Vec<Seen>>>;

#[test]
fn three_nodes_share_a_queue_while_one_at_a_time_is_killed() {
    let jobs: usize = std::env::var("FERROFAX_CLUSTER_JOBS").ok().and_then(|n| n.parse().ok()).unwrap_or(200);
    let server = Server::start().unwrap();
    let url = server.database("cluster").unwrap();
    let documents = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let calls = Calls::default();
    let peer = runtime.block_on(far_end(calls.clone()));
    let post = Post::open();

    let mut nodes: Vec<Daemon> =
        (0..NODES).map(|n| Daemon::start(node(n, peer.local_address(), &url, &post, &documents))).collect();
    let store = runtime.block_on(PostgresStore::open(&url, 4)).unwrap();
    let began = Instant::now();
    runtime.block_on(hand_in(&store, documents.path(), jobs));

    // One after the other is killed and comes back; the last one for good, so that others must take its jobs over.
    let open = || runtime.block_on(open_jobs(&store));
    let (mut kills, mut down) = (0, 0);
    let deadline = Instant::now() + Duration::from_secs(60 + 2 * u64::try_from(jobs).unwrap());
    while kills < 3 || open() > jobs / 40 {
        assert!(Instant::now() < deadline, "{} jobs are still open", open());
        // Each node lives for three times that: for some faxes it is long enough.
        std::thread::sleep(Duration::from_millis(4_000 + 700 * (kills % 4)));
        let victim = &mut nodes[usize::try_from(kills).unwrap() % NODES];
        kill(victim, &calls);
        kills += 1;
        std::thread::sleep(Duration::from_millis(400));
        victim.restart();
    }
    if let Some(last) = nodes.last_mut() {
        kill(last, &calls);
        down += 1;
    }
    while open() > 0 {
        assert!(Instant::now() < deadline, "{} jobs are still open", open());
        std::thread::sleep(Duration::from_millis(300));
    }
    let took = began.elapsed();
    // The far end hears of the last ends a moment later.
    while calls.lock().unwrap().iter().any(|c| c.end.is_none()) {
        assert!(Instant::now() < deadline, "a call does not end");
        std::thread::sleep(Duration::from_millis(100));
    }

    let ended = runtime.block_on(all_jobs(&store));
    let mut seen = calls.lock().unwrap().clone();
    seen.sort_by_key(|c| c.begin);
    let states = judge(&ended, &seen, jobs);
    println!(
        "{jobs} jobs, {} calls, {} kills and {down} for good, in {:.0} s: {states:?}",
        seen.len(),
        kills,
        took.as_secs_f64()
    );
    never_two_calls_to_a_number(&seen);
    never_more_calls_than_an_account_may_have(&seen);
    every_sender_is_told(&ended, &post, kills + down);
    drop(nodes);
    runtime.block_on(peer.stop());
}

fn node(n: usize, peer: SocketAddr, url: &str, post: &Post, documents: &tempfile::TempDir) -> Setup {
    const NAMES: [&str; NODES] = ["north", "south", "west"];
    let mut accounts = String::new();
    for (i, (id, most)) in ACCOUNTS.iter().enumerate() {
        accounts += &format!(
            "[[account]]\nname = \"account {i}\"\nid = \"{id}\"\napi_key = \"test-key-of-account-{i}\"\n\
             max_outbound = {most}\n"
        );
    }
    Setup::new(NAMES[n], &format!("+1415555099{n}"))
        .peer(peer)
        .post(post.address)
        .with("top", &format!("node = \"{}\"", NAMES[n]))
        .with("sip", "workers = 1")
        // A silent node loses its jobs after a time that a busy machine does not take for an answer.
        .with("queue", "retry_after_s = 1\nlease_s = 20")
        .with("", &format!("[database]\nurl = \"{url}\"\n{accounts}"))
        .linking("data/documents", documents.path())
}

/// Passes connections on to the database until it is frozen: then all of them stay open, and nothing goes through.
fn proxy(to: SocketAddr) -> (SocketAddr, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, frozen) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
    let is_frozen = frozen.clone();
    let pass = move |mut from: TcpStream, mut to: TcpStream| {
        let is_frozen = is_frozen.clone();
        move || {
            let mut octets = [0; 16_384];
            while let Ok(n @ 1..) = from.read(&mut octets) {
                while is_frozen.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(50));
                }
                if to.write_all(&octets[..n]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Both);
        }
    };
    std::thread::spawn(move || {
        while let Ok((near, _)) = listener.accept() {
            let far = TcpStream::connect(to).unwrap();
            std::thread::spawn(pass(near.try_clone().unwrap(), far.try_clone().unwrap()));
            std::thread::spawn(pass(far, near));
        }
    });
    (address, frozen)
}

/// A node with a job to send, and a way to its database that can be frozen.
struct Remote {
    node: Option<Daemon>,
    store: PostgresStore,
    frozen: Arc<AtomicBool>,
    calls: Calls,
    peer: Endpoint,
    runtime: tokio::runtime::Runtime,
    _server: Server,
    _documents: tempfile::TempDir,
    _post: Post,
}

impl Remote {
    fn start(name: &str, lease: Duration) -> Remote {
        let server = Server::start().unwrap();
        let url = server.database(name).unwrap();
        let database = url.split(['@', '/']).find(|part| part.contains("127.0.0.1:")).unwrap();
        let (address, frozen) = proxy(database.parse().unwrap());
        let documents = tempfile::tempdir().unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let calls = Calls::default();
        let peer = runtime.block_on(far_end(calls.clone()));
        let post = Post::open();
        let by_proxy = url.replace(database, &address.to_string());
        let mut setup = node(0, peer.local_address(), &by_proxy, &post, &documents);
        setup.more.retain(|(section, _)| *section != "queue");
        let node = Daemon::start(setup.with("queue", &format!("lease_s = {}", lease.as_secs())));
        let store = runtime.block_on(PostgresStore::open(&url, 2)).unwrap();
        runtime.block_on(hand_in(&store, documents.path(), 1));
        Remote {
            node: Some(node),
            store,
            frozen,
            calls,
            peer,
            runtime,
            _server: server,
            _documents: documents,
            _post: post,
        }
    }

    /// Waits until the first call is as it should be.
    fn first_call_when(&self, patience: Duration, is: impl Fn(&Seen) -> bool) {
        let deadline = Instant::now() + patience;
        while !self.calls.lock().unwrap().first().is_some_and(&is) {
            assert!(Instant::now() < deadline, "the call is not so: {:?}", self.calls.lock().unwrap());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until the job has ended; its state, and the pages that came in all calls.
    fn end(mut self) -> (JobState, usize, usize) {
        let deadline = Instant::now() + Duration::from_secs(180);
        while self.runtime.block_on(open_jobs(&self.store)) > 0 {
            assert!(Instant::now() < deadline, "the job is left");
            std::thread::sleep(Duration::from_millis(300));
        }
        let [job] = self.runtime.block_on(all_jobs(&self.store)).try_into().unwrap();
        let calls = self.calls.lock().unwrap().clone();
        drop(self.node.take());
        self.runtime.block_on(self.peer.stop());
        (job.state, calls.len(), calls.iter().map(|c| c.pages).sum())
    }
}

#[test]
fn a_node_whose_store_falls_silent_clears_its_calls_before_others_make_them() {
    const LEASE: Duration = Duration::from_secs(10);
    let remote = Remote::start("silent", LEASE);
    remote.first_call_when(Duration::from_secs(60), |_| true);
    // Answered, and long before its end.
    std::thread::sleep(Duration::from_secs(1));
    let begin = Instant::now();
    remote.frozen.store(true, Ordering::SeqCst);
    remote.first_call_when(6 * LEASE, |call| call.end.is_some());
    let ended = begin.elapsed();
    assert!(ended < LEASE, "the call was cleared after {ended:?}");
    assert_eq!(remote.calls.lock().unwrap()[0].pages, 0, "it had ended by itself");
    // When the store is back the node takes its job up again, in the same process.
    remote.frozen.store(false, Ordering::SeqCst);
    let (state, _, pages) = remote.end();
    assert_eq!((state, pages), (JobState::Completed, 1));
}

#[test]
fn what_was_confirmed_while_the_store_was_silent_is_not_sent_again() {
    const LEASE: Duration = Duration::from_secs(20);
    let remote = Remote::start("late", LEASE);
    remote.first_call_when(Duration::from_secs(60), |_| true);
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(remote.calls.lock().unwrap()[0].pages, 0, "it is too late to fall silent");
    remote.frozen.store(true, Ordering::SeqCst);
    remote.first_call_when(Duration::from_secs(60), |call| call.pages == 1 && call.end.is_some());
    // Longer than the lease: by now the call would have been cleared.
    std::thread::sleep(LEASE);
    remote.frozen.store(false, Ordering::SeqCst);
    assert_eq!(remote.end(), (JobState::Completed, 1, 1));
}

/// What has a node's name may be lost with a connection, and the name be taken by another process, which takes the node's
/// jobs for its own.
#[test]
fn a_node_whose_name_another_process_has_taken_stops() {
    let server = Server::start().unwrap();
    let url = server.database("names").unwrap();
    let documents = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let post = Post::open();
    let as_north = format!("{url}?application_name=north");
    let mut node = Daemon::start(node(0, world::nobody(), &as_north, &post, &documents));
    let store = runtime.block_on(PostgresStore::open(&url, 2)).unwrap();
    // The other is there already whenever the name becomes free: sooner or later it is first.
    let other = runtime.spawn(async move { store.claim(&"north".into()).await.map(|()| store) });
    let deadline = Instant::now() + Duration::from_secs(60);
    while !other.is_finished() {
        assert!(Instant::now() < deadline, "the node always has its name again");
        let end = "select pg_terminate_backend(pid) from pg_locks join pg_stat_activity using (pid)
            where locktype = 'advisory' and objsubid = 2 and granted and application_name = 'north'";
        server.run("names", end).unwrap();
        std::thread::sleep(Duration::from_millis(200));
    }
    let store = runtime.block_on(other).unwrap().unwrap();
    let ended = node.wait(Duration::from_secs(60));
    assert!(!ended.success() && node.log().contains("another node named north"), "{ended:?}");
    drop(store);
}

fn kill(node: &mut Daemon, calls: &Calls) {
    node.kill();
    let now = Instant::now();
    // A dead node says nothing more: its calls are over, whatever the far end still waits for.
    let ours = |c: &&mut Seen| c.node == node.sip && c.end.is_none();
    calls.lock().unwrap().iter_mut().filter(ours).for_each(|c| c.end = Some(now));
}

/// The number that job `i` goes to, and its caller, who is nobody else's.
fn numbers(i: usize, every: usize) -> (String, String) {
    // Three kinds of numbers: those with a fax, those that are always engaged, those that are not in service.
    let (kind, share) = if i.is_multiple_of(every) { (2, 2) } else { (i % 2, SHARE) };
    (format!("+1415{kind}{:06}", i / every / share * every + i % every), format!("+1999{}{i:06}", i % 3))
}

async fn hand_in(store: &PostgresStore, folder: &std::path::Path, jobs: usize) {
    let documents = FolderDocuments::open(folder).unwrap();
    let document = FaxDocument::from_tiff(&papers::marked_tiff(1, 1)).unwrap();
    let tiff = Bytes::from(document.to_stored_tiff());
    for i in 0..jobs {
        let key: DocumentKey = documents.put(tiff.clone()).await.unwrap();
        let source =
            Source::Stored { original: key.clone(), content_type: "image/tiff".into(), file_name: None };
        let (to, from) = numbers(i, real(jobs));
        let mut job = Job::new(AccountId::new(ACCOUNTS[i % 3].0), to, source, Timestamp::now());
        job.state = JobState::Pending;
        job.from_number = from;
        job.retries = 3;
        job.document = Some(key);
        job.pages = 1;
        job.ledger = vec![PageEntry::default()];
        if i % TOLD == 0 {
            job.notify = vec![format!("sender{i}@north.test")];
        }
        store.insert_job(job).await.unwrap();
    }
}

async fn all_jobs(store: &PostgresStore) -> Vec<Job> {
    let range = Range { limit: usize::MAX, ..Range::default() };
    let all = JobQuery { account: None, folder: None, faxbox: None, states: vec![], range };
    store.jobs(all).await.unwrap()
}

async fn open_jobs(store: &PostgresStore) -> usize {
    all_jobs(store).await.iter().filter(|j| !j.state.is_final()).count()
}

/// A number as jobs have it, however it came.
fn number(said: &str) -> String {
    format!("+{}", said.trim_start_matches('+'))
}

/// An endpoint that answers, and watches.
async fn far_end(calls: Calls) -> Endpoint {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut config = fax_net::Config::new(any);
    config.max_calls = 5_000;
    config.workers = 1;
    let mut nodes = Trunk::new("nodes", "127.0.0.1:9");
    nodes.accept_from.push("127.0.0.0/8".parse().unwrap());
    config.trunks.push(nodes);
    let (endpoint, mut incoming): (Endpoint, mpsc::Receiver<IncomingCall>) =
        Endpoint::start(config).await.unwrap();
    tokio::spawn(async move {
        while let Some(call) = incoming.recv().await {
            let at = {
                let mut calls = calls.lock().unwrap();
                calls.push(Seen {
                    to: number(&call.to),
                    from: number(&call.from),
                    node: call.remote,
                    begin: Instant::now(),
                    end: None,
                    pages: 0,
                });
                calls.len() - 1
            };
            tokio::spawn(answer(call, calls.clone(), at));
        }
    });
    endpoint
}

async fn answer(call: IncomingCall, calls: Calls, at: usize) {
    let end = || {
        calls.lock().unwrap()[at].end.get_or_insert_with(Instant::now);
    };
    let kind = number(&call.to).as_bytes()[5];
    if kind != b'2' {
        // Long enough for two calls at once to be seen.
        tokio::time::sleep(TOUCH * 3).await;
        end();
        let (code, reason) = if kind == b'0' { (404, "Not Found") } else { (486, "Busy Here") };
        return call.reject(code, reason);
    }
    let terminal = fax_terminal::Config {
        role: fax_t30::Role::Called,
        ident: call.to.clone(),
        ..fax_terminal::Config::default()
    };
    let mut call = call.accept(terminal);
    while let Some(event) = call.next().await {
        if let CallEvent::Page(page) = &event
            && page.confirmed
        {
            calls.lock().unwrap()[at].pages += 1;
        }
    }
    end();
}

/// Holds every job's end against what the far end saw of it; how many ended in which way.
fn judge(ended: &[Job], seen: &[Seen], jobs: usize) -> BTreeMap<String, usize> {
    assert_eq!(ended.len(), jobs, "jobs are lost");
    let mut states = BTreeMap::<String, usize>::new();
    for job in ended {
        let calls: Vec<&Seen> = seen.iter().filter(|c| c.from == job.from_number).collect();
        let came: usize = calls.iter().map(|c| c.pages).sum();
        let told = || {
            let ends: Vec<_> = job.attempts.iter().map(|a| &a.outcome.class).collect();
            format!("{:?} {:?} after {ends:?}; the far end saw {calls:?}", job.state, job.reason)
        };
        let kind = job.to_number.as_bytes()[5];
        // What nobody knows the end of may have come or not, but never twice.
        let right = match (kind, job.state) {
            (b'2', JobState::Completed) => came == 1,
            (b'2', JobState::Uncertain) => came <= 1,
            (b'0', JobState::Failed) => job.attempts_counted == 1,
            (b'1', JobState::Failed) => job.attempts_counted == 3,
            _ => false,
        };
        assert!(right, "{}", told());
        assert!(calls.len() >= job.attempts_counted as usize, "an attempt without a call: {}", told());
        *states.entry(format!("{:?}", job.state)).or_default() += 1;
    }
    states
}

fn never_two_calls_to_a_number(seen: &[Seen]) {
    for (i, a) in seen.iter().enumerate() {
        let end = a.end.expect("every call has ended");
        for b in seen[i + 1..].iter().take_while(|b| b.begin + TOUCH < end) {
            let both = end.min(b.end.unwrap()).saturating_duration_since(b.begin);
            assert!(a.to != b.to || both < TOUCH, "two calls to a number for {both:?}: {a:?} {b:?}");
        }
    }
}

fn never_more_calls_than_an_account_may_have(seen: &[Seen]) {
    let mut reached = [0; 3];
    for a in seen {
        let account = |c: &Seen| usize::from(c.from.as_bytes()[5] - b'0');
        let at = a.begin + TOUCH;
        let up = |c: &&Seen| account(c) == account(a) && c.begin <= a.begin && c.end.unwrap() > at;
        let n = seen.iter().filter(up).count();
        reached[account(a)] = n.max(reached[account(a)]);
        assert!(n <= ACCOUNTS[account(a)].1, "{n} calls at once of account {}", account(a));
    }
    assert_eq!(reached[0], ACCOUNTS[0].1, "the limit was never reached: {reached:?}");
}

/// Every job's end was mailed, and not twice but where a node was killed before it could write that it had mailed.
fn every_sender_is_told(ended: &[Job], post: &Post, kills: u64) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let told = || {
        let mut told = BTreeMap::<String, u64>::new();
        for to in post.mails().into_iter().flat_map(|m| m.to) {
            *told.entry(to).or_default() += 1;
        }
        told
    };
    let all = ended.iter().filter(|j| !j.notify.is_empty()).count();
    while told().len() < all {
        assert!(Instant::now() < deadline, "{} of {all} senders were told", told().len());
        std::thread::sleep(Duration::from_millis(200));
    }
    let twice: u64 = told().values().map(|n| n - 1).sum();
    assert!(twice <= kills, "{twice} mails too many");
}
