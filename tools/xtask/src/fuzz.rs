//! `cargo xtask fuzz`: builds tools/fuzz with coverage counters and runs its targets (libFuzzer).
//!
//! The counters are put in by LLVM's own pass, which stable Rust can ask for, so no nightly and no cargo-fuzz is
//! needed; libFuzzer itself comes as source with the crate libfuzzer-sys. Everything is built into `target/fuzz`, away
//! from the normal build.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Counters for edges, a table of their places, and what comparisons compare.
const RUSTFLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// What is to be run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fuzz<'a> {
    /// One target, or all.
    pub target: Option<&'a str>,
    /// So long for each; zero: the seeds are replayed and nothing more.
    pub seconds: u64,
}

/// Builds and runs; stops at the first target that finds something.
pub fn run(manifest: &Path, fuzz: &Fuzz<'_>) -> Result<()> {
    let root = manifest.canonicalize().context("no manifest")?;
    let root = root.parent().context("a manifest without a folder")?;
    let home = root.join("tools/fuzz");
    let names = targets(&home)?;
    if let Some(wanted) = fuzz.target.filter(|wanted| !names.iter().any(|n| n == wanted)) {
        bail!("no target {wanted}; there are {}", names.join(", "));
    }
    let begun = Instant::now();
    let program = build(&home, &root.join("target/fuzz"))?;
    println!("fuzz: built in {} s", begun.elapsed().as_secs());
    let chosen = names.iter().filter(|n| fuzz.target.is_none_or(|wanted| *n == wanted));
    for name in chosen {
        one(root, &home, &program, name, fuzz.seconds)?;
    }
    Ok(())
}

/// The names in the table of tools/fuzz/src/main.rs.
fn targets(home: &Path) -> Result<Vec<String>> {
    let source = fs::read_to_string(home.join("src/main.rs")).context("tools/fuzz/src/main.rs")?;
    let names: Vec<String> = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("(\"")?.split_once('"'))
        .map(|(name, _)| name.to_owned())
        .collect();
    if names.is_empty() {
        bail!("no targets in tools/fuzz/src/main.rs");
    }
    Ok(names)
}

/// Builds the program and gives its place.
fn build(home: &Path, into: &Path) -> Result<PathBuf> {
    let rustc = Command::new("rustc").arg("-vV").output().context("rustc does not start")?;
    let told = String::from_utf8_lossy(&rustc.stdout).into_owned();
    let host = told.lines().find_map(|l| l.strip_prefix("host: ")).context("rustc does not name its host")?;
    println!("— cargo build of tools/fuzz");
    let status = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
        .args(["build", "--quiet", "--release", "--locked", "--target", host, "--target-dir"])
        .arg(into)
        .current_dir(home)
        .env("RUSTFLAGS", RUSTFLAGS)
        .status()
        .context("cargo does not start")?;
    if !status.success() {
        bail!("tools/fuzz does not build");
    }
    Ok(into.join(host).join("release/fuzz"))
}

/// Runs one target on its seeds and, when there is time, on what grows out of them. What it finds stays in
/// `target/fuzz/found`, what it learns in `target/fuzz/corpus`.
fn one(root: &Path, home: &Path, program: &Path, name: &str, seconds: u64) -> Result<()> {
    let seeds = home.join("seeds").join(name);
    let corpus = root.join("target/fuzz/corpus").join(name);
    let found = root.join("target/fuzz/found");
    for folder in [&seeds, &corpus, &found] {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let mut command = Command::new(program);
    command.env("FUZZ_TARGET", name).stdin(Stdio::null());
    command.args(["-print_final_stats=1", "-timeout=20", "-rss_limit_mb=2048", "-max_len=16384"]);
    command.arg(format!("-artifact_prefix={}/{name}-", found.display()));
    let words = match name {
        "sip_message" | "sip_stream" | "sip_agent" => Some("sip.txt"),
        "sdp" => Some("sdp.txt"),
        "smtp" => Some("smtp.txt"),
        "mime" => Some("mime.txt"),
        _ => None,
    };
    command.args(words.map(|w| format!("-dict={}", home.join("dict").join(w).display())));
    if seconds == 0 {
        command.arg("-runs=0").arg(&seeds);
    } else {
        command.arg(format!("-max_total_time={seconds}")).arg(&corpus).arg(&seeds);
    }
    let output = command.output().with_context(|| program.display().to_string())?;
    let log = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        // From the panic on, or what libFuzzer has to say of time and memory.
        let why = log.find("thread '").or_else(|| log.find("ERROR: libFuzzer")).unwrap_or(0);
        let lines: Vec<&str> = log.get(why..).unwrap_or(&log).lines().take(30).collect();
        bail!("fuzz {name}:\n{}\nthe input is kept in {}", lines.join("\n"), found.display());
    }
    println!("fuzz {name}: {}", summary(&log));
    Ok(())
}

/// Inputs tried, edges reached, inputs worth keeping.
fn summary(log: &str) -> String {
    let figure = |key: &str| {
        let line = log.lines().rev().find(|l| l.contains(key))?;
        line.split_once(key)?.1.split_whitespace().next().map(str::to_owned)
    };
    let tried = figure("stat::number_of_executed_units:");
    let (edges, kept) = (figure(" cov: "), figure(" corp: "));
    let or = |found: Option<String>| found.unwrap_or_else(|| "?".into());
    format!("{} inputs, {} edges, {} kept", or(tried), or(edges), or(kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_its_own_seeds() {
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
        let names = targets(&home).unwrap();
        assert!(names.len() >= 20, "{names:?}");
        let mut size = 0;
        for name in &names {
            let seeds: Vec<_> = fs::read_dir(home.join("seeds").join(name)).unwrap().collect();
            assert!(!seeds.is_empty(), "{name}");
            size += seeds.iter().map(|s| s.as_ref().unwrap().metadata().unwrap().len()).sum::<u64>();
        }
        assert!(size < 300_000, "{size} octets of seeds");
    }

    #[test]
    fn figures_are_found_in_the_log() {
        let log =
            "#12\tDONE   cov: 417 ft: 1200 corp: 83/4Kb lim: 16384\nstat::number_of_executed_units: 12345\n";
        assert_eq!(summary(log), "12345 inputs, 417 edges, 83/4Kb kept");
    }
}
