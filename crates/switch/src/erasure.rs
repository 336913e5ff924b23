//! What is left of an account that was removed: its faxes and their documents go, too.
//!
//! The commit that removes the account also leaves a mark, so that no crash forgets the rest; one node at a time goes through
//! the account's lists, at once and with every hourly round, and removes the mark when nothing can come any more.

use crate::retention::List;
use crate::service::{Service, ServiceError};
use core::time::Duration;
use fax_store::model::{AccountId, Entry, EntryKind, Folder};
use fax_store::port::{JobQuery, Range};

/// What the names of marks begin with; the account's id follows.
const MARK: &str = "erase-";
/// Rows in one step.
const BATCH: usize = 100;
/// What a call may take at its end, beyond the longest call.
const HOUR: Duration = Duration::from_secs(3_600);

impl Service {
    /// The mark of an account that is removed, to be stored in the same commit.
    #[must_use]
    pub fn erasure_of(&self, account: &AccountId) -> Entry {
        Entry::new(EntryKind::Duty, format!("{MARK}{account}"), AccountId::default(), self.now())
    }

    /// Removes what is left of accounts that are gone, if no other node does; what cannot be done now is done later.
    pub async fn erase_accounts(&self) {
        let nobody = AccountId::default();
        let marks: Vec<Entry> = self
            .directory()
            .entries_of(EntryKind::Duty, &nobody)
            .filter(|mark| mark.id.starts_with(MARK))
            .map(|mark| Entry::clone(mark))
            .collect();
        for mark in marks {
            let Some(account) = mark.id.strip_prefix(MARK).map(AccountId::new) else { continue };
            if !self.has_duty().await {
                return;
            }
            match self.erase(&account).await {
                // A fax that was coming in at the removal is stored when its call ends.
                Ok(true) if self.now().since(mark.created) > self.config().longest_call + HOUR => {
                    if let Err(e) = self.put_entries(vec![mark.removed(self.now())]).await {
                        tracing::warn!(error = %e, %account, "it is gone, and will be looked for again");
                    }
                }
                Ok(_) => {}
                Err(e) => tracing::warn!(error = %e, %account, "what is left of it cannot be removed now"),
            }
        }
    }

    /// Whether nothing was left.
    async fn erase(&self, account: &AccountId) -> Result<bool, ServiceError> {
        let store = &self.inner.ports.store;
        // Handed in at the moment of the removal.
        let mut live = JobQuery::of(account.clone(), Folder::Live);
        live.range.limit = BATCH;
        let live = store.jobs(live).await?;
        for job in &live {
            match self.cancel(account, &job.id).await {
                Ok(_) | Err(ServiceError::NotFound | ServiceError::Conflict(_)) => {}
                Err(e) => return Err(e),
            }
        }
        let mut removed = 0_usize;
        for list in [List::Jobs, List::Received] {
            loop {
                let range = Range { ascending: true, limit: BATCH, ..Range::default() };
                let faxes = self.old(list, Some(account.clone()), range).await?;
                if faxes.is_empty() {
                    break;
                }
                if !self.has_duty().await {
                    return Ok(false);
                }
                for fax in faxes {
                    removed += 1;
                    self.remove(&fax).await?;
                }
            }
        }
        loop {
            let taught = self.destinations(account, None, BATCH).await?;
            if taught.is_empty() {
                break;
            }
            for profile in taught {
                self.forget_profile(&profile.key).await?;
            }
        }
        if removed > 0 {
            tracing::info!(%account, removed, "the faxes of a removed account are gone");
        }
        Ok(live.is_empty() && removed == 0)
    }
}
