//! Web hooks: who is told what happens to faxes, and that it is told until somebody has heard it.
//!
//! What is to be told is written in the commit of the change itself ([`fax_store::model::Notice`] with a hook), so that a
//! crash loses nothing; only single pages are told beside their changes. [`Service::run_hooks`] takes what is due, one node
//! at a time, calls, and writes down what came of it. A call whose node dies is made again: receivers know it by its id.

mod calls;

use crate::Directory;
use crate::event::{EventSubject, JobEvent, Stage};
use crate::service::Service;
use fax_store::model::{
    AccountId, Entry, EntryKind, FaxboxId, HookEvent, Job, JobState, Notice, NoticeKind, NoticeSubject,
    Received,
};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// What can be told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum What {
    /// A fax was queued.
    Queued,
    /// An attempt failed, and the fax is tried again.
    AttemptFailed,
    /// The far end confirmed a page.
    PageSent,
    /// A page came in.
    PageReceived,
    /// The fax was delivered.
    Sent,
    /// The fax was given up.
    Failed,
    /// The fax may have been delivered.
    Uncertain,
    /// The fax was called off.
    Cancelled,
    /// A fax came.
    Received,
    /// A fax came in part or not at all.
    ReceiveFailed,
}

impl What {
    /// All of them.
    pub const ALL: [What; 10] = [
        What::Queued,
        What::AttemptFailed,
        What::PageSent,
        What::PageReceived,
        What::Sent,
        What::Failed,
        What::Uncertain,
        What::Cancelled,
        What::Received,
        What::ReceiveFailed,
    ];

    /// As clients know it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            What::Queued => "fax.queued",
            What::AttemptFailed => "fax.attempt_failed",
            What::PageSent => "fax.page_sent",
            What::PageReceived => "fax.page_received",
            What::Sent => "fax.sent",
            What::Failed => "fax.failed",
            What::Uncertain => "fax.uncertain",
            What::Cancelled => "fax.cancelled",
            What::Received => "fax.received",
            What::ReceiveFailed => "fax.receive_failed",
        }
    }

    /// The notification of KAZOO that tells the same.
    #[must_use]
    pub const fn notification(self) -> Option<&'static str> {
        match self {
            What::Sent => Some("outbound_fax"),
            What::Failed | What::Uncertain => Some("outbound_fax_error"),
            What::Received => Some("inbound_fax"),
            What::ReceiveFailed => Some("inbound_fax_error"),
            What::Queued | What::AttemptFailed | What::PageSent | What::PageReceived | What::Cancelled => {
                None
            }
        }
    }

    /// Whether who names no events is told it: all but the single pages.
    #[must_use]
    pub const fn is_usual(self) -> bool {
        !matches!(self, What::PageSent | What::PageReceived)
    }

    const fn kind(self) -> NoticeKind {
        match self {
            What::Sent => NoticeKind::Sent,
            What::Failed => NoticeKind::Failed,
            What::Uncertain => NoticeKind::Uncertain,
            What::Received => NoticeKind::Received,
            What::ReceiveFailed => NoticeKind::ReceiveFailed,
            What::Queued | What::AttemptFailed | What::PageSent | What::PageReceived | What::Cancelled => {
                NoticeKind::Event
            }
        }
    }

    const fn is_inbound(self) -> bool {
        matches!(self, What::Received | What::ReceiveFailed | What::PageReceived)
    }
}

/// Who is called.
#[derive(Clone, PartialEq, Debug)]
pub enum Target {
    /// A hook that was set up.
    Hook(Arc<Entry>),
    /// The callback of a faxbox: `notifications.{in,out}bound.callback`.
    Callback {
        /// Whose faxbox.
        account: AccountId,
        /// The faxbox.
        faxbox: String,
        /// `url`, `method`, `type`.
        settings: Map<String, Value>,
    },
}

/// What the rows of a faxbox's callback are called, as those of a hook are by its id.
#[must_use]
pub fn callback_id(faxbox: &str, inbound: bool) -> String {
    format!("faxboxes/{faxbox}/{}", if inbound { "inbound" } else { "outbound" })
}

fn callback<'d>(directory: &'d Directory, faxbox: &str, inbound: bool) -> Option<&'d Map<String, Value>> {
    directory.faxbox(&FaxboxId::new(faxbox))?.callback(inbound)
}

fn target(directory: &Directory, hook: &str) -> Option<Target> {
    let mut parts = hook.split('/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some("faxboxes"), Some(faxbox), Some(way)) => {
            let settings = callback(directory, faxbox, way == "inbound")?.clone();
            let account = directory.faxbox(&FaxboxId::new(faxbox))?.account.clone();
            Some(Target::Callback { account, faxbox: faxbox.to_owned(), settings })
        }
        _ => directory.entry(EntryKind::Webhook, hook).filter(|e| is_enabled(e)).cloned().map(Target::Hook),
    }
}

