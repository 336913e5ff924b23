//! Every place for documents by the same suite: a folder, a bucket of a server that checks signatures, and both sealed;
//! what a server that fails does to documents; what lies on the disk when they are sealed.
#![allow(clippy::unwrap_used, clippy::panic)]

use bytes::Bytes;
use fax_store::bucket::{BucketConfig, BucketDocuments};
use fax_store::folder::FolderDocuments;
use fax_store::model::{AccountId, DocumentKey};
use fax_store::redb::RedbStore;
use fax_store::sealed::{MAGIC, MasterKey, SealedDocuments, Seals};
use fax_store::suite::documents_suite;
use fax_store::{Documents, Store, StoreError};
use s3_peer::{ACCESS_KEY, BUCKET, Fault, REGION, SECRET_KEY, Server};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn settings(server: &Server) -> BucketConfig {
    let _ = rustls::crypto::ring::default_provider().install_default();
    BucketConfig {
        endpoint: Some(server.endpoint()),
        prefix: "clinic/documents".into(),
        path_style: true,
        allow_http: true,
        timeout: Duration::from_secs(2),
        patience: Duration::from_secs(30),
        ..BucketConfig::new(BUCKET, REGION, ACCESS_KEY, SECRET_KEY)
    }
}

fn master(digit: char) -> MasterKey {
    MasterKey::from_hex(&digit.to_string().repeat(64)).unwrap()
}

fn sealed(inner: Arc<dyn Documents>, store: &RedbStore, masters: &[MasterKey]) -> SealedDocuments {
    let store: Arc<dyn Store> = Arc::new(store.clone());
    SealedDocuments::new(inner, Seals::new(store, masters.to_vec()), true)
}

#[tokio::test]
async fn a_folder_passes_the_suite() {
    let dir = tempfile::tempdir().unwrap();
    documents_suite(Arc::new(FolderDocuments::open(dir.path()).unwrap())).await;
}

#[tokio::test]
async fn a_bucket_passes_the_suite() {
    let server = Server::start().await;
    documents_suite(Arc::new(BucketDocuments::open(&settings(&server)).unwrap())).await;
    assert_eq!(server.with(|s| s.refused.clone()), Vec::<String>::new());
    assert!(server.with(|s| s.objects.keys().all(|k| k.starts_with("clinic/documents/"))));
}

#[tokio::test]
async fn sealed_documents_pass_the_suite_in_a_folder_and_in_a_bucket() {
    let dir = tempfile::tempdir().unwrap();
    let store = RedbStore::open(dir.path()).unwrap();
    let folder = Arc::new(FolderDocuments::open(dir.path().join("documents")).unwrap());
    documents_suite(Arc::new(sealed(folder, &store, &[master('a')]))).await;
    let server = Server::start().await;
    let bucket = Arc::new(BucketDocuments::open(&settings(&server)).unwrap());
    documents_suite(Arc::new(sealed(bucket, &store, &[master('a')]))).await;
}

/// A server that is busy, fails, stays silent, or does what it was told and says that it failed: the document is there
/// when `put` says so, and once.
#[tokio::test]
async fn a_server_that_fails_for_a_while_loses_nothing() {
    let server = Server::start().await;
    let documents = BucketDocuments::open(&settings(&server)).unwrap();
    for faults in [
        vec![Fault::Status(503), Fault::Status(500), Fault::Status(502)],
        vec![Fault::Silence],
        vec![Fault::DoneThen500],
    ] {
        let before = server.with(|s| s.objects.len());
        server.faults(faults.clone());
        let key = documents.put(Bytes::from_static(b"a document")).await.unwrap();
        assert_eq!(server.with(|s| s.objects.len()), before + 1, "{faults:?}");
        server.faults(faults.clone());
        assert_eq!(documents.get(&key).await.unwrap(), "a document", "{faults:?}");
    }
    assert!(server.with(|s| s.faults.is_empty()));
}

#[tokio::test]
async fn a_server_that_goes_on_failing_is_told_and_the_secret_is_not() {
    let server = Server::start().await;
    let config = BucketConfig { patience: Duration::from_millis(500), ..settings(&server) };
    let documents = BucketDocuments::open(&config).unwrap();
    server.faults([Fault::Status(503); 50]);
    let failed = documents.put(Bytes::from_static(b"a document")).await.unwrap_err();
    assert!(matches!(failed, StoreError::Unavailable(_)), "{failed:?}");
    assert!(!failed.to_string().contains(SECRET_KEY) && !format!("{config:?}").contains(SECRET_KEY));
    server.with(|s| s.faults.clear());
    assert!(server.with(|s| s.objects.is_empty()));

    let wrong = BucketConfig { secret_key: "another".into(), ..config };
    let refused = BucketDocuments::open(&wrong).unwrap().probe().await.unwrap_err().to_string();
    assert!(refused.contains("403") || refused.contains("SignatureDoesNotMatch"), "{refused}");
    let elsewhere = BucketConfig { bucket: "nothing".into(), ..settings(&server) };
    assert!(BucketDocuments::open(&elsewhere).unwrap().probe().await.is_err());
    BucketDocuments::open(&settings(&server)).unwrap().probe().await.unwrap();
}

