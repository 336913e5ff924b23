//! Calls of every kind are recorded and replayed to the same outputs; damaged recordings are refused in a sentence.

#![allow(clippy::unwrap_used, clippy::panic)] // functions beside the tests

use core::time::Duration;
use fax_base::Instant;
use fax_base::page::{Resolution, Width};
use fax_dsp::Law;
use fax_image::Bitmap;
use fax_t30::{Event, Poll, Role};
use fax_terminal::recording::file::{self, Kind, State};
use fax_terminal::recording::{Carrier, Difference, Options, Replay, Report, Step};
use fax_terminal::{AudioOptions, CodedPage, Config, Document, Input, Output, Terminal};
use std::sync::Arc;
use testkit::audio::{Ours, Path};
use testkit::network::Impairments;
use testkit::pages;
use testkit::pair::{Plan, Switch, call};

const LIMIT: Duration = Duration::from_secs(1800);

fn coded(count: u64, rows: u32) -> Vec<Arc<CodedPage>> {
    let page = |n| Arc::new(pages::coded(&pages::text(1728, rows, n), Resolution::Fine, Width::A4));
    (0..count).map(page).collect()
}

fn clear() -> Options {
    Options { numbers: true, ..Options::default() }
}

fn config(role: Role, pages: Vec<Arc<CodedPage>>) -> Config {
    let ident = match role {
        Role::Calling => "+49 228 123456",
        Role::Called => "+49 30 987654",
    };
    Config { role, ident: ident.into(), documents: vec![Document::new(pages)], ..Config::default() }
}

fn recorded(config: Config, options: &Options) -> Terminal {
    Terminal::recorded(config, AudioOptions::default(), options)
}

/// What a driver writes of a call.
fn written(terminal: &mut Terminal, state: State) -> Vec<u8> {
    let tape = terminal.tape().unwrap();
    let mut out = file::head(state).to_vec();
    file::chunk(&mut out, Kind::Setup, &tape.take_setup());
    file::chunk(&mut out, Kind::Records, &tape.swap(Vec::new()));
    out
}

/// A replay to its end: the steps, and the report.
fn replayed(octets: &[u8], pages: &[Arc<CodedPage>]) -> (Vec<(Instant, Step)>, Report) {
    let mut replay = Replay::open(octets, pages).unwrap();
    let mut steps = Vec::new();
    while let Some(step) = replay.step().unwrap() {
        steps.push(step);
    }
    (steps, replay.report().clone())
}

fn events(steps: &[(Instant, Step)]) -> Vec<Event> {
    let event = |(_, step): &(_, Step)| match step {
        Step::Output(Output::Event(event)) => Some(event.clone()),
        _ => None,
    };
    steps.iter().filter_map(event).collect()
}

/// The recording replays to what was told in the call, and nothing differs.
fn assert_same(what: &str, terminal: &mut Terminal, told: &[(Instant, Event)]) -> Vec<u8> {
    let octets = written(terminal, State::Good);
    let (steps, report) = replayed(&octets, &[]);
    assert_eq!((&report.difference, report.cut), (&None, None), "{what}");
    assert!(report.compared > 20, "{what}: {report:?}");
    assert_eq!(events(&steps), told.iter().map(|(_, e)| e.clone()).collect::<Vec<_>>(), "{what}");
    assert!(matches!(steps.last(), Some((_, Step::Output(Output::End(_))))), "{what}");
    octets
}

fn over_t38(what: &str, calling: Config, called: Config, plan: &Plan) -> [Vec<u8>; 2] {
    let (mut a, mut b) = call(recorded(calling, &clear()), recorded(called, &clear()), plan);
    [
        assert_same(&format!("{what}, calling"), &mut a.terminal, &a.events),
        assert_same(&format!("{what}, called"), &mut b.terminal, &b.events),
    ]
}

