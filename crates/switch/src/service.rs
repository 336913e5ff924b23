//! The service: what fronts call and what runs the queue.

mod attachment;
mod config;
mod entries;
mod incoming;
mod jobs;
mod notices;
mod profiles;
mod receptions;
mod refused;
mod submit;
mod toll;

pub use attachment::{Attachment, Format, Which};
pub use config::{Ports, ServiceConfig};
pub use incoming::{Decision, IncomingCall, ReceivedFax};
pub use jobs::{cancelling, is_taken_back, restarting};
pub use profiles::TraitSetting;
pub use receptions::{Receiving, Reception};
pub use refused::{REFUSED_MAIL, RefusedMail};
pub use submit::{NO_HEADER, NewDocument, NewJob, ONCE_FOR, Once, SubmitError};
pub use toll::TollPass;

use crate::Directory;
use crate::event::{EventSubject, JobEvent};
use crate::running::Running;
use fax_store::StoreError;
use fax_store::model::{JobState, Timestamp};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use tokio::sync::{Notify, broadcast, mpsc, oneshot};

/// Why the service did not do what was asked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ServiceError {
    /// There is no such fax in this account.
    #[error("there is no such fax")]
    NotFound,
    /// It cannot be done in the state the fax is in: why.
    #[error("{0}")]
    Conflict(String),
    /// Something else has this name already, as `domain:fax.example.net`.
    #[error("{0} is taken")]
    Taken(String),
    /// The fax has no document in this format.
    #[error("there is no document in this format")]
    NoDocument,
    /// Its document is encrypted by a key that was destroyed.
    #[error("{}", StoreError::KeyDestroyed)]
    KeyDestroyed,
    /// The store failed: nothing was done.
    #[error("{0}")]
    Unavailable(String),
}

impl From<StoreError> for ServiceError {
    fn from(e: StoreError) -> Self {
        match e {
            StoreError::NotFound => ServiceError::NotFound,
            StoreError::Refused(why) => ServiceError::Conflict(why),
            StoreError::Taken(name) => ServiceError::Taken(name),
            StoreError::KeyDestroyed => ServiceError::KeyDestroyed,
            StoreError::Exists | StoreError::LeaseLost => ServiceError::Conflict(e.to_string()),
            StoreError::Unavailable(_) | StoreError::Damaged(_) => ServiceError::Unavailable(e.to_string()),
        }
    }
}

/// An operator asks for the configuration to be read again, and waits for what comes of it: what cannot change before the
/// next start, in a sentence each; or why the new configuration is refused.
pub type ReloadRequest = oneshot::Sender<Result<Vec<String>, String>>;

/// The switch. Clones are the same switch.
#[derive(Clone)]
pub struct Service {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: RwLock<Arc<ServiceConfig>>,
    pub(crate) ports: Ports,
    pub(crate) directory: RwLock<Arc<Directory>>,
    /// One at a time reads what was set up.
    pub(crate) refreshing: tokio::sync::Mutex<()>,
    /// Who reads the configuration again when an operator asks for it.
    reload: OnceLock<mpsc::Sender<ReloadRequest>>,
    pub(crate) events: broadcast::Sender<JobEvent>,
    /// Something may be due.
    pub(crate) wake: Notify,
    /// A notice may be due.
    pub(crate) wake_notices: Notify,
    /// A web hook may have to be called.
    pub(crate) wake_hooks: Notify,
    /// What is counted.
    pub(crate) metrics: crate::metrics::Metrics,
    /// Calls and conversions that run on this node.
    pub(crate) running: Running,
    /// What was called and spent.
    pub(crate) budgets: Mutex<crate::policy::Budgets>,
    /// Faxes that are being received here.
    pub(crate) receptions: Mutex<HashMap<fax_store::model::FaxId, Reception>>,
    /// The last event of every fax that is being sent, for status queries.
    pub(crate) latest: Mutex<HashMap<fax_store::model::JobId, JobEvent>>,
}

