//! How long faxes and their documents are kept, by account, and their removal: by one node at a time, in small steps,
//! each written to the audit log before it is done.

use crate::Directory;
use crate::service::{Service, ServiceError};
use core::time::Duration;
use fax_store::StoreError;
use fax_store::model::{
    AccountId, Audit, Entry, EntryKind, Folder, Job, JobState, Received, Timestamp, filed_id,
};
use fax_store::port::{Guard, JobChange, JobQuery, Range, ReceivedQuery};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;

/// Faxes looked at in one step.
const BATCH: usize = 100;
/// For so long a node has the duty without saying so again.
const DUTY: Duration = Duration::from_secs(600);
/// The duty's name.
const NAME: &str = "retention";

/// How long the faxes of an account are kept; `None`: until somebody removes them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retention {
    /// Jobs that were delivered, or perhaps delivered.
    pub sent: Option<Duration>,
    /// Faxes that were received whole.
    pub received: Option<Duration>,
    /// Jobs that failed or were called off, and receptions that failed.
    pub failed: Option<Duration>,
    /// The documents of all of them; what is known of the fax stays.
    pub documents: Option<Duration>,
    /// What was handed in is kept after the end of the job.
    pub originals: bool,
    /// What is fetched is kept, too: as if it had been handed in.
    pub fetched: bool,
    /// The fax pages are kept after the end of the job; without them they are made again from the original when
    /// somebody asks for them.
    pub pages: bool,
}

impl Default for Retention {
    /// Everything, for ever.
    fn default() -> Self {
        Retention {
            sent: None,
            received: None,
            failed: None,
            documents: None,
            originals: true,
            fetched: true,
            pages: true,
        }
    }
}

/// What an account that was made over REST says of its own (`fax.retention`); the rest is as everywhere. Days; 0: for ever.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OwnRetention {
    /// See [`Retention::sent`].
    pub sent_days: Option<u32>,
    /// See [`Retention::received`].
    pub received_days: Option<u32>,
    /// See [`Retention::failed`].
    pub failed_days: Option<u32>,
    /// See [`Retention::documents`].
    pub documents_days: Option<u32>,
    /// See [`Retention::originals`].
    pub store_original: Option<bool>,
    /// See [`Retention::fetched`].
    pub store_url_document: Option<bool>,
    /// See [`Retention::pages`].
    pub store_fax_tiff: Option<bool>,
}

impl OwnRetention {
    /// With what is usual where nothing is said.
    #[must_use]
    pub fn over(self, usual: Retention) -> Retention {
        let days = |own: Option<u32>, usual| match own {
            None => usual,
            Some(0) => None,
            Some(days) => Some(Duration::from_secs(u64::from(days) * 86_400)),
        };
        Retention {
            sent: days(self.sent_days, usual.sent),
            received: days(self.received_days, usual.received),
            failed: days(self.failed_days, usual.failed),
            documents: days(self.documents_days, usual.documents),
            originals: self.store_original.unwrap_or(usual.originals),
            fetched: self.store_url_document.unwrap_or(usual.fetched),
            pages: self.store_fax_tiff.unwrap_or(usual.pages),
        }
    }
}

/// How long faxes are kept.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RetentionRules {
    /// Of accounts that say nothing.
    pub everywhere: Retention,
    /// Of those that do.
    pub accounts: HashMap<AccountId, Retention>,
}

/// What becomes of a fax.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Keep,
    /// Its documents go.
    Strip {
        original: bool,
        pages: bool,
    },
    Remove,
}

fn over(age: Duration, kept: Option<Duration>) -> bool {
    kept.is_some_and(|kept| age >= kept)
}

impl Retention {
    /// The age from which on there may be something to do.
    fn shortest(&self) -> Option<Duration> {
        if !self.originals || !self.pages {
            return Some(Duration::ZERO);
        }
        [self.sent, self.received, self.failed, self.documents].into_iter().flatten().min()
    }

