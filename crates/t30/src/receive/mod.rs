//! Receiving pages: what is common to training, messages and post-message commands (T.30 §5.2, flow
//! chart "RECEIVE").

pub(crate) mod commands;
pub(crate) mod ending;
pub(crate) mod message;
pub(crate) mod page;
pub(crate) mod training;

use crate::call::{Call, image_training};
use crate::cause::Cause;
use crate::ecm::Block;
use crate::frames::{Fcf, Fcf2, Frame};
use crate::negotiate::Agreed;
use crate::timers;
use bytes::Bytes;
use core::time::Duration;
use fax_base::Instant;
use fax_base::line::{Framing, Listen, Training};
use page::{Page, RefusedPage};

/// What a receiver remembers over its pages.
#[derive(Debug, Default)]
pub(crate) struct Reception {
    /// What the last DCS fixed.
    pub(crate) agreed: Option<Agreed>,
    /// A DCS was understood in this call.
    pub(crate) any_dcs: bool,
    /// A document was received to its end (EOM or EOP confirmed).
    pub(crate) document_done: bool,
    /// How often training was refused in a row.
    failures: u32,
    /// How often a DCS or DTC promised a frame that was not there.
    pub(crate) broken_promises: u32,
    /// How often the far end was told with FNV that we refuse what it names.
    pub(crate) refusals: u32,
    /// Why, until it names something else.
    pub(crate) refused: Option<Cause>,
    /// How many of our polls are done.
    pub(crate) polls: usize,
    page: Page,
    /// ECM: the block in hand.
    block: Block,
    /// ECM: the block confirmed last, to know it when it comes again.
    confirmed: Option<Confirmed>,
    /// ECM: page and block counter that must come next; none: whatever comes.
    expected: Option<(u8, u8)>,
    /// ECM: the page refused last, until one is accepted.
    refused_page: Option<RefusedPage>,
    /// ECM: the sender gave up a block of the page in hand (EOR), so that frames of it are missing for good.
    holes: bool,
    /// ECM: a page was given up, has holes, or was refused and never came again: the fax is not whole, whatever comes after it.
    lost_page: bool,
    /// The command answered last.
    last_command: Option<Vec<u8>>,
    /// Our answer to it.
    last_response: Option<Bytes>,
    /// When that had left.
    responded: Option<Instant>,
    /// An image carrier was heard since.
    image_since: bool,
    /// When the image carrier was heard last, as long as no command has come since.
    image_over: Option<Instant>,
    /// Post-message commands in a row without any image before them.
    without_image: u32,
    /// The next image comes with long training, after CTC.
    long_training: bool,
}

/// A block that was confirmed.
#[derive(Debug)]
struct Confirmed {
    page: u8,
    block: u8,
    content: Block,
}

impl Reception {
    /// Why the fax that was received is not whole though everything was answered, if it is not: to EOR follows ERR, to
    /// a page that cannot be read PIN, and to the blocks and pages behind it MCF, which says nothing of what is missing (T.30 Annex A.4.3).
    pub(crate) fn given_up(&self) -> Option<Cause> {
        self.lost_page.then_some(Cause::EcmGaveUp)
    }
}

/// What tells one post-message command from another, X aside: the field and, for PPS, its second
/// field and counters.
fn key(frame: &Frame) -> Vec<u8> {
    let second = || frame.fcf2().map_or(0, |f| f.without_interrupt().octet(false));
    match frame.fcf {
        Fcf::Pps => [frame.fcf.octet(false), second()]
            .into_iter()
            .chain(frame.fif.iter().skip(1).take(2).copied())
            .collect(),
        Fcf::Eor => vec![frame.fcf.octet(false), second()],
        Fcf::Ctc => [frame.fcf.octet(false)].into_iter().chain(frame.fif.iter().take(2).copied()).collect(),
        // When nobody came after PRI-MPS, MPS follows for the same page.
        fcf => {
            vec![Fcf2::from_fcf(fcf).and_then(|f| f.without_interrupt().fcf()).unwrap_or(fcf).octet(false)]
        }
    }
}

/// Arms the receiver for the next image.
fn listen_image(call: &mut Call) {
    let Some(agreed) = call.reception.agreed else {
        call.listen(Listen::Control);
        return;
    };
    let training =
        if call.reception.long_training { Training::Long } else { image_training(agreed.modulation) };
    let framing = if agreed.format.ecm { Framing::Hdlc } else { Framing::Raw };
    call.listen(Listen::Image { modulation: agreed.modulation, training, framing });
}

/// Answers a command and remembers both, so that the command repeated gets the same answer.
fn respond(call: &mut Call, command: Vec<u8>, fcf: Fcf, fif: &[u8]) {
    let frame = call.frame(fcf, fif);
    call.reception.last_command = Some(command);
    call.reception.last_response = Some(frame.clone());
    call.reception.responded = None;
    call.reception.image_since = false;
    call.reception.image_over = None;
    call.reception.long_training = fcf == Fcf::Ctr;
    listen_image(call);
    call.send_burst(vec![frame]);
}

/// The same command came once more. PIP and PIN become MCF and RTN when it no longer asks for the operator; with error
/// correction, which has no RTN, PIN stays.
fn respond_to_repeat(call: &mut Call, command: &Frame) -> bool {
    let second = Fcf2::from_fcf(command.fcf).or_else(|| command.fcf2());
    let is_plain = second.is_some_and(|second| !second.is_interrupt());
    let plain = match answered(call) {
        Some(Fcf::Pip) if is_plain => Fcf::Mcf,
        Some(Fcf::Pin) if is_plain && command.fcf != Fcf::Pps => Fcf::Rtn,
        _ => return respond_again(call),
    };
    respond(call, key(command), plain, &[]);
    true
}

/// What the last answer said.
fn answered(call: &Call) -> Option<Fcf> {
    let frame = call.reception.last_response.as_ref().and_then(Frame::parse)?;
    Some(frame.fcf)
}

/// How long a command is searched for after our answer: longer when the sender may be waiting for an operator.
pub(crate) fn patience(call: &Call, usual: Duration) -> Duration {
    match answered(call) {
        Some(Fcf::Pip | Fcf::Pin) => timers::T3_FAR,
        _ => usual,
    }
}

/// Gives the last answer once more. False when there is none.
fn respond_again(call: &mut Call) -> bool {
    let Some(frame) = call.reception.last_response.clone() else {
        return false;
    };
    call.reception.responded = None;
    listen_image(call);
    call.send_burst(vec![frame]);
    true
}

/// Whether the page goes on, another follows, or neither.
fn ends_document(second: Fcf2) -> bool {
    match second.plain() {
        Fcf2::Eom | Fcf2::Eop => true,
        Fcf2::Null | Fcf2::Mps | Fcf2::Eos | Fcf2::PriMps | Fcf2::PriEom | Fcf2::PriEop => false,
    }
}
