//! Configurations as people write them, right and wrong.

use super::{Fault, parse};
use fax_base::page::Coding;
use fax_net::{Listen, TlsVersion, Transport};
use std::path::Path;
use std::time::Duration;

const LEAST: &str = r#"
data_dir = "data"
[[trunk]]
name = "carrier"
peer = "sip.example.net"
[[account]]
name = "Clinic"
api_key = "0123456789abcdef"
[[faxbox]]
name = "Desk"
account = "Clinic"
numbers = ["415 555 0100"]
"#;

fn faults(text: &str) -> Vec<Fault> {
    parse(text, Path::new("/base")).err().unwrap_or_default()
}

#[test]
fn stun_servers_are_hosts_one_or_several() {
    let with = |stun: &str| format!("{LEAST}[sip]\nstun = {stun}\n");
    let config = parse(&with("[\"stun.example.net\", \"192.0.2.1:3479\"]"), Path::new("/")).unwrap();
    assert_eq!(config.sip.stun, ["stun.example.net", "192.0.2.1:3479"]);
    assert_eq!(parse(&with("\"stun.example.net\""), Path::new("/")).unwrap().sip.stun.len(), 1);
    assert!(faults(&with("[\"two words\"]"))[0].what.contains("sip.stun has \"two words\""));
}

#[test]
fn the_least_is_enough_and_the_rest_has_defaults() {
    let config = parse(LEAST, Path::new("/base")).unwrap();
    assert_eq!(config.data_dir, Path::new("/base/data"));
    assert_eq!(config.sip.listen, [Listen::new(Transport::Udp, "0.0.0.0:5060".parse().unwrap())]);
    assert!(config.receive_colour);
    let without = format!("receive_colour = false\n{LEAST}");
    assert!(!parse(&without, Path::new("/")).unwrap().receive_colour);
    assert!(config.api.is_none() && config.smtp.is_none() && config.mail.is_none());
    assert_eq!(config.trunks[0].t38.offer_as_caller, Some(Duration::from_secs(6)));
    let faxbox = config.directory.faxbox_by_number("+14155550100").unwrap();
    assert_eq!((faxbox.name.as_str(), faxbox.retries, faxbox.colour), ("Desk", 3, false));
    let coloured = parse(&format!("{LEAST}colour = true\n"), Path::new("/")).unwrap();
    assert!(coloured.directory.faxbox_by_number("+14155550100").unwrap().colour);
    assert_eq!(config.directory.account_by_key("0123456789abcdef").unwrap().name, "Clinic");
}

#[test]
fn calls_are_recorded_unless_it_is_turned_off() {
    let of = |section: &str| parse(&format!("{LEAST}\n{section}"), Path::new("/base")).unwrap().traces;
    let usual = of("").unwrap();
    assert_eq!((usual.folder.as_path(), usual.keep_good), (Path::new("/base/data/traces"), 20));
    assert_eq!((usual.pages, usual.numbers), (true, false));
    let own =
        of("[trace]\nkeep_good = 0\nmax_mb = 10\nmax_call_mb = 2\nnumbers = true\npages = false").unwrap();
    assert_eq!((own.keep_good, own.most_octets, own.call_octets), (0, 10_000_000, 2_000_000));
    assert!(own.numbers && !own.pages);
    assert_eq!(of("[trace]\nrecord = false"), None);
}

