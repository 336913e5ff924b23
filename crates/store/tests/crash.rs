//! A process that is killed while it writes: all that it acknowledged is there afterwards.
#![allow(clippy::unwrap_used, clippy::panic)]

use fax_store::folder::FolderDocuments;
use fax_store::model::{Folder, JobState, Source, Timestamp};
use fax_store::port::{JobQuery, LeaseRequest, Range};
use fax_store::redb::RedbStore;
use fax_store::{Documents, Store};
use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

const ROUNDS: u64 = 32;

/// The example beside this test's program.
fn program() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.join("examples").join("insert")
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let (mut known, mut done) = (HashSet::new(), HashSet::new());
    for round in 0..ROUNDS {
        let mut child = Command::new(program()).arg(dir.path()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "open");
        // After so many lines and a little while, both different from round to round: the kill falls
        // anywhere between two answers.
        let mut left = 1 + round * 7 % 40;
        let mut child = Some(child);
        let mut killer = None;
        loop {
            if left == 0
                && let Some(mut child) = child.take()
            {
                killer = Some(std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_micros(round * 97 % 3_000));
                    child.kill().unwrap();
                    child.wait().unwrap();
                }));
            }
            // The last line may be cut off by the kill.
            let Some(Ok(line)) = lines.next() else { break };
            left = left.saturating_sub(1);
            match line.split_once(' ') {
                Some(("job", id)) if id.len() == 32 => known.insert(id.to_owned()),
                Some(("done", id)) if id.len() == 32 => done.insert(id.to_owned()),
                _ => false,
            };
        }
        killer.unwrap().join().unwrap();
        check(dir.path(), &known, &done).await;
    }
    assert!(known.len() > 100, "only {} jobs: nothing was tested", known.len());
    assert!(!done.is_empty());
}

async fn check(dir: &std::path::Path, known: &HashSet<String>, done: &HashSet<String>) {
    let store = RedbStore::open(dir).unwrap();
    let documents = FolderDocuments::open(dir.join("documents")).unwrap();
    let mut listed = HashMap::new();
    for folder in [Folder::Live, Folder::Filed] {
        let all = JobQuery {
            range: Range { limit: usize::MAX, ..Range::default() },
            ..JobQuery::of("a".into(), folder)
        };
        for job in store.jobs(all).await.unwrap() {
            let Source::Stored { original, .. } = &job.source else {
                panic!("{job:?}");
            };
            // Also of a job that was not acknowledged: the document was there before the row.
            assert_eq!(documents.get(original).await.unwrap(), "a document");
            assert!(store.is_named(original).await.unwrap());
            listed.insert(job.id.to_string(), job.state);
        }
    }
    for id in known {
        assert!(listed.contains_key(id), "{id} is lost");
    }
    for id in done {
        assert_eq!(listed.get(id), Some(&JobState::Completed));
    }
    // The indices agree with the rows: what a dead process held is let go, and then all that waits
    // can be taken.
    for job in store.stale(Some(&"n1".into()), Timestamp(0)).await.unwrap() {
        let guard = fax_store::port::Guard::Lease(job.lease.clone());
        let change: fax_store::port::JobChange = Box::new(|j| {
            j.state = JobState::Pending;
            Ok(())
        });
        store.update_job(&job.id, guard, change, vec![]).await.unwrap();
    }
    let waiting = listed.values().filter(|s| !s.is_final()).count();
    let now = Timestamp::now();
    let mut taken = 0;
    loop {
        let request = LeaseRequest {
            node: "n2".into(),
            now,
            until: now.plus(Duration::from_secs(60)),
            limit: 100,
            account_limits: HashMap::new(),
            default_account_limit: u32::MAX,
            serialise_numbers: false,
        };
        let jobs = store.lease_due(request).await.unwrap();
        if jobs.is_empty() {
            break;
        }
        for job in jobs {
            taken += 1;
            let change: fax_store::port::JobChange = Box::new(|j| {
                j.state = JobState::Completed;
                Ok(())
            });
            let any = fax_store::port::Guard::Any;
            store.update_job(&job.id, any, change, vec![]).await.unwrap();
        }
    }
    assert_eq!(taken, waiting);
    store.close().await;
}
