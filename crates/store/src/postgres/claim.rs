//! A node's name is one process's: its session has a lock on it.

use super::unavailable;
use crate::model::NodeId;
use crate::port::StoreError;
use core::time::Duration;
use sqlx::postgres::PgConnection;

/// The first half of the advisory locks on names of nodes.
const NODE: i32 = 0x6665_7272;
/// How often a name is asked for that another session has, with a pause in between: the server notices in this time that a
/// node is gone that lost its power.
const CLAIMS: u32 = 20;
const CLAIM_AGAIN: Duration = Duration::from_millis(1500);

/// Waits for the name; the session that is given back has it for as long as it lives.
pub(super) async fn take(mut session: PgConnection, node: &NodeId) -> Result<PgConnection, StoreError> {
    for turn in 0..CLAIMS {
        if turn > 0 {
            tokio::time::sleep(CLAIM_AGAIN).await;
        }
        let ours: bool = sqlx::query_scalar("select pg_try_advisory_lock($1, hashtext($2))")
            .bind(NODE)
            .bind(node.as_str())
            .fetch_one(&mut session)
            .await
            .map_err(unavailable)?;
        if ours {
            return Ok(session);
        }
    }
    Err(StoreError::Refused(format!("another node named {node} works on this database")))
}
