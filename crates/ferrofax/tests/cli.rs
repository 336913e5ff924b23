//! The command line as people and scripts use it: faults named with their remedy, exit statuses that mean something,
//! JSON that parses, and a stop that loses nothing.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod world;

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use world::{Daemon, FERROFAX, Setup, papers};

const CLINIC: &str = "+14155550100";
const COURT: &str = "+14155550199";
const PATIENCE: Duration = Duration::from_secs(240);

fn ferrofax(args: &[&str]) -> Output {
    let mut command = Command::new(FERROFAX);
    command.args(args).env_remove("RUST_LOG").env_remove("FERROFAX_KEY").env_remove("FERROFAX_API");
    command.output().unwrap()
}

fn out(of: &Output) -> String {
    String::from_utf8_lossy(&of.stdout).into_owned()
}

fn err(of: &Output) -> String {
    String::from_utf8_lossy(&of.stderr).into_owned()
}

/// Every line as JSON.
fn lines(of: &Output) -> Vec<Value> {
    let parse = |l: &str| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"));
    out(of).lines().map(parse).collect()
}

#[test]
fn check_names_every_fault_with_line_and_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ferrofax.toml");
    let faulty = r#"data_dir = "data"
nodename = "a"

[sip]
lisen = "127.0.0.1:5060"
media_ports = "9-8"

[[trunk]]
name = "carrier"
t38 = "sometimes"

[[account]]
name = "Clinic"
api_key = "short"
trunk = "carier"

[[faxbox]]
name = "Front"
account = "Clinik"
retries = 99

[queue]
max_calls = "many"

[api]
listen = "localhost"
"#;
    std::fs::write(&file, faulty).unwrap();
    let ran = ferrofax(&["check", file.to_str().unwrap()]);
    let said = err(&ran);
    println!("{said}");
    assert_eq!(ran.status.code(), Some(2), "{said}");
    let faults: Vec<(usize, String)> = {
        let mut lines = said.lines().peekable();
        let mut faults = Vec::new();
        while let Some(line) = lines.next() {
            if let Some((number, what)) = line.trim().strip_prefix("line ").and_then(|l| l.split_once(": ")) {
                let remedy = lines.next().unwrap_or_default().trim();
                assert!(!remedy.is_empty() && !remedy.starts_with("line "), "no remedy for {what}");
                faults.push((number.parse().unwrap(), format!("{what} | {remedy}")));
            }
        }
        faults
    };
    let has = |line: usize, words: &[&str]| {
        let found = faults.iter().any(|(l, text)| *l == line && words.iter().all(|w| text.contains(w)));
        assert!(found, "line {line} {words:?} is not among {faults:#?}");
    };
    has(2, &["nodename"]);
    has(5, &["lisen", "did you mean", "listen"]);
    has(6, &["media_ports", "10000-10999"]);
    has(8, &["peer", "missing", "add peer"]);
    has(10, &["sometimes", "receiver-only"]);
    has(14, &["short", "16 characters"]);
    has(15, &["carier", "[[trunk]]"]);
    has(19, &["Clinik", "[[account]]"]);
    has(20, &["retries"]);
    has(23, &["max_calls"]);
    has(26, &["localhost", "127.0.0.1:8000"]);
    assert!(!said.contains("\"short\""), "a secret is told");

    // `serve` refuses it in the same words.
    let served = ferrofax(&["serve", "--config", file.to_str().unwrap()]);
    assert_eq!(served.status.code(), Some(2));
    assert!(err(&served).contains("lisen"), "{}", err(&served));

    // What is no TOML at all, what is not there, and what is in order.
    std::fs::write(&file, "data_dir = \"x\"\n[sip\n").unwrap();
    let ran = ferrofax(&["check", file.to_str().unwrap()]);
    assert!(ran.status.code() == Some(2) && err(&ran).contains("line 2"), "{}", err(&ran));
    let ran = ferrofax(&["check", folder.path().join("none.toml").to_str().unwrap()]);
    assert!(ran.status.code() == Some(2) && err(&ran).contains("cannot be read"), "{}", err(&ran));
    std::fs::write(&file, Setup::new("clinic", CLINIC).toml()).unwrap();
    let ran = ferrofax(&["check", file.to_str().unwrap()]);
    assert!(ran.status.success() && out(&ran).contains("in order"), "{}{}", out(&ran), err(&ran));
}

