//! `ferrofax analyze`: a recording of a call in, its ladder, signals and pages out, and one sentence on how it went.

mod audio;
mod capture;
mod findings;
mod flows;
mod picture;
mod print;
mod resample;
mod timeline;
mod verdict;

use crate::cli::AnalyzeArgs;
use crate::pages;
use anyhow::{Context, Result};
use audio::Audio;
use fax_base::Instant;
use fax_base::time::SAMPLE;
use fax_document::{PdfInfo, to_pdf};
use fax_t30::observer::Side;
use fax_terminal::tap::Tap;
use findings::Findings;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use timeline::Timeline;

/// Samples that are looked at together: 20 ms.
const BLOCK: usize = 160;

/// Something that passed on a wire.
#[derive(Clone, PartialEq, Debug)]
struct Moment {
    at: Instant,
    side: Side,
    passed: Passed,
}

#[derive(Clone, PartialEq, Debug)]
enum Passed {
    Audio(Vec<i16>),
    /// So many samples are missing.
    Lost(usize),
    /// A UDPTL packet.
    Datagram(Vec<u8>),
}

/// Runs the command.
pub(crate) fn run(args: &AnalyzeArgs, as_json: bool) -> Result<ExitCode> {
    let (found, notes) = find(args)?;
    let (ok, sentence) = verdict::verdict(&found);
    if as_json {
        println!("{}", print::json(&found, ok, &sentence, &notes));
    } else {
        print!("{}", print::ladder(&found));
        notes.iter().for_each(|note| println!("{note}"));
        println!("{sentence}");
    }
    if let Some(path) = &args.constellation {
        match &found.constellation {
            Some((modulation, points)) => picture::write(path, *modulation, points)?,
            None => eprintln!("no constellation: no signal of a fast modem was received"),
        }
    }
    if let Some(folder) = &args.pages {
        write_pages(folder, &found, args.pdf)?;
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Reads the recording to its end.
fn find(args: &AnalyzeArgs) -> Result<(Findings, Vec<String>)> {
    if let Some(raw) = args.raw {
        return Ok((from_audio(Audio::raw(&args.file, raw, args)?), Vec::new()));
    }
    let mut head = Vec::new();
    let file = File::open(&args.file).with_context(|| format!("{} cannot be read", args.file.display()))?;
    file.take(4).read_to_end(&mut head).with_context(|| format!("{} cannot be read", args.file.display()))?;
    match head.as_slice() {
        b"RIFF" => Ok((from_audio(Audio::wav(&args.file)?), Vec::new())),
        [0x0A, 0x0D, 0x0D, 0x0A]
        | [0xD4 | 0x4D, 0xC3 | 0x3C, 0xB2, 0xA1]
        | [0xA1, 0xB2, 0xC3 | 0x3C, 0xD4 | 0x4D] => from_capture(Timeline::open(&args.file)?),
        _ => anyhow::bail!(
            "{} is neither WAV nor pcap nor pcapng; say with --raw pcm, alaw or ulaw what bare samples are",
            args.file.display()
        ),
    }
}

fn from_audio(mut audio: Audio) -> Findings {
    let mut tap = Tap::new(audio.channels() == 1);
    let mut found = Findings::default();
    let mut now = Instant::ZERO;
    while let Some(blocks) = audio.next(BLOCK) {
        let samples = blocks.first().map_or(0, Vec::len);
        now += SAMPLE * u32::try_from(samples).unwrap_or(0);
        for ((side, block), passed) in Side::ALL.into_iter().zip(&blocks).zip(&mut found.samples) {
            *passed += block.len() as u64;
            tap.audio(now, side, block);
        }
        take(&mut found, &mut tap);
    }
    tap.finish(now);
    take(&mut found, &mut tap);
    found.end = now;
    found
}

fn from_capture(mut timeline: Timeline) -> Result<(Findings, Vec<String>)> {
    let mut tap = Tap::new(false);
    let mut found = Findings::default();
    let mut notes = vec![format!("Media between {}.", timeline.flows.describe())];
    notes.extend(timeline.notes());
    while let Some(Moment { at, side, passed }) = timeline.next() {
        found.end = found.end.max(at);
        let counts = match side {
            Side::First => (found.samples.first_mut(), found.lost.first_mut()),
            Side::Second => (found.samples.last_mut(), found.lost.last_mut()),
        };
        match passed {
            Passed::Audio(samples) => {
                counts.0.into_iter().for_each(|n| *n += samples.len() as u64);
                tap.audio(at, side, &samples);
            }
            Passed::Lost(samples) => {
                counts.1.into_iter().for_each(|n| *n += samples as u64);
                tap.audio_lost(at, side, samples);
            }
            Passed::Datagram(octets) => tap.datagram(at, side, &octets),
        }
        take(&mut found, &mut tap);
    }
    tap.finish(found.end);
    take(&mut found, &mut tap);
    Ok((found, notes))
}

fn take(found: &mut Findings, tap: &mut Tap) {
    while let Some((at, overheard)) = tap.poll() {
        found.take(at, overheard);
    }
}

/// The pages as a TIFF, and as a PDF if that is wanted.
fn write_pages(folder: &Path, found: &Findings, pdf: bool) -> Result<()> {
    if found.pages.is_empty() {
        eprintln!("no pages: nothing was found that could be written");
        return Ok(());
    }
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let received: Vec<_> = found.pages.iter().map(|p| p.page.clone()).collect();
    let document = pages::received(&received);
    let (tiff, pdf_path) = pages::free_names(folder);
    std::fs::write(&tiff, document.to_tiff())
        .with_context(|| format!("{} cannot be written", tiff.display()))?;
    if pdf {
        std::fs::write(&pdf_path, to_pdf(&document, &PdfInfo::default()))
            .with_context(|| format!("{} cannot be written", pdf_path.display()))?;
    }
    Ok(())
}
