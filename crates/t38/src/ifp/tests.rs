//! The worked octets of both syntaxes, and round trips.

use super::*;
use proptest::prelude::*;

fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|o| u8::from_str_radix(o, 16).unwrap()).collect()
}

#[test]
fn all_indicators() {
    let octets = "00 02 04 06 08 0a 0c 0e 10 12 14 16 18 1a 1c 1e";
    for (i, o) in hex(octets).into_iter().enumerate() {
        let ifp = Ifp::Indicator(Indicator::ALL[i]);
        assert_eq!(ifp.to_octets(Syntax::V1998).unwrap(), [o]);
        assert_eq!(decode_as(&[o], Syntax::V1998, Packing::Strict), Ok((ifp, 1)));
    }
    let extensions = ["20 00", "20 40", "20 80", "20 c0", "21 00", "21 40", "21 80"];
    for (i, o) in extensions.into_iter().enumerate() {
        let ifp = Ifp::Indicator(Indicator::ALL[16 + i]);
        assert_eq!(ifp.to_octets(Syntax::V2002).unwrap(), hex(o));
        assert_eq!(decode_as(&hex(o), Syntax::V2002, Packing::Strict), Ok((ifp, 2)));
    }
    assert_eq!(Indicator::ALL.len(), 23);
}

#[test]
fn all_data_types() {
    let octets = [
        "c0", "c2", "c4", "c6", "c8", "ca", "cc", "ce", "d0", "e0 00", "e0 40", "e0 80", "e0 c0", "e1 00",
        "e1 40",
    ];
    assert_eq!(DataType::ALL.len(), octets.len());
    for (data_type, o) in DataType::ALL.iter().zip(octets) {
        let fields = vec![Field::new(FieldType::HdlcData, &[0x55])];
        let ifp = Ifp::Data { data_type: *data_type, fields };
        let want = [hex(o), hex("01 80 00 00 55")].concat();
        assert_eq!(ifp.to_octets(Syntax::V2002).unwrap(), want);
        assert_eq!(decode_as(&want, Syntax::V2002, Packing::Strict), Ok((ifp, want.len())));
    }
}

#[test]
fn all_field_headers() {
    let headers = [
        ("80", "00", "80", "00"),
        ("90", "10", "88", "08"),
        ("a0", "20", "90", "10"),
        ("b0", "30", "98", "18"),
        ("c0", "40", "a0", "20"),
        ("d0", "50", "a8", "28"),
        ("e0", "60", "b0", "30"),
        ("f0", "70", "b8", "38"),
        ("", "", "c0 00", "40 00"),
        ("", "", "c0 80", "40 80"),
        ("", "", "c1 00", "41 00"),
        ("", "", "c1 80", "41 80"),
    ];
    assert_eq!(FieldType::ALL.len(), headers.len());
    for (kind, (old_data, old_bare, new_data, new_bare)) in FieldType::ALL.iter().zip(headers) {
        for (syntax, header, data) in [
            (Syntax::V1998, old_data, true),
            (Syntax::V1998, old_bare, false),
            (Syntax::V2002, new_data, true),
            (Syntax::V2002, new_bare, false),
        ] {
            let octets: &[u8] = if data { &[0x7E, 0x01] } else { &[] };
            let ifp = Ifp::Data { data_type: DataType::V8, fields: vec![Field::new(*kind, octets)] };
            if header.is_empty() {
                assert_eq!(ifp.to_octets(syntax), Err(EncodeError::NotIn1998(*kind)));
                continue;
            }
            let tail = if data { "00 01 7e 01" } else { "" };
            let want = [hex("e0 00 01"), hex(header), hex(tail)].concat();
            assert_eq!(ifp.to_octets(syntax).unwrap(), want, "{kind} {syntax:?}");
            assert_eq!(decode_as(&want, syntax, Packing::Strict), Ok((ifp, want.len())));
        }
    }
}

/// Both syntaxes of one packet.
fn worked(data_type: DataType, fields: &[(FieldType, &str)], old: &str, new: &str) {
    let octets: Vec<Vec<u8>> = fields.iter().map(|(_, o)| hex(o)).collect();
    let fields = fields.iter().zip(&octets).map(|((kind, _), o)| Field::new(*kind, o)).collect();
    let ifp = Ifp::Data { data_type, fields };
    for (syntax, want) in [(Syntax::V1998, old), (Syntax::V2002, new)] {
        if want.is_empty() {
            continue;
        }
        let want = hex(want);
        assert_eq!(ifp.to_octets(syntax).unwrap(), want, "{syntax:?}");
        assert_eq!(decode_as(&want, syntax, Packing::Strict), Ok((ifp.clone(), want.len())));
    }
}

