//! Session descriptions: every spelling of T.38, offers and answers, holds, m-lines that never vanish (RFC 3264, T.38 Annex D).

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_range_loop, clippy::type_complexity)]

use fax_sip::sdp::{
    Agreed, AudioLine, Capabilities, Codec, Direction, ErrorCorrection, ImageLine, LocalMedia, Negotiation,
    RateManagement, SdpError, SessionDescription, T38Parameters, Unacceptable, unchanged,
};

fn head() -> String {
    "v=0\r\no=gw 1 2 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n".into()
}

fn t38(attributes: &[&str]) -> T38Parameters {
    let lines: String = attributes.iter().map(|a| format!("a={a}\r\n")).collect();
    let sdp = SessionDescription::parse(format!("{}m=image 40002 udptl t38\r\n{lines}", head()).as_bytes())
        .unwrap();
    T38Parameters::read(&sdp.media[0])
}

fn can() -> Capabilities {
    Capabilities {
        audio: Some(AudioLine { port: 7000, codecs: vec![Codec::Pcma, Codec::Pcmu] }),
        image: Some(ImageLine { port: 7002, parameters: T38Parameters::default() }),
        prefer_image: true,
    }
}

fn audio_only() -> Capabilities {
    Capabilities { image: None, ..can() }
}

fn negotiation() -> Negotiation {
    Negotiation::new("192.0.2.1".parse().unwrap(), 77)
}

fn lines(octets: &[u8]) -> Vec<String> {
    String::from_utf8(octets.to_vec()).unwrap().lines().map(str::to_owned).collect()
}

fn m_lines(octets: &[u8]) -> Vec<String> {
    lines(octets).into_iter().filter(|l| l.starts_with("m=")).collect()
}

#[test]
fn nothing_said_means_the_defaults() {
    let p = t38(&[]);
    assert_eq!((p.version, p.max_bit_rate, p.rate_management), (0, 14_400, RateManagement::TransferredTcf));
    assert_eq!((p.fill_bit_removal, p.transcoding_mmr, p.transcoding_jbig), (false, false, false));
    assert_eq!((p.max_buffer, p.max_datagram, p.error_correction, p.valued_flags), (None, None, None, false));
}

#[test]
fn every_spelling_is_understood() {
    for name in ["T38MaxBitRate", "T38maxBitRate", "T38FaxMaxRate", "T38MaxRate", "t38maxbitrate"] {
        assert_eq!(t38(&[&format!("{name}:9600")]).max_bit_rate, 9_600, "{name}");
    }
    for name in ["T38FaxMaxDatagram", "T38MaxDatagram", "t38faxmaxdatagram"] {
        assert_eq!(t38(&[&format!("{name}:238")]).max_datagram, Some(238));
    }
    for name in ["T38FaxMaxBuffer", "T38MaxBuffer"] {
        assert_eq!(t38(&[&format!("{name}: 262")]).max_buffer, Some(262));
    }
    for name in ["T38FaxUdpEC", "T38FaxUdpEc", "t38faxudpec"] {
        for (value, expected) in [
            ("t38UDPRedundancy", ErrorCorrection::Redundancy),
            ("t38udpRedundancy", ErrorCorrection::Redundancy),
            ("t38UDPFEC", ErrorCorrection::Fec),
            ("t38UDPNoEC", ErrorCorrection::None),
        ] {
            assert_eq!(t38(&[&format!("{name}:{value}")]).error_correction, Some(expected));
        }
    }
    for value in ["transferredTCF", "transferedTCF", "TransferredTCF", " transferredTCF"] {
        assert_eq!(
            t38(&[&format!("T38FaxRateManagement:{value}")]).rate_management,
            RateManagement::TransferredTcf
        );
    }
    assert_eq!(t38(&["T38FaxRateManagement:localTCF"]).rate_management, RateManagement::LocalTcf);
    for (value, expected) in [
        ("T38FaxFillBitRemoval", true),
        ("T38FaxFillBitRemoval:0", false),
        ("T38FaxFillBitRemoval:1", true),
        ("t38faxfillbitremoval: 0", false),
    ] {
        assert_eq!(t38(&[value]).fill_bit_removal, expected, "{value}");
    }
    assert!(
        t38(&["T38FaxTranscodingMMR"]).transcoding_mmr && t38(&["T38FaxTranscodingJBIG:1"]).transcoding_jbig
    );
    // Of several the last; unknown ones and lines of other media are passed over.
    let p = t38(&[
        "T38FaxUdpEC:t38UDPFEC",
        "sendrecv",
        "ptime:20",
        "T38VendorInfo:0 0 37",
        "T38FaxUdpECDepth:1 3",
        "T38FaxUdpEC:t38UDPRedundancy",
    ]);
    assert_eq!(p.error_correction, Some(ErrorCorrection::Redundancy));
}

