//! Non-standard facilities, for the log only: country and maker's octets (T.30 §5.3.6.2.7, T.35).

/// T.35 country codes that fax makers use.
const COUNTRIES: [(u8, &str); 20] = [
    (0x00, "Japan"),
    (0x04, "Germany"),
    (0x42, "Germany"),
    (0x09, "Australia"),
    (0x20, "Canada"),
    (0x26, "China"),
    (0x31, "Denmark"),
    (0x3C, "Finland"),
    (0x3D, "France"),
    (0x58, "Israel"),
    (0x59, "Italy"),
    (0x61, "Korea"),
    (0x7B, "Netherlands"),
    (0x82, "Norway"),
    (0x9C, "Singapore"),
    (0xA0, "Spain"),
    (0xA5, "Sweden"),
    (0xA6, "Switzerland"),
    (0xB4, "United Kingdom"),
    (0xB5, "United States"),
];

/// What an NSF, NSC or NSS says as far as anyone but its maker can tell. Makers disagree about the bit
/// order: the country is looked up as printed first, then reversed.
///
/// ```
/// assert_eq!(fax_t30::nsf::describe(&[0xB5, 0x00, 0x01]), "United States 00 01");
/// assert_eq!(fax_t30::nsf::describe(&[0x2D, 0x80]), "United Kingdom 80");
/// ```
#[must_use]
pub fn describe(fif: &[u8]) -> String {
    let Some((&code, maker)) = fif.split_first() else {
        return "empty".to_owned();
    };
    let country = |code: u8| COUNTRIES.iter().find(|(c, _)| *c == code).map(|(_, name)| *name);
    let mut text = match country(code).or_else(|| country(code.reverse_bits())) {
        Some(name) => name.to_owned(),
        None => format!("country {code:02x}"),
    };
    for octet in maker.iter().take(64) {
        text.push_str(&format!(" {octet:02x}"));
    }
    text
}
