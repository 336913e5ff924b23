//! What every place for documents must do.

use crate::model::{AccountId, DocumentKey};
use crate::port::{Documents, StoreError};
use bytes::Bytes;
use core::time::Duration;
use std::sync::Arc;

type D = Arc<dyn Documents>;

/// The whole suite of documents, one case after the other, on one place.
pub async fn documents_suite(d: D) {
    a_document_is_read_back(&d).await;
    large_and_empty_documents_are_read_back(&d).await;
    a_missing_document_is_told_apart(&d).await;
    a_key_with_a_path_in_it_is_none(&d).await;
    a_document_is_deleted_once_or_twice(&d).await;
    a_document_keeps_the_key_it_is_given(&d).await;
    old_documents_are_found(&d).await;
    many_put_at_once(&d).await;
}

async fn a_document_is_read_back(d: &D) {
    let octets = Bytes::from_static(b"%PDF-1.4\n\0\xff");
    let a = d.put(octets.clone()).await.unwrap();
    let b = d.put_for(&AccountId::new("clinic"), octets.clone()).await.unwrap();
    assert_ne!(a, b);
    assert_eq!(d.get(&a).await.unwrap(), octets);
    assert_eq!(d.get(&b).await.unwrap(), octets);
}

async fn large_and_empty_documents_are_read_back(d: &D) {
    for size in [0, 1, 65_535, 65_536, 65_537, 3 << 20] {
        let octets: Vec<u8> = (0..size).map(|i: usize| (i * 31 % 251) as u8).collect();
        let key = d.put(octets.clone().into()).await.unwrap();
        assert_eq!(d.get(&key).await.unwrap(), octets, "{size} octets");
    }
}

async fn a_missing_document_is_told_apart(d: &D) {
    assert_eq!(d.get(&DocumentKey::generate()).await, Err(StoreError::NotFound));
}

async fn a_key_with_a_path_in_it_is_none(d: &D) {
    for bad in ["", "..", "../../etc/passwd", "a/b", &"0".repeat(31), &format!("{}/../x", "0".repeat(27))] {
        let key = DocumentKey::new(bad);
        assert_eq!(d.get(&key).await, Err(StoreError::NotFound), "{bad:?}");
        assert!(d.put_as(&key, Bytes::from_static(b"x")).await.is_err(), "{bad:?}");
    }
}

async fn a_document_is_deleted_once_or_twice(d: &D) {
    let key = d.put(Bytes::from_static(b"x")).await.unwrap();
    d.delete(&key).await.unwrap();
    d.delete(&key).await.unwrap();
    assert_eq!(d.get(&key).await, Err(StoreError::NotFound));
}

async fn a_document_keeps_the_key_it_is_given(d: &D) {
    let key = DocumentKey::generate();
    for octets in [&b"first"[..], b"second"] {
        d.put_as(&key, Bytes::copy_from_slice(octets)).await.unwrap();
        assert_eq!(d.get(&key).await.unwrap(), octets);
    }
}

async fn old_documents_are_found(d: &D) {
    let key = d.put(Bytes::from_static(b"x")).await.unwrap();
    let shelf = u8::from_str_radix(&key.as_str()[30..], 16).unwrap();
    // Servers count whole seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(d.older_than(Duration::ZERO, shelf).await.unwrap().contains(&key));
    assert!(!d.older_than(Duration::from_secs(3600), shelf).await.unwrap().contains(&key));
    assert!(!d.older_than(Duration::ZERO, shelf.wrapping_add(1)).await.unwrap().contains(&key));
    d.delete(&key).await.unwrap();
    assert!(!d.older_than(Duration::ZERO, shelf).await.unwrap().contains(&key));
}

async fn many_put_at_once(d: &D) {
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..32u8 {
        let d = d.clone();
        tasks.spawn(async move { (n, d.put(vec![n; 1000].into()).await.unwrap()) });
    }
    while let Some(done) = tasks.join_next().await {
        let (n, key) = done.unwrap();
        assert_eq!(d.get(&key).await.unwrap(), vec![n; 1000]);
    }
}
