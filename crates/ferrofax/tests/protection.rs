//! Protection of a whole server: bans as its operator sees and lifts them, numbers that are barred, budgets that hold jobs and
//! calls that are passed on, also after a crash and with another configuration.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod world;

use serde_json::Value;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use world::{Daemon, FERROFAX, Setup, http, papers};

const CLINIC: &str = "+14155550100";
const COURT: &str = "+14155550199";
/// A fax takes a quarter of a minute; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(240);

fn ferrofax(of: &Daemon, args: &[&str]) -> Output {
    let mut command = Command::new(FERROFAX);
    command.args(args).args(["--api", &of.url(), "--key", &of.setup.key()]).env_remove("RUST_LOG");
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn socket(host: u8) -> UdpSocket {
    let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, host], 0))).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    socket
}

/// Sends a request and gives the final response, if one comes.
fn ask(
    socket: &UdpSocket,
    at: SocketAddr,
    method: &str,
    to: &str,
    number: u32,
    more: &str,
) -> Option<String> {
    let from = socket.local_addr().unwrap();
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n",
        ip = from.ip()
    );
    let body = if method == "INVITE" { sdp.as_str() } else { "" };
    let text = format!(
        "{method} sip:{to}@{at} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{number};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:ata@{from}>;tag=f{number}\r\nTo: <sip:{to}@{at}>\r\nCall-ID: c{number}@{from}\r\n\
         CSeq: 1 {method}\r\nContact: <sip:ata@{from}>\r\n{more}Content-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.send_to(text.as_bytes(), at).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut buffer = [0; 4_096];
    while Instant::now() < deadline {
        let (length, _) = socket.recv_from(&mut buffer).ok()?;
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if text.contains(&format!("c{number}@")) && !text.starts_with("SIP/2.0 1") {
            return Some(text);
        }
    }
    None
}

/// A guess at the password of `ata`; the status of the answer.
fn guess(socket: &UdpSocket, at: SocketAddr, number: u32) -> Option<String> {
    let proof = format!(
        "Authorization: Digest username=\"ata\", realm=\"ferrofax\", nonce=\"00\", uri=\"sip:x\", algorithm=MD5, \
         response=\"{number:032x}\"\r\n"
    );
    ask(socket, at, "REGISTER", "ata", number, &proof)
}

fn configuration(of: &Daemon) -> std::path::PathBuf {
    of.folder.join("ferrofax.toml")
}

#[test]
fn bans_are_listed_and_lifted_and_who_is_allowed_is_not_banned() {
    let mut setup = Setup::new("clinic", CLINIC).with(
        "",
        "[[terminal]]\nuser = \"ata\"\naccount = \"clinic\"\npassword = \"sesame-street\"\n[protection]\n\
         ban_after = 5\naccount_failures = 0\n",
    );
    setup.accept_from = "127.0.0.1";
    let clinic = Daemon::start(setup);
    let guesser = socket(9);
    let nobody = ferrofax(&clinic, &["bans", "list"]);
    assert!(said(&nobody).starts_with("nobody is banned"), "{}", said(&nobody));
    for number in 0..5 {
        let answer = guess(&guesser, clinic.sip, number).expect("no answer");
        assert!(answer.starts_with("SIP/2.0 401"), "{answer}");
    }
    assert_eq!(guess(&guesser, clinic.sip, 10), None);
    let listed = said(&ferrofax(&clinic, &["bans", "list"]));
    assert!(listed.starts_with("127.0.0.9 ") && listed.contains("wrong passwords or users"), "{listed}");
    assert!(listed.contains("the first time"), "{listed}");
    let json: Value = serde_json::from_str(&said(&ferrofax(&clinic, &["bans", "list", "--json"]))).unwrap();
    assert_eq!((&json["bans"][0]["source"], &json["counters"]["bans"]), (&"127.0.0.9".into(), &1.into()));
    let log = clinic.log();
    assert_eq!(log.matches("\"banned\"").count(), 1, "{log}");
    let lifted = ferrofax(&clinic, &["bans", "lift", "127.0.0.9"]);
    assert!(lifted.status.success() && said(&lifted).contains("is lifted"), "{}", said(&lifted));
    assert_eq!(ferrofax(&clinic, &["bans", "lift", "127.0.0.9"]).status.code(), Some(2));
    assert_eq!(ferrofax(&clinic, &["bans", "lift", "nowhere"]).status.code(), Some(2));
    assert!(guess(&guesser, clinic.sip, 20).is_some());
    // The list of the allowed, and everything else of [protection], changes while it runs.
    let file = configuration(&clinic);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("ban_after = 5", "ban_after = 5\nallow = [\"127.0.0.9\"]")).unwrap();
    assert!(ferrofax(&clinic, &["reload"]).status.success());
    for number in 30..50 {
        assert!(guess(&guesser, clinic.sip, number).is_some(), "{number}");
    }
    assert!(said(&ferrofax(&clinic, &["bans", "list"])).starts_with("nobody is banned"));
}

