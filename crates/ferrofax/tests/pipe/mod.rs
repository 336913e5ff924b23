//! `ferrofax line` as another program drives it: blocks in, blocks out, on the driver's clock.

#![allow(dead_code, clippy::unwrap_used, clippy::panic)] // every test file uses a part of this, and tests may unwrap

use serde_json::Value;
use std::ffi::OsStr;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

/// The program under test.
pub const FERROFAX: &str = env!("CARGO_BIN_EXE_ferrofax");
/// Samples of 20 ms.
pub const BLOCK: usize = 160;
/// 20 ms of audio.
pub type Block = [i16; BLOCK];
/// Blocks of ten minutes.
pub const TEN_MINUTES: usize = 50 * 600;

/// What comes to a machine in 20 ms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(clippy::large_enum_variant)]
pub enum Come {
    Arrived(Block),
    Lost,
}

/// A running `ferrofax line`.
pub struct Machine {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    flagged: bool,
}

/// How it ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stderr: String,
}

pub fn command<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(FERROFAX);
    command.arg("line").args(args).env_remove("RUST_LOG");
    command
}

/// Runs to the end without any input.
pub fn output<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    command(args).stdin(Stdio::null()).output().unwrap()
}

impl Machine {
    pub fn start<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Machine {
        Self::spawn(command(args))
    }

    pub fn spawn(mut command: Command) -> Machine {
        let flagged = command.get_args().any(|a| a == "flagged");
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        Machine { child, stdin, stdout, flagged }
    }

    /// 20 ms: a block in, a block out; `None` when the machine has cleared the call.
    pub fn step(&mut self, come: &Come) -> Option<Block> {
        let (flag, block) = match come {
            Come::Arrived(block) => (0, *block),
            // Whatever stands in a lost block is nothing.
            Come::Lost => (1, [12_345; BLOCK]),
        };
        let mut octets = if self.flagged { vec![flag] } else { Vec::new() };
        octets.extend(block.iter().flat_map(|s| s.to_le_bytes()));
        match self.stdin.as_mut().unwrap().write_all(&octets) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::BrokenPipe => return None,
            Err(e) => panic!("{e}"),
        }
        let mut octets = [0; 2 * BLOCK];
        match self.stdout.read_exact(&mut octets) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => return None,
            Err(e) => panic!("{e}"),
        }
        let mut block = [0; BLOCK];
        block.iter_mut().zip(octets.chunks(2)).for_each(|(s, o)| *s = i16::from_le_bytes([o[0], o[1]]));
        Some(block)
    }

    /// The far end hangs up, if this machine has not; how it ends, and what it still said.
    pub fn hang_up(mut self) -> Ended {
        self.stdin = None;
        let mut rest = Vec::new();
        self.stdout.read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty(), "{} octets of audio without any having come", rest.len());
        let out = self.child.wait_with_output().unwrap();
        Ended { code: out.status.code(), stderr: String::from_utf8_lossy(&out.stderr).into_owned() }
    }
}

/// The line between two machines: what is lost on it, in both directions.
pub trait Line {
    fn carry(&mut self, from_calling: bool, block: Block) -> Come;
}

/// A line on which everything arrives.
pub struct Clean;

impl Line for Clean {
    fn carry(&mut self, _: bool, block: Block) -> Come {
        Come::Arrived(block)
    }
}

/// A call between two machines until one clears it; the other then finds the end of its input. Gives both
/// ends and the blocks that it took.
pub fn call(mut calling: Machine, mut called: Machine, line: &mut dyn Line) -> (Ended, Ended, usize) {
    let (mut from_calling, mut from_called) = ([0; BLOCK], [0; BLOCK]);
    for blocks in 0..TEN_MINUTES {
        let (to_called, to_calling) = (line.carry(true, from_calling), line.carry(false, from_called));
        let (a, b) = (calling.step(&to_calling), called.step(&to_called));
        match (a, b) {
            (Some(a), Some(b)) => (from_calling, from_called) = (a, b),
            (None, _) | (_, None) => return (calling.hang_up(), called.hang_up(), blocks),
        }
    }
    panic!("a call without end");
}

/// A folder for a test with its files.
pub struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    pub fn new() -> Desk {
        Desk { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// As an argument.
    pub fn arg(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub fn report(&self, name: &str) -> Value {
        report(&self.path(name))
    }

    pub fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }
}

/// A report, with exactly the keys of the contract.
pub fn report(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text:?}"));
    let mut keys: Vec<&str> = report.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    let contract = [
        "bad_rows",
        "bit_rate",
        "compression",
        "duration_s",
        "ecm",
        "error",
        "modem",
        "pages_received",
        "pages_sent",
        "remote_id",
        "status",
    ];
    assert_eq!(keys, contract);
    report
}
