//! Token buckets: how much somebody may ask for, and how often he may be wrong.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use fax_store::model::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::envelope::Fault;

/// Most buckets that are kept; beyond that the fullest go, and no name comes to them.
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
            if missing.len() >= MOST && !missing.contains_key(name) {
                // So many that are so empty: whoever is new waits until some have filled.
                return Err(Fault::too_many_requests(Duration::from_secs(10)));
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

/// So many requests of one name (an account) in work at a time; more wait for their turn.
#[derive(Debug)]
pub struct Turns {
    each: usize,
    of: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Turns {
    /// So many for each name.
    #[must_use]
    pub fn new(each: usize) -> Self {
        Turns { each, of: Mutex::default() }
    }

    /// Waits for a turn; it is given back when it is dropped.
    pub async fn take(&self, name: &str) -> Option<OwnedSemaphorePermit> {
        let own = {
            let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
            if of.len() >= 1000 {
                of.retain(|_, turns| Arc::strong_count(turns) > 1);
            }
            let own = of.entry(name.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(self.each)));
            Arc::clone(own)
        };
        own.acquire_owned().await.ok()
    }
}

/// Who asks: the other end of the connection, or whom the proxies named in `trusted` say they ask for (`X-Forwarded-For`, read from the
/// last to the first as long as a proxy wrote it).
#[must_use]
pub fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    let mut at = peer.to_canonical();
    let fields: Vec<&str> =
        headers.get_all("x-forwarded-for").iter().map(|field| field.to_str().unwrap_or_default()).collect();
    let mut hops = fields.iter().rev().flat_map(|field| field.rsplit(','));
    while trusted.contains(&at) {
        let Some(before) = hops.next().and_then(address_of) else { break };
        at = before;
    }
    at
}

/// An address as proxies write it: bare, in brackets, with a port.
fn address_of(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let bare = hop.trim_start_matches('[').trim_end_matches(']');
    let with_port = || hop.parse::<SocketAddr>().map(|a| a.ip());
    bare.parse::<IpAddr>().or_else(|_| with_port()).ok().map(|a| a.to_canonical())
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
        let (b, t) = (Buckets::new(10.0, 1.0), Timestamp::from_unix_seconds);
        let drawn = (0..2 * MOST).filter(|n| b.draw(&n.to_string(), 6.0, t(0)).is_ok()).count();
        assert_eq!((drawn, b.missing.lock().unwrap().len()), (MOST, MOST));
        b.draw("0", 1.0, t(0)).unwrap();
        b.draw("new", 1.0, t(60)).unwrap();
    }

    #[test]
    fn proxies_say_for_whom_they_ask_and_nobody_else_does() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let trusted = [ip("127.0.0.1"), ip("10.0.0.1")];
        for (peer, fields, wanted) in [
            ("127.0.0.1", &["203.0.113.7"][..], "203.0.113.7"),
            ("::ffff:127.0.0.1", &["203.0.113.7"], "203.0.113.7"),
            ("203.0.113.9", &["203.0.113.7"], "203.0.113.9"),
            ("127.0.0.1", &["1.2.3.4, 203.0.113.7"], "203.0.113.7"),
            ("127.0.0.1", &["1.2.3.4", "203.0.113.7 , 10.0.0.1"], "203.0.113.7"),
            ("127.0.0.1", &["203.0.113.7:4711"], "203.0.113.7"),
            ("127.0.0.1", &["[2001:db8::7]:4711"], "2001:db8::7"),
            ("127.0.0.1", &["[2001:db8::7]"], "2001:db8::7"),
            ("127.0.0.1", &["1.2.3.4, unknown"], "127.0.0.1"),
            ("127.0.0.1", &["10.0.0.1"], "10.0.0.1"),
            ("127.0.0.1", &[""], "127.0.0.1"),
            ("127.0.0.1", &[], "127.0.0.1"),
        ] {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append("x-forwarded-for", field.parse().unwrap());
            }
            assert_eq!(client(ip(peer), &headers, &trusted), ip(wanted), "{peer} {fields:?}");
        }
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
