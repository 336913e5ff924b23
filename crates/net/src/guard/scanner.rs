//! Scanners, known by what they call themselves, before anything is parsed.

/// A scanner names itself within so many octets.
const LOOKED_AT: usize = 4_096;

/// The headers in which they do.
const HEADERS: [&[u8]; 6] = [b"user-agent", b"server", b"from", b"f", b"contact", b"m"];

/// Whether the head of a message has one of these words, which are in small letters, in a header that says who sent it.
pub(super) fn is_scanner(octets: &[u8], words: &[String]) -> bool {
    let head = octets.get(..octets.len().min(LOOKED_AT)).unwrap_or_default();
    for line in head.split(|b| *b == b'\n').skip(1) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return false;
        }
        let Some(colon) = line.iter().position(|b| *b == b':') else { continue };
        let (name, value) = line.split_at(colon);
        if HEADERS.iter().any(|h| name.trim_ascii().eq_ignore_ascii_case(h))
            && words.iter().any(|word| contains(value, word.as_bytes()))
        {
            return true;
        }
    }
    false
}

/// Whether `word`, in small letters, is in `text`.
fn contains(text: &[u8], word: &[u8]) -> bool {
    !word.is_empty() && text.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::rules::SCANNERS;

    #[test]
    fn scanners_are_known_by_their_headers_and_nobody_else_is() {
        let words: Vec<String> = SCANNERS.map(str::to_owned).to_vec();
        let is = |headers: &str| {
            let text =
                format!("OPTIONS sip:100@192.0.2.1 SIP/2.0\r\n{headers}\r\n\r\nUser-Agent: sipcli\r\n");
            is_scanner(text.as_bytes(), &words)
        };
        for scanner in [
            "Via: SIP/2.0/UDP x\r\nUser-Agent: friendly-scanner",
            "USER-AGENT:sipcli/v1.8",
            "User-Agent : VaxSIPUserAgent/3.1",
            "user-agent: pplsip",
            "From: \"sipvicious\"<sip:100@1.1.1.1>;tag=6434",
            "f: <sip:nm@nm>;tag=root",
            "Contact: <sip:friendly-request@192.0.2.1>",
        ] {
            assert!(is(scanner), "{scanner}");
        }
        for harmless in [
            "User-Agent: ferrofax/0.1",
            "User-Agent: Fritz!OS",
            "Subject: friendly-scanner",
            "X-User-Agent: sipcli",
            "Via: SIP/2.0/UDP sipcli.example:5060",
            "User-Agent",
            "",
        ] {
            assert!(!is(harmless), "{harmless}");
        }
        let named = b"OPTIONS sip:x SIP/2.0\r\nUser-Agent: friendly-scanner\r\n\r\n";
        assert!(!is_scanner(named, &[]) && !is_scanner(named, &[String::new()]));
        assert!(!is_scanner(b"", &words) && !is_scanner(b"\xff\xfe\0\n\n:", &words));
    }
}