#[test]
fn wrong_use_exits_2() {
    for args in [
        &["fax"][..],
        &[],
        &["send"],
        &["send", "123"],
        &["send", "123", "x.pdf", "--priority", "urgent"],
        &["serve", "--nonsense"],
        &["jobs"],
        &["jobs", "show"],
        &["receive", "--listen", "here"],
        &["jobs", "list"],                                              // no key
        &["jobs", "list", "--key", "k", "--api", "http://127.0.0.1:9"], // no server
        &["send", "123", "/nowhere/x.pdf", "--peer", "127.0.0.1:9"],
    ] {
        let ran = ferrofax(args);
        assert_eq!(ran.status.code(), Some(2), "{args:?}: {}", err(&ran));
        assert!(!err(&ran).is_empty() && !err(&ran).contains("panicked"), "{args:?}: {}", err(&ran));
    }
    assert!(ferrofax(&["--version"]).status.success());
    assert!(out(&ferrofax(&["--help"])).contains("demo"));
}

/// A child that is ended with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `ferrofax receive --once --json`; where it listens and its further lines.
fn receive(dir: &Path) -> (Ended, String, impl Iterator<Item = Value> + use<>) {
    let mut child = Command::new(FERROFAX)
        .args(["receive", "--once", "--json", "--listen", "127.0.0.1:0", "--ident", COURT, "--dir"])
        .arg(dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines.map(|l| serde_json::from_str::<Value>(&l.unwrap()).unwrap());
    let listening = lines.next().unwrap();
    let address = listening["address"].as_str().unwrap().to_owned();
    (Ended(child), address, lines)
}

#[test]
fn send_to_a_peer_and_receive_once() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("in");
    let (mut receiver, address, mut told) = receive(&dir);
    let document = folder.path().join("pages.tif");
    let tiff = papers::marked_tiff(7, 2);
    std::fs::write(&document, &tiff).unwrap();
    let traces = folder.path().join("traces");
    let args = [
        "send",
        COURT,
        document.to_str().unwrap(),
        "--record",
        traces.to_str().unwrap(),
        "--peer",
        &address,
        "--from",
        CLINIC,
        "--listen",
        "127.0.0.1:0",
        "--json",
    ];
    let sent = ferrofax(&args);
    assert_eq!(sent.status.code(), Some(0), "{}{}", out(&sent), err(&sent));
    let events = lines(&sent);
    let confirmed = events.iter().filter(|e| e["event"] == "page_confirmed").count();
    let end = events.last().unwrap();
    assert_eq!((confirmed, &end["delivered"], &end["pages"]), (2, &true.into(), &2.into()), "{end}");

    let received = told.next().unwrap();
    assert_eq!((&received["ok"], &received["pages"]), (&true.into(), &2.into()), "{received}");
    assert_eq!(receiver.0.wait().unwrap().code(), Some(0));
    let file = received["files"][0].as_str().unwrap();
    assert_eq!(Path::new(file), dir.join("fax-0001.tif"));
    let got = std::fs::read(file).unwrap();
    papers::assert_same_pels(&tiff, &got);
    assert_eq!(papers::marks(&got), [(7, 1), (7, 2)]);
    assert!(std::fs::read(dir.join("fax-0001.pdf")).unwrap().starts_with(b"%PDF-"));

    // The call again, from its recording.
    let recording = traces.join(end["recording"].as_str().unwrap());
    let recording = recording.to_str().unwrap();
    let again = ferrofax(&["replay", recording, "--json"]);
    assert_eq!(again.status.code(), Some(0), "{}{}", out(&again), err(&again));
    let told = &lines(&again)[0];
    assert_eq!(
        (&told["same"], &told["ok"], &told["state"]),
        (&true.into(), &true.into(), &"good".into()),
        "{told}"
    );
    assert_eq!((&told["role"], &told["pages_confirmed"]), (&"calling".into(), &2.into()), "{told}");
    let text = out(&ferrofax(&["replay", recording]));
    for words in ["◀─ DIS  can: receive", "T.38 from here on", "page 2 sent: confirmed", "all as recorded"]
    {
        assert!(text.contains(words), "{words:?} is not in\n{text}");
    }
    let early = out(&ferrofax(&["replay", recording, "--until", "1"]));
    assert!(early.contains("phase A") && !early.contains("DCS"), "{early}");
    // Not so any more, and not readable.
    let mut octets = std::fs::read(recording).unwrap();
    for (name, change) in [("a.wav", 0), ("cut.faxtrace", 200), ("bad.faxtrace", octets.len() - 20)] {
        let path = folder.path().join(name);
        octets[change] ^= 0x10;
        std::fs::write(&path, if change == 200 { &octets[..30] } else { &octets[..] }).unwrap();
        octets[change] ^= 0x10;
        let refused = ferrofax(&["replay", path.to_str().unwrap()]);
        assert_eq!(refused.status.code(), Some(2), "{name}: {}", out(&refused));
        assert!(
            err(&refused).starts_with("error: ") && err(&refused).lines().count() == 1,
            "{}",
            err(&refused)
        );
    }
}

