//! Files aim at 400 lines and stop at 600 without tests.

use crate::{source, workspace};
use anyhow::{Result, bail};
use std::fs;
use std::path::Path;

const AIM: usize = 400;
const STOP: usize = 600;

/// Prints files over the aim, fails for files over the stop.
pub fn check(manifest: &Path) -> Result<()> {
    let mut over = Vec::new();
    for package in workspace::packages(manifest)? {
        for path in source::files(&package.dir.join("src"))? {
            if source::is_test(&path) {
                continue;
            }
            let text = fs::read_to_string(&path)?;
            if text.lines().take(5).any(|l| l.contains("@generated")) {
                continue;
            }
            let lines = source::product_lines(&text).count();
            if lines > STOP {
                over.push(format!("{}: {lines} lines, at most {STOP}", path.display()));
            } else if lines > AIM {
                println!("note: {}: {lines} lines, aim at {AIM}", path.display());
            }
        }
    }
    if !over.is_empty() {
        bail!("files too long:\n{}", over.join("\n"));
    }
    println!("sizes: in order");
    Ok(())
}
