//! A job: one document to be sent to one number, its attempts and its page ledger.

use super::{AccountId, DocumentKey, FaxboxId, JobId, NodeId, Priority, Timestamp};
use serde::{Deserialize, Serialize};

/// Where a job stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Its document is being fetched or made into fax pages.
    Converting,
    /// It waits for its time and for a line.
    Pending,
    /// A node has taken it.
    Locked,
    /// A call is in progress.
    Processing,
    /// Every page was confirmed.
    Completed,
    /// It was given up.
    Failed,
    /// The last page was sent and its confirmation never came: it may have been delivered, and is
    /// never sent again of itself.
    Uncertain,
    /// Someone called it off.
    Cancelled,
}

impl JobState {
    /// Whether nothing more will happen to the job.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, JobState::Completed | JobState::Failed | JobState::Uncertain | JobState::Cancelled)
    }

    /// Where the job is listed.
    #[must_use]
    pub const fn folder(self) -> Folder {
        if self.is_final() { Folder::Filed } else { Folder::Live }
    }
}

/// The two lists of jobs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Folder {
    /// In the queue (REST: `outgoing`).
    Live,
    /// Done with, well or badly (REST: `outbox`).
    Filed,
}

/// A document to be sent to one number.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Whose it is.
    pub account: AccountId,
    /// The faxbox it was sent from.
    #[serde(default)]
    pub faxbox: Option<FaxboxId>,
    /// When it was accepted.
    pub created: Timestamp,
    /// When it changed last.
    pub modified: Timestamp,
    /// Where it stands.
    pub state: JobState,
    /// Caller's number.
    #[serde(default)]
    pub from_number: String,
    /// Caller's name.
    #[serde(default)]
    pub from_name: String,
    /// The number to be called, normalised.
    pub to_number: String,
    /// The recipient's name.
    #[serde(default)]
    pub to_name: String,
    /// Subject of the mail it came by, or of the client's choice.
    #[serde(default)]
    pub subject: Option<String>,
    /// Our subscriber number for TSI, at most 20 characters.
    #[serde(default)]
    pub ident: String,
    /// Text for the line at the top of each page.
    #[serde(default)]
    pub header: String,
    /// IANA time zone of the header line.
    #[serde(default)]
    pub timezone: String,
    /// Sub-address of the recipient.
    #[serde(default)]
    pub sub_address: Option<String>,
    /// Grey and colour in the document go as such to whoever takes them.
    #[serde(default)]
    pub colour: bool,
    /// Attempts allowed in all; 0 and 1 both mean one.
    pub retries: u32,
    /// Attempts made, oldest first.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
    /// When it was begun anew after it had been done with, if it was: what was sent and what failed before decides nothing
    /// any more.
    #[serde(default)]
    pub begun: Timestamp,
    /// Attempts that counted, which those failed for our own fault do not.
    #[serde(default)]
    pub attempts_counted: u32,
    /// Conversions that failed for a passing reason.
    #[serde(default)]
    pub conversions: u32,
    /// Not to be taken before this time.
    pub not_before: Timestamp,
    /// How urgent it is among those of its account that are due.
    #[serde(default, skip_serializing_if = "Priority::is_normal")]
    pub priority: Priority,
    /// Where the document comes from.
    pub source: Source,
    /// The fax pages as TIFF-F, once converted.
    #[serde(default)]
    pub document: Option<DocumentKey>,
    /// Pages of the document; 0 before conversion.
    #[serde(default)]
    pub pages: u32,
    /// Octets of the TIFF-F.
    #[serde(default)]
    pub size: u64,
    /// What was left out or looks otherwise than in the document as it was handed in, a sentence each; bounded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// One entry a page, once converted. Kept in rows of its own: changed only through
    /// [`crate::Store::record_page`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ledger: Vec<PageEntry>,
    /// E-mail addresses that are told the result.
    #[serde(default)]
    pub notify: Vec<String>,
    /// Fields of the client that are kept and given back.
    #[serde(default)]
    pub client: serde_json::Map<String, serde_json::Value>,
    /// Who works on it.
    #[serde(default)]
    pub lease: Option<Lease>,
    /// Cancelling was asked for while a call was in progress.
    #[serde(default)]
    pub cancel: bool,
    /// In a plain sentence why it failed or is uncertain.
    #[serde(default)]
    pub reason: Option<String>,
    /// The rule of the operator's that said what follows the last attempt, by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reschedule_rule: Option<String>,
}

