//! Setting up accounts, users, faxboxes, numbers and keys while the switch runs, and the audit log.

use super::{Service, ServiceError};
use crate::Directory;
use crate::directory::entries::{callflow_numbers, hidden};
use crate::directory::plain_name;
use fax_store::StoreError;
use fax_store::model::{Audit, Entry, EntryKind, Timestamp};
use fax_store::port::AuditQuery;
use serde_json::Value;
use std::sync::{Arc, PoisonError};

/// Entries read in one request.
const BATCH: usize = 500;
/// Generated names are tried so often before somebody is told.
const DRAWS: u32 = 8;

impl Service {
    /// Reads what was set up since the last time, by whichever node.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`]: what is known stays as it is.
    pub async fn refresh(&self) -> Result<(), ServiceError> {
        let _one = self.inner.refreshing.lock().await;
        loop {
            let after = self.directory().change();
            let news = self.inner.ports.store.entries(after, BATCH).await?;
            let Some(last) = news.last().map(|e| e.change) else { return Ok(()) };
            let more = news.len() == BATCH;
            let mut now = self.inner.directory.write().unwrap_or_else(PoisonError::into_inner);
            let mut changed = Directory::clone(&now);
            changed.apply(last, news.into_iter().map(Arc::new));
            *now = Arc::new(changed);
            drop(now);
            self.inner.wake.notify_one();
            if !more {
                return Ok(());
            }
        }
    }

    /// Stores entries, all or nothing: new ones, changed ones (made from what [`Directory::entry`] gives), removed
    /// ones. What is generated is filled in. They are known here when this comes back, and soon at other nodes.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Taken`] with a name that something else has; [`ServiceError::Conflict`] for one that somebody
    /// else has changed meanwhile; [`ServiceError::Unavailable`].
    pub async fn put_entries(&self, entries: Vec<Entry>) -> Result<Vec<Entry>, ServiceError> {
        let mut draws = 0;
        loop {
            let directory = self.directory();
            let mut ready = entries.clone();
            let mut generated = false;
            for entry in ready.iter_mut().filter(|e| !e.deleted) {
                generated |= self.generate(entry);
                entry.claims = claims(entry);
                not_in_configuration(&directory, entry)?;
            }
            match self.inner.ports.store.put_entries(ready).await {
                // A name was drawn that is there already.
                Err(StoreError::Taken(_)) if generated && draws < DRAWS => draws += 1,
                Err(e) => return Err(e.into()),
                Ok(put) => {
                    self.refresh().await?;
                    return Ok(put);
                }
            }
        }
    }

    /// Fills in what an entry must have and nobody gave. Whether there was something.
    fn generate(&self, entry: &mut Entry) -> bool {
        let config = self.config();
        let (in_hidden, key) = match entry.kind {
            EntryKind::Faxbox => (true, hidden::MAIL_DOMAIN),
            EntryKind::Account => (false, "realm"),
            EntryKind::User
            | EntryKind::Number
            | EntryKind::Callflow
            | EntryKind::Key
            | EntryKind::Webhook
            | EntryKind::Seal
            | EntryKind::Duty => return false,
        };
        let fields = if in_hidden { &mut entry.hidden } else { &mut entry.document };
        if fields.get(key).and_then(Value::as_str).is_some_and(|v| !v.is_empty()) {
            return false;
        }
        // Of a version 4 UUID the first eight digits are drawn by lot.
        let drawn = uuid::Uuid::new_v4().simple().to_string();
        let name = format!("{}.{}", drawn.get(..8).unwrap_or(&drawn), config.mail_domain);
        fields.insert(key.to_owned(), name.into());
        true
    }

    /// Adds records to the audit log; they are on disk when this comes back.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`].
    pub async fn note(&self, records: Vec<Audit>) -> Result<(), ServiceError> {
        Ok(self.inner.ports.store.insert_audit(records).await?)
    }

    /// Records of the audit log.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`].
    pub async fn audit(&self, query: AuditQuery) -> Result<Vec<Audit>, ServiceError> {
        Ok(self.inner.ports.store.audit(query).await?)
    }

    /// Removes audit records that are older than they have to be kept.
    pub(crate) async fn purge_audit(&self, now: Timestamp) {
        let before = now.minus(self.config().audit_keep);
        loop {
            match self.inner.ports.store.purge_audit(before, BATCH).await {
                Ok(BATCH) => {}
                Ok(_) => return,
                Err(e) => return tracing::warn!(error = %e, "old audit records could not be removed"),
            }
        }
    }
}

/// The names that nothing else may have.
fn claims(entry: &Entry) -> Vec<String> {
    let text = |of: &serde_json::Map<String, Value>, key: &str| {
        of.get(key).and_then(Value::as_str).map(|v| v.trim().to_lowercase()).filter(|v| !v.is_empty())
    };
    let d = &entry.document;
    let account = &entry.account;
    let mut names: Vec<Option<String>> = match entry.kind {
        EntryKind::Account => vec![
            text(d, "realm").map(|realm| format!("domain:{realm}")),
            text(d, "name").map(|name| format!("account:{}", plain_name(&name))),
        ],
        EntryKind::Faxbox => [text(&entry.hidden, hidden::MAIL_DOMAIN), text(d, "custom_smtp_email_address")]
            .into_iter()
            .map(|domain| domain.map(|d| format!("domain:{d}")))
            .collect(),
        EntryKind::User => vec![text(d, "username").map(|name| format!("user:{account}:{name}"))],
        EntryKind::Callflow => {
            callflow_numbers(d).into_iter().map(|n| Some(format!("callflow:{account}:{n}"))).collect()
        }
        EntryKind::Key => vec![text(&entry.hidden, hidden::DIGEST).map(|digest| format!("key:{digest}"))],
        EntryKind::Number | EntryKind::Webhook | EntryKind::Seal | EntryKind::Duty => Vec::new(),
    };
    names.sort();
    names.dedup();
    names.into_iter().flatten().collect()
}

/// What stands in the configuration cannot be had by an entry.
fn not_in_configuration(directory: &Directory, entry: &Entry) -> Result<(), ServiceError> {
    if entry.kind == EntryKind::Number && directory.is_fixed_number(&entry.id) {
        return Err(ServiceError::Taken(format!("number:{}", entry.id)));
    }
    for claim in &entry.claims {
        let Some((kind, name)) = claim.split_once(':') else { continue };
        let fixed = match kind {
            "domain" => directory.is_fixed_domain(name),
            "account" => directory.accounts().any(|a| a.fixed && plain_name(&a.name) == name),
            _ => false,
        };
        if fixed {
            return Err(ServiceError::Taken(claim.clone()));
        }
    }
    Ok(())
}
