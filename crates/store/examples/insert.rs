//! Stores jobs without end and prints the id of each once it is acknowledged: what the crash test kills.
//!
//! `insert FOLDER`: opens the store there, and prints `open` first.

use fax_store::model::{Job, JobState, Source, Timestamp};
use fax_store::port::LeaseRequest;
use fax_store::redb::RedbStore;
use fax_store::{Documents, Store, StoreError, folder::FolderDocuments};
use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;

/// Writers at a time.
const WRITERS: usize = 8;

#[tokio::main]
async fn main() -> Result<(), StoreError> {
    let Some(folder) = std::env::args_os().nth(1) else {
        return Err(StoreError::Refused("usage: insert FOLDER".into()));
    };
    let store = Arc::new(RedbStore::open(&folder)?);
    let documents = FolderDocuments::open(std::path::Path::new(&folder).join("documents"))?;
    say("open");
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (store, documents) = (store.clone(), documents.clone());
        tasks.spawn(async move {
            loop {
                write(writer, &store, &documents).await?;
            }
            #[allow(unreachable_code)]
            Ok::<(), StoreError>(())
        });
    }
    match tasks.join_next().await {
        Some(Ok(result)) => result,
        _ => Ok(()),
    }
}

async fn write(writer: usize, store: &RedbStore, documents: &FolderDocuments) -> Result<(), StoreError> {
    let now = Timestamp::now();
    let original = documents.put("a document".into()).await?;
    let source =
        Source::Stored { original: original.clone(), content_type: "text/plain".into(), file_name: None };
    let mut job = Job::new("a".into(), format!("+{writer}"), source, now);
    job.state = JobState::Pending;
    job.document = Some(original);
    job.pages = 1;
    let id = job.id.clone();
    store.insert_job(job).await?;
    say(&format!("job {id}"));
    let request = LeaseRequest {
        node: "n1".into(),
        now,
        until: now.plus(core::time::Duration::from_secs(60)),
        limit: 1,
        account_limits: HashMap::new(),
        default_account_limit: 4,
        serialise_numbers: true,
    };
    for held in store.lease_due(request).await? {
        let change: fax_store::port::JobChange = Box::new(|j| {
            j.state = JobState::Completed;
            Ok(())
        });
        let guard = fax_store::port::Guard::HeldBy("n1".into());
        store.update_job(&held.id, guard, change, vec![]).await?;
        say(&format!("done {}", held.id));
    }
    Ok(())
}

/// A line at once; a reader that is gone is no error.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
