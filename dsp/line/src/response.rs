//! Attenuation and envelope delay over frequency: V.56bis' curves, PCM links, local loops, Proakis' channel.

use crate::table::Table;
use crate::{Impairment, RATE};
use core::f64::consts::TAU;

/// V.56bis' attenuation distortion.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Ad {
    /// AD-1.
    One,
    /// AD-5.
    Five,
    /// AD-6.
    Six,
    /// AD-7.
    Seven,
    /// AD-8.
    Eight,
    /// AD-9.
    Nine,
}

impl Ad {
    /// All of them.
    pub const ALL: [Ad; 6] = [Ad::One, Ad::Five, Ad::Six, Ad::Seven, Ad::Eight, Ad::Nine];
}

/// V.56bis' envelope delay distortion.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Edd {
    /// EDD-1.
    One,
    /// EDD-2.
    Two,
    /// EDD-3.
    Three,
}

impl Edd {
    /// All of them.
    pub const ALL: [Edd; 3] = [Edd::One, Edd::Two, Edd::Three];
}

/// The filters of PCM links in a row, without their quantising.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PcmLinks {
    /// One.
    One,
    /// Two.
    Two,
    /// Three.
    Three,
}

impl PcmLinks {
    /// All of them.
    pub const ALL: [PcmLinks; 3] = [PcmLinks::One, PcmLinks::Two, PcmLinks::Three];
}

/// A local loop, from the terminal to the exchange.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LocalLoop {
    /// EIA loop 1.
    Eia1,
    /// EIA loop 2.
    Eia2,
    /// EIA loop 3.
    Eia3,
    /// EIA loop 4.
    Eia4,
    /// EIA loop 5.
    Eia5,
    /// EIA loop 6.
    Eia6,
    /// EIA loop 7.
    Eia7,
    /// ETSI loop 1.
    Etsi1,
    /// ETSI loop 2.
    Etsi2,
}

impl LocalLoop {
    /// All of them.
    pub const ALL: [LocalLoop; 9] = [
        LocalLoop::Eia1,
        LocalLoop::Eia2,
        LocalLoop::Eia3,
        LocalLoop::Eia4,
        LocalLoop::Eia5,
        LocalLoop::Eia6,
        LocalLoop::Eia7,
        LocalLoop::Etsi1,
        LocalLoop::Etsi2,
    ];
}

/// The channel of medium quality in J. G. Proakis, "Digital Communications".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Proakis;

