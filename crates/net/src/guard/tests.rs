//! The guard on simulated time: floods, bans, scanners, guessers.

use super::*;
use fax_base::time::Duration;

const OPTIONS: &[u8] = b"OPTIONS sip:x SIP/2.0\r\nUser-Agent: telephone\r\n\r\n";
const SCAN: &[u8] = b"OPTIONS sip:100@x SIP/2.0\r\nUser-Agent: friendly-scanner\r\n\r\n";

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn rules() -> Protection {
    Protection { per_source: 10, strangers: 100, per_peer: 1_000, sources: 512, ..Protection::default() }
}

/// A guard with a trunk at 192.0.2.1 and in 192.0.2.128/25.
fn guard(rules: Protection) -> Guard {
    let mut guard = Guard::new(rules, 1);
    guard.set_peers([ip("192.0.2.1")].into(), vec!["192.0.2.128/25".parse().unwrap()]);
    guard
}

/// How many of `n` datagrams, one each `gap_us`, are let through.
fn flood(guard: &mut Guard, from: u64, gap_us: u64, n: u64, who: impl Fn(u64) -> IpAddr) -> u64 {
    let sent = (0..n).map(|i| (Instant::from_micros(from + i * gap_us), who(i)));
    u64::try_from(sent.filter(|(now, ip)| guard.datagram(*now, *ip, OPTIONS)).count()).unwrap()
}

#[test]
fn a_source_gets_its_rate_and_a_burst() {
    let mut guard = guard(rules());
    // 20,000 a second for ten seconds: 20 at once and 10 a second.
    let let_through = flood(&mut guard, 0, 50, 200_000, |_| ip("203.0.113.9"));
    assert!((118..=121).contains(&let_through), "{let_through}");
    assert_eq!(guard.counters().over_source, 200_000 - let_through);
    // Others do not pay for that.
    assert_eq!(flood(&mut guard, 10_000_000, 1_000, 15, |_| ip("203.0.113.10")), 15);
    // All addresses of a /64 are one source.
    let of_one = flood(&mut guard, 20_000_000, 50, 20_000, |n| ip(&format!("2001:db8::{n:x}")));
    assert!((29..=31).contains(&of_one), "{of_one}");
}

#[test]
fn forged_addresses_share_what_strangers_get_and_trunks_lose_nothing() {
    let mut guard = guard(rules());
    guard.befriend(at(0), ip("198.51.100.7"), at(60_000));
    let (mut strangers, mut trunk, mut network, mut friend) = (0, 0, 0, 0);
    // Ten seconds of 20,000 a second from ever new addresses; the others send 50 a second each.
    for n in 0..200_000_u32 {
        let now = Instant::from_micros(u64::from(n) * 50);
        let forged = IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n));
        strangers += u32::from(guard.datagram(now, forged, OPTIONS));
        if n % 400 == 0 {
            trunk += u32::from(guard.datagram(now, ip("192.0.2.1"), OPTIONS));
            network += u32::from(guard.datagram(now, ip("192.0.2.200"), OPTIONS));
            friend += u32::from(guard.datagram(now, ip("198.51.100.7"), OPTIONS));
        }
    }
    assert_eq!((trunk, network, friend), (500, 500, 500));
    assert!((1_095..=1_105).contains(&strangers), "{strangers}");
    assert_eq!(guard.sources(), 512);
    // A trunk has a limit, too, and need not have one.
    let much = flood(&mut guard, 60_000_000, 50, 20_000, |_| ip("192.0.2.1"));
    assert!((2_900..=3_010).contains(&much), "{much}");
    guard.set_rules(at(0), Protection { per_peer: 0, ..rules() });
    assert_eq!(flood(&mut guard, 90_000_000, 50, 20_000, |_| ip("192.0.2.1")), 20_000);
    // Friends are strangers again when their time is over.
    assert!(flood(&mut guard, 120_000_000, 50, 2_000, |_| ip("198.51.100.7")) < 25);
}

#[test]
fn failures_ban_for_longer_each_time_and_bans_end() {
    let mut guard = guard(rules());
    let who = ip("203.0.113.9");
    let mut now = 0;
    let mut lengths = Vec::new();
    for _ in 0..12 {
        for n in 0..10 {
            assert!(guard.poll().is_none(), "banned after {n}");
            assert!(guard.datagram(at(now), who, OPTIONS));
            guard.wrong_proof(at(now), who, "ata");
            now += 100;
        }
        let banned = guard.poll().expect("not banned");
        assert_eq!((banned.source, banned.why), (Source::of(who), Offence::WrongProof));
        lengths.push(banned.length.as_secs());
        assert!(!guard.datagram(at(now), who, OPTIONS) && guard.connection(at(now), who).is_none());
        assert_eq!(guard.stream(at(now), who, 10, &[]), Flow::Close);
        assert!(guard.datagram(at(now), ip("203.0.113.10"), OPTIONS), "the neighbour");
        let length = u64::try_from(banned.length.as_millis()).unwrap();
        assert!(!guard.datagram(at(now + length - 200), who, OPTIONS));
        now += length;
        assert!(guard.datagram(at(now), who, OPTIONS));
    }
    assert_eq!(
        lengths,
        [300, 600, 1_200, 2_400, 4_800, 9_600, 19_200, 38_400, 76_800, 86_400, 86_400, 86_400]
    );
    assert_eq!(guard.counters().bans, 12);
    // A day without a fault, and it is the first time again.
    now += 86_400_000;
    (0..10).for_each(|_| guard.wrong_proof(at(now), who, "ata"));
    assert_eq!(guard.poll().unwrap().length, Duration::from_secs(300));
}

