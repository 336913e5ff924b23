//! Our own messages, and headers read one by one.

use bytes::Bytes;
use fax_sip::message::{Builder, Challenge, Limits, Message, Method, NameAddr, Uri, Via, response_to};

use super::corpus::{SOURCE, own, parse, react};

fn response(headers: &[(&str, &str)]) -> Message {
    headers.iter().fold(Builder::response(200, ""), |b, (n, v)| b.header(n, v)).finish()
}

/// The name says what becomes of each: `200-…`, `call-…`, `drop-…`.
#[test]
fn own_messages_are_answered_as_their_names_say() {
    for (name, octets) in own() {
        let (sent, events) = react(&octets);
        let code = sent.iter().filter_map(|m| m.code()).find(|c| *c >= 200);
        match name.split('-').next().unwrap() {
            "call" => assert_eq!((code, events.len()), (None, 1), "{name}: {sent:?}"),
            "drop" => assert_eq!((sent.len(), events.len()), (0, 0), "{name}"),
            number => assert_eq!(code, Some(number.parse().unwrap()), "{name}"),
        }
        if let Ok(message) = parse(&octets) {
            assert_eq!(message.to_bytes()[..], octets[..message.to_bytes().len()], "{name}");
        }
    }
}

#[test]
fn answers_repeat_what_was_said_octet_for_octet() {
    let request = |host: &str| {
        parse(&Bytes::from(format!(
            "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP {host};branch=z9hG4bKnul\r\nFrom: \"NUL:\\\0\" <sip:a@b>;tag=1\r\n\
             To: <sip:b@c>\r\nCall-ID: nul\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n\r\n"
        )))
    };
    let good = request("192.0.2.7").unwrap();
    let answer = response_to(&good, SOURCE.parse().unwrap(), 200, "", Some("t")).finish();
    assert_eq!(answer.value("From"), good.value("From"));
    assert_eq!(parse(&answer.to_bytes()).unwrap().value("From"), good.value("From"));
    assert_eq!(request("192.0.\x002.7").unwrap_err().phrase, "Bad Via");
}

#[test]
fn name_addresses_in_every_form() {
    let read = |t: &str| NameAddr::read(&Bytes::copy_from_slice(t.as_bytes()));
    for (value, display, uri, tag) in [
        ("sip:a@b;tag=x", "", "sip:a@b", Some("x")),
        ("<sip:a@b;user=phone>;tag=x", "", "sip:a@b;user=phone", Some("x")),
        ("\"A, \\\"B\\\" <x>\" <sip:a@b> ; tag = y", "A, \"B\" <x>", "sip:a@b", Some("y")),
        ("Dr. Fax (Office) <tel:+49-30-1>", "Dr. Fax (Office)", "tel:+49-30-1", None),
        ("<sip:[2001:db8::1]:5070>;tag=z;x", "", "sip:[2001:db8::1]:5070", Some("z")),
        ("<urn:service:sos>", "", "urn:service:sos", None),
    ] {
        let found = read(value).unwrap_or_else(|| panic!("{value}"));
        assert_eq!(found.display_name(), display);
        assert_eq!(found.uri().to_string(), uri);
        assert_eq!(found.tag().map(|t| String::from_utf8(t.to_vec()).unwrap()).as_deref(), tag);
    }
    for bad in [
        "",
        "<sip:a@b",
        "\"open <sip:a@b>",
        "sip:a@b?x=y",
        "<>",
        "<sip:>",
        "a b",
        "<sip:a@b>x",
        "<sip:a@b>;;",
    ] {
        assert!(read(bad).is_none(), "{bad}");
    }
    let latin = Bytes::from_static(b"\"M\xfcller\" <sip:m@x>");
    assert_eq!(NameAddr::read(&latin).unwrap().display_name(), "Müller");
}

#[test]
fn uris_are_read_in_part_and_kept_whole() {
    let uri = |t: &str| Uri::read(Bytes::copy_from_slice(t.as_bytes())).unwrap();
    let full = uri("sips:a%2Fb:pw@[2001:db8::1]:5071;transport=tcp;lr?Subject=x");
    assert_eq!(full.user().unwrap(), "a/b");
    assert_eq!(full.raw_user().unwrap(), "a%2Fb");
    assert_eq!(full.host(), b"[2001:db8::1]");
    assert_eq!(full.address().unwrap(), "[2001:db8::1]:5071".parse().unwrap());
    assert_eq!(full.parameter("TRANSPORT").unwrap(), "tcp");
    assert_eq!(full.parameter("lr").unwrap(), "");
    assert!(full.has_headers());
    assert_eq!(uri("sip:192.0.2.1").address().unwrap(), "192.0.2.1:5060".parse().unwrap());
    assert_eq!(uri("sip:x@h;maddr=192.0.2.7").address().unwrap(), "192.0.2.7:5060".parse().unwrap());
    assert_eq!(uri("sip:host.example").address(), None);
    assert_eq!(uri("tel:+49301;phone-context=x").user().unwrap(), "+49301");
    assert_eq!(uri("sip:gw%252Fa@h").to_string(), "sip:gw%252Fa@h");
    assert_eq!(uri("sip:h:99999").port(), None);
}

