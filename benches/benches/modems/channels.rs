//! Every V.56bis line, with µ-law and A-law, carrier offset and clock skew in all combinations.

use crate::bursts::{Condition, Tally, burst, score};
use crate::ends::{Modem, Who, receiver, sender};
use fax_base::line::Training;
use fax_dsp::Law;
use fax_dsp::modem::Mode;
use fax_line::{Ad, Edd, Filter, LocalLoop, PcmLinks, Proakis, Response};

/// All lines with their names.
fn lines() -> Vec<(String, Filter)> {
    let mut lines = vec![("flat".to_owned(), Response::flat())];
    for ad in Ad::ALL {
        let with = Response::flat().with(ad);
        lines.push((format!("AD-{}", number(ad)), with.clone()));
        for edd in Edd::ALL {
            lines.push((format!("AD-{} EDD-{}", number(ad), edd as usize + 1), with.clone().with(edd)));
        }
    }
    for links in PcmLinks::ALL {
        lines.push((format!("PCM × {}", links as usize + 1), Response::flat().with(links)));
    }
    for local in LocalLoop::ALL {
        lines.push((format!("loop {local:?}"), Response::flat().with(local)));
    }
    lines.push(("Proakis".to_owned(), Response::flat().with(Proakis)));
    lines.into_iter().map(|(name, response)| (name, response.filter())).collect()
}

fn number(ad: Ad) -> u8 {
    match ad {
        Ad::One => 1,
        Ad::Five => 5,
        Ad::Six => 6,
        Ad::Seven => 7,
        Ad::Eight => 8,
        Ad::Nine => 9,
    }
}

/// Both laws, three offsets, three skews.
fn combinations() -> Vec<(Law, f32, f32)> {
    let mut all = Vec::new();
    for law in [Law::Mu, Law::A] {
        for offset in [0.0, 7.0, -7.0] {
            for ppm in [0.0, 200.0, -200.0] {
                all.push((law, offset, ppm));
            }
        }
    }
    all
}

/// The receivers on one line at one SNR: ours, spandsp's.
fn run(modem: Modem, sender: Who, filter: &Filter, snr: f32, times: usize, bits: usize) -> [Tally; 2] {
    let mut tallies = [Tally::default(); 2];
    for (i, (law, offset, ppm)) in (0..times).flat_map(|_| combinations()).enumerate() {
        let burst = burst(sender, modem, Training::Long, bits, i as u64);
        let condition =
            Condition { law: Some(law), offset, ppm, filter: Some(filter.clone()), ..Condition::flat(snr) };
        let samples = condition.apply(&burst, 5000 + i as u64);
        for (who, tally) in Who::BOTH.into_iter().zip(&mut tallies) {
            tally.add(score(receiver(who, modem).as_mut(), &samples, &burst));
        }
    }
    tallies
}

/// Share received of all, and BER of that.
fn cell(tally: &Tally) -> String {
    let ber = if tally.bits == 0 { "   —   ".into() } else { format!("{:.1e}", tally.ber()) };
    format!("{:>3}/{:<3} {ber:>7}", tally.received, tally.bursts)
}

/// What is lost in all: bits of bursts that were not received count half.
fn lost(tally: &Tally, bits: usize) -> f64 {
    ((tally.bursts - tally.received) * bits) as f64 / 2.0 + tally.wrong as f64
}

pub fn print(modems: &[(Modem, f32, f32)]) {
    let long = std::env::var_os("FERROFAX_MODEM_LONG").is_some();
    let bits = 4000;
    let times = if long { 4 } else { 1 };
    let senders: &[Who] = if long { &Who::BOTH } else { &[sender()] };
    println!(
        "\nChannels: bursts received and BER, ours | spandsp; µ-law and A-law, offset 0 and ±7 Hz, skew 0 and ±200 ppm"
    );
    let lines = lines();
    for &(modem, at_3, _) in modems {
        let quick = [Mode::V27ter4800, Mode::V29At9600, Mode::V17At14400].map(Modem::Qam).contains(&modem);
        if modem == Modem::V21 || (modems.len() > 3 && !quick && !long) {
            continue;
        }
        for &sender in senders {
            let near = at_3 + 3.0;
            println!("{modem} sent by {sender:?}: {:<27} {near:.1} dB {:>32} 35 dB", "", "");
            let (mut worse, mut sums) = (Vec::new(), [[Tally::default(); 2]; 2]);
            for (name, filter) in &lines {
                let at = [near, 35.0].map(|snr| run(modem, sender, filter, snr, times, bits));
                let [[a, b], [c, d]] = &at;
                println!("  {name:<12} {} | {}      {} | {}", cell(a), cell(b), cell(c), cell(d));
                for (sum, tallies) in sums.iter_mut().zip(&at) {
                    for (sum, tally) in sum.iter_mut().zip(tallies) {
                        sum.join(*tally);
                    }
                }
                // More than chance makes: three standard deviations of the number of wrong bits.
                for ([ours, spandsp], snr) in at.iter().zip([near, 35.0]) {
                    let (ours, spandsp) = (lost(ours, bits), lost(spandsp, bits));
                    if ours > spandsp + 3.0 * (ours + spandsp).sqrt() {
                        worse.push(format!("{name} at {snr:.1} dB"));
                    }
                }
            }
            let [[a, b], [c, d]] = &sums;
            println!("  {:<12} {} | {}      {} | {}", "all", cell(a), cell(b), cell(c), cell(d));
            println!(
                "  ours worse than spandsp: {}",
                if worse.is_empty() { "nowhere".into() } else { worse.join(", ") }
            );
        }
    }
}
