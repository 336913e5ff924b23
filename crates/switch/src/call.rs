//! One call for one or several jobs: their pages from the first unconfirmed one, the ledger as they go, and the results.

use crate::attempt::outcome;
use crate::event::Stage;
use crate::finish::Turn;
use crate::policy::{Plan, is_success};
use crate::port::{CallEvent, CallOrder, CallResult, FurtherPages};
use crate::running::{Ticket, Why};
use crate::service::{Service, TollPass};
use core::time::Duration;
use fax_base::redact::Redacted;
use fax_store::StoreError;
use fax_store::model::{Attempt, AttemptOutcome, Job, PageEntry, PageState, Timestamp};
use fax_terminal::CodedPage;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
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
/// Results by which the far end said that it has not got the page.
const REFUSED: [&str; 2] = ["d.rtn", "d.ecm.give-up"];

/// A job in a call, and how far it has come.
pub(crate) struct Leg {
    pub(crate) job: Job,
    pub(crate) ticket: Ticket,
    pages: Vec<Arc<CodedPage>>,
    started: Timestamp,
    number: u32,
    /// The page of the job that the call begins with.
    first_page: u32,
    /// Which pages of the call are its own: so many are counted before them. The first job's are counted as in its document.
    before: usize,
    sent: u32,
    /// The last page was sent to its end and not asked for again.
    last_sent: bool,
    confirmed: u32,
    trace: Vec<String>,
    /// Pages that the store would not take at once, to be written before the call is ended.
    unwritten: Vec<(u32, PageState)>,
}

impl Leg {
    pub(crate) fn new(
        job: Job,
        pages: Vec<Arc<CodedPage>>,
        first: usize,
        ticket: Ticket,
        started: Timestamp,
    ) -> Self {
        Leg {
            number: u32::try_from(job.attempts.len()).unwrap_or(u32::MAX),
            job,
            ticket,
            pages,
            started,
            first_page: u32::try_from(first).unwrap_or(u32::MAX),
            before: first,
            sent: 0,
            last_sent: false,
            confirmed: 0,
            trace: Vec::new(),
            unwritten: Vec::new(),
        }
    }

    fn first(&self) -> usize {
        usize::try_from(self.first_page).unwrap_or(usize::MAX)
    }

    /// Pages of it that are sent in this call.
    fn share(&self) -> u32 {
        u32::try_from(self.job.ledger.len().saturating_sub(self.first())).unwrap_or(u32::MAX)
    }
}

/// The job that a page of the call is of, and which of its pages it is.
fn place(legs: &[Leg], page: usize) -> (usize, usize) {
    let at = legs.iter().rposition(|leg| leg.before <= page).unwrap_or(0);
    let of = legs.get(at).map_or(page, |leg| page.saturating_sub(leg.before) + leg.first());
    (at, of)
}

/// The page that an event is of.
fn page_of(event: &mut CallEvent) -> Option<&mut usize> {
    match event {
        CallEvent::PageSending { page }
        | CallEvent::PageSent { page }
        | CallEvent::PageConfirmed { page, .. }
        | CallEvent::Resend { page, .. } => Some(page),
        CallEvent::Ringing
        | CallEvent::Answered
        | CallEvent::T38
        | CallEvent::Negotiated { .. }
        | CallEvent::RemoteIdent(_)
        | CallEvent::Ladder(_) => None,
    }
}

/// Comes back when the work is called off.
async fn called_off(mut off: watch::Receiver<bool>) {
    if off.wait_for(|off| *off).await.is_err() {
        std::future::pending().await
    }
}

