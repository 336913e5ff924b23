//! The sections of the file, one function each, with their defaults.

use super::transport;
use super::valid::{Api, Database, Secret, Sip, Smarthost, Smtp};
use super::written::{At, Section};
use fax_net::{Listen, TraceConfig, Transport, Trunk};
use fax_store::model::{AccountId, FaxboxId};
use fax_switch::policy::{AccountRoute, Toll};
use fax_switch::retention::Retention;
use fax_switch::{Account, Faxbox, Format};
use sha2::{Digest, Sha256};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

/// One of a few words.
pub(super) fn choice(section: &Section<'_, '_>, key: &'static str, default: &str, words: &[&str]) -> String {
    let Some(said) = section.text(key) else { return default.to_owned() };
    if !words.contains(&said.value.as_str()) {
        section.fault(
            said.line,
            format!("{} is {:?}", section.path(key), said.value),
            format!("write one of {}", words.join(", ")),
        );
        return default.to_owned();
    }
    said.value
}

pub(super) fn parsed<T: std::str::FromStr>(
    section: &Section<'_, '_>,
    key: &'static str,
    example: &str,
) -> Option<T> {
    let said = section.text(key)?;
    let value = said.value.parse().ok();
    if value.is_none() {
        section.fault(
            said.line,
            format!("{} is {:?}", section.path(key), said.value),
            format!("write it as {key} = \"{example}\""),
        );
    }
    value
}

pub(super) fn seconds(section: &Section<'_, '_>, key: &'static str, default: u64, most: u64) -> Duration {
    Duration::from_secs(section.number(key, 0, most).map_or(default, |n| n.value))
}