#[test]
fn numbers_out_of_range_are_bent_into_it() {
    assert_eq!(t38(&["T38MaxBitRate:33600"]).max_bit_rate, 14_400, "V.34 needs version 3");
    assert_eq!(t38(&["T38FaxVersion:3", "T38MaxBitRate:33600"]).max_bit_rate, 33_600);
    assert_eq!(t38(&["T38MaxBitRate:10000"]).max_bit_rate, 9_600);
    assert_eq!(t38(&["T38MaxBitRate:0"]).max_bit_rate, 2_400);
    assert_eq!(t38(&["T38MaxBitRate:x"]).max_bit_rate, 14_400);
    assert_eq!(t38(&["T38FaxMaxDatagram:99999999999"]).max_datagram, Some(u16::MAX));
    assert_eq!(t38(&["T38FaxVersion:700"]).version, 0);
}

#[test]
fn our_offers_are_minimal() {
    let mut n = negotiation();
    let audio = n.offer(&LocalMedia::Audio(AudioLine { port: 7000, codecs: vec![Codec::Pcma, Codec::Pcmu] }));
    assert_eq!(
        lines(&audio),
        [
            "v=0",
            "o=- 77 77 IN IP4 192.0.2.1",
            "s=-",
            "c=IN IP4 192.0.2.1",
            "t=0 0",
            "m=audio 7000 RTP/AVP 8 0 101",
            "a=rtpmap:8 PCMA/8000",
            "a=rtpmap:0 PCMU/8000",
            "a=rtpmap:101 telephone-event/8000",
            "a=fmtp:101 0-15",
            "a=ptime:20",
        ]
    );
    let image = negotiation().offer(&LocalMedia::Image(can().image.unwrap()));
    assert_eq!(
        lines(&image)[5..],
        [
            "m=image 7002 udptl t38",
            "a=T38FaxVersion:0",
            "a=T38MaxBitRate:14400",
            "a=T38FaxRateManagement:transferredTCF",
            "a=T38FaxMaxBuffer:2000",
            "a=T38FaxMaxDatagram:400",
            "a=T38FaxUdpEC:t38UDPRedundancy",
        ]
    );
    assert!(audio.len() < 400 && image.len() < 400);
    let v6 =
        Negotiation::new("2001:db8::1".parse().unwrap(), 1).offer(&LocalMedia::Image(can().image.unwrap()));
    assert_eq!(lines(&v6)[3], "c=IN IP6 2001:db8::1");
}

#[test]
fn what_is_written_is_read_back_the_same() {
    for text in [
        format!(
            "{}m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\nm=image 0 udptl t38\r\n",
            head()
        ),
        format!(
            "{}a=sendonly\r\nm=image 5000 UDPTL T38\r\nc=IN IP6 2001:db8::5\r\na=T38FaxFillBitRemoval\r\n",
            head()
        ),
    ] {
        let read = SessionDescription::parse(text.as_bytes()).unwrap();
        assert_eq!(SessionDescription::parse(&read.to_bytes()).unwrap(), read);
        assert_eq!(read.to_bytes(), text.as_bytes());
    }
}

#[test]
fn careless_descriptions_are_read() {
    for text in [
        "v=0\no=- 1 1 IN IP4 192.0.2.9\nc=IN IP4 192.0.2.9\nm=audio 4000 RTP/AVP 0\n\0\0",
        "v=0\r\no=Some Body 18446744073709551999 1 IN IP4 192.0.2.9\r\nm=audio 4000 RTP/AVP 0\r\n",
        "v=0\r\nm=audio 4000 RTP/AVP 0\r\nc=IN IP4 192.0.2.9/127\r\ns=M\u{fc}ller\r\nx=y\r\nb=RS:0\r\n",
        "  v = 0\r\nc= IN IP4 192.0.2.9\r\nm=audio 4000/2 rtp/avp 0 \r\n",
    ] {
        let mut octets = text.as_bytes().to_vec();
        octets.retain(|b| *b != 0xc3);
        let sdp = SessionDescription::parse(&octets).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(sdp.address_of(&sdp.media[0]).unwrap().to_string(), "192.0.2.9:4000", "{text}");
        assert!(sdp.media[0].is_audio());
    }
    for (text, error) in [
        ("", SdpError::NotSdp),
        ("hello", SdpError::NotSdp),
        ("v=0\r\nm=audio 70000 RTP/AVP 0\r\n", SdpError::BadMedia),
        ("v=0\r\nm=audio\r\n", SdpError::BadMedia),
        ("v=0\r\nm=audio 1 RTP/AVP\r\n", SdpError::BadMedia),
    ] {
        assert_eq!(SessionDescription::parse(text.as_bytes()), Err(error), "{text}");
    }
    let many = "a=x\r\n".repeat(2_000);
    assert_eq!(SessionDescription::parse(format!("v=0\r\n{many}").as_bytes()), Err(SdpError::TooLarge));
}

