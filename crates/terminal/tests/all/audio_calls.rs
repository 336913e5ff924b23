//! Two terminals of ours over audio: clean lines, noise, loss.

#![allow(clippy::unwrap_used, clippy::panic)] // the exemption for tests does not reach the functions beside them

use core::time::Duration;
use fax_base::Instant;
use fax_base::level::Dbm0;
use fax_base::line::Modulation;
use fax_base::page::{Coding, Resolution, Width};
use fax_dsp::Law;
use fax_image::{Bitmap, Decoder, Limits};
use fax_t30::{Capabilities, Event, Role};
use fax_terminal::{CodedPage, Config, Document, Terminal};
use std::sync::Arc;
use testkit::audio::{Gap, Held, Ours, Path, call};
use testkit::pages;

const LIMIT: Duration = Duration::from_secs(1800);

/// Pages of text and what is sent of them.
fn document(count: u64, rows: u32) -> Vec<(Bitmap, Arc<CodedPage>)> {
    (0..count)
        .map(|seed| {
            let bitmap = pages::text(1728, rows, seed);
            let coded = Arc::new(pages::coded(&bitmap, Resolution::Fine, Width::A4));
            (bitmap, coded)
        })
        .collect()
}

fn machine(role: Role, pages: &[(Bitmap, Arc<CodedPage>)], capabilities: Capabilities) -> Ours {
    let mut config = Config { role, ident: "+49 228 1".into(), capabilities, ..Config::default() };
    if role == Role::Calling {
        config.documents = vec![Document::new(pages.iter().map(|p| p.1.clone()).collect())];
    }
    Ours::new(Terminal::new(config))
}

fn run(
    pages: &[(Bitmap, Arc<CodedPage>)],
    capabilities: &Capabilities,
    path: Path,
    seed: u64,
) -> (Ours, Ours, Held) {
    let mut a = machine(Role::Calling, pages, capabilities.clone());
    let mut b = machine(Role::Called, pages, capabilities.clone());
    let held = call(&mut a, &mut b, path, path, seed, LIMIT);
    (a, b, held)
}

/// Every page arrived pel for pel and both ends know it.
fn whole(pages: &[(Bitmap, Arc<CodedPage>)], a: &Ours, b: &Ours) -> bool {
    a.cause().is_none()
        && b.pages.len() == pages.len()
        && b.pages.iter().zip(pages).all(|(page, (bitmap, _))| {
            let mut decoder = Decoder::new(Coding::Mmr, page.format.pels(), Limits::default());
            decoder.push(&page.t6);
            page.confirmed && decoder.finish().bitmap == *bitmap
        })
}

/// On a clean line nothing is lost, so nothing is repaired.
fn assert_clean(what: &str, pages: &[(Bitmap, Arc<CodedPage>)], a: &Ours, b: &Ours) {
    let spoilt = |(_, event): &(_, Event)| matches!(event, Event::FrameBad | Event::FrameRepaired { .. });
    let spoilt = a.events.iter().chain(&b.events).any(spoilt);
    assert!(!spoilt, "{what}\n{}\n\n{}", a.ladder(), b.ladder());
    assert_whole(what, pages, a, b);
}

fn assert_whole(what: &str, pages: &[(Bitmap, Arc<CodedPage>)], a: &Ours, b: &Ours) {
    assert!(whole(pages, a, b), "{what}\n{}\n\n{}", a.ladder(), b.ladder());
}

#[test]
fn every_modulation_and_way() {
    let pages = document(2, 300);
    for modulation in Modulation::ALL {
        for (ecm, coding) in
            [(true, Coding::T85), (true, Coding::Mmr), (false, Coding::Mr), (false, Coding::Mh)]
        {
            let capabilities = Capabilities {
                ecm,
                codings: vec![Coding::Mh, coding],
                modulations: vec![modulation],
                ..Capabilities::default()
            };
            let (a, b, _) = run(&pages, &capabilities, Path::default(), 1);
            assert_clean(&format!("{modulation} {ecm} {coding}"), &pages, &a, &b);
            assert_eq!(a.outcome.unwrap().1.modulation, Some(modulation));
        }
    }
}

#[test]
fn laws_and_latencies() {
    let pages = document(1, 400);
    for law in [None, Some(Law::A), Some(Law::Mu)] {
        for latency in [1, 5, 15, 30] {
            let path = Path { law, latency, ..Path::default() };
            let (a, b, _) = run(&pages, &Capabilities::default(), path, 1);
            assert_clean(&format!("{law:?} {latency}"), &pages, &a, &b);
            assert_eq!(a.outcome.unwrap().1.modulation, Some(Modulation::V17At14400));
        }
    }
}

/// Noise that never stops, also between signals (−13 dBm0 are sent).
#[test]
fn idle_noise() {
    let pages = document(1, 300);
    for noise in [-60.0, -50.0, -46.0, -43.0, -40.0, -37.0, -34.0] {
        for ecm in [true, false] {
            let path = Path { noise: Some(Dbm0(noise)), ..Path::default() };
            let capabilities = Capabilities { ecm, ..Capabilities::default() };
            let (a, b, _) = run(&pages, &capabilities, path, 1);
            // Without error correction a row may be spoilt.
            let good = if ecm { whole(&pages, &a, &b) } else { a.cause().is_none() && b.pages.len() == 1 };
            assert!(good, "{noise} dBm0, ECM {ecm}\n{}\n\n{}", a.ladder(), b.ladder());
        }
    }
}