#[test]
fn send_to_a_dead_peer_exits_1_with_a_plain_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let document = folder.path().join("pages.tif");
    std::fs::write(&document, papers::marked_tiff(7, 1)).unwrap();
    let file = document.to_str().unwrap();
    let began = Instant::now();
    let sent = ferrofax(&["send", COURT, file, "--peer", "127.0.0.1:9", "--listen", "127.0.0.1:0"]);
    let said = out(&sent);
    println!("after {:.1} s: {said}", began.elapsed().as_secs_f64());
    assert_eq!(sent.status.code(), Some(1), "{said}{}", err(&sent));
    let sentence = said.lines().last().unwrap();
    assert!(
        sentence.starts_with("not delivered: 0 of 1 pages confirmed. ") && sentence.ends_with('.'),
        "{sentence}"
    );
    assert!(!sentence.contains("NotAnswered") && !sentence.contains("NoRoute"), "no sentence: {sentence}");
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[test]
fn jobs_of_a_server_are_listed_shown_and_called_off() {
    let clinic = Daemon::start(Setup::new("clinic", CLINIC));
    let (url, key) = (clinic.url(), clinic.setup.key());
    let jobs = |args: &[&str]| {
        let mut all = vec!["jobs", "--api", &url, "--key", &key];
        all.extend(args);
        let ran = ferrofax(&all);
        assert_eq!(ran.status.code(), Some(0), "{args:?}: {}{}", out(&ran), err(&ran));
        ran
    };
    assert_eq!(out(&jobs(&["list"])).trim(), "none");
    let document = clinic.folder.join("pages.tif");
    std::fs::write(&document, papers::marked_tiff(1, 1)).unwrap();
    let file = document.to_str().unwrap();
    let sent = ferrofax(&[
        "send",
        COURT,
        file,
        "--from",
        CLINIC,
        "--priority",
        "high",
        "--no-wait",
        "--api",
        &url,
        "--key",
        &key,
        "--json",
    ]);
    assert_eq!(sent.status.code(), Some(0), "{}{}", out(&sent), err(&sent));
    let id = lines(&sent)[0]["id"].as_str().unwrap().to_owned();

    // Nobody is there: the first attempt fails and the job waits.
    clinic.job_when(&id, PATIENCE, |job| job["attempts"] == 1 && job["status"] == "pending");
    let list = lines(&jobs(&["list", "--json"]));
    assert_eq!((list.len(), &list[0]["id"], &list[0]["to"]), (1, &id.as_str().into(), &COURT.into()));
    let table = out(&jobs(&["list"]));
    assert!(table.contains(&id) && table.contains("high priority"), "{table}");
    let shown = lines(&jobs(&["show", &id, "--json"]));
    assert_eq!((&shown[0]["id"], &shown[0]["attempts"]), (&id.as_str().into(), &1.into()));
    assert!(shown[0]["history"][0]["cause"].is_string() && list[0]["history"].is_null(), "{shown:?}");
    assert_eq!((&list[0]["priority"], &shown[0]["priority"]), (&"high".into(), &"high".into()));
    assert!(out(&jobs(&["show", &id])).contains("\"tx_result\""));

    jobs(&["cancel", &id]);
    let over = clinic.job_ended(&id, Duration::from_secs(30));
    assert_eq!(over["cancelled"], true);
    assert_eq!(out(&jobs(&["list"])).trim(), "none");
    let filed = lines(&jobs(&["sent", "--json"]));
    assert!(filed[0]["id"].as_str().unwrap().ends_with(&id));
    assert_eq!(lines(&jobs(&["show", &id, "--json"])).len(), 1, "also when it is filed");
    assert_eq!(out(&jobs(&["received"])).trim(), "none");

    let unknown = ferrofax(&["jobs", "show", "0123", "--api", &url, "--key", &key]);
    assert_ne!(unknown.status.code(), Some(0));
    let stranger = ferrofax(&["jobs", "list", "--api", &url, "--key", "test-key-of-nobody-at-all"]);
    assert!(stranger.status.code() == Some(2) && err(&stranger).contains("API key"), "{}", err(&stranger));
}

