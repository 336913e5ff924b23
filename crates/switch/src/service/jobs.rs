//! Looking at jobs, calling them off, and looking at received faxes.

use super::{Service, ServiceError};
use fax_store::model::{AccountId, FaxId, Job, JobId, Received};
use fax_store::port::{JobQuery, ReceivedQuery};

impl Service {
    /// A job of this account.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], also for a job of another account.
    pub async fn job(&self, account: &AccountId, id: &JobId) -> Result<Job, ServiceError> {
        let job = self.inner.ports.store.job(id).await?;
        job.filter(|j| j.account == *account)
            .ok_or(ServiceError::NotFound)
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
        fax.filter(|f| f.account == *account)
            .ok_or(ServiceError::NotFound)
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

impl Service {
    /// Calls a job off. One that waits is Cancelled at once; one with a call in progress when the call
    /// has been cleared.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`]; [`ServiceError::Conflict`] for a job that is done with.
    pub async fn cancel(&self, account: &AccountId, id: &JobId) -> Result<Job, ServiceError> {
        let _ = (account, id);
        Err(ServiceError::Unavailable("not there yet".into()))
    }

    /// Removes a job that is done with, and its documents.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`]; [`ServiceError::Conflict`] for a job that is still in the queue.
    pub async fn delete_job(&self, account: &AccountId, id: &JobId) -> Result<(), ServiceError> {
        let _ = (account, id);
        Err(ServiceError::Unavailable("not there yet".into()))
    }

    /// Removes a received fax and its document.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`].
    pub async fn delete_fax(&self, account: &AccountId, id: &FaxId) -> Result<(), ServiceError> {
        let _ = (account, id);
        Err(ServiceError::Unavailable("not there yet".into()))
    }

    /// Runs the queue until `shutdown` becomes true (or its sender is gone); then takes no more jobs, gives running calls
    /// some time, gives back what is left, and comes back.
    pub async fn run(&self, shutdown: tokio::sync::watch::Receiver<bool>) {
        let mut shutdown = shutdown;
        let _ = shutdown.wait_for(|stop| *stop).await;
    }
}
