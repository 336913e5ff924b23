//! `ferrofax line` by its contract: lock-step, the end of a call from either side, reports, and faults in plain words.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "world/papers.rs"]
#[allow(dead_code)]
mod papers;
mod pipe;

use fax_base::line::Tone;
use fax_dsp::ToneDetector;
use pipe::{BLOCK, Come, Desk, Machine, command, output};
use std::process::Output;

const SILENCE: Come = Come::Arrived([0; BLOCK]);

fn err(of: &Output) -> String {
    String::from_utf8_lossy(&of.stderr).into_owned()
}

/// A desk with a document of one page.
fn desk() -> Desk {
    let desk = Desk::new();
    std::fs::write(desk.path("a.tif"), papers::marked_tiff(1, 1)).unwrap();
    desk
}

/// Wrong use: status 2, these words, and not an octet of audio.
fn refused(args: &[&str], words: &[&str]) {
    let ran = output(args);
    let said = err(&ran);
    assert_eq!(ran.status.code(), Some(2), "{args:?}: {said}");
    assert!(ran.stdout.is_empty(), "{args:?}");
    for word in words {
        assert!(said.contains(word), "{args:?}: {word:?} is not in {said:?}");
    }
}

#[test]
fn wrong_use_is_told_with_its_remedy() {
    let desk = desk();
    let a = desk.arg("a.tif");
    refused(&[], &["--call", "--answer"]);
    refused(&["--call", "--answer"], &["--call", "--answer"]);
    refused(&["--call"], &["nothing to do", "--send", "--poll"]);
    refused(&["--answer", "--poll"], &["--poll", "--answer"]);
    refused(&["--answer", "--sub", "1"], &["--sub", "--call"]);
    refused(&["--call", "--send", &a, "--sep", "1"], &["--sep", "--poll"]);
    refused(&["--call", "--send", &a, "--ecm", "maybe"], &["maybe", "on", "off"]);
    refused(&["--call", "--send", &a, "--modems", "v34"], &["v34", "v27ter", "v29", "v17"]);
    refused(&["--call", "--send", &a, "--compression", "jpeg"], &["jpeg", "mh", "mr", "mmr", "t85"]);
    refused(&["--call", "--send", &a, "--max-rate", "fast"], &["fast", "--max-rate"]);
    refused(
        &["--call", "--send", &a, "--max-rate", "2400", "--modems", "v29,v17"],
        &["2400", "V.29", "7200"],
    );
    refused(&["--call", "--send", &a, "--max-rate", "4800", "--min-rate", "9600"], &["9600", "4800"]);
    refused(&["--call", "--send", &a, "--id", "123456789012345678901"], &["--id", "20"]);
    refused(&["--call", "--send", &a, "--pwd", "open sesame"], &["--pwd", "digits"]);
    refused(&["--call", "--send", &a, "--frames", "tagged"], &["tagged", "raw", "flagged"]);
}

#[test]
fn files_that_cannot_be_used_end_before_the_call() {
    let desk = desk();
    let a = desk.arg("a.tif");
    let none = desk.arg("none.tif");
    refused(&["--call", "--send", &none], &["none.tif", "cannot be read"]);
    std::fs::write(desk.path("noise.tif"), [7; 500]).unwrap();
    refused(&["--call", "--send", &desk.arg("noise.tif")], &["noise.tif"]);
    // A folder where a file stands, a report and a trace in a folder that is not there.
    refused(&["--answer", "--receive", &format!("{a}/in")], &["a.tif/in", "cannot be made"]);
    let nowhere = desk.arg("no/where");
    refused(
        &["--answer", "--receive", &desk.arg("in"), "--report", &nowhere],
        &["no/where", "cannot be written"],
    );
    refused(
        &["--answer", "--receive", &desk.arg("in"), "--trace", &nowhere],
        &["no/where", "cannot be written"],
    );
}

