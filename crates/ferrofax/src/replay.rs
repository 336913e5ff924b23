//! `ferrofax replay`: a recorded call made once more, compared with what was recorded, and told as a ladder.

use crate::cli::ReplayArgs;
use crate::pages;
use anyhow::{Context, Result, ensure};
use fax_base::Instant;
use fax_document::{FaxDocument, PdfInfo, to_pdf};
use fax_t30::Outcome;
use fax_terminal::ladder::{Ladder, note};
use fax_terminal::recording::file::State;
use fax_terminal::recording::{Carrier, Replay, Report, Setup, Step};
use fax_terminal::{Output, ReceivedPage};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

/// The largest file that is read.
const LARGEST: u64 = 512 << 20;

/// What was found.
#[derive(Default)]
struct Found {
    lines: Vec<String>,
    pages: Vec<ReceivedPage>,
    outcome: Option<Outcome>,
    /// Samples of the far end that were lost.
    lost: usize,
    /// What is wrong with the file further on.
    damage: Option<String>,
}

/// Runs the command.
pub(crate) fn run(args: &ReplayArgs, as_json: bool) -> Result<ExitCode> {
    let octets = read(&args.file)?;
    let given = match &args.document {
        None => Vec::new(),
        Some(path) => {
            let tiff = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
            let document = FaxDocument::from_tiff(&tiff);
            pages::coded(&document.with_context(|| format!("{} has no fax pages", path.display()))?)
        }
    };
    let mut replay = Replay::open(&octets, &given).with_context(|| args.file.display().to_string())?;
    let until = args.until.map(|seconds| Instant::from_micros((seconds.max(0.0) * 1e6) as u64));
    let found = follow(&mut replay, until);
    let stopped = until.is_some_and(|until| replay.report().end > until);
    if as_json {
        println!("{}", as_object(&replay, &found, stopped));
    } else {
        println!("{}", introduction(replay.setup(), replay.state()));
        found.lines.iter().for_each(|line| println!("{line}"));
        println!("{}", verdict(replay.report(), &found, stopped));
    }
    if let Some(folder) = &args.pages {
        write_pages(folder, &found.pages)?;
    }
    if let Some(damage) = &found.damage {
        anyhow::bail!("{}: {damage}", args.file.display());
    }
    Ok(if replay.report().difference.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let unreadable = || format!("{} cannot be read", path.display());
    let mut octets = Vec::new();
    File::open(path)
        .with_context(unreadable)?
        .take(LARGEST + 1)
        .read_to_end(&mut octets)
        .with_context(unreadable)?;
    ensure!(octets.len() as u64 <= LARGEST, "{} is too large for the recording of a call", path.display());
    Ok(octets)
}

fn follow(replay: &mut Replay<'_>, until: Option<Instant>) -> Found {
    let mut found = Found::default();
    let mut ladder = Ladder::new(replay.setup().config.role);
    loop {
        let (at, step) = match replay.step() {
            Ok(Some(step)) => step,
            Ok(None) => break,
            Err(fault) => {
                found.damage = Some(fault.to_string());
                break;
            }
        };
        if until.is_some_and(|until| at > until) {
            break;
        }
        match step {
            Step::Carrier(Carrier::T38(config)) => found.lines.extend(note(
                at,
                &format!("T.38 from here on: version {}, {:?}", config.version, config.error_correction),
            )),
            Step::Carrier(Carrier::Audio) => found.lines.extend(note(at, "audio from here on")),
            Step::Lost(samples) => found.lost = found.lost.saturating_add(samples),
            Step::HungUp => found.lines.extend(note(at, "the far end or the network cleared the call")),
            Step::Cancelled => found.lines.extend(note(at, "our end was told to give up")),
            Step::Output(output) => {
                found.lines.extend(ladder.output(at, &output));
                match output {
                    Output::Page(page) => found.pages.push(page),
                    Output::End(outcome) => found.outcome = Some(*outcome),
                    Output::Datagram(_)
                    | Output::FaxToneHeard(_)
                    | Output::KeepPage(_)
                    | Output::Event(_)
                    | Output::Signal(_) => {}
                }
            }
        }
    }
    found
}

fn introduction(setup: &Setup, state: State) -> String {
    let labels: String = setup.labels.iter().map(|(name, value)| format!(", {name} {value}")).collect();
    let state = match state {
        State::Open => "cut off",
        State::Good => "went well",
        State::Failed => "failed",
    };
    let hidden = if setup.numbers { "" } else { "; our numbers are not in it" };
    format!("A {:?} terminal of ferrofax {}: {state}{labels}{hidden}", setup.config.role, setup.maker)
}

fn verdict(report: &Report, found: &Found, stopped: bool) -> String {
    let mut words = Vec::new();
    if found.lost > 0 {
        words.push(format!("{:.2} s of the far end's audio were lost.", found.lost as f64 / 8000.0));
    }
    words.push(match &report.difference {
        None => format!("Replayed: {} outputs, all as recorded.", report.compared),
        Some(d) => format!(
            "NOT as recorded: at {} s output {} was {}, and is now {}.",
            d.at, d.number, d.recorded, d.replayed
        ),
    });
    words.extend(report.cut.filter(|_| !stopped).map(|why| format!("It ends early: {why}.")));
    words.join(" ")
}

fn as_object(replay: &Replay<'_>, found: &Found, stopped: bool) -> Value {
    let (setup, report) = (replay.setup(), replay.report());
    json!({
        "role": format!("{:?}", setup.config.role).to_lowercase(),
        "maker": setup.maker,
        "state": format!("{:?}", replay.state()).to_lowercase(),
        "labels": setup.labels.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
        "numbers": setup.numbers,
        "duration_s": report.end.as_millis() as f64 / 1000.0,
        "inputs": report.inputs,
        "outputs": report.compared,
        "same": report.difference.is_none(),
        "difference": report.difference.as_ref().map(|d| json!({
            "t": d.at.as_millis() as f64 / 1000.0, "output": d.number, "recorded": d.recorded, "replayed": d.replayed,
        })),
        "cut": report.cut.filter(|_| !stopped),
        "damage": found.damage,
        "lost_s": found.lost as f64 / 8000.0,
        "ok": found.outcome.as_ref().map(|o| o.failure.is_none()),
        "cause": found.outcome.as_ref().and_then(|o| o.failure.as_ref()).map(|f| format!("{:?}", f.cause)),
        "pages_confirmed": found.outcome.as_ref().map(|o| o.pages_confirmed),
        "pages_received": found.pages.len(),
        "ladder": found.lines,
    })
}

/// The received pages as a TIFF and a PDF.
fn write_pages(folder: &Path, received: &[ReceivedPage]) -> Result<()> {
    if received.is_empty() {
        eprintln!("no pages: the call received none");
        return Ok(());
    }
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let document = pages::received(received);
    let (tiff, pdf) = pages::free_names(folder);
    std::fs::write(&tiff, document.to_tiff())
        .with_context(|| format!("{} cannot be written", tiff.display()))?;
    std::fs::write(&pdf, to_pdf(&document, &PdfInfo::default()))
        .with_context(|| format!("{} cannot be written", pdf.display()))?;
    Ok(())
}
