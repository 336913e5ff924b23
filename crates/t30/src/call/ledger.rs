//! The page ledger: what is known of each page, for the outcome.

use super::Call;
use crate::api::{PageRecord, PageStatus, Verdict};
use crate::negotiate::Agreed;
use fax_base::Instant;

/// The rows so far, and what is not a row yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    pub(super) sent: Vec<PageRecord>,
    pub(super) received: Vec<PageRecord>,
    /// When the page in hand began.
    began: Option<Instant>,
    /// Receiving: octets of the page in hand, its refusals and the frames asked for again.
    pub(crate) octets: usize,
    pub(crate) repeats: u32,
    pub(crate) frames_again: u32,
}

impl Call {
    /// A page begins to be sent, or is sent again.
    pub(crate) fn page_begins(&mut self, index: usize, octets: usize, agreed: &Agreed) {
        let ledger = &mut self.tally.ledger;
        let before = ledger.sent.pop_if(|r| r.index == index && r.status == PageStatus::Failed);
        if before.is_none() {
            ledger.began = Some(self.now);
        }
        ledger.sent.push(PageRecord {
            index,
            status: PageStatus::Failed,
            format: agreed.format,
            modulation: agreed.modulation,
            octets,
            duration: core::time::Duration::ZERO,
            repeats: before.map_or(0, |r| r.repeats + 1),
            frames_again: before.map_or(0, |r| r.frames_again),
            quality: None,
        });
    }

    /// Frames of the page that is being sent go again.
    pub(crate) fn frames_again(&mut self, frames: u32) {
        if let Some(record) = self.tally.ledger.sent.last_mut() {
            record.frames_again = record.frames_again.saturating_add(frames);
        }
    }

    /// What became of the page that was sent last.
    pub(crate) fn page_ends(&mut self, status: PageStatus) {
        let modulation = self.transmission.agreed.map(|a| a.modulation);
        let ledger = &mut self.tally.ledger;
        if let Some(record) = ledger.sent.last_mut() {
            record.status = status;
            record.duration = ledger.began.map_or(record.duration, |began| self.now.since(began));
            record.modulation = modulation.unwrap_or(record.modulation);
        }
    }

    /// An image begins to come.
    pub(crate) fn image_begins(&mut self) {
        self.tally.ledger.began.get_or_insert(self.now);
    }

    /// The page that came is kept.
    pub(crate) fn page_came(&mut self, status: PageStatus, quality: Option<Verdict>) {
        let index = self.tally.pages_received;
        let ledger = core::mem::take(&mut self.tally.ledger);
        self.tally.ledger.sent = ledger.sent;
        self.tally.ledger.received = ledger.received;
        if let Some(agreed) = self.reception.agreed {
            self.tally.ledger.received.push(PageRecord {
                index,
                status,
                format: agreed.format,
                modulation: agreed.modulation,
                octets: ledger.octets,
                duration: ledger.began.map_or(core::time::Duration::ZERO, |began| self.now.since(began)),
                repeats: ledger.repeats,
                frames_again: ledger.frames_again,
                quality,
            });
        }
    }
}
