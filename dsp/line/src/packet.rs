//! Packets: blocks of 20 ms that arrive or are lost (Gilbert and Elliott's model), and what a receiver is given
//! in their place.

use crate::noise::Gaussian;

/// Samples of a block: 20 ms.
pub const BLOCK: usize = 160;

/// How packets are lost: a chain of two states, good and bad, each with its own probability of loss.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Loss {
    /// Probability that a packet in the good state is the last before the bad one.
    pub to_bad: f32,
    /// Probability that a packet in the bad state is the last before the good one.
    pub to_good: f32,
    /// Probability of loss in the good state.
    pub in_good: f32,
    /// Probability of loss in the bad state.
    pub in_bad: f32,
}

impl Loss {
    /// Nothing is lost.
    pub const NONE: Loss = Loss::random(0.0);

    /// Each packet is lost with this probability, whatever became of the others.
    #[must_use]
    pub const fn random(rate: f32) -> Self {
        Loss { to_bad: 0.0, to_good: 1.0, in_good: rate, in_bad: rate }
    }

    /// This part of all packets is lost, in runs of `mean` packets in the mean (Gilbert).
    #[must_use]
    pub fn bursts(rate: f32, mean: f32) -> Self {
        let to_good = 1.0 / mean.max(1.0);
        let to_bad = (to_good * rate / (1.0 - rate).max(f32::MIN_POSITIVE)).min(1.0);
        Loss { to_bad, to_good, in_good: 0.0, in_bad: 1.0 }
    }
}

/// What a receiver is given where a packet was lost.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Gap {
    /// It is told.
    Told,
    /// Silence.
    Silence,
    /// The last packet that came, again.
    Repeated,
}

/// A block of samples at the receiver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Block {
    /// These came, or were put in the place of lost ones.
    Arrived(Vec<i16>),
    /// So many were lost.
    Lost(usize),
}

/// Carries blocks and loses some.
pub struct Packets {
    loss: Loss,
    gap: Gap,
    bad: bool,
    random: Gaussian,
    last: Vec<i16>,
    lost: u64,
    sent: u64,
}

impl Packets {
    /// Loses as `loss` says; `seed` is where the random numbers begin.
    #[must_use]
    pub fn new(loss: Loss, gap: Gap, seed: u64) -> Self {
        Packets { loss, gap, bad: false, random: Gaussian::new(seed), last: Vec::new(), lost: 0, sent: 0 }
    }

    /// One packet goes on its way.
    #[must_use]
    pub fn carry(&mut self, samples: &[i16]) -> Block {
        let probability = if self.bad { self.loss.in_bad } else { self.loss.in_good };
        let lost = self.random.uniform() < probability;
        let change = if self.bad { self.loss.to_good } else { self.loss.to_bad };
        self.bad ^= self.random.uniform() < change;
        self.sent += 1;
        if !lost {
            self.last.clear();
            self.last.extend_from_slice(samples);
            return Block::Arrived(samples.to_vec());
        }
        self.lost += 1;
        match self.gap {
            Gap::Told => Block::Lost(samples.len()),
            Gap::Silence => Block::Arrived(vec![0; samples.len()]),
            Gap::Repeated => {
                let mut again = self.last.clone();
                again.resize(samples.len(), 0);
                Block::Arrived(again)
            }
        }
    }

    /// Packets lost so far, and all.
    #[must_use]
    pub fn lost(&self) -> (u64, u64) {
        (self.lost, self.sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rate of loss, and the mean length of its runs.
    fn statistics(loss: Loss) -> (f64, f64) {
        let mut packets = Packets::new(loss, Gap::Told, 11);
        let fates: Vec<bool> =
            (0..400_000).map(|_| packets.carry(&[1; BLOCK]) == Block::Lost(BLOCK)).collect();
        let lost = fates.iter().filter(|&&l| l).count();
        let runs = fates.windows(2).filter(|w| !w[0] && w[1]).count();
        assert_eq!(packets.lost(), (lost as u64, 400_000));
        (lost as f64 / fates.len() as f64, lost as f64 / runs.max(1) as f64)
    }

    #[test]
    fn rates_and_runs_are_as_asked() {
        assert_eq!(statistics(Loss::NONE).0, 0.0);
        let (rate, run) = statistics(Loss::random(0.05));
        assert!((rate - 0.05).abs() < 0.002 && (run - 1.0 / 0.95).abs() < 0.02, "{rate} {run}");
        let (rate, run) = statistics(Loss::bursts(0.03, 4.0));
        assert!((rate - 0.03).abs() < 0.003 && (run - 4.0).abs() < 0.2, "{rate} {run}");
    }

    #[test]
    fn the_gap_is_filled_as_asked() {
        let all = Loss::random(1.0);
        assert_eq!(Packets::new(all, Gap::Told, 1).carry(&[7; 80]), Block::Lost(80));
        assert_eq!(Packets::new(all, Gap::Silence, 1).carry(&[7; 80]), Block::Arrived(vec![0; 80]));
        let mut packets = Packets::new(Loss::bursts(0.5, 1.0), Gap::Repeated, 1);
        let heard: Vec<Block> = (0..4).map(|i| packets.carry(&[i; 3])).collect();
        let came = |i| Block::Arrived(vec![i; 3]);
        assert_eq!(heard, [came(0), came(0), came(2), came(2)]);
    }
}
