//! Token buckets: how much somebody may ask for, and how often he may be wrong.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fax_store::model::Timestamp;

use crate::envelope::Fault;

/// Most buckets that are kept; beyond that the fullest go.
const MOST: usize = 20_000;

/// Buckets of one size, one for each name.
#[derive(Debug)]
pub struct Buckets {
    size: f64,
    per_second: f64,
    /// What is missing in each, and when that was so. Full ones are not kept.
    missing: Mutex<HashMap<String, (f64, Timestamp)>>,
}

impl Buckets {
    /// Full buckets of this size that fill by so much in a second.
    #[must_use]
    pub fn new(size: f64, per_second: f64) -> Self {
        Buckets { size, per_second, missing: Mutex::default() }
    }

    /// Takes out so much.
    ///
    /// # Errors
    ///
    /// 429 with the time to wait where there is not so much in it; then nothing is taken out.
    pub fn draw(&self, name: &str, cost: f64, now: Timestamp) -> Result<(), Fault> {
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        let left =
            |(was, at): (f64, Timestamp)| (was - self.per_second * now.since(at).as_secs_f64()).max(0.0);
        let lacks = missing.get(name).map_or(0.0, |m| left(*m));
        if lacks + cost > self.size {
            let wait = ((lacks + cost - self.size) / self.per_second).ceil().clamp(1.0, 3600.0);
            return Err(Fault::too_many_requests(Duration::from_secs_f64(wait)));
        }
        if missing.len() >= MOST {
            missing.retain(|_, m| left(*m) > 0.0);
            if missing.len() >= MOST {
                missing.retain(|_, m| left(*m) > self.size / 2.0);
            }
        }
        missing.insert(name.to_owned(), (lacks + cost, now));
        Ok(())
    }

    /// Whether so much could be taken out.
    ///
    /// # Errors
    ///
    /// As [`Buckets::draw`].
    pub fn look(&self, name: &str, cost: f64, now: Timestamp) -> Result<(), Fault> {
        let lacks = {
            let missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
            missing
                .get(name)
                .map_or(0.0, |(was, at)| (was - self.per_second * now.since(*at).as_secs_f64()).max(0.0))
        };
        if lacks + cost <= self.size {
            return Ok(());
        }
        let wait = ((lacks + cost - self.size) / self.per_second).ceil().clamp(1.0, 3600.0);
        Err(Fault::too_many_requests(Duration::from_secs_f64(wait)))
    }
}

/// By what an address is counted: IPv6 by its /64, which one customer has.
#[must_use]
pub fn source(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(four) => four.to_string(),
        IpAddr::V6(six) => {
            let [a, b, c, d, ..] = six.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_what_is_in_it_and_fills_again() {
        let (b, t) = (Buckets::new(3.0, 0.5), Timestamp::from_unix_seconds);
        for _ in 0..3 {
            b.draw("a", 1.0, t(0)).unwrap();
        }
        let full = b.draw("a", 1.0, t(0)).unwrap_err();
        assert_eq!((full.status.as_u16(), full.retry_after), (429, Some(2)));
        b.draw("b", 3.0, t(0)).unwrap();
        assert!(b.look("a", 1.0, t(1)).is_err());
        b.look("a", 1.0, t(2)).unwrap();
        b.draw("a", 1.0, t(2)).unwrap();
        assert!(b.draw("a", 1.0, t(2)).is_err());
        b.draw("a", 3.0, t(100)).unwrap();
    }

    #[test]
    fn many_names_do_not_fill_memory() {
        let b = Buckets::new(10.0, 1.0);
        for n in 0..3 * MOST {
            b.draw(&n.to_string(), 1.0, Timestamp(i64::try_from(n).unwrap())).unwrap();
        }
        assert!(b.missing.lock().unwrap().len() <= MOST);
    }

    #[test]
    fn addresses_are_counted_by_who_has_them() {
        assert_eq!(source("::ffff:192.0.2.1".parse().unwrap()), "192.0.2.1");
        assert_eq!(
            source("2001:db8:1:2:3::4".parse().unwrap()),
            source("2001:db8:1:2:9::1".parse().unwrap())
        );
    }
}
