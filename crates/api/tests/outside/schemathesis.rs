//! Schemathesis against a running server: requests made from the description, good and bad, many of them; no answer is a
//! 5xx, has a status or type that is not described, or does not look as described.

use crate::rig::{A, F, KEY, start};
use fax_api::Config;
use serde_json::json;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// What is installed. Newer ones find more and name their options anew.
const VERSION: &str = "4.32.5";

/// A Python environment of this test's own, made once for each target folder.
async fn schemathesis() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("schemathesis-{VERSION}"));
    let program = folder.join("bin/schemathesis");
    let whole = folder.join("whole");
    if !whole.exists() {
        let made = Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder).status().await;
        assert!(
            made.is_ok_and(|s| s.success()),
            "python3 with venv is needed: run tools/test, or apt install python3-venv"
        );
        let pip = Command::new(folder.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check"])
            .arg(format!("schemathesis=={VERSION}"))
            .status()
            .await;
        assert!(pip.unwrap().success(), "schemathesis cannot be installed from PyPI");
        std::fs::write(&whole, "").unwrap();
    }
    program
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemathesis_finds_nothing() {
    let program = schemathesis().await;
    let config = Config { requests: (1e9, 1e9), failures: (1e9, 1e9), ..Config::default() };
    let rig = start(config, false).await;
    let (ask, mut reloads) = tokio::sync::mpsc::channel::<fax_switch::ReloadRequest>(4);
    rig.service.on_reload(ask);
    tokio::spawn(async move {
        while let Some(asked) = reloads.recv().await {
            let _ = asked.send(Ok(Vec::new()));
        }
    });
    let folder = tempfile::tempdir().unwrap();
    // Our own account and faxbox are the only examples of theirs, or no request gets past the door.
    let mut api = rig.send("GET", "/openapi.json", &[], "").await.json;
    let items = api["paths"].as_object_mut().unwrap().values_mut();
    for placeholder in items.flat_map(|item| item["parameters"].as_array_mut().unwrap()) {
        match placeholder["name"].as_str() {
            Some("account") => placeholder["schema"] = json!({ "type": "string", "enum": [A] }),
            Some("faxbox") => placeholder["schema"] = json!({ "type": "string", "enum": [F] }),
            _ => {}
        }
    }
    let description = folder.path().join("openapi.json");
    std::fs::write(&description, api.to_string()).unwrap();
    let full = std::env::var("FERROFAX_FULL").is_ok();
    // What is tried at the edges of each field takes a minute; what is drawn by lot comes with the full run.
    let (phases, seconds) = if full { ("examples,coverage,fuzzing", 3_000) } else { ("coverage", 400) };
    let mut command = Command::new(program);
    command
        .current_dir(folder.path())
        .env("NO_COLOR", "1")
        .arg("run")
        .arg(&description)
        .args(["--url", &rig.url("/")])
        .args(["--header", &format!("X-Auth-Token: {KEY}")])
        .args([
            "--checks",
            "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
        ])
        .args(["--phases", phases])
        // It has no end.
        .args(["--exclude-path-regex", "faxes/events$"])
        .args(["--max-examples", "20", "--seed", "1", "--workers", "2", "--no-shrink"])
        .args(["--request-timeout", "20", "--continue-on-failure"])
        .kill_on_drop(true)
        .stdin(Stdio::null());
    let output = tokio::time::timeout(Duration::from_secs(seconds), command.output()).await;
    let output = output.expect("schemathesis took too long").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    // Warnings are told and are no faults: most ids that are made up lead nowhere, as they should.
    println!("{said}");
    let tested = said.lines().find_map(|l| l.trim().strip_prefix("Tested: ")?.parse::<usize>().ok());
    assert!(tested.is_some_and(|n| n > 150), "{said}");
}
