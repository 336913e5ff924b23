//! The ladder of a running call: a driver's events as lines, with the time since the call was answered.

use fax_base::Instant;
use fax_net::CallEvent;
use fax_t30::Role;
use fax_terminal::ladder::{Ladder, note};
use std::time;

/// A ladder with a clock.
#[derive(Debug)]
pub(crate) struct LiveLadder {
    ladder: Ladder,
    answered: time::Instant,
}

impl LiveLadder {
    /// The ladder of a call that begins now; its pages are numbered in a document of which `first_page` were sent
    /// before.
    pub(crate) fn new(role: Role, first_page: usize) -> Self {
        LiveLadder { ladder: Ladder::numbered_from(role, first_page), answered: time::Instant::now() }
    }

    /// The lines for an event, and at the end what came of it all.
    pub(crate) fn lines(&mut self, event: &CallEvent) -> Vec<String> {
        let micros = u64::try_from(self.answered.elapsed().as_micros()).unwrap_or(u64::MAX);
        let at = Instant::from_micros(micros);
        match event {
            CallEvent::Answered => {
                self.answered = time::Instant::now();
                Vec::new()
            }
            CallEvent::T38 => note(at, "T.38 from here on"),
            CallEvent::T38Refused { code, reason } => {
                note(at, &format!("T.38 refused ({code} {reason}): on by audio"))
            }
            CallEvent::Audio => note(at, "audio from here on"),
            CallEvent::Fax(event) => self.ladder.event(at, event),
            CallEvent::Signal(signal) => note(at, &fax_terminal::ladder::signal_words(signal)),
            CallEvent::Page(page) => self.ladder.page(at, page),
            CallEvent::Ended(report) => {
                report.outcome.as_ref().map(|outcome| self.ladder.end(at, outcome)).unwrap_or_default()
            }
            CallEvent::Ringing | CallEvent::KeepPage(_) => Vec::new(),
        }
    }
}
