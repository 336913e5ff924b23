//! What runs on this node: calls and conversions, and how they are called off.

use crate::service::lock;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use fax_store::model::{Job, JobId, Timestamp};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// What is done for a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Work {
    /// Its document is converted.
    Conversion,
    /// A call is made.
    Call,
    /// It goes along in the call of another job.
    Along,
}

/// Why work was called off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Why {
    /// The sender wants it.
    Sender,
    /// The switch stops.
    Shutdown,
    /// It took too long.
    TooLong,
    /// Another node has the job.
    LeaseLost,
    /// The store did not answer for so long that another node may soon have it. Whatever came of the work is still
    /// written if nobody has taken the job over by then.
    Unheld,
    /// Another job in the same call was called off when its turn had come.
    Companion,
}

/// The work for one job.
#[derive(Debug)]
pub(crate) struct Entry {
    work: Work,
    /// When its call has to be cleared unless the lease is renewed.
    clear_at: Mutex<Timestamp>,
    cancel: watch::Sender<bool>,
    why: Mutex<Option<Why>>,
    /// This node has taken the job anew: the turn of this work had ended, though the store's answer was lost.
    replaced: AtomicBool,
}

/// When a call has to be cleared whose lease of this length is not renewed: early enough for it to be over at its end.
fn clear_at(until: Timestamp, lease: Duration) -> Timestamp {
    until.minus(lease / 3)
}

impl Entry {
    /// Becomes true when the work is called off.
    pub(crate) fn cancelled(&self) -> watch::Receiver<bool> {
        self.cancel.subscribe()
    }

    /// Comes back when another node may have the job.
    pub(crate) async fn unheld(&self) {
        let called_off = self.cancelled().wait_for(|off| *off).await.is_ok();
        if !called_off || !matches!(self.why(), Some(Why::LeaseLost | Why::Unheld)) {
            core::future::pending().await
        }
    }

    /// Whether this node has taken the job anew since.
    pub(crate) fn is_replaced(&self) -> bool {
        self.replaced.load(Ordering::Relaxed)
    }

    /// Why it was called off, the first reason; `None`: it was not.
    pub(crate) fn why(&self) -> Option<Why> {
        *lock(&self.why)
    }

    /// Calls it off.
    pub(crate) fn call_off(&self, why: Why) {
        lock(&self.why).get_or_insert(why);
        self.cancel.send_replace(true);
    }
}

/// All work of this node.
#[derive(Debug, Default)]
pub(crate) struct Running {
    entries: Arc<Mutex<HashMap<JobId, Arc<Entry>>>>,
}

/// Takes the entry away when the work is over, however it ended.
#[derive(Debug)]
pub(crate) struct Ticket {
    id: JobId,
    entries: Arc<Mutex<HashMap<JobId, Arc<Entry>>>>,
    pub(crate) entry: Arc<Entry>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // The job may have been taken again already.
        let mut entries = lock(&self.entries);
        if entries.get(&self.id).is_some_and(|e| Arc::ptr_eq(e, &self.entry)) {
            entries.remove(&self.id);
        }
    }
}

impl Running {
    /// Work for this job, which was just taken for so long, begins.
    pub(crate) fn begin(&self, job: &Job, work: Work, lease: Duration) -> Ticket {
        let until = job.lease.as_ref().map_or(Timestamp(i64::MAX), |l| clear_at(l.until, lease));
        let entry = Arc::new(Entry {
            work,
            clear_at: Mutex::new(until),
            cancel: watch::Sender::new(false),
            why: Mutex::new(None),
            replaced: AtomicBool::new(false),
        });
        if let Some(old) = lock(&self.entries).insert(job.id.clone(), entry.clone()) {
            old.replaced.store(true, Ordering::Relaxed);
            old.call_off(Why::LeaseLost);
        }
        Ticket { id: job.id.clone(), entries: self.entries.clone(), entry }
    }

    /// The leases of these jobs last until then, each as long as this.
    pub(crate) fn renewed(&self, jobs: &[JobId], until: Timestamp, lease: Duration) {
        let entries = lock(&self.entries);
        for entry in jobs.iter().filter_map(|id| entries.get(id)) {
            *lock(&entry.clear_at) = clear_at(until, lease);
        }
    }

    /// Calls off what would not be held any more soon after `now`; whether there was such work.
    pub(crate) fn call_off_unheld(&self, now: Timestamp) -> bool {
        let entries = lock(&self.entries);
        let unheld = entries.values().filter(|e| *lock(&e.clear_at) <= now && !*e.cancel.borrow());
        unheld.map(|entry| entry.call_off(Why::Unheld)).count() > 0
    }

    /// How much of this work there is.
    pub(crate) fn count(&self, work: Work) -> usize {
        lock(&self.entries).values().filter(|e| e.work == work).count()
    }

    /// The jobs.
    pub(crate) fn jobs(&self) -> Vec<JobId> {
        lock(&self.entries).keys().cloned().collect()
    }

    /// Whether there is work for this job.
    pub(crate) fn contains(&self, id: &JobId) -> bool {
        lock(&self.entries).contains_key(id)
    }

    /// Calls the work for a job off, if there is any.
    pub(crate) fn call_off(&self, id: &JobId, why: Why) {
        if let Some(entry) = lock(&self.entries).get(id) {
            entry.call_off(why);
        }
    }

    /// Calls the conversions off: they are begun again after the next start.
    pub(crate) fn stop_conversions(&self) {
        let entries = lock(&self.entries);
        let conversions = entries.values().filter(|e| e.work == Work::Conversion);
        conversions.for_each(|e| e.call_off(Why::Shutdown));
    }

    /// Calls all work off.
    pub(crate) fn call_all_off(&self, why: Why) {
        for entry in lock(&self.entries).values() {
            entry.call_off(why);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use fax_store::model::{AccountId, Lease, Source};

    fn leased(until: i64) -> Job {
        let mut job = Job::new(AccountId::new("a"), "+1", Source::Removed, Timestamp::from_unix_seconds(0));
        job.id = "one".into();
        job.lease = Some(Lease { node: "n".into(), until: Timestamp::from_unix_seconds(until) });
        job
    }

    #[test]
    fn a_call_is_cleared_by_the_length_of_its_own_lease() {
        let (running, at) = (Running::default(), Timestamp::from_unix_seconds);
        let second = Duration::from_secs(1);
        let ticket = running.begin(&leased(60), Work::Call, 60 * second);
        assert!(!running.call_off_unheld(at(39)));
        // Renewed for longer, since the setting is another now, and later for less.
        running.renewed(std::slice::from_ref(&ticket.id), at(200), 180 * second);
        assert!(!running.call_off_unheld(at(139)));
        running.renewed(std::slice::from_ref(&ticket.id), at(169), 30 * second);
        assert!(!running.call_off_unheld(at(158)));
        assert!(running.call_off_unheld(at(159)));
        assert_eq!(ticket.entry.why(), Some(Why::Unheld));
    }

    #[test]
    fn work_that_ended_without_knowing_it_has_nothing_more_to_say() {
        let running = Running::default();
        let first = running.begin(&leased(60), Work::Call, Duration::from_secs(60));
        let second = running.begin(&leased(90), Work::Call, Duration::from_secs(60));
        assert!(first.entry.is_replaced() && !second.entry.is_replaced());
        assert_eq!((first.entry.why(), second.entry.why()), (Some(Why::LeaseLost), None));
        drop(first);
        assert!(running.contains(&"one".into()));
    }
}
