//! Noise without a signal, signals at all levels, noise before the signal, and gaps in mid-data.

use crate::bursts::{Condition, Tally, burst, find, score};
use crate::ends::{Modem, Told, Who, receiver};
use fax_base::level::Dbm0;
use fax_base::line::Training;
use fax_dsp::Law;
use fax_line::{BLOCK, Gap, Line};

/// How often each is told in a minute of noise.
fn idle(modems: &[(Modem, f32, f32)]) {
    println!(
        "\nA minute of idle noise: carrier up / trained / training failed, ours | spandsp; bar: ours never trains"
    );
    println!("{:<14} {:^29} {:^29} {:^29}", "", "−34 dBm0", "−40 dBm0", "−46 dBm0");
    for &(modem, ..) in modems {
        let cells = [-34.0, -40.0, -46.0].map(|level| {
            let noise = Line::new(77).noise(Dbm0(level)).law(Law::Mu).pass(&vec![0; 60 * 8000]);
            let [ours, spandsp] = Who::BOTH.map(|who| {
                let mut rx = receiver(who, modem);
                noise.chunks(BLOCK).for_each(|block| rx.receive(block));
                let told = rx.take();
                let count = |what| told.iter().filter(|t| **t == what).count();
                format!("{}/{}/{}", count(Told::Up), count(Told::Trained), count(Told::Failed))
            });
            format!("{ours:>13} | {spandsp:<13}")
        });
        println!("{modem:<14} {}", cells.join(" "));
    }
}

/// Bursts received of all at a condition.
fn tallies(modem: Modem, condition: &Condition, count: u64) -> [Tally; 2] {
    let mut tallies = [Tally::default(); 2];
    for i in 0..count {
        let burst = burst(Who::Ours, modem, Training::Long, if modem == Modem::V21 { 300 } else { 3000 }, i);
        let samples = condition.apply(&burst, 9000 + i);
        for (who, tally) in Who::BOTH.into_iter().zip(&mut tallies) {
            tally.add(score(receiver(who, modem).as_mut(), &samples, &burst));
        }
    }
    tallies
}

fn levels(modems: &[(Modem, f32, f32)]) {
    const LEVELS: [f32; 7] = [-3.0, -10.0, -20.0, -30.0, -38.0, -41.0, -43.0];
    println!("\nLevels: bursts received of 20, wrong bits in them, ours | spandsp; SNR 35 dB, µ-law");
    println!("{:<14} {}", "", LEVELS.map(|l| format!("{:^19}", format!("{l} dBm0"))).join(" "));
    for &(modem, ..) in modems {
        let cells = LEVELS.map(|level| {
            let condition = Condition { level: Dbm0(level), law: Some(Law::Mu), ..Condition::flat(35.0) };
            let [ours, spandsp] =
                tallies(modem, &condition, 20).map(|t| format!("{}, {}", t.received, t.wrong));
            format!("{ours:>8} | {spandsp:<8}")
        });
        println!("{modem:<14} {}", cells.join(" "));
    }
    println!("\nNoise on the line all the time: bursts received of 20, ours | spandsp; signal −15 dBm0");
    const SNRS: [f32; 5] = [16.0, 20.0, 25.0, 30.0, 35.0];
    println!("{:<14} {}", "", SNRS.map(|s| format!("{:^9}", format!("{s} dB"))).join(" "));
    for &(modem, ..) in modems {
        let cells = SNRS.map(|snr| {
            let condition = Condition { idle_noise: true, ..Condition::flat(snr) };
            let [ours, spandsp] = tallies(modem, &condition, 20).map(|t| t.received);
            format!("{ours:>3} | {spandsp:<3}")
        });
        println!("{modem:<14} {}", cells.join(" "));
    }
}

