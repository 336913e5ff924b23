//! What goes into a [`crate::Session`] and what comes out of it.

use crate::cause::Cause;
use bytes::Bytes;
use core::time::Duration;
use fax_base::line::{Heard, Listen, Modulation, Transmit};
use fax_base::page::{Coding, Length, PageFormat, PageShape, Resolution, Tones, Width};

/// Which end of the call this terminal is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// It made the call.
    Calling,
    /// It answered the call.
    Called,
}

/// What this terminal can do and is allowed to do. The same set is announced in DIS when called
/// and limits the DCS when calling.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Capabilities {
    /// Error correction mode (bit 27).
    pub ecm: bool,
    /// V.27ter, V.29 and V.17, any mix; V.27ter 2400 is always there.
    pub modulations: Vec<Modulation>,
    /// Codings; MH is always there. MMR, T.85 and JPEG need ECM; who can do JPEG in colour can do it in grey.
    pub codings: Vec<Coding>,
    /// As a sender: T.85 before MMR where the far end takes both. A page is a fifth shorter on the line then, one
    /// with grey dithered to dots many times; it costs some milliseconds of computing instead of one. It is a
    /// choice, not the rule, because MMR is what terminals have been tried with, and nothing tells a sender
    /// that a far end decoded T.85 wrongly. Where MMR is not common to both ends, T.85 goes before MR in any case.
    pub prefer_t85: bool,
    /// Resolutions; standard is always there.
    pub resolutions: Vec<Resolution>,
    /// The widest page.
    pub max_width: Width,
    /// The longest page.
    pub max_length: Length,
    /// As a receiver without ECM: the least time for a coded line that we demand.
    pub min_row_time: Duration,
    /// No image goes faster, bit/s.
    pub max_rate: u32,
    /// No image goes slower, bit/s: rather none at all.
    pub min_rate: u32,
    /// ECM frames of 64 octets: asked for as a receiver, used as a sender. A far end that asks for them gets
    /// them in any case.
    pub small_frames: bool,
}

impl Default for Capabilities {
    /// All that is implemented: every modulation, ECM, every coding and resolution, A3, no limit of length, no
    /// minimum row time; what MMR can do is sent as MMR.
    fn default() -> Self {
        Capabilities {
            ecm: true,
            modulations: Modulation::ALL.to_vec(),
            codings: vec![Coding::Mh, Coding::Mr, Coding::Mmr, Coding::T85, Coding::T81(Tones::Colour)],
            prefer_t85: false,
            resolutions: Resolution::ALL.to_vec(),
            max_width: Width::A3,
            max_length: Length::Unlimited,
            min_row_time: Duration::ZERO,
            max_rate: u32::MAX,
            min_rate: 0,
            small_frames: false,
        }
    }
}

/// Pages that belong together. Documents follow one another in a call by EOM.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Document {
    /// Its pages, in order.
    pub pages: Vec<PageShape>,
    /// When it is offered for polling: the selective polling address (SEP or PSA) that a poller must name to
    /// get it; none: everybody gets it.
    pub address: Option<String>,
}

impl Document {
    /// These pages, for everybody.
    #[must_use]
    pub fn new(pages: Vec<PageShape>) -> Self {
        Document { pages, address: None }
    }
}

/// What a calling terminal wants to be sent (T.30 §5.3.6.1.2).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Poll {
    /// Selective polling address (SEP), at most 20 characters.
    pub sep: Option<String>,
    /// Polled sub-address (PSA), at most 20 characters.
    pub psa: Option<String>,
}

/// How good is good enough, and how long is too long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// How many times a page that was answered with RTN is sent again, at a lower rate each time.
    pub page_retries: u32,
    /// As a receiver without ECM: bad rows in a hundred from which RTP is answered.
    pub poor_at_percent: u8,
    /// As a receiver without ECM: bad rows in a hundred from which a page is refused with RTN. `None`: never
    /// refuse; keep what came and say RTP.
    pub refuse_at_percent: Option<u8>,
    /// A page takes no longer than this, repeats included.
    pub longest_page: Duration,
    /// What is heard with errors is asked for again with CRP. The far end must obey that, but not every one does;
    /// without, its command or response comes again when its timer has run out.
    pub command_repeat: bool,
    /// Who sits at our telephone.
    pub operator: Operator,
}

