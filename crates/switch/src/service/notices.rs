//! The mail outbox: notices that the mailer takes, sends and ticks off.

use super::{Service, ServiceError};
use core::time::Duration;
use fax_store::model::{Notice, NoticeId};

impl Service {
    /// Notices that are due, at least one and at most `limit`: waits for them.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`]: wait a little before trying again.
    pub async fn next_notices(&self, limit: usize) -> Result<Vec<Notice>, ServiceError> {
        let ports = &self.inner.ports;
        loop {
            let woken = self.inner.wake_notices.notified();
            let due = ports.store.notices_due(ports.clock.now(), limit.max(1)).await?;
            if !due.is_empty() {
                return Ok(due);
            }
            match ports.store.next_notice().await? {
                None => woken.await,
                Some(at) => tokio::select! {
                    () = woken => {}
                    () = ports.clock.sleep_until(at) => {}
                },
            }
        }
    }

    /// The notice was sent, or is given up.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], [`ServiceError::Unavailable`].
    pub async fn notice_done(&self, id: &NoticeId) -> Result<(), ServiceError> {
        Ok(self.inner.ports.store.notice_done(id).await?)
    }

    /// Sending the notice failed; it is due again after this time.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], [`ServiceError::Unavailable`].
    pub async fn notice_retry(&self, id: &NoticeId, after: Duration) -> Result<(), ServiceError> {
        let at = self.now().plus(after);
        self.inner.ports.store.notice_retry(id, at).await?;
        self.inner.wake_notices.notify_one();
        Ok(())
    }
}
