//! Call files as Asterisk takes them from its outgoing spool: lines of `Key: value`, of which those for SendFAX count.

use fax_store::model::Priority;
use std::path::PathBuf;

/// Largest call file, octets.
pub const MOST: u64 = 64 << 10;
/// Most lines.
const LINES: usize = 1000;
/// Longest line, characters.
const LINE: usize = 2048;

/// What a call file asks for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CallFile {
    /// The number to be called, as it stands in `Channel`.
    pub number: String,
    /// The document, of `Data`.
    pub document: PathBuf,
    /// Number of `Callerid`.
    pub caller: Option<String>,
    /// Name of `Callerid`.
    pub caller_name: Option<String>,
    /// Attempts in all: `MaxRetries` and one.
    pub attempts: Option<u32>,
    /// `LOCALSTATIONID` or `FAXOPT(localstationid)`.
    pub ident: Option<String>,
    /// `LOCALHEADERINFO` or `FAXOPT(headerinfo)`.
    pub header: Option<String>,
    /// `FAX_PRIORITY`; Asterisk has none.
    pub priority: Priority,
    /// `Account`: a code for bills.
    pub account: Option<String>,
    /// `Archive`: it is kept when it is done with.
    pub archive: bool,
}

/// The number in `SIP/trunk/4155550199`, `PJSIP/4155550199@trunk`, `Local/4155550199@fax/n`, `DAHDI/g1/4155550199`.
fn number_of(channel: &str) -> Option<String> {
    let (technology, rest) = channel.split_once('/')?;
    let mut parts: Vec<&str> = rest.split('/').collect();
    if technology.eq_ignore_ascii_case("local") {
        parts.truncate(1);
    }
    let part = parts.last()?.trim();
    let part = part.strip_prefix("sip:").or(part.strip_prefix("sips:")).unwrap_or(part);
    let number = part.split(['@', ';']).next()?.trim();
    let written = |c: char| c.is_ascii_digit() || matches!(c, '+' | '*' | '#' | '-' | '.' | ' ' | '(' | ')');
    (number.chars().any(|c| c.is_ascii_digit()) && number.chars().all(written)).then(|| number.to_owned())
}

/// Number and name of `"Name" <number>`, `Name <number>`, `<number>` or `number`.
fn caller_of(text: &str) -> (Option<String>, Option<String>) {
    let filled = |s: &str| Some(s.trim().trim_matches('"').trim().to_owned()).filter(|s| !s.is_empty());
    match text.split_once('<') {
        Some((name, number)) => (filled(number.trim_end().trim_end_matches('>')), filled(name)),
        None if text.chars().any(|c| c.is_ascii_digit()) && !text.chars().any(char::is_alphabetic) => {
            (filled(text), None)
        }
        None => (None, filled(text)),
    }
}

fn yes(value: &str) -> bool {
    ["yes", "true", "y", "t", "1", "on"].iter().any(|v| value.eq_ignore_ascii_case(v))
}

impl CallFile {
    /// Reads a call file.
    ///
    /// # Errors
    ///
    /// What is wrong, with its line, in a sentence.
    pub fn parse(octets: &[u8]) -> Result<CallFile, String> {
        let text = String::from_utf8_lossy(octets);
        let mut file = CallFile::default();
        let (mut channel, mut application, mut data) = (None, None, None);
        for (n, line) in (1usize..).zip(text.lines()) {
            if n > LINES || line.chars().count() > LINE {
                return Err(format!("Line {n}: a call file has at most {LINES} lines of {LINE} characters."));
            }
            // As Asterisk does it: a comment is whatever follows; a semicolon in a value is written with a backslash.
            let line = match line.trim_start().chars().next() {
                None | Some('#' | ';') => continue,
                Some(_) => line.trim(),
            };
            let Some((key, value)) = line.split_once(':') else {
                return Err(format!("Line {n}: it is not of the form `Key: value`."));
            };
            let value = value.trim();
            match key.trim().to_ascii_lowercase().as_str() {
                "channel" => channel = Some((n, value.to_owned())),
                "application" => application = Some((n, value.to_owned())),
                "data" => data = Some((n, value.to_owned())),
                "callerid" => (file.caller, file.caller_name) = caller_of(value),
                "maxretries" => {
                    let most: u32 = value
                        .parse()
                        .map_err(|_| format!("Line {n}: MaxRetries is {value:?}, which is no number."))?;
                    file.attempts = Some(most.saturating_add(1));
                }
                "account" => file.account = Some(value.to_owned()),
                "archive" => file.archive = yes(value),
                "set" | "setvar" => file.set(value).map_err(|why| format!("Line {n}: {why}"))?,
                "context" | "extension" | "priority" => {
                    return Err(format!(
                        "Line {n}: calls into a dial plan are not made here; write Application: SendFAX and Data: FILE."
                    ));
                }
                // When it is tried again is a matter of the queue; what calls are like is a matter of trunks.
                "retrytime" | "waittime" | "codecs" | "alwaysdelete" | "early_media" | "callingpres"
                | "startretry" | "endretry" | "abortretry" | "delayedretry" => {}
                _ => return Err(format!("Line {n}: {:?} is not known.", key.trim())),
            }
        }
        match application {
            Some((_, name)) if name.eq_ignore_ascii_case("sendfax") => {}
            Some((n, name)) => {
                return Err(format!("Line {n}: the application is {name:?}; only SendFAX is known here."));
            }
            None => return Err("Application: SendFAX is missing.".into()),
        }
        let (n, channel) = channel.ok_or("Channel is missing, as Channel: SIP/trunk/NUMBER.")?;
        file.number =
            number_of(&channel).ok_or_else(|| format!("Line {n}: there is no number in {channel:?}."))?;
        let (n, data) = data.ok_or("Data is missing, as Data: /path/of/document.tif.")?;
        let path = data.split([',', '|']).next().unwrap_or_default().trim();
        if path.contains('&') {
            return Err(format!("Line {n}: several documents; write a call file for each."));
        }
        if !path.starts_with('/') {
            return Err(format!("Line {n}: the document is {path:?}; write its whole path."));
        }
        file.document = PathBuf::from(path);
        Ok(file)
    }

