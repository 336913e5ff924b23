//! `kill -9` at any moment of a job: nothing that the far end confirmed is sent again, nothing is lost, and where nobody
//! can know whether the last page arrived the job says so.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod world;

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};
use world::{Daemon, Setup, papers};

const COURT: &str = "+14155550199";
const SENDERS: u8 = 50;
const PAGES: u8 = 5;
/// Between the starts of two senders, so that the machine keeps up.
const STAGGER: Duration = Duration::from_millis(900);
/// The killing is done so long after the job was accepted at the latest; a call of five small pages takes
/// about as long.
const LATEST: f64 = 29.0;
/// A call, with a machine that has much to do, and no wait worth the name before it.
const AGAIN: Duration = Duration::from_secs(75);
const PATIENCE: Duration = Duration::from_secs(300);

/// What one sender lived through.
struct Story {
    number: String,
    killed_after: Duration,
    /// The job as it was after the restart, before anything new was sent.
    after: Value,
    /// The job at its end.
    end: Value,
    /// From the restart to there.
    ended_after: Duration,
}

#[test]
fn fifty_senders_killed_at_random_lose_nothing_and_repeat_nothing() {
    let seed = seed();
    println!("seed: FERROFAX_SEED={seed}");
    let court = Daemon::start(Setup::new("court", COURT));
    let mut random = seed;
    let began = Instant::now();
    let senders: Vec<_> = (0..SENDERS)
        .map(|i| {
            let delay = Duration::from_secs_f64(fraction(&mut random) * LATEST);
            let (start, sip) = (began + STAGGER * u32::from(i), court.sip);
            std::thread::spawn(move || story(i, start, delay, sip))
        })
        .collect();
    let stories: Vec<Story> = senders.into_iter().map(|s| s.join().expect("a sender's story")).collect();

    // The receiver is done with the calls that broke off when it has found out that nobody is there.
    let calls = calls_when_quiet(&court);
    let mut ends = BTreeMap::<String, u32>::new();
    let mut moments = BTreeMap::<String, u32>::new();
    for (i, story) in stories.iter().enumerate() {
        let got = calls.get(&story.number).cloned().unwrap_or_default();
        let (end, moment) = judge(u8::try_from(i).unwrap(), story, &got);
        *ends.entry(end).or_default() += 1;
        *moments.entry(moment).or_default() += 1;
    }
    println!("killed: {moments:?}\nended: {ends:?}\nin {:.0} s", began.elapsed().as_secs_f64());
    let late = moments.get("after the end").copied().unwrap_or_default();
    assert!(moments.len() >= 4 && late < 20, "the moments are too much alike: {moments:?}");
}

/// From the environment, or new; printed either way.
fn seed() -> u64 {
    let given = std::env::var("FERROFAX_SEED").ok().and_then(|s| s.parse().ok());
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros();
    given.unwrap_or_else(|| u64::try_from(now()).unwrap())
}

/// SplitMix64, as a fraction of 1.
fn fraction(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    f64::from(u32::try_from((z ^ (z >> 31)) >> 32).unwrap()) / f64::from(u32::MAX)
}

/// Starts a sender, gives it a job, kills it, starts it again, and waits for the job's end.
fn story(i: u8, start: Instant, delay: Duration, court: SocketAddr) -> Story {
    std::thread::sleep(start.saturating_duration_since(Instant::now()));
    let number = format!("+141555502{i:02}");
    let mut sender = Daemon::start(Setup::new("sender", &number).peer(court).with("sip", "workers = 1"));
    let id = sender.submit(COURT, "image/tiff", &papers::marked_tiff(i, PAGES));
    let accepted = Instant::now();
    std::thread::sleep(delay);
    sender.kill();
    let killed_after = accepted.elapsed();
    sender.restart();
    let restarted = Instant::now();
    // What was known at the kill is settled at once. A new call confirms its first page many seconds later.
    let settled = Instant::now() + Duration::from_secs(3);
    let after = sender.job_when(&id, PATIENCE, |job| world::ended(job) || Instant::now() > settled);
    let end = sender.job_ended(&id, PATIENCE);
    Story { number, killed_after, after, end, ended_after: restarted.elapsed() }
}

