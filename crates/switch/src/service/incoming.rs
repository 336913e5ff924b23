//! Calls that come in: who they are for, and what came of them.

use super::{Reception, Service, ServiceError};
use crate::event::{EventSubject, JobEvent, Stage};
use crate::policy::class_of_cause;
use crate::routing::{Onward, Routed, Source};
use bytes::Bytes;
use core::time::Duration;
use fax_base::page::{PageFormat, PageShape};
use fax_document::{FaxDocument, Page};
use fax_image::tiff::Quality;
use fax_store::StoreError;
use fax_store::model::{AccountId, FaxId, FaxboxId, Notice, NoticeKind, NoticeSubject, Received};
use fax_t30::{Cause, Outcome};
use fax_terminal::ReceivedPage;

/// A call that comes in.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct IncomingCall {
    /// The number that is called, as it stands in the request.
    pub to_number: String,
    /// Caller's number.
    pub from_number: String,
    /// Caller's name.
    pub from_name: String,
    /// The number that was called first, before the call was diverted; empty: it was not.
    pub diverted_from: String,
    /// The SIP Call-ID.
    pub call_id: String,
    /// Where it comes from, for logs.
    pub remote: String,
    /// The trunk or terminal it comes from; `None`: not known any more.
    pub source: Option<Source>,
    /// The headers of the request.
    pub headers: Vec<(String, String)>,
}

/// What to do with a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Answer and receive.
    Receive {
        /// For this account.
        account: AccountId,
        /// Into this faxbox.
        faxbox: FaxboxId,
        /// With this subscriber number (CSI).
        ident: String,
    },
    /// Pass it on: to these one after the other, until one takes it.
    Onward {
        /// Where to; never empty.
        targets: Vec<Onward>,
    },
    /// Refuse it with this SIP status.
    Reject {
        /// The status.
        code: u16,
        /// Its reason phrase.
        reason: String,
    },
}

/// What came in a call.
#[derive(Clone, Debug)]
pub struct ReceivedFax {
    /// Its id: what is handed in again after a crash is the same fax.
    pub id: FaxId,
    /// The call.
    pub call: IncomingCall,
    /// The account it was received for.
    pub account: AccountId,
    /// The faxbox it was received into.
    pub faxbox: FaxboxId,
    /// The pages, in order.
    pub pages: Vec<ReceivedPage>,
    /// How the session ended.
    pub outcome: Outcome,
    /// It came by T.38.
    pub t38: bool,
    /// From the answer to the end.
    pub duration: Duration,
    /// The ladder of frames.
    pub trace: Vec<String>,
    /// The switch stopped during the call; these are the pages that were on disk by then.
    pub interrupted: bool,
}

impl Service {
    /// What to do with a call that comes in, and which rule says so.
    #[must_use]
    pub fn route(&self, call: &IncomingCall) -> Routed {
        let config = self.config();
        self.directory().route(call, &config.numbers, &config.default_ident)
    }

    /// What to do with a call that comes in.
    #[must_use]
    pub fn incoming(&self, call: &IncomingCall) -> Decision {
        self.route(call).decision
    }

