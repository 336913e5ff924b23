//! SRTP in offers and answers: whose keys hold, what is refused, what stays when the session is changed (RFC 4568 §5 to §7).

#![allow(clippy::unwrap_used, clippy::panic)]

use bytes::Bytes;
use fax_sip::sdp::{
    Agreed, AudioLine, Capabilities, Codec, Crypto, CryptoFault, ImageLine, LocalMedia, MediaKeys,
    Negotiation, SessionDescription, Srtp, Suite, T38Parameters, Unacceptable,
};

const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
const OTHER: &str = "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR";

fn can() -> Capabilities {
    Capabilities {
        audio: Some(AudioLine { port: 7000, codecs: vec![Codec::Pcma, Codec::Pcmu] }),
        image: Some(ImageLine { port: 7000, parameters: T38Parameters::default() }),
        prefer_image: true,
    }
}

fn audio() -> LocalMedia {
    LocalMedia::Audio(can().audio.unwrap())
}

fn image() -> LocalMedia {
    LocalMedia::Image(can().image.unwrap())
}

fn side(srtp: Srtp, seed: u8) -> Negotiation {
    Negotiation::new("192.0.2.1".parse().unwrap(), 77).with_srtp(srtp, [seed; 32])
}

fn offer(lines: &str) -> Vec<u8> {
    format!("v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n{lines}").into_bytes()
}

fn secure(crypto: &str) -> Vec<u8> {
    offer(&format!("m=audio 4000 RTP/SAVP 8 0\r\n{crypto}"))
}

fn line(tag: u32, key: &str) -> String {
    format!("a=crypto:{tag} AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n")
}

fn cryptos(sdp: &[u8]) -> Vec<Crypto> {
    let sdp = SessionDescription::parse(sdp).unwrap();
    let live = sdp.media.iter().find(|m| m.port != 0).unwrap();
    let found = live.attributes.iter().filter(|a| a.is("crypto"));
    found.map(|a| Crypto::read(a.value.as_deref().unwrap()).unwrap()).collect()
}

fn transport(sdp: &[u8]) -> String {
    SessionDescription::parse(sdp).unwrap().media.iter().find(|m| m.port != 0).unwrap().transport.clone()
}

fn keys(agreed: Agreed) -> Option<MediaKeys> {
    match agreed {
        Agreed::Audio(audio) => audio.keys,
        Agreed::Image(_) => panic!("audio"),
    }
}

/// One side offers, the other answers: what each agreed to.
fn exchange(
    a: &mut Negotiation,
    b: &mut Negotiation,
) -> (Bytes, Bytes, Option<MediaKeys>, Option<MediaKeys>) {
    let offer = a.offer(&audio());
    let (answer, theirs) = b.answer(&offer, &can()).unwrap();
    let ours = a.answered(&answer).unwrap();
    (offer, answer, keys(ours), keys(theirs))
}

#[test]
fn both_sides_have_the_same_keys_one_for_each_direction() {
    for srtp in [Srtp::Required, Srtp::Offered] {
        for other in [Srtp::Required, Srtp::Offered, Srtp::Accepted] {
            let (offer, answer, a, b) = exchange(&mut side(srtp, 1), &mut side(other, 2));
            assert_eq!(transport(&offer), "RTP/SAVP");
            let offered = cryptos(&offer);
            assert_eq!(offered.iter().map(|c| c.key.suite).collect::<Vec<_>>(), Suite::ALL);
            assert!(offered.windows(2).all(|w| w[0].key.key_and_salt[..30] != w[1].key.key_and_salt[..30]));
            let (a, b) = (a.unwrap(), b.unwrap());
            assert_eq!((&a.ours, &a.theirs), (&b.theirs, &b.ours));
            assert_eq!((&a.ours, a.theirs.suite), (&offered[0].key, Suite::Aes128Tag80));
            assert_ne!(a.ours, a.theirs);
            assert_eq!(cryptos(&answer).len(), 1);
        }
    }
}