#[test]
fn time_goes_by_blocks_alone_and_silence_ends_by_t0() {
    let desk = desk();
    let (a, report, trace) = (desk.arg("a.tif"), desk.arg("r.json"), desk.arg("t.txt"));
    let mut machine = Machine::start(["--call", "--send", &a, "--report", &report, "--trace", &trace]);
    let (mut detector, mut heard) = (ToneDetector::new(), Vec::new());
    let mut blocks = 0;
    while let Some(block) = machine.step(&SILENCE) {
        detector.receive(&block, &mut heard);
        blocks += 1;
        assert!(blocks < 80 * 50, "T0 never came");
    }
    let ended = machine.hang_up();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(heard.len() > 5 && heard.iter().all(|t| *t == Tone::Cng), "{heard:?}");
    // T0 is 60 s ± 5 s (T.30 §5.4.3.1); DCN may follow.
    assert!((55 * 50..70 * 50).contains(&blocks), "{blocks} blocks");
    let report = desk.report("r.json");
    assert_eq!((&report["status"], &report["error"]), (&"failed".into(), &"call.nofax".into()));
    assert_eq!((&report["pages_sent"], &report["modem"]), (&0.into(), &serde_json::Value::Null));
    assert!((report["duration_s"].as_f64().unwrap() - blocks as f64 / 50.0).abs() < 0.05);
    assert!(desk.text("t.txt").contains("phase A"), "{}", desk.text("t.txt"));
}

#[test]
fn the_called_end_says_ced_and_dis_and_ends_when_the_line_does() {
    let desk = desk();
    let (dir, report, trace) = (desk.arg("in"), desk.arg("r.json"), desk.arg("t.txt"));
    let mut machine = Machine::start([
        "--answer",
        "--receive",
        &dir,
        "--id",
        "+1 555 0100",
        "--report",
        &report,
        "--trace",
        &trace,
    ]);
    let (mut detector, mut heard) = (ToneDetector::new(), Vec::new());
    for _ in 0..50 * 8 {
        let block = machine.step(&SILENCE).unwrap();
        detector.receive(&block, &mut heard);
    }
    assert_eq!(heard, [Tone::Ced]);
    let ended = machine.hang_up();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let report = desk.report("r.json");
    assert_eq!((&report["status"], &report["error"]), (&"failed".into(), &"call.dropped".into()));
    assert_eq!(report["duration_s"], 8.0);
    let trace = desk.text("t.txt");
    assert!(
        trace.contains("◀─ CSI  number of the called end: +1 555 0100")
            && trace.contains("◀─ DIS  can: receive"),
        "{trace}"
    );
}

#[test]
fn flagged_blocks_and_what_is_none() {
    let desk = desk();
    let dir = desk.arg("in");
    let mut machine = Machine::start(["--answer", "--frames", "flagged", "--receive", &dir]);
    for i in 0..100 {
        assert!(machine.step(if i % 7 == 0 { &Come::Lost } else { &SILENCE }).is_some());
    }
    assert_eq!(machine.hang_up().code, Some(1));
    // Raw blocks where flagged ones were promised.
    let mut command = command(["--answer", "--frames", "flagged", "--receive", &dir]);
    let mut child = command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), &[9; 5000]).unwrap();
    let ran = child.wait_with_output().unwrap();
    assert_eq!(ran.status.code(), Some(2));
    assert!(err(&ran).contains("--frames flagged"), "{}", err(&ran));
}

#[test]
fn nothing_at_all_and_a_piece_of_a_block_are_a_call_that_was_dropped() {
    let desk = desk();
    let ran = output(["--answer", "--receive", &desk.arg("in")]);
    assert_eq!((ran.status.code(), ran.stdout.len()), (Some(1), 0), "{}", err(&ran));
    let mut child = command(["--answer", "--receive", &desk.arg("in")])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), &[0; 2 * 320 + 100]).unwrap();
    let ran = child.wait_with_output().unwrap();
    assert_eq!((ran.status.code(), ran.stdout.len()), (Some(1), 2 * 320));
}
