//! Several trunks of one server: the next where one fails, within one attempt; another configuration while it runs.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod world;

use serde_json::Value;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use world::{Daemon, FERROFAX, Setup, papers};

const CLINIC: &str = "+14155550100";
const COURT: &str = "+14155550199";
/// A fax takes a quarter of a minute; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(240);

/// A carrier that answers every INVITE with one status, and OPTIONS and REGISTER not at all.
struct Refuser {
    at: SocketAddr,
    /// Calls that came, by Call-ID.
    calls: Arc<AtomicUsize>,
}

impl Refuser {
    fn start(status: &'static str) -> Refuser {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let at = socket.local_addr().unwrap();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 65_536];
            let mut known = Vec::new();
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if !text.starts_with("INVITE ") {
                    continue;
                }
                let line =
                    |name: &str| text.lines().find(|l| l.starts_with(name)).unwrap_or_default().to_owned();
                let call_id = line("Call-ID:");
                if !known.contains(&call_id) {
                    known.push(call_id.clone());
                    counted.fetch_add(1, Ordering::SeqCst);
                }
                let answer = format!(
                    "SIP/2.0 {status}\r\n{}\r\n{}\r\n{};tag=r\r\n{call_id}\r\n{}\r\nContent-Length: 0\r\n\r\n",
                    line("Via:"),
                    line("From:"),
                    line("To:"),
                    line("CSeq:")
                );
                let _ = socket.send_to(answer.as_bytes(), from);
            }
        });
        Refuser { at, calls }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

fn ferrofax(of: &Daemon, args: &[&str]) -> Output {
    let mut command = Command::new(FERROFAX);
    command.args(args).args(["--api", &of.url(), "--key", &of.setup.key()]).env_remove("RUST_LOG");
    command.output().unwrap()
}

fn attempts(job: &Value) -> u64 {
    job["attempts"].as_u64().unwrap_or_else(|| panic!("{job:#}"))
}

fn second(peer: SocketAddr, more: &str) -> String {
    format!("[[trunk]]\nname = \"second\"\npeer = \"{peer}\"\n{more}")
}

#[test]
fn a_trunk_that_fails_before_the_answer_is_followed_by_the_next_in_the_same_attempt() {
    let court = Daemon::start(Setup::new("court", COURT));
    let congested = Refuser::start("503 Service Unavailable");
    let clinic =
        Daemon::start(Setup::new("clinic", CLINIC).peer(congested.at).with("", &second(court.sip, "")));
    let id = clinic.submit(COURT, "image/tiff", &papers::marked_tiff(1, 1));
    let job = clinic.job_ended(&id, PATIENCE);
    assert_eq!((&job["status"], attempts(&job)), (&"completed".into(), 1), "{job:#}");
    assert_eq!(congested.calls(), 1);
    let list = ferrofax(&clinic, &["trunks", "list"]);
    let text = String::from_utf8_lossy(&list.stdout).into_owned();
    assert!(list.status.success() && text.contains("second") && text.contains("up since"), "{text}");
    assert!(text.contains("calls now: 0 out, 0 in"), "{text}");
    assert!(text.contains(&format!("at UDP {}", court.sip)), "{text}");
}

#[test]
fn a_number_that_is_not_there_is_not_called_by_the_next_trunk() {
    let (first, other) = (Refuser::start("404 Not Found"), Refuser::start("486 Busy Here"));
    let clinic = Daemon::start(Setup::new("clinic", CLINIC).peer(first.at).with("", &second(other.at, "")));
    let id = clinic.submit(COURT, "image/tiff", &papers::marked_tiff(1, 1));
    let job = clinic.job_ended(&id, PATIENCE);
    assert_eq!((&job["status"], attempts(&job)), (&"failed".into(), 1), "{job:#}");
    assert_eq!((first.calls(), other.calls()), (1, 0));
}

#[test]
fn the_configuration_is_read_again_while_calls_run_and_a_bad_one_is_refused() {
    let court = Daemon::start(Setup::new("court", COURT));
    let dear = Refuser::start("486 Busy Here");
    let clinic = Daemon::start(Setup::new("clinic", CLINIC).peer(court.sip));
    let file = std::fs::read_dir(&clinic.folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == "toml"))
        .unwrap();
    let before = std::fs::read_to_string(&file).unwrap();

    // A bad file is refused with its faults.
    std::fs::write(&file, format!("{before}\n[[trunk]]\nname = \"nowhere\"\n")).unwrap();
    let refused = ferrofax(&clinic, &["reload"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("trunk.peer is missing"), "{said}");

    // While a fax is being sent, its trunk is taken out and another put in.
    let id = clinic.submit(COURT, "image/tiff", &papers::marked_tiff(3, 1));
    clinic.job_when(&id, PATIENCE, |job| job["progress"].is_object());
    let deadline = Instant::now() + PATIENCE;
    while !clinic.log().contains("\"calling\"") || !court.log().contains("\"called\"") {
        assert!(Instant::now() < deadline, "nobody calls");
        std::thread::sleep(Duration::from_millis(50));
    }
    let changed = before
        .replace("name = \"other-side\"", "name = \"dear\"")
        .replace(&format!("peer = \"{}\"", court.sip), &format!("peer = \"{}\"", dear.at));
    assert_ne!(changed, before);
    let mail = "[mail]\nhost = \"127.0.0.1\"\nfrom = \"fax@clinic.test\"\n";
    std::fs::write(&file, format!("{changed}\n{mail}")).unwrap();
    let done = ferrofax(&clinic, &["reload", "--json"]);
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let told = serde_json::from_str::<Value>(&said).unwrap();
    assert_eq!(told["reloaded"], true, "{said}");
    assert_eq!(told["restart_needed"], serde_json::json!(["[mail] changes with the next start"]), "{said}");
    let job = clinic.job_ended(&id, PATIENCE);
    assert_eq!((&job["status"], attempts(&job)), (&"completed".into(), 1), "{job:#}");

    // The next goes by the new one.
    let id = clinic.submit(COURT, "image/tiff", &papers::marked_tiff(1, 1));
    clinic.job_when(&id, PATIENCE, |_| dear.calls() == 1);
    let list = ferrofax(&clinic, &["trunks", "list", "--json"]);
    let text = String::from_utf8_lossy(&list.stdout).into_owned();
    assert!(text.contains("\"dear\"") && !text.contains("other-side"), "{text}");
}
