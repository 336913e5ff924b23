//! A mail that comes again, after a crash of ours, a 250 that was lost or a 451, is the same fax: its job's id follows from
//! what the client sends again unchanged.

use core::time::Duration;

use fax_store::model::{AccountId, Job, JobId};
use fax_switch::service::is_taken_back;
use fax_switch::{NewJob, Service, SubmitError};
use sha2::{Digest, Sha256};

/// For so long a client tries again (RFC 5321 §4.5.4.1: at least 4 to 5 days); afterwards it is another sending.
const TRIES_FOR: Duration = Duration::from_secs(6 * 86_400);
/// Faxes of one mail that were taken back, or whose time is over, before the next goes under an id that is drawn.
const MOST: u32 = 100;

/// What makes a document of a mail to a recipient the same when it comes again.
pub(crate) struct Order<'a> {
    pub(crate) account: &'a AccountId,
    pub(crate) message_id: &'a str,
    /// Envelope sender.
    pub(crate) sender: &'a str,
    /// Envelope recipient.
    pub(crate) recipient: &'a str,
    /// Which document of the mail.
    pub(crate) nth: usize,
    pub(crate) octets: &'a [u8],
}

impl Order<'_> {
    /// The id of its job; `round` counts those before that are not this one.
    fn id(&self, round: u32) -> JobId {
        let mut hash = Sha256::new();
        let document = Sha256::digest(self.octets);
        let (nth, round) = (self.nth.to_string(), round.to_string());
        let said = [self.account.as_str(), self.message_id, self.sender, self.recipient, &nth, &round];
        for part in said.iter().map(|s| s.as_bytes()).chain([document.as_slice()]) {
            hash.update(part.len().to_string());
            hash.update(b":");
            hash.update(part);
        }
        let id: String = hash.finalize().iter().take(16).map(|octet| format!("{octet:02x}")).collect();
        JobId::new(id)
    }

    /// Takes the job, or answers the one that was taken when the mail came before; and whether it was taken just now.
    ///
    /// # Errors
    ///
    /// See [`SubmitError`].
    pub(crate) async fn submit(&self, service: &Service, new: NewJob) -> Result<(Job, bool), SubmitError> {
        let unavailable = |error: fax_switch::ServiceError| SubmitError::Unavailable(error.to_string());
        for round in 0..MOST {
            let id = self.id(round);
            match service.find_job(&id).await.map_err(unavailable)? {
                None => return service.submit_or_find(id, new).await,
                Some(job) if is_this(&job, service) => return Ok((job, false)),
                Some(_) => {}
            }
        }
        Ok((service.submit(new).await?, true))
    }
}

/// Whether this is the fax of the mail that comes again, and not one of a mail that was refused and is now sent anew. One that
/// failed or was called off stays so: a client that missed our 250 tries for days, and a person who sends the fax again
/// sends another mail.
fn is_this(job: &Job, service: &Service) -> bool {
    service.now().since(job.created) < TRIES_FOR && !is_taken_back(job)
}
