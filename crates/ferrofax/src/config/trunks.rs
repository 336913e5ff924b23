//! `[[trunk]]`: where it is, who we are there, how numbers are written, what it takes, and what it is used for.

use super::compressions::{Compressions, compressions};
use super::sections::{choice, parsed, required, seconds, secret};
use super::transport;
use super::written::{At, Section};
use fax_net::{
    Advertise, Assertion, FaxPreference, IdentityRules, Network, NumberFormat, NumberStyle, SrtpPolicy,
    T38Policy, Trunk, TrunkLimits,
};
use fax_switch::policy::{CallerRules, Prefix, TrunkRoute};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

/// A `[[trunk]]`.
pub(super) struct Configured {
    /// For the network.
    pub(super) trunk: Trunk,
    /// For routing.
    pub(super) route: TrunkRoute,
    /// The codings used by it, where it says them.
    pub(super) compressions: Option<Compressions>,
}

/// `[[trunk]]`
pub(super) fn trunks(root: &Section<'_, '_>, base: &Path) -> Vec<Configured> {
    let mut names = BTreeSet::new();
    root.sections("trunk").into_iter().filter_map(|s| trunk(s, base, &mut names)).collect()
}

fn trunk(s: Section<'_, '_>, base: &Path, names: &mut BTreeSet<String>) -> Option<Configured> {
    let name = required(&s, "name", "name = \"carrier\"");
    if let Some(name) = &name
        && !names.insert(name.value.clone())
    {
        s.fault(name.line, format!("trunk {} is there twice", name.value), "give each its own name");
    }
    let mut trunk = Trunk::new(name.as_ref().map_or("", |n| &n.value), "");
    trunk.transport = transport::of_trunk(&s);
    trunk.peers = peers(&s);
    let complete = name.is_some() && !trunk.peers.is_empty();
    trunk.server_name = s.text("server_name").map(|n| n.value).unwrap_or_default();
    trunk.advertise = advertise(&s);
    trunk.domain = s.text("domain").map(|d| d.value).unwrap_or_default();
    credentials(&s, base, &mut trunk);
    for said in s.texts("accept_from") {
        match said.value.parse::<Network>() {
            Ok(network) => trunk.accept_from.push(network),
            Err(what) => s.fault(said.line, what, "write addresses or networks, as \"203.0.113.0/24\""),
        }
    }
    trunk.t38 = t38(&s);
    trunk.ring_timeout = seconds(&s, "ring_timeout_s", 60, 300);
    trunk.reply_within = seconds(&s, "reply_within_s", 5, 32);
    trunk.t38_onward = super::terminals::t38_onward(&s);
    trunk.challenge = super::terminals::challenge(&s, base);
    trunk.srtp = super::srtp::policy(&s, SrtpPolicy::default());
    super::srtp::check(&s, trunk.srtp, super::srtp::by_tls(&trunk));
    trunk.numbers = numbers(&s);
    trunk.identity = IdentityRules {
        from_user: s.text("from_user").map(|u| u.value).unwrap_or_default(),
        from_domain: s.text("from_domain").map(|d| d.value).unwrap_or_default(),
        display: s.flag("caller_name").is_none_or(|f| f.value),
        assertion: match choice(&s, "identity", "from", &["from", "asserted", "preferred"]).as_str() {
            "asserted" => Assertion::Asserted,
            "preferred" => Assertion::Preferred,
            _ => Assertion::None,
        },
    };
    trunk.limits = limits(&s);
    trunk.ping = s
        .number("ping_s", 0, 3_600)
        .map(|n| n.value)
        .filter(|n| *n > 0)
        .map(|n| Duration::from_secs(n.max(5)));
    trunk.redirects = s.texts("redirect_to").into_iter().map(|t| t.value).collect();
    trunk.fax_preference =
        match choice(&s, "fax_preference", "none", &["none", "t38", "passthrough"]).as_str() {
            "t38" => Some(FaxPreference::T38),
            "passthrough" => Some(FaxPreference::Passthrough),
            _ => None,
        };
    let route = TrunkRoute {
        name: trunk.name.clone(),
        prefixes: prefixes(&s),
        cost: number(&s, "cost", 1_000_000_000).unwrap_or(0),
        weight: number(&s, "weight", 1_000_000),
        outgoing: s.flag("outgoing").is_none_or(|f| f.value),
        callers: callers(&s),
    };
    let compressions = compressions(&s);
    s.finish();
    complete.then_some(Configured { trunk, route, compressions })
}