#[test]
fn worked_packets() {
    use DataType::{V8, V17At9600, V17At14400, V21, V29At9600, V34PrimaryRate};
    use FieldType::*;
    let ff = "c0 01 80 00 00 ff";
    worked(V21, &[(HdlcData, "ff")], ff, ff);
    worked(
        V21,
        &[(HdlcData, "ff c8 01 00 ce f8 44"), (HdlcFcsOkSigEnd, "")],
        "c0 02 80 00 06 ff c8 01 00 ce f8 44 40",
        "c0 02 80 00 06 ff c8 01 00 ce f8 44 20",
    );
    worked(V21, &[(HdlcFcsOk, "")], "c0 01 20", "c0 01 10");
    worked(V21, &[(HdlcFcsOkSigEnd, "")], "c0 01 40", "c0 01 20");
    worked(V21, &[(HdlcSigEnd, "")], "c0 01 10", "c0 01 08");
    worked(
        V17At14400,
        &[(T4NonEcmData, "00 00 00 00 00 00")],
        "d0 01 e0 00 05 00 00 00 00 00 00",
        "d0 01 b0 00 05 00 00 00 00 00 00",
    );
    worked(V17At14400, &[(T4NonEcmSigEnd, "")], "d0 01 70", "d0 01 38");
    worked(
        V29At9600,
        &[(HdlcData, "ff c0 60 00"), (HdlcFcsOk, "")],
        "c8 02 80 00 03 ff c0 60 00 20",
        "c8 02 80 00 03 ff c0 60 00 10",
    );
    worked(
        V17At14400,
        &[
            (HdlcData, "ff c0 61"),
            (HdlcFcsOk, ""),
            (HdlcData, "ff c0 61"),
            (HdlcFcsOk, ""),
            (HdlcData, "ff c0 61"),
            (HdlcFcsOkSigEnd, ""),
        ],
        "d0 06 80 00 02 ff c0 61 28 00 02 ff c0 61 28 00 02 ff c0 61 40",
        "d0 06 80 00 02 ff c0 61 14 00 00 02 ff c0 61 14 00 00 02 ff c0 61 20",
    );
    worked(V21, &[(HdlcFcsBad, ""), (HdlcSigEnd, "")], "c0 02 31", "c0 02 18 40");
    worked(V21, &[(HdlcData, "4c"), (HdlcFcsOk, "")], "c0 02 80 00 00 4c 20", "c0 02 80 00 00 4c 10");
    worked(V8, &[(CmMessage, "31")], "", "e0 00 01 c0 00 00 00 31");
    worked(V8, &[(JmMessage, "41 30")], "", "e0 00 01 c0 80 00 01 41 30");
    worked(V8, &[(CiMessage, "31")], "", "e0 00 01 c1 00 00 00 31");
    worked(V34PrimaryRate, &[(V34Rate, "33 33 36")], "", "e0 40 01 c1 80 00 02 33 33 36");
    let long = Ifp::Data { data_type: V17At9600, fields: vec![Field::new(HdlcData, &[0; 200])] };
    let octets = long.to_octets(Syntax::V1998).unwrap();
    assert_eq!(octets[..5], hex("cc 01 80 00 c7"));
    assert_eq!(octets.len(), 205);
}

/// The extension field types as a widespread implementation writes them.
#[test]
fn misplaced_extension_index() {
    for (octets, kind) in
        [("e0 00 01 c0 40 00 00 31", FieldType::JmMessage), ("e0 00 01 c0 c0 00 00 31", FieldType::V34Rate)]
    {
        let octets = hex(octets);
        let (ifp, _) = decode_as(&octets, Syntax::V2002, Packing::Strict).unwrap();
        assert_eq!(ifp, Ifp::Data { data_type: DataType::V8, fields: vec![Field::new(kind, &[0x31])] });
    }
}

fn kinds(ifp: &Ifp<'_>) -> Vec<FieldType> {
    match ifp {
        Ifp::Data { fields, .. } => fields.iter().map(|f| f.kind).collect(),
        Ifp::Indicator(_) => vec![],
    }
}

#[test]
fn octet_aligned_headers_are_understood() {
    use FieldType::{HdlcData, HdlcFcsBad, HdlcFcsOk, HdlcSigEnd};
    let mut old = Decoder::new(0);
    let octets = hex("c0 03 80 00 00 4c 20 80 00 00 4d");
    assert_eq!(kinds(&old.decode(&octets, false).unwrap()), [HdlcData, HdlcFcsOk, HdlcData]);
    let mut new = Decoder::new(3);
    let octets = hex("c0 03 80 00 00 4c 10 80 00 00 4d");
    assert_eq!(kinds(&new.decode(&octets, false).unwrap()), [HdlcData, HdlcFcsOk, HdlcData]);
    let octets = hex("c0 02 18 08");
    assert_eq!(kinds(&new.decode(&octets, false).unwrap()), [HdlcFcsBad, HdlcSigEnd]);
    assert_eq!((old.syntax(), new.syntax()), (Syntax::V1998, Syntax::V2002));
}

