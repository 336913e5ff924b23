//! Telephone lines, simulated at 8 kHz for tests and benches: noise, V.56bis attenuation and envelope delay
//! distortion, echoes, carrier offset, jitter, hits, clock skew, G.711, slips and lost packets.
//!
//! A [`Line`] is one direction of a call: a chain of impairments in the order in which they were put on.
//! Everything random comes from its seed, so that a run can be repeated. [`Packets`] carries the samples on in
//! blocks of 20 ms and loses some; [`TalkerEcho`] leads what one end sends back to its own ear.
//!
//! ```
//! use fax_base::level::Dbm0;
//! use fax_line::{Ad, Edd, Gap, Line, Loss, Packets, Response};
//!
//! let response = Response::flat().with(Ad::Seven).with(Edd::Two);
//! let mut line = Line::new(1).response(&response).offset(7.0).noise(Dbm0(-48.0)).law(fax_dsp::Law::Mu);
//! let mut packets = Packets::new(Loss::bursts(0.01, 2.0), Gap::Told, 2);
//! let heard = line.pass(&[1000; 160]);
//! let block = packets.carry(&heard);
//! # let _ = block;
//! ```

mod clock;
mod distortion;
mod echo;
mod gain;
mod hilbert;
mod noise;
mod packet;
mod phase;
mod response;
mod table;
mod when;

pub use echo::TalkerEcho;
pub use noise::Gaussian;
pub use packet::{BLOCK, Block, Gap, Loss, Packets};
pub use response::{Ad, Curve, Edd, Filter, LocalLoop, PcmLinks, Proakis, Response};
pub use when::When;

use core::time::Duration;
use fax_base::level::Dbm0;
use fax_dsp::Law;

/// Samples a second.
pub const RATE: u32 = 8000;

/// Something that a line does to the samples that pass.
pub trait Impairment {
    /// Changes `samples` (16 bit linear PCM as numbers) in place. Their count may change, where clocks differ.
    fn pass(&mut self, samples: &mut Vec<f32>);
}

/// What a slip does to the samples.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Slip {
    /// 20 ms come twice.
    Repeated,
    /// 20 ms are left out.
    Dropped,
}

/// One direction of a telephone call.
pub struct Line {
    chain: Vec<Box<dyn Impairment + Send>>,
    seed: u64,
}

impl Line {
    /// A perfect line. `seed` is where the impairments' random numbers begin.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Line { chain: Vec::new(), seed }
    }

    /// Puts `impairment` behind those that are there.
    #[must_use]
    pub fn with(mut self, impairment: impl Impairment + Send + 'static) -> Self {
        self.chain.push(Box::new(impairment));
        self
    }

    /// A seed of its own for each impairment.
    fn next_seed(&mut self) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.seed
    }

    /// Louder by so many dB; negative: attenuation.
    #[must_use]
    pub fn gain(self, db: f32) -> Self {
        self.with(gain::Gain::new(db))
    }

    /// Attenuation and envelope delay over frequency. All is delayed by 16 ms more.
    #[must_use]
    pub fn response(self, response: &Response) -> Self {
        self.with(response.filter())
    }

    /// White noise of this level, all of it between 0 and 4 kHz; always there, as on an idle line.
    #[must_use]
    pub fn noise(mut self, level: Dbm0) -> Self {
        let seed = self.next_seed();
        self.with(noise::White::new(level, seed))
    }

    /// White noise so many dB below a signal of level `signal`, in 0 to 4 kHz.
    #[must_use]
    pub fn snr(self, signal: Dbm0, db: f32) -> Self {
        self.noise(Dbm0(signal.0 - db))
    }

    /// Bursts of noise, 1 ms to 5 ms long, of this level while they last.
    #[must_use]
    pub fn impulses(mut self, when: When, level: Dbm0) -> Self {
        let (a, b) = (self.next_seed(), self.next_seed());
        self.with(noise::Impulses::new(when.schedule(a), level, b))
    }

    /// All frequencies are moved up by so many Hz. The signal is delayed by 16 ms.
    #[must_use]
    pub fn offset(self, hz: f32) -> Self {
        self.with(phase::Phase::new().offset(hz))
    }

    /// The phase swings by so many degrees peak to peak, so many times a second. Delay as for [`Line::offset`].
    #[must_use]
    pub fn phase_jitter(self, degrees: f32, hz: f32) -> Self {
        self.with(phase::Phase::new().jitter(degrees, hz))
    }

    /// The phase jumps by so many degrees, each time to the other side. Delay as for [`Line::offset`].
    #[must_use]
    pub fn phase_hits(mut self, when: When, degrees: f32) -> Self {
        let seed = self.next_seed();
        self.with(phase::Phase::new().hits(when.schedule(seed), degrees))
    }

    /// The level swings by so many dB peak to peak, so many times a second.
    #[must_use]
    pub fn amplitude_jitter(self, db: f32, hz: f32) -> Self {
        self.with(gain::Jitter::new(db, hz))
    }

    /// The level changes by so many dB, for a while.
    #[must_use]
    pub fn gain_hits(mut self, when: When, db: f32, length: Duration) -> Self {
        let seed = self.next_seed();
        self.with(gain::Hits::new(when.schedule(seed), db, length))
    }

    /// There is nothing, for a while. Noise put on later stays.
    #[must_use]
    pub fn dropouts(self, when: When, length: Duration) -> Self {
        self.gain_hits(when, f32::NEG_INFINITY, length)
    }

    /// The signal comes once more, so much later and so many dB lower.
    #[must_use]
    pub fn listener_echo(self, delay: Duration, loss_db: f32) -> Self {
        self.with(echo::ListenerEcho::new(delay, loss_db))
    }

    /// A sine of level `level` gets a second and a third harmonic, so many dB below it.
    #[must_use]
    pub fn harmonics(self, level: Dbm0, second_db: f32, third_db: f32) -> Self {
        self.with(distortion::Harmonics::new(level, second_db, third_db))
    }

    /// Through an encoder and a decoder of G.711.
    #[must_use]
    pub fn law(self, law: Law) -> Self {
        self.with(distortion::Coded(law))
    }

    /// The receiving end's clock is slower by so many parts per million: the signal comes faster and is
    /// fewer samples. Delays by 3 ms.
    #[must_use]
    pub fn clock(self, ppm: f32) -> Self {
        self.with(clock::Skew::new(ppm, 0.0))
    }

    /// Later by part of a sample, 0 to 1 (and 3 ms): so that a signal meets the receiver's sampling clock at
    /// any phase. Clocks differ as for [`Line::clock`].
    #[must_use]
    pub fn clock_and_phase(self, ppm: f32, fraction: f32) -> Self {
        self.with(clock::Skew::new(ppm, fraction))
    }

    /// 20 ms come twice, or not at all, as a jitter buffer does.
    #[must_use]
    pub fn slips(mut self, when: When, slip: Slip) -> Self {
        let seed = self.next_seed();
        self.with(clock::Slips::new(when.schedule(seed), slip))
    }

    /// Samples go through, in blocks of any size.
    #[must_use]
    pub fn pass(&mut self, samples: &[i16]) -> Vec<i16> {
        let mut passing = samples.iter().map(|&s| f32::from(s)).collect();
        self.pass_f32(&mut passing);
        passing.into_iter().map(to_pcm).collect()
    }

    /// As [`Line::pass`], without rounding and clipping at the end.
    pub fn pass_f32(&mut self, samples: &mut Vec<f32>) {
        for impairment in &mut self.chain {
            impairment.pass(samples);
        }
    }
}

