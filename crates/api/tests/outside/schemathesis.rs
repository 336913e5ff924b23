//! Schemathesis against a running server: requests made from the description, good and bad, many of them; no answer is a
//! 5xx, has a status or type that is not described, or does not look as described.

use crate::rig::{A, KEY, start};
use fax_api::Config;
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
    // Our own account stands for {account} in some of the requests, so that they get past the door.
    let hooks = folder.path().join("hooks.py");
    std::fs::write(&hooks, HOOKS.replace("ACCOUNT", A).replace("FAXBOX", crate::rig::F)).unwrap();
    let full = std::env::var("FERROFAX_FULL").is_ok();
    let (examples, seconds) = if full { ("60", 900) } else { ("4", 80) };
    let mut command = Command::new(program);
    command
        .current_dir(folder.path())
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONPATH", folder.path())
        .env("NO_COLOR", "1")
        .args(["run", &rig.url("/openapi.json")])
        .args(["--header", &format!("X-Auth-Token: {KEY}")])
        .args([
            "--checks",
            "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
        ])
        .args(["--phases", "examples,coverage,fuzzing"])
        .args(["--max-examples", examples, "--seed", "1", "--workers", "2", "--no-shrink"])
        .args(["--request-timeout", "20", "--continue-on-failure"])
        .kill_on_drop(true)
        .stdin(Stdio::null());
    let output = tokio::time::timeout(Duration::from_secs(seconds), command.output()).await;
    let output = output.expect("schemathesis took too long").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("No issues found"), "{said}");
}

const HOOKS: &str = r#"
import schemathesis

@schemathesis.hook
def map_path_parameters(context, path_parameters):
    if path_parameters and "account" in path_parameters:
        path_parameters["account"] = "ACCOUNT"
    if path_parameters and "faxbox" in path_parameters:
        path_parameters["faxbox"] = "FAXBOX"
    return path_parameters
"#;
