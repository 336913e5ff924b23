//! A node's name is one process's: its session has a lock on it.

use super::unavailable;
use crate::model::NodeId;
use crate::port::StoreError;
use core::time::Duration;
use sqlx::Connection as _;
use sqlx::postgres::{PgConnection, PgPool};

/// The first half of the advisory locks on names of nodes.
const NODE: i32 = 0x6665_7272;
/// How often a name is asked for that another session has, with a pause in between: the server notices in this time that a
/// node is gone that lost its power.
const CLAIMS: u32 = 20;
const CLAIM_AGAIN: Duration = Duration::from_millis(1500);
/// How long the session may take to show that it is there.
const ALIVE: Duration = Duration::from_secs(5);
/// The session does nothing for as long as the node runs. PostgreSQL 13 has no such limit.
const UNLIMITED: &str =
    "select set_config(name, '0', false) from pg_settings where name = 'idle_session_timeout'";

/// A session that has a node's name for as long as it lives.
#[derive(Debug)]
pub(super) struct Claim {
    node: NodeId,
    session: PgConnection,
    /// Which of the server's processes it is: its number and when it began, seconds.
    process: (i32, f64),
}

impl Claim {
    /// Waits for the name.
    pub(super) async fn take(pool: &PgPool, node: &NodeId) -> Result<Claim, StoreError> {
        let mut session = session(pool).await?;
        for turn in 0..CLAIMS {
            if turn > 0 {
                tokio::time::sleep(CLAIM_AGAIN).await;
            }
            if ask(&mut session, node).await? {
                return Claim::of(node, session).await;
            }
        }
        Err(taken(node))
    }

    async fn of(node: &NodeId, mut session: PgConnection) -> Result<Claim, StoreError> {
        let process = sqlx::query_as(
            "select pid, extract(epoch from backend_start)::float8 from pg_stat_activity where pid = pg_backend_pid()",
        );
        let process = process.fetch_one(&mut session).await.map_err(unavailable)?;
        Ok(Claim { node: node.clone(), session, process })
    }

    /// Takes the name again if the session is gone, as it is when the server was restarted.
    pub(super) async fn keep(&mut self, pool: &PgPool) -> Result<(), StoreError> {
        if matches!(tokio::time::timeout(ALIVE, self.session.ping()).await, Ok(Ok(()))) {
            return Ok(());
        }
        let mut session = session(pool).await?;
        if ask(&mut session, &self.node).await? {
            tracing::warn!(node = %self.node, "the session that had the node's name was lost; it is taken again");
            *self = Claim::of(&self.node, session).await?;
            return Ok(());
        }
        // Nobody else can have it while the server still believes in the session that is lost.
        let (pid, began) = self.process;
        let ours: bool = sqlx::query_scalar(
            "select exists (select from pg_stat_activity
             where pid = $1 and extract(epoch from backend_start)::float8 = $2)",
        )
        .bind(pid)
        .bind(began)
        .fetch_one(&mut session)
        .await
        .map_err(unavailable)?;
        if ours {
            return Err(StoreError::Unavailable(
                "the session that has the node's name does not answer".into(),
            ));
        }
        Err(taken(&self.node))
    }

    /// Gives the name back.
    pub(super) async fn close(self) {
        // It is free when the session is gone, however it goes.
        let _ = self.session.close().await;
    }
}

/// A session outside of the pool.
async fn session(pool: &PgPool) -> Result<PgConnection, StoreError> {
    let mut session = pool.acquire().await.map_err(unavailable)?.detach();
    sqlx::query(UNLIMITED).execute(&mut session).await.map_err(unavailable)?;
    Ok(session)
}

/// Takes the name if no other session has it.
async fn ask(session: &mut PgConnection, node: &NodeId) -> Result<bool, StoreError> {
    sqlx::query_scalar("select pg_try_advisory_lock($1, hashtext($2))")
        .bind(NODE)
        .bind(node.as_str())
        .fetch_one(session)
        .await
        .map_err(unavailable)
}

fn taken(node: &NodeId) -> StoreError {
    StoreError::Refused(format!("another node named {node} works on this database"))
}