#[test]
fn a_stop_lets_the_call_end() {
    let court = Daemon::start(Setup::new("court", COURT));
    let setup = Setup::new("clinic", CLINIC).peer(court.sip).with("queue", "stop_timeout_s = 120");
    let mut clinic = Daemon::start(setup);
    let tiff = papers::marked_tiff(3, 1);
    let id = clinic.submit(COURT, "image/tiff", &tiff);
    clinic.job_when(&id, PATIENCE, |job| job["status"].as_str().is_some_and(|s| s.contains("originate fax")));
    clinic.terminate();
    let status = clinic.wait(Duration::from_secs(150));
    assert_eq!(status.code(), Some(0));
    let received = court.inbox(1, Duration::from_secs(30));
    assert_eq!(papers::marks(&court.tiff("inbox", received[0]["id"].as_str().unwrap())), [(3, 1)]);
    clinic.restart();
    let job = clinic.job_ended(&id, Duration::from_secs(10));
    assert_eq!((&job["status"], &job["attempts"]), (&"completed".into(), &1.into()), "{job:#}");
}

#[test]
fn a_stop_that_cannot_wait_hands_the_job_back() {
    let court = Daemon::start(Setup::new("court", COURT));
    let setup = Setup::new("clinic", CLINIC).peer(court.sip).with("queue", "stop_timeout_s = 1");
    let mut clinic = Daemon::start(setup);
    let id = clinic.submit(COURT, "image/tiff", &papers::marked_tiff(4, 3));
    clinic.job_when(&id, PATIENCE, |job| job["pages_confirmed"].as_u64().unwrap() >= 1);
    clinic.terminate();
    let began = Instant::now();
    assert_eq!(clinic.wait(Duration::from_secs(60)).code(), Some(0));
    println!("stopped in {:.1} s", began.elapsed().as_secs_f64());
    clinic.restart();
    let after = clinic.job_when(&id, Duration::from_secs(10), |job| job["attempts"].as_u64().unwrap() >= 1);
    let confirmed = after["pages_confirmed"].as_u64().unwrap();
    let job = clinic.job_ended(&id, PATIENCE);
    assert_eq!(job["status"], "completed", "{job:#}");
    let mut pages: Vec<Vec<u64>> = Vec::new();
    for fax in court.inbox(2, Duration::from_secs(60)) {
        let marks = papers::marks(&court.tiff("inbox", fax["id"].as_str().unwrap()));
        pages.push(marks.iter().map(|(_, page)| u64::from(*page)).collect());
    }
    pages.sort();
    println!("{confirmed} confirmed; {pages:?}");
    assert_eq!(pages.last().unwrap(), &(confirmed + 1..=3).collect::<Vec<_>>(), "{pages:?}");
    assert!(pages[0].len() as u64 >= confirmed && pages[0][0] == 1, "{pages:?}");
}

