//! `ferrofax demo` as anyone would run it first: two servers, a PDF from one to the other, pel for pel.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use serde_json::Value;
use std::process::Command;

#[test]
fn the_demo_ends_with_identical_pages() {
    let ran = Command::new(env!("CARGO_BIN_EXE_ferrofax"))
        .args(["demo", "--json"])
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{}\n{out}\n{err}", ran.status);
    let told: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!(told["identical"], true, "{told}");
    assert!(told["pages"].as_u64().unwrap() >= 3, "{told}");
    assert_eq!(told["t38"], true, "{told}");
    assert_eq!(told["ecm"], true, "{told}");
    let files = |key: &str| -> Vec<String> {
        let list = told[key].as_array().unwrap();
        list.iter().map(|f| f.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((files("files").len(), files("mails").len()), (2, 2), "{told}");
    for file in files("files").iter().chain(&files("mails")) {
        assert!(std::fs::metadata(file).unwrap().len() > 0, "{file}");
    }
    let folder = std::path::Path::new(&files("files")[0]).parent().unwrap().to_owned();
    assert!(folder.file_name().unwrap().to_string_lossy().starts_with("ferrofax-demo-"));
    std::fs::remove_dir_all(folder).unwrap();
}
