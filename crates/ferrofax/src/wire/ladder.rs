//! The T.30 ladder in short: one line a frame, ours to the right, theirs to the left.

use fax_t30::Event;

/// The line for an event, if it has one.
pub(crate) fn line(event: &Event) -> Option<String> {
    Some(match event {
        Event::FrameSent { name, .. } => format!("{name:>12} ─▶"),
        Event::FrameReceived { name, .. } => format!("{:>12} ◀─ {name}", ""),
        Event::FrameBad => format!("{:>12} ◀─ (damaged)", ""),
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
