//! Recorded audio: WAV with one or two channels at any rate, raw PCM and raw G.711, brought to 8000 Hz.

use super::resample::Resampler;
use crate::cli::{AnalyzeArgs, Raw};
use anyhow::{Context, Result, bail, ensure};
use fax_base::time::SAMPLE_RATE;
use fax_dsp::Law;
use hound::{SampleFormat, WavReader};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// Channels of a recording: one with both directions in it, or one each.
const MAX_CHANNELS: usize = 2;
/// Rates that audio of a telephone line can have, Hz.
const RATES: std::ops::RangeInclusive<u32> = 6_000..=768_000;

/// A recording that is read from its beginning to its end.
pub(super) struct Audio {
    samples: Box<dyn Iterator<Item = f32>>,
    resamplers: Vec<Resampler>,
    /// Samples of each channel at 8000 Hz that were not fetched yet.
    ready: Vec<Vec<i16>>,
}

impl Audio {
    /// How many channels it has.
    pub(super) fn channels(&self) -> usize {
        self.resamplers.len()
    }

    /// A WAV file.
    pub(super) fn wav(path: &Path) -> Result<Audio> {
        let reader = WavReader::open(path).map_err(|error| match error {
            hound::Error::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                anyhow::anyhow!("{} is cut short in its header", path.display())
            }
            hound::Error::IoError(e) => anyhow::Error::new(e).context(format!("{} cannot be read", path.display())),
            hound::Error::Unsupported => anyhow::anyhow!(
                "{} is a WAV file in a coding that is not read here: take PCM, or the bare samples with --raw",
                path.display()
            ),
            other => anyhow::anyhow!("{} is a damaged WAV file: {other}", path.display()),
        })?;
        let spec = reader.spec();
        let samples: Box<dyn Iterator<Item = f32>> = match spec.sample_format {
            SampleFormat::Float => {
                Box::new(reader.into_samples::<f32>().map_while(Result::ok).map(|s| s * 32_768.0))
            }
            SampleFormat::Int => {
                let scale = 2f32.powi(16 - i32::from(spec.bits_per_sample));
                Box::new(reader.into_samples::<i32>().map_while(Result::ok).map(move |s| s as f32 * scale))
            }
        };
        Self::of(samples, spec.sample_rate, usize::from(spec.channels))
    }

    /// Bare samples, as the options say.
    pub(super) fn raw(path: &Path, raw: Raw, args: &AnalyzeArgs) -> Result<Audio> {
        let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let mut octets = BufReader::new(file).bytes().map_while(Result::ok);
        let samples: Box<dyn Iterator<Item = f32>> = match raw {
            Raw::Pcm => Box::new(std::iter::from_fn(move || {
                let pair = [octets.next()?, octets.next()?];
                Some(f32::from(i16::from_le_bytes(pair)))
            })),
            Raw::Alaw => Box::new(octets.map(|o| f32::from(Law::A.decode(o)))),
            Raw::Ulaw => Box::new(octets.map(|o| f32::from(Law::Mu.decode(o)))),
        };
        Self::of(samples, args.rate.unwrap_or(SAMPLE_RATE), args.channels.unwrap_or(1))
    }

    fn of(samples: Box<dyn Iterator<Item = f32>>, rate: u32, channels: usize) -> Result<Audio> {
        ensure!(RATES.contains(&rate), "a recording at {rate} Hz is not audio of a telephone line");
        if channels == 0 || channels > MAX_CHANNELS {
            bail!(
                "the recording has {channels} channels: one with both directions, or two with one each, can be read"
            );
        }
        let resamplers = vec![Resampler::new(rate); channels];
        Ok(Audio { samples, resamplers, ready: vec![Vec::new(); channels] })
    }

    /// The next `count` samples of every channel; the last time fewer, and then `None`.
    pub(super) fn next(&mut self, count: usize) -> Option<Vec<Vec<i16>>> {
        while self.ready.iter().any(|r| r.len() < count) {
            let mut frame = self.samples.by_ref().take(self.resamplers.len());
            let mut ended = false;
            for (resampler, ready) in self.resamplers.iter_mut().zip(&mut self.ready) {
                match frame.next() {
                    Some(sample) => resampler.push(sample, ready),
                    None => ended = true,
                }
            }
            if ended {
                break;
            }
        }
        let count = self.ready.iter().map(Vec::len).min()?.min(count);
        (count > 0).then(|| self.ready.iter_mut().map(|r| r.drain(..count).collect()).collect())
    }
}
