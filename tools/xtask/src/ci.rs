//! All checks in the order of their cost.

use crate::{fuzz, house, licences, sizes};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// Runs everything; stops at the first failure.
pub fn run(manifest: &Path) -> Result<()> {
    house::check(manifest)?;
    sizes::check(manifest)?;
    licences::check(manifest)?;
    cargo(&["fmt", "--all", "--check"], &[])?;
    cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], &[])?;
    cargo(&["doc", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")])?;
    cargo(&["test", "--workspace", "--doc", "--quiet"], &[])?;
    // Two seconds each: enough to see that the targets live and what is new in the code does not fall over at once.
    let seconds = std::env::var("FERROFAX_FUZZ_SECONDS").ok().and_then(|n| n.parse().ok()).unwrap_or(2);
    fuzz::run(manifest, &fuzz::Fuzz { target: None, seconds })?;
    // Last, so that the summary of the tests is what stands at the end.
    tests()
}

/// nextest where it is installed, `cargo test` elsewhere.
fn tests() -> Result<()> {
    let nextest =
        Command::new("cargo").args(["nextest", "--version"]).output().is_ok_and(|o| o.status.success());
    if nextest {
        let mut args = vec!["nextest", "run", "--workspace", "--no-fail-fast"];
        if std::env::var_os("FERROFAX_WITHOUT_NETNS").is_some() {
            println!("— without the calls between network namespaces, which need root");
            args.extend(["-E", "not binary(netns)"]);
        }
        cargo(&args, &[])
    } else {
        cargo(&["test", "--workspace", "--all-targets", "--no-fail-fast"], &[])
    }
}

fn cargo(args: &[&str], env: &[(&str, &str)]) -> Result<()> {
    println!("— cargo {}", args.join(" "));
    let status = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
        .args(args)
        .envs(env.iter().copied())
        .status()
        .context("cargo does not start")?;
    if !status.success() {
        bail!("cargo {} failed", args.first().copied().unwrap_or_default());
    }
    Ok(())
}