fn over_audio(what: &str, calling: Config, called: Config, path: Path, seed: u64) -> [Vec<u8>; 2] {
    let mut a = Ours::new(recorded(calling, &clear()));
    let mut b = Ours::new(recorded(called, &clear()));
    testkit::audio::call(&mut a, &mut b, path, path, seed, LIMIT);
    [
        assert_same(&format!("{what}, calling"), &mut a.terminal, &a.events),
        assert_same(&format!("{what}, called"), &mut b.terminal, &b.events),
    ]
}

#[test]
fn calls_over_t38_on_good_and_rough_networks() {
    let rough = Impairments {
        latency: Duration::from_millis(60),
        jitter: Duration::from_millis(15),
        loss: 0.05,
        burst: 2.0,
        longest_burst: 6,
        duplicates: 0.01,
        reorder: 0.01,
        reorder_delay: Duration::from_millis(40),
    };
    for (there, ecm) in [(Impairments::default(), true), (rough, true), (rough, false)] {
        for seed in 1..4 {
            let plan = Plan { there, back: there, seed, ..Plan::default() };
            let mut calling = config(Role::Calling, coded(2, 120));
            calling.capabilities.ecm = ecm;
            over_t38(&format!("{ecm} {seed}"), calling, config(Role::Called, vec![]), &plan);
        }
    }
}

/// From audio to T.38 in mid-call: CNG and CED before, IFPs after.
#[test]
fn calls_that_change_their_carrier() {
    for switch in [Switch::OnTone(Duration::from_millis(80)), Switch::After(Duration::from_millis(700))] {
        let plan = Plan { switch, ..Plan::default() };
        let files =
            over_t38("switch", config(Role::Calling, coded(1, 100)), config(Role::Called, vec![]), &plan);
        for octets in files {
            let (steps, _) = replayed(&octets, &[]);
            assert!(steps.iter().any(|(_, s)| matches!(s, Step::Carrier(Carrier::T38(_)))));
        }
    }
}

/// What the far end says of its bit rate is on the tape: T.30 goes by it.
#[test]
fn a_limited_bit_rate_is_kept_and_replays() {
    let calling = fax_t38::Config { far_max_bit_rate: 9_600, ..fax_t38::Config::default() };
    let plan = Plan { switch: Switch::After(Duration::from_millis(700)), calling, ..Plan::default() };
    let [octets, _] =
        over_t38("limited", config(Role::Calling, coded(1, 60)), config(Role::Called, vec![]), &plan);
    let (steps, _) = replayed(&octets, &[]);
    let limit = |s: &Step| matches!(s, Step::Carrier(Carrier::T38(c)) if c.far_max_bit_rate == 9_600);
    assert!(steps.iter().any(|(_, s)| limit(s)));
    let rates: Vec<u32> = events(&steps)
        .into_iter()
        .filter_map(|e| match e {
            Event::Negotiated { modulation, .. } => Some(modulation.bit_rate()),
            _ => None,
        })
        .collect();
    assert!(!rates.is_empty() && rates.iter().all(|r| *r <= 9_600), "{rates:?}");
}

#[test]
fn calls_over_audio_that_is_clean_or_lost() {
    let calling = || config(Role::Calling, coded(1, 150));
    let called = || config(Role::Called, vec![]);
    over_audio("clean", calling(), called(), Path { law: Some(Law::A), ..Path::default() }, 1);
    let lossy = Path { loss: 0.03, ..Path::default() };
    over_audio("lossy", calling(), called(), lossy, 7);
}