#[test]
fn via_and_the_way_back() {
    let via = |t: &str| Via::read(&Bytes::copy_from_slice(t.as_bytes()));
    let source = SOURCE.parse().unwrap();
    let answer_to = |t: &str| via(t).unwrap().answer_to(source).to_string();
    assert_eq!(answer_to("SIP/2.0/UDP 192.0.2.1;branch=x;rport"), "203.0.113.9:40000");
    assert_eq!(answer_to("SIP/2.0/UDP 192.0.2.1:5070;branch=x"), "203.0.113.9:5070");
    assert_eq!(answer_to("SIP / 2.0 / UDP host.example ; branch=x"), "203.0.113.9:5060");
    assert_eq!(answer_to("SIP/2.0/UDP h:1900;maddr=239.255.255.250;ttl=1"), "203.0.113.9:1900");
    assert_eq!(answer_to("SIP/2.0/UDP h:5070;maddr=203.0.113.9"), "203.0.113.9:5070");
    // Somebody who forges the source does not get the answers.
    assert_eq!(answer_to("SIP/2.0/UDP h;maddr=198.51.100.1"), "203.0.113.9:5060");
    assert_eq!(via("SIP/2.0/UDP [2001:db8::9]:5061;branch=y").unwrap().port(), Some(5061));
    for bad in ["", "SIP/2.0/UDP", "SIP/2.0 h", "SIP/2.0/UDP h:x", "SIP/2.0/UDP h;;", "SIP/2.0/UDP h:70000"] {
        assert!(via(bad).is_none(), "{bad}");
    }
}

#[test]
fn responses_tell_where_the_request_came_from() {
    let request = |via: &str| {
        Builder::request(Method::Options, Uri::read(Bytes::from_static(b"sip:x")).unwrap())
            .header("Via", via)
            .header("From", "<sip:a@b>;tag=1")
            .header("To", "<sip:c@d>")
            .header("Call-ID", "i")
            .header("CSeq", "1 OPTIONS")
            .finish()
    };
    let top = |via: &str| {
        response_to(&request(via), SOURCE.parse().unwrap(), 200, "", Some("t")).finish().text("Via").unwrap()
    };
    assert_eq!(
        top("SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bKrport"),
        "SIP/2.0/UDP 10.0.0.1;rport=40000;branch=z9hG4bKrport;received=203.0.113.9"
    );
    assert_eq!(top("SIP/2.0/UDP 10.0.0.1;branch=x"), "SIP/2.0/UDP 10.0.0.1;branch=x;received=203.0.113.9");
    assert_eq!(top("SIP/2.0/UDP 203.0.113.9:5062;branch=x"), "SIP/2.0/UDP 203.0.113.9:5062;branch=x");
    assert_eq!(
        top("SIP/2.0/UDP a.example;branch=x, SIP/2.0/TCP b"),
        "SIP/2.0/UDP a.example;branch=x;received=203.0.113.9, SIP/2.0/TCP b"
    );
}

#[test]
fn single_headers() {
    let m = response(&[
        ("Reason", "SIP;cause=200;text=\"a, b\", Q.850 ; cause=34 ;text=\"x\""),
        ("Warning", "390 host \"No \\\"media\\\"\""),
        ("Retry-After", "18000 (in a meeting);duration=3600"),
        ("x", "1800;refresher=UAC"),
        ("k", "timer, 100rel"),
        ("Supported", " path"),
        ("Expires", "99999999999999999999"),
    ]);
    assert_eq!(m.q850(), Some(34));
    assert_eq!(m.warning().unwrap(), "No \"media\"");
    assert_eq!(m.retry_after().unwrap().as_secs(), 18_000);
    let session = m.session_expires().unwrap();
    assert_eq!((session.seconds, session.refresher_is_uac), (1800, Some(true)));
    assert_eq!(m.tokens("Supported"), ["timer", "100rel", "path"]);
    assert_eq!(m.seconds("Expires"), Some(u32::MAX));
    let challenges = Challenge::read_list(&Bytes::from_static(
        b"Digest realm=\"a,b\", nonce=\"n==\", qop=\"auth,auth-int\" , Basic realm=x",
    ));
    assert_eq!(challenges.len(), 2);
    assert_eq!(challenges[0].get("NONCE"), Some("n=="));
    assert_eq!(challenges[0].get("qop"), Some("auth,auth-int"));
    assert_eq!((challenges[1].scheme.as_str(), challenges[1].get("realm")), ("Basic", Some("x")));
}

#[test]
fn line_ends_cannot_be_smuggled_in() {
    let m = Builder::response(200, "a\r\nX: y").header("A", "b\r\nC: d").finish();
    assert_eq!(m.headers().len(), 2);
    assert_eq!(m.to_bytes(), "SIP/2.0 200 a  X: y\r\nA: b  C: d\r\nContent-Length: 0\r\n\r\n");
}

#[test]
fn limits_hold() {
    let start = "OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>\r\n\
                 Call-ID: c\r\nCSeq: 1 OPTIONS\r\n";
    let many = format!("{start}{}\r\n", "X: y\r\n".repeat(300));
    let long = format!("{start}X: {}\r\n\r\n", "y".repeat(9_000));
    for text in [many, long] {
        let error = Message::parse(&Bytes::from(text.clone()), &Limits::default()).unwrap_err();
        assert_eq!(error.code, 513);
        assert_eq!(react(text.as_bytes()).0[0].code(), Some(513));
    }
}
