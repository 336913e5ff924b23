//! The ports through which the switch reaches the outside: calls, conversion, fetching, the clock.

use crate::policy::{Known, Plan};
use async_trait::async_trait;
use bytes::Bytes;
use core::time::Duration;
use fax_base::line::Modulation;
use fax_document::FaxDocument;
use fax_store::model::{AccountId, JobId, RetryPolicy, Timestamp, WebRequest};
use fax_t30::PageRecord;
use fax_terminal::CodedPage;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// Makes calls.
#[async_trait]
pub trait Dialler: Send + Sync + 'static {
    /// Makes one call, sends the pages and comes back when the call has been cleared. What happens
    /// is told through `events` as it happens and in order; waiting for room there is right, since
    /// the switch makes each confirmed page durable before it takes the next event.
    async fn call(&self, order: CallOrder, events: mpsc::Sender<CallEvent>) -> CallResult;

    /// How the trunks are now, by name, as it is shown to operators.
    async fn trunks(&self) -> Vec<TrunkStatus> {
        Vec::new()
    }

    /// Who is banned from calling us, and what was turned away, field by field, as REST gives it.
    fn protection(&self) -> serde_json::Map<String, serde_json::Value> {
        serde_json::Map::new()
    }

    /// Lifts a ban; says whether there was one.
    fn lift_ban(&self, _source: core::net::IpAddr) -> bool {
        false
    }

    /// Whether calls can come in.
    fn is_listening(&self) -> bool {
        true
    }

    /// How punctual the media have been since the start.
    fn media_times(&self) -> MediaTimes {
        MediaTimes::default()
    }
}

/// How punctual the media have been.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MediaTimes {
    /// Turns of calls: what was to be done at a time of its own.
    pub turns: u64,
    /// How many of them came later than so many milliseconds.
    pub late: Vec<(u32, u64)>,
}

/// Calls web hooks.
#[async_trait]
pub trait HookCaller: Send + Sync + 'static {
    /// Calls a hook once and tells what became of it. Goes only to public addresses and takes a bounded time.
    async fn call(&self, order: HookOrder) -> HookAnswer;
}

/// A web hook to be called.
#[derive(Clone, PartialEq, Debug)]
pub struct HookOrder {
    /// Whose.
    pub target: crate::hooks::Target,
    /// The id of the delivery: the same for all its attempts.
    pub delivery: String,
    /// What happened: `fax.sent`.
    pub event: String,
    /// Everything about it.
    pub data: serde_json::Map<String, serde_json::Value>,
    /// When it happened.
    pub happened: Timestamp,
    /// The time now.
    pub now: Timestamp,
}

/// What became of calling a hook.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HookAnswer {
    /// HTTP status.
    pub status: Option<u16>,
    /// Why it failed; `None`: it is delivered.
    pub error: Option<String>,
}

/// How a trunk is.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TrunkStatus {
    /// Its name.
    pub name: String,
    /// Its state, field by field, as REST gives it.
    pub fields: serde_json::Map<String, serde_json::Value>,
}

/// One call to be made.
#[derive(Clone, Debug)]
pub struct CallOrder {
    /// For which job.
    pub job: JobId,
    /// Whose job.
    pub account: AccountId,
    /// Which attempt it is, from 0.
    pub attempt: u32,
    /// The number to be called.
    pub to_number: String,
    /// The same in E.164 as far as the plan of numbers goes: trunks are chosen by both.
    pub to_e164: String,
    /// Caller's number.
    pub from_number: String,
    /// Caller's name.
    pub from_name: String,
    /// Our subscriber number for TSI.
    pub ident: String,
    /// The name in the line at the top of each page, beside date and number; empty: no such line. Page numbers are `first_page + 1 …` of
    /// `pages_in_all`.
    pub header: String,
    /// IANA time zone for the header line.
    pub timezone: String,
    /// Sub-address of the recipient.
    pub sub_address: Option<String>,
    /// The pages to send.
    pub pages: Vec<Arc<CodedPage>>,
    /// Where `pages` begins in the document, from 0.
    pub first_page: usize,
    /// Pages of the whole document.
    pub pages_in_all: usize,
    /// Documents that follow in the same call. Their pages are counted on behind those of the first document, in
    /// [`CallEvent`] and in [`CallResult::uncertain_page`].
    pub further: Vec<FurtherPages>,
    /// What is known of the number and of the trunks, and what this job's own failures ask for: see
    /// [`CallOrder::plan`].
    pub known: Known,
    /// Becomes true when the call is to be given up: clear it and come back.
    pub cancel: watch::Receiver<bool>,
}

