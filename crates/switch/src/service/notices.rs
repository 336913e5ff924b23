//! The mail outbox: notices that the mailer takes, sends and ticks off.

use super::{Service, ServiceError};
use core::time::Duration;
use fax_store::model::{Notice, NoticeId};

impl Service {
    /// Begins again with the notices that this node was sending when it stopped.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`].
    pub async fn release_notices(&self) -> Result<(), ServiceError> {
        Ok(self.inner.ports.store.release_notices(&self.config().node, self.now()).await?)
    }

    /// This node is still sending the notice: no other takes it for one lease more.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Conflict`]: another node has it by now; [`ServiceError::NotFound`], [`ServiceError::Unavailable`].
    pub async fn keep_notice(&self, id: &NoticeId) -> Result<(), ServiceError> {
        let config = self.config();
        let until = self.now().plus(config.lease);
        Ok(self.inner.ports.store.keep_notice(id, &config.node, until).await?)
    }

    /// Notices that are due, at least one and at most `limit`: waits for them. No other node takes them while they
    /// are kept ([`Service::keep_notice`]) at least every third of the configured lease.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`]: wait a little before trying again.
    pub async fn next_notices(&self, limit: usize) -> Result<Vec<Notice>, ServiceError> {
        let ports = &self.inner.ports;
        loop {
            let woken = self.inner.wake_notices.notified();
            let (now, config) = (ports.clock.now(), self.config());
            let until = now.plus(config.lease);
            let due = ports.store.take_notices(&config.node, now, until, limit.max(1)).await?;
            if !due.is_empty() {
                return Ok(due);
            }
            // Nobody tells of those that another node wrote and did not send.
            let look = ports.store.next_notice().await?.map_or(until, |at| at.min(until));
            tokio::select! {
                () = woken => {}
                () = ports.clock.sleep_until(look) => {}
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

    /// Sending the notice failed but for those `served`, who need no further try; it is due again after this time.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], [`ServiceError::Unavailable`].
    pub async fn notice_retry(
        &self,
        id: &NoticeId,
        after: Duration,
        served: Vec<String>,
    ) -> Result<(), ServiceError> {
        let at = self.now().plus(after);
        self.inner.ports.store.notice_retry(id, at, served).await?;
        self.inner.wake_notices.notify_one();
        Ok(())
    }
}
