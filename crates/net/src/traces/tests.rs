//! The folder of recordings: what is kept of which calls.

use super::*;
use fax_terminal::recording::Replay;
use fax_terminal::{AudioOptions, Config, Input, Terminal};
use std::time::{Duration as Time, Instant as Clock};

fn config(folder: &Path) -> TraceConfig {
    TraceConfig { keep_good: 2, ..TraceConfig::new(folder) }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Waits for the writer.
fn until(what: &str, done: impl Fn() -> bool) {
    let began = Clock::now();
    while !done() {
        assert!(began.elapsed() < Time::from_secs(10), "{what}");
        std::thread::sleep(Time::from_millis(2));
    }
}

fn terminal(traces: &Traces) -> Terminal {
    let options = traces.options(vec![("trunk".to_owned(), "carrier".to_owned())]);
    Terminal::recorded(Config::default(), AudioOptions::default(), &options)
}

/// Some seconds of a call; its file's name.
fn call(traces: &Traces, seconds: u64, end: Option<bool>) -> String {
    let mut terminal = terminal(traces);
    let (name, mut recording) = traces.begin(terminal.tape().unwrap());
    terminal.handle(Instant::ZERO, Input::Start);
    for n in 1..seconds * 50 {
        let now = Instant::from_millis(20 * n);
        terminal.transmit_audio(now, &mut [0; 160]);
        terminal.handle(now, Input::Audio(&[n as i16; 160]));
        while terminal.poll().is_some() {}
        recording.keep(now, terminal.tape().unwrap());
    }
    if let Some(good) = end {
        recording.end(Instant::from_millis(1000 * seconds), terminal.tape().unwrap(), good);
    }
    name
}

fn state_of(path: &Path) -> Option<State> {
    std::fs::read(path).ok().and_then(|octets| file::state(&octets))
}

#[test]
fn good_calls_make_room_for_newer_ones_and_failed_ones_stay() {
    let folder = tempfile::tempdir().unwrap();
    let traces = Traces::start(config(folder.path())).unwrap();
    let failed = call(&traces, 1, Some(false));
    let mut good = Vec::new();
    for _ in 0..4 {
        good.push(call(&traces, 1, Some(true)));
        let last = folder.path().join(good.last().unwrap());
        until("the last call has no end", || state_of(&last) == Some(State::Good) || !last.exists());
    }
    until("too many good ones", || names(folder.path()).len() == 3);
    assert!(names(folder.path()).contains(&failed));
    // What another program left there stays.
    std::fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    let small = TraceConfig { most_octets: 0, ..config(folder.path()) };
    drop(Traces::start(small).unwrap());
    assert_eq!(names(folder.path()), ["notes.txt"]);
}

#[test]
fn a_call_cut_off_can_be_read_up_to_there() {
    let folder = tempfile::tempdir().unwrap();
    let traces = Traces::start(config(folder.path())).unwrap();
    let mut terminal = terminal(&traces);
    let (name, mut recording) = traces.begin(terminal.tape().unwrap());
    let path = folder.path().join(name);
    terminal.handle(Instant::ZERO, Input::Start);
    let mut n = 0;
    until("nothing is written", || path.exists());
    while std::fs::metadata(&path).unwrap().len() < 2_000 {
        n += 1;
        let now = Instant::from_millis(20 * n);
        terminal
            .handle(now, Input::Audio(&core::array::from_fn::<i16, 160, _>(|i| (i * 7 + n as usize) as i16)));
        while terminal.poll().is_some() {}
        recording.keep(now, terminal.tape().unwrap());
        std::thread::sleep(Time::from_millis(1));
    }
    // As after a crash: nobody says that it ended.
    let octets = std::fs::read(&path).unwrap();
    assert_eq!(file::state(&octets), Some(State::Open));
    let mut replay = Replay::open(&octets, &[]).unwrap();
    while replay.step().unwrap().is_some() {}
    assert!(replay.report().inputs > 20);
    assert!(replay.report().cut.is_some() && replay.report().difference.is_none());
    assert_eq!(replay.setup().labels, [("trunk".to_owned(), "carrier".to_owned())]);
}

#[test]
fn a_slow_disk_cuts_the_recording_and_not_the_call() {
    let (to, inbox) = channel();
    let folder = tempfile::tempdir().unwrap();
    // A writer that never gets to it.
    let traces = Traces { config: Arc::new(config(folder.path())), to, next: Arc::new(AtomicU64::new(1)) };
    let mut terminal = terminal(&traces);
    let (_, mut recording) = traces.begin(terminal.tape().unwrap());
    terminal.handle(Instant::ZERO, Input::Start);
    for n in 1..2_000u64 {
        let now = Instant::from_millis(20 * n);
        terminal.handle(now, Input::Audio(&[9; 160]));
        while terminal.poll().is_some() {}
        recording.keep(now, terminal.tape().unwrap());
    }
    assert!(terminal.tape().unwrap().is_cut());
    assert!(terminal.tape().unwrap().waiting() < MOST_WAITING + ROOM);
    assert_eq!(inbox.try_iter().filter(|m| matches!(m, Message::Records { .. })).count(), BUFFERS - 1);
}
