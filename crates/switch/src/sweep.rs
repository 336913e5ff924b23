//! Documents that no row names are removed, but only where they belong to this store.
//!
//! A server that is given another database, or two that were given one bucket, would find none of the other's
//! documents named. So a document with a key of its own says whose they all are.

use crate::service::Service;
use core::time::Duration;
use fax_store::StoreError;
use fax_store::model::{AccountId, DocumentKey, Entry, EntryKind, Timestamp};
use serde_json::Value;

/// The document that says which store the documents belong to.
const MARK: &str = "00000000000000000000000000000000";
/// The entry with the same number.
const NAME: &str = "documents";
/// Its field with the time at which the last sweep began.
const LAST: &str = "swept";
/// Documents that are asked for before they are taken for this store's own, and how many of a hundred must be.
const SAMPLE: usize = 200;
const OURS: usize = 95;
/// What was swept a shorter time ago is left: nodes ask at times of their own, once a day.
const SWEPT: Duration = Duration::from_secs(23 * 3600);

impl Service {
    /// Removes documents that no row names and that are too old to be on their way to one.
    /// One node does, once a day.
    pub(crate) async fn sweep(&self) {
        let (age, began) = (self.config().sweep_after, self.now());
        if !self.has_duty().await {
            return;
        }
        let swept = self.directory().entry(EntryKind::Duty, NAME).and_then(|e| e.hidden.get(LAST)?.as_i64());
        if swept.is_some_and(|at| Timestamp(at) > began.minus(SWEPT)) {
            return;
        }
        match self.owns_documents(age).await {
            Ok(Some(true)) => {}
            // None is old enough to be swept.
            Ok(None) => return,
            Ok(Some(false)) => {
                return tracing::error!(
                    "the documents belong to another store, or too many of them to no fax of this one: none is swept. \
                     Was a database changed without `ferrofax store export` and `import`, or do two servers share a \
                     folder or bucket?"
                );
            }
            Err(e) => return tracing::warn!(error = %e, "documents could not be swept"),
        }
        for shelf in 0..=u8::MAX {
            if !self.has_duty().await {
                return;
            }
            match self.inner.ports.documents.older_than(age, shelf).await {
                Ok(keys) => {
                    for key in keys.iter().filter(|key| key.as_str() != MARK) {
                        self.forget(key).await;
                    }
                }
                Err(e) => return tracing::warn!(error = %e, "documents could not be swept"),
            }
        }
        let Some(entry) = self.directory().entry(EntryKind::Duty, NAME).map(|e| Entry::clone(e)) else {
            return;
        };
        let mut entry = Entry { modified: self.now(), ..entry };
        entry.hidden.insert(LAST.into(), began.0.into());
        if let Err(e) = self.put_entries(vec![entry]).await {
            tracing::warn!(error = %e, "documents will be swept again sooner than need be");
        }
    }

    /// Whether the documents are those of this store. Where nobody has said so yet, they are if there are none, or nearly
    /// all that are old enough to be named are named; `None`: all are younger.
    async fn owns_documents(&self, age: Duration) -> Result<Option<bool>, StoreError> {
        let documents = &self.inner.ports.documents;
        let mark = DocumentKey::new(MARK);
        let number = self.number_of_documents().await?;
        match documents.get(&mark).await {
            Ok(found) => return Ok(Some(found == number.as_bytes())),
            Err(StoreError::NotFound) => {}
            Err(e) => return Err(e),
        }
        let (mut seen, mut named, mut young) = (0, 0, false);
        'sample: for shelf in 0..=u8::MAX {
            for key in documents.older_than(age, shelf).await? {
                if seen >= SAMPLE {
                    break 'sample;
                }
                seen += 1;
                named += usize::from(self.inner.ports.store.is_named(&key).await?);
            }
            young = young || (seen == 0 && !documents.older_than(Duration::ZERO, shelf).await?.is_empty());
        }
        if seen == 0 && young {
            return Ok(None);
        }
        if named * 100 < seen * OURS {
            return Ok(Some(false));
        }
        documents.put_as(&mark, number.into()).await?;
        Ok(Some(true))
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