#[test]
fn a_stop_lets_a_fax_come_in_and_takes_no_new_one() {
    let mut court = Daemon::start(Setup::new("court", COURT).with("queue", "stop_timeout_s = 120"));
    let clinic = Daemon::start(Setup::new("clinic", CLINIC).peer(court.sip));
    let late = Daemon::start(Setup::new("late", "+14155550155").peer(court.sip));
    let id = clinic.submit(COURT, "image/tiff", &papers::marked_tiff(5, 2));
    clinic.job_when(&id, PATIENCE, |job| job["pages_confirmed"].as_u64().unwrap() >= 1);
    court.terminate();
    std::thread::sleep(Duration::from_millis(300));
    let refused = late.submit(COURT, "image/tiff", &papers::marked_tiff(6, 1));
    let refused = late.job_when(&refused, PATIENCE, |job| job["attempts"] == 1);
    assert_eq!(refused["tx_result"]["result_code"], 503, "{refused:#}");
    assert_eq!(refused["status"], "pending", "it is tried again: {refused:#}");
    assert_eq!(court.wait(Duration::from_secs(150)).code(), Some(0));
    let job = clinic.job_ended(&id, Duration::from_secs(10));
    assert_eq!((&job["status"], &job["attempts"]), (&"completed".into(), &1.into()), "{job:#}");
    court.restart();
    let inbox = court.inbox(1, Duration::from_secs(10));
    assert_eq!(inbox[0]["rx_result"]["success"], true, "{:#}", inbox[0]);
    assert_eq!(papers::marks(&court.tiff("inbox", inbox[0]["id"].as_str().unwrap())), [(5, 1), (5, 2)]);
}

#[test]
fn a_second_server_on_the_same_data_is_refused_in_words() {
    let clinic = Daemon::start(Setup::new("clinic", CLINIC));
    let file = clinic.folder.join("ferrofax.toml");
    let second = ferrofax(&["serve", "--config", file.to_str().unwrap()]);
    assert_eq!(second.status.code(), Some(2), "{}", err(&second));
    let said = err(&second);
    let error = said.lines().find(|l| l.starts_with("error: ")).unwrap_or_else(|| panic!("{said}"));
    assert!(error.contains("is another ferrofax using it?"), "{error}");
    assert_eq!(clinic.get("/outgoing"), serde_json::json!([]), "the first goes on");

    // The address of another: named with its key.
    let own = clinic.folder.join("second.toml");
    let toml = clinic.setup.toml().replace("data_dir = \"data\"", "data_dir = \"other\"");
    let taken = format!("[api]\nlisten = \"{}\"", clinic.api);
    std::fs::write(&own, toml.replace("[api]\nlisten = \"127.0.0.1:0\"", &taken)).unwrap();
    let second = ferrofax(&["serve", "--config", own.to_str().unwrap()]);
    assert_eq!(second.status.code(), Some(2), "{}", err(&second));
    assert!(err(&second).contains(&format!("api.listen {} cannot be bound", clinic.api)), "{}", err(&second));
}

