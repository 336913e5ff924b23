use crate::key::{MasterKey, Profile};
use crate::keystream::{Cipher, salted};
use crate::{Inbound, OVERHEAD, Outbound};
use proptest::prelude::*;

fn octets(hex: &str) -> Vec<u8> {
    let digits: String = hex.split_whitespace().collect();
    (0..digits.len() / 2).map(|n| u8::from_str_radix(&digits[n * 2..n * 2 + 2], 16).unwrap()).collect()
}

fn key(profile: Profile, fill: u8) -> MasterKey {
    let octets: Vec<u8> = (0..profile.key_octets() + 14).map(|n| (n as u8).wrapping_mul(37) ^ fill).collect();
    MasterKey::new(profile, &octets).unwrap()
}

fn keystream(key: &str, counter: u128, length: usize) -> Vec<u8> {
    let mut stream = vec![0; length];
    Cipher::new(&octets(key)).unwrap().apply(counter, &mut stream);
    stream
}

fn rtp(sequence: u16, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 8];
    packet.extend(sequence.to_be_bytes());
    packet.extend(u32::from(sequence).wrapping_mul(160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

fn rtcp(ssrc: u32) -> Vec<u8> {
    [&[0x80, 200, 0, 6][..], &ssrc.to_be_bytes(), &[0x5A; 20]].concat()
}

fn protect(by: &mut Outbound, packet: &[u8]) -> Option<Vec<u8>> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + OVERHEAD + 8, 0);
    let length = by.protect(&mut buffer, packet.len())?;
    buffer.truncate(length);
    Some(buffer)
}

fn unprotect(by: &mut Inbound, packet: &[u8]) -> Option<Vec<u8>> {
    let mut buffer = packet.to_vec();
    let length = by.unprotect(&mut buffer)?;
    buffer.truncate(length);
    Some(buffer)
}

fn pair(profile: Profile) -> (Outbound, Inbound) {
    let key = key(profile, 0);
    (Outbound::new(&key).unwrap(), Inbound::new(&key).unwrap())
}

const ALL: [Profile; 4] =
    [Profile::Aes128Tag80, Profile::Aes128Tag32, Profile::Aes256Tag80, Profile::Aes256Tag32];

/// RFC 3711 B.2.
#[test]
fn the_standards_keystream_comes_out() {
    let salt: [u8; 14] = octets("f0f1f2f3f4f5f6f7f8f9fafbfcfd").try_into().unwrap();
    let stream = keystream("2b7e151628aed2a6abf7158809cf4f3c", salted(&salt), 0xFF02 * 16);
    let begin =
        "e03ead0935c95e80e166b16dd92b4eb4 d23513162b02d0f72a43a2fe4a5f97ab 41e95b3bb0a2e8dd477901e4fca894c0";
    assert_eq!(stream[..48], octets(begin));
    let end =
        "ec8cdf7398607cb0f2d21675ea9ea1e4 362b7c3c6773516318a077d7fc5073ae 6a2cc3787889374fbeb4c81b17ba6c44";
    assert_eq!(stream[0xFEFF * 16..][..48], octets(end));
}

/// RFC 6188 §7.1.
#[test]
fn the_standards_keystream_of_the_long_key_comes_out() {
    let salt: [u8; 14] = octets("f0f1f2f3f4f5f6f7f8f9fafbfcfd").try_into().unwrap();
    let key = "57f82fe3613fd170a85ec93c40b1f0922ec4cb0dc025b58272147cc438944a98";
    let begin =
        "92bdd28a93c3f52511c677d08b5515a4 9da71b2378a854f67050756ded165bac 63c4868b7096d88421b563b8c94c9a31";
    assert_eq!(keystream(key, salted(&salt), 48), octets(begin));
}

/// RFC 3711 B.3 and RFC 6188 §7.2: encryption key, salt, authentication key by labels 0, 2, 1.
#[test]
fn the_standards_session_keys_come_out() {
    let derived = |key: &str, salt: &str, label: u8, length| {
        let salt: [u8; 14] = octets(salt).try_into().unwrap();
        keystream(key, salted(&salt) ^ (u128::from(label) << 64), length)
    };
    let (key, salt) = ("e1f97a0d3e018be0d64fa32c06de4139", "0ec675ad498afeebb6960b3aabe6");
    assert_eq!(derived(key, salt, 0, 16), octets("c61e7a93744f39ee10734afe3ff7a087"));
    assert_eq!(derived(key, salt, 2, 14), octets("30cbbc08863d8c85d49db34a9ae1"));
    assert_eq!(derived(key, salt, 1, 20), octets("cebe321f6ff7716b6fd4ab49af256a156d38baa4"));
    let key = "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6";
    let salt = "3b04803de51ee7c96423ab5b78d2";
    assert_eq!(
        derived(key, salt, 0, 32),
        octets("5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4")
    );
    assert_eq!(derived(key, salt, 2, 14), octets("fa31791685ca444a9e07c6c64e93"));
    assert_eq!(derived(key, salt, 1, 20), octets("fd9c32d39ed5fbb5a9dc96b30818454d1313dc05"));
}