fn is_enabled(hook: &Entry) -> bool {
    hook.document.get("enabled").and_then(Value::as_bool) != Some(false)
}

/// Whether a hook is told this.
fn wants(hook: &Entry, what: What) -> bool {
    let text = |key: &str| hook.document.get(key).and_then(Value::as_str).unwrap_or_default();
    if !is_enabled(hook) {
        return false;
    }
    let kinds = || {
        let custom = hook.document.get("custom_data").and_then(|c| c.get("type"));
        custom.and_then(Value::as_str).unwrap_or("all")
    };
    match text("hook") {
        "notifications" => {
            let kind = kinds();
            what.notification().is_some_and(|n| kind == "all" || kind == n)
        }
        // The names before these were notifications.
        "inbound_fax" => matches!(what, What::Received | What::ReceiveFailed),
        "outbound_fax" => matches!(what, What::Sent | What::Failed | What::Uncertain),
        _ => match hook.document.get("events").and_then(Value::as_array).filter(|e| !e.is_empty()) {
            Some(events) => events.iter().any(|e| e == what.as_str() || e == "all"),
            None => what.is_usual(),
        },
    }
}

/// The hooks that are told of an account's faxes: its own, and those of accounts above that ask for it.
fn hooks_of<'d>(directory: &'d Directory, account: &AccountId) -> Vec<&'d Arc<Entry>> {
    let mut found = Vec::new();
    for (depth, above) in directory.line_of(account).enumerate() {
        let below = |e: &&Arc<Entry>| {
            depth == 0 || e.document.get("include_subaccounts").and_then(Value::as_bool) == Some(true)
        };
        found.extend(directory.entries_of(EntryKind::Webhook, &above.id).filter(below));
    }
    found
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// What is told of a job.
fn of_job(job: &Job) -> Map<String, Value> {
    let last = job.attempts.last();
    let delivered = job.state == JobState::Completed;
    object(json!({
        "id": job.id.as_str(),
        "account_id": job.account.as_str(),
        "faxbox_id": job.faxbox.as_ref().map(FaxboxId::as_str),
        "direction": "outbound",
        "created": job.created.gregorian_seconds(),
        "from_number": job.from_number,
        "from_name": job.from_name,
        "to_number": job.to_number,
        "to_name": job.to_name,
        "subject": job.subject,
        "pages": job.pages,
        "pages_confirmed": job.pages_confirmed(),
        "remarks": job.remarks,
        "attempts": job.attempts.len(),
        "retries": job.retries,
        "next_attempt": (!job.state.is_final()).then(|| job.not_before.gregorian_seconds()),
        "notify": job.notify,
        "timezone": job.timezone,
        "result": {
            "success": delivered,
            "uncertain": job.state == JobState::Uncertain,
            "class": last.map(|a| a.outcome.class.as_str()),
            "text": job.reason.clone().or_else(|| last.map(|a| a.outcome.text.clone())),
            "sip_status": last.and_then(|a| a.outcome.sip_status),
            "q850": last.and_then(|a| a.outcome.q850),
            "remote_id": last.and_then(|a| a.remote_ident.as_deref()),
            "local_id": job.ident,
            "bit_rate": last.and_then(|a| a.bit_rate),
            "modem": last.and_then(|a| a.modem.as_deref()),
            "coding": last.and_then(|a| a.coding.as_deref()),
            "resolution": last.and_then(|a| a.resolution.as_deref()),
            "ecm": last.is_some_and(|a| a.ecm),
            "t38": last.is_some_and(|a| a.t38),
            "trunk": last.and_then(|a| a.trunk.as_deref()),
            "call_id": last.and_then(|a| a.call_id.as_deref()),
            "seconds": last.map(|a| a.ended.since(a.started).as_secs()),
        },
    }))
}

fn of_received(fax: &Received) -> Map<String, Value> {
    object(json!({
        "id": fax.id.as_str(),
        "account_id": fax.account.as_str(),
        "faxbox_id": fax.faxbox.as_ref().map(FaxboxId::as_str),
        "direction": "inbound",
        "created": fax.created.gregorian_seconds(),
        "from_number": fax.from_number,
        "from_name": fax.from_name,
        "to_number": fax.to_number,
        "diverted_from": fax.diverted_from,
        "pages": fax.pages,
        "notify": fax.notify,
        "result": {
            "success": fax.success,
            "class": fax.class,
            "text": fax.result_text,
            "remote_id": fax.remote_ident,
            "bit_rate": fax.bit_rate,
            "modem": fax.modem,
            "coding": fax.coding,
            "resolution": fax.resolution,
            "ecm": fax.ecm,
            "t38": fax.t38,
            "bad_rows": fax.bad_rows,
            "call_id": fax.call_id,
            "seconds": fax.duration_ms / 1000,
        },
    }))
}