#[test]
fn polling_and_calls_that_fail() {
    let poller = Config { poll: vec![Poll::default()], ..config(Role::Calling, vec![]) };
    let polled = config(Role::Called, coded(1, 100));
    over_t38("polling", poller, polled, &Plan::default());
    // Nobody there: T1.
    let mut alone = recorded(config(Role::Calling, coded(1, 50)), &clear());
    alone.handle(Instant::ZERO, Input::Start);
    let mut told = Vec::new();
    while let Some(at) = alone.deadline() {
        alone.handle(at, Input::Timeout);
        while let Some(output) = alone.poll() {
            if let Output::Event(event) = output {
                told.push((at, event));
            }
        }
        let mut block = [0; 160];
        alone.transmit_audio(at, &mut block);
    }
    let octets = written(&mut alone, State::Failed);
    let (steps, report) = replayed(&octets, &[]);
    assert_eq!(report.difference, None);
    assert_eq!(events(&steps), told.into_iter().map(|(_, e)| e).collect::<Vec<_>>());
    let Some((_, Step::Output(Output::End(outcome)))) = steps.last() else { panic!("no end") };
    assert!(outcome.failure.is_some());
    // Nothing in common.
    let narrow = Config { receive: false, ..config(Role::Called, vec![]) };
    over_t38("cannot receive", config(Role::Calling, coded(1, 50)), narrow, &Plan::default());
}

/// The same audio as linear samples and as octets of G.711 makes the same call.
#[test]
fn g711_is_kept_as_it_came_and_replays() {
    let mut a = Ours::new(Terminal::new(config(Role::Calling, coded(1, 400))));
    let mut b = recorded(config(Role::Called, vec![]), &clear());
    b.handle(Instant::ZERO, Input::Start);
    let (mut now, mut ended, mut pages) = (Instant::ZERO, None, 0);
    while ended.is_none() {
        now += Duration::from_millis(20);
        let mut block = [0i16; 160];
        testkit::audio::Machine::transmit(&mut a, now, &mut block);
        let octets = block.map(|s| Law::Mu.encode(s));
        b.handle(now, Input::G711(Law::Mu, &octets));
        if b.deadline().is_some_and(|at| at <= now) {
            b.handle(now, Input::Timeout);
        }
        b.transmit_audio(now, &mut block);
        testkit::audio::Machine::receive(&mut a, now, &block);
        while let Some(output) = b.poll() {
            match output {
                Output::Page(_) => pages += 1,
                Output::End(outcome) => ended = Some(outcome.failure),
                _ => {}
            }
        }
    }
    assert_eq!((ended, pages), (Some(None), 1));
    let plain = b.tape().unwrap().waiting() as f64;
    let octets = written(&mut b, State::Good);
    let (_, report) = replayed(&octets, &[]);
    assert_eq!((report.difference, report.cut), (None, None));
    let seconds = report.end.as_millis() as f64 / 1000.0;
    println!(
        "{seconds:.0} s: {plain} octets, packed {} ({:.0} kB for two minutes plain, {:.0} kB packed)",
        octets.len(),
        plain / seconds * 0.12,
        octets.len() as f64 / seconds * 0.12
    );
    assert!(plain / seconds * 120.0 < 1_200_000.0);
}

#[test]
fn a_fax_over_t38_is_small() {
    let bitmaps: Vec<Bitmap> = (0..3).map(|n| pages::text(1728, 2200, n)).collect();
    let pages = bitmaps.iter().map(|b| Arc::new(pages::coded(b, Resolution::Fine, Width::A4))).collect();
    let files =
        over_t38("size", config(Role::Calling, pages), config(Role::Called, vec![]), &Plan::default());
    for octets in files {
        let seconds = replayed(&octets, &[]).1.end.as_millis() as f64 / 1000.0;
        println!("{seconds:.0} s of T.38: {} octets", octets.len());
        assert!(octets.len() as f64 / seconds * 120.0 < 500_000.0);
    }
}