/// Whole packets as they are published by the reference implementation.
#[test]
fn known_packets_come_out() {
    let key = octets("e1f97a0d3e018be0d64fa32c06de4139 0ec675ad498afeebb6960b3aabe6");
    let key = MasterKey::new(Profile::Aes128Tag80, &key).unwrap();
    let plain = octets("800f1234decafbadcafebabe abababababababababababababababab");
    let secured = octets("800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb");
    assert_eq!(protect(&mut Outbound::new(&key).unwrap(), &plain), Some(secured.clone()));
    assert_eq!(unprotect(&mut Inbound::new(&key).unwrap(), &secured), Some(plain));
    let plain = octets("81c8000bcafebabe abababababababababababababababab");
    let secured = octets("81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798");
    let mut outbound = Outbound::new(&key).unwrap();
    assert!(protect(&mut outbound, &plain).is_some());
    assert_eq!(protect(&mut outbound, &plain), Some(secured.clone()), "it is the second, with index 1");
    assert_eq!(unprotect(&mut Inbound::new(&key).unwrap(), &secured), Some(plain));
}

#[test]
fn every_profile_carries_rtp_and_rtcp_there_and_no_other_key_reads_it() {
    for profile in ALL {
        let (mut outbound, mut inbound) = pair(profile);
        let mut other = Inbound::new(&key(profile, 1)).unwrap();
        for sequence in 0..100 {
            let plain = if sequence % 10 == 9 { rtcp(7) } else { rtp(sequence, 7, &[sequence as u8; 160]) };
            let secured = protect(&mut outbound, &plain).unwrap();
            assert_ne!(secured[12..plain.len()], plain[12..]);
            assert_eq!(unprotect(&mut other, &secured), None);
            assert_eq!(unprotect(&mut inbound, &secured), Some(plain));
            assert_eq!(unprotect(&mut inbound, &secured), None, "{profile:?}: said again");
        }
    }
}

#[test]
fn the_number_goes_round_and_the_stream_goes_on() {
    let (mut outbound, mut inbound) = pair(Profile::Aes128Tag80);
    let mut last = Vec::new();
    for n in 0..200_000u32 {
        let plain = rtp((n + 30_000) as u16, 1, &n.to_be_bytes());
        let secured = protect(&mut outbound, &plain).unwrap();
        // One in seven is lost, and one in eleven of the others comes after the next.
        if n % 7 == 0 {
            continue;
        }
        if n % 11 == 0 {
            last = vec![(secured, plain)];
            continue;
        }
        assert_eq!(unprotect(&mut inbound, &secured), Some(plain), "{n}");
        for (secured, plain) in last.drain(..) {
            assert_eq!(unprotect(&mut inbound, &secured), Some(plain), "{n}");
        }
    }
}

#[test]
fn a_stream_whose_first_packets_were_lost_is_read_also_where_its_number_went_round() {
    let (mut outbound, mut inbound) = pair(Profile::Aes256Tag32);
    for sequence in [65_534, 65_535] {
        protect(&mut outbound, &rtp(sequence, 1, &[1; 20])).unwrap();
    }
    for sequence in 0..5 {
        let plain = rtp(sequence, 1, &[1; 20]);
        let secured = protect(&mut outbound, &plain).unwrap();
        assert_eq!(unprotect(&mut inbound, &secured), Some(plain));
    }
}

#[test]
fn sources_are_told_apart_and_there_is_an_end_to_them() {
    let (mut outbound, mut inbound) = pair(Profile::Aes128Tag80);
    let sources = crate::SOURCES as u32;
    for ssrc in 0..sources {
        let plain = rtp(5, ssrc, &[1; 20]);
        let secured = protect(&mut outbound, &plain).unwrap();
        assert_eq!(unprotect(&mut inbound, &secured), Some(plain));
    }
    assert_eq!(protect(&mut outbound, &rtp(5, sources, &[1; 20])), None);
    let mut fresh = Outbound::new(&key(Profile::Aes128Tag80, 0)).unwrap();
    let one_more = protect(&mut fresh, &rtp(5, sources, &[1; 20])).unwrap();
    assert_eq!(unprotect(&mut inbound, &one_more), None);
}