#[test]
fn rest_is_told_who_may_log_in_and_mail_what_its_domains_end_in() {
    let of = |section: &str| parse(&format!("{LEAST}\n{section}"), Path::new("/base"));
    let usual = of("[api]\n[smtp]\nhostname = \"mx.example\"").unwrap();
    let (api, smtp) = (usual.api.unwrap(), usual.smtp.unwrap());
    assert!(!api.user_auth && api.token_secret.is_none() && smtp.fax_domain == "mx.example");
    let secret = "0123456789abcdef0123456789abcdef";
    let own =
        format!("[api]\nuser_auth = true\ntoken_secret = \"{secret}\"\n[smtp]\nfax_domain = \"fax.example\"");
    let own = of(&own).unwrap();
    let api = own.api.unwrap();
    assert!(api.user_auth && api.token_secret.as_ref().is_some_and(|s| s.0 == secret));
    assert!(!format!("{api:?}").contains(secret) && own.smtp.unwrap().fax_domain == "fax.example");
    assert!(api.trusted_proxies.is_empty() && api.attachment_format == fax_switch::Format::Pdf);
    let tiff = of("[api]\nattachment_format = \"tiff\"").unwrap().api.unwrap();
    assert_eq!(tiff.attachment_format, fax_switch::Format::Tiff);
    let faults = of("[api]\nattachment_format = \"png\"").unwrap_err();
    assert!(faults.iter().any(|f| f.what.contains("png") && f.remedy.contains("pdf, tiff, original")));
    let api = of("[api]\ntrusted_proxies = [\"127.0.0.1\", \"::ffff:10.0.0.1\"]").unwrap().api.unwrap();
    assert_eq!(
        api.trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["127.0.0.1", "10.0.0.1"]
    );
    let faults = of("[api]\ntrusted_proxies = \"proxy.example\"").unwrap_err();
    assert!(faults.iter().any(|f| f.what.contains("proxy.example") && f.remedy.contains("addresses")));
    let faults = of("[api]\ntoken_secret = \"short\"").unwrap_err();
    assert!(faults.iter().any(|f| f.what == "the token secret is short" && f.remedy.contains("openssl")));
}

#[test]
fn metrics_are_for_this_machine_or_for_who_has_a_token() {
    let of = |section: &str| parse(&format!("{LEAST}\n{section}"), Path::new("/base"));
    assert!(of("").unwrap().metrics.is_none());
    let usual = of("[metrics]").unwrap().metrics.unwrap();
    assert!(usual.listen.to_string() == "127.0.0.1:9363" && usual.token.is_none());
    let own = of("[metrics]\nlisten = \"0.0.0.0:9\"\ntoken = \"0123456789abcdef\"").unwrap().metrics.unwrap();
    assert!(own.listen.port() == 9 && own.token.as_ref().is_some_and(|t| t.0 == "0123456789abcdef"));
    assert!(!format!("{own:?}").contains("0123456789abcdef"));
    let faults = of("[metrics]\nlisten = \"0.0.0.0:9\"").unwrap_err();
    assert!(
        faults.iter().any(|f| f.what.contains("everybody") && f.remedy.contains("token_file")),
        "{faults:?}"
    );
    let faults = of("[metrics]\ntoken = \"short\"").unwrap_err();
    assert!(faults.iter().any(|f| f.what == "the token of [metrics] is short"), "{faults:?}");
}

#[test]
fn ids_made_from_names_stay_the_same() {
    let id =
        |text: &str| parse(text, Path::new("/")).unwrap().directory.accounts().next().unwrap().id.clone();
    let first = id(LEAST);
    assert_eq!(first.as_str().len(), 32);
    assert_eq!(id(&format!("# another comment\n{LEAST}")), first);
    let given =
        LEAST.replace("name = \"Clinic\"", "name = \"Clinic\"\nid = \"00112233445566778899AABBCCDDEEFF\"");
    assert_eq!(id(&given).as_str(), "00112233445566778899aabbccddeeff");
}

