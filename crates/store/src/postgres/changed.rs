//! News of the queue and of entries from other nodes, by LISTEN and NOTIFY.

use sqlx::postgres::{PgConnection, PgListener, PgPool};
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::unavailable;
use crate::port::StoreError;
use core::time::Duration;

/// The channels' names.
const QUEUE: &str = "ferrofax_queue";
const ENTRIES: &str = "ferrofax_entries";
/// How long to wait before the server is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// Tells of changes; ends listening when the last clone is dropped.
#[derive(Clone, Debug)]
pub(super) struct Changed {
    news: Arc<News>,
    _listening: Arc<Listening>,
}

#[derive(Debug, Default)]
struct News {
    queue: Notify,
    entries: Notify,
}

#[derive(Debug)]
struct Listening(AbortHandle);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Changed {
    pub(super) fn start(pool: PgPool) -> Self {
        let news = Arc::new(News::default());
        let task = tokio::spawn(listen(pool, news.clone()));
        Changed { news, _listening: Arc::new(Listening(task.abort_handle())) }
    }

    pub(super) async fn wait(&self) {
        self.news.queue.notified().await;
    }

    pub(super) async fn wait_for_entries(&self) {
        self.news.entries.notified().await;
    }
}

async fn listen(pool: PgPool, news: Arc<News>) {
    loop {
        match hear(&pool, &news).await {
            // The pool is closed.
            Err(sqlx::Error::PoolClosed) => return,
            Err(e) => {
                tracing::warn!(error = %e, "news of other nodes are not heard; rows are looked at now and then")
            }
            Ok(()) => {}
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn hear(pool: &PgPool, news: &News) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen_all([QUEUE, ENTRIES]).await?;
    loop {
        // What was told while nobody listened is lost: every new connection is news.
        news.queue.notify_one();
        news.entries.notify_one();
        while let Some(told) = listener.try_recv().await? {
            let of = if told.channel() == ENTRIES { &news.entries } else { &news.queue };
            of.notify_one();
        }
    }
}

/// Tells all nodes that there may be something to take, when the transaction is committed.
pub(super) async fn tell(t: &mut PgConnection) -> Result<(), StoreError> {
    notify(t, QUEUE).await
}

/// Tells all nodes that entries were changed, when the transaction is committed.
pub(super) async fn tell_entries(t: &mut PgConnection) -> Result<(), StoreError> {
    notify(t, ENTRIES).await
}

async fn notify(t: &mut PgConnection, channel: &str) -> Result<(), StoreError> {
    sqlx::query("select pg_notify($1, '')").bind(channel).execute(t).await.map_err(unavailable)?;
    Ok(())
}
