//! A whole store into an archive and out of it, from one kind of store into the other and back.
#![allow(clippy::unwrap_used, clippy::panic)]

use bytes::Bytes;
use fax_store::archive::{ArchiveError, export, import, verify};
use fax_store::folder::FolderDocuments;
use fax_store::model::{
    Ability, Audit, Entry, EntryKind, FaxId, HookAttempt, HookEvent, Job, JobState, Kept, Notice, NoticeKind,
    NoticeSubject, PageEntry, PageState, Priority, ProfileKey, Received, Row, RowKind, Source, Timestamp,
    Trait, WebRequest,
};
use fax_store::port::{Guard, LeaseRequest};
use fax_store::postgres::PostgresStore;
use fax_store::redb::RedbStore;
use fax_store::{Documents, Store};
use serde_json::Map;
use std::collections::HashMap;
use std::path::Path;

fn t(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

/// Some of everything; more jobs than are carried in one step.
async fn fill(store: &dyn Store, documents: &dyn Documents) {
    for n in 0..450i64 {
        let original = documents.put(format!("original {n}\0").into()).await.unwrap();
        let (content_type, file_name) = ("text/plain".to_owned(), Some("ü\0.txt".to_owned()));
        let source = if n % 9 == 0 {
            Source::Url {
                request: WebRequest::get("https://docs.example/1"),
                kept: Some(Kept { original, content_type, file_name }),
            }
        } else {
            Source::Stored { original, content_type, file_name }
        };
        let mut job = Job::new(format!("a{}", n % 3).as_str().into(), format!("+4{}", n % 7), source, t(n));
        if n % 5 != 0 {
            job.state = JobState::Pending;
            job.document = Some(documents.put(format!("pages {n}").into()).await.unwrap());
            job.pages = 3;
            job.ledger = vec![PageEntry::default(); 3];
        }
        if n % 5 == 1 {
            job.state = JobState::Failed;
        }
        job.priority = match n {
            400.. => Priority::Low,
            n if n % 10 == 0 => Priority::High,
            _ => Priority::Normal,
        };
        store.insert_job(job).await.unwrap();
    }
    // Some are held, and one has a page confirmed.
    let request = LeaseRequest {
        node: "n1".into(),
        now: t(1000),
        until: t(2000),
        limit: 4,
        account_limits: HashMap::new(),
        default_account_limit: 2,
        serialise_numbers: true,
    };
    let held = store.lease_due(request).await.unwrap();
    let page = PageEntry { state: PageState::Confirmed { poor: true }, attempt: 0, at: t(1001) };
    store.record_page(&held[0].id, &"n1".into(), 1, page).await.unwrap();
    let calling = Box::new(|j: &mut Job| {
        j.state = JobState::Processing;
        Ok(())
    });
    store.update_job(&held[0].id, Guard::Any, calling, vec![]).await.unwrap();
    let document = documents.put(Bytes::from_static(b"received")).await.unwrap();
    for n in 0..3 {
        let fax: Received = serde_json::from_value(serde_json::json!({
            "id": FaxId::generate(), "account": "a1", "created": t(n), "document": document, "pages": 1,
            "success": true, "result_text": "fine", "trace": ["─▶ DIS"],
        }))
        .unwrap();
        let subject = NoticeSubject::Fax(fax.id.clone());
        let notice = Notice::new(NoticeKind::Received, "a1".into(), subject, vec!["x@y.test".into()], t(n));
        let hook = HookEvent { hook: format!("h{}", n % 2), event: "fax.received".into(), data: Map::new() };
        let subject = NoticeSubject::Fax(fax.id.clone());
        let called = Notice::for_hook(NoticeKind::Received, "a1".into(), subject, hook, t(n));
        let attempt = HookAttempt {
            id: format!("{n:04}"),
            hook: format!("h{}", n % 2),
            delivery: called.id.clone(),
            event: "fax.received".into(),
            at: t(n),
            attempt: 1,
            status: Some(503),
            error: Some("try later".into()),
            took_ms: 12,
            next: Some(t(n + 60)),
        };
        let id = called.id.clone();
        store.insert_received(fax, vec![notice, called]).await.unwrap();
        store.hook_called(&id, attempt.next, Some(attempt)).await.unwrap();
    }
    let mut entry = Entry::new(EntryKind::Faxbox, "f1", "a1".into(), t(5));
    entry.claims = vec!["domain:fax.example.net".into()];
    entry.hidden.insert("digest".into(), "x".into());
    let put = store.put_entries(vec![entry]).await.unwrap();
    let gone = Entry::new(EntryKind::User, "u1", "a1".into(), t(5));
    let gone = store.put_entries(vec![gone]).await.unwrap();
    store.put_entries(vec![gone[0].removed(t(6))]).await.unwrap();
    store.put_entries(put).await.unwrap();
    for key in [ProfileKey::number("a1".into(), "+41"), ProfileKey::trunk("carrier")] {
        let learn = Box::new(|p: &mut fax_store::model::Profile| {
            p.modified = t(9);
            p.traits = vec![Trait::new(Ability::Ecm, Some("carrier".into()))];
        });
        store.change_profile((key, learn)).await.unwrap();
    }
    let record = |n: i64| Audit {
        id: format!("{n:04}"),
        account: "a1".into(),
        at: t(n),
        who: "key:1".into(),
        of: "a1".into(),
        remote: "192.0.2.1".into(),
        action: "view".into(),
        subject: "faxes".into(),
        request: "r".into(),
        status: Some(200),
    };
    store.insert_audit((0..300).map(record).collect()).await.unwrap();
}

/// Every row, in an order that does not depend on the store.
async fn all(store: &dyn Store) -> Vec<String> {
    let mut found = Vec::new();
    for kind in RowKind::ALL {
        let mut after = None;
        loop {
            let rows = store.rows(kind, after, 37).await.unwrap();
            let Some((last, _)) = rows.last() else { break };
            after = Some(last.clone());
            found.extend(rows.iter().map(|(_, row)| {
                assert_eq!(row.kind(), kind);
                serde_json::to_string(row).unwrap()
            }));
        }
    }
    found.sort();
    found
}

fn folder(dir: &Path) -> FolderDocuments {
    FolderDocuments::open(dir.join("documents")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_file_to_postgresql_and_back_everything_is_the_same() {
    let server = postgres_peer::Server::start().unwrap();
    let dirs: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let first = RedbStore::open(dirs[0].path()).unwrap();
    let places: Vec<_> = dirs.iter().map(|d| folder(d.path())).collect();
    fill(&first, &places[0]).await;
    let before = all(&first).await;
    assert!(before.iter().any(|row| row.contains("lease")) && before.len() > 750);
    let nothing = &mut |_: u64| {};

    let one = dirs[0].path().join("one.tar");
    let mut steps = Vec::new();
    let contents = export(&first, &places[0], &one, &mut |n| steps.push(n)).await.unwrap();
    assert_eq!(steps.last(), Some(&contents.count()));
    assert!(steps.len() > 10 && steps.is_sorted());
    assert_eq!(verify(&one).unwrap(), contents);

    let second = PostgresStore::open(&server.database("second").unwrap(), 4).await.unwrap();
    import(&second, &places[1], &one, nothing).await.unwrap();
    assert_eq!(all(&second).await, before);

    let two = dirs[1].path().join("two.tar");
    let again = export(&second, &places[1], &two, nothing).await.unwrap();
    assert_eq!((again.rows.clone(), again.documents, again.missing), (contents.rows, contents.documents, 0));
    let third = RedbStore::open(dirs[2].path()).unwrap();
    import(&third, &places[2], &two, nothing).await.unwrap();
    assert_eq!(all(&third).await, before);

    // What was fetched came along, too.
    let rows = third.rows(RowKind::Job, None, 450).await.unwrap();
    let mut kept = rows.iter().filter_map(|(_, row)| match row {
        Row::Job(job) if matches!(job.source, Source::Url { .. }) => job.source.original(),
        _ => None,
    });
    assert!(places[2].get(kept.next().unwrap()).await.unwrap().starts_with(b"original"));
    assert_eq!(kept.count(), 49);

    // The queue goes on as it stood, in both.
    for store in [&second as &dyn Store, &third] {
        assert_eq!(store.next_due().await.unwrap(), first.next_due().await.unwrap());
        assert_eq!(store.stale(None, t(3000)).await.unwrap().len(), 4);
        let job = store.stale(None, t(3000)).await.unwrap().remove(0);
        for key in [job.document.clone().unwrap()] {
            assert!(store.is_named(&key).await.unwrap());
            assert_eq!(places[2].get(&key).await.unwrap(), places[0].get(&key).await.unwrap());
        }
        let new = Entry::new(EntryKind::User, "u9", "a1".into(), t(7));
        let last = first.entries(0, 99).await.unwrap().last().unwrap().change;
        assert_eq!(store.put_entries(vec![new]).await.unwrap()[0].change, last + 1);
        let mut taken = Entry::new(EntryKind::Faxbox, "f2", "a1".into(), t(5));
        taken.claims = vec!["domain:fax.example.net".into()];
        assert!(store.put_entries(vec![taken]).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_was_changed_or_cut_off_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = RedbStore::open(dir.path().join("a")).unwrap();
    let place = folder(dir.path());
    fill(&store, &place).await;
    let path = dir.path().join("a.tar");
    export(&store, &place, &path, &mut |_| {}).await.unwrap();
    let good = std::fs::read(&path).unwrap();
    let empty = RedbStore::open(dir.path().join("b")).unwrap();
    let bad = dir.path().join("bad.tar");
    let at = |text: &[u8]| good.windows(text.len()).position(|w| w == text).unwrap();
    let mut damages =
        vec![good[..good.len() / 2].to_vec(), good[..at(b"end.json")].to_vec(), vec![0; 1024], vec![]];
    for text in [&b"original 77"[..], b"+41", b"\"format\":2"] {
        let mut changed = good.clone();
        let last = at(text) + text.len() - 1;
        changed[last] ^= 4;
        damages.push(changed);
    }
    // A document or a row that is not what it was is told by its name, and the document as whose it is.
    std::fs::write(&bad, &damages[4]).unwrap();
    let said = verify(&bad).unwrap_err().to_string();
    assert!(said.contains("changed or damaged: documents/"), "{said}");
    assert!(said.contains(", what was handed in for job ") && !said.contains(';'), "{said}");
    std::fs::write(&bad, &damages[5]).unwrap();
    let said = verify(&bad).unwrap_err().to_string();
    assert!(said.contains("changed or damaged: rows/"), "{said}");
    for (n, octets) in damages.into_iter().enumerate() {
        std::fs::write(&bad, octets).unwrap();
        let refused = import(&empty, &place, &bad, &mut |_| {}).await;
        assert!(matches!(refused, Err(ArchiveError::Unusable(_))), "damage {n}: {refused:?}");
        assert!(all(&empty).await.is_empty() && empty.import_under_way().await.unwrap().is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_was_interrupted_is_repeated_and_a_full_store_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = RedbStore::open(dir.path().join("a")).unwrap();
    let place = folder(dir.path());
    fill(&store, &place).await;
    let path = dir.path().join("a.tar");
    export(&store, &place, &path, &mut |_| {}).await.unwrap();
    let full = import(&store, &place, &path, &mut |_| {}).await;
    assert!(matches!(full, Err(ArchiveError::NotEmpty)), "{full:?}");

    // A place for documents that fails in the middle.
    let half = RedbStore::open(dir.path().join("b")).unwrap();
    let blocked = FolderDocuments::open(dir.path().join("blocked")).unwrap();
    std::fs::remove_dir_all(dir.path().join("blocked")).unwrap();
    std::fs::write(dir.path().join("blocked"), "no folder").unwrap();
    assert!(import(&half, &blocked, &path, &mut |_| {}).await.is_err());
    assert!(half.import_under_way().await.unwrap().is_some());
    assert!(!all(&half).await.is_empty());
    let refused = export(&half, &place, &dir.path().join("half.tar"), &mut |_| {}).await;
    assert!(refused.is_err(), "half a store is no export");

    let mut smaller = all(&store).await;
    let other = RedbStore::open(dir.path().join("c")).unwrap();
    let row: Row = serde_json::from_str(&smaller.remove(0)).unwrap();
    other.restore(vec![row]).await.unwrap();
    let another = dir.path().join("c.tar");
    export(&other, &place, &another, &mut |_| {}).await.unwrap();
    let refused = import(&half, &place, &another, &mut |_| {}).await;
    assert!(matches!(refused, Err(ArchiveError::Other)), "{refused:?}");

    import(&half, &place, &path, &mut |_| {}).await.unwrap();
    assert_eq!(all(&half).await, all(&store).await);
    assert!(half.import_under_way().await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_are_not_there_are_told_by_whose_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let store = RedbStore::open(dir.path().join("a")).unwrap();
    let place = folder(dir.path());
    fill(&store, &place).await;
    let mut gone = Vec::new();
    for (_, row) in store.rows(RowKind::Job, None, 40).await.unwrap() {
        let Row::Job(job) = row else { panic!() };
        if let Some(key) = &job.document {
            place.delete(key).await.unwrap();
            gone.push(format!("the pages of job {} (document {key})", job.id));
        }
    }
    let path = dir.path().join("a.tar");
    let contents = export(&store, &place, &path, &mut |_| {}).await.unwrap();
    gone.sort();
    let mut lost = contents.lost.clone();
    lost.sort();
    assert_eq!((usize::try_from(contents.missing).unwrap(), &lost), (gone.len(), &gone));
    assert_eq!(verify(&path).unwrap(), contents, "the archive tells the same");
}
