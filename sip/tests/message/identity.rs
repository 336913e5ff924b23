//! Who calls: headers of trunks read, and written (RFC 3323, 3325, 5806, 6913, 7044).

use fax_sip::message::{Builder, Message, Method, Uri};
use fax_sip::{FaxPreference, Identity, OutgoingIdentity, Privacy};

fn request(headers: &[(&str, &str)]) -> Message {
    let uri = Uri::read(bytes::Bytes::from_static(b"sip:1@x")).unwrap();
    headers.iter().fold(Builder::request(Method::Invite, uri), |b, (n, v)| b.header(n, v)).finish()
}

#[test]
fn what_trunks_say_of_a_caller() {
    let identity = Identity::read(&request(&[
        (
            "P-Asserted-Identity",
            "\"Dr. M\\\"ller, A\" <sip:+4930456@trunk.example;user=phone>, <tel:+4930456>",
        ),
        ("P-Preferred-Identity", "sip:+4930999@trunk.example"),
        ("Remote-Party-ID", "<sip:+4930457@old.example>;party=calling;privacy=full;screen=yes"),
        ("Privacy", "header; user ;critical"),
        ("Diversion", "\"B\" <sip:+4930222@t>;reason=user-busy;counter=2;privacy=off"),
        ("Diversion", "<tel:+4930111>;reason=\"unconditional\";privacy=full"),
    ]));
    assert_eq!(identity.asserted.len(), 2);
    assert_eq!(identity.network_caller().unwrap().uri().user().unwrap(), "+4930456");
    assert_eq!(identity.network_caller().unwrap().display_name(), "Dr. M\"ller, A");
    assert_eq!(identity.asserted[1].uri().user().unwrap(), "+4930456");
    assert_eq!(identity.preferred[0].uri().user().unwrap(), "+4930999");
    assert!(identity.privacy.id && identity.privacy.header && identity.privacy.user);
    assert!(identity.privacy.critical && !identity.privacy.session && identity.privacy.hides_caller());
    let diversion: Vec<(String, &str, Option<u32>, bool)> = identity
        .diversion
        .iter()
        .map(|d| (d.party.uri().user().unwrap(), d.reason.as_str(), d.counter, d.private))
        .collect();
    assert_eq!(
        diversion,
        [
            ("+4930222".to_owned(), "user-busy", Some(2), false),
            ("+4930111".to_owned(), "unconditional", None, true)
        ]
    );
    assert_eq!(identity.called_first().unwrap().user().unwrap(), "+4930111");
}

#[test]
fn history_tells_what_was_called_first() {
    let identity = Identity::read(&request(&[(
        "History-Info",
        "<sip:+4930111@t?Reason=SIP%3Bcause%3D302>;index=1, <sip:+4930222@t;cause=486>;index=1.1;mp=1,\
         <sip:+4930333@t;cause=302>;index=1.1.1;rc=1.1",
    )]));
    let entries: Vec<(&str, Option<u16>, Option<&str>)> =
        identity.history.iter().map(|h| (h.index.as_str(), h.cause, h.changed.as_deref())).collect();
    assert_eq!(
        entries,
        [("1", None, None), ("1.1", Some(486), Some("1")), ("1.1.1", Some(302), Some("1.1"))]
    );
    assert_eq!(identity.called_first().unwrap().user().unwrap(), "+4930111");
    let alone = Identity::read(&request(&[("History-Info", "<sip:+4930111@t>;index=1")]));
    assert_eq!(alone.called_first(), None);
    assert_eq!(Identity::read(&request(&[])), Identity::default());
}

#[test]
fn nonsense_is_left_out() {
    let identity = Identity::read(&request(&[
        ("P-Asserted-Identity", "\"open <sip:x"),
        ("P-Asserted-Identity", "<sip:good@x>"),
        ("Privacy", "none;id"),
        ("Diversion", "not an address"),
        ("History-Info", "<>;index=1"),
    ]));
    assert_eq!(identity.asserted.len(), 1);
    assert_eq!(identity.privacy, Privacy::default());
    assert!(identity.diversion.is_empty() && identity.history.is_empty());
}

#[test]
fn fax_is_asked_for_and_offered() {
    for (name, value, expected) in [
        ("Accept-Contact", "*;+sip.fax=\"t38\";require;explicit", Some(FaxPreference::T38)),
        ("a", "*; +sip.fax = \"passthrough\"", Some(FaxPreference::Passthrough)),
        ("Contact", "<sip:gw@x;transport=tcp>;+sip.fax", Some(FaxPreference::T38)),
        ("Contact", "<sip:gw@x;+sip.fax=passthrough>", None),
        ("Accept-Contact", "*;audio", None),
    ] {
        assert_eq!(Identity::read(&request(&[(name, value)])).fax, expected, "{value}");
    }
}

#[test]
fn what_we_say_of_ourselves() {
    let mut identity = OutgoingIdentity {
        display: "Büro \"Süd\"\r\nX: y".into(),
        address: "sip:+4930456@trunk.example".into(),
        asserted: vec!["sip:+4930456@trunk.example".into(), "tel:+4930456".into()],
        preferred: Some("sip:+4930400@trunk.example".into()),
        ..OutgoingIdentity::default()
    };
    assert_eq!(identity.from_header(), "\"Büro \\\"Süd\\\"X: y\" <sip:+4930456@trunk.example>");
    let names: Vec<String> = identity.headers().into_iter().map(|(n, _)| n).collect();
    assert_eq!(names, ["P-Asserted-Identity", "P-Asserted-Identity", "P-Preferred-Identity"]);
    identity.privacy = Privacy { id: true, user: true, ..Privacy::default() };
    identity.anonymous_from = true;
    assert_eq!(identity.from_header(), "\"Anonymous\" <sip:anonymous@anonymous.invalid>");
    assert_eq!(identity.headers().last().unwrap(), &("Privacy".to_owned(), "user;id".to_owned()));
    // Read back, it says the same.
    let headers = identity.headers();
    let pairs: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let read = Identity::read(&request(&pairs));
    assert_eq!(read.privacy, identity.privacy);
    assert_eq!(read.asserted.len(), 2);
    assert_eq!(read.asserted[0].display_name(), "Büro \"Süd\"X: y");
}