/// The folder on which a file system is mounted is there without it, too.
#[tokio::test]
async fn a_folder_that_is_not_mounted_has_lost_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (here, away) = (dir.path().join("documents"), dir.path().join("away"));
    let documents = FolderDocuments::open(&here).unwrap();
    let second = FolderDocuments::open(&here).unwrap();
    let octets = Bytes::from_static(b"x");
    let key = documents.put(octets.clone()).await.unwrap();
    let never = DocumentKey::generate();
    std::fs::rename(&here, &away).unwrap();
    for mounted_on in [false, true] {
        if mounted_on {
            std::fs::create_dir(&here).unwrap();
        }
        let gone = |e: StoreError| assert!(matches!(e, StoreError::Unavailable(_)), "{e:?}");
        gone(documents.get(&key).await.unwrap_err());
        gone(documents.get(&never).await.unwrap_err());
        gone(documents.put(octets.clone()).await.unwrap_err());
        gone(documents.delete(&key).await.unwrap_err());
        gone(documents.older_than(Duration::ZERO, 0).await.unwrap_err());
    }
    assert_eq!(std::fs::read_dir(&here).unwrap().count(), 0, "nothing is hidden by a later mount");
    std::fs::remove_dir(&here).unwrap();
    std::fs::rename(&away, &here).unwrap();
    for documents in [documents, second] {
        assert_eq!(documents.get(&key).await.unwrap(), octets);
        assert_eq!(documents.get(&never).await, Err(StoreError::NotFound));
        documents.put(octets.clone()).await.unwrap();
    }
}

/// Every file below a folder, with what it holds.
fn files(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let octets = std::fs::read(&path).unwrap();
            found.push((path, octets));
        }
    }
    found
}

/// Text in which each run of octets is found again if it is anywhere.
fn document() -> Vec<u8> {
    (0..20_000).flat_map(|n| format!("line {n} of a letter to Dr Weiss\n").into_bytes()).collect()
}

#[tokio::test]
async fn nothing_of_a_sealed_document_lies_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let store = RedbStore::open(dir.path()).unwrap();
    let folder = Arc::new(FolderDocuments::open(dir.path().join("documents")).unwrap());
    let documents = sealed(folder, &store, &[master('a')]);
    let octets = document();
    let account = AccountId::new("clinic");
    let key = documents.put_for(&account, octets.clone().into()).await.unwrap();
    let again = documents.put_for(&account, octets.clone().into()).await.unwrap();
    let on_disk = files(dir.path());
    assert!(on_disk.len() >= 3, "the two documents and the rows");
    for (path, found) in &on_disk {
        // Any run of 8 octets of the document that repeats nowhere in it.
        for start in (0..octets.len() - 8).step_by(997) {
            let run = &octets[start..start + 8];
            assert!(!found.windows(8).any(|w| w == run), "{} has {run:?} of it", path.display());
        }
    }
    let of = |key: &DocumentKey| on_disk.iter().find(|(p, _)| p.ends_with(key.as_str())).unwrap().1.clone();
    assert_ne!(of(&key)[51..], of(&again)[51..], "the same document twice does not look the same");
    assert_eq!(documents.get(&key).await.unwrap(), octets);
}

#[tokio::test]
async fn a_changed_cut_off_or_exchanged_document_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let store = RedbStore::open(dir.path()).unwrap();
    let inner = Arc::new(FolderDocuments::open(dir.path().join("documents")).unwrap());
    let documents = sealed(inner.clone(), &store, &[master('a')]);
    let account = AccountId::new("clinic");
    let octets = document()[..200_000].to_vec();
    let key = documents.put_for(&account, octets.clone().into()).await.unwrap();
    let other = documents.put_for(&account, octets.clone().into()).await.unwrap();
    let good = inner.get(&key).await.unwrap().to_vec();
    let piece = (64 << 10) + 16;
    let mut damages: Vec<(String, Vec<u8>)> = Vec::new();
    for at in [16, 31, 32, 50, 51, 60, 51 + piece - 1, 51 + piece, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        damages.push((format!("octet {at} changed"), bad));
    }
    for len in [17, 40, 51, 52, 51 + piece, 51 + 2 * piece, good.len() - 1] {
        damages.push((format!("cut off at {len}"), good[..len].to_vec()));
    }
    let mut swapped = good[..51].to_vec();
    swapped.extend_from_slice(&good[51 + piece..51 + 2 * piece]);
    swapped.extend_from_slice(&good[51..51 + piece]);
    swapped.extend_from_slice(&good[51 + 2 * piece..]);
    damages.push(("two pieces exchanged".into(), swapped));
    damages.push(("another document".into(), inner.get(&other).await.unwrap().to_vec()));
    let mut longer = good.clone();
    longer.push(0);
    damages.push(("longer".into(), longer));
    for (what, bad) in damages {
        inner.put_as(&key, bad.into()).await.unwrap();
        let got = documents.get(&key).await;
        // Where the id of the key was changed, there is no such key.
        assert!(matches!(got, Err(StoreError::Damaged(_) | StoreError::KeyDestroyed)), "{what}: {got:?}");
    }
    inner.put_as(&key, good.into()).await.unwrap();
    assert_eq!(documents.get(&key).await.unwrap(), octets);
}