    fn of_job(&self, job: &Job, now: Timestamp) -> Verdict {
        let age = now.since(job.modified);
        let kept = match job.state {
            JobState::Completed | JobState::Uncertain => self.sent,
            JobState::Failed | JobState::Cancelled => self.failed,
            JobState::Converting | JobState::Pending | JobState::Locked | JobState::Processing => {
                return Verdict::Keep;
            }
        };
        if over(age, kept) {
            return Verdict::Remove;
        }
        let all = over(age, self.documents);
        // Without one of the two there would be nothing to make the other from.
        let original = (all || !self.originals) && job.source.original().is_some();
        let pages =
            (all || !self.pages && job.source.original().is_some() && !original) && job.document.is_some();
        if original || pages { Verdict::Strip { original, pages } } else { Verdict::Keep }
    }

    fn of_reception(&self, fax: &Received, now: Timestamp) -> Verdict {
        let age = now.since(fax.created);
        if over(age, if fax.success { self.received } else { self.failed }) {
            Verdict::Remove
        } else if over(age, self.documents) && fax.document.is_some() {
            Verdict::Strip { original: false, pages: true }
        } else {
            Verdict::Keep
        }
    }
}

impl RetentionRules {
    /// Those of an account.
    #[must_use]
    pub fn of(&self, account: &AccountId) -> Retention {
        self.accounts.get(account).copied().unwrap_or(self.everywhere)
    }

    /// With what accounts of the directory say of their own; the configuration's word comes first.
    fn with(mut self, directory: &Directory) -> Self {
        let own = directory.accounts().filter(|a| a.retention != OwnRetention::default());
        for account in own {
            let kept = account.retention.over(self.everywhere);
            self.accounts.entry(account.id.clone()).or_insert(kept);
        }
        self
    }

    /// Which faxes have to be looked at: of one account or of all, and from which age on.
    fn walks(&self) -> Vec<(Option<AccountId>, Duration)> {
        let own = self.accounts.iter().filter_map(|(id, r)| Some((Some(id.clone()), r.shortest()?)));
        own.chain(self.everywhere.shortest().map(|age| (None, age))).collect()
    }
}

/// Which faxes are gone through.
#[derive(Clone, Copy)]
pub(crate) enum List {
    /// Jobs that have ended.
    Jobs,
    /// Faxes that came in.
    Received,
}

/// A fax that may have been kept long enough.
pub(crate) enum Old {
    Job(Box<Job>),
    Received(Box<Received>),
}

impl Old {
    /// Where the next page of the list goes on.
    fn place(&self) -> (Timestamp, String) {
        match self {
            Old::Job(job) => (job.created, job.id.to_string()),
            Old::Received(fax) => (fax.created, fax.id.to_string()),
        }
    }

    fn verdict(&self, rules: &RetentionRules, now: Timestamp) -> Verdict {
        match self {
            Old::Job(job) => rules.of(&job.account).of_job(job, now),
            Old::Received(fax) => rules.of(&fax.account).of_reception(fax, now),
        }
    }

    /// What the audit log says of its removal.
    fn record(&self, verdict: Verdict, now: Timestamp) -> Audit {
        let (list, account) = match self {
            Old::Job(job) => ("outbox", &job.account),
            Old::Received(fax) => ("inbox", &fax.account),
        };
        let (created, id) = self.place();
        let fax = format!("faxes/{list}/{}", filed_id(created, &id));
        let subject = match verdict {
            Verdict::Remove | Verdict::Keep => fax,
            Verdict::Strip { original: true, pages: false } => format!("{fax}/original"),
            Verdict::Strip { .. } => format!("{fax}/attachment"),
        };
        Audit {
            id: fax_store::model::NoticeId::generate().to_string(),
            account: account.clone(),
            at: now,
            who: NAME.into(),
            of: account.clone(),
            remote: String::new(),
            action: "delete".into(),
            subject,
            request: String::new(),
            status: None,
        }
    }
}

