//! A recipient's address as a fax number: plain `{number}@domain` and the service forms of RFC 3191, RFC 3192 and RFC 4143.

/// What a recipient's address asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaxAddress {
    /// Digits, with a `+` in front where the address had one.
    pub number: String,
    /// T.33 sub-address digits (`/T33S=`), if given.
    pub sub_address: Option<String>,
    /// The domain, lower-case, without a dot at the end.
    pub domain: String,
}

/// Longest local part taken (RFC 5321 §4.5.3.1.1 says 64; the service forms may be longer).
const LOCAL_PART_LIMIT: usize = 256;

/// Reads a recipient's address (no angle brackets, quotes already undone). `None` if it holds no number or no domain.
///
/// `4155551234@d`, `+1-415-555-1234@d`, `FAX=+14155551234@d`, `/FAX=+14155551234/T33S=1387/@d`.
pub fn fax_address(address: &str) -> Option<FaxAddress> {
    let (local, domain) = address.rsplit_once('@')?;
    let domain = domain.trim_end_matches('.').to_ascii_lowercase();
    if domain.is_empty() || local.len() > LOCAL_PART_LIMIT {
        return None;
    }
    let mut number = None;
    let mut sub_address = None;
    for (index, part) in local.trim_matches('/').split('/').enumerate() {
        match part.split_once('=') {
            Some((key, value)) if key.eq_ignore_ascii_case("FAX") => number = dialled(value),
            Some((key, value)) if key.eq_ignore_ascii_case("T33S") => {
                let digits: String = value.chars().filter(char::is_ascii_digit).collect();
                sub_address = (!digits.is_empty()).then_some(digits);
            }
            // Other service selectors (VOICE=, SMS=) are not ours; other qualifiers are passed over.
            Some(_) if index == 0 => return None,
            Some(_) => {}
            None if index == 0 => number = dialled(part),
            None => {}
        }
    }
    Some(FaxAddress { number: number?, sub_address, domain })
}

/// The digits of a number as written, and its leading `+`. Separators (space, `-`, `.`, brackets) are dropped;
/// a letter makes the whole no number, so that `sales2@domain` never dials 2.
fn dialled(written: &str) -> Option<String> {
    let mut number = String::new();
    for character in written.trim().chars() {
        match character {
            '0'..='9' => number.push(character),
            '+' if number.is_empty() => number.push('+'),
            ' ' | '-' | '.' | '(' | ')' => {}
            _ => return None,
        }
    }
    (number.len() > usize::from(number.starts_with('+'))).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(address: &str) -> Option<String> {
        fax_address(address).map(|a| a.number)
    }

    #[test]
    fn plain_numbers_keep_digits_and_plus() {
        assert_eq!(number("4155551234@box.example").as_deref(), Some("4155551234"));
        assert_eq!(number("+1 (415) 555-1234@box.example").as_deref(), Some("+14155551234"));
        assert_eq!(number("1.415.555.1234@box.example").as_deref(), Some("14155551234"));
        assert_eq!(fax_address("1@BOX.Example.").map(|a| a.domain).as_deref(), Some("box.example"));
    }

    #[test]
    fn service_forms_of_rfc_3192() {
        let plain = fax_address("FAX=+12027653000@fax.example.net").unwrap();
        assert_eq!((plain.number.as_str(), plain.sub_address), ("+12027653000", None));
        let sub = fax_address("fax=+1-202-765-3000/T33S=1387@fax.example.net").unwrap();
        assert_eq!((sub.number.as_str(), sub.sub_address.as_deref()), ("+12027653000", Some("1387")));
        let slashed = fax_address("/FAX=+12027653000/T33S=1387/@gw").unwrap();
        assert_eq!((slashed.number.as_str(), slashed.sub_address.as_deref()), ("+12027653000", Some("1387")));
        assert_eq!(number("VOICE=+12027653000@gw"), None);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for address in
            ["", "@d", "1234", "1234@", "sales2@d", "+@d", "FAX=@d", "12+3@d", "postmaster@d", "١٢٣@d"]
        {
            assert_eq!(number(address), None, "{address}");
        }
    }
}
