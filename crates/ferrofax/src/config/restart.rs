//! What of a changed configuration waits for the next start. Whoever adds a setting that `Server::reload` does not apply
//! names it here.

use super::Config;
use super::valid::Smtp;

impl Config {
    /// What another configuration says that a server started with this one goes on without, a sentence each. What the SIP side
    /// cannot change it says itself (`Endpoint::reload`).
    pub(crate) fn restart_needed(&self, new: &Config) -> Vec<String> {
        // What generated mail domains end in changes at once.
        let smtp = |of: &Config| of.smtp.clone().map(|s| Smtp { fax_domain: String::new(), ..s });
        let limits = |of: &Config| (of.queue.max_pages, of.queue.conversion_timeout);
        let log = |of: &Config| (of.log_level.clone(), of.log_format);
        let parts = [
            (self.data_dir == new.data_dir, "data_dir changes"),
            (self.node == new.node, "node changes"),
            (log(self) == log(new), "[log] changes"),
            (self.api == new.api, "[api] changes"),
            (self.metrics == new.metrics, "[metrics] changes"),
            (smtp(self) == smtp(new), "[smtp] changes"),
            (self.mail == new.mail, "[mail] changes"),
            (self.database == new.database, "[database] changes"),
            (self.documents == new.documents, "[documents] changes"),
            (self.folders == new.folders, "[[hot_folder]] and [[call_files]] change"),
            (limits(self) == limits(new), "max_pages and conversion_timeout_s of [queue] change"),
        ];
        let others = parts.into_iter().filter(|(same, _)| !same);
        others.map(|(_, what)| format!("{what} with the next start")).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, parse};
    use std::path::Path;

    const LEAST: &str = "[[trunk]]\nname = \"carrier\"\npeer = \"192.0.2.9\"\n[[account]]\nname = \"Clinic\"\n\
                         api_key = \"0123456789abcdef\"\n";

    fn read(top: &str, rest: &str) -> Config {
        let top =
            if top.contains("data_dir") { top.to_owned() } else { format!("data_dir = \"data\"\n{top}") };
        parse(&format!("{top}\n{LEAST}{rest}\n"), Path::new("/base")).unwrap()
    }

    #[test]
    fn every_section_that_waits_for_a_start_is_named_and_no_other() {
        let mail = |password: &str| {
            format!(
                "[mail]\nhost = \"m\"\nfrom = \"fax@example.net\"\nusername = \"u\"\npassword = \"{password}\""
            )
        };
        let key = |digit: &str| format!("[documents]\nmaster_key = \"{}\"", digit.repeat(64));
        for (before, after, named) in [
            (read("", ""), read("data_dir = \"other\"", ""), "data_dir"),
            (read("", ""), read("node = \"b\"", ""), "node"),
            (read("", ""), read("", "[log]\nlevel = \"debug\""), "[log]"),
            (read("", ""), read("", "[api]"), "[api]"),
            (
                read("", "[api]"),
                read("", "[api]\ntoken_secret = \"0123456789abcdef0123456789abcdef\""),
                "[api]",
            ),
            (read("", "[api]"), read("", "[api]\nattachment_format = \"tiff\""), "[api]"),
            (read("", ""), read("", "[metrics]"), "[metrics]"),
            (read("", "[smtp]"), read("", "[smtp]\nmax_message = 5"), "[smtp]"),
            (read("", &mail("sesame")), read("", &mail("open sesame")), "[mail]"),
            (
                read("node = \"a\"", "[database]\nurl = \"postgres://a/b\""),
                read("node = \"a\"", "[database]\nurl = \"postgres://a/c\""),
                "[database]",
            ),
            (read("", &key("a")), read("", &key("b")), "[documents]"),
            (
                read("", ""),
                read("", "[[hot_folder]]\npath = \"out\"\naccount = \"Clinic\""),
                "[[hot_folder]]",
            ),
            (read("", ""), read("", "[queue]\nmax_pages = 7"), "max_pages"),
            (read("", ""), read("", "[queue]\nconversion_timeout_s = 7"), "conversion_timeout_s"),
        ] {
            let said = before.restart_needed(&after);
            // The documents lie in it.
            let most = if named == "data_dir" { 2 } else { 1 };
            assert!(said.len() <= most && said[0].contains(named), "{named}: {said:?}");
            assert!(said[0].contains("with the next start") && !said[0].contains("sesame"), "{said:?}");
            assert!(after.restart_needed(&after).is_empty(), "{named}");
        }
        let live = read(
            "receive_colour = false",
            "[queue]\nmax_calls = 3\nstop_timeout_s = 5\n[retention]\nsent_days = 3",
        );
        assert!(read("", "").restart_needed(&live).is_empty(), "what is applied at once is not named");
        let (one, other) = ("[smtp]\nfax_domain = \"a.example\"", "[smtp]\nfax_domain = \"b.example\"");
        assert!(read("", one).restart_needed(&read("", other)).is_empty());
    }
}
