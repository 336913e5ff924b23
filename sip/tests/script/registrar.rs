//! Terminals register with us (RFC 3261 §10.3; RFC 3327; RFC 5626).

use fax_base::Instant;
use fax_base::time::Duration;
use fax_sip::message::{Message, Method, Uri};
use fax_sip::registrar::{Flow, RegisterAnswer, Registrar, RegistrarConfig};
use fax_sip::{Command, Config, Event, Transport};

use super::bench::{Bench, OURS, PEER, addr, uri};

const AOR: &str = "sip:4930456@fax.example";

fn flow(remote: &str) -> Flow {
    Flow { transport: Transport::Udp, local: addr(OURS), remote: addr(remote) }
}

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

/// A REGISTER of a terminal with this Call-ID and CSeq.
fn register(call_id: &str, cseq: u32, headers: &[(&str, &str)]) -> Message {
    let mut b = Bench::new();
    let builder = b
        .outside(Method::Register)
        .without("Contact")
        .without("Call-ID")
        .without("CSeq")
        .header("Call-ID", call_id)
        .header("CSeq", format!("{cseq} REGISTER"));
    headers.iter().fold(builder, |b, (n, v)| b.header(n, v)).finish()
}

fn contacts(answer: &RegisterAnswer) -> Vec<&str> {
    assert_eq!(answer.code, 200, "{answer:?}");
    answer.headers.iter().filter(|(n, _)| n == "Contact").map(|(_, v)| v.as_str()).collect()
}

#[test]
fn bindings_come_last_are_renewed_and_go() {
    let mut r = Registrar::new(RegistrarConfig::default());
    let one = [("Contact", "\"ATA\" <sip:ata@10.0.0.5:5062>;expires=120;q=0.5"), ("Expires", "600")];
    let answer = r.register(at(0), AOR, &register("a", 1, &one), flow(PEER));
    assert_eq!(contacts(&answer), ["<sip:ata@10.0.0.5:5062>;expires=120;q=0.500"]);
    // A second terminal, over another way, preferred; Expires counts where the Contact says nothing.
    let two = [("m", "<sip:two@10.0.0.6;transport=tcp>"), ("Expires", "600")];
    let answer = r.register(at(20), AOR, &register("b", 7, &two), flow("198.51.100.8:4000"));
    assert_eq!(
        contacts(&answer),
        ["<sip:ata@10.0.0.5:5062>;expires=100;q=0.500", "<sip:two@10.0.0.6;transport=tcp>;expires=600"]
    );
    let places: Vec<String> = r.places(at(20), AOR).iter().map(|b| b.uri.to_string()).collect();
    assert_eq!(places, ["sip:two@10.0.0.6;transport=tcp", "sip:ata@10.0.0.5:5062"]);
    assert_eq!(r.places(at(20), AOR)[0].flow.remote, addr("198.51.100.8:4000"));
    assert_eq!(r.owner(at(20), &flow(PEER)), Some(AOR));
    assert_eq!((r.owner(at(20), &flow("1.2.3.4:5")), r.len()), (None, 2));
    // Renewed with other letters in the host: the same place.
    let again = [("Contact", "<sip:%61ta@10.0.0.5:5062>;expires=120")];
    let answer = r.register(at(100), AOR, &register("a", 2, &again), flow(PEER));
    assert_eq!(contacts(&answer).len(), 2);
    // Only asking.
    assert_eq!(contacts(&r.register(at(110), AOR, &register("c", 1, &[]), flow(PEER))).len(), 2);
    assert_eq!(r.deadline(), Some(at(220)));
    let gone = r.expire(at(220));
    assert_eq!((gone.len(), gone[0].0.as_str(), r.len()), (1, AOR, 1));
    // Taken back.
    let off = [("Contact", "<sip:two@10.0.0.6;transport=TCP>;expires=0")];
    assert!(contacts(&r.register(at(230), AOR, &register("b", 8, &off), flow(PEER))).is_empty());
    assert!(r.is_empty() && r.deadline().is_none());
}