/// What the far end says, or what we would say, is changed: the replay says when.
#[test]
fn a_difference_is_shown_with_its_time() {
    let [octets, _] =
        over_t38("", config(Role::Calling, coded(1, 80)), config(Role::Called, vec![]), &Plan::default());
    let original = coded(1, 80);
    let mut hashed = recorded(
        config(Role::Calling, original.clone()),
        &Options { pages: false, numbers: true, ..Options::default() },
    );
    let mut called = recorded(config(Role::Called, vec![]), &clear());
    let setup = hashed.tape().unwrap().take_setup();
    drop(called.tape().unwrap().take_setup());
    // The setup says another ident than the call had.
    let mut forged = file::head(State::Good).to_vec();
    let changed =
        recorded(Config { ident: "+1".into(), ..config(Role::Calling, original.clone()) }, &clear())
            .tape()
            .unwrap()
            .take_setup();
    file::chunk(&mut forged, Kind::Setup, &changed);
    let records = Replay::open(&octets, &[]).map(|_| octets.clone()).unwrap();
    // The records of the first call behind the changed setup.
    forged.extend_from_slice(&records[10 + chunk_length(&records[10..])..]);
    let (_, report) = replayed(&forged, &[]);
    let Difference { at, number, recorded, .. } = report.difference.unwrap();
    assert!(at > Instant::ZERO && number > 1, "{at} {number} {recorded}");
    // Pages by hash: the right ones are wanted, and no others.
    let mut by_hash = file::head(State::Good).to_vec();
    file::chunk(&mut by_hash, Kind::Setup, &setup);
    by_hash.extend_from_slice(&records[10 + chunk_length(&records[10..])..]);
    assert!(Replay::open(&by_hash, &[]).unwrap_err().0.contains("give the pages"));
    assert!(Replay::open(&by_hash, &coded(2, 80)[1..]).unwrap_err().0.contains("page 1 is not"));
    assert_eq!(replayed(&by_hash, &original).1.difference, None);
}

/// The length of the chunk that begins here.
fn chunk_length(octets: &[u8]) -> usize {
    13 + u32::from_le_bytes(octets[5..9].try_into().unwrap()) as usize
}

#[test]
fn numbers_are_left_out_and_the_rest_still_compared() {
    for audio in [false, true] {
        let options = Options::default();
        let calling = Config { sub_address: Some("4711".into()), ..config(Role::Calling, coded(1, 100)) };
        let (a, b) = (recorded(calling, &options), recorded(config(Role::Called, vec![]), &options));
        let files = if audio {
            let (mut a, mut b) = (Ours::new(a), Ours::new(b));
            testkit::audio::call(&mut a, &mut b, Path::default(), Path::default(), 1, LIMIT);
            assert_eq!(a.cause(), None);
            [written(&mut a.terminal, State::Good), written(&mut b.terminal, State::Good)]
        } else {
            let (mut a, mut b) = call(a, b, &Plan::default());
            assert_eq!(a.cause(), None);
            [written(&mut a.terminal, State::Good), written(&mut b.terminal, State::Good)]
        };
        for octets in files {
            let replay = Replay::open(&octets, &[]).unwrap();
            let setup = format!("{:?}", replay.setup());
            assert!(!setup.contains("228 1234") && !setup.contains("30 9876") && !setup.contains("4711"));
            let (_, report) = replayed(&octets, &[]);
            assert_eq!((report.difference, report.cut), (None, None), "audio: {audio}");
        }
    }
}

#[test]
fn a_password_leaves_no_recording() {
    let with = Config { password: Some("0815".into()), ..config(Role::Called, vec![]) };
    assert!(recorded(with.clone(), &clear()).tape().is_none());
    // The other end sends one: what was recorded is void.
    let sender = Config { role: Role::Calling, ..with };
    let sender = Config { documents: vec![Document::new(coded(1, 50))], ..sender };
    let demands = Config { password: Some("0815".into()), ..config(Role::Called, vec![]) };
    let (_, called) = call(recorded(sender.clone(), &clear()), recorded(demands, &clear()), &Plan::default());
    assert!(called.cause().is_none());
    let (mut calling, _) = call(
        recorded(Config { password: None, ..sender }, &clear()),
        recorded(config(Role::Called, vec![]), &clear()),
        &Plan::default(),
    );
    assert!(!calling.terminal.tape().unwrap().is_secret());
}

