//! A simulated network between two ends: delay, jitter, loss, doubled datagrams, all from a seed.

use crate::pages::Xorshift;

/// One direction of a network; time in microseconds.
#[derive(Clone, Debug)]
pub struct Network {
    /// Datagrams lost in 1000.
    pub loss_per_mille: usize,
    /// Never more than so many one after the other.
    pub most_in_a_row: usize,
    /// Delay of every datagram, µs.
    pub delay: u64,
    /// Up to so much more, µs; datagrams may overtake each other.
    pub jitter: u64,
    /// Datagrams that come twice in 1000.
    pub doubled_per_mille: usize,
    random: Xorshift,
    under_way: Vec<(u64, u64, Vec<u8>)>,
    count: u64,
    in_a_row: usize,
    /// Datagrams lost so far.
    pub lost: u64,
}

impl Network {
    /// A network without delay and loss.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Network {
            loss_per_mille: 0,
            most_in_a_row: usize::MAX,
            in_a_row: 0,
            delay: 0,
            jitter: 0,
            doubled_per_mille: 0,
            random: Xorshift::new(seed),
            under_way: Vec::new(),
            count: 0,
            lost: 0,
        }
    }

    /// A datagram enters at `now`.
    pub fn send(&mut self, now: u64, datagram: Vec<u8>) {
        self.count += 1;
        let unlucky = self.random.below(1000) < self.loss_per_mille;
        if unlucky && self.in_a_row < self.most_in_a_row {
            self.in_a_row += 1;
            self.lost += 1;
            return;
        }
        self.in_a_row = 0;
        if self.random.below(1000) < self.doubled_per_mille {
            self.enqueue(now, datagram.clone());
        }
        self.enqueue(now, datagram);
    }

    fn enqueue(&mut self, now: u64, datagram: Vec<u8>) {
        let extra = self.random.below(self.jitter as usize + 1) as u64;
        self.under_way.push((now + self.delay + extra, self.count, datagram));
    }

    /// The next datagram that has arrived by `now`.
    pub fn arrived(&mut self, now: u64) -> Option<Vec<u8>> {
        let (index, first) = self.under_way.iter().enumerate().min_by_key(|(_, (at, n, _))| (*at, *n))?;
        if first.0 > now {
            return None;
        }
        Some(self.under_way.remove(index).2)
    }
}