#[test]
fn every_fault_is_named_with_its_line_and_remedy() {
    let text = r#"data_dir = 5
[sip]
listen = "everywhere"
media_port = "10000-10999"
max_calls = 0
[[trunk]]
name = "carrier"
peer = "192.0.2.1"
username = "me"
accept_from = ["203.0.113.0/40"]
[[account]]
name = "Clinic"
api_key = "short"
trunk = "other"
[[faxbox]]
name = "Desk"
account = "Nobody"
"#;
    let found = faults(text);
    let at = |line: usize| found.iter().filter(|f| f.line == line).collect::<Vec<_>>();
    assert!(at(1)[0].what.contains("data_dir is an integer"), "{found:#?}");
    assert!(at(3)[0].remedy.contains("0.0.0.0:5060"));
    assert!(
        at(4)[0].what.contains("sip.media_port is not known") && at(4)[0].remedy.contains("media_ports?")
    );
    assert!(at(5)[0].remedy.contains("from 1 to"));
    assert!(at(9)[0].what.contains("without a password"));
    assert!(at(10)[0].remedy.contains("203.0.113.0/24"));
    assert!(at(13)[0].what.contains("short"));
    assert!(at(14)[0].what.contains("no trunk other"));
    assert!(at(17)[0].what.contains("no account Nobody"));
    assert!(found.iter().all(|f| !f.remedy.is_empty()));
}

#[test]
fn broken_toml_is_a_fault_with_its_line_and_the_rest_is_still_checked() {
    let found = faults(&format!("{LEAST}\n[api]\nlisten = \n[queue]\nmax_call = 3\n"));
    assert!(found.iter().any(|f| f.line == 15), "{found:#?}");
    assert!(found.iter().any(|f| f.what.contains("queue.max_call")), "{found:#?}");
}

#[test]
fn what_must_be_unique_is() {
    let twice = format!(
        "{LEAST}\n[[faxbox]]\nname = \"Other\"\naccount = \"Clinic\"\nnumbers = [\"+14155550100\"]\n"
    );
    assert!(faults(&twice).iter().any(|f| f.what.contains("used by two faxboxes")));
    let trunks = format!("{LEAST}\n[[trunk]]\nname = \"carrier\"\npeer = \"192.0.2.1\"\n");
    assert!(faults(&trunks).iter().any(|f| f.what.contains("there twice")));
}

#[test]
fn secrets_come_from_files_and_are_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), "fedcba9876543210\n").unwrap();
    let text = LEAST.replace("api_key = \"0123456789abcdef\"", "api_key_file = \"key\"");
    let text = format!(
        "{text}\n[mail]\nhost = \"mail\"\nfrom = \"fax@example.net\"\nusername = \"u\"\npassword = \"sesame\"\n"
    );
    let config = parse(&text, folder.path()).unwrap();
    assert_eq!(config.mail.as_ref().unwrap().max_attachment, 7 << 20);
    let larger = parse(&format!("{text}max_attachment = 20000000\n"), folder.path()).unwrap();
    assert_eq!(larger.mail.unwrap().max_attachment, 20_000_000);
    assert!(config.directory.account_by_key("fedcba9876543210").is_some());
    assert!(!format!("{:?}", config.mail).contains("sesame"));
    let missing = parse(&text, Path::new("/nowhere")).unwrap_err();
    assert!(missing[0].what.contains("cannot be read"), "{missing:?}");
}

#[test]
fn an_empty_file_says_what_is_needed() {
    let found = faults("");
    assert!(found[0].what.contains("data_dir is missing") && found[0].remedy.contains("data_dir ="));
}

#[test]
fn a_database_wants_a_url_and_a_name_for_the_node() {
    let with = |head: &str, rest: &str| format!("{head}{LEAST}\n[database]\n{rest}");
    let config = parse(&with("node = \"a\"\n", "url = \"postgres://u:secret@h/d\""), Path::new("/")).unwrap();
    let database = config.database.unwrap();
    assert_eq!((database.url.as_str(), database.connections), ("postgres://u:secret@h/d", 10));
    assert!(!format!("{database:?}").contains("secret"));
    for (head, rest, what) in [
        ("", "url = \"postgres://h/d\"", "without a node name"),
        ("node = \"a\"\n", "connections = 4", "url is missing"),
        ("node = \"a\"\n", "url = \"mysql://h/d\"", "no PostgreSQL URL"),
    ] {
        let found = faults(&with(head, rest));
        assert!(found.iter().any(|f| f.what.contains(what)), "{what}: {found:?}");
    }
}

