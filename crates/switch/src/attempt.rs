//! One call for a job: its pages from the first unconfirmed one, the ledger as they go, and the result.

use crate::event::Stage;
use crate::finish::Turn;
use crate::hooks::What;
use crate::policy::{Plan, TollRefusal, class, is_success};
use crate::port::{CallEvent, CallOrder, CallResult};
use crate::running::{Ticket, Why};
use crate::service::{Service, TollPass};
use core::time::Duration;
use fax_base::redact::Redacted;
use fax_document::FaxDocument;
use fax_store::StoreError;
use fax_store::model::{
    Attempt, AttemptOutcome, Job, JobState, PageEntry, PageState, RetryPolicy, Timestamp,
};
use fax_store::port::{Guard, JobChange};
use fax_terminal::CodedPage;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Events of a call that may wait.
const EVENTS: usize = 64;
/// Lines of the ladder that are kept of an attempt, and characters of a line.
const TRACE_LINES: usize = 400;
const TRACE_WIDTH: usize = 200;
/// How often a page is tried to be written at once when the store fails.
const LEDGER_TRIES: usize = 3;
/// How long a call may take to come back after it was called off.
const CALL_OFF: Duration = Duration::from_secs(30);

/// How long a job waits that no trunk has room for.
const SHORTEST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A job that waits for a budget is looked at again after this at the latest: the budget may be another by then.
const LOOK_AGAIN: Duration = Duration::from_secs(300);

/// Results by which the far end said that it has not got the page.
const REFUSED: [&str; 2] = ["d.rtn", "d.ecm.give-up"];

/// The outcome of a class, with its own sentence and policy.
pub(crate) fn outcome(key: &str) -> AttemptOutcome {
    let known = class(key);
    AttemptOutcome {
        class: key.to_owned(),
        text: known.map_or("The fax could not be sent.", |c| c.sentence).to_owned(),
        sip_status: None,
        q850: None,
        // A class that nobody knows is tried again after the default delay.
        retry: known.map_or(RetryPolicy::Line, |c| c.policy),
    }
}

/// A call as it goes.
struct Progress {
    job: Job,
    started: Timestamp,
    number: u32,
    first_page: u32,
    sent: u32,
    /// The last page was sent to its end and not asked for again.
    last_sent: bool,
    confirmed: u32,
    trace: Vec<String>,
    /// Since when it costs.
    answered: Option<Timestamp>,
    /// Pages that the store would not take at once, to be written before the call is ended.
    unwritten: Vec<(u32, PageState)>,
}

impl Service {
    /// Makes one call for a job that this node holds, and ends its turn.
    pub(crate) async fn attempt(self, job: Job, ticket: Ticket) {
        let node = self.config().node.clone();
        self.tell_job(&job, Stage::Start, "job acquired".into(), None);
        let held = Guard::HeldBy(node);
        if job.cancel || ticket.entry.why() == Some(Why::Sender) {
            self.finish(&job, held, Turn::CalledOff).await;
            return;
        }
        if ticket.entry.why().is_some() {
            self.finish(&job, held, Turn::Back(job.not_before)).await;
            return;
        }
        let first = job.first_unconfirmed();
        if job.pages > 0 && first >= job.ledger.len() {
            self.finish(&job, held, Turn::Complete).await;
            return;
        }
        if let Some(turn) = self.held_back(&job).await {
            self.finish(&job, held, turn).await;
            return;
        }
        let pass = match self.admit_job(&job) {
            Ok(pass) => pass,
            Err(refusal) => {
                let turn = self.refused(&job, &refusal);
                self.finish(&job, held, turn).await;
                return;
            }
        };
        let pages = match self.pages(&job, first).await {
            Ok(pages) => pages,
            Err(e) => {
                tracing::error!(job = %job.id, error = %e, "the stored pages cannot be read");
                let mut a = Attempt { started: self.now(), ended: self.now(), ..Attempt::default() };
                a.outcome = outcome("l.file");
                self.finish(&job, held, Turn::call(a)).await;
                return;
            }
        };
        let now = self.now();
        let change: JobChange = Box::new(move |j| {
            j.state = JobState::Processing;
            j.modified = now;
            Ok(())
        });
        let store = &self.inner.ports.store;
        let job = match store.update_job(&job.id, held.clone(), change, vec![]).await {
            Ok(job) => job,
            Err(e) => {
                tracing::error!(job = %job.id, error = %e, "the call is not made");
                self.finish(&job, held, Turn::Back(job.not_before)).await;
                return;
            }
        };
        self.tell_job(&job, Stage::Send, "ready to send".into(), None);
        let turn = self.call(job.clone(), pages, first, &ticket, pass).await;
        if ticket.entry.why() != Some(Why::LeaseLost) {
            self.finish(&job, held, turn).await;
        }
    }

