//! News of the queue from other nodes, by LISTEN and NOTIFY.

use sqlx::postgres::{PgConnection, PgListener, PgPool};
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::unavailable;
use crate::port::StoreError;
use core::time::Duration;

/// The channel's name.
const CHANNEL: &str = "ferrofax_queue";
/// How long to wait before the server is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// Tells of changes of the queue; ends listening when the last clone is dropped.
#[derive(Clone, Debug)]
pub(super) struct Changed {
    news: Arc<Notify>,
    _listening: Arc<Listening>,
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
        let news = Arc::new(Notify::new());
        let task = tokio::spawn(listen(pool, news.clone()));
        Changed { news, _listening: Arc::new(Listening(task.abort_handle())) }
    }

    pub(super) async fn wait(&self) {
        self.news.notified().await;
    }
}

async fn listen(pool: PgPool, news: Arc<Notify>) {
    loop {
        match hear(&pool, &news).await {
            // The pool is closed.
            Err(sqlx::Error::PoolClosed) => return,
            Err(e) => {
                tracing::warn!(error = %e, "news of the queue are not heard; it is looked at now and then")
            }
            Ok(()) => {}
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn hear(pool: &PgPool, news: &Notify) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    loop {
        // What was told while nobody listened is lost: every new connection is news.
        news.notify_one();
        while listener.try_recv().await?.is_some() {
            news.notify_one();
        }
    }
}

/// Tells all nodes that there may be something to take, when the transaction is committed.
pub(super) async fn tell(t: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query("select pg_notify($1, '')").bind(CHANNEL).execute(t).await.map_err(unavailable)?;
    Ok(())
}
