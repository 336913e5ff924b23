//! Receiving pages: what is common to training, messages and post-message commands (T.30 §5.2, flow
//! chart "RECEIVE").

pub(crate) mod commands;
pub(crate) mod ending;
pub(crate) mod message;
pub(crate) mod page;
pub(crate) mod training;

use crate::call::{Call, image_training};
use crate::ecm::Block;
use crate::frames::{Fcf, Fcf2, Frame};
use crate::negotiate::Agreed;
use bytes::Bytes;
use fax_base::Instant;
use fax_base::line::{Framing, Listen, Training};
use page::Page;

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
    /// How many of our polls are done.
    pub(crate) polls: usize,
    page: Page,
    /// ECM: the block in hand.
    block: Block,
    /// ECM: the block confirmed last, to know it when it comes again.
    confirmed: Option<Confirmed>,
    /// ECM: page and block counter that must come next; none: whatever comes.
    expected: Option<(u8, u8)>,
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

/// What tells one post-message command from another, X aside: the field and, for PPS, its second
/// field and counters.
fn key(frame: &Frame) -> Vec<u8> {
    let mut key = vec![frame.fcf.octet(false)];
    match frame.fcf {
        Fcf::Pps => {
            key.push(frame.fcf2().map_or(0, |f| f.octet(false)));
            key.extend(frame.fif.iter().skip(1).take(2));
        }
        Fcf::Eor => key.push(frame.fcf2().map_or(0, |f| f.octet(false))),
        Fcf::Ctc => key.extend(frame.fif.iter().take(2)),
        _ => {}
    }
    key
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