#[test]
fn no_keystream_is_used_twice() {
    let (mut outbound, _) = pair(Profile::Aes128Tag80);
    assert!(protect(&mut outbound, &rtp(5, 1, b"this")).is_some());
    assert_eq!(protect(&mut outbound, &rtp(5, 1, b"that")), None);
    assert!(protect(&mut outbound, &rtp(500, 1, b"this")).is_some());
    assert_eq!(protect(&mut outbound, &rtp(6, 1, b"that")), None, "too old to know");
    assert!(protect(&mut outbound, &rtp(450, 1, b"late")).is_some());
}

#[test]
fn an_identifier_is_carried_and_wanted() {
    let key = key(Profile::Aes128Tag80, 0);
    let marked = key.clone().with_identifier(&[0, 0, 0, 1]);
    let (mut outbound, mut inbound) = (Outbound::new(&marked).unwrap(), Inbound::new(&marked).unwrap());
    let mut without = Inbound::new(&key).unwrap();
    let mut other = Inbound::new(&key.with_identifier(&[0, 0, 0, 2])).unwrap();
    for plain in [rtp(1, 1, &[3; 160]), rtcp(1)] {
        let secured = protect(&mut outbound, &plain).unwrap();
        assert_eq!(unprotect(&mut without, &secured), None);
        assert_eq!(unprotect(&mut other, &secured), None);
        assert_eq!(unprotect(&mut inbound, &secured), Some(plain));
    }
}

#[test]
fn headers_with_sources_and_extensions_stay_readable() {
    let (mut outbound, mut inbound) = pair(Profile::Aes128Tag80);
    let mut plain = rtp(1, 1, &[]);
    plain[0] = 0x92; // two sources, an extension
    plain.extend([9; 8]);
    plain.extend([0xBE, 0xDE, 0, 1, 1, 2, 3, 4]);
    let header = plain.len();
    plain.extend([0x55; 160]);
    let secured = protect(&mut outbound, &plain).unwrap();
    assert_eq!(secured[..header], plain[..header]);
    assert_ne!(secured[header..plain.len()], plain[header..]);
    assert_eq!(unprotect(&mut inbound, &secured), Some(plain));
}

#[test]
fn keys_are_not_printed() {
    let text = format!("{:?}", key(Profile::Aes128Tag80, 0));
    assert_eq!(text, "MasterKey { profile: Aes128Tag80, .. }");
}

#[test]
fn there_is_room_or_nothing_is_sent() {
    for profile in ALL {
        let (mut outbound, _) = pair(profile);
        for plain in [rtp(9, 1, &[3; 160]), rtcp(1)] {
            let mut tight = plain.clone();
            tight.resize(plain.len() + OVERHEAD, 0);
            assert!(outbound.protect(&mut tight, plain.len()).is_some());
            let mut none = plain.clone();
            assert_eq!(outbound.protect(&mut none, plain.len()), None);
            assert_eq!(outbound.protect(&mut none, plain.len() + 1), None);
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_changed_is_noticed_and_changes_nothing(
        which in 0usize..4,
        at in 0usize..200,
        change in 1u8..,
        cut in 0usize..200,
        is_rtcp: bool,
    ) {
        let (mut outbound, mut inbound) = pair(ALL[which]);
        let first = rtp(1, 1, &[7; 20]);
        let secured = protect(&mut outbound, &first).unwrap();
        prop_assert_eq!(unprotect(&mut inbound, &secured), Some(first));
        let plain = if is_rtcp { rtcp(1) } else { rtp(2, 1, &[7; 160]) };
        let secured = protect(&mut outbound, &plain).unwrap();
        let mut changed = secured.clone();
        let place = at % changed.len();
        changed[place] ^= change;
        prop_assert_eq!(unprotect(&mut inbound, &changed), None);
        let short = &secured[..cut.min(secured.len() - 1)];
        prop_assert_eq!(unprotect(&mut inbound, short), None);
        prop_assert_eq!(unprotect(&mut inbound, &secured), Some(plain));
    }

    #[test]
    fn nonsense_is_nobodys(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (mut outbound, mut inbound) = pair(Profile::Aes128Tag80);
        prop_assert_eq!(unprotect(&mut inbound, &octets), None);
        let _ = protect(&mut outbound, &octets);
    }
}
