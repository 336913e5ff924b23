//! Media: worker threads that own their calls' sockets and terminals outright.
//!
//! A worker reads datagrams, feeds the terminal, sends what it wants sent, and ticks every 20 ms while
//! a call is audio. Signalling talks to it in [`MediaCommand`]s and hears [`MediaEvent`]s; nothing is
//! shared and nothing is locked.

mod bridge;
mod latch;
mod leg;
mod punctuality;
mod rtp;
mod shield;
mod socket;
mod worker;

#[cfg(feature = "lab")]
pub(crate) use leg::{Leg, Wire};
pub use punctuality::Punctuality;
pub(crate) use punctuality::Times;
#[cfg(feature = "lab")]
pub(crate) use rtp::Sender;
pub(crate) use shield::Keys;
pub(crate) use socket::{MediaPorts, MediaSocket};
pub(crate) use worker::{Media, MediaHandle, MediaSink};

use crate::onward::Side;
use crate::traces::Recording;
use fax_base::line::Tone;
use fax_dsp::g711::Law;
use fax_t30 as t30;
use fax_terminal::{ReceivedPage, Signal, Terminal};
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// A stream of RTP that begins anywhere, its number in the lower half: who misses the first packets still knows how often
/// it has gone round (RFC 3711 §3.3.1).
fn any_stream(payload_type: u8) -> rtp::Sender {
    rtp::Sender::new(payload_type, rand::random(), rand::random::<u16>() >> 1, rand::random())
}

/// Names a call's media at its worker.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct MediaKey(pub(crate) u64);

/// G.711 as agreed: the law and its payload type (RFC 3551: 0 for µ-law, 8 for A-law, as a rule).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Codec {
    pub(crate) law: Law,
    pub(crate) payload_type: u8,
}

impl Codec {
    /// A-law, before anything is agreed.
    pub(crate) const PCMA: Codec = Codec { law: Law::A, payload_type: 8 };
}

/// What signalling wants of a call's media.
pub(crate) enum MediaCommand {
    /// The call is up with audio.
    Start(Box<Start>),
    /// The call goes (back) to audio, or its audio moves.
    Audio { remote: SocketAddr, codec: Codec },
    /// The audio of this side goes by SRTP from now on, with these keys, or by plain RTP. A leg of our own is side A.
    Keys { side: Side, keys: Option<Keys> },
    /// T.38 was agreed.
    T38 { remote: SocketAddr, config: fax_t38::Config },
    /// The page that was given out last is on disk, or could not be laid down.
    PageKept(bool),
    /// Give up: send DCN if that still makes sense.
    Cancel,
    /// The far end cleared the call: the terminal ends, and the media with it.
    HungUp,
    /// A call that is passed on has media.
    Bridge(Box<BridgeStart>),
    /// One side of such a call goes by this from now on.
    Side { side: Side, carrier: SideCarrier },
    /// The call is over.
    Stop,
}

impl std::fmt::Debug for MediaCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            MediaCommand::Start(_) => "Start",
            MediaCommand::Bridge(_) => "Bridge",
            MediaCommand::Side { .. } => "Side",
            MediaCommand::Keys { .. } => "Keys",
            MediaCommand::Audio { .. } => "Audio",
            MediaCommand::T38 { .. } => "T38",
            MediaCommand::PageKept(_) => "PageKept",
            MediaCommand::Cancel => "Cancel",
            MediaCommand::HungUp => "HungUp",
            MediaCommand::Stop => "Stop",
        })
    }
}

/// Everything the media of a call that is passed on begin with: the sockets of sides A and B.
pub(crate) struct BridgeStart {
    pub(crate) sides: [MediaSocket; 2],
    /// Where each side's signalling comes from.
    pub(crate) signalling: [Vec<IpAddr>; 2],
    pub(crate) sink: MediaSink,
}

/// What one side of a call that is passed on goes by.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum SideCarrier {
    /// Nothing is agreed, or it is on hold.
    Off,
    /// G.711, which is listened to and can be converted.
    Audio { remote: SocketAddr, codec: Codec },
    /// Whatever it is goes to the other side as it came.
    Relay { remote: SocketAddr },
    /// T.38 that is converted.
    T38 { remote: SocketAddr, config: fax_t38::Config },
}

/// What a side of a call that is passed on tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SideHeard {
    /// CNG, CED or the preamble of V.21 was heard in its audio.
    Fax,
    /// T.38 was agreed and nothing has come.
    T38Silent,
    /// After that, something has come.
    T38Heard,
    /// Nothing has come for a long time.
    Timeout,
}

/// Everything a call's media begins with.
pub(crate) struct Start<W = UdpSocket> {
    pub(crate) socket: W,
    pub(crate) terminal: Terminal,
    pub(crate) remote: SocketAddr,
    /// Where the far end's signalling comes from.
    pub(crate) signalling: Vec<IpAddr>,
    pub(crate) codec: Codec,
    /// Audio goes by SRTP.
    pub(crate) keys: Option<Keys>,
    pub(crate) sink: MediaSink,
    /// Where the terminal's tape goes, if it has one.
    pub(crate) recording: Option<Recording>,
}

/// What a call's media tells signalling.
#[derive(Debug)]
pub(crate) enum MediaEvent {
    /// The far end was recognised as a fax by this tone.
    Tone(Tone),
    /// A page came, to be laid down before it is confirmed.
    KeepPage(ReceivedPage),
    /// A page was received.
    Page(ReceivedPage),
    /// For the ladder, the progress and the ledger.
    Event(t30::Event),
    /// For the ladder.
    Signal(Signal),
    /// T.38 was agreed and nothing has come.
    T38Silent,
    /// After that, something has come.
    T38Heard,
    /// The call's machines failed; there will be no more events.
    Failed,
    /// The fax is over.
    End(Box<t30::Outcome>),
    /// On one side of a call that is passed on.
    Side { side: Side, heard: SideHeard },
    /// A line of the ladder of a fax that is converted on its way.
    Ladder(String),
}