impl Service {
    /// How long an account's faxes are kept: as the configuration says, else the account itself, else as everywhere.
    pub(crate) fn retention_of(&self, account: &AccountId) -> Retention {
        let (config, directory) = (self.config(), self.directory());
        let rules = &config.retention;
        let own = || directory.account(account).map(|a| a.retention.over(rules.everywhere));
        rules.accounts.get(account).copied().or_else(own).unwrap_or(rules.everywhere)
    }

    /// Removes what has been kept long enough, if no other node does.
    pub(crate) async fn purge_faxes(&self) {
        let rules = self.config().retention.clone().with(&self.directory());
        for (account, age) in rules.walks() {
            let before = self.now().minus(age);
            let done = async {
                for list in [List::Jobs, List::Received] {
                    if !self.purge_list(&rules, list, account.as_ref(), before).await? {
                        return Ok::<bool, StoreError>(false);
                    }
                }
                Ok(true)
            };
            match done.await {
                Ok(true) => {}
                Ok(false) => return,
                Err(e) => return tracing::warn!(error = %e, "old faxes could not be removed"),
            }
        }
    }

    /// Whether this node has the duty, for some time from now on.
    pub(crate) async fn has_duty(&self) -> bool {
        let (now, node) = (self.now(), self.config().node.to_string());
        if let Err(e) = self.refresh().await {
            tracing::warn!(error = %e, "it is not known which node removes old faxes");
            return false;
        }
        let found = self.directory().entry(EntryKind::Duty, NAME).map(|e| Entry::clone(e));
        let mut entry = found.unwrap_or_else(|| Entry::new(EntryKind::Duty, NAME, AccountId::default(), now));
        let holder = entry.hidden.get("node").and_then(Value::as_str).unwrap_or_default().to_owned();
        let until = Timestamp(entry.hidden.get("until").and_then(Value::as_i64).unwrap_or(i64::MIN));
        if holder != node && until > now {
            return false;
        }
        if holder == node && until > now.plus(DUTY / 2) {
            return true;
        }
        entry.modified = now;
        entry.hidden.insert("node".into(), node.into());
        entry.hidden.insert("until".into(), now.plus(DUTY).0.into());
        match self.put_entries(vec![entry]).await {
            Ok(_) => true,
            // Another node was first.
            Err(ServiceError::Conflict(_)) => false,
            Err(e) => {
                tracing::warn!(error = %e, "old faxes wait for the store");
                false
            }
        }
    }

    /// Goes through the faxes of a list that ended or came before a time. `false`: another node does it.
    async fn purge_list(
        &self,
        rules: &RetentionRules,
        list: List,
        account: Option<&AccountId>,
        before: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut after = None;
        loop {
            let range = Range { to: before, ascending: true, after, limit: BATCH, ..Range::default() };
            let faxes = self.old(list, account.cloned(), range).await?;
            let Some(last) = faxes.last() else { return Ok(true) };
            after = Some(last.place());
            let more = faxes.len() == BATCH;
            let now = self.now();
            let judged = faxes.into_iter().map(|f| (f.verdict(rules, now), f));
            let due: Vec<(Verdict, Old)> = judged.filter(|(v, _)| *v != Verdict::Keep).collect();
            if !due.is_empty() {
                if !self.has_duty().await {
                    return Ok(false);
                }
                let records = due.iter().map(|(v, f)| f.record(*v, now)).collect();
                self.inner.ports.store.insert_audit(records).await?;
                for (verdict, fax) in due {
                    match fax {
                        Old::Job(job) => self.purge_job(verdict, &job).await?,
                        Old::Received(fax) => self.purge_received(verdict, &fax).await?,
                    }
                }
            }
            if !more {
                return Ok(true);
            }
        }
    }