impl Job {
    /// A new job of `account` for `to_number`, accepted at `now`: the rest is empty, one attempt.
    #[must_use]
    pub fn new(account: AccountId, to_number: impl Into<String>, source: Source, now: Timestamp) -> Self {
        Job {
            id: JobId::generate(),
            account,
            faxbox: None,
            created: now,
            modified: now,
            state: JobState::Converting,
            from_number: String::new(),
            from_name: String::new(),
            to_number: to_number.into(),
            to_name: String::new(),
            subject: None,
            ident: String::new(),
            header: String::new(),
            timezone: String::new(),
            sub_address: None,
            colour: false,
            retries: 1,
            attempts: Vec::new(),
            begun: Timestamp::default(),
            attempts_counted: 0,
            conversions: 0,
            not_before: now,
            priority: Priority::Normal,
            source,
            document: None,
            pages: 0,
            size: 0,
            remarks: Vec::new(),
            ledger: Vec::new(),
            notify: Vec::new(),
            client: serde_json::Map::new(),
            lease: None,
            cancel: false,
            reason: None,
            reschedule_rule: None,
        }
    }

    /// Whether both may go out in one call: the same sender's faxes to the same recipient, called and headed alike, and
    /// none that failed before.
    #[must_use]
    pub fn shares_call(&self, other: &Job) -> bool {
        let call = |j: &Job| {
            (
                (j.account.clone(), j.faxbox.clone(), j.to_number.clone(), j.sub_address.clone()),
                (j.from_number.clone(), j.from_name.clone(), j.ident.clone()),
                (j.header.clone(), j.timezone.clone(), j.colour),
            )
        };
        self.id != other.id
            && call(self) == call(other)
            && [self, other].iter().all(|j| j.attempts_counted == 0 && j.pages > 0 && j.document.is_some())
    }

    /// The page at which the next attempt starts, from 0: the first that is not confirmed.
    #[must_use]
    pub fn first_unconfirmed(&self) -> usize {
        self.ledger
            .iter()
            .position(|p| !matches!(p.state, PageState::Confirmed { .. }))
            .unwrap_or(self.ledger.len())
    }

    /// How many pages are confirmed.
    #[must_use]
    pub fn pages_confirmed(&self) -> u32 {
        let n = self.ledger.iter().filter(|p| matches!(p.state, PageState::Confirmed { .. })).count();
        u32::try_from(n).unwrap_or(u32::MAX)
    }

    /// Whether all pages but the last are confirmed and the last was sent since the job was begun: nobody knows whether
    /// it arrived.
    #[must_use]
    pub fn is_last_page_open(&self) -> bool {
        !self.ledger.is_empty()
            && self.first_unconfirmed() + 1 == self.ledger.len()
            && self.ledger.last().is_some_and(|p| p.state == PageState::Sent && p.at >= self.begun)
    }

    /// Attempts made since the job was begun, oldest first.
    pub fn attempts_since_begun(&self) -> impl Iterator<Item = &Attempt> {
        self.attempts.iter().filter(|a| a.started >= self.begun)
    }

    /// Attempts that are left after those that counted.
    #[must_use]
    pub fn attempts_left(&self) -> u32 {
        self.retries.max(1).saturating_sub(self.attempts_counted)
    }
}

/// Where a job's document comes from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Source {
    /// It was handed in and is stored.
    Stored {
        /// As it was handed in.
        original: DocumentKey,
        /// What it was said to be.
        content_type: String,
        /// Its name, if it had one.
        #[serde(default)]
        file_name: Option<String>,
    },
    /// It is to be fetched.
    Url {
        /// How it is asked for.
        #[serde(flatten)]
        request: WebRequest,
        /// What came from there, where that is kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept: Option<Kept>,
    },
    /// It was removed after the job was done with, and only the record stays.
    Removed,
}

/// How a document is asked for that somebody's web server has.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WebRequest {
    /// Where.
    pub url: String,
    /// `get` or `post`.
    pub method: String,
    /// `Host` of the request.
    #[serde(default)]
    pub host: Option<String>,
    /// `Referer` of the request.
    #[serde(default)]
    pub referer: Option<String>,
    /// Body of the request.
    #[serde(default)]
    pub content: Option<String>,
    /// Type of that body.
    #[serde(default)]
    pub content_type: Option<String>,
}

impl WebRequest {
    /// Asks for this address and says no more.
    #[must_use]
    pub fn get(url: impl Into<String>) -> WebRequest {
        WebRequest {
            url: url.into(),
            method: "get".into(),
            host: None,
            referer: None,
            content: None,
            content_type: None,
        }
    }
}

/// A document that was fetched, and is stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Kept {
    /// As it came.
    pub original: DocumentKey,
    /// What its server said it was.
    pub content_type: String,
    /// Its name, if it had one.
    #[serde(default)]
    pub file_name: Option<String>,
}

