//! Before a call for a job: whether it may be made, its pages, and which jobs go along with it.

use crate::call::Leg;
use crate::conversion::KEY_DESTROYED;
use crate::event::Stage;
use crate::finish::{Holder, Turn};
use crate::policy::{TollRefusal, class};
use crate::running::{Ticket, Why, Work};
use crate::service::{Service, TollPass};
use core::time::Duration;
use fax_base::redact::Redacted;
use fax_document::FaxDocument;
use fax_store::StoreError;
use fax_store::model::{Attempt, AttemptOutcome, Job, JobState, RetryPolicy};
use fax_store::port::JobChange;
use fax_terminal::CodedPage;
use std::sync::Arc;

/// A job that waits for a budget is looked at again after this at the latest: the budget may be another by then.
const LOOK_AGAIN: Duration = Duration::from_secs(300);

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

impl Service {
    /// Makes one call for a job that this node holds, and for those that go along with it, and ends their turns.
    pub(crate) async fn attempt(self, job: Job, ticket: Ticket) {
        let Some((lead, pass)) = self.lead(job, ticket).await else { return };
        let mut legs = vec![lead];
        self.add_companions(&mut legs).await;
        let turns = self.call(&mut legs, pass).await;
        self.inner.metrics.called(&turns);
        for (leg, turn) in legs.into_iter().zip(turns) {
            if leg.ticket.entry.why() != Some(Why::LeaseLost) {
                self.finish(&leg.job, Holder::Us(&leg.ticket.entry), turn).await;
            }
        }
    }

    /// The job that the call is made for, if it may be made.
    async fn lead(&self, job: Job, ticket: Ticket) -> Option<(Leg, TollPass)> {
        let first = self.may_go(&job, &ticket).await?;
        let pass = match self.admit_job(&job) {
            Ok(pass) => pass,
            Err(refusal) => {
                let turn = self.refused(&job, &refusal);
                self.finish(&job, Holder::Us(&ticket.entry), turn).await;
                return None;
            }
        };
        match self.ready(job, first, ticket).await {
            Some(leg) => Some((leg, pass)),
            None => {
                pass.undo();
                None
            }
        }
    }

    /// Takes further jobs to the same recipient into the call, as many as the settings allow.
    async fn add_companions(&self, legs: &mut Vec<Leg>) {
        let config = self.config();
        let most = config.jobs_per_call.saturating_sub(1);
        let Some(lead) = legs.first().filter(|lead| most > 0 && lead.job.attempts_counted == 0) else {
            return;
        };
        let (now, store) = (self.now(), &self.inner.ports.store);
        let until = now.plus(config.lease);
        let taken = match store.lease_beside(&lead.job.id, &config.node, now, until, most).await {
            Ok(jobs) => jobs,
            Err(e) => return tracing::error!(error = %e, "no further jobs are taken into the call"),
        };
        // All at once: whoever is called off while another's pages are read, or waits long for them, is known.
        let begin = |job: Job| {
            let ticket = self.inner.running.begin(&job, Work::Along, config.lease);
            (job, ticket)
        };
        let taken: Vec<(Job, Ticket)> = taken.into_iter().map(begin).collect();
        for (job, ticket) in taken {
            let Some(first) = self.may_go(&job, &ticket).await else { continue };
            legs.extend(self.ready(job, first, ticket).await);
        }
    }

    /// The first page that has to be sent; `None`: there is nothing to be sent now, and the job's turn has ended.
    async fn may_go(&self, job: &Job, ticket: &Ticket) -> Option<usize> {
        self.tell_job(job, Stage::Start, "job acquired".into(), None);
        let first = job.first_unconfirmed();
        let turn = if job.cancel || ticket.entry.why() == Some(Why::Sender) {
            Turn::CalledOff
        } else if ticket.entry.why().is_some() {
            Turn::Back(job.not_before)
        } else if job.pages > 0 && first >= job.ledger.len() {
            Turn::Complete
        } else {
            match self.held_back(job).await {
                Some(turn) => turn,
                None => return Some(first),
            }
        };
        self.finish(job, Holder::Us(&ticket.entry), turn).await;
        None
    }

    /// Reads the pages and notes that the call is made; `None`: it is not, and the job's turn has ended.
    async fn ready(&self, job: Job, first: usize, ticket: Ticket) -> Option<Leg> {
        let pages = match self.pages(&job, first).await {
            Ok(pages) => pages,
            Err(StoreError::KeyDestroyed) => {
                self.finish(&job, Holder::Us(&ticket.entry), Turn::Hopeless(KEY_DESTROYED.into())).await;
                return None;
            }
            Err(e) => {
                tracing::error!(job = %job.id, error = %e, "the stored pages cannot be read");
                let mut a = Attempt { started: self.now(), ended: self.now(), ..Attempt::default() };
                a.outcome = outcome("l.file");
                self.finish(&job, Holder::Us(&ticket.entry), Turn::call(a)).await;
                return None;
            }
        };
        let now = self.now();
        let change: JobChange = Box::new(move |j| {
            j.state = JobState::Processing;
            j.modified = now;
            Ok(())
        });
        match self.inner.ports.store.update_job(&job.id, self.held(), change, vec![]).await {
            // Since it was taken, perhaps at another node.
            Ok(job) if job.cancel => {
                self.finish(&job, Holder::Us(&ticket.entry), Turn::CalledOff).await;
                None
            }
            Ok(job) => {
                self.tell_job(&job, Stage::Send, "ready to send".into(), None);
                Some(Leg::new(job, pages, first, ticket, now))
            }
            Err(e) => {
                tracing::error!(job = %job.id, error = %e, "the call is not made");
                self.finish(&job, Holder::Us(&ticket.entry), Turn::Back(job.not_before)).await;
                None
            }
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
    async fn pages(&self, job: &Job, first: usize) -> Result<Vec<Arc<CodedPage>>, StoreError> {
        let key = job.document.as_ref().ok_or(StoreError::NotFound)?;
        let octets = self.inner.ports.documents.get(key).await?;
        let expected = job.ledger.len();
        let read = tokio::task::spawn_blocking(move || {
            let document =
                FaxDocument::from_stored_tiff(&octets).map_err(|e| StoreError::Damaged(e.to_string()))?;
            if document.pages.len() != expected {
                let found = document.pages.len();
                return Err(StoreError::Damaged(format!("{found} pages, not {expected}")));
            }
            let coded = document
                .pages
                .into_iter()
                .skip(first)
                .map(|p| Arc::new(CodedPage { shape: p.shape, t6: p.t6, jpeg: p.jpeg }));
            Ok(coded.collect())
        });
        read.await.map_err(|e| StoreError::Unavailable(e.to_string()))?
    }
}
