//! The modems V.21, V.27ter, V.29 and V.17 beside spandsp's, on the same signals in the same run: cost,
//! sensitivity and training, channels, noise, levels and gaps.
//!
//! `cargo bench -p benches --bench modems -- [cost] [sensitivity] [channels] [robustness] [MODE…]`, where MODE is
//! part of a name such as `V.17 14400`; all of them without words. `FERROFAX_MODEM_BITS` is the number of bits a point
//! of the sensitivity (400 000), `FERROFAX_MODEM_POINTS=1` prints every point; `FERROFAX_MODEM_LONG=1` takes all modes and
//! senders over the channels. Our transmitter sends, with `FERROFAX_MODEM_SENDER=spandsp` spandsp's.
//!
//! Levels are in dBm0; SNR is that of the signal's data to white noise in 0 to 4 kHz. Each burst has its own data
//! and its own phase of the symbol clock.

#![allow(missing_docs, clippy::unwrap_used)] // A bench may stop at the first thing that is wrong.

mod bursts;
mod channels;
mod cost;
mod ends;
mod robustness;
mod sensitivity;

use ends::Modem;
use fax_dsp::modem::Mode;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The modems with the limits of theory (ideal coherent receiver; V.21: non-coherent): Es/N0 in dB for a BER of 1e-3
/// and of 1e-4 after the descrambler.
const MODEMS: [(Modem, f32, f32); 10] = [
    (Modem::V21, 10.94, 12.31),
    (Modem::Qam(Mode::V27ter2400), 11.04, 12.33),
    (Modem::Qam(Mode::V27ter4800), 16.12, 17.46),
    (Modem::Qam(Mode::V29At4800), 11.10, 12.39),
    (Modem::Qam(Mode::V29At7200), 15.28, 16.55),
    (Modem::Qam(Mode::V29At9600), 18.62, 20.06),
    (Modem::Qam(Mode::V17At7200), 12.23, 13.13),
    (Modem::Qam(Mode::V17At9600), 15.48, 16.39),
    (Modem::Qam(Mode::V17At12000), 18.75, 19.56),
    (Modem::Qam(Mode::V17At14400), 21.66, 22.52),
];

/// The modems that were asked for, with their limits as SNR in 0 to 4 kHz.
fn chosen(words: &[String]) -> Vec<(Modem, f32, f32)> {
    let snr = |modem: Modem, es_n0: f32| es_n0 - 10.0 * (4000.0 / modem.baud() as f32).log10();
    MODEMS
        .into_iter()
        .filter(|(modem, ..)| {
            words.is_empty() || words.iter().any(|w| modem.to_string().contains(w.as_str()))
        })
        .map(|(modem, a, b)| (modem, snr(modem, a), snr(modem, b)))
        .collect()
}

fn main() {
    let (sections, words): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .partition(|a| ["cost", "sensitivity", "channels", "robustness"].contains(&a.as_str()));
    let modems = chosen(&words);
    let asked = |section: &str| sections.is_empty() || sections.iter().any(|s| s == section);
    if asked("cost") {
        cost::print(&modems);
    }
    if asked("sensitivity") {
        sensitivity::print(&modems);
    }
    if asked("channels") {
        channels::print(&modems);
    }
    if asked("robustness") {
        robustness::print(&modems);
    }
}