pub(super) fn size(section: &Section<'_, '_>, key: &'static str, default: u64, most: u64) -> usize {
    let n = section.number(key, 1, most).map_or(default, |n| n.value);
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// A secret: in the file, in a file of its own, or in an environment variable.
pub(super) fn secret(section: &Section<'_, '_>, base: &Path, keys: [&'static str; 3]) -> Option<At<String>> {
    let [here, in_file, in_env] = keys;
    let (a, b, c) = (section.text(here), section.text(in_file), section.text(in_env));
    let given = [&a, &b, &c].into_iter().flatten().count();
    if given > 1 {
        section.fault(
            section.line,
            format!("{here}, {in_file} and {in_env} are given together"),
            "give one of them",
        );
    }
    if let Some(file) = b {
        return match std::fs::read_to_string(base.join(&file.value)) {
            Ok(text) => Some(At { value: text.trim_end().to_owned(), line: file.line }),
            Err(error) => {
                section.fault(
                    file.line,
                    format!("{} cannot be read: {error}", file.value),
                    "write the secret there, readable for ferrofax only",
                );
                None
            }
        };
    }
    if let Some(variable) = c {
        return match std::env::var(&variable.value) {
            Ok(text) => Some(At { value: text, line: variable.line }),
            Err(_) => {
                section.fault(
                    variable.line,
                    format!("the environment has no {}", variable.value),
                    format!("set it, or use {here} or {in_file}"),
                );
                None
            }
        };
    }
    a
}

/// `[sip]`
pub(super) fn sip(root: &Section<'_, '_>, base: &Path) -> Option<Sip> {
    let s = root.section("sip");
    let mut listen = transport::listen(root, base);
    match parsed::<SocketAddr>(&s, "listen", "0.0.0.0:5060") {
        Some(address) => listen.insert(0, Listen::new(Transport::Udp, address)),
        None if listen.is_empty() && !s.has("listen") => {
            listen.push(Listen::new(Transport::Udp, SocketAddr::from(([0, 0, 0, 0], 5060))));
        }
        None => {}
    }
    let advertise = parsed::<IpAddr>(&s, "advertise", "203.0.113.5");
    let stun = s.texts("stun");
    for said in stun.iter().filter(|said| fax_net::hop(&said.value, None).is_none()) {
        s.fault(
            said.line,
            format!("sip.stun has {:?}", said.value),
            "write hosts or addresses, as stun = [\"stun.example.net\"]",
        );
    }
    let stun = stun.into_iter().map(|said| said.value).collect();
    let media_ports = s.text("media_ports").and_then(|said| {
        let range = said.value.split_once('-').and_then(|(a, b)| {
            let (a, b) = (a.trim().parse::<u16>().ok()?, b.trim().parse::<u16>().ok()?);
            (a >= 1024 && a < b).then_some(a..=b)
        });
        if range.is_none() {
            s.fault(
                said.line,
                format!("sip.media_ports is {:?}", said.value),
                "write a range above 1023, as media_ports = \"10000-10999\"",
            );
        }
        range
    });
    let workers = s.number("workers", 0, 256).map_or(0, |n| n.value);
    let max_calls = size(&s, "max_calls", 200, 10_000);
    s.finish();
    Some(Sip {
        listen,
        tls: transport::tls(root, base),
        streams: transport::streams(root),
        dns: transport::dns(root),
        advertise,
        stun,
        media_ports,
        workers: usize::try_from(workers).unwrap_or(0),
        max_calls,
    })
}

pub(super) fn required(s: &Section<'_, '_>, key: &'static str, example: &str) -> Option<At<String>> {
    let said = s.text(key);
    if !s.has(key) {
        s.fault(s.line, format!("{} is missing", s.path(key)), format!("add {example}"));
    }
    if let Some(empty) = said.as_ref().filter(|t| t.value.trim().is_empty()) {
        s.fault(empty.line, format!("{} is empty", s.path(key)), format!("write {example}"));
    }
    said
}

/// `[api]`
pub(super) fn api(root: &Section<'_, '_>, base: &Path) -> Option<Api> {
    if !root.has("api") {
        return None;
    }
    let s = root.section("api");
    let listen = parsed::<SocketAddr>(&s, "listen", "127.0.0.1:8000")
        .or_else(|| (!s.has("listen")).then(|| SocketAddr::from(([127, 0, 0, 1], 8000))));
    let max_upload = size(&s, "max_upload", 20_000_000, 1_000_000_000);
    let allow_private_urls = s.flag("allow_private_urls").is_some_and(|f| f.value);
    let user_auth = s.flag("user_auth").is_some_and(|f| f.value);
    let attachment_format =
        match choice(&s, "attachment_format", "pdf", &["pdf", "tiff", "original"]).as_str() {
            "tiff" => Format::Tiff,
            "original" => Format::Original,
            _ => Format::Pdf,
        };
    let token_secret = secret(&s, base, ["token_secret", "token_secret_file", "token_secret_env"]);
    if let Some(short) = token_secret.as_ref().filter(|t| t.value.len() < 32) {
        s.fault(
            short.line,
            "the token secret is short",
            "use at least 32 characters, as `openssl rand -hex 32` makes",
        );
    }
    let mut trusted_proxies = Vec::new();
    for said in s.texts("trusted_proxies") {
        match said.value.trim().parse::<IpAddr>() {
            Ok(address) => trusted_proxies.push(address.to_canonical()),
            Err(_) => s.fault(
                said.line,
                format!("api.trusted_proxies has \"{}\", which is no address", said.value),
                "write the addresses that the proxies connect from, as [\"127.0.0.1\"]",
            ),
        }
    }
    s.finish();
    let token_secret = token_secret.map(|t| Secret(t.value));
    let listen = listen?;
    Some(Api {
        listen,
        max_upload,
        allow_private_urls,
        user_auth,
        attachment_format,
        token_secret,
        trusted_proxies,
    })
}

/// `[smtp]`
pub(super) fn smtp(root: &Section<'_, '_>) -> Option<Smtp> {
    if !root.has("smtp") {
        return None;
    }
    let s = root.section("smtp");
    let listen = parsed::<SocketAddr>(&s, "listen", "127.0.0.1:2525")
        .or_else(|| (!s.has("listen")).then(|| SocketAddr::from(([127, 0, 0, 1], 2525))));
    let hostname = s.text("hostname").map_or_else(|| "localhost".to_owned(), |h| h.value);
    let max_message = size(&s, "max_message", 20_000_000, 1_000_000_000);
    let max_sessions = size(&s, "max_sessions", 50, 10_000);
    let fax_domain = s.text("fax_domain").map_or_else(|| hostname.clone(), |d| d.value);
    let proxy = s.flag("proxy").is_some_and(|f| f.value);
    let allow_all = s.flag("allow_all").is_some_and(|f| f.value);
    s.finish();
    Some(Smtp { listen: listen?, hostname, max_message, max_sessions, proxy, allow_all, fax_domain })
}

/// `[mail]`
pub(super) fn mail(root: &Section<'_, '_>, base: &Path) -> Option<Smarthost> {
    if !root.has("mail") {
        return None;
    }
    let s = root.section("mail");
    let host = required(&s, "host", "host = \"mail.example.net\"");
    let tls = choice(&s, "tls", "starttls", &["none", "starttls", "tls"]);
    let usual = match tls.as_str() {
        "tls" => 465,
        "none" => 25,
        _ => 587,
    };
    let port = s.number("port", 1, 65_535).map_or(usual, |n| n.value);
    let from = required(&s, "from", "from = \"Fax <fax@example.net>\"");
    if let Some(wrong) = from.as_ref().filter(|f| !fax_mail::mailer::is_sender(&f.value)) {
        s.fault(
            wrong.line,
            format!("mail.from is {:?}, which is no address", wrong.value),
            "write it as from = \"Fax <fax@example.net>\"",
        );
    }
    let username = s.text("username");
    let password = secret(&s, base, ["password", "password_file", "password_env"]);
    let credentials = match (username, password) {
        (Some(u), Some(p)) => Some((u.value, p.value)),
        (Some(u), None) => {
            s.fault(u.line, "a username without a password", "add password_file, password_env or password");
            None
        }
        (None, _) => None,
    };
    let max_attachment = size(&s, "max_attachment", MAX_ATTACHMENT, 1_000_000_000);
    s.finish();
    Some(Smarthost {
        host: host?.value,
        port: u16::try_from(port).unwrap_or(usual_port()),
        tls,
        credentials,
        from: from?.value,
        max_attachment,
    })
}

/// The mailer's own, octets.
const MAX_ATTACHMENT: u64 = fax_mail::mailer::MAX_ATTACHMENT as u64;

const fn usual_port() -> u16 {
    587
}

/// `[database]`, and its line.
pub(super) fn database(root: &Section<'_, '_>, base: &Path) -> Option<(Database, usize)> {
    if !root.has("database") {
        return None;
    }
    let s = root.section("database");
    let url = secret(&s, base, ["url", "url_file", "url_env"]);
    let example = "url = \"postgres://fax:secret@db.example.net/fax\"";
    match &url {
        None if !["url", "url_file", "url_env"].iter().any(|key| s.has(key)) => {
            s.fault(s.line, "database.url is missing", format!("add {example}, url_file or url_env"));
        }
        Some(url) if !["postgres://", "postgresql://"].iter().any(|begin| url.value.starts_with(begin)) => {
            s.fault(url.line, "database.url is no PostgreSQL URL", format!("write it as {example}"));
        }
        None | Some(_) => {}
    }
    let connections = s.number("connections", 2, 1_000).map_or(10, |n| u32::try_from(n.value).unwrap_or(10));
    let line = s.line;
    s.finish();
    Some((Database { url: url?.value, connections }, line))
}

/// `[trace]`
pub(super) fn trace(root: &Section<'_, '_>, data_dir: &Path) -> Option<TraceConfig> {
    let s = root.section("trace");
    let usual = TraceConfig::new(data_dir.join("traces"));
    let octets = |key, default: u64| s.number(key, 1, 1_000_000).map_or(default, |n| n.value * 1_000_000);
    let config = TraceConfig {
        keep_good: s
            .number("keep_good", 0, 100_000)
            .map_or(usual.keep_good, |n| usize::try_from(n.value).unwrap_or(usual.keep_good)),
        most_octets: octets("max_mb", usual.most_octets),
        call_octets: octets("max_call_mb", usual.call_octets),
        pages: s.flag("pages").map_or(usual.pages, |f| f.value),
        numbers: s.flag("numbers").map_or(usual.numbers, |f| f.value),
        folder: usual.folder,
    };
    let record = s.flag("record").is_none_or(|f| f.value);
    s.finish();
    record.then_some(config)
}

/// An id: 32 hexadecimal digits as written, or made from a name so that it stays the same.
fn id_of(kind: &str, name: &str) -> String {
    let given = name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit());
    if given {
        return name.to_ascii_lowercase();
    }
    let digest = Sha256::digest(format!("{kind}:{name}").as_bytes());
    digest.iter().take(16).map(|b| format!("{b:02x}")).collect()
}

/// What an account has of its own: its route, what it may spend, and how long its faxes are kept.
pub(super) type OwnRules = (AccountId, AccountRoute, Toll, Option<Retention>);

/// `[[account]]`, with what each says of its calls and their limits.
pub(super) fn accounts(
    root: &Section<'_, '_>,
    base: &Path,
    trunks: &[Trunk],
    usual: Retention,
) -> (Vec<Account>, Vec<OwnRules>) {
    let mut accounts = Vec::new();
    let mut routes = Vec::new();
    for s in root.sections("account") {
        let name = required(&s, "name", "name = \"Clinic\"");
        let name = name.map(|n| n.value).unwrap_or_default();
        let id = s.text("id").map_or_else(|| id_of("account", &name), |i| id_of("account", &i.value));
        let key = secret(&s, base, ["api_key", "api_key_file", "api_key_env"]);
        if let Some(short) = key.as_ref().filter(|k| k.value.len() < 16) {
            s.fault(
                short.line,
                "the API key is short",
                "use at least 16 characters, as `openssl rand -hex 32` makes",
            );
        }
        let mut route = AccountRoute {
            callers: super::trunks::callers(&s),
            anonymous: s.flag("anonymous").is_some_and(|a| a.value),
            trunks: Vec::new(),
        };
        for trunk in s.texts("trunk") {
            if trunks.iter().any(|t| t.name == trunk.value) {
                route.trunks.push(trunk.value);
            } else {
                s.fault(
                    trunk.line,
                    format!("there is no trunk {}", trunk.value),
                    "name one of the [[trunk]] sections",
                );
            }
        }
        let own = s.has("retention").then(|| super::keep::retention(s.section("retention"), usual));
        routes.push((AccountId::new(id.clone()), route, super::protection::toll(&s), own));
        accounts.push(Account {
            id: AccountId::new(id),
            name,
            realm: s.text("realm").map(|r| r.value).unwrap_or_default(),
            api_keys_sha256: key.iter().map(|k| Sha256::digest(k.value.as_bytes()).into()).collect(),
            timezone: timezone(&s),
            max_outbound: s.number("max_outbound", 1, 10_000).and_then(|n| u32::try_from(n.value).ok()),
            send_hours: super::queue::send_hours(&s),
            numbers: s.texts("numbers").into_iter().map(|n| n.value).collect(),
            operator: s.flag("operator").is_some_and(|o| o.value),
            ..Account::default()
        });
        s.finish();
    }
    // Who is alone is the operator.
    if let [only] = accounts.as_mut_slice() {
        only.operator = true;
    }
    (accounts, routes)
}

/// `timezone` of an account or a faxbox.
fn timezone(s: &Section<'_, '_>) -> String {
    let Some(said) = s.text("timezone") else { return String::new() };
    if !said.value.is_empty() && jiff::tz::TimeZone::get(&said.value).is_err() {
        s.fault(
            said.line,
            format!("{} {:?} is not known", s.path("timezone"), said.value),
            "write a name of the IANA time zone database, as timezone = \"Europe/Berlin\"",
        );
    }
    said.value
}

/// `[[faxbox]]`
pub(super) fn faxboxes(root: &Section<'_, '_>, accounts: &[Account]) -> Vec<Faxbox> {
    let mut faxboxes = Vec::new();
    for s in root.sections("faxbox") {
        let name = required(&s, "name", "name = \"Front desk\"");
        let name = name.map(|n| n.value).unwrap_or_default();
        let account = account_id(&s, accounts);
        let texts = |key| s.texts(key).into_iter().map(|t| t.value).collect::<Vec<_>>();
        let domains = texts("mail_domain");
        let faxbox = Faxbox {
            id: FaxboxId::new(
                s.text("id").map_or_else(|| id_of("faxbox", &name), |i| id_of("faxbox", &i.value)),
            ),
            name,
            caller_name: s.text("caller_name").map(|t| t.value).unwrap_or_default(),
            caller_id: s.text("caller_id").map(|t| t.value).unwrap_or_default(),
            fax_header: s.text("header").map(|t| t.value).unwrap_or_default(),
            fax_identity: s.text("ident").map(|t| t.value).unwrap_or_default(),
            timezone: timezone(&s),
            colour: s.flag("colour").is_some_and(|c| c.value),
            retries: s.number("retries", 1, 20).map_or(3, |n| u32::try_from(n.value).unwrap_or(3)),
            send_hours: super::queue::send_hours(&s),
            numbers: texts("numbers"),
            mail_domain: domains.first().cloned().unwrap_or_default(),
            custom_mail_domain: domains.get(1).cloned(),
            smtp_permission_list: texts("allow_senders"),
            notify_inbound: texts("notify_inbound"),
            notify_outbound: texts("notify_outbound"),
            callback_inbound: super::callbacks::callback(&s, "callback_inbound"),
            callback_outbound: super::callbacks::callback(&s, "callback_outbound"),
            ..Faxbox::default()
        };
        s.finish();
        if let Some(account) = account {
            faxboxes.push(Faxbox { account, ..faxbox });
        }
    }
    faxboxes
}

/// `account`: one of the accounts, by its name or id.
pub(super) fn account_id(s: &Section<'_, '_>, accounts: &[Account]) -> Option<AccountId> {
    let said = required(s, "account", "account = \"Clinic\"")?;
    let id = id_of("account", &said.value);
    let found = accounts.iter().find(|a| a.name == said.value || a.id.as_str() == id);
    if found.is_none() {
        s.fault(
            said.line,
            format!("there is no account {}", said.value),
            "name one of the [[account]] sections",
        );
    }
    found.map(|a| a.id.clone())
}
