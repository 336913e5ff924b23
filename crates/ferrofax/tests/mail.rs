//! A server used by mail, with swaks: a PDF mailed in is a fax at the other side, and both sides are told by mail.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod world;

use std::path::Path;
use std::process::Command;
use std::time::Duration;
use world::post::{Mail, Post};
use world::{Daemon, Setup, papers};

const CLINIC: &str = "+14155550100";
const COURT: &str = "+14155550199";
const PATIENCE: Duration = Duration::from_secs(240);

/// Sends a mail; whether it was taken, and the dialogue.
fn swaks(to: &Daemon, from: &str, recipient: &str, attachment: Option<&Path>) -> (bool, String) {
    let mut swaks = Command::new("swaks");
    swaks.args(["--server", "127.0.0.1", "--port", &to.smtp.port().to_string(), "--timeout", "30"]);
    swaks.args(["--helo", "client.test", "--from", from, "--to", recipient]);
    swaks.args(["--header", "Subject: A letter", "--body", "Please find it attached."]);
    if let Some(path) = attachment {
        swaks.args(["--attach-type", "application/pdf", "--attach", &format!("@{}", path.display())]);
    }
    let ran = swaks.output().expect("swaks is installed");
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    (ran.status.success(), said)
}

fn subject(mail: &Mail) -> &str {
    mail.text.lines().find_map(|l| l.strip_prefix("Subject: ")).unwrap_or_default()
}

#[test]
fn a_mailed_pdf_arrives_and_both_sides_are_told() {
    let post = Post::open();
    let court = Daemon::start(Setup::new("court", COURT).post(post.address));
    let clinic = Daemon::start(Setup::new("clinic", CLINIC).peer(court.sip).post(post.address));
    let document = clinic.folder.join("letter.pdf");
    std::fs::write(&document, papers::pdf(2)).unwrap();

    let to = format!("{}@clinic.test", COURT.trim_start_matches('+'));
    let (taken, said) = swaks(&clinic, "sender@clinic.test", &to, Some(&document));
    assert!(taken, "{said}");
    let queue = clinic.get("/outgoing");
    let id = queue[0]["id"].as_str().unwrap_or_else(|| panic!("not queued: {queue:#}")).to_owned();
    let job = clinic.job_ended(&id, PATIENCE);
    assert_eq!(job["status"], "completed", "{job:#}");
    assert_eq!((&job["to_number"], &job["total_pages"]), (&COURT.into(), &2.into()));
    assert_eq!(job["subject"], "A letter");

    let received = court.inbox(1, Duration::from_secs(30));
    let tiff = court.tiff("inbox", received[0]["id"].as_str().unwrap());
    papers::assert_same_pels(&clinic.tiff("outgoing", &id), &tiff);

    let receipt = post.mail_to("sender@clinic.test", Duration::from_secs(60));
    let fax = post.mail_to("inbox@court.test", Duration::from_secs(60));
    println!("receipt: {}\nfax: {}", subject(&receipt), subject(&fax));
    assert!(receipt.text.contains("From: Fax <fax@clinic.test>") || receipt.text.contains("fax@clinic.test"));
    assert!(!subject(&receipt).is_empty() && !subject(&fax).is_empty());
    assert!(receipt.text.contains("4155550199"), "{}", receipt.text);
    assert!(fax.text.to_ascii_lowercase().contains("content-type: application/pdf"), "the fax is attached");
    assert!(fax.text.contains("4155550100"), "its sender is named");
    // Each is told once.
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(post.count(), 2);
}

#[test]
fn what_is_no_fax_gets_554() {
    let clinic = Daemon::start(Setup::new("clinic", CLINIC));
    let document = clinic.folder.join("letter.pdf");
    std::fs::write(&document, papers::pdf(1)).unwrap();
    let (good, fax) = ("sender@clinic.test", "14155550199@clinic.test");
    let refused = [
        ("an unknown sender", "stranger@elsewhere.test", fax, Some(&document)),
        ("no sender", "<>", fax, Some(&document)),
        ("a domain without fax", good, "14155550199@elsewhere.test", Some(&document)),
        ("no number", good, "reception@clinic.test", Some(&document)),
        ("no attachment", good, fax, None),
    ];
    for (what, from, to, attachment) in refused {
        let (taken, said) = swaks(&clinic, from, to, attachment.map(|p| p.as_path()));
        assert!(!taken, "{what} was taken:\n{said}");
        let answer = said.lines().find(|l| l.starts_with("<** 554"));
        println!("{what}: {}", answer.unwrap_or("?"));
        assert!(answer.is_some(), "{what}:\n{said}");
    }
    assert_eq!(clinic.get("/outgoing"), serde_json::json!([]), "nothing was queued");
    assert_eq!(clinic.get("/outbox"), serde_json::json!([]), "and nothing filed");
}