#[test]
fn audio_is_answered_with_one_codec_of_theirs() {
    for (formats, extra, codec, pt) in [
        ("0 8", "", Codec::Pcmu, 0),
        ("18 8 0", "", Codec::Pcma, 8),
        ("96 97", "a=rtpmap:96 opus/48000/2\r\na=rtpmap:97 pcma/8000/1\r\n", Codec::Pcma, 97),
        ("0 101", "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n", Codec::Pcmu, 0),
    ] {
        let offer = format!("{}m=audio 4000 RTP/AVP {formats}\r\n{extra}a=ptime:30\r\n", head());
        let (answer, agreed) = negotiation().answer(offer.as_bytes(), &can()).unwrap();
        let Agreed::Audio(audio) = agreed else { panic!() };
        assert_eq!((audio.codec, audio.payload_type, audio.packet_time), (codec, pt, 30));
        assert_eq!(audio.remote.to_string(), "192.0.2.10:4000");
        let events = if formats.contains("101") { " 101" } else { "" };
        assert_eq!(m_lines(&answer), [format!("m=audio 7000 RTP/AVP {pt}{events}")]);
    }
    for bad in
        ["m=audio 4000 RTP/AVP 18", "m=audio 4000 RTP/SAVP 0", "m=audio 0 RTP/AVP 0", "m=video 4 RTP/AVP 31"]
    {
        let offer = format!("{}{bad}\r\n", head());
        assert_eq!(negotiation().answer(offer.as_bytes(), &can()).unwrap_err().code(), 488, "{bad}");
    }
    assert_eq!(negotiation().answer(b"rubbish", &can()).unwrap_err().code(), 400);
}

#[test]
fn hold_turns_the_direction_round() {
    for (said, ours, word) in [
        ("a=sendonly\r\n", Direction::ReceiveOnly, "a=recvonly"),
        ("a=recvonly\r\n", Direction::SendOnly, "a=sendonly"),
        ("a=inactive\r\n", Direction::Inactive, "a=inactive"),
        ("c=IN IP4 0.0.0.0\r\n", Direction::ReceiveOnly, "a=recvonly"),
    ] {
        let offer = format!("{}m=audio 4000 RTP/AVP 0\r\n{said}", head());
        let (answer, Agreed::Audio(audio)) = negotiation().answer(offer.as_bytes(), &can()).unwrap() else {
            panic!()
        };
        assert_eq!(audio.direction, ours);
        assert_eq!(lines(&answer).last().unwrap(), word);
        assert_eq!(audio.direction.sends(), ours == Direction::SendOnly);
    }
}

#[test]
fn audio_and_image_are_alternatives() {
    let both =
        format!("{}m=audio 4000 RTP/AVP 0\r\nm=image 4002 udptl t38\r\nm=video 9 RTP/AVP 31\r\n", head());
    let (answer, agreed) = negotiation().answer(both.as_bytes(), &can()).unwrap();
    assert!(matches!(agreed, Agreed::Image(_)));
    assert_eq!(m_lines(&answer), ["m=audio 0 RTP/AVP 0", "m=image 7002 udptl t38", "m=video 0 RTP/AVP 31"]);
    let (answer, agreed) =
        negotiation().answer(both.as_bytes(), &Capabilities { prefer_image: false, ..can() }).unwrap();
    assert!(matches!(agreed, Agreed::Audio(_)));
    assert_eq!(m_lines(&answer), ["m=audio 7000 RTP/AVP 0", "m=image 0 udptl t38", "m=video 0 RTP/AVP 31"]);
    let (_, agreed) = negotiation().answer(both.as_bytes(), &audio_only()).unwrap();
    assert!(matches!(agreed, Agreed::Audio(_)));
    // RFC 3407 capabilities only announce.
    let announced = format!("{}a=sqn: 0\r\na=cdsc: 1 image udptl t38\r\nm=audio 4000 RTP/AVP 0\r\n", head());
    assert!(matches!(negotiation().answer(announced.as_bytes(), &can()).unwrap().1, Agreed::Audio(_)));
}

