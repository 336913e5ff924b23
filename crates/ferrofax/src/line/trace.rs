//! The trace: T.30's ladder with times, one line an event.

use super::report::told;
use crate::wire::ladder;
use anyhow::{Context, Result};
use fax_base::Instant;
use fax_base::line::Tone;
use fax_t30::{Event, Outcome, Phase};
use fax_terminal::{ReceivedPage, Signal};
use std::fs::File;
use std::io::{LineWriter, Write};
use std::path::Path;

/// A trace in a file. A line that cannot be written is not worth the call.
#[derive(Debug)]
pub(super) struct Trace {
    file: LineWriter<File>,
}

impl Trace {
    pub(super) fn create(path: &Path) -> Result<Trace> {
        let file = File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(Trace { file: LineWriter::new(file) })
    }

    fn line(&mut self, now: Instant, text: &str) {
        let _ = writeln!(self.file, "{:>9}  {text}", now.to_string());
    }

    pub(super) fn event(&mut self, now: Instant, event: &Event) {
        if let Event::Phase(phase) = event {
            self.line(now, &format!("── phase {phase:?}: {}", name(*phase)));
        } else if let Some(line) = ladder::line(event) {
            self.line(now, &line);
        }
    }

    pub(super) fn tone(&mut self, now: Instant, tone: Tone) {
        let name = match tone {
            Tone::Cng => "CNG",
            Tone::Ced => "CED",
        };
        self.line(now, &format!("{:>12} ◀─ {name}", ""));
    }

    pub(super) fn signal(&mut self, now: Instant, signal: &Signal) {
        self.line(now, &format!("{:>12} {}", "", ladder::signal_words(signal)));
    }

    pub(super) fn page(&mut self, now: Instant, page: &ReceivedPage) {
        let confirmed = if page.confirmed { "confirmed" } else { "kept, not confirmed" };
        let bad = if page.bad_rows == 0 { String::new() } else { format!(", {} of them bad", page.bad_rows) };
        self.line(
            now,
            &format!("{:>12} page {} received: {} rows{bad}; {confirmed}", "", page.index + 1, page.rows),
        );
    }

    pub(super) fn end(&mut self, now: Instant, outcome: &Outcome) {
        self.line(now, &format!("── {}", told(outcome)));
    }
}

fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::A => "call establishment",
        Phase::B => "identification and training",
        Phase::C => "message",
        Phase::D => "post-message",
        Phase::E => "release",
    }
}