/// Cut anywhere, a recording is read up to there; with any octet changed, it is refused or differs, and never
/// panics.
#[test]
fn recordings_that_are_cut_or_damaged() {
    let [_, octets] =
        over_t38("", config(Role::Calling, coded(1, 40)), config(Role::Called, vec![]), &Plan::default());
    // In small chunks, as a server writes them, and without the end of the call.
    let mut whole = Vec::new();
    {
        let mut a = recorded(config(Role::Calling, coded(1, 40)), &clear());
        a.handle(Instant::ZERO, Input::Start);
        whole.extend_from_slice(&file::head(State::Open));
        file::chunk(&mut whole, Kind::Setup, &a.tape().unwrap().take_setup());
        for n in 1..50u64 {
            a.transmit_audio(Instant::from_millis(20 * n), &mut [0; 160]);
            while a.poll().is_some() {}
            let records = a.tape().unwrap().swap(Vec::new());
            file::chunk(&mut whole, Kind::Records, &records);
        }
    }
    let (_, report) = replayed(&whole, &[]);
    assert_eq!(report.cut, Some("ferrofax ended in the middle of the call"));
    let (_, report) = replayed(&whole[..whole.len() - 3], &[]);
    assert_eq!((report.cut, report.difference), (Some("the file is cut short"), None));
    for length in (0..octets.len()).step_by(7) {
        match Replay::open(&octets[..length], &[]) {
            Ok(mut replay) => while let Ok(Some(_)) = replay.step() {},
            Err(fault) => {
                assert!(fault.0.contains("cut short") || fault.0.contains("no recording"), "{fault}")
            }
        }
    }
    for at in 0..octets.len().min(2000) {
        let mut damaged = octets.clone();
        damaged[at] ^= 0x55;
        if let Ok(mut replay) = Replay::open(&damaged, &[]) {
            while let Ok(Some(_)) = replay.step() {}
        }
    }
}

/// Records of chance behind a good setup: a sentence or an end, whatever they are.
#[test]
fn hostile_records_end_in_a_sentence() {
    let setup = recorded(config(Role::Called, vec![]), &clear()).tape().unwrap().take_setup();
    let mut state = 1u64;
    for _ in 0..300 {
        let mut records: Vec<u8> = Vec::new();
        for _ in 0..400 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let octet = (state >> 56) as u8;
            records.push(if octet < 160 { octet % 14 } else { octet });
        }
        let mut octets = file::head(State::Good).to_vec();
        file::chunk(&mut octets, Kind::Setup, &setup);
        file::chunk(&mut octets, Kind::Records, &records);
        let mut replay = Replay::open(&octets, &[]).unwrap();
        let mut steps = 0;
        while let Ok(Some(_)) = replay.step() {
            steps += 1;
        }
        assert!(steps < 100_000);
    }
    // A chunk that says it is larger than it may be, and one that unpacks to more than it says.
    let mut bomb = file::head(State::Good).to_vec();
    file::chunk(&mut bomb, Kind::Setup, &vec![0; 1 << 20]);
    bomb[11..15].copy_from_slice(&10u32.to_le_bytes());
    assert!(Replay::open(&bomb, &[]).unwrap_err().0.contains("unpacked"));
    bomb[11..15].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(Replay::open(&bomb, &[]).unwrap_err().0.contains("too large"));
}

/// A limit ends the recording, not the call.
#[test]
fn a_recording_has_a_limit() {
    let options = Options { limit: 5_000, ..clear() };
    let (mut a, b) = call(
        recorded(config(Role::Calling, coded(2, 200)), &clear()),
        recorded(config(Role::Called, vec![]), &options),
        &Plan::default(),
    );
    let mut called = b.terminal;
    assert_eq!(b.outcome.unwrap().1.failure, None);
    assert!(called.tape().unwrap().is_cut() && called.tape().unwrap().waiting() < 10_000);
    let (_, report) = replayed(&written(&mut called, State::Good), &[]);
    assert!(report.cut.unwrap().contains("limit") && report.difference.is_none());
    assert!(!a.terminal.tape().unwrap().is_cut());
}