    /// What becomes of a job whose call may not be made: it waits until there is room, or fails where there never will be.
    fn refused(&self, job: &Job, refusal: &TollRefusal) -> Turn {
        let text = refusal.to_string();
        match refusal {
            TollRefusal::Over { free_at, .. } => {
                tracing::warn!(job = %job.id, account = %job.account, why = text, "the job waits for a budget");
                Turn::Held((*free_at).min(self.now().plus(LOOK_AGAIN)), text)
            }
            TollRefusal::Barred { .. } => {
                let to = Redacted(&job.to_number);
                tracing::warn!(job = %job.id, account = %job.account, %to, why = text, "the number is barred");
                let now = self.now();
                let outcome = AttemptOutcome { text, ..outcome("l.barred") };
                Turn::call(Attempt { started: now, ended: now, outcome, ..Attempt::default() })
            }
        }
    }

    /// The pages of a job from `first` on.
    async fn pages(&self, job: &Job, first: usize) -> Result<Vec<Arc<CodedPage>>, String> {
        let key = job.document.as_ref().ok_or("the job has no document")?;
        let got = self.inner.ports.documents.get(key).await;
        let octets = got.map_err(|e| e.to_string())?;
        let expected = job.ledger.len();
        let read = tokio::task::spawn_blocking(move || {
            let document = FaxDocument::from_stored_tiff(&octets).map_err(|e| e.to_string())?;
            if document.pages.len() != expected {
                return Err(format!("{} pages, not {expected}", document.pages.len()));
            }
            let coded = document
                .pages
                .into_iter()
                .skip(first)
                .map(|p| Arc::new(CodedPage { shape: p.shape, t6: p.t6, jpeg: p.jpeg }));
            Ok(coded.collect())
        });
        read.await.map_err(|e| e.to_string())?
    }

    async fn call(
        &self,
        job: Job,
        pages: Vec<Arc<CodedPage>>,
        first: usize,
        ticket: &Ticket,
        pass: TollPass,
    ) -> Turn {
        let number = u32::try_from(job.attempts.len()).unwrap_or(u32::MAX);
        let order = CallOrder {
            job: job.id.clone(),
            account: job.account.clone(),
            attempt: number,
            to_number: job.to_number.clone(),
            from_number: job.from_number.clone(),
            from_name: job.from_name.clone(),
            ident: job.ident.clone(),
            header: job.header.clone(),
            timezone: job.timezone.clone(),
            sub_address: job.sub_address.clone(),
            pages,
            first_page: first,
            pages_in_all: job.ledger.len(),
            known: self.known(&job).await,
            cancel: ticket.entry.cancelled(),
        };
        tracing::info!(job = %job.id, to = %Redacted(&job.to_number), attempt = number + 1,
            page = first + 1, pages = job.pages, "calling");
        let mut progress = Progress {
            started: self.now(),
            number,
            first_page: u32::try_from(first).unwrap_or(u32::MAX),
            sent: 0,
            last_sent: false,
            confirmed: 0,
            trace: Vec::new(),
            unwritten: Vec::new(),
            answered: None,
            job,
        };
        let (events, mut inbox) = mpsc::channel(EVENTS);
        let dialler = self.inner.ports.dialler.clone();
        // A task of its own: a panic in the call is a failed attempt and no more.
        let mut call = JoinSet::new();
        call.spawn(async move { dialler.call(order, events).await });
        let clock = self.inner.ports.clock.clone();
        let mut limit = progress.started.plus(self.config().longest_call);
        let mut told_to_stop = false;
        let result = loop {
            tokio::select! {
                biased;
                Some(event) = inbox.recv() => self.on_event(&mut progress, event, ticket).await,
                ended = call.join_next() => break ended.and_then(Result::ok),
                () = clock.sleep_until(limit) => {
                    if told_to_stop {
                        call.shutdown().await;
                        break None;
                    }
                    told_to_stop = true;
                    ticket.entry.call_off(Why::TooLong);
                    limit = clock.now().plus(CALL_OFF);
                }
            }
        };
        // What it told before it ended comes before its end.
        while let Ok(event) = inbox.try_recv() {
            self.on_event(&mut progress, event, ticket).await;
        }
        if result.as_ref().is_some_and(|r| r.not_made.is_some()) {
            pass.undo();
        } else if let Some(since) = progress.answered {
            let trunk = result.as_ref().and_then(|r| r.trunk.as_deref());
            pass.end(self.now().since(since), trunk);
        }
        if let Some(wait) = result.as_ref().and_then(|r| r.not_made).filter(|_| ticket.entry.why().is_none())
        {
            let words = result.and_then(|r| r.text).unwrap_or_default();
            tracing::info!(job = %progress.job.id, ?wait, reason = words, "no trunk has room for the call: it waits");
            return Turn::Back(self.now().plus(wait.clamp(SHORTEST_WAIT, LONGEST_WAIT)));
        }
        let result = result.unwrap_or_else(|| CallResult {
            class: if told_to_stop { "call.timeout" } else { "l.internal" }.into(),
            ..CallResult::default()
        });
        self.close(progress, result, ticket).await
    }

