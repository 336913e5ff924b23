//! Calls that come in: who they are for, and what came of them.

use super::{Service, ServiceError};
use core::time::Duration;
use fax_store::model::{AccountId, FaxboxId, Received};
use fax_t30::Outcome;
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
    /// The SIP Call-ID.
    pub call_id: String,
    /// Where it comes from, for logs.
    pub remote: String,
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
}

impl Service {
    /// What to do with a call that comes in.
    #[must_use]
    pub fn incoming(&self, call: &IncomingCall) -> Decision {
        let directory = self.directory();
        let number = self.inner.config.numbers.normalise(&call.to_number);
        let Some(faxbox) = directory.faxbox_by_number(&number) else {
            return Decision::Reject {
                code: 404,
                reason: "Not Found".into(),
            };
        };
        let ident = [&faxbox.fax_identity, &self.inner.config.default_ident]
            .into_iter()
            .find(|i| !i.is_empty())
            .unwrap_or(&number);
        Decision::Receive {
            account: faxbox.account.clone(),
            faxbox: faxbox.id.clone(),
            ident: ident.clone(),
        }
    }

    /// Stores what came in a call, with a notice. It is on disk when this comes back with `Ok`.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`]: nothing is stored; try again.
    pub async fn received(&self, fax: ReceivedFax) -> Result<Received, ServiceError> {
        let _ = fax;
        Err(ServiceError::Unavailable("not there yet".into()))
    }
}