#[test]
fn a_ban_is_lifted_by_hand_and_by_a_list_of_the_allowed() {
    let mut guard = guard(rules());
    let who = ip("2001:db8::9");
    let ban = |guard: &mut Guard| (0..10).for_each(|_| guard.wrong_proof(at(0), who, "ata"));
    ban(&mut guard);
    let bans = guard.bans(at(1));
    assert_eq!((bans.len(), bans[0].0.to_string().as_str(), bans[0].1.times), (1, "2001:db8::/64", 1));
    assert!(guard.lift(at(1), ip("2001:db8::1")) && !guard.lift(at(1), who));
    assert!(guard.bans(at(1)).is_empty() && guard.datagram(at(1), who, OPTIONS));
    ban(&mut guard);
    assert_eq!(guard.bans(at(1)).len(), 1);
    let allow = vec!["2001:db8::/32".parse().unwrap()];
    guard.set_rules(at(1), Protection { allow, ..rules() });
    assert!(guard.bans(at(1)).is_empty());
    ban(&mut guard);
    assert!(guard.bans(at(1)).is_empty());
}

#[test]
fn failures_are_forgotten_and_known_addresses_are_never_banned() {
    let mut guard = guard(rules());
    let slow = ip("203.0.113.9");
    // One in two minutes, for a day.
    (0..720).for_each(|n| guard.wrong_proof(at(n * 120_000), slow, "ata"));
    assert!(guard.bans(at(86_400_000)).is_empty());
    // Who forges the address of a trunk or a terminal shuts nobody out.
    let terminal = ip("198.51.100.7");
    guard.registered(at(0), terminal, "ata", at(3_600_000));
    for n in 0..1_000 {
        for known in [ip("192.0.2.1"), ip("192.0.2.130"), terminal] {
            guard.wrong_proof(at(n), known, "ata");
            guard.datagram(at(n), known, SCAN);
        }
    }
    assert!(guard.bans(at(1_000)).is_empty());
    // A telephone is asked each time and proves it: that is no failure.
    let telephone = ip("203.0.113.20");
    for n in 0..1_000 {
        guard.offends(at(n), telephone, Offence::Unproven);
        guard.proves(telephone);
    }
    assert!(guard.bans(at(1_000)).is_empty());
    // Right proofs do not make up for wrong ones.
    let both = ip("203.0.113.22");
    for n in 0..10 {
        (0..8).for_each(|_| guard.proves(both));
        guard.wrong_proof(at(n), both, "ata");
    }
    assert_eq!(guard.bans(at(100)).len(), 1);
    assert!(guard.lift(at(100), both));
    // Who is asked and asked and never says who it is ends, too.
    let deaf = ip("203.0.113.21");
    (0..40).for_each(|n| guard.offends(at(n), deaf, Offence::Unproven));
    assert_eq!(guard.bans(at(1_000)).len(), 1);
    let never = Protection { ban_after: 0, ..rules() };
    guard.set_rules(at(0), never);
    (0..100).for_each(|n| guard.wrong_proof(at(n), ip("203.0.113.30"), "ata"));
    assert_eq!(guard.bans(at(1_000)).len(), 1);
}

#[test]
fn scanners_get_nothing_and_are_banned_unless_the_list_is_empty() {
    let mut guard = guard(rules());
    let who = ip("203.0.113.9");
    assert!(!guard.datagram(at(0), who, SCAN));
    assert!(guard.datagram(at(0), who, OPTIONS), "once is no habit");
    (0..3).for_each(|n| assert!(!guard.datagram(at(n), who, SCAN)));
    assert!(!guard.datagram(at(4), who, OPTIONS));
    assert_eq!((guard.counters().scanners, guard.poll().unwrap().why), (4, Offence::Scanner));
    // Over a connection there is no doubt who it is from.
    assert_eq!(guard.stream(at(5), ip("203.0.113.10"), SCAN.len(), &[SCAN]), Flow::Close);
    // A trunk may call itself as it likes.
    assert!(guard.datagram(at(6), ip("192.0.2.1"), SCAN));
    let nobody = Protection { scanners: Vec::new(), ..rules() };
    guard.set_rules(at(6), nobody);
    assert!(guard.datagram(at(6), ip("203.0.113.11"), SCAN));
}