/// Every call's pages, by caller, in order, once no more come in.
fn calls_when_quiet(court: &Daemon) -> BTreeMap<String, Vec<Vec<(u8, u8)>>> {
    let (mut count, mut since) = (0, Instant::now());
    while since.elapsed() < Duration::from_secs(20) {
        let now = court.inbox(0, PATIENCE).len();
        if now != count {
            (count, since) = (now, Instant::now());
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    let mut calls = BTreeMap::<String, Vec<Vec<(u8, u8)>>>::new();
    for fax in court.inbox(0, PATIENCE) {
        let pages = match fax["rx_result"]["total_pages"].as_u64().unwrap() {
            0 => Vec::new(),
            _ => papers::marks(&court.tiff("inbox", fax["id"].as_str().unwrap())),
        };
        calls.entry(fax["from_number"].as_str().unwrap().to_owned()).or_default().push(pages);
    }
    calls
}

/// Holds a story against what the receiver got; how it ended and where it was cut.
fn judge(i: u8, story: &Story, calls: &[Vec<(u8, u8)>]) -> (String, String) {
    let Story { after, end, .. } = story;
    let told = format!(
        "sender {i}, killed after {:.1} s; after the restart {after:#}; at the end {end:#}; received {calls:?}",
        story.killed_after.as_secs_f64()
    );
    assert!(calls.iter().flatten().all(|(owner, _)| *owner == i), "pages of another: {told}");
    let mut pages: Vec<Vec<u8>> = calls.iter().map(|c| c.iter().map(|(_, page)| *page).collect()).collect();
    // The order in the inbox is that of the ends of calls, and a call that broke off ends late.
    pages.retain(|call| !call.is_empty());
    pages.sort();
    let confirmed = u8::try_from(after["pages_confirmed"].as_u64().unwrap()).unwrap();
    let all: BTreeSet<u8> = pages.iter().flatten().copied().collect();
    let uncertain = end["uncertain"] == true;
    let done_before = world::ended(after);
    if uncertain {
        assert_eq!((end["status"].as_str(), confirmed), (Some("failed"), PAGES - 1), "{told}");
        assert!(done_before, "uncertain only by the kill: {told}");
        assert!(all.is_superset(&(1..PAGES).collect()), "confirmed pages are missing: {told}");
    } else {
        assert_eq!(end["status"], "completed", "{told}");
        assert_eq!(end["pages_confirmed"], PAGES, "{told}");
        assert_eq!(all, (1..=PAGES).collect(), "pages are missing: {told}");
    }
    assert!(story.ended_after < AGAIN, "the second call waited: {told}");
    // Whatever was sent after the restart begins behind the last confirmed page.
    let whole: Vec<u8> = (confirmed + 1..=PAGES).collect();
    if done_before {
        assert_eq!(pages.len(), 1, "sent again: {told}");
    } else if pages.len() == 1 && confirmed == 0 {
        assert_eq!(pages[0], whole, "{told}");
    } else {
        let [first, second] = pages.as_slice() else { panic!("two calls with pages are right: {told}") };
        let longest = usize::from(confirmed) + 1;
        let (first, second) = if *second == whole { (first, second) } else { (second, first) };
        assert_eq!(*second, whole, "the second call has just what was not confirmed: {told}");
        let before: Vec<u8> = (1..).take(first.len()).collect();
        // The last page is never sent twice in silence: had it arrived, the job would be uncertain.
        assert!(first.len() < usize::from(PAGES), "{told}");
        assert!(
            *first == before && first.len() >= usize::from(confirmed) && first.len() <= longest,
            "{told}"
        );
    }
    let end = if uncertain { "uncertain" } else { "completed" };
    let moment = match (done_before, uncertain, confirmed) {
        (true, true, _) => "behind the last page".to_owned(),
        (true, false, _) => "after the end".to_owned(),
        (false, _, 0) if pages.len() == 1 => "before the first page was there".to_owned(),
        (false, _, n) => format!("with {n} pages confirmed"),
    };
    (end.to_owned(), moment)
}

#[test]
fn a_receiver_killed_in_mid_call_keeps_what_it_confirmed() {
    let mut court = Daemon::start(Setup::new("court", COURT));
    let setup = Setup::new("sender", "+14155550200").peer(court.sip).with("queue", "retry_after_s = 1");
    let sender = Daemon::start(setup);
    let id = sender.submit(COURT, "image/tiff", &papers::marked_tiff(9, 3));
    let patience = Duration::from_secs(120);
    sender.job_when(&id, patience, |job| job["pages_confirmed"].as_u64().unwrap() >= 1);
    court.kill();
    let (incoming, before) = (court.folder.join("data/incoming"), court.folder.join("before"));
    copy(&incoming, &before);
    court.restart();
    let kept = court.inbox(1, Duration::from_secs(5));
    let result = &kept[0]["rx_result"];
    assert_eq!(
        (&result["success"], &result["result_cause"]),
        (&false.into(), &"l.node".into()),
        "{:#}",
        kept[0]
    );
    assert_eq!(kept[0]["from_number"], "+14155550200");
    let job = sender.job_ended(&id, PATIENCE);
    assert_eq!(job["status"], "completed", "{job:#}");
    let inbox = court.inbox(2, Duration::from_secs(30));
    let pages = |fax: &Value| papers::marks(&court.tiff("inbox", fax["id"].as_str().unwrap()));
    let (first, second) =
        (pages(&kept[0]), inbox.iter().rev().map(pages).find(|p| *p != pages(&kept[0])).unwrap());
    println!("before the kill {first:?}, after it {second:?}");
    let all: BTreeSet<(u8, u8)> = first.iter().chain(&second).copied().collect();
    assert_eq!(all, BTreeSet::from([(9, 1), (9, 2), (9, 3)]), "{first:?} {second:?}");
    assert_eq!(std::fs::read_dir(&incoming).unwrap().count(), 0, "what is filed is not kept twice");
    // A kill between filing and clearing leaves the pages behind: they are the fax that is there already.
    let filed = court.inbox(2, PATIENCE).len();
    court.kill();
    copy(&before, &incoming);
    court.restart();
    assert_eq!(std::fs::read_dir(&incoming).unwrap().count(), 0);
    assert_eq!(court.inbox(filed, PATIENCE).len(), filed, "filed twice");
}

/// Copies a folder of folders of files.
fn copy(from: &std::path::Path, to: &std::path::Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        std::fs::create_dir_all(to).unwrap();
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Rounds of the test below; `FERROFAX_KILLS` asks for more.
const KILLS: u32 = 8;
/// Clients that hand in at the same time.
const CLIENTS: u8 = 4;

#[test]
fn what_was_answered_with_201_is_there_after_every_kill() {
    let kills = std::env::var("FERROFAX_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(KILLS);
    let seed = seed();
    println!("seed: FERROFAX_SEED={seed}");
    let mut random = seed;
    // Every call fails at once, so that jobs are converted, taken and put back all the time.
    let setup = Setup::new("sender", "+14155550200")
        .peer(world::engaged::open())
        .with("sip", "workers = 1")
        .with("queue", "retry_after_s = 1\none_call_per_number = false");
    let mut sender = Daemon::start(setup);
    let documents: Vec<Vec<u8>> = (0..CLIENTS).map(|i| papers::marked_tiff(i, 1)).collect();
    let mut known = Vec::<(String, u8)>::new();
    for kill in 0..kills {
        let delay = Duration::from_secs_f64(0.02 + fraction(&mut random) * 0.8);
        let answered = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|i| {
                    let (sender, document) = (sender.door(), &documents[usize::from(i)]);
                    scope.spawn(move || {
                        let mut answered = Vec::new();
                        // Until the server is gone.
                        while let Some(id) = sender.try_submit(&format!("+141555504{i:02}"), document) {
                            answered.push((id, i));
                        }
                        answered
                    })
                })
                .collect();
            std::thread::sleep(delay);
            sender.kill();
            clients.into_iter().flat_map(|c| c.join().unwrap()).collect::<Vec<_>>()
        });
        sender.restart();
        // Those of this round, and some of all before.
        let older = known.iter().step_by(known.len() / 20 + 1);
        answered
            .iter()
            .chain(older)
            .for_each(|(id, i)| is_there(&sender, id, &documents[usize::from(*i)], kill));
        known.extend(answered);
    }
    known.iter().for_each(|(id, i)| is_there(&sender, id, &documents[usize::from(*i)], kills));
    println!("{kills} kills, {} jobs answered with 201", known.len());
    assert!(
        known.len() > usize::try_from(kills).unwrap() * 2,
        "only {} jobs: nothing was tested",
        known.len()
    );
}

/// Asks again while it is asked to ask less often.
fn patiently(sender: &Daemon, rest: &str, accept: &str) -> world::http::Answer {
    loop {
        let got = sender.fetch(rest, accept);
        if got.status != 429 {
            return got;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// The job exists, and its document is the one that was handed in.
fn is_there(sender: &Daemon, id: &str, document: &[u8], kill: u32) {
    let patience = std::time::Instant::now() + Duration::from_secs(60);
    let got = loop {
        let job = patiently(sender, &format!("/outgoing/{id}"), "application/json");
        assert_eq!(job.status, 200, "{id} is lost after kill {kill}: {}", job.text());
        let job = job.json();
        let folder = if world::ended(&job["data"]) { "outbox" } else { "outgoing" };
        let got = patiently(sender, &format!("/{folder}/{id}/attachment"), "image/tiff");
        // Its pages are not there before it was converted, or was again if that was interrupted; and it may have ended just
        // now, and is in the other folder.
        if got.status != 404 || folder == "outbox" {
            break got;
        }
        assert!(std::time::Instant::now() < patience, "{id} has no pages after kill {kill}: {}", job["data"]);
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(got.status, 200, "{id} has no document after kill {kill}: {}", got.text());
    assert_eq!(
        papers::marks(&got.body),
        papers::marks(document),
        "{id} has another document after kill {kill}"
    );
}
