//! The queue runs: jobs that are due are taken as far as there is room, when they are due or somebody tells of new ones.

use crate::Directory;
use crate::running::{Why, Work};
use crate::service::Service;
use core::time::Duration;
use fax_store::StoreError;
use fax_store::model::{AccountId, Timestamp};
use fax_store::port::LeaseRequest;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// How long to wait before the store is tried again.
const STORE_AGAIN: Duration = Duration::from_secs(1);
/// Between two sweeps of what has been kept long enough.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
/// Between two sweeps of documents without rows: each asks for every document there is.
const SWEEP_DOCUMENTS_EVERY: Duration = Duration::from_secs(86_400);
/// How long calls may take to come back after they were called off.
const CALL_OFF: Duration = Duration::from_secs(10);
/// Profiles removed in one request.
const PURGE: usize = 500;
/// Jobs taken in one request.
const BATCH: usize = 64;

/// How many calls accounts may have at a time.
#[derive(Default)]
struct Limits {
    /// Where they were read.
    of: Option<Arc<Directory>>,
    usual: u32,
    /// Those that differ from `usual`.
    own: HashMap<AccountId, u32>,
}

impl Service {
    /// Runs the queue until `shutdown` becomes true or its sender is gone; then takes no more jobs,
    /// gives running calls some time, gives back what is left, and comes back. So it does at once when another process has
    /// taken this node's name.
    pub async fn run(&self, shutdown: watch::Receiver<bool>) {
        tokio::select! {
            () = self.run_queue(shutdown) => {}
            () = self.watch_leases() => {}
        }
    }

    /// Clears the calls whose leases are not renewed before another node may make them, whatever else waits for the store.
    async fn watch_leases(&self) {
        if !self.inner.ports.store.is_shared() {
            core::future::pending::<()>().await;
        }
        let clock = &self.inner.ports.clock;
        loop {
            let lease = self.config().lease;
            if self.inner.running.call_off_unheld(clock.now()) {
                tracing::error!("the store is gone for too long; calls are cleared before others make them");
            }
            clock.sleep_until(clock.now().plus(lease / 12)).await;
        }
    }

    async fn run_queue(&self, mut shutdown: watch::Receiver<bool>) {
        let clock = self.inner.ports.clock.clone();
        let mut work = JoinSet::new();
        let mut limits = Limits::default();
        self.begin(&shutdown).await;
        let mut next_care = Timestamp(i64::MIN);
        let (mut next_sweep, mut next_documents) = (clock.now(), clock.now());
        let mut last_sweep: Option<AbortHandle> = None;
        while !*shutdown.borrow() {
            let woken = self.inner.wake.notified();
            let now = clock.now();
            if now >= next_care {
                let again = match self.care(now).await {
                    Ok(()) => self.config().lease / 3,
                    Err(e) => {
                        tracing::error!(error = %e, "leases wait for the store");
                        STORE_AGAIN
                    }
                };
                next_care = now.plus(again);
                if let Err(StoreError::Refused(e)) = self.inner.ports.store.keep_claim().await {
                    return self.give_way(work, &e).await;
                }
            }
            // One at a time: two would find the same.
            let sweeping = last_sweep.as_ref().is_some_and(|sweep| !sweep.is_finished());
            if now >= next_sweep && !sweeping {
                let service = self.clone();
                let documents = now >= next_documents;
                if documents {
                    next_documents = now.plus(SWEEP_DOCUMENTS_EVERY);
                }
                last_sweep = Some(work.spawn(async move {
                    if documents {
                        service.sweep().await;
                    }
                    service.purge().await;
                    service.purge_audit(now).await;
                    service.purge_faxes().await;
                    service.erase_accounts().await;
                }));
                next_sweep = now.plus(SWEEP_EVERY);
            }
            let next = match self.take(&mut work, &mut limits).await {
                Ok(next) => next,
                Err(e) => {
                    tracing::error!(error = %e, "the queue waits for the store");
                    Some(now.plus(STORE_AGAIN))
                }
            };
            let next_sweep = Some(next_sweep).filter(|_| !sweeping);
            let until = next.into_iter().chain([next_care]).chain(next_sweep).min();
            tokio::select! {
                stopped = shutdown.changed() => if stopped.is_err() { break },
                () = woken => {}
                () = self.inner.ports.store.changed() => {}
                () = self.inner.ports.store.entries_changed() => self.look_at_entries().await,
                Some(_) = work.join_next(), if !work.is_empty() => {}
                () = clock.sleep_until(until.unwrap_or(next_care)) => {}
            }
        }
        // What it had not come to is found by the next.
        last_sweep.inspect(AbortHandle::abort);
        self.drain(work).await;
    }

