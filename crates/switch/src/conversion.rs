//! A job's document is fetched, made into fax pages and stored: then the job can be sent.

use crate::event::Stage;
use crate::finish::{CHANGED, Holder, Turn, if_still};
use crate::port::{ConvertError, Fetched};
use crate::running::{Ticket, Why};
use crate::service::Service;
use bytes::Bytes;
use core::time::Duration;
use fax_document::FaxDocument;
use fax_store::StoreError;
use fax_store::model::{DocumentKey, Job, JobState, Kept, Source};
use fax_store::port::JobChange;
use tokio::task::JoinSet;

/// How often a document is tried that could not be had for a passing reason.
const TRIES: u32 = 5;
/// Between two tries.
const AGAIN: Duration = Duration::from_secs(60);
/// The longest wait between two tries after troubles of our own house.
const HOUSE_AGAIN: Duration = Duration::from_secs(900);
/// After this its sender is told that it cannot be done here.
const HOUSE_LONGEST: Duration = Duration::from_secs(3 * 86_400);
/// Most remarks about a document that are kept.
const REMARKS: usize = 10;
/// Longest remark, characters.
const REMARK: usize = 200;

/// Why a fax fails whose document is encrypted by a key that was destroyed.
pub(crate) const KEY_DESTROYED: &str = "The document is encrypted, and its key was destroyed.";

/// Fax pages on disk.
struct Stored {
    key: DocumentKey,
    pages: u32,
    size: u64,
    remarks: Vec<String>,
}

impl Service {
    /// Converts the document of a job that this node holds, and ends its turn.
    pub(crate) async fn convert(self, job: Job, ticket: Ticket) {
        let us = Holder::Us(&ticket.entry);
        if job.cancel {
            self.finish(&job, us, Turn::CalledOff).await;
            return;
        }
        let mut cancelled = ticket.entry.cancelled();
        // A task of its own: a panic is a failed conversion and no more.
        let (service, order) = (self.clone(), job.clone());
        let mut work = JoinSet::new();
        work.spawn(async move { service.fax_pages(&order).await });
        let called_off = async move {
            let _ = cancelled.wait_for(|c| *c).await;
        };
        let made = tokio::select! {
            made = work.join_next() => made.and_then(Result::ok).unwrap_or_else(|| {
                Err(ConvertError::Document("The document could not be converted.".into()))
            }),
            () = called_off => {
                work.shutdown().await;
                let turn = match ticket.entry.why() {
                    Some(Why::LeaseLost) => return,
                    Some(Why::Sender) => Turn::CalledOff,
                    _ => Turn::Back(job.not_before),
                };
                self.finish(&job, us, turn).await;
                return;
            }
        };
        match made {
            Ok(stored) => self.converted(job, stored).await,
            Err(ConvertError::Document(why)) => {
                self.finish(&job, us, Turn::Hopeless(why)).await;
            }
            Err(ConvertError::Later(why)) => self.convert_later(job, us, why).await,
            Err(ConvertError::House(why)) => {
                let now = self.now();
                let age = now.since(job.created);
                if age > HOUSE_LONGEST {
                    self.finish(&job, us, Turn::Hopeless(why)).await;
                    return;
                }
                let pause = house_pause(age);
                tracing::error!(job = %job.id, why, ?pause, "a document waits, since it cannot be converted here");
                self.finish(&job, us, Turn::Held(now.plus(pause), why)).await;
            }
        }
    }

    async fn fax_pages(&self, job: &Job) -> Result<Stored, ConvertError> {
        let (octets, content_type, file_name) = self.original_of(job).await?;
        let converter = &self.inner.ports.converter;
        let name = file_name.as_deref();
        let document = converter.convert(octets, &content_type, name, job.colour).await?;
        let pages = document.page_count();
        if pages == 0 {
            return Err(ConvertError::Document("The document has no pages.".into()));
        }
        let remarks = remarks_of(&document);
        if !remarks.is_empty() {
            tracing::warn!(job = %job.id, ?remarks, "a document was converted with remarks");
        }
        let tiff =
            tokio::task::spawn_blocking(move || document.to_stored_tiff()).await.map_err(|e| {
                match e.is_panic() {
                    true => ConvertError::Document("The document could not be converted.".into()),
                    false => ConvertError::House(e.to_string()),
                }
            })?;
        let size = u64::try_from(tiff.len()).unwrap_or(u64::MAX);
        let put = self.inner.ports.documents.put_for(&job.account, tiff.into()).await;
        let key = put.map_err(|e| ConvertError::House(e.to_string()))?;
        Ok(Stored { key, pages, size, remarks })
    }

