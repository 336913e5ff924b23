//! Frames as T.30 prints them: control fields, identifications, the bits of DIS and DCS.

use bytes::Bytes;
use fax_base::hdlc;
use fax_t30::dis::{Fif, Reading};
use fax_t30::frames::{Fcf, Fcf2, Frame, build, ident_from_fif, ident_to_fif, name_of};

fn frame(octets: &'static [u8]) -> Bytes {
    Bytes::from_static(octets)
}

#[test]
fn control_fields_with_either_x() {
    let rows: [(u8, Fcf, &str); 22] = [
        (0x01, Fcf::Dis, "DIS"),
        (0x81, Fcf::Dtc, "DTC"),
        (0xC1, Fcf::Dcs, "DCS"),
        (0x41, Fcf::Dcs, "DCS"),
        (0xC2, Fcf::Tsi, "TSI"),
        (0x21, Fcf::Cfr, "CFR"),
        (0xA1, Fcf::Cfr, "CFR"),
        (0x22, Fcf::Ftt, "FTT"),
        (0xF4, Fcf::Eop, "EOP"),
        (0x74, Fcf::Eop, "EOP"),
        (0x31, Fcf::Mcf, "MCF"),
        (0x33, Fcf::RetrainPositive, "RTP"),
        (0x5F, Fcf::Dcn, "DCN"),
        (0xDF, Fcf::Dcn, "DCN"),
        (0x58, Fcf::Crp, "CRP"),
        (0xD8, Fcf::Crp, "CRP"),
        (0x52, Fcf::Rk, "RK"),
        (0xD2, Fcf::Tk, "TK"),
        (0xC9, Fcf::Dec, "DEC"),
        (0xF3, Fcf::Eor, "EOR"),
        (0x00, Fcf::Unknown, "?"),
        (0x90, Fcf::Unknown, "?"),
    ];
    for (octet, fcf, name) in rows {
        assert_eq!(Fcf::parse(octet), fcf, "{octet:02x}");
        assert_eq!(fcf.name(), name);
    }
    // A field without X is not another one's twin: 01 and 81 differ, and so do 02 and 82.
    assert_ne!(Fcf::parse(0x02), Fcf::parse(0x82));
    assert_eq!(Fcf::Dcs.octet(true), 0xC1);
    assert_eq!(Fcf::Dis.octet(true), 0x01);
    assert_eq!(Fcf::Dtc.octet(false), 0x81);
}

#[test]
fn all_octets_are_a_field_or_unknown_and_go_back() {
    for octet in 0..=255u8 {
        let fcf = Fcf::parse(octet);
        if fcf != Fcf::Unknown {
            assert!(octet == fcf.octet(false) || octet == fcf.octet(true), "{octet:02x}");
        }
    }
}

#[test]
fn whole_frames() {
    assert_eq!(build(Fcf::Cfr, false, true, &[]), frame(&[0xFF, 0xC8, 0x21]));
    assert_eq!(hdlc::fcs(&build(Fcf::Mcf, false, true, &[])), [0x45, 0x8F]);
    let pps = frame(&[0xFF, 0xC8, 0x7D, 0x74, 0x00, 0x00, 0x2C]);
    assert_eq!(name_of(&pps), "PPS-EOP");
    let parsed = Frame::parse(&pps).expect("a frame");
    assert_eq!((parsed.fcf, parsed.fcf2(), parsed.last), (Fcf::Pps, Some(Fcf2::Eop), true));
    assert_eq!(name_of(&frame(&[0xFF, 0xC8, 0xFD, 0x00, 0x00, 0x00, 0x2C])), "PPS-NULL");
    assert_eq!(name_of(&frame(&[0xFF, 0xC8, 0xF3, 0xF2])), "EOR-MPS");
    assert_eq!(name_of(&frame(&[0xFF, 0xC8, 0x7D, 0xF9, 0, 0, 0])), "PPS-PRI-EOM");
    assert_eq!(name_of(&frame(&[0xFF, 0xC8, 0x7D])), "PPS");
    for nonsense in [&[][..], &[0xFF], &[0xFF, 0xC8], &[0xFE, 0xC8, 0x21], &[0xFF, 0x13, 0x84]] {
        assert_eq!(Frame::parse(&Bytes::copy_from_slice(nonsense)), None);
    }
    assert!(!Frame::parse(&frame(&[0xFF, 0xC0, 0x42])).expect("a frame").last);
}