    /// Stores what came in a call, with a notice. It is on disk when this comes back with `Ok`. A fax whose id is stored
    /// already is that one, and nobody is told again.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`]: nothing is stored; try again.
    pub async fn received(&self, fax: ReceivedFax) -> Result<Received, ServiceError> {
        let inner = &self.inner;
        if let Some(stored) = inner.ports.store.received(&fax.id).await? {
            return Ok(stored);
        }
        let now = self.now();
        let outcome = &fax.outcome;
        let format = outcome.format.or(fax.pages.last().map(|p| p.format));
        let pages = u32::try_from(fax.pages.len()).unwrap_or(u32::MAX);
        let class = match &outcome.failure {
            _ if fax.interrupted => "l.node",
            None => "ok",
            Some(f) => reception_class(f.cause),
        };
        let text = match class {
            "ok" => "The fax was received.",
            other => crate::policy::class(other).map_or("The fax was not received.", |c| c.sentence),
        };
        let bad = |f: fn(&ReceivedPage) -> u32| fax.pages.iter().map(f);
        let bad_rows = bad(|p| p.bad_rows).fold(0u32, u32::saturating_add);
        let longest_bad_run = bad(|p| p.longest_bad_run).max().unwrap_or(0);
        let tiff = tiff_of(fax.pages).await?;
        let size = u64::try_from(tiff.len()).unwrap_or(u64::MAX);
        let document = if tiff.is_empty() {
            None
        } else {
            Some(inner.ports.documents.put_for(&fax.account, tiff).await?)
        };
        let directory = self.directory();
        let faxbox = directory.faxbox(&fax.faxbox);
        let mut notify = faxbox.map(|f| f.notify_inbound.clone()).unwrap_or_default();
        let owner = faxbox.and_then(|f| directory.owner_email(f));
        if let Some(owner) = owner.filter(|o| !notify.iter().any(|n| n.eq_ignore_ascii_case(o))) {
            notify.push(owner.to_owned());
        }
        let config = self.config();
        let numbers = &config.numbers;
        let row = Received {
            id: fax.id,
            account: fax.account,
            faxbox: Some(fax.faxbox),
            created: now,
            from_number: fax.call.from_number,
            from_name: fax.call.from_name,
            to_number: numbers.normalise(&fax.call.to_number),
            diverted_from: numbers.normalise(&fax.call.diverted_from),
            remote_ident: outcome.remote_ident.clone(),
            document,
            pages,
            success: class == "ok" && pages > 0,
            class: class.into(),
            result_text: text.into(),
            bit_rate: outcome.modulation.map(|m| m.bit_rate()),
            modem: outcome.modulation.map(|m| m.recommendation().into()),
            ecm: format.is_some_and(|f| f.ecm),
            coding: format.map(|f| f.coding.to_string()),
            resolution: format.map(|f| f.resolution.to_string()),
            t38: fax.t38,
            bad_rows,
            longest_bad_run,
            call_id: fax.call.call_id,
            duration_ms: u64::try_from(fax.duration.as_millis()).unwrap_or(u64::MAX),
            notify,
            size,
            client: serde_json::Map::new(),
            trace: fax.trace.into_iter().take(TRACE_LINES).collect(),
        };
        let kind = if row.success { NoticeKind::Received } else { NoticeKind::ReceiveFailed };
        let mut notices = Vec::new();
        if !row.notify.is_empty() && self.config().mails {
            let subject = NoticeSubject::Fax(row.id.clone());
            let (account, to) = (row.account.clone(), row.notify.clone());
            notices.push(Notice::new(kind, account, subject, to, now));
        }
        notices.extend(self.told_of_received(&row));
        let began = std::time::Instant::now();
        match inner.ports.store.insert_received(row.clone(), notices).await {
            // It was stored the last time, though nobody heard of it.
            Ok(()) | Err(StoreError::Exists) => {}
            Err(e) => return Err(e.into()),
        }
        inner.metrics.stored("insert_received", began);
        let from = match fax.call.source {
            Some(Source::Trunk(name)) => name,
            Some(Source::Terminal(_)) => "terminals".to_owned(),
            None => String::new(),
        };
        inner.metrics.came(&row, from);
        inner.wake_notices.notify_one();
        inner.wake_hooks.notify_one();
        let (stage, text) = if row.success {
            (Stage::End, "Fax Successfully received".to_owned())
        } else {
            (Stage::Error, format!("Error receiving fax : {}", row.result_text))
        };
        self.tell(JobEvent {
            at: now,
            account: row.account.clone(),
            faxbox: row.faxbox.clone(),
            subject: EventSubject::Fax(row.id.clone()),
            state: None,
            stage,
            text,
            page: None,
            pages: Some(row.pages),
        });
        Ok(row)
    }

    /// Tells how a reception goes, for those who watch.
    pub(super) fn receiving(&self, reception: &Reception, text: String, page: Option<u32>) {
        self.tell(JobEvent {
            at: self.now(),
            account: reception.account.clone(),
            faxbox: Some(reception.faxbox.clone()),
            subject: EventSubject::Fax(reception.id.clone()),
            state: None,
            stage: reception.stage,
            text,
            page,
            pages: None,
        });
    }
}

/// Lines of the ladder that are kept.
const TRACE_LINES: usize = 400;

/// The class of a failed reception.
fn reception_class(cause: Cause) -> &'static str {
    match cause {
        Cause::NoFax => "r.nofax",
        Cause::CallDropped => "r.dcnphd",
        other => class_of_cause(other),
    }
}

/// The pages as TIFF-F, pel for pel; empty when there is none.
async fn tiff_of(pages: Vec<ReceivedPage>) -> Result<Bytes, ServiceError> {
    if pages.is_empty() {
        return Ok(Bytes::new());
    }
    let document = FaxDocument { pages: pages.into_iter().map(page_of).collect(), remarks: Vec::new() };
    let made = tokio::task::spawn_blocking(move || document.to_tiff()).await;
    let tiff = made.map_err(|e| ServiceError::Unavailable(e.to_string()))?;
    Ok(tiff.into())
}

fn page_of(page: ReceivedPage) -> Page {
    let PageFormat { width, resolution, coding, .. } = page.format;
    Page {
        shape: PageShape { width, resolution, rows: page.rows, tones: coding.tones() },
        t6: page.t6,
        jpeg: page.jpeg,
        quality: Some(Quality {
            bad_rows: page.bad_rows,
            longest_bad_run: page.longest_bad_run,
            left_in: false,
        }),
        description: None,
    }
}
