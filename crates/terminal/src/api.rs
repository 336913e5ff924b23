//! What goes into a [`crate::Terminal`] and what comes out of it.

use bytes::Bytes;
use fax_base::level::Dbm0;
use fax_base::page::{PageFormat, PageShape};
use fax_dsp::g711::Law;
pub use fax_dsp::listening::Signal;
use fax_dsp::tone::USUAL_LEVEL;
use fax_t30 as t30;
use std::sync::Arc;

/// A page to be sent: Group 4 (T.6) octets without EOFB or with it, and their geometry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CodedPage {
    /// Width, resolution, rows.
    pub shape: PageShape,
    /// T.6.
    pub t6: Bytes,
    /// The same page in the tones that [`PageShape::tones`] names: JPEG in CIELAB (T.42), 200 × 200 per inch, as
    /// many pels wide as [`CodedPage::shape`] is at that resolution. It is sent where the far end takes it.
    pub jpeg: Option<Bytes>,
}

/// Pages that belong together. Documents follow one another in a call by EOM.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Document {
    /// Its pages, in order.
    pub pages: Vec<Arc<CodedPage>>,
    /// When it is offered for polling: the selective polling address (SEP or PSA) that a poller must name to
    /// get it; none: everybody gets it.
    pub address: Option<String>,
}

impl Document {
    /// These pages, for everybody.
    #[must_use]
    pub fn new(pages: Vec<Arc<CodedPage>>) -> Self {
        Document { pages, address: None }
    }
}

/// What one call is about.
#[derive(Clone, Debug)]
pub struct Config {
    /// Calling or called.
    pub role: t30::Role,
    /// Our subscriber number (CSI, TSI, CIG), at most 20 characters.
    pub ident: String,
    /// What we can do and may use.
    pub capabilities: t30::Capabilities,
    /// Calling: the documents to send. Called: the documents offered for polling. Pages are numbered from 0
    /// through all of them.
    pub documents: Vec<Document>,
    /// Called: ready to receive (DIS bit 10).
    pub receive: bool,
    /// Calling: what to poll when everything is sent; empty: nothing.
    pub poll: Vec<t30::Poll>,
    /// Calling: sub-address of the recipient.
    pub sub_address: Option<String>,
    /// Calling: the password to send (SID, PWD). Called: the password demanded.
    pub password: Option<String>,
    /// Called: the sub-addresses (SUB) that exist here; a fax for another one is refused. Empty: any is taken.
    pub sub_addresses: Vec<String>,
    /// Quality and patience.
    pub rules: t30::Rules,
    /// Pages that come are laid down by the driver before they are confirmed: each is given out with
    /// [`Output::KeepPage`] and waits for [`Input::PageKept`]. Without, a page is confirmed as soon as it is decoded.
    pub keeps_pages: bool,
}

impl Default for Config {
    /// A called terminal that receives what comes and has nothing to be polled.
    fn default() -> Self {
        Config {
            role: t30::Role::Called,
            ident: String::new(),
            capabilities: t30::Capabilities::default(),
            documents: Vec::new(),
            receive: true,
            poll: Vec::new(),
            sub_address: None,
            password: None,
            sub_addresses: Vec::new(),
            rules: t30::Rules::default(),
            keeps_pages: false,
        }
    }
}

/// How the modems and tones of a call over audio are sent.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AudioOptions {
    /// The level of everything that is sent.
    pub level: Dbm0,
    /// Some 200 ms of plain carrier before the training of V.27ter, V.29 and V.17, for echo suppressors
    /// on the way to open (T.30 §5.3.2 calls it talker echo protection).
    pub talker_echo_protection: bool,
}

impl Default for AudioOptions {
    /// −13 dBm0, without talker echo protection.
    fn default() -> Self {
        AudioOptions { level: USUAL_LEVEL, talker_echo_protection: false }
    }
}

/// What happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// The call is up, with audio. Time starts here.
    Start,
    /// T.38 was agreed: from now on the fax goes by UDPTL.
    SwitchToT38(fax_t38::Config),
    /// The call goes (back) to audio.
    SwitchToAudio,
    /// A UDPTL packet came.
    Datagram(&'a [u8]),
    /// 20 ms (or any number of samples) of linear 8 kHz audio came, in order.
    Audio(&'a [i16]),
    /// The same as it came over RTP: octets of G.711.
    G711(Law, &'a [u8]),
    /// This many samples of audio were lost here.
    AudioLost(usize),
    /// The page of the last [`Output::KeepPage`] is on disk, and may be confirmed; or it could not be laid down: then it is
    /// not, and the call ends with DCN.
    PageKept(bool),
    /// [`crate::Terminal::deadline`] has come.
    Timeout,
    /// The far end or the network cleared the call.
    HungUp,
    /// Give up.
    Cancel,
}

/// What the terminal wants done. Audio to be sent is fetched with `transmit_audio`.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Send this UDPTL packet.
    Datagram(Bytes),
    /// The far end was recognised as a fax by its signal in audio: time to offer T.38.
    FaxToneHeard(fax_base::line::Tone),
    /// A page was received and settled.
    Page(ReceivedPage),
    /// Something worth telling.
    Event(t30::Event),
    /// A signal of a fast modem came or went.
    Signal(Signal),
    /// The fax is over: release the call.
    End(Box<t30::Outcome>),
    /// With [`Config::keeps_pages`]: a page came and is not answered yet, nor known to end a document. Lay it down safely
    /// and answer with [`Input::PageKept`]; the far end is kept waiting, with error correction up to a minute (T5), without
    /// some seconds. [`Output::Page`] follows when it is settled; another one with the same index when it was refused
    /// and came again.
    KeepPage(ReceivedPage),
}

/// A page as received.
#[derive(Clone, PartialEq, Debug)]
pub struct ReceivedPage {
    /// From 0.
    pub index: usize,
    /// How it came over the line.
    pub format: PageFormat,
    /// The pels, bad rows concealed, coded as T.6 without EOFB; of a continuous-tone page its rendition in black
    /// and white.
    pub t6: Bytes,
    /// A continuous-tone page as it came: JPEG in CIELAB (T.42), without what fills up its last frame.
    pub jpeg: Option<Bytes>,
    /// Rows, bad ones included.
    pub rows: u32,
    /// Rows that were concealed.
    pub bad_rows: u32,
    /// The longest run of them.
    pub longest_bad_run: u32,
    /// Whether the far end was told that we have it.
    pub confirmed: bool,
    /// The far end said that a document ends with it (EOM, EOS, EOP). EOM comes, too, where the next page of
    /// the same document has another format.
    pub ends_document: bool,
}
