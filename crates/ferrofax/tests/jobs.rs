//! `ferrofax jobs`, by a running server and in the store of one that is down.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod world;

use serde_json::Value;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use world::{Daemon, FERROFAX, Setup, papers};

const PATIENCE: Duration = Duration::from_secs(60);

fn ferrofax(args: &[&str]) -> Output {
    let ferrofax =
        Command::new(FERROFAX).arg("--json").arg("jobs").args(args).env_remove("FERROFAX_KEY").output();
    ferrofax.unwrap()
}

/// The lines of a command that has to succeed.
fn lines(args: &[&str]) -> Vec<Value> {
    let out = ferrofax(args);
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// What a command that has to fail says.
fn fault(args: &[&str]) -> String {
    let out = ferrofax(args);
    assert_eq!(out.status.code(), Some(2), "{args:?}");
    String::from_utf8(out.stderr).unwrap()
}

#[test]
fn jobs_are_listed_restarted_and_called_off_with_a_server_and_without() {
    // The first attempt fails at once, and the next one is far away.
    let setup = Setup::new("sender", "+14155550200")
        .peer(world::engaged::open())
        .with("queue", "retry_after_s = 3600");
    let mut sender = Daemon::start(setup);
    let tiff = papers::marked_tiff(1, 1);
    let ids: Vec<String> = ["+14155550301", "+14155550302", "+14155550303"]
        .iter()
        .map(|to| sender.submit(to, "image/tiff", &tiff))
        .collect();
    let tried = |sender: &Daemon, id: &str, times: u64| {
        sender.job_when(id, PATIENCE, |j| j["attempts"].as_u64() >= Some(times) && j["status"] == "pending")
    };
    ids.iter().for_each(|id| drop(tried(&sender, id, 1)));

    let (url, key) = (sender.url(), sender.setup.key());
    let api = ["--api", url.as_str(), "--key", key.as_str()];
    let by_api = |args: &[&str]| lines(&[args, &api].concat());
    assert_eq!(by_api(&["list", "--state", "pending"]).len(), 3);
    assert!(by_api(&["list", "--state", "processing"]).is_empty());
    by_api(&["restart", &ids[0]]);
    tried(&sender, &ids[0], 2);
    by_api(&["cancel", &ids[1]]);
    let again = by_api(&["requeue", &ids[1]]);
    assert_eq!(again[0]["status"], "pending", "what was called off is sent all the same: {again:?}");
    tried(&sender, &ids[1], 2);

    let file = sender.folder.join("ferrofax.toml");
    let store = ["--config", file.to_str().unwrap()];
    let said = fault(&[&["list"][..], &store].concat());
    assert!(said.contains("leave --config out and give --key"), "the file is the server's: {said}");

    sender.kill();
    let by_store = |args: &[&str]| lines(&[args, &store].concat());
    let all = by_store(&["list"]);
    assert_eq!(all.len(), 3);
    assert!(all.iter().all(|j| j["account_id"] == sender.account.as_str()));
    assert!(by_store(&["list", "--account", "nobody"]).is_empty());
    let overview = by_store(&["overview"]);
    assert_eq!(
        (&overview[0]["account"], &overview[0]["jobs"]),
        (&"sender".into(), &3.into()),
        "{overview:?}"
    );
    assert!(by_store(&["stuck"]).is_empty());
    by_store(&["cancel", &ids[2]]);
    let said = fault(&[&["cancel", &ids[2]][..], &store].concat());
    assert!(said.contains("done with already"), "{said}");
    assert_eq!(by_store(&["sent"]).len(), 1);
    assert_eq!(by_store(&["show", &ids[0]])[0]["id"], ids[0].as_str());
    let twice = &by_store(&["show", &ids[1]])[0];
    let history = twice["history"].as_array().unwrap();
    assert_eq!(twice["attempts"].as_u64(), u64::try_from(history.len()).ok(), "{twice:#}");
    assert!(history.iter().all(|a| a["cause"] == "call.busy" && a["sip_status"] == 486), "{twice:#}");
    let result = &twice["tx_result"];
    assert_eq!(
        (&result["result_cause"], &result["result_class"]),
        (&"USER_BUSY".into(), &"call.busy".into())
    );
    let wait = |id: &str| {
        let job = &by_store(&["show", id])[0];
        job["not_before"].as_i64().unwrap() - job["created"].as_i64().unwrap()
    };
    assert!(wait(&ids[0]) > 3_000);
    by_store(&["restart", &ids[0]]);
    assert!(wait(&ids[0]) < 3_000, "it is due now");
    assert!(fault(&[&["flush", "--yes"][..], &store].concat()).contains("--account"));
    let flushed = by_store(&["flush", "--account", "sender"]);
    assert_eq!((&flushed[0]["waiting"], &flushed[0]["called_off"]), (&2.into(), &0.into()));
    let flushed = by_store(&["flush", "--yes", "--account", "sender"]);
    assert_eq!(flushed[0]["called_off"], 2);
    assert!(by_store(&["list"]).is_empty());

    // And the server finds it as it was left.
    sender.restart();
    let job = sender.job_ended(&ids[0], PATIENCE);
    assert_eq!((&job["status"], &job["cancelled"]), (&"failed".into(), &true.into()), "{job:#}");
}

#[test]
fn send_follows_its_fax_over_a_restart_of_the_server_and_hands_in_one() {
    let court = Daemon::start(Setup::new("court", "+14155550199"));
    let setup =
        Setup::new("sender", "+14155550200").peer(world::engaged::open()).with("queue", "retry_after_s = 10");
    let mut sender = Daemon::start(setup);
    let file = sender.folder.join("letter.tif");
    std::fs::write(&file, papers::marked_tiff(1, 1)).unwrap();
    let sending = Command::new(FERROFAX)
        .args(["send", "+14155550199"])
        .arg(&file)
        .args(["--from", "+14155550200", "--json", "--api", &sender.url(), "--key", &sender.setup.key()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = std::time::Instant::now() + PATIENCE;
    let id = loop {
        if let Some(id) = sender.get("/outgoing")[0]["id"].as_str() {
            break id.to_owned();
        }
        assert!(std::time::Instant::now() < deadline, "nothing was handed in");
        std::thread::sleep(Duration::from_millis(100));
    };
    sender.job_when(&id, PATIENCE, |j| j["attempts"].as_u64() >= Some(1) && j["status"] == "pending");

    // Its tokens end with it, and for a while nobody answers.
    sender.kill();
    std::thread::sleep(Duration::from_secs(2));
    sender.setup.api = sender.api;
    sender.setup.peer = court.sip;
    sender.restart();
    sender.job_ended(&id, PATIENCE * 3);
    let sent = sending.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&sent.stderr);
    assert_eq!(sent.status.code(), Some(0), "{said}");
    assert!(said.starts_with(&format!("job {id}\n")), "{said}");
    let told = String::from_utf8(sent.stdout).unwrap();
    let last: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    // A fax that is filed has its month before its id.
    assert!(last["id"].as_str().is_some_and(|filed| filed.ends_with(&id)), "{told}");
    assert_eq!(last["status"], "completed", "{told}");
    let jobs =
        sender.get("/outgoing").as_array().unwrap().len() + sender.get("/outbox").as_array().unwrap().len();
    assert_eq!((jobs, court.inbox(1, PATIENCE).len()), (1, 1), "one job, one fax");
}
