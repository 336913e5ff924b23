//! Files become faxes: once each, whoever looks at the folder, and whatever is interrupted.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../../switch/tests/bench/mod.rs"]
mod bench;

use bench::{Bench, Script};
use core::time::Duration;
use fax_spool::{CallFolder, CallRounds, HotFolder, HotRounds, Rounds};
use fax_store::model::{AccountId, FaxboxId, Folder, Job, Priority, Timestamp};
use fax_store::port::{JobQuery, Range};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

fn hot(path: &Path) -> HotFolder {
    HotFolder {
        path: path.to_owned(),
        account: AccountId::new("a"),
        faxbox: Some(FaxboxId::new("f")),
        settle: Duration::ZERO,
        max_document: 1000,
    }
}

fn calls(path: &Path, documents: &Path) -> CallFolder {
    CallFolder {
        path: path.join("outgoing"),
        done: path.join("outgoing_done"),
        account: AccountId::new("a"),
        faxbox: Some(FaxboxId::new("f")),
        documents: vec![documents.to_owned()],
        settle: Duration::ZERO,
        max_document: 1000,
    }
}

async fn jobs(b: &Bench) -> Vec<Job> {
    let mut all = Vec::new();
    for folder in [Folder::Live, Folder::Filed] {
        let mut query = JobQuery::of("a".into(), folder);
        query.range = Range { limit: 1000, ..Range::default() };
        all.extend(b.store.jobs(query).await.unwrap());
    }
    all
}

fn names(folder: impl AsRef<Path>) -> Vec<String> {
    let found = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut found: Vec<_> = found.collect();
    found.sort();
    found
}

