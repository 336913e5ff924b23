//! Faxes that are being received on this node: who calls whom, and how far they are.

use super::{IncomingCall, Service, lock};
use crate::event::Stage;
use fax_store::model::{AccountId, FaxId, FaxboxId, Timestamp};

/// A fax that is being received.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reception {
    /// The id that the fax will have.
    pub id: FaxId,
    /// Whose it is.
    pub account: AccountId,
    /// The faxbox it comes to.
    pub faxbox: FaxboxId,
    /// When the call was answered.
    pub began: Timestamp,
    /// Caller's number.
    pub from_number: String,
    /// Caller's name.
    pub from_name: String,
    /// The number that was called, normalised.
    pub to_number: String,
    /// The SIP Call-ID.
    pub call_id: String,
    /// What was told last.
    pub stage: Stage,
    /// The same in words.
    pub text: String,
    /// Pages so far.
    pub pages: u32,
}

/// Tells how a reception goes. When it is dropped the reception is over.
#[must_use]
pub struct Receiving {
    service: Service,
    id: FaxId,
}

impl Service {
    /// A call was answered for this faxbox.
    pub fn begin_reception(&self, call: &IncomingCall, account: &AccountId, faxbox: &FaxboxId) -> Receiving {
        let id = FaxId::generate();
        let reception = Reception {
            id: id.clone(),
            account: account.clone(),
            faxbox: faxbox.clone(),
            began: self.now(),
            from_number: call.from_number.clone(),
            from_name: call.from_name.clone(),
            to_number: self.config().numbers.normalise(&call.to_number),
            call_id: call.call_id.clone(),
            stage: Stage::Start,
            text: String::new(),
            pages: 0,
        };
        lock(&self.inner.receptions).insert(id.clone(), reception);
        let receiving = Receiving { service: self.clone(), id };
        receiving.tell(Stage::Start, format!("New Fax from {}", call.from_number), None);
        receiving
    }

    /// The faxes of an account that are being received on this node, the oldest first.
    #[must_use]
    pub fn receptions(&self, account: &AccountId) -> Vec<Reception> {
        let running = lock(&self.inner.receptions);
        let mut own: Vec<Reception> = running.values().filter(|r| r.account == *account).cloned().collect();
        own.sort_by(|a, b| (a.began, &a.id).cmp(&(b.began, &b.id)));
        own
    }
}

impl Receiving {
    /// The id that the fax will have.
    #[must_use]
    pub fn id(&self) -> &FaxId {
        &self.id
    }

    /// The rate that was agreed, bit/s.
    pub fn negotiated(&self, rate: u32) {
        self.tell(Stage::Receive, format!("fax negotiated at {rate}"), None);
    }

    /// So many pages are here.
    pub fn page(&self, pages: u32) {
        self.tell(Stage::Receive, format!("Received  Page {pages}"), Some(pages));
    }

    fn tell(&self, stage: Stage, text: String, page: Option<u32>) {
        let told = {
            let mut running = lock(&self.service.inner.receptions);
            let Some(reception) = running.get_mut(&self.id) else { return };
            reception.stage = stage;
            reception.text.clone_from(&text);
            reception.pages = page.unwrap_or(reception.pages);
            reception.clone()
        };
        self.service.receiving(&told, text, page);
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        lock(&self.service.inner.receptions).remove(&self.id);
    }
}
