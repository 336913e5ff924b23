//! The child's side of the sandbox: limits on itself first, then one document from stdin to stdout.

use std::process::ExitCode;

/// What `ferrofax convert-worker` does: reads one request from stdin, converts it under limits, writes
/// the answer to stdout.
#[must_use]
pub fn worker_main() -> ExitCode {
    ExitCode::FAILURE
}
