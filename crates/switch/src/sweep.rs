//! Documents that no row names are removed, but only where they belong to this store.
//!
//! A server that is given another database, or two that were given one bucket, would find none of the other's
//! documents named. So a document with a key of its own says whose they all are.

use crate::service::Service;
use core::time::Duration;
use fax_store::StoreError;
use fax_store::model::{AccountId, DocumentKey, Entry, EntryKind};
use serde_json::Value;

/// The document that says which store the documents belong to.
const MARK: &str = "00000000000000000000000000000000";
/// The entry with the same number.
const NAME: &str = "documents";
/// Documents that are asked for before they are taken for this store's own.
const SAMPLE: usize = 200;

impl Service {
    /// Removes documents that no row names and that are too old to be on their way to one.
    pub(crate) async fn sweep(&self) {
        let age = self.config().sweep_after;
        match self.owns_documents(age).await {
            Ok(true) => {}
            Ok(false) => {
                return tracing::error!(
                    "the documents belong to another store: none is swept. Was a database changed without \
                     `ferrofax store export` and `import`, or do two servers share a folder or bucket?"
                );
            }
            Err(e) => return tracing::warn!(error = %e, "documents could not be swept"),
        }
        for shelf in 0..=u8::MAX {
            match self.inner.ports.documents.older_than(age, shelf).await {
                Ok(keys) => {
                    for key in keys.iter().filter(|key| key.as_str() != MARK) {
                        self.forget(key).await;
                    }
                }
                Err(e) => return tracing::warn!(error = %e, "documents could not be swept"),
            }
        }
    }

    /// Whether the documents are those of this store. Where nobody has said so yet, they are if most of those that are
    /// old enough to be named are named.
    async fn owns_documents(&self, age: Duration) -> Result<bool, StoreError> {
        let documents = &self.inner.ports.documents;
        let mark = DocumentKey::new(MARK);
        let number = self.number_of_documents().await?;
        match documents.get(&mark).await {
            Ok(found) => return Ok(found == number.as_bytes()),
            Err(StoreError::NotFound) => {}
            Err(e) => return Err(e),
        }
        let (mut seen, mut named) = (0, 0);
        'sample: for shelf in 0..=u8::MAX {
            for key in documents.older_than(age, shelf).await? {
                if seen >= SAMPLE {
                    break 'sample;
                }
                seen += 1;
                named += usize::from(self.inner.ports.store.is_named(&key).await?);
            }
        }
        if named * 2 < seen {
            return Ok(false);
        }
        documents.put_as(&mark, number.into()).await?;
        Ok(true)
    }

    /// The number of this store's documents, which all its nodes share.
    async fn number_of_documents(&self) -> Result<String, StoreError> {
        let unknown = |e: crate::ServiceError| StoreError::Unavailable(e.to_string());
        self.refresh().await.map_err(unknown)?;
        if let Some(entry) = self.directory().entry(EntryKind::Duty, NAME) {
            let number = entry.hidden.get("number").and_then(Value::as_str).map(str::to_owned);
            return number.ok_or_else(|| StoreError::Damaged("the number of the documents is gone".into()));
        }
        let number = DocumentKey::generate().to_string();
        let mut entry = Entry::new(EntryKind::Duty, NAME, AccountId::default(), self.now());
        entry.hidden.insert("number".into(), number.clone().into());
        // Where another node is faster, the next sweep sees its number.
        self.put_entries(vec![entry]).await.map_err(unknown)?;
        Ok(number)
    }
}
