//! `[protection]`: what the SIP side bears of whom; and the keys against toll fraud, which also stand in `[[account]]`,
//! `[[terminal]]` and `[[route]]`.

use super::sections::seconds;
use super::written::{At, Section};
use fax_net::{Network, Protection};
use fax_switch::policy::{Budget, DialRules, Toll};

/// `[protection]`: the guard of the SIP side, the rules for all calls, and the budgets of destinations.
pub(super) fn protection(root: &Section<'_, '_>) -> (Protection, Toll, Vec<(String, Budget)>) {
    let s = root.section("protection");
    let usual = Protection::default();
    let number = |key, least: u64, usual: u32| {
        s.number(key, least, 1_000_000).map_or(usual, |n| u32::try_from(n.value).unwrap_or(usual))
    };
    let count = |key, least: u64, most: u64, usual: usize| {
        s.number(key, least, most).map_or(usual, |n| usize::try_from(n.value).unwrap_or(usual))
    };
    let scanners = s.texts("scanners");
    for said in scanners.iter().filter(|said| said.value.trim().len() < 3) {
        s.fault(
            said.line,
            format!("protection.scanners has {:?}", said.value),
            "write a part of User-Agent, From or Contact of at least three characters",
        );
    }
    let scanners = scanners.into_iter().map(|said| said.value.to_lowercase()).collect();
    let protection = Protection {
        enabled: s.flag("enabled").is_none_or(|e| e.value),
        per_source: number("packets_per_second", 1, usual.per_source),
        strangers: number("strangers_per_second", 1, usual.strangers),
        per_peer: number("trunk_packets_per_second", 0, usual.per_peer),
        handshakes: count("handshakes", 1, 100_000, usual.handshakes),
        allow: allow(&s),
        scanners: if s.has("scanners") { scanners } else { usual.scanners },
        ban_after: number("ban_after", 0, usual.ban_after),
        ban_window: seconds(&s, "ban_window_s", usual.ban_window.as_secs(), 86_400),
        ban: seconds(&s, "ban_s", usual.ban.as_secs(), 31_536_000),
        longest_ban: seconds(&s, "longest_ban_s", usual.longest_ban.as_secs(), 31_536_000),
        account_failures: number("account_failures", 0, usual.account_failures),
        sources: count("sources", 8, 10_000_000, usual.sources),
    };
    if protection.longest_ban < protection.ban {
        s.fault(
            s.line,
            format!("protection.longest_ban_s is less than ban_s, {}", protection.ban.as_secs()),
            "write the same number or a larger one",
        );
    }
    if protection.ban_window.is_zero() {
        s.fault(s.line, "protection.ban_window_s is 0", "write how long failures count, or ban_after = 0");
    }
    let everywhere = toll(&s);
    let destinations = s.sections("destination").into_iter().filter_map(destination).collect();
    s.finish();
    (protection, everywhere, destinations)
}

fn allow(s: &Section<'_, '_>) -> Vec<Network> {
    let read = |said: At<String>| match said.value.parse() {
        Ok(network) => Some(network),
        Err(what) => {
            s.fault(
                said.line,
                format!("protection.allow: {what}"),
                "write an address or a network, as \"192.0.2.0/24\"",
            );
            None
        }
    };
    s.texts("allow").into_iter().filter_map(read).collect()
}

/// `[[protection.destination]]`
fn destination(s: Section<'_, '_>) -> Option<(String, Budget)> {
    let begins = super::sections::required(&s, "begins", "begins = \"+882\"");
    let begins = begins.and_then(|said| beginning(&s, "begins", said));
    let budget = budget(&s);
    if budget == Budget::default() {
        s.fault(s.line, "a destination without any limit", "add calls_per_day = 10, or another limit");
    }
    s.finish();
    Some((begins?, budget))
}

/// The keys against toll fraud of a section.
pub(super) fn toll(s: &Section<'_, '_>) -> Toll {
    Toll { numbers: numbers(s), budget: budget(s) }
}

/// `allow_numbers` and `deny_numbers`.
pub(super) fn numbers(s: &Section<'_, '_>) -> DialRules {
    let list = |key| s.texts(key).into_iter().filter_map(|said| beginning(s, key, said)).collect();
    DialRules { allow: list("allow_numbers"), deny: list("deny_numbers") }
}

/// `"+49"`, also written `"+49*"`
fn beginning(s: &Section<'_, '_>, key: &str, said: At<String>) -> Option<String> {
    let begins = said.value.trim().trim_end_matches('*');
    let digits = begins.strip_prefix('+').unwrap_or(begins);
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Some(begins.to_owned());
    }
    s.fault(
        said.line,
        format!("{} has {:?}", s.path(key), said.value),
        "write what the numbers begin with, as \"+882\"",
    );
    None
}

