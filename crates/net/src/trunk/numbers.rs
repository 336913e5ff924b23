//! How a trunk wants numbers written: E.164 with or without +, with international or national prefixes, a tech prefix,
//! `user=phone`, `tel:` (E.164; RFC 3261 §19.1.1, §19.1.6; RFC 3966).

/// The shape of a number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum NumberStyle {
    /// As it is.
    #[default]
    AsIs,
    /// `+4930123`
    Plus,
    /// `4930123`
    Digits,
    /// `004930123`: behind the international prefix.
    International,
    /// `030123` within the country, `0033…` beyond it.
    National,
}

/// How numbers are written for a trunk.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct NumberFormat {
    /// The shape.
    pub style: NumberStyle,
    /// The country code, as `49`; needed for national numbers.
    pub country: String,
    /// Before numbers of other countries.
    pub international_prefix: String,
    /// Before numbers of the own country.
    pub national_prefix: String,
    /// Before every number that we call, as some carriers sort their customers.
    pub tech_prefix: String,
    /// `;user=phone` at SIP URIs of numbers.
    pub user_phone: bool,
    /// The Request-URI and To are `tel:` URIs.
    pub tel: bool,
}

impl Default for NumberFormat {
    fn default() -> Self {
        NumberFormat {
            style: NumberStyle::AsIs,
            country: String::new(),
            international_prefix: "00".to_owned(),
            national_prefix: "0".to_owned(),
            tech_prefix: String::new(),
            user_phone: false,
            tel: false,
        }
    }
}

/// Whether this is a telephone number at all.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b"*#-.()".contains(&b))
}

impl NumberFormat {
    /// A number of ours, in E.164 with `+`, as the trunk writes it. What does not begin with `+` stays as it is.
    #[must_use]
    pub fn write(&self, number: &str) -> String {
        let Some(digits) = number.strip_prefix('+') else {
            return number.to_owned();
        };
        let inland = || digits.strip_prefix(self.country.as_str()).filter(|_| !self.country.is_empty());
        match self.style {
            NumberStyle::AsIs | NumberStyle::Plus => number.to_owned(),
            NumberStyle::Digits => digits.to_owned(),
            NumberStyle::International => format!("{}{digits}", self.international_prefix),
            NumberStyle::National => match inland() {
                Some(rest) => format!("{}{rest}", self.national_prefix),
                None => format!("{}{digits}", self.international_prefix),
            },
        }
    }

    /// A number as the trunk writes it, in E.164 with `+` where its shape says what it is; else as it is.
    #[must_use]
    pub fn read(&self, number: &str) -> String {
        let bare = number.strip_prefix(self.tech_prefix.as_str()).unwrap_or(number);
        if bare.starts_with('+') || !bare.bytes().all(|b| b.is_ascii_digit()) {
            return number.to_owned();
        }
        let abroad = || bare.strip_prefix(self.international_prefix.as_str()).filter(|d| d.len() > 4);
        match self.style {
            NumberStyle::AsIs => number.to_owned(),
            // Short ones are the trunk's own services.
            NumberStyle::Plus | NumberStyle::Digits if bare.len() > 6 && !bare.starts_with('0') => {
                format!("+{bare}")
            }
            NumberStyle::Plus | NumberStyle::Digits => number.to_owned(),
            NumberStyle::International => {
                abroad().map_or_else(|| number.to_owned(), |digits| format!("+{digits}"))
            }
            NumberStyle::National => match (abroad(), bare.strip_prefix(self.national_prefix.as_str())) {
                (Some(digits), _) => format!("+{digits}"),
                (None, Some(rest)) if rest.len() > 4 && !self.country.is_empty() => {
                    format!("+{}{rest}", self.country)
                }
                (None, Some(_) | None) => number.to_owned(),
            },
        }
    }

