//! Internet addresses in TSA, CIA, IRA, ISP and CSA (T.30 §5.3.6.2.9 to §5.3.6.2.13).

/// What an internet address is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AddressType {
    /// An e-mail address.
    Mail,
    /// A URL.
    Url,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// An international telephone number.
    Number,
    /// Another type, by its number.
    Other(u8),
}

impl core::fmt::Display for AddressType {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            AddressType::Mail => f.write_str("mail"),
            AddressType::Url => f.write_str("URL"),
            AddressType::Ipv4 => f.write_str("IPv4"),
            AddressType::Ipv6 => f.write_str("IPv6"),
            AddressType::Number => f.write_str("number"),
            AddressType::Other(n) => write!(f, "type {n}"),
        }
    }
}

/// An internet address, or a part of one that is too long for one frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InternetAddress {
    /// Number of the part.
    pub sequence: u8,
    /// Another part follows.
    pub more: bool,
    /// What it is.
    pub kind: AddressType,
    /// Its characters as cleaned for printing, at most 77.
    pub text: String,
}

/// The most characters of one frame.
const LONGEST: usize = 77;

impl InternetAddress {
    /// Takes an information field (printed order) apart: sequence, type, length, characters in their order. A length
    /// that is not true is ignored.
    ///
    /// ```
    /// use fax_t30::address::{AddressType, InternetAddress};
    /// let octets: Vec<u8> = [&[0, 1, 3][..], b"a@b"].concat().iter().map(|o| o.reverse_bits()).collect();
    /// let address = InternetAddress::parse(&octets).expect("an address");
    /// assert_eq!((address.kind, address.text.as_str()), (AddressType::Mail, "a@b"));
    /// assert_eq!(InternetAddress::parse(&octets[..3]), None);
    /// ```
    #[must_use]
    pub fn parse(fif: &[u8]) -> Option<Self> {
        let [sequence, kind, length] = fif.first_chunk::<3>()?.map(u8::reverse_bits);
        let characters = fif.get(3..).unwrap_or_default();
        let stated = characters.get(..usize::from(length)).unwrap_or(characters);
        let text: String = stated
            .iter()
            .take(LONGEST)
            .map(|octet| octet.reverse_bits())
            .map(|octet| if (0x20..0x7F).contains(&octet) { char::from(octet) } else { '?' })
            .collect();
        let text = text.trim().to_owned();
        let kind = match kind {
            1 => AddressType::Mail,
            2 => AddressType::Url,
            3 => AddressType::Ipv4,
            4 => AddressType::Ipv6,
            5 => AddressType::Number,
            other => AddressType::Other(other),
        };
        (!text.is_empty()).then_some(InternetAddress {
            sequence: sequence & 0x7F,
            more: sequence & 0x80 != 0,
            kind,
            text,
        })
    }
}

/// `mail a@b`.
impl core::fmt::Display for InternetAddress {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} {}{}", self.kind, self.text, if self.more { " …" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_no_address() {
        let parse = |octets: &[u8]| {
            let octets: Vec<u8> = octets.iter().map(|o| o.reverse_bits()).collect();
            InternetAddress::parse(&octets).map(|a| a.to_string())
        };
        assert_eq!(parse(&[]), None);
        assert_eq!(parse(&[0, 2, 0]), None);
        assert_eq!(parse(b"\x00\x02\xFFhttp://x"), Some("URL http://x".into()));
        assert_eq!(parse(b"\x81\x05\x04+49 228"), Some("number +49 …".into()));
        assert_eq!(parse(b"\x00\x63\x02\x00\x80"), Some("type 99 ??".into()));
        let long = [&[0, 1, 200][..], &[b'x'; 200]].concat();
        assert_eq!(parse(&long).map(|t| t.len()), Some(5 + 77));
    }
}
