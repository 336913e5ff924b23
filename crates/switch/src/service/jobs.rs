//! Looking at jobs, calling them off, and looking at received faxes.

use super::{Service, ServiceError, Which};
use crate::event::Stage;
use crate::finish::{CHANGED, Turn, if_still};
use fax_store::StoreError;
use fax_store::model::{AccountId, FaxId, Job, JobId, Received, Timestamp};
use fax_store::model::{DocumentKey, JobState};
use fax_store::port::{Guard, JobChange, JobQuery, ReceivedQuery};

impl Service {
    /// A job of this account.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], also for a job of another account.
    pub async fn job(&self, account: &AccountId, id: &JobId) -> Result<Job, ServiceError> {
        let job = self.inner.ports.store.job(id).await?;
        job.filter(|j| j.account == *account).ok_or(ServiceError::NotFound)
    }

    /// Jobs.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`].
    pub async fn jobs(&self, query: JobQuery) -> Result<Vec<Job>, ServiceError> {
        Ok(self.inner.ports.store.jobs(query).await?)
    }

    /// A received fax of this account.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], also for a fax of another account.
    pub async fn fax(&self, account: &AccountId, id: &FaxId) -> Result<Received, ServiceError> {
        let fax = self.inner.ports.store.received(id).await?;
        fax.filter(|f| f.account == *account).ok_or(ServiceError::NotFound)
    }

    /// Received faxes.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`].
    pub async fn faxes(&self, query: ReceivedQuery) -> Result<Vec<Received>, ServiceError> {
        Ok(self.inner.ports.store.received_list(query).await?)
    }
}

/// What calls a job off at `now`, whoever holds it.
#[must_use]
pub fn cancelling(now: Timestamp) -> JobChange {
    Box::new(move |j| {
        if j.state.is_final() {
            return Err(StoreError::Refused("the fax is done with already".into()));
        }
        if j.lease.is_some() {
            j.cancel = true;
        } else {
            j.state = JobState::Cancelled;
            j.reason = Some("The fax was called off.".into());
        }
        j.modified = now;
        Ok(())
    })
}

/// In [`Job::client`] of a job whose front took it back.
const TAKEN_BACK: &str = "pvt_taken_back";

/// Whether a job was taken back by its front: nobody was told that it was accepted.
#[must_use]
pub fn is_taken_back(job: &Job) -> bool {
    job.client.contains_key(TAKEN_BACK)
}

/// What brings a job back into the queue, due at `now`.
#[must_use]
pub fn restarting(now: Timestamp) -> JobChange {
    Box::new(move |j| {
        let lost = j.lease.as_ref().is_some_and(|l| l.until <= now);
        if j.state == JobState::Completed {
            return Err(StoreError::Refused("the fax was delivered already".into()));
        }
        if j.lease.is_some() && !lost {
            return Err(StoreError::Refused("the fax is in work".into()));
        }
        if j.state.is_final() {
            j.begun = now;
            j.attempts_counted = 0;
            j.conversions = 0;
            // What came was no document: perhaps there is one now.
            if j.pages == 0 {
                j.source.fetch_anew();
            }
        }
        j.state = if j.document.is_some() { JobState::Pending } else { JobState::Converting };
        j.lease = None;
        j.cancel = false;
        j.reason = None;
        j.not_before = now;
        j.modified = now;
        Ok(())
    })
}

impl Service {
    /// Calls a job off. One that waits is Cancelled at once; one with a call in progress when the call
    /// has been cleared: its `cancel` is true until then.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`]; [`ServiceError::Conflict`] for a job that is done with.
    pub async fn cancel(&self, account: &AccountId, id: &JobId) -> Result<Job, ServiceError> {
        self.call_off(account, id, || cancelling(self.now())).await
    }

    /// Calls a job off that its front could not accept after all, such as one of a mail of which another fax was refused:
    /// [`is_taken_back`] is true of it from then on.
    ///
    /// # Errors
    ///
    /// As [`Service::cancel`].
    pub async fn take_back(&self, account: &AccountId, id: &JobId) -> Result<Job, ServiceError> {
        let change = || -> JobChange {
            let cancel = cancelling(self.now());
            Box::new(move |j| {
                cancel(j)?;
                j.client.insert(TAKEN_BACK.into(), true.into());
                Ok(())
            })
        };
        self.call_off(account, id, change).await
    }

