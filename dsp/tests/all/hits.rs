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