fn number(s: &Section<'_, '_>, key: &'static str, most: u64) -> Option<u32> {
    s.number(key, 0, most).and_then(|n| u32::try_from(n.value).ok())
}

fn peers(s: &Section<'_, '_>) -> Vec<String> {
    let example = "peer = \"sip.example.net:5060\"";
    let said = s.texts("peer");
    if !s.has("peer") {
        s.fault(s.line, format!("{} is missing", s.path("peer")), format!("add {example}"));
    } else if said.is_empty() {
        s.fault(s.line, format!("{} is empty", s.path("peer")), format!("write {example}"));
    }
    let good = |peer: &At<String>| {
        if peer.value.trim().is_empty() {
            s.fault(peer.line, format!("{} is empty", s.path("peer")), format!("write {example}"));
        } else if fax_net::hop(&peer.value, None).is_none() {
            s.fault(
                peer.line,
                format!("trunk.peer is {:?}", peer.value),
                "write a host, an address or a SIP URI",
            );
        } else {
            return true;
        }
        false
    };
    said.into_iter().filter(good).map(|p| p.value).collect()
}

fn advertise(s: &Section<'_, '_>) -> Advertise {
    match s.text("advertise") {
        Some(said) if said.value == "received" => Advertise::AsSeen,
        Some(_) => parsed::<IpAddr>(s, "advertise", "203.0.113.5").map_or(Advertise::Usual, Advertise::Fixed),
        None => Advertise::Usual,
    }
}

fn credentials(s: &Section<'_, '_>, base: &Path, trunk: &mut Trunk) {
    let username = s.text("username");
    let password = secret(s, base, ["password", "password_file", "password_env"]);
    match (&username, &password) {
        (Some(u), Some(p)) => trunk.credentials = Some((u.value.clone(), p.value.clone())),
        (Some(u), None) => {
            s.fault(u.line, "a username without a password", "add password_file, password_env or password");
        }
        (None, Some(p)) => s.fault(p.line, "a password without a username", "add username"),
        (None, None) => {}
    }
    let register = s.flag("register");
    let expires = s.number("register_expires_s", 60, 86_400).map_or(3600, |n| n.value);
    trunk.register_user = s.text("register_user").map(|u| u.value).unwrap_or_default();
    trunk.outbound = s.text("instance").map(|i| i.value);
    if let Some(register) = register.filter(|r| r.value) {
        trunk.register = Some(Duration::from_secs(expires));
        if trunk.credentials.is_none() && trunk.register_user.is_empty() {
            s.fault(register.line, "register without a user", "add username and password, or register_user");
        }
    }
    if let Some(said) = s.text("instance").filter(|i| !i.value.to_ascii_lowercase().starts_with("urn:uuid:"))
    {
        s.fault(
            said.line,
            format!("{} is {:?}", s.path("instance"), said.value),
            "write the urn:uuid:… of this server, the same after each start, as `uuidgen` makes one",
        );
    }
}

fn t38(s: &Section<'_, '_>) -> T38Policy {
    let after = seconds(s, "t38_after_s", 6, 60);
    let policy = choice(s, "t38", "either", &["either", "receiver-only", "accept-only", "never"]);
    let usual = T38Policy::default();
    match policy.as_str() {
        "receiver-only" => T38Policy { offer_as_caller: None, ..usual },
        "accept-only" => T38Policy { offer_as_caller: None, offer_as_called: None, accept: true },
        "never" => T38Policy::NEVER,
        _ => T38Policy { offer_as_caller: Some(after), ..usual },
    }
}