#[test]
fn transports_have_their_addresses_certificates_and_limits() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["sip.pem", "sip.key.pem", "ca.pem"] {
        std::fs::write(folder.path().join(file), "").unwrap();
    }
    let text = format!(
        "{LEAST}\n[[listen]]\ntransport = \"udp\"\naddress = \"[::]:5060\"\n[[listen]]\ntransport = \"tls\"\n\
         address = \"0.0.0.0:5061\"\ncertificate = \"sip.pem\"\nkey = \"sip.key.pem\"\nclient_ca = \"ca.pem\"\n\
         [tls]\nca = [\"ca.pem\"]\nminimum = \"1.3\"\n[connections]\nmax = 50\n[dns]\nservers = [\"192.0.2.53\"]\n"
    );
    let config = parse(&text, folder.path()).unwrap();
    let listen: Vec<_> = config.sip.listen.iter().map(|l| (l.transport, l.address.to_string())).collect();
    assert_eq!(
        listen,
        [(Transport::Udp, "[::]:5060".to_owned()), (Transport::Tls, "0.0.0.0:5061".to_owned())]
    );
    assert_eq!(config.sip.listen[1].client_ca, [folder.path().join("ca.pem")]);
    assert_eq!(config.sip.tls.minimum, TlsVersion::V1_3);
    assert_eq!((config.sip.streams.connections, config.sip.streams.per_source), (50, 64));
    assert_eq!(config.sip.dns, ["192.0.2.53:53".parse().unwrap()]);
}

#[test]
fn what_is_wrong_with_a_listener_or_a_trunk_is_said() {
    let text = LEAST.replace("sip.example.net", "two words")
        + "[[listen]]\ntransport = \"tls\"\naddress = \"0.0.0.0:5061\"\n[[listen]]\naddress = \"here\"\n\
           [[listen]]\ntransport = \"tcp\"\naddress = \"0.0.0.0:5060\"\ncertificate = \"none.pem\"\n\
           [dns]\nservers = \"resolver\"\n";
    let found = faults(&text);
    let said = |words: &str| found.iter().any(|f| f.what.contains(words));
    for words in [
        "trunk.peer is \"two words\"",
        "a TLS listener without a certificate",
        "listen.transport is missing",
        "listen.address is \"here\"",
        "a certificate without its key",
        "\"resolver\" is no address",
    ] {
        assert!(said(words), "{words}: {found:#?}");
    }
}

#[test]
fn learning_is_on_by_default_and_can_be_set_and_turned_off() {
    use fax_switch::policy::LearningRules;
    use std::time::Duration;
    let of = |more: &str| parse(&format!("{LEAST}\n{more}"), Path::new("/tmp")).unwrap();
    let config = of("");
    assert_eq!(config.learning, Some(LearningRules::default()));
    assert!(config.directory.accounts().all(|a| a.operator), "who is alone is the operator");
    let set = of("[learning]\nexpiry_days = 7\ntrunk_numbers = 3\nlongest_expiry_days = 2").learning.unwrap();
    let week = Duration::from_secs(7 * 86_400);
    assert_eq!((set.expiry, set.longest_expiry, set.trunk_numbers), (week, week, 3));
    assert_eq!(of("[learning]\nenabled = false").learning, None);
    let wrong = parse(&format!("{LEAST}\n[learning]\nexpiry = 7"), Path::new("/tmp")).unwrap_err();
    assert!(
        wrong[0].remedy.contains("expiry_days") || wrong[0].what.contains("learning.expiry"),
        "{wrong:?}"
    );
}

