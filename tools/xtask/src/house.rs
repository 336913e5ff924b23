//! The floors of the house: a crate imports only from lower floors; floors 0 to 2 do no I/O; no
//! banned names.

use crate::source;
use crate::workspace::{self, Floor, Package};
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Crates from outside that floors 0 to 2 may use: none of them reads a clock, a socket, a file or
/// the system's randomness.
const SANS_IO: [&str; 17] = [
    "aes",
    "base64",
    "bytes",
    "hex",
    "hmac",
    "md-5",
    "miniz_oxide",
    "rand",
    "rand_chacha",
    "rustfft",
    "sdp-types",
    "sha1",
    "sha2",
    "spleen-font",
    "subtle",
    "thiserror",
    "wide",
];

/// Features that would bring the system's randomness or clock in by the back door.
const IO_FEATURES: [&str; 4] = ["os_rng", "sys_rng", "thread_rng", "getrandom"];

/// What product code on floors 0 to 2 may not name.
const IO_PATHS: [&str; 14] = [
    "std::fs",
    "std::thread",
    "std::process",
    "std::env",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::net::UdpSocket",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::io::stdin",
    "std::io::stdout",
    "SystemTime::now",
    "tokio::",
    "println!",
];

/// Words that say nothing, in names of files and functions.
const BANNED: [&str; 6] = ["manager", "helper", "helpers", "util", "utils", "misc"];

/// Checks the whole workspace and lists every breach.
pub fn check(manifest: &Path) -> Result<()> {
    let packages = workspace::packages(manifest)?;
    let floors: BTreeMap<&str, Floor> = packages.iter().map(|p| (p.name.as_str(), p.floor)).collect();
    let mut breaches = Vec::new();
    for package in &packages {
        direction(package, &floors, &mut breaches);
        if matches!(package.floor, Floor::Product(0..=2)) {
            no_io(package, &floors, &mut breaches)?;
        }
        names(package, &mut breaches)?;
    }
    if !breaches.is_empty() {
        bail!("the house is breached:\n  {}", breaches.join("\n  "));
    }
    println!("house: {} packages in order", packages.len());
    Ok(())
}

fn direction(package: &Package, floors: &BTreeMap<&str, Floor>, breaches: &mut Vec<String>) {
    for dependency in package.dependencies.keys() {
        let Some(&below) = floors.get(dependency.as_str()) else {
            continue;
        };
        let (from, to) = (&package.name, dependency);
        match (package.floor, below) {
            (Floor::Garden, _) => {}
            (Floor::Product(_), Floor::Garden) => {
                breaches.push(format!("{from} imports {to}, which is in the garden (tests only)"));
            }
            (Floor::Product(upper), Floor::Product(lower)) if lower >= upper => breaches
                .push(format!("{from} (floor {upper}) imports {to} (floor {lower}): only lower floors")),
            (Floor::Product(_), Floor::Product(_)) => {}
        }
    }
}

fn no_io(package: &Package, floors: &BTreeMap<&str, Floor>, breaches: &mut Vec<String>) -> Result<()> {
    for (dependency, features) in &package.dependencies {
        if floors.contains_key(dependency.as_str()) {
            continue;
        }
        if !SANS_IO.contains(&dependency.as_str()) {
            breaches.push(format!("{} does no I/O, so it may not use {dependency}", package.name));
        }
        for feature in features.iter().filter(|f| IO_FEATURES.contains(&f.as_str())) {
            breaches.push(format!("{}: {dependency} with feature {feature}", package.name));
        }
    }
    for path in source::files(&package.dir.join("src"))? {
        if source::is_test(&path) {
            continue;
        }
        let text = fs::read_to_string(&path)?;
        for (number, line) in source::product_lines(&text) {
            for banned in IO_PATHS.iter().filter(|p| source::code(line).contains(**p)) {
                breaches.push(format!("{}:{number}: {banned} below floor 3", path.display()));
            }
        }
    }
    Ok(())
}

fn names(package: &Package, breaches: &mut Vec<String>) -> Result<()> {
    for path in source::files(&package.dir.join("src"))? {
        let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        if BANNED.contains(&stem.as_str()) || stem == "common" {
            breaches.push(format!("{}: the name says nothing", path.display()));
        }
        let text = fs::read_to_string(&path)?;
        for (number, line) in source::product_lines(&text) {
            let code = source::code(line);
            if code.contains("fn process_") || code.contains("fn do_") {
                breaches.push(format!("{}:{number}: name what it does", path.display()));
            }
        }
    }
    Ok(())
}
