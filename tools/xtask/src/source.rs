//! Rust source files of a package, and the part of them that is not tests.

use anyhow::Result;
use std::fs;
use std::path::{Path, PathBuf};

/// All `.rs` files below `dir`, sorted.
pub fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        if !dir.is_dir() {
            continue;
        }
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a file holds nothing but tests: `tests.rs`, `…_tests.rs`, `suite.rs` (cases that several
/// backends pass), or anything in a folder `tests` or `examples`.
pub fn is_test(path: &Path) -> bool {
    let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    stem == "tests"
        || stem == "suite"
        || stem.ends_with("_tests")
        || path.components().any(|c| c.as_os_str() == "tests" || c.as_os_str() == "examples")
}

/// The lines before the file's test module, numbered from 1. Our files end with their tests.
pub fn product_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(i, l)| (i + 1, l)).take_while(|(_, l)| l.trim() != "#[cfg(test)]")
}

/// A line up to its comment or its first string.
pub fn code(line: &str) -> &str {
    let line = line.split("//").next().unwrap_or(line);
    line.split('"').next().unwrap_or(line)
}