#[test]
fn plain_where_nobody_asks_and_refused_where_one_demands() {
    for (a, b) in [(Srtp::Off, Srtp::Off), (Srtp::Accepted, Srtp::Offered), (Srtp::Off, Srtp::Accepted)] {
        let (offer, answer, ours, theirs) = exchange(&mut side(a, 1), &mut side(b, 2));
        assert_eq!((transport(&offer), transport(&answer)), ("RTP/AVP".into(), "RTP/AVP".into()));
        assert_eq!((ours, theirs), (None, None));
        assert!(!String::from_utf8_lossy(&answer).contains("crypto"));
    }
    let demanded = side(Srtp::Required, 1).offer(&audio());
    assert_eq!(side(Srtp::Off, 2).answer(&demanded, &can()).unwrap_err(), Unacceptable::SrtpOff);
    let plain = side(Srtp::Accepted, 1).offer(&audio());
    let refused = side(Srtp::Required, 2).answer(&plain, &can()).unwrap_err();
    assert_eq!((refused, refused.code()), (Unacceptable::SrtpRequired, 488));
    // Keys by DTLS are not ours, and keys in a plain line are none.
    let dtls = offer("m=audio 4000 UDP/TLS/RTP/SAVP 8\r\na=fingerprint:sha-256 00\r\n");
    assert_eq!(side(Srtp::Required, 2).answer(&dtls, &can()).unwrap_err(), Unacceptable::NoCommonMedium);
    let careless = offer(&format!("m=audio 4000 RTP/AVP 8\r\n{}", line(1, KEY)));
    assert_eq!(side(Srtp::Required, 2).answer(&careless, &can()).unwrap_err(), Unacceptable::SrtpRequired);
    assert_eq!(keys(side(Srtp::Accepted, 2).answer(&careless, &can()).unwrap().1), None);
}

#[test]
fn the_first_line_that_we_can_do_is_taken_with_its_tag() {
    let unknown = "a=crypto:1 F8_128_HMAC_SHA1_80 inline:xx\r\n";
    let strange = format!("a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNENCRYPTED_SRTP\r\n");
    let good = line(30, KEY);
    let (answer, agreed) =
        side(Srtp::Accepted, 2).answer(&secure(&[unknown, &strange, &good].concat()), &can()).unwrap();
    assert_eq!(cryptos(&answer)[0].tag, 30);
    let theirs = keys(agreed).unwrap().theirs;
    assert_eq!(theirs, Crypto::read(good.trim().trim_start_matches("a=crypto:")).unwrap().key);
    for (crypto, fault) in [
        ("", CryptoFault::Missing),
        (unknown, CryptoFault::Suite),
        (&strange, CryptoFault::Parameter),
        ("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA\r\n", CryptoFault::Key),
    ] {
        let refused = side(Srtp::Accepted, 2).answer(&secure(crypto), &can()).unwrap_err();
        assert_eq!((refused, refused.code()), (Unacceptable::Crypto(fault), 488), "{crypto}");
    }
}

#[test]
fn of_a_secured_and_a_plain_line_each_takes_its_own() {
    let both = offer(&format!("m=audio 4002 RTP/AVP 8\r\nm=audio 4000 RTP/SAVP 8\r\n{}", line(1, KEY)));
    for (srtp, port) in [(Srtp::Off, 4002), (Srtp::Accepted, 4000), (Srtp::Required, 4000)] {
        let (answer, agreed) = side(srtp, 1).answer(&both, &can()).unwrap();
        let Agreed::Audio(agreed) = agreed else { panic!("audio") };
        assert_eq!((agreed.remote.port(), agreed.keys.is_some()), (port, port == 4000));
        assert_eq!(SessionDescription::parse(&answer).unwrap().media.len(), 2);
    }
}

#[test]
fn an_answer_that_was_not_offered_is_none() {
    let theirs = |sdp: &[u8]| {
        let mut side = side(Srtp::Required, 1);
        side.offer(&audio());
        side.answered(sdp).map(|agreed| keys(agreed).unwrap().ours.suite)
    };
    assert_eq!(theirs(&secure(&line(1, KEY))), Ok(Suite::Aes128Tag80));
    assert_eq!(
        theirs(&secure(&line(2, KEY))),
        Err(CryptoFault::Unoffered.into()),
        "the suite of another tag"
    );
    assert_eq!(theirs(&secure(&line(9, KEY))), Err(CryptoFault::Unoffered.into()));
    assert_eq!(theirs(&secure("")), Err(CryptoFault::Missing.into()));
    assert_eq!(theirs(&offer("m=audio 4000 RTP/AVP 8\r\n")), Err(Unacceptable::SrtpRequired));
    let mut plain = side(Srtp::Accepted, 1);
    plain.offer(&audio());
    assert_eq!(plain.answered(&secure(&line(1, KEY))).unwrap_err(), CryptoFault::Unoffered.into());
}

#[test]
fn keys_stay_while_the_stream_does_whoever_offers_anew() {
    let (mut a, mut b) = (side(Srtp::Required, 1), side(Srtp::Accepted, 2));
    let (offer, answer, first, _) = exchange(&mut a, &mut b);
    let (again, same, second, _) = exchange(&mut a, &mut b);
    assert_eq!((&again, &same, &second), (&offer, &answer, &first), "not even the version counts up");
    // The other way round, also as one who only accepts.
    let (back, _, ours, theirs) = exchange(&mut b, &mut a);
    assert_eq!(transport(&back), "RTP/SAVP");
    let first = first.unwrap();
    assert_eq!(
        (ours.unwrap(), theirs.unwrap()),
        (MediaKeys { ours: first.theirs.clone(), theirs: first.ours.clone() }, first)
    );
}

