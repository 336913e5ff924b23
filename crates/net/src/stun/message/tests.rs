//! The standard's answers, those of old servers, and nonsense.

use super::*;

const ID: TransactionId = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];

/// RFC 5769 §2.2.
const IPV4: &str = "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643\
                    000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96";

/// RFC 5769 §2.3.
const IPV6: &str = "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9fa\
                    a5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c";

fn octets(hex: &str) -> Vec<u8> {
    let digits: String = hex.split_whitespace().collect();
    (0..digits.len() / 2).map(|n| u8::from_str_radix(&digits[n * 2..n * 2 + 2], 16).unwrap()).collect()
}

#[test]
fn the_standards_answers_are_read() {
    let at = |a: &str| Some(a.parse().unwrap());
    assert_eq!(mapped_address(&octets(IPV4), &ID), at("192.0.2.1:32853"));
    assert_eq!(mapped_address(&octets(IPV6), &ID), at("[2001:db8:1234:5678:11:2233:4455:6677]:32853"));
    // An answer to somebody else, and a damaged one.
    assert_eq!(mapped_address(&octets(IPV4), &[0; 12]), None);
    let mut damaged = octets(IPV4);
    damaged[50] ^= 1;
    assert_eq!(mapped_address(&damaged, &ID), None);
}

#[test]
fn our_request_is_one_and_no_answer() {
    let request = binding_request(&ID);
    assert!(is_stun(&request));
    assert_eq!(request.len(), 28);
    assert_eq!(mapped_address(&request, &ID), None);
    for sip in [&b"OPTIONS sip:a SIP/2.0\r\n\r\n"[..], b"SIP/2.0 200 OK\r\n\r\n", b"\r\n\r\n", b""] {
        assert!(!is_stun(sip));
    }
}

#[test]
fn old_servers_answers_without_fingerprint_are_read_and_unknown_demands_are_not() {
    let answer = |attributes: &[u8]| {
        let mut octets = vec![1, 1, 0, u8::try_from(attributes.len()).unwrap()];
        octets.extend(MAGIC.to_be_bytes());
        octets.extend(ID);
        octets.extend(attributes);
        octets
    };
    let mapped = [0, 1, 0, 8, 0, 1, 0x13, 0xC4, 203, 0, 113, 5];
    assert_eq!(mapped_address(&answer(&mapped), &ID), Some("203.0.113.5:5060".parse().unwrap()));
    let demand = [&mapped[..], &[0x00, 0x33, 0, 0]].concat();
    assert_eq!(mapped_address(&answer(&demand), &ID), None);
    let optional = [&[0x80, 0x33, 0, 1, 9, 0, 0, 0][..], &mapped].concat();
    assert_eq!(mapped_address(&answer(&optional), &ID), Some("203.0.113.5:5060".parse().unwrap()));
    assert_eq!(mapped_address(&answer(&[]), &ID), None);
}

#[test]
fn nonsense_is_never_more_than_nothing() {
    let whole = octets(IPV6);
    for cut in 0..whole.len() {
        assert_eq!(mapped_address(&whole[..cut], &ID), None);
    }
    // Every octet with every value: never a panic, and never an address but the true one or none, as the fingerprint
    // sees every change but those of its own header.
    let truth = mapped_address(&whole, &ID);
    for at in 0..whole.len() {
        for value in 0..=255 {
            let mut changed = whole.clone();
            changed[at] = value;
            let found = mapped_address(&changed, &ID);
            let untouched = whole[at] == value;
            assert!(found == truth || found.is_none() || at >= whole.len() - 8, "{at} {value}: {found:?}");
            assert!(!untouched || found == truth);
        }
    }
}