    /// The URI of a number at this domain. Without `called` it is the caller's: never `tel:`, and no tech prefix.
    #[must_use]
    pub fn uri(&self, number: &str, domain: &str, called: bool) -> String {
        let prefix = if called { self.tech_prefix.as_str() } else { "" };
        let written = format!("{prefix}{}", self.write(number));
        let phone = is_number(&written);
        if called && self.tel && phone {
            // RFC 3966 §5.1.5: what is not global is local to somewhere.
            let context =
                if written.starts_with('+') { String::new() } else { format!(";phone-context={domain}") };
            return format!("tel:{}{context}", escape(&written));
        }
        let parameter = if self.user_phone && phone { ";user=phone" } else { "" };
        format!("sip:{}@{domain}{parameter}", escape(&written))
    }
}

/// A user part of a SIP URI (RFC 3261 §25.1: unreserved and user-unreserved stay as they are).
pub(crate) fn escape(user: &str) -> String {
    let mut out = String::with_capacity(user.len());
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(style: NumberStyle) -> NumberFormat {
        NumberFormat { style, country: "49".to_owned(), ..NumberFormat::default() }
    }

    #[test]
    fn numbers_are_written_in_every_style_and_read_back() {
        use NumberStyle::{AsIs, Digits, International, National, Plus};
        for (style, inland, abroad) in [
            (AsIs, "+4930123456", "+33123456789"),
            (Plus, "+4930123456", "+33123456789"),
            (Digits, "4930123456", "33123456789"),
            (International, "004930123456", "0033123456789"),
            (National, "030123456", "0033123456789"),
        ] {
            let format = format(style);
            assert_eq!(format.write("+4930123456"), inland, "{style:?}");
            assert_eq!(format.write("+33123456789"), abroad, "{style:?}");
            assert_eq!(format.read(inland), "+4930123456", "{style:?}");
            assert_eq!(format.read(abroad), "+33123456789", "{style:?}");
            // Short numbers, names and what is E.164 already.
            for as_is in ["110", "anonymous", "+441234567890", "", "*21#"] {
                assert_eq!(format.read(as_is), as_is, "{style:?}");
            }
            assert_eq!(format.write("110"), "110");
        }
        let american = NumberFormat {
            country: "1".to_owned(),
            international_prefix: "011".to_owned(),
            national_prefix: String::new(),
            ..format(National)
        };
        assert_eq!(american.write("+14155550100"), "4155550100");
        assert_eq!(american.write("+4930123456"), "0114930123456");
        assert_eq!(american.read("4155550100"), "+14155550100");
        assert_eq!(american.read("0114930123456"), "+4930123456");
        // Without a country nothing is national.
        let nowhere = NumberFormat { country: String::new(), ..format(National) };
        assert_eq!(nowhere.write("+4930123456"), "004930123456");
        assert_eq!(nowhere.read("030123456"), "030123456");
    }

    #[test]
    fn uris_of_numbers() {
        let uri = |f: &NumberFormat, n: &str| f.uri(n, "trunk.example", true);
        let plain = format(NumberStyle::Plus);
        assert_eq!(uri(&plain, "+4930123456"), "sip:+4930123456@trunk.example");
        let phone = NumberFormat { user_phone: true, ..plain.clone() };
        assert_eq!(uri(&phone, "+4930123456"), "sip:+4930123456@trunk.example;user=phone");
        assert_eq!(uri(&phone, "fax desk"), "sip:fax%20desk@trunk.example");
        let tech = NumberFormat { tech_prefix: "12345#".to_owned(), ..format(NumberStyle::Digits) };
        assert_eq!(uri(&tech, "+4930123456"), "sip:12345%234930123456@trunk.example");
        assert_eq!(tech.uri("+4930123456", "trunk.example", false), "sip:4930123456@trunk.example");
        assert_eq!(tech.read("12345#4930123456"), "+4930123456");
        let tel = NumberFormat { tel: true, ..plain };
        assert_eq!(uri(&tel, "+4930123456"), "tel:+4930123456");
        let local = NumberFormat { tel: true, ..format(NumberStyle::National) };
        assert_eq!(uri(&local, "+4930123456"), "tel:030123456;phone-context=trunk.example");
        assert_eq!(local.uri("+4930123456", "trunk.example", false), "sip:030123456@trunk.example");
    }
}
