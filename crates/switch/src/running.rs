//! What runs on this node: calls and conversions, and how they are called off.

use crate::service::lock;
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
    /// Another job in the same call was called off when its turn had come.
    Companion,
}

/// The work for one job.
#[derive(Debug)]
pub(crate) struct Entry {
    work: Work,
    /// When the lease ends unless it is renewed.
    until: Mutex<Timestamp>,
    cancel: watch::Sender<bool>,
    why: Mutex<Option<Why>>,
}

impl Entry {
    /// Becomes true when the work is called off.
    pub(crate) fn cancelled(&self) -> watch::Receiver<bool> {
        self.cancel.subscribe()
    }

    /// Comes back when another node may have the job.
    pub(crate) async fn lost(&self) {
        let called_off = self.cancelled().wait_for(|off| *off).await.is_ok();
        if !called_off || self.why() != Some(Why::LeaseLost) {
            core::future::pending().await
        }
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
    /// Work for this job, which was just taken, begins.
    pub(crate) fn begin(&self, job: &Job, work: Work) -> Ticket {
        let until = Mutex::new(job.lease.as_ref().map_or(Timestamp(i64::MAX), |lease| lease.until));
        let cancel = watch::Sender::new(false);
        let entry = Arc::new(Entry { work, until, cancel, why: Mutex::new(None) });
        lock(&self.entries).insert(job.id.clone(), entry.clone());
        Ticket { id: job.id.clone(), entries: self.entries.clone(), entry }
    }

    /// The leases of these jobs last until then.
    pub(crate) fn renewed(&self, jobs: &[JobId], until: Timestamp) {
        let entries = lock(&self.entries);
        for entry in jobs.iter().filter_map(|id| entries.get(id)) {
            let mut known = lock(&entry.until);
            *known = until.max(*known);
        }
    }

    /// Calls off what is not held any more at `at`, unless its lease is renewed before; whether there was such work.
    pub(crate) fn call_off_unheld(&self, at: Timestamp) -> bool {
        let entries = lock(&self.entries);
        let unheld = entries.values().filter(|e| *lock(&e.until) <= at && !*e.cancel.borrow());
        unheld.map(|entry| entry.call_off(Why::LeaseLost)).count() > 0
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
