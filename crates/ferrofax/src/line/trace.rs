//! The trace: T.30's ladder with times, in a file.

use anyhow::{Context, Result};
use fax_base::Instant;
use fax_t30::Role;
use fax_terminal::Output;
use fax_terminal::ladder::Ladder;
use std::fs::File;
use std::io::{LineWriter, Write};
use std::path::Path;

/// A trace in a file. A line that cannot be written is not worth the call.
#[derive(Debug)]
pub(super) struct Trace {
    file: LineWriter<File>,
    ladder: Ladder,
}

impl Trace {
    pub(super) fn create(path: &Path, role: Role) -> Result<Trace> {
        let file = File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(Trace { file: LineWriter::new(file), ladder: Ladder::new(role) })
    }

    pub(super) fn output(&mut self, now: Instant, output: &Output) {
        for line in self.ladder.output(now, output) {
            let _ = writeln!(self.file, "{line}");
        }
    }
}