#[test]
fn a_budget_holds_jobs_over_a_crash_and_a_larger_one_lets_them_go() {
    let court = Daemon::start(Setup::new("court", COURT));
    let setup = Setup::new("clinic", CLINIC).peer(court.sip);
    let limits = "[protection]\ndeny_numbers = [\"+882\"]\ncalls_per_hour = 1\n";
    let mut clinic = Daemon::start(setup.with("", limits));
    let paper = papers::marked_tiff(1, 1);
    let id = clinic.submit(COURT, "image/tiff", &paper);
    let job = clinic.job_ended(&id, PATIENCE);
    assert_eq!(job["status"], "completed", "{job:#}");
    // What may never be called is refused at once.
    let key = clinic.setup.key();
    let fields = [("X-Auth-Token", key.as_str()), ("Content-Type", "application/json")];
    let fax = serde_json::json!({ "data": { "to_number": "+882161234567", "from_number": CLINIC,
        "document": { "url": "http://127.0.0.1:9/x.pdf" } } });
    let path = clinic.faxes("");
    let refused = http::ask(clinic.api, "PUT", &path, &fields, fax.to_string().as_bytes()).unwrap();
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert!(refused.text().contains("+882… is barred for all calls"), "{}", refused.text());
    // The second call of the hour waits, also after a crash.
    std::thread::sleep(Duration::from_secs(6));
    let id = clinic.submit(COURT, "image/tiff", &paper);
    let waits = |clinic: &Daemon| {
        let deadline = Instant::now() + PATIENCE;
        while !clinic.log().contains("the job waits for a budget") {
            assert!(Instant::now() < deadline, "it does not wait: {}", clinic.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    waits(&clinic);
    assert!(clinic.log().contains("The budget of all calls is used up: 1 calls an hour"));
    clinic.kill();
    clinic.restart();
    let third = clinic.submit(COURT, "image/tiff", &paper);
    waits(&clinic);
    for id in [&id, &third] {
        assert_eq!(clinic.get(&format!("/outgoing/{id}"))["status"], "pending");
    }
    assert!(!clinic.log().contains("\"calling\""), "{}", clinic.log());
    // With another configuration the next one goes.
    let file = configuration(&clinic);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("calls_per_hour = 1", "calls_per_hour = 10")).unwrap();
    assert!(ferrofax(&clinic, &["reload"]).status.success());
    let fourth = clinic.submit(COURT, "image/tiff", &paper);
    let job = clinic.job_ended(&fourth, PATIENCE);
    assert_eq!(job["status"], "completed", "{job:#}");
}

#[test]
fn calls_that_are_passed_on_are_refused_by_number_and_by_budget() {
    let setup = Setup::new("clinic", CLINIC).with(
        "",
        "[[route]]\nname = \"out\"\nto = \"9*\"\nrewrite = \"$1\"\nsend_to = \"trunk:other-side\"\n\
         deny_numbers = [\"+1900\"]\n[[protection.destination]]\nbegins = \"+1415\"\ncalls_per_hour = 1\n",
    );
    let clinic = Daemon::start(setup);
    let caller = socket(7);
    let call = |to: &str, number| ask(&caller, clinic.sip, "INVITE", to, number, "").expect("no answer");
    let barred = call("919005550123", 1);
    assert!(barred.starts_with("SIP/2.0 403 Destination Not Allowed"), "{barred}");
    // The trunk is nowhere; but it was called.
    let first = call("914155550123", 2);
    assert!(!first.starts_with("SIP/2.0 403"), "{first}");
    let second = call("914155550124", 3);
    assert!(second.starts_with("SIP/2.0 503 Budget Used Up"), "{second}");
    let after = second.lines().find_map(|l| l.strip_prefix("Retry-After: ")).unwrap_or_default();
    assert!((3_000..=3_700).contains(&after.trim().parse::<u32>().unwrap_or(0)), "{second}");
    let log = clinic.log();
    assert!(log.contains("a call is not passed on") && log.contains("calls to +1415… is used up"), "{log}");
    assert!(!log.contains("919005550123"), "numbers are redacted");
}
