//! RFC 4475: every one of its 49 messages, read and reacted to.

use fax_sip::Event;
use fax_sip::message::Method;

use super::corpus::{parse, react, torture};

/// The final answers to each; 0: an offered call, nothing: silence. Those marked `bad` are the 19 invalid ones (§3.1.2).
const EXPECTED: &[(&str, bool, &[u16])] = &[
    // §3.1.1 valid
    // Valid, but with a To tag of no dialog that we know (RFC 3261 §12.2.2).
    ("wsinv", false, &[481]),
    ("intmeth", false, &[501]),
    ("esc01", false, &[0]),
    ("escnull", false, &[405]),
    ("esc02", false, &[501]),
    ("lwsdisp", false, &[200]),
    ("longreq", false, &[0]),
    ("dblreq", false, &[405]),
    ("semiuri", false, &[200]),
    ("transports", false, &[200]),
    ("mpart01", false, &[405]),
    ("unreason", false, &[]),
    ("noreason", false, &[]),
    // §3.1.2 invalid
    ("badinv01", true, &[400]),
    ("clerr", true, &[400]),
    ("ncl", true, &[400]),
    ("scalar02", true, &[400]),
    ("scalarlg", true, &[]),
    ("quotbal", true, &[400]),
    ("ltgtruri", true, &[400]),
    ("lwsruri", true, &[400]),
    ("lwsstart", true, &[400]),
    ("trws", true, &[400]),
    ("escruri", true, &[400]),
    ("baddate", true, &[400]),
    ("regbadct", true, &[400]),
    ("badaspec", true, &[400]),
    ("baddn", true, &[400]),
    ("badvers", true, &[505]),
    ("mismatch01", true, &[400]),
    ("mismatch02", true, &[400]),
    ("bigcode", true, &[]),
    // §3.2 transaction layer
    ("badbranch", false, &[200]),
    // §3.3 application layer
    ("insuf", false, &[400]),
    ("unkscm", false, &[416]),
    ("novelsc", false, &[416]),
    ("unksm2", false, &[405]),
    ("bext01", false, &[420]),
    ("invut", false, &[415]),
    ("regaut01", false, &[405]),
    ("multi01", false, &[400]),
    ("mcl01", false, &[400]),
    ("bcast", false, &[]),
    ("zeromf", false, &[483]),
    ("cparam01", false, &[405]),
    ("cparam02", false, &[405]),
    ("regescrt", false, &[405]),
    ("sdp01", false, &[406]),
    // §3.4 back to RFC 2543
    ("inv2543", false, &[0]),
];

#[test]
fn each_is_answered_as_it_should() {
    let messages = torture();
    if messages.is_empty() {
        return;
    }
    assert_eq!(messages.len(), EXPECTED.len());
    for (name, octets) in &messages {
        let (_, _, expected) = EXPECTED.iter().find(|(n, ..)| n == name).expect("every message is listed");
        let (sent, events) = react(octets);
        let mut got: Vec<u16> = sent.iter().filter_map(|m| m.code()).filter(|c| *c >= 200).collect();
        got.extend(events.iter().map(|e| if matches!(e, Event::Incoming(_)) { 0 } else { 999 }));
        assert_eq!(&got, expected, "{name}");
    }
}

#[test]
fn the_valid_ones_parse_and_give_back_their_octets() {
    for (name, octets) in &torture() {
        let (_, bad, _) = EXPECTED.iter().find(|(n, ..)| n == name).unwrap();
        match parse(octets) {
            Ok(message) => {
                assert!(!bad, "{name} is invalid");
                let written = message.to_bytes();
                assert_eq!(written[..], octets[..written.len()], "{name}");
                assert_eq!(parse(&written).unwrap(), message, "{name}");
            }
            Err(error) => {
                let refused_above = ["insuf", "multi01", "mcl01"].contains(&name.as_str());
                assert!(*bad || refused_above, "{name}: {error}");
            }
        }
    }
}

fn message(name: &str) -> Option<fax_sip::message::Message> {
    torture().into_iter().find(|(n, _)| n == name).map(|(_, octets)| parse(&octets).unwrap())
}

#[test]
fn fields_of_the_hard_ones_are_read_right() {
    let Some(wsinv) = message("wsinv") else {
        return;
    };
    assert_eq!(wsinv.to_tag().unwrap(), "1918181833n");
    assert_eq!(wsinv.from_tag(), "98asjd8");
    assert_eq!(wsinv.from().unwrap().display_name(), "J Rosenberg \\\"");
    assert_eq!(wsinv.cseq().unwrap().number, 9);
    assert_eq!(wsinv.seconds("Max-Forwards"), Some(68));
    assert_eq!(wsinv.via_count(), 3);
    assert_eq!(wsinv.top_via().unwrap().branch().unwrap(), "390skdjuw");
    assert_eq!(wsinv.text("NewFangledHeader").unwrap(), "newfangled value continued newfangled value");
    assert_eq!(wsinv.contact().unwrap().to_string(), "sip:jdrosen@example.com");
    assert_eq!(wsinv.body.len(), 150);
    assert_eq!(wsinv.uri().unwrap().to_string(), "sip:vivekg@chair-dnrc.example.com;unknownparam");

    let intmeth = message("intmeth").unwrap();
    assert_eq!(intmeth.method(), Some(&Method::new("!interesting-Method0123456789_*+`.%indeed'~")));
    assert_eq!(intmeth.uri().unwrap().host(), b"example.com");
    assert_eq!(intmeth.from_tag(), "_token~1'+`*%!-.");

    let esc01 = message("esc01").unwrap();
    assert_eq!(esc01.uri().unwrap().user().unwrap(), "sips:user@example.com");
    assert_eq!(esc01.uri().unwrap().host(), b"example.net");
    assert_eq!(esc01.from().unwrap().uri().user().unwrap(), "I have spaces");
    let contact = esc01.contact().unwrap();
    assert_eq!(contact.parameter("name").unwrap_or_default(), "");
    assert_eq!(contact.user().unwrap(), "caller");

    let semiuri = message("semiuri").unwrap();
    assert_eq!(semiuri.uri().unwrap().user().unwrap(), "user;par=u@example.net");
    assert_eq!(message("lwsdisp").unwrap().from().unwrap().display_name(), "caller");
    assert_eq!(message("dblreq").unwrap().body.len(), 0);
    assert_eq!(message("noreason").unwrap().reason(), "");
    assert_eq!(message("transports").unwrap().via_count(), 5);
    assert_eq!(message("unkscm").unwrap().uri().unwrap().scheme(), b"nobodyKnowsThisScheme");
    let old = message("inv2543").unwrap();
    assert_eq!((old.from_tag(), old.top_via().unwrap().unique_branch()), (Default::default(), None));
    assert_eq!(message("badbranch").unwrap().top_via().unwrap().unique_branch(), None);

    // §20.10: without brackets the parameter is the header's, within them the URI's.
    let outside = message("cparam01").unwrap();
    assert_eq!(outside.contact().unwrap().to_string(), "sip:+19725552222@gw1.example.net");
    let inside = message("cparam02").unwrap();
    assert_eq!(inside.contact().unwrap().to_string(), "sip:+19725552222@gw1.example.net;unknownparam");
    assert_eq!(message("mpart01").unwrap().content_type().unwrap(), "multipart/mixed");
}