#[test]
fn compressions_of_all_trunks_and_of_one() {
    let of = |text: &str| {
        let config = parse(text, Path::new("/")).unwrap();
        config.trunk_compressions.get("carrier").map(|c| (c.codings.clone(), c.prefer_t85))
    };
    assert_eq!(of(LEAST), None);
    let all = |list: &str| format!("compressions = {list}\n{LEAST}");
    assert_eq!(of(&all("[\"mmr\", \"t85\"]")), Some((vec![Coding::Mmr, Coding::T85, Coding::Mh], false)));
    let peer = "peer = \"sip.example.net\"\n";
    let own =
        all("[\"mr\"]").replace(peer, &format!("{peer}compressions = [\"t85\", \"mmr\", \"mr\", \"mh\"]\n"));
    assert_eq!(of(&own), Some((vec![Coding::T85, Coding::Mmr, Coding::Mr, Coding::Mh], true)));
    for (list, what) in [
        ("[]", "compressions is empty"),
        ("[\"g4\"]", "compressions has \"g4\""),
        ("[\"mr\", \"mmr\"]", "compressions has mmr in a wrong place"),
        ("[\"mmr\", \"mmr\"]", "compressions has mmr in a wrong place"),
        ("[\"mmr\", \"mr\", \"t85\"]", "compressions has t85 in a wrong place"),
    ] {
        let found = faults(&all(list));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].what, what);
        assert!(found[0].remedy.contains("in this order"), "{found:?}");
    }
}

#[test]
fn terminals_and_routes_are_read() {
    use fax_net::{Algorithm, OnwardT38, Ringing};
    use fax_switch::routing::{Onward, Source};
    use fax_switch::{Decision, IncomingCall};
    let text = LEAST.replace(
        "peer = \"sip.example.net\"",
        "peer = \"sip.example.net\"\nt38_onward = \"gateway\"\nchallenge = true\ninbound_username = \"them\"\ninbound_password = \"open sesame\"",
    );
    let text = format!(
        "{text}\n[registrar]\nrealm = \"fax.example.net\"\nalgorithms = [\"SHA-256\"]\n[[terminal]]\nuser = \"ata\"\n\
         password = \"sesame street\"\naccount = \"Clinic\"\nnumbers = [\"415 555 0101\"]\ncaller_id = \"+14155550100\"\n\
         max_contacts = 2\ntransports = [\"udp\", \"tls\"]\nring = \"in-order\"\nt38_onward = \"never\"\n\
         [[route]]\nname = \"outside\"\nfrom = \"terminal:ata\"\nto = \"0*\"\nrewrite = \"+49$1\"\nsend_to = [\"trunk:carrier\"]\n\
         [[route]]\nto = \"/1\\\\d\\\\d/\"\nheaders = [\"X-Fax = yes\"]\nfaxbox = \"Desk\"\n[[route]]\nto = \"+1900*\"\nrefuse = 603\n\
         [[route]]\ndiverted_from = \"+4930*\"\nrefuse = 486\n"
    );
    let text = text
        .replace("[[terminal]]", "keep_alive_s = 0\nkeep_alive_misses = 5\n[[terminal]]\nreply_within_s = 3")
        .replace("challenge = true", "reply_within_s = 9\nchallenge = true");
    let config = parse(&text, Path::new("/base")).unwrap();
    let terminal = &config.terminals[0];
    assert_eq!((terminal.user.as_str(), terminal.max_contacts), ("ata", 2));
    assert_eq!((terminal.ringing, terminal.t38_onward), (Ringing::InOrder, OnwardT38::Never));
    assert_eq!((config.registrar.keep_alive, config.registrar.keep_alive_misses), (None, 5));
    let seconds = std::time::Duration::from_secs;
    assert_eq!((terminal.reply_within, config.trunks[0].reply_within), (seconds(3), seconds(9)));
    let diverted = IncomingCall { diverted_from: "+4930123".into(), ..IncomingCall::default() };
    let refused = config.directory.route(&diverted, &config.plan, "").decision;
    assert!(matches!(refused, Decision::Reject { code: 486, .. }));
    assert_eq!(terminal.transports, [Transport::Udp, Transport::Tls]);
    assert!(!format!("{:?}", config.terminals).contains("sesame"));
    assert_eq!(config.registrar.algorithms, [Algorithm::Sha256]);
    assert_eq!(config.trunks[0].t38_onward, OnwardT38::Gateway);
    assert_eq!(config.trunks[0].challenge, Some(("them".to_owned(), "open sesame".to_owned())));
    let decide = |from: Source, to: &str| {
        let call = IncomingCall { to_number: to.into(), source: Some(from), ..IncomingCall::default() };
        config.directory.route(&call, &config.plan, "").decision
    };
    let number = "+4930123".to_owned();
    let want = Decision::Onward { targets: vec![Onward::Trunk { name: "carrier".into(), number }] };
    assert_eq!(decide(Source::Terminal("ata".into()), "030123"), want);
    let refused = decide(Source::Trunk("carrier".into()), "19005551234");
    assert!(matches!(refused, Decision::Reject { code: 603, .. }));
    assert_eq!(config.directory.terminal_by_number("+14155550101").unwrap().user, "ata");
}