fn budget(s: &Section<'_, '_>) -> Budget {
    let limit = |key| s.number(key, 1, 1_000_000).and_then(|n| u32::try_from(n.value).ok());
    Budget {
        per_minute: limit("calls_per_minute"),
        per_hour: limit("calls_per_hour"),
        per_day: limit("calls_per_day"),
        at_once: limit("calls_at_once"),
        spend_per_day: s.number("spend_per_day", 1, u64::MAX >> 8).map(|n| n.value),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use crate::config::{Config, Fault};
    use std::path::Path;
    use std::time::Duration;

    fn read(more: &str, account: &str, terminal: &str, route: &str) -> Result<Config, Vec<Fault>> {
        let text = format!(
            "data_dir = \"data\"\n[[trunk]]\nname = \"carrier\"\npeer = \"192.0.2.1\"\ncost = 5\n[[account]]\n\
             name = \"Clinic\"\napi_key = \"0123456789abcdef\"\n{account}\n[[terminal]]\nuser = \"ata\"\n\
             account = \"Clinic\"\npassword = \"sesame-street\"\n{terminal}\n[[route]]\nname = \"out\"\n\
             to = \"0*\"\nsend_to = \"trunk:carrier\"\n{route}\n{more}\n"
        );
        parse(&text, Path::new("/base"))
    }

    #[test]
    fn protection_is_on_without_a_word() {
        let config = read("", "", "", "").unwrap();
        assert_eq!(config.protection, Protection::default());
        assert!(config.protection.enabled);
        assert_eq!(config.toll.everywhere, Toll::default());
        assert!(config.toll.destinations.is_empty());
        assert_eq!(config.toll.price(None, Some("carrier"), &["+1"]), 5);
    }

    #[test]
    fn everything_can_be_said() {
        let config = read(
            "[protection]\npackets_per_second = 20\nstrangers_per_second = 1000\ntrunk_packets_per_second = 0\n\
             handshakes = 9\nallow = [\"192.0.2.0/24\", \"2001:db8::1\"]\nscanners = [\"Evil\"]\nban_after = 3\n\
             ban_window_s = 60\nban_s = 10\nlongest_ban_s = 100\naccount_failures = 0\nsources = 100\n\
             deny_numbers = [\"+882*\", \"+979\"]\ncalls_at_once = 7\n\
             [[protection.destination]]\nbegins = \"+88\"\ncalls_per_day = 3\nspend_per_day = 50",
            "allow_numbers = [\"+49\"]\ncalls_per_hour = 20",
            "deny_numbers = \"+4915\"\ncalls_per_minute = 2",
            "deny_numbers = [\"0900\"]",
        )
        .unwrap();
        let p = &config.protection;
        assert_eq!((p.per_source, p.strangers, p.per_peer, p.handshakes), (20, 1_000, 0, 9));
        assert_eq!((p.allow.len(), p.scanners.as_slice()), (2, &["evil".to_owned()][..]));
        assert_eq!((p.ban_after, p.account_failures, p.sources), (3, 0, 100));
        let times = [p.ban_window, p.ban, p.longest_ban].map(|d| d.as_secs());
        assert_eq!(times, [60, 10, 100]);
        let toll = &config.toll;
        assert_eq!(toll.everywhere.numbers.deny, ["+882", "+979"]);
        assert_eq!(toll.everywhere.budget.at_once, Some(7));
        let budget = Budget { per_day: Some(3), spend_per_day: Some(50), ..Budget::default() };
        assert_eq!(toll.destinations, [("+88".to_owned(), budget)]);
        let account = &toll.accounts[&config.directory.accounts().next().unwrap().id];
        assert_eq!(
            (account.numbers.allow.as_slice(), account.budget.per_hour),
            (&["+49".to_owned()][..], Some(20))
        );
        assert_eq!(toll.terminals["ata"].budget.per_minute, Some(2));
        assert_eq!(toll.routes["out"].deny, ["0900"]);
        // An empty list knows no scanners.
        assert!(read("[protection]\nscanners = []", "", "", "").unwrap().protection.scanners.is_empty());
        let off = read("[protection]\nenabled = false\nban_s = 60", "", "", "").unwrap().protection;
        assert!(!off.enabled && off.ban == Duration::from_secs(60));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (more, account, what) in [
            ("[protection]\npackets_per_second = 0", "", "protection.packets_per_second is 0"),
            ("[protection]\nallow = [\"192.0.2.0/33\"]", "", "protection.allow: "),
            ("[protection]\nscanners = [\"\"]", "", "protection.scanners has \"\""),
            ("[protection]\nban_s = 100\nlongest_ban_s = 10", "", "longest_ban_s is less"),
            ("[protection]\nban_window_s = 0", "", "ban_window_s is 0"),
            ("[protection]\nban_ofter = 3", "", "protection.ban_ofter is not known"),
            ("[protection]\ndeny_numbers = [\"+49x\"]", "", "protection.deny_numbers has \"+49x\""),
            ("[protection]\ndeny_numbers = [\"*\"]", "", "protection.deny_numbers has \"*\""),
            ("[[protection.destination]]\ncalls_per_day = 1", "", "begins is missing"),
            ("[[protection.destination]]\nbegins = \"+88\"", "", "without any limit"),
            ("", "calls_per_day = 0", "account.calls_per_day is 0"),
            ("", "allow_numbers = [\"all\"]", "account.allow_numbers has \"all\""),
        ] {
            let found = read(more, account, "", "").err().unwrap_or_default();
            assert!(found.iter().any(|f| f.what.contains(what) && f.line > 1), "{what}: {found:#?}");
        }
    }
}
