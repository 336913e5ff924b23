//! Ladders of whole calls, as they are printed: `testdata/ladders`. With `FERROFAX_BLESS` set they are written anew.

#![allow(clippy::unwrap_used, clippy::panic)] // functions beside the tests

use core::time::Duration;
use fax_base::Instant;
use fax_base::page::{Resolution, Width};
use fax_t30::{Capabilities, Role};
use fax_terminal::ladder::{Ladder, WIDTH, lines};
use fax_terminal::recording::file::{self, Kind, State};
use fax_terminal::recording::{Carrier, Options, Replay, Step};
use fax_terminal::{AudioOptions, Config, Document, Terminal};
use std::path::Path;
use std::sync::Arc;
use testkit::network::Impairments;
use testkit::pages;
use testkit::pair::{Plan, call};

fn terminal(role: Role, count: u64, capabilities: Capabilities) -> Terminal {
    let page = |n| Arc::new(pages::coded(&pages::text(1728, 300, n), Resolution::Fine, Width::A4));
    let ident = if role == Role::Calling { "+49 228 123456" } else { "+49 30 987654" };
    let config = Config {
        role,
        ident: ident.into(),
        documents: vec![Document::new((0..count).map(page).collect())],
        capabilities,
        ..Config::default()
    };
    Terminal::recorded(config, AudioOptions::default(), &Options { numbers: true, ..Options::default() })
}

/// The ladder of a recorded call.
fn ladder(terminal: &mut Terminal) -> String {
    let tape = terminal.tape().unwrap();
    let mut octets = file::head(State::Good).to_vec();
    file::chunk(&mut octets, Kind::Setup, &tape.take_setup());
    file::chunk(&mut octets, Kind::Records, &tape.swap(Vec::new()));
    let mut replay = Replay::open(&octets, &[]).unwrap();
    let mut ladder = Ladder::new(replay.setup().config.role);
    let mut text = String::new();
    while let Some((at, step)) = replay.step().unwrap() {
        let lines = match step {
            Step::Output(output) => ladder.output(at, &output),
            Step::Carrier(Carrier::T38(_)) => lines(Some(at), None, "", "T.38 from here on"),
            Step::Carrier(Carrier::Audio) | Step::Lost(_) | Step::HungUp | Step::Cancelled => Vec::new(),
        };
        lines.iter().for_each(|line| text.push_str(&format!("{line}\n")));
    }
    assert_eq!(replay.report().difference, None);
    text
}

fn golden(name: &str, text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= WIDTH && line.trim_end() == line, "{line:?}");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/ladders").join(name);
    if std::env::var_os("FERROFAX_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(kept == text, "{name} is not as kept; it is now:\n{text}");
}

#[test]
fn two_pages_by_t38() {
    let plan = Plan::default();
    let (mut a, mut b) = call(
        terminal(Role::Calling, 2, Capabilities::default()),
        terminal(Role::Called, 0, Capabilities::default()),
        &plan,
    );
    golden("t38-sent.txt", &ladder(&mut a.terminal));
    golden("t38-received.txt", &ladder(&mut b.terminal));
}

/// Frames are lost and asked for again, commands are repeated.
#[test]
fn a_lossy_call() {
    let there = Impairments {
        latency: Duration::from_millis(50),
        loss: 0.08,
        burst: 6.0,
        longest_burst: 20,
        ..Impairments::default()
    };
    let plan = Plan { there, back: there, seed: 5, ..Plan::default() };
    let (mut a, _) = call(
        terminal(Role::Calling, 2, Capabilities::default()),
        terminal(Role::Called, 0, Capabilities::default()),
        &plan,
    );
    golden("t38-lossy.txt", &ladder(&mut a.terminal));
}

/// The far end goes away in the middle of a page.
#[test]
fn a_call_that_fails() {
    let dead = Impairments { loss: 1.0, burst: 1e9, longest_burst: u32::MAX, ..Impairments::default() };
    let plan = Plan { back: dead, ..Plan::default() };
    let (_, mut b) = call(
        terminal(Role::Calling, 1, Capabilities::default()),
        terminal(Role::Called, 0, Capabilities::default()),
        &plan,
    );
    golden("failed.txt", &ladder(&mut b.terminal));
}

#[test]
fn nothing_is_wider_than_the_page() {
    let long = "x".repeat(500);
    for words in [long.as_str(), &"word ".repeat(100), ""] {
        for (sender, name) in [(Some(Role::Calling), "PPS-PRI-EOM"), (Some(Role::Called), "DIS"), (None, "")]
        {
            for line in lines(Some(Instant::from_millis(123_456_789)), sender, name, words) {
                assert!(line.chars().count() <= WIDTH, "{line:?}");
            }
        }
    }
}