/// The nearest 16 bit sample.
fn to_pcm(sample: f32) -> i16 {
    // The cast clips.
    sample.round() as i16
}

/// The level of what is in `samples`, silence included.
#[must_use]
pub fn level(samples: &[i16]) -> Dbm0 {
    let sum: f64 = samples.iter().map(|&s| f64::from(s) * f64::from(s)).sum();
    Dbm0::from_mean_square((sum / samples.len().max(1) as f64) as f32)
}

/// The root mean square of a signal of this level, in units of 16 bit PCM.
#[must_use]
pub fn root_mean_square(level: Dbm0) -> f32 {
    level.sine_amplitude() / core::f32::consts::SQRT_2
}

/// Samples in a duration.
fn samples_in(duration: Duration) -> usize {
    (duration.as_secs_f64() * f64::from(RATE)).round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::sine;

    #[test]
    fn a_perfect_line_changes_nothing() {
        let samples: Vec<i16> = (0..1000).map(|i| (i * 37 % 4001 - 2000) as i16).collect();
        assert_eq!(Line::new(1).pass(&samples), samples);
    }

    #[test]
    fn the_same_seed_gives_the_same_line_whatever_the_blocks() {
        let line = || {
            let response = Response::flat().with(Ad::Nine).with(Edd::Three);
            Line::new(7)
                .response(&response)
                .clock_and_phase(200.0, 0.3)
                .offset(-7.0)
                .phase_jitter(10.0, 50.0)
                .phase_hits(When::every(Duration::from_millis(300)), 20.0)
                .amplitude_jitter(1.0, 20.0)
                .gain_hits(When::random(Duration::from_millis(500)), -3.0, Duration::from_millis(50))
                .listener_echo(Duration::from_millis(20), 26.0)
                .harmonics(Dbm0(-15.0), 34.0, 36.0)
                .snr(Dbm0(-15.0), 30.0)
                .impulses(When::random(Duration::from_millis(700)), Dbm0(-25.0))
                .slips(When::every(Duration::from_secs(1)), Slip::Repeated)
                .law(Law::Mu)
                .law(Law::A)
        };
        let signal = sine(Dbm0(-15.0), 1800.0, 24_000);
        let whole = line().pass(&signal);
        let mut pieces = Vec::new();
        let mut other = line();
        for chunk in signal.chunks(160) {
            pieces.extend(other.pass(chunk));
        }
        assert_eq!(whole, pieces);
        // 200 ppm less of 24 000 samples, and at most three slips of 160.
        assert!((23_990..24_490).contains(&whole.len()), "{}", whole.len());
    }
}
