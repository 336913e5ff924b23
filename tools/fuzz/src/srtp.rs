//! SRTP, the keys for it in session descriptions, RTCP, and STUN.

use crate::input::Choices;
use fax_sip::sdp::{
    Agreed, AudioLine, Capabilities, Codec, Crypto, LocalMedia, Negotiation, SessionDescription, Srtp,
};
use fax_srtp::{Inbound, MasterKey, OVERHEAD, Outbound, Profile};

/// The file is compiled here because the crate that it belongs to is heavy with sockets.
#[allow(dead_code)]
#[path = "../../../crates/net/src/stun/message.rs"]
mod message;

const PROFILES: [Profile; 4] =
    [Profile::Aes128Tag80, Profile::Aes128Tag32, Profile::Aes256Tag80, Profile::Aes256Tag32];

/// The key follows from the whole input: else the fuzzer, which sees what is compared, would bring a packet that was
/// protected for another input.
fn pair(octets: &[u8], profile: Profile, mki: &[u8]) -> (Outbound, Inbound) {
    let hashed = |hash: u64, octet: &u8| (hash ^ u64::from(*octet)).wrapping_mul(0x100_0000_01B3);
    let mut state = octets.iter().fold(0xCBF2_9CE4_8422_2325, hashed);
    let key = [(); 46].map(|()| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    });
    let key = MasterKey::new(profile, &key[..profile.key_octets() + 14]).expect("as long as it has to be");
    let key = key.with_identifier(mki);
    (Outbound::new(&key).expect("a key"), Inbound::new(&key).expect("a key"))
}

/// Packets protected, damaged, forged, cut, doubled and mixed: what was not sent is not taken, and nothing is taken twice.
pub fn unprotect(octets: &[u8]) {
    let c = &mut Choices::new(octets);
    let mki = [1, 2, 3, 4];
    let (mut outbound, mut inbound) = pair(octets, c.pick(&PROFILES), &mki[..c.below(5)]);
    // What was sent, in clear and secured, and whether it was taken.
    let mut sent: Vec<(Vec<u8>, Vec<u8>, bool)> = Vec::new();
    while !c.is_empty() {
        match c.below(4) {
            0 => {
                let plain = c.piece().to_vec();
                let mut buffer = plain.clone();
                buffer.resize(plain.len() + OVERHEAD + mki.len(), 0);
                if let Some(length) = outbound.protect(&mut buffer, plain.len()) {
                    buffer.truncate(length);
                    sent.push((plain, buffer, false));
                }
            }
            1 => {
                let mut forged = c.piece().to_vec();
                let same = sent.iter().any(|(_, secured, _)| *secured == forged);
                assert!(inbound.unprotect(&mut forged).is_none() || same, "nobody sent that");
            }
            what => {
                let Some(at) = (!sent.is_empty()).then(|| c.below(sent.len())) else { continue };
                let (plain, secured, taken) = &mut sent[at];
                let mut packet = secured.clone();
                if what == 2 {
                    let place = c.below(packet.len());
                    packet[place] ^= c.octet();
                }
                let damaged = packet != *secured;
                if let Some(length) = inbound.unprotect(&mut packet) {
                    assert!(!damaged && !*taken, "taken, though damaged or said again");
                    assert_eq!(&packet[..length], &plain[..]);
                    *taken = true;
                }
            }
        }
    }
}

