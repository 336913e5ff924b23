//! The ladder of a fax that is converted on its way, as a terminal's looks.

use fax_base::Instant;
use fax_base::line::{Tone, Training};
use fax_gateway::{Event, Side};
use fax_t30::Role;
use fax_terminal::ladder;

/// The lines for an event of the gateway.
pub(super) fn lines(at: Instant, event: &Event) -> Vec<String> {
    match event {
        Event::Tone { side, tone } => {
            let (role, words) = match tone {
                Tone::Cng => (Role::Calling, "a fax calls (1100 Hz)"),
                Tone::Ced => (Role::Called, "a fax answers (2100 Hz)"),
            };
            let words = format!("{words}, {}", from(*side));
            ladder::lines(Some(at), Some(role), ladder::tone_name(*tone), &words)
        }
        Event::Frame { side: _, sender, name, octets, edited } => {
            let mut words = fax_t30::explain(octets);
            if *edited {
                words.push_str(" (passed on without what cannot pass here)");
            }
            ladder::lines(Some(at), Some(*sender), name, &words)
        }
        Event::FrameBad(side) => {
            ladder::lines(Some(at), None, "?", &format!("a frame that cannot be read, {}", from(*side)))
        }
        Event::Began { side, modulation, training } => {
            let training = match training {
                Training::Long => "long",
                Training::Short => "short",
            };
            ladder::note(at, &format!("{modulation} begins, {training} training, {}", from(*side)))
        }
        Event::Passed { side, modulation, octets, frames, bad_frames, lost } => {
            let mut words = format!("{modulation} passed, {}:", from(*side));
            if *frames > 0 || *bad_frames > 0 {
                words.push_str(&format!(" {frames} frames, {bad_frames} damaged"));
            } else {
                words.push_str(&format!(" {octets} octets"));
            }
            if *lost > 0 {
                words.push_str(&format!(", {lost} octets of them lost and filled in"));
            }
            ladder::note(at, &words)
        }
        Event::TrainingCheck { modulation, good } => {
            let how = if *good { "good" } else { "bad" };
            ladder::note(at, &format!("the training check in {modulation} is {how} as it came here"))
        }
        Event::Signal(signal) => ladder::note(at, &ladder::signal_words(signal)),
    }
}

const fn from(side: Side) -> &'static str {
    match side {
        Side::Audio => "from the audio side",
        Side::T38 => "from the T.38 side",
    }
}
