//! The configuration file, read twice: as written ([`written`]), then as valid ([`valid`]).
//!
//! The first reading knows TOML, types and where everything stands; the second knows what makes
//! sense. Both go on after a fault, so that one run names every one with its line and remedy.

mod callbacks;
mod compressions;
mod folders;
mod keep;
#[cfg(test)]
mod keep_tests;
mod learning;
mod metrics;
mod protection;
mod queue;
mod restart;
mod routes;
mod sections;
mod srtp;
mod terminals;
#[cfg(test)]
mod tests;
mod transport;
mod trunks;
mod valid;
mod warnings;
mod written;

pub(crate) use compressions::Compressions;
pub(crate) use folders::Watched;
pub(crate) use keep::{DocumentPlace, Place};
pub(crate) use valid::{Config, LogFormat, Smarthost};

use std::fmt;
use std::path::{Path, PathBuf};

/// One thing that is wrong with the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    /// Line in the file, from 1.
    pub(crate) line: usize,
    /// What is wrong.
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) remedy: String,
}

/// Why there is no configuration.
#[derive(Debug)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    Unreadable(PathBuf, std::io::Error),
    /// It says something that cannot be.
    Faulty(PathBuf, Vec<Fault>),
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Unreadable(path, error) => write!(
                f,
                "{} cannot be read: {error}\n  name the file with --config, or see `ferrofax serve --help` for a first one",
                path.display()
            ),
            ConfigError::Faulty(path, faults) => {
                let plural = if faults.len() == 1 { "fault" } else { "faults" };
                write!(f, "{}: {} {plural}", path.display(), faults.len())?;
                for fault in faults {
                    write!(f, "\n  line {}: {}\n    {}", fault.line, fault.what, fault.remedy)?;
                }
                Ok(())
            }
        }
    }
}

/// Reads and checks a file.
pub(crate) fn load(path: &Path) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|e| ConfigError::Unreadable(path.to_owned(), e))?;
    let base = path.parent().unwrap_or(Path::new("."));
    parse(&text, base).map_err(|faults| ConfigError::Faulty(path.to_owned(), faults))
}

/// Checks the text of a file; relative paths in it are relative to `base`.
pub(crate) fn parse(text: &str, base: &Path) -> Result<Config, Vec<Fault>> {
    let (file, mut faults) = written::read(text);
    let config = valid::check(&file, base, &mut faults);
    faults.sort_by(|a, b| a.line.cmp(&b.line).then_with(|| a.what.cmp(&b.what)));
    faults.dedup();
    match config {
        Some(config) if faults.is_empty() => Ok(config),
        _ => Err(faults),
    }
}