#[test]
fn what_is_wrong_with_a_terminal_or_a_route_is_said() {
    let text = LEAST.replace("[[account]]", "challenge = true\n[[account]]")
        + "[[terminal]]\nuser = \"a b\"\naccount = \"Clinic\"\nnumbers = [\"415 555 0100\"]\n\
           [[terminal]]\nuser = \"c\"\naccount = \"Nobody\"\npassword = \"short\"\ntransports = [\"ws\"]\n\
           [registrar]\nalgorithms = [\"SHA-1\"]\nmin_expires_s = 3600\nmax_expires_s = 60\n\
           [[route]]\nto = \"12*3\"\nfrom = [\"carrier\", \"trunk:none\"]\nrefuse = 404\n\
           [[route]]\nto = \"12\"\nrewrite = \"$1\"\nsend_to = [\"trunk:carrier\", \"terminal:none\"]\n\
           [[route]]\nto = \"12\"\n[[route]]\nfaxbox = \"None\"\n[[route]]\nfaxbox = \"Desk\"\nrefuse = 404\n\
           [[route]]\nheaders = \"a b = c\"\nrefuse = 200\n";
    let found = faults(&text);
    for words in [
        "a challenge without inbound_username",
        "terminal.user is \"a b\"",
        "a terminal without a password",
        "no account Nobody",
        "password is short",
        "transports has \"ws\"",
        "algorithms has \"SHA-1\"",
        "more than max_expires_s",
        "route.to: \"12*3\"",
        "\"carrier\" is no source",
        "there is no trunk:none",
        "has $1, and route.to",
        "there is no terminal:none",
        "a route that goes nowhere",
        "no faxbox None",
        "several ends",
        "no name of a header",
        "route.refuse is 200",
        "used by faxbox Desk and terminal a b",
    ] {
        assert!(found.iter().any(|f| f.what.contains(words)), "{words}: {found:#?}");
    }
}

#[test]
fn what_would_do_nothing_is_a_fault_or_told() {
    for (text, what, remedy) in [
        (
            LEAST.replace("[[faxbox]]", "timezone = \"Europe/Berln\"\n[[faxbox]]"),
            "account.timezone \"Europe/Berln\"",
            "IANA",
        ),
        (format!("{LEAST}timezone = \"Moon/Sea\"\n"), "faxbox.timezone \"Moon/Sea\"", "IANA"),
        (format!("{LEAST}retries = 21\n"), "faxbox.retries is 21", "1 to 20"),
        (format!("{LEAST}[mail]\nhost = \"mail\"\nfrom = \"x\"\n"), "mail.from is \"x\"", "fax@example.net"),
    ] {
        let found = faults(&text);
        assert!(
            found.len() == 1 && found[0].what.contains(what) && found[0].remedy.contains(remedy),
            "{found:?}"
        );
    }
    let good = format!("{LEAST}retries = 20\ntimezone = \"Europe/Berlin\"\n");
    let config = parse(&good, Path::new("/base")).unwrap();
    assert_eq!(config.directory.faxboxes().next().unwrap().retries, 20);
    assert!(config.warnings().is_empty());

    let told = format!("{LEAST}notify_inbound = [\"desk@clinic.example\"]\n");
    let warnings = parse(&told, Path::new("/base")).unwrap().warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("need [mail]: nobody is told"), "{warnings:?}");
    let mail = format!("{told}[mail]\nhost = \"mail\"\nfrom = \"Fax <fax@example.net>\"\n");
    assert!(parse(&mail, Path::new("/base")).unwrap().warnings().is_empty());
}