impl Service {
    /// A switch over these ports. Nothing runs until [`Service::run`].
    #[must_use]
    pub fn new(directory: Directory, config: ServiceConfig, ports: Ports) -> Self {
        let (events, _) = broadcast::channel(1024);
        Service {
            inner: Arc::new(Inner {
                config: RwLock::new(Arc::new(config)),
                ports,
                directory: RwLock::new(Arc::new(directory)),
                refreshing: tokio::sync::Mutex::default(),
                reload: OnceLock::new(),
                events,
                wake: Notify::new(),
                wake_notices: Notify::new(),
                wake_hooks: Notify::new(),
                metrics: crate::metrics::Metrics::default(),
                running: Running::default(),
                budgets: Mutex::default(),
                receptions: Mutex::default(),
                latest: Mutex::default(),
            }),
        }
    }

    /// The accounts and faxboxes as they are now.
    #[must_use]
    pub fn directory(&self) -> Arc<Directory> {
        let d = self.inner.directory.read();
        d.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces what stands in the configuration. Jobs that are queued keep what they took from the old accounts and
    /// faxboxes; what was set up while the switch runs stays.
    pub fn reload(&self, mut directory: Directory) {
        let mut d = self.inner.directory.write().unwrap_or_else(PoisonError::into_inner);
        let (change, entries) = d.all_entries();
        directory.apply(change, entries);
        *d = Arc::new(directory);
        drop(d);
        self.inner.wake.notify_one();
    }

    /// Replaces the settings: limits, retries, trunks, numbers. The node's name stays, whatever is said: it stands in
    /// leases. Calls that run go on as they began.
    pub fn reconfigure(&self, config: ServiceConfig) {
        let mut now = self.inner.config.write().unwrap_or_else(PoisonError::into_inner);
        *now = Arc::new(ServiceConfig { node: now.node.clone(), ..config });
        drop(now);
        self.inner.wake.notify_one();
    }

    /// Requests to read the configuration again go there; the first call counts.
    pub fn on_reload(&self, requests: mpsc::Sender<ReloadRequest>) {
        let _ = self.inner.reload.set(requests);
    }

    /// Lets the configuration be read again. What cannot change before the next start, in a sentence each.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Conflict`] with the faults of a configuration that is refused: the old one stays.
    /// [`ServiceError::Unavailable`] where nobody reads it.
    pub async fn ask_for_reload(&self) -> Result<Vec<String>, ServiceError> {
        let nobody = || ServiceError::Unavailable("this server has no configuration to read".to_owned());
        let requests = self.inner.reload.get().ok_or_else(nobody)?;
        let (done, outcome) = oneshot::channel();
        requests.send(done).await.map_err(|_| nobody())?;
        outcome.await.map_err(|_| nobody())?.map_err(ServiceError::Conflict)
    }

    /// How the trunks are now.
    pub async fn trunk_states(&self) -> Vec<crate::port::TrunkStatus> {
        self.inner.ports.dialler.trunks().await
    }

    /// Who is banned from calling us, and what was turned away.
    #[must_use]
    pub fn protection(&self) -> serde_json::Map<String, serde_json::Value> {
        self.inner.ports.dialler.protection()
    }

    /// Lifts a ban; says whether there was one.
    #[must_use]
    pub fn lift_ban(&self, source: core::net::IpAddr) -> bool {
        self.inner.ports.dialler.lift_ban(source)
    }

    /// The configuration as it is now.
    #[must_use]
    pub fn config(&self) -> Arc<ServiceConfig> {
        self.inner.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The time by the switch's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inner.ports.clock.now()
    }

    /// Everything that happens from now on. A receiver that is too slow misses the oldest.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<JobEvent> {
        self.inner.events.subscribe()
    }

    /// What was told last about a job that is in work on this node.
    #[must_use]
    pub fn latest(&self, job: &fax_store::model::JobId) -> Option<JobEvent> {
        lock(&self.inner.latest).get(job).cloned()
    }

    pub(crate) fn tell(&self, event: JobEvent) {
        if let (EventSubject::Job(id), Some(state)) = (&event.subject, event.state) {
            let mut latest = lock(&self.inner.latest);
            if matches!(state, JobState::Locked | JobState::Processing) {
                latest.insert(id.clone(), event.clone());
            } else {
                latest.remove(id);
            }
        }
        // Nobody listening is no error.
        let _ = self.inner.events.send(event);
    }
}

/// The data of a mutex, also after a panic of another holder: each change in it is whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
