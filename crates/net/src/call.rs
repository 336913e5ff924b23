//! A call as its owner sees it: what was asked for, what happens, how it ended.

use crate::config::{Config, T38Policy};
use crate::dns::{Place, Places};
use crate::onward::{Onward, OnwardEvent, PassedOn};
use crate::state::{Holdings, TrunkState};
use fax_base::time::Duration;
use fax_sip::Hop;
use fax_t30 as t30;
use fax_terminal::{ReceivedPage, Signal};
use std::net::SocketAddr;
use tokio::sync::{mpsc, oneshot};

/// A call to be made.
#[derive(Clone, Debug)]
pub struct CallRequest {
    /// By which trunk, by name.
    pub trunk: String,
    /// The number to be called, in E.164 with `+` where it is one: the trunk's format is applied to it.
    pub to: String,
    /// The caller's number, likewise.
    pub from: String,
    /// The caller's name; may be empty.
    pub from_name: String,
    /// More headers of the INVITE.
    pub headers: Vec<(String, String)>,
    /// What the fax terminal is to do.
    pub terminal: fax_terminal::Config,
    /// Who offers T.38 in this call; `None`: as the trunk says.
    pub t38: Option<T38Policy>,
    /// The called side must not see who calls.
    pub anonymous: bool,
    /// Where the trunk has no line free, or begins no more calls this second: wait so long for it.
    pub wait: Duration,
}

impl CallRequest {
    /// A call without anything special.
    #[must_use]
    pub fn new(trunk: &str, to: &str, from: &str, terminal: fax_terminal::Config) -> Self {
        CallRequest {
            trunk: trunk.to_owned(),
            to: to.to_owned(),
            from: from.to_owned(),
            from_name: String::new(),
            headers: Vec::new(),
            terminal,
            t38: None,
            anonymous: false,
            wait: Duration::ZERO,
        }
    }
}

/// What happens in a call, in order. [`CallEvent::Ended`] is the last.
#[derive(Debug)]
pub enum CallEvent {
    /// It rings there.
    Ringing,
    /// It was answered; audio is up.
    Answered,
    /// T.38 was agreed: the fax goes by it from now on.
    T38,
    /// The far end did not take our T.38: the fax goes on by audio.
    T38Refused {
        /// The SIP status; 200 for an answer without T.38, 408 for none.
        code: u16,
        /// Its words.
        reason: String,
    },
    /// The call has gone back from T.38 to audio, and the fax with it.
    Audio,
    /// From T.30.
    Fax(t30::Event),
    /// A signal of the far end's fast modem came or went.
    Signal(Signal),
    /// A page came, where the terminal's configuration keeps pages: lay it down safely and say so with
    /// [`Call::page_kept`]; it is not confirmed before. It may be refused and come again, with the same index.
    KeepPage(ReceivedPage),
    /// A page was received.
    Page(ReceivedPage),
    /// It is over.
    Ended(Box<CallReport>),
}

/// How a call ended.
#[derive(Clone, Debug)]
pub struct CallReport {
    /// In short.
    pub end: CallEnd,
    /// How the fax ended, if it came to one.
    pub outcome: Option<t30::Outcome>,
    /// The SIP status that refused or ended the call.
    pub sip_status: Option<u16>,
    /// The cause in `Reason: Q.850`.
    pub q850: Option<u16>,
    /// The peer's words (reason phrase or warning).
    pub reason: String,
    /// T.38 was in use at the end.
    pub t38: bool,
    /// The SIP status with which our offer of T.38 was refused; the fax went on by audio.
    pub t38_refused: Option<u16>,
    /// The SIP Call-ID, where known.
    pub call_id: String,
    /// From the call's beginning to its end.
    pub duration: Duration,
    /// The file in the folder of recordings that the call was recorded in.
    pub trace: Option<String>,
    /// The trunk answered the INVITE in some way. Without, it is the trunk that failed, not the number.
    pub reached: bool,
    /// When it is worth another try: Retry-After, or when the trunk has room or is tried again.
    pub retry_after: Option<Duration>,
}

impl CallReport {
    /// The report of a call of which nothing else is known.
    #[must_use]
    pub fn new(end: CallEnd, reason: &str) -> Self {
        CallReport {
            end,
            outcome: None,
            sip_status: None,
            q850: None,
            reason: reason.to_owned(),
            t38: false,
            t38_refused: None,
            call_id: String::new(),
            duration: Duration::ZERO,
            trace: None,
            reached: false,
            retry_after: None,
        }
    }
}

/// The ways in which a call ends.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CallEnd {
    /// A fax session ran to an end, good or bad: see [`CallReport::outcome`].
    Fax,
    /// The call was refused or cleared before it was answered: see [`CallReport::sip_status`].
    NotAnswered,
    /// Nothing common in the session descriptions.
    NoCommonMedia,
    /// T.38 was agreed, nothing ever came by it, and the far end would not go back to audio.
    T38Silent,
    /// There is no such trunk, its host is unknown, or no port or place is free.
    NoRoute,
    /// Not made: the trunk's lines are all in use, or as many calls were begun as it takes in a second.
    TrunkFull,
    /// Not made: the trunk is known to be down and is not tried yet.
    TrunkDown,
    /// Our own machines failed.
    Internal,
}

/// A call in the hands of its owner. Dropping it gives the call up.
#[derive(Debug)]
pub struct Call {
    pub(crate) events: mpsc::UnboundedReceiver<CallEvent>,
    pub(crate) give_up: mpsc::UnboundedSender<Wish>,
    pub(crate) key: LegKey,
}

/// Names a call within the driver.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct LegKey(pub(crate) u64);