    async fn on_event(&self, p: &mut Progress, event: CallEvent, ticket: &Ticket) {
        let say = |text: String| self.tell_job(&p.job, Stage::Send, text, None);
        let of = |page: usize| u32::try_from(page.saturating_add(1)).unwrap_or(u32::MAX);
        match event {
            CallEvent::Ringing => say("the far end rings".into()),
            CallEvent::Answered => {
                say("received successful attempt to originate fax".into());
                p.answered = Some(self.now());
            }
            CallEvent::T38 => say("T.38 negotiated".into()),
            CallEvent::Negotiated { bit_rate, .. } => say(format!("Fax negotiated at {bit_rate}")),
            CallEvent::RemoteIdent(_) => {}
            CallEvent::PageSending { page } => {
                self.unsend(p, page, ticket).await;
                let text = format!("Sending Page {} of {}", of(page), p.job.pages);
                self.tell_job(&p.job, Stage::Send, text, Some(of(page)));
            }
            CallEvent::PageSent { page } => {
                p.sent = p.sent.saturating_add(1);
                // Only of the last page it matters after a crash.
                if of(page) == p.job.pages {
                    p.last_sent = true;
                    self.write_page(p, of(page) - 1, PageState::Sent, ticket).await;
                }
            }
            CallEvent::PageConfirmed { page, poor } => {
                if page < p.job.ledger.len() {
                    p.confirmed = p.confirmed.saturating_add(1);
                    let state = PageState::Confirmed { poor };
                    self.write_page(p, of(page) - 1, state, ticket).await;
                    let text = format!("Sent Page {} of {}", of(page), p.job.pages);
                    self.tell_job(&p.job, Stage::Send, text, Some(of(page)));
                    self.tell_hooks_of(What::PageSent, &p.job, Some(of(page))).await;
                }
            }
            CallEvent::Resend { page, frames } => {
                self.unsend(p, page, ticket).await;
                let what = if frames == 0 { "the page".to_owned() } else { format!("{frames} frames") };
                let text = format!("Sending {what} again: Page {} of {}", of(page), p.job.pages);
                self.tell_job(&p.job, Stage::Send, text, Some(of(page)));
            }
            CallEvent::Ladder(line) => {
                // The beginning and the end say more than the middle.
                if p.trace.len() >= TRACE_LINES {
                    p.trace.remove(TRACE_LINES / 2);
                    if let Some(gap) = p.trace.get_mut(TRACE_LINES / 2) {
                        "           …".clone_into(gap);
                    }
                }
                p.trace.push(line.chars().take(TRACE_WIDTH).collect());
            }
        }
    }