#[tokio::test]
async fn masters_change_and_a_wrong_one_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let store = RedbStore::open(dir.path()).unwrap();
    let seals = |masters: &[MasterKey]| Seals::new(Arc::new(store.clone()), masters.to_vec());
    let inner: Arc<dyn Documents> = Arc::new(FolderDocuments::open(dir.path().join("documents")).unwrap());
    let with = |masters: &[MasterKey]| SealedDocuments::new(inner.clone(), seals(masters), true);
    let account = AccountId::new("clinic");
    let key = with(&[master('a')]).put_for(&account, Bytes::from_static(b"a letter")).await.unwrap();
    // Plain ones of before stay readable.
    let plain = inner.put(Bytes::from_static(b"of before")).await.unwrap();
    assert_eq!(with(&[master('a')]).get(&plain).await.unwrap(), "of before");

    let wrong = with(&[master('b')]).get(&key).await.unwrap_err();
    let sentence = wrong.to_string();
    assert!(matches!(wrong, StoreError::Unavailable(_)), "{wrong:?}");
    assert!(sentence.contains(master('a').id()) && sentence.contains("master_key"), "{sentence}");
    assert_eq!(seals(&[master('b')]).rewrap().await.unwrap_err(), wrong);
    assert_eq!(seals(&[]).rewrap().await.unwrap_err(), wrong);

    // The new one first: everything is wrapped anew, and the old one is not needed any more.
    assert_eq!(seals(&[master('b'), master('a')]).rewrap().await, Ok(1));
    assert_eq!(seals(&[master('b')]).rewrap().await, Ok(0));
    assert_eq!(with(&[master('b')]).get(&key).await.unwrap(), "a letter");
    assert!(with(&[master('a')]).get(&key).await.is_err());
}

#[tokio::test]
async fn destroying_an_accounts_key_makes_its_documents_unreadable() {
    let dir = tempfile::tempdir().unwrap();
    let store = RedbStore::open(dir.path()).unwrap();
    let inner = Arc::new(FolderDocuments::open(dir.path().join("documents")).unwrap());
    let documents = sealed(inner.clone(), &store, &[master('a')]);
    // Another node, which knows the keys already.
    let other = sealed(inner.clone(), &store, &[master('a')]);
    let (clinic, court) = (AccountId::new("clinic"), AccountId::new("court"));
    let gone = documents.put_for(&clinic, Bytes::from_static(b"gone")).await.unwrap();
    let kept = documents.put_for(&court, Bytes::from_static(b"kept")).await.unwrap();
    let id = |octets: Bytes| octets.slice(16..32);
    let seal_of = |key: DocumentKey| async { id(inner.get(&{ key }).await.unwrap()) };
    assert_ne!(seal_of(gone.clone()).await, seal_of(kept.clone()).await, "a key for each account");
    assert_eq!(other.get(&gone).await.unwrap(), "gone");

    let seals = Seals::new(Arc::new(store.clone()), vec![master('a')]);
    assert_eq!(seals.destroy(&clinic).await, Ok(1));
    for node in [&documents, &other] {
        assert_eq!(node.get(&gone).await, Err(StoreError::KeyDestroyed));
        assert_eq!(node.get(&kept).await.unwrap(), "kept");
    }
    assert!(inner.get(&gone).await.unwrap().starts_with(MAGIC), "the octets are still there");
    let new = documents.put_for(&clinic, Bytes::from_static(b"new")).await.unwrap();
    assert_eq!(other.get(&new).await.unwrap(), "new");
    assert_ne!(seal_of(new).await, seal_of(gone).await);
}

#[test]
fn a_master_key_is_64_hexadecimal_characters_and_is_not_shown() {
    for bad in ["", "abc", &"a".repeat(63), &"g".repeat(64), &"a".repeat(66), &"ä".repeat(32)] {
        assert!(MasterKey::from_hex(bad).is_none(), "{bad:?}");
    }
    assert!(!format!("{:?}", master('a')).contains("aaaa"));
}
