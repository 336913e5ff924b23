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

/// Makers that are met on the line: country, the two octets that its authority assigned, name.
const MAKERS: [([u8; 3], &str); 25] = [
    ([0x00, 0x00, 0x09], "Toshiba"),
    ([0x00, 0x00, 0x0E], "Panasonic"),
    ([0x00, 0x00, 0x11], "Canon"),
    ([0x00, 0x00, 0x19], "Xerox"),
    ([0x00, 0x00, 0x21], "OKI"),
    ([0x00, 0x00, 0x25], "Ricoh"),
    ([0x00, 0x00, 0x26], "Konica"),
    ([0x00, 0x00, 0x2D], "Sony"),
    ([0x00, 0x00, 0x31], "Sharp"),
    ([0x00, 0x00, 0x39], "Panasonic"),
    ([0x00, 0x00, 0x45], "Muratec"),
    ([0x00, 0x00, 0x51], "Sanyo"),
    ([0x00, 0x00, 0x56], "Brother"),
    ([0x00, 0x00, 0x59], "Fujitsu"),
    ([0x00, 0x00, 0x61], "Casio"),
    ([0x00, 0x00, 0x66], "Mita"),
    ([0x00, 0x00, 0x79], "Panasonic"),
    ([0x61, 0x00, 0x7A], "Xerox"),
    ([0xB5, 0x00, 0x0C], "Dialogic"),
    ([0xB5, 0x00, 0x15], "Lexmark"),
    ([0xB5, 0x00, 0x30], "Dialogic"),
    ([0xB5, 0x00, 0x36], "HP"),
    ([0xB5, 0x00, 0x60], "Commetrex"),
    ([0xB5, 0x00, 0x66], "Castelle"),
    ([0xB5, 0x00, 0x6A], "Omnifax"),
];

/// Who made the terminal that sent this NSF, NSC or NSS, in either bit order.
///
/// ```
/// assert_eq!(fax_t30::nsf::maker(&[0x00, 0x00, 0x0E, 0x12]), Some("Panasonic"));
/// assert_eq!(fax_t30::nsf::maker(&[0xAD, 0x00, 0x6C, 0x12]), Some("HP"));
/// assert_eq!(fax_t30::nsf::maker(&[0xB5]), None);
/// ```
#[must_use]
pub fn maker(fif: &[u8]) -> Option<&'static str> {
    let code: [u8; 3] = fif.get(..3)?.try_into().ok()?;
    let named = |code: [u8; 3]| MAKERS.iter().find(|(c, _)| *c == code).map(|(_, name)| *name);
    named(code).or_else(|| named(code.map(u8::reverse_bits)))
}

/// What an NSF, NSC or NSS says as far as anyone but its maker can tell. Makers disagree about the bit
/// order: the country is looked up as printed first, then reversed.
///
/// ```
/// assert_eq!(fax_t30::nsf::describe(&[0xB5, 0x00, 0x01]), "United States 00 01");
/// assert_eq!(fax_t30::nsf::describe(&[0x2D, 0x80]), "United Kingdom 80");
/// assert_eq!(fax_t30::nsf::describe(&[0x00, 0x00, 0x11, 0xFF]), "Canon, Japan 00 11 ff");
/// ```
#[must_use]
pub fn describe(fif: &[u8]) -> String {
    let Some((&code, maker)) = fif.split_first() else {
        return "empty".to_owned();
    };
    let country = |code: u8| COUNTRIES.iter().find(|(c, _)| *c == code).map(|(_, name)| *name);
    let mut text = self::maker(fif).map_or_else(String::new, |name| format!("{name}, "));
    match country(code).or_else(|| country(code.reverse_bits())) {
        Some(name) => text.push_str(name),
        None => text.push_str(&format!("country {code:02x}")),
    }
    for octet in maker.iter().take(64) {
        text.push_str(&format!(" {octet:02x}"));
    }
    text
}