/// What we send comes back, as loud and as late as it may (−10 dB to −30 dB, up to 600 ms).
#[test]
fn echoes_of_our_own() {
    let pages = document(2, 300);
    for (delay, db) in [(1, -10.0), (5, -15.0), (15, -20.0), (30, -20.0), (30, -30.0)] {
        for ecm in [true, false] {
            let path = Path { echo: Some((delay, 10f64.powf(db / 20.0))), ..Path::default() };
            let capabilities = Capabilities { ecm, ..Capabilities::default() };
            let (a, b, _) = run(&pages, &capabilities, path, 1);
            assert_whole(&format!("{delay} blocks, {db} dB, ECM {ecm}"), &pages, &a, &b);
        }
    }
}

/// The signal is away in the middle of the page, for a moment or for longer; what follows is read all the same.
#[test]
fn the_carrier_lost_in_mid_page() {
    let pages = document(1, 1100);
    for gap in [Gap::Told, Gap::Silence] {
        for away in [60, 100, 200, 400, 1_000, 3_000] {
            let from = Instant::from_millis(18_000);
            let there =
                Path { outage: Some((from, from + Duration::from_millis(away))), gap, ..Path::default() };
            for ecm in [true, false] {
                let capabilities = Capabilities {
                    ecm,
                    codings: vec![Coding::Mh, Coding::Mr, Coding::Mmr],
                    ..Capabilities::default()
                };
                let mut a = machine(Role::Calling, &pages, capabilities.clone());
                let mut b = machine(Role::Called, &pages, capabilities);
                call(&mut a, &mut b, there, Path::default(), 1, LIMIT);
                let what = format!("{away} ms away, {gap:?}, ECM {ecm}");
                if ecm {
                    assert_whole(&what, &pages, &a, &b);
                    continue;
                }
                // Few rows are spoilt, or the page was refused and came again; never is a part taken for
                // the whole.
                let good = a.cause().is_none() && b.pages.len() == 1;
                assert!(good, "{what}\n{}\n\n{}", a.ladder(), b.ladder());
                let page = &b.pages[0];
                println!("{what}: {} of {} rows bad", page.bad_rows, page.rows);
                assert!(
                    page.rows.abs_diff(1100) < 50 && page.bad_rows <= 70,
                    "{what}: {} {}\n{}\n\n{}",
                    page.rows,
                    page.bad_rows,
                    a.ladder(),
                    b.ladder()
                );
            }
        }
    }
}

/// One part of the bench `audio_loss`: 20 ms blocks lost in both directions, at random and in bursts.
fn complete(loss: f32, burst: f32, gap: Gap, runs: u64) -> u64 {
    let pages = document(1, 1100);
    let path = Path { loss, burst, gap, ..Path::default() };
    (0..runs)
        .filter(|seed| {
            let (a, b, held) = run(&pages, &Capabilities::default(), path, *seed);
            assert!(held.time < LIMIT, "a call that does not end: {seed}\n{}\n\n{}", a.ladder(), b.ladder());
            let whole = whole(&pages, &a, &b);
            if !whole {
                println!("{loss} {burst} {gap:?} {seed}: {:?} {:?}", a.cause(), b.cause());
            }
            whole
        })
        .count() as u64
}

/// How many calls of each kind: 20, or `FERROFAX_CALLS`.
fn runs() -> u64 {
    std::env::var("FERROFAX_CALLS").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
}

macro_rules! losses {
    ($($name:ident: $loss:expr, $burst:expr, $gap:ident, $least:expr;)*) => { $(
        #[test]
        fn $name() {
            let runs = runs();
            let whole = complete($loss, $burst, Gap::$gap, runs);
            println!("{whole} of {runs}");
            assert!(whole * 100 >= $least * runs, "{whole} of {runs}");
        }
    )* };
}

// Calls in a hundred that must complete.
losses! {
    one_percent_at_random: 0.01, 1.0, Told, 99;
    one_percent_in_bursts: 0.01, 3.0, Told, 99;
    three_percent_at_random: 0.03, 1.0, Told, 90;
    three_percent_in_bursts: 0.03, 3.0, Told, 90;
    five_percent_at_random: 0.05, 1.0, Told, 70;
    five_percent_in_bursts: 0.05, 3.0, Told, 70;
    one_percent_as_silence: 0.01, 1.0, Silence, 95;
    one_percent_as_repeats: 0.01, 1.0, Repeated, 95;
    three_percent_as_silence: 0.03, 1.0, Silence, 80;
    three_percent_as_repeats: 0.03, 1.0, Repeated, 80;
}

/// One run, told in full: `AUDIO_RUN="LOSS BURST GAP SEED"`.
#[test]
fn one_run() {
    let Ok(text) = std::env::var("AUDIO_RUN") else { return };
    let parts: Vec<&str> = text.split_whitespace().collect();
    let gap = match parts[2] {
        "Told" => Gap::Told,
        "Silence" => Gap::Silence,
        _ => Gap::Repeated,
    };
    let path =
        Path { loss: parts[0].parse().unwrap(), burst: parts[1].parse().unwrap(), gap, ..Path::default() };
    let pages = document(1, 1100);
    let (a, b, held) = run(&pages, &Capabilities::default(), path, parts[3].parse().unwrap());
    println!("{}\n\n{}\n{held:?}", a.ladder(), b.ladder());
}
