//! What happens once in a burst of data: the phase jumps, the level changes, the noise grows, the signal is away for
//! a moment. The receiver finds the signal again and stays with it.

use crate::receiver::{bits, burst, octets};
use core::time::Duration;
use fax_base::level::Dbm0;
use fax_base::line::Training;
use fax_dsp::modem::{Event, Mode};
use fax_dsp::{Law, QamReceiver};
use fax_line::{Line, When};

/// Of the bursts.
const LEVEL: Dbm0 = Dbm0(-15.0);
const V17: [Mode; 4] = [Mode::V17At7200, Mode::V17At9600, Mode::V17At12000, Mode::V17At14400];
/// In the midst of the data, behind every training.
const HIT: Duration = Duration::from_millis(2_500);

fn line(seed: u64, snr: f32) -> Line {
    Line::new(seed).snr(LEVEL, snr)
}

/// A long burst of data.
fn data(mode: Mode) -> Vec<u8> {
    octets(mode.bit_rate() as usize / 8 * 5)
}

fn told(receiver: &mut QamReceiver, samples: &[i16]) -> Vec<Event> {
    let mut events = Vec::new();
    samples.chunks(160).for_each(|block| receiver.receive(block, &mut events));
    events
}

/// Of the bits that were sent in this part of the burst those that did not come, or not right.
fn wrong(events: &[Event], sent: &[u8], part: core::ops::Range<f32>) -> (usize, usize) {
    let mut got = Vec::new();
    for event in events {
        match event {
            Event::Bits { bits, count } => {
                got.extend((0..*count).rev().map(|i| Some(bits >> i & 1 == 1)));
            }
            Event::Erased { bits } => got.extend((0..*bits).map(|_| None)),
            Event::CarrierUp | Event::Trained(_) | Event::TrainingFailed | Event::CarrierDown => {}
        }
    }
    let sent = bits(sent);
    let at = |part: f32| (sent.len() as f32 * part) as usize;
    let (begin, end) = (at(part.start), at(part.end));
    let wrong = (begin..end).filter(|&i| got.get(i).copied().flatten() != Some(sent[i])).count();
    (wrong, end - begin)
}

/// Wrong bits in the last two of five seconds.
fn wrong_in_the_end(mode: Mode, line: Line) -> usize {
    let sent = data(mode);
    let heard = line.law(Law::Mu).pass(&burst(mode, Training::Long, &sent));
    let events = told(&mut QamReceiver::new(mode, Training::Long), &heard);
    wrong(&events, &sent, 0.6..1.0).0
}