fn result(path: PathBuf) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Rounds until something is so.
async fn until(rounds: &mut HotRounds, b: &Bench, so: impl Fn() -> bool) {
    for _ in 0..400 {
        rounds.round(&b.service).await.unwrap();
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it never came to be");
}

#[tokio::test]
async fn a_document_is_sent_to_the_number_in_its_name_and_its_result_is_filed() {
    let b = Bench::running();
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let mut rounds = HotRounds::open(hot(dir.path())).unwrap();
    fs::write(at("+14155550199_letter.pdf"), "pages:2").unwrap();
    fs::write(at("report.pdf"), "pages:1").unwrap();
    fs::write(
        at("report.json"),
        r#"{"to": "(415) 555-0198", "subject": "Report", "retries": 1, "priority": "low"}"#,
    )
    .unwrap();
    until(&mut rounds, &b, || names(at("done")).len() == 5).await;
    let done = result(at("done/+14155550199_letter.pdf.result.json"));
    assert_eq!((&done["status"], &done["pages_confirmed"]), (&"completed".into(), &2.into()));
    assert_eq!(fs::read(at("done/+14155550199_letter.pdf")).unwrap(), b"pages:2");
    let jobs = jobs(&b).await;
    assert_eq!(jobs.len(), 2);
    let report = jobs.iter().find(|j| j.subject.as_deref() == Some("Report")).unwrap();
    assert_eq!((report.to_number.as_str(), report.retries), ("+14155550198", 1));
    assert_eq!(report.priority, Priority::Low);
    assert_eq!(report.faxbox, Some(FaxboxId::new("f")));
    assert!(at("done/report.pdf.json").exists());
    assert!(names(at("taken")).is_empty() && names(at("queued")).is_empty());
    // The same name again is another fax, and its result does not replace the first.
    fs::write(at("+14155550199_letter.pdf"), "pages:1").unwrap();
    until(&mut rounds, &b, || names(at("done")).len() == 7).await;
    assert_eq!(result(at("done/+14155550199_letter.pdf.result.json")), done);
    assert_eq!(b.dialler.calls(), 3);
}

#[tokio::test]
async fn what_cannot_be_sent_is_put_aside_with_the_reason() {
    let b = Bench::running();
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let mut rounds = HotRounds::open(hot(dir.path())).unwrap();
    fs::write(at("a.pdf"), "pages:1").unwrap();
    fs::write(at("a.json"), r#"{"too": "1"}"#).unwrap();
    fs::write(at("+14155550101.pdf"), vec![b'x'; 1001]).unwrap();
    fs::write(at("123_short.pdf"), "pages:1").unwrap();
    fs::write(at("+14155550102.pdf"), "nonsense").unwrap();
    fs::write(at("+14155550103.pdf"), "").unwrap();
    until(&mut rounds, &b, || names(at("failed")).len() == 11).await;
    for (name, reason) in [
        ("a.pdf", "too"),
        ("+14155550101.pdf", "more than 1000 octets"),
        ("123_short.pdf", "not a number"),
        ("+14155550102.pdf", "is no document"),
        ("+14155550103.pdf", "no document"),
    ] {
        let told = result(at("failed").join(format!("{name}.result.json")));
        assert!(told["reason"].as_str().unwrap().contains(reason), "{name}: {told}");
    }
    assert_eq!(b.dialler.calls(), 0);
}

#[tokio::test]
async fn what_is_unfinished_a_link_or_without_a_number_is_left_alone() {
    let b = Bench::running();
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let settle = Duration::from_millis(600);
    let mut rounds = HotRounds::open(HotFolder { settle, ..hot(dir.path()) }).unwrap();
    for name in [".+14155550101.pdf", "+14155550101.pdf.part", "+14155550101.tmp", "letter.pdf"] {
        fs::write(at(name), "pages:1").unwrap();
    }
    std::os::unix::fs::symlink("/etc/passwd", at("+14155550101.txt")).unwrap();
    // One that grows: it is not taken before it has been left alone.
    for n in 0..8 {
        fs::write(at("+14155550102.pdf"), format!("pages:{}", "1".repeat(n))).unwrap();
        rounds.round(&b.service).await.unwrap();
        assert!(at("+14155550102.pdf").exists());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    fs::write(at("+14155550102.pdf"), "pages:1").unwrap();
    until(&mut rounds, &b, || at("done/+14155550102.pdf").exists()).await;
    assert_eq!(b.dialler.calls(), 1);
    assert_eq!(names(dir.path()).len(), 4 + 5);
}

/// One file that cannot be moved, one with the longest name there is: the others are sent and filed, and the log says which.
#[tokio::test]
async fn a_file_that_cannot_be_worked_on_does_not_stop_the_others() {
    let b = Bench::running();
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let mut rounds = HotRounds::open(hot(dir.path())).unwrap();
    let long = format!("+14155550101_{}é.pdf", "x".repeat(255 - 13 - 2 - 4));
    assert_eq!(long.len(), 255);
    fs::write(at(&long), "pages:1").unwrap();
    // It was handed in, and where it is to go a folder stands in its way.
    let id = "0123456789abcdef0123456789abcdef";
    fs::write(at(&format!("taken/{id}-+14155550102.pdf")), "pages:1").unwrap();
    fs::create_dir(at(&format!("queued/{id}-+14155550102.pdf"))).unwrap();
    fs::write(at("+14155550103.pdf"), "pages:1").unwrap();
    let mut said = String::new();
    for _ in 0..400 {
        said = rounds.round(&b.service).await.unwrap_err().to_string();
        if names(at("done")).len() == 4 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert!(said.starts_with("+14155550102.pdf: "), "{said}");
    let done = names(at("done"));
    assert_eq!(done.len(), 4, "{done:?}");
    assert!(done.contains(&"+14155550103.pdf".to_owned()));
    assert!(done.iter().any(|n| n.starts_with("+14155550101_xxx") && n.ends_with(".pdf") && n.len() == 200));
    // A folder of call files likewise.
    let out = dir.path().join("calls");
    fs::create_dir(&out).unwrap();
    let mut rounds = CallRounds::open(calls(&out, dir.path())).unwrap();
    let document = at("done/+14155550103.pdf");
    fs::write(out.join(format!("outgoing/.taken/{id}-a.call")), call_file("4155550105", &document, ""))
        .unwrap();
    fs::create_dir(out.join(format!("outgoing/.queued/{id}-a.call"))).unwrap();
    fs::write(out.join("outgoing/b.call"), call_file("4155550104", &document, "Archive: yes\n")).unwrap();
    for _ in 0..400 {
        said = rounds.round(&b.service).await.unwrap_err().to_string();
        if out.join("outgoing_done/b.call").exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert!(said.starts_with("a.call: ") && out.join("outgoing_done/b.call").exists(), "{said}");
}

/// Three nodes look at one folder, each of them all the time: every document is sent once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_that_share_a_folder_send_nothing_twice() {
    const DOCUMENTS: usize = 60;
    let b = Bench::running();
    let dir = tempfile::tempdir().unwrap();
    let stop = tokio::sync::watch::Sender::new(false);
    let mut nodes = Vec::new();
    for _ in 0..3 {
        let rounds = Rounds::Hot(HotRounds::open(hot(dir.path())).unwrap());
        nodes.push(tokio::spawn(rounds.run(b.service.clone(), Duration::from_millis(5), stop.subscribe())));
    }
    for n in 0..DOCUMENTS {
        // Written elsewhere and moved in, as it should be done: settle is nothing here.
        let name = format!("+1415555{n:04}.pdf");
        let part = dir.path().join(format!("{name}.part"));
        fs::write(&part, "pages:1").unwrap();
        fs::rename(part, dir.path().join(name)).unwrap();
    }
    for _ in 0..1200 {
        if names(dir.path().join("done")).len() == 2 * DOCUMENTS {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    stop.send_replace(true);
    for node in nodes {
        node.await.unwrap();
    }
    assert_eq!(names(dir.path().join("done")).len(), 2 * DOCUMENTS);
    assert_eq!(jobs(&b).await.len(), DOCUMENTS);
    assert_eq!(b.dialler.calls(), DOCUMENTS);
    assert!(names(dir.path().join("failed")).is_empty());
}

/// A crash after each step, and the next node begins with what lies there.
#[tokio::test]
async fn a_crash_between_any_two_steps_loses_nothing_and_sends_nothing_twice() {
    let mut b = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let mut rounds = HotRounds::open(hot(dir.path())).unwrap();
    // Taken, and no more: ticket still in its place.
    let id = "0123456789abcdef0123456789abcdef";
    fs::write(at(&format!("taken/{id}+letter.pdf")), "pages:1").unwrap();
    fs::write(at("letter.json"), r#"{"to": "+14155550101"}"#).unwrap();
    // One whose number is in its name does not take the ticket of another.
    let other = "1123456789abcdef0123456789abcdef";
    fs::write(at(&format!("taken/{other}-+14155550102_letter.pdf")), "pages:1").unwrap();
    fs::write(at("+14155550102_letter.json"), "{").unwrap();
    rounds.round(&b.service).await.unwrap();
    assert_eq!(names(at("queued")).len(), 3);
    assert_eq!(jobs(&b).await.len(), 2);
    // Handed in, and not moved on.
    fs::rename(at(&format!("queued/{id}+letter.pdf")), at(&format!("taken/{id}+letter.pdf"))).unwrap();
    fs::rename(at(&format!("queued/{id}.ticket")), at(&format!("taken/{id}.ticket"))).unwrap();
    let mut again = HotRounds::open(hot(dir.path())).unwrap();
    again.round(&b.service).await.unwrap();
    assert_eq!(jobs(&b).await.len(), 2, "one job for each document");
    b.start();
    until(&mut again, &b, || names(at("done")).len() == 5).await;
    // Its result was written, and the document not moved.
    fs::rename(at("done/letter.pdf"), at(&format!("queued/{id}+letter.pdf"))).unwrap();
    until(&mut again, &b, || at("done/letter.pdf").exists()).await;
    assert_eq!(names(at("done")).len(), 5);
    assert_eq!(b.dialler.calls(), 2);
    // A job that is there no more is not made again.
    let gone = "2123456789abcdef0123456789abcdef";
    fs::write(at(&format!("queued/{gone}-+14155550103.pdf")), "pages:1").unwrap();
    until(&mut again, &b, || at("failed/+14155550103.pdf").exists()).await;
    assert_eq!(b.dialler.calls(), 2);
}

#[tokio::test]
async fn a_document_with_a_long_name_finds_its_ticket_after_a_crash() {
    let b = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let mut rounds = HotRounds::open(hot(dir.path())).unwrap();
    // Taken under a shorter name, and no more: its ticket is still in its place, beside that of another.
    let taken = format!("taken/0123456789abcdef0123456789abcdef+{}.pdf", "x".repeat(196));
    fs::write(dir.path().join(taken), "pages:1").unwrap();
    for (of, number) in [("x".repeat(240), "+14155550101"), ("x".repeat(195), "+14155550102")] {
        let ticket = dir.path().join(format!("{of}.json"));
        fs::write(ticket, format!(r#"{{"to": "{number}"}}"#)).unwrap();
    }
    rounds.round(&b.service).await.unwrap();
    let [job] = jobs(&b).await.try_into().unwrap();
    assert_eq!(job.to_number, "+14155550101");
}

fn call_file(number: &str, document: &Path, more: &str) -> String {
    format!("Channel: SIP/carrier/{number}\nApplication: SendFAX\nData: {},f\n{more}", document.display())
}

#[tokio::test]
async fn call_files_are_sent_when_their_time_has_come_and_archived_if_they_ask() {
    let b = Bench::running();
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("documents")).unwrap();
    let document = at("documents/a.tif");
    fs::write(&document, "pages:1").unwrap();
    fs::write(at("secret"), "pages:1").unwrap();
    std::os::unix::fs::symlink(at("secret"), at("documents/link.tif")).unwrap();
    let mut rounds = CallRounds::open(calls(dir.path(), &at("documents"))).unwrap();
    let out = |name: &str| at("outgoing").join(name);
    let kept = |name: &str| fs::read_to_string(at("outgoing_done").join(name)).unwrap_or_default();
    let lay = |name: &str, text: String| {
        fs::write(at(name), text).unwrap();
        fs::rename(at(name), out(name)).unwrap();
    };
    b.dialler.then(Script::Deliver);
    lay("plain.call", call_file("4155550101", &document, "Callerid: Clinic <4155550100>\nMaxRetries: 1\n"));
    lay("kept.call", call_file("4155550102", &document, "Archive: yes\n"));
    lay("later.call", call_file("4155550103", &document, ""));
    let later = SystemTime::now() + Duration::from_secs(3600);
    fs::File::open(out("later.call")).unwrap().set_modified(later).unwrap();
    lay("outside.call", call_file("4155550104", &at("secret"), ""));
    lay("link.call", call_file("4155550104", &at("documents/link.tif"), ""));
    lay("dots.call", call_file("4155550104", &at("documents/../secret"), ""));
    lay("wrong.call", "Channel: SIP/carrier/4155550105\nApplication: Playback\n".into());
    for _ in 0..400 {
        rounds.round(&b.service).await.unwrap();
        let open = names(at("outgoing")).iter().filter(|n| n.ends_with(".call")).count();
        if open == 1 && names(at("outgoing/.queued")).is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert!(kept("kept.call").ends_with("\nStatus: Completed\n"), "{}", kept("kept.call"));
    assert!(kept("kept.call").starts_with("Channel: SIP/carrier/4155550102\n"));
    assert_eq!(kept("plain.call"), "", "nobody asked for it to be kept");
    for name in ["outside.call", "link.call", "dots.call"] {
        assert!(kept(name).contains("Status: Failed\n; The document"), "{name}: {}", kept(name));
    }
    assert!(kept("wrong.call").contains("Status: Failed\n; Line 2"), "{}", kept("wrong.call"));
    assert_eq!(b.dialler.calls(), 2);
    let jobs = jobs(&b).await;
    let plain = jobs.iter().find(|j| j.to_number == "+14155550101").unwrap();
    assert_eq!((plain.from_number.as_str(), plain.from_name.as_str()), ("4155550100", "Clinic"));
    assert_eq!(plain.retries, 2);
    assert!(plain.created > Timestamp(0));
    // Its time comes.
    assert!(out("later.call").exists());
    fs::File::open(out("later.call")).unwrap().set_modified(SystemTime::now()).unwrap();
    for _ in 0..400 {
        rounds.round(&b.service).await.unwrap();
        if b.dialler.calls() == 3 && names(at("outgoing/.queued")).is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!((b.dialler.calls(), names(at("outgoing"))), (3, vec![".queued".into(), ".taken".into()]));
}
