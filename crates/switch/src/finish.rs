//! Ending an attempt, a conversion or an interrupted job: the new state and its notice in one commit.

use crate::event::{EventSubject, JobEvent, Stage};
use crate::policy::{Lesson, RetryTable, Verdict, judge, reschedule};
use crate::running::Entry;
use crate::service::Service;
use core::time::Duration;
use fax_store::StoreError;
use fax_store::model::{Attempt, Job, JobState, Notice, NoticeKind, NoticeSubject, RetryPolicy, Timestamp};
use fax_store::port::{Guard, JobChange};
use std::sync::Arc;

/// How long to wait before the store is tried again.
const STORE_AGAIN: Duration = Duration::from_secs(1);

/// What came of a job's turn.
#[derive(Clone, Debug)]
pub(crate) enum Turn {
    /// A call was made, and taught something.
    Call(Box<Attempt>, Option<Arc<Lesson>>),
    /// Nothing was done: back to where it was, for this time.
    Back(Timestamp),
    /// Nothing was done, and it waits until this time for this reason.
    Held(Timestamp, String),
    /// All pages were confirmed before.
    Complete,
    /// The sender called it off before anything was done.
    CalledOff,
    /// It cannot be sent: why.
    Hopeless(String),
    /// It may have been delivered.
    Uncertain,
}

/// Whose a job is whose turn ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Holder<'w> {
    /// This node's, which did this work for it.
    Us(&'w Entry),
    /// Nobody's: its node is gone or was restarted.
    Nobody,
}

impl Turn {
    /// A call was made, or should have been, and taught nothing.
    pub(crate) fn call(attempt: Attempt) -> Self {
        Turn::Call(Box::new(attempt), None)
    }
}

const UNCERTAIN: &str = "The result is uncertain: the last page was sent, but its confirmation never came. \
     The fax may have been delivered; it is not sent again by itself.";

/// Why [`if_still`] refuses.
pub(crate) const CHANGED: &str = "the job has changed";

/// `change`, if the job still is what was `read`, held or not, but for its ledger and how long it is held; else
/// [`StoreError::Refused`] with [`CHANGED`]. So what is told with the change is what happens.
pub(crate) fn if_still(read: Job, change: JobChange) -> JobChange {
    Box::new(move |j| {
        let bare = |j: &Job| Job { lease: None, ledger: Vec::new(), ..j.clone() };
        if j.lease.is_some() != read.lease.is_some() || bare(j) != bare(&read) {
            return Err(StoreError::Refused(CHANGED.into()));
        }
        change(j)
    })
}

/// Brings `job` to where `turn` leads.
pub(crate) fn apply(job: &mut Job, turn: &Turn, table: &RetryTable, now: Timestamp) {
    job.modified = now;
    job.lease = None;
    let waiting = if job.document.is_some() { JobState::Pending } else { JobState::Converting };
    match turn {
        Turn::Call(attempt, _) => {
            job.attempts.push((**attempt).clone());
            if attempt.outcome.retry != RetryPolicy::Local {
                job.attempts_counted = job.attempts_counted.saturating_add(1);
            }
            let all = job.pages > 0 && job.pages_confirmed() == job.pages;
            if all {
                job.state = JobState::Completed;
                job.reason = None;
                return;
            }
            let mut verdict = judge(job, table);
            if let Some(rule) = reschedule(job, &table.rules).filter(|_| verdict != Verdict::Uncertain) {
                job.retries = rule.retries;
                job.reschedule_rule = Some(rule.name.clone());
                let left = job.attempts_left() > 0;
                verdict = if left { Verdict::Retry(rule.retry_after) } else { Verdict::GiveUp };
            }
            match verdict {
                Verdict::Uncertain => uncertain(job),
                _ if job.cancel => called_off(job),
                Verdict::GiveUp => {
                    job.state = JobState::Failed;
                    job.reason = Some(attempt.outcome.text.clone());
                }
                Verdict::Retry(delay) => {
                    job.state = waiting;
                    job.not_before = now.plus(delay);
                    job.reason = Some(attempt.outcome.text.clone());
                }
            }
        }
        _ if job.cancel && !matches!(turn, Turn::Complete | Turn::Uncertain) => called_off(job),
        Turn::Back(at) => {
            job.state = waiting;
            job.not_before = *at;
        }
        Turn::Held(at, why) => {
            job.state = waiting;
            job.not_before = *at;
            job.reason = Some(why.clone());
        }
        Turn::Complete => {
            job.state = JobState::Completed;
            job.reason = None;
        }
        Turn::CalledOff => called_off(job),
        Turn::Hopeless(why) => {
            job.state = JobState::Failed;
            job.reason = Some(why.clone());
        }
        Turn::Uncertain => uncertain(job),
    }
}

fn called_off(job: &mut Job) {
    job.state = JobState::Cancelled;
    job.reason = Some("The fax was called off.".into());
}

fn uncertain(job: &mut Job) {
    job.state = JobState::Uncertain;
    job.reason = Some(UNCERTAIN.into());
}

/// What its sender is told about a job in this state.
fn notice(job: &Job, now: Timestamp) -> Option<Notice> {
    let kind = match job.state {
        JobState::Completed => NoticeKind::Sent,
        JobState::Failed => NoticeKind::Failed,
        JobState::Uncertain => NoticeKind::Uncertain,
        _ => return None,
    };
    if job.notify.is_empty() {
        return None;
    }
    let subject = NoticeSubject::Job(job.id.clone());
    Some(Notice::new(kind, job.account.clone(), subject, job.notify.clone(), now))
}