/// Whether there is somebody to talk to between pages (T.30 §5.3.6.1.6 PRI-Q, §5.3.6.1.7 PIN and PIP).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Operator {
    /// Nobody: PRI-MPS is MPS, PIP is MCF and PIN is RTN.
    #[default]
    Absent,
    /// Somebody is called when the far end wants it: PRI-MPS … are answered with PIP or PIN, and after PIP and PIN
    /// T3 runs before the fax goes on.
    Present,
    /// The same, and we want it: pages are ended with PRI-MPS, PRI-EOM, PRI-EOP, or answered with PIP and PIN, until
    /// T3 has run out once.
    Asks,
}

impl Default for Rules {
    /// Two repeats; RTP from 5 and RTN from 15 in a hundred on; an hour; no CRP; no operator.
    fn default() -> Self {
        Rules {
            page_retries: 2,
            poor_at_percent: 5,
            refuse_at_percent: Some(15),
            longest_page: Duration::from_secs(3_600),
            command_repeat: false,
            operator: Operator::Absent,
        }
    }
}

/// What one call is about.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which end we are.
    pub role: Role,
    /// Our subscriber number for CSI, TSI or CIG, at most 20 characters; empty for none.
    pub ident: String,
    /// What we can do.
    pub capabilities: Capabilities,
    /// Calling: the documents to send, in order. Called: the documents offered for polling. Pages are numbered
    /// from 0 through all of them.
    pub send: Vec<Document>,
    /// Called: ready to receive (DIS bit 10).
    pub receive: bool,
    /// Calling: what to poll, one after the other, when everything is sent; empty: nothing.
    pub poll: Vec<Poll>,
    /// Calling: sub-address of the recipient (SUB), if the job names one.
    pub sub_address: Option<String>,
    /// Calling: the password, sent where the far end knows passwords: as SID beside DCS, as PWD beside DTC.
    /// Called: the password that is demanded from whoever sends or polls.
    pub password: Option<String>,
    /// Called: the sub-addresses (SUB) that exist here; a fax for another one is refused. Empty: any is taken.
    pub sub_addresses: Vec<String>,
    /// Quality and patience.
    pub rules: Rules,
}

impl Default for Config {
    /// A called terminal that receives what comes and has nothing to be polled.
    fn default() -> Self {
        Config {
            role: Role::Called,
            ident: String::new(),
            capabilities: Capabilities::default(),
            send: Vec::new(),
            receive: true,
            poll: Vec::new(),
            sub_address: None,
            password: None,
            sub_addresses: Vec::new(),
            rules: Rules::default(),
        }
    }
}

/// What happened.
#[derive(Clone, PartialEq, Debug)]
pub enum Input {
    /// The call is up: begin phase A.
    Start,
    /// The far end was heard.
    Heard(Heard),
    /// Everything that was asked for with [`Output::Transmit`] has left.
    Sent,
    /// The page that [`Output::WantPage`] asked for, coded as it says, with RTC or EOFB at its end and
    /// fill for the minimum row time.
    Page(Bytes),
    /// What [`Output::PageEnd`]'s page turned out to be when decoded.
    Verdict(Verdict),
    /// [`Output::PageEnd`]'s page could not be laid down safely, in place of its verdict: it is not confirmed, and the call
    /// ends with DCN.
    PageNotKept,
    /// The carrier below us changes from audio to T.38 or back. Whatever was being sent or heard is
    /// gone; the procedure carries on: a called terminal that was in phase B begins again with DIS, a
    /// calling one keeps waiting.
    LineChanged,
    /// [`crate::Session::deadline`] has come.
    Timeout,
    /// The far end or the network cleared the call.
    HungUp,
    /// We give up: send DCN if that still makes sense, then end.
    Cancel,
}