    async fn original_of(&self, job: &Job) -> Result<(Bytes, String, Option<String>), ConvertError> {
        if let Some((original, content_type, file_name)) = job.source.stored() {
            let got = self.inner.ports.documents.get(original).await;
            let octets = got.map_err(|e| match e {
                StoreError::NotFound => ConvertError::Document("The document is lost.".into()),
                StoreError::Damaged(_) => ConvertError::Document("The document is damaged.".into()),
                StoreError::KeyDestroyed => ConvertError::Document(KEY_DESTROYED.into()),
                other => ConvertError::House(other.to_string()),
            })?;
            return Ok((octets, content_type.to_owned(), file_name.map(str::to_owned)));
        }
        let Source::Url { request, .. } = &job.source else {
            return Err(ConvertError::Document("The document was removed.".into()));
        };
        self.tell_job(job, Stage::Prepare, "fetching document to send".into(), None);
        let got = self.inner.ports.fetcher.fetch(request.clone()).await?;
        if got.octets.len() > self.config().max_document {
            return Err(ConvertError::Document("The document is too large.".into()));
        }
        if self.retention_of(&job.account).fetched {
            self.keep(job, &got).await?;
        }
        Ok((got.octets, got.content_type, got.file_name))
    }

    /// Makes what was fetched the job's original before anything is made of it: what cannot be converted can be looked at, and
    /// the next try needs no server.
    async fn keep(&self, job: &Job, got: &Fetched) -> Result<(), ConvertError> {
        let ports = &self.inner.ports;
        let house = |e: StoreError| ConvertError::House(e.to_string());
        let original = ports.documents.put_for(&job.account, got.octets.clone()).await.map_err(house)?;
        let fetched = Kept {
            original: original.clone(),
            content_type: got.content_type.clone(),
            file_name: got.file_name.clone(),
        };
        let change: JobChange = Box::new(move |j| {
            if let Source::Url { kept, .. } = &mut j.source {
                *kept = Some(fetched);
            }
            Ok(())
        });
        if let Err(e) = ports.store.update_job(&job.id, self.held(), change, vec![]).await {
            self.forget(&original).await;
            return Err(house(e));
        }
        Ok(())
    }

    async fn converted(&self, job: Job, stored: Stored) {
        let now = self.now();
        let (store, clock) = (&self.inner.ports.store, &self.inner.ports.clock);
        let change = || -> JobChange {
            let key = stored.key.clone();
            let (pages, size, remarks) = (stored.pages, stored.size, stored.remarks.clone());
            Box::new(move |j| {
                j.document = Some(key);
                j.pages = pages;
                j.size = size;
                j.remarks = remarks;
                j.modified = now;
                j.reason = None;
                j.state = JobState::Pending;
                if j.cancel {
                    j.state = JobState::Cancelled;
                    j.reason = Some("The fax was called off.".into());
                }
                Ok(())
            })
        };
        loop {
            let made = async {
                let read = store.job(&job.id).await?.ok_or(StoreError::NotFound)?;
                let mut then = read.clone();
                change()(&mut then)?;
                let told = self.told_of_turn(&then, false);
                store.update_job(&job.id, self.held(), if_still(read, change()), told).await
            };
            match made.await {
                Ok(job) => {
                    self.inner.wake.notify_one();
                    let text = "prepared document for send".to_owned();
                    self.tell_job(&job, Stage::Prepare, text, None);
                    // It was called off at another node.
                    if job.state == JobState::Cancelled {
                        self.inner.metrics.ended(&job, &Turn::CalledOff);
                        self.inner.wake_hooks.notify_one();
                    }
                    return;
                }
                Err(StoreError::Refused(why)) if why == CHANGED => {}
                Err(StoreError::Unavailable(e)) => {
                    tracing::error!(job = %job.id, error = %e, "the pages wait for the store");
                    clock.sleep_until(clock.now().plus(Duration::from_secs(1))).await;
                }
                Err(e) => {
                    tracing::warn!(job = %job.id, error = %e, "the converted pages are dropped");
                    self.forget(&stored.key).await;
                    return;
                }
            }
        }
    }

    async fn convert_later(&self, job: Job, us: Holder<'_>, why: String) {
        let now = self.now();
        if job.conversions + 1 >= TRIES {
            self.finish(&job, us, Turn::Hopeless(why)).await;
            return;
        }
        let reason = why.clone();
        let change: JobChange = Box::new(move |j| {
            j.conversions = j.conversions.saturating_add(1);
            j.reason = Some(reason);
            Ok(())
        });
        let store = &self.inner.ports.store;
        let counted = store.update_job(&job.id, self.held(), change, vec![]).await;
        if let Err(e) = counted {
            tracing::warn!(job = %job.id, error = %e, "a failed conversion was not counted");
        }
        tracing::warn!(job = %job.id, why, "the document is tried again later");
        self.finish(&job, us, Turn::Back(now.plus(AGAIN))).await;
    }
}

/// How long a fax of this age waits after a trouble of our own house: a minute at first, then a quarter of its age.
fn house_pause(age: Duration) -> Duration {
    (age / 4).clamp(AGAIN, HOUSE_AGAIN)
}

/// What the converter had to say about a document, in bounds.
fn remarks_of(document: &FaxDocument) -> Vec<String> {
    document.remarks.iter().take(REMARKS).map(|remark| remark.chars().take(REMARK).collect()).collect()
}
