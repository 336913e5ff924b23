//! The order in which the servers of a service are tried (RFC 2782, "Usage rules"; RFC 3263 §4.3).

use std::net::SocketAddr;

/// One SRV record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Service {
    /// Lower goes first.
    pub priority: u16,
    /// The share among those of the same priority.
    pub weight: u16,
    /// The port there.
    pub port: u16,
    /// The host there.
    pub host: String,
}

/// Puts services in the order in which they are to be tried: by priority, and within one by lot, each with the chance
/// of its weight. `random(n)` gives a number from 0 to n.
pub fn by_priority_and_weight(
    mut services: Vec<Service>,
    mut random: impl FnMut(u64) -> u64,
) -> Vec<Service> {
    // Those without weight come first in the sum, which gives them the least chance but one.
    services.sort_by_key(|s| (s.priority, s.weight));
    let mut ordered = Vec::with_capacity(services.len());
    while let Some(priority) = services.first().map(|s| s.priority) {
        let same = services.iter().take_while(|s| s.priority == priority);
        let total: u64 = same.clone().map(|s| u64::from(s.weight)).sum();
        let lot = random(total);
        let mut sum = 0;
        let chosen = same.map(|s| {
            sum += u64::from(s.weight);
            sum
        });
        let index = chosen.into_iter().position(|sum| sum >= lot).unwrap_or(0);
        ordered.push(services.remove(index));
    }
    ordered
}

/// Moves what is known to be dead behind everything else, keeping the order: when all are dead, all are tried.
pub(crate) fn living_first<T>(targets: &mut Vec<T>, dead: impl Fn(&T) -> bool) {
    let (gone, living): (Vec<T>, Vec<T>) = std::mem::take(targets).into_iter().partition(|t| dead(t));
    targets.extend(living);
    targets.extend(gone);
}

/// Addresses of the families we have, the wanted family first; each once.
pub(crate) fn of_our_families(addresses: Vec<SocketAddr>, ipv4: bool, ipv6: bool) -> Vec<SocketAddr> {
    let mut kept: Vec<SocketAddr> = Vec::with_capacity(addresses.len());
    for address in addresses {
        if (if address.is_ipv4() { ipv4 } else { ipv6 }) && !kept.contains(&address) {
            kept.push(address);
        }
    }
    kept.sort_by_key(SocketAddr::is_ipv4);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn service(priority: u16, weight: u16, host: &str) -> Service {
        Service { priority, weight, port: 5060, host: host.to_owned() }
    }

    fn hosts(services: &[Service]) -> Vec<&str> {
        services.iter().map(|s| s.host.as_str()).collect()
    }

    #[test]
    fn the_lower_priority_goes_first_whatever_the_weights() {
        let list = vec![service(20, 65_535, "c"), service(10, 0, "a"), service(15, 1, "b")];
        for lot in [0, 1, u64::MAX] {
            assert_eq!(hosts(&by_priority_and_weight(list.clone(), |n| lot.min(n))), ["a", "b", "c"]);
        }
    }

    #[test]
    fn weights_are_chances() {
        let list = vec![service(1, 75, "a"), service(1, 25, "b"), service(1, 0, "c")];
        // Every lot of the first draw once: 0 is c's, 1 to 25 b's, 26 to 100 a's.
        let mut first = std::collections::BTreeMap::new();
        for lot in 0..=100 {
            let ordered = by_priority_and_weight(list.clone(), |n| if n == 100 { lot } else { 0 });
            *first.entry(ordered.first().unwrap().host.clone()).or_insert(0) += 1;
        }
        assert_eq!(
            first.into_iter().collect::<Vec<_>>(),
            [("a".to_owned(), 75), ("b".to_owned(), 25), ("c".to_owned(), 1)]
        );
    }

    #[test]
    fn the_dead_come_last_and_are_not_forgotten() {
        let mut list = vec![1, 2, 3, 4];
        living_first(&mut list, |n| n % 2 == 1);
        assert_eq!(list, [2, 4, 1, 3]);
        living_first(&mut list, |_| true);
        assert_eq!(list, [2, 4, 1, 3]);
    }

    proptest! {
        #[test]
        fn everything_is_there_once_and_in_order_of_priority(
            list in prop::collection::vec((0u16..4, 0u16..5), 0..12),
            lots in prop::collection::vec(any::<u64>(), 16),
        ) {
            let services: Vec<Service> = list.iter().enumerate()
                .map(|(i, (p, w))| service(*p, *w, &i.to_string())).collect();
            let mut lots = lots.into_iter().cycle();
            let ordered = by_priority_and_weight(services.clone(), |n| lots.next().unwrap_or(0) % (n + 1));
            prop_assert_eq!(ordered.len(), services.len());
            prop_assert!(ordered.is_sorted_by_key(|s| s.priority));
            prop_assert!(services.iter().all(|s| ordered.contains(s)));
        }
    }
}
