//! What is known about one call (RFC 3261 §12 to §15).

use core::net::SocketAddr;

use bytes::Bytes;
use fax_base::time::Duration;

use super::early::{Early, Reliable};
use super::schedule::TxId;
use crate::api::{EndedBy, Q850};
use crate::dialog::{Dialog, Flow};
use crate::digest::Authentication;

/// How far a call has come.
#[derive(Debug)]
pub(crate) enum Stage {
    /// Our INVITE has no final answer.
    Calling {
        tx: TxId,
        provisional: bool,
        /// Set when the call shall end before it began.
        ending: Option<Ending>,
    },
    /// Their INVITE has no final answer of ours.
    Ringing { tx: TxId },
    /// There is a dialog.
    Established,
    /// It is over; only late messages are still looked at.
    Over,
}

/// Why a call that is still unanswered is given up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    pub(crate) by: EndedBy,
    pub(crate) reason: Option<Q850>,
    pub(crate) sent: bool,
}

/// What our own INVITE within the dialog is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// The service offers another session.
    Offer,
    /// The session timer.
    Refresh,
}

/// An offer of ours that waits or is under way.
#[derive(Clone, Debug)]
pub(crate) struct LocalOffer {
    pub(crate) sdp: Bytes,
    pub(crate) purpose: Purpose,
    /// How often it met a 491.
    pub(crate) collisions: u8,
}

/// An offer of theirs without our answer.
#[derive(Clone, Debug)]
pub(crate) struct RemoteOffer {
    pub(crate) tx: TxId,
    pub(crate) sdp: Bytes,
}

/// A 2xx of ours to INVITE without its ACK.
#[derive(Clone, Debug)]
pub(crate) struct Unacknowledged {
    pub(crate) cseq: u32,
    pub(crate) octets: Bytes,
    pub(crate) remote: SocketAddr,
    pub(crate) interval: Duration,
    /// It answered the INVITE that made the call.
    pub(crate) initial: bool,
    /// It carried an offer; the answer comes in ACK.
    pub(crate) offered: bool,
    /// That was another one than before: its answer is told.
    pub(crate) unheld: bool,
}

/// The session timer (RFC 4028).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Session {
    pub(crate) seconds: u32,
    pub(crate) we_refresh: bool,
}

/// One call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) flow: Flow,
    pub(crate) dialog: Dialog,
    pub(crate) stage: Stage,
    pub(crate) authentication: Authentication,
    /// Our Contact value.
    pub(crate) contact: String,
    pub(crate) local_sdp: Option<Bytes>,
    /// It answers what they have offered.
    pub(crate) local_answers: bool,
    pub(crate) remote_sdp: Option<Bytes>,
    /// Ours, waiting for its turn.
    pub(crate) queued: Option<LocalOffer>,
    /// Ours, sent.
    pub(crate) pending: Option<(TxId, LocalOffer)>,
    /// Theirs, not answered.
    pub(crate) offered: Option<RemoteOffer>,
    pub(crate) unacknowledged: Option<Unacknowledged>,
    /// BYE as soon as the ACK is there (RFC 3261 §15).
    pub(crate) bye_after_ack: Option<Option<Q850>>,
    pub(crate) session: Option<Session>,
    /// What we ask for in Session-Expires, raised by 422.
    pub(crate) session_wish: Option<u32>,
    pub(crate) min_se: u32,
    /// The peer allows UPDATE.
    pub(crate) updates: bool,
    /// Of a call of ours without final answer: one for each fork that rings.
    pub(crate) earlies: Vec<Early>,
    /// Of a call of theirs: whether and how provisional answers are acknowledged.
    pub(crate) reliable: Option<Reliable>,
    /// Of a call of theirs: the INVITE had no offer.
    pub(crate) late_offer: bool,
    /// Their answer to our early offer, told with the ACK.
    pub(crate) early_answer: Option<Bytes>,
    /// The CSeq of the INVITE that made the call.
    pub(crate) invite_cseq: u32,
    /// Of a call of ours: how long a place may stay without a word.
    pub(crate) reply_within: Duration,
}

impl Call {
    pub(crate) fn new(flow: Flow, dialog: Dialog, stage: Stage, contact: String) -> Call {
        Call {
            flow,
            dialog,
            stage,
            authentication: Authentication::default(),
            contact,
            local_sdp: None,
            local_answers: false,
            remote_sdp: None,
            queued: None,
            pending: None,
            offered: None,
            unacknowledged: None,
            bye_after_ack: None,
            session: None,
            session_wish: None,
            min_se: 90,
            updates: false,
            earlies: Vec::new(),
            reliable: None,
            late_offer: false,
            early_answer: None,
            invite_cseq: 0,
            reply_within: Duration::ZERO,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// The transaction of their INVITE, as long as it has no final answer.
    pub(crate) fn ringing(&self) -> Option<TxId> {
        match self.stage {
            Stage::Ringing { tx } => Some(tx),
            Stage::Calling { .. } | Stage::Established | Stage::Over => None,
        }
    }

    /// The early dialog with this far tag.
    pub(crate) fn early(&self, tag: &Bytes) -> Option<&Early> {
        self.earlies.iter().find(|e| e.dialog.remote_tag == *tag)
    }

    pub(crate) fn is_established(&self) -> bool {
        matches!(self.stage, Stage::Established)
    }
}
