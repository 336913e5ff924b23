//! `ferrofax demo` as anyone would run it first: two servers, a PDF from one to the other by T.38 and
//! by G.711, pel for pel.

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
    let faxes = told["faxes"].as_array().unwrap();
    assert_eq!(faxes.len(), 2, "{told}");
    let files = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|f| f.as_str().unwrap().to_owned()).collect()
    };
    let mut written = files(&told["mails"]);
    assert_eq!(written.len(), 4, "{told}");
    for (fax, t38) in faxes.iter().zip([true, false]) {
        assert_eq!((&fax["identical"], &fax["t38"]), (&Value::from(true), &Value::from(t38)), "{told}");
        assert_eq!((&fax["ecm"], fax["modem"].as_str()), (&Value::from(true), Some("V.17")), "{told}");
        assert!(fax["pages"].as_u64().unwrap() >= 3, "{told}");
        assert_eq!(files(&fax["files"]).len(), 2, "{told}");
        written.extend(files(&fax["files"]));
    }
    for file in &written {
        assert!(std::fs::metadata(file).unwrap().len() > 0, "{file}");
    }
    let folder = std::path::Path::new(written.last().unwrap()).parent().unwrap().to_owned();
    assert!(folder.file_name().unwrap().to_string_lossy().starts_with("ferrofax-demo-"));
    std::fs::remove_dir_all(folder).unwrap();
}
