//! The queue runs: jobs that are due are taken as far as there is room, when they are due or somebody tells of new ones.

use crate::running::{Why, Work};
use crate::service::{Service, lock};
use core::sync::atomic::Ordering;
use core::time::Duration;
use fax_store::StoreError;
use fax_store::model::Timestamp;
use fax_store::port::LeaseRequest;
use std::collections::HashMap;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long to wait before the store is tried again.
const STORE_AGAIN: Duration = Duration::from_secs(1);
/// Between two sweeps of documents without rows.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
/// How long calls may take to come back after they were called off.
const CALL_OFF: Duration = Duration::from_secs(10);
/// Profiles removed in one request.
const PURGE: usize = 500;
/// Jobs taken in one request.
const BATCH: usize = 64;

impl Service {
    /// Runs the queue until `shutdown` becomes true or its sender is gone; then takes no more jobs,
    /// gives running calls some time, gives back what is left, and comes back.
    pub async fn run(&self, mut shutdown: watch::Receiver<bool>) {
        let clock = self.inner.ports.clock.clone();
        let mut work = JoinSet::new();
        self.begin(&shutdown).await;
        let mut next_care = Timestamp(i64::MIN);
        let mut next_sweep = clock.now();
        while !*shutdown.borrow() {
            let woken = self.inner.wake.notified();
            let now = clock.now();
            if now >= next_care {
                self.care(now).await;
                next_care = now.plus(self.config().lease / 3);
            }
            if now >= next_sweep {
                let service = self.clone();
                work.spawn(async move {
                    service.sweep().await;
                    service.purge().await;
                    service.purge_audit(now).await;
                    service.purge_faxes().await;
                    service.erase_accounts().await;
                });
                next_sweep = now.plus(SWEEP_EVERY);
            }
            self.look_at_limits().await;
            let next = match self.take(&mut work).await {
                Ok(next) => next,
                Err(e) => {
                    tracing::error!(error = %e, "the queue waits for the store");
                    Some(now.plus(STORE_AGAIN))
                }
            };
            let until = next.into_iter().chain([next_care, next_sweep]).min();
            tokio::select! {
                stopped = shutdown.changed() => if stopped.is_err() { break },
                () = woken => {}
                () = self.inner.ports.store.changed() => {}
                () = self.inner.ports.store.entries_changed() => self.look_at_entries().await,
                Some(_) = work.join_next(), if !work.is_empty() => {}
                () = clock.sleep_until(until.unwrap_or(next_care)) => {}
            }
        }
        self.drain(work).await;
    }

    /// Reads what another node may have set up.
    async fn look_at_entries(&self) {
        if let Err(e) = self.refresh().await {
            tracing::error!(error = %e, "what was set up could not be read");
        }
    }

    /// Accounts that were at their limit wait for something of their own to end; where a limit was raised, nothing has to.
    async fn look_at_limits(&self) {
        if self.inner.limits_raised.swap(false, Ordering::Relaxed)
            && let Err(e) = self.inner.ports.store.refresh_queue().await
        {
            self.inner.limits_raised.store(true, Ordering::Relaxed);
            tracing::error!(error = %e, "raised limits wait for the store");
        }
    }

    /// Takes back what this node held when it stopped.
    async fn begin(&self, shutdown: &watch::Receiver<bool>) {
        let ports = &self.inner.ports;
        let config = self.config();
        let node = &config.node;
        while !*shutdown.borrow() {
            let held = match ports.store.refresh_queue().await {
                Ok(()) => ports.store.stale(Some(node), self.now()).await,
                Err(e) => Err(e),
            };
            match held {
                Ok(jobs) => {
                    for job in jobs {
                        if !self.inner.running.contains(&job.id) {
                            tracing::info!(job = %job.id, state = ?job.state, "taken back");
                            self.settle(&job).await;
                        }
                    }
                    return;
                }
                Err(e) => {
                    tracing::error!(error = %e, "the queue waits for the store");
                    ports.clock.sleep_until(self.now().plus(STORE_AGAIN)).await;
                }
            }
        }
    }

