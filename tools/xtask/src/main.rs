//! The project's own checks: `cargo xtask house | sizes | licences | fuzz | ci`.

mod ci;
mod fuzz;
mod house;
mod licences;
mod sizes;
mod source;
mod workspace;

use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = "cargo xtask COMMAND [--manifest-path FILE]

  house      the floors: who may import whom, no I/O below floor 3, banned names
  sizes      files over 600 lines without their tests
  licences   licences of everything the product is built from, and no C but ring's
  fuzz       [--seconds N] [TARGET]: every decoder, or one, with inputs that grow by coverage;
             60 s each unless told otherwise, 0: the committed seeds only
  ci         format, clippy, docs, house, sizes, licences, tests, a minute of fuzzing
";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let Some(command) = args.next() else {
        print!("{HELP}");
        bail!("no command given");
    };
    let mut manifest = PathBuf::from("Cargo.toml");
    let (mut seconds, mut target) = (60, None);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--manifest-path" => {
                manifest = args.next().context("--manifest-path wants a file")?.into();
            }
            "--seconds" if command == "fuzz" => {
                seconds = args.next().and_then(|n| n.parse().ok()).context("--seconds wants a number")?;
            }
            name if command == "fuzz" && !name.starts_with('-') => target = Some(name.to_owned()),
            other => bail!("unknown argument {other}"),
        }
    }
    match command.as_str() {
        "house" => house::check(&manifest),
        "sizes" => sizes::check(&manifest),
        "licences" => licences::check(&manifest),
        "fuzz" => fuzz::run(&manifest, &fuzz::Fuzz { target: target.as_deref(), seconds }),
        "ci" => ci::run(&manifest),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => bail!("unknown command {other}; try `cargo xtask help`"),
    }
}
