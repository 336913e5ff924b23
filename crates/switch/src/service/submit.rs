//! Taking a job: checked, filled in from its faxbox, and on disk before the answer.

use super::{Service, ServiceError, Which};
use crate::hooks::What;
use bytes::Bytes;
use core::time::Duration;
use fax_store::StoreError;
use fax_store::model::{
    AccountId, DocumentKey, FaxboxId, Job, JobId, JobState, PageEntry, PageState, Priority, Source,
    Timestamp, WebRequest,
};
use fax_store::port::{Guard, JobChange};
use sha2::{Digest, Sha256};

/// The header of a fax that goes without a line at the top of its pages.
pub const NO_HEADER: &str = "-";

/// A job as a front hands it in. What is `None` or empty is filled in from the faxbox.
#[derive(Clone, PartialEq, Debug)]
pub struct NewJob {
    /// Whose it is.
    pub account: AccountId,
    /// The faxbox it is sent from.
    pub faxbox: Option<FaxboxId>,
    /// Caller's number.
    pub from_number: Option<String>,
    /// Caller's name.
    pub from_name: Option<String>,
    /// The number to be called, as typed.
    pub to_number: String,
    /// The recipient's name.
    pub to_name: Option<String>,
    /// A subject.
    pub subject: Option<String>,
    /// Subscriber number for TSI.
    pub ident: Option<String>,
    /// The name in the line at the top of each page; [`NO_HEADER`]: no such line. Filled in with the faxbox's, the
    /// caller's name or the account's.
    pub header: Option<String>,
    /// IANA time zone.
    pub timezone: Option<String>,
    /// Sub-address of the recipient.
    pub sub_address: Option<String>,
    /// Send grey and colour as such to whoever takes them, which takes minutes a page.
    pub colour: Option<bool>,
    /// Attempts in all.
    pub retries: Option<u32>,
    /// Who is told the result, besides nobody: the faxbox's list is added by the front if it wants.
    pub notify: Vec<String>,
    /// Not to be sent before this time.
    pub not_before: Option<Timestamp>,
    /// How urgent it is among the account's.
    pub priority: Priority,
    /// Dial the number as it was typed.
    pub keep_number: bool,
    /// The caller's number has to be one of the account's, also where the account does not say so.
    pub own_caller_id: bool,
    /// The document.
    pub document: NewDocument,
    /// Fields of the client that are kept and given back.
    pub client: serde_json::Map<String, serde_json::Value>,
    /// Sent again with the same key it is the same job.
    pub once: Option<Once>,
}

/// What makes a request that is repeated the same request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Once {
    /// The client's key; it counts in the account.
    pub key: String,
    /// A digest of everything that was asked for.
    pub request: String,
}

/// How long a key of [`Once`] is known.
pub const ONCE_FOR: Duration = Duration::from_secs(24 * 3600);

/// How many jobs of one key may be there, each made when the one before was too old: a year of a key used daily.
const ONCE_ROUNDS: u32 = 400;

/// Jobs of a key that may have been removed within [`ONCE_FOR`], so that the newest is behind their gaps.
const ONCE_GAPS: usize = 2;

/// Where [`Once::request`] stands in [`Job::client`].
const ONCE: &str = "pvt_once";

impl NewJob {
    /// A job with nothing but what is needed.
    #[must_use]
    pub fn new(account: AccountId, to_number: impl Into<String>, document: NewDocument) -> Self {
        NewJob {
            account,
            faxbox: None,
            from_number: None,
            from_name: None,
            to_number: to_number.into(),
            to_name: None,
            subject: None,
            ident: None,
            header: None,
            timezone: None,
            sub_address: None,
            colour: None,
            retries: None,
            notify: Vec::new(),
            not_before: None,
            priority: Priority::Normal,
            keep_number: false,
            own_caller_id: false,
            document,
            client: serde_json::Map::new(),
            once: None,
        }
    }
}

/// The document of a new job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NewDocument {
    /// Here it is.
    Octets {
        /// The document.
        octets: Bytes,
        /// What it is said to be.
        content_type: String,
        /// Its name.
        file_name: Option<String>,
    },
    /// The one of another fax of the account, as it is: to send it again or on.
    Copy(Which),
    /// Fetch it.
    Url(WebRequest),
}