/// A page as decoded, counted by the assembly.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Verdict {
    /// Rows of the page, bad ones included.
    pub rows: u32,
    /// Rows that could not be decoded and were concealed.
    pub bad_rows: u32,
    /// The longest run of them.
    pub longest_bad_run: u32,
    /// The decoder gave the page up before its end and threw away what came behind, more than the last row or two: what
    /// the page would have been is not known. Not said of JPEG, which goes on behind damage.
    pub cut: bool,
}

/// What the session wants done, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Send this after everything asked for before.
    Transmit(Transmit),
    /// Stop sending at once and forget what is waiting to be sent. No [`Input::Sent`] follows.
    StopTransmit,
    /// Listen for this from now on.
    Listen(Listen),
    /// Answer with [`Input::Page`]: page `index` of [`Config::send`], coded as `format` says.
    WantPage {
        /// Index into [`Config::send`].
        index: usize,
        /// Coding, resolution, width and minimum row time to code it with.
        format: PageFormat,
        /// For the minimum row time.
        bit_rate: u32,
    },
    /// A page begins. When one was begun before and not done, it is dropped.
    PageStart {
        /// Number of the page, from 0, counted over the pages kept.
        index: usize,
        /// How it is coded.
        format: PageFormat,
    },
    /// The next octets of the page.
    PageData(Bytes),
    /// About this many octets of the page were lost here.
    PageLost {
        /// How many.
        octets: usize,
    },
    /// The page is complete: decode what is left, lay it down safely and answer with [`Input::Verdict`]. With
    /// error correction the sender is kept waiting (RNR), up to T5; without, it waits for some seconds only.
    PageEnd,
    /// The page that began last is settled.
    PageDone {
        /// Keep it (confirmed with MCF or RTP, or never confirmed but worth keeping), or drop it
        /// because it will be sent again.
        kept: bool,
        /// Whether the far end was told that we have it.
        confirmed: bool,
        /// The far end said that a document ends with it (EOM, EOS, EOP). EOM comes, too, where the next page of
        /// the same document has another format.
        ends_document: bool,
    },
    /// Something worth telling: for the ladder, the progress bar and the page ledger.
    Event(Event),
    /// The session is over; there will be no more outputs. Release the call.
    End(Box<Outcome>),
}

/// Things worth telling.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// A phase begins.
    Phase(Phase),
    /// A frame was sent.
    FrameSent {
        /// Its name as printed in T.30: `DIS`, `PPS-EOP` …
        name: &'static str,
        /// The frame's octets.
        octets: Bytes,
    },
    /// A good frame was received.
    FrameReceived {
        /// Its name; `?` for one that T.30 does not know.
        name: &'static str,
        /// The frame's octets.
        octets: Bytes,
    },
    /// A control frame with a wrong FCS was received.
    FrameBad,
    /// The control frame that is told next was put together from what a loss of audio left of it.
    FrameRepaired {
        /// How many bits of it had been lost.
        bits: u32,
    },
    /// A training check was sent or judged.
    Training {
        /// Modulation and rate.
        modulation: Modulation,
        /// As a receiver, our judgement; as a sender, the far end's.
        passed: bool,
    },
    /// What will be used from here on.
    Negotiated {
        /// Coding, resolution, width, ECM.
        format: PageFormat,
        /// Modulation and rate.
        modulation: Modulation,
    },
    /// The far end's subscriber number.
    RemoteIdent(String),
    /// As a receiver: the sub-address (SUB) that the caller wants.
    SubAddress(String),
    /// A page begins to be sent.
    PageSending {
        /// Index into [`Config::send`].
        index: usize,
        /// Octets of coded data.
        octets: usize,
    },
    /// The page has been sent and its post-message command begins to be: from now on the far end may have the
    /// page without our knowing. It comes a second before the command can be understood, so that it can be written
    /// down in time.
    PageSent {
        /// Index into [`Config::send`].
        index: usize,
    },
    /// The far end has the page: write it into the ledger.
    PageConfirmed {
        /// Index into [`Config::send`].
        index: usize,
        /// It was confirmed with RTP: readable, not good.
        poor: bool,
    },
    /// The far end refused the page (RTN) or frames of it (PPR).
    Resend {
        /// Index into [`Config::send`].
        index: usize,
        /// Frames asked for again; 0 for a whole page.
        frames: u32,
    },
    /// A timer of T.30 ran out: `T1`, `T2`, `T4` …
    TimerExpired(&'static str),
}

