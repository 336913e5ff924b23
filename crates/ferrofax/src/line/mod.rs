//! `ferrofax line`: a fax machine on a pipe, for test benches and engineers.

mod pipe;
mod report;
mod setup;
mod trace;
mod tray;

use crate::cli::LineArgs;
use anyhow::{Context, Result};
use fax_base::Instant;
use fax_base::time::SAMPLE;
use fax_t30::Outcome;
use fax_terminal::{Input, Output, Terminal};
use pipe::{BLOCK, Block, Pipe};
use report::Report;
use std::process::ExitCode;
use trace::Trace;
use tray::Tray;

/// Runs the command.
pub(crate) async fn run(args: LineArgs, as_json: bool) -> Result<ExitCode> {
    let config = setup::terminal(&args).await?;
    let tray = setup::receives(&args).map(Tray::open).transpose()?;
    let trace = args.trace.as_deref().map(|path| Trace::create(path, config.role)).transpose()?;
    // It must be possible to write the report before the call is made for nothing.
    if let Some(path) = &args.report {
        std::fs::write(path, "").with_context(|| format!("{} cannot be written", path.display()))?;
    }
    let mut machine = Machine { terminal: Terminal::new(config), tray, trace, fault: None, bad_rows: 0 };
    let (end, outcome) = machine.call(&mut Pipe::open(args.frames)?)?;
    let report = Report::new(&outcome, end, machine.bad_rows);
    if let Some(path) = &args.report {
        std::fs::write(path, format!("{}\n", report.json()))
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    if let Some(fault) = machine.fault {
        return Err(fault);
    }
    // Standard output belongs to the line.
    eprintln!("{}", if as_json { report.json().to_string() } else { report.sentence() });
    Ok(if outcome.failure.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The terminal and where its words go.
struct Machine {
    terminal: Terminal,
    tray: Option<Tray>,
    trace: Option<Trace>,
    /// What went wrong on our side; the call is given up then.
    fault: Option<anyhow::Error>,
    bad_rows: u32,
}

impl Machine {
    /// One call, from the first block to the last: when it ended and how.
    fn call(&mut self, pipe: &mut Pipe) -> Result<(Instant, Outcome)> {
        let mut now = Instant::ZERO;
        let (mut heard, mut said) = ([0; BLOCK], [0; BLOCK]);
        let mut ended = self.handle(now, Input::Start);
        while ended.is_none() {
            let block = pipe.read(&mut heard)?;
            if block != Block::End {
                now += SAMPLE * BLOCK as u32;
            }
            ended = match block {
                Block::Audio => self.handle(now, Input::Audio(&heard)),
                Block::Lost => self.handle(now, Input::AudioLost(BLOCK)),
                Block::End => {
                    let ended = self.handle(now, Input::HungUp);
                    return ended.map(|o| (now, o)).context("the terminal goes on without a line");
                }
            };
            ended = ended.or_else(|| self.pass_time(now));
            self.terminal.transmit_audio(now, &mut said);
            ended = ended.or_else(|| self.obey(now));
            if !pipe.write(&said)? && ended.is_none() {
                ended = self.handle(now, Input::HungUp);
            }
        }
        ended.map(|o| (now, o)).context("the call never ended")
    }

    fn handle(&mut self, now: Instant, input: Input<'_>) -> Option<Outcome> {
        self.terminal.handle(now, input);
        self.obey(now)
    }

    /// Tells the terminal of everything that is due.
    fn pass_time(&mut self, now: Instant) -> Option<Outcome> {
        while self.terminal.deadline().is_some_and(|at| at <= now) {
            if let Some(outcome) = self.handle(now, Input::Timeout) {
                return Some(outcome);
            }
        }
        None
    }

    /// Does what the terminal wants; the outcome when the fax is over.
    fn obey(&mut self, now: Instant) -> Option<Outcome> {
        while let Some(output) = self.terminal.poll() {
            if let Some(trace) = &mut self.trace {
                trace.output(now, &output);
            }
            match output {
                Output::Event(_) | Output::FaxToneHeard(_) | Output::Signal(_) | Output::KeepPage(_) => {}
                Output::Page(page) => {
                    self.bad_rows = self.bad_rows.saturating_add(page.bad_rows);
                    let kept = self.tray.as_mut().map_or(Ok(()), |tray| tray.page(&page));
                    if let Err(fault) = kept
                        && self.fault.is_none()
                    {
                        // What cannot be kept must not be confirmed.
                        self.fault = Some(fault);
                        self.terminal.handle(now, Input::Cancel);
                    }
                }
                // There is no T.38 on a pipe.
                Output::Datagram(_) => {}
                Output::End(outcome) => return Some(*outcome),
            }
        }
        None
    }
}