#[test]
fn identifications_go_backwards() {
    let want = [0x9C, 0x1C, 0xEC, 0x6C, 0xAC, 0x2C, 0xCC, 0x4C, 0x8C, 0x0C, 0xD4, 4, 4, 4, 4, 4, 4, 4, 4, 4];
    assert_eq!(ident_to_fif("+0123456789"), want);
    assert_eq!(ident_from_fif(&want).as_deref(), Some("+0123456789"));
    // Left-justified, short, too long, NUL-filled, letters, nonsense.
    let line = |text: &str| text.bytes().rev().map(u8::reverse_bits).collect::<Vec<u8>>();
    assert_eq!(ident_from_fif(&line("+0123456789         ")).as_deref(), Some("+0123456789"));
    assert_eq!(ident_from_fif(&line("123")).as_deref(), Some("123"));
    assert_eq!(ident_from_fif(&line("Praxis (Dr. M.)")).as_deref(), Some("Praxis (Dr. M.)"));
    assert_eq!(ident_from_fif(&line("12\0\0\0\0")).as_deref(), Some("12"));
    assert_eq!(ident_from_fif(&line("1\x1b[2")).as_deref(), Some("1?[2"));
    assert_eq!(ident_from_fif(&[0x04; 20]), None);
    assert_eq!(ident_from_fif(&[]), None);
    assert_eq!(ident_from_fif(&[0x8C; 300]).map(|t| t.len()), Some(20));
}

#[test]
fn a_dis_bit_by_bit() {
    let dis = Fif::parse(&[0x00, 0x77, 0x1f, 0x23, 0x01, 0x89, 0x01, 0x01, 0x01, 0x18]);
    let ones: Vec<u32> = (1..=128).filter(|n| dis.bit(*n)).collect();
    let want = [10, 11, 12, 14, 15, 16, 20, 21, 22, 23, 24, 27, 31, 32, 40, 41, 45, 48, 56, 64, 72, 76, 77];
    assert_eq!(ones, want);
    assert_eq!(dis.to_octets().as_ref(), [0x00, 0x77, 0x1f, 0x23, 0x01, 0x89, 0x01, 0x01, 0x01, 0x18]);
    let words = dis.describe(Reading::Capabilities);
    for line in [
        "can receive (10)",
        "V.27ter, V.29 and V.17 (11–14)",
        "width 215 mm, length unlimited (17–20)",
        "row time 0 ms (21–23)",
        "ECM (27)",
        "T.6 (MMR) (31)",
        "North American Legal (77)",
    ] {
        assert!(words.iter().any(|w| w == line), "{line} not in {words:?}");
    }
}

#[test]
fn fields_of_any_length() {
    // Two octets, or an extension that does not come: the rest is zero.
    assert!(Fif::parse(&[0x00, 0x50]).bit(10));
    assert!(!Fif::parse(&[0x00, 0x50, 0x01]).bit(27));
    // No extension bit: what follows is not ours.
    assert!(!Fif::parse(&[0x00, 0x50, 0x00, 0x22]).bit(27));
    // Longer than sixteen octets.
    let long = Fif::parse(&[0xFF; 40]);
    assert!((1..=128).all(|n| long.bit(n)));
    assert!(!long.bit(0) && !long.bit(129));
    assert_eq!(Fif::parse(&[]).to_octets().as_ref(), [0, 0, 0]);
}

#[test]
fn every_bit_has_its_place_and_comes_back() {
    for n in 1..=128u32 {
        let mut fif = Fif::new();
        fif.put(n, true);
        assert!(fif.bit(n));
        let octets = fif.to_octets();
        let back = Fif::parse(&octets);
        if n % 8 != 0 || n < 24 {
            assert!(back.bit(n), "bit {n} in {octets:02x?}");
            let others = (1..=128).filter(|m| *m != n && back.bit(*m));
            assert!(others.into_iter().all(|m| m % 8 == 0 && m >= 24), "bit {n}");
            let reserved = [11, 12, 13, 14, 17, 18, 19, 20, 21, 22, 23];
            for reading in [Reading::Capabilities, Reading::Command] {
                assert!(!back.describe(reading).is_empty());
            }
            let grouped = reserved.contains(&n) || (92..=94).contains(&n);
            let printed = fif.describe(Reading::Capabilities).join("\n");
            let grouped = grouped || [117, 118].contains(&n) || (124..=126).contains(&n);
            assert!(grouped || printed.contains(&format!("({n})")), "bit {n}: {printed}");
        }
    }
}