/// Why a job was not taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SubmitError {
    /// There is no such account.
    #[error("there is no such account")]
    UnknownAccount,
    /// There is no such faxbox in this account.
    #[error("there is no such faxbox")]
    UnknownFaxbox,
    /// The number cannot be called.
    #[error("{0:?} is not a number that can be called")]
    BadNumber(String),
    /// The account may not call this number: why.
    #[error("{0}")]
    Barred(String),
    /// The account may show only numbers of its own, and this is none.
    #[error("{0:?} is not a number of the account")]
    CallerId(String),
    /// The account is shut.
    #[error("the account is disabled")]
    Disabled,
    /// The document is empty, or there is no such fax to copy, or it has no document.
    #[error("there is no document")]
    EmptyDocument,
    /// The document is larger than this many octets.
    #[error("the document is larger than {0} octets")]
    TooLarge(usize),
    /// The key of [`Once`] stands for another request.
    #[error("this key was used for another fax: take a new one")]
    KeyReused,
    /// There is no such job.
    #[error("there is no such fax")]
    NotFound,
    /// A job cannot be changed as it is now: why.
    #[error("{0}")]
    Conflict(String),
    /// The store failed: the job was not taken.
    #[error("{0}")]
    Unavailable(String),
}

impl From<StoreError> for SubmitError {
    fn from(e: StoreError) -> Self {
        match e {
            StoreError::NotFound => SubmitError::NotFound,
            StoreError::Refused(why) => SubmitError::Conflict(why),
            other => SubmitError::Unavailable(other.to_string()),
        }
    }
}

impl Service {
    /// Takes a job. It is on disk when this comes back with `Ok`.
    ///
    /// # Errors
    ///
    /// See [`SubmitError`]; nothing is left behind but perhaps a document without a row, which is
    /// swept later.
    pub async fn submit(&self, mut new: NewJob) -> Result<Job, SubmitError> {
        let once = new.once.take();
        let account = new.account.clone();
        let mut id = None;
        if let Some(once) = &once {
            match self.made_for(&account, once).await? {
                (_, Some(job)) => return Ok(job),
                (free, None) => id = Some(free),
            }
        }
        let mut job = self.job_of(new).await?;
        if let (Some(once), Some(id)) = (&once, id) {
            job.id = id;
            job.client.insert(ONCE.into(), once.request.as_str().into());
        }
        match (self.insert(&job).await, &once) {
            // The same request was faster by another way.
            (Err(StoreError::Exists), Some(once)) => {
                let (_, job) = self.made_for(&account, once).await?;
                job.ok_or_else(|| SubmitError::Conflict("the same fax was just taken away".into()))
            }
            (done, _) => Ok(done.map(|()| job)?),
        }
    }

    /// Takes a job under an id that its front has drawn and written down before: whatever was interrupted, and whoever
    /// else hands it in as well, there is one job, and this answers it.
    ///
    /// # Errors
    ///
    /// As [`Service::submit`].
    pub async fn submit_once(&self, id: JobId, new: NewJob) -> Result<Job, SubmitError> {
        Ok(self.submit_or_find(id, new).await?.0)
    }

    /// As [`Service::submit_once`]; answers as well whether it was this call that made the job.
    ///
    /// # Errors
    ///
    /// As [`Service::submit`].
    pub async fn submit_or_find(&self, id: JobId, new: NewJob) -> Result<(Job, bool), SubmitError> {
        let store = &self.inner.ports.store;
        if let Some(job) = store.job(&id).await? {
            return Ok((job, false));
        }
        let job = Job { id: id.clone(), ..self.job_of(new).await? };
        match self.insert(&job).await {
            Ok(()) => Ok((job, true)),
            // Somebody was faster.
            Err(error) => Ok((store.job(&id).await?.ok_or(error)?, false)),
        }
    }

    /// A job, whosever it is.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`].
    pub async fn find_job(&self, id: &JobId) -> Result<Option<Job>, ServiceError> {
        Ok(self.inner.ports.store.job(id).await?)
    }

