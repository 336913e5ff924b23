//! Keys of SRTP in a session description: the `crypto` attribute (RFC 4568 §4, §6, §9; RFC 6188 §5).

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use core::fmt;

/// Some leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Octets of the longest identifier of a master key (§9.2).
const LONGEST_MKI: usize = 128;

/// A crypto suite.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Suite {
    /// `AES_CM_128_HMAC_SHA1_80`: what everybody has.
    Aes128Tag80,
    /// `AES_CM_128_HMAC_SHA1_32`.
    Aes128Tag32,
    /// `AES_256_CM_HMAC_SHA1_80`.
    Aes256Tag80,
    /// `AES_256_CM_HMAC_SHA1_32`.
    Aes256Tag32,
}

impl Suite {
    /// All of them, as they are offered: what everybody has comes first, for who looks at nothing else.
    pub const ALL: [Suite; 4] =
        [Suite::Aes128Tag80, Suite::Aes256Tag80, Suite::Aes128Tag32, Suite::Aes256Tag32];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Suite::Aes128Tag80 => "AES_CM_128_HMAC_SHA1_80",
            Suite::Aes128Tag32 => "AES_CM_128_HMAC_SHA1_32",
            Suite::Aes256Tag80 => "AES_256_CM_HMAC_SHA1_80",
            Suite::Aes256Tag32 => "AES_256_CM_HMAC_SHA1_32",
        }
    }

    /// Octets of a master key and its salt.
    #[must_use]
    pub const fn key_octets(self) -> usize {
        match self {
            Suite::Aes128Tag80 | Suite::Aes128Tag32 => 30,
            Suite::Aes256Tag80 | Suite::Aes256Tag32 => 46,
        }
    }

    /// By its name, which is also written `AES_CM_256…`.
    fn named(name: &str) -> Option<Suite> {
        let name = name.replace("AES_CM_256_", "AES_256_CM_");
        Suite::ALL.into_iter().find(|suite| suite.name().eq_ignore_ascii_case(&name))
    }
}

/// A master key, its salt, and what they are for. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct CryptoKey {
    /// The suite.
    pub suite: Suite,
    /// The key, and the salt after it: [`Suite::key_octets`].
    pub key_and_salt: Vec<u8>,
    /// The identifier that packets with this key carry; empty: none.
    pub mki: Vec<u8>,
}

impl fmt::Debug for CryptoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CryptoKey").field("suite", &self.suite).finish_non_exhaustive()
    }
}

/// Why a `crypto` attribute cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CryptoFault {
    /// There is none.
    #[error("there is no a=crypto")]
    Missing,
    /// It is not written as it has to be.
    #[error("a=crypto cannot be read")]
    Malformed,
    /// None of ours.
    #[error("no crypto suite in common")]
    Suite,
    /// A method other than `inline`, or more keys than one.
    #[error("a=crypto has several keys, or none that is inline")]
    Method,
    /// The key is too short or too long, or no base64.
    #[error("the key in a=crypto is not as long as its suite demands")]
    Key,
    /// The lifetime is 0 or more than the suite allows.
    #[error("the lifetime in a=crypto is impossible")]
    Lifetime,
    /// The identifier is too long, or does not fit in its length.
    #[error("the MKI in a=crypto is impossible")]
    Mki,
    /// A parameter that changes the transform in a way that we do not do.
    #[error("a=crypto has a session parameter that we do not do")]
    Parameter,
    /// An answer that is not to what was offered.
    #[error("the answer's a=crypto is none of those offered")]
    Unoffered,
}

/// A `crypto` attribute.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Crypto {
    /// Tells it apart from the others of its line; the answer has that of the one it takes.
    pub tag: u32,
    /// Its key.
    pub key: CryptoKey,
}

impl Crypto {
    /// Reads the value of the attribute.
    pub fn read(value: &str) -> Result<Crypto, CryptoFault> {
        let mut words = value.split_whitespace();
        let mut word = || words.next().ok_or(CryptoFault::Malformed);
        let (tag, suite, keys) = (word()?, word()?, word()?);
        if tag.len() > 9 || !tag.bytes().all(|b| b.is_ascii_digit()) {
            return Err(CryptoFault::Malformed);
        }
        let tag = tag.parse().map_err(|_| CryptoFault::Malformed)?;
        let suite = Suite::named(suite).ok_or(CryptoFault::Suite)?;
        // §6.3: the size of the window is a hint, and one with a dash before it may be passed over.
        if words.any(|parameter| !parameter.starts_with("WSH=") && !parameter.starts_with('-')) {
            return Err(CryptoFault::Parameter);
        }
        let (method, info) = keys.split_once(':').ok_or(CryptoFault::Malformed)?;
        if !method.eq_ignore_ascii_case("inline") || info.contains(';') {
            return Err(CryptoFault::Method);
        }
        let mut fields = info.split('|');
        let key_and_salt = fields.next().and_then(|key| BASE64.decode(key).ok()).ok_or(CryptoFault::Key)?;
        if key_and_salt.len() != suite.key_octets() {
            return Err(CryptoFault::Key);
        }
        let mut mki = Vec::new();
        for (place, field) in fields.enumerate() {
            match field.split_once(':') {
                Some((value, length)) if mki.is_empty() => mki = identifier(value, length)?,
                None if place == 0 => lifetime(field)?,
                Some(_) | None => return Err(CryptoFault::Malformed),
            }
        }
        Ok(Crypto { tag, key: CryptoKey { suite, key_and_salt, mki } })
    }