#[test]
fn route_says_what_would_become_of_a_call() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ferrofax.toml");
    let text = r#"data_dir = "data"
[[trunk]]
name = "carrier"
peer = "192.0.2.1"
[[account]]
name = "Clinic"
api_key = "0123456789abcdef"
[[faxbox]]
name = "Desk"
account = "Clinic"
numbers = ["+14155550100"]
[[terminal]]
user = "ata"
password = "sesame street"
account = "Clinic"
numbers = ["+14155550101"]
[[route]]
name = "germany"
from = "terminal:ata"
to = "0*"
rewrite = "+49$1"
send_to = "trunk:carrier"
"#;
    std::fs::write(&file, text).unwrap();
    let config = file.to_str().unwrap();
    let ask = |more: &[&str]| ferrofax(&[&["route", "--config", config], more].concat());
    let onward = ask(&["--from", "terminal:ata", "--to", "030123"]);
    assert_eq!(onward.status.code(), Some(0), "{}", err(&onward));
    let told = out(&onward);
    assert!(told.contains("rule germany") && told.contains("1. trunk:carrier as +4930123"), "{told}");
    assert!(told.contains("called from +14155550101"), "{told}");
    let received = ask(&["--from", "trunk:carrier", "--to", "4155550100", "--json"]);
    assert_eq!(lines(&received)[0]["decision"]["receive"]["ident"], "+14155550100");
    let refused = ask(&["--from", "trunk:carrier", "--to", "+4930123", "--json"]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(lines(&refused)[0]["decision"]["refuse"]["code"], 404);
    for wrong in [["carrier", "1"], ["trunk:other", "1"]] {
        assert_eq!(ask(&["--from", wrong[0], "--to", wrong[1]]).status.code(), Some(2));
    }
}

#[test]
fn who_says_stop_twice_does_not_wait_for_calls() {
    let court = Daemon::start(Setup::new("court", COURT));
    let setup = Setup::new("clinic", CLINIC).peer(court.sip).with("queue", "stop_timeout_s = 120");
    let mut clinic = Daemon::start(setup);
    let id = clinic.submit(COURT, "image/tiff", &papers::marked_tiff(3, 3));
    clinic.job_when(&id, PATIENCE, |job| job["pages_confirmed"].as_u64().unwrap() >= 1);
    clinic.terminate();
    std::thread::sleep(Duration::from_millis(500));
    clinic.terminate();
    assert_eq!(clinic.wait(Duration::from_secs(5)).code(), Some(1));
    assert!(clinic.log().contains("told to stop a second time"), "{}", clinic.log());
    clinic.restart();
    assert_eq!(clinic.job_ended(&id, PATIENCE)["status"], "completed");
}

#[test]
fn check_tells_its_findings_as_json_and_what_is_written_is_the_owners() {
    use std::os::unix::fs::PermissionsExt as _;
    let clinic = Daemon::start(Setup::new("clinic", CLINIC));
    let file = clinic.folder.join("ferrofax.toml");
    let file = file.to_str().unwrap();
    let told = lines(&ferrofax(&["--json", "check", file]));
    assert_eq!((&told[0]["in_order"], &told[0]["faxboxes"]), (&true.into(), &1.into()), "{told:?}");
    assert!(told[0]["warnings"][0].as_str().unwrap().contains("need [mail]"), "{told:?}");
    clinic.submit(COURT, "image/tiff", &papers::marked_tiff(1, 1));
    let mut folders = vec![clinic.folder.join("data")];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                seen += 1;
                assert_eq!(mode(&path), 0o600, "{}", path.display());
            }
        }
    }
    assert!(seen >= 2, "rows and a document");
    std::fs::write(file, "data_dir = 5").unwrap();
    let wrong = ferrofax(&["--json", "check", file]);
    assert_eq!(wrong.status.code(), Some(2));
    assert_eq!(lines(&wrong)[0]["faults"][0]["line"], 1);
}
