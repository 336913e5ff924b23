//! `cargo xtask house` fails when a floor is breached.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// A workspace of two crates: `lower` on floor 1, `upper` on floor 3.
fn workspace(dir: &Path, lower_deps: &str, lower_source: &str, upper_deps: &str) {
    let write = |path: &str, text: &str| {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("Cargo.toml", "[workspace]\nmembers = [\"lower\", \"upper\"]\nresolver = \"3\"\n");
    let manifest = |name: &str, floor: u32, deps: &str| {
        format!(
            "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
             [package.metadata.house]\nfloor = {floor}\n[dependencies]\n{deps}\n"
        )
    };
    write("lower/Cargo.toml", &manifest("lower", 1, lower_deps));
    write("lower/src/lib.rs", lower_source);
    write("upper/Cargo.toml", &manifest("upper", 3, upper_deps));
    write("upper/src/lib.rs", "//! Upper.\n");
}

fn house(dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["house", "--manifest-path"])
        .arg(dir.join("Cargo.toml"))
        .output()
        .unwrap()
}

fn refusal(lower_deps: &str, lower_source: &str, upper_deps: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    workspace(dir.path(), lower_deps, lower_source, upper_deps);
    let output = house(dir.path());
    assert!(!output.status.success(), "the breach was not seen");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_house_in_order_passes() {
    let dir = tempfile::tempdir().unwrap();
    workspace(dir.path(), "", "//! Lower.\n", "lower = { path = \"../lower\" }");
    assert!(house(dir.path()).status.success());
}

#[test]
fn importing_upwards_is_a_breach() {
    let said = refusal("upper = { path = \"../upper\" }", "//! Lower.\n", "");
    assert!(said.contains("lower (floor 1) imports upper (floor 3)"), "{said}");
}

#[test]
fn a_crate_that_does_io_is_a_breach_below_floor_3() {
    let said = refusal("tokio = \"1\"", "//! Lower.\n", "");
    assert!(said.contains("may not use tokio"), "{said}");
}

#[test]
fn reading_a_file_or_a_clock_is_a_breach_below_floor_3() {
    let said = refusal("", "//! Lower.\nuse std::fs;\n", "");
    assert!(said.contains("std::fs below floor 3"), "{said}");
    let said = refusal("", "//! Lower.\npub fn now() { std::time::SystemTime::now(); }\n", "");
    assert!(said.contains("SystemTime"), "{said}");
}

#[test]
fn names_that_say_nothing_are_a_breach() {
    let said = refusal("", "//! Lower.\npub fn process_it() {}\n", "");
    assert!(said.contains("name what it does"), "{said}");
}
