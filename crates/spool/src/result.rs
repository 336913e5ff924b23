//! What came of a fax, as it is laid beside its document, and whether a fax may be tried again later.

use fax_store::model::{Job, JobId, JobState};
use fax_switch::SubmitError;
use serde_json::{Value, json};

/// What came of handing a document in.
pub(crate) enum HandedIn {
    /// It is in the queue.
    Queued,
    /// It never will be: why.
    Refused(String),
    /// Not now.
    Later(String),
}

/// What an answer of the switch means here.
pub(crate) fn handed_in(answer: Result<Job, SubmitError>) -> HandedIn {
    match answer {
        Ok(_) => HandedIn::Queued,
        Err(why @ SubmitError::Unavailable(_)) => HandedIn::Later(why.to_string()),
        // The configuration may come back.
        Err(why @ (SubmitError::UnknownAccount | SubmitError::UnknownFaxbox)) => {
            HandedIn::Later(why.to_string())
        }
        Err(why) => HandedIn::Refused(format!("The fax was not taken: {why}.")),
    }
}

/// The word for how a job ended.
pub(crate) fn word(state: JobState) -> &'static str {
    match state {
        JobState::Completed => "completed",
        JobState::Uncertain => "uncertain",
        JobState::Cancelled => "cancelled",
        JobState::Failed => "failed",
        JobState::Converting | JobState::Pending | JobState::Locked | JobState::Processing => "queued",
    }
}

/// The result of a job that is done with.
pub(crate) fn of_job(job: &Job) -> Value {
    let last = job.attempts.last();
    json!({
        "id": job.id.as_str(),
        "status": word(job.state),
        "to_number": job.to_number,
        "pages": job.pages,
        "pages_confirmed": job.pages_confirmed(),
        "attempts": job.attempts.len(),
        "reason": job.reason,
        "remarks": job.remarks,
        "remote_ident": last.and_then(|a| a.remote_ident.clone()),
        "ended": job.modified.unix_seconds(),
    })
}

/// The result of a document that did not become a job, or of a job that is there no more.
pub(crate) fn refused(id: &JobId, why: &str) -> Value {
    json!({ "id": id.as_str(), "status": "failed", "reason": why })
}