    fn set(&mut self, assignment: &str) -> Result<(), String> {
        let Some((name, value)) = assignment.split_once('=') else { return Ok(()) };
        let value = Some(value.trim().trim_matches('"').to_owned()).filter(|v| !v.is_empty());
        // Variables may be inherited by channels that a channel makes.
        match name.trim().trim_start_matches('_').to_ascii_uppercase().as_str() {
            "LOCALSTATIONID" | "FAXOPT(LOCALSTATIONID)" => self.ident = value,
            "LOCALHEADERINFO" | "FAXOPT(HEADERINFO)" => self.header = value,
            "FAX_PRIORITY" => {
                let word = value.unwrap_or_default();
                self.priority = Priority::of_word(&word)
                    .ok_or_else(|| format!("FAX_PRIORITY is {word:?}; it is high, normal or low."))?;
            }
            // Of a dial plan that is not here.
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_file_as_the_manuals_show_it() {
        let text = "# a fax\n; really\n\nCHANNEL: SIP/carrier/14155550199\ncallerid: \"Clinic, Front\" <14155550100>\n\
                    MaxRetries: 2\nRetryTime: 60\nWaitTime: 30\nApplication: SendFAX\nData: /srv/fax/a b.tif,fz\n\
                    Set: LOCALSTATIONID=+1 415 555 0100\nSetVar: __LOCALHEADERINFO=Clinic\nSet: X=1\nSet: FAX_PRIORITY=low\n\
                    Account: 77\nArchive: Yes\nAlwaysDelete: no\n";
        let file = CallFile::parse(text.as_bytes()).unwrap();
        let wanted = CallFile {
            number: "14155550199".into(),
            document: "/srv/fax/a b.tif".into(),
            caller: Some("14155550100".into()),
            caller_name: Some("Clinic, Front".into()),
            attempts: Some(3),
            ident: Some("+1 415 555 0100".into()),
            header: Some("Clinic".into()),
            priority: Priority::Low,
            account: Some("77".into()),
            archive: true,
        };
        assert_eq!(file, wanted);
    }

    #[test]
    fn numbers_stand_in_channels_of_every_kind() {
        for (channel, number) in [
            ("SIP/trunk/4155", Some("4155")),
            ("SIP/4155@trunk", Some("4155")),
            ("PJSIP/+4155@trunk", Some("+4155")),
            ("PJSIP/trunk/sip:4155@host:5060", Some("4155")),
            ("DAHDI/g1/4155", Some("4155")),
            ("IAX2/user@host/4155", Some("4155")),
            ("Local/4155@fax/n", Some("4155")),
            ("SIP/trunk", None),
            ("4155", None),
            ("SIP/trunk/41$(x)55", None),
        ] {
            assert_eq!(number_of(channel).as_deref(), number, "{channel}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let good = "Channel: SIP/t/4155\nApplication: SendFAX\nData: /a.tif\n";
        assert!(CallFile::parse(good.as_bytes()).is_ok());
        for (change, wanted) in [
            (("SendFAX", "Playback"), "Line 2"),
            (("Application: SendFAX\n", "Context: x\n"), "Line 2"),
            (("/a.tif", "/a.tif&/b.tif"), "several"),
            (("/a.tif", "a.tif"), "whole path"),
            (("SIP/t/4155", "SIP/t"), "Line 1"),
            (("Data: /a.tif", "Data"), "Line 3"),
            (("Data: /a.tif", "Date: /a.tif"), "not known"),
            (("Data: /a.tif", ""), "Data is missing"),
            (("Channel", "MaxRetries: x\nChannel"), "Line 1"),
            (("Channel", "Set: FAX_PRIORITY=urgent\nChannel"), "Line 1: FAX_PRIORITY"),
        ] {
            let said = CallFile::parse(good.replace(change.0, change.1).as_bytes()).unwrap_err();
            assert!(said.contains(wanted), "{change:?}: {said}");
        }
        let endless = "# x\n".repeat(1001) + good;
        assert!(CallFile::parse(endless.as_bytes()).is_err());
        for nonsense in [&b"\0\xff\xfe"[..], b":", b"", &[b'a'; 5000]] {
            assert!(CallFile::parse(nonsense).is_err());
        }
    }
}