fn numbers(s: &Section<'_, '_>) -> NumberFormat {
    let usual = NumberFormat::default();
    let words = ["as-is", "+", "digits", "international", "national"];
    let style = match choice(s, "number_format", "as-is", &words).as_str() {
        "+" => NumberStyle::Plus,
        "digits" => NumberStyle::Digits,
        "international" => NumberStyle::International,
        "national" => NumberStyle::National,
        _ => NumberStyle::AsIs,
    };
    let country = s.text("country_code");
    if let Some(said) = country
        .as_ref()
        .filter(|c| !(1..=3).contains(&c.value.len()) || !c.value.bytes().all(|b| b.is_ascii_digit()))
    {
        s.fault(
            said.line,
            format!("trunk.country_code is {:?}", said.value),
            "write it as country_code = \"49\"",
        );
    }
    if style == NumberStyle::National && country.is_none() {
        s.fault(s.line, "national numbers without a country", "add country_code = \"49\"");
    }
    let text = |key, usual: String| s.text(key).map_or(usual, |t| t.value);
    NumberFormat {
        style,
        country: country.map(|c| c.value).unwrap_or_default(),
        international_prefix: text("international_prefix", usual.international_prefix),
        national_prefix: text("national_prefix", usual.national_prefix),
        tech_prefix: text("tech_prefix", usual.tech_prefix),
        user_phone: s.flag("user_phone").is_some_and(|f| f.value),
        tel: s.flag("tel_uri").is_some_and(|f| f.value),
    }
}

fn limits(s: &Section<'_, '_>) -> TrunkLimits {
    let lines = |key| s.number(key, 0, 100_000).map(|n| usize::try_from(n.value).unwrap_or(usize::MAX));
    let rate = |key| s.number(key, 1, 1_000).and_then(|n| u32::try_from(n.value).ok());
    TrunkLimits {
        calls: lines("max_calls"),
        calls_out: lines("max_calls_out"),
        calls_in: lines("max_calls_in"),
        per_second_out: rate("calls_per_second"),
        per_second_in: rate("calls_per_second_in"),
    }
}

/// `"+49"`, `"+4915 = 90"`, `"!+49900"`
fn prefixes(s: &Section<'_, '_>) -> Vec<Prefix> {
    let read = |said: At<String>| {
        let (begins, cost) = match said.value.split_once('=') {
            Some((begins, cost)) => (begins.trim(), Some(cost.trim().parse::<u32>())),
            None => (said.value.trim(), None),
        };
        let barred = begins.starts_with('!');
        let begins = begins.trim_start_matches('!');
        let digits = begins.strip_prefix('+').unwrap_or(begins);
        let good = digits.bytes().all(|b| b.is_ascii_digit()) && !begins.is_empty();
        match cost.transpose() {
            Ok(cost) if good && !(barred && cost.is_some()) => {
                Some(Prefix { begins: begins.to_owned(), cost, barred })
            }
            Ok(_) | Err(_) => {
                s.fault(
                    said.line,
                    format!("{} has {:?}", s.path("prefixes"), said.value),
                    "write \"+49\", \"+4915 = 90\" with its cost, or \"!+49900\" for what is not called",
                );
                None
            }
        }
    };
    s.texts("prefixes").into_iter().filter_map(read).collect()
}