    /// Stores a job and says so, all in one commit.
    async fn insert(&self, job: &Job) -> Result<(), StoreError> {
        let began = std::time::Instant::now();
        let store = &self.inner.ports.store;
        let told = self.told_of_job(What::Queued, job);
        if let Err(error) = store.insert_job_and_notices(job.clone(), told).await {
            // It may be stored, and only the answer be lost: who heard a failure would send the fax once more.
            let there = matches!(error, StoreError::Unavailable(_))
                && matches!(store.job(&job.id).await, Ok(Some(_)));
            if !there {
                return Err(error);
            }
        }
        self.inner.metrics.stored("insert_job", began);
        self.inner.metrics.submitted();
        self.inner.wake.notify_one();
        self.inner.wake_hooks.notify_one();
        Ok(())
    }

    /// The job that was made for a key, as it was at first.
    ///
    /// # Errors
    ///
    /// [`SubmitError::KeyReused`], [`SubmitError::Unavailable`].
    pub async fn made_before(&self, account: &AccountId, once: &Once) -> Result<Option<Job>, SubmitError> {
        Ok(self.made_for(account, once).await?.1)
    }

    /// The job that was made for a key, as it was at first; or the id that a job for it gets. The id follows from account, key
    /// and how many jobs of that key are there that are too old to be this one: not from the time, so that requests which
    /// meet, whenever each began, have one id, and no store takes a second job under it.
    async fn made_for(&self, account: &AccountId, once: &Once) -> Result<(JobId, Option<Job>), SubmitError> {
        let mut free = Vec::new();
        for round in 0..ONCE_ROUNDS {
            let id = id_of(account, &once.key, round);
            match self.inner.ports.store.job(&id).await? {
                None => free.push(id),
                // Asked after the job was read, which may just have been written.
                Some(job) if self.now().since(job.created) < ONCE_FOR => {
                    let same = job.client.get(ONCE).and_then(|r| r.as_str()) == Some(once.request.as_str());
                    let job = if same { Ok(at_first(job)) } else { Err(SubmitError::KeyReused) };
                    return job.map(|job| (job.id.clone(), Some(job)));
                }
                Some(_) => {}
            }
            if free.len() > ONCE_GAPS {
                break;
            }
        }
        free.into_iter().next().map(|id| (id, None)).ok_or(SubmitError::KeyReused)
    }

    /// Changes a job that waits, and begins it anew: no attempt of it was made yet. `new` says all of it; a document that is a copy of
    /// the job's own stays.
    ///
    /// # Errors
    ///
    /// As [`Service::submit`]; [`SubmitError::Conflict`] for one that is being sent or done with, and for another
    /// number or document when pages have gone out already.
    pub async fn change_job(&self, id: &JobId, new: NewJob) -> Result<Job, SubmitError> {
        let own = matches!(&new.document, NewDocument::Copy(Which::Job(of)) if of == id);
        let (at_once, account) = (new.not_before, new.account.clone());
        let old = self.inner.ports.store.job(id).await?.filter(|j| j.account == account);
        let old = old.ok_or(SubmitError::NotFound)?;
        let wanted = self.job_of(new).await?;
        let now = self.now();
        let change: JobChange = Box::new(move |j| {
            let refused = |why: &str| Err(StoreError::Refused(why.to_owned()));
            let another = !own && !j.source.asks_for_the_same(&wanted.source);
            let anew = another || j.colour != wanted.colour;
            if j.state.is_final() {
                return refused("the fax is done with already: send it again by `resubmit`");
            }
            if j.cancel {
                return refused("the fax is being called off");
            }
            if j.lease.is_some() && (j.state != JobState::Converting || anew) {
                return refused("the fax is being sent: wait, or call it off by DELETE");
            }
            let touched = j.ledger.iter().any(|p| p.state != PageState::Unsent);
            if touched && (anew || j.to_number != wanted.to_number) {
                return refused(
                    "pages of it have gone to the old number already: call it off and send a new fax",
                );
            }
            let waits = at_once.or(Some(j.not_before).filter(|_| j.attempts.is_empty()));
            j.not_before = waits.unwrap_or(now);
            j.modified = now;
            j.to_number = wanted.to_number;
            j.to_name = wanted.to_name;
            j.from_number = wanted.from_number;
            j.from_name = wanted.from_name;
            j.subject = wanted.subject;
            j.ident = wanted.ident;
            j.header = wanted.header;
            j.timezone = wanted.timezone;
            j.sub_address = wanted.sub_address;
            j.retries = wanted.retries;
            j.priority = wanted.priority;
            j.notify = wanted.notify;
            j.faxbox = wanted.faxbox;
            let mut client = wanted.client;
            client.extend(
                j.client.iter().filter(|(k, _)| k.starts_with("pvt_")).map(|(k, v)| (k.clone(), v.clone())),
            );
            j.client = client;
            j.attempts.clear();
            j.attempts_counted = 0;
            j.conversions = 0;
            j.reason = None;
            if anew {
                if another {
                    j.source = wanted.source;
                }
                j.colour = wanted.colour;
                j.state = JobState::Converting;
                j.document = None;
                j.pages = 0;
                j.size = 0;
                j.remarks.clear();
            }
            Ok(())
        });
        let job = self.inner.ports.store.update_job(id, Guard::Any, change, vec![]).await?;
        for key in [old.source.original(), old.document.as_ref()].into_iter().flatten() {
            let kept = job.source.original() == Some(key) || job.document.as_ref() == Some(key);
            if !kept {
                self.forget(key).await;
            }
        }
        self.inner.wake.notify_one();
        Ok(job)
    }