#[test]
fn old_and_odd_requests_change_nothing() {
    let mut r =
        Registrar::new(RegistrarConfig { max_contacts: 2, max_bindings: 3, ..RegistrarConfig::default() });
    let one = [("Contact", "<sip:a@10.0.0.5>")];
    assert_eq!(
        contacts(&r.register(at(0), AOR, &register("a", 5, &one), flow(PEER))),
        ["<sip:a@10.0.0.5>;expires=3600"]
    );
    let code = |r: &mut Registrar, call_id: &str, cseq, headers: &[(&str, &str)]| {
        r.register(at(1), AOR, &register(call_id, cseq, headers), flow(PEER)).code
    };
    assert_eq!(code(&mut r, "a", 5, &[("Contact", "<sip:a@10.0.0.5>;expires=0")]), 500);
    assert_eq!(code(&mut r, "a", 4, &[("Contact", "*"), ("Expires", "0")]), 500);
    assert_eq!(code(&mut r, "b", 1, &[("Contact", "*"), ("Expires", "60")]), 400);
    assert_eq!(code(&mut r, "b", 1, &[("Contact", "*")]), 400);
    assert_eq!(code(&mut r, "b", 1, &[("Contact", "*"), ("Contact", "<sip:x@y>"), ("Expires", "0")]), 400);
    assert_eq!(code(&mut r, "b", 1, &[("Contact", "<mailto:x@y>")]), 400);
    let brief = r.register(at(1), AOR, &register("b", 1, &[("Contact", "<sip:b@x>;expires=30")]), flow(PEER));
    assert_eq!((brief.code, brief.headers[0].1.as_str()), (423, "60"));
    let needs = r.register(at(1), AOR, &register("b", 1, &[("Require", "gruu, path")]), flow(PEER));
    assert_eq!((needs.code, needs.headers[0].1.as_str()), (420, "gruu"));
    // All or nothing: one good, one too brief; and too many.
    assert_eq!(code(&mut r, "b", 1, &[("Contact", "<sip:b@x>, <sip:c@x>;expires=1")]), 423);
    assert_eq!(code(&mut r, "b", 1, &[("Contact", "<sip:b@x>, <sip:c@x>")]), 403);
    assert_eq!(r.len(), 1);
    assert_eq!(code(&mut r, "b", 1, &[("Contact", "<sip:b@x>;expires=99999999")]), 200);
    assert_eq!(r.places(at(1), AOR).iter().map(|b| b.until).max(), Some(at(7_201)));
    let other = |r: &mut Registrar, n: u32| {
        let one = [("Contact", "<sip:a@10.0.0.5>")];
        r.register(at(1), &format!("sip:{n}@x"), &register("z", 1, &one), flow(PEER)).code
    };
    assert_eq!((other(&mut r, 1), other(&mut r, 2)), (200, 503));
    // Everything away.
    assert_eq!(code(&mut r, "c", 1, &[("Contact", "*"), ("Expires", "0")]), 200);
    assert_eq!(r.len(), 1);
}

#[test]
fn path_and_flows_are_kept() {
    let mut r = Registrar::new(RegistrarConfig::default());
    let tcp = |port: u16| Flow { transport: Transport::Tcp, ..flow(&format!("198.51.100.8:{port}")) };
    for (reg_id, port) in [(1, 4001), (2, 4002), (1, 4003)] {
        let contact = format!("<sip:t@10.0.0.{port}>;+sip.instance=\"<urn:uuid:1>\";reg-id={reg_id}");
        let headers = [
            ("Contact", contact.as_str()),
            ("Supported", "path, outbound"),
            ("Path", "<sip:edge.example;lr;ob>, <sip:core.example;lr>"),
        ];
        let answer = r.register(at(0), AOR, &register(&format!("f{port}"), 1, &headers), tcp(port));
        assert!(answer.headers.contains(&("Require".into(), "outbound".into())));
        assert_eq!(answer.headers.iter().filter(|(n, _)| n == "Path").count(), 2);
    }
    // The third has taken the place of the first.
    assert_eq!(r.len(), 2);
    let places = r.places(at(1), AOR);
    assert!(places.iter().all(|b| b.path == ["<sip:edge.example;lr;ob>", "<sip:core.example;lr>"]));
    let lost = r.flow_lost(&tcp(4002));
    assert_eq!((lost.len(), lost[0].1.reg_id, r.len()), (1, Some(2), 1));
    assert!(r.flow_lost(&tcp(4002)).is_empty());
}

#[test]
fn equal_places_are_told_apart_from_others() {
    let same = |a: &str, b: &str| -> bool {
        let (a, b): (Uri, Uri) = (uri(a), uri(b));
        assert_eq!(a.is_same_as(&b), b.is_same_as(&a));
        a.is_same_as(&b)
    };
    // RFC 3261 §19.1.4.
    assert!(same("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"));
    assert!(same("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"));
    assert!(same("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5"));
    assert!(!same("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"));
    assert!(!same("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"));
    assert!(!same("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"));
    assert!(!same("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"));
    assert!(!same("sip:bob@biloxi.com", "sips:bob@biloxi.com"));
    assert!(!same("tel:+1", "sip:+1@x") && same("tel:+1", "tel:+1"));
}

/// The user agent, the service and the registrar together: REGISTER in, 200 out.
#[test]
fn a_terminal_registers_through_the_user_agent() {
    let mut b = Bench::with(Config { passed: vec![Method::Register], ..Config::default() });
    let mut registrar = Registrar::new(RegistrarConfig::default());
    let request = b.outside(Method::Register).header("Expires", "300").finish();
    b.receive(&request);
    let Event::Asked(asked) = b.event() else { panic!() };
    let way = Flow { transport: asked.transport, local: asked.local, remote: asked.remote };
    let answer = registrar.register(b.now, AOR, &asked.message, way);
    let (code, reason) = (answer.code, answer.reason.to_owned());
    b.command(Command::Respond { request: asked.request, code, reason, headers: answer.headers });
    assert_eq!(b.code(200).text("Contact").unwrap(), format!("<sip:gw@{PEER}>;expires=300"));
    let found = registrar.places(b.now, AOR);
    assert_eq!((found.len(), found[0].flow.remote), (1, addr(PEER)));
}
