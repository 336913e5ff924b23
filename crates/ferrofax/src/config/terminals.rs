//! Telephones, fax machines and adapters that register here: `[[terminal]]` and `[registrar]`.

use super::sections::{account_id, choice, required, secret};
use super::written::Section;
use fax_net::{Algorithm, LocalTerminal, OnwardT38, Registrar, Ringing, SrtpPolicy, Transport};
use fax_switch::Account;
use fax_switch::policy::Toll;
use fax_switch::routing::Terminal;
use std::path::Path;
use std::time::Duration;

/// `[[terminal]]`, as the switch sees them and as the network does, and the limits of their calls.
pub(super) fn terminals(
    root: &Section<'_, '_>,
    base: &Path,
    accounts: &[Account],
) -> Vec<(Terminal, LocalTerminal, Toll)> {
    // What the registrar says holds for all that say nothing themselves.
    let usual = super::srtp::policy(&root.section("registrar"), SrtpPolicy::default());
    root.sections("terminal").into_iter().filter_map(|s| terminal(s, base, accounts, usual)).collect()
}

fn terminal(
    s: Section<'_, '_>,
    base: &Path,
    accounts: &[Account],
    usual: SrtpPolicy,
) -> Option<(Terminal, LocalTerminal, Toll)> {
    let user = required(&s, "user", "user = \"reception\"");
    if let Some(said) = user.as_ref().filter(|u| !u.value.chars().all(plain)) {
        s.fault(
            said.line,
            format!("terminal.user is {:?}", said.value),
            "use letters, digits and any of - _ . ! ~ * ' + only",
        );
    }
    let account = account_id(&s, accounts);
    let password = secret(&s, base, ["password", "password_file", "password_env"]);
    let given = ["password", "password_file", "password_env"].iter().any(|key| s.has(key));
    match &password {
        None if !given => s.fault(
            s.line,
            "a terminal without a password",
            "add password_file, password_env or password: anybody could call at your cost",
        ),
        Some(short) if short.value.len() < 8 => s.fault(
            short.line,
            "the terminal's password is short",
            "use at least 8 characters, better 16: such passwords are tried out day and night",
        ),
        None | Some(_) => {}
    }
    let mut transports = Vec::new();
    for said in s.texts("transports") {
        match said.value.as_str() {
            "udp" => transports.push(Transport::Udp),
            "tcp" => transports.push(Transport::Tcp),
            "tls" => transports.push(Transport::Tls),
            other => {
                s.fault(said.line, format!("terminal.transports has {other:?}"), "write udp, tcp or tls");
            }
        }
    }
    let user = user.map(|u| u.value);
    let mut net = LocalTerminal::new(
        user.as_deref().unwrap_or_default(),
        password.as_ref().map_or("", |p| p.value.as_str()),
    );
    net.transports = transports;
    net.max_contacts = s
        .number("max_contacts", 1, 100)
        .map_or(net.max_contacts, |n| usize::try_from(n.value).unwrap_or(usize::MAX));
    net.ringing = match choice(&s, "ring", "all", &["all", "in-order"]).as_str() {
        "in-order" => Ringing::InOrder,
        _ => Ringing::All,
    };
    net.ring_timeout = super::sections::seconds(&s, "ring_timeout_s", 60, 300);
    net.reply_within = super::sections::seconds(&s, "reply_within_s", 5, 32);
    net.t38_onward = t38_onward(&s);
    net.srtp = super::srtp::policy(&s, usual);
    super::srtp::check_terminal(&s, &net);
    let switch = Terminal {
        user: user.clone().unwrap_or_default(),
        account: account.clone().unwrap_or_default(),
        numbers: s.texts("numbers").into_iter().map(|n| n.value).collect(),
        caller_id: s.text("caller_id").map(|c| c.value).unwrap_or_default(),
    };
    let toll = super::protection::toll(&s);
    s.finish();
    user?;
    account?;
    Some((switch, net, toll))
}

fn plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.!~*'+".contains(c)
}

/// `t38_onward` of a trunk or terminal: T.38 in calls that are passed on to it or from it.
pub(super) fn t38_onward(s: &Section<'_, '_>) -> OnwardT38 {
    match choice(s, "t38_onward", "pass", &["pass", "gateway", "never"]).as_str() {
        "gateway" => OnwardT38::Gateway,
        "never" => OnwardT38::Never,
        _ => OnwardT38::Pass,
    }
}

/// `challenge` of a trunk, with the name and password that it proves.
pub(super) fn challenge(s: &Section<'_, '_>, base: &Path) -> Option<(String, String)> {
    let asked = s.flag("challenge");
    let name = s.text("inbound_username");
    let password = secret(s, base, ["inbound_password", "inbound_password_file", "inbound_password_env"]);
    let line = asked.as_ref().map_or(s.line, |a| a.line);
    match (asked.is_some_and(|a| a.value), name, password) {
        (true, Some(name), Some(password)) => Some((name.value, password.value)),
        (true, _, _) => {
            s.fault(
                line,
                "a challenge without inbound_username and inbound_password",
                "add both: what the peer proves when it calls us",
            );
            None
        }
        (false, Some(said), _) | (false, None, Some(said)) => {
            s.fault(said.line, "inbound credentials without a challenge", "add challenge = true");
            None
        }
        (false, None, None) => None,
    }
}

/// `[registrar]`
pub(super) fn registrar(root: &Section<'_, '_>) -> Registrar {
    let s = root.section("registrar");
    let mut registrar = Registrar::default();
    super::srtp::policy(&s, SrtpPolicy::default());
    if let Some(realm) = s.text("realm") {
        if realm.value.is_empty() || realm.value.chars().any(char::is_control) {
            s.fault(realm.line, "registrar.realm is empty", "write realm = \"fax.example.net\"");
        }
        registrar.realm = realm.value;
    }
    let named = s.texts("algorithms");
    if !named.is_empty() {
        registrar.algorithms.clear();
    }
    for said in named {
        match said.value.as_str() {
            "SHA-256" => registrar.algorithms.push(Algorithm::Sha256),
            "SHA-512-256" => registrar.algorithms.push(Algorithm::Sha512T256),
            "MD5" => registrar.algorithms.push(Algorithm::Md5),
            other => s.fault(
                said.line,
                format!("registrar.algorithms has {other:?}"),
                "write SHA-256, SHA-512-256 or MD5, the best first",
            ),
        }
    }
    let least = s.number("min_expires_s", 10, 3_600).map_or(60, |n| n.value);
    let most = s.number("max_expires_s", 60, 86_400).map_or(3_600, |n| n.value);
    if least > most {
        s.fault(
            s.line,
            format!("registrar.min_expires_s is {least}, more than max_expires_s"),
            "write a smaller one",
        );
    }
    registrar.min_expires = Duration::from_secs(least);
    registrar.max_expires = Duration::from_secs(most);
    if let Some(every) = s.number("keep_alive_s", 0, 3_600) {
        registrar.keep_alive = Some(Duration::from_secs(every.value)).filter(|d| !d.is_zero());
    }
    if let Some(misses) = s.number("keep_alive_misses", 1, 100) {
        registrar.keep_alive_misses = u32::try_from(misses.value).unwrap_or(u32::MAX);
    }
    s.finish();
    registrar
}