/// The pages of a further document in a call.
#[derive(Clone, Debug)]
pub struct FurtherPages {
    /// The pages to send.
    pub pages: Vec<Arc<CodedPage>>,
    /// Where `pages` begins in the document, from 0.
    pub first_page: usize,
    /// Pages of the whole document.
    pub pages_in_all: usize,
}

impl CallOrder {
    /// How the call is to be made by this trunk.
    #[must_use]
    pub fn plan(&self, trunk: &str) -> Plan {
        self.known.plan(trunk)
    }
}

/// What to leave out after failures that looked like trouble on the line or in the procedure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Degrade {
    /// How many such failures there were.
    pub step: u32,
    /// Use the other transport than last time: `Some(false)` audio, `Some(true)` T.38.
    pub t38: Option<bool>,
    /// Not faster than this, bit/s; 9600 leaves V.17 out.
    pub max_bit_rate: Option<u32>,
    /// Error correction: off because it gave up, on because pages were refused.
    pub ecm: Option<bool>,
    /// Nothing but MH.
    pub mh_only: bool,
}

/// What happens in a call. Pages are counted from 0 in the whole document, and on through [`CallOrder::further`].
#[derive(Clone, PartialEq, Debug)]
pub enum CallEvent {
    /// It rings.
    Ringing,
    /// It was answered.
    Answered,
    /// T.38 was agreed.
    T38,
    /// T.30 agreed on this.
    Negotiated {
        /// bit/s.
        bit_rate: u32,
        /// `V.17`, `V.29`, `V.27ter`.
        modem: String,
        /// `MH`, `MR`, `MMR`.
        coding: String,
        /// Error correction.
        ecm: bool,
    },
    /// The far end's subscriber number.
    RemoteIdent(String),
    /// A page begins.
    PageSending {
        /// Which.
        page: usize,
    },
    /// A page and the command after it were sent.
    PageSent {
        /// Which.
        page: usize,
    },
    /// The far end has the page.
    PageConfirmed {
        /// Which.
        page: usize,
        /// It said RTP: readable, not good.
        poor: bool,
    },
    /// The far end wants a page or frames of it again.
    Resend {
        /// Which.
        page: usize,
        /// Frames; 0 for the whole page.
        frames: u32,
    },
    /// A line for the ladder.
    Ladder(String),
}

/// How a call ended.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct CallResult {
    /// `ok`, or the key of a failure: see [`crate::policy`].
    pub class: String,
    /// In a sentence; `None`: the class's.
    pub text: Option<String>,
    /// What is to be done; `None`: the class's.
    pub retry: Option<RetryPolicy>,
    /// The SIP status that refused or ended the call.
    pub sip_status: Option<u16>,
    /// The cause of Q.850 that came with it.
    pub q850: Option<u16>,
    /// Pages confirmed in this call.
    pub pages_confirmed: u32,
    /// A page that was sent to its end and not confirmed, in the whole document.
    pub uncertain_page: Option<usize>,
    /// The fax session ended by itself and tells what became of every page: one that it does not call uncertain did not
    /// leave whole, whatever [`CallEvent::PageSent`] said beforehand.
    pub session_told: bool,
    /// The last rate, bit/s.
    pub bit_rate: Option<u32>,
    /// The last modem.
    pub modem: Option<String>,
    /// The last coding.
    pub coding: Option<String>,
    /// The last resolution, such as `204 × 196`.
    pub resolution: Option<String>,
    /// Error correction.
    pub ecm: bool,
    /// It went by T.38.
    pub t38: bool,
    /// The far end's subscriber number.
    pub remote_ident: Option<String>,
    /// The trunk.
    pub trunk: Option<String>,
    /// The SIP Call-ID.
    pub call_id: Option<String>,
    /// Pages and frames sent more than once.
    pub resends: u32,
    /// From the call to its end.
    pub duration: Duration,
    /// The name of the file in which the call was recorded.
    pub recording: Option<String>,
    /// How it was planned: what [`CallOrder::plan`] said. Without it nothing is learnt from the call.
    pub plan: Option<Plan>,
    /// What was seen of the far end on the way.
    pub observed: Observed,
    /// No call was made, since no trunk has room or is up: the job waits so long, and nothing counts.
    pub not_made: Option<Duration>,
}