    /// The job that this would be.
    async fn job_of(&self, new: NewJob) -> Result<Job, SubmitError> {
        let config = self.config();
        let directory = self.directory();
        let account = directory.account(&new.account).ok_or(SubmitError::UnknownAccount)?;
        let faxbox = match &new.faxbox {
            None => None,
            Some(id) => Some(
                directory
                    .faxbox(id)
                    .filter(|f| f.account == new.account)
                    .ok_or(SubmitError::UnknownFaxbox)?,
            ),
        };
        let to_number = if new.keep_number {
            crate::number::as_typed(&new.to_number)
        } else {
            config.numbers.accept(&new.to_number)
        };
        let to_number = to_number.ok_or_else(|| SubmitError::BadNumber(new.to_number.clone()))?;
        self.permit(&new.account, &to_number).map_err(|why| SubmitError::Barred(why.to_string()))?;
        let filled = |own: Option<String>, from: Option<&String>| {
            own.filter(|s| !s.is_empty())
                .or_else(|| from.filter(|s| !s.is_empty()).cloned())
                .unwrap_or_default()
        };
        if directory.is_disabled(&account.id) {
            return Err(SubmitError::Disabled);
        }
        let from_number = filled(new.from_number, faxbox.map(|f| &f.caller_id));
        let own = || directory.owner_of_number(&config.numbers.normalise(&from_number)) == Some(&account.id);
        if (account.own_caller_ids || new.own_caller_id) && !own() {
            return Err(SubmitError::CallerId(from_number));
        }
        let colour = new.colour;
        let (source, ready) = self.source(&new.account, new.document, colour).await?;

        let now = self.now();
        let mut job = Job::new(new.account, to_number, source, now);
        job.from_number = from_number;
        job.from_name = filled(new.from_name, faxbox.map(|f| &f.caller_name));
        job.to_name = new.to_name.unwrap_or_default();
        job.subject = new.subject;
        job.ident = filled(new.ident, faxbox.map(|f| &f.fax_identity));
        if job.ident.is_empty() {
            job.ident.clone_from(&job.from_number);
        }
        let name =
            Some(job.from_name.clone()).filter(|n| !n.is_empty()).unwrap_or_else(|| account.name.clone());
        job.header = filled(Some(filled(new.header, faxbox.map(|f| &f.fax_header))), Some(&name));
        if job.header == NO_HEADER {
            job.header.clear();
        }
        job.timezone = filled(new.timezone, Some(&directory.timezone(&account.id, faxbox).to_owned()));
        job.sub_address = new.sub_address;
        let as_before = ready.as_ref().map(|ready| ready.colour);
        job.colour = colour.or(as_before).unwrap_or_else(|| faxbox.is_some_and(|f| f.colour));
        let retries = new.retries.or(faxbox.map(|f| f.retries)).unwrap_or(config.default_retries);
        job.retries = retries.min(config.max_retries);
        job.priority = new.priority;
        job.notify = new.notify;
        job.client = new.client;
        job.faxbox = new.faxbox;
        job.not_before = new.not_before.unwrap_or(now);
        if let Some(opens) =
            self.opens(&job.account, job.faxbox.as_ref(), job.not_before).filter(|_| ready.is_some())
        {
            job.not_before = opens;
        }
        if let Some(ready) = ready {
            job.state = JobState::Pending;
            job.document = Some(ready.key);
            job.pages = ready.pages;
            job.size = ready.size;
            job.remarks = ready.remarks;
            let pages = usize::try_from(ready.pages).unwrap_or(0);
            job.ledger = vec![PageEntry::default(); pages];
        }
        Ok(job)
    }