    /// Renews the leases of this node and takes over those that have run out.
    async fn care(&self, now: Timestamp) {
        let inner = &self.inner;
        let store = &inner.ports.store;
        // News of other nodes may have been lost.
        self.look_at_entries().await;
        let config = self.config();
        let until = now.plus(config.lease);
        let running = inner.running.jobs();
        if !running.is_empty() {
            match store.renew(&config.node, running, until).await {
                Ok(lost) => {
                    // One that has just ended is not held any more, and not running.
                    lost.iter().for_each(|id| inner.running.call_off(id, Why::LeaseLost));
                    *lock(&inner.renewed) = now;
                }
                Err(e) => {
                    tracing::error!(error = %e, "leases could not be renewed");
                    // Others take the jobs over when the leases end: by then these calls have to be cleared.
                    let silent = self.now().since(*lock(&inner.renewed));
                    if store.is_shared() && silent >= config.lease / 3 * 2 {
                        tracing::error!(
                            "the store is gone for too long; calls are cleared before others make them"
                        );
                        inner.running.call_all_off(Why::LeaseLost);
                    }
                }
            }
        } else {
            *lock(&inner.renewed) = now;
        }
        if store.is_shared() {
            // A sender may have called a fax off at another node.
            for id in inner.running.jobs() {
                if store.job(&id).await.is_ok_and(|job| job.is_some_and(|j| j.cancel)) {
                    inner.running.call_off(&id, Why::Sender);
                }
            }
        }
        match store.stale(None, now).await {
            Ok(jobs) => {
                for job in jobs {
                    if !inner.running.contains(&job.id) {
                        tracing::warn!(job = %job.id, "its lease has run out");
                        self.settle(&job).await;
                    }
                }
            }
            Err(e) => tracing::error!(error = %e, "leases could not be looked at"),
        }
    }

    /// Takes what is due and starts it. Answers when there will be more to take.
    async fn take(&self, work: &mut JoinSet<()>) -> Result<Option<Timestamp>, StoreError> {
        let inner = &self.inner;
        let store = &inner.ports.store;
        loop {
            let config = self.config();
            let now = self.now();
            let until = now.plus(config.lease);
            let room = |most: usize, of| most.saturating_sub(inner.running.count(of)).min(BATCH);
            let conversions = room(config.max_conversions, Work::Conversion);
            let calls = room(config.max_calls, Work::Call);
            let due = store.next_due().await?;
            let converting = due.converting.filter(|_| conversions > 0);
            let pending = due.pending.filter(|_| calls > 0);
            if converting.is_some_and(|at| at <= now) {
                let node = &config.node;
                let jobs = store.lease_converting(node, now, until, conversions).await?;
                for job in jobs {
                    let ticket = inner.running.begin(&job.id, Work::Conversion);
                    work.spawn(self.clone().convert(job, ticket));
                }
            } else if pending.is_some_and(|at| at <= now) {
                for job in store.lease_due(self.request(now, until, calls)).await? {
                    let ticket = inner.running.begin(&job.id, Work::Call);
                    work.spawn(self.clone().attempt(job, ticket));
                }
            } else {
                return Ok(converting.into_iter().chain(pending).min());
            }
        }
    }

    fn request(&self, now: Timestamp, until: Timestamp, limit: usize) -> LeaseRequest {
        let config = self.config();
        let directory = self.directory();
        let own = directory.accounts().filter_map(|a| Some((a.id.clone(), a.max_outbound?)));
        let account_limits: HashMap<_, _> = own.collect();
        LeaseRequest {
            node: config.node.clone(),
            now,
            until,
            limit,
            account_limits,
            default_account_limit: config.default_max_outbound,
            serialise_numbers: config.serialise_numbers,
        }
    }

    /// Lets running calls end, calls off what takes too long, and gives back the rest.
    async fn drain(&self, mut work: JoinSet<()>) {
        let clock = self.inner.ports.clock.clone();
        let until = clock.now().plus(self.config().drain);
        self.inner.running.stop_conversions();
        for (until, last) in [(until, false), (until.plus(CALL_OFF), true)] {
            // Leases are renewed while calls go on.
            loop {
                let tick = clock.now().plus(self.config().lease / 3).min(until);
                tokio::select! {
                    ended = work.join_next() => if ended.is_none() { break },
                    () = clock.sleep_until(tick) => {
                        if clock.now() >= until { break }
                        self.care(clock.now()).await;
                    }
                }
            }
            if !last {
                self.inner.running.call_all_off(Why::Shutdown);
            }
        }
        work.shutdown().await;
        let config = self.config();
        let node = Some(&config.node);
        match self.inner.ports.store.stale(node, clock.now()).await {
            Ok(jobs) => {
                for job in jobs {
                    self.settle(&job).await;
                }
            }
            Err(e) => tracing::error!(error = %e, "leases could not be given back"),
        }
    }

    /// Removes profiles that were not used for long or are too many.
    async fn purge(&self) {
        let Some(rules) = self.config().learning else { return };
        let before = self.now().minus(rules.keep);
        loop {
            let store = &self.inner.ports.store;
            match store.purge_profiles(before, rules.max_profiles, PURGE).await {
                Ok(PURGE) => {}
                Ok(_) => return,
                Err(e) => return tracing::warn!(error = %e, "old profiles could not be removed"),
            }
        }
    }

    /// Removes documents that no row names and that are too old to be on their way to one.
    async fn sweep(&self) {
        let ports = &self.inner.ports;
        let age = self.config().sweep_after;
        match ports.documents.older_than(age).await {
            Ok(keys) => {
                for key in keys {
                    self.forget(&key).await;
                }
            }
            Err(e) => tracing::warn!(error = %e, "documents could not be swept"),
        }
    }
}