#[test]
fn a_peer_with_the_other_syntax_is_found_out() {
    // Agreed 1998, written 2002: the end of a signal and raw bits betray it.
    for octets in ["c0 01 08", "c0 01 38", "c0 01 18", "d0 01 b0 00 01 00 00", "d0 01 88 00 00 01"] {
        let mut d = Decoder::new(0);
        d.decode(&hex(octets), false).unwrap();
        assert_eq!(d.syntax(), Syntax::V2002, "{octets}");
    }
    // Agreed 2002, written 1998.
    for octets in
        ["c0 01 40", "d0 01 e0 00 01 00 00", "d0 01 70", "c0 02 80 00 00 2c 40", "c0 01 c0 00 00 2c"]
    {
        let mut d = Decoder::new(2);
        d.decode(&hex(octets), false).unwrap();
        assert_eq!(d.syntax(), Syntax::V1998, "{octets}");
    }
    // What is the same in both, or legal, decides nothing.
    for octets in ["06", "c0 01 80 00 00 ff", "c0 01 20", "c0 01 10"] {
        for version in [0, 2] {
            let mut d = Decoder::new(version);
            d.decode(&hex(octets), false).unwrap();
            assert_eq!(d.syntax(), Syntax::of_version(version), "{octets}");
        }
    }
    // Several frames in one signal: 2002's fcs-OK reads as sig-end in the middle of a frame.
    let mut d = Decoder::new(0);
    for octets in ["06", "c0 02 80 00 02 ff c0 40 10", "c0 02 80 00 02 ff c8 01 20"] {
        d.decode(&hex(octets), false).unwrap();
    }
    assert_eq!(d.syntax(), Syntax::V2002);
    // fcs-BAD with octets of a frame, or behind frames, is what it says.
    let mut d = Decoder::new(0);
    for octets in ["1e", "d0 01 b0 00 01 ff c0"] {
        d.decode(&hex(octets), false).unwrap();
    }
    assert_eq!(d.syntax(), Syntax::V1998);
    let mut d = Decoder::new(0);
    for octets in ["1e", "d0 01 80 00 02 ff c0 60", "d0 01 b0 00 01 00 00"] {
        d.decode(&hex(octets), false).unwrap();
    }
    assert_eq!(d.syntax(), Syntax::V1998);
}

#[test]
fn what_is_wrong_is_said() {
    let strict = |o: &str| decode_as(&hex(o), Syntax::V1998, Packing::Strict).unwrap_err();
    assert_eq!(strict(""), DecodeError::Empty);
    assert_eq!(strict("01"), DecodeError::FillBits);
    assert_eq!(strict("20"), DecodeError::Truncated);
    assert_eq!(strict("22 00"), DecodeError::UnknownValue);
    assert_eq!(strict("d2 01 70"), DecodeError::UnknownValue);
    assert_eq!(strict("86 01 80 00 00 00"), DecodeError::IndicatorWithData);
    assert_eq!(strict("c0 01 80 00 05 ff"), DecodeError::Truncated);
    assert_eq!(strict("c0 bf ff 80 00 05 ff"), DecodeError::Truncated);
    assert_eq!(strict("c0 c1 80"), DecodeError::BadLength);
    assert_eq!(strict("c0 01 80 ff ff 00"), DecodeError::BadLength);
    let mut d = Decoder::new(0);
    assert_eq!(d.decode(&hex("06 00"), false), Err(DecodeError::Trailing));
    assert_eq!(d.decode(&hex("06 00"), true), Ok(Ifp::Indicator(Indicator::V21Preamble)));
    assert_eq!(d.decode(&hex("06 01"), true), Err(DecodeError::Trailing));
}

#[test]
fn data_without_a_data_field() {
    let (ifp, took) = decode_as(&[0x40], Syntax::V1998, Packing::Strict).unwrap();
    assert_eq!((&ifp, took), (&Ifp::Data { data_type: DataType::V21, fields: vec![] }, 1));
    assert_eq!(ifp.to_octets(Syntax::V1998).unwrap(), [0x40]);
}

fn any_ifp() -> impl Strategy<Value = (u8, Vec<(u8, Vec<u8>)>)> {
    let field = (0u8..12, prop::collection::vec(any::<u8>(), 0..40));
    (0u8..15, prop::collection::vec(field, 1..140))
}

proptest! {
    #[test]
    fn strict_round_trip((data_type, fields) in any_ifp(), new in any::<bool>()) {
        let syntax = if new { Syntax::V2002 } else { Syntax::V1998 };
        let roots = if new { 12 } else { 8 };
        let fields = fields
            .iter()
            .map(|(kind, o)| Field::new(FieldType::from_index(kind % roots).unwrap(), o))
            .collect();
        let ifp = Ifp::Data { data_type: DataType::from_index(data_type).unwrap(), fields };
        let octets = ifp.to_octets(syntax).unwrap();
        let back = decode_as(&octets, syntax, Packing::Strict);
        prop_assert_eq!(back, Ok((ifp, octets.len())));
    }

    #[test]
    fn random_octets_never_panic(
        packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..20),
        version in 0u8..4,
    ) {
        let mut d = Decoder::new(version);
        for octets in packets {
            if let Ok(ifp) = d.decode(&octets, octets.len() % 2 == 0) {
                let _ = ifp.to_octets(d.syntax());
            }
        }
    }
}
