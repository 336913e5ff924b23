//! Taking a job: checked, filled in from its faxbox, and on disk before the answer.

use super::{Service, ServiceError, Which};
use bytes::Bytes;
use fax_store::StoreError;
use fax_store::model::{AccountId, DocumentKey, FaxboxId, Job, JobState, PageEntry, Source, Timestamp};

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
    /// Dial the number as it was typed.
    pub keep_number: bool,
    /// The caller's number has to be one of the account's, also where the account does not say so.
    pub own_caller_id: bool,
    /// The document.
    pub document: NewDocument,
    /// Fields of the client that are kept and given back.
    pub client: serde_json::Map<String, serde_json::Value>,
}

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
            keep_number: false,
            own_caller_id: false,
            document,
            client: serde_json::Map::new(),
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
    Url {
        /// Where.
        url: String,
        /// `get` or `post`.
        method: String,
        /// `Host`.
        host: Option<String>,
        /// `Referer`.
        referer: Option<String>,
        /// Body.
        content: Option<String>,
        /// Type of the body.
        content_type: Option<String>,
    },
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
    /// The store failed: the job was not taken.
    #[error("{0}")]
    Unavailable(String),
}

impl From<StoreError> for SubmitError {
    fn from(e: StoreError) -> Self {
        SubmitError::Unavailable(e.to_string())
    }
}

impl Service {
    /// Takes a job. It is on disk when this comes back with `Ok`.
    ///
    /// # Errors
    ///
    /// See [`SubmitError`]; nothing is left behind but perhaps a document without a row, which is
    /// swept later.
    pub async fn submit(&self, new: NewJob) -> Result<Job, SubmitError> {
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
            Some(new.to_number.trim().to_owned()).filter(|n| !crate::number::digits(n).is_empty())
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
        if account.disabled {
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
        job.notify = new.notify;
        job.client = new.client;
        job.faxbox = new.faxbox;
        job.not_before = new.not_before.unwrap_or(now);
        if let Some(ready) = ready {
            job.state = JobState::Pending;
            job.document = Some(ready.key);
            job.pages = ready.pages;
            job.size = ready.size;
            let pages = usize::try_from(ready.pages).unwrap_or(0);
            job.ledger = vec![PageEntry::default(); pages];
        }
        self.inner.ports.store.insert_job(job.clone()).await?;
        self.inner.wake.notify_one();
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
                let original = self.inner.ports.documents.put(octets).await?;
                Source::Stored { original, content_type, file_name }
            }
            NewDocument::Url { url, method, host, referer, content, content_type } => {
                Source::Url { url, method, host, referer, content, content_type }
            }
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
                let (pages, size, was) = (job.pages, job.size, job.colour);
                let ready = job.document.map(|key| FaxPages { key, pages, size, colour: was });
                // In another way than before it has to be drawn again.
                let again = colour.is_some_and(|wanted| wanted != was);
                let ready = ready.filter(|_| !again || matches!(job.source, Source::Url { .. }));
                Ok((job.source, ready))
            }
            Which::Fax(id) => {
                let fax = self.fax(account, id).await.map_err(missing)?;
                let key = fax.document.ok_or(SubmitError::EmptyDocument)?;
                let source = Source::Stored {
                    original: key.clone(),
                    content_type: "image/tiff".into(),
                    file_name: None,
                };
                let ready = FaxPages { key, pages: fax.pages, size: fax.size, colour: false };
                Ok((source, Some(ready)))
            }
        }
    }
}

/// Fax pages that are stored already.
struct FaxPages {
    key: DocumentKey,
    pages: u32,
    size: u64,
    /// Grey and colour were asked for.
    colour: bool,
}
