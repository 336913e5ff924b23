//! A table of named timers. A machine names its timers in an enum and keeps one table of them.

use crate::time::Instant;

/// Timers keyed by `K`, usually an enum with the standard's names (T1, T2, T4 …).
///
/// At most one deadline a name; setting it again moves it.
#[derive(Clone, Debug)]
pub struct Timers<K> {
    set: Vec<(K, Instant)>,
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Timers { set: Vec::new() }
    }
}

impl<K: Copy + Eq> Timers<K> {
    /// A table with nothing running.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts `timer`, or moves it, to expire at `at`.
    pub fn set(&mut self, timer: K, at: Instant) {
        match self.set.iter_mut().find(|(k, _)| *k == timer) {
            Some(slot) => slot.1 = at,
            None => self.set.push((timer, at)),
        }
    }

    /// Stops `timer`; nothing happens when it is not running.
    pub fn clear(&mut self, timer: K) {
        self.set.retain(|(k, _)| *k != timer);
    }

    /// Stops all timers.
    pub fn clear_all(&mut self) {
        self.set.clear();
    }

    /// When `timer` expires, if it runs.
    #[must_use]
    pub fn get(&self, timer: K) -> Option<Instant> {
        self.set.iter().find(|(k, _)| *k == timer).map(|(_, at)| *at)
    }

    /// The next expiry of all.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.set.iter().map(|(_, at)| *at).min()
    }

    /// Takes the earliest timer that is due at `now`; call it until it answers `None`.
    pub fn expired(&mut self, now: Instant) -> Option<K> {
        let (i, _) =
            self.set.iter().enumerate().filter(|(_, (_, at))| *at <= now).min_by_key(|(_, (_, at))| *at)?;
        Some(self.set.remove(i).0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    enum T {
        T2,
        T4,
    }

    #[test]
    fn expire_in_order_of_time() {
        let mut t = Timers::new();
        t.set(T::T2, Instant::from_millis(20));
        t.set(T::T4, Instant::from_millis(10));
        assert_eq!(t.deadline(), Some(Instant::from_millis(10)));
        assert_eq!(t.expired(Instant::from_millis(9)), None);
        assert_eq!(t.expired(Instant::from_millis(30)), Some(T::T4));
        assert_eq!(t.expired(Instant::from_millis(30)), Some(T::T2));
        assert_eq!(t.expired(Instant::from_millis(30)), None);
        t.set(T::T2, Instant::from_millis(5));
        t.set(T::T2, Instant::from_millis(50));
        assert_eq!(t.get(T::T2), Some(Instant::from_millis(50)));
        t.clear(T::T2);
        assert_eq!(t.deadline(), None);
    }
}