/// What owners want of the driver, and what comes back from look-ups.
#[derive(Debug)]
pub(crate) enum Wish {
    Call {
        key: LegKey,
        request: Box<CallRequest>,
        events: mpsc::UnboundedSender<CallEvent>,
    },
    Accept {
        key: LegKey,
        terminal: Box<fax_terminal::Config>,
        /// T.38 is neither offered nor taken.
        audio_only: bool,
        events: mpsc::UnboundedSender<CallEvent>,
    },
    Reject {
        key: LegKey,
        code: u16,
        reason: String,
        /// Retry-After.
        later: Option<Duration>,
    },
    Connect {
        key: LegKey,
        onward: Box<Onward>,
        events: mpsc::UnboundedSender<OnwardEvent>,
    },
    PageKept {
        key: LegKey,
        kept: bool,
    },
    GiveUp {
        key: LegKey,
    },
    /// A host of a trunk was looked up.
    Located {
        trunk: u64,
        host: usize,
        places: Vec<Place>,
    },
    HopLocated {
        hop: Hop,
        places: Places,
    },
    /// The first hop of a registration's Service-Route was looked up.
    RouteLocated {
        registration: u64,
        route: Vec<String>,
        places: Vec<Place>,
    },
    /// Where a redirection leads.
    RedirectLocated {
        call: fax_sip::CallKey,
        places: Vec<Place>,
    },
    /// The STUN servers were looked up.
    StunLocated {
        servers: Vec<SocketAddr>,
    },
    Trunks {
        told: oneshot::Sender<Vec<TrunkState>>,
    },
    Holdings {
        told: oneshot::Sender<Holdings>,
    },
    Reload {
        config: Box<Config>,
        done: oneshot::Sender<Vec<String>>,
    },
    Stop {
        done: oneshot::Sender<()>,
    },
}

impl Call {
    /// The next event; `None` after [`CallEvent::Ended`].
    pub async fn next(&mut self) -> Option<CallEvent> {
        self.events.recv().await
    }

    /// The page of the last [`CallEvent::KeepPage`] is on disk and may be confirmed; or it is not, and the call ends with
    /// DCN.
    pub fn page_kept(&self, kept: bool) {
        let _ = self.give_up.send(Wish::PageKept { key: self.key, kept });
    }

    /// Ends the call as early as the standards allow: CANCEL, or DCN and BYE. Its events go on to
    /// [`CallEvent::Ended`].
    pub fn give_up(&self) {
        let _ = self.give_up.send(Wish::GiveUp { key: self.key });
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// Somebody calls us. Dropping it refuses the call.
#[derive(Debug)]
pub struct IncomingCall {
    /// The number called: the user of the Request-URI.
    pub to: String,
    /// The number in To, which a peer may keep where the Request-URI was rewritten.
    pub to_header: String,
    /// The caller's number: the user of P-Asserted-Identity or From.
    pub from: String,
    /// The caller's name.
    pub from_name: String,
    /// The number that was called first, where a trunk says that the call was diverted and it may be shown (RFC 5806,
    /// RFC 7044); empty: none.
    pub diverted_from: String,
    /// The trunk it came by; empty: none.
    pub trunk: String,
    /// The terminal of ours that calls, by its user name; it has proved who it is.
    pub terminal: Option<String>,
    /// The headers of the INVITE, in order.
    pub headers: Vec<(String, String)>,
    /// Where it came from.
    pub remote: SocketAddr,
    /// The SIP Call-ID.
    pub call_id: String,
    pub(crate) key: LegKey,
    pub(crate) wishes: mpsc::UnboundedSender<Wish>,
    pub(crate) settled: bool,
}

impl IncomingCall {
    /// Answers the call with a fax terminal.
    #[must_use]
    pub fn accept(self, terminal: fax_terminal::Config) -> Call {
        self.answer(terminal, false)
    }

    /// Answers the call with a fax terminal that speaks by audio alone: T.38 is neither offered nor taken.
    #[must_use]
    pub fn accept_audio_only(self, terminal: fax_terminal::Config) -> Call {
        self.answer(terminal, true)
    }

    fn answer(mut self, terminal: fax_terminal::Config, audio_only: bool) -> Call {
        self.settled = true;
        let (sender, events) = mpsc::unbounded_channel();
        let terminal = Box::new(terminal);
        let _ = self.wishes.send(Wish::Accept { key: self.key, terminal, audio_only, events: sender });
        Call { events, give_up: self.wishes.clone(), key: self.key }
    }

    /// Passes the call on: to another leg, with which this one shares its media.
    #[must_use]
    pub fn connect(mut self, onward: Onward) -> PassedOn {
        self.settled = true;
        let (sender, events) = mpsc::unbounded_channel();
        let _ = self.wishes.send(Wish::Connect { key: self.key, onward: Box::new(onward), events: sender });
        PassedOn { events, wishes: self.wishes.clone(), key: self.key }
    }

    /// Refuses the call: 404 for a number nobody has, 486 when busy, 603 when unwanted …
    pub fn reject(mut self, code: u16, reason: &str) {
        self.refuse(code, reason, None);
    }

    /// Refuses the call with 503, and says when it may be tried again (RFC 3261 §20.33).
    pub fn reject_for_now(mut self, reason: &str, retry_after: Duration) {
        self.refuse(503, reason, Some(retry_after));
    }

    fn refuse(&mut self, code: u16, reason: &str, later: Option<Duration>) {
        self.settled = true;
        let _ = self.wishes.send(Wish::Reject { key: self.key, code, reason: reason.to_owned(), later });
    }
}

impl Drop for IncomingCall {
    fn drop(&mut self) {
        if !self.settled {
            self.refuse(480, "", None);
        }
    }
}