/// What was seen of the far end in a call.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Observed {
    /// What became of T.38.
    pub t38: T38Course,
    /// Training checks, in the order in which the modulations were first tried.
    pub trainings: Vec<TrainingCount>,
    /// The ledger of the pages that were begun to be sent.
    pub pages: Vec<PageRecord>,
    /// The information field of its last DIS.
    pub dis: Option<Bytes>,
    /// Who made it, by its NSF.
    pub maker: Option<String>,
}

/// What became of T.38 in a call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum T38Course {
    /// Nobody spoke of it.
    #[default]
    Unasked,
    /// It was agreed, and the fax went by it to the end.
    Agreed,
    /// We offered it, and this SIP status refused it (200: an answer without it; 408: none at all).
    Refused(u16),
    /// It was agreed, and nothing ever came by it.
    Silent,
    /// It was agreed and had carried something, and the call went back to audio.
    Left,
}

/// How often a modulation was trained.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrainingCount {
    /// Which.
    pub modulation: Modulation,
    /// Confirmed with CFR.
    pub passed: u32,
    /// Refused with FTT.
    pub failed: u32,
}

impl Observed {
    /// A training check was answered.
    pub fn trained(&mut self, modulation: Modulation, passed: bool) {
        let known = self.trainings.iter().position(|t| t.modulation == modulation);
        if known.is_none() {
            self.trainings.push(TrainingCount { modulation, passed: 0, failed: 0 });
        }
        if let Some(count) = self.trainings.iter_mut().find(|t| t.modulation == modulation) {
            let n = if passed { &mut count.passed } else { &mut count.failed };
            *n = n.saturating_add(1);
        }
    }
}

/// Makes documents into fax pages.
#[async_trait]
pub trait Converter: Send + Sync + 'static {
    /// Makes a document into fax pages, and with `colour` draws what is grey or in colour in it in that, too.
    async fn convert(
        &self,
        octets: Bytes,
        content_type: &str,
        file_name: Option<&str>,
        colour: bool,
    ) -> Result<FaxDocument, ConvertError>;
}

/// Why a document could not be had or made into fax pages.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConvertError {
    /// It never will be: what is wrong with it, in a sentence for its sender.
    #[error("{0}")]
    Document(String),
    /// It may be later: a passing trouble of who has it.
    #[error("{0}")]
    Later(String),
    /// It may be later: a trouble of our own house, for which no fax that was accepted is given up.
    #[error("{0}")]
    House(String),
}

/// Gets documents by URL.
#[async_trait]
pub trait Fetcher: Send + Sync + 'static {
    /// Gets a document. Answers no more than a limit of its own and goes only to public addresses.
    async fn fetch(&self, order: WebRequest) -> Result<Fetched, ConvertError>;
}

/// A document that was fetched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fetched {
    /// The document.
    pub octets: Bytes,
    /// What it was said to be.
    pub content_type: String,
    /// Its name, from `Content-Disposition` or the URL.
    pub file_name: Option<String>,
}

/// Wall-clock time and waiting for it.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// The time.
    fn now(&self) -> Timestamp;
    /// Comes back when it is `until` or later.
    async fn sleep_until(&self, until: Timestamp);
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// A wall clock may be set: it is looked at again at least so often.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep_until(&self, until: Timestamp) {
        loop {
            let left = until.since(self.now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(LONGEST_SLEEP)).await;
        }
    }
}
