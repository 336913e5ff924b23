//! Blocks of audio on stdin and stdout, in lock-step.

use crate::cli::Frames;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::{ErrorKind, Read, StdinLock, Write};
use std::os::fd::AsFd;

/// Samples of 20 ms.
pub(super) const BLOCK: usize = 160;
const OCTETS: usize = 2 * BLOCK;

/// What stdin had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Block {
    /// A block of audio came.
    Audio,
    /// It was lost on the way.
    Lost,
    /// The far end hung up. A piece of a block before that counts for nothing.
    End,
}

/// Stdin and stdout.
pub(super) struct Pipe {
    input: StdinLock<'static>,
    /// Without std's buffer, which breaks a block in two wherever it finds the octet of a newline.
    output: File,
    flagged: bool,
}

impl Pipe {
    pub(super) fn open(frames: Frames) -> Result<Pipe> {
        let output = std::io::stdout().as_fd().try_clone_to_owned().context("stdout cannot be used")?;
        Ok(Pipe {
            input: std::io::stdin().lock(),
            output: File::from(output),
            flagged: matches!(frames, Frames::Flagged),
        })
    }

    /// Waits for the next block and puts its audio into `samples`.
    pub(super) fn read(&mut self, samples: &mut [i16; BLOCK]) -> Result<Block> {
        let mut flag = [0];
        if self.flagged && !self.fill(&mut flag)? {
            return Ok(Block::End);
        }
        let mut octets = [0; OCTETS];
        if !self.fill(&mut octets)? {
            return Ok(Block::End);
        }
        match flag {
            [0] => {
                for (sample, pair) in samples.iter_mut().zip(octets.chunks_exact(2)) {
                    if let [low, high] = pair {
                        *sample = i16::from_le_bytes([*low, *high]);
                    }
                }
                Ok(Block::Audio)
            }
            [1] => Ok(Block::Lost),
            [other] => anyhow::bail!(
                "stdin: a block begins with {other}, where 0 (arrived) or 1 (lost) must stand; is this --frames flagged?"
            ),
        }
    }

    /// False at the end of stdin.
    fn fill(&mut self, octets: &mut [u8]) -> Result<bool> {
        match self.input.read_exact(octets) {
            Ok(()) => Ok(true),
            // A closed pipe, a reset socket: nobody is there any more.
            Err(e) if matches!(e.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => Ok(false),
            Err(e) => Err(e).context("stdin cannot be read"),
        }
    }

    /// False when nobody listens any more.
    pub(super) fn write(&mut self, samples: &[i16; BLOCK]) -> Result<bool> {
        let mut octets = [0; OCTETS];
        for (pair, sample) in octets.chunks_exact_mut(2).zip(samples) {
            pair.copy_from_slice(&sample.to_le_bytes());
        }
        match self.output.write_all(&octets) {
            Ok(()) => Ok(true),
            Err(e) if matches!(e.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => Ok(false),
            Err(e) => Err(e).context("stdout cannot be written"),
        }
    }
}
