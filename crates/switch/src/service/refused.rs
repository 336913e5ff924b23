//! Mails that were to become faxes and did not: kept with the audit log, as long as that.

use super::{Service, ServiceError};
use fax_store::model::{AccountId, Audit, FaxboxId, Timestamp, filed_id, unfiled_id};
use fax_store::port::{AuditQuery, Range};
use serde::{Deserialize, Serialize};

/// The action of such records.
pub const REFUSED_MAIL: &str = "mail refused";

/// Longest text of each field, characters.
const LONGEST: usize = 500;

/// A mail that was refused.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RefusedMail {
    /// Its id, from the store.
    #[serde(skip)]
    pub id: String,
    /// When.
    #[serde(skip)]
    pub at: Timestamp,
    /// Whose faxbox or realm it was for.
    #[serde(skip)]
    pub account: AccountId,
    /// Envelope sender.
    pub from: String,
    /// Envelope recipient.
    pub to: String,
    /// The number in it, as it stood there.
    pub original_number: String,
    /// The number that would have been called.
    pub number: String,
    /// Its domain.
    pub domain: String,
    /// The faxbox, where there was one.
    pub faxbox: Option<FaxboxId>,
    /// The faxbox's owner.
    pub owner: Option<String>,
    /// Her address.
    pub owner_email: Option<String>,
    /// The type of the document, where there was one.
    pub content_type: Option<String>,
    /// Its name.
    pub file_name: Option<String>,
    /// The name that the client gave itself.
    pub helo: String,
    /// Why, the first reason first.
    pub errors: Vec<String>,
}

impl RefusedMail {
    /// Its id as the REST face shows it.
    #[must_use]
    pub fn filed_id(&self) -> String {
        filed_id(self.at, &self.id)
    }

    fn bounded(mut self) -> Self {
        let texts = [
            &mut self.from,
            &mut self.to,
            &mut self.original_number,
            &mut self.number,
            &mut self.domain,
            &mut self.helo,
        ];
        let more = [&mut self.content_type, &mut self.file_name].into_iter().flatten();
        for text in texts.into_iter().chain(more).chain(&mut self.errors) {
            if text.chars().count() > LONGEST {
                *text = text.chars().take(LONGEST).collect();
            }
        }
        self
    }

    fn of(record: &Audit) -> Option<Self> {
        if record.action != REFUSED_MAIL {
            return None;
        }
        let read: RefusedMail = serde_json::from_str(&record.subject).ok()?;
        Some(RefusedMail { id: record.id.clone(), at: record.at, account: record.account.clone(), ..read })
    }
}

impl Service {
    /// Keeps a refused mail.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`].
    pub async fn mail_refused(&self, account: AccountId, mail: RefusedMail) -> Result<(), ServiceError> {
        let mail = mail.bounded();
        let subject = serde_json::to_string(&mail).map_err(|e| ServiceError::Unavailable(e.to_string()))?;
        let record = Audit {
            id: uuid::Uuid::now_v7().simple().to_string(),
            at: self.now(),
            who: "smtp".into(),
            of: account.clone(),
            account,
            remote: mail.helo,
            action: REFUSED_MAIL.into(),
            subject,
            request: String::new(),
            status: None,
        };
        self.note(vec![record]).await
    }

    /// Records of a range, of which those that are refused mails are read.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`].
    pub async fn refused_mails(
        &self,
        account: &AccountId,
        range: Range,
    ) -> Result<Vec<(Timestamp, String, Option<RefusedMail>)>, ServiceError> {
        let records = self.audit(AuditQuery { account: account.clone(), range }).await?;
        Ok(records.into_iter().map(|r| (r.at, r.id.clone(), RefusedMail::of(&r))).collect())
    }

    /// One of them, by its id.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`]; [`ServiceError::Unavailable`].
    pub async fn refused_mail(&self, account: &AccountId, id: &str) -> Result<RefusedMail, ServiceError> {
        let plain = unfiled_id(id);
        // The id says to the millisecond when it was made, by the system's clock.
        let made = uuid::Uuid::parse_str(plain).ok().and_then(|u| u.get_timestamp());
        let (seconds, _) = made.ok_or(ServiceError::NotFound)?.to_unix();
        let at = Timestamp::from_unix_seconds(i64::try_from(seconds).unwrap_or(0));
        let about = core::time::Duration::from_secs(2);
        let mut range = Range { from: at.minus(about), to: at.plus(about), limit: 500, ..Range::default() };
        loop {
            let found = self.refused_mails(account, range.clone()).await?;
            let Some((last, last_id, _)) = found.last() else { return Err(ServiceError::NotFound) };
            range.after = Some((*last, last_id.clone()));
            let mut mails = found.into_iter().filter_map(|(_, _, mail)| mail);
            if let Some(mail) = mails.find(|m| m.id == plain) {
                return Ok(mail);
            }
        }
    }
}
