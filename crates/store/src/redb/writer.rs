//! One thread writes: all that waits goes into one transaction, and is answered when that is on disk, unless nothing in it
//! has to be.

use super::layout;
use super::tables::{SCHEMA, Tables};
use crate::port::StoreError;
use ::redb::{Database, DatabaseError, Durability, ReadTransaction, ReadableDatabase, ReadableTable};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// Requests that may wait.
const QUEUE: usize = 4096;
/// Requests in one transaction.
const BATCH: usize = 1024;

/// Why a request was not carried out.
#[derive(Debug)]
pub(super) enum Fault {
    /// For its own reasons, before it wrote anything: the others of the batch go on.
    Refused(StoreError),
    /// The file failed: the whole batch is lost.
    File(String),
}

impl From<StoreError> for Fault {
    fn from(e: StoreError) -> Self {
        Fault::Refused(e)
    }
}

macro_rules! file_faults {
    ($($t:ty),+) => {$(
        impl From<$t> for Fault {
            fn from(e: $t) -> Self {
                Fault::File(e.to_string())
            }
        }
    )+};
}
file_faults!(
    ::redb::StorageError,
    ::redb::TableError,
    ::redb::TransactionError,
    ::redb::CommitError,
    ::redb::SetDurabilityError
);

impl From<Fault> for StoreError {
    fn from(f: Fault) -> Self {
        match f {
            Fault::Refused(e) => e,
            Fault::File(e) => StoreError::Unavailable(e),
        }
    }
}

pub(super) fn io(e: std::io::Error) -> StoreError {
    StoreError::Unavailable(e.to_string())
}

type Opener = Box<dyn FnMut() -> Result<Database, DatabaseError> + Send>;
/// Empty after an I/O error until the file could be opened again.
type Slot = Arc<RwLock<Option<Arc<Database>>>>;

