//! A packet network on simulated time: latency, jitter, losses single and in bursts, duplicates and
//! reordering, all from one seed.

use bytes::Bytes;
use core::time::Duration;
use fax_base::Instant;
use std::collections::BTreeMap;

/// Random numbers that are the same for the same seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x2545_F491_4F6C_DD1D).wrapping_add(1))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 up to but not including 1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// From 0 up to but not including `end` (0 for 0).
    pub fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.bits() % end }
    }
}

/// What a network does to packets.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Impairments {
    /// One way.
    pub latency: Duration,
    /// Up to so much more, evenly; packets overtake one another.
    pub jitter: Duration,
    /// The part of all packets that is lost; 1 lets nothing through.
    pub loss: f64,
    /// The mean number of packets lost in a row; 1 loses each by itself.
    pub burst: f64,
    /// Never more in a row than this.
    pub longest_burst: u32,
    /// The part of packets that come twice.
    pub duplicates: f64,
    /// The part of packets that come so much later that others overtake them.
    pub reorder: f64,
    /// How much later those come.
    pub reorder_delay: Duration,
}

impl Default for Impairments {
    /// 20 ms and nothing else.
    fn default() -> Self {
        Impairments {
            latency: Duration::from_millis(20),
            jitter: Duration::ZERO,
            loss: 0.0,
            burst: 1.0,
            longest_burst: u32::MAX,
            duplicates: 0.0,
            reorder: 0.0,
            reorder_delay: Duration::from_millis(40),
        }
    }
}

/// One direction, for packets of this type.
#[derive(Clone, Debug)]
pub struct Network<P = Bytes> {
    impairments: Impairments,
    random: Random,
    in_flight: BTreeMap<(Instant, u64), P>,
    sent: u64,
    lost: u64,
    /// In a burst of losses: how many so far.
    losing: u32,
}

impl<P: Clone> Network<P> {
    /// A network.
    #[must_use]
    pub fn new(impairments: Impairments, seed: u64) -> Self {
        Network {
            impairments,
            random: Random::new(seed),
            in_flight: BTreeMap::new(),
            sent: 0,
            lost: 0,
            losing: 0,
        }
    }

    /// Gives it a packet.
    pub fn send(&mut self, now: Instant, packet: P) {
        self.sent += 1;
        if self.loses() {
            self.lost += 1;
            return;
        }
        let copies = if self.random.chance(self.impairments.duplicates) { 2 } else { 1 };
        for copy in 0..copies {
            let jitter = self.impairments.jitter.as_micros() as u64;
            let mut delay = self.impairments.latency + Duration::from_micros(self.random.below(jitter + 1));
            if self.random.chance(self.impairments.reorder) {
                delay += self.impairments.reorder_delay;
            }
            self.in_flight.insert((now + delay, self.sent * 2 + copy), packet.clone());
        }
    }

    /// Gilbert's model: good and bad states, of which the bad one loses everything.
    fn loses(&mut self) -> bool {
        let i = &self.impairments;
        if i.loss >= 1.0 {
            return true;
        }
        let stays = if self.losing > 0 {
            self.losing < i.longest_burst && self.random.chance(1.0 - 1.0 / i.burst.max(1.0))
        } else {
            self.random.chance(i.loss / (i.burst.max(1.0) * (1.0 - i.loss).max(0.01)))
        };
        self.losing = if stays { self.losing + 1 } else { 0 };
        stays
    }

    /// The next packet that has arrived.
    pub fn poll(&mut self, now: Instant) -> Option<P> {
        let entry = self.in_flight.first_entry().filter(|e| e.key().0 <= now)?;
        Some(entry.remove())
    }

    /// When the next packet arrives.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.in_flight.first_key_value().map(|((at, _), _)| *at)
    }

    /// Packets given and packets lost.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.sent, self.lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loses_as_much_as_it_says() {
        for (loss, burst) in [(0.0, 1.0), (0.01, 1.0), (0.05, 1.0), (0.05, 3.0)] {
            let impairments = Impairments { loss, burst, ..Impairments::default() };
            let mut n = Network::new(impairments, 1);
            for i in 0..100_000 {
                n.send(Instant::from_millis(i), Bytes::new());
            }
            let (sent, lost) = n.counts();
            assert_eq!(n.in_flight.len() as u64, sent - lost);
            let part = lost as f64 / sent as f64;
            assert!((part - loss).abs() < 0.005, "{loss} {burst} {part}");
        }
    }

    #[test]
    fn delays_and_is_the_same_for_the_same_seed() {
        let run = |seed| {
            let impairments = Impairments {
                jitter: Duration::from_millis(30),
                loss: 0.1,
                duplicates: 0.1,
                reorder: 0.1,
                ..Impairments::default()
            };
            let mut n = Network::new(impairments, seed);
            for i in 0..200u8 {
                n.send(Instant::from_millis(u64::from(i) * 10), Bytes::from(vec![i]));
            }
            assert_eq!(n.poll(Instant::from_millis(19)), None);
            core::iter::from_fn(|| n.poll(Instant::from_millis(10_000))).collect::<Vec<_>>()
        };
        assert_eq!(run(5), run(5));
        assert_ne!(run(5), run(6));
        assert!(!run(5).is_sorted());
    }
}