#[test]
fn their_new_key_holds_and_ours_stays() {
    let mut side = side(Srtp::Accepted, 2);
    let answer =
        |side: &mut Negotiation, crypto: &str| keys(side.answer(&secure(crypto), &can()).unwrap().1).unwrap();
    let first = answer(&mut side, &line(1, KEY));
    let second = answer(&mut side, &line(2, OTHER));
    assert_eq!(first.ours, second.ours);
    assert_ne!(first.theirs, second.theirs);
    // On hold they stay, too.
    let held = answer(&mut side, &format!("a=sendonly\r\n{}", line(2, OTHER)));
    assert_eq!(held, second);
    // Another suite: another key.
    let other = answer(&mut side, &line(3, OTHER).replace("_80", "_32"));
    assert_ne!(other.ours.key_and_salt, second.ours.key_and_salt);
}

#[test]
fn after_t38_a_stream_begins_anew_with_new_keys() {
    let (mut a, mut b) = (side(Srtp::Required, 1), side(Srtp::Accepted, 2));
    let (.., before, _) = exchange(&mut a, &mut b);
    let offer = a.offer(&image());
    assert!(!String::from_utf8_lossy(&offer).contains("crypto"));
    let (answer, _) = b.answer(&offer, &can()).unwrap();
    a.answered(&answer).unwrap();
    assert!(a.keys().is_none() && b.keys().is_none());
    let (.., after, _) = exchange(&mut a, &mut b);
    let (before, after) = (before.unwrap(), after.unwrap());
    assert_ne!(before.ours, after.ours);
    assert_ne!(before.theirs, after.theirs);
}

#[test]
fn an_offer_of_t38_that_is_refused_leaves_the_keys() {
    let (mut a, mut b) = (side(Srtp::Required, 1), side(Srtp::Accepted, 2));
    let (.., before, _) = exchange(&mut a, &mut b);
    let offer = a.offer(&image());
    let only_audio = Capabilities { image: None, ..can() };
    assert_eq!(b.answer(&offer, &only_audio).unwrap_err(), Unacceptable::NoCommonMedium);
    a.refused();
    assert_eq!(a.keys(), before.as_ref());
    let (.., after, _) = exchange(&mut a, &mut b);
    assert_eq!(after, before);
}

#[test]
fn who_is_refused_may_offer_plain_unless_that_is_not_allowed() {
    let mut offered = side(Srtp::Offered, 1);
    assert_eq!(transport(&offered.offer(&audio())), "RTP/SAVP");
    offered.refused();
    offered.without_srtp();
    let plain = offered.offer(&audio());
    assert_eq!(transport(&plain), "RTP/AVP");
    assert!(!String::from_utf8_lossy(&plain).contains("crypto"));
    let mut required = side(Srtp::Required, 1);
    required.offer(&audio());
    required.refused();
    required.without_srtp();
    assert_eq!(transport(&required.offer(&audio())), "RTP/SAVP");
}

#[test]
fn lines_of_others_are_secured_as_ours_are() {
    let parse = |octets: &[u8]| SessionDescription::parse(octets).unwrap();
    let (mut a, mut b) = (side(Srtp::Required, 1), side(Srtp::Accepted, 2));
    let foreign = parse(&offer("m=audio 4000 RTP/AVP 9 8\r\na=rtpmap:9 G722/8000\r\n")).media[0].clone();
    let offered = a.offer_line(foreign.clone());
    assert_eq!((transport(&offered), cryptos(&offered).len()), ("RTP/SAVP".into(), 4));
    let theirs = parse(&offered);
    assert_eq!(b.admits(&theirs.media[0]), Ok(()));
    let answer = b.answer_line(&theirs, 0, &foreign).unwrap();
    assert_eq!((transport(&answer), cryptos(&answer).len()), ("RTP/SAVP".into(), 1));
    a.taken(&parse(&answer)).unwrap();
    let (a, b) = (a.keys().unwrap(), b.keys().unwrap());
    assert_eq!((&a.ours, &a.theirs), (&b.theirs, &b.ours));
    assert_eq!(side(Srtp::Off, 3).admits(&theirs.media[0]), Err(Unacceptable::SrtpOff));
    assert_eq!(side(Srtp::Required, 3).admits(&foreign), Err(Unacceptable::SrtpRequired));
    // A secured line goes on to somebody plain without its keys.
    let onward = side(Srtp::Off, 4).offer_line(theirs.media[0].clone());
    assert_eq!(transport(&onward), "RTP/AVP");
    assert!(!String::from_utf8_lossy(&onward).contains("crypto"));
}