/// A loss and a delay over frequency.
pub struct Curve {
    loss: Option<(&'static str, usize)>,
    delay: Option<(&'static str, usize)>,
}

impl From<Ad> for Curve {
    fn from(ad: Ad) -> Self {
        Curve { loss: Some((include_str!("../tables/ad.csv"), ad as usize + 1)), delay: None }
    }
}

impl From<Edd> for Curve {
    fn from(edd: Edd) -> Self {
        Curve { loss: None, delay: Some((include_str!("../tables/edd.csv"), edd as usize + 1)) }
    }
}

impl From<PcmLinks> for Curve {
    fn from(links: PcmLinks) -> Self {
        let column = links as usize + 1;
        Curve {
            loss: Some((include_str!("../tables/pcm-ad.csv"), column)),
            delay: Some((include_str!("../tables/pcm-edd.csv"), column)),
        }
    }
}

impl From<LocalLoop> for Curve {
    fn from(local: LocalLoop) -> Self {
        let (table, column) = (include_str!("../tables/loops.csv"), local as usize + 1);
        Curve { loss: Some((table, column)), delay: Some((table, column + LocalLoop::ALL.len())) }
    }
}

impl From<Proakis> for Curve {
    fn from(Proakis: Proakis) -> Self {
        let table = include_str!("../tables/proakis.csv");
        Curve { loss: Some((table, 1)), delay: Some((table, 2)) }
    }
}

/// Points of the frequency response from 0 up to the sampling rate.
const POINTS: usize = 2048;
/// Taps of the filter: 64 ms.
const TAPS: usize = 512;
/// Where in the filter a delay of 0 lies: 16 ms. What delay distortion there is comes behind it.
const ORIGIN: usize = 128;
/// Taps at either end over which the filter fades out.
const FADE: usize = 48;

/// A frequency response: the sum of curves.
#[derive(Clone)]
pub struct Response {
    /// Loss in dB and delay in ms at each of the points from 0 to 4000 Hz.
    points: Vec<(f64, f64)>,
}

impl Response {
    /// No loss and no delay.
    #[must_use]
    pub fn flat() -> Self {
        Response { points: vec![(0.0, 0.0); POINTS / 2 + 1] }
    }

    /// With a curve added.
    #[must_use]
    pub fn with(mut self, curve: impl Into<Curve>) -> Self {
        let Curve { loss, delay } = curve.into();
        let table = |part: Option<(&str, usize)>| part.map(|(text, column)| (Table::parse(text), column));
        let (loss, delay) = (table(loss), table(delay));
        for (point, (db, ms)) in self.points.iter_mut().enumerate() {
            let hz = (point * RATE as usize) as f32 / POINTS as f32;
            *db += loss.as_ref().map_or(0.0, |(t, column)| f64::from(t.at(*column, hz)));
            *ms += delay.as_ref().map_or(0.0, |(t, column)| f64::from(t.at(*column, hz)));
        }
        self
    }

    /// The filter that does this, for [`crate::Line::with`]: the group delay is integrated into a phase, and the whole transformed back.
    #[must_use]
    pub fn filter(&self) -> Filter {
        // Phase in turns: minus the integral of the delay.
        let hz = f64::from(RATE) / POINTS as f64;
        let mut turns = 0.0;
        let mut last = self.points.first().map_or(0.0, |p| p.1);
        let spectrum: Vec<(f64, f64)> = self
            .points
            .iter()
            .map(|&(db, ms)| {
                turns -= (ms + last) / 2.0 * 1e-3 * hz;
                last = ms;
                (10f64.powf(-db / 20.0), turns)
            })
            .collect();
        let cosines: Vec<f64> = (0..POINTS).map(|i| (TAU * i as f64 / POINTS as f64).cos()).collect();
        let parts: Vec<(f64, f64)> = spectrum
            .iter()
            .enumerate()
            .map(|(point, &(magnitude, turns))| {
                // The two ends stand for one point each, all others for themselves and their mirror image.
                let weight = if point == 0 || point == POINTS / 2 { 1.0 } else { 2.0 };
                let (sine, cosine) = (TAU * turns).sin_cos();
                (weight * magnitude * cosine, weight * magnitude * sine)
            })
            .collect();
        let taps = (0..TAPS)
            .map(|tap| {
                let time = tap + POINTS - ORIGIN;
                let sum: f64 = parts
                    .iter()
                    .enumerate()
                    .map(|(point, (re, im))| {
                        let at = point * time;
                        re * cosines[at % POINTS] - im * cosines[(at + POINTS * 3 / 4) % POINTS]
                    })
                    .sum();
                let edge = (tap.min(TAPS - 1 - tap) + 1) as f64 / (FADE + 1) as f64;
                let fade = if edge < 1.0 { 0.5 - 0.5 * (TAU / 2.0 * edge).cos() } else { 1.0 };
                (sum / POINTS as f64 * fade) as f32
            })
            .collect();
        Filter::new(taps)
    }
}

/// A filter with a finite impulse response, and what has gone into it.
#[derive(Clone)]
pub struct Filter {
    /// Last tap first, so that it lies as the samples do.
    taps: Vec<f32>,
    past: Vec<f32>,
}

impl Filter {
    fn new(mut taps: Vec<f32>) -> Self {
        taps.reverse();
        let past = vec![0.0; taps.len() - 1];
        Filter { taps, past }
    }
}

impl Impairment for Filter {
    fn pass(&mut self, samples: &mut Vec<f32>) {
        self.past.extend_from_slice(samples);
        for (window, sample) in self.past.windows(self.taps.len()).zip(samples.iter_mut()) {
            // Eight sums side by side, which the compiler can keep in one register.
            let mut sums = [0.0f32; 8];
            for (taps, past) in self.taps.chunks_exact(8).zip(window.chunks_exact(8)) {
                for ((sum, tap), past) in sums.iter_mut().zip(taps).zip(past) {
                    *sum += tap * past;
                }
            }
            *sample = sums.iter().sum();
        }
        self.past.drain(..samples.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Line;
    use crate::table::tone;

    /// Loss in dB and group delay in ms of a filter, from its impulse response.
    fn realised(response: &Response, hz: f32) -> (f64, f64) {
        let mut impulse = vec![0.0; TAPS];
        impulse[0] = 1.0;
        Line::new(1).response(response).pass_f32(&mut impulse);
        let scale = TAPS as f64 / 2.0;
        let (amplitude, _) = tone(&impulse, hz);
        let mut turns = tone(&impulse, hz + 1.0).1 - tone(&impulse, hz - 1.0).1;
        turns -= turns.round();
        (-20.0 * (amplitude * scale).log10(), -turns / 2.0 * 1000.0 - ORIGIN as f64 / 8.0)
    }

    #[test]
    fn loss_and_delay_are_as_in_the_tables() {
        let ad = Table::parse(include_str!("../tables/ad.csv"));
        let edd = Table::parse(include_str!("../tables/edd.csv"));
        for a in Ad::ALL {
            for e in Edd::ALL {
                let response = Response::flat().with(a).with(e);
                for hz in (400..=3400).step_by(50).map(|hz| hz as f32) {
                    let (loss, delay) = realised(&response, hz);
                    let (db, ms) =
                        (f64::from(ad.at(a as usize + 1, hz)), f64::from(edd.at(e as usize + 1, hz)));
                    assert!((loss - db).abs() < 0.25, "{a:?} {e:?} {hz}: {loss} dB, not {db}");
                    assert!((delay - ms).abs() < 0.15, "{a:?} {e:?} {hz}: {delay} ms, not {ms}");
                }
            }
        }
    }

    #[test]
    fn known_points_of_the_curves() {
        for (a, at_3000) in Ad::ALL.into_iter().zip([1.1, 3.2, 4.9, 5.8, 3.0, 5.9]) {
            let (loss, delay) = realised(&Response::flat().with(a), 3000.0);
            assert!((loss - at_3000).abs() < 0.1, "{a:?} {loss}");
            assert!(delay.abs() < 0.02, "{a:?} {delay}");
        }
        let losses = [1.2, 3.2, 3.8, 6.1, 7.0, 6.6, 5.9, 4.7, 1.8];
        for (local, at_1000) in LocalLoop::ALL.into_iter().zip(losses) {
            let (loss, _) = realised(&Response::flat().with(local), 1000.0);
            assert!((loss - at_1000).abs() < 0.1, "{local:?} {loss}");
        }
        let (loss, delay) = realised(&Response::flat().with(Proakis), 2200.0);
        assert!((loss - 1.1).abs() < 0.1 && (delay - 0.05).abs() < 0.05, "{loss} {delay}");
        // Links add up.
        let (one, _) = realised(&Response::flat().with(PcmLinks::One), 3400.0);
        let (three, _) = realised(&Response::flat().with(PcmLinks::Three), 3400.0);
        let (sum, _) = realised(&Response::flat().with(PcmLinks::One).with(PcmLinks::Two), 3400.0);
        assert!((three - sum).abs() < 0.3 && three > one, "{one} {sum} {three}");
        let (loss, delay) = realised(&Response::flat(), 1234.0);
        assert!(loss.abs() < 1e-3 && delay.abs() < 1e-3);
    }
}