/// The way to the thread.
#[derive(Clone)]
pub(super) struct Writer {
    requests: mpsc::Sender<Box<dyn Request>>,
    slot: Slot,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

/// Something to be written.
trait Request: Send {
    /// Writes. An error means that the file failed.
    fn run(&mut self, tables: &mut Tables<'_>) -> Result<(), Fault>;
    /// Whether it has to be on disk when it is answered.
    fn is_durable(&self) -> bool;
    /// Answers, after the commit or after it failed.
    fn answer(self: Box<Self>, failed: Option<&StoreError>);
}

struct Asked<T, F> {
    f: Option<F>,
    durable: bool,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Request for Asked<T, F>
where
    T: Send,
    F: FnOnce(&mut Tables<'_>) -> Result<T, Fault> + Send,
{
    fn run(&mut self, tables: &mut Tables<'_>) -> Result<(), Fault> {
        let Some(f) = self.f.take() else {
            return Ok(());
        };
        match f(tables) {
            Ok(v) => self.result = Some(Ok(v)),
            Err(Fault::Refused(e)) => self.result = Some(Err(e)),
            Err(file) => return Err(file),
        }
        Ok(())
    }

    fn is_durable(&self) -> bool {
        self.durable
    }

    fn answer(self: Box<Self>, failed: Option<&StoreError>) {
        let result = match (failed, self.result) {
            // A refusal too may rest on what was to be stored before it.
            (Some(e), _) => Err(e.clone()),
            (None, Some(result)) => result,
            (None, None) => Err(StoreError::Unavailable("the request was not run".into())),
        };
        // Nobody waits any more: it is on disk all the same.
        let _ = self.reply.send(result);
    }
}

impl Writer {
    pub(super) fn start(mut opener: Opener) -> Result<Self, StoreError> {
        let db = open(&mut opener)?;
        let slot: Slot = Arc::new(RwLock::new(Some(db)));
        let (requests, inbox) = mpsc::channel(QUEUE);
        let thread_slot = slot.clone();
        let thread = std::thread::Builder::new()
            .name("fax-store".into())
            .spawn(move || write_all(inbox, &thread_slot, opener))
            .map_err(io)?;
        Ok(Writer { requests, slot, thread: Arc::new(Mutex::new(Some(thread))) })
    }

    /// Waits until the file is closed, which it is when all other handles are gone.
    pub(super) async fn close(self) {
        let Writer { requests, thread, .. } = self;
        drop(requests);
        let thread = thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let joined = tokio::task::spawn_blocking(move || thread.map(JoinHandle::join));
        if !matches!(joined.await, Ok(None | Some(Ok(())))) {
            tracing::error!("the store's thread ended badly");
        }
    }

    /// Writes; answers when it is on disk.
    pub(super) async fn write<T, F>(&self, f: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tables<'_>) -> Result<T, Fault> + Send + 'static,
    {
        self.ask(f, true).await
    }

    /// Writes what everybody sees at once, and what a crash may undo together with all that was written like this since: it
    /// is on disk with the next [`Writer::write`] at the latest.
    pub(super) async fn write_lazily<T, F>(&self, f: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tables<'_>) -> Result<T, Fault> + Send + 'static,
    {
        self.ask(f, false).await
    }

    async fn ask<T, F>(&self, f: F, durable: bool) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tables<'_>) -> Result<T, Fault> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let asked = Asked { f: Some(f), durable, result: None, reply };
        let closed = || StoreError::Unavailable("the store is closed".into());
        self.requests.send(Box::new(asked)).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    pub(super) async fn read<T, F>(&self, f: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&ReadTransaction) -> Result<T, Fault> + Send + 'static,
    {
        let mut db = current(&self.slot);
        if db.is_none() {
            // The writer opens the file again before it writes.
            self.write(|_| Ok(())).await?;
            db = current(&self.slot);
        }
        let db = db.ok_or_else(|| StoreError::Unavailable("the file is not open".into()))?;
        let read = tokio::task::spawn_blocking(move || {
            let txn = db.begin_read()?;
            f(&txn)
        });
        match read.await {
            Ok(result) => result.map_err(StoreError::from),
            Err(e) => Err(StoreError::Unavailable(e.to_string())),
        }
    }
}

fn current(slot: &Slot) -> Option<Arc<Database>> {
    slot.read().unwrap_or_else(PoisonError::into_inner).clone()
}

fn write_all(mut inbox: mpsc::Receiver<Box<dyn Request>>, slot: &Slot, mut opener: Opener) {
    while let Some(first) = inbox.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH
            && let Ok(next) = inbox.try_recv()
        {
            batch.push(next);
        }
        let failed = write_batch(&mut batch, slot, &mut opener).err();
        if let Some(e) = &failed {
            tracing::error!(error = %e, requests = batch.len(), "nothing of this was stored");
        }
        for request in batch {
            request.answer(failed.as_ref());
        }
    }
    *slot.write().unwrap_or_else(PoisonError::into_inner) = None;
}

fn write_batch(batch: &mut [Box<dyn Request>], slot: &Slot, opener: &mut Opener) -> Result<(), StoreError> {
    let db = match current(slot) {
        Some(db) => db,
        None => {
            let db = open(opener)?;
            *slot.write().unwrap_or_else(PoisonError::into_inner) = Some(db.clone());
            db
        }
    };
    let result = commit(&db, batch);
    if result.is_err() {
        // redb refuses all work after an I/O error: the file has to be opened again, which brings
        // it back to the last commit.
        *slot.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
    result.map_err(StoreError::from)
}

fn commit(db: &Database, batch: &mut [Box<dyn Request>]) -> Result<(), Fault> {
    let mut txn = db.begin_write()?;
    if !batch.iter().any(|request| request.is_durable()) {
        txn.set_durability(Durability::None)?;
    }
    {
        let mut tables = Tables::open(&txn)?;
        for request in batch.iter_mut() {
            request.run(&mut tables)?;
        }
    }
    txn.commit()?;
    Ok(())
}

/// Opens the file, makes its tables and brings it to the present layout.
fn open(opener: &mut Opener) -> Result<Arc<Database>, StoreError> {
    let db = opener().map_err(|e| match e {
        DatabaseError::Storage(::redb::StorageError::Corrupted(why)) => StoreError::Damaged(why),
        other => StoreError::Unavailable(other.to_string()),
    })?;
    let txn = db.begin_write().map_err(Fault::from)?;
    {
        let mut tables = Tables::open(&txn)?;
        let found = tables.meta.get("schema").map_err(Fault::from)?;
        let found = found.map(|v| v.value());
        match found {
            Some(v) if v > SCHEMA => {
                return Err(StoreError::Damaged(format!(
                    "the file has layout {v}, this ferrofax knows up to {SCHEMA}"
                )));
            }
            Some(SCHEMA) => {}
            older => {
                if let Some(v) = older {
                    tracing::info!(from = v, to = SCHEMA, "the file gets a new layout");
                    layout::bring_up(&txn, &mut tables, v)?;
                }
                let old = tables.meta.insert("schema", SCHEMA);
                old.map_err(Fault::from)?;
            }
        }
    }
    txn.commit().map_err(Fault::from)?;
    Ok(Arc::new(db))
}