/// What the end of a job's turn is called.
fn what_of(job: &Job, call_failed: bool) -> Option<What> {
    match job.state {
        JobState::Completed => Some(What::Sent),
        JobState::Failed => Some(What::Failed),
        JobState::Uncertain => Some(What::Uncertain),
        JobState::Cancelled => Some(What::Cancelled),
        JobState::Converting | JobState::Pending => call_failed.then_some(What::AttemptFailed),
        JobState::Locked | JobState::Processing => None,
    }
}

impl Service {
    /// The notices for everybody who wants to be told this.
    fn told(
        &self,
        what: What,
        account: &AccountId,
        faxbox: Option<&FaxboxId>,
        subject: &NoticeSubject,
        data: impl FnOnce() -> Map<String, Value>,
    ) -> Vec<Notice> {
        let directory = self.directory();
        let mut hooks: Vec<String> = hooks_of(&directory, account)
            .into_iter()
            .filter(|hook| wants(hook, what))
            .map(|hook| hook.id.clone())
            .collect();
        if let Some(faxbox) = faxbox.filter(|_| what.notification().is_some())
            && callback(&directory, faxbox.as_str(), what.is_inbound()).is_some()
        {
            hooks.push(callback_id(faxbox.as_str(), what.is_inbound()));
        }
        if hooks.is_empty() {
            return Vec::new();
        }
        let (mut data, now) = (data(), self.now());
        let owner = faxbox.and_then(|id| directory.faxbox(id)).and_then(|f| f.owner.as_deref());
        data.insert("owner_id".into(), owner.into());
        let notice = |hook| {
            let event = HookEvent { hook, event: what.as_str().to_owned(), data: data.clone() };
            Notice::for_hook(what.kind(), account.clone(), subject.clone(), event, now)
        };
        hooks.into_iter().map(notice).collect()
    }

    /// What is told when a job's turn has ended.
    pub(crate) fn told_of_turn(&self, job: &Job, call_failed: bool) -> Vec<Notice> {
        what_of(job, call_failed).map(|what| self.told_of_job(what, job)).unwrap_or_default()
    }

    /// What is told when this has happened to a job.
    pub(crate) fn told_of_job(&self, what: What, job: &Job) -> Vec<Notice> {
        let subject = NoticeSubject::Job(job.id.clone());
        self.told(what, &job.account, job.faxbox.as_ref(), &subject, || of_job(job))
    }

    /// What is told of a fax that came.
    pub(crate) fn told_of_received(&self, fax: &Received) -> Vec<Notice> {
        let what = if fax.success { What::Received } else { What::ReceiveFailed };
        let subject = NoticeSubject::Fax(fax.id.clone());
        self.told(what, &fax.account, fax.faxbox.as_ref(), &subject, || of_received(fax))
    }

    /// Tells that a page has gone: it is in the ledger already, and a crash in between may lose the word of it.
    pub(crate) async fn tell_page_sent(&self, job: &Job, page: u32) {
        let subject = NoticeSubject::Job(job.id.clone());
        let data = || {
            let mut data = of_job(job);
            data.insert("page".into(), page.into());
            data
        };
        let told = self.told(What::PageSent, &job.account, job.faxbox.as_ref(), &subject, data);
        self.store_told(told).await;
    }

    async fn store_told(&self, notices: Vec<Notice>) {
        if notices.is_empty() {
            return;
        }
        match self.inner.ports.store.insert_notices(notices).await {
            Ok(()) => self.inner.wake_hooks.notify_one(),
            Err(error) => tracing::error!(%error, "an event for a web hook is lost"),
        }
    }

    /// A page that comes in is told only where somebody asks for it.
    async fn tell_of_reception(&self, event: JobEvent) {
        let (EventSubject::Fax(fax), Stage::Receive, Some(page)) = (&event.subject, event.stage, event.page)
        else {
            return;
        };
        let data = object(json!({
            "id": fax.as_str(),
            "account_id": event.account.as_str(),
            "faxbox_id": event.faxbox.as_ref().map(FaxboxId::as_str),
            "direction": "inbound",
            "page": page,
            "text": event.text,
        }));
        let subject = NoticeSubject::Fax(fax.clone());
        let told = self.told(What::PageReceived, &event.account, event.faxbox.as_ref(), &subject, || data);
        self.store_told(told).await;
    }
}
