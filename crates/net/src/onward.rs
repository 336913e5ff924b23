//! A call that is passed on, as its owner sees it: where to, what happens, how it ended.

use crate::call::{LegKey, Wish};
use fax_base::time::Duration;
use tokio::sync::mpsc;

/// Where a call is passed on, and as whose.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Onward {
    /// One after the other, until one takes it: the next is tried where [`fax_sip::call_cause`] says that it may do better.
    pub targets: Vec<OnwardTarget>,
    /// The caller's number.
    pub from: String,
    /// The caller's name; may be empty.
    pub from_name: String,
}

/// One place to pass a call on to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum OnwardTarget {
    /// Over a trunk.
    Trunk {
        /// By name.
        name: String,
        /// The number, in E.164 with `+` where it is one: the trunk's format is applied to it.
        number: String,
        /// The caller that this trunk is shown instead of [`Onward::from`].
        caller: Option<OnwardCaller>,
    },
    /// To where a terminal is registered.
    Terminal {
        /// Its user name.
        user: String,
    },
}

/// Who a trunk is shown as the caller.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct OnwardCaller {
    /// The number, likewise.
    pub number: String,
    /// The called side must not see it.
    pub anonymous: bool,
}

/// Which of the two legs of a call that is passed on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Side {
    /// The caller's.
    A,
    /// The called one's.
    B,
}

impl Side {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Side {
        match self {
            Side::A => Side::B,
            Side::B => Side::A,
        }
    }
}

/// What happens in a call that is passed on. [`OnwardEvent::Ended`] is the last.
#[derive(Clone, Debug)]
pub enum OnwardEvent {
    /// It rings at one of the targets.
    Ringing,
    /// It was answered there; the number counts the targets from 0.
    Answered(usize),
    /// A side goes by T.38 from now on, or by audio again.
    Carrier {
        /// Which.
        side: Side,
        /// T.38.
        t38: bool,
    },
    /// It is over.
    Ended(Box<OnwardReport>),
}

/// How a call that was passed on ended.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OnwardReport {
    /// The Call-ID of the caller's leg.
    pub call_id_a: String,
    /// The Call-ID of the called leg: of the one that answered, or was tried last.
    pub call_id_b: String,
    /// The target that answered or was tried last, from 0.
    pub target: usize,
    /// It was answered.
    pub answered: bool,
    /// Who cleared or refused it; `None`: we did.
    pub ended_by: Option<Side>,
    /// The SIP status of the refusal.
    pub sip_status: Option<u16>,
    /// The cause of Q.850 that came with the end.
    pub q850: Option<u16>,
    /// In words.
    pub reason: String,
    /// A side went by T.38: the caller's, the called one's.
    pub t38: [bool; 2],
    /// From the call's beginning to its end.
    pub duration: Duration,
    /// From the answer to the end.
    pub talked: Duration,
}

/// A call that is passed on, in the hands of its owner. Dropping it ends the call.
#[derive(Debug)]
pub struct PassedOn {
    pub(crate) events: mpsc::UnboundedReceiver<OnwardEvent>,
    pub(crate) wishes: mpsc::UnboundedSender<Wish>,
    pub(crate) key: LegKey,
}

impl PassedOn {
    /// The next event; `None` after [`OnwardEvent::Ended`].
    pub async fn next(&mut self) -> Option<OnwardEvent> {
        self.events.recv().await
    }

    /// Follows the call to its end; `None`: the driver is gone.
    pub async fn ended(mut self) -> Option<OnwardReport> {
        while let Some(event) = self.next().await {
            if let OnwardEvent::Ended(report) = event {
                return Some(*report);
            }
        }
        None
    }

    /// Ends the call on both sides.
    pub fn give_up(&self) {
        let _ = self.wishes.send(Wish::GiveUp { key: self.key });
    }
}

impl Drop for PassedOn {
    fn drop(&mut self) {
        self.give_up();
    }
}