    /// The value as it is written.
    #[must_use]
    pub fn value(&self) -> String {
        format!("{} {} inline:{}", self.tag, self.key.suite.name(), BASE64.encode(&self.key.key_and_salt))
    }
}

/// An identifier: its value, in so many octets (§6.1).
fn identifier(value: &str, length: &str) -> Result<Vec<u8>, CryptoFault> {
    let length: usize = length.parse().map_err(|_| CryptoFault::Mki)?;
    let value: u64 = value.parse().map_err(|_| CryptoFault::Mki)?;
    let octets = value.to_be_bytes();
    let mut mki = vec![0; length.saturating_sub(octets.len())];
    let (left_out, kept) = octets.split_at(octets.len().saturating_sub(length));
    mki.extend_from_slice(kept);
    let fits = (1..=LONGEST_MKI).contains(&length) && left_out.iter().all(|octet| *octet == 0);
    if fits { Ok(mki) } else { Err(CryptoFault::Mki) }
}

/// How many packets a key is for: the sender's own business, who has to give us another in time; up to 2^48 (§6.1).
fn lifetime(field: &str) -> Result<(), CryptoFault> {
    let number = |text: &str| text.parse::<u64>().map_err(|_| CryptoFault::Lifetime);
    let power = match field.strip_prefix("2^") {
        Some(power) => number(power)?,
        None => u64::from(number(field)?.checked_ilog2().ok_or(CryptoFault::Lifetime)?),
    };
    if power <= 48 { Ok(()) } else { Err(CryptoFault::Lifetime) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

    #[test]
    fn attributes_are_read_in_every_form() {
        // RFC 4568 §9.4 has the first.
        let read = |rest: &str| Crypto::read(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}{rest}"));
        for (rest, mki) in [
            ("|2^20|1:4", &[0, 0, 0, 1][..]),
            ("|2^20", &[]),
            ("|1048576", &[]),
            ("|1:1", &[1]),
            ("|258:2", &[1, 2]),
            ("|7:10", &[0, 0, 0, 0, 0, 0, 0, 0, 0, 7]),
            ("", &[]),
            (" WSH=64", &[]),
            (" -X=1", &[]),
        ] {
            let crypto = read(rest).unwrap();
            assert_eq!((crypto.tag, crypto.key.suite), (1, Suite::Aes128Tag80));
            assert_eq!((crypto.key.key_and_salt.len(), &crypto.key.mki[..]), (30, mki), "{rest}");
        }
        for (rest, fault) in [
            ("|2^49", CryptoFault::Lifetime),
            ("|0", CryptoFault::Lifetime),
            ("|x", CryptoFault::Lifetime),
            ("|2^20|256:1", CryptoFault::Mki),
            ("|1:0", CryptoFault::Mki),
            ("|1:129", CryptoFault::Mki),
            ("|-1:4", CryptoFault::Mki),
            ("|1:4|2^20", CryptoFault::Malformed),
            ("|2^20|1:4|1:4", CryptoFault::Malformed),
            (";inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz", CryptoFault::Method),
            (" UNENCRYPTED_SRTP", CryptoFault::Parameter),
            (" KDR=4", CryptoFault::Parameter),
            ("AA", CryptoFault::Key),
            ("*", CryptoFault::Key),
        ] {
            assert_eq!(read(rest), Err(fault), "{rest}");
        }
        for (value, fault) in [
            ("", CryptoFault::Malformed),
            ("1 AES_CM_128_HMAC_SHA1_80", CryptoFault::Malformed),
            ("x AES_CM_128_HMAC_SHA1_80 inline:x", CryptoFault::Malformed),
            ("1234567890 AES_CM_128_HMAC_SHA1_80 inline:x", CryptoFault::Malformed),
            ("1 F8_128_HMAC_SHA1_80 inline:x", CryptoFault::Suite),
            ("1 AES_CM_128_HMAC_SHA1_80 outline:x", CryptoFault::Method),
        ] {
            assert_eq!(Crypto::read(value), Err(fault), "{value}");
        }
    }

    #[test]
    fn what_is_written_reads_back_and_no_key_is_printed() {
        for (suite, tag) in Suite::ALL.into_iter().zip(1..) {
            let key_and_salt = vec![0xA5; suite.key_octets()];
            let crypto = Crypto { tag, key: CryptoKey { suite, key_and_salt, mki: Vec::new() } };
            assert_eq!(Crypto::read(&crypto.value()), Ok(crypto.clone()));
            assert_eq!(Crypto::read(crypto.value().trim_end_matches('=')), Ok(crypto.clone()));
            assert!(!format!("{crypto:?}").contains("165"));
            let attribute = crate::sdp::Attribute::new("crypto", crypto.value());
            assert!(!format!("{attribute:?}").contains("paWl"));
        }
        let other = format!("7 AES_CM_256_HMAC_SHA1_80 inline:{}", BASE64.encode([1; 46]));
        assert_eq!(Crypto::read(&other).unwrap().key.suite, Suite::Aes256Tag80);
    }
}