impl Source {
    /// The document as it was handed in or fetched, where it is stored.
    #[must_use]
    pub const fn original(&self) -> Option<&DocumentKey> {
        match self {
            Source::Stored { original, .. } | Source::Url { kept: Some(Kept { original, .. }), .. } => {
                Some(original)
            }
            Source::Url { kept: None, .. } | Source::Removed => None,
        }
    }

    /// The same with what it was said to be, and its name.
    #[must_use]
    pub fn stored(&self) -> Option<(&DocumentKey, &str, Option<&str>)> {
        match self {
            Source::Stored { original, content_type, file_name }
            | Source::Url { kept: Some(Kept { original, content_type, file_name }), .. } => {
                Some((original, content_type, file_name.as_deref()))
            }
            Source::Url { kept: None, .. } | Source::Removed => None,
        }
    }

    /// Lets go of the document. Where it was fetched from stays, and it can be fetched anew.
    pub fn strip(&mut self) {
        match self {
            Source::Stored { .. } => *self = Source::Removed,
            Source::Url { .. } | Source::Removed => self.fetch_anew(),
        }
    }

    /// Lets go of what was fetched, and of nothing else.
    pub fn fetch_anew(&mut self) {
        if let Source::Url { kept, .. } = self {
            *kept = None;
        }
    }

    /// Whether both are the same wish, whatever came of it so far.
    #[must_use]
    pub fn asks_for_the_same(&self, other: &Source) -> bool {
        let wish = |source: &Source| {
            let mut wish = source.clone();
            wish.fetch_anew();
            wish
        };
        wish(self) == wish(other)
    }
}

/// A page's entry in the ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PageEntry {
    /// What is known of it.
    pub state: PageState,
    /// The attempt that brought it there, from 0.
    pub attempt: u32,
    /// When.
    pub at: Timestamp,
}

/// What is known of a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageState {
    /// It was not sent, or not to its end.
    #[default]
    Unsent,
    /// It was sent to its end, and the confirmation is awaited or lost.
    Sent,
    /// The far end said that it has it.
    Confirmed {
        /// It said so with RTP: readable, not good.
        poor: bool,
    },
}

/// The right of a node to work on a job.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Lease {
    /// Which node.
    pub node: NodeId,
    /// Until when, unless renewed.
    pub until: Timestamp,
}

/// One call for a job.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Attempt {
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// The page it began with, from 0.
    pub first_page: u32,
    /// Pages confirmed in it.
    pub pages_confirmed: u32,
    /// Pages sent to their end in it.
    pub pages_sent: u32,
    /// The last rate, bit/s.
    pub bit_rate: Option<u32>,
    /// The last modem: `V.17`, `V.29`, `V.27ter`.
    pub modem: Option<String>,
    /// The last coding: `MH`, `MR`, `MMR`.
    pub coding: Option<String>,
    /// The last resolution, such as `204 × 196`.
    pub resolution: Option<String>,
    /// Whether error correction was used.
    pub ecm: bool,
    /// Whether it went by T.38.
    pub t38: bool,
    /// The far end's subscriber number.
    pub remote_ident: Option<String>,
    /// The trunk it went by.
    pub trunk: Option<String>,
    /// The SIP Call-ID.
    pub call_id: Option<String>,
    /// Pages and frames sent more than once.
    pub resends: u32,
    /// What was left out because of what earlier calls had taught, and why: a sentence each.
    pub applied: Vec<String>,
    /// The name of the file in which the call was recorded; it may have made room for others since.
    pub recording: Option<String>,
    /// The ladder of frames, a line of text each; bounded.
    pub trace: Vec<String>,
}

/// How an attempt ended.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AttemptOutcome {
    /// The class: `ok`, or the key of a failure such as `call.busy` or `d.noresp`.
    pub class: String,
    /// The same in a plain sentence.
    pub text: String,
    /// The SIP status that ended or refused the call.
    pub sip_status: Option<u16>,
    /// The cause of Q.850 that came with it.
    pub q850: Option<u16>,
    /// What is to be done about it.
    pub retry: RetryPolicy,
}

/// What is to be done after a failed attempt.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryPolicy {
    /// Nothing: it went well.
    #[default]
    None,
    /// Do not try again.
    Never,
    /// Do not try again, and mark the number.
    NeverNumber,
    /// Engaged or congested: try again soon, then later and later.
    Busy,
    /// Nobody there: try again later.
    NoAnswer,
    /// The line was bad: try again soon.
    Line,
    /// The far end did not keep to the procedure: try again.
    Protocol,
    /// Our own fault: try again; the attempt does not count.
    Local,
    /// The sender has to decide something first.
    User,
    /// Probably delivered: do not send again.
    ProbablyDelivered,
}