#[test]
fn a_phase_hit_costs_a_moment_and_not_the_page() {
    let mut failed = Vec::new();
    for mode in Mode::ALL {
        for (seed, degrees) in (1..).zip([10.0, -20.0, 30.0, 45.0]) {
            let wrong = wrong_in_the_end(mode, line(seed, 35.0).phase_hits(When::Once(HIT), degrees));
            if wrong > 0 {
                failed.push(format!("{mode:?} {degrees}°: {wrong}"));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

/// The burst goes on to its end and what it taught is of use to the next.
#[test]
fn a_loud_moment_neither_ends_the_burst_nor_spoils_what_it_taught() {
    let mut failed = Vec::new();
    for mode in Mode::ALL {
        for (seed, (db, ms)) in (1..).zip([(12.0, 15), (12.0, 20), (20.0, 20), (6.0, 40)]) {
            let sent = data(mode);
            let hit = Duration::from_millis(ms);
            let mut line = line(seed, 25.0).gain_hits(When::Once(HIT), db, hit).law(Law::Mu);
            let heard = line.pass(&burst(mode, Training::Long, &sent));
            let mut receiver = QamReceiver::new(mode, Training::Long);
            let events = told(&mut receiver, &heard);
            let down = events.iter().filter(|e| matches!(e, Event::CarrierDown)).count();
            let (wrong, all) = wrong(&events, &sent, 0.5..1.0);
            if down != 1 || wrong * 20 > all {
                failed.push(format!("{mode:?} {db} dB, {ms} ms: {down} ends, {wrong} of {all}"));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

/// Whatever happens shortly before the end of a long burst, a short one after it is read.
#[test]
fn a_hit_at_the_end_does_not_spoil_the_next_short_training() {
    let mut failed = Vec::new();
    for mode in V17 {
        for before in [5, 15, 40, 100, 300] {
            let sent = octets(mode.bit_rate() as usize / 8);
            let long = burst(mode, Training::Long, &sent);
            // 200 ms of silence are behind it.
            let end = Duration::from_millis(long.len() as u64 / 8 - 200 - before);
            let hit = Duration::from_millis(20);
            let mut line = line(before, 30.0).gain_hits(When::Once(end), 12.0, hit).law(Law::Mu);
            let mut receiver = QamReceiver::new(mode, Training::Long);
            told(&mut receiver, &line.pass(&long));
            receiver.expect(Training::Short);
            let events = told(&mut receiver, &line.pass(&burst(mode, Training::Short, &sent)));
            let trained = events.iter().any(|e| matches!(e, Event::Trained(_)));
            let (wrong, _) = wrong(&events, &sent, 0.0..1.0);
            if !trained || wrong > 0 {
                failed.push(format!("{mode:?} {before} ms before the end: {wrong}"));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn another_level_is_followed() {
    let mut failed = Vec::new();
    for mode in Mode::ALL {
        for (seed, db) in (1..).zip([-2.0, 2.0, -4.0, 4.0, 8.0]) {
            let rest = Duration::from_secs(60);
            let wrong = wrong_in_the_end(mode, line(seed, 35.0).gain_hits(When::Once(HIT), db, rest));
            if wrong > 0 {
                failed.push(format!("{mode:?} {db} dB: {wrong}"));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

/// More noise than in training, but not too much to be read, is no reason to go back.
#[test]
fn noise_that_grows_is_no_loss() {
    for mode in Mode::ALL {
        let sent = data(mode);
        let samples = burst(mode, Training::Long, &sent);
        let (quiet, loud) = samples.split_at(HIT.as_millis() as usize * 8);
        let mut heard = line(1, 45.0).pass(quiet);
        heard.extend(line(2, 25.0).pass(loud));
        let events = told(&mut QamReceiver::new(mode, Training::Long), &heard);
        assert_eq!(wrong(&events, &sent, 0.0..1.0).0, 0, "{mode:?}");
    }
}

/// The signal is away where the training's known symbols end: its data are read all the same.
#[test]
fn a_dropout_in_training_does_not_lose_the_burst() {
    let mut failed = Vec::new();
    for mode in Mode::ALL {
        let sent = octets(1_000);
        let samples = burst(mode, Training::Long, &sent);
        // The data and 200 ms of silence are at the end.
        let ms = samples.len() / 8 - 8_000_000 / mode.bit_rate() as usize - 200;
        for before in (0..200).step_by(10) {
            let when = When::Once(Duration::from_millis((ms - before) as u64));
            let mut line =
                Line::new(before as u64).dropouts(when, Duration::from_millis(20)).noise(Dbm0(-45.0));
            let events = told(&mut QamReceiver::new(mode, Training::Long), &line.pass(&samples));
            let trained = events.iter().filter(|e| matches!(e, Event::Trained(_))).count();
            // No bits before the training's end.
            let data = events.iter().position(|e| matches!(e, Event::Bits { .. } | Event::Erased { .. }));
            let at = events.iter().position(|e| matches!(e, Event::Trained(_)));
            let (wrong, _) = wrong(&events, &sent, 0.1..1.0);
            if trained != 1 || at > data || wrong > 0 {
                failed.push(format!("{mode:?} {before} ms before: {trained}, {at:?} {data:?}, {wrong}"));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}
