//! The T.30 ladder in short: one line a frame, ours to the right, theirs to the left.

use bytes::Bytes;
use fax_dsp::modem::Quality;
use fax_t30::Event;
use fax_terminal::Signal;

/// What a frame says is cut here: a line is a line.
const WIDTH: usize = 96;

/// The line for a change of carrier, or one that did not come about.
pub(crate) fn carrier(event: &fax_net::CallEvent) -> Option<String> {
    use fax_net::CallEvent;
    let said = match event {
        CallEvent::T38 => "T.38 from here on".to_owned(),
        CallEvent::T38Refused { code, reason } => format!("T.38 refused ({code} {reason}): on by audio"),
        CallEvent::Audio => "audio from here on".to_owned(),
        CallEvent::Ringing
        | CallEvent::Answered
        | CallEvent::Fax(_)
        | CallEvent::Page(_)
        | CallEvent::Ended(_) => return None,
    };
    Some(format!("{:>12} {said}", ""))
}

/// The line for an event, if it has one.
pub(crate) fn line(event: &Event) -> Option<String> {
    Some(match event {
        Event::FrameSent { name, octets } => format!("{name:>12} ─▶{}", words(octets)),
        Event::FrameReceived { name, octets } => format!("{:>12} ◀─ {name}{}", "", words(octets)),
        Event::FrameBad => format!("{:>12} ◀─ (damaged)", ""),
        Event::FrameRepaired { bits } => format!("{:>12} {bits} lost bits repaired in:", ""),
        Event::Training { modulation, passed } => {
            format!("{:>12} {modulation} training {}", "", if *passed { "passed" } else { "failed" })
        }
        Event::Negotiated { format, modulation } => format!(
            "{:>12} {modulation}, {}, {}{}",
            "",
            format.coding,
            format.resolution,
            if format.ecm { ", ECM" } else { "" }
        ),
        Event::PageSending { index, octets } => format!("{:>12} page {} ({octets} octets) ─▶", "", index + 1),
        Event::Resend { index, frames: 0 } => format!("{:>12} page {} is wanted again", "", index + 1),
        Event::Resend { index, frames } => {
            format!("{:>12} {frames} frames of page {} are wanted again", "", index + 1)
        }
        Event::TimerExpired(name) => format!("{:>12} {name} expired", ""),
        Event::Phase(_)
        | Event::RemoteIdent(_)
        | Event::SubAddress(_)
        | Event::PageSent { .. }
        | Event::PageConfirmed { .. } => return None,
    })
}

/// What the frame says beyond its name.
fn words(octets: &Bytes) -> String {
    let said = fax_t30::describe(octets);
    match said.char_indices().nth(WIDTH) {
        _ if said.is_empty() => said,
        Some((cut, _)) => format!("  {}…", said.get(..cut).unwrap_or_default()),
        None => format!("  {said}"),
    }
}

/// A signal of a fast modem in words.
pub(crate) fn signal_words(signal: &Signal) -> String {
    let figures = |quality: &Quality| {
        format!(
            "{:.1} dBm0, {:.1} dB signal to noise, carrier {:+.1} Hz, clock {:+.0} ppm",
            quality.level.0, quality.snr_db, quality.offset_hz, quality.clock_ppm
        )
    };
    match signal {
        Signal::Trained { modulation, quality } => format!("{modulation} trained: {}", figures(quality)),
        Signal::NotTrained { modulation } => format!("{modulation}: the training could not be followed"),
        Signal::Over { modulation, quality } => format!("{modulation} over: {}", figures(quality)),
    }
}