#[test]
fn an_image_line_is_taken_in_every_form_and_mirrored() {
    for line in ["m=image 5000 udptl t38", "m=image 5000 UDPTL T38", "m=application 5000 udptl t38"] {
        let offer = format!("{}m=audio 0 RTP/AVP 19\r\n{line}\r\na=T38FaxMaxDatagram:1400\r\n", head());
        let (answer, Agreed::Image(image)) = negotiation().answer(offer.as_bytes(), &can()).unwrap() else {
            panic!()
        };
        assert_eq!(m_lines(&answer), ["m=audio 0 RTP/AVP 19".to_owned(), line.replace("5000", "7002")]);
        assert_eq!((image.remote.port(), image.far_max_datagram), (5000, 1400));
    }
    for line in [
        "m=image 5000 tcp t38",
        "m=image 5000 UDP/TLS/UDPTL t38",
        "m=audio 5000 RTP/AVP 98",
        "m=image 0 udptl t38",
    ] {
        let offer = format!("{}{line}\r\n", head());
        assert!(negotiation().answer(offer.as_bytes(), &can()).is_err(), "{line}");
    }
    let local = format!("{}m=image 5000 udptl t38\r\na=T38FaxRateManagement:localTCF\r\n", head());
    assert_eq!(negotiation().answer(local.as_bytes(), &can()).unwrap_err(), Unacceptable::NoCommonMedium);
}

fn answer_to(attributes: &[&str], ours: T38Parameters) -> (Vec<String>, fax_sip::sdp::ImageSession) {
    let lines_in: String = attributes.iter().map(|a| format!("a={a}\r\n")).collect();
    let offer = format!("{}m=image 5000 udptl t38\r\n{lines_in}", head());
    let can = Capabilities { image: Some(ImageLine { port: 7002, parameters: ours }), ..can() };
    match negotiation().answer(offer.as_bytes(), &can).unwrap() {
        (answer, Agreed::Image(image)) => (lines(&answer).into_iter().skip(6).collect(), image),
        (_, other) => panic!("{other:?}"),
    }
}

#[test]
fn the_answer_never_exceeds_the_offer() {
    let full = T38Parameters {
        version: 3,
        max_bit_rate: 33_600,
        fill_bit_removal: true,
        transcoding_mmr: true,
        transcoding_jbig: true,
        error_correction: Some(ErrorCorrection::Fec),
        ..T38Parameters::default()
    };
    for (offered, version) in [(0, 0), (1, 0), (2, 2), (3, 3), (4, 3)] {
        let (answer, image) = answer_to(&[&format!("T38FaxVersion:{offered}")], full.clone());
        assert_eq!(answer[0], format!("a=T38FaxVersion:{version}"));
        assert_eq!(image.parameters.version, version);
    }
    let (answer, image) = answer_to(&["T38FaxTranscodingMMR"], full.clone());
    assert!(answer.contains(&"a=T38FaxTranscodingMMR".to_owned()));
    assert!(!answer.iter().any(|l| l.contains("FillBit") || l.contains("JBIG")));
    assert!(image.parameters.transcoding_mmr && !image.parameters.fill_bit_removal);
    // The valued style is mirrored, and 0 stays 0.
    let (answer, _) = answer_to(
        &["T38FaxFillBitRemoval:0", "T38FaxTranscodingMMR:1", "T38FaxTranscodingJBIG:0"],
        full.clone(),
    );
    for line in ["a=T38FaxFillBitRemoval:0", "a=T38FaxTranscodingMMR:1", "a=T38FaxTranscodingJBIG:0"] {
        assert!(answer.contains(&line.to_owned()), "{answer:?}");
    }
    for (offered, answered, sent) in [
        (Some("t38UDPRedundancy"), "t38UDPRedundancy", ErrorCorrection::Redundancy),
        (Some("t38UDPFEC"), "t38UDPFEC", ErrorCorrection::Fec),
        (Some("t38UDPNoEC"), "t38UDPNoEC", ErrorCorrection::None),
        (None, "t38UDPRedundancy", ErrorCorrection::Redundancy),
    ] {
        let attribute = offered.map(|o| format!("T38FaxUdpEC:{o}"));
        let list: Vec<&str> = attribute.iter().map(String::as_str).collect();
        let (answer, image) = answer_to(&list, full.clone());
        assert!(answer.contains(&format!("a=T38FaxUdpEC:{answered}")), "{offered:?}");
        assert_eq!(image.error_correction, sent);
    }
    // Who cannot do FEC answers redundancy.
    let (answer, image) =
        answer_to(&["T38FaxUdpEC:t38UDPFEC", "T38MaxBitRate:9600"], T38Parameters::default());
    assert!(answer.contains(&"a=T38FaxUdpEC:t38UDPRedundancy".to_owned()));
    assert!(answer.contains(&"a=T38MaxBitRate:14400".to_owned()), "the rate is our own");
    assert_eq!((image.error_correction, image.parameters.max_bit_rate), (ErrorCorrection::Redundancy, 9_600));
    assert_eq!(image.far_max_datagram, 400);
}