    /// The far end wants the last page again, or it is being sent again: it is known not to be there.
    async fn unsend(&self, p: &mut Progress, page: usize, ticket: &Ticket) {
        if p.last_sent && page.saturating_add(1) == p.job.ledger.len() {
            p.last_sent = false;
            let last = p.job.pages.saturating_sub(1);
            self.write_page(p, last, PageState::Unsent, ticket).await;
        }
    }

    /// Writes a page into the ledger before anything else happens.
    async fn write_page(&self, p: &mut Progress, page: u32, state: PageState, ticket: &Ticket) {
        p.unwritten.push((page, state));
        for _ in 0..LEDGER_TRIES {
            if self.write_pages(p, ticket).await {
                return;
            }
        }
        tracing::error!(job = %p.job.id, page = page + 1, "the ledger waits for the store");
    }

    /// Writes what is unwritten, in order; whether all of it could be.
    async fn write_pages(&self, p: &mut Progress, ticket: &Ticket) -> bool {
        while let Some((page, state)) = p.unwritten.first().copied() {
            let entry = PageEntry { state, attempt: p.number, at: self.now() };
            let (store, config) = (&self.inner.ports.store, self.config());
            let began = std::time::Instant::now();
            match store.record_page(&p.job.id, &config.node, page, entry).await {
                Ok(()) => {
                    self.inner.metrics.stored("record_page", began);
                    p.unwritten.remove(0);
                }
                Err(StoreError::LeaseLost) => {
                    ticket.entry.call_off(Why::LeaseLost);
                    p.unwritten.clear();
                }
                Err(e) => {
                    tracing::error!(job = %p.job.id, error = %e, "a page could not be recorded");
                    return false;
                }
            }
        }
        true
    }

    /// The turn that a call's result makes.
    async fn close(&self, mut p: Progress, result: CallResult, ticket: &Ticket) -> Turn {
        let last = p.job.pages.saturating_sub(1);
        if is_success(&result.class) {
            // All was confirmed, even if not every event came through.
            let open = p.first_page..p.job.pages;
            let all = open.map(|page| (page, PageState::Confirmed { poor: false }));
            let known = self.inner.ports.store.job(&p.job.id).await;
            let ledger = known.ok().flatten().map(|j| j.ledger).unwrap_or_default();
            let open = all.filter(|(page, _)| {
                let entry = usize::try_from(*page).ok().and_then(|i| ledger.get(i));
                !entry.is_some_and(|e| matches!(e.state, PageState::Confirmed { .. }))
            });
            p.unwritten.extend(open.collect::<Vec<_>>());
        } else if REFUSED.contains(&result.class.as_str()) {
            p.unwritten.push((last, PageState::Unsent));
        } else if result.uncertain_page.is_some_and(|page| u32::try_from(page) == Ok(last)) {
            p.unwritten.push((last, PageState::Sent));
        }
        let clock = self.inner.ports.clock.clone();
        while !self.write_pages(&mut p, ticket).await {
            clock.sleep_until(clock.now().plus(Duration::from_secs(1))).await;
        }
        let key = match ticket.entry.why() {
            _ if is_success(&result.class) => result.class.as_str(),
            Some(Why::Shutdown) => "l.node",
            Some(Why::TooLong) => "call.timeout",
            _ => result.class.as_str(),
        };
        let known = outcome(key);
        let own = key == result.class;
        let ended = self.now();
        let lesson = self.lesson(&p.job, &result, key, ended);
        let applied = result.plan.iter().flat_map(Plan::words).map(str::to_owned).collect();
        let attempt = Attempt {
            started: p.started,
            ended,
            outcome: AttemptOutcome {
                text: result.text.filter(|_| own).unwrap_or(known.text),
                retry: result.retry.filter(|_| own).unwrap_or(known.retry),
                sip_status: result.sip_status,
                q850: result.q850,
                class: known.class,
            },
            first_page: p.first_page,
            pages_confirmed: p.confirmed.max(result.pages_confirmed),
            pages_sent: p.sent,
            bit_rate: result.bit_rate,
            modem: result.modem,
            coding: result.coding,
            resolution: result.resolution,
            ecm: result.ecm,
            t38: result.t38,
            remote_ident: result.remote_ident,
            trunk: result.trunk,
            call_id: result.call_id,
            resends: result.resends,
            applied,
            recording: result.recording,
            trace: p.trace,
        };
        Turn::Call(Box::new(attempt), lesson)
    }
}