/// `caller_ids` and `default_caller_id` of a trunk or an account.
pub(super) fn callers(s: &Section<'_, '_>) -> CallerRules {
    let allowed = s.texts("caller_ids");
    let default = s.text("default_caller_id").map(|d| d.value);
    let replaceable = default.is_some() || allowed.iter().any(|a| !a.value.ends_with('*'));
    if let Some(first) = allowed.first().filter(|_| !replaceable) {
        s.fault(
            first.line,
            "only ranges of callers' numbers",
            "add default_caller_id, which is shown instead of what is in none of them",
        );
    }
    CallerRules { allowed: allowed.into_iter().map(|a| a.value).collect(), default }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Fault, parse};

    fn read(trunk: &str, account: &str) -> Result<Config, Vec<Fault>> {
        let text = format!(
            "data_dir = \"data\"\n[[trunk]]\nname = \"carrier\"\n{trunk}\n[[trunk]]\nname = \"other\"\npeer = \
             \"192.0.2.9\"\n[[account]]\nname = \"Clinic\"\napi_key = \"0123456789abcdef\"\n{account}\n"
        );
        parse(&text, Path::new("/base"))
    }

    #[test]
    fn a_trunk_says_what_carriers_want() {
        let config = read(
            "peer = [\"a.example\", \"sip:b.example;transport=tcp\"]\nusername = \"u\"\npassword = \"p\"\n\
             register = true\ninstance = \"urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6\"\n\
             advertise = \"received\"\nnumber_format = \"national\"\ncountry_code = \"49\"\n\
             tech_prefix = \"77\"\nuser_phone = true\nidentity = \"preferred\"\nfrom_user = \"u\"\n\
             caller_name = false\nmax_calls = 30\nmax_calls_out = 20\ncalls_per_second = 2\nping_s = 30\n\
             redirect_to = [\".example\"]\nfax_preference = \"t38\"\nprefixes = [\"+49\", \"+4915 = 90\", \
             \"!+49900\"]\ncost = 10\nweight = 3\ncaller_ids = [\"+4930*\", \"+49301\"]",
            "trunk = [\"other\", \"carrier\"]\nanonymous = true\ndefault_caller_id = \"+49301\"",
        )
        .unwrap();
        let trunk = &config.trunks[0];
        assert_eq!(trunk.peers, ["a.example", "sip:b.example;transport=tcp"]);
        assert_eq!(trunk.advertise, Advertise::AsSeen);
        assert!(trunk.outbound.is_some() && trunk.register.is_some());
        assert_eq!(trunk.numbers.write("+4930123"), "030123");
        assert_eq!(trunk.identity.assertion, Assertion::Preferred);
        let limits = TrunkLimits {
            calls: Some(30),
            calls_out: Some(20),
            calls_in: None,
            per_second_out: Some(2),
            per_second_in: None,
        };
        assert_eq!((trunk.limits, trunk.ping), (limits, Some(Duration::from_secs(30))));
        let route = &config.trunk_routing.trunks[0];
        let prefix = |begins: &str, cost, barred| Prefix { begins: begins.to_owned(), cost, barred };
        assert_eq!(
            route.prefixes,
            [prefix("+49", None, false), prefix("+4915", Some(90), false), prefix("+49900", None, true)]
        );
        assert_eq!((route.cost, route.weight, route.outgoing), (10, Some(3), true));
        let account = config.trunk_routing.accounts.values().next().unwrap();
        assert_eq!(account.trunks, ["other", "carrier"]);
        assert!(account.anonymous);
        // The least there is.
        let least = read("peer = \"192.0.2.1\"", "").unwrap();
        assert_eq!(least.trunks[0], Trunk::new("carrier", "192.0.2.1"));
    }

    #[test]
    fn what_is_wrong_with_a_trunk_is_said_with_its_line() {
        for (trunk, account, what) in [
            ("peer = []", "", "trunk.peer is empty"),
            ("peer = [\"192.0.2.1\", \"\"]", "", "trunk.peer is empty"),
            ("peer = \"x\"\nadvertise = \"somewhere\"", "", "trunk.advertise is \"somewhere\""),
            ("peer = \"x\"\nnumber_format = \"national\"", "", "national numbers without a country"),
            ("peer = \"x\"\ncountry_code = \"+49\"", "", "trunk.country_code is \"+49\""),
            ("peer = \"x\"\nprefixes = [\"49a\"]", "", "trunk.prefixes has \"49a\""),
            ("peer = \"x\"\nprefixes = [\"+49 = cheap\"]", "", "trunk.prefixes has \"+49 = cheap\""),
            ("peer = \"x\"\nprefixes = [\"!+49 = 3\"]", "", "trunk.prefixes has \"!+49 = 3\""),
            ("peer = \"x\"\ncaller_ids = [\"+49*\"]", "", "only ranges of callers' numbers"),
            ("peer = \"x\"\ninstance = \"me\"", "", "trunk.instance is \"me\""),
            ("peer = \"x\"\nidentity = \"rpid\"", "", "trunk.identity is \"rpid\""),
            ("peer = \"x\"\ncalls_per_second = 0", "", "trunk.calls_per_second is 0"),
            ("peer = \"x\"", "trunk = [\"carrier\", \"gone\"]", "there is no trunk gone"),
            ("peer = \"x\"", "caller_ids = [\"+1*\"]", "only ranges of callers' numbers"),
        ] {
            let found = read(trunk, account).err().unwrap_or_default();
            assert!(found.iter().any(|f| f.what.contains(what) && f.line > 1), "{what}: {found:#?}");
        }
    }
}