/// RTCP, whole and compound, among RTP: protected it comes back as it was; unprotected it is never audio.
pub fn rtcp(octets: &[u8]) {
    let c = &mut Choices::new(octets);
    let (mut outbound, mut inbound) = pair(octets, c.pick(&PROFILES), &[]);
    while !c.is_empty() {
        let mut compound = Vec::new();
        for _ in 0..1 + c.below(3) {
            let body = c.piece();
            let words = body.len().div_ceil(4);
            compound.extend([0x80 | c.octet() & 0x3F, 192 + c.octet() % 32]);
            // Sometimes a length that is not true.
            compound.extend(if c.flag() { c.short() } else { words as u16 }.to_be_bytes());
            compound.extend(body);
            compound.resize(compound.len().next_multiple_of(4), 0);
        }
        crate::rtp::no_audio(&compound);
        let mut buffer = compound.clone();
        buffer.resize(compound.len() + OVERHEAD, 0);
        if let Some(length) = outbound.protect(&mut buffer, compound.len()) {
            let mut packet = buffer[..length].to_vec();
            let mut again = packet.clone();
            let plain = inbound.unprotect(&mut packet).expect("it was sent just now");
            assert_eq!(&packet[..plain], &compound[..]);
            assert!(inbound.unprotect(&mut again).is_none(), "said again");
        }
    }
}

fn can() -> Capabilities {
    let audio = AudioLine { port: 10_000, codecs: vec![Codec::Pcma, Codec::Pcmu] };
    Capabilities { audio: Some(audio), image: None, prefer_image: false }
}

/// Lines with keys: read, written, read; in offers and answers, where keys are only where both have them.
pub fn crypto(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    if let Ok(crypto) = Crypto::read(&text) {
        assert!(crypto.key.key_and_salt.len() == crypto.key.suite.key_octets() && crypto.key.mki.len() <= 128);
        let again = Crypto::read(&crypto.value()).expect("what is written can be read");
        assert_eq!((again.tag, again.key.suite, &again.key.key_and_salt), (
            crypto.tag,
            crypto.key.suite,
            &crypto.key.key_and_salt
        ));
    }
    let ours = "192.0.2.1".parse().expect("an address");
    let head = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 8\r\n";
    let lines: String = text.lines().map(|line| format!("a=crypto:{line}\r\n")).collect();
    let theirs = format!("{head}{lines}");
    let side = |srtp, seed| Negotiation::new(ours, 1).with_srtp(srtp, [seed; 32]);
    assert!(side(Srtp::Off, 1).answer(theirs.as_bytes(), &can()).is_err());
    let mut called = side(Srtp::Required, 1);
    if let Ok((answer, agreed)) = called.answer(theirs.as_bytes(), &can()) {
        let Agreed::Audio(agreed) = agreed else { panic!("audio was offered") };
        let keys = agreed.keys.expect("it is required");
        assert_eq!(keys.ours.suite, keys.theirs.suite);
        let sdp = SessionDescription::parse(&answer).expect("our answer can be read");
        assert!(sdp.media[0].is_secure() && sdp.media[0].attribute("crypto").is_some());
        // Offered again it is the same.
        let (same, _) = called.answer(theirs.as_bytes(), &can()).expect("it was taken before");
        assert_eq!(same, answer);
    }
    let mut calling = side(Srtp::Required, 2);
    calling.offer(&LocalMedia::Audio(can().audio.expect("it is there")));
    if let Ok(Agreed::Audio(agreed)) = calling.answered(theirs.as_bytes()) {
        assert!(agreed.keys.is_some(), "plain audio was not offered");
    }
}

/// STUN: an answer only counts with the question's name.
pub fn stun(octets: &[u8]) {
    let id = [7; 12];
    let is_one = message::is_stun(octets);
    let mapped = message::mapped_address(octets, &id);
    assert!(mapped.is_none() || (is_one && octets[8..20] == id));
    // The same with our question's name and a true length, so that the attributes are looked at.
    let mut answer = vec![1, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42];
    answer.extend(id);
    answer.extend(octets.get(..octets.len() & !3).unwrap_or_default());
    let length = (answer.len() - 20) as u16;
    answer[2..4].copy_from_slice(&length.to_be_bytes());
    let seen = message::mapped_address(&answer, &id);
    assert!(message::mapped_address(&answer, &[8; 12]).is_none());
    for cut in (20..answer.len()).step_by(4) {
        let _ = message::mapped_address(&answer[..cut], &id);
    }
    let request = message::binding_request(&id);
    assert!(message::is_stun(&request) && message::mapped_address(&request, &id).is_none());
    let _ = seen;
}