#[test]
fn a_user_is_guessed_slowly_from_everywhere_and_never_locked_out_at_home() {
    let mut guard = guard(rules());
    let home = ip("198.51.100.7");
    guard.registered(at(0), home, "ata", at(60_000));
    // Ever new addresses, one guess each; what has to wait is judged when its time has come.
    let (mut judged, mut later) = (0_u32, 0_u32);
    let mut waiting: VecDeque<Instant> = VecDeque::new();
    for n in 0..6_000_u32 {
        let now = at(u64::from(n) * 100);
        while waiting.front().is_some_and(|due| *due <= now) {
            waiting.pop_front();
            guard.judged("ata");
            guard.wrong_proof(now, ip("203.0.113.1"), "ata");
            judged += 1;
        }
        let from = IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n));
        match guard.turn(now, from, "ata") {
            Turn::Now => {
                guard.wrong_proof(now, from, "ata");
                judged += 1;
            }
            Turn::Wait(wait) => {
                assert!(wait <= Duration::from_secs(16));
                waiting.push_back(now + wait);
            }
            Turn::Later(_) => later += 1,
        }
        assert_eq!(guard.turn(now, home, "ata"), Turn::Now, "at home after {n}");
        assert_eq!(guard.turn(now, from, "other"), Turn::Now);
    }
    // Ten minutes: some at once, then four in sixteen seconds.
    assert!((100..=220).contains(&judged), "{judged}");
    assert!(later > 5_000 && guard.counters().delayed > 5_000);
    // It passes.
    assert_eq!(guard.turn(at(20_000_000), ip("203.0.113.77"), "ata"), Turn::Now);
}

#[test]
fn users_who_are_guessed_take_no_more_room_than_there_is() {
    let mut guard = guard(rules());
    guard.registered(at(0), ip("198.51.100.7"), "ata", at(60_000));
    for n in 0..10_000 {
        guard.wrong_proof(at(n), ip("203.0.113.1"), &format!("user{n}"));
    }
    assert!(guard.accounts.len() <= 4_096);
    (0..40).for_each(|_| guard.wrong_proof(at(10_000), ip("203.0.113.1"), "ata"));
    assert_eq!(guard.turn(at(10_000), ip("198.51.100.7"), "ata"), Turn::Now);
    assert_ne!(guard.turn(at(10_000), ip("198.51.100.8"), "ata"), Turn::Now);
}

#[test]
fn connections_cost_and_what_comes_over_them_too() {
    let mut guard = guard(rules());
    let who = ip("203.0.113.9");
    let taken = (0..100).filter(|_| guard.connection(at(0), who).is_some()).count();
    assert_eq!((taken, guard.counters().connections), (4, 96));
    assert_eq!(guard.connection(at(0), ip("192.0.2.1")), Some(false));
    // 100 messages a second: the reader waits until it is 10.
    let other = ip("203.0.113.10");
    let (mut now, mut read) = (0_u64, 0);
    while now < 60_000 {
        read += 1;
        now += match guard.stream(at(now), other, 400, &[OPTIONS]) {
            Flow::Go => 10,
            Flow::Wait(wait) => 10 + u64::try_from(wait.as_millis()).unwrap(),
            Flow::Close => panic!("closed"),
        };
    }
    assert!((600..=640).contains(&read), "{read}");
    // Octets without messages count as well: 16 kB are eleven.
    let third = ip("203.0.113.11");
    let reads = (0..10).take_while(|_| guard.stream(at(60_000), third, 16_384, &[]) == Flow::Go).count();
    assert_eq!(reads, 1);
}

#[test]
fn the_log_has_room_for_a_line_a_second() {
    let mut guard = guard(rules());
    let said = (0..100_000).filter(|n| guard.may_say(Instant::from_micros(n * 100)).is_some()).count();
    assert!((28..=31).contains(&said), "{said}");
    assert!(guard.may_say(at(20_000)).is_some_and(|unsaid| unsaid > 0));
}

#[test]
fn switched_off_everything_passes() {
    let mut guard = guard(Protection { enabled: false, ..rules() });
    let who = ip("203.0.113.9");
    (0..100).for_each(|_| guard.wrong_proof(at(0), who, "ata"));
    assert!((0..1_000).all(|_| guard.datagram(at(0), who, SCAN)));
    assert_eq!(guard.connection(at(0), who), Some(false));
    assert_eq!(guard.stream(at(0), who, 1 << 20, &[SCAN]), Flow::Go);
    assert_eq!(guard.turn(at(0), who, "ata"), Turn::Now);
}