#[test]
fn a_data_folder_that_others_may_read_is_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fax_store::private::folder(&data).unwrap();
    assert!(parse(LEAST, folder.path()).unwrap().warnings().is_empty());
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o750)).unwrap();
    let warnings = parse(LEAST, folder.path()).unwrap().warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("mode 750"), "{warnings:?}");
}

#[test]
fn callbacks_are_read_as_rest_has_them() {
    let of = |more: &str| parse(&format!("{LEAST}{more}\n"), Path::new("/base"));
    let config = of("callback_inbound = { url = \"https://app.example/in\" }\n\
                     callback_outbound = { url = \"http://10.0.0.9/out\", method = \"put\", type = \"www-url-form-encoded\" }");
    let config = config.unwrap();
    let faxbox = config.directory.faxboxes().next().unwrap();
    let said = |inbound: bool| {
        let callback = faxbox.callback(inbound).unwrap();
        ["url", "method", "type"].map(|key| callback[key].as_str().unwrap().to_owned())
    };
    assert_eq!(said(true), ["https://app.example/in", "post", "json"]);
    assert_eq!(said(false), ["http://10.0.0.9/out", "put", "www-url-form-encoded"]);
    for (wrong, told) in [
        ("callback_inbound = { url = \"file:///x\" }", "no URL"),
        ("callback_inbound = { method = \"put\" }", "callback_inbound.url is missing"),
        ("callback_inbound = { url = \"https://a.example\", method = \"get\" }", "method"),
        ("callback_inbound = { url = \"https://a.example\", typ = \"json\" }", "typ"),
        ("callback_outbound = \"https://a.example\"", "callback_outbound"),
    ] {
        let found = of(wrong).unwrap_err();
        assert!(
            found.iter().any(|f| format!("{} {}", f.what, f.remedy).contains(told)),
            "{wrong}: {found:?}"
        );
    }
    let none = of("").unwrap();
    assert!(none.directory.faxboxes().all(|f| f.callback(true).is_none() && f.callback(false).is_none()));
}

#[test]
fn every_key_stands_in_the_readme() {
    let text = format!(
        "node = \"a\"\n{LEAST}[[listen]]\n[api]\n[metrics]\n[smtp]\n[mail]\n[database]\n[documents.s3]\n[account.retention]\n\
         [faxbox.callback_inbound]\n\
         [[terminal]]\n[[route]]\n[[reschedule]]\n[[hot_folder]]\n[[call_files]]\n[[protection.destination]]\n"
    );
    let _ = parse(&text, Path::new("/base"));
    let known = super::written::KNOWN.with_borrow(Clone::clone);
    assert!(known.len() > 150, "{}", known.len());
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let words: std::collections::BTreeSet<&str> =
        readme.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).collect();
    let said = |path: &&String| {
        let key = path.rsplit('.').next().unwrap_or_default();
        // Of every secret there are three.
        let secret = key.strip_suffix("_file").or_else(|| key.strip_suffix("_env"));
        words.contains(key) || secret.is_some_and(|s| words.contains(s))
    };
    let missing: Vec<&String> = known.iter().filter(|path| !said(path)).collect();
    assert!(missing.is_empty(), "not in README.md: {missing:?}");
}
