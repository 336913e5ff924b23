//! Bringing a file of an earlier layout to the present one, in the transaction that opens it.

use super::tables::Tables;
use super::writer::Fault;
use crate::model::Priority;
use ::redb::{ReadableTable, TableDefinition, WriteTransaction};

/// Layout 3: (account, not before, job) → number: pending jobs that are not parked.
pub(super) const QUEUE: TableDefinition<'static, (&str, i64, &str), &str> = TableDefinition::new("queue");
/// Layout 3: (number, not before, job) → account: pending jobs that wait for a number.
pub(super) const PARKED: TableDefinition<'static, (&str, i64, &str), &str> = TableDefinition::new("parked");

/// Brings the rows of layout `found` to the present one. Tables that were only added since are made when they are opened.
pub(super) fn bring_up(txn: &WriteTransaction, t: &mut Tables<'_>, found: u64) -> Result<(), Fault> {
    if found < 4 {
        prioritise(txn, t)?;
    }
    Ok(())
}

/// To layout 4: queues have lanes, and all that waits is in the middle one, with its own turn. Heads stay as they are.
fn prioritise(txn: &WriteTransaction, t: &mut Tables<'_>) -> Result<(), Fault> {
    let lane = Priority::Normal.lane();
    {
        let queue = txn.open_table(QUEUE)?;
        for row in queue.iter()? {
            let (key, number) = row?;
            let (account, at, id) = key.value();
            t.lanes.insert((account, lane, at, id), number.value())?;
        }
        let parked = txn.open_table(PARKED)?;
        for row in parked.iter()? {
            let (key, account) = row?;
            let (number, at, id) = key.value();
            t.parking.insert((number, account.value(), lane, at, id), at)?;
        }
    }
    txn.delete_table(QUEUE)?;
    txn.delete_table(PARKED)?;
    Ok(())
}