    /// Where the document comes from, and its fax pages if they are there already.
    async fn source(
        &self,
        account: &AccountId,
        document: NewDocument,
        colour: Option<bool>,
    ) -> Result<(Source, Option<FaxPages>), SubmitError> {
        let source = match document {
            NewDocument::Copy(which) => return self.copy(account, &which, colour).await,
            NewDocument::Octets { octets, content_type, file_name } => {
                if octets.is_empty() {
                    return Err(SubmitError::EmptyDocument);
                }
                if octets.len() > self.config().max_document {
                    return Err(SubmitError::TooLarge(self.config().max_document));
                }
                let original = self.inner.ports.documents.put_for(account, octets).await?;
                Source::Stored { original, content_type, file_name }
            }
            NewDocument::Url(request) => Source::Url { request, kept: None },
        };
        Ok((source, None))
    }

    async fn copy(
        &self,
        account: &AccountId,
        which: &Which,
        colour: Option<bool>,
    ) -> Result<(Source, Option<FaxPages>), SubmitError> {
        let missing = |e| match e {
            ServiceError::Unavailable(why) => SubmitError::Unavailable(why),
            _ => SubmitError::EmptyDocument,
        };
        match which {
            Which::Job(id) => {
                let job = self.job(account, id).await.map_err(missing)?;
                if job.source == Source::Removed && job.document.is_none() {
                    return Err(SubmitError::EmptyDocument);
                }
                let mut source = job.source;
                if job.pages == 0 {
                    source.fetch_anew();
                }
                let (pages, size, was) = (job.pages, job.size, job.colour);
                let remarks = job.remarks;
                let ready = job.document.map(|key| FaxPages { key, pages, size, remarks, colour: was });
                // In another way than before it has to be drawn again.
                let again = colour.is_some_and(|wanted| wanted != was);
                let ready = ready.filter(|_| !again || source.original().is_none());
                Ok((source, ready))
            }
            Which::Fax(id) => {
                let fax = self.fax(account, id).await.map_err(missing)?;
                let key = fax.document.ok_or(SubmitError::EmptyDocument)?;
                let source = Source::Stored {
                    original: key.clone(),
                    content_type: "image/tiff".into(),
                    file_name: None,
                };
                let (pages, size, remarks) = (fax.pages, fax.size, Vec::new());
                let ready = FaxPages { key, pages, size, remarks, colour: false };
                Ok((source, Some(ready)))
            }
        }
    }
}

/// The id of the job for a key of an account; `round` counts those before it.
fn id_of(account: &AccountId, key: &str, round: u32) -> JobId {
    let mut hash = Sha256::new();
    for part in [account.as_str(), key, &round.to_string()] {
        hash.update(format!("{}:{part}", part.len()));
    }
    let id: String = hash.finalize().iter().take(16).map(|octet| format!("{octet:02x}")).collect();
    JobId::new(id)
}

/// A job as it was when it was taken.
fn at_first(job: Job) -> Job {
    Job {
        state: JobState::Converting,
        modified: job.created,
        attempts: Vec::new(),
        attempts_counted: 0,
        conversions: 0,
        document: None,
        pages: 0,
        size: 0,
        remarks: Vec::new(),
        ledger: Vec::new(),
        lease: None,
        cancel: false,
        reason: None,
        ..job
    }
}

/// Fax pages that are stored already.
struct FaxPages {
    key: DocumentKey,
    pages: u32,
    size: u64,
    /// What was said about them when they were made.
    remarks: Vec<String>,
    /// Grey and colour were asked for.
    colour: bool,
}