#[test]
fn media_lines_never_vanish_over_the_life_of_a_call() {
    let mut n = negotiation();
    let first = format!("{}m=audio 4000 RTP/AVP 8\r\nm=video 4002 RTP/AVP 31\r\n", head());
    let (answer, _) = n.answer(first.as_bytes(), &audio_only()).unwrap();
    assert_eq!(m_lines(&answer), ["m=audio 7000 RTP/AVP 8", "m=video 0 RTP/AVP 31"]);
    assert!(lines(&answer)[1].starts_with("o=- 77 77 "));
    let t38 = n.offer(&LocalMedia::Image(can().image.unwrap()));
    assert_eq!(m_lines(&t38), ["m=image 7002 udptl t38", "m=video 0 RTP/AVP 31"]);
    assert!(lines(&t38)[1].starts_with("o=- 77 78 "));
    // Refused: the old one still holds, and the next offer has a new version.
    n.refused();
    assert_eq!(n.current().unwrap().media[0].kind, "audio");
    let t38 = n.offer(&LocalMedia::Image(can().image.unwrap()));
    let theirs = format!("{}m=image 6000 udptl t38\r\na=T38FaxVersion:0\r\nm=video 0 RTP/AVP 31\r\n", head());
    let Agreed::Image(image) = n.answered(theirs.as_bytes()).unwrap() else { panic!() };
    assert_eq!(image.remote.port(), 6000);
    // The same again is the same, version and all.
    let again = n.offer(&LocalMedia::Image(can().image.unwrap()));
    assert_eq!(again, t38);
    n.refused();
    let back = n.offer(&LocalMedia::Audio(can().audio.unwrap()));
    assert_eq!(m_lines(&back), ["m=audio 7000 RTP/AVP 8 0 101", "m=video 0 RTP/AVP 31"]);
    n.refused();
    // Their offer with another line: ours has as many.
    let more = format!("{}m=audio 0 RTP/AVP 8\r\nm=video 0 RTP/AVP 31\r\nm=image 6000 udptl t38\r\n", head());
    let (answer, _) = n.answer(more.as_bytes(), &can()).unwrap();
    assert_eq!(m_lines(&answer), ["m=audio 0 RTP/AVP 8", "m=video 0 RTP/AVP 31", "m=image 7002 udptl t38"]);
    let back = n.offer(&LocalMedia::Audio(can().audio.unwrap()));
    assert_eq!(
        m_lines(&back),
        ["m=audio 7000 RTP/AVP 8 0 101", "m=video 0 RTP/AVP 31", "m=image 0 udptl t38"]
    );
}

#[test]
fn what_was_offered_again_without_a_hold_uses_its_version_up() {
    let mut n = negotiation();
    let held = format!("{}m=audio 4000 RTP/AVP 8\r\na=sendonly\r\n", head());
    let (answer, _) = n.answer(held.as_bytes(), &audio_only()).unwrap();
    let text = String::from_utf8(answer.to_vec()).unwrap();
    let lifted = text.replacen("o=- 77 77 ", "o=- 77 78 ", 1).replacen("a=recvonly\r\n", "", 1);
    assert_ne!(lifted.len(), text.len());
    n.unheld(lifted.as_bytes());
    let Agreed::Audio(audio) =
        n.answered(format!("{}m=audio 4000 RTP/AVP 8\r\n", head()).as_bytes()).unwrap()
    else {
        panic!()
    };
    assert_eq!(audio.direction, Direction::SendReceive);
    let t38 = n.offer(&LocalMedia::Image(can().image.unwrap()));
    assert!(lines(&t38)[1].starts_with("o=- 77 79 "));
}