impl Service {
    /// Held by this node.
    pub(crate) fn held(&self) -> Guard {
        Guard::HeldBy(self.config().node.clone())
    }

    /// Ends a turn durably; keeps trying while the store fails. `None`: another node has the job.
    pub(crate) async fn finish(&self, job: &Job, holder: Holder<'_>, turn: Turn) -> Option<Job> {
        let guard = match holder {
            Holder::Us(_) => self.held(),
            Holder::Nobody => Guard::Lease(job.lease.clone()),
        };
        loop {
            let done = match holder {
                Holder::Us(entry) if entry.is_replaced() => Err(StoreError::LeaseLost),
                _ => self.finish_once(job, guard.clone(), &turn).await,
            };
            match done {
                Ok(job) => return Some(job),
                Err(StoreError::LeaseLost | StoreError::NotFound) => {
                    tracing::warn!(job = %job.id, "another node has taken the job over");
                    return None;
                }
                // It changed between reading and writing.
                Err(StoreError::Refused(_)) => {}
                Err(e) => {
                    tracing::error!(job = %job.id, error = %e, "the result waits for the store");
                    let clock = &self.inner.ports.clock;
                    clock.sleep_until(clock.now().plus(STORE_AGAIN)).await;
                }
            }
        }
    }

    async fn finish_once(&self, job: &Job, guard: Guard, turn: &Turn) -> Result<Job, StoreError> {
        let store = &self.inner.ports.store;
        let now = self.now();
        let read = store.job(&job.id).await?.ok_or(StoreError::NotFound)?;
        let mut then = read.clone();
        apply(&mut then, turn, &self.config().retry, now);
        let mails = self.config().mails;
        let mut notices: Vec<Notice> = notice(&then, now).filter(|_| mails).into_iter().collect();
        notices.extend(self.told_of_turn(&then, matches!(turn, Turn::Call(..))));
        let written = then.clone();
        let change = Box::new(move |j: &mut Job| {
            let lease = j.lease.take();
            let same = *j == Job { lease: None, ..read };
            if !same {
                j.lease = lease;
                return Err(StoreError::Refused(CHANGED.into()));
            }
            *j = written;
            Ok(())
        });
        let told = !notices.is_empty();
        let mut lessons = match (turn, &self.config().learning) {
            (Turn::Call(_, Some(lesson)), Some(rules)) => lesson.changes(rules),
            _ => Vec::new(),
        };
        if let Turn::Call(attempt, _) = turn {
            self.count_dead(job, attempt, &mut lessons).await;
        }
        // In one commit: a lesson is counted once, whatever happens between.
        let began = std::time::Instant::now();
        let job = store.update_job_and_profiles(&job.id, guard, change, notices, lessons).await?;
        self.inner.metrics.stored("update_job", began);
        self.inner.metrics.ended(&job, turn);
        if told {
            self.inner.wake_notices.notify_one();
            self.inner.wake_hooks.notify_one();
        }
        self.inner.wake.notify_one();
        let (stage, text) = match job.state {
            JobState::Completed => (Stage::End, "Fax Successfully sent".to_owned()),
            JobState::Pending | JobState::Converting => match turn {
                Turn::Held(_, why) => (Stage::Prepare, why.clone()),
                Turn::Call(..) => (Stage::Error, job.reason.clone().unwrap_or_default()),
                _ => (Stage::Prepare, "waiting in the queue".to_owned()),
            },
            _ => (Stage::Error, job.reason.clone().unwrap_or_default()),
        };
        self.tell_job(&job, stage, text, None);
        Ok(job)
    }

    /// Ends the turn of a job whose node is gone or was restarted.
    pub(crate) async fn settle(&self, job: &Job) {
        let now = self.now();
        let turn = match job.state {
            JobState::Processing if job.pages > 0 && job.pages_confirmed() == job.pages => Turn::Complete,
            JobState::Processing if job.is_last_page_open() => Turn::Uncertain,
            JobState::Processing => Turn::call(interrupted(job, now)),
            _ => Turn::Back(job.not_before),
        };
        self.finish(job, Holder::Nobody, turn).await;
    }

    /// Tells what happens to a job.
    pub(crate) fn tell_job(&self, job: &Job, stage: Stage, text: String, page: Option<u32>) {
        self.tell(JobEvent {
            at: self.now(),
            account: job.account.clone(),
            faxbox: job.faxbox.clone(),
            subject: EventSubject::Job(job.id.clone()),
            state: Some(job.state),
            stage,
            text,
            page,
            pages: (job.pages > 0).then_some(job.pages),
        });
    }
}

/// The attempt that a stop of the node cut off.
pub(crate) fn interrupted(job: &Job, now: Timestamp) -> Attempt {
    let attempt = u32::try_from(job.attempts.len()).unwrap_or(u32::MAX);
    let of_this = |p: &&fax_store::model::PageEntry| {
        p.attempt == attempt && p.state != fax_store::model::PageState::Unsent
    };
    let confirmed = u32::try_from(job.ledger.iter().filter(of_this).count()).unwrap_or(u32::MAX);
    let mut a = Attempt {
        started: job.modified,
        ended: now,
        pages_confirmed: confirmed,
        pages_sent: confirmed,
        first_page: job.pages_confirmed().saturating_sub(confirmed),
        ..Attempt::default()
    };
    a.outcome = crate::attempt::outcome("l.node");
    a
}