/// What a gap costs beyond itself: bits from the first that is wrong or missing to the last, less those that the gap
/// takes; and by how much the count of bits went wrong. `None` when the rest of the burst was not received.
fn gap(who: Who, modem: Modem, gap: Gap, samples: usize, seed: u64) -> Option<(isize, isize)> {
    let burst = burst(Who::Ours, modem, Training::Long, modem.bit_rate() as usize * 2, seed);
    let line = Condition { law: Some(Law::Mu), ..Condition::flat(35.0) }.apply(&burst, 300 + seed);
    // In the middle of the data, on a packet's boundary.
    let begin = (line.len() - 800 - burst.data / 2) / BLOCK * BLOCK;
    let mut rx = receiver(who, modem);
    line[..begin].chunks(BLOCK).for_each(|block| rx.receive(block));
    match gap {
        Gap::Told => (0..samples / BLOCK).for_each(|_| rx.gap(BLOCK)),
        Gap::Silence => (0..samples / BLOCK).for_each(|_| rx.receive(&[0; BLOCK])),
        Gap::Repeated => (0..samples / BLOCK).for_each(|_| rx.receive(&line[begin - BLOCK..begin])),
    }
    line[begin + samples..].chunks(BLOCK).for_each(|block| rx.receive(block));
    // From the first training on, whatever comes between.
    let told = rx.take();
    let trained = told.iter().position(|t| *t == Told::Trained).unwrap_or(0);
    let came: Vec<Option<bool>> = told[trained..]
        .iter()
        .filter_map(|t| match t {
            Told::Bit(bit) => Some(Some(*bit)),
            Told::Erased => Some(None),
            Told::Up | Told::Trained | Told::Failed | Told::Down => None,
        })
        .collect();
    let count = burst.bits.len() - burst.flags;
    let place = |at: usize| {
        let part = &burst.bits[at..at + count / 6];
        find(part, at, &came, 4000).filter(|(_, wrong)| wrong * 20 <= part.len()).map(|(there, _)| there)
    };
    let (before_at, behind_at) = (burst.flags + count / 10, burst.flags + count * 4 / 5);
    let (before, behind) = (place(before_at)?, place(behind_at)?);
    let right = |sent: usize, got: Option<usize>| {
        got.and_then(|g| came.get(g)).is_some_and(|c| *c == Some(burst.bits[sent]))
    };
    let first_wrong = (before_at..behind_at).find(|&i| !right(i, Some(before + i - before_at)))?;
    let last_wrong =
        (first_wrong..behind_at).rev().find(|&i| !right(i, (behind + i).checked_sub(behind_at)))?;
    let taken = samples * modem.bit_rate() as usize / 8000;
    let kept = (behind as isize - before as isize) - (behind_at as isize - before_at as isize);
    Some(((last_wrong + 1 - first_wrong) as isize - taken as isize, kept))
}

fn gaps(modems: &[(Modem, f32, f32)]) {
    const MS: [usize; 5] = [20, 40, 60, 100, 200];
    println!(
        "\nA gap in mid-data: bits lost beyond it in the mean of those of 10 that came back (their number if not all),"
    );
    println!("and * where the count of bits was not kept; ours | spandsp; SNR 35 dB, µ-law");
    println!("{:<14} {:<9} {}", "", "given", MS.map(|ms| format!("{:^21}", format!("{ms} ms"))).join(" "));
    for &(modem, ..) in modems {
        for kind in [Gap::Told, Gap::Silence, Gap::Repeated] {
            let cells = MS.map(|ms| {
                let [ours, spandsp] = Who::BOTH.map(|who| {
                    let runs: Vec<(isize, isize)> =
                        (0..10).filter_map(|seed| gap(who, modem, kind, ms * 8, seed)).collect();
                    if runs.is_empty() {
                        return "lost".to_owned();
                    }
                    let mean = runs.iter().map(|r| r.0).sum::<isize>() / runs.len() as isize;
                    let moved = if runs.iter().any(|r| r.1 != 0) { "*" } else { "" };
                    let count = if runs.len() == 10 { String::new() } else { format!(" ({})", runs.len()) };
                    format!("{mean}{moved}{count}")
                });
                format!("{ours:>9} | {spandsp:<9}")
            });
            println!(
                "{:<14} {:<9} {}",
                modem.to_string(),
                format!("{kind:?}").to_lowercase(),
                cells.join(" ")
            );
        }
    }
}

pub fn print(modems: &[(Modem, f32, f32)]) {
    idle(modems);
    levels(modems);
    gaps(modems);
}