    async fn call_off(
        &self,
        account: &AccountId,
        id: &JobId,
        change: impl Fn() -> JobChange,
    ) -> Result<Job, ServiceError> {
        let store = &self.inner.ports.store;
        let job = loop {
            let read = self.job(account, id).await?;
            let mut then = read.clone();
            change()(&mut then)?;
            let told = self.told_of_turn(&then, false);
            match store.update_job(id, Guard::Any, if_still(read, change()), told).await {
                Err(StoreError::Refused(why)) if why == CHANGED => {}
                done => break done?,
            }
        };
        if job.state == JobState::Cancelled {
            self.tell_job(&job, Stage::Error, "fax was cancelled".into(), None);
            self.inner.metrics.ended(&job, &Turn::CalledOff);
            self.inner.wake_hooks.notify_one();
        } else {
            self.inner.running.call_off(id, crate::running::Why::Sender);
        }
        // Another job to the same number may go now.
        self.inner.wake.notify_one();
        Ok(job)
    }

    /// Sends a job that waits at once, and one that was given up, called off or is uncertain again, as often as it was
    /// allowed before. Pages that were confirmed are not sent again.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`]; [`ServiceError::Conflict`] for a job that is in work or was delivered.
    pub async fn restart(&self, account: &AccountId, id: &JobId) -> Result<Job, ServiceError> {
        let old = self.job(account, id).await?;
        let store = &self.inner.ports.store;
        let job = store.update_job(id, Guard::Any, restarting(self.now()), vec![]).await?;
        if let Some(key) = old.source.original().filter(|_| job.source.original().is_none()) {
            self.forget(key).await;
        }
        self.tell_job(&job, Stage::Prepare, "waiting in the queue".into(), None);
        self.inner.wake.notify_one();
        Ok(job)
    }

    /// Removes a job that is done with, and its documents.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`]; [`ServiceError::Conflict`] for a job that is still in the queue.
    pub async fn delete_job(&self, account: &AccountId, id: &JobId) -> Result<(), ServiceError> {
        let job = self.job(account, id).await?;
        if !job.state.is_final() {
            return Err(ServiceError::Conflict("the fax is still in the queue".into()));
        }
        self.inner.ports.store.delete_job(id).await?;
        for key in [job.source.original(), job.document.as_ref()].into_iter().flatten() {
            self.forget(key).await;
        }
        Ok(())
    }

    /// Removes the documents of a fax that is done with; its record stays.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`]; [`ServiceError::NoDocument`] for one that has none; [`ServiceError::Conflict`] for a
    /// job that is still in the queue.
    pub async fn delete_documents(&self, account: &AccountId, which: &Which) -> Result<(), ServiceError> {
        let store = &self.inner.ports.store;
        let gone: Vec<DocumentKey> = match which {
            Which::Job(id) => {
                let job = self.job(account, id).await?;
                let change: JobChange = Box::new(|j| {
                    if !j.state.is_final() {
                        return Err(StoreError::Refused("the fax is still in the queue".into()));
                    }
                    j.document = None;
                    j.source.strip();
                    Ok(())
                });
                store.update_job(id, Guard::Any, change, vec![]).await?;
                [job.source.original(), job.document.as_ref()].into_iter().flatten().cloned().collect()
            }
            Which::Fax(id) => {
                self.fax(account, id).await?;
                store.strip_received(id).await?.document.into_iter().collect()
            }
        };
        for key in &gone {
            self.forget(key).await;
        }
        if gone.is_empty() { Err(ServiceError::NoDocument) } else { Ok(()) }
    }

    /// Removes a received fax and its document.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`].
    pub async fn delete_fax(&self, account: &AccountId, id: &FaxId) -> Result<(), ServiceError> {
        let fax = self.fax(account, id).await?;
        self.inner.ports.store.delete_received(id).await?;
        if let Some(key) = &fax.document {
            self.forget(key).await;
        }
        Ok(())
    }

    /// Removes a document that no row names any more. What cannot be removed now is swept later.
    pub(crate) async fn forget(&self, key: &DocumentKey) {
        let ports = &self.inner.ports;
        if let Ok(false) = ports.store.is_named(key).await
            && let Err(e) = ports.documents.delete(key).await
        {
            tracing::warn!(document = %key, error = %e, "a document could not be removed");
        }
    }
}
