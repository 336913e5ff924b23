//! The converter's child process as a program of its own, for tests and for those who use the crate alone.

use std::process::ExitCode;

fn main() -> ExitCode {
    fax_document::worker_main()
}
