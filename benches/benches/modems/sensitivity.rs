//! The SNR that a BER of 1e-3 and of 1e-4 takes, beside theory, and how often training succeeds there.

use crate::bursts::{Condition, Tally, burst, score};
use crate::ends::{Modem, Who, receiver, sender};
use fax_base::line::Training;

const STEP: f32 = 0.5;

/// One receiver at rising SNR.
#[derive(Default)]
struct Sweep(Vec<(f32, Tally)>);

impl Sweep {
    /// The SNR at which the BER falls to `target`, between two points by its logarithm.
    fn reaches(&self, target: f64) -> Option<f32> {
        let log = |t: &Tally| (t.wrong as f64).max(0.5).log10() - (t.bits.max(1) as f64).log10();
        // The last time that it falls through: a tail counts.
        let i = self
            .0
            .windows(2)
            .rposition(|w| w[0].1.ber() > target && w[1].1.received > 0 && w[1].1.ber() <= target)?;
        let ((from, above), (to, below)) = (&self.0[i], &self.0[i + 1]);
        let (above, below) = (log(above), log(below));
        let part = ((above - target.log10()) / (above - below).max(1e-9)).clamp(0.0, 1.0);
        Some(from + (to - from) * part as f32)
    }

    /// The least successful point with BER below 1e-3, and the SNR from which 99 % succeed.
    fn training(&self) -> (f64, Option<f32>) {
        let good = self.0.iter().filter(|(_, t)| t.received > 0 && t.ber() < 1e-3);
        let least = good.map(|(_, t)| t.trained()).fold(1.0, f64::min);
        let last_bad = self.0.iter().rposition(|(_, t)| t.trained() < 0.99);
        (least, self.0.get(last_bad.map_or(0, |i| i + 1)).map(|p| p.0))
    }
}

fn db(snr: Option<f32>, limit: f32) -> String {
    snr.map_or("    —        ".into(), |s| format!("{s:6.2} ({:+.2})", s - limit))
}

/// Bursts of 4000 bits; of V.21 600.
fn sizes(modem: Modem) -> (usize, usize) {
    let all: usize =
        std::env::var("FERROFAX_MODEM_BITS").ok().and_then(|b| b.parse().ok()).unwrap_or(400_000);
    let bits = if modem == Modem::V21 { 600 } else { 4000 };
    (bits, (all / 4000).max(10))
}

pub fn print(modems: &[(Modem, f32, f32)]) {
    println!(
        "\nSensitivity: SNR in dB for a BER of 1e-3 and 1e-4 (distance from theory); signal −15 dBm0, white noise with it,"
    );
    println!(
        "long training in every burst. Training: the least share of bursts received where BER < 1e-3; SNR from which ≥ 99 % are"
    );
    println!(
        "{:<14} {:>13} {:>14} {:>14} {:>14} {:>14} {:>15} {:>15}",
        "", "theory", "ours 1e-3", "spandsp 1e-3", "ours 1e-4", "spandsp 1e-4", "training ours", "spandsp"
    );
    for &(modem, at_3, at_4) in modems {
        let (bits, count) = sizes(modem);
        let mut sweeps = [Sweep::default(), Sweep::default()];
        // V.21 can be decided better than bit by bit.
        let first = at_3 - if modem == Modem::V21 { 4.0 } else { 1.0 };
        for point in 0.. {
            let snr = first + STEP * point as f32;
            for (n, who) in Who::BOTH.into_iter().enumerate() {
                let mut tally = Tally::default();
                for i in 0..count as u64 {
                    let burst = burst(sender(), modem, Training::Long, bits, i);
                    let samples = Condition::flat(snr).apply(&burst, i + 1000);
                    tally.add(score(receiver(who, modem).as_mut(), &samples, &burst));
                }
                sweeps[n].0.push((snr, tally));
            }
            let done = sweeps.iter().all(|s| {
                s.0.iter().rev().take(2).all(|(_, t)| t.received > 0 && t.ber() < 3e-5 && t.trained() > 0.98)
            });
            if point > 2 && done || snr > at_4 + 6.0 {
                break;
            }
        }
        if std::env::var_os("FERROFAX_MODEM_POINTS").is_some() {
            for (ours, spandsp) in sweeps[0].0.iter().zip(&sweeps[1].0) {
                println!(
                    "  {:6.2} dB  ours {:.1e} {:5.1} %   spandsp {:.1e} {:5.1} %",
                    ours.0,
                    ours.1.ber(),
                    ours.1.trained() * 100.0,
                    spandsp.1.ber(),
                    spandsp.1.trained() * 100.0
                );
            }
        }
        let training = |s: &Sweep| {
            let (least, from) = s.training();
            format!("{:5.1} % {}", least * 100.0, from.map_or("    — ".into(), |f| format!("{f:6.2}")))
        };
        let [ours, spandsp] = &sweeps;
        println!(
            "{modem:<14} {at_3:>6.2} {at_4:>6.2} {:>14} {:>14} {:>14} {:>14} {:>15} {:>15}",
            db(ours.reaches(1e-3), at_3),
            db(spandsp.reaches(1e-3), at_3),
            db(ours.reaches(1e-4), at_4),
            db(spandsp.reaches(1e-4), at_4),
            training(ours),
            training(spandsp)
        );
    }
}