    pub(crate) async fn old(
        &self,
        list: List,
        account: Option<AccountId>,
        range: Range,
    ) -> Result<Vec<Old>, StoreError> {
        let store = &self.inner.ports.store;
        Ok(match list {
            List::Jobs => {
                let folder = Some(Folder::Filed);
                let query = JobQuery { account, folder, faxbox: None, states: Vec::new(), range };
                store.jobs(query).await?.into_iter().map(|job| Old::Job(Box::new(job))).collect()
            }
            List::Received => {
                let query = ReceivedQuery { account, faxbox: None, range };
                store
                    .received_list(query)
                    .await?
                    .into_iter()
                    .map(|fax| Old::Received(Box::new(fax)))
                    .collect()
            }
        })
    }

    /// Removes a fax and its documents, whatever its age.
    pub(crate) async fn remove(&self, fax: &Old) -> Result<(), StoreError> {
        match fax {
            Old::Job(job) => self.purge_job(Verdict::Remove, job).await,
            Old::Received(fax) => self.purge_received(Verdict::Remove, fax).await,
        }
    }

    async fn purge_job(&self, verdict: Verdict, job: &Job) -> Result<(), StoreError> {
        let store = &self.inner.ports.store;
        let (original, pages) = match verdict {
            Verdict::Keep => return Ok(()),
            Verdict::Remove => {
                if !gone(store.delete_job(&job.id).await)? {
                    return Ok(());
                }
                (true, true)
            }
            Verdict::Strip { original, pages } => {
                if !gone(
                    store
                        .update_job(&job.id, Guard::Any, stripping(original, pages), Vec::new())
                        .await
                        .map(|_| ()),
                )? {
                    return Ok(());
                }
                (original, pages)
            }
        };
        for key in job
            .source
            .original()
            .filter(|_| original)
            .into_iter()
            .chain(job.document.iter().filter(|_| pages))
        {
            self.forget(key).await;
        }
        Ok(())
    }

    async fn purge_received(&self, verdict: Verdict, fax: &Received) -> Result<(), StoreError> {
        let store = &self.inner.ports.store;
        let gone = gone(match verdict {
            Verdict::Keep => return Ok(()),
            Verdict::Remove => store.delete_received(&fax.id).await,
            Verdict::Strip { .. } => store.strip_received(&fax.id).await.map(|_| ()),
        })?;
        if gone && let Some(key) = &fax.document {
            self.forget(key).await;
        }
        Ok(())
    }
}

/// What takes the documents of a job that is done with.
fn stripping(no_original: bool, no_pages: bool) -> JobChange {
    Box::new(move |j| {
        if !j.state.is_final() {
            return Err(StoreError::Refused("the fax is in the queue".into()));
        }
        if no_original {
            j.source.strip();
        }
        if no_pages {
            j.document = None;
        }
        Ok(())
    })
}

/// Whether it is gone: what somebody else has removed meanwhile is, what was begun anew meanwhile is not.
fn gone(done: Result<(), StoreError>) -> Result<bool, StoreError> {
    match done {
        Ok(()) | Err(StoreError::NotFound) => Ok(true),
        Err(StoreError::Refused(_)) => Ok(false),
        Err(other) => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fax_store::model::{JobState, Source};

    #[test]
    fn what_was_begun_anew_since_the_list_was_made_keeps_its_documents() {
        let original = fax_store::model::DocumentKey::new("original");
        let source =
            Source::Stored { original: original.clone(), content_type: "image/tiff".into(), file_name: None };
        let mut job = Job::new("a".into(), "+1", source, Timestamp(0));
        job.document = Some(original.clone());
        for state in [JobState::Converting, JobState::Pending, JobState::Processing] {
            job.state = state;
            assert!(matches!(stripping(true, true)(&mut job), Err(StoreError::Refused(_))), "{state:?}");
            assert_eq!((job.source.original(), &job.document), (Some(&original), &Some(original.clone())));
        }
        job.state = JobState::Failed;
        stripping(true, true)(&mut job).unwrap();
        assert_eq!((job.source, job.document), (Source::Removed, None));
    }
}