/// The phases of T.30 §3.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Phase {
    /// Call establishment.
    A,
    /// Pre-message procedure.
    B,
    /// Message transmission.
    C,
    /// Post-message procedure.
    D,
    /// Call release.
    E,
}

/// How the session ended.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Outcome {
    /// Nothing when all went well: all pages sent and confirmed, or at least one document received to
    /// its end.
    pub failure: Option<Failure>,
    /// Pages of [`Config::send`] that the far end confirmed.
    pub pages_confirmed: usize,
    /// A page whose sending was finished but whose confirmation never came: it may have been
    /// printed.
    pub page_uncertain: Option<usize>,
    /// Pages received and kept.
    pub pages_received: usize,
    /// The page ledger: what is known of each page that was begun to be sent.
    pub sent: Vec<PageRecord>,
    /// The same of each page that was received and kept.
    pub received: Vec<PageRecord>,
    /// The far end's subscriber number, as cleaned.
    pub remote_ident: Option<String>,
    /// The last agreed modulation.
    pub modulation: Option<Modulation>,
    /// The last agreed format.
    pub format: Option<PageFormat>,
    /// Frames (ECM) and pages that were sent or received more than once.
    pub resends: u32,
}

/// What is known of a page at the end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PageStatus {
    /// The far end has it and says so (MCF), or was told so.
    Confirmed,
    /// The same, but it is poor (RTP).
    Poor,
    /// It was sent to its end; whether it arrived is not known.
    Uncertain,
    /// It did not arrive, or not whole.
    Failed,
}

/// A row of the page ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageRecord {
    /// Number of the page, from 0.
    pub index: usize,
    /// What is known of it.
    pub status: PageStatus,
    /// Coding, resolution, width, ECM.
    pub format: PageFormat,
    /// Modulation and rate, in the end.
    pub modulation: Modulation,
    /// Octets of coded data.
    pub octets: usize,
    /// From its beginning to its confirmation, repeats included.
    pub duration: Duration,
    /// How often the whole page went over the line again.
    pub repeats: u32,
    /// Frames of error correction that went over the line again.
    pub frames_again: u32,
    /// Received: its rows and how many of them were bad.
    pub quality: Option<Verdict>,
}

/// Why a session failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The class.
    pub cause: Cause,
    /// The phase in which it happened.
    pub phase: Phase,
    /// The state of the flow charts in which it happened, by our name for it.
    pub state: &'static str,
    /// The timer of T.30 that ran out last, if any did since a good frame came.
    pub timer: Option<&'static str>,
    /// The last frame that we sent, by name.
    pub last_sent: Option<&'static str>,
    /// The last good frame that we received, by name.
    pub last_received: Option<&'static str>,
}

impl Failure {
    /// A failure of which nothing is known but this.
    #[must_use]
    pub const fn new(cause: Cause, phase: Phase) -> Self {
        Failure { cause, phase, state: "", timer: None, last_sent: None, last_received: None }
    }
}

/// All in one line, for a log: what happened, where, and the last frames.
impl core::fmt::Display for Failure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let meaning = self.cause.meaning();
        write!(f, "{} ({}, phase {:?}", meaning.sentence, meaning.class, self.phase)?;
        for (what, text) in [
            ("state", Some(self.state).filter(|s| !s.is_empty())),
            ("timer", self.timer),
            ("sent", self.last_sent),
            ("received", self.last_received),
        ] {
            if let Some(text) = text {
                write!(f, ", {what} {text}")?;
            }
        }
        f.write_str(")")
    }
}