impl Service {
    /// Makes the call; what it made of each job.
    pub(crate) async fn call(&self, legs: &mut [Leg], pass: TollPass) -> Vec<Turn> {
        let mut before = legs.first().map_or(0, |lead| lead.job.ledger.len());
        for leg in legs.iter_mut().skip(1) {
            leg.before = before;
            before += leg.pages.len();
        }
        let further = legs.iter_mut().skip(1).map(|leg| FurtherPages {
            pages: core::mem::take(&mut leg.pages),
            first_page: leg.first(),
            pages_in_all: leg.job.ledger.len(),
        });
        let further: Vec<FurtherPages> = further.collect();
        let along = legs.len().saturating_sub(1);
        let Some(lead) = legs.first_mut() else { return Vec::new() };
        let job = &lead.job;
        let order = CallOrder {
            job: job.id.clone(),
            account: job.account.clone(),
            attempt: lead.number,
            to_number: job.to_number.clone(),
            to_e164: self.config().numbers.normalise(&job.to_number),
            from_number: job.from_number.clone(),
            from_name: job.from_name.clone(),
            ident: job.ident.clone(),
            header: job.header.clone(),
            timezone: job.timezone.clone(),
            sub_address: job.sub_address.clone(),
            pages: core::mem::take(&mut lead.pages),
            first_page: lead.first(),
            pages_in_all: job.ledger.len(),
            further,
            known: self.known(job).await,
            cancel: lead.ticket.entry.cancelled(),
        };
        tracing::info!(job = %job.id, to = %Redacted(&job.to_number), attempt = lead.number + 1,
            page = lead.first_page + 1, pages = job.pages, along, "calling");
        let started = lead.started;
        let lead_entry = lead.ticket.entry.clone();
        let (events, mut inbox) = mpsc::channel(EVENTS);
        let dialler = self.inner.ports.dialler.clone();
        // A task of its own: a panic in the call is a failed attempt and no more.
        let mut call = JoinSet::new();
        call.spawn(async move { dialler.call(order, events).await });
        let clock = self.inner.ports.clock.clone();
        let mut limit = started.plus(self.config().longest_call);
        let mut told_to_stop = false;
        // Since when it costs, and whose turn it is.
        let (mut answered, mut at) = (None, 0);
        let result = loop {
            let off = legs.get(at).map(|leg| leg.ticket.entry.cancelled());
            tokio::select! {
                biased;
                Some(event) = inbox.recv() => self.on_event(legs, &mut at, &mut answered, event).await,
                ended = call.join_next() => break ended.and_then(Result::ok),
                // The first one's is the call's. Another one waits until its turn has come: those before it are through.
                () = async { match off { Some(off) => called_off(off).await, None => std::future::pending().await } },
                    if at > 0 && lead_entry.why().is_none() => lead_entry.call_off(Why::Companion),
                () = clock.sleep_until(limit) => {
                    if told_to_stop {
                        call.shutdown().await;
                        break None;
                    }
                    told_to_stop = true;
                    legs.iter().for_each(|leg| leg.ticket.entry.call_off(Why::TooLong));
                    limit = clock.now().plus(CALL_OFF);
                }
            }
        };
        // What it told before it ended comes before its end.
        while let Ok(event) = inbox.try_recv() {
            self.on_event(legs, &mut at, &mut answered, event).await;
        }
        if result.as_ref().is_some_and(|r| r.not_made.is_some()) {
            pass.undo();
        } else if let Some(since) = answered {
            let trunk = result.as_ref().and_then(|r| r.trunk.as_deref());
            pass.end(self.now().since(since), trunk);
        }
        if let Some(wait) = result.as_ref().and_then(|r| r.not_made).filter(|_| lead_entry.why().is_none()) {
            let words = result.and_then(|r| r.text).unwrap_or_default();
            let at = self.now().plus(wait.clamp(SHORTEST_WAIT, LONGEST_WAIT));
            for leg in legs.iter() {
                tracing::info!(job = %leg.job.id, ?wait, reason = words, "no trunk has room for the call: it waits");
            }
            return legs.iter().map(|_| Turn::Back(at)).collect();
        }
        let result = result.unwrap_or_else(|| CallResult {
            class: if told_to_stop { "call.timeout" } else { "l.internal" }.into(),
            ..CallResult::default()
        });
        self.close_all(legs, &result).await
    }

    /// What the call's result means for each job: those that are through have succeeded, the next one has the result, and
    /// those whose turn had not come go back.
    async fn close_all(&self, legs: &mut [Leg], result: &CallResult) -> Vec<Turn> {
        let success = is_success(&result.class);
        let uncertain = result.uncertain_page.map(|page| place(legs, page));
        let mut left = result.pages_confirmed;
        let mut turns = Vec::new();
        let last = legs.len().saturating_sub(1);
        let mut over = false;
        // The first one's sender has called it off, or another node has it, when another's turn had come already.
        let lead = legs.first().and_then(|lead| lead.ticket.entry.why());
        let lead = lead.filter(|why| matches!(why, Why::Sender | Why::LeaseLost | Why::Unheld));
        for (i, leg) in legs.iter_mut().enumerate() {
            if over {
                turns.push(Turn::Back(leg.job.not_before));
                continue;
            }
            let own = left.min(leg.share());
            left -= own;
            let through = success || leg.confirmed.max(own) >= leg.share();
            let bears = i == last || !through;
            let mut own = CallResult { pages_confirmed: own, ..result.clone() };
            own.uncertain_page = uncertain.filter(|(of, _)| *of == i).map(|(_, page)| page);
            if !bears {
                own = CallResult { class: "ok".into(), text: None, retry: None, q850: None, ..own };
            }
            if bears && i > 0 && lead.is_some() && leg.ticket.entry.why().is_none() && !success {
                own = CallResult { class: "l.node".into(), text: None, retry: None, ..own };
            }
            turns.push(self.close(leg, own, bears).await);
            over = !through;
        }
        turns
    }

