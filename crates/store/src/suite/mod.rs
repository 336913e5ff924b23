//! The tests that every backend of [`crate::Store`] must pass, written against the port.
//!
//! `store_suite!(make)` makes a test of each; `make` is an async function that gives a guard and a
//! fresh, empty store.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod documents;
mod entries;
mod filed;
mod hooks;
mod priority;
mod profiles;
mod queue;

pub use documents::documents_suite;
pub use entries::*;
pub use filed::*;
pub use hooks::*;
pub use priority::*;
pub use profiles::*;
pub use queue::*;

use crate::model::{
    Ability, AccountId, Audit, DocumentKey, Entry, EntryKind, FaxId, FaxboxId, Folder, HookAttempt,
    HookEvent, Job, JobId, JobState, Kept, NodeId, Notice, NoticeId, NoticeKind, NoticeSubject, PageEntry,
    PageState, Profile, ProfileKey, Received, Row, Source, Timestamp, WebRequest,
};
use crate::port::{
    AuditQuery, Guard, JobChange, JobQuery, LeaseRequest, NextDue, ProfileChange, ProfileQuery, Range,
    ReceivedQuery, Store, StoreError,
};
use core::time::Duration;
use std::collections::HashMap;
use std::sync::Arc;

type S = Arc<dyn Store>;

/// Makes a test of each case: `store_suite!(make)`. With `store_suite!(all make)` it is a function that runs
/// them one after the other, for a backend whose server is not started for each.
#[macro_export]
macro_rules! store_suite {
    ($make:path) => { $crate::store_suite!(@cases tests $make); };
    (all $make:expr) => { $crate::store_suite!(@cases all $make) };
    (@cases $how:ident $make:expr) => {
        $crate::store_suite! {
            @$how $make; a_job_is_read_back_as_it_was_stored, a_job_is_stored_once,
            a_number_without_end_is_refused_and_blocks_nobody, due_jobs_are_leased_oldest_first, a_job_is_not_leased_before_its_time,
            one_job_to_a_number_at_a_time, a_parked_job_is_freed_when_the_other_is_cancelled,
            numbers_are_shared_when_not_serialised, jobs_that_go_along_are_taken_beside_another,
            the_most_urgent_of_an_account_goes_first, an_urgent_job_that_is_not_due_blocks_nothing,
            no_account_overtakes_another_by_priority, the_most_urgent_of_an_account_gets_the_number_first,
            a_free_number_waits_for_no_account, no_account_keeps_a_number_by_priority,
            the_priority_of_a_waiting_job_can_be_changed, the_most_urgent_go_along_first,
            the_order_is_that_of_a_simple_model,
            an_account_has_no_more_than_its_limit, raised_limits_are_seen_after_refresh,
            other_accounts_pass_a_full_one,
            converting_jobs_are_leased_and_stay_converting, a_lost_lease_stops_changes,
            leases_are_renewed_and_found_when_stale, the_ledger_keeps_confirmed_pages,
            a_refused_change_changes_nothing, state_change_and_notice_go_together,
            lists_are_ordered_filtered_and_paged, final_jobs_move_to_the_other_list,
            deleted_jobs_are_gone, received_faxes_are_listed, notices_wait_and_are_ticked_off, a_notice_is_taken_by_one_node,
            documents_are_named_by_rows, many_writers_at_once, the_next_due_time_is_known,
            profiles_change_and_are_read_back, profiles_are_listed_by_account_in_pages,
            profiles_change_with_the_job_or_not_at_all, old_profiles_are_purged_locked_ones_stay,
            entries_are_told_in_the_order_of_their_changes, entries_have_names_of_their_own,
            an_entry_is_changed_from_its_last_version_only, entries_change_together_or_not_at_all,
            many_change_entries_at_once, hook_notices_are_taken_by_one_and_come_back,
            attempts_of_hooks_are_kept_up_to_a_number, the_backlog_is_counted, audit_records_are_listed_and_purged
        }
    };
    (@tests $make:expr; $($case:ident),+) => {$(
        #[tokio::test]
        async fn $case() {
            let (_guard, store) = $make().await;
            $crate::suite::$case(store).await;
        }
    )+};
    (@all $make:expr; $($case:ident),+) => {{$(
        println!("{}", stringify!($case));
        let store = $make(stringify!($case)).await;
        $crate::suite::$case(store).await;
    )+}};
}

fn t(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

fn node(name: &str) -> NodeId {
    NodeId::new(name)
}

fn source() -> Source {
    Source::Stored {
        original: DocumentKey::new("0".repeat(32)),
        content_type: "application/pdf".into(),
        file_name: Some("a.pdf".into()),
    }
}

/// A pending job of two pages.
fn pending(account: &str, number: &str, at: i64) -> Job {
    let mut job = Job::new(account.into(), number, source(), t(at));
    job.state = JobState::Pending;
    job.document = Some(DocumentKey::generate());
    job.pages = 2;
    job.ledger = vec![PageEntry::default(); 2];
    job
}

async fn put(s: &S, job: Job) -> JobId {
    let id = job.id.clone();
    s.insert_job(job).await.unwrap();
    id
}

fn request(now: i64, limit: usize) -> LeaseRequest {
    LeaseRequest {
        node: node("n1"),
        now: t(now),
        until: t(now + 60),
        limit,
        account_limits: HashMap::new(),
        default_account_limit: 10,
        serialise_numbers: true,
    }
}

async fn lease(s: &S, now: i64, limit: usize) -> Vec<JobId> {
    let taken = s.lease_due(request(now, limit)).await.unwrap();
    taken.into_iter().map(|j| j.id).collect()
}

fn to(state: JobState) -> JobChange {
    Box::new(move |j| {
        j.state = state;
        Ok(())
    })
}

async fn set(s: &S, id: &JobId, state: JobState) -> Job {
    s.update_job(id, Guard::Any, to(state), vec![]).await.unwrap()
}