#[test]
fn answers_to_our_t38_offer() {
    let offered = || {
        let mut n = negotiation();
        n.offer(&LocalMedia::Audio(can().audio.unwrap()));
        n.answered(format!("{}m=audio 4000 RTP/AVP 8\r\n", head()).as_bytes()).unwrap();
        n.offer(&LocalMedia::Image(can().image.unwrap()));
        n
    };
    let answer = |body: &str| offered().answered(format!("{}{body}", head()).as_bytes());
    match answer(
        "m=image 5000 udptl t38\r\na=T38FaxVersion:3\r\na=T38MaxBitRate:9600\r\na=T38FaxFillBitRemoval\r\n",
    )
    .unwrap()
    {
        Agreed::Image(image) => {
            assert_eq!(
                (image.parameters.version, image.parameters.max_bit_rate),
                (0, 9_600),
                "our own lower version"
            );
            assert!(!image.parameters.fill_bit_removal, "a flag we did not offer");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(answer("m=image 0 udptl t38\r\n").unwrap_err(), Unacceptable::Refused);
    assert_eq!(answer("").unwrap_err(), Unacceptable::Refused);
    assert!(matches!(answer("m=audio 4000 RTP/AVP 8\r\n").unwrap(), Agreed::Audio(_)));
    assert!(matches!(answer("m=audio 4000 RTP/AVP 0\r\nm=image 0 udptl t38\r\n").unwrap(), Agreed::Audio(_)));
    assert!(matches!(answer("m=audio 0 RTP/AVP 0\r\nm=image 5000 udptl t38\r\n").unwrap(), Agreed::Image(_)));
    let mut n = offered();
    assert!(n.answered(b"m=image 0 udptl t38\r\n").is_err());
    assert_eq!(n.current().unwrap().media[0].kind, "audio", "a refused stream leaves the session");
    let version = |sdp: &[u8]| SessionDescription::parse(sdp).unwrap().origin.version;
    let (was, again) =
        (n.current().unwrap().origin.version.clone(), n.offer(&LocalMedia::Audio(can().audio.unwrap())));
    let number = |text: &str| text.parse::<u64>().unwrap();
    assert_eq!(number(&version(&again)), number(&was) + 2, "the refused offer's version is used up");
}

#[test]
fn a_renewal_is_told_from_a_change() {
    let text = |version: u32, port: u16| {
        format!("v=0\r\no=gw 1 {version} IN IP4 192.0.2.10\r\ns=-\r\nm=audio {port} RTP/AVP 8\r\n")
    };
    assert!(unchanged(text(1, 4000).as_bytes(), text(1, 4000).as_bytes()));
    assert!(unchanged(text(1, 4000).as_bytes(), text(2, 4000).as_bytes()), "some count up without a change");
    assert!(unchanged(text(1, 4000).as_bytes(), text(1, 4000).replace("\r\n", "\n").as_bytes()));
    assert!(!unchanged(text(1, 4000).as_bytes(), text(1, 4002).as_bytes()), "some forget to count up");
    assert!(!unchanged(text(1, 4000).as_bytes(), text(1, 4000).replace("RTP/AVP 8", "RTP/AVP 0").as_bytes()));
}

#[test]
fn a_late_answer_finds_the_offer_that_was_given_up() {
    let mut n = negotiation();
    n.offer(&LocalMedia::Audio(can().audio.unwrap()));
    n.answered(format!("{}m=audio 4000 RTP/AVP 8\r\n", head()).as_bytes()).unwrap();
    n.offer(&LocalMedia::Image(can().image.unwrap()));
    n.refused();
    // An answer in ACK to the session as it is.
    let audio = format!("{}m=audio 4004 RTP/AVP 8\r\n", head());
    assert!(matches!(n.clone().answered(audio.as_bytes()).unwrap(), Agreed::Audio(_)));
    let image = format!("{}m=image 4002 udptl t38\r\n", head());
    assert!(matches!(n.answered(image.as_bytes()).unwrap(), Agreed::Image(_)));
    assert_eq!(n.current().unwrap().media[0].kind, "image");
}
