//! The tables of the redb file and their keys.

use super::writer::Fault;
use ::redb::{Table, TableDefinition, WriteTransaction};

/// The layout that this code writes. A file with a higher number is refused.
pub(super) const SCHEMA: u64 = 4;

/// Sorts after every id.
pub(super) const LAST: &str = "\u{10FFFF}";

macro_rules! tables {
    ($($(#[$doc:meta])* $field:ident $name:ident : $key:ty => $value:ty;)+) => {
        $($(#[$doc])* pub(super) const $name: TableDefinition<'static, $key, $value> =
            TableDefinition::new(stringify!($field));)+

        /// All tables, open for writing.
        pub(super) struct Tables<'t> {
            $($(#[$doc])* pub(super) $field: Table<'t, $key, $value>,)+
        }

        impl<'t> Tables<'t> {
            /// Opens all of them; makes those that are not there.
            pub(super) fn open(txn: &'t WriteTransaction) -> Result<Self, Fault> {
                Ok(Tables {
                    $($field: txn.open_table($name)?,)+
                })
            }
        }
    };
}

tables! {
    /// `schema` → number of the layout; `entries` → number of the last change of an entry.
    meta META: &'static str => u64;
    /// id → the job as JSON, without lease and ledger.
    jobs JOBS: &'static str => &'static [u8];
    /// (job, page) → (state, attempt, time). A page without a row is unsent.
    ledger LEDGER: (&'static str, u32) => (u8, u32, i64);
    /// job → (until, node).
    leases LEASES: &'static str => (i64, &'static str);
    /// (account, lane, not before, job) → number: pending jobs that are not parked and have their own turn.
    lanes LANES: (&'static str, u8, i64, &'static str) => &'static str;
    /// The same → (number, turn): those with the turn of one that overtook them.
    overtaken OVERTAKEN: (&'static str, u8, i64, &'static str) => (&'static str, i64);
    /// (account, turn, job) → (lane, not before): the turns of these.
    overtaken_turns OVERTAKEN_TURNS: (&'static str, i64, &'static str) => (u8, i64);
    /// (turn, account): the first turn of each account.
    heads HEADS: (i64, &'static str) => ();
    /// account → the time in its row of `heads`.
    head_of HEAD_OF: &'static str => i64;
    /// (number, account, lane, not before, job) → turn: pending jobs that wait for a number.
    parking PARKING: (&'static str, &'static str, u8, i64, &'static str) => i64;
    /// number → the job that is held.
    numbers NUMBERS: &'static str => &'static str;
    /// account → jobs that are held.
    running RUNNING: &'static str => u32;
    /// (not before, job): jobs to be converted that nobody holds.
    converting CONVERTING: (i64, &'static str) => ();
    /// (account, folder, created, job).
    listed LISTED: (&'static str, u8, i64, &'static str) => ();
    /// (folder, created, job).
    listed_all LISTED_ALL: (u8, i64, &'static str) => ();
    /// id → the received fax as JSON.
    received RECEIVED: &'static str => &'static [u8];
    /// (account, created, fax).
    received_listed RECEIVED_LISTED: (&'static str, i64, &'static str) => ();
    /// (created, fax).
    received_all RECEIVED_ALL: (i64, &'static str) => ();
    /// id → the notice as JSON.
    notices NOTICES: &'static str => &'static [u8];
    /// (not before, notice).
    notices_due NOTICES_DUE: (i64, &'static str) => ();
    /// id → a notice for a web hook as JSON.
    hook_notices HOOK_NOTICES: &'static str => &'static [u8];
    /// (not before, notice).
    hook_notices_due HOOK_NOTICES_DUE: (i64, &'static str) => ();
    /// (hook, time, id) → the attempt as JSON.
    hook_attempts HOOK_ATTEMPTS: (&'static str, i64, &'static str) => &'static [u8];
    /// (kind, account, number or trunk) → the profile as JSON.
    profiles PROFILES: (u8, &'static str, &'static str) => &'static [u8];
    /// (modified, account, number): profiles of numbers with nothing locked.
    profiles_aged PROFILES_AGED: (i64, &'static str, &'static str) => ();
    /// (kind, id) → the entry as JSON.
    entries ENTRIES: (u8, &'static str) => &'static [u8];
    /// change → (kind, id): the last change of each entry.
    changes CHANGES: u64 => (u8, &'static str);
    /// name → (kind, id) of the entry that has it.
    claims CLAIMS: &'static str => (u8, &'static str);
    /// (account, time, id) → the audit record as JSON.
    audit AUDIT: (&'static str, i64, &'static str) => &'static [u8];
    /// (time, id) → account.
    audit_aged AUDIT_AGED: (i64, &'static str) => &'static str;
    /// document → how many rows name it.
    documents DOCUMENTS: &'static str => u32;
}
