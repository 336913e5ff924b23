//! How long faxes and their documents are kept, by account, and their removal: by one node at a time, in small steps,
//! each written to the audit log before it is done.

use crate::service::{Service, ServiceError};
use core::time::Duration;
use fax_store::StoreError;
use fax_store::model::{
    AccountId, Audit, Entry, EntryKind, Folder, Job, JobId, JobState, Received, Source, Timestamp, filed_id,
};
use fax_store::port::{Guard, JobChange, JobQuery, Range, ReceivedQuery};
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
    /// The fax pages are kept after the end of the job; without them they are made again from the original when
    /// somebody asks for them.
    pub pages: bool,
}

impl Default for Retention {
    /// Everything, for ever.
    fn default() -> Self {
        Retention { sent: None, received: None, failed: None, documents: None, originals: true, pages: true }
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

    fn job(&self, job: &Job, now: Timestamp) -> Verdict {
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

    fn received(&self, fax: &Received, now: Timestamp) -> Verdict {
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

    /// Which faxes have to be looked at: of one account or of all, and from which age on.
    fn walks(&self) -> Vec<(Option<AccountId>, Duration)> {
        let own = self.accounts.iter().filter_map(|(id, r)| Some((Some(id.clone()), r.shortest()?)));
        own.chain(self.everywhere.shortest().map(|age| (None, age))).collect()
    }
}

impl Service {
    /// Removes what has been kept long enough, if no other node does.
    pub(crate) async fn purge_faxes(&self) {
        let rules = self.config().retention.clone();
        for (account, age) in rules.walks() {
            let before = self.now().minus(age);
            let done = async {
                self.purge_jobs(&rules, account.as_ref(), before).await?;
                self.purge_received(&rules, account.as_ref(), before).await
            };
            match done.await {
                Ok(true) => {}
                Ok(false) => return,
                Err(e) => return tracing::warn!(error = %e, "old faxes could not be removed"),
            }
        }
    }

    /// Whether this node has the duty, for some time from now on.
    async fn has_duty(&self) -> bool {
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

    /// Jobs that ended before a time. `false`: another node does it.
    async fn purge_jobs(
        &self,
        rules: &RetentionRules,
        account: Option<&AccountId>,
        before: Timestamp,
    ) -> Result<bool, StoreError> {
        let store = &self.inner.ports.store;
        let mut after = None;
        loop {
            let range = Range { to: before, ascending: true, after, limit: BATCH, ..Range::default() };
            let query = JobQuery {
                account: account.cloned(),
                folder: Some(Folder::Filed),
                faxbox: None,
                states: Vec::new(),
                range,
            };
            let jobs = store.jobs(query).await?;
            let Some(last) = jobs.last() else { return Ok(true) };
            after = Some((last.created, last.id.to_string()));
            let more = jobs.len() == BATCH;
            let now = self.now();
            let judged = jobs.into_iter().map(|j| (rules.of(&j.account).job(&j, now), j));
            let due: Vec<(Verdict, Job)> = judged.filter(|(v, _)| *v != Verdict::Keep).collect();
            if !due.is_empty() {
                if !self.has_duty().await {
                    return Ok(false);
                }
                let subject = |j: &Job| format!("faxes/outbox/{}", filed_id(j.created, j.id.as_str()));
                let records = due.iter().map(|(v, j)| record(*v, &j.account, subject(j), now)).collect();
                store.insert_audit(records).await?;
                for (verdict, job) in due {
                    self.purge_job(verdict, &job).await?;
                }
            }
            if !more {
                return Ok(true);
            }
        }
    }

    async fn purge_job(&self, verdict: Verdict, job: &Job) -> Result<(), StoreError> {
        let store = &self.inner.ports.store;
        let (original, pages) = match verdict {
            Verdict::Keep => return Ok(()),
            Verdict::Remove => {
                gone(store.delete_job(&job.id).await)?;
                (true, true)
            }
            Verdict::Strip { original, pages } => {
                gone(self.strip(&job.id, original, pages).await)?;
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

    async fn strip(&self, id: &JobId, no_original: bool, no_pages: bool) -> Result<(), StoreError> {
        let change: JobChange = Box::new(move |j| {
            if no_original && j.source.original().is_some() {
                j.source = Source::Removed;
            }
            if no_pages {
                j.document = None;
            }
            Ok(())
        });
        self.inner.ports.store.update_job(id, Guard::Any, change, Vec::new()).await.map(|_| ())
    }

    /// Received faxes that came before a time. `false`: another node does it.
    async fn purge_received(
        &self,
        rules: &RetentionRules,
        account: Option<&AccountId>,
        before: Timestamp,
    ) -> Result<bool, StoreError> {
        let store = &self.inner.ports.store;
        let mut after = None;
        loop {
            let range = Range { to: before, ascending: true, after, limit: BATCH, ..Range::default() };
            let query = ReceivedQuery { account: account.cloned(), faxbox: None, range };
            let faxes = store.received_list(query).await?;
            let Some(last) = faxes.last() else { return Ok(true) };
            after = Some((last.created, last.id.to_string()));
            let more = faxes.len() == BATCH;
            let now = self.now();
            let judged = faxes.into_iter().map(|f| (rules.of(&f.account).received(&f, now), f));
            let due: Vec<(Verdict, Received)> = judged.filter(|(v, _)| *v != Verdict::Keep).collect();
            if !due.is_empty() {
                if !self.has_duty().await {
                    return Ok(false);
                }
                let subject = |f: &Received| format!("faxes/inbox/{}", filed_id(f.created, f.id.as_str()));
                let records = due.iter().map(|(v, f)| record(*v, &f.account, subject(f), now)).collect();
                store.insert_audit(records).await?;
                for (verdict, fax) in due {
                    gone(match verdict {
                        Verdict::Remove => store.delete_received(&fax.id).await,
                        Verdict::Strip { .. } => store.strip_received(&fax.id).await.map(|_| ()),
                        Verdict::Keep => Ok(()),
                    })?;
                    if let Some(key) = &fax.document {
                        self.forget(key).await;
                    }
                }
            }
            if !more {
                return Ok(true);
            }
        }
    }
}

/// What somebody else has removed meanwhile is gone as well.
fn gone(done: Result<(), StoreError>) -> Result<(), StoreError> {
    match done {
        Err(StoreError::NotFound) => Ok(()),
        other => other,
    }
}

fn record(verdict: Verdict, account: &AccountId, fax: String, now: Timestamp) -> Audit {
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
