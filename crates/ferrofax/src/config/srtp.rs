//! `srtp`, `srtp_in_clear` and `t38_with_srtp` of trunks, terminals and `[registrar]` (RFC 4568).

use super::sections::choice;
use super::valid::Config;
use super::written::Section;
use fax_net::{LocalTerminal, Srtp, SrtpPolicy, Transport, Trunk};
use std::net::IpAddr;

/// The policy that a section says; `usual` where it says nothing.
pub(super) fn policy(s: &Section<'_, '_>, usual: SrtpPolicy) -> SrtpPolicy {
    let word = match usual.srtp {
        Srtp::Off => "off",
        Srtp::Accepted => "accepted",
        Srtp::Offered => "offered",
        Srtp::Required => "required",
    };
    let srtp = match choice(s, "srtp", word, &["off", "accepted", "offered", "required"]).as_str() {
        "off" => Srtp::Off,
        "offered" => Srtp::Offered,
        "required" => Srtp::Required,
        _ => Srtp::Accepted,
    };
    SrtpPolicy {
        srtp,
        in_clear: s.flag("srtp_in_clear").map_or(usual.in_clear, |f| f.value),
        t38: s.flag("t38_with_srtp").map_or(usual.t38, |f| f.value),
    }
}

/// Says where SRTP is asked for and never would be.
pub(super) fn check(s: &Section<'_, '_>, policy: SrtpPolicy, private: bool) {
    let asked = matches!(policy.srtp, Srtp::Offered | Srtp::Required);
    if asked && !private && !policy.in_clear {
        let line = s.text("srtp").map_or(s.line, |said| said.line);
        s.fault(
            line,
            format!("{} asks for SRTP, and its keys would go in clear", s.path("srtp")),
            "use TLS (transport or transports), or allow it by srtp_in_clear = true where nobody else is on the way",
        );
    }
}

/// Whether a trunk may be reached over TLS: it says so, or DNS may.
pub(super) fn by_tls(trunk: &Trunk) -> bool {
    match trunk.transport {
        Some(transport) => transport == Transport::Tls,
        None => trunk.peers.iter().filter_map(|peer| fax_net::hop(peer, None)).any(|hop| {
            let asked = hop.secure || hop.transport == Some(Transport::Tls);
            asked || (hop.transport.is_none() && hop.host.parse::<IpAddr>().is_err())
        }),
    }
}

fn terminal_by_tls(terminal: &LocalTerminal) -> bool {
    terminal.transports.is_empty() || terminal.transports.contains(&Transport::Tls)
}

/// The same of a terminal.
pub(super) fn check_terminal(s: &Section<'_, '_>, terminal: &LocalTerminal) {
    check(s, terminal.srtp, terminal_by_tls(terminal));
}

impl Config {
    /// Where keys of SRTP go in clear.
    pub(super) fn srtp_warnings(&self) -> Vec<String> {
        let open = |policy: SrtpPolicy| policy.in_clear && policy.srtp != Srtp::Off;
        let tls_only = |t: &LocalTerminal| t.transports == [Transport::Tls];
        let trunks = self.trunks.iter().filter(|t| open(t.srtp) && t.transport != Some(Transport::Tls));
        let trunks = trunks.map(|t| format!("trunk {}", t.name));
        let terminals = self.terminals.iter().filter(|t| open(t.srtp) && !tls_only(t));
        let terminals = terminals.map(|t| format!("terminal {}", t.user));
        let say = |who| {
            format!(
                "{who}: srtp_in_clear lets SRTP's keys go without TLS: whoever reads the signalling hears the calls"
            )
        };
        trunks.chain(terminals).map(say).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Fault, parse};
    use fax_net::{Srtp, SrtpPolicy};
    use std::path::Path;

    fn read(trunk: &str, terminal: &str, registrar: &str) -> Result<Config, Vec<Fault>> {
        let text = format!(
            "data_dir = \"data\"\n[[trunk]]\nname = \"carrier\"\n{trunk}\n[[account]]\nname = \"Clinic\"\napi_key = \
             \"0123456789abcdef\"\n[[terminal]]\nuser = \"ata\"\npassword = \"sesame-street\"\naccount = \
             \"Clinic\"\n{terminal}\n[registrar]\n{registrar}\n"
        );
        parse(&text, Path::new("/base"))
    }

    #[test]
    fn trunks_and_terminals_say_whether_and_the_registrar_for_all() {
        let policy = |srtp, in_clear, t38| SrtpPolicy { srtp, in_clear, t38 };
        let least = read("peer = \"192.0.2.1\"", "", "").unwrap();
        assert_eq!(least.trunks[0].srtp, policy(Srtp::Accepted, false, false));
        assert_eq!(least.terminals[0].srtp, SrtpPolicy::default());
        assert!(least.warnings().is_empty());
        let all = read(
            "peer = \"192.0.2.1\"\ntransport = \"tls\"\nsrtp = \"required\"\nt38_with_srtp = true",
            "srtp_in_clear = true",
            "srtp = \"offered\"",
        )
        .unwrap();
        assert_eq!(all.trunks[0].srtp, policy(Srtp::Required, false, true));
        assert_eq!(all.terminals[0].srtp, policy(Srtp::Offered, true, false));
        let [warning] = &all.warnings()[..] else { panic!("{:?}", all.warnings()) };
        assert!(warning.contains("terminal ata"));
        let off = read("peer = \"sip.example.net\"\nsrtp = \"off\"", "srtp = \"off\"", "srtp = \"required\"");
        assert_eq!(off.unwrap().terminals[0].srtp.srtp, Srtp::Off);
        // DNS may lead to TLS.
        read("peer = \"sip.example.net\"\nsrtp = \"required\"", "", "").unwrap();
        read("peer = \"sips:192.0.2.1\"\nsrtp = \"required\"", "", "").unwrap();
    }

    #[test]
    fn keys_in_clear_have_to_be_asked_for() {
        for (trunk, terminal, what) in [
            ("peer = \"192.0.2.1\"\nsrtp = \"required\"", "", "trunk.srtp asks for SRTP"),
            (
                "peer = \"sip.example.net\"\ntransport = \"udp\"\nsrtp = \"offered\"",
                "",
                "trunk.srtp asks for SRTP",
            ),
            (
                "peer = \"192.0.2.1\"",
                "transports = [\"udp\"]\nsrtp = \"required\"",
                "terminal.srtp asks for SRTP",
            ),
            ("peer = \"192.0.2.1\"\nsrtp = \"maybe\"", "", "trunk.srtp is \"maybe\""),
        ] {
            let found = read(trunk, terminal, "").err().unwrap_or_default();
            assert!(found.iter().any(|f| f.what.contains(what) && f.line > 1), "{what}: {found:#?}");
            let allowed = |text: &str| text.replace("srtp =", "srtp_in_clear = true\nsrtp =");
            if !what.contains("maybe") {
                let config = read(&allowed(trunk), &allowed(terminal), "").unwrap();
                assert_eq!(config.warnings().len(), 1);
            }
        }
    }
}