    /// Reads what another node may have set up.
    async fn look_at_entries(&self) {
        if let Err(e) = self.refresh().await {
            tracing::error!(error = %e, "what was set up could not be read");
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
    async fn care(&self, now: Timestamp) -> Result<(), StoreError> {
        let inner = &self.inner;
        let store = &inner.ports.store;
        let config = self.config();
        let until = now.plus(config.lease);
        let running = inner.running.jobs();
        if !running.is_empty() {
            let lost = store.renew(&config.node, running.clone(), until).await?;
            inner.running.renewed(&running, until, config.lease);
            // One that has just ended is not held any more, and not running.
            lost.iter().for_each(|id| inner.running.call_off(id, Why::LeaseLost));
        }
        // News of other nodes may have been lost.
        self.look_at_entries().await;
        if store.is_shared() {
            // A sender may have called a fax off at another node.
            for id in inner.running.jobs() {
                match store.job(&id).await {
                    Ok(Some(job)) if job.cancel => inner.running.call_off(&id, Why::Sender),
                    Err(e @ StoreError::Unavailable(_)) => return Err(e),
                    Err(e) => tracing::error!(job = %id, error = %e, "a running job cannot be read"),
                    Ok(_) => {}
                }
            }
        }
        for job in store.stale(None, now).await? {
            if !inner.running.contains(&job.id) {
                tracing::warn!(job = %job.id, "its lease has run out");
                self.settle(&job).await;
            }
        }
        Ok(())
    }

    /// Takes what is due and starts it. Answers when there will be more to take.
    async fn take(
        &self,
        work: &mut JoinSet<()>,
        limits: &mut Limits,
    ) -> Result<Option<Timestamp>, StoreError> {
        let inner = &self.inner;
        let store = &inner.ports.store;
        self.look_at_limits(limits).await?;
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
                    let ticket = inner.running.begin(&job, Work::Conversion, config.lease);
                    work.spawn(self.clone().convert(job, ticket));
                }
            } else if pending.is_some_and(|at| at <= now) {
                for job in store.lease_due(self.request(now, until, calls, limits)).await? {
                    let ticket = inner.running.begin(&job, Work::Call, config.lease);
                    work.spawn(self.clone().attempt(job, ticket));
                }
            } else {
                return Ok(converting.into_iter().chain(pending).min());
            }
        }
    }

    /// Reads how many calls accounts may have. The queue leaves accounts at their limits out until something of theirs
    /// changes: when it is the limit, it looks again.
    async fn look_at_limits(&self, known: &mut Limits) -> Result<(), StoreError> {
        let (directory, usual) = (self.directory(), self.config().default_max_outbound);
        let same = |of: &Arc<Directory>| Arc::ptr_eq(of, &directory);
        if known.usual == usual && known.of.as_ref().is_some_and(same) {
            return Ok(());
        }
        let own = directory.accounts().filter_map(|a| Some((a.id.clone(), directory.max_outbound(&a.id)?)));
        let own: HashMap<_, _> = own.filter(|(_, most)| *most != usual).collect();
        if known.of.is_some() && (known.usual, &known.own) != (usual, &own) {
            self.inner.ports.store.refresh_queue().await?;
        }
        *known = Limits { of: Some(directory), usual, own };
        Ok(())
    }

    fn request(&self, now: Timestamp, until: Timestamp, limit: usize, limits: &Limits) -> LeaseRequest {
        let config = self.config();
        LeaseRequest {
            node: config.node.clone(),
            now,
            until,
            limit,
            account_limits: limits.own.clone(),
            default_account_limit: limits.usual,
            serialise_numbers: config.serialise_numbers,
        }
    }

    /// Another process has this node's name: it takes this node's jobs for its own, and they are its to end. The queue ends
    /// here.
    async fn give_way(&self, mut work: JoinSet<()>, why: &str) {
        tracing::error!("{why}: this one clears its calls and stops");
        let clock = self.inner.ports.clock.clone();
        let until = clock.now().plus(CALL_OFF);
        self.inner.running.call_all_off(Why::LeaseLost);
        tokio::select! {
            () = async { while work.join_next().await.is_some() {} } => {}
            () = clock.sleep_until(until) => {}
        }
        work.shutdown().await;
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
                        if let Err(e) = self.care(clock.now()).await {
                            tracing::error!(error = %e, "leases wait for the store");
                        }
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
}
