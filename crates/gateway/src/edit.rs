//! What is changed in frames that pass: what the path cannot carry must not be offered (T.38 §8; T.30 Table 2).
//!
//! Every octet is changed by itself, as frames pass while they come.

use crate::api::{Config, Nonstandard};
use fax_t30::frames::Fcf;

/// Where the information field begins.
const FIELD: usize = 3;
/// Country and maker in a non-standard field (T.35).
const MAKER: core::ops::Range<usize> = FIELD..FIELD + 3;

/// Bits of DIS and DTC that speak of other networks and of modems that nobody here has: T.37, T.38 terminals, 3G, V.8,
/// T.38's flow control, internet-aware fax.
const NEVER: [u32; 6] = [1, 3, 4, 6, 121, 123];
/// Bits that need ECM, and ECM's own: 64 octets, ECM, T.6, T.43 and its planes, voice, JPEG and T.85 with what
/// belongs to them, T.44, black-and-white T.44, T.45, T.88, sYCC.
const ECM: [u32; 20] = [7, 27, 31, 36, 37, 38, 51, 53, 54, 55, 57, 68, 69, 78, 79, 92, 93, 94, 115, 116];
const ECM_TOO: [u32; 4] = [124, 125, 126, 127];

/// Changes one octet of a frame that carries `fcf`; `at` counts from the address.
pub(crate) fn edited(config: &Config, fcf: Fcf, at: usize, octet: u8) -> u8 {
    match fcf {
        Fcf::Dis | Fcf::Dtc if at >= FIELD => capability(config, at - FIELD, octet),
        Fcf::Nsf | Fcf::Nsc | Fcf::Nss if MAKER.contains(&at) => match config.nonstandard {
            Nonstandard::Pass => octet,
            Nonstandard::Overwrite => 0,
        },
        _ => octet,
    }
}

/// The octet `at` (from 0) of a field of capabilities.
fn capability(config: &Config, at: usize, octet: u8) -> u8 {
    let cleared = |bits: &[u32]| {
        let of_octet = bits.iter().filter(|bit| (**bit as usize - 1) / 8 == at);
        of_octet.fold(0, |mask, bit| mask | 0x80 >> ((bit - 1) % 8))
    };
    let mut octet = octet & !cleared(&NEVER);
    if !config.ecm {
        octet &= !(cleared(&ECM) | cleared(&ECM_TOO));
    }
    if at == 1 {
        octet = octet & !0x3C | modems(config, octet >> 2 & 0xF) << 2;
    }
    octet
}

/// Bits 11 to 14 without what is not to be used. V.33 is nobody's any more; other codes are not defined, and are left
/// to those who know them.
fn modems(config: &Config, code: u8) -> u8 {
    let code = if code == 0b1110 { 0b1100 } else { code };
    match (code, config.max_rate) {
        (0b1101, 0..12_000) => modems(config, 0b1100),
        (0b1100, 0..7_200) => modems(config, 0b0100),
        (0b1000, 0..7_200) | (0b0100, 0..4_800) => 0b0000,
        (code, _) => code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use fax_t30::dis::Fif;
    use fax_t30::frames::Frame;

    fn passed(config: &Config, frame: &[u8]) -> Vec<u8> {
        let fcf = Frame::parse(&Bytes::copy_from_slice(frame)).unwrap().fcf;
        frame.iter().enumerate().map(|(at, octet)| edited(config, fcf, at, *octet)).collect()
    }

    /// A field with all bits of Table 2 set, but for the group of the modems.
    fn everything(modems: u8) -> Vec<u8> {
        let mut fif = Fif::new();
        (1..=127).for_each(|bit| fif.put(bit, true));
        fif.put_group(11, 4, modems);
        fif.to_octets().to_vec()
    }

    fn cleared(config: &Config, fcf: u8, modems: u8) -> Vec<u32> {
        let frame = [&[0xFF, 0xC8, fcf], everything(modems).as_slice()].concat();
        let (before, after) = (Fif::parse(&frame[3..]), Fif::parse(&passed(config, &frame)[3..]));
        (1..=128).filter(|bit| before.bit(*bit) != after.bit(*bit)).collect()
    }

    #[test]
    fn only_what_cannot_pass_is_taken_out() {
        let config = Config::default();
        assert_eq!(cleared(&config, 0x01, 0b1101), [1, 3, 4, 6, 121, 123]);
        assert_eq!(cleared(&config, 0x81, 0b1101), [1, 3, 4, 6, 121, 123]);
        // V.33 becomes V.29 with V.27ter.
        assert_eq!(cleared(&config, 0x01, 0b1110), [1, 3, 4, 6, 13, 121, 123]);
        // DCS says what is done, not what can be.
        assert_eq!(cleared(&config, 0x41, 0b0001), []);
        assert_eq!(cleared(&config, 0xC1, 0b0001), []);
        assert_eq!(cleared(&config, 0x02, 0b0001), []);
    }

    #[test]
    fn without_ecm_nothing_that_needs_it_is_offered() {
        let config = Config { ecm: false, ..Config::default() };
        let cleared = cleared(&config, 0x01, 0b1101);
        for bit in [27, 31, 36, 38, 68, 78, 79, 92, 93, 94, 115, 116, 127] {
            assert!(cleared.contains(&bit), "{bit}");
        }
        for bit in [9, 10, 15, 16, 33, 35, 41, 47, 49, 50, 76, 8, 16, 24, 32, 40, 48, 120] {
            assert!(!cleared.contains(&bit), "{bit}");
        }
    }

    #[test]
    fn rates_are_limited_by_modems() {
        let modems = |max_rate, code| super::modems(&Config { max_rate, ..Config::default() }, code);
        for (max_rate, want) in
            [(14_400, 0b1101), (12_000, 0b1101), (9_600, 0b1100), (4_800, 0b0100), (2_400, 0)]
        {
            assert_eq!(modems(max_rate, 0b1101), want, "{max_rate}");
        }
        assert_eq!(modems(9_600, 0b0100), 0b0100);
        assert_eq!(modems(14_400, 0b1011), 0b1011);
    }

    #[test]
    fn makers_are_forgotten_unless_they_may_pass() {
        let nsf = [0xFF, 0xC0, 0x04, 0x00, 0x00, 0x0E, 0x55, 0xAA];
        assert_eq!(passed(&Config::default(), &nsf), [0xFF, 0xC0, 0x04, 0, 0, 0, 0x55, 0xAA]);
        let pass = Config { nonstandard: Nonstandard::Pass, ..Config::default() };
        assert_eq!(passed(&pass, &nsf), nsf);
        let nss = [0xFF, 0xC0, 0xC4, 0xB5, 0x00, 0x36, 0x55];
        assert_eq!(passed(&Config::default(), &nss), [0xFF, 0xC0, 0xC4, 0, 0, 0, 0x55]);
    }
}
