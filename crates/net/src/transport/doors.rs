//! How many connections may be open, in all and from one source: nobody fills the house (RFC 3261 §26.3.2.4).

use crate::guard::Source;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// A quarter of the places is kept for trunks and registered terminals.
const KEPT: usize = 4;

/// TLS handshakes of one source that may be under way.
const HANDSHAKES_PER_SOURCE: usize = 16;

#[derive(Debug, Default)]
struct Inside {
    all: usize,
    by_source: HashMap<Source, usize>,
    handshakes: usize,
    shaking: HashMap<Source, usize>,
}

/// Counts who is inside.
#[derive(Clone, Debug)]
pub(crate) struct Doors {
    inside: Arc<Mutex<Inside>>,
    all: usize,
    per_source: usize,
    handshakes: usize,
}

/// One connection's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    inside: Arc<Mutex<Inside>>,
    source: Source,
}

/// A stranger's TLS handshake that is under way; over when dropped.
#[derive(Debug)]
pub(crate) struct Handshake {
    inside: Arc<Mutex<Inside>>,
    source: Source,
}

impl Doors {
    pub(crate) fn new(all: usize, per_source: usize, handshakes: usize) -> Self {
        Doors { inside: Arc::default(), all, per_source, handshakes }
    }

    /// Takes a place, where there is one.
    pub(crate) fn enter(&self, ip: IpAddr, stranger: bool) -> Option<Pass> {
        let source = Source::of(ip);
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let here = inside.by_source.get(&source).copied().unwrap_or_default();
        let most = if stranger { self.all - self.all / KEPT } else { self.all };
        if inside.all >= most || here >= self.per_source {
            return None;
        }
        inside.all += 1;
        inside.by_source.insert(source, here + 1);
        Some(Pass { inside: Arc::clone(&self.inside), source })
    }

    /// Begins a stranger's TLS handshake, where there may be one more.
    pub(crate) fn shake(&self, ip: IpAddr) -> Option<Handshake> {
        let source = Source::of(ip);
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let here = inside.shaking.get(&source).copied().unwrap_or_default();
        if inside.handshakes >= self.handshakes || here >= HANDSHAKES_PER_SOURCE {
            return None;
        }
        inside.handshakes += 1;
        inside.shaking.insert(source, here + 1);
        Some(Handshake { inside: Arc::clone(&self.inside), source })
    }
}

/// One less of this source.
fn leave(counts: &mut HashMap<Source, usize>, source: Source) {
    if let Some(here) = counts.get_mut(&source) {
        *here = here.saturating_sub(1);
        if *here == 0 {
            counts.remove(&source);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.all = inside.all.saturating_sub(1);
        leave(&mut inside.by_source, self.source);
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.handshakes = inside.handshakes.saturating_sub(1);
        leave(&mut inside.shaking, self.source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn places_are_bounded_in_all_and_by_source_and_come_back() {
        let doors = Doors::new(3, 2, 9);
        let first = doors.enter(ip("192.0.2.1"), true).unwrap();
        let _second = doors.enter(ip("::ffff:192.0.2.1"), true).unwrap();
        assert!(doors.enter(ip("192.0.2.1"), false).is_none(), "the source has two");
        let _third = doors.enter(ip("2001:db8::1"), true).unwrap();
        assert!(doors.enter(ip("192.0.2.2"), false).is_none(), "the house is full");
        drop(first);
        let _again = doors.enter(ip("2001:db8::2"), true).unwrap();
        assert!(doors.inside.lock().unwrap().by_source.len() == 2);
    }

    #[test]
    fn strangers_leave_a_quarter_of_the_places_to_those_we_know() {
        let doors = Doors::new(8, 8, 9);
        let strangers: Vec<_> =
            (0..8).filter_map(|n| doors.enter(ip(&format!("192.0.2.{n}")), true)).collect();
        assert_eq!(strangers.len(), 6);
        assert!(doors.enter(ip("198.51.100.1"), false).is_some());
    }

    #[test]
    fn handshakes_under_way_are_bounded_in_all_and_by_source() {
        let doors = Doors::new(1_000, 1_000, 20);
        let one: Vec<_> = (0..30).filter_map(|_| doors.shake(ip("192.0.2.1"))).collect();
        assert_eq!(one.len(), HANDSHAKES_PER_SOURCE);
        let others: Vec<_> = (2..30).filter_map(|n| doors.shake(ip(&format!("192.0.2.{n}")))).collect();
        assert_eq!(others.len(), 4);
        drop((one, others));
        assert!(doors.shake(ip("192.0.2.1")).is_some());
        assert!(doors.inside.lock().unwrap().shaking.is_empty());
    }
}
