//! How many connections may be open, in all and from one source: nobody fills the house (RFC 3261 §26.3.2.4).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Debug, Default)]
struct Inside {
    all: usize,
    by_source: HashMap<IpAddr, usize>,
}

/// Counts who is inside.
#[derive(Clone, Debug)]
pub(crate) struct Doors {
    inside: Arc<Mutex<Inside>>,
    all: usize,
    per_source: usize,
}

/// One connection's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    inside: Arc<Mutex<Inside>>,
    source: IpAddr,
}

/// A source: an IPv4 address, or the /64 that one subscriber has of IPv6.
fn source_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}

impl Doors {
    pub(crate) fn new(all: usize, per_source: usize) -> Self {
        Doors { inside: Arc::default(), all, per_source }
    }

    /// Takes a place, where there is one.
    pub(crate) fn enter(&self, ip: IpAddr) -> Option<Pass> {
        let source = source_of(ip);
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let here = inside.by_source.get(&source).copied().unwrap_or_default();
        if inside.all >= self.all || here >= self.per_source {
            return None;
        }
        inside.all += 1;
        inside.by_source.insert(source, here + 1);
        Some(Pass { inside: Arc::clone(&self.inside), source })
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.all = inside.all.saturating_sub(1);
        if let Some(here) = inside.by_source.get_mut(&self.source) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                inside.by_source.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_in_all_and_by_source_and_come_back() {
        let doors = Doors::new(3, 2);
        let ip = |s: &str| s.parse::<IpAddr>().unwrap();
        let first = doors.enter(ip("192.0.2.1")).unwrap();
        let _second = doors.enter(ip("::ffff:192.0.2.1")).unwrap();
        assert!(doors.enter(ip("192.0.2.1")).is_none(), "the source has two");
        let _third = doors.enter(ip("2001:db8::1")).unwrap();
        assert!(doors.enter(ip("192.0.2.2")).is_none(), "the house is full");
        drop(first);
        let _again = doors.enter(ip("2001:db8::2")).unwrap();
        assert!(doors.inside.lock().unwrap().by_source.len() == 2);
    }
}