    async fn on_event(
        &self,
        legs: &mut [Leg],
        at: &mut usize,
        answered: &mut Option<Timestamp>,
        mut event: CallEvent,
    ) {
        if let Some(page) = page_of(&mut event) {
            (*at, *page) = place(legs, *page);
        }
        let Some(p) = legs.get_mut(*at) else { return };
        let say = |text: String| self.tell_job(&p.job, Stage::Send, text, None);
        let of = |page: usize| u32::try_from(page.saturating_add(1)).unwrap_or(u32::MAX);
        match event {
            CallEvent::Ringing => say("the far end rings".into()),
            CallEvent::Answered => {
                say("received successful attempt to originate fax".into());
                *answered = Some(self.now());
            }
            CallEvent::T38 => say("T.38 negotiated".into()),
            CallEvent::Negotiated { bit_rate, .. } => say(format!("Fax negotiated at {bit_rate}")),
            CallEvent::RemoteIdent(_) => {}
            CallEvent::PageSending { page } => {
                self.unsend(p, page).await;
                let text = format!("Sending Page {} of {}", of(page), p.job.pages);
                self.tell_job(&p.job, Stage::Send, text, Some(of(page)));
            }
            CallEvent::PageSent { page } => {
                p.sent = p.sent.saturating_add(1);
                // Only of the last page it matters after a crash.
                if of(page) == p.job.pages {
                    p.last_sent = true;
                    self.write_page(p, of(page) - 1, PageState::Sent).await;
                }
            }
            CallEvent::PageConfirmed { page, poor } => {
                if page < p.job.ledger.len() {
                    p.confirmed = p.confirmed.saturating_add(1);
                    let state = PageState::Confirmed { poor };
                    self.write_page(p, of(page) - 1, state).await;
                    let text = format!("Sent Page {} of {}", of(page), p.job.pages);
                    self.tell_job(&p.job, Stage::Send, text, Some(of(page)));
                    self.tell_page_sent(&p.job, of(page)).await;
                }
            }
            CallEvent::Resend { page, frames } => {
                self.unsend(p, page).await;
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
    async fn unsend(&self, p: &mut Leg, page: usize) {
        if p.last_sent && page.saturating_add(1) == p.job.ledger.len() {
            p.last_sent = false;
            let last = p.job.pages.saturating_sub(1);
            self.write_page(p, last, PageState::Unsent).await;
        }
    }

    /// Writes a page into the ledger before anything else happens.
    async fn write_page(&self, p: &mut Leg, page: u32, state: PageState) {
        p.unwritten.push((page, state));
        for _ in 0..LEDGER_TRIES {
            if self.write_pages(p, true).await {
                return;
            }
        }
        tracing::error!(job = %p.job.id, page = page + 1, "the ledger waits for the store");
    }

    /// Writes what is unwritten, in order; whether all of it could be. While the call goes on, whoever waits for the store
    /// would not see that it has to be cleared; afterwards nothing is more urgent than what is known of its pages.
    async fn write_pages(&self, p: &mut Leg, in_call: bool) -> bool {
        while let Some((page, state)) = p.unwritten.first().copied() {
            let holder = &p.ticket.entry;
            if holder.is_replaced() || holder.why() == Some(Why::LeaseLost) {
                p.unwritten.clear();
                return true;
            }
            let entry = PageEntry { state, attempt: p.number, at: self.now() };
            let (store, config) = (&self.inner.ports.store, self.config());
            let began = std::time::Instant::now();
            let record = store.record_page(&p.job.id, &config.node, page, entry);
            let recorded = tokio::select! {
                biased;
                recorded = record => recorded,
                () = holder.unheld(), if in_call => return false,
            };
            match recorded {
                Ok(()) => {
                    self.inner.metrics.stored("record_page", began);
                    p.unwritten.remove(0);
                }
                Err(StoreError::LeaseLost) => {
                    p.ticket.entry.call_off(Why::LeaseLost);
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

    /// The turn that a call's result makes; whether it `bears` the result and is what the call teaches.
    async fn close(&self, p: &mut Leg, result: CallResult, bears: bool) -> Turn {
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
        } else if result.session_told && p.last_sent && p.confirmed.max(result.pages_confirmed) < p.share() {
            // It was said before the page had left, so that it was in time; the call broke off before it had.
            p.unwritten.push((last, PageState::Unsent));
        }
        let clock = self.inner.ports.clock.clone();
        while !self.write_pages(p, false).await {
            clock.sleep_until(clock.now().plus(Duration::from_secs(1))).await;
        }
        let key = match p.ticket.entry.why() {
            _ if is_success(&result.class) => result.class.as_str(),
            Some(Why::Shutdown | Why::Unheld) => "l.node",
            Some(Why::TooLong) => "call.timeout",
            _ => result.class.as_str(),
        };
        let known = outcome(key);
        let own = key == result.class;
        let ended = self.now();
        let lesson = if bears { self.lesson(&p.job, &result, key, ended) } else { None };
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
            trace: core::mem::take(&mut p.trace),
        };
        Turn::Call(Box::new(attempt), lesson)
    }
}
